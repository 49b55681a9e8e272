"""Whether the pods of a job give up what the restricted pod security standard takes, and what keeps them from it."""

from __future__ import annotations

from ftgen.lower.storage import fetches
from ftgen.spec import Spec


def obstacles(spec: Spec) -> dict[str, object]:
    """Return the settings, by key, that need what the restricted level forbids; all but root baseline forbids, too."""
    settings: dict[str, object] = {
        "network.host": spec.network.host,
        "network.rdma_resource": spec.network.rdma_resource,
        "storage.workspace.host_path": spec.storage.workspace.host_path,
        "storage.models.host_path": fetches(spec) and spec.storage.models.host_path,
        "hardware.needs_root": spec.hardware.needs_root,
    }
    return {key: value for key, value in settings.items() if value}


def level(spec: Spec) -> str:
    """Return the level that the job must fit: the restricted one on request, else what the namespace enforces."""
    return "restricted" if spec.job.security == "restricted" else spec.cluster.pod_security


def is_restricted(spec: Spec) -> bool:
    """Return whether pods have the fields of the restricted level."""
    if spec.job.security == "none":
        return False
    return level(spec) == "restricted" or (spec.job.security == "auto" and not obstacles(spec))
