"""A short campaign finds nothing, and what is planted is found."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fuzz import run
from tests.fuzz.campaign import Findings, batch, slug
from tests.fuzz.case import Case, load
from tests.fuzz.inputs import KINDS
from tests.fuzz.run import Box

from ftgen.cli import groups


def test_some_hundred_inputs(tmp_path: Path) -> None:
    findings = Findings(tmp_path / "found")
    batch(Box(tmp_path / "box"), findings, 1, 300)
    assert not findings.smallest
    assert sum(findings.counts[name] for name in KINDS) == 300
    assert {"= 0", "= 1", "= 2"} <= findings.counts.keys()


def _raises(_: object) -> int:
    raise LookupError("planted")


def _hangs(_: object) -> int:
    while True:
        time.sleep(0)


def _changes(_: object) -> int:
    os.environ["PLANTED"] = "1"
    return 0


def _writes(_: object) -> int:
    Path("../outside/planted").write_text("x", encoding="utf-8")
    return 0


PLANTED: dict[str, tuple[Callable[[object], int], str]] = {
    "an exception": (_raises, "LookupError in nowhere"),
    "a code": (lambda _: 3, "exit 3"),
    "no end": (_hangs, "Hang in nowhere"),
    "a changed process": (_changes, "changed environment"),
    "a file elsewhere": (_writes, "outside planted"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted, finding = PLANTED[what]
    monkeypatch.setattr(groups, "run", planted)
    monkeypatch.setattr(run, "SECONDS", 0.2)
    assert Box(tmp_path).run(Case(("groups",))).finding.startswith(finding.split(" in ")[0])


def test_a_finding_is_kept_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks_on_strict(arguments: Any) -> int:
        if arguments.flags.strict:
            raise LookupError("planted")
        return 0

    for module in ("check", "groups"):
        monkeypatch.setattr(f"ftgen.cli.{module}.run", breaks_on_strict)
    findings = Findings(tmp_path / "found")
    batch(Box(tmp_path / "box"), findings, 2, 300, ("check",))
    (finding,) = findings.smallest
    assert finding.startswith("LookupError in ")
    kept = load((tmp_path / "found" / f"{slug(finding)}.json").read_text(encoding="utf-8"))
    assert kept.argv[0] == "check"
    assert "--strict" in kept.argv


def test_a_case_is_the_same_after_it_was_kept(tmp_path: Path) -> None:
    files = {"a.yaml": "a: 1\nb: \udcff\n", "link": {"link": "a.yaml"}, "b/pipe": {"fifo": True}, "c": {"size": 5}}
    case = Case(("-o", "\udcff"), files=files, env={"HOME": None}, stdin=None, before=(("gc",),), code=1)
    again = load(case.dump())
    assert (again.argv, again.env, again.stdin, again.before, again.code) == (
        case.argv, case.env, case.stdin, case.before, case.code,
    )  # fmt: skip
    again.lay(tmp_path)
    assert (tmp_path / "a.yaml").read_bytes() == b"a: 1\nb: \xff\n"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "b" / "pipe").is_fifo()
    assert (tmp_path / "c").stat().st_size == 5
