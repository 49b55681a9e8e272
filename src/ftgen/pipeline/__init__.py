"""Compile one job, from the command line to bytes.

    compose → admit → resolve → validate the configuration → lower → patch → name
            → conform to the schemas → find secrets → validate the objects → render

Each step reports every problem it finds; the next step does not run on rejected input.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen import lower, runtime, schema
from ftgen.config.compose import Composer, Composition, Moving, Request, pinned_document
from ftgen.config.pins import Pins
from ftgen.diagnostics import Diagnostic, Rejected, error, note, require
from ftgen.emulation.estimate import Estimate, sizes
from ftgen.emulation.estimate.job import estimate_run
from ftgen.lower import Bundle, Identity, Inputs, naming, overlay, privileges, render, security
from ftgen.output import delivery
from ftgen.output.tree import DELIVERY, Entry, Run, object_of
from ftgen.output.tree.lock import group_of
from ftgen.schema.conform import conform
from ftgen.schema.version import version_of
from ftgen.spec import Spec, admit
from ftgen.trainers import llamafactory
from ftgen.trainers.llamafactory import Configurations
from ftgen.validation import Call, Context, Scope, site, unreported, validate
from ftgen.validation.inventory import Inventory, read_snapshot
from ftgen.validation.manifest import companions
from ftgen.validation.moving import moving, validate_locked
from ftgen.validation.options import dump_options
from ftgen.validation.reuse import WITHOUT_REUSE, Reuse
from ftgen.validation.rules import (
    ADMISSION,
    AGREEMENT,
    CAPACITY,
    CLAIM_LINT,
    ENVIRONMENT,
    LINT,
    NEEDS,
    OBJECT,
    ROLLOUT,
    SCOPES_OF_KIND,
    SPEC,
    SYNC,
    admission,
    secrets,
    training,
)
from ftgen.validation.site import SiteRules

if TYPE_CHECKING:
    from ftgen.emulation.datasets.reading import Reading


class Resolved(Struct, frozen=True):
    """Specification with its sizes resolved, and the values derived from it.

    Attributes:
        spec: specification without minimum sizes (`8Gi+`).
        configurations: configurations of the trainer; None if the user's own command trains.
        estimate: memory and disk space of the training; None if unknown.
    """

    spec: Spec
    configurations: Configurations | None
    estimate: Estimate | None


class Compiled(Struct, frozen=True):
    """Compiled job.

    Attributes:
        spec: specification, with its sizes resolved.
        estimate: memory and disk space of the training; None if unknown.
        identity: folder, label and choices.
        bundle: objects.
        files: rendered objects as bytes, by path below the output folder.
        diagnostics: warnings and notes.
        moving: references of the job that may mean something else tomorrow.
    """

    spec: Spec
    estimate: Estimate | None
    identity: Identity
    bundle: Bundle
    files: Mapping[str, bytes]
    diagnostics: tuple[Diagnostic, ...]
    moving: tuple[Moving, ...]

    @property
    def name(self) -> str:
        """Return the job's name; empty if the API server generates it."""
        return str(self.bundle.job["metadata"].get("name", ""))

    @property
    def run(self) -> Run:
        """Return the job as a run of the output tree."""
        label = self.identity.label
        identity = f"{self.identity.folder}/{label}" if label else self.identity.folder
        return Run(self.identity.folder, self.name, identity, self.files, dump_options(self.spec, self.diagnostics))


class SweepPosition(Struct, frozen=True):
    """Position of a job in a sweep; the default is a single job.

    Attributes:
        folder: folder of the sweep; if empty, the job's specification gives the folder.
        label: label of the job, unique among the points.
        swept: keys that the sweep varies, with this point's values as text.
    """

    folder: str = ""
    label: str = ""
    swept: Mapping[str, str] = field(default_factory=dict)


