"""What every argument surface is derived with: the syntax trees of a release, and the files that hold what they say.

The dataclasses are read from their syntax trees: importing them needs torch, and a machine's torch would change some
defaults.  The files are `schemas/<program>/<version>.json`, one argument a line, and `SOURCES.json` beside them, which
names every archive with its digest and the digest of each derived file.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct, field

SCHEMAS = Path(__file__).parents[1] / "schemas"


class Sources(Struct):
    """The classes and assignments of a few modules, by name."""

    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    assigned: dict[str, list[ast.expr]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Read one module."""
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                self.classes.setdefault(node.name, node)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.assigned.setdefault(node.targets[0].id, []).append(node.value)
            elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias" and node.value:
                self.assigned.setdefault(ast.unparse(node.target), []).append(node.value)

    def members(self, name: str) -> dict[str, Any] | None:
        """Member name -> value of an enumeration; None when `name` is none."""
        node = self.classes.get(name)
        if node is None or not any("Enum" in ast.unparse(base) for base in node.bases):
            return None
        pairs = [(n.targets[0], n.value) for n in node.body if isinstance(n, ast.Assign)]
        return {t.id: v.value for t, v in pairs if isinstance(t, ast.Name) and isinstance(v, ast.Constant)}


def alternatives(node: ast.expr) -> Iterator[ast.expr]:
    """The members of a union, however it is written."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from alternatives(ast.parse(node.value, mode="eval").body)
    elif isinstance(node, ast.BinOp):
        yield from alternatives(node.left)
        yield from alternatives(node.right)
    elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(("Optional", "Union")):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for part in inner:
            yield from alternatives(part)
        if ast.unparse(node.value).endswith("Optional"):
            yield ast.Constant(None)
    else:
        yield node


def value_of(node: ast.expr, sources: Sources) -> Any:  # noqa: PLR0911 - one case for each form
    """The value of a default or choices expression; None when only a running trainer could say."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Attribute(ast.Name(owner), member) if (members := sources.members(owner)) is not None:
            return members[member]
        case ast.BinOp(left, ast.Mult(), right):
            return value_of(left, sources) * value_of(right, sources)
        case ast.UnaryOp(ast.USub(), operand):
            return -value_of(operand, sources)
        case ast.Name(name):
            return next((v for e in sources.assigned.get(name, ()) if (v := value_of(e, sources)) is not None), None)
        case ast.List(items) | ast.Tuple(items):
            return [value_of(item, sources) for item in items]
        case ast.Dict(keys, values):
            pairs = zip(keys, values, strict=True)
            return {value_of(k, sources): value_of(v, sources) for k, v in pairs if k is not None}
        case ast.Lambda(_, body):
            return value_of(body, sources)
        case ast.Call(ast.Attribute(owner, "keys"), []):
            return list(value_of(owner, sources) or ()) or None
        case ast.Call(ast.Name("dict"), _, keywords):
            named = {k.arg: value_of(k.value, sources) for k in keywords if k.arg is not None}
            return {
                **named,
                **{n: v for k in keywords if not k.arg for n, v in value_of(k.value, sources).items()},
            }
        case _:
            return None


def field_keywords(node: ast.expr | None) -> dict[str, ast.expr]:
    """The keywords of a `field(…)` or `Field(…)`; none for another value."""
    is_field = isinstance(node, ast.Call) and ast.unparse(node.func).lower().endswith("field")
    return {k.arg: k.value for k in node.keywords if k.arg} if is_field and isinstance(node, ast.Call) else {}


# ---------------------------------------------------------------- wheels


def wheel(folder: Path, package: str, version: str, sha256: str) -> zipfile.ZipFile:
    """Open a pinned wheel, fetched into the folder where it is not there, or fail when its digest is another."""
    file = folder / f"{package}-{version}-py3-none-any.whl"
    if not file.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", str(folder), f"{package}=={version}"], check=True)
    if (digest := hashlib.sha256(file.read_bytes()).hexdigest()) != sha256:
        raise SystemExit(f"{file.name}: sha256 {digest} is not the pinned {sha256}")
    return zipfile.ZipFile(file)


# ---------------------------------------------------------------- files


def text_of(document: dict[str, Any]) -> str:
    """JSON with sorted keys, one entry of each table a line."""
    parts = []
    for key in sorted(document):
        value = document[key]
        if isinstance(value, dict) and value:
            rows = [f"  {json.dumps(k)}: {_compact(v)}" for k, v in sorted(value.items())]
            parts.append(f" {json.dumps(key)}: {{\n" + ",\n".join(rows) + "\n }")
        else:
            parts.append(f" {json.dumps(key)}: {_compact(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(", ", ": "), ensure_ascii=True)


def source_list(artefacts: dict[str, Any], files: dict[str, str]) -> str:
    """The text of SOURCES.json: every archive, and the digest of each derived file."""
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    return text_of({"artefacts": artefacts, "files": digests, "registry": "PyPI"})


class Surfaces(Struct, frozen=True):
    """The derived files of one program.

    Attributes:
        program: its folder below `schemas/`.
        derive: given the folder that keeps the archives, the text of each file by name, SOURCES.json included.
    """

    program: str
    derive: Callable[[Path], dict[str, str]]

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return SCHEMAS / self.program

    def differing(self, expected: dict[str, str]) -> list[str]:
        """Files that are not what was derived."""
        files = {name: self.folder / name for name in expected}
        return [name for name, file in files.items() if not file.exists() or file.read_text() != expected[name]]

    def tampered(self) -> list[str]:
        """Files whose digest SOURCES.json does not name."""
        digests = json.loads((self.folder / "SOURCES.json").read_text())["files"]
        there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.folder.glob("*.json")}
        there.pop("SOURCES.json")
        return sorted(name for name in {*digests, *there} if digests.get(name) != there.get(name))

    def main(self, description: str | None) -> int:
        """Derive, or compare."""
        parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
        parser.add_argument("--check", action="store_true", help="derive again and fail on any difference")
        parser.add_argument("--offline-check", action="store_true", help="compare digests only")
        parser.add_argument("--archives", type=Path, help="folder that keeps the archives")
        options = parser.parse_args()
        if options.offline_check:
            return _verdict(self.tampered())
        with tempfile.TemporaryDirectory() as scratch:
            files = self.derive(options.archives or Path(scratch))
        if options.check:
            return _verdict(self.differing(files))
        self.folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (self.folder / name).write_text(text)
        return 0


def _verdict(names: list[str]) -> int:
    for name in names:
        sys.stderr.write(f"{name}: differs from what is derived\n")
    return 1 if names else 0
