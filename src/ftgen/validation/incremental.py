"""Incremental validation: run a rule again only if a value that it reads has changed.

The jobs of a sweep differ in few values, and most rules read none of these.  A rule is a pure function of its question:
a subject, made of plain mappings and lists or sections of a specification, and its context.  It runs once on a question
that records every value it reads.  On a later question of the same shape it has the same findings unless one of these
values differs, because it depends on nothing else.

Questions of another shape, with other keys in mappings or another length of lists, reuse nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from functools import partial
from operator import is_
from types import FunctionType, MethodType
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from msgspec import Struct, field, structs

from ftgen.diagnostics import Diagnostic
from ftgen.spec import Section
from ftgen.text.sharing import share
from ftgen.text.yamlio.similar import SimilarTexts
from ftgen.validation import Context
from ftgen.validation.reuse import Manifest, Reuse

T = TypeVar("T")

Path = tuple[str | int, ...]
_NOTHING: frozenset[Path] = frozenset()
ReadSet = set[Path]
"""Paths of the values that a rule read."""

# Recording the reads of rules costs about as much as running them so many times.
_WARMUP = 8
# Number of shapes kept for a rule set, such as jobs of one node and of several.
_SHAPES = 8
_COMPARISONS = 64
# Number of kinds kept: the latest are the likeliest to come again, and each takes about a megabyte.
_KINDS = 32
# Number of results kept; a job has about two hundred parts, of which a dozen are its own.
_RESULTS = 1024
_RECORDS = (Section, Context)
_PARTS = (dict, list, tuple, *_RECORDS)


class RuleSet(Protocol):
    """Rules that read the same view of a question; a `Scope` is one."""

    @property
    def rules(self) -> Sequence[Callable[[Any], list[Any]]]:
        """Return the rules: pure functions of the view."""

    @property
    def read(self) -> Callable[..., Any]:
        """Return the function that makes the views: rule sets with the same function share them."""

    def view(self, question: Any, /) -> Any:
        """Return the view of a question that the rules read; depend on nothing but the question."""


class Incremental:
    """Runner of rule sets on questions of one kind that reuses earlier findings."""

    def __init__(self) -> None:
        """Start without anything to reuse."""
        self._runs: dict[RuleSet, list[_Run]] = {}
        self._compared: dict[tuple[int, int, int], tuple[frozenset[Path] | None, Any, Any]] = {}
        self._last_view: tuple[Any, Any, Any] = (None, None, None)

    def call(self, rule_set: RuleSet, question: Any) -> list[Any]:
        """Return the findings of all rules, in their order; the question must not be mutated after the call."""
        runs, view = self._runs.setdefault(rule_set, []), partial(self._view, rule_set, question)
        for position, run in enumerate(runs):
            changed = self._changes(run.question, question)
            if changed is not None:
                runs.insert(0, runs.pop(position))
                run.matches += 1
                is_warm = run.matches >= _WARMUP
                return run.update(rule_set, changed, view) if is_warm else _found(rule_set.rules, view())
        runs.insert(0, _Run(question))
        del runs[_SHAPES:]
        return _found(rule_set.rules, view())

    def _view(self, rule_set: RuleSet, question: Any) -> Any:
        """Return the view of a question; keep the last, which the next rule set may share."""
        read, last, view = self._last_view
        if read is not rule_set.read or not _has_same_parts(last, question):
            view = rule_set.view(question)
            self._last_view = rule_set.read, question, view
        return view

    def _changes(self, old: Any, new: Any) -> frozenset[Path] | None:
        """Compare two questions part by part: several rule sets run on one subject."""
        if not isinstance(old, tuple) or not isinstance(new, tuple) or len(old) != len(new):
            return changes(old, new)
        found = _NOTHING
        for step, (part, other) in enumerate(zip(old, new, strict=True)):
            paths = self._changed(step, part, other)
            if paths is None:
                return None
            found = found | paths if found and paths else found or paths
        return found

    def _changed(self, step: int, old: Any, new: Any) -> frozenset[Path] | None:
        """Compare a part of two questions, and keep the result for a while; the paths begin with `step`."""
        if old is new:
            return _NOTHING
        pair = step, id(old), id(new)
        if pair not in self._compared:
            if len(self._compared) >= _COMPARISONS:
                self._compared.clear()
            # Keep both alive with the result, so that no other object takes over their identity.
            self._compared[pair] = changes(old, new, (step,)), old, new
        return self._compared[pair][0]


class ByKind(Generic[T]):
    """Reuse among questions of one kind; questions of different kinds are not worth comparing."""

    def __init__(self, new: Callable[[], T], warmup: int = 0) -> None:
        """Make reuse with `new`; reuse nothing of a kind before `warmup` questions of it: most kinds may have few."""
        self._new, self._warmup = new, warmup
        self._by_kind: dict[Hashable, tuple[int, T]] = {}

    def of(self, kind: Hashable) -> T:
        """Return the reuse of one kind; keep those of the latest kinds."""
        questions, reuse = self._by_kind.pop(kind) if kind in self._by_kind else (0, self._new())
        self._by_kind[kind] = (questions + 1, reuse)
        if len(self._by_kind) > _KINDS:
            del self._by_kind[next(iter(self._by_kind))]
        return reuse if questions >= self._warmup else self._new()


class IncrementalReuse(Reuse):
    """Reuse of what earlier manifests have in common with a later one: the findings of rules, and clean parts."""

    def __init__(self) -> None:
        """Start without anything to reuse."""
        super().__init__()
        self.call = Incremental().call
        self._clean: dict[Hashable, Manifest] = {}

    def search(self, find: Callable[..., Iterable[Diagnostic]], manifest: Manifest, **options: Any) -> list[Diagnostic]:
        """Return what a function finds in a manifest; see `Reuse.search`."""
        key = find, str(manifest.get("apiVersion")), str(manifest.get("kind")), *options.values()
        clean = self._clean.get(key)
        if manifest is clean:
            return []
        found = [*find(manifest, clean=clean, **options)]
        if not found:
            self._clean[key] = manifest
        return found


class IncrementalCompile(IncrementalReuse):
    """Reuse between jobs that are compiled one after the other, of what their manifests have in common."""

    def __init__(self) -> None:
        """Start without anything to reuse."""
        super().__init__()
        self._kinds = ByKind(Incremental)
        self.once = Results().once
        self._manifests: tuple[Manifest, ...] = ()

    def of(self, kind: Any) -> Reuse:
        """Ask the rules as for the earlier jobs of a kind; everything else is reused among all."""
        self.call = self._kinds.of(kind).call
        return self

    def share(self, manifests: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
        """Return equal manifests that have the parts of those before wherever they are equal."""
        self._manifests = share(manifests, self._manifests)
        return self._manifests


class Results:
    """Results of pure functions, by the identity of a part and the values of the other arguments."""

    def __init__(self) -> None:
        """Start without any."""
        self._results: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def once(self, function: Callable[..., Any], part: Any, *arguments: Any) -> Any:
        """Return the result of a function; keep it, with the part, so that no other object takes over its identity."""
        key = id(part), function, *arguments
        known = self._results.get(key)
        if known is None:
            result = function(part, *arguments)
            if len(self._results) >= _RESULTS:
                self._results.clear()
            self._results[key] = known = part, result
        return known[1]


class IncrementalCheck(IncrementalReuse):
    """Reuse between manifests that are checked one after the other.

    The documents of texts that differ in a few values share everything else as the same objects.
    """

    def __init__(self, warmup: int = 0) -> None:
        """Ask all rules of the first `warmup` manifests of a shape: most shapes may have few."""
        super().__init__()
        self.documents = SimilarTexts().documents
        self._kinds = ByKind(IncrementalReuse, warmup)
        self._manifest: Mapping[str, Any] = {}
        self._shape: tuple[Any, ...] = ()

    def of(self, kind: Any) -> Reuse:
        """Return the reuse among the manifests that have the shape of one."""
        if changes(self._manifest, kind) is None:
            self._shape = shape(kind)
        # The next manifest has most in common with the last.
        self._manifest = kind
        return self._kinds.of(self._shape)


def shape(value: Any) -> tuple[Any, ...]:
    """Return the keys and lengths of nested mappings and lists, without their plain values."""
    if isinstance(value, dict):
        return (*value, *[shape(part) for part in value.values() if isinstance(part, (dict, list))])
    return (len(value), *[shape(part) for part in value if isinstance(part, (dict, list))])


class _Run(Struct):
    """Question with the findings and reads of each rule.

    Attributes:
        question: question that the rules ran on.
        matches: number of later questions of its shape.
        found: findings of each rule.
        reads: read set of each rule.
        affected: positions of the rules that read a changed value, by the changed paths.
    """

    question: Any
    matches: int = 0
    found: list[list[Any]] = field(default_factory=list)
    reads: list[ReadSet] = field(default_factory=list)
    affected: dict[frozenset[Path], list[int]] = field(default_factory=dict)

    def update(self, rule_set: RuleSet, changed: frozenset[Path], view: Callable[[], Any]) -> list[Any]:
        """Return the findings in a question that differs from this one only at the paths `changed`; make its view."""
        if not self.found:
            self._record(rule_set)
        if changed not in self.affected:
            self.affected[changed] = [n for n, reads in enumerate(self.reads) if not reads.isdisjoint(changed)]
        found, affected = self.found, self.affected[changed]
        if affected:
            found, subject = found.copy(), view()
            for number in affected:
                found[number] = rule_set.rules[number](subject)
        return [each for of_rule in found for each in of_rule]

    def _record(self, rule_set: RuleSet) -> None:
        for rule in rule_set.rules:
            reads: ReadSet = set()
            # Each rule gets its own view: a value cached there by another rule would not be recorded as read.
            self.found.append(rule(rule_set.view(tracked(self.question, reads))))
            self.reads.append(reads)


def _has_same_parts(question: Any, other: Any) -> bool:
    if isinstance(question, tuple) and isinstance(other, tuple):
        return len(question) == len(other) and all(map(is_, question, other))
    return question is other


def _found(rules: Sequence[Callable[[Any], list[Any]]], view: Any) -> list[Any]:
    return [each for rule in rules for each in rule(view)]


def changes(old: Any, new: Any, path: Path = ()) -> frozenset[Path] | None:
    """Return the paths, below `path`, at which two values of one shape differ; None if their shapes differ."""
    found: list[Path] = []
    return frozenset(found) if _compare(old, new, path, found) else None


def _compare(old: Any, new: Any, path: Path, found: list[Path]) -> bool:
    """Return whether the shapes are the same; add the paths of different values to `found`."""
    if old is new:
        return True
    kind = type(old)
    if kind is not type(new):
        found.append(path)
        return not isinstance(old, _PARTS) and not isinstance(new, _PARTS)
    if kind is dict:
        return _compare_mappings(old, new, path, found)
    if kind is list or kind is tuple:
        pairs = enumerate(zip(old, new, strict=False))
        return len(old) == len(new) and all(a is b or _compare(a, b, (*path, n), found) for n, (a, b) in pairs)
    if isinstance(old, _RECORDS):
        return _compare_mappings(_values(old), _values(new), path, found)
    # Equality ignores the sign of zero.
    if old != new or (kind is float and repr(old) != repr(new)):
        found.append(path)
    return True


def _values(record: Section | Context) -> dict[str, Any]:
    """Return the values of a record's fields by name."""
    return record.__dict__ if isinstance(record, Section) else structs.asdict(record)


