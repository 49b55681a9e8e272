"""Each rule refuses what the saved objects of a cluster leave no room for, and accepts what they do; see data.yaml."""

import copy
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen.spec import Facts, StorageClass
from ftgen.text import yamlio
from ftgen.validation import RULES, UNKNOWN_FACT, Context, FactMissing, validate
from ftgen.validation.inventory import DEFAULT_CLASS, KINDS, RELEASE, inventory_in
from ftgen.validation.manifest import NEWEST
from ftgen.validation.rules import ADMISSION, CAPACITY, LINT, admission

GROUPS = yamlio.parse((Path(__file__).parent / "data.yaml").read_text(encoding="utf-8"), "data.yaml")
BASE, CLUSTER = GROUPS.pop("base"), GROUPS.pop("cluster")
SHORT = {
    "task": "spec.tasks[0]",
    "pod": "spec.tasks[0].template.spec",
    "main": "spec.tasks[0].template.spec.containers[0]",
    "init": "spec.tasks[0].template.spec.initContainers[0]",
}
STEP = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[]+)')
FILE = "cluster.yaml"


def full(path):
    head = re.match(r"[^.\[]*", path)[0]
    return SHORT.get(head, head) + path[len(head) :]


def edited(edits):
    job = copy.deepcopy(BASE)
    if second := edits.pop("second", None):
        job["spec"]["tasks"].append(copy.deepcopy(job["spec"]["tasks"][0]) | {"name": "more", **second})
    for path, value in copy.deepcopy(edits).items():
        steps = [int(i) if i else key or plain for key, i, plain in STEP.findall(full(path))]
        place = job
        for step in steps[:-1]:
            place = place[step]
        if value is None:
            del place[steps[-1]]
        else:
            place[steps[-1]] = value
    return json.loads(json.dumps(job))


def saved(changes=(), without=()):
    """The cluster's objects, some fields of some replaced, as one YAML stream of typed lists."""
    there = copy.deepcopy(CLUSTER)
    for change in copy.deepcopy(list(changes)):
        kind, name = change.pop("kind"), change.pop("name")
        [found] = [each for each in there if each["kind"] == kind and each["metadata"]["name"] == name]
        found |= change
    lists = [
        {"apiVersion": version, "kind": f"{kind}List", "items": [each for each in there if each["kind"] == kind]}
        for version, kind in (*KINDS, RELEASE)
        if kind not in without
    ]
    return "".join(f"---\n{yamlio.dump(each)}" for each in lists)


class Case:
    """One edit of the base job and of its cluster, and what is to be found."""

    def __init__(self, rule, said):
        said = dict(said)
        self.rule = rule
        self.subject, self.also = full(said.pop("at", "")), said.pop("also", None)
        self.severity = said.pop("severity", "error")
        self.text = saved(said.pop("cluster", ()), said.pop("without", ()))
        self.manifest = edited(said)

    def found(self):
        return [d for d in judged(self.manifest, self.text) if RULES[d.code].name == self.rule]


def context(text):
    inventory = inventory_in(text, FILE)
    return Context(NEWEST, inventory=inventory, queues=inventory.queues, kubernetes_version="1.35")


def judged(manifest, text):
    stored = admission.mutate(manifest, volcano_version=NEWEST)
    found = [d for scope in (ADMISSION, CAPACITY) for d in validate(scope, stored, context(text))]
    return [d for d in found if d.code != UNKNOWN_FACT]


def cases(verdict):
    return [
        pytest.param(Case(rule, said), id=f"{rule}-{i}")
        for rule, group in GROUPS.items()
        for i, said in enumerate(group[verdict])
    ]


@pytest.mark.parametrize("case", cases("refuses"))
def test_refuses(case):
    assert [(str(d.severity), d.subject) for d in case.found()] == [(case.severity, case.subject)]


@pytest.mark.parametrize("case", cases("refuses"))
def test_the_object_is_named_with_its_line(case):
    [found] = case.found()
    lines = case.text.splitlines()
    key = str(case.also[-1]) if case.also else ""

    assert bool(found.related) == bool(case.also)
    for place in found.related:
        assert place.file == FILE
        assert key in lines[place.line - 1]


@pytest.mark.parametrize("case", cases("accepts"))
def test_accepts(case):
    assert case.found() == []


def test_every_rule_has_cases():
    assert {r.name for r in CAPACITY.rules} | {"unusable-queue"} == GROUPS.keys()


