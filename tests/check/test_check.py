"""`ftgen check`: what it says of the platform guide's manifests, where it says it, and what it reads."""

import gc
import io
import json
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.golden.cases import CASES, expected
from tests.golden.placeholders import filled

from ftgen import runtime
from ftgen.cli import main
from ftgen.cli.check import files as named
from ftgen.cli.report import Sources
from ftgen.diagnostics import Location, Rejected, Severity, error
from ftgen.schema import conform
from ftgen.text import yamlio
from ftgen.validation import RULES, UNKNOWN_FACT, check
from ftgen.validation.incremental import IncrementalCheck
from ftgen.validation.manifest import Companions
from ftgen.validation.options import CheckOptions

DATA = Path(__file__).parent / "data"
REFERENCE, VENDOR = ((DATA / f"{name}.yaml").read_text(encoding="utf-8") for name in ("reference", "reference-vendor"))
CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models, namespace: research}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
"""


def found(text):
    return {
        (RULES[d.code].name, str(d.severity), d.locations[0].line)
        for d in check.check(text, "job.yaml", CheckOptions()).diagnostics
        if d.code != UNKNOWN_FACT
    }


def doubled(text):
    return text.replace("replicas: 1\n", "replicas: 2\n")


def line(text, sought, nth=1):
    return [number for number, each in enumerate(text.split("\n"), 1) if sought in each][nth - 1]


AS_GIVEN = {
    ("share-unseen-by-hami", "warning", line(REFERENCE, "schedulerName")),
    ("hosts-of-another-task", "warning", line(REFERENCE, "VC_WORKER_HOSTS")),
    ("left-to-admission", "warning", line(REFERENCE, 'name: "train"')),
    ("root-by-default", "note", line(REFERENCE, "        spec:")),
    ("unverified-tls", "warning", line(REFERENCE, "http.sslVerify=false", 1)),
    ("unverified-tls", "warning", line(REFERENCE, "http.sslVerify=false", 5)),
    ("exposed-credentials", "error", line(REFERENCE, "set -ex", 1)),
    ("exposed-credentials", "error", line(REFERENCE, "set -ex", 2)),
    ("exposed-credentials", "warning", line(REFERENCE, "://${gitauth}@", 1)),
    ("exposed-credentials", "warning", line(REFERENCE, "://${gitauth}@", 3)),
    ("name-that-cannot-be-applied", "note", line(REFERENCE, "generateName")),
    ("short-grace", "note", line(REFERENCE, "        spec:")),
    ("unopened-registry", "warning", line(REFERENCE, "        spec:")),
    ("missing-deepspeed-file", "warning", line(REFERENCE, "ds-z3-config.json")),
    ("template-of-another-model", "warning", line(REFERENCE, "template: qwen")),
}
WITH_TWO_REPLICAS = {
    ("collectives-on-shared-cards", "warning", line(REFERENCE, "          containers:")),
    ("nccl-over-sockets", "note", line(REFERENCE, "env:", 2)),
    ("partial-gang", "warning", line(REFERENCE, "minAvailable")),
    ("ranks-without-names", "error", line(REFERENCE, "spec:")),
    ("hosts-of-another-task", "error", line(REFERENCE, "VC_WORKER_HOSTS")),
    ("push-from-every-rank", "error", line(REFERENCE, "# push merged model")),
    ("missing-deepspeed-file", "error", line(REFERENCE, "ds-z3-config.json")),
    ("claim-of-one-node-for-all", "warning", line(REFERENCE, "volumeClaim:")),
    ("concurrent-writers", "error", line(REFERENCE, "cd /mnt/models")),
    ("small-shared-memory", "warning", line(REFERENCE, "sizeLimit")),
}


@pytest.mark.parametrize(
    ("text", "subjects"),
    [
        (CLAIM, []),
        (CLAIM.replace("name: models", "name: My_Models"), ["metadata.name"]),
        (CLAIM.replace("namespace: research", "namespace: Team.A"), ["metadata.namespace"]),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {name: a.b}\n", ["metadata.name"]),
        (REFERENCE.replace("  generateName", "  namespace: UPPER\n  generateName", 1), ["metadata.namespace"]),
    ],
)
def test_what_no_api_server_would_store_by_that_name(text: str, subjects: list[str]) -> None:
    told = check.check(text, "a.yaml", CheckOptions()).diagnostics
    assert [d.subject for d in told if d.code == "FT336"] == subjects


@pytest.mark.parametrize(
    ("kind", "version", "codes"),
    [
        ("ConfigMap", '"4711"', ["FT337"]),
        ("ConfigMap", '"0"', []),
        ("ConfigMap", '""', []),
        ("LimitRange", '"4711"', []),
    ],
)
def test_an_object_with_a_stored_version_cannot_be_created(kind, version, codes):
    text = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: a, namespace: b, resourceVersion: {version}}}\n"
    told = check.check(text, "a.yaml", CheckOptions()).diagnostics

    assert [d.code for d in told if d.severity is not Severity.NOTE] == codes


def test_scalars_that_tools_read_differently() -> None:
    doubtful = CLAIM.replace("storage: 10Gi", "storage: 012").replace("namespace: research", "namespace: on")
    told = [d for d in check.check(doubtful, "a.yaml", CheckOptions()).diagnostics if d.code == "FT004"]
    assert [(d.value, str(d.severity), str(d.locations[0])) for d in told] == [
        ("on", "warning", "a.yaml:3:37"),
        ("012", "warning", "a.yaml:4:70"),
    ]
    assert told[1].headline.startswith("012 is 10 by YAML 1.1 and 12 by YAML 1.2")
    accepting = CheckOptions(accepted=frozenset({"FT004"}))
    assert "FT004" not in {d.code for d in check.check(doubtful, "a.yaml", accepting).diagnostics}


def test_the_schema_alone_finds_nothing_in_the_guides_manifests():
    for text in (REFERENCE, VENDOR, doubled(REFERENCE)):
        assert conform.conform(yamlio.parse(text, "job.yaml")) == []


def test_the_guides_manifest_as_it_is():
    assert found(REFERENCE) == AS_GIVEN


def test_the_guides_manifest_on_two_nodes():
    milder = {("hosts-of-another-task", "warning"), ("missing-deepspeed-file", "warning")}
    stays = {each for each in AS_GIVEN if each[:2] not in milder}

    assert found(doubled(REFERENCE)) == stays | WITH_TWO_REPLICAS


def test_the_guides_manifest_for_other_vendors():
    assert {name for name, _, _ in found(VENDOR)} == {
        "share-unseen-by-hami",
        "hosts-of-another-task",
        "left-to-admission",
        "root-by-default",
        "name-that-cannot-be-applied",
        "short-grace",
        "unpullable-image",
    }
    assert {name for name, severity, _ in found(doubled(VENDOR)) if severity == "error"} == {
        "ranks-without-names",
        "hosts-of-another-task",
        "unpullable-image",
    }


def test_what_is_missing_is_located_at_what_should_hold_it():
    broken = "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {name: a}\nspec:\n  tasks: []\n"

    places = {d.code: str(d.locations[0]) for d in check.check(broken, "a.yaml", CheckOptions()).diagnostics}

    assert places["FT311"] == "a.yaml:5:3"
    assert places["FT459"] == "a.yaml:4:1"


def test_unknown_fields_are_located_at_themselves():
    diagnostics = check.check(CLAIM + "  accessMode: [a]\n".lstrip(), "a.yaml", CheckOptions()).diagnostics

    assert [(d.code, str(d.locations[0])) for d in diagnostics] == [("FT301", "a.yaml:5:1")]


def test_a_null_is_told_and_the_rules_judge_what_is_left():
    """The webhook names a queue where the API server dropped it; nobody gives back a plugin."""
    text = REFERENCE.replace("  queue: default", "  queue:\n  plugins: {svc: }")
    told = [
        (d.code, str(d.severity), d.subject)
        for d in check.check(text, "job.yaml", CheckOptions()).diagnostics
        if d.locations[0].line in {line(text, "  queue:"), line(text, "svc:")}
    ]
    assert told == [
        ("FT302", "warning", "spec.queue"),
        ("FT459", "note", "spec.queue"),
        ("FT302", "warning", "spec.plugins.svc"),
        ("FT418", "error", "spec.plugins.svc"),
    ]


def test_documents_lists_and_foreign_kinds():
    pods = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {}, spec: {}}\n"
    text = f"{CLAIM}---\n{pods}---\napiVersion: a.io/v1\nkind: B\n"

    verdict = check.check(text, "a.yaml", CheckOptions())

    assert verdict.objects == 3
    assert {(d.code, str(d.severity), d.locations[0].line) for d in verdict.diagnostics} == {
        ("FT304", "error", 9),
        ("FT305", "note", 12),
    }


def errors(text):
    found = check.check(text, "a.yaml", CheckOptions()).diagnostics
    return [(d.code, d.subject) for d in found if d.severity is Severity.ERROR]


def test_a_claim_that_core_validation_refuses():
    assert errors(CLAIM.replace("accessModes: [ReadWriteOnce], ", "")) == [("FT375", "spec.accessModes")]
    assert errors(CLAIM.replace("requests", "limits")) == [("FT375", "spec.resources.requests.storage")]


def test_a_negative_count_is_one_error():
    found = errors(REFERENCE.replace("replicas: 1\n", "replicas: -1\n"))
    assert [each for each in found if each not in errors(REFERENCE)] == [("FT314", "spec.tasks[0].replicas")]


def test_claims_of_the_same_file_are_known_to_its_jobs():
    job = doubled(REFERENCE)
    claim = CLAIM.replace("name: models", "name: sft-qwen3-volume")

    assert "claim-of-one-node-for-all" in {name for name, _, at in found(f"{claim}---\n{job}") if at > 5}
    assert ("claim-of-one-node-for-all", "warning", line(job, "claimName") + 5) in found(f"{claim}---\n{job}")


def test_claims_of_other_files_are_known_to_the_jobs_of_their_namespace(folder, capsys):
    job = doubled(REFERENCE).replace("metadata:\n", "metadata:\n  namespace: research\n", 1)
    (folder / "jobs" / "a.yaml").write_text(job, encoding="utf-8")
    for where, known in (("elsewhere", False), ("research", True)):
        claim = CLAIM.replace("name: models, namespace: research", f"name: sft-qwen3-volume, namespace: {where}")
        (folder / "jobs" / "deep" / "claim.yml").write_text(claim, encoding="utf-8")
        subjects = {d["subject"] for d in told(capsys, "jobs")[1] if d["code"] == "FT475"}
        assert any(subject.endswith("claimName") for subject in subjects) == known


def test_what_is_no_object_is_told():
    assert [d.code for d in check.check("- a\n", "a.yaml", CheckOptions()).diagnostics] == ["FT302"]
    with pytest.raises(Rejected):
        check.check("a: [", "a.yaml", CheckOptions())


def test_secrets_are_found_in_every_kind():
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {token: b}\n"

    assert [d.code for d in check.check(text, "a.yaml", CheckOptions()).diagnostics] == ["FT440"]


def test_a_secret_after_one_without_data_is_found():
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: NAME}\n"
    text = f"{secret.replace('NAME', 'a')}---\n{secret.replace('NAME', 'b')}data: {{x: aGVsbG8=}}\n"

    assert [d.code for d in check.check(text, "a.yaml", CheckOptions()).diagnostics] == ["FT440"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs" / "deep").mkdir(parents=True)
    (tmp_path / "jobs" / ".git").mkdir()
    (tmp_path / "jobs" / ".git" / "x.yaml").write_text("nonsense: [", encoding="utf-8")
    (tmp_path / "jobs" / "ftgen.lock").write_text("{}", encoding="utf-8")
    (tmp_path / "jobs" / "a.yaml").write_text(REFERENCE, encoding="utf-8")
    (tmp_path / "jobs" / "deep" / "claim.yml").write_text(CLAIM, encoding="utf-8")
    return tmp_path


def told(capsys, *words):
    code = main(["check", *words, "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


def test_folders_are_walked_and_hidden_ones_left_out(folder, capsys):
    code, diagnostics = told(capsys, "jobs")

    assert code == 1
    assert {d["locations"][0]["file"] for d in diagnostics} == {"jobs/a.yaml"}
    placed = [d["locations"][0] for d in diagnostics if d["code"] != UNKNOWN_FACT]
    assert all(place["line"] and place["column"] for place in placed)


def test_files_patterns_and_standard_input(folder, capsys, monkeypatch):
    assert told(capsys, "jobs/deep/claim.yml") == (0, [])
    assert told(capsys, "jobs/*/*.yml") == (0, [])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(REFERENCE.encode())))
    code, diagnostics = told(capsys, "-")
    assert code == 1
    assert {d["locations"][0]["file"] for d in diagnostics} == {"<stdin>"}


def test_a_pattern_takes_any_folders_and_no_hidden_ones(folder, capsys):
    (folder / "jobs" / ".hidden").mkdir()
    (folder / "jobs" / ".hidden" / "b.yml").write_text("a: [", encoding="utf-8")
    (folder / "jobs" / "[b]").mkdir()
    (folder / "jobs" / "[b]" / "b.yml").write_text("a: [", encoding="utf-8")

    assert list(named(["jobs/**/*.yml"])) == [("jobs/[b]/b.yml", None), ("jobs/deep/claim.yml", None)]
    assert list(named(["**/deep/**"])) == [("jobs/deep/claim.yml", None)]
    assert list(named([f"{folder}/j*/**/**/claim.yml"])) == [(f"{folder}/jobs/deep/claim.yml", None)]
    assert told(capsys, "jobs/**/deep/*.yml") == (0, [])


@pytest.mark.parametrize("path", ["jobs", "jobs/**/*.yaml"])
def test_folders_that_nobody_needs_so_deep_are_one_error(path, folder, capsys):
    (folder / "jobs").joinpath(*["d"] * 101).mkdir(parents=True)

    code, diagnostics = told(capsys, path)

    assert (code, [d["code"] for d in diagnostics]) == (1, ["FT002"])
    assert "more than 100 deep" in diagnostics[0]["headline"]


@pytest.mark.parametrize("path", ["none.yaml", "none/*.yaml", "none/**/*.yaml", "empty"])
def test_paths_that_hold_nothing_are_errors(path, folder, capsys):
    (folder / "empty").mkdir()

    code, diagnostics = told(capsys, path)

    assert (code, [d["code"] for d in diagnostics]) == (1, ["FT002"])


def test_links_that_lead_nowhere_are_told(folder, capsys):
    (folder / "jobs" / "deep" / "none.yaml").symlink_to("nothing")
    (folder / "jobs" / "deep" / "loop.yaml").symlink_to("loop.yaml")
    (folder / "jobs" / "deep" / "up").symlink_to("..")
    (folder / "jobs" / "deep" / "folder.yaml").mkdir()

    code, diagnostics = told(capsys, "jobs/deep")

    assert (code, [d["code"] for d in diagnostics]) == (1, ["FT002", "FT002"])


@pytest.mark.parametrize(
    "text",
    ["no JSON", "[]", "{}", '{"properties": {"apiVersion": {"const": "v1"}, "kind": {"const": "X"}}, "type": 5}'],
)
def test_a_schema_that_is_none_is_told_and_not_passed_over(text, folder, capsys):
    own = Path("schemas/core/persistentvolumeclaim_v1.json")
    own.parent.mkdir(parents=True)
    own.write_text(text, encoding="utf-8")

    code, diagnostics = told(capsys, "jobs/deep")

    assert (code, [(d["code"], d["locations"][0]["file"]) for d in diagnostics]) == (1, [("FT019", str(own.resolve()))])


def test_one_broken_file_does_not_hide_the_others(folder, capsys):
    (folder / "jobs" / "b.yaml").write_text("a: [", encoding="utf-8")

    code, diagnostics = told(capsys, "jobs")

    assert {"FT001", "FT462"} <= {d["code"] for d in diagnostics}
    assert code == 1


def test_check_without_a_path_is_a_usage_error(capsys):
    assert main(["check"]) == 2


def test_warnings_fail_under_strict(folder, capsys):
    text = REFERENCE.replace("set -ex", "set -e")
    (folder / "jobs" / "a.yaml").write_text(text, encoding="utf-8")

    assert told(capsys, "jobs")[0] == 0
    code, diagnostics = told(capsys, "jobs", "--strict")

    assert code == 1
    assert not [d for d in diagnostics if d["severity"] == "warning"]


def test_facts_that_lack_are_told_once_and_by_the_first_file_that_wanted_them(folder, capsys):
    (folder / "jobs" / "b.yaml").write_text(REFERENCE, encoding="utf-8")
    lacking = [d for d in told(capsys, "jobs")[1] if d["code"] == UNKNOWN_FACT]

    assert [d["subject"] for d in lacking].count("cluster.pod_security") == 1
    assert {(d["severity"], d["locations"][0]["file"]) for d in lacking} == {("note", "jobs/a.yaml")}


def test_findings_of_one_cause_are_told_once_with_their_number(folder, capsys):
    for number in range(22):
        text = REFERENCE.replace("generateName: ", f"generateName: n{number:02}-")
        (folder / "jobs" / f"{number:02}.yaml").write_text(text, encoding="utf-8")
    (folder / "jobs" / "a.yaml").unlink()
    assert main(["check", "jobs"]) == 1
    lines = capsys.readouterr().err.splitlines()
    traced = [at for at, text in enumerate(lines) if "error[FT462]" in text]

    assert [lines[at].rpartition(" (")[2] for at in traced] == ["44 times)"]
    assert [line.rpartition(":")[0].rpartition(":")[0] for line in lines[traced[0] + 3 : traced[0] + 6]] == [
        "  also: jobs/00.yaml",
        "  also: jobs/01.yaml",
        "  also: jobs/01.yaml",
    ]
    assert lines[traced[0] + 6].startswith("  help: ")
    assert len([line for line in lines if "note[FT496]" in line]) == 1
    assert len(lines) < 120
    assert lines[-1].startswith("23 files, 23 objects, ")


def test_tools_are_told_every_finding(folder, capsys):
    for number in range(22):
        (folder / "jobs" / f"{number:02}.yaml").write_text(REFERENCE, encoding="utf-8")
    assert len([d for d in told(capsys, "jobs")[1] if d["code"] == "FT462" and d["severity"] == "error"]) == 46


def test_a_clusters_own_schemas_decide(folder, capsys):
    own = Path("schemas/core/persistentvolumeclaim_v1.json")
    packaged = json.loads((runtime.schemas_dir() / "kubernetes-1.32" / own.relative_to("schemas")).read_text())
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps({**packaged, "required": [*packaged["required"], "status"]}), encoding="utf-8")

    code, diagnostics = told(capsys, "jobs/deep")

    assert (code, [d["subject"] for d in diagnostics]) == (1, ["status"])


def test_a_clusters_facts_and_what_it_allows(folder, capsys):
    codes = {d["code"] for d in told(capsys, "jobs", "--cluster", "alauda")[1]}

    assert "FT462" in codes
    assert not codes & {"FT432", "FT469", "FT494"}


def test_an_unknown_cluster_or_version_is_refused(folder, capsys):
    assert main(["check", "jobs", "--cluster", "alaudda"]) == 1
    assert main(["check", "jobs", "--volcano-version", "x"]) == 2
    assert main(["check", "jobs", "--kubernetes-version", "1.16"]) == 2


def test_the_version_decides_which_fields_there_are(folder, capsys):
    text = REFERENCE.replace("  maxRetry: 1\n", "  maxRetry: 1\n  plugins: {hcclrank: []}\n")
    (folder / "jobs" / "a.yaml").write_text(text, encoding="utf-8")

    older = {d["code"] for d in told(capsys, "jobs", "--volcano-version", "1.12.1")[1]}
    newer = {d["code"] for d in told(capsys, "jobs", "--volcano-version", "1.12.4")[1]}

    assert "FT323" in older - newer


TEMPLATE_WITH_HOSTNAME = """\
apiVersion: v1
kind: PodTemplate
metadata: {name: a}
template:
  spec:
    hostnameOverride: b
    containers: [{name: a, image: b}]
