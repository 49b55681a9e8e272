"""A write that is interrupted: at every step the folder is the old tree or becomes the new one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ftgen.diagnostics import Rejected
from ftgen.tree import Run, apply, plan_write, read_lock, recover

# What the interpreter reports of every change to a file system, before it happens.
STEPS = 40
"""More than one write of the trees below takes."""

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree"}


def is_change(event: str, args: tuple[object, ...], out: Path) -> bool:
    if event == "open":
        writes = isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return bool(writes) and str(args[0]).startswith(str(out))
    return event in CHANGES


def forked(act: Callable[[], None]) -> int:
    """The wait status of a child that does `act`; 0 when it finished."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except Rejected as rejected:
            os._exit(10 + int(rejected.diagnostics[0].code[-1]))
        except BaseException:  # noqa: BLE001 - a forked child must not return into pytest
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def interrupted(out: Path, act: Callable[[], None], step: int, blow: Callable[[], None]) -> int:
    """Do `act` in a child in which the change number `step` meets `blow`."""

    def child() -> None:
        left = step

        def hook(event: str, args: tuple[object, ...]) -> None:
            nonlocal left
            if is_change(event, args, out):
                left -= 1
                if left == -1:
                    blow()

        sys.addaudithook(hook)
        act()

    return forked(child)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def render(out: Path, *runs: Run) -> None:
    apply(plan_write(out, runs))


@pytest.fixture
def trees(tmp_path, make_run, snapshot):
    """An old tree in place, what renders the new one, and what both look like when whole."""
    old = [make_run("a", h8="11111111"), make_run("b", claim="1Gi")]
    new = [make_run("a", h8="22222222"), make_run("b", note="second", claim="2Gi"), make_run("c")]
    render(tmp_path / "whole", *old)
    before = snapshot(tmp_path / "whole")
    render(tmp_path / "whole", *new)
    return old, new, before, snapshot(tmp_path / "whole")


def visible(tree: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in tree.items() if not path.startswith(".ftgen-stage/")}


def test_a_kill_at_any_step_leaves_whole_files_and_the_next_run_finishes(tmp_path, trees, snapshot):
    old, new, before, after = trees
    ended_as = []
    for step in range(STEPS):
        out = tmp_path / f"out{step}"
        render(out, *old)
        status = interrupted(out, lambda out=out: render(out, *new), step, kill)
        for path, content in visible(snapshot(out)).items():
            assert content in {before.get(path), after.get(path)}
        recover(out)
        assert snapshot(out) in (before, after)
        ended_as.append(snapshot(out) == after)
        render(out, *new)
        assert snapshot(out) == after
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
    assert ended_as == sorted(ended_as)
    assert set(ended_as) == {False, True}


def test_a_kill_during_recovery_is_recovered_from(tmp_path, trees, snapshot):
    old, new, _before, after = trees
    finished = False
    for step in range(STEPS):
        out = tmp_path / f"out{step}"
        render(out, *old)
        interrupted(out, lambda out=out: render(out, *new), 16, kill)
        assert (out / ".ftgen-stage" / "journal").exists()
        finished = interrupted(out, lambda out=out: recover(out), step, kill) == 0
        recover(out)
        assert snapshot(out) == after
        if finished:
            break
    assert finished


def test_a_full_disk_at_any_step_leaves_one_whole_tree(tmp_path, trees, snapshot):
    old, new, before, after = trees
    rejected = 0
    for step in range(STEPS):
        out = tmp_path / f"out{step}"
        render(out, *old)
        status = interrupted(out, lambda out=out: render(out, *new), step, disk_full)
        assert os.WEXITSTATUS(status) in {0, 18}
        assert visible(snapshot(out)) == (before if status else after)
        rejected += bool(status)
        render(out, *new)
        assert snapshot(out) == after
    assert rejected > 10


def test_a_first_render_that_fails_leaves_no_folder(tmp_path, make_run):
    out = tmp_path / "deep" / "out"
    assert os.WEXITSTATUS(interrupted(out, lambda: render(out, make_run()), 4, disk_full)) == 18
    assert not (tmp_path / "deep").exists()


def test_a_real_write_error_is_told_and_the_tree_is_whole(tmp_path, trees, snapshot, make_run):
    old, _new, before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    large = Run("big", "big-1", "big/", {"big/a.yaml": b"x" * 100_000})

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        render(out, make_run("c"), large)

    assert os.WEXITSTATUS(forked(limited)) == 18
    assert snapshot(out) == before


