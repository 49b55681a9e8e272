"""`ftgen export policy`: one policy and one binding for each rule that can be any, and a note for each that cannot."""

from pathlib import Path

import pytest
from tests.policy.conftest import IMAGES, RATE

from ftgen import cli, schema
from ftgen.text import yamlio
from ftgen.validation.rules import all_rules

POLICY, BINDING = "validatingadmissionpolicy", "validatingadmissionpolicybinding"


def exported(kind, name, folder="policy"):
    return yamlio.read(Path(folder, f"{kind}-{name}.yaml"))


def test_a_rule_becomes_a_policy_of_the_chosen_namespace(site, told):
    said = "    messageExpression: >-\n      'no ' + object.metadata.name\n"
    site(own=f"{IMAGES}    when: object.metadata.name != 'a'\n{said}")
    assert told("export", "policy", "cluster.namespace=lab", "-q") == (0, [])
    policy, binding = (exported(kind, "images-from-our-registry") for kind in (POLICY, BINDING))
    [rule] = policy["spec"]["matchConstraints"]["resourceRules"]
    assert (rule["apiGroups"], rule["apiVersions"], rule["resources"]) == (["batch.volcano.sh"], ["v1alpha1"], ["jobs"])
    conditions = {each["name"]: each["expression"] for each in policy["spec"]["matchConditions"]}
    assert conditions["when"] == "object.metadata.name != 'a'"
    [validation] = policy["spec"]["validations"]
    assert validation["expression"].startswith("object.spec.tasks.all(")
    assert validation["message"] == "images-from-our-registry: every image comes from registry.example"
    assert validation["messageExpression"] == "\"images-from-our-registry: \" + ('no ' + object.metadata.name)"
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert binding["spec"]["validationActions"] == ["Deny"]
    selector = binding["spec"]["matchResources"]["namespaceSelector"]
    assert selector == {"matchLabels": {"kubernetes.io/metadata.name": "lab"}}


def test_the_rules_of_an_overlay_pack_are_exported(site, tmp_path):
    site()
    for name in ("overlays", "rules"):
        (tmp_path / "pack" / name).mkdir(parents=True)
    (tmp_path / "pack" / "rules" / "a.yaml").write_text(IMAGES)
    assert cli.main(["export", "policy", "-q", "overlays=[pack/overlays]"]) == 0
    assert exported(POLICY, "images-from-our-registry")


def test_a_warning_warns(site):
    site(own=IMAGES + "    severity: warning\n")
    assert cli.main(["export", "policy", "-q", "-o", "p"]) == 0
    assert exported(BINDING, "images-from-our-registry", "p")["spec"]["validationActions"] == ["Warn"]


VOLUMES = """\
rules:
  - name: volumes-are-kept
    match: PersistentVolume
    expression: object.spec.persistentVolumeReclaimPolicy == 'Retain'
    message: a volume is kept
"""


def test_a_rule_over_what_is_in_no_namespace_is_said_to_hold_everywhere(site, told):
    site(own=VOLUMES)
    code, [found] = told("export", "policy", "-q")
    assert (code, found["code"], found["severity"]) == (0, "FT789", "warning")
    assert found["headline"].startswith("volumes-are-kept holds for every PersistentVolume of the cluster")
    assert (found["locations"][0]["file"], found["locations"][0]["line"]) == ("rules/own.yaml", 2)
    assert told("export", "policy", "-q", "allow.FT789=meant so", "-o", "p") == (0, [])


@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "Namespace"])
def test_what_a_selector_of_namespaces_bounds_is_not_warned_of(site, told, kind):
    site(own=VOLUMES.replace("PersistentVolume", kind).replace("object.spec", "object.metadata"))
    assert told("export", "policy", "-q") == (0, [])


def test_a_rule_over_the_configuration_is_said_to_be_no_policy(site, told):
    site(own=RATE)
    code, [found] = told("export", "policy", "-q")
    assert (code, found["code"], found["severity"]) == (0, "FT789", "note")
    assert found["headline"].startswith("no-high-rate is no policy: it reads the configuration")
    assert (found["locations"][0]["file"], found["locations"][0]["line"]) == ("rules/own.yaml", 2)
    assert not Path("policy", f"{POLICY}-no-high-rate.yaml").exists()


def test_every_rule_of_ftgen_with_cel_is_exported(site):
    site()
    assert cli.main(["export", "policy", "-q"]) == 0
    names = {f"ftgen-{rule.name}" for rule in all_rules().values() if rule.cel}
    assert len(names) > 5
    assert {path.name for path in Path("policy").iterdir()} == {
        f"{kind}-{name}.yaml" for kind in (POLICY, BINDING) for name in names
    }


@pytest.mark.parametrize("release", schema.KUBERNETES)
def test_a_policy_is_what_the_chosen_release_has(site, told, release):
    site(own=IMAGES)
    code, found = told("export", "policy", f"cluster.kubernetes_version='{release}'", "-q")
    if release in {"1.28", "1.29"}:
        assert (code, [d["code"] for d in found]) == (1, ["FT789"])
        assert not Path("policy").exists()
    else:
        assert (code, found) == (0, [])
        assert cli.main(["check", "--strict", "-q", "--kubernetes-version", release, "policy"]) == 0


@pytest.mark.parametrize("key", ["cluster.volcano_version", "cluster.kubernetes_version"])
def test_a_release_that_is_none_is_told(site, told, key):
    site()
    code, [found] = told("export", "policy", f"{key}=newer", "-q")
    assert (code, found["code"], found["subject"]) == (1, "FT789", key)


def test_an_export_is_the_same_bytes_and_replaces_nothing_unasked(site):
    site(own=IMAGES)
    assert cli.main(["export", "policy", "-q"]) == 0
    before = {path: path.read_bytes() for path in Path("policy").iterdir()}
    assert cli.main(["export", "policy", "-q"]) == 0
    assert {path: path.read_bytes() for path in Path("policy").iterdir()} == before
    site(own=IMAGES.replace("every image", "each image"))
    assert cli.main(["export", "policy", "-q"]) == 1
    assert cli.main(["export", "policy", "-q", "--overwrite"]) == 0


@pytest.mark.parametrize("words", [[], ["rules"], ["policy", "-o", "-"], ["policy", "-m"]])
def test_a_form_is_named(site, capsys, words):
    site()
    assert cli.main(["export", *words]) == 2
    assert "export" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "resource"),
    [("Job", "jobs"), ("NetworkPolicy", "networkpolicies"), ("Ingress", "ingresses"), ("Endpoints", "endpoints")],
)
def test_a_kind_has_a_plural(kind, resource):
    from ftgen.interop.policy import plural

    assert plural(kind) == resource


def test_a_rule_that_holds_a_secret_is_no_policy(site, capsys):
    token = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
    site(own=IMAGES.replace("message: every", f"message: not {token} but every"))
    assert cli.main(["export", "policy", "-q"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("rules/own.yaml:2:5: error[FT441]: spec.validations[0].message holds a Hugging Face token")
    assert token not in said
    assert not Path("policy").exists()
    assert cli.main(["export", "policy", "-q", "allow.FT441=an example"]) == 0
    assert "warning[FT443]" in capsys.readouterr().err
