"""Parallel map over many items, on all processors.

The standard library's pool runs in forks of this process, which share everything that it has read.  An item's result
does not depend on the others, so the number of processors changes only the time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Largest number of items sent to a worker at once; parts that their results share are sent once.
_BLOCK = 20
# Least number of blocks for each worker, so that none waits long for the others at the end.
_BLOCKS = 8


def processors() -> int:
    """Return the number of processors that this process may use; 1 where forking is not safe."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def parallel_map(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """Yield the result of each item, in order.

    Args:
        work: pure function; the first exception in the order of items ends the iteration and is raised here.
        items: arguments of `work`.
        workers: largest number of processes; with one, or few items, this process does the work.
    """
    if workers < 2 or len(items) <= _BLOCK:  # noqa: PLR2004 - alone
        yield from map(work, items)
        return
    # What every item needs is read with the first, and the forks have it.
    yield work(items[0])
    blocks = _blocks(items[1:], workers)
    workers = min(workers, len(blocks))
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - most commands need no pool
    from multiprocessing import get_context  # noqa: PLC0415 - as above

    pool = ProcessPoolExecutor(workers, get_context("fork"), _prepare, (work,))
    try:
        rest = iter(blocks)
        # Two blocks for each worker: no worker waits for its next block, and results do not accumulate here.
        with _uninterrupted():
            waiting = deque(pool.submit(_results, block) for block in islice(rest, 2 * workers))
        while waiting:
            results: list[Result] = waiting.popleft().result()
            waiting.extend(pool.submit(_results, block) for block in islice(rest, 1))
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def _blocks(items: Sequence[Item], workers: int) -> list[Sequence[Item]]:
    size = max(1, min(_BLOCK, len(items) // (_BLOCKS * workers)))
    return [items[start : start + size] for start in range(0, len(items), size)]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Fork workers that ignore Ctrl-C, which the terminal sends to all processes: only the parent reports it."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


_work: Callable[[Any], Any]
"""Function that a worker calls; inherited by the fork, so it need not be picklable."""


def _prepare(work: Callable[[Any], Any]) -> None:
    from threading import Thread  # noqa: PLC0415 - as above

    global _work  # noqa: PLW0603 - a worker's only state
    _work = work
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the parent is killed; the worker would otherwise wait forever for its next block."""
    from multiprocessing import parent_process  # noqa: PLC0415 - as above

    if parent := parent_process():
        parent.join()
    os._exit(1)


def _results(block: Sequence[Any]) -> list[Any]:
    return [_work(item) for item in block]
