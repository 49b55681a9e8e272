"""Overrides that are wrong: the exact diagnostics, each at the override that caused it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from tests.rejects.conftest import Found, Reject, run

from ftgen import cli
from ftgen.config.compose import grammar

HERE = "<command line>"
ONE, TWO = f"{HERE}:1", f"{HERE}:2"

NO_NAME = (
    "name cannot be '../../escaped': must begin with a letter and hold letters, digits, dots, dashes and "
    "underscores only"
)
NO_FILE = (
    "trainer.script cannot be '../../../../../../../../etc/passwd': must be the name of a file in "
    "conf/trainer/, without a folder"
)

NO_LABEL = "must be at most 63 lower-case letters, digits and dashes, beginning and ending without a dash"
NO_OBJECT = "no object can be called so: only lower-case letters, digits, dashes and dots"
NO_PATH = "must be an absolute path below /, without a colon or '..'"
NO_URL = "must be a git repository's URL, such as https://git.example.com/team/name"

TABLE: dict[tuple[str, ...], list[Found]] = {
    # composition
    ("hardware=asend",): [("FT011", ONE, "the group hardware has no option 'asend'")],
    ("hardwar=ascend",): [("FT012", ONE, "there is no key 'hardwar'")],
    ("hardwar/x=ascend",): [("FT011", ONE, "there is no group 'hardwar/x'")],
    ("trainer.lrr=1",): [("FT012", ONE, "there is no key 'trainer.lrr'")],
    ("hardware=asend", "trainer.lrr=1"): [
        ("FT011", ONE, "the group hardware has no option 'asend'"),
        ("FT012", TWO, "there is no key 'trainer.lrr'"),
    ],
    ("trainer={lr: 1, lrr: 1}",): [("FT012", ONE, "there is no key 'trainer.lrr'")],
    ("+trainer={lrr: 1}",): [("FT101", ONE, "unknown key 'lrr'")],
    ("model.url=???",): [("FT013", ONE, "model.url has no value and no default")],
    ("name=${nothing}",): [("FT014", ONE, "name: Interpolation key 'nothing' not found")],
    ("job.restarts=${job.ttl}", "job.ttl=${job.restarts}"): [
        ("FT014", ONE, "job.restarts: Recursive interpolation detected"),
        ("FT014", TWO, "job.ttl: Recursive interpolation detected"),
    ],
    ("trainer.command={a: 1}",): [("FT012", ONE, "trainer.command is a list, and a mapping cannot be merged into it")],
    # shape
    ("serving.replicas=2",): [
        ("FT104", ONE, "serving has no kind: no option of the group is chosen, and a training has none"),
    ],
    ("hardware.devices=abc",): [
        ("FT102", ONE, "hardware.devices must be a whole number, not 'abc'"),
    ],
    ("hardware.devices=-1",): [
        ("FT103", ONE, "hardware.devices cannot be -1: must be greater than or equal to 1"),
    ],
    ("hardware.devices=0", "hardware.nodes=1.5"): [
        ("FT102", TWO, "hardware.nodes must be a whole number, not 1.5"),
        ("FT103", ONE, "hardware.devices cannot be 0: must be greater than or equal to 1"),
    ],
    ("trainer.merge=1",): [("FT102", ONE, "trainer.merge must be true or false, not 1")],
    ("delivery.reconciler=argo",): [("FT103", ONE, "delivery.reconciler cannot be 'argo'")],
    ("model.name=true",): [("FT102", ONE, "model.name must be text, not true")],
    ("model.name=''",): [("FT103", ONE, "model.name must not be empty")],
    ("hardware.source=x",): [("FT102", ONE, "hardware.source must be a list, not 'x'")],
    ("storage.workspace.size=-1Gi",): [("FT103", ONE, "storage.workspace.size cannot be '-1Gi': must not be negative")],
    ("+nonsense=1",): [("FT101", ONE, "unknown key 'nonsense'")],
    ("+trainer.lrr=1",): [("FT101", ONE, "unknown key 'lrr'")],
    ("+a.b=1",): [("FT101", ONE, "unknown key 'a'")],
    ("trainer.lr=1e-4", "model@foo=qwen3-8b"): [("FT011", TWO, "the group model@foo is not in the defaults list")],
    ("hydra.searchpath=[file:///no/such/folder]",): [
        ("FT002", ONE, "the configuration folder file:///no/such/folder does not exist"),
    ],
    ("~model",): [("FT104", ONE, "model is missing")],
    # what a card of that generation cannot do
    ("hardware=full-gpu", "hardware/card=t4", "trainer.precision=fp16", "trainer.args.flash_attn=fa2"): [
        ("FT244", f"{HERE}:4", "FlashAttention-2 does not run on T4"),
    ],
    ("hardware=full-gpu", "hardware/card=a30", "trainer.args.fp8=true"): [("FT243", f"{HERE}:3", "A30 has no fp8")],
    # names and addresses that no cluster, registry or git could take
    ("cluster.namespace=Team_A",): [
        ("FT103", ONE, f"cluster.namespace cannot be 'Team_A': {NO_LABEL}"),
    ],
    ("cluster.queue=Fast", "storage.models.claim=MODELS", "cluster.git.secret=a/b"): [
        ("FT103", TWO, f"storage.models.claim cannot be 'MODELS': {NO_OBJECT}"),
        ("FT103", f"{HERE}:3", f"cluster.git.secret cannot be ***: {NO_OBJECT}"),
        ("FT103", ONE, f"cluster.queue cannot be 'Fast': {NO_OBJECT}"),
    ],
    ("storage.workspace.path=work",): [("FT103", ONE, f"storage.workspace.path cannot be 'work': {NO_PATH}")],
    ("storage.workspace.path=/",): [("FT103", ONE, f"storage.workspace.path cannot be '/': {NO_PATH}")],
    ("storage.workspace.path=/a/../etc",): [
        ("FT103", ONE, f"storage.workspace.path cannot be '/a/../etc': {NO_PATH}"),
    ],
    ("hardware.image='repo/Image:1'",): [
        (
            "FT103",
            ONE,
            "hardware.image cannot be 'repo/Image:1': must be an image such as registry.example.com/team/image:1.0",
        ),
    ],
    ("model.url=s3://bucket/model",): [("FT103", ONE, f"model.url cannot be 's3://bucket/model': {NO_URL}")],
    # what does not fit together
    ("storage.workspace.claim=work", "hardware.nodes=2"): [
        ("FT276", ONE, "work lies on one node, and the job has 2"),
    ],
    ("hardware.memory=500Gi",): [
        ("FT285", ONE, "Qwen3-0.6B by lora asks for 500Gi of each card; no card has more than 288 GB"),
    ],
    # what only the manifest shows, led back to the value that made it
    ("cluster.tolerations=[{key: a, operator: Foo}]",): [("FT366", ONE, "there is no operator 'Foo'")],
    ("hardware.cores=null", "hardware.memory=null", "hardware.resources.count=gpu"): [
        ("FT354", f"{HERE}:3", "'gpu' is no resource"),
    ],
    ("cluster.labels={team: -x-}",): [("FT340", ONE, "'-x-' is no label value")],
    ("storage.workspace.path=/mnt/models",): [
        (
            "FT306",
            ONE,
            "spec.tasks[0].template.spec.containers[0].volumeMounts has two items with mountPath /mnt/models",
        ),
    ],
    # names that would leave the output folder, or name another file
    ("name=../../escaped",): [
        (
            "FT103",
            ONE,
            NO_NAME,
        )
    ],
    ("trainer.script=../../../../../../../../etc/passwd",): [
        (
            "FT103",
            ONE,
            NO_FILE,
        )
    ],
    ("trainer.script=missing.sh",): [("FT015", ONE, "there is no script conf/trainer/missing.sh")],
}


@pytest.mark.parametrize("words", TABLE)
def test_rejected(words: tuple[str, ...], reject: Reject) -> None:
    # What only repeats the cause elsewhere (an argument interpolated from the key) is not listed here.
    assert sorted(found for found in reject(*words) if found[1].startswith(HERE)) == sorted(TABLE[words])


@pytest.mark.parametrize(
    "words", [("[",), ("",), ("=",), ("trainer.lr",), ("a b",), ("trainer.lr=[",), ("x=1\ny",), ("x=\x1b",)]
)
def test_what_is_no_override_says_so_at_its_position(words: tuple[str, ...], reject: Reject) -> None:
    for code, place, headline in reject("hardware=full-gpu", *words):
        assert code in {"FT010", "FT011", "FT012"}
        assert place == TWO
        assert headline


def test_an_unset_environment_variable(reject: Reject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FTGEN_NOT_SET", raising=False)
    ((code, place, headline),) = reject("name=${oc.env:FTGEN_NOT_SET}")
    assert (code, place) == ("FT014", ONE)
    assert "FTGEN_NOT_SET" in headline


def test_a_set_environment_variable_lands_with_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FTGEN_TEAM", "nlp")
    assert cli.main(["cluster.labels.team=${oc.env:FTGEN_TEAM}", "job.ttl=null", "-o", "-"]) == 0
    said = capsys.readouterr()
    assert (
        f"{ONE}: note[FT017]: cluster.labels.team holds what the environment variable FTGEN_TEAM held here" in said.err
    )
    assert said.err.count("FT017") == 1
    assert "team: nlp" in said.out


def test_an_accepted_note_is_not_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FTGEN_TEAM", "nlp")
    assert cli.main(["cluster.labels.team=${oc.env:FTGEN_TEAM}", "allow.FT017=wanted", "-o", "-"]) == 0
    assert "FT017" not in capsys.readouterr().err


def test_a_megabyte_of_override(reject: Reject) -> None:
    ((code, place, _),) = reject(f"name={'a-' * 500_000}/")
    assert (code, place) == ("FT103", ONE)


def test_a_deeply_nested_override(reject: Reject) -> None:
    found = reject("trainer.command=" + "[" * 300 + "]" * 300)
    assert {place for _, place, _ in found} == {ONE}


@pytest.mark.parametrize(
    "words",
    [
        ("--no-such-flag",),
        ("-x",),
        ("--format",),
        ("--format=xml",),
        ("--cfg",),
        ("--cfg", "nonsense"),
        ("--config-dir",),
        ("groups", "--out"),
    ],
)
def test_usage(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(list(words)) == 2
    assert capsys.readouterr().err.startswith("ftgen: ")


def test_bytes_that_are_no_text(reject: Reject) -> None:
    ((code, place, _),) = reject("name=\udcff")
    assert (code, place) == ("FT010", ONE)


@pytest.mark.parametrize("text", ["é=1", "cluster.labels.é=1", "+trainer.args.clé=a"])
def test_a_key_beyond_the_grammar_is_told_to_be_set_in_a_file(text: str) -> None:
    code, said = run([text])
    assert code == 1
    assert "help: a key is ASCII on the command line, and cannot be quoted: set this one in a file" in said


@pytest.mark.parametrize(
    "text",
    [
        "trainer.args.x=[a=b",
        "trainer.args.x={a=b}",
        "name=[é",
        "cluster.labels={é: 1}",
        "name=]é[",
        "name=" + "é," * 300,
    ],
)
def test_what_quoting_would_not_cure_has_no_such_help(text: str) -> None:
    code, said = run([text])
    assert code == 1
    assert "quote these words" not in said


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("trainer.command=[yolo,data=x.yaml]", """'trainer.command=[yolo,"data=x.yaml"]'"""),
        ("trainer.command=[yolo, données, c d, 3]", """'trainer.command=[yolo, "données", c d, 3]'"""),
        ("trainer.command=[a=$(WORK_DIR)/x, b]", """'trainer.command=["a=$(WORK_DIR)/x", b]'"""),
        ("trainer.args.x=[[a=1],2]", """'trainer.args.x=[["a=1"],2]'"""),
        ("name=é", """'name="é"'"""),
        ("dataset.url=https://x.org/y?a=b", """'dataset.url="https://x.org/y?a=b"'"""),
        ("name=choice(é,b)", """'name=choice("é",b)'"""),
        ("trainer.args.a={x: y=z, b: [é, q]}", """'trainer.args.a={x: "y=z", b: ["é", q]}'"""),
        ("trainer.command=['a, b',--x=1]", """'trainer.command=['"'"'a, b'"'"',"--x=1"]'"""),
        ("trainer.args.data=$(DATASET_DIR)/a", """'trainer.args.data="$(DATASET_DIR)/a"'"""),
        ("trainer.args.data=/é,/b", """'trainer.args.data="/é",/b'"""),
        ('trainer.command=[sh,-c,echo "a" > b]', """'trainer.command=[sh,-c,"echo \\"a\\" > b"]'"""),
    ],
)
def test_words_beyond_the_grammar_are_told_how_to_be_quoted(text: str, quoted: str) -> None:
    code, said = run([text])
    assert (code, said.count("FT010")) == (1, 1)
    assert f"help: quote these words, and all of it for the shell: {quoted}\n" in said
    (word,) = shlex.split(quoted)
    assert grammar.read(word).key_or_group == text.partition("=")[0]


COMMAND = ("trainer=command", "trainer.command=[a]")
OUTPUT = ("storage=nfs", "trainer.args.output_dir=/mnt/workspace/out")


@pytest.mark.parametrize("output", ["/mnt/workspace/out", "../out", "a/../../../workspace/b"])
def test_jobs_of_a_sweep_do_not_write_into_one_folder(reject: Reject, output: str) -> None:
    shared = f"all jobs of this sweep write into {output} (in all 2 points)"
    words = ("-m", "trainer.lr=1e-4,2e-4", "storage=nfs", f"trainer.args.output_dir={output}")
    assert reject(*words) == [("FT261", f"{HERE}:3", shared)]


def test_jobs_of_a_sweep_do_not_merge_into_one_folder(reject: Reject) -> None:
    shared = "all jobs of this sweep write into ../merged (in all 2 points)"
    words = ("-m", "trainer.lr=1e-4,2e-4", "storage=nfs", "trainer.export.export_dir=../merged")
    assert reject(*words) == [("FT261", f"{HERE}:3", shared)]


@pytest.mark.parametrize("output", ["'/mnt/workspace/$(JOB_NAMES)/out'", "'/mnt/workspace/$$(JOB_NAME)/out'"])
def test_no_other_reference_gives_a_job_a_folder_of_its_own(reject: Reject, output: str) -> None:
    words = ("-m", "trainer=command", "storage=nfs", "trainer.command=[a],[b]", f"trainer.output={output}")
    assert "FT261" in [code for code, _, _ in reject(*words)]


@pytest.mark.parametrize(
    "output", ["out", "'/mnt/workspace/$(JOB_NAME)/out'", "/tmp/out", "/mnt/workspace/a,/mnt/workspace/b"]
)
def test_jobs_of_a_sweep_have_folders_of_their_own(output: str) -> None:
    assert cli.main(["-m", "trainer.lr=1e-4,2e-4", "storage=nfs", f"trainer.args.output_dir={output}", "-q"]) == 0


@pytest.mark.parametrize(
    ("words", "folder", "help_"),
    [
        (("trainer.args.output_dir=../out",), "/mnt/out", "trainer.args.output_dir=out"),
        (("trainer.export.export_dir=../m/",), "/mnt/m", "trainer.export.export_dir=m"),
        ((*COMMAND, "trainer.output=.."), "/mnt", "trainer.output=output"),
        ((*COMMAND, "storage=nfs", "trainer.output=../.."), "/mnt", "trainer.output=output"),
    ],
)
def test_results_beyond_the_volumes_are_warned_of(words: tuple[str, ...], folder: str, help_: str) -> None:
    code, said = run([*words, "-o", "-"])
    assert (code, said.count("FT041")) == (0, 1)
    assert f" is {folder}, on no volume of the job\n" in said
    assert f"help: write {help_}: each run" in said
    assert "FT041" not in run([*words[:-1], help_, "-o", "-"])[1]


@pytest.mark.parametrize("output", [".", "../models/a", "a/../b", "../workspace/x"])
def test_results_on_a_volume_are_not(output: str) -> None:
    assert "FT041" not in run([f"trainer.args.output_dir={output}", "-o", "-"])[1]


def test_a_folder_of_all_later_runs_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*OUTPUT, "--format", "json"]) == 0
    found = [d["headline"] for d in json.loads(capsys.readouterr().out) if d["code"] == "FT261"]
    assert found == ["every run writes into /mnt/workspace/out"]


FOLDERS = ("-m", "storage=nfs", "dataset=hf-sharegpt", "dataset.url=https://x.org/rows", "-q")


@pytest.mark.parametrize(
    ("words", "help_"),
    [
        (("dataset.revision=v1,v2",), "dataset.folder=rows-${dataset.revision}"),
        (("model.revision=v1,v2",), "model.folder=Qwen3-0.6B-${model.revision}"),
        (("dataset.info.split=a,b",), "dataset.folder=rows-${dataset.info.split}"),
        (("dataset.name=a,b", "dataset.folder=c"), "dataset.folder=rows-${dataset.name}"),
        (
            ("dataset.info.num_samples=10,20", "dataset.revision=v1,v2"),
            "dataset.folder=rows-${dataset.info.num_samples}-${dataset.revision}",
        ),
    ],
)
def test_jobs_of_a_sweep_do_not_fetch_into_one_folder(words: tuple[str, ...], help_: str) -> None:
    code, said = run([*FOLDERS, *words])
    assert (code, said.count("FT040")) == (1, 1)
    assert f"help: write '{help_}'\n" in said
    given = [word for word in words if not word.startswith("dataset.folder=")]
    assert run([*FOLDERS, *given, help_])[0] == 0


def test_a_pinned_revision_is_told_by_the_branch_s_name(scratch: Path) -> None:
    pins = "".join(f"- url: https://x.org/rows\n  revision: v{n}\n  commit: {'c0de' * 9}abc{n}\n" for n in "12")
    (scratch / "conf").mkdir()
    (scratch / "conf" / "pins.yaml").write_text(f"version: 1\ngit:\n{pins}")
    code, said = run([*FOLDERS, "dataset.revision=v1,v2", "dataset.folder=rows-${dataset.revision}"])
    assert code == 0, said
    assert "FT040" in run([*FOLDERS, "dataset.revision=v1,v2"])[1]


def test_a_model_and_a_data_set_have_folders_of_their_own(reject: Reject) -> None:
    words = ("model.url=https://a.org/a/x", "dataset.url=https://b.org/x.git")
    assert reject(*words) == [("FT040", f"{HERE}:2", "model and data set have one folder, x")]
    assert run([*words, "dataset.folder=rows", "-o", "-"])[0] == 0
    assert run([words[0], "dataset.url=https://a.org/a/x", "-o", "-"])[0] == 0


TOKENS = "trainer.args.tokenized_path"


@pytest.mark.parametrize(
    ("words", "severity", "help_"),
    [
        (("dataset=identity-alauda,hf-sharegpt",), "error", "/mnt/models/t-${dataset.name}"),
        (("trainer.cutoff_len=512,1024",), "error", "/mnt/models/t-${trainer.cutoff_len}"),
        (
            ("trainer.args.packing=true,false", "dataset.revision=v1,v2"),
            "error",
            "/mnt/models/t-${dataset.revision}-${trainer.args.packing}",
        ),
        (("model.template=qwen,qwen3",), "error", "/mnt/models/t-${model.template}"),
        (("model=qwen3-0.6b,qwen3-1.7b",), "warning", "/mnt/models/t-${model.name}"),
    ],
)
def test_jobs_of_a_sweep_do_not_take_each_other_s_tokens(words: tuple[str, ...], severity: str, help_: str) -> None:
    sweep = ("-m", "storage=nfs", "-q", *words)
    said = run([*sweep, f"{TOKENS}=/mnt/models/t"])[1]
    assert f"{severity}[FT045]" in said
    assert f"help: write '{TOKENS}={help_}'\n" in said
    told = run([*sweep, f"{TOKENS}={help_}"])[1]
    assert "error[FT045]" not in told
    assert "warning[FT045]" not in told


@pytest.mark.parametrize(
    ("words", "severity"),
    [
        ((f"{TOKENS}=/mnt/models/t",), "note"),
        (("-m", "trainer.lr=1e-4,2e-4", f"{TOKENS}=/mnt/models/t"), "note"),
        ((f"{TOKENS}=tokens",), "warning"),
        ((f"{TOKENS}='/mnt/workspace/$(JOB_NAME)/t'",), "warning"),
        ((f"{TOKENS}=tokens", "storage=local-path"), None),
        ((f"{TOKENS}=/tmp/t",), None),
        ((f"{TOKENS}=/mnt/models/t-${{model.name}}-${{dataset.name}}",), None),
        (("-m", f"{TOKENS}=/mnt/models/Qwen3-0.6B-identity_alauda,/mnt/models/b"), None),
        ((), None),
    ],
)
def test_tokens_that_lie_there_are_told_of(words: tuple[str, ...], severity: str | None) -> None:
    said = run(["storage=nfs", *words, "-q"])[1]
    found = [word for word in ("error", "warning", "note") if f"{word}[FT045]" in said]
    assert found == ([severity] if severity else [])


@pytest.mark.parametrize("end", ["..", ".", ".git", "..git"])
def test_a_folder_does_not_lead_out_of_the_volume(reject: Reject, end: str) -> None:
    folder = end.removesuffix(".git")
    found = reject(f"model.url=https://x.org/a/{end}")
    assert found == [("FT039", ONE, f"its folder on the models volume would be {folder!r}")]
    assert run([f"model.url=https://x.org/a/{end}", "model.folder=x", "-o", "-"])[0] == 0


@pytest.mark.parametrize("url", ["HTTPS://x.org/a", ".x@x.org:a/b", "-x@x.org:a/b"])
def test_a_url_that_the_scripts_would_refuse_is_refused(reject: Reject, url: str) -> None:
    assert reject(f"model.url={url}") == [("FT103", ONE, f"model.url cannot be '{url}': {NO_URL}")]


@pytest.mark.parametrize("url", ["ssh://git@x.org/a/b", "https://x.org/a/model@v2", "git@x.org:a/b"])
def test_a_url_that_the_scripts_take_is_taken(url: str) -> None:
    assert run([f"model.url={url}", f"model.output_url={url}", "-o", "-"])[0] == 0


def test_a_path_with_a_blank_would_be_two(reject: Reject) -> None:
    headline = (
        "hardware.source.0 cannot be '/a b/c.sh': must be a path without blanks, by which the scripts split their list"
    )
    assert reject('hardware.source=["/a b/c.sh"]') == [("FT103", ONE, headline)]


def test_what_an_interpolation_may_have_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FTGEN_TEAM", "nlp")
    helps = []
    for word in ("name=${oc.env:FTGEN_TAEM}", "name=${modle.name}"):
        assert cli.main([word, "--format", "json"]) == 1
        helps += [found["help"] for found in json.loads(capsys.readouterr().out)]
    assert helps == [
        "did you mean FTGEN_TEAM? Else export FTGEN_TAEM, or give a default: ${oc.env:FTGEN_TAEM,DEFAULT}",
        "did you mean ${model.name}?",
    ]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("trainer.lrr=1", "trainer.lr"),
        ("trainer.seed=1", "trainer.args.seed"),
        ("lora_rank=8", "trainer.args.lora_rank"),
        ("hardware.device=2", "hardware.devices"),
        ("nodes=2", "hardware.nodes"),
        ("storage.claim=x", "storage.models.claim, storage.workspace.claim"),
        ("hardwar.nodes=2", "hardware.nodes"),
        # No file sets these.
        ("hardware.toplogy=flat", "hardware.topology"),
        ("trainer.lauchner=mpi", "trainer.launcher"),
        ("cluster.facts.snapshott=a", "cluster.facts.snapshot"),
    ],
)
def test_what_was_meant(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([typed]) == 1
    assert f"help: did you mean {meant}?\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "helps"),
    [
        (["trainer.lr=1,2"], True),
        (["plan", "trainer.lr=1,2"], True),
        (["explain", "trainer.lr", "trainer.lr=1,2"], False),
        (["image", "hardware=ascend,full-gpu"], False),
        (["image", "image.PEFT_VERSION=1,2"], False),
        (["export", "kustomize", "trainer.lr=1,2"], False),
        (["--cfg", "job", "trainer.lr=1,2"], False),
    ],
)
def test_a_flag_is_named_where_it_changes_something(
    words: list[str], helps: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 1
    said = capsys.readouterr().err
    assert "FT016" in said
    assert ("--multirun" in said) is helps


# --- help that a shell takes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("cluster.kubernetes_version=1.30", """'cluster.kubernetes_version="1.30"'"""),
        ("++cluster.queue=5", """'++cluster.queue="5"'"""),
        ("cluster.image_pull_secrets=mine", "'cluster.image_pull_secrets=[mine]'"),
        ("trainer.args.run_name=5", """'trainer.args.run_name="5"'"""),
        ("trainer.args.run_name=choice(a,b)", """'trainer.args.run_name="choice(a,b)"'"""),
        ("trainer.args.lora_target=q_proj,v_proj", "'trainer.args.lora_target=[q_proj,v_proj]'"),
    ],
)
def test_the_help_is_a_word_that_works_in_a_shell(typed: str, word: str) -> None:
    code, said = run([typed])
    assert code == 1
    assert f"write {word}" in said
    assert run(["-o", "-", *shlex.split(word)])[0] == 0


def test_quotes_within_a_value_are_for_the_whole_word() -> None:
    code, said = run(["cluster.tolerations=[{key: 5}]"])
    assert code == 1
    assert 'help: put it in quotes: "5", and the whole override in single quotes for the shell' in said
    assert run(["-o", "-", 'cluster.tolerations=[{key: "5", operator: Exists}]'])[0] == 0


def test_in_a_file_the_quotes_are_those_of_yaml(scratch: Path) -> None:
    option = scratch / "conf" / "cluster" / "mine.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("# Mine.\ndefaults: [alauda, _self_]\nkubernetes_version: 1.34\n")
    code, said = run(["cluster=mine"])
    assert code == 1
    assert 'help: put it in quotes: "1.34"\n' in said


@pytest.mark.parametrize("text", ["trainer.lr=1e-4,,2e-4", "trainer.lr=[1,,2]", "trainer.lr=1,2,"])
def test_no_quotes_are_the_remedy_of_a_comma_too_many(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "-m", text]) == 1
    said = capsys.readouterr().err
    assert "FT010" in said
    assert "help:" not in said
