"""Closed JSON Schemas of the kinds that ftgen reads and writes, and nodes to walk them.

A CRD as published accepts unknown fields: the API server prunes them, and the job runs without them.  The
schemas here are *closed*: they refuse every field that the cluster would prune.

The files are `schemas/<release>/<group>/<kind>_<version>.json` (the core group is `core`), each self-contained,
so that editors and other validators can read them too.  `tools/derive_schemas.py` and `ftgen schema import`
both write them with `close_crd`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec import Struct

from ftgen import runtime
from ftgen.diagnostics import Location, Rejected, error
from ftgen.schema import formats
from ftgen.text import files, parts

if TYPE_CHECKING:
    import jsonschema_rs

Schema = dict[str, Any]
Kind = tuple[str, str]
"""`apiVersion` and `kind` of a manifest."""
VOLCANO_JOB: Kind = ("batch.volcano.sh/v1alpha1", "Job")

RELEASES: Mapping[str, str] = {"1.12": "1.32", "1.13": "1.33", "1.14": "1.34", "1.15": "1.35"}
"""Known Volcano lines, oldest first, each with the Kubernetes line that its go.mod requires."""

DEFAULT = "1.12"
NEWEST = list(RELEASES)[-1]

KUBERNETES: tuple[str, ...] = ("1.28", "1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37")
"""Known Kubernetes lines, oldest first."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_OTHERS = ("argocd", "flux", "kserve")
_VERSION = re.compile(r"v?(\d{1,9})\.(\d{1,9})([.+-].*)?")
_API_VERSION = re.compile(r"(?:([a-z0-9]+(?:[-.][a-z0-9]+)*)/)?([a-z0-9]+)")
_LONGEST_NAME, _LONGEST_LABEL = 253, 63  # of a group and its version, of a kind
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*")


# --- finding -------------------------------------------------------------------------------------------


def release(version: str) -> str:
    """Return the known Volcano line of a version such as `1.12`, `1.12.4`, `v1.15.0` or `newest`.

    A line between two known ones gives the older: its schema never allows a field that the cluster lacks.

    Raises:
        ValueError: no version number, or one older than every known line.
    """
    return _nearest("Volcano", version, tuple(RELEASES), "1.12.4")


def kubernetes_release(version: str, volcano_version: str = DEFAULT) -> str:
    """Return the known Kubernetes line of a version such as `1.33`, `v1.34.2+k3s1` or `newest`.

    A line between two known ones gives the older, as with Volcano.  An empty version means that nobody has said: then
    it is the line that Volcano's release is built with.

    Raises:
        ValueError: no version number, or one older than every known line.
    """
    return _nearest("Kubernetes", version, KUBERNETES, "1.34") if version else RELEASES[release(volcano_version)]


def substitution(product: str, version: str, line: str) -> str:
    """Return the sentence that says that another line's schemas stand in for a version's; empty if they are its own."""
    if version in {"", "newest"} or _line_numbers(version) == _numbers(line):
        return ""
    return f"ftgen has no schemas of {product} {version}; those of {line}, the nearest older line, stand in for them"


def _nearest(product: str, version: str, lines: tuple[str, ...], example: str) -> str:
    if version == "newest":
        return lines[-1]
    wanted = _line_numbers(version)
    if wanted is None:
        raise ValueError(f"{version!r} is no {product} version; write one such as {example}, or newest")
    older = [line for line in lines if _numbers(line) <= wanted]
    if not older:
        raise ValueError(f"{product} {version} is older than any known line ({', '.join(lines)})")
    return older[-1]


def _line_numbers(version: str) -> tuple[int, ...] | None:
    match = _VERSION.fullmatch(version)
    return (int(match[1]), int(match[2])) if match else None


def _numbers(line: str) -> tuple[int, ...]:
    return tuple(int(part) for part in line.split("."))


def folders(volcano_version: str = DEFAULT, imported: Path | None = None, kubernetes_version: str = "") -> list[Path]:
    """Return the folders of schemas in search order: the user's own import, then the packaged releases."""
    line, packaged = release(volcano_version), runtime.schemas_dir()
    names = (f"volcano-{line}", f"kubernetes-{kubernetes_release(kubernetes_version, line)}", *_OTHERS)
    return [*([imported] if imported else []), *(packaged / name for name in names)]


