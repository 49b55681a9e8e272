"""Causes in placement: claims without volumes, nodes that do not fit, cards that others hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ftgen.cluster.causes.cause import Cause, shown, words
from ftgen.cluster.objects import Claim, Node, PodShape, Requirement
from ftgen.cluster.runs import Run
from ftgen.cluster.snapshot import Snapshot

_PROVISIONING_FAILED = ("ProvisioningFailed", "FailedBinding")


def _shape(run: Run) -> PodShape | None:
    """Return what a pod without a node asks for, or the job's template as long as there are no pods."""
    waiting = next((pod for pod in run.pods if not pod.node), None)
    if waiting is not None:
        return waiting.shape
    return run.job.shape if run.job is not None and not run.pods else None


def _waits(run: Run) -> bool:
    return run.job is not None and not run.is_ended and not run.is_running


# claims


def claim(run: Run, seen: Snapshot) -> Cause | None:
    """Return which claim keeps a pod from a node or from starting."""
    if not _waits(run) or seen.claims is None:
        return None
    shapes = [pod.shape for pod in run.pods if pod.phase == "Pending"] or [s for s in (_shape(run),) if s]
    names = dict.fromkeys(name for shape in shapes for name in shape.claims)
    causes = (_claim_cause((run.key[0], name), run, seen) for name in names)
    return next((cause for cause in causes if cause), None)


def _claim_cause(key: tuple[str, str], run: Run, seen: Snapshot) -> Cause | None:
    found = seen.claim_by_key.get(key)
    if found is None:
        return _missing(key, run)
    if found.phase == "Lost":
        return Cause(
            "claim-lost", f"the volume of claim {key[1]} is gone", "restore it, or name another claim under storage"
        )
    return _pending(found, seen) if found.phase != "Bound" else None


def _missing(key: tuple[str, str], run: Run) -> Cause | None:
    """Return that a claim does not exist; the cluster makes those of a pod itself, which bear its name."""
    if any(key[1].startswith(f"{pod.key[1]}-") for pod in run.pods):
        return None
    how = f"create it, or name one of `kubectl get pvc -n {key[0]}` (storage.models.claim, storage.workspace.claim)"
    return Cause("claim-missing", f"the claim {key[1]} does not exist", how)


def _pending(found: Claim, seen: Snapshot) -> Cause | None:
    """Return why a claim has no volume; None where it waits for its pod's node, which is no obstacle."""
    name, known = found.storage_class, seen.class_by_name
    if name is None and seen.classes is not None:
        what = f"the claim {found.key[1]} names no storage class, and the cluster has no default"
        return Cause("claim-pending", what, "set storage.storage_class to one of `kubectl get storageclasses`")
    if name and seen.classes is not None and name not in known:
        what = f"the claim {found.key[1]} waits: its storage class {name} does not exist"
        return Cause("claim-pending", what, "set storage.storage_class to one of `kubectl get storageclasses`")
    said = _said(seen, found)
    waits = name is not None and name in known and known[name].waits and not found.node
    return None if waits and not said else _unprovided(found, seen, said)


def _unprovided(found: Claim, seen: Snapshot, said: str) -> Cause:
    known = seen.class_by_name.get(found.storage_class or "")
    provisioner = found.provisioner or (known.provisioner if known else "")
    if provisioner in {"", "kubernetes.io/no-provisioner"}:
        what = (
            f"the claim {found.key[1]} waits for a volume that somebody makes (class {found.storage_class or 'none'})"
        )
        how = "create such a PersistentVolume, or choose another storage"
        return Cause("claim-pending", f"{what}{f': {words(said)}' if said else ''}", how)
    node = f" on node {found.node}" if found.node else ""
    what = f"the claim {found.key[1]} waits: {provisioner} (class {found.storage_class}) has made no volume{node}"
    how = f"let an administrator look at {provisioner} (`kubectl describe pvc -n {found.key[0]} {found.key[1]}`)"
    return Cause("claim-pending", f"{what}{f', and says: {words(said)}' if said else ''}", how)


def _said(seen: Snapshot, found: Claim) -> str:
    events = seen.events_by_object.get(("PersistentVolumeClaim", found.key), ())
    return next((event.message for event in events if event.reason in _PROVISIONING_FAILED), "")


# nodes


def node(run: Run, seen: Snapshot) -> Cause | None:
    """Return why a pod has no node: none is right, those that are right are taken, or the gang is not complete."""
    shape = _shape(run)
    if not _waits(run) or shape is None:
        return None
    count = sum(not pod.node for pod in run.pods) or (run.job.pods if run.job else 1)
    said = _scheduler_says(run, seen)
    return _unfit(shape, seen.nodes) or _elsewhere(said) or _taken(shape, count, seen) or _unexplained(run, said)


