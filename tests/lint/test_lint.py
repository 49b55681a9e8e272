"""Each rule refuses what its page says and accepts what the page writes instead; see data.yaml."""

import copy
import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen.spec import admit_facts
from ftgen.text import yamlio
from ftgen.validation import RULES, UNKNOWN_FACT, Context, unreported, validate
from ftgen.validation.rules import CLAIM_LINT, LINT, all_rules

GROUPS = yamlio.parse((Path(__file__).parent / "data.yaml").read_text(encoding="utf-8"), "data.yaml")
BASE = GROUPS.pop("base")
SHORT = {
    "task": "spec.tasks[0]",
    "pod": "spec.tasks[0].template.spec",
    "main": "spec.tasks[0].template.spec.containers[0]",
    "init": "spec.tasks[0].template.spec.initContainers[0]",
    "limits": "spec.tasks[0].template.spec.containers[0].resources.limits",
    "script": "spec.tasks[0].template.spec.containers[0].command[2]",
}
STEP = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[]+)')
VERSION = (1, 12, 4)
UNKNOWN = Context(VERSION)


def full(path):
    head = re.match(r"[^.\[]*", path)[0]
    return SHORT.get(head, head) + path[len(head) :]


def edited(edits):
    job = copy.deepcopy(BASE)
    for path, value in copy.deepcopy(edits).items():
        steps = [int(i) if i else key or plain for key, i, plain in STEP.findall(full(path))]
        place = job
        for step in steps[:-1]:
            place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
        if value is None:
            del place[steps[-1]]
        elif isinstance(place, list) and steps[-1] == len(place):
            place.append(value)
        else:
            place[steps[-1]] = value
    return json.loads(json.dumps(job))


class Case:
    """One edit of the base job, with what surrounds it and what is to be found."""

    def __init__(self, rule, said):
        said = dict(said)
        self.rule = rule
        self.subject = full(said.pop("at", ""))
        self.severity = said.pop("severity", None)
        facts = admit_facts(said.pop("facts", {}))
        security, claims = said.pop("pod_security", ""), tuple(said.pop("claims", {}).items())
        self.context = Context(VERSION, facts, pod_security=security, claims=claims)
        self.manifest = edited(said)

    def found(self):
        return [
            (RULES[d.code].name, str(d.severity), d.subject)
            for d in validate(LINT, self.manifest, self.context)
            if d.code != UNKNOWN_FACT and RULES[d.code].name == self.rule
        ]


def cases(verdict):
    return [
        pytest.param(Case(rule, said), id=f"{rule}-{i}")
        for rule, group in GROUPS.items()
        for i, said in enumerate(group[verdict])
    ]


@pytest.mark.parametrize("case", cases("refuses"))
def test_refuses(case):
    severity = case.severity or str(next(r.severity for r in LINT.rules if r.name == case.rule))

    assert case.found() == [(case.rule, severity, case.subject)]


@pytest.mark.parametrize("case", cases("accepts"))
def test_accepts(case):
    assert case.found() == []


def test_every_rule_has_cases():
    assert {r.name for r in LINT.rules} == GROUPS.keys()


def test_the_base_job_is_fine_but_for_what_nobody_has_said():
    found = validate(LINT, BASE, UNKNOWN)

    assert {d.code for d in found} == {UNKNOWN_FACT}
    assert all(d.subject.startswith("cluster.") for d in found)


def test_a_fact_that_is_lacking_is_told_once_with_the_rules_that_need_it():
    found = [d for d in validate(LINT, BASE, UNKNOWN) if d.subject == "cluster.pod_security"]

    assert [d.headline for d in found] == [
        "cluster.pod_security is not stated, so pod-security-violation could not be judged"
    ]


def test_twins_are_rules():
    assert {twin for r in all_rules().values() for twin in r.twins} <= all_rules().keys()


