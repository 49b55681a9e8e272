"""Checkout of a remote repository's files, to read them once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ftgen.diagnostics import Rejected, error
from ftgen.remote.gitops.address import password_apart, refuse_endless_server, target_of, without_credentials
from ftgen.remote.gitops.git import Git, GitFailed, patience, scratch_repository, translate_git_errors
from ftgen.remote.gitops.remote import printable
from ftgen.text import files, lines

_AS_COMMITTED = "* -text !eol !ident !filter !working-tree-encoding\n"
"""Attributes that go before the repository's own: a file is written as it was committed, a pointer of git-lfs too."""

_LARGEST = 4096 * files.MIB
"""Largest size of all files together, in bytes: what is larger is kept by git-lfs, of which pointers are fetched."""


@contextmanager
def checked_out(url: str, revision: str) -> Iterator[Path]:
    """Yield a folder with the files of a branch, a tag or a commit, or of the default branch; it is removed at the end.

    Files of git-lfs are pointers: their content is not fetched.

    Raises:
        Rejected: FT520, FT521, FT525 or FT530: the address is none, the files are too many or too large, the remote
            cannot be reached, or there is no git.
    """
    target_of(url, "main", "")
    _refuse_revision(revision)
    seconds = patience(here=refuse_endless_server(url))
    plain, header = password_apart(url)
    with TemporaryDirectory(prefix="ftgen-data-", ignore_cleanup_errors=True) as folder:
        with translate_git_errors(), scratch_repository(header) as git:
            info = git.folder / "info"
            info.mkdir(exist_ok=True)
            (info / "attributes").write_text(_AS_COMMITTED, encoding="utf-8")
            git.run("remote", "add", "--", "origin", plain)
            _fetch(git, revision or "HEAD", seconds)
            _refuse_bomb(git, lines.printable(without_credentials(url)))
            tree = Git(git.folder, git.settings, {**git.env, "GIT_WORK_TREE": folder})
            tree.run("read-tree", "FETCH_HEAD^{commit}")
            tree.run("checkout-index", "--quiet", "--all", "--force")
        yield Path(folder)


def _fetch(git: Git, revision: str, seconds: float | None) -> None:
    try:
        git.run("fetch", "--quiet", "--no-tags", "--depth=1", "origin", revision, timeout=seconds)
    except GitFailed as problem:
        how = "check the address, the revision, the network and the credentials that `git ls-remote` would use"
        headline = f"the repository cannot be fetched: {printable(problem.message)}"
        raise Rejected([error("FT525", headline, help=how)]) from problem


def _refuse_bomb(git: Git, shown: str) -> None:
    """Refuse files that a few kilobytes of history make, and that no disk holds.

    Raises:
        Rejected: FT521.
    """
    room = _LARGEST
    for fields, path in git.entries("-r", "--long", "FETCH_HEAD", place=shown):
        room -= int(fields[-1]) if fields[-1].isdecimal() else 0
        reason = f"its files hold more than {_LARGEST // files.MIB} MiB" if room < 0 else ""
        if path.count("/") > files.DEEPEST:
            reason = f"it holds folders in each other, more than {files.DEEPEST} deep"
        if reason:
            how = "clone it, and name the folder with the data"
            raise Rejected([error("FT521", f"{shown} cannot be checked out: {reason}", help=how)])


def _refuse_revision(revision: str) -> None:
    if revision.startswith(("-", "+")) or not revision.isprintable() or any(c in revision for c in " :^~?*[\\"):
        headline = f"{revision!r} is not the name of a branch, a tag or a commit"
        raise Rejected([error("FT520", headline, "--revision", help="name one that `git ls-remote` lists")])
