"""What could not be served is refused before anything is written, with the edit that helps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftgen import cli
from ftgen.validation.rules import SERVICE

RUN = "sft-qwen3-0-6b"


@pytest.mark.parametrize(
    ("trained", "words", "code", "help_"),
    [
        ((), ["serving.context=100000"], "FT745", "serving.context=40960"),
        ((), ["hardware.memory=4Gi"], "FT747", "serving.context="),
        ((), ["hardware.memory=1Gi"], "FT747", "hardware.memory="),
        ((), ["hardware=full-gpu", "hardware.devices=3"], "FT746", "hardware.devices=2"),
        ((), ["hardware=gaudi"], "FT744", "serving.image"),
        ((), ["hardware=ascend-910a"], "FT744", "serving.image"),
        ((), ["hardware=nvidia-shared", "--strict"], "FT749", "serving.memory_utilization=0.25"),
        ((), ["hardware=full-gpu", "hardware/card=v100-16gb"], "FT744", "newer cards"),
        ((), ["serving.image=r.example.com/ai/vllm-openai:v0.11.0", "--strict"], "FT764", "an image of 0.23.0"),
        ((), ["serving.args.max_num_seq=16"], "FT201", "max_num_seqs"),
        ((), ["serving.args.max_model_len=100"], "FT201", "serving.context"),
        ((), ["serving.version=0.1.0"], "FT103", "0.23.0"),
        ((), ["serving.memory_utilization=5e-324"], "FT103", ""),
        ((), ["serving=kserv"], "FT011", "kserve"),
        ((), ["serving.replica=2"], "FT012", "serving.replicas"),
        (("trainer.args.stage=rm", "dataset=preference-pairs"), [], "FT742", ""),
        (("trainer.merge=false", "+trainer.args.use_dora=true"), [], "FT743", "trainer.merge=true"),
        (("model.output_url=null", "storage=nfs"), [], "FT741", "model.output_url"),
        (("delivery=kubectl",), [], "FT741", "serving.revision"),
        (("trainer=yolo", "name=sft-qwen3-0-6b"), [], "FT757", "framework"),
        (("trainer=command", "trainer.command=[a]", "model=none", "name=sft-qwen3-0-6b"), [], "FT757", "framework"),
    ],
)
def test_refused(render, refused, trained, words, code, help_):
    render(*trained)
    run = RUN if "stage=rm" not in "".join(trained) else "rm-qwen3-0-6b"
    said = refused(run, *words, "--format", "json")
    found = json.loads(said)
    assert code in [each["code"] for each in found], found
    assert help_ in " ".join(each["help"] for each in found if each["code"] == code)


def test_the_largest_context_that_fits_really_fits(render, refused, serve):
    render()
    said = json.loads(refused(RUN, "hardware.memory=4Gi", "--format", "json"))
    (largest,) = [each["help"].split()[0] for each in said if each["code"] == "FT747"]
    serve(RUN, "hardware.memory=4Gi", largest)
    longer = f"serving.context={int(largest.partition('=')[2]) + 16}"
    assert "FT747" in refused(RUN, "hardware.memory=4Gi", longer)


@pytest.mark.parametrize("tag", ["v0.23.0", "v0.23.0-a3", "0.23", "nightly", "v0.23.0@sha256:" + "0" * 64])
def test_an_image_of_the_checked_release_is_silent(render, serve, tag):
    render()
    serve(RUN, f"serving.image='r.example.com/ai/vllm:{tag}'", "--strict")


def test_a_name_that_is_no_run(render, refused):
    render()
    assert f"{RUN}-" in refused("nothing")
    assert "FT527" in refused("nothing", "-o", "elsewhere")


def test_a_file_that_is_no_run(render, refused, folder):
    render()
    (config_map,) = (folder / "out").rglob("configmap-*.yaml")
    assert "FT748" in refused(str(config_map))
    assert "FT002" in refused("missing.yaml")


@pytest.mark.parametrize("text", ["[]", "a: b", "kind: Job\nmetadata: 1", "kind: Job\nmetadata: {annotations: 1}", "{"])
def test_a_file_of_another_shape(refused, folder, text):
    (folder / "x.yaml").write_text(text, encoding="utf-8")
    assert "error[" in refused("x.yaml")


@pytest.mark.parametrize("recorded", [(), ("trainer.lr=1e-3", "trainer.epochs=1")])
def test_a_word_is_blamed_where_it_was_typed(render, refused, recorded):
    render(*recorded)
    said = refused(f"serving.context={2**20}", RUN, "serving.port=8080", "--format", "json")
    places = [each["locations"] for each in json.loads(said)]
    assert places == [[{"file": "<command line>", "line": 1, "column": 0}]] * len(places) != []
    assert f"serving.context={2**20}" in refused(f"serving.context={2**20}", RUN)


def test_what_the_run_said_is_blamed_on_the_run(render, refused):
    render("trainer.merge=false", "trainer.args.use_dora=true")
    (found,) = json.loads(refused("serving.port=8080", RUN, "--format", "json"))
    assert found["locations"] == [{"file": "<command line>", "line": 2, "column": 0}]


def test_words_of_the_run_that_are_no_overrides_are_blamed_on_the_run(render, refused):
    render()
    (file,) = Path("out").rglob("job-*.yaml")
    text = file.read_text(encoding="utf-8").replace("overrides: '[", """overrides: '["trainer.lr=[", """)
    Path("run.yaml").write_text(text, encoding="utf-8")
    (found,) = json.loads(refused("serving.port=8080", "run.yaml", "--format", "json"))
    assert found["code"] == "FT010"
    assert found["locations"] == [{"file": "<command line>", "line": 2, "column": 0}]


def test_a_training_serves_nothing(capsys):
    assert cli.main(["+serving=kserve", "-q"]) == 1
    assert "FT008" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["a=b"], ["one", "two"], ["one", "-m"]])
def test_one_run_is_served_at_a_time(words):
    assert cli.main(["serve", *words]) == 2


def test_a_part_of_a_shared_card_is_no_trouble(render, serve):
    render()
    serve(RUN, "hardware=nvidia-shared", "serving.memory_utilization=0.25", "--strict")


def test_every_rule_about_services_has_a_case():
    cases = Path(__file__).read_text(encoding="utf-8")
    assert [each.code for each in SERVICE.rules if each.code not in cases] == []
