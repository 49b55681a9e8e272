"""prepare.sh with the real git and git-lfs against a server with TLS, passwords and LFS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from .gitserver import BASIC, TOKEN, USER
from .pod import Pod, await_file, end, kill

if TYPE_CHECKING:
    from pathlib import Path

    from .gitserver import Forge

WEIGHTS = os.urandom(300_000)
SMALL = {"config.json": b"{}\n", "tokenizer.json": b'{"model": {}}\n'}


@pytest.fixture
def job(forge: Forge, pod: Pod) -> Pod:
    """A job whose model is to be fetched; its dataset lies there."""
    forge.create("Qwen3-0.6B")
    forge.commit("Qwen3-0.6B", SMALL, large={"model.safetensors": WEIGHTS, "onnx/copy of it.bin": WEIGHTS})
    (pod.volume / "data").mkdir(parents=True)
    (pod.volume / "data" / "dataset_info.json").write_text("{}\n")
    pod.env |= {
        "BASE_MODEL_URL": forge.address("Qwen3-0.6B"),
        "MODEL_DIR": f"{pod.volume}/Qwen3-0.6B",
        "DATASET_DIR": f"{pod.volume}/data",
        "GIT_SSL_CAINFO": str(forge.certificate),
        "LOCK_TIMEOUT": "3",
        "RETRY_SECONDS": "0",
        "MODEL_NEEDS_MIB": "1",
    }
    return pod


@pytest.fixture
def both(forge: Forge, job: Pod) -> Pod:
    """The same, and the dataset is to be fetched too."""
    forge.create("identity")
    forge.commit("identity", {"README.md": b"# data\n"}, large={"identity.jsonl": b'{"a": 1}\n'})
    job.env |= {
        "DATASET_URL": forge.address("identity"),
        "DATASET_DIR": f"{job.volume}/identity",
        "DATASET_INFO": '{"identity": {"file_name": "identity.jsonl"}}',
    }
    return job


def model(pod: Pod) -> Path:
    return pod.volume / "Qwen3-0.6B"


def is_whole(pod: Pod) -> bool:
    return (
        (model(pod) / "model.safetensors").read_bytes() == WEIGHTS
        and (model(pod) / "onnx" / "copy of it.bin").read_bytes() == WEIGHTS
        and (model(pod) / "config.json").read_bytes() == SMALL["config.json"]
    )


def clone(forge: Forge, pod: Pod, *, smudge: bool) -> None:
    """What people do by hand: a plain clone, its password in the URL."""
    url = forge.address("Qwen3-0.6B")
    words = ["-c", "http.sslVerify=false", "-c", f"http.extraHeader=Authorization: {BASIC}", "clone", "-q"]
    env = os.environ | {"GIT_LFS_SKIP_SMUDGE": "1"}
    subprocess.run(["git", *words, url, model(pod)], env=env, check=True)
    secret = url.replace("://", f"://{USER}:{TOKEN}@")
    subprocess.run(["git", "-C", model(pod), "remote", "set-url", "origin", secret], check=True)
    if smudge:
        for path in ("model.safetensors", "onnx/copy of it.bin"):
            (model(pod) / path).write_bytes(WEIGHTS)


def test_an_empty_volume_is_filled_and_nothing_else_stays(both: Pod) -> None:
    job = both
    shutil.rmtree(job.volume)
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert is_whole(job)
    assert (job.volume / "identity" / "identity.jsonl").read_bytes() == b'{"a": 1}\n'
    assert json.loads((job.volume / "identity" / "dataset_info.json").read_text()) == {
        "identity": {"file_name": "identity.jsonl"}
    }
    assert sorted(path.name for path in job.volume.iterdir()) == ["Qwen3-0.6B", "identity"]
    assert not list(job.volume.rglob(".git"))
    assert not list((job.home / "tmp").iterdir())
    assert not list((job.home / "root").iterdir())


def test_what_is_complete_costs_no_request(forge: Forge, job: Pod) -> None:
    job.run("prepare")
    forge.requests.clear()
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert forge.requests == []
    assert "prepare: model: complete in" in ended.log


def test_the_token_shows_nowhere(both: Pod) -> None:
    job = both
    trace = job.home / "trace"
    ended = job.run("prepare", GIT_TRACE2_EVENT=str(trace), GIT_TRACE="1", GIT_CURL_VERBOSE="1")
    assert ended.code == 0, ended.log
    arguments = [event["argv"] for line in trace.read_text().splitlines() if "argv" in (event := json.loads(line))]
    assert any("remote-https" in " ".join(words) for words in arguments)
    assert any("credential" in " ".join(words) for words in arguments)
    assert not any(TOKEN in " ".join(words) for words in arguments)
    assert TOKEN not in ended.log
    trace.unlink()
    files = [path for top in (job.volume, job.home) for path in top.rglob("*") if path.is_file()]
    assert files
    assert not any(TOKEN.encode() in path.read_bytes() for path in files)


def test_old_git_gets_the_token_too(job: Pod) -> None:
    """git before 2.31 knows no GIT_CONFIG_COUNT: nothing may depend on it."""
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    job.program("git", f'unset "${{!GIT_CONFIG_@}}"; export GIT_CONFIG_NOSYSTEM=1; exec {real} "$@"')
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert is_whole(job)


@pytest.mark.parametrize("trust", [{"GIT_SSL_NO_VERIFY": "true"}, {"GIT_SSL_NO_VERIFY": "1"}])
def test_verification_can_be_turned_off_for_git_and_lfs(job: Pod, trust: dict[str, str]) -> None:
    del job.env["GIT_SSL_CAINFO"]
    ended = job.run("prepare", **trust)
    assert ended.code == 0, ended.log
    assert is_whole(job)


def test_an_unknown_certificate_is_refused_at_once(forge: Forge, job: Pod) -> None:
    del job.env["GIT_SSL_CAINFO"]
    ended = job.run("prepare", GIT_SSL_NO_VERIFY="false")
    assert ended.code == 1
    assert f"the certificate of {forge.address('Qwen3-0.6B')} is not trusted" in ended.log
    assert "attempt" not in ended.log


def test_a_wrong_token_is_refused_at_once(job: Pod) -> None:
    ended = job.run("prepare", GIT_TOKEN="wrong")
    assert ended.code == 1
    assert "the server refused the user or token" in ended.log
    assert "attempt" not in ended.log
    assert [path.name for path in job.volume.iterdir()] == ["data"]


def test_a_repository_does_not_choose_its_lfs_server(forge: Forge, job: Pod) -> None:
    """localhost is this server under another name: a different host to git."""
    lfs = forge.address("elsewhere").replace("127.0.0.1", "localhost")
    lfsconfig = f"[lfs]\n\turl = {lfs}.git/info/lfs\n\tskipdownloaderrors = true\n".encode()
    large = {"model.safetensors": WEIGHTS, "onnx/copy of it.bin": WEIGHTS}
    forge.commit("Qwen3-0.6B", SMALL | {".lfsconfig": lfsconfig}, large=large)
    ended = job.run("prepare", GIT_SSL_NO_VERIFY="true", GIT_SSL_CAINFO="")
    assert ended.code == 0, ended.log
    assert is_whole(job)
    assert forge.count("elsewhere") == 0


def test_the_token_goes_to_no_other_host(forge: Forge, job: Pod) -> None:
    """Where a server's own answer leads to another name of it, that name gets no token."""
    job.env["BASE_MODEL_URL"] = forge.address("Qwen3-0.6B").replace("127.0.0.1", "localhost")
    ended = job.run("prepare", GIT_SSL_NO_VERIFY="true", GIT_SSL_CAINFO="")
    assert ended.code == 1
    assert forge.count("batch download") == 0


