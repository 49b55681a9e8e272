"""Section `hardware`: the accelerator, set by an option of conf/hardware/."""

from typing import Annotated, Literal

from pydantic import Field

from ftgen.spec.network import NetworkTopology
from ftgen.spec.types import (
    AtLeast,
    Count,
    EnvValue,
    Flag,
    Identifier,
    Image,
    Line,
    NodeRequirement,
    Percent,
    Positive,
    PositiveFloat,
    Quantity,
    Requirement,
    Section,
    ShellFile,
)


class UnitResource(Section):
    """An extended resource that counts something in `unit` (1Mi: mebibytes; 1: plain numbers).

    Attributes:
        name: name of the extended resource.
        unit: what one of it stands for.
        templates: the amounts that are given, in units; others are rounded up to the next, and above the largest
            the whole card is given. Empty: every amount.
    """

    name: Line
    unit: Positive = "1"
    templates: tuple[Count, ...] = ()


class Share(Section):
    """How a plugin counts shares of cards, where it does so by another name than whole cards.

    Attributes:
        count: resource that counts shares; null: memory and compute alone ask for one.
    """

    count: Line | None


class Resources(Section):
    """The names under which a device plugin offers its cards; values, since an override key holds no `/`.

    Attributes:
        count: resource that counts cards; null: no cards.
        share: how shares of cards are counted; null: like whole cards.
        memory: resource of a card's memory share; null: cards are not shared by memory.
        cores: resource of a card's compute share; null: cards are not shared by compute.
        device_class: device class that cards are claimed from (DRA), where no resource counts them.
        allowed_counts: cards of one pod that are granted; empty: any number.
        advised_counts: cards of each pod that suit a job of several nodes; empty: any number.
        share_with_multi: whether a pod may have several shares; null: nothing forbids it.
    """

    count: Line | None
    share: Share | None = None
    memory: UnitResource | None = None
    cores: UnitResource | None = None
    device_class: Line | None = None
    allowed_counts: tuple[Count, ...] = ()
    advised_counts: tuple[Count, ...] = ()
    share_with_multi: Flag | None = None


class Card(Section):
    """What one card is; null where the cluster decides and nothing may be assumed.

    Attributes:
        name: name of the card.
        memory (bytes): memory of one card.
        bf16: whether it computes in bfloat16.
        per_node: cards of one node.
        compute_capability: NVIDIA's number for what it can do, such as 8.0.
        slice: whether it is a fixed part of a physical card, such as a MIG instance.
        nodes: requirements on labels of nodes, which those with this card meet.
    """

    name: Line | None = None
    memory: Quantity | None = None
    bf16: Flag | None = None
    per_node: Count | None = None
    compute_capability: PositiveFloat | None = None
    slice: Flag = False
    nodes: tuple[NodeRequirement, ...] = ()


class Collectives(Section):
    """What the vendor's library of collectives calls the settings of `network`; null: it has no such setting.

    Attributes:
        interface: variable of the interfaces it may use.
        adapters: variable of the RDMA adapters it may use.
        gid_index: variable of the RoCE address to use.
        connect_timeout: variable of the seconds that ranks wait for each other.
        log_level: variable of how much it tells.
        host_address: variable of the node's address, wanted on the nodes' own network.
    """

    interface: Line | None = None
    adapters: Line | None = None
    gid_index: Line | None = None
    connect_timeout: Line | None = None
    log_level: Line | None = None
    host_address: Line | None = None


class Range(Section):
    """A container's request and limit of one resource.

    Attributes:
        request: what the scheduler reserves.
        limit: what the container may use; 16Gi+: that much, or what the training needs.
    """

    request: Quantity
    limit: AtLeast


class PerCard(Section):
    """Host resources that go with each card.

    Attributes:
        cpu (cores): processors for each card.
        memory (bytes): host memory for each card.
    """

    cpu: Range
    memory: Range


class Visible(Section):
    """How a container is shown its cards.  On a cluster the device plugin and the vendor's runtime see to it.

    Attributes:
        variables: variables that choose cards; a job that sets one hides its cards or takes its neighbours'.
        files: how the device files begin; `docker run --device` numbers the cards, as in /dev/davinci0.
        driver: folders and files of the driver, which the vendor's runtime mounts.
        runtime: the vendor's container runtime, as `docker run --runtime` names it.
        shared: those of the variables and files above that other vendors' cards are shown by too.
    """

    variables: tuple[Line, ...] = ()
    files: tuple[Line, ...] = ()
    driver: tuple[Line, ...] = ()
    runtime: Line | None = None
    shared: tuple[Line, ...] = ()


