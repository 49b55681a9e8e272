"""Differences between manifests, and what each change means for a running job."""

from ftgen.review.diff.fields import ABSENT, ChangeClass, FieldChange, classify, diff_fields
from ftgen.review.diff.markdown import as_markdown
from ftgen.review.diff.match import (
    Change,
    Status,
    diff_objects,
    diff_paths,
    diff_runs,
    diff_tree,
    differs,
    run_of,
    same_run,
)
from ftgen.review.diff.show import as_json, as_text

__all__ = [
    "ABSENT",
    "Change",
    "ChangeClass",
    "FieldChange",
    "Status",
    "as_json",
    "as_markdown",
    "as_text",
    "classify",
    "diff_fields",
    "diff_objects",
    "diff_paths",
    "diff_runs",
    "diff_tree",
    "differs",
    "run_of",
    "same_run",
]
