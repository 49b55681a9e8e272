"""Questions that are asked again only where what they read has changed.

The jobs of a sweep differ in few values, and most of what is asked of them has nothing to do with these.  A
question is a pure function of a subject: plain mappings and lists, and sections of a specification.  It is
asked once of a subject that notes every value read; of a later subject of the same shape it would give the
same answer unless one of these values differs there, because nothing else can lead it another way.

Shape counts as well: where mappings have other keys, or lists another length, nothing is taken over.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, ItemsView, Iterator, Sequence, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from types import FunctionType, MethodType
from typing import Any, NoReturn, Protocol, TypeVar

from ftgen.spec import Section
from ftgen.validation import Context

Path = tuple[str | int, ...]
Reads = set[Path]

# Watching costs about as much as so many plain answers.
_PATIENCE = 8
# So many shapes of a subject are kept beside each other, such as jobs of one node and of several.
_MOST = 8
_COMPARED = 64
# Of many kinds in turn the last ones come again soonest; each takes about a megabyte.
_KINDS = 32
_RECORDS = (Section, Context)
_PARTS = (dict, list, tuple, *_RECORDS)
T = TypeVar("T")


class Panel(Protocol):
    """Questions that look at a subject in the same way; a scope of rules is one."""

    @property
    def questions(self) -> Sequence[Callable[[Any], list[Any]]]:
        """Pure functions of the view."""

    def view(self, subject: Any, /) -> Any:
        """Make what the questions are given, of the subject alone."""

    def ask(self, subject: Any, /) -> list[Any]:
        """Return all answers, in the order of the questions."""


@dataclass(frozen=True, slots=True, eq=False)
class _Single:
    """A function of some arguments as a question with one answer."""

    make: Callable[..., Any]

    @property
    def questions(self) -> tuple[Callable[[Any], list[Any]]]:
        return (self.ask,)

    def view(self, arguments: Any) -> Any:
        return arguments

    def ask(self, arguments: Any) -> list[Any]:
        return [self.make(*arguments)]


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A pure function whose result is put together from the parts of its subject.

    Attributes:
        whole: the function.
        cut: of a subject and some of its paths makes a function that gives the same as `whole`, for every
            subject that differs from that one at these paths alone.
    """

    whole: Callable[[Any], Any]
    cut: Callable[[Any, frozenset[Path]], Callable[[Any], Any]]


