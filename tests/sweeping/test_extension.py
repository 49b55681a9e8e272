"""`key=extend_list(a,b)`: appended to a list of a file, as Hydra 1.4 does it, on every release."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftgen import cli
from ftgen.config.compose import Request, compose
from ftgen.diagnostics import Rejected


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An option with a list, and one that takes it by interpolation."""
    (tmp_path / "conf" / "cluster").mkdir(parents=True)
    text = "defaults:\n- alauda@_here_\n- _self_\nimage_pull_secrets: [first]\nlabels: {a: b}\n"
    (tmp_path / "conf" / "cluster" / "mine.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def secrets(*words: str) -> list[str]:
    config = compose(Request(("cluster=mine", *words))).config
    return list(config["cluster"]["image_pull_secrets"])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["cluster.image_pull_secrets=extend_list(b)"], ["first", "b"]),
        (["cluster.image_pull_secrets=extend_list('b c', 3 , null)"], ["first", "b c", 3, None]),
        (["cluster.image_pull_secrets=extend_list()"], ["first"]),
        (
            ["cluster.image_pull_secrets=extend_list(b)", "cluster.image_pull_secrets=extend_list(c)"],
            ["first", "b", "c"],
        ),
        (["cluster.image_pull_secrets=[a]", "cluster.image_pull_secrets=extend_list(b)"], ["a", "b"]),
        (["cluster.image_pull_secrets=extend_list(${cluster.namespace})"], ["first", "kubeflow-admin-cpaas-io"]),
        (["cluster.image_pull_secrets=null", "cluster.image_pull_secrets=extend_list(b)"], ["b"]),
    ],
)
def test_values_are_appended(words: list[str], found: list[str]) -> None:
    assert secrets(*words) == found


def test_mappings_and_lists_are_values_and_an_absent_list_is_empty() -> None:
    words = ("hardware=full-gpu", "cluster.tolerations=extend_list({key: a}, {key: b})", "overlays=extend_list([x])")
    config = compose(Request(words)).config
    assert config["cluster"]["tolerations"] == [{"key": "a"}, {"key": "b"}]
    assert config["overlays"] == [["x"]]


def test_what_a_list_is_taken_from_is_left_alone() -> None:
    words = ("+trainer.args.one=[1]", "+trainer.args.two=${trainer.args.one}", "trainer.args.two=extend_list(2)")
    args = compose(Request(words)).config["trainer"]["args"]
    assert (args["one"], args["two"]) == ([1], [1, 2])


@pytest.mark.parametrize(
    ("word", "code", "headline"),
    [
        ("cluster.labels=extend_list(b)", "FT012", "appends to a list, and this is a mapping"),
        ("cluster.namespace=extend_list(b)", "FT012", "appends to a list, and this is 'kubeflow"),
        ("cluster.nothing=extend_list(b)", "FT012", "there is no key 'cluster.nothing'"),
        ("+cluster.image_pull_secrets=extend_list(b)", "FT010", "extend_list() goes without +"),
        ("~cluster.image_pull_secrets=extend_list(b)", "FT010", "extend_list() goes without ~"),
        ("cluster.image_pull_secrets=extend_list(b", "FT010", "cannot read the override"),
        ("cluster.image_pull_secrets=extend_list(b],[c)", "FT010", "takes the values to append"),
        ("cluster.image_pull_secrets=extend_list(b),extend_list(c)", "FT010", "cannot read the override"),
        ("cluster=extend_list(alauda)", "FT010", "cluster is a group"),
    ],
)
def test_what_is_no_extension(word: str, code: str, headline: str) -> None:
    with pytest.raises(Rejected) as rejected:
        secrets(word)
    (told,) = rejected.value.diagnostics
    assert told.code == code
    assert headline in told.headline


def test_every_point_of_a_sweep_is_extended_and_rebuilt(capsys: pytest.CaptureFixture[str]) -> None:
    swept = ["cluster.image_pull_secrets=[a],[b]", "trainer.lr=1e-4,2e-4"]
    extended = ["cluster.image_pull_secrets=extend_list(c)", "cluster.image_pull_secrets=extend_list('d')"]
    assert cli.main(["-m", "--json", "cluster=mine", swept[0], extended[0], swept[1], extended[1]]) == 0
    jobs = json.loads(capsys.readouterr().out)["jobs"]
    assert [job["swept"]["cluster.image_pull_secrets"] for job in jobs] == ['["a"]', '["a"]', '["b"]', '["b"]']
    for job in jobs:
        file = Path("out") / job["file"]
        first = "a" if '"a"' in job["swept"]["cluster.image_pull_secrets"] else "b"
        text = file.read_text(encoding="utf-8")
        assert f"imagePullSecrets:\n        - name: {first}\n        - name: c\n        - name: d\n" in text
        assert cli.main(["rebuild", str(file)]) == 0
