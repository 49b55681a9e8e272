"""The recipe of a runtime image: a Dockerfile for the cards' vendor, the trainer and the tracker of runs.

`conf/image.Dockerfile` is a complete Dockerfile in which every choice is the default of an `ARG`.  `recipe` writes the
facts of the chosen options into these defaults, adds an `ARG` for each version that an option states, and leaves out
the versions of packages that nobody asks for.  It changes nothing else, and nothing is copied into the image, so that
the text alone builds it.  A user's own `conf/hardware/<vendor>.Dockerfile` takes the place of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic, Rejected, Severity, error
from ftgen.spec import Base, Command, LlamaFactory, Spec
from ftgen.text import kube
from ftgen.trainers import image, trackers
from ftgen.trainers.command import LAUNCHER_REQUIREMENTS, LAUNCHER_SYSTEM_REQUIREMENTS

COMMON = "image.Dockerfile"
WRITTEN = frozenset({"SYSTEM_REQUIREMENTS", "TORCH_REQUIREMENTS", "REQUIREMENTS", "SOURCE", "LIBRARIES", "RECIPE"})
"""Arguments of the common recipe that ftgen writes itself: no user gives them."""

# Debian packages of every image, by which the containers' scripts fetch and push.
_SYSTEM = ("git", "git-lfs")
_HOLDS, _TORCH = "hardware.base.holds", "hardware.base.torch"
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?P<extras>\[[^\]]*\])?(?:==(?P<version>.+))?")
# Versions that belong together, and the comment above them.
_VERSIONS = re.compile(r"((?:^#.*\n)*)((?:^ARG [A-Z0-9_]+_VERSION=.*\n)+)", re.MULTILINE)
# What a tag may not hold (github.com/distribution/reference).
_NOT_IN_TAGS = re.compile(r"[^\w.-]")


class Wanted(Struct, frozen=True):
    """A Python package that an image is to hold.

    Attributes:
        name: name, as the option writes it.
        extras: its extras in brackets, such as `[metrics]`; empty: none.
        version: version that the option states; empty: the one in the common recipe.
        key: configuration key that asks for it.
    """

    name: str
    extras: str
    version: str
    key: str

    @property
    def argument(self) -> str:
        """Return the name of the build argument that holds its version."""
        return image.version_argument(self.name)

    @property
    def word(self) -> str:
        """Return the requirement as it stands in the Dockerfile: `peft==${PEFT_VERSION}`."""
        return f"{self.name}{self.extras}==${{{self.argument}}}"


class Recipe(Struct, frozen=True):
    """A Dockerfile, and what is known of the image that it builds.

    Attributes:
        text: the Dockerfile.
        base: facts of the base image that the option names; None: it names none, or the recipe is the user's own.
        packages: what the image will hold of what trainers ask for; None: the recipe is the user's own.
    """

    text: str
    base: Base | None
    packages: tuple[str, ...] | None

    @property
    def arguments(self) -> dict[str, str]:
        """Return the build arguments that a user may give, with their defaults."""
        written = WRITTEN if self.packages is not None else frozenset()
        return {name: value for name, value in image.arguments(self.text).items() if name not in written}


def recipe(spec: Spec, read: Callable[[str], str | None]) -> Recipe:
    """Return the recipe for a configuration, before build arguments are given.

    Args:
        spec: the configuration.
        read: returns the text of a file of the configuration folders; None if there is none.

    Raises:
        Rejected: FT762 or FT763 about packages.
    """
    own = read(image.recipe(spec.hardware.vendor).as_posix())
    if own is not None:
        return Recipe(_for_release(own, spec), None, None)
    common, base = read(COMMON) or "", spec.hardware.base
    lacking = {image.canonical(name) for name in base.lacks} if base else set()
    asked = [one for one in _packages(spec) if image.canonical(one.name) not in lacking]
    torch = [one for one in asked if one.key == _TORCH]
    others = [one for one in asked if one.key not in {_TORCH, _HOLDS}]
    text = _with_versions(_for_release(common, spec), [*torch, *others])
    facts = {**_facts(spec), "TORCH_REQUIREMENTS": _quoted(torch), "REQUIREMENTS": _quoted(others)}
    names = sorted({image.canonical(one.name) for one in (*torch, *others)})
    return Recipe(image.with_arguments(text, facts), base, (*_system(spec), *names))


def offered(text: str, asked: Iterable[str], base: str) -> dict[str, str]:
    """Return the build arguments that a recipe takes, with their defaults, from texts that nobody has checked.

    Args:
        text: the recipe.
        asked: Python packages that the chosen options ask for.
        base: the base image; empty: not known.
    """
    found = image.arguments(text)
    if "REQUIREMENTS" not in found:
        return found
    matches = [match for match in map(_REQUIREMENT.fullmatch, asked) if match]
    versions = {image.version_argument(match["name"]): match["version"] or "" for match in matches}
    own = {n: v for n, v in found.items() if n not in WRITTEN and (n in versions or not n.endswith("_VERSION"))}
    return {**own, **{n: v for n, v in versions.items() if v}, "BASE_IMAGE": base}


def _for_release(text: str, spec: Spec) -> str:
    """Return a recipe with the versions that the trainer's release accepts."""
    release = image.release(spec.trainer.version) if isinstance(spec.trainer, LlamaFactory) else None
    return image.with_arguments(text, image.release_arguments(text, release)) if release else text


