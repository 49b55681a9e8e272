"""Where to publish: which repository, which branch, which folder of it."""

from __future__ import annotations

import os
import re
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from ftgen import files
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.gitops.git import PROTOCOLS, Git
from ftgen.tree.lock import path_problem

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)", re.IGNORECASE)
_SCP = re.compile(r"(?!-)[^/:\\]+:(?!:)(?!-)")
_HELPER = re.compile(r"[a-z0-9+.-]*::", re.IGNORECASE)
_PORT = re.compile(r"(^|@)(\[[^]]*\]|[^:@]*)(:[0-9]*)?$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SECRET = re.compile(r"(://)[^/\s]*@")
_PASSWORD = re.compile(r"(https?://)([^/:@]*):([^/]*)@([^/@]+)(/.*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """A place to publish to.

    Attributes:
        repo: a path to a local repository, or a URL.
        branch: the branch, without `refs/heads/`.
        path: folder in the repository, posix, empty for its root.
        remote: whether `repo` is a URL.
    """

    repo: str
    branch: str
    path: str
    remote: bool

    @property
    def shown(self) -> str:
        """The address without credentials, fit to print."""
        return without_credentials(self.repo)


def without_credentials(address: str) -> str:
    """The address with any user information of a URL left out."""
    return _SECRET.sub(r"\1", address)


def password_apart(address: str) -> tuple[str, dict[str, str]]:
    """An address without its password, and the git setting that sends it.

    Git would show it in the list of processes, and hand it to every credential helper to be kept.
    """
    found = _PASSWORD.fullmatch(address)
    if not found:
        return address, {}
    scheme, user, password, host, path = found.groups(default="")
    pair = f"{unquote(user)}:{unquote(password)}".encode()
    header = f"Authorization: Basic {b64encode(pair).decode()}"
    return f"{scheme}{host}{path}", {f"http.{scheme}{host}/.extraHeader": header}


def target_of(repo: str, branch: str, path: str) -> Target:
    """Check an address, a branch and a folder before git sees them.

    Raises:
        Rejected: FT520.
    """
    folder = path.strip("/") if path not in {"", "."} else ""
    problems = [*_repo_problems(repo), *_branch_problems(branch), *_path_problems(path, folder)]
    if problems:
        raise Rejected(problems)
    return Target(repo, branch, folder, is_remote(repo))


def url_of(target: Target) -> str:
    """The address by which others find the repository, without credentials; empty where it has none.

    Raises:
        Rejected: FT521.
    """
    url = target.repo if target.remote else local(target).maybe("config", "--get", "remote.origin.url")
    return without_credentials(url) if is_remote(url) else ""


def is_remote(repo: str) -> bool:
    """Whether an address is a URL or `host:path`, and no folder on this machine."""
    return bool(_URL.match(repo) or _SCP.match(repo)) and not Path(repo).exists()


def _repo_problems(repo: str) -> list[Diagnostic]:
    url = _URL.match(repo)
    reason = ""
    if not repo or repo.startswith("-") or _CONTROL.search(repo):
        reason = "it is empty, starts with `-` or holds a control character"
    elif _HELPER.match(repo):
        reason = "addresses of the form `helper::…` run programs"
    elif url and url[1].lower() not in PROTOCOLS:
        reason = f"{url[1]} is none of {', '.join(PROTOCOLS)}"
    elif url and url[2].rpartition("@")[2].startswith("-"):
        reason = "its host starts with `-`"
    elif url and not _PORT.search(url[2]):
        reason, repo = "its port is no number; in a password, `/` is written `%2F`", f"{url[1]}://…"
    how = "name a folder, or a URL such as https://git.example.com/team/training.git"
    told = f"{without_credentials(repo)!r} is no address to publish to: {reason}"
    return [error("FT520", told, "--repo", help=how)] if reason else []


def _branch_problems(branch: str) -> list[Diagnostic]:
    name = branch.encode("utf-8", "replace")
    # Git refuses to run with a git-dir that is none only for verbs that need one; this needs none.
    fine = not branch.startswith("-") and b"\0" not in name and _is_ref(branch)
    told = f"{branch!r} is no branch name"
    return [] if fine else [error("FT520", told, "--branch", help="a name such as main, without refs/heads/")]


def _is_ref(branch: str) -> bool:
    bad = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/$|^/|\.$|\.lock(/|$)|(^|/)\.", branch)
    return branch not in {"", "@", "HEAD"} and not branch.startswith("refs/") and bad is None


def _path_problems(path: str, folder: str) -> list[Diagnostic]:
    reason = path_problem(folder) if folder else ""
    reason = "it is absolute" if path.startswith("/") else reason
    told = f"{path!r} is no folder of a repository: {reason}"
    how = "a folder such as training/cluster-a"
    return [error("FT520", told, "--path", help=how)] if reason else []


def local(target: Target) -> Git:
    """The local repository of a target.

    Raises:
        Rejected: FT521.
    """
    place = Path(target.repo)
    candidates = [place / ".git", place]
    git = next((found for folder in candidates if (found := _common(folder))), None)
    if git is None:
        how = f"`git init {place}`, or name a URL"
        raise Rejected([error("FT521", f"{place} is no git repository", "--repo", help=how)])
    return git


def _common(folder: Path) -> Git | None:
    """The repository at a folder or behind a `.git` file; a linked work tree leads to its main one."""
    found = git_folder(folder)
    if found is None or not files.is_there(found / "HEAD"):
        return None
    common = Git(found).maybe("rev-parse", "--git-common-dir")
    return Git(files.resolved(found / common)) if common else None


def git_folder(place: Path) -> Path | None:
    """Return a repository's own folder, once git can read it without harm.

    That is `.git` itself, or what a `.git` file names; None where that file is none of git's.

    Raises:
        Rejected: FT521, see `refuse_endless`.
    """
    found = _followed(place)
    for folder in _folders(found) if found else ():
        refuse_endless(_read_by_git(folder))
    return found


def _followed(place: Path) -> Path | None:
    if not files.is_there(place):
        return files.resolved(place)
    try:
        text = os.fsdecode(files.read(place, at_most=_LONGEST_GITDIR))
    except OSError:
        return None
    head, named = text[: len(_GITDIR)], text[len(_GITDIR) :].strip()
    return files.resolved(place.parent / named) if head == _GITDIR and named and "\0" not in named else None


_GITDIR = "gitdir:"
_LONGEST_GITDIR = 1 << 16


def refuse_endless(paths: Iterable[tuple[Path, int]]) -> None:
    """Refuse files that git would wait for without end, or read until memory is full, before it is run.

    Git opens what it finds, be it a FIFO, a device or a reference of many gigabytes.

    Args:
        paths: files that git reads, each with the bytes that are sane for it.

    Raises:
        Rejected: FT521.
    """
    for path, at_most in paths:
        try:
            files.check(path, at_most=at_most)
        except OSError as problem:
            told = f"{path} cannot be read: {problem.strerror}"
            how = "remove it, or clone the repository anew"
            raise Rejected([error("FT521", told, str(path), help=how)]) from None


def _folders(git: Path) -> Iterator[Path]:
    """A repository's folder, and the one that a linked work tree shares with others."""
    common = git / "commondir"
    # Git opens HEAD before it looks whether the rest of a repository is there.
    if os.path.lexists(git / "HEAD") or os.path.lexists(common):
        yield git
    if common.is_file():
        yield git / os.fsdecode(files.read(common, at_most=_LONGEST_GITDIR)).strip("\0\n")


def _read_by_git(folder: Path) -> Iterator[tuple[Path, int]]:
    """The files of a repository; links in its first level are followed, for the Android project's `repo` makes some."""
    for top in sorted(folder.glob("*")):
        if top.name in _OTHERS:
            continue
        found = (Path(place, name) for place, _, names in os.walk(top) for name in names)
        for path in found if top.is_dir() else [top]:
            yield path, files.LARGEST if _is_held_whole(path.relative_to(folder)) else sys.maxsize


_OTHERS = {"annex", "lfs", "modules"}
"""Folders of a repository that belong to other programs or to other repositories."""
_MAPPED = {"index", "logs"}


def _is_held_whole(path: Path) -> bool:
    """Whether git reads a file of a repository into memory: not objects, nor what else it maps."""
    return path.name == "alternates" if path.parts[0] == "objects" else path.parts[0] not in _MAPPED
