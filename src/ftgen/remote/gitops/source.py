"""Source of a commit: the configuration's own repository, and the commit message that names it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path

from msgspec import Struct, field

from ftgen.diagnostics import Rejected, credentials, error
from ftgen.remote.gitops.address import git_folder, refuse_endless, without_credentials
from ftgen.remote.gitops.git import Git, GitFailed
from ftgen.text import files, lines

_FIELDS = ("%H", "%an <%ae>", "%cI", "%s", "%b")
_MOST_NAMED = 50
_UNBORN = "does not have any commits yet"
_LONGEST = 4096
"""Longest subject and body of a commit that are repeated, in characters each."""


class Source(Struct, frozen=True):
    """Commit of the configuration; other repositories record it, so that no text of it holds a secret.

    Attributes:
        sha: its id.
        author: `name <mail>`.
        date: its committer's date, ISO 8601; published commits have the same date, so publishing the same again gives
            the same commit id.
        subject: first line of its message.
        body: the rest of its message.
        url: URL of its remote `origin`, without credentials; may be empty.
        dirty: whether the checkout has changes.
        detached: whether no branch is checked out.
    """

    sha: str
    author: str
    date: str
    subject: str
    body: str = ""
    url: str = ""
    dirty: bool = False
    detached: bool = False


class Provenance(Struct, frozen=True):
    """Origin that a published commit records.

    Attributes:
        version: release of ftgen.
        config_sha256: digest over the composed configurations, in hex.
        source: see `Source`; None if the configuration is in no repository.
    """

    version: str
    config_sha256: str
    source: Source | None = None


def source_of(folder: Path) -> Source | None:
    """Return the commit that `folder` has checked out, or None outside a repository or before its first commit.

    Untracked files count as changes only below `conf/` and `overlays/`, where ftgen reads them.

    Raises:
        Rejected: FT521, when git cannot read the repository, or not safely.
    """
    top = next((parent for parent in (folder, *folder.parents) if os.path.lexists(parent / ".git")), None)
    if top is None:
        return None
    git = _checkout(top)
    refuse_endless(_ignore_files(top, folder))
    fields = _last_commit(git, top) if git else []
    if git is None or not fields:
        return None
    url = without_credentials(git.maybe("config", "--get", "remote.origin.url"))
    detached = not git.maybe("symbolic-ref", "--quiet", "HEAD")
    sha, author, date, subject, body = fields
    url, author, subject, body = map(credentials.redact, (url, author, subject, body))
    dirty = _is_dirty(git, top, folder)
    subject, body = _cut(subject), _cut(body.strip())
    return Source(sha, _cut(author), date, subject, body, url, dirty=dirty, detached=detached)


def _last_commit(git: Git, top: Path) -> list[str]:
    """Return the fields of the commit that is checked out; none before the first.

    Raises:
        Rejected: FT521, git cannot tell; nothing would say then whether the checkout has changes.
    """
    try:
        _refuse_large_commit(git, top)
        return git.text("log", "-1", f"--format={'%x00'.join(_FIELDS)}").split("\0", len(_FIELDS) - 1)
    except GitFailed as problem:
        if _UNBORN in problem.message:
            return []
        headline = f"git cannot tell which commit of {top} is checked out: {lines.printable(problem.message)}"
        raise Rejected([error("FT521", headline, str(top), help="see what `git log -1` says there")]) from None


def _refuse_large_commit(git: Git, top: Path) -> None:
    """Refuse a commit that git would keep in memory several times, for whoever reads its message."""
    size = git.maybe("cat-file", "-s", "HEAD")
    if size.isdecimal() and int(size) > files.LARGEST_SOURCE:
        headline = f"the commit of {top} that is checked out holds more than {files.LARGEST_SOURCE // files.MIB} MiB"
        raise Rejected([error("FT521", headline, str(top), help="make it anew with a message that people read")])


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _ignore_files(top: Path, folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the files that tell git what to ignore and filter in the folders of the configuration."""
    folders = [parent for parent in (folder, *folder.parents) if parent.is_relative_to(top)]
    yield from _settings_in([*folders, *_folders_read(folder)])


def _folders_read(folder: Path) -> Iterator[Path]:
    """Yield the folders below `conf/` and `overlays/`; git looks into no repository among them, and is kept out too."""
    for place in (folder / "conf", folder / "overlays"):
        inside = files.below(place, enters=lambda name: name != ".git")
        yield from (place, *(Path(entry.path) for entry in inside if files.is_folder(entry)))


