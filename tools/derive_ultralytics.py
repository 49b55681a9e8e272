"""Derive the arguments of Ultralytics' `yolo` from its wheel on PyPI, without importing it.

`schemas/ultralytics/<version>.json` holds, one argument a line, what `yolo` of that release accepts: types, bounds, and
defaults.  They are facts of `ultralytics/cfg`: `default.yaml` names every argument with its default, and the types in
parentheses; `__init__.py` lists the fractions and the least whole numbers, which `check_cfg` refuses others of.
`SOURCES.json` names the wheel with its digest, and the digest of the derived file.

    python -m tools.derive_ultralytics                  write the files
    python -m tools.derive_ultralytics --check          derive again, fail on any difference
    python -m tools.derive_ultralytics --offline-check  compare the files with SOURCES.json only
    ... --archives DIR                                  keep the wheel there instead of fetching it anew
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.surfaces import Sources, Surfaces, source_list, text_of, wheel

PACKAGE = "ultralytics"
WHEELS = {"8.4.190": "bd309728efa168af64d39040136828edd2dbcb4aeceb4510bdff4f3ca0ea01b8"}
_LINE = re.compile(r"^(?P<name>\w+):(?:\s*[^#\n]*?)# \((?P<types>[^)]*)\)", re.MULTILINE)
_TYPES = {"str": "str", "int": "int", "float": "float", "bool": "bool", "list": "list", "tuple": "list"}
# What `check_dict_alignment` lets pass beside the names of default.yaml.
_BESIDE = {"save_dir": {"default": None, "group": PACKAGE, "type": ["null", "str"]}}


def arguments(defaults: str, module: str) -> dict[str, dict[str, Any]]:
    """Every argument by its name, of the texts of default.yaml and of the module beside it."""
    values = yaml.safe_load(defaults)
    bounds = _bounds(module)
    types = {match["name"]: _types(match["types"]) for match in _LINE.finditer(defaults)}
    if missing := values.keys() - types.keys():
        raise SystemExit(f"default.yaml says no type of {', '.join(sorted(missing))}")
    found = {
        name: {"default": values[name], "group": PACKAGE, "type": types[name], **bounds.get(name, {})}
        for name in values
    }
    return found | _BESIDE


def _types(words: str) -> list[str]:
    """The types of `int | list[int], optional`."""
    named = [part for word in re.split(r"[|,]", words) if (part := re.sub(r"\[.*", "", word.strip()))]
    return sorted({_TYPES[name] for name in named if name != "optional"} | {"null"})


def _bounds(module: str) -> dict[str, dict[str, float]]:
    sources = Sources()
    sources.add(module)
    fractions = {name for name in _set(sources, "CFG_FRACTION_KEYS") if name != "fraction"}
    (least,) = (ast.literal_eval(value) for value in sources.assigned["CFG_INT_MIN"])
    between = {name: {"minimum": 0, "maximum": 1} for name in sorted(fractions)}
    return between | {name: {"minimum": number} for name, number in least.items()}


def _set(sources: Sources, name: str) -> Iterator[str]:
    """The words of a `frozenset({…})`."""
    (value,) = (each for each in sources.assigned[name] if isinstance(each, ast.Call))
    yield from ast.literal_eval(value.args[0])


def derive(archives: Path) -> dict[str, str]:
    """The text of each file by its name."""
    files = {f"{version}.json": _derived(version, archives) for version in WHEELS}
    artefacts = {f"{PACKAGE}-{v}": {"package": PACKAGE, "version": v, "sha256": digest} for v, digest in WHEELS.items()}
    return {**files, "SOURCES.json": source_list(artefacts, files)}


def _derived(version: str, archives: Path) -> str:
    archive = wheel(archives, PACKAGE, version, WHEELS[version])
    defaults, module = (archive.read(f"ultralytics/cfg/{name}").decode() for name in ("default.yaml", "__init__.py"))
    return text_of({"arguments": arguments(defaults, module), "version": version})


SURFACES = Surfaces(PACKAGE, derive)

if __name__ == "__main__":
    raise SystemExit(SURFACES.main(__doc__))
