"""Rendering into a folder: what is written, what is left alone, and what is refused."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from ftgen.diagnostics import Rejected
from ftgen.output.tree import (
    FileChange,
    Lock,
    OnImmutableChange,
    Outcome,
    Run,
    State,
    WriteOptions,
    apply,
    assigned_name,
    discard,
    dump_lock,
    plan_copy,
    plan_edit,
    plan_write,
    read_lock,
    under_name,
)
from ftgen.output.tree.walk import Walk
from ftgen.remote.gitops import archiving, rerunning, stopping


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def write(out, *runs, **options) -> Outcome:
    return apply(plan_write(out, iter(runs), WriteOptions(**options)))


def refused(out, *runs, **options):
    with pytest.raises(Rejected) as rejected:
        write(out, *runs, **options)
    return rejected.value.diagnostics


def job_file(run: Run) -> str:
    return next(iter(run.files))


# what is written


def test_a_first_render_writes_the_files_and_the_index(out, make_run, snapshot):
    run = make_run(claim="1Gi")
    outcome = write(out, run)
    assert snapshot(out).keys() == {*run.files, "ftgen.lock"}
    assert set(outcome.changes.values()) == {FileChange.ADDED}
    entry = read_lock(out).files[job_file(run)]
    assert entry.object == "batch.volcano.sh/v1alpha1 Job training/sft-1a2b3c4d"
    assert (entry.run, entry.name, entry.state) == ("sft/", "sft-1a2b3c4d", State.ACTIVE)


def test_a_second_render_touches_nothing(out, make_run):
    write(out, make_run())
    before = {path: path.stat() for path in out.rglob("*")} | {out: out.stat()}
    outcome = write(out, make_run())
    assert set(outcome.changes.values()) == {FileChange.UNCHANGED}
    after = {path: path.stat() for path in out.rglob("*")}
    assert {p: (s.st_ino, s.st_mtime_ns) for p, s in before.items() if p != out} == {
        p: (s.st_ino, s.st_mtime_ns) for p, s in after.items()
    }


def test_only_the_file_that_changes_is_rewritten(out, make_run):
    write(out, make_run("a"), make_run("b"))
    other = out / job_file(make_run("b"))
    before = other.stat().st_mtime_ns
    outcome = write(out, make_run("a", note="second"), make_run("b"))
    assert outcome.changes[job_file(make_run("a"))] is FileChange.CHANGED
    assert b"second" in (out / job_file(make_run("a"))).read_bytes()
    assert other.stat().st_mtime_ns == before


def test_rendering_one_run_leaves_the_files_of_the_others(out, make_run, snapshot):
    write(out, make_run("a"))
    write(out, make_run("b"))
    assert {job_file(make_run("a")), job_file(make_run("b"))} <= snapshot(out).keys()


def test_in_a_local_folder_a_new_hash_replaces_the_previous_file_of_the_run(out, make_run, snapshot):
    write(out, make_run(h8="11111111"))
    outcome = write(out, make_run(h8="22222222"))
    assert snapshot(out).keys() == {"sft/job-sft-22222222.yaml", "ftgen.lock"}
    assert outcome.renamed == (("sft/", "sft-11111111", "sft-22222222"),)
    assert assigned_name(read_lock(out), "sft/") == "sft-22222222"


def test_where_jobs_run_a_new_hash_is_refused(out, make_run, snapshot):
    write(out, make_run(h8="11111111"))
    before = snapshot(out)
    (problem,) = refused(out, make_run(h8="22222222"), on_immutable_change=OnImmutableChange.REFUSE)
    assert problem.code == "FT506"
    assert "--new-run" in problem.help
    assert snapshot(out) == before


def test_a_new_run_beside_the_old_one_orphans_the_old_file(out, make_run):
    write(out, make_run(h8="11111111"))
    write(out, make_run(h8="22222222"), on_immutable_change=OnImmutableChange.KEEP)
    states = {path: entry.state for path, entry in read_lock(out).files.items()}
    assert states == {
        "sft/job-sft-11111111.yaml": State.ORPHANED,
        "sft/job-sft-22222222.yaml": State.ACTIVE,
    }


def test_going_back_to_the_old_hash_makes_the_old_file_active_again(out, make_run):
    for h8 in ("11111111", "22222222", "11111111"):
        write(out, make_run(h8=h8), on_immutable_change=OnImmutableChange.KEEP)
    states = {path: entry.state for path, entry in read_lock(out).files.items()}
    assert states["sft/job-sft-11111111.yaml"] is State.ACTIVE
    assert states["sft/job-sft-22222222.yaml"] is State.ORPHANED


def test_a_run_keeps_its_issued_name_when_only_the_hash_rule_changed(out, make_run, snapshot):
    write(out, make_run(h8="11111111"))
    write(out, make_run(h8="22222222"), same_run=lambda _old, _new: True)
    assert snapshot(out).keys() == {"sft/job-sft-11111111.yaml", "ftgen.lock"}


def test_a_run_that_differs_in_nothing_but_its_name_keeps_the_issued_one(out, make_run, snapshot):
    run = make_run()
    write(out, run)
    before = snapshot(out)
    write(out, under_name(run, "sft-99999999"))
    assert snapshot(out) == before


def test_runs_without_a_final_name_overwrite_their_one_file(out):
    def run(note):
        return Run("sft", "", "sft/", {"sft/job-sft.yaml": f"kind: Job\nnote: {note}\n".encode()})

    write(out, run("a"))
    assert write(out, run("b")).changes == {"sft/job-sft.yaml": FileChange.CHANGED}


def test_a_file_that_several_runs_share_belongs_to_their_folder(out, make_run):
    write(out, make_run(label="a", claim="1Gi"), make_run(label="b", claim="1Gi"))
    claim = "sft/persistentvolumeclaim-models.yaml"
    assert read_lock(out).files[claim].run == "sft/*"
    write(out, make_run(label="a", h8="22222222"))
    assert (out / claim).exists()


CLAIM = "sft/persistentvolumeclaim-models.yaml"


@pytest.mark.parametrize("taker_first", [True, False])
@pytest.mark.parametrize("rule", OnImmutableChange)
def test_a_claim_that_one_point_gives_up_and_another_takes_over_stays(out, make_run, taker_first, rule):
    write(out, make_run(label="a"), make_run(label="b", claim="1Gi"))
    taker, giver = make_run(label="a", claim="1Gi"), make_run(label="b")
    outcome = write(out, *((taker, giver) if taker_first else (giver, taker)), on_immutable_change=rule)
    assert outcome.changes[CLAIM] is FileChange.UNCHANGED
    assert (out / CLAIM).exists()
    entry = read_lock(out).files[CLAIM]
    assert (entry.state, entry.run) == (State.ACTIVE, "sft/*")


@pytest.mark.parametrize("taker_first", [True, False])
def test_a_claim_that_is_taken_over_is_written_again_where_it_is_missing(out, make_run, taker_first):
    write(out, make_run(label="a"), make_run(label="b", claim="1Gi"))
    (out / CLAIM).unlink()
    taker, giver = make_run(label="a", claim="1Gi"), make_run(label="b")
    outcome = write(out, *((taker, giver) if taker_first else (giver, taker)))
    assert outcome.changes[CLAIM] is FileChange.ADDED
    assert (out / CLAIM).exists()
    assert CLAIM in read_lock(out).files


def test_a_claim_that_no_point_renders_any_more_goes(out, make_run):
    write(out, make_run(label="a"), make_run(label="b", claim="1Gi"))
    assert write(out, make_run(label="a"), make_run(label="b")).gone == (CLAIM,)
    assert not (out / CLAIM).exists()


@pytest.mark.parametrize("labels", ["ab", "ba"])
def test_a_claim_of_an_archived_run_that_another_renders_is_in_use(out, make_run, labels):
    write(out, make_run(label="a", claim="1Gi"))
    apply(plan_edit(out, lambda store, lock: archiving(["sft/a"])(store, lock)[0]))
    outcome = write(out, *(make_run(label=label, claim="1Gi") for label in labels))
    assert outcome.changes[CLAIM] is FileChange.UNCHANGED
    assert read_lock(out).files[CLAIM].state is State.ACTIVE


def test_what_is_made_of_the_index_finds_the_runs_before_it_as_they_are_left(out, make_run):
    def listing(index, _read):
        return {"_delivery/list": "\n".join(sorted(index)).encode()}

    delivery = Run("_delivery", "list", "_delivery/list", {}, of_tree=listing)
    write(out, make_run(h8="11111111", claim="1Gi"), delivery)
    write(out, make_run(h8="22222222"), delivery)
    assert (out / "_delivery/list").read_text() == "_delivery/list\nsft/job-sft-22222222.yaml"


def test_runs_stream_through_one_at_a_time(out, make_run):
    alive = []

    def stream():
        for number in range(20):
            alive.append(number)
            assert len(list((out / ".ftgen-stage").glob("*"))) == number
            yield make_run(label=str(number))

    apply(plan_write(out, stream()))
    assert len(alive) == 20


def test_a_file_that_was_deleted_by_hand_is_written_again(out, make_run):
    write(out, make_run())
    (out / job_file(make_run())).unlink()
    assert set(write(out, make_run()).changes.values()) == {FileChange.ADDED}


def test_files_deleted_by_hand_are_forgotten(out, make_run):
    write(out, make_run("a"), make_run("b"))
    (out / job_file(make_run("a"))).unlink()
    outcome = write(out, make_run("b"))
    assert outcome.changes[job_file(make_run("a"))] is FileChange.MISSING
    assert job_file(make_run("a")) not in read_lock(out).files
    assert assigned_name(read_lock(out), "a/") is not None


def test_a_dry_plan_leaves_no_trace(out, make_run):
    plan = plan_write(out, [make_run()], dry=True)
    assert plan.outcome.paths(FileChange.ADDED) == (job_file(make_run()),)
    assert not out.exists()


def test_a_discarded_plan_leaves_no_trace(out, make_run):
    discard(plan_write(out, [make_run()]))
    assert not out.exists()


def test_non_ascii_paths_are_ordinary(out, make_run, snapshot):
    write(out, make_run("模型-ü"))
    assert "模型-ü/job-模型-ü-1a2b3c4d.yaml" in snapshot(out)


def test_a_folder_emptied_by_a_replacement_is_removed(out, make_run):
    write(out, Run("sft", "sft-1", "sft/", {"sft/deep/a.yaml": b"a: 1\n"}))
    write(out, Run("sft", "sft-2", "sft/", {"sft/b.yaml": b"a: 1\n"}))
    assert not (out / "sft" / "deep").exists()


# what is left alone or refused


def test_a_folder_that_is_not_ours_is_refused(out, make_run, snapshot):
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    for options in ({}, {"overwrite": True}):
        (problem,) = refused(out, make_run(), **options)
        assert problem.code == "FT502"
        assert "--adopt" in problem.help
    assert snapshot(out) == {"notes.txt": b"mine"}


def test_a_folder_that_is_not_ours_is_shared_when_told(out, make_run, snapshot):
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    write(out, make_run(), adopt=True)
    assert snapshot(out)["notes.txt"] == b"mine"


def test_a_fresh_checkout_counts_as_empty(out, make_run):
    (out / ".git").mkdir(parents=True)
    (out / ".gitignore").write_text("x")
    assert write(out, make_run()).paths(FileChange.ADDED)


def test_a_foreign_file_in_the_way_is_refused(out, make_run):
    write(out, make_run("a"))
    foreign = out / job_file(make_run("b"))
    foreign.parent.mkdir()
    foreign.write_text("mine")
    for options in ({}, {"overwrite": True}):
        (problem,) = refused(out, make_run("b"), **options)
        assert problem.code == "FT502"
        assert "--adopt" in problem.help
        assert foreign.read_text() == "mine"
    assert write(out, make_run("b"), adopt=True).adopted == (job_file(make_run("b")),)


def test_a_file_with_the_very_bytes_becomes_ours(out, make_run):
    write(out, make_run("a"))
    lock = (out / "ftgen.lock").read_bytes()
    write(out, make_run("b"))
    (out / "ftgen.lock").write_bytes(lock)
    assert write(out, make_run("b")).changes == {job_file(make_run("b")): FileChange.UNCHANGED}
    assert job_file(make_run("b")) in read_lock(out).files


def test_a_file_edited_by_hand_stops_the_render_with_a_diff(out, make_run):
    write(out, make_run())
    target = out / job_file(make_run())
    target.write_text(target.read_text().replace("minAvailable: 2", "minAvailable: 9", 1))
    (problem,) = refused(out, make_run(note="second"))
    assert problem.code == "FT503"
    assert "-  minAvailable: 9" in problem.help
    assert "+  minAvailable: 2" in problem.help
    assert "minAvailable: 9" in target.read_text()


def test_an_edited_file_is_given_up_when_told(out, make_run):
    write(out, make_run())
    target = out / job_file(make_run())
    target.write_text("edited")
    assert [problem.code for problem in refused(out, make_run(), adopt=True)] == ["FT503"]
    assert target.read_text() == "edited"
    assert write(out, make_run(), overwrite=True).adopted == (job_file(make_run()),)
    assert target.read_bytes() == make_run().files[job_file(make_run())]


def test_an_edited_file_is_not_removed_with_its_old_name(out, make_run):
    write(out, make_run(h8="11111111"))
    target = out / "sft/job-sft-11111111.yaml"
    target.write_text("edited")
    for options in ({}, {"adopt": True}):
        (problem,) = refused(out, make_run(h8="22222222"), **options)
        assert problem.code == "FT503"
        assert "--overwrite" in problem.help
        assert target.read_text() == "edited"
    write(out, make_run(h8="22222222"), overwrite=True)
    assert not target.exists()


def test_both_flags_take_over_foreign_and_edited_files(out, make_run):
    write(out, make_run("a"))
    (out / job_file(make_run("a"))).write_text("edited")
    (out / "b").mkdir()
    (out / job_file(make_run("b"))).write_text("mine")
    outcome = write(out, make_run("a"), make_run("b"), adopt=True, overwrite=True)
    assert outcome.adopted == (job_file(make_run("a")), job_file(make_run("b")))


def test_a_replaced_file_keeps_its_permissions(out, make_run):
    write(out, make_run())
    for path in (out / job_file(make_run()), out / "ftgen.lock"):
        path.chmod(0o640)
    write(out, make_run(note="second"))
    assert {path.stat().st_mode & 0o777 for path in out.rglob("*") if path.is_file()} == {0o640}


def test_an_archived_run_is_not_rendered_over(out, make_run):
    write(out, make_run())
    lock = read_lock(out)
    files = {path: replace(entry, state=State.ARCHIVED) for path, entry in lock.files.items()}
    (out / "ftgen.lock").write_bytes(dump_lock(Lock(files, lock.runs)))
    outcome = write(out, make_run(note="second"))
    assert outcome.changes == {job_file(make_run()): FileChange.KEPT}
    assert b"first" in (out / job_file(make_run())).read_bytes()
    assert [d.code for d in outcome.diagnostics] == ["FT512"]


def test_an_ended_run_is_not_created_again(out, make_run):
    write(out, make_run("a"), make_run("b"))
    lock = read_lock(out)
    (out / job_file(make_run("a"))).unlink()
    ended = Lock(lock.files, lock.runs, frozenset({make_run("a").name}))
    (out / "ftgen.lock").write_bytes(dump_lock(ended))
    write(out, make_run("a"))
    assert not (out / job_file(make_run("a"))).exists()


def test_two_points_that_are_the_same_run_are_refused(out, make_run):
    (problem,) = refused(out, make_run(), make_run(h8="22222222"))
    assert problem.code == "FT504"


def test_two_runs_that_render_the_same_job_are_refused(out, make_run):
    run = make_run()
    (problem,) = refused(out, run, Run("sft", run.name, "sft/other", run.files))
    assert problem.code == "FT504"


def test_a_job_whose_run_is_called_otherwise_now_belongs_to_that(out, make_run):
    run = make_run()
    write(out, run)
    write(out, replace(make_run(note="second"), identity="sft/other"))
    assert read_lock(out).files[job_file(run)].run == "sft/other"


def test_an_archived_job_is_not_taken_over_by_a_run_that_is_called_otherwise(out, make_run):
    write(out, make_run())
    apply(plan_edit(out, lambda store, lock: archiving(["sft/"])(store, lock)[0]))
    (problem,) = refused(out, replace(make_run(), identity="sft/other"))
    assert (problem.code, "belongs to sft/" in problem.headline) == ("FT504", True)


def test_a_run_does_not_change_what_another_run_needs(out, make_run):
    write(out, make_run(label="a", claim="1Gi"))
    (problem,) = refused(out, make_run(label="b", claim="2Gi"))
    assert problem.code == "FT504"
    assert "sft/a" in problem.headline


def test_one_job_in_two_files_is_refused(out, make_run):
    run = make_run()
    write(out, run)
    other = Run("b", run.name, "b/", {"b/job.yaml": run.files[job_file(run)] + b"# more\n"})
    assert [problem.code for problem in refused(out, other)] == ["FT507"]


def test_one_claim_in_two_files_is_a_warning(out, make_run):
    write(out, make_run("a", claim="1Gi"))
    assert [d.code for d in write(out, make_run("b", claim="2Gi")).diagnostics] == ["FT507"]


def test_a_render_that_retires_the_majority_needs_saying_so(out, make_run):
    points = [make_run(label=str(number)) for number in range(5)]
    write(out, *points)
    problems = refused(out, points[0], whole=frozenset({"sft"}))
    assert problems[-1].code == "FT505"
    assert "4 of 5" in problems[-1].headline
    outcome = write(out, points[0], whole=frozenset({"sft"}), allow_shrink=True)
    assert len(outcome.paths(FileChange.ORPHANED)) == 4
    assert all((out / path).exists() for path in outcome.paths(FileChange.ORPHANED))


def test_points_dropped_from_a_sweep_stay_and_are_told(out, make_run):
    points = [make_run(label=str(number)) for number in range(3)]
    write(out, *points)
    outcome = write(out, *points[:2], whole=frozenset({"sft"}))
    assert outcome.paths(FileChange.ORPHANED) == (job_file(points[2]),)
    assert [d.code for d in outcome.diagnostics] == ["FT511"]


@pytest.mark.parametrize("path", ["../escape.yaml", "/tmp/escape.yaml", "a/../../b", "a\nb.yaml", "ftgen.lock"])
def test_a_path_that_leaves_the_tree_is_refused(out, path):
    (problem,) = refused(out, Run("a", "a-1", "a/", {path: b"x"}))
    assert problem.code == "FT501"
    assert not out.exists()


def test_a_link_that_leaves_the_tree_is_refused(out, tmp_path, make_run):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(out, make_run("a"))
    (out / "sft").symlink_to(elsewhere)
    (problem,) = refused(out, make_run("sft"))
    assert problem.code == "FT501"
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("state", [State.ACTIVE, State.STOPPING])
def test_an_index_that_names_a_file_behind_a_link_removes_nothing_there(tmp_path, out, make_run, state):
    """It may have come with a clone, and whoever made it may know what the file holds."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "job-x.yaml").write_text("theirs\n")
    write(out, make_run())
    (out / "link").symlink_to(victim)
    lock = read_lock(out)
    entry = next(iter(lock.files.values()))
    theirs = replace(entry, sha256=hashlib.sha256(b"theirs\n").hexdigest(), name="x", state=state)
    (out / "ftgen.lock").write_bytes(dump_lock(Lock({**lock.files, "link/job-x.yaml": theirs}, lock.runs)))
    write(out, make_run(h8="22222222"))
    for work in (stopping(["x"]), archiving(["x"]), rerunning(["x"])):
        with suppress(Rejected):
            apply(plan_edit(out, lambda store, lock, work=work: work(store, lock)[0]))
    assert {file.name: file.read_text() for file in victim.iterdir()} == {"job-x.yaml": "theirs\n"}


