"""The rules that a run and its manifests are judged by: what each scope asks about, and which modules hold its rules.

A rule is written into one of the modules; a new module is named here, at the place where its rules are to be asked.
`ftgen.validation` says what a rule is; the rules about the trainer's arguments lie with the trainer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftgen.trainers.setting import EXPORT, TRAINING
from ftgen.validation import RULES, Context, Rule, Scope
from ftgen.validation.manifest import Job, read_job


def _job(manifest: Mapping[str, Any], context: Context) -> Job:
    return read_job(manifest, context.version)


def _with_files(manifest: Mapping[str, Any], context: Context) -> Job:
    return read_job(manifest, context.version, context.config_maps)


def _named(*names: str) -> tuple[str, ...]:
    return tuple(f"{__name__}.{name}" for name in names)


_POD = ("metadata", "containers", "probes", "resources", "sources", "scheduling", "security", "pod")
_LINT = ("cards", "ascend", "delivery", "launch", "pods", "ranks", "scripts", "storage")

ENVIRONMENT = Scope(*_named("secrets"))
"""Values that environment variables gave, as `secrets.Taken`."""
SPEC = Scope(*_named("identity", "meaning", "memory"))
"""The specification: does it fit together?"""
ROLLOUT = Scope(*_named("reconcile", "outputs"))
"""The specification: does it fit what applies its manifest, and the other jobs of its sweep?"""
OBJECT = Scope(*_named("metadata", "config_maps"), denies=True)
"""Any manifest."""
CLAIM = Scope(*_named("sources"), read=_job, denies=True)
"""A PersistentVolumeClaim that is to be created."""
ADMISSION = Scope(*_named("tasks", "policies", "plugins", "volumes", *_POD, "admission"), read=_job, denies=True)
"""A job as it would be stored."""
UPDATE = Scope(*_named("tasks", "change"), read=_job, denies=True)
"""A job that replaces another one, the context's `before`."""
AGREEMENT = Scope(*_named("names", "volumes", "agreement"), read=_job)
"""A job as it is written: can its pods run, do its parts agree?"""
LINT = Scope(*_named(*(f"lint.{name}" for name in _LINT)), read=_with_files)
"""A job as it is written, by the facts of its cluster: what is allowed and still goes wrong."""
CLAIM_LINT = Scope(*_named("lint.storage"), read=_job)
"""A PersistentVolumeClaim, by the facts of its cluster."""
SYNC = Scope(*_named("reconcile"))
"""Any manifest that a reconciler may apply."""
SECRETS = Scope(*_named("secrets"))
"""Any manifest: what is committed is read by everyone."""

_BEFORE_LOWERING = (ENVIRONMENT, SPEC, TRAINING, EXPORT, ROLLOUT)
_MANIFESTS = (OBJECT, CLAIM, ADMISSION, UPDATE, AGREEMENT, LINT, CLAIM_LINT, SYNC, SECRETS)


def all_rules() -> Mapping[str, Rule]:
    """Return all rules by their codes."""
    for scope in (*_BEFORE_LOWERING, *_MANIFESTS):
        scope.rules  # noqa: B018 - their modules register them
    return RULES
