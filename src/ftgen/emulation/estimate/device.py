"""Peak memory of one card, phase by phase.

A training step has three moments at which memory can peak: it has computed the loss (`forward`), its gradient
flows back through the output projection (`loss`), and it has computed the last gradients (`gradients`).  GaLore and
APOLLO have a fourth, when they update the largest weight (`update`).  Each moment is a list of named terms that sum to
the memory in use of the card; the largest sum is the estimate.

Coefficients with a letter are bytes a token and layer: `h` hidden width, `q` query width, `k` key width, `i`
MLP width, `v` vocabulary.  They are counted from what the operators of transformers' decoders save for the
backward pass; only `CONTEXT` and `Fragmentation` are measured.  See docs/fit.md.
"""

from __future__ import annotations

from msgspec import Struct

from ftgen.emulation.estimate.shape import layer_parameters, linear_layers, linear_parameters
from ftgen.emulation.estimate.training import Training
from ftgen.trainers import quantization

GIB = 2**30

CONTEXT = 0.76 * GIB
"""Bytes of the driver and CUDA's libraries: 0.75 to 0.77 GiB on an H200 with torch 2.11."""

SCALE_BITS = float(quantization.SCALE_BITS)

PARTITIONED_OPTIMIZER, PARTITIONED_GRADIENTS, PARTITIONED_WEIGHTS = 1, 2, 3
"""ZeRO stages by what each partitions in addition to the stages before it."""

LIVE_PARAMETERS = 1_000_000_000
"""Parameters ZeRO-3 keeps gathered at once: `stage3_max_live_parameters` of LLaMA-Factory's ds_z3_config."""

REDUCE_BUCKET = 500_000_000
"""Elements of DeepSpeed's `reduce_bucket_size` in LLaMA-Factory's ds_z2_config."""


class Fragmentation(Struct, frozen=True):
    """Blocks that PyTorch's caching allocator keeps but cannot reuse, as shares of the tensors that left them.

    The shares vary with the order of allocations, which no formula captures; see docs/fit.md for their spread.

    Attributes:
        gradients: share of the gradients, once all exist.
        last_gradients: share of the last step's gradients, when the loss is computed.
        casts: share of autocast's half-precision weight copies, once every float32 gradient exists.
        activations: share of the activations without checkpointing, once every gradient exists.
    """

    gradients: float = 0.15
    last_gradients: float = 0.3
    casts: float = 0.55
    activations: float = 0.6


MEASURED = Fragmentation()


class Term(Struct, frozen=True):
    """A named part of an estimate, in GiB."""

    name: str
    gib: float


class MemoryUse(Struct, frozen=True):
    """Memory use of a card at one moment of a step."""

    moment: str
    terms: tuple[Term, ...]

    @property
    def gib(self) -> float:
        """Return the sum of all terms."""
        return sum(term.gib for term in self.terms)

    @property
    def tensors_gib(self) -> float:
        """Return the sum without cached blocks, which the allocator frees before it fails."""
        return sum(term.gib for term in self.terms if term.name != "cached blocks")


def moments(training: Training, fragmentation: Fragmentation = MEASURED) -> tuple[MemoryUse, ...]:
    """Return the memory use of the fullest card at each moment that can be its peak."""
    asked = (_forward, _loss, _gradients, *((_update,) if training.low_rank else ()))
    return tuple(moment(training, fragmentation) for moment in asked)


def peak(training: Training, fragmentation: Fragmentation = MEASURED) -> MemoryUse:
    """Return the largest memory use of the fullest card in a training step."""
    return max(moments(training, fragmentation), key=lambda moment: moment.gib)


def _moment(training: Training, name: str, **parts: float) -> MemoryUse:
    fixed = {
        "weights": _weights(training),
        "reference model": _reference(training),
        "optimizer states": _optimizer(training),
        "communication buffers": _communication(training),
    }
    named = fixed | {key.replace("_", " "): size for key, size in parts.items()} | {"context": CONTEXT}
    return MemoryUse(name, tuple(Term(key, size / GIB) for key, size in named.items() if size))


