"""Where a value comes from: of a configuration key forwards, of a manifest's line backwards.

A key is replayed over the files and overrides that speak of it (`blame`).  A line of a manifest is led back
by experiment: every value of the configuration is changed, one at a time, the job is lowered again, and the
values whose change reaches the line are those that made it.  Nothing has to be kept up to date for that,
and what no value reaches is ftgen's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftgen import kube, lineage, pipeline, record, yamlio
from ftgen.blame import KeyOrigins, Origin, add_key_locations
from ftgen.compose import Composer, displayed
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error
from ftgen.lineage import ABSENT, MOVED, LoweringInput, as_config, value_at
from ftgen.text.paths import Steps, leaves


@dataclass(frozen=True, slots=True)
class KeyExplanation:
    """Everything that was said about a configuration key, in the order it was applied.

    Attributes:
        key: dotted.
        value: what it resolved to; absent where nothing was set or the configuration was rejected.
        statements: the last one holds.
        references: what the value that holds was interpolated from, one hop.
        choices: by group, who chose its option; the last one holds.
    """

    key: str
    value: Any
    statements: tuple[Origin, ...]
    references: tuple[Origin, ...]
    choices: Mapping[str, tuple[Origin, ...]]


@dataclass(frozen=True, slots=True)
class Cause:
    """A configuration key, script, overlay or choice that made a line, and where it was said."""

    name: str
    locations: tuple[Location, ...]
    value: str = ""


@dataclass(frozen=True, slots=True)
class LineExplanation:
    """What made a line of a manifest; no cause: ftgen computed it, or writes it for every job.

    Attributes:
        path: of the manifest, e.g. `("spec", "tasks", 0, "name")`.
        value: at that path; of a text of several lines, the line.
        causes: an overlay or script that wrote it, else the keys that it depends on.
        overrides: the command line that `<command line>` locations count.
        changed: whether the configuration is no longer what the manifest was rendered from.
    """

    path: Steps
    value: Any
    causes: tuple[Cause, ...]
    overrides: tuple[str, ...] = ()
    changed: bool = False


# --- keys ----------------------------------------------------------------------------------------------


def key(name: str, config: Mapping[str, Any], origins: KeyOrigins) -> KeyExplanation | None:
    """The story of a key; `None` where nobody spoke of it.

    Args:
        name: dotted key, or a group.
        config: the resolved configuration; empty where it was rejected.
        origins: see `KeyOrigins.of`.
    """
    value = value_at(config, _steps(name))
    statements, chosen = tuple(origins.origins(name)), tuple(origins.choice_origins(name.replace(".", "/")))
    if not statements and not chosen and value is ABSENT:
        return None
    group = name.partition(".")[0]
    above = {} if chosen else {group: tuple(origins.choice_origins(group))}
    choices = {name.replace(".", "/"): chosen} if chosen else {g: said for g, said in above.items() if said}
    return KeyExplanation(name, value, statements, tuple(origins.references(name)), choices)


def _steps(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^.\[\]]+", name))


# --- lines ---------------------------------------------------------------------------------------------


def line(file: Path, number: int, composer: Composer) -> LineExplanation:
    """The story of a line in a manifest that ftgen rendered.

    Args:
        file: the manifest, or a stream of several.
        number: the line, from 1.
        composer: with the search path that the manifest was rendered with.

    Raises:
        Rejected: the file is no manifest of ftgen's, has no such line, or its configuration is rejected now.
    """
    manifest, path, offset = _place(file, number)
    overrides = _overrides(_maker(manifest, file), file)
    composer = Composer(replace(composer.request, overrides=overrides))
    try:
        return RebuiltJob.of(manifest, overrides, composer).explain(manifest, path, offset)
    except Rejected as rejected:
        raise Rejected(_in_file(rejected, file, KeyOrigins.of(composer, overrides))) from None


def _in_file(rejected: Rejected, file: Path, origins: KeyOrigins) -> Iterator[Diagnostic]:
    """What is wrong with a manifest's overrides, at the line of the manifest that holds them."""
    lines = yamlio.read_text(file).split("\n")
    number = next((n for n, text in enumerate(lines, 1) if record.OVERRIDES in text), 1)
    for diagnostic in add_key_locations(rejected.diagnostics, origins):
        places = (Location(str(file), number) if p.file == COMMAND_LINE else p for p in diagnostic.locations)
        yield diagnostic.at(*dict.fromkeys(places))


