"""Mutated manifests, command lines and scripts end in a diagnostic at the user's file, never in an internal error."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftgen import cli
from ftgen.text import yamlio

SHAPES = sorted((Path(__file__).parent / "shapes").glob("*.yaml"))
LINES = (
    (
        "docker run -d --gpus '\"device=0,1\"' -v /a:/b --mount type=bind,src=/x,dst=/y --tmpfs /r:size=1m --cpus 4 "
        "--memory 8g --shm-size 1g --user 1:2 -e A=b --add-host a:10.0.0.1 --name n -w /w --entrypoint sh i:1 -c 'x y'"
    ),
    (
        "set -e\nTAG=1\nsudo docker run -it --device /dev/davinci0 --privileged \\\n"
        '  -v $(pwd):/w i:$TAG bash -c "a; b" | tee l\n'
    ),
)
PIECES = (
    *("'", '"', "\\", "$", "$(", "`", "${", "\n", "\r\n", "\0", "<<E\n", "&&", "|", ";", "#", "=", ",", ":", " ", "--"),
    *("-e ", "all", "none", "0-3", "\u2028", "*", "~", "-v ", "/dev/", "CAP_", ")", "(", "<", ">", "\ufeff", "--x"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 10**30, "", "x", "${a}", "~", "a/b", "0" * 300, "1e9999", "\x00"),
    *([], {}, [1], [None], {"a": 1}, {"name": 1}, [{"name": "x"}], {"": ""}),
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in entries:
        yield (*path, key)
        yield from _paths(held, (*path, key))


def mutated(value: Any, chance: random.Random) -> Any:
    """A copy with one entry replaced or removed."""
    changed = copy.deepcopy(value)
    *above, last = chance.choice(list(_paths(changed)))
    place = changed
    for step in above:
        place = place[step]
    if chance.random() < 0.75:
        place[last] = copy.deepcopy(chance.choice(VALUES))
    else:
        del place[last]
    return changed


def garbled(text: str, chance: random.Random) -> str:
    """A copy with some pieces put in and some taken out."""
    for _ in range(chance.choice((1, 2, 4))):
        at = chance.randrange(len(text) + 1)
        put = chance.choice(PIECES) if chance.random() < 0.6 else ""
        text = text[:at] + put + text[at + chance.choice((0, 0, 1, 5)) :]
    return text


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def judged(*words: str) -> None:
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        code = cli.main(["import", *words])
    assert code in (0, 1), err.getvalue()
    assert not re.search(r"config\.yaml:|residual\.yaml: ", err.getvalue()), err.getvalue()


@pytest.mark.parametrize("seed", range(12))
def test_a_mutated_manifest(seed: int) -> None:
    chance = random.Random(seed)
    documents = mutated(yamlio.read_all(chance.choice(SHAPES)), chance)
    Path("in.yaml").write_text("\n---\n".join(map(json.dumps, documents)), encoding="utf-8")
    judged("in.yaml")


@pytest.mark.parametrize("seed", range(12))
def test_a_garbled_text(seed: int) -> None:
    chance = random.Random(seed)
    Path("in").write_text(garbled(chance.choice(LINES), chance), encoding="utf-8")
    judged("in")


@pytest.mark.parametrize("seed", range(12))
def test_a_garbled_command_line(seed: int) -> None:
    chance = random.Random(seed)
    words = shlex.split(LINES[0])
    at = chance.randrange(2, len(words))
    words[at] = chance.choice(("", "-", "--", "-e", "=", "\udc80", garbled(words[at], chance)))
    judged("--", *words)
