"""Numbers of any size, and lines of any length, end in a manifest or in a diagnostic."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ftgen import cli
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected
from ftgen.interop.importing.experiment import _INTERPOLATION
from ftgen.pipeline import compile_job
from ftgen.remote.cluster.log import _ERROR
from ftgen.remote.locking.registry import _PARAMETER
from ftgen.text.kube import parse_duration

LONG = "9" * 200
EXTREMES = [
    *(LONG, f"-{LONG}", "9223372036854775808", "9223372036854775807", "-1"),
    *("1e308", "-1e308", "5e-324", "0.0"),
    *("'1e999'", "'1e-999'", "'1e999+'", f"'{LONG[:120]}'", f"'{LONG[:120]}Ei'", f"'{LONG[:120]}Ei+'"),
]
SELECTIONS = [(), ("trainer=command", "trainer.command=[run]", "target=job")]


def numbers(section: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the keys of numbers and quantities, and of what is unset."""
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{prefix}{name}.")
        elif value is None or re.fullmatch(r"[0-9.e-]+([KMGTPE]i?|m)?\+?", str(value)):
            yield f"{prefix}{name}"


@pytest.mark.parametrize("selection", SELECTIONS, ids=" ".join)
def test_a_number_of_any_size_is_rendered_or_refused(selection: tuple[str, ...]) -> None:
    composer = Composer(Request(selection))
    keys = [*numbers(composer.compose(composer.parse(selection)).config)]
    assert {"hardware.nodes", "hardware.per_card.memory.limit"} <= {*keys}
    refused = 0
    for key in keys:
        for value in EXTREMES:
            words = (*selection, f"{key}={value}")
            try:
                compile_job(composer, words)
            except Rejected:
                refused += 1
    assert refused > len(keys)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        (f"hardware.nodes={LONG}", "FT103"),
        (f"hardware.devices={LONG}", "FT103"),
        ("hardware.memory='1e999'", "FT103"),
        ("hardware.per_card.cpu.limit='1e999+'", "FT103"),
        ("dataset.size='1e999'", "FT103"),
        (f"trainer.args.cutoff_len={LONG}", "FT202"),
        ("trainer.args.lora_rank=1e308", "FT202"),
    ],
)
def test_what_no_64_bits_hold_is_refused_at_its_key(word: str, code: str) -> None:
    composer = Composer(Request((word,)))
    with pytest.raises(Rejected) as rejected:
        compile_job(composer, (word,))
    assert (code, word.partition("=")[0]) in [(d.code, d.subject) for d in rejected.value.diagnostics]


LINE = 200_000
"""Characters of a line: where each place in it is tried with each, minutes pass."""


@pytest.mark.parametrize(
    "word",
    ["[[", "test ", "rank ", "git ", "lfs ", "curl ", "wget -", ";python a", ";/", "a.", "://$a", "'", "$(", "\\"],
)
def test_a_line_that_only_begins_to_match_is_looked_at_once(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    container = {
        "name": "train",
        "image": "r.example.com/a:1",
        "command": ["bash", "-c", word * (LINE // len(word))],
        "volumeMounts": [{"name": "work", "mountPath": "/work"}],
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "work", "persistentVolumeClaim": {"claimName": "work"}}],
    }
    plugins: dict[str, list[str]] = {"svc": [], "pytorch": []}
    spec = {"plugins": plugins, "tasks": [{"name": "train", "replicas": 2, "template": {"spec": pod}}]}
    job = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": {"name": "a"}, "spec": spec}
    (tmp_path / "job.yaml").write_text(json.dumps(job), encoding="utf-8")
    assert cli.main(["check", str(tmp_path / "job.yaml")]) == 1
    assert "FT395" in capsys.readouterr().err


def test_long_texts_from_elsewhere_are_looked_at_once() -> None:
    assert _ERROR.search("a." * LINE) is None
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration("0" * LINE)
    assert _INTERPOLATION.sub("", "\\" * LINE) == "\\" * LINE
    assert _PARAMETER.findall("a" * LINE) == []


def test_what_they_look_for_is_found() -> None:
    assert _ERROR.search("torch.cuda.OutOfMemoryError: x")
    assert parse_duration("1h30m1.5s.5ms") == 5_401_500_500_000
    assert [found[1] for found in _INTERPOLATION.finditer("${a} \\${b} \\\\${c}")] == ["", "\\", "\\\\"]
    assert _PARAMETER.findall('realm="a",service="b"') == [("realm", "a"), ("service", "b")]
