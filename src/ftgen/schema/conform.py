"""Validation of manifests against the closed Volcano and Kubernetes schemas.

A compiled schema decides, in microseconds.  Only for an invalid manifest does a slower validator, which keeps
every reason, explain all problems at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from ftgen import schema
from ftgen.diagnostics import Diagnostic, Severity, credentials, error, in_brackets, in_quotes, note, warning
from ftgen.schema import Node, Schema, formats, served
from ftgen.schema.version import version_of
from ftgen.text.paths import Steps, dotted, steps
from ftgen.text.paths import part as part_of

UNKNOWN_FIELD = "FT301"
WRONG_TYPE = "FT302"
WRONG_VALUE = "FT303"
MISSING_FIELD = "FT304"
UNKNOWN_KIND = "FT305"
DUPLICATE_ITEM = "FT306"
CODES = frozenset((UNKNOWN_FIELD, WRONG_TYPE, WRONG_VALUE, MISSING_FIELD, UNKNOWN_KIND, DUPLICATE_ITEM))

_Problem = Any
"""A jsonschema ValidationError; its stubs declare every attribute as possibly unset."""

_LONGEST = 60  # characters of a value in a message


class _Lines(NamedTuple):
    """Lines of Volcano and Kubernetes whose schemas decide, after the folder with the user's own."""

    volcano: str
    kubernetes: str
    imported: Path | None = None

    def find(self, api_version: str, kind: str) -> Schema | None:
        return schema.find(api_version, kind, self.volcano, self.imported, self.kubernetes)

    def is_valid(self, manifest: Mapping[str, Any]) -> bool:
        return schema.is_valid(manifest, self.volcano, self.imported, self.kubernetes)

    def first_refusal(self, manifest: Mapping[str, Any]) -> Any:
        names = manifest["apiVersion"], manifest["kind"]
        compiled = schema.compiled(*names, self.volcano, self.imported, self.kubernetes)
        return next(iter(compiled.iter_errors(manifest)), None) if compiled else None


def conform(
    manifest: Mapping[str, Any],
    *,
    volcano_version: str = schema.DEFAULT,
    kubernetes_version: str = "",
    imported: Path | None = None,
    allows_nulls: bool = True,
    clean: Any = None,
) -> list[Diagnostic]:
    """Validate a manifest against the schema of its kind.

    Args:
        manifest: plain JSON values.
        volcano_version: release whose CRDs decide, e.g. `1.12.4` or `newest`.
        kubernetes_version: release of the API server, e.g. `1.34` or `newest`.  If it is given, fields of pods within
            custom resources must be its own too: the API server drops the others when a controller makes the pods.  If
            empty, it is the line that Volcano's release is built with.
        imported: a folder with schemas of the user's own cluster, which take precedence.
        allows_nulls: whether a null that the API server drops is a warning; else it is an error, as in what ftgen
            writes, whose fields are those that live.
        clean: manifest of the same kind without any problem; parts that are its own objects have no duplicates.

    Returns:
        All problems in the manifest's order; FT305 alone if there is no schema of the kind: a note, or an error if
        the API server does not know the kind either.
    """
    api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return [_unnamed(manifest, name) for name in ("apiVersion", "kind") if not isinstance(manifest.get(name), str)]
    lines = _Lines(
        schema.release(volcano_version), schema.kubernetes_release(kubernetes_version, volcano_version), imported
    )
    closed = lines.find(api_version, kind)
    if closed is None:
        return [_unknown_kind(api_version, kind, volcano_version, kubernetes_version, lines)]
    try:
        valid = lines.is_valid(manifest)
    except ValueError:  # not a JSON value
        valid = False
    if not valid and (invalid_keys := list(non_string_keys(manifest))):
        return invalid_keys
    found = [] if valid else _refused(manifest, closed, lines)
    if not allows_nulls:
        found = [replace(d, severity=Severity.ERROR) for d in found]
    if kubernetes_version and not schema.is_native(api_version):
        reported = {d.subject for d in found}
        lost = _lost_in_pods(manifest, Node.of(closed), lines.kubernetes)
        found += [d for d in lost if d.subject not in reported]
    root = _keyed_root(api_version, kind, lines)
    found += _duplicates(manifest, root, clean=clean, warns=schema.is_native(api_version))
    found = _without_secrets(found, manifest) if found else []
    return sorted(dict.fromkeys(found), key=lambda d: _order(manifest, d.subject))