"""


def test_the_version_of_kubernetes_decides_which_fields_pods_have(folder, capsys):
    (folder / "pod.yaml").write_text(TEMPLATE_WITH_HOSTNAME, encoding="utf-8")
    of = {line: told(capsys, "pod.yaml", *flags)[1] for line, flags in KUBERNETES.items()}

    assert [(d["code"], d["severity"], d["help"]) for d in of["unstated"]] == [("FT301", "warning", NEEDS_1_34)]
    assert [(d["code"], d["severity"], d["help"]) for d in of["1.32"]] == [("FT301", "error", NEEDS_1_34)]
    assert of["1.34"] == []
    assert [(d["code"], d["severity"]) for d in of["1.99"]] == [("FT264", "note")]


KUBERNETES = {"unstated": (), **{line: ("--kubernetes-version", line) for line in ("1.32", "1.34", "1.99")}}
NEEDS_1_34 = "remove it; Kubernetes 1.34 has it, 1.32 does not"


# What their own configuration is warned of: FT259, FT267, FT270; and that two nodes do not share a folder of one.
TOLD = {"FT409", "FT436", "FT446", "FT477"}


@pytest.mark.parametrize("case", CASES)
def test_what_ftgen_writes_is_neither_refused_nor_warned_of(case, alauda):
    text = filled(expected(case))
    options = replace(alauda, volcano_version="newest") if "cluster.volcano_version=newest" in text else alauda
    found = check.check(text, "job.yaml", options).diagnostics
    worse = [d for d in found if d.severity is not Severity.NOTE]

    assert [d for d in worse if d.code not in TOLD] == []


@pytest.fixture(scope="module")
def alauda():
    from ftgen.cli.arguments import parse
    from ftgen.cli.check import check_options

    return check_options(parse(["check", "x", "--cluster", "alauda"]))


def test_what_ftgen_writes_with_its_scripts_is_neither_refused_nor_warned_of(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["-q", "-o", "out"]) == 0
    assert main(["-q", "-o", "out", "storage=nfs", "hardware=full-gpu", "hardware.nodes=2", "name=two"]) == 0

    assert main(["check", "out", "--cluster", "alauda", "--strict", "-q", "--format", "github"]) == 0
    assert "::error" not in capsys.readouterr().out


def test_judging_leaves_nothing_to_the_collector():
    """A circle would keep each manifest with all its marks: collecting takes longer than judging does."""
    texts = [*map(expected, list(CASES)[:9]), REFERENCE, VENDOR]
    for text in texts:
        check.check(text, "job.yaml", CheckOptions())
    gc.collect()
    gc.disable()
    try:
        for text in texts:
            check.check(text, "job.yaml", CheckOptions())
        assert gc.collect() == 0
    finally:
        gc.enable()


RUN = expected("default")


def leaves(value, path=()):
    """Where the plain values are."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    return [path] if pairs is None else [leaf for step, held in pairs for leaf in leaves(held, (*path, step))]