def test_every_finding_says_what_to_do():
    assert [d for case in cases("refuses") for d in case.values[0].found() if not d.help] == []


def test_the_base_job_has_room():
    assert judged(edited({}), saved()) == []


def test_without_a_snapshot_nothing_is_guessed():
    found = validate(CAPACITY, BASE, Context(NEWEST))

    assert {d.code for d in found} == {UNKNOWN_FACT}
    assert {d.subject for d in found} == {"cluster.facts.snapshot"}


def test_a_kind_that_was_not_saved_is_told():
    text = saved(without=("Node", "Queue"))
    found = validate(CAPACITY, BASE, context(text))

    assert {d.subject for d in found} == {"cluster.facts.snapshot.nodes", "cluster.facts.snapshot.queues"}
    assert all("ftgen facts" in d.help for d in found)


def test_saved_nodes_answer_what_facts_about_nodes_would():
    keys = {"cluster.facts.taints", "cluster.facts.card.per_node"}
    asked, left = (
        {d.headline for d in validate(LINT, BASE, each) if d.subject in keys}
        for each in (Context(NEWEST), context(saved()))
    )

    assert len(asked) == len(keys)
    assert all("untolerated-taint" not in each and "pod-wider-than-a-node" not in each for each in left)


def test_a_saved_storage_class_is_a_fact():
    classes = [
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}, "provisioner": "p"},
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "usual", "annotations": {DEFAULT_CLASS: "true"}},
            "provisioner": "q",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    ]
    there = context("".join(f"---\n{yamlio.dump(each)}" for each in classes))
    stated = Context(
        NEWEST, Facts(storage_classes={"fast": StorageClass(provisioner="mine")}), inventory=there.inventory
    )

    assert there.storage_class("fast").provisioner == "p"
    assert there.storage_class("fast").binding == "Immediate"
    assert there.storage_class("").binding == "WaitForFirstConsumer"
    assert stated.storage_class("fast").provisioner == "mine"
    assert stated.storage_class("usual").provisioner == "q"
    with pytest.raises(FactMissing, match="slow"):
        there.storage_class("slow")


@pytest.mark.parametrize("kind", ["ResourceQuota", "LimitRange"])
def test_a_list_of_kubectl_knows_the_namespaces_that_it_shows(kind):
    """Whether kubectl was asked for one namespace or all, its list does not say."""
    [shown] = [each for each in CLUSTER if each["kind"] == kind]
    listed = yamlio.dump({"apiVersion": "v1", "kind": "List", "items": [shown]})
    there = inventory_in(listed, FILE)

    assert there.has_all(kind, "research")
    assert not there.has_all(kind, "other")
    assert not inventory_in(yamlio.dump(shown), FILE).has_all(kind, "research")


def test_one_queue_of_many_decides_nothing_about_others():
    text = yamlio.dump(CLUSTER[3])
    queues = {"team": [], "default": [], "other": ["cluster.facts.snapshot.queues"]}

    for name, unknown in queues.items():
        found = validate(ADMISSION, edited({"spec.queue": name}), context(text))
        assert [d.subject for d in found] == unknown


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1e900", "-1", "8"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def paths(value, path=()):
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from paths(part, (*path, key))


def replaced(whole, path, value):
    whole = copy.deepcopy(whole)
    place = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return whole


CHANGES = [change for group in GROUPS.values() for case in group["refuses"] for change in case.get("cluster", ())]
OBJECTS = [
    *CLUSTER,
    *(
        {**each, **{field: value for field, value in change.items() if field != "name"}}
        for change in CHANGES
        for each in CLUSTER
        if (each["kind"], each["metadata"]["name"]) == (change["kind"], change["name"])
    ),
]


@given(data=st.data())
def test_rules_are_total(data):
    """Any value anywhere in the job, or in an object of the cluster, is judged without an exception."""
    odd = data.draw(st.sampled_from(OBJECTS))
    odd = replaced(odd, data.draw(st.sampled_from([path for path in paths(odd) if path])), data.draw(JSON))
    job = replaced(BASE, data.draw(st.sampled_from([path for path in paths(BASE) if path])), data.draw(JSON))
    listed = yamlio.dump({"apiVersion": "v1", "kind": "List", "items": [*CLUSTER, odd]})

    for scope in (ADMISSION, CAPACITY):
        validate(scope, job, context(listed))
