"""The scripts beside the job: one immutable ConfigMap for all runs of a folder that have the same."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest
import yaml

from ftgen import cli, pipeline, runtime
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected
from ftgen.pipeline import Compiled


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compiled(*words: str) -> Compiled:
    return pipeline.compile_job(Composer(Request()), list(words))


def script(here: Path, name: str, text: str) -> None:
    """Shadow a packaged script."""
    file = here / "conf" / "trainer" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("configmap-*.yaml"))


def lines(job: Compiled) -> int:
    return next(text for path, text in job.files.items() if "/job-" in path).count(b"\n")


def pod(job: Compiled) -> dict[str, object]:
    return job.bundle.job["spec"]["tasks"][0]["template"]["spec"]


def test_the_scripts_are_mounted_from_a_config_map_that_nothing_changes(here: Path) -> None:
    job = compiled()
    (scripts,) = job.bundle.companions
    assert scripts["immutable"] is True
    assert [*scripts["data"]] == ["prepare.sh", "train.sh"]
    assert scripts["data"]["train.sh"] == (runtime.conf_dir() / "trainer" / "train.sh").read_text(encoding="utf-8")
    assert {"name": "scripts", "configMap": {"name": scripts["metadata"]["name"]}} in pod(job)["volumes"]
    for container in (*pod(job)["initContainers"], *pod(job)["containers"]):
        assert {"name": "scripts", "mountPath": "/opt/ftgen", "readOnly": True} in container["volumeMounts"]
    assert [c["command"] for c in pod(job)["containers"]] == [["/bin/bash", "/opt/ftgen/train.sh"]]


@pytest.mark.parametrize(
    ("words", "most"),
    [
        ((), 230),
        (("hardware=ascend",), 230),
        (("hardware=full-gpu", "trainer=dpo-lora"), 232),
        (("hardware.nodes=2", "storage=nfs"), 300),
        (("hardware=ascend", "hardware.nodes=2", "storage=nfs"), 300),
    ],
)
def test_a_job_can_be_read(here: Path, words: tuple[str, ...], most: int) -> None:
    assert lines(compiled(*words)) <= most


@pytest.mark.parametrize(
    ("words", "mounted"),
    [
        (("delivery=argocd",), True),
        (("delivery=flux",), True),
        (("delivery=kubectl",), False),
        (("delivery=kubectl", "job.scripts=configmap"), True),
        (("delivery=argocd", "job.scripts=inline"), False),
        (("target=job",), True),
    ],
)
def test_a_run_by_hand_is_one_object(here: Path, words: tuple[str, ...], mounted: bool) -> None:
    job = compiled(*words)
    assert [o["kind"] for o in job.bundle.objects] == (["ConfigMap", "Job"] if mounted else ["Job"])


def test_a_command_has_the_same_words_in_both_forms(here: Path) -> None:
    words = ("trainer=command", "trainer.command=[python,'a b']", "tracking=none")
    forms = [compiled(*words, f"job.scripts={form}") for form in ("configmap", "inline")]
    mounted, inline = (pod(job)["containers"][0] for job in forms)
    assert mounted["args"] == ["python", "a b"]
    # After the text of a script comes the name that it goes by.
    assert inline["args"] == ["train", "python", "a b"]


def test_another_script_is_another_run(here: Path) -> None:
    before = compiled()
    script(here, "train.sh", "echo another\n")
    after = compiled()
    assert before.bundle.companions[0]["metadata"]["name"] != after.bundle.companions[0]["metadata"]["name"]
    assert before.name != after.name


def test_all_runs_of_a_folder_share_one(here: Path) -> None:
    assert cli.main(["-q", "-m", "trainer.lr=1e-4,2e-4,3e-4"]) == 0
    assert len(names(here)) == 1
    assert cli.main(["check", "--strict", "out"]) == 0


def test_a_local_folder_drops_scripts_that_no_run_names(here: Path) -> None:
    sweep = ["-q", "-m", "trainer.lr=1e-4,2e-4"]
    assert cli.main(sweep) == 0
    old = names(here)
    script(here, "train.sh", "echo another\n")
    assert cli.main(["-q", "-m", "trainer.lr=1e-4,3e-4"]) == 0
    # The point that was not rendered again still names the old ones.
    assert len(names(here)) == 2
    assert cli.main(sweep) == 0
    assert len(names(here)) == 1
    assert names(here) != old


def test_the_labels_of_a_cluster_make_no_clash(here: Path) -> None:
    assert cli.main(["-q", "storage=hostpath", "-m", "+cluster.labels.team=a,b"]) == 0
    assert len(names(here)) == 2


def test_an_overlay_does_not_change_scripts(here: Path) -> None:
    folder = here / "overlays" / "delivery" / "argocd"
    folder.mkdir(parents=True)
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: any, labels: {team: nlp}}\n"
    (folder / "mine.yaml").write_text(head, encoding="utf-8")
    assert compiled().bundle.companions[0]["metadata"]["labels"]["team"] == "nlp"
    (folder / "mine.yaml").write_text(f"{head}data: {{train.sh: echo}}\n", encoding="utf-8")
    with pytest.raises(Rejected) as refused:
        compiled()
    assert "conf/trainer" in str(refused.value)


def test_the_scripts_are_judged_wherever_they_are(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script that prints its credentials, by a ConfigMap of the same stream and of another file."""
    script(here, "train.sh", "set -x\ncurl -u $GIT_TOKEN a\nllamafactory-cli train x\n")
    assert cli.main(["-o", "-"]) == 1
    inline = capsys.readouterr().err
    assert "FT462" in inline
    shutil.rmtree(here / "conf")
    assert cli.main(["-q"]) == 0
    file = next(here.rglob("configmap-*.yaml"))
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    document["data"]["train.sh"] = "set -x\n" + document["data"]["train.sh"]
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["check", "out"]) == 1
    told = capsys.readouterr()
    assert "FT462" in told.out + told.err
    job = next(here.rglob("job-*.yaml"))
    assert cli.main(["check", str(job)]) == 0


