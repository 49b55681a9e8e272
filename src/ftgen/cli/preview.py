"""`ftgen preview [OVERRIDES]`: what each pod of a job will see; of a committed run or any manifests, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from ftgen import pipeline
from ftgen.cli import many, output, request, streams
from ftgen.cli.arguments import Arguments, Usage, is_override
from ftgen.diagnostics import Location, Rejected, error
from ftgen.output.tree import kind_of
from ftgen.review import preview
from ftgen.review.preview import Pod, Row, Section
from ftgen.schema.version import version_of
from ftgen.text import jsontext, lines, yamlio
from ftgen.validation.manifest import objects

_BESIDE = ("ConfigMap", "PersistentVolumeClaim", "Service")
"""Kinds that say more about a job's pods, and lie in its folder."""
_WIDEST = 240
_LABEL = 24
_FIRST_PODS = 2
_FIRST_LINES = 3
_FIRST_RUNS = 40
_NONE = "-"
_LONGEST = 6
"""Lines of the terminal that a line of a value takes at most."""


def run(arguments: Arguments) -> int:
    """Show the pods, or print them as JSON."""
    jobs, is_sweep = _jobs(arguments)
    if arguments.flags.json:
        print(jsontext.document({"jobs": [_plain(each) for each in jobs]}))  # noqa: T201
    else:
        width = min(streams.width(), _WIDEST)
        shown = _list(jobs, width, arguments) if is_sweep else _pages(jobs, width, arguments)
        output.print_text(line.rstrip() for line in shown)
    return 0


def _plain(pods: Sequence[Pod]) -> dict[str, Any]:
    first = pods[0]
    return {
        "kind": first.kind,
        "name": first.job,
        "namespace": first.namespace,
        "replicas": preview.replicas(pods),
        "pods": to_builtins(pods),
    }


# finding the jobs


def _jobs(arguments: Arguments) -> tuple[list[tuple[Pod, ...]], bool]:
    """Return the pods of each job that the words describe or name, and whether these are a sweep."""
    named = [word for word in arguments.overrides if not is_override(word)]
    if not named:
        return _rendered(arguments)
    if arguments.overrides != tuple(named[:1]):
        raise Usage("preview takes overrides, or one run or file: `ftgen preview sft-1a2b3c4d`")
    found = _in_file(named[0]) if _is_file(named[0]) else _in_tree(named[0], arguments)
    jobs = [pods for _, pods in preview.jobs(found)]
    if not jobs:
        help_ = "name a file with a VolcanoJob, a Job or a Deployment that has pods"
        headline = f"{named[0]} holds no job whose pods could be told"
        raise Rejected([error("FT541", headline, value=named[0], help=help_).at(Location(named[0]))])
    return jobs, False


def _rendered(arguments: Arguments) -> tuple[list[tuple[Pod, ...]], bool]:
    with request.open_composer(arguments) as composer:
        if not request.is_sweep(arguments, composer):
            job = pipeline.compile_job(composer, arguments.overrides)
            noticed = request.add_locations(composer, arguments, job.diagnostics)
            output.print_diagnostics(output.apply_strict(noticed, arguments), arguments, to_stderr=True)
            return [_pods(job)], False
        batch = many.expanded(arguments, composer)
        jobs = [_pods(job) for job in batch]
    output.print_diagnostics(output.apply_strict(batch.diagnostics, arguments), arguments, to_stderr=True)
    return jobs, True


def _pods(job: pipeline.Compiled) -> tuple[Pod, ...]:
    return preview.pods(job.bundle.objects, version_of(job.spec.cluster.volcano_version))


def _is_file(name: str) -> bool:
    return name == "-" or name.endswith((".yaml", ".yml", ".json"))


def _in_file(name: str) -> list[Any]:
    text = yamlio.read_stdin() if name == "-" else yamlio.read_text(Path(name), name)
    return [value for document in yamlio.parse_all(text, name) for _, value in objects(document)]