def test_a_link_in_place_of_a_file_is_refused(out, tmp_path, make_run):
    write(out, make_run("a"))
    secret = tmp_path / "secret"
    secret.write_text("x")
    target = out / job_file(make_run("b"))
    target.parent.mkdir()
    target.symlink_to(secret)
    assert [problem.code for problem in refused(out, make_run("b"))] == ["FT502"]
    assert secret.read_text() == "x"


def test_a_folder_behind_a_link_is_an_ordinary_folder(out, tmp_path, make_run):
    (tmp_path / "real").mkdir()
    out.symlink_to(tmp_path / "real")
    write(out, make_run())
    assert (tmp_path / "real" / job_file(make_run())).exists()


def test_a_file_in_place_of_the_folder_is_refused(out, make_run):
    out.write_text("a file")
    (problem,) = refused(out, make_run())
    assert problem.code == "FT508"
    assert out.read_text() == "a file"


def test_a_damaged_index_is_refused(out, make_run):
    write(out, make_run())
    (out / "ftgen.lock").write_text("<<<<<<< ours")
    assert [problem.code for problem in refused(out, make_run())] == ["FT509"]


def test_every_problem_of_a_render_is_told_at_once(out, make_run):
    write(out, make_run("a"))
    (out / "b").mkdir()
    (out / job_file(make_run("b"))).write_text("mine")
    bad = Run("c", "c-1", "c/", {"../c": b""})
    assert [problem.code for problem in refused(out, make_run("b"), bad)] == ["FT502", "FT501"]


