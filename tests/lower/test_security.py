"""`job.security`: pods without root where nothing stands against it, else a note or an error that names what does."""

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected, Severity

GENERIC = ("cluster=generic", "cluster.registry=registry.example.com", "cluster.git.url=https://git.example.com")
PLAIN = ("hardware=full-gpu", "storage=nfs")


@pytest.fixture(scope="module")
def composer():
    return Composer(Request(config_path=runtime.conf_dir()))


def restricted(job):
    pod = job.bundle.job["spec"]["tasks"][0]["template"]["spec"]
    fields = pod.get("securityContext", {}).get("runAsNonRoot")
    dropped = {
        bool(each.get("securityContext", {}).get("capabilities", {}).get("drop"))
        for each in (*pod["containers"], *pod["initContainers"])
    }
    assert dropped == {bool(fields)}
    return bool(fields)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (GENERIC, True),
        ((*GENERIC, "job.security=none"), False),
        ((*GENERIC, "job.security=restricted"), True),
        ((*GENERIC, "job.security=null"), False),
        ((), False),
        (("job.security=auto",), True),
        (("job.security=restricted",), True),
        (("cluster=alauda-restricted",), True),
        (("cluster=alauda-restricted", "job.security=auto"), True),
    ],
)
def test_pods_give_root_up_as_asked(composer, words, expected):
    assert restricted(pipeline.compile_job(composer, [*PLAIN, *words])) is expected


OBSTACLES = {
    "network.host": "network.host=true",
    "network.rdma_resource": "network.rdma_resource=rdma/hca",
    "storage.workspace.host_path": "storage=hostpath",
    "hardware.needs_root": "hardware.needs_root=true",
}


@pytest.mark.parametrize(("key", "word"), OBSTACLES.items())
def test_an_obstacle_is_a_note_for_auto_and_an_error_for_restricted(composer, key, word):
    words = [*PLAIN, *GENERIC, "hardware.nodes=2", word]
    if key.startswith("storage"):
        words.remove("hardware.nodes=2")
    job = pipeline.compile_job(composer, words)
    assert not restricted(job)
    notes = {d.subject: d for d in job.diagnostics if d.code == "FT272"}
    assert key in notes
    assert {d.severity for d in notes.values()} == {Severity.NOTE}
    assert notes[key].help.endswith("or job.security=none")
    assert not [
        d for d in pipeline.compile_job(composer, [*words, "job.security=none"]).diagnostics if d.code == "FT272"
    ]
    with pytest.raises(Rejected) as refused:
        pipeline.compile_job(composer, [*words, "job.security=restricted"])
    assert {(d.code, d.severity) for d in refused.value.diagnostics if d.subject == key} == {("FT272", Severity.ERROR)}


def test_cards_whose_device_files_are_for_root_keep_root(composer):
    words = ["hardware=amd", "storage=nfs"]
    job = pipeline.compile_job(composer, [*words, "job.security=auto"])
    assert not restricted(job)
    assert [d.subject for d in job.diagnostics if d.code == "FT272"] == ["hardware.needs_root"]
    assert restricted(pipeline.compile_job(composer, [*words, "job.security=auto", "hardware.needs_root=false"]))
    with pytest.raises(Rejected) as refused:
        pipeline.compile_job(composer, [*words, "cluster=alauda-restricted"])
    assert [(d.code, d.subject) for d in refused.value.diagnostics] == [("FT272", "hardware.needs_root")]


def test_root_is_no_obstacle_at_the_level_baseline(composer):
    job = pipeline.compile_job(composer, ["hardware=amd", "storage=nfs", "cluster.pod_security=baseline"])
    assert not [d for d in job.diagnostics if d.code in {"FT272", "FT486"}]


