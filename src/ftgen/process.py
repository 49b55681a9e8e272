"""Settings of the host process that ftgen changes while it works, and restores afterwards."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


def rarely_collect() -> None:
    """Collect garbage rarely until the process ends; restoring the thresholds then would only start a collection."""
    gc.set_threshold(100_000, 50, 50)


@contextmanager
def few_collections() -> Iterator[None]:
    """Collect garbage rarely in the block: jobs are many small values and few cycles.

    Collections would take a seventh of the time.
    """
    before = gc.get_threshold()
    rarely_collect()
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable in the block, unless the host has set it, and remove it afterwards."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
