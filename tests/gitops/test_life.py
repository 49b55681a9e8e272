"""The life of a committed run, watched on a cluster that follows Volcano's and Argo CD's rules."""

from __future__ import annotations

from contextlib import suppress

import pytest
from msgspec.structs import replace
from tests.gitops.cluster import Cluster

from ftgen.diagnostics import Rejected
from ftgen.output.tree import Entry, FileChange, Lock, OnImmutableChange, Run, State, WriteOptions, parse_lock
from ftgen.remote.gitops import (
    Result,
    annotated,
    archiving,
    commit,
    open_tree,
    publish,
    rerunning,
    stopping,
    target_of,
    unused_files,
)
from ftgen.text import yamlio
from ftgen.validation.manifest import NEWEST

NAME = "sft-1a2b3c4d"


@pytest.fixture
def target(bare):
    return target_of(str(bare), "main", "training")


def archive(target, names, provenance):
    return commit(target, archiving(names), provenance)


def stop(target, names, provenance):
    return commit(target, stopping(names), provenance)


def rerun(target, names, provenance, runs=()):
    return commit(target, rerunning(names, runs), provenance)


def gc(target):
    with open_tree(target) as (store, lock):
        return list(unused_files(store, lock))


def index(git, bare):
    return parse_lock(git(bare, "show", "main:training/ftgen.lock").encode())


def manifests(git, bare):
    names = git(bare, "ls-tree", "-r", "--name-only", "main", "training").splitlines()
    texts = [git(bare, "show", f"main:{name}") for name in names if name.endswith(".yaml")]
    return [yamlio.parse(text, "") for text in texts]


@pytest.fixture
def cluster(git, bare):
    made = Cluster("argocd", NEWEST)

    def sync(apply=made.sync):
        names = git(bare, "ls-tree", "-r", "--name-only", "main", "training").splitlines()
        apply({name.removeprefix("training/"): git(bare, "show", f"main:{name}") for name in names})

    made.sync = sync
    yield made
    assert made.denied == []


def test_synchronising_twice_changes_nothing(target, cluster, make_run, provenance):
    publish(target, [make_run(label=str(number)) for number in range(3)], provenance)
    cluster.sync()
    cluster.sync()
    assert len(cluster.created) == 3
    assert cluster.patched == cluster.deleted == []


def test_a_change_in_place_reaches_the_live_job(target, cluster, make_run, provenance):
    publish(target, [make_run()], provenance)
    cluster.sync()
    publish(target, [make_run(available=1)], provenance)
    cluster.sync()
    assert cluster.patched == [NAME]
    assert cluster.job(NAME)["spec"]["minAvailable"] == 1


def test_a_new_run_leaves_the_old_one_training(target, cluster, make_run, provenance):
    publish(target, [make_run()], provenance)
    cluster.sync()
    publish(
        target, [make_run(h8="22222222")], provenance, options=WriteOptions(on_immutable_change=OnImmutableChange.KEEP)
    )
    cluster.sync()
    assert cluster.created == [NAME, "sft-22222222"]
    assert cluster.deleted == cluster.patched == []


def test_an_archived_run_is_not_created_again(git, bare, target, cluster, make_run, provenance):
    publish(target, [make_run()], provenance)
    cluster.sync()
    archived = archive(target, [NAME], provenance)
    assert archived.result is Result.COMMITTED
    cluster.sync()
    assert cluster.patched == []
    cluster.finish(NAME)
    cluster.sync()
    assert cluster.created == [NAME]
    assert {entry.state for entry in index(git, bare).files.values()} == {State.ARCHIVED}


def test_a_run_that_is_not_archived_would_be_created_again(target, cluster, make_run, provenance):
    """What archiving is for."""
    publish(target, [make_run()], provenance)
    cluster.sync()
    cluster.finish(NAME)
    cluster.sync()
    assert cluster.created == [NAME, NAME]


def test_publishing_an_archived_run_again_leaves_its_tombstone(target, cluster, make_run, provenance):
    publish(target, [make_run()], provenance)
    cluster.sync()
    archive(target, [NAME], provenance)
    cluster.finish(NAME)
    published = publish(target, [make_run(note="second", available=1)], provenance)
    assert published.result is Result.UNCHANGED
    cluster.sync()
    assert cluster.created == [NAME]


