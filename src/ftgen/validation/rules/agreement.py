"""Agreement of a VolcanoJob's parts: what its pods need to run, beyond what admission checks.

The cluster refuses none of this when the job is created: plugins log and do nothing, the controller retries
in silence, variables arrive empty. Facts about the controller are from pkg/controllers/job of Volcano.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ftgen.diagnostics import Severity
from ftgen.emulation import controller, plugins
from ftgen.text.shapes import integer, mapping, optional_integer, strings, text
from ftgen.validation import Finding, rule
from ftgen.validation.manifest import Container, Job, Task
from ftgen.validation.rules import AGREEMENT
from ftgen.validation.rules.containers import LARGEST_PORT
from ftgen.validation.rules.defaults import with_needed_plugins
from ftgen.validation.rules.lint.shell import undefined_references
from ftgen.validation.rules.policies import actions, events, policy_lists

_RESTART_ACTIONS = ("RestartJob", "RestartTask", "RestartPod", "RestartPartition")
_SKIPPED_NAMESPACES = ("kube-system", "volcano-system")


def _each_policy(condition: str) -> str:
    """Return CEL that is true where a condition is for each policy `p` of the job and of its tasks."""
    return f"""\
object.?spec.?policies.orValue([]).all(p,{condition})
&& object.?spec.?tasks.orValue([]).all(t, t.?policies.orValue([]).all(p,{condition}))
"""


@rule("FT418", "vanishing-plugin", on=AGREEMENT)
def vanishing_plugin(job: Job) -> Iterator[Finding]:
    """A plugin's arguments are null, so the API server drops the plugin.

    It prunes null values of a map before webhook or controller sees them, and no message says that the plugin is gone.

    Refused: `plugins: {svc: }`.
    Write: `plugins: {svc: []}`.
    """
    for name, arguments in job.plugins.items():
        if not isinstance(arguments, list):
            path = f"spec.plugins.{name}"
            yield Finding(
                f"the plugin {name} has no argument list and is dropped", path, arguments, f"set {path} to []"
            )


@rule("FT419", "unread-plugin-argument", on=AGREEMENT)
def unread_plugin_argument(job: Job) -> Iterator[Finding]:
    """A plugin stops reading its arguments before their end.

    Plugins read flags with Go's flag package: an unknown flag, a bare word or a value of the wrong type ends
    the parse. That is a line in the controller's log; the rest is ignored. Which flags exist depends on
    Volcano's version. Where one unknown flag at the end is all that is lost, it is a warning. A port beyond 65535 is
    read, and the API server refuses the pods that are to open it.

    Refused: `pytorch: [--master=train, "--port 23456", --worker=train]`.
    Write: `--port=23456`.
    """
    for name, arguments in job.plugins.items():
        if isinstance(arguments, list) and arguments:
            parsed = plugins.parse_flags(name, tuple(strings(arguments)), job.version)
            if parsed.stopped_at is not None and name in plugins.available(job.version):
                known = ", ".join(f"--{flag}" for flag in plugins.flags(name, job.version)) or "none"
                loses_one_flag = parsed.stopped_at == len(strings(arguments)) - 1 and "no flag --" in parsed.reason
                yield Finding(
                    f"the {name} plugin ignores its arguments from here on: {parsed.reason}",
                    f"spec.plugins.{name}[{parsed.stopped_at}]",
                    strings(arguments)[parsed.stopped_at],
                    f"its flags are {known}",
                    Severity.WARNING if loses_one_flag else None,
                )
            yield from _impossible_ports(name, parsed.values)


# The ssh plugin takes 22 in place of an impossible --ssh-port.
_PORTS = ("port", "dashboardPort", "clientPort")


def _impossible_ports(plugin: str, values: Mapping[str, str]) -> Iterator[Finding]:
    for flag, value in values.items():
        if flag in _PORTS and not 1 <= plugins.as_number(value) <= LARGEST_PORT:
            headline = f"--{flag}={value} is no port, and no pod can open it"
            yield Finding(headline, f"spec.plugins.{plugin}", value, f"set --{flag} to 1 to {LARGEST_PORT}")


@rule("FT420", "plugin-without-its-tasks", on=AGREEMENT)
def plugin_without_its_tasks(job: Job) -> Iterator[Finding]:
    """A distributed-framework plugin names tasks that the job does not have.

    pytorch and mpi need their master, ray its head, hcclrank a master or a worker (or a RANK variable);
    without it the plugin logs a line and injects nothing, and ray creates no pod at all. hcclrank gives no rank to
    pods of further tasks, such as those of a task `master` where its master is `train`.

    Refused: `plugins: {pytorch: []}` with one task `train`.
    Write: tasks named `master` and `worker`, or `pytorch: ["--master=<task>", "--worker=<task>"]`.
    """
    names = {task.name for task in job.tasks}
    for plugin, roles in (("pytorch", ("master",)), ("ray", ("head",)), ("hcclrank", ("master", "worker"))):
        if plugin in job.plugins:
            wanted = [_task_of_role(job, plugin, role) for role in roles]
            if names.isdisjoint(wanted) and not (plugin == "hcclrank" and _sets_rank(job)):
                yield Finding(
                    f"the {plugin} plugin finds no task {' or '.join(map(repr, wanted))} and does nothing",
                    f"spec.plugins.{plugin}",
                    wanted[0],
                    f"add --{roles[0]}=<task> to spec.plugins.{plugin}",
                )

    yield from _without_hccl_rank(job) if "hcclrank" in job.plugins and not _sets_rank(job) else ()


def _without_hccl_rank(job: Job) -> Iterator[Finding]:
    """Find tasks whose pods have NPUs and get no rank, beside one whose pods get theirs."""
    ranked = {_task_of_role(job, "hcclrank", role) for role in ("master", "worker")}
    for task in job.tasks if any(task.name in ranked for task in job.tasks) else ():
        if task.name not in ranked and any(_has_npus(container) for container in task.pod.main_containers):
            headline = f"the hcclrank plugin gives the pods of the task {task.name!r} no rank"
            help_ = f"name it in spec.plugins.hcclrank: --master={task.name}, or --worker={task.name}"
            yield Finding(headline, "spec.plugins.hcclrank", task.name, help_)


def _has_npus(container: Container) -> bool:
    limits = mapping(mapping(container.body.get("resources")).get("limits"))
    return any(str(name).startswith("huawei.com/") for name in limits)


def _task_of_role(job: Job, plugin: str, role: str) -> str:
    return plugins.parse_flags(plugin, tuple(strings(job.plugins.get(plugin))), job.version).values.get(role, role)


def _sets_rank(job: Job) -> bool:
    return any(text(variable.get("name")) == "RANK" for c in job.containers for _, variable in c.env)


@rule("FT421", "colliding-ranks", on=AGREEMENT)
def colliding_ranks(job: Job) -> Iterator[Finding]:
    """The pytorch plugin would give two pods one rank, or no pod rank 0.

    Every pod of the master task gets rank 0 and a worker's rank is its index plus one. A master of two
    replicas has rank 0 twice; a task that is both master and worker has no rank 0.

    Refused: `pytorch: [--master=train, --worker=train]`.
    Write: a task `master` of one replica beside the workers, or the svc and env plugins and torchrun.
    """
    if "pytorch" not in job.plugins:
        return
    master, worker = _task_of_role(job, "pytorch", "master"), _task_of_role(job, "pytorch", "worker")
    for task in job.tasks:
        if task.name == master and (task.replicas > 1 or master == worker):
            problem = "is master and worker at once, so no pod gets rank 0" if master == worker else ""
            problem = problem or f"has {task.replicas} replicas, and each gets rank 0"
            yield Finding(
                f"the pytorch plugin's master task {master!r} {problem}",
                "spec.plugins.pytorch",
                master,
                "give the master a task of one replica",
            )


@rule(
    "FT422",
    "restart-on-success",
    on=AGREEMENT,
    cel=_each_policy("""
  !p.?action.orValue('').matches('^Restart(Job|Task|Pod|Partition)$')
  || !(p.?events.orValue([]) + [p.?event.orValue('')]).exists(e, e == '*' || e == 'TaskCompleted')"""),
)
def restart_on_success(job: Job) -> Iterator[Finding]:
    """A policy restarts what has completed.

    `*` stands for every event, TaskCompleted included, so `* -> RestartJob` runs a successful job again
    until maxRetry is used up, and then calls it Failed.

    Refused: `{event: "*", action: RestartJob}`.
    Write: `{events: [PodEvicted, PodFailed], action: RestartJob}`.
    """
    for path, policy in (each for group in policy_lists(job) for each in group):
        matched = [event for event in events(policy) if event in ("*", "TaskCompleted")]
        if matched and text(policy.get("action")) in _RESTART_ACTIONS:
            yield Finding(
                f"{policy['action']} on {matched[0]} restarts what has succeeded",
                path,
                matched[0],
                "name the failures you mean: PodEvicted, PodFailed",
            )


@rule(
    "FT423",
    "pending-without-timeout",
    Severity.WARNING,
    on=AGREEMENT,
    cel=_each_policy("""
  p.?timeout.orValue('') != '' || !(p.?events.orValue([]) + [p.?event.orValue('')]).exists(e, e == 'PodPending')"""),
)
def pending_without_timeout(job: Job) -> Iterator[Finding]:
    """A policy on PodPending has no timeout and never acts.

    The controller starts the delayed action only where a timeout is set.

    Refused: `{event: PodPending, action: AbortJob}`.
    Write: `{event: PodPending, action: AbortJob, timeout: 1h}`.
    """
    for path, policy in (each for group in policy_lists(job) for each in group):
        if "PodPending" in events(policy) and not policy.get("timeout"):
            yield Finding("a policy on PodPending acts only after a timeout", path, "PodPending", f"set {path}.timeout")


@rule("FT398", "unknown-action-of-an-exit-code", on=AGREEMENT)
def unknown_action_of_an_exit_code(job: Job) -> Iterator[Finding]:
    """A policy on an exit code asks for no action, or for one that Volcano does not have, and does nothing.

    Volcano's job webhook checks only the actions of policies with events.  The controller takes the first policy that
    matches and, as it knows no such action, leaves the pod failed: policies after it are not asked any more.

    Refused: `{exitCode: 137, action: RestartJobs}`.
    Write: `{exitCode: 137, action: RestartJob}`, or `action: SyncJob` to do nothing.
    """
    known = (*actions(job.version), "SyncJob")
    for path, policy in (each for group in policy_lists(job) for each in group):
        action = text(policy.get("action"))
        if optional_integer(policy.get("exitCode")) is not None and not events(policy) and action not in known:
            headline = f"{action!r} is no action" if action else "the policy has no action"
            headline += f", so that the exit code {policy['exitCode']} does nothing, whatever other policies say"
            yield Finding(headline, f"{path}.action", action, f"set {path}.action to one of {', '.join(known)}")


@rule(
    "FT424",
    "unreachable-success",
    on=AGREEMENT,
    cel="""\
