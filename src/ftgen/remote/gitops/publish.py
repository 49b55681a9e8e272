"""Commit a whole change at once, on a branch that others write to as well.

The content of the commit is a function of the configuration and the tip of the branch.  So when the branch has moved,
nothing is merged: the change is computed again on the new tip.
"""

from __future__ import annotations

import random
import re
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic, Rejected, error, note
from ftgen.output.tree import (
    DELIVERY,
    FileChange,
    Lock,
    OnImmutableChange,
    Outcome,
    Run,
    Store,
    WriteOptions,
    plan_runs,
)
from ftgen.output.tree.lock import is_job
from ftgen.remote.gitops.address import Target, target_of
from ftgen.remote.gitops.branch import BranchStore
from ftgen.remote.gitops.git import Git, GitFailed, translate_git_errors
from ftgen.remote.gitops.remote import Destination, _Local, open_destination, printable
from ftgen.remote.gitops.source import Provenance, message
from ftgen.review.diff import Change, diff_tree, same_run

_TRIES = 10
_STUBBORN = 4
"""Number of refusals, without a move of the branch, that mean a policy and not a race for its lock."""
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0
_SHORT = 10
_PER_SWEEP = "ftgen/"
_IN_THE_WAY = re.compile(r"'refs/heads/([^']+)' exists")

Progress = Callable[[str], None]


def silent(_text: str) -> None:
    """Ignore a report of progress."""


class Result(StrEnum):
    """Result of publishing."""

    UNCHANGED = "unchanged"
    """The branch already has all content; there is no commit."""
    COMMITTED = "committed"
    """The branch of the local repository has a new commit."""
    PUSHED = "pushed"
    """The remote's branch has a new commit."""


class Published(Struct, frozen=True):
    """Report of publishing.

    Attributes:
        result: see `Result`.
        branch: the branch that was written to.
        commit: id of the new commit, or of the tip that needed none.
        outcome: what changed in the tree.
        diagnostics: warnings and notes.
        is_new: whether the branch was created.
        remote: address that was pushed to, which a clone's configuration may name; empty where nothing was.
    """

    result: Result
    branch: str
    commit: str
    outcome: Outcome
    diagnostics: tuple[Diagnostic, ...] = ()
    is_new: bool = False
    remote: str = ""

    @property
    def summary(self) -> str:
        """Return one line: `pushed 1a2b3c4d5e to main of https://git.example.com/gitops: +3 ~1 -0`."""
        branch = f"{self.branch} of {self.remote}" if self.remote else self.branch
        if self.result is Result.UNCHANGED:
            return f"unchanged: {branch} has it all"
        branch = f"{branch}, a new branch" if self.is_new else branch
        return f"{self.result} {self.commit[:10]} to {branch}: {tally(self.outcome)}"


TreeEdit = Callable[[Store, Lock], tuple[Outcome, str]]
"""Change of a tree: stages content on a store, and returns the outcome and the commit's subject."""


def publish(
    target: Target,
    runs: Iterable[Run],
    provenance: Provenance,
    *,
    options: WriteOptions = WriteOptions(on_immutable_change=OnImmutableChange.REFUSE),  # noqa: B008 - frozen
    push: bool = False,
    branch_per_sweep: bool = False,
    allow_dirty: bool = False,
    review: Callable[[list[Change]], object] | None = None,
    approve: Callable[[Outcome], object] = lambda _: None,
    progress: Progress = silent,
) -> Published:
    """Commit rendered runs to a branch, and push it if `push` is set or the target is a URL.

    Each attempt iterates over `runs`, so a generator is read into memory first.  `review` gets the changes of each
    object before an attempt plans them: its last call is of the commit that was made.  `approve` gets what each attempt
    is about to commit, and may raise.

    Raises:
        Rejected: FT5xx, or what `approve` raises; nothing was committed, and nothing was pushed.
    """
    if not allow_dirty:
        refuse_unclean_source(target, provenance, push=push)
    all_runs = runs if iter(runs) is not runs else list(runs)
    source = provenance.source
    checked = replace(options, same_run=same_run, source=source.sha if source and not source.dirty else "")

    def edit(store: Store, lock: Lock) -> tuple[Outcome, str]:
        if review:
            review(diff_tree(store, lock, all_runs, options.whole))
        outcome = plan_runs(store, lock, map(refuse_unnamed, all_runs), checked)
        approve(outcome)
        return outcome, f"ftgen: {tally(outcome)} in {' '.join(_folders(outcome)) or 'nothing'}"

    branch = f"{_PER_SWEEP}{next((run.folder for run in all_runs), '')}" if branch_per_sweep else target.branch
    return commit(
        target_of(target.repo, branch, target.path),
        edit,
        provenance,
        push=push,
        fork=target.branch,
        progress=progress,
    )


