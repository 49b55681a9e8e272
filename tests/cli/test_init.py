"""`ftgen init`: a directory of one's own, in which every command that it shows works at once."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml
from tests.terminal import FTGEN, on_terminal

from ftgen import cli
from ftgen.cli import init
from ftgen.cli.init import QUESTIONS
from ftgen.config.compose import compose
from ftgen.config.compose.request import Request
from ftgen.interop import starter
from ftgen.text import yamlio

JOB = Path(__file__).parents[1] / "interop" / "shapes" / "reference-train.yaml"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(folder: str = ".", *overrides: str) -> dict[str, object]:
    return compose(Request(overrides, directory=Path(folder))).config


def shown_in(text: str) -> list[str]:
    return re.findall(r"^(?:\$ |  )(cd .+|ftgen.*)$", text, re.MULTILINE)


def run_all(commands: list[str], folder: Path) -> None:
    """Run commands one after the other by a shell, as a user would paste them."""
    script = "set -e\nftgen() { " + shlex.quote(str(FTGEN)) + ' "$@"; }\n' + "\n".join(commands)
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["new place"],
        [".", "hardware=ascend", "storage=nfs", "storage.storage_class=fast", "tracking.uri=http://mlflow.lab:5000"],
        ["a/b", "--ci", "gitlab", "name=tuning", "trainer.lr=1e-5", "delivery=flux", "cluster=alauda"],
        ["lab", "--from", str(JOB), "--ci", "none"],
    ],
    ids=lambda words: words[0],
)
def test_every_command_that_it_shows_works_at_once(
    words: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["init", *words]) == 0
    told = shown_in(capsys.readouterr().err.partition("next:")[2])
    assert [each for each in told if each.startswith("ftgen diff")]
    run_all(told, here)
    folder = here / words[0]
    read = shown_in((folder / "README.md").read_text())
    assert len(read) == 10
    run_all(read, folder)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_the_pipeline_and_the_hooks_pass_on_what_was_rendered_and_refuse_drift(ci: str, here: Path) -> None:
    assert cli.main(["init", "--ci", ci]) == 0
    assert cli.main([]) == 0
    whole = yaml.safe_load((here / starter.CI[ci]).read_text())
    if ci == "github":
        steps = [step["run"] for step in whole["jobs"]["check"]["steps"] if "run" in step]
    else:
        steps = whole["ftgen"]["before_script"] + whole["ftgen"]["script"]
    hooks = [hook["entry"] for hook in yaml.safe_load(Path(".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]]
    commands = [step for step in [*steps, *hooks] if step.startswith("ftgen")]
    assert len(commands) == 4
    run_all(commands, here)
    Path("conf/config.yaml").write_text(Path("conf/config.yaml").read_text() + "\nname: other\n")
    with pytest.raises(AssertionError):
        run_all(["ftgen diff"], here)


def test_words_go_where_they_belong(here: Path) -> None:
    words = ["cluster.registry=r.lab", "storage=nfs", "storage.storage_class=fast", "trainer.lr=1e-5", "name=tuning"]
    assert cli.main(["init", *words]) == 0
    assert yaml.safe_load(Path("conf/cluster/mine.yaml").read_text())["registry"] == "r.lab"
    assert yaml.safe_load(Path("conf/storage/mine.yaml").read_text()) == {
        "defaults": ["nfs@_here_", "_self_"],
        "storage_class": "fast",
    }
    assert yaml.safe_load(Path("conf/config.yaml").read_text())["trainer"] == {"lr": 1e-5}
    found = config()
    assert (found["name"], found["trainer"]["lr"], found["storage"]["storage_class"]) == ("tuning", 1e-5, "fast")
    assert config(".", "storage=emptydir", "hardware=cpu")["storage"]["storage_class"] is None


@pytest.mark.parametrize(
    "words", [[], ["cluster.git.secret=mine", "cluster.facts.card.per_node=8", "cluster.pod_security=restricted"]]
)
def test_every_comment_may_be_uncommented(here: Path, words: list[str]) -> None:
    assert cli.main(["init", "-y", *words]) == 0
    file = Path("conf/cluster/mine.yaml")
    text = re.sub(r"^( *)# (?=[ a-z_]+: )|^# (?=[a-z_]+:$)", r"\1", file.read_text(), flags=re.MULTILINE)
    told = yamlio.parse(text, "mine.yaml")
    assert {"url", "secret", "user_key", "token_key"} == told["git"].keys()
    assert told["facts"]["snapshot"] == "facts.yaml"
    assert told["pod_security"] == "restricted"


def test_an_own_configuration_needs_only_what_is_its_own(here: Path) -> None:
    """What belongs to no group comes from the package, so that a later key needs no edit."""
    assert cli.main(["init"]) == 0
    assert set(yaml.safe_load(Path("conf/config.yaml").read_text())) == {"defaults"}
    assert config()["job"] == compose(Request(())).config["job"]


def test_editors_find_a_schema_that_admits_the_file(here: Path) -> None:
    assert cli.main(["init", "tracking.uri=http://mlflow.lab"]) == 0
    checked = 0
    for file in Path("conf").rglob("*.yaml"):
        text = file.read_text()
        (name,) = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
        jsonschema.validate(yaml.safe_load(text), json.loads((file.parent / name).read_text()))
        checked += 1
    assert checked == 3


def test_the_schemas_are_those_of_the_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init"]) == 0
    for name, words in (("config", ["schema"]), ("cluster", ["schema", "cluster"])):
        capsys.readouterr()
        assert cli.main(words) == 0
        assert Path(f"conf/.schema/{name}.json").read_text() == capsys.readouterr().out


def test_an_imported_job_renders_to_what_it_was(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", "--from", str(JOB)]) == 0
    name = next(Path("conf/experiment").glob("*.yaml")).stem
    capsys.readouterr()
    assert cli.main([f"+experiment={name}", "-o", "-"]) == 0
    Path("rendered.yaml").write_text(capsys.readouterr().out)
    assert cli.main(["diff", str(JOB), "rendered.yaml"]) == 0


def test_without_a_terminal_it_says_what_it_took(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", "cluster.registry=r.lab"]) == 0
    told = capsys.readouterr().err
    assert "cluster.git.url=https://git.example.com" in told
    assert "cluster.registry=" not in told


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["hardware=asend"], 1, "did you mean ascend"),
        (["cluster.queue=Not A Name"], 1, "cluster.queue"),
        (["cluster.namespace=[a,b]"], 1, "cluster.namespace"),
        (["trainer.lr=1,2"], 1, "FT016"),
        (["~tracking"], 2, "takes GROUP=OPTION and KEY=VALUE"),
        (["+experiment=qwen3-identity-vgpu"], 2, "takes GROUP=OPTION and KEY=VALUE"),
        (["hydra.mode=RUN"], 2, "takes GROUP=OPTION and KEY=VALUE"),
        (["hardware/card=h100"], 2, "option of your own"),
        (["storage=claims"], 1, "storage.workspace.claim"),
        (["--from", "nowhere.yaml"], 1, "nowhere.yaml"),
        (["--ci", "jenkins"], 2, "jenkins"),
        (["a", "b"], 1, "b"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_nothing_is_written(
    words: list[str], code: int, told: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["init", *words]) == code
    assert told in capsys.readouterr().err
    assert not list(here.iterdir())


def test_a_folder_inside_a_repository_is_told_of(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pipelines and hooks are read in the root of a repository alone."""
    (here / ".git").mkdir()
    assert cli.main(["init", "inner"]) == 0
    assert "note[FT790]: .github/workflows/ftgen.yaml and .pre-commit-config.yaml" in capsys.readouterr().err
    assert cli.main(["init"]) == 0
    assert "FT790" not in capsys.readouterr().err


