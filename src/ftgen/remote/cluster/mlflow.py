"""MLflow runs of live jobs, read from the server that the user's environment names.

A manifest says which experiment a job reports to.  The address in it is never asked: it is one of the cluster's
network, and whoever wrote the manifest chose it, so the user's token must not go there.  Everything ends after a few
seconds, whatever the server does.
"""

from __future__ import annotations

import base64
import http.client
import json
import math
import re
import ssl
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from msgspec import Struct

from ftgen.diagnostics import Diagnostic, note
from ftgen.remote.cluster.fields import count, text
from ftgen.remote.cluster.objects import Job, Tracking
from ftgen.text import kube
from ftgen.text.lines import printable
from ftgen.text.shapes import entries, mapping

UNREACHABLE, REFUSED, SHAPE = "FT660", "FT661", "FT662"
TAG = "ftgen.job"
"""Tag of an MLflow run that holds the name of its job (`lower.environment`)."""
_URI = "MLFLOW_TRACKING_URI"
_API = "/api/2.0/mlflow"
_WORKSPACE = "X-MLFLOW-WORKSPACE"
_SECONDS = 10.0
_AT_ONCE = 8
_LARGEST_ANSWER = 16 << 20
_RUNS_OF_A_JOB = 20  # one for each start of the job, and one for its closing evaluation
_DIGITS = re.compile(r"[0-9]{1,18}")
_LOSSES = ("loss", "train_loss", "eval_loss")
_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")


class Server(Struct, frozen=True):
    """MLflow server as the variables of MLflow's own client describe it.

    Attributes:
        uri: its address.
        authorization: value of that header; empty for a server that asks nobody who comes.
        ca_file: certificates that its own is checked with; empty for those of the system.
        is_verified: whether its certificate is checked.
        patience: how many seconds one answer may take.
    """

    uri: str
    authorization: str = ""
    ca_file: str = ""
    is_verified: bool = True
    patience: float = 5.0

    def __repr__(self) -> str:
        # The header may hold a secret.
        return f"{type(self).__name__}({self.uri!r})"

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Server:
        """Return the server that MLFLOW_TRACKING_URI names.

        Raises:
            ValueError: it names none that can be asked.
        """
        uri = environ.get(_URI, "").strip()
        return cls(
            _address(uri),
            _authorization(environ),
            environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH", ""),
            environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() != "true",
        )


