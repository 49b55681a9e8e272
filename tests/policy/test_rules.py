"""A site's own rules are ordinary rules: in every verb that judges, with the places of both the fault and the rule."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.policy.conftest import IMAGES, RATE, SOUND

from ftgen import cli

JOB = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": {"name": "a", "namespace": "b"}}


def places(finding):
    return [f"{Path(place['file']).name}:{place['line']}" for place in finding["locations"]]


@pytest.mark.parametrize("verb", ["render", "plan", "diff", "preview"])
def test_a_render_that_a_rule_refuses_writes_nothing(site, told, verb):
    site(own=IMAGES)
    code, [found] = told(verb, *SOUND, "hardware.image=docker.io/a:1")
    assert (code, found["code"], found["severity"]) == (1, "FT786", "error")
    assert found["headline"] == "images-from-our-registry: every image comes from registry.example"
    assert found["subject"] == "spec.tasks[0].template.spec.containers[0].image"
    assert (found["value"], found["help"]) == ("docker.io/a:1", "set cluster.registry=registry.example")
    assert places(found) == ["<command line>:5", "own.yaml:2"]
    assert not Path("out").exists()


def test_what_a_rule_accepts_is_rendered_and_checked(site, told):
    site(own=IMAGES)
    assert told(*SOUND, "-q") == (0, [])
    assert told("check", "out") == (0, [])


def test_publish_refuses_too(site, told, tmp_path):
    site(own=IMAGES)
    for words in (
        ["init", "-q", "-b", "main"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "a"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    code, found = told("publish", "--repo", ".", "--branch", "main", *SOUND, "hardware.image=docker.io/a:1")
    assert (code, [d["code"] for d in found]) == (1, ["FT786"])


def test_a_rule_over_the_configuration_names_the_key_and_its_line(site, told):
    site(own=RATE)
    code, [found] = told(*SOUND, "trainer.lr=0.01", "-q")
    assert (code, found["severity"], found["subject"]) == (0, "warning", "trainer.lr")
    assert found["headline"] == "no-high-rate: the rate 0.01 is above 0.001"
    assert places(found) == ["<command line>:5", "own.yaml:2"]
    code, [found] = told(*SOUND, "trainer.lr=0.01", "-q", "--strict")
    assert (code, found["severity"]) == (1, "error")


LORA = RATE + "    when: config.trainer.args.finetuning_type == 'lora'\n"


def test_what_when_asks_is_not_to_blame(site, told):
    site(own=LORA)
    _, [found] = told(*SOUND, "trainer.lr=0.01", "-q")
    assert places(found) == ["<command line>:5", "own.yaml:2"]


def test_what_cannot_be_evaluated_of_when_is_to_blame(site, told):
    site(own=RATE + "    when: config.trainer.nothing == 'lora'\n")
    _, [found] = told(*SOUND, "trainer.lr=0.01", "-q")
    assert found["subject"] == "trainer"


def test_in_a_sweep_a_rule_is_named_once(site, told):
    site(own=LORA)
    _, found = told("-m", *SOUND, "trainer.lr=0.01,0.02", "-q")
    assert [places(each) for each in found] == [["<command line>:5", "own.yaml:2"]] * 2


def manifest(tmp_path, *images):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    tasks = [{"name": "worker", "replicas": 1, "template": {"spec": {"containers": containers}}}]
    Path("job.json").write_text(json.dumps(JOB | {"spec": {"tasks": tasks}}, indent=1))
    return "job.json"


def test_a_manifest_of_others_is_judged_at_the_item_that_is_to_blame(site, told, tmp_path):
    site(own=IMAGES)
    code, [found] = told("check", manifest(tmp_path, "registry.example/a:1", "docker.io/b:1"))
    assert (code, found["subject"]) == (1, "spec.tasks[0].template.spec.containers[1].image")
    assert found["locations"][0]["file"] == "job.json"
    assert "docker.io" in Path("job.json").read_text().splitlines()[found["locations"][0]["line"] - 1]
    assert places(found)[1] == "own.yaml:2"


@pytest.mark.parametrize("form", ["github", "sarif"])
def test_every_form_names_both_places(site, capsys, tmp_path, form):
    site(own=IMAGES)
    assert cli.main(["check", manifest(tmp_path, "docker.io/b:1"), "--format", form]) == 1
    out = capsys.readouterr().out
    assert "FT786" in out
    assert "images-from-our-registry" in out
    assert form == "github" or "rules/own.yaml" in out


def test_an_expression_without_a_value_refuses_as_on_the_api_server(site, told, tmp_path):
    site(own=IMAGES.replace("object.spec.tasks.all", "object.metadata.labels.team == 'a' && object.spec.tasks.all"))
    code, [found] = told("check", manifest(tmp_path, "registry.example/a:1"))
    assert (code, found["severity"]) == (1, "error")
    assert found["headline"] == 'images-from-our-registry: it cannot be evaluated: Key not found in map : "labels"'
    assert found["subject"] == "metadata"


def test_when_says_what_a_rule_applies_to(site, told, tmp_path):
    site(own=IMAGES + "    when: object.metadata.name != 'a'\n")
    assert told("check", manifest(tmp_path, "docker.io/b:1")) == (0, [])


def test_no_one_accepts_an_error_of_the_site(site, told):
    site(own=IMAGES)
    code, found = told(*SOUND, "hardware.image=docker.io/a:1", "allow.FT786=no")
    assert code == 1
    assert found == [] or found[0]["code"] == "FT786"


def test_a_kind_that_is_not_rendered_is_judged_by_check_only(site, told):
    site(
        own=IMAGES.replace("VolcanoJob", "ConfigMap").replace(
            "object.spec.tasks.all", "has(object.spec) && object.spec.tasks.all"
        )
    )
    code, found = told(*SOUND, "-q")
    assert (code, {d["subject"] for d in found}) == (1, {""})


def test_rules_lie_beside_an_overlay_pack(site, told, tmp_path):
    site()
    (tmp_path / "pack" / "overlays").mkdir(parents=True)
    (tmp_path / "pack" / "rules").mkdir()
    (tmp_path / "pack" / "rules" / "a.yaml").write_text(IMAGES)
    code, [found] = told(*SOUND, "hardware.image=docker.io/a:1", "overlays=[pack/overlays]")
    assert (code, places(found)[1]) == (1, "a.yaml:2")


def test_a_sweep_has_the_findings_of_its_jobs(site, told):
    site(own=RATE)
    code, found = told("-m", *SOUND, f"trainer.lr={','.join(['1e-4'] * 1 + [f'{n}e-4' for n in range(2, 14)])}", "-q")
    assert code == 0
    assert {d["headline"].partition(" (in ")[0] for d in found} == {
        f"no-high-rate: the rate {n} is above 0.001" for n in (0.0011, 0.0012, 0.0013)
    }


def test_a_sweep_compiles_each_expression_once(site, monkeypatch):
    from ftgen.validation import cel

    texts = []
    plain = cel.Expression.__init__
    monkeypatch.setattr(
        cel.Expression, "__init__", lambda self, text, *rest: (texts.append(text), plain(self, text, *rest))[1]
    )
    site(own=RATE, images=IMAGES)
    assert cli.main(["-m", *SOUND, "trainer.lr=1e-4,2e-4,3e-4", "-q"]) == 0
    assert len(texts) == len(set(texts)) == 3


def test_a_rule_reads_only_what_it_names(site):
    from ftgen.validation.site import folders, load

    folder = site(own=IMAGES, rate=RATE)
    [images, rate] = load(folders(folder.parent)).rules
    assert (images.reads, rate.reads) == ({"spec": {"tasks": {}}}, {"trainer": {"lr": {}}})


def test_a_site_without_rules_imports_no_cel(tmp_path):
    code = (
        "import sys; from ftgen import cli; cli.main(['-q']);"
        "sys.exit(str([m for m in sys.modules if 'cel' in m.split('.') or 'cel_expr_python' in m] or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr.strip() == ""


def test_a_site_with_rules_is_told_of_the_missing_library(site, told, monkeypatch):
    site(own=IMAGES)
    import ftgen.validation

    monkeypatch.delattr(ftgen.validation, "cel", raising=False)
    monkeypatch.setitem(sys.modules, "ftgen.validation.cel", None)
    code, [found] = told(*SOUND)
    assert (code, found["code"], found["help"]) == (1, "FT787", "install it: pip install 'ftgen[rules]'")


def test_a_service_is_judged_too(site, told):
    head, _, tail = IMAGES.partition("object.spec.tasks.all(t, t")
    site(own=(head + "object.spec" + tail.replace("/')))", "/'))")).replace("VolcanoJob", "Deployment"))
    assert told(*SOUND, "model.output_url=https://git.example.com/a/b.git", "-q")[0] == 0
    job = next(Path("out").rglob("job-*.yaml"))
    code, found = told("serve", str(job), "serving=deployment", "serving.image=docker.io/a:1")
    assert (code, [d["code"] for d in found]) == (1, ["FT786"])
