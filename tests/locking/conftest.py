"""A registry, a git server, and a directory whose job fetches and runs what lies on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.gitops.repositories import git, home
from tests.locking import registry as registries
from tests.locking.registry import Registry
from tests.scripts.gitserver import TOKEN, USER, Forge, certificate, serve

__all__ = ["git", "home"]

_CREDENTIALS = f"""\
[http]
    sslCAInfo = CERTIFICATE
[credential]
    helper = "!f() {{ echo username={USER}; echo 'password={TOKEN}'; }}; f"
"""


@pytest.fixture
def registry() -> Iterator[Registry]:
    registry, server = registries.serve()
    yield registry
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def forge(tmp_path: Path, home: Path, keys: tuple[Path, Path]) -> Iterator[Forge]:
    """A git server over TLS; the home's own credential helper knows its user and token."""
    (tmp_path / "forge").mkdir()
    forge, server = serve(tmp_path / "forge", keys)
    (home / ".gitconfig").write_text(_CREDENTIALS.replace("CERTIFICATE", str(keys[0])))
    yield forge
    server.shutdown()
    server.server_close()


@dataclass
class Site:
    """A directory of one's own, and the servers.

    Attributes:
        model: URL of the base model.
        data: URL of the data set.
        image: image of the containers.
        commits: commits of both repositories' default branches by URL.
        digest: digest of the image.
    """

    forge: Forge
    registry: Registry
    model: str = ""
    data: str = ""
    image: str = ""
    commits: dict[str, str] | None = None
    digest: str = ""

    def move(self) -> None:
        """Push to the model's branch, and another image under the tag."""
        self.forge.commit("Tiny", {"config.json": b"2"}, large={})
        self.registry.push("team/train:1.0", "2")


@pytest.fixture
def site(tmp_path: Path, forge: Forge, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(forge, registry, forge.create("Tiny"), forge.create("rows"), registry.image("team/train:1.0"))
    site.commits = {
        site.model: forge.commit("Tiny", {"config.json": b"{}"}, large={}),
        site.data: forge.commit("rows", {"rows.jsonl": b"{}"}, large={}),
    }
    site.digest = registry.push("team/train:1.0")
    conf = tmp_path / "work/conf"
    conf.mkdir(parents=True)
    (conf / "experiment").mkdir()
    (conf / "experiment/mine.yaml").write_text(
        "# @package _global_\n"
        f"model: {{url: '{site.model}', revision: main}}\n"
        f"dataset: {{url: '{site.data}'}}\n"
        f"hardware:\n  image: {site.image}\n"
    )
    monkeypatch.chdir(tmp_path / "work")
    return site
