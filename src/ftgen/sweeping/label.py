"""Labels: what tells one point of a sweep from the others, in the few characters that a name has.

A label is made of the swept keys and the point's own values alone, in the keys' own order: adding a value,
sampling or writing the axes in another order renames no job.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

# The last part of a key to the word people use for it.
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


def bare(key: str) -> str:
    """A key without the prefix that says how it is set."""
    return key.lstrip("+~")


def labeller(keys: Iterable[str], groups: Collection[str], aliases: Mapping[str, str]) -> Labeller:
    """The labels of a sweep over `keys`, of which `groups` choose options."""
    ordered = sorted((bare(key) for key in keys), key=lambda key: (key not in groups, key))
    return Labeller(dict(zip(ordered, _words(ordered, groups, aliases), strict=True)), frozenset(groups))


class Labeller:
    """Gives points their labels."""

    def __init__(self, words: Mapping[str, str], groups: frozenset[str]) -> None:
        """Keep each key's word, in the order labels name them."""
        self.words = words
        self.groups = groups

    def label(self, values: Mapping[str, Any]) -> str:
        """The label of a point: its word and value for every swept key that it sets; lower case, digits, dashes."""
        parts = (self._part(key, word, values[key]) for key, word in self.words.items() if key in values)
        return "-".join(part for part in parts if part)

    def _part(self, key: str, word: str, value: Any) -> str:
        if key in self.groups and value is None:
            return f"no-{_slug(key)}"
        text = _value(value) if not isinstance(value, list | dict) else _structure(value)
        if not word:
            return text
        # A number follows its letters at once, as people write lr1e-4; words need a dash.
        return f"{word}{text}" if _is_number(value) and not word[-1].isdigit() else f"{word}-{text}"


def told_apart(label: str, values: Mapping[str, Any]) -> str:
    """The label with a hash of the values: for two points whose values read the same in a name."""
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
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - nan


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value).replace("-", "m")
    return _float(value) if isinstance(value, float) else _text(str(value))


@lru_cache(maxsize=4096)
def _float(value: float) -> str:
    """The shorter of 0p05 and 1p5e-5; a point cannot stand in a name."""
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
    """A list of plain words is the words; what else there is gets a hash."""
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
