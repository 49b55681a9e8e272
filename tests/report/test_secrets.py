"""No diagnostic repeats a secret: on the command line, in files, from the environment, in any format."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ftgen import cli
from ftgen.cli.arguments import FORMS
from ftgen.cli.report import render
from ftgen.diagnostics import COMMAND_LINE, Location, Rejected, error, excerpts

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
    line = f"hardware.env={{b: [1], HF_TOKEN: {TOKEN}}}"
    found = error("FT102", "x").at(Location(COMMAND_LINE, 1, line.index("[1]") + 1))
    shown, mark = render([found], "text", arguments=(line,)).splitlines()[1:3]
    assert shown[mark.index("^") :].startswith("[1]")


@pytest.mark.parametrize(
    "override",
    [
        "hardware.env={HF_TOKEN: {secret: hf-hub, key: token}, B: [1]}",
        "cluster.git={secret: git-login, x: 1}",
        "cluster.image_pull_secrets=regcred",
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


SECRET = "Xk29fQpl88zz"
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
  - name: c
    image: r.example.com/x:1
    env:
"""
VARIABLES = {
    "as people write it": "    - name: HF_TOKEN\n      value: Xk29fQpl88zz\n",
    "comment behind the name": "    - name: HF_TOKEN  # hub\n      value: Xk29fQpl88zz\n",
    "comment below the name": "    - name: HF_TOKEN\n      # hub\n      value: Xk29fQpl88zz\n",
    "tag": "    - name: HF_TOKEN\n      value: !!str Xk29fQpl88zz\n",
    "anchor": "    - name: &n HF_TOKEN\n      value: &t Xk29fQpl88zz\n",
    "alias": "    - name: A\n      value: &x Xk29fQpl88zz\n    - name: HF_TOKEN\n      value: *x\n",
    "flow with an empty line": "    - {name: HF_TOKEN,\n\n       value: Xk29fQpl88zz}\n",
    "flow, value first": "    - {value: Xk29fQpl88zz,\n\n\n       name: HF_TOKEN}\n",
    "value first": "    - value: Xk29fQpl88zz\n      # a\n      # b\n      # c\n      name: HF_TOKEN\n",
    "key between": "    - name: HF_TOKEN\n      valueFrom: null\n      value: Xk29fQpl88zz\n",
    "quotes": '    - "name": \'HF_TOKEN\'\n      "value": "Xk29fQpl88zz"\n',
    "wrapped": '    - name: DB_PASSWORD\n      value: "Xk29fQpl88zz\n        more"\n',
    "explicit keys": "    - ? name\n      : HF_TOKEN\n      ? value\n      : Xk29fQpl88zz\n",
    "misspelled key": "    - name: HF_TOKEN # x\n      valeu: Xk29fQpl88zz\n",
    "mapping": "    - name: HF_TOKEN # x\n      value: {a: Xk29fQpl88zz}\n",
    "list": "    - name: HF_TOKEN # x\n      value: [Xk29fQpl88zz]\n",
    "twice": "    - name: HF_TOKEN # x\n      value: Xk29fQpl88zz\n      value: Xk29fQpl88zz\n",
    "two colons": "    - name: HF_TOKEN # x\n      value: Xk29fQpl88zz: x\n",
    "stray quote": '    - name: HF_TOKEN # x\n      value: "ab"Xk29fQpl88zz"\n',
    "open bracket": "    - name: HF_TOKEN # x\n      value: {Xk29fQpl88zz\n",
    "tabulator": "    - name: HF_TOKEN # x\n\tvalue: Xk29fQpl88zz\n",
}


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("text", VARIABLES.values(), ids=VARIABLES)
def test_the_value_of_a_variable_is_not_repeated_however_it_is_written(
    capsys: pytest.CaptureFixture[str], scratch: Path, text: str, ends: str
) -> None:
    (scratch / "pod.yaml").write_bytes((POD + text).replace("\n", ends).encode())
    assert cli.main(["check", "pod.yaml"]) == 1
    assert SECRET not in capsys.readouterr().err