def test_one_process_does_not_write_the_same_folder_twice_at_once(out, make_run):
    plan = plan_write(out, [make_run("a")])
    with pytest.raises(Rejected, match="already writing"):
        plan_write(out, [make_run("b")])
    apply(plan)
    write(out, make_run("b"))


def test_an_exception_in_the_stream_leaves_no_trace(out, make_run):
    def stream():
        yield make_run()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan_write(out, stream())
    assert not out.exists()


def test_writers_in_other_processes_wait_for_each_other(out, make_run):
    children = []
    for number in range(6):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                write(out, make_run(f"run{number}"))
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    assert len(read_lock(out).files) == 6


def test_a_tree_of_many_folders_is_written_and_replaced(out, snapshot):
    def runs(number):
        return [Run("a", f"a-{n}", f"a/{n}", {f"a/{n}/b/{number}.yaml": b"x: %d\n" % n}) for n in range(200)]

    write(out, *runs(1))
    write(out, *runs(2))
    assert len(snapshot(out)) == 201
    assert {path.name for path in out.rglob("*.yaml")} == {"2.yaml"}


def test_no_descriptor_stays_open(out, make_run):
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = opened()
    write(out, make_run("a"), make_run("b", claim="1Gi"))
    discard(plan_write(out, [make_run("c")]))
    plan_write(out, [make_run("c")], dry=True)
    (out / job_file(make_run("a"))).write_text("edited")
    refused(out, make_run("a"))
    (out / ".ftgen-stage" / "x").mkdir(parents=True)
    refused(out, make_run("b"))
    read_lock(out)
    assert opened() == before


