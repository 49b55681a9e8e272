"""Files of the user's own that are wrong: file, line and column are told, whatever is in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.rejects.conftest import Found, Reject

from ftgen import cli
from ftgen.config import catalog

Write = Callable[[str, str | bytes], Path]
OPTION = "conf/hardware/ours.yaml"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)

TEXTS: dict[str, tuple[str | bytes, Found]] = {
    "bad syntax": ("devices: [1\nnodes: 2\n", ("FT001", f"{OPTION}:2:6", "this is not YAML")),
    "a duplicate key": (
        "devices: 1\ndevices: 2\n",
        ("FT001", f"{OPTION}:2:1", "the key 'devices' is already given on line 1"),
    ),
    "a tab": ("card:\n\tname: x\n", ("FT001", f"{OPTION}:2:1", "a tab cannot indent YAML")),
    "a byte order mark": ("\ufeffdevices: 1\n", ("FT001", f"{OPTION}:1:1", "the file starts with a byte order mark")),
    "NUL": ("devices: 1\nname: \0\n", ("FT001", f"{OPTION}:2:7", "the character U+0000 cannot stand in YAML")),
    "no UTF-8": (b"devices: 1\n# caf\xe9\n", ("FT002", f"{OPTION}:2", f"{OPTION} is not UTF-8 text")),
    "a bomb": (BOMB, ("FT001", f"{OPTION}:", "the aliases of this YAML bring more than 20000 values")),
    "two documents": ("a: 1\n---\nb: 1\n", ("FT001", f"{OPTION}:3:1", "2 YAML documents where one is expected")),
    "a list": ("- devices\n", ("FT003", f"{OPTION}:1", "ours.yaml must be a mapping of keys to values")),
    "a scalar": ("devices\n", ("FT003", f"{OPTION}:1", "ours.yaml must be a mapping of keys to values")),
    "a tag": (
        "a: !!python/object:os.system x\n",
        ("FT001", f"{OPTION}:1:4", "tag:yaml.org,2002:python/object:os.system"),
    ),
    "too many parts": (
        f"# One.\na: [{'[],' * 10_000}]\n",
        ("FT001", f"{OPTION}:2:", "this YAML has more than 20000 parts"),
    ),
    "deep nesting": ("[" * 500, ("FT001", f"{OPTION}:1:", "this YAML holds more than 100 levels")),
    "unknown keys": (
        "defaults: [nvidia-vgpu@_here_, _self_]\ndevises: 1\n",
        ("FT101", f"{OPTION}:2:10", "unknown key 'devises'"),
    ),
    "a wrong type": (
        "defaults: [nvidia-vgpu@_here_, _self_]\n# cards\ndevices: many\n",
        ("FT102", f"{OPTION}:3:10", "hardware.devices must be a whole number, not 'many'"),
    ),
    "a missing value": (
        "defaults: [nvidia-vgpu@_here_, _self_]\nimage: ???\n",
        ("FT", "", ""),
    ),
    "an interpolation of nothing": (
        "defaults: [nvidia-vgpu@_here_, _self_]\nimage: ${no.such.key}/x\n",
        ("FT014", f"{OPTION}:2:8", "hardware.image: Interpolation key 'no.such.key' not found"),
    ),
    "a broken interpolation": (
        "defaults: [nvidia-vgpu@_here_, _self_]\nimage: ${no\n",
        ("FT014", f"{OPTION}:2:8", ""),
    ),
    "an option of the defaults list that is not there": (
        "defaults: [no-such-option@_here_, _self_]\n",
        ("FT011", f"{OPTION}:1:12", "no-such-option"),
    ),
    "a defaults list that is none": ("defaults: 3\n", ("FT007", f"{OPTION}:1:1", "defaults is a list")),
    "a defaults list that holds itself": (
        "defaults: [ours@_here_]\n",
        ("FT011", f"{OPTION}:1", "the defaults list has more than 250 entries"),
    ),
    "numbers as keys": ("1: 2\n", ("FT1", "", "")),
}
del TEXTS["a missing value"]  # `???` keeps what is below it: Hydra's rule, and no defect


@pytest.mark.parametrize("defect", TEXTS)
def test_an_option_file(defect: str, reject: Reject, write: Write) -> None:
    text, (code, place, headline) = TEXTS[defect]
    write(OPTION, text)
    found = reject("hardware=ours")
    assert any(c.startswith(code) and p.startswith(place) and headline in told for c, p, told in found), found


def doubling(write: Write, levels: int) -> None:
    """Write files each of which chooses the next one twice."""
    for level in range(levels):
        below = f"ours{level + 1}"
        write(f"conf/hardware/ours{level}.yaml", f"# One of many.\ndefaults: [{below}, {below}@again]\n")
    write(f"conf/hardware/ours{levels}.yaml", "# The last.\ndevices: 2\n")


def test_defaults_lists_that_double_are_refused_at_once(reject: Reject, write: Write) -> None:
    doubling(write, 4)
    reject("hardware=ours0")  # of keys that no hardware has
    doubling(write, 40)
    ((code, place, headline),) = reject("hardware=ours0")
    assert (code, place.partition("/ours")[0]) == ("FT011", "conf/hardware")
    assert headline == "the defaults list has more than 250 entries, with those of the files that it chooses"


def test_a_file_that_is_chosen_too_often_is_refused_at_once(reject: Reject, write: Write) -> None:
    write("conf/hardware/large.yaml", f"# Large.\na: [{'[],' * 4900}]\n")
    for times, code in ((2, "FT101"), (200, "FT011")):
        listed = "".join(f"- large@key{number}\n" for number in range(times))
        write(OPTION, f"# Often.\ndefaults:\n{listed}- full-gpu@_here_\n- _self_\n")
        assert {found[0] for found in reject("hardware=ours")} == {code}


def test_what_nobody_chooses_costs_an_import_nothing(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    doubling(write, 40)
    for name in ("x", "y"):
        Path("conf/hardware", name).symlink_to(".")
    write("conf/hardware/loop.yaml", "# Leads into its own folder, twice.\ndefaults: [x: loop, y: loop]\n")
    assert (
        cli.main(["import", "-o", "-", "--", "docker", "run", "--gpus", "all", "ubuntu:24.04", "python", "t.py"]) == 0
    )
    assert "hardware" in capsys.readouterr().out
    assert catalog.contents([Path("conf")], "hardware")["ours0"] == catalog.content([Path("conf")], "hardware", "ours0")
    assert catalog.content([Path("conf")], "hardware", "ours38")["devices"] == 2


def test_the_primary_file(reject: Reject, write: Write) -> None:
    write("conf/config.yaml", "defaults: [\n")
    ((code, place, _),) = reject()
    assert (code, place) == ("FT001", "conf/config.yaml:2:1")


def test_an_experiment_of_several_mistakes_is_told_all_of_them(reject: Reject, write: Write) -> None:
    text = "# @package _global_\ndefaults: [override /hardware: full-gpu]\ntrainer: {lrr: 1}\nhardware:\n  devices: x\n"
    write("conf/experiment/e.yaml", text)
    found = {(code, place) for code, place, _ in reject("+experiment=e")}
    assert {("FT101", "conf/experiment/e.yaml:3:16"), ("FT102", "conf/experiment/e.yaml:5:12")} <= found


def test_an_overlay_that_does_not_parse(reject: Reject, write: Write) -> None:
    write("overlays/hardware/nvidia-vgpu/a.yaml", "kind: Job\nspec: [\n")
    ((code, place, _),) = reject()
    assert code == "FT001"
    assert place.endswith("overlays/hardware/nvidia-vgpu/a.yaml:3:1")


def test_a_field_that_kubernetes_does_not_know_is_told_where_the_overlay_writes_it(
    reject: Reject, write: Write
) -> None:
    file = "overlays/hardware/nvidia-vgpu/a.yaml"
    write(file, "kind: PodTemplate\ntemplate:\n  spec:\n    hostNetwrk: true\n")
    assert [(code, place) for code, place, _ in reject()] == [("FT301", f"{file}:4:5")]


def test_a_name_that_an_overlay_spoils(reject: Reject, write: Write) -> None:
    file = "overlays/storage/nfs/a.yaml"
    write(file, "- {op: replace, path: /spec/tasks/0/name, value: Team_A}\n")
    ((code, place, headline),) = reject("storage=nfs")
    assert (code, headline) == ("FT312", "the task name 'Team_A' is no DNS label")
    assert place.startswith(f"{file}:1")


def test_what_a_file_makes_of_the_manifest_is_told_in_the_file(reject: Reject, write: Write) -> None:
    write("conf/cluster/ours.yaml", "defaults: [alauda, _self_]\ntolerations:\n- {key: a, operator: Foo}\n")
    found = reject("cluster=ours")
    assert [(code, place) for code, place, _ in found] == [("FT366", "conf/cluster/ours.yaml:3:22")]


def test_a_sweep_tells_it_once_and_in_the_same_place(reject: Reject) -> None:
    typed = "cluster.tolerations=[{key: a, operator: Foo}]"
    ((code, place, headline),) = reject("-m", "trainer.lr=1e-4,2e-4", typed)
    assert (code, place) == ("FT366", "<command line>:2")
    assert headline.startswith("there is no operator 'Foo'")


def test_an_overlay_that_matches_nothing(reject: Reject, write: Write) -> None:
    write("overlays/hardware/nvidia-vgpu/a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n")
    ((code, place, headline),) = reject()
    assert code == "FT022"
    assert place.endswith("overlays/hardware/nvidia-vgpu/a.yaml:1:1")
    assert "Service x" in headline


@pytest.mark.parametrize(
    "text",
    [
        "- op: remove\n  path: /spec/nothing\n",
        "- nonsense\n",
        "- {op: add}\n",
        "just text\n",
        "kind: PodTemplate\ntemplate: 3\n",
        "kind: Job\n",
        "- 3\n",
    ],
)
def test_an_overlay_that_is_none(text: str, reject: Reject, write: Write) -> None:
    write("overlays/hardware/nvidia-vgpu/a.yaml", text)
    assert {code[:3] for code, _, _ in reject()} <= {"FT0", "FT3"}


def test_a_folder_called_like_an_option(reject: Reject, scratch: Path) -> None:
    (scratch / "conf/hardware/ours.yaml").mkdir(parents=True)
    ((code, _, headline),) = reject("hardware=ours")
    assert code == "FT011"
    assert "no option 'ours'" in headline
    assert cli.main(["-o", "-"]) == 0


def test_a_loop_of_links(reject: Reject, scratch: Path) -> None:
    (scratch / "conf/hardware").mkdir(parents=True)
    (scratch / "conf/hardware/ours.yaml").symlink_to("ours.yaml")
    ((code, _, _),) = reject("hardware=ours")
    assert code in {"FT002", "FT011"}
    (scratch / "conf/model").symlink_to("model")
    assert cli.main(["-o", "-"]) == 0


def test_a_dangling_link(reject: Reject, scratch: Path) -> None:
    (scratch / "conf/hardware").mkdir(parents=True)
    (scratch / "conf/hardware/ours.yaml").symlink_to("nowhere.yaml")
    ((code, _, _),) = reject("hardware=ours")
    assert code in {"FT002", "FT011"}


def test_a_pipe_instead_of_a_file(reject: Reject, scratch: Path) -> None:
    """Reading one would wait for ever."""
    (scratch / "conf/hardware").mkdir(parents=True)
    os.mkfifo(scratch / "conf/hardware/ours.yaml")
    ((code, _, _),) = reject("hardware=ours")
    assert code in {"FT002", "FT011"}


def test_a_configuration_folder_that_is_not_there(reject: Reject) -> None:
    ((code, _, headline),) = reject("-cd", "nowhere")
    assert (code, headline) == ("FT002", "the configuration folder nowhere does not exist")


def test_a_primary_file_that_is_not_there(reject: Reject) -> None:
    ((code, _, headline),) = reject("-cn", "nothing")
    assert code.startswith("FT01")
    assert "nothing" in headline


def test_conf_is_a_file(write: Write) -> None:
    write("conf", "x")
    write("overlays", "x")
    write("schemas", "x")
    assert cli.main(["-o", "-"]) == 0


def test_a_script_that_is_no_text(reject: Reject, write: Write) -> None:
    write("conf/trainer/train.sh", b"#!/bin/bash\n\xff\n")
    ((code, _, headline),) = reject()
    assert code == "FT002"
    assert "train.sh is not UTF-8 text" in headline
