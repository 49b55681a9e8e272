"""InferenceServices as KServe's webhook validates them, and as its controller deploys them in standard mode.

Follows pkg/apis/serving/v1beta1 of KServe 0.20: inference_service_validation.go and component.go, without what only
canaries, several nodes and metrics of one's own need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from ftgen.text import kube
from ftgen.text.paths import child
from ftgen.text.shapes import entries, integer, mapping, optional_integer, text
from ftgen.validation import Finding, rule
from ftgen.validation.rules import INFERENCE_SERVICE

DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
AUTOSCALER = "serving.kserve.io/autoscalerClass"
CONTAINER = "kserve-container"
LONGEST_LABEL = 63

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
# RawDeployment and Serverless are the names before 0.16, which later releases still read.
_STANDARD = ("Standard", "RawDeployment")
_MODES = (*_STANDARD, "Knative", "Serverless", "ModelMesh")
_AUTOSCALERS = ("hpa", "external", "keda", "none")
_FRAMEWORKS = (
    "xgboost",
    "pytorch",
    "triton",
    "sklearn",
    "tensorflow",
    "onnx",
    "pmml",
    "lightgbm",
    "paddle",
    "huggingface",
)
_IMPLEMENTATIONS = {"predictor": (*_FRAMEWORKS, "model"), "transformer": (), "explainer": ("art",)}
_PROTOCOLS = ("v1", "v2")
_LOGGED = ("all", "request", "response")
_MOST_PERCENT = 100


class Component(Struct, frozen=True):
    """One component of an InferenceService: its predictor, transformer or explainer."""

    name: str
    body: dict[str, Any]
    annotations: Mapping[str, Any]

    @property
    def path(self) -> str:
        """Return the path of its body."""
        return f"spec.{self.name}"

    @property
    def containers(self) -> list[tuple[int, dict[str, Any]]]:
        """Return its own containers with their positions."""
        return entries(self.body.get("containers"))

    def all_containers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every container that it describes, its implementations' too, with its path."""
        for kind in ("initContainers", "containers"):
            for i, container in entries(self.body.get(kind)):
                yield f"{self.path}.{kind}[{i}]", container
        for name in _IMPLEMENTATIONS[self.name]:
            if isinstance(self.body.get(name), dict):
                yield f"{self.path}.{name}", self.body[name]


