"""Running a case in this process, and what is never right whatever the case is.

A finding is an exit code other than 0, 1 and 2, an exception that leaves `main`, a run that takes too long, a file
changed outside of the working directory, and a process that is not as it was before.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import locale
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from tests.fuzz.case import Case, encoded

from ftgen import cli

SECONDS = 10
"""Processor time that an input may take; ten times what the slowest of ordinary size takes."""
_WALL = 60

SOURCES = str(Path(cli.__file__).parents[1])


class Hang(BaseException):
    """A run took too long."""


@dataclass(frozen=True)
class Verdict:
    """What became of a case.

    Attributes:
        code: the exit code; None where there was none.
        out: standard output.
        err: standard error.
        finding: what is wrong, the same for the same cause; empty where nothing is.
        told: the finding at length.
    """

    code: int | None
    out: str
    err: str
    finding: str = ""
    told: str = ""


class Box:
    """Folders that cases run in, one after the other: `work` is theirs, nothing beside it is."""

    def __init__(self, root: Path) -> None:
        """Create the folders below an empty one."""
        self.root = root.resolve()
        self.work = self.root / "work"
        self.outside = self.root / "outside"
        for name in ("outside", "home", "tmp"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.outside / "kept").write_text("kept\n", encoding="utf-8")
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.root / "home"),
            "XDG_STATE_HOME": str(self.root / "home" / "state"),
            "TMPDIR": str(self.root / "tmp"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": str(self.root),
            # A bug leaves `main` as the exception that it is.
            "FTGEN_TRACEBACK": "1",
        }

    def run(self, case: Case) -> Verdict:
        """Lay the case's files, run its words, and judge."""
        self._clean()
        with self._here():
            case.lay(self.work)
            before = _seen(self.outside)
            for words in case.before:
                self._main(Case(words))
            verdict = self._main(case)
        if verdict.finding:
            return verdict
        # A user may name a folder outside by -o, also through a link; nobody else may.
        changed = [] if any(map(self._is_outside, case.argv)) else sorted(before ^ _seen(self.outside))
        return _found(verdict, f"outside {changed[0][0]}", str(changed)) if changed else verdict

    def _is_outside(self, word: str) -> bool:
        try:
            return self.work.joinpath(word.rpartition("=")[2]).resolve().is_relative_to(self.outside)
        except (OSError, RuntimeError, ValueError):
            return False  # no path: too long, a loop of links, or a NUL

    def _clean(self) -> None:
        if self.work.exists():
            shutil.rmtree(self.work)
        self.work.mkdir()
        if len(_seen(self.outside)) > 1 or not (self.outside / "kept").is_file():
            shutil.rmtree(self.outside)
            self.outside.mkdir()
            (self.outside / "kept").write_text("kept\n", encoding="utf-8")

    @contextlib.contextmanager
    def _here(self) -> Iterator[None]:
        cwd, environment, place = Path.cwd(), dict(os.environ), tempfile.tempdir
        os.chdir(self.work)
        _become(self.environment)
        tempfile.tempdir = None
        try:
            yield
        finally:
            tempfile.tempdir = place
            _become(environment)
            os.chdir(cwd)

    def _main(self, case: Case) -> Verdict:
        os.chdir(self.work)
        _become({**self.environment, **{k: v for k, v in case.env.items() if v is not None}})
        for name in (name for name, value in case.env.items() if value is None):
            os.environ.pop(name, None)
        if case.gone:
            shutil.rmtree(self.work)
        state = _state()
        code, finding, told = None, "", ""
        with _streams(case) as streams, _patience():
            try:
                code = cli.main(list(case.argv))
            except BaseException as problem:  # noqa: BLE001 - whatever leaves main is what is looked for
                finding = f"{type(problem).__name__} in {_place(problem.__traceback__)}"
                told = "".join(traceback.format_exception(problem))
        verdict = Verdict(code, *streams.told(), finding, told)
        self.work.mkdir(exist_ok=True)
        if not finding and code not in {0, 1, 2}:
            return _found(verdict, f"exit {code}", verdict.err)
        if not finding and code == 2 and case.stderr == "open" and not verdict.err.startswith("ftgen: "):
            return _found(verdict, "usage without a word", verdict.err)
        changed = [name for name, value in _state().items() if value != state[name]]
        return _found(verdict, f"changed {changed[0]}", str(changed)) if changed and not finding else verdict


