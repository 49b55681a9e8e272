"""What the last lines of a log say: how far a training is, and what its error means.

The messages are those of conf/trainer/*.sh and of what runs under them; docs/training.md explains the former.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from ftgen.diagnostics import credentials
from ftgen.text.lines import printable

# Bars that load weights or fetch files have a description before them, and those of a data set count its examples.
_BAR = re.compile(
    r"(?:^|[\r\n}])[ \t]*(?:\[[\w ]{1,40}\]:[ \t]*)?\d{1,3}%\|[^|\r\n]{0,200}\|[ \t]*(?P<step>\d{1,9})/(?P<steps>\d{1,9}) "
    r"\[(?:(?P<hours>\d{1,6}):)?(?P<minutes>\d{1,2}):(?P<seconds>\d\d)(?![^\]\r\n]{0,80}(?:examples|B)/s)"
)
_LOSS = re.compile(r"['\"]loss['\"]: ['\"]?([0-9.eE+-]{1,24}|nan|inf)")
_OURS = re.compile(r"^(?:prepare|train|launch|mpi|ray): .*?\berror: (?P<what>.+)")
_ERROR = re.compile(
    r"\b(?:[A-Za-z_.]{0,100}(?:Error|Exception|OutOfMemory)\b|error:|fatal:|FATAL|CUDA error|NPU error)"
)
# What one process of several repeats of another's error.
_ECHO = re.compile(
    r"ChildFailedError|torch\.distributed\.elastic|exitcode *:|Root Cause|^\s*(?:error_file|traceback) *:"
)


class Progress(Struct, frozen=True):
    """Progress of a training: `step` of `steps`, both 0 if unknown; `loss` as the trainer wrote it, or empty."""

    step: int = 0
    steps: int = 0
    loss: str = ""


def progress(log: str) -> Progress:
    """Return how far a training is by its last lines: its progress bar and the last loss that it printed.

    An evaluation within it has a bar of the same form, which has not run for as long.
    """
    bars, losses = [*_BAR.finditer(log)], _LOSS.findall(log)
    last = max(reversed(bars), key=_elapsed, default=None)
    step, of = (int(last["step"]), int(last["steps"])) if last else (0, 0)
    return Progress(step, of, losses[-1] if losses else "")


def _elapsed(bar: re.Match[str]) -> int:
    """Return for how many seconds a bar has run."""
    return 3600 * int(bar["hours"] or 0) + 60 * int(bar["minutes"]) + int(bar["seconds"])


class Meaning(Struct, frozen=True):
    """Error of a log: its line, and what to do about it."""

    line: str
    remedy: str


def meaning(log: str, run: str = "RUN") -> Meaning | None:
    """Return the error that ended a log, without secrets, and what to do; None for a log without one."""
    # Of a line that is cut, nobody could tell any more that its end is a secret.
    lines = [line for raw in re.split(r"[\r\n]", log) if (line := printable(credentials.redact(raw)))]
    found = next((m["what"] for line in reversed(lines) if (m := _OURS.match(line))), "") or next(
        (line for line in reversed(lines) if _ERROR.search(line) and not _ECHO.search(line)), ""
    )
    how = remedy(found) or f"`ftgen logs {run}` shows what stands before it"
    return Meaning(found, how) if found else None


def remedy(line: str) -> str:
    """Return what to do about an error; empty where nobody knows."""
    return next((how for pattern, how in _REMEDIES if pattern.search(line)), "")


def _remedies(*rows: tuple[str, str]) -> Sequence[tuple[re.Pattern[str], str]]:
    return [(re.compile(pattern, re.IGNORECASE), how) for pattern, how in rows]


_REMEDIES = _remedies(
    (r"MiB free and needs .*MiB", "enlarge the claim (storage.models.size), or remove what is not used"),
    (r"the volume of .* is full|No space left on device|disk quota exceeded", "free space, or enlarge the claim (storage.workspace.size)"),
    (r"refused the user or token", "give the git secret (cluster.git.secret) the right to read that repository"),
    (r"the certificate .*is not trusted|certificate verify failed", "name the authority (cluster.git.ca_config_map), or set cluster.git.tls_verify=false"),
    (r"has no branch, tag or commit", "correct model.revision or dataset.revision"),
    (r"no sign of life from", "nothing: a pod died while it fetched, and this one continues"),
    (r"holds .*, and this job wants", "name another folder (model.folder, dataset.folder) or volume, or remove it once no job uses it"),
    (r"is no folder: move it away", "move away the file, or the link to nothing, that has the name of the folder"),
    (r"the server did not give|one of its large files is not there", "push the file to the repository's LFS store"),
    (r"which leads out of its folder", "commit the file itself, or remove the link"),
    (r"is neither a file nor a folder", "remove the pipe or device from the volume"),
    (r"dataset_info\.json has no entry", "correct dataset.name or trainer.args.dataset, or add the entry to the repository"),
    (r"dataset_info\.json is not there", "push one, or set dataset.info"),
    (r"the training would end with this data", "mend the rows that the errors before it name: `ftgen data` says the same of a clone"),
    (r"entry .*names .*|which (?:is not there|lies out of its folder)", "correct file_name in the repository, or push the file"),
    (r"must be a whole number|is no URL of a git repository", "take the value away that an overlay or the pod's environment gives that variable"),
    (r"leads to no file of that folder, and would be pushed", "put the file itself there, or remove it"),
    (r"the server refused branch", "let the branch be written to: it is protected, or a hook refuses it"),
    (r"Tried \d+ times. The weights are still in", "mend the cause and `ftgen rerun` it: it only pushes"),
    (r"holds the training of job", "give this run an output folder of its own"),
    (r"cannot be resolved after", "look at that pod: it is not scheduled, or still fetches"),
    (r"cannot be (?:written|moved|renamed) by uid", "give the pod a matching fsGroup, or remove what is in the way"),
    (r"the image has no", "choose another image (hardware.image), or build one: `ftgen image`"),
    (r"cuda out of memory|OutOfMemoryError|NPU out of memory|out of memory.*NPU", "halve trainer.batch_size, or shorten trainer.cutoff_len; `ftgen plan --fit` estimates the memory"),
    (r"NCCL|HCCL|ProcessGroup|watchdog.*timeout|Connection (?:reset|closed) by peer", "look at the other ranks' logs: one of them ended, or the network between the nodes did not"),
    (r"bus error|shared memory|unable to (?:open|allocate) shm", "raise storage.shm"),
    (r"CUDA driver version is insufficient|no kernel image is available|CUDA error", "choose an image for the cards' driver (hardware.image)"),
    (r"ModuleNotFoundError|ImportError", "choose an image that has the module (hardware.image), or build one: `ftgen image`"),
)  # fmt: skip
