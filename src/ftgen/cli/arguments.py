"""Parser of the command line: a verb, overrides in Hydra's grammar, and flags, in any order."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic
from ftgen.text import files

RENDER = "render"
# Verb -> its help; the module of the same name implements it.
VERBS = {
    RENDER: "compose, check and write manifests (the verb that is meant where none is given)",
    "plan": "what would be rendered: every job with what it asks for, and the sums",
    "preview": "what each pod will see: names, ranks, environment, mounts; of overrides, or `preview RUN|FILE`",
    "compare": "the same job on several options side by side: `compare hardware=nvidia-vgpu,ascend`",
    "diff": "what rendering would change in a tree, object by object; or what differs between two files or folders",
    "publish": "render into a GitOps repository and commit; push with --push or to a URL",
    "archive": "mark committed runs as finished: never created again, whatever happens to their objects",
    "stop": "end committed runs, in two steps: the guards first, then the files",
    "rerun": "train committed runs again, under new names",
    "gc": "what nothing in a tree refers to any more",
    "tune": "rounds of a search over keys, each a commit of new runs by the results so far: `tune STUDY OVERRIDES`",
    "status": "what became of committed runs on the cluster, and why one does not run; read-only",
    "logs": "the log of the pod that matters: the failed one, else rank 0",
    "serve": "what serves a run's result: `serve RUN|FILE serving=kserve`; with --repo it is committed",
    "rebuild": "render a manifest, or a whole tree, again from what it says of itself, and compare",
    "export": "the job for another tool: `export kustomize`; the rules for the cluster: `export policy`",
    "import": "a hand-written VolcanoJob, or `-- docker run …`, as an experiment and the overlay that remains",
    "image": "the Dockerfile of a runtime image for the chosen hardware, trainer and tracking",
    "lock": "branches, tags and image tags as commits and digests, in conf/pins.yaml, which renders read",
    "check": "what is wrong with manifests, whoever wrote them: `check PATH…`, - for standard input",
    "data": "what becomes of each row of a data set: trained on, dropped, cut, or the end of the training",
    "facts": "a snapshot of a cluster's nodes, queues and quotas through kubectl, to weigh jobs against",
    "init": "a directory of one's own: conf/ with your cluster, overlays/, CI and editor files",
    "groups": "configuration groups and their options",
    "explain": "what a configuration key means, and where its value, or a line of a manifest, comes from",
    "schema": "the JSON Schema of the configuration, for editors; `import CRD.yaml` takes a cluster's own",
}


class Usage(Exception):  # noqa: N818 - how the command line was used, not a malfunction
    """Error in the use of the command line: exit code 2."""


class Arguments(Struct, frozen=True):
    """Parsed command line.

    Attributes:
        verb: a key of `VERBS`.
        module: the module of this package that runs it.
        overrides: the words that are no flags.
        flags: the values of the flags.
        words: the command line as it was typed.
        deferred: diagnostics of a form that is a single document, printed when the verb has ended.
    """

    verb: str
    module: str
    overrides: tuple[str, ...]
    flags: argparse.Namespace
    words: tuple[str, ...] = ()
    deferred: list[Sequence[Diagnostic]] = field(default_factory=list)

    def search_path(self) -> list[Path]:
        """Return the configuration folders that the flags name, first match first."""
        from ftgen.config import catalog  # noqa: PLC0415 - many verbs do not need it

        return catalog.folders(self.flags.config_dir, self.flags.config_path, self.config_name)

    def out(self, default: str = "") -> Path:
        """Return the folder of --out; without it the default one, or that of the flag.

        Raises:
            Rejected: FT501, the user named none, and it is a link out of the repository.
        """
        out = self.flags.out or default
        is_named = self.flags.out and not isinstance(self.flags.out, _Default)
        return Path(out) if is_named else files.unnamed_folder(Path(out))

    def with_flags(self, **flags: object) -> Arguments:
        """Return the command line with other values of some flags."""
        return replace(self, flags=argparse.Namespace(**{**vars(self.flags), **flags}))

    @property
    def config_name(self) -> str:
        """Return the name of the primary configuration file, without `.yaml`."""
        return str(self.flags.config_name).removesuffix(".yaml")


def is_override(word: str) -> bool:
    """Return whether a word sets or takes away something of the configuration, and names no run or file."""
    return "=" in word or word.startswith("~")


class _Default(str):
    """Value of a flag that the user did not give."""

    __slots__ = ()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message}\nTry `ftgen --help`.")


def parse(words: list[str]) -> Arguments:
    """Parse the command line.

    Raises:
        Usage: when a flag is unknown or lacks its value.
    """
    verb = words[0] if words and words[0] in VERBS else RENDER
    rest = words[1:] if words and words[0] in VERBS else words
    rest, literal = _until_dashes(rest)
    flags, unknown = parser(verb).parse_known_intermixed_args(rest)
    unknown_flags = [word for word in unknown if word.startswith("-")]
    if unknown_flags:
        raise Usage(f"there is no flag {unknown_flags[0]}{_similar(unknown_flags[0], verb)}\nTry `ftgen --help`.")
    _refuse_together(flags)
    if verb in _DOCUMENTED and flags.json:
        _with_document(flags)
    return Arguments(verb, _module(verb, flags), (*flags.overrides, *literal), flags, tuple(words))


def _refuse_together(flags: argparse.Namespace) -> None:
    """Refuse flags that exclude or need one another, as Hydra does; --help is the same with any of them."""
    if flags.help:
        return
    if flags.resolve and not flags.cfg:
        raise Usage("--resolve goes with --cfg: it resolves the interpolations of what is shown")
    asked = [flag for flag in ("run", "multirun", "cfg", "info", "shell_completion") if getattr(flags, flag)]
    if len(asked) > 1:
        given = " and ".join(f"--{flag.replace('_', '-')}" for flag in asked)
        raise Usage(f"{given} exclude each other: only one of --run, --multirun, --cfg, --info, --shell-completion")


def _with_document(flags: argparse.Namespace) -> None:
    """Have the diagnostics of a verb go into the one document that it prints, or stand alone there as JSON."""
    if flags.format not in {"text", "json"}:
        raise Usage(f"--json holds the diagnostics, too: --format {flags.format} does not go with it")
    if getattr(flags, "out", "") == "-":
        raise Usage("--json and -o - both print to standard output: leave one out")
    flags.format, flags.quiet = "json", True


def _similar(word: str, verb: str) -> str:
    """Return a hint at the most similar flag, or nothing."""
    import difflib  # noqa: PLC0415 - for mistakes only

    name = word.partition("=")[0]
    flags = [flag for action in parser(verb)._actions for flag in action.option_strings]  # noqa: SLF001 - argparse has no public list
    near = difflib.get_close_matches(name, flags, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _until_dashes(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the words before `--`, and those after it, which belong to another command."""
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def _module(verb: str, flags: argparse.Namespace) -> str:
    if flags.help or flags.hydra_help:
        return "help"
    for flag in ("version", "shell_completion", "cfg", "info"):
        if getattr(flags, flag, None):
            return {"version": "help", "shell_completion": "completion", "cfg": "show", "info": "show"}[flag]
    return _MODULES.get(verb, verb)


