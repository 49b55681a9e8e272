"""A configuration put together from sections that were made before is the one that OmegaConf makes at once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import Container, Node, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ftgen.config.compose.merge import _dict_config

_leaves = st.sampled_from(
    [None, True, 1, 1.0, float("inf"), "", "text", "???", "${a.b}", "x ${a}", "\\${a}", "${", "${a"]
)
_values = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "c.d", 1]), inner, max_size=3)
    ),
    max_leaves=8,
)


def nodes(node: Any, parent: Any = None) -> list[Any]:
    """What OmegaConf knows of a node and of all below it."""
    known = [type(node), node._metadata, node._get_full_key(None), node._get_parent() is parent]
    held = node._content if isinstance(node, Container) else None
    if isinstance(held, dict | list):
        below = held.items() if isinstance(held, dict) else enumerate(held)
        return [*known, *([key, *nodes(each, node)] for key, each in below)]
    return [*known, repr(node._value()) if isinstance(node, Node) else node]


@given(st.dictionaries(st.sampled_from(["a", "b", "sweep"]), _values, max_size=3))
@settings(max_examples=200, deadline=None)
def test_sections_that_were_made_before_are_as_if_made_anew(content: dict[str, Any]) -> None:
    try:
        anew = nodes(OmegaConf.create(content))
    except OmegaConfBaseException as failure:
        with pytest.raises(type(failure), match=f"^{re.escape(str(failure))}$"):
            _dict_config(content)
    else:
        assert [nodes(_dict_config(content)) for _ in range(2)] == [anew] * 2
