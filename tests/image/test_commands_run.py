"""The commands of a recipe that need no network, run by bash in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.image.dockerfile import every, parse, printed

RUNS = [run.text for run in every(parse(printed("hardware=ascend")), "RUN")]
(APT,) = [text for text in RUNS if "apt-get update" in text]
(KEEP,) = [text for text in RUNS if "> /opt/ftgen/base.txt" in text]
(SMOKE,) = [text for text in RUNS if "git lfs version" in text]


@pytest.fixture
def shell(tmp_path: Path):
    """Run a command with build arguments; programs of the tests' environment come first, then stubs."""
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    (tmp_path / "home").mkdir()

    def run(text: str, **arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(stubs), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        names = ("TORCH_REQUIREMENTS", "REQUIREMENTS", "SYSTEM_REQUIREMENTS", "SOURCE", "LIBRARIES", "APT_MIRROR")
        environment = {**dict.fromkeys(names, ""), "PATH": path, "HOME": str(tmp_path / "home"), **arguments}
        words = ["bash", "-o", "pipefail", "-c", text]
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)

    return run


def _stub(folder: Path, name: str, text: str) -> None:
    file = folder / "stubs" / name
    file.write_text(f"#!/bin/bash\n{text}\n")
    file.chmod(0o755)


def test_what_was_asked_for_is_imported(shell) -> None:
    """By a package's own name, and by its modules' where they are called otherwise: PyYAML's is yaml."""
    done = shell(SMOKE, TORCH_REQUIREMENTS="pydantic==2.0", REQUIREMENTS="PyYAML==6.0.1 jsonschema-rs[x]==1.0")
    assert done.returncode == 0, done.stderr


def test_a_package_that_cannot_be_imported_ends_the_build(shell, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "broken-1.0.dist-info").mkdir(parents=True)
    (site / "broken-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (site / "broken-1.0.dist-info" / "RECORD").write_text("broken.py,,\n")
    (site / "broken.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    done = shell(SMOKE, REQUIREMENTS="broken==1.0", PYTHONPATH=str(site))
    assert done.returncode != 0
    assert "libGL.so.1" in done.stderr


def test_llamafactorys_own_commands_are_tried_where_it_is(shell, tmp_path: Path) -> None:
    _stub(tmp_path, "llamafactory-cli", 'echo "$@" > "$HOME/asked"; exit 3')
    assert shell(SMOKE).returncode != 0
    assert (tmp_path / "home" / "asked").read_text() == "train -h\n"


def test_the_vendors_files_are_read_and_its_stand_ins_found(shell, tmp_path: Path) -> None:
    (tmp_path / "set_env.sh").write_text('export LD_LIBRARY_PATH=/first VENDOR="$UNSET"\n')
    _stub(tmp_path, "python", 'echo "$LD_LIBRARY_PATH" > "$HOME/libraries"')
    done = shell(SMOKE, SOURCE=f"{tmp_path}/set_env.sh {tmp_path}/absent.sh", LIBRARIES="/a:/b")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "home" / "libraries").read_text() == "/first:/a:/b\n"


def test_what_the_base_holds_of_pytorch_is_noted(shell, tmp_path: Path) -> None:
    listed = (
        "torch==2.7.1+rocm7.2.2.git1\nTorchVision==0.22.1\ntorchdata==0.11.0\npytorch-triton-rocm==3.2\nnumpy==1.26\n"
    )
    (tmp_path / "listed").write_text(listed)
    _stub(tmp_path, "python", f'cat "{tmp_path}/listed"')
    done = shell(KEEP.replace("/opt/ftgen", str(tmp_path / "opt")))
    assert done.returncode == 0, done.stderr
    kept = (tmp_path / "opt" / "base.txt").read_text().splitlines()
    assert kept == ["torch==2.7.1+rocm7.2.2.git1", "TorchVision==0.22.1", "pytorch-triton-rocm==3.2"]


def test_a_base_without_pytorch_constrains_nothing(shell, tmp_path: Path) -> None:
    _stub(tmp_path, "python", "echo numpy==1.26")
    assert shell(KEEP.replace("/opt/ftgen", str(tmp_path / "opt"))).returncode == 0
    assert (tmp_path / "opt" / "base.txt").read_text() == ""


@pytest.mark.parametrize(
    ("source", "mirrored"),
    [
        ("deb http://archive.ubuntu.com/ubuntu jammy main", "deb http://m.example.com/x jammy main"),
        ("deb http://ports.ubuntu.com/ubuntu-ports jammy main", "deb http://m.example.com/x jammy main"),
        ("URIs: http://deb.debian.org/debian", "URIs: http://m.example.com/x"),
        ("URIs: http://deb.debian.org/debian-security", "URIs: http://m.example.com/x-security"),
        ("deb https://repo.radeon.com/rocm/apt jammy main", "deb https://repo.radeon.com/rocm/apt jammy main"),
    ],
)
def test_a_mirror_takes_the_place_of_the_archive(source: str, mirrored: str, shell, tmp_path: Path) -> None:
    (tmp_path / "apt").mkdir()
    (tmp_path / "apt" / "sources.list").write_text(f"{source}\n")
    _stub(tmp_path, "apt-get", f'echo "$@" >> "{tmp_path}/asked"')
    _stub(tmp_path, "git", "exit 0")
    text = APT.replace("/etc/apt", str(tmp_path / "apt")).replace("/var/lib/apt/lists", str(tmp_path / "lists"))
    done = shell(text, APT_MIRROR="http://m.example.com/x", SYSTEM_REQUIREMENTS="libgl1 libsm6")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "apt" / "sources.list").read_text() == f"{mirrored}\n"
    assert (tmp_path / "asked").read_text().endswith("ca-certificates git git-lfs libgl1 libsm6\n")
