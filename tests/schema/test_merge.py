"""Patches: kustomize's strategic merge by the schema's list keys, and RFC 6902."""

from __future__ import annotations

import json
import subprocess
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ftgen import schema
from ftgen.lower.merge import PatchError, json_patch, replaced_lists, strategic_merge
from ftgen.text import yamlio

API_VERSION, KIND = "batch.volcano.sh/v1alpha1", "Job"
JOB = schema.find(API_VERSION, KIND)
POD = schema.Node.of(JOB).at("spec", "tasks", 0, "template", "spec")


def pod(base, patch):
    return strategic_merge(base, patch, POD)


# --- strategic merge, by example ---


@pytest.mark.parametrize(
    ("base", "patch", "merged"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"nodeName": "x", "hostname": "y"}, {"nodeName": None}, {"hostname": "y"}),
        ({"hostname": "y"}, {"nodeName": None}, {"hostname": "y"}),
        (
            {},
            {"securityContext": {"fsGroup": None, "seLinuxOptions": {"role": None}}},
            {"securityContext": {"seLinuxOptions": {}}},
        ),
        (
            {"securityContext": {"fsGroup": 1}},
            {"securityContext": {"$patch": "replace", "runAsUser": 2}},
            {"securityContext": {"runAsUser": 2}},
        ),
        (
            {"securityContext": {"fsGroup": 1}},
            {"securityContext": {"$patch": "merge", "runAsUser": 2}},
            {"securityContext": {"fsGroup": 1, "runAsUser": 2}},
        ),
        ({"securityContext": {"fsGroup": 1}}, {"securityContext": {"$patch": "delete"}}, {}),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]}),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": []}, {"tolerations": []}),
        ({"volumes": [{"name": "a"}]}, {"volumes": []}, {"volumes": [{"name": "a"}]}),
        ({"volumes": [{"name": "a"}]}, {"volumes": None}, {}),
        ({"volumes": [{"name": "a"}]}, {"volumes": [{"$patch": "delete"}]}, {}),
        (
            {"volumes": [{"name": "a"}]},
            {"volumes": [{"$patch": "replace"}, {"name": "b"}]},
            {"volumes": [{"name": "b"}]},
        ),
    ],
)
def test_mappings_merge_nulls_delete_and_lists_without_a_key_are_replaced(base, patch, merged):
    assert pod(base, patch) == merged


def test_items_of_keyed_lists_keep_their_order_and_new_ones_follow():
    env = [{"name": name, "value": "1"} for name in "abc"]
    patch = [{"name": "z", "value": "2"}, {"name": "b", "value": "3"}, {"name": "a", "$patch": "delete"}]
    merged = pod({"containers": [{"name": "train", "env": env}]}, {"containers": [{"name": "train", "env": patch}]})
    assert merged["containers"][0]["env"] == [
        {"name": "b", "value": "3"},
        {"name": "c", "value": "1"},
        {"name": "z", "value": "2"},
    ]


def test_tasks_merge_by_name():
    base = {"spec": {"tasks": [{"name": "a", "replicas": 1}, {"name": "b", "replicas": 1}]}}
    merged = strategic_merge(base, {"spec": {"tasks": [{"name": "b", "replicas": 2}]}}, JOB)
    assert merged["spec"]["tasks"] == [{"name": "a", "replicas": 1}, {"name": "b", "replicas": 2}]


def test_without_a_schema_every_list_is_replaced():
    assert strategic_merge({"env": [{"name": "a"}]}, {"env": [{"name": "b"}]}, None) == {"env": [{"name": "b"}]}


def test_a_patch_can_delete_the_whole_object():
    assert strategic_merge({"spec": {}}, {"$patch": "delete"}, JOB) is None


@pytest.mark.parametrize(
    ("base", "patch", "path", "problem"),
    [
        ({}, {"volumes": [{"emptyDir": {}}]}, "volumes", "lacks its name"),
        ({}, {"volumes": [{"name": "a"}, {"name": "a"}]}, "volumes", "two items with name a"),
        ({"volumes": [{"name": "a"}] * 2}, {"volumes": [{"name": "a"}]}, "volumes", "2 items with name a"),
        ({}, {"volumes": [{"name": "a", "$patch": "replace"}]}, "volumes", "cannot replace one item"),
        ({}, {"tolerations": [{"$patch": "replace"}]}, "tolerations", "no meaning"),
        ({}, {"volumes": [{"$patch": "replace"}, {"name": "a"}]}, "volumes", "a list that is not there"),
        ({}, {"securityContext": {"$patch": "drop"}}, "securityContext", "none of delete, merge, replace"),
        ({"nodeName": "x"}, {"nodeName": {}}, "nodeName", "there is a single value"),
        (
            {"containers": [{"name": "c", "resources": {}}]},
            {"containers": [{"name": "c", "resources": []}]},
            "containers[name=c].resources",
            "there is a mapping, and the patch has a list",
        ),
    ],
)
def test_what_kustomize_would_lose_or_refuse_is_refused_with_its_place(base, patch, path, problem):
    with pytest.raises(PatchError, match=problem) as refused:
        pod(base, patch)
    assert refused.value.path == path


