"""Cases of the rules about other kinds than VolcanoJob: data/objects.yaml edits an object of the kind named by `of`."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen import schema
from ftgen.text import yamlio
from ftgen.validation import RULES, Context, validate
from ftgen.validation.manifest import NEWEST
from ftgen.validation.rules import OBJECT, QUEUE, RECONCILER, SCOPES_OF_KIND, WORKLOAD

from .conftest import DATA, STEP

FILE = DATA / "objects.yaml"
OBJECTS, GROUPS = yamlio.parse_all(FILE.read_text(encoding="utf-8"), FILE.name)


def edited(kind, edits):
    manifest = copy.deepcopy(OBJECTS[kind])
    for path, value in copy.deepcopy(edits).items():
        *parents, last = [int(i) if i else key or plain for key, i, plain in STEP.findall(path)]
        place = manifest
        for step in parents:
            place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return json.loads(json.dumps(manifest))


def read(case):
    """Return a case's manifest, its context, and what is expected of a finding."""
    edits = dict(case)
    version = tuple(map(int, edits.pop("version").split("."))) if "version" in edits else NEWEST
    context = Context(version, kubernetes_version=edits.pop("kubernetes", ""))
    expected = edits.pop("severity", "error"), edits.pop("at", "")
    return edited(edits.pop("of"), edits), context, expected


def cases(verdict):
    return [
        pytest.param(group["rule"], case, id=f"{group['rule']}-{i}")
        for group in GROUPS
        for i, case in enumerate(group[verdict])
    ]


def found_in(manifest, context=Context()):  # noqa: B008 - frozen
    scopes = SCOPES_OF_KIND.get((manifest["apiVersion"], manifest["kind"]), ())
    judging = (OBJECT, *(scope for scope in scopes if scope in (WORKLOAD, QUEUE, RECONCILER)))
    return [
        (RULES[d.code].name, str(d.severity), d.subject)
        for scope in judging
        for d in validate(scope, manifest, context)
    ]


@pytest.mark.parametrize(("name", "case"), cases("accepts"))
def test_accepts(name, case):
    manifest, context, _ = read(case)
    assert found_in(manifest, context) == []


@pytest.mark.parametrize(("name", "case"), cases("refuses"))
def test_refuses(name, case):
    manifest, context, expected = read(case)
    assert found_in(manifest, context) == [(name, *expected)]


@pytest.mark.parametrize("kind", OBJECTS)
def test_the_objects_that_are_edited_are_sound(kind):
    assert found_in(OBJECTS[kind]) == []
    assert schema.is_valid(OBJECTS[kind], "newest")


def test_every_rule_of_their_own_has_cases():
    own = {rule.name for rule in (*QUEUE.rules, *RECONCILER.rules)}
    own |= {rule.name for rule in WORKLOAD.rules if rule.scopes == (WORKLOAD,)}
    assert own <= {group["rule"] for group in GROUPS}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted(
    {
        *(field for each in OBJECTS.values() for field in each["spec"]),
        *("matchLabels", "matchExpressions", "key", "operator", "values", "strategy", "rollingUpdate", "maxSurge"),
        *("podFailurePolicy", "rules", "action", "onExitCodes", "onPodConditions", "containerName", "resource"),
        *("port", "name", "protocol", "targetPort", "parent", "force", "successPolicy", "manualSelector", "labels"),
    }
)
BODY = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=12,
)


@pytest.mark.parametrize("kind", OBJECTS)
@given(changes=st.dictionaries(st.sampled_from(FIELDS), BODY, max_size=4), metadata=BODY)
def test_any_value_is_judged(kind, changes, metadata):
    whole = OBJECTS[kind]
    for manifest in ({**whole, "spec": {**whole["spec"], **changes}}, {**whole, "metadata": metadata, "spec": changes}):
        for version in ((1, 12, 4), (1, 13, 0), NEWEST):
            found_in(manifest, Context(version))