def _settings_in(folders: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    yield from ((folder / name, files.LARGEST) for folder in folders for name in (".gitattributes", ".gitignore"))


def _checkout(top: Path) -> Git | None:
    git = git_folder(top / ".git")
    return Git(git, {"core.quotePath": "false"}, {"GIT_WORK_TREE": str(top)}) if git else None


def _is_dirty(git: Git, top: Path, folder: Path) -> bool:
    safe = Git(git.folder, {**git.settings, **_unfiltered(git)}, git.env)
    folders = [str((folder / name).relative_to(top)) for name in ("conf", "overlays") if (folder / name).is_dir()]
    try:
        index = _index(git, top)
        _refuse_endless_changes(git, top, folder, index)
        # Submodules have configurations of their own, which name programs too.
        if _prints(safe, "status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty"):
            return True
        if index.hides:
            return True
        command = ("-C", str(top), "ls-files", "--others", "--exclude-standard", "-z", "--", *folders)
        return bool(folders) and _prints(git, *command)
    except GitFailed as problem:
        headline = f"git cannot tell whether {top} has changes: {lines.printable(problem.message)}"
        raise Rejected([error("FT521", headline, str(top), help="see what `git status` says there")]) from None


def _prints(git: Git, *command: str) -> bool:
    with closing(git.records(*command)) as found:
        return next(found, None) is not None


class _Index(Struct):
    """What the index says of a checkout.

    Attributes:
        hides: whether it hides changes of files that are there: assumed unchanged, or skipped in the checkout.
        folders: the folders of tracked files.
        modules: the submodules.
    """

    hides: bool = False
    folders: set[str] = field(default_factory=set)
    modules: list[str] = field(default_factory=list)


def _index(git: Git, top: Path) -> _Index:
    index = _Index()
    for record in git.records("-C", str(top), "ls-files", "-v", "--stage", "-z"):
        head, _, name = os.fsdecode(record).partition("\t")
        mark, mode, *_ = head.split(" ")
        index.hides |= mark.islower() or (mark == "S" and os.path.lexists(top / name))
        index.folders.update(list(_parents(name, index.folders)))
        if mode == _MODULE:
            index.modules.append(name)
    return index


_MODULE = "160000"


def _parents(name: str, known: set[str]) -> Iterator[str]:
    """Yield the folders that a path lies in, innermost first, up to one that is known."""
    while (name := name.rpartition("/")[0]) and name not in known:
        yield name


def _refuse_endless_changes(git: Git, top: Path, folder: Path, index: _Index) -> None:
    """Refuse what git would wait for to find changes; see `refuse_endless`.

    It opens the attributes of each folder in which a file may have changed, and looks which commit a repository in the
    work tree has checked out.
    """
    excluded = git.maybe("config", "--type=path", "--get", "core.excludesFile")
    named = [(top / excluded, files.LARGEST)] if excluded else []
    refuse_endless(chain(named, _settings_in(top / inner for inner in sorted(index.folders))))
    for inner in (*(top / name for name in index.modules), *_folders_read(folder)):
        if os.path.lexists(inner / ".git"):
            git_folder(inner / ".git")


def _unfiltered(git: Git) -> dict[str, str]:
    """Return settings that disable the filters of the repository's own configuration; the user's own stay."""
    command = (
        "config",
        "--show-scope",
        "--name-only",
        "--null",
        "--get-regexp",
        r"^filter\..*\.(clean|process|required)$",
    )
    words = git.maybe(*command).split("\0")
    own = [key for scope, key in zip(words[::2], words[1::2], strict=False) if scope in {"local", "worktree"}]
    return {key: "false" if key.endswith(".required") else "" for key in own}


def message(subject: str, provenance: Provenance, folders: Sequence[str], names: Sequence[str]) -> str:
    """Return a commit message: a subject line, then trailers for programs, including Argo CD's."""
    shown = " ".join(names[:_MOST_NAMED]) + (f" +{len(names) - _MOST_NAMED}" if len(names) > _MOST_NAMED else "")
    trailers = {
        "Ftgen-Version": provenance.version,
        "Ftgen-Config-Sha256": provenance.config_sha256,
        "Ftgen-Sweep": " ".join(folders),
        "Ftgen-Runs": shown,
        "Ftgen-Source-Modified": "true" if provenance.source and provenance.source.dirty else "",
        **(_reference(provenance.source) if provenance.source else {}),
    }
    lines = [f"{key}: {_one_line(value)}" for key, value in trailers.items() if value]
    return "\n".join([_one_line(subject), "", *lines]) + "\n"


def _reference(source: Source) -> dict[str, str]:
    """Return the trailers by which Argo CD's source hydrator links a rendered commit to its source."""
    return {
        "Argocd-reference-commit-repourl": source.url,
        "Argocd-reference-commit-author": _mailbox(source.author),
        "Argocd-reference-commit-date": source.date,
        "Argocd-reference-commit-subject": source.subject,
        "Argocd-reference-commit-body": json.dumps(source.body) if source.body else "",
        "Argocd-reference-commit-sha": source.sha,
    }


def _mailbox(author: str) -> str:
    """Return the author as an RFC 5322 mailbox, as Argo CD requires: a name with punctuation is quoted."""
    name, _space, address = author.rpartition(" ")
    quoted = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{quoted}" {address}' if re.search(r'[][()<>@,:;".\\]', name) else author


def _one_line(text: str) -> str:
    return " ".join(text.split())