# Verbs that are keywords of Python.
_MODULES = {"import": "import_"}


def parser(verb: str) -> argparse.ArgumentParser:
    """Return the parser of a verb's flags; Hydra's flags keep their names and meanings."""
    verb_parser = _Parser(prog="ftgen" if verb == RENDER else f"ftgen {verb}", add_help=False, allow_abbrev=False)
    verb_parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="KEY=VALUE in Hydra's grammar")
    _common(verb_parser, *_MORE_FORMS.get(verb, ()))
    _hydra(verb_parser)
    if verb in {RENDER, "plan"}:
        _output(verb_parser, verb)
    if verb in _OF_LOCKED:
        _locked(verb_parser)
    if verb in _OF_TREES:
        _tree(verb_parser, verb)
    if verb in {"plan", "diff", "publish"}:
        _page(verb_parser)
    if verb in _COPIES:
        _copies(verb_parser, _COPIES[verb])
    if verb in _OF_CLUSTERS:
        _connection(verb_parser, verb)
    _json(verb_parser, verb)
    if verb in _OWN:
        _OWN[verb](verb_parser)
    return verb_parser


def _json(verb_parser: argparse.ArgumentParser, verb: str) -> None:
    if verb in _DOCUMENTED:
        verb_parser.add_argument(
            "--json", action="store_true", help="what was done as JSON; errors as by --format json"
        )
    if verb in {
        "groups",
        "explain",
        "compare",
        "plan",
        "preview",
        "diff",
        "gc",
        "status",
        "serve",
        "data",
        "image",
        "rebuild",
    }:
        verb_parser.add_argument("--json", action="store_true", help="as JSON")


