"""Overlays: patches of the chosen options, merged by the schema's own list keys.

`overlays/<group>/<option>/*.yaml` holds strategic-merge patches as kustomize reads them, or JSON 6902 lists
for the job.  `kind: PodTemplate` addresses the template of every task.  A patch without a name, or with the
name `any`, addresses every object of its kind; one that names an object must find it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftgen import merge, schema, yamlio
from ftgen.diagnostics import Location, Rejected, error
from ftgen.lower import Bundle, Object

_EVERY = {None, "", "any"}


@dataclass(frozen=True, slots=True)
class Patch:
    """One document of an overlay: a strategic-merge patch (mapping) or a JSON 6902 list."""

    file: Path
    document: Any
    group: str
    option: str


def collect(choices: Mapping[str, str], folders: Iterable[Path]) -> list[Patch]:
    """The patches of the chosen options: in the order of the choices, folder by folder, files by name.

    Raises:
        Rejected: when a file does not parse or a document is neither patch nor list of operations.
    """
    roots = list(folders)
    found = []
    for group, option in choices.items():
        for root in roots:
            for file in sorted((root / group.split("@", 1)[0] / option).glob("*.yaml")):
                found += [Patch(file, document, group, option) for document in _documents(file)]
    return found


def apply(bundle: Bundle, patches: Iterable[Patch], volcano_version: str) -> Bundle:
    """The bundle with all patches merged in, in order.

    Raises:
        Rejected: when a patch matches nothing or an operation cannot be carried out.
    """
    job, claims = bundle.job, list(bundle.claims)
    for patch in patches:
        match patch.document:
            case list():
                job = _operate(job, patch)
            case {"kind": "PodTemplate"}:
                job = _patch_templates(job, patch, volcano_version)
            case {"kind": "Job", "apiVersion": "batch.volcano.sh/v1alpha1"}:
                job = _merged(job, patch.document, _job(volcano_version))
            case {"kind": "PersistentVolumeClaim"}:
                claims = _patch_claims(claims, patch, volcano_version)
            case _:
                raise _nothing(patch)
    return Bundle(job, tuple(claims))


def _job(version: str) -> schema.Schema:
    found = schema.find("batch.volcano.sh/v1alpha1", "Job", version)
    assert found is not None  # noqa: S101 - every known Volcano line has it
    return found


def _documents(file: Path) -> Iterator[Any]:
    for document in yamlio.read_all(file):
        if document is None:
            continue
        if not isinstance(document, (dict, list)):
            headline = f"{file.name}: an overlay is a patch or a list of JSON 6902 operations"
            raise Rejected([error("FT020", headline).at(Location(str(file), 1))])
        yield document


def _operate(job: Object, patch: Patch) -> Object:
    try:
        patched: Object = merge.json_patch(job, patch.document)
    except merge.PatchError as failure:
        raise Rejected([error("FT021", f"{patch.file.name}: {failure}").at(Location(str(patch.file), 1))]) from None
    return patched


def _patch_templates(job: Object, patch: Patch, version: str) -> Object:
    template = schema.Node.of(_job(version)).at("spec", "tasks", 0, "template")
    tasks = [
        {**task, "template": merge.strategic_merge(task["template"], patch.document.get("template", {}), template)}
        for task in job["spec"]["tasks"]
    ]
    return {**job, "spec": {**job["spec"], "tasks": tasks}}


def _patch_claims(claims: list[Object], patch: Patch, version: str) -> list[Object]:
    name = patch.document.get("metadata", {}).get("name")
    if name not in _EVERY and name not in {claim["metadata"]["name"] for claim in claims}:
        raise _nothing(patch)
    rules = schema.find("v1", "PersistentVolumeClaim", version)
    return [
        _merged(claim, patch.document, rules) if name in {*_EVERY, claim["metadata"]["name"]} else claim for claim in claims
    ]


def _merged(target: Object, patch: Object, rules: schema.Schema | None) -> Object:
    """The object with the patch merged in; the patch's own name only says what it addresses."""
    metadata = {key: value for key, value in patch.get("metadata", {}).items() if key != "name"}
    merged: Object = merge.strategic_merge(target, {**patch, "metadata": metadata}, rules)
    return merged


def _nothing(patch: Patch) -> Rejected:
    what = f"{patch.document.get('kind', 'object')} {patch.document.get('metadata', {}).get('name', '')}".strip()
    headline = f"the overlay {patch.group}/{patch.option} patches {what}, which this job does not have"
    return Rejected([error("FT022", headline, help="remove the patch or name an object of the job").at(Location(str(patch.file), 1))])
