"""A reconciler's part, played with kubectl: applies what git says, and prunes what it no longer says.

Argo CD and Flux decide by the same annotations; which they follow, and how, is written once for this cluster and for
the one that the other tests imitate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.gitops.cluster import identified, is_created_only, is_guarded, is_skipped

from .kubectl import Kubectl
from .trees import JOB


@dataclass
class Reconciler:
    """Argo CD, which applies by the client, or Flux, which applies by the server.

    Attributes:
        name: `argocd` or `flux`.
        kubectl: the cluster.
        namespace: where the runs are.
        inventory: what was in git at the last synchronisation.
    """

    name: str
    kubectl: Kubectl
    namespace: str
    inventory: dict[str, dict[str, Any]] = field(default_factory=dict)

    def sync(self, files: Mapping[str, str]) -> None:
        """Bring the cluster to what git says, pruning what is no longer there."""
        desired = dict(identified(files))
        wanted = [each for each in desired.values() if not is_skipped(self.name, each) and not self._is_kept(each)]
        by_server = ("--server-side", "--field-manager=kustomize-controller") if self.name == "flux" else ()
        if wanted:
            self.kubectl("apply", *by_server, "-f", "-", objects=wanted)
        for key in self.inventory.keys() - desired.keys():
            self._prune(self.inventory[key])
        self.inventory = desired

    def _is_kept(self, manifest: dict[str, Any]) -> bool:
        return is_created_only(manifest) and self._live(manifest) is not None

    def _prune(self, manifest: dict[str, Any]) -> None:
        live = self._live(manifest)
        if live is not None and not is_guarded(live):
            self.kubectl("delete", "-f", "-", objects=[manifest])

    def _live(self, manifest: dict[str, Any]) -> dict[str, Any] | None:
        group = manifest["apiVersion"].rpartition("/")[0]
        kind = f"{manifest['kind']}.{group}" if group else manifest["kind"]
        return self.kubectl.find(kind, manifest["metadata"]["name"], "--namespace", self.namespace)

    @property
    def jobs(self) -> dict[str, str]:
        """The live jobs' uids by name: a job that was created again has another."""
        found = self.kubectl.items(JOB, "--namespace", self.namespace)
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in found}
