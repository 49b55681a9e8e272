"""Objects that serve the result of a run: a Deployment with a Service, or an InferenceService of KServe.

They are lowered in the shape of a run, a job of one task, so that overlays of pods apply to them as to trainings
(`carrier`); `deployed` turns that into what the cluster runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ftgen.lower import record
from ftgen.lower.devices import device_claims, resources
from ftgen.lower.environment import credentials
from ftgen.lower.job import provenance
from ftgen.lower.objects import SERVICE_LABEL, Bundle, Identity, Object, json_text, optional
from ftgen.lower.overlay import Renamed
from ftgen.lower.pod import affinity, container_security, init_container, pod_security, pull_policy, tolerations
from ftgen.lower.scripts import command, config_map, is_mounted, scripts_mount, scripts_volume
from ftgen.lower.storage import cache_mount, claims, volumes
from ftgen.lower.variables import variable, variables
from ftgen.spec import Runtime, Serving, Spec
from ftgen.text import kube, yamlio

CONTAINER = "vllm"
"""Name of the container that serves; KServe has a name of its own for it."""
_KSERVE_CONTAINER = "kserve-container"
PLACES: Mapping[str, Renamed] = {
    "deployment": (("PodTemplate.template", "Deployment.spec.template"),),
    "kserve": (
        (
            f"PodTemplate.template.spec.containers[name={CONTAINER}]",
            f"InferenceService.spec.predictor.containers[name={_KSERVE_CONTAINER}]",
        ),
        ("PodTemplate.template.spec", "InferenceService.spec.predictor"),
        ("PodTemplate.template.metadata", "InferenceService.spec.predictor"),
    ),
}
"""Paths in a PodTemplate as paths in the workload, by `serving.kind`."""
# A request that arrives while the endpoints still name an ending pod is answered.
_DRAIN_SECONDS = 10
_PROBE_SECONDS = 10
_SERVICE_PORT = 80
# Resources of Volcano's own device plugins, which its scheduler alone gives out.
_OF_VOLCANO = "volcano.sh/"


class Result(Struct, frozen=True):
    """Result of a run, as it is served.

    Attributes:
        run: name of the run; empty where the API server generated it.
        base: the run's name without the hash of its content.
        url: repository that it was pushed to.
        revision: branch, tag or commit there.
        adapter_rank: rank of the adapter that was pushed; None: a whole model.
    """

    run: str
    base: str
    url: str
    revision: str
    adapter_rank: int | None = None


class ServiceInputs(Struct, frozen=True):
    """Inputs of the lowering of a service.

    Attributes:
        spec: specification, with replicas in place of nodes, and a workspace that goes with the pod.
        serving: its section `serving`.
        result: what is served.
        runtime: image that holds vLLM, and the shell files to read before it starts.
        config: arguments of `vllm serve`.
        identity: identity of the service, whose folder is its name.
        scripts: texts of the scripts by file name, the one that fetches first.
    """

    spec: Spec
    serving: Serving
    result: Result
    runtime: Runtime
    config: Mapping[str, Any]
    identity: Identity
    scripts: Mapping[str, str]

    @property
    def name(self) -> str:
        """Return the name of the service and of its objects."""
        return self.identity.folder


def carrier(inputs: ServiceInputs) -> Bundle:
    """Return the pod of a service as the task of a job, with the objects that must exist before it."""
    spec = inputs.spec
    mounted = config_map(spec, inputs.identity.folder, inputs.scripts) if is_mounted(spec) else None
    template = {"metadata": {"labels": {**selector(inputs), **spec.cluster.labels}}, "spec": pod(inputs, mounted)}
    job = {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "metadata": {"namespace": spec.cluster.namespace},
        "spec": {"tasks": [{"name": CONTAINER, "template": template}]},
    }
    return Bundle(job, (*claims(spec), *((mounted,) if mounted else ())))


def deployed(inputs: ServiceInputs, bundle: Bundle) -> Bundle:
    """Return the objects that serve, made of the patched pod template of a carrier."""
    template = bundle.job["spec"]["tasks"][0]["template"]
    if inputs.serving.kind == "kserve":
        return Bundle(inference_service(inputs, template), bundle.companions)
    return Bundle(deployment(inputs, template), (*bundle.companions, service(inputs)))


def selector(inputs: ServiceInputs) -> dict[str, str]:
    """Return the label that selects the pods of a service."""
    return {SERVICE_LABEL: inputs.name}


def metadata(inputs: ServiceInputs) -> Object:
    """Return the metadata of the objects that serve: unlike a run they may be pruned, healed and changed in place."""
    spec, identity = inputs.spec, inputs.identity
    labels = {
        "app.kubernetes.io/managed-by": "ftgen",
        "app.kubernetes.io/part-of": kube.label_value(identity.folder),
        **selector(inputs),
        **spec.cluster.labels,
    }
    return {"name": inputs.name, "namespace": spec.cluster.namespace, "labels": labels}


def recorded(inputs: ServiceInputs) -> dict[str, str]:
    """Return the annotations of the workload: the run that it serves, and what renders it again."""
    served = {"run": inputs.result.run, "base": inputs.result.base}
    return {**provenance(inputs.spec, inputs.identity), record.SERVES: json_text(served)}


def strategy(serving: Serving) -> Object:
    """Return how a new revision rolls in: beside the old pods, or after them where cards are short."""
    bounds = {"maxSurge": serving.surge, "maxUnavailable": 0 if serving.surge else 1}
    return {"type": "RollingUpdate", "rollingUpdate": bounds}


def deployment(inputs: ServiceInputs, template: Object) -> Object:
    """Return the Deployment."""
    serving = inputs.serving
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata(inputs), "annotations": recorded(inputs)},
        "spec": {
            "replicas": serving.replicas,
            "selector": {"matchLabels": selector(inputs)},
            "strategy": strategy(serving),
            # A pod counts as late once its weights could have been fetched and loaded.
            "progressDeadlineSeconds": 2 * serving.startup,
            "template": template,
        },
    }


def service(inputs: ServiceInputs) -> Object:
    """Return the Service, by whose name the model is reached in the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(inputs),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(inputs),
            "ports": [{"name": "http", "port": _SERVICE_PORT, "protocol": "TCP", "targetPort": "http"}],
        },
    }


