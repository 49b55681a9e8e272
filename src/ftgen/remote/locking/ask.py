"""Questions about references, several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from threading import Thread

from ftgen.config.pins import Reference
from ftgen.remote.locking.answer import Answer, Unresolved
from ftgen.remote.locking.registry import Registries
from ftgen.remote.locking.repository import Repositories

_AT_ONCE = 8
_PATIENCE_S = 90.0
"""How long nobody may answer before the rest is given up; longer than a question to an honest server lasts."""

Outcome = Answer | Unresolved


def resolved(references: Sequence[Reference], registries: Registries) -> Iterator[tuple[Reference, Outcome]]:
    """Ask what references stand for; yield each with its answer, in the order of the answers.

    Raises:
        Rejected: FT530, there is no git.
    """
    images = [reference for reference in references if reference.kind == "image"]
    repositories = [reference for reference in references if reference.kind == "git"]
    yield from _asked(images, registries.answer)
    if repositories:
        with Repositories.asked() as servers:
            yield from _asked(repositories, servers.answer)


def _asked(references: Sequence[Reference], ask: Callable[[Reference], Answer]) -> Iterator[tuple[Reference, Outcome]]:
    """Ask in threads, daemons: a server that sends a byte a second does not keep the program alive."""
    left, outcomes = SimpleQueue[Reference](), SimpleQueue[tuple[Reference, Outcome]]()
    for reference in references:
        left.put(reference)
    for _ in range(min(_AT_ONCE, len(references))):
        Thread(target=_work, args=(left, ask, outcomes), daemon=True).start()
    waiting = dict.fromkeys(references)
    while waiting:
        try:
            reference, outcome = outcomes.get(timeout=_PATIENCE_S)
        except Empty:
            yield from ((each, Unresolved(f"no answer came in {_PATIENCE_S:.0f} s")) for each in waiting)
            return
        del waiting[reference]
        yield reference, outcome


def _work(
    left: SimpleQueue[Reference],
    ask: Callable[[Reference], Answer],
    outcomes: SimpleQueue[tuple[Reference, Outcome]],
) -> None:
    while True:
        try:
            reference = left.get_nowait()
        except Empty:
            return
        try:
            outcomes.put((reference, ask(reference)))
        except Unresolved as problem:
            outcomes.put((reference, problem))
