"""Kustomizations of the user: which files beside them are their input, and no objects themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ftgen.diagnostics import Rejected
from ftgen.text import yamlio
from ftgen.text.shapes import entries, mapping, strings, text

_NAMES = ("kustomization.yaml", "kustomization.yml")


def referenced_files(names: Iterable[str]) -> dict[str, str]:
    """Map each file that is input of a kustomization, and no object itself, to the kustomization that refers to it.

    A kustomization speaks only for the files in and below its folder, as kustomize reads no others, and not for those
    that it lists as objects.
    """
    own = [Path(name) for name in names if name.endswith(_NAMES) and Path(name).name in _NAMES]
    contents = {file: _content(file) for file in own}
    objects = {_path(file, each) for file in own for key in _OBJECTS for each in strings(contents[file].get(key))}
    found = ((_path(file, part), str(file)) for file in own for part in _parts(file, contents[file]))
    return {path: user for path, user in found if path not in objects}


_OBJECTS = ("resources", "bases", "components")


def _path(file: Path, reference: str) -> str:
    return os.path.normpath(file.parent / reference)


def _content(file: Path) -> dict[str, Any]:
    try:
        return mapping(yamlio.parse(yamlio.read_text(file, str(file)), str(file)))
    except Rejected:
        return {}


def _parts(file: Path, content: dict[str, Any]) -> Iterator[str]:
    """Yield the paths below a kustomization's folder of its patches, configuration and generator inputs."""
    for path in _references(file, content):
        if Path(os.path.normpath(path)).parts[:1] != (os.pardir,) and not Path(path).is_absolute():
            yield path


def _references(file: Path, content: dict[str, Any]) -> Iterator[str]:
    for key in ("patches", "patchesJson6902", "replacements"):
        yield from (text(entry.get("path")) for _, entry in entries(content.get(key)))
    for key in ("patchesStrategicMerge", "configurations", "transformers", "generators", "validators", "crds"):
        yield from strings(content.get(key))
    yield text(mapping(content.get("openapi")).get("path"))
    for key in ("configMapGenerator", "secretGenerator"):
        for _, entry in entries(content.get(key)):
            sources = (source.rpartition("=")[2] for source in strings(entry.get("files")))
            yield from (source for source in sources if not _is_object(Path(_path(file, source))))


def _is_object(file: Path) -> bool:
    """Return whether a file that becomes text in a ConfigMap is a manifest as well."""
    content = _content(file)
    return bool(content.get("apiVersion") and content.get("kind"))
