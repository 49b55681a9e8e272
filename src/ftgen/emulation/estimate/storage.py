"""Host memory of one pod and space on its volumes, derived from the files that LLaMA-Factory writes, not measured."""

from __future__ import annotations

from ftgen.emulation.estimate.device import GIB, PARTITIONED_WEIGHTS, Term, optimizer_bytes
from ftgen.emulation.estimate.training import LEAST_CHECKPOINTS, Training

PROCESS = 5.0
"""GiB of a training process for Python, torch, CUDA's host side and a small tokenised data set."""

SHARD = 5e9 / GIB
"""GiB of one weight file: transformers' and LLaMA-Factory's `export_size` default of 5 GB."""

MERGING = 1.25
"""Memory of merging on the CPU as a multiple of the base: the base and, layer by layer, the sum added to it."""

LFS_COPIES = 2
"""Copies of a file under git-lfs: its object store duplicates what is checked out or pushed."""

CHECKPOINTS = "checkpoints"
"""Term of the workspace that grows with the number of checkpoints."""


def weights_gib(training: Training) -> float:
    """Return the size of the published weights, in half precision."""
    return 2 * training.parameters / GIB


def files_gib(training: Training) -> float:
    """Return the size of the base's files, which may be quantized or float32."""
    return training.file_bytes / GIB if training.file_bytes else weights_gib(training)


def host(training: Training) -> tuple[Term, ...]:
    """Return the pod's memory during training or merging, whichever is larger, without `/dev/shm`.

    A process loads weights file by file to the card, so that it holds one file at a time.
    """
    train = _training_host(training)
    merge = _merging_host(training)
    return max(train, merge, key=lambda terms: sum(term.gib for term in terms))


def _training_host(training: Training) -> tuple[Term, ...]:
    share = training.devices / training.world
    file = min(files_gib(training), SHARD)
    sizes = {
        "processes": training.devices * PROCESS,
        "weight files": training.devices * file,
        "offloaded optimizer": share * optimizer_bytes(training) / GIB * training.offload_optimizer,
        "offloaded weights": share * weights_gib(training) * training.offload_parameters,
        "gathered weights": weights_gib(training) * _gathers_model(training),
        "weights before they are spread": training.devices * weights_gib(training) * _loaded_copies(training),
    }
    return tuple(Term(name, gib) for name, gib in sizes.items() if gib)


def _gathers_model(training: Training) -> bool:
    """Return whether the first process gathers the whole model to save it, as under ZeRO-3."""
    return training.zero_stage == PARTITIONED_WEIGHTS and not training.trains_adapter and not training.fsdp


def _loaded_copies(training: Training) -> int:
    """Return the half-precision copies of the model that a process allocates on the host before sharding.

    FSDP allocates the whole model, in float32 where it is trained, which counts as two.
    """
    return 0 if not training.fsdp else 1 if training.trains_adapter else 2


def _merging_host(training: Training) -> tuple[Term, ...]:
    if not (training.merge and training.trains_adapter):
        return ()
    merged = MERGING * weights_gib(training)
    return Term("processes", PROCESS), Term("merged model", merged), Term("weight files", SHARD)


def checkpoint_gib(training: Training) -> float:
    """Return the size of a checkpoint: trained weights, or with freeze and full the whole model, and the optimizer."""
    half = (training.method == "pure_bf16" or training.uses_deepspeed) and not training.trains_adapter
    trained = training.trainable * (2 if half else 4)
    model = trained if training.trains_adapter else trained + 2 * training.frozen
    optimizer = 0 if training.save_only_model else optimizer_bytes(training)
    return (model + optimizer) / GIB


def disk(training: Training) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """Return the space on the models' volume and on the workspace.

    The workspace holds the checkpoints and the pushed model, which git-lfs copies once more.
    """
    models = Term("base model with its git-lfs objects", LFS_COPIES * files_gib(training))
    checkpoints = (training.checkpoints or LEAST_CHECKPOINTS) * checkpoint_gib(training)
    workspace = [Term(CHECKPOINTS, checkpoints)]
    if training.merge or not training.trains_adapter:
        workspace.append(Term("result with its git-lfs objects", LFS_COPIES * _result_gib(training)))
    return (models,), tuple(workspace)


def _result_gib(training: Training) -> float:
    """Return the size of the pushed model: merged in half precision, or with float32 weights of full and freeze."""
    if training.trains_adapter or training.method == "pure_bf16" or training.uses_deepspeed:
        return weights_gib(training)
    return (4 * training.trainable + 2 * training.frozen) / GIB
