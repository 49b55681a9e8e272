"""A name once published is kept: by a later ftgen, by a sweep that grows, by writers that meet."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor


def jobs(tree):
    return sorted(path.rpartition("/")[2][4:-5] for path in tree() if "/job-" in path)


def rename(clone, old, new):
    """What the tree would hold, had another ftgen made other hashes."""
    (file,) = clone.glob(f"training/*/job-{old}.yaml")
    content = file.read_text().replace(old, new)
    file.unlink()
    file.with_name(f"job-{new}.yaml").write_text(content)
    lock = clone / "training" / "ftgen.lock"
    digest = json.loads(lock.read_text())["files"][f"{file.parent.name}/job-{old}.yaml"]["sha256"]
    text = lock.read_text().replace(old, new).replace(digest, hashlib.sha256(content.encode()).hexdigest())
    lock.write_text(text)
    return file.with_name(f"job-{new}.yaml")


def test_a_name_that_another_ftgen_gave_is_kept(ftgen, at, tree, git, server, tmp_path):
    ftgen("publish", *at)
    (name,) = jobs(tree)
    former = f"{name[:-8]}00000000"
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(server), str(clone))
    file = rename(clone, name, former)
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "-m", "as an earlier ftgen named it")
    git(clone, "push", "--quiet", "origin", "main")

    assert ftgen("diff", *at).code == 0
    assert "unchanged" in ftgen("publish", *at).err
    assert ftgen("publish", *at, "cluster.priority_class=high").code == 0
    assert jobs(tree) == [former]
    assert ftgen("rebuild", str(file)).code == 0
    assert "FT506" in ftgen("publish", *at, "trainer.lr=3e-4").err


def test_a_default_that_changes_renames_nothing_and_touches_nothing_until_it_is_meant(ftgen, at, tree, source, git):
    """The queue is held immutable, the priority class is not."""
    ftgen("publish", *at, "cluster=lab")
    (name,) = jobs(tree)
    option = source / "conf" / "cluster" / "lab.yaml"

    option.write_text(option.read_text() + "priority_class: high\n")
    git(source, "commit", "--quiet", "-am", "a default that a running job takes")
    assert ftgen("publish", *at, "cluster=lab").code == 0
    assert jobs(tree) == [name]

    option.write_text(option.read_text() + "queue: other\n")
    git(source, "commit", "--quiet", "-am", "a default that it does not take")
    before = tree()
    said = ftgen("publish", *at, "cluster=lab")
    assert (said.code, "FT506" in said.err) == (1, True)
    assert tree() == before
    assert ftgen("publish", *at, "cluster=lab", "--new-run").code == 0
    assert name in jobs(tree)
    assert len(jobs(tree)) == 2


def test_a_plain_folder_keeps_its_names_too(ftgen, source, tmp_path):
    ftgen("-o", "training")
    (file,) = source.glob("training/*/job-*.yaml")
    name = file.stem.removeprefix("job-")
    rename(source, name, f"{name[:-8]}00000000")

    ftgen("-o", "training", "cluster.priority_class=high")

    (kept,) = source.glob("training/*/job-*.yaml")
    assert kept.stem == f"job-{name[:-8]}00000000"
    assert "priorityClassName: high" in kept.read_text()


def test_a_sweep_grows_and_shrinks_without_touching_what_is_there(ftgen, at, tree):
    sweep = ("publish", *at, "-m", "+sweep.name=abl", "delivery.application=true")
    where = "delivery.repo_url=https://git.example.com/team/clusters.git"
    assert ftgen(*sweep, where, "trainer.lr=1e-4,2e-4,3e-4").code == 0
    first = jobs(tree)
    assert len(first) == 3
    assert any(path.startswith("_delivery/application-") for path in tree())

    again = ftgen(*sweep, where, "trainer.lr=1e-4,2e-4,3e-4")
    assert "unchanged" in again.err

    ftgen(*sweep, where, "trainer.lr=1e-4,2e-4,3e-4,4e-4")
    assert set(first) < set(jobs(tree))

    fewer = ftgen(*sweep, where, "trainer.lr=1e-4")
    assert fewer.code == 1
    assert "FT505" in fewer.err
    told = ftgen("diff", *at, "-m", "+sweep.name=abl", "trainer.lr=1e-4,2e-4,3e-4")
    assert "lr4e-4" in told.out

    meant = ftgen(*sweep, where, "trainer.lr=1e-4,2e-4", "--allow-shrink")
    assert meant.code == 0, meant.err
    assert len(jobs(tree)) == 4


def test_writers_that_meet_all_land(ftgen, at, tree, git, server):
    names = [f"run-{number}" for number in range(4)]

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda name: ftgen("publish", *at, f"name={name}"), names))

    assert [each.code for each in said] == [0] * 4, [each.err for each in said]
    assert [job[:5] for job in jobs(tree)] == names
    assert git(server, "rev-list", "--count", "main") == "5"
