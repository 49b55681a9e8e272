"""`export`, `import`, `image` and `schema import` write by the tree's writer: all files or none, through no link."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.gitops.repositories import git, home
from tests.tree.test_interruption import disk_full, forked, interrupted

from ftgen import cli

__all__ = ["git", "home"]

DOCKER = ["docker", "run", "--gpus", "1", "image:1", "llamafactory-cli", "train", "a.yaml"]
CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: example.com
  names: {kind: Thing}
  versions:
  - name: v1
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}
"""
VERBS = {
    "export": ["export", "kustomize", "-o", "there"],
    "import": ["import", "-o", "there", "--", *DOCKER],
    "image": ["image", "-o", "there"],
    "schema": ["schema", "import", "crd.yaml", "-o", "there"],
    "init": ["init", "there"],
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("crd.yaml").write_text(CRD)


@pytest.fixture(params=VERBS)
def words(request: pytest.FixtureRequest) -> list[str]:
    return VERBS[request.param]


def overwriting(words: list[str]) -> list[str]:
    return [words[0], "--overwrite", *words[1:]]


def visible(found: dict[str, bytes]) -> dict[str, bytes]:
    """Without a stage that could not be cleared away, which the next write clears."""
    return {path: content for path, content in found.items() if ".ftgen-stage" not in path}


def contents(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_files_are_written_and_nothing_else(words: list[str]) -> None:
    assert cli.main(words) == 0
    written = contents("there")
    assert written
    assert not [path for path in written if "ftgen.lock" in path]
    assert not Path("there/.ftgen-stage").exists()
    times = {path: Path(path).stat().st_mtime_ns for path in written}
    assert cli.main(words) == 0
    assert {path: Path(path).stat().st_mtime_ns for path in contents("there")} == times


def test_another_content_needs_overwrite(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 0
    written = contents("there")
    for path in written:
        Path(path).write_text("mine\n")
    capsys.readouterr()
    assert cli.main(words) == 1
    told = capsys.readouterr().err
    assert told.count("error[FT502]") == len(written)
    assert "add --overwrite" in told
    assert set(contents("there").values()) == {b"mine\n"}
    assert cli.main(overwriting(words)) == 0
    assert contents("there") == written


def test_one_file_in_the_way_keeps_the_others_from_being_written(words: list[str]) -> None:
    assert cli.main(words) == 0
    *rest, last = sorted(contents("there"))
    for path in rest:
        Path(path).unlink()
    Path(last).write_text("mine\n")
    assert cli.main(words) == 1
    assert contents("there") == {last: b"mine\n"}


@pytest.mark.parametrize("dangling", [True, False])
def test_nothing_is_written_through_a_link(words: list[str], dangling: bool) -> None:
    assert cli.main(words) == 0
    for path in map(Path, contents("there")):
        target = Path("elsewhere") / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not dangling:
            target.write_text("precious\n")
        path.unlink()
        path.symlink_to(target.resolve())
    before = contents("elsewhere")
    assert cli.main(words) == cli.main(overwriting(words)) == 1
    assert contents("elsewhere") == before


def test_nothing_is_written_behind_a_link(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 0
    for folder in [path for path in Path("there").iterdir() if path.is_dir()]:
        for path in [folder, *folder.rglob("*")]:
            if path.is_file():
                path.unlink()
        folder.rename(f"moved-{folder.name}")
        folder.symlink_to(Path(f"moved-{folder.name}").resolve())
    behind = [path for path in Path("there").iterdir() if path.is_symlink()]
    assert cli.main(overwriting(words)) == (1 if behind else 0)
    assert not [path for folder in Path().glob("moved-*") for path in folder.rglob("*") if path.is_file()]


def test_the_folder_itself_may_be_a_link(words: list[str]) -> None:
    Path("real").mkdir()
    Path("there").symlink_to("real")
    assert cli.main(words) == 0
    assert contents("real")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_told(words: list[str], make: Callable[[str], None]) -> None:
    assert cli.main(words) == 0
    path = max(contents("there"))
    Path(path).unlink()
    make(path)
    assert cli.main(overwriting(words)) == 1


def test_a_full_disk_leaves_what_was_there(words: list[str]) -> None:
    assert cli.main(words) == 0
    for path in contents("there"):
        Path(path).write_text("mine\n")
    before = contents("there")

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))
        sys.exit(cli.main(overwriting(words)))

    assert os.WEXITSTATUS(forked(limited)) == 1
    assert contents("there") == before


def test_a_failure_at_any_step_leaves_all_files_or_none() -> None:
    """Of two files; the verbs differ in nothing here."""
    failed, words = 0, VERBS["schema"]
    Path("crd.yaml").write_text(f"{CRD}---\n{CRD.replace('Thing', 'Other')}")
    assert cli.main(words) == 0
    after = visible(contents("there"))
    assert len(after) == 2
    for path in after:
        Path(path).write_text("mine\n")
    before = contents("there")
    for step in range(60):
        interrupted(lambda: sys.exit(cli.main(overwriting(words))), step, disk_full)
        assert visible(contents("there")) in (before, after)
        failed += visible(contents("there")) == before
        for path, content in before.items():
            Path(path).write_bytes(content)
    assert failed > 5


def test_a_file_of_a_trees_own_is_not_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-o", "there"]) == 0
    (job,) = Path("there").rglob("job-*.yaml")
    index = Path("there/ftgen.lock")
    index.write_text(index.read_text().replace(job.relative_to("there").as_posix(), "Dockerfile"))
    job.rename("there/Dockerfile")
    before = contents("there")
    assert cli.main(["image", "-o", "there", "--overwrite"]) == 1
    assert "error[FT504]" in capsys.readouterr().err
    assert contents("there") == before


def test_strict_writes_nothing_where_the_tree_gives_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["name=aa", "storage=nfs-static", "storage.workspace.nfs.server=10.0.0.1", "-q"]
    changed = [*words, "storage.models.size=10Gi", "storage.models.access_mode=ReadWriteOnce"]
    assert cli.main(words) == 0
    before = contents("out")
    assert cli.main([*changed, "--strict"]) == 1
    assert "error[FT513]" in capsys.readouterr().err
    assert contents("out") == before
    assert cli.main(changed) == 0
    assert contents("out") != before


@pytest.mark.usefixtures("home")
def test_strict_commits_nothing_where_the_tree_gives_a_warning(git: Callable[..., str], tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "r.git")
    words = ["--repo", "r.git", "--branch", "main", "-q"]
    for command, code in (
        (["publish", "-m", "name=ab", "+sweep.name=ab", "trainer.lr=1e-4,2e-4,3e-4"], 0),
        (["publish", "-m", "name=ab", "+sweep.name=ab", "trainer.lr=1e-4,2e-4", "--strict"], 1),
        (["serve", "ab/lr1e-4"], 0),
        (["archive", "ab/lr1e-4", "--strict"], 1),
    ):
        tip = git(tmp_path / "r.git", "for-each-ref")
        assert cli.main([*command, *words]) == code
        assert (git(tmp_path / "r.git", "for-each-ref") == tip) == (code == 1)
