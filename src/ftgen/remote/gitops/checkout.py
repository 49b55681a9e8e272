"""Checkout of a remote repository's files, to read them once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ftgen.diagnostics import Rejected, error
from ftgen.remote.gitops.address import password_apart, target_of
from ftgen.remote.gitops.git import Git, GitFailed, scratch_repository, translate_git_errors
from ftgen.remote.gitops.remote import printable

_AS_COMMITTED = "* -text !eol !ident !filter !working-tree-encoding\n"
"""Attributes that go before the repository's own: a file is written as it was committed, a pointer of git-lfs too."""


@contextmanager
def checked_out(url: str, revision: str) -> Iterator[Path]:
    """Yield a folder with the files of a branch, a tag or a commit, or of the default branch; it is removed at the end.

    Files of git-lfs are pointers: their content is not fetched.

    Raises:
        Rejected: FT520, FT525 or FT530: the address is none, the remote cannot be reached, or there is no git.
    """
    target_of(url, "main", "")
    _refuse_revision(revision)
    plain, header = password_apart(url)
    with TemporaryDirectory(prefix="ftgen-data-", ignore_cleanup_errors=True) as folder:
        with translate_git_errors(), scratch_repository(header) as git:
            info = git.folder / "info"
            info.mkdir(exist_ok=True)
            (info / "attributes").write_text(_AS_COMMITTED, encoding="utf-8")
            git.run("remote", "add", "--", "origin", plain)
            _fetch(git, revision or "HEAD")
            tree = Git(git.folder, git.settings, {**git.env, "GIT_WORK_TREE": folder})
            tree.run("read-tree", "FETCH_HEAD^{commit}")
            tree.run("checkout-index", "--quiet", "--all", "--force")
        yield Path(folder)


def _fetch(git: Git, revision: str) -> None:
    try:
        git.run("fetch", "--quiet", "--no-tags", "--depth=1", "origin", revision)
    except GitFailed as problem:
        how = "check the address, the revision, the network and the credentials that `git ls-remote` would use"
        headline = f"the repository cannot be fetched: {printable(problem.message)}"
        raise Rejected([error("FT525", headline, help=how)]) from problem


def _refuse_revision(revision: str) -> None:
    if revision.startswith(("-", "+")) or not revision.isprintable() or any(c in revision for c in " :^~?*[\\"):
        headline = f"{revision!r} is not the name of a branch, a tag or a commit"
        raise Rejected([error("FT520", headline, "--revision", help="name one that `git ls-remote` lists")])
