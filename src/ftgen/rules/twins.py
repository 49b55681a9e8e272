"""What rules over the configuration and their twins over manifests both ask, so that each fact is written once."""

from __future__ import annotations

from fractions import Fraction

NCCL_FAILS_ON_SHARES = "NCCL fails on them before HAMi 2.9.0"
_LEAST_SHARED_MEMORY = 4 * 2**30


def serves_several_nodes(access_mode: str) -> bool:
    """Whether pods of several nodes may use a volume of this access mode at once: node-local storage serves none."""
    return access_mode in {"ReadWriteMany", "ReadOnlyMany"}


def is_shared_memory_too_small(size: Fraction | int, cards: int) -> bool:
    """Whether collectives between so many cards run out of shared memory of this size, in bytes."""
    return cards > 1 and size < _LEAST_SHARED_MEMORY
