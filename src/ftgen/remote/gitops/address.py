"""Address to publish to: a repository, a branch and a folder of it."""

from __future__ import annotations

import errno
import os
import re
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from urllib.parse import unquote

from msgspec import Struct

from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.output.tree.lock import path_problem
from ftgen.remote.gitops.git import PROTOCOLS, Git
from ftgen.text import files

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)", re.IGNORECASE)
_SCP = re.compile(r"(?!-)[^/:\\]+:(?!:)(?!-)")
_HELPER = re.compile(r"[a-z0-9+.-]*::", re.IGNORECASE)
_PORT = re.compile(r"(^|@)(\[[^]]*\]|[^:@]*)(:[0-9]*)?$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SECRET = re.compile(r"(://)[^/\s]*@")
_PASSWORD = re.compile(r"(https?://)([^/:@]*):([^/]*)@([^/@]+)(/.*)?", re.IGNORECASE)


class Target(Struct, frozen=True):
    """Repository, branch and folder to publish to.

    Attributes:
        repo: path of a local repository, or a URL.
        branch: name without `refs/heads/`.
        path: folder in the repository, posix; empty for its root.
        remote: whether `repo` is a URL.
    """

    repo: str
    branch: str
    path: str
    remote: bool

    @property
    def shown(self) -> str:
        """Return the address without credentials, for messages."""
        return without_credentials(self.repo)


def without_credentials(address: str) -> str:
    """Return the address without any user information of a URL."""
    return _SECRET.sub(r"\1", address)


def password_apart(address: str) -> tuple[str, dict[str, str]]:
    """Return an address without its password, and the git setting that sends the password.

    Git would show a password in the list of processes, and give it to every credential helper to store.
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
    """Return the address by which others find the repository, without credentials; empty if it has none.

    Raises:
        Rejected: FT521.
    """
    url = target.repo if target.remote else local(target).maybe("config", "--get", "remote.origin.url")
    return without_credentials(url) if is_remote(url) else ""


def is_remote(repo: str) -> bool:
    """Return whether an address is a URL or `host:path`, and no folder on this machine."""
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
    headline = f"{without_credentials(repo)!r} is no address to publish to: {reason}"
    return [error("FT520", headline, "--repo", help=how)] if reason else []


def _branch_problems(branch: str) -> list[Diagnostic]:
    name = branch.encode("utf-8", "replace")
    # Checked here rather than by git, which must not see a bad name.
    is_valid = not branch.startswith("-") and b"\0" not in name and _is_ref(branch)
    headline = f"{branch!r} is no branch name"
    return [] if is_valid else [error("FT520", headline, "--branch", help="a name such as main, without refs/heads/")]


def _is_ref(branch: str) -> bool:
    bad = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/$|^/|\.$|\.lock(/|$)|(^|/)\.", branch)
    return branch not in {"", "@", "HEAD"} and not branch.startswith("refs/") and bad is None


def _path_problems(path: str, folder: str) -> list[Diagnostic]:
    reason = path_problem(folder) if folder else ""
    reason = "it is absolute" if path.startswith("/") else reason
    headline = f"{path!r} is no folder of a repository: {reason}"
    how = "a folder such as training/cluster-a"
    return [error("FT520", headline, "--path", help=how)] if reason else []


def local(target: Target) -> Git:
    """Return the local repository of a target.

    Raises:
        Rejected: FT521.
    """
    folder = Path(target.repo)
    candidates = [folder / ".git", folder]
    git = next((found for candidate in candidates if (found := _main_repository(candidate))), None)
    if git is None:
        how = f"`git init {folder}`, or name a URL"
        raise Rejected([error("FT521", f"{folder} is no git repository", "--repo", help=how)])
    return git


def _main_repository(folder: Path) -> Git | None:
    """Return the repository at a folder or behind a `.git` file; for a linked work tree, its main repository."""
    git = git_folder(folder)
    if git is None or not files.is_there(git / "HEAD"):
        return None
    common = Git(git).maybe("rev-parse", "--git-common-dir")
    if not common:
        return None
    main = files.resolved(git / common)
    if not _is_known_there(folder, git, main):
        how = f"name the repository itself: {main}"
        raise Rejected([error("FT521", f"{folder} leads to {main}, which knows nothing of it", "--repo", help=how)])
    return Git(main)


def _is_known_there(folder: Path, git: Path, main: Path) -> bool:
    """Return whether a repository that a `.git` file or a `commondir` leads to names this place as its own.

    Anybody can write such a file, into an archive as well; git itself writes both ways, for work trees and submodules.
    """
    own = files.resolved(folder)
    if git == own:
        return main == own or git.parent == main / "worktrees"
    back = git / "gitdir"
    if back.is_file():
        named = os.fsdecode(files.read(back, at_most=_LONGEST_GITDIR)).strip()
        return git.parent == main / "worktrees" and "\0" not in named and files.resolved(git / named) == own
    tree = Git(git).maybe("config", "--get", "core.worktree")
    return main == git and bool(tree) and files.resolved(git / tree) == own.parent


def git_folder(path: Path) -> Path | None:
    """Return a repository's own folder, after a check that git can read its files safely.

    That is the folder `path` itself, or the folder that a `.git` file names; None if the file is not git's.

    Raises:
        Rejected: FT521, see `refuse_endless`.
    """
    git = _follow_git_file(path)
    for folder in _folders(git) if git else ():
        refuse_endless(_files_read_by_git(folder))
    return git


def refuse_endless_server(url: str) -> bool:
    """Check a remote on this machine, whose files git's server reads; return whether it is on this machine.

    Raises:
        Rejected: FT521, see `refuse_endless`.
    """
    is_file = url.lower().startswith("file:")
    if is_remote(url) and not is_file:
        return False
    folder = unquote(url.partition("://")[2]) if is_file else url
    for place in (f"{folder}{ending}" for ending in ("/.git", "", ".git/.git", ".git")):
        if "\0" not in place and os.path.lexists(place):
            git_folder(Path(place))
    return True


def _follow_git_file(path: Path) -> Path | None:
    if not files.is_there(path):
        return files.resolved(path)
    try:
        text = os.fsdecode(files.read(path, at_most=_LONGEST_GITDIR))
    except OSError:
        return None
    head, target = text[: len(_GITDIR)], text[len(_GITDIR) :].strip()
    return files.resolved(path.parent / target) if head == _GITDIR and target and "\0" not in target else None


_GITDIR = "gitdir:"
_LONGEST_GITDIR = 1 << 16


def refuse_endless(paths: Iterable[tuple[Path, int]]) -> None:
    """Refuse files that git would wait for without end, or read until memory is full.

    Git opens any file it finds, even a FIFO, a device or a reference of many gigabytes.

    Args:
        paths: files that git reads, each with its largest acceptable size in bytes.

    Raises:
        Rejected: FT521.
    """
    try:
        for path, at_most in paths:
            files.check(path, at_most=at_most)
    except OSError as problem:
        headline = f"{problem.filename} cannot be read: {problem.strerror}"
        how = "remove it, or clone the repository anew"
        raise Rejected([error("FT521", headline, str(problem.filename), help=how)]) from None


def _folders(git: Path) -> Iterator[Path]:
    """Yield a repository's folder, and the folder that a linked work tree shares with others."""
    common = git / "commondir"
    # Git opens HEAD before it checks that the rest of a repository exists.
    if os.path.lexists(git / "HEAD") or os.path.lexists(common):
        yield git
    if common.is_file():
        yield git / os.fsdecode(files.read(common, at_most=_LONGEST_GITDIR)).strip("\0\n")


def _files_read_by_git(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the files of a repository, behind links too, as Android's `repo` tool creates them.

    Regular files that git maps are left out: there are many, and none can hold git up.

    Raises:
        OSError: its folders cannot be walked, see `files.below`, or hold more than any repository.
    """
    tops = sorted(top for top in folder.glob("*") if top.name not in _OTHERS)
    yield from ((top, _at_most(top.name)) for top in tops if not top.is_dir())
    places = chain(
        ((top, top.name) for top in tops if top.is_dir()), ((place, "objects") for place in _borrowed(folder))
    )
    below = ((entry, place, name) for place, name in places for entry in files.below(place, follow=True))
    for count, (entry, place, name) in enumerate(below, 1):
        if count > _MOST_FILES:
            raise OSError(errno.EFBIG, f"more than {_MOST_FILES} files lie in it", str(folder))
        if entry.is_dir():
            continue
        at_most = _at_most(f"{name}{entry.path.removeprefix(str(place))}")
        if at_most < sys.maxsize or not entry.is_file(follow_symlinks=False):
            yield Path(entry.path), at_most


def _borrowed(folder: Path) -> Iterator[Path]:
    """Yield the folders whose objects a repository reads as its own, and those that they borrow from in turn.

    Raises:
        OSError: a file that names them cannot be read, or they are too many.
    """
    pending = [files.resolved(folder / "objects")]
    known = set(pending)
    while pending:
        objects = pending.pop()
        for name in _alternates(objects):
            found = files.resolved(objects / name)
            if found not in known:
                known.add(found)
                pending.append(found)
                yield found
            if len(known) > _MOST_BORROWED:
                raise OSError(errno.EFBIG, f"objects of more than {_MOST_BORROWED} others are borrowed", str(folder))


def _alternates(objects: Path) -> Iterator[str]:
    place = objects / "info" / "alternates"
    if not files.is_there(place):
        return
    for line in os.fsdecode(files.read(place, at_most=_LONGEST_GITDIR)).splitlines():
        if line.startswith('"') or "\0" in line:
            raise OSError(errno.EINVAL, "it names a folder in quotes, which is not looked through", str(place))
        if line and not line.startswith("#"):
            yield line


_MOST_FILES = 500_000
_MOST_BORROWED = 50
_OTHERS = {"annex", "lfs", "modules"}
"""Folders in a repository that belong to other programs or to other repositories."""
_MAPPED = {"index", "logs"}


def _at_most(path: str) -> int:
    """Return the largest acceptable size of a file of a repository: git maps objects, the index and logs."""
    top, _, rest = path.partition("/")
    is_mapped = not rest.endswith("alternates") if top == "objects" else top in _MAPPED
    return sys.maxsize if is_mapped else files.LARGEST