def imported(directory: Path) -> Path | None:
    """Return the folder that `ftgen schema import` writes: `schemas/` in the working directory, if it exists.

    Raises:
        Rejected: FT501, it leads out of the repository.
    """
    own = files.resolved(files.unnamed_folder(directory / "schemas"))
    return own if own.is_dir() and own != files.resolved(runtime.schemas_dir()) else None


def relative_path(api_version: str, kind: str) -> Path | None:
    """Return the path of a kind's file below a release's folder; `None` if no kind can have these names."""
    match = _API_VERSION.fullmatch(api_version) if len(api_version) <= _LONGEST_NAME else None
    if match is None or not _KIND.fullmatch(kind) or len(kind) > _LONGEST_LABEL:
        return None
    return Path(match[1] or "core") / f"{kind.lower()}_{match[2]}.json"


@cache
def find(
    api_version: str,
    kind: str,
    volcano_version: str = DEFAULT,
    imported: Path | None = None,
    kubernetes_version: str = "",
) -> Schema | None:
    """Return the closed schema of a kind, `None` if it is unknown; the value is cached and must not be mutated."""
    path = relative_path(api_version, kind)
    if path is None:
        return None
    candidates = (folder / path for folder in folders(volcano_version, imported, kubernetes_version))
    found = next((file for file in candidates if files.is_there(file)), None)
    return _load(found) if found else None


@cache
def _load(file: Path) -> Schema:
    """Load a schema file; raise `Rejected` with FT019 if it holds no schema, as a user's own may not."""
    try:
        text = files.read(file, at_most=files.LARGEST_SOURCE)
        parts.refuse_json(text)
        schema: Schema = json.loads(text)
        kind_of(schema)
        if not file.is_relative_to(runtime.schemas_dir()):
            _refuse_growth(schema)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
        raise _no_schema(file, problem) from None
    return schema


_MOST_SUBSCHEMAS = 1_000_000
"""Most subschemas of a schema with all references followed: more than fifty times those of the largest packaged one."""
_REFERENCE = "#/$defs/"
_NAMED = ("$defs", "patternProperties", "properties")
_DATA = ("const", "default", "enum")


def _refuse_growth(schema: Schema) -> None:
    """Refuse a schema whose references lead back, or double so often that no validator comes to an end.

    Closed schemas refer to what they share, under `$defs`, and to nothing else.

    Raises:
        ValueError: a reference leads back or elsewhere, or there are too many subschemas.
    """
    defs = schema.get("$defs", {})
    sizes: dict[str, int] = {}

    def size(part: Schema) -> int:
        found = 1 + sum(map(size, _inner(part)))
        if isinstance(target := part.get("$ref"), str):
            found += size_of(target)
        if found > _MOST_SUBSCHEMAS:
            raise ValueError(f"its references come to more than {_MOST_SUBSCHEMAS} subschemas")
        return found

    def size_of(target: str) -> int:
        name = target.removeprefix(_REFERENCE)
        if name not in defs or not target.startswith(_REFERENCE):
            raise ValueError(f"{target} is no reference to its $defs")
        if name not in sizes:
            sizes[name] = _MOST_SUBSCHEMAS + 1
            sizes[name] = size(defs[name]) if isinstance(defs[name], dict) else 1
        return sizes[name]

    size(schema)


def _inner(schema: Schema) -> Iterator[Schema]:
    """Yield the subschemas that stand in a schema."""
    for key, value in schema.items():
        if key in {"$dynamicRef", "$recursiveRef"}:
            raise ValueError(f"{key} is no reference to its $defs")
        inner: Iterable[Any] = value if isinstance(value, list) else [value]
        if key in _NAMED and isinstance(value, dict):
            inner = value.values()
        yield from (part for part in inner if isinstance(part, dict) and key not in _DATA)


