"""Secrets in a manifest: what is committed is read by everyone, and cannot be taken back.

Values that an interpolation resolved from the environment are the likeliest leak, wherever they end up: in a
variable, an argument, an annotation, or the trainer's YAML inside a variable.  So every text is looked at.
A finding never repeats the secret.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ftgen.diagnostics import Diagnostic, Severity
from ftgen.diagnostics.credentials import Kind, find_secrets, is_literal_secret
from ftgen.spec import knows
from ftgen.validation import Finding, rule, validate
from ftgen.validation.rules import ENVIRONMENT, SECRETS

_TRUSTED = ('["ftgen.dev/config-digest"]',)
_OWN_KEYS = ("metadata.annotations", "metadata.labels", ".volumeAttributes", ".flexVolume.options")
"""The mappings of a manifest whose keys its user or a driver chooses, beside a ConfigMap's data."""

_SPELLING = "{secret: NAME, key: KEY}"
_REPLACE = "then replace it, for it was written down"
_REFER = (
    f"keep it in a Secret of the namespace and refer to it: hardware.env.NAME={_SPELLING} in the configuration, "
    f"valueFrom.secretKeyRef in a manifest; {_REPLACE}"
)


Taken = tuple[Mapping[str, Sequence[str]], Mapping[str, Any]]
"""The keys whose value an environment variable gave, each with its variables; and the configuration with its values."""


@rule("FT440", "secret-object", on=SECRETS)
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


