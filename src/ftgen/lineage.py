"""What made a place of a manifest: the overlay that wrote it, the configuration's values that it follows.

Found by experiment: values of the configuration are changed, one at a time, the job is lowered again, and those
whose change reaches the place are those that made it.  Nothing has to be kept up to date for that, and what no
value reaches is ftgen's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ftgen import lower, naming, overlay, pipeline, project
from ftgen.blame import KeyOrigins, add_key_locations
from ftgen.compose import Composer, displayed
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected
from ftgen.lower import Bundle, Identity, Inputs, Object
from ftgen.overlay import Patch
from ftgen.spec import Spec, admit, json_schema
from ftgen.text.paths import Steps, leaves, put, steps
from ftgen.trainers import llamafactory

ABSENT = object()
"""The value of a key that has none."""

MOVED = object()
"""The value of a key that is gone while those beside it stay: the key itself is made of a value."""


def value_at(value: Any, path: Sequence[str | int]) -> Any:
    """What lies at a path, or `ABSENT`; keys are compared as text."""
    for step in path:
        if isinstance(value, Mapping):
            value = next((inner for key, inner in value.items() if str(key) == str(step)), ABSENT)
        elif isinstance(value, (list, tuple)) and str(step).isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return ABSENT
    return value


@dataclass(frozen=True, slots=True)
class LoweringInput:
    """What a job is lowered from: enough to lower it again with another value.

    Attributes:
        spec: the specification.
        identity: what the job is called and made of, beside it.
        scripts: texts of the container scripts by name.
        patches: overlays of the chosen options.
    """

    spec: Spec
    identity: Identity
    scripts: Mapping[str, str]
    patches: tuple[Patch, ...]

    @classmethod
    def of(cls, composer: Composer, overrides: Sequence[str]) -> LoweringInput:
        """What a command line describes, whatever the checks of its objects say.

        Raises:
            Rejected: the configuration itself is rejected.
        """
        composition = composer.compose(composer.parse(overrides))
        spec = pipeline.resolve(admit(composition.config)).spec
        identity = Identity(naming.folder(spec), "", tuple(overrides), composition.choices, "", project.VERSION, {})
        folders = pipeline.overlay_folders(composer.request.directory, spec.overlays)
        patches = tuple(overlay.collect(composition.choices, folders))
        trainer = spec.trainer
        return cls(spec, identity, composer.scripts(trainer.prepare_script, trainer.script), patches)

    def objects(self) -> tuple[Object, ...]:
        """The job's objects; a job is called by its stem, since its hash is computed."""
        spec = self.spec
        lowered = lower.lower(Inputs(spec, llamafactory.configurations(spec), self.identity, self.scripts))
        bundle, _ = overlay.apply(lowered, self.patches, spec.cluster.volcano_version)
        stem = naming.stem(self.identity, naming.budget(spec))
        name = {"generateName" if spec.delivery.generate_name else "name": stem}
        return Bundle({**bundle.job, "metadata": {**name, **bundle.job["metadata"]}}, bundle.companions).objects

    def scalars(self) -> dict[Steps, Any]:
        """Every scalar of the job's objects by its kind and path (see `path_by_names`)."""
        return {(o["kind"], *path_by_names(o, path)): value for o in self.objects() for path, value in leaves(o)}


def path_by_names(manifest: Mapping[str, Any], path: Steps) -> Steps:
    """A path in which items are told by their names, so that an item more does not shift those after it."""
    steps: list[str | int] = []
    here: Any = manifest
    for step in path:
        steps.append(_told(here, step) if isinstance(here, (list, tuple)) and isinstance(step, int) else step)
        here = value_at(here, (step,))
    return tuple(steps)


def _told(items: Sequence[Any], index: int) -> str | int:
    for name in ("name", "mountPath", "event", "key"):
        names = [item.get(name) if isinstance(item, dict) else None for item in items]
        if all(isinstance(each, str) for each in names) and len(set(names)) == len(names):
            return f"{name}={names[index]}"
    return index


