"""The runtime image: its packages, and the build arguments of a Dockerfile that the trainer's release accepts."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path

from msgspec import Struct

from ftgen import runtime
from ftgen.diagnostics import Diagnostic, error, warning
from ftgen.diagnostics.credentials import Kind, find_secrets, is_literal_secret, redact
from ftgen.spec import LlamaFactory, Spec
from ftgen.trainers.surface import versions

RELEASE = "LLAMAFACTORY_VERSION"
_ARGUMENT = re.compile(r"^ARG ([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
# A single word that needs no quoting anywhere in a Dockerfile.
_VALUE = re.compile(r"[^\s\"'`$\\#]*")
# Keys that name the base image.
_BASES = frozenset({"image.BASE_IMAGE", "hardware.base.image"})
_CLAUSE = re.compile(r"(<=|>=|==|!=|<|>)\s*(\d+(?:\.\d+)*)")
_COMPARISONS = {
    "<=": lambda order: order <= 0,
    ">=": lambda order: order >= 0,
    "==": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    ">": lambda order: order > 0,
}


class Release(Struct, frozen=True):
    """A release of LLaMA-Factory, from its package's metadata.

    Attributes:
        version: version of LLaMA-Factory.
        transformers: version of transformers that its arguments are checked with.
        python: version specifier of Python, such as `>=3.11.0`.
        requires: version specifiers of its requirements by package, such as `<=5.6.0,>=4.55.0`.
    """

    version: str
    transformers: str
    python: str
    requires: Mapping[str, str]


class UpstreamImage(Struct, frozen=True):
    """An image that LLaMA-Factory's own project publishes, from its name.

    Attributes:
        version: version of LLaMA-Factory in it; empty if the tag names none, such as `latest`.
        vendor: vendor of the cards that its torch is built for.
    """

    version: str
    vendor: str


_UPSTREAM_NAME = re.compile(r"(?:^|/)(?P<owner>hiyouga|ascend)/llamafactory(?::(?P<tag>[\w.-]+))?(?:@|$)")
_FOR_NPU = re.compile(r"(?:^|-)(?:npu|910b|a3|cann[\d.]*)(?:-|$)")
# Packages that its Dockerfiles install in addition to the package's own requirements (docker/docker-cuda and
# docker/docker-npu): the metrics and deepspeed requirements, and git, but no git-lfs, MLflow or bitsandbytes.
_UPSTREAM_PACKAGES = frozenset({"deepspeed", "git", "jieba", "nltk", "rouge-chinese"})


@lru_cache(maxsize=64)
def upstream_image(name: str) -> UpstreamImage | None:
    """Parse the name of an image of LLaMA-Factory's own project, on any registry; return None for other images."""
    match = _UPSTREAM_NAME.search(name)
    if match is None:
        return None
    tag = match["tag"] or ""
    numbers = re.match(r"v?(\d+\.\d+\.\d+)(?:-|$)", tag)
    for_npu = match["owner"] == "ascend" or _FOR_NPU.search(tag)
    return UpstreamImage(numbers[1] if numbers else "", "ascend" if for_npu else "nvidia")


def installed_packages(spec: Spec) -> frozenset[str] | None:
    """Return the normalized names of packages that a trainer may need and the image has; None if they are unknown.

    `hardware.packages` lists them, else the name of an upstream image implies them.  The requirements of
    LLaMA-Factory's package are included in either case.
    """
    stated = spec.hardware.packages
    if stated is None:
        stated = tuple(_UPSTREAM_PACKAGES) if upstream_image(spec.hardware.image) else None
    if stated is None:
        return None
    trainer = release(spec.trainer.version) if isinstance(spec.trainer, LlamaFactory) else None
    return frozenset(map(canonical, (*stated, *(trainer.requires if trainer else ()))))


def canonical(package: str) -> str:
    """Normalize a package's name as indexes do (Python's packaging specifications, name normalization)."""
    return re.sub(r"[-_.]+", "-", package).lower()


@cache
def release(version: str) -> Release | None:
    """Return the release of a version; None if no schema of its arguments is packaged."""
    if version not in versions():
        return None
    data = json.loads((runtime.schemas_dir() / "llamafactory" / f"{version}.json").read_bytes())
    return Release(data["version"], data["transformers"], data["python"], data["requires"])


def recipe(vendor: str) -> Path:
    """Return the path of a vendor's Dockerfile relative to a configuration folder."""
    return Path("hardware") / f"{vendor}.Dockerfile"


def arguments(dockerfile: str) -> dict[str, str]:
    """Return the build arguments of a Dockerfile with their defaults."""
    return dict(_ARGUMENT.findall(dockerfile))


def with_arguments(dockerfile: str, values: Mapping[str, str]) -> str:
    """Replace the defaults of some build arguments of a Dockerfile; `validate` checks the values."""
    return _ARGUMENT.sub(lambda match: f"ARG {match[1]}={values.get(match[1], match[2])}", dockerfile)


def release_arguments(dockerfile: str, trainer: Release) -> dict[str, str]:
    """Return the build arguments for a release: its version, and the newest accepted one for each pin it excludes.

    A recipe pins the versions for one release; another release changes only the pins that it does not accept.
    """
    own = {RELEASE: trainer.version}
    if arguments(dockerfile).get(RELEASE) == trainer.version:
        return own
    newest = {package: bound for package, specifier in trainer.requires.items() if (bound := _newest(specifier))}
    newest["transformers"] = trainer.transformers
    pins = {version_argument(package): version for package, version in newest.items()}
    specifiers = {version_argument(package): specifier for package, specifier in trainer.requires.items()}
    defaults = arguments(dockerfile)
    return own | {n: v for n, v in pins.items() if n in defaults and not satisfies(defaults[n], specifiers[n])}


