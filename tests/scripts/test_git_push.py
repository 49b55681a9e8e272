"""train.sh pushes with the real git and git-lfs to a server with TLS, passwords and LFS."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from .gitserver import TOKEN, USER
from .pod import await_file, kill

if TYPE_CHECKING:
    from .gitserver import Forge
    from .pod import Pod

WEIGHTS = b"tuned weights\n" * 1000
CLI = 'echo "$1" >>"$STUB_HOME/ran"; mkdir -p "$OUTPUT_DIR/checkpoint-5"; cp -r "$STUB_HOME/result/." "$OUTPUT_DIR/"'


@pytest.fixture
def job(forge: Forge, pod: Pod) -> Pod:
    pod.program("llamafactory-cli", CLI)
    result = pod.home / "result"
    result.mkdir()
    (result / "model.safetensors").write_bytes(WEIGHTS)
    (result / "config.json").write_text("{}\n")
    (result / "tokenizer.json").write_bytes(b"{}")
    pod.env |= {
        "TRAIN_CONFIG": "stage: sft\n",
        "WORK_DIR": f"{pod.volume}/work dir",
        "OUTPUT_DIR": f"{pod.volume}/work dir/out",
        "OUTPUT_MODEL_URL": forge.create("out"),
        "GIT_SSL_CAINFO": str(forge.certificate),
        "MODEL_CARD": "# A card",
        "RETRY_SECONDS": "0",
    }
    return pod


def names(forge: Forge, branch: str = "sft-1") -> set[str]:
    return set(forge.git("out", "ls-tree", "-r", "--name-only", branch).splitlines())


def test_the_branch_holds_pointers_and_the_server_their_content(forge: Forge, job: Pod) -> None:
    (job.home / "result" / "tokenizer.json").write_bytes(b" " * 10485761)
    ended = job.run("train")
    assert ended.code == 0, ended.log
    assert forge.git("out", "for-each-ref", "--format=%(refname)") == "refs/heads/sft-1"
    assert names(forge) == {".gitattributes", "README.md", "config.json", "model.safetensors", "tokenizer.json"}
    oid = hashlib.sha256(WEIGHTS).hexdigest()
    assert f"oid sha256:{oid}" in forge.git("out", "show", "sft-1:model.safetensors")
    assert forge.object(oid).read_bytes() == WEIGHTS
    assert "oid sha256:" in forge.git("out", "show", "sft-1:tokenizer.json")
    assert forge.git("out", "show", "sft-1:README.md") == "# A card"
    assert forge.git("out", "log", "-1", "--format=%an <%ae> %s", "sft-1") == "ftgen <ftgen@localhost> sft-1"
    assert not list(job.volume.rglob(".ftgen-push"))


def test_the_pushed_branch_is_what_prepare_fetches(forge: Forge, job: Pod) -> None:
    assert job.run("train").code == 0
    where = {"MODEL_DIR": f"{job.volume}/served", "DATASET_DIR": str(job.home / "result")}
    ended = job.run("prepare", BASE_MODEL_URL=forge.address("out"), MODEL_REVISION="sft-1", **where)
    assert ended.code == 0, ended.log
    assert (job.volume / "served" / "model.safetensors").read_bytes() == WEIGHTS
    assert (job.volume / "served" / "tokenizer.json").read_bytes() == b"{}"


def test_the_token_shows_nowhere(forge: Forge, job: Pod) -> None:
    trace = job.home / "trace"
    ended = job.run("train", GIT_TRACE2_EVENT=str(trace), GIT_TRACE="1", GIT_CURL_VERBOSE="1")
    assert ended.code == 0, ended.log
    arguments = [event["argv"] for line in trace.read_text().splitlines() if "argv" in (event := json.loads(line))]
    assert any("git-lfs pre-push" in " ".join(words) or "lfs" in words for words in arguments)
    assert not any(TOKEN in " ".join(words) for words in arguments)
    assert TOKEN not in ended.log
    trace.unlink()
    files = [path for top in (job.volume, job.home, forge.bare("out")) for path in top.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert not any(TOKEN.encode() in path.read_bytes() for path in files)


def test_a_retry_updates_the_branch_on_top_of_what_is_there(forge: Forge, job: Pod) -> None:
    assert job.run("train").code == 0
    first = forge.git("out", "rev-parse", "sft-1")
    ended = job.run("train")
    assert "branch sft-1 holds this already" in ended.log
    assert forge.git("out", "rev-parse", "sft-1") == first
    ended = job.run("train", MODEL_CARD="# Another card")
    assert ended.code == 0, ended.log
    assert forge.git("out", "rev-parse", "sft-1^") == first
    assert forge.git("out", "show", "sft-1:README.md") == "# Another card"
    assert forge.git("out", "for-each-ref", "--format=%(refname)") == "refs/heads/sft-1"
    assert (job.home / "ran").read_text() == "train\n"


def test_a_repository_that_is_not_empty_keeps_its_branches(forge: Forge, job: Pod) -> None:
    main = forge.commit("out", {"README.md": b"ours"}, large={"old.bin": b"old"})
    ended = job.run("train")
    assert ended.code == 0, ended.log
    assert forge.git("out", "rev-parse", "main") == main
    ended = job.run("train", PUSH_BRANCH="main")
    assert ended.code == 0, ended.log
    assert forge.git("out", "rev-parse", "main^") == main
    assert "old.bin" not in names(forge, "main")


def test_a_refused_push_ends_the_pod_and_the_next_one_only_pushes(forge: Forge, job: Pod) -> None:
    hook = forge.bare("out") / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho GitLab: You are not allowed to push to this branch >&2\nexit 1\n")
    hook.chmod(0o755)
    ended = job.run("train", PUSH_RETRIES="2")
    assert ended.code == 1
    assert "refused branch sft-1" in ended.log
    assert "You are not allowed to push" in ended.log
    assert f"The weights are still in {job.volume}/work dir/out" in ended.log
    hook.unlink()
    assert job.run("train").code == 0
    assert (job.home / "ran").read_text() == "train\n"
    assert "model.safetensors" in names(forge)


@pytest.mark.parametrize("empty", [True, False])
def test_a_repository_may_name_its_objects_by_sha_256(forge: Forge, job: Pod, *, empty: bool) -> None:
    url = forge.create("new", "--object-format=sha256")
    if not empty:
        forge.commit("new", {"a": b"a"}, large={}, branch="sft-1")
    ended = job.run("train", OUTPUT_MODEL_URL=url, PUSH_RETRIES="1")
    assert ended.code == 0, ended.log
    assert len(forge.git("new", "rev-parse", "sft-1")) == 64
    assert f"oid sha256:{hashlib.sha256(WEIGHTS).hexdigest()}" in forge.git("new", "show", "sft-1:model.safetensors")


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_secret_may_end_in_a_line_break(forge: Forge, job: Pod, ends: str) -> None:
    ended = job.run("train", GIT_USER=USER + ends, GIT_TOKEN=TOKEN + ends)
    assert ended.code == 0, ended.log
    assert "model.safetensors" in names(forge)


def test_an_outage_is_outlasted(forge: Forge, job: Pod) -> None:
    job.program(
        "llamafactory-cli", f'{CLI}; touch "$STUB_HOME/trained"; until [ -e "$STUB_HOME/go" ]; do sleep 0.02; done'
    )
    container = job.start("train")
    assert await_file(job.home / "trained", container)
    forge.outages = 2
    (job.home / "go").touch()
    log, _ = container.communicate()
    assert container.returncode == 0, log
    assert "attempt 2 of 5" in log
    assert "model.safetensors" in names(forge)


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"GIT_TOKEN": "wrong"}, "the server refused the user or token"),
        ({"GIT_SSL_CAINFO": ""}, "is not trusted"),
        ({"OUTPUT_MODEL_URL": "/none"}, "is not there, or the user may not see it"),
    ],
)
def test_a_server_that_will_not_have_it_is_known_before_training(
    forge: Forge, job: Pod, env: dict[str, str], words: str
) -> None:
    if "OUTPUT_MODEL_URL" in env:
        env = {"OUTPUT_MODEL_URL": forge.address("none")}
    ended = job.run("train", **env)
    assert ended.code == 1
    assert words in ended.log
    assert not (job.home / "ran").exists()


def test_a_pod_that_dies_while_it_pushes_is_followed_by_one_that_pushes(forge: Forge, job: Pod) -> None:
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    stop = '[[ "$*" != *" push origin"* ]] || { touch "$STUB_HOME/here"; exec sleep 60; }'
    job.program("git", f'{stop}\nexec {real} "$@"')
    container = job.start("train")
    assert await_file(job.home / "here", container)
    kill(container)
    assert (job.volume / "work dir" / "out" / ".ftgen-push").is_dir()
    job.program("git", f'exec {real} "$@"')
    ended = job.run("train")
    assert ended.code == 0, ended.log
    assert "model.safetensors" in names(forge)
    assert (job.home / "ran").read_text() == "train\n"
    assert not list(job.volume.rglob(".ftgen-push"))
