"""The packaged options, and what each needs beside it to be rendered."""

from ftgen import runtime
from ftgen.config import catalog

GROUPS = catalog.groups([runtime.conf_dir()])
# Names of the cluster's own, and choices that go with one option alone.
NEEDS = {
    "alauda-2": (
        "tracking=mlflow-alauda-2",
        "cluster.registry=registry.example.com",
        "cluster.git.url=https://git.example.com",
    ),
    "claims": ("storage.workspace.claim=work", "storage.models.claim=models"),
    "command": ("trainer.command=[python,-m,vendor.train,--config,/opt/vendor.yaml]",),
    "corpus": ("trainer=pretrain",),
    "generic": ("cluster.registry=registry.example.com", "cluster.git.url=https://git.example.com"),
    "kto-feedback": ("trainer.args.stage=kto",),
    "model/none": ("trainer=command", "trainer.command=[python,-m,vendor.train]"),
    "dataset/none": ("trainer=command", "trainer.command=[python,-m,vendor.convert]"),
    "model-cache": ("storage.cache.nodes=[{key: pool, operator: In, values: [gpu]}]",),
    "nfs-static": ("storage.workspace.nfs.server=nfs.example.com",),
    "nvidia-dra": ("cluster.volcano_version='1.14'",),
    "coco8-images": ("trainer=yolo",),
    "swanlab": ("tracking.key={secret: swanlab, key: api-key}",),
    "wandb": ("tracking.key={secret: wandb, key: api-key}",),
    "preference-pairs": ("trainer=dpo-lora",),
    "yolo26n": ("trainer=yolo",),
}
# Options of the group model that are no language models.
OTHER_MODELS = {"none", "yolo26n"}
LANGUAGE_MODELS = [option for option in GROUPS["model"] if option not in OTHER_MODELS]


def chosen(group: str, option: str) -> tuple[str, ...]:
    """Return the words of a command line that choose an option, with what it needs."""
    flags = ("-m",) if group == "sweep" else ()
    plus = "+" if group in {"experiment", "sweep"} else ""
    return *flags, f"{plus}{group}={option}", *NEEDS.get(f"{group}/{option}", NEEDS.get(option, ()))
