"""Which parts of a text are secret, and which only look so."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen.diagnostics.credentials import (
    Kind,
    find_secrets,
    is_literal_secret,
    is_secret_name,
    redact,
    redact_sentence,
    redact_setting,
    redact_value,
    secret_values,
)

SECRET = "hunter2"


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "MYTOKEN",
        "hubToken",
        "trainer.args.hub_token",
        "PGPASSWORD",
        "DB_PASS",
        "MYSQL_PWD",
        "DBPASS",
        "AWS_SECRET_ACCESS_KEY",
        "OPENAI_APIKEY",
        "api-key",
        "AccountKey",
        "GITHUB_PAT",
        "REDISCLI_AUTH",
        "CLIENT_SECRET",
        "ACCESS_TOKENS",
        "SSH_PRIVATE_KEY",
        "SMTP_CREDENTIALS",
        "TOKEN_2",
        "OPENAI_KEY",
        "OBS_SK",
        "DB_PASSWORD_PROD",
        "API_KEY_PROD",
        "HF_TOKEN_RO",
        "HF_TOKEN_READ",
        "hf_token_2_prod",
        "SECRET_KEY_BASE",
        "TOKEN_GITLAB",
        "SSHPASS",
        "DD_APP_KEY",
        "FERNET_KEY",
        "SESSION_KEY",
        "USER_TOKEN",
        "BOT_TOKEN",
    ],
)
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer",
        "max_tokens",
        "max_token",
        "token_ids",
        "pad_token",
        "maxToken",
        "TOKENIZERS_PARALLELISM",
        "secretName",
        "spec.template.spec.imagePullSecrets",
        "secret_name",
        "tls_key",
        "public_key",
        "sort_key",
        "token_key",
        "PASSWORD_FILE",
        "passwordless",
        "password-stdin",
        "no-password",
        "use_auth_token",
        "forward_pass",
        "bypass",
        "path",
        "file_pat",
        "author",
        "monkey",
        "AWS_ACCESS_KEY_ID",
        "TOKEN_LIMIT",
        "SECRET_NAME",
        "KEY_COLUMN",
        "PASSWORD_MIN_LENGTH",
        "PASSWORD_FILE_PROD",
        "API_KEY_HEADER",
        "SECRET_KEY_FILE",
        "SORT_KEY_DEV",
        "MAX_TOKENS_TEST",
        "pad_token_new",
        "eot_token",
        "PASS_TEST",
        "read_write",
        "MLFLOW_TRACKING_AUTH",
        "TOKEN_READ",
        "",
        "_",
        "...",
    ],
)
def test_names_of_other_things(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "PGPASSWORD={} psql -h db",
        "export HF_TOKEN={}",
        "set -u; REDISCLI_AUTH={}",
        "env AWS_SECRET_ACCESS_KEY={} python train.py",
        "docker run -e DB_PASS={} image",
        "hub_token: {}",
        "- hub_token: '{}'  # mine",
        '"password": "{}",',
        '{{"user": "ada", "password": "{}"}}',
        r"{{\"password\":\"{}\"}}",
        "train --token {}",
        "train --token={} --x",
        'train --hf_token "{}"',
        '["train", "--api-key", "{}"]',
        "- --token\n- {}\n",
        "train --token \\\n  {}",
        "curl -u ada:{} https://x",
        "curl -s --user 'ada:{}' https://x",
        "curl -H 'Authorization: Bearer {}' https://x",
        'curl -H "PRIVATE-TOKEN: {}" https://x',
        "Bearer {}abc123",
        "https://x.example.com/y?access_token={}&b=1",
        "git clone https://ada:{}@git.example.com/x",
        "wandb login {}{}{}{}",
        "sshpass -p {} ssh x",
        "mysql -u root -p{}",
        "redis-cli -a {}",
        "docker login -u ada -p {} registry",
        "echo {} | docker login -u ada --password-stdin registry",
        "machine git.example.com login ada password {}",
        "docker pull ada:{}@registry.example.com/team/image:1",
        "HF_TOKEN: !!str {}",
        "HF_TOKEN: &a {}",
        "HF_TOKEN: ${{{}",
        ': "${{HF_TOKEN:={}}}"',
        "x=${{hf_token:-{}}}",
        "A: ${{oc.env:DB_PASS,{}}}",
        "aws configure set aws_secret_access_key {}",
        "hardware.env.HF_TOKEN={}",
        "+hardware.env={{HF_TOKEN:{},B:1}}",
        '["hardware.env.HF_TOKEN={}"]',
        "{{name: HF_TOKEN, value: {}}}",
        '{{"name": "HF_TOKEN", "value": "{}"}}',
        "- name: HF_TOKEN\n  value: {}\n",
        "- value: {}\n  name: DB_PASS\n",
        "- name: HF_TOKEN\n  value: |\n    {}\n",
        "- name: A\n  value: x\n- name: HF_TOKEN\n  value: {}\n",
        "password: >-\n  {}\nx: 1",
        "api_key:\n  {}\nx: 1",
        "-   - name: HF_TOKEN\n+     value: {}",
        "AccountName=a;AccountKey={};EndpointSuffix=b",
        'os.environ["HF_TOKEN"] = "{}"',
        'login(token="{}")',
        'CMD="HF_TOKEN={} run"',
        "hub_token = {}",
        "PASSWORD = {}",
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        "DB_PASSWORD=!{}",
        "DB_PASSWORD=%{}",
        "DB_PASSWORD='&{}'",
        "DB_PASSWORD='*{}'",
        "DB_PASSWORD='<{}'",
        "DB_PASSWORD='a{{x}}{}'",
        "DB_PASSWORD='{}(3x'",
        "DB_PASSWORD='{}xxxxxx'",
        "DB_PASSWORD='/{}+x='",
        "DB_PASSWORD='\\{}'",
        "machine git.example.com\n  login ada\n  password {}\n",
        "<password>{}</password>",
        "HF_TOKEN+={}",
        "os.environ.setdefault('DB_PASSWORD','{}')",
        'os.getenv("HF_TOKEN", "{}")',
        "swanlab login -k {0}{0}{0}",
        "swanlab login --relogin --api-key {0}{0}{0}",
        "python -c \"import wandb; wandb.login(key='{0}{0}{0}')\"",
        "mc alias set m http://minio:9000 ada {}",
        "docker login -u ada --password-stdin registry <<< {}",
        "HTTPS://ada:{}@git.example.com/x",
        "https://hooks.slack.com/services/T0123/B0123/{0}{0}",
        "https://discord.com/api/webhooks/123456789/{0}{0}",
        "https://open.feishu.cn/open-apis/bot/v2/hook/{0}-{0}-{0}",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={0}-{0}-{0}",
        "https://api.telegram.org/bot123456789:AA{0}{0}/sendMessage",
        "client-key-data: {0}{0}",
        "export DB_PASSWORD_PROD='{}'",
        "HF_TOKEN_READ: {}",
        "https://$(GIT_USER):{}@git.example.com/x.git",
        "git clone https://${{GIT_USER}}:{}@git.example.com/x.git",
        "curl -u $GIT_USER:{} https://x",
        "obsutil config -i=AK123 -k={} -e=x",
        "ossutil64 config -e x -i ak -k {}",
        "az login --service-principal -u x -p {}",
        "sudo -S ls <<< {}",
        "unzip -P {} x.zip",
        "set -gx HF_TOKEN {}",
        "set --export HF_TOKEN '{}'; run",
        'parser.add_argument("--hf-token", type=str, default="{}")',
        "[--token, {}]",
        "login(password='{}', token=token)",
        "--response-token {}",
        "session_key={}",
    ],
)
def test_secrets_are_found_and_covered_where_they_stand(text):
    text = text.format(*[SECRET] * max(text.count("{}"), 1))
    assert find_secrets(text)
    covered = redact(text)
    assert SECRET not in covered
    assert [len(line) for line in covered.split("\n")] == [len(line) for line in text.split("\n")]


HEX = "0a1b2c3d4e5f6789"
WORD = "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3x"


@pytest.mark.parametrize(
    "text",
    [
        f"ya29.{WORD}",
        f"GOCSPX-{WORD[:28]}",
        f"x {WORD[:3]}8Q~{WORD}",
        f"dapi{HEX}{HEX}",
        f"SG.{WORD[:22]}.{WORD}",
        f"shpat_{HEX}{HEX}",
        f"dop_v1_{HEX * 4}",
        f"lsv2_pt_{HEX}{HEX}_{HEX[:10]}",
        f"wandb_v1_{WORD}{WORD}",
        f"sk-{HEX}{HEX}",
        f"sk-{'abcdefghijkl' * 4}",
        f"sk-proj-{WORD}_{WORD}-{WORD}",
        f"LTAI5t{WORD[:18]}",
        "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlF",
        "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUU=",
        "Authorization: Basic YWRhOmh1bnRlcjI",
        "AWS_SECRET_ACCESS_KEY=/Jalr3XUtnF5MI/K7MD3NG/bPxRf9CYEX4MPL3KEY",
        "X=https://x.example.com/c?sv=2022&sig=aB3dE5fG7hI9jK1lM3nO%3D",
    ],
)
def test_forms_of_services_are_found(text):
    assert find_secrets(text)


@pytest.mark.parametrize("text", ["password: 'correct horse battery'", "PASSWORD=123456", "Basic YWRhOmh1bnRlcjI="])
def test_phrases_numbers_and_pairs_are_found(text):
    assert find_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "train --tokenizer X --max-tokens 5 --use-auth-token data.json --no-password prod",
        "max_new_tokens: 512",
        "secretName: git\nsecretKeyRef: {name: git, key: token}",
        "cluster.git.secret=git2",
        "pullSecret: regcred",
        "secret: aml-image-builder-secret",
        "hardware.env.HF_TOKEN={secret: hf2, key: token}",
        "hardware.env.HF_TOKEN={key: token, secret: hf-hub}",
        "- name: HF_TOKEN\n  valueFrom:\n    secretKeyRef: {name: hf2, key: token}",
        "- name: A\n  value: hunter2\n- name: HF_TOKEN\n  valueFrom: {}",
        "- --token\n- --other\n",
        "HF_TOKEN:\n  secret: hf-hub\n  key: token\n",
        "tokens:\n- a1\npassword:\nnext: x1",
        "  password:\n  - a1\n",
        'HF_TOKEN="$TOKEN" PASSWORD=${PASSWORD:-} KEY=$(cat x)',
        ': "${HF_TOKEN:?must be set}"',
        'train --token "$HF_TOKEN" --token ${HF_TOKEN} --token $(cat x)',
        'curl -u "$GIT_USER:$GIT_TOKEN" -H "Authorization: Bearer $TOKEN" https://x',
        "tracking.run_name=${oc.env:HF_TOKEN}",
        "use Basic authentication, Bearer tokens or Bearer authentication",
        "The token: keep it safe. A password-less login.",
        r"printf 'username=%s\npassword=%s\n' \"$GIT_USER\" \"$GIT_TOKEN\"",
        'token = os.environ["HF_TOKEN"]',
        "login(token=token)",
        "    token=token,",
        '{"token": token, "Authorization": f"Bearer {token}"}',
        "def f(token: str = None, password: Optional[str] = None):",
        "password = getpass.getpass()",
        'if token == "abc": pass',
        "eos_token: </s>",
        'pad_token: "[PAD]"',
        "auth: basic",
        "id-token: write",
        "HF_TOKEN=your-token PASSWORD=<password> TOKEN=xxxx KEY=hf_...",
        "--password-file /run/secrets/p",
        "password=/run/secrets/p",
        "password: vault:secret/data/db#password",
        "password: {{ .Values.password }}",
        "ssh -p 2222 host && docker run -p 8080:80 image && mkdir -p /a/b",
        "image: registry.example.com/a@sha256:" + "0a" * 32,
        "a" * 40,
        "123e4567-e89b-12d3-a456-426614174000",
        "IoK8sApimachineryPkgApisMetaV1ObjectMeta",
        "DeepSeek-R1-Distill-Qwen-32B-Instruct-GPTQ-Int4",
        "sft-qwen3-0-6b-lr-0-0001-seed-3-1a2b3c4d",
        "https://git.example.com/team/model.git git@git.example.com:team/model.git",
        "${oc.env:HF_TOKEN,null} ${GIT_TOKEN:-} ${HF_TOKEN:-$OTHER} ${TOKEN:+set} ${oc.env:GIT_TOKEN,''}",
        "registry.example.com/team/image:1@sha256:0a ssh ada@host:22/x npm:react@18.2/x LANG_SK=x risk: 1",
        "echo done | tee log; docker login --password-stdin <token",
        "OPENAI_API_KEY=EMPTY api_key=dummy --api-key not-needed OPENAI_API_KEY=sk-no-key-required",
        "sk-learn-tests-run-all-of-the-things-forever sk-proj-name-of-a-long-kubernetes-object-here-1",
        "signature=forward_function_name_x mysql --host db -protocol tcp; mysql -port3306; helm template -p x",
        "LTAIModelAblationStudy1",
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUQ=",
        "token: !vault |\npassword: {password}\ntoken: *anchor\nPASSWORD=%s TOKEN=%HF_TOKEN% TOKEN='{{ .token }}'",
        "token = get_token(a,\nself.total_token+=k\nTOKEN=hf_xxxxxxxxxx KEY='<your key>'",
        "SECRET_KEY=/var/run/secrets/key PRIVATE_KEY=/data/x=1/key.pem",
        "the Basic authentication of Basic Dataset1 <token>$TOKEN</token>",
        "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
        "https://hooks.slack.com/services/$HOOK os.environ.get('HF_TOKEN', '')",
        'parser.add_argument("--hf-token", type=str, default=None, help="token of the hub")',
        'parser.add_argument("--password", required=True); parser.add_argument("--token", "-t", default="")',
        "# usage: run.sh --token TOKEN [--api-key KEY]",
        "# Give --token to log in, or --password on the command line; --hf-token must be set.",
        "train --response-token Assistant --system-token SYS",
        'tokenizer.eot_token = "eot"; tokenizer.pad_token="<pad>"',
        "MLFLOW_TRACKING_AUTH=kubernetes-namespaced MLFLOW_TRACKING_AUTH=aws-sigv4",
        "session_key=user_id secret_prod: my-secret SECRET_GITLAB=gitlab-login TOKEN_DEV=/dev/null",
        "unzip x.zip -d out; obsutil cp x -k y; mkdir -p x; az acr list; sudo -S ls <<< $PW; sudo -S true",
        "set -eux; set -o pipefail; set -q HF_TOKEN; or exit",
        "https://$(TOKEN):x-oauth-basic@github.com/x https://$U:$T@h curl -u $U:$T x",
    ],
)
def test_ordinary_texts_are_left_alone(text):
    assert find_secrets(text) == ()
    assert redact(text) == text


WORD_OF_PASSWORD = "Xk29fQpl88zz"


@pytest.mark.parametrize("form", ["${}", "ab({})", "/{}", "change-{}", "{}...", "<{}>"])
def test_a_password_that_looks_like_code_or_a_placeholder_is_found(form):
    assert is_literal_secret("DB_PASSWORD", form.format(WORD_OF_PASSWORD))


@pytest.mark.parametrize(
    "value",
    [
        "$DB_PASS",
        "$dbPass1",
        "/run/secrets/Ab12Cd34Ef/pw",
        "change-me",
        "<password>",
        "get_password(user)",
        "hf_...",
        "$(X)",
        "${X}",
        "vault:secret/data/Ab12Cd34Ef#x",
        "ENC[AES256_GCM,data:Xk29fQpl88zz]",
        "{{ .Values.db }}",
    ],
)
def test_what_fills_in_a_password_is_none(value):
    assert not is_literal_secret("DB_PASSWORD", value)


def test_the_words_of_a_rule_are_no_command():
    assert redact_sentence("--hf-token has a literal value") == "--hf-token has a literal value"
    assert redact_sentence("--hf-token hunter2") == "--hf-token *******"
    assert redact_sentence("--hf-token hunter", ["hunter"]) == "--hf-token ******"


@pytest.mark.parametrize("name", ["key", "private_token", "auth", "sig", "x-api-key"])
def test_a_secret_in_the_query_of_a_url_is_covered(name):
    assert SECRET not in redact(f"unable to access 'https://x.example.com/y.git?a=b&{name}={SECRET}/'")


def test_the_query_of_a_url_stays_where_it_is_no_secret():
    text = "https://x.example.com/y?revision=main&keyword=training#key=part"
    assert redact(text) == text


def test_what_is_found_says_why():
    (found,) = find_secrets("a --token hunter2")
    assert (found.kind, found.what) == (Kind.NAME, "--token")
    (found,) = find_secrets("hf_" + "a1B2" * 9)
    assert (found.kind, found.what) == (Kind.FORM, "a Hugging Face token")


def test_the_parts_of_a_value_that_are_recognised_elsewhere():
    assert secret_values("x.DB_PASS", "['hunter2', b]") == {"hunter2"}
    assert secret_values("hardware.env.HF_TOKEN", "{secret: hf-hub, key: token}") == set()
    assert secret_values("x", "a --token hunter2") == {"hunter2"}


@given(st.text(), st.sets(st.text(min_size=4), max_size=3))
def test_covering_any_text_moves_nothing(text, known):
    covered = redact(text, known)
    assert len(covered) == len(text)
    assert covered.count("\n") >= text.count("\n") - sum(part.count("\n") for part in known) * len(text)
    assert all(new in (old, "*") for old, new in zip(text, covered, strict=True))


_PIECES = [
    "token",
    "HF_TOKEN",
    "=",
    ":",
    " ",
    '"',
    "'",
    "\n",
    "{",
    "}",
    "[",
    ",",
    "--",
    "value",
    "name",
    "curl -u",
    "$",
]


@given(st.lists(st.sampled_from(_PIECES) | st.just(SECRET), max_size=30).map("".join))
def test_covering_is_total_on_texts_like_settings(text):
    once = redact(text)
    assert len(once) == len(text)
    assert redact(once) == once or "*" in once


@pytest.mark.parametrize(
    "piece",
    [
        "a=",
        "token=",
        "--token ",
        "name: x value: ",
        "curl -u ",
        "mysql ",
        "docker -p",
        "token: {",
        "/../",
        "a" * 33 + " ",
        "'token",
        "wandb ",
        "$(",
        "token:",
        "authorization:",
        "value:token",
        "password: Zx9kQ2mP4vB7 ",
        "set -gx ",
        "add_argument('--token'",
        "?key=",
        "az login ",
        "ossutil config ",
        "://$U:",
        "token=hunter2hunter2x ",
    ],
)
def test_long_lines_take_no_time(piece):
    text = piece * (120_000 // len(piece))
    start = time.process_time()
    find_secrets(text)
    redact(text)
    assert time.process_time() - start < 5


HARD = [
    "Tr0ub 4dor&3",
    'Tr0ub"4dor&3',
    "Tr0ub'4dor&3",
    "Tr0ub\\4dor",
    "Tr0ub{4dor}3",
    "Tr0ub,4dor",
    "Tr0ub\n4dor",
    "x1",
]


@pytest.mark.parametrize("secret", HARD)
@pytest.mark.parametrize(
    "held",
    [
        lambda secret: {"DB_PASSWORD": secret},
        lambda secret: {"DB_PASSWORD": [secret]},
        lambda secret: {"env": [{"name": "DB_PASSWORD", "value": secret}]},
        lambda secret: ["train", "--password", secret],
    ],
    ids=["key", "list", "variable", "option"],
)
def test_a_value_under_a_secret_s_name_is_hidden_whole(held, secret):
    hidden = "".join("\n" if character == "\n" else "*" for character in secret)
    assert redact_value(held(secret)) == held(hidden)


@pytest.mark.parametrize("secret", HARD)
def test_the_value_of_an_override_is_hidden_whole(secret):
    assert set(redact_setting(f"+hardware.env.DB_PASSWORD='{secret}'").partition("=")[2]) <= {"*", "\n"}


@pytest.mark.parametrize("password", ['pa"ss', "pa'ss", "pa(ss"])
def test_the_password_of_a_url_that_is_a_value_is_hidden(password):
    assert redact_value(f"https://u:{password}@host/x") == f"https://{'*' * (len(password) + 2)}@host/x"


def test_references_and_what_is_filled_in_stay():
    shown = {
        "HF_TOKEN": {"secret": "hub-1", "key": "token_1"},
        "A_TOKEN": "$(OTHER)",
        "URL": "https://$(USER):$(PASSWORD)@host",
        "B_TOKEN": "<secret Hub_1/token>",
    }
    assert redact_value(shown) == shown


@pytest.mark.parametrize("text", ["value: 'Tr0ub''4dor&3'", '"value": "Tr0ub\\"4dor\\\\&3"'])
def test_escaped_quotes_do_not_end_a_secret(text):
    said = redact("- name: DB_PASSWORD\n  " + text)
    assert "Tr0" not in said
    assert "4dor" not in said
