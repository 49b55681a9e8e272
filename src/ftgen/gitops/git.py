"""Running git, and nothing but git: the one door to the program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from ftgen.diagnostics import Rejected, error

PROTOCOLS = ("file", "git", "http", "https", "ssh")
"""The transports git may use; `ext::` and `fd::` run programs."""
_NO_TRANSPORT = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
"""For a repository of somebody else's, whose configuration names the program that fetches a missing object."""
_TRANSPORT = {"GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS), "GIT_NO_LAZY_FETCH": "0"}

_OWN = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    # Objects may be written into a repository whose references this one does not know: never collect there.
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.writeCommitGraph": "false",
    "log.showSignature": "false",
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
"""What the environment may hold when ftgen runs inside a hook, and would point git elsewhere."""


class GitFailed(Exception):  # noqa: N818 - what git reports, not a malfunction
    """Git ended with an error; `message` is what it said."""

    def __init__(self, command: Sequence[str], message: str) -> None:
        """Keep the verb and the message."""
        self.message = message.strip()
        super().__init__(f"git {command[0]}: {self.message}")


@dataclass(frozen=True, slots=True)
class Git:
    """A repository to run plumbing in.

    Attributes:
        folder: the repository's own folder.
        settings: configuration on top of the user's, programs excluded.
        env: environment on top of the process's.
    """

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, *command: str, given: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """What a git command prints.

        Raises:
            GitFailed: it ended with an error.
            Rejected: FT530, there is no git.
        """
        done = subprocess.run(
            self._line(command),
            input=given,
            capture_output=True,
            env=self._environment(env or {}),
            check=False,
        )
        if done.returncode:
            raise GitFailed(command, done.stderr.decode("utf-8", "replace"))
        return done.stdout

    def text(self, *command: str, env: Mapping[str, str] | None = None) -> str:
        """What a git command prints, as text without the last line's end."""
        return self.run(*command, env=env).decode("utf-8", "replace").rstrip("\n")

    def maybe(self, *command: str) -> str:
        """The same, or the empty string when git ends with an error."""
        try:
            return self.text(*command)
        except GitFailed:
            return ""

    def open(self, *command: str) -> subprocess.Popen[bytes]:
        """A git command to talk to."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self._line(command), stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=self._environment({})
        )

    def _line(self, command: Sequence[str]) -> list[str]:
        return ["git", f"--git-dir={self.folder}", *command]

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in _FORGOTTEN}
        return kept | _fixed() | _configuration({**_OWN, **self.settings}) | dict(self.env) | dict(extra)


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
    """Settings by environment, after those that are there: a token must not show in the list of processes."""
    given = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(given) if given.isdecimal() else 0
    pairs = enumerate(settings.items(), first)
    numbered = {
        f"GIT_CONFIG_{part}_{i}": text for i, pair in pairs for part, text in zip(("KEY", "VALUE"), pair, strict=True)
    }
    return {"GIT_CONFIG_COUNT": str(first + len(settings)), **numbered}


@contextmanager
def scratch_repository(
    settings: Mapping[str, str], objects: Path | None = None, hashing: str = "sha1"
) -> Iterator[Git]:
    """A temporary bare repository; with `objects`, it reads and writes another one's object store."""
    with TemporaryDirectory(prefix="ftgen-git-", ignore_cleanup_errors=True) as place:
        folder = Path(place) / "repository.git"
        first = Git(folder, settings)
        first.run("init", "--quiet", "--bare", "--template=", f"--object-format={hashing}", str(folder))
        yield Git(folder, settings, {"GIT_OBJECT_DIRECTORY": str(objects)} if objects else _TRANSPORT)


@contextmanager
def translate_git_errors() -> Iterator[None]:
    """Translate what nobody foresaw, once, at the door."""
    try:
        yield
    except GitFailed as problem:
        raise Rejected([error("FT530", str(problem), help="run it with GIT_TRACE=1 to see more")]) from problem
    except FileNotFoundError as problem:
        raise Rejected([error("FT530", "git is not installed", help="install git 2.31 or later")]) from problem