def _compare_mappings(old: dict[Any, Any], new: dict[Any, Any], path: Path, found: list[Path]) -> bool:
    if [*old] != [*new]:
        return False
    for (key, value), other in zip(old.items(), new.values(), strict=True):
        # Most values are the same objects, or equal texts.
        if value is other or (type(value) is str and type(other) is str and value == other):
            continue
        if not _compare(value, other, (*path, key), found):
            return False
    return True


def tracked(value: Any, reads: ReadSet, path: Path = ()) -> Any:
    """Return the value, or a proxy that adds the path of each value read from it to `reads`."""
    if isinstance(value, dict):
        return _TrackedMapping(value, reads, path)
    if isinstance(value, _RECORDS):
        return _TrackedSection(value, reads, path)
    if isinstance(value, (list, tuple)):
        # A list is read as a whole: its plain items count as read.
        return type(value)(tracked(item, reads, (*path, index)) for index, item in enumerate(value))
    reads.add(path)
    return value


def _read_whole(value: Any, reads: ReadSet, path: Path) -> None:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    if isinstance(value, _RECORDS):
        pairs = _values(value).items()
    elif not isinstance(value, (dict, list, tuple)):
        reads.add(path)
    for step, part in pairs:
        _read_whole(part, reads, (*path, step))


