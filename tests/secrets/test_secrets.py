"""No secret is written into a manifest, and nothing harmless is taken for one."""

from __future__ import annotations

import copy
import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen.diagnostics import Severity
from ftgen.validation.rules.secrets import scan


def job(**env):
    """A job with environment variables."""
    container = {
        "name": "train",
        "image": "registry.example.com/train@sha256:" + "ab12" * 16,
        "args": ['set -eu\nprintf \'username=%s\\npassword=%s\\n\' "$GIT_USER" "$GIT_TOKEN"\n'],
        "env": [
            *({"name": name, "value": value} for name, value in env.items()),
            {"name": "GIT_TOKEN", "valueFrom": {"secretKeyRef": {"name": "git", "key": "token"}}},
        ],
    }
    return {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "metadata": {"name": "a", "annotations": {"ftgen.dev/config-digest": "sha256:" + "0a" * 32}},
        "spec": {"tasks": [{"name": "train", "template": {"spec": {"containers": [container]}}}]},
    }


def codes(manifest):
    return [diagnostic.code for diagnostic in scan(manifest)]


def randomly(length, seed=1):
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=length))


@pytest.mark.parametrize(
    "text",
    [
        "hf_" + randomly(34),
        "ghp_" + randomly(36),
        "github_pat_" + randomly(60),
        "glpat-" + randomly(20),
        "sk-" + randomly(48),
        "sk-proj-" + randomly(48),
        "AKIA" + "ABCD2345EFGH6789",
        "AIza" + randomly(35),
        "-----BEGIN RSA PRIVATE KEY-----\nMII\n",
        "-----BEGIN PRIVATE KEY-----",
        f"eyJ{randomly(20)}.eyJ{randomly(40)}.{randomly(30)}",
        "https://ada:s3cret@git.example.com/model.git",
        "https://oauth2@git.example.com/model.git",
        "ssh://ada:s3cret@git.example.com/model.git",
        "postgres://ada:s3cret@db/x",
    ],
)
@pytest.mark.parametrize("place", ["env", "annotation", "argument", "embedded"])
def test_well_known_secrets_are_found_wherever_they_are(text, place):
    manifest = job(PLAIN=text if place == "env" else f"a: 1\nb: {text}\n" if place == "embedded" else "x")
    if place == "annotation":
        manifest["metadata"]["annotations"]["note"] = f"see {text}"
    if place == "argument":
        manifest["spec"]["tasks"][0]["template"]["spec"]["containers"][0]["args"].append(f"--x={text}")
    assert "FT441" in codes(manifest)


def test_a_finding_does_not_repeat_the_secret():
    secret = "hf_" + randomly(34)
    (found,) = [diagnostic for diagnostic in scan(job(HF_TOKEN=secret)) if diagnostic.code == "FT441"]
    assert secret not in repr(found)
    assert found.subject == "spec.tasks[0].template.spec.containers[0].env[0].value"


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "PASSWORD", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "DB_PASSWD", "my-secret"]
)
def test_a_literal_value_of_a_variable_named_like_a_secret_is_found(name):
    assert codes(job(**{name: "hunter2"})) == ["FT442"]


@pytest.mark.parametrize("name", ["PGPASSWORD", "DB_PASS", "MYTOKEN", "GITHUB_PAT", "REDISCLI_AUTH", "OPENAI_APIKEY"])
def test_more_names_of_secrets(name):
    assert codes(job(**{name: "hunter2hunter2"})) == ["FT442"]


@pytest.mark.parametrize("value", ["Basic YWRhOmh1bnRlcjI=", "Bearer abcdef123456"])
def test_a_header_s_value_is_found_under_any_name(value):
    assert codes(job(EXTRA=value)) == ["FT441"]


def commanded(*words):
    manifest = job()
    manifest["spec"]["tasks"][0]["template"]["spec"]["containers"][0]["args"] = list(words)
    return scan(manifest)


@pytest.mark.parametrize(
    ("words", "code", "at"),
    [
        (("train", "--token", "hunter2"), "FT442", 2),
        (("train", "--x", "--hf-token=hunter2"), "FT442", 2),
        (("train", "--password", "correct horse", "a\nb"), "FT442", 2),
        (("curl", "-u", "ada:hunter2", "https://x"), "FT441", 2),
        (("mc", "alias", "set", "m", "http://m:9000", "ada", "hunter2"), "FT441", 6),
        (("wandb", "login", "hunter2" * 3), "FT441", 2),
        (("swanlab", "login", "-k", "hunter2" * 3), "FT441", 3),
        (("curl", "-H", "Authorization: Bearer hunter2x"), "FT442", 2),
        (("bash", "-c", "set -u\nexport HF_TOKEN=hunter2\n"), "FT442", 2),
        (("bash", "-c", "PGPASSWORD=hunter2 psql"), "FT442", 2),
        (("bash", "-c", "curl -u ada:hunter2 x"), "FT441", 2),
    ],
)
def test_secrets_in_commands_are_found_where_they_stand(words, code, at):
    found = {(d.code, d.subject) for d in commanded(*words)}
    assert (code, f"spec.tasks[0].template.spec.containers[0].args[{at}]") in found
    assert "hunter2" not in repr(commanded(*words))


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--tokenizer", "x", "--max-tokens", "5"),
        ("train", "--token", "$(HF_TOKEN)"),
        ("train", "--token", "--verbose"),
        ("train", "--use-auth-token", "data.json"),
        ("curl", "-u", "$(USER):$(TOKEN)"),
    ],
)
def test_commands_without_a_secret_are_left_alone(words):
    assert commanded(*words) == []


