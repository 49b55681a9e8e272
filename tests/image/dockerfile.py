"""Recipes as the command prints them, and as a Dockerfile's own parser reads them."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache

from dockerfile_parse import DockerfileParser
from tools.options import GROUPS, NEEDS, chosen

from ftgen import cli, runtime

COMMAND = ("trainer=command", *NEEDS["command"])
# Options whose recipe is that of `full-gpu` or `ascend`.
ALIKE = {option for option in GROUPS["hardware"] if option.startswith(("nvidia-", "ascend-910b-", "ascend-vnpu-"))}
BASES = [option for option in GROUPS["hardware"] if option not in ALIKE]
# Trainers that are no LLaMA-Factory.
COMMANDS = [
    option
    for option in GROUPS["trainer"]
    if re.search(
        r"^framework: command|^  - command$", (runtime.conf_dir() / f"trainer/{option}.yaml").read_text(), re.MULTILINE
    )
]
# Every hardware option with LLaMA-Factory, every base with a command, every tracker, and every other trainer.
CASES: dict[str, tuple[str, ...]] = {
    **{option: (f"hardware={option}", *NEEDS.get(option, ())) for option in GROUPS["hardware"]},
    **{f"{option}-command": (f"hardware={option}", *COMMAND) for option in BASES},
    **{f"tracking-{option}": (f"tracking={option}", "hardware=cpu") for option in GROUPS["tracking"]},
    **{f"trainer-{option}": ("hardware=cpu", *chosen("trainer", option)) for option in COMMANDS},
}
# Why there is no recipe: no base is known, or its Python is too old for LLaMA-Factory.
REFUSED = {
    **{
        f"{vendor}{trainer}": "FT557"
        for vendor in ("cambricon", "iluvatar", "kunlunxin")
        for trainer in ("", "-command")
    },
    **dict.fromkeys(("hygon", "mthreads"), "FT761"),
}
RECIPES = {name: words for name, words in CASES.items() if name not in REFUSED and name not in ALIKE}


def has_llamafactory(case: str) -> bool:
    return not case.endswith("-command") and not case.startswith("trainer-")


@dataclass(frozen=True)
class Instruction:
    word: str
    text: str
    line: int


@cache
def asked(*words: str) -> tuple[int, str, str]:
    """Run `ftgen image` and return its exit code, what it printed, and what it told."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(["image", *words])
    return code, out.getvalue(), err.getvalue()


def printed(*words: str) -> str:
    code, text, told = asked(*words)
    assert code == 0, told
    return text


def parse(text: str) -> list[Instruction]:
    parser = DockerfileParser(fileobj=io.BytesIO(text.encode()))
    read = [(i["instruction"], i["value"], i["startline"] + 1) for i in parser.structure]
    return [Instruction(*one) for one in read if one[0] != "COMMENT"]


def every(instructions: list[Instruction], word: str) -> list[Instruction]:
    return [one for one in instructions if one.word == word]


def expanded(text: str, arguments: dict[str, str]) -> str:
    """Return a text as Docker expands it, arguments in arguments as well."""
    value = re.sub(r"\$\{(\w+)\}", lambda match: arguments.get(match[1], match[0]), text)
    return expanded(value, arguments) if value != text else value


def requirements(arguments: dict[str, str], *lists: str) -> dict[str, str]:
    """Return the versions of the Python packages that a recipe installs, by name."""
    words = [word for name in lists for word in expanded(arguments[name], arguments).strip('"').split()]
    return dict(re.sub(r"\[.*\]", "", word).split("==") for word in words)


def commands(run: Instruction) -> list[str]:
    return [part.strip() for part in re.split(r"&&|;|\|\|", run.text)]
