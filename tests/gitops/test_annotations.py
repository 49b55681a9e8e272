"""Annotations are edited in the text, and the text means what was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen.diagnostics import Rejected
from ftgen.remote.gitops.annotations import TOMBSTONE, annotated, annotations_of, revived, unguarded
from ftgen.text import yamlio

TEXT = b"""\
# head
kind: Job
metadata:
  name: a
  annotations:
    x: y
  labels:
    app: b
spec:
  metadata:
    annotations:
      keep: me
"""
BARE = TEXT.replace(b"  annotations:\n    x: y\n", b"", 1)


def test_annotations_are_set_and_taken_away_and_all_else_stays():
    assert annotated(TEXT, {"x": None}) == BARE
    assert annotated(TEXT, {"x": "z"}) == TEXT.replace(b"x: y", b"x: z")
    assert annotated(annotated(TEXT, {"n": "1"}), {"n": None}) == TEXT


def test_annotations_are_added_where_there_are_none():
    assert annotations_of(BARE) == {}
    manifest = yamlio.parse(annotated(BARE, {"x": "z"}).decode(), "")
    assert manifest["metadata"] == {"name": "a", "labels": {"app": "b"}, "annotations": {"x": "z"}}


def test_a_manifest_of_another_layout_is_refused_and_not_guessed_at():
    with pytest.raises(Rejected) as rejected:
        annotated(b"kind: Job\nmetadata: {name: a}\n", {"x": "z"})
    assert rejected.value.diagnostics[0].code == "FT527"


_KEYS = st.sampled_from(["x", "ftgen.dev/overrides", "argocd.argoproj.io/hook", "on", "1"])
_TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"], whitelist_characters="\n\t")) | st.sampled_from(
    [
        "yes",
        "1e3",
        "a: b",
        "# x",
        "",
        "\n",
        "  indented\n\n- like: a list\n",
        "a\n\n    b\n",
        "Prune=false,Delete=false",
    ]
)


@given(st.dictionaries(_KEYS, _TEXTS), st.dictionaries(_KEYS, st.none() | _TEXTS), st.booleans())
def test_whatever_the_values_the_edit_is_that_of_a_mapping(there, change, labelled):
    metadata = {
        "name": "a",
        **({"annotations": there} if there else {}),
        **({"labels": {"a": "b"}} if labelled else {}),
    }
    manifest = {"kind": "Job", "metadata": metadata, "spec": {"metadata": {"annotations": {"keep": "me"}}}}
    wanted = {**{key: value for key, value in there.items() if key not in change}}
    wanted |= {key: value for key, value in change.items() if value is not None}

    edited = annotated(yamlio.dump(manifest).encode(), change)

    assert annotations_of(edited) == wanted
    found = yamlio.parse(edited.decode(), "")
    assert found["metadata"].pop("annotations", {}) == wanted
    metadata.pop("annotations", None)
    assert found == manifest


def test_only_guards_are_taken_from_among_the_options():
    key = "argocd.argoproj.io/sync-options"
    assert unguarded(annotated(BARE, {key: "Prune=false,PruneLast=true, Delete=false"}))[key] == "PruneLast=true"
    assert unguarded(annotated(BARE, {key: "Prune=false"}))[key] is None


def test_a_run_is_revived_for_the_reconciler_it_was_made_for():
    hook, ssa, prune = "argocd.argoproj.io/hook", "kustomize.toolkit.fluxcd.io/ssa", "kustomize.toolkit.fluxcd.io/prune"
    tombstone = {hook: "Skip", ssa: "Ignore"}
    assert revived(annotated(BARE, tombstone)) == {hook: None, ssa: None}
    assert revived(annotated(BARE, {**tombstone, prune: "disabled"})) == {hook: None, ssa: "IfNotPresent"}
    assert revived(TEXT) == {}


def test_a_run_that_was_archived_and_revived_has_the_bytes_that_it_had():
    flux = {
        "a": "b",
        "kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
    }
    for text in (TEXT, annotated(TEXT, flux)):
        archived = annotated(text, TOMBSTONE)
        assert annotated(archived, revived(archived)) == text
