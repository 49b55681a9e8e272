"""train.sh with stub programs: ranks, processes, what is run again and what is not."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from .pod import Pod, await_file, end

if TYPE_CHECKING:
    from pathlib import Path

# Notes its environment, then does what the test put into $STUB_HOME/<command>.
CLI = """
env -0 >"$STUB_HOME/env-$1"
pwd >"$STUB_HOME/cwd-$1"
cp "$2" "$STUB_HOME/config-$1"
[ ! -e "$STUB_HOME/$1" ] || . "$STUB_HOME/$1"
case $1 in
  train) mkdir -p "$OUTPUT_DIR" && echo tuned >"$OUTPUT_DIR/adapter_model.safetensors" ;;
  export) mkdir -p "${3#export_dir=}" && echo merged >"${3#export_dir=}/model.safetensors"
    echo exported >"${3#export_dir=}/config.json" ;;
esac
"""
# A server that takes everything, and holds nothing.
GIT = """
case "$*" in
  *write-tree) echo 1111 ;;
  *commit-tree*) cat >"$STUB_HOME/message"; echo 2222 ;;
  *' add --force'*) cp -r "$2" "$STUB_HOME/pushed" ;;
  *' push '*) [ ! -e "$STUB_HOME/refuse" ] || { cat "$STUB_HOME/refuse"; exit 1; } ;;
  *ls-remote*) [ ! -e "$STUB_HOME/closed" ] || { cat "$STUB_HOME/closed" >&2; exit 128; } ;;
