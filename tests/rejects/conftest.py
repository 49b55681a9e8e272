"""A scratch folder to be wrong in, and ftgen run as its user runs it."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftgen import cli

Found = tuple[str, str, str]
"""A diagnostic as the tables have it: code, `file:line[:column]` of its first place, headline."""

Reject = Callable[..., list[Found]]


def run(words: list[str]) -> tuple[int, str]:
    """Run ftgen; gives its exit code and what it said on stderr."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(words)
    err.flush()
    return code, err.buffer.getvalue().decode()  # type: ignore[attr-defined]


def survives(words: list[str]) -> None:
    """Whatever the words are, they are done, rejected or no command line; never a bug."""
    code, said = run(words)
    assert code in {0, 1, 2}, said
    assert code != 2 or said.startswith("ftgen: ")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FTGEN_TRACEBACK", raising=False)
    return tmp_path


@pytest.fixture
def reject(capsys: pytest.CaptureFixture[str]) -> Reject:
    """Run ftgen, which must refuse with exit code 1, and give what it said, errors only."""

    def run(*words: str) -> list[Found]:
        assert cli.main([*words, "--format", "json"]) == 1, capsys.readouterr()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert not list(Path("out").rglob("*.yaml")), "a rejected job wrote manifests"
        return [_row(d) for d in json.loads(said.out) if d["severity"] == "error"]

    return run


def _row(diagnostic: dict[str, Any]) -> Found:
    place = next(iter(diagnostic["locations"]), {"file": "", "line": 0, "column": 0})
    numbers = [str(number) for number in (place["line"], place["column"]) if number]
    return diagnostic["code"], ":".join([place["file"], *numbers]), diagnostic["headline"]


@pytest.fixture
def write(scratch: Path) -> Callable[[str, str | bytes], Path]:
    """Put a file of the user's own there."""

    def put(name: str, content: str | bytes) -> Path:
        file = scratch / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return put
