"""Closed JSON Schemas of the kinds ftgen meets, and how to walk them.

A CRD as published forgives unknown fields: the API server prunes them and the job runs without what its
author meant.  The schemas here are *closed*: wherever the cluster would drop a field, they refuse it.

They lie in `schemas/<release>/<group>/<kind>_<version>.json` (the core group is `core`), each complete in
itself, so that editors and other validators can read them too.  `tools/derive_schemas.py` writes them with
`close_crd`, and so does an import of a cluster's own CRD: there is one way to close a schema.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftgen import files, project
from ftgen.diagnostics import Location, Rejected, error

if TYPE_CHECKING:
    import jsonschema_rs

Schema = dict[str, Any]
Kind = tuple[str, str]
"""`apiVersion` and `kind`, as a manifest writes them."""

RELEASES: Mapping[str, str] = {"1.12": "1.32", "1.14": "1.34", "1.15": "1.35"}
"""Known Volcano lines, oldest first, each with the Kubernetes line that its go.mod builds it from."""

DEFAULT = "1.12"
NEWEST = list(RELEASES)[-1]
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DELIVERY = ("argocd", "flux")
_VERSION = re.compile(r"v?(\d+)\.(\d+)([.-].*)?")
_API_VERSION = re.compile(r"(?:([a-z0-9]+(?:[-.][a-z0-9]+)*)/)?([a-z0-9]+)")
_LONGEST_NAME, _LONGEST_LABEL = 253, 63  # of a group and its version, of a kind
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*")


# --- finding -------------------------------------------------------------------------------------------


def release(version: str) -> str:
    """The known Volcano line for what a user wrote: `1.12`, `1.12.4`, `v1.15.0`, `newest`.

    A line between two known ones takes the older: its schema never allows a field the cluster lacks.

    Raises:
        ValueError: no version number, or one older than every known line.
    """
    if version == "newest":
        return NEWEST
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ValueError(f"{version!r} is no Volcano version; write one such as 1.12.4, or newest")
    wanted = int(match[1]), int(match[2])
    older = [line for line in RELEASES if _numbers(line) <= wanted]
    if not older:
        raise ValueError(f"Volcano {version} is older than any known line ({', '.join(RELEASES)})")
    return older[-1]


def _numbers(line: str) -> tuple[int, ...]:
    return tuple(int(part) for part in line.split("."))


def folders(volcano_version: str = DEFAULT, imported: Path | None = None) -> list[Path]:
    """Where schemas are looked for, first match wins: the user's own import, then the packaged releases."""
    line, packaged = release(volcano_version), project.schemas_dir()
    names = (f"volcano-{line}", f"kubernetes-{RELEASES[line]}", *_DELIVERY)
    return [*([imported] if imported else []), *(packaged / name for name in names)]


def imported(directory: Path) -> Path | None:
    """Where `ftgen schema import` puts a cluster's own schemas: `schemas/` in the working directory, if it is there."""
    own = files.resolved(directory / "schemas")
    return own if own.is_dir() and own != files.resolved(project.schemas_dir()) else None


def relative_path(api_version: str, kind: str) -> Path | None:
    """A kind's file below a release's folder; `None` when the two cannot name a kind."""
    match = _API_VERSION.fullmatch(api_version) if len(api_version) <= _LONGEST_NAME else None
    if match is None or not _KIND.fullmatch(kind) or len(kind) > _LONGEST_LABEL:
        return None
    return Path(match[1] or "core") / f"{kind.lower()}_{match[2]}.json"


@cache
def find(api_version: str, kind: str, volcano_version: str = DEFAULT, imported: Path | None = None) -> Schema | None:
    """The closed schema of a kind, or `None` when it is unknown; shared, so not to be written to."""
    file = relative_path(api_version, kind)
    if file is None:
        return None
    places = (folder / file for folder in folders(volcano_version, imported))
    found = next((place for place in places if files.is_there(place)), None)
    return _load(found) if found else None


@cache
def _load(file: Path) -> Schema:
    """A schema file; raises `Rejected` with FT019 where a user's own is none."""
    try:
        schema: Schema = json.loads(files.read(file, at_most=files.LARGEST_SOURCE))
        kind_of(schema)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
        raise _no_schema(file, problem) from None
    return schema