esac
"""


@pytest.fixture
def job(pod: Pod) -> Pod:
    pod.program("llamafactory-cli", CLI)
    pod.program("git", GIT)
    pod.program("getent", '[ -e "$STUB_HOME/names/$2" ]')
    pod.env |= {
        "TRAIN_CONFIG": "stage: sft\noutput_dir: out\n",
        "WORK_DIR": str(pod.volume),
        "OUTPUT_DIR": str(pod.volume / "out"),
        "MODEL_DIR": str(pod.volume / "base"),
        "NNODES": "1",
        "NPROC_PER_NODE": "1",
        "MASTER_PORT": "8888",
        "PEER_TIMEOUT": "1",
        "RETRY_SECONDS": "0",
    }
    return pod


def merging(job: Pod) -> Pod:
    job.env |= {"EXPORT_CONFIG": "export_dir: merged\n", "EXPORT_DIR": str(job.volume / "merged")}
    return job


def pushing(job: Pod) -> Pod:
    job.env |= {"OUTPUT_MODEL_URL": "https://git.example.com/group/out"}
    return job


def nodes(job: Pod, index: int, count: int = 2) -> dict[str, str]:
    hosts = [f"sft-1-train-{n}.sft-1" for n in range(count)]
    for host in hosts:
        (job.home / "names").mkdir(parents=True, exist_ok=True)
        (job.home / "names" / host).touch()
    return {"NNODES": str(count), "VC_TRAIN_HOSTS": ",".join(hosts), "VC_TASK_INDEX": str(index)}


def environment(job: Pod, command: str = "train") -> dict[str, str]:
    text = (job.home / f"env-{command}").read_text()
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def trainings(job: Pod) -> int:
    return sum(call.startswith("llamafactory-cli train") for call in job.calls)


def checkpoint(job: Pod, step: int, state: str = '{"a": 1}') -> Path:
    folder = job.volume / "out" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text("weights")
    if state:
        (folder / "trainer_state.json").write_text(state)
    return folder


# ---- launching -------------------------------------------------------------------------------------


def test_one_process_trains_in_itself(job: Pod) -> None:
    ended = job.run("train", MASTER_ADDR="stale", NODE_RANK="7", FORCE_TORCHRUN="1")
    assert ended.code == 0, ended.log
    assert job.calls == ["llamafactory-cli train train.yaml"]
    assert (job.home / "config-train").read_text() == "stage: sft\noutput_dir: out\n\n"
    assert (job.home / "cwd-train").read_text().strip() == str(job.volume)
    env = environment(job)
    assert not {"NNODES", "NODE_RANK", "MASTER_ADDR", "FORCE_TORCHRUN", "RANK", "WORLD_SIZE"} & env.keys()
    assert (env["HF_HUB_OFFLINE"], env["TRANSFORMERS_OFFLINE"], env["HF_DATASETS_OFFLINE"]) == ("1", "1", "1")


@pytest.mark.parametrize(
    ("config", "processes", "torchrun"),
    [
        ("stage: sft", "2", "1"),
        ("deepspeed: /app/z3.json", "1", "1"),
        ("deepspeed:\n  zero_optimization: {stage: 3}", "1", "1"),
        ("deepspeed: {a: 1}", "1", "1"),
        ("deepspeed: null", "1", None),
        ("deepspeed:\nstage: sft", "1", None),
        ("# deepspeed: no\nstage: sft", "1", None),
    ],
)
def test_torchrun_starts_where_it_is_needed(job: Pod, config: str, processes: str, torchrun: str | None) -> None:
    ended = job.run("train", TRAIN_CONFIG=config, NPROC_PER_NODE=processes)
    assert ended.code == 0, ended.log
    env = environment(job)
    assert env.get("FORCE_TORCHRUN") == torchrun
    assert env["NPROC_PER_NODE"] == processes
    assert "NNODES" not in env
    assert env["MASTER_PORT"] == "8888"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("fsdp: full_shard auto_wrap", "true"),
        ("fsdp:\n- full_shard\n- auto_wrap", "true"),
        ("fsdp:\n  - full_shard", "true"),
        ("fsdp: null\nstage: sft", None),
        ("fsdp:\nstage: sft", None),
        ("fsdp_config: {a: 1}", None),
    ],
)
def test_the_trainer_hears_of_fsdp_before_it_loads_and_the_merge_never(job: Pod, config: str, said: str | None) -> None:
    """Otherwise every card would hold the whole model first."""
    ended = merging(job).run("train", TRAIN_CONFIG=config, NPROC_PER_NODE="2")
    assert ended.code == 0, ended.log
    assert environment(job).get("ACCELERATE_USE_FSDP") == said
    assert "ACCELERATE_USE_FSDP" not in environment(job, "export")


def test_nodes_find_their_ranks(job: Pod) -> None:
    ended = job.run("train", **nodes(job, 1, 3), NPROC_PER_NODE="8")
    assert ended.code == 0, ended.log
    env = environment(job)
    assert {name: env[name] for name in ("NNODES", "NODE_RANK", "NPROC_PER_NODE", "FORCE_TORCHRUN")} == {
        "NNODES": "3",
        "NODE_RANK": "1",
        "NPROC_PER_NODE": "8",
        "FORCE_TORCHRUN": "1",
    }
    assert (env["MASTER_ADDR"], env["MASTER_PORT"]) == ("sft-1-train-0.sft-1", "8888")
    assert "node 0 merges and pushes" in ended.log


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"VC_TRAIN_HOSTS": ""}, "plugins svc: []"),
        ({"VC_TASK_INDEX": ""}, "plugins env: []"),
        ({"VC_TRAIN_HOSTS": "one"}, "NNODES is 2 but VC_TRAIN_HOSTS (svc plugin) has 1: one"),
        ({"VC_TASK_INDEX": "2"}, "VC_TASK_INDEX is 2"),
        ({"VC_TRAIN_HOSTS": "sft-1-train-0.sft-1,gone-1.sft-1"}, "gone-1.sft-1 cannot be resolved after 1 s"),
    ],
)
def test_nodes_that_do_not_add_up_are_refused(job: Pod, change: dict[str, str], words: str) -> None:
    ended = job.run("train", **nodes(job, 0) | change)
    # A name that is not there may be that of a lost node: the job begins again.
    assert ended.code == (4 if words.startswith("gone") else 1)
    assert words in ended.log
    assert trainings(job) == 0


def test_a_peer_may_come_late(job: Pod) -> None:
    env = nodes(job, 0) | {"PEER_TIMEOUT": "60"}
    late = job.home / "names" / "sft-1-train-1.sft-1"
    late.unlink()
    container = job.start("train", **env)
    assert await_file(job.home / "calls", container)
    time.sleep(0.3)
    assert trainings(job) == 0
    late.touch()
    assert end(container).code == 0
    assert trainings(job) == 1


def test_a_command_gets_the_same_ranks_and_torch_s_own(job: Pod) -> None:
    job.program("vendor", 'env -0 >"$STUB_HOME/env-vendor"')
    ended = job.run("train", "vendor", "a b", "--lr=1", TRAIN_CONFIG="", **nodes(job, 1))
    assert ended.code == 0, ended.log
    assert "vendor a b --lr=1" in job.calls
    env = environment(job, "vendor")
    assert (env["RANK"], env["WORLD_SIZE"], env["NODE_RANK"], env["NNODES"]) == ("1", "2", "1", "2")
    assert env["MASTER_ADDR"] == "sft-1-train-0.sft-1"


def test_a_lone_command_is_rank_0_of_1(job: Pod) -> None:
    job.program("vendor", 'env -0 >"$STUB_HOME/env-vendor"; exit 7')
    assert "exit code 7" in job.run("train", "vendor", TRAIN_CONFIG="").log
    env = environment(job, "vendor")
    assert (env["RANK"], env["WORLD_SIZE"], env["NNODES"]) == ("0", "1", "1")
    assert (env["MASTER_ADDR"], env["MASTER_PORT"]) == ("127.0.0.1", "8888")


def test_nothing_to_run_is_an_error(job: Pod) -> None:
    ended = job.run("train", TRAIN_CONFIG="")
    assert ended.code == 1
    assert "neither a TRAIN_CONFIG nor a command" in ended.log


# ---- environment -----------------------------------------------------------------------------------


def test_files_are_sourced_before_the_strict_mode(job: Pod) -> None:
    file = job.home / "set_env.sh"
    file.write_text('export CANN="$NEVER_SET/lib"\nfalse\n')
    ended = job.run("train", SOURCE_FILES=f"{file} {file}")
    assert ended.code == 0, ended.log
    assert environment(job)["CANN"] == "/lib"


def test_a_missing_file_to_source_is_told(job: Pod) -> None:
    """An image may bring the same environment without the file."""
    ended = job.run("train", SOURCE_FILES="/usr/local/Ascend/none.sh")
    assert ended.code == 0, ended.log
    assert "this image has no /usr/local/Ascend/none.sh" in ended.log


def test_an_unwritable_home_is_replaced(job: Pod) -> None:
    """A path below a file cannot be made by anybody, root included."""
    job.home.mkdir(exist_ok=True)
    (job.home / "file").touch()
    bad = f"{job.home}/file/x"
    ended = job.run("train", HOME=bad, HF_HOME=bad, TRITON_CACHE_DIR=bad, XDG_CACHE_HOME=str(job.volume / "cache"))
    assert ended.code == 0, ended.log
    env = environment(job)
    assert env["HOME"].startswith(str(job.home / "tmp"))
    assert env["HF_HOME"].startswith(env["HOME"])
    assert env["TRITON_CACHE_DIR"].startswith(env["HOME"])
    assert env["XDG_CACHE_HOME"] == str(job.volume / "cache")
    assert not list((job.home / "tmp").iterdir())


def test_the_trainer_does_not_see_the_token(job: Pod) -> None:
    merging(job).run("train")
    for command in ("train", "export"):
        assert not {"GIT_TOKEN", "GIT_USER"} & environment(job, command).keys()


# ---- signals and exit codes ------------------------------------------------------------------------


@pytest.mark.parametrize(("ends", "code"), [("exit 37", 1), ("kill -KILL $$", 137)])
def test_a_failed_trainer_is_a_fault_of_the_training_s_own(job: Pod, ends: str, code: int) -> None:
    """The job's policies go by the exit code: 1 and 137 end it, all others may have come from outside."""
    (job.home).mkdir(exist_ok=True)
    (job.home / "train").write_text(ends)
    ended = merging(pushing(job)).run("train")
    assert ended.code == code
    assert f"training ended with exit code {37 if code == 1 else code}" in ended.log
    assert not any("export" in call or " push " in call for call in job.calls)