def _system(spec: Spec) -> tuple[str, ...]:
    if not isinstance(spec.trainer, Command):
        return _SYSTEM
    return tuple(
        dict.fromkeys(
            [*_SYSTEM, *spec.trainer.system_requirements, *LAUNCHER_SYSTEM_REQUIREMENTS[spec.trainer.launcher]]
        )
    )


def _packages(spec: Spec) -> list[Wanted]:
    """Return the Python packages that the base holds and that vendor, trainer and tracker ask for, each once.

    Raises:
        Rejected: FT763, if two of them ask for different versions of one package.
    """
    tracker, base = trackers.PACKAGES.get(spec.tracking.report_to), spec.hardware.base
    asked = {
        _HOLDS: base.holds if base else (),
        _TORCH: base.torch if base else (),
        "trainer.requirements": (*spec.trainer.requirements, *LAUNCHER_REQUIREMENTS[spec.trainer.launcher]),
        "tracking.report_to": (tracker,) if tracker else (),
        "hardware.base.requirements": base.requirements if base else (),
    }
    found: dict[str, Wanted] = {}
    for key, texts in asked.items():
        for text in texts:
            one = _wanted(text, key)
            other = found.setdefault(one.argument, one)
            if one.version and one.version != other.version:
                if other.version:
                    raise Rejected([_contradiction(one, other)])
                found[one.argument] = one
    return list(found.values())


def _contradiction(one: Wanted, other: Wanted) -> Diagnostic:
    headline = f"{other.key} asks for {other.name} {other.version}, and {one.key} for {one.version}"
    return error("FT763", headline, one.key, one.version, "state one version")


def _wanted(text: str, key: str) -> Wanted:
    match = _REQUIREMENT.fullmatch(text)
    if match is None:  # the specification accepts no other form
        raise AssertionError(text)
    return Wanted(match["name"], match["extras"] or "", match["version"] or "", key)


def _with_versions(text: str, wanted: Iterable[Wanted]) -> str:
    """Return the recipe with one `ARG` for the version of each package, and without those of others.

    Raises:
        Rejected: FT762, for every package whose version neither the option nor the recipe states.
    """
    by_argument = {one.argument: one for one in wanted}
    known = image.arguments(text)
    unknown = [one for one in by_argument.values() if not one.version and one.argument not in known]
    if unknown:
        raise Rejected([_without_version(one) for one in unknown])
    kept = _VERSIONS.sub(lambda match: _kept(match[1], match[2], by_argument), text)
    stated = {one.argument: one.version for one in by_argument.values() if one.version}
    return _inserted(image.with_arguments(kept, stated), by_argument, stated, known)


def _without_version(one: Wanted) -> Diagnostic:
    cure = f"state it: '{one.key}=[…,\"{one.name}==VERSION\"]'"
    return error("FT762", f"no version of {one.name} is known for the image", one.key, one.name, cure)


def _kept(comment: str, lines: str, wanted: Mapping[str, Wanted]) -> str:
    """Return the lines whose packages are wanted, with the comment above them; nothing if there are none."""
    kept = [line for line in lines.splitlines(keepends=True) if line[4:].partition("=")[0] in wanted]
    return comment + "".join(kept) if kept else ""


def _inserted(text: str, wanted: Mapping[str, Wanted], stated: Mapping[str, str], known: Mapping[str, str]) -> str:
    """Return the recipe with an `ARG` before its use for each stated version that it had none for."""
    for requirements in ("TORCH_REQUIREMENTS", "REQUIREMENTS"):
        torch = requirements == "TORCH_REQUIREMENTS"
        new = [a for a in stated if a not in known and (wanted[a].key == _TORCH) is torch]
        lines = "".join(f"ARG {argument}={stated[argument]}\n" for argument in new)
        text = re.sub(rf"((?:^#.*\n)*)^ARG {requirements}=", rf"{lines}\g<0>", text, count=1, flags=re.MULTILINE)
    return text


def _quoted(wanted: Iterable[Wanted]) -> str:
    return _list(one.word for one in wanted)


def _list(words: Iterable[str], separator: str = " ") -> str:
    """Return words as one value of an `ARG`."""
    text = separator.join(words)
    return f'"{text}"' if " " in text or "$" in text else text


