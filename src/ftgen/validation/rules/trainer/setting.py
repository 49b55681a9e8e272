"""The subject of rules about the trainer's arguments: the arguments, their release, and the facts around them."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Severity
from ftgen.trainers import llamafactory, sharding
from ftgen.trainers.quantization import DEQUANTIZED
from ftgen.trainers.surface import Surface, surface
from ftgen.validation import Context, Finding, Scope, Undecided


class TrainingFacts(Struct, frozen=True, kw_only=True):
    """Facts from outside the arguments; None and empty mean unknown, and no rule guesses.

    Attributes:
        nodes: pods of the job.
        devices: training processes in each pod.
        torchrun: whether torchrun starts the processes, even a single one.
        vendor: of the accelerator: `nvidia`, `ascend`, `cpu` or another's name.
        card: the card's name.
        bf16: whether the card computes in bfloat16.
        compute_capability: NVIDIA's, such as 8.0.
        stages: training stages that the data set is made for.
        ranking: whether the data set's description says `ranking: true`.
        dataset_entry: name of the entry that the job writes into dataset_info.json; empty: the repository has its own.
        reasoning: whether the data set's answers show their reasoning.
        template: template that the model was trained with.
        quantization: how the base model's weights are already quantized, such as `gptq`.
        layers: hidden layers of the model.
        experts: experts in each layer of the model; 0: it is dense.
        context: longest sequence that the model was made for, in tokens.
        modules: names of the model's linear layers.
        tied: whether one matrix embeds the model's tokens and predicts them.
        packages: packages of the image that the trainer may ask for, by their own names.
        processors: processor cores that the pod may use.
        resumes: whether a pod that replaces another finds the other's checkpoints.
        shared: whether the nodes have one folder for what they write.
        folders: folders that have their content before the training starts.
        mounts: folders on which a volume is mounted.
        offline: whether the trainer is kept from model hubs.
        environment: names of the variables that the user sets in the pod.
        tracker: tracker of runs in the configuration (`tracking.report_to`), such as `mlflow` or `none`.
        merged: folder of the merged result; None: the result is pushed without a merge.
        merged_adapter: adapter that the merge puts into the base, the last one of several; empty: none.
    """

    nodes: int = 1
    devices: int = 1
    torchrun: bool = True
    vendor: str = "nvidia"
    card: str = ""
    bf16: bool | None = None
    compute_capability: float | None = None
    stages: frozenset[str] = frozenset()
    ranking: bool | None = None
    dataset_entry: str = ""
    reasoning: bool | None = None
    template: str | None = None
    quantization: str = ""
    layers: int | None = None
    experts: int = 0
    context: int | None = None
    modules: frozenset[str] = frozenset()
    tied: bool | None = None
    packages: frozenset[str] | None = None
    processors: float | None = None
    resumes: bool = False
    shared: bool = False
    folders: tuple[str, ...] | None = None
    mounts: tuple[str, ...] = ()
    offline: bool = True
    environment: frozenset[str] = frozenset()
    tracker: str = ""
    merged: str | None = None
    merged_adapter: str = ""

    @property
    def processes(self) -> int:
        """Return the number of training processes of the whole job."""
        return self.nodes * self.devices


class TrainerArguments(Struct, frozen=True):
    """The arguments of one command as the trainer reads them, with the release's defaults.

    Attributes:
        given: arguments of the configuration, without those in `refused`.
        surface: arguments that the release accepts.
        facts: facts from outside the arguments.
        refused: names whose values were refused; a rule that reads one is not judged.
        command: `train` or `export`.
    """

    given: Mapping[str, Any]
    surface: Surface
    facts: TrainingFacts
    refused: frozenset[str] = frozenset()
    command: str = "train"

    def __getitem__(self, name: str) -> Any:
        """Return the given value, else the release's default; None for a name that the release does not have.

        Raises:
            Undecided: the value was refused.
        """
        if name in self.refused:
            raise Undecided(name)
        if name in self.given:
            return self.given[name]
        argument = self.surface.arguments.get(name)
        return argument.default if argument else None

    def names(self, name: str) -> tuple[str, ...]:
        """Return the items of a list or of a text separated by commas, as LLaMA-Factory's `split_arg` reads them."""
        return llamafactory.named(self[name])

    def first(self, *names: str) -> str:
        """Return the first of these switches that is on, or the empty string."""
        return next((name for name in names if self[name]), "")

    def finding(self, name: str, headline: str, help: str = "", severity: Severity | None = None) -> Finding:  # noqa: A002
        """Return a finding about an argument; `help` is the edit that mends it, and a secret's value is left out."""
        argument = self.surface.arguments.get(name)
        value = "" if argument is not None and argument.secret else _text(self.given.get(name, ""))
        return Finding(headline, subject(name, self.command), value, help, severity)

    @property
    def distributed(self) -> bool:
        """Return whether the trainer sees a distributed run: torchrun makes one even of one process."""
        return self.facts.torchrun or self.facts.processes > 1

    @property
    def evaluates(self) -> bool:
        """Return whether evaluation runs: transformers turns `do_eval` on for any `eval_strategy` but no."""
        return bool(self["do_eval"]) or self["eval_strategy"] != "no"

    @property
    def resumes(self) -> bool:
        """Return whether a pod that replaces another goes on from the other's checkpoints."""
        return self.facts.resumes and not self["overwrite_output_dir"] and self["save_strategy"] != "no"

    @property
    def needs_reference(self) -> bool:
        """Return whether the stage compares with a frozen copy of the model."""
        return self["stage"] == "dpo" and self["pref_loss"] not in {"orpo", "simpo"}

    @property
    def quantized_base(self) -> str:
        """Return how the base model's weights are quantized once they are loaded; empty: they are whole, or unknown."""
        return "" if self.facts.quantization in DEQUANTIZED else self.facts.quantization

    @property
    def zero_stage(self) -> int | None:
        """Return DeepSpeed's ZeRO stage; None without DeepSpeed, or when a file in the image decides."""
        return sharding.zero_stage(self["deepspeed"])

    @property
    def zero3(self) -> bool:
        """Return whether DeepSpeed shards the parameters."""
        return self.zero_stage == sharding.ZERO_3

    @property
    def fsdp(self) -> bool:
        """Return whether PyTorch's FSDP shards the parameters."""
        return bool(self["fsdp"])


