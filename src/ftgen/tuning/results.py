"""Results of a study's runs: from a file or a stream, or from the MLflow server that the user's environment names."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic, Location, Rejected, Severity, error, warning
from ftgen.remote.cluster import mlflow
from ftgen.remote.cluster.objects import Job
from ftgen.tuning.study import MOST_STEPS

UNREADABLE = "FT794"
_SECONDS, _PATIENCE = 120.0, 30.0
"""A step waits longer than somebody who looks at a table; a server with many runs, and a login, takes its time."""
_LISTED = 5
_LINE = 'write one {"run": NAME, "value": NUMBER} a line, or CSV with the columns run and value'


class Stage(StrEnum):
    """How far a run is."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


_ENDED = {"FINISHED": Stage.COMPLETE, "FAILED": Stage.FAILED, "KILLED": Stage.FAILED}
"""Stage by MLflow's status of a run; any other runs."""


class Report(Struct, frozen=True):
    """What is known of a run.

    Attributes:
        stage: how far it is.
        value: the objective at its end, a finite number; None before, and of a run that failed.
        reported: the objective by step.
        why: why it failed; empty otherwise.
    """

    stage: Stage = Stage.RUNNING
    value: float | None = None
    reported: Mapping[int, float] = field(default_factory=dict)
    why: str = ""


class Asked(Struct, frozen=True):
    """Run that a study asks about.

    Attributes:
        number: number of its trial.
        names: its job's name, its identity and its label.
        job: the job as it is committed; None where its file is gone.
    """

    number: int
    names: tuple[str, ...]
    job: Job | None


Reports = Mapping[int, Report]
"""Report by number of the trial."""
Source = Callable[[Sequence[Asked], str, bool], tuple[Reports, Sequence[Diagnostic]]]
"""Source of results: asked about some runs, an objective, and whether it is wanted by step."""


def nothing(_asked: Sequence[Asked], _objective: str, _by_step: bool) -> tuple[Reports, Sequence[Diagnostic]]:
    """Know of no results."""
    return {}, ()


def ended(value: float) -> Report:
    """Return the report of a run that ended with a value; one that diverged has failed."""
    if math.isfinite(value):
        return Report(Stage.COMPLETE, value)
    return Report(Stage.FAILED, why=f"it ended with {value}")


# a file


class Line(Struct, frozen=True):
    """Line of a file of results: a value at the end, or with a `step` on the way; `state` says it failed."""

    run: str
    value: float | None
    step: int | None
    state: str
    location: Location


def of_text(content: bytes, where: str) -> Source:
    """Return the results of a text: JSON objects or CSV rows with `run` and `value`, perhaps `step` and `state`.

    Lines of one run follow each other in time: the last one decides.

    Raises:
        Rejected: FT794, for each line that says nothing.
    """
    problems: list[Diagnostic] = []
    lines = list(_lines(content, where, problems))
    if problems:
        raise Rejected(problems)

    def source(asked: Sequence[Asked], _objective: str, _by_step: bool) -> tuple[Reports, Sequence[Diagnostic]]:
        numbers = {name: each.number for each in asked for name in each.names}
        found: dict[int, Report] = {}
        for line in lines:
            if (number := numbers.get(line.run)) is not None:
                found[number] = _with_line(found.get(number, Report()), line)
        return found, list(_strangers(lines, numbers))

    return source


def _strangers(lines: Sequence[Line], known: Mapping[str, int]) -> Iterator[Diagnostic]:
    names = list(dict.fromkeys(line.run for line in lines if line.run not in known))
    if names:
        first = next(line.location for line in lines if line.run == names[0])
        listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        headline = f"the results are also about {listed}, which is no run of the study, and are passed over"
        yield warning(UNREADABLE, headline, "--results", help="name runs as the study does, or leave them out").at(
            first
        )


def _with_line(known: Report, line: Line) -> Report:
    if line.state == Stage.FAILED:
        return Report(Stage.FAILED, why="the results say so")
    if line.value is None:
        return known
    if line.step is not None:
        return replace(known, reported={**known.reported, line.step: line.value})
    return replace(ended(line.value), reported=known.reported)