def _facts(spec: Spec) -> dict[str, str]:
    """Return the arguments that the chosen options decide."""
    base, system = spec.hardware.base, _system(spec)[len(_SYSTEM) :]
    facts = {"SYSTEM_REQUIREMENTS": _list(system), "SOURCE": _list(spec.hardware.source)}
    if base is None:
        return facts
    return {
        **facts,
        "BASE_IMAGE": base.image or "",
        "PYTHON_HOME": base.python_home or "",
        "TORCH_INDEX_URL": base.torch_index or "",
        "LIBRARIES": _list(base.libraries, ":"),
    }


def _stated(spec: Spec) -> dict[str, str]:
    """Return by their keys the texts of the options that stand in the recipe and could be any."""
    base = spec.hardware.base
    single = {} if base is None else {n: getattr(base, n) for n in ("image", "python_home", "torch_index")}
    several = {"source": spec.hardware.source, "base.libraries": base.libraries if base else ()}
    return {
        **{f"hardware.base.{name}": text for name, text in single.items() if text},
        **{f"hardware.{name}.{i}": text for name, texts in several.items() for i, text in enumerate(texts)},
    }


def judge(made: Recipe, values: Mapping[str, str], spec: Spec) -> Iterator[Diagnostic]:
    """Yield what is wrong with a recipe and the build arguments that were given for it."""
    release = image.release(spec.trainer.version) if isinstance(spec.trainer, LlamaFactory) else None
    options = image.invalid(_stated(spec)) if made.packages is not None else ()
    problems = [*options, *image.validate(made.arguments, values, release)]
    problems = problems or [*image.credentials_in(made.text)]
    yield from (_where_stated(problem, values) for problem in problems)
    if any(problem.severity is Severity.ERROR for problem in problems):
        return
    base = {**made.arguments, **values}.get("BASE_IMAGE")
    if base == "":
        yield _no_base(spec)
    elif made.base and made.base.image and base and _tag(base) == _tag(made.base.image):
        yield from _about_base(made.base, release)


def _where_stated(problem: Diagnostic, values: Mapping[str, str]) -> Diagnostic:
    """Return a problem about the option that states a version, where it is no build argument that was given."""
    key, _, name = problem.subject.partition(".")
    return problem if key != "image" or name in values else replace(problem, subject="trainer.requirements")


def _tag(name: str) -> str:
    """Return the tag of an image: a mirror keeps it."""
    return name.rpartition("/")[2].partition("@")[0].partition(":")[2]


def _no_base(spec: Spec) -> Diagnostic:
    vendor, base = spec.hardware.vendor, spec.hardware.base
    reason = base.unsure if base and base.unsure else "hardware.base names none"
    cure = f"give one: image.BASE_IMAGE=REGISTRY/IMAGE:TAG, or write conf/{image.recipe(vendor).as_posix()}"
    headline = f"no base image is known for the recipe of {vendor}: {reason}"
    return error("FT557", headline, "hardware.base.image", "", cure)


def _about_base(base: Base, release: image.Release | None) -> Iterator[Diagnostic]:
    """Yield what the base image lacks for the trainer's release, and what is not known of it."""
    if release is not None:
        held = {one.name: one.version for one in (_wanted(text, "") for text in (*base.holds, *base.torch))}
        requires = {"Python": release.python, **release.requires}
        for name, version in {"Python": base.python or "", **held}.items():
            if version and not image.satisfies(version, requires.get(name, "")):
                yield _too_old(base, name, version, requires[name], release)
    if base.unsure:
        cure = "check it, or give another: image.BASE_IMAGE=REGISTRY/IMAGE:TAG"
        headline = f"of the base image {base.image}: {base.unsure}"
        yield Diagnostic("FT760", Severity.NOTE, headline, "hardware.base.unsure", "", (), cure)


def _too_old(base: Base, name: str, version: str, wanted: str, release: image.Release) -> Diagnostic:
    headline = f"LLaMA-Factory {release.version} requires {name} {wanted}, and {base.image} holds {version}"
    cure = "give another base image (image.BASE_IMAGE=REGISTRY/IMAGE:TAG), or train by the vendor's command: "
    return error("FT761", headline, "hardware.base.image", base.image or "", cure + "trainer=command")


def named(text: str, repository: str, kind: str, version: str) -> tuple[str, str]:
    """Return a Dockerfile that knows its own hash, and the image to build from it.

    The tag is made of the text alone: the same recipe has the same tag everywhere, and any other recipe another one, so
    that the image is neither confused with another nor replaces one.

    Args:
        text: the Dockerfile.
        repository: registry and folder of images, such as `registry.example.com/ftgen`.
        kind: name of the image below it.
        version: the trainer's release, told in the tag; empty: none.
    """
    digest = kube.digest(image.with_arguments(text, {"RECIPE": ""}))
    tag = f"{_NOT_IN_TAGS.sub('-', version)}-{digest}" if version else digest
    return image.with_arguments(text, {"RECIPE": digest}), f"{repository}/{kind}:{tag}"
