"""Cases of the rules about InferenceServices: data/inference_service.yaml edits `SERVICE`, as conftest does a job."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen.text import yamlio
from ftgen.validation import RULES, validate
from ftgen.validation.rules import INFERENCE_SERVICE

from .conftest import DATA, STEP

FILE = DATA / "inference_service.yaml"
SERVICE, GROUPS = yamlio.parse_all(FILE.read_text(encoding="utf-8"), FILE.name)


def edited(edits):
    service = copy.deepcopy(SERVICE)
    for path, value in copy.deepcopy(edits).items():
        *parents, last = [int(i) if i else key or plain for key, i, plain in STEP.findall(path)]
        place = service
        for step in parents:
            place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return json.loads(json.dumps(service))


def cases(verdict):
    return [
        pytest.param(group["rule"], case, id=f"{group['rule']}-{i}")
        for group in GROUPS
        for i, case in enumerate(group[verdict])
    ]


def found_in(manifest):
    return [(RULES[d.code].name, d.subject) for d in validate(INFERENCE_SERVICE, manifest)]


@pytest.mark.parametrize(("name", "case"), cases("accepts"))
def test_accepts(name, case):
    assert found_in(edited(case)) == []


@pytest.mark.parametrize(("name", "case"), cases("refuses"))
def test_refuses(name, case):
    edits = dict(case)
    subject = edits.pop("at")
    assert found_in(edited(edits)) == [(name, subject)]


def test_every_rule_has_cases():
    assert {group["rule"] for group in GROUPS} == {rule.name for rule in INFERENCE_SERVICE.rules}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({*SERVICE["spec"]["predictor"], "model", "logger", "storageUris", "env", "maxReplicas", "scaleTarget"})


@given(
    st.dictionaries(
        st.sampled_from(["predictor", "transformer", "explainer"]), st.dictionaries(st.sampled_from(FIELDS), JSON)
    )
)
def test_any_value_is_judged(spec):
    validate(INFERENCE_SERVICE, {"metadata": {"name": "chat"}, "spec": spec})
