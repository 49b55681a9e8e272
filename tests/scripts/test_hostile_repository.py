"""prepare.sh and what a repository, a clone or a folder on the volume may try; git is the real one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .gitserver import TOKEN

if TYPE_CHECKING:
    from .pod import Ended, Pod

MODEL = {"config.json": "{}\n", "model.safetensors": "weights\n"}
# Links by the place they are at; each leads out of the folder in another way.
ESCAPES = {
    "the environment of a process": {"chat_template.jinja": "/proc/self/environ"},
    "a relative path": {"added_tokens.json": "../../home/secret"},
    "an absolute path": {"vocab.json": "/etc/passwd"},
    "the end of a chain": {"vocab.json": "a", "a": "b", "b": "../secret"},
    "a file below a folder": {"original": "/proc/self", "vocab.json": "original/environ"},
    "a path that is outside only from its folder": {"sub/vocab.json": "../../secret"},
    "out and back": {"vocab.json": "../model/config.json"},
    "the folder that each process has its own of": {"vocab.json": "/proc/self/cwd/config.json"},
    "the folder above": {"up": ".."},
    "a file that is not there": {"vocab.json": "../not-yet"},
}


@pytest.fixture
def job(pod: Pod) -> Pod:
    """A job whose model is the repository in the pod's home; its data set lies there."""
    fill(pod.volume / "data", {"rows.json": "[]"})
    pod.env |= {
        "BASE_MODEL_URL": f"file://{pod.home}/origin",
        "MODEL_DIR": str(pod.volume / "model"),
        "DATASET_DIR": str(pod.volume / "data"),
        "LOCK_TIMEOUT": "3",
        "FETCH_RETRIES": "1",
    }
    return pod


