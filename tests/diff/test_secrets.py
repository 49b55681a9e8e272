"""A comparison is kept in logs and pull requests: in no format does it repeat a secret of the manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftgen import cli
from ftgen.text import yamlio

TOKEN = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
KEY = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n"
MANIFEST = """\
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
metadata: {{name: a}}
spec:
  minAvailable: 1
  tasks:
  - name: t
    replicas: 1
    template:
      spec:
        containers:
        - name: c
          image: "x:{n}"
          command: [curl, -u, "me:Sup3rS3cret{n}", "https://x"]
          env:
          - {{name: HF_TOKEN, value: {token}{n}}}
          - {{name: PGPASSWORD, value: hunter{n}x}}
          - {{name: LEVEL, value: plain{n}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: m}}
data:
  api_token: "s3cr3t{n}alpha"
  script.sh: |
    echo before{n}
    export HF_TOKEN={token}{n}
    echo after
  config.yaml: |
    hub_token: {token}{n}
    lr: {n}
  key.pem: |
    first line {n}
{key}
"""
SECRETS = ("hf_AbCd", "Sup3rS3cret", "hunter1x", "hunter2x", "s3cr3t1alpha", "s3cr3t2alpha", "MIIB1", "MIIB2")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for n in (1, 2):
        key = "".join(f"    {line}\n" for line in KEY.format(f"MIIB{n}x\n  abc{n}").splitlines())
        Path(f"{n}.yaml").write_text(MANIFEST.format(n=n, token=TOKEN, key=key))


@pytest.mark.parametrize("form", [[], ["--format", "markdown"], ["--format", "html"], ["--json"]], ids=" ".join)
@pytest.mark.parametrize("pair", [("1.yaml", "2.yaml"), ("2.yaml", "1.yaml")], ids=" ".join)
def test_secrets_are_masked_and_the_rest_is_shown(form, pair, capsys):
    assert cli.main(["diff", *pair, *form]) in {0, 1}
    said = capsys.readouterr()
    assert not [secret for secret in SECRETS if secret in said.out + said.err]
    assert "HF_TOKEN" in said.out
    assert "plain1" in said.out
    if form != ["--format", "markdown"]:
        assert "before2" in said.out


def test_the_words_of_a_command_are_masked_together(capsys):
    assert cli.main(["preview", "1.yaml"]) == 0
    said = capsys.readouterr().out
    assert "Sup3rS3cret" not in said
    assert "curl -u" in said


HARD = ["Tr0ub 4dor&3", 'Tr0ub"4dor&3', "Tr0ub'4dor&3", "Tr0ub\\4dor&3", "Tr0ub{4dor}3", "Tr0ub\n4dor&3"]


@pytest.mark.parametrize(
    "words",
    [
        ["diff", "1.yaml", "2.yaml"],
        ["diff", "1.yaml", "2.yaml", "--format", "markdown"],
        ["diff", "1.yaml", "2.yaml", "--format", "html"],
        ["diff", "1.yaml", "2.yaml", "--json"],
        ["preview", "1.yaml"],
        ["preview", "1.yaml", "--json"],
        ["check", "1.yaml"],
        ["check", "1.yaml", "--format", "sarif"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("secret", HARD)
def test_a_password_is_masked_whole(words, secret, capsys):
    for n, end in ((1, ""), (2, "x")):
        env = [{"name": "DB_PASSWORD", "value": secret + end}]
        (job,) = yamlio.parse_all(MANIFEST.partition("---")[0].format(n=1, token=TOKEN), "")
        job["spec"]["tasks"][0]["template"]["spec"]["containers"] = [{"name": "c", "image": "x:1", "env": env}]
        Path(f"{n}.yaml").write_text(yamlio.dump(job), encoding="utf-8")
    assert cli.main(words) in {0, 1}
    said = capsys.readouterr()
    assert "Tr0" not in said.out + said.err
    assert "4dor" not in said.out + said.err


RECORD = """\
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
metadata:
  name: {name}
  annotations: {{ftgen.dev/overrides: '["hardware.env.PGPASSWORD=hunter{n}x","trainer.lr={n}"]'}}
