"""The selections whose manifests are pinned, and what is expected of each.

Every option of every group is chosen once, alone.  Hardware, trainers, storage and numbers of nodes also meet each
other: every pair of two of them occurs, but for hardware and storage, which set different parts of a job;
`tests/vendors` renders and judges all of those.

`expected/default.yaml` is a whole manifest, and `expected/<group>/<option>.diff` is how an option's differs from it.
Further selections of the same hardware follow in its file, each as its difference from the hardware's alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tools.options import GROUPS, chosen

from .difference import applied, difference

EXPECTED = Path(__file__).parent / "expected"
DEFAULT = "default"
# What one node can hold and two cannot share, and trainers of one node.
ONE_NODE_ONLY = {"storage=rbd", "trainer=yolo", "trainer=yolo-scratch"}
# Trainers of models that no cache of Hugging Face's models holds.
WITHOUT_CACHE = {"yolo", "yolo-scratch"}
_TITLE = re.compile("^# (.*)\n", re.MULTILINE)


class Case(NamedTuple):
    """A selection whose manifest is pinned: the file that holds it, and the case that it is told from."""

    file: str
    base: str
    overrides: tuple[str, ...]


def _alone() -> dict[str, Case]:
    """Choose each option alone."""
    return {
        f"{group}={option}": Case(f"{group}/{option}", DEFAULT, chosen(group, option))
        for group, options in GROUPS.items()
        for option in options
        # A sweep is many jobs, which tests/sweeping look at; what serves is no job, and tests/serving look at it.
        if group not in {"sweep", "serving"}
    }


def _together() -> dict[str, Case]:
    """Choose each hardware with each trainer, and in turn all storage and both numbers of nodes with these.

    Storage goes along the diagonals of the table of hardware by trainers, so that every trainer meets every storage.
    """
    found, storages = {}, list(GROUPS["storage"])
    for row, hardware in enumerate(GROUPS["hardware"]):
        for column, trainer in enumerate(GROUPS["trainer"]):
            storage = storages[(row + column) % len(storages)]
            if storage == "model-cache" and trainer in WITHOUT_CACHE:
                storage = "claims"
            nodes = (
                1
                if ONE_NODE_ONLY & {f"storage={storage}", f"trainer={trainer}"}
                else 1 + (row // len(storages) + column) % 2
            )
            alone = f"hardware={hardware}"
            choices = *chosen("hardware", hardware), *chosen("trainer", trainer), *chosen("storage", storage)
            case = Case(f"hardware/{hardware}", alone, (*choices, f"hardware.nodes={nodes}"))
            found[f"{alone} trainer={trainer} storage={storage} nodes={nodes}"] = case
    return found


def _shapes() -> dict[str, Case]:
    """Choose each shape of a job of several nodes, with what starts it."""
    nodes = ("hardware=full-gpu", "storage=nfs", "hardware.nodes=4")
    master = (*nodes, "hardware.topology=master-worker")
    command = (*master, "trainer=command", "trainer.command=[run,a b]")
    groups = "hardware.partition={size: 2, network_topology: {highest_tier: 1}}"
    near = "cluster.network_topology={mode: soft, highest_tier_name: spine}"
    shapes = {
        "master-worker": master,
        **{launcher: (*command, f"trainer.launcher={launcher}") for launcher in ("pytorch", "mpi", "ray")},
        "groups": (*nodes, groups, near, "cluster.volcano_version=newest"),
    }
    return {f"shape={name}": Case(f"shape/{name}", "hardware=full-gpu", words) for name, words in shapes.items()}


CASES = {DEFAULT: Case(DEFAULT, DEFAULT, ()), **_alone(), **_together(), **_shapes()}
FILES = {file: [name for name, case in CASES.items() if case.file == file] for file, _, _ in CASES.values()}


def path(file: str) -> Path:
    """Where the expected manifests of a file lie."""
    return EXPECTED / (f"{file}.yaml" if file == DEFAULT else f"{file}.diff")


def written(file: str, manifest: Callable[[str], str]) -> str:
    """Write the manifests of a file's cases."""
    if file == DEFAULT:
        return manifest(DEFAULT)
    return "".join(f"# {name}\n{difference(manifest(CASES[name].base), manifest(name))}" for name in FILES[file])


@cache
def expected(name: str) -> str:
    """Return the whole manifest that is expected of a case."""
    if name == DEFAULT:
        return _text(DEFAULT)
    case = CASES[name]
    _, *parts = _TITLE.split(_text(case.file))
    return applied(expected(case.base), parts[parts.index(name) + 1])


@cache
def _text(file: str) -> str:
    return path(file).read_text(encoding="utf-8")