def test_a_changed_run_after_an_archived_one_needs_no_leave(target, cluster, make_run, provenance):
    publish(target, [make_run()], provenance)
    archive(target, [NAME], provenance)
    publish(target, [make_run(h8="22222222")], provenance)
    cluster.sync()
    assert cluster.created == ["sft-22222222"]


def test_archiving_twice_makes_one_commit(target, make_run, provenance):
    publish(target, [make_run()], provenance)
    archive(target, [NAME], provenance)
    assert archive(target, [NAME], provenance).result is Result.UNCHANGED


def test_stopping_takes_two_commits(git, bare, target, cluster, make_run, provenance):
    publish(target, [make_run(claim="1Gi")], provenance)
    cluster.sync()
    stop(target, [NAME], provenance)
    cluster.sync()
    assert cluster.deleted == []
    stop(target, [NAME], provenance)
    cluster.sync()
    assert cluster.deleted == [NAME]
    names = git(bare, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert names == ["training/ftgen.lock", "training/sft/persistentvolumeclaim-models.yaml"]


def test_a_folder_stays_as_long_as_what_it_held_is_to_be_deleted(git, bare, target, cluster, make_run, provenance):
    """Argo CD and Flux prune nothing where they miss the folder, and git has no empty folders."""
    publish(target, [make_run(), make_run("other")], provenance)
    cluster.sync()
    stop(target, [NAME], provenance)
    cluster.sync()
    stop(target, [NAME], provenance)
    cluster.sync()
    assert cluster.deleted == [NAME]
    assert [left.path for left in gc(target)] == ["sft/.gitkeep"]
    assert publish(target, [make_run()], provenance).result is Result.UNCHANGED


def test_removing_the_file_at_once_would_stop_nothing(target, cluster, git, bare, make_run, provenance):
    """Why stopping takes two commits: the guard is read from the live object."""
    publish(target, [make_run()], provenance)
    cluster.sync()
    stop(target, [NAME], provenance)
    stop(target, [NAME], provenance)
    cluster.sync()
    assert cluster.deleted == []


def test_a_stopped_run_is_not_started_by_the_next_publish(target, cluster, make_run, provenance):
    publish(target, [make_run()], provenance)
    stop(target, [NAME], provenance)
    assert publish(target, [make_run()], provenance).result is Result.UNCHANGED
    stop(target, [NAME], provenance)
    published = publish(target, [make_run()], provenance)
    assert published.result is Result.UNCHANGED
    assert [diagnostic.code for diagnostic in published.diagnostics] == ["FT512"]
    cluster.sync()
    assert cluster.created == []


def test_an_archived_run_is_purged_at_once_and_its_job_is_let_be(git, bare, target, cluster, make_run, provenance):
    publish(target, [make_run()], provenance)
    cluster.sync()
    archive(target, [NAME], provenance)
    cluster.sync()
    purged = stop(target, [NAME], provenance)
    assert purged.outcome.changes == {"sft/.gitkeep": FileChange.ADDED, f"sft/job-{NAME}.yaml": FileChange.PURGED}
    assert git(bare, "ls-tree", "-r", "--name-only", "main").split() == ["training/ftgen.lock", "training/sft/.gitkeep"]
    cluster.sync()
    assert cluster.jobs == [NAME]
    cluster.finish(NAME)
    publish(target, [make_run()], provenance)
    cluster.sync()
    assert (cluster.created, cluster.deleted) == ([NAME], [])


def test_a_commit_names_the_runs_that_it_removes(git, bare, target, make_run, provenance):
    publish(target, [make_run("a"), make_run("b")], provenance)
    archive(target, ["a-1a2b3c4d"], provenance)
    stop(target, ["*/"], provenance)
    named = git(bare, "log", "-1", "--format=%(trailers:key=Ftgen-Runs,valueonly)", "main")
    assert named.split() == ["a-1a2b3c4d", "b-1a2b3c4d"]


def test_a_subject_stays_a_line_however_many_runs_are_named(git, bare, target, make_run, provenance):
    runs = [make_run(label=str(number)) for number in range(20)]
    publish(target, runs, provenance)
    archive(target, [run.name for run in runs], provenance)
    assert git(bare, "log", "-1", "--format=%s", "main") == (
        "ftgen: archive sft-0-1a2b3c4d sft-1-1a2b3c4d sft-2-1a2b3c4d sft-3-1a2b3c4d and 16 more"
    )


def test_what_is_over_is_told_once_for_all_with_what_can_be_done(target, make_run, provenance):
    runs = [make_run(label=str(number)) for number in range(9)]
    publish(target, runs, provenance)
    archive(target, [run.name for run in runs[:7]], provenance)
    stop(target, [run.name for run in runs[6:8]], provenance)
    notes = publish(target, runs, provenance).diagnostics
    assert [(each.code, each.headline) for each in notes] == [
        ("FT512", f"archived, and left as they are: {', '.join(run.name for run in runs[:5])} and 1 more"),
        ("FT512", f"ended, their files removed, and left as they are: {runs[6].name}"),
        ("FT512", f"being stopped, and left as they are: {runs[7].name}"),
    ]
    assert [each.help.split()[1] for each in notes] == ["rerun", "rerun", "stop"]


def test_running_again_makes_another_object(git, bare, target, cluster, make_run, provenance):
    publish(target, [make_run()], provenance)
    cluster.sync()
    archive(target, [NAME], provenance)
    rerun(target, [NAME], provenance)
    cluster.sync()
    assert cluster.created == [NAME, f"{NAME}-r2"]
    rerun(target, [f"{NAME}-r2"], provenance)
    cluster.sync()
    assert cluster.created[2:] == [f"{NAME}-r3"]
    assert cluster.deleted == cluster.patched == []


def test_a_run_that_was_run_again_keeps_its_name_when_published(git, bare, target, cluster, make_run, provenance):
    publish(target, [make_run()], provenance)
    rerun(target, [NAME], provenance)
    assert publish(target, [make_run()], provenance).result is Result.UNCHANGED
    publish(target, [make_run(available=1)], provenance)
    cluster.sync()
    assert set(cluster.created) == {NAME, f"{NAME}-r2"}
    assert cluster.job(f"{NAME}-r2")["spec"]["minAvailable"] == 1


def test_a_run_that_was_removed_is_run_again_from_the_configuration(target, cluster, make_run, provenance):
    publish(target, [make_run()], provenance)
    cluster.sync()
    archive(target, [NAME], provenance)
    stop(target, [NAME], provenance)
    assert refused(rerun, target, [NAME], provenance).code == "FT527"
    rerun(target, [NAME], provenance, runs=[make_run()])
    cluster.sync()
    assert cluster.created == [NAME, f"{NAME}-r2"]
    assert publish(target, [make_run()], provenance).result is Result.UNCHANGED
    stop(target, [f"{NAME}-r2"], provenance)
    stop(target, [f"{NAME}-r2"], provenance)
    rerun(target, [f"{NAME}-r2"], provenance, runs=[make_run()])
    cluster.sync()
    assert cluster.created[2:] == [f"{NAME}-r3"]


def test_what_overrides_render_otherwise_is_not_run_again_in_silence(git, bare, target, make_run, provenance):
    publish(target, [make_run(), make_run("other")], provenance)
    archive(target, [NAME], provenance)
    for runs in ([make_run(h8="22222222")], [make_run(note="second")], [make_run("other")]):
        assert refused(rerun, target, [NAME], provenance, runs).code == "FT527"
    rerun(target, [NAME], provenance, [make_run()])
    assert f"sft/job-{NAME}-r2.yaml" in index(git, bare).files


def test_a_label_that_ends_like_the_name_of_a_rerun_is_no_rerun(git, bare, target, make_run, provenance):
    runs = [make_run(), make_run(label="r16", h8="22222222")]
    publish(target, runs, provenance)
    for _ in range(2):
        stop(target, ["sft/r16"], provenance)
    assert "was stopped" in refused(rerun, target, ["sft/r16"], provenance).headline
    rerun(target, ["sft/r16"], provenance, runs)
    assert "sft/job-sft-r16-22222222-r2.yaml" in index(git, bare).files


def test_a_run_is_run_again_once_however_many_files_it_has(git, bare, target, make_run, provenance):
    publish(target, [make_run(label=label) for label in "ab"], provenance)
    archive(target, ["sft/a"], provenance)
    rerun(target, ["sft/a"], provenance)
    rerun(target, ["sft/*", "sft/a"], provenance)
    states = {entry.name: entry.state.value for entry in index(git, bare).files.values()}
    assert states == {
        "sft-a-1a2b3c4d": "archived",
        "sft-a-1a2b3c4d-r2": "orphaned",
        "sft-a-1a2b3c4d-r3": "active",
        "sft-b-1a2b3c4d": "orphaned",
        "sft-b-1a2b3c4d-r2": "active",
    }
    rerun(target, ["sft-a-1a2b3c4d"], provenance)
    assert index(git, bare).files["sft/job-sft-a-1a2b3c4d-r3.yaml"].state is State.ORPHANED


@pytest.mark.parametrize("foreign", [f"sft/job-{NAME}-r2.yaml", f"sft/job-{NAME}-r2.yaml/deep/notes"])
def test_running_again_replaces_no_foreign_file_and_no_folder(
    git, tmp_path, bare, target, make_run, provenance, foreign
):
    publish(target, [make_run()], provenance)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(bare), str(clone))
    (clone / "training" / foreign).parent.mkdir(parents=True, exist_ok=True)
    (clone / "training" / foreign).write_text("mine\n")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "mine")
    git(clone, "push", "--quiet", "origin", "main")
    before = git(bare, "rev-parse", "main")
    assert refused(rerun, target, [NAME], provenance).code == "FT502"
    assert git(bare, "rev-parse", "main") == before


