"""The same work as a Job of Kubernetes' own."""

from __future__ import annotations

import pytest
from tools.options import GROUPS, chosen

from ftgen.cli.render import summary
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected
from ftgen.pipeline import compile_job
from ftgen.schema import conform
from ftgen.text import kube

from .conftest import Render


@pytest.mark.parametrize("hardware", list(GROUPS["hardware"]))
@pytest.mark.parametrize("nodes", [1, 2])
def test_every_accelerator_runs_as_a_plain_job(hardware: str, nodes: int, render: Render) -> None:
    job = render(*chosen("hardware", hardware), f"hardware.nodes={nodes}", "storage=nfs", "target=job")
    manifest = job.bundle.job
    assert (manifest["apiVersion"], manifest["kind"]) == ("batch/v1", "Job")
    assert [d for o in job.bundle.objects for d in conform.conform(o, volcano_version="newest")] == []


@pytest.mark.parametrize(("nodes", "code"), [(10_000, "FT395"), (100_000, "FT395"), (100_001, "FT103")])
def test_more_hosts_than_a_variable_holds_are_refused(nodes: int, code: str) -> None:
    """Each pod of a plain job is told the names of all: no file of that size is written and then found wrong."""
    words = ("target=job", "hardware=full-gpu", f"hardware.nodes={nodes}")
    with pytest.raises(Rejected) as rejected:
        compile_job(Composer(Request(words)), words)
    assert {d.code for d in rejected.value.diagnostics} == {code}


def test_one_node_is_one_pod(render: Render) -> None:
    spec = render("target=job").bundle.job["spec"]
    assert (spec["parallelism"], spec["completions"], spec["completionMode"]) == (1, 1, "NonIndexed")
    assert spec["backoffLimit"] == 2
    assert "subdomain" not in spec["template"]["spec"]


def test_only_the_frame_differs(render: Render) -> None:
    plain, volcano = render("target=job"), render("target=vcjob")
    theirs = volcano.bundle.job["spec"]["tasks"][0]["template"]["spec"]["containers"][0]
    ours = plain.bundle.job["spec"]["template"]["spec"]["containers"][0]
    assert {k: v for k, v in ours.items() if k != "env"} == {k: v for k, v in theirs.items() if k != "env"}
    named = [e for e in theirs["env"] if e["name"] != "JOB_NAME"]
    assert [e for e in ours["env"] if e["name"] != "JOB_NAME"] == named
    label = next(e for e in ours["env"] if e["name"] == "JOB_NAME")["valueFrom"]["fieldRef"]["fieldPath"]
    assert label == "metadata.labels['batch.kubernetes.io/job-name']"


def test_pods_of_several_nodes_find_each_other(render: Render) -> None:
    job = render("target=job", "storage=nfs", "hardware=full-gpu", "hardware.nodes=2")
    spec, name = job.bundle.job["spec"], job.name
    assert (spec["completionMode"], spec["backoffLimit"]) == ("Indexed", 0)
    (service,) = (o for o in job.bundle.objects if o["kind"] == "Service")
    assert service["spec"]["clusterIP"] == "None"
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    env = {e["name"]: e.get("value") for e in spec["template"]["spec"]["containers"][0]["env"]}
    hosts = kube.expand(env["VC_TRAIN_HOSTS"], {"JOB_NAME": name})
    assert hosts == f"{name}-0.{service['metadata']['name']},{name}-1.{service['metadata']['name']}"
    # Kubernetes expands a variable only from those before it.
    order = list(env)
    assert order.index("JOB_NAME") < order.index("VC_TRAIN_HOSTS")


def test_priority_and_expiry_carry_over(render: Render) -> None:
    spec = render("target=job", "delivery=kubectl", "job.ttl=600", "cluster.priority_class=high").bundle.job["spec"]
    assert spec["ttlSecondsAfterFinished"] == 600
    assert spec["template"]["spec"]["priorityClassName"] == "high"


@pytest.mark.parametrize(("target", "told"), [("vcjob", "queue default"), ("job", "no queue")])
def test_the_status_names_the_queue_where_there_is_one(target: str, told: str, render: Render) -> None:
    assert summary(render(f"target={target}")).endswith(f", {told}")
