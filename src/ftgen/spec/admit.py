"""Admission of a configuration: pydantic checks it, and each of pydantic's errors becomes a diagnostic."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ftgen.diagnostics import Diagnostic, Rejected, error, in_brackets, in_quotes
from ftgen.spec.cluster import Facts
from ftgen.spec.config import Spec
from ftgen.spec.keys import known_keys, refers
from ftgen.spec.tracking import BOTH_SET
from ftgen.spec.types import REFERENCE_FORM, REFERENCE_TAG, TEXT_TAG, SecretReference
from ftgen.text import kube

# Sections that are a union, and the values of `trainer.framework` and `tracking.report_to` that tell its members apart.
_UNIONS = frozenset({"trainer", "tracking"})
_UNION_TAGS = frozenset({"llamafactory", "command", "mlflow", "wandb", "tensorboard", "swanlab", "none"})
# Words for a type, by the first word of pydantic's error type, such as int_parsing.
_TYPE_NAMES = {
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "a mapping",
    "string": "text",
    "tuple": "a list",
}
_LONGEST_VALUE = 60
_HIDDEN = "***"
"""What is shown in place of a value that is no reference to a Secret: it may be the secret itself."""


def admit(config: Mapping[str, Any]) -> Spec:
    """Return the configuration as a `Spec`.

    Raises:
        Rejected: with one FT1xx diagnostic for every key whose value has the wrong shape, by its dotted key.
    """
    try:
        return Spec.model_validate(config)
    except ValidationError as failure:
        problems: list[dict[str, Any]] = [dict(problem) for problem in failure.errors()]
        raise Rejected(_diagnosed(problems)) from None


def _diagnosed(problems: Sequence[dict[str, Any]]) -> list[Diagnostic]:
    """Translate pydantic's errors; a section that nobody chose an option for is one problem."""
    missing = {p["loc"] for p in problems if p["type"] == "missing"}
    is_chosen = ("serving", "kind") not in missing
    told = [_diagnose(p) for p in problems if is_chosen or p["loc"][:1] != ("serving",)]
    return told if is_chosen else [_NOT_CHOSEN, *told]


_NOT_CHOSEN = error(
    "FT104",
    "serving has no kind: no option of the group is chosen, and a training has none",
    "serving",
    help="leave serving out of a training, and write it behind `ftgen serve RUN` once there is a result; "
    "an option of your own says `kind: deployment` or `kind: kserve`",
)


def admit_facts(facts: Mapping[str, Any]) -> Facts:
    """Return a cluster's facts alone, to check manifests that no configuration made; raise like `admit`."""
    try:
        return Facts.model_validate(facts)
    except ValidationError as failure:
        problems: list[dict[str, Any]] = [dict(problem) for problem in failure.errors()]
        raise Rejected([_diagnose({**p, "loc": ("cluster", "facts", *p["loc"])}) for p in problems]) from None


def _diagnose(problem: dict[str, Any]) -> Diagnostic:  # noqa: PLR0911 - one for each kind of problem
    """Translate an error of pydantic, as a dict, to a diagnostic."""
    path = _key_path(problem["loc"])
    key = ".".join(path)
    is_hidden = refers(key) and _may_be_secret(problem["input"], problem["type"])
    value = "" if is_hidden else problem["input"]
    shown = _HIDDEN if is_hidden else repr(value)
    match problem["type"]:
        case "extra_forbidden":
            return error("FT101", f"unknown key {path[-1]!r}", key, value, _suggest_key(path))
        case "missing":
            return error("FT104", f"{key} is missing", key, "", f"set {key}")
        case "union_tag_invalid" | "union_tag_not_found":
            tag = str(problem["ctx"]["discriminator"]).strip("'")
            return error("FT103", f"{key}.{tag} must be {problem['ctx'].get('expected_tags', 'given')}", f"{key}.{tag}")
        case "literal_error":
            allowed = str(problem["ctx"]["expected"])
            return error("FT103", f"{key} cannot be {shown}", key, value, f"use {_suggest_value(value, allowed)}")
        case kind if kind == BOTH_SET:
            return error("FT105", f"{key} cannot stand beside tracking.token: {problem['msg']}", key, "", f"{key}=null")
        case "string_too_short" | "too_short":
            return error("FT103", f"{key} must not be empty", key, value)
        case kind if kind.endswith(("_type", "_parsing")) or kind in {"int_from_float", "is_instance_of"}:
            type_name = _TYPE_NAMES.get(kind.partition("_")[0])
            requirement = f"must be {type_name}" if type_name else _requirement(problem["msg"])
            if problem.get("ctx", {}).get("class_name") == SecretReference.__name__:
                requirement = f"must be {REFERENCE_FORM}"
            if TEXT_TAG in problem["loc"]:
                requirement += f" or {REFERENCE_FORM}"
            message = f"{key} {requirement}, not {_HIDDEN if is_hidden else _displayed(value)}"
            return error("FT102", message, key, value, "" if is_hidden else _suggest_spelling(value, type_name))
        case _:
            reason = str(problem.get("ctx", {}).get("error") or problem["msg"])
            return error("FT103", f"{key} cannot be {shown}: {_requirement(reason)}", key, value)


def _may_be_secret(value: object, kind: str) -> bool:
    """Return whether a value that is no reference to a Secret may be the secret, and no name in place of a list."""
    is_name = kind.startswith("tuple") and isinstance(value, str) and kube.is_dns1123_subdomain(value)
    return not is_name and isinstance(value, (str, int, float, list, dict)) and not isinstance(value, bool)


def _key_path(loc: tuple[str | int, ...]) -> list[str]:
    """Return the parts of the dotted key: `loc` without the tags that pydantic inserts for members of unions."""
    parts = [str(part) for part in loc]
    return [
        part
        for i, part in enumerate(parts)
        if part not in {TEXT_TAG, REFERENCE_TAG} and not (i == 1 and parts[0] in _UNIONS and part in _UNION_TAGS)
    ]


def _requirement(message: str) -> str:
    """Reword a message of pydantic as what the key requires: `must be …`."""
    return message.replace("Input should be", "must be").replace("Input", "it", 1)


def _displayed(value: object) -> str:
    """Return a value as YAML spells it, shortened to what is read at a glance."""
    text = (
        {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else repr(value)
    )
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _suggest_key(path: Sequence[str]) -> str:
    known = known_keys(path[:-1])
    if path[-1] in known:
        return f"remove it, or choose the option of {path[0]} that has it"
    near = difflib.get_close_matches(path[-1], known, 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else "remove it; run `ftgen schema` for the keys there are"


def _suggest_value(value: object, allowed: str) -> str:
    options = allowed.replace(" or ", ", ").replace("'", "").split(", ")
    near = difflib.get_close_matches(str(value), options, 1)
    return f"{near[0]!r} (one of {', '.join(options)})" if near else f"one of {', '.join(options)}"


def _suggest_spelling(value: object, type_name: str | None) -> str:
    """Suggest how to write the value so that YAML reads it as the required type; return "" where nothing helps."""
    if type_name == "text" and isinstance(value, (bool, int, float)):
        return in_quotes(_displayed(value))
    return in_brackets(value) if type_name == "a list" and isinstance(value, (str, int, float)) else ""
