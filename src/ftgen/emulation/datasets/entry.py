"""An entry of dataset_info.json, as LLaMA-Factory reads it (llamafactory/data/parser.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

HUBS = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
"""Keys by which an entry names data elsewhere; each goes before `file_name`."""
FORMS = ("alpaca", "sharegpt", "openai")

_COLUMNS: tuple[str, ...] = ("prompt", "query", "response", "history", "messages", "system", "tools")
_COLUMNS += ("images", "videos", "audios", "chosen", "rejected", "kto_tag")
_TAGS = ("role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag")


class Entry(Struct, frozen=True):
    """Description of a data set: its file, its form, and what its columns and roles are called.

    Attributes:
        file_name: file or folder, relative to dataset_info.json; empty if the data is elsewhere.
        formatting: form of the rows, one of `FORMS`.
        ranking: whether rows hold a chosen and a rejected answer; LLaMA-Factory compares it with true and false alone.
        num_samples: rows that are drawn at random; None for all.
        split: split of the data that is read; a file, or a folder of them, is the split `train`.
    """

    file_name: str = ""
    formatting: str = "alpaca"
    ranking: Any = False
    num_samples: int | None = None
    split: Any = "train"
    system: str | None = None
    tools: str | None = None
    images: str | None = None
    videos: str | None = None
    audios: str | None = None
    chosen: str | None = None
    rejected: str | None = None
    kto_tag: str | None = None
    prompt: str | None = "instruction"
    query: str | None = "input"
    response: str | None = "output"
    history: str | None = None
    messages: str | None = "conversations"
    role_tag: str | None = "from"
    content_tag: str | None = "value"
    user_tag: str | None = "human"
    assistant_tag: str | None = "gpt"
    observation_tag: str | None = "observation"
    function_tag: str | None = "function_call"
    system_tag: str | None = "system"


def entry_of(described: Mapping[str, Any]) -> Entry:
    """Return the entry that a mapping describes.

    A `columns` mapping replaces the defaults of all columns, a `tags` mapping those of all tags: what it leaves out is
    None.

    Raises:
        ValueError: a value has a type that no entry has; its text completes "the entry: …".
    """
    columns, tags = described.get("columns"), described.get("tags")
    values = {
        "file_name": described.get("file_name", ""),
        "formatting": described.get("formatting", "alpaca"),
        "ranking": described.get("ranking", False),
        "num_samples": described.get("num_samples"),
        "split": described.get("split", "train"),
        **({name: _named(columns, "columns", name) for name in _COLUMNS} if "columns" in described else {}),
        **({name: _named(tags, "tags", name) for name in _TAGS} if "tags" in described else {}),
    }
    if not isinstance(values["file_name"], str):
        raise ValueError("file_name is no text")  # noqa: TRY004 - a wrong value, whatever its type
    if values["formatting"] not in FORMS:
        raise ValueError(f"formatting is {values['formatting']!r}, none of {', '.join(FORMS)}")
    if not (values["num_samples"] is None or type(values["num_samples"]) is int):
        raise ValueError("num_samples is no whole number")
    if values["num_samples"] is not None and values["num_samples"] < 1:
        raise ValueError(f"num_samples is {values['num_samples']}, and at least one row must be drawn")
    return Entry(**values)


def _named(names: Any, key: str, name: str) -> str | None:
    if not isinstance(names, Mapping):
        raise ValueError(f"{key} is no mapping")  # noqa: TRY004 - as above
    found = names.get(name)
    if found is not None and not isinstance(found, str):
        raise ValueError(f"{key}.{name} is no text")
    return found


def columns(entry: Entry) -> dict[str, str]:
    """Return the columns that an entry names, by their role."""
    found = {field.name: getattr(entry, field.name) for field in fields(entry) if field.name in _COLUMNS}
    return {role: name for role, name in found.items() if name}
