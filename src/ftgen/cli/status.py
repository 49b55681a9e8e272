"""`ftgen status [RUN…]`: show what became of runs on the cluster, and why one does not run."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict, replace

from ftgen.cli import live, output, progress, report, streams
from ftgen.cli.arguments import Arguments, Usage
from ftgen.cli.live import Observed
from ftgen.diagnostics import Rejected, Severity
from ftgen.remote import cluster
from ftgen.remote.cluster import Run
from ftgen.text.tables import table

if TYPE_CHECKING:
    from ftgen.remote.cluster import mlflow

_SECONDS = 3
_TITLES = ("RUN", "STATE", "WHERE", "STEP", "LOSS", "AGE", "RESTARTS")
_NODES = 3
_SHORT = 8  # characters of an MLflow run's identifier


def run(arguments: Arguments) -> int:
    """Print a line for each run, and why it does not run; or the same as JSON; with --watch again and again."""
    if [word for word in arguments.overrides if "=" in word]:
        raise Usage("status takes names of runs, as in `ftgen status sft-1a2b3c4d`")
    if arguments.flags.watch and arguments.flags.json:
        raise Usage("--json is one document, and --watch many")
    server = _mlflow(arguments)
    _print(_observe(arguments, server), arguments)
    return _watch(arguments, server) if arguments.flags.watch else 0


def _mlflow(arguments: Arguments) -> mlflow.Server | None:
    """Return the MLflow server to ask; None without --mlflow.

    Raises:
        Usage: the environment names none.
    """
    if not arguments.flags.mlflow:
        return None
    from ftgen.remote.cluster import mlflow  # noqa: PLC0415 - with the standard library's HTTP, which takes as long as the table

    try:
        return mlflow.Server.of(os.environ)
    except ValueError as problem:
        raise Usage(f"--mlflow: {problem}") from None


def _observe(arguments: Arguments, server: mlflow.Server | None) -> Observed:
    with progress.steps(arguments) as step:
        step("asking the cluster")
        observed = live.observe(arguments, arguments.overrides)
        if server is None:
            return observed
        step("asking MLflow")
        return live.with_tracking(observed, server)


def _watch(arguments: Arguments, server: mlflow.Server | None) -> int:
    """Draw again until Ctrl-C; what fails meanwhile is reported in its place, as it may pass."""
    try:
        while True:
            time.sleep(_SECONDS)
            try:
                observed = _observe(arguments, server)
            except Rejected as rejected:
                output.print_diagnostics(rejected.diagnostics, arguments, to_stderr=True)
            else:
                sys.stdout.write("\x1b[H\x1b[2J" if sys.stdout.isatty() else "\n")
                _print(observed, arguments)
    except KeyboardInterrupt:
        return 0


def _print(observed: Observed, arguments: Arguments) -> None:
    now = datetime.now(UTC)
    if arguments.flags.json:
        print(json.dumps(document(observed, now), indent=2, ensure_ascii=False))  # noqa: T201
    else:
        width = streams.width()
        output.print_text(lines(observed, now, width))
    sys.stdout.flush()
    unread = [replace(each, severity=Severity.NOTE) for each in observed.seen.unread]
    if unread:
        output.print_diagnostics(unread, arguments, to_stderr=arguments.flags.json)
    if not observed.runs:
        output.print_status("there are no runs", arguments)


# text


def lines(observed: Observed, now: datetime, width: int) -> Iterator[str]:
    """Yield the table; below a run that does not train, why."""
    if not observed.runs:
        return
    titles = _TITLES if observed.tracked is None else (*_TITLES, "MLFLOW")
    rows = table([titles, *(_row(run, observed, now) for run in observed.runs)])
    yield rows[0]
    for run, row in zip(observed.runs, rows[1:], strict=True):
        yield row
        if cause := cluster.why(run, observed.seen):
            yield _paragraph(str(cause), width)


@lru_cache(maxsize=64)
def _paragraph(text: str, width: int) -> str:
    """Break a text into indented lines; the runs that wait in a queue mostly have the same."""
    return textwrap.indent(textwrap.fill(text, width - 2, break_on_hyphens=False, break_long_words=False), "  ")


def _row(run: Run, observed: Observed, now: datetime) -> Sequence[str]:
    done = _progress(run, observed)
    step = f"{done.step}/{done.steps}" if done.steps else str(done.step or "-")
    created = age(now, run.job.created) if run.job else "-"
    restarts = str(_restarts(run)) if run.job else "-"
    tracked = () if observed.tracked is None else (_tracked(run, observed),)
    return (run.name, run.state, _where(run), step, done.loss or "-", created, restarts, *tracked)


def _tracked(run: Run, observed: Observed) -> str:
    found = (observed.tracked or {}).get(run.key)
    return f"{found.status.lower()} {found.run_id[:_SHORT]}" if found else "-"


def _where(run: Run) -> str:
    """Write the nodes and the cards on each: `gpu-1,gpu-2 2x8 nvidia.com/gpu`."""
    nodes = _nodes(run)
    shown = ",".join(nodes[:_NODES]) + (f",+{len(nodes) - _NODES}" if len(nodes) > _NODES else "")
    resource, cards = _cards(run)
    pods = run.job.pods if run.job else 0
    return " ".join(part for part in (shown, f"{pods}x{cards} {resource}" if cards else "") if part) or "-"


def age(now: datetime, created: datetime) -> str:
    """Write the time since a moment by its two largest units: `3d4h`, `12m5s`."""
    seconds = max(0, int((now - created).total_seconds()))
    units = (("d", seconds // 86400), ("h", seconds // 3600 % 24), ("m", seconds // 60 % 60), ("s", seconds % 60))
    first = next((index for index, (_, count) in enumerate(units) if count), len(units) - 1)
    return "".join(f"{count}{unit}" for unit, count in units[first : first + 2] if count) or "0s"


# facts


def _progress(run: Run, observed: Observed) -> cluster.Progress:
    """Return how far a run is by its log; what that does not tell, by MLflow."""
    pod, tracked = run.decisive_pod, (observed.tracked or {}).get(run.key)
    done = cluster.progress(observed.seen.logs.get(pod.key, "") if pod else "")
    if tracked is None:
        return done
    # A bar that ends before the tracked step is another's, an evaluation's for instance.
    is_own = done.step and tracked.step <= done.steps
    step, steps = (done.step, done.steps) if is_own else (tracked.step, 0)
    return cluster.Progress(step, steps, done.loss or tracked.loss)


def _restarts(run: Run) -> int:
    return (run.job.restarts if run.job else 0) + sum(c.restarts for pod in run.pods for c in pod.containers)


def _nodes(run: Run) -> list[str]:
    return list(dict.fromkeys(pod.node for pod in run.pods if pod.node))


def _cards(run: Run) -> tuple[str, int]:
    return (run.job.shape.card, run.job.shape.cards) if run.job else ("", 0)


# JSON


def document(observed: Observed, now: datetime) -> Mapping[str, Any]:
    """Return the runs, and what could not be read, as JSON values."""
    unread = [
        {name: each[name] for name in ("code", "headline", "help")} for each in report.values(observed.seen.unread)
    ]
    return {"runs": [_plain(run, observed, now) for run in observed.runs], "unread": unread}


def _plain(run: Run, observed: Observed, now: datetime) -> Mapping[str, Any]:
    cause, done, (resource, cards) = cluster.why(run, observed.seen), _progress(run, observed), _cards(run)
    return {
        "name": run.key[1],
        "namespace": run.key[0],
        "identity": run.committed.identity if run.committed else None,
        "file": run.committed.path if run.committed else None,
        "committed": str(run.committed.state) if run.committed else None,
        "state": run.state,
        "phase": run.job.phase if run.job else None,
        "queue": run.job.queue if run.job else run.committed.queue if run.committed else None,
        "nodes": _nodes(run),
        "pods": run.job.pods if run.job else None,
        "cards": {"resource": resource, "per_pod": cards} if cards else None,
        "step": done.step if done.steps or done.step else None,
        "steps": done.steps or None,
        "loss": done.loss or None,
        "created": run.job.created.isoformat() if run.job else None,
        "age_seconds": int((now - run.job.created).total_seconds()) if run.job else None,
        "restarts": _restarts(run) if run.job else None,
        "mlflow": _plain_tracked(run, observed),
        "why": {"kind": cause.kind, "what": cause.what, "remedy": cause.remedy} if cause else None,
    }


def _plain_tracked(run: Run, observed: Observed) -> Mapping[str, Any] | None:
    found = (observed.tracked or {}).get(run.key)
    return asdict(found) if found else None