def odder(value, path, odd):
    """The same with another plain value at a place."""
    if not path:
        return odd(value)
    parts = value.copy()
    parts[path[0]] = odder(parts[path[0]], path[1:], odd)
    return parts


@pytest.mark.parametrize(
    "odd",
    [
        lambda value: f"{value}1" if isinstance(value, str) else value + 1,
        lambda value: "" if isinstance(value, str) else 0,
        lambda value: "hf_" + "aB3" * 12 if isinstance(value, str) else None,
    ],
    ids=["more", "nothing", "a token"],
)
@pytest.mark.parametrize("text", [RUN, REFERENCE], ids=["rendered", "by hand"])
def test_what_is_reused_is_what_would_be_found(text, odd, alauda):
    """Whatever single value tells a job from those before it, the rules that looked at it are asked again."""
    plain = yamlio.parse_all(text, "job.yaml")[-1]
    others = [yamlio.dump(odder(plain, place, odd)) for place in leaves(plain)]
    for given in (CheckOptions(), alauda):
        options = replace(given, reuse=IncrementalCheck())
        reused = [check.check(each, "job.yaml", options) for each in [yamlio.dump(plain)] * 64 + others]
        anew = [check.check(each, "job.yaml", given) for each in others]
        assert reused[64:] == anew
        assert len(set(reused)) > 10