def _no_schema(file: Path, problem: Exception) -> Rejected:
    how = "import the cluster's own again: ftgen schema import CRD.yaml"
    said = str(getattr(problem, "strerror", None) or problem).partition("\n")[0]
    return Rejected(
        [error("FT019", f"{file} holds no schema of a kind: {said}", "", file, how).at(Location(str(file)))]
    )


@cache
def compiled(
    api_version: str, kind: str, volcano_version: str = DEFAULT, imported: Path | None = None
) -> jsonschema_rs.Validator | None:
    """The same schema compiled: `is_valid` takes microseconds; raises `Rejected` where it is none."""
    import jsonschema_rs  # noqa: PLC0415 - a native library, wanted only where something is validated

    schema = find(api_version, kind, volcano_version, imported)
    try:
        return None if schema is None else jsonschema_rs.validator_for(schema)
    except (ValueError, jsonschema_rs.ReferencingError) as problem:
        place_ = relative_path(api_version, kind) or Path()
        raise _no_schema((imported or project.schemas_dir()) / place_, problem) from None


def is_valid(manifest: Mapping[str, Any], volcano_version: str = DEFAULT, imported: Path | None = None) -> bool:
    """Whether the compiled schema of a manifest's kind accepts it; an unknown kind is accepted.

    Raises:
        ValueError: the manifest is no JSON value.
    """
    validator = compiled(manifest["apiVersion"], manifest["kind"], volcano_version, imported)
    return validator is None or bool(validator.is_valid(manifest))


def kinds(volcano_version: str = DEFAULT, imported: Path | None = None) -> list[Kind]:
    """Every known kind of a Volcano line and what goes with it, sorted."""
    found = (file for folder in folders(volcano_version, imported) for file in folder.glob("*/*.json"))
    return sorted({kind_of(_load(file)) for file in found})


def kind_of(schema: Schema) -> Kind:
    """The `apiVersion` and `kind` that a closed schema describes."""
    names = schema["properties"]
    return names["apiVersion"]["const"], names["kind"]["const"]


def is_native(api_version: str) -> bool:
    """Whether Kubernetes itself serves it, not a CRD: no group, or one without a domain of its own."""
    group = api_version.rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


# --- walking -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    """A place in a schema, walked in step with the manifest that the schema describes."""

    root: Schema
    here: Schema

    @classmethod
    def of(cls, schema: Schema) -> Node:
        """The place of the whole object."""
        return cls(schema, schema)

    def field(self, name: str) -> Node | None:
        """The place of a mapping's field; `None` where the schema says nothing about it."""
        known = self.here.get("properties", {}).get(name, self.here.get("additionalProperties"))
        return self._at(known)

    def item(self) -> Node | None:
        """The place of a list's items."""
        return self._at(self.here.get("items"))

    def at(self, *path: str | int) -> Node | None:
        """The place at the end of a manifest path; an index of any size stands for the list's items."""
        node: Node | None = self
        for step in path:
            node = node and (node.field(step) if isinstance(step, str) else node.item())
        return node

    def names(self) -> tuple[str, ...]:
        """The fields that a mapping declares."""
        return tuple(self.here.get("properties", ()))

    def list_keys(self) -> tuple[str, ...]:
        """What tells a list's items apart for the API server, e.g. `containerPort` and `protocol`."""
        return tuple(self.here.get("x-kubernetes-list-map-keys", ()))

    def merge_key(self) -> str | None:
        """What items of a list are merged by: its patch merge key, else the first of its list keys."""
        key: str | None = self.here.get("x-kubernetes-patch-merge-key")
        return key or next(iter(self.list_keys()), None)

    def _at(self, schema: object) -> Node | None:
        if not isinstance(schema, dict):
            return None
        target = schema.get("$ref")
        return Node(self.root, self.root["$defs"][target.removeprefix("#/$defs/")] if target else schema)


# --- closing -------------------------------------------------------------------------------------------

_KEPT = (
    "$ref",
    "const",
    "default",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "required",
    "type",
    "uniqueItems",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-patch-merge-key",
)
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_BASE64 = "^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$"
_NAMED = [{"required": ["name"]}, {"required": ["generateName"]}]


