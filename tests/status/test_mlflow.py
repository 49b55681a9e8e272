"""`ftgen status --mlflow`: what an MLflow server on loopback says of the runs, and what it never learns."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from tests.status.clusters import FakeKubectl, altered, recorded
from tests.status.test_status import document, run

from ftgen import cli
from ftgen.remote.cluster import mlflow, objects

EXPERIMENT = {"experiment": {"experiment_id": "7", "name": "team"}}
JOB = "stray-0000aaaa"


def tracked(run_id: str, status: str, **metrics: tuple[float | str, int | str]) -> dict[str, Any]:
    values = [{"key": key, "value": value, "step": step} for key, (value, step) in metrics.items()]
    return {
        "info": {"run_id": run_id, "experiment_id": "7", "status": status, "start_time": 1},
        "data": {"metrics": values, "tags": [{"key": "ftgen.job", "value": JOB}]},
    }


RUNNING = tracked("a1b2c3d4e5f6", "RUNNING", loss=(1.09123456, 40), learning_rate=(1e-5, 41))


class FakeMLflow(ThreadingHTTPServer):
    """A server that answers as it is told, and notes what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.status, self.headers = 200, dict[str, str]()
        self.answers: dict[str, Any] = {"get-by-name": EXPERIMENT, "search": {"runs": [RUNNING]}}
        self.delay = 0.0

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/base"

    @property
    def last_search(self) -> Any:
        return next(body for path, _, body in reversed(self.asked) if path.endswith("search"))