def test_a_run_that_is_named_twice_is_stopped_once(target, make_run, provenance):
    publish(target, [make_run()], provenance)
    for change in (FileChange.CHANGED, FileChange.REMOVED):
        outcome = stop(target, [NAME, f"sft/job-{NAME}.yaml"], provenance).outcome
        assert outcome.changes[f"sft/job-{NAME}.yaml"] is change


@pytest.mark.parametrize("named", [NAME, "sft/", f"sft/job-{NAME}.yaml"])
def test_a_run_is_told_by_name_identity_or_file(target, make_run, provenance, named):
    publish(target, [make_run()], provenance)
    assert archive(target, [named], provenance).result is Result.COMMITTED


def test_a_sweep_may_be_called_service(target, make_run, provenance):
    publish(target, [make_run("service", label="a")], provenance)
    assert archive(target, ["service/a"], provenance).result is Result.COMMITTED
    assert stop(target, ["service/*"], provenance).outcome.paths(FileChange.PURGED) == (
        "service/job-service-a-1a2b3c4d.yaml",
    )


def test_what_runs_share_selects_none_of_them(target, make_run, provenance):
    publish(target, [make_run(label=label, claim="1Gi") for label in "ab"], provenance)
    for act in (archive, stop, rerun):
        problem = refused(act, target, ["sft/persistentvolumeclaim-models.yaml"], provenance)
        assert (problem.code, problem.help) == ("FT527", "name one of: sft/a, sft/b")