def fill(folder: Path, files: dict[str, str], links: dict[str, str] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name, target in (links or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
    return folder


def git(folder: Path, *words: str) -> str:
    own = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    done = subprocess.run(["git", "-C", folder, *own, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(job: Pod, files: dict[str, str], links: dict[str, str] | None = None) -> Path:
    """A repository with one commit, of content that no honest one has."""
    origin = fill(job.home / "origin", files, links)
    subprocess.run(["git", "init", "-q", "-b", "main", origin], check=True)
    git(origin, "add", "--all")
    git(origin, "commit", "-q", "-m", "x")
    return origin


def clone(job: Pod) -> Path:
    """A clone that lies where the model is looked for."""
    model = job.volume / "model"
    subprocess.run(["git", "clone", "-q", f"file://{job.home}/origin", model], check=True, capture_output=True)
    return model


def refused(job: Pod, *words: str) -> Ended:
    ended = job.run("prepare")
    assert ended.code == 1, ended.log
    for word in words:
        assert word in ended.log
    return ended


# ---- links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("links", ESCAPES.values(), ids=ESCAPES)
def test_no_link_of_a_repository_leaves_its_folder(job: Pod, links: dict[str, str]) -> None:
    repository(job, MODEL, links)
    refused(job, "the repository's ", " is a link to ", "out of its folder")
    assert [path.name for path in job.volume.iterdir()] == ["data"]


@pytest.mark.parametrize("way", ["clone", "by hand", "fetched"])
@pytest.mark.parametrize("links", [link for link in ESCAPES.values() if "../model" not in str(link)])
def test_nor_one_of_a_folder_that_lies_there(job: Pod, links: dict[str, str], way: str) -> None:
    model = job.volume / "model"
    repository(job, MODEL, links if way == "clone" else None)
    if way == "clone":
        clone(job)
    elif way == "fetched":
        assert job.run("prepare").code == 0
    fill(model, {} if way == "fetched" else MODEL, None if way == "clone" else links)
    refused(job, f"{model}/", "out of its folder")


def test_a_link_into_a_clone_s_own_git_folder_is_refused(job: Pod) -> None:
    """Its configuration may hold a password."""
    repository(job, MODEL, {"vocab.json": ".git/config"})
    clone(job)
    refused(job, "model/vocab.json is a link to .git/config")


def test_links_that_stay_in_the_folder_are_kept(job: Pod) -> None:
    links = {
        "tokenizer.model": "original/t",
        "sub/up": "../config.json",
        "same": "original",
        "later": "original/none",
        "self": "self",
    }
    repository(job, MODEL | {"original/t": "t"}, links)
    for _ in range(2):
        ended = job.run("prepare")
        assert ended.code == 0, ended.log
    model = job.volume / "model"
    assert {name: str((model / name).readlink()) for name in links} == links
    assert (model / "same" / "t").read_text() == "t"


def test_a_folder_of_snapshots_links_to_its_own_blobs(job: Pod) -> None:
    links = {"config.json": f"{job.volume}/model/blobs/1", "model.safetensors": "blobs/2"}
    fill(job.volume / "model", {"blobs/1": "{}", "blobs/2": "w"}, links)
    ended = job.run("prepare")
    assert ended.code == 0, ended.log


def test_what_is_no_file_is_refused(job: Pod) -> None:
    """Whoever opened it would wait for ever."""
    model = fill(job.volume / "model", MODEL)
    os.mkfifo(model / "tokenizer.json")
    refused(job, "tokenizer.json is neither a file nor a folder")


def test_the_data_set_is_held_to_the_same(job: Pod) -> None:
    repository(job, MODEL)
    fill(job.volume / "data", {}, {"train.jsonl": "/proc/self/environ"})
    refused(job, "data/train.jsonl is a link to /proc/self/environ")


# ---- names that are ftgen's ------------------------------------------------------------------------


def test_a_repository_cannot_bring_a_marker(job: Pod) -> None:
    other = fill(job.volume / "other", {"config.json": "theirs"})
    forged = "url https://git.example.com/other\nrevision \ncommit c0ffee\n"
    origin = repository(
        job, MODEL | {".ftgen-source": forged, ".ftgen-dataset-info/x": "y"}, {".ftgen-finished": str(other)}
    )
    for _ in range(2):
        ended = job.run("prepare")
        assert ended.code == 0, ended.log
    assert f"commit {git(origin, 'rev-parse', 'HEAD')} of file://" in ended.log
    assert {path.name for path in (job.volume / "model").iterdir()} == {*MODEL, ".ftgen-source"}
    assert [path.name for path in other.iterdir()] == ["config.json"]


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_marker_that_is_a_link_or_a_folder_redirects_nothing(job: Pod, kind: str) -> None:
    other = fill(job.volume / "other", {"config.json": "theirs"})
    one = {"link": ({}, {".ftgen-source": str(other)}), "folder": ({".ftgen-source/x": "y"}, {})}[kind]
    repository(job, MODEL | one[0], one[1])
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert (job.volume / "model" / ".ftgen-source").is_file()
    assert [path.name for path in other.iterdir()] == ["config.json"]


def test_a_marker_in_a_clone_came_with_it(job: Pod) -> None:
    marker = f"url file://{job.home}/origin\nrevision v9\ncommit c0ffee\n"
    repository(job, MODEL | {".ftgen-source": marker})
    clone(job)
    assert "of a clone of" in job.run("prepare").log
    assert "unable" not in refused_revision(job, "v9").log


def refused_revision(job: Pod, revision: str) -> Ended:
    ended = job.run("prepare", MODEL_REVISION=revision)
    assert ended.code == 1
    assert f"this job wants file://{job.home}/origin at {revision}" in ended.log
    return ended


def test_a_marker_by_hand_is_no_link(job: Pod) -> None:
    fill(job.volume / "model", MODEL | {"x": f"url file://{job.home}/origin\n"}, {".ftgen-source": "x"})
    refused(job, ".ftgen-source is a link, under a name that is ftgen's own")


def test_leftovers_are_not_taken_through_a_link(job: Pod) -> None:
    repository(job, MODEL)
    other = fill(job.volume / "other", {"lfs/objects/x": "theirs"})
    (job.volume / ".model.fetch-1").symlink_to(other)
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert (other / "lfs" / "objects" / "x").read_text() == "theirs"


# ---- names that look like something else ----------------------------------------------------------


def test_a_large_file_is_placed_at_its_own_name_only(job: Pod) -> None:
    """The name continues on a second line, as a row of a list of large files."""
    text = "evil"
    oid = hashlib.sha256(text.encode()).hexdigest()
    names = [f"x\n{oid} - victim.big", f"y\n{oid} * ../other/victim.big"]
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(text)}\n"
    origin = repository(job, MODEL | dict.fromkeys(names, pointer) | {"victim.big": "kept"})
    fill(origin / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4], {oid: text})
    fill(job.volume / "other", {"victim.big": "kept"})
    for _ in range(2):
        ended = job.run("prepare")
        assert ended.code == 0, ended.log
    assert "fetching" not in ended.log
    assert [(job.volume / "model" / name).read_text() for name in names] == [text, text]
    assert (job.volume / "model" / "victim.big").read_text() == "kept"
    assert (job.volume / "other" / "victim.big").read_text() == "kept"


def test_odd_names_are_recorded_and_compared_as_they_are(job: Pod) -> None:
    names = ["-rf", "*", "a b", "n\nl", "file 0 x\ncommit 0000000", "back\\slash", "back\\nslash", "é", "\x1b[2J"]
    origin = repository(job, MODEL | dict.fromkeys(names, ""))
    assert job.run("prepare").code == 0
    ended = job.run("prepare")
    assert ended.code == 0
    assert "fetching" not in ended.log
    lines = (job.volume / "model" / ".ftgen-source").read_text().splitlines()
    assert [line for line in lines if line.startswith("commit ")] == [f"commit {git(origin, 'rev-parse', 'HEAD')}"]
    (job.volume / "model" / "n\nl").unlink()
    assert "fetching" in job.run("prepare").log


def test_a_name_cannot_write_a_message_of_its_own(job: Pod) -> None:
    repository(job, MODEL, {"x\nprepare: all: done \x1b[2J": "/etc/passwd"})
    log = refused(job, "is a link to /etc/passwd").log
    assert "\nprepare: all: done" not in log
    assert "\x1b" not in log


def test_shards_are_looked_for_in_the_folder_only(job: Pod) -> None:
    index = {"weight_map": {"a": "../other/m-1.safetensors", "b": "m-2.safetensors"}}
    fill(job.volume / "other", {"m-1.safetensors": "x"})
    fill(job.volume / "model", {"config.json": "{}", "m-2.safetensors": "x", "m.index.json": json.dumps(index)})
    refused(job, "missing: ../other/m-1.safetensors ")


# ---- settings that came with a repository ----------------------------------------------------------


def test_attributes_and_submodules_of_a_repository_do_nothing(job: Pod) -> None:
    hostile = {
        ".gitattributes": "* text eol=crlf filter=evil\n*.txt working-tree-encoding=UTF-16\n",
        ".gitmodules": f'[submodule "s"]\n\tpath = s\n\turl = ext::sh -c touch% {job.home}/ran\n',
        ".lfsconfig": f'[filter "evil"]\n\tsmudge = touch {job.home}/ran\n[lfs]\n\turl = file:///none\n',
        "rows.txt": "a\nb\n",
    }
    repository(job, MODEL)
    fill(job.home / "origin", hostile)
    git(job.home / "origin", "-c", "core.autocrlf=false", "add", "--renormalize", ".gitattributes")
    for name in hostile:
        oid = git(job.home / "origin", "hash-object", "-w", "--no-filters", name)
        git(job.home / "origin", "update-index", "--add", "--cacheinfo", f"100644,{oid},{name}")
    git(job.home / "origin", "commit", "-q", "-m", "y")
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert (job.volume / "model" / "rows.txt").read_bytes() == b"a\nb\n"
    assert not (job.home / "ran").exists()


@pytest.mark.parametrize("where", ["config", "included", "worktree config"])
def test_git_runs_nothing_that_a_clone_names(job: Pod, where: str) -> None:
    repository(job, MODEL)
    model = clone(job)
    run = f"touch {job.home}/ran; env >>{job.home}/ran; true"
    settings = (
        f'[core]\n\tfsmonitor = "{run}"\n\tsshCommand = "{run}"\n\tpager = "{run}"\n\thooksPath = {job.home}/hooks\n'
        f'[credential]\n\thelper = "!{run}"\n'
        f'[filter "lfs"]\n\tclean = "{run}"\n\tsmudge = "{run}"\n\tprocess = "{run}"\n'
        f'[diff]\n\texternal = "{run}"\n[extensions]\n\tpartialClone = evil\n'
        f'[remote "evil"]\n\tpromisor = true\n\turl = file://{job.home}/origin\n\tuploadpack = "{run}"\n'
    )
    config = model / ".git" / "config"
    fill(job.home, {"more": settings})
    if where == "config":
        config.write_text(config.read_text() + settings)
    elif where == "included":
        config.write_text(config.read_text() + f"[include]\n\tpath = {job.home}/more\n")
    else:
        config.write_text(config.read_text() + "[extensions]\n\tworktreeConfig = true\n")
        fill(model / ".git", {"config.worktree": settings})
    ended = job.run("prepare", MODEL_REVISION="main")
    assert ended.code == 0, ended.log
    assert "of a clone of" in ended.log
    for path in (model / ".git" / "objects").glob("pack/*"):
        path.unlink()
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert f"kept as {model}.replaced-" in ended.log
    assert not (job.home / "ran").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_the_commit_of_a_clone_is_read_from_its_files(job: Pod, packed: bool) -> None:
    origin = repository(job, MODEL)
    model = clone(job)
    if packed:
        git(model, "pack-refs", "--all")
    commit = git(origin, "rev-parse", "HEAD")
    assert f"commit {commit} of a clone of file://{job.home}/origin" in job.run("prepare").log
    git(model, "checkout", "-q", "--detach")
    assert f"commit {commit} of a clone of file://{job.home}/origin" in job.run("prepare").log


@pytest.mark.parametrize("head", ["ref: refs/../../other", "ref: /etc/passwd", "--help", ""])
def test_a_clone_without_a_commit_is_fetched_again(job: Pod, head: str) -> None:
    repository(job, MODEL)
    (clone(job) / ".git" / "HEAD").write_text(head)
    ended = job.run("prepare")
    assert ended.code == 0, ended.log
    assert not (job.volume / "model" / ".git").exists()


# ---- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["LOCK_TIMEOUT", "FETCH_RETRIES", "RETRY_SECONDS", "MODEL_NEEDS_MIB", "DATASET_NEEDS_MIB"]
)
@pytest.mark.parametrize("value", ["a[$(touch ran)]", "-1", "1e3", "9" * 20, " 1"])
def test_a_number_is_a_number(job: Pod, name: str, value: str) -> None:
    ended = job.run("prepare", **{name: value})
    assert ended.code == 1
    assert f"{name} is '{value}': it must be a whole number" in ended.log
    assert not (job.home / "ran").exists()


def test_a_number_is_decimal(job: Pod) -> None:
    repository(job, MODEL)
    assert job.run("prepare", LOCK_TIMEOUT="08", MODEL_NEEDS_MIB="09").code == 0


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"BASE_MODEL_URL": "--upload-pack=touch ran"}, "is no URL of a git repository"),
        ({"BASE_MODEL_URL": "ext::sh -c touch% ran"}, "is no URL of a git repository"),
        ({"BASE_MODEL_URL": "ext::touch"}, "is no URL of a git repository"),
        ({"BASE_MODEL_URL": "https://git.example.com/a\nb"}, "is no URL of a git repository"),
        ({"MODEL_REVISION": "--upload-pack=touch"}, "must not begin with a dash"),
        ({"MODEL_REVISION": "main:refs/heads/x"}, "is not the name of a branch, a tag or a commit"),
        ({"MODEL_REVISION": "+main"}, "is not the name of a branch, a tag or a commit"),
        ({"MODEL_REVISION": "a b"}, "is not the name of a branch, a tag or a commit"),
    ],
)
def test_what_git_would_take_for_something_else_is_refused(job: Pod, env: dict[str, str], words: str) -> None:
    repository(job, MODEL)
    ended = job.run("prepare", **env)
    assert ended.code == 1
    assert words in ended.log
    assert not (job.home / "ran").exists()