@pytest.mark.parametrize("repo", ["nothing", "empty"])
def test_a_repository_without_content_is_named(forge: Forge, job: Pod, repo: str) -> None:
    if repo == "empty":
        forge.create(repo)
    ended = job.run("prepare", BASE_MODEL_URL=forge.address(repo))
    assert ended.code == 1
    assert f"prepare: model: error: {forge.address(repo)}" in ended.log
    assert "attempt" not in ended.log


def test_a_branch_a_tag_and_a_commit_can_be_asked_for(forge: Forge, job: Pod) -> None:
    first = forge.git("Qwen3-0.6B", "rev-parse", "main")
    forge.git("Qwen3-0.6B", "tag", "-m", "t", "v1", first)
    forge.commit("Qwen3-0.6B", SMALL | {"config.json": b"{2}"}, large={"model.safetensors": b"2"})
    forge.commit("Qwen3-0.6B", SMALL | {"config.json": b"{dev}"}, large={"model.safetensors": b"3"}, branch="dev/x")
    for revision, config in {first: b"{}\n", first[:9]: b"{}\n", "v1": b"{}\n", "dev/x": b"{dev}", "": b"{2}"}.items():
        where = job.volume / f"by-{revision.replace('/', '-')}"
        ended = job.run("prepare", MODEL_DIR=str(where), MODEL_REVISION=revision)
        assert ended.code == 0, ended.log
        assert (where / "config.json").read_bytes() == config


