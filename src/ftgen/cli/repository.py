"""What the verbs of a published tree share: where it is, what is rendered for it, how its changes are told."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftgen import __version__, delivery, gitops, pipeline, tree
from ftgen.cli import many, output, request
from ftgen.cli.arguments import Arguments, Usage, is_terminal
from ftgen.diagnostics import Diagnostic
from ftgen.gitops import Provenance, Target, TreeEdit
from ftgen.tree import FileChange, Outcome, Run

_DIGEST = re.compile(rb"ftgen\.dev/config-digest: sha256:([0-9a-f]{64})")
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a command line renders.

    Attributes:
        runs: jobs first, then what is beside them.
        diagnostics: warnings and notes, located.
        whole: folders of which this is all there should be.
    """

    runs: Sequence[Run]
    diagnostics: Sequence[Diagnostic]
    whole: frozenset[str] = frozenset()


def target(arguments: Arguments) -> Target | None:
    """The repository that the flags name, or None for a plain folder.

    Raises:
        Usage: when a flag is missing that another needs.
        Rejected: FT520.
    """
    flags = arguments.flags
    if flags.repo is None:
        if flags.branch or flags.path or flags.push:
            raise Usage("--branch, --path and --push go with --repo")
        return None
    if not flags.branch:
        raise Usage("--repo needs --branch")
    return gitops.target_of(flags.repo, flags.branch, flags.path)


def rendered(arguments: Arguments, place: Target | None = None) -> Rendering:
    """Compile the job, or every job of the sweep, that the command line asks for.

    Raises:
        Rejected: with everything that is wrong, located.
    """
    told = _told(place) if place else None
    with request.located(arguments) as composer:
        if request.is_sweep(arguments, composer):
            batch = many.expanded(arguments, composer)
            runs = list(many.runs(batch, table=False, told=told))
            return Rendering(runs, batch.diagnostics, many.whole(batch))
        job = pipeline.compile_job(composer, arguments.overrides)
        runs = [job.run, *pipeline.deliver([job], told)]
        return Rendering(runs, request.locate(composer, arguments, job.diagnostics))


def _told(place: Target) -> delivery.GitSource:
    return delivery.GitSource(gitops.url_of(place), f"refs/heads/{place.branch}", place.path)


def provenance(runs: Iterable[Run] = ()) -> Provenance:
    """What a commit says of its making: this ftgen, the configurations' digest, the checkout it stands in."""
    digests = sorted({found[1] for run in runs for text in run.files.values() if (found := _DIGEST.search(text))})
    whole = digests[0].decode() if len(digests) == 1 else hashlib.sha256(b"\n".join(digests)).hexdigest()
    return Provenance(__version__, whole if digests else "", gitops.source_of(Path.cwd()))


def names(arguments: Arguments) -> list[str]:
    """The runs that the command line names.

    Raises:
        Usage: when it names none.
    """
    found = [word for word in arguments.overrides if not _is_override(word)]
    if not found:
        raise Usage(f"{arguments.verb} needs the name of a run, as in `ftgen {arguments.verb} sft-1a2b3c4d`")
    return found


def _is_override(word: str) -> bool:
    return "=" in word or word.startswith("~")


def apply_edit(edit: TreeEdit, arguments: Arguments, runs: Sequence[Run] = ()) -> Outcome:
    """Change the tree: by a commit where it is in a repository, in place where it is a folder.

    Args:
        edit: the change.
        arguments: the command line.
        runs: what was rendered for it; the commit then names the configuration.

    Raises:
        Rejected: FT5xx; nothing was changed.
    """
    place = target(arguments)
    if place is None:
        return tree.apply(tree.plan_edit(Path(arguments.flags.out), lambda store, lock: edit(store, lock)[0]))
    made = provenance(runs)
    if runs and not arguments.flags.allow_dirty:
        gitops.refuse_unclean_source(place, made, push=arguments.flags.push)
    done = gitops.commit(place, edit, made, push=arguments.flags.push, progress=progress(arguments))
    output.tell(done.diagnostics, arguments)
    output.say(done.summary, arguments)
    return done.outcome


def progress(arguments: Arguments) -> gitops.Progress:
    """Tells every step of talking to git, where somebody watches."""
    if not is_terminal():
        return lambda _: None
    return lambda step: output.say(f"… {step}", arguments)


def print_changes(outcome: Outcome, arguments: Arguments, *, verbs: dict[FileChange, str] | None = None) -> None:
    """Every file that changed, the first twenty by name.

    Args:
        outcome: what became of the files.
        arguments: the command line.
        verbs: what to call a change.
    """
    shown = [(path, change) for path, change in outcome.changes.items() if change is not FileChange.UNCHANGED]
    for path, change in shown[:_LISTED]:
        output.say(f"{(verbs or {}).get(change, change):>9}  {path}", arguments)
    if len(shown) > _LISTED:
        output.say(f"{'…':>9}  and {len(shown) - _LISTED} more files", arguments)
