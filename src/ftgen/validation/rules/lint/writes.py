"""The folders that the commands of a script clone into or delete, as far as its text says which they are."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

WRITES = re.compile(r"\bgit\b[^\n]{0,300}\bclone\b|\blfs\b[^\n]{0,300}\bpull\b|\brm[ \t]+-[a-zA-Z-]*[rR]")

_COMMANDS = re.compile(r"(&&|\|\||[;|\n()]|(?<![>&])&(?![&>]))")
_SUBSTITUTION = re.compile(r"\$\(([^()]*)\)")
_WORD = re.compile(r"(?:\"[^\"\n]*\"|'[^'\n]*'|\\.|[^\s\"'\\])+")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_REFERENCE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^{}]*))?\})")
_LONGEST = 4096  # bytes of a path in Linux; a variable that is made of itself would grow without end
_DECLARING = frozenset(("export", "local", "readonly", "declare", "typeset"))
# Options of git and of its clone that take the next word.
_WITH_VALUE = re.compile(
    r"-[cbouj]|--(?:branch|depth|origin|jobs|reference|filter|template|config|shallow-since|upload-pack)"
)


def written_folders(code: str, variables: Mapping[str, str], folder: str, *, is_inner: bool = False) -> Iterator[str]:
    """Yield the folders that a script writes, with the references to variables that nobody knows left in them.

    A relative path is left out where the image says what it is relative to.

    Args:
        code: script of a shell.
        variables: variables that it starts with.
        folder: working directory that it starts in; empty where the image decides.
        is_inner: whether it is the text of a shell that another script starts: those in it are not read.
    """
    known, outside = dict(variables), []
    for command in _COMMANDS.split(_without_substitutions(code.replace("\\\n", " "))):
        if command == "(":
            outside.append(folder)
        elif command == ")" and outside:
            folder = outside.pop()
        words = [_resolved(word, known) for word in _WORD.findall(command)]
        for word in words:
            if assigned := _ASSIGNMENT.fullmatch(word):
                known[assigned[1]] = assigned[2][:_LONGEST]
            elif word not in _DECLARING:
                break
        for place, word in enumerate(words):
            arguments = words[place + 1 :]
            if word in {"cd", "pushd"} and arguments:
                folder = posixpath.join(folder, arguments[0])
            elif word == "rm":
                yield from _placed(_removed(arguments), folder)
            elif word == "git":
                yield from _placed(_fetched(arguments), folder)
            elif not is_inner and " " in word and WRITES.search(word):
                yield from written_folders(word, known, folder, is_inner=True)


def _without_substitutions(code: str) -> str:
    """Write what a script takes from a command as a variable of the command's words: $(hostname) is $hostname."""
    for _ in range(3):
        code = _SUBSTITUTION.sub(lambda match: f"${'_'.join(re.findall(r'[A-Za-z0-9]+', match[1]))}", code)
    return code


def _resolved(word: str, known: Mapping[str, str]) -> str:
    """Return a word without its quotes, with the values of the variables that are known."""

    def value(match: re.Match[str]) -> str:
        return known.get(match[1] or match[2], match[3] or match[0])

    plain = _REFERENCE.sub(value, re.sub(r"[\"']", "", word) if " " not in word else word.strip("\"'"))
    return re.sub(r"^~(?=/|$)", known.get("HOME", "/root"), plain)


def _removed(arguments: list[str]) -> list[str]:
    recursive = any(re.fullmatch(r"-[a-zA-Z]*[rR][a-zA-Z]*|--recursive", word) for word in arguments)
    return [word for word in arguments if not word.startswith("-")] if recursive else []


def _fetched(arguments: list[str]) -> list[str]:
    """Return the folder that a command of git clones or pulls into."""
    base, names = ".", []
    rest = iter(arguments)
    for word in rest:
        if word == "-C":
            base = next(rest, ".")
        elif _WITH_VALUE.fullmatch(word):
            next(rest, None)
        elif not word.startswith("-"):
            names.append(word)
    match names:
        case ["clone", url]:
            return [posixpath.join(base, posixpath.basename(url.rstrip("/")).removesuffix(".git"))]
        case ["clone", _, target, *_]:
            return [posixpath.join(base, target)]
        case ["lfs", "pull", *_]:
            return [base]
        case _:
            return []


def _placed(paths: list[str], folder: str) -> Iterator[str]:
    for path in (posixpath.normpath(posixpath.join(folder, each)) for each in paths):
        if path.startswith(("/", "$", "`")):
            yield path
