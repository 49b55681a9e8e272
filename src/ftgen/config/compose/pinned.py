"""Pins in a configuration: its movable references, and the commits and digests that take their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import Struct, field

from ftgen.config.pins import Pins, Reference, image, pinned_text, repository
from ftgen.text.paths import Steps, dotted, put
from ftgen.text.shapes import mapping


class Moving(NamedTuple):
    """Movable reference of a job.

    Attributes:
        subject: configuration key, or path in a manifest, that holds it.
        reference: what is referred to.
    """

    subject: str
    reference: Reference


Pinned = Mapping[str, tuple[Reference, str]]
"""By configuration key, the reference that it held, and the commit or digest that took its place."""


class Pinner(Struct):
    """Substitution of pins in one configuration after another.

    The points of a sweep share sections, and a section that was shared stays so when it is pinned: equal parts are one
    object, by which later steps know them again.
    """

    pins: Pins
    _last: dict[str, tuple[Any, Mapping[Steps, str], Any]] = field(default_factory=dict)

    def pinned(self, config: dict[str, Any], choices: Mapping[str, str]) -> tuple[dict[str, Any], Pinned]:
        """Return a configuration with its references pinned, and the pins that were used."""
        if not self.pins:
            return config, {}
        used = {path: ref for path, ref in _references(config, choices) if ref in self.pins}
        texts = dict[str, dict[Steps, str]]()
        for path, ref in used.items():
            texts.setdefault(str(path[0]), {})[path[1:]] = pinned_text(ref, self.pins[ref])
        replaced = {name: self._section(name, config[name], inner) for name, inner in texts.items()}
        return {**config, **replaced}, {dotted(path): (ref, self.pins[ref]) for path, ref in used.items()}

    def _section(self, name: str, section: Any, texts: Mapping[Steps, str]) -> Any:
        last, last_texts, pinned = self._last.get(name, (None, {}, None))
        if last is not section or last_texts != texts:
            pinned = section
            for path, text in texts.items():
                pinned = put(pinned, path, text)
            self._last[name] = section, texts, pinned
        return pinned


def moving_keys(config: Mapping[str, Any], choices: Mapping[str, str]) -> list[Moving]:
    """Return the movable references of a configuration by their keys."""
    return [Moving(dotted(path), reference) for path, reference in _references(config, choices)]


def _references(config: Mapping[str, Any], choices: Mapping[str, str]) -> Iterator[tuple[Steps, Reference]]:
    for path, reference in (*_repositories(config), *_images(config, choices)):
        if reference is not None:
            yield path, reference


def _repositories(config: Mapping[str, Any]) -> Iterator[tuple[Steps, Reference | None]]:
    """Yield the repositories that the pods fetch: no model that is cached, and no data to serve a result."""
    model, dataset = mapping(config.get("model")), mapping(config.get("dataset"))
    if model.get("name") is not None and mapping(config.get("storage")).get("cache") is None:
        yield ("model", "revision"), repository(model.get("url"), model.get("revision"))
    if dataset.get("name") is not None and config.get("serving") is None:
        yield ("dataset", "revision"), repository(dataset.get("url"), dataset.get("revision"))


def _images(config: Mapping[str, Any], choices: Mapping[str, str]) -> Iterator[tuple[Steps, Reference | None]]:
    hardware, serving = mapping(config.get("hardware")), mapping(config.get("serving"))
    yield ("hardware", "image"), image(hardware.get("image"))
    runtimes = mapping(serving.get("runtimes"))
    known = choices.get("hardware") if choices.get("hardware") in runtimes else hardware.get("vendor")
    if serving.get("image"):
        yield ("serving", "image"), image(serving["image"])
    elif isinstance(known, str):
        yield ("serving", "runtimes", known, "image"), image(mapping(runtimes.get(known)).get("image"))


# --- overlays and manifests ----------------------------------------------------------------------------


def pinned_document(value: Any, pins: Pins) -> tuple[Any, Pins]:
    """Return an overlay's document with its images pinned, and the pins that were used."""
    used = {path: reference for path, reference in _images_in(value) if reference in pins}
    for path, reference in used.items():
        value = put(value, path, pinned_text(reference, pins[reference]))
    return value, {reference: pins[reference] for reference in used.values()}


def _images_in(value: Any, path: Steps = ()) -> Iterator[tuple[Steps, Reference]]:
    """Yield the images of the containers in a patch, and those that JSON 6902 operations put in place."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _images_in(item, (*path, index))
    elif isinstance(value, dict):
        is_operation = str(value.get("path", "")).endswith("/image")
        name = "value" if is_operation else "image" if "name" in value else ""
        if name and (reference := image(value.get(name))):
            yield (*path, name), reference
        for key, inner in value.items():
            if isinstance(inner, (dict, list)):
                yield from _images_in(inner, (*path, key))
