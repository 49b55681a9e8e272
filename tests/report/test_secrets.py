"""No diagnostic repeats a secret: on the command line, in files, from the environment, in any format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ftgen import cli
from ftgen.cli.arguments import FORMS
from ftgen.cli.report import render
from ftgen.diagnostics import COMMAND_LINE, Location, Rejected, error

TOKEN = "hf_" + "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3x"
WORD = "hunter2hunter"
Told = Callable[..., str]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=FORMS)
def told(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Told:
    """Run ftgen, which must refuse, and give all that it printed in each format."""

    def run(*words: str, code: int = 1) -> str:
        found = cli.main([*words, "--format", request.param])
        said = capsys.readouterr()
        assert found == code, said
        return said.out + said.err

    return run


@pytest.mark.parametrize(
    "override",
    [
        "hardware.env.X={}",
        "trainer.lr={}",
        "trainer.lrr={}",
        "trainer.lr=[{}",
        "delivery.reconciler={}",
        "model={}",
        "+experiment={}",
        "{}=1",
        "~{}",
        "cluster.namespace={}",
        "cluster.git.secret={}",
        "storage.workspace.size={}",
        "tracking.tags.a=[{}]",
        "hardware.image={}",
        "name=${{{}}}",
        "tracking={}",
        "trainer.args.template={}",
        "trainer.args.report_to={}",
    ],
)
def test_a_token_in_an_override_is_not_repeated(told: Told, override: str) -> None:
    assert TOKEN not in told(override.format(TOKEN))


@pytest.mark.parametrize("secret", ["ghp_" + "a1B2" * 9, f"//ada:{WORD}@git.example.com/x"])
@pytest.mark.parametrize("override", ["trainer.lr=https:{}", "model=https:{}", "trainer.lr=[https:{}"])
def test_other_forms_are_not_repeated_either(told: Told, override: str, secret: str) -> None:
    assert secret not in told(override.format(secret))


@pytest.mark.parametrize(
    "override",
    [
        "hardware.env.PGPASSWORD={}",
        "hardware.env.DB_PASS=[{}]",
        "hardware.env={{MYTOKEN:{},b:[1]}}",
        "+hardware.env.MYTOKEN={}",
        "trainer.args.hub_token={}",
        "trainer.args.hub_token=[{}",
        "trainer.args={{hub_token:{}",
        "trainer.hub_token={}",
        "tracking.token={}",
        "tracking.password={}",
        "+cluster.git.password={}",
        "cluster.annotations.api_key=[{}]",
        "tracking.uri=https://x.example.com?access_token={}",
    ],
)
def test_a_value_named_like_a_secret_is_not_repeated(told: Told, override: str) -> None:
    assert WORD not in told(override.format(WORD), "trainer.lr=x")


def test_a_secret_behind_its_option_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", "--", "docker", "run", "img:1", "python", "t.py", "--api-key", "hunter2"]) == 1
    told = capsys.readouterr().err
    assert "FT442" in told
    assert "hunter2" not in told


def test_what_one_override_calls_a_secret_is_none_of_another_s_diagnostic(told: Told) -> None:
    assert WORD not in told(f"hardware.env.MYTOKEN={WORD}", f"trainer.lr={WORD}")


@pytest.mark.parametrize("words", [["--tokn={}"], ["explain", "trainer.{}"], ["groups", "{}"], ["rebuild", "{}"]])
def test_usage_does_not_repeat_a_token(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert cli.main([word.format(TOKEN) for word in words]) in {1, 2}
    said = capsys.readouterr()
    assert TOKEN not in said.out + said.err


@pytest.mark.parametrize("key", ["trainer.lr", "tracking.run_name", "name", "model.revision", "tracking.tags.a"])
def test_a_secret_of_the_environment_is_not_repeated(told: Told, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("HF_TOKEN", WORD)
    assert WORD not in told(f"{key}=${{oc.env:HF_TOKEN}}")


CONF = """\
report_to: mlflow
uri: http://mlflow.example.com
experiment: [1]
run_name: null
tags:
  api_key: hunter2hunter
  db_pass: [hunter2hunter]
  hf_aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3x: [1]
  note: [hf_aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3x]
  token: {a: hunter2hunter}
nonsense: hf_aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3x
"""


@pytest.mark.parametrize("text", [CONF, CONF.replace("[1]", "a"), CONF + "x: [1\n", CONF + "\t- b\n"])
def test_a_secret_of_a_conf_file_is_not_repeated(told: Told, scratch: Path, text: str) -> None:
    (scratch / "conf" / "tracking").mkdir(parents=True)
    (scratch / "conf" / "tracking" / "mine.yaml").write_text(text, encoding="utf-8")
    said = told("tracking=mine")
    assert TOKEN not in said
    assert WORD not in said


MANIFEST = """\
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
metadata:
  name: a
