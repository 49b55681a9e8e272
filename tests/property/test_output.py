"""What holds for every manifest that ftgen writes, over all the selections that have a golden."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from ftgen import pipeline, runtime
from ftgen.config import catalog
from ftgen.config.compose import Composer, Request
from ftgen.config.compose.plain import NeedsOmegaConf, ReferenceResolver
from ftgen.text import kube
from ftgen.validation import Context, validate
from ftgen.validation.rules import AGREEMENT, admission

FTGEN = Path(sys.executable).with_name("ftgen")
SELECTIONS = {
    "default": (),
    "two nodes": ("hardware=full-gpu", "hardware.nodes=2", "hardware.devices=8", "storage=nfs"),
    "per-pod claims": ("hardware=full-gpu", "hardware.nodes=2"),
    "npu": ("hardware=ascend", "trainer=sft-full"),
    "preference": ("trainer=dpo-lora", "tracking=none"),
    "command": ("trainer=command", "trainer.command=[run,'$(NOT_A_VARIABLE)','$$']"),
    "created claims": ("storage=nfs", "storage.workspace.create=true", "storage.models.create=true"),
    "flux": ("delivery=flux",),
    "kubectl": ("delivery=kubectl", "job.ttl=3600"),
}
RELEASES = [(1, 12, 4), (1, 15, 0)]
# Texts that YAML 1.1, YAML 1.2 or Kubernetes could take for something else.
NASTY = [
    "on",
    "y",
    "1e3",
    "0o17",
    "012",
    "1_000",
    "12:30",
    "~",
    "=",
    "2026-01-01",
    "trailing ",
    "a\r\nb",
    "🙂",
    "\u0085",
    "$(JOB_NAME)",
    "$$",
]


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(Request(config_path=runtime.conf_dir()))


@pytest.fixture(params=SELECTIONS.values(), ids=SELECTIONS)
def compiled(request: pytest.FixtureRequest, composer: Composer) -> pipeline.Compiled:
    return pipeline.compile_job(composer, request.param)


@pytest.mark.parametrize("release", RELEASES)
def test_admission_adds_nothing(compiled: pipeline.Compiled, release: tuple[int, int, int]) -> None:
    """Whatever Volcano's webhook would write is written, so a second apply is no update."""
    job = compiled.bundle.job
    assert admission.mutate(job, volcano_version=release) == job


@pytest.mark.parametrize("release", RELEASES)
def test_admitted_and_able_to_run(compiled: pipeline.Compiled, release: tuple[int, int, int]) -> None:
    job = compiled.bundle.job
    assert admission.admit_create(job, volcano_version=release) == []
    assert validate(AGREEMENT, job, Context(release)) == []


def test_both_yaml_versions_read_the_same(compiled: pipeline.Compiled) -> None:
    for path, content in compiled.files.items():
        text = content.decode()
        manifest = next(o for o in compiled.bundle.objects if path.endswith(_file(o)))
        assert yaml.safe_load(text) == manifest
        assert YAML(typ="safe", pure=True).load(text) == manifest


def test_scripts_reach_the_shell_unchanged(compiled: pipeline.Compiled) -> None:
    """Kubernetes expands $(NAME) and $$ in commands, and nothing in mounted files; what the shell gets is the file."""
    pod = compiled.bundle.job["spec"]["tasks"][0]["template"]["spec"]
    mounted = {name: text for o in compiled.bundle.companions for name, text in o.get("data", {}).items()}
    for container, script in ((pod["initContainers"][0], "prepare.sh"), (pod["containers"][0], "train.sh")):
        environment = {e["name"]: e.get("value", "") for e in container["env"]}
        source = (runtime.conf_dir() / "trainer" / script).read_text(encoding="utf-8")
        if mounted:
            assert container["command"] == ["/bin/bash", f"/opt/ftgen/{script}"]
            assert mounted[script] == source
        else:
            assert kube.expand(container["command"][2], environment) == source


@pytest.mark.parametrize("text", NASTY)
def test_values_reach_the_container_unchanged(text: str, composer: Composer) -> None:
    config = composer.compose(composer.parse(["+hardware.env.PROBE=x"]))
    config.config["hardware"]["env"]["PROBE"] = text
    job = pipeline.compile_composition(config, (), pipeline.Workspace(composer))
    written = yaml.safe_load([*job.files.values()][-1].decode())
    environment = written["spec"]["tasks"][0]["template"]["spec"]["containers"][0]["env"]
    value = next(e["value"] for e in environment if e["name"] == "PROBE")
    assert kube.expand(value, {"JOB_NAME": "somebody"}) == text


def test_the_same_bytes_everywhere(tmp_path: Path) -> None:
    """In every directory, under every hash seed, locale and time zone, on every run."""
    seen = set()
    for number, seed in enumerate(("0", "1", "4242")):
        place = tmp_path / f"place {number}"
        place.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": "C", "TZ": f"UTC+{number}"}
        command = [FTGEN, "hardware=full-gpu", "hardware.nodes=2", "-o", "-"]
        seen.add(subprocess.run(command, cwd=place, env=environment, capture_output=True, check=True).stdout)
    assert len(seen) == 1


def test_plain_interpolation_is_omegaconfs(compiled: pipeline.Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    """References by full name are resolved without OmegaConf, to the same values."""

    def refuse(_: object) -> None:
        raise NeedsOmegaConf

    selection = compiled.identity.overrides
    quick = Composer(Request(config_path=runtime.conf_dir()))
    plain = quick.compose(quick.parse(selection)).config
    monkeypatch.setattr(ReferenceResolver, "resolved", refuse)
    assert plain == quick.compose(quick.parse(selection)).config


def test_only_manifests_on_standard_output(tmp_path: Path) -> None:
    done = subprocess.run([FTGEN, "-o", "-"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [d["kind"] for d in yaml.safe_load_all(done.stdout)] == ["ConfigMap", "Job"]
    assert list(tmp_path.iterdir()) == []


def test_every_option_begins_with_what_it_is() -> None:
    options = catalog.groups([runtime.conf_dir()])
    assert all(told.endswith((".", "one")) for group in options.values() for told in group.values()), options


def test_the_name_fits_the_budget(composer: Composer) -> None:
    """<job>-<task>-<index> is a DNS label, however long the name that was asked for."""
    job = pipeline.compile_job(composer, ["name=" + "very-long-name-" * 10])
    assert len(f"{job.name}-train-0") <= 63
    assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", job.name)


def test_the_hash_is_of_what_volcano_holds_immutable(composer: Composer) -> None:
    plain = pipeline.compile_job(composer, []).name
    assert pipeline.compile_job(composer, ["cluster.priority_class=high"]).name == plain
    assert pipeline.compile_job(composer, ["delivery=flux"]).name == plain
    assert pipeline.compile_job(composer, ["cluster.annotations.team=nlp"]).name == plain
    assert pipeline.compile_job(composer, ["trainer.lr=1e-4"]).name != plain
    assert pipeline.compile_job(composer, ["cluster.queue=other"]).name != plain


def test_a_job_of_kubernetes_own_is_another_than_the_volcano_job(composer: Composer) -> None:
    names = [
        pipeline.compile_job(composer, words).name
        for words in ([], ["target=job"], ["target=job", "cluster.priority_class=high"])
    ]
    assert len(set(names)) == 3


def _file(manifest: dict[str, object]) -> str:
    metadata = manifest["metadata"]
    assert isinstance(metadata, dict)
    name = metadata.get("name") or str(metadata["generateName"]).rstrip("-")
    return f"{str(manifest['kind']).lower()}-{name}.yaml"
