"""What differs between manifests, and what it costs."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen import cli
from ftgen.diagnostics import Rejected
from ftgen.output.tree import EMPTY, Entry, Lock, Run, State
from ftgen.review.diff import (
    ChangeClass,
    Status,
    as_json,
    as_markdown,
    as_text,
    classify,
    diff_fields,
    diff_objects,
    diff_paths,
    diff_runs,
    differs,
    same_run,
)
from ftgen.text import yamlio

JOB = yamlio.parse(
    """
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
metadata:
  name: sft-11111111
  namespace: training
  labels: {ftgen.dev/run: sft}
  annotations:
    ftgen.dev/overrides: '["trainer.lr=1e-4", "name=a|b`c"]'
spec:
  minAvailable: 2
  queue: training
  priorityClassName: low
  policies:
  - {event: PodEvicted, action: RestartJob}
  - {event: PodFailed, action: TerminateJob}
  tasks:
  - name: train
    replicas: 2
    minAvailable: 2
    template:
      spec:
        volumes:
        - {name: shm, emptyDir: {sizeLimit: 1Gi}}
        containers:
        - name: train
          image: train:1
          env:
          - {name: TRAIN_CONFIG, value: "learning_rate: 1.0e-4\\nepochs: 3\\n"}
          - {name: NNODES, value: "2"}
          resources:
            limits: {nvidia.com/gpu: "4", memory: 1Gi}