def test_the_scripts_of_one_run_select_it_no_more_than_those_of_many(git, bare, target, make_run, provenance):
    publish(target, [with_scripts(make_run())], provenance)
    archive(target, [NAME], provenance)
    assert refused(stop, target, [SHARED], provenance).help == "name one of: sft/"
    assert f"sft/job-{NAME}.yaml" in index(git, bare).files


def refused(act, *arguments):
    with pytest.raises(Rejected) as rejected:
        act(*arguments)
    (problem,) = rejected.value.diagnostics
    return problem


def test_an_unknown_run_is_told_with_those_that_are_known(target, make_run, provenance):
    publish(target, [make_run()], provenance)
    problem = refused(archive, target, ["sft"], provenance)
    assert problem.code == "FT527"
    assert NAME in problem.help


@pytest.mark.parametrize("act", [archive, rerun])
def test_a_run_that_is_being_stopped_is_not_disturbed(target, make_run, provenance, act):
    publish(target, [make_run()], provenance)
    stop(target, [NAME], provenance)
    assert refused(act, target, [NAME], provenance).code == "FT527"


def test_a_name_without_room_for_a_suffix_is_told(target, make_run, provenance):
    long = make_run("x" * 46)
    publish(target, [long], provenance)
    assert refused(rerun, target, [long.name], provenance).code == "FT527"