def test_names_as_long_as_a_file_system_takes_are_written(out, snapshot):
    longest = "x" * 250 + ".yaml"
    write(out, Run("a", "a-1", "a/", {f"a/{longest}": b"x: 1\n"}))
    assert f"a/{longest}" in snapshot(out)


def unnamed(run: Run) -> Run:
    """A run whose job the API server names."""
    files = {
        f"{run.folder}/job-{run.folder}.yaml": text.replace(b"  name: ", b"  generateName: ", 1)
        for text in run.files.values()
    }
    return replace(run, name="", files=files)


def test_a_job_without_a_name_that_was_stopped_ends_no_other(out, make_run):
    first, second = unnamed(make_run("aa")), unnamed(make_run("bb"))
    write(out, first)
    apply(plan_edit(out, lambda store, lock: stopping(["aa/"])(store, lock)[0]))
    (told,) = write(out, first).diagnostics
    assert (told.headline, told.help) == ("being stopped, and left as they are: aa/", "`ftgen stop aa/` finishes that")
    apply(plan_edit(out, lambda store, lock: stopping(["aa/"])(store, lock)[0]))
    assert write(out, second).changes == {job_file(second): FileChange.ADDED}
    assert write(out, first).changes == {job_file(first): FileChange.ADDED}
    assert not read_lock(out).ended


