"""`ftgen schema [GROUP]`: print the JSON Schema of the configuration, for editors; `ftgen schema import CRD.yaml`.

The configuration that `spec` admits is complete, typed and resolved.  A file of `conf/` is a part of it: every key
is optional, and an interpolation (`${…}`) or a missing value (`???`) may stand for any value.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftgen import schema, spec
from ftgen.cli import output, writing
from ftgen.cli.arguments import Arguments, Usage
from ftgen.cli.vocabulary import UNIT
from ftgen.config import catalog
from ftgen.diagnostics import Diagnostic, Location, Rejected, error, note
from ftgen.text import yamlio

_ANY = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
# Sections of sweeps and of Hydra (sweeper parameters, search path), which are no part of a job.
_DIRECTIVES: dict[str, Any] = {"sweep": {"type": "object"}, "hydra": {"type": "object"}}
# An attribute of a section's docstring: its key, its unit if it has one, and what it means, on one line or several.
_ATTRIBUTE = re.compile(r"^    (\w+)(?: \((.+?)\))?: (.*(?:\n {5,}.*)*)$", re.MULTILINE)


def run(arguments: Arguments) -> int:
    """Print the schema of a configuration file, or import the schemas of a cluster's CRDs."""
    words = arguments.overrides
    if words[:1] == ("import",):
        return _import(words[1:], arguments)
    if len(words) > 1:
        raise Usage("schema takes one group")
    print(text(words[0] if words else "", arguments.search_path()), end="")  # noqa: T201
    return 0


