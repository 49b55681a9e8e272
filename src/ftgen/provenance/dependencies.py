"""Dependencies of manifest values: the overlay that set a value, or the configuration keys it depends on.

Found by probing: change one configuration value at a time, lower the job again, and compare; the keys whose change
alters a manifest value are its dependencies.  So no bookkeeping has to be kept up to date.  ftgen itself computed a
value that no key alters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen import lower, pipeline, runtime
from ftgen.config.compose import Composer
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, require
from ftgen.lower import Bundle, Identity, Inputs, Object, naming, overlay, privileges, service
from ftgen.lower.overlay import Patch
from ftgen.provenance.origins import KeyOrigins, add_key_locations, help_for_shell
from ftgen.spec import Spec, admit, json_schema
from ftgen.text.files import displayed
from ftgen.text.paths import Steps, leaves, put, steps
from ftgen.trainers import llamafactory

ABSENT = object()
"""Value of a key that is not set."""

MOVED = object()
"""Value of a key that is gone while its siblings stay: the key's own name is made of a configuration value."""


def value_at(value: Any, path: Sequence[str | int]) -> Any:
    """Return the value at a path, or `ABSENT`; keys are compared as text."""
    for step in path:
        if isinstance(value, Mapping):
            value = next((inner for key, inner in value.items() if str(key) == str(step)), ABSENT)
        elif isinstance(value, (list, tuple)) and str(step).isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return ABSENT
    return value


class LoweringInput(Struct, frozen=True):
    """Input of lowering: enough to lower a job again with another value.

    Attributes:
        spec: the specification.
        identity: the job's name, overrides and choices.
        scripts: texts of the container scripts by name.
        patches: overlays of the chosen options.
    """

    spec: Spec
    identity: Identity
    scripts: Mapping[str, str]
    patches: tuple[Patch, ...]

    @classmethod
    def of(cls, composer: Composer, overrides: Sequence[str]) -> LoweringInput:
        """Compose and validate a command line into the input of lowering; the checks of the job's objects do not run.

        Raises:
            Rejected: the configuration itself is rejected: it may not be one that can be lowered.
        """
        composition = composer.compose(composer.parse(overrides))
        resolved = pipeline.resolve(admit(composition.config))
        spec = resolved.spec
        require([*pipeline.validate_environment(composition, spec), *pipeline.validate_configuration(resolved)])
        identity = Identity(naming.folder(spec), "", tuple(overrides), composition.choices, "", runtime.VERSION, {})
        folders = pipeline.overlay_folders(composer.request.directory, spec.overlays)
        found = overlay.collect(composition.choices, folders)
        patches = tuple(pipeline.pinned_patches(found, composer.pin_file.pins))
        return cls(spec, identity, composer.scripts(*spec.scripts), patches)

    def with_config(self, config: Any) -> LoweringInput:
        """Return the input with another configuration.

        Raises:
            Rejected: the specification does not admit it.
        """
        admitted = pipeline.resolve(admit(config)).spec
        return replace(self, spec=admitted, identity=replace(self.identity, folder=naming.folder(admitted)))

    def group_of(self, script: str) -> str:  # noqa: ARG002 - a service has scripts of two groups
        """Return the group of options beside which a script lies."""
        return "trainer"

    def objects(self) -> tuple[Object, ...]:
        """Return the job's objects; the job is named by its stem, without the hash."""
        spec, _ = privileges.settle(self.spec, self.patches)
        lowered = lower.lower(Inputs(spec, llamafactory.configurations(spec), self.identity, self.scripts))
        bundle, _ = overlay.apply(lowered, self.patches, spec.cluster.volcano_version)
        stem = naming.stem(self.identity, naming.name_limit(spec))
        name = {"generateName" if spec.delivery.generate_name else "name": stem}
        return Bundle({**bundle.job, "metadata": {**name, **bundle.job["metadata"]}}, bundle.companions).objects

    def scalars(self) -> dict[Steps, Any]:
        """Return every scalar of the job's objects by its kind and path (see `path_by_names`)."""
        return {(o["kind"], *path): value for o in self.objects() for path, value in _leaves_by_names(o)}


def path_by_names(manifest: Mapping[str, Any], path: Steps) -> Steps:
    """Return a path with list items identified by name, so that inserting an item does not change other paths."""
    steps: list[str | int] = []
    here: Any = manifest
    for step in path:
        steps.append(_item_names(here)[step] if isinstance(here, (list, tuple)) and isinstance(step, int) else step)
        here = value_at(here, (step,))
    return tuple(steps)


