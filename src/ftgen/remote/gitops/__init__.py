"""Publishing: commit rendered runs to a GitOps repository; archive, stop and re-run committed runs.

All git commands are plumbing in a temporary repository of ftgen's own: they use no checkout, index, hook, filter
or program of the target's configuration.

Error codes, beside those of `ftgen.output.tree`:

* FT520: an address, branch or path is invalid, or git would take it for an option or a program.
* FT521: there is no git repository, it has no such remote, git would read one of its files without end, or it holds
  more than anybody commits.
* FT523: the source is modified or detached, so the commit could not name it.
* FT524: the remote refused the push.
* FT525: the remote cannot be reached.
* FT526: the local branch holds commits that its remote lacks.
* FT527: a run cannot be archived, stopped or run again.
* FT528: other writers were faster ten times in a row.
* FT529: a run has no final name, so no reconciler can apply it.
* FT530: git failed.

Notes: FT531, files of a checkout lag behind its branch; FT532, Flux will not apply a change to an existing job.
"""

from ftgen.remote.gitops.address import Target, target_of, url_of
from ftgen.remote.gitops.annotations import TOMBSTONE, annotated, annotations_of, unguarded
from ftgen.remote.gitops.life import (
    UnusedFile,
    archiving,
    file_of,
    open_tree,
    rerunning,
    stopping,
    unused_files,
)
from ftgen.remote.gitops.publish import (
    Progress,
    Published,
    Result,
    TreeEdit,
    commit,
    preview,
    publish,
    refuse_unclean_source,
    refuse_unnamed,
)
from ftgen.remote.gitops.source import Provenance, Source, source_of

__all__ = [
    "TOMBSTONE",
    "Progress",
    "Provenance",
    "Published",
    "Result",
    "Source",
    "Target",
    "TreeEdit",
    "UnusedFile",
    "annotated",
    "annotations_of",
    "archiving",
    "commit",
    "file_of",
    "open_tree",
    "preview",
    "publish",
    "refuse_unclean_source",
    "refuse_unnamed",
    "rerunning",
    "source_of",
    "stopping",
    "target_of",
    "unguarded",
    "unused_files",
    "url_of",
]
