"""Where a value comes from: of a configuration key forwards, of a manifest's line backwards.

A key is replayed over the files and overrides that speak of it (`blame`).  A line of a manifest is led back
by experiment: every value of the configuration is changed, one at a time, the job is lowered again, and the
values whose change reaches the line are those that made it.  Nothing has to be kept up to date for that,
and what no value reaches is ftgen's own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ftgen import kube, lower, naming, overlay, pipeline, yamlio
from ftgen.blame import Origin, Provenance, blame
from ftgen.compose import Composer
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error
from ftgen.lower import Bundle, Identity
from ftgen.overlay import Patch
from ftgen.pipeline import Compiled
from ftgen.spec import Spec, admit, json_schema

_OVERRIDES = "ftgen.dev/overrides"
Steps = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class KeyStory:
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


ABSENT = object()
"""The value of a key that has none."""

MOVED = object()
"""The value of a key that is gone while those beside it stay: the key itself is made of a value."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A configuration key, script, overlay or choice that made a line, and where it was said."""

    name: str
    locations: tuple[Location, ...]
    value: str = ""


@dataclass(frozen=True, slots=True)
class LineStory:
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


def provenance(composer: Composer, overrides: Sequence[str]) -> Provenance:
    """Where the values of a command line come from, even where it is rejected."""
    trace = composer.trace(composer.parse(overrides))
    return Provenance(trace.layers, trace.overrides, trace.choices)


def key(name: str, config: Mapping[str, Any], origins: Provenance) -> KeyStory | None:
    """The story of a key; `None` where nobody spoke of it.

    Args:
        name: dotted key, or a group.
        config: the resolved configuration; empty where it was rejected.
        origins: see `provenance`.
    """
    value = _at(config, _steps(name))
    statements, chosen = tuple(origins.origins(name)), tuple(origins.choice_origins(name.replace(".", "/")))
    if not statements and not chosen and value is ABSENT:
        return None
    group = name.partition(".")[0]
    above = {} if chosen else {group: tuple(origins.choice_origins(group))}
    choices = {name.replace(".", "/"): chosen} if chosen else {g: said for g, said in above.items() if said}
    return KeyStory(name, value, statements, tuple(origins.references(name)), choices)


def _steps(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^.\[\]]+", name))


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        if isinstance(value, Mapping):
            value = next((inner for key, inner in value.items() if str(key) == str(step)), ABSENT)
        elif isinstance(value, (list, tuple)) and str(step).isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return ABSENT
    return value


# --- lines ---------------------------------------------------------------------------------------------


def line(file: Path, number: int, composer: Composer) -> LineStory:
    """The story of a line in a manifest that ftgen rendered.

    Args:
        file: the manifest, or a stream of several.
        number: the line, from 1.
        composer: with the search path that the manifest was rendered with.

    Raises:
        Rejected: the file is no manifest of ftgen's, has no such line, or its configuration is rejected now.
    """
    manifest, path, offset = _place(file, number)
    overrides = _listed(_maker(manifest, file)["metadata"]["annotations"][_OVERRIDES], file)
    try:
        return Rebuilt.of(manifest, overrides, composer).story(manifest, path, offset)
    except Rejected as rejected:
        raise Rejected(_in_file(rejected, file, provenance(composer, overrides))) from None


def _in_file(rejected: Rejected, file: Path, origins: Provenance) -> Iterator[Diagnostic]:
    """What is wrong with a manifest's overrides, at the line of the manifest that holds them."""
    lines = yamlio.read_text(file).split("\n")
    number = next((n for n, text in enumerate(lines, 1) if _OVERRIDES in text), 1)
    for diagnostic in blame(rejected.diagnostics, origins):
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
    at, _, manifest, path = max(above, key=lambda entry: entry[:2])
    if at < number and "\n" not in str(_at(manifest, path)):
        raise Rejected([_no_line(file, number, "it is a comment or empty")])
    return manifest, path, number - at


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
    name = _at(manifest, ("metadata", "name"))
    for job in (manifest, *yamlio.read_all(file), *beside):
        claims = [v.get("persistentVolumeClaim", {}).get("claimName") for v in _volumes(job)]
        if isinstance(_at(job, ("metadata", "annotations", _OVERRIDES)), str) and (job == manifest or name in claims):
            return dict(job)
    headline = f"{file} was not rendered by ftgen: no job in it carries {_OVERRIDES}"
    raise Rejected([error("FT018", headline, value=file).at(Location(str(file), 1))])


def _volumes(job: Any) -> list[dict[str, Any]]:
    found = _at(job, ("spec", "tasks", 0, "template", "spec", "volumes"))
    return [v for v in found if isinstance(v, dict)] if isinstance(found, list) else []