def text(group: str, search_path: Sequence[Path], more: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """Return the schema of a file of a group, or of the primary configuration, as text.

    Args:
        group: see `of_file`.
        search_path: the folders of the options.
        more: further options by group, which no folder has yet.
    """
    options = {**catalog.groups(search_path), **catalog.nested_groups(search_path)}
    options |= {name: dict(sorted({**options.get(name, {}), **own}.items())) for name, own in (more or {}).items()}
    file_schema = of_file(group, options, catalog.packages(search_path, group) if group else ())
    return json.dumps(file_schema, indent=2, ensure_ascii=False) + "\n"


# --- the configuration ---------------------------------------------------------------------------------


def documented() -> dict[str, Any]:
    """Return the schema of a complete, resolved configuration, with a description of every key (draft 2020-12)."""
    bare = spec.json_schema()
    defs = {name: _described(section) for name, section in bare.pop("$defs").items()}
    head = {"$schema": schema.DIALECT, "title": "ftgen configuration"}
    return {**head, **_described(bare), "$defs": dict(sorted(defs.items()))}


def of_file(group: str, options: Mapping[str, Mapping[str, str]], packages: Sequence[str] = ()) -> dict[str, Any]:
    """Return the schema of a file: an option of a group, or the primary configuration without a group.

    Args:
        group: name of the group; a nested group (`trainer/base`) holds parts of the same section.
        options: the options of each group, for the defaults list.
        packages: the dotted keys that such a file may set, where these are not the group's path.

    Raises:
        Rejected: when there is no such group.
    """
    whole = documented()
    section = group.split("/", 1)[0]
    if section and section not in {*options, *whole["properties"]}:
        near = difflib.get_close_matches(section, options, 1)
        hint = f"did you mean {near[0]}?" if near else f"the groups are {', '.join(options)}"
        raise Rejected([error("FT011", f"there is no group {section!r}", section, help=hint)])
    defs = {name: _lenient(definition) for name, definition in whole["$defs"].items()}
    contents = [_content(package, whole, defs) for package in packages or [group.replace("/", ".")]]
    return {
        "$schema": schema.DIALECT,
        "title": f"ftgen {group} option" if group else whole["title"],
        **(contents[0] if len(contents) == 1 else {"anyOf": contents}),
        "$defs": {**defs, "defaults": _defaults_list(options, group)},
    }


def _content(package: str, whole: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a file whose content is at a dotted key."""
    section, *inner = package.split(".")
    part = whole["properties"].get(section, _DIRECTIVES.get(section, {}))
    for name in inner:
        part = _within(part, name, whole["$defs"])
    return _either(part, defs) if part else _top(whole)


def _top(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of the primary configuration, or of an experiment, which is merged over all of it."""
    top = _with_defaults(_lenient({key: whole[key] for key in ("type", "properties", "additionalProperties")}))
    top["properties"] |= _DIRECTIVES
    return {"description": whole["description"], **top}


def _within(part: dict[str, Any], name: str, defs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a nested group: of its key, or of the parent section where the group is no key."""
    keys = defs.get(part.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
    found: dict[str, Any] = keys.get(name, part)
    return found


def _either(part: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Add a defaults list to the keys of the section, or of each of its alternatives."""
    if part in _DIRECTIVES.values():
        return {**part, "properties": {"defaults": {"$ref": "#/$defs/defaults"}}}
    alternatives = part.get("oneOf") or part.get("anyOf") or [part]
    names = [each["$ref"].rpartition("/")[2] for each in alternatives if "$ref" in each]
    sections = [_with_defaults(defs[name]) for name in names]
    described = {"description": part["description"]} if "description" in part else {}
    return {**(sections[0] if len(sections) == 1 else {"anyOf": sections}), **described}


def _with_defaults(section: Mapping[str, Any]) -> dict[str, Any]:
    return {**section, "properties": {"defaults": {"$ref": "#/$defs/defaults"}, **section["properties"]}}


def _defaults_list(options: Mapping[str, Mapping[str, str]], group: str) -> dict[str, Any]:
    """Return the schema of a defaults list.

    Its entries are `- group: option`, `- override /group: option`, `- file@package` and `- _self_`.
    """
    relative = {
        name.removeprefix(f"{group}/"): names for name, names in options.items() if name.startswith(f"{group}/")
    }
    named = {**options, **relative}.items()
    chosen = {rf"^(optional |override )*/?{re.escape(name)}(@.*)?$": _choice(list(names)) for name, names in named}
    entry = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "patternProperties": {**chosen, **_UNLISTED},
        "additionalProperties": False,
    }
    return {
        "description": "What this file is made of, in merge order.",
        "type": "array",
        "items": {"anyOf": [{"type": "string", "pattern": "^[^_]|^_self_$"}, entry]},
    }


_UNLISTED: dict[str, Any] = {r"^(override )?/?hydra/": {}, r"^optional ": {}}
"""Entries whose groups no folder lists: Hydra's own, and those that need not be there."""


def _choice(names: list[str]) -> dict[str, Any]:
    choice = {"enum": names}
    return {"anyOf": [choice, {"type": "null"}, _ANY, {"type": "array", "items": choice}]}


def _described(section: Mapping[str, Any]) -> dict[str, Any]:
    """Move the attributes in a section's docstring to the descriptions and units of its keys."""
    summary, _, attributes = section.get("description", "").partition("\n\nAttributes:\n")
    prose = {name: _prose(unit, text) for name, unit, text in _ATTRIBUTE.findall(attributes)}
    fields = {
        name: {**prose.get(name, {}), **_untitled(field)} for name, field in section.get("properties", {}).items()
    }
    return {**_untitled(section), "description": summary, "properties": fields}


def _prose(unit: str, text: str) -> dict[str, str]:
    sentence = " ".join((text[:1].upper() + text[1:]).split())
    return {"description": sentence, **({UNIT: unit} if unit else {})}


def _untitled(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "title"}


def _lenient(section: Mapping[str, Any]) -> dict[str, Any]:
    """Make every key of a section optional, and allow an interpolation for every value."""
    fields = {name: _interpolated(field) for name, field in section.get("properties", {}).items()}
    return {**{k: v for k, v in section.items() if k != "required"}, "properties": fields}


def _interpolated(field: Mapping[str, Any]) -> dict[str, Any]:
    prose = {key: field[key] for key in ("description", "default", UNIT) if key in field}
    typed = {key: _inner(key, value) for key, value in field.items() if key not in {*prose, "discriminator"}}
    alternatives = typed.get("anyOf") or typed.pop("oneOf", None) or [typed]
    return {**prose, "anyOf": [*alternatives, _ANY]}


def _inner(key: str, value: Any) -> Any:
    """Allow interpolations for the values of a free mapping or list too."""
    return _interpolated(value) if key in {"additionalProperties", "items"} and isinstance(value, dict) else value


# --- a cluster's own resources -------------------------------------------------------------------------


def _import(files: tuple[str, ...], arguments: Arguments) -> int:
    if not files:
        raise Usage(
            "schema import takes the file of a CustomResourceDefinition: kubectl get crd jobs.batch.volcano.sh -o yaml"
        )
    read = [(Path(file), crd) for file in files for crd in _resources(Path(file))]
    found = {place.as_posix(): text.encode() for file, crd in read for place, text in _closed(file, crd)}
    writing.write(found, arguments.out(), arguments)
    notes = [_not_judged(file, crd, rules) for file, crd in read if (rules := schema.unjudged_rules(crd))]
    output.print_diagnostics(notes, arguments, to_stderr=arguments.flags.out == "-")
    return 0


def _not_judged(file: Path, crd: Any, rules: int) -> Diagnostic:
    counted = "1 validation" if rules == 1 else f"{rules} validations"
    headline = f"{counted} in CEL of {crd['spec']['names']['kind']}, which the API server judges, ftgen does not judge"
    return note("FT019", headline, value=file).at(Location(str(file), 1))


def _closed(file: Path, crd: Any) -> Iterator[tuple[Path, str]]:
    try:
        closed = schema.close_crd(crd)
    except (ValueError, AttributeError) as problem:
        raise Rejected([_no_crd(file, str(problem))]) from None
    for (api_version, kind), resource in closed.items():
        place = schema.relative_path(api_version, kind)
        if place is None:
            raise Rejected([_no_crd(file, f"{api_version} {kind} names no kind")])
        yield place, schema.dump(resource)


def _resources(file: Path) -> list[Any]:
    """Return the CRDs of a file, also those inside a list of the API server (`kind: List`)."""
    documents = yamlio.read_all(file)
    items = [item for d in documents for item in (d.get("items", [d]) if isinstance(d, dict) else [d])]
    crds = [item for item in items if isinstance(item, dict) and item.get("kind") == "CustomResourceDefinition"]
    if not crds:
        raise Rejected([_no_crd(file, "it holds no CustomResourceDefinition")])
    return crds


def _no_crd(file: Path, why: str) -> Diagnostic:
    command = "kubectl get crd jobs.batch.volcano.sh -o yaml > CRD.yaml"
    return error("FT019", f"{file} cannot be imported: {why}", value=file, help=command).at(Location(str(file), 1))
