"""Commits of branches and tags, asked of a git server by `git ls-remote`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from msgspec import Struct

from ftgen.config.pins import Reference, is_commit
from ftgen.remote.gitops.address import password_apart
from ftgen.remote.gitops.git import Git, GitFailed, scratch_repository, translate_git_errors
from ftgen.remote.gitops.remote import printable
from ftgen.remote.locking.answer import Answer, Unresolved

_SECONDS = 60.0
_SETTINGS = {"http.lowSpeedLimit": "100", "http.lowSpeedTime": "30"}
_REMOTE = {"GIT_ALLOW_PROTOCOL": "git:http:https:ssh"}
_IN_POD = re.compile(r"/|file:", re.IGNORECASE)
_ABBREVIATED = re.compile(r"[0-9a-f]{7,39}")
_NO_NAME = re.compile(r"[\x00-\x20\x7f:?*\[\\^~]|^[-+]|\.\.|@\{")
_RULES = ("", "refs/", "refs/tags/", "refs/heads/")
"""What git puts before a name to find it, the first match first (gitrevisions(7))."""


class Repositories(Struct, frozen=True):
    """Git servers, asked from an empty repository that no configuration but the user's own applies to."""

    git: Git

    @classmethod
    @contextmanager
    def asked(cls) -> Iterator[Repositories]:
        """Yield the servers; raise `Rejected` with FT530 where there is no git."""
        with translate_git_errors(), scratch_repository(_SETTINGS) as git:
            yield cls(Git(git.folder, git.settings, {**git.env, **_REMOTE}))

    def answer(self, reference: Reference) -> Answer:
        """Return the commit that a repository's branch, tag or default branch stands for.

        Raises:
            Unresolved: the repository cannot be asked, or has no such name.
        """
        url, revision = reference.name, reference.revision or "HEAD"
        if is_in_pod(url):
            raise Unresolved("it is a folder of the pod, which nothing outside of the pod can ask", _WRITE_IT)
        if _NO_NAME.search(revision):
            raise Unresolved(f"{revision!r} is no name of a branch or a tag", "name one that `git ls-remote` lists")
        listed = self._listed(url, revision)
        found = [name for rule in _RULES if (name := f"{rule}{revision}") in listed]
        if not found:
            raise Unresolved(*_absent(revision))
        commit = _peeled(listed, found[0])
        if not is_commit(commit):
            raise Unresolved("the server answers with no commit")
        others = [name for name in found[1:] if _peeled(listed, name) != commit]
        doubt = f"{revision} is {found[0]} and {others[0]}, which are two commits" if others else ""
        return Answer(commit, doubt, f"write {' or '.join([found[0], *others])}" if doubt else "")

    def _listed(self, url: str, revision: str) -> Mapping[str, str]:
        """Return the objects of the references with a name, by their full names."""
        plain, header = password_apart(url)
        git = Git(self.git.folder, {**self.git.settings, **header}, self.git.env)
        try:
            listed = git.text("ls-remote", "--quiet", "--", plain, revision, f"{revision}^{{}}", timeout=_SECONDS)
        except GitFailed as problem:
            how = "check the address, the network and the credentials that `git ls-remote` would use"
            raise Unresolved(printable(problem.message) or "git ls-remote failed", how) from None
        pairs = (line.partition("\t") for line in listed.splitlines())
        return {name: commit for commit, _, name in pairs}


_WRITE_IT = "write the whole commit"


def is_in_pod(url: str) -> bool:
    """Return whether a repository's address is a path, which only the pod can open."""
    return bool(_IN_POD.match(url))


def _peeled(listed: Mapping[str, str], name: str) -> str:
    """Return the commit of a reference: an annotated tag is an object of its own, listed with `^{}` for its commit."""
    return listed.get(f"{name}^{{}}", listed[name])


def _absent(revision: str) -> tuple[str, str]:
    if _ABBREVIATED.fullmatch(revision):
        return f"it has no branch or tag {revision}", f"if it is a commit, {_WRITE_IT}"
    if revision == "HEAD":
        return "it has no default branch", "push something to it, or name a revision"
    return f"it has no branch or tag {revision}", "name one that `git ls-remote` lists"
