"""A folder of a branch as a `Store`, and the commit that changes it."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, cast

from ftgen import files
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.gitops.git import Git, GitFailed
from ftgen.tree import EMPTY, LOCK_NAME, Lock, dump_lock, parse_lock

_FILE, _LINK, _MODULE = "100644", "120000", "160000"
_NOTHING = "0" * 40


@dataclass(slots=True)
class BranchStore:
    """The files below `path` in `commit`, read without a checkout.

    Attributes:
        git: where the objects are.
        commit: the commit to build on, empty for a branch that does not exist yet.
        path: the folder, empty for the root.
        shown: the place in words.
        hashing: name of the repository's object hash.
    """

    git: Git
    commit: str
    path: str
    shown: str
    hashing: str = "sha1"
    modes: dict[str, tuple[str, str]] = field(default_factory=dict)
    staged: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    _importer: subprocess.Popen[bytes] | None = None
    _reader: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        if self.commit:
            listed = self.git.run("ls-tree", "-r", "-t", "-z", "--full-tree", self.commit)
            self.modes = dict(_entry(line) for line in listed.split(b"\0") if line)

    def close(self) -> None:
        """End the processes that were talked to."""
        for process in (self._importer, self._reader):
            if process is not None:
                process.kill()
                process.communicate()

    # a store

    def describe(self) -> str:
        """Branch and folder."""
        return self.shown

    def is_bare(self) -> bool:
        """Whether the folder holds nothing but version control's own dot files."""
        inside = [path for path in self.modes if path.startswith(self._full(""))]
        return all(path.removeprefix(self._full("")).startswith(".git") for path in inside)

    def problem(self, path: str) -> Diagnostic | None:
        """Why nothing can be committed at `path`: a link, a submodule or a file in the way."""
        full = self._full(path)
        parts = full.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts))]
        blocked = [place for place in above if self.modes.get(place, ("040000", ""))[0] != "040000"]
        if blocked:
            return error("FT501", f"{full} lies behind {blocked[0]}, which is no folder", path, help="move it away")
        if self.modes.get(full, (_FILE, ""))[0] in {_LINK, _MODULE, "040000"}:
            return error("FT502", f"{full} is a link or a folder, not a file", path, help="move it away")
        return None

    def has(self, path: str) -> bool:
        """Whether the commit has a file at `path`."""
        return self._full(path) in self.modes

    def holds(self, path: str, content: bytes) -> bool:
        """Whether the commit has exactly this content at `path`; compares ids, reads nothing."""
        return self.modes.get(self._full(path), ("", ""))[1] == self._id(content)

    def read(self, path: str) -> bytes | None:
        """The content at `path` in the commit."""
        mode, name = self.modes.get(self._full(path), ("", ""))
        return self._content(name) if mode.startswith("100") else None

    def stage(self, path: str, content: bytes) -> None:
        """Write the content as an object; nothing refers to it until the commit does."""
        if self._importer is None:
            self._importer = self.git.open("fast-import", "--quiet", "--done")
        stream = cast("IO[bytes]", self._importer.stdin)
        try:
            stream.write(b"blob\ndata %d\n%b\n" % (len(content), content))
        except BrokenPipeError:
            self._finish_import()
        self.staged[path] = self._id(content)

    def remove(self, paths: Iterable[str]) -> None:
        """Leave these paths out of the commit."""
        self.removed |= set(paths)

    def _full(self, path: str) -> str:
        return f"{self.path}/{path}" if self.path else path

    def _id(self, content: bytes) -> str:
        return hashlib.new(self.hashing, b"blob %d\0%b" % (len(content), content)).hexdigest()

    def _content(self, name: str) -> bytes:
        if self._reader is None:
            self._reader = self.git.open("cat-file", "--batch")
        asked, told = cast("IO[bytes]", self._reader.stdin), cast("IO[bytes]", self._reader.stdout)
        asked.write(f"{name}\n".encode())
        asked.flush()
        header = told.readline().split()
        if len(header) != 3 or header[1] != b"blob":  # noqa: PLR2004 - id, type, size
            lacking = f"{self.shown} lacks the object {name}, as a partial clone does"
            raise Rejected([error("FT521", lacking, "--repo", help="add --push, or name the URL of the remote")])
        if int(header[2]) > files.LARGEST:
            # The rest of the object is left in the pipe: nothing more is asked of this process.
            large = f"{self.shown}: the object {name} holds more than {files.LARGEST // files.MIB} MiB"
            raise Rejected(
                [error("FT521", large, "--repo", help="it is no file of ftgen's: remove it from the branch")]
            )
        return told.read(int(header[2]) + 1)[:-1]

    # the index and the commit

    def lock(self) -> Lock:
        """The ownership index of the folder."""
        text = self.read(LOCK_NAME)
        return EMPTY if text is None else parse_lock(text, f"{self.shown}: {self._full(LOCK_NAME)}")

    def stage_lock(self, lock: Lock) -> None:
        """Stage the index, unless it says what it said."""
        text = dump_lock(lock)
        if (lock != EMPTY or self.has(LOCK_NAME)) and not self.holds(LOCK_NAME, text):
            if blocked := self.problem(LOCK_NAME):
                raise Rejected([blocked])
            self.stage(LOCK_NAME, text)

    @property
    def is_unchanged(self) -> bool:
        """Whether a commit would have nothing to say."""
        return not self.staged and not self.removed

    def write(self, text: str, when: Mapping[str, str], *, signed: bool) -> str:
        """The id of a commit of what was staged, on top of the one it was read from."""
        self._finish_import()
        index = {"GIT_INDEX_FILE": str(self.git.folder / "ftgen-index")}
        self.git.run("read-tree", self.commit or "--empty", env=index)
        self.git.run("update-index", "-z", "--index-info", given=self._index_lines(), env=index)
        # In a clone without blobs those of other files are not here; the tree names them all the same.
        tree = self.git.text("write-tree", "--missing-ok", env=index)
        parent = ["-p", self.commit] if self.commit else []
        sign = ["-S"] if signed else []
        made = self.git.run("commit-tree", *sign, *parent, tree, given=text.encode(), env=when)
        return made.decode().strip()

    def _finish_import(self) -> None:
        importer, self._importer = self._importer, None
        if importer is None:
            return
        with suppress(BrokenPipeError):
            cast("IO[bytes]", importer.stdin).write(b"done\n")
        importer.communicate()
        if importer.returncode:
            raise GitFailed(["fast-import"], "the objects could not be written; is the disk full?")

    def _index_lines(self) -> bytes:
        zero = "0" * hashlib.new(self.hashing).digest_size * 2
        gone = [f"0 {zero}\t{self._full(path)}" for path in sorted(self.removed)]
        put = [f"{_FILE} {name}\t{self._full(path)}" for path, name in sorted(self.staged.items())]
        return "".join(f"{line}\0" for line in [*gone, *put]).encode()


def _entry(line: bytes) -> tuple[str, tuple[str, str]]:
    head, _tab, path = line.partition(b"\t")
    mode, _kind, name = head.decode().split(" ")
    return path.decode("utf-8", "surrogateescape"), (mode, name)
