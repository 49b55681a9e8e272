import pytest

from ftgen.diagnostics import Severity
from ftgen.emulation.plugins import parse_flags
from ftgen.validation import RULES, Context, validate
from ftgen.validation.rules import AGREEMENT, all_rules

STAGE = "agreement"


def named(diagnostics):
    return [(RULES[found.code].name, found.subject) for found in diagnostics]


def test_accepts(accepts):
    assert validate(AGREEMENT, accepts.manifest, Context(accepts.version)) == []


def test_refuses(refuses):
    found = validate(AGREEMENT, refuses.manifest, Context(refuses.version))

    assert named(found) == [(refuses.rule, refuses.subject)]


def test_every_rule_has_cases(rules_with_cases):
    assert rules_with_cases == {r.name for r in AGREEMENT.rules}
    numbered = {r.name for r in all_rules().values() if "FT410" <= r.code <= "FT431" or r.code in ("FT397", "FT398")}
    assert numbered == rules_with_cases


def test_a_null_plugin_is_said_to_vanish(base_job):
    base_job["spec"]["plugins"]["svc"] = None

    assert named(validate(AGREEMENT, base_job, Context((1, 12, 4)))) == [("vanishing-plugin", "spec.plugins.svc")]


@pytest.mark.parametrize(("release", "codes"), [("", ["FT411"]), ("1.35", ["FT411"]), ("v1.36.1", []), ("1.37", [])])
def test_a_service_may_begin_with_a_digit_from_1_36_on(base_job, release, codes):
    base_job["metadata"]["name"] = "7b-lora"
    found = validate(AGREEMENT, base_job, Context((1, 15, 1), kubernetes_version=release))

    assert [d.code for d in found] == codes


def test_a_port_of_endless_digits_is_none(base_job):
    base_job["spec"]["plugins"] = {"pytorch": ["--master=train", f"--port={'9' * 5000}"]}
    base_job["spec"]["tasks"][0] |= {"replicas": 1, "minAvailable": 1}

    assert "FT419" in {d.code for d in validate(AGREEMENT, base_job, Context((1, 15, 1)))}


def test_a_service_has_no_dot_in_its_name(base_job):
    base_job["metadata"]["name"], base_job["spec"]["volumes"] = "qwen2.5", []
    found = validate(AGREEMENT, base_job, Context((1, 15, 1), kubernetes_version="1.37"))

    assert [d.code for d in found] == ["FT411"]


def test_what_only_may_go_wrong_is_a_warning():
    warnings = {r.name for r in all_rules().values() if r.severity is Severity.WARNING and "FT410" <= r.code <= "FT431"}

    assert warnings == {
        "pending-without-timeout",
        "restart-without-retry",
        "unguarded-namespace",
        "volume-without-source",
    }


@pytest.mark.parametrize(("field", "severity"), [("hostname", "error"), ("subdomain", "warning")])
def test_somebody_else_may_have_made_a_service_for_a_subdomain(base_job, field, severity):
    base_job["spec"]["tasks"][0]["template"]["spec"][field] = "train-hosts"
    (found,) = validate(AGREEMENT, base_job, Context((1, 15, 1)))

    assert (found.code, str(found.severity)) == ("FT430", severity)


@pytest.mark.parametrize(
    ("arguments", "values", "stopped_at"),
    [
        (("--master=a", "--worker=b"), {"master": "a", "worker": "b"}, None),
        (("-master", "a", "--port", "1"), {"master": "a", "port": "1"}, None),
        (("--master=a=b",), {"master": "a=b"}, None),
        (("--master=",), {"master": ""}, None),
        (("--master", "--worker=b"), {"master": "--worker=b"}, None),
        (("--port=0b11", "--port=-0o17", "--port=1_000"), {"port": "1_000"}, None),
        (("--port=1__0",), {}, 0),
        ((f"--port={2**63}",), {}, 0),
        ((f"--port={2**63 - 1}",), {"port": str(2**63 - 1)}, None),
        ((f"--port={'9' * 5000}",), {}, 0),
        (("--master=a", "b", "--worker=c"), {"master": "a"}, 1),
        (("--master=a", "-", "--worker=c"), {"master": "a"}, 1),
        (("-=a",), {}, 0),
        (("--port=",), {}, 0),
    ],
)
def test_arguments_are_read_as_go_reads_flags(arguments, values, stopped_at):
    parsed = parse_flags("pytorch", arguments, (1, 12, 4))

    assert (dict(parsed.values), parsed.stopped_at) == (values, stopped_at)