@lru_cache(maxsize=1024)
def is_within(path: str, folder: str) -> bool:
    """Return whether a path of a container is a folder or lies in it; `..` is resolved first."""
    return f"{posixpath.normpath(path)}/".startswith(f"{posixpath.normpath(folder).rstrip('/')}/")


def subject(name: str, command: str) -> str:
    """Return the configuration key of an argument: below `trainer.args` or, for an export, `trainer.export`."""
    return f"trainer.{'args' if command == 'train' else 'export'}.{name}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


RawArguments = tuple[Mapping[str, Any], str, TrainingFacts, frozenset[str]]
"""The subject of the scopes below: given arguments, release, facts, and names whose values were refused."""


def _with_defaults(command: str, raw: RawArguments, _: Context) -> TrainerArguments:
    given, release, facts, refused = raw
    return TrainerArguments(given, surface(release), facts, refused, command)


_MODULES = tuple(f"ftgen.validation.rules.trainer.{name}" for name in ("arguments", "hardware", "job"))
TRAINING = Scope(*_MODULES, read=partial(_with_defaults, "train"))
"""Scope of the arguments of a training, given as `RawArguments`."""
EXPORT = Scope(*_MODULES, read=partial(_with_defaults, "export"))
"""Scope of the arguments of a merge, given as `RawArguments`."""
BOTH = (TRAINING, EXPORT)

Findings = Iterator[Finding]
