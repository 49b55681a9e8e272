"""Nulls: what check says of them, and the server.

A null in place of each field of what ftgen renders. The server is asked with `kubectl create --raw`: `kubectl apply`
drops nulls before it sends an object. Items of lists are left out: where Volcano's webhook writes a list anew, it
writes a null as an empty text, and elsewhere the schema refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ftgen import pipeline
from ftgen.config.compose import Composer
from ftgen.diagnostics import Severity
from ftgen.remote.cluster.server import claims_refusal
from ftgen.text.paths import Steps, dotted
from ftgen.validation.check import check_object, context_of
from ftgen.validation.options import CheckOptions

from .programs import ADMISSION
from .site import Site

pytestmark = pytest.mark.cluster

PLURALS = {"Job": "apis/batch.volcano.sh/v1alpha1/namespaces/{}/jobs", "ConfigMap": "api/v1/namespaces/{}/configmaps"}


@pytest.mark.needs(ADMISSION)
@pytest.mark.parametrize("words", [("hardware=cpu",), ("hardware=nvidia-vgpu", "storage=nfs", "hardware.nodes=2")])
def test_a_null_is_refused_where_check_says_so(
    site: Site, composer: Composer, namespace: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    objects = pipeline.compile_job(composer, [*words, f"cluster.namespace={namespace}"]).bundle.objects
    asked = [(path, nulled(each, path)) for each in objects for path in paths(each)]
    judged = {
        dotted(path): (is_refused(site, each), site_refuses(site, each, namespace, tmp_path)) for path, each in asked
    }
    assert len(judged) > 100
    assert {path: answers for path, answers in judged.items() if answers[0] is not answers[1]} == {}


def paths(value: Any, path: Steps = ()) -> Iterator[Steps]:
    """Yield the paths of all fields but for those that say which kind it is."""
    for step, part in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(step, str) and (*path, step) not in {("apiVersion",), ("kind",), ("metadata",)}:
            yield (*path, step)
        if isinstance(part, dict | list):
            yield from paths(part, (*path, step))


def nulled(manifest: dict[str, Any], path: Steps) -> dict[str, Any]:
    copy = deepcopy(manifest)
    owner: Any = copy
    for step in path[:-1]:
        owner = owner[step]
    owner[path[-1]] = None
    return copy


def is_refused(site: Site, manifest: dict[str, Any]) -> bool:
    """Return whether check says that the API server or a webhook of that release refuses it."""
    release = site.facts.products["Volcano"] or ""
    options = CheckOptions(volcano_version=release if release.startswith("v") else "newest")
    found = check_object(manifest, options, context_of(options))
    return any(d.severity is Severity.ERROR and claims_refusal(d.code) for d in found)


def site_refuses(site: Site, manifest: dict[str, Any], namespace: str, folder: Path) -> bool:
    file = folder / "object.json"
    file.write_text(json.dumps(manifest))
    where = f"/{PLURALS[manifest['kind']].format(namespace)}?dryRun=All&fieldValidation=Strict"
    return site.kubectl.ask("create", "--raw", where, "-f", str(file)).code != 0
