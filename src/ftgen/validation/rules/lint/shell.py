"""The scripts of containers, as far as they can be read without running them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import dropwhile
from typing import Any

from msgspec import Struct, structs

from ftgen.emulation import kubelet
from ftgen.text import kube
from ftgen.text.shapes import strings, text
from ftgen.validation.manifest import Container

_SHELLS = frozenset(("sh", "bash", "dash", "ash", "zsh", "ksh"))
_TRAINS = r"(?:train|finetune|fine_tune|sft|pretrain)"
# Of the arguments only what says that the program is to train: models and data are called after trainings, too.
TRAINING_COMMAND = re.compile(
    r"(?:\b(?:torchrun|torch\.distributed\.(?:run|launch)|accelerate[ \t]+launch|deepspeed|llamafactory-cli[ \t]+train"
    r"|swift[ \t]+sft|horovodrun|mpirun|mpiexec|colossalai[ \t]+run)\b"
    r"|\bpython[0-9.]*(?:[ \t]+-(?:[WX][ \t]+\S+|[WX]\S+|[a-ln-zA-VYZ]\S*))*(?:[ \t]+-m)?[ \t]+"
    rf"(?:[\w./${{}}\"'-]{{0,200}}?{_TRAINS}[\w-]*(?:\.py)?\b"
    rf"|[^\s;|&]+[ \t]+(?:[^\n;|&]{{0,200}}?--(?:do[_-]|(?:mode|stage|task|action)[= \t]))?{_TRAINS}\b(?![\w/.-]))"
    # A launcher may start a server as well.
    r")(?![^\n;|&]{0,300}(?:server?\.py\b|[ \t]-m[ \t]+\S{0,100}serve|(?<![\w/-])(?:vllm|sglang|uvicorn|gunicorn)\b))"
)
"""Commands that start a training, and end with it."""
_RUNS_ARGUMENTS = re.compile(r"\$\{?[@*]")
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
        substituting: whether a shell reads the text as a script, so that it runs what stands in `$(…)`.
    """

    path: str
    code: str
    raw: str
    tracing: str
    known: bool
    expanded: bool = True
    substituting: bool = True


@lru_cache(maxsize=64)
def shell_text(container: Container) -> Script:
    """Return the text that a container runs: a shell's `-c` script, else its mounted file, else the command line.

    A script that runs its arguments is followed by them, in its code.
    """
    first, *others = shell_texts(container)
    return structs.replace(first, code="\n".join((first.code, *(other.code for other in others)))) if others else first


@lru_cache(maxsize=64)
def shell_texts(container: Container) -> tuple[Script, ...]:
    """Return the texts that a container runs apart: the script, then the command that it is given and runs.

    What one of them asks or locks does not hold for the other.
    """
    command, args = (tuple(strings(container.body.get(key))) for key in ("command", "args"))
    return _scripts(container.path, command, args, tuple(container.files.items()))


@lru_cache(maxsize=64)
def _scripts(
    container: str, command: tuple[str, ...], args: tuple[str, ...], files: tuple[tuple[str, str], ...]
) -> tuple[Script, ...]:
    """Return the texts that a container at a path runs; the jobs of a sweep share them."""
    lists, mounted_files = (("command", command), ("args", args)), dict(files)
    words = [(f"{container}.{key}[{i}]", word) for key, listed in lists for i, word in enumerate(listed)]
    script_at = _script_at([word for _, word in words]) if words and _is_shell(words[0][1]) else 0
    options = [word for _, word in words[1:script_at]]
    if script_at and (flags := [word for word in options if re.fullmatch(r"-[a-z]*c[a-z]*", word)]):
        path, script = words[script_at]
        tracing = flags[0] if "x" in flags[0] else _tracing(_as_run(script))
        inline = Script(path, _as_run(script), script, tracing, known=True)
        # The word after the script is its name.
        return inline, *_given(inline, words[script_at + 2 :], mounted_files)
    if script_at and words[script_at][1] in mounted_files:
        # A script that is given others runs them.
        mounted = "\n".join(mounted_files[word] for _, word in words[script_at:] if word in mounted_files)
        flags = [word for word in options if "x" in word]
        code = _without_comments(mounted)
        tracing = flags[0] if flags else _tracing(code)
        text_of_files = Script(words[script_at][0], code, mounted, tracing, known=True, expanded=False)
        return text_of_files, *_given(text_of_files, words[script_at + 1 :], mounted_files)
    line = " ".join(word for _, word in words)
    return (Script(f"{container}.command", line, line, "", known=bool(words), substituting=False),)


def _script_at(words: list[str]) -> int:
    """Return the position of the script, or of its file, among the words of a shell: the first that is no option."""
    takes_value = False
    for index, word in enumerate(words[1:], 1):
        if not takes_value and not word.startswith(("-", "+")):
            return index
        takes_value = not takes_value and bool(_WITH_VALUE.fullmatch(word))
    return 0


_WITH_VALUE = re.compile(r"[-+][a-z]*[oO]|--(?:rcfile|init-file)")


def _given(script: Script, words: list[tuple[str, str]], mounted_files: Mapping[str, str]) -> Iterator[Script]:
    """Yield the command that a script gets as its arguments, if it runs them; scripts among these are its text."""
    given = list(
        dropwhile(lambda each: each[1] in mounted_files or _is_shell(each[1]) or each[1].startswith("-"), words)
    )
    if given and has_match(_RUNS_ARGUMENTS, script.code):
        line = " ".join(word for _, word in given)
        yield Script(given[0][0].rpartition("[")[0], _as_run(line), line, "", known=True, expanded=False)


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
    return (*(script.code for script in shell_texts(container)), *(value for value in values if "\n" in value))


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
