"""The GitHub action and the GitLab component: their scripts are run, with inputs as their systems pass them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from tests.packaging.conftest import ROOT, Installed

from ftgen import __version__

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
SPEC, JOBS = yaml.safe_load_all((ROOT / "templates" / "ftgen" / "template.yml").read_text())
((JOB_NAME, JOB),) = JOBS.items()
DEFAULTS = {
    "github": {name: given["default"] for name, given in ACTION["inputs"].items()},
    "gitlab": {name: given["default"] for name, given in SPEC["spec"]["inputs"].items()},
}
INPUT = {"github": re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}"), "gitlab": re.compile(r"\$\[\[ inputs\.([\w-]+) \]\]")}
SYSTEMS = sorted(DEFAULTS)


def filled(system: str, text: str, inputs: Mapping[str, str]) -> str:
    return INPUT[system].sub(lambda found: inputs[found[1]], text)


def steps(system: str, inputs: Mapping[str, str]) -> Iterator[tuple[str, str, dict[str, str], str]]:
    """The script of each step but those that install ftgen: shell, text, environment, folder."""
    if system == "github":
        for step in ACTION["runs"]["steps"]:
            wanted = step.get("if", "true == 'true'").replace("inputs.drift", inputs["drift"]).split(" == ")
            if "run" in step and "pip install" not in step["run"] and wanted[0] == wanted[1].strip("'"):
                env = {name: filled(system, text, inputs) for name, text in step.get("env", {}).items()}
                yield step["shell"], step["run"], env, filled(system, step["working-directory"], inputs)
        return
    env = {name: filled(system, given["value"], inputs) for name, given in JOB["variables"].items()}
    for shell in ("sh", "bash"):  # the runner takes bash where the image has it
        yield shell, "\n".join(JOB["script"]), env, "."


def run(system: str, installed: Installed, folder: Path, **given: str) -> list[subprocess.CompletedProcess[str]]:
    inputs = {**DEFAULTS[system], **given}
    summary = folder.parent / "summary.md"
    done = []
    for shell, text, env, where in steps(system, inputs):
        done.append(installed.shell(text, folder / where, shell=shell, **env, GITHUB_STEP_SUMMARY=str(summary)))
        if done[-1].returncode and system == "github":
            break
    return done


def codes(done: list[subprocess.CompletedProcess[str]]) -> set[int]:
    return {each.returncode for each in done}


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_was_rendered_passes(system: str, installed: Installed, rendered: Path) -> None:
    done = run(system, installed, rendered)
    assert len(done) == 2
    assert codes(done) == {0}, done


@pytest.mark.parametrize("system", SYSTEMS)
def test_drift_is_refused_unless_it_is_allowed(system: str, installed: Installed, rendered: Path) -> None:
    config = rendered / "conf" / "config.yaml"
    config.write_text(config.read_text() + "\ntrainer: {lr: 5.0e-4}\n")
    assert 1 in codes(run(system, installed, rendered))
    assert codes(run(system, installed, rendered, drift="false")) == {0}
    if system == "github":
        assert "learning_rate" in (rendered.parent / "summary.md").read_text()


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_bad_manifest_is_refused(system: str, installed: Installed, rendered: Path) -> None:
    job = next(rendered.rglob("job-*.yaml"))
    job.write_text(job.read_text().replace("  queue: default", "  queue: default\n  qeue: x"))
    done = run(system, installed, rendered, drift="false")
    assert codes(done) == {1}
    assert "qeue" in done[0].stdout + done[0].stderr
    assert codes(run(system, installed, rendered, drift="false", paths="")) == {0}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_sweep_in_a_folder_of_another_name(system: str, installed: Installed, rendered: Path) -> None:
    moved = rendered / "a folder"
    moved.mkdir()
    shutil.move(rendered / "conf", moved / "conf")
    shutil.move(rendered / "overlays", moved / "overlays")
    words = ["trainer.lr=1e-4,2e-4", "+sweep.name=two"]
    assert installed.run("ftgen", "-m", *words, "-o", "my runs", cwd=moved).returncode == 0
    given = {"directory": "a folder", "out": "my runs", "paths": "my runs\n", "sweep": "true"}
    assert codes(run(system, installed, rendered, **given, overrides="\n".join(words))) == {0}
    assert 1 in codes(run(system, installed, rendered, **given, overrides="\n".join([words[0] + ",3e-4", words[1]])))


HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    '"; touch pwned; "',
    "'; touch pwned; '",
    "x\nEND\ntouch pwned",
    "-o /tmp",
]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("text", HOSTILE)
def test_inputs_are_words_and_no_commands(system: str, text: str, installed: Installed, rendered: Path) -> None:
    for name in ("paths", "overrides"):
        done = run(system, installed, rendered, **{name: text})
        assert codes(done) & {1, 2}, (name, done)
        assert not list(rendered.rglob("pwned"))


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_input_is_written_into_a_script(system: str) -> None:
    scripts = [step.get("run", "") for step in ACTION["runs"]["steps"]] if system == "github" else JOB["script"]
    scripts = [*scripts, *JOB["before_script"]]
    assert not [text for text in scripts if "${{" in text or "$[[" in text]
    used = {*INPUT[system].findall((ROOT / _FILES[system]).read_text()), "drift"}
    assert used == set(DEFAULTS[system])


_FILES = {"github": "action.yml", "gitlab": "templates/ftgen/template.yml"}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_scripts_are_clean(system: str, tmp_path: Path) -> None:
    for number, (shell, text, _, _) in enumerate(steps(system, DEFAULTS[system])):
        file = tmp_path / f"{number}.sh"
        file.write_text(f"#!/bin/{shell}\nset -e\n{text}\n")
        done = subprocess.run(["shellcheck", "-S", "style", file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_action_is_composite_as_github_requires() -> None:
    """Every `run` of a composite action names its shell, and inputs are texts."""
    assert {"name", "description", "inputs", "runs"} <= set(ACTION)
    assert ACTION["runs"]["using"] == "composite"
    assert all("shell" in step for step in ACTION["runs"]["steps"] if "run" in step)
    assert all(isinstance(given["default"], str) and given["description"] for given in ACTION["inputs"].values())
    assert all(
        re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+", step["uses"]) for step in ACTION["runs"]["steps"] if "uses" in step
    )
    assert [s["run"] for s in ACTION["runs"]["steps"] if "pip install" in s.get("run", "")] == [
        'python -m pip install --quiet "$GITHUB_ACTION_PATH"'
    ]


def test_the_component_has_its_inputs_in_a_header_and_a_job_below() -> None:
    """`templates/NAME/template.yml`: a header `spec`, `---`, and jobs; values of variables are texts."""
    assert set(SPEC) == {"spec"}
    assert all(set(given) <= {"description", "default", "options", "type"} for given in SPEC["spec"]["inputs"].values())
    assert all(isinstance(given["default"], str) for given in SPEC["spec"]["inputs"].values())
    assert JOB_NAME == "$[[ inputs.job ]]"
    assert set(JOB) <= {"stage", "image", "variables", "before_script", "script"}
    assert all(given["expand"] is False and isinstance(given["value"], str) for given in JOB["variables"].values())


def test_the_component_installs_this_release() -> None:
    assert DEFAULTS["gitlab"]["package"] == f"ftgen=={__version__}"


def test_the_page_shows_inputs_and_hooks_that_there_are() -> None:
    text = (ROOT / "docs" / "start.md").read_text()
    hooks, github, gitlab = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    known = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert {hook["id"] for hook in hooks["repos"][0]["hooks"]} == known
    assert set(github["jobs"]["check"]["steps"][1]["with"]) <= set(DEFAULTS["github"])
    assert set(gitlab["include"][0]["inputs"]) <= set(DEFAULTS["gitlab"])
    assert gitlab["include"][0]["component"].endswith("/ftgen/ftgen@0.1.0")