def inference_service(inputs: ServiceInputs, template: Object) -> Object:
    """Return the InferenceService in standard mode: a predictor with the pod's own fields, without Knative."""
    serving, pod_spec = inputs.serving, template["spec"]
    containers = [
        {**each, "name": _KSERVE_CONTAINER} if each["name"] == CONTAINER else each for each in pod_spec["containers"]
    ]
    # Without a class, KServe adds an autoscaler by the processor's use, which says nothing of a card's.
    kserve = {"serving.kserve.io/deploymentMode": serving.mode, "serving.kserve.io/autoscalerClass": "none"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            **metadata(inputs),
            "annotations": {**kserve, **recorded(inputs)},
        },
        "spec": {
            "predictor": {
                **optional("labels", template["metadata"].get("labels")),
                **optional("annotations", template["metadata"].get("annotations")),
                "minReplicas": serving.replicas,
                "maxReplicas": serving.replicas,
                "deploymentStrategy": strategy(serving),
                **pod_spec,
                "containers": containers,
            }
        },
    }


def template_of(predictor: Any) -> Any:
    """Return the pod template that `inference_service` makes this predictor of; it may come from any file."""
    if not isinstance(predictor, dict):
        return predictor
    containers = predictor.get("containers")
    listed = containers if isinstance(containers, list) else []
    own = [_renamed(each) if isinstance(each, dict) else each for each in listed]
    metadata = {name: predictor[name] for name in ("labels", "annotations") if name in predictor}
    return {"metadata": metadata, "spec": {**predictor, "containers": own}}


def _renamed(container: Object) -> Object:
    return {**container, "name": CONTAINER} if container.get("name") == _KSERVE_CONTAINER else container


# --- the pod -------------------------------------------------------------------------------------------


def pod(inputs: ServiceInputs, mounted: Object | None) -> Object:
    """Return the pod, which fetches the weights, then serves; it is started again whenever it ends."""
    spec = inputs.spec
    return {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": inputs.serving.grace_period + _DRAIN_SECONDS,
        **optional("schedulerName", scheduler(spec)),
        **optional("securityContext", pod_security(spec)),
        **optional("nodeSelector", dict(spec.cluster.node_selector)),
        **optional("affinity", affinity(spec, selector(inputs))),
        **optional("tolerations", tolerations(spec)),
        **optional("imagePullSecrets", [{"name": name} for name in spec.cluster.image_pull_secrets]),
        **optional("resourceClaims", device_claims(spec)),
        "volumes": [*volumes(spec), *scripts_volume(mounted)],
        "initContainers": [fetch(inputs)],
        "containers": [serve(inputs)],
        # Variables of every Service of the namespace would be arguments to vLLM, such as VLLM_PORT.
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
    }


