"""`ftgen logs RUN`: follow the log of the pod that matters."""

from __future__ import annotations

import sys
import time

from ftgen.cli import live, output, progress
from ftgen.cli.arguments import Arguments, Usage
from ftgen.cli.live import Observed
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.remote import cluster
from ftgen.remote.cluster import Pod, Run

_SECONDS = 2


def run(arguments: Arguments) -> int:
    """Follow the failed rank, or rank 0: its init container while that fetches, then the one that trains."""
    if len(arguments.overrides) != 1 or "=" in arguments.overrides[0]:
        raise Usage("logs needs the name of one run, as in `ftgen logs sft-1a2b3c4d`")
    connection, shown = live.kubectl(arguments), ""
    while True:
        with progress.steps(arguments) as step:
            step("asking the cluster")
            pod = _pod(live.observe(arguments, arguments.overrides, logs=False))
        if pod.speaker != shown:
            shown = pod.speaker
            output.print_status(f"pod {pod.key[1]} on {pod.node}, container {shown}", arguments)
            sys.stdout.flush()
            if connection.follow(*_command(pod)):
                return 1
        if not _goes_on(pod):
            return 0
        time.sleep(_SECONDS)


def _command(pod: Pod) -> tuple[str, ...]:
    """Return the command of kubectl; no name in it can be taken for a flag, whatever the server calls its objects."""
    namespace, name = pod.key
    return ("logs", "--follow", f"--namespace={namespace}", f"--container={pod.speaker}", f"pod/{name}")


def _goes_on(pod: Pod) -> bool:
    """Return whether another container comes after the one that was shown."""
    return any(c.name == pod.speaker and c.init for c in pod.containers) and pod.failed_container is None


def _pod(observed: Observed) -> Pod:
    """Return the pod to follow.

    Raises:
        Rejected: FT576, when the name selects several runs, or none of the run's pods has begun.
    """
    if len(observed.runs) > 1:
        names = ", ".join(run.name for run in observed.runs[:5])
        headline = f"{len(observed.runs)} runs have that name: {names}"
        raise Rejected([error(cluster.UNKNOWN_RUN, headline, "logs", help="name one of them")])
    (run,) = observed.runs
    pod = run.decisive_pod
    if pod is None or not pod.speaker:
        raise Rejected([_silent(run, observed)])
    return pod


def _silent(run: Run, observed: Observed) -> Diagnostic:
    """Return why a run has no log yet, or no longer."""
    cause = cluster.why(run, observed.seen)
    what = cause.what if cause else f"it is {run.state}, and {_pods(run)}"
    return error(
        cluster.UNKNOWN_RUN, f"{run.name} has no log: {what}", run.name, help=cause.remedy if cause else "wait"
    )


def _pods(run: Run) -> str:
    """Return why the pods of a run, or their absence, keep it from having a log."""
    pod = run.decisive_pod
    if pod is None:
        return "no pod of it is there"
    waits = next((each.reason for each in pod.containers if each.state == "waiting" and each.reason), pod.phase)
    return f"its pod {pod.key[1]} has started no container ({waits})"
