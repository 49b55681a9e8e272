"""Selection to bytes: every option of every group, every hardware with every trainer, one node and two.

The container scripts have tests of their own; here their text is replaced by their file's name, so that a
golden shows the manifest and a script's change does not rewrite all of them.  For the same reason the hash
in a job's name, which covers the scripts, is left out.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ftgen import catalog, kube, pipeline, project, render
from ftgen.compose import Composer, Request

EXPECTED = Path(__file__).parent / "expected"
GROUPS = catalog.groups([project.conf_dir()])
# What an option cannot be rendered without.
NEEDS = {
    "command": ("trainer.command=[python,-m,vendor.train,--config,/opt/vendor.yaml]",),
    "corpus": ("trainer=pretrain",),
    "preference-pairs": ("trainer=dpo-lora",),
    "kto-feedback": ("trainer.args.stage=kto",),
}


def _cases() -> dict[str, tuple[str, ...]]:
    cases: dict[str, tuple[str, ...]] = {"default": ()}
    for group, options in GROUPS.items():
        for option in options:
            chosen = f"+{group}={option}" if group == "experiment" else f"{group}={option}"
            cases[f"{group}/{option}"] = (chosen, *NEEDS.get(option, ()))
    for hardware in GROUPS["hardware"]:
        for trainer in GROUPS["trainer"]:
            cases[f"pairs/{hardware}+{trainer}"] = (f"hardware={hardware}", f"trainer={trainer}", *NEEDS.get(trainer, ()))
        for storage in GROUPS["storage"]:
            cases[f"nodes/{hardware}+{storage}"] = (f"hardware={hardware}", f"storage={storage}", "hardware.nodes=2")
    return cases


CASES = _cases()


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(Request(config_path=project.conf_dir()))


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, composer: Composer, *, update_golden: bool) -> None:
    job = pipeline.compile_job(composer, CASES[case])
    rendered = render.stream(job.bundle, job.identity)
    for script in sorted(project.conf_dir().glob("trainer/*.sh")):
        rendered = rendered.replace(_inlined(script), f"            <{script.name}>\n")
    rendered = rendered.replace(job.name, f"{job.name[:-8]}<hash>") if job.name else rendered
    file = EXPECTED / f"{case}.yaml"
    if update_golden:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(rendered, encoding="utf-8")
    assert rendered == file.read_text(encoding="utf-8")


def test_no_golden_is_left_over() -> None:
    """A golden whose option is gone would never be looked at again."""
    assert {str(f.relative_to(EXPECTED).with_suffix("")) for f in EXPECTED.rglob("*.yaml")} == set(CASES)


def _inlined(script: Path) -> str:
    lines = kube.protect(script.read_text(encoding="utf-8")).splitlines()
    return "".join(f"            {line}\n" if line else "\n" for line in lines)
