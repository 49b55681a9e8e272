"""The scripts keep to what shellcheck knows, and to what the kubelet leaves alone."""

from __future__ import annotations

import re
import subprocess

import pytest

from .pod import SCRIPTS

NAMES = list(SCRIPTS)


@pytest.mark.parametrize("name", NAMES)
def test_shellcheck_has_nothing_to_say(name: str) -> None:
    done = subprocess.run(["shellcheck", "--shell=bash", SCRIPTS[name]], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_traced_and_nothing_depends_on_a_shebang(name: str) -> None:
    text = SCRIPTS[name].read_text()
    assert text.startswith(f"# shellcheck shell=bash\n# {name}: ")
    assert "\nset -euo pipefail\n" in text
    assert not re.search(r"\bset -[a-z]*x|xtrace", text)


@pytest.mark.parametrize("name", NAMES)
def test_the_kubelet_expands_nothing_in_it(name: str) -> None:
    """``$$`` and ``$(NAME)`` mean something to Kubernetes in a container's command."""
    text = SCRIPTS[name].read_text()
    assert "$$" not in text
    assert not re.search(r"\$\([A-Za-z_][A-Za-z0-9_.-]*\)", text)
