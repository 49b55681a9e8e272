"""Options of a check, and their JSON text, which a render records for each run.

`ftgen check` of rendered files reads them, so that it applies the same options as the render.  The module is separate
from `ftgen.validation.check`, which a render does not otherwise import.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen import schema
from ftgen.diagnostics import Diagnostic, Severity
from ftgen.schema.version import version_of
from ftgen.spec import Facts, Spec, admit_facts
from ftgen.text.shapes import mapping, strings, text
from ftgen.validation.inventory import Inventory
from ftgen.validation.manifest import Companions
from ftgen.validation.reuse import WITHOUT_REUSE, Reuse
from ftgen.validation.site import NO_RULES, SiteRules


class CheckOptions(Struct, frozen=True):
    """Options of a check.

    Attributes:
        volcano_version: Volcano release whose schemas and admission rules apply.
        kubernetes_version: Kubernetes release whose schemas apply; if empty, the one that Volcano's is built with.
        assumed: whether that release is the default, not stated by a user; errors that a newer release fixes become
            warnings then.
        facts: facts of the cluster.
        pod_security: level of the pod security standards that the namespace enforces; empty if unknown.
        accepted: codes that are not reported.
        allowed: codes that were accepted when the manifest was rendered, each with the reason; reported as notes.
        warned: codes of the warnings that were reported when the manifest was rendered; reported as notes.
        imported: a folder with schemas of the user's own cluster, which take precedence.
        companions: the claims and ConfigMaps in other files, by namespace.
        inventory: objects of the cluster in these files and in the snapshot; None if there are none.
        rules: the rules of the site's own.
        reuse: what is reused of manifests that were checked before with options of the same `reuse`.
    """

    volcano_version: str = schema.DEFAULT
    kubernetes_version: str = ""
    assumed: bool = False
    facts: Facts = field(default_factory=Facts)
    pod_security: str = ""
    accepted: frozenset[str] = frozenset()
    allowed: Mapping[str, str] = field(default_factory=dict)
    warned: frozenset[str] = frozenset()
    imported: Path | None = None
    companions: Mapping[str, Companions] = field(default_factory=dict)
    inventory: Inventory | None = None
    rules: SiteRules = NO_RULES
    reuse: Reuse = WITHOUT_REUSE


def dump_options(spec: Spec, diagnostics: Iterable[Diagnostic]) -> str:
    """Return the options for a check of a rendered run, as JSON text for `restore_options`.

    Args:
        spec: specification of the run.
        diagnostics: diagnostics of its rendering; the user accepted their warnings by writing the run.
    """
    stated = spec.cluster.kubernetes_version
    recorded = {
        "volcano_version": spec.cluster.volcano_version,
        **({"kubernetes_version": stated} if stated else {}),
        "pod_security": spec.cluster.pod_security,
        "facts": _facts(spec),
        "allow": spec.accepted,
        "warned": sorted({d.code for d in diagnostics if d.severity is Severity.WARNING}),
    }
    return json.dumps(recorded, ensure_ascii=False, sort_keys=True, default=_set_values)


def _facts(spec: Spec) -> Facts:
    """Return the facts of the cluster, with the card that the chosen hardware states."""
    card = spec.cluster.facts.card.model_copy(update=_set_values(spec.hardware.card))
    # The snapshot stays out: whoever checks a rendered run may have another one, or none.
    return spec.cluster.facts.model_copy(update={"card": card, "snapshot": None})


def _set_values(section: Any) -> dict[str, Any]:
    """Return the set values of a section, without pydantic's serializer, which would have to be compiled first."""
    return {key: value for key, value in section if value is not None}


def restore_options(recorded: str, options: CheckOptions) -> CheckOptions:
    """Return the options, replaced by those that `dump_options` wrote into an untrusted text, perhaps a clone's.

    Raises:
        Rejected: the recorded facts are invalid.
        ValueError: the text is no JSON, or its release is no version.
    """
    values = mapping(json.loads(recorded))
    release = text(values.get("volcano_version")) or schema.DEFAULT
    version_of(release)
    kubernetes = options.kubernetes_version or text(values.get("kubernetes_version"))
    schema.kubernetes_release(kubernetes)
    allowed = {code: reason for code, reason in mapping(values.get("allow")).items() if text(reason)}
    facts = admit_facts(mapping(values.get("facts")))
    security = text(values.get("pod_security"))
    warned = frozenset(strings(values.get("warned")))
    found = replace(
        options,
        kubernetes_version=kubernetes,
        facts=facts,
        pod_security=security,
        allowed=allowed,
        warned=warned,
    )
    return replace(found, volcano_version=release, assumed=False) if options.assumed else found