@pytest.mark.parametrize(("ends", "code"), [("exit 37", 4), ("kill -KILL $$", 137)])
def test_a_failed_trainer_of_several_nodes_may_miss_another(job: Pod, ends: str, code: int) -> None:
    (job.home).mkdir(exist_ok=True)
    (job.home / "train").write_text(ends)
    assert job.run("train", **nodes(job, 1)).code == code


def test_a_trainer_that_does_not_end_is_ended_before_the_kubelet_does(job: Pod) -> None:
    (job.home / "train").write_text('trap "" TERM; touch $STUB_HOME/up; while :; do sleep 0.1; done')
    container = job.start("train", GRACE_PERIOD="3")
    assert await_file(job.home / "up", container)
    container.terminate()
    ended = end(container)
    assert ended.code == 143, ended.log


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_reaches_the_trainer_and_its_workers(job: Pod, sent: signal.Signals, code: int) -> None:
    """As with torchrun, the one that must hear it is a child of the command that was started."""
    job.program("worker", 'trap "touch $STUB_HOME/told; exit 1" TERM INT; touch $STUB_HOME/up; sleep 60 & wait')
    (job.home / "train").write_text("worker")
    container = job.start("train")
    assert await_file(job.home / "up", container)
    os.kill(container.pid, sent)
    ended = end(container)
    assert ended.code == code, ended.log
    assert (job.home / "told").exists()


def test_a_second_signal_does_not_end_a_trainer_that_saves(job: Pod) -> None:
    (job.home / "train").write_text(
        'trap "touch $STUB_HOME/told; sleep 1; touch $STUB_HOME/saved; exit 0" TERM'
        "\ntouch $STUB_HOME/up; while :; do sleep 0.1; done"
    )
    container = job.start("train")
    assert await_file(job.home / "up", container)
    container.terminate()
    assert await_file(job.home / "told", container)
    container.terminate()
    ended = end(container)
    assert ended.code == 143, ended.log
    assert (job.home / "saved").exists()


def test_a_trainer_that_leaves_with_0_on_a_signal_has_not_finished(job: Pod) -> None:
    (job.home / "train").write_text('trap "exit 0" TERM; touch $STUB_HOME/up; sleep 60 & wait')
    container = merging(job).start("train")
    assert await_file(job.home / "up", container)
    container.terminate()
    ended = end(container)
    assert ended.code == 143
    (job.home / "train").write_text("")
    assert job.run("train").code == 0
    assert trainings(job) == 2


# ---- what is done again ----------------------------------------------------------------------------


def test_a_fresh_start_says_so(job: Pod) -> None:
    assert "starting from step 0" in job.run("train").log


def test_a_restarted_pod_resumes_from_the_newest_whole_checkpoint(job: Pod) -> None:
    for step, state in {90: '{"a": 1}\n', 500: '{"a": 1}', 1000: '{"a": ', 1500: ""}.items():
        checkpoint(job, step, state)
    cut = checkpoint(job, 2000)
    (cut / "optimizer.pt").touch()
    ended = job.run("train")
    assert ended.code == 0, ended.log
    assert f"resuming from {job.volume}/out/checkpoint-500\n" in ended.log
    names = {path.name for path in (job.volume / "out").iterdir() if path.is_dir()}
    assert names == {"checkpoint-90", "checkpoint-500"} | {f"incomplete.checkpoint-{n}" for n in (1000, 1500, 2000)}


