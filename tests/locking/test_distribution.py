"""Digests asked of CNCF Distribution, the registry that most others are made of: `make test-registry`.

FTGEN_REGISTRY names its program.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.locking.registry import INDEX, MANIFEST, PASSWORD, USER

from ftgen import cli
from ftgen.config.pins import Reference
from ftgen.remote.locking import Logins, Registries, Unresolved

pytestmark = pytest.mark.slow

_USERS = f"{USER}:$2b$04$QUB7AsoCkvQvrtFGBSg/Dep7tPgccCgjhkTLwfqoS/amaokL5i0Dm\n"
"""The password of the tests, as htpasswd writes it."""
_BASIC = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
_DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass
class Distribution:
    host: str

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> urllib.request.addinfourl:
        url = path if "://" in path else f"http://{self.host}{path}"
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        asked = urllib.request.Request(url, body, {"Authorization": _BASIC, **named}, method=method)
        return urllib.request.urlopen(asked, timeout=10)

    def blob(self, name: str, content: bytes, kind: str) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        place = self.request("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
        joint = "&" if "?" in place else "?"
        self.request("PUT", f"{place}{joint}digest={digest}", content, Content_Type="application/octet-stream")
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def manifest(self, name: str, tag: str, kind: str, body: dict[str, object]) -> str:
        content = json.dumps({"schemaVersion": 2, "mediaType": kind, **body}).encode()
        reply = self.request("PUT", f"/v2/{name}/manifests/{tag}", content, Content_Type=kind)
        return str(reply.headers["Docker-Content-Digest"])

    def push(self, name: str, tag: str, text: str, kind: str = MANIFEST) -> str:
        of_docker = kind == _DOCKER
        config_kind = (
            "application/vnd.docker.container.image.v1+json"
            if of_docker
            else "application/vnd.oci.image.config.v1+json"
        )
        layer_kind = (
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
            if of_docker
            else "application/vnd.oci.image.layer.v1.tar"
        )
        config = self.blob(name, b'{"architecture":"amd64","os":"linux"}', config_kind)
        return self.manifest(
            name, tag, kind, {"config": config, "layers": [self.blob(name, text.encode(), layer_kind)]}
        )


@pytest.fixture
def distribution(tmp_path: Path) -> Iterator[Distribution]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "users").write_text(_USERS)
    settings = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "images")}},
        "http": {"addr": host, "secret": "of the tests"},
        "auth": {"htpasswd": {"realm": "tests", "path": str(tmp_path / "users")}},
    }
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(settings))
    program = subprocess.Popen([os.environ["FTGEN_REGISTRY"], "serve", str(tmp_path / "registry.yaml")])
    found = Distribution(host)
    try:
        _await(found)
        yield found
    finally:
        program.terminate()
        program.wait(10)


def _await(found: Distribution) -> None:
    for _ in range(100):
        try:
            found.request("GET", "/v2/")
        except urllib.error.URLError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the registry does not start")


def log_in(home: Path, host: str) -> None:
    (home / ".docker").mkdir()
    auth = _BASIC.removeprefix("Basic ")
    (home / ".docker/config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def answer(home: Path, image: str) -> str:
    return Registries(Logins({"HOME": str(home)})).answer(Reference("image", image)).pin


@pytest.mark.parametrize("kind", [MANIFEST, _DOCKER])
def test_the_digest_of_a_tag(distribution: Distribution, tmp_path: Path, kind: str) -> None:
    log_in(tmp_path, distribution.host)
    pushed = distribution.push("team/train", "1.0", "layer", kind)
    assert answer(tmp_path, f"{distribution.host}/team/train:1.0") == pushed
    moved = distribution.push("team/train", "1.0", "another layer", kind)
    assert answer(tmp_path, f"{distribution.host}/team/train:1.0") == moved != pushed


def test_the_digest_of_an_image_for_two_platforms(distribution: Distribution, tmp_path: Path) -> None:
    log_in(tmp_path, distribution.host)
    one = {
        "mediaType": MANIFEST,
        "digest": distribution.push("train", "amd64", "a"),
        "size": 0,
        "platform": {"architecture": "amd64", "os": "linux"},
    }
    two = {
        **one,
        "digest": distribution.push("train", "arm64", "b"),
        "platform": {"architecture": "arm64", "os": "linux"},
    }
    for each in (one, two):
        each["size"] = int(
            distribution.request("HEAD", f"/v2/train/manifests/{each['digest']}", Accept=MANIFEST).headers[
                "Content-Length"
            ]
        )
    pushed = distribution.manifest("train", "latest", INDEX, {"manifests": [one, two]})
    assert answer(tmp_path, f"{distribution.host}/train") == pushed


def test_who_is_not_let_in(distribution: Distribution, tmp_path: Path) -> None:
    with pytest.raises(Unresolved, match="does not let you pull"):
        answer(tmp_path, f"{distribution.host}/team/train:1.0")
    log_in(tmp_path, distribution.host)
    with pytest.raises(Unresolved, match=r"has no team/train:1\.0"):
        answer(tmp_path, f"{distribution.host}/team/train:1.0")


def test_a_job_is_locked(distribution: Distribution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(tmp_path, distribution.host)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    pushed = distribution.push("team/train", "1.0", "layer")
    words = [f"hardware.image={distribution.host}/team/train:1.0", f"model.revision='{'a' * 40}'", "dataset.url=null"]
    assert cli.main(["lock", *words]) == 0
    assert cli.main([*words, "--locked"]) == 0
    (file,) = Path("out").rglob("job-*.yaml")
    assert f"image: {distribution.host}/team/train:1.0@{pushed}\n" in file.read_text()
