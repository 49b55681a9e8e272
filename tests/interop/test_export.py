"""The exported kustomization builds the objects that ftgen renders; the order of lists merged by key is kustomize's."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ftgen import cli, pipeline, runtime, schema
from ftgen.cli.export import kustomization
from ftgen.config import catalog
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected
from ftgen.pipeline import Compiled
from ftgen.text import yamlio

GROUPS = catalog.groups([runtime.conf_dir()])


def composer(directory: Path) -> Composer:
    return Composer(Request(config_path=runtime.conf_dir(), directory=directory))


def kustomized(files: dict[str, bytes], folder: Path) -> list[dict]:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return yamlio.parse_all(done.stdout, "kustomize")


def unordered(value: object, node: schema.Node | None) -> object:
    if isinstance(value, dict):
        return {name: unordered(one, node and node.field(name)) for name, one in sorted(value.items())}
    if isinstance(value, list):
        items = [unordered(one, node and node.item()) for one in value]
        return sorted(items, key=json.dumps) if node and node.merge_key() else items
    return value


def comparable(objects: list[dict]) -> dict[str, object]:
    found = {}
    for one in objects:
        rules = schema.find(one["apiVersion"], one["kind"])
        found[f"{one['kind']}/{one['metadata']['name']}"] = unordered(one, rules and schema.Node.of(rules))
    return found


def assert_same(job: Compiled, made: Composer, folder: Path) -> None:
    built = kustomized(kustomization(made, job), folder)
    assert comparable(built) == comparable(list(job.bundle.objects))


@pytest.mark.parametrize("hardware", GROUPS["hardware"])
def test_every_hardware_on_every_storage(hardware: str, tmp_path: Path) -> None:
    made, built = composer(tmp_path), 0
    for storage in GROUPS["storage"]:
        overrides = [f"hardware={hardware}", f"storage={storage}", "cluster.volcano_version=newest"]
        with suppress(Rejected):
            assert_same(pipeline.compile_job(made, overrides), made, tmp_path / storage)
            built += 1
    assert built > 0


@pytest.mark.parametrize(
    "overrides",
    [
        ["hardware.nodes=2", "hardware=full-gpu", "storage=nfs"],
        ["delivery=flux"],
        ["storage=nfs", "storage.workspace.create=true", "storage.models.create=true"],
        ["+experiment=qwen3-identity-ascend"],
    ],
    ids=" ".join,
)
def test_nodes_claims_deliveries_and_experiments(overrides: list[str], tmp_path: Path) -> None:
    made = composer(tmp_path)
    assert_same(pipeline.compile_job(made, overrides), made, tmp_path / "built")


# --- the user's own overlays ---

_name = st.sampled_from(["GIT_USER", "NNODES", "NCCL_DEBUG", "A", "B"])
_env = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"name": _name, "value": st.text("ab $", min_size=1, max_size=4), "valueFrom": st.none()}
        ),
        st.fixed_dictionaries({"name": _name, "$patch": st.just("delete")}),
    ),
    unique_by=lambda item: item["name"],
    max_size=3,
)
_container = st.fixed_dictionaries(
    {"name": st.sampled_from(["train", "sidecar"]), "image": st.sampled_from(["one", "two"])},
    optional={
        "env": _env,
        "resources": st.fixed_dictionaries(
            {"limits": st.dictionaries(st.sampled_from(["cpu", "x.io/y"]), st.just("3"))}
        ),
    },
)
_pod = st.fixed_dictionaries(
    {},
    optional={
        "containers": st.lists(_container, unique_by=lambda item: item["name"], max_size=2),
        "tolerations": st.lists(st.just({"operator": "Exists"}), max_size=1),
        "nodeSelector": st.dictionaries(st.sampled_from(["a", "b"]), st.one_of(st.none(), st.just("x"))),
        "terminationGracePeriodSeconds": st.one_of(st.none(), st.integers(1, 9)),
        "hostNetwork": st.booleans(),
    },
)
_pod_patch = _pod.map(lambda pod: {"apiVersion": "v1", "kind": "PodTemplate", "template": {"spec": pod}})
_labels = st.dictionaries(st.sampled_from(["app.kubernetes.io/managed-by", "a"]), st.one_of(st.none(), st.just("x")))
_metadata = st.fixed_dictionaries(
    {},
    optional={
        "namespace": st.one_of(st.none(), st.just("elsewhere")),
        "labels": st.one_of(st.none(), _labels, st.just({"$patch": "replace", "only": "this"})),
        "annotations": st.one_of(st.none(), _labels),
    },
)
_job_patch = st.fixed_dictionaries(
    {
        "apiVersion": st.just("batch.volcano.sh/v1alpha1"),
        "kind": st.just("Job"),
        "metadata": _metadata,
        "spec": st.fixed_dictionaries(
            {"queue": st.sampled_from(["q", "r"])},
            optional={
                "policies": st.just([{"event": "PodFailed", "action": "AbortJob"}]),
                "plugins": st.dictionaries(st.sampled_from(["svc", "env", "ssh"]), st.just([])),
                "tasks": st.just([{"name": "train", "replicas": 1, "maxRetry": None}]),
            },
        ),
    }
)
_at = "/spec/tasks/0/template/spec/containers/0"
_operation = st.one_of(
    st.fixed_dictionaries(
        {"op": st.just("add"), "path": st.just(f"{_at}/env/0"), "value": st.just({"name": "FIRST", "value": "1"})}
    ),
    st.just({"op": "remove", "path": f"{_at}/env/1"}),
    st.just({"op": "replace", "path": f"{_at}/env/2", "value": {"name": "THIRD", "value": "3"}}),
    st.just({"op": "move", "from": f"{_at}/env/3", "path": f"{_at}/env/-"}),
    st.just({"op": "add", "path": "/metadata/annotations/example.org~1note", "value": "x"}),
    st.just(
        {"op": "add", "path": f"{_at}/ports", "value": [{"containerPort": 1}, {"containerPort": 1, "protocol": "UDP"}]}
    ),
)


@settings(max_examples=60, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.one_of(_pod_patch, _job_patch, st.lists(_operation, min_size=1, max_size=2)), min_size=1, max_size=4)
)
def test_random_patches(tmp_path_factory: pytest.TempPathFactory, patches: list) -> None:
    directory = tmp_path_factory.mktemp("user")
    overlay = directory / "overlays/hardware/full-gpu/patch.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text("".join(f"---\n{yamlio.dump(patch)}" for patch in patches))
    overlay.with_name("overlay.yaml").write_text(SIDECAR)
    made = composer(directory)
    try:
        job = pipeline.compile_job(made, ["hardware=full-gpu"])
    except Rejected:
        return
    assert_same(job, made, directory / "built")


SIDECAR = "adds: [containers/sidecar]\n"
PACK = """\
apiVersion: v1
kind: PodTemplate
template:
  spec:
    priorityClassName: pack
    containers:
    - name: train
      env: [{name: PACK, value: "1"}]
    - {name: sidecar, image: "registry.example.com/sidecar:1"}