def test_a_configuration_may_begin_anew(job: Pod) -> None:
    checkpoint(job, 500)
    ended = job.run("train", TRAIN_CONFIG="stage: sft\noverwrite_output_dir: true\n")
    assert ended.code == 0, ended.log
    assert "resuming from" not in ended.log
    assert (job.volume / "out" / "checkpoint-500").exists()


def test_a_named_checkpoint_is_where_the_first_pod_begins(job: Pod) -> None:
    checkpoint(job, 500, "")
    config = "resume_from_checkpoint: /mnt/x\nstage: sft\n"
    ended = job.run("train", TRAIN_CONFIG=config)
    assert ended.code == 0, ended.log
    assert "resuming from the checkpoint that the configuration names" in ended.log
    assert "resume_from_checkpoint: /mnt/x" in (job.home / "config-train").read_text()


def test_a_replaced_pod_goes_on_from_its_own_checkpoint_instead(job: Pod) -> None:
    """LLaMA-Factory prefers the one that is named, and would lose what the job has trained since."""
    config = "resume_from_checkpoint: /mnt/x\nstage: sft\n"
    (job.home / "train").write_text("exit 9")
    assert job.run("train", TRAIN_CONFIG=config).code == 1
    checkpoint(job, 1500)
    (job.home / "train").write_text("")
    ended = job.run("train", TRAIN_CONFIG=config)
    assert ended.code == 0, ended.log
    assert f"resuming from {job.volume}/out/checkpoint-1500\n" in ended.log
    assert (job.home / "config-train").read_text().strip() == "stage: sft"
    assert job.run("train", TRAIN_CONFIG=config).code == 0
    assert trainings(job) == 2


def test_a_model_saved_by_an_unfinished_training_is_set_aside(job: Pod) -> None:
    """LLaMA-Factory refuses an output folder with a model and no checkpoint."""
    (job.home / "train").write_text('echo half >"$OUTPUT_DIR/adapter_model.safetensors"; exit 9')
    assert job.run("train").code == 1
    (job.home / "train").write_text('[ ! -e "$OUTPUT_DIR/adapter_model.safetensors" ] || exit 10')
    ended = job.run("train")
    assert ended.code == 0, ended.log
    assert (job.volume / "out" / "unfinished" / "adapter_model.safetensors").read_text() == "half\n"


def test_somebody_else_s_model_is_left_alone(job: Pod) -> None:
    (job.volume / "out").mkdir(parents=True)
    (job.volume / "out" / "model.safetensors").touch()
    ended = job.run("train")
    assert ended.code == 1
    assert "neither a checkpoint nor a record of this job" in ended.log
    assert trainings(job) == 0


def test_another_job_s_output_is_refused(job: Pod) -> None:
    assert job.run("train").code == 0
    for change in ({"JOB_NAME": "sft-2"}, {"TRAIN_CONFIG": "stage: dpo\n"}):
        ended = job.run("train", **change)
        assert ended.code == 1
        assert "holds the training of job sft-1" in ended.log
    ended = job.run("train", JOB_NAME="sft-2", TRAIN_CONFIG="overwrite_output_dir: true\n")
    assert ended.code == 0, ended.log
    assert trainings(job) == 2


@pytest.mark.parametrize("left", [".ftgen-started-0", ".ftgen-started-0.x7Ab3K"])
def test_a_record_that_was_not_written_is_none(job: Pod, left: str) -> None:
    """The volume was full, or the pod died."""
    checkpoint(job, 500)
    (job.volume / "out" / left).touch()
    ended = job.run("train")
    assert ended.code == 0, ended.log
    assert f"resuming from {job.volume}/out/checkpoint-500\n" in ended.log
    assert "holds the training of job sft-1" in job.run("train", JOB_NAME="sft-2").log


def test_a_full_volume_leaves_no_half_record(job: Pod) -> None:
    checkpoint(job, 500)
    job.program("mv", 'case "$*" in *started*) exit 1 ;; esac; exec /usr/bin/mv "$@"')
    ended = job.run("train")
    assert ended.code == 1
    assert f"{job.volume}/out/.ftgen-started-0 cannot be written by uid" in ended.log
    assert [path.name for path in (job.volume / "out").iterdir()] == ["checkpoint-500"]
    assert trainings(job) == 0


def test_a_finished_training_is_not_repeated(job: Pod) -> None:
    assert job.run("train").code == 0
    ended = job.run("train")
    assert ended.code == 0
    assert "has finished before" in ended.log
    assert trainings(job) == 1


def test_nodes_that_share_a_folder_believe_node_0(job: Pod) -> None:
    """Node 1 ends before node 0 has saved the model."""
    first, second = nodes(job, 0), nodes(job, 1)
    assert job.run("train", **second).code == 0
    (job.home / "train").write_text("exit 1")
    assert job.run("train", **first).code == 4
    (job.home / "train").write_text("")
    assert job.run("train", **second).code == 0
    assert job.run("train", **first).code == 0
    assert trainings(job) == 4
    assert [job.run("train", **one).code for one in (first, second)] == [0, 0]
    assert trainings(job) == 4


