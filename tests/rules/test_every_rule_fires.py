"""Every rule about configurations finds something in a configuration: no rule waits for a fact that nothing states.

Rules about manifests are given manifests, which `ftgen check` reads from anywhere; each has its cases beside them.
"""

from pathlib import Path

import pytest

from ftgen import pipeline, runtime
from ftgen.config import catalog
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Diagnostic, Rejected, Severity
from ftgen.text import yamlio
from ftgen.validation.rules import all_rules

FILE = Path(__file__).with_name("fires.yaml")
CASES: dict[str, str] = yamlio.parse(FILE.read_text(encoding="utf-8"), FILE.name)


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(Request(config_path=runtime.conf_dir()))


def told(composer: Composer, words: list[str]) -> list[Diagnostic]:
    try:
        return list(pipeline.compile_job(composer, words).diagnostics)
    except Rejected as refused:
        return list(refused.diagnostics)


@pytest.mark.parametrize(("code", "words"), CASES.items())
def test_the_rule_fires(composer: Composer, code: str, words: str) -> None:
    assert code in {d.code for d in told(composer, words.split())}


@pytest.mark.parametrize(("code", "words"), CASES.items())
def test_what_is_accepted_renders_or_is_refused_all_the_same(composer: Composer, code: str, words: str) -> None:
    told(composer, [*words.split(), f"+allow.{code}=because"])


def test_a_release_without_schemas_cannot_be_accepted(composer: Composer) -> None:
    words = ["cluster.kubernetes_version=latest", "+allow.FT264=because"]
    assert {"FT264", "FT284"} >= {d.code for d in told(composer, words)} >= {"FT284"}


def test_every_rule_about_configurations_has_a_case() -> None:
    assert {code for code in all_rules() if code < "FT300"} == CASES.keys()


# What a packaged option says of itself when nothing else is chosen: data sets for other stages, cards that wait for
# another scheduler or release.
KNOWN = {"FT249", "FT268", "FT269", "FT271"}


@pytest.mark.parametrize("group", ["dataset", "hardware", "model", "storage", "tracking", "trainer"])
def test_packaged_options_are_not_blamed(composer: Composer, group: str) -> None:
    command = ("trainer.command=[a]",)
    blamed = {}
    for option in catalog.groups([runtime.conf_dir()])[group]:
        words = [f"{group}={option}", *(command if option == "command" else ())]
        blamed[option] = {d.code for d in told(composer, words) if d.code.startswith("FT2")} - KNOWN
    assert {option: codes for option, codes in blamed.items() if codes} == {}


@pytest.mark.parametrize(
    ("words", "severity"),
    [
        ("cluster.kubernetes_version='1.16'", Severity.ERROR),
        ("cluster.kubernetes_version=latest", Severity.ERROR),
        (f"cluster.kubernetes_version='1.{'9' * 5000}'", Severity.ERROR),
        (f"cluster.volcano_version='{'9' * 5000}.1'", Severity.ERROR),
        ("cluster.kubernetes_version='1.99'", Severity.NOTE),
        ("cluster.volcano_version='1.16'", Severity.NOTE),
    ],
)
def test_a_release_without_schemas_is_refused_or_told(composer: Composer, words: str, severity: Severity) -> None:
    [found] = [d for d in told(composer, [words]) if d.code == "FT264"]
    assert (found.severity, found.subject) == (severity, words.partition("=")[0])


@pytest.mark.parametrize("key", ["volcano_version", "kubernetes_version"])
def test_a_release_of_endless_digits_is_an_answer_too(composer: Composer, key: str) -> None:
    words = ["hardware=nvidia-dra", f"cluster.{key}='1.34.{'9' * 5000}'"]
    assert "FT271" not in {d.code for d in told(composer, words) if d.subject == f"cluster.{key}"}


@pytest.mark.parametrize("words", ["cluster.kubernetes_version='1.28'", "cluster.kubernetes_version=newest"])
def test_a_known_release_of_kubernetes_is_no_finding(composer: Composer, words: str) -> None:
    assert "FT264" not in {d.code for d in told(composer, [words])}
