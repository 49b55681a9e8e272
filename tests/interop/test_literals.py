"""Variables of a script: what the import takes for their values is what bash gives docker."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftgen import cli
from ftgen.diagnostics import Rejected
from ftgen.interop import importing
from ftgen.interop.importing import literals, shell
from ftgen.text import yamlio

CALL = 'docker run --gpus 1 -e "A=$A" -e "B=$B" image:1 go'
LITERAL = [
    "A=/data",
    "A='/data'",
    'export A="/data"',
    "A=/data B=x",
    "A=/data; B=x # A=/other",
    "readonly A=/data",
    "A=/data && echo done",
    "A=/data\nA=/data",
    "echo one &\nA=/data",
    "LIST=(a b)\nA=/data",
    "LIST=()\nA=/data",
    "f() { echo $A; }\nA=/data",
    "source /dev/null\nA=/data",
    "A=/data\necho 'A=/other'; printf '%s\\n' \"$A\"; export A",
    "A=/data\ncat <<EOF\nA=/other\nEOF",
    "A=/data\ncat <<'EOF' | cat >/dev/null\ndon't ${A:=b}\nEOF",
    "A=/data\necho $((1 + 2)) ${#A} ${A:-x} $(A=/other; echo $A) `A=1; echo \\`echo\\``",
    'A=/data\nB=$(echo ")" \'(\' | tr x "${A:-"}"}")',
    "A=/data\nif true; then B=1; fi\ncase $B in 1) B=2 ;; (3|4) ;; esac",
    "A=/data\nfor ((i = 0; i < 2; i++)); do :; done\nwait $!; [[ $A =~ ^(a|b)$ ]] && :",
    "A=/data\nread -r -p 'A: ' B </dev/null",
]
UNKNOWN = [
    "A=/data; A=/other",
    "A=/data\nA=$(echo /other)",
    "A=/data\nA+=/x",
    "A=/data\nA[0]=/x",
    "A=(/data x)",
    "A=~/data",
    "A=$HOME/data",
    "A='$HOME'",
    'if [ -z "$A" ]; then A=/data; fi',
    '[ -n "$A" ] || A=/data',
    "true &&\n  A=/data",
    "A=/data | cat",
    "A=/data &",
    "(A=/data)",
    "A=/data true",
    "f() { A=/other; }\nA=/data\nf",
    "function f { A=/other; }\nA=/data\nf",
    "A=/data\nfor A in 1 2; do :; done",
    "A=/data\nread A <<<x",
    "A=/data\nread -rp 'B' A </dev/null",
    "A=/data\nmapfile -t A </dev/null",
    "A=/data\nprintf -v A %s /other",
    "A=/data\nunset A",
    "A=/data\ndeclare A=/other",
    "A=/data\nlet A=1",
    "A=1\n((A++))",
    "A=1\nB=$((A += 2))",
    "A=1\necho ${B:-$((++A))}",
    "A=\n: ${A:=/other}",
    'A=\n: "${A=/other}"',
    "A=\ncat <<EOF >/dev/null\n${A:=/other}\nEOF",
    "A=/data\nwhile getopts a: A -a 1; do break; done",
    "A=/data\neval A=/other",
    "A=/data\nsource /dev/stdin <<<A=/other",
    "A=/data\nexport $(echo A=/other)",
    'A=/data\nexport "A=/other"',
    "N=A\nA=/data\ndeclare -n R=A\nR=/other",
    'N=A\nA=/data\nread "$N" <<<x',
    "A=/data\ncase x in x) A=/other ;; esac",
    "A=/data\n{ A=/other; }",
    "A=/data\nexec {A}>/dev/null",
    "A=/data\nset -- --a x\nwhile [ $# -gt 0 ]; do case $1 in --a) A=$2; shift ;; esac; shift; done",
    "A=/data\nB=$(case x in x) echo 1 ;; esac)",
    "A=/data\ncommand read A <<<x",
    "A=/data\ntrue |\n  A=/other\ncoproc A { :; }",
]


def position(script: str) -> int:
    return script.rindex("docker")


def given_to_docker(script: str, folder: Path) -> list[str] | None:
    """Return the words that bash gives docker, or None if it does not get there."""
    (folder / "words").unlink(missing_ok=True)
    stub = 'docker() { printf "%s\\0" docker "$@" >words; exit; }\n'
    subprocess.run(
        ["/bin/bash", "-c", stub + script], cwd=folder, capture_output=True, check=False, timeout=20, env={"HOME": "/h"}
    )
    file = folder / "words"
    return file.read_bytes().decode().split("\0")[:-1] if file.exists() else None


def read_words(script: str) -> list[shell.Word]:
    start = position(script)
    return shell.command(script, start, "run.sh", literals.known(script, start)).words


@pytest.mark.parametrize("script", LITERAL)
def test_a_literal_is_known(script: str, tmp_path: Path) -> None:
    text = f"{script}\n{CALL}\n"
    assert literals.known(text, position(text))["A"] == "/data"
    words = given_to_docker(text, tmp_path)
    assert words is not None
    assert "A=/data" in words


@pytest.mark.parametrize("script", UNKNOWN)
def test_whatever_may_set_a_variable_makes_it_unknown(script: str) -> None:
    text = f"{script}\n{CALL}\n"
    assert "A" not in literals.known(text, position(text))


@pytest.mark.parametrize(
    ("script", "value"),
    [
        ("A=/data\ndocker run -e A=$A image:1 go; A=/other", "/data"),
        ("A=/data\ndocker run -e A=$A image:1 bash -c '\nA=/other\nexport A=x'", "/data"),
        ("A=/data\nif true; then docker run -e A=$A image:1 go; fi", "/data"),
        ("A=/data\nif true; then docker run -e A=$A image:1 go; fi\nA=/other", None),
        ("A=/data\nf() { docker run -e A=$A image:1 go; }\nf", "/data"),
        ("A=/data\nf() { docker run -e A=$A image:1 go; }\nA=/other\nf", None),
        ("f() { docker run -e A=$A image:1 go; }\nA=/data\nf", None),
        ("A=/data\nf() { local A=/other; docker run -e A=$A image:1 go; }\nf", None),
        ("A=/data\nf() { docker run -e A=$A image:1 go; }\n. /dev/stdin <<<A=/other\nf", None),
        ("docker run -e A=$A image:1 bash -c '\nA=/data'", None),
        ("A=/data docker run -e A=$A image:1 go", None),
        ("A=/data\ndocker run -e A=$A image:1 go 'unclosed", None),
        ("A=/data\ndocker run -e A=$A image:1 go\necho 'unclosed", "/data"),
        ("A=/data\nssh node '\ndocker run -e A=$A image:1 go'", None),
    ],
)
def test_where_the_call_stands(script: str, value: str | None) -> None:
    assert literals.known(script, position(script)).get("A") == value


_STATEMENTS = st.sampled_from(
    [
        # bash ends where a variable that is read-only is set once more.
        *(each.replace("A=/data\n", "", 1) for each in (*LITERAL, *UNKNOWN) if "readonly" not in each),
        *("A=1", "B='x y'", "A=", "B=2; A=3", "echo $A", "A=*", "B='a  b '", "export B=4", "f() { B=5; }", "f 2>&1"),
    ]
)
_WRAPPED = st.sampled_from(
    ["{}", "if true; then\n{}\nfi", "g() {{\n{}\n}}\ng", "for x in 1 2; do\n{}\ndone", "(\n{}\n)", "{}\n{{ B=6; }}"]
)


@settings(max_examples=60)
@given(before=st.lists(_STATEMENTS, max_size=4), inside=st.lists(_STATEMENTS, max_size=2), wrapped=_WRAPPED)
def test_bash_gives_docker_what_is_taken_for_it(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], inside: list[str], wrapped: str
) -> None:
    call = 'docker run -e "A=$A" -e "B=$B" end $B "$A"$B'
    script = "\n".join([*before, wrapped.format("\n".join([*inside, call]))])
    words = given_to_docker(script, tmp_path_factory.mktemp("bash"))
    known = read_words(script)
    if words is not None and not any(word.unknown for word in known):
        assert [word.text for word in known] == words
    for word, passed in zip(known[:7], words or (), strict=False):
        assert word.unknown or word.text == passed


@pytest.mark.parametrize(
    ("script", "command"),
    [
        ('ARGS="--lr 1  --epochs 3"\ndocker run image:1 go $ARGS', ["go", "--lr", "1", "--epochs", "3"]),
        ('ARGS="--lr 1"\ndocker run image:1 go "$ARGS"', ["go", "--lr 1"]),
        ("OPT=\ndocker run $OPT image:1 go $OPT", ["go"]),
        ("X=' a '\ndocker run image:1 go p$X'q'", ["go", "p", "a", "q"]),
    ],
)
def test_a_value_without_quotes_is_split_as_a_shell_splits_it(script: str, command: list[str], tmp_path: Path) -> None:
    run, _ = importing.read_command(script, "run.sh")
    assert [word.text for word in run.words] == command
    words = given_to_docker(script, tmp_path)
    assert words is not None
    assert words[words.index("image:1") + 1 :] == command


@pytest.mark.parametrize(
    "word", ["~/train.py", "~user", "X=~/a", "$FILES", "\"$(echo ')')\"", "$'it\\'s'", "/{a,b}", "{1..3}"]
)
def test_what_only_the_shell_makes_of_a_word_is_refused(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.sh").write_text(f"FILES=*.py\ndocker run --gpus 1 image:1 go {word} end\n")
    assert cli.main(["import", "run.sh"]) == 1
    assert "error[FT560]" in capsys.readouterr().err


def test_an_unknown_variable_is_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.sh").write_text(
        "DATA=/data; DATA=/scratch/run7\nTAG=1\n"
        "docker run --gpus 1 -v $DATA:/d -e D=$DATA image:$TAG bash -c '\nTAG=2\nDATA=/data/train'\n"
    )
    assert cli.main(["import", "run.sh", "-o", "."]) == 0
    told = capsys.readouterr().err
    assert "$DATA is a folder of the caller's and left out" in told
    assert "FT560]: --env D=$DATA is left out" in told
    found = yamlio.read(Path("conf/experiment/image.yaml"))
    assert found["hardware"]["image"] == "image:1"
    assert "D" not in found["hardware"]["env"]
    assert not Path("overlays").exists()


@pytest.mark.parametrize(
    "text",
    [
        "A=1;" * 250_000,
        "(" * 500_000,
        "((" * 300_000,
        "((A" + "A" * 900_000,
        "f() { " * 120_000 + ". x;" * 50_000,
        "A=1\n. x\n" * 100_000,
        "builtin " * 120_000,
        "export $A " * 90_000,
        "let A " * 150_000,
        "cat <<E\n" * 110_000,
        "$(" * 400_000,
        '"${A:-' * 150_000,
        "${A[" * 200_000,
        "`" * 900_001,
        "A=~" * 300_000,
        "if " * 300_000,
        "A=" + "x" * 400_000 + "\ndocker run " + "$A" * 200_000 + " image:1 go",
        "docker run image:1 go;" * 45_000,
        "docker ps " * 100_000,
        "#;docker run x\n" * 60_000,
        "docker run image:1 go\n" * 45_000,
    ],
    ids=range(21),
)
def test_a_hostile_script_takes_no_longer_than_its_length(text: str) -> None:
    script = text if "docker run image" in text else f"{text}\ndocker run image:1 go"
    with suppress(Rejected):
        importing.read_command(script, "run.sh")
