"""Kustomizations of the user: which files beside them are their input, and no objects themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ftgen.diagnostics import Rejected
from ftgen.text import yamlio
from ftgen.text.shapes import entries, mapping, strings, text

_NAMES = ("kustomization.yaml", "kustomization.yml")


def referenced_files(names: Iterable[str]) -> dict[str, str]:
    """Map each file that is input of a kustomization, and no object itself, to the kustomization that refers to it."""
    return {
        os.path.normpath(Path(name).parent / reference): name
        for name in names
        if name.endswith(_NAMES) and Path(name).name in _NAMES
        for reference in _references(Path(name))
    }


def _references(file: Path) -> Iterator[str]:
    """Yield the paths of a kustomization's patches, configuration and generator inputs."""
    try:
        content = mapping(yamlio.parse(yamlio.read_text(file, str(file)), str(file)))
    except Rejected:
        return
    for key in ("patches", "patchesJson6902", "replacements"):
        yield from (text(entry.get("path")) for _, entry in entries(content.get(key)))
    for key in ("patchesStrategicMerge", "configurations", "transformers", "generators", "validators", "crds"):
        yield from strings(content.get(key))
    yield text(mapping(content.get("openapi")).get("path"))
    for key in ("configMapGenerator", "secretGenerator"):
        for _, entry in entries(content.get(key)):
            yield from (source.rpartition("=")[2] for source in strings(entry.get("files")))
