"""The story of a job, from the command line to bytes.

    compose → admit (shape) → judge (meaning) → lower → patch → conform (schema) → cohere (agreement) → render

Within a step every problem is reported; the next step does not run on rejected input.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ftgen import contract, delivery, lower, naming, overlay, project, render, schema, terms
from ftgen.compose import Composer, Composition
from ftgen.diagnostics import Diagnostic, note, require
from ftgen.lower import Bundle, Identity
from ftgen.recall import Form, Recall, Recalls, at_hand, fill
from ftgen.rules import (
    ADMISSION,
    AGREEMENT,
    CLAIM_LINT,
    ENVIRONMENT,
    LINT,
    OBJECT,
    ROLLOUT,
    SPEC,
    SYNC,
    admission,
    secrets,
    sizing,
    training,
)
from ftgen.spec import Admission, Spec, admit
from ftgen.tree import DELIVERY, Run, object_of
from ftgen.validation import Call, Context, Scope, unreported, validate
from ftgen.validation.manifest import companions, version_of


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
        label = self.identity.label
        identity = f"{self.identity.folder}/{label}" if label else self.identity.folder
        return Run(self.identity.folder, self.name, identity, self.files, terms.stated(self.spec, self.diagnostics))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands in a sweep; the default is a job of its own.

    Attributes:
        folder: the sweep's folder; empty: as the job says.
        label: what tells it from the other points.
        swept: the keys that the sweep varies, with this point's values as text.
    """

    folder: str = ""
    label: str = ""
    swept: Mapping[str, str] = field(default_factory=dict)


class Beside:
    """What lies beside the configuration, the user's own and the packaged: overlays and schemas, read once."""

    def __init__(self, directory: Path) -> None:
        """Look around in the working directory."""
        self.schemas = schema.imported(directory)
        self._directory = directory
        self._patches: dict[tuple[object, ...], list[overlay.Patch]] = {}
        self._conflicts: dict[tuple[object, ...], list[Diagnostic]] = {}
        self._recalls = Recalls()
        self.admit = Admission().admit

    def recall(self, choices: Mapping[str, str]) -> Recall:
        """What was said of jobs of the same choices."""
        return self._recalls.of(tuple(choices.items()))

    def patches(self, choices: Mapping[str, str], packs: tuple[str, ...] = ()) -> list[overlay.Patch]:
        """The overlays of the chosen options, packs of overlays among them."""
        chosen = (*choices.items(), *packs)
        if chosen not in self._patches:
            self._patches[chosen] = overlay.collect(choices, overlay_folders(self._directory, packs))
        return self._patches[chosen]

    def conflicts(self, patches: list[overlay.Patch], volcano_version: str) -> list[Diagnostic]:
        """Where those overlays contradict each other."""
        chosen = (*map(id, patches), volcano_version)
        if chosen not in self._conflicts:
            self._conflicts[chosen] = overlay.conflicts(patches, volcano_version)
        return self._conflicts[chosen]


def compile_job(composer: Composer, overrides: Sequence[str]) -> Compiled:
    """Compile the job that a command line describes.

    Raises:
        Rejected: with every problem of the first step that found an error.
    """
    composition = composer.compose(composer.parse(overrides))
    job = compile_composition(composer, composition, tuple(overrides))
    return replace(job, diagnostics=(*job.diagnostics, *_unswept(composition)))


def _unswept(composition: Composition) -> Iterator[Diagnostic]:
    """What a file, such as a preset, says of a sweep that nobody asked to expand."""
    parameters = (composition.hydra.get("sweeper") or {}).get("params")
    for key, said in (("sweep", composition.sweep), ("hydra.sweeper.params", parameters)):
        if said:
            help_ = "add --multirun (-m) to render every job of the sweep"
            yield note("FT037", f"this is one job, and what {key} says is left out", key, help=help_)


def compile_composition(
    composer: Composer,
    composition: Composition,
    overrides: tuple[str, ...],
    place: Place = Place(),
    beside: Beside | None = None,
) -> Compiled:
    """Compile what was composed; see the module's docstring for the steps."""
    beside = beside or Beside(composer.request.directory)
    recall = beside.recall(composition.choices)
    with at_hand(recall):
        return _compiled(composer, composition, overrides, place, beside, call=recall.ask)


