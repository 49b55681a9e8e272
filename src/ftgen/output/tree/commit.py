"""Commit of the configuration in a published manifest, as the annotation `ftgen.dev/config-commit`.

A render does not write it: the same configuration gives the same bytes, whatever commit it is checked out from.  A
publish writes it into the manifests that are new or change.  A manifest that would stay as it is keeps the commit that
it has, or has none, so that another commit of the configuration changes no run that it does not concern.
"""

from __future__ import annotations

import re

COMMIT = "ftgen.dev/config-commit"

# The annotation of every manifest that records its configuration; ftgen writes annotations one a line.
_DIGEST = b"\n    ftgen.dev/config-digest: "
_RECORDED = re.compile(rb"\n    ftgen\.dev/config-commit: [^\n]*")


def with_commit(content: bytes, old: bytes | None, commit: str) -> bytes:
    """Return a rendered manifest with the commit that it is to record.

    Args:
        content: rendered manifest; one that records no configuration stays as it is.
        old: the file in its place.
        commit: id of the commit of the configuration; empty if unknown, or if the checkout has changes.
    """
    kept = with_commit_of(content, old)
    if kept == old or not commit:
        return kept if kept == old else content
    return _inserted(content, f'\n    {COMMIT}: "{commit}"'.encode())


def with_commit_of(content: bytes, old: bytes | None) -> bytes:
    """Return a rendered manifest with the commit that the file in its place records, if any."""
    recorded = _RECORDED.search(old or b"")
    return _inserted(content, recorded[0]) if recorded else content


def _inserted(content: bytes, line: bytes) -> bytes:
    return content.replace(_DIGEST, line + _DIGEST, 1)
