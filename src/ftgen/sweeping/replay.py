"""Cache of composed frames: composes one point of each kind, and the others by substitution.

Points that choose the same options and set the same keys differ only in values.  Such points share a frame:
the configuration composed once, with a marker for every swept value.  A marker in the composed configuration is
replaced by the point's own value; a marker inside a text, where OmegaConf interpolated it, by the value's text.
So precedence, packages and interpolation stay Hydra's and OmegaConf's own.

Example: `trainer.lr=1e-4,2e-4` composes `trainer.lr=MARKER` once; `${trainer.lr}` elsewhere becomes MARKER too.

A marker cannot replace mappings, which merge; values that are interpolations themselves; and configurations with
resolvers or nested interpolations, which may compute with a value.  Such points are composed one by one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.types import Override
from msgspec import Struct, structs

from ftgen.config.compose import Composer, Composition, ListExtension
from ftgen.config.trace import OverrideTrace
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.sweeping.label import without_prefix

# Printable, so that it is also found in the text of a list.
_MARKER = re.compile("⟪ftgen ([0-9]+)⟫")
# Of Hydra's node, only the choices are the same for all points of a frame.
_REFERENCE = re.compile(
    r"\$\{\.*[A-Za-z_]\w*(?:\.\w+)*\}|\$\{oc\.env:\w+(?:,[\w./:-]*)?\}|\$\{hydra:(?:runtime\.choices\.[\w./]+|job\.name)\}"
)
_MOST_FRAMES = 512

RunSections = tuple[Mapping[str, Any], Mapping[str, Any]]


class _SplitOverride(Struct, frozen=True):
    """Override split into the shape that points of a frame share, and the value that differs between them."""

    shape: tuple[str, str]
    path: str
    value: Any

    @property
    def varies(self) -> bool:
        return bool(self.shape[1])

    def overlaps(self, other: _SplitOverride) -> bool:
        """Return whether one sets a key inside the other's, so that their order matters."""
        return self.path.startswith(other.path) or other.path.startswith(self.path)


class FrameCache:
    """Composer of one sweep's points by cached frames, with the results of `Composer.compose`."""

    def __init__(self, composer: Composer, swept: Collection[str], run_sections: RunSections = ({}, {})) -> None:
        """Start without frames.

        Args:
            composer: composer of frames, and of points without a frame.
            swept: swept keys, without prefixes.
            run_sections: nodes `hydra` and `sweep` of the overrides that all points share.
        """
        self.composer = composer
        self.swept = frozenset(swept)
        self._sweep_settings = _settings_of(*run_sections)
        self._split_overrides: dict[str, _SplitOverride] = {}
        self._frames: dict[tuple[tuple[str, str], ...], _Frame | None] = {}

    def compose(self, overrides: Sequence[str]) -> Composition:
        """Compose a point.

        Raises:
            Rejected: like `Composer.compose`.
        """
        return self.composer.pinned(self.written(overrides))

    def written(self, overrides: Sequence[str]) -> Composition:
        """Compose a point before its references are pinned: which points a sweep has does not depend on pins.

        Raises:
            Rejected: like `Composer.compose`.
        """
        splits = [self._split(text) for text in overrides]
        shape = tuple(split.shape for split in splits)
        if shape not in self._frames:
            if len(self._frames) >= _MOST_FRAMES:
                self._frames.clear()
            self._frames[shape] = self._frame(overrides, splits)
        frame = self._frames[shape]
        if frame is None:
            parsed = self.composer.parse(overrides)
            return self._checked(self.composer.compose_with_unresolved(parsed)[0], parsed)
        return frame.filled(overrides, [split.value for split in splits])

    def _checked(self, composition: Composition, overrides: Sequence[Override]) -> Composition:
        """Return the composition, unless a swept option sets how to sweep: the expansion would ignore it.

        Raises:
            Rejected: FT030, for each such option.
        """
        if _settings_of(composition.hydra, composition.sweep) == self._sweep_settings:
            return composition
        varied = [o for o in overrides if without_prefix(o.get_key_element()) in self.swept]
        fixed = [o for o in overrides if o not in varied]
        culprits = [o for o in varied if _settings_of(*self.composer.run_sections([*fixed, o])) != self._sweep_settings]
        raise Rejected(
            _ignored_sweep(without_prefix(o.get_key_element()), composition.choices) for o in culprits or varied
        )

    def _split(self, text: str) -> _SplitOverride:
        if text not in self._split_overrides:
            self._split_overrides[text] = self._parse(text)
        return self._split_overrides[text]

    def _parse(self, text: str) -> _SplitOverride:
        override = self.composer.parse([text])[0]
        key, element, value = override.key_or_group, override.get_key_element(), override.value()
        if self.composer.selects_option(override):
            return _SplitOverride((text, ""), f"/{key}.", None)
        is_set = not override.is_delete() and not isinstance(override, ListExtension)
        if without_prefix(element) in self.swept and is_set and _is_literal(value):
            return _SplitOverride((element, "list" if isinstance(value, list) else "scalar"), f"{key}.", value)
        return _SplitOverride((text, ""), f"{key}.", None)

    def _frame(self, overrides: Sequence[str], splits: Sequence[_SplitOverride]) -> _Frame | None:
        if any(one.varies and one.overlaps(other) for one in splits for other in splits if other is not one):
            return None
        parsed = self.composer.parse(overrides)
        pairs = list(enumerate(zip(parsed, splits, strict=True)))
        try:
            if any(override.is_delete() for override in parsed):
                # A null cannot be deleted, and a deleted key may be an interpolation of a swept one.
                self.composer.compose([replace(o, _value=None) if split.varies else o for _, (o, split) in pairs])
            marked = [replace(o, _value=_marker(n, split)) if split.varies else o for n, (o, split) in pairs]
            composition, unresolved = self.composer.compose_with_unresolved(marked)
        except Rejected:
            return None
        if any("${" in _REFERENCE.sub("", text) for text in _texts(unresolved)):
            return None
        slots = _slots(composition.config, frozenset(n for n, w in enumerate(splits) if w.shape[1] == "list"))
        return None if slots is None else _Frame(self._checked(composition, parsed), slots)