def test_an_archived_run_is_adopted_as_archived(out, make_run, snapshot):
    runs = [make_run(claim="1Gi"), make_run("other")]
    write(out, *runs)
    apply(plan_edit(out, lambda store, lock: archiving([runs[0].name])(store, lock)[0]))
    before, known = snapshot(out), read_lock(out)
    (out / "ftgen.lock").unlink()
    (told,) = write(out, *runs, adopt=True).diagnostics
    assert (told.code, told.subject) == ("FT512", runs[0].identity)
    assert read_lock(out).files[job_file(runs[0])] == known.files[job_file(runs[0])]
    assert read_lock(out).files.keys() == known.files.keys()
    assert {path: text for path, text in snapshot(out).items() if path != "ftgen.lock"} == {
        path: text for path, text in before.items() if path != "ftgen.lock"
    }
    (out / "sft/persistentvolumeclaim-models.yaml").unlink()
    (out / "ftgen.lock").unlink()
    assert "sft/persistentvolumeclaim-models.yaml" not in write(out, *runs, adopt=True).changes


def test_a_deep_folder_is_walked_one_folder_at_a_time(out, monkeypatch):
    """Opened from the top for each folder, two thousand of them took ten seconds."""
    out.mkdir()
    monkeypatch.chdir(out)
    names = ["a", *["d"] * 300]
    for name in names:
        Path(name).mkdir()
        Path("beside").mkdir(exist_ok=True)
        Path("beside/file").touch()
        os.chdir(name)
    Path("file").touch()
    opened = []
    monkeypatch.setattr(os, "open", lambda *args, open_=os.open, **more: opened.append(args[0]) or open_(*args, **more))
    found = list(Walk(out).files("a"))
    assert (len(found), max(path.count("/") for path in found)) == (len(names), len(names))
    assert len(opened) < 10 * len(names)


