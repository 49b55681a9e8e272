"""What the shell is offered, by Hydra's contract: `-sc install=`, `uninstall=`, `query=`."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftgen import cli, runtime
from ftgen.cli.completion import candidates, typed
from ftgen.config import catalog
from ftgen.validation import pages

BIN = Path(sys.executable).parent
OPTIONS = catalog.groups([runtime.conf_dir()])


def beginning(head: str, text: str) -> list[str]:
    return [f"{head}{option}" for option in OPTIONS["hardware"] if option.startswith(text)]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ftgen gro", ["groups"]),
        ("ftgen export ", ["kustomize", "policy"]),
        ("ftgen export p", ["policy"]),
        ("ftgen export policy hardware=a", beginning("hardware=", "a")),
        ("ftgen rebuild --re", ["--repo", "--resolve"]),
        ("ftgen rebuild --js", ["--json"]),
        ("ftgen hard", ["hardware.", "hardware="]),
        ("ftgen hardware=", [f"hardware={option}" for option in OPTIONS["hardware"]]),
        ("ftgen hardware=nvidia-v", beginning("hardware=", "nvidia-v")),
        ("ftgen render hardware=nvidia-v", beginning("hardware=", "nvidia-v")),
        ("ftgen trainer.l", ["trainer.lr="]),
        ("ftgen image im", ["image."]),
        ("ftgen plan im", []),
        (
            "ftgen image image.P",
            ["image.PEFT_VERSION=", "image.PIP_BREAK_SYSTEM_PACKAGES=", "image.PIP_INDEX_URL=", "image.PYTHON_HOME="],
        ),
        ("ftgen image hardware=ascend image.TORCH_V", ["image.TORCH_VERSION="]),
        ("ftgen image image.TORCH_V", []),
        ("ftgen image tracking=none image.ML", []),
        ("ftgen image trainer=command image.PE", []),
        ("ftgen image hardware=cpu image.BASE_IMAGE=py", ["image.BASE_IMAGE=python:3.11-slim-bookworm"]),
        ("ftgen trainer.lr=", ["trainer.lr=0.0002"]),
        ("ftgen delivery.reconciler=", [f"delivery.reconciler={word}" for word in ("argocd", "flux", "kubectl")]),
        ("ftgen -m model=qwen3-0.6b,qwen3-32", ["model=qwen3-0.6b,qwen3-32b"]),
        ("ftgen -m trainer.precision=bf16,fp", ["trainer.precision=bf16,fp16", "trainer.precision=bf16,fp32"]),
        ("ftgen model=[qwen3-0.6b,qwen3-32", ["model=[qwen3-0.6b,qwen3-32b"]),
        ("ftgen trainer.args.lora_r", ["trainer.args.lora_rank="]),
        ("ftgen trainer.export.export_si", ["trainer.export.export_size="]),
        ("ftgen trainer.args.lora_target=", ["trainer.args.lora_target=all"]),
        ("ftgen trainer.args.stage=k", ["trainer.args.stage=kto"]),
        ("ftgen trainer=yol", ["trainer=yolo", "trainer=yolo-scratch"]),
        ("ftgen model=no", ["model=none"]),
        ("ftgen trainer=yolo trainer.args.warmup_e", ["trainer.args.warmup_epochs="]),
        ("ftgen trainer=yolo trainer.args.rect=t", ["trainer.args.rect=true"]),
        ("ftgen trainer=yolo trainer.package=../x trainer.args.warmup_e", []),
        ("ftgen trainer.merge=", ["trainer.merge=false", "trainer.merge=true"]),
        ("ftgen storage.workspace.s", ["storage.workspace.size="]),
        ("ftgen storage.w", ["storage.workspace."]),
        ("ftgen +exp", ["+experiment="]),
        ("ftgen +experiment=qwen3-8", ["+experiment=qwen3-8b-full-2x8"]),
        ("ftgen ++trainer.l", ["++trainer.lr="]),
        ("ftgen ~trainer.l", ["~trainer.lr"]),
        ("ftgen hardware@x=nvidia-v", beginning("hardware@x=", "nvidia-v")),
        ("ftgen trainer/", ["trainer/base="]),
        ("ftgen trainer/base=", ["trainer/base=llamafactory"]),
        ("ftgen trainer=command trainer.c", ["trainer.command="]),
        ("ftgen tracking=none tracking.", ["tracking.report_to="]),
        ("ftgen tracking.e", ["tracking.experiment="]),
        ("ftgen +experiment=qwen3-8b-full-2x8 hardware.dev", ["hardware.devices="]),
        ("ftgen --form", ["--format"]),
        ("ftgen --format ", ["github", "json", "sarif", "text"]),
        ("ftgen --format=s", ["--format=sarif"]),
        ("ftgen explain hardware.nod", ["hardware.nodes"]),
        ("ftgen explain trainer.args.lora_r", ["trainer.args.lora_rank"]),
        ("ftgen explain FT31", [code for code in pages.codes() if code.startswith("FT31")]),
        ("ftgen explain F", list(pages.codes())),
        ("ftgen explain trainer.lr hardware=nvidia-v", beginning("hardware=", "nvidia-v")),
        ("ftgen groups hard", ["hardware"]),
        ("ftgen schema imp", ["import"]),
        ("ftgen no.such.key", []),
        ("ftgen nothing=", []),
        ("ftgen a=b=c=", []),
    ],
)
def test_candidates(line: str, words: list[str]) -> None:
    assert candidates(line) == words


def test_an_empty_word_is_offered_verbs_groups_and_keys() -> None:
    offered = candidates("ftgen ")
    assert {"render", "explain", "hardware=", "hardware.", "name=", "job."} <= set(offered)
    assert not [word for word in offered if word.startswith("-")]


def test_every_option_of_every_group_is_offered() -> None:
    for group, options in OPTIONS.items():
        assert candidates(f"ftgen {group}=") == sorted(f"{group}={option}" for option in options)


def test_every_candidate_begins_with_what_was_typed() -> None:
    for word in ("t", "trainer.", "trainer.args.", "hardware.card.", "-", "--c", "model=q", "job.", "cluster.git."):
        offered = candidates(f"ftgen {word}")
        assert offered
        assert all(each.startswith(word) for each in offered)


@pytest.fixture
def own(elsewhere: Path) -> Path:
    folder = elsewhere / "conf"
    (folder / "hardware").mkdir(parents=True)
    (folder / "site" / "room").mkdir(parents=True)
    (folder / "hardware/ours.yaml").write_text("# Our cards.\ndevices: 3\nenv: {OUR_FLAG: '1'}\n", encoding="utf-8")
    (folder / "site/room/a.yaml").write_text("# A room.\n{}\n", encoding="utf-8")
    return folder


def test_a_folder_of_ones_own_is_completed_too(own: Path) -> None:
    assert candidates("ftgen hardware=ou") == ["hardware=ours"]
    assert candidates("ftgen hardware=ours hardware.env.") == ["hardware.env.OUR_FLAG="]
    assert candidates("ftgen hardware=ours hardware.devices=") == ["hardware.devices=3"]
    assert candidates("ftgen site/") == ["site/room="]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("HF_TOKEN", "Xk29fQpl88zz"),
        ("DB_PASSWORD", "12345678"),
        ("DB", "postgres://ada:Xk29fQpl88zz@db/x"),
        ("A", "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"),
    ],
)
def test_a_secret_of_a_file_is_no_completion(own: Path, key: str, value: str) -> None:
    text = f"defaults: [full-gpu@_here_, _self_]\nenv: {{{key}: '{value}', PLAIN: abc}}\n"
    option = f"of-{key.lower()}"  # read once in a process
    (own / "hardware" / f"{option}.yaml").write_text(text, encoding="utf-8")
    for verb in ("", "serve ", "explain trainer.lr "):
        assert candidates(f"ftgen {verb}hardware={option} hardware.env.{key}=") == []
        assert candidates(f"ftgen {verb}hardware={option} hardware.env.{key}={value[:3]}") == []
        assert f"hardware.env.{key}=" in candidates(f"ftgen {verb}hardware={option} hardware.env.")
        assert candidates(f"ftgen {verb}hardware={option} hardware.env.PLAIN=") == ["hardware.env.PLAIN=abc"]


def test_the_name_of_a_secret_is_a_completion() -> None:
    line = "ftgen tracking.key={secret:w,key:k} cluster=alauda cluster.git.secret="
    assert candidates(line) == ["cluster.git.secret=aml-image-builder-secret"]


def test_config_dir_is_searched(tmp_path: Path, own: Path) -> None:
    own.rename(tmp_path / "mine")
    assert candidates("ftgen hardware=ou") == []
    assert candidates("ftgen -cd mine hardware=ou") == ["hardware=ours"]
    assert candidates("ftgen --config-dir=mine hardware=ou") == ["hardware=ours"]


def test_broken_files_are_passed_over(own: Path) -> None:
    (own / "hardware/ours.yaml").write_text("{[", encoding="utf-8")
    (own / "config.yaml").write_bytes(b"\xff")
    assert candidates("ftgen hardware=ours hardware.no") == ["hardware.nodes="]


@pytest.fixture
def tree(elsewhere: Path) -> Path:
    """A tree with two runs of a sweep, one run whose name the cluster chooses, and its delivery."""
    entries = {
        "lr/job-lr-1-aa.yaml": {"object": "batch.volcano.sh/v1alpha1 Job n/lr-1-aa", "run": "lr/1", "name": "lr-1-aa"},
        "lr/job-lr-2-bb.yaml": {"object": "batch.volcano.sh/v1alpha1 Job n/lr-2-bb", "run": "lr/2", "name": "lr-2-bb"},
        "lr/configmap-lr-scripts.yaml": {"object": "v1 ConfigMap n/lr-scripts", "run": "lr/*", "name": ""},
        "_delivery/application-lr.yaml": {
            "object": "argoproj.io/v1 Application a/lr",
            "run": "_delivery/lr",
            "name": "l",
        },
        "sft/job-sft.yaml": {"object": "batch.volcano.sh/v1alpha1 Job n/", "run": "sft", "name": ""},
    }
    (elsewhere / "out").mkdir()
    (elsewhere / "out/ftgen.lock").write_text(json.dumps({"version": 1, "files": entries, "runs": {}}))
    return elsewhere / "out"


@pytest.mark.parametrize("verb", ["status", "logs", "archive", "stop", "rerun"])
def test_runs_of_the_tree_are_offered(tree: Path, verb: str) -> None:
    assert candidates(f"ftgen {verb} ") == ["lr-1-aa", "lr-2-bb", "sft"]
    assert candidates(f"ftgen {verb} lr-2") == ["lr-2-bb"]
    assert "lr-1-aa" not in candidates(f"ftgen {verb} lr-1-aa lr")
    tree.rename(tree.with_name("training"))
    assert candidates(f"ftgen {verb} lr") == []
    assert candidates(f"ftgen {verb} -o training lr-1") == ["lr-1-aa"]
    assert candidates(f"ftgen {verb} --repo . --path training lr-1") == ["lr-1-aa"]


def test_a_run_or_overrides_are_previewed(tree: Path) -> None:
    assert candidates("ftgen preview lr-2") == ["lr-2-bb"]
    assert candidates("ftgen preview trainer.l") == ["trainer.lr="]
    assert candidates("ftgen preview trainer.lr=1 lr-2") == []


def test_a_study_or_overrides_are_tuned(tree: Path) -> None:
    index = json.loads((tree / "ftgen.lock").read_text())
    index["files"]["rate/rate.ftgen-study"] = {"object": "", "run": "rate/*", "name": ""}
    index["files"]["x/$(x).ftgen-study"] = {"object": "", "run": "x/*", "name": ""}
    (tree / "ftgen.lock").write_text(json.dumps(index))
    assert candidates("ftgen tune ra") == ["rate"]
    assert candidates("ftgen tune rate trainer.l") == ["trainer.lr="]
    assert "$(x)" not in candidates("ftgen tune ")
    assert candidates("ftgen tune --sampler r") == ["random"]


def test_overrides_follow_the_run_that_is_trained_again(tree: Path) -> None:
    assert candidates("ftgen rerun sft trainer.l") == ["trainer.lr="]
    assert candidates("ftgen stop sft trainer.l") == []


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, '{"files": []}', '{"files": {"a": 1, "b": {"name": 2, "run": "$(x)"}}}']
)
def test_an_index_that_is_none_offers_nothing(tree: Path, text: str) -> None:
    (tree / "ftgen.lock").write_text(text)
    assert candidates("ftgen status ") == []


def test_a_large_tree_is_completed_at_once(tree: Path) -> None:
    entries = {
        f"s/job-s-{n}.yaml": {"object": f"batch.volcano.sh/v1alpha1 Job n/s-{n}", "run": f"s/{n}", "name": f"s-{n}"}
        for n in range(1000)
    }
    (tree / "ftgen.lock").write_text(json.dumps({"version": 1, "files": entries}))
    began = time.process_time()
    assert len(candidates("ftgen status s-")) == 1000
    assert time.process_time() - began < 0.5


def test_the_cursor_cuts_the_line() -> None:
    assert typed({"COMP_LINE": "ftgen hardware=ascend", "COMP_POINT": "10"}) == "ftgen hard"
    assert typed({"COMP_LINE": "ftgen hard"}) == "ftgen hard"
    assert typed({"COMP_LINE": "ftgen hard", "COMP_POINT": "99"}) == "ftgen hard"
    assert typed({}) == ""


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=40))
def test_no_line_is_too_strange(text: str) -> None:
    offered = candidates(f"ftgen {text}")
    assert offered == sorted(set(offered))


def query(line: str, shell: str = "bash") -> list[str]:
    env = {**os.environ, "COMP_LINE": line, "COMP_POINT": str(len(line))}
    done = subprocess.run([BIN / "ftgen", "-sc", f"query={shell}"], env=env, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_query_answers_on_standard_output() -> None:
    assert query("ftgen hardware=") == query("ftgen hardware=", "fish") == candidates("ftgen hardware=")


def test_completion_imports_neither_hydra_nor_the_pipeline() -> None:
    code = (
        "import sys; from ftgen import cli; assert cli.main(['-sc', 'query=bash']) == 0;"
        "bad = {'hydra', 'omegaconf', 'pydantic', 'jsonschema', 'ruamel', 'ftgen.pipeline', 'ftgen.spec'};"
        "sys.exit(str(bad & set(sys.modules)) if bad & set(sys.modules) else 0)"
    )
    env = {**os.environ, "COMP_LINE": "ftgen trainer.args.lora_"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "trainer.args.lora_rank=" in done.stdout


def bash(line: str) -> list[str]:
    """What bash puts into COMPREPLY, its words split as readline splits them: at `=` too."""
    script = f"""
        eval "$(ftgen -sc install=bash)"
        complete -p ftgen > /dev/null || exit 3
        COMP_LINE={shlex.quote(line)}
        COMP_POINT=${{#COMP_LINE}}
        spaced=${{COMP_LINE//=/ = }}
        COMP_WORDS=($spaced)
        [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _ftgen_complete
        printf '%s\\n' "${{COMPREPLY[@]}}"
        eval "$(ftgen -sc uninstall=bash)"
        complete -p ftgen 2> /dev/null && exit 4
        exit 0
    """
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("ftgen hard", ["hardware.", "hardware="]),
        ("ftgen hardware=", list(OPTIONS["hardware"])),
        ("ftgen hardware=nvidia-v", beginning("", "nvidia-v")),
        ("ftgen -m model=qwen3-0.6b,qwen3-32", ["qwen3-0.6b,qwen3-32b"]),
        ("ftgen expl", ["explain "]),
        ("ftgen trainer.args.lora_r", ["trainer.args.lora_rank="]),
        ("ftgen nonsense=", [""]),
    ],
)
def test_bash_replaces_the_word_under_the_cursor(line: str, replies: list[str]) -> None:
    assert bash(line) == replies


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_its_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-sc", f"install={shell}"]) == 0
    assert f"query={shell}" in capsys.readouterr().out
    assert cli.main(["-sc", f"uninstall={shell}"]) == 0
    assert "ftgen" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["-sc"], ["-sc", "install=tcsh"], ["-sc", "install"], ["-sc", "install=bash", "query=bash"]]
)
def test_what_it_cannot_do_is_a_usage_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    assert 'eval "$(ftgen -sc install=bash)"' in capsys.readouterr().err


def test_the_arguments_of_what_serves_are_offered_where_it_is_chosen() -> None:
    assert candidates("ftgen serve lr-2 serving.args.max_num_s") == ["serving.args.max_num_seqs="]
    assert "serving.args.dtype=bfloat16" in candidates("ftgen serve lr-2 serving=kserve serving.args.dtype=")
    assert candidates("ftgen serving.args.max_num_s") == []
