"""A write that is interrupted: at every step the folder is the old tree or becomes the new one."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ftgen.diagnostics import Diagnostic, Rejected
from ftgen.output.tree import Run, WriteOptions, apply, plan_write, read_lock, recover

# What the interpreter reports of every change to a file system, before it happens.
STEPS = 60
"""More than one write of the trees below takes."""

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree"}


def is_change(event: str, args: tuple[object, ...]) -> bool:
    if event == "open":
        return isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in CHANGES


def is_replacement(event: str, args: tuple[object, ...]) -> bool:
    """Whether a staged file is about to be put in place: the journal is written by then."""
    return event == "os.rename" and str(args[0]).isdigit()


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


def interrupted(
    act: Callable[[], None],
    step: int,
    blow: Callable[[], None],
    counts: Callable[[str, tuple[object, ...]], bool] = is_change,
) -> int:
    """Do `act` in a child in which the event number `step` of those that count meets `blow`."""

    def child() -> None:
        left = step

        def hook(event: str, args: tuple[object, ...]) -> None:
            nonlocal left
            if left >= 0 and counts(event, args):
                left -= 1
                if left == -1:
                    blow()

        sys.addaudithook(hook)
        act()

    return forked(child)


def half_written(out: Path, *runs: Run) -> None:
    """Leave a tree as a killed write does, some files replaced and the journal in place."""
    assert os.WTERMSIG(interrupted(lambda: render(out, *runs), 2, kill, is_replacement)) == signal.SIGKILL
    assert (out / ".ftgen-stage").is_dir()


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
        status = interrupted(lambda out=out: render(out, *new), step, kill)
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
        half_written(out, *new)
        finished = interrupted(lambda out=out: recover(out), step, kill) == 0
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
        status = interrupted(lambda out=out: render(out, *new), step, disk_full)
        assert os.WEXITSTATUS(status) in {0, 18}
        assert visible(snapshot(out)) == (before if status else after)
        rejected += bool(status)
        render(out, *new)
        assert snapshot(out) == after
    assert rejected > 10


def test_a_first_render_that_fails_leaves_no_folder(tmp_path, make_run):
    out = tmp_path / "deep" / "out"
    failed = 0
    for step in range(STEPS):
        if interrupted(lambda: render(out, make_run()), step, disk_full):
            assert not (tmp_path / "deep").exists()
            failed += 1
        shutil.rmtree(tmp_path / "deep", ignore_errors=True)
    assert failed > 5


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
    half_written(out, *new)
    edited = out / "b/job-b-1a2b3c4d.yaml"
    edited.write_text("edited")
    with pytest.raises(Rejected, match="edited after"):
        render(out, *new)
    assert edited.read_text() == "edited"


def test_staged_files_have_no_name_that_a_reconciler_reads(tmp_path, trees):
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    half_written(out, *new)
    staged = list((out / ".ftgen-stage").iterdir())
    assert staged
    assert not [path for path in staged if path.suffix in {".yaml", ".yml", ".json", ".jsonnet"}]


def test_the_index_of_a_recovered_tree_reads(tmp_path, trees):
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    half_written(out, *new)
    recover(out)
    assert read_lock(out).files.keys() == {
        "a/job-a-22222222.yaml",
        "b/job-b-1a2b3c4d.yaml",
        "b/persistentvolumeclaim-models.yaml",
        "c/job-c-1a2b3c4d.yaml",
    }


# stages that came with a clone, and whatever else is somebody else's


def refused(out: Path, act: Callable[..., object] = render) -> Diagnostic:
    with pytest.raises(Rejected) as rejected:
        act(out)
    (problem,) = rejected.value.diagnostics
    return problem


def test_a_stage_that_came_with_a_clone_is_never_used(tmp_path, make_run, snapshot):
    """A link that one step puts in place would lead the next one out of the tree."""
    out, victim = tmp_path / "out", tmp_path / "victim"
    victim.mkdir()
    (victim / "replaced").write_text("kept\n")
    (victim / "removed").write_text("kept\n")
    render(out, make_run())
    place = out / ".ftgen-stage"
    place.mkdir()
    (place / "0").symlink_to(victim)
    (place / "1").write_text("theirs\n")
    os.mkfifo(place / "2")
    (place / "3").mkdir()
    rows = [["x/d", "0", None, None], ["x/d/replaced", "1", None, None], ["x/d/removed", "", None, None]]
    (place / "journal").write_text(json.dumps(rows))
    staged = sorted(path.name for path in place.iterdir())
    before = snapshot(victim), sorted(map(str, out.rglob("*")))
    for act in (render, recover):
        problem = refused(out, act)
        assert (problem.code, f"rm -r {place}" in problem.help) == ("FT514", True)
    assert (snapshot(victim), sorted(map(str, out.rglob("*")))) == before
    assert sorted(path.name for path in place.iterdir()) == staged


@pytest.mark.parametrize(
    "make", [lambda p, t: p.symlink_to(t), lambda p, _: p.write_text(""), lambda p, _: os.mkfifo(p)]
)
def test_a_stage_that_is_no_folder_is_refused(tmp_path, make_run, snapshot, make):
    out, victim = tmp_path / "out", tmp_path / "victim"
    victim.mkdir()
    out.mkdir()
    make(out / ".ftgen-stage", victim)
    assert refused(out, lambda out: render(out, make_run())).code == "FT514"
    assert snapshot(victim) == {}


def test_an_empty_stage_is_no_hindrance(tmp_path, make_run):
    (tmp_path / "out/.ftgen-stage").mkdir(parents=True)
    render(tmp_path / "out", make_run())
    assert not (tmp_path / "out/.ftgen-stage").exists()


def test_a_copy_of_a_half_written_tree_is_refused_and_the_tree_itself_finished(tmp_path, trees, snapshot):
    old, new, _before, after = trees
    out, copy = tmp_path / "out", tmp_path / "copy"
    render(out, *old)
    half_written(out, *new)
    shutil.copytree(out, copy)
    there = snapshot(copy)
    assert refused(copy, recover).code == "FT514"
    assert snapshot(copy) == there
    recover(out)
    assert snapshot(out) == after


def test_a_stage_that_was_replaced_by_another_is_refused(tmp_path, trees, snapshot):
    """A clone at the same path, after an interrupted write there."""
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    half_written(out, *new)
    (out / ".ftgen-stage").rename(tmp_path / "elsewhere")
    shutil.copytree(tmp_path / "elsewhere", out / ".ftgen-stage")
    there = snapshot(out)
    assert refused(out).code == "FT514"
    assert snapshot(out) == there


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/dev/zero"), lambda p: p.write_text("theirs"), os.mkfifo])
def test_a_staged_file_that_was_exchanged_is_not_put_in_place(tmp_path, trees, snapshot, make):
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    half_written(out, *new)
    staged = max((out / ".ftgen-stage").glob("[0-9]*"))
    staged.unlink()
    make(staged)
    there = visible(snapshot(out))
    assert refused(out).code == "FT514"
    assert visible(snapshot(out)) == there


def test_a_half_written_tree_of_another_machine_is_refused(tmp_path, trees, monkeypatch):
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    half_written(out, *new)
    monkeypatch.setattr("ftgen.output.tree.journal._machine", lambda: b"another")
    assert refused(out, recover).code == "FT514"


def test_giving_a_foreign_stage_up_is_enough(tmp_path, trees, snapshot):
    old, new, _before, after = trees
    out, copy = tmp_path / "out", tmp_path / "copy"
    render(out, *old)
    half_written(out, *new)
    shutil.copytree(out, copy)
    shutil.rmtree(copy / ".ftgen-stage")
    apply(plan_write(copy, new, WriteOptions(adopt=True, overwrite=True)))
    assert snapshot(copy) == after


# where the journal lies


@pytest.fixture
def state(tmp_path, monkeypatch) -> Path:
    """The folder of the journals, and a place for temporary files beside it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path / "state" / "ftgen"


