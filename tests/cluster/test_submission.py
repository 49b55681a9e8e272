"""Submissions with kubectl.

Each submission is a job of its own (`delivery=kubectl`).
"""

from __future__ import annotations

import pytest

from ftgen import pipeline
from ftgen.config.compose import Composer

from .live import differences
from .programs import ADMISSION
from .site import Site
from .trees import JOB

pytestmark = pytest.mark.cluster


def test_created_twice_it_is_two_jobs(site: Site, composer: Composer, namespace: str) -> None:
    words = ("delivery=kubectl", "storage=nfs", "hardware=cpu", f"cluster.namespace={namespace}")
    (rendered,) = pipeline.compile_job(composer, words).bundle.objects
    for _submission in range(2):
        site.kubectl("create", "-f", "-", objects=[rendered])
    live = site.kubectl.items(JOB, "--namespace", namespace)
    prefix = rendered["metadata"]["generateName"]
    assert len({each["metadata"]["name"] for each in live}) == 2
    assert all(each["metadata"]["name"].startswith(prefix) for each in live)
    assert [line for each in live for line in differences(rendered, each)] == []


@pytest.mark.needs(ADMISSION)
def test_a_queue_that_is_not_there_is_refused(site: Site, composer: Composer, namespace: str) -> None:
    words = ("delivery=kubectl", "cluster.queue=nobodys", f"cluster.namespace={namespace}")
    answer = site.kubectl.ask("create", "-f", "-", objects=pipeline.compile_job(composer, words).bundle.objects)
    assert answer.code == 1
    assert "nobodys" in answer.err