@dataclass(frozen=True)
class Rebuilt:
    """A job compiled again from what its manifest says of it, ready to be asked about its lines."""

    job: Compiled
    composer: Composer
    origins: Provenance
    patches: tuple[Patch, ...]
    reaches: Mapping[str, Mapping[Steps, tuple[Any, ...]]]
    changed: bool = False

    @classmethod
    def of(cls, manifest: Mapping[str, Any], overrides: tuple[str, ...], composer: Composer) -> Rebuilt:
        """Compile the manifest's own command line again, and try every value.

        Raises:
            Rejected: the overrides are rejected today.
        """
        composition = composer.compose(composer.parse(overrides))
        job = pipeline.compile_composition(composer, composition, overrides)
        patches = tuple(overlay.collect(composition.choices, pipeline.overlay_folders(composer.request.directory)))
        digest = _at(manifest, ("metadata", "annotations", "ftgen.dev/config-digest"))
        changed = digest not in {ABSENT, f"sha256:{job.identity.digest}"}
        return cls(job, composer, provenance(composer, overrides), patches, _reaches(job, composer, patches), changed)

    def story(self, manifest: Mapping[str, Any], path: Steps, offset: int = 0) -> LineStory:
        """What made the entry at a path; `offset` counts lines below its key in a text of several."""
        value = _at(manifest, path)
        text = (
            value.splitlines()[offset - 1]
            if isinstance(value, str) and 0 < offset <= len(value.splitlines())
            else value
        )
        if isinstance(value, (dict, list)):
            causes = self._presence(manifest, path)
        else:
            causes = self._script(value, offset) or self._overlay(manifest, path) or self._keys(manifest, path, text)
        return LineStory(path, text, tuple(causes), self.job.identity.overrides, self.changed)

    def _script(self, value: Any, offset: int) -> list[Cause]:
        """A container's script is a file, line by line."""
        trainer = self.job.spec.trainer
        for name in (trainer.prepare_script, trainer.script) if isinstance(value, str) and "\n" in value else ():
            if value == kube.protect(self.composer.scripts(name)[name]):
                file = next(f for p in self.composer.request.search_path() if (f := p / "trainer" / name).is_file())
                return [Cause(name, (Location(displayed(file, self.composer), max(offset, 1)),))]
        return []

    def _overlay(self, manifest: Mapping[str, Any], path: Steps) -> list[Cause]:
        """The last overlay that says the value."""
        found = []
        for patch, places in self._documents():
            said = _said(patch.document, manifest, path)
            mark = places.get(said) if said else None
            if mark:
                place = Location(displayed(patch.file, self.composer), mark.line, mark.column)
                found.append(Cause(f"overlay {patch.group}/{patch.option}", (place,)))
        return found[-1:]

    def _documents(self) -> Iterator[tuple[Patch, Mapping[Steps, yamlio.Mark]]]:
        for file in dict.fromkeys(patch.file for patch in self.patches):
            places = yamlio.positions_all(yamlio.read_text(file), str(file))
            yield from zip((patch for patch in self.patches if patch.file == file), places, strict=True)

    def _keys(self, manifest: Mapping[str, Any], path: Steps, text: Any) -> list[Cause]:
        normal = (manifest.get("kind", ""), *_named(manifest, path))
        others = {name: reached[normal] for name, reached in self.reaches.items() if normal in reached}
        touched = [n for n, values in others.items() if _differs(text, [v for v in values if v is not ABSENT])]
        # What only takes the whole entry away is told where nothing else touches it.
        return [self._cause(name) for name in touched or (n for n, values in others.items() if ABSENT in values)]

    def _presence(self, manifest: Mapping[str, Any], path: Steps) -> list[Cause]:
        """What puts a section there, as told by what takes all of it away; else the overlay that added it."""
        top = (manifest.get("kind", ""), *_named(manifest, path))
        below = [(manifest.get("kind", ""), *_named(manifest, (*path, *p))) for p, _ in _leaves(_at(manifest, path))]
        gone = [
            n
            for n, reached in self.reaches.items()
            if all({ABSENT, MOVED} & {*map(_sentinel, reached.get(p, ()))} for p in below)
        ]
        return [self._cause(name) for name in gone] or ([] if self._is_lowered(top) else self._overlay(manifest, path))

    def _is_lowered(self, top: Steps) -> bool:
        """Whether a section is there before any overlay."""
        trainer = self.job.spec.trainer
        scripts = self.composer.scripts(trainer.prepare_script, trainer.script)
        return any(p[: len(top)] == top for p in _flat(self.job.spec, self.job.identity, scripts, ()))

    def _cause(self, name: str) -> Cause:
        if name == COMMAND_LINE:
            return Cause(name, tuple(Location(COMMAND_LINE, i) for i, _ in enumerate(self.job.identity.overrides, 1)))
        if name in self.job.identity.choices:
            chosen = self.origins.choice_origins(name)
            return Cause(name, tuple(o.location for o in chosen[-1:]), self.job.identity.choices[name])
        value = _at(_dumped(self.job.spec), _steps(name))
        return Cause(
            name,
            self.origins.locations(name),
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
        )


