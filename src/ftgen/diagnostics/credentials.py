"""Detection of secrets in texts: tokens by their form, values by the name before them, words by their randomness.

The rules refuse a manifest with a secret, and the report redacts secrets in diagnostics; both use this module.  The
forms are those that the services document and that the detectors gitleaks and detect-secrets look for.  Like those,
most patterns are tried only on lines with a keyword that every match contains.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from functools import lru_cache
from itertools import accumulate
from typing import Any

from msgspec import Struct


class Kind(Enum):
    """Reason to take a part of a text for a secret."""

    FORM = auto()
    NAME = auto()
    RANDOM = auto()


class Secret(Struct, frozen=True):
    """Secret part of a text.

    Attributes:
        start: index of its first character.
        end: index after its last character.
        kind: reason to take it for a secret.
        what: its form ("a GitHub token"), or the name of the value ("HF_TOKEN").
    """

    start: int
    end: int
    kind: Kind
    what: str = ""

    def moved(self, by: int) -> Secret:
        """Return the same part with its indices shifted, for a text that contains this one's."""
        return Secret(self.start + by, self.end + by, self.kind, self.what)


class _Lazy:
    """Pattern that is compiled at its first use: to compile all of them would take a tenth of the start-up time."""

    def __init__(self, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> None:
        self._source = pattern, flags

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(*self._source)
        self.__dict__ |= {method: getattr(compiled, method) for method in ("match", "fullmatch", "search", "finditer")}
        return getattr(compiled, name)


# ---- forms ------------------------------------------------------------------------------------------------

_PRIVATE_KEY = "a private key"
_TOKENS = {
    "a Hugging Face token": (("hf_", "api_org_"), r"(?:hf|api_org)_[A-Za-z0-9]{30,}"),
    "a GitHub token": (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}",
    ),
    "a GitLab token": (
        ("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glft-", "glimt-", "glagent-", "gloas-", "glsoat-", "glffct-"),
        r"gl(?:pat|dt|rt|ptt|cbt|ft|imt|agent|oas|soat|ffct)-[A-Za-z0-9_.-]{20,}",
    ),
    # Words with dashes between them are the name of an object.
    "an OpenAI-style key": (("sk-",), r"sk-(?=[\w-]*[A-Za-z0-9]{20})(?:[a-z]+-)?[A-Za-z0-9_-]{32,}"),
    "a Stripe key": (("k_live_", "k_test_"), r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    "an NVIDIA NGC key": (("nvapi-",), r"nvapi-[A-Za-z0-9_-]{40,}"),
    "an AWS access key": (("AKIA", "ASIA", "ABIA", "ACCA"), r"A(?:KI|SI|BI|CC)A[A-Z0-9]{16}"),
    "an Alibaba Cloud access key": (
        ("LTAI",),
        r"LTAI(?!(?:[A-Z][a-z]{2,})+\d{0,3}(?![A-Za-z0-9]))[A-Za-z0-9]{12,26}",
    ),
    "a Google key": (("AIza",), r"AIza[A-Za-z0-9_-]{35}"),
    "a Google token": (("ya29.", "GOCSPX-"), r"ya29\.[A-Za-z0-9_-]{30,}|GOCSPX-[A-Za-z0-9_-]{28}"),
    "an Azure secret": (("Q~",), r"[A-Za-z0-9_.-]{3}\dQ~[A-Za-z0-9_.~-]{31,34}"),
    "a Databricks token": (("dapi",), r"dapi[a-f0-9]{32}(?:-\d)?"),
    "a SendGrid key": (("SG.",), r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{32,}"),
    "a Shopify token": (("shpat_", "shpca_", "shppa_", "shpss_"), r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}"),
    "a DigitalOcean token": (("_v1_",), r"do[opr]_v1_[a-f0-9]{64}"),
    "a LangSmith key": (("lsv2_",), r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    "a Weights & Biases key": (("wandb_v1_",), r"wandb_v1_[A-Za-z0-9_]{40,}"),
    "a Slack token": (("xox", "xapp-"), r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}"),
    "a Docker Hub token": (("dckr_",), r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    "an npm token": (("npm_",), r"npm_[A-Za-z0-9]{36}"),
    "a PyPI token": (("pypi-",), r"pypi-[A-Za-z0-9_-]{50,}"),
    "a Grafana token": (("glsa_", "glc_"), r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/]{32,}={0,3}"),
    "a Vault token": (("hvs.", "hvb."), r"hv[sb]\.[A-Za-z0-9_-]{24,}"),
    "an OpenShift token": (("sha256~",), r"sha256~[A-Za-z0-9_-]{43}"),
    _PRIVATE_KEY: (("PRIVATE KEY",), r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    "a private key in base64": (
        ("LS0tLS1CRUdJTiB",),
        # PRIVATE, RSA PRI, EC PRIV, ENCRYPTED, OPENSSH, DSA PRI and PGP PRI, but no CERTIFICATE and no PUBLIC.
        r"LS0tLS1CRUdJTiB(?:QUklW|SU0EgUFJJ|FQyBQUklW|FTkNSWVBURUQg|PUEVOU1NI|EU0EgUFJJ|QR1AgUFJJ)[A-Za-z0-9+/]*={0,2}",
    ),
    "an age key": (("AGE-SECRET-KEY-",), r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    "a JSON web token": (("eyJ",), r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
}
_URL = (
    r"(?i:https?|git)://(?P<s>[^\s/@'\"$*(){}<>|]+)@[A-Za-z0-9\[]"
    r"|[A-Za-z][A-Za-z0-9+]*://(?P<t>[^\s/@:'\"$*(){}<>|]*:[^\s/@'\"$*(){}<>|]+)@[A-Za-z0-9\[]"
    # The user may be filled in, and is the token before GitHub's constant password.
    r"|[A-Za-z][A-Za-z0-9+]*://\$(?:\w+|\(\w+\)|\{\w+\}):(?!x-oauth-basic@)(?P<u>[^\s/@'\"$*(){}<>|]+)@[A-Za-z0-9\[]"
)
# The credentials after a scheme of HTTP's Authorization header; `_is_of_scheme` excludes prose with these words.
_SCHEME = r"(?i:(?P<scheme>basic|bearer)[ \t]+(?P<s>[A-Za-z0-9+/._~=-]{6,}))"
_CURL = (
    r"""curl\b[^\n|;]{0,500}?[ \t](?:-u|--user|-U|--proxy-user)(?:[ \t=]*|["'], ?)["']?"""
    r"""(?:\$\{?\w+\}?:(?P<t>[^\s'"$]+)|(?P<s>[^\s:'"$]+:[^\s'"$]+))"""
)
_LOGIN_KEYS = (
    r"""wandb["']?,?[ \t]+["']?login[ \t"',]+(?:--relogin[ \t"',]+)?(?P<s>[A-Za-z0-9_-]{20,})"""
    r"""|wandb\.login\([^)\n]{0,200}?\bkey[ \t]*=[ \t]*\\?["'](?P<t>[A-Za-z0-9_-]{20,})"""
    r"""|swanlab["']?,?[ \t]+["']?login\b[^\n|;]{0,200}?[ \t"'](?:-k|--api-key)[ \t"',=]+(?P<u>[A-Za-z0-9_-]{16,})"""
)
_WEBHOOK = (
    r"(?:hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/"
    r"|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook/|qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key="
    r"|api\.telegram\.org/bot|webhook\.office\.com/webhookb2/)(?P<s>[A-Za-z0-9/_:@-]{20,})"
)
_PROGRAMS = (
    "mysql",
    "mariadb",
    "redis-cli",
    "sshpass",
    "docker",
    "podman",
    "nerdctl",
    "helm",
    "oras",
    "crane",
    "skopeo",
    "az ",
    "obsutil",
    "ossutil",
    "unzip",
    "sudo -S",
)
_LOGINS = (
    r"""(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{0,500}?[ \t]-p"""
    r"""(?!(?:ort\d*|rotocol|rompt|ager)(?![\w-]))["']?(?P<s>[^\s'"$]+)"""
    r"""|redis-cli\b[^\n|;]{0,500}?[ \t]-a[ \t]+["']?(?P<t>[^\s'"$]+)"""
    r"""|(?:sshpass\b|(?:docker|podman|nerdctl|helm|oras|crane|skopeo|az)\b[^\n|;]{0,60}?\blogin\b)[^\n|;]{0,500}?"""
    r"""[ \t]-p[ \t]*["']?(?P<u>[^\s'"$:-][^\s'"$:]*)(?=["'\s]|$)"""
    r"""|(?:obsutil|ossutil(?:64)?)[ \t]+config\b[^\n|;]{0,500}?[ \t]-k[ \t=]*["']?(?P<v>[^\s'"$=-][^\s'"$]*)"""
    r"""|unzip\b[^\n|;]{0,500}?[ \t]-P[ \t]*["']?(?P<w>[^\s'"$]+)"""
    r"""|sudo[ \t]+-S\b[^\n|;]{0,500}?<<<[ \t]*["']?(?P<x>[^\s'"$]+)"""
)
_ALIAS = (
    r"""mc[ \t]+(?:alias[ \t]+set|config[ \t]+host[ \t]+add)[ \t]+\S+[ \t]+\S*://\S+[ \t]+\S+[ \t]+"""
    r"""["']?(?P<s>[^\s'"$-][^\s'"$]{3,})"""
)
_PIPED = (
    r"""(?:echo|printf)\b[^\n|;]{0,500}?[ \t]["']?(?P<s>[^\s'"$%|;]{4,})["']?[ \t]*"""
    r"""\|[^\n|;]{0,500}?--(?:password-stdin|with-token)\b"""
    r"""|--(?:password-stdin|with-token)\b[^\n|;]{0,500}?<<<[ \t]*["']?(?P<t>[^\s'"$]{4,})"""
)
_NETRC = r"""login[ \t]+\S+[ \t]+password[ \t]+["']?(?P<s>[^\s'"$]+)"""
_REGISTRY = (
    r"(?<![/:@.])[\w.+-]+:(?P<s>[^\s/@:,'\"$*(){}<>|\[\]]+)@(?:localhost|[A-Za-z][\w-]*(?:\.[\w-]+)+|[\w.-]+(?=:\d))"
    r"(?::\d+)?/"
)
_FORMS = {
    **_TOKENS,
    "credentials in a URL": (("://",), _URL),
    "credentials in an address": (("@",), _REGISTRY),
    "a password fed to a command": (("--password-stdin", "--with-token"), _PIPED),
    "a password of netrc": (("password ", "password\t"), _NETRC),
    "credentials of an HTTP header": (("asic", "ASIC", "earer", "EARER"), _SCHEME),
    "a user's password": (("curl",), _CURL),
    "a signed URL": (
        ("sig=", "ignature="),
        r"(?:sig|(?:X-(?:Amz|Goog)-)?[Ss]ignature)=(?=(?:[^\s&'\"#$\d%]*+[\d%]){2})(?P<s>[^\s&'\"#$]{16,})",
    ),
    "a webhook's address": (
        ("hooks.slack.com/", "/api/webhooks/", "/bot/v2/hook/", "/webhook/send?", "telegram.org/bot", "/webhookb2/"),
        _WEBHOOK,
    ),
    "a tracker's key": (("wandb", "swanlab"), _LOGIN_KEYS),
    "a password of an object store": (("mc alias", "mc config"), _ALIAS),
    "a password in a command": (_PROGRAMS, _LOGINS),
}
"""Description -> keywords, one of which is in every match, and pattern; a group in `_GROUPS` is its secret part.

No pattern matches across lines.
"""
_GROUPS = ("s", "t", "u", "v", "w", "x")
_PEM = r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]*-----|\Z)"
"""Private key with its lines."""


@lru_cache
def _compiled(form: str) -> re.Pattern[str]:
    """Compile a form at its first use; most forms never are, as most texts have no keyword."""
    return re.compile(rf"(?<![A-Za-z0-9_-])(?:{form})")


_KEYWORDS = tuple(keyword for keywords, _ in _FORMS.values() for keyword in keywords)


def _forms(text: str) -> Iterator[Secret]:
    present = frozenset([keyword for keyword in _KEYWORDS if keyword in text])
    if not present:
        return
    for what, (keywords, form) in _FORMS.items():
        if present.isdisjoint(keywords):
            continue
        for begin, line in _lines_with(keywords, text):
            for match in _compiled(form).finditer(line):
                start, end = next((match.span(g) for g in _GROUPS if match.groupdict().get(g)), match.span())
                if _is_of_scheme(match) and not _is_harmless(line[start:end]):
                    yield Secret(begin + start, begin + end, Kind.FORM, what)


def _lines_with(keywords: Sequence[str], text: str) -> list[tuple[int, str]]:
    """Return the lines with a keyword, each with its start index: few lines of a long script have one."""
    found: dict[int, str] = {}
    for keyword in keywords:
        index = text.find(keyword)
        while index >= 0:
            begin, end = text.rfind("\n", 0, index) + 1, text.find("\n", index)
            end = len(text) if end < 0 else end
            found[begin] = text[begin:end]
            index = text.find(keyword, end)
    return sorted(found.items())


def _is_of_scheme(match: re.Match[str]) -> bool:
    """Return whether the word after `Basic` (base64 of a pair) or `Bearer` is no prose; true for other forms."""
    scheme, value = match.groupdict().get("scheme"), match.groupdict().get("s") or ""
    if not scheme:
        return True
    if scheme.lower() == "bearer":
        return bool(re.search(r"\d", value)) or len(value) >= _LONG
    try:
        pair = base64.b64decode(value + "=" * (-len(value) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    return ":" in pair and pair.isprintable()


_LONG = 24
"""Length that no English word has."""


# ---- names ------------------------------------------------------------------------------------------------


def _words_of(sentence: str) -> frozenset[str]:
    return frozenset(sentence.split())


_PASSWORDS = _words_of("password passwd passphrase passcode pwd pw")
_ALWAYS = _PASSWORDS | _words_of("secret secrets credential credentials cred creds authorization bearer")
_BEFORE_KEY = _words_of(
    "api access private secret auth encryption signing account license licence ssh deploy master storage hmac shared "
    # Services with a single key, which is secret.
    "openai anthropic azure dashscope deepseek gemini groq mistral moonshot zhipu ngc nvidia comet neptune swanlab "
    "wandb tavily serpapi pinecone langsmith langfuse fernet session"
)
# Words before token, pass or pat in names of tokenizers, schedulers and counters.
_BEFORE_TOKEN = _words_of(
    "pad eos bos unk mask sep cls special image video audio vision speech stop start end begin im max min num n new "
    "per first last next prev prefix suffix middle fim think thought media mm patch placeholder chat text input output "
    "sub word add added extra decoder encoder additional skip eot sot eom bom img assistant instruction observation"
)
# Words before token in names of chat templates, whose values are words, and in names of secrets.
_OF_CHAT = _words_of("system response tool query role")
_BEFORE_PASS = _words_of("forward backward one two single multi first second last n num max by band low high all")
_BEFORE_PAT = _words_of("file path glob name regex match search include exclude ignore input output data train")
# Words before SK, which is the secret half of a key of Huawei, Alibaba and Volcengine (AK and SK).
_BEFORE_SK = _words_of("access cloud huaweicloud huawei hw volc volcengine obs oss tos bos cos s3 minio")
# Words after a secret's name that say where or for what it is used, or who gave it out: DB_PASSWORD_PROD, TOKEN_GITLAB.
_QUALIFIERS = _words_of(
    "prod production prd preprod staging stg dev development test qa uat live sandbox ci v old new ro rw read write "
    "readonly readwrite github gitlab gitea gitee bitbucket hf huggingface modelscope wandb swanlab mlflow docker "
    "dockerhub quay harbor npm pypi slack jenkins aws azure gcp"
)
_QUALIFIED = _PASSWORDS | _words_of("secret token key credential credentials")
_SWITCHES = _words_of("no not use with without has is require requires enable disable skip need needs ask allow")
_JOINED = _Lazy(
    r"(?P<before>.*?)(?:token|password|passwd|passphrase|secret|credentials?"
    r"|(?:api|access|private|secret|auth|account|signing|license)key"
    r"|(?<![a-z])(?:db|pg|my|ssh|sql|mysql|redis|smtp|ftp|ldap|root|admin)pass)"
)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@lru_cache(maxsize=8192)
def is_secret_name(name: str) -> bool:
    """Return whether a variable, key or option of this name is secret: PGPASSWORD, hub_token, --api-key, GITHUB_PAT."""
    words = _unqualified(_words(name))
    if not words or (len(words) > 1 and words[0] in _SWITCHES) or words[-2:] in _NAMING:
        return False
    before, last = ("", *words)[-2:]
    if last in _ALWAYS or last == "auth" or words[-3:] in _THREE_WORDS:
        return True
    if last in _ONLY_AFTER:
        return before in _ONLY_AFTER[last]
    if last in _COUNTED:
        return before not in _COUNTED[last]
    joined = _JOINED.fullmatch(last)
    return joined is not None and joined["before"] not in _BEFORE_TOKEN


@lru_cache(maxsize=8192)
def _words(name: str) -> tuple[str, ...]:
    """Split a name's last part into words: hub and token of `trainer.args.hub_token`, my and token of `myToken2`."""
    return tuple(word.lower() for word in _PART.findall(re.split(r"[./:@]", name.rstrip("./:@"))[-1]))


def _unqualified(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of a secret's name without those after it that qualify it; all words of any other name."""
    rest = words if words not in _ACCESS_MASKS else ()
    while rest and rest[-1] in _QUALIFIERS:
        rest = rest[:-1]
    return rest if rest and (rest[-1] in _QUALIFIED or _JOINED.fullmatch(rest[-1])) else words


_ACCESS_MASKS = {("token", "read"), ("token", "write")}
"""Constants of Windows, which say what a process may do with its own token."""
# imagePullSecrets lists names of Secrets, and MLFLOW_TRACKING_AUTH names a plug-in.
_NAMING = {("pull", "secrets"), ("tracking", "auth")}
_THREE_WORDS = {("client", "key", "data"), ("secret", "key", "base"), ("dd", "app", "key"), ("datadog", "app", "key")}
_ONLY_AFTER = {
    "key": _BEFORE_KEY,
    "keys": _BEFORE_KEY,
    "sk": _BEFORE_SK,
    "tokens": _words_of("api access auth bearer"),
}
_COUNTED = {"token": _BEFORE_TOKEN, "pass": _BEFORE_PASS, "pat": _BEFORE_PAT}


# ---- values -----------------------------------------------------------------------------------------------

_HARMLESS = _Lazy(
    r"""
      |true|false|null|~|none|nil|yes|no|on|off|auto|enabled?|disabled?|required?|optional|default|read|write|str|string
      |-?\d+(?:\.\d+)?
      |\.{0,2}/[\w.@:-]*|\.{0,2}/[\w.@+=:-]*/[\w./@+=:-]*|[a-z]:\\.*            # a path
      |\$\w+|\$[@*#?!$-]|.*\$\(.*|(?>.*?\$\{).*\}.*|`.*`         # filled in by the shell, Kubernetes or Hydra
      |%\w{0,2}|%\w+%|%%.*%%|%\{.*|.*%\(\w*\).*|\{\{.*|(?>.*?\{\{).*\}\}.*   # filled in by a format or a template
      |(?:[a-z_./:@\ -]*\{[\w.]*\})+[a-z_./:@\ -]*
      |[a-z_.]+\(.*|[\w.]+\(.*\)|\w*\[[^\]]*\]                   # code: a call, a type, an item
      |!{1,2}[a-z]*|&[a-z_-]*|\[?\*+[a-z_./-]*\]?            # a tag, an anchor, an alias, a pattern of names
      |<[^<>]*>|<<[-~]?\w*|.*\*{3,}|\|[-+\d]*|>[-+\d]*|\\.{0,4}|\\[wdsbn\\([].*
      |[{}\[\]()]+|x{3,}|.*\.{3,}|\.{2}|…|-+|_+|\?+
      |your?[-_ ].*|.*[-_ ]here|(?:replace|change|insert|fill|enter)[-_ ].*|replaceme|todo|tbd|redacted|placeholder
      |(?:vault|secret|secrets|op|sm|env|file|arn|awssm|gcpsm|ssm|berglas|ref\+\w+):.*
      |(?:self|args?|cfg|conf|config|os|opts?|options|settings|env|params|kwargs)\.[\w.]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
# What a client wants in place of a key where the server asks for none, as vLLM's documentation and others' have it.
_NO_KEY = _Lazy(
    r"(?:sk-)?(?:empty|dummy|fake|unused|ignored|anything|(?:no|not)[-_]?(?:key|api[-_]?key|needed|required|used|set)"
    r"(?:[-_](?:required|needed|used|set))?)|n/?a|ollama|lm-studio",
    re.IGNORECASE,
)
# Name of an object, unlike `hunter2`: letters alone, or words with dashes between them.
_WORDS_OF_OBJECT = _Lazy(r"[a-z]+|[a-z0-9][a-z0-9.]*-[a-z0-9.-]*[a-z0-9]")
# Methods of authentication: values of a setting called AUTH.
_METHODS = _words_of(
    "basic bearer digest ntlm kerberos negotiate oauth oauth2 oidc ldap token password trust peer md5 saml mtls tls "
    "ssl jwt anonymous simple sasl plain iam internal external static kubernetes serviceaccount basic-auth"
)
_OWN_SECRETS = _words_of("client app oauth jwt webhook session consumer cookie shared hmac api access")


# What a password may be beside code, a path or a placeholder; two digits tell apart the names that a shell fills in.
_DOUBTFUL = _Lazy(
    r"""\$\w+|[\w.]+\([^()]*\)?|/[\w.@:-]*|<[^<>]*>|(?:your?|replace|change|insert|fill|enter)[-_ ].*|.*\.{3,}""",
    re.IGNORECASE,
)


def _holds_password(value: str) -> bool:
    """Return whether a value that looks like code or a placeholder has a word in it that only a password has."""
    if _DOUBTFUL.fullmatch(value) is None:
        return False
    return any(_is_mixed(word) and len(re.findall(r"\d", word)) > 1 for word in re.findall(r"[A-Za-z0-9]{8,}", value))


def _is_harmless(value: str) -> bool:
    if _HARMLESS.fullmatch(value) is not None:
        return not (value.startswith("/") and _is_key(value))
    # hf_xxxxxxxx, of which half says nothing, unlike a password with some x in it
    return "xxxxxx" in value.lower() and 2 * value.lower().count("x") >= len(value)


def _is_key(path: str) -> bool:
    """Return whether what begins like a path is a random key in base64, as AWS has them."""
    return re.fullmatch(r"[A-Za-z0-9+/]{32,}={0,2}", path) is not None and _is_mixed(path)


@lru_cache(maxsize=8192)
def is_literal_secret(name: str, value: str) -> bool:
    """Return whether a value under this name is a literal secret, and no switch, number, path or placeholder."""
    return is_secret_name(name) and _is_literal(name, value.strip())


def _is_literal(name: str, value: str) -> bool:
    before, last = ("", *_unqualified(_words(name)))[-2:]
    is_password = last in _PASSWORDS or last.endswith(("password", "passwd"))
    if (digits := value.lstrip("-").replace(".", "", 1)).isdecimal():
        return is_password and len(digits) >= _PIN
    if _is_harmless(value):
        return is_password and _holds_password(value)
    if not is_password and (_is_a_word(before, last, value) or _NO_KEY.fullmatch(value)):
        return False
    if last in {"secret", "secrets"} and _names_secret(name, before, value):
        return False
    if last == "pat" and (len(value) < _PIN or not re.fullmatch(r"[\w.-]+", value)):
        return False
    # A value with spaces is a sentence, unless it is a passphrase.
    return is_password or " " not in value or value.lower().startswith(("basic ", "bearer ", "token "))


def _is_a_word(before: str, last: str, value: str) -> bool:
    """Return whether a value is a method to log in, a word of a chat template, or the name of a session's key."""
    if last == "auth":
        return value.lower() in _METHODS
    is_of_chat = last == "token" and before in _OF_CHAT
    return (is_of_chat or (last == "key" and before == "session")) and re.fullmatch("[A-Za-z_-]+", value) is not None


def _names_secret(name: str, before: str, value: str) -> bool:
    """Return whether the value is the name of a Secret, as of `cluster.git.secret`, `pullSecret` and `TLS_SECRET`."""
    if name.endswith(".secret"):
        return re.fullmatch(r"[\w.-]+", value) is not None and not _is_random(value)
    return before not in _OWN_SECRETS and _WORDS_OF_OBJECT.fullmatch(value) is not None


_PIN = 4
"""Length of the shortest number that is taken for a password, and not for a switch or a count."""

_NAMED = re.compile(
    r"(?:token|secret|passw(?:or)?d|passphrase|passcode|pass|pwd|pw|cred(?:ential)?|key|auth(?:orization)?|pat|bearer|sk)s?"
    r"[\d_]*(?![a-z\d])",
    re.IGNORECASE,
)
"""End of a secret's name; only lines with one are searched for values."""
_STEMS = ("token", "secret", "pass", "pwd", "pw", "cred", "key", "auth", "pat", "bearer", "sk")
"""Substrings in lower case, one of which is in every match of `_NAMED`."""

_KEY = r"[A-Za-z_][\w./-]*"
# A quote is escaped in a text of JSON or YAML by a backslash or by another quote; within such a text, all quotes are.
_QUOTED = (
    r"""[bfru]{{0,2}}(?:"(?P<{0}e>(?:[^"\\\n]|\\.)*+)"|\\?"(?P<{0}d>(?:[^"\\\n]|\\[^"])*)\\?"|"""
    r"""'(?P<{0}q>(?:[^'\n]|'')*+)')"""
)
_PLAIN = r"""(?P<{0}p>[^\s'"`,;&|<>(){{}}\[\]\\]{{1,1024}}+)(?![(\[{{])"""
_LINE = _Lazy(
    rf"""^[ \t+-]*(?:export[ \t]+)?(?P<quote>['"]?)(?P<name>{_KEY})(?P=quote)(?P<is>[ \t]*(?:\+?=|:)[ \t]*)"""
    rf"""(?:[!&][^\s'"]*[ \t]+){{0,2}}(?:{_QUOTED.format("v")}|(?P<vp>[^\s'"]+?))[ \t]*,?[ \t]*(?:\#.*)?\\?$""",
)
"""Line of YAML, of a settings file or of a shell that sets one variable."""
_INLINE = _Lazy(
    rf"""(?<![\w$./-])(?<!\$\{{)-{{0,2}}(?P<quote>\\?['"]?)(?P<name>{_KEY})(?P=quote)\]?"""
    rf"""(?P<is>[ \t]*(?:\+?=|:)(?!=)[ \t]*)(?:{_QUOTED.format("v")}|{_PLAIN.format("v")})"""
)
"""Setting within a line: in a command, a URL's query, a flow mapping, JSON, or an override."""
_OPTION = _Lazy(
    r"""(?<![\w-])(?P<name>--?[A-Za-z][\w-]*)"""
    r"""(?:["']?,[ \t]*(?![A-Za-z_]\w*=[^=])|["']?[ \t]*\n[ \t]*(?:-[ \t]+)?|[ \t]+\\\n[ \t]*|[ \t]+)"""
    rf"""(?:{_QUOTED.format("v")}|(?!-){_PLAIN.format("v")})"""
)
"""Option of a command and the next word, in a shell, in a list, or on the next line; no argument of a function."""
_ARGUMENT = _Lazy(
    rf"""add_argument\([ \t]*["'](?P<name>--?[A-Za-z][\w-]*)["']"""
    rf"""[^()\n]{{0,300}}?\bdefault[ \t]*=[ \t]*{_QUOTED.format("v")}"""
)
"""Default of an option in Python."""
_HEADER = _Lazy(
    r"""(?i)(?<![\w-])(?P<name>authorization|private-token|(?:x-)?(?:[a-z]+-)?(?:api-?key|auth-token|token))"""
    r"""["']?[ \t]*:[ \t]*(?:(?:basic|bearer|token|apikey)[ \t]+)?(?P<vp>[^\s'"$<{},]{6,4096}+)(?=["'])"""
)
"""Header in quotes, as an argument of curl."""
_PAIR = _Lazy(
    rf"""["']?name["']?:[ \t]*["']?(?P<name>{_KEY})["']?[ \t]*,?[ \t]*(?:\n[ \t+-]*)?["']?value["']?:[ \t]*"""
    rf"""(?:[|>][-+\d]*[ \t]*\n[ \t+-]*)?(?:{_QUOTED.format("v")}|(?P<vp>[^\s'"|>][^\n,}}]*))"""
    rf"""|["']?value["']?:[ \t]*(?:{_QUOTED.format("w")}|(?P<wp>[^\s'"|>,}}]{{1,4096}}+))"""
    r"""[ \t]*,?[ \t]*(?:\n(?:[-+][ \t]{2,}|[ \t]*))?"""
    rf"""["']?name["']?:[ \t]*["']?(?P<after>{_KEY})"""
)
"""Environment variable of Kubernetes: name and value on one line or two, in either order."""
_BLOCK = _Lazy(
    rf"""^[ \t+-]*["']?(?P<name>{_KEY})["']?:[ \t]*(?:[|>][-+\d]*[ \t]*\n|\n(?![^\n]*:(?:[ \t]|$)|[ \t]*-[ \t]))"""
    r"""[ \t]+(?P<vp>\S[^\n]*)""",
    re.MULTILINE,
)
"""Value on the lines below its key."""
_DEFAULT = _Lazy(
    rf"""\$\{{(?:oc\.env:)?[ \t]*(?P<name>{_KEY}?)[ \t]*(?::?[-=]|,)[ \t]*"""
    rf"""(?:{_QUOTED.format("v")}|(?P<vp>[^\s'"$`{{}}]+))"""
)
"""Default of an unset variable, in a shell or in a configuration."""
_FISH = _Lazy(rf"""(?<![\w-])set[ \t]+(?:--?[A-Za-z]+[ \t]+)+(?P<name>{_KEY})[ \t]+["']?(?P<vp>[^\s'"$;]+)""")
"""Variable that the shell fish sets."""
_SETTING = _Lazy(rf"""(?:configure|config)[ \t]+set[ \t]+(?P<name>{_KEY})[ \t]+["']?(?P<vp>[^\s'"]+)""")
_ENVIRONMENT = _Lazy(
    r"""(?:setdefault|putenv|setenv|getenv|environ\.get)\("""
    rf"""[ \t]*["'](?P<name>{_KEY})["'][ \t]*,[ \t]*{_QUOTED.format("v")}"""
)
"""Call of Python that sets a variable, or gives its default."""
_ELEMENT = _Lazy(rf"""<(?P<name>{_KEY})>(?P<vp>[^\s'"$<>]+)</(?P=name)>""")
"""Element of XML."""
_NETRC_LINES = _Lazy(
    r"""^[ \t]*login[ \t]+\S+[ \t]*\n[ \t]*(?P<name>password)[ \t]+["']?(?P<vp>[^\s'"$]+)""", re.MULTILINE
)
"""Entry of netrc on several lines."""
_VALUES = ("ve", "vd", "vq", "vp", "we", "wd", "wq", "wp")


_IN_LINE = (
    (_OPTION, "-"),
    (_ARGUMENT, "add_argument"),
    (_HEADER, ":"),
    (_SETTING, " set "),
    (_FISH, "set -"),
    (_PAIR, "value"),
    (_DEFAULT, "${"),
    (_ENVIRONMENT, "env"),
    (_ELEMENT, "</"),
)
"""Patterns of settings in a line, each with a substring of all that it matches."""


@lru_cache(maxsize=8192)
def _in_block(block: str) -> tuple[Secret, ...]:
    """Return the values whose name is on another line."""
    known = ((_PAIR, "value"), (_BLOCK, ":"), (_OPTION, "-"), (_NETRC_LINES, "login"))
    patterns = [pattern for pattern, keyword in known if keyword in block]
    return tuple(filter(None, (_value_of(m) for pattern in patterns for m in pattern.finditer(block))))


def _settings(line: str) -> Iterator[Secret]:
    """Yield the values of secret names in one line."""
    match = _LINE.match(line)
    if match and (secret := _value_of(match)) and not _is_code(match):
        yield secret
    yield from _inline(line)
    for pattern, keyword in _IN_LINE:
        if keyword in line:
            yield from filter(None, map(_value_of, pattern.finditer(line)))


def _inline(line: str) -> Iterator[Secret]:
    """Yield settings, also in the value of another: `CMD="HF_TOKEN=x run"`, `url=https://host/?token=x`."""
    start = 0
    while match := _INLINE.search(line, start):
        secret = _value_of(match) if _is_setting(match) else None
        start = match.end() if secret else match.end("is")
        if secret:
            yield secret


def _value_of(match: re.Match[str]) -> Secret | None:
    groups = match.groupdict()
    name = groups.get("name") or groups.get("after") or ""
    value = next((g for g in _VALUES if groups.get(g)), None)
    if value is None or not is_literal_secret(name.lstrip("-"), groups[value]) or _is_reference(match, value):
        return None
    if name.startswith("-") and _is_of_usage(groups[value]):
        return None
    return Secret(*match.span(value), Kind.NAME, name)


def _is_of_usage(word: str) -> bool:
    """Return whether the word after an option is none that a command gets: in a usage, a sentence, or before others."""
    return word in _PROSE or (word.isupper() and is_secret_name(word)) or word == "KEY" or bool(_SWITCH.fullmatch(word))


_SWITCH = _Lazy(r"--?[A-Za-z][A-Za-z-]*")
_PROSE = _words_of(
    "a an and are as at be but by can cannot for from given has have holds if in instead into is may must not of on or "
    "so that the then to unless was when where which will with without"
)
_BESIDE_SECRET = _Lazy(r"""['"]?[ \t]*,[ \t]*\\?["']?(?:key|optional)\b""")


def _is_reference(match: re.Match[str], value: str) -> bool:
    """Return whether the match is part of a reference to a Secret: `{secret: NAME, key: KEY}`."""
    if match["name"] != "secret":
        return False
    return match.string.endswith("{", 0, match.start()) or bool(_BESIDE_SECRET.match(match.string, match.end(value)))


def _before(match: re.Match[str]) -> str:
    """Return the last character before a match that is no space; empty at the start.

    It walks, because copies of the text up to each of a million matches take minutes.
    """
    at = match.start()
    while at and match.string[at - 1].isspace():
        at -= 1
    return match.string[at - 1 : at] if at else ""


def _after(match: re.Match[str]) -> str:
    """Return the first character after a match's value that is no space; empty at the end."""
    found = _NO_SPACE.search(match.string, match.end("vp"))
    return found[0] if found else ""


_NO_SPACE = re.compile(r"\S")


def _is_setting(match: re.Match[str]) -> bool:
    """Return whether a match is a setting, and neither a sentence nor an argument of a function."""
    if ":" in match["is"]:
        is_entry = bool(match["quote"]) or _before(match) in {"{", ","}
        return is_entry and not _is_code(match)
    return not _is_code(match)


def _is_code(match: re.Match[str]) -> bool:
    """Return whether the value is a program's variable: a bare word in `token = x`, `(token=x)` or `{"token": x}`."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z_.]*", match["vp"] or "") or match["name"].isupper():
        return False
    if "+" in match["is"]:
        return True
    is_enclosed = _before(match) in {"(", ",", "{"} or _after(match) in {")", ",", "}"}
    return (
        match["is"].strip() != match["is"]
        if "=" in match["is"] and not is_enclosed
        else is_enclosed and not _is_flow(match)
    )


def _is_flow(match: re.Match[str]) -> bool:
    """Return whether the match is in a flow mapping of YAML, whose keys need no quotes: `{HF_TOKEN: x}`."""
    return ":" in match["is"] and not match["quote"]


# ---- randomness -------------------------------------------------------------------------------------------

_WORD = re.compile(r"(?<![A-Za-z0-9+_./@:=-])[A-Za-z0-9+_-]{32,}={0,2}(?![A-Za-z0-9+_./:-])")
_HEX = _Lazy(r"[0-9a-fA-F-]+")
_RANDOM = 4.5
"""Entropy in bits a character; English and identifiers stay below 4, random base64 of 32 characters lies above."""


def _is_random(word: str) -> bool:
    return _is_mixed(word) and not _HEX.fullmatch(word) and _entropy(word) > _RANDOM


def _is_mixed(word: str) -> bool:
    """Return whether a word has letters of both cases and digits, and is not made of words as IoK8sApiBatchV1Job is."""
    spelled = sum(map(len, re.findall("[a-z]{3,}", word)))
    return 2 * spelled < len(word) and all(re.search(kind, word) for kind in ("[a-z]", "[A-Z]", "[0-9]"))


def _entropy(word: str) -> float:
    shares = [count / len(word) for count in Counter(word).values()]
    return -sum(share * math.log2(share) for share in shares)


# ---- texts ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8192)
def find_secrets(text: str) -> tuple[Secret, ...]:
    """Return the secret parts of a text, in order."""
    found = dict.fromkeys(_found(text))
    return tuple(sorted(found, key=lambda secret: (secret.start, -secret.end))) if found else ()


def _found(text: str) -> Iterator[Secret]:
    """Yield the secrets of a text; each search begins with the whole, as few lines of a long script may hold one."""
    yield from _named_values(text)
    yield from _forms(text)
    yield from (Secret(*m.span(), Kind.RANDOM) for m in _WORD.finditer(text) if _is_random(m[0]))
    if "PRIVATE KEY" in text:
        yield from (Secret(*match.span(), Kind.FORM, _PRIVATE_KEY) for match in _compiled(_PEM).finditer(text))


def _named_values(text: str) -> Iterator[Secret]:
    """Yield the values of secret names: in the line of the name, and in the lines beside it."""
    for start, line in _lines_with_stem(text):
        found, is_named = _in_line(line)
        yield from (secret.moved(start) for secret in found)
        if is_named and len(line) < len(text):
            begin, block = _lines_around(text, start)
            yield from (secret.moved(begin) for secret in _in_block(block))


def _lines_with_stem(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that may hold a secret's name, each with its start index."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return ((start, text[start : start + len(line)]) for start, line in _lines_with(_STEMS, lowered))
    # Where a capital letter becomes two small ones, the indices of the two texts differ.
    lines = text.split("\n")
    return zip(accumulate((len(line) + 1 for line in lines), initial=0), lines, strict=False)


def _lines_around(text: str, start: int) -> tuple[int, str]:
    """Return the line that starts at an index with the line before it and the two after it, and their start index."""
    begin = text.rfind("\n", 0, start - 1) + 1 if start else 0
    end = start
    for _ in range(_LINES_FROM_NAME):
        end = text.find("\n", end) + 1 or len(text) + 1
    return begin, text[begin : end - 1]


_LINES_FROM_NAME = 3
"""Number of lines from that of a name to the last in which its value may stand."""


def mentions_secret(text: str) -> bool:
    """Return whether a text may hold a secret's name; False is certain."""
    return any(_NAMED.search(line) for _, line in _lines_with_stem(text))


@lru_cache(maxsize=16384)
def _in_line(line: str) -> tuple[tuple[Secret, ...], bool]:
    """Return a line's values of secret names, and whether it has such a name; jobs of a sweep share most lines."""
    is_named = _NAMED.search(line) is not None
    return tuple(_settings(line)) if is_named else (), is_named


def redact(text: str, known: Iterable[str] = ()) -> str:
    """Replace each character of a text's secrets, and of the `known` ones, by `*`: no column moves."""
    return _without(text, find_secrets(text), known)


def redact_sentence(text: str, known: Iterable[str] = ()) -> str:
    """Redact a sentence of ftgen, in which no word of its own follows an option: `--hf-token has a literal value`."""
    found = [secret for secret in find_secrets(text) if not _is_told(text, secret)]
    return _without(text, found, known)


def _is_told(text: str, secret: Secret) -> bool:
    is_of_option = secret.what.startswith("-") and text.endswith(f"{secret.what} ", 0, secret.start)
    return is_of_option and re.fullmatch("[a-z]+", text[secret.start : secret.end]) is not None


def _without(text: str, secrets: Iterable[Secret], known: Iterable[str]) -> str:
    spans = [(secret.start, secret.end) for secret in secrets]
    spans += [found.span("s") for found in _QUERY.finditer(text)] if "://" in text else []
    parts: list[str] = []
    shown = 0
    # One pass over all spans: copying the text once a secret takes seconds for a manifest full of them.
    for start, end in sorted((*spans, *_repeated(text, known))):
        if shown < end:
            parts += text[shown:start], _covered(text[max(shown, start) : end])
            shown = end
    return "".join(parts) + text[shown:]


_QUERY = _Lazy(
    r"""(?<=[?&])(?:[\w.-]{0,64}[._-])?(?:key|auth|sig|signature|code|sk|pwd?)=(?P<s>[^\s&'"#$]{4,})""", re.IGNORECASE
)
"""Value in the query of a URL that may be a secret: no rule refuses it, as `key` names many things."""


def redact_words(words: Sequence[str], known: Iterable[str] = ()) -> list[str]:
    """Redact the words of a command, where an option and its secret may be two of them: `curl -u user:password`."""
    secrets = _in_words(words).union(known)
    options = (before if before.startswith("-") else "" for before in ("", *words))
    return [redact(_redacted(word, option.lstrip("-")), secrets) for word, option in zip(words, options, strict=False)]


def _in_words(words: Sequence[str]) -> set[str]:
    line = " ".join(map(shlex.quote, words))
    return {line[s.start : s.end].strip("'") for s in find_secrets(line)}


def redact_value(value: Any, name: str = "", known: Iterable[str] = ()) -> Any:
    """Redact the texts of a plain value, as `redact` does; `name` is that of the variable or the key that holds it."""
    if isinstance(value, str):
        return _redacted(value, name, known)
    if isinstance(value, dict):
        if is_reference(value):
            return value
        return {key: redact_value(part, held, known) for key, held, part in _named(value, name)}
    if isinstance(value, (list, tuple)):
        is_command = _is_command(value) and not is_secret_name(name)
        return redact_words(value, known) if is_command else [redact_value(part, name, known) for part in value]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return _covered(str(value)) if is_number and is_literal_secret(name, str(value)) else value


def is_reference(value: Any) -> bool:
    """Return whether a plain value is a reference to a Secret, as the configuration writes it."""
    if not isinstance(value, dict) or not {"secret", "key"} <= value.keys() <= {"secret", "key", "optional"}:
        return False
    parts = ((_OBJECT, value["secret"]), (_KEY_OF_SECRET, value["key"]))
    are_names = all(isinstance(part, str) and pattern.fullmatch(part) is not None for pattern, part in parts)
    return are_names and isinstance(value.get("optional", False), bool)


_OBJECT = _Lazy(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
"""Name of an object of Kubernetes."""
_KEY_OF_SECRET = _Lazy(r"[\w.-]+")


def redact_setting(text: str) -> str:
    """Redact `NAME=VALUE`, such as an override: the name tells whether the whole value is a secret."""
    name, equals, value = text.partition("=")
    return redact(name + equals + _redacted(value, name.lstrip("+~")))


def _redacted(value: str, name: str, known: Iterable[str] = ()) -> str:
    """Redact a value, all of it where its name says so: it may hold what would end it in another text."""
    if _is_hidden(name, value):
        return _covered(value)
    found = _USER.match(value)
    user = {found["s"]} if found and not _is_harmless(found["s"]) else set[str]()
    return redact(value, secret_values(name, value).union(user, known))


_USER = _Lazy(
    r"(?:(?i:https?|git)://(?=[^\s/@]+@)|[A-Za-z][A-Za-z0-9+]*://(?=[^\s/@:]*:))(?P<s>[^\s/@]+)@[A-Za-z0-9\[]"
)
"""Credentials at the beginning of a URL that is a value of its own."""


def _is_hidden(name: str, value: str) -> bool:
    """Return whether a value is secret as a whole; one with braces is, too, though a template may stand in them."""
    if not is_secret_name(name) or _REFERENCE.search(value):
        return False
    is_whole = "{" in value and "$" not in value
    return is_literal_secret(name, value) or (is_whole and is_literal_secret(name, re.sub("[{}]", "", value)))


def secrets_in(value: Any, name: str = "") -> set[str]:
    """Return the secrets that `redact_value` covers in a plain value, to be recognised in other texts."""
    if isinstance(value, str):
        whole = {value.strip()} if len(value.strip()) >= _PIN and _is_hidden(name, value) else set[str]()
        return secret_values(name, value) | whole
    if isinstance(value, dict):
        if is_reference(value):
            return set()
        return set[str]().union(*(secrets_in(part, held) for _, held, part in _named(value, name)))
    if isinstance(value, (list, tuple)):
        found = _in_words(value) if _is_command(value) else set[str]()
        return found.union(*(secrets_in(part, name) for part in value))
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {str(value)} if is_number and is_literal_secret(name, str(value)) else set()


def _named(value: dict[Any, Any], name: str) -> Iterator[tuple[Any, str, Any]]:
    """Yield each key of a mapping, the name of what it holds, and its value; `name` names a variable's `value`.

    What a secret's name holds goes by that name, too, unless it says where the secret lies.
    """
    is_secret = is_secret_name(name) and name.lower() not in _HOLDERS
    for key, part in value.items():
        own = str(value.get("name", "") if key == "value" else key)
        yield key, name if is_secret and key != "valueFrom" and not is_secret_name(own) else own, part


_HOLDERS = _words_of("auth authorization cred creds credential credentials secret secrets")
"""Names of mappings that hold settings beside a secret."""


def _is_command(value: Sequence[Any]) -> bool:
    return all(isinstance(part, str) for part in value)


def _covered(text: str) -> str:
    return re.sub(r"[^\n]", "*", text)


def _repeated(text: str, known: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield the spans of known secrets as whole words, or of their beginnings before an ellipsis."""
    lowered = text.lower()
    for secret in known:
        # The label of a point of a sweep has it in small letters.
        if secret in text or secret.lower() in lowered:
            yield from (m.span() for m in re.finditer(rf"(?i)(?<!\w){re.escape(secret)}(?!\w)", text))
        for cut in (m.start() for m in re.finditer("…", text)):
            kept = next((n for n in range(min(len(secret), cut), _PIN - 1, -1) if text[:cut].endswith(secret[:n])), 0)
            if kept:
                yield cut - kept, cut


def secret_values(name: str, value: str) -> set[str]:
    """Return the secret parts of a value under a name, to be recognised in other texts."""
    parts = {value[s.start : s.end] for s in find_secrets(value) if s.kind is not Kind.RANDOM}
    if is_secret_name(name) and not _REFERENCE.search(value):
        words = {value.strip(), *re.split(r"[\s\[\]{}'\",:]+", value)}
        parts |= {word for word in words if is_literal_secret(name, word)}
    return {part for part in parts if len(part) >= _PIN and not _is_harmless(part)}


_SECRET = _Lazy(r"""\bkind["']?[ \t]*:[ \t]*["']?Secret\b""")
_DATA = _Lazy(
    r"""^(?P<in>[ \t]*+)(?:.*[ \t{,])?["']?(?:data|stringData)["']?[ \t]*:(?P<held>[^\n]*(?:\n(?P=in)[ \t][^\n]*)*)""",
    re.MULTILINE,
)
_HELD = _Lazy(r"""[:|>-][ \t]*(?:\n[ \t]*)?["']?(?P<value>[^\s"',{}]{4,})""")


def data_of_secrets(text: str) -> set[str]:
    """Return the values in the data of manifests of Secrets, by their look, as the text may be no YAML."""
    blocks = _DATA.finditer(text) if _SECRET.search(text) else ()
    return {found["value"] for block in blocks for found in _HELD.finditer(block["held"])}


_REFERENCE = _Lazy(r"""\{\s*['"]?(?:secret|key|optional)['"]?\s*:|<(?:secret|config map|field|resource) [^>]*>""")
"""Reference to a Secret in a configuration, or what a preview writes in place of what only the cluster knows."""
