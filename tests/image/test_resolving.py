"""The versions of each recipe, resolved together against the package index for its base's Python; `make test-images`.

What a vendor builds into his base image is on no index: it stands in as the release that it is built from, and a skip
says so.  The image itself is not built.
"""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from tests.image.dockerfile import RECIPES, printed, requirements

from ftgen import runtime
from ftgen.config.compose import Composer, Request
from ftgen.spec import Base, admit
from ftgen.trainers import image

pytestmark = pytest.mark.slow
# Ubuntu 22.04 and Debian 12 are the oldest bases; glibc 2.35.
PLATFORMS = ("x86_64-manylinux_2_35", "aarch64-manylinux_2_35")
# The vendors whose nodes have other processors too; the others' bases are for x86_64 alone.
ARM = ("ascend", "cpu")


@cache
def base(case: str) -> Base:
    composer = Composer(Request(config_path=runtime.conf_dir()))
    found = admit(composer.compose(composer.parse(RECIPES[case])).config).hardware.base
    assert found is not None
    return found


def resolved(folder: Path, wanted: dict[str, str], python: str, platform: str, *more: str) -> dict[str, str]:
    """Return the versions that uv resolves requirements to; skip where another index than pip's cannot be reached."""
    file = folder / "requirements.in"
    file.write_text("".join(f"{name}=={version}\n" for name, version in wanted.items()))
    words = ["uv", "pip", "compile", "--no-header", "--no-annotate", "--quiet", "--no-config", str(file)]
    words += ["--python-version", python, "--python-platform", platform, *more]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    unreachable = re.search(r"(?:Failed to fetch|error sending request).*?(https?://[^\s`)]+)", done.stderr)
    if unreachable and "error sending request" in done.stderr and "--index-url" in more:
        pytest.skip(f"not resolved: {unreachable[1]} cannot be reached from here")
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", done.stdout, re.MULTILINE))


def platforms(case: str) -> tuple[str, ...]:
    return PLATFORMS if case.startswith(ARM) or case.startswith("tracking") else PLATFORMS[:1]


EACH = [(case, platform) for case in RECIPES for platform in platforms(case)]


@pytest.mark.parametrize(("case", "platform"), EACH)
def test_the_packages_are_resolved_together(case: str, platform: str, tmp_path: Path) -> None:
    arguments, facts = image.arguments(printed(*RECIPES[case])), base(case)
    if facts.python is None:
        pytest.skip(f"not resolved: which Python {facts.image} has is not known")
    wanted = requirements(arguments, "REQUIREMENTS")
    (tmp_path / "base.txt").write_text("".join(f"{line}\n" for line in (*facts.holds, *facts.torch)))
    # torch-npu asks for the build 2.7.1+cpu, which the recipe takes from PyTorch's index.
    form = "--override" if facts.torch else "--constraint"
    found = resolved(tmp_path, wanted, facts.python, platform, form, str(tmp_path / "base.txt"))
    assert {image.canonical(name): version for name, version in wanted.items()}.items() <= found.items()
    if "torch" in found and not any(line.startswith("torch==") for line in (*facts.holds, *facts.torch)):
        pytest.skip(f"resolved with torch {found['torch']} of the index: which one {facts.image} holds is not known")


OF_AN_INDEX = {(base(c).torch, base(c).torch_index, platform): c for c, platform in EACH if base(c).torch}


@pytest.mark.parametrize(("case", "platform"), [(case, platform) for (_, _, platform), case in OF_AN_INDEX.items()])
def test_pytorch_is_resolved_on_its_own_index(case: str, platform: str, tmp_path: Path) -> None:
    arguments, facts = image.arguments(printed(*RECIPES[case])), base(case)
    wanted = requirements(arguments, "TORCH_REQUIREMENTS")
    index = ("--index-url", arguments["TORCH_INDEX_URL"])
    found = resolved(tmp_path, wanted, str(facts.python), platform, *index)
    assert all(found[name].partition("+")[0] == version for name, version in wanted.items())


HELD = {base(case).holds: case for case in RECIPES if base(case).holds}


@pytest.mark.parametrize("case", HELD.values())
def test_what_the_base_holds_is_a_release(case: str, tmp_path: Path) -> None:
    """The vendor's build is not on the index; the release that it is built from is."""
    facts = base(case)
    held = dict(line.split("==") for line in facts.holds)
    found = resolved(tmp_path, held, str(facts.python), PLATFORMS[0])
    assert held.items() <= found.items()
