"""Whoever is refused is told what to do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ftgen

PACKAGE = Path(ftgen.__file__).parent
VERBS = (
    "archive",
    "diff",
    "gc",
    "live",
    "logs",
    "preview",
    "publish",
    "rebuild",
    "repository",
    "rerun",
    "server",
    "status",
    "stop",
    "tune",
)
FOLDERS = ("output/tree", "remote/cluster", "remote/gitops", "remote/locking", "review/diff", "tuning")
FILES = [
    *(file for folder in FOLDERS for file in sorted((PACKAGE / folder).glob("*.py"))),
    *(PACKAGE / "cli" / f"{verb}.py" for verb in VERBS),
]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_is_there(folder):
    assert (PACKAGE / folder / "__init__.py") in FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}.{file.stem}")
def test_every_diagnostic_helps(file):
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in {"error", "warning", "note"}]
    assert [call.lineno for call in made if "help" not in [keyword.arg for keyword in call.keywords]] == []
