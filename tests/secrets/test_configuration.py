"""Secrets in the configuration: by reference, from the environment, and what is blamed for one."""

from __future__ import annotations

import json

import pytest
import yaml

from ftgen import cli
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected
from ftgen.pipeline import compile_job


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compiled(*overrides):
    return compile_job(Composer(Request(overrides)), overrides)


def refused(*overrides):
    with pytest.raises(Rejected) as rejected:
        compiled(*overrides)
    return rejected.value.diagnostics


def pod(job):
    return job.bundle.job["spec"]["tasks"][0]["template"]["spec"]


def variables(container):
    return {variable["name"]: variable for variable in container["env"]}


def reference(name, secret, key, **more):
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, **more}}}


def test_a_variable_is_taken_from_a_secret_by_the_training_container_alone():
    job = compiled(
        "hardware.env.HF_TOKEN={secret: hf2, key: token}",
        "hardware.env.WANDB_API_KEY={secret: wandb, key: key, optional: true}",
        "hardware.env.PLAIN=x",
    )
    found = variables(pod(job)["containers"][0])
    assert found["HF_TOKEN"] == reference("HF_TOKEN", "hf2", "token")
    assert found["WANDB_API_KEY"] == reference("WANDB_API_KEY", "wandb", "key", optional=True)
    assert found["PLAIN"] == {"name": "PLAIN", "value": "x"}
    assert "HF_TOKEN" not in variables(pod(job)["initContainers"][0])


def test_mlflow_is_opened_by_a_token_and_told_a_workspace():
    found = variables(
        pod(compiled("tracking.token={secret: ml, key: t}", "tracking.workspace=team-a"))["containers"][0]
    )
    assert found["MLFLOW_TRACKING_TOKEN"] == reference("MLFLOW_TRACKING_TOKEN", "ml", "t")
    assert found["MLFLOW_WORKSPACE"]["value"] == "team-a"


def test_mlflow_is_opened_by_a_user_and_a_password():
    found = variables(pod(compiled("tracking.login.secret=ml", "tracking.login.password_key=p"))["containers"][0])
    assert found["MLFLOW_TRACKING_USERNAME"] == reference("MLFLOW_TRACKING_USERNAME", "ml", "username")
    assert found["MLFLOW_TRACKING_PASSWORD"] == reference("MLFLOW_TRACKING_PASSWORD", "ml", "p")


def test_a_job_without_references_says_nothing_of_them():
    assert not {name for name in variables(pod(compiled())["containers"][0]) if name.startswith("MLFLOW_TRACKING_T")}


@pytest.mark.parametrize(
    ("overrides", "code", "subject"),
    [
        (["hardware.env.A={secret: No_Name, key: k}"], "FT103", "hardware.env.A.secret"),
        (["hardware.env.A={secret: n, key: 'a b'}"], "FT103", "hardware.env.A.key"),
        (["hardware.env.A={secret: n}"], "FT104", "hardware.env.A.key"),
        (["hardware.env.A={secret: n, key: k, kye: k}"], "FT101", "hardware.env.A.kye"),
        (["hardware.env.A={secret: n, key: k, optional: maybe}"], "FT102", "hardware.env.A.optional"),
        (["hardware.env.A=[x]"], "FT102", "hardware.env.A"),
        (["tracking.token=x"], "FT102", "tracking.token"),
        (["tracking.workspace=A_b"], "FT103", "tracking.workspace"),
        (["tracking.token={secret: n, key: k}", "tracking.login={secret: n}"], "FT105", "tracking.login"),
        (["cluster.git.token_key='a b'"], "FT103", "cluster.git.token_key"),
    ],
)
def test_a_reference_of_wrong_shape_is_refused(overrides, code, subject):
    assert [(d.code, d.subject) for d in refused(*overrides)] == [(code, subject)]


def test_what_a_variable_may_be_is_told():
    (found,) = refused("hardware.env.A=[x]")
    assert "text or {secret: NAME, key: KEY}" in found.headline