def _newest(specifier: str) -> str:
    """Return the bound of a specifier's `<=`, the newest version it accepts; empty if it has none."""
    return next((bound for operator, bound in _CLAUSE.findall(specifier) if operator == "<="), "")


def version_argument(package: str) -> str:
    """Return the name of the build argument that pins a package."""
    return f"{canonical(package).upper().replace('-', '_')}_VERSION"


def validate(defaults: Mapping[str, str], values: Mapping[str, str], trainer: Release | None) -> list[Diagnostic]:
    """Check build arguments, and if they are valid, the versions they result in.

    Args:
        defaults: the recipe's build arguments.
        values: build arguments to replace.
        trainer: the trainer's release; None if the trainer is not LLaMA-Factory.
    """
    problems = [*_unknown(values, defaults), *invalid({f"image.{name}": value for name, value in values.items()})]
    return problems or ([*_incompatible({**defaults, **values}, trainer)] if trainer else [])


def _unknown(values: Mapping[str, str], defaults: Mapping[str, str]) -> Iterator[Diagnostic]:
    for name in values:
        if name not in defaults:
            near = difflib.get_close_matches(name.upper(), defaults, 1, 0.5)
            hint = f"did you mean image.{near[0]}?" if near else f"the arguments are {', '.join(defaults)}"
            yield error("FT550", f"the image has no build argument {name!r}", f"image.{name}", values[name], hint)


def invalid(values: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Yield what cannot stand in a Dockerfile, or may not; the values by the keys that hold them."""
    for key, value in values.items():
        if not _VALUE.fullmatch(value):
            yield error("FT551", f"{key} cannot be {value!r}: a build argument is one plain word", key, value)
        elif _holds_credential(key, value):
            headline = f"{key} holds a credential, which would stay in the image's history"
            cure = "use a mirror without one, or docker build --secret in a Dockerfile of yours"
            yield error("FT552", headline, key, "", cure)
        elif key in _BASES and not _is_pinned(value):
            cure = "write a tag other than latest, or a digest"
            yield error("FT553", f"the base image {value!r} is not pinned", key, value, cure)


def credentials_in(dockerfile: str) -> Iterator[Diagnostic]:
    """Yield an error for each line of a Dockerfile that holds a credential, in an instruction or a comment."""
    lines = dockerfile.split("\n")
    secrets = [secret for secret in find_secrets(dockerfile) if secret.kind is not Kind.RANDOM]
    for number in dict.fromkeys(dockerfile.count("\n", 0, secret.start) for secret in secrets):
        headline = f"the recipe holds a credential, which would stay in the image's history: {redact(lines[number])}"
        yield error("FT552", headline, help="take it out, and mount it with RUN --mount=type=secret")


def _holds_credential(key: str, value: str) -> bool:
    """Return whether a build argument is, or holds, a secret: a token, a parameter of a URL, or a URL's user."""
    found = any(secret.kind is not Kind.RANDOM for secret in find_secrets(value)) or is_literal_secret(key, value)
    return found or re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*@", value) is not None


def _is_pinned(image: str) -> bool:
    tag = image.rpartition("/")[2].partition(":")[2]
    return "@sha256:" in image or tag not in {"", "latest"}


def _incompatible(pins: Mapping[str, str], trainer: Release) -> Iterator[Diagnostic]:
    """Yield a problem for each pin that the package's requirements exclude: pip or LLaMA-Factory would refuse it."""
    if RELEASE not in pins:
        headline = "the image holds no LLaMA-Factory, which is to train"
        yield error("FT554", headline, "trainer.requirements", "", "name llamafactory among its packages")
    elif pins[RELEASE] != trainer.version:
        headline = f"the image holds LLaMA-Factory {pins[RELEASE]}, and the arguments are checked for {trainer.version}"
        yield error("FT554", headline, f"image.{RELEASE}", pins[RELEASE], "choose it by trainer.version")
    for package, specifier in trainer.requires.items():
        name = version_argument(package)
        if name in pins and not satisfies(pins[name], specifier):
            headline = f"LLaMA-Factory {trainer.version} does not run with {package} {pins[name]}: it requires "
            headline += specifier
            yield error("FT555", headline, f"image.{name}", pins[name], f"choose a version within {specifier}")
    pinned = pins.get("TRANSFORMERS_VERSION", trainer.transformers)
    if pinned != trainer.transformers and satisfies(pinned, trainer.requires.get("transformers", "")):
        headline = (
            f"trainer arguments are checked for transformers {trainer.transformers}, and the image holds {pinned}"
        )
        yield warning("FT556", headline, "image.TRANSFORMERS_VERSION", pinned, "some arguments have other names there")


def satisfies(version: str, specifier: str) -> bool:
    """Return whether a version matches a specifier such as `!=4.57.0,<=5.6.0`, ignoring suffixes such as `.post2`."""
    numbers = _numbers(version)
    return all(
        _COMPARISONS[operator](_order(numbers, _numbers(bound))) for operator, bound in _CLAUSE.findall(specifier)
    )


_DIGITS = 64
"""Length of a number that no release has; Python converts none of thousands of digits."""


def _numbers(version: str) -> list[int]:
    release = re.match(r"\d+(\.\d+)*", version)
    return [int(part[:_DIGITS]) for part in release[0].split(".")] if release else []


def _order(one: list[int], other: list[int]) -> int:
    """Compare two versions, the shorter one padded with zeros: -1, 0 or 1."""
    length = max(len(one), len(other))
    padded = [numbers + [0] * (length - len(numbers)) for numbers in (one, other)]
    return (padded[0] > padded[1]) - (padded[0] < padded[1])