def test_a_secret_in_a_script_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(here, "train.sh", f"export HF_TOKEN=hf_{'a1B2' * 9}\n")
    assert cli.main(["-o", "-"]) == 1
    told = capsys.readouterr().err
    assert "FT44" in told
    assert "a1B2a1B2" not in told


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("data: {a b: x}", 'data["a b"]'),
        ("data: {a: x}\nbinaryData: {a: eA==}", "binaryData.a"),
        ("data: {..: x}", 'data[".."]'),
    ],
)
def test_a_config_map_that_the_server_refuses(
    here: Path, text: str, subject: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "c.yaml").write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\n{text}\n", encoding="utf-8")
    assert cli.main(["check", "--format", "json", "c.yaml"]) == 1
    assert subject in capsys.readouterr().out.replace('\\"', '"')


def test_scripts_larger_than_a_config_map_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(here, "train.sh", "# x\n" * 2**18)
    assert cli.main(["-q"]) == 1
    assert "FT383" in capsys.readouterr().err


@pytest.mark.parametrize(("size", "code"), [(2**20, 0), (2**20 + 1, 1)])
def test_a_config_map_holds_a_mebibyte_however_it_is_written(here: Path, size: int, code: int) -> None:
    data = base64.encodebytes(bytes(size)).decode().replace("\n", "\n    ")
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\nbinaryData:\n  a: |-\n    {data}"
    (here / "c.yaml").write_text(text, encoding="utf-8")
    assert cli.main(["check", "c.yaml"]) == code


def test_a_line_of_a_script_is_explained_by_its_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-q"]) == 0
    file = next(here.rglob("configmap-*.yaml"))
    number = file.read_text(encoding="utf-8").splitlines().index("    set -euo pipefail") + 1
    capsys.readouterr()
    assert cli.main(["explain", f"{file}:{number}"]) == 0
    assert "prepare.sh" in capsys.readouterr().out


def test_runs_of_a_sweep_over_reconcilers_share_one(here: Path) -> None:
    assert cli.main(["-q", "-m", "delivery=argocd,flux,kubectl", "trainer.lr=1e-4,2e-4"]) == 0
    assert len(names(here)) == 1
