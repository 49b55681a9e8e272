"""What ftgen renders for every trainer option is what LLaMA-Factory's own parser accepts.

Needs a Python with llamafactory installed; see test_real_parser.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from ftgen import pipeline, runtime
from ftgen.config import catalog
from ftgen.config.compose import Composer, Request

pytestmark = pytest.mark.slow

COMMANDS = {"command", "yolo", "yolo-scratch"}
TRAINERS = [option for option in catalog.groups([runtime.conf_dir()])["trainer"] if option not in COMMANDS]
SHAPES = {
    "one card": (),
    "one node": ("hardware.devices=4",),
    "two nodes": ("hardware.nodes=2", "hardware.devices=8"),
    "offloaded": ("hardware.devices=2", "trainer.parallel=z3-offload"),
    "FSDP": ("hardware.devices=2", "trainer.parallel=fsdp"),
    "FSDP, offloaded": ("hardware.nodes=2", "trainer.parallel=fsdp-offload"),
}


def _real_parser() -> ModuleType:
    spec = importlib.util.spec_from_file_location("real_parser_test", Path(__file__).with_name("test_real_parser.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _rendered() -> list[tuple[str, dict[str, object], str]]:
    composer = Composer(Request(config_path=runtime.conf_dir()))
    found = []
    for trainer in TRAINERS:
        for shape, words in SHAPES.items():
            job = pipeline.compile_job(composer, ["hardware=full-gpu", f"trainer={trainer}", *words])
            container = job.bundle.job["spec"]["tasks"][0]["template"]["spec"]["containers"][0]
            environment = {e["name"]: e.get("value", "") for e in container["env"]}
            found.append((f"{trainer}, {shape}", yaml.safe_load(environment["TRAIN_CONFIG"]), "train"))
            if "EXPORT_CONFIG" in environment:
                found.append((f"{trainer}, {shape}", yaml.safe_load(environment["EXPORT_CONFIG"]), "export"))
    return found


def test_every_trainer_option_is_accepted() -> None:
    rendered = _rendered()
    _, verdicts = _real_parser().verdicts([{"args": args, "command": command} for _, args, command in rendered])
    refused = {
        f"{name} ({command})": verdict
        for (name, _, command), verdict in zip(rendered, verdicts, strict=True)
        if verdict
    }
    assert len(rendered) > len(TRAINERS) * len(SHAPES)
    assert refused == {}
