"""`ftgen rebuild` without a file: whether a whole tree is what the configurations of its runs give."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.gitops.repositories import git, home

from ftgen import cli, runtime
from ftgen.cli import drift
from ftgen.config.compose import Composer
from ftgen.output.tree.plan import sha256

__all__ = ["git", "home"]

MODEL = (runtime.conf_dir() / "model" / "qwen3-0.6b.yaml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a directory with a model of one's own."""
    (tmp_path / "work/conf/model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    Path("conf/model/mine.yaml").write_text(MODEL, encoding="utf-8")


def rendered(*words: str) -> Path:
    """Render, and return the file of the last job."""
    assert cli.main([*words, "-q"]) == 0
    return max(Path("out").rglob("job-*.yaml"), key=lambda file: file.stat().st_mtime_ns)


def compared(capsys: pytest.CaptureFixture[str], code: int, *flags: str) -> dict[str, Any]:
    capsys.readouterr()
    assert cli.main(["rebuild", "--json", *flags]) == code, capsys.readouterr()
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["same"] == (code == 0)
    return document


def reasons(document: dict[str, Any]) -> dict[str, str]:
    return {each["file"]: each["reason"] for each in document["differences"]}


def forge(file: Path, old: str, new: str) -> None:
    """Change a file and its digest in the index, as a foreign tree may come."""
    before = file.read_bytes()
    after = before.replace(old.encode(), new.encode())
    assert before != after
    file.write_bytes(after)
    lock = Path("out/ftgen.lock")
    lock.write_text(lock.read_text().replace(sha256(before), sha256(after)))


def test_a_tree_that_was_rendered_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    # The keys are not in the order of the alphabet: tags of a tracker have the order of the command line.
    rendered("-m", "trainer.lr=1e-4,2e-4", "model=mine,qwen3-8b", "hardware=full-gpu", "+sweep.name=lr")
    rendered("name=one", "storage.models.claim=shared")
    rendered("-m", "+experiment=qwen3-identity-vgpu", "trainer.epochs=1,2", "name=preset")
    rendered("name=plain", "delivery=kubectl")
    assert cli.main(["serve", "one", "-q"]) == 0
    assert cli.main(["archive", "lr/mine-lr1e-4", "-q"]) == 0
    assert cli.main(["rerun", "lr/mine-lr2e-4", "-q"]) == 0

    found = compared(capsys, 0)

    # Of the sweep three jobs are active, one of them under its next name; the served result is a run, too.
    assert found["runs"] == 3 + 1 + 2 + 1 + 1
    assert [each["state"] for each in found["history"]] == ["archived", "orphaned"]
    assert found["unrendered"] == ["lr/lr.ftgen-index", "preset/preset.ftgen-index"]
    assert cli.main(["rebuild"]) == 0
    assert capsys.readouterr().err == (
        "8 runs rendered again, nothing differs; 1 archived, 1 orphaned: history, not rendered again\n"
    )


def test_a_changed_configuration_is_told_with_what_it_means_for_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    job, other = rendered("model=mine", "name=one"), rendered("name=two")
    Path("conf/model/mine.yaml").write_text(MODEL.replace("template: qwen3", "template: qwen3_nothink"))

    (told,) = compared(capsys, 1)["differences"]

    assert (told["file"], told["reason"], told["class"]) == (f"one/{job.name}", "configuration", "new run")
    assert any(field["path"].endswith("template") for field in told["fields"]), told
    assert other.is_file()
    assert cli.main(["rebuild"]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith(f"out/one/{job.name}: its configuration gives something else now (new run)\n    spec.")
    assert shown.err == "2 runs rendered again, 1 file differs: 1 configuration\n"


def test_a_change_that_no_job_notices_is_metadata(capsys: pytest.CaptureFixture[str]) -> None:
    Path("conf/cluster").mkdir()
    cluster = Path("conf/cluster/mine.yaml")
    text = (runtime.conf_dir() / "cluster" / "alauda.yaml").read_text(encoding="utf-8")
    cluster.write_text(text)
    rendered("cluster=mine")
    cluster.write_text(text.replace("annotations: {}", "annotations: {example.com/owner: ada}"))

    (told,) = compared(capsys, 1)["differences"]

    assert (told["reason"], told["class"]) == ("configuration", "metadata")


def test_a_claim_beside_the_jobs_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    storage = Path("conf/storage/mine.yaml")
    storage.parent.mkdir()
    text = (runtime.conf_dir() / "storage" / "nfs.yaml").read_text(encoding="utf-8")
    storage.write_text(text)
    rendered("storage=mine", "storage.models.claim=shared", "storage.models.create=true", "name=one")
    storage.write_text(text.replace("size: 100Gi+", "size: 3210Gi"))

    differences = compared(capsys, 1)["differences"]

    (claim,) = (each for each in differences if "persistentvolumeclaim" in each["file"])
    assert (claim["file"], claim["reason"]) == ("one/persistentvolumeclaim-shared.yaml", "configuration")
    assert [field["path"] for field in claim["fields"]] == ["spec.resources.requests.storage"]


def test_what_was_edited_lost_or_put_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    edited, lost = rendered("name=edited"), rendered("name=lost")
    archived = rendered("name=old")
    assert cli.main(["archive", "old", "-q"]) == 0
    edited.write_text(edited.read_text().replace("learning_rate: 0.0002", "learning_rate: 0.5"))
    archived.write_text(archived.read_text().replace("hook: Skip", "hook: Sync"))
    lost.unlink()
    foreign = Path("out/old/below/job.yaml")
    foreign.parent.mkdir()
    foreign.write_text("kind: Job\n")
    Path("out/old/link.yaml").symlink_to("/etc/hostname")
    Path("out/old/README.md").write_text("notes\n")

    document = compared(capsys, 1)

    assert reasons(document) == {
        f"edited/{edited.name}": "edited",
        f"lost/{lost.name}": "missing",
        f"old/{archived.name}": "edited",
        "old/below/job.yaml": "foreign",
        "old/link.yaml": "foreign",
    }
    assert document["differences"][0]["class"] == "new run"


def test_another_release_of_ftgen_is_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    job = rendered()
    forge(job, f'ftgen.dev/version: "{drift.__version__}"', 'ftgen.dev/version: "0.0.1"')

    (told,) = compared(capsys, 1)["differences"]

    assert (told["reason"], told["class"]) == ("version", "metadata")
    assert told["detail"] == f"rendered by ftgen 0.0.1, and this is ftgen {drift.__version__}"


def test_a_configuration_that_is_rejected_now_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    job = rendered("model=mine")
    Path("conf/model/mine.yaml").unlink()

    (told,) = compared(capsys, 1)["differences"]

    assert (told["file"], told["reason"]) == (job.relative_to("out").as_posix(), "rejected")
    assert "FT011: the group model has no option 'mine'" in told["detail"]


def test_a_sweep_is_composed_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    values = ",".join(f"{number}e-6" for number in range(1, 21))
    rendered("-m", f"trainer.lr={values}", "trainer.args.lora_rank=8,16")
    composed = []
    compose = Composer.compose_with_unresolved

    def counted(*words: Any, **flags: Any) -> Any:
        composed.append(words)
        return compose(*words, **flags)

    monkeypatch.setattr(Composer, "compose_with_unresolved", counted)

    assert compared(capsys, 0)["runs"] == 40
    assert len(composed) == 1


def test_a_sweep_on_all_processors_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    values = ",".join(f"{number}e-6" for number in range(1, 61))
    rendered("-m", f"trainer.lr={values}")
    edited = sorted(Path("out").rglob("job-*.yaml"))[7]
    edited.write_text(f"{edited.read_text()}# mine\n")

    document = compared(capsys, 1)

    assert (document["runs"], list(reasons(document).values())) == (60, ["edited"])


def test_a_place_without_an_index_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rebuild", "-o", "nowhere"]) == 1
    assert "error[FT509]: nowhere has no index ftgen.lock" in capsys.readouterr().err
    assert cli.main(["rebuild", "conf"]) == 2
    assert cli.main(["rebuild", "a.yaml", "b.yaml"]) == 2
    assert cli.main(["rebuild", "a.yaml", "--repo", "x", "--branch", "main"]) == 2


# --- trees of others -----------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the working directory, with a model and an overlay that nobody asked for."""
    (tmp_path / "outside/model").mkdir(parents=True)
    (tmp_path / "outside/model/stolen.yaml").write_text(MODEL.replace("Qwen3-0.6B", "Stolen"), encoding="utf-8")
    (tmp_path / "outside/hardware/nvidia-vgpu").mkdir(parents=True)
    (tmp_path / "outside/hardware/nvidia-vgpu/patch.yaml").write_text("kind: PodTemplate\nspec: {hostNetwork: true}\n")
    return tmp_path / "outside"


@pytest.mark.parametrize(
    "words",
    [
        ["hydra.searchpath=[{outside}]", "model=stolen"],
        ["++hydra.searchpath=[file://{outside}]", "model=stolen"],
        ["hydra.searchpath=[../outside]", "model=stolen"],
        ["overlays=[{outside}]"],
        ["overlays=extend_list({outside})"],
        ["job.name='{outside}'", "overlays=['${{job.name}}']"],
    ],
)
def test_a_manifest_does_not_choose_what_is_read(
    words: list[str], outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = rendered("trainer.epochs=2")
    forge(job, '["trainer.epochs=2"]', json.dumps([word.format(outside=outside) for word in words]).replace("'", "''"))

    (told,) = compared(capsys, 1)["differences"]

    assert told["reason"] == "rejected"
    assert "FT002" in told["detail"]
    assert told["fields"] == []


def test_a_manifest_does_not_choose_which_variable_is_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_INFO", "hunter2canary")
    conf = Path("conf/cluster/mine.yaml")
    conf.parent.mkdir(parents=True)
    conf.write_text("defaults: [alauda, _self_]\nnamespace: ${oc.env:NAMESPACE_OF_MINE}\n", encoding="utf-8")
    monkeypatch.setenv("NAMESPACE_OF_MINE", "ml")
    job = rendered("cluster=mine", "trainer.epochs=2")
    compared(capsys, 0)
    forge(job, "trainer.epochs=2", "name=${oc.env:DEPLOY_INFO}")

    (told,) = compared(capsys, 1)["differences"]

    assert told["reason"] == "rejected"
    assert "FT002" in told["detail"]
    assert "hunter2canary" not in json.dumps(told)


def test_a_folder_that_the_flags_name_is_read(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rendered(f"hydra.searchpath=[{outside}]", "model=stolen")
    assert reasons(compared(capsys, 1)).popitem()[1] == "rejected"
    compared(capsys, 0, "-cd", str(outside))


@pytest.mark.parametrize(
    "annotation",
    [
        '["hydra/sweeper=optuna"]',
        '["hydra/launcher=joblib", "hydra.callbacks={a: {_target_: os.system}}"]',
        '["trainer.lr=1,2"]',
        '["+trainer.args._target_=os.system"]',
        '["model=../../../etc/passwd"]',
        '["cluster.facts.snapshot=../../../etc/passwd"]',
        '["trainer.script=../../../etc/passwd"]',
        '["name=${oc.env:HOME}"]',
        '["name=${now:%Y}"]',
        '["~model"]',
        '["a", "=", "", "\\\\u0000"]',
        '["name=../../x"]',
        "[1]",
        "{}",
        "null",
        "no JSON",
        '["' + "[" * 5000 + '"]',
    ],
)
def test_odd_words_of_a_manifest_end_in_a_difference(
    annotation: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "system", lambda word: pytest.fail(f"{word} was run"))
    job = rendered("trainer.epochs=2")
    forge(job, '["trainer.epochs=2"]', annotation)

    (told,) = compared(capsys, 1)["differences"]

    assert told["reason"] in {"configuration", "rejected", "unrecorded"}, told
    assert "root:" not in json.dumps(told)


@pytest.mark.parametrize(
    "place",
    [
        '{"name": "../../x", "label": "../y", "swept": ["trainer.epochs"]}',
        '{"name": "", "label": "", "swept": ["hydra", "sweep", "~"]}',
        '{"name": "a", "label": "b", "swept": ["nowhere", "trainer"]}',
        '{"name": "a"}',
        "[]",
    ],
)
def test_odd_places_in_a_sweep_end_in_a_difference(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    job = rendered("trainer.epochs=2")
    words = "    ftgen.dev/overrides: "
    forge(job, words, f"    ftgen.dev/sweep: '{place}'\n{words}")

    (told,) = compared(capsys, 1)["differences"]

    assert told["reason"] in {"configuration", "rejected", "unrecorded"}
    assert not Path("../x").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"ftgen.dev/overrides: [", b"- ftgen.dev/overrides:\n", b""])
def test_a_job_that_is_no_manifest_is_told(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    job = rendered()
    lock = Path("out/ftgen.lock")
    lock.write_text(lock.read_text().replace(sha256(job.read_bytes()), sha256(content)))
    job.write_bytes(content)

    assert list(reasons(compared(capsys, 1)).values()) == ["unrecorded"]


def test_what_a_reconciler_would_read_is_foreign_by_any_name(capsys: pytest.CaptureFixture[str]) -> None:
    rendered("name=one")
    for name in ("one/Kustomization", "one/evil.jsonnet", "zz/x.yaml", "zz/below/y.yaml", ".zz/x.yaml", "one/notes.md"):
        Path("out", name).parent.mkdir(parents=True, exist_ok=True)
        Path("out", name).write_text("{}\n")
    assert reasons(compared(capsys, 1)) == {"one/Kustomization": "foreign", "one/evil.jsonnet": "foreign"}
    application = ["delivery.application=true", "delivery.repo_url=https://g.e/x.git", "delivery.application_set=true"]
    rendered("name=two", *application)
    assert reasons(compared(capsys, 1)).keys() == {"one/Kustomization", "one/evil.jsonnet", "zz/x.yaml"}


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_a_published_tree_is_the_same_whatever_its_objects_are_named_by(
    capsys: pytest.CaptureFixture[str], git: Callable[..., str], form: str
) -> None:
    git(Path(), "init", "--quiet", "--bare", f"--object-format={form}", "r.git")
    flags = ["--repo", "r.git", "--branch", "main", "--path", "t", "-q"]
    for words in (["publish", "name=one", "delivery=flux"], ["archive", "one"], ["rerun", "one"]):
        assert cli.main([*words, *flags]) == 0
    assert compared(capsys, 0, *flags[:-1])["runs"] == 1
