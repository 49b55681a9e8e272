"""Rules about the folders of the models volume, which are called after repositories and shared by jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ftgen import lower
from ftgen.spec import Spec
from ftgen.spec.types import repository_name
from ftgen.validation import Context, Finding, rule
from ftgen.validation.rules import ROLLOUT

_SECTIONS = ("model", "dataset")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@rule("FT039", "folder-beyond-the-volume", on=ROLLOUT)
def _beyond(spec: Spec) -> Iterator[Finding]:
    """A model or a data set whose folder is no folder of its own on the models volume.

    The folder is called after the repository, by the last part of the URL; without a URL it is the name.

    Refused: `model.url=https://git.example.com/team/..`.
    Write: the repository's URL, or `model.folder=NAME`.
    """
    for section in _SECTIONS:
        part = getattr(spec, section)
        if part.name is not None and not {"", ".", ".."}.isdisjoint(part.directory.split("/")):
            key = f"{section}.url" if part.url else f"{section}.name"
            headline = f"its folder on the models volume would be {part.directory!r}"
            yield Finding(headline, key, part.url or part.name, f"correct it, or write {section}.folder=NAME")


@rule("FT040", "one-folder-for-several", on=ROLLOUT)
def _several(spec: Spec, context: Context) -> Iterator[Finding]:
    """Several models, data sets, revisions or descriptions of rows belong into one folder of the models volume.

    A folder is called after its repository and holds one revision of it. `prepare` refuses a folder that holds
    something else, because another job may read it: the second of the two is never fetched. It writes the entry
    `dataset.info` where the data has no dataset_info.json: jobs of one sweep replace each other's, and one may train on
    the rows of another. Where a sweep varies a revision or an entry, the name of the folder must tell the values.

    Refused: `-m dataset.revision=v1,v2`; `model.url=https://a.example.com/x dataset.url=https://b.example.com/x`.
    Write: `-m dataset.revision=v1,v2 'dataset.folder=rows-${dataset.revision}'`; `dataset.folder=x-rows`.
    """
    model, dataset, cached = spec.model, spec.dataset, spec.storage.cache is not None
    is_one = (model.url, model.revision) == (dataset.url, dataset.revision) and not cached
    if model.name and dataset.name and model.directory == dataset.directory and not is_one:
        headline = f"model and data set have one folder, {model.directory}"
        yield Finding(headline, "dataset.url", dataset.url, "write dataset.folder=NAME, another than the model's")
    if not lower.is_temporary(spec, spec.storage.models):
        for section in _SECTIONS[cached:]:
            yield from _untold(spec, section, [key for key in sorted(context.swept) if _fills(key, section, spec)])


def _fills(key: str, section: str, spec: Spec) -> bool:
    """Return whether a key says what the folder of a section holds, beside the URL that it is called after."""
    first, _, rest = key.partition(".")
    entry = section == "dataset" and spec.dataset.info is not None
    return first == section and (rest == "revision" or (entry and rest.partition(".")[0] in {"name", "info"}))


def _untold(spec: Spec, section: str, keys: list[str]) -> Iterator[Finding]:
    """Yield a finding about a value that the name of its folder does not tell."""
    part, values = getattr(spec, section), {key: _value(spec, key) for key in keys}
    untold = [key for key, value in values.items() if not _is_told(value, part.directory, part.folder)]
    if part.name is None or not untold:
        return
    headline = f"jobs of this sweep want different contents in the folder {part.directory}, by {untold[0]}"
    name = "-".join([repository_name(part.url) if part.url else part.name, *(f"${{{key}}}" for key in keys)])
    is_text = all(value is None or isinstance(value, (str, int)) for value in values.values())
    help_ = f"write '{section}.folder={name}'" if is_text else f"give each a {section}.folder of its own"
    yield Finding(headline, untold[0], str(values[untold[0]]), help_)


def _is_told(value: Any, directory: str, folder: str | None) -> bool:
    # A pin may have taken the place of the revision after `folder` had named it.
    is_pinned = folder is not None and _COMMIT.fullmatch(str(value)) is not None
    return value is None or str(value) in directory or is_pinned


def _value(spec: Spec, key: str) -> Any:
    value: Any = spec
    for step in key.split("."):
        value = value.get(step) if isinstance(value, dict) else getattr(value, step, None)
    return value