def _without_secrets(found: Sequence[Diagnostic], manifest: Mapping[str, Any]) -> list[Diagnostic]:
    """Redact what stands under the names of secrets: nobody can look again into a manifest from standard input."""
    known = credentials.secrets_in(manifest)

    def redact(text: str) -> str:
        return credentials.redact_sentence(text, known)

    if not known:
        return [*found]
    return [replace(d, headline=redact(d.headline), value=redact(d.value), help=redact(d.help)) for d in found]


# --- kinds ---------------------------------------------------------------------------------------------


def _unnamed(manifest: Mapping[str, Any], name: str) -> Diagnostic:
    if name in manifest:
        return error(WRONG_TYPE, f"{name} is {_shown(manifest[name])}, not text", name, _shown(manifest[name]))
    return error(MISSING_FIELD, f"{name} is missing: this is no Kubernetes object", name, help=f"add {name}")


def _unknown_kind(api_version: str, kind: str, version: str, kubernetes: str, lines: _Lines) -> Diagnostic:
    """Report an unknown kind: an error if all kinds of its group are known, else a note, as a CRD may define it."""
    known, since = served.knows(api_version), served.since(api_version, kind)
    if known and since is None:
        nearest = served.nearest(api_version, kind)
        headline = f"there is no {api_version} {kind}: the API server refuses it"
        return error(UNKNOWN_KIND, headline, "kind", kind, f"did you mean {nearest}?" if nearest else "")
    if since and version_of(version) < version_of(since):
        headline = f"Volcano {version} has no {api_version} {kind}: the API server refuses it"
        return error(UNKNOWN_KIND, headline, "kind", kind, f"Volcano {since} has it")
    if kubernetes and (has := _lines_with(api_version, kind)):
        headline = f"Kubernetes {lines.kubernetes} has no {api_version} {kind}: the API server refuses it"
        return error(UNKNOWN_KIND, headline, "kind", kind, f"Kubernetes {has[0]} has it")
    if known:
        cure = ""
    else:
        close = get_close_matches(
            f"{api_version} {kind}",
            [" ".join(e) for e in schema.kinds(version, lines.imported, lines.kubernetes)],
            1,
            0.85,
        )
        cure = f"did you mean {close[0]}?" if close else "import its CRD: ftgen schema import CRD.yaml"
    headline = f"there is no schema for {api_version} {kind}, so its fields are not checked"
    return note(UNKNOWN_KIND, headline, "kind", kind, cure)


def _lines_with(api_version: str, kind: str) -> list[str]:
    """Return the known lines of Kubernetes that serve one of its own kinds."""
    native = schema.KUBERNETES if schema.is_native(api_version) else ()
    return [line for line in native if schema.find(api_version, kind, kubernetes_version=line)]


def _later_lines(lines: _Lines, *, is_native: bool) -> Iterator[tuple[str, _Lines]]:
    """Yield each later line of the product that defines a kind, with its name."""
    if is_native:
        later = schema.KUBERNETES[schema.KUBERNETES.index(lines.kubernetes) + 1 :]
        yield from ((f"Kubernetes {line}", _Lines(lines.volcano, line)) for line in later)
    else:
        volcano = list(schema.RELEASES)
        later = tuple(volcano[volcano.index(lines.volcano) + 1 :])
        yield from ((f"Volcano {line}", _Lines(line, lines.kubernetes)) for line in later)


