"""`job.security`: pods without root where nothing stands against it, else a note or an error that names what does."""

import pytest

from ftgen import pipeline, project
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected, Severity

GENERIC = ("cluster=generic", "cluster.registry=registry.example.com", "cluster.git.url=https://git.example.com")
PLAIN = ("hardware=full-gpu", "storage=nfs")


@pytest.fixture(scope="module")
def composer():
    return Composer(Request(config_path=project.conf_dir()))


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


def test_folders_of_the_node_that_an_overlay_mounts_are_refused(composer):
    words = ["hardware=ascend", "hardware/driver=host", "storage=nfs", "job.security=restricted"]
    with pytest.raises(Rejected) as refused:
        pipeline.compile_job(composer, words)
    assert {d.code for d in refused.value.diagnostics} == {"FT486"}


def test_none_in_a_namespace_that_enforces_the_standard_is_refused(composer):
    with pytest.raises(Rejected) as refused:
        pipeline.compile_job(composer, [*PLAIN, "cluster=alauda-restricted", "job.security=none"])
    assert {d.code for d in refused.value.diagnostics} == {"FT486"}