def _settings_of(hydra: Mapping[str, Any], sweep: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return the settings of a sweep: Hydra's sweeper, and ftgen's own section."""
    return hydra.get("sweeper"), sweep


def _ignored_sweep(group: str, choices: Mapping[str, str]) -> Diagnostic:
    option = choices.get(group, "")
    headline = f"{group}={option} says how to sweep, and is one of the swept values: its own axes would be left out"
    help_ = f"choose {option} alone, or move its axes to the command line"
    return error("FT030", headline, group, option, help_)


def _is_literal(value: Any) -> bool:
    """Return whether a value is literal: no interpolation, not missing, and no mapping."""
    if isinstance(value, list):
        return all(_is_literal(item) and not isinstance(item, list) for item in value)
    if isinstance(value, str):
        return "$" not in value and value != "???" and "\\" not in value
    return value is None or isinstance(value, (bool, int, float))


def _marker(number: int, split: _SplitOverride) -> Any:
    text = f"⟪ftgen {number}⟫"
    return [text] if split.shape[1] == "list" else text


class _TextTemplate(Struct, frozen=True):
    """Template of a text: pieces of text, and indexes of values to insert."""

    pieces: tuple[str | int, ...]

    def filled(self, values: Sequence[Any]) -> str:
        return "".join(piece if isinstance(piece, str) else str(values[piece]) for piece in self.pieces)


# Tree of slots: by key or index, the index of a value, a `_TextTemplate`, or the slots below.
_Slots = Mapping[Any, Any]


class _Frame(Struct, frozen=True):
    """Composition with slots for the values of a point."""

    composition: Composition
    slots: _Slots

    def filled(self, overrides: Sequence[str], values: Sequence[Any]) -> Composition:
        traces = tuple(OverrideTrace(t.index, overrides[t.index - 1], t.key) for t in self.composition.overrides)
        return structs.replace(
            self.composition, config=_filled(self.composition.config, self.slots, values), overrides=traces
        )


def _filled(node: Any, slots: _Slots, values: Sequence[Any]) -> Any:
    """Fill the slots in a copy of the branches that lead to them; everything else is shared and never changed."""
    copied = node.copy()
    for key, slot in slots.items():
        if isinstance(slot, int):
            value = values[slot]
            copied[key] = list(value) if isinstance(value, list) else value
        elif isinstance(slot, _TextTemplate):
            copied[key] = slot.filled(values)
        else:
            copied[key] = _filled(node[key], slot, values)
    return copied


def _slots(node: Any, lists: Collection[int]) -> _Slots | None:
    """Return the slots of the markers in a mapping or list; None if a value cannot replace one of them."""
    slots = {key: _slot(child, lists) for key, child in _children(node)}
    if None in slots.values():
        return None
    return {key: slot for key, slot in slots.items() if slot != {}}


def _slot(child: Any, lists: Collection[int]) -> int | _TextTemplate | _Slots | None:
    if isinstance(child, str):
        pieces = _pieces(child)
        numbers = [piece for piece in pieces if isinstance(piece, int)]
        if not numbers:
            return {}
        # A marker cannot represent the text of a list, or a single item of it.
        return None if any(n in lists for n in numbers) else numbers[0] if len(pieces) == 1 else _TextTemplate(pieces)
    if isinstance(child, list) and len(child) == 1 and isinstance(child[0], str):
        pieces = _pieces(child[0])
        if len(pieces) == 1 and pieces[0] in lists:
            return int(pieces[0])
    return _slots(child, lists) if isinstance(child, (dict, list)) else {}


def _texts(node: Any) -> Iterator[str]:
    for _, child in _children(node):
        if isinstance(child, (dict, list)):
            yield from _texts(child)
        elif isinstance(child, str):
            yield child


def _children(node: Any) -> Iterator[tuple[Any, Any]]:
    return iter(node.items()) if isinstance(node, dict) else iter(enumerate(node))


def _pieces(text: str) -> tuple[str | int, ...]:
    parts = _MARKER.split(text) if "⟪ftgen " in text else [text]
    pieces = [int(part) if number % 2 else part for number, part in enumerate(parts)]
    return tuple(piece for piece in pieces if piece != "")
