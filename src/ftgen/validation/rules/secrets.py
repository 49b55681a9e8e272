"""Rules that find secrets in a manifest, because everyone reads what is committed, and nobody can take it back.

The likeliest leak is a value that an interpolation resolved from the environment, wherever it ends up: in a variable,
an argument, an annotation, or the trainer's YAML inside a variable.  So the rules search every text.  A finding never
repeats the secret.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from msgspec.structs import replace

from ftgen.config.trace import EnvironmentRead
from ftgen.diagnostics import Diagnostic, Severity, error
from ftgen.diagnostics.credentials import Kind, find_secrets, is_literal_secret, is_reference
from ftgen.spec import knows
from ftgen.validation import Finding, rule, validate
from ftgen.validation.rules import ENVIRONMENT, SECRETS

_TRUSTED = ('["ftgen.dev/config-digest"]',)
_OWN_KEYS = ("metadata.annotations", "metadata.labels", ".volumeAttributes", ".flexVolume.options")
"""Ends of the paths of mappings whose keys the user or a driver chooses; a ConfigMap's data is another."""

_SPELLING = "{secret: NAME, key: KEY}"
_REPLACE = "then replace it, for it was written down"
_REFER = (
    f"keep it in a Secret of the namespace and refer to it: hardware.env.NAME={_SPELLING} in the configuration, "
    f"valueFrom.secretKeyRef in a manifest; {_REPLACE}"
)
_OPENED_BY = {
    "model.url": "cluster.git.secret",
    "model.output_url": "cluster.git.secret",
    "dataset.url": "cluster.git.secret",
    "cluster.git.url": "cluster.git.secret",
    "tracking.uri": "tracking.login.secret",
}
"""Keys of the configuration that hold a URL, and what names the Secret with user and token or password for it."""


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
    Write: a Secret, referred to with `secretKeyRef`; a URL without its user, and the name of a Secret that holds user
    and token in `cluster.git.secret`, of MLflow in `tracking.login.secret`.
    """
    for path, form in _secrets(manifest, Kind.FORM, _is_users_field):
        yield Finding(f"{path} holds {form}", path, "", _REFER)


@rule("FT442", "literal-secret", on=SECRETS)
def literal_secret(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A variable, a setting or an option named like a secret has a literal value.

    Switches, numbers, paths, placeholders, references such as `$(TOKEN)` and names of Secrets are no secrets.

    Refused: `{name: HF_TOKEN, value: …}`, `hub_token: …` in the trainer's YAML, `--token …` among the arguments, or
    `export PGPASSWORD=…` in a script.
    Write: `hardware.env.HF_TOKEN={secret: NAME, key: KEY}` in the configuration, which becomes
    `valueFrom: {secretKeyRef: …}` in the manifest; in a script, read the variable.
    """
    for path, name in _secrets(manifest, Kind.NAME, _is_users_field):
        yield Finding(f"{name} has a literal value", path, "", _REFER)


