"""What ftgen changes of the process that it runs in, for the time of its work; the host's own comes back."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


def rarely_collect() -> None:
    """Look for cycles rarely until the process ends, where restoring the thresholds would only start a collection."""
    gc.set_threshold(100_000, 50, 50)


@contextmanager
def few_collections() -> Iterator[None]:
    """Look for cycles rarely: jobs are many small values and few cycles, and collections a seventh of the time."""
    before = gc.get_threshold()
    rarely_collect()
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable that the host has not set."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
