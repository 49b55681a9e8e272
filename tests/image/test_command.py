"""`ftgen image`: the recipe of the chosen hardware's vendor, with the build arguments that were given."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.image.dockerfile import parse

from ftgen import cli, runtime
from ftgen.trainers import image


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["image", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("hardware", "base"), [("nvidia-vgpu", "pytorch/"), ("full-gpu", "pytorch/"), ("ascend", "quay.io/ascend/cann:")]
)
def test_the_hardware_chooses_the_recipe(hardware: str, base: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, f"hardware={hardware}")
    assert image.arguments(text)["BASE_IMAGE"].startswith(base)
    assert parse(text)


def test_mirrors_are_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    mirrors = {
        "PIP_INDEX_URL": "https://pypi.tuna.tsinghua.edu.cn/simple",
        "APT_MIRROR": "http://mirrors.ustc.edu.cn/ubuntu",
    }
    text = printed(capsys, *(f"image.{name}={url}" for name, url in mirrors.items()))
    assert image.arguments(text).items() >= mirrors.items()


def test_only_the_arguments_change(capsys: pytest.CaptureFixture[str]) -> None:
    plain, other = printed(capsys), printed(capsys, "image.IMAGE_USER=1000")
    changed = [(a, b) for a, b in zip(plain.splitlines(), other.splitlines(), strict=True) if a != b]
    assert changed[1:] == [("ARG IMAGE_USER=0", "ARG IMAGE_USER=1000")]
    assert changed[0][0].startswith("ARG RECIPE=")


@pytest.mark.parametrize("hardware", ["full-gpu", "ascend"])
def test_another_release_of_the_trainer_brings_the_versions_it_runs_with(
    hardware: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what must change does, and a version that is given stays."""
    newest = image.arguments(printed(capsys, f"hardware={hardware}"))
    older = image.arguments(printed(capsys, f"hardware={hardware}", "trainer.version=0.9.4"))
    assert {name: version for name, version in older.items() if newest[name] != version and name != "RECIPE"} == {
        "LLAMAFACTORY_VERSION": "0.9.4",
        "TRANSFORMERS_VERSION": "4.57.1",
        "PEFT_VERSION": "0.17.1",
    }
    given = printed(capsys, f"hardware={hardware}", "trainer.version=0.9.4", "image.PEFT_VERSION=0.17.0")
    assert image.arguments(given)["PEFT_VERSION"] == "0.17.0"


def test_it_is_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["image", "-o", "build"]) == 0
    assert Path("build/Dockerfile").read_text() == printed(capsys)
    assert cli.main(["image", "-o", "build"]) == 0
    assert cli.main(["image", "image.IMAGE_USER=1000", "-o", "build"]) == 1
    assert cli.main(["image", "image.IMAGE_USER=1000", "-o", "build", "--overwrite"]) == 0


def test_the_users_own_recipe_shadows_the_packaged_one(capsys: pytest.CaptureFixture[str]) -> None:
    Path("conf/hardware").mkdir(parents=True)
    own = "FROM registry.example.com/base:1\nARG LLAMAFACTORY_VERSION=0.9.5\n"
    Path("conf/hardware/nvidia.Dockerfile").write_text(own)
    assert printed(capsys) == own


def test_a_vendor_of_ones_own_needs_facts_or_a_file_and_no_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["image", "hardware.vendor=acme", "hardware.base=null"]) == 1
    told = capsys.readouterr().err
    assert "FT557" in told
    assert "conf/hardware/acme.Dockerfile" in told
    assert "acme/sdk:3" in printed(capsys, "hardware.vendor=acme", "hardware.base.image=acme/sdk:3")
    assert "acme/sdk:4" in printed(capsys, "hardware.vendor=acme", "hardware.base=null", "image.BASE_IMAGE=acme/sdk:4")
    Path("conf/hardware").mkdir(parents=True)
    Path("conf/hardware/acme.Dockerfile").write_text(
        "ARG LLAMAFACTORY_VERSION=0.9.5\nARG BASE_IMAGE=acme/sdk:3\nFROM ${BASE_IMAGE}\n"
    )
    assert printed(capsys, "hardware.vendor=acme").startswith(
        "ARG LLAMAFACTORY_VERSION=0.9.5\nARG BASE_IMAGE=acme/sdk:3"
    )


