"""Rules about folders that jobs share: those of the models volume, called after repositories, and those of tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ftgen import lower
from ftgen.diagnostics import Severity
from ftgen.spec import LlamaFactory, Spec
from ftgen.spec.types import repository_name
from ftgen.text import kube
from ftgen.validation import Context, Finding, rule
from ftgen.validation.rules import ROLLOUT
from ftgen.validation.rules.outputs import folder_of
from ftgen.validation.rules.trainer.setting import is_within

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


_TOKENS = "trainer.args.tokenized_path"
# Arguments that decide what becomes of a row (`_get_preprocessed_dataset`, data/loader.py).
_TOKENIZING = frozenset(
    {
        "cutoff_len",
        "dataset",
        "dataset_dir",
        "default_system",
        "enable_thinking",
        "eval_dataset",
        "interleave_probs",
        "mask_history",
        "max_samples",
        "mix_strategy",
        "neat_packing",
        "packing",
        "stage",
        "template",
        "tool_format",
        "train_on_prompt",
        "val_size",
    }
)


@rule("FT045", "tokens-for-several", on=ROLLOUT)
def _tokens(spec: Spec, context: Context) -> Iterator[Finding]:
    """Tokens that one training saved are taken by others, or by its next pod, whatever these are to be trained on.

    `get_dataset` of LLaMA-Factory (data/loader.py) saves the tokens to `tokenized_path`, and where that folder holds
    anything it reads them from there and ignores each other argument about data. So jobs of one sweep train on what the
    first of them tokenized: a sweep over what decides the tokens is refused, over models warned of, since some have one
    tokenizer. A pod that was stopped while it saved leaves a part of the tokens, by which the next one fails. Of other
    paths on a volume that stays a note reminds, where they do not name model and data set.

    Refused: `-m dataset=identity-alauda,hf-sharegpt trainer.args.tokenized_path=/mnt/models/tokens`.
    Write: `'trainer.args.tokenized_path=/mnt/models/tokens-${model.name}-${dataset.name}'`, or none.
    """
    path = spec.trainer.args.get("tokenized_path") if isinstance(spec.trainer, LlamaFactory) else None
    if not isinstance(path, str) or not path:
        return
    folder, volumes = folder_of(spec, path), (spec.storage.workspace, spec.storage.models)
    if not any(is_within(folder, v.path) and not lower.is_temporary(spec, v) for v in volumes):
        return
    if "JOB_NAME" in kube.references(folder):
        headline = f"a pod that was stopped while it saved tokens leaves a part of them in {path}: the next one fails"
        yield Finding(headline, _TOKENS, path, "leave it out: each run tokenizes by itself", Severity.WARNING)
    elif _TOKENS not in context.swept:
        yield from _shared_tokens(spec, context, path)


def _shared_tokens(spec: Spec, context: Context, path: str) -> Iterator[Finding]:
    keys = [f"{key}.name" if key in _SECTIONS else key for key in sorted(context.swept) if _decides_tokens(key)]
    untold = [key for key in keys if not _is_told(_value(spec, key), path, path)]
    if untold:
        headline = f"jobs of this sweep want different tokens in {path}, by {untold[0]}: all take those of the first"
        name = "-".join((path, *(f"${{{key}}}" for key in keys)))
        severity = Severity.WARNING if set(untold) <= _SOME_AGREE else None
        yield Finding(headline, _TOKENS, path, f"write '{_TOKENS}={name}'", severity)
    elif not all(_is_told(_value(spec, key), path, None) for key in ("model.name", "dataset.name")):
        headline = f"the tokens that lie in {path} are trained on, whatever model, data set and arguments are chosen"
        help_ = f"where several jobs save them, write '{_TOKENS}={path}-${{model.name}}-${{dataset.name}}'"
        yield Finding(headline, _TOKENS, path, help_, Severity.NOTE)


# Models, and revisions of one, may have one tokenizer.
_SOME_AGREE = frozenset({"model.name", "model.url", "model.revision"})


def _decides_tokens(key: str) -> bool:
    """Return whether a key decides what tokens the rows become; trainers as such may agree."""
    first, _, rest = key.partition(".")
    if first == "trainer":
        return rest.removeprefix("args.") in _TOKENIZING
    return key in {*_SECTIONS, *_SOME_AGREE, "model.template"} or rest.partition(".")[0] in _OF_ROWS.get(first, ())


_OF_ROWS = {"dataset": ("name", "url", "revision", "folder", "info")}