spec: {{minAvailable: {n}}}
"""


@pytest.mark.parametrize("form", [[], ["--format", "markdown"], ["--format", "html"], ["--json"]], ids=" ".join)
@pytest.mark.parametrize("names", [("a", "a"), ("a", "b")], ids=["changed", "added"])
def test_the_parameters_of_a_run_are_masked(form, names, capsys):
    for n, name in zip((1, 2), names, strict=True):
        Path(f"{n}").mkdir()
        Path(f"{n}/{name}.yaml").write_text(RECORD.format(name=name, n=n))
    assert cli.main(["diff", "1", "2", *form]) in {0, 1}
    said = capsys.readouterr()
    assert "hunter" not in said.out + said.err
    if form == ["--format", "markdown"]:
        assert "hardware.env.PGPASSWORD=********" in said.out
        assert "trainer.lr=2" in said.out


SECRET = """\
apiVersion: v1
kind: Secret
metadata:
  name: s
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{{"data":{{"id_rsa":"aHVudGVy{n}"}}}}'
data: {{id_rsa: aHVudGVy{n}, .dockerconfigjson: eyJhdXRocyI6e30{n}, same: c2FtZXNhbWU=}}
stringData:
  a.conf: |
    inner: hunter{n}
"""
FORMS = [[], ["--format", "markdown"], ["--format", "html"], ["--format", "github"], ["--json"], ["--page", "p.html"]]


def shown(form, capsys):
    assert cli.main(["diff", "1.yaml", "2.yaml", *form]) == 1
    said = capsys.readouterr()
    return said.out + said.err + (Path("p.html").read_text() if "--page" in form else "")


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_a_secret_s_data_is_masked_as_kubectl_does(form, capsys):
    for n in (1, 2):
        Path(f"{n}.yaml").write_text(SECRET.format(n=n))
    said = shown(form, capsys)
    assert not [held for held in ("aHVudGVy", "eyJhdX", "hunter", "c2FtZ") if held in said]
    assert "id_rsa" in said
    if "--page" not in form:
        assert "*** (before)" in said
        assert "*** (after)" in said


BLOCKS = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: c}}
data:
  PASSWORD: |
    {n}hunterAA
  other: "{n} uses {n}hunterAA"
---
apiVersion: batch/v1
kind: Job
metadata: {{name: j}}
spec:
  template:
    spec:
      containers:
      - name: a
        image: x
        command: ["bash", "-c", "a\\nb{n}", "--token", "{n}hunterBB"]
        env:
        - name: DB_PASSWORD
          value: |
            {n}hunterCC
        - {{name: twice, value: x}}
        - {{name: twice, value: y}}
        - {{name: MY_TOKEN, value: {n}hunterDD}}
        - {{name: URL, value: "db:{n}hunterDD"}}
        - {{name: EXPANDED, value: "a$(MY_TOKEN)b"}}
"""


@pytest.mark.parametrize("form", [[], ["--json"]], ids=" ".join)
def test_a_secret_is_masked_where_a_pod_refers_to_it(form, capsys):
    text = BLOCKS.replace('"--token", "{n}hunterBB"', '"echo $(MY_TOKEN)x", "{n}hunterDD"')
    Path("1.yaml").write_text(text.format(n=1))
    assert cli.main(["preview", "1.yaml", *form]) == 0
    said = capsys.readouterr()
    assert "hunter" not in said.out + said.err
    assert "echo *********x" in said.out


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_a_secret_of_several_lines_or_at_another_place_is_masked(form, capsys):
    for n in (1, 2):
        Path(f"{n}.yaml").write_text(BLOCKS.format(n=n))
    said = shown(form, capsys)
    assert "hunter" not in said
