"""Facts shared by rules over the configuration and their twins over manifests, so that each is written once."""

from __future__ import annotations

from fractions import Fraction

NCCL_FAILS_ON_SHARES = "NCCL fails on them before HAMi 2.9.0"
"""Part of a message about slices of shared cards."""
_LEAST_SHARED_MEMORY = 4 * 2**30


def serves_several_nodes(access_mode: str) -> bool:
    """Return whether pods of several nodes may use a volume of this access mode at once, as node-local ones cannot."""
    return access_mode in {"ReadWriteMany", "ReadOnlyMany"}


def is_shared_memory_too_small(size: Fraction | int, cards: int) -> bool:
    """Return whether shared memory of this size, in bytes, is too small for collectives between so many cards."""
    return cards > 1 and size < _LEAST_SHARED_MEMORY
