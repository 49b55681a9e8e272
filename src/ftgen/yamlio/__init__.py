"""YAML in and out: the only package that knows a YAML library.

Three doors for three needs.  `emit` is ftgen's own emitter: manifests are JSON values, the bytes must be the
same everywhere, and every scalar must read the same under YAML 1.1 (PyYAML, kubectl) and YAML 1.2 (ruamel.yaml).
`read` goes through PyYAML's C scanner, composed by `compose` so that nesting, duplicate keys and alias bombs are
refused, into the `nodes` that know where everything stands.  `versions` asks ruamel.yaml what YAML 1.2 makes of a
scalar that others wrote.
"""

from ftgen.yamlio.emit import dump
from ftgen.yamlio.nodes import Document, Mark
from ftgen.yamlio.problems import FILE, SYNTAX
from ftgen.yamlio.read import (
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
from ftgen.yamlio.versions import Disputed, disputed

__all__ = [
    "FILE",
    "STDIN",
    "SYNTAX",
    "Disputed",
    "Document",
    "Mark",
    "disputed",
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
