"""No command line ends in a traceback or in exit code 70."""

from __future__ import annotations

import contextlib
import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ftgen import catalog, cli, project, report, yamlio
from ftgen.cli.arguments import VERBS
from ftgen.compose import Request, compose

OPTIONS = catalog.groups([project.conf_dir()])


def _paths(value: object, prefix: str = "") -> list[str]:
    if not isinstance(value, dict):
        return [prefix]
    return [
        prefix,
        *(path for key, inner in value.items() for path in _paths(inner, f"{prefix}.{key}" if prefix else str(key))),
    ]


KEYS = [*filter(None, _paths(compose(Request(config_path=project.conf_dir())).config)), *OPTIONS]
WORDS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)
SCALARS = st.one_of(
    WORDS,
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        [
            "null",
            "true",
            "???",
            "[]",
            "{}",
            "[1,2]",
            "{a:1}",
            "''",
            "1Gi",
            "-1",
            "0",
            "1e400",
            "${name}",
            "${trainer}",
            "${",
            "a,b",
        ]
    ),
    st.sampled_from(
        ["${oc.env:HOME}", "${hydra:runtime.choices.model}", "${oc.env:X,1}", "range(1,3)", "glob(*)", "choice(a,b)"]
    ),
    st.sampled_from([option for options in OPTIONS.values() for option in options]),
)
OVERRIDES = st.builds(
    "{}{}{}={}".format,
    st.sampled_from(["", "", "", "+", "++", "~"]),
    st.one_of(st.sampled_from(KEYS), WORDS),
    st.sampled_from(["", "", "", ".x", "@", "@x", "[0]", ".0"]),
    SCALARS,
)
FLAGS = st.sampled_from(
    [
        "--cfg=job",
        "--resolve",
        "--info=defaults",
        "-i",
        "--strict",
        "--format=json",
        "--format=sarif",
        "-q",
        "--",
        "-",
        "-m",
        "-p",
        "name",
    ]
)


def run(words: list[str]) -> tuple[int, str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(words)
    err.flush()
    return code, err.buffer.getvalue().decode()  # type: ignore[attr-defined]


def survives(words: list[str]) -> None:
    code, said = run(words)
    assert code in {0, 1, 2}, said
    assert code != 2 or said.startswith("ftgen: ")


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(OVERRIDES, min_size=1, max_size=3))
def test_overrides(words: list[str]) -> None:
    survives(["-o", "-", *words])


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(WORDS, min_size=1, max_size=3))
@example(["\x00"])
@example(["~"])
@example(["@=x"])
def test_nonsense(words: list[str]) -> None:
    survives(["-o", "-", *words])


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(FLAGS, OVERRIDES), max_size=4))
def test_flags(words: list[str]) -> None:
    survives(["-o", "-", *words])


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from([verb for verb in VERBS if verb in {"groups", "explain", "schema"}]),
    st.lists(st.one_of(WORDS, OVERRIDES, st.sampled_from(KEYS)), max_size=2),
)
def test_verbs_that_only_tell(verb: str, words: list[str]) -> None:
    survives([verb, *(word for word in words if not re.match(r"import", word))])


# --- manifests -----------------------------------------------------------------------------------------

MANIFEST = (Path(__file__).parents[1] / "check" / "data" / "reference.yaml").read_text(encoding="utf-8")
ODD = st.sampled_from(
    [
        None,
        True,
        -1,
        1.5,
        math.nan,
        "",
        "x" * 300,
        "a: b",
        "$(X)",
        "\u2028",
        [],
        {},
        [None],
        {"a": None},
        {1: 2},
        10**30,
    ]
)
SCRAPS = st.sampled_from(
    [
        "\t",
        "\0",
        "\ufeff",
        "&a ",
        "*a ",
        "!!int ",
        "!x ",
        "? ",
        "- ",
        ": ",
        "|",
        "{",
        "[",
        "]",
        '"',
        "\n",
        "---\n",
        "<<: ",
    ]
)
VERBS_OF_FILES = (
    ["check", "a.yaml"],
    ["check", "a.yaml", "--cluster", "alauda", "--volcano-version", "newest", "--strict"],
    ["diff", "a.yaml", "b.yaml"],
    ["rebuild", "a.yaml"],
    ["explain", "a.yaml:9"],
    ["import", "a.yaml", "-o", "-"],
    ["schema", "import", "a.yaml"],
)