spec:
  queue: default
  tasks:
  - name: train
    replicas: 1
    hf_aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3x: unknown field
    template:
      spec:
        containers:
        - name: train
          image: hf_aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3x
          imagePullPolicy: hf_aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3x
          args:
          - --token
          - hunter2hunter
          - |
            set -x
            curl -u ada:hunter2hunter https://example.com
            export HF_TOKEN=hunter2hunter
          env:
          - name: HF_TOKEN
            value: hunter2hunter
          - value: hunter2hunter
            name: DB_PASS
          - {name: MYTOKEN, value: hunter2hunter, valueFrom: {}}
          - name: KEY
            value: |
              -----BEGIN PRIVATE KEY-----
              MIIhunter2hunter
              -----END PRIVATE KEY-----
          resources: {limits: {cpu: hf_aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3x}}
"""


def test_check_does_not_repeat_a_secret(told: Told, scratch: Path) -> None:
    (scratch / "job.yaml").write_text(MANIFEST, encoding="utf-8")
    said = told("check", "job.yaml")
    assert "FT301" in said
    assert TOKEN not in said
    assert WORD not in said


def test_what_finds_a_secret_in_a_manifest_does_not_repeat_it(told: Told, scratch: Path) -> None:
    sound = [line for line in MANIFEST.splitlines(keepends=True) if "unknown" not in line and "Policy" not in line]
    text = (
        "".join(sound)
        .replace(", valueFrom: {}", "")
        .replace("          resources: {limits: {cpu: " + TOKEN + "}}\n", "")
    )
    (scratch / "job.yaml").write_text(text, encoding="utf-8")
    said = told("check", "job.yaml")
    assert {"FT441", "FT442"} <= set(re.findall(r"FT\d+", said))
    assert TOKEN not in said
    assert WORD not in said


def test_check_of_json_does_not_repeat_a_secret(told: Told, scratch: Path) -> None:
    (scratch / "job.json").write_text(json.dumps(yaml.safe_load(MANIFEST)), encoding="utf-8")
    said = told("check", "job.json")
    assert TOKEN not in said
    assert WORD not in said


def test_import_does_not_repeat_a_secret(told: Told, scratch: Path) -> None:
    (scratch / "job.yaml").write_text(MANIFEST, encoding="utf-8")
    said = told("import", "job.yaml")
    assert TOKEN not in said
    assert WORD not in said


def test_the_difference_of_a_hand_edit_does_not_repeat_a_secret(
    told: Told, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["hardware.env.A=plain", "-q"]) == 0
    (job,) = scratch.glob("out/*/job-*.yaml")
    text = job.read_text(encoding="utf-8")
    edited = text.replace("name: A\n            value: plain", f"name: HF_TOKEN\n            value: {WORD}")
    job.write_text(f"{edited}# {TOKEN}\n", encoding="utf-8")
    assert edited != text
    capsys.readouterr()
    said = told("hardware.env.A=plain")
    assert "FT503" in said
    assert TOKEN not in said
    assert WORD not in said


@pytest.mark.parametrize("form", FORMS)
def test_every_part_of_a_diagnostic_is_covered(form: str, scratch: Path) -> None:
    file = scratch / f"{TOKEN}.yaml"
    file.write_text(f"a: 1\nb: {TOKEN}\n", encoding="utf-8")
    found = error("FT001", f"no {TOKEN}", f"a.{TOKEN}", TOKEN, f"not {TOKEN}").at(
        Location(str(file), 2), Location(TOKEN)
    )
    assert TOKEN not in render([found], form)
    assert TOKEN not in str(Rejected([found]))


def test_what_is_cut_to_a_width_tells_no_beginning_of_a_secret() -> None:
    found = error("FT102", f"x must be a number, not '{WORD[:8]}…", "x.api_key", WORD)
    assert WORD[:4] not in render([found], "text")


def test_the_caret_stays_where_it_was() -> None:
    line = f"hardware.env={{HF_TOKEN: {TOKEN}, b: [1]}}"
    found = error("FT102", "x").at(Location(COMMAND_LINE, 1, line.index("[1]") + 1))
    shown, mark = render([found], "text", arguments=(line,)).splitlines()[1:3]
    assert shown[mark.index("^") :].startswith("[1]")


@pytest.mark.parametrize(
    "override",
    [
        "cluster.git.secret=Not_A_Name",
        "hardware.env.HF_TOKEN={secret: Not_A_Name, key: a}",
        "trainer.args.max_tokens=x",
    ],
)
def test_names_of_secrets_stay_readable(capsys: pytest.CaptureFixture[str], override: str) -> None:
    assert cli.main([override]) == 1
    assert override in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: c3NoaHVudGVy, .b: c3NoaHVudGVy}\n",
        "apiVersion: v1\nstringData: {a: 'c3NoaHVudGVy'}\nkind: Secret\nmetadata: {name: s}\n",
        '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"x":"c3NoaHVudGVy"}}\n',
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  a: c3NoaHVudGVy\n  a: c3NoaHVudGVy\n",
    ],
)
def test_the_data_of_a_secret_is_not_repeated(told: Told, scratch: Path, text: str) -> None:
    (scratch / "s.yaml").write_text(text, encoding="utf-8")
    assert "c3Noa" not in told("check", "s.yaml")
