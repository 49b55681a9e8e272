"""Publishing to a remote: over file and http, against others, and against failure."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys

import pytest
from msgspec.structs import replace

from ftgen.diagnostics import Rejected
from ftgen.output.tree import parse_lock
from ftgen.remote.gitops import Result, publish, target_of


def to(repo, branch="main", path="training"):
    return target_of(str(repo), branch, path)


def refused(target, runs, provenance, **options):
    with pytest.raises(Rejected) as rejected:
        publish(target, runs, provenance, **options)
    (problem,) = rejected.value.diagnostics
    return problem


def history(git, repo, ref="main"):
    return git(repo, "log", "--format=%H", ref).splitlines()


def index(git, repo, path="training"):
    return parse_lock(git(repo, "show", f"main:{path}/ftgen.lock").encode())


# over http


def test_publishing_over_http_asks_for_a_password_and_pushes(bare, http, git, make_run, provenance):
    published = publish(to(http.url), [make_run()], provenance)
    assert published.result is Result.PUSHED
    assert git(bare, "rev-parse", "main") == published.commit
    assert publish(to(http.url), [make_run()], provenance).result is Result.UNCHANGED
    assert len(history(git, bare)) == 1


def test_a_wrong_password_is_told_and_not_shown(bare, http, make_run, provenance):
    problem = refused(to(http.url.replace("s3cret", "wr0ng")), [make_run()], provenance)
    assert problem.code == "FT525"
    assert "wr0ng" not in problem.headline + problem.help


def test_only_what_is_needed_is_fetched(bare, http, git, make_run, provenance):
    """A large file of somebody else is not downloaded, nor is history."""
    url = to(http.url)
    clone = bare.parent / "clone"
    git(bare.parent, "clone", "--quiet", str(bare), str(clone))
    for number in range(3):
        (clone / "large.bin").write_bytes(os.urandom(500_000))
        git(clone, "add", ".")
        git(clone, "commit", "--quiet", "-m", str(number))
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    http.requests.clear()
    assert publish(url, [make_run()], provenance).result is Result.PUSHED
    assert sum(size for _verb, size in http.requests) < 50_000
    assert len(history(git, bare)) == 4
    assert git(bare, "fsck", "--full", "--no-dangling") == ""
    assert publish(url, [make_run(note="second")], provenance).result is Result.PUSHED


def test_progress_is_told_in_words(http, make_run, provenance):
    told = []
    publish(to(http.url), [make_run()], provenance, progress=told.append)
    assert told == ["reading main", "writing 2 files", "updating main"]


def test_the_token_of_a_working_copy_is_used(bare, http, checkout, git, make_run, provenance):
    """CI checkouts keep their token in `http.extraHeader` of the local configuration, or of a file it includes."""
    plain = http.url.replace("ada:s3cret@", "")
    git(checkout, "remote", "add", "origin", plain)
    git(checkout, "push", "--quiet", http.url, "main")
    assert refused(to(checkout), [make_run()], provenance, push=True).code == "FT525"
    header = (f"http.{plain}.extraHeader", "Authorization: Basic YWRhOnMzY3JldA==")
    git(checkout, "config", *header)
    assert publish(to(checkout), [make_run()], provenance, push=True).result is Result.PUSHED
    unknown = refused(to(checkout), [make_run("b")], provenance, push=True)
    assert (unknown.code, "git fetch" in unknown.help) == ("FT526", True)
    git(checkout, "config", "--unset", header[0])
    git(checkout, "fetch", "--quiet", http.url, "+main:refs/remotes/origin/main")
    kept = checkout.parent / "kept.config"
    git(checkout, "config", "--file", str(kept), *header)
    git(checkout, "config", f"includeIf.gitdir:{checkout}/.git.path", str(kept))
    assert publish(to(checkout), [make_run("b")], provenance, push=True).result is Result.PUSHED


# from a working copy


def test_pushing_from_a_working_copy_leaves_it_alone(bare, checkout, git, make_run, provenance):
    git(checkout, "remote", "add", "origin", str(bare))
    git(checkout, "push", "--quiet", "-u", "origin", "main")
    before = git(checkout, "status", "--porcelain"), git(checkout, "rev-parse", "main")
    published = publish(to(checkout), [make_run()], provenance, push=True)
    assert published.result is Result.PUSHED
    assert (git(checkout, "status", "--porcelain"), git(checkout, "rev-parse", "main")) == before
    assert git(bare, "rev-parse", "main") == published.commit
    assert published.diagnostics == ()
    # A clone's configuration names the remote, so that the user is told where the commit went.
    assert published.summary.startswith(f"pushed {published.commit[:10]} to main of {bare}: +")


def test_where_a_commit_went_is_told_without_the_password(http, checkout, git, make_run, provenance):
    git(checkout, "remote", "add", "origin", http.url)
    published = publish(to(checkout, "runs"), [make_run()], provenance, push=True)
    assert published.remote.startswith("http://127.0.0.1:")
    assert published.remote in published.summary
    assert "s3cret" in http.url
    assert "s3cret" not in published.summary
    again = publish(to(checkout, "runs"), [make_run()], provenance, push=True)
    assert again.summary == f"unchanged: runs of {published.remote} has it all"


def test_local_commits_that_the_remote_lacks_are_not_skipped(bare, checkout, git, make_run, provenance):
    git(checkout, "remote", "add", "origin", str(bare))
    git(checkout, "push", "--quiet", "-u", "origin", "main")
    publish(to(checkout), [make_run("local")], provenance)
    problem = refused(to(checkout), [make_run()], provenance, push=True)
    assert problem.code == "FT526"
    git(checkout, "push", "--quiet", "origin", "main")
    assert publish(to(checkout), [make_run()], provenance, push=True).result is Result.PUSHED


def test_commits_that_another_remote_has_are_not_skipped(tmp_path, bare, checkout, git, make_run, provenance):
    fork = tmp_path / "fork.git"
    git(tmp_path, "init", "--quiet", "--bare", str(fork))
    for name, address in (("origin", fork), ("upstream", bare)):
        git(checkout, "remote", "add", name, str(address))
    git(checkout, "push", "--quiet", "-u", "upstream", "main")
    publish(to(checkout), [make_run("local")], provenance)
    git(checkout, "push", "--quiet", "origin", "main")
    problem = refused(to(checkout), [make_run()], provenance, push=True)
    assert problem.code == "FT526"
    assert "git push upstream main" in problem.help


def test_a_working_copy_behind_its_remote_pushes(tmp_path, bare, checkout, git, make_run, provenance):
    git(checkout, "remote", "add", "origin", str(bare))
    git(checkout, "push", "--quiet", "-u", "origin", "main")
    publish(to(f"file://{bare}"), [make_run("a")], provenance)
    publish(to(checkout), [make_run("b")], provenance, push=True)
    assert len(history(git, bare)) == 3


def test_a_working_copy_without_a_remote_is_told(checkout, make_run, provenance):
    assert refused(to(checkout), [make_run()], provenance, push=True).code == "FT521"


def test_a_shallow_clone_publishes(tmp_path, bare, git, make_run, provenance):
    for number in range(3):
        publish(to(bare), [make_run(f"run{number}")], provenance)
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{bare}", str(shallow))
    git(shallow, "branch", "gitops")
    published = publish(to(shallow, "gitops"), [make_run("more")], provenance)
    assert published.result is Result.COMMITTED
    assert git(shallow, "rev-list", "--count", "gitops") == "2"
    assert publish(to(shallow), [make_run("pushed")], provenance, push=True).result is Result.PUSHED
    assert len(history(git, bare)) == 4


def test_a_partial_clone_is_told_and_pushes(tmp_path, bare, git, make_run, provenance):
    git(bare, "config", "uploadpack.allowFilter", "true")
    publish(to(bare), [make_run("a")], provenance)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{bare}", str(clone))
    problem = refused(to(clone), [make_run("b")], provenance)
    assert problem.code == "FT521"
    assert "--push" in problem.help
    assert publish(to(clone), [make_run("b")], provenance, push=True).result is Result.PUSHED


def test_a_remote_of_the_longer_hash_is_pushed_to_from_a_clone(tmp_path, git, make_run, provenance):
    longer = tmp_path / "longer.git"
    git(tmp_path, "init", "--quiet", "--bare", "--object-format=sha256", "--initial-branch=main", str(longer))
    publish(to(longer), [make_run("a")], provenance)
    assert "clone" in refused(to(f"file://{longer}"), [make_run("b")], provenance).help
    git(tmp_path, "clone", "--quiet", str(longer), str(tmp_path / "clone"))
    assert publish(to(tmp_path / "clone"), [make_run("b")], provenance, push=True).result is Result.PUSHED


def test_a_git_that_dies_while_it_is_written_to_is_told(tmp_path, bare, make_run, provenance, monkeypatch):
    """As on a full disk; more than a pipe holds."""
    git, real = tmp_path / "bin" / "git", shutil.which("git")
    git.parent.mkdir()
    git.write_text(f'#!/bin/sh\ncase "$*" in *fast-import*) exit 1;; esac\nexec {real} "$@"\n')
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(git.parent), prepend=os.pathsep)
    problem = refused(to(bare), [make_run(f"r{number}") for number in range(300)], provenance)
    assert problem.code == "FT530"
    assert "disk" in problem.headline


def test_a_sweep_gets_a_branch_of_its_own(bare, git, make_run, provenance):
    url = to(f"file://{bare}")
    publish(url, [make_run("a")], provenance)
    published = publish(url, [make_run("b")], provenance, branch_per_sweep=True)
    assert published.branch == "ftgen/b"
    assert history(git, bare, "ftgen/b")[1:] == history(git, bare, "main")
    publish(url, [make_run("b", note="second")], provenance, branch_per_sweep=True)
    assert len(history(git, bare, "ftgen/b")) == 3


# refusals


def hook(bare, name, text):
    place = bare / "hooks" / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)


def test_a_protected_branch_is_told_with_what_the_server_says(bare, git, make_run, provenance, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    hook(bare, "pre-receive", "echo 'main is protected: ask Ada' >&2; exit 1")
    problem = refused(to(f"file://{bare}"), [make_run()], provenance)
    assert problem.code == "FT524"
    assert "ask Ada" in problem.headline
    assert git(bare, "branch", "--list") == ""


def test_a_remote_that_does_not_exist_is_told(tmp_path, make_run, provenance):
    assert refused(to(f"file://{tmp_path}/nothing.git"), [make_run()], provenance).code == "FT525"


def test_a_remote_that_goes_away_before_the_push_is_told(bare, http, git, make_run, provenance):
    http.before_push = lambda: setattr(http, "gone", True)
    assert refused(to(http.url), [make_run()], provenance).code == "FT525"
    assert git(bare, "branch", "--list") == ""


def test_a_push_whose_answer_is_lost_is_found_to_have_arrived(bare, http, git, make_run, provenance):
    http.cut_after_push = True
    said = []
    published = publish(to(http.url), [make_run()], provenance, progress=said.append)
    assert published.result is Result.PUSHED
    assert not any("try" in each for each in said)
    assert git(bare, "rev-parse", "main") == published.commit


# others write too


def test_a_branch_that_moved_is_built_upon_again(bare, http, git, make_run, provenance):
    others = iter([make_run("x"), make_run("y")])

    def interfere():
        for run in others:
            publish(to(bare), [run], provenance)
            return

    publish(to(bare), [make_run("w")], provenance)
    http.before_push = interfere
    said = []
    publish(to(http.url), [make_run("z")], provenance, progress=said.append)
    assert [each for each in said if "try" in each] == ["main moved; try 2", "main moved; try 3"]
    assert {entry.run for entry in index(git, bare).files.values()} == {"w/", "x/", "y/", "z/"}
    assert len(history(git, bare)) == 4


def test_somebody_faster_ten_times_in_a_row_is_told(bare, http, make_run, provenance, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    numbers = iter(range(100))
    http.before_push = lambda: publish(to(bare), [make_run(f"other{next(numbers)}")], provenance)
    problem = refused(to(http.url), [make_run()], provenance)
    assert problem.code == "FT528"
    assert next(numbers) == 10


def test_a_conflict_over_the_same_run_is_not_merged(bare, http, make_run, provenance):
    first = iter([make_run(h8="22222222")])
    http.before_push = lambda: [publish(to(bare), [run], provenance) for run in first]
    assert refused(to(http.url), [make_run(h8="11111111")], provenance).code == "FT506"


def test_the_same_run_published_twice_at_once_is_one_commit(bare, http, git, make_run, provenance):
    later = replace(provenance, source=replace(provenance.source, date="2026-01-02T03:04:06+00:00"))
    for other in (provenance, later):
        git(bare, "update-ref", "-d", "refs/heads/main")
        http.before_push = lambda other=other: publish(to(bare), [make_run()], other)
        publish(to(http.url), [make_run()], provenance)
        assert len(history(git, bare)) == 1
        assert len(index(git, bare).files) == 1


def write_fifty(url, number, make_run, provenance):
    publish(to(url), [make_run(f"w{number}", label=str(point)) for point in range(50)], provenance)


def test_ten_writers_of_fifty_runs_all_land(bare, git, make_run, provenance):
    context = multiprocessing.get_context("fork")
    url = f"file://{bare}"
    arguments = [(url, number, make_run, provenance) for number in range(10)]
    writers = [context.Process(target=write_fifty, args=each) for each in arguments]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 10
    assert len(index(git, bare).files) == 500
    assert len(history(git, bare)) == 10
    assert git(bare, "fsck", "--full", "--no-dangling") == ""


# interruption


def killed_before_process(number, act):
    """The wait status of a child that is killed when it is about to start its `number`th process."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    left = number

    def blow(event, _arguments):
        nonlocal left
        if event == "subprocess.Popen":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(blow)
    try:
        act()
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize("push", [False, True])
def test_a_kill_at_any_step_leaves_the_old_commit_or_the_new_one(
    tmp_path, monkeypatch, bare, git, make_run, provenance, push
):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    target = to(f"file://{bare}") if push else to(bare)
    publish(target, [make_run("a")], provenance)
    before = git(bare, "rev-parse", "main")
    seen = set()
    for number in range(40):
        git(bare, "update-ref", "refs/heads/main", before)
        status = killed_before_process(number, lambda: publish(target, [make_run("a"), make_run("b")], provenance))
        tip = git(bare, "rev-parse", "main")
        finished = publish(target, [make_run("a"), make_run("b")], provenance)
        assert tip in {before, finished.commit}
        assert git(bare, "rev-parse", "main~1") == before
        seen.add(tip)
        if status == 0:
            break
    assert seen == {before, finished.commit}
