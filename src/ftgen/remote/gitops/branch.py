"""Store over a folder of a git branch, and the commit that changes it."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import IO, cast

from msgspec import Struct, field

from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.output.tree import EMPTY, LOCK_NAME, Lock, dump_lock, parse_lock
from ftgen.remote.gitops.git import Git, GitFailed
from ftgen.text import files

_FILE, _LINK, _MODULE, _FOLDER = "100644", "120000", "160000", "040000"


class BranchStore(Struct):
    """Files below `path` in `commit`, read without a checkout.

    Attributes:
        git: repository that holds the objects.
        commit: the commit to build on, empty for a branch that does not exist yet.
        path: the folder, empty for the root.
        shown: the place in words, for messages.
        modes: path in the repository, to the mode and object id of each entry of the commit.
        staged: path below `path`, to the object id of each staged file.
        removed: paths below `path` that the commit leaves out.
    """

    git: Git
    commit: str
    path: str
    shown: str
    modes: dict[str, tuple[str, str]] = field(default_factory=dict)
    staged: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    _object_format: str = ""
    _by_top: dict[str, list[str]] = field(default_factory=dict)
    _importer: subprocess.Popen[bytes] | None = None
    _reader: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self._object_format = self.git.text("rev-parse", "--show-object-format")
        if self.commit:
            self._list()
        top = self._full("")
        for path in (path for path, (mode, _) in self.modes.items() if mode != _FOLDER and path.startswith(top)):
            inside = path.removeprefix(top)
            self._by_top.setdefault(inside.partition("/")[0], []).append(inside)

    def _list(self) -> None:
        """List the way to the folder and what lies below it: what lies beside may be without end."""
        tree = self.commit
        for name, path in self._way():
            found = dict(self._entries(path.removesuffix(name), tree, f":(literal){name}"))
            self.modes |= found
            mode, tree = found.get(path, ("", ""))
            if mode != _FOLDER:
                return
        self.modes |= dict(self._entries(self._full(""), "-r", "-t", tree))

    def _entries(self, above: str, *command: str) -> Iterator[tuple[str, tuple[str, str]]]:
        for (mode, _kind, name), path in self.git.entries(*command, place=f"{self.shown}: {above or 'the root'}"):
            yield f"{above}{path}", (mode, name)

    def _way(self) -> list[tuple[str, str]]:
        """Return the name and the path of each folder on the way to the folder, and of itself."""
        parts = self.path.split("/") if self.path else []
        return [(name, "/".join(parts[: count + 1])) for count, name in enumerate(parts)]

    def close(self) -> None:
        """End the git processes."""
        for process in (self._importer, self._reader):
            if process is not None:
                process.kill()
                process.communicate()

    # methods of `Store`

    def describe(self) -> str:
        """Return the branch and folder in words."""
        return self.shown

    def is_bare(self) -> bool:
        """Return whether the folder holds only version control's own dot files."""
        return all(name.startswith(".git") for name in self._by_top)

    def problem(self, path: str) -> Diagnostic | None:
        """Return why nothing can be committed at `path`: a link, a submodule or a file in the way."""
        full = self._full(path)
        parts = full.split("/")
        parents = ["/".join(parts[:count]) for count in range(1, len(parts))]
        blocked = [parent for parent in parents if self.modes.get(parent, (_FOLDER, ""))[0] != _FOLDER]
        if blocked:
            return error("FT501", f"{full} lies behind {blocked[0]}, which is no folder", path, help="move it away")
        if self.modes.get(full, (_FILE, ""))[0] in {_LINK, _MODULE, _FOLDER}:
            return error("FT502", f"{full} is a link or a folder, not a file", path, help="move it away")
        return None

    def has(self, path: str) -> bool:
        """Return whether the commit has a file at `path`."""
        return self._full(path) in self.modes

    def holds(self, path: str, content: bytes) -> bool:
        """Return whether the commit has exactly this content at `path`; compare ids, read nothing."""
        return self.modes.get(self._full(path), ("", ""))[1] == self._id(content)

    def read(self, path: str) -> bytes | None:
        """Return the content at `path` in the commit, or None where it has no file there."""
        mode, name = self.modes.get(self._full(path), ("", ""))
        return self._content(name) if mode.startswith("100") else None

    def files(self, folder: str) -> list[str]:
        """Return the paths of all files, links and submodules below a folder."""
        within = self._by_top.get(folder.partition("/")[0], [])
        return [path for path in within if path.startswith(f"{folder}/")]

    def names(self) -> list[str]:
        """Return the names at the root of the tree."""
        return list(self._by_top)

    def stage(self, path: str, content: bytes) -> None:
        """Write the content as an object; only the commit will refer to it."""
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
        return self._hash(b"blob", content)

    def _hash(self, kind: bytes, content: bytes) -> str:
        return hashlib.new(self._object_format, b"%b %d\0%b" % (kind, len(content), content)).hexdigest()

    def _content(self, name: str) -> bytes:
        if self._reader is None:
            self._reader = self.git.open("cat-file", "--batch")
        requests = cast("IO[bytes]", self._reader.stdin)
        requests.write(f"{name}\n".encode())
        requests.flush()
        replies = self.git.answer(self._reader)
        header = replies.readline().split()
        if len(header) != 3 or header[1] != b"blob":  # noqa: PLR2004 - id, type, size
            headline = f"{self.shown} lacks the object {name}, as a partial clone does"
            raise Rejected([error("FT521", headline, "--repo", help="add --push, or name the URL of the remote")])
        if int(header[2]) > files.LARGEST:
            # The rest of the object stays in the pipe; the error ends all use of this process.
            headline = f"{self.shown}: the object {name} holds more than {files.LARGEST // files.MIB} MiB"
            raise Rejected(
                [error("FT521", headline, "--repo", help="it is no file of ftgen's: remove it from the branch")]
            )
        return replies.read(int(header[2]) + 1)[:-1]

    # the index and the commit

    def lock(self) -> Lock:
        """Return the ownership index of the folder."""
        text = self.read(LOCK_NAME)
        return EMPTY if text is None else parse_lock(text, f"{self.shown}: {self._full(LOCK_NAME)}")

    def stage_lock(self, lock: Lock) -> None:
        """Stage the index, unless it is unchanged."""
        text = dump_lock(lock)
        if (lock != EMPTY or self.has(LOCK_NAME)) and not self.holds(LOCK_NAME, text):
            if blocked := self.problem(LOCK_NAME):
                raise Rejected([blocked])
            self.stage(LOCK_NAME, text)

    @property
    def is_unchanged(self) -> bool:
        """Return whether a commit would change nothing."""
        return not self.staged and not self.removed

    def write(self, message: str, env: Mapping[str, str], *, signed: bool) -> str:
        """Commit the staged changes on top of `commit`; return the id of the new commit."""
        self._finish_import()
        index = {"GIT_INDEX_FILE": str(self.git.folder / "ftgen-index")}
        mode, inside = self.modes.get(self.path, ("", "")) if self.path else (_FOLDER, self.commit)
        self.git.run("read-tree", inside if inside and mode == _FOLDER else "--empty", env=index)
        self.git.run("update-index", "-z", "--index-info", stdin=self._index_lines(), env=index)
        # A clone without blobs lacks those of other files; the tree can name them nevertheless.
        tree = self.git.text("write-tree", "--missing-ok", env=index)
        for name, path in reversed(self._way()):
            tree = self._replaced(path.removesuffix(name), name, tree)
        parent = ["-p", self.commit] if self.commit else []
        sign = ["-S"] if signed else []
        commit = self.git.run("commit-tree", *sign, *parent, tree, stdin=message.encode(), env=env)
        return commit.decode().strip()

    def _replaced(self, above: str, name: str, tree: str) -> str:
        """Write the tree of the folder above anew, with another tree at a name; what lies beside stays unread."""
        held = self.modes.get(above.rstrip("/"), ("", ""))[1] if above else self.commit
        beside = self._entries("", held) if held else []
        lines = [_line(*entry, other) for other, entry in beside if other != name]
        if tree != self._hash(b"tree", b""):
            lines.append(_line(_FOLDER, tree, name))
        # Without this, an older git fetches each object beside that a clone lacks.
        alone = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
        return self.git.run("mktree", "-z", "--missing", stdin=b"".join(lines), env=alone).decode().strip()

    def _finish_import(self) -> None:
        importer, self._importer = self._importer, None
        if importer is None:
            return
        with suppress(BrokenPipeError):
            cast("IO[bytes]", importer.stdin).write(b"done\n")
        if self.git.end(importer):
            raise GitFailed(["fast-import"], "the objects could not be written; is the disk full?")

    def _index_lines(self) -> bytes:
        zero = "0" * hashlib.new(self._object_format).digest_size * 2
        removed = [f"0 {zero}\t{path}" for path in sorted(self.removed)]
        written = [f"{_FILE} {name}\t{path}" for path, name in sorted(self.staged.items())]
        return "".join(f"{line}\0" for line in [*removed, *written]).encode()


_KINDS = {_FOLDER: "tree", _MODULE: "commit"}


def _line(mode: str, name: str, path: str) -> bytes:
    """Return an entry as `git mktree` reads it."""
    return f"{mode} {_KINDS.get(mode, 'blob')} {name}\t{path}\0".encode("utf-8", "surrogateescape")