def non_string_keys(value: Any, path: Steps = (), clean: Any = None) -> Iterator[Diagnostic]:
    """Yield an error for each key that is no string: YAML allows it, but the API server takes JSON.

    Parts that are the same objects as in `clean`, a value without such keys, are not searched again.
    """
    if _has_other_keys(value, clean):
        yield from _non_string_keys(value, path)


def _has_other_keys(value: Any, clean: Any) -> bool:
    """Return whether a mapping in the value has a key that is no string; without paths, which few values need."""
    if isinstance(value, dict):
        known = clean if isinstance(clean, dict) else {}
        for key, part in value.items():
            if not isinstance(key, str):
                return True
            if isinstance(part, (dict, list)) and part is not known.get(key) and _has_other_keys(part, known.get(key)):
                return True
        return False
    for index, part in enumerate(value):
        if isinstance(part, (dict, list)):
            known = part_of(clean, index)
            if part is not known and _has_other_keys(part, known):
                return True
    return False


def _non_string_keys(value: Any, path: Steps) -> Iterator[Diagnostic]:
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        if not isinstance(key, str) and isinstance(value, dict):
            owner, text = dotted(path) or "the object", _shown(key)
            yield error(
                WRONG_TYPE,
                f"{owner} has a key that is no text: {text}",
                dotted(path),
                text,
                f'write "{text}"',
            )
        elif isinstance(part, (dict, list)):
            yield from _non_string_keys(part, (*path, key))


# --- nulls ---------------------------------------------------------------------------------------------


def without_nulls(value: Any) -> Any:
    """Return a value as the API server reads it: a key of a mapping that is null is not there."""
    if isinstance(value, dict):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def _nulls(value: Any, node: Node, path: Steps = ()) -> Iterator[Diagnostic]:
    """Warn of each null in a mapping that the schema describes.

    The API server drops a null, whether the field may be null or not; a required field is then missing.  What may
    hold anything keeps its nulls, and a time may be null (`creationTimestamp: null` of Go clients).
    """
    if isinstance(value, dict):
        for name, part in value.items():
            inner = node.field(name)
            if part is None and _is_dropped(node, name, inner):
                yield _null((*path, name), node, inner)
            elif inner:
                yield from _nulls(part, inner, (*path, name))
    elif isinstance(value, list) and (item := node.item()):
        for index, part in enumerate(value):
            yield from _nulls(part, item, (*path, index))


def _is_dropped(node: Node, name: str, inner: Node | None) -> bool:
    """Return whether a null is merely dropped: not kept, and not of a required field."""
    if inner is None:
        return node.here.get("additionalProperties") is False
    return bool(inner.here) and "null" not in inner.here.get("type", ()) and name not in node.here.get("required", ())


def _null(path: Steps, node: Node, inner: Node | None) -> Diagnostic:
    where, name = dotted(path), str(path[-1])
    if inner is None:
        owner, close = dotted(path[:-1]) or "the object", get_close_matches(name, node.names(), 1)
        headline = f"{owner} has no field {name}: `kubectl apply` drops the null; Flux and `kubectl create` are refused"
        return warning(UNKNOWN_FIELD, headline, where, "null", f"did you mean {close[0]}?" if close else "remove it")
    headline = f"{where} is null, which the API server drops{_taken(inner)}"
    return warning(WRONG_TYPE, headline, where, "null", "give it a value, or remove the key")


def _taken(node: Node) -> str:
    """Return the words for what a node takes; empty where its schema names no type."""
    wanted = node.here.get("type", ())
    names = [wanted] if isinstance(wanted, str) else wanted
    return f"; it takes {' or '.join(_TYPES[name] for name in names)}" if names else ""


# --- pods within custom resources ------------------------------------------------------------------------


