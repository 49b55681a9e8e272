"""A render hears what `check` would say: of its overlays too, once, and only what matters."""

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected, Severity

OVERLAY = """\
apiVersion: v1
kind: PodTemplate
metadata: {name: any}
template: {spec: {containers: [{name: train, env: [%s]}]}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def render(folder, *overrides, variable=""):
    if variable:
        file = folder / "overlays" / "tracking" / "none" / "variable.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(OVERLAY % variable, encoding="utf-8")
    composer = Composer(Request(config_path=runtime.conf_dir(), directory=folder))
    return pipeline.compile_job(composer, ["tracking=none", *overrides])


def test_the_default_is_silent(folder):
    assert render(folder).diagnostics == ()


def test_what_an_overlay_brings_is_judged(folder):
    with pytest.raises(Rejected) as rejected:
        render(folder, variable="{name: NVIDIA_VISIBLE_DEVICES, value: all}")

    assert [d.code for d in rejected.value.diagnostics if d.severity is Severity.ERROR] == ["FT434"]


def test_what_an_overlay_brings_can_be_accepted(folder):
    job = render(folder, "allow.FT434=as the vendor says", variable="{name: NVIDIA_VISIBLE_DEVICES, value: all}")

    assert "FT434" not in {d.code for d in job.diagnostics}


def test_agreement_is_judged_too(folder):
    with pytest.raises(Rejected) as rejected:
        render(
            folder, "storage=nfs", "hardware=full-gpu", "hardware.nodes=2", variable="{name: VC_TASK_INDEX, value: '0'}"
        )

    assert "FT427" in {d.code for d in rejected.value.diagnostics}


def test_what_the_configuration_was_told_is_not_told_again(folder):
    codes = [d.code for d in render(folder, "hardware.devices=2").diagnostics]

    assert codes.count("FT259") == 1
    assert "FT409" not in codes


def test_notes_are_for_check(folder):
    job = render(folder, "storage=nfs", "hardware=full-gpu", "hardware.nodes=2")

    assert "FT439" not in {d.code for d in job.diagnostics}
