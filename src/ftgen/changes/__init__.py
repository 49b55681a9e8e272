"""What differs between two manifests, or two sets of them, in the terms of those who run them."""

from ftgen.changes.compare import ABSENT, FieldChange, Kind, cost, fields
from ftgen.changes.markdown import as_markdown
from ftgen.changes.match import Change, Status, between, differs, of_paths, of_runs, of_tree, same_run
from ftgen.changes.show import as_json, as_text

__all__ = [
    "ABSENT",
    "Change",
    "FieldChange",
    "Kind",
    "Status",
    "as_json",
    "as_markdown",
    "as_text",
    "between",
    "cost",
    "differs",
    "fields",
    "of_paths",
    "of_runs",
    "of_tree",
    "same_run",
]
