"""The snippets of docs/gitops.md for other people's pipelines: their commands are run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ftgen.text import yamlio

PAGE = Path(__file__).parents[2] / "docs" / "gitops.md"
SNIPPETS = [yamlio.parse(text, str(PAGE)) for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)]


def strings(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


COMMANDS = [text for snippet in SNIPPETS for text in strings(snippet) if text.startswith("ftgen ")]


def test_there_is_one_for_every_pipeline():
    assert [next(iter(snippet)) for snippet in SNIPPETS if "argocd" not in str(snippet)] == ["name", "drift", "repos"]
    assert len(COMMANDS) == 6


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipeline_passes_until_something_drifts(ftgen, source, server, git, command):
    (source / "conf" / "experiment").mkdir()
    (source / "conf" / "experiment" / "ablation.yaml").write_text(
        "# @package _global_\n# An ablation.\nname: ablation\n"
    )
    ftgen("+experiment=ablation", "-o", "training")
    git(source, "add", ".")
    git(source, "commit", "--quiet", "-m", "render")
    git(source, "checkout", "--quiet", "--detach")
    words = [word.replace("$GITOPS_URL", f"file://{server}") for word in shlex.split(command.partition(" >>")[0])[1:]]

    said = ftgen(*words)
    assert said.code == 0, said.err

    if words[0] in {"diff", "rebuild"}:
        (source / "conf" / "experiment" / "ablation.yaml").write_text(
            "# @package _global_\n# An ablation.\nname: ablation\ntrainer: {lr: 5e-4}\n"
        )
        assert ftgen(*words).code == 1