def test_nothing_is_left_of_a_finished_write(tmp_path, state, make_run):
    render(tmp_path / "out", make_run())
    assert list(state.iterdir()) == []
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_state_folder_that_others_write_to_is_not_trusted(tmp_path, state, trees, snapshot):
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    half_written(out, *new)
    state.chmod(0o777)
    assert refused(out, recover).code == "FT514"


@pytest.mark.skipif(os.getuid() != 0, reason="gives a folder to another user")
def test_a_state_folder_of_another_user_is_not_trusted(tmp_path, state, trees):
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    half_written(out, *new)
    os.chown(state, 65534, 65534)
    assert refused(out, recover).code == "FT514"


@pytest.mark.parametrize(
    "content", ["", "{", "null", "[1]", "[1, [[1]]]", "[" * 100_000, '{"a": 1}', "\ud800", "1e999"]
)
def test_a_damaged_journal_is_none(tmp_path, state, trees, content):
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    half_written(out, *new)
    (journal,) = state.iterdir()
    journal.write_text(content, encoding="utf-8", errors="surrogatepass")
    assert refused(out, recover).code == "FT514"


def test_a_journal_of_this_stage_with_a_path_that_is_no_text_is_none(tmp_path, state, trees):
    old, new, _before, _after = trees
    out = tmp_path / "out"
    render(out, *old)
    half_written(out, *new)
    (journal,) = state.iterdir()
    stage, _steps = json.loads(journal.read_text())
    journal.write_text(json.dumps([stage, [[5, "", None, None]]]))
    assert refused(out, recover).code == "FT514"


