"""`ftgen explain`: where a key, or a line of a manifest, comes from."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from ftgen import cli
from ftgen.diagnostics import COMMAND_LINE
from ftgen.text import yamlio
from ftgen.validation.rules import all_rules


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with an option and an overlay of their own."""
    monkeypatch.chdir(tmp_path)
    files = {
        "conf/hardware/ours.yaml": "# Our cards.\ndefaults:\n  - full-gpu@_here_\n  - _self_\ndevices: 2\n",
        "overlays/hardware/ours/a.yaml": (
            "kind: PodTemplate\ntemplate:\n  spec:\n    tolerations:\n    - key: ours\n      operator: Exists\n"
            "    containers:\n    - name: train\n      env:\n      - name: OURS\n        value: 'yes'\n"
        ),
        "overlays/hardware/ours/b.yaml": "- op: add\n  path: /spec/tasks/0/maxRetry\n  value: 5\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str) -> dict[str, Any]:
        assert cli.main(["explain", "--json", *words]) == 0
        return dict(json.loads(capsys.readouterr().out))

    return run


@pytest.fixture
def manifest(capsys: pytest.CaptureFixture[str]) -> Path:
    words = ["hardware=ours", "hardware.nodes=2", "storage=nfs", "trainer.lr=1e-4", "cluster.labels.team=nlp", "-q"]
    assert cli.main(words) == 0, capsys.readouterr().err
    (file,) = Path("out").rglob("job-*.yaml")
    return file


def at(file: Path, text: str, nth: int = 1) -> str:
    numbers = [n for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if text in line]
    return f"{file}:{numbers[nth - 1]}"


def names(story: dict[str, Any]) -> list[str]:
    return [cause["name"] for cause in story["causes"]]


# --- keys ----------------------------------------------------------------------------------------------


def test_every_layer_is_told_in_order_and_the_last_one_holds(explain: Any) -> None:
    story = explain("hardware.devices", "hardware=ours", "hardware.devices=4")
    told = [(Path(s["file"]).name, s["value"], s["holds"]) for s in story["statements"]]
    assert told == [("full-gpu.yaml", "1", False), ("ours.yaml", "2", False), (COMMAND_LINE, "4", True)]
    assert [s["line"] for s in story["statements"][1:]] == [5, 2]
    assert story["value"] == 4


def test_the_option_of_the_key_s_group_is_told(explain: Any) -> None:
    chosen = explain("trainer.lr", "+experiment=qwen3-8b-full-2x8")["choices"]["trainer"]
    assert [(Path(c["file"]).name, c["value"], c["holds"]) for c in chosen] == [
        ("config.yaml", "sft-lora", False),
        ("qwen3-8b-full-2x8.yaml", "sft-full", True),
    ]


def test_a_mapping_under_the_name_of_a_group_sets_its_keys(explain: Any) -> None:
    story = explain("hardware.nodes", "hardware={nodes: 1}", "storage=nfs")
    assert [(each["file"], each["holds"]) for each in story["statements"]][-1] == ("<command line>", True)
    assert story["choices"]["hardware"][-1]["file"] != "<command line>"


def test_an_interpolation_is_followed_one_hop(explain: Any) -> None:
    story = explain("trainer.args.learning_rate", "trainer.lr=1e-4")
    assert story["value"] == 0.0001
    assert story["statements"][-1]["value"] == "${trainer.lr}"
    assert [(s["file"], s["value"]) for s in story["interpolated_from"]] == [(COMMAND_LINE, "1e-4")]


def test_a_group_is_explained_by_its_choices(explain: Any) -> None:
    chosen = explain("hardware", "hardware=ours")["choices"]["hardware"]
    assert [c["value"] for c in chosen] == ["nvidia-vgpu", "ours"]


def test_a_key_that_may_be_set_but_is_not(explain: Any) -> None:
    story = explain("hardware.card.per_node", "hardware=ascend")
    assert story["set"]
    assert explain("dataset.info.subset") == {
        "key": "dataset.info.subset",
        "documentation": {
            "meaning": "Subset of the data set.",
            "type": "a text or null",
            "unit": "",
            "choices": [],
            "default": None,
            "has_default": True,
            "without_default": "none: it has to be set",
            "notes": [],
        },
        "value": None,
        "set": False,
        "statements": [],
        "interpolated_from": [],
        "choices": {},
    }


def test_the_text_shows_places_values_and_ranks(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "hardware.devices", "hardware=ours"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "hardware.devices = 2",
        "  Cards in each pod.",
        "  type     a whole number, at least 1, at most 10000",
        "  default  none: it has to be set",
    ]
    lines = lines[3:]
    assert lines[1].split()[-2:] == ["1", "shadowed"]
    assert lines[2].split() == ["conf/hardware/ours.yaml:5:10", "2", "holds"]
    assert lines[3] == "group hardware: conf/hardware/ours.yaml  Our cards."
    assert lines[5].split() == [
        f"{COMMAND_LINE}:1".split()[0],
        *f"{COMMAND_LINE}:1".split()[1:],
        "(hardware=ours)",
        "ours",
        "holds",
    ]


def test_a_rejected_configuration_is_explained_and_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "trainer.lr", "trainer.lr=1e-4", "trainer.lx=3"]) == 1
    said = capsys.readouterr()
    assert "unknown: the configuration is rejected" in said.out
    assert any(line.split()[-3:] == ["(trainer.lr=1e-4)", "1e-4", "holds"] for line in said.out.splitlines())
    assert f"{COMMAND_LINE}:2: error[FT012]: there is no key 'trainer.lx'" in said.err