def test_node_0_merges_when_the_others_are_gone(job: Pod) -> None:
    """Kubernetes takes the name of a pod that has ended out of its service."""
    first, second = nodes(merging(job), 0), nodes(job, 1)
    for one in (second, first):
        assert job.run("train", **one).code == 0
    (job.volume / "merged" / ".ftgen-finished").unlink()
    for name in (job.home / "names").iterdir():
        name.unlink()
    ended = job.run("train", **first)
    assert ended.code == 0, ended.log
    assert trainings(job) == 2
    assert sum(call.startswith("llamafactory-cli export") for call in job.calls) == 2


# ---- merging ---------------------------------------------------------------------------------------


def test_the_merge_knows_nothing_of_torchrun_and_appears_whole(job: Pod) -> None:
    ended = merging(job).run("train", **nodes(job, 0))
    assert ended.code == 0, ended.log
    assert f"llamafactory-cli export export.yaml export_dir={job.volume}/merged.partial" in job.calls
    env = environment(job, "export")
    names = {"NNODES", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "NPROC_PER_NODE", "FORCE_TORCHRUN"}
    assert not names & env.keys()
    assert (job.volume / "merged" / "model.safetensors").read_text() == "merged\n"
    assert not (job.volume / "merged.partial").exists()


def test_a_folder_s_name_may_end_in_a_slash(job: Pod) -> None:
    ended = pushing(merging(job)).run("train", OUTPUT_DIR=f"{job.volume}/out//", EXPORT_DIR=f"{job.volume}/merged/")
    assert ended.code == 0, ended.log
    assert (job.volume / "merged" / "model.safetensors").read_text() == "merged\n"
    assert (job.home / "pushed" / "model.safetensors").exists()
    assert sorted(path.name for path in job.volume.iterdir() if path.is_dir()) == ["merged", "out"]


def test_only_node_0_merges_and_pushes(job: Pod) -> None:
    ended = merging(pushing(job)).run("train", **nodes(job, 1))
    assert ended.code == 0, ended.log
    assert not any("export" in call or call.startswith("git") for call in job.calls)


def test_the_base_s_files_come_back_unless_told_otherwise(job: Pod) -> None:
    base = job.volume / "base"
    base.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "merges.txt", "model.safetensors"):
        (base / name).write_text("base")
    assert merging(job).run("train", RESTORE_BASE_FILES="false").code == 0
    assert (job.volume / "merged" / "config.json").read_text() == "exported\n"
    ended = job.run("train", JOB_NAME="sft-2", OUTPUT_DIR=str(job.volume / "out2"))
    assert ended.code == 0, ended.log
    merged = {path.name: path.read_text() for path in (job.volume / "merged").iterdir() if path.name[0] != "."}
    assert merged == dict.fromkeys(("config.json", "tokenizer.json", "merges.txt"), "base") | {
        "model.safetensors": "merged\n"
    }


BASE_TOKENIZER = {"chat_template": "base", "eos_token": "<|endoftext|>", "model_max_length": 131072}
TAUGHT = {"added_tokens_decoder": {"151645": {"content": "<|im_end|>"}}, "eos_token": "<|im_end|>"}


def teaching(job: Pod, tokenizer: str) -> Pod:
    """The job whose merge leaves this tokenizer_config.json."""
    leave = f"[ $1 = train ] || echo '{tokenizer}' >\"${{3#export_dir=}}/tokenizer_config.json\""
    job.program("llamafactory-cli", CLI + leave)
    return merging(job)


def chatting(job: Pod, base: dict[str, object], taught: dict[str, object], **others: object) -> dict[str, object]:
    """The JSON files of a merge of what LLaMA-Factory taught a base; `others` are files of the base by their stem."""
    files = {"tokenizer_config": base, "generation_config": {"eos_token_id": 151643, "temperature": 0.7}} | others
    for name, content in files.items():
        path = job.volume / "base" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    ended = teaching(job, json.dumps(taught)).run("train")
    assert ended.code == 0, ended.log
    assert "warning" not in ended.log
    return {path.stem: json.loads(path.read_text()) for path in (job.volume / "merged").glob("*_*.json")}


def test_a_base_model_that_learned_to_chat_ends_its_turns(job: Pod) -> None:
    special = {"eos_token": {"content": "<|endoftext|>", "lstrip": False}}
    merged = chatting(job, BASE_TOKENIZER, TAUGHT, special_tokens_map=special)
    assert merged == {
        "tokenizer_config": BASE_TOKENIZER | {"eos_token": "<|im_end|>"},
        "special_tokens_map": {"eos_token": "<|im_end|>"},
        "generation_config": {"eos_token_id": [151645, 151643], "temperature": 0.7},
    }


