"""`ftgen status` and `ftgen logs`, with a kubectl that gives a real server's answers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.status.clusters import FakeKubectl, altered, recorded

from ftgen import cli
from ftgen.cli import status
from ftgen.output import tree
from ftgen.output.tree import AssignedName, Entry, Lock

CODES = {
    "Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout": ("FT571", "--context NAME"),
    "The connection to the server localhost:8080 was refused - did you specify the right host?": ("FT571", "network"),
    'error: context "x" does not exist': ("FT570", "get-contexts"),
    "error: You must be logged in to the server (Unauthorized)": ("FT572", "log in again"),
    'Error from server (Forbidden): jobs.batch.volcano.sh is forbidden: User "u" cannot list': ("FT572", "auth can-i"),
    "Error from server (NotFound): the server could not find the requested resource": ("FT573", "install Volcano"),
    "panic: something else": ("FT575", "-v=6"),
}


def run(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[str, str]:
    assert cli.main(words) == code, capsys.readouterr().err
    captured = capsys.readouterr()
    return captured.out, captured.err


def committed(*jobs: tuple[str, str], folder: str = "out") -> None:
    """Write a tree of nothing but jobs: the name of each, and its queue."""
    files, runs = {}, {}
    for name, queue in jobs:
        identity = name.rpartition("-")[0]
        path = f"{identity}/job-{name}.yaml"
        files[path] = Entry("0" * 64, f"batch.volcano.sh/v1alpha1 Job ft-status/{name}", identity, name)
        runs[identity] = AssignedName(name)
        file = Path(folder, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"spec:\n  queue: {queue}\n")
    Path(folder, "ftgen.lock").write_bytes(tree.dump_lock(Lock(files, runs)))


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(run(["status", "--json", *words], capsys)[0])
    return loaded


def test_one_line_a_run_and_the_cause_below(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl.serve(recorded("stray", "no-claim", "done"))
    out, err = run(["status"], capsys)
    title, *lines = out.splitlines()
    assert title.split() == ["RUN", "STATE", "WHERE", "STEP", "LOSS", "AGE", "RESTARTS"]
    shown = {line.split()[0]: line.split() for line in lines if line and not line.startswith("  ")}
    assert shown["stray-0000aaaa"][1:5] == ["running", "amd-1", "1x1", "amd.com/gpu"]
    assert shown["done-9ede011e"][1] == "completed"
    assert shown["no-claim-2faf869a"][1] == "pending"
    assert "  the claim nope does not exist: create it" in out
    assert "not-in-git" not in out  # no tree was named
    assert err.count("note[FT") == 1  # the log that the server did not have


def test_a_cluster_is_asked_few_questions(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl.serve(recorded("done"))
    committed(("done-9ede011e", "default"))
    run(["status"], capsys)
    assert len(kubectl.calls()) == 2  # jobs and pods
    kubectl.serve(recorded("done", "no-claim", "gang", "large"))
    run(["status"], capsys)
    assert len(kubectl.calls()) == 2 + 2 + 8


def test_the_connection_is_passed_on(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    run(["status", "--context", "lab", "--kubeconfig", "/k", "-n", "ft-status"], capsys)
    assert all(call[:2] == ["--context=lab", "--kubeconfig=/k"] for call in kubectl.calls())
    assert not any("config" in call for call in kubectl.calls())


def test_progress_comes_from_the_log(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl.serve(recorded("stray"))
    kubectl.log("stray-0000aaaa-train-0", "{'loss': 1.5}\n 31%|███ | 40/128 [02:00<04:24,  3.0s/it]")
    (found,) = document(capsys)["runs"]
    assert (found["step"], found["steps"], found["loss"]) == (40, 128, "1.5")
    assert "40/128  1.5" in run(["status"], capsys)[0]


def test_the_tree_and_the_cluster_are_joined(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl.serve(recorded("stray", "no-claim"))
    committed(("no-claim-2faf869a", "default"), ("lost-00000001", "absent"), ("next-00000002", "ftst-open"))
    runs = {found["name"]: found for found in document(capsys)["runs"]}
    assert list(runs) == ["lost-00000001", "next-00000002", "no-claim-2faf869a", "stray-0000aaaa"]
    kinds = {name: found["why"]["kind"] for name, found in runs.items()}
    assert kinds == {
        "lost-00000001": "queue-missing",
        "next-00000002": "never-created",
        "no-claim-2faf869a": "claim-missing",
        "stray-0000aaaa": "not-in-git",
    }
    assert runs["no-claim-2faf869a"]["file"] == "no-claim/job-no-claim-2faf869a.yaml"
    assert runs["lost-00000001"]["phase"] is None


def test_runs_are_chosen_by_name_identity_and_pattern(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl.serve(recorded("stray", "no-claim"))
    committed(("no-claim-2faf869a", "default"), ("lost-00000001", "absent"))
    for words in (["no-claim"], ["no-claim-2faf869a"], ["no-*"], ["no-claim/job-no-claim-2faf869a.yaml"]):
        assert [found["name"] for found in document(capsys, *words)["runs"]] == ["no-claim-2faf869a"]
    _, err = run(["status", "nope"], capsys, code=1)
    assert "error[FT576]: there is no run nope" in err
    assert "lost-00000001" in err


def test_a_missing_namespace_is_told(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    committed(("lost-00000001", "absent"))
    gone = 'Error from server (NotFound): namespaces "ft-status" not found'
    kubectl.answer("/api/v1/namespaces/{namespace}", error=gone)
    assert "the namespace ft-status does not exist" in run(["status"], capsys)[0]


@pytest.mark.parametrize("said", CODES)
@pytest.mark.parametrize("verb", ["status", "logs"])
def test_a_cluster_that_cannot_be_asked_is_one_diagnostic(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], said: str, verb: str
) -> None:
    kubectl.set(fail=said)
    committed(("no-claim-2faf869a", "default"))
    out, err = run([verb, *(["x"] if verb == "logs" else [])], capsys, code=1)
    code, help_ = CODES[said]
    assert out == ""
    assert err.count("error[") == 1
    assert f"error[{code}]" in err
    assert help_ in err


def test_no_kubectl_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    _, err = run(["status"], capsys, code=1)
    assert "error[FT570]: kubectl is not installed" in err


@pytest.mark.parametrize("kind", ["nodes", "placed", "queues", "events", "persistentvolumeclaims", "storageclasses"])
def test_a_missing_right_is_a_note_and_the_rest_is_told(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    kubectl.serve(recorded("large", "q-missing", "no-secret"))
    kubectl.at(kind, error=f'Error from server (Forbidden): {kind} is forbidden: User "u" cannot list resource')
    out, err = run(["status"], capsys)
    assert err.count("note[FT572]: you may not list") == 1
    assert "the secret nope does not exist" in out
    found = document(capsys)
    assert [each["code"] for each in found["unread"]] == ["FT572"]
    assert all(each["why"] for each in found["runs"])


@pytest.mark.parametrize(
    "answer", ["", "{", "[]", "null", "3", '{"kind": "JobList"}', '{"kind": "JobList", "items": {}}', "[" * 99999]
)
def test_an_answer_of_another_shape_is_refused(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    kubectl.at("jobs", value=answer)
    _, err = run(["status"], capsys, code=1)
    assert "error[FT574]" in err


def test_watch_draws_again_until_interrupted(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl.serve(recorded("stray"))
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            kubectl.set(fail="Unable to connect to the server: EOF")
        if len(naps) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(status.time, "sleep", sleep)
    out, err = run(["status", "--watch"], capsys)
    assert out.count("stray-0000aaaa") == 2
    assert err.count("error[FT571]") == 2


@pytest.mark.parametrize("words", [["--watch", "--json"], ["trainer.lr=1"], ["--branch", "main"]])
def test_wrong_use_is_told(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert cli.main(["status", *words]) == 2
    assert kubectl.calls() == []
    assert capsys.readouterr().err.startswith("ftgen: ")


def test_a_thousand_runs_take_little_time(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl.serve(_many(1000))
    committed(*((f"no-claim-{number:08d}", "ftst-open") for number in range(1000)))
    start = time.process_time()
    out, _ = run(["status"], capsys)
    assert time.process_time() - start < 3  # of processor time, on the slowest of machines; the goal is half of it
    assert out.count("the claim nope does not exist") == 1000


def _many(count: int) -> dict[str, list[dict[str, Any]]]:
    """Many runs like one: their jobs, pods and PodGroups."""
    bodies = recorded("no-claim")
    texts = {kind: json.dumps(bodies[kind]) for kind in ("jobs", "pods", "podgroups")}
    uid = bodies["jobs"][0]["metadata"]["uid"]
    for kind, text in texts.items():
        copies = (text.replace("2faf869a", f"{i:08d}").replace(uid, f"{uid[:-8]}{i:08d}") for i in range(count))
        bodies[kind] = [body for copy in copies for body in json.loads(copy)]
    return bodies


# logs


def test_logs_follows_the_failed_rank(kubectl: FakeKubectl, capfd: pytest.CaptureFixture[str]) -> None:
    kubectl.serve(recorded("fails"))
    out, err = run(["logs", "fails-278bc7b2"], capfd)
    assert out == "the log of --follow --namespace=ft-status --container=train pod/fails-278bc7b2-train-0\n"
    assert "container train" in err


def test_logs_follows_the_init_container_that_failed(kubectl: FakeKubectl, capfd: pytest.CaptureFixture[str]) -> None:
    kubectl.serve(recorded("initfails"))
    assert "--container=prepare " in run(["logs", "initfails-fea4c1a5"], capfd)[0]


def test_logs_goes_on_from_the_fetch_to_the_training(
    kubectl: FakeKubectl, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = recorded("stray")
    status_ = bodies["pods"][0]["status"]
    train = status_["containerStatuses"]
    fetching = {"name": "prepare", "state": {"running": {}}}
    status_ |= {"initContainerStatuses": [fetching], "containerStatuses": [], "phase": "Pending"}
    kubectl.serve(bodies)

    def sleep(_: float) -> None:
        status_.update({"containerStatuses": train, "phase": "Running"})
        kubectl.serve(bodies)

    monkeypatch.setattr(time, "sleep", sleep)
    out, _ = run(["logs", "stray-0000aaaa"], capfd)
    assert [line.split()[5] for line in out.splitlines()] == ["--container=prepare", "--container=train"]


def test_no_name_is_taken_for_a_flag(kubectl: FakeKubectl, capfd: pytest.CaptureFixture[str]) -> None:
    bodies = recorded("fails")
    bodies["pods"][0]["metadata"]["name"] = "--all-pods"
    bodies["pods"][0]["status"]["containerStatuses"][0]["name"] = "--previous"
    kubectl.serve(bodies)
    run(["logs", "fails-278bc7b2"], capfd)
    assert kubectl.calls()[-1][1:] == ["--follow", "--namespace=ft-status", "--container=--previous", "pod/--all-pods"]


def test_who_may_not_look_into_one_namespace_sees_the_others(
    kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.serve(recorded("done"))
    committed(("done-9ede011e", "default"), ("theirs-12345678", "default"))
    lock = Path("out/ftgen.lock")
    lock.write_text(lock.read_text().replace("ft-status/theirs", "closed/theirs"))
    forbidden = 'Error from server (Forbidden): jobs.batch.volcano.sh is forbidden: User "u" cannot list resource'
    kubectl.answer("/apis/batch.volcano.sh/v1alpha1/namespaces/closed/jobs", error=forbidden)
    out, err = run(["status"], capsys)
    assert "done-9ede011e" in out
    assert "theirs" not in out
    assert "note[FT572]: you may not list VolcanoJobs in namespace closed" in err
    kubectl.at("jobs", error=forbidden)
    assert "error[FT572]" in run(["status"], capsys, code=1)[1]


def test_a_run_without_a_log_is_told_why(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl.serve(recorded("no-claim"))
    _, err = run(["logs", "no-claim-2faf869a"], capsys, code=1)
    assert "error[FT576]: no-claim-2faf869a has no log: the claim nope does not exist" in err


def test_logs_wants_one_run(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl.serve(recorded("no-claim", "stray"))
    assert "2 runs have that name" in run(["logs", "*"], capsys, code=1)[1]
    assert cli.main(["logs"]) == 2


TOLD = {
    "FailedMount": "mount failed: -t cifs -o username=foo,password=hunter2Zq //srv/share",
    "image": 'failed to pull image "x": https://bob:hunter2Zq@r.io/v2: Authorization: Bearer hunter2Zqdef0123456',
    "exec": 'exec: "mlflow --token=hunter2Zq": no such file',
    "FailedCreate": 'admission webhook "p.io" denied the request: env HF_TOKEN=hf_hunter2Zq' + "a1B2" * 9,
    "long": "x " * 140 + "https://bob:hunter2Zq@registry.example.com/",
}


@pytest.mark.parametrize("what", TOLD)
def test_a_cause_repeats_no_secret(what: str, kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    bodies = altered(recorded("no-secret"))
    pod, job, message = bodies["pods"][0], bodies["jobs"][0], TOLD[what]
    reason = {"image": "ImagePullBackOff", "exec": "RunContainerError", "long": "RunContainerError"}.get(what)
    states = [{"name": "train", "state": {"waiting": {"reason": reason, "message": message}}}] if reason else []
    pod["status"] |= {"containerStatuses": states, "initContainerStatuses": []}
    about, kind = (job, "Job") if what == "FailedCreate" else (pod, "Pod")
    of = {"kind": kind, **{key: about["metadata"][key] for key in ("namespace", "name")}}
    bodies["events"] = [] if reason else [{"involvedObject": of, "reason": what, "message": message}]
    bodies["pods"] = [] if what == "FailedCreate" else [pod]
    kubectl.serve(bodies)
    for words in (["status"], ["status", "--json"]):
        out, err = run(words, capsys)
        assert "hunter2" not in out + err
        assert "***" in out


def test_what_could_not_be_read_repeats_no_secret(kubectl: FakeKubectl, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl.serve(recorded("large"))
    kubectl.at("events", error="Unable to connect to the server: proxyconnect https://bob:hunter2Zq@proxy:3128: EOF")
    assert "hunter2" not in json.dumps(document(capsys)["unread"])
    assert document(capsys)["unread"]
