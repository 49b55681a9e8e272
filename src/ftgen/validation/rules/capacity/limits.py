"""Rule over the LimitRanges of a job's namespace, as the admission plugin LimitRanger applies them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from ftgen.text.paths import child
from ftgen.text.shapes import amounts, entries, mapping, text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.manifest import Job, Pod
from ftgen.validation.rules import CAPACITY
from ftgen.validation.rules.capacity import demand
from ftgen.validation.rules.capacity.demand import Resources, quantity
from ftgen.validation.rules.lint.storage import claims

_Excess = tuple[str, str, str]
"""Field of the resources that is wrong, field of the limit range that says so, and the message."""


@rule("FT602", "outside-a-limit-range", on=CAPACITY)
def outside_a_limit_range(job: Job, context: Context) -> Iterator[Finding]:
    """A container, pod or claim asks for less or more than a LimitRange of the namespace allows.

    The API server first gives each container the range's defaults (`max` where there is no `default`), then refuses
    the pod if a request or limit is below `min` or above `max`, if a limit is more than `maxLimitRequestRatio` times
    its request, or if a request exceeds the limit that it was given.

    Refused: `limits: {memory: 64Gi}` under `max: {memory: 32Gi}`.
    Write: `limits: {memory: 32Gi}`.
    """
    for limit_range in demand.of_namespace(job, context, "LimitRange"):
        for i, item in entries(limit_range.spec.get("limits")):
            for subject, resources, who in _subjects(item, job, context):
                for name in _constrained(item):
                    for field, bound, message in _excesses(item, name, resources):
                        place = limit_range.at("spec", "limits", i, bound, name)
                        headline = f"{who}: {message}, by {limit_range.label}"
                        path = child(f"{subject}.resources.{field}", name)
                        yield Finding(headline, path, "", _HELP, related=(place,))


_HELP = "stay within the range: the pods or the claim are refused otherwise"


def _constrained(item: Mapping[str, object]) -> list[str]:
    fields = ("min", "max", "maxLimitRequestRatio", "default", "defaultRequest")
    return sorted({name for field in fields for name in amounts(item.get(field))})


def _subjects(item: Mapping[str, object], job: Job, context: Context) -> Iterator[tuple[str, Resources, str]]:
    """Yield what an item is about: path, resources and words for it."""
    defaults = demand.container_defaults(job, context.inventory)
    match text(item.get("type")):
        case "Container":
            for container in job.containers:
                yield container.path, demand.container_resources(container, defaults), f"container {container.name}"
        case "Pod":
            for task in job.tasks:
                yield task.pod.spec_path, _pod(task.pod, defaults), f"a pod of {task.name}"
        case "PersistentVolumeClaim":
            for claim in claims(job, context):
                if not claim.path.endswith(("claimName", "volumeClaimName")):
                    requests = amounts(mapping(claim.spec.get("resources")).get("requests"))
                    yield claim.path, Resources(requests, {}), claim.label
        case _:
            pass


def _pod(pod: Pod, defaults: Resources) -> Resources:
    """Return the resources of a pod as LimitRanger adds them up: without overhead."""
    spec = {key: value for key, value in pod.spec.items() if key != "overhead"}
    return demand.pod_resources(
        Pod(pod.path, pod.spec_path, pod.metadata, spec, pod.init_containers, pod.main_containers, pod.containers, []),
        defaults,
    )


def _excesses(item: Mapping[str, object], name: str, resources: Resources) -> Iterator[_Excess]:
    """Yield what is wrong with one resource (minConstraint, maxConstraint, limitRequestRatioConstraint)."""
    least, most, ratio = (amounts(item.get(field)).get(name) for field in ("min", "max", "maxLimitRequestRatio"))
    request, limit = (each.get(name) for each in resources)
    if least is not None:
        yield from _below(name, least, request, limit)
    if most is not None and item.get("type") == "PersistentVolumeClaim":
        yield from _above(name, most, request, Fraction())  # a claim's limit counts for nothing
    elif most is not None:
        yield from _above(name, most, request, limit)
    if ratio is not None:
        yield from _ratio(name, ratio, request, limit)
    if item.get("type") == "Container" and request is not None and limit is not None and request > limit:
        given = next((field for field in ("default", "max") if amounts(item.get(field)).get(name) == limit), "")
        if given:
            message = f"a request of {quantity(name, request)} {name} exceeds the limit of {quantity(name, limit)}"
            yield "requests", given, f"{message} that it is given"


def _below(name: str, least: Fraction, request: Fraction | None, limit: Fraction | None) -> Iterator[_Excess]:
    if request is None:
        yield "requests", "min", f"no request for {name}, and at least {quantity(name, least)} has to be asked for"
    elif request < least:
        yield "requests", "min", f"a request of {quantity(name, request)} {name} is below {quantity(name, least)}"
    elif limit is not None and limit < least:
        yield "limits", "min", f"a limit of {quantity(name, limit)} {name} is below {quantity(name, least)}"


def _above(name: str, most: Fraction, request: Fraction | None, limit: Fraction | None) -> Iterator[_Excess]:
    if limit is None:
        yield "limits", "max", f"no limit for {name}, and at most {quantity(name, most)} may be used"
    elif limit > most:
        yield "limits", "max", f"a limit of {quantity(name, limit)} {name} is above {quantity(name, most)}"
    elif request is not None and request > most:
        yield "requests", "max", f"a request of {quantity(name, request)} {name} is above {quantity(name, most)}"


def _ratio(name: str, ratio: Fraction, request: Fraction | None, limit: Fraction | None) -> Iterator[_Excess]:
    bound = "maxLimitRequestRatio"
    if not request or not limit:
        yield "requests" if not request else "limits", bound, f"request and limit for {name} have to be set"
    elif limit / request > ratio:
        message = f"the limit for {name} is {float(limit / request):g} times the request; {float(ratio):g} are allowed"
        yield "limits", bound, message
