"""The job as its user speaks of it: frozen, typed, unknown keys refused.

`admit` turns the plain mapping that `compose` produced into a `Spec`, or reports every key whose shape is
wrong.  Nothing here has heard of containers, and nothing after here has heard of Hydra.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.text import kube


def _quantity(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be a Kubernetes quantity such as 8Gi or 500m")  # noqa: TRY004 - pydantic collects ValueErrors
    if kube.parse_quantity(str(value)) < 0:
        raise ValueError("must not be negative")
    return kube.canonical_quantity(str(value))


def _at_least(value: object) -> str:
    """A quantity, or one with a plus behind it: that much, or more where the training asks for it."""
    text = str(value)
    return f"{_quantity(text[:-1])}+" if text.endswith("+") else _quantity(value)


def _identifier(value: object) -> object:
    """A commit or tag of digits only arrives as an int; its text is what was meant."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _single_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not contain line breaks or control characters")
    return value


def _positive(value: str) -> str:
    if kube.parse_quantity(value) == 0:
        raise ValueError("must be more than nothing")
    return value


def _file_name(value: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", value):
        raise ValueError("must be the name of a file in conf/trainer/, without a folder")
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", value):
        raise ValueError("must begin with a letter and hold letters, digits, dots, dashes and underscores only")
    return value


def _label(value: str) -> str:
    if not kube.is_dns1123_label(value):
        raise ValueError(
            "must be at most 63 lower-case letters, digits and dashes, beginning and ending without a dash"
        )
    return value


def _object_name(value: str) -> str:
    if not kube.is_dns1123_subdomain(value):
        raise ValueError("no object can be called so: only lower-case letters, digits, dashes and dots")
    return value


def _image(value: str) -> str:
    if not kube.is_image_reference(value):
        raise ValueError("must be an image such as registry.example.com/team/image:1.0")
    return value


def _mount_path(value: str) -> str:
    if not re.fullmatch(r"(?:/[^/:]+)+/?", value) or ".." in value.split("/"):
        raise ValueError("must be an absolute path below /, without a colon or '..'")
    return value


# What git clone takes: a URL, ssh's short form, or a path of the pod.
_GIT_URL = re.compile(r"(?:(?:https?|ssh|git|file)://|[\w.-]+@[\w.-]+:|/)\S+", re.IGNORECASE)


def _git_url(value: str) -> str:
    if not _GIT_URL.fullmatch(value):
        raise ValueError("must be a git repository's URL, such as https://git.example.com/team/name")
    return value


def _secret_key(value: str) -> str:
    if not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", value) or value in {".", ".."}:
        raise ValueError("must be a key of a Secret: letters, digits, dots, dashes and underscores only")
    return value


_SCALAR = {"type": ["string", "integer"]}
Name = Annotated[str, AfterValidator(_name)]
Quantity = Annotated[str, BeforeValidator(_quantity), WithJsonSchema({"type": ["string", "number"]})]
AtLeast = Annotated[str, BeforeValidator(_at_least), WithJsonSchema({"type": ["string", "number"]})]
Line = Annotated[str, Field(min_length=1), AfterValidator(_single_line)]
Positive = Annotated[Quantity, AfterValidator(_positive)]
Label = Annotated[Line, AfterValidator(_label)]
ObjectName = Annotated[Line, AfterValidator(_object_name)]
Image = Annotated[Line, AfterValidator(_image)]
SecretKey = Annotated[Line, AfterValidator(_secret_key)]
MountPath = Annotated[Line, AfterValidator(_mount_path)]
GitUrl = Annotated[Line, AfterValidator(_git_url)]
FileName = Annotated[Line, AfterValidator(_file_name)]
Identifier = Annotated[Line, BeforeValidator(_identifier), WithJsonSchema(_SCALAR)]
Text = Annotated[str, BeforeValidator(_identifier), WithJsonSchema(_SCALAR)]
Count = Annotated[int, Field(ge=1, strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]
Percent = Annotated[int, Field(ge=1, le=100, strict=True)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]


class Section(BaseModel):
    """A part of the specification: frozen, unknown keys forbidden."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, protected_namespaces=())


class SecretReference(Section):
    """A value that lies in a Secret of the namespace: `{secret: NAME, key: KEY}`; no manifest holds the value itself.

    Attributes:
        secret: name of the Secret.
        key: key of the value in the Secret.
        optional: whether the pod starts without the variable where the Secret or the key is missing.
    """

    secret: ObjectName
    key: SecretKey
    optional: Flag = False


_SPELLING = "{secret: NAME, key: KEY}"
_TEXT, _REFERENCE = "<text>", "<reference>"


def _kind_of_value(value: object) -> str:
    return _REFERENCE if isinstance(value, Mapping | SecretReference) else _TEXT


EnvValue = Annotated[
    Annotated[Text, Tag(_TEXT)] | Annotated[SecretReference, Tag(_REFERENCE)], Discriminator(_kind_of_value)
]
"""The value of an environment variable: text, or a reference to a Secret."""


class Shape(Section):
    """A transformer's dimensions, as its config.json states them; what `fit` computes with.

    Attributes:
        hidden: width of the hidden states (`hidden_size`).
        layers: number of layers (`num_hidden_layers`).
        heads: attention heads (`num_attention_heads`).
        kv_heads: key and value heads (`num_key_value_heads`).
        head_dim: width of one attention head.
        intermediate: width of the feed-forward layers (`intermediate_size`).
        vocab: size of the vocabulary.
        tied_embeddings: whether input and output embeddings are one matrix.
        qkv_bias: whether query, key and value projections have a bias.
        qk_norm: whether queries and keys are normalised.
        sandwich_norms: whether layers are normalised after as well as before.
        logit_softcap: whether logits are capped, which keeps another copy of them.
        fused_qkv: whether query, key and value are one projection.
        fused_gate_up: whether gate and up projections are one matrix.
        experts: experts of each layer; 0: a dense model.
        experts_per_token: experts that a token visits.
        expert_intermediate: width of one expert.
        vision_parameters: parameters of the vision tower; 0: text only.
    """

    hidden: Count
    layers: Count
    heads: Count
    kv_heads: Count
    head_dim: Count
    intermediate: Count
    vocab: Count
    tied_embeddings: Flag = False
    qkv_bias: Flag = False
    qk_norm: Flag = False
    sandwich_norms: Flag = False
    logit_softcap: Flag = False
    fused_qkv: Flag = False
    fused_gate_up: Flag = False
    experts: Natural = 0
    experts_per_token: Natural = 0
    expert_intermediate: Natural = 0
    vision_parameters: Natural = 0


class Model(Section):
    """The base model: where it lies, where the result goes, and what LLaMA-Factory must know of it.

    Attributes:
        name: how the model is called.
        hub: owner and name of the model on Hugging Face; null: it is not there.
        url: git repository of the weights; null: they lie on the models volume already.
        revision: branch, tag or commit of the weights; null: the repository's default branch.
        output_url: git repository that takes the result; null: nothing is pushed.
        template: chat template by its name in LLaMA-Factory.
        parameters: number of parameters.
        dtype: data type of the weights.
        context: longest sequence the model was made for, in tokens.
        quantization: how the weights come quantized, such as gptq or awq; null: they are whole.
        shape: the transformer's dimensions; null: the memory estimate is left out.
    """

    name: Line
    hub: Line | None = None
    url: GitUrl | None
    revision: Identifier | None = None
    output_url: GitUrl | None = None
    template: Line
    parameters: Count
    dtype: Literal["bfloat16", "float16", "float32"]
    context: Count
    quantization: Name | None = None
    shape: Shape | None = None

    @property
    def directory(self) -> str:
        """Name of its folder on the models volume: the repository's own, as the platform's tools expect."""
        return _basename(self.url) if self.url else self.name


class DatasetInfo(Section):
    """An entry of LLaMA-Factory's dataset_info.json (see its data README).

    Attributes:
        file_name: file or folder of the rows, relative to the repository.
        formatting: layout of a row.
        ranking: whether rows hold ranked answers.
        subset: subset of the data set.
        split: split of the data set.
        folder: folder inside the repository.
        num_samples: rows to take.
        columns: columns of the rows by their role.
        tags: names of keys and roles in conversations.
    """

    file_name: Line
    formatting: Literal["alpaca", "sharegpt", "openai"] | None = None
    ranking: Flag | None = None
    subset: Line | None = None
    split: Line | None = None
    folder: Line | None = None
    num_samples: Count | None = None
    columns: dict[str, Text] | None = None
    tags: dict[str, Text] | None = None


class Dataset(Section):
    """The training data: where it lies, and which training stages it serves.

    Attributes:
        name: name of the data set, as its entry in dataset_info.json.
        url: git repository of the data; null: it lies on the models volume already.
        revision: branch, tag or commit of the data; null: the repository's default branch.
        stages: training stages that the rows serve.
        info: entry of dataset_info.json, where the repository has none.
        reasoning: whether the answers show their reasoning; null: nobody has said.
        size: size of the repository, to check free space with.
    """

    name: Line
    url: GitUrl | None
    revision: Identifier | None = None
    stages: tuple[Literal["pt", "sft", "rm", "dpo", "kto"], ...]
    info: DatasetInfo | None = None
    reasoning: Flag | None = None
    size: Quantity

    @property
    def directory(self) -> str:
        """Name of its folder on the models volume."""
        return _basename(self.url) if self.url else self.name


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


class NodeRequirement(Section):
    """A requirement on a node's label, as Kubernetes' node affinity has it.

    Attributes:
        key: the label.
        operator: how the label's value is compared.
        values: what it is compared with.
    """

    key: Line
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: tuple[Text, ...] = ()


class Card(Section):
    """What one card is; null where the cluster decides and nothing may be assumed.

    Attributes:
        name: name of the card.
        memory: memory of one card.
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
        cpu: processor cores for each card.
        memory: host memory for each card.
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


class Hardware(Section):
    """The accelerator and how much of it: `nodes` pods with `devices` cards each.

    Attributes:
        vendor: maker of the accelerator.
        nodes: pods, one a node.
        devices: cards in each pod.
        memory: memory of each card, where it is shared; null: the whole card; 8Gi+: that much, or what is needed.
        cores: percent of the compute of each card, where it is shared.
        resources: names of the extended resources.
        card: what one card is.
        per_card: host resources that go with each card.
        image: runtime image of both containers.
        packages: what the image holds of what trainers ask for, Python's and the system's, such as mlflow and
            git-lfs; null: what is known of it by its name.
        source: shell files to read before training, such as set_env.sh.
        env: environment variables of the training container; {secret: NAME, key: KEY} takes one from a Secret.
        taints: keys of the taints that keep other pods off the nodes with these cards; its own pods tolerate them.
        collectives: what its library of collectives calls the settings of `network`.
        visible: how a container is shown its cards.
        scheduler: scheduler of the pods, where the cards are not given out by the cluster's own.
        needs_volcano: oldest release of Volcano that gives out these cards.
        unsure: what about this option could not be confirmed; told when it is rendered.
        double_quantization: whether quantization constants may be quantized again (bitsandbytes on this vendor).
    """

    vendor: Line
    nodes: Count
    devices: Count
    memory: AtLeast | None = None
    cores: Percent | None = None
    resources: Resources
    card: Card
    per_card: PerCard
    image: Image
    packages: tuple[Line, ...] | None = None
    double_quantization: Flag = True
    source: tuple[Line, ...] = ()
    env: dict[str, EnvValue] = {}
    taints: tuple[Line, ...] = ()
    collectives: Collectives = Field(default_factory=Collectives.model_construct)
    visible: Visible = Field(default_factory=Visible.model_construct)
    scheduler: Line | None = None
    needs_volcano: Identifier | None = None
    unsure: Line | None = None

    @property
    def shared(self) -> bool:
        """Whether a part of each card is asked for."""
        return self.memory is not None or self.cores is not None

    @property
    def counted(self) -> str | None:
        """The resource that counts what a pod gets: cards, or shares of them."""
        share = self.resources.share if self.shared else None
        return share.count if share else self.resources.count

    @property
    def cards(self) -> str | None:
        """What a pod's cards are asked for by; None where it has none."""
        return self.counted or self.resources.count or self.resources.device_class


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
        size: size of the claim; 5Gi+: that much, or what the training needs.
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
        size: size of the claim.
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
        shm: size of /dev/shm; auto: by the number of cards.
    """

    storage_class: ObjectName | None
    node_local: Flag
    workspace: Volume
    models: Volume
    cache: ModelCache | None = None
    shm: Quantity | Literal["auto"]


class Network(Section):
    """How the nodes of one job talk to each other; most jobs leave it alone.

    Attributes:
        host: whether pods use their node's own network.
        interface: interface of the collectives, such as eth0.
        rdma_resource: extended resource of RDMA devices, as their plugin was told to call it.
        rdma_devices: RDMA devices of each pod.
        adapters: RDMA adapters of the collectives, such as mlx5_0,mlx5_1.
        gid_index: RoCE address of the collectives.
        connect_timeout: seconds that the collectives' ranks wait for each other.
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


_Parallel = Literal["auto", "ddp", "z0", "z2", "z3", "z2-offload", "z3-offload", "fsdp", "fsdp-offload"]


class LlamaFactory(Section):
    """A training by LLaMA-Factory: short names for the arguments people tune, `args` for all of them.

    Attributes:
        framework: what trains.
        version: release of LLaMA-Factory in the image.
        prepare_script: script of the container that fetches.
        script: script of the container that trains.
        command: arguments of the script.
        lr: learning rate.
        epochs: passes over the data.
        batch_size: rows of a step on each card.
        gradient_accumulation: steps before the weights are updated.
        cutoff_len: longest row, in tokens.
        precision: arithmetic; auto: bf16 where every card has it, else fp16.
        parallel: how processes share the work, by DeepSpeed (z0 to z3) or by PyTorch alone; auto: what the cards need.
        resume: whether a restarted pod goes on from its last checkpoint.
        merge: whether adapters are merged into the model before the push.
        args: LLaMA-Factory's own training arguments.
        export: arguments of `llamafactory-cli export`.
    """

    framework: Literal["llamafactory"]
    version: Line
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
    def output(self) -> str:
        """Folder of the trainer's result, relative to the workspace."""
        return str(self.args.get("output_dir", "trainer_output"))


class Command(Section):
    """A vendor's own command in ftgen's frame.

    Attributes:
        framework: what trains.
        prepare_script: script of the container that fetches.
        script: script of the container that trains.
        command: the command and its arguments.
        output: where the command leaves what is pushed, relative to the workspace.
        resume: whether a restarted pod goes on where it was.
    """

    framework: Literal["command"]
    prepare_script: FileName
    script: FileName
    command: tuple[str, ...] = Field(min_length=1)
    output: Line
    resume: Flag = True


Trainer = Annotated[LlamaFactory | Command, Field(discriminator="framework")]


class Login(Section):
    """A user and a password in one Secret, such as one of type kubernetes.io/basic-auth.

    Attributes:
        secret: name of the Secret.
        user_key: key of the user name in the Secret.
        password_key: key of the password in the Secret.
    """

    secret: ObjectName
    user_key: SecretKey = "username"
    password_key: SecretKey = "password"  # noqa: S105 - the name of a key


class MLflow(Section):
    """Experiment tracking by MLflow.

    Attributes:
        report_to: what tracks.
        uri: address of the tracking server.
        experiment: experiment that runs are filed under.
        workspace: workspace of the experiment (MLflow 3.10 with --enable-workspaces); null: the server's default.
        token: Secret of the bearer token that opens the server; null: none is sent.
        login: Secret of the user and password that open the server; null: none are sent.
        run_name: name of the run; null: the job's.
        tags: tags of the run.
    """

    report_to: Literal["mlflow"]
    uri: Line
    experiment: Line
    workspace: Label | None = None
    token: SecretReference | None = None
    login: Login | None = None
    run_name: Line | None = None
    tags: dict[str, Text] = {}

    @field_validator("login")
    @classmethod
    def _alone(cls, login: Login | None, info: ValidationInfo) -> Login | None:
        # MLflow sends user and password where it has them, and the token only where it has not (utils/rest_utils.py).
        if login is not None and info.data.get("token") is not None:
            raise PydanticCustomError(_TWO_WAYS, "the token of tracking.token would never be sent")
        return login


class NoTracking(Section):
    """No experiment tracking.

    Attributes:
        report_to: what tracks.
    """

    report_to: Literal["none"]


Tracking = Annotated[MLflow | NoTracking, Field(discriminator="report_to")]


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
    secret: ObjectName
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
        model_caches: KServe's local model caches by name, each with its node groups.
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
    model_caches: dict[str, tuple[ObjectName, ...]] | None = None


class NetworkTopology(Section):
    """How near to each other Volcano places the pods of one job, by its HyperNodes.

    Attributes:
        mode: hard: nowhere else; soft: if it can be.
        highest_tier: the widest tier of HyperNodes that the job may span.
    """

    mode: Literal["hard", "soft"]
    highest_tier: Natural | None = None


class Cluster(Section):
    """What is true of the cluster and the namespace, whatever is trained.

    Attributes:
        namespace: namespace of all objects.
        queue: Volcano's queue.
        priority_class: priority class of the job.
        scheduler: scheduler of the pods.
        volcano_version: release of Volcano on the cluster, such as 1.12.4, or newest.
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
    registry: Line
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"]
    image_pull_secrets: tuple[ObjectName, ...] = ()
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


class Delivery(Section):
    """How the manifest reaches the cluster.

    Attributes:
        reconciler: who applies the manifest.
        generate_name: whether the API server completes the name.
        application: whether to render what points the reconciler at the folder, too.
        application_set: one ApplicationSet for all folders rather than an Application for each.
        create_only: whether Argo CD leaves the specification of a job alone once it is there.
        namespace: where the reconciler's own objects live.
        project: an AppProject that exists already; null: one is rendered for the namespace.
        server: the cluster's address, as Argo CD knows it.
        source: the GitRepository that Flux finds the tree in.
        repo_url: address of the repository; null: where `ftgen publish` publishes to.
        revision: what the reconciler follows, such as refs/heads/main; null: the branch published to.
        path: folder of the tree in the repository; null: the one published to.
    """

    reconciler: Literal["argocd", "flux", "kubectl"]
    generate_name: Flag
    application: Flag = False
    application_set: Flag = False
    create_only: Flag = False
    namespace: Name = "default"
    project: Name | None = None
    server: Line = "https://kubernetes.default.svc"
    source: Name = "flux-system"
    repo_url: Line | None = None
    revision: Line | None = None
    path: Text | None = None


class Job(Section):
    """The job's life: restarts, end, patience.

    Attributes:
        restarts: restarts of the whole job.
        on_failure: what a failed pod does to the job; auto: restart where the workspace outlives the pod.
        ttl: seconds after the end until Volcano deletes the job; null: never.
        grace_period: seconds between SIGTERM and SIGKILL.
        peer_timeout: seconds that nodes wait for each other's names.
        scripts: where the scripts are: in a ConfigMap beside the job, or inline in its containers' commands; auto:
            inline for kubectl, so that a run is one object, else in a ConfigMap.
    """

    restarts: Natural
    on_failure: Literal["auto", "RestartJob", "TerminateJob", "AbortJob"]
    ttl: Natural | None = None
    grace_period: Natural
    peer_timeout: Count
    scripts: Literal["auto", "configmap", "inline"] = "auto"


class Spec(Section):
    """A whole fine-tuning job.

    Attributes:
        name: base of every object's name; null: stage and model.
        model: the base model.
        dataset: the training data.
        hardware: the accelerator and how much of it.
        storage: where models and work lie.
        trainer: what trains, and how.
        tracking: where runs are tracked.
        cluster: what is true of the cluster and the namespace.
        delivery: how the manifest reaches the cluster.
        network: how the nodes of one job talk to each other.
        job: the job's life.
        target: kind of the job: Volcano's, or Kubernetes' own to try an image without Volcano.
        overlays: folders of further overlays, such as pkg://company.overlays in an installed Python package.
        allow: diagnostics that are accepted, by code, each with the reason.
    """

    name: Name | None
    model: Model
    dataset: Dataset
    hardware: Hardware
    storage: Storage
    trainer: Trainer
    tracking: Tracking
    cluster: Cluster
    delivery: Delivery
    network: Network = Field(default_factory=Network.model_construct)
    job: Job
    target: Literal["vcjob", "job"] = "vcjob"
    overlays: tuple[Line, ...] = ()
    allow: dict[str, Text] = {}

    @property
    def accepted(self) -> dict[str, str]:
        """Diagnostics that the configuration accepts, by code, with the reason."""
        return {**self.cluster.allow, **self.allow}

    @property
    def world_size(self) -> int:
        """Processes of the whole job: one for each card."""
        return self.hardware.nodes * self.hardware.devices


def _basename(url: str) -> str:
    return url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")


def admit(config: Mapping[str, Any]) -> Spec:
    """The configuration as a `Spec`.

    Raises:
        Rejected: with one FT1xx diagnostic for every key of wrong shape, by its dotted key.
    """
    try:
        return Spec.model_validate(config)
    except ValidationError as failure:
        raise Rejected([_diagnose(dict(problem)) for problem in failure.errors()]) from None


def admit_facts(stated: Mapping[str, Any]) -> Facts:
    """A cluster's facts alone, for manifests that no configuration made; raises like `admit`."""
    try:
        return Facts.model_validate(stated)
    except ValidationError as failure:
        problems: list[dict[str, Any]] = [dict(problem) for problem in failure.errors()]
        raise Rejected([_diagnose({**p, "loc": ("cluster", "facts", *p["loc"])}) for p in problems]) from None


_TAGS = frozenset({"llamafactory", "mlflow", "none"} | {"command"})
_TWO_WAYS = "two_ways"


def _diagnose(problem: dict[str, Any]) -> Diagnostic:  # noqa: PLR0911 - one for each kind of problem
    loc = _key_path(problem["loc"])
    key = ".".join(loc)
    value = problem["input"]
    match problem["type"]:
        case "extra_forbidden":
            return error("FT101", f"unknown key {loc[-1]!r}", key, value, _suggest(loc))
        case "missing":
            return error("FT104", f"{key} is missing", key, "", f"set {key}")
        case "union_tag_invalid" | "union_tag_not_found":
            tag = str(problem["ctx"]["discriminator"]).strip("'")
            return error("FT103", f"{key}.{tag} must be {problem['ctx'].get('expected_tags', 'given')}", f"{key}.{tag}")
        case "literal_error":
            allowed = str(problem["ctx"]["expected"])
            return error("FT103", f"{key} cannot be {value!r}", key, value, f"use {_closest(value, allowed)}")
        case kind if kind == _TWO_WAYS:
            return error("FT105", f"{key} cannot stand beside tracking.token: {problem['msg']}", key, "", f"{key}=null")
        case "string_too_short" | "too_short":
            return error("FT103", f"{key} must not be empty", key, value)
        case kind if kind.endswith(("_type", "_parsing")) or kind in {"int_from_float", "is_instance_of"}:
            wanted = _TYPES.get(kind.partition("_")[0])
            told = f"must be {wanted}" if wanted else _lower(problem["msg"])
            if problem.get("ctx", {}).get("class_name") == SecretReference.__name__:
                told = f"must be {_SPELLING}"
            told += f" or {_SPELLING}" if _TEXT in problem["loc"] else ""
            return error("FT102", f"{key} {told}, not {_shown(value)}", key, value, _retyped(value, wanted))
        case _:
            message = str(problem.get("ctx", {}).get("error") or problem["msg"])
            return error("FT103", f"{key} cannot be {value!r}: {_lower(message)}", key, value)


_TYPES = {
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "a mapping",
    "string": "text",
    "tuple": "a list",
}


def _shown(value: object) -> str:
    text = (
        {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else repr(value)
    )
    return text if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004 - what is read at a glance


def _retyped(value: object, wanted: str | None) -> str:
    """The edit that gives a value the wanted type, where there is one."""
    if wanted == "text" and isinstance(value, bool | int | float):
        return f'put it in quotes: "{_shown(value)}"'
    return f"write [{value}]" if wanted == "a list" and isinstance(value, str | int | float) else ""


def _key_path(loc: tuple[str | int, ...]) -> list[str]:
    """The dotted key: pydantic inserts the tag of a discriminated union after its field."""
    parts = [str(part) for part in loc]
    return [
        part
        for i, part in enumerate(parts)
        if part not in {_TEXT, _REFERENCE} and not (i == 1 and parts[0] in {"trainer", "tracking"} and part in _TAGS)
    ]


def _lower(message: str) -> str:
    return message.replace("Input should be", "must be").replace("Input", "it", 1)


def _closest(value: object, expected: str) -> str:
    options = expected.replace(" or ", ", ").replace("'", "").split(", ")
    near = difflib.get_close_matches(str(value), options, 1)
    return f"{near[0]!r} (one of {', '.join(options)})" if near else f"one of {', '.join(options)}"


def _suggest(loc: Sequence[str]) -> str:
    near = difflib.get_close_matches(loc[-1], known_keys(loc[:-1]), 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else "remove it; run `ftgen schema` for the keys there are"


def known_keys(path: Sequence[str]) -> list[str]:
    """The keys a section knows, by its path; empty for free mappings."""
    kinds: list[Any] = [Spec]
    for part in path:
        kinds = [inner for kind in kinds for inner in _held(kind, part)]
    return list(dict.fromkeys(name for kind in kinds if _is_section(kind) for name in kind.model_fields))


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _held(kind: Any, part: str) -> Iterator[Any]:
    """What can stand under a key of a section or of a free mapping."""
    if get_origin(kind) is dict:
        yield from _flattened(get_args(kind)[1])
    elif _is_section(kind) and (field := kind.model_fields.get(part)) is not None:
        yield from _flattened(field.annotation)


def _flattened(annotation: Any) -> Iterator[Any]:
    """The members of unions and annotated types, down to what can be a section or a mapping."""
    if get_origin(annotation) in {Annotated, Union, UnionType}:
        for member in get_args(annotation):
            yield from _flattened(member)
    else:
        yield annotation


@cache
def free_mappings() -> tuple[str, ...]:
    """Keys of mappings whose own keys are free (`trainer.args`, `cluster.labels`): set without a `+`."""
    return tuple(_free(Spec, ""))


def _free(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        for annotation in _flattened(field.annotation):
            if get_origin(annotation) is dict:
                yield f"{prefix}{name}"
            elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
                yield from _free(annotation, f"{prefix}{name}.")


def knows(key: str) -> bool:
    """Whether the dotted key is one that some option may set."""
    *parents, last = key.split(".")
    return last in known_keys(parents)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a whole configuration (draft 2020-12), each section under `$defs` by its class."""
    return Spec.model_json_schema()