def test_leftovers_are_listed(target, make_run, provenance):
    publish(target, [make_run(claim="1Gi")], provenance)
    assert gc(target) == []
    publish(
        target,
        [make_run(h8="22222222", claim="1Gi")],
        provenance,
        options=WriteOptions(on_immutable_change=OnImmutableChange.KEEP),
    )
    assert [left.path for left in gc(target)] == [f"sft/job-{NAME}.yaml"]
    archive(target, [NAME, "sft-22222222"], provenance)
    assert [left.why for left in gc(target)] == [
        "its run is archived",
        "its run is archived",
        "no live job names it",
    ]


def test_each_job_is_read_once_for_all_the_claims_that_it_may_name():
    """Once for each claim, four hundred of both took ten seconds, and these would take hours."""
    runs = range(5000)
    jobs = {
        f"a/job-{n}.yaml": Entry("", f"batch.volcano.sh/v1alpha1 Job training/j{n}", f"a/{n}", f"j{n}") for n in runs
    }
    claims = {
        f"a/claim-{n}.yaml": Entry("", f"v1 PersistentVolumeClaim training/w{n}", f"a/{n}", f"j{n}") for n in runs
    }
    store = Named({path: f"claimName: w{path[6:-5]}\n".encode() * 100 for path in jobs})
    assert list(unused_files(store, Lock({**jobs, **claims}))) == []
    assert store.read_count == len(jobs)
    unnamed = Entry("", "v1 PersistentVolumeClaim training/w", "a/0", "j0")
    (left,) = unused_files(store, Lock({**jobs, "a/claim.yaml": unnamed}))
    assert (left.path, left.why) == ("a/claim.yaml", "no live job names it")


@pytest.mark.parametrize(
    ("state", "left"),
    [
        (State.ACTIVE, {}),
        (
            State.ARCHIVED,
            {
                "a/claim.yaml": "no live job names it",
                "a/job.yaml": "its run is archived",
                "a/volume.yaml": "no live job names it",
            },
        ),
    ],
)
def test_a_volume_is_needed_as_long_as_the_claim_of_a_live_job_names_it(state, left):
    """A pod names a claim, and only the claim names its volume."""
    files = {
        "a/claim.yaml": Entry("", "v1 PersistentVolumeClaim training/w", "a/*", "j"),
        "a/job.yaml": Entry("", "batch.volcano.sh/v1alpha1 Job training/j", "a/", "j", state),
        "a/volume.yaml": Entry("", "v1 PersistentVolume /training-w", "a/*", "j"),
    }
    store = Named({"a/job.yaml": b"claimName: w\n", "a/claim.yaml": b"volumeName: training-w\n"})
    assert {found.path: found.why for found in unused_files(store, Lock(files))} == left


class Named:
    """A store that counts what is read."""

    def __init__(self, texts):
        self.texts, self.read_count = texts, 0

    def read(self, path):
        self.read_count += 1
        return self.texts.get(path)


def test_a_sweeps_index_is_left_over_with_its_last_job(target, make_run, provenance):
    listing = Run("sft", "", "sft/*", {"sft/sft.ftgen-index": b"{}\n"})
    publish(target, [make_run(), make_run("other"), listing], provenance)
    assert gc(target) == []
    archive(target, [NAME], provenance)
    stop(target, [NAME], provenance)
    assert [left.path for left in gc(target)] == ["sft/sft.ftgen-index"]


STEPS = (archive, stop, rerun)


@pytest.mark.parametrize("first", STEPS)
@pytest.mark.parametrize("second", STEPS)
def test_no_order_of_steps_kills_or_repeats_what_nobody_asked_for(target, cluster, make_run, provenance, first, second):
    """The same configuration is published again, and synchronised, after every step."""
    publish(target, [make_run()], provenance)
    cluster.sync()
    for step in (first, second):
        with suppress(Rejected):
            step(target, [NAME], provenance)
        publish(target, [make_run()], provenance)
        cluster.sync()
    asked = [f"{NAME}-r{number}" for number in range(2, 2 + (first, second).count(rerun))]
    expected = [] if (first, second) == (stop, rerun) else asked
    assert cluster.created == [NAME, *expected]
    assert cluster.deleted == ([NAME] if (first, second) == (stop, stop) else [])


