"""The packaged Dockerfiles, by hadolint's rules and ftgen's own."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess

import pytest
from tests.image.dockerfile import Instruction, commands, parse

from ftgen import project
from ftgen.trainers import image

FILES = {file.stem: file for file in sorted(project.conf_dir().glob("hardware/*.Dockerfile"))}
RELEASE = image.release("0.9.5")
# What no image trains without, or the scripts of the containers call.
TAKEN = {
    "llamafactory",
    "transformers",
    "torch",
    "torchvision",
    "torchaudio",
    "deepspeed",
    "mlflow",
    "peft",
    "trl",
    "accelerate",
}


@pytest.fixture(params=FILES)
def text(request: pytest.FixtureRequest) -> str:
    return FILES[request.param].read_text(encoding="utf-8")


@pytest.fixture
def instructions(text: str) -> list[Instruction]:
    return parse(text)


def every(instructions: list[Instruction], word: str) -> list[Instruction]:
    return [one for one in instructions if one.word == word]


def expanded(text: str, arguments: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: arguments.get(match[1], match[0]), text)


def test_each_vendor_of_the_packaged_hardware_that_the_document_describes_has_one() -> None:
    assert {"nvidia", "ascend"} <= FILES.keys()


def test_the_base_image_is_pinned(text: str, instructions: list[Instruction]) -> None:
    (base,) = every(instructions, "FROM")
    name = expanded(base.text, image.arguments(text))
    assert re.fullmatch(r"[a-z0-9./-]+:[\w.-]+", name)
    assert not name.endswith(":latest")


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


def test_system_packages_are_few_and_leave_no_lists(instructions: list[Instruction]) -> None:
    installing = [run for run in every(instructions, "RUN") if "apt-get install" in run.text]
    assert len(installing) == 1
    steps = commands(installing[0])
    (install,) = [step for step in steps if "apt-get install" in step]
    assert "--no-install-recommends" in install
    assert " -y" in install
    assert install.startswith("DEBIAN_FRONTEND=noninteractive ")
    assert steps.index("apt-get update") < steps.index(install) < steps.index("rm -rf /var/lib/apt/lists/*")
    assert {"git", "git-lfs", "ca-certificates"} <= set(install.split())
    assert "apt " not in install


def test_python_packages_are_pinned_and_leave_no_cache(text: str, instructions: list[Instruction]) -> None:
    taken: dict[str, str] = {}
    for run in every(instructions, "RUN"):
        for step in commands(run):
            if step.startswith("pip install"):
                words = shlex.split(step)[2:]
                assert words[0] == "--no-cache-dir"
                packages = [word for word in words if not word.startswith(("-", "${"))]
                assert all(re.fullmatch(r"[\w.-]+==\$\{\w+\}", package) for package in packages)
                taken |= dict(expanded(package, image.arguments(text)).split("==") for package in packages)
    assert taken.keys() >= TAKEN
    assert all(re.fullmatch(r"\d+(\.\d+)+(\.post\d+)?", version) for version in taken.values())


def test_nobody_becomes_root_on_the_way_and_no_sudo(instructions: list[Instruction]) -> None:
    assert not [run for run in every(instructions, "RUN") if re.search(r"\bsudo\b", run.text)]
    assert [one.text for one in every(instructions, "USER")] == ["${IMAGE_USER}"]


def test_no_credential_is_asked_for_or_held(text: str) -> None:
    assert not re.search(r"(?i)(token|password|secret|credential)\w*=", text)
    assert not re.search(r"://[^/\s\"]*@", text)


def test_the_folder_is_absolute_and_any_user_may_write_it(instructions: list[Instruction]) -> None:
    home = dict(pair.split("=", 1) for pair in every(instructions, "ENV")[0].text.split())["HOME"]
    assert every(instructions, "WORKDIR")[-1].text == home
    assert any(
        commands(run)[:2] == ['mkdir -p "${HOME}"', 'chmod 1777 "${HOME}"'] for run in every(instructions, "RUN")
    )


def test_the_smoke_test_imports_the_trainer(instructions: list[Instruction]) -> None:
    smoke = commands(every(instructions, "RUN")[-1])
    assert "llamafactory-cli train -h > /dev/null" in smoke
    assert 'python -c "import llamafactory.train.tuner"' in smoke
    assert "git lfs version" in smoke
    imported = {
        name.strip(' "') for step in smoke if step.startswith('python -c "import ') for name in step[18:].split(",")
    }
    assert {"deepspeed", "mlflow", "peft", "trl", "datasets", "accelerate", "torchaudio", "torchvision"} <= imported


def test_variables_are_declared_before_they_are_used(instructions: list[Instruction]) -> None:
    declared: set[str] = set()
    for one in instructions:
        if one.word not in {"ARG", "FROM"}:
            set_here = set(re.findall(r"export (\w+)=", one.text)) | {"LD_LIBRARY_PATH"}
            used = set(re.findall(r"\$\{(\w+)", one.text))
            assert used <= declared | set_here, f"line {one.line}"
        if one.word == "FROM":
            declared = set()
        if one.word == "ARG":
            declared.add(one.text.partition("=")[0])
        if one.word == "ENV":
            declared |= {pair.partition("=")[0] for pair in one.text.split()}


def test_every_argument_is_used(text: str) -> None:
    used = set(re.findall(r"\$\{(\w+)", text)) | {"PIP_INDEX_URL"}
    assert image.arguments(text).keys() <= used


def test_labels_name_the_versions(text: str, instructions: list[Instruction]) -> None:
    labels = dict(re.findall(r'([\w.-]+)="([^"]*)"', every(instructions, "LABEL")[0].text))
    arguments = image.arguments(text)
    assert expanded(labels["dev.ftgen.llamafactory"], arguments) == RELEASE.version
    assert expanded(labels["dev.ftgen.transformers"], arguments) == RELEASE.transformers
    assert expanded(labels["org.opencontainers.image.base.name"], arguments) == arguments["BASE_IMAGE"]


@pytest.mark.parametrize("shell", ["bash"])
def test_commands_are_legal_shell(instructions: list[Instruction], shell: str) -> None:
    for run in every(instructions, "RUN"):
        done = subprocess.run(
            [shutil.which(shell) or shell, "-n", "-c", run.text], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


# --- versions ---


def test_the_versions_are_those_that_the_trainers_arguments_are_checked_with(text: str) -> None:
    arguments = image.arguments(text)
    assert arguments["LLAMAFACTORY_VERSION"] == RELEASE.version
    assert arguments["TRANSFORMERS_VERSION"] == RELEASE.transformers
    assert image.validate(text, {}, RELEASE) == []


def test_every_image_holds_the_same_versions() -> None:
    said = [image.arguments(file.read_text(encoding="utf-8")) for file in FILES.values()]
    common = set.intersection(*({name for name in one if name.endswith("_VERSION")} for one in said))
    assert {"LLAMAFACTORY_VERSION", "TRANSFORMERS_VERSION", "DEEPSPEED_VERSION", "MLFLOW_VERSION"} <= common
    assert all({name: one[name] for name in common} == {name: said[0][name] for name in common} for one in said)


def test_torch_and_its_companions_are_of_one_release(text: str) -> None:
    arguments = image.arguments(text)
    assert arguments["TORCHAUDIO_VERSION"] == arguments["TORCH_VERSION"]
    minor, patch = arguments["TORCH_VERSION"].split(".")[1:]
    assert arguments["TORCHVISION_VERSION"] == f"0.{int(minor) + 15}.{patch}"
    assert arguments.get("TORCH_NPU_VERSION", arguments["TORCH_VERSION"]).startswith(arguments["TORCH_VERSION"])


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
def test_versions_that_do_not_run_together_are_refused(text: str, name: str, version: str) -> None:
    (problem,) = image.validate(text, {name: version}, RELEASE)
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