TEMPLATE = """\
apiVersion: v1
kind: PodTemplate
metadata:
  name: one
template:
  spec:
    containers:
    - name: main
      env:
      - name: HF_HOME
        value: sesame-open-1
      - name: OTHER
        value: words
"""


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("name: HF_HOME", "name: HF_TOKEN", "FT442"),
        ("value: words", "value: hf_aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3", "FT441"),
        ("value: words", "value: {1: x}", "FT302"),
        ("metadata:", "1: x\nmetadata:", "FT302"),
    ],
)
def test_what_is_new_in_a_manifest_is_searched_with_what_was_clean(old: str, new: str, code: str) -> None:
    options = CheckOptions(reuse=IncrementalCheck())
    assert not check.check(TEMPLATE, "pod.yaml", options).diagnostics
    found = check.check(TEMPLATE.replace(old, new), "pod.yaml", options)
    assert found == check.check(TEMPLATE.replace(old, new), "pod.yaml", CheckOptions())
    assert code in {d.code for d in found.diagnostics}


def test_what_is_beside_many_objects_is_gathered_once(tmp_path, monkeypatch, capsys):
    """Each of four thousand took 0.6 ms a thousand others."""
    gathered = []
    monkeypatch.setattr(Companions, "joined", lambda self, *others: gathered.append(others) or self)
    text = "".join(f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}}}\n" for n in range(100))
    (tmp_path / "many.yaml").write_text(text, encoding="utf-8")
    assert main(["check", str(tmp_path / "many.yaml")]) == 0
    assert len(gathered) < 5
    assert "100 objects" in capsys.readouterr().err


def test_a_file_with_findings_in_turn_with_another_is_read_once(tmp_path, monkeypatch):
    files = [tmp_path / name for name in ("a.yaml", "b.yaml")]
    for file in files:
        file.write_text("kind: Job\n" * 9, encoding="utf-8")
    read = []
    monkeypatch.setattr("ftgen.cli.report._lines", lambda file: read.append(file) or ["kind: Job"] * 9)
    sources = Sources(())
    for line in range(1, 10):
        assert {sources.line(Location(str(file), line), error("FT301", "x")) for file in files} == {"kind: Job"}
    assert read == [str(file) for file in files]
