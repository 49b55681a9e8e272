"""Values that share equal parts are the values that they were, and what is known of a part is right for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ftgen
from ftgen.diagnostics import Diagnostic, error
from ftgen.schema.conform import conform
from ftgen.text import yamlio
from ftgen.text.sharing import share
from ftgen.validation.incremental import IncrementalCompile, Results
from ftgen.validation.rules import secrets

_LEAVES = st.sampled_from([None, True, False, 0, 1, 1.0, 0.0, -0.0, "", "a", "b", "1", "true", "two\nlines\n", "é"])
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=12,
)


@given(_VALUES, _VALUES)
def test_a_shared_value_is_written_as_it_was(new: Any, old: Any) -> None:
    before = repr(new), repr(old)
    assert repr(share(new, old)) == before[0]
    assert (repr(new), repr(old)) == before


@given(_VALUES)
def test_equal_values_become_one_object(value: Any) -> None:
    copy = json.loads(json.dumps(value))
    assert share(copy, value) is value


def test_only_the_way_to_a_difference_is_new() -> None:
    old = {"a": {"b": [1, {"c": "x"}]}, "d": {"e": 1}}
    new = share(json.loads(json.dumps({**old, "d": {"e": 2}})), old)
    assert new == {**old, "d": {"e": 2}}
    assert new["a"] is old["a"]


@pytest.mark.parametrize("new", [{"b": 1, "a": 1}, {"a": 1}, {"a": 1, "b": 1, "c": 1}, {"a": True, "b": 1}, [1, 1]])
def test_what_is_written_otherwise_is_another_object(new: Any) -> None:
    assert repr(share(new, {"a": 1, "b": 1})) == repr(new)


@given(st.lists(_VALUES, min_size=2, max_size=5))
def test_known_parts_are_written_as_anew(values: list[Any]) -> None:
    once, last = Results().once, None
    for value in values:
        last = share(value, last)
        assert yamlio.dump(last, once) == yamlio.dump(value)


def test_a_program_may_change_a_job_of_a_sweep() -> None:
    one, other = ftgen.sweep(["trainer.lr=1e-4,2e-4"])
    before = json.dumps(other.manifests)
    for part in (one.manifest["metadata"]["labels"], one.manifest["spec"]["tasks"][0]["template"]["spec"]):
        part.clear()
    assert json.dumps(other.manifests) == before


def test_a_result_is_kept_for_the_same_object_and_the_same_arguments() -> None:
    results, asked = Results(), []

    def size(part: list[int], factor: int) -> int:
        asked.append(part)
        return factor * len(part)

    part = [1, 2]
    assert [results.once(size, each, factor) for each, factor in ((part, 1), (part, 1), (part, 3), ([1, 2], 1))] == [
        2,
        2,
        6,
        2,
    ]
    assert len(asked) == 3


# --- searches --------------------------------------------------------------------------------------------------------

_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "namespace": "b", "labels": {"x": "y"}},
    "spec": {"containers": [{"name": "c", "image": "d", "env": [{"name": "E", "value": "f"}]}]},
}


def _edited(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    pod: dict[str, Any] = json.loads(json.dumps(_POD))
    part: Any = pod
    for step in path[:-1]:
        part = part[step]
    if isinstance(part, list):
        part.append(value)
    else:
        part[path[-1]] = value
    return pod


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("metadata", "labels", "x"), "hf_aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3", "FT441"),
        (("spec", "containers", 0, "env", 0, "name"), "HF_TOKEN", "FT442"),
        (("spec", "containers", 0, "env", -1), {"name": "E", "value": "g"}, "FT306"),
        (("spec", "containers", 0, "imagePullPolic"), "Never", "FT301"),
    ],
)
def test_what_differs_from_a_clean_manifest_is_searched(path: tuple[Any, ...], value: Any, code: str) -> None:
    def found(reuse: IncrementalCompile, pod: dict[str, Any]) -> list[Diagnostic]:
        (shared,) = reuse.share((pod,))
        return [*reuse.search(conform, shared), *reuse.search(secrets.scan, shared)]

    reuse, other = IncrementalCompile(), _edited(path, value)
    assert found(reuse, _POD) == found(reuse, json.loads(json.dumps(_POD))) == []
    for _ in range(2):
        assert found(reuse, json.loads(json.dumps(other))) == [*conform(other), *secrets.scan(other)]
        assert code in {d.code for d in found(reuse, json.loads(json.dumps(other)))}
    assert found(reuse, json.loads(json.dumps(_POD))) == []


def test_a_search_with_other_options_starts_anew() -> None:
    def find(manifest: Any, *, clean: Any = None, code: str) -> list[Diagnostic]:
        return [] if code == "none" or manifest is clean else [error(code, "found", "")]

    reuse = IncrementalCompile()
    assert reuse.search(find, _POD, code="none") == []
    assert [d.code for d in reuse.search(find, _POD, code="FT301")] == ["FT301"]
