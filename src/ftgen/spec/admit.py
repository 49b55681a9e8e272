"""Admission of a configuration: pydantic checks it, and each of pydantic's errors becomes a diagnostic."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.spec.cluster import Facts
from ftgen.spec.config import Spec
from ftgen.spec.keys import known_keys
from ftgen.spec.tracking import TWO_WAYS
from ftgen.spec.types import REFERENCE_FORM, REFERENCE_TAG, TEXT_TAG, SecretReference


def admit(config: Mapping[str, Any]) -> Spec:
    """The configuration as a `Spec`.

    Raises:
        Rejected: with one FT1xx diagnostic for every key of wrong shape, by its dotted key.
    """
    try:
        return Spec.model_validate(config)
    except ValidationError as failure:
        raise Rejected([_diagnose(dict(problem)) for problem in failure.errors()]) from None


def admit_facts(stated: Mapping[str, Any]) -> Facts:
    """A cluster's facts alone, for manifests that no configuration made; raises like `admit`."""
    try:
        return Facts.model_validate(stated)
    except ValidationError as failure:
        problems: list[dict[str, Any]] = [dict(problem) for problem in failure.errors()]
        raise Rejected([_diagnose({**p, "loc": ("cluster", "facts", *p["loc"])}) for p in problems]) from None


_TAGS = frozenset({"llamafactory", "mlflow", "none"} | {"command"})


def _diagnose(problem: dict[str, Any]) -> Diagnostic:  # noqa: PLR0911 - one for each kind of problem
    loc = _key_path(problem["loc"])
    key = ".".join(loc)
    value = problem["input"]
    match problem["type"]:
        case "extra_forbidden":
            return error("FT101", f"unknown key {loc[-1]!r}", key, value, _suggest(loc))
        case "missing":
            return error("FT104", f"{key} is missing", key, "", f"set {key}")
        case "union_tag_invalid" | "union_tag_not_found":
            tag = str(problem["ctx"]["discriminator"]).strip("'")
            return error("FT103", f"{key}.{tag} must be {problem['ctx'].get('expected_tags', 'given')}", f"{key}.{tag}")
        case "literal_error":
            allowed = str(problem["ctx"]["expected"])
            return error("FT103", f"{key} cannot be {value!r}", key, value, f"use {_closest(value, allowed)}")
        case kind if kind == TWO_WAYS:
            return error("FT105", f"{key} cannot stand beside tracking.token: {problem['msg']}", key, "", f"{key}=null")
        case "string_too_short" | "too_short":
            return error("FT103", f"{key} must not be empty", key, value)
        case kind if kind.endswith(("_type", "_parsing")) or kind in {"int_from_float", "is_instance_of"}:
            wanted = _TYPES.get(kind.partition("_")[0])
            told = f"must be {wanted}" if wanted else _lower(problem["msg"])
            if problem.get("ctx", {}).get("class_name") == SecretReference.__name__:
                told = f"must be {REFERENCE_FORM}"
            told += f" or {REFERENCE_FORM}" if TEXT_TAG in problem["loc"] else ""
            return error("FT102", f"{key} {told}, not {_shown(value)}", key, value, _retyped(value, wanted))
        case _:
            message = str(problem.get("ctx", {}).get("error") or problem["msg"])
            return error("FT103", f"{key} cannot be {value!r}: {_lower(message)}", key, value)


_TYPES = {
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "a mapping",
    "string": "text",
    "tuple": "a list",
}


def _shown(value: object) -> str:
    text = (
        {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else repr(value)
    )
    return text if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004 - what is read at a glance


def _retyped(value: object, wanted: str | None) -> str:
    """The edit that gives a value the wanted type, where there is one."""
    if wanted == "text" and isinstance(value, bool | int | float):
        return f'put it in quotes: "{_shown(value)}"'
    return f"write [{value}]" if wanted == "a list" and isinstance(value, str | int | float) else ""


def _key_path(loc: tuple[str | int, ...]) -> list[str]:
    """The dotted key: pydantic inserts the tag of a discriminated union after its field."""
    parts = [str(part) for part in loc]
    return [
        part
        for i, part in enumerate(parts)
        if part not in {TEXT_TAG, REFERENCE_TAG}
        and not (i == 1 and parts[0] in {"trainer", "tracking"} and part in _TAGS)
    ]


def _lower(message: str) -> str:
    return message.replace("Input should be", "must be").replace("Input", "it", 1)


def _closest(value: object, expected: str) -> str:
    options = expected.replace(" or ", ", ").replace("'", "").split(", ")
    near = difflib.get_close_matches(str(value), options, 1)
    return f"{near[0]!r} (one of {', '.join(options)})" if near else f"one of {', '.join(options)}"


def _suggest(loc: Sequence[str]) -> str:
    near = difflib.get_close_matches(loc[-1], known_keys(loc[:-1]), 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else "remove it; run `ftgen schema` for the keys there are"
