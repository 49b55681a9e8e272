"""Where a commit says it comes from."""

from __future__ import annotations

import pytest

from ftgen.diagnostics import Rejected
from ftgen.remote.gitops import Provenance, source_of
from ftgen.remote.gitops.source import message


@pytest.fixture
def source(checkout, git):
    git(checkout, "reset", "--quiet", "--hard")
    (checkout / "untracked.txt").unlink()
    return checkout


def test_the_checked_out_commit_is_the_source(source, git):
    git(source, "remote", "add", "origin", "https://ada:s3cret@git.example.com/conf.git")
    told = source_of(source)
    assert told is not None
    assert told.sha == git(source, "rev-parse", "HEAD")
    assert (told.author, told.subject, told.body) == ("Ada <ada@example.com>", "first", "")
    assert told.url == "https://git.example.com/conf.git"
    assert not told.dirty
    assert not told.detached


def test_no_secret_of_its_message_is_told(source, git):
    said = ["Use HF_TOKEN=Xk29fQpl88zz", "", "curl -u ada:Xk29fQpl88zz https://example.com", "PGPASSWORD: Xk29fQpl88zz"]
    git(source, "commit", "--quiet", "--allow-empty", "--message", "\n".join(said))
    git(source, "remote", "add", "origin", "https://git.example.com/conf.git?private_token=Xk29fQpl88zz")
    told = source_of(source)
    assert told is not None
    assert told.subject == "Use HF_TOKEN=************"
    assert told.body.count("*" * 12) == 2
    assert "Xk29" not in message("ftgen", Provenance("0.1.0", "", told), [], [])


def test_a_message_without_a_secret_is_told_as_it_is(source, git):
    said = "Train with max_tokens=512\n\nSee cluster.git.secret=git-credentials, and 5d41402abc4b2a76b9719d911017c592."
    git(source, "commit", "--quiet", "--allow-empty", "--message", said)
    told = source_of(source)
    assert told is not None
    assert f"{told.subject}\n\n{told.body}" == said


def test_a_folder_below_is_of_the_same_source(source, git):
    (source / "deep").mkdir()
    told = source_of(source / "deep")
    assert told is not None
    assert told.sha == git(source, "rev-parse", "HEAD")


def test_an_edited_file_makes_it_dirty(source):
    (source / "README.md").write_text("edited")
    assert source_of(source).dirty


def test_an_untracked_output_does_not(source):
    (source / "out").mkdir()
    (source / "out" / "x.yaml").write_text("")
    assert not source_of(source).dirty


@pytest.mark.parametrize("folder", ["conf", "overlays"])
def test_an_untracked_option_does(source, folder):
    (source / folder).mkdir()
    (source / folder / "x.yaml").write_text("")
    assert source_of(source).dirty


def test_a_detached_head_is_told(source, git):
    git(source, "checkout", "--quiet", "--detach")
    assert source_of(source).detached


def test_a_linked_work_tree_is_a_source(source, git, tmp_path):
    git(source, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    assert source_of(tmp_path / "side").sha == git(source, "rev-parse", "HEAD")


def test_outside_a_repository_there_is_none(tmp_path):
    assert source_of(tmp_path) is None


@pytest.mark.parametrize("broken", ["refs/heads/main", "config", "object"])
def test_a_repository_that_git_cannot_read_is_refused(source, git, broken):
    """Without its commit, nobody would ask whether the checkout has changes."""
    sha = git(source, "rev-parse", "HEAD")
    file = source / ".git" / (f"objects/{sha[:2]}/{sha[2:]}" if broken == "object" else broken)
    file.chmod(0o600)
    file.write_text("[", encoding="utf-8")
    with pytest.raises(Rejected) as rejected:
        source_of(source)
    (problem,) = rejected.value.diagnostics
    assert problem.code == "FT521"
    assert "cannot tell which commit" in problem.headline or broken == "config"


def test_before_the_first_commit_there_is_none(tmp_path, git):
    git(tmp_path, "init", "--quiet")
    assert source_of(tmp_path) is None


@pytest.mark.parametrize(("length", "told"), [(4096, "w" * 4096), (4097, "w" * 4095 + "…")])
def test_a_message_is_repeated_as_far_as_somebody_reads_it(source, git, tmp_path, length, told):
    (tmp_path / "message").write_text(f"{'w' * length}\n\n{'w' * length}\n")
    git(source, "commit", "--quiet", "--allow-empty", "--file", str(tmp_path / "message"))
    found = source_of(source)
    assert (found.subject, found.body) == (told, told)


def test_a_commit_that_fills_the_memory_is_refused(source, git, tmp_path):
    (tmp_path / "message").write_text("word " * (1 << 20))
    made = git(source, "commit-tree", "-F", str(tmp_path / "message"), "HEAD^{tree}")
    git(source, "update-ref", "HEAD", made)
    with pytest.raises(Rejected) as rejected:
        source_of(source)
    assert "holds more than 4 MiB" in rejected.value.diagnostics[0].headline
