"""Labels: short names of a sweep's points, unique within the sweep.

A label depends on the swept keys, sorted, and the point's own values alone: adding a value, sampling or writing
the axes in another order renames no job.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

# Usual abbreviation by last part of a key.
_ALIASES = {
    "batch_size": "bs",
    "cutoff_len": "len",
    "devices": "d",
    "epochs": "e",
    "gradient_accumulation": "ga",
    "gradient_accumulation_steps": "ga",
    "learning_rate": "lr",
    "lora_alpha": "a",
    "lora_dropout": "dropout",
    "lora_rank": "r",
    "lr_scheduler_type": "",
    "max_samples": "max",
    "nodes": "n",
    "num_train_epochs": "e",
    "per_device_train_batch_size": "bs",
    "seed": "s",
    "warmup_ratio": "warmup",
    "weight_decay": "wd",
}
_PLAIN = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_LONGEST_WORD = 24
_HASH = 4


def without_prefix(key: str) -> str:
    """Return a key without the prefix `+`, `++` or `~` of an override."""
    return key.lstrip("+~")


def new_labeller(keys: Iterable[str], groups: Collection[str], aliases: Mapping[str, str]) -> Labeller:
    """Create the labeller of a sweep over `keys`, of which `groups` choose options."""
    ordered = sorted((without_prefix(key) for key in keys), key=lambda key: (key not in groups, key))
    return Labeller(dict(zip(ordered, _words(ordered, groups, aliases), strict=True)), frozenset(groups))


class Labeller:
    """Labeller of a sweep's points."""

    def __init__(self, words: Mapping[str, str], groups: frozenset[str]) -> None:
        """Set each key's abbreviation, in the order in which labels name the keys."""
        self.words = words
        self.groups = groups

    def label(self, values: Mapping[str, Any]) -> str:
        """Return a point's label: abbreviation and value of each swept key that it sets, in `[a-z0-9-]`."""
        parts = (self._part(key, word, values[key]) for key, word in self.words.items() if key in values)
        return "-".join(part for part in parts if part)

    def _part(self, key: str, word: str, value: Any) -> str:
        if key in self.groups and value is None:
            return f"no-{_slug(key)}"
        text = _value(value) if not isinstance(value, (list, dict)) else _structure(value)
        if not word:
            return text
        # A number follows its letters without a dash, as people write lr1e-4; words need a dash.
        return f"{word}{text}" if _is_number(value) and not word[-1].isdigit() else f"{word}-{text}"


def with_hash(label: str, values: Mapping[str, Any]) -> str:
    """Append a hash of the values, for points whose values yield the same label."""
    return f"{label}-{_digest(_json(values))}"


def _words(keys: list[str], groups: Collection[str], aliases: Mapping[str, str]) -> list[str]:
    words = [aliases.get(key, _word(key, groups, 1)) for key in keys]
    for depth in range(2, 1 + max((key.count(".") + 1 for key in keys), default=0)):
        clashing = {word for word in words if word and words.count(word) > 1}
        words = [
            _word(k, groups, depth) if w in clashing and k not in aliases else w
            for k, w in zip(keys, words, strict=True)
        ]
    return words


def _word(key: str, groups: Collection[str], depth: int) -> str:
    if key in groups:
        return _slug(key.partition("@")[2].rpartition(".")[2]) if "@" in key else ""
    parts = key.split(".")
    if depth == 1 and parts[-1] in _ALIASES:
        return _ALIASES[parts[-1]]
    return _slug("-".join(parts[-depth:]))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - nan


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value).replace("-", "m")
    return _float(value) if isinstance(value, float) else _text(str(value))


@lru_cache(maxsize=4096)
def _float(value: float) -> str:
    """Write a float as the shorter of 0p05 and 1p5e-5, as names cannot contain a point."""
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - nan
        return str(value).replace("-", "m")
    number = Decimal(repr(value)).normalize()
    sign, digits, exponent = number.as_tuple()
    mantissa = "".join(map(str, digits))
    power = int(exponent) + len(mantissa) - 1
    short = mantissa[0] + (f"p{mantissa[1:]}" if mantissa[1:] else "") + (f"e{power}" if power else "")
    plain = f"{abs(number):f}".replace(".", "p")
    return ("m" if sign else "") + (plain if len(plain) <= len(short) else short)


@lru_cache(maxsize=4096)
def _text(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text.replace(".", "-")
    return f"{_slug(text)[:_LONGEST_WORD].strip('-')}-{_digest(text)}".strip("-")


def _structure(value: Any) -> str:
    """Join a short list of plain words; write any other value as a slug with a hash."""
    if isinstance(value, list) and all(isinstance(item, str) and _PLAIN.fullmatch(item) for item in value) and value:
        joined = "-".join(value).replace(".", "-")
        if len(joined) <= _LONGEST_WORD:
            return joined
    return _text(_json(value))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
