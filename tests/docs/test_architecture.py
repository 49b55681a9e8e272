"""The tour of `docs/architecture.md` is the route that a render takes, and every name on the page exists."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest

import ftgen
from ftgen import cli, spec
from ftgen.validation import Scope, rules

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
TEXT = PAGE.read_text(encoding="utf-8")
SOURCE = Path(ftgen.__file__).parent
PACKAGES = {path.stem for path in SOURCE.iterdir() if path.suffix in {"", ".py"} and not path.stem.startswith("__")}

MOST_FILES = 15
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
# A link to a file, with the functions of it that follow.
FILE = re.compile(r"\]\(\.\./([^)]+)\)((?:(?:,| and)?\s+`[\w.]+`)*)")


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    return TEXT.partition(f" {title}\n")[2].partition("\n#")[0]


class Stop(NamedTuple):
    """A step of a numbered list: the file it opens, the functions of it, and `key: value` as it stands there."""

    file: Path
    functions: tuple[str, ...]
    lines: tuple[str, ...]


def stops(title: str) -> list[Stop]:
    [numbered] = [block for block in section(title).split("\n\n") if block.lstrip().startswith("1. ")]
    steps = re.split(r"^\d+\. ", numbered, flags=re.MULTILINE)[1:]
    found = [(FILE.findall(step), [code for code in CODE.findall(step) if ": " in code]) for step in steps]
    assert all(len(files) == 1 for files, _ in found), "each step names one file"
    return [Stop(ROOT / file, tuple(CODE.findall(names)), tuple(lines)) for [(file, names)], lines in found]


TOUR, WAY_BACK = stops("The tour"), stops("The way back of a wrong value")


def calls(words: list[str]) -> list[tuple[Path, str]]:
    """Run ftgen, and return its own functions in the order in which they were called."""
    called: list[tuple[Path, str]] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(SOURCE)):
            called.append((Path(frame.f_code.co_filename), frame.f_code.co_qualname))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        cli.main(words)
    finally:
        sys.setprofile(before)
    return called


@pytest.mark.parametrize(
    ("route", "words"),
    [(TOUR, ["hardware=ascend", "trainer.lr=1e-4"]), (WAY_BACK, ["trainer.lr=-1"])],
    ids=["tour", "way back"],
)
def test_the_route_is_taken_in_this_order(
    route: list[Stop], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    called = iter(calls(words))
    for file, functions, lines in route:
        assert functions or (lines and all(line in file.read_text(encoding="utf-8") for line in lines)), file.name
        for function in functions:
            assert (file, function) in called, f"{file.name} {function} is not called after the one before it"


def test_the_tour_ends_where_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command, line = CODE.findall(section("The tour"))[:2]
    assert cli.main([*command.split()[1:], "-q"]) == 0
    [job] = tmp_path.glob("out/*/job-*.yaml")
    assert line in [text.strip() for text in job.read_text(encoding="utf-8").splitlines()]


def test_the_tour_is_short() -> None:
    assert len({stop.file for stop in TOUR}) == len(TOUR) <= MOST_FILES


def test_the_layers_are_those_of_import_linter() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract.get("exhaustive")]
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", section("The packages"), re.MULTILINE)

    assert [int(number) for number, _ in rows] == [*range(1, len(layers) + 1)]
    assert [set(CODE.findall(names)) for _, names in rows] == [set(layer.split(" | ")) for layer in reversed(layers)]


def test_a_stranger_meets_at_most_twenty_names_at_the_top() -> None:
    assert len(PACKAGES) <= 20


def test_the_scopes_are_those_that_there_are() -> None:
    named = [name for name in CODE.findall(section("The rules")) if name.isupper() and name.isidentifier()]
    assert sorted(named) == sorted(name for name, value in vars(rules).items() if isinstance(value, Scope))


def test_links_lead_to_files() -> None:
    links = LINK.findall(TEXT)
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


# `pipeline.compile_spec`, `ftgen.validation`, `trainer.lr`: modules and what is in them, and configuration keys.
DOTTED = re.compile(r"(?:ftgen\.)?([a-z]\w*(?:\.\w+)+)")
FILE_NAMES = {"ftgen.lock", "pyproject.toml"}
# Up to where a name of the reader's own stands: `conf/hardware/<name>.yaml`.
PATH = re.compile(r"((?:src|conf|overlays|schemas|tests|tools|docs|out)/[\w./-]*)")


def dotted_names() -> set[str]:
    words = {code.removeprefix("python -m ") for code in CODE.findall(TEXT)} - FILE_NAMES
    return {match[1] for word in words if (match := DOTTED.fullmatch(word))}


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or something in one; ftgen's own modules are named without `ftgen`."""
    first, *rest = dotted.split(".")
    name = f"ftgen.{first}" if first in PACKAGES else first
    value: object = import_module(name)
    for part in rest:
        name = f"{name}.{part}"
        if hasattr(value, "__path__") and find_spec(name):
            import_module(name)
        if not hasattr(value, part):
            return False
        value = getattr(value, part)
    return True


@pytest.mark.parametrize("name", sorted(dotted_names()))
def test_a_dotted_name_exists(name: str) -> None:
    is_python = name.partition(".")[0] in {*PACKAGES, "tools"}
    assert exists(name) if is_python else spec.knows(name), f"{name} is neither of ftgen nor a configuration key"


@pytest.mark.parametrize("path", sorted({p for word in CODE.findall(TEXT) for p in PATH.findall(word)}))
def test_a_path_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_make_targets_exist() -> None:
    targets = {target for code in CODE.findall(TEXT) for target in re.findall(r"^make ([\w-]+)$", code)}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