def test_a_number_that_is_a_password_is_not_repeated(told: Told, scratch: Path) -> None:
    (scratch / "pod.yaml").write_text(POD + "    - name: DB_PASSWORD # x\n      value: 8675309177\n", encoding="utf-8")
    said = told("check", "pod.yaml")
    assert "FT302" in said
    assert "8675309177" not in said


@pytest.mark.parametrize("value", ["8675309177", "{a: 8675309177}", "[8675309177]"])
def test_what_standard_input_says_is_not_repeated(told: Told, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    text = f"{POD}    - name: DB_PASSWORD\n      value: {value}\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    said = told("check", "-")
    assert "FT302" in said
    assert "8675309177" not in said


def test_what_refers_to_a_secret_is_shown(capsys: pytest.CaptureFixture[str], scratch: Path) -> None:
    lines = ["    - name: HF_TOKEN", "      valueFrom: {secretKeyRef: {name: hub, key: token, optinal: true}}"]
    (scratch / "pod.yaml").write_text(POD + "\n".join(lines) + "\n", encoding="utf-8")
    assert cli.main(["check", "pod.yaml"]) == 1
    assert "name: hub" not in capsys.readouterr().err, "an unknown key may hold the secret"
    (scratch / "pod.yaml").write_text(POD.replace("image:", "imag:") + lines[0] + "\n", encoding="utf-8")
    assert cli.main(["check", "pod.yaml"]) == 1
    assert "    imag: r.example.com/x:1" in capsys.readouterr().err


CHOSEN = ("cluster=generic", "cluster.registry=r.example.com", "cluster.git.url=https://g.example.com")


@pytest.mark.parametrize(
    "variable",
    [
        "HF_TOKEN: Xk29fQpl88zz\r",
        "HF_TOKEN: Xk29fQpl88zz: x",
        "HF_TOKEN: {secret: n, keyy: Xk29fQpl88zz}",
        "HF_TOKEN: {secret: Xk29fQpl88zz, key: a}",
        "HF_TOKEN: {a: Xk29fQpl88zz}",
        "HF_TOKEN:\n    a: Xk29fQpl88zz",
        "HF_TOKEN: [Xk29fQpl88zz]",
        'DB_PASSWORD: "ab"Xk29fQpl88zz"',
        "DB_PASSWORD: 'ab'Xk29fQpl88zz'",
        "DB_PASSWORD: a${Xk29fQpl88zz",
        "DB_PASSWORD: a${Xk29fQpl88zz}",
    ],
)
def test_a_variable_of_an_option_is_not_repeated_however_it_is_written(
    told: Told, scratch: Path, variable: str
) -> None:
    (scratch / "conf" / "hardware").mkdir(parents=True)
    text = f"defaults: [full-gpu]\nenv:\n  {variable}\n"
    (scratch / "conf" / "hardware" / "mine.yaml").write_bytes(text.encode())
    assert SECRET not in told("-o", "-", *CHOSEN, "tracking=none", "hardware=mine")


@pytest.mark.parametrize("value", ["Xk29fQpl88zz\r", "Xk29fQpl88zz # x", "!!str Xk29fQpl88zz"])
def test_a_variable_of_an_overlay_is_not_repeated(told: Told, scratch: Path, value: str) -> None:
    for folder in ("conf/hardware", "overlays/hardware/mine"):
        (scratch / folder).mkdir(parents=True)
    (scratch / "conf" / "hardware" / "mine.yaml").write_text("defaults: [full-gpu]\n", encoding="utf-8")
    text = (
        "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: x}\ntemplate:\n  spec:\n    containers:\n"
        f"    - name: train\n      env:\n      - name: HF_TOKEN # of the hub\n        value: {value}\n"
    )
    (scratch / "overlays" / "hardware" / "mine" / "a.yaml").write_bytes(text.encode())
    said = told("-o", "-", *CHOSEN, "tracking=none", "hardware=mine")
    assert "FT442" in said
    assert SECRET not in said


OVERRIDES = [
    "hardware.env.HF_TOKEN=choice(Xk29fQpl88zz,b)",
    "hardware.env.HF_TOKEN=sort(Xk29fQpl88zz,b)",
    "hardware.env={HF_TOKEN: choice(Xk29fQpl88zz,b)}",
    "hardware.env={HF_TOKEN: 'Xk29fQpl88zz}",
    "hardware.env={HF_TOKEN: {secret: n, keyy: Xk29fQpl88zz}}",
    "hardware.env.HF_TOKEN={secret: n, key: Xk29fQpl88zz",
    "hardware.env.HF_TOKEN={secret: Xk29fQpl88zz, key: Xk29fQpl88zz}",
    "hardware.env.HF_TOKEN=Xk29fQpl88zz(x)",
    "hardware.env.HF_TOKEN=int(Xk29fQpl88zz)",
    "hardware.env.HF_TOKEN=interval(Xk29fQpl88zz,b)",
    "hardware.env.HF_TOKEN:Xk29fQpl88zz",
    "hardware.env.A=b HF_TOKEN=Xk29fQpl88zz(",
    "hardware.env.DB_PASSWORD=a(Xk29fQpl88zz)b",
    "trainer.args.hub_token=choice(Xk29fQpl88zz,b)",
]
REFERENCES = [
    "tracking.key=Xk29fQpl88zz",
    "tracking.key=[Xk29fQpl88zz]",
    "tracking.key=choice(Xk29fQpl88zz,b)",
    "tracking.key=it's Xk29fQpl88zz",
    "tracking.key={secret: w, key: Xk29fQpl88zz",
    "tracking.key={secret: w, keyy: Xk29fQpl88zz}",
    "tracking.key={secret: Xk29fQpl88zz, key: 'Xk29fQpl88zz a'}",
    "tracking.key.secret=Xk29fQpl88zz",
    "tracking={key: Xk29fQpl88zz}",
    "tracking={key: Xk29fQpl88zz",
    "cluster.git.secret=Xk29fQpl88zz",
    "cluster.git={token_key: 'Xk29fQpl88zz a'}",
    "cluster.image_pull_secrets=Xk29fQpl88zz",
]


@pytest.mark.parametrize("override", [*OVERRIDES, *REFERENCES])
def test_nothing_behind_a_secret_s_name_is_repeated(told: Told, override: str) -> None:
    assert SECRET not in told("-o", "-", *CHOSEN, "tracking=wandb", override)


@pytest.mark.parametrize(
    "override",
    [
        "hardware.env.HF_TOKEN=Xk29fQpl88zz,b",
        "tracking.key=Xk29fQpl88zz,null",
        "tracking.key=Xk29fQpl88zzXk29fQpl88zzXk29fQpl88zz_a,null",
    ],
)
def test_the_label_of_a_point_repeats_no_secret_in_a_message(told: Told, override: str) -> None:
    assert SECRET.lower() not in told("-m", "-o", "-", *CHOSEN, "tracking=wandb", override).lower()


@pytest.mark.parametrize("words", [["plan"], ["plan", "--format", "html"], ["init", "d"], ["image"], ["diff"]])
def test_no_verb_repeats_what_stands_for_a_reference(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert cli.main([*words, *CHOSEN, "tracking=wandb", "tracking.key=Xk29fQpl88zz"]) == 1
    said = capsys.readouterr()
    assert "tracking.key must be {secret: NAME, key: KEY}, not ***" in said.err
    assert SECRET not in said.out + said.err


@pytest.mark.parametrize("override", REFERENCES[:9])
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_explain_does_not_repeat_what_stands_for_a_reference(
    capsys: pytest.CaptureFixture[str], override: str, flags: list[str]
) -> None:
    cli.main(["explain", "tracking.key", *flags, *CHOSEN, "tracking=wandb", override])
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err


def test_explain_shows_a_reference(capsys: pytest.CaptureFixture[str]) -> None:
    override = "tracking.key={secret: wandb-login, key: api}"
    assert cli.main(["explain", "tracking.key", *CHOSEN, "tracking=wandb", override]) == 0
    assert override in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "key: Xk29fQpl88zz\n",
        "key:\n  Xk29fQpl88zz\n",
        'key: "ab"Xk29fQpl88zz"\n',
        "key: {secret: w, key: Xk29fQpl88zz\n",
        "key: {secret: w, keyy: Xk29fQpl88zz}\n",
    ],
)
def test_an_option_does_not_repeat_what_stands_for_a_reference(told: Told, scratch: Path, text: str) -> None:
    (scratch / "conf" / "tracking").mkdir(parents=True)
    (scratch / "conf" / "tracking" / "mine.yaml").write_text(f"defaults: [wandb]\n{text}", encoding="utf-8")
    assert SECRET not in told("-o", "-", *CHOSEN, "tracking=mine")


