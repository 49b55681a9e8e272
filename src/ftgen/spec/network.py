"""Section `network`: how the nodes of one job talk to each other, set by conf/common.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from ftgen.spec.types import Count, Flag, Line, Natural, Section


class Network(Section):
    """How the nodes of one job talk to each other; most jobs leave it alone.

    Attributes:
        host: whether pods use their node's own network.
        interface: interface of the collectives, such as eth0.
        rdma_resource: extended resource of RDMA devices, as their plugin was told to call it.
        rdma_devices: RDMA devices of each pod.
        adapters: RDMA adapters of the collectives, such as mlx5_0,mlx5_1.
        gid_index: RoCE address of the collectives.
        connect_timeout (seconds): how long the collectives' ranks wait for each other.
        log_level: how much the collectives tell.
        master_port: port on which the first node gathers the others.
    """

    host: Flag = False
    interface: Line | None = None
    rdma_resource: Line | None = None
    rdma_devices: Count = 1
    adapters: Line | None = None
    gid_index: Natural | None = None
    connect_timeout: Annotated[int, Field(ge=120, le=7200, strict=True)] | None = None
    log_level: Line | None = None
    master_port: Annotated[int, Field(ge=1024, le=65535, strict=True)] = 29500


class NetworkTopology(Section):
    """How near to each other Volcano places pods, by its HyperNodes: the switches of a network, tier over tier.

    Attributes:
        mode: hard: nowhere else; soft: if it can be.
        highest_tier: the widest tier of HyperNodes that the pods may span.
        highest_tier_name: the same tier by its name (Volcano 1.14).
    """

    mode: Literal["hard", "soft"] = "hard"
    highest_tier: Natural | None = None
    highest_tier_name: Line | None = None
