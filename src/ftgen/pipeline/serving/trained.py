"""Run that was trained, as its manifest records it, and the command line that serves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field

from ftgen.config.compose import Composer
from ftgen.config.pins import Pins
from ftgen.diagnostics import Rejected, error
from ftgen.lower import naming, record
from ftgen.spec import Spec
from ftgen.text import kube
from ftgen.text.shapes import mapping, text

# A service has pods of one node each, and is neither a job nor part of a sweep.
_OF_TRAININGS = ("hardware.nodes", "target", "sweep", "hydra")


class TrainedRun(Struct, frozen=True):
    """Run that was trained.

    Attributes:
        name: name of the job, and of the branch that it pushed; empty where the API server generated it.
        overrides: command line that it, or what serves it already, was rendered from.
        base: its name without the hash of its content; empty where its configuration gives it.
        pins: commits and digests that took the place of movable references.
    """

    name: str
    overrides: tuple[str, ...]
    base: str = ""
    pins: Pins = field(default_factory=dict)

    def words(self, composer: Composer, asked: Sequence[str]) -> tuple[str, ...]:
        """Return the command line of its service: its own words, then those that were asked for.

        A word that chooses another option replaces all of the run's words about that group.

        Raises:
            Rejected: words are no overrides; they are counted through the run's own and those that were asked for.
        """
        keys = [override.key_or_group for override in composer.parse((*self.overrides, *asked))]
        chosen = {key for key in keys[len(self.overrides) :] if composer.is_group(key)}
        kept = (w for w, k in zip(self.overrides, keys, strict=False) if not _is_of(k, {*chosen, *_OF_TRAININGS}))
        return (*kept, *asked)

    def base_name(self, spec: Spec) -> str:
        """Return the name of the run without the hash of its content."""
        return self.base or naming.folder(spec)


def _is_of(key: str, names: Iterable[str]) -> bool:
    """Return whether a key is one of the names, or lies below it."""
    return any(key == name or key.startswith((f"{name}.", f"{name}/")) for name in names)


def trained_run(manifest: Any, file: str) -> TrainedRun:
    """Return the run that the manifest of a job, or of what serves its result, records.

    Raises:
        Rejected: FT533, the manifest does not record what it was rendered from; FT748, it is neither.
    """
    noted, metadata = record.annotations_of(manifest), mapping(mapping(manifest).get("metadata"))
    if mapping(manifest).get("kind") != "Job" and record.SERVES not in noted:
        help_ = "name the file of a job, or a run; `ftgen status` lists them"
        raise Rejected([error("FT748", f"{file} is no run whose result could be served", file, help=help_)])
    try:
        overrides, point, served = record.overrides(noted), record.point(noted), record.served(noted)
        pins = record.pins(noted)
    except ValueError as problem:
        headline = f"{file} does not say what it was rendered from: {problem}"
        raise Rejected([error("FT533", headline, file, help="only ftgen's own manifests do")]) from None
    name = served.name if served else text(metadata.get("name"))
    base = served.base if served else f"{point.name}-{point.label}" if point else ""
    return TrainedRun(name if kube.is_dns1123_subdomain(name) else "", overrides, base, pins)
