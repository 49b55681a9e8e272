"""The same work on many items, on all processors.

The standard library's pool does it in forks of this process, so that whatever it has read is at hand there.  An
item's result does not depend on the others', so that the number of processors changes nothing but the time.
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

# What is sent at once; parts that its results share are sent once.
_BLOCK = 20


def processors() -> int:
    """Count the processors that this process may use; one where forking is not safe."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def parallel_map(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """Give the result of each item, in order.

    Args:
        work: pure; what it raises for the first such item ends the iteration and is raised here.
        items: what to work on.
        workers: how many processes at most; with one, or little to do, this one does the work.
    """
    blocks = [items[start : start + _BLOCK] for start in range(0, len(items), _BLOCK)]
    workers = min(workers, len(blocks))
    if workers < 2:  # noqa: PLR2004 - alone
        yield from map(work, items)
        return
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - most commands have no use for a pool
    from multiprocessing import get_context  # noqa: PLC0415 - as above

    pool = ProcessPoolExecutor(workers, get_context("fork"), _prepare, (work,))
    try:
        rest = iter(blocks)
        # Two blocks for each worker: it never waits for the next one, and results never pile up here.
        with _uninterrupted():
            waiting = deque(pool.submit(_results, block) for block in islice(rest, 2 * workers))
        while waiting:
            results: list[Result] = waiting.popleft().result()
            waiting.extend(pool.submit(_results, block) for block in islice(rest, 1))
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Fork workers that never hear of Ctrl-C, which is for all processes: the parent alone has something to say."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


_work: Callable[[Any], Any]
"""What a worker does, as its fork has it: it need not be picklable."""


def _prepare(work: Callable[[Any], Any]) -> None:
    from threading import Thread  # noqa: PLC0415 - as above

    global _work  # noqa: PLW0603 - a worker's only state
    _work = work
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End a worker whose parent was killed: waiting for its next block, it would wait for ever."""
    from multiprocessing import parent_process  # noqa: PLC0415 - as above

    if parent := parent_process():
        parent.join()
    os._exit(1)


def _results(block: Sequence[Any]) -> list[Any]:
    return [_work(item) for item in block]
