"""Every command on every page is run, in the order of its page, and what the page shows of its output is compared."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import dropwhile, pairwise
from pathlib import Path

import pytest
from tests.docs.commands import PAGES, ROOT, Code, Command, File, mentions, steps
from tests.docs.conftest import Said

from ftgen.cli import arguments
from ftgen.config import compose

# Commands that a page takes as given before its first one.
GIVEN = {
    "facts.md": ["ftgen name=sft hardware=full-gpu hardware.devices=8"],
    "gitops.md": ["ftgen -o training name=sft"],
    "page.md": ["ftgen name=sft"],
    "preview.md": ["ftgen name=sft", "ftgen publish --repo . --branch main --path jobs name=sft"],
    "serving.md": [
        "ftgen name=sft",
        "ftgen -m name=tuning trainer.lr=1e-4,2e-4",
        "ftgen publish --repo . --branch main --path jobs name=sft",
    ],
    "status.md": [
        "ftgen name=sft",
        "ftgen -o training -m name=ablation trainer.lr=1e-4,2e-4",
        "ftgen publish --repo ~/clusters --branch main --path training/lab name=sft",
    ],
}

# What is not run, by its first words, and why. What ftgen would be asked is parsed, composed and checked all the same.
NOT_RUN = {
    "ftgen status --repo ~/clusters --branch main --path training/lab --watch": "ends with Ctrl-C only",
    "kubectl create": "needs a cluster",
    "kubectl get": "needs a cluster",
    "kubectl port-forward": "needs a cluster",
    "ftgen status --mlflow": "needs a server of MLflow's; tests/status/test_mlflow.py plays one",
    "ftgen lock": "needs a registry and git servers; tests/locking plays them",
    "ftgen --locked": "needs what `ftgen lock` wrote; tests/locking runs it",
    "ftgen tune --repo": "needs a server of MLflow's; tests/tuning/test_mlflow.py plays one",
    "ftgen logs": "needs a pod that runs; tests/status plays one",
    "pip install": "installs from a package index into the environment that the tests run in",
    "tensorboard": "a server of TensorBoard's, in a pod",
}
HASH = re.compile(r"(?<=-)[0-9a-f]{8}(?![0-9a-f])")
RUN = re.compile(r"(?<![\w-])(?!job-)[a-z][\w-]*-[0-9a-f]{8}(?![\w-])|(?<=job-)[a-z][\w-]*-[0-9a-f]{8}(?![\w-])")


# A directory whose options are called mine, as pages call a reader's own.
OWN = Path(__file__).parent / "data" / "own"
# What stands for a word of the reader's own: RUN, PATH|URL, [OVERRIDES], out/NAME/job.yaml, `…`.
PLACEHOLDER = re.compile(r"\[?(?:[\w.]+=)?[A-Z]{2,}[|A-Z]*\]?|.*….*")

SWEPT = re.compile(r"^([\w./+@]+=[^,\[{(']*),.*")
INTERVAL = re.compile(r"=.*interval\(([^,]+),.*")


def _id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [page for page in PAGES if steps(page)], ids=_id)
def test_the_commands_of_a_page(page: Path, machine: Path, ftgen: Callable[[list[str]], Said]) -> None:
    for text in GIVEN.get(page.name, []):
        assert ftgen(_words(shlex.split(text)[1:], machine)).code == 0, text
    wrong: list[str] = []
    for step in steps(page):
        if isinstance(step, Code):
            exec(compile(step.text, f"{page}:{step.line}", "exec"), {})
        elif isinstance(step, File):
            (machine / step.path).parent.mkdir(parents=True, exist_ok=True)
            (machine / step.path).write_text(step.text, encoding="utf-8")
        else:
            wrong += _type(step, f"{_id(page)}:{step.line}", machine, ftgen)
    assert wrong == [], "\n".join(wrong)


def _type(command: Command, place: str, machine: Path, ftgen: Callable[[list[str]], Said]) -> Iterator[str]:
    """Run the programs of a command line that can be run here, and compare what the page shows."""
    for given in command.parts:
        words = _without_variables(given)
        program, *rest = words
        if any(_begins(words, known) for known in NOT_RUN):
            if program == "ftgen":
                accepted(rest)
        elif program == "ftgen":
            said = ftgen(_words(rest, machine))
            if said.code not in _codes(command, rest) or (command.shown and not _matches(command.shown, said.text)):
                yield f"{place}: {command.text}\n{said.code}: {said.text}"
        elif program in _OTHERS:
            _OTHERS[program](words)
        else:
            yield f"{place}: {program} is not run here, and NOT_RUN does not say why"


def _codes(command: Command, words: list[str]) -> set[int]:
    """Return the exit codes that the page leads to expect; 1 of `ftgen diff` says that something differs."""
    return {1} if "error[" in command.shown else {0, 1} if words[:1] == ["diff"] else {0}


def _without_variables(words: list[str]) -> list[str]:
    return list(dropwhile(re.compile(r"[A-Z_]+=").match, words))


def _begins(words: list[str], known: str) -> bool:
    return words[: known.count(" ") + 1] == known.split()


def test_what_is_not_run_is_on_a_page() -> None:
    typed = [words for page in PAGES for step in steps(page) if isinstance(step, Command) for words in step.parts]
    assert [known for known in NOT_RUN if not any(_begins(_without_variables(words), known) for words in typed)] == []


def _words(words: list[str], machine: Path) -> list[str]:
    """Expand `~`, and put the made name of a run in the place of the one that the page made up."""
    files = [path.stem for path in machine.rglob("*.yaml")]
    runs = {HASH.sub("", name).removeprefix("job-"): name.removeprefix("job-") for name in files if HASH.search(name)}

    def made(example: re.Match[str]) -> str:
        return runs.get(HASH.sub("", example[0]), example[0])

    home = [str(Path(word).expanduser()) if word.startswith("~") else word for word in words]
    return [RUN.sub(made, word) for word in home]


def _matches(shown: str, said: str) -> bool:
    """Whether an output is what the page shows.

    `…` stands for anything, alone on its line for any lines; hashes, and places in a file, may be others.
    """
    pattern = re.escape(_without_numbers(shown)).replace("…\\\n", "(?:.*\\n)*").replace("…", ".*")
    return bool(re.fullmatch(pattern, _without_numbers(said)))


def _without_numbers(text: str) -> str:
    text = re.sub(r"(?<=yaml):\d+:\d+", ":<place>", HASH.sub("<hash>", text))
    return re.sub(r"^ *\d* \| ", "  <line> | ", text, flags=re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if mentions(page)], ids=_id)
def test_the_commands_in_sentences(page: Path) -> None:
    """A command in a sentence or a table is one: its verb, its flags and, where it is whole, its overrides."""
    for command in mentions(page):
        words = shlex.split(command.text)
        accepted([word for last, word in pairwise(words) if last[0] == "-" or not PLACEHOLDER.fullmatch(word)])


def accepted(words: list[str]) -> None:
    """Parse a command line, and compose its overrides where it names any."""
    parsed = arguments.parse(words)
    overrides = tuple(word for word in parsed.overrides if "=" in word)
    assert parsed.verb != arguments.RENDER or len(overrides) == len(parsed.overrides), f"{words} begins with no verb"
    # The arguments of an image's recipe are of no group; of a sweep, or a search, the first point is composed.
    whole = [word for word in overrides if not word.startswith("image.") and not PLACEHOLDER.search(word)]
    first = tuple(SWEPT.sub(r"\1", INTERVAL.sub(r"=\1", word)) for word in whole)
    compose.compose(compose.Request(overrides=first, config_name=parsed.config_name, directory=OWN))


def _make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [word for word in words[1:] if "=" not in word]
    assert targets
    assert [target for target in targets if not re.search(rf"^([\w -]+ )?{target}\b.*:", makefile, re.MULTILINE)] == []


def _pytest(words: list[str]) -> None:
    assert [word for word in words[1:] if "/" in word and not (ROOT / word).exists()] == []


def _module(words: list[str]) -> None:
    assert words[1] == "-m"
    assert find_spec(words[2])


def _kubectl(words: list[str]) -> None:
    """Run the real kubectl; the one on PATH plays a cluster."""
    subprocess.run([Path(sys.executable).with_name(words[0]), *words[1:]], check=True, capture_output=True)


def _git(words: list[str]) -> None:
    subprocess.run(words, check=True, capture_output=True)


_OTHERS = {"make": _make, "pytest": _pytest, "python": _module, "kubectl": _kubectl, "git": _git}
