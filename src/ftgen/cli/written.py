"""Options that the manifests of an output tree were checked with when they were rendered, from the tree's index.

Only files that are as ftgen wrote them have such options; edited and foreign files are checked like any other.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field

from ftgen.diagnostics import Rejected
from ftgen.output import tree
from ftgen.validation.options import CheckOptions, restore_options


class TreeLocks(Struct):
    """Ownership indexes of the trees that files lie in, each read once.

    Attributes:
        used: number of files that were checked with recorded options, by their tree.
    """

    locks: dict[Path, tree.Lock] = field(default_factory=dict)
    trees: dict[str, tuple[Path, tree.Lock, str]] = field(default_factory=dict)
    parsed: dict[str, CheckOptions] = field(default_factory=dict)
    used: Counter[Path] = field(default_factory=Counter)

    def options(self, name: str, text: str, options: CheckOptions) -> CheckOptions:
        """Return the options to check a file with: those given, replaced by those that its tree's index records."""
        root, recorded = self._recorded(name, text)
        if not recorded:
            return options
        if recorded not in self.parsed:
            self.parsed[recorded] = options
            with suppress(Rejected, ValueError):
                self.parsed[recorded] = restore_options(recorded, options)
        if (found := self.parsed[recorded]) is not options:
            self.used[root] += 1
        return found

    def _recorded(self, name: str, text: str) -> tuple[Path, str]:
        folder, file = os.path.split(name)
        if folder not in self.trees:
            self.trees[folder] = self._tree(Path(folder).absolute())
        root, lock, path = self.trees[folder]
        entry = lock.files.get(path + file)
        is_unchanged = entry is not None and entry.sha256 == hashlib.sha256(text.encode()).hexdigest()
        return root, tree.judged_by(lock, entry.run) if entry and is_unchanged else ""

    def _tree(self, folder: Path) -> tuple[Path, tree.Lock, str]:
        """Return the innermost tree that a folder lies in, its index, and the folder's path there, with a slash."""
        for root in (folder, *folder.parents):
            if (lock := self._lock(root)).files:
                return root, lock, "".join(f"{part}/" for part in folder.relative_to(root).parts)
        return folder, tree.EMPTY, ""

    def _lock(self, folder: Path) -> tree.Lock:
        if folder not in self.locks:
            self.locks[folder] = tree.EMPTY
            if (folder / tree.LOCK_NAME).is_file():
                with suppress(Rejected):
                    self.locks[folder] = tree.read_lock(folder)
        return self.locks[folder]