def _lost_in_pods(value: Any, node: Node, kubernetes: str, path: Steps = ()) -> Iterator[Diagnostic]:
    """Report fields of pods, anywhere in a custom resource, that a line of Kubernetes does not have but another does.

    The custom resource keeps them, as its own schema has them; the API server drops them from each pod that the
    controller makes of it.
    """
    if {"containers", "volumes"} <= node.here.get("properties", {}).keys():
        yield from _lost(value, _lost_in(kubernetes), kubernetes, path)
    elif isinstance(value, dict):
        inner = ((name, part, node.field(name)) for name, part in value.items())
        yield from (d for name, part, at in inner if at for d in _lost_in_pods(part, at, kubernetes, (*path, name)))
    elif isinstance(value, list) and (item := node.item()):
        yield from (d for i, part in enumerate(value) for d in _lost_in_pods(part, item, kubernetes, (*path, i)))


_ITEM = "[]"
_Lost = dict[str, Any]
"""Fields that a line of Kubernetes lacks, each with a line that has it, below the fields and items that lead there."""


@cache
def _lost_in(kubernetes: str) -> _Lost:
    """Return the fields of pods that a line lacks and another has: the manifest is walked no further than these."""
    found: _Lost = {}
    for line in schema.KUBERNETES:
        if line != kubernetes:
            _join(found, _lacking(_pod_spec(kubernetes), _pod_spec(line), line, {}))
    return found


def _pod_spec(line: str) -> Node:
    node = Node.of(schema.find("v1", "Pod", kubernetes_version=line) or {}).field("spec")
    assert node is not None  # noqa: S101 - every line has pods
    return node


def _lacking(here: Node, there: Node, line: str, seen: dict[tuple[int, int], _Lost]) -> _Lost:
    """Return the fields of one node that another lacks; `seen` holds those of parts that the schemas share."""
    key = id(here.here), id(there.here)
    if key not in seen:
        seen[key] = {}
        inner = {name: (here.field(name), there.field(name)) for name in there.names()}
        inner[_ITEM] = here.item(), there.item()
        found = {
            name: line if mine is None else _lacking(mine, theirs, line, seen)
            for name, (mine, theirs) in inner.items()
            if theirs is not None
        }
        seen[key].update((name, each) for name, each in found.items() if each)
    return seen[key]


def _join(found: _Lost, more: _Lost) -> None:
    for name, each in more.items():
        if isinstance(each, dict) and isinstance(known := found.setdefault(name, {}), dict):
            _join(known, each)
        else:
            found.setdefault(name, each)


def _lost(value: Any, fields: _Lost, kubernetes: str, path: Steps) -> Iterator[Diagnostic]:
    if isinstance(value, dict):
        for name in value.keys() & fields.keys():
            if isinstance(inner := fields[name], dict):
                yield from _lost(value[name], inner, kubernetes, (*path, name))
            else:
                yield _lost_field((*path, name), value[name], kubernetes, inner)
    elif isinstance(value, list) and _ITEM in fields:
        yield from (d for i, part in enumerate(value) for d in _lost(part, fields[_ITEM], kubernetes, (*path, i)))


def _lost_field(path: Steps, value: Any, line: str, other: str) -> Diagnostic:
    headline = f"pods of Kubernetes {line} have no field {path[-1]}: the API server would drop it"
    return error(UNKNOWN_FIELD, headline, dotted(path), _shown(value), f"remove it; Kubernetes {other} has it")


# --- list items ----------------------------------------------------------------------------------------


class _KeyedNode:
    """A schema node in the search for duplicate items: keeps only children that lead to keyed lists, found once."""

    def __init__(self, node: Node) -> None:
        self.keys = node.list_keys()
        self._node = node
        self._inner: dict[str | None, _KeyedNode | None] = {}

    def field(self, name: str) -> _KeyedNode | None:
        """Return the node of a mapping's field; None if it leads to no keyed list."""
        if name not in self._inner:
            self._inner[name] = _keyed_node(self._node.field(name))
        return self._inner[name]

    def item(self) -> _KeyedNode | None:
        """Return the node of a list's items; None if they lead to no keyed list."""
        if None not in self._inner:
            self._inner[None] = _keyed_node(self._node.item())
        return self._inner[None]

    def default(self, key: str) -> Any:
        """Return the default value of an item's field."""
        declared = self._node.at(0, key)
        return declared.here.get("default") if declared else None