def _no_schema(file: Path, problem: Exception) -> Rejected:
    how = "import the cluster's own again: ftgen schema import CRD.yaml"
    reason = str(getattr(problem, "strerror", None) or problem).partition("\n")[0]
    return Rejected(
        [error("FT019", f"{file} holds no schema of a kind: {reason}", "", file, how).at(Location(str(file)))]
    )


@cache
def compiled(
    api_version: str,
    kind: str,
    volcano_version: str = DEFAULT,
    imported: Path | None = None,
    kubernetes_version: str = "",
) -> jsonschema_rs.Validator | None:
    """Compile the schema that `find` returns: a validation then takes microseconds; raise `Rejected` if it is none."""
    import jsonschema_rs  # noqa: PLC0415 - a native library, needed only for a validation

    schema = find(api_version, kind, volcano_version, imported, kubernetes_version)
    try:
        return None if schema is None else compile_schema(schema)
    except (ValueError, jsonschema_rs.ReferencingError) as problem:
        path = relative_path(api_version, kind) or Path()
        raise _no_schema((imported or runtime.schemas_dir()) / path, problem) from None


def compile_schema(schema: Schema) -> jsonschema_rs.Validator:
    """Compile a closed schema, with the formats that the API server judges.

    A pattern takes time linear in the text, as in the API server, and so can look neither around nor back.  A schema
    may come with a clone: what it refers to lies in itself, and nothing is fetched.
    """
    import jsonschema_rs  # noqa: PLC0415 - a native library, needed only for a validation

    return jsonschema_rs.validator_for(
        schema,
        formats=dict(formats.CHECKS),
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        retriever=_refuse_reference,
    )


def _refuse_reference(address: str) -> NoReturn:
    raise ValueError(f"{address} lies outside of the schema")


def matches(pattern: str, text: str) -> bool:
    """Return whether a schema's pattern occurs in a text, in time linear in the text.

    Patterns come from CRDs and clones; those of Python's `re` may take years for a text of fifty characters.
    """
    return bool(_pattern(pattern).is_valid(text))


@cache
def _pattern(pattern: str) -> jsonschema_rs.Validator:
    return compile_schema({"pattern": pattern})


def is_valid(
    manifest: Mapping[str, Any],
    volcano_version: str = DEFAULT,
    imported: Path | None = None,
    kubernetes_version: str = "",
) -> bool:
    """Whether the compiled schema of a manifest's kind accepts it; true for an unknown kind.

    Raises:
        ValueError: the manifest is no JSON value.
    """
    validator = compiled(manifest["apiVersion"], manifest["kind"], volcano_version, imported, kubernetes_version)
    return validator is None or bool(validator.is_valid(manifest))


def kinds(volcano_version: str = DEFAULT, imported: Path | None = None, kubernetes_version: str = "") -> list[Kind]:
    """Return every known kind of a Volcano line, its Kubernetes line, Argo CD, Flux and KServe, sorted."""
    searched = folders(volcano_version, imported, kubernetes_version)
    found = (file for folder in searched for file in folder.glob("*/*.json"))
    return sorted({kind_of(_load(file)) for file in found})


def kind_of(schema: Schema) -> Kind:
    """Return the `apiVersion` and `kind` that a closed schema describes."""
    names = schema["properties"]
    return names["apiVersion"]["const"], names["kind"]["const"]


def is_native(api_version: str) -> bool:
    """Whether Kubernetes itself serves the version, not a CRD: its group is empty, has no dot or ends in `.k8s.io`."""
    group = api_version.rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


# --- walking -------------------------------------------------------------------------------------------