class Workspace:
    """Overlays, schemas and scripts of one working directory and of the package, each loaded once."""

    def __init__(self, composer: Composer, own: SiteRules | None = None) -> None:
        """Take the working directory, and the search for scripts in it, from a composer.

        Args:
            composer: the composer.
            own: the rules of the site's own; None for those that lie beside its overlays.
        """
        self._own = own
        self.schemas = schema.imported(composer.request.directory)
        self.scripts = composer.scripts
        self.pins, self.locked = composer.pin_file.pins, composer.request.locked
        self._directory = composer.request.directory
        self._request = composer.request
        self._inventories: dict[str, Inventory] = {}
        self._rules: dict[tuple[str, ...], SiteRules] = {}
        self._patches: dict[tuple[object, ...], list[overlay.Patch]] = {}
        self._conflicts: dict[tuple[object, ...], list[Diagnostic]] = {}

    def patches(self, choices: Mapping[str, str], packs: tuple[str, ...] = ()) -> list[overlay.Patch]:
        """Return the overlays of the chosen options and of the overlay packs."""
        chosen = (*choices.items(), *packs)
        if chosen not in self._patches:
            found = overlay.collect(choices, overlay_folders(self._directory, packs))
            self._patches[chosen] = pinned_patches(found, self.pins)
        return self._patches[chosen]

    def rules(self, packs: tuple[str, ...] = ()) -> SiteRules:
        """Return the rules of the site's own, beside its overlays and those of its overlay packs.

        Raises:
            Rejected: FT787, a rule cannot be read.
        """
        if self._own is not None:
            return self._own
        if packs not in self._rules:
            found = [folder for pack in packs if (folder := runtime.folder(pack, self._directory))]
            self._rules[packs] = site.load(site.folders(self._directory, found))
        return self._rules[packs]

    def inventory(self, snapshot: str | None) -> Inventory | None:
        """Return the objects of the cluster in a snapshot; None where no snapshot is named.

        Raises:
            Rejected: FT001 or FT002, the snapshot cannot be read.
        """
        if snapshot and snapshot not in self._inventories:
            self._inventories[snapshot] = read_snapshot(snapshot, snapshot_folders(self._request))
        return self._inventories[snapshot] if snapshot else None

    def conflicts(self, patches: list[overlay.Patch], volcano_version: str) -> list[Diagnostic]:
        """Return a diagnostic for each contradiction between the overlays."""
        chosen = (*map(id, patches), volcano_version)
        if chosen not in self._conflicts:
            self._conflicts[chosen] = overlay.conflicts(patches, volcano_version)
        return self._conflicts[chosen]


def compile_job(composer: Composer, overrides: Sequence[str]) -> Compiled:
    """Compile the job that a command line describes.

    Raises:
        Rejected: every problem of the first step that found an error.
    """
    parsed = composer.parse(overrides)
    composition = composer.compose(parsed)
    job = compile_composition(composition, tuple(overrides), Workspace(composer))
    notes = [*_unexpanded_sweep(composition), *composer.hydra_notes(parsed, composition.hydra)]
    return replace(job, diagnostics=(*job.diagnostics, *notes))


def _unexpanded_sweep(composition: Composition) -> Iterator[Diagnostic]:
    """Yield a note for each sweep that a file, such as a preset, describes and the command line does not expand."""
    parameters = (composition.hydra.get("sweeper") or {}).get("params")
    for key, value in (("sweep", composition.sweep), ("hydra.sweeper.params", parameters)):
        if value:
            help_ = "add --multirun (-m) to render every job of the sweep"
            yield note("FT037", f"this is one job, and what {key} says is left out", key, help=help_)


def compile_composition(
    composition: Composition,
    overrides: tuple[str, ...],
    workspace: Workspace,
    position: SweepPosition = SweepPosition(),  # noqa: B008 - frozen
) -> Compiled:
    """Compile a composed configuration, by the steps in the module's docstring.

    Raises:
        Rejected: every problem of the first step that found an error.
    """
    return compile_spec(admit(composition.config), composition, overrides, workspace, position)


def compile_spec(
    spec: Spec,
    composition: Composition,
    overrides: tuple[str, ...],
    workspace: Workspace,
    position: SweepPosition,
    *,
    reuse: Reuse = WITHOUT_REUSE,
) -> Compiled:
    """Compile a specification that was admitted from a composition.

    Args:
        spec: result of `spec.admit`.
        composition: composed configuration that was admitted.
        overrides: command line that composes it.
        workspace: overlays, schemas and scripts.
        position: position of the job in a sweep.
        reuse: what is reused of the jobs before in a sweep.

    Raises:
        Rejected: every problem of the first step that found an error.
    """
    resolved = resolve(spec, reuse)
    spec, version = resolved.spec, resolved.spec.cluster.volcano_version
    own = workspace.rules(spec.overlays)
    problems = [*validate_environment(composition, spec), *validate_configuration(resolved, position.swept, reuse.call)]
    noticed = [*require([*problems, *own.judge_config(composition.config, reuse.call)])]
    patches = workspace.patches(composition.choices, spec.overlays)
    spec, kept = privileges.settle(spec, patches)
    identity = _identity(spec, composition, overrides, position, reuse)
    identity = replace(identity, pins=pins_used(composition, patches))
    scripts = workspace.scripts(*spec.scripts)
    bundle = lower.lower(Inputs(spec, resolved.configurations, identity, scripts))
    bundle, patch_warnings = overlay.apply(bundle, patches, version)
    noticed += unreported([*kept, *workspace.conflicts(patches, version), *patch_warnings], spec.accepted)
    bundle = _shared(naming.assign_name(bundle, spec, identity), reuse)
    noticed += require(validate_schemas(bundle, spec, workspace.schemas, reuse))
    noticed += require(validate_delivery(bundle, spec, composition.config, reuse))
    inventory = workspace.inventory(spec.cluster.facts.snapshot)
    noticed += require(validate_objects(bundle, spec, noticed, reuse.call, inventory))
    references = moving(composition.config, composition.choices, bundle.objects)
    require(validate_locked(references, workspace.locked))
    if spec.target == "job":
        bundle = lower.plain(bundle)
        noticed += require(validate_schemas(bundle, spec, workspace.schemas, reuse))
        noticed += require(validate_workload(bundle, spec, noticed))
    noticed += require(validate_site(bundle, spec, own, reuse.call))
    files = render.files(bundle, identity, reuse.once)
    return Compiled(spec, resolved.estimate, identity, bundle, files, tuple(noticed), references)


