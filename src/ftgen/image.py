"""The runtime image: what is in it, and its Dockerfile, with versions that the trainer's release accepts.

`conf/hardware/<vendor>.Dockerfile` is a whole Dockerfile in which every choice is the default of an `ARG`.
Nothing else of it is ever changed, and nothing is copied into the image, so that the text alone builds it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from ftgen import project
from ftgen.diagnostics import Diagnostic, error, warning
from ftgen.spec import LlamaFactory, Spec
from ftgen.trainers.surface import versions

RELEASE = "LLAMAFACTORY_VERSION"
_ARGUMENT = re.compile(r"^ARG ([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
# One word that Dockerfiles take as it is, everywhere.
_VALUE = re.compile(r"[^\s\"'`$\\#]*")
_CLAUSE = re.compile(r"(<=|>=|==|!=|<|>)\s*(\d+(?:\.\d+)*)")
_COMPARISONS = {
    "<=": lambda order: order <= 0,
    ">=": lambda order: order >= 0,
    "==": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    ">": lambda order: order > 0,
}


@dataclass(frozen=True, slots=True)
class Release:
    """A release of the trainer, as its package tells.

    Attributes:
        version: LLaMA-Factory's.
        transformers: the transformers release that its arguments are checked with.
        requires: what the package requires of others, by their names: `<=5.6.0,>=4.55.0`.
    """

    version: str
    transformers: str
    requires: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UpstreamImage:
    """An image that LLaMA-Factory's own project publishes, as its name tells.

    Attributes:
        version: the release of LLaMA-Factory in it; empty where the tag names none, as `latest`.
        vendor: the maker of the cards that its torch is built for.
    """

    version: str
    vendor: str


_UPSTREAM_NAME = re.compile(r"(?:^|/)(?P<owner>hiyouga|ascend)/llamafactory(?::(?P<tag>[\w.-]+))?(?:@|$)")
_FOR_NPU = re.compile(r"(?:^|-)(?:npu|910b|a3|cann[\d.]*)(?:-|$)")
# What its Dockerfiles install beside the package's own requirements (docker/docker-cuda and docker/docker-npu):
# the metrics and deepspeed requirements, and git.  Neither git-lfs nor MLflow nor bitsandbytes is among them.
_UPSTREAM_PACKAGES = frozenset({"deepspeed", "git", "jieba", "nltk", "rouge-chinese"})


@lru_cache(maxsize=64)
def upstream_image(name: str) -> UpstreamImage | None:
    """What the name of an image of LLaMA-Factory's own project tells, on whatever registry; None for others."""
    found = _UPSTREAM_NAME.search(name)
    if found is None:
        return None
    tag = found["tag"] or ""
    numbers = re.match(r"v?(\d+\.\d+\.\d+)(?:-|$)", tag)
    for_npu = found["owner"] == "ascend" or _FOR_NPU.search(tag)
    return UpstreamImage(numbers[1] if numbers else "", "ascend" if for_npu else "nvidia")


def installed_packages(spec: Spec) -> frozenset[str] | None:
    """What the image holds of what a trainer may ask for, by the packages' names; None where nobody knows.

    The configuration says it (`hardware.packages`), else the name of a published image.  What LLaMA-Factory's
    package requires is there in either case.
    """
    stated = spec.hardware.packages
    if stated is None:
        stated = tuple(_UPSTREAM_PACKAGES) if upstream_image(spec.hardware.image) else None
    if stated is None:
        return None
    trainer = release(spec.trainer.version) if isinstance(spec.trainer, LlamaFactory) else None
    return frozenset(map(_canonical, (*stated, *(trainer.requires if trainer else ()))))


def _canonical(package: str) -> str:
    """A package's name as indexes compare it (Python's packaging specifications, name normalization)."""
    return re.sub(r"[-_.]+", "-", package).lower()


@cache
def release(version: str) -> Release | None:
    """The release of this version; `None` where its arguments are not known."""
    if version not in versions():
        return None
    data = json.loads((project.schemas_dir() / "llamafactory" / f"{version}.json").read_bytes())
    return Release(data["version"], data["transformers"], data["requires"])


def recipe(vendor: str) -> Path:
    """Where a vendor's Dockerfile lies below a configuration folder."""
    return Path("hardware") / f"{vendor}.Dockerfile"


def arguments(dockerfile: str) -> dict[str, str]:
    """The build arguments of a Dockerfile with their defaults."""
    return dict(_ARGUMENT.findall(dockerfile))


def with_arguments(dockerfile: str, values: Mapping[str, str]) -> str:
    """The Dockerfile with other defaults for some of its build arguments; `validate` says which may be given."""
    return _ARGUMENT.sub(lambda match: f"ARG {match[1]}={values.get(match[1], match[2])}", dockerfile)


