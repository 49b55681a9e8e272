"""One training configuration, as far as memory depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ftgen.fit.shape import Shape, adapter_parameters, embedding_parameters, layer_parameters, parameters

Method = Literal["lora", "qlora", "oft", "freeze", "full", "pure_bf16"]
Stage = Literal["pt", "sft", "rm", "dpo", "kto"]
Precision = Literal["fp16", "bf16", "fp32"]
Optimizer = Literal["adamw", "one moment", "8 bits", "no state", "low rank", "block"]
"""What an optimizer keeps: two moments a weight, one (Lion, Muon), two of a byte each, none or factors (SGD,
Adafactor), moments of a projection (GaLore, APOLLO), or everything for one layer at a time (BAdam)."""


@dataclass(frozen=True, slots=True)
class Training:
    """What LLaMA-Factory is asked to do, in its own terms.

    Attributes:
        shape: the base model.
        method: `finetuning_type`; `pure_bf16` is `full` with that argument, `qlora` is `lora` or `oft` on a
            quantized base.
        stage: `stage`.
        batch: `per_device_train_batch_size`.
        accumulation: `gradient_accumulation_steps`, which cost memory under FSDP alone.
        cutoff_len: `cutoff_len`; every row is taken to be full.
        checkpointing: gradient checkpointing, on unless `disable_gradient_checkpointing`.
        precision: `bf16`, `fp16`, or neither.
        lora_rank: `lora_rank`; of OFT, the rank of an adapter with as many parameters.
        lora_target: `lora_target`.
        quantization_bit: `quantization_bit`, or null.
        freeze_layers: `freeze_trainable_layers`; only its size matters.
        zero_stage: what is spread over the cards, as ZeRO counts it: DeepSpeed's stage, or 2 or 3 under FSDP.
        deepspeed: a DeepSpeed engine runs the training, at whatever stage.
        fsdp: PyTorch's FSDP spreads, whose float32 weights need no second copy.
        offload_optimizer: the optimizer is kept on the host.
        offload_parameters: the weights are kept on the host.
        world: cards of all nodes together.
        devices: cards of one node.
        reference_model: a model of its own is loaded to compare with, as large as the base.
        optimizer: what the optimizer keeps of each weight that learns.
        optimizer_rank: `galore_rank` or `apollo_rank`.
        additional_target: modules that learn whole beside adapters; embeddings alone are counted.
        reference_free: the preference loss needs no reference model (`orpo`, `simpo`).
        flash_attn: `flash_attn`; `disabled` materialises the attention scores.
        liger: `enable_liger_kernel`, which never materialises the logits.
        checkpoints_kept: checkpoints that stay on disk (`save_total_limit`).
        save_only_model: checkpoints without the optimizer.
        merge: adapters are merged into a copy of the base, on the CPU, which is pushed.
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
    quantization_bit: int | None = None
    freeze_layers: int = 2
    zero_stage: int = 0
    deepspeed: bool = False
    fsdp: bool = False
    offload_optimizer: bool = False
    offload_parameters: bool = False
    world: int = 1
    devices: int = 1
    reference_model: bool = False
    optimizer: Optimizer = "adamw"
    optimizer_rank: int = 16
    additional_target: str = ""
    reference_free: bool = False
    flash_attn: str = "auto"
    liger: bool = False
    checkpoints_kept: int = 1
    save_only_model: bool = False
    merge: bool = True

    @property
    def parameters(self) -> int:
        """Parameters of the base model."""
        return parameters(self.shape)

    @property
    def trains_adapter(self) -> bool:
        """The base stays as it is and an adapter learns."""
        return self.method in ("lora", "qlora", "oft")

    @property
    def uses_reference(self) -> bool:
        """The loss compares with a reference model."""
        return self.stage in ("dpo", "kto") and not self.reference_free

    @property
    def uses_deepspeed(self) -> bool:
        """DeepSpeed owns weights, gradients and optimizer."""
        return self.deepspeed or (self.zero_stage > 0 and not self.fsdp)

    @property
    def trains_all_weights(self) -> bool:
        """Every weight of the language model may learn, as GaLore, APOLLO and BAdam want it."""
        return self.method in ("full", "pure_bf16")

    @property
    def blockwise(self) -> bool:
        """One layer learns at a time."""
        return self.trains_all_weights and self.optimizer == "block"

    @property
    def trainable(self) -> int:
        """Parameters that learn."""
        if self.trains_adapter:
            adapters = adapter_parameters(self.shape, self.lora_rank, self.lora_target)
            return adapters + embedding_parameters(self.shape, self.additional_target)
        if self.blockwise:
            return layer_parameters(self.shape)
        if self.method == "freeze":
            return min(abs(self.freeze_layers), self.shape.layers) * layer_parameters(self.shape)
        return self.parameters - self.shape.vision_parameters

    @property
    def frozen(self) -> int:
        """Parameters of the base that do not learn."""
        return self.parameters if self.trains_adapter else self.parameters - self.trainable

    @property
    def quantized_bits(self) -> int | None:
        """Bits a weight of the quantized base has, or null; QLoRA means 4 unless it says otherwise."""
        return self.quantization_bit or (4 if self.method == "qlora" else None)

    @property
    def rows(self) -> int:
        """Sequences in one forward pass: a preference pair is two."""
        return self.batch * (2 if self.stage in ("dpo", "rm") else 1)

    @property
    def tokens(self) -> int:
        """Tokens in one forward pass on one card."""
        return self.rows * self.cutoff_len