class _TrackedMapping(dict[Any, Any]):
    """Mapping that records which of its values are read; its keys are part of its shape.

    Python code reads a mapping only by these methods.  C code may bypass a subclass' methods, as `jsonschema_rs`
    does, so no rule may call it.
    """

    __slots__ = ("_path", "_reads", "_tracked")

    def __init__(self, plain: dict[Any, Any], reads: ReadSet, path: Path) -> None:
        super().__init__(plain)
        self._reads, self._path = reads, path
        self._tracked: dict[Any, Any] = {}

    def __getitem__(self, key: Any) -> Any:
        if key not in self._tracked:
            self._tracked[key] = tracked(super().__getitem__(key), self._reads, (*self._path, key))
        return self._tracked[key]

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - dict.get would bypass __getitem__

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]
        return ItemsView(self)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        return ValuesView(self)

    def __iter__(self) -> Iterator[Any]:
        # Without this method, `{**mapping}` would copy the values unrecorded.
        return super().__iter__()

    def copy(self) -> dict[Any, Any]:
        return dict(self.items())

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __eq__(self, other: object) -> bool:
        _read_whole(self._plain(), self._reads, self._path)
        return self._plain() == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        _read_whole(self._plain(), self._reads, self._path)
        return repr(self._plain())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (self.copy(),)

    def _plain(self) -> dict[Any, Any]:
        return {key: dict.__getitem__(self, key) for key in self}

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a rule changes its subject")

    __setitem__ = __delitem__ = __ior__ = pop = popitem = setdefault = update = clear = _refuse