def _sentinel(value: Any) -> object:
    return value if value is ABSENT or value is MOVED else None


def _listed(text: str, file: Path) -> tuple[str, ...]:
    try:
        overrides = json.loads(text)
    except ValueError:
        overrides = None
    if not isinstance(overrides, list) or not all(isinstance(each, str) for each in overrides):
        raise Rejected(
            [
                error("FT018", f"the annotation {_OVERRIDES} is no list of overrides", value=text).at(
                    Location(str(file), 1)
                )
            ]
        )
    return tuple(overrides)


def _differs(text: Any, others: Sequence[Any]) -> bool:
    """Whether a change reached the line itself: a text of several lines may have changed elsewhere only."""
    return any(
        not (isinstance(other, str) and isinstance(text, str) and text in other.splitlines()) for other in others
    )


def displayed(file: Path, composer: Composer) -> str:
    """The path as the user would type it from where they are."""
    here = os.path.realpath(composer.request.directory)
    real = os.path.realpath(file)
    return os.path.relpath(real, here) if real.startswith(f"{here}{os.sep}") else str(file)


# --- what a change reaches -----------------------------------------------------------------------------


def _reaches(job: Compiled, composer: Composer, patches: Sequence[Patch]) -> dict[str, dict[Steps, tuple[Any, ...]]]:
    """By key, choice or command line: the manifest's values that change with it, and what they change to."""
    trainer = job.spec.trainer
    scripts = composer.scripts(trainer.prepare_script, trainer.script)
    base = _flat(job.spec, job.identity, scripts, patches)
    found: dict[str, dict[Steps, tuple[Any, ...]]] = {}
    for name, spec, identity in _variants(job.spec, job.identity):
        try:
            other = _flat(spec, identity, scripts, patches)
        except (ValueError, KeyError, TypeError, AttributeError, Rejected):
            continue  # a value that only the rules of meaning would have refused
        reached = found.setdefault(name, {})
        sections = {path[:-1] for path in other}
        for path, value in base.items():
            gone = MOVED if path[:-1] in sections else ABSENT
            if other.get(path, gone) != value:
                reached[path] = (*reached.get(path, ()), other.get(path, gone))
    return found


def _variants(spec: Spec, identity: Identity) -> Iterator[tuple[str, Spec, Identity]]:
    config = _dumped(spec)
    for path, value in _leaves(config):
        name = ".".join(map(str, path))
        for other in _others(value):
            changed = _changed(config, path, other)
            try:
                admitted = pipeline.understand(changed)
            except Rejected:
                continue
            yield name, admitted, replace(identity, folder=naming.folder(admitted))
    for name, alternative in _alternatives(config):
        yield name, alternative, identity
    for group, option in identity.choices.items():
        yield group, spec, replace(identity, choices={**identity.choices, group: f"{option}-x"})
    if identity.overrides:
        yield COMMAND_LINE, spec, replace(identity, overrides=(*identity.overrides, "x=1"))


def _alternatives(config: dict[str, Any]) -> Iterator[tuple[str, Spec]]:
    """Sections that are one of several kinds (`tracking.report_to`), each as the other kinds."""
    schema = json_schema()
    for section, field in schema["properties"].items():
        told = field.get("discriminator", {"mapping": {}, "propertyName": ""})
        for kind, reference in told["mapping"].items():
            known = schema["$defs"][reference.rpartition("/")[2]]["properties"]
            other = {**{k: v for k, v in config[section].items() if k in known}, told["propertyName"]: kind}
            try:
                yield f"{section}.{told['propertyName']}", admit({**config, section: other})
            except Rejected:
                continue


def _dumped(spec: Spec) -> dict[str, Any]:
    return spec.model_dump()


def _leaves(value: Any, path: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, (list, tuple)) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    else:
        yield path, value


def _others(value: Any) -> Iterator[Any]:
    """Values beside the one there is; the specification takes those it can."""
    match value:
        case bool():
            yield not value
        case int():
            yield from dict.fromkeys(n for n in (value + 1, value * 2, 1, 0) if n != value)
        case float():
            yield value * 1.5
        case str():
            number = re.fullmatch(r"(\d+)(\D*)", value)
            yield from (f"{value}-x", *([f"{int(number[1]) + 1}{number[2]}"] if number else []))
            yield from (word for word in _words() if word != value) if value in _words() else ()
        case _:
            yield from ("x", "1Gi", 1)
    if value is not None:
        yield None


