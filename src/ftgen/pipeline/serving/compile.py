"""Compile what serves the result of a run: from the command line to bytes, by the steps that compile a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Composition
from ftgen.diagnostics import Diagnostic, Rejected, error, require
from ftgen.emulation.estimate.serving import Fit
from ftgen.lower import Bundle, Identity, overlay, privileges, render, service
from ftgen.lower.overlay import Patch
from ftgen.lower.service import Result, ServiceInputs
from ftgen.output.tree import Run
from ftgen.output.tree.lock import SERVICES
from ftgen.pipeline import Compiled, Workspace
from ftgen.pipeline.serving import fit
from ftgen.pipeline.serving.arguments import arguments
from ftgen.pipeline.serving.trained import TrainedRun
from ftgen.spec import Runtime, Serving, Spec, Volume, admit
from ftgen.text import kube
from ftgen.trainers import llamafactory, vllm
from ftgen.validation import unreported, validate
from ftgen.validation.moving import moving, validate_locked
from ftgen.validation.options import dump_options
from ftgen.validation.rules import NEEDS, SERVED, SERVICE, SPEC
from ftgen.validation.rules.serving import ServiceView
from ftgen.validation.rules.serving_arguments import check_serving_arguments

_NAME_LIMIT = 63
# KServe appends words to the name, and makes host names of it and the namespace (its webhook, and its default domain).
_KSERVE_NAME_LIMIT = 48
_KSERVE_HOST_LIMIT = 52
_SHORTEST_NAME = 16
# Rules about the trainer's image and queue, and about a training that has the section of a service.
_OF_TRAININGS = frozenset({"FT008", "FT268", "FT294"})
# Rules about volumes that several nodes share, as replicas do.
_OF_SEVERAL_PODS = frozenset({"FT255", "FT274", "FT276", "FT279"})
# Groups whose overlays are about the training alone.
_TRAINING_GROUPS = frozenset({"model", "dataset", "trainer", "tracking", "experiment"})
_HOME = Volume(path="/mnt/workspace", claim=None, size="10Gi", access_mode="ReadWriteOnce", empty_dir=True)
"""Folder of the pod for what vLLM compiles."""


class CompiledService(Compiled, frozen=True):
    """Compiled service: a run of the output tree that keeps its name when its content changes.

    Attributes:
        serving: section `serving` of its specification.
        result: what is served.
        fit: memory of each card; None if the model's shape is unknown.
    """

    serving: Serving
    result: Result
    fit: Fit | None

    @property
    def run(self) -> Run:
        """Return the service as a run of the output tree, beside the runs of its folder."""
        folder = self.identity.folder
        judged = dump_options(self.spec, self.diagnostics)
        return Run(folder, self.name, f"{SERVICES}{folder}", self.files, judged)


def compile_service(composer: Composer, run: TrainedRun, words: Sequence[str], workspace: Workspace) -> CompiledService:
    """Compile the service of a run from its command line (see `TrainedRun.words`).

    Raises:
        Rejected: every problem of the first step that found an error.
    """
    configured = configure(composer, run, words, workspace)
    composition, trained, serving = configured.composition, configured.trained, configured.view.serving
    spec, own, noticed = configured.view.spec, workspace.rules(configured.view.spec.overlays), [*configured.noticed]
    patches = patches_of(spec, composition.choices, workspace)
    spec, kept = privileges.settle(spec, patches)
    identity = _identity(composition, trained, serving, run, words)
    identity = replace(identity, pins=pipeline.pins_used(composition, patches))
    inputs = service_inputs(trained, spec, run, identity, scripts_of(trained, workspace.scripts))
    bundle, warned = lowered(inputs, patches)
    warned += kept + overlay.conflicts(patches, spec.cluster.volcano_version, service.PLACES[serving.kind])
    noticed += unreported(warned, spec.accepted)
    noticed += require(pipeline.validate_schemas(bundle, spec, workspace.schemas))
    noticed += require(pipeline.validate_delivery(bundle, spec, composition.config))
    noticed += require(pipeline.validate_workload(bundle, spec, noticed))
    noticed += require(pipeline.validate_site(bundle, spec, own))
    references = moving(composition.config, composition.choices, bundle.objects)
    require(validate_locked(references, workspace.locked))
    files, told, memory = render.files(bundle, identity), tuple(noticed), configured.view.fit
    return CompiledService(spec, None, identity, bundle, files, told, references, serving, inputs.result, memory)


class Configured(Struct, frozen=True):
    """The validated configuration of a service.

    Attributes:
        composition: composed configuration.
        trained: specification as it was admitted.
        view: specification of the pods, with its sizes resolved, and what follows from it.
        noticed: warnings and notes.
    """

    composition: Composition
    trained: Spec
    view: ServiceView
    noticed: tuple[Diagnostic, ...]


def configure(composer: Composer, run: TrainedRun, words: Sequence[str], workspace: Workspace) -> Configured:
    """Compose, admit and validate the configuration of a service.

    Raises:
        Rejected: every problem of the first step that found an error.
    """
    composition = composer.compose(composer.parse(words))
    trained = admit(composition.config)
    serving = serving_of(trained)
    require([*validate(NEEDS, trained), *validate(SERVED, trained)])
    spec, described = fit.resolve(for_pods(trained, serving), serving)
    hardware = composition.choices.get("hardware", "")
    memory = fit.fit(spec, serving, described) if described else None
    view = ServiceView(spec, serving, run.name, hardware, described, memory)
    problems = [*pipeline.validate_environment(composition, spec), *_validate_configuration(view)]
    noticed = require([*problems, *workspace.rules(spec.overlays).judge_config(composition.config)])
    return Configured(composition, trained, view, tuple(noticed))


def serving_of(spec: Spec) -> Serving:
    """Return the section `serving`.

    Raises:
        Rejected: FT740, there is none.
    """
    if spec.serving is None:
        headline = "the primary configuration chooses no option of the group serving"
        raise Rejected([error("FT740", headline, "serving", "", "begin its defaults like ftgen's own conf/serve.yaml")])
    return spec.serving


def _result(spec: Spec, serving: Serving, run: TrainedRun) -> Result:
    revision, url = serving.revision or run.name, spec.model.output_url or ""  # rules refuse a result without either
    return Result(run.name, run.base_name(spec), url, revision, llamafactory.adapter_rank(spec))


def _runtime(serving: Serving, option: str, spec: Spec) -> Runtime:
    """Return image and environment files: by the hardware's option, else by its vendor; the user's image wins."""
    known = serving.runtimes.get(option, serving.runtimes.get(spec.hardware.vendor))
    source = known.source if known else spec.hardware.source
    image = serving.image or (known.image if known else "")
    return Runtime(image=image, source=source)


def for_pods(spec: Spec, serving: Serving) -> Spec:
    """Return the specification of the pods: replicas take the place of nodes, and the workspace goes with the pod."""
    hardware = spec.hardware.model_copy(update={"nodes": serving.replicas})
    storage = spec.storage.model_copy(update={"workspace": _HOME})
    network = spec.network.model_copy(update={"host": False, "rdma_resource": None})
    return spec.model_copy(update={"hardware": hardware, "storage": storage, "network": network})


def _validate_configuration(view: ServiceView) -> list[Diagnostic]:
    spec, serving = view.spec, view.serving
    alone = spec.model_copy(update={"hardware": spec.hardware.model_copy(update={"nodes": 1})})
    found = [d for d in validate(SPEC, alone) if d.code not in _OF_TRAININGS]
    if serving.replicas > 1:
        found += [d for d in validate(SPEC, spec) if d.code in _OF_SEVERAL_PODS]
    found += [*validate(SERVICE, view), *_argument_problems(serving)]
    return unreported(found, spec.accepted)


def _argument_problems(serving: Serving) -> list[Diagnostic]:
    if serving.version not in vllm.versions():
        headline = f"the arguments of vLLM {serving.version} are not known"
        known = f"one of: {', '.join(vllm.versions())}; it must be the image's"
        return [error("FT103", headline, "serving.version", serving.version, known)]
    return check_serving_arguments(serving.args, serving.version)


def _identity(
    composition: Composition, spec: Spec, serving: Serving, run: TrainedRun, words: Sequence[str]
) -> Identity:
    digest = pipeline.config_digest(composition.config)
    name = folder(spec, serving, run)
    return Identity(name, "", tuple(words), composition.choices, digest, runtime.VERSION)


def folder(spec: Spec, serving: Serving, run: TrainedRun) -> str:
    """Return the name of a service, and of its folder."""
    return serving.name or kube.slug(run.base_name(spec), _name_limit(serving, spec.cluster.namespace))


def _name_limit(serving: Serving, namespace: str) -> int:
    if serving.kind != "kserve":
        return _NAME_LIMIT
    return max(_SHORTEST_NAME, min(_KSERVE_NAME_LIMIT, _KSERVE_HOST_LIMIT - len(namespace)))


# --- lowering ------------------------------------------------------------------------------------------


def service_inputs(
    trained: Spec, spec: Spec, run: TrainedRun, identity: Identity, scripts: Mapping[str, str]
) -> ServiceInputs:
    """Return what is lowered: the result, the runtime and vLLM's arguments follow from both specifications.

    Args:
        trained: specification as it was admitted.
        spec: specification of the pods, with its sizes resolved.
        run: run whose result is served.
        identity: identity of the service.
        scripts: texts of `scripts_of`.
    """
    serving = serving_of(trained)
    result = _result(trained, serving, run)
    runtime = _runtime(serving, identity.choices.get("hardware", ""), trained)
    config = arguments(spec, serving, result, identity.folder)
    return ServiceInputs(spec, serving, result, runtime, config, identity, scripts)


def scripts_of(spec: Spec, read: Callable[..., Mapping[str, str]]) -> dict[str, str]:
    """Return the texts of the scripts by file name, the one that fetches first; `read` is `Composer.scripts`."""
    return {**read(spec.trainer.prepare_script), **read(serving_of(spec).script, group="serving")}


def patches_of(spec: Spec, choices: Mapping[str, str], workspace: Workspace) -> list[Patch]:
    """Return the overlays that a service takes, those of pods and claims before those of what serves."""
    chosen = {group: option for group, option in choices.items() if group not in _TRAINING_GROUPS}
    patches = filter(None, map(_for_service, workspace.patches(chosen, spec.overlays)))
    return sorted(patches, key=_is_of_workload)


def lowered(inputs: ServiceInputs, patches: Sequence[Patch]) -> tuple[Bundle, list[Diagnostic]]:
    """Lower, and apply overlays: those of pods and claims to the carrier, those of what serves to that."""
    version = inputs.spec.cluster.volcano_version
    of_pods = [patch for patch in patches if not _is_of_workload(patch)]
    carried, warned = overlay.apply(service.carrier(inputs), of_pods, version)
    bundle = service.deployed(inputs, carried)
    of_workload = [patch for patch in patches if _is_of_workload(patch)]
    if not of_workload:
        return bundle, warned
    served, more = overlay.apply(Bundle(carried.job, (*bundle.companions, bundle.job)), of_workload, version)
    *companions, workload = served.companions
    return Bundle(workload, tuple(companions)), [*warned, *more]


_WORKLOADS = frozenset({"Deployment", "Service", "InferenceService"})


def _is_of_workload(patch: Patch) -> bool:
    return isinstance(patch.document, dict) and patch.document.get("kind") in _WORKLOADS


def _for_service(patch: Patch) -> Patch | None:
    """Return a patch as it applies to a service: none of a job, and nothing of the container that trains."""
    if isinstance(patch.document, list) or patch.document.get("kind") == "Job":
        return None
    return replace(patch, document=overlay.without_container(patch.document, "train"))
