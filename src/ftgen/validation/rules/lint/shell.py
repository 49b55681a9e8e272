"""The scripts of containers, as far as they can be read without running them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from msgspec import Struct

from ftgen.emulation import kubelet
from ftgen.text import kube
from ftgen.text.shapes import strings, text
from ftgen.validation.manifest import Container

_SHELLS = frozenset(("sh", "bash", "dash", "ash", "zsh", "ksh"))
TRAINING_COMMAND = re.compile(
    r"\b(?:torchrun|torch\.distributed\.(?:run|launch)|accelerate[ \t]+launch|deepspeed|llamafactory-cli[ \t]+train"
    r"|swift[ \t]+sft|horovodrun|mpirun|mpiexec|colossalai[ \t]+run)\b"
    r"|\bpython[0-9.]*[^\n;|&]{1,200}?(?:train|finetune|fine_tune|sft|pretrain)[\w-]*(?:\.py)?\b"
)
"""Commands that start a training, and end with it."""
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)


class Script(Struct, frozen=True):
    """A container's script.

    Attributes:
        path: path of the text in the manifest.
        code: script as the shell gets it, without comment lines; for other programs the words of the command.
        raw: text of the manifest, before Kubernetes expands it.
        tracing: option or command that makes the shell print each command, such as `set -x`; empty where there is none.
        known: whether the manifests hold the command; where they do not, the image decides.
        expanded: whether Kubernetes expands variables in the text: in commands it does, in mounted files it does not.
    """

    path: str
    code: str
    raw: str
    tracing: str
    known: bool
    expanded: bool = True


@lru_cache(maxsize=64)
def shell_text(container: Container) -> Script:
    """Return the text that a container runs: a shell's `-c` script, else its mounted file, else the command line."""
    command, args = (tuple(strings(container.body.get(key))) for key in ("command", "args"))
    return _script(container.path, command, args, tuple(container.files.items()))


@lru_cache(maxsize=64)
def _script(
    container: str, command: tuple[str, ...], args: tuple[str, ...], files: tuple[tuple[str, str], ...]
) -> Script:
    """Return the text that a container at a path runs; the jobs of a sweep share it."""
    lists, mounted_files = (("command", command), ("args", args)), dict(files)
    words = [(f"{container}.{key}[{i}]", word) for key, listed in lists for i, word in enumerate(listed)]
    for index, (_, word) in enumerate(words[:-1]):
        if _is_shell(words[0][1]) and re.fullmatch(r"-[a-z]*c[a-z]*", word):
            path, script = words[index + 1]
            tracing = word if "x" in word else _tracing(_as_run(script))
            return Script(path, _as_run(script), script, tracing, known=True)
    script_at = next((index for index, (_, word) in enumerate(words[1:], 1) if not word.startswith("-")), 0)
    if script_at and _is_shell(words[0][1]):
        path, file = words[script_at]
        if file in mounted_files:
            # A script that is given others runs them.
            mounted = "\n".join(mounted_files[word] for _, word in words[script_at:] if word in mounted_files)
            flags = [word for _, word in words[1:script_at] if "x" in word]
            code = _without_comments(mounted)
            return Script(path, code, mounted, flags[0] if flags else _tracing(code), known=True, expanded=False)
    line = " ".join(word for _, word in words)
    return Script(f"{container}.command", line, line, "", known=bool(words))


def _is_shell(program: str) -> bool:
    return program.rpartition("/")[2] in _SHELLS


@lru_cache(maxsize=256)
def _as_run(script: str) -> str:
    """Return a script as the shell gets it, without comment lines."""
    return _without_comments(kube.expand(script, {}))


@lru_cache(maxsize=256)
def _without_comments(script: str) -> str:
    """Remove comment lines; jobs that share a script share the result, so that each search of it runs once."""
    return _COMMENT.sub("", script)


_TRACE = re.compile(r"^[ \t]*(?:set[ \t]+(?:-[a-wyz]*x|-o[ \t]+xtrace)|(?:ba)?sh[ \t]+-[a-z]*x)", re.MULTILINE)


@lru_cache(maxsize=256)
def _tracing(code: str) -> str:
    match = _TRACE.search(code)
    return match[0].strip() if match else ""


@lru_cache(maxsize=2048)
def has_match(pattern: re.Pattern[str], code: str) -> bool:
    """Return whether a text has a match; cached, because the jobs of a sweep share their scripts."""
    return bool(pattern.search(code))


@lru_cache(maxsize=512)
def find_all(pattern: re.Pattern[str], code: str) -> tuple[Any, ...]:
    """Return the distinct matches in a text, in order: each as `re.findall` gives it, a text or a tuple of groups."""
    return tuple(dict.fromkeys(pattern.findall(code)))


@lru_cache(maxsize=64)
def settings_texts(container: Container) -> tuple[str, ...]:
    """Return the texts that may hold settings of the trainer: the script, and variables of several lines."""
    values = [text(variable.get("value")) for _, variable in container.env]
    return (shell_text(container).code, *(value for value in values if "\n" in value))


@lru_cache(maxsize=64)
def undefined_references(container: Container) -> tuple[tuple[int, str], ...]:
    """Return the references of variables to names that none before them sets: position in `env`, name."""
    return tuple(kubelet.undefined_references(container.env))


def has_match_in_any(pattern: re.Pattern[str], texts: Iterable[str]) -> bool:
    """Return whether one of the texts has a match."""
    return any(has_match(pattern, each) for each in texts)


def find_all_in_texts(pattern: re.Pattern[str], texts: Iterable[str]) -> tuple[Any, ...]:
    """Return the distinct matches in all texts together, as `find_all` gives them."""
    return tuple(dict.fromkeys(each for code in texts for each in find_all(pattern, code)))
