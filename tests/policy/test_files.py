"""Bad files of rules: each fault is one diagnostic with its file and line, and no file hangs or ends ftgen."""

import json
import os

import pytest
from tests.policy.conftest import IMAGES, SOUND

RULE = {
    "name": "a-rule",
    "match": "ConfigMap",
    "expression": "has(object.data)",
    "message": "'no'",
}


def text(**changes):
    lines = [f"    {key}: {value}" for key, value in (RULE | changes).items() if value is not None]
    return "\n".join(["rules:", "  -", *lines, ""])


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (text(expression="object.a =="), 5, "is no valid CEL: Syntax error"),
        (text(expression="|-\n      has(object.a) &&\n        'a' + 1 == 2"), 7, "is no valid CEL"),
        (text(expression="object.data"), 5, "type dyn, and bool is needed"),
        (text(expression="\"'a'\""), 5, "type string, and bool is needed"),
        (text(expression="config.name == 'a'"), 5, "undeclared reference to 'config.name'"),
        (text(expression="size(object) > 1 + 'a'"), 5, "no matching overload"),
        (text(expression="cel.bind(a, 1, a == 1)"), 5, "undeclared reference"),
        (text(expression="'" + "(" * 200 + "'"), 5, "is no valid CEL"),
        (text(expression="'" + "!" * 200_000 + "true'"), 5, "is no valid CEL"),
        (text(expression="1"), 5, "expression is text, and not 1"),
        (text(expression="''"), 5, "expression is text"),
        (text(expression=None), 3, "lacks the key expression"),
        (text(when="object.a"), 7, "when is no valid CEL"),
        (text(messageExpression="1 + 1"), 7, "messageExpression is no valid CEL"),
        (text(name="A_Rule"), 3, "is no name of a rule"),
        (text(name="ftgen-rule"), 3, "is no name of a rule"),
        (text(name="[a]"), 3, "name is text"),
        (text(match="Job"), 4, "may be of several API groups"),
        (text(match="Cronjobb"), 4, "is no kind that ftgen knows"),
        (text(match="a/b/../c"), 4, "is no kind that ftgen knows"),
        (text(severity="fatal"), 7, "severity is error or warning"),
        (text(colour="red"), 7, "there is no key 'colour' here"),
        (text(tests="[]"), 7, "tests holds lists of samples"),
        (text(tests="{refused: a}"), 7, "samples are a list"),
        (text(tests="{refused: [1]}"), 7, "a sample is an object"),
        (text(tests="{refuses: []}"), 7, "there is no key 'refuses' here"),
        ("rules: {}\n", 1, "a file of rules begins with `rules:`"),
        ("- a\n", 1, "a file of rules begins with `rules:`"),
        ("rules: [a]\n", 1, "a rule is a mapping"),
        (text() + "---\n" + text(), 1, "one YAML document"),
        (text() + "more: 1\n", 7, "there is no key 'more' here"),
        (IMAGES + IMAGES.partition("\n")[2], 7, "two rules are called"),
    ],
)
def test_a_fault_is_told_with_its_line(site, told, content, line, words):
    site(bad=content)
    for verb in ("render", "check"):
        code, [found] = told(verb, *(SOUND if verb == "render" else ("rules",)))
        assert (code, found["code"]) == (1, "FT787")
        assert words in found["headline"]
        assert (found["locations"][0]["file"], found["locations"][0]["line"]) == ("rules/bad.yaml", line)


def test_every_fault_of_all_files_is_told_at_once(site, told):
    site(a=text(severity="x"), b=text(match="Job", expression="1"))
    _, found = told(*SOUND)
    assert [d["locations"][0]["file"] for d in found] == ["rules/a.yaml", "rules/b.yaml", "rules/b.yaml"]


def unread(capsys, *words):
    from ftgen.cli import main

    assert main([*words, "-q"]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("make", ["fifo", "link", "device", "large", "folder", "binary", "loop"])
def test_a_file_that_is_none_is_told(site, capsys, tmp_path, make):
    folder = site()
    file = folder / "a.yaml"
    outside = tmp_path / "outside.yaml"
    outside.write_text(IMAGES)
    {
        "fifo": lambda: os.mkfifo(file),
        "link": lambda: file.symlink_to(outside),
        "device": lambda: file.symlink_to("/dev/zero"),
        "large": lambda: file.write_bytes(b"#" * (5 << 20)),
        "folder": file.mkdir,
        "binary": lambda: file.write_bytes(b"\xff\xfe"),
        "loop": lambda: file.symlink_to(file),
    }[make]()
    for words in (SOUND, ("check", str(outside))):
        err = unread(capsys, *words)
        assert "rules/a.yaml: error[FT002]" in err or "rules/a.yaml:1: error[FT002]" in err


def test_a_wrong_suffix_is_told(site, told, tmp_path):
    site()
    (tmp_path / "rules" / "a.yml").write_text(IMAGES)
    code, [found] = told(*SOUND)
    assert (code, found["help"]) == (1, "rename it to a.yaml, or move it elsewhere")


def test_objects_in_a_folder_called_rules_are_no_rules(site, told):
    site(alerts="apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a}\n")
    assert told(*SOUND, "-q") == (0, [])


@pytest.mark.parametrize(
    "expression",
    [
        "object.data.a.matches('(a+)+$')",
        "object.data.a.matches('(a{1000}){1000}')",
        "object.data.all(a, object.data.all(b, object.data.all(c, object.data.all(d, object.data.all(e, true)))))",
        "'1e999999999'.isGreaterThan('1')",
        "quantity('1e999999999').isGreaterThan(quantity('1'))",
        "object.data.n == 1",
        "1 / 0 == 1",
        "[].max() == 1",
    ],
)
def test_no_expression_hangs_or_ends_ftgen(site, told, tmp_path, expression):
    site(own=text(expression=f'"{expression}"'))
    data = {f"k{n}": "b" for n in range(200)} | {"a": "a" * 50_000 + "b", "n": "9" * 400}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}
    (tmp_path / "map.json").write_text(json.dumps(body))
    code, found = told("check", "map.json")
    assert code in {0, 1}
    assert {d["code"] for d in found} <= {"FT786"}
