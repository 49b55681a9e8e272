"""What serves a result, in full: the objects that a reviewer reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ftgen import __version__, cli

EXPECTED = Path(__file__).with_name("expected")
CASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "deployment": ((), ()),
    "kserve": ((), ("serving=kserve",)),
    "ascend": ((), ("hardware=ascend", "hardware.devices=2", "storage=nfs", "serving.replicas=2")),
    "whole-card": (("hardware=full-gpu", "hardware.devices=4"), ("serving.api_key={secret: keys, key: vllm}",)),
    "mig": ((), ("hardware=nvidia-mig",)),
    "adapter": (("trainer.merge=false",), ("serving=kserve", "serving.args.max_num_seqs=32")),
    "restricted": (("cluster=alauda-restricted", "storage=nfs", "hardware=full-gpu"), ()),
}
# Hashes of runs and scripts, of the configuration, and the release: none of them is this test's.
PINNED = (
    (re.compile(r"-[0-9a-f]{8}\b"), "-<hash>"),
    (re.compile(r"sha256:[0-9a-f]{64}"), "sha256:<digest>"),
    (re.compile(rf'"{re.escape(__version__)}"'), '"<version>"'),
)


def without_scripts(text: str) -> str:
    """Leave out the text of the scripts, which other tests run."""
    documents = re.split(r"^---\n", text, flags=re.MULTILINE)
    return "---\n".join(each for each in documents if "\nkind: ConfigMap\n" not in each)


@pytest.mark.parametrize("case", CASES)
def test_golden(case, render, capsys, *, update_golden):
    trained, words = CASES[case]
    render(*trained)
    assert cli.main(["serve", "sft-qwen3-0-6b", *words, "-o", "-"]) == 0, capsys.readouterr().err
    fresh = without_scripts(capsys.readouterr().out)
    for pattern, shown in PINNED:
        fresh = pattern.sub(shown, fresh)
    file = EXPECTED / f"{case}.yaml"
    if update_golden:
        EXPECTED.mkdir(exist_ok=True)
        file.write_text(fresh, encoding="utf-8")
    assert fresh == file.read_text(encoding="utf-8")


def test_no_golden_is_left_over():
    assert {file.stem for file in EXPECTED.iterdir()} == set(CASES)