class Node(Struct, frozen=True):
    """A node of a schema, walked in step with the manifest that the schema describes.

    Attributes:
        root: the whole schema, which holds the `$defs` that references resolve to.
        here: the subschema at this node.
    """

    root: Schema
    here: Schema

    @classmethod
    def of(cls, schema: Schema) -> Node:
        """Return the node of the whole object."""
        return cls(schema, schema)

    def field(self, name: str) -> Node | None:
        """Return the node of a mapping's field; `None` if the schema does not describe it."""
        known = self.here.get("properties", {}).get(name, self.here.get("additionalProperties"))
        return self._at(known)

    def item(self) -> Node | None:
        """Return the node of a list's items."""
        return self._at(self.here.get("items"))

    def at(self, *path: str | int) -> Node | None:
        """Return the node at a manifest path; any index leads to the list's items."""
        node: Node | None = self
        for step in path:
            node = node and (node.field(step) if isinstance(step, str) else node.item())
        return node

    def names(self) -> tuple[str, ...]:
        """Return the names of a mapping's declared fields."""
        return tuple(self.here.get("properties", ()))

    def list_keys(self) -> tuple[str, ...]:
        """Return the fields that identify a list's items for the API server, e.g. `containerPort` and `protocol`."""
        return tuple(self.here.get("x-kubernetes-list-map-keys", ()))

    def merge_key(self) -> str | None:
        """Return the field by which a list's items merge: its patch merge key, else the first of its list keys."""
        key: str | None = self.here.get("x-kubernetes-patch-merge-key")
        return key or next(iter(self.list_keys()), None)

    def _at(self, schema: object) -> Node | None:
        if not isinstance(schema, dict):
            return None
        target = schema.get("$ref")
        return Node(self.root, self.root["$defs"][target.removeprefix("#/$defs/")] if target else schema)


# --- closing -------------------------------------------------------------------------------------------

