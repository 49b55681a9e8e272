"""train.sh keeps the git token from what it runs, and pushes nothing but the result's own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .gitserver import TOKEN
from .pod import SCRIPTS

if TYPE_CHECKING:
    from pathlib import Path

    from .gitserver import Forge
    from .pod import Pod

# Looks for the token where any program of the same user may look: at each process it comes from.
SPY = r"""
token=$(cat "$STUB_HOME/token")
one=$BASHPID
while [ "$one" -gt 1 ]; do
  for file in /proc/$one/environ /proc/$one/cmdline; do
    ! tr '\0' '\n' <"$file" | grep -aF "$token" >/dev/null || echo "$file" >>"$STUB_HOME/seen"
  done
  echo "$one" >>"$STUB_HOME/visited"
  one=$(sed 's/.*) //' /proc/$one/stat | cut -d' ' -f2)
done
for one in "$BASHPID" "$PPID"; do [ ! -e /proc/$one/fd/9 ] || echo "the pipe of $one" >>"$STUB_HOME/seen"; done
set | grep -aF "$token" | grep -v ^token= >>"$STUB_HOME/seen"
mkdir -p "$OUTPUT_DIR" && echo tuned >"$OUTPUT_DIR/model.safetensors"
[ "$1" != export ] || { mkdir -p "${3#export_dir=}" && echo merged >"${3#export_dir=}/model.safetensors"; }
[ ! -e "$STUB_HOME/more" ] || . "$STUB_HOME/more"
"""


@pytest.fixture
def job(forge: Forge, pod: Pod) -> Pod:
    pod.program("llamafactory-cli", SPY)
    pod.program("vendor", SPY)
    (pod.home / "token").write_text(TOKEN)
    pod.env |= {
        "TRAIN_CONFIG": "stage: sft\n",
        "WORK_DIR": f"{pod.volume}/work",
        "OUTPUT_DIR": f"{pod.volume}/work/out",
        "MODEL_DIR": f"{pod.volume}/base",
        "OUTPUT_MODEL_URL": forge.create("out"),
        "GIT_SSL_CAINFO": str(forge.certificate),
        "RETRY_SECONDS": "0",
        "PUSH_RETRIES": "1",
    }
    return pod


def pushed(forge: Forge) -> dict[str, str]:
    names = forge.git("out", "ls-tree", "-r", "-z", "sft-1").split("\0")
    return {row.split("\t", 1)[1]: row.split(" ", 1)[0] for row in names if row}


def merging(job: Pod) -> Pod:
    job.env |= {"EXPORT_CONFIG": "a: 1", "EXPORT_DIR": f"{job.volume}/work/merged", "RESTORE_BASE_FILES": "true"}
    return job


def base(job: Pod, files: dict[str, str], links: dict[str, str]) -> Path:
    folder = job.volume / "base"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    for name, target in links.items():
        (folder / name).symlink_to(target)
    return folder


# ---- the token -------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("vendor", "--lr", "a b")])
def test_no_program_sees_the_token_and_the_push_has_it(forge: Forge, job: Pod, words: tuple[str, ...]) -> None:
    ended = job.run("train", *words, TRAIN_CONFIG="" if words else "stage: sft\n")
    assert ended.code == 0, ended.log
    assert len((job.home / "visited").read_text().split()) >= 2
    assert (job.home / "seen").read_text() == ""
    assert "model.safetensors" in pushed(forge)
    assert not words or "vendor --lr a b" in job.calls


def test_the_merge_does_not_see_it_either(forge: Forge, job: Pod) -> None:
    base(job, {"config.json": "{}"}, {})
    assert merging(job).run("train").code == 0
    assert [call.split()[1] for call in job.calls] == ["train", "export"]
    assert (job.home / "seen").read_text() == ""
    assert "config.json" in pushed(forge)


def test_a_script_from_a_file_keeps_it_as_well(forge: Forge, job: Pod) -> None:
    """As it is run from a ConfigMap."""
    ended = job.run(SCRIPTS["train"], "vendor", "a  b", TRAIN_CONFIG="")
    assert ended.code == 0, ended.log
    assert job.calls[-1] == "vendor a  b"
    assert len((job.home / "visited").read_text().split()) >= 2
    assert (job.home / "seen").read_text() == ""
    assert "model.safetensors" in pushed(forge)


def test_no_helper_of_git_keeps_it_while_the_trainer_runs(job: Pod) -> None:
    """A time limit ends git, and not the program by which git talks to the server."""
    helper = 'sleep 60 >/dev/null 2>&1 & echo $! >"$STUB_HOME/helper"; exit 128'
    git = 'case "$*" in *ls-remote*) HELPER ;; *lfs*|*config*) exec /usr/bin/git "$@" ;; *) exit 1 ;; esac'
    job.program("git", git.replace("HELPER", helper))
    job.program("llamafactory-cli", 'cp "/proc/$(cat "$STUB_HOME/helper")/environ" "$STUB_HOME/seen" || true')
    ended = job.run("train", PUSH_RETRIES="1")
    assert "does not answer now; going on" in ended.log
    seen = job.home / "seen"
    assert not seen.exists() or seen.read_text() == ""
    assert any(call.startswith("llamafactory-cli train") for call in job.calls)


def test_prepare_s_programs_see_it_only_where_they_ask_the_server(forge: Forge, job: Pod) -> None:
    forge.create("base")
    forge.commit("base", {"config.json": b"{}"}, large={"model.safetensors": b"weights"})
    for name in ("sed", "find", "readlink", "ln", "mv", "df"):
        job.program(name, f'env >>"$STUB_HOME/environment"; exec /usr/bin/{name} "$@"')
    where = {"BASE_MODEL_URL": forge.address("base"), "DATASET_URL": "", "DATASET_DIR": f"{job.volume}/data"}
    (job.volume / "data").mkdir(parents=True)
    (job.volume / "data" / "a.json").write_text("[]")
    ended = job.run("prepare", MODEL_NEEDS_MIB="1", **where)
    assert ended.code == 0, ended.log
    assert "STUB_HOME=" in (job.home / "environment").read_text()
    assert TOKEN not in (job.home / "environment").read_text()


def test_what_training_writes_into_git_s_settings_does_not_count(forge: Forge, job: Pod) -> None:
    """The image's own settings stay in force; those of repositories around the workspace never were."""
    root = job.home / "root"
    root.mkdir(parents=True)
    (root / ".gitconfig").write_text("[core]\n\tbigFileThreshold = 1m\n[include]\n\tpath = more.inc\n[advice]\n\tx\n")
    (root / "more.inc").write_text("[user]\n\tname = image\n")
    evil = (
        '[credential]\n\thelper = "!env >>$STUB_HOME/stolen; true"\n[core]\n\tfsmonitor = "env >>$STUB_HOME/stolen"\n'
    )
    (job.home / "evil").write_text(evil)
    for folder in ("work", "."):
        repository = job.volume / folder / ".git"
        for name in ("objects", "refs"):
            (repository / name).mkdir(parents=True)
        (repository / "HEAD").write_text("ref: refs/heads/main\n")
        (repository / "config").write_text(evil)
    (job.home / "more").write_text(
        'cp "$STUB_HOME/evil" "$HOME/.gitconfig"; cp "$STUB_HOME/evil" "$HOME/more.inc"\n'
        'for each in "$STUB_HOME"/tmp/*/; do cp "$STUB_HOME/evil" "$each/.gitconfig"; cp -r .git "$each"; done\n'
    )
    ended = job.run("train")
    assert ended.code == 0, ended.log
    assert "model.safetensors" in pushed(forge)
    assert not (job.home / "stolen").exists()


