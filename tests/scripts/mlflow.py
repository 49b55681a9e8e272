"""MLflow on loopback for the scripts: a small server that speaks the endpoints, and the real one, each with a login."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from uuid import uuid4

USER, PASSWORD, TOKEN = "trainer", "long enough for MLflow", "t0ken"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
BEARER = f"Bearer {TOKEN}"
LOGINS = {
    "basic": {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD},
    # As a Secret made from a file has it: with a line break.
    "bearer": {"MLFLOW_TRACKING_TOKEN": f"{TOKEN}\n"},
}
AUTHORIZATION = {"basic": BASIC, "bearer": BEARER}


@dataclass(frozen=True)
class Tracker:
    """A server with its login, and questions to it."""

    uri: str
    login: str
    jobs: int = 5  # that start at once

    @property
    def env(self) -> dict[str, str]:
        return {"MLFLOW_TRACKING_URI": self.uri, "MLFLOW_EXPERIMENT_NAME": "team", **LOGINS[self.login]}

    def ask(self, path: str, question: dict[str, Any] | None = None, **query: str) -> dict[str, Any]:
        url = f"{self.uri}/api/2.0/mlflow/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = json.dumps(question).encode() if question is not None else None
        headers = {"Authorization": AUTHORIZATION[self.login], "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    @property
    def experiment(self) -> str:
        found: str = self.ask("experiments/get-by-name", experiment_name="team")["experiment"]["experiment_id"]
        return found

    def create_run(self, start_time: int, **tags: str) -> str:
        listed = [{"key": key.replace("__", "."), "value": value} for key, value in tags.items()]
        question = {"experiment_id": self.experiment, "start_time": start_time, "tags": listed}
        found: str = self.ask("runs/create", question)["run"]["info"]["run_id"]
        return found

    def runs(self) -> dict[str, dict[str, str]]:
        """Every run's tags by its identifier."""
        found = self.ask("runs/search", {"experiment_ids": [self.experiment], "max_results": 100}).get("runs", [])
        return {run["info"]["run_id"]: {t["key"]: t["value"] for t in run["data"].get("tags", [])} for run in found}

    def parents(self) -> list[str]:
        return [run for run, tags in self.runs().items() if "ftgen.parent" in tags]

    def versions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("model-versions/search").get("model_versions", [])
        return found


@dataclass
class Store:
    """What the small server holds."""

    authorization: str
    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    versions: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    answer: tuple[int, dict[str, str], bytes] | None = None  # to everything, if it is set


class RefusedError(Exception):
    """An answer with an error code."""