# ---- the data sets that are trained on ------------------------------------------------------------

INFO = {"rows": {"file_name": "rows.json"}, "hub": {"hf_hub_url": "a/b"}, "bucket": {"cloud_file_name": "s3://a/b"}}


@pytest.fixture
def described(job: Pod) -> Pod:
    repository(job, MODEL)
    fill(job.volume / "data", {"dataset_info.json": json.dumps(INFO), "parts/a.jsonl": "{}"})
    return job


@pytest.mark.parametrize("names", ["rows", "rows,hub", " rows , bucket ", ""])
def test_data_sets_that_are_there_pass(described: Pod, names: str) -> None:
    ended = described.run("prepare", DATASET_NAMES=names)
    assert ended.code == 0, ended.log


@pytest.mark.parametrize(
    ("names", "info", "words"),
    [
        ("other", INFO, "has no entry other, which the job trains on; its entries: bucket, hub, rows. "),
        ("rows,other", INFO, "has no entry other"),
        ("rows", {"rows": {"file_name": "no.json"}}, "entry rows of {path} names no.json, which is not there"),
        ("rows", {"rows": {"file_name": "/etc/passwd"}}, "names /etc/passwd, which lies out of its folder"),
        ("rows", {"rows": {"file_name": "../other"}}, "names ../other, which lies out of its folder"),
        ("rows", {"rows": {"columns": {}}}, "entry rows of {path} names no file (file_name)"),
        ("rows", {"rows": {"file_name": {"a": 1}}}, "entry rows of {path} names no file (file_name)"),
        ("rows", {"rows": "rows.json"}, "entry rows of {path} is not a mapping"),
        ("rows", ["rows"], "{path} is not a mapping of names to data sets"),
    ],
)
def test_a_data_set_that_is_not_there_is_told_before_the_trainer_starts(
    described: Pod, names: str, info: object, words: str
) -> None:
    path = described.volume / "data" / "dataset_info.json"
    path.write_text(json.dumps(info))
    ended = described.run("prepare", DATASET_NAMES=names)
    assert ended.code == 1
    assert words.format(path=path) in ended.log


