"""Tokens of each row that is trained on, and what `cutoff_len` leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ftgen.emulation.datasets import kinds
from ftgen.emulation.datasets.findings import Findings
from ftgen.emulation.datasets.forms import Example
from ftgen.emulation.datasets.lengths import Tokenizer, kept, shares
from ftgen.emulation.datasets.reading import Reading

if TYPE_CHECKING:
    from ftgen.emulation.datasets.judge import Judged

_BATCH = 1000


class _Waiting(NamedTuple):
    """Row whose texts wait for the tokenizer: questions and answers in turn, or pairs of answers to one question."""

    file: str
    row: tuple[int, int]
    texts: list[str]
    questions: int


class Cuts:
    """Counter of tokens; gives many texts at a time to the tokenizer."""

    def __init__(self, reading: Reading, tokenizer: Tokenizer, judged: Judged, findings: Findings) -> None:
        """Take where the counts and the findings go."""
        self._reading, self._tokenizer = reading, tokenizer
        self._judged, self._findings = judged, findings
        self._waiting: list[_Waiting] = []

    def add(self, example: Example, file: str, row: tuple[int, int]) -> None:
        """Count the tokens of a row that is trained on."""
        answers = example.response[:1] if self._reading.stage == "pt" else example.response
        messages = [*example.prompt[:1]] if self._reading.stage == "pt" else [*example.prompt, *answers]
        texts = [content if type(content) is str else "" for _, content in messages]
        self._waiting.append(_Waiting(file, row, texts, len(messages) - len(answers)))
        if len(self._waiting) >= _BATCH:
            self.finish()

    def finish(self) -> None:
        """Count what still waits."""
        counts = iter(self._tokenizer.counts([text for each in self._waiting for text in each.texts]))
        for each in self._waiting:
            self._count(each, [next(counts) for _ in each.texts])
        self._waiting = []

    def _count(self, each: _Waiting, counts: list[int]) -> None:
        total, left, answer = self._left(counts, each.questions)
        self._judged.tokens.add(total)
        if left >= total:
            return
        self._judged.cut += 1
        self._judged.lost += total - left
        cutoff = self._reading.cutoff_len
        if left == 0 and self._reading.packing:
            self._findings.add(
                kinds.CUT, f"it has more than {cutoff} tokens, and packing drops it", each.file, each.row
            )
        elif answer == 0 and self._reading.stage != "pt":
            text = f"cutoff_len {cutoff} leaves nothing of its answer"
            self._findings.add(kinds.ANSWER_CUT, text, each.file, each.row)
        else:
            self._findings.add(kinds.CUT, f"it has more than {cutoff} tokens and is cut", each.file, each.row)

    def _left(self, counts: list[int], questions: int) -> tuple[int, int, int]:
        """Return the tokens of a row, those that are left, and those that are left of its last answer."""
        stage, cutoff = self._reading.stage, self._reading.cutoff_len
        if stage == "pt":
            return counts[0], counts[0] if self._reading.packing else min(counts[0], cutoff), counts[0]
        if stage == "sft":
            left, last = kept(list(zip(counts[::2], counts[1::2], strict=True)), cutoff)
            return sum(counts), left, last if counts[-1] else 1
        source, target = sum(counts[:questions]), max(counts[questions:], default=0)
        question, answer = shares(source, target, cutoff)
        return source + target, question + answer, answer if target else 1
