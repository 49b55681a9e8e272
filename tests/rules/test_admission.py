import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen.diagnostics import has_errors
from ftgen.validation import RULES, Context, Queue, validate
from ftgen.validation.rules import AGREEMENT, all_rules
from ftgen.validation.rules.admission import admit_create, admit_update, mutate
from ftgen.validation.rules.change import change_class

STAGE = "admission"
V1_12, V1_15 = (1, 12, 4), (1, 15, 0)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def named(diagnostics):
    return [(RULES[found.code].name, found.subject) for found in diagnostics]


def test_accepts(accepts):
    assert admit_create(accepts.manifest, volcano_version=accepts.version) == []


def test_refuses(refuses):
    found = admit_create(refuses.manifest, volcano_version=refuses.version)

    assert named(found) == [(refuses.rule, refuses.subject)]
    assert has_errors(found)


def test_every_rule_has_cases(rules_with_cases):
    judged = {r.name for r in all_rules().values() if "FT310" <= r.code <= "FT332"}

    assert judged - rules_with_cases == {"unusable-queue"}


def test_every_rule_documents_itself():
    for rule in all_rules().values():
        if rule.code >= "FT310":
            title = rule.page.splitlines()[0]
            assert title.endswith("."), rule
            assert "Refused: " in rule.page, rule
            assert "Write: " in rule.page, rule


def test_a_second_task_of_one_name_is_refused(base_job):
    base_job["spec"]["tasks"] *= 2

    assert named(admit_create(base_job, volcano_version=V1_15)) == [("bad-task-name", "spec.tasks[1].name")]


def test_tasks_that_wait_for_each_other_are_refused(base_job):
    (first,), (second,) = base_job["spec"]["tasks"], copy.deepcopy(base_job["spec"]["tasks"])
    first |= {"name": "one", "dependsOn": {"name": ["two"]}}
    second |= {"name": "two", "dependsOn": {"name": ["one"]}}
    base_job["spec"]["tasks"] = [first, second]

    (found,) = admit_create(base_job, volcano_version=V1_15)

    assert named([found]) == [("unordered-tasks", "spec.tasks[0].dependsOn")]
    assert found.value == "one, two"


def test_a_task_awaited_twice_is_refused(base_job):
    (first,), (second,) = base_job["spec"]["tasks"], copy.deepcopy(base_job["spec"]["tasks"])
    second |= {"name": "two", "dependsOn": {"name": ["train", "train"]}}
    base_job["spec"]["tasks"] = [first, second]

    found = admit_create(base_job, volcano_version=V1_15)

    assert named(found) == [("unordered-tasks", "spec.tasks[1].dependsOn.name")]


QUEUES = {
    "root": Queue(),
    "default": Queue(parent="root"),
    "team": Queue(parent="root"),
    "leaf": Queue(parent="team"),
    "old": Queue(state="Closed", parent="root"),
}


@pytest.mark.parametrize("queue", ["default", "leaf", ""])
def test_an_open_leaf_queue_is_accepted(base_job, queue):
    base_job["spec"]["queue"] = queue

    assert admit_create(base_job, volcano_version=V1_15, queues=QUEUES) == []


@pytest.mark.parametrize("queue", ["root", "team", "old", "missing"])
def test_any_other_queue_is_refused(base_job, queue):
    base_job["spec"]["queue"] = queue

    found = admit_create(base_job, volcano_version=V1_15, queues=QUEUES)

    assert named(found) == [("unusable-queue", "spec.queue")]
    assert admit_create(base_job, volcano_version=V1_15) == []


# --- defaults ---