@pytest.mark.parametrize(
    "words",
    [["HF_TOKEN", SECRET], ["HF_TOKEN", "=", SECRET], ["hardware.env.HF_TOKEN=", SECRET], ["password:", SECRET]],
)
def test_a_word_behind_a_secret_s_name_is_not_repeated(told: Told, words: list[str]) -> None:
    assert SECRET not in told(*words)


def test_a_variable_that_is_handed_on_hides_no_more_of_its_line(
    capsys: pytest.CaptureFixture[str], scratch: Path
) -> None:
    line = "docker run -e HF_TOKEN=$HF_TOKEN -e DB_PASSWORD=hunter2 --shm-size 1x r.example.com/x:1 train"
    (scratch / "run.sh").write_text(line, encoding="utf-8")
    cli.main(["import", "run.sh"])
    said = capsys.readouterr().err
    assert "docker run -e HF_TOKEN=$HF_TOKEN -e DB_PASSWORD=***" in said
    assert "1x" in said
    assert "hunter2" not in said


def test_a_file_behind_a_secret_s_name_is_one(capsys: pytest.CaptureFixture[str], scratch: Path) -> None:
    for name in ("token", "Xk29fQpl88zz.yaml"):
        (scratch / name).write_text("kind: x\n", encoding="utf-8")
    cli.main(["check", "token", "Xk29fQpl88zz.yaml"])
    assert "Xk29fQpl88zz.yaml:1" in capsys.readouterr().err