def test_accepting_the_configurations_rule_accepts_its_twin():
    job = edited({"main.env[1]": {"name": "GIT_SSL_NO_VERIFY", "value": "true"}})
    found = validate(LINT, job, UNKNOWN)

    assert "FT469" in {d.code for d in found}
    assert "FT469" not in {d.code for d in unreported(found, {"FT262"})}


def test_a_large_manifest():
    large, too_large = (edited({"main.env[1]": {"name": "A", "value": "x" * size}}) for size in (250_000, 1_500_000))

    told = [d for job in (large, too_large) for d in validate(LINT, job, UNKNOWN) if d.code == "FT495"]

    assert [str(d.severity) for d in told] == ["warning", "error"]


def test_each_claim_with_the_name_of_a_pods_own_is_told():
    volume = {"name": "work", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
    claims = tuple((f"sft-train-{number}-work", {}) for number in (1, 0, 2))
    found = validate(LINT, edited({"pod.volumes[2]": volume}), Context(VERSION, claims=claims))
    told = [d.headline for d in found if "would be called" in d.headline]
    assert [headline.split()[7].rstrip(",") for headline in told] == ["sft-train-1-work", "sft-train-0-work"]


FILES = (
    (
        "scripts",
        {"train.sh": 'echo "[ $RANK ] && lock"\nexec "$@"\n', "mpi.sh": 'exec "$@"\n', "plain.sh": "echo hello\n"},
    ),
    ("settings", {"ds.json": "{}"}),
)


def told_of_files(**edits):
    """Return what is found of a job that mounts the files, but for facts that are not known: code and subject."""
    job = edited(
        {
            "pod.volumes[2]": {"name": "scripts", "configMap": {"name": "scripts"}},
            "pod.volumes[3]": {"name": "settings", "configMap": {"name": "settings"}},
            "main.volumeMounts[2]": {"name": "scripts", "mountPath": "/opt/run"},
            "main.volumeMounts[3]": {"name": "settings", "mountPath": "/etc/settings"},
            **edits,
        }
    )
    found = validate(LINT, job, Context(VERSION, config_maps=FILES))
    return [(d.code, d.subject) for d in found if d.code != UNKNOWN_FACT]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["torchrun", "--nproc_per_node=8", "train.py"], "FT391"),
        (["deepspeed", "--num_gpus=8", "train.py"], "FT391"),
        (["bash", "-c", "echo $VC_WORKER_HOSTS"], "FT457"),
        (["bash", "-c", "git push"], "FT463"),
        (["bash", "-c", "echo deepspeed: ds-z3.json"], "FT465"),
        (["echo", "overwrite_output_dir: true"], "FT466"),
        (["bash", "-c", "rm -rf /mnt/models/a"], "FT468"),
        (["curl", "-k", "https://a"], "FT469"),
    ],
)
def test_the_words_that_a_mounted_script_runs_are_read(words, code):
    """What the script itself asks or locks does not guard them."""
    script = "main.command[1]" if code in {"FT465", "FT466", "FT469"} else "main.args"

    for before in ([], ["bash", "/opt/run/mpi.sh"]):
        found = told_of_files(**{"main.command": ["bash", "/opt/run/train.sh"], "main.args": [*before, *words]})
        assert found == [(code, full(script))]
    assert told_of_files(**{"main.command": ["bash", "/opt/run/plain.sh"], "main.args": words}) == []


@pytest.mark.parametrize(
    "options",
    [["-c"], ["-euo", "pipefail", "-c"], ["-o", "pipefail", "-ec"], ["-c", "-e"], ["--norc", "-ceuo", "pipefail"]],
)
def test_the_script_of_a_shell_follows_its_options(options):
    words = ["bash", *options, "torchrun --nproc_per_node=8 train.py"]

    assert told_of_files(**{"main.command": words}) == [("FT391", full(f"main.command[{len(options) + 1}]"))]


