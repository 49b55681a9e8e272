"""The verdict on a data set: what becomes of each row when a training loads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from ftgen.diagnostics import Diagnostic
from ftgen.emulation.datasets import kinds, shards
from ftgen.emulation.datasets.columns import Column, Conflict
from ftgen.emulation.datasets.duplicates import Duplicates
from ftgen.emulation.datasets.findings import KEPT_ROWS, Finding, Findings
from ftgen.emulation.datasets.forms import Converter, Example, Fault, Row
from ftgen.emulation.datasets.lengths import Histogram, Tokenizer, characters
from ftgen.emulation.datasets.reading import Reading
from ftgen.emulation.datasets.rows import Broken, End, Read
from ftgen.emulation.datasets.shards import DROPPED, FAILED, KEPT, UNUSED
from ftgen.emulation.datasets.source import DataSet, data_sets
from ftgen.emulation.datasets.stages import Stage
from ftgen.emulation.datasets.tables import Unread, opened
from ftgen.emulation.datasets.tokens import Cuts

_NO_FIELDS: Row = {}


class Judged(Struct):
    """Verdict on one data set.

    Attributes:
        name: name of its entry.
        form: form of its rows.
        files: how many files it has.
        evaluated: whether it is for evaluation alone.
        fates: what becomes of each row, one of `shards`' constants in the lowest two bits.
        characters: lengths of the rows that are trained on, in characters.
        tokens: the same in tokens; empty without a tokenizer.
        cut: rows of more tokens than `cutoff_len`.
        lost: tokens that are cut off.
        place: its first file, for findings about all of its rows.
        sound: whether it can be read to its end, and no row ends the loading.
        labels: labels of its rows, for KTO.
        partners: file and line of rows that no row after them can be paired with, by number; some of them.
    """

    name: str
    form: str
    files: int
    evaluated: bool = False
    fates: bytearray = field(default_factory=bytearray)
    characters: Histogram = field(default_factory=Histogram)
    tokens: Histogram = field(default_factory=Histogram)
    cut: int = 0
    lost: int = 0
    place: str = ""
    sound: bool = False
    labels: set[bool] = field(default_factory=set)
    partners: dict[int, tuple[str, int]] = field(default_factory=dict)

    def count(self, fate: int) -> int:
        """Return how many rows have a fate."""
        return sum(number for value, number in shards.census(self.fates).items() if value & shards.FATE == fate)

    @property
    def kept_rows(self) -> list[int]:
        """Return the numbers of the rows that are trained on, from 1."""
        return [number for number, value in enumerate(self.fates, 1) if value & shards.FATE == KEPT]


class Verdict(Struct, frozen=True):
    """Verdict on all data sets of a training.

    Attributes:
        reading: how the training reads them.
        sets: the data sets.
        findings: what was found, errors, warnings and notes.
    """

    reading: Reading
    sets: Sequence[Judged]
    findings: Sequence[Finding]

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Return the findings as diagnostics."""
        return [found.diagnostic for found in self.findings]