@cache
def _keyed_root(api_version: str, kind: str, lines: _Lines) -> _KeyedNode:
    return _KeyedNode(Node.of(lines.find(api_version, kind) or {}))


def _keyed_node(node: Node | None) -> _KeyedNode | None:
    return _KeyedNode(node) if node and _leads_to_keyed_list(node, set()) else None


def _leads_to_keyed_list(node: Node, seen: set[int]) -> bool:
    """Whether a node is or leads to a keyed list; `seen` holds ids of visited subschemas, as schemas may recurse."""
    if node.list_keys():
        return True
    if id(node.here) in seen:
        return False
    seen.add(id(node.here))
    # The empty name stands for every undeclared field: `additionalProperties` describes them all alike.
    inner = [*map(node.field, (*node.names(), "")), node.item()]
    return any(_leads_to_keyed_list(child, seen) for child in inner if child)


def _duplicates(
    value: Any, node: _KeyedNode, path: Steps = (), *, clean: Any, warns: bool = False
) -> Iterator[Diagnostic]:
    """Report items that a keyed list holds twice.

    The API server refuses them in custom resources (x-kubernetes-list-map-keys).  It accepts them in native kinds,
    where server-side apply drops all but one of the items; `warns` makes them warnings.
    """
    if value is clean:
        return
    if isinstance(value, dict):
        for name, part in value.items():
            if isinstance(part, (dict, list)) and (inner := node.field(name)):
                yield from _duplicates(part, inner, (*path, name), clean=part_of(clean, name), warns=warns)
    elif isinstance(value, list):
        yield from _repeated_keys(value, node, path, warns=warns)
        item = node.item()
        for index, part in enumerate(value if item else ()):
            if item and isinstance(part, (dict, list)):
                yield from _duplicates(part, item, (*path, index), clean=part_of(clean, index), warns=warns)


def _repeated_keys(items: Sequence[Any], node: _KeyedNode, path: Steps, *, warns: bool) -> Iterator[Diagnostic]:
    first: dict[tuple[str, ...], int] = {}
    for index, part in enumerate(() if _has_different_names(items, node.keys) else items):
        if not isinstance(part, dict):
            continue
        values = tuple(_key_text(part[key] if key in part else node.default(key)) for key in node.keys)
        if values in first:
            name = ", ".join(f"{key} {_shown(value)}" for key, value in zip(node.keys, values, strict=True))
            yield _duplicate(name, first[values], (*path, index, node.keys[0]), warns=warns)
        first.setdefault(values, index)


def _has_different_names(items: Sequence[Any], keys: Sequence[str]) -> bool:
    """Return whether the items differ in their only key, as most lists do, or whether the list has no key."""
    if len(keys) != 1:
        return not keys
    names = [part.get(keys[0]) if isinstance(part, dict) else None for part in items]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _key_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _duplicate(name: str, first: int, path: Steps, *, warns: bool) -> Diagnostic:
    where, earlier = dotted(path[:-2]), dotted((*path[:-2], first))
    report = warning if warns else error
    headline = f"{where} has two items with {name}"
    return report(DUPLICATE_ITEM, headline, dotted(path), name, f"remove this one or {earlier}")


# --- explanations --------------------------------------------------------------------------------------


def _refused(manifest: Mapping[str, Any], closed: Schema, lines: _Lines) -> list[Diagnostic]:
    """Return why a manifest is not valid, by what the API server reads of it."""
    nulls = list(_nulls(manifest, Node.of(closed)))
    read = without_nulls(manifest)
    is_valid = bool(nulls) and lines.is_valid(read)
    return nulls if is_valid else [*nulls, *_explained(read, closed, lines)]


