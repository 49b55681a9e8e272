"""Rule over the releases of a cluster's products."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ftgen import schema
from ftgen.diagnostics import Severity
from ftgen.text.lines import printable
from ftgen.text.shapes import text
from ftgen.validation import Context, Finding, rule
from ftgen.validation.manifest import Job
from ftgen.validation.rules import CAPACITY


@rule("FT781", "release-of-another-cluster", Severity.WARNING, on=CAPACITY)
def release_of_another_cluster(_: Job, context: Context) -> Iterator[Finding]:
    """The job is made for another release than the cluster of the snapshot has.

    What a release lacks, the API server drops or its webhook refuses; what it has more, nobody uses.  Releases of one
    line, such as 1.15.0 and 1.15.1, take the same.

    Refused: `cluster.volcano_version=1.12.4` where the snapshot says v1.15.1.
    Write: the release of the cluster, or another snapshot: `ftgen facts -o FILE --overwrite`.
    """
    volcano = ".".join(map(str, context.version))
    for product, key, stated, line_of in (
        ("Volcano", "volcano_version", volcano, schema.release),
        ("Kubernetes", "kubernetes_version", context.kubernetes_version, schema.kubernetes_release),
    ):
        saved = context.inventory and context.inventory.find("Release", product.lower())
        found = text(saved.body.get("version")) if saved else ""
        if saved and stated and (own := _line(line_of, stated)) != (line := _line(line_of, found)) and line:
            headline = f"this is made for {product} {own}, and the cluster of the snapshot has {printable(found, 60)}"
            flag = f"ftgen check --{key.replace('_', '-')} {line}"
            help_ = f'write cluster.{key}: "{line}" ({flag}), or take a snapshot of the right cluster'
            yield Finding(headline, f"cluster.{key}", stated, help_, related=(saved.at("version"),))


def _line(line_of: Callable[[str], str], version: str) -> str:
    """Return the known line that stands for a version; empty where none does."""
    try:
        return line_of(version) if version else ""
    except ValueError:
        return ""