def _in_tree(name: str, arguments: Arguments) -> list[Any]:
    """Return the objects of a committed run, with those of its folder that its pods refer to.

    Raises:
        Rejected: FT527, there is no such run, or there are several; other FT5xx, the tree cannot be read.
    """
    from ftgen.cli import reading  # noqa: PLC0415 - as above
    from ftgen.remote import gitops  # noqa: PLC0415 - loaded only for what is committed

    with reading.open_tree(arguments) as (store, lock):
        path = gitops.file_of(lock, name)
        folder = path.rpartition("/")[0]
        beside = [
            each
            for each, entry in lock.files.items()
            if each.rpartition("/")[0] == folder and kind_of(entry.object) in _BESIDE
        ]
        texts = [(each, store.read(each) or b"") for each in (*beside, path)]
    parsed = (yamlio.parse_all(content.decode("utf-8", "replace"), each) for each, content in texts)
    return [value for documents in parsed for document in documents for _, value in objects(document)]


# one job


def _pages(jobs: Iterable[Sequence[Pod]], width: int, arguments: Arguments) -> Iterator[str]:
    for position, pods in enumerate(jobs):
        yield from ("", "") if position else ()
        yield _title(pods)
        for _, group in groupby(pods, key=lambda pod: pod.task):
            yield from _task(list(group), width, show_all=arguments.flags.all)


def _title(pods: Sequence[Pod]) -> str:
    first = pods[0]
    place = f" in {first.namespace}" if first.namespace else ""
    return lines.printable(f"{first.job}: {first.kind}{place}, {_counted(preview.replicas(pods), 'pod')}")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _task(pods: Sequence[Pod], width: int, *, show_all: bool) -> Iterator[str]:
    """Yield the pods of a task side by side."""
    shown = pods if show_all else pods[:_FIRST_PODS]
    heads = [_short(pod) for pod in shown]
    table = _Table(heads, width, show_all=show_all)
    for section in preview.compare(shown):
        yield from table.section(section)
    if len(shown) < pods[0].replicas:
        how = " (--all shows every pod)" if len(shown) < len(pods) else ""
        yield ""
        yield f"… and {_counted(pods[0].replicas - len(shown), 'more pod')} of this task{how}"


def _short(pod: Pod) -> str:
    """Return the end of a pod's name by which it is told from the others of its job."""
    return lines.printable(pod.name.removeprefix(f"{pod.job}-"))


_TITLES = {"pod": "pod", "env": "environment", "mounts": "mounts", "secrets": "secrets, by name"}
_SHARED = ("env", "mounts")
"""Sections of which a container shows only what no earlier one has."""


class _Table:
    """Printer of sections: a label, then one value for all pods, or where they differ one for each."""

    def __init__(self, heads: Sequence[str], width: int, *, show_all: bool) -> None:
        self.heads = heads
        self.width = width
        self.show_all = show_all
        self.earlier: dict[tuple[str, Row], str] = {}

    def section(self, section: Section) -> Iterator[str]:
        """Yield a section; nothing where it has no lines."""
        rows, alike = self._split(section)
        if rows or alike:
            yield ""
            yield self._heading(section)
        size = max((len(label) for row in rows if len(label := _printable(row.label)) <= _LABEL), default=_LABEL)
        for row in rows:
            yield from self._row(row, size)
        for container, labels in alike.items():
            yield from self._value(f"  (as {_printable(container)})".ljust(size + 4), ", ".join(labels))

    def _split(self, section: Section) -> tuple[list[Row], dict[str, list[str]]]:
        """Return the lines that no earlier container has shown, and the labels of the others by that container."""
        rows: list[Row] = []
        alike: dict[str, list[str]] = {}
        for row in section.rows:
            first = self.earlier.setdefault((section.title, row), section.container)
            if section.title in _SHARED and first != section.container:
                alike.setdefault(first, []).append(row.label)
            else:
                rows.append(row)
        return rows, alike

    def _heading(self, section: Section) -> str:
        title = _TITLES.get(section.title, "")
        parts = [part for part in (_printable(section.container), title) if part]
        return ", ".join(parts)

    def _row(self, row: Row, size: int) -> Iterator[str]:
        label, mark = _printable(row.label), "*" if row.differs else " "
        if len(label) > size:
            yield f"{mark} {label}"
            label = ""
        lead = f"{mark} {label.ljust(size)}  "
        yield from self._different(row, lead) if row.differs else self._value(lead, row.values[0])

    def _different(self, row: Row, lead: str) -> Iterator[str]:
        """Yield values in columns where they fit, else below each other with the pod of each."""
        values = [_NONE if value is None else value for value in row.values]
        columns = (self.width - len(lead)) // len(values)
        if all(len(value) < columns and value.isprintable() for value in values):
            yield lead + "".join(value.ljust(columns) for value in values)
            return
        widest = max(map(len, self.heads))
        for head, value in zip(self.heads, values, strict=True):
            yield from self._value(f"{lead}{head.ljust(widest)}  ", value)
            lead = lead[0].ljust(len(lead))

    def _value(self, lead: str, value: str | None) -> Iterator[str]:
        """Yield a value behind its label, its further lines below its first."""
        text = (_NONE if value is None else value).splitlines() or [""]
        kept = text if self.show_all or len(text) <= _FIRST_LINES + 1 else text[:_FIRST_LINES]
        room = max(self.width - len(lead), _LABEL)
        wrapped = [piece for line in kept for piece in self._pieces(_printable(line), room)]
        if len(kept) < len(text):
            wrapped.append(f"… {_counted(len(text) - len(kept), 'more line')} (--all)")
        for position, piece in enumerate(wrapped):
            yield f"{lead if position == 0 else ' ' * len(lead)}{piece}"

    def _pieces(self, line: str, room: int) -> Iterator[str]:
        """Yield a line in pieces, of a very long one the first."""
        shown = line if self.show_all else line[: _LONGEST * room]
        yield from _wrapped(shown, room)
        if len(shown) < len(line):
            yield f"… {len(line) - len(shown)} more characters (--all)"


