"""Numbers of any size end in a manifest or in a diagnostic."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected
from ftgen.pipeline import compile_job

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
