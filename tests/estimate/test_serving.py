"""The memory of a service, beside what vLLM 0.23.0 reported of a Qwen3 8B with a context of 40,960 on one H100."""

from __future__ import annotations

from ftgen.emulation.estimate.serving import Service, needs, total_gib
from ftgen.emulation.estimate.shape import Shape

QWEN3_8B = Service(
    Shape(
        hidden=4096,
        layers=36,
        heads=32,
        kv_heads=8,
        head_dim=128,
        intermediate=12288,
        vocab=151936,
        tied_embeddings=False,
        qk_norm=True,
    ),
    parameters=8_190_735_360,
    value_bytes=2,
    devices=1,
    context=40_960,
)

MEASURED = {"weights": 15.27, "activations": 1.29, "cache": 56.07 * 40_960 / 408_256}
"""GiB, from the log: weights, peak increase of torch's memory, and the part of the cache that holds one sequence."""

BESIDE = 0.22
"""GiB that the libraries took while vLLM profiled, which count for its part of the card."""


def test_what_is_known_exactly_is_as_measured():
    terms = {term.name: term.gib for term in needs(QWEN3_8B, 80)}
    assert abs(terms["weights"] - MEASURED["weights"]) < 0.02
    assert abs(terms["cache"] - MEASURED["cache"]) < 0.02


def test_what_is_asked_for_suffices_and_is_little_more():
    measured = sum(MEASURED.values()) + BESIDE
    assert measured < total_gib(QWEN3_8B, 80) < 1.1 * measured