# Volcano says so of a gang that waits for its queue, or is about to be bound.
_SAYS_NOTHING = re.compile(r"0/0 tasks|\d+/\d+ tasks in gang unschedulable: pod group is ready")


def _scheduler_says(run: Run, seen: Snapshot) -> str:
    """Return the scheduler's words: of a pod, else of the gang."""
    pods = [pod.scheduled for pod in run.pods if pod.scheduled and not pod.scheduled.holds]
    group = [c for c in run.group.conditions if c.type == "Unschedulable" and c.holds] if run.group else []
    keys = [("Pod", pod.key) for pod in run.pods] + ([("PodGroup", run.group.key)] if run.group else [])
    events = (event for key in keys for event in seen.events_by_object.get(key, ()))
    reported = [event for event in events if event.reason in {"FailedScheduling", "Unschedulable"}]
    messages: list[str] = [*(c.message for c in (*pods, *group)), *(event.message for event in reported)]
    return next((message for message in messages if message and not _SAYS_NOTHING.match(message)), "")


@dataclass(frozen=True, slots=True)
class _Test:
    """Test that a node has to pass, and the cause if none of those that passed the earlier ones does."""

    passes: Callable[[Node], bool]
    cause: Callable[[Sequence[Node]], Cause]


def _unfit(shape: PodShape, nodes: Sequence[Node] | None) -> Cause | None:
    """Return why no node could ever take a pod, however empty."""
    left: Sequence[Node] = nodes or ()
    for test in _tests(shape) if nodes is not None else ():
        passed = [node for node in left if test.passes(node)]
        if not passed:
            return test.cause(left)
        left = passed
    return None


def _tests(shape: PodShape) -> tuple[_Test, ...]:
    return (
        _Test(lambda node: _cards(shape, node) >= shape.cards, lambda left: _no_cards(shape, left)),
        _Test(lambda node: _is_chosen(shape, node), lambda left: _not_chosen(shape, left)),
        _Test(lambda node: not _taints(shape, node), lambda left: _tainted(shape, left)),
        _Test(lambda node: node.is_open, _closed),
        _Test(lambda node: not _short(shape, node.allocatable), lambda left: _too_large(shape, left)),
    )  # fmt: skip