def close_crd(crd: Mapping[str, Any], metadata: Schema | None = None) -> dict[Kind, Schema]:
    """The closed schemas of every served version in a CustomResourceDefinition.

    `metadata` is the schema of ObjectMeta, which a CRD leaves to the API server; by default the packaged one.

    Raises:
        ValueError: the document is no CRD with a structural schema (apiextensions.k8s.io/v1).
    """
    if wrong := next(_structural().iter_errors(crd), None):
        where = ".".join(map(str, wrong.instance_path))
        told = wrong.message if len(wrong.message) <= _LONGEST_MESSAGE else wrong.message[:_LONGEST_MESSAGE] + "…"
        raise ValueError(f"no apiextensions.k8s.io/v1 CustomResourceDefinition: {where}: {told}")
    group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
    served = {
        f"{group}/{version['name']}": version["schema"]["openAPIV3Schema"]
        for version in crd["spec"]["versions"]
        if version.get("served", True)
    }
    meta = metadata or _packaged_meta()
    return {(name, kind): object_schema(name, kind, close(schema), meta) for name, schema in served.items()}


def object_schema(api_version: str, kind: str, schema: Schema, metadata: Schema, **defs: Schema) -> Schema:
    """A closed object schema made whole: its kind fixed, ObjectMeta put in, repeated parts shared."""
    properties = {
        **schema.get("properties", {}),
        "apiVersion": {"const": api_version},
        "kind": {"const": kind},
        "metadata": {**metadata, "anyOf": _NAMED},
    }
    required = sorted({*schema.get("required", ()), "apiVersion", "kind", "metadata"})
    whole = {**schema, "properties": properties, "required": required, "type": "object", **_CLOSED}
    return {"$schema": DIALECT, **(whole | {"$defs": defs} if defs else shared(whole))}


_LONGEST_MESSAGE = 300


@cache
def _structural() -> jsonschema_rs.Validator:
    """What of a CustomResourceDefinition is read here, as the API server would take it (JSONSchemaProps of v1)."""
    import jsonschema_rs  # noqa: PLC0415 - a native library, wanted only where something is validated

    return jsonschema_rs.validator_for(_CRD)


def _lists(item: object) -> Schema:
    return {"type": "array", "items": item}


def _all(names: Iterable[str], part: Schema) -> dict[str, Schema]:
    return {name: part for name in names}  # noqa: C420 - nobody writes to the part


_PROPS: Schema = {"$ref": "#/$defs/props"}
_CRD: Schema = {
    "$schema": DIALECT,
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["group", "names", "versions"],
            "properties": {
                "group": {"type": "string"},
                "names": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}},
                "versions": _lists(
                    {
                        "type": "object",
                        "required": ["name", "schema"],
                        "properties": {
                            "name": {"type": "string"},
                            "served": {"type": "boolean"},
                            "schema": {
                                "type": "object",
                                "required": ["openAPIV3Schema"],
                                "properties": {"openAPIV3Schema": _PROPS},
                            },
                        },
                    }
                ),
            },
        }
    },
    "$defs": {
        "props": {
            "type": "object",
            "properties": {
                **_all(("items", "not"), _PROPS),
                **_all(("allOf", "anyOf", "oneOf"), {**_lists(_PROPS), "minItems": 1}),
                "properties": {"type": "object", "additionalProperties": _PROPS},
                "additionalProperties": {"anyOf": [{"type": "boolean"}, _PROPS]},
                "type": {"enum": ["array", "boolean", "integer", "number", "object", "string"]},
                "$ref": False,
                **_all(("required", "x-kubernetes-list-map-keys"), _lists({"type": "string"})),
                "enum": {"type": "array"},
                "pattern": {"type": "string", "format": "regex"},
                **_all(("format", "x-kubernetes-list-type", "x-kubernetes-patch-merge-key"), {"type": "string"}),
                **_all(("minimum", "maximum"), {"type": "number"}),
                "multipleOf": {"type": "number", "exclusiveMinimum": 0},
                **_all(
                    (f"{bound}{what}" for bound in ("min", "max") for what in ("Items", "Length", "Properties")),
                    {"type": "integer", "minimum": 0},
                ),
                **_all(
                    (
                        *("exclusiveMinimum", "exclusiveMaximum", "nullable", "uniqueItems"),
                        *("x-kubernetes-embedded-resource", "x-kubernetes-int-or-string"),
                        "x-kubernetes-preserve-unknown-fields",
                    ),
                    {"type": "boolean"},
                ),
            },
        }
    },
}
_CLOSED = {"additionalProperties": False}


