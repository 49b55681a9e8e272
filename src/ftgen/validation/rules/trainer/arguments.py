"""Rules about arguments that exclude or need each other, as LLaMA-Factory's and transformers' own parsers have it.

Each rule mirrors a condition of the pinned releases' code, which its docstring names; the trainer would raise the same
error minutes after the pod's start, when images are pulled and models loaded.  Rules about the hardware, the model,
the data set and the image are in `hardware`.
"""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Mapping
from math import ceil, isclose, isfinite
from typing import Any

from ftgen.diagnostics import Severity
from ftgen.trainers.llamafactory import MOST_ROWS, NEGLIGIBLE, held_out
from ftgen.trainers.sharding import settings as sharding_settings
from ftgen.validation import rule
from ftgen.validation.rules.trainer.setting import BOTH, TRAINING, Findings, TrainerArguments

REWARD_STAGES = frozenset({"rm", "ppo"})
PPO_REPORTERS = ("wandb", "tensorboard", "trackio", "none")
PPO_REPORTERS_BEFORE_0_9_5 = ("wandb", "tensorboard")
HELPER_BITS = (4, 8)
DEEPSPEED_FILES = tuple(
    f"ds_{name}_config.json" for name in ("z0", "z2", "z2_offload", "z2_autotp", "z3", "z3_offload", "z3_fp8")
)
MINIMUM = {
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "cutoff_len": 1,
    "max_samples": 1,
    "preprocessing_num_workers": 1,
    "dataloader_num_workers": 0,
    "ddp_timeout": 1,
    "seed": 0,
    "weight_decay": 0,
}
# numpy's generator takes a seed of 32 bits; an adapter whose input is always dropped learns nothing.
MAXIMUM = {"seed": 2**32 - 1, "lora_dropout": 0.99}
# Usual learning rates are 1e-4 for adapters, less for whole models; at a thousand times as much, every optimizer with
# moments diverges.
DIVERGING_RATE = 0.1
# Schedulers that need one of these keys in `lr_scheduler_kwargs`, to know their end.
SCHEDULER_ENDS = {
    "cosine_with_min_lr": ("min_lr", "min_lr_rate"),
    "cosine_warmup_with_min_lr": ("min_lr", "min_lr_rate"),
}
# Keys that schedulers take in `lr_scheduler_kwargs` (optimization.py of transformers); some schedulers read none.
_CYCLES = ("num_cycles", "last_epoch")
SCHEDULER_KEYS = {
    "linear": ("last_epoch",),
    "cosine": _CYCLES,
    "cosine_with_restarts": _CYCLES,
    "polynomial": ("lr_end", "power", "last_epoch"),
    "cosine_with_min_lr": ("min_lr", "min_lr_rate", *_CYCLES),
    "cosine_warmup_with_min_lr": ("min_lr", "min_lr_rate", "warmup_lr_rate", *_CYCLES),
    "warmup_stable_decay": (
        *("num_stable_steps", "num_decay_steps", "warmup_type", "decay_type", "min_lr_ratio"),
        *_CYCLES,
    ),
}
STABLE_DECAY_STEPS = ("num_stable_steps", "num_decay_steps")
# Of `pissa_iter`: the singular values are computed, not approached.
EXACT = -1
# Optimizers that LLaMA-Factory's own low-rank optimizers are made from (train/trainer_utils.py).
LOW_RANK_BASES = {
    "use_galore": ("adamw_torch", "adamw_bnb_8bit", "adamw_8bit", "paged_adamw_8bit", "adafactor"),
    "use_apollo": ("adamw_torch",),
}
# Schedulers without a warm-up (`get_scheduler`, optimization.py of transformers).
WITHOUT_WARMUP = frozenset({"constant", "reduce_lr_on_plateau"})
# Arguments that bring rows which `max_samples` does not bound, or share them out by another size of batch.
UNCOUNTED = (
    "tokenized_path",
    "streaming",
    "auto_find_batch_size",
    "per_gpu_train_batch_size",
    "accelerator_config",
    "parallelism_config",
    "use_hyper_parallel",
    "use_mca",
)
# Strategies of `mix_strategy` that repeat no row (data/data_utils.py).
EACH_ROW_ONCE = frozenset({"concat", "interleave_under"})
# Metrics of an evaluation in every stage: `Trainer.evaluate` of transformers counts these by itself.
PLAIN_METRICS = frozenset({"loss", "runtime", "samples_per_second", "steps_per_second"})
# Arguments that DeepSpeed's settings repeat (`trainer_config_process`, integrations/deepspeed.py of transformers).
DEEPSPEED_TWINS = {
    ("train_micro_batch_size_per_gpu",): "per_device_train_batch_size",
    ("gradient_accumulation_steps",): "gradient_accumulation_steps",
    ("gradient_clipping",): "max_grad_norm",
    ("optimizer", "params", "lr"): "learning_rate",
    ("optimizer", "params", "eps"): "adam_epsilon",
    ("optimizer", "params", "weight_decay"): "weight_decay",
}


@rule("FT204", "model-required", on=BOTH)
def model_required(args: TrainerArguments) -> Findings:
    """A model must be named.

    Why: `BaseModelArguments.__post_init__` (hparams/model_args.py) raises without `model_name_or_path`.
    Example: `model_name_or_path: null`.
    Instead: choose a model: `model=qwen3-0.6b`.
    """
    if args["model_name_or_path"] is None:
        yield args.finding("model_name_or_path", "no model is named", "choose one: model=<option>")


@rule("FT205", "work-required", on=TRAINING)
def work_required(args: TrainerArguments) -> Findings:
    """Training needs a data set, and a job needs something to do.

    Why: `get_train_args` (hparams/parser.py) raises when `do_train` is on and `dataset` is null, and `merge_dataset`
    (data/data_utils.py) where it is an empty list; with none of the three `do_` switches on, the trainer loads the
    model and ends with success, having done nothing.
    Example: `do_train: true, dataset: null`.
    Instead: name a data set: `dataset=<option>`.
    """
    if args["do_train"] and not args.names("dataset"):
        yield args.finding("dataset", "do_train is on but no data set is named", "choose one: dataset=<option>")
    if not (args["do_train"] or args["do_predict"] or args.evaluates):
        yield args.finding(
            "do_train",
            "nothing to do: neither training, evaluation nor prediction is on",
            "set do_train: true",
        )


@rule("FT206", "validation-split", on=BOTH)
def validation_split(args: TrainerArguments) -> Findings:
    """A validation split is cut from the training data: a share of them or so many rows, and no other set beside it.

    Why: `DataArguments.__post_init__` (hparams/data_args.py); above 1 the value is cut to a whole number, and of 1.0,
    all rows, nothing is left to train on (`split_dataset`, data/data_utils.py).  Nor is where it asks for all rows that
    `max_samples` lets in: `train_test_split` of datasets raises.
    Example: `val_size: 0.1, eval_dataset: held_out`.
    Instead: keep one of the two.
    """
    if args["val_size"] > NEGLIGIBLE and args["dataset"] is None:
        yield args.finding("val_size", "val_size cuts from the training data, but dataset is null", "set val_size: 0")
    if args["val_size"] > NEGLIGIBLE and args["eval_dataset"] is not None:
        yield args.finding("val_size", "val_size and eval_dataset exclude each other", "drop one: set val_size: 0")
    size: Any = args["val_size"]  # an int is a number of rows
    if size < 0 or (size >= 1 and isinstance(size, float) and (size == 1 or not size.is_integer())):
        headline = f"val_size is a share below 1 or a whole number of rows, not {size}"
        yield args.finding("val_size", headline, "set val_size: 0.1")
    elif size > NEGLIGIBLE and args["max_samples"] is not None and not args["streaming"]:
        yield from _split_of_all(args, size)


def _split_of_all(args: TrainerArguments, size: float) -> Findings:
    rows = _rows_let_in(args)
    cut = held_out(size, rows)
    if 0 < rows <= cut:
        headline = f"a validation split of {cut} rows leaves none to train on: max_samples lets in {rows}"
        yield args.finding("val_size", headline, "set a smaller val_size, or a larger max_samples")