def _forward(training: Training, fragmentation: Fragmentation) -> MemoryUse:
    """Return the use after the loss: logits in half and float32, their log-softmax, and autocast's weight copies."""
    return _moment(
        training,
        "forward",
        weight_copies=_weight_copies(training),
        accumulated_gradients=_accumulated(training),
        activations=_saved(training) + _final_norm(training),
        logits_and_loss=training.tokens * _logits(training, _at_the_loss(training)),
        cached_blocks=_cached(training, fragmentation) if training.uses_reference else _layer_cached(training),
    )


def _at_the_loss(training: Training) -> int:
    """Return the bytes of each entry of the vocabulary when the loss is known."""
    if not training.uses_reference:
        return 10
    # KTO splits the logits into those of wanted and of unwanted answers, which copies them.
    return 24 if training.stage == "kto" else 20


def _update(training: Training, fragmentation: Fragmentation) -> MemoryUse:
    """Return the use when the optimizer updates the largest weight, of which GaLore and APOLLO make copies."""
    gradients = _gradients_size(training)
    return _moment(
        training,
        "update",
        gradients=gradients,
        copies_for_the_update=_update_copies(training),
        cached_blocks=fragmentation.gradients * gradients,
    )


def _update_copies(training: Training) -> float:
    """Return the bytes of a projecting optimizer's root of the second moment and quotient, of the largest weight."""
    if not training.low_rank:
        return 0
    shape = training.shape
    largest = max(shape.vocab * shape.hidden, *(i * o for _, i, o in linear_layers(shape).values()))
    return 2 * largest * _trained_bytes(training) / _shards(training, PARTITIONED_WEIGHTS)


def _loss(training: Training, fragmentation: Fragmentation) -> MemoryUse:
    """Return the use when the log-softmax has its input, output and gradient, all float32."""
    kept = 0 if training.checkpointing else _weight_copies(training)
    return _moment(
        training,
        "loss",
        weight_copies=kept,
        accumulated_gradients=_accumulated(training),
        activations=_saved(training) + _final_norm(training),
        logits_and_loss=training.tokens * _logits(training, 12),
        cached_blocks=_cached(training, fragmentation),
    )


def _gradients(training: Training, fragmentation: Fragmentation) -> MemoryUse:
    """Return the use when every gradient exists, and the first layer's activations still do."""
    gradients = _gradients_size(training)
    cached = fragmentation.gradients * gradients + fragmentation.casts * _weight_copies(training)
    if not training.checkpointing:
        cached += min(fragmentation.activations * _saved(training), gradients)
    return _moment(
        training,
        "gradients",
        gradients=gradients,
        activations=_layer_pass(training) + _embedding_gradient(training),
        cached_blocks=cached,
    )


def _layer_cached(training: Training) -> float:
    """Return the cached blocks of the layers' own backward passes, which are too small for logits."""
    return _layer_pass(training) if training.checkpointing else 0


def _cached(training: Training, fragmentation: Fragmentation) -> float:
    """Return the cached blocks at the loss: of layers, half-precision logits, the last step's gradients and copies."""
    share = 1 if training.trains_adapter or training.fsdp else fragmentation.last_gradients
    last_gradients = _gradients_size(training) * share
    return _layer_cached(training) + training.tokens * _logits(training, 2) + last_gradients + _update_copies(training)


def _half(training: Training) -> int:
    """Return the bytes of a value in the compute precision."""
    return 4 if training.precision == "fp32" else 2


def _weights(training: Training) -> float:
    """Return the bytes of the weights on one card.

    Frozen weights have the compute precision or the quantized size; trained ones are float32 (LLaMA-Factory
    casts them up) except under pure_bf16 and under DeepSpeed, whose float32 copy is optimizer state.
    """
    if training.zero_stage == PARTITIONED_WEIGHTS and training.offload_parameters:
        return _gathered(training)
    trained = training.trainable * _trained_bytes(training)
    whole = trained + _frozen_bytes(training)
    shards = _shards(training, PARTITIONED_WEIGHTS)
    return whole / shards + (_gathered(training) if shards > 1 else 0)


def _shards(training: Training, stage: int) -> int:
    """Return the number of cards over which ZeRO partitions what it partitions from `stage` on."""
    return training.world if training.zero_stage >= stage else 1


