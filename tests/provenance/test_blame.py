"""Diagnostics get the locations of their subjects."""

from pathlib import Path

import pytest

from ftgen import runtime
from ftgen.config.compose import Composer, Request
from ftgen.config.trace import Layer, OverrideTrace
from ftgen.diagnostics import Location, error, warning
from ftgen.provenance import dependencies
from ftgen.provenance.origins import KeyOrigins, add_key_locations


@pytest.fixture
def provenance(tmp_path: Path) -> KeyOrigins:
    primary = tmp_path / "config.yaml"
    primary.write_text("defaults:\n- storage: topolvm\n- _self_\nname: demo\nnodes: ${storage.nodes}\n")
    option = tmp_path / "topolvm.yaml"
    option.write_text("# local disks\nclass: topolvm\nnodes: 1\naccess: {mode: ReadWriteOnce}\n")
    return KeyOrigins(
        [Layer(option, "conf/storage/topolvm.yaml", "storage"), Layer(primary, "conf/config.yaml", "")],
        [OverrideTrace(3, "storage.nodes=2", "storage.nodes")],
        [OverrideTrace(1, "trainer=sft", "trainer")],
    )


def places(subject, provenance):
    (located,) = add_key_locations([error("FT203", "it does not fit", subject)], provenance)
    return [str(place) for place in located.locations]


def test_a_key_is_located_where_it_was_written_last(provenance):
    assert places("storage.class", provenance) == ["conf/storage/topolvm.yaml:2:8"]
    assert places("storage.nodes", provenance) == ["<command line>:3"]


def test_an_interpolated_key_is_followed_by_what_gave_it_its_value(provenance):
    assert places("nodes", provenance) == ["conf/config.yaml:5:8", "<command line>:3"]


def test_a_key_that_nobody_wrote_is_located_at_the_nearest_above_it(provenance):
    assert places("storage.access.size.limit", provenance) == ["conf/storage/topolvm.yaml:4:1"]
    assert places("storage.size", provenance) == ["conf/storage/topolvm.yaml:2:1"]


def test_a_group_is_located_first_where_its_option_was_chosen(provenance):
    assert places("storage", provenance) == ["conf/config.yaml:2:12", "conf/storage/topolvm.yaml:2:1"]
    assert places("trainer", provenance) == ["<command line>:1"]


@pytest.mark.parametrize("subject", ["", "spec.tasks[0].template.spec.containers[0].image", "unheard.of"])
def test_what_is_no_configuration_stays_without_a_location(provenance, subject):
    assert places(subject, provenance) == []


def test_a_located_diagnostic_stays_as_it_is(provenance):
    known = error("FT001", "bad", "storage.class").at(Location("job.yaml", 4))
    assert add_key_locations([known], provenance) == [known]


def test_all_diagnostics_come_back_in_their_order(provenance):
    subjects = ["name", "storage.class", "", "storage.nodes"]
    located = add_key_locations([error("FT201", "bad", subject) for subject in subjects], provenance)
    assert [d.subject for d in located] == subjects


MINE = """\
defaults: [generic@_here_, _self_]
registry: registry.lab.example
git: {url: https://git.example.com}
"""


@pytest.mark.parametrize("typed", [(), ("storage=nfs", "tracking=none"), ("hardware=full-gpu",)])
def test_a_typed_choice_is_not_blamed_for_what_one_value_causes(typed, tmp_path):
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "mine.yaml").write_text(MINE)
    composer = Composer(Request(config_path=runtime.conf_dir(), config_dirs=(tmp_path,)))
    secrets = warning("FT494", "no credentials", "spec.tasks[0].template.spec.imagePullSecrets", "registry.lab.example")
    (found,) = dependencies.add_locations(composer, ["cluster=mine", "hardware=full-gpu", *typed], [secrets])
    assert [Path(place.file).name for place in found.locations] == ["full-gpu.yaml"]
    assert "image:" in Path(found.locations[0].file).read_text().splitlines()[found.locations[0].line - 1]
