"""Section `cluster`: the cluster and the namespace, set by an option of conf/cluster/."""

from typing import Any, Literal

from pydantic import Field

from ftgen.spec.hardware import Card
from ftgen.spec.network import NetworkTopology
from ftgen.spec.types import Flag, Label, Line, NodeRequirement, ObjectName, SecretKey, SecretName, Section, Text


class Git(Section):
    """The git host of models and data sets, and the secret that opens it.

    Attributes:
        url: address of the git host.
        secret: secret with user and token.
        user_key: key of the user name in the secret.
        token_key: key of the token in the secret.
        tls_verify: whether the host's certificate is verified.
        ca_config_map: ConfigMap with the host's CA under ca.crt.
    """

    url: Line
    secret: SecretName
    user_key: SecretKey
    token_key: SecretKey
    tls_verify: Flag
    ca_config_map: ObjectName | None = None


class StorageClass(Section):
    """What is known of a storage class.

    Attributes:
        provisioner: its provisioner, such as topolvm.io or nfs.csi.k8s.io.
        binding: when its claims are bound.
        root_squash: whether its export maps root to nobody, so that nothing there can change owner.
    """

    provisioner: Line
    binding: Literal["Immediate", "WaitForFirstConsumer"] | None = None
    root_squash: Flag | None = None


class Facts(Section):
    """What is true of the nodes and policies; null where nobody has said, and then no rule guesses.

    Attributes:
        card: the card of the nodes, where the hardware does not say.
        ascend_form: kind of Ascend server, which decides how many cards a pod may have.
        hami_version: release of HAMi that shares the cards.
        vgpu_on_volcano: whether pods that Volcano schedules are seen by HAMi.
        mindcluster_plugin: whether MindCluster's plugin schedules NPUs for Volcano.
        ascend_default_runtime: whether containers get Ascend's runtime without a runtime class.
        storage_classes: storage classes by name.
        runtime_classes: names of the runtime classes.
        mig_profiles: MIG profiles of the cards, such as 1g.10gb.
        taints: keys of the taints on the nodes with cards.
        architectures: processor architectures of the nodes.
        node_pull_credentials: whether nodes can pull from the registry by themselves.
        mlflow: address of the platform's MLflow server.
        model_caches: KServe's local model caches by name, each with its node groups.
        snapshot: file with the nodes, queues, quotas, limit ranges, priority and storage classes of the cluster, as
            `ftgen facts` writes it; below a folder of the configuration or the working directory.
    """

    card: Card = Field(default_factory=Card.model_construct)
    ascend_form: Literal["910a", "910a-half", "300t", "910b-8", "910b-16", "a3"] | None = None
    hami_version: Line | None = None
    vgpu_on_volcano: Flag | None = None
    mindcluster_plugin: Flag | None = None
    ascend_default_runtime: Flag | None = None
    storage_classes: dict[str, StorageClass] | None = None
    runtime_classes: tuple[Line, ...] | None = None
    mig_profiles: tuple[Line, ...] | None = None
    taints: tuple[Line, ...] | None = None
    architectures: tuple[Literal["amd64", "arm64"], ...] | None = None
    node_pull_credentials: Flag | None = None
    mlflow: Line | None = None
    model_caches: dict[str, tuple[ObjectName, ...]] | None = None
    snapshot: Line | None = None


class Cluster(Section):
    """What is true of the cluster and the namespace, whatever is trained.

    Attributes:
        namespace: namespace of all objects.
        queue: Volcano's queue.
        priority_class: priority class of the job.
        scheduler: scheduler of the pods.
        volcano_version: release of Volcano on the cluster, such as 1.12.4, or newest.
        kubernetes_version: release of Kubernetes on the cluster, such as 1.34, or newest; null where nobody has said,
            and then the release that Volcano's is built with decides.
        registry: registry of the images.
        image_pull_policy: when images are pulled.
        image_pull_secrets: secrets that open the registry.
        git: the git host of models and data sets.
        repositories: where the repositories of the namespace live.
        node_selector: labels of the nodes to run on.
        node_affinity: requirements on labels of the nodes to run on.
        tolerations: taints of the nodes that are tolerated.
        topology_spread: labels of nodes, such as a zone's, over which the pods of a job are spread if it can be.
        network_topology: how near to each other the pods of a job are placed.
        pod_security: level of Kubernetes' pod security standards that the namespace enforces.
        labels: labels of all objects.
        annotations: annotations of the job.
        allow: diagnostics that are accepted on this cluster, by code, each with the reason.
        facts: what is true of the nodes and policies.
    """

    namespace: Label
    queue: ObjectName
    priority_class: ObjectName | None = None
    scheduler: Line
    volcano_version: Line
    kubernetes_version: Line | None = None
    registry: Line
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"]
    image_pull_secrets: tuple[SecretName, ...] = ()
    git: Git
    repositories: Line
    node_selector: dict[str, Text] = {}
    node_affinity: tuple[NodeRequirement, ...] = ()
    tolerations: tuple[dict[str, Any], ...] = ()
    topology_spread: tuple[Line, ...] = ()
    network_topology: NetworkTopology | None = None
    pod_security: Literal["privileged", "baseline", "restricted"] = "privileged"
    labels: dict[str, Text] = {}
    annotations: dict[str, Text] = {}
    allow: dict[str, Text] = {}
    facts: Facts = Field(default_factory=Facts.model_construct)
