"""`expand` is the kubelet's $(VAR) expansion; `escape_dollars` writes text that survives it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftgen.text.kube import escape_dollars, expand, is_env_name

ENV = {"A": "va", "B": "$(A)", "E": ""}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("$(A)", "va"),
        ("x$(A)y$(E)z", "xvayz"),
        ("$(B)", "$(A)"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$va"),
        ("$$$$(A)", "$$(A)"),
        ("$$", "$"),
        ("echo $$", "echo $"),
        ("$", "$"),
        ("100$", "100$"),
        ("${A}", "${A}"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("$($(A)", "$($(A)"),
        ("$(A$$)", "$(A$$)"),
        ("$(date +$$)$$", "$(date +$$)$"),
        ("$(\nA)", "$(\nA)"),
        ("$()", "$()"),
        ("$é", "$Ã�"),
    ],
)
def test_expansion_is_the_kubelets(text, seen):
    assert expand(text, ENV) == seen


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("echo ${HOME} $1 $(date +%s)", "echo ${HOME} $1 $(date +%s)"),
        ("trap 'kill $$' EXIT", "trap 'kill $$$$' EXIT"),
        ("v=$(hostname)", "v=$$(hostname)"),
        ("$(basename $(pwd))", "$(basename $(pwd))"),
        ("cost: 5$", "cost: 5$"),
        ("$(echo $$)", "$(echo $$)"),
        ("$价", "$$价"),
    ],
)
def test_only_the_dollars_that_kubernetes_acts_on_are_doubled(text, written):
    assert escape_dollars(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("/w/$(A)/$(B)", "/w/$(A)/$$(B)"),
        ("$$(A)", "$$$$(A)"),
        ("$(AA)$(A", "$$(AA)$(A"),
    ],
)
def test_a_reference_that_is_meant_is_kept(text, written):
    assert escape_dollars(text, ("A",)) == written


PIECES = st.sampled_from(["$", "$$", "(", ")", "A", "b_1", " ", "$(A)", "$(A b)", "\n", "é", "😀", "${A}", "."])
NAMES = st.sampled_from(["A", "b_1", "AA", "Ab_1", "A.", "-"])


@settings(deadline=None)
@given(text=st.lists(PIECES).map("".join) | st.text(), env=st.dictionaries(NAMES, st.text()))
def test_protected_text_expands_to_itself_in_every_environment(text, env):
    assert all(is_env_name(name) for name in env)
    assert expand(escape_dollars(text), env) == text
