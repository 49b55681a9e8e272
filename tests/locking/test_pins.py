"""The file and the annotation of pins: what is written, what is refused, and where each configuration takes them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ftgen import cli
from ftgen.config import pins
from ftgen.config.compose import moving_keys
from ftgen.config.pins import Reference
from ftgen.diagnostics import Rejected

COMMIT, DIGEST = "a" * 40, f"sha256:{'b' * 64}"
URL, IMAGE = "https://git.example.com/models/Tiny", "registry.example.com/team/train:1.0"
WORDS = (f"model.url={URL}", "dataset.url=null", f"hardware.image={IMAGE}")
GIT = f"- {{url: {URL}, commit: {COMMIT}}}"
PINS = Path("conf/pins.yaml")


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    monkeypatch.chdir(tmp_path)


def write(text: str, path: Path = PINS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def rendered(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert cli.main([*WORDS, *words, "-o", "-", "-q"]) == 0
    return next(o for o in yaml.safe_load_all(capsys.readouterr().out) if o["kind"] == "Job")


def image(manifest: dict[str, Any]) -> str:
    return manifest["spec"]["tasks"][0]["template"]["spec"]["containers"][0]["image"]


references = st.one_of(
    st.builds(
        lambda name, revision: Reference("git", f"https://h/{name}", revision),
        st.text("ab/é1", min_size=1),
        st.sampled_from(["", "main", "1.0", "1234567", "yes", "null", "refs/pr/3", "0x1f", "~", "-", "é", "1e3"]),
    ),
    st.builds(lambda name: Reference("image", name), st.sampled_from(["a", "h.example/a:1", "h:1/a/b:null", "a:1.0"])),
)
pins_of_any_kind = st.dictionaries(references, st.just("")).map(
    lambda d: {ref: COMMIT if ref.kind == "git" else DIGEST for ref in d}
)


@settings(deadline=None)
@given(pins_of_any_kind)
def test_what_is_written_is_read(found: pins.Pins) -> None:
    text = pins.file_text(found)
    assert pins.read(text, "pins.yaml").pins == found
    assert pins.file_text(dict(reversed(found.items()))) == text, "in whatever order it was asked"
    assert pins.of_annotation(json.loads(pins.annotation(found) or "{}")) == found


def test_a_line_is_the_entry_s() -> None:
    file = pins.read(f"version: 1\ngit:\n# mine\n{GIT}\nimages:\n- image: {IMAGE}\n  digest: {DIGEST}\n", "p")
    assert {str(file.at(reference)) for reference in file.pins} == {"p:4", "p:6"}


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "it is no mapping"),
        ("[]", 1, "it is no mapping"),
        ("x", 1, "it is no mapping"),
        ("{}", 1, "its version is not 1"),
        ("version: 2\n", 1, "its version is not 1"),
        ("version: true\n", 1, "its version is not 1"),
        ("version: 1.0\n", 1, "its version is not 1"),
        ("version: 1\nother: 1\n", 2, "an unknown key 'other'"),
        ("version: 1\n1: 1\n", 2, "an unknown key 1"),
        ("version: 1\ngit: {}\n", 2, "git is no list"),
        ("version: 1\ngit:\n", 2, "git is no list"),
        ("version: 1\ngit: [1]\n", 2, "an entry of git has the keys commit, revision, url"),
        (f"version: 1\ngit:\n- {{url: {URL}, commit: {COMMIT}, x: y}}\n", 3, "an entry of git has the keys"),
        (f"version: 1\ngit:\n- {{url: [{URL}], commit: {COMMIT}}}\n", 3, "an entry of git has the keys"),
        (f"version: 1\ngit:\n- {{url: {URL}, revision: 1.0, commit: {COMMIT}}}\n", 3, "each with a text"),
        (f"version: 1\ngit:\n- {{url: {URL}}}\n", 3, "'' is no whole commit"),
        (f"version: 1\ngit:\n- url: {URL}\n  commit: abc\n", 4, "'abc' is no whole commit"),
        (f"version: 1\ngit:\n- url: {URL}\n  commit: {COMMIT.upper()}\n", 4, "is no whole commit"),
        (f"version: 1\ngit:\n- {{commit: {COMMIT}}}\n", 3, "names no repository"),
        (f"version: 1\ngit:\n- {{url: {URL}, revision: {COMMIT}, commit: {COMMIT}}}\n", 3, "a commit already"),
        (f'version: 1\ngit:\n- {{url: "a\\nb", commit: {COMMIT}}}\n', 3, "names no repository"),
        (f"version: 1\ngit:\n{GIT}\n- {{url: {URL}, commit: {'c' * 40}}}\n", 4, "a second entry pins"),
        (f"version: 1\nimages:\n- {{image: {IMAGE}, digest: 'sha256:x'}}\n", 3, "is no digest"),
        (f"version: 1\nimages:\n- {{image: '{IMAGE}@{DIGEST}', digest: '{DIGEST}'}}\n", 3, "is no image with a tag"),
        (f"version: 1\nimages:\n- {{image: 'A B', digest: '{DIGEST}'}}\n", 3, "is no image with a tag"),
        (f"version: 1\nimages:\n- {{digest: '{DIGEST}'}}\n", 3, "is no image with a tag"),
    ],
)
def test_another_shape_is_refused_with_its_line(
    text: str, line: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(text)
    assert cli.main(["plan", *WORDS, "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["code"], found["locations"][0]["file"], found["locations"][0]["line"]) == ("FT783", str(PINS), line)
    assert why in found["headline"]


def test_every_wrong_entry_is_told() -> None:
    with pytest.raises(Rejected) as rejected:
        pins.read("version: 1\ngit: [1, 2]\nimages: [3]\nx: 1\n", "p")
    assert len(rejected.value.diagnostics) == 4


def _fifo() -> None:
    os.mkfifo(PINS)


def _endless() -> None:
    PINS.symlink_to("/dev/zero")


def _outside() -> None:
    Path("../elsewhere.yaml").write_text("version: 1\n")
    PINS.symlink_to("../../elsewhere.yaml")


def _itself() -> None:
    PINS.symlink_to("pins.yaml")


def _binary() -> None:
    PINS.write_bytes(b"\xff\xfe")


def _bomb() -> None:
    PINS.write_text(
        "a: &a [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1 or ''}, *a{n - 1 or ''}]\n" for n in range(1, 40))
    )


def _large() -> None:
    PINS.write_text("#" * (5 << 20))


@pytest.mark.parametrize("put", [_fifo, _endless, _outside, _itself, _binary, _bomb, _large])
@pytest.mark.parametrize("verb", ["render", "lock"])
def test_what_is_no_file_of_text_is_refused(
    put: Callable[[], None], verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put()
    assert cli.main([verb, *WORDS]) == 1
    assert "error[FT00" in capsys.readouterr().err


def test_a_folder_of_that_name_is_no_file() -> None:
    PINS.mkdir()
    assert cli.main(["plan", *WORDS]) == 0


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "1",
        "[]",
        '{"git": 1}',
        '{"git": [{"url": "u", "commit": "x"}]}',
        '{"version": 1}',
        '{"images": [[]]}',
        "[" * 9999,
    ],
)
def test_an_annotation_of_another_shape(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(f"version: 1\ngit:\n{GIT}\n")
    assert cli.main([*WORDS, "name=one", "-q"]) == 0
    (file,) = Path("out/one").glob("job-*.yaml")
    lines = [
        f"    ftgen.dev/pins: {json.dumps(text)}" if "ftgen.dev/pins" in line else line
        for line in file.read_text().splitlines()
    ]
    file.write_text("\n".join(lines) + "\n")
    for words, code in (
        (["rebuild", str(file)], "FT533"),
        (["serve", str(file)], "FT533"),
        (["explain", f"{file}:9"], "FT018"),
    ):
        capsys.readouterr()
        assert cli.main(words) == 1, words
        assert code in capsys.readouterr().err
    assert cli.main(["rebuild"]) == 1


def test_the_nearest_file_holds(capsys: pytest.CaptureFixture[str]) -> None:
    other = DIGEST.replace("b", "c")
    write(f"version: 1\nimages:\n- {{image: {IMAGE}, digest: '{DIGEST}'}}\n")
    write(f"version: 1\nimages:\n- {{image: {IMAGE}, digest: '{other}'}}\n", Path("lab/pins.yaml"))
    assert image(rendered(capsys)).endswith(DIGEST)
    assert image(rendered(capsys, "--config-dir", "lab")).endswith(other)


def test_what_has_no_pin_is_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    write("version: 1\n")
    manifest = rendered(capsys)
    assert image(manifest) == IMAGE
    assert "ftgen.dev/pins" not in manifest["metadata"]["annotations"]


def test_only_what_the_pods_fetch_and_run_can_move() -> None:
    model, dataset = {"name": "m", "url": URL, "revision": None}, {"name": "d", "url": URL, "revision": 1234567}
    job = {"model": model, "dataset": dataset, "hardware": {"image": IMAGE, "vendor": "nvidia"}}

    def subjects(**more: Any) -> list[str]:
        return [each.subject for each in moving_keys({**job, **more}, {"hardware": "mine"})]

    serving = {"image": None, "runtimes": {"nvidia": {"image": IMAGE}, "mine": {"image": "a"}, "x": None}}
    assert subjects() == ["model.revision", "dataset.revision", "hardware.image"]
    assert subjects(storage={"cache": {"uri": "x"}}) == ["dataset.revision", "hardware.image"]
    assert subjects(model={"name": None}, dataset={"name": "d"}) == ["hardware.image"]
    assert subjects(dataset={**dataset, "revision": COMMIT}, hardware={"image": f"a@{DIGEST}"}) == ["model.revision"]
    assert subjects(serving=serving) == ["model.revision", "hardware.image", "serving.runtimes.mine.image"]
    assert subjects(serving={**serving, "image": "a:1"})[-1] == "serving.image"
    assert subjects(serving={"runtimes": []}, hardware=None, model=[], dataset="x") == []


@pytest.mark.parametrize("swept", ["hardware.image", "model.revision", "storage.cache", "trainer.lr"])
def test_a_job_of_a_sweep_is_the_job_alone(swept: str, capsys: pytest.CaptureFixture[str]) -> None:
    tag = IMAGE.replace("1.0", "2.0")
    write(
        f"version: 1\ngit:\n{GIT}\n- {{url: {URL}, revision: main, commit: {'d' * 40}}}\n"
        f"images:\n- {{image: {IMAGE}, digest: '{DIGEST}'}}\n- {{image: {tag}, digest: '{DIGEST}'}}\n"
    )
    values = {
        "hardware.image": [IMAGE, tag, IMAGE.replace("1.0", "3.0")],
        "model.revision": ["null", "main", "other"],
        "storage.cache": ["null"],
        "trainer.lr": ["1e-4", "2e-4"],
    }[swept]
    # Each revision has a folder of its own on the models volume.
    folder = "model.folder=Tiny-${model.revision}"
    assert cli.main(["-m", *WORDS, folder, f"{swept}={','.join(values)}", "+trainer.args.seed=1,2", "-q"]) == 0
    jobs = {}
    for file in Path("out").rglob("job-*.yaml"):
        manifest = yaml.safe_load(file.read_text())
        words = tuple(json.loads(manifest["metadata"]["annotations"]["ftgen.dev/overrides"]))
        jobs[words] = manifest
    assert len(jobs) == 2 * len(values)
    for words, manifest in jobs.items():
        capsys.readouterr()
        assert cli.main([*words, "-o", "-", "-q"]) == 0
        alone = next(o for o in yaml.safe_load_all(capsys.readouterr().out) if o["kind"] == "Job")
        assert image(manifest) == image(alone)
        noted = [each["metadata"]["annotations"] for each in (manifest, alone)]
        for key in ("ftgen.dev/pins", "ftgen.dev/config-digest"):
            assert noted[0].get(key) == noted[1].get(key)
    assert cli.main(["rebuild", "-q"]) == 0


def test_a_sweep_has_the_same_points_with_pins(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "plan",
        "-m",
        *WORDS,
        "trainer.lr=1e-4,2e-4",
        f"sweep.exclude=[\"hardware.image == '{IMAGE}' and trainer.lr > 1e-4\"]",
    ]

    def jobs() -> int:
        capsys.readouterr()
        assert cli.main([*words, "--json"]) == 0
        return len(json.loads(capsys.readouterr().out)["jobs"])

    before = jobs()
    write(f"version: 1\nimages:\n- {{image: {IMAGE}, digest: '{DIGEST}'}}\n")
    assert jobs() == before == 1
