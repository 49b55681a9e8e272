"""Render the README's example and every packaged experiment into out/, or check what lies there.

python -m tools.experiments          writes out/
python -m tools.experiments --check  exits 1 and names the files that differ
"""

from __future__ import annotations

import filecmp
import sys
import tempfile
from pathlib import Path

from ftgen import cli, runtime

# What `make run` renders: in a clean checkout it finds its work done.
EXAMPLE = ["hardware=ascend", "trainer.lr=1e-4"]
OUT = Path(__file__).parents[1] / "out"


def render(out: Path) -> None:
    """Render example and experiments below a folder, as a user would, one command each."""
    experiments = sorted(runtime.conf_dir().glob("experiment/*.yaml"))
    for words in (EXAMPLE, *([f"+experiment={option.stem}"] for option in experiments)):
        code = cli.main([*words, "-o", str(out), "-q"])
        if code:
            sys.exit(f"{' '.join(words)} was rejected with exit code {code}")


def differences(here: Path, there: Path) -> list[str]:
    """Files that are not the same in both folders, by their relative paths."""
    paths = {p.relative_to(root) for root in (here, there) for p in root.rglob("*") if p.is_file()}
    return sorted(str(path) for path in paths if not _same(here / path, there / path))


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)


def main(words: list[str]) -> int:
    """Write `out/`, or name the files of it that are out of date."""
    if words == ["--check"]:
        with tempfile.TemporaryDirectory() as scratch:
            render(Path(scratch))
            stale = differences(OUT, Path(scratch))
        for path in stale:
            print(f"out/{path} is not what its experiment renders to; run `make out`")
        return 1 if stale else 0
    render(OUT)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
