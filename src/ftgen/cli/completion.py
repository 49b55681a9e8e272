"""`-sc install=SHELL`, `uninstall=SHELL`, `query=SHELL`: shell completion, by Hydra's protocol.

The shell passes the line typed so far in COMP_LINE (and the cursor in COMP_POINT), and reads whole words.  Nothing is
composed: groups and options are folders and files; keys and their values come from the schema of the configuration
and from the files of the chosen options.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

from msgspec import Struct

from ftgen import runtime
from ftgen.cli import vocabulary
from ftgen.cli.arguments import RENDER, VERBS, Arguments, Usage, parser
from ftgen.config import catalog
from ftgen.diagnostics import credentials
from ftgen.text import files, parts
from ftgen.text.paths import part

_SHELLS = ("bash", "zsh", "fish")
_KEY = re.compile(r"(?P<sign>\+\+|\+|~|)(?P<key>[^=@]*)(?P<package>@[^=]*)?(?P<equals>=?)(?P<value>.*)", re.DOTALL)
_COUNT = re.compile(r"[0-9]{1,9}")
_COMMAND = re.compile(r"[\s'\"\\$`(){}*?;&|<>!]")
"""Characters by which a shell would run or change a word that was completed."""
# Characters that a shell would split or expand; a value with one is not offered, as the user must quote it.
_UNSAFE = re.compile(r"[\s'\"\\$`{}\[\]()*?;&|<>!#,]")


def run(arguments: Arguments) -> int:
    """Print a shell's script, or the candidates for the line in COMP_LINE."""
    action, _, shell = (arguments.overrides[0] if len(arguments.overrides) == 1 else "").partition("=")
    if arguments.overrides[:1] == ("query=kubectl",):
        print("\n".join(_for_kubectl(arguments.overrides[1:])))  # noqa: T201
        return 0
    if shell not in _SHELLS or action not in {"install", "uninstall", "query"}:
        raise Usage(
            'say what to do, for which shell: eval "$(ftgen -sc install=bash)" (or uninstall=; bash, zsh, fish)'
        )
    if action == "query":
        separator = " " if shell == "bash" else "\n"
        print(separator.join(candidates(typed(os.environ))))  # noqa: T201
    else:
        print(_SCRIPTS[shell][action == "uninstall"])  # noqa: T201
    return 0


def _for_kubectl(words: Sequence[str]) -> list[str]:
    """Return the completions of the last word, and the directive that kubectl reads after them.

    The protocol is cobra's: 0 lets the shell complete file names, 4 does not, and 2 adds no space after the word.
    """
    offered = _offered(words[:-1], words[-1] if words else "")
    is_open = any(word.endswith(("=", ".", "/")) for word in offered)
    return [*offered, f":{(4 if offered else 0) + (2 if is_open else 0)}"]


def typed(environ: Mapping[str, str]) -> str:
    """Return the line up to the cursor; a cursor outside the line stands for its end."""
    line, point = environ.get("COMP_LINE", ""), environ.get("COMP_POINT", "")
    return line[: int(point)] if _COUNT.fullmatch(point) and 0 < int(point) <= len(line) else line


def candidates(line: str) -> list[str]:
    """Return the completions of the last word of a line, sorted; the first word is the program.

    Empty where a file is expected: the shell completes file names itself.
    """
    words = line.split()[1:]
    if line[-1:].isspace() or not words:
        words.append("")
    return _offered(words[:-1], words[-1])


def _offered(words: Sequence[str], word: str) -> list[str]:
    """Return the completions of a word that no shell takes for more than a word: names of options are a clone's.

    None repeats a secret: a file may hold one that renders refuse.
    """
    found = set(_Line(tuple(words)).complete(word))
    safe = (each for each in found if each.isprintable() and not _COMMAND.search(each.removeprefix(word)))
    return sorted(each for each in safe if credentials.redact_setting(each) == each)