def _trained_bytes(training: Training) -> int:
    if training.method == "pure_bf16" or (training.uses_deepspeed and not training.trains_adapter):
        return 2
    return 4


def _frozen_bytes(training: Training) -> float:
    """Return the bytes of frozen weights; a quantized base has half-precision embeddings, norms and projection."""
    if training.quantized_bits is None:
        return training.frozen * _half(training)
    linear = min(linear_parameters(training.shape), training.frozen)
    return linear * (training.quantized_bits + SCALE_BITS) / 8 + (training.frozen - linear) * _half(training)


def _gathered(training: Training) -> int:
    """Return the bytes of weights gathered at once: ZeRO-3 up to its bound, FSDP two layers and all outside layers."""
    layer = layer_parameters(training.shape)
    if training.fsdp:
        return _half(training) * (training.parameters - (training.shape.layers - 2) * layer)
    return 2 * min(max(LIVE_PARAMETERS, 2 * layer), training.parameters)


def _reference(training: Training) -> float:
    """Return the bytes of the base's frozen copy for DPO and KTO; with adapters, disabling them replaces the copy."""
    if not training.uses_reference or (training.trains_adapter and not training.reference_model):
        return 0
    return training.parameters * _half(training) / _shards(training, PARTITIONED_WEIGHTS)


def _gradients_size(training: Training) -> float:
    return training.trainable * _trained_bytes(training) / _shards(training, PARTITIONED_GRADIENTS)


def _accumulated(training: Training) -> float:
    """Return the bytes of whole gradients that FSDP keeps between the batches of a step and shards after the last."""
    kept = training.fsdp and training.accumulation > 1 and training.zero_stage > 0
    return training.trainable * _half(training) if kept else 0


def _optimizer(training: Training) -> float:
    """Return the bytes of optimizer states on one card."""
    if training.offload_optimizer:
        return 0
    return optimizer_bytes(training) / _shards(training, PARTITIONED_OPTIMIZER)


def optimizer_bytes(training: Training) -> int:
    """Return the bytes of the optimizer states of the whole model, over all cards.

    AdamW keeps two moments in the precision of the weights, float32 under DeepSpeed, which adds float32 weights.  BAdam
    keeps a float32 copy, its gradient and two moments of the one layer that it trains.
    """
    if training.blockwise:
        return 16 * training.trainable
    value = 2 if training.method == "pure_bf16" and not training.uses_deepspeed else 4
    return (4 if training.uses_deepspeed else 0) * training.trainable + _moments_bytes(training, value)


_STATE_BYTES = {"8 bits": 2, "no state": 0}


def _moments_bytes(training: Training, value: int) -> int:
    """Return the bytes of moments: one each at 8 bits; GaLore and APOLLO keep a rank-`r` projection and its moments.

    GaLore's projection of float32 gradients is a slice that keeps all singular vectors of the shorter side.
    """
    if training.optimizer in _STATE_BYTES:
        return _STATE_BYTES[training.optimizer] * training.trainable
    if training.optimizer == "one moment":
        return value * training.trainable
    if training.low_rank:
        rank, shape = training.optimizer_rank, training.shape
        keeps_all = training.optimizer == "low rank by SVD" and _trained_bytes(training) == 4  # noqa: PLR2004 - bytes
        projected = 0
        for count, i, o in linear_layers(shape).values():
            shorter, longer = sorted((i, o))
            kept = min(rank, shorter)
            projected += count * (2 * kept * longer + (shorter if keeps_all else kept) * shorter)
        rest = max(training.trainable - linear_parameters(shape), 0)
        return value * (shape.layers * projected + 2 * rest)
    return 2 * value * training.trainable


def _communication(training: Training) -> float:
    """Return the bytes of gradient buckets: all gradients with DDP, two buckets with ZeRO, two layers with FSDP."""
    if training.world == 1:
        return 0
    if training.fsdp:
        return 2 * _half(training) * min(layer_parameters(training.shape), training.trainable)
    if not training.uses_deepspeed:
        return training.trainable * _trained_bytes(training)
    return 2 * 2 * min(REDUCE_BUCKET, training.trainable)


