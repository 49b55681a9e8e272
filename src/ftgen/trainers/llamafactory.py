"""LLaMA-Factory's two configurations: one for training, one for merging.

The user's `trainer.args` come last and win; the other arguments follow from the rest of the specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from msgspec import Struct

from ftgen.spec import LlamaFactory, Spec
from ftgen.trainers import arguments, sharding
from ftgen.trainers.quantization import DEQUANTIZED

# Kubernetes expands it from the variable before it in the container's environment, so that the run has the
# job's name even if the API server generates that.
JOB_NAME = "$(JOB_NAME)"

NEGLIGIBLE = 1e-6
"""LLaMA-Factory takes a `val_size` below this for zero (data_args.py and parser.py)."""
MOST_ROWS = 2**63 - 1

TARGETS = {"lora": "lora_target", "oft": "oft_target"}
"""Argument that names the layers to put adapters on, by each `finetuning_type` that has adapters."""
_DEFAULT_RANK = 8
# Arguments that change the vocabulary (`ModelArguments`, hparams/model_args.py; `patch_tokenizer`, model/patcher.py).
_VOCABULARY = ("resize_vocab", "add_tokens", "add_special_tokens", "new_special_tokens_config")
EMBEDDINGS = ("embed_tokens", "lm_head")
"""Layers of every model, outside its decoder, that adapters may train; a new vocabulary trains both."""
# Arguments of the training that a merge needs; `llamafactory-cli export` refuses all others.
_SHARED_WITH_EXPORT = ("trust_remote_code", *_VOCABULARY, "init_special_tokens", "use_unsloth")


class Configurations(Struct, frozen=True):
    """Arguments of LLaMA-Factory's two commands.

    Attributes:
        training: arguments of `llamafactory-cli train`, without the run's name.
        export: arguments of `llamafactory-cli export`; None if the trainer's output is pushed as it is.
    """

    training: Mapping[str, Any]
    export: Mapping[str, Any] | None


def configurations(spec: Spec) -> Configurations | None:
    """Return the configurations of a run's training and merge; None if the user's own command trains.

    They do not depend on sizes of memory and volumes, because the estimate of the training resolves these.

    Raises:
        KeyError: the release is unknown.
    """
    if not isinstance(spec.trainer, LlamaFactory):
        return None
    chosen = training(spec)
    return Configurations(chosen, export(spec, chosen))


def training(spec: Spec) -> Mapping[str, Any]:
    """Return the arguments of `llamafactory-cli train`, without the run's name."""
    trainer = _trainer(spec)
    first = {
        "model_name_or_path": model_path(spec),
        "template": spec.model.template,
        "stage": None,
        "do_train": None,
        "finetuning_type": None,
    }
    last = {
        "dataset": spec.dataset.name,
        "dataset_dir": dataset_path(spec),
        "overwrite_output_dir": not trainer.resume,
        **precision(spec),
        "report_to": spec.tracking.report_to,
        **sharding.arguments(parallel(spec)),
    }
    return arguments.normalise(first | trainer.args | last | trainer.args, arguments.surface(trainer.version))