def judge(
    path: Path,
    reading: Reading,
    tokenizer: Tokenizer | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Verdict:
    """Judge the data sets that a training reads in a file or folder.

    Args:
        path: the file or folder.
        reading: how the training reads them.
        tokenizer: counts tokens, if there is one.
        progress: called now and then with the number of rows that were read since.
    """
    findings = Findings(reading.accepted or {})
    duplicates = Duplicates(reading)
    sets = [
        _Judge(found, reading, findings, duplicates, tokenizer).run(progress)
        for found in data_sets(path, reading, findings)
    ]
    for evaluated in (False, True):
        joined = [each for each in sets if each.evaluated is evaluated]
        if joined and all(each.sound for each in joined):
            _conclude_joined(joined, reading, findings)
    return Verdict(reading, sets, list(findings))


def _conclude_joined(sets: Sequence[Judged], reading: Reading, findings: Findings) -> None:
    """Judge the rows of the sets that are trained on, or evaluated, as the one set that they become."""
    where = sets[0].place
    if len(sets) > 1 and reading.mix_strategy == "interleave_once":
        text = "mix_strategy interleave_once ends the training: LLaMA-Factory's release of datasets does not know it"
        findings.about(kinds.ARGUMENTS, text, where, "trainer.args.mix_strategy=interleave_over, or concat")
        return
    fates = shards.mixed([each.fates for each in sets], reading.mix_strategy)
    if not any(value & shards.FATE == KEPT for value in fates):
        findings.about(kinds.NOTHING, "every row is dropped", where)
        return
    if reading.stage == "pt" and reading.packing and _fills_no_block(sets, reading):
        text = f"all texts together have fewer tokens than cutoff_len {reading.cutoff_len}, and packing leaves them out"
        findings.about(kinds.NOTHING, text, where, "a smaller trainer.cutoff_len, or trainer.args.packing=false")
    rows = len(fates.rstrip(bytes([UNUSED])))
    if not (sets[0].evaluated or reading.streaming) and reading.held_out(rows) >= rows:
        text = f"a validation split of {reading.held_out(rows)} rows leaves none of {rows} to train on"
        findings.about(kinds.NOTHING, text, where, "a smaller trainer.args.val_size")
    if reading.streaming:
        return
    for text in shards.unlike([each.fates for each in sets]):
        findings.about(kinds.LATE_VALUE, text, where)
    if not reading.drawn:
        for text in shards.dropped_in_a_row(fates, reading):
            findings.about(kinds.LATE_VALUE, text, where)
    if reading.stage == "kto":
        _conclude_feedback(sets, fates, reading, findings)


def _fills_no_block(sets: Sequence[Judged], reading: Reading) -> bool:
    """Return whether the tokens of all rows, an end of text after each, are counted and fewer than one block."""
    counted = [len(each.tokens) for each in sets]
    tokens = sum(each.tokens.total for each in sets) + sum(counted)
    return counted == [each.count(KEPT) for each in sets] and tokens < reading.cutoff_len


def _conclude_feedback(sets: Sequence[Judged], fates: bytearray, reading: Reading, findings: Findings) -> None:
    bad = set(shards.bad_partners(fates, reading))
    lengths = [len(each.fates.rstrip(bytes([UNUSED]))) for each in sets]
    places = enumerate(shards.order(lengths, reading.mix_strategy)) if bad else ()
    for which, row in dict.fromkeys(place for number, place in places if number in bad):
        file, line = sets[which].partners.get(row + 1, (sets[which].place, 0))
        text = "it has no answer that the prompt after it can be paired with"
        findings.add(kinds.NEIGHBOUR, text, file, (row + 1, line))
    labels = set[bool]().union(*(each.labels for each in sets))
    if len(labels) == 1:
        findings.about(kinds.ONE_LABEL, f"all labels are {str(*labels).lower()}", sets[0].place)


def _counted(rows: Iterator[Read], progress: Callable[[int], None]) -> Iterator[Read]:
    """Yield the rows, and tell of every thousand of them."""
    for number, row in enumerate(rows, 1):
        if not number % _OFTEN:
            progress(_OFTEN)
        yield row


_OFTEN = 1000


class _Judge:
    """Judge of one data set."""

    def __init__(
        self,
        found: DataSet,
        reading: Reading,
        findings: Findings,
        duplicates: Duplicates,
        tokenizer: Tokenizer | None,
    ) -> None:
        self._set, self._reading, self._findings = found, reading, findings
        self._duplicates = duplicates
        self._converter = Converter(found.entry)
        self._stage = Stage(reading.stage, reading.multimodal, reading.plain_tools)
        self._judged = Judged(found.name, found.entry.formatting, len(found.files), found.evaluated)
        self._judged.place = str(found.files[0])
        self._cuts = Cuts(reading, tokenizer, self._judged, findings) if tokenizer else None
        self._first: Column | None = None
        self._table = Column()
        self._file = ""
        self._dates = False
        self._broken = False

    def run(self, progress: Callable[[int], None]) -> Judged:
        """Judge every row, then the set as a whole."""
        for path in self._set.files:
            self._file = str(path)
            try:
                with opened(path, self._set) as rows:
                    self._read(_counted(rows, progress))
            except OSError as problem:
                self._findings.about(kinds.UNREADABLE, f"it cannot be read: {problem.strerror or problem}", self._file)
                self._broken = True
            except Unread as unread:
                self._findings.about(unread.kind, str(unread), self._file)
                return self._judged
        if self._cuts:
            self._cuts.finish()
        self._conclude()
        return self._judged

    def _read(self, rows: Iterator[Read]) -> None:
        convert, decide = self._converter.convert, self._stage.decide
        fates, most = self._judged.fates, self._reading.max_samples
        for line, row in rows:
            if type(row) is End:
                self._end_part(row)
                continue
            number = len(fates) + 1
            used = most is None or number <= most
            if type(row) is not dict:
                row = self._replaced(row, number, line, used=used)  # noqa: PLW2901 - what the reader makes of it
                if row is None:
                    continue
            try:
                self._table.observe(row)
            except Conflict as conflict:
                self._conflict(conflict, number, line)
                fates.append(FAILED)
                continue
            if not used:
                fates.append(UNUSED)
                continue
            try:
                example = convert(row)
                dropped = decide(example)
            except Fault as fault:
                fates.append(FAILED)
                self._findings.add(fault.kind, fault.text, self._file, (number, line))
                continue
            self._judge(example, dropped, number, line)

    def _replaced(self, row: Any, number: int, line: int, *, used: bool) -> Row | None:
        """Return what the reader makes of a row that is no mapping; report it where that is nothing."""
        if row is None and number > 1 and self._set.form == "json":
            return _NO_FIELDS
        broken = row if isinstance(row, Broken) else Broken(kinds.TYPES, "it is no mapping of columns to values")
        if used or not broken.loads:
            self._findings.add(broken.kind, broken.text, self._file, (number, line))
        self._broken = self._broken or not broken.loads
        self._judged.fates.append(FAILED if used or not broken.loads else UNUSED)
        return None

    def _conflict(self, conflict: Conflict, number: int, line: int) -> None:
        text = f"{conflict.path} is {conflict.now.value}, and {conflict.before.value} in the rows before"
        self._findings.add(kinds.TYPES, text, self._file, (number, line))
        self._broken = True

    def _judge(self, example: Example, dropped: tuple[kinds.Kind, str] | None, number: int, line: int) -> None:
        """Keep a row's fate, and report what is odd about it."""
        row = (number, line)
        code = shards.code(example)
        if self._stage.name == "kto":
            code |= self._pair(example, row)
        if dropped:
            self._judged.fates.append(DROPPED | code)
            self._findings.add(*dropped, self._file, row)
            return
        self._judged.fates.append(KEPT | code)
        for kind, text in remarks(example, self._stage.name):
            self._findings.add(kind, text, self._file, row)
        self._judged.characters.add(characters(example))
        if known := self._duplicates.seen(example, evaluated=self._set.evaluated):
            self._findings.add(kinds.DUPLICATE, known, self._file, row)
        if self._cuts:
            self._cuts.add(example, self._file, row)

    def _pair(self, example: Example, row: tuple[int, int]) -> int:
        """Return what KTO must know of an example beside its fate."""
        if len(example.response) > 1:
            self._judged.labels.add(bool(example.response[0][1]))
        bit = shards.partner(example)
        if bit and len(self._judged.partners) < KEPT_ROWS:
            self._judged.partners[row[0]] = (self._file, row[1])
        return bit

    def _end_part(self, end: End) -> None:
        """Compare the columns of a part with those of the first one, which all must have."""
        if self._first is None:
            self._first, self._dates = self._table, end.dates
        else:
            for path, reason in self._first.refusals(self._table):
                self._findings.about(kinds.LATE_COLUMN, f"column {path}: {reason}", self._file)
                self._broken = True
        self._table = Column()

    # the set as a whole

    def _conclude(self) -> None:
        judged, where = self._judged, self._judged.place
        unused = judged.count(UNUSED)
        if unused:
            text = f"{unused} of {len(judged.fates)} rows are not used: max_samples is {self._reading.max_samples}"
            self._findings.about(kinds.UNUSED, text, where, "set trainer.args.max_samples=null")
        if not judged.fates:
            self._findings.about(kinds.NOTHING, "there are no rows", where)
        elif self._lacks_columns(where):
            self._findings.forget_rows({str(file) for file in self._set.files})
            judged.fates = bytearray(FAILED if value & shards.FATE else UNUSED for value in judged.fates)
        elif not self._broken and not judged.count(FAILED):
            late = [] if self._reading.streaming else list(shards.late_values(judged.fates, self._reading))
            for text in late:
                self._findings.about(kinds.LATE_VALUE, text, where)
            judged.sound = not late

    def _lacks_columns(self, where: str) -> bool:
        """Report columns that the entry names and no row has, and those that are taken for dates."""
        table = self._first or self._table
        missing = [path for path in self._converter.absent if None in path or table.at([str(p) for p in path]) is None]
        for path in sorted(missing, key=str):
            self._findings.about(kinds.COLUMN, _missing(path), where, _COLUMN_HELP)
        return bool(missing) | self._takes_dates(table, where)

    def _takes_dates(self, table: Column, where: str) -> bool:
        if not self._dates:
            return False
        found = [path for path in _texts(self._set.entry) if (column := table.at(path)) and column.dates]
        for path in found:
            text = f"every value of {'.'.join(path)} looks like a date and is read as one, not as a text"
            self._findings.about(kinds.DATES, text, where)
        return bool(found)


_COLUMN_HELP = "correct dataset.info.columns, or the entry in dataset_info.json"


def remarks(example: Example, stage: str) -> Iterator[tuple[kinds.Kind, str]]:
    """Yield what is odd about a row that is trained on."""
    if stage == "pt":
        if len(example.prompt) > 1:
            yield kinds.FIRST_MESSAGE, "pre-training reads the first message alone"
        if not example.prompt[0][1]:
            yield kinds.EMPTY_PROMPT, "its text is empty"
        return
    if not any(content for _, content in example.prompt):
        yield kinds.EMPTY_PROMPT, "its prompt is empty"
    answers = [content for _, content in example.response]
    if stage == "rm" and answers[0] == answers[1]:
        yield kinds.SAME_PAIR, "chosen and rejected answer are the same"
    elif not any(answers) if stage == "kto" else not all(answers):
        yield kinds.EMPTY_ANSWER, "its answer is empty"
    if example.odd_role:
        yield kinds.ROLE_KEPT, f"its chosen or rejected answer is from {example.odd_role}, and trained on all the same"


def _missing(path: tuple[str | None, ...]) -> str:
    if None in path:
        return "the entry leaves out a column or tag that its form needs; `columns` and `tags` replace all defaults"
    named = ".".join(str(part) for part in path)
    return f"no row has {named}, which the entry names or means by default"


def _texts(entry: Any) -> Iterator[tuple[str, ...]]:
    if entry.formatting == "alpaca":
        names = (entry.prompt, entry.query, entry.response, entry.chosen, entry.rejected, entry.system, entry.tools)
        yield from ((name,) for name in names if name)
        return
    yield from ((name,) for name in (entry.system, entry.tools) if name)
    if entry.messages and entry.content_tag:
        yield entry.messages, "[]", entry.content_tag