# what `ftgen rerun` and `ftgen stop` write


def live(out: Path, work) -> Outcome:
    return apply(plan_edit(out, lambda store, lock: work(store, lock)[0]))


def refused_life(out: Path, work) -> list[str]:
    with pytest.raises(Rejected) as rejected:
        live(out, work)
    return [problem.code for problem in rejected.value.diagnostics]


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_running_again_replaces_nothing_of_somebody_elses(out, make_run, snapshot, kind):
    write(out, make_run())
    target = out / "sft/job-sft-1a2b3c4d-r2.yaml"
    match kind:
        case "file":
            target.write_text("mine\n")
        case "folder":
            (target / "deep").mkdir(parents=True)
            (target / "deep" / "mine").write_text("mine\n")
        case "link":
            target.symlink_to("/dev/null")
    before = snapshot(out)
    for runs in ((), (make_run(),)):
        assert refused_life(out, rerunning([make_run().name], runs)) == ["FT502"]
        assert snapshot(out) == before


def test_running_again_takes_over_no_foreign_claim(out, make_run, snapshot):
    run = make_run(claim="1Gi")
    write(out, make_run("other"))
    (out / "sft").mkdir()
    (out / CLAIM).write_text("mine\n")
    ended = replace(read_lock(out), ended=frozenset({run.name}))
    (out / "ftgen.lock").write_bytes(dump_lock(ended))
    before = snapshot(out)
    assert refused_life(out, rerunning([run.name], [run])) == ["FT502"]
    assert snapshot(out) == before
    (out / CLAIM).write_bytes(run.files[CLAIM])
    assert live(out, rerunning([run.name], [run])).changes[CLAIM] is FileChange.UNCHANGED
    assert read_lock(out).files[CLAIM].run == run.identity


