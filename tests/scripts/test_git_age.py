"""The container scripts ask nothing of git that release 2.25 (Ubuntu 20.04) does not have.

The real git of this machine does the work, behind one that refuses what came later.  git-lfs asks git's
version itself, so that its own calls pass.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from .test_git_push import CLI, WEIGHTS

if TYPE_CHECKING:
    from .gitserver import Forge
    from .pod import Pod

# Options of each command in git 2.25's manual, of those that the scripts could want.
OPTIONS = {
    "add": "--all --force",
    "checkout-index": "--all --quiet",
    "commit-tree": "-m -p",
    "config": "--add --file --get --includes --list -z",
    "fetch": "--depth --no-tags --quiet -q",
    "init": "--bare --quiet --template -q",
    "lfs": "",
    "ls-files": "--deleted --modified",
    "ls-remote": "--heads --tags",
    "push": "--force --quiet -q",
    "read-tree": "",
    "remote": "",
    "rev-parse": "--quiet --verify",
    "status": "--porcelain",
    "update-ref": "",
    "write-tree": "",
}

OLD_GIT = """
case $(ps -o comm= -p $PPID) in git*) exec {git} "$@" ;; esac
words=("$@")
new=${{GIT_CONFIG_COUNT:-}}${{GIT_CONFIG_GLOBAL:-}}${{GIT_CONFIG_SYSTEM:-}}
[ -z "$new" ] || {{ echo "too new: environment" >&2; exit 129; }}
while [[ $1 =~ ^(-C|--git-dir|--work-tree)$ ]]; do shift 2; done
command=$1
case $command in
{cases}
  *) echo "too new: git $*" >&2; exit 129 ;;
esac
[ "$command" != lfs ] || exec {git} "${{words[@]}}"
for word in "${{@:2}}"; do
  case $word in
    --) break ;;
    -*) [[ " $known " == *" ${{word%%=*}} "* ]] || {{ echo "too new: git $*" >&2; exit 129; }} ;;
  esac
done
exec {git} "${{words[@]}}"
"""


@pytest.fixture
def old(pod: Pod) -> Pod:
    cases = "\n".join(f'  {command}) known="{options}" ;;' for command, options in OPTIONS.items())
    pod.program("git", OLD_GIT.format(git=shutil.which("git"), cases=cases))
    return pod


def test_the_stand_in_refuses_what_came_later(old: Pod) -> None:
    old.program("llamafactory-cli", 'git init -q -b main "$STUB_HOME/x" || git -C "$STUB_HOME" maintenance run')
    ended = old.run("train", TRAIN_CONFIG="a: 1", WORK_DIR=str(old.volume), OUTPUT_DIR="out")
    assert "exit code 129" in ended.log
    assert "too new: git init -q -b main" in ended.log
    assert "too new: git maintenance run" in ended.log


def test_a_fetch_and_a_push_ask_for_nothing_new(forge: Forge, old: Pod) -> None:
    forge.create("base")
    commit = forge.commit("base", {"config.json": b"{}\n"}, large={"model.safetensors": WEIGHTS})
    old.program("llamafactory-cli", CLI)
    (old.home / "result").mkdir(parents=True)
    (old.home / "result" / "model.safetensors").write_bytes(WEIGHTS[::-1])
    old.env |= {
        "BASE_MODEL_URL": forge.address("base"),
        "MODEL_DIR": f"{old.volume}/base",
        "DATASET_URL": forge.address("base"),
        "DATASET_DIR": f"{old.volume}/data",
        "GIT_SSL_CAINFO": str(forge.certificate),
        "TRAIN_CONFIG": "stage: sft\n",
        "WORK_DIR": str(old.volume),
        "OUTPUT_DIR": "out",
        "OUTPUT_MODEL_URL": forge.create("out"),
        "MODEL_CARD": "# A card",
        "FETCH_RETRIES": "1",
        "PUSH_RETRIES": "1",
    }
    for revision in ("", "main", commit):
        ended = old.run("prepare", MODEL_REVISION=revision)
        assert ended.code == 0, ended.log
        shutil.rmtree(old.volume / "data")
    for attempt in ("first", "second"):
        (old.home / "result" / "config.json").write_text(attempt)
        ended = old.run("train", JOB_NAME="sft-1", MODEL_REVISION=attempt, OUTPUT_DIR=attempt)
        assert ended.code == 0, ended.log
    assert forge.git("out", "show", "sft-1:config.json") == "second"
    assert not [call for call in old.calls if "too new" in call]