class Base(Section):
    """What `ftgen image` builds on for these cards: an image that their vendor publishes.

    Attributes:
        image: the published image with its tag; null: none can be named, and `unsure` says why.
        source: where the vendor publishes it.
        python: version of its Python, such as 3.11; null: not known.
        python_home: folder of its Python, where that is not the first on the PATH.
        holds: Python packages in it that no other may replace, as pip names them: torch==2.7.1.
        torch: the same, where PyTorch is not in it and is installed from `torch_index`.
        torch_index: package index of `torch`.
        requirements: further Python packages for these cards, such as PyTorch's plug-in.
        lacks: packages that trainers ask for and that hold nothing for these cards; they are left out.
        libraries: folders of libraries that stand in for the driver's on the machine that builds.
        unsure: what about the image could not be confirmed; told with its recipe.
    """

    image: Image | None
    source: Line
    python: Identifier | None = None
    python_home: Line | None = None
    holds: tuple[Requirement, ...] = ()
    torch: tuple[Requirement, ...] = ()
    torch_index: Line | None = None
    requirements: tuple[Requirement, ...] = ()
    lacks: tuple[Line, ...] = ()
    libraries: tuple[Line, ...] = ()
    unsure: Line | None = None


class Partition(Section):
    """Equal groups of the nodes of one job, such as those that share one model in parallel (Volcano 1.14).

    Attributes:
        size: nodes of each group.
        network_topology: how near to each other the pods of a group are placed.
    """

    size: Count
    network_topology: NetworkTopology | None = None


class Hardware(Section):
    """The accelerator and how much of it: `nodes` pods with `devices` cards each.

    Attributes:
        vendor: maker of the accelerator.
        nodes: pods, one a node.
        topology: flat: all pods are one task; master-worker: the first one is a task of its own, the master.
        partition: groups of the nodes that are placed near to each other; null: none.
        devices: cards in each pod.
        memory (bytes): memory of each card, where it is shared; null: the whole card; 8Gi+: that much, or what is
            needed.
        cores (percent): share of the compute of each card, where it is shared.
        resources: names of the extended resources.
        card: what one card is.
        per_card: host resources that go with each card.
        image: runtime image of both containers.
        base: the vendor's image that `ftgen image` builds such an image on; null: none is known.
        packages: what the image holds of what trainers ask for, Python's and the system's, such as mlflow and
            git-lfs; null: what is known of it by its name.
        source: shell files to read before training, such as set_env.sh.
        env: environment variables of the training container; {secret: NAME, key: KEY} takes one from a Secret.
        taints: keys of the taints that keep other pods off the nodes with these cards; its own pods tolerate them.
        collectives: what its library of collectives calls the settings of `network`.
        visible: how a container is shown its cards.
        scheduler: scheduler of the pods, where the cards are not given out by the cluster's own.
        needs_volcano: oldest release of Volcano that gives out these cards.
        needs_root: whether the image, or the device files of the cards, are for root alone.
        unsure: what about this option could not be confirmed; told when it is rendered.
        double_quantization: whether quantization constants may be quantized again (bitsandbytes on this vendor).
    """

    vendor: Line
    nodes: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    topology: Literal["flat", "master-worker"] = "flat"
    partition: Partition | None = None
    devices: Annotated[int, Field(ge=1, le=10_000, strict=True)]
    memory: AtLeast | None = None
    cores: Percent | None = None
    resources: Resources
    card: Card
    per_card: PerCard
    image: Image
    base: Base | None = None
    packages: tuple[Line, ...] | None = None
    double_quantization: Flag = True
    source: tuple[ShellFile, ...] = ()
    env: dict[str, EnvValue] = {}
    taints: tuple[Line, ...] = ()
    collectives: Collectives = Field(default_factory=Collectives.model_construct)
    visible: Visible = Field(default_factory=Visible.model_construct)
    scheduler: Line | None = None
    needs_volcano: Identifier | None = None
    needs_root: Flag = False
    unsure: Line | None = None

    @property
    def has_master(self) -> bool:
        """Return whether one of several pods is a task of its own; a single pod has no workers."""
        return self.topology == "master-worker" and self.nodes > 1

    @property
    def shared(self) -> bool:
        """Return whether the job requests a part of each card, not the whole card."""
        return self.memory is not None or self.cores is not None

    @property
    def counted(self) -> str | None:
        """Return the resource that counts the cards of a pod, or its shares of cards; None where none counts them."""
        share = self.resources.share if self.shared else None
        return share.count if share else self.resources.count

    @property
    def cards(self) -> str | None:
        """Return the resource or device class by which a pod requests its cards; None without cards."""
        return self.counted or self.resources.count or self.resources.device_class