def _address(uri: str) -> str:
    """Return the address that the paths of the API follow."""
    try:
        parts = urlsplit(uri)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        has_login = parts.username is not None
    except ValueError:
        is_address = has_login = False
    if has_login:
        raise ValueError("name user and password in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
    if not is_address or not uri.isascii() or not uri.isprintable() or " " in uri:
        raise ValueError("MLFLOW_TRACKING_URI must name the server, as in https://mlflow.example.com")
    return uri.partition("?")[0].partition("#")[0].rstrip("/")


def _authorization(environ: Mapping[str, str]) -> str:
    """Return the header as MLflow's client makes it: the token only where there is no user."""
    user, password = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    token = environ.get("MLFLOW_TRACKING_TOKEN", "").strip()
    if token and not (token.isascii() and token.isprintable()):
        raise ValueError("MLFLOW_TRACKING_TOKEN holds characters that no header can")
    return f"Bearer {token}" if token else ""


class TrackedRun(Struct, frozen=True):
    """MLflow run of a job: `step` and `loss` are the last that it logged, 0 and empty if it logged none."""

    run_id: str
    experiment_id: str
    status: str
    step: int
    loss: str


Tracked = Mapping[tuple[str, str], TrackedRun]


class Measured(Struct, frozen=True):
    """What the MLflow runs of a job say of one metric.

    Attributes:
        status: of the run that logged it last; of the last run, if none did.
        value: its last value, perhaps not finite; None if no run logged it.
        reported: its value by step; empty if that was not asked for.
        names: the metrics that were logged, sorted.
    """

    status: str
    value: float | None
    reported: Mapping[int, float]
    names: tuple[str, ...]


def tracked_runs(server: Server, jobs: Iterable[Job], seconds: float = _SECONDS) -> tuple[Tracked, list[Diagnostic]]:
    """Return the MLflow runs of some jobs by namespace and name, and notes about what could not be read.

    Args:
        server: the server.
        jobs: live jobs; those that report to no MLflow are passed over.
        seconds: after which the rest is left unread.
    """
    return _asked_of(server, jobs, _run_of, seconds)


def measured_runs(
    server: Server, jobs: Iterable[Job], metric: str, *, by_step: bool, seconds: float = _SECONDS
) -> tuple[Mapping[tuple[str, str], Measured], list[Diagnostic]]:
    """Return what the runs of some jobs say of a metric, by namespace and name, and notes as `tracked_runs` does.

    Args:
        server: the server.
        jobs: rendered or live jobs.
        metric: name of the metric.
        by_step: whether to read its values at all steps.
        seconds: after which the rest is left unread.
    """

    def ask(server: Server, job: Job, experiment: str) -> Measured | Diagnostic | None:
        return _measured(server, job, experiment, metric, by_step=by_step)

    return _asked_of(server, jobs, ask, seconds)


def _asked_of(
    server: Server,
    jobs: Iterable[Job],
    ask: Callable[[Server, Job, str], _Answer | Diagnostic | None],
    seconds: float,
) -> tuple[Mapping[tuple[str, str], _Answer], list[Diagnostic]]:
    """Ask about each job in its experiment, several at once; return the answers by namespace and name."""
    deadline = time.monotonic() + seconds
    asked = [(job, job.tracking) for job in jobs if job.tracking and kube.is_dns1123_subdomain(job.key[1])]
    places = list(dict.fromkeys(place for _, place in asked))
    experiments = _all(places, lambda place: _experiment(server, place), deadline)
    wanted = [(job, name) for job, place in asked if isinstance(name := experiments.get(place), str)]
    runs = _all([*range(len(wanted))], lambda number: ask(server, *wanted[number]), deadline)
    failed = [answer for answer in (*experiments.values(), *runs.values()) if isinstance(answer, Diagnostic)]
    is_late = not failed and (len(experiments) < len(places) or len(runs) < len(wanted))
    found = {wanted[n][0].key: run for n, run in runs.items() if run is not None and not isinstance(run, Diagnostic)}
    return found, [*failed[:1], *([_late(server, len(runs), len(asked))] if is_late else [])]


def _late(server: Server, answered: int, asked: int) -> Diagnostic:
    headline = f"the MLflow server {server.uri} answered about {answered} of {asked} runs in time"
    return note(UNREACHABLE, headline, _URI, help="ask again, or about fewer runs")


def _all(
    questions: Sequence[_Question], ask: Callable[[_Question], _Answer], deadline: float
) -> dict[_Question, _Answer]:
    """Ask several questions at once; return what was answered by the deadline, and nothing after the first failure.

    The threads are daemons: neither a name server nor a server that sends one byte a second keeps the program alive.
    """
    left, answers = deque(questions), dict[_Question, _Answer]()

    def work() -> None:
        while left and time.monotonic() < deadline:
            try:
                question = left.popleft()
            except IndexError:
                return
            answers[question] = ask(question)
            if isinstance(answers[question], Diagnostic):
                left.clear()

    threads = [Thread(target=work, daemon=True) for _ in range(min(_AT_ONCE, len(questions)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return answers.copy()


def _experiment(server: Server, place: Tracking) -> str | Diagnostic:
    """Return the identifier of an experiment; empty where there is none of its name."""
    path = f"/experiments/get-by-name?experiment_name={quote(place.experiment, safe='')}"
    answer = _ask(server, path, place.workspace)
    return answer if isinstance(answer, Diagnostic) else text(mapping(answer.get("experiment")).get("experiment_id"))


def _run_of(server: Server, job: Job, experiment: str) -> TrackedRun | Diagnostic | None:
    """Return the run of a job: the last that logged a loss, else the last; None where there is none."""
    found = _bodies(server, job, experiment)
    if isinstance(found, Diagnostic):
        return found
    runs = [_view(body) for body in found]
    return next((run for run in runs if run.loss), runs[0] if runs else None)


def _measured(server: Server, job: Job, experiment: str, metric: str, *, by_step: bool) -> Measured | Diagnostic | None:
    """Return what the run of a job says of a metric: the last that logged it, else the last; None without a run."""
    found = _bodies(server, job, experiment)
    if isinstance(found, Diagnostic) or not found:
        return found if isinstance(found, Diagnostic) else None
    logged = [_metrics(body) for body in found]
    at = next((number for number, metrics in enumerate(logged) if metric in metrics), 0)
    info, value = mapping(found[at].get("info")), logged[at].get(metric)
    steps: dict[int, float] | Diagnostic = {}
    if by_step and value is not None:
        steps = _by_step(server, job, text(info.get("run_id")), metric)
    if isinstance(steps, Diagnostic):
        return steps
    names = {name for metrics in logged for name in metrics}
    return Measured(text(info.get("status")), value, steps, tuple(sorted(names)))


def _metrics(body: Mapping[str, Any]) -> dict[str, float]:
    """Return the last value of each metric of a run; what is no number is not there."""
    listed = [each for _, each in entries(mapping(body.get("data")).get("metrics"))]
    values = {text(each.get("key")): _float(each.get("value")) for each in listed}
    return {name: value for name, value in values.items() if value is not None}


def _by_step(server: Server, job: Job, run_id: str, metric: str) -> dict[int, float] | Diagnostic:
    """Return the values of a metric of a run by step; of one step, the last."""
    path = f"/metrics/get-history?run_id={quote(run_id, safe='')}&metric_key={quote(metric, safe='')}"
    answer = _ask(server, path, job.tracking.workspace if job.tracking else "")
    if isinstance(answer, Diagnostic):
        return answer
    listed = [each for _, each in entries(answer.get("metrics"))]
    values = {_count(each.get("step")): _float(each.get("value")) for each in listed}
    return {step: value for step, value in values.items() if value is not None}


def _float(value: object) -> float | None:
    """Return a metric's value as a number; MLflow sends NaN and infinity as texts."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _bodies(server: Server, job: Job, experiment: str) -> list[dict[str, Any]] | Diagnostic:
    """Return the runs of a job, the last one first; none where the experiment does not exist."""
    if not experiment or job.tracking is None:
        return []
    question = {
        "experiment_ids": [experiment],
        "filter": f"tags.`{TAG}` = '{job.key[1]}'",
        "order_by": ["attributes.start_time DESC"],
        "max_results": _RUNS_OF_A_JOB,
    }
    answer = _ask(server, "/runs/search", job.tracking.workspace, question)
    return answer if isinstance(answer, Diagnostic) else [body for _, body in entries(answer.get("runs"))]


def _view(body: Mapping[str, Any]) -> TrackedRun:
    info = mapping(body.get("info"))
    metrics = {text(each.get("key")): each for _, each in entries(mapping(body.get("data")).get("metrics"))}
    last = next((metrics[name] for name in _LOSSES if name in metrics), {})
    steps = [_count(each.get("step")) for each in metrics.values()]
    run_id, experiment_id, status = (text(info.get(name)) for name in ("run_id", "experiment_id", "status"))
    return TrackedRun(run_id, experiment_id, status, max(steps, default=0), _number(last.get("value")))


def _count(value: object) -> int:
    """Return a step; some servers write 64-bit numbers as texts."""
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else count(value)


def _number(value: object) -> str:
    """Write a metric's value; MLflow sends NaN and infinity as texts, or as JavaScript does."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return text(value)[:24]
    number = _float(value)
    return "" if number is None else f"{number:.5g}" if math.isfinite(number) else str(number)


# --- the connection ------------------------------------------------------------------------------------


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """urllib would send the token on to wherever the server points."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _ask(
    server: Server, path: str, workspace: str, question: Mapping[str, Any] | None = None
) -> dict[str, Any] | Diagnostic:
    """Return the answer of the server's API; empty where what is asked about does not exist."""
    headers = {"Content-Type": "application/json", "Authorization": server.authorization, _WORKSPACE: workspace}
    request = urllib.request.Request(  # noqa: S310 - http or https, as `Server.of` holds
        f"{server.uri}{_API}{path}",
        data=json.dumps(question).encode() if question is not None else None,
        headers={name: value for name, value in headers.items() if value},
    )
    try:
        with _opener(server).open(request, timeout=server.patience) as response:
            return _decoded(server, response.read(_LARGEST_ANSWER + 1))
    except urllib.error.HTTPError as problem:
        with problem:
            return _refusal(server, problem)
    except (OSError, ValueError, http.client.HTTPException) as problem:
        return _unreachable(server, problem)


@cache
def _opener(server: Server) -> urllib.request.OpenerDirector:
    """Return what opens the server's addresses; to read the system's certificates takes as long as an answer."""
    context = ssl.create_default_context(cafile=server.ca_file or None)
    if not server.is_verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return urllib.request.build_opener(_NoRedirects, urllib.request.HTTPSHandler(context=context))


def _decoded(server: Server, answer: bytes) -> dict[str, Any] | Diagnostic:
    try:
        found = json.loads(answer) if len(answer) <= _LARGEST_ANSWER else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else _no_api(server)


def _no_api(server: Server) -> Diagnostic:
    headline = f"{server.uri} does not answer as MLflow's API does"
    return note(SHAPE, headline, _URI, help="name the address that MLflow's own client is given")


_FIRST_REDIRECT, _FIRST_REFUSAL = 300, 400


def _refusal(server: Server, problem: urllib.error.HTTPError) -> dict[str, Any] | Diagnostic:
    """Return why the server refuses; an empty answer where it does not have what was asked for."""
    if problem.code == HTTPStatus.NOT_FOUND:
        answer = _decoded(server, problem.read(_LARGEST_ANSWER + 1))
        return {} if isinstance(answer, dict) and "error_code" in answer else _no_api(server)
    if _FIRST_REDIRECT <= problem.code < _FIRST_REFUSAL:
        where = printable(problem.headers.get("Location") or "another address")
        headline = f"the MLflow server {server.uri} sends elsewhere, to {where}"
        return note(REFUSED, headline, _URI, help="name that address, or log in (MLFLOW_TRACKING_TOKEN)")
    headline = f"the MLflow server {server.uri} refuses to answer: {problem.code} {printable(str(problem.reason))}"
    how = "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, as for MLflow's client"
    return note(REFUSED, headline, _URI, help=how)


def _unreachable(server: Server, problem: Exception) -> Diagnostic:
    reason = printable(str(getattr(problem, "reason", problem)) or type(problem).__name__)
    headline = f"the MLflow server {server.uri} cannot be reached: {reason}"
    how = "check MLFLOW_TRACKING_URI; of a server inside the cluster, `kubectl port-forward` makes an address"
    return note(UNREACHABLE, headline, _URI, help=how)
