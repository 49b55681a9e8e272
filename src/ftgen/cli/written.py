"""What the index of an output tree says of the manifests in it: what they were judged by when they were rendered.

Only of files that are as ftgen wrote them: what was edited since, or put there by others, is judged like any other.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ftgen import tree
from ftgen.diagnostics import Rejected
from ftgen.terms import Terms, as_stated


@dataclass(slots=True)
class TreeLocks:
    """The indexes of the trees that files lie in, each read once."""

    known: dict[Path, tree.Lock] = field(default_factory=dict)
    told: dict[str, Terms] = field(default_factory=dict)

    def terms(self, name: str, text: str, terms: Terms) -> Terms:
        """What a file is judged by: the terms given, and what its tree's index says of it."""
        said = self._judged(Path(name).absolute(), text)
        if not said:
            return terms
        if said not in self.told:
            self.told[said] = terms
            with suppress(Rejected, ValueError):
                self.told[said] = as_stated(said, terms)
        return self.told[said]

    def _judged(self, file: Path, text: str) -> str:
        for folder in file.parents:
            if (lock := self._lock(folder)).files:
                entry = lock.files.get(file.relative_to(folder).as_posix())
                same = entry is not None and entry.sha256 == hashlib.sha256(text.encode()).hexdigest()
                return tree.judged_by(lock, entry.run) if entry and same else ""
        return ""

    def _lock(self, folder: Path) -> tree.Lock:
        if folder not in self.known:
            self.known[folder] = tree.EMPTY
            if (folder / tree.LOCK_NAME).is_file():
                with suppress(Rejected):
                    self.known[folder] = tree.read_lock(folder)
        return self.known[folder]
