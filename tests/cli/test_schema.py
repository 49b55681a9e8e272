"""`ftgen schema`: what editors know of conf/, and what a cluster says of its own kinds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ftgen import cli, runtime, schema
from ftgen.cli.schema import documented, of_file
from ftgen.config import catalog
from ftgen.config.compose import Request, compose
from ftgen.text import yamlio

OPTIONS = {**catalog.groups([runtime.conf_dir()]), **catalog.nested_groups([runtime.conf_dir()])}
FILES = sorted(str(file.relative_to(runtime.conf_dir())) for file in runtime.conf_dir().rglob("*.yaml"))


def problems(group: str, value: Any) -> list[str]:
    made = of_file(group, OPTIONS, catalog.packages([runtime.conf_dir()], group) if group else ())
    return [problem.message for problem in Draft202012Validator(made).iter_errors(value)]


def objects(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, dict):
        own = [part] if "properties" in part else []
        return own + [o for inner in part.values() for o in objects(inner)]
    return [o for inner in part for o in objects(inner)] if isinstance(part, list) else []


def test_the_packaged_schema_is_the_specification_s(*, update_golden: bool) -> None:
    """Completion reads it; editors may point at it."""
    file = runtime.schemas_dir() / "config.json"
    if update_golden:
        file.write_text(schema.dump(documented()), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == schema.dump(documented())


@pytest.mark.parametrize("group", ["", *OPTIONS])
def test_it_is_a_draft_2020_12_schema(group: str) -> None:
    made = of_file(group, OPTIONS)
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(made)


def test_every_key_is_described() -> None:
    for section in objects(documented()):
        assert section["description"]
        for name, field in section["properties"].items():
            assert field.get("description"), (section.get("description"), name)


@pytest.mark.parametrize("file", FILES)
def test_every_packaged_file_fits(file: str) -> None:
    group = str(Path(file).parent).removeprefix(".")
    path = runtime.conf_dir() / file
    assert problems(group, yamlio.read(path) or {}) == []


def test_a_resolved_configuration_fits_the_whole() -> None:
    assert list(Draft202012Validator(documented()).iter_errors(compose(Request()).config)) == []


@pytest.mark.parametrize(
    ("group", "value"),
    [
        ("", {"job": {"restart": 1}}),
        ("", {"defaults": [{"hardware": "asend"}]}),
        ("", {"defaults": [{"override /hardware": "asend"}]}),
        ("", {"nonsense": 1}),
        ("", {"defaults": [{"overide /hardware": "ascend"}]}),
        ("hardware", {"defaults": [{"/nope": "ascend"}]}),
        ("hardware", {"defaults": ["_self"]}),
        ("cluster/base", {"nonsense": 1}),
        ("hardware/driver", {"nonsense": 1}),
        ("hardware", {"nodes": -1}),
        ("hardware", {"nodes": "two"}),
        ("hardware", {"card": {"bf16": "yes"}}),
        ("trainer", {"precision": "bf15"}),
        ("trainer", {"lrr": 1}),
        ("delivery", {"reconciler": "argo"}),
        ("cluster", {"labels": {"a": []}}),
        ("experiment", {"trainer": {"lr": []}}),
    ],
)
def test_what_the_specification_refuses_is_refused(group: str, value: Any) -> None:
    assert problems(group, value)


@pytest.mark.parametrize(
    ("group", "value"),
    [
        ("", {"defaults": [{"override /hardware": "ascend"}, {"model": "???"}, "_self_"], "job": {"restarts": 0}}),
        ("", {"hydra": {"sweeper": {"params": {"trainer.lr": "1e-4,2e-4"}}}}),
        ("hardware", {"nodes": "${oc.env:NODES}", "memory": None, "image": "???"}),
        ("hardware", {"memory": 8}),
        ("trainer", {"command": ["python", "-m", "x"]}),
        ("", {"defaults": [{"override hydra/launcher": "basic"}, {"optional mine": "x"}, "common"]}),
        ("trainer", {"args": {"anything": ["goes"]}}),
        ("cluster", {"labels": {"a": 1, "b": "${name}"}}),
        ("model", {"defaults": ["qwen3-8b@_here_", "_self_"], "revision": 1234567}),
    ],
)
def test_parts_and_interpolations_are_allowed(group: str, value: Any) -> None:
    assert problems(group, value) == []


def test_groups_of_ones_own_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conf/hardware").mkdir(parents=True)
    (tmp_path / "conf/hardware/ours.yaml").write_text("# Ours.\n{}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["schema"]) == 0
    assert '"ours"' in capsys.readouterr().out


def test_an_unknown_group_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema", "hardwar"]) == 1
    assert "did you mean hardware?" in capsys.readouterr().err


# --- a cluster's own resources -------------------------------------------------------------------------

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: jobs.batch.volcano.sh}
spec:
  group: batch.volcano.sh
  names: {kind: Job}
  versions:
  - name: v1alpha1
    served: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              minAvailable: {type: integer, format: int32, maximum: 1}
              tasks: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true}}
            x-kubernetes-preserve-unknown-fields: true
"""


