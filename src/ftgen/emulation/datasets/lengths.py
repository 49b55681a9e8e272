"""Lengths of rows in characters and in tokens, and what `cutoff_len` leaves of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from msgspec import Struct, field

from ftgen.emulation.datasets.forms import Example

Pairs = Sequence[tuple[int, int]]
"""Tokens of the question and of the answer, for each turn."""


class Histogram(Struct):
    """How many rows have how many units: a bucket ends at each power of two.

    Attributes:
        buckets: rows by the number of bits of their length.
        longest: the greatest length.
        total: sum of all lengths.
    """

    buckets: Counter[int] = field(default_factory=Counter)
    longest: int = 0
    total: int = 0

    def add(self, length: int) -> None:
        """Count a row."""
        self.buckets[length.bit_length()] += 1
        self.total += length
        self.longest = max(self.longest, length)

    def rows(self) -> Iterator[tuple[int, int, int]]:
        """Yield the shortest and the longest length of each bucket, and its rows; none is left out between two."""
        used = [bits for bits, count in self.buckets.items() if count]
        for bits in range(min(used, default=0), max(used, default=-1) + 1):
            yield (1 << bits - 1 if bits else 0), (1 << bits) - 1, self.buckets[bits]

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(self.buckets.values())


def characters(example: Example) -> int:
    """Return the characters of all messages of an example."""
    return sum(len(content) for _, content in (*example.prompt, *example.response) if type(content) is str)


def kept(pairs: Pairs, cutoff: int) -> tuple[int, int]:
    """Return the tokens that are left of a conversation, and those of its last answer.

    Turn after turn takes what is left (`SupervisedDatasetProcessor`).
    """
    total, last = 0, 0
    for question, answer in pairs:
        last = 0
        if total >= cutoff:
            continue
        source, last = shares(question, answer, cutoff - total)
        total += source + last
    return total, last


def shares(source: int, target: int, cutoff: int) -> tuple[int, int]:
    """Return the tokens of question and answer that fit together (`infer_seqlen` in processor_utils.py).

    The one that is shorter than half is kept whole; else both are cut in proportion.
    """
    if target * 2 < cutoff:
        most = cutoff
    elif source * 2 < cutoff:
        most = cutoff - source
    else:
        most = int(cutoff * (target / (source + target)))
    answer = min(most, target)
    return min(max(cutoff - answer, 0), source), answer


class Tokenizer:
    """Tokenizer of a model, by Hugging Face's library `tokenizers`."""

    def __init__(self, content: bytes) -> None:
        """Read a tokenizer.json.

        Raises:
            ImportError: the library is not there.
            ValueError: it is none.
        """
        library = import_module("tokenizers")
        try:
            self._tokenizer: Any = library.Tokenizer.from_buffer(content)
        except Exception as problem:  # noqa: BLE001 - the library raises nothing narrower
            raise ValueError(str(problem)) from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def counts(self, texts: list[str]) -> list[int]:
        """Return the tokens of each text, without those that a tokenizer adds at begin and end."""
        encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [len(each) for each in encoded]