def right_nodes(shape: PodShape, nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes that could take a pod, were they empty."""
    return [node for node in nodes if all(test.passes(node) for test in _tests(shape))]


def _cards(shape: PodShape, node: Node) -> Fraction:
    return node.allocatable.get(shape.card, Fraction(0))


_OTHER_HARDWARE = "set hardware to what the cluster has (`ftgen groups hardware`)"


def _no_cards(shape: PodShape, left: Sequence[Node]) -> Cause:
    most = max((_cards(shape, node) for node in left), default=Fraction(0))
    if not most:
        what = f"no node of the cluster has {shape.card}" if left else "the cluster has no nodes"
        return Cause("no-such-cards", what, _OTHER_HARDWARE)
    what = f"no node has {shape.cards} {shape.card}; the largest has {int(most)}"
    return Cause(
        "too-many-cards", what, f"set hardware.devices to {int(most)} or less, or take more nodes (hardware.nodes)"
    )


def _is_chosen(shape: PodShape, node: Node) -> bool:
    labels = node.labels
    return all(each.accepts(labels) for each in shape.selector) and (
        not shape.alternatives or any(all(each.accepts(labels) for each in term) for term in shape.alternatives)
    )


def _not_chosen(shape: PodShape, left: Sequence[Node]) -> Cause:
    having = f"{_nodes(left)} with {shape.card}" if shape.card else _nodes(left)
    required = [*shape.selector, *(shape.alternatives[0] if shape.alternatives else ())]
    unmet = next((r for r in required if not any(r.accepts(node.labels) for node in left)), None)
    what = f"none of the {having} {_label_words(required, unmet)}"
    return Cause("node-selector", what, "label a node, or correct cluster.node_selector or cluster.node_affinity")


def _label_words(required: Sequence[Requirement], unmet: Requirement | None) -> str:
    return f"has the label {unmet}" if unmet else f"has all labels: {', '.join(map(str, required))}"


def _nodes(left: Sequence[Node]) -> str:
    return f"{len(left)} node{'s' * (len(left) != 1)}"


def _taints(shape: PodShape, node: Node) -> list[str]:
    return [str(taint) for taint in node.taints if not any(each.accepts(taint) for each in shape.tolerations)]


def _tainted(shape: PodShape, left: Sequence[Node]) -> Cause:
    taints = sorted({taint for node in left for taint in _taints(shape, node)})
    what = f"the run does not tolerate the taints of the {_nodes(left)} that would fit ({', '.join(taints[:3])})"
    return Cause("taint", what, "add it to cluster.tolerations, or take the taint away")


def _closed(left: Sequence[Node]) -> Cause:
    names = ", ".join(node.name for node in left[:3])
    what = f"the {_nodes(left)} that would fit {'are' if len(left) > 1 else 'is'} cordoned or not ready ({names})"
    return Cause("node-closed", what, f"`kubectl uncordon {left[0].name}`, or let an administrator look at it")


def _short(shape: PodShape, amounts: Mapping[str, Fraction]) -> list[str]:
    """Return the resources of which there is too little, the cards first."""
    names = [name for name, need in shape.requests.items() if amounts.get(name, Fraction(0)) < need]
    return sorted(names, key=lambda name: (name != shape.card, name))


def _too_large(shape: PodShape, left: Sequence[Node]) -> Cause:
    name = _short(shape, left[0].allocatable)[0]
    most = max(node.allocatable.get(name, Fraction(0)) for node in left)
    if not most:
        return Cause("no-such-cards", f"no node that would fit has {name}", _OTHER_HARDWARE)
    what = f"no node that would fit has {shown(name, shape.requests[name])} {name}; the largest has {shown(name, most)}"
    key = {"cpu": "hardware.per_card.cpu", "memory": "hardware.per_card.memory"}.get(name, "hardware")
    return Cause("too-large", what, f"ask for less under {key}")


_ELSEWHERE = re.compile(r"volume node affinity conflict")
_NO_SPACE = re.compile(r"did not have enough free storage|not enough (?:free )?(?:storage|capacity)", re.IGNORECASE)


def _elsewhere(said: str) -> Cause | None:
    """Return what ties a pod's volumes to other nodes."""
    if _NO_SPACE.search(said):
        how = "free space there, or ask for less (storage.workspace.size)"
        return Cause("storage-full", "no node that would fit has room for its volumes", how)
    if _ELSEWHERE.search(said):
        how = "free that node, or name another claim under storage"
        return Cause("claim-elsewhere", "its claim has a volume on another node than the one with free cards", how)
    return None


def _taken(shape: PodShape, count: int, seen: Snapshot) -> Cause | None:
    """Return which resource others hold; None where enough is free, or nobody may know."""
    if seen.nodes is None or seen.free is None:
        return None
    right = right_nodes(shape, seen.nodes)
    places = sum(_places(shape, seen.free[node.name], count) for node in right)
    if places >= count:
        return None
    return _gang(shape, count, places, right, seen.free) if places else _cards_short(shape, right, seen.free)


def _places(shape: PodShape, free: Mapping[str, Fraction], most: int) -> int:
    """Return how many pods fit into what a node has free."""
    fits = [int(free.get(name, Fraction(0)) // need) for name, need in shape.requests.items() if need > 0]
    return max(0, min([most, 1 if shape.one_per_node else most, *fits]))


Free = Mapping[str, Mapping[str, Fraction]]


def _shortest(shape: PodShape, right: Sequence[Node], free: Free) -> str:
    """Return the resource that most nodes lack; the cards, where as many lack them."""
    lacking: dict[str, int] = {}
    for name in (name for node in right for name in _short(shape, free[node.name])):
        lacking[name] = lacking.get(name, 0) + 1
    return max(lacking, key=lambda name: (lacking[name], name == shape.card)) if lacking else shape.card


def _cards_short(shape: PodShape, right: Sequence[Node], free: Free) -> Cause:
    name = _shortest(shape, right, free)
    need = shown(name, shape.requests.get(name, Fraction(0)))
    left = [max(free[node.name].get(name, Fraction(0)), Fraction(0)) for node in right]
    best, total = max(left), sum(left, Fraction(0))
    freest = f"the freest of {_nodes(right)} has {shown(name, best)} ({shown(name, total)} free in all)"
    fewer = f", or ask for less (hardware.devices={int(best)})" if name == shape.card and best >= 1 else ""
    kind = "cards-short" if name == shape.card else "resources-short"
    return Cause(kind, f"{name} is short: a pod needs {need} on one node, {freest}", f"wait for a run to end{fewer}")


def _gang(shape: PodShape, count: int, places: int, right: Sequence[Node], free: Free) -> Cause:
    name = _shortest(shape, right, free)
    what = f"the gang waits: {places} of {count} pods would find a node, then {name} is short"
    return Cause("gang-waiting", what, f"wait for a run to end, or set hardware.nodes to {places}")


def _unexplained(run: Run, said: str) -> Cause | None:
    if said:
        label = f"ftgen.dev/run={run.job.run}" if run.job else ""
        how = f"`kubectl describe -n {run.key[0]} podgroup,pod -l {label}` says more"
        return Cause("unschedulable", f"the scheduler finds no place: {words(said)}", how)
    what, how = (
        "the scheduler has not placed it yet",
        "wait; if it stays so, let an administrator look at volcano-scheduler",
    )
    return Cause("not-placed-yet", what, how)