def test_a_commit_that_the_server_does_not_hand_out_alone(forge: Forge, job: Pod) -> None:
    first = forge.git("Qwen3-0.6B", "rev-parse", "main")
    forge.commit("Qwen3-0.6B", SMALL | {"config.json": b"{2}"}, large={"model.safetensors": b"2"})
    forge.git("Qwen3-0.6B", "config", "uploadpack.allowAnySHA1InWant", "false")
    forge.git("Qwen3-0.6B", "config", "protocol.version", "0")
    ended = job.run("prepare", MODEL_REVISION=first)
    assert ended.code == 0, ended.log
    assert is_whole(job)


def test_a_revision_that_does_not_exist_is_named(job: Pod) -> None:
    for revision in ("v9", "0123456789abcdef0123456789abcdef01234567"):
        ended = job.run("prepare", MODEL_REVISION=revision)
        assert ended.code == 1
        assert f"no branch, tag or commit {revision}" in ended.log


def test_a_moved_branch_is_not_followed_but_another_revision_is_refused(forge: Forge, job: Pod) -> None:
    assert job.run("prepare", MODEL_REVISION="main").code == 0
    forge.git("Qwen3-0.6B", "tag", "same", "main")
    held = forge.git("Qwen3-0.6B", "rev-parse", "main")
    forge.commit("Qwen3-0.6B", SMALL, large={"model.safetensors": b"new"}, branch="dev")
    forge.commit("Qwen3-0.6B", SMALL, large={"model.safetensors": b"newer"})
    for revision in ("", "main", "same", held, held[:8]):
        ended = job.run("prepare", MODEL_REVISION=revision)
        assert ended.code == 0, ended.log
    for revision in ("dev", forge.git("Qwen3-0.6B", "rev-parse", "dev")):
        ended = job.run("prepare", MODEL_REVISION=revision)
        assert ended.code == 1
        assert f"holds commit {held}" in ended.log
        assert f"this job wants {forge.address('Qwen3-0.6B')} at {revision}" in ended.log
    assert is_whole(job)


def test_another_repository_of_the_same_name_is_refused(forge: Forge, job: Pod) -> None:
    assert job.run("prepare").code == 0
    other = forge.create("other")
    ended = job.run("prepare", BASE_MODEL_URL=other)
    assert ended.code == 1
    assert f"this job wants {other}" in ended.log


def test_a_fetched_folder_that_lost_a_file_is_repaired(both: Pod) -> None:
    job = both
    assert job.run("prepare").code == 0
    (model(job) / "tokenizer.json").unlink()
    (job.volume / "identity" / "README.md").unlink()
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert ended.log.count("lost or cut short") == 4
    assert is_whole(job)
    assert sorted(path.name for path in job.volume.iterdir()) == ["Qwen3-0.6B", "data", "identity"]


def work_in_a_fetched_folder(job: Pod, *, size: int) -> dict[str, bytes]:
    """Mends a row by hand and adds a file, beside what was lost."""
    assert job.run("prepare").code == 0
    (model(job) / "tokenizer.json").unlink()
    (model(job) / "config.json").write_bytes(b"[]\n"[:size])
    return {"config.json": b"[]\n"[:size]}


def work_in_a_clone(forge: Forge, job: Pod) -> dict[str, bytes]:
    """Commits what is pushed nowhere, and deletes a file."""
    clone(forge, job, smudge=True)
    (model(job) / "mine.txt").write_bytes(b"mine")
    (model(job) / "config.json").unlink()
    return {"mine.txt": b"mine", ".git/HEAD": b"ref: refs/heads/main\n"}


@pytest.mark.parametrize("way", ["mended", "cut", "added", "clone", "by hand"])
def test_what_somebody_worked_on_is_kept(forge: Forge, job: Pod, way: str) -> None:
    if way in {"mended", "cut"}:
        mine = work_in_a_fetched_folder(job, size=3 if way == "mended" else 2)
    elif way == "added":
        mine = work_in_a_fetched_folder(job, size=3) and {"notes": b"old"}
        (model(job) / "config.json").write_bytes(SMALL["config.json"])
        (model(job) / "notes").write_bytes(b"old")
        for path in (model(job) / "config.json", model(job) / "notes"):
            os.utime(path, (0, 0))
    elif way == "clone":
        mine = work_in_a_clone(forge, job)
    else:
        mine = {"config.json": b"{}", "weights.bin": forge.pointer(WEIGHTS)}
        model(job).mkdir()
        for name, data in mine.items():
            (model(job) / name).write_bytes(data)
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert is_whole(job)
    (kept,) = job.volume.glob("Qwen3-0.6B.replaced-*")
    assert f"kept as {kept}" in ended.log
    assert {name: (kept / name).read_bytes() for name in mine} == mine
    assert job.run("prepare").code == 0
    assert len(list(job.volume.iterdir())) == 3