@cache
def _words() -> tuple[str, ...]:
    """Every word that some key of the specification chooses from."""
    text = json.dumps(json_schema())
    return tuple(
        dict.fromkeys(
            w for words in re.findall(r'"enum": (\[[^\]]*\])', text) for w in json.loads(words) if isinstance(w, str)
        )
    )


def _changed(value: Any, path: Steps, other: Any) -> Any:
    if not path:
        return other
    if isinstance(value, dict):
        return {**value, path[0]: _changed(value[path[0]], path[1:], other)}
    return [_changed(v, path[1:], other) if i == path[0] else v for i, v in enumerate(value)]


def _flat(spec: Spec, identity: Identity, scripts: Mapping[str, str], patches: Sequence[Patch]) -> dict[Steps, Any]:
    """Every scalar of the job's objects by its path; a job is called by its stem, since its hash is computed."""
    bundle = overlay.apply(lower.lower(spec, identity, scripts), patches, spec.cluster.volcano_version)
    stem = naming.stem(identity, naming.budget(spec))
    name = {"generateName" if spec.delivery.generate_name else "name": stem}
    job = {**bundle.job, "metadata": {**name, **bundle.job["metadata"]}}
    objects = Bundle(job, bundle.claims).objects
    return {(o["kind"], *_named(o, path)): value for o in objects for path, value in _leaves(o)}


def _named(manifest: Mapping[str, Any], path: Steps) -> Steps:
    """A path in which items are told by their names, so that an item more does not shift those after it."""
    steps: list[str | int] = []
    here: Any = manifest
    for step in path:
        steps.append(_told(here, step) if isinstance(here, (list, tuple)) and isinstance(step, int) else step)
        here = _at(here, (step,))
    return tuple(steps)


def _told(items: Sequence[Any], index: int) -> str | int:
    for name in ("name", "mountPath", "event", "key"):
        names = [item.get(name) if isinstance(item, dict) else None for item in items]
        if None not in names and len(set(names)) == len(names):
            return f"{name}={names[index]}"
    return index


# --- overlays ------------------------------------------------------------------------------------------

_ADDRESS = frozenset({("apiVersion",), ("kind",), ("metadata", "name")})


def _said(document: Any, manifest: Mapping[str, Any], path: Steps) -> Steps | None:
    """Where an overlay's document says the value at a manifest's path."""
    kind = manifest.get("kind")
    match document:
        case list():
            return _operated(document, manifest, path) if kind == "Job" else None
        case {"kind": "PodTemplate"} if path[:2] == ("spec", "tasks") and path[3:4] == ("template",):
            template = _at(manifest, path[:4])
            inner = _within(document.get("template"), template, path[4:])
            return None if inner is None else ("template", *inner)
        case {"kind": told} if told == kind and path not in _ADDRESS:
            return _within(document, manifest, path)
        case _:
            return None


def _within(said: Any, there: Any, path: Steps) -> Steps | None:
    """The path of a patch that leads to a path of the merged object: list items by what they say."""
    steps: list[str | int] = []
    for step in path:
        there = _at(there, (step,))
        if isinstance(said, dict) and step in said:
            steps.append(step)
        elif isinstance(said, list):
            index = next((i for i, item in enumerate(said) if _is_part(item, there)), None)
            if index is None:
                return None
            steps.append(index)
        else:
            return None
        said = said[steps[-1]]
    return tuple(steps)


def _is_part(said: Any, there: Any) -> bool:
    if isinstance(said, dict) and isinstance(there, dict):
        return all(key in there and (isinstance(v, (dict, list)) or there[key] == v) for key, v in said.items())
    return bool(said == there)


def _operated(operations: list[Any], manifest: Mapping[str, Any], path: Steps) -> Steps | None:
    """The last JSON 6902 operation that wrote the value at a path."""
    for index, operation in reversed(list(enumerate(operations))):
        pointer = str(operation.get("path", "")).split("/")[1:]
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer]
        if "value" in operation and len(tokens) <= len(path) and _addresses(tokens, operation["value"], manifest, path):
            return (index, "value", *path[len(tokens) :])
    return None


def _addresses(tokens: Sequence[str], value: Any, manifest: Mapping[str, Any], path: Steps) -> bool:
    begun = all(token in {str(step), "-"} for token, step in zip(tokens, path, strict=False))
    return begun and (tokens[-1] != "-" or _at(manifest, path[: len(tokens)]) == value)
