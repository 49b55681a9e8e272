"""Pins: the commits and digests that stand for movable references, and the file that holds them.

A branch, a git tag or the tag of an image may mean something else tomorrow.  `ftgen lock` asks what each stands for and
writes the answers to `pins.yaml` beside the configuration; every render takes them from there, as if the user had
written the commit or the digest.  A manifest records the pins that it was rendered with, in the same shape.

The file may have come with a clone, and an annotation may have been edited: their shape is checked here.

* FT783: a file of pins has another shape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field

from ftgen.diagnostics import Diagnostic, Location, Rejected, error
from ftgen.text import kube, parts, yamlio
from ftgen.text.paths import Steps

FILE = "pins.yaml"
"""Name of the file, in a folder of the configuration."""
VERSION = 1
_HEADER = """\
# What branches, git tags and image tags stood for when `ftgen lock` asked; renders take these commits and digests.
# `ftgen lock` adds what is missing, `ftgen lock --upgrade` asks again. Entries may be edited and removed by hand.
"""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Kind = Literal["git", "image"]


class Reference(NamedTuple):
    """What may stand for something else tomorrow.

    Attributes:
        kind: `git`, a branch or tag of a repository, or `image`, the tag of an image.
        name: URL of the repository, or the image as a manifest names it.
        revision: branch or tag; empty for the default branch, and for an image.
    """

    kind: Kind
    name: str
    revision: str = ""

    def __str__(self) -> str:
        """Return the reference as messages show it."""
        if self.kind == "image":
            return self.name
        return f"{self.name} at {self.revision or 'its default branch'}"


Pins = Mapping[Reference, str]
"""Commit or digest by the reference that it stands for."""


class PinFile(Struct, frozen=True):
    """File of pins.

    Attributes:
        path: the file as the user would type it; empty if there is none.
        pins: its pins.
        lines: line of each.
    """

    path: str = ""
    pins: Pins = field(default_factory=dict)
    lines: Mapping[Reference, int] = field(default_factory=dict)

    def at(self, reference: Reference) -> Location:
        """Return the location of a pin."""
        return Location(self.path, self.lines[reference])


def repository(url: object, revision: object) -> Reference | None:
    """Return the movable reference of a repository's revision; None for a full commit, or what is no text."""
    wanted = str(revision) if isinstance(revision, int) and not isinstance(revision, bool) else revision or ""
    if not isinstance(url, str) or not isinstance(wanted, str) or is_commit(wanted):
        return None
    return Reference("git", url, wanted)


def image(name: object) -> Reference | None:
    """Return the movable reference of an image's tag; None for an image with a digest, or what is no image."""
    is_movable = isinstance(name, str) and "@" not in name and kube.is_image_reference(name)
    return Reference("image", name) if is_movable and isinstance(name, str) else None


def pinned_text(reference: Reference, pin: str) -> str:
    """Return what stands in the reference's place: the commit, or the image with its tag and its digest."""
    return pin if reference.kind == "git" else f"{reference.name}@{pin}"


def is_commit(text: str) -> bool:
    """Return whether a text is a whole commit, by sha1 or sha256."""
    return bool(_COMMIT.fullmatch(text))


def is_digest(text: str) -> bool:
    """Return whether a text is a digest that registries and the kubelet take."""
    return bool(_DIGEST.fullmatch(text))


# --- written and read ----------------------------------------------------------------------------------


def file_text(pins: Pins) -> str:
    """Return the text of a file of pins: sorted, with nothing that changes without need."""
    return _HEADER + yamlio.dump({"version": VERSION, **_plain(pins)})


def annotation(pins: Pins) -> str | None:
    """Return pins as JSON text on one line; None if there are none."""
    return json.dumps(_plain(pins), ensure_ascii=False) if pins else None


def _plain(pins: Pins) -> dict[str, list[dict[str, str]]]:
    ordered = sorted(pins.items())
    repositories = [
        {"url": r.name, **({"revision": r.revision} if r.revision else {}), "commit": pin}
        for r, pin in ordered
        if r.kind == "git"
    ]
    images = [{"image": r.name, "digest": pin} for r, pin in ordered if r.kind == "image"]
    return {**({"git": repositories} if repositories else {}), **({"images": images} if images else {})}


