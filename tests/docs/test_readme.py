"""The README's commands are run, and what it shows of their output is what they print."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FTGEN = Path(sys.executable).with_name("ftgen")
HASH = re.compile(r"(?<=-)[0-9a-f]{8}(?=\.yaml|\b)")


def _sessions() -> list[list[tuple[str, str]]]:
    """The console blocks: each command with the output shown below it."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    parted = [re.split(r"^\$ ", block, flags=re.MULTILINE)[1:] for block in blocks]
    return [[(part.partition("\n")[0], part.partition("\n")[2]) for part in parts] for parts in parted]


SESSIONS = [session for session in _sessions() if session[0][0].startswith("ftgen ")]


@pytest.mark.parametrize("session", SESSIONS, ids=[session[0][0] for session in SESSIONS])
def test_session(session: list[tuple[str, str]], tmp_path: Path) -> None:
    """The commands of a block, one after the other in one directory."""
    for command, shown in session:
        words = [FTGEN, *command.split()[1:]]
        done = subprocess.run(
            words, cwd=tmp_path, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == (1 if "error[" in shown else 0), f"{command}: {done.stderr}"
        assert not shown or HASH.sub("<hash>", done.stderr) == shown


def test_make_targets_exist() -> None:
    targets = re.findall(r"^\$ make (\w+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target, rule in re.findall(r"\]\((?!https?:)([^)#]+)#?(FT\d{3})?", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
            assert not rule or f'<a id="{rule}">' in _text(page.parent / target), f"{page.name} links to {rule}"


@cache
def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")
