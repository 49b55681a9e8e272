from ftgen.validation import RULES
from ftgen.validation.rules import ADMISSION
from ftgen.validation.rules.admission import admit_create

STAGE = "pod"


def named(diagnostics):
    return [(RULES[found.code].name, found.subject) for found in diagnostics]


def test_accepts(accepts):
    assert admit_create(accepts.manifest, volcano_version=accepts.version) == []


def test_refuses(refuses):
    found = admit_create(refuses.manifest, volcano_version=refuses.version)

    assert named(found) == [(refuses.rule, refuses.subject)]


def test_every_rule_has_cases(rules_with_cases):
    assert rules_with_cases == {rule.name for rule in ADMISSION.rules if rule.code >= "FT340"}


def test_annotations_may_have_256_kibibytes_together(base_job):
    base_job["metadata"]["annotations"] = {"a": "x" * (256 * 1024 - 2), "b": ""}
    assert admit_create(base_job, volcano_version=(1, 12, 4)) == []

    base_job["metadata"]["annotations"]["b"] = "é"
    assert named(admit_create(base_job, volcano_version=(1, 12, 4))) == [("bad-annotation", "metadata.annotations")]