def test_a_variable_that_is_made_of_itself_does_not_grow_without_end():
    doubled = "; ".join(["A=/mnt/models/b"] + ["A=$A$A"] * 200 + ["rm -rf $A"])

    assert told_of_files(script=doubled) == [("FT468", full("script"))]


def test_a_variable_of_kubernetes_is_for_the_words_of_a_script():
    words = {"main.args": ["python", "train.py", "$(NCCL_SOCKET_IFNAME)"]}

    assert told_of_files(**{"main.command": ["bash", "/opt/run/train.sh"], **words}) == []


@pytest.mark.parametrize(
    ("file", "codes"), [("/etc/settings/ds.json", []), ("/etc/settings/ds2.json", ["FT465"]), ("ds2.json", ["FT465"])]
)
def test_a_config_map_has_the_files_that_it_has(file, codes):
    edits = {"main.workingDir": "/etc/settings", "script": f"echo deepspeed: {file}"}

    assert [code for code, _ in told_of_files(**edits)] == codes


LONGEST = 2**17 - 1
"""Bytes of the longest word that Linux starts a program with; tried below."""


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("main.command[2]", "x" * LONGEST),
        ("main.args[0]", "é" * (LONGEST // 2) + "x"),
        ("init.command[2]", "$(A)" * 10_000 + "x" * LONGEST),
    ],
)
def test_a_word_that_linux_starts_nothing_with(path, word):
    edit = {path.partition("[")[0]: ["a"] * int(path[-2]) + [word]}
    assert "FT395" not in [d.code for d in validate(LINT, edited(edit), UNKNOWN)]
    edit = {path.partition("[")[0]: ["a"] * int(path[-2]) + [word + "x"]}
    (found,) = [d for d in validate(LINT, edited(edit), UNKNOWN) if d.code == "FT395"]
    assert (found.subject, found.severity) == (full(path), "error")


def test_a_variable_counts_with_its_name():
    value = "x" * (LONGEST - len("NAME="))
    for name, expected in (("NAME", []), ("NAMES", [full("main.env[1].value")])):
        job = edited({"main.env[1]": {"name": name, "value": value}})
        assert [d.subject for d in validate(LINT, job, UNKNOWN) if d.code == "FT395"] == expected


def test_linux_starts_nothing_with_one_byte_more():
    subprocess.run(["/bin/true", "x" * LONGEST], env={"NAME": "x" * (LONGEST - len("NAME="))}, check=True)
    with pytest.raises(OSError, match="too long"):
        subprocess.run(["/bin/true", "x" * (LONGEST + 1)], check=False)
    with pytest.raises(OSError, match="too long"):
        subprocess.run(["/bin/true"], env={"NAMES": "x" * (LONGEST - len("NAME="))}, check=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
EVERYTHING = admit_facts(
    {
        "card": {"per_node": 8, "memory": "80Gi"},
        "ascend_form": "910b-8",
        "mindcluster_plugin": True,
        "ascend_default_runtime": False,
        "storage_classes": {"local": {"provisioner": "topolvm.io"}},
        "runtime_classes": [],
        "taints": ["nvidia.com/gpu"],
    }
)
KNOWN = Context(VERSION, EVERYTHING, pod_security="restricted")


def paths(value, path=()):
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from paths(part, (*path, key))


@given(data=st.data())
def test_rules_are_total(data):
    """Any value anywhere in a job is judged without an exception: wrong shapes are the schema's business."""
    job = copy.deepcopy(BASE)
    *inner, last = data.draw(st.sampled_from(sorted((p for p in paths(BASE) if p), key=str)))
    place = job
    for step in inner:
        place = place[step]
    place[last] = data.draw(JSON)

    for context in (UNKNOWN, KNOWN):
        assert all(d.subject is not None for d in validate(LINT, job, context))


@given(JSON)
def test_rules_are_total_on_anything(manifest):
    for scope in (LINT, CLAIM_LINT):
        validate(scope, {"spec": manifest}, KNOWN)
