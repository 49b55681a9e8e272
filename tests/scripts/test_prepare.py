"""prepare.sh with stub programs: what lies on the volume, who fetches, and when a pod dies."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from .gitserver import TOKEN
from .pod import Pod, await_file, end, kill

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

WEIGHTS = b"weights\n"
OID = hashlib.sha256(WEIGHTS).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize {len(WEIGHTS)}\n"
URL = "https://git.example.com/group/Qwen3-0.6B"
DATA_URL = "https://git.example.com/group/data"
COMMIT = "c0ffee" + "0" * 34

# A git whose every repository has one commit with one large file. $STUB_HOME/broken: what it says
# instead of fetching, once for each line.
GIT = f"""
dir=. tree=
while :; do
  case $1 in
    -C) dir=$2; shift 2 ;;
    --git-dir) shift 2 ;;
    --work-tree) tree=$2; shift 2 ;;
    *) break ;;
  esac
done
case "$1 $2" in
  "config --file") printf '%s = %s\\n' "$5" "$6" >>"$3" ;;
  "config lfs.storage") echo "$3" >"$dir/.git/storage" ;;
  "init -q") mkdir -p "$3/.git" ;;
  "fetch -q")
    if [ -s "$STUB_HOME/broken" ]; then
      head -n 1 "$STUB_HOME/broken" >&2
      sed -i 1d "$STUB_HOME/broken"
      exit 128
    fi ;;
  "checkout-index --quiet") echo '{{}}' >"$tree/config.json"
    printf '{POINTER.replace(chr(10), chr(92) + "n")}' >"$tree/model.safetensors" ;;
  "rev-parse refs/ftgen/wanted") echo {COMMIT} ;;
  "lfs fetch")
    store=$(<"$dir/.git/storage")/objects/{OID[:2]}/{OID[2:4]}
    [ -e "$store/{OID}" ] || {{ echo downloaded >>"$STUB_HOME/downloads"; mkdir -p "$store"; }}
    printf 'weights\\n' >"$store/.new.$BASHPID" && mv "$store/.new.$BASHPID" "$store/{OID}" ;;
