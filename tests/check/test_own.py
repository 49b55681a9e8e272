"""What ftgen renders passes its own check: `ftgen CHOICES && ftgen check --strict out`, for every option."""

import hashlib
import json
import random
from pathlib import Path

import pytest
from tools.options import GROUPS, chosen

from ftgen import schema
from ftgen.cli import main
from ftgen.validation import codes_of
from ftgen.validation.options import CheckOptions, restore_options

SEED, SAMPLE = 11, 40
PLAIN = ["hardware=full-gpu", "tracking=none"]


def every_option():
    for group, options in GROUPS.items():
        for option in options:
            yield chosen(group, option)
    for hardware in GROUPS["hardware"]:
        yield (*chosen("hardware", hardware), "target=job")
        yield (*chosen("hardware", hardware), "hardware.nodes=2", "storage=nfs")
    for release in ("1.13", "1.14", "1.15", "newest"):
        yield (f"cluster.volcano_version='{release}'",)
    for line in (schema.KUBERNETES[0], "newest"):
        yield (f"cluster.kubernetes_version='{line}'", "cluster.volcano_version=newest")


def sample():
    rng = random.Random(SEED)
    groups = [group for group in GROUPS if group not in {"experiment", "sweep"}]
    for _ in range(SAMPLE):
        words = {}
        for group in rng.sample(groups, 4):
            for word in chosen(group, rng.choice(list(GROUPS[group]))):
                words[word.partition("=")[0]] = word
        extras = ((f"hardware.nodes={rng.choice((1, 2))}",), (f"hardware.devices={rng.choice((1, 8))}",))
        yield (*words.values(), *rng.choice((*extras, chosen("sweep", "seeds"))))


