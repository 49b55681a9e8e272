"""What points a reconciler at the tree: valid, guarded, and small enough to sync."""

from __future__ import annotations

import fnmatch
import hashlib

import pytest
from msgspec.structs import replace

from ftgen import pipeline
from ftgen.diagnostics import Rejected
from ftgen.output import delivery
from ftgen.output.delivery import Folder, GitSource
from ftgen.output.tree import DELIVERY, apply, plan_write
from ftgen.schema import conform
from ftgen.spec import Delivery
from ftgen.text import yamlio

WHERE = GitSource("https://git.example.com/team/training.git", "refs/heads/main", "training/a")
ARGO = Delivery(reconciler="argocd", generate_name=False, application=True, namespace="argocd")
FLUX = Delivery(reconciler="flux", generate_name=False, application=True, namespace="flux-system")


def files(count, size=1000):
    hashes = [hashlib.sha256(str(number).encode()).hexdigest()[:8] for number in range(count)]
    return {f"job-abl-lr{number}-{h8}.yaml": size for number, h8 in enumerate(hashes)}


def folder(count=3, size=1000):
    return Folder("abl", "lab", files(count, size))


def delivered(composer, *words):
    job = pipeline.compile_job(composer, ["delivery.application=true", *words])
    runs = pipeline.deliver([job], WHERE)
    return {path: yamlio.parse(text.decode(), path) for run in runs for path, text in run.files.items()}


@pytest.mark.parametrize("words", [("delivery=argocd",), ("delivery=flux",), ("delivery.application_set=true",)])
def test_every_object_holds_against_its_schema_and_lies_outside_what_it_applies(composer, words):
    found = delivered(composer, *words)

    assert found
    for path, manifest in found.items():
        assert conform.conform(manifest) == []
        assert path.startswith(f"{DELIVERY}/")


def test_nothing_is_rendered_unless_asked_for(composer):
    assert pipeline.deliver([pipeline.compile_job(composer, [])], WHERE) == []


@pytest.mark.parametrize("where", [replace(WHERE, repo_url="https://g.e/x\udcff"), replace(WHERE, revision="c\udcff")])
def test_an_address_that_no_manifest_can_hold_is_refused(where):
    with pytest.raises(Rejected) as rejected:
        delivery.git_source(ARGO, where)
    assert [problem.code for problem in rejected.value.diagnostics] == ["FT540"]
    assert delivery.git_source(FLUX, where) == where


def test_an_application_neither_prunes_nor_heals_nor_replaces():
    (application,) = delivery.for_folder(ARGO, WHERE, folder())
    spec = application["spec"]

    assert spec["source"]["path"] == "training/a/abl"
    assert spec["source"]["targetRevision"] == "refs/heads/main"
    assert spec["syncPolicy"]["automated"] == {"prune": False, "selfHeal": False}
    assert set(spec["syncPolicy"]["syncOptions"]) == {
        "ApplyOutOfSyncOnly=true",
        "RespectIgnoreDifferences=true",
        "FailOnSharedResource=true",
    }
    assert "finalizers" not in application["metadata"]
    assert application["metadata"]["annotations"]["argocd.argoproj.io/manifest-generate-paths"] == "."


def test_what_is_ignored_leaves_in_place_changes_their_way_unless_create_only_is_asked_for():
    (plain,) = delivery.for_folder(ARGO, WHERE, folder())
    (frozen,) = delivery.for_folder(ARGO.model_copy(update={"create_only": True}), WHERE, folder())

    assert plain["spec"]["ignoreDifferences"][0]["jqPathExpressions"] == [".spec.volumes[]?.volumeClaimName"]
    assert "/spec" not in plain["spec"]["ignoreDifferences"][0]["jsonPointers"]
    assert "/spec" in frozen["spec"]["ignoreDifferences"][0]["jsonPointers"]


def test_the_project_allows_one_repository_one_namespace_and_what_is_rendered(composer):
    project, _cm = delivery.shared(ARGO, WHERE, folder(), "return {}")

    assert project["spec"]["sourceRepos"] == [WHERE.repo_url]
    assert project["spec"]["destinations"] == [{"server": "https://kubernetes.default.svc", "namespace": "lab"}]
    assert project["spec"]["clusterResourceWhitelist"] == []
    kinds = {each["kind"] for each in project["spec"]["namespaceResourceWhitelist"]}
    assert kinds == {"ConfigMap", "Job", "PersistentVolumeClaim"}


