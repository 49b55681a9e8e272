"""Variables that the scripts read: a key of the configuration says the same, or a user may set them."""

from __future__ import annotations

import re

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Diagnostic, Rejected
from ftgen.lower import SCRIPT_VARIABLES

SCRIPTS = ("train", "prepare", "launch", "ray", "mpi")
SETTINGS = {
    "how often and how long a push is tried, and under which branch: no key says so": (
        *("PUSH_BRANCH", "PUSH_RETRIES", "RETRY_SECONDS", "FETCH_RETRIES", "LOCK_TIMEOUT"),
    ),
    "git's own, for an authority that only the image knows; written by cluster.git, they are there twice": (
        *("GIT_SSL_NO_VERIFY", "GIT_SSL_CAINFO"),
    ),
    "MLflow's own, for a server without tracking=mlflow": (
        *("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_WORKSPACE", "MLFLOW_TAGS", "MLFLOW_RUN_CONTEXT"),
        *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
        *("MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_CLIENT_CERT_PATH", "MLFLOW_TRACKING_INSECURE_TLS"),
        "REQUESTS_CA_BUNDLE",
    ),
    "SwanLab's own, for an account without tracking=swanlab": ("SWANLAB_RESUME", "SWANLAB_RUN_ID"),
    "the hubs', which a training may be allowed to ask": (
        *("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"),
    ),
    "folders and the account of whoever runs the container": (
        *("HOME", "TMPDIR", "USER", "LOGNAME", "PATH", "TRITON_CACHE_DIR"),
    ),
    "of the pod that serves an adapter: no training fetches one, and a command may mean its own": (
        *("ADAPTER_URL", "ADAPTER_DIR", "ADAPTER_REVISION"),
    ),
    "written wherever a script reads them, and a command of one task may mean its own": (
        *("TASK_NAME", "SSH_KEYS", "SSH_PORT"),
    ),
    "the shell's own, or those of ssh's server": (
        *("BASH", "BASHPID", "BASH_EXECUTION_STRING", "BASH_REMATCH", "BASH_SOURCE", "HOSTNAME", "PWD", "SECONDS"),
        "SSH_ORIGINAL_COMMAND",
    ),
}
"""Variables that a user may set, by the reason."""

EXPANDED = re.compile(r"\$\{?[!#]?([A-Z][A-Z0-9_]+)")
ASKED_IN_PYTHON = re.compile(r'env\("([A-Z_]+)"\)')
OWN = re.compile(r"^([A-Z][A-Z0-9_]*)=(?!.*\$\{?\1)", re.MULTILINE)
"""A constant of the script: what the container brings under its name is not read."""
COMMAND = ("trainer=command", "trainer.command=[run]", "model=none", "dataset=none", "hardware=full-gpu")


def read(script: str) -> set[str]:
    """Return the variables that a script reads and does not set before."""
    text = (runtime.conf_dir() / "trainer" / f"{script}.sh").read_text(encoding="utf-8")
    return {*EXPANDED.findall(text), *ASKED_IN_PYTHON.findall(text)}.difference(OWN.findall(text))


def mentioned(script: str) -> set[str]:
    text = (runtime.conf_dir() / "trainer" / f"{script}.sh").read_text(encoding="utf-8")
    return set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", text))


def found(*words: str) -> list[Diagnostic]:
    try:
        return list(pipeline.compile_job(Composer(Request(config_path=runtime.conf_dir())), words).diagnostics)
    except Rejected as rejected:
        return rejected.diagnostics


@pytest.mark.parametrize("script", SCRIPTS)
def test_whatever_a_script_reads_is_said_by_a_key_or_may_be_set(script: str) -> None:
    settings = {name for names in SETTINGS.values() for name in names}
    assert not settings.intersection(SCRIPT_VARIABLES)
    assert read(script) - settings - SCRIPT_VARIABLES.keys() == set()


def test_no_name_stands_for_nothing() -> None:
    known = set().union(*map(mentioned, SCRIPTS))
    assert {name for names in (SCRIPT_VARIABLES, *SETTINGS.values()) for name in names} <= known


@pytest.mark.parametrize("key", sorted({key for key in SCRIPT_VARIABLES.values() if key}))
def test_a_key_that_is_named_is_one(key: str) -> None:
    framework = COMMAND if key == "trainer.output" else ("tracking=mlflow",)
    tracking = ("tracking=tensorboard",) if key in {"tracking.volume", "tracking.push"} else ()
    assert "FT012" not in {problem.code for problem in found(*framework, *tracking, f"{key}=null")}


@pytest.mark.parametrize("name", SCRIPT_VARIABLES)
@pytest.mark.parametrize("section", ["hardware.env", "trainer.env"])
def test_it_is_told_once_and_with_its_key(section: str, name: str) -> None:
    (problem,) = (problem for problem in found(*COMMAND, f"+{section}.{name}=7") if name in problem.subject)
    assert (problem.code, problem.subject) == ("FT042", f"{section}.{name}")
    assert SCRIPT_VARIABLES[name] in problem.help
    assert f"trainer.command: [env, {name}=VALUE, PROGRAM, …]" in problem.help


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("TRAIN_CONFIG", "set trainer.args instead"),
        ("OUTPUT_DIR", "set trainer.args.output_dir instead"),
        ("NNODES", "set hardware.nodes instead"),
        ("RANK", "leave it out"),
    ],
)
def test_llamafactory_is_told_by_its_arguments(name: str, cure: str) -> None:
    assert [(d.code, d.help) for d in found(f"+hardware.env.{name}=7") if name in d.subject] == [("FT042", cure)]


@pytest.mark.parametrize("name", [name for names in SETTINGS.values() for name in names if not name.startswith("GIT")])
def test_a_setting_is_the_users(name: str) -> None:
    reference = "={secret: a, key: b}" if name.endswith(("PASSWORD", "TOKEN", "KEYS")) else "=x"
    assert "FT042" not in {problem.code for problem in found(*COMMAND, f"+hardware.env.{name}{reference}")}


def test_a_variable_of_the_command_alone_is_a_word_of_it() -> None:
    words = [word for word in COMMAND if "trainer.command=" not in word]
    told = found(*words, 'trainer.command=[env,"OUTPUT_DIR=/out",run]', "model.output_url=null", "+allow.FT260=so")
    assert "FT042" not in {problem.code for problem in told}
