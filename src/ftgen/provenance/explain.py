"""Explanation of values: who set a configuration key, and which keys made a line of a manifest.

A key is looked up in the files and overrides that set it (`origins`).  A line of a manifest is traced by probing
(`lineage`): change every configuration value, one at a time, and lower the job again; the values whose change
alters the line made it.  So no bookkeeping has to be kept up to date.  ftgen itself computed a line that no value
alters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ftgen import pipeline
from ftgen.config.compose import Composer
from ftgen.config.pins import PinFile, Pins, pinned_text
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, credentials, error
from ftgen.lower import record
from ftgen.provenance import dependencies
from ftgen.provenance.dependencies import ABSENT, MOVED, LoweringInput, as_config, value_at
from ftgen.provenance.foreign import refuse_outside
from ftgen.provenance.origins import KeyOrigins, Origin, add_key_locations
from ftgen.text import kube, yamlio
from ftgen.text.files import displayed
from ftgen.text.paths import Steps, leaves


class KeyExplanation(Struct, frozen=True):
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


class Cause(Struct, frozen=True):
    """Configuration key, script, overlay or choice that made a line, with its locations; no value holds a secret."""

    name: str
    locations: tuple[Location, ...]
    value: str = ""


class LineExplanation(Struct, frozen=True):
    """Causes of a line of a manifest; without a cause, ftgen computed it, or writes it for every job.

    Attributes:
        path: of the manifest, e.g. `("spec", "tasks", 0, "name")`.
        value: the value at that path, its secrets redacted; of a text of several lines, the line.
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


def key(
    name: str, config: Mapping[str, Any], origins: KeyOrigins, pinned: Origin | None = None
) -> KeyExplanation | None:
    """Explain a key; return None where nothing sets it.

    Args:
        name: dotted key, or a group.
        config: the resolved configuration, its secrets redacted; empty where it was rejected.
        origins: see `KeyOrigins.of`.
        pinned: the pin that took the place of the key's value, if one did.
    """
    value = value_at(config, _steps(name))
    statements, chosen = tuple(origins.origins(name)), tuple(origins.choice_origins(name.replace(".", "/")))
    statements += (pinned,) if pinned else ()
    if not statements and not chosen and value is ABSENT:
        return None
    group = name.partition(".")[0]
    above = {} if chosen else {group: tuple(origins.choice_origins(group))}
    choices = {name.replace(".", "/"): chosen} if chosen else {g: found for g, found in above.items() if found}
    return KeyExplanation(name, value, statements, tuple(origins.references(name)), choices)


def _steps(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^.\[\]]+", name))


# --- lines ---------------------------------------------------------------------------------------------


Compile = Callable[[Mapping[str, Any], Composer], tuple[LoweringInput, str]]
"""Compiles the overrides of a composer again, and what else a manifest records; returns what is lowered and the digest
of its configuration, or raises `Rejected`."""


def compiled_job(_: Mapping[str, Any], composer: Composer) -> tuple[LoweringInput, str]:
    """Compile a job again."""
    overrides = composer.request.overrides
    job = pipeline.compile_job(composer, overrides)
    return LoweringInput.of(composer, overrides), job.identity.digest


def line(file: Path, number: int, composer: Composer, compiled_service: Compile) -> LineExplanation:
    """Explain a line of a manifest that ftgen rendered.

    Args:
        file: the manifest, or a stream of several.
        number: the line, counted from 1.
        composer: a composer with the search path that the manifest was rendered with.
        compiled_service: compiles what serves a result, of a layer above.

    Raises:
        Rejected: ftgen did not render the file, it has no such line, or its configuration is now rejected.
    """
    manifest, path, offset = _place(file, number)
    maker = _maker(manifest, file)
    serves = record.SERVES in record.annotations_of(maker)
    overrides, name = _recorded(maker, file, record.overrides), "serve" if serves else composer.request.config_name
    pinned = _Pinned(_recorded(maker, file, record.pins), composer.pin_file, file)
    composer = Composer(replace(composer.request, overrides=overrides, config_name=name, pins=pinned.recorded))
    try:
        refuse_outside(composer, overrides)
        rebuilt = Rebuilt.of(maker, composer, compiled_service if serves else compiled_job)
        explanation = rebuilt.explain(manifest, path, offset)
        causes = (*pinned.causes(explanation.value), *explanation.causes)
        return replace(explanation, value=_text_at(_redacted(manifest), path, offset), causes=causes)
    except Rejected as rejected:
        raise Rejected(_in_file(rejected, file, KeyOrigins.of(composer, overrides))) from None


