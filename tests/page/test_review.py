"""The page of a plan, a difference and a publication: what it shows, and that nothing on it runs or loads."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.page.pages import (
    HOSTILE,
    SMALL,
    THOUSAND,
    Element,
    cells,
    hash_of,
    outside,
    policy,
    read,
    rows,
    section,
    written,
)

from ftgen import cli
from ftgen.cli import completion

TIMES = "\N{MULTIPLICATION SIGN}"
SECTIONS = ["findings", "matrix", "jobs", "memory", "sums", "changes", "pods", "reproduce"]


def _sections(page: Element) -> list[str]:
    return [str(each.attributes["id"]) for each in page.all("section")][1:]  # after the summary


# what it shows


def test_the_page_shows_what_the_plan_says(small: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = read(small)
    assert cli.main(["plan", *SMALL, "--fit", "--json"]) == 0
    jobs = json.loads(capsys.readouterr().out)["jobs"]
    shown = rows(page, "job-table")
    assert _sections(page) == SECTIONS
    assert [row[0] for row in shown] == [job["job"] for job in jobs]
    assert [row[1:3] for row in shown] == [list(job["swept"].values()) for job in jobs]
    assert [row[3:5] for row in shown] == [["added", job["fit"]["verdict"]] for job in jobs]
    used = [f"{job['fit']['device_gib']:g} / {job['fit']['available_gib']:g}" for job in jobs]
    assert [row[5] for row in shown] == used
    assert [row[-1] for row in shown] == [f"{job['storage_gib']:g}" for job in jobs]


def test_the_matrix_has_the_axes_as_rows_and_columns(small: str) -> None:
    page = read(small)
    matrix = page.by_id("matrix-table")
    (head,) = matrix.all("thead")
    assert [cell.text for cell in head.all("th")] == ["model", "0.0001", "0.0002"]
    assert rows(page, "matrix-table") == [["qwen3-0.6b", "6.28", "6.28"], ["qwen3-8b", "21.48", "21.48"]]


def test_the_matrix_begins_with_the_axes_that_tell_most_of_the_memory(thousand: str) -> None:
    (head,) = read(thousand).by_id("matrix-table").all("thead")
    assert [cell.text for cell in head.all("th")] == ["cutoff_len", "8", "16", "32", "64"]


def test_a_job_of_which_no_memory_is_known_has_no_bar() -> None:
    page = read(written("plan", "-m", "trainer=yolo", "hardware=cpu", "trainer.args.epochs=1,2", "name=eyes"))
    assert not list(page.all("symbol"))
    assert "Nothing is known" in section(page, "memory").text
    assert rows(page, "matrix-table") == [["1", "1"], ["2", "1"]]


def test_a_bar_has_the_parts_of_the_estimate_and_the_end_of_the_card(small: str) -> None:
    page = read(small)
    (drawing, _) = page.all("symbol")
    ends = [(path.attributes["class"], path.attributes["d"]) for path in drawing.all("path")]
    # 1.13, 0.04, 0.12, 3.48 and 1.51 of 8 GiB, on a scale of 240.
    assert ends == [
        ("w", "M0 5H34"),
        ("s", "M34 5H35"),
        ("a", "M35 5H39"),
        ("l", "M39 5H143"),
        ("o", "M143 5H188"),
        ("k", "M240 0V10"),
    ]
    assert section(page, "memory").text.count("3.48") == 2


def test_a_job_that_hardly_fits_is_told_in_words_and_its_rule_explained() -> None:
    page = read(written("plan", "model=qwen3-8b", "hardware.memory=20Gi"))
    ((_, _, _, fit, memory, *_),) = rows(page, "job-table")
    assert (fit, memory) == ("tight", "21.48 / 20")
    (bar,) = page.all("symbol")
    assert [path.attributes["d"] for path in bar.all("path")][-2:] == ["M219 5H240", "M223 0V10"]
    found = section(page, "findings")
    assert "FT280" in found.text
    assert page.by_id("FT280").name == "h3"
    assert "#FT280" in {link.attributes["href"] for link in found.all("a")}


def test_sums_are_by_queue() -> None:
    page = read(written("plan", "-m", "cluster.queue=one,two", "hardware=full-gpu", "hardware.devices=2"))
    shown = [cells(row) for row in section(page, "sums").all("tr")][1:]
    assert [row[:5] for row in shown] == [
        ["one", f"2 {TIMES} nvidia.com/gpu", "1", "1", "2"],
        ["two", f"2 {TIMES} nvidia.com/gpu", "1", "1", "2"],
        ["all queues", f"4 {TIMES} nvidia.com/gpu", "2", "2", "4"],
    ]


def test_the_changes_are_unfolded_by_class() -> None:
    assert cli.main(["-q", "name=run", "cluster.priority_class=low"]) == 0
    page = read(written("diff", "name=run", "cluster.priority_class=high", "cluster.annotations.note=a", code=1))
    changes = section(page, "changes").text
    assert "in place" in changes
    assert "spec.priorityClassName" in changes
    assert '"low"' in changes
    assert '"high"' in changes
    assert "metadata.annotations.note" in changes
    ((_, change, *_),) = rows(page, "job-table")
    assert change == "in place"


def test_objects_that_differ_in_the_same_fields_are_told_together() -> None:
    assert cli.main(["-q", *SMALL]) == 0
    page = read(written("plan", *SMALL, "cluster.annotations.note=a"))
    changes = section(page, "changes")
    assert changes.text.count("metadata.annotations.note") == 1
    assert f"4 {TIMES} Job" in changes.text
    assert {row[3] for row in rows(page, "job-table")} == {"metadata"}


def test_values_that_differ_by_object_stand_beside_its_name() -> None:
    words = ["-m", "name=sweep", "trainer.lr=1e-4,2e-4"]
    assert cli.main(["-q", *words, "cluster.priority_class=low"]) == 0
    for number, file in enumerate(sorted(Path("out/sweep").glob("job-*.yaml"))):
        file.write_text(file.read_text().replace("priorityClassName: low", f"priorityClassName: low{number}"))
    page = read(written("diff", *words, "cluster.priority_class=low", code=1))
    text = section(page, "changes").text
    assert '"low0" → "low"' in text
    assert '"low1" → "low"' in text


def test_two_folders_are_compared_without_a_configuration() -> None:
    assert cli.main(["-q", "-o", "old", "name=run"]) == 0
    assert cli.main(["-q", "-o", "new", "name=run", "trainer.lr=1e-5"]) == 0
    page = read(written("diff", "old", "new", code=1))
    assert _sections(page) == ["findings", "changes", "pods", "reproduce"]
    assert "learning_rate" in section(page, "changes").text
    (title,) = page.all("h1")
    assert title.text == "Changes to old → new"


def test_what_each_pod_sees_is_shown_side_by_side() -> None:
    page = read(written("plan", "name=run", "hardware=full-gpu", "hardware.nodes=3", "hardware.devices=2"))
    pods = section(page, "pods")
    heads = {cell.text for table in pods.all("table") for cell in next(table.all("thead")).all("th")}
    assert {name.rpartition("-train-")[2] for name in heads if "-train-" in name} == {"0", "2"}
    assert "Two of its 3 pods." in pods.text
    (rank,) = (row for row in pods.all("tr") if row.text.startswith("\N{NOT EQUAL TO} rank"))
    assert rank.text == "\N{NOT EQUAL TO} rank02"
    assert "MODEL_REPO_GIT_TOKEN" in pods.text


def test_pods_see_what_the_preview_tells(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("name=run", "hardware=full-gpu", "hardware.nodes=2", "hardware.devices=2")
    assert cli.main(["preview", *words, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["jobs"][0]["pods"]
    (env,) = (
        t for t in section(read(written("plan", *words)), "pods").all("table") if t.text.startswith("train / env")
    )
    shown = {row[0]: row[1:] for row in (cells(row) for row in env.all("tr"))}
    for pod, column in ((first, 0), (second, -1)):
        variables = next(each for each in pod["containers"] if each["name"] == "train")["env"]
        for name, value in ((each["name"], each["value"]) for each in variables):
            told = {key.lstrip("\N{NOT EQUAL TO} "): values for key, values in shown.items()}[name][column]
            assert told == value.strip() or (len(value) > 240 and "…" in told)


def test_pods_of_a_sweep_are_told_by_what_differs(thousand: str) -> None:
    pods = section(read(thousand), "pods")
    (differences, *_) = pods.all("table")
    shown = dict(cells(row) for row in differences.all("tr"))
    assert shown["train / TRAIN_CONFIG: lora_rank"] == "8, 16, 32, 64"
    assert shown["train / TRAIN_CONFIG: learning_rate"] == "0.0001, 0.0002, 0.0003, 0.0004, 0.0005"
    assert "train / JOB_NAME" not in shown


def test_the_commands_make_the_page_and_the_manifests_again() -> None:
    page = read(written("plan", "name=run", "--fit", "-o", "tree", "cluster.annotations={note: b}", code=0))
    commands = [each.text for each in section(page, "reproduce").all("pre")]
    assert commands == [
        "ftgen plan name=run --fit -o tree 'cluster.annotations={note: b}' --quiet --page page.html",
        "ftgen name=run -o tree 'cluster.annotations={note: b}' --quiet",
    ]


@pytest.mark.parametrize("words", [["-oplan.html"], ["-o=plan.html"], ["-o", "plan.html"], ["--out=plan.html"]])
def test_the_file_of_the_page_is_no_folder_of_the_manifests(words: list[str]) -> None:
    assert cli.main(["plan", "name=run", *words, "-otree", "-q"]) == 0
    page = read(Path("plan.html").read_text(encoding="utf-8"))
    assert [each.text for each in section(page, "reproduce").all("pre")][1:] == ["ftgen name=run -otree -q"]


# where it goes


def test_html_is_printed_where_no_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "name=run", "--format", "html"]) == 0
    assert read(capsys.readouterr().out)
    assert not list(Path().iterdir())


def test_a_file_takes_the_page_and_a_folder_is_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-q", "-o", "tree", "name=run"]) == 0
    assert cli.main(["diff", "name=run", "-o", "tree", "--format", "html", "-o", "sub/page.html"]) == 0
    assert capsys.readouterr().out == ""
    assert "unchanged" in section(read(Path("sub/page.html").read_text()), "changes").text


def test_an_earlier_page_is_replaced_and_no_other_file(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "-q", "name=run", "--page", "page.html"]
    Path("page.html").write_text("mine")
    assert cli.main(words) == 1
    assert "page.html" in capsys.readouterr().err
    assert Path("page.html").read_text() == "mine"
    assert cli.main([*words, "--overwrite"]) == 0
    assert cli.main([*words, "trainer.lr=1e-5"]) == 0


def test_the_shell_completes_forms_and_languages() -> None:
    assert completion.candidates("ftgen plan --lang ") == ["en", "zh"]
    assert completion.candidates("ftgen diff --format h") == ["html"]
    assert completion.candidates("ftgen publish --pag") == ["--page"]


def test_a_page_on_standard_output_stands_there_alone(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["plan", "name=run"], ["diff", "name=run"]):
        assert cli.main([*words, "--page", "-"]) in {0, 1}
        assert read(capsys.readouterr().out).by_id("changes")


def test_a_rejected_configuration_has_no_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "hardware=asend", "--format", "html", "-o", "page.html"]) == 1
    found = capsys.readouterr()
    assert "error[FT011]" in found.err
    assert (found.out, list(Path().iterdir())) == ("", [])


def test_publishing_writes_the_page_beside_the_repository(git: Path) -> None:
    words = [
        "publish",
        "-q",
        "--repo",
        str(git),
        "--branch",
        "main",
        "--path",
        "lab",
        "name=run",
        "--page",
        "page.html",
    ]
    assert cli.main(words) == 0
    page = read(Path("page.html").read_text())
    (title,) = page.all("h1")
    assert title.text == "Publication of run"
    assert "added" in section(page, "changes").text
    files = subprocess.run(["git", "-C", git, "ls-tree", "-r", "--name-only", "main"], capture_output=True, check=True)
    assert b"page.html" not in files.stdout
    assert cli.main(words) == 0
    assert "unchanged" in section(read(Path("page.html").read_text()), "changes").text


def test_a_page_of_a_commit_on_standard_output_stands_there_once(git: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["publish", "-q", "--repo", str(git), "--branch", "main", "name=run", "--page", "-"]) == 0
    out = capsys.readouterr().out
    assert out.count("<!DOCTYPE html>") == 1
    assert "added" in section(read(out), "changes").text


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", "-b", "main", folder], check=True)
    for key, value in (
        ("AUTHOR_NAME", "a"),
        ("AUTHOR_EMAIL", "a@b"),
        ("COMMITTER_NAME", "a"),
        ("COMMITTER_EMAIL", "a@b"),
    ):
        monkeypatch.setenv(f"GIT_{key}", value)
    subprocess.run(["git", "-C", folder, "commit", "-q", "--allow-empty", "-m", "start"], check=True)
    return folder


# one file, the same everywhere, small


def test_the_same_input_gives_the_same_bytes(small: str, tmp_path: Path) -> None:
    assert written("plan", *SMALL, "--lang", "en") == small
    assert str(tmp_path) not in small


def test_ftgens_own_files_are_named_alike_wherever_it_is_installed() -> None:
    page = written("plan", "hardware=full-gpu", "hardware.nodes=2")
    assert "ftgen/conf/storage/topolvm.yaml:15:10" in page
    assert str(Path(__file__).parents[2]) not in page


ZIPPED = ("seed", "data_seed", "warmup_steps", "logging_steps", "save_steps", "lora_alpha", "max_samples")
LENGTHS = ("-m", "trainer.cutoff_len=range(512,1512)", "name=lengths")
WIDE = (
    "-m",
    "name=wide",
    *(f"trainer.args.{key}=range({position + 1}000,{position + 2}000)" for position, key in enumerate(ZIPPED)),
    f"sweep.zip=[{','.join(f'trainer.args.{key}' for key in ZIPPED)}]",
)


@pytest.mark.parametrize("words", [(), LENGTHS, WIDE], ids=["grid", "one axis", "seven axes"])
def test_a_thousand_jobs_take_at_most_300_kilobytes(words: tuple[str, ...], thousand: str) -> None:
    page = written("plan", *words) if words else thousand
    assert len(rows(read(page), "job-table")) == 1000
    assert len(page.encode()) <= 300_000


def test_a_thousand_changed_jobs_take_at_most_300_kilobytes() -> None:
    assert cli.main(["-q", *THOUSAND]) == 0
    changed = ("hardware.memory=49Gi", "cluster.annotations.team=nlp", "trainer.args.warmup_ratio=${trainer.lr}")
    page = written("diff", *THOUSAND, *changed, "--lang", "zh", code=1)  # its characters take three bytes
    assert {row[6] for row in rows(read(page), "job-table")} == {"新的运行"}
    assert len(page.encode()) <= 300_000


def test_nothing_is_loaded_and_only_the_own_script_and_style_are_allowed(small: str) -> None:
    page = read(small)
    ((script,), (style,)) = (list(page.all(name)) for name in ("script", "style"))
    assert policy(page).startswith(
        f"default-src 'none'; script-src {hash_of(script.text)}; style-src {hash_of(style.text)}; "
    )
    assert not list(page.all("link"))
    assert outside(small) == []
    assert not [each for each in page.all() for name in each.attributes if name == "style" or name.startswith("on")]
    assert all(str(each.attributes["href"]).startswith("#") for name in ("a", "use") for each in page.all(name))


def test_anchors_and_labels_lead_somewhere(small: str) -> None:
    page = read(small)
    ids = [each.attributes["id"] for each in page.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    links = {str(each.attributes["href"])[1:] for name in ("a", "use") for each in page.all(name)}
    named = {
        each.attributes[key]
        for each in page.all()
        for key in ("for", "aria-labelledby", "aria-describedby")
        if key in each.attributes
    }
    assert links | named <= set(ids)


def test_tables_have_captions_and_scopes(small: str) -> None:
    for table in read(small).all("table"):
        assert next(table.all("caption")).text
        assert {cell.attributes["scope"] for cell in table.all("th")} == {"col", "row"}


def test_the_page_speaks_chinese(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    page = read(written("plan", *SMALL))
    (html,) = page.all("html")
    assert html.attributes["lang"] == "zh"
    assert [each.text for each in page.all("h2")] == [
        "概要", "诊断", "矩阵", "任务", "显存", "按队列合计", "变更", "每个 Pod 所见", "命令"
    ]  # fmt: skip
    assert rows(page, "job-table")[0][3:5] == ["新增", "足够"]
    assert read(written("plan", *SMALL, "--lang", "en")).by_id("jobs-title").text == "Jobs"


# hostile texts


def test_hostile_values_are_texts() -> None:
    note = json.dumps(HOSTILE)
    page = read(written("plan", "-m", f"cluster.annotations={{note: {note}}},{{note: b}}", "name=run"))
    assert [row[1] for row in rows(page, "job-table")][1] == '{"note": "b"}'
    assert "\\u202e" in rows(page, "job-table")[0][1]
    assert len(list(page.all("script"))) == 1
    assert not list(page.all("img"))


def test_hostile_manifests_are_texts() -> None:
    manifest = {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": HOSTILE,
        "metadata": {"name": HOSTILE, "labels": {HOSTILE: HOSTILE}, "annotations": [HOSTILE]},
    }
    Path("old.json").write_text(json.dumps(manifest))
    Path("new.json").write_text(json.dumps({**manifest, "spec": {HOSTILE: f"{HOSTILE}\n{HOSTILE}"}}))
    text = written("diff", "old.json", "new.json", code=1)
    page = read(text)
    assert len(list(page.all("script"))) == 1
    assert not list(page.all("img"))
    assert not {"\u202e", "\u2028"} & set(text)


def test_secrets_of_foreign_manifests_and_of_the_command_line_are_masked() -> None:
    job = """\
apiVersion: batch/v1
kind: Job
metadata: {name: a}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: train
        image: busybox
        env: [{name: HF_TOKEN, value: TOKEN}]
"""
    secret = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz012345"
    Path("old.yaml").write_text(job)
    Path("new.yaml").write_text(job.replace("TOKEN}", f"{secret}}}"))
    text = written("diff", "old.yaml", "new.yaml", code=1)
    assert "HF_TOKEN" in text
    assert secret not in text