def test_a_file_in_a_folder_s_place_is_left_alone(job: Pod) -> None:
    model(job).write_bytes(b"mine")
    ended = job.run("prepare")
    assert ended.code == 1
    assert f"{model(job)} is no folder: move it away" in ended.log
    assert model(job).read_bytes() == b"mine"


def test_a_folder_may_be_a_link(job: Pod) -> None:
    assert job.run("prepare").code == 0
    model(job).rename(job.volume / "store")
    model(job).symlink_to("store")
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert "fetching" not in ended.log
    assert model(job).is_symlink()


def test_a_whole_clone_is_used_as_it_is(forge: Forge, job: Pod) -> None:
    clone(forge, job, smudge=True)
    forge.requests.clear()
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert "of a clone of" in ended.log
    assert ".git/config holds a user or token" in ended.log
    assert TOKEN not in ended.log
    assert forge.count("Qwen3-0.6B") == 0
    assert (model(job) / ".git").is_dir()


@pytest.mark.parametrize("damage", ["pointers", "cut", "deleted", "no commit"])
def test_an_interrupted_clone_is_fetched_again(forge: Forge, job: Pod, damage: str) -> None:
    clone(forge, job, smudge=damage != "pointers")
    if damage == "cut":
        (model(job) / "model.safetensors").write_bytes(WEIGHTS[:2000])
    elif damage == "deleted":
        (model(job) / "config.json").unlink()
    elif damage == "no commit":
        (model(job) / ".git" / "HEAD").write_text("ref: refs/heads/nowhere\n")
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert is_whole(job)
    assert not (model(job) / ".git").exists()


def test_a_clone_of_something_else_is_refused(forge: Forge, job: Pod) -> None:
    clone(forge, job, smudge=True)
    forge.commit("Qwen3-0.6B", SMALL, large={"model.safetensors": b"new"}, branch="dev")
    assert "this job wants" in job.run("prepare", MODEL_REVISION="dev").log
    assert job.run("prepare", MODEL_REVISION="main").code == 0
    assert job.run("prepare", BASE_MODEL_URL=forge.create("other")).code == 1


def test_a_clone_needs_no_url(forge: Forge, job: Pod) -> None:
    clone(forge, job, smudge=True)
    ended = job.run("prepare", BASE_MODEL_URL="")
    assert ended.code == 0, ended.log
    assert "warning: nobody" not in ended.log
    assert "nobody can tell whether" in job.run("prepare", BASE_MODEL_URL="", MODEL_REVISION="v2").log


def test_what_was_fetched_at_another_revision_is_refused_without_a_url_too(forge: Forge, job: Pod) -> None:
    commit = forge.git("Qwen3-0.6B", "rev-parse", "main")
    forge.git("Qwen3-0.6B", "tag", "v1", commit)
    assert job.run("prepare", MODEL_REVISION="v1").code == 0
    for revision in ("", "v1", commit, commit[:9]):
        assert job.run("prepare", BASE_MODEL_URL="", MODEL_REVISION=revision).code == 0
    ended = job.run("prepare", BASE_MODEL_URL="", MODEL_REVISION="v2")
    assert ended.code == 1
    assert "revision v1, and this job wants v2" in ended.log


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_repository_may_name_its_objects_by_sha_256(forge: Forge, job: Pod, *, by_hand: bool) -> None:
    job.env["BASE_MODEL_URL"] = forge.create("new", "--object-format=sha256")
    commit = forge.commit("new", SMALL, large={"model.safetensors": WEIGHTS, "onnx/copy of it.bin": WEIGHTS})
    assert len(commit) == 64
    if by_hand:
        subprocess.run(["git", "clone", "-q", forge.bare("new"), model(job)], check=True)
        job.env["BASE_MODEL_URL"] = str(forge.bare("new"))
        for path in ("model.safetensors", "onnx/copy of it.bin"):
            (model(job) / path).write_bytes(WEIGHTS)
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert f"complete in {model(job)}: commit {commit}" in ended.log
    assert ("fetching" in ended.log) != by_hand
    assert is_whole(job)


@pytest.mark.parametrize("ends", ["\n", "\r\n", " \n\n"])
def test_a_secret_may_end_in_a_line_break(job: Pod, ends: str) -> None:
    ended = job.run("prepare", GIT_USER=USER + ends, GIT_TOKEN=ends + TOKEN + ends)
    assert ended.code == 0, ended.log
    assert is_whole(job)


