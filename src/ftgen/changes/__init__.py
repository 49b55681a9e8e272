"""What differs between two manifests, or two sets of them, in the terms of those who run them."""

from ftgen.changes.compare import ABSENT, ChangeClass, FieldChange, classify, fields
from ftgen.changes.markdown import as_markdown
from ftgen.changes.match import Change, Status, between, differs, of_paths, of_runs, of_tree, same_run
from ftgen.changes.show import as_json, as_text

__all__ = [
    "ABSENT",
    "Change",
    "ChangeClass",
    "FieldChange",
    "Status",
    "as_json",
    "as_markdown",
    "as_text",
    "between",
    "classify",
    "differs",
    "fields",
    "of_paths",
    "of_runs",
    "of_tree",
    "same_run",
]
