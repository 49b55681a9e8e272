"""Commits asked of a git server, and servers that never answer."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from tests.locking.registry import Registry
from tests.scripts.gitserver import Forge

from ftgen.config.pins import Reference
from ftgen.diagnostics import Rejected
from ftgen.remote.locking import Answer, Registries, Unresolved, ask, repository, resolved
from ftgen.remote.locking.repository import Repositories


def outcome(url: str, revision: str = "") -> Answer | Unresolved:
    ((_, found),) = resolved([Reference("git", url, revision)], Registries())
    return found


@pytest.fixture
def tiny(forge: Forge) -> tuple[str, str]:
    """A repository's URL and its only commit."""
    return forge.create("Tiny"), forge.commit("Tiny", {"a": b"1"}, large={})


@pytest.mark.parametrize(
    "revision", ["", "HEAD", "main", "heads/main", "refs/heads/main", "refs/pr/3", "v1", "tags/v1"]
)
def test_every_name_that_a_fetch_takes(tiny: tuple[str, str], forge: Forge, revision: str) -> None:
    url, commit = tiny
    forge.git("Tiny", "update-ref", "refs/pr/3", commit)
    forge.git("Tiny", "tag", "-a", "-m", "x", "v1", commit)
    assert outcome(url, revision) == Answer(commit)


def test_a_branch_whose_name_ends_like_another(tiny: tuple[str, str], forge: Forge) -> None:
    url, commit = tiny
    forge.commit("Tiny", {"a": b"2"}, large={}, branch="feature/main")
    assert outcome(url, "main") == Answer(commit)
    forge.git("Tiny", "branch", "-D", "main")
    forge.git("Tiny", "symbolic-ref", "HEAD", "refs/heads/gone")
    assert isinstance(outcome(url, "main"), Unresolved)
    found = outcome(url)
    assert isinstance(found, Unresolved)
    assert "no default branch" in found.reason


@pytest.mark.parametrize("revision", ["*", "a..b", "x^{}", "@{1}", "-x", "--exec=touch x", "a\nb", "HEAD~1", "main:a"])
def test_what_is_no_name_is_not_asked(tiny: tuple[str, str], forge: Forge, revision: str) -> None:
    asked = len(forge.requests)
    found = outcome(tiny[0], revision)
    assert isinstance(found, Unresolved)
    assert "no name of a branch or a tag" in found.reason
    assert len(forge.requests) == asked


def test_a_commit_that_is_shortened(tiny: tuple[str, str]) -> None:
    found = outcome(tiny[0], tiny[1][:12])
    assert isinstance(found, Unresolved)
    assert "write the whole commit" in found.help


def test_without_a_login_nobody_is_asked_for_one(tiny: tuple[str, str], home: Path) -> None:
    config = (home / ".gitconfig").read_text()
    (home / ".gitconfig").write_text(config.partition("[credential]")[0])
    found = outcome(tiny[0])
    assert isinstance(found, Unresolved)
    assert "could not read Username" in found.reason


@pytest.mark.parametrize("url", ["ext::touch x", "fd::17", "file:///tmp/x", "/tmp/x", "FILE:///tmp/x"])
def test_no_program_and_no_folder_is_asked(home: Path, url: str) -> None:
    assert isinstance(outcome(url), Unresolved)


def test_a_password_in_an_address_is_not_told(home: Path) -> None:
    found = outcome("https://ada:s3cret@127.0.0.1:1/x")
    assert isinstance(found, Unresolved)
    assert "s3cret" not in found.reason + found.help


def test_without_git(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(Rejected):
        outcome("https://127.0.0.1:1/x")


def _git(home: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = home / "git"
    program.write_text(f'#!/bin/sh\ncase "$*" in *ls-remote*) {script};; esac\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{home}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    "script", ["printf 'x\\tHEAD\\n'", "printf 'HEAD\\n'", "printf '\\t\\n\\tHEAD'", "printf '\\377\\tHEAD'"]
)
def test_an_answer_that_is_none(home: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    _git(home, monkeypatch, script)
    assert isinstance(outcome("https://127.0.0.1:1/x"), Unresolved)


def test_a_git_server_that_says_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _git(home, monkeypatch, "sleep 30")
    monkeypatch.setattr(repository, "_SECONDS", 0.2)
    begin = time.monotonic()
    found = outcome("https://127.0.0.1:1/x")
    assert isinstance(found, Unresolved)
    assert "no answer came" in found.reason
    assert time.monotonic() - begin < 10


def test_a_registry_that_never_ends(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "_PATIENCE_S", 0.5)
    registry.answers["/v2/.*"] = lambda _: time.sleep(3)
    ((_, found),) = resolved([Reference("image", registry.image("a:1"))], Registries())
    assert isinstance(found, Unresolved)
    assert "no answer came" in found.reason


def test_one_failure_leaves_the_others(tiny: tuple[str, str], registry: Registry) -> None:
    pushed = registry.push("a:1")
    wanted = [
        Reference("image", registry.image("a:1")),
        Reference("image", registry.image("a:2")),
        Reference("git", tiny[0], "main"),
        Reference("git", tiny[0], "none"),
    ]
    found = dict(resolved(wanted, Registries()))
    assert [found[each] for each in wanted[::2]] == [Answer(pushed), Answer(tiny[1])]
    assert all(isinstance(found[each], Unresolved) for each in wanted[1::2])


def test_repositories_need_no_folder_of_their_own(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with Repositories.asked():
        assert list(tmp_path.glob("ftgen-git-*"))
    assert not list(tmp_path.glob("ftgen-git-*")), "what was made to ask from is gone"
