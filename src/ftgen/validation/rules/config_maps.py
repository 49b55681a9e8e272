"""Keys and size of a ConfigMap (kubernetes pkg/apis/core/validation, ValidateConfigMap)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ftgen.text.paths import child
from ftgen.text.shapes import mapping
from ftgen.validation import Finding, rule
from ftgen.validation.rules import OBJECT
from ftgen.validation.rules.fields import is_data_key

MOST_BYTES = 2**20
"""Most bytes of all values of a ConfigMap together."""


@rule("FT383", "bad-config-map", on=OBJECT)
def bad_config_map(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A ConfigMap has a key that is no file name, the same key twice, or more than the API server stores.

    Keys are letters, digits, `-`, `_` and `.`, up to 253 of them; all values together have 1 MiB at most.

    Refused: `data: {"my script.sh": …}`; a script of 2 MB in `conf/trainer`.
    Write: `data: {my-script.sh: …}`; put what is large into the image or the model's repository.
    """
    if (manifest.get("apiVersion"), manifest.get("kind")) != ("v1", "ConfigMap"):
        return
    text, binary = mapping(manifest.get("data")), mapping(manifest.get("binaryData"))
    for section, values in (("data", text), ("binaryData", binary)):
        for key in values:
            if not is_data_key(key):
                yield Finding(f"{key!r} is no key of a ConfigMap", child(section, key), key, _ALLOWED)
    for key in text.keys() & binary.keys():
        yield Finding(f"{key} is in data and in binaryData", child("binaryData", key), key, "remove one of them")
    size = sum(map(_decoded_length, filter(_is_text, binary.values())))
    size += sum(len(value.encode("utf-8", "replace")) for value in text.values() if isinstance(value, str))
    if size > MOST_BYTES:
        headline = f"the values have {size} bytes, and the API server stores {MOST_BYTES} at most"
        yield Finding(headline, "data", size, "put what is large into the image or the model's repository")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _decoded_length(base64: str) -> int:
    """Return how many bytes a base64 text stands for: three for four characters, less its padding."""
    return len("".join(base64.split())) * 3 // 4 - base64[-2:].count("=")


_ALLOWED = "use letters, digits, dashes, underscores and dots"
