"""What a newer Volcano takes: said beside each error, and no error where nobody has said which release there is."""

import pytest

from ftgen.diagnostics import Severity
from ftgen.text import yamlio
from ftgen.validation import check
from ftgen.validation.options import CheckOptions

JOB = """\
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
metadata: {name: sft, namespace: research}
spec:
  minAvailable: 2
  schedulerName: volcano
  queue: %(queue)s
  maxRetry: 3
  plugins: %(plugins)s
  tasks:
  - name: train
    replicas: 2
    minAvailable: 2
    maxRetry: 3
    policies: [{event: PodFailed, action: %(action)s}]
    %(extra)s
    template:
      spec: {restartPolicy: Never, containers: [{name: train, image: "registry.example.com/train:1"}]}
"""
PLAIN = {"queue": "research", "plugins": "{svc: []}", "action": "RestartJob", "extra": ""}
PARTITIONS = "partitionPolicy: {totalPartitions: 1, partitionSize: 2, minPartitions: 1}"
NEWER = {
    "a field": ({"extra": PARTITIONS}, "FT301", "1.14"),
    "a plugin": ({"plugins": "{ray: [--head=train]}"}, "FT323", "1.13"),
    "an action": ({"action": "RestartPartition"}, "FT319", "1.14"),
    "a plugin's task": ({"plugins": "{mpi: [--master=train]}"}, "FT324", "1.15"),
}


def told(text, options):
    return [d for d in check.check(text, "job.yaml", options).diagnostics if d.severity is not Severity.NOTE]


def job(**said):
    return JOB % {**PLAIN, **said}


@pytest.mark.parametrize(("said", "code", "release"), NEWER.values(), ids=NEWER)
def test_what_a_newer_release_takes(said, code, release):
    [stated] = [d for d in told(job(**said), CheckOptions("1.12")) if d.code == code]
    [assumed] = [d for d in told(job(**said), CheckOptions("1.12", assumed=True)) if d.code == code]

    assert (stated.severity, assumed.severity) == (Severity.ERROR, Severity.WARNING)
    assert f"Volcano {release}" in stated.help
    assert stated.help == assumed.help
    assert not [d for d in told(job(**said), CheckOptions(release)) if d.severity is Severity.ERROR]


def test_rules_are_asked_of_what_a_newer_schema_takes():
    wrong = job(extra=PARTITIONS, action="Restart")

    found = {(d.code, str(d.severity)) for d in told(wrong, CheckOptions("1.12", assumed=True))}

    assert {("FT301", "warning"), ("FT319", "error")} <= found


def test_what_no_release_takes_stays_an_error():
    [found] = [d for d in told(job(extra="partition: 2"), CheckOptions("1.12", assumed=True)) if d.code == "FT301"]

    assert found.severity is Severity.ERROR
    assert "takes it" not in found.help


def test_empty_values_are_filled_in_before_the_schema_is_asked():
    assert not [d for d in told(job(queue='""'), CheckOptions("newest")) if d.severity is Severity.ERROR]
    assert [d.code for d in told(job(queue="Research"), CheckOptions("newest")) if d.severity is Severity.ERROR] == [
        "FT303"
    ]


@pytest.mark.parametrize(("release", "cure"), [("1.14.0", "1.14.4"), ("1.15.0", "1.15.1")])
def test_what_a_patch_takes_is_told_by_its_number(release, cure):
    without_least = job(extra="partitionPolicy: {totalPartitions: 1, partitionSize: 2}")
    [found] = [d for d in told(without_least, CheckOptions(release)) if d.code == "FT330"]

    assert found.help == f"Volcano {cure} takes it"
    assert "FT330" not in {d.code for d in told(without_least, CheckOptions(cure))}


def test_fractions_are_text_where_the_webhook_writes_the_tasks():
    fraction = job().replace('train:1"}', 'train:1", resources: {limits: {cpu: 1.5, memory: 1Gi}}}')
    rewritten = fraction.replace("    maxRetry: 3\n", "")

    assert [d.code for d in told(fraction, CheckOptions("newest"))] == ["FT302"]
    assert {d.code for d in told(rewritten, CheckOptions("newest"))} == {"FT459", "FT494"}
    assert "FT302" in {d.code for d in told(rewritten.replace("1Gi", "[1Gi]"), CheckOptions("newest"))}


def test_a_flag_at_the_end_that_is_not_known_yet_is_a_warning():
    flags = '{svc: ["--disable-network-policy=true", "--inject-hosts-env=false"]}'
    [found] = [d for d in told(job(plugins=flags), CheckOptions("newest")) if d.code == "FT419"]
    assert found.severity is Severity.WARNING
    lost = '{svc: ["--inject-hosts-env=false", "--disable-network-policy=true"]}'
    [found] = [d for d in told(job(plugins=lost), CheckOptions("newest")) if d.code == "FT419"]
    assert (found.severity, found.help.rpartition("; ")[2]) == (Severity.ERROR, "Volcano 1.16 takes it")


def test_nobody_can_accept_what_admission_denies():
    twins = yamlio.parse(job(), "job.yaml")
    twins["spec"]["tasks"] *= 2
    accepting = CheckOptions(accepted=frozenset({"FT312", "FT494"}))

    assert [d.code for d in told(yamlio.dump(twins), accepting)] == ["FT312"]
