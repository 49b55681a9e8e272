"""The image for a pipeline: judged by hadolint, and its commands run in plain environments where they can be."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from dockerfile_parse import DockerfileParser
from tests.packaging.conftest import ROOT, Installed, environment, pip

FILE = ROOT / "Containerfile"
LINES = [
    (each["instruction"], each["value"]) for each in DockerfileParser(fileobj=io.BytesIO(FILE.read_bytes())).structure
]
RUNS = [value for word, value in LINES if word == "RUN"]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--failure-threshold", "style", FILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_bases_are_pinned_to_a_patch_release() -> None:
    bases = [value.split()[0] for word, value in LINES if word == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base) for base in bases)


def test_nobody_is_root_and_the_number_says_so() -> None:
    words = [word for word, _ in LINES]
    (user,) = [value for word, value in LINES if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert "RUN" not in words[words.index("USER") :]
    assert f"useradd --uid {user.partition(':')[0]} " in RUNS[-1]
    assert "ENTRYPOINT" not in words  # a pipeline runs a shell in it


def test_everything_that_is_copied_is_there_and_is_all_that_the_wheel_needs(tmp_path: Path) -> None:
    """The wheel is built from the copied files alone, by the words of the RUN line."""
    copied = [value.split() for word, value in LINES if word == "COPY" and not value.startswith("--from")]
    for *sources, target in copied:
        for source in sources:
            place = tmp_path / target / (source if target.endswith("/") else "")
            place.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-r", ROOT / source, place], check=True)
    (build,) = [run for run in RUNS if run.startswith("pip wheel")]
    words = build.replace("/wheels", str(tmp_path / "wheels")).split()
    assert words[:2] == ["pip", "wheel"]
    pip("wheel", "--no-build-isolation", *words[2:-1], tmp_path)
    (wheel,) = (tmp_path / "wheels").glob("ftgen-*.whl")

    (install,) = [run for run in RUNS if run.startswith("pip install")]
    assert "/wheels/*.whl" in install
    folder = environment(tmp_path / "venv")
    pip("--python", folder / "bin" / "python", "install", "--no-deps", wheel)
    (command,) = [value for word, value in LINES if word == "CMD"]
    program, *rest = re.findall(r'"([^"]+)"', command)
    done = Installed(wheel, folder).run(program, *rest, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("ftgen writes VolcanoJob manifests")
