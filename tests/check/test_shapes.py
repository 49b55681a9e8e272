"""Any JSON or YAML value at any place of a manifest: a verdict, a difference, never an internal error."""

import copy
import random
from pathlib import Path

import pytest
import yaml

from ftgen.diagnostics import Rejected
from ftgen.review import diff
from ftgen.text import yamlio
from ftgen.validation import check
from ftgen.validation.options import CheckOptions

REFERENCE = (Path(__file__).parent / "data" / "reference.yaml").read_text(encoding="utf-8")
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "models"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
}
VALUES = (
    *(
        None,
        True,
        0,
        -1,
        2**31,
        2**64,
        1.5,
        float("nan"),
        float("inf"),
        "",
        "x",
        "é",
        "0",
        "-5Gi",
        "1e999",
        "$(X)",
        "$((",
    ),
    *(
        [],
        {},
        [None],
        [[]],
        [{}],
        {"": None},
        {"a": {"b": [1]}},
        {1: 2},
        {None: None},
        {True: []},
        {"name": []},
        "x" * 5000,
    ),
)
KEYS = (None, 1, True, 1.5, "", "a.b/c", '"', "[0]", "name")
HEX = "0x" + "f" * 5000
FOUND = {
    "a key that is no text below what is refused": "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\n"
    "metadata: {name: a}\nspec: {minAvailable: 1.5, tasks: [{1: a}]}\n",
    "such a key in a kind that nobody knows": "apiVersion: a.io/v1\nkind: B\nmetadata: {1: a}\n",
    "an endless number as a kind": f"apiVersion: v1\nkind: {HEX}\n",
    "an endless number as an amount": f"apiVersion: v1\nkind: PersistentVolumeClaim\nspec: {{storage: {HEX}}}\n",
}


def places(value, path=()):
    held = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in held:
        yield (*path, step)
        yield from places(part, (*path, step))


def mutated(rng, manifest):
    manifest = copy.deepcopy(manifest)
    for _ in range(rng.choice((1, 1, 2, 4))):
        *above, last = rng.choice([*places(manifest)] or [("kind",)])
        holder = manifest
        for step in above:
            holder = holder[step]
        if rng.random() < 0.2 and isinstance(holder, dict):
            holder[rng.choice(KEYS)] = holder.pop(last)
        else:
            holder[last] = copy.deepcopy(rng.choice(VALUES))
    return rng.choice((manifest, manifest, {"apiVersion": "v1", "kind": "List", "items": [manifest, None, manifest]}))


def verdict(text):
    """What was said of a text, or how many objects it has where all is well."""
    try:
        judged = check.check(text, "a.yaml", CheckOptions())
    except Rejected as rejected:
        return rejected.diagnostics
    return judged.diagnostics or judged.objects


@pytest.mark.parametrize("seed", range(20))
def test_any_value_at_any_place(seed, tmp_path):
    rng = random.Random(seed)
    sources = [yaml.safe_load(REFERENCE), CLAIM]
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    for source in sources * 8:
        old.write_text(yaml.safe_dump(source), encoding="utf-8")
        new.write_text(yaml.safe_dump(mutated(rng, source)), encoding="utf-8")
        assert verdict(new.read_text(encoding="utf-8"))
        for pair in ((old, new), (new, old)):
            found = diff.diff_paths(*pair)
            assert diff.as_markdown(found)
            assert diff.as_text(found)
            assert diff.as_json(found)


@pytest.mark.parametrize("text", FOUND.values(), ids=FOUND)
def test_what_broke_a_rule_once(text):
    assert [d for d in verdict(text) if str(d.severity) == "error"]


def test_what_pods_ask_for_whatever_the_job_holds(tmp_path):
    odd = tmp_path / "odd.yaml"
    tasks = (
        "[null, a, {template: a}, {template: {spec: [1]}}, {replicas: {a: 1}, template: {spec: {containers: {a: b}}}}]"
    )
    for spec in ("a", "[1]", f"{{tasks: {tasks}}}", "{tasks: {a: 1}}"):
        odd.write_text(
            f"apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {{name: a}}\nspec: {spec}\n", encoding="utf-8"
        )
        (tmp_path / "none").mkdir(exist_ok=True)
        assert "Added" in diff.as_markdown(diff.diff_paths(tmp_path / "none", odd))


def test_numbers_that_no_json_reader_takes():
    with pytest.raises(Rejected) as rejected:
        yamlio.parse(f"a: {HEX}", "a.yaml")
    assert [str(d.locations[0]) for d in rejected.value.diagnostics] == ["a.yaml:1:4"]
    assert yamlio.parse("a: 0xff", "a.yaml") == {"a": 255}
