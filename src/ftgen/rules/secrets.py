"""Secrets in a manifest: what is committed is read by everyone, and cannot be taken back.

Values that an interpolation resolved from the environment are the likeliest leak, wherever they end up: in a
variable, an argument, an annotation, or the trainer's YAML inside a variable.  So every text is looked at.
A finding never repeats the secret.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ftgen.diagnostics import Diagnostic, Severity
from ftgen.recall import Form, Path, at, fill
from ftgen.rules import Finding, rule, run

_TOKENS = {
    "a Hugging Face token": (("hf_",), r"hf_[A-Za-z0-9]{30,}"),
    "a GitHub token": (("gh", "github_pat_"), r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}"),
    "a GitLab token": (("gl",), r"gl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{20,}"),
    "an OpenAI-style key": (("sk-",), r"sk-(?:[a-z]+-)?[A-Za-z0-9_-]{32,}"),
    "an AWS access key": (("AKIA", "ASIA"), r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    "a Google key": (("AIza",), r"AIza[A-Za-z0-9_-]{35}"),
    "a Slack token": (("xox",), r"xox[abprs]-[A-Za-z0-9-]{10,}"),
    "a private key": (("PRIVATE KEY",), r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    "a JSON web token": (("eyJ",), r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    "credentials in a URL": (
        ("://",),
        (
            r"(?:https?|git)://[^\s/@'\"$*(){}<>|]+@[A-Za-z0-9\[]"
            r"|[a-z][a-z0-9+]*://[^\s/@:'\"$*(){}<>|]*:[^\s/@'\"$*(){}<>|]+@[A-Za-z0-9\[]"
        ),
    ),
}
"""What each form is called, what no text that holds it lacks (cheap to look for), and what it looks like."""
_KNOWN = {name: (marks, re.compile(rf"(?<![A-Za-z0-9_-])(?:{form})")) for name, (marks, form) in _TOKENS.items()}
_SECRET_NAME = re.compile(
    r"(?:^|[_.-])(?:token|secret|password|passwd|passphrase|credentials?|(?:api|access|private|secret)[_-]?key)$",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"|true|false|null|~|none|yes|no|on|off|-?\d+(\.\d+)?|/.*|\$.*|.*\$[({].*|<[^>]*>|\*+", re.IGNORECASE
)
_LINE = re.compile(
    r"^[ \t-]*['\"]?([A-Za-z0-9_.-]+)['\"]?[ \t]*[:=][ \t]*['\"]?([^\s'\"#]+)['\"]?[ \t]*$", re.MULTILINE
)
_WORD = re.compile(r"(?<![A-Za-z0-9+_./@:=-])[A-Za-z0-9+_-]{32,}={0,2}(?![A-Za-z0-9+_./:-])")
_HEX = re.compile(r"[0-9a-fA-F-]+")
_RANDOM = 4.5
"""Bits a character; English and identifiers stay below 4, random base64 of this length lies above."""
_TRUSTED = ("ftgen.dev/config-digest",)

_REFER = "put it into a Secret and refer to it with secretKeyRef; then replace it, for it was written down"


@rule("FT440", "secret-object")
def secret_object(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A Secret carries its data into the manifest.

    What is published is read by everyone with access to the repository, base64 or not.

    Refused: `kind: Secret` with `data` or `stringData`.
    Write: a Secret made in the cluster, an ExternalSecret or a SealedSecret.
    """
    if manifest.get("apiVersion") == "v1" and manifest.get("kind") == "Secret":
        for key in ("data", "stringData"):
            if manifest.get(key):
                help_ = "make the Secret in the cluster, or publish an ExternalSecret or a SealedSecret"
                yield Finding("a Secret's data would be published", key, "", help_)