def _annotations(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return mapping(mapping(manifest.get("metadata")).get("annotations"))


def _components(manifest: Mapping[str, Any]) -> Iterator[Component]:
    spec, annotations = mapping(manifest.get("spec")), _annotations(manifest)
    for name in _IMPLEMENTATIONS:
        if isinstance(spec.get(name), dict):
            yield Component(name, spec[name], annotations)


@rule("FT361", "bad-inference-service", on=INFERENCE_SERVICE)
def bad_inference_service(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """An InferenceService's name or annotation is not one that KServe takes.

    The webhook wants a name of lower-case letters, digits and dashes that begins with a letter, and an autoscaler that
    it knows. In standard mode the pods have the label `app: isvc.<name>-predictor`, which may have 63 characters: a
    name may have 48. A deployment mode that KServe does not know is read as Knative's.

    Refused: `metadata: {name: 7b-chat}`.
    Write: `metadata: {name: chat-7b}`.
    """
    name, annotations = text(mapping(manifest.get("metadata")).get("name")), _annotations(manifest)
    # FT336 refuses what no object can be called.
    if kube.is_dns1123_subdomain(name) and not _NAME.fullmatch(name):
        help_ = "use lower-case letters, digits and dashes, and begin with a letter"
        yield Finding(f"an InferenceService cannot be called {name!r}", "metadata.name", name, help_)
    mode, scaler = annotations.get(DEPLOYMENT_MODE), annotations.get(AUTOSCALER)
    if mode is not None and mode not in _MODES:
        path = child("metadata.annotations", DEPLOYMENT_MODE)
        yield Finding(
            f"KServe knows no deployment mode {mode!r}", path, mode, "write Standard, or RawDeployment before 0.16"
        )
    if scaler is not None and scaler not in _AUTOSCALERS:
        path = child("metadata.annotations", AUTOSCALER)
        yield Finding(f"KServe knows no autoscaler {scaler!r}", path, scaler, f"use one of {', '.join(_AUTOSCALERS)}")
    if mode in _STANDARD:
        yield from _long_labels(manifest, name)


def _long_labels(manifest: Mapping[str, Any], name: str) -> Iterator[Finding]:
    for component in _components(manifest):
        variant = text(component.body.get("name")) if component.name == "predictor" else ""
        label = "-".join(part for part in (f"isvc.{name}", variant, component.name) if part)
        over = len(label) - LONGEST_LABEL
        if over > 0:
            headline = f"the label {label!r} of its pods has {len(label)} characters; {LONGEST_LABEL} are allowed"
            yield Finding(headline, "metadata.name", name, f"shorten the name by {over}")


@rule("FT365", "bad-inference-component", on=INFERENCE_SERVICE)
def bad_inference_component(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A predictor, transformer or explainer is one that KServe's webhook refuses or that its controller cannot deploy.

    It has exactly one implementation: a framework, a model, or containers. Of several containers the first is
    `kserve-container`, whose place the controller writes it to. The fewest replicas are no more than the most, which
    are 0 for no limit; what bounds requests is not negative; a metric suits the autoscaler; PYTHONPATH is not set; a
    logger's mode is known; and storageUri and storageUris exclude each other.

    Refused: `predictor: {minReplicas: 2, maxReplicas: 1, containers: [...]}`.
    Write: `predictor: {minReplicas: 1, maxReplicas: 2, containers: [...]}`.
    """
    for component in _components(manifest):
        yield from _implementations(component)
        yield from _own_containers(component)
        yield from _replicas(component)
        yield from _scaling(component)
        yield from _environment(component)
        yield from _extensions(component)


def _implementations(component: Component) -> Iterator[Finding]:
    known = _IMPLEMENTATIONS[component.name]
    given = [name for name in known if isinstance(component.body.get(name), dict)]
    given += ["containers"] * _servers(component, alone=not given)
    if len(given) != 1:
        told = " and ".join(given) or "none"
        headline = f"a {component.name} has exactly one implementation, not {told}"
        yield Finding(headline, component.path, help=f"keep one of {', '.join((*known, 'containers'))}")
    for name in known if component.name == "predictor" else ():
        if text(mapping(component.body.get(name)).get("name")):
            path = f"{component.path}.{name}.name"
            yield Finding(
                f"the container of {name} cannot be named", path, component.body[name]["name"], f"remove {path}"
            )


def _servers(component: Component, *, alone: bool) -> int:
    """Count the implementations among its containers: a predictor's are companions unless one has the server's name."""
    named = sum(container.get("name") == CONTAINER for _, container in component.containers)
    by_name = component.name == "predictor" and (named or not alone)
    return named if by_name else int(bool(component.containers))


def _own_containers(component: Component) -> Iterator[Finding]:
    """Check containers that stand alone: the controller takes the one of the name, and writes it to the first place."""
    served = any(isinstance(component.body.get(name), dict) for name in _IMPLEMENTATIONS[component.name])
    names = [text(container.get("name")) for _, container in component.containers]
    if component.name != "predictor" or served or len(names) < 2 or names[0] in {CONTAINER, ""}:  # noqa: PLR2004 - a container alone is renamed
        return
    headline = f"the first of several containers is {CONTAINER}, not {names[0]!r}"
    yield Finding(headline, f"{component.path}.containers[0].name", names[0], f"put {CONTAINER} first")


def _replicas(component: Component) -> Iterator[Finding]:
    fewest, most = optional_integer(component.body.get("minReplicas")), integer(component.body.get("maxReplicas"))
    for field, value in (("minReplicas", fewest or 0), ("maxReplicas", most)):
        if value < 0:
            yield Finding(f"{field} cannot be less than 0", f"{component.path}.{field}", value)
    least = 1 if fewest is None else fewest
    if 0 < most < least:
        headline = f"minReplicas is {least}, more than the {most} of maxReplicas"
        yield Finding(headline, f"{component.path}.minReplicas", least, f"set {component.path}.maxReplicas to {least}")
    concurrency = integer(component.body.get("containerConcurrency"))
    if concurrency < 0:
        yield Finding(
            "containerConcurrency cannot be less than 0", f"{component.path}.containerConcurrency", concurrency
        )


def _scaling(component: Component) -> Iterator[Finding]:
    """Check the metric of a component against the autoscaler; the webhook asks only where an annotation chooses one."""
    standard = component.annotations.get(DEPLOYMENT_MODE) in _STANDARD
    scaler = component.annotations.get(AUTOSCALER)
    metric, target = component.body.get("scaleMetric"), optional_integer(component.body.get("scaleTarget"))
    path = f"{component.path}.scaleMetric"
    if standard and scaler == "hpa":
        if metric is not None and metric not in {"cpu", "memory"}:
            yield Finding(f"{metric} is no metric of hpa", path, metric, "use cpu or memory")
        if target is not None and not 1 <= target <= _MOST_PERCENT:
            headline = f"a target utilization is 1 to {_MOST_PERCENT} percent, not {target}"
            yield Finding(headline, f"{component.path}.scaleTarget", target)
    if standard and scaler == "keda" and metric is not None:
        yield Finding("keda takes no scaleMetric", path, metric, f"describe it under {component.path}.autoScaling")
    knative = component.annotations.get(DEPLOYMENT_MODE) in {"Knative", "Serverless"}
    if knative and component.body.get("deploymentStrategy") is not None:
        strategy = f"{component.path}.deploymentStrategy"
        yield Finding("only the standard mode takes a deploymentStrategy", strategy, help=f"remove {strategy}")


def _environment(component: Component) -> Iterator[Finding]:
    for path, container in component.all_containers():
        for i, variable in entries(container.get("env")):
            if variable.get("name") == "PYTHONPATH":
                yield Finding(
                    "KServe takes no PYTHONPATH", f"{path}.env[{i}].name", "PYTHONPATH", f"remove {path}.env[{i}]"
                )
    for i, container in component.containers[:1]:
        for j, variable in entries(container.get("env")):
            value = text(variable.get("value"))
            if variable.get("name") == "PROTOCOL" and value not in _PROTOCOLS:
                where = f"{component.path}.containers[{i}].env[{j}].value"
                yield Finding(f"there is no protocol {value!r}", where, value, "use v1 or v2")


def _extensions(component: Component) -> Iterator[Finding]:
    logger = component.body.get("logger")
    mode = mapping(logger).get("mode")
    if isinstance(logger, dict) and mode not in _LOGGED:
        yield Finding(f"a logger's mode is {', '.join(_LOGGED)}, not {mode!r}", f"{component.path}.logger", mode)
    single = [name for name in _IMPLEMENTATIONS[component.name] if mapping(component.body.get(name)).get("storageUri")]
    if single and component.body.get("storageUris") is not None:
        path = f"{component.path}.storageUris"
        yield Finding("storageUri and storageUris exclude each other", path, help=f"remove {path}")
    for i, uri in entries(component.body.get("storageUris")):
        where, mount = f"{component.path}.storageUris[{i}]", uri.get("mountPath")
        if not text(uri.get("uri")):
            yield Finding("a storage URI cannot be empty", f"{where}.uri")
        if isinstance(mount, str) and (not mount.startswith("/") or mount == "/" or ".." in mount):
            yield Finding("a storage path is absolute, not /, and has no ..", f"{where}.mountPath", mount)
