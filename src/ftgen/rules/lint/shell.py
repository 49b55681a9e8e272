"""The shell text of a container: what it runs, as far as it can be read without running it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ftgen import kube
from ftgen.validation.manifest import Container, strings, text

_SHELLS = frozenset(("sh", "bash", "dash", "ash", "zsh", "ksh"))
TRAINING_COMMAND = re.compile(
    r"\b(?:torchrun|torch\.distributed\.(?:run|launch)|accelerate[ \t]+launch|deepspeed|llamafactory-cli[ \t]+train"
    r"|swift[ \t]+sft|horovodrun|mpirun|mpiexec|colossalai[ \t]+run)\b"
    r"|\bpython[0-9.]*[^\n;|&]{1,200}?(?:train|finetune|fine_tune|sft|pretrain)[\w-]*(?:\.py)?\b"
)
"""What starts a training, which ends once it is done."""
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A container's script.

    Attributes:
        path: of the text in the manifest.
        code: the script as the shell gets it, without comment lines; for other programs the words of the command.
        raw: the same before Kubernetes' expansion.
        tracing: what makes the shell print every command before it runs it; empty where nothing does.
        known: whether what runs is in the manifests at all; without a command the image decides.
        expanded: whether Kubernetes expands variables in the text, as it does in commands, and not in mounted files.
    """

    path: str
    code: str
    raw: str
    tracing: str
    known: bool
    expanded: bool = True


@lru_cache(maxsize=64)
def shell_text(container: Container) -> Script:
    """What a container runs: the script after a shell's `-c`, the one a shell is given, else command and arguments."""
    words = [(f"{container.path}.{key}[{i}]", w) for key in ("command", "args") for i, w in _words(container, key)]
    for at, (_, word) in enumerate(words[:-1]):
        if _is_shell(words[0][1]) and re.fullmatch(r"-[a-z]*c[a-z]*", word):
            path, script = words[at + 1]
            tracing = word if "x" in word else _tracing(_as_run(script))
            return Script(path, _as_run(script), script, tracing, known=True)
    script_at = next((at for at, (_, word) in enumerate(words[1:], 1) if not word.startswith("-")), 0)
    if script_at and _is_shell(words[0][1]):
        path, file = words[script_at]
        if file in container.files:
            mounted = container.files[file]
            flags = [word for _, word in words[1:script_at] if "x" in word]
            code = _without_comments(mounted)
            return Script(path, code, mounted, flags[0] if flags else _tracing(code), known=True, expanded=False)
    line = " ".join(word for _, word in words)
    return Script(f"{container.path}.command", line, line, "", known=bool(words))


def _words(container: Container, key: str) -> list[tuple[int, str]]:
    given = container.body.get(key)
    return list(enumerate(strings(given))) if isinstance(given, list) else []


def _is_shell(program: str) -> bool:
    return program.rpartition("/")[2] in _SHELLS


@lru_cache(maxsize=256)
def _as_run(script: str) -> str:
    """A script as the shell gets it, without comment lines."""
    return _without_comments(kube.expand(script, {}))


@lru_cache(maxsize=256)
def _without_comments(script: str) -> str:
    """A script without comment lines; one text for all jobs that share it, so that it is searched once."""
    return _COMMENT.sub("", script)


_TRACE = re.compile(r"^[ \t]*(?:set[ \t]+(?:-[a-wyz]*x|-o[ \t]+xtrace)|(?:ba)?sh[ \t]+-[a-z]*x)", re.MULTILINE)


@lru_cache(maxsize=256)
def _tracing(code: str) -> str:
    there = _TRACE.search(code)
    return there[0].strip() if there else ""


@lru_cache(maxsize=2048)
def has_match(pattern: re.Pattern[str], code: str) -> bool:
    """Whether a pattern is found in a text; the jobs of a sweep share their scripts, so each is searched once."""
    return bool(pattern.search(code))


@lru_cache(maxsize=512)
def find_all(pattern: re.Pattern[str], code: str) -> tuple[Any, ...]:
    """What a pattern finds in a text, each once, in order: the match, its only group, or the tuple of its groups."""
    return tuple(dict.fromkeys(pattern.findall(code)))


@lru_cache(maxsize=64)
def settings_texts(container: Container) -> tuple[str, ...]:
    """All that a container's trainer may read: its script, here documents included, and variables of several lines."""
    values = [text(variable.get("value")) for _, variable in container.env]
    return (shell_text(container).code, *(value for value in values if "\n" in value))


def has_match_in_any(pattern: re.Pattern[str], texts: Iterable[str]) -> bool:
    """Whether a pattern is found in one of some texts."""
    return any(has_match(pattern, each) for each in texts)


def find_all_in_texts(pattern: re.Pattern[str], texts: Iterable[str]) -> tuple[Any, ...]:
    """What a pattern finds in some texts together, as `found` has it."""
    return tuple(dict.fromkeys(each for code in texts for each in find_all(pattern, code)))