def close(schema: Mapping[str, Any]) -> Schema:
    """A structural schema with facts only, refusing what the API server would prune.

    What `allOf`, `anyOf`, `oneOf` and `not` hold stays open: by the rules of structural schemas they only
    narrow values and never declare fields.
    """
    facts = _kept(schema) | _narrowed(schema)
    facts |= {key: [_facts(branch) for branch in schema[key]] for key in _junctors(schema)}
    if "not" in schema:
        facts["not"] = _facts(schema["not"])
    if "items" in schema:
        facts["items"] = close(schema["items"])
    if "properties" in schema or schema.get("x-kubernetes-embedded-resource"):
        facts["properties"] = {name: close(part) for name, part in _fields(schema).items()}
        facts |= {} if schema.get("x-kubernetes-preserve-unknown-fields") else _CLOSED
    if isinstance(schema.get("additionalProperties"), dict):
        facts["additionalProperties"] = close(schema["additionalProperties"])
    return facts


def _kept(schema: Mapping[str, Any]) -> Schema:
    """The facts about a value itself; that a bound is no part of the range is a flag beside it in OpenAPI 3.0."""
    facts = {key: schema[key] for key in _KEPT if key in schema}
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if facts.pop(exclusive, False) and bound in facts:
            facts[exclusive] = facts.pop(bound)
    return facts


def _facts(schema: Mapping[str, Any]) -> Schema:
    """A value validation without prose; nothing is closed."""
    facts = _kept(schema)
    facts |= {key: [_facts(branch) for branch in schema[key]] for key in _JUNCTORS if key in schema}
    facts |= {key: _facts(schema[key]) for key in ("not", "items") if key in schema}
    if "properties" in schema:
        facts["properties"] = {name: _facts(part) for name, part in schema["properties"].items()}
    return facts


def _junctors(schema: Mapping[str, Any]) -> Iterator[str]:
    says_it_already = schema.get("x-kubernetes-int-or-string")
    yield from (key for key in _JUNCTORS if key in schema and not (key == "anyOf" and says_it_already))