def test_a_reference_survives_every_verb(scratch, capsys):
    words = "hardware.env.HF_TOKEN={secret: hf2, key: token}"
    assert cli.main([words, "-q"]) == 0
    assert cli.main(["diff", words]) == 0
    (file,) = scratch.glob("out/*/job-*.yaml")
    assert cli.main(["rebuild", str(file)]) == 0
    line = file.read_text(encoding="utf-8").splitlines().index("                name: hf2") + 1
    capsys.readouterr()
    assert cli.main(["explain", f"{file}:{line}"]) == 0
    assert "hardware.env.HF_TOKEN.secret" in capsys.readouterr().out
    assert cli.main(["export", "kustomize", "-o", "k", words]) == 0
    assert cli.main(["diff", "hardware.env.HF_TOKEN={secret: other, key: token}"]) == 1
    assert "new run" in capsys.readouterr().out


def test_another_secret_is_another_run():
    names = [compiled(f"hardware.env.A={{secret: {name}, key: k}}").name for name in "ab"]
    assert names[0] != names[1]


@pytest.mark.parametrize("key", ["tracking.run_name", "name", "model.revision", "tracking.tags.a"])
def test_a_secret_of_the_environment_is_refused_whatever_key_takes_it(monkeypatch, key):
    monkeypatch.setenv("MY_TOKEN", "abcdef")
    (found,) = refused(f"{key}=${{oc.env:MY_TOKEN}}")
    assert (found.code, found.subject) == ("FT286", key)
    assert "abcdef" not in repr(found)


@pytest.mark.parametrize("value", ["a-${oc.env:MY_TOKEN}", "${oc.env:'MY_TOKEN'}", "${oc.env:MY_TOKEN,b}"])
def test_a_secret_of_the_environment_is_refused_however_it_is_asked_for(monkeypatch, value):
    monkeypatch.setenv("MY_TOKEN", "abcdef")
    assert [d.code for d in refused(f"tracking.run_name={value}")] == ["FT286"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("trainer.args.x[1]", ["+trainer.args.x=[a,'${oc.env:MY_TOKEN}']"]),
        ("hydra.job.name", ["hydra.job.name=${oc.env:MY_TOKEN}", "tracking.run_name=${hydra:job.name}"]),
        ("tracking.run_name", ["name=MY_TOKEN", "tracking.run_name='${oc.env:${name}}'"]),
        ("tracking.run_name", ["name=oc.env", "tracking.run_name='${oc.decode:\"\\${${name}:MY_TOKEN}\"}'"]),
    ],
)
def test_a_secret_of_the_environment_is_refused_whatever_spells_its_name(monkeypatch, key, words):
    monkeypatch.setenv("MY_TOKEN", "abcdef")
    assert ("FT286", key) in [(d.code, d.subject) for d in refused(*words)]


_RESOLVER = ["+hardware.env.A=$", "+hardware.env.B=oc.e", "+hardware.env.C=nv"]
_SPELT = "${hardware.env.A}{${hardware.env.B}${hardware.env.C}:WANTED}"


@pytest.mark.parametrize(
    "words",
    [
        ["tracking.run_name=${oc.env:WANTED}"],
        ["tracking.run_name='a ${ oc.env : WANTED }'"],
        ["+trainer.args.run_name=[a,'${oc.env:WANTED}']"],
        ["hydra.job.name=${oc.env:WANTED}", "tracking.run_name=${hydra:job.name}"],
        ["name=WANTED", "tracking.run_name='${oc.env:${name}}'"],
        [*_RESOLVER, f"tracking.run_name='${{oc.decode:\"{_SPELT}\"}}'"],
        ["+trainer.args.run_name='${oc.create:{a: \"\\${oc.env:WANTED}\"}}'"],
        # An interpolation that does not resolve would repeat what was read.
        ["tracking.run_name='${${oc.env:WANTED}}'"],
    ],
)
def test_recorded_words_read_no_variable_that_the_user_did_not_name(monkeypatch, words):
    monkeypatch.setenv("WANTED", "hunter2canary")
    composer = Composer(Request(tuple(words), typed=frozenset()))
    with pytest.raises(Rejected) as rejected:
        composer.compose(composer.parse(words))
    assert {d.code for d in rejected.value.diagnostics} == {"FT002"}
    assert "hunter2canary" not in repr(rejected.value.diagnostics)


def test_words_that_the_user_typed_beside_recorded_ones_read_what_they_name(monkeypatch):
    monkeypatch.setenv("WANTED", "a")
    words = ("tracking.run_name=${oc.env:WANTED}", "tracking.tags.a=${oc.env:WANTED}")
    composer = Composer(Request(words, typed=frozenset(words[:1])))
    read = composer.compose(composer.parse(words)).environment
    assert [(r.key, r.variable, r.value) for r in read] == [
        ("tracking.run_name", "WANTED", "a"),
        ("tracking.tags.a", "WANTED", "a"),
    ]


