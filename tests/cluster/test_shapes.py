"""Shapes of jobs: a master and its workers with each launcher, groups of nodes, and Volcano's CronJob."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ftgen import pipeline
from ftgen.config.compose import Composer
from ftgen.review import preview
from ftgen.schema.version import Version, version_of
from ftgen.validation import check
from ftgen.validation.options import CheckOptions

from .facts import SIMULATED_NODES
from .jobs import FOREVER, Desk, LiveJob
from .programs import ADMISSION, CONTROLLERS, SCHEDULER
from .site import Site
from .test_preview import compare
from .trees import Tree

pytestmark = [pytest.mark.cluster, pytest.mark.needs(ADMISSION, CONTROLLERS, SCHEDULER)]

NODES = ("hardware=cpu", "storage=emptydir")
MASTER = (*NODES, "hardware.nodes=3", "hardware.topology=master-worker")
COMMAND = ("trainer=command", "trainer.command=[run]", "model=none", "dataset=none")
SHAPES = {
    "llamafactory": (),
    **{launcher: (*COMMAND, f"trainer.launcher={launcher}") for launcher in ("pytorch", "mpi", "ray")},
}


def release(site: Site) -> str:
    """Return Volcano's release as a word of a command line; the newest where it is not known."""
    found = site.facts.products["Volcano"] or ""
    return found if re.match(r"v?\d", found) else "newest"


def version(site: Site) -> Version:
    return version_of(release(site))


@pytest.mark.needs(SIMULATED_NODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_master_and_its_workers(site: Site, composer: Composer, tmp_path: Path, shape: str) -> None:
    tree = Tree(site.kubectl, site.namespace(f"shape-{shape}"), tmp_path)
    Desk(site, composer, tree.namespace).simulate({"pod": "-master-0$", "seconds": 30}, FOREVER)
    words = [*MASTER, *SHAPES[shape], f"cluster.namespace={tree.namespace}", f"cluster.queue={site.queue}"]
    compiled = pipeline.compile_job(composer, [*words, f"cluster.volcano_version={json.dumps(release(site))}"])
    tree.write(compiled.files)
    tree.apply()
    compare(site, tree.namespace, preview.pods(compiled.bundle.objects, version(site)))
    job = LiveJob(site.kubectl, tree.namespace, compiled.bundle.job["metadata"]["name"])
    assert len(job.running(3)) == 3
    assert tree.differences() == []
    assert {name: did for name, did in tree.apply().items() if did != "unchanged"} == {}
    job.becomes("Completed")
    assert job.restarts == 0
    site.remove(tree.namespace)


@pytest.mark.needs(SIMULATED_NODES)
def test_a_worker_that_fails_starts_all_again(desk: Desk) -> None:
    desk.simulate({"pod": "-worker-1$", "exit": 4, "seconds": 1}, FOREVER)
    job = desk.submit(*MASTER, "job.restarts=1")
    job.becomes("Failed")
    assert job.restarts == 2


@pytest.mark.needs(SIMULATED_NODES)
def test_groups_of_nodes(site: Site, desk: Desk) -> None:
    if version(site) < (1, 14, 0):
        pytest.skip("Volcano has groups of nodes from 1.14 on")
    desk.simulate(FOREVER)
    words = ["hardware.nodes=4", "hardware.partition={size: 2, network_topology: {mode: soft, highest_tier: 1}}"]
    job = desk.submit(*NODES, *words, f"cluster.volcano_version={json.dumps(release(site))}")
    pods = job.running(4)
    groups = {pod["metadata"]["name"][-1]: pod["metadata"]["labels"]["volcano.sh/partition-id"] for pod in pods}
    assert groups == {"0": "0", "1": "0", "2": "1", "3": "1"}
    [group] = site.kubectl.items("podgroups.scheduling.volcano.sh", "--namespace", desk.namespace)
    [policy] = group["spec"]["subGroupPolicy"]
    assert (policy["name"], policy["subGroupSize"], policy["minSubGroups"]) == ("train", 2, 2)
    assert policy["networkTopology"]["mode"] == "soft"


CRON_JOB: dict[str, Any] = {
    "apiVersion": "batch.volcano.sh/v1alpha1",
    "kind": "CronJob",
    "metadata": {"name": "nightly"},
    "spec": {
        "schedule": "0 3 * * *",
        "jobTemplate": {
            "spec": {
                "tasks": [
                    {
                        "name": "train",
                        "replicas": 1,
                        "template": {
                            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]}
                        },
                    }
                ]
            }
        },
    },
}
CHANGES: tuple[dict[str, str], ...] = (
    {},
    *(
        {"schedule": schedule}
        for schedule in (
            "*/5 0-6,12 1 JAN-mar mon-FRI",
            "? ? ? ? ?",
            "3/15 * * * 0",
            "@daily",
            "@every 1h30m",
            "@every .5h",
            "0 3 * *",
            "0 0 3 * * *",
            "60 3 * * *",
            "0 24 * * *",
            "0 3 0 * *",
            "0 3 * 13 *",
            "0 3 * * 7",
            "0 3 * * jan",
            "5-3 * * * *",
            "*/0 * * * *",
            "*-5 * * * *",
            "1-2-3 * * * *",
            "TZ=Asia/Shanghai 0 3 * * *",
            "@noon",
            "@every 5",
        )
    ),
    *({"timeZone": zone} for zone in ("Asia/Shanghai", "UTC", "Local", "", "../UTC", "Asia//Shanghai", "-a")),
)


def test_a_cron_job_is_refused_where_check_says_so(site: Site, namespace: str) -> None:
    if version(site) < (1, 13, 0):
        pytest.skip("Volcano has CronJobs from 1.13 on")
    options = CheckOptions(volcano_version=release(site))
    verdicts = {}
    for change in CHANGES:
        manifest = {
            **CRON_JOB,
            "spec": CRON_JOB["spec"] | change,
            "metadata": {"name": "nightly", "namespace": namespace},
        }
        answer = site.kubectl.ask("create", "--dry-run=server", "-f", "-", objects=[manifest])
        found = check.check(json.dumps(manifest), "cron.json", options).diagnostics
        verdicts[str(change)] = (answer.code == 0, not any(d.code == "FT798" for d in found))
    assert {change: told for change, told in verdicts.items() if told[0] != told[1]} == {}
