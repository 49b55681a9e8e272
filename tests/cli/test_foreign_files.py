"""Whatever lies where a file is expected, every verb ends with one diagnostic, at once and in little memory."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ftgen
from ftgen import cli
from ftgen.diagnostics import Rejected

SPARSE = 20 << 30
KINDS: dict[str, Callable[[Path], None]] = {
    "a device": lambda place: place.symlink_to("/dev/zero"),
    "a FIFO": os.mkfifo,
    "a sparse file": lambda place: (place.touch(), os.truncate(place, SPARSE))[0],
    "a link to itself": lambda place: place.symlink_to(place.name),
    "a link to nowhere": lambda place: place.symlink_to("/nowhere"),
}
MANIFEST_VERBS = ["check {}", "diff {} {}", "explain {}:1", "import {}", "rebuild {}", "schema import {}"]
SOURCES = {
    "conf/config.yaml": "plan",
    "conf/hardware/full-gpu.yaml": "plan hardware=full-gpu",
    "conf/model/mine.yaml": "plan model=mine",
    "conf/trainer/train.sh": "plan",
    "conf/trainer/prepare.sh": "plan",
    "overlays/hardware/full-gpu/mine.yaml": "plan hardware=full-gpu",
    "conf/hardware/nvidia.Dockerfile": "image hardware=full-gpu",
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(place: str, kind: str) -> Path:
    path = Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    KINDS[kind](path)
    return path


def reported(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(words.split()) == 1, words
    return capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", MANIFEST_VERBS)
def test_a_manifest(verb: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    put("m.yaml", kind)
    assert reported(verb.format("m.yaml", "m.yaml"), capsys).startswith("m.yaml: error[FT002]: ")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_in_a_folder_is_not_passed_over(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    put("folder/m.yaml", kind)
    assert reported("check folder", capsys).startswith("folder/m.yaml: error[FT002]: ")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", SOURCES)
def test_a_configuration_file_does_not_fall_back_to_the_packaged_one(
    place: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(place, kind)
    assert reported(SOURCES[place], capsys).startswith(f"{place}: error[FT002]: {place} cannot be read: ")


@pytest.mark.parametrize("place", SOURCES)
def test_a_link_out_of_its_folder_is_refused(
    place: str, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_text("a: very-private-text\n", encoding="utf-8")
    path = Path(place)
    path.parent.mkdir(parents=True)
    path.symlink_to(secret)

    shown = reported(SOURCES[place], capsys)
    assert f"outside of {path.parts[0]}" in shown
    assert "very-private-text" not in shown


def test_a_folder_that_is_a_link_leads_out_as_well(
    capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "train.sh").write_text("cat /etc/passwd\n", encoding="utf-8")
    Path("conf").mkdir()
    Path("conf/trainer").symlink_to(elsewhere)

    assert "outside of conf" in reported("plan", capsys)


UNNAMED = {
    "": "out",
    "-m trainer.lr=1e-4,2e-4": "out",
    "plan": "out",
    "diff": "out",
    "archive RUN": "out",
    "stop RUN": "out",
    "rerun RUN": "out",
    "gc": "out",
    "rebuild": "out",
    "preview RUN": "out",
    "serve RUN": "out",
    "tune study trainer.lr=interval(1e-5,1e-3) --objective=loss": "out",
    "export kustomize": "kustomize",
    "export policy": "policy",
    "schema import crd.yaml": "schemas",
    "lock": "conf",
}
"""Command lines that name no folder, and the folder that they write to, or look into, all the same."""


@pytest.mark.parametrize("words", UNNAMED)
def test_a_folder_that_nobody_named_leads_nowhere_else(
    words: str, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A clone may bring the link; where it leads, a tree of the user's own may lie."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "tree"
    assert cli.main(["-o", str(elsewhere), "-q"]) == 0
    (run,) = (file.stem.removeprefix("job-") for file in elsewhere.rglob("job-*.yaml"))
    Path("crd.yaml").write_text(CRD, encoding="utf-8")
    Path("rules").mkdir()
    Path("rules/mine.yaml").write_text(RULE, encoding="utf-8")
    before = sorted((str(path), path.stat().st_mtime_ns) for path in elsewhere.rglob("*"))
    Path(UNNAMED[words]).symlink_to(elsewhere)
    capsys.readouterr()

    shown = reported(words.replace("RUN", run), capsys)
    assert f"error[FT501]: {UNNAMED[words]} is a link that leads to {elsewhere}, out of {Path.cwd()}" in shown
    assert sorted((str(path), path.stat().st_mtime_ns) for path in elsewhere.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "folder"),
    [
        *(("-o -", name) for name in ("conf", "overlays", "rules", "schemas")),
        *((f"check {file}", name) for name in ("rules", "schemas") for file in ("crd.yaml", "-")),
        ("explain trainer.lr", "conf"),
    ],
)
def test_a_folder_that_nobody_named_is_not_read_elsewhere(
    words: str,
    folder: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    Path("crd.yaml").write_text(CRD, encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CRD.encode())))
    Path(folder).symlink_to(elsewhere)
    shown = reported(words, capsys)
    assert f"error[FT501]: {folder} is a link that leads to {elsewhere}, out of {Path.cwd()}" in shown


@pytest.mark.parametrize("folder", ["conf", "overlays", "rules", "schemas"])
def test_a_folder_may_lead_elsewhere_in_its_repository(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "team").mkdir()
    monkeypatch.chdir(tmp_path / "team")
    Path(folder).symlink_to(tmp_path / "shared")
    assert cli.main(["-q"]) == 0
    assert cli.main(["check", "out"]) == 0


@pytest.mark.parametrize("words", ["check jobs", "check jobs/*", "diff jobs others", "diff others jobs"])
def test_a_link_in_a_folder_shows_nothing_from_outside(
    words: str, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A folder is walked, and may have come with a clone; a file that the user names is read wherever it is."""
    private = tmp_path_factory.mktemp("private") / "notes.yaml"
    private.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plans}\ndata: [of mine]\n", encoding="utf-8")
    Path("jobs/a").mkdir(parents=True)
    Path("others").mkdir()
    Path("jobs/a/link.yaml").symlink_to(private)
    shown = reported(words, capsys)
    assert "error[FT002]" in shown
    assert f"leads to {private}, outside of {Path('jobs').absolute()}" in shown
    assert "plans" not in shown
    assert "of mine" not in shown

    assert "data" in reported("check jobs/a/link.yaml", capsys)
    Path(".git").mkdir()
    Path("notes.yaml").write_text(private.read_text(encoding="utf-8"), encoding="utf-8")
    Path("jobs/a/link.yaml").unlink()
    Path("jobs/a/link.yaml").symlink_to(Path("notes.yaml").absolute())
    assert "FT002" not in reported("check jobs", capsys)


CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: example.com
  names: {kind: Widget}
  versions:
  - {name: v1, served: true, schema: {openAPIV3Schema: {type: object}}}
"""
RULE = "rules: [{name: named, match: VolcanoJob, expression: object.metadata.name != '', message: it has a name}]\n"


@pytest.mark.parametrize("words", ["export kustomize -o", "archive RUN -o -"])
def test_an_empty_name_is_none(words: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in ("out", "kustomize"):
        Path(name).symlink_to(elsewhere)

    assert cli.main([*words.split(), *([""] if words.endswith("-o") else [])]) == 1
    assert list(elsewhere.iterdir()) == []


def test_programs_write_to_no_link_that_they_did_not_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    Path("out").symlink_to(elsewhere)
    sweep = ftgen.sweep(["trainer.lr=1e-4,2e-4"])

    with pytest.raises(Rejected, match="out is a link"):
        sweep.write()
    assert list(elsewhere.iterdir()) == []
    sweep.write("out", adopt=True)
    assert list(elsewhere.iterdir())


def test_a_folder_that_the_user_names_may_be_a_link(tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    Path("out").symlink_to(elsewhere)

    assert cli.main(["-o", "out", "-q", "--adopt"]) == 0
    assert list(elsewhere.rglob("job-*.yaml"))


def test_a_link_to_a_folder_beside_it_is_followed() -> None:
    Path("built").mkdir()
    Path("out").symlink_to("built")

    assert cli.main(["-q", "--adopt"]) == 0
    assert list(Path("built").rglob("job-*.yaml"))


@pytest.mark.parametrize("words", ["hardware=../../secret", "+experiment=../secret"])
def test_an_option_outside_of_the_configuration_is_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("conf/hardware").mkdir(parents=True)
    Path("secret.yaml").write_text("a: very-private-text\n", encoding="utf-8")

    shown = reported(f"plan {words}", capsys)
    assert "very-private-text" not in shown


def test_a_link_that_stays_in_its_folder_is_followed(capsys: pytest.CaptureFixture[str]) -> None:
    """As in a mounted ConfigMap, whose files are links to `..data/`."""
    Path("conf/hardware/..data").mkdir(parents=True)
    Path("conf/hardware/..data/mine.yaml").write_text("defaults: [full-gpu, _self_]\n", encoding="utf-8")
    Path("conf/hardware/mine.yaml").symlink_to("..data/mine.yaml")

    assert cli.main(["plan", "hardware=mine"]) == 0


def test_more_text_than_a_manifest_can_need_is_refused_in_little_memory(tmp_path: Path) -> None:
    line = b"a: {b: [1, 2, 3], c: text}\n"
    (tmp_path / "m.yaml").write_bytes(line * (100_000_000 // len(line)))
    ended = _limited(["check", "m.yaml"])

    assert ended.returncode == 1
    assert ended.stderr.startswith("m.yaml: error[FT002]: m.yaml cannot be read: it holds more than 64 MiB\n")


def test_a_pipe_is_bounded_and_welcome(tmp_path: Path) -> None:
    with Path("/dev/zero").open("rb") as endless:
        ended = _limited(["check", "-"], stdin=endless)
    assert ended.returncode == 1
    assert ended.stderr.startswith("<stdin>: error[FT002]: <stdin> cannot be read: it holds more than 64 MiB\n")
    assert "no Kubernetes object" in _limited(["check", "-"], text="a: 1\n").stderr


def _limited(words: list[str], text: str | None = None, **more: object) -> subprocess.CompletedProcess[str]:
    """Run ftgen in 300 MiB of heap."""
    heap = 300 << 20
    return subprocess.run(
        [sys.executable, "-m", "ftgen", *words],
        input=text,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (heap, heap)),
        **more,
    )