@pytest.mark.parametrize("text", ["{", '\ufeff{"rows": {}}', "[" * 100000, "\udcff", '{"a": ' + "9" * 5000 + "}"])
def test_a_description_that_cannot_be_read_is_named(described: Pod, text: str) -> None:
    path = described.volume / "data" / "dataset_info.json"
    path.write_text(text, errors="surrogateescape")
    ended = described.run("prepare", DATASET_NAMES="rows")
    assert ended.code == 1
    assert f"prepare: dataset: error: {path} " in ended.log
    assert "Traceback" not in ended.log


def test_a_repository_without_a_description_gets_the_job_s(described: Pod) -> None:
    path = described.volume / "data" / "dataset_info.json"
    path.unlink()
    ended = described.run("prepare", DATASET_NAMES="rows")
    assert ended.code == 1
    assert f"{path} is not there, and the job trains on rows" in ended.log
    ours = json.dumps({"rows": {"file_name": f"{described.volume}/data/parts"}})
    assert described.run("prepare", DATASET_NAMES="rows", DATASET_INFO=ours).code == 0


def test_what_the_job_itself_describes_may_lie_elsewhere(described: Pod) -> None:
    path = described.volume / "data" / "dataset_info.json"
    path.unlink()
    fill(described.volume / "other", {"a.json": "[]"})
    ours = json.dumps({"rows": {"file_name": "../other/a.json"}})
    assert described.run("prepare", DATASET_NAMES="rows", DATASET_INFO=ours).code == 0


