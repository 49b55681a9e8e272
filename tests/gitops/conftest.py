"""Real git repositories to publish to, and runs to publish."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.gitops.repositories import git, home
from tests.gitops.runs import make_run

from ftgen.remote.gitops import Provenance, Source

__all__ = ["git", "home", "make_run"]


@pytest.fixture(autouse=True)
def _alone(home) -> None:
    """Every test here has a home of its own."""


@pytest.fixture
def provenance() -> Provenance:
    """A commit of somebody's configuration."""
    source = Source(
        "5" * 40,
        "Ada <ada@example.com>",
        "2026-01-02T03:04:05+00:00",
        "Try lr",
        "Two\nlines",
        "https://git.example.com/c",
    )
    return Provenance("0.1.0", "c" * 64, source)


@pytest.fixture
def bare(tmp_path, git) -> Path:
    """An empty bare repository, as a server holds it."""
    place = tmp_path / "server" / "training.git"
    place.mkdir(parents=True)
    git(place, "init", "--quiet", "--bare", "--initial-branch=main")
    return place


@pytest.fixture
def checkout(tmp_path, git) -> Path:
    """A working copy with a commit on `main`, a staged file, an edited file and an untracked one."""
    place = tmp_path / "checkout"
    place.mkdir()
    git(place, "init", "--quiet", "--initial-branch=main")
    (place / "README.md").write_text("hello\n")
    (place / "other.txt").write_text("other\n")
    git(place, "add", ".")
    git(place, "commit", "--quiet", "-m", "first")
    (place / "README.md").write_text("edited\n")
    (place / "staged.txt").write_text("staged\n")
    git(place, "add", "staged.txt")
    (place / "untracked.txt").write_text("untracked\n")
    return place


@dataclass
class Server:
    """Git's own http server, and what it was asked."""

    url: str
    requests: list[tuple[str, int]]
    before_push: Callable[[], None] = lambda: None
    cut_after_push: bool = False
    gone: bool = False


USER, PASSWORD = "ada", "s3cret"


@pytest.fixture
def http(bare, git) -> Iterator[Server]:
    """The bare repository behind http with basic authentication, on this machine only."""
    git(bare, "config", "http.receivepack", "true")
    git(bare, "config", "uploadpack.allowFilter", "true")
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server = Server(f"http://{USER}:{PASSWORD}@127.0.0.1:{listener.server_port}/training.git", [])
    listener.root, listener.server = bare.parent, server
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    listener.shutdown()
    thread.join()
    listener.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Just enough CGI for `git http-backend`."""

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.answer(b"".join(iter(self.chunk, b"")))
        else:
            self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def chunk(self) -> bytes:
        data = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return data

    def answer(self, body: bytes) -> None:
        server = self.server.server
        path, _mark, query = self.path.partition("?")
        if server.gone:
            self.close_connection = True
            return
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        pushes = path.endswith("git-receive-pack") and self.command == "POST"
        if pushes:
            server.before_push()
            if server.gone:
                self.close_connection = True
                return
        head, reply = self.backend(path, query, body)
        server.requests.append((path.rpartition("/")[2], len(reply)))
        if pushes and server.cut_after_push:
            self.close_connection = True
            return
        self.send_response(int(head.pop("Status", "200").split()[0]))
        for key, value in head.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def backend(self, path: str, query: str, body: bytes) -> tuple[dict[str, str], bytes]:
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": USER,
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env, check=False)
        head, _blank, reply = done.stdout.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode().splitlines()]
        return {key: value for key, _colon, value in lines}, reply

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""