def test_folders_of_the_node_that_an_overlay_mounts_keep_root_under_auto_and_are_told_once(composer):
    words = ["hardware=ascend", "storage=nfs", "job.security=auto"]
    assert restricted(pipeline.compile_job(composer, words))
    job = pipeline.compile_job(composer, [*words, "hardware/driver=host"])
    assert not restricted(job)
    (told,) = (d for d in job.diagnostics if d.code == "FT272")
    assert told.severity is Severity.NOTE
    assert "folders of the node" in told.headline
    assert told.locations[0].file.endswith("overlays/hardware/driver/host/mounts.yaml")
    accepted = pipeline.compile_job(composer, [*words, "hardware/driver=host", "job.security=none"])
    assert accepted.bundle.job["spec"] == job.bundle.job["spec"]
    assert not [d for d in accepted.diagnostics if d.code == "FT272"]


PODS = "kind: PodTemplate\ntemplate:\n  spec:\n    "
JOB = """\
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
spec:
  tasks:
  - name: train
    template:
      spec:
        """
OVERLAYS = {
    "network": (PODS + "hostNetwork: true\n    dnsPolicy: ClusterFirstWithHostNet", "the node's own network", 4),
    "processes": (JOB + "hostPID: true", "the processes of the node", 8),
    "memory": ("- op: add\n  path: /spec/tasks/0/template/spec/hostIPC\n  value: true", "the shared memory", 3),
    "folder": (
        "- {op: add, path: /spec/tasks/0/template/spec/volumes/-, value: {name: a, hostPath: {path: /a}}}",
        "folders of the node",
        1,
    ),
    "privileged": (PODS + "containers: [{name: train, securityContext: {privileged: true}}]", "privileged", 4),
    "capability": (
        PODS + "containers:\n    - name: train\n      securityContext: {capabilities: {add: [SYS_NICE]}}",
        "the capability SYS_NICE",
        6,
    ),
    "root": (PODS + "securityContext: {runAsUser: 0}", "root", 4),
}


def in_folder(folder, name, patch):
    overlay = folder / "overlays" / "hardware" / "ascend" / f"{name}.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text(patch)
    return Composer(Request(config_path=runtime.conf_dir(), directory=folder))


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_an_overlay_needs_is_told_with_its_line(tmp_path, name):
    patch, phrase, line = OVERLAYS[name]
    job = pipeline.compile_job(
        in_folder(tmp_path, name, patch), ["hardware=ascend", "storage=nfs", "job.security=auto"]
    )
    (told,) = (d for d in job.diagnostics if d.code == "FT272")
    assert phrase in told.headline
    assert told.locations[0].line == line
    assert "runAsNonRoot" not in str(job.bundle.job["spec"])


FREE = {
    "label": PODS.replace("template:\n  spec:\n    ", "template:\n  metadata: {labels: {hostNetwork: 'true'}}"),
    "capability": PODS
    + "containers:\n    - name: train\n      securityContext: {capabilities: {add: [NET_BIND_SERVICE]}}",
    "test": "- op: test\n  path: /spec/tasks/0/template/spec/securityContext/runAsUser\n  value: 1000",
    "user": PODS + "securityContext: {runAsUser: 1001}",
}


@pytest.mark.parametrize("name", FREE)
def test_an_overlay_that_fits_the_level_changes_nothing(tmp_path, name):
    composer = in_folder(tmp_path, name, FREE[name])
    job = pipeline.compile_job(composer, ["hardware=ascend", "storage=nfs", "job.security=auto"])
    assert not [d for d in job.diagnostics if d.code == "FT272"]
    assert "runAsNonRoot" in str(job.bundle.job["spec"])


def test_folders_of_the_node_that_an_overlay_mounts_are_refused(composer):
    words = ["hardware=ascend", "hardware/driver=host", "storage=nfs", "job.security=restricted"]
    with pytest.raises(Rejected) as refused:
        pipeline.compile_job(composer, words)
    assert {d.code for d in refused.value.diagnostics} == {"FT486"}


def test_none_in_a_namespace_that_enforces_the_standard_is_refused(composer):
    with pytest.raises(Rejected) as refused:
        pipeline.compile_job(composer, [*PLAIN, "cluster=alauda-restricted", "job.security=none"])
    assert {d.code for d in refused.value.diagnostics} == {"FT486"}
