"""YAML reader and emitter: the only package that imports a YAML library.

`emit` is ftgen's own emitter: manifests are JSON values, the bytes must be the same everywhere, and every scalar
must read the same under YAML 1.1 (PyYAML, kubectl) and YAML 1.2 (ruamel.yaml).  `read` uses PyYAML's C scanner;
`compose` builds the `nodes`, with their positions, from its events and refuses deep nesting, duplicate keys and
alias bombs.  `similar`, which only a check of many texts loads, makes those nodes that an earlier text did not have.
`versions` finds the scalars of a foreign document that YAML 1.2 (ruamel.yaml) reads differently.
"""

from ftgen.text.yamlio.emit import dump
from ftgen.text.yamlio.nodes import Document, Mark
from ftgen.text.yamlio.problems import FILE, SYNTAX
from ftgen.text.yamlio.read import (
    STDIN,
    document,
    documents,
    parse,
    parse_all,
    parse_json,
    read,
    read_all,
    read_stdin,
    read_text,
)
from ftgen.text.yamlio.versions import AmbiguousScalar, ambiguous_scalars

__all__ = [
    "FILE",
    "STDIN",
    "SYNTAX",
    "AmbiguousScalar",
    "Document",
    "Mark",
    "ambiguous_scalars",
    "document",
    "documents",
    "dump",
    "parse",
    "parse_all",
    "parse_json",
    "read",
    "read_all",
    "read_stdin",
    "read_text",
]