# ---- what is pushed --------------------------------------------------------------------------------


def test_only_regular_files_of_the_result_are_pushed(forge: Forge, job: Pod) -> None:
    (job.home / "more").write_text(
        'cd "$OUTPUT_DIR"; mkdir -p sub/.git checkpoint-5 "d d"; echo a >sub/a.json; echo b >checkpoint-5/b.json\n'
        "ln -s /proc/self/environ environ.json; ln -s /etc/passwd sub/passwd; ln -s ../../.. up; ln -s sub same\n"
        "ln -s checkpoint-5/b.json inside.json; ln -s sub/.git/config sub/config; echo x >sub/.git/config\n"
        'ln -s none dangling; mkfifo fifo; echo n >"$(printf \'d d/n\\nl\')"; ln -s "$STUB_HOME/token" README.md\n'
    )
    ended = job.run("train", MODEL_CARD="# Card")
    assert ended.code == 0, ended.log
    names = {".gitattributes", "README.md", "model.safetensors", "sub/a.json", "inside.json", "d d/n\nl"}
    assert pushed(forge) == dict.fromkeys(names, "100644")
    assert forge.git("out", "show", "sft-1:inside.json") == "b"
    assert forge.git("out", "show", "sft-1:README.md") == "# Card"
    for name in ("environ.json", "sub/passwd", "up", "dangling", "fifo"):
        assert f"warning: {job.volume}/work/out/{name} is no file of that folder: not pushed" in ended.log
    assert (job.home / "token").read_text() == TOKEN