def _leaves_by_names(value: Any, path: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Yield scalars and empty collections with their paths by names; each list names its items once."""
    is_list = isinstance(value, (list, tuple))
    if not value or not (is_list or isinstance(value, dict)):
        yield path, value
        return
    for step, inner in zip(_item_names(value), value, strict=True) if is_list else value.items():
        yield from _leaves_by_names(inner, (*path, step))


def _item_names(items: Sequence[Any]) -> Sequence[str | int]:
    """Return what identifies each item of a list: the field that names them all apart, else the index.

    Tasks go by their index: the first one has the same pods, whether it is called train or, beside workers, master.
    """
    if all(isinstance(item, dict) and "template" in item for item in items):
        return range(len(items))
    for name in ("name", "mountPath", "event", "key"):
        names = [item.get(name) if isinstance(item, dict) else None for item in items]
        if all(isinstance(value, str) for value in names) and len(set(names)) == len(names):
            return [f"{name}={value}" for value in names]
    return range(len(items))


# --- locations -----------------------------------------------------------------------------------------


Source = Callable[[Composer, Sequence[str]], LoweringInput]
"""Composes a command line into the input of lowering; raises `Rejected` if its configuration is rejected."""


def add_locations(
    composer: Composer,
    overrides: Sequence[str],
    diagnostics: Sequence[Diagnostic],
    source_of: Source = LoweringInput.of,
) -> list[Diagnostic]:
    """Locate diagnostics: configuration keys where they were set, manifest values where they came from.

    Returns at once when every diagnostic has a location; see `add_key_locations` for keys, `Probes` for manifests.
    """
    if all(d.locations for d in diagnostics):
        return list(diagnostics)
    origins = KeyOrigins.of(composer, overrides)
    found = add_key_locations(diagnostics, origins)
    if all(d.locations or not d.subject for d in found):
        return found
    try:
        source = source_of(composer, overrides)
        objects = source.objects()
    except Rejected:
        return found
    probes = Probes(source)

    def traced(diagnostic: Diagnostic) -> Diagnostic:
        """Locate a manifest value at the overlay that set it, else at the keys that it depends on, if any."""
        target = _target(objects, steps(diagnostic.subject))
        if target is None:
            return diagnostic
        manifest, path = target
        for _, place in overlays_setting(source, manifest, path)[-1:]:
            return diagnostic.at(replace(place, file=displayed(Path(place.file), composer.request.directory)))
        keys = probes.candidate_keys((manifest["kind"], *path_by_names(manifest, path)), diagnostic.value)
        return diagnostic.at(*dict.fromkeys(place for key in keys for place in origins.locations(key)[:1]))

    # One value may stand in several places of the manifest; one edit fixes them all.
    unique: dict[tuple[object, ...], Diagnostic] = {}
    for diagnostic in (d if d.locations else help_for_shell(traced(d), origins) for d in found):
        key = (diagnostic.code, diagnostic.headline, diagnostic.locations or diagnostic.subject)
        unique.setdefault(key, diagnostic)
    return list(unique.values())


def _target(objects: Sequence[Object], path: Steps) -> tuple[Object, Steps] | None:
    """Return the object that a path leads into, and the part of the path that exists in it."""
    nearest = ((manifest, _nearest(manifest, path)) for manifest in objects)
    return next(((manifest, near) for manifest, near in nearest if len(near) >= _SIGNIFICANT), None)


def _nearest(manifest: Object, path: Steps) -> Steps:
    """Return the longest part of a path that exists: a missing value is located at its parent."""
    return next(path[:length] for length in range(len(path), -1, -1) if value_at(manifest, path[:length]) is not ABSENT)


# `spec` and `metadata` alone depend on every key there is.
_SIGNIFICANT = 2


# --- probes --------------------------------------------------------------------------------------------


class Probes:
    """Cache of probes: the job lowered again with other values of one key; each key is probed at most once."""

    def __init__(self, source: LoweringInput) -> None:
        """Lower the job unchanged, to compare with."""
        self._source = source
        self._config = as_config(source.spec)
        self._base = source.scalars()
        self._outcomes: dict[Steps, list[dict[Steps, Any]]] = {}

    def candidate_keys(self, place: Steps, value: str) -> list[str]:
        """Return the keys that a manifest value depends on: the first class of keys in which any is found.

        Keys with the offending value are probed first, then those that the command line set, then those whose value
        overlaps with it, then the others: most values are found with a few probes.

        Args:
            place: kind and path, see `path_by_names`; a section stands for all scalars below it.
            value: the offending value as text.
        """
        config = self._config
        paths = [path for path, _ in leaves(config)]
        typed = self._typed()
        classes: list[Callable[[Steps], bool]] = [
            lambda path: str(value_at(config, path)) in {value, str(place[-1])},
            lambda path: any(f"{_key(path)}.".startswith(f"{key}.") for key in typed),
            lambda path: _overlaps(value_at(config, path), value),
            lambda path: True,  # noqa: ARG005 - whatever is left
        ]
        current = {path: scalar for path, scalar in self._base.items() if path[: len(place)] == place}
        tried = set[Steps]()
        for belongs in classes:
            chosen = [path for path in paths if path not in tried and belongs(path)]
            tried.update(chosen)
            if found := [_key(path) for path in chosen if self._alters(path, current)]:
                return found
        return []

    def _typed(self) -> list[str]:
        """Return the keys that the command line sets; one that chooses an option says nothing of a single key."""
        identity = self._source.identity
        keys = (override.lstrip("+~").partition("=")[0] for override in identity.overrides)
        return [key for key in keys if key.partition("@")[0].replace(".", "/") not in identity.choices]

    def _alters(self, key: Steps, current: Mapping[Steps, Any]) -> bool:
        """Return whether another value of a key changes or removes one of the current scalars."""
        if key not in self._outcomes:
            outcomes = map(_scalars_or_none, _changes(self._source, self._config, key))
            self._outcomes[key] = [other for other in outcomes if other is not None]
        return any(other.get(path, ABSENT) != value for other in self._outcomes[key] for path, value in current.items())


def _overlaps(value: Any, other: str) -> bool:
    text = str(value)
    return len(text) > 1 and (text in other or other in text)


def _key(path: Steps) -> str:
    return ".".join(map(str, path))


# --- dependents ----------------------------------------------------------------------------------------


def dependents(source: LoweringInput) -> dict[str, dict[Steps, tuple[Any, ...]]]:
    """Return by key, choice or command line the manifest values that change with it, and their new values."""
    base = source.scalars()
    found: dict[str, dict[Steps, tuple[Any, ...]]] = {}
    for name, variant in _variants(source):
        other = _scalars_or_none(variant)
        if other is None:
            continue
        changed = found.setdefault(name, {})
        sections = {path[:-1] for path in other}
        for path, value in base.items():
            gone = MOVED if path[:-1] in sections else ABSENT
            if other.get(path, gone) != value:
                changed[path] = (*changed.get(path, ()), other.get(path, gone))
    return found


def _scalars_or_none(variant: LoweringInput) -> dict[Steps, Any] | None:
    """Return a variant's scalars; None for a value that only the rules over the configuration would have refused."""
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
    """Yield the job with other values of one key, those that the specification admits."""
    for other in _others(value_at(config, path)):
        try:
            changed = source.with_config(put(config, path, other))
        except Rejected:
            continue
        yield changed


def _alternatives(config: dict[str, Any]) -> Iterator[tuple[str, Spec]]:
    """Yield the configuration with each discriminated section (`tracking.report_to`) as each of its other kinds."""
    schema = json_schema()
    for section, field in schema["properties"].items():
        discriminator = field.get("discriminator", {"mapping": {}, "propertyName": ""})
        for kind, reference in discriminator["mapping"].items():
            known = schema["$defs"][reference.rpartition("/")[2]]["properties"]
            other = {**{k: v for k, v in config[section].items() if k in known}, discriminator["propertyName"]: kind}
            try:
                yield f"{section}.{discriminator['propertyName']}", admit({**config, section: other})
            except Rejected:
                continue


def as_config(spec: Spec) -> dict[str, Any]:
    """Return the specification as the mapping that `spec.admit` takes."""
    return spec.model_dump(by_alias=True)


def _others(value: Any) -> Iterator[Any]:
    """Yield values to probe instead of the current one; the specification refuses those that do not fit."""
    match value:
        case bool():
            yield not value
        case int():
            yield from dict.fromkeys(n for n in (value + 1, value * 2, 1, 0) if n != value)
        case float():
            yield from (value * 1.5, value / 2)  # a share of 0.9 grows to none
        case str():
            number = re.fullmatch(r"(\d+)(\D*)", value)
            yield from (f"{value}-x", *([f"{int(number[1]) + 1}{number[2]}"] if number else []))
            yield from [value.partition("@")[0]] if "@" in value else []  # an image without its digest
            yield from (word for word in _words() if word != value) if value in _words() else ()
        case _:
            yield from ("x", "1Gi", 1)
    if value is not None:
        yield None


@cache
def _words() -> tuple[str, ...]:
    """Return every enum value of the specification."""
    text = json.dumps(json_schema())
    return tuple(
        dict.fromkeys(
            w for words in re.findall(r'"enum": (\[[^\]]*\])', text) for w in json.loads(words) if isinstance(w, str)
        )
    )


# --- overlays ------------------------------------------------------------------------------------------


def overlays_setting(source: LoweringInput, manifest: Mapping[str, Any], path: Steps) -> list[tuple[Patch, Location]]:
    """Return the overlays that set the value at a manifest's path, each with its location; the last one holds."""
    paths = ((patch, path_in_overlay(patch.document, manifest, path)) for patch in source.patches)
    return [(patch, patch.at(steps)) for patch, steps in paths if steps]


_ADDRESS = frozenset({("apiVersion",), ("kind",), ("metadata", "name")})


def path_in_overlay(document: Any, manifest: Mapping[str, Any], path: Steps) -> Steps | None:
    """Return the path in an overlay's document that sets the value at a manifest's path, or None."""
    kind = manifest.get("kind")
    match document:
        case list():
            return _path_in_operations(document, manifest, path) if kind == "Job" else None
        case {"kind": "PodTemplate"}:
            found = pod_template(manifest, path)
            inner = _within(document.get("template"), *found) if found else None
            return None if inner is None else ("template", *inner)
        case {"kind": patched} if patched == kind and path not in _ADDRESS:
            return _within(document, manifest, path)
        case _:
            return None


def pod_template(manifest: Mapping[str, Any], path: Steps) -> tuple[Any, Steps] | None:
    """Return the pod template that a path of a manifest leads into, and the rest of the path; None for other paths."""
    match path:
        case ("spec", "tasks", _, "template", *below):
            return value_at(manifest, path[:4]), tuple(below)
        case ("spec", "template", *below):
            return value_at(manifest, path[:2]), tuple(below)
        case ("spec", "predictor", *below):
            section = "metadata" if below[:1] in (["labels"], ["annotations"]) else "spec"
            return service.template_of(value_at(manifest, path[:2])), (section, *below)
        case _:
            return None


def _within(patch: Any, merged: Any, path: Steps) -> Steps | None:
    """Return the path in a patch that corresponds to a path of the merged object; list items match by content."""
    steps: list[str | int] = []
    for step in path:
        merged = value_at(merged, (step,))
        if isinstance(patch, dict) and step in patch:
            steps.append(step)
        elif isinstance(patch, list):
            index = next((i for i, item in enumerate(patch) if _is_part(item, merged)), None)
            if index is None:
                return None
            steps.append(index)
        else:
            return None
        patch = patch[steps[-1]]
    return tuple(steps)


def _is_part(patch: Any, merged: Any) -> bool:
    if isinstance(patch, dict) and isinstance(merged, dict):
        return all(key in merged and (isinstance(v, (dict, list)) or merged[key] == v) for key, v in patch.items())
    return bool(patch == merged)


def _path_in_operations(operations: list[Any], manifest: Mapping[str, Any], path: Steps) -> Steps | None:
    """Return the path in the last JSON 6902 operation that set the value at a path."""
    for index, operation in reversed(list(enumerate(operations))):
        pointer = str(operation.get("path", "")).split("/")[1:]
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer]
        if "value" in operation and len(tokens) <= len(path) and _addresses(tokens, operation["value"], manifest, path):
            return (index, "value", *path[len(tokens) :])
    return None


def _addresses(tokens: Sequence[str], value: Any, manifest: Mapping[str, Any], path: Steps) -> bool:
    is_prefix = all(token in {str(step), "-"} for token, step in zip(tokens, path, strict=False))
    return is_prefix and (tokens[-1] != "-" or value_at(manifest, path[: len(tokens)]) == value)