def test_an_lfsconfig_cannot_hold_weights_back(forge: Forge, job: Pod) -> None:
    lfsconfig = {".lfsconfig": b"[lfs]\n\tfetchexclude = *\n"}
    large = {"model.safetensors": WEIGHTS, "onnx/copy of it.bin": WEIGHTS}
    forge.commit("Qwen3-0.6B", SMALL | lfsconfig, large=large)
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert is_whole(job)


def test_an_object_missing_on_the_server_is_an_error(forge: Forge, job: Pod) -> None:
    for path in (forge.root / "lfs").iterdir():
        path.unlink()
    ended = job.run("prepare")
    assert ended.code == 1
    assert "one of its large files is not there" in ended.log
    assert not model(job).exists()


def test_an_outage_is_outlasted(forge: Forge, job: Pod) -> None:
    forge.outages, forge.cut = 2, 1
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert "attempt 2 of 5" in ended.log
    assert is_whole(job)


def test_a_long_outage_ends_the_pod_and_leaves_no_lock(forge: Forge, job: Pod) -> None:
    forge.outages = 1000
    ended = job.run("prepare", FETCH_RETRIES="2")
    assert ended.code == 1
    assert "failed 2 times" in ended.log
    assert [path.name for path in job.volume.iterdir()] == ["data"]


def test_eight_pods_fetch_once(forge: Forge, both: Pod) -> None:
    job = both
    pods = [Pod(job.home.parent / f"pod-{n}", job.volume, job.env) for n in range(8)]
    ended = [end(container) for container in [pod.start("prepare") for pod in pods]]
    assert [one.code for one in ended] == [0] * 8, ended
    assert is_whole(job)
    assert forge.count(r"POST /Qwen3-0.6B\.git/git-upload-pack") == forge.count("POST /identity.git/git-upload-pack")
    assert forge.count("batch download") == 2
    assert "".join(one.log for one in ended).count("fetching https") == 2
    assert sorted(path.name for path in job.volume.iterdir()) == ["Qwen3-0.6B", "data", "identity"]


def test_a_killed_fetch_is_continued_by_the_next_pod(forge: Forge, job: Pod) -> None:
    """The dead pod's lock expires; its large files are not fetched again."""
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    stop = f'[[ "$*" != *" lfs fetch"* ]] || {{ {real} "$@"; touch "$STUB_HOME/here"; exec sleep 100; }}'
    job.program("git", f'{stop}\nexec {real} "$@"')
    container = job.start("prepare")
    assert await_file(job.home / "here", container)
    kill(container)
    assert not model(job).exists()
    job.program("git", f'exec {real} "$@"')
    before, began = forge.count("GET /lfs/"), time.monotonic()
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert time.monotonic() - began > 2
    assert "its lock is void" in ended.log
    assert "continuing an interrupted fetch" in ended.log
    assert is_whole(job)
    assert forge.count("GET /lfs/") == before
    assert sorted(path.name for path in job.volume.iterdir()) == ["Qwen3-0.6B", "data"]


def test_without_a_data_set_the_model_alone_is_fetched(job: Pod) -> None:
    """A service has none."""
    del job.env["DATASET_DIR"]
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert is_whole(job)
    assert [entry.name for entry in job.volume.iterdir() if not entry.name.startswith(".")] == ["Qwen3-0.6B", "data"]


def test_an_adapter_is_fetched_beside_its_base(forge: Forge, job: Pod) -> None:
    del job.env["DATASET_DIR"]
    forge.create("result")
    adapter = {"adapter_config.json": b"{}\n"}
    forge.commit("result", adapter, large={"adapter_model.safetensors": WEIGHTS}, branch="sft-1a2b3c4d")
    job.env |= {
        "ADAPTER_URL": forge.address("result"),
        "ADAPTER_DIR": f"{job.volume}/sft-1a2b3c4d",
        "ADAPTER_REVISION": "sft-1a2b3c4d",
    }
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert is_whole(job)
    assert (job.volume / "sft-1a2b3c4d" / "adapter_model.safetensors").read_bytes() == WEIGHTS
    asked = len(forge.requests)
    assert job.run("prepare").code == 0
    assert len(forge.requests) == asked


def test_what_is_no_adapter_is_refused(forge: Forge, job: Pod) -> None:
    forge.create("result")
    forge.commit("result", {"config.json": b"{}\n"}, large={"model.safetensors": WEIGHTS})
    job.env |= {"ADAPTER_URL": forge.address("result"), "ADAPTER_DIR": f"{job.volume}/result"}
    ended = job.run("prepare")
    assert ended.code == 1
    assert "is no adapter" in ended.log
