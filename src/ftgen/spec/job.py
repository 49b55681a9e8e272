"""Section `job`: the job's life, set by conf/common.yaml."""

from typing import Literal

from ftgen.spec.types import Count, Natural, Section


class Job(Section):
    """The job's life: restarts, end, patience.

    Attributes:
        restarts: restarts of the whole job.
        on_failure: what a failed pod does to the job; auto: restart, but after a fault of the training's own only where
            the workspace outlives the pod.
        ttl (seconds): time after the end until Volcano deletes the job; null: never.
        grace_period (seconds): time between SIGTERM and SIGKILL.
        peer_timeout (seconds): how long nodes wait for each other's names.
        scripts: where the scripts are: in a ConfigMap beside the job, or inline in its containers' commands; auto:
            inline for kubectl, so that a run is one object, else in a ConfigMap.
        security: what pods give up; restricted: root, capabilities and all else that the restricted pod security
            standard takes; none: nothing; auto: as restricted, but nothing where a setting needs what the standard
            forbids, which a note names; null: what `cluster.pod_security` says that the namespace enforces.
    """

    restarts: Natural
    on_failure: Literal["auto", "RestartJob", "TerminateJob", "AbortJob"]
    ttl: Natural | None = None
    grace_period: Natural
    peer_timeout: Count
    scripts: Literal["auto", "configmap", "inline"] = "auto"
    security: Literal["auto", "restricted", "none"] | None = None