def read(text: str, path: str) -> PinFile:
    """Parse a file of pins.

    Raises:
        Rejected: FT001, it is no YAML; FT783, for each entry of another shape.
    """
    document = yamlio.document(text, path, parts.MOST_OF_SOURCE)

    def at(problem: _Problem) -> Diagnostic:
        mark = document.nearest(problem.path)
        found = error("FT783", f"{path} is no file of pins: {problem.reason}", "", help=problem.help)
        return found.at(Location(path, mark.line, mark.column))

    pins, lines, problems = dict[Reference, str](), dict[Reference, int](), list[_Problem]()
    for each in _entries(document.value, versioned=True):
        if isinstance(each, _Problem):
            problems.append(each)
        elif pins.setdefault(each.reference, each.pin) != each.pin:
            problems.append(_Problem(each.path, f"a second entry pins {each.reference}", "remove one of them"))
        else:
            lines.setdefault(each.reference, document.nearest(each.path).line)
    if problems:
        raise Rejected(map(at, problems))
    return PinFile(path, pins, lines)


def of_annotation(value: Any) -> Pins:
    """Return the pins that a manifest records.

    Args:
        value: the annotation's parsed JSON.

    Raises:
        ValueError: if it has another shape.
    """
    pins = dict[Reference, str]()
    for each in _entries(value, versioned=False):
        if isinstance(each, _Problem):
            raise ValueError(each.reason)  # noqa: TRY004 - one error type for every defect
        pins[each.reference] = each.pin
    return pins


class _Problem(NamedTuple):
    path: Steps
    reason: str
    help: str = "restore it, or remove the entry and run `ftgen lock`"


class _Entry(NamedTuple):
    path: Steps
    reference: Reference
    pin: str


def _entries(value: Any, *, versioned: bool) -> Iterator[_Entry | _Problem]:
    """Yield the entries of a mapping of pins, and what is wrong with it."""
    if not isinstance(value, dict):
        yield _Problem((), "it is no mapping")
        return
    if versioned and (type(value.get("version")) is not int or value["version"] != VERSION):
        yield _Problem(("version",), f"its version is not {VERSION}", "remove the file, and run `ftgen lock`")
        return
    known = {"git", "images", *(("version",) if versioned else ())}
    yield from (_Problem((key,), f"it has an unknown key {key!r}", "remove it") for key in value if key not in known)
    yield from _listed(value, "git", {"url", "revision", "commit"}, _repository_entry)
    yield from _listed(value, "images", {"image", "digest"}, _image_entry)


def _listed(value: Mapping[str, Any], key: str, fields: set[str], of: Any) -> Iterator[_Entry | _Problem]:
    listed = value.get(key, [])
    if not isinstance(listed, list):
        yield _Problem((key,), f"{key} is no list")
        return
    for index, entry in enumerate(listed):
        path = (key, index)
        is_entry = isinstance(entry, dict) and set(entry) <= fields and all(isinstance(v, str) for v in entry.values())
        if is_entry:
            yield of(path, entry)
        else:
            yield _Problem(path, f"an entry of {key} has the keys {', '.join(sorted(fields))}, each with a text")


def _repository_entry(path: Steps, entry: Mapping[str, str]) -> _Entry | _Problem:
    url, revision, commit = (entry.get(name, "") for name in ("url", "revision", "commit"))
    reference = repository(url, revision)
    if not url or not url.isprintable() or not revision.isprintable() or reference is None:
        return _Problem(path, "an entry of git names no repository, or a revision that is a commit already")
    if not is_commit(commit):
        return _Problem((*path, "commit"), f"{commit!r} is no whole commit of 40 hexadecimal digits")
    return _Entry(path, reference, commit)


def _image_entry(path: Steps, entry: Mapping[str, str]) -> _Entry | _Problem:
    reference, digest = image(entry.get("image", "")), entry.get("digest", "")
    if reference is None:
        return _Problem(path, f"{entry.get('image', '')!r} is no image with a tag")
    if not is_digest(digest):
        return _Problem((*path, "digest"), f"{digest!r} is no digest: sha256: and 64 hexadecimal digits")
    return _Entry(path, reference, digest)
