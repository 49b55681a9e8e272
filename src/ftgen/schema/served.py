"""Kinds that the API groups of Kubernetes, Volcano and KServe serve, with or without a schema in this package.

Sources: the API definitions of Kubernetes 1.25 to 1.37 (kubernetes-validate 1.37.0), Volcano's config/crd of 1.12 to
1.15, KServe's config/crd of 0.15 to 0.20.  A group that is not listed may belong to any operator.
"""

from __future__ import annotations

from difflib import get_close_matches

_NATIVE = """
v1 Binding ComponentStatus ConfigMap Endpoints Event LimitRange List Namespace Node PersistentVolume
v1 PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount Status
admissionregistration.k8s.io/v1 MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration
admissionregistration.k8s.io/v1alpha1 MutatingAdmissionPolicy MutatingAdmissionPolicyBinding
admissionregistration.k8s.io/v1alpha1 ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
admissionregistration.k8s.io/v1beta1 MutatingAdmissionPolicy MutatingAdmissionPolicyBinding
admissionregistration.k8s.io/v1beta1 ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
apiextensions.k8s.io/v1 CustomResourceDefinition
apiregistration.k8s.io/v1 APIService
apps/v1 ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet
authentication.k8s.io/v1 SelfSubjectReview TokenRequest TokenReview
authorization.k8s.io/v1 LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview
autoscaling/v1 HorizontalPodAutoscaler Scale
autoscaling/v2 HorizontalPodAutoscaler
batch/v1 CronJob Job
certificates.k8s.io/v1 CertificateSigningRequest ClusterTrustBundle PodCertificateRequest
certificates.k8s.io/v1alpha1 ClusterTrustBundle PodCertificateRequest
certificates.k8s.io/v1beta1 ClusterTrustBundle PodCertificateRequest
coordination.k8s.io/v1 Lease
coordination.k8s.io/v1alpha1 LeaseCandidate
coordination.k8s.io/v1alpha2 LeaseCandidate
coordination.k8s.io/v1beta1 LeaseCandidate
discovery.k8s.io/v1 EndpointSlice
events.k8s.io/v1 Event
extensions/v1beta1
flowcontrol.apiserver.k8s.io/v1 FlowSchema PriorityLevelConfiguration
flowcontrol.apiserver.k8s.io/v1beta2 FlowSchema PriorityLevelConfiguration
flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema PriorityLevelConfiguration
internal.apiserver.k8s.io/v1alpha1 StorageVersion
networking.k8s.io/v1 IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR
networking.k8s.io/v1alpha1 ClusterCIDR IPAddress ServiceCIDR
networking.k8s.io/v1beta1 IPAddress ServiceCIDR
node.k8s.io/v1 RuntimeClass
policy/v1 Eviction PodDisruptionBudget
rbac.authorization.k8s.io/v1 ClusterRole ClusterRoleBinding Role RoleBinding
resource.k8s.io/v1 DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice
resource.k8s.io/v1alpha2 PodSchedulingContext ResourceClaim ResourceClaimParameters ResourceClaimTemplate
resource.k8s.io/v1alpha2 ResourceClass ResourceClassParameters ResourceSlice
resource.k8s.io/v1alpha3 DeviceClass DeviceTaintRule PodSchedulingContext ResourceClaim ResourceClaimTemplate
resource.k8s.io/v1alpha3 ResourcePoolStatusRequest ResourceSlice
resource.k8s.io/v1beta1 DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice
resource.k8s.io/v1beta2 DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice
scheduling.k8s.io/v1 PriorityClass
scheduling.k8s.io/v1alpha1 Workload
scheduling.k8s.io/v1alpha2 PodGroup Workload
scheduling.k8s.io/v1alpha3 CompositePodGroup PodGroup Workload
scheduling.k8s.io/v1beta1 PodGroup Workload
storage.k8s.io/v1 CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass
storage.k8s.io/v1alpha1 VolumeAttributesClass
storage.k8s.io/v1beta1 CSIStorageCapacity VolumeAttributesClass
storagemigration.k8s.io/v1 StorageVersionMigration
storagemigration.k8s.io/v1alpha1 StorageVersionMigration
storagemigration.k8s.io/v1beta1 StorageVersionMigration
"""
_VOLCANO = """
batch.volcano.sh/v1alpha1 Job CronJob>=1.13
bus.volcano.sh/v1alpha1 Command
config.volcano.sh/v1alpha1 ColocationConfiguration>=1.14
flow.volcano.sh/v1alpha1 JobFlow JobTemplate
nodeinfo.volcano.sh/v1alpha1 Numatopology
scheduling.volcano.sh/v1beta1 PodGroup Queue
shard.volcano.sh/v1alpha1 NodeShard>=1.14
topology.volcano.sh/v1alpha1 HyperNode
"""
_KSERVE = """
serving.kserve.io/v1alpha1 ClusterServingRuntime ClusterStorageContainer InferenceGraph LLMInferenceService
serving.kserve.io/v1alpha1 LLMInferenceServiceConfig LocalModelCache LocalModelNamespaceCache LocalModelNode
serving.kserve.io/v1alpha1 LocalModelNodeGroup ServingRuntime TrainedModel
serving.kserve.io/v1alpha2 LLMInferenceService LLMInferenceServiceConfig
serving.kserve.io/v1beta1 InferenceService
"""
# Groups with their kinds that belong to no namespace, of any version.
_CLUSTER_SCOPED = """
- ComponentStatus Namespace Node PersistentVolume
admissionregistration.k8s.io MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
admissionregistration.k8s.io ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration
apiextensions.k8s.io CustomResourceDefinition
apiregistration.k8s.io APIService
certificates.k8s.io CertificateSigningRequest ClusterTrustBundle
flowcontrol.apiserver.k8s.io FlowSchema PriorityLevelConfiguration
networking.k8s.io ClusterCIDR IPAddress IngressClass ServiceCIDR
nodeinfo.volcano.sh Numatopology
node.k8s.io RuntimeClass
rbac.authorization.k8s.io ClusterRole ClusterRoleBinding
resource.k8s.io DeviceClass DeviceTaintRule ResourceClass ResourceSlice
scheduling.k8s.io PriorityClass
scheduling.volcano.sh Queue
serving.kserve.io ClusterServingRuntime ClusterStorageContainer LocalModelCache LocalModelNode LocalModelNodeGroup
shard.volcano.sh NodeShard
storage.k8s.io CSIDriver CSINode StorageClass VolumeAttachment VolumeAttributesClass
storagemigration.k8s.io StorageVersionMigration
topology.volcano.sh HyperNode
"""


