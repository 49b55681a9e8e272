"""A sweep's jobs, compiled one at a time, and what is written beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ftgen import sweeping
from ftgen.config.compose import Composer
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, note
from ftgen.lower import naming, render
from ftgen.output.tree import Run
from ftgen.pipeline import Compiled, SweepPosition, Workspace, compile_spec
from ftgen.spec import Spec, admit
from ftgen.sweeping import Point, Sweep, index, queue
from ftgen.sweeping.causes import Causes
from ftgen.sweeping.parallel import parallel_map
from ftgen.validation.incremental import IncrementalByKind


class Batch:
    """The jobs of a sweep, compiled one at a time as they are asked for.

    Attributes:
        rows: what the jobs compiled so far ask for.
        diagnostics: warnings and notes, each once; complete after the last job.
    """

    def __init__(
        self,
        composer: Composer,
        points: Sweep,
        *,
        progress: Callable[[int], None] = lambda _: None,
        workers: int = 1,
    ) -> None:
        """Prepare to compile.

        Args:
            composer: what composes the points.
            points: the sweep.
            progress: hears how many points are done.
            workers: processes that compile, where there is enough for them to do; see `parallel_map`.
        """
        self.composer = composer
        self.sweep = points
        self.folder = naming.folder_of(points.settings.name) if points.settings.name else ""
        self.rows: list[index.Row] = []
        self.diagnostics: list[Diagnostic] = []
        self._progress = progress
        self._workers = workers if len(points.points) >= _MANY else 1
        self._workspace = Workspace(composer)
        self._admission = _Admission()
        self._incrementals = IncrementalByKind()
        self._last: Compiled | None = None

    def __iter__(self) -> Iterator[Compiled]:
        """Compile every point; points that render the same job are compiled once.

        Raises:
            Rejected: at the end, with every cause once; nothing compiled is of use then.
        """
        causes, first = Causes(), dict[Hashable, Point]()
        for done, (point, outcome) in enumerate(self._compiled(), 1):
            self._progress(done)
            if isinstance(outcome, Rejected):
                causes.add(point, outcome.diagnostics)
                continue
            job, row = outcome
            self._last, self.folder = job, job.identity.folder
            twin = first.setdefault(_content(job), point)
            causes.add(point, job.diagnostics if twin is point else [_same_job(twin)])
            if twin is point and not causes.has_errors:
                self.rows.append(row)
                yield job
        self._conclude(causes)

    def _compiled(self) -> Iterator[tuple[Point, tuple[Compiled, index.Row] | Rejected]]:
        points = self.sweep.points
        yield from zip(points, parallel_map(self._compile, points, self._workers), strict=True)

    def _compile(self, point: Point) -> tuple[Compiled, index.Row] | Rejected:
        try:
            composition = self.sweep.frames.compose(point.overrides)
            spec = self._admission.admit(composition.config)
            # What is swept has no part in the folder, so that every point gives the same.
            self.folder = self.folder or naming.folder(spec, self.sweep.swept)
            swept = {key: swept_text(value) for key, value in point.values.items()}
            position = SweepPosition(self.folder, point.label, swept)
            call = self._incrementals.of(tuple(composition.choices.items())).call
            job = compile_spec(spec, composition, point.overrides, self._workspace, position, call=call)
            return job, index.row(job.spec, job.identity, job.bundle, job.files, job.estimate)
        except Rejected as rejected:
            return rejected

    def _conclude(self, causes: Causes) -> None:
        told = causes.diagnostics(len(self.sweep.points), self._located)
        if causes.has_errors:
            raise Rejected([*self.sweep.diagnostics, *told])
        self.diagnostics += [*self.sweep.diagnostics, *told]

    def _located(self, diagnostic: Diagnostic, point: Point) -> Diagnostic:
        """Located in the files and overrides of a point, and these on the command line as typed."""
        from ftgen.provenance import dependencies  # noqa: PLC0415 - provenance costs nothing until something is to be told

        (located,) = dependencies.add_locations(self.composer, point.overrides, [diagnostic])
        typed = sweeping.positions(self.sweep, point)
        places = [_typed(place, typed) for place in located.locations]
        return located.at(*(place for place in places if place))

    def extras(self, *, table: bool = False) -> Run:
        """What the sweep writes beside its jobs: the index, a CSV of it, a queue where parallelism is limited.

        Raises:
            Rejected: FT036, when the queue cannot be limited.
        """
        files = {f"{self.folder}/{self.folder}.ftgen-index": index.dump(self.folder, self.rows)}
        if table:
            files[f"{self.folder}/{self.folder}.csv"] = index.dump_csv(self.rows)
        limit = self.sweep.settings.max_parallel
        if limit is not None and self._last is not None:
            manifest = queue.queue(self.rows, limit, self._last.spec.cluster.labels, self.folder)
            files[f"{self.folder}/{render.file_name(manifest)}"] = render.document(manifest, self._last.identity)
        return Run(self.folder, "", f"{self.folder}/*", files)


class _Admission:
    """Admit one configuration after the other, and share the sections that they share.

    The points of a sweep compose the same sections for most groups, and admitting one is slow.
    """

    def __init__(self) -> None:
        self._sections: dict[str, tuple[Any, Any]] = {}

    def admit(self, config: Mapping[str, Any]) -> Spec:
        """Return what `spec.admit` returns; a configuration must not be mutated after the call.

        Raises:
            Rejected: as `spec.admit` does.
        """
        shared = {key: section for key, (given, section) in self._sections.items() if config.get(key) is given}
        spec = admit({**config, **shared} if shared else config)
        self._sections = {key: (config[key], getattr(spec, key)) for key in config if isinstance(config[key], dict)}
        return spec


# Fewer points are compiled before other processes have got going.
_MANY = 50


def _typed(place: Location, typed: Sequence[int]) -> Location | None:
    """A place among a point's overrides as a place on the command line; None for what a file swept."""
    if place.file != COMMAND_LINE:
        return place
    position = typed[place.line - 1] if 0 < place.line <= len(typed) else 0
    return replace(place, line=position) if position else None


def _content(job: Compiled) -> Hashable:
    """What a job is made of, whatever it is called."""
    return job.identity.digest, tuple(job.identity.choices.items())


def _same_job(twin: Point) -> Diagnostic:
    return note("FT037", f"this renders the same job as {twin.label or 'another point'} and is left out", "sweep")


def swept_text(value: Any) -> str:
    """A swept value as text: a text itself, else JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
