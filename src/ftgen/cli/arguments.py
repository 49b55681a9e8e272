"""The command line's words: a verb, overrides in Hydra's grammar, and flags, in any order."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from ftgen.diagnostics import Diagnostic

RENDER = "render"
# Verb -> what it does; the module of the same name carries it out.
VERBS = {
    RENDER: "compose, check and write manifests (the verb that is meant where none is given)",
    "plan": "what would be rendered: every job with what it asks for, and the sums",
    "compare": "the same job on several options side by side: `compare hardware=nvidia-vgpu,ascend`",
    "diff": "what rendering would change in a tree, object by object; or what differs between two files or folders",
    "publish": "render into a GitOps repository and commit; push with --push or to a URL",
    "archive": "mark committed runs as finished: never created again, whatever happens to their objects",
    "stop": "end committed runs, in two steps: the guards first, then the files",
    "rerun": "train committed runs again, under new names",
    "gc": "what nothing in a tree refers to any more",
    "rebuild": "render a manifest again from what it says of itself, and compare",
    "export": "the job for another tool: `export kustomize`",
    "import": "a hand-written VolcanoJob, or `-- docker run …`, as an experiment and the overlay that remains",
    "image": "the Dockerfile of the runtime image for the chosen hardware",
    "check": "what is wrong with manifests, whoever wrote them: `check PATH…`, - for standard input",
    "groups": "configuration groups and their options",
    "explain": "where a configuration key, or a line of a manifest, comes from",
    "schema": "the JSON Schema of the configuration, for editors; `import CRD.yaml` takes a cluster's own",
}


class Usage(Exception):  # noqa: N818 - how the command line was used, not a malfunction
    """The command line itself cannot be understood."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The parsed command line.

    Attributes:
        verb: what to do.
        module: the module of this package that does it.
        overrides: the words that are no flags.
        flags: the rest of what the verb knows.
        deferred: diagnostics of a form that is one document, printed when the verb has ended.
    """

    verb: str
    module: str
    overrides: tuple[str, ...]
    flags: argparse.Namespace
    deferred: list[Sequence[Diagnostic]] = field(default_factory=list)

    def search_path(self) -> list[Path]:
        """Where options are looked for, as the flags say."""
        from ftgen import catalog  # noqa: PLC0415 - many verbs ask for none

        return catalog.folders(self.flags.config_dir, self.flags.config_path, self.config_name)

    @property
    def config_name(self) -> str:
        """The primary configuration file, without `.yaml`."""
        return str(self.flags.config_name).removesuffix(".yaml")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message}\nTry `ftgen --help`.")


def parse(words: list[str]) -> Arguments:
    """Understand the command line.

    Raises:
        Usage: when a flag is unknown or lacks its value.
    """
    verb = words[0] if words and words[0] in VERBS else RENDER
    rest = words[1:] if words and words[0] in VERBS else words
    rest, literal = _until_dashes(rest)
    flags, unknown = parser(verb).parse_known_intermixed_args(rest)
    strange = [word for word in unknown if word.startswith("-")]
    if strange:
        raise Usage(f"there is no flag {strange[0]}{_similar(strange[0], verb)}\nTry `ftgen --help`.")
    return Arguments(verb, _module(verb, flags), (*flags.overrides, *literal), flags)


def _similar(word: str, verb: str) -> str:
    """The flag that was probably meant, or where it belongs."""
    import difflib  # noqa: PLC0415 - for mistakes only

    name = word.partition("=")[0]
    known = [flag for action in parser(verb)._actions for flag in action.option_strings]  # noqa: SLF001 - argparse tells them nowhere else
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _until_dashes(words: list[str]) -> tuple[list[str], list[str]]:
    """The words before `--`, and those after it: another command's, flags and all."""
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def _module(verb: str, flags: argparse.Namespace) -> str:
    if flags.help or flags.hydra_help:
        return "help"
    for flag in ("version", "shell_completion", "cfg", "info"):
        if getattr(flags, flag, None):
            return {"version": "help", "shell_completion": "completion", "cfg": "show", "info": "show"}[flag]
    return _MODULES.get(verb, verb)


# Verbs that Python keeps for itself.
_MODULES = {"import": "import_"}


def parser(verb: str) -> argparse.ArgumentParser:
    """The flags of a verb; Hydra's own keep Hydra's names and meanings."""
    made = _Parser(prog="ftgen" if verb == RENDER else f"ftgen {verb}", add_help=False, allow_abbrev=False)
    made.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="KEY=VALUE in Hydra's grammar")
    _common(made, *(("markdown",) if verb == "diff" else ()))
    _hydra(made)
    if verb in {RENDER, "plan"}:
        _output(made)
    if verb in _OF_TREES:
        _tree(made, verb)
    if verb == "plan":
        made.add_argument("--all", action="store_true", help="every job of a large sweep, one by one")
        made.add_argument("--fit", action="store_true", help="what each card has to hold, and whether it does")
    if verb in _COPIES:
        _copies(made, _COPIES[verb])
    if verb in {"groups", "explain", "compare", "plan", "diff", "gc"}:
        made.add_argument("--json", action="store_true", help="as JSON")
    if verb == "check":
        _judgement(made)
    return made


