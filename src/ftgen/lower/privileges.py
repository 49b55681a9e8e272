"""What overlays add to pods that the restricted pod security standard forbids, and `job.security=auto` then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ftgen.diagnostics import Diagnostic, note
from ftgen.lower import security
from ftgen.lower.overlay import Patch
from ftgen.spec import Spec
from ftgen.text.paths import Steps, leaves
from ftgen.text.shapes import entries, text

_OF_PODS = {"PodTemplate", "Job", "Deployment", "InferenceService"}
_IF_TRUE = {
    "hostNetwork": "the node's own network",
    "hostPID": "the processes of the node",
    "hostIPC": "the shared memory of the node",
    "privileged": "privileged containers",
}
_FREE_CAPABILITY = "NET_BIND_SERVICE"


def settle(spec: Spec, patches: Sequence[Patch]) -> tuple[Spec, list[Diagnostic]]:
    """Return the specification with `job.security=none` where auto meets an overlay that stands against it.

    A note (FT272) says so at the overlay's line.  The restricted level would refuse such a job whatever its user, and
    what overlays add of the node mostly belongs to root.
    """
    if spec.job.security != "auto" or not security.is_restricted(spec) or security.level(spec) == "restricted":
        return spec, []
    notes = [_note(patch, place, what) for patch in patches for what, place in _needs(patch.document).items()]
    relaxed = spec.model_copy(update={"job": spec.job.model_copy(update={"security": "none"})}) if notes else spec
    return relaxed, notes


def _note(patch: Patch, place: Steps, what: str) -> Diagnostic:
    headline = f"pods keep root and their capabilities, as the restricted level forbids {what}"
    help_ = f"leave it out of the overlay {patch.name}, or write job.security=none"
    return note("FT272", headline, help=help_).at(patch.at(place))


def _needs(document: Any) -> dict[str, Steps]:
    """Return what a patch sets that the restricted level forbids, each with its first place."""
    found: dict[str, Steps] = {}
    for path, place, value in _settings(document):
        if what := _forbidden(path, value):
            found.setdefault(what, place)
    return found


def _settings(document: Any) -> Iterator[tuple[Steps, Steps, Any]]:
    """Yield each scalar that a patch of pods sets: its path in the object, its place in the patch, and its value."""
    if isinstance(document, list):
        for number, operation in entries(document):
            if operation.get("op") != "test":
                pointer = text(operation.get("path")).split("/")
                for path, value in leaves(operation.get("value")):
                    yield (*pointer, *path), (number, "value", *path), value
    elif document.get("kind") in _OF_PODS:
        for path, value in leaves(document):
            yield path, path, value


def _forbidden(path: Steps, value: Any) -> str | None:
    """Return what the restricted level forbids of a scalar, in words."""
    if "hostPath" in path:
        return "folders of the node"
    names = [step for step in path if isinstance(step, str)]
    last = names[-1] if names else ""
    if value is True and last in _IF_TRUE:
        return _IF_TRUE[last]
    if names[-2:] == ["capabilities", "add"] and value != _FREE_CAPABILITY:
        return f"the capability {value}"
    if (last == "runAsUser" and value == 0) or (last == "runAsNonRoot" and value is False):
        return "root"
    return None