@pytest.mark.parametrize(("name", "code"), [("sft/", "FT501"), ("not in the path", "FT504")])
def test_a_name_in_the_index_leads_to_no_path_but_a_new_one(out, make_run, snapshot, name, code):
    """An index may come with a clone, and its maker chooses the names."""
    write(out, make_run())
    lock = read_lock(out)
    files = {path: replace(entry, name=name) for path, entry in lock.files.items()}
    (out / "ftgen.lock").write_bytes(dump_lock(replace(lock, files=files, runs={})))
    before = snapshot(out)
    assert refused_life(out, rerunning(["sft/job-sft-1a2b3c4d.yaml"])) == [code]
    assert snapshot(out) == before


def test_a_file_that_keeps_the_folder_already_is_left(out, make_run):
    write(out, make_run())
    (out / "sft/.gitkeep").write_text("mine\n")
    for _ in range(2):
        outcome = live(out, stopping(["sft/"]))
    assert outcome.changes == {job_file(make_run()): FileChange.REMOVED}
    assert (out / "sft/.gitkeep").read_text() == "mine\n"
    assert read_lock(out).files == {}


def test_a_claim_that_several_runs_need_again_belongs_to_none_of_them(out, make_run):
    """Else a render of one that does not need it any more would remove it."""
    runs = [make_run(label=label, claim="1Gi") for label in "abc"]
    names = [run.name for run in runs]
    write(out, *(make_run(label=label) for label in "ab"), runs[2])
    for _ in range(2):
        live(out, stopping(names[:1]))
    live(out, rerunning(names[:1], runs[:1]))
    assert read_lock(out).files[CLAIM].run == "sft/*"
    write(out, make_run(label="c"))
    assert (out / CLAIM).exists()


