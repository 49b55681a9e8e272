"""`ftgen check rules/` asks each rule about its samples."""

from tests.policy.conftest import IMAGES, RATE

SAMPLES = """\
    tests:
      accepted:
        - cluster.registry=registry.example
        - spec: {tasks: []}
      refused:
        - hardware.image=docker.io/a:1
        - spec: {tasks: [{template: {spec: {containers: [{image: docker.io/a}]}}}]}
"""


def test_sound_samples_say_nothing(site, told):
    site(
        own=IMAGES + SAMPLES,
        rate=RATE
        + "    tests: {accepted: [{trainer: {lr: 1}}], refused: ['trainer.lr=1']}\n".replace("lr: 1", "lr: 0"),
    )
    assert told("check", "rules", "--strict") == (0, [])


def test_a_rule_that_no_sample_refuses_is_told(site, told):
    site(own=IMAGES)
    code, [found] = told("check", "rules")
    assert (code, found["code"], found["severity"]) == (0, "FT788", "warning")
    assert found["headline"] == "no sample shows that images-from-our-registry ever refuses anything"
    assert told("check", "rules", "--strict")[0] == 1


def wrong(site, told, accepted="[]", refused="[]"):
    site(own=IMAGES + f"    tests: {{accepted: {accepted}, refused: {refused}}}\n")
    code, found = told("check", "rules/own.yaml")
    assert code == 1
    [error] = [d for d in found if d["severity"] == "error"]
    assert [place["line"] for place in error["locations"]] == [7, 2]
    return error["headline"].partition(": ")[2]


def test_another_verdict_is_told(site, told):
    assert wrong(site, told, refused="[{spec: {tasks: []}}]") == "the sample is accepted, and refused was expected"
    assert wrong(site, told, accepted="['hardware.image=a']") == "the sample is refused, and accepted was expected"


def test_a_sample_that_cannot_be_judged_is_told(site, told):
    assert wrong(site, told, refused="[{spec: {}}]").startswith("for the sample, it cannot be evaluated")
    assert wrong(site, told, refused="['hardware=none']").startswith("the sample cannot be rendered")
    assert wrong(site, told, refused="['trainer.lr=-1']").startswith("the sample cannot be rendered")
    assert wrong(site, told, refused='["\'"]').startswith("the sample is no command line")
    assert wrong(site, told, refused="['target=job']") == "the sample renders no VolcanoJob"
