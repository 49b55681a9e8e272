"""Memory that vLLM takes of a card: weights, activations, CUDA graphs and the cache of keys and values.

vLLM takes a part of the card (`gpu_memory_utilization`), loads the weights, measures a pass over dummy tokens, and
gives what is left to the cache; it refuses to start when that does not hold one sequence of `max_model_len` tokens
(vllm/v1/worker/gpu_worker.py, vllm/v1/core/kv_cache_utils.py of 0.23).  The formulas are derived from that code and
from the model's shape, and compared with one measurement (tests/estimate/test_serving.py).
"""

from __future__ import annotations

from math import ceil

from msgspec import Struct
from msgspec.structs import replace

from ftgen.emulation.estimate.device import CONTEXT, GIB, Term
from ftgen.emulation.estimate.shape import Shape, adapter_parameters
from ftgen.emulation.estimate.storage import LFS_COPIES, PROCESS, SHARD

GRAPHS = 0.5 * GIB
"""Bytes of CUDA graphs, which vLLM reserves on NVIDIA's cards: about half a GiB for models of one card."""

UNDERESTIMATED = 0.15 * GIB
"""Bytes that vLLM itself assumes its profile to miss."""

BLOCK = 16
"""Tokens of a block of the cache, vLLM's default."""

LARGE_CARD = 70 * GIB
"""Size from which vLLM takes larger batches, in bytes."""

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks for which vLLM allocates adapters (vllm/config/lora.py); an adapter takes the smallest that holds it."""


class Service(Struct, frozen=True):
    """Model that vLLM serves on the cards of one pod.

    Attributes:
        shape: the model's shape.
        parameters: number of parameters.
        value_bytes: bytes of a weight, and of an entry of the cache.
        devices: cards that share the model (tensor parallelism).
        context: longest sequence in tokens.
        concurrency: sequences of that length at once.
        adapter_rank: rank of the adapter beside the base; 0: none.
        batched_tokens: tokens of one pass; 0: vLLM's default for the card.
        sequences: sequences of one pass; 0: vLLM's default for the card.
        graphs: whether CUDA graphs are captured.
    """

    shape: Shape
    parameters: int
    value_bytes: int
    devices: int
    context: int
    concurrency: int = 1
    adapter_rank: int = 0
    batched_tokens: int = 0
    sequences: int = 0
    graphs: bool = True


class Fit(Struct, frozen=True):
    """Memory of each card of a service, in GiB.

    Attributes:
        terms: what a card has to hold.
        usable_gib: what vLLM takes of a card; None if its memory is unknown.
        largest_context: longest context that fits, in tokens; None if the card's memory is unknown.
    """

    terms: tuple[Term, ...]
    usable_gib: float | None
    largest_context: int | None

    @property
    def gib(self) -> float:
        """Return the sum of the terms."""
        return sum(term.gib for term in self.terms)


def fit(service: Service, card_gib: float | None, utilization: float, longest: int) -> Fit:
    """Compare what a service needs with a card.

    Args:
        service: what is served.
        card_gib: memory of a card or of its share; None if it is unknown.
        utilization: part of it that vLLM takes.
        longest: longest context of the model, in tokens.
    """
    terms = needs(service, card_gib)
    if card_gib is None:
        return Fit(terms, None, None)
    usable = card_gib * utilization
    return Fit(terms, usable, min(largest_context(service, usable, card_gib), longest))


def needs(service: Service, card_gib: float | None = None) -> tuple[Term, ...]:
    """Return what each card has to hold, in GiB: without the cache all is fixed; `card_gib` is the size of the card."""
    sizes = {
        "weights": _weights(service),
        "adapter": _adapter(service),
        "activations": _activations(service, card_gib),
        "CUDA graphs": GRAPHS if service.graphs else 0.0,
        "context": CONTEXT + UNDERESTIMATED,
        "cache": cache_bytes(service, service.context) * service.concurrency,
    }
    return tuple(Term(name, size / GIB) for name, size in sizes.items() if size)


def total_gib(service: Service, card_gib: float | None = None) -> float:
    """Return the sum of `needs`."""
    return sum(term.gib for term in needs(service, card_gib))


def cache_bytes(service: Service, tokens: int) -> int:
    """Return the bytes of keys and values of one sequence on each card, in whole blocks."""
    heads = max(1, service.shape.kv_heads // service.devices)
    token = 2 * service.shape.layers * heads * service.shape.head_dim * service.value_bytes
    return ceil(tokens / BLOCK) * BLOCK * token


def largest_context(service: Service, available_gib: float, card_gib: float | None = None) -> int:
    """Return the longest context for which the memory suffices, in whole blocks; 0 where not even weights fit."""
    fixed = total_gib(replace(service, context=0), card_gib)
    block = cache_bytes(service, BLOCK) * service.concurrency / GIB
    return max(0, int((available_gib - fixed) / block)) * BLOCK


def _weights(service: Service) -> float:
    return service.parameters * service.value_bytes / service.devices


def _adapter(service: Service) -> float:
    """Return the bytes of one slot for an adapter, which vLLM allocates for every linear layer."""
    if not service.adapter_rank:
        return 0
    return adapter_parameters(service.shape, lora_rank(service.adapter_rank)) * 2 / service.devices


def lora_rank(rank: int) -> int:
    """Return the smallest rank that vLLM allocates and that holds an adapter; the largest where none does."""
    return next((allocated for allocated in RANKS if allocated >= rank), RANKS[-1])


def _activations(service: Service, card_gib: float | None) -> float:
    """Return the bytes of the widest moment of a pass: residual stream and MLP, or logits and their sorted copies.

    What the layers hold is free again when the sampler runs (`profile_run` of vllm/v1/worker/gpu_model_runner.py).
    """
    large = card_gib is not None and card_gib * GIB >= LARGE_CARD
    tokens = service.batched_tokens or (8192 if large else 2048)
    sequences = min(service.sequences or (1024 if large else 256), tokens)
    shape = service.shape
    width = 4 * shape.hidden + 3 * shape.mlp_width * max(1, shape.mlp_copies) / service.devices
    layers = tokens * width * service.value_bytes
    logits = sequences * shape.vocab * (service.value_bytes + 3 * 4)
    return max(layers, logits)


def host_gib(service: Service) -> float:
    """Return the host memory of a pod, without `/dev/shm`: a process for each card, and the file that it reads."""
    file = min(service.parameters * service.value_bytes / GIB, SHARD)
    return service.devices * (PROCESS + file)


def models_gib(service: Service) -> float:
    """Return the space on the models' volume while git-lfs fetches the weights."""
    return LFS_COPIES * service.parameters * service.value_bytes / GIB