def _rows_let_in(args: TrainerArguments) -> int:
    return int(args["max_samples"]) * max(1, len(args.names("dataset")))


def most_steps(args: TrainerArguments) -> int | None:
    """Return a step beyond which the training does not come, by `max_steps` or the rows; None where none is known."""
    if args["max_steps"] > 0:
        return int(args["max_steps"])
    rows, batch, accumulated = (
        _most_rows(args),
        args["per_device_train_batch_size"],
        args["gradient_accumulation_steps"],
    )
    if rows is None or min(rows, batch, accumulated) < 1:
        return None
    batches = -(-rows // (batch * args.facts.processes))
    steps = args["num_train_epochs"] * -(-batches // accumulated)
    return ceil(steps) if isfinite(steps) else None


def _most_rows(args: TrainerArguments) -> int | None:
    """Return how many rows `max_samples` leaves to train on at most; None where they are more, or not known.

    Rows of plain text are cut into several where they are packed, as they are unless `packing` says otherwise
    (data/processor/pretrain.py); packing puts rows of conversations together.
    """
    is_cut = args["stage"] == "pt" and args["packing"] is not False
    repeats = len(args.names("dataset")) > 1 and args["mix_strategy"] not in EACH_ROW_ONCE
    if args["max_samples"] is None or is_cut or repeats or args.first(*UNCOUNTED) or _divides_layers(args):
        return None
    rows = min(_rows_let_in(args), MOST_ROWS)
    return rows - held_out(args["val_size"], rows)


def _divides_layers(args: TrainerArguments) -> bool:
    """Return whether DeepSpeed may share each layer among processes, which then read the same rows."""
    if args["deepspeed"] is None:
        return False
    settings = sharding_settings(args["deepspeed"])
    return not settings or "tensor_parallel" in settings


@rule("FT207", "evaluation-data", on=TRAINING)
def evaluation_data(args: TrainerArguments) -> Findings:
    """Evaluation and prediction need data.

    Why: `get_train_args` (hparams/parser.py) raises without `eval_dataset` and `val_size`; transformers turns
    `do_eval` on for every `eval_strategy` other than `no`, and evaluates before the first step for `eval_on_start`.
    Example: `eval_strategy: steps, val_size: 0`.
    Instead: `val_size: 0.1`, or `eval_strategy: "no"`.
    """
    switches = ("do_eval", "do_predict", "predict_with_generate", "eval_on_start")
    switch = args.first(*switches) or ("eval_strategy" if args.evaluates else "")
    if switch and args["eval_dataset"] is None and args["val_size"] < NEGLIGIBLE:
        help_ = "set val_size: 0.1 or eval_dataset, or turn evaluation off: eval_strategy: 'no'"
        yield args.finding(
            switch, f"{switch} asks for evaluation, but there are neither eval_dataset nor val_size", help_
        )


@rule("FT208", "interleave-probabilities", on=BOTH)
def interleave_probabilities(args: TrainerArguments) -> Findings:
    """Data sets are interleaved by probabilities that add up to 1, one a set, and by a strategy that is there.

    Why: `DataArguments.__post_init__` (hparams/data_args.py) wants interleaving and one for each set; numpy's
    generator, by which datasets draws, raises where they do not add up to 1; and `interleave_once` needs a newer
    release of datasets than LLaMA-Factory allows.
    Example: `interleave_probs: 0.7,0.3` with the default `mix_strategy: concat`.
    Instead: `mix_strategy: interleave_under`.
    """
    if args["mix_strategy"] == "interleave_once" and len(args.names("dataset")) > 1:
        headline = "the datasets package that LLaMA-Factory allows has no interleave_once"
        yield args.finding("mix_strategy", headline, "set mix_strategy: interleave_over")
    if args["interleave_probs"] is None:
        return
    probabilities = args.names("interleave_probs")
    if args["mix_strategy"] == "concat":
        yield args.finding(
            "interleave_probs",
            "probabilities mean nothing to mix_strategy concat",
            "set mix_strategy: interleave_under",
        )
    elif not all(_is_number(text) for text in probabilities):
        yield args.finding("interleave_probs", "probabilities are numbers separated by commas", "e.g. 0.7,0.3")
    elif len(probabilities) > 1 and not _add_up(probabilities):
        headline = f"the probabilities {', '.join(probabilities)} do not add up to 1"
        yield args.finding("interleave_probs", headline, "e.g. 0.7,0.3")
    for name in ("dataset", "eval_dataset"):
        datasets = args.names(name) if args[name] is not None else probabilities
        if len(datasets) != len(probabilities):
            counts = f"{len(probabilities)} probabilities for {len(datasets)} names in {name}"
            yield args.finding("interleave_probs", counts, "give one probability for each data set")


def _add_up(probabilities: tuple[str, ...]) -> bool:
    shares = [float(text) for text in probabilities]
    return min(shares) >= 0 and isclose(sum(shares), 1, abs_tol=1e-8)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@rule("FT209", "streaming-split", on=BOTH)
def streaming_split(args: TrainerArguments) -> Findings:
    """A stream has no length: no share of it, and no first so many of it, can be taken.

    Why: `DataArguments.__post_init__` (hparams/data_args.py).
    Example: `streaming: true, val_size: 0.1`.
    Instead: `val_size: 500`, and `max_steps` for `max_samples`.
    """
    if args["streaming"] and NEGLIGIBLE < args["val_size"] < 1:
        yield args.finding("val_size", "val_size is a share, and a stream has no length", "give a count: val_size: 500")
    if args["streaming"] and args["max_samples"] is not None:
        yield args.finding("max_samples", "max_samples excludes streaming", "set max_samples: null and use max_steps")


@rule("FT210", "streaming-length", on=TRAINING)
def streaming_length(args: TrainerArguments) -> Findings:
    """A stream needs an end in steps, and can be neither saved tokenized nor grouped by length.

    Why: `get_train_args` (hparams/parser.py) raises for `max_steps: -1`; `get_dataset` (data/loader.py)
    raises when it should save a stream to `tokenized_path`, transformers' Trainer for `group_by_length`.
    Example: `streaming: true, num_train_epochs: 3`.
    Instead: `max_steps: 1000`.
    """
    if args["streaming"] and args["max_steps"] == -1:
        yield args.finding("max_steps", "a stream has no epochs: max_steps is needed", "set max_steps: 1000")
    if args["streaming"] and args["tokenized_path"] is not None:
        yield args.finding("tokenized_path", "a stream cannot be saved to tokenized_path", "set streaming: false")
    if args["streaming"] and args["group_by_length"]:
        headline = "rows of a stream cannot be grouped by length"
        yield args.finding("group_by_length", headline, "set group_by_length: false")


@rule("FT211", "prompt-masks", on=BOTH)
def prompt_masks(args: TrainerArguments) -> Findings:
    """`mask_history` trains the last answer only, `train_on_prompt` everything.

    Why: `DataArguments.__post_init__` (hparams/data_args.py).
    Example: both true.
    Instead: keep one.
    """
    if args["mask_history"] and args["train_on_prompt"]:
        yield args.finding("mask_history", "mask_history and train_on_prompt exclude each other", "set one to false")


@rule("FT212", "supervised-only", on=TRAINING)
def supervised_only(args: TrainerArguments) -> Findings:
    """Four switches belong to supervised fine-tuning alone.

    Why: `get_train_args` (hparams/parser.py) refuses them in every other stage.
    Example: `stage: dpo, neat_packing: true`.
    Instead: leave them out, or `stage: sft`.
    """
    for name in ("predict_with_generate", "neat_packing", "train_on_prompt", "mask_history"):
        if args["stage"] != "sft" and args[name]:
            yield args.finding(name, f"{name} belongs to stage sft, not {args['stage']}", f"set {name}: false")


@rule("FT213", "sizes", on=TRAINING)
def sizes(args: TrainerArguments) -> Findings:
    """Each size is in the range that its reader takes, and OFT has one of its two sizes.

    Why: torch's sampler, DataLoader and optimizers, datasets' `map`, numpy's generator, accelerate and PEFT raise for
    these (peft/tuners/lora and peft/tuners/oft: OFT takes its rank or its block size, the other being 0).
    Example: `finetuning_type: oft, oft_rank: 8`, whose block size is 32 by default.
    Instead: add `oft_block_size: 0`.
    """
    for name, least in MINIMUM.items():
        if args[name] is not None and args[name] < least:
            yield args.finding(name, f"{name} is at least {least}, not {args[name]}", f"set {name}: {least}")
    for name, most in MAXIMUM.items():
        if args[name] > most:
            yield args.finding(name, f"{name} is at most {most}, not {args[name]}", "leave it out")
    if args["finetuning_type"] == "lora" and args["lora_rank"] < 1:
        yield args.finding("lora_rank", f"lora_rank is at least 1, not {args['lora_rank']}", "set lora_rank: 8")
    if args["finetuning_type"] == "oft" and bool(args["oft_rank"]) == bool(args["oft_block_size"]):
        headline = f"OFT takes oft_rank or oft_block_size, and here are {args['oft_rank']} and {args['oft_block_size']}"
        yield args.finding("oft_rank", headline, "set one of them to 0")


@rule("FT214", "reward-checkpoints", on=TRAINING)
def reward_checkpoints(args: TrainerArguments) -> Findings:
    """Reward models and PPO keep their value head outside what a checkpoint restores.

    Why: `get_train_args` (hparams/parser.py) refuses `load_best_model_at_end` and, for full and freeze, looks for no
    checkpoint and drops `resume_from_checkpoint`, with no more than a line in the log.  A checkpoint of adapters holds
    no model.safetensors (`fix_valuehead_checkpoint`, train/callbacks.py), and transformers' Trainer, for which a model
    with a value head is none with adapters, raises when it should load one (`_load_from_checkpoint`).
    Example: `stage: rm, load_best_model_at_end: true`.
    Instead: leave both out, and `trainer.resume=false`.
    """
    if args["stage"] not in REWARD_STAGES:
        return
    stage, method = args["stage"], args["finetuning_type"]
    if args["load_best_model_at_end"]:
        yield args.finding("load_best_model_at_end", f"stage {stage} cannot load its best model", "set it to false")
    has_adapters = method not in {"full", "freeze"}
    if not has_adapters and args["resume_from_checkpoint"] is not None:
        headline = f"stage {stage} with {method} does not resume: the value is dropped"
        yield args.finding("resume_from_checkpoint", headline, "set it to null", Severity.WARNING)
    elif never_resumes(args) and args.facts.resumes and not args["overwrite_output_dir"]:
        headline = f"stage {stage} with {method} looks for no checkpoint: a pod that replaces another starts over"
        help_ = "write trainer.resume=false, so that it starts over without saying otherwise"
        if has_adapters:
            headline = f"stage {stage} cannot load a checkpoint of adapters: a pod that replaces another fails"
            help_ = "write trainer.resume=false, so that it starts over"
        yield args.finding("overwrite_output_dir", headline, help_, Severity.WARNING)


def never_resumes(args: TrainerArguments) -> bool:
    """Return whether the trainer saves checkpoints that it does not load: a value head is outside of them."""
    return bool(args["save_strategy"] != "no" and args["do_train"] and args["stage"] in REWARD_STAGES)


@rule("FT215", "ppo", on=BOTH)
def ppo(args: TrainerArguments) -> Findings:
    """PPO: where it can run at all, and what it needs then.

    Why: the PPO trainer (train/ppo/trainer.py) wants a trl that the package's own requirements exclude, so it
    ends with an import error; and `get_train_args` and `FinetuningArguments.__post_init__` ask for a reward
    model and training, and refuse shifted attention, Unsloth's and KTransformers' reward adapters, and most
    trackers.
    Example: `stage: ppo`.
    Instead: `stage: dpo` or `stage: kto` with preference data.
    """
    if args["stage"] != "ppo":
        return
    if args["reward_model"] is None:
        yield args.finding("reward_model", "ppo needs a reward model", "set reward_model to its path")
    yield from _ppo_reward(args)
    if args.command == "train":
        yield from _ppo_training(args)


def _ppo_training(args: TrainerArguments) -> Findings:
    if requirement := args.surface.unrunnable.get("ppo"):
        headline = f"ppo needs {requirement}, which LLaMA-Factory {args.surface.version} excludes"
        yield args.finding("stage", headline, "use stage dpo or kto")
    if not args["do_train"]:
        yield args.finding("do_train", "ppo only trains", "set do_train: true; evaluate with stage sft")
    if args["shift_attn"]:
        yield args.finding("shift_attn", "ppo excludes shift_attn", "set shift_attn: false")
    if args["reward_model_type"] == "lora" and (engine := args.first("use_unsloth", "use_kt")):
        yield args.finding(engine, f"{engine} has no reward adapters", "set reward_model_type: full")
    yield from _ppo_reporters(args)


def _ppo_reward(args: TrainerArguments) -> Findings:
    reward_type, method = args["reward_model_type"], args["finetuning_type"]
    if reward_type in {"lora", "oft"} and method != reward_type:
        headline = f"a {reward_type} reward model needs finetuning_type {reward_type}, not {method}"
        yield args.finding("reward_model_type", headline, "set it to full")


def _ppo_reporters(args: TrainerArguments) -> Findings:
    any_position = args.surface.version != "0.9.4"
    allowed = PPO_REPORTERS if any_position else PPO_REPORTERS_BEFORE_0_9_5
    named = reporters(args) if any_position else reporters(args)[:1]
    for other in named:
        if other not in allowed:
            yield args.finding("report_to", f"ppo does not report to {other}", f"choose among {', '.join(allowed)}")


def reporters(args: TrainerArguments) -> tuple[str, ...]:
    """Return the trackers that the trainer reports to: none for `none`; null is `all` in transformers 4."""
    value: Any = args["report_to"]
    if value in ("none", ["none"]):
        return ()
    if value is None:
        return ("all",) if args.surface.transformers_major < 5 else ()  # noqa: PLR2004 - changed in 5
    return tuple(value) if isinstance(value, list) else (value,)


@rule("FT216", "helper-quantization", on=BOTH)
def helper_quantization(args: TrainerArguments) -> Findings:
    """Reference and reward models are quantized to 4 or 8 bits or not at all, and one that is compared with is there.

    Why: an assertion in `FinetuningArguments.__post_init__` (hparams/finetuning_args.py).  For LoRA `create_ref_model`
    (train/trainer_utils.py) makes no reference unless it is named, and `use_asft_loss` calls it in the first step; an
    evaluation ends in an error, as the loss of asft comes without the outputs (`compute_loss`, train/sft/trainer.py).
    Example: `ref_model_quantization_bit: 2`; `use_asft_loss: true` with LoRA, or with an evaluation.
    Instead: 4, 8 or null; `finetuning_type: full`, `val_size: 0` and `eval_strategy: "no"`.
    """
    if args["use_asft_loss"] and args["finetuning_type"] == "lora" and args["ref_model"] is None:
        headline = "use_asft_loss compares with a reference model, and LoRA makes none"
        yield args.finding("use_asft_loss", headline, "set finetuning_type: full, or name a ref_model")
    elif args["use_asft_loss"] and args.command == "train" and args.evaluates:
        headline = "use_asft_loss trains, and then fails in the evaluation"
        yield args.finding("use_asft_loss", headline, "write trainer.args.val_size=0 trainer.args.eval_strategy=no")
    for name in ("ref_model_quantization_bit", "reward_model_quantization_bit"):
        if args[name] is not None and args[name] not in HELPER_BITS:
            yield args.finding(name, f"{name} is 4, 8 or null, not {args[name]}", f"set {name}: 4")


@rule("FT217", "adapter", on=BOTH)
def adapter(args: TrainerArguments) -> Findings:
    """Only LoRA starts from an adapter, and one that is trained on is no part of what preferences are compared with.

    Why: `_verify_model_args` (hparams/parser.py), for OFT too; several adapters cannot be loaded under ZeRO-3
    (model/adapter.py).  For LoRA `create_ref_model` (train/trainer_utils.py) makes no reference of its own, and DPO and
    KTO compare with the model whose adapter is off (`disable_adapter`, train/dpo/trainer.py, train/kto/trainer.py): the
    base without what supervised fine-tuning taught, if the adapter is of that.  `create_new_adapter` merges it first,
    except where nothing can be merged (`_setup_lora_tuning`, model/adapter.py).
    Example: `adapter_name_or_path: a, finetuning_type: full`; `stage: dpo, adapter_name_or_path: a`.
    Instead: `finetuning_type: lora`, which merges OFT adapters too; `create_new_adapter: true`.
    """
    if args["adapter_name_or_path"] is None:
        return
    if args["finetuning_type"] != "lora":
        yield args.finding(
            "adapter_name_or_path",
            f"finetuning_type {args['finetuning_type']} takes no adapter",
            "set finetuning_type: lora",
        )
    elif args.zero3 and len(args.names("adapter_name_or_path")) > 1:
        yield args.finding("adapter_name_or_path", "ZeRO-3 loads one adapter", "merge the others first")
    elif (args.needs_reference or args["stage"] == "kto") and args["do_train"] and args["ref_model"] is None:
        yield from _reference_without_adapter(args)


def _reference_without_adapter(args: TrainerArguments) -> Findings:
    keeps_base = args.zero3 or args.quantized_base or args["quantization_bit"] or args.first("use_unsloth", "use_kt")
    if args["create_new_adapter"] and not keeps_base:
        return
    trained = args.names("adapter_name_or_path")[-1]
    headline = f"stage {args['stage']} compares with the base without {trained}, which it goes on to train"
    help_ = "name the model that it starts from by ref_model and ref_model_adapters"
    if not keeps_base:
        help_ = f"set create_new_adapter: true, which merges it into the base first; or {help_}"
    yield args.finding("adapter_name_or_path", headline, help_, Severity.WARNING)


@rule("FT218", "quantized-training", on=BOTH)
def quantized_training(args: TrainerArguments) -> Findings:
    """A quantized base trains through one LoRA or OFT adapter, stays as it is and lies on one device.

    Why: `_verify_model_args` and `get_train_args` (hparams/parser.py); tokens that are added turn `resize_vocab` on
    later (`patch_tokenizer`, model/patcher.py), and quantized layers cannot be resized.
    Example: `quantization_bit: 4, finetuning_type: full`.
    Instead: `finetuning_type: lora`, or no `quantization_bit`.
    """
    if args["do_train"] and args["quantization_device_map"] == "auto":
        yield args.finding("quantization_device_map", "a device map is for inference", "leave it out")
    if args["quantization_bit"] is None:
        return
    if args["finetuning_type"] not in {"lora", "oft"}:
        yield args.finding(
            "quantization_bit",
            f"a quantized model cannot train with {args['finetuning_type']}",
            "set finetuning_type: lora",
        )
    for name in ("pissa_init", "fp8", "resize_vocab", "add_tokens", "add_special_tokens", "new_special_tokens_config"):
        if args[name]:
            off = "false" if args[name] is True else "null"
            yield args.finding(
                name, f"{name} excludes quantization_bit", f"set {name}: {off} or quantization_bit: null"
            )
    if args["adapter_name_or_path"] is not None and args["create_new_adapter"]:
        yield args.finding(
            "create_new_adapter", "no new adapter fits over another on a quantized model", "set it to false"
        )
    if args["adapter_name_or_path"] is not None and len(args.names("adapter_name_or_path")) != 1:
        yield args.finding("adapter_name_or_path", "a quantized model takes one adapter", "merge the others first")


@rule("FT219", "deepspeed-file", on=TRAINING)
def deepspeed_file(args: TrainerArguments) -> Findings:
    """DeepSpeed's settings are a mapping, as the package brings no files, and repeat no argument with another value.

    Why: the wheel holds Python only; the `ds_…_config.json` files are in LLaMA-Factory's repository, which
    its official images keep at /app/examples/deepspeed, and a relative path counts from the working
    directory.  transformers raises for each setting that is neither `auto` nor the argument's value
    (`fill_match`, integrations/deepspeed.py).
    Example: `deepspeed: ds-z3-config.json`, which exists nowhere.
    Instead: `trainer.parallel=z3`, or the mapping itself.
    """
    value = args["deepspeed"]
    yield from _other_than_the_arguments(args)
    if not isinstance(value, str):
        return
    if value.startswith("{") and args.zero_stage is None:
        yield args.finding("deepspeed", "the text opens like JSON but is none", "give the mapping itself")
    elif not value.startswith(("{", "/app/examples/deepspeed/ds_z")):
        near = difflib.get_close_matches(value.rsplit("/", maxsplit=1)[-1], DEEPSPEED_FILES, n=1)
        hint = f"; LLaMA-Factory's is called {near[0]}" if near and not value.endswith(near[0]) else ""
        headline = f"{value!r} must lie in the image, and the package brings no such file{hint}"
        yield args.finding("deepspeed", headline, "set trainer.parallel=z3, or give the mapping", Severity.WARNING)


def _other_than_the_arguments(args: TrainerArguments) -> Findings:
    settings = sharding_settings(args["deepspeed"])
    for path, name in DEEPSPEED_TWINS.items() if settings else ():
        given: Any = settings
        for step in path:
            given = given.get(step) if isinstance(given, Mapping) else None
        if not (given in (None, "auto", args[name]) or (name.endswith("batch_size") and args["auto_find_batch_size"])):
            headline = f"DeepSpeed's {'.'.join(path)} is {given}, and {name} is {args[name]}"
            yield args.finding("deepspeed", headline, f"set {'.'.join(path)}: auto")


@rule("FT220", "lora-only", on=BOTH)
def lora_only(args: TrainerArguments) -> Findings:
    """Four refinements exist for LoRA alone.

    Why: `FinetuningArguments.__post_init__` (hparams/finetuning_args.py).
    Example: `finetuning_type: oft, use_dora: true`.
    Instead: leave them out, or `finetuning_type: lora`.
    """
    if args["finetuning_type"] == "lora":
        return
    for name in ("loraplus_lr_ratio", "use_rslora", "use_dora", "pissa_init"):
        if args[name] is not None and args[name] is not False:
            yield args.finding(
                name, f"{name} needs finetuning_type lora, not {args['finetuning_type']}", f"leave {name} out"
            )


@rule("FT221", "pissa", on=BOTH)
def pissa(args: TrainerArguments) -> Findings:
    """PiSSA rewrites the base weights: nothing may compare with or shard them meanwhile, nor add to them as they were.

    Why: `FinetuningArguments.__post_init__` refuses it in PPO, KTO and DPO with a reference model;
    `get_train_args` refuses it under ZeRO-3.  The adapter fits a base without the part that it began with, which PEFT
    takes out whenever it loads it (`pissa_init`, peft/tuners/lora/layer.py): by random numbers, and in the merge others
    than in the training, unless `pissa_iter` is -1.  Servers such as vLLM add it to the whole base.  What is to be used
    is the adapter that `pissa_convert` writes to pissa_converted (LLaMA-Factory's issue 6171), which leaves out what
    `additional_target` trains, and after a resume what came before (`PissaConvertCallback`, train/callbacks.py).
    Example: `stage: kto, pissa_init: true`; `pissa_init: true` with the default `trainer.merge=true`.
    Instead: `pissa_init: false`; `pissa_iter: -1`; or `pissa_convert: true` with
    `trainer.export.adapter_name_or_path=output_models/pissa_converted`.
    """
    if args["pissa_init"] and (args["stage"] in {"ppo", "kto"} or args.needs_reference):
        yield args.finding("pissa_init", f"pissa_init does not work in stage {args['stage']}", "set pissa_init: false")
    if args["pissa_init"] and args.zero3:
        yield args.finding("pissa_init", "pissa_init does not work under ZeRO-3", "use ZeRO-2 or pissa_init: false")
    is_new = args["adapter_name_or_path"] is None or args["create_new_adapter"]
    if args["pissa_init"] and args["do_train"] and is_new and not args.first("use_unsloth", "use_kt"):
        yield from _pissa_in_the_result(args)


def _pissa_in_the_result(args: TrainerArguments) -> Findings:
    is_converted = args.facts.merged is None or posixpath.basename(args.facts.merged_adapter) == "pissa_converted"
    if args.facts.merged is None and not args["pissa_convert"]:
        headline = "the adapter fits a base without what it began with, and not the base: servers would add to that"
        help_ = "set pissa_convert: true, and serve the adapter in pissa_converted; or write trainer.merge=true"
        yield args.finding("pissa_init", headline, help_, Severity.WARNING)
    elif not is_converted and args["pissa_iter"] != EXACT:
        headline = "the merge takes another part out of the base than the training did: it draws other random numbers"
        yield args.finding("pissa_init", headline, f"set pissa_iter: {EXACT}, which draws none", Severity.WARNING)
    if is_converted and args["pissa_convert"] and args.resumes:
        headline = "a pod that replaces another converts only what it trained itself since the checkpoint"
        yield args.finding("pissa_convert", headline, "write trainer.resume=false", Severity.WARNING)


@rule("FT222", "low-rank-optimizers", on=BOTH)
def low_rank_optimizers(args: TrainerArguments) -> Findings:
    """GaLore, APOLLO and BAdam exclude each other and LoRA.

    Why: `FinetuningArguments.__post_init__` (hparams/finetuning_args.py).
    Example: `finetuning_type: lora, use_galore: true`.
    Instead: `finetuning_type: full` with one of them.
    """
    enabled = [name for name in ("use_galore", "use_apollo", "use_badam") if args[name]]
    if enabled and args["finetuning_type"] == "lora":
        yield args.finding(enabled[0], f"{enabled[0]} does not go with LoRA", "set finetuning_type: full")
    if len(enabled) > 1:
        yield args.finding(enabled[1], f"{' and '.join(enabled)} exclude each other", "keep one")


@rule("FT223", "low-rank-optimizers-in-parallel", on=TRAINING)
def low_rank_optimizers_in_parallel(args: TrainerArguments) -> Findings:
    """Layer by layer GaLore and APOLLO run in one process, BAdam in several only under ZeRO-3.

    Why: `get_train_args` (hparams/parser.py); torchrun makes a distributed run even of one process.
    DeepSpeed excludes GaLore and APOLLO whatever their mode.  Both are made from a few optimizers, which the default
    of transformers is not from torch 2.8 on, and layer by layer they do not accumulate gradients
    (`_create_galore_optimizer`, train/trainer_utils.py).
    Example: `use_badam: true, badam_mode: ratio` on two devices.
    Instead: `badam_mode: layer` with `deepspeed: z3`.
    """
    if args.distributed:
        for name, switch in (("use_galore", "galore_layerwise"), ("use_apollo", "apollo_layerwise")):
            if args[name] and args[switch]:
                yield args.finding(switch, f"{switch} does not work in a distributed run", f"set {switch}: false")
        yield from _badam_in_parallel(args)
    for name in ("use_galore", "use_apollo"):
        if args[name] and args["deepspeed"] is not None:
            yield args.finding(name, f"{name} does not work with DeepSpeed", "set deepspeed: null")
        if args[name]:
            yield from _low_rank_base(args, name)


def _low_rank_base(args: TrainerArguments, name: str) -> Findings:
    bases, layerwise = LOW_RANK_BASES[name], f"{name.removeprefix('use_')}_layerwise"
    if args["optim"] not in bases:
        headline = f"{name} is made from {', '.join(bases)}, not from {args['optim']}"
        yield args.finding("optim", headline, "set optim: adamw_torch")
    elif "optim" not in args.given:
        headline = f"{name} is made from adamw_torch, and without optim transformers takes adamw_torch_fused"
        yield args.finding("optim", f"{headline} from torch 2.8 on", "set optim: adamw_torch", Severity.WARNING)
    steps = args["gradient_accumulation_steps"]
    if args[layerwise] and steps != 1:
        headline = f"{layerwise} does not accumulate gradients, and here are {steps} steps"
        yield args.finding(layerwise, headline, f"write trainer.gradient_accumulation=1, or set {layerwise}: false")


def _badam_in_parallel(args: TrainerArguments) -> Findings:
    if args["use_badam"] and args["badam_mode"] == "ratio":
        yield args.finding("badam_mode", "ratio-wise BAdam does not work in a distributed run", "set badam_mode: layer")
    elif args["use_badam"] and not args.zero3 and not _zero_stage_in_image(args):
        yield args.finding("use_badam", "layer-wise BAdam in a distributed run needs ZeRO-3", "use DeepSpeed ZeRO-3")


def _zero_stage_in_image(args: TrainerArguments) -> bool:
    return isinstance(args["deepspeed"], str) and args.zero_stage is None


@rule("FT224", "llama-pro", on=BOTH)
def llama_pro(args: TrainerArguments) -> Findings:
    """LLaMA Pro trains added blocks only, so not with full fine-tuning, and spreads them evenly.

    Why: `FinetuningArguments.__post_init__`; `_setup_freeze_tuning` (model/adapter.py) and
    `find_expanded_modules` (model/model_utils/misc.py) want the number of layers to be a multiple of
    `freeze_trainable_layers`.
    Example: `use_llama_pro: true, finetuning_type: full`.
    Instead: `finetuning_type: freeze`.
    """
    if args["use_llama_pro"] and args["finetuning_type"] == "full":
        yield args.finding(
            "use_llama_pro", "use_llama_pro does not go with full fine-tuning", "set finetuning_type: freeze"
        )
    layers, trained = args.facts.layers, args["freeze_trainable_layers"]
    if args["use_llama_pro"] and layers and (trained <= 0 or layers % trained):
        yield args.finding(
            "freeze_trainable_layers",
            f"{trained} does not divide the model's {layers} layers",
            "choose a divisor",
        )


@rule("FT225", "label-smoothing", on=BOTH)
def label_smoothing(args: TrainerArguments) -> Findings:
    """Label smoothing is defined for DPO's sigmoid loss.

    Why: `FinetuningArguments.__post_init__` (hparams/finetuning_args.py).
    Example: `stage: dpo, pref_loss: orpo, dpo_label_smoothing: 0.1`.
    Instead: `dpo_label_smoothing: 0`.
    """
    if args["stage"] == "dpo" and args["pref_loss"] != "sigmoid" and args["dpo_label_smoothing"] > NEGLIGIBLE:
        headline = f"label smoothing is for pref_loss sigmoid, not {args['pref_loss']}"
        yield args.finding("dpo_label_smoothing", headline, "set dpo_label_smoothing: 0")


@rule("FT227", "generation", on=TRAINING)
def generation(args: TrainerArguments) -> Findings:
    """Predictions of supervised fine-tuning are generated: from whole parameters, and not for token accuracy.

    Why: `get_train_args` (hparams/parser.py).
    Example: `do_predict: true` alone, or `predict_with_generate: true` under ZeRO-3.
    Instead: both switches, under ZeRO-2.
    """
    if args["stage"] == "sft" and args["do_predict"] and not args["predict_with_generate"]:
        yield args.finding("do_predict", "do_predict saves generated answers only", "set predict_with_generate: true")
    if args["predict_with_generate"] and args.zero3:
        yield args.finding("predict_with_generate", "predict_with_generate does not work under ZeRO-3", "use ZeRO-2")
    if args["predict_with_generate"] and args["compute_accuracy"]:
        yield args.finding("compute_accuracy", "compute_accuracy excludes predict_with_generate", "set one to false")


@rule("FT228", "zero3", on=TRAINING)
def zero3(args: TrainerArguments) -> Findings:
    """ZeRO-3 shards parameters, which four features do not support.

    Why: `get_train_args` (hparams/parser.py); of `auto_find_batch_size`, transformers' Trainer.
    Example: `pure_bf16: true` under ZeRO-3.
    Instead: `bf16: true`, or ZeRO-2.
    """
    for name in ("pure_bf16", "use_unsloth", "use_kt", "auto_find_batch_size"):
        if args[name] and args.zero3:
            yield args.finding(name, f"{name} does not work under ZeRO-3", f"use ZeRO-2 or set {name}: false")


@rule("FT229", "inference-backend", on=BOTH)
def inference_backend(args: TrainerArguments) -> Findings:
    """Training runs on Hugging Face's code, and so does a merge.

    Why: `get_train_args` (hparams/parser.py) refuses the engines of the chat commands; `get_infer_args` lets an
    export name vLLM only where vLLM could serve the model.
    Example: `infer_backend: vllm`.
    Instead: `infer_backend: huggingface`.
    """
    backend = args["infer_backend"]
    if args.command == "train" and backend != "huggingface":
        yield args.finding("infer_backend", f"{backend} serves, it does not train", "set infer_backend: huggingface")
    if args.command == "export" and backend == "vllm" and not _served_by_vllm(args):
        yield args.finding("infer_backend", "vllm could not serve this model, and a merge needs none", "leave it out")


def _served_by_vllm(args: TrainerArguments) -> bool:
    one_adapter_at_most = args["adapter_name_or_path"] is None or len(args.names("adapter_name_or_path")) == 1
    return (
        one_adapter_at_most
        and args["stage"] == "sft"
        and args["quantization_bit"] is None
        and args["rope_scaling"] is None
    )


@rule("FT230", "export-target", on=BOTH)
def export_target(args: TrainerArguments) -> Findings:
    """An export has a folder, merges into whole weights only, and is quantized from whole weights with data.

    Why: `export_model` (train/tuner.py) and `ExportArguments.__post_init__` (hparams/model_args.py); GPTQ
    knows 2, 3, 4 and 8 bits (model/model_utils/quantization.py).  A base that comes quantized trains adapters, and
    `export_model` then raises "Cannot merge adapters to a quantized model".
    Example: an adapter with `export_quantization_bit: 4` or `quantization_bit: 4`; `model.quantization=gptq`.
    Instead: merge first, quantize in a second export; `trainer.merge=false`.
    """
    bits, merges = args["export_quantization_bit"], args["adapter_name_or_path"] is not None
    if args.command == "export" and args["export_dir"] is None:
        yield args.finding("export_dir", "the export has no folder", "set export_dir")
    if args.command == "export" and merges and args["quantization_bit"] is not None:
        yield args.finding("quantization_bit", "adapters merge into whole weights only", "leave quantization_bit out")
    elif args.command == "export" and merges and args.quantized_base:
        headline = f"adapters merge into whole weights only, and the model comes as {args.quantized_base}"
        help_ = "write trainer.merge=false, which pushes the adapter, or choose the model's whole weights"
        yield args.finding("model_name_or_path", headline, help_)
    if args.command == "export" and merges and bits is not None:
        yield args.finding("export_quantization_bit", "merge the adapter before quantizing", "leave it out")
    if bits is not None and args["export_quantization_dataset"] is None:
        yield args.finding(
            "export_quantization_bit",
            "a quantized export is calibrated on data",
            "set export_quantization_dataset",
        )
    if bits not in {None, 2, 3, 4, 8}:
        yield args.finding("export_quantization_bit", f"GPTQ has 2, 3, 4 and 8 bits, not {bits}", "choose 4")


@rule("FT231", "overwriting", on=TRAINING)
def overwriting(args: TrainerArguments) -> Findings:
    """A pod that is replaced starts over when it may overwrite its output, or when nothing is saved before the end.

    Why: `get_train_args` (hparams/parser.py) looks for the last checkpoint in `output_dir` only without
    `overwrite_output_dir`; a retried pod on a kept volume would lose what it had.  With `save_strategy: "no"` there is
    no checkpoint (`DefaultFlowCallback`, trainer_callback.py of transformers).
    Example: `overwrite_output_dir: true`; `save_strategy: "no"` with a workspace that stays.
    Instead: `false`: the run resumes by itself; `save_strategy: steps`.
    """
    if args["save_strategy"] == "no" and args["do_train"] and args.facts.resumes:
        headline = "nothing is saved before the end: a replaced pod trains from the start again"
        yield args.finding("save_strategy", headline, "set save_strategy: steps", Severity.WARNING)
    elif args["overwrite_output_dir"] and args["resume_from_checkpoint"] is None and not never_resumes(args):
        headline = "overwrite_output_dir makes a replaced pod train from the start again"
        yield args.finding("overwrite_output_dir", headline, "set trainer.resume=true", Severity.WARNING)


@rule("FT232", "precision", on=TRAINING)
def precision(args: TrainerArguments) -> Findings:
    """One half precision at a time.

    Why: `TrainingArguments` of transformers refuses fp16 with bf16, for training and for evaluation; with
    `pure_bf16` the gradients are bfloat16, which fp16's gradient scaler cannot unscale.
    Example: `bf16: true, fp16: true`.
    Instead: bf16 where the card has it.
    """
    pairs = (("fp16", "bf16"), ("fp16_full_eval", "bf16_full_eval"), ("fp16", "pure_bf16"))
    for one, other in pairs:
        if args[one] and args[other]:
            yield args.finding(one, f"{one} and {other} exclude each other", f"set {one}: false")


@rule("FT233", "best-model", on=TRAINING)
def best_model(args: TrainerArguments) -> Findings:
    """The best model is among those that were both saved and evaluated, and saved whole where it was sharded.

    Why: `TrainingArguments` of transformers wants equal strategies, and save steps that are a multiple of the
    evaluation steps; `save_strategy: best` is free of both, and asks for a metric.  Its Trainer refuses
    `save_only_model` beside DeepSpeed and FSDP.  Early stopping asks for the metric of the best model and for
    evaluation (`EarlyStoppingCallback`).  The metric is one that the evaluation counts: supervised fine-tuning counts
    accuracy for `compute_accuracy` alone (train/sft/workflow.py), and with `eval_on_each_dataset` each metric has the
    name of a data set; the first evaluation raises for another.  Where the training ends before the first evaluation,
    no model is the best; early stopping compares as many evaluations as it waits for with the one before them.
    Example: `load_best_model_at_end: true, save_steps: 500, eval_steps: 300`.
    Instead: `eval_steps: 250`.
    """
    if args["load_best_model_at_end"] and args["save_only_model"] and (engine := args.first("deepspeed", "fsdp")):
        headline = f"{engine} finds the best model in whole checkpoints only"
        yield args.finding("save_only_model", headline, "set save_only_model: false")
    if args["save_strategy"] == "best" and not args["load_best_model_at_end"] and args["metric_for_best_model"] is None:
        headline = "save_strategy best compares by the best model's metric, and there is none"
        yield args.finding("save_strategy", headline, "set metric_for_best_model: loss")
    yield from _early_stopping(args)
    yield from _metric_that_is_counted(args)
    yield from _evaluations_that_come(args)
    if not args["load_best_model_at_end"] or args["save_strategy"] == "best":
        return
    saves, evaluates = args["save_strategy"], args["eval_strategy"]
    steps = args["eval_steps"] or args["logging_steps"]
    if evaluates != saves:
        headline = f"the best model needs equal strategies, not eval {evaluates} and save {saves}"
        yield args.finding("load_best_model_at_end", headline, f"set eval_strategy: {saves}")
    elif evaluates == "steps" and not _is_multiple(args["save_steps"], steps):
        headline = f"save_steps {args['save_steps']} is no multiple of the {steps} evaluation steps"
        yield args.finding("save_steps", headline, "make save_steps a multiple of eval_steps")


def _early_stopping(args: TrainerArguments) -> Findings:
    if args["early_stopping_steps"] is None:
        return
    if not _compares_models(args) and args["metric_for_best_model"] is None:
        headline = "early stopping compares by the best model's metric, and there is none"
        yield args.finding("early_stopping_steps", headline, "set load_best_model_at_end: true")
    if args["eval_strategy"] == "no":
        yield args.finding("early_stopping_steps", "early stopping needs evaluation", "set eval_strategy: steps")


def _evaluations_that_come(args: TrainerArguments) -> Findings:
    evaluations, patience = _most_evaluations(args), args["early_stopping_steps"]
    if evaluations is None:
        return
    if evaluations == 0 and (args["load_best_model_at_end"] or args["save_strategy"] == "best"):
        headline = f"the first evaluation would come after the last step, of {_count(args, most_steps(args) or 0)}"
        help_ = "set smaller eval_steps and save_steps: 0.1 is a tenth of the training"
        yield args.finding("eval_steps", headline, help_, Severity.WARNING)
    if patience is not None and evaluations <= patience:
        headline = f"early stopping compares {patience + 1} evaluations, and there are at most {evaluations}"
        help_ = "set smaller eval_steps, or leave early_stopping_steps out"
        yield args.finding("early_stopping_steps", headline, help_, Severity.WARNING)


def _most_evaluations(args: TrainerArguments) -> int | None:
    """Return how many evaluations by steps the training has at most; None where nobody knows."""
    interval = args["eval_steps"] or args["logging_steps"]
    if args["eval_strategy"] != "steps" or not interval > NEGLIGIBLE:
        return None
    if interval < 1:
        return int(1 / interval)
    steps = most_steps(args)
    return None if steps is None else int(steps // interval)


def _compares_models(args: TrainerArguments) -> bool:
    """Return whether transformers compares models by a metric where none is named: by the loss."""
    return bool(args["load_best_model_at_end"]) or args["lr_scheduler_type"] == "reduce_lr_on_plateau"


def _metric_that_is_counted(args: TrainerArguments) -> Findings:
    named = args["metric_for_best_model"] or ("loss" if _compares_models(args) else "")
    metric = named.removeprefix("eval_")
    if not metric or not args.evaluates:
        return
    first = next(iter(args.names("eval_dataset")), "")
    if args["eval_on_each_dataset"] and first and metric in PLAIN_METRICS:
        headline = f"with eval_on_each_dataset no metric is called {metric}"
        yield args.finding("eval_on_each_dataset", headline, f"set metric_for_best_model: eval_{first}_{metric}")
    counts_itself = args.first("predict_with_generate", "compute_accuracy") or args["stage"] != "sft"
    if metric == "accuracy" and not counts_itself:
        headline = "the evaluation of supervised fine-tuning counts no accuracy"
        yield args.finding("metric_for_best_model", headline, "set compute_accuracy: true")


def _is_multiple(save: float, evaluate: float) -> bool:
    if evaluate == 0 or save % evaluate == 0:
        return True
    scale = 1_000_000
    return evaluate < 1 and save < 1 and (save * scale) % (evaluate * scale) == 0


@rule("FT234", "intervals", on=TRAINING)
def intervals(args: TrainerArguments) -> Findings:
    """Steps are whole numbers above 1, shares of the run below, and not zero where they set an interval.

    Why: `TrainingArguments` of transformers.
    Example: `logging_strategy: steps, logging_steps: 0`.
    Instead: `logging_steps: 10`.
    """
    for strategy, name in (
        ("logging_strategy", "logging_steps"),
        ("eval_strategy", "eval_steps"),
        ("save_strategy", "save_steps"),
    ):
        steps = args[name]
        if args[strategy] == "steps" and steps is not None and steps > 1 and steps != int(steps):
            yield args.finding(name, f"{name} above 1 is a whole number, not {steps}", f"set {name}: {int(steps)}")
    if args["logging_strategy"] == "steps" and args["logging_steps"] == 0:
        yield args.finding("logging_steps", "logging by steps needs logging_steps above 0", "set logging_steps: 10")
    if args["eval_strategy"] == "steps" and not args["eval_steps"] and args["logging_steps"] <= 0:
        yield args.finding("eval_steps", "evaluation by steps needs eval_steps above 0", "set eval_steps: 100")


@rule("FT235", "schedule", on=TRAINING)
def schedule(args: TrainerArguments) -> Findings:
    """Schedulers, warm-up and loaders have values that transformers takes.

    Why: `TrainingArguments` of transformers: two schedulers follow the evaluation, two need their end and each takes
    keys of its own (optimization.py), a warm-up is not negative, and only worker processes prefetch and persist.  Of
    the two phases of warmup_stable_decay LLaMA-Factory fills in the one that is missing by shares of the whole
    (`create_custom_scheduler`, train/trainer_utils.py), after which a learning rate of 0 may be left.
    A training that ends within its warm-up never has its learning rate: `max_steps` ends it, or the rows that
    `max_samples` lets in, shared among all cards.
    Example: `lr_scheduler_type: reduce_lr_on_plateau, eval_strategy: "no"`; `warmup_steps: 200` on eight cards.
    Instead: `lr_scheduler_type: cosine`.
    """
    scheduler, ratio, cache_steps = args["lr_scheduler_type"], args["warmup_ratio"], args["torch_empty_cache_steps"]
    if scheduler in {"reduce_lr_on_plateau", "greedy"} and args["eval_strategy"] == "no":
        headline = f"{scheduler} follows the evaluation, and eval_strategy is no"
        yield args.finding("lr_scheduler_type", headline, "set lr_scheduler_type: cosine")
    yield from _scheduler_arguments(args, scheduler)
    if args["warmup_steps"] < 0:
        yield args.finding(
            "warmup_steps", f"a warm-up of {args['warmup_steps']} steps cannot be", "set warmup_steps: 0"
        )
    if ratio is not None and not 0 <= ratio <= 1:
        yield args.finding("warmup_ratio", f"warmup_ratio is between 0 and 1, not {ratio}", "set warmup_ratio: 0.1")
    if args["learning_rate"] > DIVERGING_RATE and "sgd" not in args["optim"]:
        headline = f"a training with a learning rate of {args['learning_rate']:g} diverges"
        yield args.finding("learning_rate", headline, "write trainer.lr=2e-4", Severity.WARNING)
    if args["dataloader_num_workers"] == 0 and args["dataloader_prefetch_factor"] is not None:
        headline = "without loader processes nothing is prefetched"
        yield args.finding("dataloader_prefetch_factor", headline, "set dataloader_num_workers: 4")
    if args["dataloader_num_workers"] == 0 and args["dataloader_persistent_workers"]:
        yield args.finding(
            "dataloader_persistent_workers", "no loader process persists", "set dataloader_num_workers: 4"
        )
    if cache_steps is not None and cache_steps <= 0:
        yield args.finding(
            "torch_empty_cache_steps", f"emptying the cache every {cache_steps} steps cannot be", "leave it out"
        )
    yield from _endless_warmup(args)


def _endless_warmup(args: TrainerArguments) -> Findings:
    if args["lr_scheduler_type"] in WITHOUT_WARMUP:
        return
    steps, warmup = most_steps(args), args["warmup_steps"]
    if steps is not None and 0 < steps <= warmup:
        headline = f"{_count(args, steps)} end within a warm-up of {warmup}"
        yield args.finding("warmup_steps", headline, f"set warmup_steps: {steps // 10}", Severity.WARNING)
    elif warmup == 0 and args["warmup_ratio"] == 1:
        headline = "the warm-up is the whole training"
        yield args.finding("warmup_ratio", headline, "set warmup_ratio: 0.1", Severity.WARNING)


def _count(args: TrainerArguments, steps: int) -> str:
    return f"{steps} steps" if args["max_steps"] > 0 else f"at most {steps} steps"


def _scheduler_arguments(args: TrainerArguments, scheduler: str) -> Findings:
    given: Any = args["lr_scheduler_kwargs"] or {}
    if not isinstance(given, Mapping):
        return  # a JSON text, which transformers reads
    if (needed := SCHEDULER_ENDS.get(scheduler)) and not any(map(given.__contains__, needed)):
        headline = f"{scheduler} needs {' or '.join(needed)} in lr_scheduler_kwargs"
        yield args.finding("lr_scheduler_type", headline, f"set lr_scheduler_kwargs: {{{needed[0]}: …}}")
    taken = SCHEDULER_KEYS.get(scheduler, given)
    if unknown := [str(key) for key in given if key not in taken]:
        headline = f"{scheduler} takes no {', '.join(unknown)}"
        yield args.finding("lr_scheduler_kwargs", headline, f"it takes {', '.join(taken)}")
    phases = [key for key in STABLE_DECAY_STEPS if key in given]
    if scheduler == "warmup_stable_decay" and len(phases) == 1:
        headline = f"beside {phases[0]} alone the other phase is a share of the whole training: the sum may not be it"
        yield args.finding("lr_scheduler_kwargs", headline, "give both phases or neither", Severity.WARNING)


@rule("FT236", "trackers", on=TRAINING)
def trackers(args: TrainerArguments) -> Findings:
    """The trainer reports to trackers that it has, and only to those that are named.

    Why: transformers raises for a tracker it does not know; its release 4 reports to everything installed
    when `report_to` is left out; trackio needs a project (`_verify_trackio_args`, hparams/parser.py).
    Example: `report_to: ml-flow`.
    Instead: `report_to: mlflow`, or `none`.
    """
    named = reporters(args)
    for other in named:
        if other not in args.surface.reporters and not (other == "all" and len(named) == 1):
            yield args.finding(
                "report_to",
                f"there is no tracker {other}",
                f"choose among {', '.join(args.surface.reporters)}, none",
            )
    if "trackio" in named and not args["project"] and args.surface.version != "0.9.4":
        yield args.finding("project", "trackio needs a project", "set project")
    if named == ("all",) and args["report_to"] is None:
        headline = "without report_to the trainer reports to every tracker the image holds"
        yield args.finding("report_to", headline, "set report_to: none or mlflow", Severity.WARNING)


@rule("FT237", "pixels", on=BOTH)
def pixels(args: TrainerArguments) -> Findings:
    """An upper bound on pixels is not below the lower one.

    Why: `ProcessorArguments.__post_init__` (hparams/model_args.py).
    Example: `image_max_pixels: 100`.
    Instead: `image_max_pixels: 589824`.
    """
    for kind in ("image", "video"):
        most, least = args[f"{kind}_max_pixels"], args[f"{kind}_min_pixels"]
        if most < least:
            yield args.finding(
                f"{kind}_max_pixels",
                f"{kind}_max_pixels {most} is below {kind}_min_pixels {least}",
                "raise it",
            )


@rule("FT238", "release-limits", on=BOTH)
def release_limits(args: TrainerArguments) -> Findings:
    """An argument that one release refuses and its neighbours accept.

    Why: 0.9.4 refuses `neat_packing` on transformers 4.53 and later and `split_special_tokens` with a fast
    tokenizer (hparams/parser.py, hparams/model_args.py); shifted attention wants a transformers below 4.48
    (model/model_utils/longlora.py), which no release here goes with.
    Example: `neat_packing: true` with version 0.9.4.
    Instead: version 0.9.5, or `packing: true`.
    """
    old, training = args.surface.version == "0.9.4", args.command == "train"
    if old and args["split_special_tokens"] and args["use_fast_tokenizer"]:
        headline = "only slow tokenizers split special tokens"
        yield args.finding("split_special_tokens", headline, "set use_fast_tokenizer: false")
    if old and training and args["neat_packing"]:
        yield args.finding("neat_packing", "LLaMA-Factory 0.9.4 refuses neat_packing", "set packing: true instead")
    if training and args["shift_attn"]:
        headline = f"shift_attn needs transformers below 4.48, and the image has {args.surface.transformers}"
        yield args.finding("shift_attn", headline, "set shift_attn: false")


@rule("FT239", "sharding", on=TRAINING)
def sharding(args: TrainerArguments) -> Findings:
    """FSDP's options are consistent, DeepSpeed is off, and there are several accelerators to shard over.

    Why: `TrainingArguments._process_fsdp_args` of transformers, and its Trainer, which refuses FSDP with
    DeepSpeed; accelerate passes over FSDP where one process trains (state.py), and raises where there is no
    accelerator to spread the first process's weights from (utils/dataclasses.py).  Its first release cannot
    flatten a reward model's float32 head together with frozen half-precision weights (torch's
    distributed/fsdp/_flat_param.py).
    Example: `fsdp: offload`.
    Instead: `trainer.parallel=fsdp-offload`.
    """
    value: Any = args["fsdp"] or ()
    options = value.split() if isinstance(value, str) else list(value)
    if options == ["offload"]:
        yield args.finding("fsdp", "offload alone shards nothing", "set trainer.parallel=fsdp-offload")
    if "full_shard" in options and "shard_grad_op" in options:
        yield args.finding("fsdp", "full_shard and shard_grad_op exclude each other", "keep full_shard")
    state_dict = str((args["fsdp_config"] if isinstance(args["fsdp_config"], dict) else {}).get("state_dict_type", ""))
    if options and args["save_only_model"] and state_dict.startswith("SHARDED"):
        yield args.finding("save_only_model", "FSDP saves no model of its shards alone", "set save_only_model: false")
    if options and args["deepspeed"]:
        yield args.finding("fsdp", "FSDP and DeepSpeed exclude each other", "choose one by trainer.parallel")
    settings: Any = args["fsdp_config"] if isinstance(args["fsdp_config"], dict) else {}
    reads_once, spreads = settings.get("cpu_ram_efficient_loading"), settings.get("sync_module_states", True)
    if options and str(reads_once).lower() == "true" and str(spreads).lower() == "false":
        headline = "cpu_ram_efficient_loading needs sync_module_states: the other processes' weights would be random"
        yield args.finding("fsdp_config", headline, "set sync_module_states: true")
    if options and args["stage"] == "rm" and args["finetuning_type"] != "full" and args.first("bf16", "fp16"):
        headline = "FSDP cannot spread a reward model's float32 head with half-precision weights"
        yield args.finding("fsdp", headline, "set trainer.parallel=z3")
    if options and args.facts.vendor == "cpu":
        yield args.finding("fsdp", "FSDP needs accelerators to share between", "set trainer.parallel=z3")
    elif options and args.facts.processes == 1:
        headline = "FSDP has nothing to share between: one process trains"
        yield args.finding("fsdp", headline, "set trainer.parallel=auto", Severity.WARNING)


@rule("FT240", "unread", on=BOTH)
def unread(args: TrainerArguments) -> Findings:
    """An argument that the chosen method or stage does not read.

    Why: the class or the prefix of the argument in hparams/finetuning_args.py names its reader.
    Example: `finetuning_type: full, lora_alpha: 32`.
    Instead: leave it out.
    """
    for name in args.given:
        argument = args.surface.arguments[name]
        if args[name] in (argument.default, None) or (name.startswith("freeze_") and args["use_llama_pro"]):
            continue
        if argument.methods and args["finetuning_type"] not in argument.methods and args["stage"] != "ppo":
            headline = f"{name} has no effect with finetuning_type {args['finetuning_type']}"
            yield args.finding(name, headline, "leave it out", Severity.NOTE)
        if argument.stages and args["stage"] not in argument.stages:
            yield args.finding(name, f"{name} has no effect in stage {args['stage']}", "leave it out", Severity.NOTE)