def test_a_project_that_exists_already_is_used_and_not_rendered():
    mine = ARGO.model_copy(update={"project": "training"})
    kinds = [o["kind"] for o in delivery.shared(mine, WHERE, folder(), "return {}")]

    assert kinds == ["ConfigMap"]
    assert delivery.for_folder(mine, WHERE, folder())[0]["spec"]["project"] == "training"


def test_the_fragment_of_argocd_cm_can_be_applied_without_losing_what_else_it_holds(composer):
    found = delivered(composer)
    fragment = found[f"{DELIVERY}/configmap-argocd-cm.yaml"]

    assert "ServerSideApply=true" in fragment["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
    assert set(fragment["data"]) == {
        "resource.customizations.health.batch.volcano.sh_Job",
        "resource.customizations.ignoreResourceUpdates.batch.volcano.sh_Job",
    }


def test_an_application_set_keeps_the_jobs_of_a_folder_that_goes():
    chosen = ARGO.model_copy(update={"application_set": True})
    spec = delivery.application_set(chosen, WHERE, folder())["spec"]

    assert spec["syncPolicy"]["preserveResourcesOnDeletion"] is True
    assert spec["generators"][0]["git"]["directories"] == [
        {"path": "training/a/*"},
        {"path": "training/a/_delivery", "exclude": True},
    ]
    assert delivery.for_folder(chosen, WHERE, folder()) == ()


def test_a_kustomization_prunes_what_lost_its_guard_and_does_not_wait():
    (found,) = delivery.for_folder(FLUX, WHERE, folder())

    assert found["spec"]["path"] == "./training/a/abl"
    assert (found["spec"]["prune"], found["spec"]["wait"], found["spec"]["force"]) == (True, False, False)
    assert found["spec"]["deletionPolicy"] == "Orphan"


@pytest.mark.parametrize(("count", "size"), [(1, 1000), (501, 1000), (2000, 1000), (1000, 60_000)])
def test_a_large_sweep_is_split_so_that_every_file_is_in_exactly_one_small_application(count, size):
    shared = {f"{kind}-data.yaml": 50 for kind in ("persistentvolumeclaim", "queue", "deployment", "whatever")}
    held = {**files(count, size), **shared, **{f"job-abl-lr0-{'a1' * 4}-r{number}.yaml": size for number in (2, 100)}}
    found = delivery.for_folder(ARGO, WHERE, Folder("abl", "lab", held))

    parts = [_matched(application, held) for application in found]
    assert sorted(path for part in parts for path in part) == sorted(held)
    assert all(len(part) <= delivery.MOST_OBJECTS for part in parts)
    assert all(sum(held[path] for path in part) <= delivery.MOST_BYTES for part in parts)
    assert len({application["metadata"]["name"] for application in found}) == len(found)
    assert all(conform.conform(application) == [] for application in found)


def test_the_first_application_keeps_its_name_when_a_sweep_grows():
    few, many = (delivery.for_folder(ARGO, WHERE, folder(count)) for count in (3, 1000))

    assert many[0]["metadata"]["name"] == few[0]["metadata"]["name"]
    # A job that moves from one to the next is shared until both have synchronised.
    assert "FailOnSharedResource=true" not in many[0]["spec"]["syncPolicy"]["syncOptions"]


def _matched(application, held):
    directory = application["spec"]["source"]["directory"]
    included, excluded = (
        _globbed(directory[key], held) if key in directory else None for key in ("include", "exclude")
    )
    return [path for path in held if (included is None or path in included) and path not in (excluded or ())]


def _globbed(pattern, held):
    globs = pattern.strip("{}").split(",")
    return [path for path in held if any(fnmatch.fnmatchcase(path, glob) for glob in globs)]


ADDRESS = ("delivery.application=true", "delivery.repo_url=https://g.e/x.git")
NFS = ("storage=nfs-static", "storage.workspace.nfs.server=10.0.0.1")


def written(composer, out, *words, jobs=1):
    """Write jobs and what delivers them into a tree; return the objects of its delivery folder by kind and name."""
    compiled = [pipeline.compile_job(composer, [*ADDRESS, *words])] * jobs
    apply(plan_write(out, [compiled[0].run, *pipeline.deliver(compiled)]))
    found = [yamlio.parse(path.read_text(), "") for path in sorted((out / DELIVERY).glob("*.yaml"))]
    return {(each["kind"], each["metadata"]["name"]): each["spec"] for each in found if "spec" in each}


def project(found):
    return next(spec for (kind, _), spec in found.items() if kind == "AppProject")


def test_the_project_allows_what_the_whole_tree_holds(composer, tmp_path):
    first = project(written(composer, tmp_path / "out", "name=aa", *NFS))
    second = project(written(composer, tmp_path / "out", "name=bb", "delivery.server=https://other"))
    assert (
        second["clusterResourceWhitelist"]
        == first["clusterResourceWhitelist"]
        == [{"group": "", "kind": "PersistentVolume"}]
    )
    assert [each["server"] for each in second["destinations"]] == ["https://kubernetes.default.svc", "https://other"]
    third = written(composer, tmp_path / "out", "name=cc", "cluster.namespace=other")
    assert [spec["clusterResourceWhitelist"] for (kind, name), spec in third.items() if name == "ftgen-other"] == [[]]


def test_the_project_allows_no_more_what_is_gone(composer, tmp_path):
    assert project(written(composer, tmp_path / "out", "name=aa", *NFS))["clusterResourceWhitelist"] != []
    assert project(written(composer, tmp_path / "out", "name=aa"))["clusterResourceWhitelist"] == []


def test_a_folder_with_claims_that_another_may_hold_does_not_fail_for_it(composer, tmp_path):
    found = written(composer, tmp_path / "out", "name=aa", *NFS)
    found = written(composer, tmp_path / "out", "name=bb", *NFS)
    found = written(composer, tmp_path / "out", "name=cc")
    fails = {
        name.rpartition("-")[2]: "FailOnSharedResource=true" in spec["syncPolicy"]["syncOptions"]
        for (kind, name), spec in found.items()
        if kind == "Application"
    }
    assert fails == {"aa": False, "bb": False, "cc": True}


def test_the_parts_of_a_folder_are_those_of_its_tree(composer, tmp_path, monkeypatch):
    monkeypatch.setattr(delivery, "MOST_OBJECTS", 4)
    for lr in range(1, 6):
        found = written(composer, tmp_path / "out", f"name=aa{lr}")
    assert sum(kind == "Application" for kind, _ in found) == 5
    out = tmp_path / "one"
    for lr in range(1, 6):
        compiled = pipeline.compile_job(composer, [*ADDRESS, "name=ab", f"trainer.lr={lr}e-4"])
        run = replace(compiled.run, identity=f"ab/{lr}")
        outcome = apply(plan_write(out, [run, *pipeline.deliver([compiled])]))
    parts = [path for path in outcome.lock.files if "application-" in path]
    assert len(parts) > 1
    assert apply(plan_write(out, [run, *pipeline.deliver([compiled])])).touched == ()


def test_too_large_a_folder_for_an_application_set_is_refused():
    chosen = ARGO.model_copy(update={"application_set": True})

    with pytest.raises(Rejected) as refused:
        delivery.for_folder(chosen, WHERE, folder(1000))
    assert refused.value.diagnostics[0].code == "FT541"


def test_an_application_without_a_repository_is_refused(composer):
    job = pipeline.compile_job(composer, ["delivery.application=true"])

    with pytest.raises(Rejected) as refused:
        pipeline.deliver([job])
    assert (refused.value.diagnostics[0].code, refused.value.diagnostics[0].subject) == ("FT540", "delivery.repo_url")


def test_an_application_under_kubectl_is_refused(composer):
    with pytest.raises(Rejected) as refused:
        pipeline.compile_job(composer, ["delivery=kubectl", "delivery.application=true"])
    assert refused.value.diagnostics[0].code == "FT290"


def test_a_repository_address_with_a_password_in_it_is_refused(composer):
    job = pipeline.compile_job(composer, ["delivery.application=true"])

    with pytest.raises(Rejected) as refused:
        pipeline.deliver([job], GitSource("https://ada:s3cret@git.example.com/t.git", "refs/heads/main", ""))
    assert refused.value.diagnostics[0].code == "FT441"
