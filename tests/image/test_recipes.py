"""The recipes, by a parser of Dockerfiles, hadolint, shellcheck and rules of ftgen's own."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from tests.image.dockerfile import (
    ALIKE,
    CASES,
    RECIPES,
    REFUSED,
    Instruction,
    asked,
    commands,
    every,
    expanded,
    has_llamafactory,
    parse,
    printed,
    requirements,
)
from tools.options import GROUPS

from ftgen.trainers import image, recipe

RELEASE = image.release("0.9.5")
# What no image trains without, beside PyTorch, which the base holds or the vendor's requirements name.
TAKEN = {"llamafactory", "transformers", "peft", "trl", "accelerate", "datasets"}
# hadolint forgets the SHELL after an ARG and takes bash for sh; shellcheck reads the commands as bash.
NOT_SH = ("--ignore=SC3011", "--ignore=SC3054")


@pytest.fixture(params=RECIPES)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def text(case: str) -> str:
    return printed(*RECIPES[case])


@pytest.fixture
def arguments(text: str) -> dict[str, str]:
    return image.arguments(text)


@pytest.fixture
def instructions(text: str) -> list[Instruction]:
    return parse(text)


def test_every_hardware_option_has_a_recipe_or_a_reason() -> None:
    assert set(GROUPS["hardware"]) <= CASES.keys()
    told = {name: asked(*CASES[name])[2] for name in REFUSED}
    assert {name: re.search(r"error\[(FT\d+)\]", text)[1] for name, text in told.items()} == REFUSED
    assert all("image.BASE_IMAGE=" in text for text in told.values())


def test_hadolint_finds_nothing(text: str) -> None:
    done = subprocess.run(
        ["hadolint", "--no-color", *NOT_SH, "-"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_shellcheck_finds_nothing(instructions: list[Instruction]) -> None:
    for run in every(instructions, "RUN"):
        source = f"{run.text}\n"
        done = subprocess.run(
            ["shellcheck", "--shell=bash", "--exclude=SC2154,SC1090", "-"],
            input=source,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_the_base_image_is_pinned(arguments: dict[str, str], instructions: list[Instruction]) -> None:
    (base,) = every(instructions, "FROM")
    name = expanded(base.text, arguments)
    assert re.fullmatch(r"[a-z0-9.:/_-]+:[\w.-]+", name)
    assert not name.endswith(":latest")


def test_its_source_is_named() -> None:
    from ftgen import runtime
    from ftgen.config.compose import Composer, Request
    from ftgen.spec import admit

    composer = Composer(Request(config_path=runtime.conf_dir()))
    for option in GROUPS["hardware"]:
        base = admit(composer.compose(composer.parse([f"hardware={option}"])).config).hardware.base
        assert base
        assert base.source.startswith("https://")
        assert base.image or base.unsure


def test_nothing_is_said_before_the_base_but_its_arguments(instructions: list[Instruction]) -> None:
    first = next(i for i, one in enumerate(instructions) if one.word == "FROM")
    assert {one.word for one in instructions[:first]} == {"ARG"}


def test_nothing_comes_from_the_build_context_or_by_url(instructions: list[Instruction]) -> None:
    assert not every(instructions, "COPY")
    assert not every(instructions, "ADD")
    assert not [one for run in every(instructions, "RUN") for one in commands(run) if re.match(r"(curl|wget)\b", one)]


def test_a_pipe_that_fails_fails_the_build(instructions: list[Instruction]) -> None:
    words = [one.word for one in instructions]
    shell = every(instructions, "SHELL")[0]
    assert json.loads(shell.text) == ["/bin/bash", "-o", "pipefail", "-c"]
    assert words.index("SHELL") < words.index("RUN")


def test_system_packages_leave_no_lists(instructions: list[Instruction]) -> None:
    (installing,) = [run for run in every(instructions, "RUN") if "apt-get install" in run.text]
    steps = commands(installing)
    (install,) = [step for step in steps if "apt-get install" in step]
    assert "--no-install-recommends" in install
    assert install.startswith("DEBIAN_FRONTEND=noninteractive ")
    assert steps.index("apt-get update") < steps.index(install) < steps.index("rm -rf /var/lib/apt/lists/*")
    assert {"git", "git-lfs", "ca-certificates"} <= set(install.split())


def test_python_packages_have_versions(case: str, arguments: dict[str, str]) -> None:
    taken = requirements(arguments, "TORCH_REQUIREMENTS", "REQUIREMENTS")
    assert all(re.fullmatch(r"\d+(\.\d+)+(\.post\d+)?", version) for version in taken.values())
    if has_llamafactory(case):
        assert taken.keys() >= TAKEN
    else:
        assert not taken.keys() & TAKEN


def test_no_version_is_there_for_nothing(arguments: dict[str, str]) -> None:
    taken = requirements(arguments, "TORCH_REQUIREMENTS", "REQUIREMENTS")
    assert {name for name in arguments if name.endswith("_VERSION")} == set(map(image.version_argument, taken))


def test_what_the_base_holds_of_pytorch_is_kept(instructions: list[Instruction]) -> None:
    (kept,) = [run for run in every(instructions, "RUN") if "> /opt/ftgen/base.txt" in run.text]
    (taken,) = [run for run in every(instructions, "RUN") if "--constraint /opt/ftgen/base.txt" in run.text]
    assert kept.line < taken.line
    assert all("--no-cache-dir" in run.text for run in every(instructions, "RUN") if "pip install" in run.text)


def test_nobody_becomes_root_on_the_way_and_no_sudo(instructions: list[Instruction]) -> None:
    assert not [run for run in every(instructions, "RUN") if re.search(r"\bsudo\b", run.text)]
    assert [one.text for one in every(instructions, "USER")] == ["0", "${IMAGE_USER}"]


def test_no_credential_is_asked_for_or_held(text: str) -> None:
    assert not re.search(r"(?i)(token|password|secret|credential)\w*=", text)
    assert not re.search(r"://[^/\s\"]*@", text)


def test_the_folder_is_absolute_and_any_user_may_write_it(instructions: list[Instruction]) -> None:
    home = dict(pair.split("=", 1) for pair in every(instructions, "ENV")[-1].text.split())["HOME"]
    assert every(instructions, "WORKDIR")[-1].text == home
    assert any(
        commands(run)[:2] == ['mkdir -p "${HOME}"', 'chmod 1777 "${HOME}"'] for run in every(instructions, "RUN")
    )


def test_variables_are_declared_before_they_are_used(instructions: list[Instruction]) -> None:
    declared: set[str] = set()
    for one in instructions:
        if one.word == "FROM":
            declared = set()
        elif one.word == "ARG":
            declared.add(one.text.partition("=")[0])
        else:
            of_the_shell = {"LD_LIBRARY_PATH", "PATH", *re.findall(r"read -ra (\w+)|for (\w+) in", one.text)}
            own = {name for names in of_the_shell for name in (names if isinstance(names, tuple) else (names,))}
            assert set(re.findall(r"\$\{#?(\w+)", one.text)) <= declared | own, f"line {one.line}"
        if one.word == "ENV":
            declared |= {pair.partition("=")[0] for pair in one.text.split()}


def test_every_argument_is_used(text: str, arguments: dict[str, str]) -> None:
    read_by_pip = {"PIP_INDEX_URL", "PIP_BREAK_SYSTEM_PACKAGES"}
    assert arguments.keys() <= set(re.findall(r"\$\{(\w+)", text)) | read_by_pip


def test_labels_name_the_base_the_packages_and_the_recipe(
    text: str, arguments: dict[str, str], instructions: list[Instruction]
) -> None:
    labels = dict(re.findall(r'([\w.-]+)="([^"]*)"', every(instructions, "LABEL")[0].text))
    assert expanded(labels["org.opencontainers.image.base.name"], arguments) == arguments["BASE_IMAGE"]
    assert labels["dev.ftgen.requirements"] == "${TORCH_REQUIREMENTS} ${REQUIREMENTS}"
    without = image.with_arguments(text, {"RECIPE": ""})
    assert recipe.named(without, "r", "k", "")[1] == f"r/k:{arguments['RECIPE']}"


@pytest.mark.parametrize("option", sorted(ALIKE))
def test_options_of_one_base_have_one_recipe(option: str) -> None:
    base = "full-gpu" if option.startswith("nvidia-") else "ascend"
    assert printed(*CASES[option]) == printed(*CASES[base])


# --- versions ---


def test_the_versions_are_those_that_the_trainers_arguments_are_checked_with(
    case: str, arguments: dict[str, str]
) -> None:
    if has_llamafactory(case):
        assert arguments["LLAMAFACTORY_VERSION"] == RELEASE.version
        assert arguments["TRANSFORMERS_VERSION"] == RELEASE.transformers
        assert image.validate(arguments, {}, RELEASE) == []


def test_every_image_holds_the_same_versions() -> None:
    said: dict[str, set[str]] = {}
    for words in RECIPES.values():
        for name, version in image.arguments(printed(*words)).items():
            if name.endswith("_VERSION"):
                said.setdefault(name, set()).add(version)
    assert {name for name, versions in said.items() if len(versions) > 1} == set()


def test_torch_and_its_companions_are_of_one_release(arguments: dict[str, str]) -> None:
    torch = requirements(arguments, "TORCH_REQUIREMENTS", "REQUIREMENTS")
    if "torch" in torch:
        assert torch["torchaudio"] == torch["torch"]
        minor, patch = torch["torch"].split(".")[1:]
        assert torch["torchvision"] == f"0.{int(minor) + 15}.{patch}"
        assert torch.get("torch-npu", torch["torch"]).startswith(torch["torch"])


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("TRANSFORMERS_VERSION", "4.51.1"),  # the pin of the reference solution's Dockerfile
        ("TRANSFORMERS_VERSION", "4.57.0"),
        ("TRANSFORMERS_VERSION", "5.6.1"),
        ("ACCELERATE_VERSION", "1.12.0"),
        ("PEFT_VERSION", "0.17.1"),
        ("TRL_VERSION", "0.9.6"),
        ("DATASETS_VERSION", "4.1.0"),
        ("TORCH_VERSION", "2.3.1"),
    ],
)
def test_versions_that_do_not_run_together_are_refused(name: str, version: str) -> None:
    (problem,) = image.validate(image.arguments(printed("hardware=cpu")), {name: version}, RELEASE)
    assert (problem.code, problem.subject, problem.value) == ("FT555", f"image.{name}", version)


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("4.57.6", "!=4.57.0,<=5.6.0,>=4.55.0", True),
        ("4.57", "!=4.57.0", False),
        ("4.9", ">=4.55.0", False),
        ("2.7.1.post2", ">=2.4.0", True),
        ("0.8.14", "<0.9.0", True),
        ("1.0", "==1", True),
        ("2", ">2", False),
        ("anything", "", True),
    ],
)
def test_requirements(version: str, wanted: str, fits: bool) -> None:
    assert image.satisfies(version, wanted) is fits
