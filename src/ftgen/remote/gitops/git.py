"""Run git; no other module starts the program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct, field

from ftgen.diagnostics import Rejected, error

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

_OWN = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    # Objects may be written into another repository, whose references are unknown here: never collect garbage.
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.writeCommitGraph": "false",
    "log.showSignature": "false",
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


class GitFailed(Exception):  # noqa: N818 - an expected outcome, not a malfunction
    """Error exit of git; `message` is its error output."""

    def __init__(self, command: Sequence[str], message: str) -> None:
        """Keep the verb and the message."""
        self.message = message.strip()
        super().__init__(f"git {command[0]}: {self.message}")


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
        """Run a git command and return its output, for at most `timeout` seconds; without, some minutes if it is local.

        Raises:
            GitFailed: it ended with an error, or did not end in time.
            Rejected: FT530, there is no git.
        """
        try:
            done = subprocess.run(
                self._line(command),
                input=stdin,
                capture_output=True,
                env=self._environment(env or {}),
                check=False,
                timeout=timeout or self._patience(),
            )
        except subprocess.TimeoutExpired as expired:
            raise GitFailed(command, f"no answer came in {expired.timeout:.0f} s") from None
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

    def open(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a git command with pipes to its input and output."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self._line(command), stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=self._environment({})
        )

    def _patience(self) -> float | None:
        """Return how long a command may take; one that contacts nobody waits without end only for a FIFO."""
        return None if "GIT_ALLOW_PROTOCOL" in self.env else 60 * _MINUTES

    def _line(self, command: Sequence[str]) -> list[str]:
        return ["git", f"--git-dir={self.folder}", *command]

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in _FORGOTTEN}
        wanted = kept | _fixed() | _configuration({**_OWN, **self.settings}) | dict(self.env) | dict(extra)
        return {key: value for key, value in wanted.items() if value is not None}


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