def _path(text: str) -> str:
    """A path as typed; a NUL, which only another program can hand over, ends in none of the system's."""
    if "\0" in text:
        raise argparse.ArgumentTypeError("a path cannot hold a NUL character")
    return text


FORMS = ("text", "json", "github", "sarif")


def _common(made: argparse.ArgumentParser, *more: str) -> None:
    group = made.add_argument_group("general")
    group.add_argument("--help", "-h", action="store_true", help="this text")
    group.add_argument("--version", action="store_true", help="ftgen's version")
    group.add_argument("--format", choices=(*FORMS, *more), default="text", help="form of diagnostics")
    group.add_argument("--strict", action="store_true", help="treat warnings as errors")
    group.add_argument("--quiet", "-q", action="store_true", help="say nothing but diagnostics")


def _hydra(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("configuration (as in Hydra)")
    group.add_argument("--multirun", "-m", action="store_true", help="expand sweeps such as trainer.lr=1e-4,2e-4")
    group.add_argument("--run", "-r", action="store_true", help=argparse.SUPPRESS)
    group.add_argument("--cfg", "-c", choices=("job", "hydra", "all"), help="show the composed configuration")
    group.add_argument("--package", "-p", help="with --cfg: only this part of it")
    group.add_argument("--resolve", action="store_true", help="with --cfg: resolve interpolations")
    group.add_argument("--info", "-i", nargs="?", const="all", choices=_INFO, help="show how it was composed")
    group.add_argument("--config-dir", "-cd", action="append", default=[], type=Path, help="search here first")
    group.add_argument("--config-path", "-cp", type=Path, help="search here instead of ftgen's own configuration")
    group.add_argument("--config-name", "-cn", default="config", help="the primary configuration file")
    group.add_argument(
        "--shell-completion", "-sc", action="store_true", help="install=bash|zsh|fish, uninstall=…, query=…"
    )
    group.add_argument("--hydra-help", action="store_true", help="what Hydra's flags and grammar mean here")


_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def _output(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("output")
    group.add_argument(
        "--out", "-o", type=_path, default="out", help="folder to write to; - prints a stream for kubectl"
    )
    _taking(group)
    group.add_argument(
        "--allow-shrink", action="store_true", help="no longer render most of what a named sweep rendered"
    )
    group.add_argument("--limit", type=int, default=1000, help="how many points of a sweep are meant (default 1000)")
    group.add_argument("--csv", action="store_true", help="with -m: the sweep's index as a table, too")


def _taking(group: argparse._ArgumentGroup) -> None:
    """Two flags, since each gives up something else: another's file, or one's own edit."""
    told = "take over a folder without an index, and files in it that ftgen did not write"
    group.add_argument("--adopt", action="store_true", help=told)
    told = "replace files of ftgen's that were edited by hand"
    group.add_argument("--overwrite", action="store_true", help=told)


_OF_TREES = {"diff", "publish", "archive", "stop", "rerun", "gc"}
"""Verbs that look at, or change, a tree that was rendered before."""


def _tree(made: argparse.ArgumentParser, verb: str) -> None:
    group = made.add_argument_group("the tree")
    group.add_argument("--repo", help="git repository it is in: a folder or a URL")
    group.add_argument("--branch", help="with --repo: its branch")
    group.add_argument("--path", default="", help="with --repo: its folder there; without, the repository's root")
    group.add_argument("--push", action="store_true", help="with --repo FOLDER: use the branch of its remote")
    if verb != "publish":
        group.add_argument("--out", "-o", type=_path, default="out", help="the tree's folder, where there is no --repo")
    if verb in {"diff", "publish", "rerun"}:
        group.add_argument("--limit", type=int, default=1000, help="how many points a sweep may have (default 1000)")
    if verb == "publish":
        _publishing(made)
    if verb in {"publish", "rerun"}:
        told = "push although the configuration is not committed"
        group.add_argument("--allow-dirty", action="store_true", help=told)


def _publishing(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("what is allowed")
    group.add_argument("--new-run", action="store_true", help="let a changed run become a new one; the old one stays")
    _taking(group)
    group.add_argument("--allow-shrink", action="store_true", help="no longer render most of a named sweep")
    group.add_argument("--branch-per-sweep", action="store_true", help="commit to ftgen/<name>, for a pull request")


_COPIES = {"export": "kustomize", "import": "-", "image": "-", "schema": "schemas"}
"""Verb that writes files of no run -> where to, without -o."""


def _copies(made: argparse.ArgumentParser, out: str) -> None:
    group = made.add_argument_group("output")
    without = "the text is printed" if out == "-" else f"it is {out}"
    group.add_argument("--out", "-o", type=_path, default=out, help=f"folder to write to; without it {without}")
    group.add_argument("--overwrite", action="store_true", help="replace files that are there with another content")


def _judgement(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("judgement")
    group.add_argument("--cluster", metavar="NAME", help="of the group cluster: its release, its facts, what it allows")
    group.add_argument("--volcano-version", metavar="X.Y.Z", help="release of Volcano that the manifests are for")


def is_terminal() -> bool:
    """Whether diagnostics go to a terminal, where colours are welcome."""
    return sys.stderr.isatty()