!has(object.spec.minSuccess) || object.spec.?tasks.orValue([]).size() == 0
|| [object.spec.tasks.map(t, int(t.?replicas.orValue(0))).sum()].all(n, n < 0 || n >= object.spec.minSuccess)
""",
)
def unreachable_success(job: Job) -> Iterator[Finding]:
    """`minSuccess` is more pods than there are, so the job always ends Failed.

    When all pods have ended the job is Completed with at least minSuccess successes, else Failed.

    Refused: `minSuccess: 4` with 2 replicas.
    Write: `minSuccess: 2`, or leave it out.
    """
    wanted, total = integer(job.spec.get("minSuccess")), sum(task.replicas for task in job.tasks)
    if job.tasks and 0 <= total < wanted:
        yield Finding(
            f"minSuccess is {wanted} but there are {total} pods: the job can only fail",
            "spec.minSuccess",
            wanted,
            f"set spec.minSuccess to {total}",
        )


@rule(
    "FT425",
    "restart-without-retry",
    Severity.WARNING,
    on=AGREEMENT,
    cel=f"""\
object.?spec.?maxRetry.orValue(3) != 1 || ({
        _each_policy("!p.?action.orValue('').matches('^Restart(Job|Task|Pod|Partition)$')").strip()
    })""",
)
def restart_without_retry(job: Job) -> Iterator[Finding]:
    """A policy restarts the job but `maxRetry` allows one attempt only.

    maxRetry counts attempts, not restarts: 1 means that the first restart ends the job as Failed.

    Refused: `maxRetry: 1` with `{event: PodEvicted, action: RestartJob}`.
    Write: `maxRetry: 4` for three restarts.
    """
    if optional_integer(job.spec.get("maxRetry")) != 1:
        return
    for path, policy in (each for group in policy_lists(job) for each in group):
        if text(policy.get("action")) in _RESTART_ACTIONS:
            yield Finding(
                f"{path} asks for a restart, but maxRetry 1 allows one attempt",
                "spec.maxRetry",
                1,
                "set it to 2 or more",
            )
            return


@rule("FT426", "gang-waiting-for-itself", on=AGREEMENT)
def gang_waiting_for_itself(job: Job) -> Iterator[Finding]:
    """Tasks wait for others, but the gang needs all of them at once.

    Pods of a task with dependsOn are created once the others run; nothing runs before minAvailable pods are
    there. With a full gang neither happens, for ever.

    Refused: `minAvailable: 3` where two of three pods are in tasks with dependsOn.
    Write: `minAvailable: 1`, the pods that start first.
    """
    waiting = [task for task in job.tasks if strings(mapping(task.body.get("dependsOn")).get("name"))]
    first = sum(task.replicas for task in job.tasks if task not in waiting)
    needed = _gang_size(job)
    if waiting and 0 < first < needed:  # where no task starts, their order is the fault
        yield Finding(
            f"minAvailable is {needed}, but only {first} pods are created before {waiting[0].name!r} starts",
            "spec.minAvailable",
            needed,
            f"set spec.minAvailable to {first} or less",
        )


def _gang_size(job: Job) -> int:
    summed = sum(task.replicas if task.min_available is None else task.min_available for task in job.tasks)
    return integer(job.spec.get("minAvailable")) or summed


@rule("FT427", "overwritten-variable", on=AGREEMENT)
def overwritten_variable(job: Job) -> Iterator[Finding]:
    """A container sets a variable that a plugin sets after it.

    Plugins append to the container's env, and the last of two equal names wins: the svc plugin's
    VC_<TASK>_HOSTS and VC_<TASK>_NUM, env's VC_TASK_INDEX, pytorch's MASTER_ADDR, MASTER_PORT, WORLD_SIZE and
    RANK, tensorflow's TF_CONFIG, mpi's MPI_HOST.

    Refused: `env: [{name: VC_TASK_INDEX, value: "0"}]` with `plugins: {env: []}`.
    Write: a name of your own, or no plugin.
    """
    for task in job.tasks if job.plugins else ():
        everywhere, main = _plugin_variables(job, task)
        for container in task.pod.containers:
            added = everywhere if container.init else everywhere | main
            for i, variable in container.env:
                name = variable.get("name")
                if isinstance(name, str) and name in added:
                    yield Finding(
                        f"the variable {name} is overwritten by a job plugin",
                        f"{container.path}.env[{i}].name",
                        name,
                        "remove it or use another name",
                    )


def _plugin_variables(job: Job, task: Task) -> tuple[set[str], set[str]]:
    """Return the variables that plugins add to every container of a task, and to its main containers only."""
    everywhere: set[str] = set()
    main: set[str] = set()
    pod = controller.Member("", [each.body for each in job.tasks], task.body, 0, {})
    for added in controller.added_variables(job.plugins, pod, job.version):
        (everywhere if added.init else main).update(added.names)
    return everywhere, main


@rule("FT428", "unexpanded-variable", on=AGREEMENT)
def unexpanded_variable(job: Job) -> Iterator[Finding]:
    """A variable refers to one that a plugin defines after it.

    Kubernetes expands `$(NAME)` in an env value only from variables earlier in the list, and plugins append
    theirs, so the text stays as it is. In command and args, and as `${NAME}` in the shell, it works.

    Refused: `{name: NODE_RANK, value: $(VC_TASK_INDEX)}`.
    Write: `NODE_RANK="${VC_TASK_INDEX}"` in the script.
    """
    for task in job.tasks:
        references = [(c, i, name) for c in task.pod.containers for i, name in undefined_references(c)]
        added = set().union(*_plugin_variables(job, task)) if references else set()
        for container, i, name in references:
            if name in added or name.startswith(("VC_", "VK_")):
                yield Finding(
                    f"$({name}) is not yet defined here and stays as it is",
                    f"{container.path}.env[{i}].value",
                    f"$({name})",
                    f"read ${{{name}}} in the script instead",
                )


@rule("FT429", "unguarded-namespace", Severity.WARNING, on=AGREEMENT)
def unguarded_namespace(job: Job) -> Iterator[Finding]:
    """The job is in a namespace that Volcano's webhooks skip.

    In kube-system and Volcano's own namespace (by default volcano-system) a job is neither defaulted nor
    validated.

    Refused: `metadata.namespace: volcano-system`.
    Write: a namespace of its own.
    """
    namespace = text(mapping(job.manifest.get("metadata")).get("namespace"))
    if namespace in _SKIPPED_NAMESPACES:
        yield Finding(f"Volcano's webhooks skip the namespace {namespace}", "metadata.namespace", namespace)


@rule("FT430", "shared-hostname", on=AGREEMENT)
def shared_hostname(job: Job) -> Iterator[Finding]:
    """A template sets its own hostname or subdomain where the svc plugin needs them.

    The plugin gives each pod its name as hostname and the job's as subdomain, unless the template sets them.
    With a hostname all replicas share it and VC_<TASK>_HOSTS has one entry. The plugin keeps another subdomain and
    makes no Service for it, so that the hosts resolve only where somebody else has made a headless one of that name:
    that is a warning.

    Refused: `hostname: train` on a task of two replicas with `plugins: {svc: []}`.
    Write: neither.
    """
    for task in job.tasks if "svc" in with_needed_plugins(job.plugins, job.version) else ():
        host, domain = text(task.pod.spec.get("hostname")), text(task.pod.spec.get("subdomain"))
        if host and task.replicas > 1:
            path = f"{task.pod.spec_path}.hostname"
            yield Finding(f"all replicas of {task.name!r} share the hostname {host!r}", path, host, f"remove {path}")
        if domain and domain != job.name:
            path = f"{task.pod.spec_path}.subdomain"
            yield Finding(
                f"the svc plugin makes no Service for the subdomain {domain!r}",
                path,
                domain,
                f"remove {path}, or make a headless Service {domain} that selects the pods",
                Severity.WARNING,
            )