def export(spec: Spec, chosen: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the arguments of `llamafactory-cli export`; None if the trainer's output is pushed as it is.

    Export merges an adapter into its base.  Weights trained in full or in part are float32 after mixed precision;
    export writes them again in the model's own type, half the size.

    Args:
        spec: specification.
        chosen: arguments of the training, without those that are null.
    """
    trainer = _trainer(spec)
    if not trainer.merge:
        return None
    method = str(chosen.get("finetuning_type", "lora"))
    adapter = method in TARGETS
    return {
        **(_merged(spec, chosen) if adapter else {"model_name_or_path": trainer.output}),
        "template": chosen.get("template"),
        # An OFT adapter is merged under the name lora: beside an adapter's path, `oft` is refused.
        "finetuning_type": "lora" if adapter else method,
        **({"stage": "rm"} if chosen.get("stage") == "rm" else {}),
        **{key: chosen[key] for key in _SHARED_WITH_EXPORT if key in chosen},
        # Weights trained in full bring the configuration that says so.
        **({"rope_scaling": chosen["rope_scaling"]} if adapter and stretches_positions(spec, chosen) else {}),
        "infer_dtype": spec.model.dtype,
        **trainer.export,
    }


def _merged(spec: Spec, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights that a merge puts together: those that the training started from, and what it trained."""
    adapters = [*_merged_before(spec, chosen), _trainer(spec).output]
    return {"model_name_or_path": chosen.get("model_name_or_path"), "adapter_name_or_path": ",".join(adapters)}


def _merged_before(spec: Spec, chosen: Mapping[str, Any]) -> list[str]:
    """Return the adapters that the training merges into the base before it starts.

    It trains the last one that is named, or a new one over all, except where nothing can be merged
    (`_setup_lora_tuning`, model/adapter.py).
    """
    earlier = [*filter(None, named(chosen.get("adapter_name_or_path")))]
    keeps_base = spec.model.quantization not in {None, *DEQUANTIZED}
    keeps_base = keeps_base or any(map(chosen.get, ("quantization_bit", "use_unsloth", "use_kt")))
    is_mergeable = not keeps_base and sharding.zero_stage(chosen.get("deepspeed")) != sharding.ZERO_3
    return earlier if chosen.get("create_new_adapter") and is_mergeable else earlier[:-1]


def stretches_positions(spec: Spec, chosen: Mapping[str, Any]) -> bool:
    """Return whether the training stretches the model's positions: only for longer rows (model/model_utils/rope.py)."""
    context, longest = spec.model.context, chosen.get("cutoff_len")
    return bool(chosen.get("rope_scaling")) and not (context and isinstance(longest, int) and longest <= context)


def adapter_rank(spec: Spec) -> int | None:
    """Return the rank of the adapter that is pushed as it is; None if a whole model is pushed."""
    trainer = spec.trainer
    if not isinstance(trainer, LlamaFactory) or trainer.merge:
        return None
    if str(trainer.args.get("finetuning_type", "lora")) not in TARGETS:
        return None
    rank = trainer.args.get("lora_rank", _DEFAULT_RANK)
    return rank if isinstance(rank, int) else _DEFAULT_RANK


def model_path(spec: Spec) -> str:
    """Return the folder of the base model in the containers."""
    return f"{spec.storage.models.path}/{spec.model.directory}"


def dataset_path(spec: Spec) -> str:
    """Return the folder of the data set in the containers."""
    return f"{spec.storage.models.path}/{spec.dataset.directory}"


def datasets(spec: Spec) -> str | None:
    """Return the entries of the data set's dataset_info.json that the job reads, separated by commas.

    None if LLaMA-Factory looks elsewhere: in another folder, or on a hub (`ONLINE`, `REMOTE:…`).
    """
    args = _trainer(spec).args
    if args.get("dataset_dir", dataset_path(spec)) != dataset_path(spec):
        return None
    entries = args.get("dataset", spec.dataset.name), args.get("eval_dataset")
    return ",".join(joined(names) for names in entries if names)


_READING = (
    "stage",
    "template",
    "tool_format",
    "cutoff_len",
    "max_samples",
    "val_size",
    "preprocessing_num_workers",
    "preprocessing_batch_size",
    "streaming",
    "packing",
    "neat_packing",
    "mix_strategy",
    "interleave_probs",
    "dataset",
    "eval_dataset",
)
"""Arguments that decide what becomes of a row of the data."""


def reading(spec: Spec, chosen: Configurations) -> Mapping[str, Any] | None:
    """Return the arguments by which the job reads its data; None if the data lies elsewhere (`datasets`)."""
    args = chosen.training if datasets(spec) else {}
    return {name: args[name] for name in _READING if name in args} or None


def held_out(size: float, rows: int) -> int:
    """Return how many of so many rows `val_size` splits off for evaluation (`split_dataset`, data/data_utils.py)."""
    if not size > NEGLIGIBLE:  # nor is what is no number
        return 0
    return ceil(size * rows) if size < 1 else int(min(size, MOST_ROWS))


def named(value: Any) -> tuple[str, ...]:
    """Return the items of a list or of a text separated by commas, as LLaMA-Factory's `split_arg` reads them."""
    items = value.split(",") if isinstance(value, str) else value or ()
    return tuple(str(item).strip() for item in items)


def joined(names: Any) -> str:
    """Return names as one text, separated by commas."""
    return ",".join(map(str, names)) if isinstance(names, (list, tuple)) else str(names)


def precision(spec: Spec) -> dict[str, bool]:
    """Return the precision arguments: as the user sets them, else bf16 if every possible card has it, else fp16.

    A CPU has no fp16 and takes fp32.
    """
    trainer = _trainer(spec)
    chosen = trainer.precision
    if trainer.args.get("bf16") or trainer.args.get("fp16"):
        chosen = "bf16" if trainer.args.get("bf16") else "fp16"
    elif chosen == "auto":
        chosen = "bf16" if spec.hardware.card.bf16 else "fp32" if spec.hardware.vendor == "cpu" else "fp16"
    return {"bf16": chosen == "bf16", "fp16": chosen == "fp16"}


def parallel(spec: Spec) -> str:
    """Return how processes share the work; `auto` shards across nodes, and full training over several cards.

    ZeRO-3 shards, except that FSDP shards a base quantized to 4 bits on NVIDIA's cards, where it was seen to train;
    other widths cannot be sharded.  ZeRO-3 is far too slow for a mixture of experts (FT292): FSDP shards it, but with
    4 bits on other vendors' cards, where that was not seen to work, each card holds it whole.
    """
    trainer = _trainer(spec)
    if trainer.parallel != "auto":
        return trainer.parallel
    if trainer.args.get("deepspeed") or trainer.args.get("fsdp") or spec.world_size == 1:
        return "ddp"
    if spec.hardware.nodes == 1 and trainer.args.get("finetuning_type") != "full":
        return "ddp"
    bits, method = trainer.args.get("quantization_bit"), trainer.args.get("quantization_method", "bnb")
    if bits is not None and (bits, method) != (4, "bnb"):
        return "ddp"
    if bits and spec.hardware.vendor != "nvidia":
        return "ddp" if _mixes_experts(spec) else "z3"
    return "fsdp" if bits or (_mixes_experts(spec) and _takes_fsdp(spec)) else "z3"


def _mixes_experts(spec: Spec) -> bool:
    return spec.model.shape is not None and spec.model.shape.experts > 0


def _takes_fsdp(spec: Spec) -> bool:
    """Return whether FSDP runs (FT239): on accelerators, not for a reward model's float32 head on frozen weights."""
    args = _trainer(spec).args
    uniform = args.get("stage") != "rm" or args.get("finetuning_type") == "full"
    return spec.hardware.vendor != "cpu" and uniform


def keeps_base_files(spec: Spec, chosen: Mapping[str, Any]) -> bool:
    """Return whether the base's config and tokenizer fit the result: vocabulary, architecture and widths are the same.

    What is merged into a quantized base is no longer quantized (`export_model`, train/tuner.py), and a merge may
    quantize.
    """
    changed = resizes_vocabulary(chosen) or any(map(chosen.get, ("use_llama_pro", "mixture_of_depths")))
    requantized = spec.model.quantization or _trainer(spec).export.get("export_quantization_bit")
    is_base = chosen.get("model_name_or_path") == model_path(spec)
    return is_base and not changed and not requantized and not stretches_positions(spec, chosen)


def resizes_vocabulary(chosen: Mapping[str, Any]) -> bool:
    """Return whether the training gives the model another vocabulary, whose embeddings it trains whole."""
    return any(map(chosen.get, _VOCABULARY))


def _trainer(spec: Spec) -> LlamaFactory:
    assert isinstance(spec.trainer, LlamaFactory)  # noqa: S101 - callers have checked the trainer
    return spec.trainer
