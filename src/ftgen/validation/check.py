"""Validation of manifests of any origin, with the pipeline's own stages: schema, admission, agreement, lint, secrets.

It validates one document after another, and keeps a few earlier jobs of each recent shape, so that a rule does not
run again on a later job with the same values in all that the rule reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen import schema
from ftgen.diagnostics import Diagnostic, Location, Rejected, Severity, error, has_errors, warning
from ftgen.emulation import controller
from ftgen.schema import conform
from ftgen.schema.version import version_of
from ftgen.text import yamlio
from ftgen.text.paths import Steps, steps
from ftgen.text.shapes import mapping
from ftgen.text.shapes import text as text_of
from ftgen.validation import RULES, UNKNOWN_FACT, Call, Context, Scope, codes_of, is_among, validate
from ftgen.validation.inventory import KINDS, RELEASE
from ftgen.validation.manifest import Companions, companions, objects
from ftgen.validation.options import CheckOptions
from ftgen.validation.rules import (
    ADMISSION,
    AGREEMENT,
    CAPACITY,
    LINT,
    OBJECT,
    SCOPES_OF_KIND,
    SITE,
    SYNC,
    admission,
    secrets,
)

_CRON_JOB = ("batch.volcano.sh/v1alpha1", "CronJob")
_OF_APPLYING = "FT459"
"""Code of what a second apply of a job changes: nobody applies the jobs of a CronJob."""

_NAMES_COMPANION = re.compile(r"""kind["']?:[ \t]*["']?(?:PersistentVolumeClaim|ConfigMap)\b""")


class CheckResult(Struct, frozen=True):
    """Diagnostics of one text, with their locations, and the number of its objects."""

    diagnostics: tuple[Diagnostic, ...]
    objects: int


def check(text: str, file: str, options: CheckOptions) -> CheckResult:
    """Validate the manifests of a text; the diagnostics have line and column in `file`.

    Raises:
        Rejected: the text is not valid YAML.
    """
    documents = options.reuse.documents(text, file)
    manifests = [(document, path, manifest) for document in documents for path, manifest in objects(document.value)]
    own = companions(manifest for _, _, manifest in manifests if isinstance(manifest, dict))
    contexts = {name: _context(name, own, options) for name in {_namespace(manifest) for _, _, manifest in manifests}}
    found = [
        (document, path, d)
        for document, path, manifest in manifests
        for d in _reported(check_object(manifest, options, contexts[_namespace(manifest)]), options)
    ]
    # A missing fact has no line in a manifest: its location is the file that needs it.
    unknown_facts = [d.at(Location(file)) for _, _, d in found if d.code == UNKNOWN_FACT]
    in_lines = [(document, path, d) for document, path, d in found if d.code != UNKNOWN_FACT]
    scalars = (_ambiguity(scalar) for document in documents for scalar in yamlio.ambiguous_scalars(document))
    located = [*_located(in_lines, text), *_reported(scalars, options)]
    return CheckResult((*_in_order(located), *unknown_facts), len(manifests))


def _context(namespace: str, own: Companions, options: CheckOptions) -> Context:
    """Return the context of a file's objects in a namespace, with the companions in the file and those in others."""
    return context_of(options, options.companions.get(namespace, Companions()).joined(own))


def context_of(options: CheckOptions, own: Companions = Companions()) -> Context:  # noqa: B008 - frozen
    """Return the context that rules read: version, facts, pod security, companions and saved objects."""
    version, facts, security = version_of(options.volcano_version), options.facts, options.pod_security
    saved = options.inventory
    return Context(
        version,
        facts,
        pod_security=security,
        claims=own.claims,
        config_maps=own.config_maps,
        queues=saved.queues if saved else None,
        inventory=saved,
        kubernetes_version=options.kubernetes_version,
    )


def _namespace(manifest: Any) -> str:
    return text_of(mapping(mapping(manifest).get("metadata")).get("namespace"))


def companions_in(text: str, file: str) -> dict[str, Companions]:
    """Return the companions in a text by namespace.

    A text that names no kind of companion is not parsed; invalid YAML has none.
    """
    if not _NAMES_COMPANION.search(text):
        return {}
    try:
        documents = yamlio.documents(text, file)
    except Rejected:
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    for manifest in (value for document in documents for _, value in objects(document.value)):
        if isinstance(manifest, dict):
            found.setdefault(_namespace(manifest), []).append(manifest)
    return {namespace: companions(manifests) for namespace, manifests in found.items()}


def check_object(manifest: Any, options: CheckOptions, context: Context) -> list[Diagnostic]:
    """Validate one object; an error names the release of Volcano that accepts what this one refuses."""
    found = _check_object(manifest, options, context)
    # No release of Volcano makes room, or changes the mind of a site.
    lasting = {rule.code for scope in (CAPACITY, SITE) for rule in scope.rules} if found else ()
    curable = has_errors(d for d in found if d.code not in lasting)
    return _with_cures(found, manifest, options, context) if curable else found


def _check_object(manifest: Any, options: CheckOptions, context: Context) -> list[Diagnostic]:
    """Validate one object; rules run only on an object that its schema accepts."""
    if not isinstance(manifest, dict):
        return [error(conform.WRONG_TYPE, "this is no Kubernetes object, but plain text or a list", "", manifest)]
    if invalid_keys := options.reuse.search(conform.non_string_keys, manifest):
        return invalid_keys
    found = _conform(manifest, options)
    if has_errors(found):
        return found
    read = conform.without_nulls(manifest) if found else manifest
    call = options.reuse.of(manifest).call if _kind(manifest) == schema.VOLCANO_JOB else Scope.ask
    found += [*validate(OBJECT, read, context), *options.rules.judge(read, context, call)]
    if _kind(manifest) == schema.VOLCANO_JOB:
        return [*found, *_of_job(manifest, read, context, call), *options.reuse.search(secrets.scan, manifest)]
    found += [d for scope in SCOPES_OF_KIND.get(_kind(manifest), ()) for d in validate(scope, read, context)]
    if _kind(manifest) == _CRON_JOB:
        found += _of_created(controller.job_of_cron_job(manifest), controller.job_of_cron_job(read), context, options)
    return [*found, *options.reuse.search(secrets.scan, manifest)]


def _kind(manifest: Mapping[str, Any]) -> tuple[Any, Any]:
    return manifest.get("apiVersion"), manifest.get("kind")


def _conform(manifest: dict[str, Any], options: CheckOptions) -> list[Diagnostic]:
    """Validate against the schema, but for what Volcano's webhook has written before that is asked.

    It fills in empty values, and writes the tasks with quantities as text.
    """
    version = options.volcano_version
    releases = {"volcano_version": version, "kubernetes_version": options.kubernetes_version}
    schemas: dict[str, Any] = {**releases, "imported": options.imported}
    found = options.reuse.search(conform.conform, manifest, **schemas)
    if _kind(manifest) in [*KINDS, RELEASE]:  # an administrator's object, which jobs are weighed against
        found = [d for d in found if d.code != conform.UNKNOWN_KIND]
    if _kind(manifest) != schema.VOLCANO_JOB or not _errors(found).keys() & {conform.WRONG_VALUE, conform.WRONG_TYPE}:
        return found
    read = admission.with_quantities_as_text(manifest, volcano_version=version_of(version))
    found = found if read is manifest else conform.conform(read, **schemas)
    remaining = conform.conform(admission.mutate(read, volcano_version=version_of(version)), **schemas)
    return [d for d in found if d.code != conform.WRONG_VALUE or d in remaining]


def _with_cures(found: list[Diagnostic], manifest: Any, options: CheckOptions, context: Context) -> list[Diagnostic]:
    """Name in each error the release that fixes it, and make it a warning if the release is only assumed."""
    present = _errors(found)
    # No rule ran if the schema refused the object: then only schema errors can be compared between releases.
    compared = conform.CODES if present.keys() & conform.CODES else present.keys()
    cure, left, best = "", present, found
    for release in _later(options.volcano_version):
        later = replace(options, volcano_version=release)
        again = _check_object(manifest, later, replace(context, version=version_of(release)))
        errors = {
            code: subjects
            for code, subjects in _errors(again).items()
            if code in compared or compared is not conform.CODES
        }
        if _is_subset(errors, left):
            cure, left, best = release, errors, again
    if not cure:
        return found
    cured = [
        _cured_by(d, _product(manifest, cure), options)
        for d in found
        if d.severity is Severity.ERROR and d.subject not in left.get(d.code, ())
    ]
    reported = {(d.code, d.subject) for d in cured}
    return [*cured, *(d for d in (best if options.assumed else found) if (d.code, d.subject) not in reported)]


_LINES = ("1.13", "1.14", "1.15", "1.16")


def _later(release: str) -> list[str]:
    """Return the lines of releases after one, its own by the last patch: `1.14` would be read as the same release."""
    present = version_of(release)
    later = {line: version_of(line) for line in _LINES if version_of(line) > present}
    return [".".join(map(str, last)) if last[:2] == present[:2] else line for line, last in later.items()]


def _errors(found: Iterable[Diagnostic]) -> dict[str, set[str]]:
    """Map the codes of errors to their subjects."""
    errors: dict[str, set[str]] = {}
    for d in found:
        if d.severity is Severity.ERROR:
            errors.setdefault(d.code, set()).add(d.subject)
    return errors


def _is_subset(errors: Mapping[str, set[str]], others: Mapping[str, set[str]]) -> bool:
    """Return whether the errors are a proper subset of the others."""
    return errors != others and all(subjects <= others.get(code, set()) for code, subjects in errors.items())


def _product(manifest: Any, release: str) -> str:
    """Return the product that takes an object, with its release: Kubernetes where it is one of its own kinds."""
    api_version = text_of(mapping(manifest).get("apiVersion"))
    native = api_version and schema.is_native(api_version)
    return f"Kubernetes {schema.kubernetes_release('', release)}" if native else f"Volcano {release}"


def _cured_by(found: Diagnostic, product: str, options: CheckOptions) -> Diagnostic:
    help_ = found.help if f"{product} has it" in found.help else f"{found.help}; {product} takes it"
    severity = Severity.WARNING if options.assumed else found.severity
    return replace(found, help=help_.removeprefix("; "), severity=severity)


def _of_job(
    manifest: dict[str, Any],
    read: dict[str, Any],
    context: Context,
    call: Call = Scope.ask,
    scopes: Iterable[Scope] = (SYNC, LINT),
) -> list[Diagnostic]:
    """Validate a job as it was written, as the API server reads it (`scopes`), and as Volcano's webhook stores it."""
    stored = admission.mutate(read, volcano_version=context.version)
    found = [d for scope in (ADMISSION, CAPACITY) for d in validate(scope, stored, context, call)]
    found += validate(AGREEMENT, manifest, context, call)
    return found + [d for scope in scopes for d in validate(scope, read, context, call)]


def _of_created(
    written: dict[str, Any], read: dict[str, Any], context: Context, options: CheckOptions
) -> list[Diagnostic]:
    """Validate the job that a CronJob creates; the paths are those in the CronJob, whose schema covers the template."""
    found = [d for d in _of_job(written, read, context, scopes=(LINT,)) if d.code != _OF_APPLYING]
    found += options.rules.judge(read, context)
    return [replace(d, subject=f"spec.jobTemplate.{d.subject}") if _IN_TEMPLATE.match(d.subject) else d for d in found]


_IN_TEMPLATE = re.compile(r"spec\b|metadata\.(?!name\b|namespace\b)")


def promote_warnings(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the diagnostics with every warning as an error."""
    return [replace(d, severity=Severity.ERROR) if d.severity is Severity.WARNING else d for d in diagnostics]


def _reported(diagnostics: Iterable[Diagnostic], options: CheckOptions) -> list[Diagnostic]:
    """Drop accepted diagnostics; turn those accepted or reported when the manifest was rendered into notes.

    An error of admission stays an error: the cluster refuses the object, whatever reason a file gives.
    """
    return [reported for d in diagnostics if (reported := d if _is_denied(d) else _unless_accepted(d, options))]


def _unless_accepted(found: Diagnostic, options: CheckOptions) -> Diagnostic | None:
    if is_among(found.code, options.accepted):
        return None
    if found.severity is Severity.WARNING and is_among(found.code, options.warned):
        return replace(found, severity=Severity.NOTE, help=f"reported when it was rendered: {found.help}")
    if not is_among(found.code, options.allowed):
        return found
    return replace(found, severity=Severity.NOTE, help=_reason(found, options.allowed))


def _is_denied(found: Diagnostic) -> bool:
    return found.severity is Severity.ERROR and (rule := RULES.get(found.code)) is not None and rule.denied


def _reason(found: Diagnostic, allowed: Mapping[str, str]) -> str:
    reasons = (allowed[code] for code in codes_of(found.code) if code in allowed)
    return f"accepted when it was rendered: {next(reasons)}"


def _located(found: list[tuple[yamlio.Document, Steps, Diagnostic]], text: str) -> list[Diagnostic]:
    """Return the diagnostics with their locations."""
    return [d.at(locate(document, path, d, text)) for document, path, d in found]


def _in_order(located: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sort diagnostics by line and column."""
    return sorted(located, key=lambda d: (d.locations[0].line, d.locations[0].column))


AMBIGUOUS_SCALAR = "FT004"


def _ambiguity(scalar: yamlio.AmbiguousScalar) -> Diagnostic:
    """Warn of a scalar that YAML 1.1 and 1.2 read differently, as reconcilers, kubectl and scripts use either."""
    old, new = json.dumps(scalar.old), json.dumps(scalar.new)
    headline = f"{scalar.text} is {old} by YAML 1.1 and {new} by YAML 1.2, and there are tools of both"
    return warning(AMBIGUOUS_SCALAR, headline, "", scalar.text, f"write {old}, or in quotes if it is text").at(
        scalar.location
    )


def locate(document: yamlio.Document, path: Steps, found: Diagnostic, text: str) -> Location:
    """Return the location of a diagnostic's field, or of its nearest existing parent if the field is missing."""
    mark = document.nearest((*path, *steps(found.subject)))
    inside = _inside(mark, found.value, text) if mark.block and found.value and "\n" not in found.value else None
    line, column = inside or (mark.line, mark.column)
    return Location(document.file, line, column)


def _inside(mark: yamlio.Mark, value: str, text: str) -> tuple[int, int] | None:
    """Return the line and column of a value inside a block scalar, such as a line of a script."""
    lines = text.split("\n")
    outer = len(lines[mark.line - 1]) - len(lines[mark.line - 1].lstrip())
    for number in range(mark.value_line, len(lines)):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) <= outer:
            return None
        if value in line:
            return number + 1, line.index(value) + 1
    return None