_CONSTRAINTS = (
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
_COMBINATORS = ("allOf", "anyOf", "oneOf")
_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_BASE64 = "^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$"
_HAS_NAME = [{"required": ["name"]}, {"required": ["generateName"]}]


def close_crd(crd: Mapping[str, Any], metadata: Schema | None = None) -> dict[Kind, Schema]:
    """Return the closed schema of every served version in a CustomResourceDefinition.

    `metadata` is the schema of ObjectMeta, which a CRD leaves to the API server; by default the packaged one.

    Raises:
        ValueError: the document is no CRD with a structural schema (apiextensions.k8s.io/v1).
    """
    if wrong := next(_structural().iter_errors(crd), None):
        where = ".".join(map(str, wrong.instance_path))
        message = wrong.message if len(wrong.message) <= _LONGEST_MESSAGE else wrong.message[:_LONGEST_MESSAGE] + "…"
        raise ValueError(f"no apiextensions.k8s.io/v1 CustomResourceDefinition: {where}: {message}")
    group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
    served = {
        f"{group}/{version['name']}": version["schema"]["openAPIV3Schema"]
        for version in crd["spec"]["versions"]
        if version.get("served", True)
    }
    meta = metadata or _packaged_meta()
    closed = {(name, kind): object_schema(name, kind, close(schema), meta) for name, schema in served.items()}
    for schema in closed.values():
        _refuse_patterns(schema)
    return closed


def _refuse_patterns(schema: Schema) -> None:
    """Refuse a schema with a pattern that the API server does not take, such as one that looks around."""
    try:
        compile_schema(schema)
    except ValueError as problem:
        raise ValueError(f"the API server does not take its schema: {str(problem).partition(chr(10))[0]}") from None


def object_schema(api_version: str, kind: str, schema: Schema, metadata: Schema, **defs: Schema) -> Schema:
    """Complete the closed schema of an object: fix its kind, insert ObjectMeta, share repeated parts."""
    properties = {
        **schema.get("properties", {}),
        "apiVersion": {"const": api_version},
        "kind": {"const": kind},
        "metadata": {**metadata, "anyOf": _HAS_NAME},
    }
    required = sorted({*schema.get("required", ()), "apiVersion", "kind", "metadata"})
    whole = {**schema, "properties": properties, "required": required, "type": "object"}
    return {"$schema": DIALECT, **(whole | {"$defs": defs} if defs else shared(whole))}


_LONGEST_MESSAGE = 300


@cache
def _structural() -> jsonschema_rs.Validator:
    """Compile the schema of the CRD fields that are read here, as the API server has it (JSONSchemaProps of v1)."""
    import jsonschema_rs  # noqa: PLC0415 - a native library, needed only for a validation

    return jsonschema_rs.validator_for(_CRD)


def _lists(item: object) -> Schema:
    return {"type": "array", "items": item}


def _all(names: Iterable[str], part: Schema) -> dict[str, Schema]:
    return {name: part for name in names}  # noqa: C420 - the shared part is never mutated


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


def unjudged_rules(schema: Any) -> int:
    """Count the validations in CEL of a CRD or a part of it, which its closed schema leaves to the API server."""
    if isinstance(schema, list):
        return sum(map(unjudged_rules, schema))
    if not isinstance(schema, dict):
        return 0
    rules = schema.get("x-kubernetes-validations")
    return (len(rules) if isinstance(rules, list) else 0) + sum(map(unjudged_rules, schema.values()))


def close(schema: Mapping[str, Any]) -> Schema:
    """Reduce a structural schema to its constraints, and close it against fields that the API server would prune.

    Schemas inside `allOf`, `anyOf`, `oneOf` and `not` stay open: by the rules of structural schemas they only
    narrow values and never declare fields.  A field with a default is never missing: the API server fills it in before
    it validates.
    """
    constraints = _own_constraints(schema, schema) | _translated(schema)
    constraints |= {key: [_constraints(branch, schema) for branch in schema[key]] for key in _combinators(schema)}
    if "not" in schema:
        constraints["not"] = _constraints(schema["not"], schema)
    if "items" in schema:
        constraints["items"] = close(schema["items"])
    if "properties" in schema or schema.get("x-kubernetes-embedded-resource"):
        constraints["properties"] = {name: close(part) for name, part in _fields(schema).items()}
    if isinstance(schema.get("additionalProperties"), dict):
        constraints["additionalProperties"] = close(schema["additionalProperties"])
    elif _is_pruned(schema):
        constraints |= _CLOSED
    return constraints


def _is_pruned(schema: Mapping[str, Any]) -> bool:
    """Return whether the API server drops undeclared fields of a value: those of any mapping that keeps none."""
    is_object = schema.get("type") == "object" and not schema.get("additionalProperties")
    is_declared = "properties" in schema or schema.get("x-kubernetes-embedded-resource")
    return bool(is_object or is_declared) and not schema.get("x-kubernetes-preserve-unknown-fields")


def _own_constraints(schema: Mapping[str, Any], declared: Mapping[str, Any]) -> Schema:
    """Return the constraints of a value itself; the exclusive flags of OpenAPI 3.0 become exclusive bounds.

    `declared` is the structural schema of the same value, whose fields may have defaults.
    """
    constraints = {key: schema[key] for key in _CONSTRAINTS if key in schema}
    if "required" in constraints:
        fields = declared.get("properties", {})
        constraints["required"] = [name for name in schema["required"] if fields.get(name, {}).get("default") is None]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if constraints.pop(exclusive, False) and bound in constraints:
            constraints[exclusive] = constraints.pop(bound)
    return constraints


def _constraints(schema: Mapping[str, Any], declared: Mapping[str, Any]) -> Schema:
    """Reduce a value validation to its constraints, without closing it; `declared` is its value's structural schema."""
    constraints = _own_constraints(schema, declared)
    branches = {key: schema[key] for key in _COMBINATORS if key in schema}
    constraints |= {key: [_constraints(branch, declared) for branch in each] for key, each in branches.items()}
    if "not" in schema:
        constraints["not"] = _constraints(schema["not"], declared)
    if "items" in schema:
        constraints["items"] = _constraints(schema["items"], declared.get("items", {}))
    if "properties" in schema:
        fields = declared.get("properties", {})
        parts = schema["properties"].items()
        constraints["properties"] = {name: _constraints(part, fields.get(name, {})) for name, part in parts}
    return constraints


def _combinators(schema: Mapping[str, Any]) -> Iterator[str]:
    has_both_types = schema.get("x-kubernetes-int-or-string")
    yield from (key for key in _COMBINATORS if key in schema and not (key == "anyOf" and has_both_types))


def _fields(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the declared fields; `tasks`, a list of named pod templates, gets the merge key that Volcano omits."""
    fields = {**schema.get("properties", {})}
    if schema.get("x-kubernetes-embedded-resource"):
        # The API server prunes nothing of an object's own metadata.
        metadata = {"type": "object", **fields.get("metadata", {}), "x-kubernetes-preserve-unknown-fields": True}
        fields = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, **fields, "metadata": metadata}
    tasks = fields.get("tasks", {}).get("items", {}).get("properties", {})
    if {"name", "template"} <= tasks.keys():
        fields["tasks"] = {**fields["tasks"], "x-kubernetes-patch-merge-key": "name"}
    return fields


def _translated(schema: Mapping[str, Any]) -> Schema:
    """Translate the constraints that OpenAPI and Kubernetes spell their own way into JSON Schema."""
    constraints: Schema = {}
    if schema.get("x-kubernetes-int-or-string"):
        constraints["type"] = ["integer", "string"]
    elif schema.get("nullable") and "type" in schema:
        constraints["type"] = [schema["type"], "null"]
    if schema.get("x-kubernetes-list-type") == "set":
        constraints["uniqueItems"] = True
    if schema.get("format") in _RANGES:
        low, high = _RANGES[schema["format"]]
        constraints |= {
            "minimum": max(low, schema.get("minimum", low)),
            "maximum": min(high, schema.get("maximum", high)),
        }
    if schema.get("format") == "byte":
        constraints["pattern"] = _BASE64
    return constraints


@cache
def _packaged_meta() -> Schema:
    config_map = find("v1", "ConfigMap")
    if config_map is None:
        raise FileNotFoundError(f"{runtime.schemas_dir()} lacks the schema of ConfigMap")
    return object_meta(config_map)


def object_meta(native: Schema) -> Schema:
    """Return the schema of ObjectMeta, taken from the schema of a native kind."""
    whole = _expanded(native["properties"]["metadata"], native["$defs"])
    return {key: value for key, value in whole.items() if key != "anyOf"}


def _expanded(part: Schema, defs: Mapping[str, Schema]) -> Schema:
    target = defs[part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else {}
    whole = {key: value for key, value in {**target, **part}.items() if key != "$ref"}
    return _changed(whole, "", lambda _, child: _expanded(child, defs))


def shared(schema: Schema) -> Schema:
    """Return the same schema with every repeated object written once, under `$defs`."""
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
    """Yield the larger objects of a schema as JSON text, once an occurrence; a repeated one is not entered again."""
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
    """Copy a schema with `change` applied to each field's, item's and value's schema; items get their list's name."""
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
    """Write a schema as the text of its file: one key a line, sorted, so that releases compare line by line."""
    return json.dumps(schema, indent=0, sort_keys=True, ensure_ascii=False) + "\n"


# --- exporting -----------------------------------------------------------------------------------------


def openapi(*schemas: Schema) -> dict[str, Any]:
    """Build the OpenAPI document of these kinds for kustomize's `openapi.path`, so that lists merge there as in ftgen.

    It replaces kustomize's built-in schema as a whole, so it must hold every kind that is patched.
    """
    return {"definitions": {name: part for schema in schemas for name, part in _definitions(schema)}}


def _definitions(schema: Schema) -> Iterator[tuple[str, Schema]]:
    api_version, kind = kind_of(schema)
    group, _, version = api_version.rpartition("/")
    prefix = f"{api_version.replace('/', '.')}.{kind}"
    gvk = {"group": group, "version": version, "kind": kind}
    yield prefix, {**_kustomize_part(schema, prefix), "x-kubernetes-group-version-kind": [gvk]}
    for name, part in schema.get("$defs", {}).items():
        yield f"{prefix}.{name}", _kustomize_part(part, prefix)


def _kustomize_part(schema: Schema, prefix: str) -> Schema:
    """Reduce a schema to what kustomize reads: types, references and merge keys."""
    if "$ref" in schema:
        return {"$ref": f"#/definitions/{prefix}.{schema['$ref'].removeprefix('#/$defs/')}"}
    part: Schema = {"type": schema["type"]} if isinstance(schema.get("type"), str) else {}
    if key := Node.of(schema).merge_key():
        part |= {"x-kubernetes-patch-merge-key": key, "x-kubernetes-patch-strategy": "merge"}
    children = {key: schema[key] for key in (*_INNER, "properties") if isinstance(schema.get(key), dict)}
    return {**part, **_changed(children, "", lambda _, child: _kustomize_part(child, prefix))}
