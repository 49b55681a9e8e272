"""Training configuration, restricted to the arguments that memory and space depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from ftgen.emulation.estimate.shape import (
    Shape,
    adapter_parameters,
    embedding_parameters,
    layer_parameters,
    parameters,
    rotation_parameters,
)

Method = Literal["lora", "qlora", "oft", "freeze", "full", "pure_bf16"]
Stage = Literal["pt", "sft", "rm", "dpo", "kto"]
Precision = Literal["fp16", "bf16", "fp32"]
Optimizer = Literal["adamw", "one moment", "8 bits", "no state", "low rank", "low rank by SVD", "block"]
"""Optimizers by their state: two moments a weight, one (Lion, Muon), two of a byte each, none or factors (SGD,
Adafactor), moments of a projection at random (APOLLO) or by singular vectors (GaLore), or all states of one layer at a
time (BAdam)."""
SWITCHES: dict[str, str] = {"low rank by SVD": "use_galore", "low rank": "use_apollo", "block": "use_badam"}
"""Arguments that choose the optimizers which train all weights or none, by their states."""

LEAST_CHECKPOINTS = 2
"""Checkpoints that there is room for in any case, also where it is not known how many are saved."""


def number(args: Mapping[str, Any], name: str, default: int) -> int:
    """Return an argument that is a whole number; the default where it is left out or is something else."""
    value = args.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


class Training(Struct, frozen=True):
    """A training with LLaMA-Factory, in the terms of its arguments.

    Attributes:
        shape: the base model.
        method: `finetuning_type`; `pure_bf16` is `full` with that argument, `qlora` is `lora` on a quantized
            base.
        stage: `stage`.
        batch: `per_device_train_batch_size`.
        accumulation: `gradient_accumulation_steps`, which cost memory under FSDP alone.
        cutoff_len: `cutoff_len`; every row is assumed to be full.
        checkpointing: gradient checkpointing, on unless `disable_gradient_checkpointing`.
        precision: `bf16`, `fp16`, or neither.
        lora_rank: `lora_rank`.
        lora_target: `lora_target`, or `oft_target`.
        oft_block: `oft_block_size`, the width of the blocks that OFT rotates; 0 where their number is given.
        oft_rank: `oft_rank`, their number.
        quantization_bit: `quantization_bit`, or the bits in memory of a base that comes quantized, or null.
        quantizable: whether the base may be quantized to 4 bits while it is loaded.
        freeze_layers: `freeze_trainable_layers`; only its absolute value matters.
        zero_stage: sharding over the cards as a ZeRO stage: DeepSpeed's stage, or 2 or 3 under FSDP.
        deepspeed: whether a DeepSpeed engine runs the training, at any stage.
        fsdp: whether PyTorch's FSDP shards the training; its float32 weights need no second copy.
        shardable: whether the weights may be sharded.
        offload_optimizer: whether the host keeps the optimizer states.
        offload_parameters: whether the host keeps the weights.
        world: cards of all nodes together.
        devices: cards of one node.
        reference_model: whether a separate reference model is loaded, as large as the base.
        optimizer: optimizer by its state for each trained weight.
        optimizer_rank: `galore_rank` or `apollo_rank`.
        additional_target: modules trained in full in addition to adapters; only embeddings are counted.
        reference_free: whether the preference loss needs no reference model (`orpo`, `simpo`).
        asft: `use_asft_loss`, which compares with a reference model in supervised fine-tuning.
        flash_attn: `flash_attn` as LLaMA-Factory resolves it; `disabled` materialises the attention scores.
        liger: `enable_liger_kernel`, which never materialises the logits.
        checkpoints: checkpoints that lie on disk at once at most: one more than `save_total_limit`, or as many as are
            saved; null if nothing bounds them.
        save_only_model: whether checkpoints have no optimizer states.
        merge: whether adapters are merged on the CPU into a copy of the base, which is pushed.
        file_bytes: size of the base's files; 0: that of its parameters in half precision.
    """

    shape: Shape
    method: Method = "lora"
    stage: Stage = "sft"
    batch: int = 8
    accumulation: int = 1
    cutoff_len: int = 2048
    checkpointing: bool = True
    precision: Precision = "bf16"
    lora_rank: int = 8
    lora_target: str = "all"
    oft_block: int = 32
    oft_rank: int = 0
    quantization_bit: int | None = None
    quantizable: bool = True
    freeze_layers: int = 2
    zero_stage: int = 0
    deepspeed: bool = False
    fsdp: bool = False
    shardable: bool = True
    offload_optimizer: bool = False
    offload_parameters: bool = False
    world: int = 1
    devices: int = 1
    reference_model: bool = False
    optimizer: Optimizer = "adamw"
    optimizer_rank: int = 16
    additional_target: str = ""
    reference_free: bool = False
    asft: bool = False
    flash_attn: str = "auto"
    liger: bool = False
    checkpoints: int | None = LEAST_CHECKPOINTS
    save_only_model: bool = False
    merge: bool = True
    file_bytes: int = 0

    @property
    def parameters(self) -> int:
        """Count the parameters of the base model."""
        return parameters(self.shape)

    @property
    def trains_adapter(self) -> bool:
        """Return whether an adapter is trained and the base is frozen."""
        return self.method in ("lora", "qlora", "oft")

    @property
    def uses_reference(self) -> bool:
        """Return whether the loss compares with a reference model."""
        return self.asft or (self.stage in ("dpo", "kto") and not self.reference_free)

    @property
    def uses_deepspeed(self) -> bool:
        """Return whether DeepSpeed manages weights, gradients and optimizer."""
        return self.deepspeed or (self.zero_stage > 0 and not self.fsdp)

    @property
    def trains_all_weights(self) -> bool:
        """Return whether every weight of the language model is trainable, as GaLore, APOLLO and BAdam require."""
        return self.method in ("full", "pure_bf16")

    @property
    def low_rank(self) -> bool:
        """Return whether the optimizer keeps moments of projected gradients (GaLore, APOLLO)."""
        return self.trains_all_weights and self.optimizer in ("low rank", "low rank by SVD")

    @property
    def blockwise(self) -> bool:
        """Return whether one layer at a time is trained (BAdam)."""
        return self.trains_all_weights and self.optimizer == "block"

    @property
    def trainable(self) -> int:
        """Count the trained parameters; with BAdam, those of one layer."""
        if self.trains_adapter:
            rotates = self.method == "oft"
            adapters = (
                rotation_parameters(self.shape, self.oft_block, self.oft_rank, self.lora_target)
                if rotates
                else adapter_parameters(self.shape, self.lora_rank, self.lora_target)
            )
            return adapters + embedding_parameters(self.shape, self.additional_target)
        if self.blockwise:
            return layer_parameters(self.shape)
        if self.method == "freeze":
            return min(abs(self.freeze_layers), self.shape.layers) * layer_parameters(self.shape)
        return self.parameters - self.shape.vision_parameters

    @property
    def frozen(self) -> int:
        """Count the parameters of the base that are not trained."""
        return self.parameters if self.trains_adapter else self.parameters - self.trainable

    @property
    def quantized_bits(self) -> int | None:
        """Return the bits of a weight of the quantized base, None without quantization; QLoRA has 4 by default."""
        return self.quantization_bit or (4 if self.method == "qlora" else None)

    @property
    def rows(self) -> int:
        """Return the sequences of one forward pass; a preference pair is two."""
        return self.batch * (2 if self.stage in ("dpo", "rm") else 1)

    @property
    def tokens(self) -> int:
        """Return the tokens of one forward pass on one card."""
        return self.rows * self.cutoff_len
