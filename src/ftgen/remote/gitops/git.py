"""Run git; no other module starts the program."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from msgspec import Struct, field

from ftgen.diagnostics import Rejected, error
from ftgen.text import files

PROTOCOLS = ("file", "git", "http", "https", "ssh")
"""Transports that git may use; `ext::` and `fd::` run programs."""
_NO_TRANSPORT = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
"""Environment for a foreign repository, whose configuration may name a program that fetches a missing object."""
# Unset rather than 0, which a server on this machine would inherit: it forbids itself to fetch where it finds nothing.
_TRANSPORT = {"GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS), "GIT_NO_LAZY_FETCH": None}
SERVER = (
    "GIT_NO_LAZY_FETCH=1 git -c core.hooksPath=/dev/null -c core.alternateRefsCommand=true -c core.fsmonitor=false"
    " -c gc.auto=0 -c maintenance.auto=false -c receive.autogc=false -c receive.denyCurrentBranch=refuse"
)
"""Command that starts git in a repository on this machine, whose configuration and hooks may name programs."""
_MINUTES = 5.0
"""Minutes that work on a repository on this machine takes at most."""
_AT_ONCE = 10.0
"""Seconds in which git begins to answer a question about a repository on this machine; it takes milliseconds."""
_QUESTIONS = {
    *("cat-file", "config", "log", "ls-files", "ls-tree", "rev-parse", "status", "symbolic-ref", "var", "worktree"),
}
_MOST_ENTRIES = 100_000
_PIECE = 1 << 16

_OWN = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    # Objects may be written into another repository, whose references are unknown here: never collect garbage.
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.writeCommitGraph": "false",
    "log.showSignature": "false",
    # A file that compresses to nothing is handed on piece by piece, and is never whole in memory.
    "core.bigFileThreshold": str(files.LARGEST),
    # A .mailmap may be a FIFO, and changes nothing that is asked.
    "log.mailmap": "false",
    "user.useConfigOnly": "true",
}
_FORGOTTEN = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_CONFIG",
)
"""Variables that a git hook sets and that would point git to another repository."""


def patience(*, here: bool) -> float | None:
    """Return the seconds that a server may take to answer: over a network, as long as git itself waits."""
    return 60 * _MINUTES if here else None


class GitFailed(Exception):  # noqa: N818 - an expected outcome, not a malfunction
    """Error exit of git; `message` is its error output."""

    def __init__(self, command: Sequence[str], message: str) -> None:
        """Keep the verb and the message."""
        self.message = message.strip()
        super().__init__(f"git {_verb(command)}: {self.message}")


class Git(Struct, frozen=True):
    """Repository to run plumbing in.

    Attributes:
        folder: the repository's own folder.
        settings: configuration on top of the user's; never names a program.
        env: environment variables on top of the process's.
    """

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str | None] = field(default_factory=dict)

    def run(
        self, *command: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> bytes:
        """Run a git command and return its output, for at most `timeout` seconds; without, see `_patience`.

        Raises:
            GitFailed: it ended with an error, or did not end within `timeout`.
            Rejected: FT521, git waits for a file of the repository; FT530, there is no git.
        """
        longest = timeout or self._patience(command)
        try:
            done = subprocess.run(
                self._line(command),
                input=stdin,
                capture_output=True,
                env=self._environment(env or {}),
                check=False,
                timeout=longest,
            )
        except subprocess.TimeoutExpired:
            if timeout is None:
                raise self._unanswered(command, longest) from None
            raise GitFailed(command, f"no answer came in {timeout:.0f} s") from None
        if done.returncode:
            raise GitFailed(command, done.stderr.decode("utf-8", "replace"))
        return done.stdout

    def text(self, *command: str, env: Mapping[str, str] | None = None, timeout: float | None = None) -> str:
        """Run a git command and return its output as text, without the last newline."""
        return self.run(*command, env=env, timeout=timeout).decode("utf-8", "replace").rstrip("\n")

    def maybe(self, *command: str) -> str:
        """Run a git command and return its output as text, or the empty string when git exits with an error."""
        try:
            return self.text(*command)
        except GitFailed:
            return ""

    def records(self, *command: str) -> Generator[bytes]:
        """Yield what a git command prints, each record up to its NUL, as it comes; end git with the last one wanted.

        Raises:
            GitFailed: it ended with an error, or prints more in one record than a path holds.
            Rejected: FT521, git waits for a file of the repository.
        """
        process, rest = self.open(*command), b""
        try:
            while piece := self.answer(process).read1(_PIECE):
                *whole, rest = (rest + piece).split(b"\0")
                yield from whole
                if len(rest) > files.MIB:
                    raise GitFailed(command, f"it names a path of more than {files.MIB} bytes")
            yield from filter(None, [rest])
            if self.end(process):
                self.run(*command)  # once more, for its message
                raise GitFailed(command, "it ended too early")
        finally:
            process.kill()
            process.communicate()

    def entries(self, *command: str, place: str) -> Iterator[tuple[list[str], str]]:
        """Yield the fields and the path of each entry that `ls-tree` lists; a few kilobytes can name 10^10 of them.

        Args:
            command: flags of `ls-tree`, and the tree.
            place: where the tree is, in words.

        Raises:
            GitFailed: see `records`.
            Rejected: FT521, there are more than anybody commits; or see `records`.
        """
        room = files.LARGEST
        for count, record in enumerate(self.records("ls-tree", "-z", "--full-tree", *command), 1):
            room -= len(record)
            if count > _MOST_ENTRIES or room < 0:
                headline = f"{place} has more than {_MOST_ENTRIES} files and folders, or endless paths"
                how = "remove what does not belong there, or choose another folder"
                raise Rejected([error("FT521", headline, help=how)])
            head, _tab, path = record.partition(b"\t")
            yield head.decode().split(), path.decode("utf-8", "surrogateescape")

    def open(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a git command with pipes to its input and output."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self._line(command), stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=self._environment({})
        )

    def answer(self, process: subprocess.Popen[bytes]) -> BufferedReader:
        """Return the output of a started command, once it has something to read; whatever came before must be read.

        Raises:
            Rejected: FT521, git waits for a file of the repository.
        """
        output = cast("BufferedReader", process.stdout)
        polled = select.poll()
        polled.register(output, select.POLLIN)
        command = cast("list[str]", process.args)[2:]
        # A clone without blobs fetches each that is asked for, which takes as long as the network does.
        longest = self._patience(command)
        if not polled.poll(None if longest is None else 1000 * longest):
            raise self._unanswered(command, longest)
        return output

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """Close the input of a started command, wait for its end, and return its exit status.

        Raises:
            Rejected: FT521, git waits for a file of the repository.
        """
        try:
            process.communicate(timeout=60 * _MINUTES)
        except subprocess.TimeoutExpired:
            process.kill()
            raise self._unanswered(cast("list[str]", process.args)[2:], 60 * _MINUTES) from None
        return process.returncode

    def _patience(self, command: Sequence[str]) -> float | None:
        """Return how long a command may take; one that contacts nobody waits without end only for a FIFO."""
        if "GIT_ALLOW_PROTOCOL" in self.env:
            return None
        return _AT_ONCE if _verb(command) in _QUESTIONS else 60 * _MINUTES

    def _unanswered(self, command: Sequence[str], seconds: float | None) -> Rejected:
        headline = f"git does not answer in {seconds:.0f} s: `git {_verb(command)}` waits for a file of {self.folder}"
        how = f"look for FIFOs by `find {self.folder.parent} -type p`, and at what its config names, as by include.path"
        return Rejected([error("FT521", headline, str(self.folder), help=how)])

    def _line(self, command: Sequence[str]) -> list[str]:
        return ["git", f"--git-dir={self.folder}", *command]

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in _FORGOTTEN}
        wanted = kept | _fixed() | _configuration({**_OWN, **self.settings}) | dict(self.env) | dict(extra)
        return {key: value for key, value in wanted.items() if value is not None}


def _verb(command: Sequence[str]) -> str:
    return command[2] if command[0] == "-C" else command[0]


def _fixed() -> dict[str, str]:
    return {
        **_NO_TRANSPORT,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
        "GIT_PAGER": "cat",
    }


def _configuration(settings: Mapping[str, str]) -> dict[str, str]:
    """Return variables that pass settings to git, after those already set: a token must not show in a process list."""
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdecimal() else 0
    pairs = enumerate(settings.items(), first)
    numbered = {
        f"GIT_CONFIG_{part}_{i}": text for i, pair in pairs for part, text in zip(("KEY", "VALUE"), pair, strict=True)
    }
    return {"GIT_CONFIG_COUNT": str(first + len(settings)), **numbered}


@contextmanager
def scratch_repository(
    settings: Mapping[str, str], objects: Path | None = None, object_format: str = "sha1"
) -> Iterator[Git]:
    """Create a temporary bare repository; with `objects`, it reads and writes another one's object store."""
    with TemporaryDirectory(prefix="ftgen-git-", ignore_cleanup_errors=True) as parent:
        folder = Path(parent) / "repository.git"
        plain = Git(folder, settings)
        plain.run("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", str(folder))
        yield Git(folder, settings, {"GIT_OBJECT_DIRECTORY": str(objects)} if objects else _TRANSPORT)


@contextmanager
def translate_git_errors() -> Iterator[None]:
    """Convert unexpected git failures to diagnostics (FT530)."""
    try:
        yield
    except GitFailed as problem:
        raise Rejected([error("FT530", str(problem), help="run it with GIT_TRACE=1 to see more")]) from problem
    except FileNotFoundError as problem:
        raise Rejected([error("FT530", "git is not installed", help="install git 2.31 or later")]) from problem