def _fields(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The declared fields; a list of named pod templates, `tasks`, gets the key that Volcano leaves out."""
    implied = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    fields = {
        **(implied if schema.get("x-kubernetes-embedded-resource") else {}),
        **schema.get("properties", {}),
    }
    tasks = fields.get("tasks", {}).get("items", {}).get("properties", {})
    if {"name", "template"} <= tasks.keys():
        fields["tasks"] = {**fields["tasks"], "x-kubernetes-patch-merge-key": "name"}
    return fields


def _narrowed(schema: Mapping[str, Any]) -> Schema:
    """What the API server reads out of OpenAPI's own vocabulary, said in JSON Schema's."""
    facts: Schema = {}
    if schema.get("x-kubernetes-int-or-string"):
        facts["type"] = ["integer", "string"]
    elif schema.get("nullable") and "type" in schema:
        facts["type"] = [schema["type"], "null"]
    if schema.get("x-kubernetes-list-type") == "set":
        facts["uniqueItems"] = True
    if schema.get("format") in _RANGES:
        low, high = _RANGES[schema["format"]]
        facts |= {
            "minimum": max(low, schema.get("minimum", low)),
            "maximum": min(high, schema.get("maximum", high)),
        }
    if schema.get("format") == "byte":
        facts["pattern"] = _BASE64
    return facts


@cache
def _packaged_meta() -> Schema:
    config_map = find("v1", "ConfigMap")
    if config_map is None:
        raise FileNotFoundError(f"{project.schemas_dir()} lacks the schema of ConfigMap")
    return object_meta(config_map)


def object_meta(native: Schema) -> Schema:
    """The schema of ObjectMeta, taken out of one of Kubernetes' own kinds."""
    whole = _expanded(native["properties"]["metadata"], native["$defs"])
    return {key: value for key, value in whole.items() if key != "anyOf"}


def _expanded(part: Schema, defs: Mapping[str, Schema]) -> Schema:
    target = defs[part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else {}
    whole = {key: value for key, value in {**target, **part}.items() if key != "$ref"}
    return _changed(whole, "", lambda _, child: _expanded(child, defs))


def shared(schema: Schema) -> Schema:
    """The same schema with every object that it repeats written once, under `$defs`."""
    counts = Counter(_texts(schema, set()))
    defs: dict[str, Schema] = {}
    names: dict[str, str] = {}

    def referring(name: str, part: Schema) -> Schema:
        text = _text(part)
        if counts[text] <= 1:
            return _changed(part, name, referring)
        if text not in names:
            copy = _changed(part, name, referring)
            names[text] = _unused(name, defs)
            defs[names[text]] = copy
        return {"$ref": f"#/$defs/{names[text]}"}

    return {**referring("", schema), **({"$defs": defs} if defs else {})}


def _texts(schema: Schema, seen: set[str]) -> Iterator[str]:
    """The larger objects of a schema, as often as they occur; a repeated one is not entered again."""
    text = _text(schema)
    if text:
        yield text
    if text not in seen:
        seen |= {text} - {""}
        for part in _parts(schema):
            yield from _texts(part, seen)


def _parts(schema: Schema) -> Iterator[Schema]:
    yield from (schema[key] for key in _INNER if isinstance(schema.get(key), dict))
    yield from schema.get("properties", {}).values()


_WORTH_SHARING = 200  # characters of JSON; below it a reference saves nothing


def _text(schema: Schema) -> str:
    text = json.dumps(schema, sort_keys=True) if "properties" in schema else ""
    return text if len(text) > _WORTH_SHARING else ""


def _changed(schema: Schema, name: str, change: Callable[[str, Schema], Schema]) -> Schema:
    """A copy with each field's, item's and value's schema changed; items keep the name of their list."""
    inner = {key: change(name, schema[key]) for key in _INNER if isinstance(schema.get(key), dict)}
    if "properties" in schema:
        fields = sorted(schema["properties"].items())
        inner["properties"] = {field: change(field, part) for field, part in fields}
    return {**schema, **inner}


_INNER = ("items", "additionalProperties")


def _unused(name: str, taken: Mapping[str, Schema]) -> str:
    candidates = (name if number == 1 else f"{name}{number}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)


def dump(schema: Schema) -> str:
    """A schema as the text of its file: one key a line, sorted, so that releases compare line by line."""
    return json.dumps(schema, indent=0, sort_keys=True, ensure_ascii=False) + "\n"


# --- exporting -----------------------------------------------------------------------------------------


def openapi(*schemas: Schema) -> dict[str, Any]:
    """An OpenAPI document of these kinds for kustomize's `openapi.path`: lists merge there as in ftgen.

    It replaces kustomize's built-in schema as a whole, so it must hold every kind that is patched.
    """
    return {"definitions": {name: part for schema in schemas for name, part in _definitions(schema)}}


def _definitions(schema: Schema) -> Iterator[tuple[str, Schema]]:
    api_version, kind = kind_of(schema)
    group, _, version = api_version.rpartition("/")
    prefix = f"{api_version.replace('/', '.')}.{kind}"
    gvk = {"group": group, "version": version, "kind": kind}
    yield prefix, {**_merging(schema, prefix), "x-kubernetes-group-version-kind": [gvk]}
    for name, part in schema.get("$defs", {}).items():
        yield f"{prefix}.{name}", _merging(part, prefix)


def _merging(schema: Schema, prefix: str) -> Schema:
    """Only what kustomize reads: shapes, references and merge keys."""
    if "$ref" in schema:
        return {"$ref": f"#/definitions/{prefix}.{schema['$ref'].removeprefix('#/$defs/')}"}
    part: Schema = {"type": schema["type"]} if isinstance(schema.get("type"), str) else {}
    if key := Node.of(schema).merge_key():
        part |= {"x-kubernetes-patch-merge-key": key, "x-kubernetes-patch-strategy": "merge"}
    children = {key: schema[key] for key in (*_INNER, "properties") if isinstance(schema.get(key), dict)}
    return {**part, **_changed(children, "", lambda _, child: _merging(child, prefix))}