def test_a_large_file_of_an_odd_name_goes_through_lfs(forge: Forge, job: Pod) -> None:
    (job.home / "more").write_text('head -c 10485761 /dev/zero >"$OUTPUT_DIR/$(printf \'n\\nl "q" [x] *\')"\n')
    ended = job.run("train")
    assert ended.code == 0, ended.log
    assert "oid sha256:" in forge.git("out", "show", 'sft-1:n\nl "q" [x] *')


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("chat_template.jinja", "/proc/self/environ"),
        ("added_tokens.json", "../token"),
        ("config.json", ".git/config"),
        ("vocab.json", "folder"),
    ],
)
def test_a_base_file_from_elsewhere_is_refused_before_training(job: Pod, name: str, target: str) -> None:
    (job.volume / "base" / ".git").mkdir(parents=True)
    (job.volume / "base" / "folder").mkdir()
    (job.volume / "base" / ".git" / "config").write_text("secret")
    (job.volume / "token").write_text("secret")
    base(job, {}, {name: target})
    ended = merging(job).run("train")
    assert ended.code == 1
    assert f"{job.volume}/base/{name} leads to no file of that folder" in ended.log
    assert job.calls == []


def test_a_base_file_from_the_same_folder_is_copied(forge: Forge, job: Pod) -> None:
    base(job, {"blob": "{1}"}, {"config.json": "blob", "vocab.json": f"{job.volume}/base/blob"})
    (job.home / "more").write_text('[ "$1" != export ] || ln -s "$STUB_HOME/token" "${3#export_dir=}/config.json"\n')
    ended = merging(job).run("train")
    assert ended.code == 0, ended.log
    assert pushed(forge)["config.json"] == "100644"
    assert forge.git("out", "show", "sft-1:config.json") == "{1}"
    assert forge.git("out", "show", "sft-1:vocab.json") == "{1}"
    assert (job.home / "token").read_text() == TOKEN


def test_what_is_set_aside_goes_through_no_link(job: Pod) -> None:
    out, other = job.volume / "work" / "out", job.volume / "other"
    other.mkdir(parents=True)
    (job.home / "more").write_text('ln -s "$OUTPUT_DIR/../../other" "$OUTPUT_DIR/unfinished"; exit 9\n')
    assert "exit code 9" in job.run("train").log
    (job.home / "more").unlink()
    assert job.run("train").code == 0
    assert list(other.iterdir()) == []
    assert (out / "unfinished" / "model.safetensors").is_file()


# ---- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["NNODES", "NPROC_PER_NODE", "MASTER_PORT", "PEER_TIMEOUT", "PUSH_RETRIES", "RETRY_SECONDS"]
)
def test_a_number_is_a_number(job: Pod, name: str) -> None:
    ended = job.run("train", **{name: "a[$(touch ran)]"})
    assert ended.code == 1
    assert f"{name} is 'a[$(touch ran)]': it must be a whole number" in ended.log
    assert not list(job.home.rglob("ran"))


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"OUTPUT_MODEL_URL": "--upload-pack=touch"}, "is no URL of a git repository"),
        ({"OUTPUT_MODEL_URL": "ext::sh -c touch% ran"}, "is no URL of a git repository"),
        ({"PUSH_BRANCH": "-x"}, "'-x' is no name of a branch"),
        ({"PUSH_BRANCH": "a:refs/heads/main"}, "is no name of a branch"),
        ({"PUSH_BRANCH": "a b"}, "is no name of a branch"),
    ],
)
def test_what_git_would_take_for_something_else_is_refused(job: Pod, env: dict[str, str], words: str) -> None:
    ended = job.run("train", **env)
    assert ended.code == 1
    assert words in ended.log
    assert job.calls == []
