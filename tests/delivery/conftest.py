"""A composer over the packaged configuration."""

from __future__ import annotations

import pytest

from ftgen import runtime
from ftgen.config.compose import Composer, Request


@pytest.fixture(scope="session")
def composer() -> Composer:
    return Composer(Request(config_path=runtime.conf_dir()))
