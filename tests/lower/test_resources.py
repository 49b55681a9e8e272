"""Requests of the training container: what a queue's capability counts."""

from __future__ import annotations

import pytest

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Request


@pytest.mark.parametrize(
    ("hardware", "shares", "requested"),
    [
        ("nvidia-vgpu", {"nvidia.com/gpumem", "nvidia.com/gpucores"}, True),
        ("nvidia-vgpu-volcano", {"volcano.sh/vgpu-memory", "volcano.sh/vgpu-cores"}, True),
        # HAMi's scheduler places these pods: no node reports the shares, and Volcano would let no such job in.
        ("nvidia-vgpu-hami", {"nvidia.com/gpumem", "nvidia.com/gpucores"}, False),
    ],
)
def test_shares_are_requested_where_volcano_places_the_pods(hardware: str, shares: set[str], requested: bool) -> None:
    composer = Composer(Request(config_path=runtime.conf_dir()))
    job = pipeline.compile_job(composer, [f"hardware={hardware}"]).bundle.job
    resources = job["spec"]["tasks"][0]["template"]["spec"]["containers"][0]["resources"]
    assert shares <= resources["limits"].keys()
    assert (shares & resources["requests"].keys()) == (shares if requested else set())
    assert all(resources["requests"][name] == resources["limits"][name] for name in shares if requested)
