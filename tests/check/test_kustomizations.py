"""Kustomizations of the user: what they excuse from being an object, and what not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ftgen import cli

BAD = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": {"name": "x"}, "spec": {"bogusKey": 1}}
HEAD = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
PATCH = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": {"name": "x"}, "spec": {"queue": 1}}


def laid(tmp_path: Path, **kustomization: object) -> Path:
    place = tmp_path / "m"
    (place / "jobs").mkdir(parents=True)
    (place / "k").mkdir()
    (place / "jobs" / "bad.yaml").write_text(yaml.dump(BAD), encoding="utf-8")
    (place / "k" / "bad.yaml").write_text(yaml.dump(BAD), encoding="utf-8")
    (place / "k" / "patch.yaml").write_text(yaml.dump(PATCH), encoding="utf-8")
    (place / "k" / "settings.yaml").write_text("a: 1\n", encoding="utf-8")
    (place / "k" / "kustomization.yaml").write_text(yaml.dump(HEAD | kustomization), encoding="utf-8")
    return place


@pytest.mark.parametrize(
    "kustomization",
    [
        {"resources": ["bad.yaml"], "configMapGenerator": [{"name": "x", "files": ["bad.yaml"]}]},
        {"resources": ["bad.yaml"], "patches": [{"path": "bad.yaml"}]},
        {"configMapGenerator": [{"name": "x", "files": ["bad.yaml"]}]},
        {"configMapGenerator": [{"name": "x", "files": ["key=./bad.yaml"]}]},
    ],
)
def test_an_object_is_checked_whatever_else_becomes_of_its_file(
    tmp_path: Path, kustomization: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    place = laid(tmp_path, **kustomization)
    assert cli.main(["check", str(place / "k")]) == 1
    assert f"{place}/k/bad.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["patches", "configMapGenerator", "patchesStrategicMerge"])
def test_a_kustomization_excuses_nothing_beside_its_folder(
    tmp_path: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = "../jobs/bad.yaml"
    entry = {"path": theirs} if key == "patches" else theirs
    entry = {"name": "x", "files": [theirs]} if key == "configMapGenerator" else entry
    place = laid(tmp_path, **{key: [entry]})
    assert cli.main(["check", str(place)]) == 1
    assert f"{place}/jobs/bad.yaml" in capsys.readouterr().err


def test_patches_and_texts_are_no_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = {"patches": [{"path": "patch.yaml"}], "configMapGenerator": [{"name": "x", "files": ["settings.yaml"]}]}
    place = laid(tmp_path, **parts)
    (place / "k" / "bad.yaml").unlink()

    assert cli.main(["check", str(place / "k")]) == 0
    err = capsys.readouterr().err
    assert all(f"a part of {place}/k/kustomization.yaml" in err for _ in parts)