def _found(verdict: Verdict, finding: str, told: str) -> Verdict:
    return Verdict(verdict.code, verdict.out, verdict.err, finding, told)


def _become(environment: dict[str, str]) -> None:
    if dict(os.environ) != environment:
        os.environ.clear()
        os.environ.update(environment)


def _seen(folder: Path) -> set[tuple[str, int, int]]:
    """Every name below a folder with its size and time of change."""
    found = set()
    for place, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(f"{place}/{name}")
            found.add((os.path.relpath(f"{place}/{name}", folder), status.st_size, status.st_mtime_ns))
    return found


def _state() -> dict[str, Any]:
    """What of the process is its host's, not ftgen's."""
    try:
        cwd = str(Path.cwd())
    except OSError:
        cwd = ""
    return {
        "environment": dict(os.environ),
        "directory": cwd,
        "collector": (gc.get_threshold(), gc.isenabled()),
        "locale": locale.setlocale(locale.LC_ALL),
        "recursion": sys.getrecursionlimit(),
        "interrupt": signal.getsignal(signal.SIGINT),
        "terminate": signal.getsignal(signal.SIGTERM),
        "arguments": list(sys.argv),
        "path": list(sys.path),
        "mask": _mask(),
    }


def _mask() -> int:
    held = os.umask(0o022)
    os.umask(held)
    return held


# --- where it happened ----------------------------------------------------------------------------------


def _place(trace: TracebackType | None) -> str:
    """The innermost function of ftgen's."""
    frames = [frame for frame, _ in traceback.walk_tb(trace) if frame.f_code.co_filename.startswith(SOURCES)]
    return _named(frames[-1]) if frames else "nowhere"


def _named(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).relative_to(SOURCES)}:{frame.f_code.co_qualname}"


# --- streams and time -----------------------------------------------------------------------------------


class _Failing(io.RawIOBase):
    """A stream that nothing can be written to."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def writable(self) -> bool:
        return True

    def write(self, _data: Any) -> int:
        raise OSError(self.number, os.strerror(self.number))


_FAILS = {"full": errno.ENOSPC, "unread": errno.EPIPE}


def _writer(kind: str) -> io.TextIOWrapper | None:
    if kind == "closed":
        return None
    raw: Any = io.BufferedWriter(_Failing(_FAILS[kind]), 1) if kind in _FAILS else io.BytesIO()
    return io.TextIOWrapper(raw, encoding="utf-8", write_through=kind in _FAILS)


class _Streams:
    def __init__(self, case: Case) -> None:
        self.out, self.err = _writer(case.stdout), _writer(case.stderr)
        given = None if case.stdin is None else io.BytesIO(encoded(case.stdin))
        self.given = None if given is None else io.TextIOWrapper(given, encoding="utf-8")

    def told(self) -> tuple[str, str]:
        return _told(self.out), _told(self.err)


def _told(stream: io.TextIOWrapper | None) -> str:
    if stream is None or not isinstance(stream.buffer, io.BytesIO):
        return ""
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8", "replace")


@contextlib.contextmanager
def _streams(case: Case) -> Iterator[_Streams]:
    streams = _Streams(case)
    kept = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = streams.given, streams.out, streams.err  # type: ignore[assignment]
    try:
        yield streams
    finally:
        sys.stdin, sys.stdout, sys.stderr = kept


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Raise `Hang` where the work is, once a run has used up its processor time, or the wall's."""

    def over(number: int, frame: FrameType | None) -> None:
        raise Hang(f"more than {SECONDS} s of processor time, or {_WALL} s in all")

    kept = [(number, signal.signal(number, over)) for number in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, _WALL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in kept:
            signal.signal(number, handler)