def test_an_unknown_key_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "trainer.lrr"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("trainer.lrr: error[FT012]: there is no key 'trainer.lrr'\n")
    assert "did you mean trainer.lr" in said
    assert cli.main(["explain", "hardware.toplogy"]) == 1
    assert "did you mean hardware.topology?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["explain"], ["explain", "trainer.lr=1"]])
def test_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    assert "ftgen explain KEY" in capsys.readouterr().err


# --- what a key means ----------------------------------------------------------------------------------


def documentation(story: dict[str, Any]) -> dict[str, Any]:
    return dict(story["documentation"])


def test_a_key_is_told_with_its_type_unit_choices_and_default(explain: Any) -> None:
    about = documentation(explain("job.ttl"))
    assert about["meaning"] == "Time after the end until Volcano deletes the job; null: never."
    assert (about["type"], about["unit"]) == ("a whole number, at least 0 or null", "seconds")
    assert (about["default"], about["has_default"]) == (None, True)
    assert documentation(explain("delivery.reconciler"))["choices"] == ["argocd", "flux", "kubectl"]


def test_the_kind_that_is_chosen_decides_what_a_key_means(explain: Any) -> None:
    assert documentation(explain("trainer.command", "trainer=yolo"))["meaning"] == "The command and its first words."
    assert documentation(explain("trainer.command"))["meaning"] == "Arguments of the script."


def test_keys_at_any_depth_and_below_free_mappings_are_told(explain: Any) -> None:
    for key in ("name", "model.shape.hidden", "storage.workspace.size", "cluster.labels.team", "cluster.allow.FT280"):
        assert documentation(explain(key, "cluster.labels.team=nlp"))["meaning"], key


def test_a_group_is_told_with_its_options(explain: Any) -> None:
    about = documentation(explain("hardware"))
    assert about["meaning"] == "The accelerator and how much of it."
    assert {"ascend", "ours"} <= set(about["choices"])


# --- arguments of programs -----------------------------------------------------------------------------


def test_an_argument_of_the_trainer_in_force(explain: Any) -> None:
    about = documentation(explain("trainer.args.warmup_ratio"))
    assert about["meaning"].startswith("An argument of LLaMA-Factory 0.")
    assert (about["type"], about["default"]) == ("a number", 0.0)
    about = documentation(explain("trainer.args.optimizer", "trainer=yolo"))
    assert about["meaning"].startswith("An argument of ultralytics 8.")


def test_an_argument_is_told_where_it_is_set(explain: Any) -> None:
    story = explain("trainer.args.lora_rank", "trainer.args.lora_rank=16")
    assert story["value"] == 16
    assert story["statements"][-1]["file"] == COMMAND_LINE
    assert documentation(story)["default"] == 8