def _in_file(rejected: Rejected, file: Path, origins: KeyOrigins) -> Iterator[Diagnostic]:
    """Move diagnostics about a manifest's overrides to the line of the manifest that holds them."""
    overrides = _line_of(file, record.OVERRIDES)
    for diagnostic in add_key_locations(rejected.diagnostics, origins):
        places = (overrides if p.file == COMMAND_LINE else p for p in diagnostic.locations)
        yield diagnostic.at(*dict.fromkeys(places))


def _line_of(file: Path, text: str) -> Location:
    """Return the first line of a manifest that holds a text."""
    lines = yamlio.read_text(file).split("\n")
    return Location(str(file), next((number for number, line in enumerate(lines, 1) if text in line), 1))


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
    """Return what records the overrides: the manifest, or the job or workload that it belongs to."""
    for other in (manifest, *yamlio.read_all(file), *_siblings(file)):
        if record.OVERRIDES in record.annotations_of(other) and (other == manifest or _owns(other, manifest)):
            return dict(other)
    headline = f"{file} was not rendered by ftgen: no job in it carries {record.OVERRIDES}"
    raise Rejected([error("FT018", headline, value=file).at(Location(str(file), 1))])


_MAKERS = ("job", "deployment", "inferenceservice")


def _siblings(file: Path) -> Iterator[Any]:
    if file.is_file():
        for kind in _MAKERS:
            for other in sorted(file.parent.glob(f"{kind}-*.yaml")):
                yield from yamlio.read_all(other)


def _owns(maker: Any, manifest: Mapping[str, Any]) -> bool:
    """Return whether a job or workload mounts a claim or ConfigMap, or is what a Service leads to."""
    name = value_at(manifest, ("metadata", "name"))
    if manifest.get("kind") == "Service":
        return record.SERVES in record.annotations_of(maker) and value_at(maker, ("metadata", "name")) == name
    sources = (("persistentVolumeClaim", "claimName"), ("configMap", "name"))
    return name in [value_at(volume, source) for volume in _volumes(maker) for source in sources]


_TEMPLATES = (("spec", "tasks", 0, "template"), ("spec", "template"), ("spec", "predictor"))


def _volumes(maker: Any) -> list[dict[str, Any]]:
    templates = (dependencies.pod_template(maker, (*place, "volumes")) for place in _TEMPLATES)
    listed = (value_at(template, ("spec", "volumes")) for template, _ in filter(None, templates))
    return [v for found in listed if isinstance(found, list) for v in found if isinstance(v, dict)]