@pytest.fixture
def crd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crd.yaml").write_text(CRD, encoding="utf-8")
    return tmp_path / "crd.yaml"


def test_an_imported_schema_decides_what_is_valid(crd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema", "import", "crd.yaml"]) == 0
    assert Path("schemas/batch.volcano.sh/job_v1alpha1.json").is_file()
    assert cli.main(["-q", "-o", "one"]) == 0
    capsys.readouterr()
    assert cli.main(["hardware=full-gpu", "hardware.nodes=2", "storage=nfs", "-o", "two"]) == 1
    assert "spec.minAvailable: 2 is above 1" in capsys.readouterr().err


def test_an_import_says_what_it_wrote(crd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema", "import", "crd.yaml", "--out", "there"]) == 0
    assert re.search(r"there/batch\.volcano\.sh/job_v1alpha1\.json", capsys.readouterr().err)
    closed = json.loads(Path("there/batch.volcano.sh/job_v1alpha1.json").read_text(encoding="utf-8"))
    assert schema.kind_of(closed) == ("batch.volcano.sh/v1alpha1", "Job")
    assert closed["additionalProperties"] is False


def test_a_list_of_resources_is_opened(crd: Path) -> None:
    items = json.dumps({"kind": "List", "items": [yamlio.parse(CRD, "crd"), {"kind": "Service"}]})
    crd.write_text(items, encoding="utf-8")
    assert cli.main(["schema", "import", "crd.yaml"]) == 0
    assert Path("schemas/batch.volcano.sh/job_v1alpha1.json").is_file()


@pytest.mark.parametrize(
    "text", ["", "a: 1\n", "kind: CustomResourceDefinition\n", "kind: CustomResourceDefinition\nspec: 3\n", "[]\n"]
)
def test_what_is_no_crd_is_rejected(text: str, crd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crd.write_text(text, encoding="utf-8")
    assert cli.main(["schema", "import", "crd.yaml"]) == 1
    assert "error[FT019]" in capsys.readouterr().err


@pytest.mark.parametrize(
    "part",
    [
        *("properties: []", "properties: {a: null}", "items: [{}]", "required: [1]", "required: 3", "allOf: {}"),
        *("anyOf: [x]", "not: 1", "additionalProperties: x", "format: [int32]", "minimum: a", "enum: 1"),
        *("{format: int32, minimum: []}", "pattern: {}", "x-kubernetes-list-type: []", "type: [string]"),
        *("x-kubernetes-list-map-keys: 1", "nullable: x", "x-kubernetes-patch-merge-key: []", "$ref: x"),
    ],
)
def test_a_schema_of_another_shape_is_rejected(part: str, crd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = yamlio.parse(CRD, "crd")
    fields = whole["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    fields["spec"]["properties"]["wrong"] = yamlio.parse(part, "part")
    crd.write_text(json.dumps(whole), encoding="utf-8")
    assert cli.main(["schema", "import", "crd.yaml"]) == 1
    err = capsys.readouterr().err
    assert "error[FT019]" in err
    assert ".properties.wrong" in err
    assert not Path("schemas").exists()


def test_a_bound_that_is_no_part_of_the_range_stays_one() -> None:
    assert schema.close({"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 9}) == {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 9,
    }


OWN = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: example.com
  names: {kind: Thing}
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, default: 3}
              plain: {type: object}
              when: {type: string, format: date-time}
            x-kubernetes-validations:
            - {rule: self.size < 10}
            - {rule: self.size > 1}
"""


def checked(spec: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    Path("thing.yaml").write_text(f"apiVersion: example.com/v1\nkind: Thing\nmetadata: {{name: a}}\nspec: {spec}\n")
    code = cli.main(["check", "thing.yaml"])
    out = capsys.readouterr()
    return code, out.out + out.err


def test_a_custom_resource_is_judged_as_the_api_server_does(crd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crd.write_text(OWN, encoding="utf-8")
    assert cli.main(["schema", "import", "crd.yaml"]) == 0
    told = capsys.readouterr()
    assert "note[FT019]: 2 validations in CEL of Thing, which the API server judges" in told.out + told.err
    assert checked("{}", capsys)[0] == 0
    code, text = checked("{plain: {x: 1}, when: '2020-13-45'}", capsys)
    assert code == 1
    assert "error[FT301]: spec.plain has no field x: the API server would drop it" in text
    assert "error[FT303]: spec.when: 2020-13-45 is no date-time" in text
    assert "help: write one such as 2026-01-31T12:00:00Z" in text
    assert checked("{plain: {}, when: '2026-01-31T12:00:00Z'}", capsys)[0] == 0


def patterned(pattern: str) -> str:
    whole = yamlio.parse(OWN, "crd")
    fields = whole["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["size"] = {"type": "string", "pattern": pattern}
    return json.dumps(whole)


def test_a_pattern_is_judged_in_linear_time_as_by_the_api_server(crd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crd.write_text(patterned("^(a|a)*$"), encoding="utf-8")
    assert cli.main(["schema", "import", "crd.yaml"]) == 0
    capsys.readouterr()
    assert checked(f"{{size: {'a' * 50}}}", capsys)[0] == 0
    code, text = checked(f"{{size: {'a' * 50}!}}", capsys)
    assert (code, text.count("error[FT303]: spec.size:"), text.count("! does not match ^(a|a)*$")) == (1, 1, 1)


@pytest.mark.parametrize("pattern", ["^(?=a)a*$", r"^(a)\1$", "a{1000}{1000}"])
def test_a_pattern_that_the_api_server_does_not_take_is_refused(
    pattern: str, crd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crd.write_text(patterned(pattern), encoding="utf-8")
    assert cli.main(["schema", "import", "crd.yaml"]) == 1
    headline = capsys.readouterr().err.partition("\n")[0]
    assert "error[FT019]: crd.yaml cannot be imported: the API server does not take its schema: " in headline
    assert headline.endswith(f'{json.dumps(pattern)} is not a "regex"')
    assert not Path("schemas").exists()


@pytest.mark.parametrize("words", [["schema", "import"], ["schema", "model", "hardware"]])
def test_usage(words: list[str]) -> None:
    assert cli.main(words) == 2


def test_the_header_of_a_group_s_options_says_where_they_belong() -> None:
    places = [runtime.conf_dir()]
    assert catalog.packages(places, "experiment") == ["_global_"]
    assert catalog.packages(places, "hardware") == ["hardware"]
    assert catalog.packages(places, "hardware/driver") == ["cluster.facts", "hardware"]
    assert catalog.packages(places, "cluster/base") == ["_global_", "cluster.base"]
