"""A manifest that the cluster would not take as written is refused, at the exact place."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen import schema
from ftgen.diagnostics import Rejected, Severity
from ftgen.schema.conform import conform
from ftgen.text import yamlio
from ftgen.text.paths import dotted

JOBS = yamlio.read_all(Path(__file__).with_name("training.yaml"))
JOB = JOBS[0]
LINES = list(schema.RELEASES)
CONTAINER = ("spec", "tasks", 0, "template", "spec", "containers", 0)
INSIDE = "spec.tasks[0].template.spec.containers[0]"


def closed(line=schema.DEFAULT):
    return schema.find("batch.volcano.sh/v1alpha1", "Job", line)


def at(value, path):
    for step in path:
        value = value[step]
    return value


def changed(path, value):
    job = deepcopy(JOB)
    at(job, path[:-1])[path[-1]] = value
    return job


def told(manifest, version=schema.DEFAULT):
    return [(each.code, each.subject) for each in conform(manifest, volcano_version=version)]


def fields(value, node, path=()):
    """Every declared field of a manifest, with its place in the schema."""
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield from fields(part, node.item(), (*path, index))
    elif isinstance(value, dict):
        for name, part in value.items():
            inner = node.field(name)
            if name in node.names():
                yield (*path, name), inner
            yield from fields(part, inner, (*path, name))


FIELDS = [each for each in fields(JOB, schema.Node.of(closed())) if each[0] not in {("apiVersion",), ("kind",)}]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("job", JOBS)
def test_a_job_written_by_hand_is_accepted_by_every_line(job, line):
    assert conform(job, volcano_version=line) == []


@given(st.sampled_from(FIELDS), st.text("abcxyz", min_size=1, max_size=4))
def test_a_misspelt_field_at_any_depth_is_refused_where_it_stands(field, more):
    path = field[0]
    job = deepcopy(JOB)
    owner = at(job, path[:-1])
    owner[misspelt := f"{path[-1]}{more}"] = owner.pop(path[-1])
    assert ("FT301", dotted((*path[:-1], misspelt))) in told(job)


@given(st.sampled_from([path for path, _ in FIELDS]), st.sampled_from([None, True, 0.5, [[]], {"": ""}, "?"]))
def test_whatever_is_refused_is_explained(path, value):
    job = changed(path, value)
    accepted = schema.compiled(job["apiVersion"], job["kind"]).is_valid(job)
    assert accepted == (conform(job) == [])


@given(st.sampled_from([path for path, node in FIELDS if node.here.get("type") in ("object", "array")]))
def test_a_plain_value_in_place_of_a_mapping_or_list_is_refused_where_it_stands(path):
    assert told(changed(path, "plain")) == [("FT302", dotted(path))]


def test_a_near_miss_names_the_field_that_was_meant():
    job = deepcopy(JOB)
    job["spec"]["minAvailabel"] = job["spec"].pop("minAvailable")
    [problem] = conform(job)
    assert problem.headline == "spec has no field minAvailabel: the API server would drop it"
    assert problem.help == "did you mean minAvailable?"


@pytest.mark.parametrize(
    ("path", "value", "code", "cure"),
    [
        (("spec", "maxRetry"), "3", "FT302", "remove the quotes: 3"),
        (("spec", "queue"), 5, "FT302", 'put it in quotes: "5"'),
        (("spec", "plugins"), {"svc": None}, "FT302", "give it a value, or remove the key"),
        (("spec", "tasks"), [None], "FT302", "give it a value, or remove it"),
        (("spec", "minSuccess"), 0, "FT303", "write at least 1"),
        (("spec", "minAvailable"), 2**31, "FT303", ""),
        ((*CONTAINER, "command"), "bash", "FT302", "write a list: [bash]"),
        ((*CONTAINER, "resources", "limits", "cpu"), 0.5, "FT302", 'put it in quotes: "0.5"'),
        (
            (*CONTAINER, "resources", "limits", "memory"),
            "16GB",
            "FT303",
            "write a number with a suffix of Kubernetes' own, such as 500m, 8 or 16Gi",
        ),
        (("spec", "tasks", 0, "topologyPolicy"), "Restricted", "FT303", "did you mean restricted?"),
    ],
)
def test_a_wrong_value_comes_with_the_edit_that_mends_it(path, value, code, cure):
    [problem] = conform(changed(path, value))
    assert (problem.code, problem.help) == (code, cure)
    assert problem.subject.startswith(dotted(path))


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "creationTimestamp": None},
    "spec": {"containers": [{"name": "c", "image": "i", "args": ["a"], "resources": {"limits": {"cpu": "1"}}}]},
}


def set_at(manifest, path, value):
    copy = deepcopy(manifest)
    at(copy, path[:-1])[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("manifest", "path", "code", "severity"),
    [
        (JOB, ("spec", "maxRetry"), "FT302", Severity.WARNING),
        (JOB, ("spec", "tasks"), "FT302", Severity.WARNING),
        (JOB, (*CONTAINER, "resources", "limits", "cpu"), "FT302", Severity.WARNING),
        (JOB, ("spec", "tasks", 0, "template", "metadata", "creationTimestamp"), "FT301", Severity.WARNING),
        (JOB, ("spec", "maxRetri"), "FT301", Severity.WARNING),
        (JOB, (*CONTAINER, "name"), "FT304", Severity.ERROR),
        (JOB, ("spec", "tasks", 0), "FT302", Severity.ERROR),
        (POD, ("spec", "containers", 0, "args"), "FT302", Severity.WARNING),
        (POD, ("spec", "containers", 0, "args", 0), "FT302", Severity.WARNING),
        (POD, ("spec", "containers", 0, "resources", "limits", "cpu"), "FT302", Severity.WARNING),
        (POD, ("metadata", "labels"), "FT302", Severity.WARNING),
        (POD, ("spec", "containers", 0), "FT302", Severity.ERROR),
        (POD, ("spec", "containers"), "FT304", Severity.ERROR),
    ],
)
def test_a_null_is_judged_as_the_api_server_reads_it(manifest, path, code, severity):
    """So an API server of 1.36 with Volcano 1.15 answered: a null in a mapping is no value."""
    found = conform(set_at(manifest, path, None))
    wrong = [each for each in found if each.subject.startswith(dotted(path)) or each.code == "FT304"]
    assert [(each.code, each.severity) for each in wrong] == [(code, severity)]
    assert found == wrong


def test_what_ftgen_writes_holds_no_null():
    job = changed(("spec", "maxRetry"), None)
    assert [each.severity for each in conform(job, allows_nulls=False)] == [Severity.ERROR]


def test_what_may_be_null_or_anything_keeps_its_null():
    app = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "a"},
        "spec": {
            "project": "p",
            "destination": {"name": "d"},
            "source": {"repoURL": "https://x", "helm": {"valuesObject": {"a": None}}},
        },
    }
    assert conform(POD) == []
    assert conform(app) == []


def test_every_problem_is_reported_in_one_go_from_top_to_bottom():
    job = deepcopy(JOB)
    job["metadata"]["annotations"] = {"ftgen.dev/x": 3}
    job["spec"]["maxRetry"] = "3"
    container = at(job, CONTAINER)
    container["imagePulPolicy"] = "Never"
    container["env"] += [{"name": "GIT_USER", "value": "a"}, {"value": "nameless"}]
    del container["name"]
    assert told(job) == [
        ("FT302", 'metadata.annotations["ftgen.dev/x"]'),
        ("FT302", "spec.maxRetry"),
        ("FT306", f"{INSIDE}.env[3].name"),
        ("FT304", f"{INSIDE}.env[4].name"),
        ("FT301", f"{INSIDE}.imagePulPolicy"),
        ("FT304", f"{INSIDE}.name"),
    ]


def test_an_object_needs_a_name_or_a_prefix_of_one():
    job = deepcopy(JOB)
    del job["metadata"]["generateName"]
    [problem] = conform(job)
    assert (problem.code, problem.help) == ("FT304", "add name or generateName")


def test_an_item_given_twice_is_refused_in_a_custom_resource():
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    [problem] = conform(changed((*CONTAINER, "env"), twice))
    assert (problem.code, problem.subject) == ("FT306", f"{INSIDE}.env[1].name")
    assert problem.severity is Severity.ERROR


def test_an_item_given_twice_only_warns_in_kubernetes_own_kinds():
    template = {"name": "p", "image": "i", "env": [{"name": "A"}, {"name": "A"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [template]}}
    assert [each.severity for each in conform(pod)] == [Severity.WARNING]


def test_a_port_left_without_protocol_is_tcp_when_items_are_compared():
    ports = [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]
    assert conform(changed((*CONTAINER, "ports"), ports)) == []
    assert told(changed((*CONTAINER, "ports"), [ports[0], {"containerPort": 80, "protocol": "TCP"}])) == [
        ("FT306", f"{INSIDE}.ports[1].containerPort")
    ]


def test_a_field_of_a_later_volcano_says_which_one_has_it():
    job = changed(("spec", "tasks", 0, "partitionPolicy"), {"totalPartitions": 1, "partitionSize": 1})
    [problem] = conform(job, volcano_version="1.12.4")
    assert problem.subject == "spec.tasks[0].partitionPolicy"
    assert problem.help == "remove it; Volcano 1.14 has it, 1.12 does not"
    assert conform(job, volcano_version="v1.14.1") == conform(job, volcano_version="newest") == []


def test_later_lines_check_names_that_1_12_leaves_to_the_webhook():
    job = changed(("spec", "tasks", 0, "name"), "Train")
    assert conform(job, volcano_version="1.12") == []
    assert told(job, "1.15") == [("FT303", "spec.tasks[0].name")]


HOSTNAME = ("spec", "hostnameOverride")
FILE = {"key": "a", "path": "b", "volumeName": "c"}
FILE_KEY = ("spec", "containers", 0, "env", 0, "valueFrom")


def pod(path, value):
    manifest = set_at(POD, ("spec", "containers", 0, "env"), [{"name": "A", "valueFrom": {}}])
    return set_at(manifest, path, value)


@pytest.mark.parametrize(("version", "line"), [("1.28", "1.28"), ("1.33", "1.33"), ("v1.32.9+k3s1", "1.32")])
def test_a_field_of_a_later_kubernetes_says_which_one_has_it(version, line):
    [problem] = conform(pod(HOSTNAME, "a"), volcano_version="newest", kubernetes_version=version)

    assert (problem.code, problem.severity, problem.subject) == ("FT301", Severity.ERROR, "spec.hostnameOverride")
    assert problem.help == f"remove it; Kubernetes 1.34 has it, {line} does not"
    assert conform(pod(HOSTNAME, "a"), volcano_version="1.12", kubernetes_version="1.34") == []


def test_kubernetes_is_the_line_of_volcano_where_nobody_has_said():
    assert conform(pod(HOSTNAME, "a"), volcano_version="1.14") == []
    assert [d.subject for d in conform(pod(HOSTNAME, "a"), volcano_version="1.12")] == ["spec.hostnameOverride"]


@pytest.mark.parametrize(("path", "value"), [(HOSTNAME, "a"), (FILE_KEY, {"fileKeyRef": FILE})])
@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_a_field_that_kubernetes_drops_from_the_pods_of_a_job_is_refused(path, value, kind):
    spec = {"tasks": [{"name": "a", "replicas": 1, "template": {"spec": pod(path, value)["spec"]}}]}
    inside = "spec.tasks[0].template"
    if kind == "CronJob":
        spec, inside = {"schedule": "@daily", "jobTemplate": {"spec": spec}}, f"spec.jobTemplate.{inside}"
    job = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    lost = dotted(path) if path == HOSTNAME else f"{dotted(path)}.fileKeyRef"

    found = [d for d in conform(job, volcano_version="1.15", kubernetes_version="1.32") if d.code == "FT301"]

    assert [(d.severity, d.subject, d.help) for d in found] == [
        (Severity.ERROR, f"{inside}.{lost}", "remove it; Kubernetes 1.34 has it")
    ]
    assert "the API server would drop it" in found[0].headline
    for accepting in ("", "1.34"):
        assert "FT301" not in {d.code for d in conform(job, volcano_version="1.15", kubernetes_version=accepting)}


def test_a_field_that_neither_volcano_nor_kubernetes_has_is_told_once():
    spec = pod(HOSTNAME, "a")["spec"]
    job = changed(("spec", "tasks"), [{"name": "a", "replicas": 1, "template": {"spec": spec}}])

    [problem] = conform(job, volcano_version="1.12", kubernetes_version="1.32")

    assert problem.help == "remove it; Volcano 1.14 has it, 1.12 does not"


def test_a_field_that_kubernetes_gave_up_is_lost_as_well():
    spec = pod(("spec", "workloadRef"), {"name": "a", "podGroup": "b"})["spec"]
    job = changed(("spec", "tasks"), [{"name": "a", "replicas": 1, "template": {"spec": spec}}])

    [problem] = conform(job, volcano_version="1.15", kubernetes_version="1.36")

    assert (problem.code, problem.help) == ("FT301", "remove it; Kubernetes 1.35 has it")
    assert conform(job, volcano_version="1.15", kubernetes_version="1.35") == []


def test_fields_that_only_a_custom_resource_has_are_no_fields_of_its_pods():
    model = {"modelFormat": {"name": "huggingface"}, "storageUri": "pvc://a"}
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "a"},
        "spec": {"predictor": {"minReplicas": 1, "model": model}},
    }
    assert conform(service, kubernetes_version="1.32") == []


def test_a_kind_that_kubernetes_does_not_serve_yet_is_refused():
    claim = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate"}

    [problem] = conform(claim, volcano_version="1.14", kubernetes_version="1.32")

    assert (problem.code, problem.severity, problem.help) == ("FT305", Severity.ERROR, "Kubernetes 1.34 has it")
    assert [d.severity for d in conform(claim, volcano_version="1.12")] == [Severity.NOTE]


@pytest.mark.parametrize(
    ("api_version", "kind", "cure"),
    [
        ("example.com/v1", "Thing", "import its CRD: ftgen schema import CRD.yaml"),
        ("apps/v1", "StatefulSet", ""),
        ("serving.kserve.io/v1alpha1", "ServingRuntime", ""),
        ("topology.volcano.sh/v1alpha1", "HyperNode", ""),
        ("../../core/v1", "ConfigMap", "import its CRD: ftgen schema import CRD.yaml"),
    ],
)
def test_an_unknown_kind_is_a_note_never_silence(api_version, kind, cure):
    [problem] = conform({"apiVersion": api_version, "kind": kind})
    assert (problem.code, problem.severity, problem.help) == ("FT305", Severity.NOTE, cure)


@pytest.mark.parametrize(
    ("api_version", "kind", "cure"),
    [
        ("batch.volcano.sh/v1alpha1", "VolcanoJob", "did you mean batch.volcano.sh/v1alpha1 Job?"),
        ("batch.volcano.sh/v1", "Job", "did you mean batch.volcano.sh/v1alpha1 Job?"),
        ("batch.volcano.sh/v1alpha1", "CronJob", "Volcano 1.13 has it"),
        ("scheduling.volcano.sh/v1beta1", "Queues", "did you mean scheduling.volcano.sh/v1beta1 Queue?"),
        ("v1", "Pods", "did you mean v1 Pod?"),
        ("v1", "Deployment", "did you mean apps/v1 Deployment?"),
        ("apps/v1", "Job", "did you mean batch/v1 Job?"),
        ("extensions/v1beta1", "Deployment", "did you mean apps/v1 Deployment?"),
        ("batch/v1beta1", "CronJob", "did you mean batch/v1 CronJob?"),
        ("serving.kserve.io/v1", "InferenceService", "did you mean serving.kserve.io/v1beta1 InferenceService?"),
        ("v1", "Thing", ""),
    ],
)
def test_a_kind_that_its_group_has_not_is_refused_as_by_the_api_server(api_version, kind, cure):
    [problem] = conform({"apiVersion": api_version, "kind": kind})
    assert (problem.code, problem.severity, problem.help) == ("FT305", Severity.ERROR, cure)
    assert "the API server refuses it" in problem.headline


def test_what_is_no_kubernetes_object_is_refused():
    assert told({}) == [("FT304", "apiVersion"), ("FT304", "kind")]
    assert told({"apiVersion": "v1", "kind": 3}) == [("FT302", "kind")]
    assert told({"apiVersion": "v1", "kind": "configmap", "metadata": {"name": "a"}}) == [("FT303", "kind")]


def test_a_key_that_is_no_text_is_refused_where_it_stands():
    labels = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {8080: "x"}}}
    [problem] = conform(labels)
    assert (problem.subject, problem.help) == ("metadata.labels", 'write "8080"')


def test_an_imported_schema_is_asked_first(tmp_path):
    names = {"kind": "Job", "plural": "jobs"}
    shape = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"own": {"type": "string"}}}}}
    version = {"name": "v1alpha1", "served": True, "schema": {"openAPIV3Schema": shape}}
    crd = {"spec": {"group": "batch.volcano.sh", "names": names, "versions": [version]}}
    [(kind, imported)] = schema.close_crd(crd).items()
    file = tmp_path / schema.relative_path(*kind)
    file.parent.mkdir()
    file.write_text(schema.dump(imported))
    job = {"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": "a"}, "spec": {"own": "yes"}}
    assert conform(job, imported=tmp_path) == []
    assert told(job) == [("FT301", "spec.own")]


OWN = {
    "$schema": schema.DIALECT,
    "type": "object",
    "properties": {"apiVersion": {"const": "example.com/v1"}, "kind": {"const": "Thing"}, "metadata": {}},
}
AS = "a" * 50


def judged(folder, part, value, defs=None):
    """What is said of a value, as a schema of a clone describes it."""
    file = folder / "example.com" / "thing_v1.json"
    file.parent.mkdir(parents=True)
    file.write_text(schema.dump({**OWN, "properties": {**OWN["properties"], "spec": part}, "$defs": defs or {}}))
    return conform({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {}, "spec": value}, imported=folder)


@pytest.mark.parametrize(
    ("part", "value", "code", "subject"),
    [
        ({"pattern": "^(a|a)*$"}, f"{AS}!", "FT303", "spec"),
        ({"patternProperties": {"^(a|a)*$": {"type": "integer"}}}, {f"{AS}!": "x", AS: "x"}, "FT302", f"spec.{AS}"),
        (
            {"patternProperties": {"^(a|a)*$": {}}, "additionalProperties": False},
            {f"{AS}!": 1, AS: 1},
            "FT301",
            f'spec["{AS}!"]',
        ),
        (
            {"patternProperties": {"^(a|a)*$": {}}, "additionalProperties": {"type": "integer"}},
            {f"{AS}!": "x", AS: "x"},
            "FT302",
            f'spec["{AS}!"]',
        ),
        (
            {"patternProperties": {"^(a|a)*$": {}}, "unevaluatedProperties": False},
            {f"{AS}!": 1, AS: 1},
            "FT303",
            "spec",
        ),
        ({"propertyNames": {"pattern": "^(a|a)*$"}}, {f"{AS}!": 1}, "FT303", "spec"),
    ],
)
def test_no_pattern_of_a_schema_is_searched_for_by_python(tmp_path, part, value, code, subject):
    assert [(each.code, each.subject) for each in judged(tmp_path, part, value)] == [(code, subject)]


def test_a_long_chain_of_references_is_explained(tmp_path):
    chain = {f"a{link}": {"$ref": f"#/$defs/a{link + 1}"} for link in range(300)}
    [problem] = judged(tmp_path, {"$ref": "#/$defs/a0"}, "x", chain | {"a300": {"type": "integer"}})
    assert (problem.code, problem.subject) == ("FT302", "spec")


def doubled(levels):
    """A schema each of whose parts refers to the next one twice."""
    refs = [[{"$ref": f"#/$defs/{name}{level + 1}"} for name in "aa"] for level in range(levels)]
    return {f"a{level}": {"anyOf": two} for level, two in enumerate(refs)} | {f"a{levels}": {"type": "integer"}}


@pytest.mark.parametrize(
    ("part", "defs", "reason"),
    [
        ({"$ref": "#/$defs/a0"}, doubled(40), "its references come to more than 1000000 subschemas"),
        ({"properties": {"default": {"$ref": "#/$defs/a0"}}}, doubled(40), "its references come to more than"),
        ({"$ref": "#/$defs/a"}, {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "its references come to more than"),
        ({"allOf": [{"$ref": "#/properties/spec"}]}, {}, "#/properties/spec is no reference to its $defs"),
        ({"$ref": "#/$defs/a"}, ["a"], "list indices must be integers"),
        ({"$dynamicRef": "#"}, {}, "$dynamicRef is no reference to its $defs"),
    ],
)
def test_a_schema_whose_references_do_not_end_is_refused(tmp_path, part, defs, reason):
    with pytest.raises(Rejected, match=re.escape(f"holds no schema of a kind: {reason}")):
        judged(tmp_path, part, "x", defs)


def test_a_schema_may_refer_to_what_it_shares(tmp_path):
    assert [each.subject for each in judged(tmp_path / "a", {"$ref": "#/$defs/a"}, "x", {"a": False})] == ["spec"]
    part = {"properties": {"$ref": {"$ref": "#/$defs/a0"}, "b": {"const": {"$ref": "x"}}}}
    assert [each.code for each in judged(tmp_path, part, {"$ref": "x"}, doubled(5))] == ["FT302"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/schema", "file:///etc/hostname"])
def test_nothing_that_a_schema_refers_to_is_fetched(tmp_path, address):
    with pytest.raises(Rejected) as refusal:
        judged(tmp_path, {"$ref": address}, 1)
    [problem] = refusal.value.diagnostics
    assert (problem.code, f"{address} is no reference to its $defs" in problem.headline) == ("FT019", True)