@rule("FT441", "known-secret", on=SECRETS)
def known_secret(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A text holds a token, a key or credentials of a well-known form.

    Refused: `https://user:password@git.example.com/model`, a Hugging Face token in an argument, or
    `curl -u user:password` in a script.
    Write: a Secret, referred to with `secretKeyRef`.
    """
    for path, what in _suspects(manifest, Kind.FORM, _is_users_own):
        yield Finding(f"{path} holds {what}", path, "", _REFER)


@rule("FT442", "literal-secret", on=SECRETS)
def literal_secret(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A variable, a setting or an option named like a secret has a literal value.

    Switches, numbers, paths, placeholders, references such as `$(TOKEN)` and names of Secrets are no secrets.

    Refused: `{name: HF_TOKEN, value: …}`, `hub_token: …` in the trainer's YAML, `--token …` among the arguments, or
    `export PGPASSWORD=…` in a script.
    Write: `hardware.env.HF_TOKEN={secret: NAME, key: KEY}` in the configuration, which becomes
    `valueFrom: {secretKeyRef: …}` in the manifest; in a script, read the variable.
    """
    for path, name in _suspects(manifest, Kind.NAME, _is_users_own):
        yield Finding(f"{name} has a literal value", path, "", _REFER)


@rule("FT443", "random-text", Severity.WARNING, on=SECRETS)
def random_text(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A word looks like a random secret: long, of mixed characters, without a pattern.

    Digests in hex are not meant; nor are paths and image names.

    Refused: forty random base64 characters in a variable.
    Write: a Secret, referred to with `secretKeyRef`.
    """
    for path, _ in _suspects(manifest, Kind.RANDOM, _is_users_own):
        if not path.endswith(_TRUSTED):
            yield Finding(f"{path} holds what looks like a random secret", path, "", _REFER)


@rule("FT286", "secret-from-environment", on=ENVIRONMENT)
def secret_from_environment(taken: Taken) -> Iterator[Finding]:
    """A value is taken from an environment variable that is named like a secret.

    `${oc.env:…}` is resolved where ftgen runs, and the value is written into the manifest in clear text, whatever
    key it is given to.

    Refused: `tracking.run_name=${oc.env:HF_TOKEN}`.
    Write: a Secret in the cluster, and `hardware.env.HF_TOKEN={secret: NAME, key: KEY}`.
    """
    variables, config = taken
    for key, names in variables.items():
        value = _at(config, key)
        for name in names:
            if isinstance(value, str | int) and is_literal_secret(name, str(value)) and not _names_a_secret(key):
                told = f"{key} would hold in clear text what the environment variable {name} holds"
                help_ = f"keep it in a Secret of the cluster: hardware.env.{name}={_SPELLING}"
                yield Finding(told, key, "", help_)


def scan(manifest: Mapping[str, Any]) -> list[Diagnostic]:
    """The secrets in a manifest, as diagnostics that do not repeat them."""
    return validate(SECRETS, manifest) if _is_suspicious(manifest) else []


def attribute_to_keys(found: list[Diagnostic], config: Mapping[str, Any]) -> list[Diagnostic]:
    """The findings by the keys of the configuration that brought them, where keys break the same rules.

    One key shows in many places of a manifest: its variable, the trainer's YAML, the annotation that rebuilds
    the job.  What no key explains, an overlay's own text, keeps its place in the manifest.
    """
    explained = {code: list(dict.fromkeys(_keys(code, config))) for code in {each.code for each in found}}
    kept = [each for each in found if not explained[each.code]]
    first = {each.code: each for each in reversed(found)}
    return kept + [
        replace(first[code], subject=key, headline=f"{key} {told}", help=_cure(key))
        for code, keys in sorted(explained.items())
        for key, told in keys
    ]


def _cure(key: str) -> str:
    """The edit that takes a secret out of a key of the configuration."""
    is_variable = key.startswith("hardware.env.")
    return f"keep it in a Secret of the namespace, and write {key}={_SPELLING}; {_REPLACE}" if is_variable else _REFER


_TOLD = {
    known_secret.code: (Kind.FORM, "holds {}"),
    literal_secret.code: (Kind.NAME, "has a literal value"),
    random_text.code: (Kind.RANDOM, "holds what looks like a random secret"),
}


def _keys(code: str, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys of the configuration that break the rule themselves, and what is wrong with each."""
    if code in _TOLD:
        kind, told = _TOLD[code]
        yield from ((key, told.format(what)) for key, what in _suspects(config, kind, _is_free))


def _is_free(_: str, key: str) -> bool:
    """Whether a key of the configuration was made up by its user: no setting of ftgen's own is a secret."""
    return not knows(key)


def _is_users_own(above: str, _: str) -> bool:
    return above in {"data", "parameters"} or above.endswith(_OWN_KEYS)


def _names_a_secret(key: str) -> bool:
    """Whether the value of a key is the name of a Secret: `cluster.git.secret`."""
    return key.endswith(".secret")


def _at(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for step in key.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


# Most manifests are clean, and the jobs of a sweep share most of their text: each text is looked at once, and
# where it stands is asked only of a manifest in which some text may break a rule.


def _is_suspicious(value: object) -> bool:
    """Whether a rule may find something: never wrong where it says no."""
    if isinstance(value, dict):
        if "value" in value and is_literal_secret(str(value.get("name")), str(value["value"])):
            return True
        # Plain loops here and below: every job of a sweep passes through them whole.
        for key, held in value.items():
            if isinstance(held, str):
                if _is_suspicious_entry(key, held):
                    return True
            elif find_secrets(str(key)) or (isinstance(held, dict | list) and _is_suspicious(held)):
                return True
        return False
    if isinstance(value, list):
        return _is_command(value) or any(map(_is_suspicious, value))
    return isinstance(value, str) and bool(find_secrets(value))


@lru_cache(maxsize=8192)
def _is_suspicious_entry(key: object, text: str) -> bool:
    return (key == "kind" and text == "Secret") or bool(
        is_literal_secret(str(key), text) or find_secrets(text) or find_secrets(str(key))
    )


def _is_command(items: Sequence[Any]) -> bool:
    return bool(_in_command(items))


def _in_command(items: Sequence[Any]) -> tuple[tuple[int, Kind, str], ...]:
    """What is secret in a list of words with options among them: where, why, and its name or form."""
    if not all(isinstance(item, str) for item in items) or not any(item.startswith("-") for item in items):
        return ()
    # A script of several lines is looked at by itself.
    return _in_words(tuple("" if "\n" in item else item for item in items))


@lru_cache(maxsize=1024)
def _in_words(words: tuple[str, ...]) -> tuple[tuple[int, Kind, str], ...]:
    found = []
    quoted = [shlex.quote(word) for word in words]
    for secret in find_secrets(" ".join(quoted)):
        index = next(i for i in range(len(quoted)) if secret.start < sum(map(len, quoted[: i + 1])) + i + 1)
        found.append((index, secret.kind, secret.what))
    return tuple(found)


def _suspects(
    value: object, kind: Kind, is_named: Callable[[str, str], bool], path: str = ""
) -> Iterator[tuple[str, str]]:
    """Where something of this kind stands in plain mappings and lists, with its name or form; each once.

    Args:
        value: a manifest or a configuration.
        kind: why a text is suspected.
        is_named: whether the key of an entry, given the path above it and its own, names the entry's value.
        path: of the value.
    """
    yield from dict.fromkeys(_all_suspects(value, kind, is_named, path))


def _all_suspects(
    value: object, kind: Kind, is_named: Callable[[str, str], bool], path: str
) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield from ((path, secret.what) for secret in find_secrets(value) if secret.kind is kind)
    elif isinstance(value, Mapping):
        yield from _in_mapping(value, kind, is_named, path)
    elif isinstance(value, list):
        yield from ((f"{path}[{at_}]", what) for at_, why, what in _in_command(value) if why is kind)
        for index, held in enumerate(value):
            yield from _all_suspects(held, kind, is_named, f"{path}[{index}]")


def _in_mapping(
    value: Mapping[Any, Any], kind: Kind, is_named: Callable[[str, str], bool], path: str
) -> Iterator[tuple[str, str]]:
    if {"secret", "key"} <= value.keys() <= {"secret", "key", "optional"}:
        return  # a reference to a Secret, in the configuration's words
    name, held = value.get("name"), value.get("value")
    if kind is Kind.NAME and isinstance(name, str) and isinstance(held, str) and is_literal_secret(name, held):
        yield f"{path}.value", name
    for key, held in value.items():
        place = f"{path}[{json.dumps(key)}]" if "." in str(key) else f"{path}.{key}" if path else str(key)
        yield from _all_suspects(str(key), kind, is_named, place)
        if kind is Kind.NAME and isinstance(held, str) and is_named(path, place) and is_literal_secret(str(key), held):
            yield place, str(key)
        yield from _all_suspects(held, kind, is_named, place)