# --- strategic merge, by law ---

NAMES = st.sampled_from("abc")
WORDS = st.sampled_from(["x", "y", "1"])


def keyed(key, names, item, **more):
    """Lists of items told apart by a key."""
    named = st.builds(lambda name, rest: {key: name, **rest}, names, st.fixed_dictionaries({}, optional=item))
    return st.lists(named, max_size=3, unique_by=lambda each: each[key], **more)


def jobs(nothing):
    """Jobs, or patches of them: `nothing` puts nulls and directives wherever they may stand."""

    def maybe(values):
        return st.one_of(values, st.none()) if nothing else values

    def mapping(fields):
        plain = st.fixed_dictionaries({}, optional={name: maybe(values) for name, values in fields.items()})
        directive = st.sampled_from([{"$patch": "replace"}, {"$patch": "delete"}, {"$patch": "merge"}])
        return st.one_of(plain, st.builds(lambda a, b: a | b, plain, directive)) if nothing else plain

    def items(key, names, fields):
        gone = st.builds(lambda name: {key: name, "$patch": "delete"}, names)
        plain = keyed(key, names, {name: maybe(values) for name, values in fields.items()})
        if not nothing:
            return plain
        some = plain.filter(bool).map(lambda each: each[0])
        mixed = st.lists(st.one_of(gone, some), max_size=3, unique_by=lambda each: each[key])
        return st.one_of(plain, mixed, st.just([{"$patch": "delete"}]))

    tolerations = st.lists(st.fixed_dictionaries({}, optional={"key": WORDS, "effect": WORDS}), max_size=2)
    container = {
        "image": WORDS,
        "command": st.lists(WORDS, max_size=2),
        "env": items("name", NAMES, {"value": WORDS}),
        "ports": items("containerPort", st.integers(1, 3), {"name": WORDS}),
        "volumeMounts": items("mountPath", NAMES, {"name": WORDS, "subPath": WORDS}),
        "securityContext": mapping({"runAsUser": st.integers(0, 2), "seLinuxOptions": mapping({"role": WORDS})}),
    }
    spec = {
        "containers": items("name", NAMES, container),
        "tolerations": tolerations,
        "nodeSelector": mapping({"a": WORDS, "b": WORDS}),
        "volumes": items("name", NAMES, {"emptyDir": mapping({"medium": WORDS})}),
    }
    task = {"replicas": st.integers(0, 2), "template": st.fixed_dictionaries({"spec": mapping(spec)})}
    job = {
        "queue": WORDS,
        "tasks": items("name", NAMES, task),
        "plugins": mapping({"svc": st.lists(WORDS, max_size=2), "env": st.lists(WORDS, max_size=2)}),
        "policies": st.lists(st.fixed_dictionaries({"event": WORDS}), max_size=2),
    }
    return st.fixed_dictionaries({}, optional={name: maybe(values) for name, values in job.items()})


def named(number, spec):
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": f"job-{number}"}, "spec": spec}


BASES, PATCHES = jobs(nothing=False), jobs(nothing=True)
SPEC = schema.Node.of(JOB).field("spec")


def fits(base, patch):
    """Whether the patch is one that ftgen applies: not all that are generated speak of lists that are there."""
    try:
        strategic_merge(base, patch, SPEC)
    except PatchError:
        return False
    return True


PAIRS = st.tuples(BASES, PATCHES).filter(lambda pair: fits(*pair))


@given(BASES)
def test_an_empty_patch_changes_nothing(base):
    assert strategic_merge(base, {}, SPEC) == base


@given(BASES, BASES)
def test_a_patch_that_only_adds_can_be_applied_twice(base, patch):
    once = strategic_merge(base, patch, SPEC)
    assert strategic_merge(once, patch, SPEC) == once


@given(BASES)
def test_a_job_laid_over_itself_is_itself(base):
    assert strategic_merge(base, base, SPEC) == base


@given(PAIRS)
def test_neither_input_is_written_to(pair):
    before = deepcopy(pair)
    strategic_merge(*pair, SPEC)
    assert pair == before


@given(BASES)
def test_nulls_delete_every_field(base):
    assert strategic_merge(base, dict.fromkeys(base), SPEC) == {}


