"""What is delivered, object by object: guards that must be there, traps that must not, and defaults written out."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ftgen import pipeline, runtime
from ftgen.config import catalog
from ftgen.diagnostics import Rejected
from ftgen.validation.rules.admission import admit_create, admit_update, mutate

OPTIONS = catalog.groups([runtime.conf_dir()])
SHAPES = {
    "one node": (),
    "two nodes": ("hardware=full-gpu", "hardware.nodes=2", "storage=nfs"),
    "a claim": ("storage=nfs", "storage.workspace.create=true"),
    "a priority": ("cluster.priority_class=high",),
}
GUARDS = {
    "argocd": {
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    },
    "flux": {"kustomize.toolkit.fluxcd.io/prune": "disabled"},
    "kubectl": {},
}
NEVER = (
    "argocd.argoproj.io/hook",
    "argocd.argoproj.io/sync-wave",
    "argocd.argoproj.io/tracking-id",
    "kustomize.toolkit.fluxcd.io/force",
)


def annotations(manifest):
    return manifest["metadata"].get("annotations", {})


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("option", sorted(OPTIONS["delivery"]))
def test_every_object_carries_its_guards_and_no_trap(composer, option, shape):
    job = pipeline.compile_job(composer, [f"delivery={option}", *SHAPES[shape]])
    guards = GUARDS[job.spec.delivery.reconciler]

    for manifest in job.bundle.objects:
        assert guards.items() <= annotations(manifest).items()
        assert not set(NEVER) & set(annotations(manifest))
        assert "app.kubernetes.io/instance" not in manifest["metadata"]["labels"]
        assert "status" not in manifest
        assert ("generateName" in manifest["metadata"]) <= (option == "kubectl")
    assert "ttlSecondsAfterFinished" not in job.bundle.job["spec"]


def test_flux_creates_a_job_once_and_leaves_its_scripts_alone(composer):
    job = pipeline.compile_job(composer, ["delivery=flux"]).bundle.job

    assert annotations(job)["kustomize.toolkit.fluxcd.io/ssa"] == "IfNotPresent"
    assert annotations(job)["kustomize.toolkit.fluxcd.io/substitute"] == "disabled"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("option", sorted(OPTIONS["delivery"]))
def test_admission_has_nothing_to_add_so_that_a_second_apply_is_no_change(composer, option, shape):
    job = pipeline.compile_job(composer, [f"delivery={option}", *SHAPES[shape]]).bundle.job

    assert mutate(job) == job
    assert admit_create(job, volcano_version=(1, 12, 2)) == []
    assert admit_update(mutate(job), job, volcano_version=(1, 12, 2)) == []


def test_a_name_leaves_room_for_the_suffix_of_a_rerun(composer):
    job = pipeline.compile_job(composer, [f"name={'n' * 60}"])
    pod = f"{job.name}-r99-train-0"

    assert len(pod) == 63


def test_the_immutable_part_alone_decides_the_name(composer):
    plain, raised, other = (
        pipeline.compile_job(composer, words).name
        for words in ([], ["cluster.priority_class=high"], ["trainer.lr=3e-4"])
    )

    assert plain == raised
    assert plain != other


TRAPS = {
    "FT450": {"metadata": {"annotations": {"argocd.argoproj.io/hook": "Sync"}}},
    "FT451": {"metadata": {"annotations": {"argocd.argoproj.io/sync-options": "Prune=false,Replace=true"}}},
    "FT452": {"metadata": {"labels": {"app.kubernetes.io/instance": "mine"}}},
    "FT453": {"metadata": {"annotations": {"argocd.argoproj.io/sync-options": "Validate=false"}}},
    "FT454": {"spec": {"tasks": []}},
}


@pytest.mark.parametrize("code", TRAPS)
def test_what_an_overlay_could_do_against_its_author_is_found(composer, code):
    job = pipeline.compile_job(composer, [])
    manifest = {**job.bundle.job, **TRAPS[code].get("spec", {})}
    if "metadata" in TRAPS[code]:
        metadata = {
            key: {**manifest["metadata"].get(key, {}), **value} for key, value in TRAPS[code]["metadata"].items()
        }
        manifest["metadata"] = {**manifest["metadata"], **metadata}
    else:
        task = {key: value for key, value in manifest["spec"]["tasks"][0].items() if key != "maxRetry"}
        manifest["spec"] = {**manifest["spec"], "tasks": [task]}

    assert [found.code for found in pipeline.validate_delivery(replace(job.bundle, job=manifest), job.spec, {})] == [
        code
    ]


def test_nothing_is_looked_for_where_no_reconciler_applies(composer):
    job = pipeline.compile_job(composer, ["delivery=kubectl"])
    manifest = {
        **job.bundle.job,
        "metadata": {**job.bundle.job["metadata"], "labels": {"app.kubernetes.io/instance": "x"}},
    }

    assert pipeline.validate_delivery(replace(job.bundle, job=manifest), job.spec, {}) == []


def test_a_cluster_that_labels_objects_as_argo_cd_does_is_refused(composer):
    with pytest.raises(Rejected) as refused:
        pipeline.compile_job(composer, ["+cluster.labels={app.kubernetes.io/instance: mine}"])

    assert {found.code for found in refused.value.diagnostics} == {"FT452"}


def test_a_secret_is_refused_by_the_key_that_brought_it_once(composer):
    with pytest.raises(Rejected) as refused:
        pipeline.compile_job(composer, ["model.url=https://ada:s3cret@git.example.com/m"])

    (found,) = refused.value.diagnostics
    assert (found.code, found.subject) == ("FT441", "model.url")
    assert "s3cret" not in found.headline + found.help + found.value