def _weight_copies(training: Training) -> float:
    """Return the bytes of half-precision weight copies that autocast caches for a forward pass.

    FSDP gathers the weights in half precision.
    """
    float32 = _trained_bytes(training) == 4 and training.precision != "fp32" and not training.fsdp  # noqa: PLR2004 - bytes
    return 2 * training.trainable if float32 else 0


def _residual(training: Training) -> int:
    """Return the bytes of a value of the residual stream, which has the embedding's precision."""
    float32 = training.method == "full" and not (training.uses_deepspeed or training.fsdp)
    return 4 if float32 else _half(training)


def _saved(training: Training) -> float:
    """Return the bytes of activations saved for the backward pass when the loss is computed."""
    if training.checkpointing:
        boundary = training.shape.hidden * _residual(training)
        return training.tokens * training.shape.layers * boundary
    return training.shape.layers * _layer_saved(training)


def _layer_saved(training: Training) -> float:
    """Return the bytes of activations that one decoder layer saves for all tokens."""
    half_precision = training.tokens * _attention_saved(training) + training.tokens * _mlp_saved(training)
    return half_precision * _half(training) / 2 + _scores(training)


def _attention_saved(training: Training) -> float:
    """Return the bytes a token that one layer saves for norms, projections and attention.

    Every norm keeps its input in float32 (4h).  A trained norm also keeps its normalised values.  Query, key
    and value are kept (2q + 4k), as are key and value repeated for every query head (4q) and the output (2q).
    Each linear layer keeps its input: one shared copy in half precision, or one copy a layer where an adapter
    or autocast makes its own.
    """
    shape = training.shape
    norm = 4 + (0 if training.trains_adapter or training.method == "freeze" else _residual(training))
    inputs = {"full": 6, "freeze": 0}.get(training.method, 6 if training.trains_adapter else 2)
    head_norms = (norm * (shape.query + shape.key)) if shape.qk_norm else 0
    adapter = 2 * shape.query if training.trains_adapter else 0
    return (shape.norms * norm + inputs) * shape.hidden + 8 * shape.query + 4 * shape.key + head_norms + adapter


def _mlp_saved(training: Training) -> float:
    """Return the bytes a token that the MLP of one layer saves.

    It saves its inputs, both halves, the activation and, if the down projection is trained, their product.
    """
    shape = training.shape
    inputs = {"full": 4, "freeze": 0}.get(training.method, 4 if training.trains_adapter else 2)
    width = 6 if training.method == "freeze" else 8
    return inputs * shape.mlp_copies * shape.hidden + width * shape.mlp_width


def _scores(training: Training) -> float:
    """Return the bytes of one layer's attention scores without fused attention: float32 and half softmax, and tanh."""
    if training.flash_attn != "disabled":
        return 0
    each = 8 if training.shape.caps_scores else 6
    return each * training.rows * training.shape.heads * training.cutoff_len**2


def _layer_pass(training: Training) -> float:
    """Return the bytes of one layer's backward pass: its activations and dequantized weights."""
    dequantized = 2 * layer_parameters(training.shape) if training.quantized_bits else 0
    return _layer_saved(training) + dequantized


def _final_norm(training: Training) -> float:
    """Return the bytes of the last norm's float32 input and its output, which the output projection keeps."""
    return training.tokens * training.shape.hidden * (4 + 2 * _residual(training))


def _logits(training: Training, bytes_each: int) -> float:
    """Return the bytes a token at the loss, `bytes_each` for every entry of the vocabulary.

    A preference loss keeps the policy's logits and their log-softmax (8) during the reference's pass over a copy
    (12).  A reward model computes logits but no loss over them.  A softcap keeps its tanh.
    """
    if training.liger:
        return 0
    if training.stage == "rm":
        bytes_each = min(bytes_each, 6)
    softcap = 2 if training.shape.logit_softcap and bytes_each > 2 else 0  # noqa: PLR2004 - bytes
    return training.shape.vocab * (bytes_each + softcap)


def _embedding_gradient(training: Training) -> float:
    """Return the bytes of a tied embedding's gradient copies while the output projection's gradient is added."""
    trained = training.trains_all_weights and not training.blockwise
    copies = 4 if trained and training.shape.tied_embeddings else 0
    return copies * training.shape.vocab * training.shape.hidden
