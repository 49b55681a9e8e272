"""Every hardware with every storage, on one node and on two."""

from __future__ import annotations

import pytest
from tools import hardware_matrix as matrix

from .judged import judged

# Why a combination is refused; whatever else is refused is a mistake.
REFUSED = {"FT255": "a claim of one node cannot be shared by two"}


@pytest.mark.parametrize(("hardware", "storage", "nodes"), list(matrix.combinations()))
def test_a_combination_renders_soundly_or_is_refused_with_the_reason(hardware: str, storage: str, nodes: int) -> None:
    result = matrix.outcome(hardware, storage, nodes)
    if result.job is None:
        assert {d.code for d in result.reasons} <= REFUSED.keys()
        assert all(d.headline and d.help and d.subject for d in result.reasons)
    else:
        assert judged(result.job) == []


def test_one_node_is_never_refused() -> None:
    assert all(matrix.outcome(h, s, n).job for h, s, n in matrix.combinations() if n == 1)


def test_only_block_storage_is_refused_for_two_nodes() -> None:
    refused = {s for h, s, n in matrix.combinations() if matrix.outcome(h, s, n).job is None}
    assert refused == {"rbd"}


def test_the_document_tells_what_is_rendered() -> None:
    there = matrix.DOCUMENT.read_text(encoding="utf-8")
    assert matrix.document(there) == there