def scheduler(spec: Spec) -> str | None:
    """Return the scheduler of the pods: the one that gives out the cards, where that is not the cluster's default."""
    names = [spec.hardware.resources.count, spec.hardware.resources.memory and spec.hardware.resources.memory.name]
    volcano = any(name and name.startswith(_OF_VOLCANO) for name in names)
    return spec.hardware.scheduler or (spec.cluster.scheduler if volcano else None)


def fetch(inputs: ServiceInputs) -> Object:
    """Return the init container that fetches the result, and for an adapter its base, as a training fetches a model."""
    spec = inputs.spec
    env = [*weights_variables(inputs), *credentials(spec)]
    return init_container(spec, env, inputs.scripts[spec.trainer.prepare_script])


def weights_variables(inputs: ServiceInputs) -> list[Object]:
    """Return what the script that fetches has to bring: a whole model, or a base model and an adapter."""
    spec, result = inputs.spec, inputs.result
    if result.adapter_rank is None:
        return variables(BASE_MODEL_URL=result.url, MODEL_REVISION=result.revision, MODEL_DIR=result_path(spec, result))
    cached = spec.storage.cache is not None
    return variables(
        BASE_MODEL_URL="" if cached else spec.model.url or "",
        MODEL_REVISION=None if cached else spec.model.revision,
        MODEL_DIR=f"{spec.storage.models.path}/{spec.model.directory}",
        ADAPTER_URL=result.url,
        ADAPTER_REVISION=result.revision,
        ADAPTER_DIR=result_path(spec, result),
    )


def result_path(spec: Spec, result: Result) -> str:
    """Return the folder of a result on the models volume; another revision, or one elsewhere, is another folder."""
    name = kube.slug(result.revision, 63)
    if result.revision != result.run:
        name = f"{kube.slug(result.revision, 54)}-{kube.digest(f'{result.url} {result.revision}')}"
    return f"{spec.storage.models.path}/{name}"


def serve(inputs: ServiceInputs) -> Object:
    """Return the container that runs vLLM."""
    spec, serving = inputs.spec, inputs.serving
    mounts = [
        {"name": "dshm", "mountPath": "/dev/shm"},  # noqa: S108 - the mount point that collectives use
        {"name": "models-cache", "mountPath": spec.storage.models.path, "readOnly": True},
        {"name": "workspace", "mountPath": spec.storage.workspace.path},
        *(cache_mount(spec) if inputs.result.adapter_rank is not None else []),
    ]
    return {
        "name": CONTAINER,
        "image": inputs.runtime.image,
        **optional("imagePullPolicy", pull_policy(spec, inputs.runtime.image)),
        "ports": [{"name": "http", "containerPort": serving.port, "protocol": "TCP"}],
        "env": environment(inputs),
        "resources": resources(spec),
        **probes(serving),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(_DRAIN_SECONDS)]}}},
        **optional("securityContext", container_security(spec)),
        "volumeMounts": [*mounts, *scripts_mount(spec)],
        "command": command(spec, serving.script, inputs.scripts[serving.script]),
    }


def environment(inputs: ServiceInputs) -> list[Object]:
    """Return the variables of vLLM: its arguments, the key of requests, and a home for what it compiles."""
    spec, serving = inputs.spec, inputs.serving
    own = {**dict(spec.hardware.env), **dict(serving.env)}
    return [
        {"name": "SERVE_CONFIG", "value": kube.escape_dollars(yamlio.dump(dict(inputs.config)))},
        *variables(SOURCE_FILES=" ".join(inputs.runtime.source) or None, HOME=spec.storage.workspace.path),
        *([variable("VLLM_API_KEY", serving.api_key)] if serving.api_key else []),
        *(variable(name, value) for name, value in own.items()),
    ]


def probes(serving: Serving) -> dict[str, Object]:
    """Return the probes: loading a large model takes long, so that only then the others begin."""
    health = {"httpGet": {"path": "/health", "port": "http", "scheme": "HTTP"}, "timeoutSeconds": 5}
    often = {"periodSeconds": _PROBE_SECONDS, "successThreshold": 1}
    return {
        "startupProbe": {**health, **often, "failureThreshold": -(-serving.startup // _PROBE_SECONDS)},
        "readinessProbe": {**health, **often, "failureThreshold": 3},
        "livenessProbe": {**health, **often, "failureThreshold": 6},
    }
