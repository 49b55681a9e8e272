"""Replay: composing many points at the cost of a few.

Points that choose the same options and set the same keys differ only in values.  Such points share a frame:
the configuration composed once, with a marker for every swept value.  Where a marker stands afterwards, the
point's own value goes; where it is part of a text, OmegaConf put it there by interpolation, and the value's
text goes there.  So precedence, packages and interpolation stay Hydra's and OmegaConf's own.

What a marker cannot stand for is composed anew for each point: mappings, which merge; values that are
interpolations themselves; and configurations with resolvers or nested interpolations, which may compute with a value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.override_parser.types import Override

from ftgen.compose import Composer, Composition
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.sweeping.label import bare
from ftgen.trace import OverrideTrace

# Printable, so that it is found again in the text of a list, too.
_MARKER = re.compile("⟪ftgen ([0-9]+)⟫")
_REFERENCE = re.compile(r"\$\{\.*[A-Za-z_]\w*(?:\.\w+)*\}|\$\{oc\.env:\w+(?:,[\w./:-]*)?\}|\$\{hydra:[\w./]+\}")
_MOST_FRAMES = 512

Directives = tuple[Mapping[str, Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Word:
    """An override as frames see it: what it has in common with its fellows, and the value that is its own."""

    shape: tuple[str, str]
    path: str
    value: Any

    @property
    def varies(self) -> bool:
        return bool(self.shape[1])

    def overlaps(self, other: _Word) -> bool:
        """Whether one writes into what the other one sets; then their order matters."""
        return self.path.startswith(other.path) or other.path.startswith(self.path)


class Replay:
    """Composes the points of one sweep; equal to `Composer.compose` of each."""

    def __init__(self, composer: Composer, swept: Collection[str], directives: Directives = ({}, {})) -> None:
        """Keep what varies.

        Args:
            composer: composes what cannot be replayed.
            swept: the swept keys, without prefixes.
            directives: the `hydra` and `sweep` nodes of what all points share.
        """
        self.composer = composer
        self.swept = frozenset(swept)
        self._told = _sweep_of(*directives)
        self._words: dict[str, _Word] = {}
        self._frames: dict[tuple[tuple[str, str], ...], _Frame | None] = {}

    def compose(self, overrides: Sequence[str]) -> Composition:
        """The composition of a point.

        Raises:
            Rejected: as `Composer.compose` does.
        """
        words = [self._word(text) for text in overrides]
        shape = tuple(word.shape for word in words)
        if shape not in self._frames:
            if len(self._frames) >= _MOST_FRAMES:
                self._frames.clear()
            self._frames[shape] = self._frame(overrides, words)
        frame = self._frames[shape]
        if frame is None:
            parsed = self.composer.parse(overrides)
            return self._heard(self.composer.compose(parsed), parsed)
        return frame.filled(overrides, [word.value for word in words])

    def _heard(self, composition: Composition, overrides: Sequence[Override]) -> Composition:
        """The composition, unless a swept option says how to sweep: the points are made without asking it.

        Raises:
            Rejected: FT030, for each such option.
        """
        if _sweep_of(composition.hydra, composition.sweep) == self._told:
            return composition
        varied = [o for o in overrides if bare(o.get_key_element()) in self.swept]
        fixed = [o for o in overrides if o not in varied]
        said = [o for o in varied if _sweep_of(*self.composer.directives([*fixed, o])) != self._told]
        raise Rejected(_unheard(bare(o.get_key_element()), composition.choices) for o in said or varied)

    def _word(self, text: str) -> _Word:
        if text not in self._words:
            self._words[text] = self._read(text)
        return self._words[text]

    def _read(self, text: str) -> _Word:
        override = self.composer.parse([text])[0]
        key, element, value = override.key_or_group, override.get_key_element(), override.value()
        if self.composer.chooses(override):
            return _Word((text, ""), f"/{key}.", None)
        if bare(element) in self.swept and not override.is_delete() and _is_plain(value):
            return _Word((element, "list" if isinstance(value, list) else "scalar"), f"{key}.", value)
        return _Word((text, ""), f"{key}.", None)

    def _frame(self, overrides: Sequence[str], words: Sequence[_Word]) -> _Frame | None:
        if any(one.varies and one.overlaps(other) for one in words for other in words if other is not one):
            return None
        parsed = self.composer.parse(overrides)
        pairs = list(enumerate(zip(parsed, words, strict=True)))
        try:
            if any(override.is_delete() for override in parsed):
                # What is nothing cannot be deleted, and a deleted key may be an interpolation of a swept one.
                self.composer.compose([replace(o, _value=None) if word.varies else o for _, (o, word) in pairs])
            marked = [replace(o, _value=_marker(n, word)) if word.varies else o for n, (o, word) in pairs]
            composition, unresolved = self.composer.template(marked)
        except Rejected:
            return None
        if any("${" in _REFERENCE.sub("", text) for text in _texts(unresolved)):
            return None
        slots = _slots(composition.config, frozenset(n for n, w in enumerate(words) if w.shape[1] == "list"))
        return None if slots is None else _Frame(self._heard(composition, parsed), slots)


def _sweep_of(hydra: Mapping[str, Any], sweep: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """What says how to sweep: Hydra's sweeper, and ftgen's own section."""
    return hydra.get("sweeper"), sweep


def _unheard(group: str, choices: Mapping[str, str]) -> Diagnostic:
    option = choices.get(group, "")
    headline = f"{group}={option} says how to sweep, and is one of the swept values: its own axes would be left out"
    how = f"choose {option} alone, or move its axes to the command line"
    return error("FT030", headline, group, option, how)


def _is_plain(value: Any) -> bool:
    """Whether a value is its own resolution: no interpolation, nothing missing, nothing that merges."""
    if isinstance(value, list):
        return all(_is_plain(item) and not isinstance(item, list) for item in value)
    if isinstance(value, str):
        return "$" not in value and value != "???" and "\\" not in value
    return value is None or isinstance(value, bool | int | float)


def _marker(number: int, word: _Word) -> Any:
    text = f"⟪ftgen {number}⟫"
    return [text] if word.shape[1] == "list" else text


@dataclass(frozen=True, slots=True)
class _Text:
    """A text with values in it: pieces of text and numbers of values in turn."""

    pieces: tuple[str | int, ...]

    def filled(self, values: Sequence[Any]) -> str:
        return "".join(piece if isinstance(piece, str) else str(values[piece]) for piece in self.pieces)


# A branch leads from a key or an index to what is to be filled below it.
_Slots = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class _Frame:
    """A composition with slots where the values of a point go."""

    composition: Composition
    slots: _Slots

    def filled(self, overrides: Sequence[str], values: Sequence[Any]) -> Composition:
        traces = tuple(OverrideTrace(t.index, overrides[t.index - 1], t.key) for t in self.composition.overrides)
        return replace(self.composition, config=_filled(self.composition.config, self.slots, values), overrides=traces)


def _filled(node: Any, slots: _Slots, values: Sequence[Any]) -> Any:
    """A copy of the branches that lead to a slot; everything else is shared, and nobody writes to it."""
    copy = node.copy()
    for key, slot in slots.items():
        if isinstance(slot, int):
            value = values[slot]
            copy[key] = list(value) if isinstance(value, list) else value
        elif isinstance(slot, _Text):
            copy[key] = slot.filled(values)
        else:
            copy[key] = _filled(node[key], slot, values)
    return copy


def _slots(node: Any, lists: Collection[int]) -> _Slots | None:
    """Where markers stand below a mapping or list; None when one stands where no value can go."""
    found = {key: _slot(child, lists) for key, child in _children(node)}
    if None in found.values():
        return None
    return {key: slot for key, slot in found.items() if slot != {}}


def _slot(child: Any, lists: Collection[int]) -> int | _Text | _Slots | None:
    if isinstance(child, str):
        pieces = _pieces(child)
        numbers = [piece for piece in pieces if isinstance(piece, int)]
        if not numbers:
            return {}
        # A list inside of a text, or an item taken out of it, is more than a marker can stand for.
        return None if any(n in lists for n in numbers) else numbers[0] if len(pieces) == 1 else _Text(pieces)
    if isinstance(child, list) and len(child) == 1 and isinstance(child[0], str):
        pieces = _pieces(child[0])
        if len(pieces) == 1 and pieces[0] in lists:
            return int(pieces[0])
    return _slots(child, lists) if isinstance(child, dict | list) else {}


def _texts(node: Any) -> Iterator[str]:
    for _, child in _children(node):
        if isinstance(child, dict | list):
            yield from _texts(child)
        elif isinstance(child, str):
            yield child


def _children(node: Any) -> Iterator[tuple[Any, Any]]:
    return iter(node.items()) if isinstance(node, dict) else iter(enumerate(node))


def _pieces(text: str) -> tuple[str | int, ...]:
    parts = _MARKER.split(text) if "⟪ftgen " in text else [text]
    pieces = [int(part) if number % 2 else part for number, part in enumerate(parts)]
    return tuple(piece for piece in pieces if piece != "")
