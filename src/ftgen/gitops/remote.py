"""Where a commit goes: a branch of a local repository, or of a remote."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ftgen import files
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.gitops.address import Target, local, password_apart, target_of, without_credentials
from ftgen.gitops.git import Git, GitFailed, scratch_repository

_CARRIED = re.compile(r"user\..+|http\.(?!.*cookie).+|commit\.gpgsign|gpg\.format", re.IGNORECASE)
"""Settings of a local repository that are taken over: values, never a program to run or a file to write."""
_REMOTE = "origin"
_LONGEST = 500
_SHA1 = 40


class Destination(Protocol):
    """A branch that commits can be put on."""

    @property
    def git(self) -> Git:
        """Where objects are read and written."""

    def tip(self, branch: str) -> str:
        """The commit that the branch points to, its objects at hand; empty when there is no such branch."""

    def update_branch(self, branch: str, commit: str, base: str) -> str:
        """Move the branch from `base` to `commit`, or say why not; empty when it is done."""


@contextmanager
def destination(target: Target, *, push: bool) -> Iterator[Destination]:
    """Open the place to publish to."""
    if target.remote:
        with scratch_repository({}) as git:
            yield _remote(git, target.repo)
        return
    mine = local(target)
    hashing = mine.maybe("rev-parse", "--show-object-format") or "sha1"
    if push:
        url = _upstream(target, mine)
        with scratch_repository(_settings(mine), hashing=hashing) as git:
            yield _Pushed(git, url, mine)
    else:
        with scratch_repository(_settings(mine), mine.folder / "objects", hashing) as git:
            _copy_shallow(mine, git)
            yield _Local(git, mine)


def _settings(git: Git) -> dict[str, str]:
    rows = git.maybe("config", "--null", "--local", "--includes", "--list").split("\0")
    pairs = [row.partition("\n")[::2] for row in rows if row]
    return {key: value for key, value in pairs if _CARRIED.fullmatch(key)}


def _copy_shallow(mine: Git, git: Git) -> None:
    """Tell the temporary repository where the history of a shallow one ends."""
    border = mine.folder / "shallow"
    if border.exists():
        shutil.copyfile(border, git.folder / "shallow")


def _upstream(target: Target, mine: Git) -> str:
    name = mine.maybe("config", "--get", f"branch.{target.branch}.remote") or _REMOTE
    url = mine.maybe("config", "--get", f"remote.{name}.url")
    if not url:
        how = f"`git -C {target.repo} remote add origin URL`, or leave --push out"
        raise Rejected([error("FT521", f"{target.repo} has no remote {name}", "--push", help=how)])
    checked = target_of(url, target.branch, target.path)
    return url if checked.remote else str(files.resolved(Path(target.repo) / url))


@dataclass(frozen=True, slots=True)
class _Local:
    """A branch of a local repository; its checkout and index are left alone."""

    git: Git
    mine: Git

    def tip(self, branch: str) -> str:
        return self.mine.maybe("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")

    def update_branch(self, branch: str, commit: str, base: str) -> str:
        try:
            zero = "0" * len(commit)
            self.mine.run("update-ref", "-m", "ftgen: publish", f"refs/heads/{branch}", commit, base or zero)
        except GitFailed as problem:
            return problem.message
        return ""

    def is_checked_out(self, branch: str) -> bool:
        """Whether somebody looks at the branch: the files there now lag behind."""
        listed = self.mine.maybe("worktree", "list", "--porcelain").splitlines()
        bare = self.mine.maybe("config", "--get", "core.bare") == "true"
        return f"branch refs/heads/{branch}" in listed and not bare


@dataclass(frozen=True, slots=True)
class _Remote:
    """A branch of a remote, fetched without history and, where the server can, without files."""

    git: Git

    def tip(self, branch: str) -> str:
        listed = self._ask("ls-remote", "--heads", _REMOTE, f"refs/heads/{branch}")
        name = next(
            (line.split("\t")[0] for line in listed.splitlines() if line.endswith(f"\trefs/heads/{branch}")),
            "",
        )
        if name:
            self._refuse_other_hash(name)
            wanted = f"+refs/heads/{branch}:refs/remotes/{_REMOTE}/{branch}"
            self._ask("fetch", "--quiet", "--no-tags", "--depth=1", "--filter=blob:none", _REMOTE, wanted)
            name = self.git.text("rev-parse", "--verify", f"refs/remotes/{_REMOTE}/{branch}")
        return name

    def update_branch(self, branch: str, commit: str, base: str) -> str:  # noqa: ARG002 - the server compares
        try:
            self.git.run("push", "--quiet", "--no-verify", _REMOTE, f"{commit}:refs/heads/{branch}")
        except GitFailed as problem:
            return problem.message or "the push failed"
        return ""

    def _refuse_other_hash(self, name: str) -> None:
        """Only a clone tells beforehand how the objects are named."""
        if len(name) != _SHA1 and self.git.text("rev-parse", "--show-object-format") == "sha1":
            told = "the remote names its objects by another hash than sha1"
            raise Rejected([error("FT521", told, "--repo", help="publish from a clone of it, with --push")])

    def _ask(self, *command: str) -> str:
        try:
            return self.git.text(*command)
        except GitFailed as problem:
            raise Rejected([_unreachable(problem)]) from problem


@dataclass(frozen=True, slots=True)
class _Pushed(_Remote):
    """The remote of a local repository, which itself is left as it is."""

    mine: Git

    def __init__(self, git: Git, url: str, mine: Git) -> None:
        object.__setattr__(self, "git", _remote(git, url).git)
        object.__setattr__(self, "mine", mine)

    def tip(self, branch: str) -> str:
        name = _Remote.tip(self, branch)
        self._refuse_unpushed(branch, name)
        return name

    def _refuse_unpushed(self, branch: str, tip: str) -> None:
        """Commits that only the local branch has would be left out without a word."""
        head, seen = f"refs/heads/{branch}", f"refs/remotes/{_REMOTE}/{branch}"
        own = self.mine.maybe("rev-parse", "--verify", "--quiet", head)
        if not own or own == tip:
            return
        known = [f"^{name}" for name in (seen, tip) if name and self.mine.maybe("cat-file", "-t", name)]
        ahead = self.mine.maybe("rev-list", "--count", head, *known)
        if ahead not in {"", "0"}:
            told = f"the local branch {branch} has commits that its remote lacks: {ahead}"
            if not known:
                told = f"nothing here tells which commits of the local branch {branch} its remote has"
            how = f"`git fetch {_REMOTE}` and `git push {_REMOTE} {branch}` first, or publish without --push"
            raise Rejected([error("FT526", told, "--push", help=how)])


def _remote(git: Git, url: str) -> _Remote:
    plain, header = password_apart(url)
    git.run("remote", "add", "--", _REMOTE, plain)
    return _Remote(Git(git.folder, {**git.settings, **header}, git.env))


def _unreachable(problem: GitFailed) -> Diagnostic:
    how = "check the address, the network and the credentials that `git ls-remote` would use"
    return error("FT525", f"the remote cannot be reached: {printable(problem.message)}", "--repo", help=how)


def printable(text: str) -> str:
    """What git or a server said, on one line, without credentials or control characters."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", without_credentials(text)).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
