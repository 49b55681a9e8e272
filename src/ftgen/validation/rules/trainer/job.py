"""Rules about arguments that do not fit the job: its restarts, folders, tracking, processors and merge.

The trainer takes these arguments; the run fails when a pod replaces another, or trains less than its author thinks.
"""

from __future__ import annotations

import posixpath
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.validation import Finding, rule
from ftgen.validation.rules.trainer.arguments import reporters
from ftgen.validation.rules.trainer.setting import TRAINING, Findings, TrainerArguments, is_within

# Arguments whose files the trainer reads before the first step.
INPUT_ARGUMENTS = (
    "model_name_or_path",
    "adapter_name_or_path",
    "ref_model",
    "ref_model_adapters",
    "reward_model",
    "reward_model_adapters",
    "resume_from_checkpoint",
    "dataset_dir",
)
# Variables that give a tracker its server or its account, or switch it off; help texts name the first.
TRACKER_VARIABLES = {
    "clearml": ("CLEARML_API_ACCESS_KEY", "CLEARML_CONFIG_FILE", "CLEARML_OFFLINE_MODE"),
    "comet_ml": ("COMET_API_KEY", "COMET_MODE", "COMET_START_ONLINE"),
    "mlflow": ("MLFLOW_TRACKING_URI",),
    "neptune": ("NEPTUNE_API_TOKEN", "NEPTUNE_MODE"),
    "swanlab": ("SWANLAB_API_KEY", "SWANLAB_MODE"),
    "wandb": ("WANDB_API_KEY", "WANDB_MODE"),
}
# Vendors by backend of torch.distributed; gloo connects all, and other vendors have backends of these names too.
JUDGED_VENDORS = frozenset({"nvidia", "ascend", "cpu"})
BACKENDS = {"nccl": {"nvidia"}, "hccl": {"ascend"}, "cncl": set(), "mccl": set(), "ccl": {"cpu"}, "mpi": {"cpu"}}
# Beyond this, worker processes only wait for each other.
WORKERS_PER_PROCESSOR = 2


@rule("FT287", "resuming", on=TRAINING)
def resuming(args: TrainerArguments) -> Findings:
    """A pod that replaces another resumes from its checkpoints, which hold the optimizer too.

    Why: `Trainer.train` of transformers raises for `resume_from_checkpoint: true` where there is no checkpoint yet,
    as at every first start; LLaMA-Factory looks for the last one by itself (hparams/parser.py).  A path is where the
    first pod starts from: the script prefers whole checkpoints of the job itself.  `save_only_model` leaves the
    optimizer out: DeepSpeed then finds no `global_step` folder and raises (integrations/deepspeed.py),
    FSDP finds no `pytorch_model_fsdp.bin` and raises (`_load_from_checkpoint`), and a training of whole models on
    each card goes on with a new optimizer and a learning rate that starts over.
    Example: `save_only_model: true` with `trainer.parallel=z2` and a workspace that stays.
    Instead: `save_only_model: false`, or `trainer.resume=false`; and no `resume_from_checkpoint: true`.
    """
    checkpoint: Any = args["resume_from_checkpoint"]
    lowered = checkpoint.lower() if isinstance(checkpoint, str) else checkpoint
    if lowered in (True, "true") and not _drops_checkpoints(args):
        headline = "at the first start there is no checkpoint, and the trainer ends with an error"
        yield args.finding("resume_from_checkpoint", headline, "leave it out: the run resumes by itself")
    elif lowered in (False, "false") and args.facts.resumes and not args["overwrite_output_dir"]:
        headline = "resume_from_checkpoint: false makes a replaced pod train from the start beside its checkpoints"
        help_ = "leave it out, or write trainer.resume=false"
        yield args.finding("resume_from_checkpoint", headline, help_, Severity.WARNING)
    elif lowered not in (True, "true", False, "false") and args["save_only_model"]:
        yield from _without_optimizer(args)


def _drops_checkpoints(args: TrainerArguments) -> bool:
    """Return whether the trainer drops `resume_from_checkpoint`; `reward-checkpoints` reports it."""
    return args["stage"] in {"rm", "ppo"} and args["finetuning_type"] in {"full", "freeze"}