def _lines(content: bytes, where: str, problems: list[Diagnostic]) -> Iterator[Line]:
    try:
        rows = list(_rows(content.decode("utf-8-sig")))
    except (ValueError, RecursionError, csv.Error) as problem:
        headline = f"{where} is neither lines of JSON nor CSV: {problem}"
        problems.append(error(UNREADABLE, headline, "--results", help=_LINE))
        return
    for number, row in rows:
        location = Location(where, number)
        try:
            yield _line(row, location)
        except ValueError as problem:
            headline = f"a line of the results says nothing: {problem}"
            problems.append(error(UNREADABLE, headline, "--results", help=_LINE).at(location))


def _rows(text: str) -> Iterator[tuple[int, Any]]:
    if text.lstrip()[:1] in {"{", ""}:
        yield from ((n, json.loads(line)) for n, line in enumerate(text.split("\n"), 1) if line.strip())
        return
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if not {"run", "value"} <= set(reader.fieldnames or ()):
        raise ValueError("its first line names no columns run and value")
    yield from ((reader.line_num, row) for row in reader)


def _line(row: Any, location: Location) -> Line:
    if not isinstance(row, dict) or not isinstance(row.get("run"), str) or not row["run"]:
        raise ValueError("it names no run")
    state = "" if row.get("state") is None else row["state"]
    if not isinstance(state, str) or state not in {"", *Stage}:
        raise ValueError(f"state is {state!r}, not one of {', '.join(Stage)}")
    value, step = _number(row.get("value"), "value"), _number(row.get("step"), "step")
    if value is None and not state:
        raise ValueError("it has no value")
    if step is not None and (not step.is_integer() or not 0 <= step <= MOST_STEPS):
        raise ValueError(f"step is {step}, not a whole number from 0 on")
    return Line(row["run"], value, None if step is None else int(step), state, location)


def _number(value: object, name: str) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{name} is {value!r}, not a number")  # noqa: TRY004 - told with the others
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} is {value!r}, not a number") from None


# MLflow


def of_mlflow(server: mlflow.Server) -> Source:
    """Return the results that an MLflow server has; it tells a run by the tag with the name of its job."""
    patient = replace(server, patience=_PATIENCE)

    def source(asked: Sequence[Asked], objective: str, by_step: bool) -> tuple[Reports, Sequence[Diagnostic]]:
        jobs = [each.job for each in asked if each.job is not None]
        found, unread = mlflow.measured_runs(patient, jobs, objective, by_step=by_step, seconds=_SECONDS)
        if unread:
            raise Rejected(replace(each, severity=Severity.ERROR) for each in unread)
        told = [(each, found[each.job.key]) for each in asked if each.job is not None and each.job.key in found]
        return {each.number: _report(measured) for each, measured in told}, list(_unlogged(told, objective))

    return source


def _report(found: mlflow.Measured) -> Report:
    stage = _ENDED.get(found.status, Stage.RUNNING)
    reported = {step: value for step, value in found.reported.items() if 0 <= step <= MOST_STEPS}
    if stage is Stage.FAILED:
        return Report(Stage.FAILED, why=f"MLflow says {found.status}")
    if stage is Stage.COMPLETE and found.value is not None:
        return replace(ended(found.value), reported=reported)
    return Report(reported=reported)


def _unlogged(told: Iterable[tuple[Asked, mlflow.Measured]], objective: str) -> Iterator[Diagnostic]:
    """Warn of runs that ended without the objective: a metric of another name is meant, or nobody evaluates."""
    missing = [(each, found) for each, found in told if found.status == "FINISHED" and found.value is None]
    if missing:
        each, found = missing[0]
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        headline = f"{each.names[0]}{more} finished without logging {objective}, so that no result is told"
        how = (
            f"it logged {', '.join(found.names[:20]) or 'nothing'}; begin a study with one of these, or tell --results"
        )
        yield warning(UNREADABLE, headline, "--objective", objective, help=how)