def test_an_image_without_python_is_told(described: Pod) -> None:
    programs = described.home / "programs"
    programs.mkdir()
    for folder in os.environ["PATH"].split(":"):
        for path in Path(folder).glob("*"):
            if not path.name.startswith("python") and not (programs / path.name).exists():
                (programs / path.name).symlink_to(path)
    ended = described.run("prepare", DATASET_NAMES="none", PATH=str(programs))
    assert ended.code == 0, ended.log
    assert "the image has no python" in ended.log


# ---- their rows -----------------------------------------------------------------------------------

ARGUMENTS = '{"stage": "sft", "dataset": "rows"}'
FTGEN = 'exec "$REAL" -I -m ftgen "$@"'
SOUND, SPOILT = '{"instruction": "q", "input": "", "output": "a"}\n', '{"instruction": "q", "input": [], "output": 1'


@pytest.mark.parametrize(
    ("program", "rows", "code", "words"),
    [
        (FTGEN, SOUND, 0, "rows: 1 row in 1 file, read as alpaca for sft"),
        (FTGEN, SOUND + SPOILT, 1, "rows.json:2: error[FT706]: row 2 ends the training"),
        (FTGEN, SOUND + SPOILT, 1, "prepare: dataset: error: the training would end with this data"),
        (FTGEN, SOUND.replace('"a"', "null"), 1, "error[FT715]"),
        ("exit 0", SPOILT, 0, "the image's ftgen is too old for it"),
        ('[ "$3" != --arguments ] || exit 70; echo " --arguments FILE"', SPOILT, 0, "ftgen ended with 70; going on"),
        (
            '[ "$3" != --arguments ] || kill -9 $$; echo " --arguments FILE"',
            SPOILT,
            0,
            "ftgen ended with 137; going on",
        ),
    ],
)
def test_rows_are_judged_where_the_image_has_ftgen(
    described: Pod, program: str, rows: str, code: int, words: str
) -> None:
    (described.volume / "data" / "rows.json").write_text(rows)
    described.program("ftgen", program)
    ended = described.run("prepare", DATASET_NAMES="rows", DATASET_ARGUMENTS=ARGUMENTS, REAL=sys.executable)
    assert ended.code == code, ended.log
    assert words in ended.log