def test_without_a_home_the_journal_lies_among_temporary_files(tmp_path, state, trees, snapshot, monkeypatch):
    old, new, _before, after = trees
    out = tmp_path / "out"
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    render(out, *old)
    half_written(out, *new)
    assert list((tmp_path / "tmp" / f"ftgen-{os.getuid()}").iterdir())
    recover(out)
    assert snapshot(out) == after


def test_without_any_place_for_a_journal_nothing_is_written(tmp_path, state, make_run):
    state.parent.write_text("no folder")
    (tmp_path / "tmp").rmdir()
    (tmp_path / "tmp").write_text("no folder")
    problem = refused(tmp_path / "out", lambda out: render(out, make_run()))
    assert (problem.code, "XDG_STATE_HOME" in problem.help) == ("FT515", True)
    assert not (tmp_path / "out").exists()


# links that are put in while a write is under way


def test_a_folder_that_becomes_a_link_at_any_step_leads_nowhere(tmp_path, trees, snapshot):
    old, new, before, after = trees
    victim = tmp_path / "victim"
    victim.mkdir()
    for name in ("job-b-1a2b3c4d.yaml", "persistentvolumeclaim-models.yaml"):
        (victim / name).write_bytes(before[f"b/{name}"])
    theirs = snapshot(victim)
    for step in range(STEPS):
        out, aside = tmp_path / f"out{step}", tmp_path / f"aside{step}"
        render(out, *old)

        def swap(out: Path = out, aside: Path = aside) -> None:
            (out / "b").rename(aside)
            (out / "b").symlink_to(victim)

        status = interrupted(lambda out=out: render(out, *new), step, swap)
        assert os.WEXITSTATUS(status) in {0, 11, 18}
        assert snapshot(victim) == theirs
        if not (out / "b").is_symlink():
            break
        (out / "b").unlink()
        aside.rename(out / "b")
        assert visible(snapshot(out)) in (before, after)
    else:
        pytest.fail("a write takes more steps")


def test_a_folder_that_becomes_a_link_between_plan_and_apply_is_told(tmp_path, make_run, snapshot):
    out, victim = tmp_path / "out", tmp_path / "victim"
    render(out, make_run())
    shutil.copytree(out / "sft", victim)
    theirs = snapshot(victim)
    plan = plan_write(out, [make_run(note="second")])
    shutil.rmtree(out / "sft")
    (out / "sft").symlink_to(victim)
    with pytest.raises(Rejected) as rejected:
        apply(plan)
    assert [problem.code for problem in rejected.value.diagnostics] == ["FT501"]
    assert snapshot(victim) == theirs
    assert not (out / ".ftgen-stage").exists()


@pytest.mark.parametrize("deep", [1, 2, 3])
def test_no_link_is_followed_at_any_depth(tmp_path, deep, snapshot):
    """Not even one that stays inside the tree: what it leads to may change."""
    out, names = tmp_path / "out", ["a", "b", "c", "job.yaml"]
    (out / "real" / "a/b/c").mkdir(parents=True)
    link = out.joinpath(*names[:deep])
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(out / "real")
    run = Run("a", "a-1", "a/", {"/".join(names): b"x: 1\n"})
    with pytest.raises(Rejected) as rejected:
        apply(plan_write(out, [run], WriteOptions(adopt=True, overwrite=True)))
    assert [problem.code for problem in rejected.value.diagnostics] == ["FT501"]
    assert not [path for path in (out / "real").rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "socket", "large"])
@pytest.mark.parametrize("name", ["sft/job-sft-1a2b3c4d.yaml", "ftgen.lock"])
def test_what_is_no_ordinary_file_is_told_and_left(tmp_path, make_run, kind, name, monkeypatch):
    out = tmp_path / "out"
    place = out / name
    place.parent.mkdir(parents=True)
    monkeypatch.chdir(place.parent)
    match kind:
        case "link":
            place.symlink_to("/dev/zero")
        case "folder":
            place.mkdir()
        case "fifo":
            os.mkfifo(place)
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(place.name)
        case "large":
            with place.open("wb") as file:
                file.truncate(20 * 2**30)
    before = place.lstat()
    with pytest.raises(Rejected) as rejected:
        apply(plan_write(out, [make_run()], WriteOptions(adopt=True, overwrite=True)))
    assert [problem.code for problem in rejected.value.diagnostics] == ["FT502"]
    assert place.lstat() == before


def test_an_index_that_is_a_link_is_refused(tmp_path, make_run):
    out = tmp_path / "out"
    out.mkdir()
    (out / "ftgen.lock").symlink_to("/dev/zero")
    for act in (render, lambda *_: read_lock(out)):
        with pytest.raises(Rejected) as rejected:
            act(out, make_run())
        assert [problem.code for problem in rejected.value.diagnostics] == ["FT502"]
