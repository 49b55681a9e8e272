"""Causes in placement: nodes that do not fit, cards that others hold, gangs that are not complete."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct

from ftgen.remote.cluster.causes.cause import Cause, shown, words
from ftgen.remote.cluster.objects import Node
from ftgen.remote.cluster.runs import Run
from ftgen.remote.cluster.shape import PodShape, Requirement
from ftgen.remote.cluster.state import ClusterState


def obstacle(run: Run, seen: ClusterState) -> Cause | None:
    """Return why a pod has no node: none is right, those that are right are taken, or the gang is not complete."""
    shape = run.waiting_shape
    if shape is None:
        return None
    count = sum(not pod.node for pod in run.pods) or (run.job.pods if run.job else 1)
    said = _scheduler_says(run, seen)
    return _unfit(shape, seen.nodes) or _elsewhere(said) or _taken(shape, count, seen) or _unexplained(run, said)


# Volcano says so of a gang that waits for its queue, or is about to be bound.
_SAYS_NOTHING = re.compile(r"0/0 tasks|\d+/\d+ tasks in gang unschedulable: pod group is ready")


def _scheduler_says(run: Run, seen: ClusterState) -> str:
    """Return the scheduler's words: of a pod, else of the gang."""
    pods = [pod.scheduled for pod in run.pods if pod.scheduled and not pod.scheduled.holds]
    gang = seen.group_of(run.job)
    group = [c for c in gang.conditions if c.type == "Unschedulable" and c.holds] if gang else []
    keys = [("Pod", pod.key) for pod in run.pods] + ([("PodGroup", gang.key)] if gang else [])
    events = (event for key in keys for event in seen.events_by_object.get(key, ()))
    reported = [event for event in events if event.reason in {"FailedScheduling", "Unschedulable"}]
    messages: list[str] = [*(c.message for c in (*pods, *group)), *(event.message for event in reported)]
    return next((message for message in messages if message and not _SAYS_NOTHING.match(message)), "")


class _Test(Struct, frozen=True):
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


def _taken(shape: PodShape, count: int, seen: ClusterState) -> Cause | None:
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


_IN_WORDS = re.compile(r"(?P<of>queue resource quota insufficient|resource in cluster is overused): (?P<rest>.+)")


def _unexplained(run: Run, said: str) -> Cause | None:
    """Return the scheduler's words, for who may not see what it looks at."""
    if found := _IN_WORDS.search(said):
        queue = run.job.queue if run.job else ""
        if found["of"].startswith("queue"):
            what = f"the queue {queue} is full: {words(found['rest'])}"
            return Cause("queue-full", what, "wait for a run to end, or set cluster.queue to another")
        return Cause("resources-short", f"the cluster is full: {words(found['rest'])}", "wait for a run to end")
    if said:
        label = f"ftgen.dev/run={run.job.run}" if run.job else ""
        how = f"`kubectl describe -n {run.key[0]} podgroup,pod -l {label}` says more"
        return Cause("unschedulable", f"the scheduler finds no place: {words(said)}", how)
    how = "wait; if it stays so, let an administrator look at volcano-scheduler"
    return Cause("not-placed-yet", "the scheduler has not placed it yet", how)
