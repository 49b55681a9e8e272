"""No command line ends in a traceback or in exit code 70."""

from __future__ import annotations

import contextlib
import io
import re

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ftgen import catalog, cli, project
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
