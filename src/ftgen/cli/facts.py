"""`ftgen facts [-o FILE]`: a snapshot of a cluster's nodes, queues and quotas, to weigh jobs against."""

from __future__ import annotations

import sys
from pathlib import Path

from ftgen.cli import live, output, progress, writing
from ftgen.cli.arguments import Arguments, Usage
from ftgen.remote.cluster import facts
from ftgen.text import kube


def run(arguments: Arguments) -> int:
    """Print the snapshot, or write it to a file."""
    if arguments.overrides:
        raise Usage("facts takes no words: it reads the cluster of kubectl's context, and writes with -o FILE")
    out, namespace = arguments.flags.out, arguments.flags.namespace or ""
    if namespace and not kube.is_dns1123_label(namespace):
        raise Usage(f"no namespace is called {namespace!r}")
    with progress.steps(arguments) as step:
        step("reading the cluster's nodes, queues and quotas")
        found, left_out = facts.take(live.kubectl(arguments), namespace)
    output.print_diagnostics(output.apply_strict(left_out, arguments), arguments, to_stderr=out == "-")
    if out == "-":
        sys.stdout.write(found)
    else:
        writing.write({Path(out).name: found.encode()}, Path(out).parent, arguments)
        output.print_status("weigh jobs against it: ftgen check PATH… FILE, or cluster.facts.snapshot=FILE", arguments)
    return 0
