"""Explanation of values: who set a configuration key, and which keys made a line of a manifest.

A key is looked up in the files and overrides that set it (`origins`).  A line of a manifest is traced by probing
(`lineage`): change every configuration value, one at a time, and lower the job again; the values whose change
alters the line made it.  So no bookkeeping has to be kept up to date.  ftgen itself computed a line that no value
alters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ftgen import pipeline
from ftgen.config.compose import Composer, displayed
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error
from ftgen.lower import record
from ftgen.provenance import dependencies
from ftgen.provenance.dependencies import ABSENT, MOVED, LoweringInput, as_config, value_at
from ftgen.provenance.origins import KeyOrigins, Origin, add_key_locations
from ftgen.text import kube, yamlio
from ftgen.text.paths import Steps, leaves


@dataclass(frozen=True, slots=True)
class KeyExplanation:
    """Statements about a configuration key, in the order they were applied.

    Attributes:
        key: dotted.
        value: its resolved value; `ABSENT` where nothing was set or the configuration was rejected.
        statements: the origins of its value; the last one holds.
        references: the origins that the value is interpolated from, one hop.
        choices: by group, the origins of the chosen option; the last one holds.
    """

    key: str
    value: Any
    statements: tuple[Origin, ...]
    references: tuple[Origin, ...]
    choices: Mapping[str, tuple[Origin, ...]]


@dataclass(frozen=True, slots=True)
class Cause:
    """Configuration key, script, overlay or choice that made a line, with its locations."""

    name: str
    locations: tuple[Location, ...]
    value: str = ""


@dataclass(frozen=True, slots=True)
class LineExplanation:
    """Causes of a line of a manifest; without a cause, ftgen computed it, or writes it for every job.

    Attributes:
        path: of the manifest, e.g. `("spec", "tasks", 0, "name")`.
        value: the value at that path; of a text of several lines, the line.
        causes: the overlay or script that wrote it, else the keys that it depends on.
        overrides: the overrides that `<command line>` locations index from 1.
        changed: whether the configuration has changed since the manifest was rendered.
    """

    path: Steps
    value: Any
    causes: tuple[Cause, ...]
    overrides: tuple[str, ...] = ()
    changed: bool = False


# --- keys ----------------------------------------------------------------------------------------------


def key(name: str, config: Mapping[str, Any], origins: KeyOrigins) -> KeyExplanation | None:
    """Explain a key; return None where nothing sets it.

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
    choices = {name.replace(".", "/"): chosen} if chosen else {g: found for g, found in above.items() if found}
    return KeyExplanation(name, value, statements, tuple(origins.references(name)), choices)


def _steps(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^.\[\]]+", name))


# --- lines ---------------------------------------------------------------------------------------------


def line(file: Path, number: int, composer: Composer) -> LineExplanation:
    """Explain a line of a manifest that ftgen rendered.

    Args:
        file: the manifest, or a stream of several.
        number: the line, counted from 1.
        composer: a composer with the search path that the manifest was rendered with.

    Raises:
        Rejected: ftgen did not render the file, it has no such line, or its configuration is now rejected.
    """
    manifest, path, offset = _place(file, number)
    maker = _maker(manifest, file)
    if record.SERVES in record.annotations_of(maker):
        headline = f"the lines of {file}, which serves a result, are not traced"
        help_ = "`ftgen explain serving.context -cn serve` says where a key comes from"
        raise Rejected([error("FT018", headline, value=file, help=help_).at(Location(str(file), number))])
    overrides = _overrides(maker, file)
    composer = Composer(replace(composer.request, overrides=overrides))
    try:
        return RebuiltJob.of(manifest, overrides, composer).explain(manifest, path, offset)
    except Rejected as rejected:
        raise Rejected(_in_file(rejected, file, KeyOrigins.of(composer, overrides))) from None


def _in_file(rejected: Rejected, file: Path, origins: KeyOrigins) -> Iterator[Diagnostic]:
    """Move diagnostics about a manifest's overrides to the line of the manifest that holds them."""
    lines = yamlio.read_text(file).split("\n")
    number = next((n for n, text in enumerate(lines, 1) if record.OVERRIDES in text), 1)
    for diagnostic in add_key_locations(rejected.diagnostics, origins):
        places = (Location(str(file), number) if p.file == COMMAND_LINE else p for p in diagnostic.locations)
        yield diagnostic.at(*dict.fromkeys(places))


