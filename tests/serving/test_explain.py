"""The lines of what serves a result name what made them, and what is refused is refused at its file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.serving.conftest import URL

from ftgen import cli

RUN = "sft-qwen3-0-6b"
POD = "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: any}\ntemplate:\n  spec:\n"


@pytest.fixture
def causes(capsys):
    """Return the names of what made the line of a file that holds some words, each with its place."""

    def explained(file: Path, words: str) -> dict[str, list[str]]:
        lines = file.read_text(encoding="utf-8").splitlines()
        (number,) = [i for i, line in enumerate(lines, 1) if words in line][:1]
        capsys.readouterr()
        assert cli.main(["explain", f"{file}:{number}", "--json"]) == 0, capsys.readouterr().err
        told = json.loads(capsys.readouterr().out)
        assert told["changed"] is False
        return {c["name"]: [f"{Path(p['file']).name}:{p['line']}" for p in c["locations"]] for c in told["causes"]}

    return explained


def written(way: str, *words: str) -> Path:
    assert cli.main(["serve", RUN, f"serving={way}", "-q", *words]) == 0
    (file,) = Path("out").rglob(f"{'deployment' if way == 'deployment' else 'inferenceservice'}-*.yaml")
    return file


@pytest.mark.parametrize("way", ["deployment", "kserve"])
def test_a_line_names_the_keys_of_the_service_and_of_its_run(way, render, causes):
    render("storage=nfs")
    file = written(way, "serving.context=4096", "serving.port=9000")
    assert causes(file, "containerPort: 9000") == {"serving.port": ["<command line>:5"]}
    assert causes(file, "max_model_len: 4096") == {"serving.context": ["<command line>:4"]}
    assert causes(file, f"value: {URL}")["model.output_url"] == ["<command line>:1"]
    assert [*causes(file, "claimName: ")] == ["storage.models.claim"]
    assert "serving.image" in causes(file, "image: vllm/")


def test_the_objects_beside_it_are_traced_through_it(render, causes):
    render()
    folder = written("deployment", "cluster.namespace=elsewhere").parent
    assert causes(folder / f"service-{RUN}.yaml", "namespace: ") == {"cluster.namespace": ["<command line>:3"]}
    (scripts,) = [p for p in folder.glob("configmap-*.yaml") if "exec vllm" in p.read_text(encoding="utf-8")]
    ((name, places),) = causes(scripts, "exec vllm serve").items()
    assert (name, places[0].partition(":")[0]) == ("serve.sh", "serve.sh")
    ((name, _),) = causes(scripts, "# prepare: ").items()
    assert name == "prepare.sh"


@pytest.mark.parametrize("way", ["deployment", "kserve"])
def test_a_line_of_an_overlay_names_its_file(way, render, causes):
    render()
    overlay = Path(f"overlays/serving/{way}/pod.yaml")
    overlay.parent.mkdir(parents=True)
    overlay.write_text(
        f"{POD}    hostname: here\n    containers:\n    - name: vllm\n      env: [{{name: A, value: own}}]\n"
    )
    file = written(way)
    assert causes(file, "hostname: here") == {f"overlay serving/{way}": ["pod.yaml:6"]}
    assert causes(file, "value: own") == {f"overlay serving/{way}": ["pod.yaml:9"]}


@pytest.mark.parametrize(
    ("way", "place"),
    [
        ("deployment", "Deployment.spec.template.spec.containers[name=vllm].workingDir"),
        ("kserve", "InferenceService.spec.predictor.containers[name=kserve-container].workingDir"),
    ],
)
def test_overlays_that_disagree_are_both_named(way, place, render, capsys):
    render()
    for folder, value in ((f"overlays/serving/{way}", "/b"), ("overlays/storage/topolvm", "/a")):
        Path(folder).mkdir(parents=True)
        text = f"{POD}    containers:\n    - name: vllm\n      workingDir: {value}\n"
        Path(folder, "pod.yaml").write_text(text, encoding="utf-8")
    assert cli.main(["serve", RUN, f"serving={way}", "--format", "json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["code"] == "FT023"
    assert place in told["headline"]
    assert [place["file"] for place in told["locations"]] == [
        f"overlays/serving/{way}/pod.yaml", "overlays/storage/topolvm/pod.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize("way", ["deployment", "kserve"])
def test_pods_that_the_api_server_refuses_are_refused_at_the_overlay(way, render, refused):
    render()
    overlay = Path(f"overlays/serving/{way}/pod.yaml")
    overlay.parent.mkdir(parents=True)
    mounts = "[{name: nowhere, mountPath: /x}]"
    overlay.write_text(f"{POD}    containers:\n    - name: vllm\n      volumeMounts: {mounts}\n", encoding="utf-8")
    found = json.loads(refused(RUN, f"serving={way}", "--format", "json"))
    assert [(d["severity"], Path(d["locations"][0]["file"]).name) for d in found] == [("error", "pod.yaml")]
    assert "nowhere" in found[0]["headline"]


def test_a_manifest_that_says_nothing_of_its_run_is_told(render, capsys):
    render()
    file = written("deployment")
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("ftgen.dev/serves: '", "ftgen.dev/serves: '["), encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["explain", f"{file}:17"]) == 1
    assert "FT533" in capsys.readouterr().err