def _place(file: Path, number: int) -> tuple[dict[str, Any], Steps, int]:
    """The document at a line, the path of the entry there, and how many lines below the entry's key it is."""
    text = yamlio.read_text(file)
    if not 1 <= number <= text.count("\n") + 1:
        raise Rejected([_no_line(file, number, f"it has {text.count(chr(10))} lines")])
    above = [
        (mark.line, len(path), document.value, path)
        for document in yamlio.documents(text, str(file))
        for path, mark in document.places().items()
        if path and mark.line <= number and isinstance(document.value, dict)
    ]
    if not above:
        raise Rejected([_no_line(file, number, "no manifest begins before it")])
    begins, _, manifest, path = max(above, key=lambda entry: entry[:2])
    if begins < number and "\n" not in str(value_at(manifest, path)):
        raise Rejected([_no_line(file, number, "it is a comment or empty")])
    return manifest, path, number - begins


def _no_line(file: Path, number: int, why: str) -> Diagnostic:
    return error("FT018", f"line {number} of {file} holds nothing to explain: {why}", value=number).at(
        Location(str(file), number)
    )


def _maker(manifest: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """The job that says how the manifest was made: itself, or the one beside it that came with a claim."""
    beside = (
        (d for other in sorted(file.parent.glob("job-*.yaml")) for d in yamlio.read_all(other))
        if file.is_file()
        else ()
    )
    name = value_at(manifest, ("metadata", "name"))
    for job in (manifest, *yamlio.read_all(file), *beside):
        sources = (("persistentVolumeClaim", "claimName"), ("configMap", "name"))
        named = [value_at(volume, source) for volume in _volumes(job) for source in sources]
        if record.OVERRIDES in record.annotations_of(job) and (job == manifest or name in named):
            return dict(job)
    headline = f"{file} was not rendered by ftgen: no job in it carries {record.OVERRIDES}"
    raise Rejected([error("FT018", headline, value=file).at(Location(str(file), 1))])


def _volumes(job: Any) -> list[dict[str, Any]]:
    found = value_at(job, ("spec", "tasks", 0, "template", "spec", "volumes"))
    return [v for v in found if isinstance(v, dict)] if isinstance(found, list) else []


@dataclass(frozen=True)
class RebuiltJob:
    """A job compiled again from what its manifest says of it, ready to be asked about its lines."""

    source: LoweringInput
    composer: Composer
    origins: KeyOrigins
    dependents: Mapping[str, Mapping[Steps, tuple[Any, ...]]]
    changed: bool = False

    @classmethod
    def of(cls, manifest: Mapping[str, Any], overrides: tuple[str, ...], composer: Composer) -> RebuiltJob:
        """Compile the manifest's own command line again, and try every value.

        Raises:
            Rejected: the overrides are rejected today.
        """
        job = pipeline.compile_job(composer, overrides)
        source = LoweringInput.of(composer, overrides)
        digest = record.annotations_of(manifest).get(record.DIGEST)
        changed = digest not in (None, f"sha256:{job.identity.digest}")
        return cls(source, composer, KeyOrigins.of(composer, overrides), lineage.dependents(source), changed)

    def explain(self, manifest: Mapping[str, Any], path: Steps, offset: int = 0) -> LineExplanation:
        """What made the entry at a path; `offset` counts lines below its key in a text of several."""
        value = value_at(manifest, path)
        text = (
            value.splitlines()[offset - 1]
            if isinstance(value, str) and 0 < offset <= len(value.splitlines())
            else value
        )
        if isinstance(value, (dict, list)):
            causes = self._presence(manifest, path)
        else:
            causes = self._script(value, offset) or self._overlay(manifest, path) or self._keys(manifest, path, text)
        return LineExplanation(path, text, tuple(causes), self.source.identity.overrides, self.changed)

    def _script(self, value: Any, offset: int) -> list[Cause]:
        """A script is a file, line by line, whether a ConfigMap or a container's command holds it."""
        trainer = self.source.spec.trainer
        for name in (trainer.prepare_script, trainer.script) if isinstance(value, str) and "\n" in value else ():
            if value in (text := self.composer.scripts(name)[name], kube.escape_dollars(text)):
                file = next(f for p in self.composer.request.search_path() if (f := p / "trainer" / name).is_file())
                place = Location(self._displayed(file), max(offset, 1))
                return [Cause(name, (place,))]
        return []

    def _overlay(self, manifest: Mapping[str, Any], path: Steps) -> list[Cause]:
        """The last overlay that says the value."""
        return [
            Cause(f"overlay {patch.group}/{patch.option}", (replace(place, file=self._displayed(Path(place.file))),))
            for patch, place in lineage.overlays_setting(self.source, manifest, path)[-1:]
        ]

    def _displayed(self, file: Path) -> str:
        return displayed(file, self.composer.request.directory)

    def _keys(self, manifest: Mapping[str, Any], path: Steps, text: Any) -> list[Cause]:
        normal = (str(manifest.get("kind", "")), *lineage.path_by_names(manifest, path))
        others = {name: reached[normal] for name, reached in self.dependents.items() if normal in reached}
        touched = [n for n, values in others.items() if _differs(text, [v for v in values if v is not ABSENT])]
        # What only takes the whole entry away is told where nothing else touches it.
        return [self._cause(name) for name in touched or (n for n, values in others.items() if ABSENT in values)]

    def _presence(self, manifest: Mapping[str, Any], path: Steps) -> list[Cause]:
        """What puts a section there, as told by what takes all of it away; else the overlay that added it."""
        top = (str(manifest.get("kind", "")), *lineage.path_by_names(manifest, path))
        kind = str(manifest.get("kind", ""))
        below = [(kind, *lineage.path_by_names(manifest, (*path, *p))) for p, _ in leaves(value_at(manifest, path))]
        gone = [
            n
            for n, reached in self.dependents.items()
            if all({ABSENT, MOVED} & {*map(_sentinel, reached.get(p, ()))} for p in below)
        ]
        return [self._cause(name) for name in gone] or ([] if self._is_lowered(top) else self._overlay(manifest, path))

    def _is_lowered(self, top: Steps) -> bool:
        """Whether a section is there before any overlay."""
        return any(p[: len(top)] == top for p in replace(self.source, patches=()).scalars())

    def _cause(self, name: str) -> Cause:
        if name == COMMAND_LINE:
            return Cause(
                name, tuple(Location(COMMAND_LINE, i) for i, _ in enumerate(self.source.identity.overrides, 1))
            )
        if name in self.source.identity.choices:
            chosen = self.origins.choice_origins(name)
            return Cause(name, tuple(o.location for o in chosen[-1:]), self.source.identity.choices[name])
        value = value_at(as_config(self.source.spec), _steps(name))
        return Cause(
            name,
            self.origins.locations(name),
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
        )


def _sentinel(value: Any) -> object:
    return value if value is ABSENT or value is MOVED else None


def _overrides(manifest: Mapping[str, Any], file: Path) -> tuple[str, ...]:
    try:
        return record.overrides(record.annotations_of(manifest))
    except ValueError as problem:
        told = f"the annotation {problem}"
        raise Rejected([error("FT018", told, value=file).at(Location(str(file), 1))]) from None


def _differs(text: Any, others: Sequence[Any]) -> bool:
    """Whether a change reached the line itself: a text of several lines may have changed elsewhere only."""
    return any(
        not (isinstance(other, str) and isinstance(text, str) and text in other.splitlines()) for other in others
    )
