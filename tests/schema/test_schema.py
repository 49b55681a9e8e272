"""The schemas are what their sources give, closed, and complete in themselves."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools import derive_schemas

from ftgen import runtime, schema
from ftgen.schema import formats

VOLCANO = {(kind, ""): line for line in schema.RELEASES for kind in schema.kinds(line)}
KUBERNETES = {
    (kind, line): schema.DEFAULT
    for line in schema.KUBERNETES
    for kind in schema.kinds(kubernetes_version=line)
    if schema.is_native(kind[0])
}
PLACES = sorted((kind, volcano, kubernetes) for (kind, kubernetes), volcano in {**VOLCANO, **KUBERNETES}.items())
BUDGET = 4_000_000  # bytes of derived schemas in the wheel, which compresses them to a tenth


def crd(shape, **version):
    names = {"kind": "Thing", "plural": "things"}
    versions = [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": shape}, **version}]
    return {"spec": {"group": "example.com", "names": names, "versions": versions}}


def takes(spec_shape, spec):
    shape = {"type": "object", "properties": {"spec": spec_shape}}
    [closed] = schema.close_crd(crd(shape)).values()
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec}
    return schema.compile_schema(closed).is_valid(thing)


# --- where they come from ---


def test_the_files_are_those_that_their_sources_list():
    assert derive_schemas.offline_check() == []


def test_an_edited_file_is_told(tmp_path):
    (tmp_path / "a" / "core").mkdir(parents=True)
    (tmp_path / "a" / "core" / "x_v1.json").write_text("{}")
    (tmp_path / "SOURCES.json").write_text(json.dumps({"sources": [{"files": {"a/core/x_v1.json": "sha256:0"}}]}))
    assert derive_schemas.offline_check(tmp_path) == ["a/core/x_v1.json"]


@pytest.mark.slow
def test_the_sources_still_give_these_files():
    assert derive_schemas.check() == []


@pytest.mark.slow
def test_generated_crds_differ_from_published_ones_only_where_the_releases_do():
    told = "\n".join(
        line for line in derive_schemas.verify_generator() if line[0] in "+-" and line[1:3] not in {"--", "++"}
    )
    changes = {line[1:].strip(" -").partition(":")[0] for line in told.splitlines()}
    assert changes <= {
        *("pattern", "maxLength"),  # of highestTierName
        *("userAnnotations", "additionalProperties", "type", "workloadRef"),  # Kubernetes 1.35
        *("properties", "name", "podGroup", "podGroupReplicaKey", "required"),
    }


def test_they_are_small_and_hold_no_prose():
    files = list(runtime.schemas_dir().glob("*/*/*.json"))
    assert sum(file.stat().st_size for file in files) < BUDGET
    for file in files:
        loaded = json.loads(file.read_bytes())
        prose = [part for part in nodes(loaded) if isinstance(part.get("description"), str) or "example" in part]
        assert prose == []


def nodes(part):
    yield part
    for child in [part.get("items"), part.get("additionalProperties")]:
        if isinstance(child, dict):
            yield from nodes(child)
    for child in [*part.get("properties", {}).values(), *part.get("$defs", {}).values()]:
        yield from nodes(child)


# --- what they say ---


@pytest.mark.parametrize(("kind", "line", "kubernetes"), PLACES)
def test_a_schema_is_valid_by_itself_and_open_only_where_nothing_is_declared(kind, line, kubernetes):
    found = schema.find(*kind, line, kubernetes_version=kubernetes)
    jsonschema.Draft202012Validator.check_schema(found)
    assert schema.compiled(*kind, line, kubernetes_version=kubernetes) is not None
    assert schema.kind_of(found) == kind
    open_ones = [part for part in nodes(found) if "properties" in part and "additionalProperties" not in part]
    # KServe's own definition keeps unknown fields in the status, which nobody writes.
    kept = [found["properties"]["status"]] if kind == ("serving.kserve.io/v1beta1", "InferenceService") else []
    assert open_ones == kept


@pytest.mark.parametrize("line", schema.RELEASES)
def test_every_kind_that_a_training_job_needs_is_known(line):
    known = set(schema.kinds(line))
    assert known >= {
        ("apps/v1", "Deployment"),
        ("argoproj.io/v1alpha1", "AppProject"),
        ("argoproj.io/v1alpha1", "Application"),
        ("argoproj.io/v1alpha1", "ApplicationSet"),
        ("batch.volcano.sh/v1alpha1", "Job"),
        ("batch/v1", "Job"),
        ("flow.volcano.sh/v1alpha1", "JobFlow"),
        ("flow.volcano.sh/v1alpha1", "JobTemplate"),
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
        ("scheduling.volcano.sh/v1beta1", "PodGroup"),
        ("scheduling.volcano.sh/v1beta1", "Queue"),
        ("serving.kserve.io/v1beta1", "InferenceService"),
        ("v1", "Service"),
        *(("v1", kind) for kind in ("ConfigMap", "PersistentVolume", "PersistentVolumeClaim", "Pod")),
        *(("v1", kind) for kind in ("PodTemplate", "Secret", "ServiceAccount")),
    }


def test_the_defaults_of_the_api_server_are_kept():
    job = schema.Node.of(schema.find("batch.volcano.sh/v1alpha1", "Job", "1.12"))
    assert job.at("spec", "maxRetry").here["default"] == 3
    assert job.at("spec", "networkTopology", "mode").here["default"] == "hard"


@pytest.mark.parametrize(
    ("path", "keys", "merge"),
    [
        (("tasks",), (), "name"),
        (("tasks", 0, "template", "spec", "containers"), ("name",), "name"),
        (("tasks", 0, "template", "spec", "containers", 0, "volumeMounts"), ("mountPath",), "mountPath"),
        (("tasks", 0, "template", "spec", "containers", 0, "ports"), ("containerPort", "protocol"), "containerPort"),
        (("tasks", 0, "template", "spec", "tolerations"), (), None),
        (("volumes",), (), None),
    ],
)
@pytest.mark.parametrize("line", schema.RELEASES)
def test_lists_are_keyed_as_volcano_declares_and_tasks_by_name(path, keys, merge, line):
    node = schema.Node.of(schema.find("batch.volcano.sh/v1alpha1", "Job", line)).at("spec", *path)
    assert (node.list_keys(), node.merge_key()) == (keys, merge)


def test_beyond_the_schema_there_is_no_place():
    job = schema.Node.of(schema.find("batch.volcano.sh/v1alpha1", "Job"))
    assert job.at("spec", "nothing") is None
    assert job.at("spec", "queue", 0, "deeper") is None


# --- versions ---


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("1.12", "1.12"),
        ("1.12.4", "1.12"),
        ("v1.12.0-rc.1", "1.12"),
        ("1.13.2", "1.13"),
        ("v1.15.0", "1.15"),
        ("1.99", "1.15"),
        ("newest", "1.15"),
    ],
)
def test_a_version_means_the_latest_known_line_that_is_not_newer(written, line):
    assert schema.release(written) == line


@pytest.mark.parametrize(
    ("written", "volcano", "line"),
    [
        ("", "1.12.4", "1.32"),
        ("", "newest", "1.35"),
        ("1.32", "newest", "1.32"),
        ("1.28.15", "1.15", "1.28"),
        ("v1.34.2+k3s1", "1.12", "1.34"),
        ("1.99", "1.12", schema.KUBERNETES[-1]),
        ("newest", "1.12", schema.KUBERNETES[-1]),
    ],
)
def test_kubernetes_has_a_line_of_its_own_or_that_of_volcano(written, volcano, line):
    assert schema.kubernetes_release(written, volcano) == line
    assert runtime.schemas_dir() / f"kubernetes-{line}" in schema.folders(volcano, kubernetes_version=written)


@pytest.mark.parametrize("written", ["latest", "1", "1.16", "1.34x"])
def test_what_is_no_kubernetes_version_or_too_old_is_refused(written):
    with pytest.raises(ValueError, match=r"Kubernetes"):
        schema.kubernetes_release(written)


def test_every_line_of_kubernetes_is_packaged_and_volcano_is_built_with_one_of_them():
    packaged = {folder.name for folder in runtime.schemas_dir().glob("kubernetes-*")}
    assert {f"kubernetes-{line}" for line in schema.KUBERNETES} == packaged
    assert {*schema.RELEASES.values()} <= {*schema.KUBERNETES}


@pytest.mark.parametrize("version", ["", "newest", "1.34", "v1.34.2"])
def test_nothing_stands_in_for_a_line_that_is_known(version):
    assert schema.substitution("Kubernetes", version, "1.34") == ""


@pytest.mark.parametrize(
    ("product", "version", "line"),
    [("Volcano", "1.16.1", "1.15"), ("Volcano", "1.99", "1.15"), ("Kubernetes", "v1.99.1", schema.KUBERNETES[-1])],
)
def test_an_older_line_that_stands_in_is_told(product, version, line):
    told = f"ftgen has no schemas of {product} {version}; those of {line}, the nearest older line, stand in for them"
    assert schema.substitution(product, version, line) == told


@pytest.mark.parametrize("written", ["", "latest", "1", "1.2", "v0.4.2", "1.12x"])
def test_what_is_no_version_or_too_old_is_refused(written):
    with pytest.raises(ValueError, match=r"Volcano"):
        schema.release(written)


# --- closing a CRD ---


@pytest.mark.parametrize(
    ("shape", "good", "bad"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": "x"}, {"b": "x"}),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"any": "x"}, {"any": 1}),
        (
            {"type": "object", "properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": True},
            {"b": [1]},
            [],
        ),
        ({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}, "1", 1.5),
        ({"type": "integer", "format": "int32"}, 2**31 - 1, 2**31),
        ({"type": "integer", "format": "int64", "minimum": 0}, 2**40, -1),
        ({"type": "string", "nullable": True}, None, 1),
        ({"type": "string"}, "x", None),
        ({"type": "string", "format": "byte"}, "aGk=", "no base64!"),
        ({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}, ["a", "b"], ["a", "a"]),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "oneOf": [{"required": ["a"]}, {"properties": {"b": {"enum": ["x"]}}, "required": ["b"]}],
            },
            {"b": "x"},
            {"b": "y"},
        ),
        (
            {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}},
            {"status": {}},
        ),
        ({"type": "object"}, {}, {"a": "x"}),
        ({"type": "object", "additionalProperties": True}, {"a": "x"}, []),
        ({"type": "object", "x-kubernetes-preserve-unknown-fields": True}, {"a": "x"}, []),
        (
            {"type": "object", "required": ["a", "b"], "properties": {"a": {"default": 3}, "b": {"default": None}}},
            {"b": 1},
            {"a": 1},
        ),
        (
            # What is not there has no field to fill in; a parent that has a default is there.
            {
                "type": "object",
                "required": ["a", "b"],
                "properties": {
                    "a": {"type": "object", "required": ["x"], "properties": {"x": {"default": 1}}},
                    "b": {"type": "object", "default": {}, "required": ["x"], "properties": {"x": {"default": 1}}},
                },
            },
            {"a": {}},
            {"b": {}},
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"default": 1}, "b": {"type": "integer"}},
                "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
            },
            {},
            {"b": 1},
        ),
    ],
)
def test_closing_says_in_json_schema_what_the_api_server_does(shape, good, bad):
    assert takes(shape, good)
    assert not takes(shape, bad)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", ["2026-01-31T12:00:00Z", "2026-01-31t12:00:00.5+08:00", "0000-02-29T00:00:00Z"], ["2020-13-45"]),
        ("date-time", [], ["2026-02-30T12:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:00:00", "2026-01-31", ""]),
        ("date", ["2026-01-31"], ["2026-1-31", "20260131", "2026-W01-1"]),
        ("duration", ["90s", "1h30m", "-1.5h", "0", "1 day", "2 Weeks", "1µs"], ["1", "1 moon", "day", ""]),
        ("ipv4", ["10.0.0.1", "::ffff:10.0.0.1"], ["999.1.1.1", "10.0.0.01", "fd00::1", "10.0.0.0/8"]),
        ("ipv6", ["fd00::1", "::ffff:10.0.0.1"], ["10.0.0.1", "fd00"]),
        ("cidr", ["10.0.0.0/8", "fd00::/64"], ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/255.0.0.0"]),
        ("mac", ["00:00:5e:00:53:01", "0000.5e00.5301"], ["mine", "00"]),
        ("uuid", ["123e4567-e89b-42d3-a456-426614174000", "123E4567E89B42D3A456426614174000"], ["123e4567"]),
        ("uuid4", ["123e4567-e89b-42d3-a456-426614174000"], ["123e4567-e89b-12d3-a456-426614174000"]),
        # Go's own parser decides, or nobody: ftgen does not.
        *((name, ["any thing"], []) for name in ("uri", "email", "hostname", "time", "regex", "password", "own")),
    ],
)
def test_formats_are_judged_as_the_api_server_judges_them(name, good, bad):
    shape = {"type": "string", "format": name}
    assert [text for text in good if not takes(shape, text)] == []
    assert [text for text in bad if takes(shape, text)] == []


def test_the_example_of_each_format_has_it():
    assert [name for name, (check, example) in formats.JUDGED.items() if not check(example)] == []


def test_the_metadata_of_an_embedded_object_is_its_own():
    shape = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    for fields in ({}, {"metadata": {"type": "object"}}):
        assert takes({**shape, "properties": fields}, {"metadata": {"labels": {"a": "b"}}, "more": 1})


def test_an_object_that_keeps_unknown_fields_keeps_its_own():
    shape = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    [closed] = schema.close_crd(crd(shape)).values()
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"any": 1}}
    assert schema.compile_schema(closed).is_valid(thing)


def test_fields_named_like_keywords_are_fields():
    part = {"type": "object", "properties": {name: {"type": "string"} for name in ("properties", "items", "$ref")}}
    part["properties"]["description"] = {"type": "string", "default": "long enough to share" * 20}
    shape = {"type": "object", "properties": {"one": part, "two": part}}
    assert takes(shape, {"one": {"properties": "x", "description": "y"}, "two": {"items": "x", "$ref": "y"}})
    assert not takes(shape, {"two": {"other": "x"}})


def test_every_served_version_is_closed_and_no_other():
    shape = {"type": "object"}
    assert list(schema.close_crd(crd(shape))) == [("example.com/v1", "Thing")]
    assert schema.close_crd(crd(shape, served=False)) == {}


def test_a_document_that_is_no_crd_is_refused():
    with pytest.raises(ValueError, match="CustomResourceDefinition"):
        schema.close_crd({"apiVersion": "v1", "kind": "ConfigMap"})


SHAPES = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "integer", "minimum": 0}]),
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(
            lambda fields: {"type": "object", "properties": fields, "additionalProperties": False},
            st.dictionaries(st.sampled_from(["properties", "items", "alpha" * 30, "beta" * 30]), inner, max_size=3),
        ),
    ),
    max_leaves=12,
)


@given(SHAPES)
def test_sharing_repeated_parts_changes_nothing(shape):
    twice = {"type": "object", "properties": {"one": shape, "two": {"type": "array", "items": shape}}}
    assert expanded(schema.Node.of(schema.shared(twice))) == twice


def expanded(node):
    part = {key: value for key, value in node.here.items() if key != "$defs"}
    if "items" in part:
        part["items"] = expanded(node.item())
    if "properties" in part:
        part["properties"] = {name: expanded(node.field(name)) for name in node.names()}
    return part


@pytest.mark.parametrize(
    ("path", "merge"),
    [
        (("predictor", "containers"), "name"),
        (("predictor", "containers", 0, "env"), "name"),
        (("predictor", "volumes"), "name"),
        (("predictor", "workerSpec", "containers"), "name"),
        (("predictor", "tolerations"), None),
        (("predictor", "storageUris"), None),
    ],
)
def test_lists_of_an_inference_service_are_keyed_as_those_of_a_pod(path, merge):
    node = schema.Node.of(schema.find("serving.kserve.io/v1beta1", "InferenceService")).at("spec", *path)
    assert node.merge_key() == merge