def test_an_unwritable_folder_is_told(tmp_path, trees, snapshot, make_run):
    old, _new, before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    out.chmod(0o555)

    def unprivileged() -> None:
        if os.getuid() == 0:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
        render(out, make_run("c"))

    assert os.WEXITSTATUS(forked(unprivileged)) == 18
    out.chmod(0o755)
    assert snapshot(out) == before


def test_a_file_edited_after_the_interruption_is_not_lost(tmp_path, trees):
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    interrupted(out, lambda: render(out, *new), 16, kill)
    edited = out / "b/job-b-1a2b3c4d.yaml"
    edited.write_text("edited")
    with pytest.raises(Rejected, match="edited after"):
        render(out, *new)
    assert edited.read_text() == "edited"


def test_staged_files_have_no_name_that_a_reconciler_reads(tmp_path, trees):
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    interrupted(out, lambda: render(out, *new), 16, kill)
    staged = list((out / ".ftgen-stage").iterdir())
    assert staged
    assert not [path for path in staged if path.suffix in {".yaml", ".yml", ".json", ".jsonnet"}]


def test_the_index_of_a_recovered_tree_reads(tmp_path, trees):
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    interrupted(out, lambda: render(out, *new), 16, kill)
    recover(out)
    assert read_lock(out).files.keys() == {
        "a/job-a-22222222.yaml",
        "b/job-b-1a2b3c4d.yaml",
        "b/persistentvolumeclaim-models.yaml",
        "c/job-c-1a2b3c4d.yaml",
    }


# journals that came with a clone


def strange(out, journal):
    place = out / ".ftgen-stage"
    place.mkdir()
    (place / "0").write_text("theirs\n")
    (place / "journal").write_text(journal, encoding="latin-1")
    with pytest.raises(Rejected) as rejected:
        recover(out)
    (problem,) = rejected.value.diagnostics
    assert problem.code == "FT502"
    assert str(place) in problem.help
    with pytest.raises(Rejected):
        render(out)


THEIRS = hashlib.sha256(b"theirs\n").hexdigest()


@pytest.mark.parametrize(
    "row",
    [
        ["link/.profile", "0", None, THEIRS],
        ["link/kept", "", hashlib.sha256(b"kept\n").hexdigest(), None],
        ["../victim/kept", "", hashlib.sha256(b"kept\n").hexdigest(), None],
        ["taken", "../../victim/kept", None, hashlib.sha256(b"kept\n").hexdigest()],
        [".git/hooks/pre-commit", "0", None, THEIRS],
    ],
)
def test_a_journal_does_not_reach_outside_its_tree(tmp_path, make_run, snapshot, row):
    out, victim = tmp_path / "out", tmp_path / "victim"
    victim.mkdir()
    (victim / "kept").write_text("kept\n")
    render(out, make_run())
    (out / "link").symlink_to(victim)
    strange(out, json.dumps([row]))
    assert snapshot(victim) == {"kept": b"kept\n"}


@pytest.mark.parametrize("journal", ["", "{", "null", "[1]", "[[1]]", '[["a", "0", null]]', "[[1, 2, 3, 4]]", "\xff"])
def test_what_is_no_journal_is_refused(tmp_path, make_run, journal):
    render(tmp_path / "out", make_run())
    strange(tmp_path / "out", journal)


def test_nothing_is_staged_through_a_link(tmp_path, make_run, snapshot):
    out, victim = tmp_path / "out", tmp_path / "victim"
    victim.mkdir()
    out.mkdir()
    (out / ".ftgen-stage").symlink_to(victim)
    with pytest.raises(Rejected) as rejected:
        render(out, make_run())
    assert [problem.code for problem in rejected.value.diagnostics] == ["FT502"]
    assert snapshot(victim) == {}


def test_an_index_that_is_a_link_is_refused(tmp_path, make_run):
    out = tmp_path / "out"
    out.mkdir()
    (out / "ftgen.lock").symlink_to("/dev/zero")
    for act in (render, lambda *_: read_lock(out)):
        with pytest.raises(Rejected) as rejected:
            act(out, make_run())
        assert [problem.code for problem in rejected.value.diagnostics] == ["FT502"]
