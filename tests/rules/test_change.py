import copy

import pytest

from ftgen.validation import RULES
from ftgen.validation.rules.admission import admit_update, mutate
from ftgen.validation.rules.change import change_class

V1_12, V1_15 = (1, 12, 4), (1, 15, 0)


def task(job):
    return job["spec"]["tasks"][0]


def main(job):
    return task(job)["template"]["spec"]["containers"][0]


def named(diagnostics):
    return [(RULES[found.code].name, found.subject) for found in diagnostics]


SAME = {
    "the same": lambda _: None,
    "cores in thousandths": lambda job: main(job)["resources"]["limits"].update({"cpu": "8000m"}),
    "gibibytes in mebibytes": lambda job: main(job)["resources"]["limits"].update({"memory": "16384Mi"}),
    "an empty list": lambda job: main(job).update(args=[]),
    "an empty map": lambda job: task(job)["template"]["spec"].update(nodeSelector={}),
    "a null": lambda job: main(job).update(lifecycle=None),
    "a zero value": lambda job: main(job)["env"][0].update(valueFrom=None) or main(job).update(tty=False),
    "a default": lambda job: main(job)["ports"][0].update(protocol="TCP"),
    "no queue": lambda job: job["spec"].pop("queue"),
}


@pytest.mark.parametrize("edit", SAME.values(), ids=SAME)
def test_what_means_the_same_is_no_change(base_job, edit):
    old, new = base_job, copy.deepcopy(base_job)
    edit(new)

    assert change_class(old, new) == "no-op"
    assert admit_update(mutate(old), new, volcano_version=V1_12) == []


METADATA = {
    "a label": lambda job: job["metadata"]["labels"].update(team="vision"),
    "an annotation": lambda job: job["metadata"].update(annotations={"a": ""}),
}


@pytest.mark.parametrize("edit", METADATA.values(), ids=METADATA)
def test_metadata_can_change_at_any_time(base_job, edit):
    new = copy.deepcopy(base_job)
    edit(new)

    assert change_class(base_job, new) == "metadata"
    assert admit_update(base_job, new, volcano_version=V1_12) == []


IN_PLACE = {
    "fewer pods": lambda job: task(job).update(replicas=1, minAvailable=1) or job["spec"].update(minAvailable=1),
    "a smaller gang": lambda job: job["spec"].update(minAvailable=1),
    "a priority": lambda job: job["spec"].update(priorityClassName="high"),
}


@pytest.mark.parametrize("edit", IN_PLACE.values(), ids=IN_PLACE)
def test_counts_and_priority_change_in_place(base_job, edit):
    new = copy.deepcopy(base_job)
    edit(new)

    assert change_class(base_job, new) == "in-place"
    assert admit_update(base_job, new, volcano_version=V1_12) == []


NEW_RUN = {
    "an image": (lambda job: main(job).update(image="a:2"), "containers[0].image"),
    "a variable": (lambda job: main(job)["env"].append({"name": "A"}), "containers[0].env"),
    "more memory": (
        lambda job: main(job)["resources"]["limits"].update(memory="17Gi"),
        "containers[0].resources.limits.memory",
    ),
    "a pointer to nothing": (lambda job: main(job).update(securityContext={}), "containers[0].securityContext"),
    "a pointer to zero": (
        lambda job: task(job)["template"]["spec"].update(terminationGracePeriodSeconds=0),
        "terminationGracePeriodSeconds",
    ),
}


@pytest.mark.parametrize(("edit", "where"), NEW_RUN.values(), ids=NEW_RUN)
def test_anything_else_in_the_template_is_a_new_run(base_job, edit, where):
    new = copy.deepcopy(base_job)
    edit(new)

    found = admit_update(base_job, new, volcano_version=V1_12)

    assert change_class(base_job, new) == "new run"
    assert named(found) == [("changed-run", f"spec.tasks[0].template.spec.{where}")]


@pytest.mark.parametrize("field", ["queue", "schedulerName", "maxRetry", "ttlSecondsAfterFinished", "minSuccess"])
def test_the_job_s_own_fields_are_immutable(base_job, field):
    new = copy.deepcopy(base_job)
    new["spec"][field] = "other" if field in ("queue", "schedulerName") else 7

    assert change_class(base_job, new) == "new run"
    assert named(admit_update(base_job, new, volcano_version=V1_15)) == [("changed-run", f"spec.{field}")]


def test_another_name_is_another_run(base_job):
    new = copy.deepcopy(base_job)
    new["metadata"]["name"] = "other"

    assert change_class(base_job, new) == "new run"


def test_the_number_of_tasks_is_fixed(base_job):
    new = copy.deepcopy(base_job)
    new["spec"]["tasks"].append({**copy.deepcopy(task(new)), "name": "evaluate"})

    assert change_class(base_job, new) == "new run"
    assert named(admit_update(base_job, new, volcano_version=V1_15)) == [("other-number-of-tasks", "spec.tasks")]


def test_scaling_down_needs_the_frozen_gang_lowered_too(base_job):
    new = copy.deepcopy(base_job)
    task(new)["replicas"] = 1

    found = admit_update(base_job, new, volcano_version=V1_12)

    assert named(found) == [
        ("unreachable-gang", "spec.tasks[0].minAvailable"),
        ("unreachable-gang", "spec.minAvailable"),
    ]


def test_a_second_apply_that_takes_back_the_webhook_s_default_is_refused(reference_jobs):
    written = reference_jobs[0]
    stored = mutate(written, volcano_version=V1_12)

    found = admit_update(stored, written, volcano_version=V1_12)

    assert named(found) == [("changed-run", "spec.tasks[0].maxRetry")]


def test_the_generated_name_of_an_inline_claim_does_not_count(reference_jobs):
    old = mutate(reference_jobs[0])
    new = copy.deepcopy(old)
    old["spec"]["volumes"] = [{**old["spec"]["volumes"][0], "volumeClaimName": "vcjob-sft-pvc-0123456789ab"}]

    assert admit_update(old, new, volcano_version=V1_12) == []
    assert change_class(old, new) == "no-op"


def test_durations_are_compared_by_length(base_job):
    base_job["spec"]["policies"] = [{"event": "PodPending", "action": "AbortJob", "timeout": "1h30m"}]
    new = copy.deepcopy(base_job)
    new["spec"]["policies"][0]["timeout"] = "90m0s"

    assert change_class(base_job, new) == "no-op"


def test_what_the_api_server_owns_does_not_count(base_job):
    live = copy.deepcopy(base_job)
    live["metadata"] |= {"uid": "1", "resourceVersion": "2", "creationTimestamp": "2026-01-01T00:00:00Z"}
    live["status"] = {"state": {"phase": "Running"}}

    assert change_class(live, base_job) == "no-op"