def test_other_values_of_the_environment_are_noted(monkeypatch):
    monkeypatch.setenv("GIT_SECRET", "git-2")
    monkeypatch.setenv("USE_AUTH", "true")
    job = compiled("cluster.git.secret=${oc.env:GIT_SECRET}", "tracking.tags.a=${oc.env:USE_AUTH}")
    assert [d.code for d in job.diagnostics if d.code in {"FT017", "FT286"}] == ["FT017", "FT017"]


def test_a_default_of_no_secret_is_noted(monkeypatch):
    monkeypatch.delenv("MY_TOKEN", raising=False)
    assert "FT286" not in {d.code for d in compiled("tracking.run_name=${oc.env:MY_TOKEN,none}").diagnostics}


def test_the_name_of_the_git_secret_is_not_blamed():
    found = refused("hardware.env.PGPASSWORD=hunter2", "cluster.git.secret=git2")
    assert [(d.code, d.subject) for d in found] == [("FT442", "hardware.env.PGPASSWORD")]
    assert "hardware.env.PGPASSWORD={secret: NAME, key: KEY}" in found[0].help


def test_a_command_s_option_is_blamed():
    found = refused("trainer=command", "trainer.command=[train,--token,hunter2]")
    assert [(d.code, d.subject) for d in found] == [("FT442", "trainer.command[2]")]


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("model.url", "cluster.git.secret=mine"),
        ("dataset.url", "cluster.git.secret=mine"),
        ("model.output_url", "cluster.git.secret=mine"),
        ("tracking.uri", "tracking.login.secret=mine"),
    ],
)
def test_of_a_url_with_a_user_the_help_ends_the_finding(key, secret):
    (found,) = refused(f"{key}=https://ada@git.example.com/team/x")
    assert (found.code, found.subject) == ("FT441", key)
    assert "take the user out of the URL" in found.help
    assert secret.partition("=")[0] in found.help
    assert compiled(f"{key}=https://git.example.com/team/x", secret)


@pytest.mark.parametrize("value", ["EMPTY", "dummy", "sk-no-key-required", "not-needed", "none"])
def test_what_a_client_wants_in_place_of_a_key_is_no_secret(value):
    assert compiled(f"hardware.env.OPENAI_API_KEY={value}")


@pytest.mark.parametrize("value", ["!Qx7mk29PzL", "%Qx7mk29PzL", "Tr0ub4dor(3x", "/Jalr3+x="])
def test_no_sign_at_its_beginning_makes_a_password_harmless(value):
    assert [d.code for d in refused(f"+hardware.env.DB_PASSWORD='{value}'")] == ["FT442"]


def test_the_schema_knows_both_forms_of_a_variable(capsys):
    assert cli.main(["schema"]) == 0
    text = json.dumps(json.loads(capsys.readouterr().out))
    assert "SecretReference" in text


def test_a_conf_file_may_hold_a_reference(scratch):
    (scratch / "conf" / "hardware").mkdir(parents=True)
    mine = {"defaults": ["full-gpu@_here_", "_self_"], "env": {"HF_TOKEN": {"secret": "hf", "key": "token"}}}
    (scratch / "conf" / "hardware" / "mine.yaml").write_text(yaml.safe_dump(mine), encoding="utf-8")
    found = variables(pod(compiled("hardware=mine"))["containers"][0])
    assert found["HF_TOKEN"] == reference("HF_TOKEN", "hf", "token")


def test_a_reason_for_accepting_holds_no_secret(scratch):
    """The index of the tree holds reasons, also those that no manifest has."""
    token = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
    (scratch / "conf").mkdir()
    (scratch / "conf" / "team.yaml").write_text(f"defaults: [config, _self_]\nallow: {{FT469: {token}}}\n")
    assert cli.main(["-cn", "team", "-o", "out"]) == 1
    assert not (scratch / "out").exists()
    assert [(d.code, d.subject) for d in refused(f"allow.FT469={token}")] == [("FT441", "allow.FT469")]
    assert compiled("allow.FT469=it is our own server")
