"""Section `trainer`: LLaMA-Factory, or a vendor's own command, set by an option of conf/trainer/."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ftgen.spec.types import (
    ArgumentValue,
    Count,
    DebianPackage,
    EnvValue,
    FileName,
    Flag,
    Line,
    Name,
    Package,
    PositiveFloat,
    Requirement,
    Section,
)

_Parallel = Literal["auto", "ddp", "z0", "z2", "z3", "z2-offload", "z3-offload", "fsdp", "fsdp-offload"]


class LlamaFactory(Section):
    """A training by LLaMA-Factory: short names for the arguments people tune, `args` for all of them.

    Attributes:
        framework: what trains.
        version: release of LLaMA-Factory in the image.
        requirements: Python packages that it needs in its image; without a version, the one that is checked with it.
        prepare_script: script of the container that fetches.
        script: script of the container that trains.
        command: arguments of the script.
        lr: learning rate.
        epochs: passes over the data.
        batch_size (rows): rows of a step on each card.
        gradient_accumulation (steps): steps before the weights are updated.
        cutoff_len (tokens): longest row.
        precision: arithmetic; auto: bf16 where every card has it, else fp16.
        parallel: how processes share the work, by DeepSpeed (z0 to z3) or by PyTorch alone; auto: what the cards need.
        resume: whether a restarted pod goes on from its last checkpoint.
        merge: whether adapters are merged into the model before the push.
        args: LLaMA-Factory's own training arguments.
        export: arguments of `llamafactory-cli export`.
    """

    framework: Literal["llamafactory"]
    version: Line
    requirements: tuple[Package, ...] = ()
    prepare_script: FileName
    script: FileName
    command: tuple[Line, ...] = ()
    lr: PositiveFloat
    epochs: PositiveFloat
    batch_size: Count
    gradient_accumulation: Count
    cutoff_len: Count
    precision: Literal["auto", "bf16", "fp16", "fp32"]
    parallel: _Parallel
    resume: Flag
    merge: Flag
    args: dict[str, Any]
    export: dict[str, Any]

    @property
    def launcher(self) -> Literal["pytorch"]:
        """Return what starts the processes of all nodes: LLaMA-Factory calls torchrun on each of them."""
        return "pytorch"

    @property
    def output(self) -> str:
        """Return the folder of the trainer's result, relative to the workspace; without one, transformers names it."""
        chosen = self.args.get("output_dir")
        return "trainer_output" if chosen is None else str(chosen)


class Command(Section):
    """A command of any other framework, or of a vendor, in ftgen's frame.

    Attributes:
        framework: what trains.
        name: what the training is called in names, tags and the model card.
        prepare_script: script of the container that fetches.
        script: script of the container that trains.
        command: the command and its first words.
        args: arguments that follow, by name; null leaves one out.
        style: how an argument is written: one word `name=value`, or as options, `--name value`.
        package: one of the requirements, whose arguments are checked where its release is known; null: none.
        env: environment variables of the command; a value may lie in a Secret: `{secret: NAME, key: KEY}`.
        output: where the command leaves what is pushed, relative to the workspace.
        resume: whether a restarted pod goes on where it was.
        several_nodes: whether it can share its work with other nodes.
        launcher: what starts the work of all nodes.  pytorch: the command runs on each of them, as torchrun wants it;
            mpi: it runs on the master and reaches the workers by ssh, as mpirun does; ray: it runs on the head of a
            Ray cluster of all nodes.
        requirements: Python packages that it needs in its image, each with its version: `ultralytics==8.4.190`.
        system_requirements: Debian packages that these need in the image, such as libgl1.
    """

    framework: Literal["command"]
    name: Name = "command"
    prepare_script: FileName
    script: FileName
    command: tuple[str, ...] = Field(min_length=1)
    args: dict[str, ArgumentValue] = {}
    style: Literal["name=value", "--name value"] = "name=value"
    package: Name | None = None
    env: dict[str, EnvValue] = {}
    output: Line
    resume: Flag = True
    several_nodes: Flag = True
    launcher: Literal["pytorch", "mpi", "ray"] = "pytorch"
    requirements: tuple[Requirement, ...] = ()
    system_requirements: tuple[DebianPackage, ...] = ()


Trainer = Annotated[LlamaFactory | Command, Field(discriminator="framework")]