def dialogue(here: Path, *lines: str) -> tuple[int, str]:
    return on_terminal([FTGEN, "init", "new"], here, typed="".join(f"{line}\n" for line in lines).encode())


def test_questions_on_a_terminal(here: Path) -> None:
    code, shown = dialogue(here, "r.lab", "https://git.lab", "", "", "ascned", "ascend", "nfs", "http://mlflow.lab")
    assert code == 0, shown
    assert all(question.text in shown for question in QUESTIONS)
    assert "did you mean ascend" in shown
    found = config("new")
    assert (found["cluster"]["registry"], found["cluster"]["git"]["url"]) == ("r.lab", "https://git.lab")
    assert (found["hardware"]["vendor"], found["tracking"]["uri"]) == ("ascend", "http://mlflow.lab")


def test_the_end_of_the_input_takes_the_defaults(here: Path) -> None:
    code, shown = on_terminal([FTGEN, "init", "new"], here, typed=b"r.lab\n\x04")
    assert code == 0, shown
    assert config("new")["cluster"]["registry"] == "r.lab"


def test_an_interrupted_dialogue_writes_nothing(here: Path) -> None:
    code, shown = on_terminal([FTGEN, "init", "new"], here, typed=b"\x03", when=b"Registry of the images")
    assert (code, "nothing was changed" in shown) == (130, True)
    assert not list(here.iterdir())


def test_yes_asks_nothing(here: Path) -> None:
    code, shown = on_terminal([FTGEN, "init", "new", "--yes"], here)
    assert code == 0
    assert QUESTIONS[0].text not in shown


HOSTILE = [
    "${oc.env:HOME}",
    r"\${oc.env:HOME}",
    "${cluster.queue}",
    "a'b\"c",
    "x: {y: [1]} # z",
    "*anchor",
    "&a !!python/object:x",
    "true",
    "1e5",
    "0x1F",
    "[1,2]",
    "{a: b}",
    "a,b",
    "- x",
    "~",
    "$(id)",
    "`id`",
    "\x1b[31mred",
    "ünïcode 模型",
    "\u202e",
    "a\\nb",
    "???",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_an_answer_is_the_text_that_was_typed_or_is_refused(
    text: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The address of MLflow may be any line; what is written means these characters and nothing else."""
    answers = iter([text, ""])
    monkeypatch.setattr(init, "_is_interactive", lambda: True)
    monkeypatch.setattr(init, "_read", lambda _: next(answers))
    assert cli.main(["init", "new", *(f"{each.key}={each.default}" for each in QUESTIONS[:-1])]) == 0
    told = capsys.readouterr().err
    for file in Path("new/conf").rglob("*.yaml"):
        yaml.safe_load(file.read_text())
    found = config("new")["tracking"]
    assert found.get("uri") == text or (found["report_to"] == "none" and "error[" in told)
    assert "\x1b" not in told


def test_bytes_that_are_no_text_are_refused(here: Path) -> None:
    code, shown = on_terminal([FTGEN, "init", "new"], here, typed=b"\xff\xfe\n\n\n\n\n\n\n\n")
    assert code == 0, shown
    assert "UTF-8" in shown