class _Line(Struct, frozen=True, dict=True):
    """Words before the word to complete."""

    words: tuple[str, ...]

    def complete(self, word: str) -> Iterator[str]:
        flag = self._open_flag
        if flag is not None:
            yield from (str(choice) for choice in flag.choices or () if str(choice).startswith(word))
        elif word.startswith("-"):
            yield from self._flags(word)
        else:
            if not self.words:
                yield from (verb for verb in VERBS if verb.startswith(word))
            yield from self._arguments(word)

    def _arguments(self, word: str) -> Iterator[str]:
        first = not any(w for w in self._plain)
        match self.verb:
            case "groups" | "schema":
                more = ["import"] if self.verb == "schema" and first else []
                yield from (name for name in (*self._groups, *more) if name.startswith(word))
            case "explain" if first and "=" not in word:
                yield from (key.rstrip("=") for key in _Keys(self).below(word))
                yield from _codes(word)
            case "data" if first and "=" not in word:
                return  # the file or folder
            case "export" if first and "=" not in word and "." not in word:
                yield from (form for form in ("kustomize", "policy") if form.startswith(word))
            case (
                "data"
                | "render"
                | "plan"
                | "diff"
                | "publish"
                | "export"
                | "compare"
                | "explain"
                | "image"
                | "serve"
                | "lock"
            ):
                yield from self._override(word)
            case "preview":
                yield from (name for name in _runs(self._tree) if first and name.startswith(word))
                yield from self._override(word)
            case "init":
                yield from self._override(word)
            case "tune":
                yield from (name for name in _studies(self._tree) if first and name.startswith(word))
                yield from self._override(word)
            case "status" | "logs" | "archive" | "stop" | "rerun":
                yield from (name for name in _runs(self._tree) if name.startswith(word) and name not in self._plain)
                if self.verb == "rerun" and not first:
                    yield from self._override(word)
            case _:
                return  # file names, which the shell completes

    def _override(self, word: str) -> Iterator[str]:
        match = _KEY.fullmatch(word)
        if match is None:
            return
        sign, key, package = match["sign"], match["key"], match["package"] or ""
        if self.verb == "image" and not sign and not package and (key.startswith("image.") or "image.".startswith(key)):
            yield from self._build_argument(word)
        if not match["equals"]:
            yield from (f"{sign}{name}" for name in self._names(sign, key) if not package)
        else:
            head, values = f"{sign}{key}{package}=", match["value"]
            # In a sweep or a list, complete the item after the last comma.
            earlier = re.match(r"(?:.*,)?\[?", values, re.DOTALL)
            before = earlier[0] if earlier else ""
            offered = catalog.options(self.search_path, key) or _Keys(self).values(key)
            yield from (f"{head}{before}{value}" for value in offered if value.startswith(values[len(before) :]))

    def _build_argument(self, word: str) -> Iterator[str]:
        """Yield completions of `image.NAME=VALUE`; the value is the default of the recipe."""
        if "." not in word:
            yield "image."
            return
        name, equals, value = word.removeprefix("image.").partition("=")
        found = _Keys(self).build_arguments()
        if equals:
            yield from (
                f"image.{name}={default}" for default in (found.get(name),) if default and default.startswith(value)
            )
        else:
            yield from (f"image.{argument}=" for argument in found if argument.startswith(name))

    def _names(self, sign: str, key: str) -> Iterator[str]:
        end = "" if sign == "~" else "="
        parent = key.rpartition("/")[0]
        for group in catalog.subgroups(self.search_path, parent):
            if group.startswith(key) and catalog.options(self.search_path, group):
                yield group + end
            if group.startswith(key) and "/" in key and catalog.subgroups(self.search_path, group):
                yield f"{group}/"
        if "/" not in key:
            yield from (name if end else name.rstrip("=") for name in _Keys(self).below(key))

    @property
    def _open_flag(self) -> argparse.Action | None:
        """Return the flag whose value is to be completed, if any."""
        last = self.words[-1] if self.words else ""
        actions = (a for a in parser(self.verb)._actions if last in a.option_strings)  # noqa: SLF001 - argparse has no public list
        return next((a for a in actions if a.nargs is None), None)

    def _flags(self, word: str) -> Iterator[str]:
        name, equals, value = word.partition("=")
        for action in parser(self.verb)._actions:  # noqa: SLF001 - as above
            if equals and name in action.option_strings:
                yield from (f"{name}={choice}" for choice in action.choices or () if str(choice).startswith(value))
            elif not equals and action.help != argparse.SUPPRESS:
                yield from (flag for flag in action.option_strings if flag.startswith(word))

    @cached_property
    def verb(self) -> str:
        return self.words[0] if self.words and self.words[0] in VERBS else RENDER

    @property
    def _plain(self) -> tuple[str, ...]:
        """Return the words that are neither the verb nor flags."""
        rest = self.words[1:] if self.words and self.words[0] in VERBS else self.words
        return tuple(word for word in rest if not word.startswith("-"))

    @property
    def _tree(self) -> Path:
        """Return the folder of the tree that the flags name; of a repository, as it is checked out."""
        folders = [*self._after("-o", "--out", "--repo")]
        below = [*self._after("--path")] if any(self._after("--repo")) else []
        return Path(folders[-1] if folders else "out", *below[-1:])

    @cached_property
    def search_path(self) -> list[Path]:
        return catalog.folders(map(Path, self._after("-cd", "--config-dir")), self._config_path, self.config_name)

    @property
    def _config_path(self) -> Path | None:
        return next((Path(value) for value in self._after("-cp", "--config-path")), None)

    @property
    def config_name(self) -> str:
        default = str(parser(self.verb).get_default("config_name"))
        return next((value.removesuffix(".yaml") for value in self._after("-cn", "--config-name")), default)

    def _after(self, *flags: str) -> Iterator[str]:
        for word, following in zip(self.words, (*self.words[1:], ""), strict=False):
            if word in flags:
                yield following
            elif word.startswith(tuple(f"{flag}=" for flag in flags)):
                yield word.partition("=")[2]

    @property
    def _groups(self) -> Iterable[str]:
        return catalog.groups(self.search_path)

    @cached_property
    def values(self) -> dict[str, str]:
        """Return the values that the earlier words set, by key; of a sweep, the first value."""
        pairs = (word.lstrip("+").partition("=") for word in self._plain if "=" in word)
        return {key.partition("@")[0]: value.partition(",")[0] for key, _, value in pairs}

    @cached_property
    def choices(self) -> dict[str, str]:
        chosen = {key: value for key, value in self.values.items() if value in catalog.options(self.search_path, key)}
        return catalog.choices(self.search_path, self.config_name, chosen)