def _without_optimizer(args: TrainerArguments) -> Findings:
    if not args.resumes or not args["do_train"]:
        return
    help_ = "set save_only_model: false, or write trainer.resume=false"
    engine = "DeepSpeed" if args["deepspeed"] else "FSDP" if args.fsdp and args.facts.processes > 1 else ""
    if engine:
        headline = f"{engine} cannot resume from checkpoints that hold the model only, and this job resumes"
        yield args.finding("save_only_model", headline, help_)
    else:
        headline = "a replaced pod resumes with a new optimizer and a learning rate that starts over"
        yield args.finding("save_only_model", headline, help_, Severity.WARNING)


@rule("FT288", "absent-inputs", on=TRAINING)
def absent_inputs(args: TrainerArguments) -> Findings:
    """The inputs of the training are in the pod before it starts.

    Why: the job fetches the chosen model and data set; a relative path counts from the run's own folder, which is new;
    a temporary volume is empty; and the script keeps the trainer from model hubs (`HF_HUB_OFFLINE=1`), so that
    transformers ends with an error after minutes of retries.  The trainer splits `dataset` at commas, so that an entry
    of dataset_info.json with a comma in its name is never found.
    Example: `adapter_name_or_path: outputs/checkpoint-500`, `model_name_or_path: Qwen/Qwen3-8B`.
    Instead: `model=<option>`; a path on a volume that stays, such as `/mnt/workspace/<earlier job>/output_models`; or
    a hub's id together with `hardware.env.HF_HUB_OFFLINE=0`.
    """
    if args.facts.folders is None:
        return
    if args.facts.dataset_entry and "," in args.facts.dataset_entry:
        headline = f"{args.facts.dataset_entry} is several names to the trainer, which splits them at commas"
        yield args.finding("dataset", headline, "give the data set a name without a comma: dataset.name")
    for name in INPUT_ARGUMENTS:
        for path in args.names(name) if isinstance(args[name], (str, list)) else ():
            if path and not _is_no_path(args, name, path):
                yield from _absent_input(args, name, path)


def _is_no_path(args: TrainerArguments, name: str, path: str) -> bool:
    """Return whether a value is no path: the URL of a reward model, a switch, or an id that a hub knows."""
    if name == "resume_from_checkpoint":
        return path.lower() in {"true", "false"}
    if name == "dataset_dir":
        return not args.facts.offline and path.startswith(("ONLINE", "REMOTE:"))
    served = name == "reward_model" and args["reward_model_type"] == "api"
    return served or (not args.facts.offline and not path.startswith(("/", ".")))


def _absent_input(args: TrainerArguments, name: str, path: str) -> Findings:
    help_ = _remedy(name)
    if not path.startswith("/"):
        if not path.startswith("../"):
            headline = f"{path} is not there when the run starts: its folder is new, and model hubs are out of reach"
            yield args.finding(name, headline, help_)
        return
    is_present = any(is_within(path, folder) for folder in args.facts.folders or ())
    if "$(JOB_NAME)" in path or (not is_present and any(is_within(path, mount) for mount in args.facts.mounts)):
        yield args.finding(name, f"{path} is not there when the run starts: nothing brings it", help_)
    elif not is_present:
        headline = f"{path} is on no volume of the job, so that the image must hold it"
        yield args.finding(name, headline, help_, Severity.WARNING)


def _remedy(name: str) -> str:
    kept = "name a folder of a claim that stays (storage.workspace.claim, storage.models.claim)"
    return {
        "model_name_or_path": "choose model=<option> with its model.url",
        "dataset_dir": "choose dataset=<option> with its dataset.url",
        "resume_from_checkpoint": f"leave it out, or {kept}",
    }.get(name, kept)


@rule("FT289", "tracking", on=TRAINING)
def tracking(args: TrainerArguments) -> Findings:
    """Runs are reported to the tracker of `tracking`, and each tracker has its server or its account.

    Why: without a tracking URI MLflow writes into a folder of the pod, which nobody sees; the callbacks of wandb,
    Comet, Neptune, ClearML and SwanLab ask for a key at the start, and nobody can answer.  Where `report_to` leaves out
    what `tracking` sets up, nothing reaches it.
    Example: `tracking=none trainer.args.report_to=mlflow`, `report_to: none` with the default `tracking=mlflow`.
    Instead: `tracking=<option>` without `report_to`; for a tracker without an option a variable of `hardware.env`.
    """
    named = reporters(args)
    wanted = [name for name in named if name in TRACKER_VARIABLES]
    wanted += ["swanlab"] if args["use_swanlab"] and args["swanlab_mode"] == "cloud" and "swanlab" not in named else []
    tracker = args.facts.tracker
    for name in wanted:
        if tracker not in {"", name} and not args.facts.environment.intersection(TRACKER_VARIABLES[name]):
            yield _unknown_server(args, name)
    reached = {*named, *(("swanlab",) if args["use_swanlab"] else ())}
    if tracker not in {"", "none"} and not {tracker, "all"}.intersection(reached):
        trackers = ", ".join(named) or "none"
        headline = f"tracking={tracker} is set up, and report_to: {trackers} reports nothing to it"
        yield args.finding("report_to", headline, "write tracking=none, or leave report_to out", Severity.WARNING)