def test_an_annotation_that_names_a_secret_is_left_alone():
    manifest = job()
    manifest["metadata"]["annotations"] |= {
        "nginx.ingress.kubernetes.io/auth-secret": "basic-auth",
        "x/auth-type": "basic",
    }
    assert codes(manifest) == []
    manifest["spec"]["tasks"][0]["template"]["metadata"] = {"annotations": {"x/token": "hunter2"}}
    assert codes(manifest) == ["FT442"]


@pytest.mark.parametrize(
    "text", ["hub_token: hunter2\nlr: 1\n", "a: 1\nhub_token: 'hunter2'\n", "x: {}\napi_key: hunter2\n"]
)
def test_a_literal_secret_in_the_trainers_yaml_is_found(text):
    assert codes(job(TRAIN_CONFIG=text)) == ["FT442"]


def test_a_secret_in_a_config_map_is_found():
    assert codes({"apiVersion": "v1", "kind": "ConfigMap", "data": {"password": "hunter2"}}) == ["FT442"]


def test_a_secret_among_the_attributes_of_a_driver_is_found():
    volumes = [{"name": "a", "csi": {"driver": "d", "volumeAttributes": {"secretKey": "hunter2"}}}]
    assert codes({"apiVersion": "v1", "kind": "Pod", "spec": {"volumes": volumes}}) == ["FT442"]
    named = {"csi.storage.k8s.io/node-publish-secret-name": "mine", "adminSecretName": "mine"}
    assert codes({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "parameters": named}) == []
    assert codes({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "parameters": {"password": "x1"}})


def test_the_place_of_a_key_with_dots_can_be_found():
    annotated = {"metadata": {"annotations": {"team.io/api-token": "hunter2"}}}
    assert [d.subject for d in scan(annotated)] == ['metadata.annotations["team.io/api-token"]']


def test_a_secret_object_with_data_is_found():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    assert codes(secret) == []
    assert codes({**secret, "data": {"a": "eA=="}}) == ["FT440"]
    assert codes({**secret, "stringData": {"a": "x"}}) == ["FT440"]


def test_a_random_word_is_a_warning():
    (found,) = scan(job(PLAIN=randomly(44)))
    assert (found.code, found.severity) == ("FT443", Severity.WARNING)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HF_TOKEN", ""),
        ("HF_TOKEN", "$(OTHER)"),
        ("GIT_TOKEN", "${GIT_TOKEN}"),
        ("TOKEN_COUNT", "4096"),
        ("MAX_TOKEN", "4096"),
        ("TLS_KEY_FILE", "/etc/tls/key.pem"),
        ("PRIVATE_KEY", "/etc/tls/key.pem"),
        ("KEY", "plain"),
        ("MODEL_URL", "https://git.example.com/team/model.git"),
        ("MODEL_URL", "git@git.example.com:team/model.git"),
        ("MODEL_URL", "ssh://git@git.example.com/team/model.git"),
        ("DIGEST", "sha256:" + "ab12" * 16),
        ("COMMIT", "a" * 40),
        ("ID", "123e4567-e89b-12d3-a456-426614174000"),
        ("PATHS", "/mnt/models/Qwen3-0.6B:/mnt/models/DeepSeek-R1-Distill-Qwen-1.5B-GGUF"),
        ("MODEL", "DeepSeek-R1-Distill-Qwen-32B-Instruct-GPTQ-Int4"),
        ("TRAIN_CONFIG", "max_new_tokens: 512\nhub_token: null\npush_to_hub: false\n"),
        ("SCRIPT", 'case $1 in *://*@*) exit ;; esac\nurl=https://$USER:$TOKEN@host/x\nTOKEN="$1"\n'),
    ],
)
def test_ordinary_values_are_left_alone(name, value):
    assert codes(job(**{name: value})) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    )
)
def test_any_value_can_be_looked_at(value):
    manifest = {"spec": value}
    before = copy.deepcopy(manifest)
    scan(manifest)
    assert repr(manifest) == repr(before)
