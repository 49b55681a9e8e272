"""Namespaces of the restricted standard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tools.options import GROUPS, chosen

from ftgen import pipeline
from ftgen.config.compose import Composer

from .kubectl import Answer
from .site import Site

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def restricted(site: Site) -> Iterator[str]:
    namespace = site.namespace("restricted", **{"pod-security.kubernetes.io/enforce": "restricted"})
    yield namespace
    site.remove(namespace)


def asked(site: Site, composer: Composer, namespace: str, *words: str) -> Answer:
    """Ask the server whether it would run the pod of a job."""
    job = pipeline.compile_job(composer, [*words, f"cluster.namespace={namespace}"]).bundle.job
    template: dict[str, Any] = job["spec"]["tasks"][0]["template"]
    name = template["spec"].get("runtimeClassName")
    if name and site.kubectl.find("runtimeclass", name) is None:
        pytest.skip(f"needs the RuntimeClass {name}")
    metadata = {"generateName": "pod-", "namespace": namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    return site.kubectl.ask("create", "--dry-run=server", "-f", "-", objects=[pod])


@pytest.mark.parametrize("hardware", list(GROUPS["hardware"]))
def test_a_pod_is_admitted(site: Site, composer: Composer, restricted: str, hardware: str) -> None:
    answer = asked(site, composer, restricted, *chosen("hardware", hardware), "cluster=alauda-restricted")
    assert answer.code == 0, answer.err


def test_a_pod_that_takes_root_away_of_itself_is_admitted(site: Site, composer: Composer, restricted: str) -> None:
    answer = asked(site, composer, restricted, "storage=nfs", *chosen("cluster", "generic"))
    assert answer.code == 0, answer.err


def test_a_pod_that_was_rendered_for_no_standard_is_refused(site: Site, composer: Composer, restricted: str) -> None:
    answer = asked(site, composer, restricted, "hardware=cpu")
    assert answer.code == 1
    assert "violates PodSecurity" in answer.err
