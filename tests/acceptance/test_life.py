"""What a cluster makes of a published tree, through every step of a run's life.

No update is denied, no job is created a second time, and none is deleted but by `stop`.
"""

from __future__ import annotations

import pytest


@pytest.fixture(params=["argocd", "flux"])
def cluster(request, make_cluster):
    return make_cluster(request.param)


def only(names):
    (name,) = names
    return name


def test_a_run_lives_through_every_step(ftgen, at, tree, cluster):
    def publish(*words):
        said = ftgen("publish", *at, f"delivery={cluster.reconciler}", "storage=nfs", *words)
        assert said.code == 0, said.err
        cluster.sync(tree())
        cluster.sync(tree())

    def step(*words):
        said = ftgen(*words, *at)
        assert said.code == 0, said.err
        cluster.sync(tree())
        cluster.sync(tree())

    publish()
    first = only(cluster.jobs)

    publish("cluster.priority_class=high")
    assert cluster.jobs == [first]
    # Flux creates a job once; Argo CD brings the change to the one that runs.
    changed = cluster.job(first)["spec"].get("priorityClassName") == "high"
    assert changed is (cluster.reconciler == "argocd")

    publish("cluster.priority_class=high", "trainer.lr=3e-4", "--new-run")
    second = only(set(cluster.jobs) - {first})

    step("archive", first)
    assert first in cluster.jobs
    cluster.finish(first)
    cluster.sync(tree())
    assert cluster.jobs == [second]

    step("rerun", first)
    again = only(set(cluster.jobs) - {second})
    assert again == f"{first}-r2"

    step("stop", second)
    assert second in cluster.jobs
    step("stop", second)
    assert cluster.jobs == [again]

    step("archive", again)
    step("stop", first)
    step("stop", again)
    assert [path for path in tree() if "/job-" in path] == []
    assert cluster.jobs == [again]

    assert cluster.denied == []
    assert len(set(cluster.created)) == len(cluster.created)
    assert cluster.deleted == [second]


def test_a_stop_between_whose_steps_nothing_is_synchronised_deletes_nothing(ftgen, at, tree, cluster):
    ftgen("publish", *at, f"delivery={cluster.reconciler}")
    cluster.sync(tree())
    name = only(cluster.jobs)

    ftgen("stop", name, *at)
    ftgen("stop", name, *at)
    cluster.sync(tree())

    assert cluster.jobs == [name]
    assert cluster.deleted == []


def test_a_run_that_was_ended_is_not_published_again_by_accident(ftgen, at, tree, cluster, source):
    words = ("publish", *at, f"delivery={cluster.reconciler}")
    ftgen(*words)
    cluster.sync(tree())
    name = only(cluster.jobs)
    for _ in range(2):
        ftgen("stop", name, *at)
        cluster.sync(tree())

    said = ftgen(*words)
    cluster.sync(tree())
    assert "FT512" in said.err
    assert cluster.jobs == []

    option = source / "conf" / "cluster" / "lab.yaml"
    option.write_text(option.read_text() + "# edited\n")
    assert "FT523" in ftgen("rerun", name, f"delivery={cluster.reconciler}", *at).err
    again = ftgen("rerun", name, f"delivery={cluster.reconciler}", *at, "--allow-dirty")
    assert again.code == 0, again.err
    cluster.sync(tree())
    assert cluster.jobs == [f"{name}-r2"]


def test_gc_lists_what_nobody_needs_and_removes_nothing(ftgen, at, tree):
    ftgen("publish", *at, "delivery=argocd")
    path = only(path for path in tree() if "/job-" in path)
    before = tree()

    assert ftgen("gc", *at).out == ""
    ftgen("archive", path.rpartition("/")[2][4:-5], *at)
    listed = ftgen("gc", *at)

    assert listed.out == f"{path}: its run is archived\n"
    assert tree().keys() == before.keys()


def test_a_plain_folder_lives_the_same_life(ftgen, source):
    ftgen()
    name = only(source.glob("out/*/job-*.yaml")).stem.removeprefix("job-")

    assert ftgen("archive", name).code == 0
    assert "argocd.argoproj.io/hook: Skip" in only(source.glob("out/*/job-*.yaml")).read_text()
    told = ftgen("diff")
    assert (told.code, told.out) == (0, "2 unchanged\n")
    assert ftgen("rerun", name).code == 0
    assert {file.stem for file in source.glob("out/*/job-*.yaml")} == {f"job-{name}", f"job-{name}-r2"}
    assert ftgen("stop", name).code == 0
    assert {file.stem for file in source.glob("out/*/job-*.yaml")} == {f"job-{name}-r2"}
