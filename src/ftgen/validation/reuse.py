"""Reuse of earlier results by the compile of a job, or by a check: none here.

A sweep and `ftgen check` hand in a subclass that has some.  It gives the results that there would be anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ftgen.diagnostics import Diagnostic
from ftgen.text import yamlio
from ftgen.text.sharing import Once, anew
from ftgen.validation import Call, Scope

Manifest = dict[str, Any]


class Reuse:
    """Reuse of nothing.

    Attributes:
        documents: parser of a text, with the name of its file in diagnostics.
        call: runs the rules of a scope.
        once: calls a pure function.
    """

    def __init__(self) -> None:
        """Start without anything to reuse."""
        self.documents: Callable[[str, str], list[yamlio.Document]] = yamlio.documents
        self.call: Call = Scope.ask
        self.once: Once = anew

    def of(self, kind: Any) -> Reuse:  # noqa: ARG002 - for subclasses
        """Return the reuse among what is of one kind: jobs with the same choices, or manifests like one."""
        return self

    def share(self, manifests: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
        """Return equal manifests; they may have parts of earlier ones, so nobody may change them."""
        return manifests

    def search(self, find: Callable[..., Iterable[Diagnostic]], manifest: Manifest, **options: Any) -> list[Diagnostic]:
        """Return what a function finds in a manifest.

        The function takes `clean`, an earlier manifest of the same kind in which it found nothing with the same
        options: it need not search the parts that are the same objects in both.
        """
        return [*find(manifest, **options)]


WITHOUT_REUSE = Reuse()