class Recall:
    """What panels and forms made of earlier subjects of one kind."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[Panel | Form, list[_Precedent]] = {}
        self._compared: dict[tuple[int, int], tuple[frozenset[Path] | None, Any, Any]] = {}

    def ask(self, panel: Panel, subject: Any) -> list[Any]:
        """What `panel.ask` gives.  Nobody may change a subject afterwards."""
        precedent, changed = self._precedent(panel, subject)
        return panel.ask(subject) if precedent is None else precedent.ask(panel, subject, changed)

    def fill(self, form: Form, subject: Any) -> Any:
        """What `form.whole` gives.  Nobody may change a subject afterwards."""
        precedent, changed = self._precedent(form, subject)
        return form.whole(subject) if precedent is None else precedent.fill(form, subject, changed)

    def _precedent(self, asked: Panel | Form, subject: Any) -> tuple[_Precedent | None, frozenset[Path]]:
        """An earlier subject of the same shape that was met often enough to be worth the watching."""
        known = self._known.setdefault(asked, [])
        for place, precedent in enumerate(known):
            changed = self._changes(precedent.subject, subject)
            if changed is not None:
                known.insert(0, known.pop(place))
                precedent.met += 1
                return (precedent if precedent.met >= _PATIENCE else None), changed
        known.insert(0, _Precedent(subject))
        del known[_MOST:]
        return None, frozenset()

    def _changes(self, old: Any, new: Any) -> frozenset[Path] | None:
        """Several things are asked about one subject in turn, so that comparisons are kept for a while."""
        if not isinstance(old, _PARTS):
            return changes(old, new)
        pair = id(old), id(new)
        if pair not in self._compared:
            if len(self._compared) >= _COMPARED:
                self._compared.clear()
            # Held with what was compared, so that nothing else gets an identity that is asked for.
            self._compared[pair] = (self._differing(old, new), old, new)
        return self._compared[pair][0]

    def _differing(self, old: Any, new: Any) -> frozenset[Path] | None:
        """Part by part, because subjects share parts: a job has the same specification before it has its name."""
        if type(old) is not type(new) or type(old) not in {tuple, dict} or len(old) != len(new):
            return changes(old, new)
        steps = [*old] if type(old) is dict else [*range(len(old))]
        if type(old) is dict and steps != [*new]:
            return None
        parts = [(step, self._changes(old[step], new[step])) for step in steps if old[step] is not new[step]]
        if any(paths is None for _, paths in parts):
            return None
        return frozenset((step, *path) for step, paths in parts for path in paths or ())


class Recalls:
    """What is recalled of subjects of several kinds, which are not worth comparing with each other."""

    def __init__(self, patience: int = 0) -> None:
        """Know nothing yet, and of each kind nothing before so many subjects: of most kinds there may be few."""
        self._patience = patience
        self._known: dict[Hashable, tuple[int, Recall]] = {}

    def of(self, kind: Hashable) -> Recall:
        """What is recalled of one kind; of many kinds in turn, only the last ones are kept."""
        met, known = self._known.pop(kind, (0, Recall()))
        self._known[kind] = (met + 1, known)
        if len(self._known) > _KINDS:
            del self._known[next(iter(self._known))]
        return known if met >= self._patience else Recall()


def outline(value: Any) -> tuple[Any, ...]:
    """The shape of plain mappings and lists: what of one kind have in common, whatever plain values they hold."""
    if isinstance(value, dict):
        return (*value, *[outline(held) for held in value.values() if isinstance(held, dict | list)])
    return (len(value), *[outline(held) for held in value if isinstance(held, dict | list)])


_at_hand: ContextVar[Recall | None] = ContextVar("_at_hand", default=None)


@contextmanager
def at_hand(recall: Recall) -> Iterator[None]:
    """Let `ask`, `fill` and functions that are `recalled` make use of it."""
    token = _at_hand.set(recall)
    try:
        yield
    finally:
        _at_hand.reset(token)


def ask(panel: Panel, subject: Any) -> list[Any]:
    """What `panel.ask` gives; where a compile recalls subjects like this one, without asking all of it again."""
    recall = _at_hand.get()
    return panel.ask(subject) if recall is None else recall.ask(panel, subject)


def fill(form: Form, subject: Any) -> Any:
    """What `form.whole` gives; where a compile recalls subjects like this one, without making all of it again."""
    recall = _at_hand.get()
    return form.whole(subject) if recall is None else recall.fill(form, subject)


def recalled(make: Callable[..., T]) -> Callable[..., T]:
    """A pure function that gives the very object it gave before, where a compile recalls jobs like this one.

    Nobody writes to what it returns.
    """
    panel = _Single(make)

    @wraps(make)
    def asked(*arguments: Any) -> T:
        # A question under watch must be seen to read for itself.
        if any(type(each) is _Watched for each in arguments):
            return make(*arguments)
        answer: T = ask(panel, arguments)[0]
        return answer

    return asked


@dataclass(slots=True)
class _Precedent:
    """A subject, what was answered of it, what each question read to answer, and what was cut from it."""

    subject: Any
    met: int = 0
    answers: list[list[Any]] = field(default_factory=list)
    reads: list[Reads] = field(default_factory=list)
    touched: dict[frozenset[Path], list[int]] = field(default_factory=dict)
    cuts: dict[frozenset[Path], Callable[[Any], Any]] = field(default_factory=dict)

    def ask(self, panel: Panel, subject: Any, changed: frozenset[Path]) -> list[Any]:
        if not self.answers:
            self._watch(panel)
        if changed not in self.touched:
            self.touched[changed] = [n for n, reads in enumerate(self.reads) if not reads.isdisjoint(changed)]
        answers, again = self.answers, self.touched[changed]
        if again:
            answers, view = answers.copy(), panel.view(subject)
            for number in again:
                answers[number] = panel.questions[number](view)
        return [answer for found in answers for answer in found]

    def fill(self, form: Form, subject: Any, changed: frozenset[Path]) -> Any:
        if changed not in self.cuts:
            self.cuts[changed] = form.cut(self.subject, changed)
        return self.cuts[changed](subject)

    def _watch(self, panel: Panel) -> None:
        for question in panel.questions:
            reads: Reads = set()
            # Each gets a view of its own: what one question had worked out, another would not be seen to read.
            self.answers.append(question(panel.view(watched(self.subject, reads))))
            self.reads.append(reads)


def changes(old: Any, new: Any) -> frozenset[Path] | None:
    """Where two values of one shape differ; None where their shapes do."""
    found: list[Path] = []
    return frozenset(found) if _compare(old, new, (), found) else None


def _compare(old: Any, new: Any, path: Path, found: list[Path]) -> bool:
    """Whether the shapes are the same; what differs is added to `found`."""
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
        return _compare_mappings(old.__dict__, new.__dict__, path, found)
    # Zero has a sign, which equality does not see.
    if old != new or (kind is float and repr(old) != repr(new)):
        found.append(path)
    return True


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


def at(value: Any, path: Path) -> Any:
    """What stands at a place in plain mappings and lists."""
    for step in path:
        value = value[step]
    return value


def watched(value: Any, reads: Reads, path: Path = ()) -> Any:
    """The value, or a stand-in for it that notes in `reads` where it is looked into."""
    if isinstance(value, dict):
        return _Mapping(value, reads, path)
    if isinstance(value, _RECORDS):
        return _Watched(value, reads, path)
    if isinstance(value, list | tuple):
        # Lists are read as wholes: their plain items count as read.
        return type(value)(watched(item, reads, (*path, place)) for place, item in enumerate(value))
    reads.add(path)
    return value


def _read_whole(value: Any, reads: Reads, path: Path) -> None:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    if isinstance(value, _RECORDS):
        pairs = value.__dict__.items()
    elif not isinstance(value, dict | list | tuple):
        reads.add(path)
    for step, part in pairs:
        _read_whole(part, reads, (*path, step))


class _Mapping(dict[Any, Any]):
    """A mapping that notes which of its values are read; its keys are part of its shape.

    Whatever reads a mapping in Python comes by here.  C code may look past a subclass' methods, as
    `jsonschema_rs` does: it is no question's business.
    """

    __slots__ = ("_kept", "_path", "_reads")

    def __init__(self, plain: dict[Any, Any], reads: Reads, path: Path) -> None:
        super().__init__(plain)
        self._reads, self._path = reads, path
        self._kept: dict[Any, Any] = {}

    def __getitem__(self, key: Any) -> Any:
        if key not in self._kept:
            self._kept[key] = watched(super().__getitem__(key), self._reads, (*self._path, key))
        return self._kept[key]

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - it is what dict.get would look past

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]
        return ItemsView(self)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        return ValuesView(self)

    def __iter__(self) -> Iterator[Any]:
        # Without a method of its own, `{**mapping}` would copy the values unseen.
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
        raise TypeError("a question changes what it is asked about")

    __setitem__ = __delitem__ = __ior__ = pop = popitem = setdefault = update = clear = _refuse


class _Watched:
    """Stands for a section of a specification, or a context, and notes which of its fields are read."""

    __slots__ = ("_kept", "_path", "_reads", "_section")

    def __init__(self, section: Section | Context, reads: Reads, path: Path) -> None:
        self._section, self._reads, self._path = section, reads, path
        self._kept: dict[str, Any] = {}

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # it is taken for the section by whoever asks for its class
        return type(self._section)

    def __getattr__(self, name: str) -> Any:
        if name in self._kept:
            return self._kept[name]
        section = self._section
        if name in section.__dict__:
            self._kept[name] = watched(section.__dict__[name], self._reads, (*self._path, name))
            return self._kept[name]
        own = getattr(type(section), name)
        if isinstance(own, property) and own.fget:
            return own.fget(self)
        if isinstance(own, FunctionType) and type(section).__module__ == own.__module__:
            return MethodType(own, self)
        # What the library does with a section, such as dumping it, may read all of it.
        _read_whole(section, self._reads, self._path)
        return getattr(section, name)

    def __eq__(self, other: object) -> bool:
        _read_whole(self._section, self._reads, self._path)
        return self._section == (other._section if type(other) is _Watched else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        _read_whole(self._section, self._reads, self._path)
        return repr(self._section)