# --- blame ---------------------------------------------------------------------------------------------


def add_locations(composer: Composer, overrides: Sequence[str], diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics with their places: keys where they were said, what manifests hold where it was made.

    Costs nothing where everything is located already; see `blame` for keys, `Probes` for manifests.
    """
    if all(d.locations for d in diagnostics):
        return list(diagnostics)
    provenance = KeyOrigins.of(composer, overrides)
    found = add_key_locations(diagnostics, provenance)
    if all(d.locations or not d.subject for d in found):
        return found
    try:
        source = LoweringInput.of(composer, overrides)
    except Rejected:
        return found
    objects, probes = source.objects(), Probes(source)

    def traced(diagnostic: Diagnostic) -> Diagnostic:
        """At the overlay that wrote what a manifest holds, else at the keys that it follows; nowhere if ftgen did."""
        held = _held(objects, steps(diagnostic.subject))
        if held is None:
            return diagnostic
        manifest, path = held
        for _, place in overlays_setting(source, manifest, path)[-1:]:
            return diagnostic.at(replace(place, file=displayed(Path(place.file), composer.request.directory)))
        keys = probes.candidate_keys((manifest["kind"], *path_by_names(manifest, path)), diagnostic.value)
        return diagnostic.at(*dict.fromkeys(place for key in keys for place in provenance.locations(key)[:1]))

    # One value may stand in several places of the manifest: it is mended once.
    unique: dict[tuple[object, ...], Diagnostic] = {}
    for each in (d if d.locations else traced(d) for d in found):
        unique.setdefault((each.code, each.headline, each.locations or each.subject), each)
    return list(unique.values())


def _held(objects: Sequence[Object], path: Steps) -> tuple[Object, Steps] | None:
    """The object that has something at a path, and as much of the path as it has."""
    nearest = ((manifest, _nearest(manifest, path)) for manifest in objects)
    return next(((manifest, near) for manifest, near in nearest if len(near) >= _SPEAKING), None)


def _nearest(manifest: Object, path: Steps) -> Steps:
    """As much of a path as there is: what is missing is missing from something."""
    return next(path[:length] for length in range(len(path), -1, -1) if value_at(manifest, path[:length]) is not ABSENT)


# `spec` and `metadata` alone follow every key there is.
_SPEAKING = 2


# --- what made a place ---------------------------------------------------------------------------------


class Probes:
    """The job lowered again with other values of single keys; each is tried once, however many places are asked for."""

    def __init__(self, source: LoweringInput) -> None:
        """Know what is lowered as it is."""
        self._source = source
        self._config = as_config(source.spec)
        self._base = source.scalars()
        self._outcomes: dict[Steps, list[dict[Steps, Any]]] = {}

    def candidate_keys(self, place: Steps, told: str) -> list[str]:
        """The keys that a place of the manifest follows, those that hold what is told of it first.

        Keys whose value is the one told are tried first, then those that the command line set, then the others: most
        places are found with a few probes.

        Args:
            place: kind and path, see `path_by_names`; a section counts as all that lies below it.
            told: the offending value as text.
        """
        config = self._config
        paths = [path for path, _ in leaves(config)]
        typed = [override.lstrip("+~").partition("=")[0] for override in self._source.identity.overrides]
        classes: list[Callable[[Steps], bool]] = [
            lambda path: str(value_at(config, path)) in {told, str(place[-1])},
            lambda path: any(_key(path).startswith(key) for key in typed),
            lambda path: _holds(value_at(config, path), told),
            lambda path: True,  # noqa: ARG005 - whatever is left
        ]
        there = {path: value for path, value in self._base.items() if path[: len(place)] == place}
        tried = set[Steps]()
        for belongs in classes:
            chosen = [path for path in paths if path not in tried and belongs(path)]
            tried.update(chosen)
            if found := [_key(path) for path in chosen if self._reaches(path, there)]:
                return found
        return []

    def _reaches(self, key: Steps, there: Mapping[Steps, Any]) -> bool:
        """Whether another value of a key changes something that is there, or takes it away."""
        if key not in self._outcomes:
            tried = map(_tried, _changes(self._source, self._config, key))
            self._outcomes[key] = [other for other in tried if other is not None]
        return any(other.get(path, ABSENT) != value for other in self._outcomes[key] for path, value in there.items())


def _holds(value: Any, told: str) -> bool:
    text = str(value)
    return len(text) > 1 and (text in told or told in text)


def _key(path: Steps) -> str:
    return ".".join(map(str, path))


# --- what a change reaches -----------------------------------------------------------------------------


def dependents(source: LoweringInput) -> dict[str, dict[Steps, tuple[Any, ...]]]:
    """By key, choice or command line: the manifest's values that change with it, and what they change to."""
    base = source.scalars()
    found: dict[str, dict[Steps, tuple[Any, ...]]] = {}
    for name, variant in _variants(source):
        other = _tried(variant)
        if other is None:
            continue
        reached = found.setdefault(name, {})
        sections = {path[:-1] for path in other}
        for path, value in base.items():
            gone = MOVED if path[:-1] in sections else ABSENT
            if other.get(path, gone) != value:
                reached[path] = (*reached.get(path, ()), other.get(path, gone))
    return found


def _tried(variant: LoweringInput) -> dict[Steps, Any] | None:
    """A variant's scalars; None for a value that only the rules of meaning would have refused."""
    try:
        return variant.scalars()
    except (ValueError, KeyError, TypeError, AttributeError, Rejected):
        return None


def _variants(source: LoweringInput) -> Iterator[tuple[str, LoweringInput]]:
    config, identity = as_config(source.spec), source.identity
    for path, _ in leaves(config):
        yield from ((_key(path), variant) for variant in _changes(source, config, path))
    for name, alternative in _alternatives(config):
        yield name, replace(source, spec=alternative)
    for group, option in identity.choices.items():
        yield group, replace(source, identity=replace(identity, choices={**identity.choices, group: f"{option}-x"}))
    if identity.overrides:
        yield COMMAND_LINE, replace(source, identity=replace(identity, overrides=(*identity.overrides, "x=1")))


def _changes(source: LoweringInput, config: dict[str, Any], path: Steps) -> Iterator[LoweringInput]:
    """The job with other values of one key, as far as the specification takes them."""
    for other in _others(value_at(config, path)):
        try:
            admitted = pipeline.resolve(admit(put(config, path, other))).spec
        except Rejected:
            continue
        yield replace(source, spec=admitted, identity=replace(source.identity, folder=naming.folder(admitted)))


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


def as_config(spec: Spec) -> dict[str, Any]:
    """The specification as the mapping that `spec.admit` takes."""
    return spec.model_dump()


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


# --- overlays ------------------------------------------------------------------------------------------


def overlays_setting(source: LoweringInput, manifest: Mapping[str, Any], path: Steps) -> list[tuple[Patch, Location]]:
    """The overlays that say the value at a manifest's path, and where; the last one holds."""
    said = ((patch, path_in_overlay(patch.document, manifest, path)) for patch in source.patches)
    return [(patch, patch.at(steps)) for patch, steps in said if steps]


_ADDRESS = frozenset({("apiVersion",), ("kind",), ("metadata", "name")})


def path_in_overlay(document: Any, manifest: Mapping[str, Any], path: Steps) -> Steps | None:
    """Where an overlay's document says the value at a manifest's path."""
    kind = manifest.get("kind")
    match document:
        case list():
            return _operated(document, manifest, path) if kind == "Job" else None
        case {"kind": "PodTemplate"} if path[:2] == ("spec", "tasks") and path[3:4] == ("template",):
            template = value_at(manifest, path[:4])
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
        there = value_at(there, (step,))
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
    return begun and (tokens[-1] != "-" or value_at(manifest, path[: len(tokens)]) == value)