def test_mutate_writes_every_default():
    spec = {
        "plugins": {"mpi": [], "gone": None},
        "networkTopology": {},
        "tasks": [
            {
                "replicas": 2,
                "template": {"spec": {"hostNetwork": True, "containers": [{"ports": [{"containerPort": 1}]}]}},
            },
            {"name": "x", "replicas": 3, "minAvailable": 0, "maxRetry": 0, "template": {}},
        ],
    }

    out = mutate({"spec": spec}, volcano_version=V1_15)["spec"]

    first, second = out.pop("tasks")
    assert out == {
        "plugins": {"mpi": [], "svc": [], "ssh": []},
        "networkTopology": {"mode": "hard"},
        "queue": "default",
        "schedulerName": "volcano",
        "maxRetry": 3,
        "minAvailable": 2,
    }
    assert (first["name"], first["minAvailable"], first["maxRetry"]) == ("default0", 2, 3)
    assert first["template"]["spec"]["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert first["template"]["spec"]["containers"][0]["ports"] == [{"containerPort": 1, "protocol": "TCP"}]
    assert (second["minAvailable"], second["maxRetry"]) == (0, 3)


@pytest.mark.parametrize(
    ("version", "plugins"),
    [((1, 12, 4), {"ray": []}), ((1, 13, 0), {"ray": [], "svc": []})],
)
def test_ray_gets_its_service_from_the_version_that_has_it(version, plugins):
    assert mutate({"spec": {"plugins": {"ray": []}}}, volcano_version=version)["spec"]["plugins"] == plugins


def test_a_topology_gets_its_first_tier_only_before_1_14():
    old = mutate({"spec": {"networkTopology": {}}}, volcano_version=V1_12)["spec"]["networkTopology"]

    assert old == {"mode": "hard", "highestTierAllowed": 1}


@pytest.mark.parametrize(
    ("version", "policy", "gang"),
    [
        ((1, 15, 0), {"partitionSize": 2, "minPartitions": 1}, 2),
        ((1, 14, 2), {"partitionSize": 2}, 0),
        ((1, 14, 3), {"partitionSize": 2}, 4),
        ((1, 15, 0), {"partitionSize": 2}, 0),
        ((1, 15, 1), {"partitionSize": 2}, 4),
        ((1, 16, 0), {"partitionSize": 2}, 4),
        ((1, 12, 4), {"partitionSize": 2, "minPartitions": 1}, 4),
    ],
)
def test_a_partitioned_task_gets_the_gang_of_its_partitions(version, policy, gang):
    job = {"spec": {"tasks": [{"replicas": 4, "partitionPolicy": policy}]}}

    assert mutate(job, volcano_version=version)["spec"]["tasks"][0]["minAvailable"] == gang


def test_mutate_leaves_its_input_alone(base_job):
    del base_job["spec"]["queue"], base_job["spec"]["tasks"][0]["maxRetry"]
    before = copy.deepcopy(base_job)

    mutate(base_job)

    assert base_job == before


def test_of_the_reference_manifests_only_the_tasks_defaults_are_missing(reference_jobs):
    for job in reference_jobs:
        expected = copy.deepcopy(job)
        expected["spec"]["tasks"][0] |= {"minAvailable": 1, "maxRetry": 3}

        assert mutate(job) == expected


@pytest.mark.parametrize("version", [V1_12, V1_15])
def test_the_reference_manifests_are_admitted_and_cohere(reference_jobs, version):
    for job in reference_jobs:
        assert admit_create(job, volcano_version=version, queues=QUEUES) == []
        assert validate(AGREEMENT, mutate(job, volcano_version=version), Context(version)) == []


# --- totality ---


def shaped(inner):
    """JSON that often has the keys of a job, so that the rules look inside."""
    keys = st.sampled_from(
        [
            "metadata",
            "name",
            "generateName",
            "labels",
            "annotations",
            "spec",
            "plugins",
            "svc",
            "mpi",
            "policies",
            "event",
            "events",
            "exitCode",
            "volumes",
            "mountPath",
            "tasks",
            "replicas",
            "minAvailable",
            "template",
            "containers",
            "initContainers",
            "env",
            "value",
            "valueFrom",
            "fieldRef",
            "secretKeyRef",
            "volumeMounts",
            "resources",
            "limits",
            "requests",
            "cpu",
            "hugepages-2Mi",
            "nvidia.com/gpu",
            "ports",
            "tolerations",
            "affinity",
            "nodeAffinity",
            "podAffinity",
            "requiredDuringSchedulingIgnoredDuringExecution",
            "nodeSelectorTerms",
            "matchExpressions",
            "topologySpreadConstraints",
            "emptyDir",
            "sizeLimit",
            "projected",
            "sources",
            "ephemeral",
            "securityContext",
            "livenessProbe",
            "httpGet",
            "dependsOn",
            "partitionPolicy",
            "networkTopology",
            "queue",
            "dnsConfig",
            "hostAliases",
        ]
    )
    return st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "*", "a", "-1", "1Gi", "$(VC_A)"]),
    shaped,
    max_leaves=40,
)


@given(
    st.fixed_dictionaries({}, optional={"metadata": ODD | JSON, "spec": ODD | JSON, "kind": JSON}),
    st.sampled_from([V1_12, V1_15, (1, 16, 0)]),
)
def test_no_json_object_makes_a_rule_raise(job, version):
    out = mutate(job, volcano_version=version)

    assert mutate(out, volcano_version=version) == out
    admit_create(job, volcano_version=version, queues=QUEUES)
    validate(AGREEMENT, job, Context(version))
    assert change_class(job, job, volcano_version=version) == "no-op"
    admit_update(job, out, volcano_version=version)


def test_what_is_admitted_stays_admitted_with_its_defaults(accepts):
    out = mutate(accepts.manifest, volcano_version=accepts.version)

    assert admit_create(out, volcano_version=accepts.version) == []
    assert admit_update(out, out, volcano_version=accepts.version) == []