""",
    "job.yaml",
)


def changed(path: str, value: object) -> dict:
    """The job with the value at a dotted path replaced; `None` removes it."""
    job = copy.deepcopy(JOB)
    *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    place = job
    for key in parents:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return job


POD = "spec/tasks/0/template/spec"


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        ("metadata/name", "sft-22222222", ChangeClass.NO_OP),
        ("metadata/labels", {"ftgen.dev/run": "other"}, ChangeClass.METADATA),
        ("metadata/annotations", None, ChangeClass.METADATA),
        ("spec/minAvailable", 1, ChangeClass.IN_PLACE),
        ("spec/priorityClassName", "high", ChangeClass.IN_PLACE),
        ("spec/priorityClassName", None, ChangeClass.IN_PLACE),
        ("spec/tasks/0/replicas", 4, ChangeClass.IN_PLACE),
        ("spec/tasks/0/minAvailable", 1, ChangeClass.IN_PLACE),
        ("spec/queue", "other", ChangeClass.NEW_RUN),
        ("spec/ttlSecondsAfterFinished", 60, ChangeClass.NEW_RUN),
        ("spec/tasks/0/name", "worker", ChangeClass.NEW_RUN),
        ("spec/tasks", [], ChangeClass.NEW_RUN),
        (f"{POD}/containers/0/image", "train:2", ChangeClass.NEW_RUN),
        (f"{POD}/containers/0/resources/limits/memory", "1024Mi", ChangeClass.NO_OP),
        (f"{POD}/containers/0/resources/limits/memory", "2Gi", ChangeClass.NEW_RUN),
        (f"{POD}/containers/0/resources/limits/nvidia.com/gpu", 4, ChangeClass.NO_OP),
        (f"{POD}/volumes/0/emptyDir/sizeLimit", "1048576Ki", ChangeClass.NO_OP),
        (f"{POD}/containers/0/env/1/value", "2.0", ChangeClass.NEW_RUN),
        ("status", {"state": "Running"}, ChangeClass.NO_OP),
    ],
)
def test_a_change_is_classed_by_what_volcano_admits(path, value, kind):
    path = path.replace("nvidia.com/gpu", "nvidia.com\x00gpu")
    job = changed(path, value) if "\x00" not in path else copy.deepcopy(JOB)
    if "\x00" in path:
        job["spec"]["tasks"][0]["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = value
    assert classify(JOB, job) is kind


def test_the_costliest_field_decides():
    job = changed("spec/minAvailable", 1)
    job["metadata"]["labels"] = {}
    assert classify(JOB, job) is ChangeClass.IN_PLACE
    job["spec"]["queue"] = "other"
    assert classify(JOB, job) is ChangeClass.NEW_RUN


def test_a_null_is_an_absent_field():
    job = copy.deepcopy(JOB)
    job["spec"]["volumes"] = None
    assert diff_fields(JOB, job) == []


def test_a_field_that_only_looks_different_costs_nothing():
    job = copy.deepcopy(JOB)
    job["spec"]["volumes"] = []
    (change,) = diff_fields(JOB, job)
    assert (change.path, change.change_class) == ("spec.volumes", ChangeClass.NO_OP)


def test_a_field_is_named_by_its_path():
    job = changed(f"{POD}/containers/0/env/1/value", "4")
    (change,) = diff_fields(JOB, job)
    assert change.path == "spec.tasks[train].template.spec.containers[train].env[NNODES].value"
    assert (change.old, change.new) == ("2", "4")


def test_a_change_inside_embedded_yaml_is_told_by_its_key():
    job = changed(f"{POD}/containers/0/env/0/value", "learning_rate: 2.0e-4\nepochs: 3\n")
    (change,) = diff_fields(JOB, job)
    assert change.path.endswith("env[TRAIN_CONFIG].value:learning_rate")
    assert change.change_class is ChangeClass.NEW_RUN


def test_embedded_yaml_that_differs_in_its_text_only_still_differs():
    job = changed(f"{POD}/containers/0/env/0/value", "# note\nlearning_rate: 1.0e-4\nepochs: 3\n")
    (change,) = diff_fields(JOB, job)
    assert change.path.endswith("env[TRAIN_CONFIG].value")


def test_another_order_of_environment_variables_is_a_change():
    job = copy.deepcopy(JOB)
    job["spec"]["tasks"][0]["template"]["spec"]["containers"][0]["env"].reverse()
    (change,) = diff_fields(JOB, job)
    assert change.old == ["TRAIN_CONFIG", "NNODES"]
    assert change.change_class is ChangeClass.NEW_RUN


def test_a_boolean_is_not_a_number():
    assert diff_fields({"kind": "X", "a": 1}, {"kind": "X", "a": True})


def test_a_larger_claim_is_resized_in_place():
    def claim(size, mode="ReadWriteOnce"):
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "models"},
            "spec": {"accessModes": [mode], "resources": {"requests": {"storage": size}}},
        }

    assert classify(claim("1Gi"), claim("1024Mi")) is ChangeClass.NO_OP
    assert classify(claim("1Gi"), claim("2Gi")) is ChangeClass.IN_PLACE
    assert classify(claim("1Gi"), claim("1Gi", "ReadWriteMany")) is ChangeClass.NEW_RUN
    assert classify(claim("2Gi"), claim("1Gi")) is ChangeClass.NEW_RUN


def manifest(kind: str, **content) -> dict:
    version, _, kind = kind.rpartition("/")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **content}


def plain_job(**spec) -> dict:
    held = {"parallelism": 2, "completions": 2, "completionMode": "Indexed", "template": {"spec": {}}}
    return manifest("batch/v1/Job", spec={**held, **spec})


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ({}, {"parallelism": 1}, ChangeClass.IN_PLACE),
        ({}, {"backoffLimit": 3}, ChangeClass.IN_PLACE),
        ({}, {"suspend": True}, ChangeClass.IN_PLACE),
        ({"ttlSecondsAfterFinished": 60}, {}, ChangeClass.IN_PLACE),
        ({}, {"activeDeadlineSeconds": 60}, ChangeClass.IN_PLACE),
        ({}, {"manualSelector": True}, ChangeClass.IN_PLACE),
        ({}, {"podReplacementPolicy": "Failed"}, ChangeClass.IN_PLACE),
        ({"maxFailedIndexes": 1}, {"maxFailedIndexes": 2}, ChangeClass.IN_PLACE),
        ({}, {"completions": 3, "parallelism": 3}, ChangeClass.IN_PLACE),
        ({}, {"completions": 3}, ChangeClass.NEW_RUN),
        ({"completionMode": "NonIndexed"}, {"completionMode": "NonIndexed", "completions": 1}, ChangeClass.NEW_RUN),
        ({}, {"completionMode": "NonIndexed"}, ChangeClass.NEW_RUN),
        ({}, {"backoffLimitPerIndex": 1}, ChangeClass.NEW_RUN),
        ({}, {"podFailurePolicy": {"rules": []}}, ChangeClass.NEW_RUN),
        ({}, {"successPolicy": {"rules": []}}, ChangeClass.NEW_RUN),
        ({}, {"managedBy": "example.com/other"}, ChangeClass.NEW_RUN),
        ({}, {"selector": {"matchLabels": {"a": "b"}}}, ChangeClass.NEW_RUN),
        ({}, {"template": {"spec": {"nodeName": "one"}}}, ChangeClass.NEW_RUN),
    ],
)
def test_a_job_of_kubernetes_own_is_classed_by_what_its_validation_admits(old, new, kind):
    assert classify(plain_job(**old), plain_job(**new)) is kind


QUEUE = "scheduling.volcano.sh/v1beta1/Queue"
POLICY = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"


@pytest.mark.parametrize(
    ("kind", "old", "new", "change"),
    [
        (QUEUE, {"spec": {"capability": {"cpu": "1"}}}, {"spec": {"capability": {"cpu": "2"}}}, ChangeClass.IN_PLACE),
        (QUEUE, {"spec": {"capability": {"cpu": "1"}}}, {"spec": {"capability": {"cpu": 1}}}, ChangeClass.NO_OP),
        ("argoproj.io/v1alpha1/AppProject", {"spec": {}}, {"spec": {"sourceRepos": ["a"]}}, ChangeClass.IN_PLACE),
        ("argoproj.io/v1alpha1/Application", {"spec": {}}, {"spec": {"project": "a"}}, ChangeClass.IN_PLACE),
        ("argoproj.io/v1alpha1/ApplicationSet", {"spec": {}}, {"spec": {"goTemplate": True}}, ChangeClass.IN_PLACE),
        ("kustomize.toolkit.fluxcd.io/v1/Kustomization", {"spec": {}}, {"spec": {"path": "a"}}, ChangeClass.IN_PLACE),
        (POLICY, {"spec": {}}, {"spec": {"failurePolicy": "Fail"}}, ChangeClass.IN_PLACE),
        (f"{POLICY}Binding", {"spec": {}}, {"spec": {"policyName": "a"}}, ChangeClass.IN_PLACE),
        ("serving.kserve.io/v1beta1/InferenceService", {"spec": {}}, {"spec": {"predictor": {}}}, ChangeClass.IN_PLACE),
        ("apps/v1/Deployment", {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, ChangeClass.IN_PLACE),
        ("apps/v1/Deployment", {"spec": {}}, {"spec": {"selector": {"matchLabels": {}}}}, ChangeClass.NEW_RUN),
        ("v1/Service", {"spec": {}}, {"spec": {"selector": {"a": "b"}}}, ChangeClass.IN_PLACE),
        ("v1/Service", {"spec": {"clusterIP": "None"}}, {"spec": {}}, ChangeClass.NEW_RUN),
        ("v1/ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}, ChangeClass.IN_PLACE),
        ("v1/ConfigMap", {"data": {}}, {"data": {}, "immutable": True}, ChangeClass.IN_PLACE),
        ("v1/ConfigMap", {"data": {"a": "1"}, "immutable": True}, {"data": {"a": "1"}}, ChangeClass.NEW_RUN),
        ("v1/ConfigMap", {"data": {"a": "1"}, "immutable": True}, {"immutable": True}, ChangeClass.NEW_RUN),
        ("v1/Secret", {"data": {"a": "MQ=="}}, {"data": {"a": "Mg=="}}, ChangeClass.IN_PLACE),
        ("v1/Secret", {"type": "Opaque"}, {"type": "kubernetes.io/tls"}, ChangeClass.NEW_RUN),
        ("v1/PersistentVolume", {"spec": {"capacity": {"storage": "1Gi"}}}, {"spec": {}}, ChangeClass.IN_PLACE),
        (
            "v1/PersistentVolume",
            {"spec": {"nfs": {"path": "/a"}}},
            {"spec": {"nfs": {"path": "/b"}}},
            ChangeClass.NEW_RUN,
        ),
        ("v1/PersistentVolume", {"spec": {"volumeMode": "Block"}}, {"spec": {}}, ChangeClass.NEW_RUN),
        ("resource.k8s.io/v1/ResourceClaimTemplate", {"spec": {}}, {"spec": {"spec": {}}}, ChangeClass.NEW_RUN),
    ],
)
def test_each_kind_is_classed_by_what_its_server_admits(kind, old, new, change):
    assert classify(manifest(kind, **old), manifest(kind, **new)) is change


@pytest.mark.parametrize(
    ("words", "before", "after", "told"),
    [
        (
            ["-m", "trainer.lr=1e-4,2e-4", "cluster.queue=mine"],
            "sweep.max_parallel=1",
            "sweep.max_parallel=2",
            ("1 in-place, 3 unchanged", "2 unchanged", "(1 changed, 4 unchanged)"),
        ),
        (["target=job"], "job.restarts=1", "job.restarts=3", ("1 in-place, 1 unchanged", "1 changed", "changed")),
        (["target=job"], "trainer.lr=1e-4", "trainer.lr=2e-4", ("1 new run, 1 unchanged", "1 new", "added")),
    ],
)
def test_what_differs_is_what_is_planned_and_written(words, before, after, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["name=run", *words, before]) == 0
    capsys.readouterr()
    assert cli.main(["diff", "name=run", *words, after]) == 1
    said = [capsys.readouterr().out]
    assert cli.main(["plan", "name=run", *words, after]) == 0
    said.append(capsys.readouterr().out)
    assert cli.main(["name=run", *words, after]) == 0
    said.append(capsys.readouterr().err)
    assert all(text in each for text, each in zip(told, said, strict=True)), said
    assert cli.main(["diff", "name=run", *words, after]) == 0


# sets of objects


def renamed(job: dict, name: str) -> dict:
    return {**job, "metadata": {**job["metadata"], "name": name}}


def test_an_object_that_stays_as_it_is_does_not_differ():
    (change,) = diff_objects([JOB], [copy.deepcopy(JOB)])
    assert (change.status, change.change_class) == (Status.UNCHANGED, ChangeClass.NO_OP)
    assert not differs([change])


def test_a_new_hash_of_a_run_is_one_change_and_not_two():
    job = renamed(changed("spec/queue", "other"), "sft-22222222")
    (change,) = diff_objects([JOB], [job])
    assert (change.status, change.change_class) == (Status.CHANGED, ChangeClass.NEW_RUN)
    assert [field.path for field in change.fields] == ["spec.queue"]
    assert "sft-11111111 -> sft-22222222" in as_text([change])


def test_runs_that_cannot_be_told_apart_are_added_and_removed():
    new = [renamed(JOB, "sft-22222222"), renamed(JOB, "sft-33333333")]
    changes = diff_objects([JOB], new)
    assert sorted(change.status for change in changes) == ["added", "added", "removed"]


def test_an_object_of_another_namespace_is_another_object():
    moved = {**JOB, "metadata": {**JOB["metadata"], "namespace": "other"}}
    assert [change.status for change in diff_objects([JOB], [moved])] == [Status.ADDED, Status.REMOVED]


def test_another_spelling_of_the_same_amount_does_not_make_sets_differ():
    changes = diff_objects([JOB], [changed(f"{POD}/containers/0/resources/limits/memory", "1024Mi")])
    assert changes[0].status is Status.CHANGED
    assert not differs(changes)


def test_two_folders_are_compared_object_by_object(tmp_path):
    for folder, job in (("old", JOB), ("new", changed("spec/minAvailable", 1))):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "deep" / f"{folder}.yaml").write_text(yamlio.dump(job))
        (tmp_path / folder / "ftgen.lock").write_text("{}")
    (change,) = diff_paths(tmp_path / "old", tmp_path / "new")
    assert change.change_class is ChangeClass.IN_PLACE


def test_the_members_of_a_list_are_objects(tmp_path):
    (tmp_path / "old.yaml").write_text(yamlio.dump({"apiVersion": "v1", "kind": "List", "items": [JOB]}))
    (tmp_path / "new.yaml").write_text("---\n".join(map(yamlio.dump, [JOB, renamed(JOB, "b")])))
    statuses = [change.status for change in diff_paths(tmp_path / "old.yaml", tmp_path / "new.yaml")]
    assert statuses == [Status.UNCHANGED, Status.ADDED]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(Rejected, match="there is no file"):
        diff_paths(tmp_path / "a", tmp_path / "b")


def test_a_render_is_compared_with_the_tree_by_run():
    old, new = (yamlio.dump(job).encode() for job in (JOB, renamed(changed("spec/queue", "q"), "sft-2")))
    entry = Entry("", "batch.volcano.sh/v1alpha1 Job training/sft-11111111", "sft/", "sft-11111111", State.ACTIVE)
    lock = Lock({"sft/old.yaml": entry, "other/x.yaml": entry.__class__("", "", "other/", "x", State.ACTIVE)})
    run = Run("sft", "sft-2", "sft/", {"sft/new.yaml": new})
    (change,) = diff_runs(lock, {"sft/old.yaml": old, "other/x.yaml": old}.get, [run])
    assert change.change_class is ChangeClass.NEW_RUN
    assert change.old["metadata"]["name"] == "sft-11111111"


def test_a_render_of_what_is_there_is_unchanged():
    run = Run("sft", "sft-11111111", "sft/", {"sft/a.yaml": yamlio.dump(JOB).encode()})
    (change,) = diff_runs(EMPTY, run.files.get, [run])
    assert change.status is Status.UNCHANGED


def test_two_texts_of_one_run_are_told_from_texts_of_two():
    old = yamlio.dump(JOB).encode()
    assert same_run(old, yamlio.dump(changed("spec/minAvailable", 1)).encode())
    assert not same_run(old, yamlio.dump(changed("spec/queue", "q")).encode())


# shown


def changes_of_every_kind():
    named = {name: renamed(JOB, name) for name in "abcdef"}
    new = {
        "b": renamed(changed("spec/minAvailable", 1), "b"),
        "c": renamed(changed("metadata/labels", {"x": "1"}), "c"),
        "d": renamed(changed("spec/queue", "other"), "d"),
        "e": named["e"],
        "f": renamed(changed(f"{POD}/containers/0/resources/limits/memory", "1024Mi"), "f"),
    }
    gone = renamed(changed("metadata/labels", {"ftgen.dev/run": "gone"}), "gone")
    old = [*(named[name] for name in "bcdef"), gone]
    return diff_objects(old, [named["a"], *new.values()])


def test_text_tells_every_object_that_differs_and_counts_the_rest():
    text = as_text(changes_of_every_kind())
    assert "+ Job training/a\n" in text
    assert "- Job training/gone\n" in text
    assert "~ Job training/b  (in-place)\n  ~ spec.minAvailable: 2 -> 1  (in-place)\n" in text
    assert "Job training/e" not in text
    assert text.endswith("1 added, 1 new run, 1 in-place, 1 metadata, 1 removed, 1 no-op, 1 unchanged\n")
    assert "\x1b" not in text


def test_text_is_coloured_when_asked():
    assert "\x1b[32m+ Job training/a\x1b[0m" in as_text(changes_of_every_kind(), colour=True)


def test_a_changed_script_is_told_as_a_text_difference():
    old, new = (changed(f"{POD}/containers/0/image", f"set -eu\necho {word}\n") for word in ("a", "b"))
    text = as_text(diff_objects([old], [new]))
    assert "      -echo a\n      +echo b\n" in text


def test_no_manifest_steers_the_terminal():
    job = changed("spec/queue", "\x1b[2J\u202e")
    assert "\x1b" not in as_text(diff_objects([JOB], [job]))
    assert "\u202e" not in as_text(diff_objects([JOB], [job]))


def test_json_has_one_entry_an_object():
    rows = {row["name"]: row for row in json.loads(as_json(changes_of_every_kind()))}
    assert rows["b"]["class"] == "in-place"
    assert rows["b"]["fields"] == [{"path": "spec.minAvailable", "class": "in-place", "old": 2, "new": 1}]
    assert rows["a"]["status"] == "added"
    assert rows["a"]["was"] is None
    assert rows["gone"]["status"] == "removed"


def test_json_leaves_out_what_is_absent():
    (row,) = json.loads(as_json(diff_objects([JOB], [changed("spec/queue", None)])))
    assert row["fields"] == [{"path": "spec.queue", "class": "new run", "old": "training"}]


def test_markdown_tells_parameters_and_cards_of_added_runs():
    text = as_markdown(changes_of_every_kind())
    assert "`trainer.lr=1e-4`" in text
    assert "8 nvidia.com/gpu" in text
    assert "### New run" in text
    assert text.index("### New run") < text.index("### In-place") < text.index("### Metadata")


def added(**overrides):
    """A run that says which parameters it was rendered from."""
    words = [f"{key}={value}" for key, value in overrides.items()]
    job = renamed(JOB, "-".join(["sft", *overrides.keys(), *map(str, overrides.values())]))
    metadata = {key: value for key, value in job["metadata"].items() if key != "labels"}
    return {**job, "metadata": {**metadata, "annotations": {"ftgen.dev/overrides": json.dumps(words)}}}


def test_markdown_tells_what_all_runs_share_once():
    text = as_markdown(diff_objects([], [added(cluster="lab", lr=1), added(cluster="lab", lr=2)]))
    assert text.count("cluster=lab") == 1
    assert "Each with `cluster=lab`." in text
    assert "| `lr=1` |" in text


def test_markdown_tells_parameters_of_a_change_and_no_bookkeeping():
    old, new = added(lr=1, epochs=3), added(lr=2, epochs=3)
    new["metadata"]["name"] = old["metadata"]["name"]
    new["metadata"]["annotations"]["ftgen.dev/config-digest"] = "sha256:2"
    text = as_markdown(diff_objects([old], [new]))
    assert "now with `lr=2`" in text
    assert "no longer with `lr=1`" in text
    assert "digest" not in text
    assert "epochs=3" not in text


def test_markdown_is_cut_where_nobody_reads_on():
    text = as_markdown(diff_objects([], [added(lr=number) for number in range(1000)]))
    assert "1000 added" in text
    assert "… and 900 more" in text
    assert len(text) < 65536


def test_markdown_tells_whether_what_is_removed_stays():
    changes = diff_objects([JOB], [])
    assert "### Removed" in as_markdown(changes)
    assert "### No longer rendered; the files stay" in as_markdown(changes, stays=True)


def test_a_script_in_a_command_is_told_by_its_lines():
    old, new = copy.deepcopy(JOB), copy.deepcopy(JOB)
    for job, text in ((old, "a\nb\n"), (new, "a\nc\nd\n")):
        job["spec"]["tasks"][0]["template"]["spec"]["containers"][0]["command"] = ["/bin/bash", "-c", text]
    (change,) = diff_fields(old, new)
    assert change.path.endswith(".command[2]")
    changes = diff_objects([old], [new])
    assert "-b" in as_text(changes)
    assert "+2 -1 lines" in as_markdown(changes)


def test_markdown_cannot_be_broken_out_of():
    text = as_markdown(changes_of_every_kind())
    (row,) = [line for line in text.splitlines() if line.startswith("| `Job training/a`")]
    assert "``name=a\\|b`c``" in row


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_any_two_objects_compare_and_show(old, new):
    before, after = {**JOB, "spec": {"x": old}}, {**JOB, "spec": {"x": new}}
    assert diff_fields(before, before) == []
    changes = diff_objects([before], [after])
    if changes[0].status is Status.UNCHANGED:
        assert diff_fields(after, before) == []
    for show in (as_text, as_json, as_markdown):
        assert show(changes).encode()


def test_what_several_runs_share_is_told_once_and_what_is_no_manifest_not_at_all():
    claim = b"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: models\n"
    shared = {"abl/persistentvolumeclaim-models.yaml": claim}
    runs = [
        Run("abl", f"abl-{name}", f"abl/{name}", {**shared, f"abl/job-{name}.yaml": yamlio.dump(JOB).encode()})
        for name in "ab"
    ]
    beside = Run("abl", "", "abl/*", {"abl/abl.csv": b"job,lr\na: b: c\n"})

    found = list(diff_runs(EMPTY, {}.get, [*runs, beside]))

    assert [change.manifest["kind"] for change in found] == ["Job", "PersistentVolumeClaim", "Job"]


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("needed", ["a", "ab", ""])
def test_a_claim_that_another_run_takes_over_stays(order: str, needed: str) -> None:
    path, claim = "abl/claim.yaml", b"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: models\n"
    lock = Lock({path: Entry("", "v1 PersistentVolumeClaim training/models", "abl/b", "abl-b", State.ACTIVE)})
    runs = [Run("abl", f"abl-{one}", f"abl/{one}", {path: claim} if one in needed else {}) for one in order]
    (change,) = diff_runs(lock, {path: claim}.get, runs)
    assert change.status is (Status.UNCHANGED if needed else Status.REMOVED)
