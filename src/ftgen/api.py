"""Python API: jobs and sweeps as values, for notebooks and other programs.

It does not print, exit, change the working directory or leave state in Hydra; it raises `Rejected` with the
diagnostics that the command line would print.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, overload

from msgspec import Struct

from ftgen import pipeline, runtime, sweeping
from ftgen.config import compose
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Diagnostic
from ftgen.emulation.datasets.judge import Verdict, judge
from ftgen.emulation.datasets.lengths import Tokenizer
from ftgen.output import tree
from ftgen.output.tree import Run, WriteOptions
from ftgen.pipeline import Compiled
from ftgen.review import diff
from ftgen.review.page import notebook
from ftgen.sweeping import index
from ftgen.sweeping.batch import Batch
from ftgen.text import files, sharing


class Job(Struct, frozen=True):
    """Rendered job.

    Attributes:
        name: name of the object; ends in a dash where the API server completes it (`generateName`).
        manifests: the objects as plain dicts, the job last.
        files: content by path below the output folder.
        row: resource requests and swept values.
        overrides: the overrides it was rendered from.
        diagnostics: warnings and notes.
    """

    name: str
    manifests: tuple[dict[str, Any], ...]
    files: Mapping[str, bytes]
    row: index.Row
    overrides: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def manifest(self) -> dict[str, Any]:
        """Return the job object."""
        return self.manifests[-1]

    @property
    def yaml(self) -> str:
        """Return all objects as one stream of YAML documents."""
        return "".join(f"---\n{content.decode()}" for content in self.files.values())

    def __repr__(self) -> str:
        return f"<ftgen.Job {self.name}: {', '.join(self.files)}>"

    def _repr_html_(self) -> str:
        return notebook.job(self.row, self.files[self.row.file].decode())


# No Struct can be an abstract class.
@dataclass(frozen=True, repr=False)
class Sweep(Sequence[Job]):
    """Rendered sweep: a sequence of its jobs.

    Attributes:
        folder: folder below the output folder.
        points: the jobs in order, each once; also the items of the sequence.
        diagnostics: warnings and notes, each once.
        runs: the files for `write`: the jobs, the index, and the queue where parallelism is limited.
    """

    folder: str
    points: tuple[Job, ...]
    diagnostics: tuple[Diagnostic, ...]
    runs: tuple[Run, ...]

    @overload
    def __getitem__(self, position: int) -> Job: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Job, ...]: ...
    def __getitem__(self, position: int | slice) -> Job | tuple[Job, ...]:
        return self.points[position]

    def __len__(self) -> int:
        return len(self.points)

    @property
    def jobs(self) -> tuple[dict[str, Any], ...]:
        """Return the job objects as plain dicts."""
        return tuple(job.manifest for job in self.points)

    @property
    def totals(self) -> index.Totals:
        """Return the total resource requests of all jobs."""
        return index.totals([job.row for job in self.points])

    def records(self) -> list[dict[str, Any]]:
        """Return one flat record for each job: its name, its swept values, and its resource requests."""
        return [dict(_record(job)) for job in self.points]

    def to_pandas(self) -> Any:
        """Return the records as a `pandas.DataFrame`, indexed by job; needs pandas (`pip install ftgen[notebook]`)."""
        pandas = import_module("pandas")  # optional, and heavy
        return pandas.DataFrame.from_records(self.records(), index="job")

    def write(self, out: str | Path | None = None, *, adopt: bool = False, overwrite: bool = False) -> tree.Outcome:
        """Write every file below a folder, or none; see `ftgen.output.tree.apply`, and `WriteOptions` for the flags.

        Without a folder it is `out`, which must not be a link out of the repository.
        """
        options = WriteOptions(adopt=adopt, overwrite=overwrite, same_run=diff.same_run)
        folder = files.unnamed_folder(Path("out")) if out is None else Path(out)
        return tree.apply(tree.plan_write(folder, self.runs, options))

    def __repr__(self) -> str:
        totals = self.totals
        return f"<ftgen.Sweep {self.folder}: {totals.jobs} jobs, {totals.pods} pods, {totals.devices} cards>"

    def _repr_html_(self) -> str:
        return notebook.sweep([job.row for job in self.points])


def _record(job: Job) -> Iterator[tuple[str, Any]]:
    plain = index.as_json(job.row)
    yield "job", plain.pop("job")
    yield from plain.pop("swept").items()
    yield from plain.items()


def job(overrides: Iterable[str] = (), *, directory: str | Path = ".", config_dirs: Iterable[str | Path] = ()) -> Job:
    """Render one job.

    Args:
        overrides: overrides in Hydra's grammar, as on the command line.
        directory: the folder with the user's own `conf/` and `overlays/`.
        config_dirs: folders of configuration to search first.

    Raises:
        Rejected: with every problem of the first step that found an error.
    """
    words = tuple(overrides)
    compiled = pipeline.compile_job(_composer(words, directory, config_dirs), words)
    return _job(compiled, index.row(compiled))


def sweep(
    overrides: Iterable[str] = (),
    *,
    directory: str | Path = ".",
    config_dirs: Iterable[str | Path] = (),
    limit: int = sweeping.LIMIT,
) -> Sweep:
    """Render a sweep, as `ftgen -m` does.

    Args:
        overrides: overrides in Hydra's grammar, with sweeps.
        directory: the folder with the user's own `conf/` and `overlays/`.
        config_dirs: folders of configuration to search first.
        limit: largest number of points.

    Raises:
        Rejected: when the sweep cannot be expanded, or with every cause of a rejected point.
    """
    words = tuple(overrides)
    composer = _composer(words, directory, config_dirs)
    with runtime.few_collections():
        batch = Batch(composer, sweeping.expand(composer, words, limit=limit))
        compiled = list(batch)
    runs = (*(each.run for each in compiled), batch.extras())
    jobs = tuple(map(_job, compiled, batch.rows))
    return Sweep(batch.folder, jobs, tuple(batch.diagnostics), runs)


def data(
    path: str | Path,
    overrides: Iterable[str] = (),
    *,
    directory: str | Path = ".",
    config_dirs: Iterable[str | Path] = (),
    tokenizer: str | Path | None = None,
) -> Verdict:
    """Judge a data set as a job would read it, as `ftgen data` does.

    Args:
        path: file or folder of the data.
        overrides: overrides in Hydra's grammar, as on the command line.
        directory: the folder with the user's own `conf/` and `overlays/`.
        config_dirs: folders of configuration to search first.
        tokenizer: a tokenizer.json to count tokens with; needs the library `tokenizers` (`pip install ftgen[data]`).

    Raises:
        Rejected: when the configuration is wrong.
        OSError: when the tokenizer cannot be read.
        ValueError: when it is none.
    """
    words = tuple(overrides)
    reading = pipeline.reading(_composer(words, directory, config_dirs), words)
    return judge(Path(path), reading, Tokenizer(files.read(tokenizer)) if tokenizer else None)


def _composer(overrides: tuple[str, ...], directory: str | Path, config_dirs: Iterable[str | Path]) -> Composer:
    folders = tuple(Path(folder) for folder in config_dirs)
    return compose.Composer(Request(overrides=overrides, config_dirs=folders, directory=Path(directory)))


def _job(compiled: Compiled, row: index.Row) -> Job:
    # The jobs of a sweep share parts, and a program may change those of one.
    manifests = sharing.copy(compiled.bundle.objects)
    return Job(row.job, manifests, compiled.files, row, compiled.identity.overrides, compiled.diagnostics)
