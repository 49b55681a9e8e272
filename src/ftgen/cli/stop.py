"""`ftgen stop RUN…`: end committed runs, in two steps with the reconciler's sync between them."""

from __future__ import annotations

from ftgen.cli import output, repository
from ftgen.cli.arguments import Arguments
from ftgen.output.tree import FileChange, is_job_file
from ftgen.remote import gitops

_GUARDS_GONE = """\
The guards against pruning are gone from git; the training still runs.
Once the reconciler has synchronised this, run the same command again: it removes the file, which ends the training."""
_FILES_GONE = """\
Flux deletes the job when it next reconciles.
Argo CD deletes it in the next sync that prunes: `argocd app sync APP --prune`.
kubectl deletes it when it is told to: `kubectl delete -n NAMESPACE jobs.batch.volcano.sh NAME`."""
_SERVICE_GONE = """\
Flux deletes what serves when it next reconciles, Argo CD in the next sync that prunes.
kubectl deletes it when it is told to: `kubectl delete -n NAMESPACE deployment,service,inferenceservice NAME`."""
_PURGED = """\
Purged runs were archived: reconcilers had let go of their jobs. One that is there all the same stays, until
`kubectl delete -n NAMESPACE jobs.batch.volcano.sh NAME`."""


def run(arguments: Arguments) -> int:
    """Take the next step: first remove the guards, then the files."""
    names = repository.names(arguments)
    outcome, _ = repository.apply_edit(gitops.stopping(names), arguments)
    repository.print_changes(outcome, arguments, verbs={FileChange.CHANGED: "unguarded"})
    if outcome.paths(FileChange.CHANGED):
        output.print_status(_GUARDS_GONE, arguments)
    removed = [path.rpartition("/")[2] for path in outcome.paths(FileChange.REMOVED)]
    if any(map(is_job_file, removed)):
        output.print_status(_FILES_GONE, arguments)
    if any(name.startswith(("deployment-", "inferenceservice-")) for name in removed):
        output.print_status(_SERVICE_GONE, arguments)
    if outcome.paths(FileChange.PURGED):
        output.print_status(_PURGED, arguments)
    return 0