def test_the_common_recipe_can_be_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Versions that a team fixes once, for all cards."""
    Path("conf").mkdir()
    common = (runtime.conf_dir() / "image.Dockerfile").read_text()
    Path("conf/image.Dockerfile").write_text(common.replace("ARG NLTK_VERSION=3.10.4", "ARG NLTK_VERSION=3.9.1"))
    for hardware in ("cpu", "ascend"):
        assert image.arguments(printed(capsys, f"hardware={hardware}"))["NLTK_VERSION"] == "3.9.1"


COMMAND = ("hardware=cpu", "trainer=command", "trainer.command=[yolo]")


def test_a_command_gets_what_it_asks_for_and_not_llamafactory(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ('trainer.requirements=["ultralytics[export]==8.4.190"]', "trainer.system_requirements=[libgl1]")
    text = printed(capsys, *COMMAND, *asked)
    arguments = image.arguments(text)
    assert "LLAMAFACTORY" not in text
    assert arguments["SYSTEM_REQUIREMENTS"] == "libgl1"
    assert arguments["ULTRALYTICS_VERSION"] == "8.4.190"
    assert arguments["REQUIREMENTS"] == '"ultralytics[export]==${ULTRALYTICS_VERSION} mlflow==${MLFLOW_VERSION}"'
    other = image.arguments(printed(capsys, *COMMAND, *asked, "image.ULTRALYTICS_VERSION=8.3.0"))
    assert other["ULTRALYTICS_VERSION"] == "8.3.0"


def test_a_launcher_gets_what_it_calls(capsys: pytest.CaptureFixture[str]) -> None:
    mpi = image.arguments(
        printed(capsys, *COMMAND, "trainer.launcher=mpi", "trainer.system_requirements=[openmpi-bin]")
    )
    assert mpi["SYSTEM_REQUIREMENTS"] == '"openmpi-bin openssh-client openssh-server"'
    assert cli.main(["image", *COMMAND, "trainer.launcher=ray"]) == 1
    assert "state it: 'trainer.requirements=[…,\"ray==VERSION\"]'" in capsys.readouterr().err
    ray = image.arguments(
        printed(capsys, *COMMAND, "trainer.launcher=ray", 'trainer.requirements=["ray[default]==2.60"]')
    )
    assert (ray["RAY_VERSION"], ray["REQUIREMENTS"].split()[0]) == ("2.60", '"ray[default]==${RAY_VERSION}')


def test_the_tracker_decides_what_is_installed_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert "mlflow" not in printed(capsys, "tracking=none")
    assert "mlflow" in printed(capsys, "tracking=mlflow")


def test_what_holds_nothing_for_the_cards_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert "bitsandbytes" not in printed(capsys, "hardware=ascend")
    assert cli.main(["image", "hardware=ascend", "trainer=sft-qlora"]) == 1
    assert "FT246" in capsys.readouterr().err


def test_a_mirror_of_the_base_is_judged_like_the_base(capsys: pytest.CaptureFixture[str]) -> None:
    """It keeps the tag; an image with another tag is unknown, and not judged."""
    tag = "2.7.1-ubuntu22.04-dtk26.04-py3.10"
    assert cli.main(["image", "hardware=hygon", f"image.BASE_IMAGE=mirror.example.com:5000/dcu/pytorch:{tag}"]) == 1
    assert "FT761" in capsys.readouterr().err
    assert cli.main(["image", "hardware=hygon", "image.BASE_IMAGE=mirror.example.com:5000/dcu/pytorch:py312"]) == 0
    assert "FT760" not in capsys.readouterr().err


# --- the name of the image ---


def _named(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert cli.main(["image", "--json", *words]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_the_tag_is_made_of_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    one, again = _named(capsys, "hardware=cpu"), _named(capsys, "hardware=cpu", "name=another")
    assert one["image"] == again["image"]
    assert one["image"] != _named(capsys, "hardware=cpu", "image.IMAGE_USER=1000")["image"]
    registry, _, rest = one["image"].rpartition("/ftgen/")
    assert registry == "152-231-registry.alauda.cn:60070"
    assert re.fullmatch(r"llamafactory-cpu:0\.9\.5-[0-9a-f]{8}", rest)
    assert f"ARG RECIPE={rest[-8:]}\n" in one["dockerfile"]


def test_it_is_not_the_platforms_own_image(capsys: pytest.CaptureFixture[str]) -> None:
    from ftgen.config.compose import Composer, Request
    from ftgen.spec import admit

    composer = Composer(Request(config_path=runtime.conf_dir()))
    its = admit(composer.compose(composer.parse(["hardware=cpu"])).config).hardware.image
    assert _named(capsys, "hardware=cpu")["image"].rpartition(":")[0] != its.rpartition(":")[0]


def test_a_command_names_its_option(capsys: pytest.CaptureFixture[str]) -> None:
    found = _named(capsys, *COMMAND, "--repository", "registry.example.com/team")["image"]
    assert re.fullmatch(r"registry\.example\.com/team/command-cpu:[0-9a-f]{8}", found)


@pytest.mark.parametrize("repository", ["registry.example.com/Team", "https://registry.example.com/team", "a b"])
def test_a_repository_that_cannot_be_is_refused(repository: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["image", "--repository", repository]) == 1
    assert "FT765" in capsys.readouterr().err


def test_json_is_one_document_with_the_words_of_a_job(capsys: pytest.CaptureFixture[str]) -> None:
    found = _named(capsys, "hardware=amd")
    assert found["overrides"][0] == f"hardware.image={found['image']}"
    assert {"git-lfs", "mlflow", "deepspeed"} <= set(found["packages"])
    assert found["arguments"]["BASE_IMAGE"] == found["base"]
    assert "REQUIREMENTS" not in found["arguments"]
    assert found["build"] == f"docker build -t {found['image']} - < Dockerfile"


def test_a_job_takes_the_image_by_these_words(capsys: pytest.CaptureFixture[str]) -> None:
    words = _named(capsys)["overrides"]
    assert cli.main(["-o", "-", *words]) == 0
    assert words[0].removeprefix("hardware.image=") in capsys.readouterr().out


# --- what is refused ---


@pytest.mark.parametrize(
    "line", ["ARG HF_TOKEN=hf_aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1b", "RUN curl -u ada:Xk29fQpl88zz https://h/x"]
)
def test_a_recipe_of_ones_own_holds_no_credential(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("conf").mkdir()
    common = (runtime.conf_dir() / "image.Dockerfile").read_text(encoding="utf-8")
    Path("conf/image.Dockerfile").write_text(f"{common}{line}\n", encoding="utf-8")
    assert cli.main(["image", "-o", "-"]) == 1
    said = capsys.readouterr()
    assert "error[FT552]: the recipe holds a credential" in said.err
    assert line.split("=", maxsplit=1)[0][:12] in said.err
    assert "3dE5gH7jK9" not in said.out + said.err
    assert "Xk29fQpl88zz" not in said.out + said.err


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("image.PIP_INDX=x", "FT550"),
        ("image.PIP_INDEX_URL='a b'", "FT551"),
        ("image.PIP_INDEX_URL=https://user:word@pypi.example.com/simple", "FT552"),
        ("image.PIP_INDEX_URL=https://token@pypi.example.com/simple", "FT552"),
        ("image.PIP_INDEX_URL='https://pypi.example.com/simple?token=hunter2Q9'", "FT552"),
        ("image.PIP_INDEX_URL=HTTP://user:word@pypi.example.com/simple", "FT552"),
        ("image.BASE_IMAGE=pytorch/pytorch", "FT553"),
        ("image.BASE_IMAGE=pytorch/pytorch:latest", "FT553"),
        ("image.LLAMAFACTORY_VERSION=0.9.3", "FT554"),
        ("image.TRANSFORMERS_VERSION=4.51.1", "FT555"),
        ("image.PEFT_VERSION=0.17.1", "FT555"),
        ("image.REQUIREMENTS=x", "FT550"),
        ("image.WANDB_VERSION=1", "FT550"),
        ("image.PEFT_VERSION=0.17.1,0.18.1", "FT016"),
        ("image.PEFT_VERSION=[a,b]", "FT551"),
        ("trainer.requirements=[peft]", "FT554"),
        ("trainer.requirements=[llamafactory,unheard-of]", "FT762"),
        ('trainer.requirements=[llamafactory,"peft==0.17.0"]', "FT555"),
        ('trainer.requirements=[llamafactory,"peft==0.18.0","peft==0.18.1"]', "FT763"),
        ("trainer.requirements=['-e .']", "FT103"),
        ("trainer.requirements=[peft @ https://user:word@example.com/peft.whl]", "FT103"),
        ("trainer.args.use_unsloth=true", "FT246"),
        ("trainer.version=0.9.9", "FT103"),
        ("hardware.base.torch=[torch]", "FT103"),
        ('trainer.requirements=[llamafactory,"torch==2.8.0"]', "FT763"),
        ("hardware.base.image=pytorch/pytorch:latest", "FT553"),
        ("hardware.base.torch_index=https://user:word@example.com/whl", "FT552"),
        ("hardware.base.python_home='/opt/my python/bin'", "FT551"),
        ("hardware.source=['/opt/a\"b.sh']", "FT551"),
        ("hardware=iluvatar", "FT557"),
        ("hardware=mthreads", "FT761"),
    ],
)
def test_what_cannot_be_built_is_refused(word: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["image", word]) == 1
    assert re.findall(r"error\[(FT\d+)\]", capsys.readouterr().err) == [code]


def test_a_credential_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["image", "image.PIP_INDEX_URL=https://user:hunter2@pypi.example.com/simple", "--format", "json"])
    assert "hunter2" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "word",
    [
        "image.PIP_INDEX_URL=HTTP://u:hunter2@x/",
        "image.PIP_INDEX_URL='https://x/simple?token=hunter2Q9'",
        "+hardware.env.DB_PASSWORD=hunter2Q9",
        "+hardware.env={DB_PASSWORD:hunter2Q9}",
        "model.url=https://u:hunter2Q9@git.example.com/x",
        "+hardware.env.X=hf_hunter2" + "a1B2" * 9,
    ],
)
def test_no_secret_is_printed_or_written(
    word: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli.main(["image", word, "-o", "img"])
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert "***" in said.err
    assert not [file for file in tmp_path.rglob("*file") if "hunter2" in file.read_text()]


def test_a_version_of_thousands_of_digits_is_one_that_nothing_requires(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["image", f"image.TRANSFORMERS_VERSION=4.5.{'9' * 5000}"]) == 1
    assert "FT555" in capsys.readouterr().err


def test_transformers_that_the_arguments_are_not_checked_for_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["image", "image.TRANSFORMERS_VERSION=5.5.4"]) == 0
    assert "FT556" in capsys.readouterr().err
    assert cli.main(["image", "image.TRANSFORMERS_VERSION=5.5.4", "--strict"]) == 1