---
- {op: add, path: /spec/tasks/0/template/spec/hostname, value: trainer}
- {op: add, path: /metadata/annotations/example.org~1owner, value: pack}
"""


def test_overlays_of_a_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay = tmp_path / "site/some_pack/overlays/hardware/full-gpu/pack.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text(PACK)
    overlay.with_name("overlay.yaml").write_text(SIDECAR)
    (tmp_path / "site/some_pack/__init__.py").write_text("raise RuntimeError('nothing of a pack is run')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    made, chosen = composer(tmp_path), ["hardware=full-gpu", "overlays=[pkg://some_pack.overlays]"]
    job = pipeline.compile_job(made, chosen)
    assert job.bundle.job["metadata"]["annotations"]["example.org/owner"] == "pack"
    assert_same(job, made, tmp_path / "built")

    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", "hardware=full-gpu", "overlays=[],[pkg://some_pack.overlays]", "--json"]) == 0
    found = {row["path"].rpartition("spec.")[2]: row["values"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert found["hostname"] == {"['pkg://some_pack.overlays']": "trainer"}
    assert {"priorityClassName", "containers[sidecar]", "containers[train].env[PACK]"} <= found.keys()


def test_a_patch_of_pods_beside_a_second_task(tmp_path: Path) -> None:
    overlay = tmp_path / "overlays/model/qwen3-0.6b/eval.yaml"
    overlay.parent.mkdir(parents=True)
    pod = "{restartPolicy: Never, containers: [{name: eval, image: 'example.com/eval:1'}]}"
    task = f"{{name: eval, replicas: 1, minAvailable: 1, maxRetry: 3, template: {{spec: {pod}}}}}"
    overlay.write_text(
        f"apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nspec: {{minAvailable: 2, tasks: [{task}]}}\n"
    )
    overlay.with_name("overlay.yaml").write_text("adds: [tasks/eval]\n")
    own = tmp_path / "overlays/storage/topolvm/env.yaml"
    own.parent.mkdir(parents=True)
    both = "[{name: train, env: [{name: A, value: x}]}, {name: eval, env: [{name: B, value: x}]}]"
    own.write_text(f"apiVersion: v1\nkind: PodTemplate\ntemplate: {{spec: {{containers: {both}}}}}\n")
    made = composer(tmp_path)
    job = pipeline.compile_job(made, ["hardware=cpu", "trainer.precision=fp32", "allow={FT456: it talks to nobody}"])
    tasks = {task["name"]: task["template"]["spec"]["containers"] for task in job.bundle.job["spec"]["tasks"]}
    assert {name: [c["name"] for c in containers] for name, containers in tasks.items()} == {
        "train": ["train"],
        "eval": ["eval"],
    }
    assert {"name": "B", "value": "x"} in tasks["eval"][0]["env"]
    assert_same(job, made, tmp_path / "built")


# --- what is written ---


def test_the_base_is_the_job_before_its_overlays(tmp_path: Path) -> None:
    overlay = tmp_path / "overlays/hardware/ascend/own.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text("apiVersion: v1\nkind: PodTemplate\ntemplate: {spec: {hostname: trainer}}\n")
    made = composer(tmp_path)
    job = pipeline.compile_job(made, ["hardware=ascend"])
    files = kustomization(made, job)
    base = yamlio.parse(files[f"base/job-{job.name}.yaml"].decode(), "base")
    assert base["metadata"]["name"] == job.name
    assert "hostname" not in base["spec"]["tasks"][0]["template"]["spec"]
    assert yamlio.parse(files["overlays/hardware/ascend/own.yaml"].decode(), "patch") == {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "metadata": {"name": job.name},
        "spec": {"tasks": [{"name": "train", "template": {"spec": {"hostname": "trainer"}}}]},
    }


def test_a_job_of_kubernetes_own_is_refused(tmp_path: Path) -> None:
    made = composer(tmp_path)
    with pytest.raises(Rejected) as refused:
        kustomization(made, pipeline.compile_job(made, ["target=job"]))
    assert [(d.code, d.subject) for d in refused.value.diagnostics] == [("FT540", "target")]


def test_the_same_job_gives_the_same_files(tmp_path: Path) -> None:
    one, other = (composer(tmp_path / folder) for folder in "ab")
    files = [kustomization(made, pipeline.compile_job(made, ["hardware=ascend"])) for made in (one, other)]
    assert files[0] == files[1]


def test_a_name_that_the_api_server_makes_up_is_refused(tmp_path: Path) -> None:
    made = composer(tmp_path)
    job = pipeline.compile_job(made, ["delivery=kubectl"])
    with pytest.raises(Rejected) as refused:
        kustomization(made, job)
    assert [(d.code, d.subject) for d in refused.value.diagnostics] == [("FT540", "delivery.generate_name")]


def test_the_command_writes_a_folder_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", "kustomize", "-o", "k"]) == 0
    assert cli.main(["export", "kustomize"]) == 0
    assert Path("kustomize/kustomization.yaml").read_bytes() == Path("k/kustomization.yaml").read_bytes()
    before = {p: p.read_bytes() for p in Path("k").rglob("*") if p.is_file()}
    assert cli.main(["export", "kustomize", "-o", "k"]) == 0
    assert {p: p.read_bytes() for p in Path("k").rglob("*") if p.is_file()} == before
    capsys.readouterr()
    assert cli.main(["export", "kustomize", "job.restarts=1", "cluster.queue=other", "-o", "k"]) == 1
    assert "FT502" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in Path("k").rglob("*") if p.is_file()} == before
    assert cli.main(["export", "kustomize", "cluster.queue=other", "-o", "k", "--overwrite"]) == 0


def test_a_form_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "hardware=ascend", "-o", "k"]) == 2
    assert "ftgen export kustomize" in capsys.readouterr().err


def test_a_wrong_override_is_told_by_its_own_position(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "kustomize", "hardware=asend", "-o", "k"]) == 1
    assert "hardware=asend" in capsys.readouterr().err


def test_a_sweep_is_refused_without_sending_the_user_round_in_circles(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "kustomize", "-m", "trainer.lr=1e-4,2e-4"]) == 2
    assert "export takes one job" in capsys.readouterr().err