def release_arguments(dockerfile: str, trainer: Release) -> dict[str, str]:
    """The build arguments that follow from a release: its version, and for pins that it excludes the newest it takes.

    A recipe pins one set of versions; of another release only those change that must.
    """
    own = {RELEASE: trainer.version}
    if arguments(dockerfile).get(RELEASE) == trainer.version:
        return own
    taken = {package: bound for package, wanted in trainer.requires.items() if (bound := _newest(wanted))}
    taken["transformers"] = trainer.transformers
    pins = {_name(package): version for package, version in taken.items()}
    wanted = {_name(package): clauses for package, clauses in trainer.requires.items()}
    known = arguments(dockerfile)
    return own | {n: version for n, version in pins.items() if n in known and not satisfies(known[n], wanted[n])}


def _newest(wanted: str) -> str:
    """The newest version that a requirement names as still accepted."""
    return next((bound for sign, bound in _CLAUSE.findall(wanted) if sign == "<="), "")


def _name(package: str) -> str:
    return f"{package.upper().replace('-', '_')}_VERSION"


def validate(dockerfile: str, values: Mapping[str, str], trainer: Release | None) -> list[Diagnostic]:
    """What is wrong with the values, and with the versions that they leave.

    Args:
        dockerfile: the recipe.
        values: build arguments that are given.
        trainer: its release; `None` where LLaMA-Factory does not train.
    """
    known = arguments(dockerfile)
    found = [*_unknown(values, known), *_unfit(values)]
    return found or ([*_versions({**known, **values}, trainer)] if trainer else [])


def _unknown(values: Mapping[str, str], known: Mapping[str, str]) -> Iterator[Diagnostic]:
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name.upper(), known, 1, 0.5)
            hint = f"did you mean image.{near[0]}?" if near else f"the arguments are {', '.join(known)}"
            yield error("FT550", f"the image has no build argument {name!r}", f"image.{name}", values[name], hint)


def _unfit(values: Mapping[str, str]) -> Iterator[Diagnostic]:
    for name, value in values.items():
        key = f"image.{name}"
        if not _VALUE.fullmatch(value):
            yield error("FT551", f"{key} cannot be {value!r}: a build argument is one plain word", key, value)
        elif urlsplit(value).password is not None or (urlsplit(value).scheme and "@" in urlsplit(value).netloc):
            told = f"{key} holds a credential, which would stay in the image's history"
            yield error(
                "FT552", told, key, "", "use a mirror without one, or docker build --secret in a Dockerfile of yours"
            )
        elif name == "BASE_IMAGE" and not _is_pinned(value):
            yield error(
                "FT553",
                f"the base image {value!r} is not pinned",
                key,
                value,
                "write a tag other than latest, or a digest",
            )


def _is_pinned(image: str) -> bool:
    tag = image.rpartition("/")[2].partition(":")[2]
    return "@sha256:" in image or tag not in {"", "latest"}


def _versions(pins: Mapping[str, str], trainer: Release) -> Iterator[Diagnostic]:
    """Versions outside what the trainer's package requires, which pip would refuse to install or it to run with."""
    if pins.get(RELEASE) != trainer.version:
        told = f"the image holds LLaMA-Factory {pins.get(RELEASE)}, and the arguments are checked for {trainer.version}"
        yield error("FT554", told, f"image.{RELEASE}", pins.get(RELEASE, ""), "choose it by trainer.version")
    for package, wanted in trainer.requires.items():
        name = _name(package)
        if name in pins and not satisfies(pins[name], wanted):
            told = f"LLaMA-Factory {trainer.version} does not run with {package} {pins[name]}: it requires {wanted}"
            yield error("FT555", told, f"image.{name}", pins[name], f"choose a version within {wanted}")
    there = pins.get("TRANSFORMERS_VERSION", trainer.transformers)
    if there != trainer.transformers and satisfies(there, trainer.requires.get("transformers", "")):
        told = f"trainer arguments are checked for transformers {trainer.transformers}, and the image holds {there}"
        yield warning("FT556", told, "image.TRANSFORMERS_VERSION", there, "some arguments have other names there")


def satisfies(version: str, wanted: str) -> bool:
    """Whether a version fulfils a requirement such as `!=4.57.0,<=5.6.0`; suffixes such as `.post2` say nothing."""
    said = _numbers(version)
    return all(_COMPARISONS[sign](_order(said, _numbers(bound))) for sign, bound in _CLAUSE.findall(wanted))


def _numbers(version: str) -> list[int]:
    release = re.match(r"\d+(\.\d+)*", version)
    return [int(part) for part in release[0].split(".")] if release else []


def _order(one: list[int], other: list[int]) -> int:
    length = max(len(one), len(other))
    padded = [numbers + [0] * (length - len(numbers)) for numbers in (one, other)]
    return (padded[0] > padded[1]) - (padded[0] < padded[1])