def _printable(text: str) -> str:
    """Return a text on one line that cannot control the terminal."""
    return lines.visible(text.replace("\n", " "))


_ENDS = ((" ", ",", "/"), (".", "-", ":"))
"""Characters after which a line may break: where the first are, else where the others are."""


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Break a line where a reader would, and anywhere else only what has no such place."""
    start = 0
    while len(text) - start > width:
        cuts = (max(text.rfind(end, start, start + width) for end in ends) + 1 for ends in _ENDS)
        cut = next((cut for cut in cuts if cut > start + width // 3), start + width)
        yield text[start:cut].rstrip(" ")
        start = cut + len(text[cut : cut + width]) - len(text[cut : cut + width].lstrip(" "))
    yield text[start:]


# a sweep


def _list(jobs: Sequence[Sequence[Pod]], width: int, arguments: Arguments) -> Iterator[str]:
    """Yield each run with the lines of what its first pod sees that not all runs have."""
    seen = [_lines(pods[0]) for pods in jobs]
    common = set(seen[0]).intersection(*seen) if seen else set()
    yield f"{_counted(len(jobs), 'run')}; below each, what its first pod sees and not every other's does"
    shown = jobs if arguments.flags.all else jobs[:_FIRST_RUNS]
    for pods, own in zip(shown, seen, strict=False):
        yield ""
        head = f"{_counted(preview.replicas(pods), 'pod')}{_devices(pods[0])}"
        yield from _hanging(f"{lines.printable(pods[0].job)}  ", head, width)
        for label, line in dict.fromkeys((label, line) for _, label, line in own if (_, label, line) not in common):
            yield from _hanging(f"  {_printable(label).ljust(_LABEL)}  ", _printable(line), width)
    if len(shown) < len(jobs):
        yield f"\n… and {_counted(len(jobs) - len(shown), 'run')} more (--all shows every run)"


def _hanging(lead: str, text: str, width: int) -> Iterator[str]:
    for position, piece in enumerate(_wrapped(text, max(width - len(lead), _LABEL))):
        yield f"{lead if position == 0 else ' ' * len(lead)}{piece}"


def _devices(pod: Pod) -> str:
    found = {name: number for container in pod.containers for name, number in container.devices.items()}
    return "".join(f", {lines.printable(name)} {number}" for name, number in found.items())


def _lines(pod: Pod) -> dict[tuple[str, str, str], None]:
    """Return the lines of all values by container and label, without the name of the job, which no two share."""
    found: dict[tuple[str, str, str], None] = {}
    for (container, title), labelled in preview.sections(pod).items():
        for label, value in labelled.items() if title != "pod" else ():
            for line in value.replace(pod.job, "…").splitlines():
                found[container, label, line.strip()] = None
    return found