@rule("FT443", "random-text", Severity.WARNING, on=SECRETS)
def random_text(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A word looks like a random secret: long, of mixed characters, without a pattern.

    Digests in hex are not meant; nor are paths and image names.

    Refused: forty random base64 characters in a variable.
    Write: a Secret, referred to with `secretKeyRef`.
    """
    for path, _ in _secrets(manifest, Kind.RANDOM, _is_users_field):
        if not path.endswith(_TRUSTED):
            yield Finding(f"{path} holds what looks like a random secret", path, "", _REFER)


@rule("FT286", "secret-from-environment", on=ENVIRONMENT)
def secret_from_environment(reads: Iterable[EnvironmentRead]) -> Iterator[Finding]:
    """A value is taken from an environment variable that is named like a secret.

    `${oc.env:…}` is resolved where ftgen runs, and the value is written into the manifest in clear text, whatever
    key it is given to.

    Refused: `tracking.run_name=${oc.env:HF_TOKEN}`.
    Write: a Secret in the cluster, and `hardware.env.HF_TOKEN={secret: NAME, key: KEY}`.
    """
    for read in reads:
        if is_literal_secret(read.variable, read.value) and not _names_a_secret(read.key):
            headline = f"{read.key} would hold in clear text what the environment variable {read.variable} holds"
            help_ = f"keep it in a Secret of the cluster: hardware.env.{read.variable}={_SPELLING}"
            yield Finding(headline, read.key, "", help_)


def scan(manifest: Mapping[str, Any], clean: Mapping[str, Any] | None = None) -> list[Diagnostic]:
    """Return a diagnostic for each secret in a manifest; none repeats its secret.

    Parts that are the same objects as in `clean`, a manifest without secrets, are not searched again.
    """
    return validate(SECRETS, manifest) if _is_suspicious(manifest, clean) else []


def attribute_to_keys(found: list[Diagnostic], config: Mapping[str, Any]) -> list[Diagnostic]:
    """Replace findings in a manifest by findings in the configuration, if keys of it break the same rules.

    One key shows in many places of a manifest: its variable, the trainer's YAML, the annotation that rebuilds the job.
    Findings of a rule that no key breaks, such as those in an overlay's text, keep their place in the manifest.
    """
    keys_of = {code: list(dict.fromkeys(_keys(code, config))) for code in {d.code for d in found}}
    kept = [d for d in found if not keys_of[d.code]]
    first = {d.code: d for d in reversed(found)}
    return kept + [
        replace(first[code], subject=key, headline=f"{key} {problem}", help=_fix(key, problem))
        for code, keys in sorted(keys_of.items())
        for key, problem in keys
    ]


def in_value(key: str, value: Any) -> list[Diagnostic]:
    """Return an error for each secret that a key of the configuration would hold with a value, in no job yet."""
    if not _is_suspicious({key.rpartition(".")[2]: value}):
        return []
    config = value
    for step in reversed(key.split(".")):
        config = {step: config}
    codes = [rule.code for rule in (known_secret, literal_secret)]
    return [error(code, f"{at} {what}", at, "", _fix(at, what)) for code in codes for at, what in _keys(code, config)]


def _fix(key: str, problem: str) -> str:
    """Return the edit that takes a secret out of a key of the configuration."""
    if key in _OPENED_BY and problem.endswith("in a URL"):
        how = f"take the user out of the URL, and name a Secret that holds it and its token in {_OPENED_BY[key]}"
        return f"{how}; then replace the token, if the URL held one, for it was written down"
    is_variable = key.startswith("hardware.env.")
    return f"keep it in a Secret of the namespace, and write {key}={_SPELLING}; {_REPLACE}" if is_variable else _REFER


_KINDS_AND_PROBLEMS = {
    known_secret.code: (Kind.FORM, "holds {}"),
    literal_secret.code: (Kind.NAME, "has a literal value"),
    random_text.code: (Kind.RANDOM, "holds what looks like a random secret"),
}


def _keys(code: str, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys of the configuration that break a rule, each with its problem."""
    if code in _KINDS_AND_PROBLEMS:
        kind, problem = _KINDS_AND_PROBLEMS[code]
        yield from ((key, problem.format(name)) for key, name in _secrets(config, kind, _is_users_key))


def _is_users_key(_: str, key: str) -> bool:
    """Return whether the user chose a key of the configuration: no setting of ftgen itself is a secret."""
    return not knows(key)


def _is_users_field(parent: str, _: str) -> bool:
    """Return whether the user or a driver chose a key of a manifest, by the path of its mapping."""
    return parent in {"data", "parameters"} or parent.endswith(_OWN_KEYS)


def _names_a_secret(key: str) -> bool:
    """Return whether the value of a key is the name of a Secret: `cluster.git.secret`."""
    return key.endswith(".secret")


# Most manifests are clean, and the jobs of a sweep share most of their text: each text is searched once, and paths
# are computed only for a manifest in which some text may break a rule.


def _is_suspicious(value: object, clean: object = None) -> bool:
    """Return whether a rule may find a secret; False is certain."""
    if value is clean:
        return False
    if isinstance(value, dict):
        return _has_suspicious(value, clean if isinstance(clean, dict) else {})
    if isinstance(value, list):
        known = clean[: len(value)] if isinstance(clean, list) else []
        for part, other in zip_longest(value, known):
            if part is not other and _is_suspicious(part, other):
                return True
        return _is_command(value)
    return isinstance(value, str) and bool(find_secrets(value))


def _has_suspicious(mapping: Mapping[Any, Any], clean: Mapping[Any, Any]) -> bool:
    if "value" in mapping and is_literal_secret(str(mapping.get("name")), str(mapping["value"])):
        return True
    # A plain loop for speed: it walks every job of a sweep.
    for key, part in mapping.items():
        if isinstance(part, str):
            # Also a text that `clean` has, as `kind: Secret` is harmless only without data.
            if _is_suspicious_entry(key, part):
                return True
        elif part is not (known := clean.get(key, _ABSENT)) and (find_secrets(str(key)) or _is_suspicious(part, known)):
            return True
    return False


_ABSENT = object()


@lru_cache(maxsize=8192)
def _is_suspicious_entry(key: object, text: str) -> bool:
    return (key == "kind" and text == "Secret") or bool(
        is_literal_secret(str(key), text) or find_secrets(text) or find_secrets(str(key))
    )


def _is_command(items: Sequence[Any]) -> bool:
    return bool(_in_command(items))


def _in_command(items: Sequence[Any]) -> tuple[tuple[int, Kind, str], ...]:
    """Return the secrets in a list of words that has options, or logs in: position, kind, and name or form of each."""
    if not all(isinstance(item, str) for item in items) or not any(map(_begins_secret, items)):
        return ()
    # A script of several lines is searched by itself.
    return _in_words(tuple("" if "\n" in item else item for item in items))


def _begins_secret(word: str) -> bool:
    """Return whether the word after a word may be secret: after an option, `wandb login`, `mc alias set`."""
    return word.startswith("-") or word in {"login", "alias"}


@lru_cache(maxsize=1024)
def _in_words(words: tuple[str, ...]) -> tuple[tuple[int, Kind, str], ...]:
    found = []
    quoted = [shlex.quote(word) for word in words]
    for secret in find_secrets(" ".join(quoted)):
        index = next(i for i in range(len(quoted)) if secret.start < sum(map(len, quoted[: i + 1])) + i + 1)
        found.append((index, secret.kind, secret.what))
    return tuple(found)


def _secrets(
    value: object, kind: Kind, is_named: Callable[[str, str], bool], path: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield the path of each secret of a kind in plain mappings and lists, with its name or form; each pair once.

    Args:
        value: a manifest or a configuration.
        kind: reason why a text counts as a secret.
        is_named: returns whether an entry's key names its value, by the path of its mapping and its own path.
        path: path of the value.
    """
    yield from dict.fromkeys(_all_secrets(value, kind, is_named, path))


def _all_secrets(
    value: object, kind: Kind, is_named: Callable[[str, str], bool], path: str
) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield from ((path, secret.what) for secret in find_secrets(value) if secret.kind is kind)
    elif isinstance(value, Mapping):
        yield from _in_mapping(value, kind, is_named, path)
    elif isinstance(value, list):
        yield from ((f"{path}[{index}]", what) for index, found, what in _in_command(value) if found is kind)
        for index, part in enumerate(value):
            yield from _all_secrets(part, kind, is_named, f"{path}[{index}]")


def _in_mapping(
    value: Mapping[Any, Any], kind: Kind, is_named: Callable[[str, str], bool], path: str
) -> Iterator[tuple[str, str]]:
    if is_reference(value):
        return
    name, text = value.get("name"), value.get("value")
    if kind is Kind.NAME and isinstance(name, str) and isinstance(text, str) and is_literal_secret(name, text):
        yield f"{path}.value", name
    for key, part in value.items():
        child = f"{path}[{json.dumps(key)}]" if "." in str(key) else f"{path}.{key}" if path else str(key)
        yield from _all_secrets(str(key), kind, is_named, child)
        if kind is Kind.NAME and isinstance(part, str) and is_named(path, child) and is_literal_secret(str(key), part):
            yield child, str(key)
        yield from _all_secrets(part, kind, is_named, child)