def test_the_token_s_number_may_stand_in_the_tokenizer_alone(job: Pod) -> None:
    tokenizer = {"added_tokens": [{"id": 7, "content": "<|im_end|>"}]}
    job.home.mkdir(exist_ok=True)
    (job.home / "export").write_text(
        f'mkdir -p "${{3#export_dir=}}"; echo \'{json.dumps(tokenizer)}\' >"${{3#export_dir=}}/tokenizer.json"'
    )
    merged = chatting(job, BASE_TOKENIZER, {"eos_token": {"content": "<|im_end|>"}})
    assert merged["generation_config"] == {"eos_token_id": [7, 151643], "temperature": 0.7}


def test_a_model_that_ends_its_turns_already_keeps_its_files(job: Pod) -> None:
    base = BASE_TOKENIZER | {"eos_token": "<|im_end|>"}
    merged = chatting(job, base, TAUGHT | {"chat_template": "taught"})
    assert merged == {"tokenizer_config": base, "generation_config": {"eos_token_id": 151643, "temperature": 0.7}}
    assert (job.volume / "merged" / "tokenizer_config.json").read_text() == json.dumps(base)


def test_a_base_model_without_a_chat_template_gets_the_one_it_was_taught(job: Pod) -> None:
    base = {"eos_token": "<|im_end|>"}
    merged = chatting(job, base, TAUGHT | {"chat_template": "taught"})
    assert merged["tokenizer_config"] == base | {"chat_template": "taught"}


@pytest.mark.parametrize("content", ["[1]", "nonsense", '{"added_tokens_decoder": {"x": 1}, "eos_token": "e"}'])
def test_what_cannot_be_read_of_a_tokenizer_costs_no_result(job: Pod, content: str) -> None:
    base = job.volume / "base"
    base.mkdir(parents=True)
    (base / "tokenizer_config.json").write_text('{"eos_token": "<|endoftext|>"}')
    ended = teaching(job, content).run("train")
    assert ended.code == 0, ended.log
    assert (job.volume / "merged" / "tokenizer_config.json").read_text() == '{"eos_token": "<|endoftext|>"}'


STRETCHED = '{\n  "max_position_embeddings": 4096.0,\n  "rope_theta": 10000.0\n}\n'
BOTH = '{"modules_to_save": [\n    "lm_head",\n    "embed_tokens"\n  ], "r": 8}'
TIED = '{\n  "tie_word_embeddings": true,\n  "vocab_size": 512\n}\n'


def writing(job: Pod, merged: str, adapter: str = "{}") -> Pod:
    """The job whose merge leaves this config.json, and whose training this adapter_config.json."""
    job.home.mkdir(exist_ok=True)
    (job.home / "merged.json").write_text(merged)
    (job.home / "adapter.json").write_text(adapter)
    leave = 'cp "$STUB_HOME/adapter.json" "$OUTPUT_DIR/adapter_config.json"'
    program = CLI.replace("echo exported >", 'cp "$STUB_HOME/merged.json" ').replace(
        "echo tuned", f"{leave} && echo tuned"
    )
    job.program("llamafactory-cli", program)
    return merging(job)


def test_the_length_of_stretched_positions_is_a_whole_number(job: Pod) -> None:
    ended = writing(job, STRETCHED).run("train")
    assert ended.code == 0, ended.log
    assert (job.volume / "merged" / "config.json").read_text() == STRETCHED.replace("4096.0", "4096")


def test_so_it_is_where_nothing_is_merged(job: Pod) -> None:
    (job.volume / "out").mkdir(parents=True)
    (job.volume / "out" / "config.json").write_text(STRETCHED)
    ended = job.run("train")
    assert ended.code == 0, ended.log
    assert (job.volume / "out" / "config.json").read_text() == STRETCHED.replace("4096.0", "4096")


@pytest.mark.parametrize(
    ("adapter", "merged", "expected"),
    [
        (BOTH, TIED, TIED.replace("true", "false")),
        (BOTH, TIED.replace("true", "false"), TIED.replace("true", "false")),
        (BOTH, '{\n  "vocab_size": 512\n}\n', '{\n  "tie_word_embeddings": false,\n  "vocab_size": 512\n}\n'),
        ('{"modules_to_save": null}', TIED, TIED),
        ('{"modules_to_save": ["lm_head"], "target_modules": ["embed_tokens"]}', TIED, TIED),
        ("{}", TIED, TIED),
    ],
)
def test_embeddings_that_were_trained_apart_are_not_tied(job: Pod, adapter: str, merged: str, expected: str) -> None:
    ended = writing(job, merged, adapter).run("train")
    assert ended.code == 0, ended.log
    assert (job.volume / "merged" / "config.json").read_text() == expected


def test_the_base_s_configuration_ties_them_no_more_than_the_merged_one(job: Pod) -> None:
    (job.volume / "base").mkdir(parents=True)
    (job.volume / "base" / "config.json").write_text(TIED)
    ended = writing(job, "{}", BOTH).run("train")
    assert ended.code == 0, ended.log
    assert (job.volume / "merged" / "config.json").read_text() == TIED.replace("true", "false")
    assert (job.volume / "base" / "config.json").read_text() == TIED


