"""Where a commit comes from: the configuration's own repository, and what the commit says of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftgen import files
from ftgen.gitops.address import git_folder, refuse_endless, without_credentials
from ftgen.gitops.git import Git

_FIELDS = ("%H", "%an <%ae>", "%cI", "%s", "%b")
_MOST_NAMED = 50


@dataclass(frozen=True, slots=True)
class Source:
    """A commit of the configuration.

    Attributes:
        sha: its id.
        author: `name <mail>`.
        date: its committer's date, ISO 8601; published commits take it over, so that publishing the same
            again gives the same commit id.
        subject: first line of its message.
        body: the rest of its message.
        url: where it was cloned from, without credentials; may be empty.
        dirty: whether files differ from it.
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


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a published commit says of its making.

    Attributes:
        version: release of ftgen.
        config_sha256: digest over the composed configurations, in hex.
        source: see `Source`; None where the configuration is in no repository.
    """

    version: str
    config_sha256: str
    source: Source | None = None


def source_of(folder: Path) -> Source | None:
    """The commit that `folder` has checked out, or None outside a repository or before its first commit.

    Untracked files count as a difference below `conf/` and `overlays/`, where they would be read.

    Raises:
        Rejected: FT521, git could not read the repository without harm.
    """
    top = next((place for place in (folder, *folder.parents) if os.path.lexists(place / ".git")), None)
    if top is None:
        return None
    git = _checkout(top)
    refuse_endless(_settings_of_git(top, folder))
    if git is None:
        return None
    told = git.maybe("log", "-1", f"--format={'%x00'.join(_FIELDS)}").split("\0")
    if len(told) != len(_FIELDS):
        return None
    url = without_credentials(git.maybe("config", "--get", "remote.origin.url"))
    detached = not git.maybe("symbolic-ref", "--quiet", "HEAD")
    sha, author, date, subject, body = told
    dirty = _is_dirty(git, top, folder)
    return Source(sha, author, date, subject, body.strip(), url, dirty=dirty, detached=detached)


def _settings_of_git(top: Path, folder: Path) -> Iterator[tuple[Path, int]]:
    """The files of a work tree that say what git ignores and filters, where the configuration is concerned."""
    places = [place for place in (folder, *folder.parents) if place.is_relative_to(top)]
    places += [Path(place) for name in ("conf", "overlays") for place, _, _ in os.walk(folder / name)]
    yield from ((place / name, files.LARGEST) for place in places for name in (".gitattributes", ".gitignore"))


def _checkout(top: Path) -> Git | None:
    git = git_folder(top / ".git")
    return Git(git, {"core.quotePath": "false"}, {"GIT_WORK_TREE": str(top)}) if git else None


def _is_dirty(git: Git, top: Path, folder: Path) -> bool:
    quiet = Git(git.folder, {**git.settings, **_unfiltered(git)}, git.env)
    # Submodules have configurations of their own, which name programs too.
    if quiet.maybe("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty"):
        return True
    own = [str((folder / name).relative_to(top)) for name in ("conf", "overlays") if (folder / name).is_dir()]
    command = ("-C", str(top), "ls-files", "--others", "--exclude-standard", "--", *own)
    return bool(own) and bool(git.maybe(*command))


def _unfiltered(git: Git) -> dict[str, str]:
    """Filters that the repository's own configuration names, taken away; the user's own stay."""
    asked = (
        "config",
        "--show-scope",
        "--name-only",
        "--null",
        "--get-regexp",
        r"^filter\..*\.(clean|process|required)$",
    )
    told = git.maybe(*asked).split("\0")
    own = [key for scope, key in zip(told[::2], told[1::2], strict=False) if scope in {"local", "worktree"}]
    return {key: "false" if key.endswith(".required") else "" for key in own}


def message(subject: str, provenance: Provenance, folders: Sequence[str], names: Sequence[str]) -> str:
    """A commit message: one line, then trailers for programs, Argo CD's own among them."""
    named = " ".join(names[:_MOST_NAMED]) + (f" +{len(names) - _MOST_NAMED}" if len(names) > _MOST_NAMED else "")
    trailers = {
        "Ftgen-Version": provenance.version,
        "Ftgen-Config-Sha256": provenance.config_sha256,
        "Ftgen-Sweep": " ".join(folders),
        "Ftgen-Runs": named,
        "Ftgen-Source-Modified": "true" if provenance.source and provenance.source.dirty else "",
        **(_reference(provenance.source) if provenance.source else {}),
    }
    lines = [f"{key}: {_one_line(value)}" for key, value in trailers.items() if value]
    return "\n".join([_one_line(subject), "", *lines]) + "\n"


def _reference(source: Source) -> dict[str, str]:
    """The trailers by which Argo CD's source hydrator links a rendered commit to its source."""
    return {
        "Argocd-reference-commit-repourl": source.url,
        "Argocd-reference-commit-author": _mailbox(source.author),
        "Argocd-reference-commit-date": source.date,
        "Argocd-reference-commit-subject": source.subject,
        "Argocd-reference-commit-body": json.dumps(source.body) if source.body else "",
        "Argocd-reference-commit-sha": source.sha,
    }


def _mailbox(author: str) -> str:
    """As RFC 5322 has it, which Argo CD asks for: a name with punctuation is quoted."""
    name, _space, address = author.rpartition(" ")
    quoted = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{quoted}" {address}' if re.search(r'[][()<>@,:;".\\]', name) else author


def _one_line(text: str) -> str:
    return " ".join(text.split())
