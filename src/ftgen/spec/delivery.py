"""Section `delivery`: how the manifest reaches the cluster, set by an option of conf/delivery/."""

from typing import Literal

from ftgen.spec.types import Flag, Line, Name, Section, Text


class Delivery(Section):
    """How the manifest reaches the cluster.

    Attributes:
        reconciler: who applies the manifest.
        generate_name: whether the API server completes the name.
        application: whether to render what points the reconciler at the folder, too.
        application_set: one ApplicationSet for all folders rather than an Application for each.
        create_only: whether Argo CD leaves the specification of a job alone once it is there.
        namespace: where the reconciler's own objects live.
        project: an AppProject that exists already; null: one is rendered for the namespace.
        server: the cluster's address, as Argo CD knows it.
        source: the GitRepository that Flux finds the tree in.
        repo_url: address of the repository; null: where `ftgen publish` publishes to.
        revision: what the reconciler follows, such as refs/heads/main; null: the branch published to.
        path: folder of the tree in the repository; null: the one published to.
    """

    reconciler: Literal["argocd", "flux", "kubectl"]
    generate_name: Flag
    application: Flag = False
    application_set: Flag = False
    create_only: Flag = False
    namespace: Name = "default"
    project: Name | None = None
    server: Line = "https://kubernetes.default.svc"
    source: Name = "flux-system"
    repo_url: Line | None = None
    revision: Line | None = None
    path: Text | None = None
