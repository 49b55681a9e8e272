"""The README's commands are run, and what it shows of their output is what they print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FTGEN = Path(sys.executable).with_name("ftgen")
HASH = re.compile(r"(?<=-)[0-9a-f]{8}(?=\.yaml|\b)")


def _sessions() -> list[tuple[str, str]]:
    """Every command of the console blocks, with the output shown below it."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    found = []
    for block in blocks:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append((command, shown))
    return found


SESSIONS = [session for session in _sessions() if session[0].startswith("ftgen ")]


@pytest.mark.parametrize(("command", "shown"), SESSIONS, ids=[command for command, _ in SESSIONS])
def test_command(command: str, shown: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [FTGEN, *command.split()[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == (1 if "error[" in shown else 0), done.stderr
    if shown:
        assert HASH.sub("<hash>", done.stderr) == shown


def test_make_targets_exist() -> None:
    targets = re.findall(r"^\$ make (\w+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