def _path(text: str) -> str:
    """Return a path as typed; refuse a NUL, which only a program can pass and no path of the system holds."""
    if "\0" in text:
        raise argparse.ArgumentTypeError("a path cannot hold a NUL character")
    return text


FORMS = ("text", "json", "github", "sarif")
_MORE_FORMS = {"plan": ("html",), "diff": ("markdown", "html"), "data": ("html",)}


def _common(verb_parser: argparse.ArgumentParser, *more: str) -> None:
    group = verb_parser.add_argument_group("general")
    group.add_argument("--help", "-h", action="store_true", help="this text")
    group.add_argument("--version", action="store_true", help="ftgen's version")
    text = f"form of diagnostics; {' and '.join(more)}: of the result itself" if more else "form of diagnostics"
    group.add_argument("--format", choices=(*FORMS, *more), default="text", help=text)
    group.add_argument("--strict", action="store_true", help="treat warnings as errors")
    text = "colour what people read; auto: on a terminal, by NO_COLOR, FORCE_COLOR and CLICOLOR"
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help=text)
    group.add_argument("--quiet", "-q", action="store_true", help="say nothing but diagnostics")


def _hydra(verb_parser: argparse.ArgumentParser) -> None:
    group = verb_parser.add_argument_group("configuration (as in Hydra)")
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


def _output(verb_parser: argparse.ArgumentParser, verb: str) -> None:
    group = verb_parser.add_argument_group("output")
    if verb == "plan":
        _tree_or_page(group, "folder that would be written to")
    else:
        text = "folder to write to; - prints a stream for kubectl"
        group.add_argument("--out", "-o", type=_path, default=_Default("out"), help=text)
    _takeover(group)
    group.add_argument(
        "--allow-shrink", action="store_true", help="no longer render most of what a named sweep rendered"
    )
    group.add_argument("--limit", type=int, default=1000, help="how many points of a sweep are meant (default 1000)")
    group.add_argument("--csv", action="store_true", help="with -m: the sweep's index as a table, too")


def _takeover(group: argparse._ArgumentGroup) -> None:
    """Add two flags, as each gives up something else: a file of others, or an edit of one's own."""
    text = "take over a folder without an index, and files in it that ftgen did not write"
    group.add_argument("--adopt", action="store_true", help=text)
    text = "replace files of ftgen's that were edited by hand"
    group.add_argument("--overwrite", action="store_true", help=text)


def _page(verb_parser: argparse.ArgumentParser) -> None:
    """Add where the page for a review goes, and its language; `--format html` prints it where there is no file."""
    group = verb_parser.add_argument_group("the page for a review")
    text = "write what the change does as one HTML file, for people; - prints it (docs/page.md)"
    group.add_argument("--page", type=_path, metavar="FILE", help=text)
    _language(group)


def _language(group: argparse._ArgumentGroup) -> None:
    text = "language of the page; without it, that of the locale (LC_ALL, LC_MESSAGES, LANG)"
    group.add_argument("--lang", choices=("en", "zh"), help=text)


def _tree_or_page(group: argparse._ArgumentGroup, meaning: str) -> None:
    text = f"{meaning}; a FILE.html is the page's file, as with --page"
    group.add_argument("--out", "-o", type=_path, default=_Default("out"), action=_OutOrPage, help=text)


