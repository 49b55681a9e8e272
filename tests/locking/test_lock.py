"""`ftgen lock`, `--locked`, and what renders, explanations and rebuilds make of the pins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from tests.locking.conftest import Site
from tests.scripts.gitserver import TOKEN, USER

from ftgen import cli

MINE = "+experiment=mine"
# Each revision has a folder of its own on the models volume.
FOLDER = "model.folder=Tiny-${model.revision}"
PINS = Path("conf/pins.yaml")


def run(code: int, *words: str) -> None:
    assert cli.main([*words]) == code


def job() -> tuple[Path, dict[str, Any]]:
    """The last job that was rendered."""
    file = max(Path("out").rglob("job-*.yaml"), key=lambda each: each.stat().st_mtime_ns)
    return file, yaml.safe_load(file.read_text())


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    pod = manifest["spec"]["tasks"][0]["template"]["spec"]
    return [*pod["initContainers"], *pod["containers"]]


def variables(manifest: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for one in containers(manifest) for each in one["env"]}


def test_the_answers_are_written_and_rendered(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run(0, "lock", MINE)
    assert "3 added" in capsys.readouterr().err
    pins = yaml.safe_load(PINS.read_text())
    assert pins == {
        "version": 1,
        "git": sorted(
            [
                {"url": site.model, "revision": "main", "commit": site.commits[site.model]},
                {"url": site.data, "commit": site.commits[site.data]},
            ],
            key=lambda entry: entry["url"],
        ),
        "images": [{"image": site.image, "digest": site.digest}],
    }
    run(0, MINE)
    _, manifest = job()
    assert [each["image"] for each in containers(manifest)] == [f"{site.image}@{site.digest}"] * 2
    given = variables(manifest)
    assert (given["MODEL_REVISION"], given["DATASET_REVISION"]) == tuple(site.commits.values())


def test_a_second_time_asks_nobody_and_writes_nothing(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run(0, "lock", MINE)
    before, asked = PINS.stat().st_mtime_ns, (len(site.registry.asked), len(site.forge.requests))
    site.move()
    run(0, "lock", MINE)
    assert (len(site.registry.asked), len(site.forge.requests)) == asked
    assert PINS.stat().st_mtime_ns == before
    assert "conf/pins.yaml has a pin for everything that could move" in capsys.readouterr().err


def test_upgrade_asks_again(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run(0, "lock", MINE)
    locked = PINS.read_text()
    site.move()
    run(1, "lock", MINE, "--upgrade", "--check")
    assert "2 updated, nothing was written" in capsys.readouterr().err
    assert PINS.read_text() == locked
    run(0, "lock", MINE, "--upgrade-only", "*/team/train:*")
    pins = yaml.safe_load(PINS.read_text())
    assert pins["images"][0]["digest"] != site.digest
    assert {entry["commit"] for entry in pins["git"]} == set(site.commits.values())
    run(0, "lock", MINE, "--upgrade")
    assert {e["commit"] for e in yaml.safe_load(PINS.read_text())["git"]} != set(site.commits.values())
    run(0, "lock", MINE, "--upgrade", "--check")
    run(2, "lock", MINE, "--upgrade-only", "nothing-of-this-name")


def test_a_pin_is_as_if_the_user_had_written_it(site: Site) -> None:
    run(0, "lock", MINE)
    run(0, MINE)
    (file, locked) = job()
    PINS.unlink()
    model, data = site.commits.values()
    written = [
        f"model.revision='{model}'",
        f"dataset.revision='{data}'",
        f"hardware.image='{site.image}@{site.digest}'",
    ]
    run(0, MINE, *written)
    assert job()[0].name == file.name, "the same content has the same name"
    assert job()[1]["spec"] == locked["spec"]
    digest = "ftgen.dev/config-digest"
    assert job()[1]["metadata"]["annotations"][digest] == locked["metadata"]["annotations"][digest]
    run(0, MINE, "-o", "other")
    (unpinned,) = Path("other").rglob("job-*.yaml")
    assert unpinned.name != file.name, "another commit is another run"


@pytest.mark.parametrize("words", [[MINE], ["-m", MINE, "trainer.lr=1e-4,2e-4", "model.revision=main,v1", FOLDER]])
def test_a_manifest_is_rebuilt_after_the_pins_moved_on(
    site: Site, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    site.forge.git("Tiny", "tag", "v1", "main")
    run(0, "lock", *words)
    run(0, *words)
    capsys.readouterr()
    first = job()[0]
    site.move()
    run(0, "lock", *words, "--upgrade")
    run(0, "rebuild", str(first))
    run(0, "rebuild")
    run(0, MINE, "name=later")
    PINS.unlink()
    run(0, "rebuild")
    assert "nothing differs" in capsys.readouterr().err


def test_a_manifest_of_before_the_pins_is_rebuilt_without(site: Site) -> None:
    run(0, MINE)
    run(0, "lock", MINE)
    run(0, "rebuild", str(job()[0]))
    run(0, "rebuild")


def test_rebuild_does_not_hide_another_image(site: Site) -> None:
    run(0, "lock", MINE)
    run(0, MINE)
    file = Path("conf/experiment/mine.yaml")
    file.write_text(file.read_text().replace("train:1.0", "train:1.1"))
    run(1, "rebuild", str(job()[0]))


def test_locked_refuses_what_may_move(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run(1, MINE, "--locked", "--format", "json")
    found = json.loads(capsys.readouterr().out)
    assert [each["code"] for each in found] == ["FT782"] * 3
    assert [(each["subject"], each["locations"][0]["file"]) for each in found] == [
        ("model.revision", "conf/experiment/mine.yaml"),
        ("dataset.revision", found[1]["locations"][0]["file"]),
        ("hardware.image", "conf/experiment/mine.yaml"),
    ]
    assert found[0]["locations"][0]["line"] == 2
    assert f"run `ftgen lock {MINE}`" in found[0]["help"]
    assert not Path("out").exists()
    run(1, "plan", "-m", MINE, "trainer.lr=1e-4,2e-4", "--locked")
    assert f"run `ftgen lock -m {MINE} trainer.lr=1e-4,2e-4`" in capsys.readouterr().err
    run(0, "lock", MINE)
    run(0, MINE, "--locked")
    run(0, "plan", "-m", MINE, "trainer.lr=1e-4,2e-4", "--locked")


@pytest.mark.parametrize("verb", ["plan", "preview", "diff", "export", "compare", "publish"])
def test_each_verb_that_compiles_takes_locked(site: Site, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = {
        "compare": ["trainer.lr=1e-4,2e-4"],
        "publish": ["--repo", "https://127.0.0.1:1/x", "--branch", "main"],
        "export": ["kustomize"],
    }.get(verb, [])
    run(1, verb, *more, MINE, "--locked")
    assert "FT782" in capsys.readouterr().err


def test_explain_names_the_line_of_the_pin(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run(0, "lock", MINE)
    run(0, MINE)
    line = next(n for n, text in enumerate(PINS.read_text().splitlines(), 1) if site.image in text)
    capsys.readouterr()
    run(0, "explain", "hardware.image", MINE)
    assert f"conf/pins.yaml:{line}" in (told := capsys.readouterr().out)
    assert "holds" in next(text for text in told.splitlines() if "pins.yaml" in text)
    file = job()[0]
    number = next(
        n for n, text in enumerate(file.read_text().splitlines(), 1) if "image: " in text and site.digest in text
    )
    run(0, "explain", f"{file}:{number}")
    told = capsys.readouterr().out
    assert f"conf/pins.yaml:{line}" in told
    assert "conf/experiment/mine.yaml:5" in told
    PINS.unlink()
    run(0, "explain", f"{file}:{number}")
    told = capsys.readouterr().out
    assert f"{file}:" in next(text for text in told.splitlines() if "lock of" in text)


def test_an_image_of_an_overlay_is_pinned(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    digest = site.registry.push("team/sidecar:2")
    sidecar = site.registry.image("team/sidecar:2")
    folder = Path("overlays/experiment/mine")
    folder.mkdir(parents=True)
    (folder / "sidecar.yaml").write_text(
        "kind: PodTemplate\ntemplate:\n  spec:\n    initContainers:\n"
        f"      - {{name: proxy, image: '{sidecar}', restartPolicy: Always}}\n"
    )
    (folder / "overlay.yaml").write_text("adds: [initContainers]\n")
    capsys.readouterr()
    code = cli.main([MINE, "--locked", "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert (code, found[-1]["code"], found[-1]["locations"][0]["file"]) == (
        1,
        "FT782",
        "overlays/experiment/mine/sidecar.yaml",
    )
    run(0, "lock", MINE)
    run(0, MINE, "--locked")
    images = {each["name"]: each["image"] for each in containers(job()[1])}
    assert images["proxy"] == f"{sidecar}@{digest}"
    run(0, "rebuild", str(job()[0]))
    PINS.unlink()
    run(0, "rebuild", str(job()[0]))


def test_nothing_is_written_where_one_has_no_answer(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run(1, "lock", MINE, "model.revision=no-such-branch", "--format", "json")
    (found,) = json.loads(capsys.readouterr().out)
    assert found["code"] == "FT784"
    assert "has no branch or tag no-such-branch" in found["headline"]
    assert found["locations"][0] == {"file": "<command line>", "line": 2, "column": 0}
    assert not PINS.exists()


def test_json_says_what_was_asked(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run(0, "lock", MINE, "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == "conf/pins.yaml"
    assert document["diagnostics"] == []
    assert {each["subject"]: each["new"] for each in document["references"]} == {
        "model.revision": site.commits[site.model],
        "dataset.revision": site.commits[site.data],
        "hardware.image": site.digest,
    }
    assert {each["change"] for each in document["references"]} == {"added"}


def test_an_ambiguous_name_is_told_and_the_tag_is_taken(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.forge.git("Tiny", "-c", "user.name=a", "-c", "user.email=a@b.c", "tag", "-a", "-m", "x", "same", "main")
    tagged = site.commits[site.model]
    site.forge.commit("Tiny", {"config.json": b"3"}, large={}, branch="same")
    run(0, "lock", MINE, "model.revision=same")
    told = capsys.readouterr().err
    assert "FT785" in told
    assert "refs/tags/same and refs/heads/same" in told
    entry = next(e for e in yaml.safe_load(PINS.read_text())["git"] if e.get("revision") == "same")
    assert entry["commit"] == tagged, "the commit, and not the tag's own object"


def test_a_path_of_the_pod_is_left_as_it_is(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run(0, "lock", MINE, "model.url=/mnt/repositories/Tiny")
    assert "FT766" in capsys.readouterr().err
    assert len(yaml.safe_load(PINS.read_text())["git"]) == 1


def test_what_is_pinned_already_needs_no_pin(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    model, data = site.commits.values()
    written = [
        f"model.revision='{model}'",
        f"dataset.revision='{data}'",
        f"hardware.image='{site.image}@{site.digest}'",
    ]
    run(0, "lock", MINE, *written)
    assert not PINS.exists()
    assert "nothing could move" in capsys.readouterr().err
    run(0, MINE, *written, "--locked")


def test_a_token_never_reaches_the_file_or_a_message(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    run(0, "lock", MINE)
    run(1, "lock", MINE, f"model.url='{site.model}-gone'")
    printed = capsys.readouterr()
    for text in (PINS.read_text(), printed.out, printed.err):
        assert "glpat" not in text


def test_latest_is_locked_and_no_warning_any_more(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    image = site.registry.image("team/train")
    site.registry.push("team/train:latest")
    run(0, "lock", MINE, f"hardware.image={image}", "--strict")
    assert "FT489" not in capsys.readouterr().err
    run(0, MINE, f"hardware.image={image}", "--locked")
    assert "FT489" not in capsys.readouterr().err
    assert containers(job()[1])[0]["image"].startswith(f"{image}@sha256:")


def test_a_sweep_is_asked_about_each_reference_once(site: Site) -> None:
    site.registry.push("team/train:2.0")
    images = f"hardware.image={site.image},{site.registry.image('team/train:2.0')}"
    run(0, "lock", "-m", MINE, images, "trainer.lr=1e-4,2e-4,3e-4")
    heads = [path for _, path, _ in site.registry.asked if "manifests" in path]
    assert sorted(heads) == ["/v2/team/train/manifests/1.0", "/v2/team/train/manifests/2.0"]
    run(0, "-m", MINE, images, "trainer.lr=1e-4,2e-4,3e-4", "--locked", "-q")
    run(0, "rebuild", "-q")


def test_a_failure_in_a_sweep_is_located_on_the_command_line(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    gone = site.registry.image("team/train:gone")
    run(1, "lock", "-m", MINE, "trainer.lr=1e-4,2e-4", f"hardware.image={site.image},{gone}", "--format", "json")
    (found,) = json.loads(capsys.readouterr().out)
    assert found["locations"][0] == {"file": "<command line>", "line": 3, "column": 0}


def test_a_folder_that_cannot_be_written(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    Path("lab").mkdir()
    Path("lab/pins.yaml").mkdir()
    run(1, "lock", MINE, "--config-dir", "lab")
    assert "FT502" in capsys.readouterr().err


def test_what_serves_is_locked_by_its_own_configuration(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    pushed = site.registry.push("vllm:v0.23.0")
    serving = f"serving.image={site.registry.image('vllm:v0.23.0')}"
    run(0, "lock", MINE)
    run(0, MINE)
    run(1, "serve", str(job()[0]), serving, "--locked")
    assert "ftgen lock +experiment=mine" in (told := capsys.readouterr().err)
    assert "--config-name serve" in told
    run(0, "lock", MINE, serving, "--config-name", "serve")
    site.move()
    run(0, "lock", MINE, "--upgrade")
    run(0, "serve", str(job()[0]), serving, "--locked")
    (file,) = Path("out").rglob("deployment-*.yaml")
    manifest = yaml.safe_load(file.read_text())
    pod = manifest["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"].endswith(pushed)
    assert pod["initContainers"][0]["image"] == f"{site.image}@{site.digest}", "what the run recorded, and not today's"
    run(0, "rebuild", "-q")
    PINS.unlink()
    run(0, "rebuild", "-q")


@pytest.mark.parametrize("user", ["me:Xk29fQpl88zz", "Xk29fQpl88zz"])
@pytest.mark.parametrize("of", [[], ["--config-name", "serve"]], ids=["train", "serve"])
def test_a_secret_is_neither_asked_about_nor_written(
    site: Site, capsys: pytest.CaptureFixture[str], user: str, of: list[str]
) -> None:
    url = site.model.replace("://", f"://{user}@")
    for form in ([], ["--json"]):
        run(1, "lock", MINE, f"model.url={url}", *of, *form)
        said = capsys.readouterr()
        assert "FT441" in said.out + said.err
        assert "Xk29" not in said.out + said.err
    assert (site.registry.asked, site.forge.requests, PINS.exists()) == ([], [], False)


@pytest.mark.parametrize(
    "word", ["model.url='http://127.0.0.1/${oc.env:MY_TOKEN}'", "model.revision=${oc.env:MY_TOKEN}"]
)
def test_a_secret_of_the_environment_is_not_written_either(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("MY_TOKEN", "Xk29fQpl88zz")
    run(1, "lock", MINE, word, "--config-name", "serve")
    said = capsys.readouterr()
    assert "FT286" in said.err
    assert "Xk29" not in said.out + said.err
    assert (site.forge.requests, PINS.exists()) == ([], False)


@pytest.mark.parametrize(
    "of", [[], ["--config-name", "serve", f"serving.image=vllm@sha256:{'a' * 64}"]], ids=["train", "serve"]
)
def test_credentials_that_the_configuration_accepts_are_locked_and_not_printed(
    site: Site, capsys: pytest.CaptureFixture[str], of: list[str]
) -> None:
    url = site.model.replace("://", f"://{USER}:{quote(TOKEN, safe='')}@")
    words = ["lock", MINE, f"model.url={url}", "+allow={FT441: everybody may read}", *of]
    run(1, *words, "--check")
    run(0, *words, "--json")
    said = capsys.readouterr()
    assert TOKEN not in said.out + said.err
    assert site.model.partition("://")[2] in said.out
    run(0, *words)
    assert "has a pin for everything" in capsys.readouterr().err


def test_a_kustomization_has_the_digests(site: Site) -> None:
    run(0, "lock", MINE)
    run(0, "export", "kustomize", MINE, "-o", "kustomized", "--locked")
    assert site.digest in "".join(file.read_text() for file in Path("kustomized").rglob("*.yaml"))


def test_an_import_keeps_the_image_as_it_is_written(site: Site) -> None:
    run(0, MINE)
    (file, _) = job()
    run(0, "lock", MINE)
    run(0, "import", str(file), "-o", "imported")
    assert site.digest not in "".join(each.read_text() for each in Path("imported").rglob("*.yaml"))


def test_what_another_process_adds_meanwhile_is_kept(site: Site) -> None:
    def answer(handler: Any) -> None:
        other = f"version: 1\nimages:\n- {{image: 'other:1', digest: '{site.digest}'}}\n"
        PINS.write_text(other)
        handler.reply(200, b"", {"Docker-Content-Digest": site.digest})

    site.registry.answers["/v2/team/train/manifests/.*"] = answer
    run(0, "lock", MINE)
    assert [each["image"] for each in yaml.safe_load(PINS.read_text())["images"]] == [site.image, "other:1"]


def test_a_digest_hides_no_version_from_the_rules(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    image = "hiyouga/llamafactory:0.9.4"
    words = ["plan", "-q", "--format", "json", f"hardware.image={image}"]

    def codes() -> list[str]:
        capsys.readouterr()
        assert cli.main(words) == 1
        return [each["code"] for each in json.loads(capsys.readouterr().out)]

    before = codes()
    PINS.write_text(f"version: 1\nimages:\n- {{image: '{image}', digest: 'sha256:{'a3' * 32}'}}\n")
    assert codes() == before != []