@given(PAIRS)
def test_no_directive_is_left_in_what_comes_out(pair):
    assert "$patch" not in json.dumps(strategic_merge(*pair, SPEC))


@given(PAIRS)
def test_items_that_stay_keep_their_order(pair):
    base, merged = pair[0], strategic_merge(*pair, SPEC)
    before = [task["name"] for task in base.get("tasks", [])]
    after = [task["name"] for task in merged.get("tasks", [])]
    assert [name for name in after if name in before] == [name for name in before if name in after]


# --- strategic merge, against kustomize ---


def kustomized(folder, pairs):
    """What kustomize makes of jobs and patches, told our merge keys."""
    bases = [named(number, base) for number, (base, _) in enumerate(pairs)]
    patches = [named(number, patch) for number, (_, patch) in enumerate(pairs)]
    (folder / "openapi.json").write_text(json.dumps(schema.openapi(JOB)))
    (folder / "jobs.yaml").write_text("---\n".join(map(yamlio.dump, bases)))
    (folder / "patches.yaml").write_text("---\n".join(map(yamlio.dump, patches)))
    (folder / "kustomization.yaml").write_text(
        "resources: [jobs.yaml]\nopenapi: {path: openapi.json}\npatches: [{path: patches.yaml}]\n"
        "sortOptions: {order: fifo}\n"
    )
    told = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return yamlio.parse_all(told.stdout, "kustomize")


def unordered(value, node):
    """A value with its keyed lists sorted: kustomize puts patched items first, ftgen leaves them in place."""
    if isinstance(value, dict):
        return {name: unordered(part, node and node.field(name)) for name, part in value.items()}
    if isinstance(value, list):
        parts = [unordered(part, node and node.item()) for part in value]
        key = node.merge_key() if node else None
        return sorted(parts, key=lambda part: str(part[key])) if key else parts
    return value


@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would start kubectl thousands of times
    suppress_health_check=list(HealthCheck),
)
@given(pairs=st.lists(PAIRS, min_size=15, max_size=15))
def test_kustomize_with_our_openapi_gives_the_same_objects(tmp_path, pairs):
    theirs = kustomized(tmp_path, pairs)
    ours = [strategic_merge(named(0, base), named(n, patch), JOB) for n, (base, patch) in enumerate(pairs)]
    root = schema.Node.of(JOB)
    assert [unordered(job, root) for job in ours] == [unordered(job, root) for job in theirs]


# --- RFC 6902 ---

DOCUMENT = {"a": {"b": [1, 2, 3]}, "m~n": 1, "x/y": 2}


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ({"op": "add", "path": "/c", "value": 4}, {**DOCUMENT, "c": 4}),
        ({"op": "add", "path": "/a/b/0", "value": 0}, {**DOCUMENT, "a": {"b": [0, 1, 2, 3]}}),
        ({"op": "add", "path": "/a/b/-", "value": 4}, {**DOCUMENT, "a": {"b": [1, 2, 3, 4]}}),
        ({"op": "add", "path": "/a/b/3", "value": 4}, {**DOCUMENT, "a": {"b": [1, 2, 3, 4]}}),
        ({"op": "add", "path": "", "value": []}, []),
        ({"op": "remove", "path": "/a/b/1"}, {**DOCUMENT, "a": {"b": [1, 3]}}),
        ({"op": "remove", "path": "/m~0n"}, {"a": {"b": [1, 2, 3]}, "x/y": 2}),
        ({"op": "replace", "path": "/x~1y", "value": None}, {**DOCUMENT, "x/y": None}),
        ({"op": "replace", "path": "", "value": 1}, 1),
        ({"op": "move", "from": "/a/b/0", "path": "/c"}, {**DOCUMENT, "a": {"b": [2, 3]}, "c": 1}),
        ({"op": "move", "from": "/a", "path": "/a"}, DOCUMENT),
        ({"op": "copy", "from": "/a/b", "path": "/c"}, {**DOCUMENT, "c": [1, 2, 3]}),
        ({"op": "test", "path": "/a/b", "value": [1, 2, 3.0]}, DOCUMENT),
    ],
)
def test_an_operation_does_what_rfc_6902_says(operation, changed):
    before = deepcopy(DOCUMENT)
    assert json_patch(DOCUMENT, [operation]) == changed
    assert before == DOCUMENT


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        ({"op": "remove", "path": "/c"}, "there is no 'c'"),
        ({"op": "replace", "path": "/a/c", "value": 1}, "there is no 'c'"),
        ({"op": "add", "path": "/c/d", "value": 1}, "there is no 'c'"),
        ({"op": "add", "path": "/a/b/4", "value": 1}, "the list has no item 4"),
        ({"op": "remove", "path": "/a/b/-"}, "'-' is no index of a list"),
        ({"op": "remove", "path": "/a/b/01"}, "'01' is no index of a list"),
        ({"op": "remove", "path": "/a/b/²"}, "is no index of a list"),
        ({"op": "remove", "path": "/x~1y/z"}, "'z' is below a plain value"),
        ({"op": "remove", "path": ""}, "the whole object cannot be removed"),
        ({"op": "move", "from": "/a", "path": "/a/b/0"}, "a value cannot move into itself"),
        ({"op": "copy", "from": "/c", "path": "/d"}, "there is no 'c'"),
        ({"op": "test", "path": "/a/b/0", "value": True}, "it is 1, not True"),
        ({"op": "add", "path": "/c"}, "'value' is missing"),
        ({"op": "move", "path": "/c"}, "'from' is missing"),
        ({"op": "add", "path": "c", "value": 1}, "no JSON pointer"),
        ({"op": "drop", "path": "/a"}, "'drop' is no operation of RFC 6902"),
        ({"path": "/a"}, "'op' is missing"),
        ("add", "'op' is missing"),
    ],
)
def test_an_operation_that_cannot_be_done_is_named(operation, problem):
    first = {"op": "add", "path": "/first", "value": 1}
    with pytest.raises(PatchError, match=problem) as refused:
        json_patch(DOCUMENT, [first, operation])
    assert refused.value.operation == operation


