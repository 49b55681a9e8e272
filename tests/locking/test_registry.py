"""Digests asked of a registry: logins, redirects, and answers that are none."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.locking.registry import BASIC, MANIFEST, PASSWORD, REFRESH, TOKEN, USER, Registry, digest, serve

from ftgen.config.pins import Reference
from ftgen.remote.locking import Logins, Registries, Unresolved
from ftgen.remote.locking.registry import Image


def answer(registry: Registry, name: str = "team/train:1.0", home: Path = Path("/nonexistent")) -> str:
    registries = Registries(Logins({"HOME": str(home), "PATH": os.environ["PATH"]}))
    return registries.answer(Reference("image", registry.image(name))).pin


def reason(registry: Registry, name: str = "team/train:1.0", home: Path = Path("/nonexistent")) -> str:
    with pytest.raises(Unresolved) as problem:
        answer(registry, name, home)
    return f"{problem.value.reason}; {problem.value.help}"


def log_in(home: Path, settings: object) -> Path:
    (home / ".docker").mkdir(parents=True, exist_ok=True)
    (home / ".docker/config.json").write_text(settings if isinstance(settings, str) else json.dumps(settings))
    return home


def kept(registry: Registry, **entry: str) -> dict[str, Any]:
    return {"auths": {registry.host: entry or {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}}


@pytest.mark.parametrize(
    ("name", "registry", "repository", "tag"),
    [
        ("ubuntu", "docker.io", "library/ubuntu", "latest"),
        ("hiyouga/llamafactory:0.9.5", "docker.io", "hiyouga/llamafactory", "0.9.5"),
        ("index.docker.io/ubuntu:22.04", "docker.io", "library/ubuntu", "22.04"),
        ("localhost/a/b", "localhost", "a/b", "latest"),
        ("localhost:5000/a:1", "localhost:5000", "a", "1"),
        ("quay.io/ascend/vllm-ascend:v0.23.0-a3", "quay.io", "ascend/vllm-ascend", "v0.23.0-a3"),
    ],
)
def test_names_are_read_as_docker_reads_them(name: str, registry: str, repository: str, tag: str) -> None:
    assert Image.of(name) == Image(registry, repository, tag)


def test_a_registry_without_logins(registry: Registry) -> None:
    pushed = registry.push("team/train:1.0")
    assert answer(registry) == pushed
    assert [method for method, path, _ in registry.asked if "manifests" in path] == ["HEAD"], "a head, and no pull"


def test_the_digest_of_a_plain_manifest(registry: Registry) -> None:
    pushed = registry.push("team/train:1.0", kind=MANIFEST)
    assert answer(registry) == pushed


@pytest.mark.parametrize("auth", ["bearer", "basic"])
def test_a_login_that_docker_keeps(registry: Registry, tmp_path: Path, auth: str) -> None:
    registry.auth, pushed = auth, registry.push("team/train:1.0")
    assert answer(registry, home=log_in(tmp_path, kept(registry))) == pushed
    sent = [headers.get("Authorization") for _, path, headers in registry.asked if "manifests" in path]
    assert sent == [None, BASIC if auth == "basic" else f"Bearer {TOKEN}"]
    assert "docker login" in reason(registry)
    assert "docker login" in reason(registry, home=log_in(tmp_path, kept(registry, username="x", password="y")))


def test_an_identity_token(registry: Registry, tmp_path: Path) -> None:
    registry.auth, pushed = "bearer", registry.push("team/train:1.0")
    assert answer(registry, home=log_in(tmp_path, kept(registry, identitytoken=REFRESH))) == pushed


def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "bin/docker-credential-tests"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_a_program_that_keeps_logins(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    registry.auth, pushed = "bearer", registry.push("team/train:1.0")
    login = json.dumps({"ServerURL": registry.host, "Username": USER, "Secret": PASSWORD})
    helper(tmp_path, monkeypatch, f'[ "$1" = get ] && [ "$(cat)" = {registry.host} ] && echo \'{login}\'')
    settings = {key: {registry.host: "tests"} if key == "credHelpers" else "tests"}
    assert answer(registry, home=log_in(tmp_path, settings)) == pushed


@pytest.mark.parametrize("script", ["exit 1", "echo not-json", "head -c 3000000 /dev/zero", "echo '[1]'"])
def test_a_program_without_a_login(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    registry.auth = "bearer"
    helper(tmp_path, monkeypatch, script)
    assert reason(registry, home=log_in(tmp_path, {"credsStore": "tests"}))


@pytest.mark.parametrize(
    "settings",
    ["{", "[]", '"x"', '{"auths": []}', '{"auths": {"HOST": 1}}', '{"auths": {"HOST": {"auth": "%%%"}}}', "[" * 100000],
)
def test_settings_of_another_shape(registry: Registry, tmp_path: Path, settings: str) -> None:
    registry.auth = "bearer"
    assert reason(registry, home=log_in(tmp_path, settings.replace("HOST", registry.host)))


@pytest.mark.parametrize("name", ["../../bin/sh", "a b", "-x", "x\n"])
def test_a_helper_that_is_no_program_of_docker(registry: Registry, tmp_path: Path, name: str) -> None:
    registry.auth = "basic"
    assert "no program that keeps logins" in reason(registry, home=log_in(tmp_path, {"credsStore": name}))


def test_settings_that_are_no_file(registry: Registry, tmp_path: Path) -> None:
    registry.auth = "basic"
    (tmp_path / ".docker").mkdir()
    os.mkfifo(tmp_path / ".docker/config.json")
    assert "it is a FIFO" in reason(registry, home=tmp_path)


def test_what_is_not_there(registry: Registry) -> None:
    registry.push("team/train:1.0")
    assert "has no team/train:2.0" in reason(registry, "team/train:2.0")


def replying(status: int, body: bytes = b"", **headers: str) -> Callable[[Any], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.reply(status, body, named)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (replying(500), "answers 500"),
        (replying(429), "no more questions"),
        (replying(403), "does not let you pull"),
        (replying(200, b"{}", Docker_Content_Digest="md5:1234"), "no digest by sha256"),
        (replying(200, b"{}", Docker_Content_Digest=f"sha256:{'0' * 63}"), "no digest by sha256"),
        (replying(200, b""), "neither a digest nor a manifest"),
        (replying(200, b"x" * (5 << 20)), "more than a manifest may hold"),
        (replying(401, WWW_Authenticate="Negotiate"), "kind that is not known here"),
        (replying(401), "kind that is not known here"),
        (replying(401, WWW_Authenticate='Bearer realm="file:///etc/passwd"'), "which is none"),
        (replying(401, WWW_Authenticate='Bearer realm="http://token.example.com/"'), "which is none"),
        (replying(401, WWW_Authenticate="Bearer"), "which is none"),
        (replying(302, Location="file:///etc/passwd"), "answers 302"),
        (replying(302, Location="/v2/team/train/manifests/1.0"), "answers 302"),
        (replying(302), "answers 302"),
    ],
)
def test_an_answer_that_is_none(registry: Registry, reply: Callable[[Any], None], why: str) -> None:
    registry.answers["/v2/team/.*"] = reply
    assert why in reason(registry)


@pytest.mark.parametrize("token", [b"", b"[]", b'{"token": 1}', b'{"token": "a\\nb"}', b"x" * (2 << 20)])
def test_a_token_that_is_none(registry: Registry, tmp_path: Path, token: bytes) -> None:
    registry.auth = "bearer"
    registry.answers["/token"] = replying(200, token)
    assert "gives no token" in reason(registry, home=log_in(tmp_path, kept(registry)))


def test_the_body_is_hashed_where_the_head_has_no_digest(registry: Registry) -> None:
    content = b'{"schemaVersion": 2}'
    registry.answers["/v2/team/.*"] = replying(200, content)
    assert answer(registry) == digest(content)


def test_a_stated_digest_must_be_the_body_s(registry: Registry) -> None:
    stated = digest(b"other")

    def reply(handler: Any) -> None:
        headers = {} if handler.command == "HEAD" else {"Docker-Content-Digest": stated}
        handler.reply(200, b"{}", headers)

    registry.answers["/v2/team/.*"] = reply
    assert "another digest" in reason(registry)


def test_no_login_follows_a_redirect(registry: Registry, tmp_path: Path) -> None:
    thief, server = serve()
    try:
        pushed = thief.push("team/train:1.0")
        registry.auth = "basic"

        def reply(handler: Any) -> None:
            if handler.headers.get("Authorization"):
                handler.reply(307, b"", {"Location": f"http://{thief.host}/v2/team/train/manifests/1.0"})
            else:
                handler.reply(401, b"", {"WWW-Authenticate": "Basic"})

        registry.answers["/v2/team/.*"] = reply
        assert answer(registry, home=log_in(tmp_path, kept(registry))) == pushed
        assert [headers.get("Authorization") for _, _, headers in thief.asked] == [None]
    finally:
        server.shutdown()
        server.server_close()


def test_a_registry_of_this_machine_may_have_tls(
    registry: Registry, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure, server = serve(keys)
    try:
        pushed = secure.push("team/train:1.0")
        assert "CERTIFICATE_VERIFY_FAILED" in reason(secure)
        monkeypatch.setenv("SSL_CERT_FILE", str(keys[0]))
        assert answer(secure) == pushed
    finally:
        server.shutdown()
        server.server_close()


def test_a_registry_with_tls_sends_nobody_to_what_has_none(
    registry: Registry, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    secure, server = serve(keys)
    try:
        monkeypatch.setenv("SSL_CERT_FILE", str(keys[0]))
        challenge = f'Bearer realm="http://{registry.host}/token",service="tests"'
        secure.answers["/v2/team/.*"] = replying(401, WWW_Authenticate=challenge)
        assert "which is none" in reason(secure)
        secure.answers["/v2/team/.*"] = replying(307, Location=f"http://{registry.host}/v2/team/train/manifests/1.0")
        assert "an address without TLS" in reason(secure)
        assert not registry.asked
    finally:
        server.shutdown()
        server.server_close()


def test_nobody_there(registry: Registry) -> None:
    registry.host = "127.0.0.1:1"
    assert "cannot be reached" in reason(registry)


def test_a_stranger_is_asked_by_tls_alone(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(Registries, "_send", lambda _, url, *__: asked.append(url) or 1 / 0)
    for insecure in ((), ("registry.example.com:5000",)):
        with pytest.raises(ZeroDivisionError):
            Registries(insecure=insecure).answer(Reference("image", "registry.example.com:5000/a:1"))
    assert asked == ["https://registry.example.com:5000/v2/a/manifests/1", "http://registry.example.com:5000/v2/"]