def pinned_patches(patches: Sequence[overlay.Patch], pins: Pins) -> list[overlay.Patch]:
    """Return overlays with the images in them pinned."""
    if not pins:
        return list(patches)
    pinned = ((patch, *pinned_document(patch.document, pins)) for patch in patches)
    return [replace(patch, document=document, pins=used) if used else patch for patch, document, used in pinned]


def pins_used(composition: Composition, patches: Iterable[overlay.Patch]) -> Pins:
    """Return the pins in a configuration and in overlays."""
    return {**dict(composition.pinned.values()), **{ref: pin for patch in patches for ref, pin in patch.pins.items()}}


def _shared(bundle: Bundle, reuse: Reuse) -> Bundle:
    *companions, job = reuse.share(bundle.objects)
    return Bundle(job, tuple(companions))


def resolve(spec: Spec, reuse: Reuse = WITHOUT_REUSE) -> Resolved:
    """Derive the trainer's configurations and the estimate from a specification, and resolve its minimum sizes.

    Raises:
        Rejected: the trainer needs what the specification lacks (`rules.needs`).
    """
    require(validate(NEEDS, spec, call=reuse.call))
    try:
        configurations = llamafactory.configurations(spec)
    except KeyError:  # an unknown release, which the rules refuse (FT103)
        configurations = None
    estimate = estimate_run(spec, configurations)
    return Resolved(sizes.resolve_sizes(spec, estimate, reuse.once), configurations, estimate)


def reading(composer: Composer, overrides: Sequence[str]) -> Reading:
    """Return how the job that a command line describes reads its data.

    Raises:
        Rejected: the configuration, or an argument of its trainer, is wrong; or its own command trains (FT702).
    """
    from ftgen.emulation.datasets.kinds import STAGE  # noqa: PLC0415 - a render asks for no data
    from ftgen.emulation.datasets.reading import reading_of  # noqa: PLC0415 - as above

    spec = admit(composer.compose(composer.parse(overrides)).config)
    resolved = resolve(spec)
    require(unreported(training.validate_arguments(spec, resolved.configurations), spec.accepted))
    found = reading_of(spec)
    if found is None:
        headline = "nothing is known of how the trainer's own command reads data"
        help_ = "choose a trainer of LLaMA-Factory, such as sft-lora"
        raise Rejected([error(STAGE.code, headline, "trainer", help=help_)])
    return found


def validate_configuration(resolved: Resolved, swept: Collection[str] = (), call: Call = Scope.ask) -> list[Diagnostic]:
    """Return the conflicts within the configuration, and with the other jobs of its sweep.

    Args:
        resolved: specification with the values derived from it.
        swept: keys that the sweep varies.
        call: runs the rules of a scope.
    """
    spec, context = resolved.spec, Context(swept=frozenset(swept), estimate=resolved.estimate)
    found = [*validate(SPEC, spec, context, call), *training.validate_arguments(spec, resolved.configurations, call)]
    return unreported([*found, *validate(ROLLOUT, spec, context, call)], spec.accepted)