def preview(
    target: Target, runs: Iterable[Run], *, whole: frozenset[str] = frozenset(), push: bool = False
) -> list[Change]:
    """Return the changes that publishing the runs would make, object by object; write nothing.

    Args:
        target: the repository, branch and folder.
        runs: the rendered runs.
        whole: folders that the runs cover completely.
        push: whether to compare with the branch of the repository's remote.

    Raises:
        Rejected: FT5xx, where the branch cannot be read.
    """
    with translate_git_errors(), open_destination(target, push=push) as destination:
        store = BranchStore(destination.git, destination.tip(target.branch), target.path, target.shown)
        with closing(store):
            return diff_tree(store, store.lock(), runs, whole)


def tally(outcome: Outcome) -> str:
    """Count the files that are added, changed and removed: `+3 ~1 -0`."""
    paths = (outcome.paths(FileChange.ADDED), outcome.paths(FileChange.CHANGED), outcome.gone)
    return " ".join(f"{sign}{len(group)}" for sign, group in zip("+~-", paths, strict=True))


def refuse_unclean_source(target: Target, provenance: Provenance, *, push: bool) -> None:
    """Refuse to push runs whose configuration is modified, or is on no branch.

    Raises:
        Rejected: FT523.
    """
    source = provenance.source if push or target.remote else None
    flaws = {"modified": source and source.dirty, "detached": source and source.detached}
    state = [word for word, holds in flaws.items() if holds]
    if state:
        headline = f"the configuration's own checkout is {' and '.join(state)}"
        how = "commit it on a branch first, or add --allow-dirty; a published commit names its source"
        raise Rejected([error("FT523", headline, "--push" if push else "--repo", help=how)])


def refuse_unnamed(run: Run) -> Run:
    """Return the run; refuse one whose name the API server generates.

    Raises:
        Rejected: FT529.
    """
    if not run.name and not run.identity.endswith("/*"):
        headline = f"{run.identity} has no final name, and no reconciler applies an object without one"
        how = "render with delivery=argocd or delivery=flux"
        raise Rejected([error("FT529", headline, "delivery", help=how)])
    return run


def _folders(outcome: Outcome) -> list[str]:
    return sorted({path.partition("/")[0] for path in outcome.touched} - {DELIVERY})


def commit(
    target: Target,
    edit: TreeEdit,
    provenance: Provenance,
    *,
    push: bool = False,
    fork: str = "",
    progress: Progress = silent,
) -> Published:
    """Commit the change that `edit` makes to a branch; compute it again whenever the branch has moved.

    Args:
        target: the repository, branch and folder.
        edit: the change.
        provenance: the origin that the commit records.
        push: whether to write to the remote of a local repository instead of to its branch.
        fork: branch to start from when the target's does not exist yet.
        progress: called with each step, in words.

    Raises:
        Rejected: FT5xx.
    """
    with translate_git_errors(), open_destination(target, push=push) as destination:
        refused: list[str] = []
        for attempt in range(1, _TRIES + _STUBBORN + 1):
            progress(f"reading {target.branch}" if attempt == 1 else f"{target.branch} moved; try {attempt}")
            done, base, problem = _attempt(destination, target, edit, provenance, fork=fork, progress=progress)
            if done is not None:
                return _with_note(done, destination, target)
            refused = [*refused, base] if base in refused[-1:] else [base]
            _raise_if_final(refused, attempt, problem, target)
            time.sleep(random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)))  # noqa: S311 - jitter
    raise AssertionError("the last attempt is judged")


