"""The story of a job, from the command line to bytes.

    compose → admit (shape) → judge (meaning) → lower → patch → conform (schema) → cohere (agreement) → render

Within a step every problem is reported; the next step does not run on rejected input.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.types import Override

from ftgen import __version__, contract, lower, naming, overlay, project, render
from ftgen.compose import Composer, Composition
from ftgen.diagnostics import Diagnostic, note, require
from ftgen.lower import Bundle, Identity
from ftgen.rules import meaning, training
from ftgen.spec import Spec, admit
from ftgen.tree import Run


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled job: what was understood, its objects and their bytes, and what was noticed on the way."""

    spec: Spec
    identity: Identity
    bundle: Bundle
    files: Mapping[str, bytes]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def name(self) -> str:
        """The job's name; empty where the API server makes it up."""
        return str(self.bundle.job["metadata"].get("name", ""))

    @property
    def run(self) -> Run:
        """The job as the output tree knows it."""
        return Run(self.identity.folder, self.name, self.identity.stem, self.files)


def compile_job(composer: Composer, overrides: Sequence[str]) -> Compiled:
    """Compile the job that a command line describes.

    Raises:
        Rejected: with every problem of the first step that found an error.
    """
    parsed: list[Override] = composer.parse(overrides)
    return compile_composition(composer, composer.compose(parsed), tuple(overrides))


def compile_composition(composer: Composer, composition: Composition, overrides: tuple[str, ...]) -> Compiled:
    """Compile what was composed; see the module's docstring for the steps."""
    spec = admit(composition.config)
    noticed = list(require(judge(spec)))
    identity = _identity(spec, composition, overrides)
    bundle = lower.lower(spec, identity, composer.scripts(spec.trainer.prepare_script, spec.trainer.script))
    patches = overlay.collect(composition.choices, overlay_folders(composer.request.directory))
    bundle = naming.christen(overlay.apply(bundle, patches, spec.cluster.volcano_version), spec, identity)
    noticed += require(conform(bundle, spec, imported_schemas(composer.request.directory)))
    return Compiled(spec, identity, bundle, render.files(bundle, identity), tuple(noticed))


def judge(spec: Spec) -> list[Diagnostic]:
    """Does it fit together?  What is accepted with a reason (`allow`) is not told."""
    found = [*meaning.judge(spec), *training.judge(spec)]
    return [d for d in found if d.code not in spec.accepted]


def environment(composition: Composition, spec: Spec) -> list[Diagnostic]:
    """Values that an environment variable gave: no file tells them, so that they never land unsaid."""
    if "FT017" in spec.accepted:
        return []
    return [
        note("FT017", f"{key} holds what the environment variable {' and '.join(names)} held here", key, help=_SAY_IT)
        for key, names in composition.environment.items()
    ]


_SAY_IT = "write the value itself where others must render the same job"


def conform(bundle: Bundle, spec: Spec, imported: Path | None = None) -> list[Diagnostic]:
    """What the schemas of the cluster say of each object: its own where they were imported, else its releases'."""
    version = spec.cluster.volcano_version
    return [d for o in bundle.objects for d in contract.conform(o, volcano_version=version, imported=imported)]


def imported_schemas(directory: Path) -> Path | None:
    """Where `ftgen schema import` puts a cluster's own schemas: `schemas/` in the working directory."""
    own = (directory / "schemas").resolve()
    return own if own.is_dir() and own != project.schemas_dir().resolve() else None


def overlay_folders(directory: Path) -> list[Path]:
    """Where overlays lie: the packaged ones, then the user's own in the working directory."""
    own, packaged = directory / "overlays", project.overlays_dir()
    return [packaged] if own.resolve() == packaged.resolve() else [packaged, own]


def _identity(spec: Spec, composition: Composition, overrides: tuple[str, ...]) -> Identity:
    folder = naming.folder(spec)
    text = json.dumps(composition.config, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Identity(folder, "", overrides, composition.choices, digest, __version__)