@st.composite
def manifests(draw: st.DrawFn) -> str:
    """The guide's manifest with some values replaced by others, and scraps of YAML put into its text."""
    document = yamlio.parse(MANIFEST, "job.yaml")
    for _ in range(draw(st.integers(0, 3))):
        node: Any = document
        for _ in range(draw(st.integers(0, 8))):
            keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
            inner = [key for key in keys if isinstance(node[key], dict | list) and node[key]]
            if not inner:
                break
            node = node[draw(st.sampled_from(inner))]
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        node[draw(st.sampled_from(keys))] = draw(ODD)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    for scrap in draw(st.lists(SCRAPS, max_size=3)):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + scrap + text[at:]
    return text


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(manifests(), st.sampled_from(VERBS_OF_FILES), st.sampled_from(report.FORMATS))
def test_manifests(text: str, verb: list[str], form: str) -> None:
    Path("a.yaml").write_text(text, encoding="utf-8")
    Path("b.yaml").write_text(MANIFEST, encoding="utf-8")
    survives([*verb, "--format", form])


JOB = "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\n"
BROKE: dict[str, tuple[list[str], str]] = {
    "metadata that is a number": (["rebuild", "a.yaml"], f"{JOB}metadata: 5\n"),
    "metadata that is a list": (["diff", "a.yaml", "b.yaml"], f"{JOB}metadata: [1]\n"),
    "annotations that are text": (
        ["diff", "b.yaml", "a.yaml", "--format", "markdown"],
        f"{JOB}metadata: {{annotations: a}}\n",
    ),
    "metadata beside a job": (["import", "a.yaml", "-o", "-"], f"{MANIFEST}---\nkind: X\nmetadata: a\n"),
    "a job without tasks": (["import", "a.yaml", "-o", "-"], f"{JOB}metadata: {{name: a}}\nspec: {{}}\n"),
    "a kind as long as a file's name may not be": (["check", "a.yaml"], f"apiVersion: v1\nkind: {'K' * 300}\n"),
    "a version as long": (["check", "a.yaml"], f"apiVersion: {'a' * 300}/v1\nkind: Job\n"),
}


@pytest.mark.parametrize("what", BROKE)
def test_what_broke_once(what: str) -> None:
    words, text = BROKE[what]
    Path("a.yaml").write_text(text, encoding="utf-8")
    Path("b.yaml").write_text(MANIFEST, encoding="utf-8")
    survives(words)


def test_a_kind_that_is_no_text_is_explained(scratch: Path) -> None:
    assert cli.main(["-q"]) == 0
    (file,) = (scratch / "out").rglob("job-*.yaml")
    text = file.read_text(encoding="utf-8").replace("\nkind: Job\n", "\nkind: {a: b}\n", 1)
    file.write_text(text, encoding="utf-8")
    survives(["explain", f"{file}:40"])


@pytest.mark.parametrize(
    "patch",
    [
        "spec: null",
        "spec: 5",
        "spec: {tasks: null}",
        "spec: {tasks: [5]}",
        "spec: {tasks: [{name: train, template: null}]}",
        "metadata: null",
        "metadata: [1]",
        "metadata: {annotations: 5}",
    ],
)
def test_an_overlay_that_takes_the_job_apart(patch: str, scratch: Path) -> None:
    overlay = scratch / "overlays" / "hardware" / "nvidia-vgpu" / "x.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text(f"{JOB}{patch}\n", encoding="utf-8")
    survives(["-o", "-"])
