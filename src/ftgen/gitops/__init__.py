"""Publishing: rendered runs as commits of a GitOps repository, and the life of what was committed.

Git is only ever asked for plumbing, in a temporary repository of ftgen's own: no checkout, index, hook,
filter or program named by the target's configuration takes part.

What can be refused here, beside what `ftgen.tree` refuses:

* FT520: an address, branch or path that is none, or that git would take for an option or a program.
* FT521: there is no git repository, it has no such remote, or git would read a file of it without end.
* FT523: the source is modified or detached, so that the commit could not say where it comes from.
* FT524: the remote refused the push.
* FT525: the remote cannot be reached.
* FT526: the local branch holds commits that its remote lacks.
* FT527: a run cannot be archived, stopped or run again.
* FT528: other writers were faster ten times in a row.
* FT529: a run without a final name, which no reconciler can apply.
* FT530: git failed.

And what is only told: FT531, files of a checkout lag behind its branch; FT532, Flux will not bring a change to a job
that is there.
"""

from ftgen.gitops.address import Target, target_of, url_of
from ftgen.gitops.annotations import TOMBSTONE, annotated, unguarded
from ftgen.gitops.life import (
    UnusedFile,
    archiving,
    gc,
    rerunning,
    stopping,
    unused_files,
)
from ftgen.gitops.publish import Progress, Published, Result, TreeEdit, commit, preview, publish, refuse_unclean_source
from ftgen.gitops.source import Provenance, Source, source_of

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
    "archiving",
    "commit",
    "gc",
    "preview",
    "publish",
    "refuse_unclean_source",
    "rerunning",
    "source_of",
    "stopping",
    "target_of",
    "unguarded",
    "unused_files",
    "url_of",
]