def _compiled(
    composer: Composer,
    composition: Composition,
    overrides: tuple[str, ...],
    place: Place,
    beside: Beside,
    *,
    call: Call,
) -> Compiled:
    spec = sizing.settle(beside.admit(composition.config))
    noticed = [*require([*environment(composition, spec), *judge(spec, place.swept, call)])]
    identity = _identity(spec, composition, overrides, place)
    bundle = lower.lower(spec, identity, composer.scripts(spec.trainer.prepare_script, spec.trainer.script))
    patches = beside.patches(composition.choices, spec.overlays)
    conflicts = beside.conflicts(patches, spec.cluster.volcano_version)
    bundle, lost = overlay.apply(bundle, patches, spec.cluster.volcano_version)
    noticed += [d for d in (*conflicts, *lost) if d.code not in spec.accepted]
    bundle = naming.christen(bundle, spec, identity)
    noticed += require(conform(bundle, spec, beside.schemas))
    noticed += require(guard(bundle, spec, composition.config))
    noticed += require(cohere(bundle, spec, noticed, call))
    if spec.target == "job":
        bundle = lower.plain(bundle)
        noticed += require(conform(bundle, spec, beside.schemas))
    return Compiled(spec, identity, bundle, render.files(bundle, identity), tuple(noticed))


def understand(config: Mapping[str, Any]) -> Spec:
    """The configuration as a specification, its growing sizes settled."""
    return sizing.settle(admit(config))


def judge(spec: Spec, swept: Collection[str] = (), call: Call = Scope.ask) -> list[Diagnostic]:
    """Does it fit together, with itself and with the other jobs of its sweep, whose varied keys are `swept`?

    What is accepted with a reason (`allow`) is not told.
    """
    context = Context(swept=frozenset(swept))
    found = [*validate(SPEC, spec, context, call), *training.judge(spec, call)]
    return unreported([*found, *validate(ROLLOUT, spec, context, call)], spec.accepted)


def cohere(bundle: Bundle, spec: Spec, noticed: Iterable[Diagnostic], call: Call = Scope.ask) -> list[Diagnostic]:
    """What admission would refuse, what it would admit in vain, and what goes wrong all the same.

    What the configuration was told of already is not told again; notes are for `ftgen check`.
    """
    version, cluster, there = version_of(spec.cluster.volcano_version), spec.cluster, companions(bundle.companions)
    context = Context(version, cluster.facts, spec.hardware.card, cluster.pod_security, there.claims, there.config_maps)
    found = validate(ADMISSION, admission.mutate(bundle.job, volcano_version=version), context, call)
    found += validate(AGREEMENT, bundle.job, context, call)
    found += [d for each in bundle.companions for d in validate(CLAIM_LINT, each, context, call, notes=False)]
    found += validate(LINT, bundle.job, context, call, notes=False)
    found += [d for manifest in bundle.objects for d in validate(OBJECT, manifest, context)]
    return unreported(found, {*spec.accepted, *(d.code for d in noticed)})


def guard(bundle: Bundle, spec: Spec, config: Mapping[str, Any]) -> list[Diagnostic]:
    """What must reach neither a repository nor a reconciler: secrets, and what would repeat or end a training."""
    leaked = [found for manifest in bundle.objects for found in secrets.scan(manifest)]
    found = secrets.blamed(leaked, config) if leaked else []
    if spec.delivery.reconciler != "kubectl":
        context = Context(reconciler=spec.delivery.reconciler)
        found += [d for manifest in bundle.objects for d in validate(SYNC, manifest, context)]
    return unreported(found, spec.accepted)


def environment(composition: Composition, spec: Spec) -> list[Diagnostic]:
    """Values that an environment variable gave: no file tells them, so that they never land unsaid, secrets never."""
    given = composition.environment
    secret = validate(ENVIRONMENT, (given, composition.config)) if given else []
    told = [
        note("FT017", f"{key} holds what the environment variable {' and '.join(names)} held here", key, help=_SAY_IT)
        for key, names in given.items()
        if key not in {each.subject for each in secret}
    ]
    return unreported([*secret, *told], spec.accepted)


