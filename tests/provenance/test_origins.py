"""Where a key comes from, replayed over real configuration trees composed by Hydra."""

from textwrap import dedent

import pytest

from ftgen.config.compose import Composer, Request
from ftgen.provenance.origins import KeyOrigins

TREE = {
    "config.yaml": """\
        # the primary configuration
        defaults:
          - hardware: gpu
          - trainer: sft
          - cluster@site: east
          - _self_

        name: demo
        trainer:
          epochs: 3
        derived: ${hardware.devices}
        chosen: ${hydra:runtime.choices.hardware}
        job: {restarts: 2, labels: [a, b]}
        """,
    "hardware/gpu.yaml": """\
        # a card per node
        devices: 1
        memory: 16Gi
        tolerations:
        - key: nvidia.com/gpu
          operator: Exists
        """,
    "hardware/npu.yaml": "vendor: huawei\ndevices: 8\n",
    "trainer/sft.yaml": """\
        defaults:
          - args: lora
        lr: 1e-4
        epochs: 1
        base: &common {seed: 1}
        eval:
          <<: *common
          steps: ${..epochs}
        """,
    "trainer/args/lora.yaml": "rank: 8\nalpha: ${.rank}\n",
    "trainer/args/full.yaml": "pure_bf16: true\n",
    "cluster/east.yaml": "queue: default\n",
    "experiment/big.yaml": """\
        # @package _global_
        defaults:
          - override /hardware: npu
          - override /trainer/args: full
        trainer:
          lr: 2e-5
        job: null
        """,
}


@pytest.fixture
def conf(tmp_path):
    for name, text in TREE.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return tmp_path


@pytest.fixture
def provenance(conf):
    def trace(*overrides):
        composer = Composer(Request(config_path=conf / "conf", directory=conf))
        parsed = composer.parse(overrides)
        made = composer.trace(parsed)
        return KeyOrigins(made.layers, made.overrides, made.choices)

    return trace


def said(origins):
    return [(str(origin.location), origin.value_text) for origin in origins]


def test_a_key_comes_from_the_file_and_line_that_wrote_it(provenance):
    assert said(provenance().origins("hardware.memory")) == [("conf/hardware/gpu.yaml:3:9", "16Gi")]
    assert said(provenance().origins("name")) == [("conf/config.yaml:8:7", "demo")]


def test_every_layer_that_spoke_is_kept_and_the_last_one_holds(provenance):
    assert said(provenance("trainer.epochs=5", "+trainer.epochs=6").origins("trainer.epochs")) == [
        ("conf/trainer/sft.yaml:4:9", "1"),
        ("conf/config.yaml:10:11", "3"),
        ("<command line>:1", "5"),
        ("<command line>:2", "6"),
    ]


def test_an_experiment_writes_at_the_top_whatever_its_folder(provenance):
    assert said(provenance("+experiment=big").origins("trainer.lr")) == [
        ("conf/trainer/sft.yaml:3:5", "0.0001"),
        ("conf/experiment/big.yaml:6:7", "2e-05"),
    ]


def test_a_file_speaks_under_the_package_it_was_chosen_for(provenance):
    assert said(provenance().origins("site.queue")) == [("conf/cluster/east.yaml:1:8", "default")]
    assert provenance().origins("cluster.queue") == []
    assert said(provenance().origins("trainer.args.rank")) == [("conf/trainer/args/lora.yaml:1:7", "8")]


def test_a_section_comes_from_its_option_at_the_first_key(provenance):
    assert said(provenance().origins("trainer"))[0][0] == "conf/trainer/sft.yaml:3:1"
    assert said(provenance().origins("hardware"))[0][0] == "conf/hardware/gpu.yaml:2:1"


@pytest.mark.parametrize("key", ["hardware.tolerations[0].operator", "hardware.tolerations.0.operator"])
def test_items_of_a_list_are_found_by_position(provenance, key):
    assert said(provenance().origins(key)) == [("conf/hardware/gpu.yaml:6:13", "Exists")]