class _OutOrPage(argparse.Action):
    """Tell the tree's folder from the page's file, which ends in `.html`, so that one command line may name both."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, values: Any, _option: object = None) -> None:
        setattr(namespace, "page" if values.endswith(".html") else self.dest, values)


_DOCUMENTED = {RENDER, "publish", "lock", "tune"}
"""Verbs whose --json is a document of what they did, diagnostics included."""
_OF_TREES = {
    "preview",
    "diff",
    "publish",
    "serve",
    "archive",
    "stop",
    "rerun",
    "gc",
    "status",
    "logs",
    "rebuild",
    "tune",
}
"""Verbs that read or change a tree that was rendered before."""
_OF_LOCKED = {RENDER, "plan", "preview", "diff", "compare", "publish", "export", "serve", "tune"}
"""Verbs that compile what may be locked."""
_OF_CLUSTERS = {"status", "logs", "check"}
"""Verbs that may ask a cluster."""


def _tree(verb_parser: argparse.ArgumentParser, verb: str) -> None:
    group = verb_parser.add_argument_group("the tree")
    group.add_argument("--repo", help="git repository it is in: a folder or a URL")
    group.add_argument("--branch", help="with --repo: its branch")
    group.add_argument("--path", default="", help="with --repo: its folder there; without, the repository's root")
    group.add_argument("--push", action="store_true", help="with --repo FOLDER: use the branch of its remote")
    if verb == "diff":
        _tree_or_page(group, "the tree's folder, where there is no --repo")
    elif verb != "publish":
        text = "the tree's folder, where there is no --repo"
        group.add_argument("--out", "-o", type=_path, default=_Default("out"), help=text)
    if verb in {"preview", "diff", "publish", "rerun"}:
        _limit(group)
    if verb == "publish":
        _publishing(verb_parser)
    if verb in {"serve", "tune"}:
        _takeover(group)
    if verb == "serve":
        verb_parser.set_defaults(config_name="serve")
        text = "what each card has to hold, and the longest context that fits; nothing is written"
        verb_parser.add_argument("--fit", action="store_true", help=text)
    if verb in {"publish", "rerun", "serve", "tune"}:
        text = "push although the configuration is not committed"
        group.add_argument("--allow-dirty", action="store_true", help=text)


def _publishing(verb_parser: argparse.ArgumentParser) -> None:
    group = verb_parser.add_argument_group("what is allowed")
    group.add_argument("--new-run", action="store_true", help="let a changed run become a new one; the old one stays")
    _takeover(group)
    group.add_argument("--allow-shrink", action="store_true", help="no longer render most of a named sweep")
    group.add_argument("--branch-per-sweep", action="store_true", help="commit to ftgen/<name>, for a pull request")


def _limit(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--limit", type=int, default=1000, help="how many points a sweep may have (default 1000)")


def _locked(verb_parser: argparse.ArgumentParser) -> None:
    group = verb_parser.add_argument_group("references")
    text = "refuse branches, tags and image tags that `ftgen lock` has not pinned"
    group.add_argument("--locked", action="store_true", help=text)


def _locking(verb_parser: argparse.ArgumentParser) -> None:
    group = verb_parser.add_argument_group("references")
    group.add_argument("--upgrade", action="store_true", help="ask again about what is pinned already")
    text = "ask again about this repository or image only, by its URL or name in pins.yaml; * is anything"
    group.add_argument("--upgrade-only", action="append", default=[], metavar="NAME", help=text)
    text = "write nothing; exit 1 where pins would be added or updated"
    group.add_argument("--check", action="store_true", help=text)
    text = "a registry without TLS; those of this machine need no mention"
    group.add_argument("--insecure-registry", action="append", default=[], metavar="HOST", help=text)
    _limit(group)


_COPIES = {"export": "", "import": "-", "image": "-", "schema": "schemas"}
"""Verb that writes files of no run -> its default of --out."""


def _copies(verb_parser: argparse.ArgumentParser, out: str) -> None:
    group = verb_parser.add_argument_group("output")
    without = "the text is printed" if out == "-" else f"it is {out or 'called like the form'}"
    text = f"folder to write to; without it {without}"
    group.add_argument("--out", "-o", type=_path, default=_Default(out), help=text)
    group.add_argument("--overwrite", action="store_true", help="replace files that are there with another content")


def _judgement(verb_parser: argparse.ArgumentParser) -> None:
    group = verb_parser.add_argument_group("judgement")
    group.add_argument("--cluster", metavar="NAME", help="of the group cluster: its release, its facts, what it allows")
    group.add_argument("--volcano-version", metavar="X.Y.Z", help="release of Volcano that the manifests are for")
    text = "release of Kubernetes that they are for; without it, the one that Volcano's release is built with"
    group.add_argument("--kubernetes-version", metavar="X.Y", help=text)


def _rows(verb_parser: argparse.ArgumentParser) -> None:
    group = verb_parser.add_argument_group("the data set")
    group.add_argument("--revision", help="with a URL: branch, tag or commit; without, the default branch")
    text = "LLaMA-Factory's own arguments (YAML or JSON; - for standard input) in place of a configuration"
    group.add_argument("--arguments", type=_path, metavar="FILE", help=text)
    text = "tokenizer.json, or a folder with one, to count tokens with; without it, the one beside the data"
    group.add_argument("--tokenizer", type=_path, help=text)
    _language(group)


def _start(verb_parser: argparse.ArgumentParser) -> None:
    group = verb_parser.add_argument_group("the directory")
    group.add_argument("--ci", choices=("github", "gitlab", "none"), default="github", help="whose pipeline checks it")
    text = "a VolcanoJob, or a script with its docker run, that becomes an experiment, as `ftgen import` reads it"
    group.add_argument("--from", dest="source", type=_path, metavar="FILE", help=text)
    group.add_argument("--yes", "-y", action="store_true", help="ask nothing: what no word says is the default")
    group.add_argument("--overwrite", action="store_true", help="replace files that are there with another content")


def _snapshot(verb_parser: argparse.ArgumentParser) -> None:
    group = verb_parser.add_argument_group("the snapshot")
    group.add_argument("--out", "-o", type=_path, default="-", help="file to write to; without it the text is printed")
    group.add_argument("--overwrite", action="store_true", help="replace a file that is there with another content")
    group.add_argument("--namespace", "-n", help="quotas and limit ranges of this namespace only, not of all")
    _context(verb_parser.add_argument_group("the cluster (as in kubectl)"))


def _connection(verb_parser: argparse.ArgumentParser, verb: str) -> None:
    group = verb_parser.add_argument_group("the cluster (as in kubectl)")
    if verb == "check":
        text = "ask the API server, too (dry run: nothing is stored), and report where its answers differ from ours"
        group.add_argument("--server", action="store_true", help=text)
    else:
        group.add_argument(
            "--namespace", "-n", default="", help="look there, too; without a tree, instead of the context's"
        )
    _context(group)
    if verb == "status":
        group.add_argument("--watch", "-w", action="store_true", help="draw it again every few seconds, until Ctrl-C")
        text = "ask the MLflow server of your environment (MLFLOW_TRACKING_URI), too: state, step and loss of each run"
        group.add_argument("--mlflow", action="store_true", help=text)


def _planning(verb_parser: argparse.ArgumentParser) -> None:
    verb_parser.add_argument("--all", action="store_true", help="every job of a large sweep, one by one")
    verb_parser.add_argument("--fit", action="store_true", help="what each card has to hold, and whether it does")


def _previewing(verb_parser: argparse.ArgumentParser) -> None:
    text = "every pod, every line of long values, every run of a large sweep"
    verb_parser.add_argument("--all", action="store_true", help=text)


def _recipe(verb_parser: argparse.ArgumentParser) -> None:
    text = "registry and folder of the image's name; without it, ftgen/ in the cluster's registry"
    verb_parser.add_argument("--repository", default="", help=text)


def _tuning(verb_parser: argparse.ArgumentParser) -> None:
    group = verb_parser.add_argument_group("the study; what it knows already may be left out")
    text = "metric to tune for; of MLflow, the last value that a run logged"
    group.add_argument("--objective", metavar="METRIC", help=text)
    group.add_argument("--direction", choices=("minimize", "maximize"), help="what is better (default minimize)")
    text = "what proposes: Optuna's tree-structured Parzen estimator (default), or chance"
    group.add_argument("--sampler", choices=("tpe", "random"), help=text)
    group.add_argument("--seed", type=_count, help="seed of all proposals (default 0)")
    group.add_argument("--trials", type=_count, help="how many trials may run in all (default 20)")
    group.add_argument("--round", type=_count, help="how many run at a time (default 4)")
    text = "stop a run that is worse than the median of the others at its step (default none)"
    group.add_argument("--prune", choices=("none", "median"), help=text)
    group = verb_parser.add_argument_group("its results")
    text = "read results here, lines of JSON or CSV, - for standard input; without it, by MLFLOW_TRACKING_URI"
    group.add_argument("--results", type=_path, metavar="FILE", help=text)
    group.add_argument("--show", action="store_true", help="the trials so far and the best one; change nothing")


MOST = 2**31
"""What a count is below."""


def _count(text: str) -> int:
    """Return a whole number from 0 on, of a size that every reader takes."""
    if not text.isdecimal() or not text.isascii() or int(text[:11]) >= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {MOST - 1}")
    return int(text)


_OWN = {
    "check": _judgement,
    "data": _rows,
    "facts": _snapshot,
    "image": _recipe,
    "init": _start,
    "lock": _locking,
    "plan": _planning,
    "preview": _previewing,
    "tune": _tuning,
}
"""Verb -> what adds flags that no other verb has."""


def _context(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--context", default="", help="context of the kubeconfig")
    group.add_argument("--kubeconfig", type=_path, default="", help="kubeconfig file")


def is_terminal() -> bool:
    """Return whether stderr is a terminal."""
    return sys.stderr.isatty()