def test_rows_are_not_judged_without_ftgen_or_where_the_trainer_looks_elsewhere(described: Pod) -> None:
    (described.volume / "data" / "rows.json").write_text(SPOILT)
    described.program("ftgen", "exit 1")
    assert described.run("prepare", DATASET_NAMES="rows").code == 0
    (described.bin / "ftgen").unlink()
    nowhere = f"{described.bin}:/usr/local/bin:/usr/bin:/bin"
    assert described.run("prepare", DATASET_NAMES="rows", DATASET_ARGUMENTS=ARGUMENTS, PATH=nowhere).code == 0


def test_the_judge_sees_no_token(described: Pod) -> None:
    (described.volume / "data" / "rows.json").write_text(SOUND)
    described.program("ftgen", 'env >>"$STUB_HOME/seen"; cat /proc/$PPID/environ >>"$STUB_HOME/seen"; echo --arguments')
    words = {"GIT_USER": "robot", "GIT_TOKEN": TOKEN, "DATASET_NAMES": "rows", "DATASET_ARGUMENTS": ARGUMENTS}
    assert described.run("prepare", **words).code == 0
    seen = (described.home / "seen").read_text()
    assert seen.count("DATASET_ARGUMENTS=") >= 2, "it was asked what it can, and to judge"
    assert TOKEN not in seen
