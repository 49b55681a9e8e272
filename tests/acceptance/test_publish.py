"""A user publishes runs, changes them, and lets them end; the repository belongs to others as well."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess

import pytest
from tests.acceptance.conftest import FTGEN


def jobs(tree):
    return sorted(path.rpartition("/")[2][4:-5] for path in tree() if "/job-" in path)


def test_what_is_published_first_is_one_commit_that_names_its_source(ftgen, at, tree, git, server, source):
    said = ftgen("publish", *at, "cluster=lab")

    assert said.code == 0, said.err
    assert "1  job to be created" in said.err
    assert git(server, "rev-list", "--count", "main") == "2"
    scripts, path = sorted(path for path in tree() if path.endswith(".yaml"))
    assert scripts.startswith("sft-qwen3-0-6b/configmap-sft-qwen3-0-6b-scripts-")
    assert path.startswith("sft-qwen3-0-6b/job-sft-qwen3-0-6b-")
    assert "namespace: lab" in tree()[path]
    told = git(server, "log", "-1", "--format=%(trailers:key=Argocd-reference-commit-sha,valueonly)", "main")
    assert told.strip() == git(source, "rev-parse", "HEAD")
    assert git(server, "show", "main:clusters/app.yaml").startswith("apiVersion")


def test_publishing_the_same_again_makes_no_commit(ftgen, at, git, server):
    ftgen("publish", *at)
    before = git(server, "rev-parse", "main")

    said = ftgen("publish", *at)

    assert (said.code, "unchanged" in said.err) == (0, True)
    assert git(server, "rev-parse", "main") == before
    assert ftgen("diff", *at).code == 0


def test_a_change_that_a_running_job_takes_is_made_in_place(ftgen, at, tree):
    ftgen("publish", *at)
    first = jobs(tree)

    told = ftgen("diff", *at, "cluster.priority_class=high")
    said = ftgen("publish", *at, "cluster.priority_class=high")

    assert told.code == 1
    assert "(in-place)" in told.out
    assert said.code == 0, said.err
    assert "changed in place" in said.err
    assert jobs(tree) == first


def test_a_change_that_would_be_another_run_is_refused_until_it_is_meant(ftgen, at, tree):
    ftgen("publish", *at)
    first = jobs(tree)

    refused = ftgen("publish", *at, "trainer.lr=3e-4")
    assert refused.code == 1
    assert "FT506" in refused.err
    assert jobs(tree) == first

    meant = ftgen("publish", *at, "trainer.lr=3e-4", "--new-run")
    assert meant.code == 0, meant.err
    assert len(jobs(tree)) == 2
    assert set(first) < set(jobs(tree))


def test_a_file_of_somebody_elses_is_never_replaced(ftgen, at, tree, git, server, tmp_path):
    ftgen("publish", *at)
    (path,) = (path for path in tree() if "/job-" in path)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(server), str(clone))
    file = clone / "training" / path
    file.write_text(file.read_text().replace("queue: default", "queue: mine"))
    (clone / "training" / "theirs.yaml").write_text("theirs\n")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-am", "by hand")
    git(clone, "push", "--quiet", "origin", "main")

    refused = ftgen("publish", *at, "cluster.priority_class=high")
    assert refused.code == 1
    assert "FT503" in refused.err
    assert "queue: mine" in refused.err

    meant = ftgen("publish", *at, "cluster.priority_class=high", "--overwrite")
    assert meant.code == 0, meant.err
    assert tree()["theirs.yaml"] == "theirs\n"
    assert "queue: mine" not in tree()[path]


def test_a_protected_branch_is_told_and_a_branch_for_a_pull_request_is_offered(ftgen, at, git, server):
    hook = server / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" = refs/heads/main ] && { echo "main is protected" >&2; exit 1; }\nexit 0\n')
    hook.chmod(0o755)

    refused = ftgen("publish", *at)
    assert refused.code == 1
    assert "FT524" in refused.err
    assert "--branch-per-sweep" in refused.err

    said = ftgen("publish", *at, "--branch-per-sweep")
    assert said.code == 0, said.err
    assert "ftgen/sft-qwen3-0-6b" in git(server, "branch", "--format=%(refname:short)")


def test_nothing_of_a_hostile_working_copy_is_run(ftgen, git, server, tmp_path):
    clone, witness = tmp_path / "clone", tmp_path / "witness"
    git(tmp_path, "clone", "--quiet", str(server), str(clone))
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {witness}\ncat\n")
    program.chmod(0o755)
    for hook in ("pre-commit", "post-commit", "pre-push", "reference-transaction", "post-checkout"):
        (clone / ".git" / "hooks" / hook).write_text(program.read_text())
        (clone / ".git" / "hooks" / hook).chmod(0o755)
    (clone / ".gitattributes").write_text("* filter=evil diff=evil\n")
    for key in (
        "filter.evil.clean",
        "core.fsmonitor",
        "core.sshCommand",
        "gpg.program",
        "core.pager",
        "alias.commit-tree",
    ):
        git(clone, "config", key, str(program))
    witness.unlink(missing_ok=True)

    said = ftgen("publish", "--repo", str(clone), "--branch", "main", "--path", "training")

    assert said.code == 0, said.err
    assert not witness.exists()
    assert "ftgen.lock" in git(clone, "-c", "core.fsmonitor=false", "ls-tree", "-r", "--name-only", "main")


@pytest.mark.parametrize(
    "words",
    [
        ("--repo", "ext::sh -c true", "--branch", "main"),
        ("--repo=--upload-pack=touch", "--branch", "main"),
        ("--repo", "https://git.example.com/t.git", "--branch=-f"),
        ("--repo", "https://git.example.com/t.git", "--branch", "main", "--path", "../outside"),
    ],
)
def test_addresses_that_are_programs_or_options_are_refused(ftgen, words):
    said = ftgen("publish", *words)

    assert said.code == 1
    assert "FT520" in said.err


def test_who_gives_up_waiting_leaves_nothing(source, tmp_path, home):
    """A server that takes the connection and never answers."""
    (tmp_path / "scratch").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/t.git"
        line = [str(FTGEN), "publish", "--repo", url, "--branch", "main"]
        env = {**os.environ, "TMPDIR": str(tmp_path / "scratch")}
        waiting = subprocess.Popen(line, cwd=source, env=env, stderr=subprocess.PIPE, text=True)
        connection, _ = deaf.accept()
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate()
        connection.close()
    assert waiting.returncode == 130
    assert "Traceback" not in said
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_source_that_is_not_committed_is_not_pushed(ftgen, at, source, git, server):
    (source / "conf" / "cluster" / "lab.yaml").write_text("defaults: [alauda]\nnamespace: other\n")

    assert "FT523" in ftgen("publish", *at).err
    assert git(server, "rev-list", "--count", "main") == "1"
    assert ftgen("publish", *at, "--allow-dirty").code == 0


def test_a_secret_from_the_environment_is_refused_with_the_key_that_brought_it(ftgen, at, source, git, server):
    token = "hf_" + "a1B2" * 9
    key = "hardware.env.HF_HUB"
    words = (f"+{key}=${{oc.env:SECRET_OF_MINE}}",)

    for verb in ((), ("publish", *at)):
        said = ftgen(*verb, *words, env={"SECRET_OF_MINE": token})
        assert said.code == 1
        assert "FT441" in said.err
        assert key in said.err
        assert token not in said.err + said.out
    assert not (source / "out").exists()
    assert git(server, "rev-list", "--count", "main") == "1"


def test_what_is_wrong_with_the_words_is_told_as_usage(ftgen, at):
    assert ftgen("publish").code == 2
    assert ftgen("publish", "--repo", "x").code == 2
    assert ftgen("archive", *at).code == 2
    assert ftgen("diff", "one").code == 2
    assert ftgen("rebuild", "a", "b").code == 2


def test_diff_speaks_to_people_programs_and_reviewers(ftgen, at):
    ftgen("publish", *at)

    as_json = ftgen("diff", *at, "trainer.lr=3e-4", "--json")
    markdown = ftgen("diff", *at, "name=other", "--format", "markdown")

    scripts, change = json.loads(as_json.out)
    assert (scripts["kind"], scripts["status"]) == ("ConfigMap", "unchanged")
    assert (change["class"], change["status"]) == ("new run", "changed")
    assert as_json.code == markdown.code == 1
    assert "### Added" in markdown.out
    assert "`name=other`" in markdown.out


def test_a_published_manifest_is_rebuilt_from_what_it_says_of_itself(ftgen, at, git, server, tmp_path):
    ftgen("publish", *at, "-m", "trainer.lr=1e-4,2e-4", "trainer.args.lora_rank=16")
    ftgen("rerun", *at, "*lr1e-4*")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(server), str(clone))
    files = sorted(clone.glob("training/*/job-*.yaml"))
    assert len(files) == 3

    for file in files:
        assert ftgen("rebuild", str(file)).code == 0
    files[0].write_text(files[0].read_text().replace("lora_rank: 16", "lora_rank: 8"))
    said = ftgen("rebuild", str(files[0]))
    assert said.code == 1
    assert "lora_rank: 8 -> 16" in said.out


def test_a_whole_branch_is_compared_with_what_its_runs_render_to(ftgen, at, git, server, tmp_path):
    ftgen("publish", *at, "-m", "trainer.lr=1e-4,2e-4")
    ftgen("archive", *at, "*lr1e-4*")

    same = ftgen("rebuild", *at)
    assert same.code == 0, same.out
    assert same.err == "1 run rendered again, nothing differs; 1 archived: history, not rendered again\n"

    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(server), str(clone))
    (edited,) = clone.glob("training/*/job-*lr2e-4*.yaml")
    edited.write_text(edited.read_text().replace("learning_rate: 0.0002", "learning_rate: 0.5"))
    (edited.parent / "job-mine.yaml").write_text("kind: Job\n")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "By hand")
    git(clone, "push", "--quiet")

    said = ftgen("rebuild", *at)

    folder = edited.parent.name
    assert said.code == 1
    assert f"{folder}/job-mine.yaml: ftgen did not write it" in said.out
    assert f"{folder}/{edited.name}: edited since ftgen wrote it (new run)\n    spec.tasks[train]" in said.out


def commits(tree):
    """The commit of the configuration that each job records, by its label."""
    found = [(text, re.search(r'config-commit: "([0-9a-f]{40})"', text)) for _, text in sorted(tree().items())]
    return {re.search(r'"label": "([^"]*)"', text)[1]: sha[1] for text, sha in found if sha}


def test_a_manifest_records_the_commit_of_the_configuration_that_it_was_first_published_from(
    ftgen, at, tree, git, source, server, tmp_path
):
    ftgen("publish", *at, "-m", "trainer.lr=1e-4,2e-4", "cluster=lab")
    first = git(source, "rev-parse", "HEAD").strip()
    assert commits(tree) == {"lr1e-4": first, "lr2e-4": first}
    names = jobs(tree)

    # Another commit changes nothing of the runs that it does not concern, and is recorded by a new one.
    git(source, "commit", "--quiet", "--allow-empty", "-m", "Another")
    second = git(source, "rev-parse", "HEAD").strip()
    assert "unchanged" in ftgen("publish", *at, "-m", "trainer.lr=1e-4,2e-4", "cluster=lab").err
    assert ftgen("diff", *at, "-m", "trainer.lr=1e-4,2e-4", "cluster=lab").code == 0
    ftgen("publish", *at, "-m", "trainer.lr=1e-4,2e-4,3e-4", "cluster=lab")
    assert commits(tree) == {"lr1e-4": first, "lr2e-4": first, "lr3e-4": second}
    assert set(names) < set(jobs(tree))

    # A change in place is told without it, and records the commit that made it.
    words = ("-m", "trainer.lr=1e-4,2e-4,3e-4", "cluster=lab", "cluster.priority_class=high")
    assert "config-commit" not in ftgen("diff", *at, *words).out
    git(source, "commit", "--quiet", "--allow-empty", "-m", "A third")
    ftgen("publish", *at, *words)
    assert set(commits(tree).values()) == {git(source, "rev-parse", "HEAD").strip()}

    # What is read or written beside a publish takes it as it is.
    assert ftgen("rebuild", *at).code == 0
    ftgen("archive", *at, "*lr1e-4*")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(server), str(clone))
    for file in clone.glob("training/*/job-*.yaml"):
        assert ftgen("rebuild", str(file)).code == 0
    assert ftgen(*words, "-o", str(clone / "training")).code == 0
    assert git(clone, "status", "--porcelain") == ""

    # It is where to look when the configuration gives something else now.
    (source / "conf" / "cluster" / "lab.yaml").write_text("# Ours.\ndefaults: [alauda]\nnamespace: other\n")
    told = ftgen("rebuild", *at)
    assert told.code == 1
    last = git(source, "rev-parse", "HEAD")[:12]
    assert f"something else now than at the commit {last} that it was published from (new run)" in told.out
    file = next(clone.glob("training/*/job-*lr2e-4*.yaml"))
    assert f"was published from the commit {last}" in ftgen("rebuild", str(file)).err


def test_a_configuration_with_changes_is_recorded_by_no_commit(ftgen, at, tree, source):
    (source / "conf" / "cluster" / "lab.yaml").write_text("# The lab's cluster.\ndefaults: [alauda]\n")

    assert ftgen("publish", *at, "-m", "trainer.lr=1e-4,2e-4", "--allow-dirty").code == 0

    assert len(jobs(tree)) == 2
    assert commits(tree) == {}
