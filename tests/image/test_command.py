"""`ftgen image`: the recipe of the chosen hardware's vendor, with the build arguments that were given."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.image.dockerfile import parse

from ftgen import cli
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
    assert changed == [("ARG IMAGE_USER=0", "ARG IMAGE_USER=1000")]


@pytest.mark.parametrize("hardware", ["full-gpu", "ascend"])
def test_another_release_of_the_trainer_brings_the_versions_it_runs_with(
    hardware: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what must change does, and a version that is given stays."""
    newest = image.arguments(printed(capsys, f"hardware={hardware}"))
    older = image.arguments(printed(capsys, f"hardware={hardware}", "trainer.version=0.9.4"))
    assert {name: version for name, version in older.items() if newest[name] != version} == {
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


def test_a_vendor_of_ones_own_needs_a_file_and_no_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["image", "hardware.vendor=acme"]) == 1
    assert "conf/hardware/acme.Dockerfile" in capsys.readouterr().err
    Path("conf/hardware").mkdir(parents=True)
    Path("conf/hardware/acme.Dockerfile").write_text(
        "ARG LLAMAFACTORY_VERSION=0.9.5\nARG BASE_IMAGE=acme/sdk:3\nFROM ${BASE_IMAGE}\n"
    )
    assert "acme/sdk:3" in printed(capsys, "hardware.vendor=acme")


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("image.PIP_INDX=x", "FT550"),
        ("image.PIP_INDEX_URL='a b'", "FT551"),
        ("image.PIP_INDEX_URL=https://user:word@pypi.example.com/simple", "FT552"),
        ("image.PIP_INDEX_URL=https://token@pypi.example.com/simple", "FT552"),
        ("image.BASE_IMAGE=pytorch/pytorch", "FT553"),
        ("image.BASE_IMAGE=pytorch/pytorch:latest", "FT553"),
        ("image.LLAMAFACTORY_VERSION=0.9.3", "FT554"),
        ("image.TRANSFORMERS_VERSION=4.51.1", "FT555"),
        ("image.PEFT_VERSION=0.17.1", "FT555"),
    ],
)
def test_what_cannot_be_built_is_refused(word: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["image", word]) == 1
    assert code in capsys.readouterr().err


def test_a_credential_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["image", "image.PIP_INDEX_URL=https://user:hunter2@pypi.example.com/simple", "--format", "json"])
    assert "hunter2" not in capsys.readouterr().out


def test_transformers_that_the_arguments_are_not_checked_for_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["image", "image.TRANSFORMERS_VERSION=5.5.4"]) == 0
    assert "FT556" in capsys.readouterr().err
    assert cli.main(["image", "image.TRANSFORMERS_VERSION=5.5.4", "--strict"]) == 1