def test_a_failed_merge_ends_the_pod_and_is_repeated_alone(job: Pod) -> None:
    job.home.mkdir(exist_ok=True)
    (job.home / "export").write_text('mkdir "${3#export_dir=}"; touch "${3#export_dir=}/half"; exit 3')
    ended = merging(job).run("train")
    assert ended.code == 1
    assert "the merge ended with exit code 3" in ended.log
    assert f"the trained weights are in {job.volume}/out" in ended.log
    (job.home / "export").write_text("")
    assert job.run("train").code == 0
    assert trainings(job) == 1
    assert not (job.volume / "merged" / "half").exists()
    job.run("train")
    assert sum("export" in call for call in job.calls) == 2


# ---- pushing ---------------------------------------------------------------------------------------


def test_a_finished_result_without_a_url_stays_on_the_volume(job: Pod) -> None:
    ended = job.run("train")
    assert f"nothing is pushed: no OUTPUT_MODEL_URL. The result is in {job.volume}/out" in ended.log
    assert not any(call.startswith("git") for call in job.calls)


def test_final_files_are_pushed_and_intermediate_ones_are_not(job: Pod) -> None:
    (job.home / "train").write_text(
        'mkdir -p "$OUTPUT_DIR"/{checkpoint-5,runs,global_step5,.cache}'
        '\ntouch "$OUTPUT_DIR"/{checkpoint-5/x,.cache/x,optimizer.pt}'
        "\ntouch \"$OUTPUT_DIR\"/{training_args.bin,'odd name.json',adapter_config.json}"
        '\nhead -c 10485761 /dev/zero >"$OUTPUT_DIR/tokenizer [x].json"'
    )
    ended = pushing(job).run("train", MODEL_CARD="# Card")
    assert ended.code == 0, ended.log
    pushed = {path.name for path in (job.home / "pushed").iterdir()}
    assert pushed == {
        ".gitattributes",
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "odd name.json",
        "tokenizer [x].json",
    }
    attributes = (job.home / "pushed" / ".gitattributes").read_text().splitlines()
    assert "*.safetensors filter=lfs diff=lfs merge=lfs -text" in attributes
    assert r"/tokenizer[[:space:]]\[x\].json filter=lfs diff=lfs merge=lfs -text" in attributes
    assert (job.home / "pushed" / "README.md").read_text() == "# Card\n"
    push = f"git -C {job.volume}/out/.ftgen-push push origin 2222:refs/heads/sft-1"
    assert push in job.calls
    assert not (job.volume / "out" / ".ftgen-push").exists()
    assert sorted(path.name for path in job.volume.iterdir()) == ["out", "train.yaml"]


def test_the_card_tells_the_commits_that_were_fetched(job: Pod) -> None:
    (job.volume / "base").mkdir(parents=True)
    (job.volume / "base" / ".ftgen-source").write_text("url https://x\ncommit c0ffee\nfile 3 commit\n")
    ended = pushing(job).run("train", MODEL_CARD="# Card\n\nA story.\n", DATASET_DIR=f"{job.volume}/none")
    assert ended.code == 0, ended.log
    card = (job.home / "pushed" / "README.md").read_text()
    assert card == "# Card\n\nA story.\n\n- base model commit c0ffee\n"


@pytest.mark.parametrize("url", ["ssh://git@git.example.com/a/b", "https://git.example.com/a/model@v2"])
def test_an_at_sign_may_stand_in_a_url(job: Pod, url: str) -> None:
    ended = job.run("train", OUTPUT_MODEL_URL=url)
    assert ended.code == 0, ended.log
    assert f"pushed {job.volume}/out to {url}" in ended.log


def test_the_name_of_a_repository_is_no_reason(job: Pod) -> None:
    url = "https://git.example.com/tls-certificate-qa"
    job.home.mkdir(exist_ok=True)
    (job.home / "closed").write_text(f"fatal: unable to access '{url}/': Failed to connect\n")
    ended = job.run("train", OUTPUT_MODEL_URL=url, PUSH_RETRIES="1")
    assert "does not answer now" in ended.log
    assert trainings(job) == 1


def test_the_branch_can_be_named(job: Pod) -> None:
    pushing(job).run("train", PUSH_BRANCH="release/1")
    assert any(call.endswith("2222:refs/heads/release/1") for call in job.calls)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("! [remote rejected] (pre-receive hook declined)", "refused branch sft-1 (a protected branch or a hook)"),
        ("fatal: Authentication failed", "refused the user or token"),
        ("Could not resolve host", "pushing to https://git.example.com/group/out failed"),
    ],
)
def test_a_push_that_fails_names_the_reason_and_the_weights(job: Pod, answer: str, words: str) -> None:
    job.home.mkdir(exist_ok=True)
    (job.home / "refuse").write_text(answer)
    ended = pushing(job).run("train", PUSH_RETRIES="3")
    # A name that is not there may be that of a lost node: the job begins again.
    assert ended.code == (4 if words.startswith("gone") else 1)
    assert words in ended.log
    assert "Tried 3 times" in ended.log
    assert f"The weights are still in {job.volume}/out" in ended.log
    assert sum(" push origin" in call for call in job.calls) == 3
    (job.home / "refuse").unlink()
    assert job.run("train").code == 0
    assert trainings(job) == 1


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"OUTPUT_MODEL_URL": "https://u:t@git.example.com/x"}, "OUTPUT_MODEL_URL holds a user or token"),
        ({"OUTPUT_MODEL_URL": "ssh://u:t/s@git.example.com/x"}, "OUTPUT_MODEL_URL holds a user or token"),
        ({"JOB_NAME": ""}, "needs PUSH_BRANCH or JOB_NAME"),
        ({"GIT_SSL_CAINFO": "/none.pem"}, "GIT_SSL_CAINFO names /none.pem"),
    ],
)
def test_what_cannot_be_pushed_is_known_before_training(job: Pod, env: dict[str, str], words: str) -> None:
    ended = pushing(job).run("train", **env)
    # A name that is not there may be that of a lost node: the job begins again.
    assert ended.code == (4 if words.startswith("gone") else 1)
    assert words in ended.log
    assert trainings(job) == 0