esac
"""


@pytest.fixture
def job(pod: Pod) -> Pod:
    pod.program("git", GIT)
    pod.env |= {
        "BASE_MODEL_URL": URL,
        "DATASET_URL": DATA_URL,
        "MODEL_DIR": f"{pod.volume}/model",
        "DATASET_DIR": f"{pod.volume}/data",
        "LOCK_TIMEOUT": "0",
        "RETRY_SECONDS": "0",
    }
    return pod


def put(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def local(job: Pod) -> Pod:
    """A job with nothing to fetch."""
    job.env |= {"BASE_MODEL_URL": "", "DATASET_URL": ""}
    put(job.volume / "data", {"data.jsonl": "{}\n"})
    return job


def fetches(job: Pod) -> int:
    return sum(" fetch -q" in call for call in job.calls)


# ---- what is called --------------------------------------------------------------------------------


def test_git_is_called_without_user_and_token(job: Pod) -> None:
    job.program("git", GIT + '\nenv >>"$STUB_HOME/environ"; cp "$HOME/.gitconfig" "$STUB_HOME/" || true')
    ended = job.run("prepare", MODEL_REVISION="v1")
    assert ended.code == 0, ended.log
    words = [call.removeprefix("git ") for call in job.calls if "config --file" not in call]
    store = words[1].split()[-1]
    work = store.removesuffix("/store")
    assert words[1:10] == [
        f"init -q {store}",
        f"-C {store} remote add origin {URL}",
        f"-C {store} config lfs.storage {work}/lfs",
        f"-C {store} fetch -q --depth 1 --no-tags origin v1",
        f"-C {store} update-ref refs/ftgen/wanted FETCH_HEAD^{{commit}}",
        f"--git-dir {store}/.git --work-tree {work}/tree read-tree refs/ftgen/wanted",
        f"--git-dir {store}/.git --work-tree {work}/tree checkout-index --quiet --all",
        f"-C {store} rev-parse refs/ftgen/wanted",
        f"-C {store} lfs fetch --include= --exclude= origin {COMMIT}",
    ]
    assert not any(TOKEN in call for call in job.calls)
    settings = (job.home / ".gitconfig").read_text()
    assert "credential.https://git.example.com.helper" in settings
    assert "credential.helper = \n" in settings
    assert "safe.directory = *" in settings
    assert TOKEN not in settings
    assert "GIT_TERMINAL_PROMPT=0" in (job.home / "environ").read_text()


def test_an_image_s_own_git_settings_stay_in_force(job: Pod) -> None:
    put(job.home / "root", {".gitconfig": "[http]\n\tproxy = http://proxy:3128\n"})
    job.program("git", GIT + '\ncp "$HOME/.gitconfig" "$STUB_HOME/" || true')
    assert job.run("prepare").code == 0
    assert f"include.path = {job.home}/root/.gitconfig" in (job.home / ".gitconfig").read_text()


def test_a_home_that_cannot_be_used_does_not_matter(job: Pod) -> None:
    ended = job.run("prepare", HOME="/proc/none")
    assert ended.code == 0, ended.log


def test_no_token_means_no_credentials(job: Pod) -> None:
    assert job.run("prepare", GIT_TOKEN="", GIT_USER="").code == 0
    assert not any("credential.https" in call for call in job.calls)


@pytest.mark.parametrize(
    ("program", "words"), [("exit 1", "the image has no git-lfs"), ('[ "$1" != lfs ]', "the image has no git-lfs")]
)
def test_an_image_without_git_lfs_is_named(job: Pod, program: str, words: str) -> None:
    job.program("git", program)
    ended = job.run("prepare")
    assert ended.code == 1
    assert words in ended.log


def test_a_data_set_alone_is_brought(job: Pod) -> None:
    ended = job.run("prepare", MODEL_DIR="", BASE_MODEL_URL="")
    assert ended.code == 0, ended.log
    assert ended.log.endswith(f"prepare: all: dataset in {job.volume}/data\n")
    assert [path.name for path in job.volume.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"BASE_MODEL_URL": f"https://me:{TOKEN}@git.example.com/x"}, "the URL holds a user or token"),
        ({"BASE_MODEL_URL": "https://me@git.example.com/x"}, "the URL holds a user or token"),
        ({"BASE_MODEL_URL": f"ssh://me:{TOKEN}@git.example.com/x"}, "the URL holds a user or token"),
        ({"MODEL_REVISION": "--upload-pack=x"}, "must not begin with a dash"),
        ({"GIT_SSL_CAINFO": "/none.pem"}, "GIT_SSL_CAINFO names /none.pem"),
        ({"MODEL_DIR": "", "DATASET_DIR": ""}, "there is nothing to bring"),
        ({"MODEL_NEEDS_MIB": "900000000"}, "MiB are missing"),
    ],
)
def test_what_cannot_work_is_refused_in_words(job: Pod, env: dict[str, str], words: str) -> None:
    ended = job.run("prepare", **env)
    assert ended.code != 0
    assert words in ended.log
    assert TOKEN not in ended.log
    assert fetches(job) == 0
    assert [path.name for path in job.volume.iterdir()] == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ssh://git@git.example.com:22/a/b.git", "ssh://git.example.com:22/a/b"),
        ("https://git.example.com/a/model@v2", "https://git.example.com/a/model@v2"),
        ("git@git.example.com:a/b@v2", "git@git.example.com:a/b@v2"),
        ("file:///a@b/c", "file:///a@b/c"),
        ("http://[::1]:8080/a@b", "http://[::1]:8080/a@b"),
    ],
)
def test_an_at_sign_may_stand_in_a_url(job: Pod, url: str, shown: str) -> None:
    ended = job.run("prepare", BASE_MODEL_URL=url)
    assert ended.code == 0, ended.log
    assert any(call.endswith(f"remote add origin {url}") for call in job.calls)
    assert f"of {shown}, revision (default)" in ended.log
    assert job.run("prepare", BASE_MODEL_URL=url).code == 0
    assert fetches(job) == 2


def test_missing_space_is_counted(job: Pod) -> None:
    job.program(
        "df", 'echo "Filesystem 1024-blocks Used Available Capacity Mounted on"; echo "nfs:/x 9 9 2048000 9% /mnt"'
    )
    ended = job.run("prepare", MODEL_NEEDS_MIB="3000")
    assert ended.code == 1
    assert f"{job.volume} has 2000 MiB free and needs 3000 MiB: 1000 MiB are missing" in ended.log
    assert job.run("prepare", MODEL_NEEDS_MIB="2000").code == 0


def test_a_volume_without_links_gets_copies(job: Pod) -> None:
    job.program("ln", "exit 1")
    assert job.run("prepare").code == 0
    assert sum(call.startswith("ln ") for call in job.calls) == 2
    assert (job.volume / "model" / "model.safetensors").read_bytes() == WEIGHTS


# ---- what lies there -------------------------------------------------------------------------------


def test_a_model_put_there_by_hand_is_used(job: Pod) -> None:
    put(job.volume / "model", {"config.json": "{}", "model.safetensors": "x"})
    ended = job.run("prepare", DATASET_URL="", DATASET_DIR=str(put(job.volume / "d", {"a.json": "[]"})))
    assert ended.code == 0, ended.log
    assert fetches(job) == 0
    ended = job.run("prepare", DATASET_URL="", DATASET_DIR=str(job.volume / "d"), MODEL_REVISION="v1")
    assert ended.code == 0
    assert "nobody can tell whether" in ended.log


@pytest.mark.parametrize("index", [None, '{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}'])
def test_a_half_uploaded_model_is_refused_and_kept(job: Pod, index: str | None) -> None:
    files = (
        {"config.json": "{}", "m-1.safetensors": "x", "model.safetensors.index.json": index} if index else {"a": "b"}
    )
    put(job.volume / "model", files)
    ended = job.run("prepare")
    assert ended.code == 1
    assert "but not a whole model" in ended.log
    assert index is None or "missing: m-2.safetensors" in ended.log
    assert {path.name for path in (job.volume / "model").iterdir()} == files.keys()


def test_pointers_without_their_content_are_fetched(job: Pod) -> None:
    put(job.volume / "model", {"config.json": "{}", "model.safetensors": POINTER})
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert (job.volume / "model" / "model.safetensors").read_bytes() == WEIGHTS


def test_without_urls_the_folders_must_be_there(job: Pod) -> None:
    local(job)
    assert "is absent and no URL says where to fetch it" in job.run("prepare").log
    put(job.volume / "model", {"model.safetensors": POINTER})
    assert "is partial and no URL" in job.run("prepare").log
    put(job.volume / "model", {"model.safetensors": "x"})
    ended = job.run("prepare", PATH="/usr/bin:/bin")
    assert ended.code == 0, ended.log


def test_a_mounted_folder_cannot_be_renamed_into(job: Pod) -> None:
    job.program("stat", 'if [ "$1 $2" = "-c %d" ]; then basename "$3"; else exec /usr/bin/stat "$@"; fi')
    put(job.volume / "model", {})
    ended = job.run("prepare")
    assert ended.code == 1
    assert f"is itself a mount: mount the volume at {job.volume}" in ended.log


# ---- the dataset's description ---------------------------------------------------------------------


def test_a_description_is_written_where_there_is_none(job: Pod) -> None:
    local(job)
    put(job.volume / "model", {"m.bin": "x"})
    info = job.volume / "data" / "dataset_info.json"
    assert job.run("prepare").code == 0
    assert not info.exists()
    assert job.run("prepare", DATASET_INFO='{"a": 1}').code == 0
    assert json.loads(info.read_text()) == {"a": 1}
    ended = job.run("prepare", DATASET_INFO='{"a": 2}')
    assert "was written for another job; replaced" in ended.log
    assert json.loads(info.read_text()) == {"a": 2}


def test_a_description_that_came_with_the_data_is_kept(job: Pod) -> None:
    local(job)
    put(job.volume / "model", {"m.bin": "x"})
    put(job.volume / "data", {"dataset_info.json": '{"theirs": 1}'})
    ended = job.run("prepare", DATASET_INFO='{"ours": 1}')
    assert ended.code == 0
    assert "came with the data; kept" in ended.log
    assert (job.volume / "data" / "dataset_info.json").read_text() == '{"theirs": 1}'


@pytest.mark.parametrize("failing", ["*/dataset_info.json)", "*/.ftgen-dataset-info)"])
def test_a_description_is_known_for_ftgen_s_wherever_the_volume_was_full(job: Pod, failing: str) -> None:
    local(job)
    put(job.volume / "model", {"m.bin": "x"})
    job.program("mv", f'case "$*" in {failing} [ ! -e "$STUB_HOME/full" ] || exit 1 ;; esac; exec /usr/bin/mv "$@"')
    info = job.volume / "data" / "dataset_info.json"
    for value in ("1", "2"):
        put(job.home, {"full": ""})
        ended = job.run("prepare", DATASET_INFO=value)
        assert ended.code == 1
        assert "free space" in ended.log
        (job.home / "full").unlink()
        assert not list((job.volume / "data").glob("*.*.*"))
        assert job.run("prepare", DATASET_INFO=value).code == 0
        assert info.read_text() == f"{value}\n"
    ended = job.run("prepare", DATASET_INFO="3")
    assert "was written for another job; replaced" in ended.log
    assert info.read_text() == "3\n"


def test_a_changed_description_does_not_make_a_fetched_dataset_incomplete(job: Pod) -> None:
    for value in ("1", "22", "333"):
        assert job.run("prepare", DATASET_INFO=value).code == 0
    assert fetches(job) == 2
    assert (job.volume / "data" / "dataset_info.json").read_text() == "333\n"


# ---- the network -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("fatal: Authentication failed for 'x'", "refused the user or token"),
        ("fatal: couldn't find remote ref v1", "has no branch, tag or commit v1"),
        ("fatal: repository 'x' not found", "is not there, or the user may not see it"),
        ("server certificate verification failed", "is not trusted"),
        ("write error: No space left on device", "is full"),
    ],
)
def test_what_no_retry_mends_ends_at_once(job: Pod, answer: str, words: str) -> None:
    put(job.home, {"broken": f"{answer}\n" * 9})
    ended = job.run("prepare", MODEL_REVISION="v1")
    assert ended.code == 1
    assert words in ended.log
    assert fetches(job) == 1


@pytest.mark.parametrize("url", ["https://git.example.com/tls-certificate-qa", "git@git.example.com:x509/certificate"])
def test_the_name_of_a_repository_is_no_reason(job: Pod, url: str) -> None:
    path = url.partition("com")[2][1:]
    put(job.home, {"broken": f"fatal: unable to access '{url}.git/': Failed to connect\nfatal: '/{path}' is away\n"})
    ended = job.run("prepare", BASE_MODEL_URL=url)
    assert ended.code == 0, ended.log
    assert "attempt 2 of 5" in ended.log


def test_what_may_pass_is_tried_again_a_bounded_number_of_times(job: Pod) -> None:
    put(job.home, {"broken": "Could not resolve host\nRPC failed\n"})
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert fetches(job) == 4
    put(job.home, {"broken": "Could not resolve host\n" * 9})
    ended = job.run("prepare", MODEL_DIR=f"{job.volume}/again", FETCH_RETRIES="3")
    assert ended.code == 1
    assert "failed 3 times" in ended.log
    assert fetches(job) == 7


# ---- the lock --------------------------------------------------------------------------------------


def test_eight_pods_fetch_one_model_once(job: Pod) -> None:
    job.env["LOCK_TIMEOUT"] = "30"
    job.program("git", GIT.replace('"fetch -q")', '"fetch -q") sleep 0.2'))
    pods = [Pod(job.home.parent / f"pod-{n}", job.volume, job.env) for n in range(8)]
    for pod in pods:
        pod.bin.mkdir(parents=True, exist_ok=True)
        if pod.home != job.home:
            (pod.bin / "git").symlink_to(job.bin / "git")
    ended = [end(container) for container in [pod.start("prepare") for pod in pods]]
    assert [one.code for one in ended] == [0] * 8
    assert sum(fetches(pod) for pod in pods) == 2
    assert sum("waiting for pod pod-" in one.log for one in ended) >= 7
    assert sorted(path.name for path in job.volume.iterdir()) == ["data", "model"]


def outlived(job: Pod, owner: subprocess.Popen[str]) -> str:
    """The log of a pod that waits for as long as the owner of the lock lives, and fetches once it is dead."""
    other = Pod(job.home.parent / "pod-1", job.volume, job.env)
    other.program("git", GIT)
    waiting = other.start("prepare")
    time.sleep(3.5)
    assert waiting.poll() is None
    assert not any(" fetch -q" in call for call in other.calls)
    kill(owner)
    ended = end(waiting)
    assert ended.code == 0, ended.log
    return ended.log


def test_a_living_owner_is_waited_for_and_a_dead_one_is_not(job: Pod) -> None:
    """The owner breathes for longer than the timeout, then dies."""
    job.env["LOCK_TIMEOUT"] = "2"
    job.program("git", '[ "$1 $3" != "-C fetch" ] || { touch "$STUB_HOME/here"; exec sleep 60; }\n' + GIT)
    owner = job.start("prepare")
    assert await_file(job.home / "here", owner)
    log = outlived(job, owner)
    assert "waiting for pod pod-0" in log
    assert "no sign of life from pod pod-0" in log


def test_an_owner_that_lost_its_lock_does_not_replace_what_the_next_one_fetched(job: Pod) -> None:
    """It was silent for too long, a frozen node for example, and wakes up in the middle."""
    job.program(
        "git",
        '[[ "$*" != *checkout-index* ]] || { touch "$STUB_HOME/here"; '
        'until [ -e "$STUB_HOME/go" ]; do sleep 0.02; done; }\n' + GIT,
    )
    sleeper = job.start("prepare", FETCH_RETRIES="1")
    assert await_file(job.home / "here", sleeper)
    other = Pod(job.home.parent / "pod-1", job.volume, job.env)
    other.program("git", GIT)
    assert other.run("prepare").code == 0
    before = (job.volume / "model").stat().st_ino
    (job.home / "go").touch()
    assert end(sleeper).code == 1
    assert (job.volume / "model").stat().st_ino == before
    assert job.run("prepare").code == 0


@pytest.mark.parametrize("skew", ["-3 hours", "+3 hours"])
def test_clocks_of_owner_server_and_waiter_need_not_agree(job: Pod, skew: str) -> None:
    """An NFS server stamps files by its own clock: what counts is whether the stamp changes, not what it says."""
    job.env["LOCK_TIMEOUT"] = "2"
    stamp = f'[ "$1" = -c ] || exec /usr/bin/touch "$@"\nexec /usr/bin/touch -c -d "now {skew}" "$2"'
    job.program("touch", stamp)
    job.program("git", '[ "$1 $3" != "-C fetch" ] || { : >"$STUB_HOME/here"; exec sleep 60; }\n' + GIT)
    owner = job.start("prepare")
    assert await_file(job.home / "here", owner)
    assert outlived(job, owner).count("no sign of life from pod pod-0") == 1


def test_a_lock_without_a_name_expires(job: Pod) -> None:
    """NFS renames a removed file that another process has open, so that a freed lock may keep a folder."""
    put(job.volume / ".model.lock", {".nfs000000000001": ""})
    ended = job.run("prepare", LOCK_TIMEOUT="1")
    assert ended.code == 0, ended.log
    assert "no sign of life from an unknown pod" in ended.log
    assert sorted(path.name for path in job.volume.iterdir()) == ["data", "model"]


def test_the_name_of_a_folder_is_no_pattern(job: Pod) -> None:
    job.env["MODEL_DIR"] = f"{job.volume}/Qwen*"
    for name in (".Qwen3-32B.lock", ".Qwen3-32B.fetch-1", ".Qwen*.fetch-1"):
        age(put(job.volume / name, {"owner": "another"}))
    assert job.run("prepare").code == 0
    assert sorted(path.name for path in job.volume.iterdir()) == [
        ".Qwen3-32B.fetch-1",
        ".Qwen3-32B.lock",
        "Qwen*",
        "data",
    ]


def test_an_emptied_lock_is_free(job: Pod) -> None:
    put(job.volume / ".model.lock", {})
    assert "no sign of life" not in job.run("prepare", LOCK_TIMEOUT="600").log


def test_a_rename_that_was_made_though_it_is_said_to_have_failed_takes_the_lock(job: Pod) -> None:
    """NFS may answer a repeated request with the failure of the second one."""
    fails = 'case "$*" in *.lock) /usr/bin/mv "$@"; exit 1 ;; esac\nexec /usr/bin/mv "$@"'
    job.program("mv", fails)
    ended = job.run("prepare", LOCK_TIMEOUT="600")
    assert ended.code == 0, ended.log
    assert "waiting for" not in ended.log


def test_a_lock_that_cannot_be_removed_at_once_does_not_fail_the_pod(job: Pod) -> None:
    job.program("rm", 'case "$*" in *.lock) echo "Directory not empty" >&2; exit 1 ;; esac\nexec /usr/bin/rm "$@"')
    ended = job.run("prepare")
    assert ended.code == 0, ended.log


def test_a_signal_ends_the_fetch_and_frees_the_lock(job: Pod) -> None:
    job.program("git", '[ "$1 $3" != "-C fetch" ] || { touch "$STUB_HOME/here"; sleep 60 & wait; }\n' + GIT)
    container = job.start("prepare")
    assert await_file(job.home / "here", container)
    container.terminate()
    assert end(container).code == 143
    assert [path.name for path in job.volume.iterdir()] == []


# ---- sudden death ----------------------------------------------------------------------------------


def age(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (0, 0))


def test_a_pod_may_die_at_any_step(job: Pod) -> None:
    """No half model ever has its final name, and the next pod ends with a whole one."""
    job.env |= {"DATASET_URL": "", "DATASET_DIR": str(put(job.volume.parent / "data", {"a.json": "[]"}))}
    job.stop_at_steps("mkdir", "mv", "ln", "rm", "sed", "git")
    files = ("config.json", "model.safetensors", ".ftgen-source")
    model, step = job.volume / "model", 1
    while job.dies_at(step, "prepare"):
        assert not model.exists() or all((model / name).exists() for name in files)
        age(job.volume)
        ended = job.run("prepare")
        assert ended.code == 0, f"after dying at step {step}: {ended.log}"
        assert (model / "model.safetensors").read_bytes() == WEIGHTS
        assert not [path.name for path in job.volume.iterdir() if path.name != "model"]
        model.rename(job.home / f"model-{step}")
        step += 2
    assert step > 20
