"""The same work on many items, on all processors: results in order, as `map` gives them.

The work is done by forks of this process, so that whatever it knows is at hand there and nothing is started anew.  An
item's result does not depend on the others', and neither does its place: how many processors there are changes
nothing but the time.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import BinaryIO, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# What is sent at once; parts that its results share are sent once.
_BLOCK = 20


def processors() -> int:
    """How many processors this process may use; one where forking is not safe."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def spread(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """The result of each item, in order.

    Args:
        work: pure; what it raises ends the iteration and is raised here.
        items: what to work on.
        workers: how many processes; with one, this one does the work.
    """
    if workers < 2:  # noqa: PLR2004 - alone
        yield from map(work, items)
        return
    blocks = [items[start : start + _BLOCK] for start in range(0, len(items), _BLOCK)]
    forks: list[_Fork] = []
    try:
        forks.extend(_Fork(work, blocks[first::workers]) for first in range(workers))
        for number, _ in zip(count(), blocks, strict=False):
            yield from forks[number % workers].next()
    finally:
        for fork in forks:
            fork.end()


class _Fork:
    """A process that works on some blocks and sends each block's results as soon as they are asked for."""

    def __init__(self, work: Callable[[Item], Result], blocks: Sequence[Sequence[Item]]) -> None:
        here, there = os.pipe()
        # What is there already is not to be copied only because the collector looks at it.
        gc.freeze()
        # An interruption waits until both processes know who they are.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._process = os.fork()
        if not self._process:
            os.close(here)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is for all; the parent alone has something to say
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _serve(work, blocks, there)
        gc.unfreeze()
        os.close(there)
        self._results: BinaryIO = os.fdopen(here, "rb")
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def next(self) -> list[Result]:
        """The results of the next block."""
        try:
            answer = pickle.load(self._results)  # noqa: S301 - written by a fork of this process
        except EOFError:
            raise RuntimeError("a worker process ended before its work") from None
        if isinstance(answer, BaseException):
            raise answer
        return list(answer)

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._results.close()
        with suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def _serve(work: Callable[[Item], Result], blocks: Sequence[Sequence[Item]], there: int) -> None:
    """Never returns: what this process would do at its end is its parent's business."""
    try:
        with os.fdopen(there, "wb") as results:
            for block in blocks:
                pickle.dump(_done(work, block), results, pickle.HIGHEST_PROTOCOL)
                results.flush()
    finally:
        os._exit(0)


def _done(work: Callable[[Item], Result], block: Sequence[Item]) -> list[Result] | Exception:
    try:
        return [work(item) for item in block]
    except Exception as failure:  # noqa: BLE001 - raised again where the result is wanted
        return failure