@rule("FT441", "known-secret")
def known_secret(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A text holds a token, a key or credentials of a well-known form.

    Refused: `https://user:password@git.example.com/model`, or a Hugging Face token in an argument.
    Write: a Secret, referred to with `secretKeyRef`.
    """
    for path, text in texts(manifest):
        for name in _known_in(text):
            yield Finding(f"{path} holds {name}", path, "", _REFER)


@rule("FT442", "literal-secret")
def literal_secret(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A variable or a setting named like a secret has a literal value.

    Refused: `{name: HF_TOKEN, value: …}`, or `hub_token: …` in the trainer's YAML.
    Write: `valueFrom: {secretKeyRef: …}`.
    """
    for path, name, value in _named(manifest):
        if _is_literal(name, value):
            yield Finding(f"{name} has a literal value", path, "", _REFER)


@rule("FT443", "random-text", Severity.WARNING)
def random_text(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A word looks like a random secret: long, of mixed characters, without a pattern.

    Digests in hex are not meant; nor are paths and image names.

    Refused: forty random base64 characters in a variable.
    Write: a Secret, referred to with `secretKeyRef`.
    """
    for path, text in texts(manifest):
        if not path.endswith(_TRUSTED) and _has_random(text):
            yield Finding(f"{path} holds what looks like a random secret", path, "", _REFER)


RULES_OF_SECRETS = (secret_object, known_secret, literal_secret, random_text)


def scan(manifest: Mapping[str, Any]) -> list[Diagnostic]:
    """The secrets in a manifest, as diagnostics that do not repeat them."""
    return run(RULES_OF_SECRETS, manifest) if fill(_SUSPICIOUS, manifest) else []


def blamed(found: list[Diagnostic], config: Mapping[str, Any]) -> list[Diagnostic]:
    """The findings by the keys of the configuration that brought them, where keys break the same rules.

    One key shows in many places of a manifest: its variable, the trainer's YAML, the annotation that rebuilds
    the job.  What no key explains, an overlay's own text, keeps its place in the manifest.
    """
    explained = {code: list(dict.fromkeys(_keys(code, config))) for code in {each.code for each in found}}
    kept = [each for each in found if not explained[each.code]]
    first = {each.code: each for each in reversed(found)}
    return kept + [
        replace(first[code], subject=key, headline=f"{key} {told}")
        for code, keys in sorted(explained.items())
        for key, told in keys
    ]


def _keys(code: str, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys of the configuration that break the rule themselves, and what is wrong with each."""
    for key, text in texts(config):
        last = re.split(r"[.\[]", key)[-1]
        if code == known_secret.code:
            yield from ((key, f"holds {name}") for name in _known_in(text))
        elif code == literal_secret.code and text != last:
            if _is_literal(last, text):
                yield key, "has a literal value"
        elif code == random_text.code and _has_random(text):
            yield key, "holds what looks like a random secret"


# Most manifests are clean, and the jobs of a sweep share most of their text: each text is looked at once, and
# where it stands is asked only of a manifest in which some text may break a rule.


def _is_suspicious(value: object) -> bool:
    """Whether a rule may find something: never wrong where it says no."""
    if isinstance(value, dict):
        if "value" in value and _is_literal(str(value.get("name")), str(value["value"])):
            return True
        # Plain loops here and below: every job of a sweep passes through them whole.
        for key, held in value.items():
            if isinstance(held, str):
                if _is_suspicious_entry(key, held):
                    return True
            elif _is_suspicious_text(str(key)) or (isinstance(held, dict | list) and _is_suspicious(held)):
                return True
        return False
    if isinstance(value, list):
        return any(map(_is_suspicious, value))
    return isinstance(value, str) and _is_suspicious_text(value)


def _cut(manifest: Any, changed: frozenset[Path]) -> Callable[[Any], bool]:
    """Whether manifests that differ from this one at some places are suspicious: a text is so with its neighbours."""
    if _is_suspicious(manifest):
        return _is_suspicious
    return lambda other: any(_is_suspicious_at(other, place) for place in changed)


def _is_suspicious_at(manifest: Any, place: Path) -> bool:
    *above, last = place
    around = at(manifest, tuple(above))
    if not isinstance(around, dict):
        return _is_suspicious(around[last])
    if "value" in around and _is_literal(str(around.get("name")), str(around["value"])):
        return True
    return _is_suspicious_entry(last, around[last]) if isinstance(around[last], str) else _is_suspicious(around[last])


_SUSPICIOUS = Form(_is_suspicious, _cut)


@lru_cache(maxsize=8192)
def _is_suspicious_entry(key: object, text: str) -> bool:
    return any(
        (
            key == "kind" and text == "Secret",
            _is_literal(str(key), text),
            _is_suspicious_text(text),
            _is_suspicious_text(str(key)),
        )
    )


@lru_cache(maxsize=8192)
def _is_suspicious_text(text: str) -> bool:
    return any(map(_is_suspicious_line, text.split("\n")))


@lru_cache(maxsize=8192)
def _is_suspicious_line(line: str) -> bool:
    """No form of a secret goes over a line's end, and two jobs of a sweep differ in few lines."""
    return bool(_known_in(line)) or _has_random(line) or any(_is_literal(*setting) for setting in _settings_in(line))


@lru_cache(maxsize=8192)
def _is_literal(name: str, value: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS.fullmatch(value)


@lru_cache(maxsize=1024)
def _known_in(text: str) -> tuple[str, ...]:
    marked = ((name, form) for name, (marks, form) in _KNOWN.items() if any(mark in text for mark in marks))
    return tuple(name for name, form in marked if form.search(text))


@lru_cache(maxsize=1024)
def _has_random(text: str) -> bool:
    return any(_is_random(word) for word in _WORD.findall(text))


@lru_cache(maxsize=1024)
def _settings_in(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(_LINE.findall(text))


def texts(value: object, path: str = "") -> list[tuple[str, str]]:
    """Every text in a manifest, keys of maps included, with its path."""
    found: list[tuple[str, str]] = []
    _gather(value, path, found)
    return found


def _gather(value: object, path: str, found: list[tuple[str, str]]) -> None:
    """Appends, where a generator would hand every text through each level above it."""
    if isinstance(value, str):
        found.append((path, value))
    elif isinstance(value, Mapping):
        for key, held in value.items():
            place = f"{path}.{key}" if path else str(key)
            found.append((place, str(key)))
            _gather(held, place, found)
    elif isinstance(value, list):
        for index, held in enumerate(value):
            _gather(held, f"{path}[{index}]", found)


def _named(value: object) -> list[tuple[str, str, str]]:
    """Everything that has a name and a literal value: variables, map entries, lines of embedded YAML."""
    found: list[tuple[str, str, str]] = []
    _gather_named(value, "", found)
    return found


def _gather_named(value: object, path: str, found: list[tuple[str, str, str]]) -> None:
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and isinstance(value.get("value"), str):
            found.append((f"{path}.value", value["name"], value["value"]))
        for key, held in value.items():
            place = f"{path}.{key}" if path else str(key)
            if isinstance(held, str):
                found.extend(_entry(place, str(key), held))
            else:
                _gather_named(held, place, found)
    elif isinstance(value, list):
        for index, held in enumerate(value):
            _gather_named(held, f"{path}[{index}]", found)


def _entry(path: str, key: str, held: str) -> Iterator[tuple[str, str, str]]:
    """A map's entry counts where maps hold the user's own keys; a text's lines count wherever it is."""
    if "\n" in held:
        yield from ((path, name, value) for name, value in _settings_in(held))
    elif path.startswith(("data.", "metadata.annotations.", "metadata.labels.")):
        yield path, key, held


def _is_random(word: str) -> bool:
    mixed = all(re.search(kind, word) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    return mixed and not _HEX.fullmatch(word) and _entropy(word) > _RANDOM


def _entropy(word: str) -> float:
    shares = [count / len(word) for count in Counter(word).values()]
    return -sum(share * math.log2(share) for share in shares)
