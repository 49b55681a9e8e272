"""Selection to bytes: every option of every group, every hardware with every trainer, one node and two.

The container scripts have tests of their own; here their text is replaced by their file's name, so that a
golden shows the manifest and a script's change does not rewrite all of them.  For the same reason the hash
in a job's name, which covers the scripts, and the configuration's digest are left out.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tools.options import GROUPS, chosen

from ftgen import kube, pipeline, project, render
from ftgen.compose import Composer, Request
from ftgen.diagnostics import Rejected, Severity

DIGEST = re.compile("sha256:[0-9a-f]{64}")
EXPECTED = Path(__file__).parent / "expected"


def _cases() -> dict[str, tuple[str, ...]]:
    cases: dict[str, tuple[str, ...]] = {"default": ()}
    for group, options in GROUPS.items():
        if group == "sweep":  # many jobs; tests/sweep looks at them
            continue
        for option in options:
            cases[f"{group}/{option}"] = chosen(group, option)
    for hardware in GROUPS["hardware"]:
        chosen_hardware = chosen("hardware", hardware)
        for trainer in GROUPS["trainer"]:
            cases[f"pairs/{hardware}+{trainer}"] = (*chosen_hardware, *chosen("trainer", trainer))
        for storage in ("topolvm", "nfs"):
            cases[f"nodes/{hardware}+{storage}"] = (*chosen_hardware, f"storage={storage}", "hardware.nodes=2")
    return cases


CASES = _cases()


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(Request(config_path=project.conf_dir()))


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, composer: Composer, *, update_golden: bool) -> None:
    rendered = _rendered(case, composer)
    file = EXPECTED / f"{case}.yaml"
    if update_golden:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(rendered, encoding="utf-8")
    assert rendered == file.read_text(encoding="utf-8")


def _rendered(case: str, composer: Composer) -> str:
    """The manifests of a case; a pair that does not go together says why instead."""
    try:
        job = pipeline.compile_job(composer, CASES[case])
    except Rejected as rejected:
        if not case.startswith("pairs/"):
            raise
        refused = [d for d in rejected.diagnostics if d.severity is Severity.ERROR]
        return "".join(f"# refused: {d.code} {d.subject}: {d.headline}\n" for d in refused)
    rendered = render.stream(job.bundle, job.identity)
    for script in sorted(project.conf_dir().glob("trainer/*.sh")):
        rendered = rendered.replace(_inlined(script), f"            <{script.name}>\n")
    rendered = rendered.replace(job.name, f"{job.name[:-8]}<hash>") if job.name else rendered
    return DIGEST.sub("sha256:<digest>", rendered)


def test_no_golden_is_left_over() -> None:
    """A golden whose option is gone would never be looked at again."""
    assert {str(f.relative_to(EXPECTED).with_suffix("")) for f in EXPECTED.rglob("*.yaml")} == set(CASES)


def _inlined(script: Path) -> str:
    lines = kube.protect(script.read_text(encoding="utf-8")).splitlines()
    return "".join(f"            {line}\n" if line else "\n" for line in lines)
