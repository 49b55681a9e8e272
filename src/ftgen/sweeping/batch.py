"""Jobs of a sweep, compiled one at a time, and the files written beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from ftgen.config.compose import Composer, Composition
from ftgen.diagnostics import Diagnostic, Rejected, note
from ftgen.lower import naming, render
from ftgen.output.tree import Run
from ftgen.pipeline import Compiled, SweepPosition, Workspace, compile_spec
from ftgen.spec import Spec, admit
from ftgen.sweeping import Point, Sweep, axes, index, queue
from ftgen.sweeping.causes import Causes
from ftgen.sweeping.label import without_prefix
from ftgen.sweeping.parallel import parallel_map
from ftgen.sweeping.places import Places
from ftgen.validation.incremental import IncrementalCompile


class Batch:
    """Jobs of a sweep, compiled during iteration, one at a time.

    Attributes:
        composer: composer of the points.
        sweep: points with their settings.
        folder: folder of the jobs; empty until the first job is compiled, unless the sweep or all jobs have a name.
        rows: index rows of the jobs compiled so far.
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
            composer: composer of the points.
            points: the sweep.
            progress: called with the number of compiled points after each.
            workers: number of processes that compile a sweep of many points; see `parallel_map`.
        """
        self.composer = composer
        self.sweep = points
        name = points.settings.name or _typed_name(composer, points)
        self.folder = naming.folder_of(name) if name else ""
        self.rows: list[index.Row] = []
        self.diagnostics: list[Diagnostic] = []
        self._progress = progress
        self._workers = workers if len(points.points) >= _MANY else 1
        self._compiler = Compiler(composer)
        self._last: Compiled | None = None

    def __iter__(self) -> Iterator[Compiled]:
        """Compile every point; points that render the same job are compiled once.

        Raises:
            Rejected: after the last point, with every cause once; the compiled jobs are invalid then.
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
            job = self._compiler.compile(composition, point, self.sweep.swept, self.folder)
            self.folder = job.identity.folder
            return job, index.row(job)
        except Rejected as rejected:
            return rejected

    def _conclude(self, causes: Causes) -> None:
        told = map(self.sweep.places.noticed, self.sweep.diagnostics)
        diagnostics = [*told, *causes.diagnostics(len(self.sweep.points), self._located)]
        if causes.has_errors:
            raise Rejected(diagnostics)
        self.diagnostics += diagnostics

    def _located(self, diagnostic: Diagnostic, point: Point) -> Diagnostic:
        """Locate a diagnostic in the files and overrides of a point; overrides at their place on the command line."""
        return located(self.composer, point, self.sweep.places, diagnostic)

    def extras(self, *, table: bool = False) -> Run:
        """Return the files beside the jobs: the index, with `table` its CSV, and a queue if parallelism is limited.

        Raises:
            Rejected: FT036, if the queue cannot be limited.
        """
        files = {f"{self.folder}/{self.folder}.ftgen-index": index.dump(self.folder, self.rows)}
        if table:
            files[f"{self.folder}/{self.folder}.csv"] = index.dump_csv(self.rows)
        limit = self.sweep.settings.max_parallel
        if limit is not None and self._last is not None:
            manifest = queue.queue(self.rows, limit, self._last.spec.cluster.labels, self.folder)
            files[f"{self.folder}/{render.file_name(manifest)}"] = render.document(manifest, self._last.identity)
        return Run(self.folder, "", f"{self.folder}/*", files)


def _typed_name(composer: Composer, points: Sweep) -> str:
    """Return the name that the command line gives to all jobs, whatever files a sweep chooses; empty if it does not."""
    overrides = points.points[0].overrides
    texts = [text for text in overrides if without_prefix(text.partition("=")[0]) == "name"]
    if not texts or "name" in points.swept or not isinstance(points.places.of(texts[-1]), int):
        return ""
    name = axes.values_set(composer, texts).get("name")
    # A reference may lead to what differs between the jobs.
    return name if isinstance(name, str) and "${" not in name else ""


class Compiler:
    """Compiler of one job after another, which reuses what they share."""

    def __init__(self, composer: Composer) -> None:
        """Compile with the overlays, schemas and scripts beside the composer's configuration."""
        self._workspace = Workspace(composer)
        self._admission = _Admission()
        self._reuse = IncrementalCompile()

    def compile(self, composition: Composition, point: Point, swept: frozenset[str], folder: str) -> Compiled:
        """Compile a composed point.

        Args:
            composition: composition of the point's overrides.
            point: the point; of a job outside of a sweep, without values and label.
            swept: keys that the sweep varies.
            folder: folder of the sweep; empty to take it from the configuration.

        Raises:
            Rejected: every problem of the first step that found an error.
        """
        spec = self._admission.admit(composition.config)
        # Swept keys do not affect the folder, so that every point has the same.
        folder = folder or naming.folder(spec, swept)
        position = SweepPosition(folder, point.label, {key: swept_text(value) for key, value in point.values.items()})
        reuse = self._reuse.of(tuple(composition.choices.items()))
        return compile_spec(spec, composition, point.overrides, self._workspace, position, reuse=reuse)


class _Admission:
    """Admission of one configuration after another, which reuses the sections that consecutive ones share.

    The points of a sweep share the sections of most groups, and admission of a section is slow.
    """

    def __init__(self) -> None:
        self._sections: dict[str, tuple[Any, Any]] = {}

    def admit(self, config: Mapping[str, Any]) -> Spec:
        """Return what `spec.admit` returns; a configuration must not be mutated after the call.

        Raises:
            Rejected: as `spec.admit` does.
        """
        shared = {key: section for key, (plain, section) in self._sections.items() if config.get(key) is plain}
        spec = admit({**config, **shared} if shared else config)
        self._sections = {key: (config[key], getattr(spec, key)) for key in config if isinstance(config[key], dict)}
        return spec


# Fewer points are compiled before other processes have started.
_MANY = 50


def located(composer: Composer, point: Point, places: Places, diagnostic: Diagnostic) -> Diagnostic:
    """Locate a diagnostic in the files and overrides of a point, whose places are given."""
    from ftgen.provenance import dependencies  # noqa: PLC0415 - only a diagnostic needs provenance

    (found,) = dependencies.add_locations(composer, point.overrides, [diagnostic])
    return places.translated(found, point.overrides)


def _content(job: Compiled) -> Hashable:
    """Return what identifies the content of a job, whatever its name."""
    return job.identity.digest, tuple(job.identity.choices.items())


def _same_job(twin: Point) -> Diagnostic:
    return note("FT037", f"this renders the same job as {twin.label or 'another point'} and is left out", "sweep")


def swept_text(value: Any) -> str:
    """Return a swept value as text: a string as it is, any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