def _place(file: Path, number: int) -> tuple[dict[str, Any], Steps, int]:
    """Return the document at a line, the path of the entry there, and how many lines below its key the line is."""
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
    """Return the job that records the overrides: the manifest, or the job that mounts this claim or ConfigMap."""
    siblings = (
        (d for other in sorted(file.parent.glob("job-*.yaml")) for d in yamlio.read_all(other))
        if file.is_file()
        else ()
    )
    name = value_at(manifest, ("metadata", "name"))
    for job in (manifest, *yamlio.read_all(file), *siblings):
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
    """Job compiled again from the overrides in its manifest, to explain its lines."""

    source: LoweringInput
    composer: Composer
    origins: KeyOrigins
    changed: bool = False

    @classmethod
    def of(cls, manifest: Mapping[str, Any], overrides: tuple[str, ...], composer: Composer) -> RebuiltJob:
        """Compile the manifest's overrides again.

        Raises:
            Rejected: the overrides are now rejected.
        """
        job = pipeline.compile_job(composer, overrides)
        source = LoweringInput.of(composer, overrides)
        digest = record.annotations_of(manifest).get(record.DIGEST)
        changed = digest not in (None, f"sha256:{job.identity.digest}")
        return cls(source, composer, KeyOrigins.of(composer, overrides), changed)

    @cached_property
    def dependents(self) -> Mapping[str, Mapping[Steps, tuple[Any, ...]]]:
        """Return what each configuration value changes; only a line that no script or overlay explains asks for it."""
        return dependencies.dependents(self.source)

    def explain(self, manifest: Mapping[str, Any], path: Steps, offset: int = 0) -> LineExplanation:
        """Explain the entry at a path; `offset` is the number of lines below its key in a multi-line text."""
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
        """Return the script file whose text a ConfigMap or a container's command holds; locate the same line of it."""
        trainer = self.source.spec.trainer
        for name in (trainer.prepare_script, trainer.script) if isinstance(value, str) and "\n" in value else ():
            if value in (text := self.composer.scripts(name)[name], kube.escape_dollars(text)):
                file = next(f for p in self.composer.request.search_path() if (f := p / "trainer" / name).is_file())
                place = Location(self._displayed(file), max(offset, 1))
                return [Cause(name, (place,))]
        return []

    def _overlay(self, manifest: Mapping[str, Any], path: Steps) -> list[Cause]:
        """Return the last overlay that sets the value."""
        return [
            Cause(f"overlay {patch.group}/{patch.option}", (replace(place, file=self._displayed(Path(place.file))),))
            for patch, place in dependencies.overlays_setting(self.source, manifest, path)[-1:]
        ]

    def _displayed(self, file: Path) -> str:
        return displayed(file, self.composer.request.directory)

    def _keys(self, manifest: Mapping[str, Any], path: Steps, text: Any) -> list[Cause]:
        place = (str(manifest.get("kind", "")), *dependencies.path_by_names(manifest, path))
        others = {name: changed[place] for name, changed in self.dependents.items() if place in changed}
        altering = [n for n, values in others.items() if _differs(text, [v for v in values if v is not ABSENT])]
        # A key that only removes the whole entry is a cause only where no key alters it.
        return [self._cause(name) for name in altering or (n for n, values in others.items() if ABSENT in values)]

    def _presence(self, manifest: Mapping[str, Any], path: Steps) -> list[Cause]:
        """Return the keys whose change removes the whole section, else the overlay that added it."""
        top = (str(manifest.get("kind", "")), *dependencies.path_by_names(manifest, path))
        kind = str(manifest.get("kind", ""))
        below = [
            (kind, *dependencies.path_by_names(manifest, (*path, *p))) for p, _ in leaves(value_at(manifest, path))
        ]
        removing = [
            n
            for n, changed in self.dependents.items()
            if all({ABSENT, MOVED} & {*map(_sentinel, changed.get(p, ()))} for p in below)
        ]
        return [self._cause(name) for name in removing] or (
            [] if self._is_lowered(top) else self._overlay(manifest, path)
        )

    def _is_lowered(self, top: Steps) -> bool:
        """Return whether the section exists before any overlay is applied."""
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
        headline = f"the annotation {problem}"
        raise Rejected([error("FT018", headline, value=file).at(Location(str(file), 1))]) from None


def _differs(text: Any, others: Sequence[Any]) -> bool:
    """Return whether a change alters the line itself, and not only other lines of its text."""
    return any(
        not (isinstance(other, str) and isinstance(text, str) and text in other.splitlines()) for other in others
    )
