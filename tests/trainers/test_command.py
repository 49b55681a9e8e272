"""Trainings by a command: their words, and what is said of them where there is no model or no data set."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Diagnostic, Rejected
from ftgen.spec import Command
from ftgen.text import kube, yamlio
from ftgen.trainers import command
from ftgen.validation.rules import NEEDS

NOTHING = ("model=none", "dataset=none")
RUN = ("trainer=command", "trainer.command=[run]")


def compiled(*words: str) -> pipeline.Compiled:
    return pipeline.compile_job(Composer(Request(config_path=runtime.conf_dir())), words)


def refused(*words: str) -> list[Diagnostic]:
    with pytest.raises(Rejected) as told:
        compiled(*words)
    return list(told.value.diagnostics)


def pod(*words: str) -> dict[str, Any]:
    return compiled(*words).bundle.job["spec"]["tasks"][0]["template"]["spec"]


def environment(*words: str) -> dict[str, str]:
    (container,) = pod(*words)["containers"]
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


def trainer(**values: Any) -> Command:
    base = {"framework": "command", "prepare_script": "prepare.sh", "script": "train.sh", "output": "out"}
    return Command.model_validate({**base, "command": ["run"], **values})


# ---- words -----------------------------------------------------------------------------------------


def test_arguments_follow_the_command_by_name() -> None:
    args = {"lr": 0.0001, "epochs": 3, "amp": True, "cache": False, "freeze": None, "size": [640, 480], "name": "a b"}
    assert command.words(trainer(args=args)) == [
        "run",
        "amp=true",
        "cache=false",
        "epochs=3",
        "lr=0.0001",
        "name=a b",
        "size=[640,480]",
    ]


def test_arguments_as_options() -> None:
    args = {"lr": 0.0001, "amp": True, "cache": False, "freeze": None, "size": [640, 480]}
    words = command.words(trainer(args=args, style="--name value"))
    assert words == ["run", "--amp", "--lr", "0.0001", "--size", "640", "480"]


def test_the_order_of_overrides_changes_nothing() -> None:
    one, other = ("trainer.args.b=1", "trainer.args.a=2"), ("trainer.args.a=2", "trainer.args.b=1")
    assert compiled(*RUN, *NOTHING, *one).name == compiled(*RUN, *NOTHING, *other).name


def test_kubernetes_replaces_the_variables_of_ftgen_and_nothing_else() -> None:
    word = "$(MODEL_DIR)/$(date)/$(HOME)/$$(JOB_NAME)/$1/${A}"
    replaced = kube.expand(command.escape(word), {"MODEL_DIR": "/m", "HOME": "/root", "JOB_NAME": "j"})
    assert replaced == "/m/$(date)/$(HOME)/$$(JOB_NAME)/$1/${A}"


@pytest.mark.parametrize("value", ["{a: 1}", "[[1]]", "[{a: 1}]"])
def test_an_argument_is_a_word_or_several(value: str) -> None:
    (told,) = refused("trainer=yolo", f"trainer.args.freeze={value}")
    assert (told.code, told.subject) == ("FT103", "trainer.args.freeze")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("requirements", "ultralytics"),
        ("requirements", "ultralytics>=8"),
        ("requirements", "--index-url=https://x"),
        ("requirements", "git+https://x"),
        ("system_requirements", "libgl1; reboot"),
    ],
)
def test_what_an_image_needs_is_pinned(key: str, value: str) -> None:
    (told,) = refused(*RUN, f"trainer.{key}=['{value}']")
    assert (told.code, told.subject) == ("FT103", f"trainer.{key}.0")


# ---- nothing is claimed that is not there ------------------------------------------------------------


def test_without_a_model_nothing_is_said_of_one() -> None:
    spec, env = pod(*RUN, "model=none"), environment(*RUN, "model=none")
    assert not {"BASE_MODEL_URL", "MODEL_DIR", "MODEL_REVISION"} & env.keys()
    (prepare,) = spec["initContainers"]
    assert "MODEL" not in " ".join(variable["name"] for variable in prepare["env"])
    assert env["DATASET_DIR"] == "/mnt/models/wy-sft-dataset"
    assert json.loads(env["MLFLOW_TAGS"]).keys() == {
        "ftgen.run",
        "ftgen.dataset",
        "ftgen.trainer",
        "ftgen.hardware",
        "ftgen.job",
    }


def test_without_a_data_set_nothing_is_said_of_one() -> None:
    env = environment(*RUN, "dataset=none")
    assert not [name for name in env if name.startswith("DATASET")]
    assert env["MODEL_DIR"] == "/mnt/models/Qwen3-0.6B"
    assert "ftgen.dataset" not in json.loads(env["MLFLOW_TAGS"])


@pytest.mark.parametrize("storage", ["topolvm", "nfs", "ephemeral", "hostpath", "nfs-static"])
def test_without_either_nothing_is_fetched_and_nowhere_to(storage: str) -> None:
    needed = ["storage.workspace.nfs.server=nfs.example.com"] if storage == "nfs-static" else []
    job = compiled(*RUN, *NOTHING, f"storage={storage}", *needed)
    spec = job.bundle.job["spec"]["tasks"][0]["template"]["spec"]
    assert "initContainers" not in spec
    assert "models" not in yamlio.dump([spec["volumes"], spec["containers"][0]["volumeMounts"]])
    claims = [o["metadata"]["name"] for o in job.bundle.companions if o["kind"] != "ConfigMap"]
    assert not [name for name in claims if "models" in name]


CARDS = [
    ((), "Qwen3-0.6B", "identity_alauda", "command of https://", " on https://"),
    (("model=none",), None, "identity_alauda", "command on https://", " on https://"),
    (("dataset=none",), "Qwen3-0.6B", None, "command of https://", ": 1 "),
    (NOTHING, None, None, "command: 1 ", ": 1 "),
]


@pytest.mark.parametrize(("words", "model", "dataset", "begins", "holds"), CARDS)
def test_the_card_states_what_there_is(
    words: tuple[str, ...], model: str | None, dataset: str | None, begins: str, holds: str
) -> None:
    card = kube.expand(environment(*RUN, *words)["MODEL_CARD"], {"JOB_NAME": "j"})
    front, _, rest = card.removeprefix("---\n").partition("\n---\n")
    said = json.loads(front)
    assert said.get("base_model") == model
    assert said.get("datasets", [None]) == [dataset]
    title, _, summary = rest.partition("\n\n")
    assert title == "# j"
    assert summary.startswith(begins)
    assert holds in summary
    assert "None" not in card


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (("trainer=yolo",), "yolo-yolo26n"),
        (("trainer=yolo-scratch",), "yolo-coco8"),
        ((*RUN, "dataset=none"), "command-qwen3-0-6b"),
        ((*RUN, *NOTHING), "command"),
        ((*RUN, *NOTHING, "trainer.name=convert"), "convert"),
        ((*RUN, *NOTHING, "trainer.args.stage=x"), "command"),
    ],
)
def test_the_name_says_what_trains_what(words: tuple[str, ...], folder: str) -> None:
    assert compiled(*words).identity.folder == folder


def test_a_model_of_another_kind_needs_a_name_and_a_place_alone() -> None:
    env = environment(*RUN, "model=none", "model.name=resnet50", "model.url=https://git.example.com/team/resnet50")
    assert env["MODEL_DIR"] == "/mnt/models/resnet50"


def test_a_size_that_nobody_knows_is_not_checked() -> None:
    (prepare,) = pod("dataset.size=null")["initContainers"]
    assert "DATASET_NEEDS_MIB" not in {variable["name"] for variable in prepare["env"]}


# ---- refused ---------------------------------------------------------------------------------------

TWO = ("hardware=full-gpu", "storage=nfs", "hardware.nodes=2")
NEAR = "cluster.network_topology"
REFUSED = [
    (("model=none",), "FT750", "model"),
    (("dataset=none",), "FT751", "dataset"),
    (("model=none", "trainer=dpo-lora", "dataset=preference-pairs"), "FT750", "model"),
    (("model=yolo26n",), "FT752", "model"),
    (("model.template=null",), "FT752", "model.template"),
    (("dataset=coco8-images",), "FT752", "dataset"),
    (("trainer=yolo", "model=none"), "FT753", "trainer.args.model"),
    (("trainer=yolo", "dataset=none"), "FT753", "trainer.args.data"),
    ((*RUN, *NOTHING, "trainer.env.A=$\\(MODEL_DIR\\)"), "FT753", "trainer.env.A"),
    ((*RUN, *NOTHING, "trainer.command=[run,$\\(DATASET_DIR\\)]"), "FT753", "trainer.command.1"),
    (("trainer=yolo", "hardware.nodes=2"), "FT754", "hardware.nodes"),
    ((*RUN, "model=none", "model.url=https://git.example.com/a/b"), "FT755", "model.url"),
    ((*RUN, "dataset=none", "dataset.revision=main"), "FT755", "dataset.revision"),
    (("trainer=yolo", "model=qwen3-0.6b"), "FT758", "model"),
    (("trainer=yolo-scratch", "dataset=identity-alauda"), "FT758", "dataset"),
    ((*RUN, *NOTHING, *TWO, "trainer.launcher=mpi"), "FT777", "trainer.launcher"),
    ((*RUN, *NOTHING, *TWO, "trainer.launcher=ray"), "FT777", "trainer.launcher"),
    ((*TWO, "hardware.topology=master-worker", "target=job"), "FT778", "hardware.topology"),
    ((*RUN, *NOTHING, "trainer.launcher=ray", "job.scripts=inline"), "FT779", "job.scripts"),
    ((*TWO, "hardware.topology=master-worker", "job.scripts=inline"), "FT779", "job.scripts"),
    ((*TWO, "hardware.partition={size: 4}"), "FT796", "hardware.partition.size"),
    ((*TWO, "hardware.partition={size: 1}", "hardware.topology=master-worker"), "FT796", "hardware.partition"),
    (("cluster.network_topology={highest_tier: 1, highest_tier_name: a}",), "FT797", f"{NEAR}.highest_tier_name"),
]


@pytest.mark.parametrize(("words", "code", "subject"), REFUSED)
def test_refused(words: tuple[str, ...], code: str, subject: str) -> None:
    assert [(told.code, told.subject) for told in refused(*words)] == [(code, subject)]


def test_a_cache_of_no_model() -> None:
    nodes = "storage.cache.nodes=[{key: pool, operator: In, values: [gpu]}]"
    assert [d.code for d in refused(*RUN, "model=none", "storage=model-cache", nodes)] == ["FT755"]


def test_every_need_has_a_case() -> None:
    assert {rule.code for rule in NEEDS.rules} == {code for _, code, _ in REFUSED}


@pytest.mark.parametrize("words", [("model=none", "+allow.FT750=x"), ("trainer=yolo", "model=none", "+allow.FT753=x")])
def test_a_need_cannot_be_accepted(words: tuple[str, ...]) -> None:
    assert refused(*words)


# ---- the image -------------------------------------------------------------------------------------


def images(*words: str) -> list[tuple[str, str, str]]:
    try:
        found = compiled("trainer=yolo", *words).diagnostics
    except Rejected as rejected:
        found = tuple(rejected.diagnostics)
    return [(str(told.severity), told.headline, told.subject) for told in found if told.code == "FT759"]


def test_an_image_of_which_nothing_is_known_is_told() -> None:
    headline = "nothing says that the image holds ultralytics, mlflow"
    assert images() == [("warning", headline, "hardware.image")]
    assert images("trainer.requirements=[]", "trainer.package=null") == []


@pytest.mark.parametrize(
    "words",
    ["hardware.packages=[git,git-lfs,mlflow]", "hardware.image=registry.example.com/hiyouga/llamafactory:0.9.5"],
)
def test_an_image_without_the_packages_is_refused(words: str) -> None:
    ((severity, headline, subject),) = images(words)
    assert (severity, subject) == ("error", "hardware.image")
    assert headline.startswith("the image lacks ultralytics")


def test_an_image_with_the_packages_is_taken() -> None:
    assert images("hardware.packages=[git,git-lfs,mlflow,Ultralytics]") == []


SEVERAL = (
    *("trainer=command", "trainer.command=[python,a.py]", "hardware=full-gpu", "hardware.nodes=2", "storage=nfs"),
    "hardware.topology=master-worker",
)


@pytest.mark.parametrize(
    ("words", "lacks"),
    [
        (("trainer.launcher=mpi",), "openssh-client, openssh-server"),
        (("trainer.launcher=mpi", "hardware.packages=[openssh-client]"), "openssh-server"),
        (("trainer.launcher=mpi", "hardware.packages=[openssh-client,openssh-server]"), ""),
        (("trainer.launcher=mpi", "hardware.nodes=1"), ""),
        (("trainer.launcher=ray", "hardware.packages=[git]"), "ray"),
        (("trainer.launcher=ray", "hardware.nodes=1"), "ray"),
        (("trainer.launcher=pytorch",), ""),
    ],
)
def test_an_image_without_what_the_launcher_calls_is_told(words: tuple[str, ...], lacks: str) -> None:
    found = [headline for _, headline, _ in images(*SEVERAL, *words)]
    assert [headline.endswith(f" {lacks}") for headline in found] == ([True] if lacks else [])


# ---- YOLO ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "devices"),
    [
        (("hardware=cpu",), "cpu"),
        (("hardware=nvidia-vgpu",), "0"),
        (("hardware=full-gpu", "hardware.devices=4"), "0,1,2,3"),
        (("hardware=ascend",), "npu:0"),
    ],
)
def test_yolo_takes_the_cards_of_its_pod(words: tuple[str, ...], devices: str) -> None:
    assert environment("trainer=yolo", *words)["DEVICE_IDS"] == devices


def test_yolo_from_weights_and_from_nothing() -> None:
    (weights,) = pod("trainer=yolo")["containers"]
    (scratch,) = pod("trainer=yolo-scratch")["containers"]
    assert weights["args"][:2] == ["yolo", "train"]
    assert "model=$(MODEL_DIR)/yolo26n.pt" in weights["args"]
    assert "model=yolo26n.yaml" in scratch["args"]


def test_a_variable_of_the_hardware_wins() -> None:
    assert environment("trainer=yolo", "hardware.env.YOLO_OFFLINE=0")["YOLO_OFFLINE"] == "0"


def test_the_documented_option_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "frameworks.md").read_text(encoding="utf-8")
    block = page.partition("    # conf/trainer/resnet.yaml\n")[2].partition("\n\n")[0]
    option = tmp_path / "conf" / "trainer" / "resnet.yaml"
    option.parent.mkdir(parents=True)
    option.write_text(textwrap.dedent(block) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = ("trainer=resnet", "model=none", "dataset=coco8-images", "trainer.args.lr=0.1")
    job = pipeline.compile_job(Composer(Request(directory=tmp_path)), words).bundle.job
    (container,) = job["spec"]["tasks"][0]["template"]["spec"]["containers"]
    assert container["args"][:5] == ["python", "/opt/timm/train.py", "--amp", "--data-dir", "$(DATASET_DIR)"]
    assert container["args"][container["args"].index("--lr") + 1] == "0.1"