def _unknown_server(args: TrainerArguments, name: str) -> Finding:
    argument = "report_to" if name in reporters(args) else "use_swanlab"
    if name == "mlflow":
        headline = f"tracking={args.facts.tracker} names no MLflow server: runs would go to a folder of the pod"
        help_ = "write tracking=mlflow, or leave report_to out"
    elif name in {"wandb", "swanlab"}:
        headline = f"{name} needs an API key, and tracking={args.facts.tracker} names none"
        help_ = f"write tracking={name} 'tracking.key={{secret: NAME, key: KEY}}', or leave {argument} out"
    else:
        variable = TRACKER_VARIABLES[name][0]
        headline = f"{name} needs {variable}, which the configuration does not set"
        help_ = f"set 'hardware.env.{variable}={{secret: NAME, key: KEY}}'"
    return args.finding(argument, headline, help_, Severity.WARNING)


@rule("FT293", "workers", on=TRAINING)
def workers(args: TrainerArguments) -> Findings:
    """No more worker processes than the pod's processors can run, and at least one where a file is streamed.

    Why: LLaMA-Factory cuts a streamed file into `dataloader_num_workers` parts (data/loader.py), and without a part
    there is no first row.  datasets starts `preprocessing_num_workers` processes that all tokenize, each with memory of
    its own, and the kernel kills some when the pod's memory is used up ("One of the subprocesses has abruptly died
    during map operation", LLaMA-Factory's issue 6762, with 512 of them); torch starts `dataloader_num_workers` for
    every training process.  More than two for each processor only wait for each other.
    Example: `preprocessing_num_workers: 512`.
    Instead: the number that the help names.
    """
    if args["streaming"] and args["dataloader_num_workers"] == 0:
        headline = "a streamed file is cut into a part for each loader process, and there is none"
        yield args.finding("dataloader_num_workers", headline, "set dataloader_num_workers: 1")
    processors = args.facts.processors
    if processors is None:
        return
    for name, processes in (("preprocessing_num_workers", 1), ("dataloader_num_workers", args.facts.devices)):
        count = args[name] or 0
        if count * processes > WORKERS_PER_PROCESSOR * processors:
            headline = f"{count * processes} worker processes on {processors:g} processors of a pod"
            best = max(int(processors // processes), 1)
            yield args.finding(
                name, headline, f"set {name}: {best}, or raise hardware.per_card.cpu.limit", Severity.WARNING
            )


@rule("FT295", "untrained-result", on=TRAINING)
def untrained_result(args: TrainerArguments) -> Findings:
    """The result that is merged and pushed was trained.

    Why: `num_train_epochs: 0` trains no step and `max_steps: 0` a single one (`set_initial_training_values` of
    transformers' Trainer); a learning rate of 0 changes no weight; and yet the trainer ends with
    success, and the base model is pushed as the result.  Freeze tuning of 0 layers leaves no parameter to train.
    Without training there is nothing to merge, and the merge fails.
    Example: `num_train_epochs: 0`, or `do_train: false` with `trainer.merge=true`.
    Instead: `trainer.epochs=3`; `trainer.merge=false model.output_url=null` to evaluate.
    """
    if not args["do_train"]:
        if args.facts.merged and args["adapter_name_or_path"] is None:
            headline = "do_train is off: there is nothing to merge, and the merge would fail"
            yield args.finding("do_train", headline, "write trainer.merge=false")
        return
    for name, untrained, help_ in (
        ("max_steps", args["max_steps"] == 0, "leave it out: trainer.epochs says how long"),
        ("num_train_epochs", args["num_train_epochs"] <= 0 and args["max_steps"] <= 0, "write trainer.epochs=3"),
        ("learning_rate", args["learning_rate"] <= 0, "write trainer.lr=2e-4"),
        ("freeze_trainable_layers", _freezes_all(args), "set freeze_trainable_layers: 2"),
    ):
        if untrained:
            yield args.finding(name, f"{name}: {args[name]} trains nothing", help_)


def _freezes_all(args: TrainerArguments) -> bool:
    if args["finetuning_type"] != "freeze" or args["use_llama_pro"]:
        return False
    return args["freeze_trainable_layers"] == 0 and not args["freeze_extra_modules"]


@rule("FT296", "decided-by-the-job", on=TRAINING)
def decided_by_the_job(args: TrainerArguments) -> Findings:
    """Arguments do not overrule what the job decides for its processes.

    Why: the script pushes the result with git and keeps the trainer offline, so that `push_to_hub` ends the training
    at its start (`init_hf_repo`); torch builds have the collectives of their own vendor alone, and NPUs' optimizer is
    torch_npu's; `use_cpu` leaves the cards that the pod holds idle.
    Example: `push_to_hub: true`, `ddp_backend: nccl` on Ascend, `use_cpu: true` on cards.
    Instead: `model.output_url=…`, and the others left out.
    """
    if args["push_to_hub"] and args.facts.offline:
        headline = "push_to_hub asks a model hub, and the trainer is kept offline"
        help_ = "set model.output_url: the job pushes by itself; or hardware.env.HF_HUB_OFFLINE=0"
        yield args.finding("push_to_hub", headline, help_)
    connected = BACKENDS.get(args["ddp_backend"] or "", JUDGED_VENDORS)
    if args.facts.processes > 1 and args.facts.vendor in JUDGED_VENDORS - connected:
        headline = f"{args['ddp_backend']} does not connect {args.facts.vendor} devices"
        yield args.finding("ddp_backend", headline, "leave ddp_backend out")
    if args["optim"] == "adamw_torch_npu_fused" and args.facts.vendor in JUDGED_VENDORS - {"ascend"}:
        yield args.finding("optim", "adamw_torch_npu_fused needs NPUs", "leave it out")
    if (name := args.first("use_cpu", "no_cuda")) and args.facts.vendor != "cpu":
        headline = f"{name} trains on the processors while the pod holds cards"
        yield args.finding(name, headline, "leave it out, or write hardware=cpu", Severity.WARNING)


@rule("FT297", "misplaced-results", on=TRAINING)
def misplaced_results(args: TrainerArguments) -> Findings:
    """The trainer writes to a volume of the job, once, and not into the folder of the merge.

    Why: outside its volumes a container writes to the node's own disk, which holds little, fails where the file system
    is read only, and is gone when the container restarts: neither checkpoints nor a result that failed to be pushed
    are found again.  The script replaces the merge's folder as a whole, with what the trainer wrote if it lies there.
    With `save_on_each_node` a process of every node writes all files under the same names (training_args.py of
    transformers, which warns of nodes with one storage).
    Example: `output_dir: /tmp/output`, `trainer.export.export_dir=output_models`.
    Instead: `output_dir: output_models`, which lies in the run's folder on the workspace.
    """
    output, merged = args["output_dir"], args.facts.merged
    if not output:
        if output is not None:
            yield args.finding("output_dir", "output_dir names no folder", "set output_dir: output_models")
        return
    if (
        output.startswith("/")
        and args.facts.mounts
        and not any(is_within(output, mount) for mount in args.facts.mounts)
    ):
        headline = f"{output} is on no volume of the job: what is written there is gone with the container"
        relative = posixpath.basename(output.rstrip("/")) or "output_models"
        yield args.finding("output_dir", headline, f"set output_dir: {relative}", Severity.WARNING)
    if merged is not None and is_within(posixpath.join("/", output), posixpath.join("/", merged)):
        headline = f"the merge would replace {merged}, and the training writes into {output}"
        yield args.finding("output_dir", headline, "write trainer.export.export_dir=output_models_merged")
    if args["save_on_each_node"] and args.facts.nodes > 1 and args.facts.shared:
        headline = (
            f"{args.facts.nodes} nodes write the same files into one folder, {output} on a volume that they share"
        )
        yield args.finding("save_on_each_node", headline, "leave it out", Severity.WARNING)