class _Keys(Struct, frozen=True):
    """Keys of a configuration, from its schema, or from the files of the chosen options where keys are free."""

    line: _Line

    def below(self, word: str) -> Iterator[str]:
        """Yield the keys that begin with the word: `trainer.lr=`, or `storage.workspace.` for a section."""
        parent, dot, name = word.rpartition(".")
        node = self._node(parent)
        for key in self._children(parent, node):
            if key.startswith(name):
                inner = vocabulary.inside(f"{parent}{dot}{key}", node, key, self._current)
                yield f"{parent}{dot}{key}{'.' if self._is_section(inner) else '='}"

    def values(self, key: str) -> Iterator[str]:
        """Yield completions of `key=`: the enum values, and the current value in the chosen options."""
        node = self._node(key)
        for alternative in vocabulary.alternatives(node or {}):
            yield from map(_word, vocabulary.choices(alternative))
            yield from ("true", "false") if alternative.get("type") == "boolean" else ()
            yield from ("null",) if alternative.get("type") == "null" else ()
        yield from self._argument_values(key)
        value = self._current(key)
        if (
            value is not None
            and not isinstance(value, (dict, list))
            and not _UNSAFE.search(_word(value))
            and _word(value)
        ):
            yield _word(value)

    def _children(self, parent: str, node: Mapping[str, Any] | None) -> Iterator[str]:
        names = list((node or {}).get("properties", ()))
        yield from names
        current = self._current(parent) if parent else None
        if node is not None and not names and isinstance(current, dict):
            yield from map(str, current)
        yield from self._arguments.get(parent, ())

    def _node(self, path: str) -> Mapping[str, Any] | None:
        return vocabulary.node(path, self._current)

    @staticmethod
    def _is_section(node: Mapping[str, Any] | None) -> bool:
        return node is not None and (node.get("type") == "object" or "properties" in node)

    def _current(self, key: str) -> Any:
        """Return the value of a key in an earlier word, or in the options chosen so far."""
        if key in self.line.values:
            return self.line.values[key]
        group, *path = key.split(".")
        return reduce(part, path, self._option(group))

    def _option(self, group: str) -> Any:
        option = self.line.choices.get(group)
        return _content(tuple(self.line.search_path), group, option) if option else None

    @property
    def _arguments(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the arguments of the trainer and of what serves, by their parent key."""
        served = {"serving.args": _surface("vllm", str(self._current("serving.version")))}
        if self._current("trainer.framework") != "llamafactory":
            return {**served, "trainer.args": self._package_arguments()}
        surface = _surface("llamafactory", str(self._current("trainer.version")))
        commands = {"trainer.args": "train", "trainer.export": "export"}
        trained = {k: {n: a for n, a in surface.items() if command in a["commands"]} for k, command in commands.items()}
        return {**served, **trained}

    def _package_arguments(self) -> Mapping[str, Any]:
        """Return the arguments of a command's package in the release that its requirements pin."""
        from ftgen.trainers import command  # noqa: PLC0415 - for one framework only

        package, pins = str(self._current("trainer.package")), self._current("trainer.requirements")
        release = command.pinned(package, map(str, pins if isinstance(pins, list) else ()))
        return _surface(package, release) if release and package.isidentifier() else {}

    def _argument_values(self, key: str) -> Iterator[str]:
        parent, _, name = key.rpartition(".")
        argument = self._arguments.get(parent, {}).get(name) if parent.count(".") == 1 else None
        if argument:
            yield from map(_word, argument.get("choices", ()))
            yield from ("true", "false") if "bool" in argument["type"] else ()

    def build_arguments(self) -> dict[str, str]:
        """Return the build arguments of the image's recipe for the chosen options, with their defaults."""
        from ftgen.trainers import image, recipe, trackers  # noqa: PLC0415 - for one verb only

        own = image.recipe(str(self._current("hardware.vendor"))).as_posix()
        for file in (folder / name for name in (own, recipe.COMMON) for folder in self.line.search_path):
            try:
                text = files.read(file).decode()
            except (OSError, ValueError):
                continue
            lists = [self._current(key) for key in ("trainer.requirements", "hardware.base.torch")]
            asked = [str(word) for words in lists if isinstance(words, list) for word in words]
            asked.append(trackers.PACKAGES.get(str(self._current("tracking.report_to")), ""))
            return recipe.offered(text, asked, str(self._current("hardware.base.image") or ""))
        return {}


_CONTENTS: dict[tuple[tuple[Path, ...], str, str], dict[str, Any]] = {}


def _content(search_path: tuple[Path, ...], group: str, option: str) -> dict[str, Any]:
    key = (search_path, group, option)
    if key not in _CONTENTS:
        _CONTENTS[key] = catalog.content(search_path, group, option)
    return _CONTENTS[key]


def _runs(tree: Path) -> Iterator[str]:
    """Yield the names of the runs in a tree's index, and the identities of those that the cluster names."""
    for entry in _owned(tree).values():
        is_job = isinstance(entry, dict) and " Job " in str(entry.get("object"))
        names = [entry.get(key) for key in ("name", "run")] if is_job else []
        yield from [name for name in names if isinstance(name, str) and _is_plain(name)][:1]


def _studies(tree: Path) -> Iterator[str]:
    """Yield the names of the studies in a tree's index."""
    for path in _owned(tree):
        name, end, _ = path.rpartition("/")[2].partition(".ftgen-study")
        yield from [name] if end and _is_plain(name) else []


def _owned(tree: Path) -> Mapping[str, Any]:
    """Return the files in a tree's index by path.

    The index is read without its full validation, which takes longer than a key press may: what has not its shape is
    passed over.
    """
    try:
        text = files.read(tree / "ftgen.lock")
        parts.refuse_json(text)
        index = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return {}
    owned = index.get("files") if isinstance(index, dict) else None
    return owned if isinstance(owned, dict) else {}


def _codes(word: str) -> Iterator[str]:
    """Yield the codes of rules that begin with a word; the rules are imported only for a word that begins so."""
    if word and (word.startswith("FT") or "FT".startswith(word)):
        from ftgen.validation import pages  # noqa: PLC0415 - as above

        yield from (code for code in pages.codes() if code.startswith(word))


def _is_plain(name: str) -> bool:
    return name.isprintable() and bool(name) and not _UNSAFE.search(name)


def _surface(program: str, version: str) -> dict[str, Any]:
    file = runtime.schemas_dir() / program / f"{version}.json"
    return dict(json.loads(file.read_bytes())["arguments"]) if file.is_file() else {}


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# --- the shells ----------------------------------------------------------------------------------------

_BASH = """\
_ftgen_complete() {
    local choices
    choices=$(COMP_LINE=$COMP_LINE COMP_POINT=$COMP_POINT "${COMP_WORDS[0]}" -sc query=bash 2>/dev/null) || return
    # `=` and `:` end a word for readline, so what stands before them in this word is cut off again.
    local line=${COMP_LINE:0:$COMP_POINT} cur=${COMP_WORDS[COMP_CWORD]} whole choice prefix
    whole=${line##*[[:space:]]}
    [[ $cur == [=:] ]] && cur=
    prefix=${whole%"$cur"}
    COMPREPLY=()
    for choice in $choices; do
        [[ $choice == "$whole"* ]] && COMPREPLY+=("${choice#"$prefix"}")
    done
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} != *[=./] && $whole != *=* ]] && COMPREPLY[0]+=' '
    return 0
}
complete -o nospace -o default -F _ftgen_complete ftgen"""

_ZSH = """\
_ftgen_complete() {
    local -a choices ended open
    choices=(${(f)"$(COMP_LINE=$LBUFFER COMP_POINT=${#LBUFFER} ${words[1]} -sc query=zsh 2>/dev/null)"})
    open=(${(M)choices:#*[=./]})
    ended=(${choices:#*[=./]})
    (( ${#open} )) && compadd -S '' -- $open
    (( ${#ended} )) && compadd -- $ended
    (( ${#choices} )) || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _ftgen_complete ftgen"""

_FISH = """\
function _ftgen_complete
    set -lx COMP_LINE (commandline -cp)
    set -lx COMP_POINT (string length -- $COMP_LINE)
    set -l words (commandline -cpo)
    $words[1] -sc query=fish 2>/dev/null
end
complete -c ftgen -a '(_ftgen_complete)'"""

_SCRIPTS = {
    "bash": (_BASH, "complete -r ftgen 2>/dev/null\nunset -f _ftgen_complete"),
    "zsh": (_ZSH, "compdef -d ftgen\nunfunction _ftgen_complete"),
    "fish": (_FISH, "complete -e -c ftgen\nfunctions -e _ftgen_complete"),
}