def _explained(manifest: Mapping[str, Any], closed: Schema, lines: _Lines) -> list[Diagnostic]:
    try:
        problems = list(_explainer()(closed, format_checker=_format_checker()).iter_errors(manifest))
    except RecursionError:  # references of a schema may lead further than Python follows
        problems = []
    found = [d for problem in problems for d in _diagnosed(_likeliest(problem), manifest, lines)]
    refusal = None if found else lines.first_refusal(manifest)
    return [_unexplained(refusal)] if refusal else found


@cache
def _explainer() -> Any:
    """Return the validator that explains; no part of a schema reaches Python's `re`, which may never come back."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - slow to import; only failures need it
    from jsonschema.validators import extend  # noqa: PLC0415 - slow to import; only failures need it

    keywords = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "unevaluatedProperties": _left_unexplained,
    }
    return extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call]  # untyped in the stubs


def _format_checker() -> Any:
    from jsonschema import FormatChecker  # noqa: PLC0415 - slow to import; only failures need it

    checker = FormatChecker(formats=())
    checker.checkers = {name: (_judge(check), ()) for name, check in formats.CHECKS.items()}
    return checker


def _pattern(_: Any, pattern: str, value: Any, _here: Schema) -> Iterator[_Problem]:
    from jsonschema import ValidationError  # noqa: PLC0415 - slow to import; only failures need it

    if isinstance(value, str) and not schema.matches(pattern, value):
        yield ValidationError("pattern")


def _pattern_properties(explainer: Any, patterns: Mapping[str, Any], value: Any, _: Schema) -> Iterator[_Problem]:
    for pattern, part in patterns.items():
        for name in _matching(value, [pattern]):
            yield from explainer.descend(value[name], part, path=name, schema_path=pattern)


def _additional_properties(explainer: Any, wanted: Any, value: Any, here: Schema) -> Iterator[_Problem]:
    from jsonschema import ValidationError  # noqa: PLC0415 - slow to import; only failures need it

    extra = _undeclared(value, here) if isinstance(value, dict) else []
    if isinstance(wanted, dict):
        for name in extra:
            yield from explainer.descend(value[name], wanted, path=name)
    elif extra and not wanted:
        yield ValidationError("additionalProperties")


def _undeclared(value: Mapping[str, Any], here: Schema) -> list[str]:
    """Return the names of a mapping that its schema declares neither by name nor by pattern."""
    known = {*here.get("properties", ()), *_matching(value, here.get("patternProperties", ()))}
    return [name for name in value if name not in known]


def _matching(value: Any, patterns: Iterable[str]) -> Iterator[str]:
    """Yield the names of a mapping in which one of the patterns occurs."""
    names = value if isinstance(value, dict) else ()
    return (name for name in names if any(schema.matches(pattern, name) for pattern in patterns))


def _left_unexplained(*_: Any) -> tuple[()]:
    """Leave a keyword to the compiled schema: no closed schema has it."""
    return ()


def _unexplained(refusal: Any) -> Diagnostic:
    """Report what only the compiled schema refuses, in its words."""
    where = dotted(tuple(refusal.instance_path))
    return error(WRONG_VALUE, f"{where or 'the object'} does not fit its schema: {_shown(refusal.message)}", where)


def _judge(check: Callable[[str], bool]) -> Callable[[object], bool]:
    """Return a check of any value: a format is one of texts only."""
    return lambda value: not isinstance(value, str) or check(value)


def _order(manifest: Any, subject: str) -> tuple[int, ...]:
    """Return a sort key that orders subjects as the manifest does, from top to bottom."""
    positions, value = [], manifest
    for step in steps(subject):
        if isinstance(value, dict):
            positions.append(list(value).index(step) if step in value else len(value))
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            positions.append(step)
            value = value[step] if step < len(value) else None
    return tuple(positions)


def _likeliest(problem: _Problem) -> _Problem:
    """Return the deepest problem of the alternative that came closest, if all alternatives failed."""
    if problem.validator not in {"anyOf", "oneOf"} or _required_alternatives(problem) or not problem.context:
        return problem
    branches: dict[Any, list[_Problem]] = {}
    for failure in problem.context:
        branches.setdefault(failure.relative_schema_path[0], []).append(failure)
    best = min(branches.values(), key=lambda errors: (-max(len(e.relative_path) for e in errors), len(errors)))
    return _likeliest(max(best, key=lambda failure: len(failure.relative_path)))


def _required_alternatives(problem: _Problem) -> list[str]:
    """Return the fields of which one is required, if the alternatives constrain nothing else."""
    wanted = [branch.get("required") if branch.keys() == {"required"} else None for branch in problem.validator_value]
    return [name for names in wanted for name in names or ()] if all(wanted) else []


def _diagnosed(problem: _Problem, manifest: Any, lines: _Lines) -> Iterator[Diagnostic]:
    path = tuple(problem.absolute_path)
    match problem.validator:
        case "additionalProperties":
            extra = _undeclared(problem.instance, problem.schema)
            yield from (_unknown_field((*path, name), problem, manifest, lines) for name in extra)
        case "required":
            missing = (name for name in problem.validator_value if name not in problem.instance)
            yield from (_missing((*path, name)) for name in missing)
        case "anyOf" | "oneOf" if needs := _required_alternatives(problem):
            yield _one_of(path, problem, needs)
        case "type":
            yield _wrong_type(path, problem, is_native=schema.is_native(manifest["apiVersion"]))
        case _:
            yield _wrong_value(path, problem)


def _unknown_field(path: Steps, problem: _Problem, manifest: Any, lines: _Lines) -> Diagnostic:
    name, owner = str(path[-1]), dotted(path[:-1]) or str(manifest.get("kind"))
    known = list(problem.schema.get("properties", ()))
    is_native = schema.is_native(str(manifest["apiVersion"]))
    later = next(
        (name for name, each in _later_lines(lines, is_native=is_native) if _declared(manifest, path, each)), ""
    )
    close = get_close_matches(name, [each for each in known if each not in problem.instance], 1)
    if later:
        cure = f"remove it; {later} has it, {lines.kubernetes if is_native else lines.volcano} does not"
    elif close:
        cure = f"did you mean {close[0]}?"
    else:
        cure = f"remove it; {owner} has {_listed(known)}"
    headline = f"{owner} has no field {name}: the API server would drop it"
    return error(UNKNOWN_FIELD, headline, dotted(path), _shown(problem.instance[name]), cure)


def _declared(manifest: Mapping[str, Any], path: Steps, lines: _Lines) -> bool:
    later = lines.find(str(manifest["apiVersion"]), str(manifest["kind"]))
    return bool(later and Node.of(later).at(*path))


def _missing(path: Steps) -> Diagnostic:
    owner = dotted(path[:-1]) or "the object"
    return error(MISSING_FIELD, f"{owner} lacks {path[-1]}", dotted(path), help=f"add {path[-1]}")


def _one_of(path: Steps, problem: _Problem, names: list[str]) -> Diagnostic:
    owner, choice = dotted(path) or "the object", " or ".join(dict.fromkeys(names))
    if problem.validator == "anyOf" or not any(name in problem.instance for name in names):
        return error(MISSING_FIELD, f"{owner} lacks {choice}", dotted(path), help=f"add {choice}")
    return error(WRONG_VALUE, f"{owner} has more than one of {choice}", dotted(path), help="keep one of them")


_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}


def _wrong_type(path: Steps, problem: _Problem, *, is_native: bool) -> Diagnostic:
    wanted = [problem.validator_value] if isinstance(problem.validator_value, str) else problem.validator_value
    value, where, expected = problem.instance, dotted(path), " or ".join(_TYPES[name] for name in wanted)
    cure = _type_help(value, wanted, expected)
    if value is None and is_native and not {"object", "array"}.intersection(wanted):  # an item of a list
        headline = f"{where} is null, which the API server reads as empty; it takes {expected}"
        return warning(WRONG_TYPE, headline, where, _shown(value), cure)
    return error(WRONG_TYPE, f"{where} takes {expected}, not {_shown(value)}", where, _shown(value), cure)


def _type_help(value: Any, wanted: Sequence[str], expected: str) -> str:
    """Suggest the edit that gives a value one of the wanted types."""
    if value is None:
        return "give it a value, or remove it"
    if "string" in wanted and isinstance(value, (bool, int, float)):
        return in_quotes(_shown(value))
    if isinstance(value, str) and _reads_as(value, wanted):
        return f"remove the quotes: {value}"
    if wanted == ["array"] and not isinstance(value, dict):
        return in_brackets(_shown(value))
    return f"write {expected}"


def _reads_as(text: str, wanted: Sequence[str]) -> bool:
    patterns = {"integer": r"-?\d+", "number": r"-?\d+(\.\d+)?", "boolean": "true|false"}
    return any(re.fullmatch(patterns[name], text) for name in wanted if name in patterns)


def _wrong_value(path: Steps, problem: _Problem) -> Diagnostic:
    where, value, limit = dotted(path), problem.instance, problem.validator_value
    template = _VIOLATIONS.get(str(problem.validator), "does not fit the schema's {keyword}")
    violation = template.format(limit=_limit(limit), keyword=problem.validator)
    if _is_quantity(problem):
        violation = "is no quantity"
    return error(WRONG_VALUE, f"{where}: {_shown(value)} {violation}", where, _shown(value), _value_help(problem))


_VIOLATIONS = {
    "const": "is not {limit}",
    "enum": "is none of {limit}",
    "exclusiveMaximum": "is not below {limit}",
    "exclusiveMinimum": "is not above {limit}",
    "format": "is no {limit}",
    "maxItems": "has more than {limit} items",
    "maxLength": "is longer than {limit} characters",
    "maxProperties": "has more than {limit} entries",
    "maximum": "is above {limit}",
    "minItems": "has fewer items than {limit}",
    "minLength": "is shorter than the {limit} characters it needs",
    "minProperties": "has fewer entries than {limit}",
    "minimum": "is below {limit}",
    "multipleOf": "is no multiple of {limit}",
    "not": "is a combination that the schema forbids",
    "pattern": "does not match {limit}",
    "uniqueItems": "holds an item twice",
}


def _is_quantity(problem: _Problem) -> bool:
    """Whether a value breaks the pattern of Kubernetes' resource.Quantity, recognised by its binary suffixes."""
    return problem.validator == "pattern" and "[KMGTPE]i" in str(problem.validator_value)