def _attempt(
    destination: Destination, target: Target, edit: TreeEdit, provenance: Provenance, *, fork: str, progress: Progress
) -> tuple[Published | None, str, str]:
    """Try once: return the report, or else None; the tip that the commit was built on; and why it was refused."""
    tip = destination.tip(target.branch)
    base = tip or (destination.tip(fork) if fork and fork != target.branch else "")
    store = BranchStore(destination.git, base, target.path, f"{target.shown} ({target.branch})")
    with closing(store):
        before = store.lock()
        outcome, subject = edit(store, before)
        store.remove(outcome.gone)
        store.stage_lock(outcome.lock)
        if store.is_unchanged:
            done = Published(
                Result.UNCHANGED, target.branch, tip, outcome, outcome.diagnostics, remote=destination.address
            )
            return done, base, ""
        progress(f"writing {len(store.staged)} files")
        new = store.write(
            message(subject, provenance, _folders(outcome), _names(before, outcome)),
            _signature(store.git, provenance),
            signed=_signs(store.git),
        )
    progress(f"updating {target.branch}")
    problem = destination.update_branch(target.branch, new, tip)
    if problem and destination.tip(target.branch) != new:
        return None, tip, problem
    result = Result.PUSHED if destination.address else Result.COMMITTED
    done = Published(
        result, target.branch, new, outcome, outcome.diagnostics, is_new=not tip, remote=destination.address
    )
    return done, base, ""


def _raise_if_final(refused: list[str], attempt: int, problem: str, target: Target) -> None:
    if len(refused) >= _STUBBORN:
        headline = f"{target.shown} refused the new commit on {target.branch}: {printable(problem)}"
        how = "ask who protects the branch"
        if other := _IN_THE_WAY.search(problem):
            how = (
                f"publish to another branch, or rename {other[1]}: git has no two branches of which one is in the other"
            )
        elif not target.branch.startswith(_PER_SWEEP):
            how = f"{how}, or add --branch-per-sweep and open a pull request"
        raise Rejected([error("FT524", headline, "--branch", target.branch, help=how)])
    if attempt >= _TRIES:
        headline = f"other writers moved {target.branch} {attempt} times in a row"
        raise Rejected([error("FT528", headline, "--branch", help="run the same command again")])


def _names(before: Lock, outcome: Outcome) -> list[str]:
    """Return the names of the jobs that a commit adds, changes or removes."""
    entries = {**before.files, **outcome.lock.files}
    return sorted({entries[path].name for path in outcome.touched if path in entries and is_job(entries[path].object)})


def _signature(git: Git, provenance: Provenance) -> Mapping[str, str]:
    """Return variables with the source's date, and with a name if git knows none, as in a CI pipeline."""
    date = provenance.source.date if provenance.source else ""
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
    return dates | {key: value for role in ("AUTHOR", "COMMITTER") for key, value in _person(git, role)}


def _person(git: Git, role: str) -> Iterator[tuple[str, str]]:
    try:
        git.run("var", f"GIT_{role}_IDENT")
    except GitFailed:
        yield f"GIT_{role}_NAME", "ftgen"
        yield f"GIT_{role}_EMAIL", "ftgen@localhost"


def _signs(git: Git) -> bool:
    return git.maybe("config", "--type=bool", "--get", "commit.gpgSign") == "true"


def _with_note(done: Published, destination: Destination, target: Target) -> Published:
    """Add a note for each work tree whose files lag behind: the help brings up to date what the commit changed."""
    if not isinstance(destination, _Local) or done.result is Result.UNCHANGED:
        return done
    notes = [_lagging(target, place, done.commit) for place in destination.work_trees(target.branch)]
    return replace(done, diagnostics=(*done.diagnostics, *notes))


def _lagging(target: Target, place: str, commit: str) -> Diagnostic:
    git = f"git -C {shlex.quote(place)}"
    headline = f"{target.branch} is checked out in {place}, whose files were left alone and now lag behind"
    listed = f"{git} diff-tree -r --root --no-commit-id --name-only -z {commit[:_SHORT]}"
    restored = f"{git} restore --source=HEAD --staged --worktree --pathspec-from-file=- --pathspec-file-nul"
    how = f"`{listed} | {restored}` brings those of this commit up to date, and no others"
    return note("FT531", headline, "--repo", help=how)
