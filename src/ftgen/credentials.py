"""Which parts of a text are secret: tokens by their form, values by the name before them, words by their randomness.

The rules refuse a manifest that holds such a part, and the report covers it before a diagnostic is shown, so both
ask here.  The forms are those that the services document and that the detectors gitleaks and detect-secrets look
for; like theirs, most patterns are tried only where a mark that no such text lacks is found first.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any


class Kind(Enum):
    """Why a part of a text is taken for a secret."""

    FORM = auto()
    NAME = auto()
    RANDOM = auto()


@dataclass(frozen=True, slots=True)
class Secret:
    """A part of a text that is secret.

    Attributes:
        start: where it starts.
        end: where it ends.
        kind: why it is taken for a secret.
        what: the form it has ("a GitHub token"), or the name it is given under ("HF_TOKEN").
    """

    start: int
    end: int
    kind: Kind
    what: str = ""

    def moved(self, by: int) -> Secret:
        """The same part of a text that this one's text is a part of."""
        return Secret(self.start + by, self.end + by, self.kind, self.what)


class _Lazy:
    """A pattern that is compiled when it is first used: compiling all of them would take a tenth of a start."""

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
    "an OpenAI-style key": (("sk-",), r"sk-(?:[a-z]+-)?[A-Za-z0-9_-]{32,}"),
    "a Stripe key": (("k_live_", "k_test_"), r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    "an NVIDIA NGC key": (("nvapi-",), r"nvapi-[A-Za-z0-9_-]{40,}"),
    "an AWS access key": (("AKIA", "ASIA"), r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    "an Alibaba Cloud access key": (("LTAI",), r"LTAI[A-Za-z0-9]{12,26}"),
    "a Google key": (("AIza",), r"AIza[A-Za-z0-9_-]{35}"),
    "a Slack token": (("xox", "xapp-"), r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}"),
    "a Docker Hub token": (("dckr_",), r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    "an npm token": (("npm_",), r"npm_[A-Za-z0-9]{36}"),
    "a PyPI token": (("pypi-",), r"pypi-[A-Za-z0-9_-]{50,}"),
    "a Grafana token": (("glsa_", "glc_"), r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/]{32,}={0,3}"),
    "a Vault token": (("hvs.", "hvb."), r"hv[sb]\.[A-Za-z0-9_-]{24,}"),
    "an OpenShift token": (("sha256~",), r"sha256~[A-Za-z0-9_-]{43}"),
    _PRIVATE_KEY: (("PRIVATE KEY",), r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    "a JSON web token": (("eyJ",), r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
}
_URL = (
    r"(?:https?|git)://(?P<s>[^\s/@'\"$*(){}<>|]+)@[A-Za-z0-9\[]"
    r"|[a-z][a-z0-9+]*://(?P<t>[^\s/@:'\"$*(){}<>|]*:[^\s/@'\"$*(){}<>|]+)@[A-Za-z0-9\[]"
)
# What follows a scheme of HTTP's Authorization header; prose has such words too, so they are looked at again.
_SCHEME = r"(?i:(?P<scheme>basic|bearer)[ \t]+(?P<s>[A-Za-z0-9+/._~=-]{6,}))"
_CURL = (
    r"""curl\b[^\n|;]{0,500}?[ \t](?:-u|--user|-U|--proxy-user)(?:[ \t=]*|["'], ?)["']?"""
    r"""(?P<s>[^\s:'"$]+:[^\s'"$]+)"""
)
_WANDB = r"""wandb["']?,?[ \t]+["']?login[ \t"',]+(?:--relogin[ \t"',]+)?(?P<s>[A-Za-z0-9_-]{20,})"""
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
)
_LOGINS = (
    r"""(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{0,500}?[ \t]-p["']?(?P<s>[^\s'"$]+)"""
    r"""|redis-cli\b[^\n|;]{0,500}?[ \t]-a[ \t]+["']?(?P<t>[^\s'"$]+)"""
    r"""|(?:sshpass|docker|podman|nerdctl|helm|oras|crane|skopeo)\b[^\n|;]{0,500}?[ \t]-p[ \t]*["']?"""
    r"""(?P<u>[^\s'"$:-][^\s'"$:]*)(?=["'\s]|$)"""
)
_FED = (
    r"""(?:echo|printf)\b[^\n|;]{0,500}?[ \t]["']?(?P<s>[^\s'"$%|;]{4,})["']?[ \t]*"""
    r"""\|[^\n|;]{0,500}?--(?:password-stdin|with-token)\b"""
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
    "a password fed to a command": (("--password-stdin", "--with-token"), _FED),
    "a password of netrc": (("password ", "password\t"), _NETRC),
    "credentials of an HTTP header": (("asic", "ASIC", "earer", "EARER"), _SCHEME),
    "a user's password": (("curl",), _CURL),
    "a signed URL": (("sig=", "ignature="), r"(?:sig|(?:X-(?:Amz|Goog)-)?[Ss]ignature)=(?P<s>[^\s&'\"#$]{16,})"),
    "a Weights & Biases key": (("wandb",), _WANDB),
    "a password in a command": (_PROGRAMS, _LOGINS),
}
"""What each form is called, marks of which no text lacks all, and what it looks like; groups mark its secret part.

No form goes over a line's end.
"""
_GROUPS = ("s", "t", "u")
_PEM = r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]*-----|\Z)"
"""A private key with its lines."""


@lru_cache
def _compiled(form: str) -> re.Pattern[str]:
    """Most texts hold no mark, so that most forms are never compiled."""
    return re.compile(rf"(?<![A-Za-z0-9_-])(?:{form})")


_MARKS = tuple(mark for marks, _ in _FORMS.values() for mark in marks)


def _forms(text: str) -> Iterator[Secret]:
    if not any(map(text.__contains__, _MARKS)):
        return
    for what, (marks, form) in _FORMS.items():
        for begin, line in _lines_with(marks, text):
            for match in _compiled(form).finditer(line):
                start, end = next((match.span(g) for g in _GROUPS if match.groupdict().get(g)), match.span())
                if _is_of_scheme(match) and not _is_harmless(line[start:end]):
                    yield Secret(begin + start, begin + end, Kind.FORM, what)


def _lines_with(marks: Sequence[str], text: str) -> list[tuple[int, str]]:
    """Return the lines that hold a mark, each with where it begins: scripts are long, and few lines of them do."""
    found: dict[int, str] = {}
    for mark in marks:
        place = text.find(mark)
        while place >= 0:
            begin, end = text.rfind("\n", 0, place) + 1, text.find("\n", place)
            end = len(text) if end < 0 else end
            found[begin] = text[begin:end]
            place = text.find(mark, end)
    return sorted(found.items())


def _is_of_scheme(match: re.Match[str]) -> bool:
    """Whether what follows `Basic` or `Bearer` is no word of a sentence: `Basic` is followed by base64 of a pair."""
    scheme, value = match.groupdict().get("scheme"), match.groupdict().get("s") or ""
    if not scheme:
        return True
    if scheme.lower() == "bearer":
        return bool(re.search(r"\d", value)) or len(value) >= _LONG
    try:
        return b":" in base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False


_LONG = 24
"""Letters that no English word has."""


# ---- names ------------------------------------------------------------------------------------------------


def _words_of(sentence: str) -> frozenset[str]:
    return frozenset(sentence.split())


_PASSWORDS = _words_of("password passwd passphrase passcode pwd pw")
_ALWAYS = _PASSWORDS | _words_of("secret secrets credential credentials cred creds authorization bearer")
_BEFORE_KEY = _words_of(
    "api access private secret auth encryption signing account license licence ssh deploy master storage hmac shared "
    # Services whose one key is a secret.
    "openai anthropic azure dashscope deepseek gemini groq mistral moonshot zhipu ngc nvidia comet neptune swanlab "
    "wandb tavily serpapi pinecone langsmith langfuse"
)
# What a tokenizer, a scheduler or a counter calls a token, a pass or a pattern.
_BEFORE_TOKEN = _words_of(
    "pad eos bos unk mask sep cls special image video audio vision speech stop start end begin im max min num n new "
    "per first last next prev prefix suffix middle fim think thought media mm patch placeholder chat text input output "
    "sub word add added extra decoder encoder additional skip"
)
_BEFORE_PASS = _words_of("forward backward one two single multi first second last n num max by band low high all")
_BEFORE_PAT = _words_of("file path glob name regex match search include exclude ignore input output data train")
# Huawei, Alibaba and Volcengine call the two halves of a key AK and SK.
_BEFORE_SK = _words_of("access cloud huaweicloud huawei hw volc volcengine obs oss tos bos cos s3 minio")
_SWITCHES = _words_of("no not use with without has is require requires enable disable skip need needs ask allow")
_JOINED = _Lazy(
    r"(?P<before>.*?)(?:token|password|passwd|passphrase|secret|credentials?"
    r"|(?:api|access|private|secret|auth|account|signing|license)key"
    r"|(?<![a-z])(?:db|pg|my|sql|mysql|redis|smtp|ftp|ldap|root|admin)pass)"
)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@lru_cache(maxsize=8192)
def is_secret_name(name: str) -> bool:
    """Whether a variable, key or option of this name holds a secret: PGPASSWORD, hub_token, --api-key, GITHUB_PAT."""
    words = _words(name)
    # imagePullSecrets lists names of Secrets.
    if not words or (len(words) > 1 and words[0] in _SWITCHES) or words[-2:] == ("pull", "secrets"):
        return False
    before, last = ("", *words)[-2:]
    if last in _ALWAYS or last == "auth":
        return True
    if last in _ONLY_AFTER:
        return before in _ONLY_AFTER[last]
    if last in _COUNTED:
        return before not in _COUNTED[last]
    joined = _JOINED.fullmatch(last)
    return joined is not None and joined["before"] not in _BEFORE_TOKEN


@lru_cache(maxsize=8192)
def _words(name: str) -> tuple[str, ...]:
    """The words of a name's last part: hub and token of `trainer.args.hub_token`, my and token of `myToken2`."""
    return tuple(word.lower() for word in _PART.findall(re.split(r"[./:@]", name.rstrip("./:@"))[-1]))


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
      |\.{0,2}/[\w./@+=:-]*|[a-z]:\\.*            # a path
      |\$\w+|\$[@*#?!$-]|.*\$(?:\(|\{.*\}).*|`.*`         # the shell's, Kubernetes' or Hydra's to fill in
      |%.*|.*\{[\w.]*\}.*|.*\{\{.*|.*%\(.*                      # a format's or a template's to fill in
      |[\w.]+\(.*|\w*\[[^\]]*\]                   # a program's: a call, a type, an item
      |!.*|&.*|<[^>]*>?|\[?\*+.*|.*\*{3,}|\|[-+\d]*|>[-+\d]*|\\.*
      |[{}\[\]()]+|x{3,}|.*x{6,}.*|.*\.{3,}|\.{2}|…|-+|_+|\?+
      |your?[-_ ].*|.*[-_ ]here|(?:replace|change|insert|fill|enter)[-_ ].*|replaceme|todo|tbd|redacted|placeholder
      |(?:vault|secret|secrets|op|sm|env|file|arn|awssm|gcpsm|ssm|berglas|ref\+\w+):.*
      |(?:self|args?|cfg|conf|config|os|opts?|options|settings|env|params|kwargs)\.[\w.]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Such a name tells itself from `hunter2`: letters alone, or words with dashes between them.
_WORDS_OF_OBJECT = _Lazy(r"[a-z]+|[a-z0-9][a-z0-9.]*-[a-z0-9.-]*[a-z0-9]")
# Methods of authentication that a setting called AUTH chooses between.
_METHODS = _words_of(
    "basic bearer digest ntlm kerberos negotiate oauth oauth2 oidc ldap token password trust peer md5 saml mtls tls "
    "ssl jwt anonymous simple sasl plain iam internal external static kubernetes serviceaccount basic-auth"
)
_OWN_SECRETS = _words_of("client app oauth jwt webhook session consumer cookie shared hmac api access")


def _is_harmless(value: str) -> bool:
    return _HARMLESS.fullmatch(value) is not None


@lru_cache(maxsize=8192)
def is_literal_secret(name: str, value: str) -> bool:
    """Whether a value under this name is a secret written out, and no switch, number, path or placeholder."""
    return is_secret_name(name) and _is_written_out(name, value.strip())


def _is_written_out(name: str, value: str) -> bool:
    before, last = ("", *_words(name))[-2:]
    is_password = last in _PASSWORDS or last.endswith(("password", "passwd"))
    if value.isdecimal():
        return is_password and len(value) >= _PIN
    if _is_harmless(value) or (last == "auth" and value.lower() in _METHODS):
        return False
    if last in {"secret", "secrets"} and _names_secret(name, before, value):
        return False
    if last == "pat" and (len(value) < _PIN or not re.fullmatch(r"[\w.-]+", value)):
        return False
    # A sentence is none, a phrase may be a password.
    return is_password or " " not in value or value.lower().startswith(("basic ", "bearer ", "token "))


def _names_secret(name: str, before: str, value: str) -> bool:
    """Whether the value is the name of a Secret, as of `cluster.git.secret`, `pullSecret` and `TLS_SECRET`."""
    if name.endswith(".secret"):
        return re.fullmatch(r"[\w.-]+", value) is not None and not _is_random(value)
    return before not in _OWN_SECRETS and _WORDS_OF_OBJECT.fullmatch(value) is not None


_PIN = 4
"""Digits of the shortest number that is a password rather than a switch or a count."""

_NAMED = re.compile(
    r"(?:token|secret|passw(?:or)?d|passphrase|passcode|pass|pwd|pw|cred(?:ential)?|key|auth(?:orization)?|pat|bearer|sk)s?"
    r"[\d_]*(?![a-z\d])",
    re.IGNORECASE,
)
"""How a secret's name ends; what stands behind it is looked at where a text has such a name alone."""
_STEMS = ("token", "secret", "pass", "pwd", "pw", "cred", "key", "auth", "pat", "bearer", "sk")
"""What every such name holds, in lower case."""

_KEY = r"[A-Za-z_][\w./-]*"
_QUOTED = r"""[bfru]{{0,2}}(?:\\?"(?P<{0}d>(?:[^"\\\n]|\\[^"])*)\\?"|'(?P<{0}q>[^'\n]*)')"""
_PLAIN = r"""(?P<{0}p>[^\s'"`,;&|<>(){{}}\[\]\\]{{1,1024}}+)(?![(\[{{])"""
_LINE = _Lazy(
    rf"""^[ \t+-]*(?:export[ \t]+)?(?P<quote>['"]?)(?P<name>{_KEY})(?P=quote)(?P<is>[ \t]*[:=][ \t]*)"""
    rf"""(?:[!&][^\s'"]*[ \t]+){{0,2}}(?:{_QUOTED.format("v")}|(?P<vp>[^\s'"]+?))[ \t]*,?[ \t]*(?:\#.*)?\\?$""",
)
"""A line of YAML, of a file of settings, or of a shell that sets one variable."""
_INLINE = _Lazy(
    rf"""(?<![\w$./-])(?<!\$\{{)-{{0,2}}(?P<quote>\\?['"]?)(?P<name>{_KEY})(?P=quote)\]?(?P<is>[ \t]*[=:](?!=)[ \t]*)"""
    rf"""(?:{_QUOTED.format("v")}|{_PLAIN.format("v")})"""
)
"""A setting among others: of a command, a URL's query, a flow mapping, JSON, or an override."""
_OPTION = _Lazy(
    r"""(?<![\w-])(?P<name>--?[A-Za-z][\w-]*)"""
    r"""(?:["']?,[ \t]*|["']?[ \t]*\n[ \t]*(?:-[ \t]+)?|[ \t]+\\\n[ \t]*|[ \t]+)"""
    rf"""(?:{_QUOTED.format("v")}|(?!-){_PLAIN.format("v")})"""
)
"""An option of a command and the word after it, in a shell, in a list, or a line below."""
_HEADER = _Lazy(
    r"""(?i)(?<![\w-])(?P<name>authorization|private-token|(?:x-)?(?:[a-z]+-)?(?:api-?key|auth-token|token))"""
    r"""["']?[ \t]*:[ \t]*(?:(?:basic|bearer|token|apikey)[ \t]+)?(?P<vp>[^\s'"$<{},]{6,})(?=["'])"""
)
"""A header in quotes, as curl takes it."""
_PAIR = _Lazy(
    rf"""["']?name["']?:[ \t]*["']?(?P<name>{_KEY})["']?[ \t]*,?[ \t]*(?:\n[ \t+-]*)?["']?value["']?:[ \t]*"""
    rf"""(?:[|>][-+\d]*[ \t]*\n[ \t+-]*)?(?:{_QUOTED.format("v")}|(?P<vp>[^\s'"|>][^\n,}}]*))"""
    rf"""|["']?value["']?:[ \t]*(?:{_QUOTED.format("w")}|(?P<wp>[^\s'"|>,}}]+))"""
    r"""[ \t]*,?[ \t]*(?:\n(?:[-+][ \t]{2,}|[ \t]*))?"""
    rf"""["']?name["']?:[ \t]*["']?(?P<after>{_KEY})"""
)
"""A variable as Kubernetes writes it, on one line or two, whichever comes first."""
_BLOCK = _Lazy(
    rf"""^[ \t+-]*["']?(?P<name>{_KEY})["']?:[ \t]*(?:[|>][-+\d]*[ \t]*\n|\n(?![^\n]*:(?:[ \t]|$)|[ \t]*-[ \t]))"""
    r"""[ \t]+(?P<vp>\S[^\n]*)""",
    re.MULTILINE,
)
"""A value on the lines below its key."""
_DEFAULT = _Lazy(
    rf"""\$\{{(?:oc\.env:)?[ \t]*(?P<name>{_KEY}?)[ \t]*(?::?[-=]|,)[ \t]*"""
    rf"""(?:{_QUOTED.format("v")}|(?P<vp>[^\s'"$`{{}}]+))"""
)
"""What stands for a variable that is not set, in a shell or in a configuration."""
_SETTING = _Lazy(rf"""(?:configure|config)[ \t]+set[ \t]+(?P<name>{_KEY})[ \t]+["']?(?P<vp>[^\s'"]+)""")
_VALUES = ("vd", "vq", "vp", "wd", "wq", "wp")


@lru_cache(maxsize=8192)
def _in_lines(block: str) -> tuple[Secret, ...]:
    """A name and its value on lines of their own."""
    marked = [pattern for pattern, mark in ((_PAIR, "value"), (_BLOCK, ":"), (_OPTION, "-")) if mark in block]
    return tuple(filter(None, (_under_name(m) for pattern in marked for m in pattern.finditer(block))))


def _settings(line: str) -> Iterator[Secret]:
    """Values of one line that stand under a secret's name."""
    whole = _LINE.match(line)
    if whole and (secret := _under_name(whole)) and not _is_code(whole):
        yield secret
    yield from _inline(line)
    for pattern, mark in ((_OPTION, "-"), (_HEADER, ":"), (_SETTING, " set "), (_PAIR, "value"), (_DEFAULT, "${")):
        if mark in line:
            yield from filter(None, map(_under_name, pattern.finditer(line)))


def _inline(line: str) -> Iterator[Secret]:
    """Settings in each other's values too: `CMD="HF_TOKEN=x run"`, `url=https://host/?token=x`."""
    start = 0
    while match := _INLINE.search(line, start):
        secret = _under_name(match) if _is_setting(match, line) else None
        start = match.end() if secret else match.end("is")
        if secret:
            yield secret


def _under_name(match: re.Match[str]) -> Secret | None:
    groups = match.groupdict()
    name = groups.get("name") or groups.get("after") or ""
    value = next((g for g in _VALUES if groups.get(g)), None)
    if value is None or not is_literal_secret(name.lstrip("-"), groups[value]) or _is_reference(match, value):
        return None
    return Secret(*match.span(value), Kind.NAME, name)


_BESIDE_SECRET = _Lazy(r"""['"]?[ \t]*,[ \t]*\\?["']?(?:key|optional)\b""")


def _is_reference(match: re.Match[str], value: str) -> bool:
    """Whether it is a reference to a Secret, also half of one: `{secret: NAME, key: KEY}`."""
    if match["name"] != "secret":
        return False
    return match.string[: match.start()].endswith("{") or bool(_BESIDE_SECRET.match(match.string, match.end(value)))


def _is_setting(match: re.Match[str], line: str) -> bool:
    """Whether a name with something behind it is a setting, and neither a sentence nor an argument of a function."""
    if ":" in match["is"]:
        is_entry = bool(match["quote"]) or line[: match.start()].rstrip()[-1:] in {"{", ","}
        return is_entry and not _is_code(match)
    return not _is_code(match)


def _is_code(match: re.Match[str]) -> bool:
    """Whether the value is a variable of a program: bare words as in `token = x`, `(token=x)` or `{"token": x}`."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z_.]*", match["vp"] or "") or match["name"].isupper():
        return False
    before, after = match.string[: match.start()].rstrip()[-1:], match.string[match.end("vp") :].lstrip()[:1]
    among = before in {"(", ",", "{"} or after in {")", ",", "}"}
    return match["is"].strip() != match["is"] if "=" in match["is"] and not among else among and not _is_flow(match)


def _is_flow(match: re.Match[str]) -> bool:
    """Whether it stands in a flow mapping of YAML, whose keys need no quotes: `{HF_TOKEN: x}`."""
    return ":" in match["is"] and not match["quote"]


# ---- randomness -------------------------------------------------------------------------------------------

_WORD = re.compile(r"(?<![A-Za-z0-9+_./@:=-])[A-Za-z0-9+_-]{32,}={0,2}(?![A-Za-z0-9+_./:-])")
_HEX = _Lazy(r"[0-9a-fA-F-]+")
_RANDOM = 4.5
"""Bits a character; English and identifiers stay below 4, random base64 of this length lies above."""


def _is_random(word: str) -> bool:
    mixed = all(re.search(kind, word) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    # Identifiers such as IoK8sApiBatchV1JobStatus are made of words.
    spelled = sum(map(len, re.findall("[a-z]{3,}", word)))
    return mixed and 2 * spelled < len(word) and not _HEX.fullmatch(word) and _entropy(word) > _RANDOM


def _entropy(word: str) -> float:
    shares = [count / len(word) for count in Counter(word).values()]
    return -sum(share * math.log2(share) for share in shares)


# ---- texts ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8192)
def find_secrets(text: str) -> tuple[Secret, ...]:
    """The secret parts of a text, in order."""
    found = dict.fromkeys(_found(text))
    return tuple(sorted(found, key=lambda secret: (secret.start, -secret.end))) if found else ()


def _found(text: str) -> Iterator[Secret]:
    lines = text.split("\n")
    told = [*map(_in_line, lines)]
    if told.count(_NOTHING) < len(told):
        yield from _placed(lines, told)
    yield from _forms(text)
    yield from (Secret(*m.span(), Kind.RANDOM) for m in _WORD.finditer(text) if _is_random(m[0]))
    if "PRIVATE KEY" in text:
        yield from (Secret(*match.span(), Kind.FORM, _PRIVATE_KEY) for match in _compiled(_PEM).finditer(text))


_InLine = tuple[tuple[Secret, ...], bool]
_NOTHING: _InLine = ((), False)


def _placed(lines: Sequence[str], told: Sequence[_InLine]) -> Iterator[Secret]:
    """What the lines tell, where it stands in the whole text, and values beside the line of their name."""
    start = before = 0
    for number, (line, (found, is_named)) in enumerate(zip(lines, told, strict=True)):
        yield from (secret.moved(start) for secret in found)
        if is_named and len(lines) > 1:
            block = "\n".join(lines[max(number - 1, 0) : number + 3])
            yield from (secret.moved(before) for secret in _in_lines(block))
        start, before = start + len(line) + 1, start


@lru_cache(maxsize=16384)
def _in_line(line: str) -> _InLine:
    """Find what a line gives a secret's name, and whether it has one; two jobs of a sweep differ in few lines."""
    # Most lines hold none of these, which costs a tenth of asking the pattern.
    is_named = any(map(line.lower().__contains__, _STEMS)) and _NAMED.search(line) is not None
    return tuple(_settings(line)) if is_named else (), is_named


def redact(text: str, known: Iterable[str] = ()) -> str:
    """The text with a `*` for each character of its secrets and of the `known` ones: no column moves."""
    spans = [(secret.start, secret.end) for secret in find_secrets(text)]
    for start, end in (*spans, *_repeated(text, known)):
        text = text[:start] + re.sub(r"[^\n]", "*", text[start:end]) + text[end:]
    return text


def _repeated(text: str, known: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Where known secrets are repeated as whole words, or begin before the sign of an omission."""
    for secret in known:
        if secret in text:
            yield from (m.span() for m in re.finditer(rf"(?<!\w){re.escape(secret)}(?!\w)", text))
        for cut in (m.start() for m in re.finditer("…", text)):
            kept = next((n for n in range(min(len(secret), cut), _PIN - 1, -1) if text[:cut].endswith(secret[:n])), 0)
            if kept:
                yield cut - kept, cut


def secret_values(name: str, value: str) -> set[str]:
    """The secret parts of a value under a name, as texts that are to be recognised elsewhere."""
    parts = {value[s.start : s.end] for s in find_secrets(value) if s.kind is not Kind.RANDOM}
    if is_secret_name(name) and not _REFERENCE.search(value):
        words = {value.strip(), *re.split(r"[\s\[\]{}'\",:]+", value)}
        parts |= {word for word in words if is_literal_secret(name, word)}
    return {part for part in parts if len(part) >= _PIN and not _is_harmless(part)}


_REFERENCE = _Lazy(r"""\{\s*['"]?(?:secret|key|optional)['"]?\s*:""")
