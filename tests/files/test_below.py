"""Folders are walked without recursion, to a depth that somebody needs."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ftgen.diagnostics import Rejected
from ftgen.text import files


def deep(folder: Path, levels: int) -> Path:
    place = folder.joinpath(*["d"] * levels)
    place.mkdir(parents=True)
    return place


def names(folder: Path, **how: bool) -> list[str]:
    return sorted(str(Path(entry.path).relative_to(folder)) for entry in files.below(folder, **how))


def test_whatever_lies_below_is_found_once_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a" / ".b").mkdir(parents=True)
    (tmp_path / "a" / ".b" / "c").touch()
    (tmp_path / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    assert names(tmp_path) == ["a", "a/.b", "a/.b/c", "self", "up"]


def test_folders_behind_links_are_found_once_where_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "a").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to("../elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to("../here")
    assert names(tmp_path / "here", follow=True) == ["link", "link/a", "link/back"]


def test_what_is_not_there_and_what_is_no_folder_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert names(tmp_path / "file") == names(tmp_path / "nowhere", follow=True) == []


def test_a_folder_of_a_depth_that_somebody_needs_is_walked_and_a_deeper_one_is_not(tmp_path: Path) -> None:
    place = deep(tmp_path, files.DEEPEST)
    assert len(names(tmp_path)) == files.DEEPEST
    (place / "d").mkdir()
    with pytest.raises(OSError, match="more than 100 deep") as refused:
        names(tmp_path)
    assert refused.value.errno == errno.ENAMETOOLONG


def test_a_path_that_is_too_long_for_the_system_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(17):
        os.mkdir("d" * 250)  # noqa: PTH102 - the whole path is too long
        os.chdir("d" * 250)
    with pytest.raises(OSError, match="File name too long"):
        names(tmp_path)


def test_manifests_of_a_deep_folder_are_refused_and_hidden_ones_are_not_looked_into(tmp_path: Path) -> None:
    place = deep(tmp_path / ".hidden", files.DEEPEST + 1)
    (place / "a.yaml").touch()
    (tmp_path / "a.yaml").touch()
    assert [path.name for path, _ in files.manifests(tmp_path)] == ["a.yaml"]
    (tmp_path / ".hidden").rename(tmp_path / "seen")
    with pytest.raises(Rejected) as rejected:
        list(files.manifests(tmp_path))
    assert [found.code for found in rejected.value.diagnostics] == ["FT002"]
