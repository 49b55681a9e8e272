"""Job volumes, `spec.volumes`, which Volcano mounts into every main container, and mounts beside them.

Admission checks one entry at a time (validateIO in validate/util.go); most failures come later, from the pods
that the controller makes of them (pkg/controllers/job: createOrUpdateJobIO, createJobPod).
"""

from __future__ import annotations

from collections.abc import Iterator

from ftgen.diagnostics import Severity
from ftgen.emulation import controller
from ftgen.text import kube
from ftgen.text.shapes import mapping, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Job
from ftgen.validation.rules import ADMISSION, AGREEMENT
from ftgen.validation.rules.sources import claim_problems, source_kinds

_LARGEST_JOB_NAME = 50


@rule("FT325", "shared-job-mount", on=ADMISSION)
def job_volume_path(job: Job) -> Iterator[Finding]:
    """A job volume has no mount path, or the mount path of another.

    Volcano's job webhook wants one in every entry of `spec.volumes` and no two alike.

    Refused: two entries with `mountPath: /mnt/workspace`.
    Write: another path for one of them.
    """
    seen: set[str] = set()
    for i, volume in job.volumes:
        path = text(volume.get("mountPath"))
        if not path or path in seen:
            problem = f"a second job volume is mounted at {path}" if path else "the job volume has no mountPath"
            yield Finding(problem, f"spec.volumes[{i}].mountPath", path, "give every job volume its own mountPath")
        seen.add(path)


@rule("FT326", "ambiguous-claim", on=ADMISSION)
def job_volume_claim(job: Job) -> Iterator[Finding]:
    """A job volume needs either a claim's name or an inline claim, and not both.

    Volcano's job webhook refuses neither and both, and a name that is no DNS-1123 subdomain.

    Refused: `{mountPath: /mnt/workspace}`.
    Write: `{mountPath: /mnt/workspace, volumeClaimName: workspace}`.
    """
    for i, volume in job.volumes:
        name, path = text(volume.get("volumeClaimName")), f"spec.volumes[{i}]"
        inline = volume.get("volumeClaim") is not None
        if not name and not inline:
            yield Finding("the job volume names no claim and describes none", path, help=f"set {path}.volumeClaimName")
        elif name and inline:
            yield Finding("the job volume both names a claim and describes one", path, name, "remove one of them")
        elif name and not kube.is_dns1123_subdomain(name):
            yield Finding(f"the claim name {name!r} is no DNS name", f"{path}.volumeClaimName", name)


@rule("FT412", "long-claim-names", on=AGREEMENT)
def long_claim_names(job: Job) -> Iterator[Finding]:
    """With job volumes, the job's name may have 50 characters and no dot.

    The controller names each pod volume `<job>-<12 random characters>`, and a volume's name is a DNS-1123
    label of 63 (createJobPod). The job is admitted, no pod is ever created and the job ends Terminated.

    Refused: `spec.volumes` in a job named `qwen2.5-lora`.
    Write: `qwen2-5-lora`, or a volume of the pod template instead.
    """
    if job.volumes and (len(job.name) > _LARGEST_JOB_NAME or "." in job.name):
        problem = "has a dot" if "." in job.name else f"has {len(job.name)} characters"
        yield Finding(
            f"the job name {job.name!r} {problem}; job volumes allow {_LARGEST_JOB_NAME} and no dot",
            job.name_path,
            job.name,
            "shorten the name, or mount the claim in the pod template",
        )


@rule("FT397", "incomplete-job-claim", on=AGREEMENT)
def incomplete_job_claim(job: Job) -> Iterator[Finding]:
    """A claim that a job volume describes is incomplete.

    Volcano's job webhook takes any; the controller's createPVC is refused at each try, no pod is ever created and the
    job ends Terminated.  A claim needs access modes and a storage request above zero.

    Refused: `volumeClaim: {accessModes: [RWX], resources: {}}`.
    Write: `volumeClaim: {accessModes: [ReadWriteMany], resources: {requests: {storage: 5Gi}}}`.
    """
    for i, volume in job.volumes:
        if volume.get("volumeClaim") is not None and not text(volume.get("volumeClaimName")):
            yield from claim_problems(mapping(volume["volumeClaim"]), f"spec.volumes[{i}].volumeClaim")


