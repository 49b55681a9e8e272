"""Shares of cards: as many as a node has cards, no larger than a card, and grown rather than moved."""

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected, Severity

HAMI = "hardware=nvidia-vgpu-hami"
ERROR, WARNING = Severity.ERROR, Severity.WARNING


@pytest.fixture(scope="module")
def told():
    composer = Composer(Request(config_path=runtime.conf_dir()))

    def found(*words):
        try:
            diagnostics = pipeline.compile_job(composer, list(words)).diagnostics
        except Rejected as refused:
            diagnostics = refused.diagnostics
        assert not {d.code for d in diagnostics if d.code < "FT200"}
        return {d.code: d for d in diagnostics}

    return found


@pytest.mark.parametrize(
    ("words", "severity"),
    [
        ((HAMI, "hardware.devices=8"), None),
        ((HAMI, "hardware.devices=9"), WARNING),
        (("hardware=nvidia-vgpu", "hardware.devices=17"), ERROR),
        ((HAMI, "hardware.devices=9", "hardware.card.per_node=16"), None),
        ((HAMI, "hardware.devices=3", "+cluster.facts.card.per_node=2"), ERROR),
        (("hardware=full-gpu", "hardware.devices=9"), ERROR),
        (("hardware=metax", "hardware.devices=16"), WARNING),
        (("hardware=cpu", "hardware.devices=32"), None),
    ],
)
def test_shares_of_a_pod_lie_on_as_many_cards_of_one_node(told, words, severity):
    found = told(*words).get("FT251")
    assert (found.severity if found else None) is severity


@pytest.mark.parametrize(
    ("words", "subject"),
    [
        (("hardware.memory=100Gi", "hardware.card.memory=80Gi"), "hardware.memory"),
        (("hardware.memory=100Gi", "+cluster.facts.card.memory=80Gi"), "hardware.memory"),
        (("hardware=full-gpu", "hardware.resources.count=nvidia.com/mig-9g.99gb"), "hardware.resources.count"),
        (("hardware=full-gpu", "hardware.resources.count=nvidia.com/mig-1g"), "hardware.resources.count"),
        (("hardware=full-gpu", "hardware.resources.count=nvidia.com/mig-1g.10gb.me"), None),
        (("hardware=nvidia-mig", "hardware/mig=7g.80gb"), None),
        (("hardware.memory=80Gi", "hardware.card.memory=80Gi"), None),
    ],
)
def test_a_share_is_cut_from_a_card(told, words, subject):
    found = told(*words).get("FT252")
    assert (found.subject if found else None) == subject


def test_every_packaged_mig_profile_is_one(told):
    profiles = sorted(path.stem for path in (runtime.conf_dir() / "hardware" / "mig").glob("*.yaml"))
    assert profiles
    assert [p for p in profiles if "FT252" in told("hardware=nvidia-mig", f"hardware/mig={p}")] == []


def test_help_for_a_share_names_a_larger_one(told):
    words = (HAMI, "hardware.devices=8", "hardware.memory=2Gi", "hardware.nodes=2", "storage=nfs")
    found = told(*words)["FT280"]
    assert found.help == "write hardware.memory=7Gi"
    assert "FT280" not in told(*words, "hardware.memory=7Gi")


def test_help_for_a_share_of_a_known_card_stays_within_it(told):
    found = told("model=qwen3-8b", "hardware.memory=10Gi", "hardware.card.memory=16Gi")["FT280"]
    assert "hardware.memory" not in found.help
    assert "trainer.args.quantization_bit=4" in found.help