def test_a_whole_sweep_is_told_by_a_pattern(git, bare, target, make_run, provenance):
    runs = [make_run("abl", f"{lr}" * 8, label=f"lr{lr}") for lr in "12"]
    publish(target, [*runs, make_run("other")], provenance)

    archive(target, ["abl/*"], provenance)

    states = {entry.name: entry.state for entry in index(git, bare).files.values()}
    assert [states[run.name] for run in runs] == [State.ARCHIVED] * 2
    assert states["other-1a2b3c4d"] is State.ACTIVE


def test_what_is_to_be_stopped_may_be_touched_by_flux_and_shows_in_argo_cd(git, bare, target, make_run, provenance):
    flux = {"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent", "kustomize.toolkit.fluxcd.io/prune": "disabled"}
    run = make_run()
    files = {path: annotated(content, flux) for path, content in run.files.items()}
    publish(target, [Run(run.folder, run.name, run.identity, files)], provenance)

    stop(target, [NAME], provenance)

    (job,) = manifests(git, bare)
    assert not {*flux, "argocd.argoproj.io/compare-options"} & job["metadata"]["annotations"].keys()


def test_what_points_a_reconciler_at_a_folder_is_left_over_with_its_last_job(target, make_run, provenance):
    pointer = "_delivery/application-sft.yaml"
    text = b"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: sft\n"
    application = Run("_delivery", "application/sft", "_delivery/application/sft", {pointer: text})
    publish(target, [make_run(), make_run("other"), application], provenance)

    assert gc(target) == []
    archive(target, [NAME], provenance)

    assert pointer in [left.path for left in gc(target)]


def test_a_sweeps_index_has_no_name_and_is_published_all_the_same(git, bare, target, make_run, provenance):
    index_file = Run("sft", "", "sft/*", {"sft/sft.ftgen-index": b"{}\n"})

    publish(target, [make_run(), index_file], provenance)

    assert "sft/sft.ftgen-index" in index(git, bare).files


SCRIPTS = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: sft-scripts-0a0b0c0d
  namespace: training
  annotations:
    argocd.argoproj.io/sync-options: Prune=false,Delete=false
immutable: true
data:
  train.sh: echo
"""
SHARED = "sft/configmap-sft-scripts-0a0b0c0d.yaml"


def with_scripts(run: Run) -> Run:
    """The run with scripts that its job names."""
    mounted = b"        - name: scripts\n          configMap:\n            name: sft-scripts-0a0b0c0d\n"
    files = {path: text + mounted if "/job-" in path else text for path, text in run.files.items()}
    return replace(run, files={**files, SHARED: SCRIPTS.encode()})


def test_scripts_stay_as_long_as_a_run_names_them_and_go_with_the_last(git, bare, target, make_run, provenance):
    runs = [with_scripts(make_run(label=str(number))) for number in range(2)]
    publish(target, runs, provenance)
    first, second = (run.name for run in runs)
    archive(target, [first], provenance)
    stop(target, [second], provenance)
    stop(target, [second], provenance)
    # The archived run names them still.
    assert index(git, bare).files[SHARED].state is State.ACTIVE
    assert [found.path for found in gc(target) if "configmap" in found.path] == []
    stop(target, [first], provenance)
    assert SHARED not in index(git, bare).files
    assert "configmap" not in git(bare, "ls-tree", "-r", "--name-only", "main")


def test_scripts_lose_their_guard_before_their_file(git, bare, target, cluster, make_run, provenance):
    run = with_scripts(make_run())
    publish(target, [run], provenance)
    cluster.sync()
    stop(target, [run.name], provenance)
    assert index(git, bare).files[SHARED].state is State.STOPPING
    (scripts,) = [each for each in manifests(git, bare) if each["kind"] == "ConfigMap"]
    assert "Prune=false" not in str(scripts["metadata"].get("annotations"))
    cluster.sync()
    stop(target, [run.name], provenance)
    assert SHARED not in index(git, bare).files