def test_an_argument_of_what_serves(explain: Any) -> None:
    about = documentation(explain("serving.args.tool_call_parser"))
    assert about["meaning"].startswith("An argument of vLLM 0.")
    assert "hermes" in about["choices"]
    assert documentation(explain("serving.args.max_model_len"))["notes"] == ["ftgen sets it: set serving.context."]


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["trainer.args.lora_rnk"], "lora_rank"),
        (["trainer.export.export_size_"], "export_size"),
        (["trainer.args.epoch", "trainer=yolo"], "epochs"),
        (["serving.args.tool_call_parsr"], "tool_call_parser"),
    ],
)
def test_an_unknown_argument_is_answered_with_the_nearest(
    words: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["explain", *words]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{words[0]}: error[FT201]")
    assert f"did you mean {nearest}" in said


def test_an_unknown_argument_that_is_set_is_told_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "trainer.args.lora_rnk", "trainer.args.lora_rnk=3"]) == 1
    said = capsys.readouterr()
    assert "(trainer.args.lora_rnk=3)" in said.out
    assert said.err.startswith(f"{COMMAND_LINE}:1: error[FT201]")


# --- rules ---------------------------------------------------------------------------------------------


def test_a_rule_is_told_by_its_page(explain: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rule = all_rules()["FT280"]
    assert explain("FT280") == {
        "code": "FT280",
        "name": rule.name,
        "severity": "error",
        "denied": False,
        "page": inspect.cleandoc(rule.page),
    }
    assert cli.main(["explain", "ft280"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("FT280 does-not-fit (error)\n\n")
    assert said.endswith("Accepted by `allow.FT280=<reason>`, where it is no mistake.\n")


def test_every_rule_and_every_finding_of_data_has_a_page(explain: Any) -> None:
    for code in ("FT005", "FT700", "FT756", "FT770"):
        assert "Write:" in explain(code)["page"] or "Instead:" in explain(code)["page"], code


@pytest.mark.parametrize(("code", "nearest"), [("FT999", "FT7"), ("FT012", "FT008"), ("FT28", "FT280")])
def test_a_code_without_a_rule_is_answered_with_the_nearest(
    code: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["explain", code]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"ftgen: there is no rule {code}; the nearest are FT")
    assert nearest in said


def test_a_code_of_many_digits_is_a_key_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "FT" + "9" * 100]) == 1
    assert "error[FT012]" in capsys.readouterr().err


# --- lines ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "nth", "causes"),
    [
        ("namespace:", 1, ["cluster.namespace"]),
        ("queue:", 1, ["cluster.queue"]),
        ("  maxRetry: 3", 1, ["job.restarts"]),
        ("replicas:", 1, ["hardware.nodes", "hardware.topology"]),
        ("plugins:", 1, ["hardware.nodes"]),
        ("team: nlp", 1, ["cluster.labels.team"]),
        ("learning_rate:", 1, ["trainer.args.learning_rate"]),
        ("report_to: mlflow", 1, ["tracking.report_to"]),
        ("name: MLFLOW_TAGS", 1, ["tracking.report_to"]),
        ("name: MODEL_CARD", 1, ["model.output_url"]),
        ("nvidia.com/gpu:", 1, ["hardware.devices", "hardware.resources.count"]),
        ("ftgen.dev/overrides:", 1, [COMMAND_LINE]),
        ("key: ours", 1, ["overlay hardware/ours"]),
        ('value: "yes"', 1, ["overlay hardware/ours"]),
        ("maxRetry: 5", 1, ["overlay hardware/ours"]),
        ("kind: Job", 1, []),
        ("ftgen.dev/config-digest", 1, []),
    ],
)
def test_a_line_leads_back_to_its_keys(text: str, nth: int, causes: list[str], manifest: Path, explain: Any) -> None:
    story = explain(at(manifest, text, nth))
    assert names(story) == causes
    assert story["computed"] is (not causes)


def test_an_overlay_is_named_by_file_and_line(manifest: Path, explain: Any) -> None:
    (cause,) = explain(at(manifest, "key: ours"))["causes"]
    assert cause["locations"] == [{"file": "overlays/hardware/ours/a.yaml", "line": 5, "column": 7}]
    (cause,) = explain(at(manifest, "maxRetry: 5"))["causes"]
    assert cause["locations"] == [{"file": "overlays/hardware/ours/b.yaml", "line": 3, "column": 3}]


def test_a_script_is_named_by_its_own_line(manifest: Path, explain: Any) -> None:
    (scripts,) = manifest.parent.glob("configmap-*.yaml")
    (cause,) = explain(at(scripts, "set -euo pipefail"))["causes"]
    assert cause["name"] == "prepare.sh"
    (place,) = cause["locations"]
    assert Path(place["file"]).read_text(encoding="utf-8").splitlines()[place["line"] - 1] == "set -euo pipefail"