@given(BASES, st.sampled_from(["queue", "tasks", "plugins"]), WORDS)
def test_adding_then_removing_a_field_gives_the_job_without_it(base, name, value):
    operations = [{"op": "add", "path": f"/{name}", "value": value}, {"op": "remove", "path": f"/{name}"}]
    assert json_patch(base, operations) == {key: part for key, part in base.items() if key != name}


LISTS = {"a": {"b": [1, 2], "c": {"d": [3]}}, "e": [{"f": [4]}, {"f": [5]}]}


@pytest.mark.parametrize(
    ("operation", "found"),
    [
        ({"op": "replace", "path": "/a/b", "value": [1]}, [("a.b", [1, 2], [1])]),
        ({"op": "replace", "path": "/a/b", "value": None}, [("a.b", [1, 2], [])]),
        ({"op": "add", "path": "/a/b", "value": [2]}, [("a.b", [1, 2], [2])]),
        ({"op": "copy", "from": "/e/0/f", "path": "/a/b"}, [("a.b", [1, 2], [4])]),
        ({"op": "move", "from": "/e/0/f", "path": "/a/b"}, [("a.b", [1, 2], [4])]),
        ({"op": "move", "from": "/a/b", "path": "/a/b"}, [("a.b", [1, 2], [1, 2])]),
        ({"op": "replace", "path": "/a", "value": {"b": [1]}}, [("a.b", [1, 2], [1]), ("a.c.d", [3], [])]),
        (
            {"op": "replace", "path": "", "value": {"e": []}},
            [("a.b", [1, 2], []), ("a.c.d", [3], []), ("e", LISTS["e"], [])],
        ),
        ({"op": "replace", "path": "/e/1", "value": {"f": [6]}}, [("e[1].f", [5], [6])]),
        ({"op": "add", "path": "/e/1", "value": {"f": [6]}}, []),
        ({"op": "add", "path": "/e/-", "value": {"f": [6]}}, []),
        ({"op": "add", "path": "/a/g", "value": [6]}, []),
        ({"op": "remove", "path": "/a/b"}, []),
        ({"op": "remove", "path": "/e/0"}, []),
        ({"op": "test", "path": "/a/b", "value": [1, 2]}, []),
        ({"op": "replace", "path": "/a/x", "value": []}, []),
        ({"op": "replace", "path": "/a/b"}, []),
        ("replace", []),
    ],
)
def test_a_list_that_an_operation_replaces_is_found(operation, found):
    lists = list(replaced_lists(LISTS, [operation], None))
    assert [(each.path, each.base, each.patch) for each in lists] == found
    assert not [each for each in lists if each.key or each.place[:1] != (0,)]


def test_a_replaced_list_is_named_by_the_keys_of_its_items():
    job = {"spec": {"tasks": [{"name": "train", "template": {"spec": {"tolerations": [1]}}}]}}
    operation = {"op": "replace", "path": "/spec/tasks/0/template/spec/tolerations", "value": []}
    (lists,) = replaced_lists(job, [operation], schema.find(*schema.VOLCANO_JOB), "Job")
    assert lists.path == "Job.spec.tasks[name=train].template.spec.tolerations"