def run(capsys, *words):
    capsys.readouterr()
    code = main([*words, "--format", "json"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else []


@pytest.mark.parametrize("words", [*every_option(), *sample()], ids=" ".join)
def test_what_is_rendered_passes_its_own_check(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, told = run(capsys, *words, "-q")
    if code:
        assert not Path("out").exists()
        return

    checked, found = run(capsys, "check", "--strict", "out")

    assert [d for d in found if d["severity"] == "error"] == []
    assert checked == 0
    # What the render warned of is not lost.
    warned = {d["code"] for d in told if d["severity"] == "warning" and d["code"].startswith("FT4")}
    assert warned <= {code for d in found for code in codes_of(d["code"])}


def test_most_of_them_render_without_a_warning(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    silent = [main([*words, "-q", "--strict", "-o", str(i)]) == 0 for i, words in enumerate(every_option())]
    assert sum(silent) > len(silent) / 2


@pytest.fixture
def rendered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*PLAIN, "-q"]) == 0
    (file,) = Path("out").glob("*/job-*.yaml")
    return file


def codes(found):
    return {d["code"] for d in found if d["severity"] == "error"}


def test_what_was_accepted_is_told_with_its_reason(rendered, capsys):
    code, found = run(capsys, "check", "--strict", "out")

    assert code == 0
    notes = [d for d in found if d["code"] == "FT469"]
    assert notes
    assert {d["help"] for d in notes} == {
        "accepted when it was rendered: the platform's GitLab has a self-signed certificate"
    }


def test_what_no_flag_names_is_told(rendered, capsys):
    """A clone may bring it, and nothing that it excuses is a finding."""
    assert main(["check", "out"]) == 0
    assert "judged with what out/ftgen.lock records of 2 files\n" in capsys.readouterr().err
    Path("rules").mkdir()
    Path("schemas").mkdir()
    rule = "{name: named, match: VolcanoJob, expression: object.metadata.name != '', message: it has a name}"
    Path("rules/a.yaml").write_text(f"rules: [{rule}]\n", encoding="utf-8")
    assert main(["check", "out"]) == 0
    assert "judged with what out/ftgen.lock records of 2 files, schemas/, rules/\n" in capsys.readouterr().err
    assert main(["check", "--cluster", "alauda", "out"]) == 0
    assert "judged with schemas/, rules/\n" in capsys.readouterr().err
    rendered.write_text(rendered.read_text(encoding="utf-8") + "# by hand\n", encoding="utf-8")
    assert main(["check", str(rendered)]) == 0
    assert "ftgen.lock" not in capsys.readouterr().err


def test_a_file_that_was_edited_is_judged_like_any_other(rendered, capsys):
    rendered.write_text(rendered.read_text(encoding="utf-8") + "# by hand\n", encoding="utf-8")

    assert codes(run(capsys, "check", "--strict", str(rendered))[1]) == {"FT469", "FT494"}


def test_a_copy_beside_the_tree_or_in_it_is_judged_like_any_other(rendered, capsys):
    for other in (Path("copy.yaml"), rendered.with_name("copy.yaml")):
        other.write_bytes(rendered.read_bytes())
        assert codes(run(capsys, "check", "--strict", str(other))[1]) == {"FT469", "FT494"}


def test_flags_win_over_what_the_index_says(rendered, capsys):
    assert run(capsys, "check", "--strict", "out", "--cluster", "generic")[0] == 1
    assert run(capsys, "check", "--strict", "out", "--cluster", "alauda")[0] == 0
    assert run(capsys, "check", "--strict", "out", "--volcano-version", "1.15")[0] == 0


def test_the_index_names_kubernetes_where_the_configuration_does(rendered, capsys):
    assert main([*PLAIN, "cluster.kubernetes_version='1.34'", "name=stated", "-q"]) == 0

    index = json.loads(Path("out/ftgen.lock").read_text(encoding="utf-8"))
    stated = {file.split("/")[0]: judged.get("kubernetes_version") for file, judged in index["judged"].items()}

    assert stated == {rendered.parent.name: None, "stated": "1.34"}
    assert run(capsys, "check", "--strict", "out")[0] == 0
    judged = json.dumps({"kubernetes_version": "1.34"})
    assert restore_options(judged, CheckOptions()).kubernetes_version == "1.34"
    assert restore_options(judged, CheckOptions(kubernetes_version="1.32")).kubernetes_version == "1.32"


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        "x",
        {"volcano_version": "0.1"},
        {"volcano_version": [1]},
        {"kubernetes_version": "0.1"},
        {"kubernetes_version": [1]},
        {"facts": {"card": 1}},
        {"allow": ["FT469"]},
        None,
    ],
)
def test_an_index_that_says_nothing_of_use(said, rendered, capsys):
    lock = Path("out/ftgen.lock")
    index = json.loads(lock.read_text(encoding="utf-8"))
    index["judged"] = dict.fromkeys(index["judged"], said)
    lock.write_text(json.dumps(index), encoding="utf-8")

    assert "FT469" in codes(run(capsys, "check", "--strict", "out")[1])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1, "files": 3}'])
def test_an_index_that_is_none(text, rendered, capsys):
    Path("out/ftgen.lock").write_text(text, encoding="utf-8")

    assert codes(run(capsys, "check", "--strict", str(rendered))[1]) == {"FT469", "FT494"}


def test_no_index_makes_the_cluster_take_what_admission_denies(rendered, capsys):
    text = rendered.read_text(encoding="utf-8").replace("minAvailable: 1", "minAvailable: 9")
    rendered.write_text(text, encoding="utf-8")
    lock = Path("out/ftgen.lock")
    index = json.loads(lock.read_text(encoding="utf-8"))
    entry = index["files"][str(rendered.relative_to("out"))]
    entry["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    for terms in index["judged"].values():
        terms["allow"] = {"FT315": "we know better", "FT469": "so it is", "FT494": "nodes have them"}
    lock.write_text(json.dumps(index), encoding="utf-8")

    assert codes(run(capsys, "check", "--strict", "out")[1]) == {"FT315"}


def test_the_jobs_of_a_sweep_share_a_row_and_others_have_their_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*PLAIN, "-m", "+sweep=seeds", "name=all", "-q"]) == 0
    assert main([*PLAIN, "-m", "cluster=alauda,alauda-restricted", "name=two", "-q"]) == 0

    judged = json.loads(Path("out/ftgen.lock").read_text(encoding="utf-8"))["judged"]

    assert [run for run in judged if run.startswith("seeds")] == ["seeds/*"]
    assert {terms["pod_security"] for run, terms in judged.items() if run.startswith("two/")} == {
        "privileged",
        "restricted",
    }
    assert run(capsys, "check", "--strict", "out")[0] == 0
