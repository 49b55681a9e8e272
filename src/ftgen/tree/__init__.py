"""The output tree: which files a render owns, what a new render changes, and how that is written.

The ownership index `ftgen.lock` lies at the root of every tree.  Its extension keeps it away from Argo CD
and Flux, which parse every `.yaml` and `.json` below an application's path as a manifest.  Only files that
the index lists and whose bytes still match their recorded digest are ever replaced or removed.

What can be refused here:

* FT501: a path that is absolute, leaves the tree, or no reviewer could read.
* FT502: a file, or a folder without an index, that ftgen did not write stands in the way.
* FT503: an owned file was edited by hand.
* FT504: two runs want the same file, or two points of a sweep are the same run.
* FT505: more than half of what a whole folder holds would be retired at once.
* FT506: a known run would become another one, because a field that Volcano holds immutable changed.
* FT507: two files hold the same object.
* FT508: the folder cannot be written; it is left as it was.
* FT509: the index cannot be read.
* FT510: another render is at work in the same folder.
* FT513: a claim that was published would shrink, or change what Kubernetes holds immutable.
* FT514: the folder holds the stage of an interrupted write that was not this user's on this machine.
* FT515: there is no folder of the user's own to note in what is about to be written.
"""

from ftgen.tree.folder import apply, discard, folder_store, plan_copy, plan_edit, plan_write, read_lock, recover
from ftgen.tree.lock import (
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
    judged_by,
    object_of,
    parse_lock,
)
from ftgen.tree.plan import (
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
    "judged_by",
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
]
