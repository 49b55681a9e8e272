"""What becomes of rows in their order: processes take a part each, and write so many rows at a time.

`datasets.Dataset.map` fixes the types of what a process writes by its first thousand rows, and joins the parts only
where their types agree.  A row that is merely dropped can so end the loading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from ftgen.emulation.datasets.forms import Example
from ftgen.emulation.datasets.reading import Reading
from ftgen.emulation.datasets.stages import neighbour

UNUSED, KEPT, DROPPED, FAILED = range(4)
"""Fate of a row: not used (`max_samples`), trained on, dropped, or the end of the loading."""
FATE = 3
_NO_PROMPT, _NO_RESPONSE, _NULL_SYSTEM, _NULL_TOOLS, _NO_PARTNER = 4, 8, 16, 32, 64
BATCH = 1000
"""Rows that are converted and written at a time; `Reading.batch` are tokenized at a time."""
_NULLS = {
    _NO_PROMPT: "have no messages",
    _NO_RESPONSE: "have no answer",
    _NULL_SYSTEM: "have null as system message",
    _NULL_TOOLS: "have null as tools",
}
_JOINED = (_NO_PROMPT, _NO_RESPONSE)
"""What must agree between the processes; a column that is null in one of them goes with any other."""


def code(example: Example) -> int:
    """Return what the later checks need to know of an example, as bits beside its fate."""
    return (
        (0 if example.prompt else _NO_PROMPT)
        | (0 if example.response else _NO_RESPONSE)
        | (_NULL_SYSTEM if example.system is None else 0)
        | (_NULL_TOOLS if example.tools is None else 0)
    )


def partner(example: Example) -> int:
    """Return the bit of an example that KTO cannot pair with the row after it."""
    return _NO_PARTNER if neighbour(example) else 0


def census(fates: bytearray) -> Mapping[int, int]:
    """Return how often each value occurs."""
    return Counter(fates)


def late_values(fates: bytearray, reading: Reading) -> Iterator[str]:
    """Yield what the first thousand converted rows of a process lack and others have."""
    used = fates.rstrip(bytes([UNUSED]))
    parts = list(_parts(used, reading.workers))
    for bit, words in _NULLS.items():
        for part in parts:
            missing = [all(value & bit for value in batch) for batch in _batches(part, BATCH)]
            if missing[0] and not all(missing):
                yield f"the first {BATCH} rows of a process {words}, and later ones do not"
                break
        else:
            if bit in _JOINED and len(_all_have(bit, parts)) > 1:
                yield f"all rows of one of {len(parts)} processes {words}, and those of others do not"


def unlike(sets: Sequence[bytearray]) -> Iterator[str]:
    """Yield what all rows of one set lack and those of another have, so that the two cannot be joined."""
    used = [fates.rstrip(bytes([UNUSED])) for fates in sets]
    yield from (
        f"all rows of one set {_NULLS[bit]}, and those of others do not"
        for bit in _JOINED
        if len(_all_have(bit, used)) > 1
    )


def _all_have(bit: int, parts: Iterable[bytearray]) -> set[bool]:
    return {all(value & bit for value in part) for part in parts}


def order(lengths: Sequence[int], strategy: str) -> Iterator[tuple[int, int]]:
    """Yield the rows of several sets, as set and place, in the order in which they are trained on.

    Args:
        lengths: rows of each set.
        strategy: `mix_strategy`; the `interleave` ones take a row of each set in turn, until the first set ends
            (`under`), or, with the others begun anew, until the last one does (`over`).
    """
    if not strategy.startswith("interleave"):
        yield from ((which, place) for which, length in enumerate(lengths) for place in range(length))
        return
    # datasets.arrow_dataset._interleave_map_style_datasets without probabilities
    for place in range((max if strategy == "interleave_over" else min)(lengths)):
        yield from ((which, place % length) for which, length in enumerate(lengths))


def mixed(sets: Sequence[bytearray], strategy: str) -> bytearray:
    """Return the fates of the rows of several sets in their `order`."""
    used = [fates.rstrip(bytes([UNUSED])) for fates in sets]
    if len(used) == 1:
        return used[0]
    return bytearray(used[which][place] for which, place in order([*map(len, used)], strategy))


def dropped_in_a_row(fates: bytearray, reading: Reading) -> Iterator[str]:
    """Yield a text where a whole batch of a process is dropped after one that is not."""
    if any(_ends_empty(part, reading.batch) for part in _parts(fates, reading.workers)):
        yield f"{reading.batch} rows in a row, or the last ones of a process, are all dropped"


def bad_partners(fates: bytearray, reading: Reading) -> Iterator[int]:
    """Yield the places of rows, from 0, whose neighbour is trained on and cannot be paired with them.

    Where rows are drawn at random, the neighbour is unknown, and almost surely one that is trained on.
    """
    number = -1
    for part in _parts(fates, reading.workers):
        for batch in _batches(part, reading.batch):
            for place, value in enumerate(batch):
                number += 1
                after = batch[(place + 1) % len(batch)]
                if value & _NO_PARTNER and (reading.drawn or after & FATE == KEPT):
                    yield number


def _ends_empty(part: bytearray, size: int) -> bool:
    kept = [any(value & FATE == KEPT for value in batch) for batch in _batches(part, size)]
    return any(before and not after for before, after in pairwise(kept))


def _batches(part: bytearray, size: int) -> Iterator[bytearray]:
    for begin in range(0, len(part), size):
        yield part[begin : begin + size]


def _parts(used: bytearray, workers: int) -> Iterator[bytearray]:
    """Yield the part of each process: of one after the other, the first ones a row longer (`Dataset.shard`)."""
    if not used:
        return
    count = max(1, min(workers, len(used)))
    size, more = divmod(len(used), count)
    begin = 0
    for index in range(count):
        end = begin + size + (index < more)
        yield used[begin:end]
        begin = end