def _table(text: str) -> dict[tuple[str, str], str]:
    """Parse a table: (apiVersion, kind) to the Volcano release that introduced it; empty if all known have it."""
    rows = [line.split() for line in text.split("\n") if line]
    words = [(version, word.partition(">=")) for version, *kinds in rows for word in kinds]
    return {(version, kind): since for version, (kind, _, since) in words}


_SERVED = {**_table(_NATIVE), **_table(_VOLCANO), **_table(_KSERVE)}
_GROUPS = {line.split()[0].rpartition("/")[0] for line in (_NATIVE + _VOLCANO + _KSERVE).split("\n") if line}


_WITHOUT_NAMESPACE = {
    (group.strip("-"), kind)
    for group, *kinds in (line.split() for line in _CLUSTER_SCOPED.split("\n") if line)
    for kind in kinds
}


def is_cluster_scoped(api_version: str, kind: str) -> bool:
    """Return whether objects of a known kind belong to the cluster, not to a namespace."""
    return (api_version.rpartition("/")[0], kind) in _WITHOUT_NAMESPACE


def knows(api_version: str) -> bool:
    """Return whether all kinds of the API group are known."""
    return api_version.rpartition("/")[0] in _GROUPS


def since(api_version: str, kind: str) -> str | None:
    """Return the Volcano release that introduced a kind; empty if all known have it, None if none serves it."""
    return _SERVED.get((api_version, kind))


def versions(kind: str) -> list[str]:
    """Return the API version by which each group serves a kind: the first in the tables, the stable one."""
    found: dict[str, str] = {}
    for version, other in _SERVED:
        if other == kind:
            found.setdefault(version.rpartition("/")[0], version)
    return [*found.values()]


def nearest(api_version: str, kind: str) -> str:
    """Guess the `apiVersion kind` that was meant: the same kind in another group, else a similar kind in this one."""
    same = [version for version, other in _SERVED if other == kind]
    if same:
        return f"{(get_close_matches(api_version, same, 1, 0) or same)[0]} {kind}"
    group = api_version.rpartition("/")[0]
    own = {other: version for version, other in reversed(_SERVED) if version.rpartition("/")[0] == group}
    contained = [other for other in own if other.lower() in kind.lower()]
    close = get_close_matches(kind, own, 1) or sorted(contained, key=len)[-1:] or list(own)[:1] * (len(own) == 1)
    return f"{own[close[0]]} {close[0]}" if close else ""
