"""Whatever the server sends, a view has the values of its types, and a cause is a sentence for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.odd import ODD, SCRAPS
from tests.status.clusters import KINDS, cause, recorded, state

from ftgen.remote.cluster import join, objects, why
from ftgen.text.paths import leaves, put

VIEWS = (
    objects.volcano_job,
    objects.plain_job,
    objects.pod,
    objects.pod_group,
    objects.claim,
    objects.storage_class,
    objects.event,
    objects.queue,
    objects.node,
    objects.delivery,
)
NAMES = ("gang", "no-class", "no-secret", "psa", "fails", "q-full2", "large")


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
@pytest.mark.parametrize("body", [{}, {"metadata": [], "spec": "x", "status": 3}, {"metadata": {"labels": {"a": []}}}])
def test_an_empty_or_misshapen_object_has_a_view(view: Any, body: dict[str, Any]) -> None:
    assert view(body) == view(deepcopy(body))


def _shorter(path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    yield from (path[:length] for length in range(1, len(path) + 1))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_hostile_value_anywhere_is_survived(data: st.DataObject) -> None:
    bodies: dict[str, Any] = recorded(data.draw(st.sampled_from(NAMES)))
    paths = [short for kind in KINDS for path, _ in leaves(bodies[kind], (kind,)) for short in _shorter(path)][1:]
    for path in data.draw(st.lists(st.sampled_from([p for p in paths if len(p) > 2]), max_size=4, unique=True)):
        try:
            bodies = put(bodies, path, data.draw(st.sampled_from([*ODD, *SCRAPS])))
        except (KeyError, TypeError, IndexError):
            continue  # an earlier value took the place of this one's parent
    seen = state(bodies)
    for run in join([], seen):
        found = why(run, seen)
        assert run.state.isprintable()
        assert found is None or str(found).isprintable()


def test_text_that_drives_a_terminal_is_made_harmless() -> None:
    bodies: dict[str, Any] = deepcopy(recorded("no-secret"))
    waiting = {"reason": "\x1b[2JError", "message": "a\x1b]0;title\x07\nb\u202ec\u2028d"}
    status = {"name": "train", "state": {"waiting": waiting}}
    bodies["pods"][0]["status"] |= {"containerStatuses": [status], "initContainerStatuses": []}
    found = cause(bodies)
    assert found is not None
    assert str(found).isprintable()


def test_long_messages_are_cut() -> None:
    bodies: dict[str, Any] = deepcopy(recorded("large"))
    said = {"type": "PodScheduled", "status": "False", "message": "x" * 10**6}
    bodies["pods"][0]["status"]["conditions"] = [said]
    found = cause(bodies, nodes=None)
    assert found is not None
    assert len(str(found)) < 1000


def test_a_number_that_the_api_cannot_hold_is_none() -> None:
    huge = int("9" * 4000) ** 2
    bodies: dict[str, Any] = deepcopy(recorded("large"))
    bodies["jobs"][0]["spec"]["tasks"][0]["replicas"] = huge
    bodies["jobs"][0]["status"]["retryCount"] = huge
    job = objects.volcano_job(bodies["jobs"][0])
    assert (job.pods, job.restarts) == (0, 0)
    started = {"name": "train", "restartCount": huge, "state": {"terminated": {"exitCode": huge}}}
    (container,) = objects.pod({"status": {"containerStatuses": [started]}}).containers
    assert (container.restarts, container.exit_code) == (0, 0)


def test_a_phase_of_a_reconciler_that_is_no_text_is_none() -> None:
    assert objects.delivery({"status": {"operationState": {"phase": ["Failed"], "message": "x"}}}).message == ""
