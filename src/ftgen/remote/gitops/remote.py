"""Destination of a commit: a branch of a local repository, or of a remote."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.remote.gitops.address import (
    Target,
    is_remote,
    local,
    password_apart,
    refuse_endless_server,
    target_of,
    without_credentials,
)
from ftgen.remote.gitops.git import SERVER, Git, GitFailed, patience, scratch_repository
from ftgen.text import files, lines

_CARRIED = re.compile(r"user\..+|http\.(.*\.)?extraheader|commit\.gpgsign|gpg\.format", re.IGNORECASE)
"""Settings that are copied from a local repository.

They are values: no program to run, no file to write, and no way to the server, such as a proxy, which would get the
user's own login.
"""
_REMOTE = "origin"
_SHA1 = 40


class Destination(Protocol):
    """Repository in which a branch can be moved to a new commit."""

    @property
    def git(self) -> Git:
        """Return the repository that reads and writes objects."""

    @property
    def address(self) -> str:
        """Return the address that is pushed to, without credentials; empty where the branch is here."""

    def tip(self, branch: str) -> str:
        """Return the commit that the branch points to, and fetch its objects; empty when there is no such branch."""

    def update_branch(self, branch: str, commit: str, base: str) -> str:
        """Move the branch from `base` to `commit`; return why it was refused, or an empty text."""


@contextmanager
def open_destination(target: Target, *, push: bool) -> Iterator[Destination]:
    """Open the repository to publish to."""
    if target.remote:
        with scratch_repository({}) as git:
            yield _remote(git, target.repo)
        return
    repository = local(target)
    object_format = repository.maybe("rev-parse", "--show-object-format") or "sha1"
    if push:
        name, url = _upstream(target, repository)
        settings = {**_settings(repository), **_servers(url)}
        with scratch_repository(settings, object_format=object_format) as git:
            remote = _remote(git, url)
            yield _RemoteOfLocal(remote.git, remote.address, remote.seconds, repository, name)
    else:
        _refuse_links(repository, target.branch)
        with scratch_repository(_settings(repository), repository.folder / "objects", object_format) as git:
            _copy_shallow(repository, git)
            yield _Local(git, repository)


def _refuse_links(repository: Git, branch: str) -> None:
    """Refuse a repository in which a link or a symbolic reference leads what is written for a branch elsewhere.

    Raises:
        Rejected: FT521.
    """
    folder, head = repository.folder, f"refs/heads/{branch}"
    names = [f"{top}{head}".split("/") for top in ("", "logs/")]
    paths = [folder / "/".join(parts[:count]) for parts in names for count in range(1, len(parts) + 1)]
    paths += [folder / "logs" / "HEAD", folder / "objects", *sorted((folder / "objects").glob("*"))]
    if link := next((path for path in paths if path.is_symlink()), None):
        how = "replace it by what it leads to, or publish with --push"
        raise Rejected([error("FT521", f"{link} is a link, and nothing is written behind it", str(link), help=how)])
    if other := repository.maybe("symbolic-ref", "--quiet", head):
        headline = f"the branch {branch} of {folder} is another name of {other}"
        raise Rejected([error("FT521", headline, "--branch", help=f"name {other.removeprefix('refs/heads/')} itself")])


def _settings(git: Git) -> dict[str, str]:
    rows = git.maybe("config", "--null", "--local", "--includes", "--list").split("\0")
    pairs = [row.partition("\n")[::2] for row in rows if row]
    return {key: value for key, value in pairs if _CARRIED.fullmatch(key)}


def _copy_shallow(repository: Git, git: Git) -> None:
    """Copy to the temporary repository where the history of a shallow one ends."""
    shallow = repository.folder / "shallow"
    if shallow.exists():
        shutil.copyfile(shallow, git.folder / "shallow")


def _upstream(target: Target, repository: Git) -> tuple[str, str]:
    """Return name and address of the remote that a branch of a local repository is pushed to."""
    name = repository.maybe("config", "--get", f"branch.{target.branch}.remote") or _REMOTE
    url = repository.maybe("config", "--get", f"remote.{name}.url")
    if not url:
        how = f"`git -C {target.repo} remote add origin URL`, or leave --push out"
        raise Rejected([error("FT521", f"{target.repo} has no remote {name}", "--push", help=how)])
    checked = target_of(url, target.branch, target.path)
    return name, url if checked.remote else str(files.resolved(Path(target.repo) / url))


class _Local(Struct, frozen=True):
    """Branches of a local repository; its checkout and index stay as they are."""

    git: Git
    repository: Git
    address: str = ""

    def tip(self, branch: str) -> str:
        return self.repository.maybe("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")

    def update_branch(self, branch: str, commit: str, base: str) -> str:
        try:
            zero = "0" * len(commit)
            self.repository.run("update-ref", "-m", "ftgen: publish", f"refs/heads/{branch}", commit, base or zero)
        except GitFailed as problem:
            return problem.message
        return ""

    def work_trees(self, branch: str) -> Iterator[str]:
        """Yield the work trees that have the branch checked out, so that their files now lag behind."""
        for listed in self.repository.maybe("worktree", "list", "--porcelain").split("\n\n"):
            place, *lines = listed.strip("\n").split("\n")
            folder = place.removeprefix("worktree ")
            if f"branch refs/heads/{branch}" in lines and os.path.lexists(os.path.join(folder, ".git")):  # noqa: PTH118
                yield folder


class _Remote(Struct, frozen=True):
    """Branches of a remote, fetched without history and, if the server can, without files."""

    git: Git
    address: str
    seconds: float | None

    def tip(self, branch: str) -> str:
        listed = self._contact("ls-remote", "--heads", _REMOTE, f"refs/heads/{branch}")
        name = next(
            (line.split("\t")[0] for line in listed.splitlines() if line.endswith(f"\trefs/heads/{branch}")),
            "",
        )
        if name:
            self._refuse_other_hash(name)
            wanted = f"+refs/heads/{branch}:refs/remotes/{_REMOTE}/{branch}"
            self._contact("fetch", "--quiet", "--no-tags", "--depth=1", "--filter=blob:none", _REMOTE, wanted)
            name = self.git.text("rev-parse", "--verify", f"refs/remotes/{_REMOTE}/{branch}")
        return name

    def update_branch(self, branch: str, commit: str, base: str) -> str:  # noqa: ARG002 - the server compares
        try:
            self.git.run(
                "push", "--quiet", "--no-verify", _REMOTE, f"{commit}:refs/heads/{branch}", timeout=self.seconds
            )
        except GitFailed as problem:
            return problem.message or "the push failed"
        return ""

    def _refuse_other_hash(self, name: str) -> None:
        """Refuse a remote with another object format: only a clone shows the format before the fetch."""
        if len(name) != _SHA1 and self.git.text("rev-parse", "--show-object-format") == "sha1":
            headline = "the remote names its objects by another hash than sha1"
            raise Rejected([error("FT521", headline, "--repo", help="publish from a clone of it, with --push")])

    def _contact(self, *command: str) -> str:
        try:
            return self.git.text(*command, timeout=self.seconds)
        except GitFailed as problem:
            raise Rejected([_unreachable(problem)]) from problem


class _RemoteOfLocal(_Remote, frozen=True):
    """Remote of a local repository, which itself stays as it is."""

    repository: Git
    name: str

    def tip(self, branch: str) -> str:
        name = super().tip(branch)
        self._refuse_unpushed(branch, name)
        return name

    def _refuse_unpushed(self, branch: str, tip: str) -> None:
        """Refuse a local branch with commits that its remote lacks: the push would silently omit them."""
        head, tracking = f"refs/heads/{branch}", f"refs/remotes/{self.name}/{branch}"
        local_tip = self.repository.maybe("rev-parse", "--verify", "--quiet", head)
        if not local_tip or local_tip == tip:
            return
        excluded = [f"^{name}" for name in (tracking, tip) if name and self.repository.maybe("cat-file", "-t", name)]
        ahead = self.repository.maybe("rev-list", "--count", head, *excluded)
        if ahead not in {"", "0"}:
            headline = f"the local branch {branch} has commits that its remote lacks: {ahead}"
            if not excluded:
                headline = f"nothing here tells which commits of the local branch {branch} its remote has"
            how = f"`git fetch {self.name}` and `git push {self.name} {branch}` first, or publish without --push"
            raise Rejected([error("FT526", headline, "--push", help=how)])


def _remote(git: Git, url: str) -> _Remote:
    seconds = patience(here=refuse_endless_server(url))
    plain, header = password_apart(url)
    git.run("remote", "add", "--", _REMOTE, plain)
    asked = Git(git.folder, {**git.settings, **header}, git.env)
    return _Remote(asked, lines.printable(without_credentials(url)), seconds)


def _servers(url: str) -> dict[str, str]:
    """Return the settings by which git's servers start in a repository on this machine that nobody typed.

    The configuration of a clone names it, so that its hooks and programs are as foreign as the clone's.  The hooks of
    a `file://` address that the user types are a server's, such as those that protect a branch.
    """
    if is_remote(url) and not url.lower().startswith("file:"):
        return {}
    return {f"remote.{_REMOTE}.{name.replace('-', '')}": f"{SERVER} {name}" for name in ("upload-pack", "receive-pack")}


def _unreachable(problem: GitFailed) -> Diagnostic:
    how = "check the address, the network and the credentials that `git ls-remote` would use"
    return error("FT525", f"the remote cannot be reached: {printable(problem.message)}", "--repo", help=how)


def printable(text: str) -> str:
    """Return a message of git or a server on one line, without credentials or control characters."""
    return lines.printable(without_credentials(text))