@rule("FT415", "mounts-over-mounts", on=AGREEMENT)
def colliding_mounts(job: Job) -> Iterator[Finding]:
    """A container mounts something where Volcano mounts a job volume or a plugin's files.

    Job volumes go into every main container, the svc plugin's hosts to /etc/volcano and the ssh plugin's
    keys to /root/.ssh (or `--ssh-key-file-path`) in init containers too. Mount paths are unique in a
    container, so pods are refused when they are created, long after the job was admitted.

    Refused: `spec.volumes[0].mountPath: /mnt/models` and a volumeMount at /mnt/models.
    Write: another path for one of them.
    """
    job_mounts = {text(v.get("mountPath")): f"spec.volumes[{i}]" for i, v in job.volumes}
    mounted = controller.mounts_of_plugins(job.plugins, job.version)
    added = {path: f"the {plugin} plugin" for path, plugin in mounted.items()}
    for path, volume in job_mounts.items():
        if path in added:
            yield _collision(f"{volume}.mountPath", path, added[path])
    for container in job.containers:
        others = added if container.init else {**job_mounts, **added}
        for i, mount in container.mounts if others else ():
            path = text(mount.get("mountPath"))
            if path in others and path:
                yield _collision(f"{container.path}.volumeMounts[{i}].mountPath", path, others[path])


def _collision(subject: str, path: str, other: str) -> Finding:
    return Finding(f"{path} is already the mount path of {other}", subject, path, "mount one of them elsewhere")


@rule(
    "FT416",
    "twice-mounted-claim",
    on=AGREEMENT,
    cel="""\
object.?spec.?volumes.orValue([]).filter(v, v.?volumeClaimName.orValue('') != '').all(
  v, object.spec.volumes.exists_one(w, w.?volumeClaimName.orValue('') == v.volumeClaimName))
""",
)
def twice_mounted_claim(job: Job) -> Iterator[Finding]:
    """Two job volumes name the same claim.

    The controller keeps one mount per claim and drops the second path without a message (createJobPod).

    Refused: `data` mounted at /mnt/models and at /mnt/datasets through `spec.volumes`.
    Write: a volume of the pod template with two volumeMounts.
    """
    seen: set[str] = set()
    for i, volume in job.volumes:
        name = text(volume.get("volumeClaimName"))
        if name and name in seen:
            yield Finding(
                f"the claim {name!r} is mounted twice; only the first mount takes effect",
                f"spec.volumes[{i}].volumeClaimName",
                name,
                "mount it through the pod template's volumes",
            )
        seen.add(name)


@rule(
    "FT417",
    "colon-in-mount-path",
    on=AGREEMENT,
    cel="""\
object.?spec.?volumes.orValue([]).all(v, !v.?mountPath.orValue('').contains(':'))
&& object.?spec.?tasks.orValue([]).all(
  t, [t.?template.?spec.?containers, t.?template.?spec.?initContainers].all(
    list, list.orValue([]).all(c, c.?volumeMounts.orValue([]).all(m, !m.?mountPath.orValue('').contains(':')))))
""",
)
def colon_in_mount_path(job: Job) -> Iterator[Finding]:
    """A mount path contains a colon.

    Kubernetes documents that it must not; admission lets it pass in pod templates, and in job volumes up to
    Volcano 1.13, and then the container runtime cannot start the container.

    Refused: `mountPath: /mnt/data:ro`.
    Write: `mountPath: /mnt/data` with `readOnly: true`.
    """
    places = [(f"spec.volumes[{i}].mountPath", volume) for i, volume in job.volumes]
    places += [(f"{c.path}.volumeMounts[{i}].mountPath", m) for c in job.containers for i, m in c.mounts]
    for path, mount in places:
        if ":" in text(mount.get("mountPath")):
            yield Finding("a mount path cannot contain a colon", path, mount["mountPath"], "remove the colon")


@rule("FT431", "volume-without-source", Severity.WARNING, on=AGREEMENT)
def volume_without_source(job: Job) -> Iterator[Finding]:
    """A volume of the template has no source and becomes an empty directory.

    Kubernetes' defaulting makes it an emptyDir, also where a claim was meant and its field is misspelt or null.

    Refused: `{name: models}`.
    Write: `{name: models, persistentVolumeClaim: {claimName: models}}`, or `emptyDir: {}`.
    """
    for pod in job.pods:
        for i, volume in pod.volumes:
            if not source_kinds(volume):
                name = text(volume.get("name"))
                yield Finding(
                    f"the volume {name!r} has no source and becomes an empty directory",
                    f"{pod.spec_path}.volumes[{i}]",
                    name,
                    "name its source",
                )