def _limit(limit: Any) -> str:
    return _listed(limit) if isinstance(limit, list) else str(limit)


def _value_help(problem: _Problem) -> str:
    """Suggest the edit that gives an allowed value; empty if the schema does not name one."""
    value, limit = problem.instance, problem.validator_value
    if _is_quantity(problem):
        return "write a number with a suffix of Kubernetes' own, such as 500m, 8 or 16Gi"
    if problem.validator in {"const", "enum"}:
        allowed = [str(item) for item in (limit if isinstance(limit, list) else [limit])]
        folded = {text.lower(): text for text in allowed}
        close = get_close_matches(str(value).lower(), folded, 1)
        return f"did you mean {folded[close[0]]}?" if close else f"write one of {_listed(allowed)}"
    if problem.validator == "format":
        return f"write one such as {formats.JUDGED[str(limit)][1]}"
    return f"write at least {limit}" if problem.validator == "minimum" else ""


def _listed(names: Sequence[Any], most: int = 12) -> str:
    shown = ", ".join(str(name) for name in names[:most])
    return f"{shown}, …" if len(names) > most else shown or "no fields"


def _shown(value: Any) -> str:
    """Write a value as short text, in YAML's flow style."""
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)
    line = " ".join(text.split()) if isinstance(value, str) and value.strip() else text
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
