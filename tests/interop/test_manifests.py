"""A VolcanoJob that somebody wrote becomes an experiment that renders to the same object."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ftgen import cli
from ftgen.diagnostics import Rejected
from ftgen.interop import importing
from ftgen.text import yamlio

# What the webhook of an older release denies is imported for the release that has it.
RELEASE = {"ray": ("cluster.volcano_version=newest",)}
SHAPES = sorted((Path(__file__).parent / "shapes").glob("*.yaml"))


def imported(file: Path, *words: str) -> int:
    return cli.main(["import", str(file), *words, "-o", ".", "-q"])


def experiment() -> dict:
    (file,) = Path("conf/experiment").glob("*.yaml")
    return yamlio.read(file)


def rendered(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    (file,) = Path("conf/experiment").glob("*.yaml")
    capsys.readouterr()
    assert cli.main([f"+experiment={file.stem}", *words, "-o", "-"]) == 0
    (job,) = yamlio.parse_all(capsys.readouterr().out, "rendered")
    return job


def said(file: Path) -> dict:
    return importing.read_manifest(file.read_text(encoding="utf-8"), file.name).job


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda file: file.stem)
def test_rendering_the_experiment_gives_the_same_object(shape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = RELEASE.get(shape.stem, ())
    assert imported(shape, *words) == 0
    assert rendered(capsys, *words) == said(shape)


@pytest.mark.parametrize(
    "overrides", [["+experiment=qwen3-identity-ascend"], ["hardware=full-gpu", "hardware.nodes=2", "storage=nfs"]]
)
def test_what_ftgen_rendered_can_be_imported(overrides: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*overrides, "-o", "-"]) == 0
    Path("ours.yaml").write_text(capsys.readouterr().out)
    assert imported(Path("ours.yaml")) == 0
    assert rendered(capsys) == said(Path("ours.yaml"))


def test_the_reference_solution_is_recognised() -> None:
    imported(SHAPES[0].with_name("reference-train.yaml"))
    found = experiment()
    assert {"override /hardware": "nvidia-vgpu"} in found["defaults"]
    assert {"override /trainer": "sft-lora"} in found["defaults"]
    assert {"override /delivery": "kubectl"} in found["defaults"]
    assert found["trainer"]["precision"] == "fp16"
    assert found["storage"]["shm"] == "2Gi"


def test_a_program_of_its_own_claims_no_model_and_no_data_set(tmp_path: Path) -> None:
    container = {
        "name": "main",
        "image": "registry.example.com/ai/resnet:1.0",
        "command": ["python", "train.py"],
        "resources": {"limits": {"nvidia.com/gpu": 1, "cpu": 4, "memory": "16Gi"}},
    }
    job = yamlio.read(SHAPES[0].with_name("smallest.yaml"))
    job["spec"]["queue"] = "research"
    job["spec"]["tasks"][0]["template"]["spec"]["containers"] = [container]
    (tmp_path / "job.yaml").write_text(yamlio.dump(job))
    imported(tmp_path / "job.yaml")
    found = experiment()
    chosen = {"override /trainer": "command"}, {"override /model": "none"}, {"override /dataset": "none"}
    assert all(choice in found["defaults"] for choice in chosen)
    assert found["trainer"] == {"command": ["python", "train.py"]}
    assert found["model"] == {"output_url": None}
    assert found["hardware"]["per_card"]["memory"] == {"request": "16Gi", "limit": "16Gi"}
    assert found["cluster"]["queue"] == "research"


def test_without_cards_the_hardware_is_none() -> None:
    imported(SHAPES[0].with_name("mpi.yaml"))
    assert {"override /hardware": "cpu"} in experiment()["defaults"]


def test_what_the_checks_say_of_it_is_told_and_accepted_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    file = SHAPES[0].with_name("reference-train.yaml")
    assert cli.main(["import", str(file), "-o", "."]) == 0
    told = capsys.readouterr().err
    assert "warning[FT462]" in told
    assert experiment()["allow"]["FT462"] == "as in reference-train.yaml"


def test_a_secret_in_the_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    job = yamlio.read(SHAPES[0].with_name("smallest.yaml"))
    container = job["spec"]["tasks"][0]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "GIT_TOKEN", "value": "glpat-" + "AbCdEfGhIjKlMnOpQrSt"}]
    Path("leak.yaml").write_text(yamlio.dump(job))
    assert imported(Path("leak.yaml")) == 1
    assert "FT44" in capsys.readouterr().err
    assert not Path("conf").exists()


@pytest.mark.parametrize("shape", ["mpi", "horovod", "torchrun", "live"])
def test_kustomize_builds_the_same_object(shape: str) -> None:
    file = SHAPES[0].with_name(f"{shape}.yaml")
    imported(file)
    (option,) = Path("conf/experiment").glob("*.yaml")
    assert cli.main(["export", "kustomize", f"+experiment={option.stem}", "-o", "k", "-q"]) == 0
    built = subprocess.run(["kubectl", "kustomize", "k"], capture_output=True, text=True, check=True).stdout
    assert ordered(yamlio.parse(built, "built")) == ordered(said(file))


def ordered(value: object) -> object:
    """The value with every list of mappings sorted: kustomize keeps no order of lists that are merged by key."""
    if isinstance(value, dict):
        return {key: ordered(one) for key, one in value.items()}
    if isinstance(value, list):
        items = [ordered(one) for one in value]
        return (
            sorted(items, key=lambda one: json.dumps(one, sort_keys=True))
            if items and isinstance(items[0], dict)
            else items
        )
    return value


def test_what_the_options_say_already_is_not_said_again() -> None:
    imported(SHAPES[0].with_name("reference-train.yaml"))
    found = experiment()
    assert "lr" not in found["trainer"]
    assert "model" not in found
    assert "queue" not in found.get("cluster", {})


def test_a_training_by_hand_gives_its_hyperparameters_and_its_place() -> None:
    imported(SHAPES[0].with_name("torchrun.yaml"))
    found = experiment()
    assert {"override /hardware": "full-gpu"} in found["defaults"]
    assert {"override /trainer": "sft-full"} in found["defaults"]
    assert found["hardware"]["nodes"] == 2
    assert found["hardware"]["devices"] == 8
    assert found["trainer"]["epochs"] == 2
    assert found["trainer"]["args"] == {"warmup_ratio": 0.1}
    assert found["cluster"]["namespace"] == "team-a"
    assert found["cluster"]["node_selector"] == {"card": "a100"}


def test_shares_of_a_card_are_told_in_the_users_units() -> None:
    imported(SHAPES[0].with_name("vgpu.yaml"))
    hardware = experiment()["hardware"]
    assert (hardware["devices"], hardware["memory"], hardware["cores"]) == (2, "10Gi", 30)


def test_the_servers_fields_are_not_the_authors() -> None:
    job = said(SHAPES[0].with_name("live.yaml"))
    assert job["metadata"] == {"name": "live", "namespace": "default"}
    assert "status" not in job


def test_a_name_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    imported(SHAPES[0].with_name("mpi.yaml"))
    assert rendered(capsys)["metadata"]["name"] == "ring-allreduce"


def test_without_a_folder_both_files_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", str(SHAPES[0].with_name("smallest.yaml"))]) == 0
    out = capsys.readouterr()
    assert "# conf/experiment/hello.yaml\n" in out.out
    assert "# overlays/experiment/hello/residual.yaml\n" in out.out
    assert "-o . and render them with: ftgen +experiment=hello" in out.err
    assert not list(Path().iterdir())


def test_a_list_as_kubectl_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [said(SHAPES[0].with_name("mpi.yaml"))]
    Path("list.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": jobs}))
    assert imported(Path("list.json")) == 0
    assert rendered(capsys) == jobs[0]


def test_whole_cards_of_an_option_that_shares_them() -> None:
    imported(SHAPES[0].with_name("whole-cards-of-another-vendor.yaml"))
    hardware = experiment()["hardware"]
    assert (hardware["devices"], hardware["memory"], hardware["cores"]) == (8, None, None)


def test_a_field_of_a_newer_release_is_taken_where_the_cluster_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    job = yamlio.read(SHAPES[0].with_name("smallest.yaml"))
    job["spec"]["tasks"][0] |= {"replicas": 4, "partitionPolicy": {"totalPartitions": 2, "partitionSize": 2}}
    Path("parts.yaml").write_text(yamlio.dump(job))
    assert imported(Path("parts.yaml")) == 1
    assert "parts.yaml:" in capsys.readouterr().err
    assert imported(Path("parts.yaml"), "cluster.volcano_version=newest") == 0


def test_other_objects_of_the_file_are_told() -> None:
    config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n---\n"
    found = importing.read_manifest(
        config_map + SHAPES[0].with_name("mpi.yaml").read_text(encoding="utf-8"), "two.yaml"
    )
    assert [(d.headline, str(d.locations[0])) for d in found.others] == [
        ("ConfigMap settings is not imported; keep its file", "two.yaml:1:1")
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("apiVersion: batch/v1\nkind: Job\nmetadata: {name: x}\n", "FT541"),
        ("apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {namespace: x}\nspec: {}\n", "FT541"),
        ("apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nspec: {}\n", "FT541"),
        ("apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {name: x}\nspec: {taks: []}\n", "FT301"),
    ],
)
def test_what_the_cluster_would_not_take_is_refused(text: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("wrong.yaml").write_text(text)
    assert imported(Path("wrong.yaml")) == 1
    assert capsys.readouterr().err.startswith("wrong.yaml:")
    assert imported(Path("wrong.yaml"), "--format", "json") == 1
    assert {each["code"] for each in json.loads(capsys.readouterr().out)} == {code}
    assert not Path("conf").exists()


TASK = "{name: a, replicas: 1, template: {spec: {restartPolicy: Never, containers: [{name: c, image: 'i:1'}]}}}"
HEAD = "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {name: x}\nspec:\n  schedulerName: volcano\n"


def test_what_admission_denies_is_never_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    Path("twins.yaml").write_text(f"{HEAD}  tasks:\n  - {TASK}\n  - {TASK}\n")
    assert imported(Path("twins.yaml")) == 1
    assert "twins.yaml:8:6: error[FT312]" in capsys.readouterr().err
    assert not Path("conf").exists()


def test_cards_of_nobody_are_refused_unless_the_user_says_whose_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    task = TASK.replace("'i:1'", "'i:1', resources: {limits: {example.com/npu: 8}}")
    Path("new.yaml").write_text(f"{HEAD}  tasks:\n  - {task}\n")
    assert imported(Path("new.yaml")) == 1
    err = capsys.readouterr().err
    assert err.startswith("new.yaml:")
    assert "FT558" in err
    assert "example.com/npu" in err
    assert imported(Path("new.yaml"), "hardware=cpu") == 0
    assert {"override /hardware": "cpu"} in experiment()["defaults"]
    assert rendered(capsys) == said(Path("new.yaml"))


@pytest.mark.parametrize(
    ("name", "hardware"),
    [("nvidia.com/mig-7g.80gb", "full-gpu"), ("amd.com/cpx_nps4", "amd"), ("rdma/hca", "cpu")],
)
def test_a_card_without_an_option_is_its_vendors(name: str, hardware: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("card.yaml").write_text(
        f"{HEAD}  tasks:\n  - {TASK}\n".replace("'i:1'", f"'i:1', resources: {{limits: {{{name}: 1}}}}")
    )
    assert imported(Path("card.yaml")) == 0
    assert {"override /hardware": hardware} in experiment()["defaults"]
    assert rendered(capsys) == said(Path("card.yaml"))


def test_what_check_says_of_the_file_is_told_at_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Path("job.yaml").write_text(f"{HEAD}  tasks:\n  - {TASK}\n")
    assert cli.main(["check", "job.yaml", "-q"]) == 0
    checked = {line.partition(": ")[0] for line in capsys.readouterr().err.splitlines() if line.startswith("job.yaml:")}
    assert cli.main(["import", "job.yaml"]) == 0
    told = {line.partition(": ")[0] for line in capsys.readouterr().err.splitlines() if "[FT" in line}
    assert checked - {"job.yaml"} <= told
    assert all(place.startswith("job.yaml:") for place in told)


def test_a_mistake_in_the_overrides_is_told_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert imported(SHAPES[0].with_name("mpi.yaml"), "cluster.volcano_version=banana") == 1
    assert "<command line>:2" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(Rejected):
        yamlio.read_text(Path("nowhere.yaml"))
    assert imported(Path("nowhere.yaml")) == 1
