"""Section `storage`: the volumes of models and work, set by an option of conf/storage/."""

from typing import Annotated, Literal

from pydantic import Field

from ftgen.spec.types import AtLeast, Flag, Line, MountPath, NodeRequirement, ObjectName, Quantity, Section


class NfsShare(Section):
    """A folder that an NFS server exports.

    Attributes:
        server: the server's address.
        path: the exported folder.
    """

    server: Line
    path: MountPath


class Volume(Section):
    """A volume by its mount path: a claim that stays, a folder of the node, or one that goes with the pod.

    Attributes:
        path: where it is mounted.
        claim: name of its claim; null: a temporary claim for each pod, unless host_path or empty_dir says otherwise.
        create: whether the claim is created with the job.
        size (bytes): size of the claim; 5Gi+: that much, or what the training needs.
        access_mode: access mode of the claim.
        host_path: folder of the node that is mounted as it is.
        empty_dir: whether it is an empty folder on the node's own disk, gone with the pod.
        nfs: exported folder that a created claim is bound to, without a storage class.
    """

    path: MountPath
    claim: ObjectName | None
    create: Flag = False
    size: AtLeast
    access_mode: Literal["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany"]
    host_path: MountPath | None = None
    empty_dir: Flag = False
    nfs: NfsShare | None = None


class ModelCache(Section):
    """Models that KServe's local model cache, or somebody else, has put on the nodes beforehand.

    Attributes:
        uri: where the cached model came from, as the cache spells it; decides its folder.
        claim: name of a claim of the job's own namespace on the cache.
        create: whether that claim and its volume are created with the job.
        path: the cache's folder on the nodes.
        nodes: requirements on labels of the nodes, which those that have the cache meet.
        size (bytes): size of the claim.
    """

    uri: Line
    claim: ObjectName
    create: Flag
    path: MountPath
    nodes: Annotated[tuple[NodeRequirement, ...], Field(min_length=1)]
    size: Quantity


class Storage(Section):
    """Where models and work lie; `node_local` storage never leaves its node.

    Attributes:
        storage_class: storage class of claims; null: the cluster's default.
        node_local: whether its volumes live on one node.
        workspace: the volume of work and results.
        models: the volume of models and data sets.
        cache: models that lie on the nodes beforehand; null: the base model is on the models volume.
        shm (bytes): size of /dev/shm; auto: by the number of cards.
    """

    storage_class: ObjectName | None
    node_local: Flag
    workspace: Volume
    models: Volume
    cache: ModelCache | None = None
    shm: Quantity | Literal["auto"]