class _TrackedSection:
    """Proxy of a section of a specification, or of a context, that records which of its fields are read."""

    __slots__ = ("_path", "_reads", "_section", "_tracked")

    def __init__(self, section: Section | Context, reads: ReadSet, path: Path) -> None:
        self._section, self._reads, self._path = section, reads, path
        self._tracked: dict[str, Any] = {}

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # for isinstance, the proxy is a section
        return type(self._section)

    def __getattr__(self, name: str) -> Any:
        if name in self._tracked:
            return self._tracked[name]
        section = self._section
        if name in (values := _values(section)):
            self._tracked[name] = tracked(values[name], self._reads, (*self._path, name))
            return self._tracked[name]
        attribute = getattr(type(section), name)
        if isinstance(attribute, property) and attribute.fget:
            return attribute.fget(self)
        if isinstance(attribute, FunctionType) and type(section).__module__ == attribute.__module__:
            return MethodType(attribute, self)
        # A method of pydantic, such as dumping the section, may read all of it.
        _read_whole(section, self._reads, self._path)
        return getattr(section, name)

    def __eq__(self, other: object) -> bool:
        _read_whole(self._section, self._reads, self._path)
        return self._section == (other._section if type(other) is _TrackedSection else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        _read_whole(self._section, self._reads, self._path)
        return repr(self._section)