def test_merged_keys_stand_where_they_were_written(provenance):
    assert said(provenance().origins("trainer.eval.seed")) == [("conf/trainer/sft.yaml:5:22", "1")]


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("job.restarts=9", "9"),
        ("job={restarts: 7, x: 1}", "7"),
        ("job=null", "null"),
        ("job=5", "5"),
        ("~job", "~job"),
        ("~job.restarts", "~job.restarts"),
        ("++job.restarts='a b'", "'a b'"),
    ],
)
def test_an_override_of_the_key_or_of_what_holds_it_has_the_last_word(provenance, override, text):
    assert said(provenance("name=x", override).origins("job.restarts")) == [
        ("conf/config.yaml:13:17", "2"),
        ("<command line>:2", text),
    ]


@pytest.mark.parametrize(
    "override", ["job={labels: []}", "job.labels=[c]", "job.restart=1", "jobs=1", "++job.restarts.x=1"]
)
def test_an_override_beside_or_below_a_key_says_nothing_about_it(provenance, override):
    assert said(provenance(override).origins("job.restarts")) == [("conf/config.yaml:13:17", "2")]


def test_a_value_in_place_of_a_section_speaks_for_the_keys_that_it_removed(provenance):
    assert said(provenance("+experiment=big").origins("job.restarts"))[-1] == (
        "conf/experiment/big.yaml:7:6",
        "null",
    )
    assert said(provenance("job.labels=[c]").origins("job.labels[1]"))[-1] == ("<command line>:1", "[c]")


@pytest.mark.parametrize(
    "key", ["", "nothing", "hardware.nothing", "defaults", "defaults[0].hardware", "job.restarts.x.y.z"]
)
def test_what_nobody_wrote_comes_from_nowhere(provenance, key):
    origins = provenance().origins(key)
    assert said(origins) == ([("conf/config.yaml:13:17", "2")] if key.startswith("job") else [])


def test_an_interpolated_value_names_what_it_was_made_of(provenance):
    traced = provenance("hardware.devices=4")
    assert said(traced.references("derived")) == [("<command line>:1", "4")]
    assert said(traced.references("trainer.args.alpha")) == [("conf/trainer/args/lora.yaml:1:7", "8")]
    assert said(traced.references("trainer.eval.steps")) == [("conf/config.yaml:10:11", "3")]
    assert said(traced.references("chosen")) == [("conf/config.yaml:3:15", "gpu")]
    assert traced.references("name") == traced.references("nothing") == []


def test_an_override_may_interpolate_too(provenance):
    assert said(provenance("name=x-${site.queue}").references("name")) == [("conf/cluster/east.yaml:1:8", "default")]


def test_the_choice_of_an_option_comes_from_a_defaults_list(provenance):
    assert said(provenance().choice_origins("hardware")) == [("conf/config.yaml:3:15", "gpu")]
    assert said(provenance().choice_origins("cluster")) == [("conf/config.yaml:5:19", "east")]
    assert said(provenance().choice_origins("trainer/args")) == [("conf/trainer/sft.yaml:2:11", "lora")]
    assert provenance().choice_origins("nothing") == []


def test_an_overriding_entry_outranks_a_plain_one_and_the_command_line_both(provenance):
    assert said(provenance("+experiment=big").choice_origins("hardware")) == [
        ("conf/config.yaml:3:15", "gpu"),
        ("conf/experiment/big.yaml:3:25", "npu"),
    ]
    assert said(provenance("name=x", "hardware=npu", "+experiment=big").choice_origins("hardware"))[-1] == (
        "<command line>:2",
        "npu",
    )
    assert said(provenance("+experiment=big").choice_origins("trainer/args"))[-1] == (
        "conf/experiment/big.yaml:4:29",
        "full",
    )


def test_nothing_is_read_before_it_is_asked_for(provenance, conf):
    traced = provenance()
    (conf / "conf/hardware/gpu.yaml").unlink()
    (conf / "conf/config.yaml").write_text("a: [\n")
    assert traced.origins("hardware.devices") == []
    assert said(traced.origins("trainer.lr")) == [("conf/trainer/sft.yaml:3:5", "0.0001")]