_SAY_IT = "write the value itself where others must render the same job"


def conform(bundle: Bundle, spec: Spec, imported: Path | None = None) -> list[Diagnostic]:
    """What the schemas of the cluster say of each object: its own where they were imported, else its releases'."""
    version = spec.cluster.volcano_version
    return [d for o in bundle.objects for d in contract.conform(o, volcano_version=version, imported=imported)]


def overlay_folders(directory: Path, packs: tuple[str, ...] = ()) -> list[Path]:
    """Where overlays lie; see `overlay.folders`."""
    return overlay.folders(directory, packs)


def _identity(spec: Spec, composition: Composition, overrides: tuple[str, ...], place: Place) -> Identity:
    folder = place.folder or naming.folder(spec, frozenset(place.swept))
    digest = config_digest(composition.config)
    return Identity(folder, place.label, overrides, composition.choices, digest, project.VERSION, place.swept)


def config_digest(config: Mapping[str, Any]) -> str:
    """sha256 of a resolved configuration, in hex."""
    return hashlib.sha256(fill(_CONFIG, config)).hexdigest()


def _json(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return text.encode("utf-8", "surrogatepass")


_CONFIG = Form(_json, naming.cut(_json))


def deliver(
    jobs: Iterable[Compiled], told: delivery.Place | None = None, extras: Mapping[str, bytes] = MappingProxyType({})
) -> list[Run]:
    """What points the reconciler at the jobs' folders, where `delivery.application` asks for it.

    Args:
        jobs: all jobs that go to their folders.
        told: where the tree is published to, for what the configuration leaves open.
        extras: what else goes to their folders, by path.

    Raises:
        Rejected: FT540 or FT541 (see `delivery`), and what the schemas of Argo CD and Flux refuse.
    """
    folders: dict[str, list[Compiled]] = {}
    for job in jobs:
        if job.spec.delivery.application:
            folders.setdefault(job.identity.folder, []).append(job)
    return [run for name, held in folders.items() for run in _delivered(name, held, told, extras)]


def _delivered(
    name: str, jobs: Sequence[Compiled], told: delivery.Place | None, extras: Mapping[str, bytes]
) -> list[Run]:
    chosen, namespace = jobs[0].spec.delivery, jobs[0].spec.cluster.namespace
    folder = delivery.Folder(name, namespace, _sizes(jobs), frozenset((*_kinds(jobs), *_described(extras))))
    where = delivery.place(chosen, told)
    health = (project.overlays_dir() / "delivery" / "argocd" / "health.lua").read_text(encoding="utf-8")
    found = {
        f"project/{namespace}": delivery.shared(chosen, where, folder, health),
        f"application/{name}": delivery.for_folder(chosen, where, folder),
    }
    return [_pointer(key, objects, jobs[0].identity) for key, objects in found.items() if objects]


def _sizes(jobs: Iterable[Compiled]) -> dict[str, int]:
    return {path: len(content) for job in jobs for path, content in job.files.items()}


def _kinds(jobs: Iterable[Compiled]) -> Iterator[tuple[str, str, bool]]:
    for job in jobs:
        for manifest in job.bundle.objects:
            group = manifest["apiVersion"].rpartition("/")[0]
            yield group, manifest["kind"], "namespace" not in manifest["metadata"]


def _described(files: Mapping[str, bytes]) -> Iterator[tuple[str, str, bool]]:
    for path, content in files.items():
        if path.endswith(".yaml"):
            version, kind, name = object_of(content).split(" ")
            yield version.rpartition("/")[0], kind, name.startswith("/")


def _pointer(key: str, objects: Sequence[lower.Object], identity: Identity) -> Run:
    require([found for o in objects for found in (*contract.conform(o), *secrets.scan(o))])
    files = {f"{DELIVERY}/{render.file_name(o)}": render.document(o, identity) for o in objects}
    return Run(DELIVERY, key, f"{DELIVERY}/{key}", files)
