"""A site with rules of its own, in an empty working directory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftgen.cli import main

IMAGES = """\
rules:
  - name: images-from-our-registry
    match: VolcanoJob
    expression: object.spec.tasks.all(t, t.template.spec.containers.all(c, c.image.startsWith('registry.example/')))
    message: every image comes from registry.example
    help: set cluster.registry=registry.example
"""
RATE = """\
rules:
  - name: no-high-rate
    match: config
    expression: double(config.trainer.lr) <= 0.001
    messageExpression: "'the rate ' + string(config.trainer.lr) + ' is above 0.001'"
    message: the rate is above 0.001
    severity: warning
"""
SOUND = ("hardware=full-gpu", "tracking=none", "storage=nfs", "cluster.registry=registry.example")

Findings = list[dict[str, Any]]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return what writes the rules of the working directory: texts by the file's name without `.yaml`."""
    monkeypatch.chdir(tmp_path)

    def write(**texts: str) -> Path:
        folder = tmp_path / "rules"
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        return folder

    return write


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Findings]]:
    """Return what runs ftgen: its exit code, and the findings about rules of a site."""

    def run(*words: str) -> tuple[int, Findings]:
        capsys.readouterr()
        code = main([*words, "--format", "json"])
        out = capsys.readouterr().out
        found = json.loads(out) if out.startswith(("[", "{")) else []
        listed = found if isinstance(found, list) else found["diagnostics"]
        return code, [d for d in listed if d["code"].startswith("FT78")]

    return run