def test_a_claim_that_two_runs_bring_again_is_written_once_and_shared(out, make_run):
    runs = [make_run(label=label, claim="1Gi") for label in "ab"]
    names = [run.name for run in runs]
    write(out, *(make_run(label=label) for label in "ab"))
    for _ in range(2):
        live(out, stopping(names))
    assert live(out, rerunning(names, runs)).changes[CLAIM] is FileChange.ADDED
    assert read_lock(out).files[CLAIM].run == "sft/*"


# what somebody writes while a render is prepared, which may take minutes


@pytest.mark.parametrize("path", ["sft/job-sft-1a2b3c4d.yaml", "other/job-other-11111111.yaml", "ftgen.lock"])
def test_what_is_edited_meanwhile_is_not_lost(out, make_run, snapshot, path):
    write(out, make_run(), make_run("other", h8="11111111"))
    plan = plan_write(out, [make_run(note="second"), make_run("other", h8="22222222")])
    with (out / path).open("a") as file:
        file.write("# mine\n")
    before = {name: text for name, text in snapshot(out).items() if not name.startswith(".ftgen-stage/")}
    with pytest.raises(Rejected) as rejected:
        apply(plan)
    assert [(d.code, d.subject) for d in rejected.value.diagnostics] == [("FT503", path)]
    assert snapshot(out) == before


def test_what_is_written_meanwhile_in_the_place_of_a_new_file_is_not_lost(out, make_run):
    write(out, make_run())
    plan = plan_write(out, [make_run(label="new")])
    mine = out / job_file(make_run(label="new"))
    mine.write_text("mine\n")
    with pytest.raises(Rejected) as rejected:
        apply(plan)
    assert [d.code for d in rejected.value.diagnostics] == ["FT502"]
    assert mine.read_text() == "mine\n"


def test_what_holds_the_new_bytes_already_or_is_gone_meanwhile_is_no_hindrance(out, make_run):
    write(out, make_run("a"), make_run("b"), make_run("c", h8="11111111"))
    runs = [make_run("a", note="second"), make_run("b", note="second"), make_run("c", h8="22222222")]
    plan = plan_write(out, runs)
    (out / job_file(runs[0])).write_bytes(runs[0].files[job_file(runs[0])])
    (out / job_file(runs[1])).unlink()
    (out / "c/job-c-11111111.yaml").unlink()
    apply(plan)
    assert all((out / job_file(run)).read_bytes() == run.files[job_file(run)] for run in runs)


@pytest.mark.parametrize("h8", ["1a2b3c4d", "22222222"])
def test_only_the_bytes_that_were_given_up_are(out, make_run, h8):
    target = out / job_file(make_run())
    for edited_meanwhile in (False, True):
        write(out, make_run(), overwrite=True)
        target.write_text("given up\n")
        plan = plan_write(out, [make_run(h8=h8, note="second")], WriteOptions(overwrite=True))
        if edited_meanwhile:
            target.write_text("edited meanwhile\n")
            with pytest.raises(Rejected, match="was edited while"):
                apply(plan)
            assert target.read_text() == "edited meanwhile\n"
        else:
            apply(plan)


def test_a_copy_gives_up_only_the_bytes_that_it_found(out):
    out.mkdir()
    for edited_meanwhile in (False, True):
        (out / "Dockerfile").write_text("FROM old\n")
        plan = plan_copy(out, {"Dockerfile": b"FROM new\n"}, overwrite=True)
        if edited_meanwhile:
            (out / "Dockerfile").write_text("FROM mine\n")
            with pytest.raises(Rejected, match="was edited while"):
                apply(plan)
        else:
            apply(plan)
    assert (out / "Dockerfile").read_text() == "FROM mine\n"
