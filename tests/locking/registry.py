"""A registry of images as the OCI distribution specification describes it, on 127.0.0.1 only.

It keeps manifests by tag and digest, and gives out bearer tokens for basic logins, or wants the login itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD, TOKEN, REFRESH = "puller", "s3cret:with/odd", "t0ken-of-a-pull", "refresh-me"
BASIC = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_PATH = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<tag>[^/]+)")


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Registry:
    """The registry as a test sees it.

    Attributes:
        host: address with its port.
        auth: `none`, `bearer` or `basic`.
        images: manifests by `name:tag`, with their media type.
        asked: method, path and the headers of each request.
        answers: what replaces the answer to a path, by a pattern; takes the handler.
    """

    host: str = ""
    auth: str = "none"
    images: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    answers: dict[str, Callable[[Any], None]] = field(default_factory=dict)

    def push(self, name: str, text: str = "1", kind: str = INDEX) -> str:
        """Put a manifest under `name:tag`; return its digest."""
        content = json.dumps({"schemaVersion": 2, "mediaType": kind, "annotations": {"text": text}}).encode()
        self.images[name] = kind, content
        return digest(content)

    def image(self, name: str) -> str:
        return f"{self.host}/{name}"


class Handler(BaseHTTPRequestHandler):
    """One connection; `registry` is set by `serve`."""

    registry: Registry
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing: the registry keeps what it was asked."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.form = parse_qs(self.rfile.read(length).decode())
        self.registry.asked.append((self.command, self.path, dict(self.headers)))
        path = urlsplit(self.path).path
        for pattern, answer in self.registry.answers.items():
            if re.fullmatch(pattern, path):
                answer(self)
                return
        if path == "/token":
            self._token()
        elif not self._is_let_in():
            self._challenge()
        elif (match := _PATH.fullmatch(path)) and (
            found := self.registry.images.get(f"{match['name']}:{match['tag']}")
        ):
            self._manifest(*found)
        else:
            self.reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')

    do_HEAD = do_POST = do_GET  # noqa: N815 - http.server's names

    def _is_let_in(self) -> bool:
        wanted = {"none": None, "bearer": f"Bearer {TOKEN}", "basic": BASIC}[self.registry.auth]
        return wanted is None or self.headers.get("Authorization") == wanted

    def _challenge(self) -> None:
        match = _PATH.fullmatch(urlsplit(self.path).path)
        scope = f',scope="repository:{match["name"]}:pull"' if match else ""
        realm = f'realm="http://{self.registry.host}/token",service="tests"{scope}'
        self.reply(401, b"{}", {"WWW-Authenticate": f"Bearer {realm}" if self.registry.auth == "bearer" else "Basic"})

    def _token(self) -> None:
        asked = parse_qs(urlsplit(self.path).query) | self.form
        is_refreshed = self.command == "POST" and asked.get("refresh_token") == [REFRESH]
        is_known = is_refreshed or self.headers.get("Authorization") == BASIC
        is_pull = asked.get("service") == ["tests"] and re.fullmatch(r"repository:.+:pull", asked.get("scope", [""])[0])
        if is_known and is_pull:
            self.reply(200, json.dumps({"access_token" if is_refreshed else "token": TOKEN}).encode())
        else:
            self.reply(401, b"{}")

    def _manifest(self, kind: str, content: bytes) -> None:
        if kind in self.headers.get("Accept", ""):
            self.reply(200, content, {"Docker-Content-Digest": digest(content), "Content-Type": kind})
        else:
            self.reply(406)

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Quiet about clients that hang up."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: a client may stop reading."""


def serve(keys: tuple[Path, Path] | None = None) -> tuple[Registry, Server]:
    """Start a registry in a thread, over TLS with a certificate and its key; the caller shuts it down."""
    registry = Registry()
    server = Server(("127.0.0.1", 0), type("RegistryHandler", (Handler,), {"registry": registry}))
    if keys:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*keys)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    registry.host = f"127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return registry, server