class Rebuilt(Struct, frozen=True, dict=True):
    """Job or service compiled again from the overrides in its manifest, to explain its lines."""

    source: LoweringInput
    composer: Composer
    origins: KeyOrigins
    changed: bool = False

    @classmethod
    def of(cls, maker: Mapping[str, Any], composer: Composer, compiled: Compile = compiled_job) -> Rebuilt:
        """Compile the overrides of the composer, which a manifest records, again.

        Raises:
            Rejected: the overrides are now rejected.
        """
        source, digest = compiled(maker, composer)
        recorded = record.annotations_of(maker).get(record.DIGEST)
        changed = recorded not in (None, f"sha256:{digest}")
        return cls(source, composer, KeyOrigins.of(composer, composer.request.overrides), changed)

    @cached_property
    def dependents(self) -> Mapping[str, Mapping[Steps, tuple[Any, ...]]]:
        """Return what each configuration value changes; only a line that no script or overlay explains asks for it."""
        return dependencies.dependents(self.source)

    def explain(self, manifest: Mapping[str, Any], path: Steps, offset: int = 0) -> LineExplanation:
        """Explain the entry at a path; `offset` is the number of lines below its key in a multi-line text."""
        value, text = value_at(manifest, path), _text_at(manifest, path, offset)
        if isinstance(value, (dict, list)):
            causes = self._presence(manifest, path)
        else:
            causes = self._script(value, offset) or self._overlay(manifest, path) or self._keys(manifest, path, text)
        return LineExplanation(path, text, tuple(causes), self.source.identity.overrides, self.changed)

    def _script(self, value: Any, offset: int) -> list[Cause]:
        """Return the script file whose text a ConfigMap or a container's command holds; locate the same line of it."""
        for name, text in self.source.scripts.items() if isinstance(value, str) and "\n" in value else ():
            if value in (text, kube.escape_dollars(text)):
                group = self.source.group_of(name)
                file = next(f for p in self.composer.request.search_path() if (f := p / group / name).is_file())
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

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return _redacted(as_config(self.source.spec))

    def _cause(self, name: str) -> Cause:
        if name == COMMAND_LINE:
            return Cause(
                name, tuple(Location(COMMAND_LINE, i) for i, _ in enumerate(self.source.identity.overrides, 1))
            )
        if name in self.source.identity.choices:
            chosen = self.origins.choice_origins(name)
            return Cause(name, tuple(o.location for o in chosen[-1:]), self.source.identity.choices[name])
        value = value_at(self._settings, _steps(name))
        return Cause(
            name,
            self.origins.locations(name),
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
        )


class _Pinned(Struct, frozen=True):
    """Pins that a manifest records, beside those of the file of pins today."""

    recorded: Pins
    today: PinFile
    manifest: Path

    def causes(self, text: Any) -> Iterator[Cause]:
        """Yield the pins in the text of a line, at their line of today's file, else at the annotation."""
        for reference, pin in self.recorded.items():
            if isinstance(text, str) and pinned_text(reference, pin) in text:
                is_current = self.today.pins.get(reference) == pin
                place = self.today.at(reference) if is_current else _line_of(self.manifest, record.PINS)
                yield Cause(f"lock of {reference}", (place,), pin)


_Read = TypeVar("_Read")


def _sentinel(value: Any) -> object:
    return value if value is ABSENT or value is MOVED else None


def _recorded(manifest: Mapping[str, Any], file: Path, read: Callable[[Mapping[str, Any]], _Read]) -> _Read:
    try:
        return read(record.annotations_of(manifest))
    except ValueError as problem:
        headline = f"the annotation {problem}"
        raise Rejected([error("FT018", headline, value=file).at(Location(str(file), 1))]) from None


def _redacted(document: Mapping[str, Any]) -> dict[str, Any]:
    """Redact the secrets of a document as a whole.

    What stands beside a value tells whether it is secret: its variable's name, the lines or the words around it, and
    that another entry holds it as one.
    """
    return dict(credentials.redact_value(document, known=credentials.secrets_in(document)))


def _text_at(manifest: Mapping[str, Any], path: Steps, offset: int) -> Any:
    """Return the value at a path; of a text of several lines, the line `offset` lines below its key."""
    value = value_at(manifest, path)
    is_line = isinstance(value, str) and 0 < offset <= value.count("\n") + 1
    return value.split("\n")[offset - 1] if is_line else value


def _differs(text: Any, others: Sequence[Any]) -> bool:
    """Return whether a change alters the line itself, and not only other lines of its text."""
    return any(not (isinstance(other, str) and isinstance(text, str) and text in other.split("\n")) for other in others)
