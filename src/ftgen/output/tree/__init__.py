"""The output tree: the files that renders own, the changes of a new render, and the write that makes them.

The ownership index `ftgen.lock` lies at the root of every tree.  Its extension keeps it away from Argo CD
and Flux, which parse every `.yaml` and `.json` below an application's path as a manifest.  Only files that
the index lists and whose bytes still match their recorded digest are ever replaced or removed.

Error codes:

* FT501: a path is absolute, leaves the tree, or has characters that no reviewer could read.
* FT502: a file, or a folder without an index, that ftgen did not write is in the way.
* FT503: an owned file was edited by hand.
* FT504: two runs render the same file, or two points of a sweep are the same run.
* FT505: a render would orphan more than half of the files of complete folders.
* FT506: a known run would become a new object, because a field that Volcano treats as immutable changed.
* FT507: two files hold the same object.
* FT508: the folder cannot be written; it is left as it was.
* FT509: the index cannot be read.
* FT510: this process already writes to the same folder.
* FT513: a published claim would shrink, or change a field that Kubernetes treats as immutable.
* FT514: the folder holds the stage of an interrupted write by another user, or on another machine.
* FT515: the user has no folder of their own for the journal of a write.
"""

from ftgen.output.tree.commit import COMMIT, with_commit_of
from ftgen.output.tree.folder import (
    apply,
    discard,
    folder_store,
    plan_copy,
    plan_edit,
    plan_write,
    read_lock,
    recover,
)
from ftgen.output.tree.lock import (
    DELIVERY,
    EMPTY,
    HASH_VERSION,
    LOCK_NAME,
    AssignedName,
    Entry,
    Lock,
    Run,
    State,
    assigned_name,
    dump_lock,
    is_job_file,
    judged_by,
    kind_of,
    object_of,
    parse_lock,
)
from ftgen.output.tree.plan import (
    FileChange,
    OnImmutableChange,
    Outcome,
    Store,
    WriteOptions,
    plan_runs,
    runs_to_write,
    under_name,
)

__all__ = [
    "COMMIT",
    "DELIVERY",
    "EMPTY",
    "HASH_VERSION",
    "LOCK_NAME",
    "AssignedName",
    "Entry",
    "FileChange",
    "Lock",
    "OnImmutableChange",
    "Outcome",
    "Run",
    "State",
    "Store",
    "WriteOptions",
    "apply",
    "assigned_name",
    "discard",
    "dump_lock",
    "folder_store",
    "is_job_file",
    "judged_by",
    "kind_of",
    "object_of",
    "parse_lock",
    "plan_copy",
    "plan_edit",
    "plan_runs",
    "plan_write",
    "read_lock",
    "recover",
    "runs_to_write",
    "under_name",
    "with_commit_of",
]