class _Api(BaseHTTPRequestHandler):
    store: Store

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        words = {name: values[0] for name, values in urllib.parse.parse_qs(query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        words |= json.loads(self.rfile.read(length)) if length else {}
        self.store.headers.append(dict(self.headers))
        if self.store.answer is not None:
            return self._send(*self.store.answer)
        if self.headers.get("Authorization") != self.store.authorization:
            return self._send(401, {}, b"who are you?")
        name = path.partition("/api/2.0/mlflow/")[2].replace("/", "_").replace("-", "_")
        try:
            with self.store.lock:
                told = getattr(self, name)(**words)
        except RefusedError as refused:
            return self._send(400, {}, json.dumps({"error_code": str(refused), "message": "so"}).encode())
        return self._send(200, {}, json.dumps(told or {}).encode())

    do_POST = do_GET  # noqa: N815 - http.server's name

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass

    def experiments_get_by_name(self, experiment_name: str) -> dict[str, Any]:
        if experiment_name not in self.store.experiments:
            raise RefusedError("RESOURCE_DOES_NOT_EXIST")
        return {"experiment": {"experiment_id": self.store.experiments[experiment_name]}}

    def experiments_create(self, name: str) -> dict[str, Any]:
        if name in self.store.experiments:
            raise RefusedError("RESOURCE_ALREADY_EXISTS")
        self.store.experiments[name] = str(len(self.store.experiments) + 1)
        return {"experiment_id": self.store.experiments[name]}

    def runs_create(self, start_time: int, tags: list[dict[str, str]], **_: str) -> dict[str, Any]:
        run_id = uuid4().hex
        info = {"run_id": run_id, "start_time": start_time, "status": "RUNNING"}
        self.store.runs[run_id] = {"info": info, "data": {"tags": tags, "metrics": []}}
        return {"run": self.store.runs[run_id]}

    def runs_search(self, **words: Any) -> dict[str, Any]:
        wanted = re.fullmatch(r"""tags.`(.*)` = ["'](.*)["']""", words.get("filter", ""))
        tags = [{"key": wanted[1], "value": wanted[2]}] if wanted else []
        found = [run for run in self.store.runs.values() if all(t in run["data"]["tags"] for t in tags)]
        if words.get("order_by") == ["attributes.start_time DESC"]:
            found.sort(key=lambda run: -run["info"]["start_time"])
        return {"runs": found}

    def runs_update(self, run_id: str, **info: Any) -> None:
        if run_id not in self.store.runs:
            raise RefusedError("INVALID_PARAMETER_VALUE")
        self.store.runs[run_id]["info"] |= info

    def runs_set_tag(self, run_id: str, key: str, value: str) -> None:
        data = self.store.runs[run_id]["data"]
        data["tags"] = [t for t in data["tags"] if t["key"] != key] + [{"key": key, "value": value}]

    def runs_log_metric(self, run_id: str, **metric: Any) -> None:
        self.store.runs[run_id]["data"]["metrics"].append(metric)

    def metrics_get_history(self, run_id: str, metric_key: str) -> dict[str, Any]:
        return {"metrics": [m for m in self.store.runs[run_id]["data"]["metrics"] if m["key"] == metric_key]}

    def runs_delete(self, run_id: str) -> None:
        if self.store.runs.pop(run_id, None) is None:
            raise RefusedError("INVALID_PARAMETER_VALUE")

    def registered_models_create(self, name: str) -> None:
        if name in self.store.models:
            raise RefusedError("RESOURCE_ALREADY_EXISTS")
        self.store.models.add(name)

    def model_versions_search(self, filter: str = "") -> dict[str, Any]:  # noqa: A002 - MLflow's word
        wanted = re.fullmatch(r'name="(.*)" and source_path="(.*)"', filter)
        there = [v for v in self.store.versions if wanted is None or (v["name"], v["source"]) == wanted.groups()]
        return {"model_versions": there}

    def model_versions_create(self, **version: Any) -> dict[str, Any]:
        version["version"] = str(len(self.store.versions) + 1)
        self.store.versions.append(version)
        return {"model_version": version}


@contextmanager
def small(login: str) -> Iterator[tuple[Tracker, Store]]:
    """A server that speaks the endpoints that the scripts ask."""
    store = Store(AUTHORIZATION[login])
    with _serving(type("Api", (_Api,), {"store": store})) as uri:
        yield Tracker(uri, login), store


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@contextmanager
def real(login: str, folder: Path) -> Iterator[Tracker]:
    """MLflow's own server: with its basic-auth app, or behind a proxy that asks for a bearer token."""
    assert importlib.util.find_spec("mlflow"), "make test-tracking installs it"
    if login == "basic":
        with _mlflow(folder, "--app-name", "basic-auth") as uri:
            # Each question costs its basic-auth app the hash of a password: on a busy machine, seconds.
            yield Tracker(uri, login, 2)
    else:
        with _mlflow(folder) as uri, _serving(type("Proxy", (_Proxy,), {"behind": uri})) as proxy:
            yield Tracker(proxy, login)


@contextmanager
def _mlflow(folder: Path, *words: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "auth.ini"
    config.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/auth.db\n"
        f"admin_username = {USER}\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    env = os.environ | {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of a test"}
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder), *words]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        _await(f"http://127.0.0.1:{port}", server, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        # With its workers, and at once: it would wait for connections that are kept alive.
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _await(uri: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError):
            urllib.request.urlopen(f"{uri}/health", timeout=5).close()
            return
        time.sleep(0.5)
    raise AssertionError(log.read_text())


class _Proxy(BaseHTTPRequestHandler):
    behind: str

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        if self.headers.get("Authorization") != BEARER:
            self.send_response(302)
            self.send_header("Location", "https://login.example.com/")
            self.end_headers()
            return
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.behind}{self.path}", body, headers, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, told = answer.status, answer.read()
        except urllib.error.HTTPError as problem:
            with problem:
                status, told = problem.code, problem.read()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: Any) -> None:
        pass