def test_a_server_that_refuses_is_known_before_training_one_that_is_away_is_not(job: Pod) -> None:
    job.home.mkdir(exist_ok=True)
    (job.home / "closed").write_text("remote: HTTP Basic: Access denied\n")
    ended = pushing(job).run("train")
    assert ended.code == 1
    assert trainings(job) == 0
    (job.home / "closed").write_text("Could not resolve host\n")
    ended = job.run("train", PUSH_RETRIES="1")
    assert ended.code == 1
    assert "does not answer now" in ended.log
    assert trainings(job) == 1


def test_a_command_s_output_is_pushed_when_there_is_any(job: Pod) -> None:
    job.program("vendor", '[ -z "$OUT" ] || echo weights >"$OUTPUT_DIR/model.bin"')
    ended = pushing(job).run("train", "vendor", TRAIN_CONFIG="")
    assert ended.code == 0
    assert f"nothing is pushed: {job.volume}/out is empty" in ended.log
    ended = job.run("train", "vendor", TRAIN_CONFIG="", JOB_NAME="sft-2", OUT="1")
    assert ended.code == 0, ended.log
    assert (job.home / "pushed" / "model.bin").read_text() == "weights\n"


def test_all_that_a_command_leaves_is_pushed(job: Pod) -> None:
    """Names that LLaMA-Factory gives to what is not its result mean nothing here."""
    names = ["checkpoint-final", "runs/exp", "latest", ".hidden", "optimizer_study", "a.partial"]
    lines = [f'mkdir -p "$OUTPUT_DIR/{name}" && echo w >"$OUTPUT_DIR/{name}/weights.pt"' for name in names]
    job.program("vendor", "\n".join(lines))
    ended = pushing(job).run("train", "vendor", TRAIN_CONFIG="")
    assert ended.code == 0, ended.log
    pushed = job.home / "pushed"
    assert {str(path.parent.relative_to(pushed)) for path in pushed.rglob("weights.pt")} == set(names)
    assert not list(pushed.glob(".ftgen*"))


def test_a_command_may_leave_its_result_in_the_working_folder(job: Pod) -> None:
    job.program("vendor", "echo w >weights.pt")
    ended = pushing(job).run("train", "vendor", TRAIN_CONFIG="", OUTPUT_DIR=".")
    assert ended.code == 0, ended.log
    assert sorted(path.name for path in (job.home / "pushed").iterdir()) == [".gitattributes", "weights.pt"]


# ---- sudden death ----------------------------------------------------------------------------------


def test_a_pod_may_die_at_any_step(job: Pod) -> None:
    """Whenever it dies, the next one ends with the same merged model, trained at most twice."""
    (job.volume / "base").mkdir(parents=True)
    (job.volume / "base" / "config.json").write_text("base")
    merging(pushing(job))
    job.stop_at_steps("mkdir", "mv", "sha256sum", "git", "llamafactory-cli")
    step = 1
    while job.dies_at(step, "train", RESTORE_BASE_FILES="true"):
        ended = job.run("train", RESTORE_BASE_FILES="true")
        assert ended.code == 0, f"after dying at step {step}: {ended.log}"
        assert (job.volume / "merged" / "model.safetensors").read_text() == "merged\n"
        assert (job.volume / "merged" / "config.json").read_text() == "base"
        assert sorted(path.name for path in job.volume.iterdir() if path.is_dir()) == ["base", "merged", "out"]
        assert (job.volume / "out" / "adapter_model.safetensors").read_text() == "tuned\n"
        for folder in ("merged", "out"):
            (job.volume / folder).rename(job.home / f"{folder}-{step}")
        step += 2
    assert step > 20


def test_what_the_manifest_leaves_out_has_its_default(job: Pod) -> None:
    """Results go to output_models and output_models_merged, and every MLflow run carries the job's tags."""
    told = '{"ftgen.job": "sft-1"}'
    for name in ("OUTPUT_DIR", "EXPORT_DIR"):
        job.env.pop(name, None)
    ended = job.run(
        "train", "sh", "-c", 'echo "$OUTPUT_DIR $MLFLOW_RUN_CONTEXT" >said', TRAIN_CONFIG="", MLFLOW_TAGS=told
    )
    assert ended.code == 0, ended.log
    said = next(job.volume.rglob("said")).read_text()
    assert said == f"output_models {told}\n"
