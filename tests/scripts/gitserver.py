"""A git and Git LFS server over TLS, shaped like GitLab: for tests, on 127.0.0.1 only.

Every request needs basic auth with one user and token. A URL without ``.git`` is redirected to the
one with it. ``git http-backend`` serves the repositories; the LFS batch API keeps objects by digest.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

USER = "trainer"
TOKEN = "glpat-Secr3t/with:odd@chars"
BASIC = "Basic " + base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
GIT = re.compile(r"/(?P<repo>[^/]+?)(?P<suffix>\.git)?/(?P<verb>info/refs|git-upload-pack|git-receive-pack)")
BATCH = re.compile(r"/(?P<repo>[^/]+)\.git/info/lfs/objects/batch")
OBJECT = re.compile(r"/lfs/(?P<oid>[0-9a-f]{64})")


@dataclass
class Forge:
    """The server as a test sees it: where it is, what it holds, what it was asked."""

    root: Path
    url: str = ""
    certificate: Path = Path()
    requests: list[str] = field(default_factory=list)
    outages: int = 0
    cut: int = 0

    def address(self, repo: str) -> str:
        """The URL that a job would name, without ``.git``."""
        return f"{self.url}/{repo}"

    def bare(self, repo: str) -> Path:
        return self.root / f"{repo}.git"

    def git(self, repo: str, *words: str) -> str:
        done = subprocess.run(["git", "--git-dir", self.bare(repo), *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def create(self, repo: str, *options: str) -> str:
        """An empty repository that serves any commit it holds; its URL."""
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", *options, self.bare(repo)], check=True)
        self.git(repo, "config", "uploadpack.allowAnySHA1InWant", "true")
        self.git(repo, "config", "http.receivepack", "true")
        self.git(repo, "config", "user.name", "forge")
        self.git(repo, "config", "user.email", "forge@example.com")
        return self.address(repo)

    def object(self, oid: str) -> Path:
        return self.root / "lfs" / oid

    def pointer(self, data: bytes) -> bytes:
        """Keeps ``data`` as an LFS object and gives the pointer that stands for it."""
        oid = hashlib.sha256(data).hexdigest()
        self.object(oid).parent.mkdir(exist_ok=True)
        self.object(oid).write_bytes(data)
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (
            oid.encode(),
            len(data),
        )

    def commit(self, repo: str, files: dict[str, bytes], *, large: dict[str, bytes], branch: str = "main") -> str:
        """Puts a commit with exactly these files on a branch; its id."""
        blobs = {**files, **{path: self.pointer(data) for path, data in large.items()}}
        lines = [f"commit refs/heads/{branch}", "committer T <t@example.com> 0 +0000", "data 1", "x"]
        stream = "\n".join(lines).encode() + b"\n"
        if self.git(repo, "branch", "--list", branch):
            stream += f"from refs/heads/{branch}^0\n".encode()
        stream += b"deleteall\n"
        for path, data in blobs.items():
            stream += b'M 100644 inline "%s"\ndata %d\n%s\n' % (path.encode(), len(data), data)
        subprocess.run(["git", "--git-dir", self.bare(repo), "fast-import", "--quiet"], input=stream, check=True)
        return self.git(repo, "rev-parse", f"refs/heads/{branch}")

    def count(self, pattern: str) -> int:
        return sum(bool(re.search(pattern, line)) for line in self.requests)


class Handler(BaseHTTPRequestHandler):
    """One connection; ``forge`` is set by :func:`serve`."""

    forge: Forge
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing to the console: the forge keeps the list of requests."""

    def do_GET(self) -> None:
        body = self._body()
        path = urlsplit(self.path).path
        self.forge.requests.append(f"{self.command} {self.path}")
        if self.forge.outages:
            self.forge.outages -= 1
            self._reply(503, b"out of order")
        elif (match := GIT.fullmatch(path)) and not match["suffix"]:
            self._reply(301, location=f"{self.forge.url}/{match['repo']}.git{self.path[len(match['repo']) + 1 :]}")
        elif self.headers.get("Authorization") != BASIC:
            self._reply(401, b"HTTP Basic: Access denied")
        elif match:
            self._backend(path, body)
        elif BATCH.fullmatch(path):
            self._batch(json.loads(body))
        elif match := OBJECT.fullmatch(path):
            self._object(match["oid"], body)
        else:
            self._reply(404, b"not here")

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _chunk(self) -> bytes:
        data = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return data

    def _reply(self, status: int, body: bytes = b"", kind: str = "text/plain", location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
        self.end_headers()
        self.wfile.write(body)

    def _backend(self, path: str, body: bytes) -> None:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.forge.root),
            "GIT_PROJECT_ROOT": str(self.forge.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": urlsplit(self.path).query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": USER,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._reply(int(fields.get("Status", "200").split()[0]), answer, fields.get("Content-Type", ""))

    def _batch(self, request: dict[str, Any]) -> None:
        operation = request["operation"]
        self.forge.requests.append(f"batch {operation}")
        answer = [self._offer(operation, item) for item in request["objects"]]
        body = json.dumps({"transfer": "basic", "objects": answer}).encode()
        self._reply(200, body, "application/vnd.git-lfs+json")

    def _offer(self, operation: str, item: dict[str, Any]) -> dict[str, Any]:
        known = self.forge.object(item["oid"]).exists()
        offer = {"oid": item["oid"], "size": item["size"], "authenticated": True}
        action = {"href": f"{self.forge.url}/lfs/{item['oid']}", "header": {"Authorization": BASIC}}
        if operation == "download" and not known:
            return offer | {"error": {"code": 404, "message": "Object does not exist on the server"}}
        return offer if operation == "upload" and known else offer | {"actions": {operation: action}}

    def _object(self, oid: str, body: bytes) -> None:
        if self.command == "GET":
            self._download(self.forge.object(oid).read_bytes())
        elif hashlib.sha256(body).hexdigest() == oid:
            self.forge.object(oid).parent.mkdir(exist_ok=True)
            self.forge.object(oid).write_bytes(body)
            self._reply(200)
        else:
            self._reply(422)

    def _download(self, data: bytes) -> None:
        if not self.forge.cut:
            self._reply(200, data)
            return
        self.forge.cut -= 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True


class Server(ThreadingHTTPServer):
    """Quiet about clients that hang up in the middle: tests kill them."""

    def handle_error(self, *_: Any) -> None:
        """A killed client is no fault of the server."""


def certificate(folder: Path) -> tuple[Path, Path]:
    """A fresh self-signed certificate for 127.0.0.1 and its key."""
    cert, key = folder / "server.pem", folder / "server.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=forge", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"),
            *("-out", cert, "-keyout", key),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def serve(root: Path, keys: tuple[Path, Path]) -> tuple[Forge, Server]:
    """Starts a server for ``root`` in a thread; the caller shuts it down."""
    forge = Forge(root, certificate=keys[0])
    server = Server(("127.0.0.1", 0), type("ForgeHandler", (Handler,), {"forge": forge}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*keys)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    forge.url = f"https://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return forge, server