class _Handler(BaseHTTPRequestHandler):
    server: FakeMLflow

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.path, dict(self.headers), body))
        time.sleep(self.server.delay)
        answer = self.server.answers[self.path.partition("?")[0].rpartition("/")[2]]
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMLflow]:
    fake = FakeMLflow()
    Thread(target=fake.serve_forever, args=(0.01,), daemon=True).start()
    for name in ("TOKEN", "USERNAME", "PASSWORD", "INSECURE_TLS", "SERVER_CERT_PATH"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{fake.uri}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield fake
    fake.shutdown()
    fake.server_close()


def reporting(uri: str = "http://mlflow.invalid:5000", **more: str) -> dict[str, list[dict[str, Any]]]:
    """A running job that reports to a server of its own network."""
    bodies = altered(recorded("stray"))
    values = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": "team ü", **more}
    template = bodies["jobs"][0]["spec"]["tasks"][0]["template"]["spec"]
    template["containers"][0]["env"] = [{"name": name, "value": value} for name, value in values.items()]
    return bodies


def test_the_state_and_the_last_numbers_of_a_run(
    kubectl: FakeKubectl, server: FakeMLflow, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.serve(reporting())
    out, _ = run(["status", "--mlflow"], capsys)
    title, line, *_ = out.splitlines()
    assert title.split()[-1] == "MLFLOW"
    assert line.split()[-2:] == ["running", "a1b2c3d4"]
    assert line.split()[5:7] == ["41", "1.0912"]
    (each,) = document(capsys, "--mlflow")["runs"]
    known = {"run_id": "a1b2c3d4e5f6", "experiment_id": "7", "status": "RUNNING", "step": 41, "loss": "1.0912"}
    assert each["mlflow"] == known
    assert (each["step"], each["steps"], each["loss"]) == (41, None, "1.0912")
    assert server.asked[0][0] == "/base/api/2.0/mlflow/experiments/get-by-name?experiment_name=team%20%C3%BC"
    assert server.last_search["filter"] == f"tags.`ftgen.job` = '{JOB}'"
    assert server.last_search["experiment_ids"] == ["7"]


def test_the_log_is_believed_before_mlflow(
    kubectl: FakeKubectl, server: FakeMLflow, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.serve(reporting())
    kubectl.log(
        recorded("stray")["pods"][0]["metadata"]["name"], " 39%|██| 50/128 [00:10<00:20,  5.0it/s]\n{'loss': 0.5}\n"
    )
    (each,) = document(capsys, "--mlflow")["runs"]
    assert (each["step"], each["steps"], each["loss"]) == (50, 128, "0.5")


def test_the_closing_evaluation_is_not_the_training(
    kubectl: FakeKubectl, server: FakeMLflow, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.serve(reporting())
    server.answers["search"] = {"runs": [tracked("evaluation", "FINISHED", accuracy=(0.9, 0)), RUNNING]}
    assert document(capsys, "--mlflow")["runs"][0]["mlflow"]["run_id"] == "a1b2c3d4e5f6"


def test_without_the_flag_no_server_is_asked(
    kubectl: FakeKubectl, server: FakeMLflow, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.serve(reporting(server.uri))
    assert document(capsys)["runs"][0]["mlflow"] is None
    assert server.asked == []


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({}, None),
        ({"TOKEN": "t0ken"}, "Bearer t0ken"),
        ({"TOKEN": "t0ken", "USERNAME": "u", "PASSWORD": "p"}, "Basic dTpw"),
    ],
)
def test_the_login_is_that_of_mlflows_client(
    kubectl: FakeKubectl,
    server: FakeMLflow,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    header: str | None,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    kubectl.serve(reporting(MLFLOW_WORKSPACE="team-a"))
    run(["status", "--mlflow"], capsys)
    assert {headers.get("Authorization") for _, headers, _ in server.asked} == {header}
    assert {headers.get("X-Mlflow-Workspace") for _, headers, _ in server.asked} == {"team-a"}


def test_an_address_in_a_manifest_or_an_answer_gets_neither_question_nor_token(
    kubectl: FakeKubectl, server: FakeMLflow, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    thief = FakeMLflow()
    Thread(target=thief.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    kubectl.serve(reporting(thief.uri))
    server.status, server.headers = 302, {"Location": f"{thief.uri}/login"}
    (note,) = [each for each in document(capsys, "--mlflow")["unread"] if each["code"].startswith("FT66")]
    thief.shutdown()
    thief.server_close()
    assert thief.asked == []
    assert note["code"] == "FT661"
    assert "sends elsewhere" in note["headline"]
    assert "t0ken" not in json.dumps(note)


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (401, {}, "FT661"),
        (500, {}, "FT661"),
        (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}, None),
        (404, b"<html>no such page", "FT662"),
        (200, b"<html>", "FT662"),
        (200, [], "FT662"),
        (200, b"[" * 100_000, "FT662"),
        (200, {}, None),
        (200, {"experiment": [7], "runs": "x"}, None),
        (200, {"experiment": {"experiment_id": "7"}, "runs": [None, {"info": 3, "data": {"metrics": {}}}]}, None),
    ],
)
def test_whatever_the_server_answers_the_cluster_is_shown(
    kubectl: FakeKubectl,
    server: FakeMLflow,
    capsys: pytest.CaptureFixture[str],
    status: int,
    answer: Any,
    code: str | None,
) -> None:
    kubectl.serve(reporting())
    server.status, server.answers = status, {"get-by-name": answer, "search": answer}
    found = document(capsys, "--mlflow")
    assert found["runs"][0]["state"] == "running"
    assert [each["code"] for each in found["unread"] if each["code"].startswith("FT66")] == ([code] if code else [])


def test_odd_numbers_are_written_as_json(
    kubectl: FakeKubectl, server: FakeMLflow, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.serve(reporting())
    for value, shown in ((float("nan"), "nan"), ("Infinity", "Infinity"), (True, ""), ({}, "")):
        server.answers["search"] = {"runs": [tracked("a\x1b[2J", "FINISHED", loss=(value, "12"))]}
        found = document(capsys, "--mlflow")["runs"][0]["mlflow"]
        assert found["loss"] == shown
        assert found["step"] == 12
        assert "\x1b" not in found["run_id"]


def test_a_server_that_is_not_there_is_a_note(
    kubectl: FakeKubectl, server: FakeMLflow, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl.serve(reporting())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    _, err = run(["status", "--mlflow"], capsys)
    assert "note[FT660]: the MLflow server http://127.0.0.1:9 cannot be reached" in err


def test_a_bar_that_ends_before_the_tracked_step_is_another_s(
    kubectl: FakeKubectl, server: FakeMLflow, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.serve(reporting())
    kubectl.log(f"{JOB}-train-0", " 96%|█▉| 28/30 [00:03<00:00, 12.10it/s]")
    (found,) = document(capsys, "--mlflow")["runs"]
    assert (found["step"], found["steps"]) == (41, None)


def test_a_loss_and_a_step_beyond_all_bounds_are_none(server: FakeMLflow) -> None:
    server.answers["search"] = {"runs": [tracked("a", "RUNNING", loss=(10**400, 10**400))]}
    found, notes = mlflow.tracked_runs(mlflow.Server(server.uri), [objects.volcano_job(reporting()["jobs"][0])])
    assert notes == []
    assert [(run.step, run.loss) for run in found.values()] == [(0, "")]


def test_a_slow_server_does_not_hold_up(server: FakeMLflow) -> None:
    jobs = [objects.volcano_job(reporting()["jobs"][0])]
    server.delay = 3
    began = time.monotonic()
    found, (note,) = mlflow.tracked_runs(mlflow.Server(server.uri), jobs, seconds=0.3)
    assert time.monotonic() - began < 1.5
    assert found == {}
    assert "answered about 0 of 1 runs in time" in note.headline


@pytest.mark.parametrize(
    "uri", ["", "databricks", "file:///tmp/mlruns", "http://", "http://[", "http://u:p@h", "http://a b", "http://h:0"]
)
def test_an_environment_that_names_no_server_is_a_usage_error(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert cli.main(["status", "--mlflow"]) == 2
    assert "MLFLOW_TRACKING_" in capsys.readouterr().err
    assert kubectl.calls() == []
