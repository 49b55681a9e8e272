"""Scopes of the rules: the subject that each scope checks, and the modules that define its rules.

To add a rule, write it into one of the modules; to add a module, name it here: rules run in the order of the names.
`ftgen.validation` defines a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftgen.validation import RULES, Context, Rule, Scope
from ftgen.validation.manifest import Job, read_job, read_workload
from ftgen.validation.rules.trainer.setting import EXPORT, TRAINING


def _as_job(manifest: Mapping[str, Any], context: Context) -> Job:
    return read_job(manifest, context.version, context.config_maps)


def _as_workload(manifest: Mapping[str, Any], context: Context) -> Job:
    return read_workload(manifest, context.version)


def _as_workload_with_files(manifest: Mapping[str, Any], context: Context) -> Job:
    return read_workload(manifest, context.version, context.config_maps)


def _modules(*names: str) -> tuple[str, ...]:
    return tuple(f"{__name__}.{name}" for name in names)


_POD = ("metadata", "containers", "probes", "resources", "sources", "scheduling", "security", "pod")
_CAPACITY = ("releases", "quota", "limits", "queue", "classes", "nodes")
_LINT = ("cards", "ascend", "delivery", "launch", "pods", "ranks", "scripts", "storage")

ENVIRONMENT = Scope(*_modules("secrets"))
"""What resolving a configuration read of the environment, as `EnvironmentRead`s."""
NEEDS = Scope(*_modules("needs", "shape"), denies=True)
"""The specification: whether it has what its trainer needs, before anything is derived from it."""
SERVED = Scope(*_modules("needs"), denies=True)
"""The specification of a run: whether its result is one that could be served."""
SPEC = Scope(*_modules("identity", "meaning", "shape", "memory", "tracking", "command_arguments", "command_image"))
"""The specification: whether its values fit together."""
ROLLOUT = Scope(*_modules("reconcile", "outputs", "folders"))
"""The specification: whether it fits its reconciler and the other jobs of its sweep."""
SERVICE = Scope(*_modules("serving"))
"""What is to serve a run's result: whether there is one, and whether cards hold it."""
OBJECT = Scope(*_modules("metadata", "config_maps", "services"), denies=True)
"""Any manifest, as the API server validates it."""
CLAIM = Scope(*_modules("sources"), read=_as_job, denies=True)
"""A PersistentVolumeClaim that is to be created."""
ADMISSION = Scope(*_modules("tasks", "policies", "plugins", "volumes", *_POD, "admission"), read=_as_job, denies=True)
"""A job as the cluster would store it, defaults included."""
UPDATE = Scope(*_modules("tasks", "change"), read=_as_job, denies=True)
"""A job that replaces the stored job `Context.before`."""
AGREEMENT = Scope(*_modules("names", "volumes", "agreement"), read=_as_job)
"""A job as written: whether its parts agree, so that its pods can run."""
LINT = Scope(*_modules(*(f"lint.{name}" for name in _LINT)), read=_as_job)
"""A job as written, against the facts of its cluster: what admission accepts and still goes wrong."""
CAPACITY = Scope(*_modules(*(f"capacity.{name}" for name in _CAPACITY)), read=_as_job)
"""A job as the cluster would store it, against the objects of the cluster that were saved."""
CRON_JOB = Scope(*_modules("cron_jobs"), denies=True)
"""A CronJob of Volcano, as its webhook validates it."""
CLAIM_LINT = Scope(*_modules("lint.storage"), read=_as_job)
"""A PersistentVolumeClaim, against the facts of its cluster."""
QUEUE = Scope(*_modules("queues"), denies=True)
"""A Queue, as Volcano's webhook validates it."""
INFERENCE_SERVICE = Scope(*_modules("kserve"), denies=True)
"""An InferenceService, as KServe validates and deploys it."""
WORKLOAD = Scope(*_modules(*_POD, "workloads"), read=_as_workload, denies=True)
"""A Pod, a Deployment, an InferenceService or a Job of Kubernetes' own, as the API server validates its pods and it."""
WORKLOAD_LINT = Scope(*_modules(*(f"lint.{name}" for name in _LINT)), read=_as_workload_with_files)
"""The same, against the facts of its cluster: what its pods are admitted with in vain."""
PODS = (ADMISSION, WORKLOAD)
"""Whatever describes pods, as the API server validates these."""
PODS_LINT = (LINT, WORKLOAD_LINT)
"""Whatever describes pods, against the facts of its cluster."""
SYNC = Scope(*_modules("reconcile"))
"""Any manifest that a reconciler may apply."""
RECONCILER = Scope(*_modules("reconcile"))
"""An Application or ApplicationSet of Argo CD, or a Kustomization of Flux: how it applies jobs."""
SECRETS = Scope(*_modules("secrets"))
"""Any manifest: everyone can read what is committed."""
SITE = Scope(*_modules("site"))
"""A rule of the site's own, with the object or the configuration that it reads; see `validation.site`."""

SCOPES_OF_KIND: Mapping[tuple[Any, Any], tuple[Scope, ...]] = {
    ("v1", "PersistentVolumeClaim"): (CLAIM, SYNC, CLAIM_LINT),
    ("batch.volcano.sh/v1alpha1", "CronJob"): (CRON_JOB, SYNC),
    ("scheduling.volcano.sh/v1beta1", "Queue"): (QUEUE,),
    ("v1", "Pod"): (WORKLOAD, WORKLOAD_LINT),
    ("apps/v1", "Deployment"): (WORKLOAD, WORKLOAD_LINT),
    ("batch/v1", "Job"): (WORKLOAD, WORKLOAD_LINT),
    ("serving.kserve.io/v1beta1", "InferenceService"): (INFERENCE_SERVICE, WORKLOAD, WORKLOAD_LINT),
    ("argoproj.io/v1alpha1", "Application"): (RECONCILER,),
    ("argoproj.io/v1alpha1", "ApplicationSet"): (RECONCILER,),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"): (RECONCILER,),
}
"""Scopes that judge an object of an API version and kind, beside those of any object; a job's need its stored form."""

_BEFORE_LOWERING = (ENVIRONMENT, NEEDS, SERVED, SPEC, TRAINING, EXPORT, ROLLOUT, SERVICE)
_JOBS = (ADMISSION, UPDATE, AGREEMENT, LINT, CAPACITY)
_MANIFESTS = (
    *(OBJECT, CLAIM, *_JOBS, CLAIM_LINT, CRON_JOB, QUEUE, INFERENCE_SERVICE, WORKLOAD, WORKLOAD_LINT),
    *(SYNC, RECONCILER, SECRETS, SITE),
)


def all_rules() -> Mapping[str, Rule]:
    """Import every module of rules and return all rules by their codes."""
    for scope in (*_BEFORE_LOWERING, *_MANIFESTS):
        scope.rules  # noqa: B018 - their modules register them
    return RULES
