"""Movable references of a job: what its pods fetch and run that may be something else tomorrow.

* FT782: such a reference, where `--locked` wants none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ftgen.config.compose import Moving, moving_keys
from ftgen.config.pins import image, pinned_text
from ftgen.diagnostics import Diagnostic, error
from ftgen.text.shapes import entries, mapping


def moving(
    config: Mapping[str, Any], choices: Mapping[str, str], objects: Iterable[Mapping[str, Any]] = ()
) -> tuple[Moving, ...]:
    """Return the movable references of a configuration, then those that only its objects have.

    Overlays bring images that no key names.

    Args:
        config: resolved configuration.
        choices: chosen option by group.
        objects: manifests made of it.
    """
    found = {each.reference: each for each in moving_keys(config, choices)}
    for path, name in (each for manifest in objects for each in _images(manifest)):
        if (reference := image(name)) and reference not in found:
            found[reference] = Moving(path, reference)
    return tuple(found.values())


def _images(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for path, spec in _pods(mapping(manifest.get("spec"))):
        for kind in ("initContainers", "containers"):
            for index, container in entries(spec.get(kind)):
                yield f"{path}.{kind}[{index}].image", container.get("image")


def _pods(spec: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pod specs of a job, a Deployment or an InferenceService, with their paths."""
    templates = [("spec", spec), *((f"spec.tasks[{index}]", task) for index, task in entries(spec.get("tasks")))]
    for path, body in templates:
        yield f"{path}.template.spec", mapping(mapping(body.get("template")).get("spec"))
    yield "spec.predictor", mapping(spec.get("predictor"))


def validate_locked(references: Sequence[Moving], command: str) -> list[Diagnostic]:
    """Return an error for each movable reference, where `--locked` wants none.

    Args:
        references: see `moving`.
        command: command line that pins them; empty where they may move.
    """
    return [_unpinned(each, command) for each in references] if command else []


def _unpinned(each: Moving, command: str) -> Diagnostic:
    headline = f"{each.reference} may be something else tomorrow, and is not locked"
    written = pinned_text(each.reference, "sha256:…") if each.reference.kind == "image" else "a whole commit"
    help_ = f"run `{command}`, or write {written}"
    value = each.reference.revision if each.reference.kind == "git" else each.reference.name
    return error("FT782", headline, each.subject, value, help_)