def test_the_headline_of_a_finding_stays_whole(capsys: pytest.CaptureFixture[str], scratch: Path) -> None:
    (scratch / "pod.yaml").write_text(POD.replace("env:", "args: [--hf-token, hunter2]"), encoding="utf-8")
    assert cli.main(["check", "pod.yaml"]) == 1
    assert "--hf-token has a literal value" in capsys.readouterr().err


@given(
    st.sampled_from(
        ["{name}: {value}", "- {{name: {name}, value: {value}}}", "x: [{{{name}: {value}", "{name}={value}"]
    ),
    st.sampled_from(["HF_TOKEN", "DB_PASSWORD", "hub_token", "api_key"]),
    st.text("abcXYZ019{}[]()'\",:=$# \\", min_size=1, max_size=12).map(lambda text: f"{text}{SECRET}"),
)
def test_a_line_is_covered_from_a_secret_s_name_on(form: str, name: str, value: str) -> None:
    line = form.format(name=name, value=value)
    is_other = re.search(r",[ \t]*['\"]?\w+['\"]?[ \t]*:[ \t]|[#]", value) is not None  # another key, a comment
    start = excerpts.secret_from([line], 0)
    assert SECRET not in excerpts.covered_from(line, start) or is_other


@given(st.lists(st.text("- :\n#{}nameHF_TOKENvalue", max_size=30), min_size=1, max_size=6), st.integers(0, 5))
def test_any_lines_can_be_looked_at(lines: list[str], index: int) -> None:
    index = min(index, len(lines) - 1)
    assert 0 <= excerpts.secret_from(lines, index) <= len(lines[index])
