"""Rules that the cache and the weights are those of the chosen model.

A value that was written for one model stays when another one is chosen, on the command line or by a sweep.
Nothing fails then: the job trains the wrong weights under the right name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ftgen.diagnostics import Severity
from ftgen.spec import LlamaFactory, Spec
from ftgen.trainers.surface import surface, versions
from ftgen.validation import Finding, rule
from ftgen.validation.rules import SPEC


@rule("FT005", "cache-of-another-model", on=SPEC)
def _cache(spec: Spec) -> Iterator[Finding]:
    """The cache on the nodes holds another model than the chosen one.

    The cached folder is mounted where the chosen model is looked for, whatever it holds: its weights would be
    trained with the chosen model's template and called by its name.  In a sweep over models, one fixed URI gives
    all of them the same weights.  A revision is not checked out in the cache: what it holds is trained.

    Refused: `model=qwen3-0.6b storage=model-cache storage.cache.uri=hf://Qwen/Qwen3-8B`.
    Write: no `storage.cache.uri`, so that it follows the model; or one that does: `'s3://models/${model.name}'`.
    """
    cache = spec.storage.cache
    revision = spec.model.revision
    if cache and revision and not (_names(cache.uri, revision) or cache.uri.endswith(f":{revision}")):
        headline = f"the cache holds {cache.uri}, and the revision {revision} is not looked for"
        help_ = f"name it in storage.cache.uri if the cache holds it: {cache.uri}:{revision}"
        yield Finding(headline, "storage.cache.uri", cache.uri, help_, Severity.WARNING)
    if cache is None or spec.model.name is None or _names(cache.uri, spec.model.repository):
        return
    headline = f"the cached model is {cache.uri}, and the chosen model is {spec.model.repository}"
    help_ = "remove storage.cache.uri so that it follows the model, or name the model in it: …/${model.name}"
    if spec.model.hub and spec.model.hub in cache.uri:
        help_ = "set model.hub to the model that model.url names, or choose its option (`ftgen groups model`)"
    # Only model.url has another name then, that of a copy; the weights come from the cache, and the URL is unused.
    severity = Severity.WARNING if _names(cache.uri, spec.model.name) else None
    yield Finding(headline, "storage.cache.uri", cache.uri, help_, severity)


@rule("FT008", "training-with-what-serves", on=SPEC)
def _serving(spec: Spec) -> Iterator[Finding]:
    """A training with the section `serving`, which `ftgen serve` reads after the training.

    Refused: `ftgen +serving=kserve`.
    Write: `ftgen serve RUN serving=kserve`.
    """
    if spec.serving is not None:
        help_ = "leave it out, and write `ftgen serve RUN` once there is a result"
        yield Finding("a training serves nothing", "serving", spec.serving.kind, help_)


@rule("FT006", "weights-of-another-model", on=SPEC)
def _weights(spec: Spec) -> Iterator[Finding]:
    """The URL of the weights is that of another known model.

    Name, template, number of parameters and the transformer's dimensions stay those of the chosen model: the
    estimate of memory and the chat template are then wrong.  A vendor's own command (`trainer=command`) reads neither.

    Refused: `model=qwen3-0.6b model.url=https://git.example.com/team/Llama-3.2-1B-Instruct`.
    Write: `model=llama3.2-1b model.url=…`, or an option of your own.
    """
    if spec.model.hub is None or spec.model.name is None or not isinstance(spec.trainer, LlamaFactory):
        return
    places = {"model.url": spec.model.url, f"trainer.args.{_PATH}": spec.trainer.args.get(_PATH)}
    models = _known(spec.trainer.version)
    for key, place in places.items():
        name = models.get(_last(place).lower()) if isinstance(place, str) else None
        chosen = _last(spec.model.hub)
        if name and name.lower() not in {chosen.lower(), spec.model.name.lower()}:
            headline = f"the weights are those of {name}, and the chosen model is {chosen}"
            help_ = "choose that model (`ftgen groups model`), or set model.hub and what goes with it"
            yield Finding(headline, key, place, help_)


_PATH = "model_name_or_path"


def _names(uri: str, name: str) -> bool:
    """Return whether a part of a URI is the name; KServe puts a revision behind a colon."""
    return name.lower() in re.split(r"[/:@?#]", uri.lower())


def _last(place: str) -> str:
    return place.rstrip("/").rpartition("/")[2].removesuffix(".git")


@cache
def _known(version: str) -> dict[str, str]:
    """Return the names of the models that a release of the trainer knows, by their lower-case forms."""
    ids = surface(version).models if version in versions() else ()
    return {name.lower(): name for name in (id_.rpartition("/")[2] for id_ in ids)}