def validate_objects(
    bundle: Bundle,
    spec: Spec,
    noticed: Iterable[Diagnostic],
    call: Call = Scope.ask,
    inventory: Inventory | None = None,
) -> list[Diagnostic]:
    """Return what admission would refuse, what could never run once admitted, and what fails at run time.

    Diagnostics of the configuration, `noticed`, are not repeated; only `ftgen check` reports notes.
    """
    context = _context(bundle, spec)
    if inventory:
        context = replace(context, inventory=inventory, queues=inventory.queues)
    stored = admission.mutate(bundle.job, volcano_version=context.version)
    found = validate(ADMISSION, stored, context, call, notes=False)
    found += validate(CAPACITY, stored, context, call, notes=False) if inventory else []
    found += validate(AGREEMENT, bundle.job, context, call)
    found += [d for manifest in bundle.companions for d in validate(CLAIM_LINT, manifest, context, call, notes=False)]
    found += validate(LINT, bundle.job, context, call, notes=False)
    found += [d for manifest in bundle.objects for d in validate(OBJECT, manifest, context, call)]
    return unreported(found, {*spec.accepted, *(d.code for d in noticed)})


def validate_workload(bundle: Bundle, spec: Spec, noticed: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return what the API server or KServe would refuse of a workload, and what its pods are admitted with in vain.

    As with a VolcanoJob, diagnostics of the configuration, `noticed`, are not repeated.
    """
    context, workload = _context(bundle, spec), bundle.job
    scopes = SCOPES_OF_KIND[workload["apiVersion"], workload["kind"]]
    found = [d for scope in scopes for d in validate(scope, workload, context, notes=False)]
    found += [d for manifest in bundle.companions for d in validate(CLAIM_LINT, manifest, context, notes=False)]
    found += [d for manifest in bundle.objects for d in validate(OBJECT, manifest, context)]
    return unreported(found, {*spec.accepted, *(d.code for d in noticed)})


def validate_site(bundle: Bundle, spec: Spec, own: SiteRules, call: Call = Scope.ask) -> list[Diagnostic]:
    """Return what the site's own rules refuse of the objects."""
    context = _context(bundle, spec)
    return [d for manifest in bundle.objects for d in own.judge(manifest, context, call)]


def _context(bundle: Bundle, spec: Spec) -> Context:
    version, cluster, own = version_of(spec.cluster.volcano_version), spec.cluster, companions(bundle.companions)
    return Context(
        version,
        cluster.facts,
        spec.hardware.card,
        security.level(spec),
        own.claims,
        own.config_maps,
        kubernetes_version=cluster.kubernetes_version or "",
    )


def validate_delivery(
    bundle: Bundle, spec: Spec, config: Mapping[str, Any], reuse: Reuse = WITHOUT_REUSE
) -> list[Diagnostic]:
    """Return what must not be published: secrets, and what makes the reconciler repeat or end a training."""
    leaked = [d for manifest in bundle.objects for d in reuse.search(secrets.scan, manifest)]
    found = secrets.attribute_to_keys(leaked, config) if leaked else []
    # The index of the tree holds why the job accepts a finding.
    reasons = {"cluster.allow": spec.cluster.allow, "allow": spec.allow}
    found += [d for key, each in reasons.items() for d in secrets.in_value(key, each) if d not in found]
    if spec.delivery.reconciler != "kubectl":
        context = Context(reconciler=spec.delivery.reconciler)
        found += [d for manifest in bundle.objects for d in validate(SYNC, manifest, context, reuse.call)]
    return unreported(found, spec.accepted)


def validate_environment(composition: Composition, spec: Spec) -> list[Diagnostic]:
    """Return an error for each secret and a note for each other value that an environment variable gives.

    No file shows such a value.
    """
    leaked = validate(ENVIRONMENT, composition.environment) if composition.environment else []
    variables: dict[str, list[str]] = {}
    for read in composition.environment:
        variables.setdefault(read.key, []).append(read.variable)
    notes = [
        note("FT017", f"{key} holds what the environment variable {' and '.join(names)} held here", key, help=_WRITE_IT)
        for key, names in variables.items()
        if key not in {d.subject for d in leaked}
    ]
    return unreported([*leaked, *notes], spec.accepted)


_WRITE_IT = "write the value itself where others must render the same job"


def validate_schemas(
    bundle: Bundle, spec: Spec, imported: Path | None = None, reuse: Reuse = WITHOUT_REUSE
) -> list[Diagnostic]:
    """Return what the cluster's schemas refuse: the imported ones if there are any, else those of its releases."""
    cluster = spec.cluster
    releases = {"volcano_version": cluster.volcano_version, "kubernetes_version": cluster.kubernetes_version or ""}
    options = {**releases, "imported": imported, "allows_nulls": False}
    return [d for manifest in bundle.objects for d in reuse.search(conform, manifest, **options)]


def snapshot_folders(request: Request) -> list[Path]:
    """Return the folders that may hold a snapshot: those of the configuration, where clusters lie, and its own."""
    return [*(place for folder in request.search_path() for place in (folder / "cluster", folder)), request.directory]


def overlay_folders(directory: Path, packs: tuple[str, ...] = ()) -> list[Path]:
    """Return the folders of overlays; see `overlay.folders`."""
    return overlay.folders(directory, packs)


def _identity(
    spec: Spec, composition: Composition, overrides: tuple[str, ...], position: SweepPosition, reuse: Reuse
) -> Identity:
    folder = position.folder or naming.folder(spec, frozenset(position.swept))
    digest = config_digest(composition.config, reuse)
    return Identity(folder, position.label, overrides, composition.choices, digest, runtime.VERSION, position.swept)


def config_digest(config: Mapping[str, Any], reuse: Reuse = WITHOUT_REUSE) -> str:
    """Return the sha256 of a resolved configuration as JSON text, in hex."""
    sections = ",".join(f"{_key(key)}:{reuse.once(_json, section)}" for key, section in sorted(config.items()))
    return hashlib.sha256(f"{{{sections}}}".encode("utf-8", "surrogatepass")).hexdigest()


# `json.dumps` makes an encoder for each call that differs from its defaults.
_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode
_key = cache(_json)


def deliver(
    jobs: Iterable[Compiled],
    published: delivery.GitSource | None = None,
    extras: Mapping[str, bytes] = MappingProxyType({}),
) -> list[Run]:
    """Render the objects that point the reconciler at the jobs' folders, for jobs with `delivery.application`.

    What a folder needs depends on the rest of the tree, too: `Run.of_tree` renders them for it.

    Args:
        jobs: all jobs of their folders.
        published: git source that the tree is published to; fills in what the configuration leaves open.
        extras: other files of their folders, by path.

    Raises:
        Rejected: FT540 or FT541 (see `delivery`), or errors by the schemas of Argo CD and Flux.
    """
    folders: dict[str, list[Compiled]] = {}
    for job in jobs:
        if job.spec.delivery.application:
            folders.setdefault(job.identity.folder, []).append(job)
    return [run for name, members in folders.items() for run in _delivery_runs(name, members, published, extras)]


def _delivery_runs(
    name: str, jobs: Sequence[Compiled], published: delivery.GitSource | None, extras: Mapping[str, bytes]
) -> list[Run]:
    chosen, namespace = jobs[0].spec.delivery, jobs[0].spec.cluster.namespace
    kinds = frozenset((*_kinds_of_jobs(jobs), *_kinds_in_files(extras)))
    folder = delivery.Folder(name, namespace, _sizes(jobs), kinds)
    source = delivery.git_source(chosen, published)
    health = (runtime.overlays_dir() / "delivery" / "argocd" / "health.lua").read_text(encoding="utf-8")
    objects_by_run: dict[str, Callable[[delivery.Folder], Sequence[lower.Object]]] = {
        f"project/{namespace}": lambda folder: delivery.shared(chosen, source, folder, health),
        f"application/{name}": lambda folder: delivery.for_folder(chosen, source, folder),
    }
    runs = (_delivery_run(key, objects, folder, jobs[0].identity) for key, objects in objects_by_run.items())
    return [run for run in runs if run.files]


def _sizes(jobs: Iterable[Compiled]) -> dict[str, int]:
    return {path: len(content) for job in jobs for path, content in job.files.items()}


def _kinds_of_jobs(jobs: Iterable[Compiled]) -> Iterator[tuple[str, str, bool]]:
    for job in jobs:
        for manifest in job.bundle.objects:
            group = manifest["apiVersion"].rpartition("/")[0]
            yield group, manifest["kind"], "namespace" not in manifest["metadata"]


def _kinds_in_files(files: Mapping[str, bytes]) -> Iterator[tuple[str, str, bool]]:
    for path, content in files.items():
        if path.endswith(".yaml"):
            group, kind, namespace = group_of(object_of(content))
            yield group, kind, not namespace


def _delivery_run(
    key: str,
    objects_of: Callable[[delivery.Folder], Sequence[lower.Object]],
    folder: delivery.Folder,
    identity: Identity,
) -> Run:
    def files(folder: delivery.Folder) -> dict[str, bytes]:
        objects = objects_of(folder)
        require([d for o in objects for d in (*conform(o), *secrets.scan(o))])
        return {f"{DELIVERY}/{render.file_name(o)}": render.document(o, identity) for o in objects}

    def of_tree(index: Mapping[str, Entry], read: Callable[[str], bytes | None]) -> dict[str, bytes]:
        return files(delivery.in_tree(folder, index, read))

    return Run(DELIVERY, key, f"{DELIVERY}/{key}", files(folder), of_tree=of_tree)