def test_the_keys_of_a_line_are_located(manifest: Path, explain: Any) -> None:
    places = [p for cause in explain(at(manifest, "learning_rate:"))["causes"] for p in cause["locations"]]
    assert {"file": COMMAND_LINE, "line": 4, "column": 0} in places


def test_a_line_in_a_stream_of_several_objects(capsys: pytest.CaptureFixture[str], explain: Any) -> None:
    assert cli.main(["storage=nfs", "storage.workspace.claim=w", "storage.workspace.create=true", "-o", "-"]) == 0
    stream = Path("stream.yaml")
    stream.write_text(capsys.readouterr().out, encoding="utf-8")
    assert names(explain(at(stream, "      storage:"))) == ["storage.workspace.size"]


def test_a_claim_beside_its_job(capsys: pytest.CaptureFixture[str], explain: Any) -> None:
    assert cli.main(["storage=nfs", "storage.workspace.claim=w", "storage.workspace.create=true", "-q"]) == 0
    capsys.readouterr()
    (claim,) = Path("out").rglob("persistentvolumeclaim-*.yaml")
    assert names(explain(at(claim, "      storage:"))) == ["storage.workspace.size"]
    assert names(explain(at(claim, "  name: w"))) == ["storage.workspace.claim"]


def test_a_configuration_that_changed_since_is_said(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("conf/hardware/ours.yaml").write_text("defaults: [full-gpu@_here_, _self_]\ndevices: 3\n", encoding="utf-8")
    assert cli.main(["explain", at(manifest, "queue:")]) == 0
    assert "the configuration has changed since" in capsys.readouterr().err


def test_an_option_that_is_gone_is_located_in_the_manifest(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("conf/hardware/ours.yaml").unlink()
    assert cli.main(["explain", at(manifest, "queue:")]) == 1
    place = at(manifest, "ftgen.dev/overrides")
    assert f"{place}: error[FT011]: the group hardware has no option 'ours'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "line", "code", "told"),
    [
        ("", 1, "FT018", "no manifest begins before it"),
        ("a: 1\n", 9, "FT018", "it has 1 lines"),
        ("a: 1\n# b\nc: 2\n", 2, "FT018", "it is a comment or empty"),
        ("kind: Job\n", 1, "FT018", "was not rendered by ftgen"),
        ("metadata: {annotations: {ftgen.dev/overrides: '[1]'}}\n", 1, "FT018", "is no list of overrides"),
        ("metadata: {annotations: {ftgen.dev/overrides: '['}}\n", 1, "FT018", "is no list of overrides"),
        ("a: [\n", 1, "FT001", "this is not YAML"),
    ],
)
def test_what_is_no_manifest_of_ours(
    text: str, line: int, code: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    assert cli.main(["explain", f"m.yaml:{line}"]) == 1
    said = capsys.readouterr().err
    assert f"error[{code}]" in said
    assert told in said


def test_the_story_of_a_line_has_its_path_and_value(manifest: Path, explain: Any) -> None:
    story = explain(at(manifest, "queue:"))
    assert (story["path"], story["value"], story["changed"]) == ("spec.queue", "default", False)
    assert yamlio.read(manifest)["spec"]["queue"] == "default"


@pytest.mark.parametrize("form", [[], ["--json"]], ids=" ".join)
@pytest.mark.parametrize(
    ("key", "secret"),
    [("hardware.env.PGPASSWORD", "hunter2x"), ("hardware.env.A", "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz01234567")],
)
def test_an_explanation_repeats_no_secret(
    key: str, secret: str, form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["explain", key, f"{key}={secret}", *form]) == 0
    said = capsys.readouterr()
    assert key in said.out
    assert secret not in said.out + said.err


@pytest.mark.parametrize("form", [[], ["--json"]], ids=" ".join)
@pytest.mark.parametrize("secret", [r"Tr0ub\4dor&3", 'Tr0ub"4dor&3', "Tr0ub 4dor&3"])
def test_a_secret_is_hidden_before_its_escapes_are_written(
    secret: str, form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    key = "hardware.env.DB_PASSWORD"
    assert cli.main(["explain", key, f"+{key}='{secret}'", *form]) == 0
    said = capsys.readouterr().out
    assert "Tr0" not in said
    assert "4dor" not in said


WORD = "Xk29fQpl88zz"


@pytest.mark.parametrize("form", [[], ["--json"]], ids=" ".join)
@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('name: OURS\n            value: "yes"', f"name: HF_TOKEN\n            value: {WORD}", WORD),
        ('value: "yes"', f"value: postgres://ada:{WORD}@db/x", WORD),
        ('value: "yes"', f"value: |\n              -----BEGIN PRIVATE KEY-----\n              {WORD}", WORD),
        ("learning_rate: 0.0001", f"hub_token: {WORD}", WORD),
        ("team: nlp", f"team: {WORD}\n    api_key: {WORD}", f"team: {WORD}"),
    ],
    ids=["variable", "url", "lines", "setting", "beside"],
)
def test_a_line_s_secret_is_not_repeated(
    manifest: Path, form: list[str], old: str, new: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = manifest.read_text(encoding="utf-8")
    assert old in text
    manifest.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert cli.main(["explain", at(manifest, line), *form]) == 0
    said = capsys.readouterr()
    assert WORD not in said.out + said.err
    assert "****" in said.out


@pytest.mark.parametrize("form", [[], ["--json"]], ids=" ".join)
def test_a_secret_among_the_words_of_a_command_is_not_repeated(
    form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["trainer=command", f"trainer.command=[train,--token,{WORD}]"]
    assert cli.main(["explain", "trainer.command[2]", *words, *form]) == 0
    assert cli.main([*words, "hardware=ours", "allow.FT442=an example", "-q"]) == 0
    (file,) = Path("out").rglob("job-command-*.yaml")
    assert cli.main(["explain", at(file, f"- {WORD}"), *form]) == 0
    said = capsys.readouterr()
    assert "trainer.command" in said.out
    assert WORD not in said.out + said.err


@pytest.mark.parametrize("form", [[], ["--json"]], ids=" ".join)
@pytest.mark.parametrize("value", ["${hardware.env.MY_TOKEN}", "${oc.env:MY_TOKEN}"])
def test_a_value_taken_from_a_secret_is_not_repeated(
    project: Path, form: list[str], value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", WORD)
    option = project / "conf/hardware/ours.yaml"
    option.write_text(f"{option.read_text(encoding='utf-8')}env: {{MY_TOKEN: {WORD}}}\n", encoding="utf-8")
    assert cli.main(["explain", "tracking.run_name", "hardware=ours", f"tracking.run_name={value}", *form]) == 0
    said = capsys.readouterr()
    assert value in said.out
    assert WORD not in said.out + said.err


@pytest.mark.parametrize("form", [[], ["--json"]], ids=" ".join)
def test_neither_a_pin_nor_a_comment_repeats_a_secret(
    project: Path, form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    url, commit = f"http://ada:{WORD}@git.example.com/m.git", "a" * 40
    pins = f"version: 1\ngit:\n- url: {url}\n  revision: main\n  commit: {commit}\n"
    (project / "conf/pins.yaml").write_text(pins, encoding="utf-8")
    option = project / "conf/hardware/ours.yaml"
    option.write_text(f"# Ours, by {url}.\n{option.read_text(encoding='utf-8')}", encoding="utf-8")
    words = ["hardware=ours", f"model.url={url}", "model.revision=main", "+allow={FT441: an example}"]
    assert cli.main([*words, "-q"]) == 0
    (file,) = Path("out").rglob("job-*.yaml")
    assert cli.main(["explain", at(file, f"value: {commit}"), *form]) == 0
    assert cli.main(["explain", "hardware", "hardware=ours", *form]) == 0
    assert cli.main(["groups", "hardware", *form]) == 0
    said = capsys.readouterr()
    assert "Ours, by http://****" in said.out
    assert "lock of http://****" in said.out
    assert WORD not in said.out + said.err


def test_what_is_no_secret_is_shown(manifest: Path, explain: Any) -> None:
    assert explain("cluster.git.secret")["value"] == "aml-image-builder-secret"
    assert explain(at(manifest, 'value: "yes"'))["value"] == "yes"
    story = explain(at(manifest, "learning_rate: 0.0001"))
    assert story["value"] == "learning_rate: 0.0001"
    assert ("trainer.args.learning_rate", "0.0001") in [(cause["name"], cause["value"]) for cause in story["causes"]]


@pytest.mark.parametrize("words", [[], ["--json"]], ids=["text", "json"])
def test_the_page_of_a_rule_shows_its_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "FT441", *words]) == 0
    said = capsys.readouterr().out
    assert "https://user:password@git.example.com/model" in said
    assert "curl -u user:password" in said
