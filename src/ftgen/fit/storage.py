"""Host memory of one pod and space on its volumes.  Reasoned from what LLaMA-Factory writes, not measured."""

from __future__ import annotations

from ftgen.fit.device import GIB, PARTITIONED_WEIGHTS, Term, optimizer_bytes
from ftgen.fit.training import Training

PROCESS = 5.0
"""GiB a training process takes for Python, torch, CUDA's host side and the tokenised data of a small set."""

SHARD = 5e9 / GIB
"""GiB of one weight file: transformers' and LLaMA-Factory's `export_size` default of 5 GB."""

MERGING = 1.25
"""Merging on the CPU holds the base and, layer by layer, what is being added to it."""

LFS_COPIES = 2
"""git-lfs keeps its object store beside the checkout, and beside what it pushes."""


def weights_gib(training: Training) -> float:
    """The published weights, in half precision."""
    return 2 * training.parameters / GIB


def host(training: Training) -> tuple[Term, ...]:
    """Memory of the pod at its fuller moment, training or merging; `/dev/shm` comes on top.

    Weights are loaded file by file straight to the card, so that a process holds one file at a time.
    """
    train = _training_host(training)
    merge = _merging_host(training)
    return max(train, merge, key=lambda terms: sum(term.gib for term in terms))


def _training_host(training: Training) -> tuple[Term, ...]:
    share = training.devices / training.world
    file = min(weights_gib(training), SHARD)
    sizes = {
        "processes": training.devices * PROCESS,
        "weight files": training.devices * file,
        "offloaded optimizer": share * optimizer_bytes(training) / GIB * training.offload_optimizer,
        "offloaded weights": share * weights_gib(training) * training.offload_parameters,
        "gathered weights": weights_gib(training) * _gathers(training),
        "weights before they are spread": training.devices * weights_gib(training) * _loaded_copies(training),
    }
    return tuple(Term(name, gib) for name, gib in sizes.items() if gib)


def _gathers(training: Training) -> bool:
    """ZeRO-3 assembles the whole model on the first process to save it."""
    return training.zero_stage == PARTITIONED_WEIGHTS and not training.trains_adapter and not training.fsdp


def _loaded_copies(training: Training) -> int:
    """Under FSDP every process makes room for the whole model on the host first, float32 where it learns."""
    return 0 if not training.fsdp else 1 if training.trains_adapter else 2


def _merging_host(training: Training) -> tuple[Term, ...]:
    if not (training.merge and training.trains_adapter):
        return ()
    merged = MERGING * weights_gib(training)
    return Term("processes", PROCESS), Term("merged model", merged), Term("weight files", SHARD)


def checkpoint_gib(training: Training) -> float:
    """One checkpoint: what learned, or with freeze and full the whole model, and the optimizer."""
    half = (training.method == "pure_bf16" or training.uses_deepspeed) and not training.trains_adapter
    learned = training.trainable * (2 if half else 4)
    model = learned if training.trains_adapter else learned + 2 * training.frozen
    optimizer = 0 if training.save_only_model else optimizer_bytes(training)
    return (model + optimizer) / GIB


def disk(training: Training) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """Space wanted on the models' volume and on the workspace.

    The workspace holds the checkpoints that are kept, the one being written before the oldest is removed, and
    what is pushed, which git-lfs copies once more.
    """
    models = Term("base model with its git-lfs objects", LFS_COPIES * weights_gib(training))
    checkpoints = (training.checkpoints_kept + 1) * checkpoint_gib(training)
    workspace = [Term("checkpoints", checkpoints)]
    if training.merge or not training.trains_adapter:
        workspace.append(Term("result with its git-lfs objects", LFS_COPIES * _result_gib(training)))
    return (models,), tuple(workspace)


def _result_gib(training: Training) -> float:
    """The pushed model: merged in half precision, or as full and freeze leave it, with float32 in it."""
    if training.trains_adapter or training.method == "pure_bf16" or training.uses_deepspeed:
        return weights_gib(training)
    return (4 * training.trainable + 2 * training.frozen) / GIB
