"""A master and its workers, with stand-ins for their programs: order of the nodes, and who runs the command."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import pytest

from .pod import SCRIPTS, Ended, Pod, await_file, end

if TYPE_CHECKING:
    import subprocess

MASTER = "run-1-master-0.run-1"
WORKERS = ("run-1-worker-0.run-1", "run-1-worker-1.run-1")
NOTE = 'env -0 >"$STUB_HOME/env-{0}"; printf "%s\\n" "$@" >"$STUB_HOME/words-{0}"\n'


@pytest.fixture
def job(pod: Pod) -> Pod:
    """A pod of a job with two workers, whose peers have names."""
    pod.program("getent", "true")
    pod.program("command", NOTE.format("command"))
    keys = pod.home / "keys"
    keys.mkdir(parents=True)
    for name in ("id_rsa", "authorized_keys"):
        (keys / name).write_text("key\n")
    pod.env |= {
        "JOB_NAME": "run-1",
        "WORK_DIR": str(pod.volume),
        "NNODES": "3",
        "NPROC_PER_NODE": "2",
        "MASTER_PORT": "29500",
        "PEER_TIMEOUT": "3",
        "SSH_KEYS": str(keys),
        "SSH_PORT": "2222",
        "VC_MASTER_HOSTS": MASTER,
        "VC_WORKER_HOSTS": ",".join(WORKERS),
    }
    return pod


def words(launcher: str) -> list[str]:
    starter = [] if launcher == "pytorch" else ["/bin/bash", str(SCRIPTS[launcher])]
    return [str(SCRIPTS["train"]), *starter, "command", "a b", "$(c)"]


def start(job: Pod, launcher: str, task: str, index: int | str, **env: str) -> subprocess.Popen[str]:
    return job.start(SCRIPTS["launch"], *words(launcher), TASK_NAME=task, VC_TASK_INDEX=str(index), **env)


def run(job: Pod, launcher: str, task: str, index: int | str, **env: str) -> Ended:
    return end(start(job, launcher, task, index, **env))


def seen(job: Pod, name: str = "command") -> dict[str, str]:
    text = (job.home / f"env-{name}").read_text()
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


# ---- ranks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "index", "rank"), [("master", 0, "0"), ("worker", 0, "1"), ("worker", 1, "2")])
def test_the_master_is_first_and_the_workers_follow(job: Pod, task: str, index: int, rank: str) -> None:
    # What the pytorch plugin says of the worker 1, so that a mix-up shows.
    ended = run(job, "pytorch", task, index, RANK="2", WORLD_SIZE="3", MASTER_ADDR=MASTER)
    assert ended.code == 0, ended.log
    env = seen(job)
    assert (env["RANK"], env["NODE_RANK"], env["WORLD_SIZE"], env["NNODES"]) == (rank, rank, "3", "3")
    assert (env["MASTER_ADDR"], env["MASTER_PORT"]) == (MASTER, "29500")
    assert (job.home / "words-command").read_text().splitlines() == ["a b", "$(c)"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"TASK_NAME": "train"}, "launch: error: TASK_NAME is 'train'"),
        ({"VC_TASK_INDEX": "a[$(touch x)]"}, "launch: error: VC_TASK_INDEX is 'a[$(touch x)]'"),
        ({"VC_TASK_INDEX": ""}, "launch: error: VC_TASK_INDEX is ''"),
        ({"VC_WORKER_HOSTS": ""}, "launch: error: VC_WORKER_HOSTS is not set"),
        ({"NNODES": "4"}, "NNODES is 4 but VC_TRAIN_HOSTS (svc plugin) has 3"),
    ],
)
def test_what_the_plugins_left_out_is_told(job: Pod, changed: dict[str, str], told: str) -> None:
    env = {"TASK_NAME": "worker", "VC_TASK_INDEX": "0", **changed}
    ended = job.run(SCRIPTS["launch"], *words("pytorch"), **env)
    assert ended.code == 1
    assert told in ended.log
    assert "command" not in " ".join(job.calls)


def test_a_leading_zero_is_no_octal_number(job: Pod) -> None:
    assert run(job, "pytorch", "worker", "01").code == 0
    assert seen(job)["RANK"] == "2"


# ---- mpi -------------------------------------------------------------------------------------------


@pytest.fixture
def mpi(job: Pod) -> Pod:
    job.program("ssh", '[ ! -e "$STUB_HOME/closed" ]')
    job.program("ssh-keygen", ': >"${@: -1}"')
    job.program(
        "sshd", NOTE.format("sshd") + 'case $1 in -D) cp "${@: -1}" "$STUB_HOME/sshd_config" && exec sleep 60 ;; esac'
    )
    return job


def test_mpi_runs_the_command_on_the_master(mpi: Pod) -> None:
    ended = run(mpi, "mpi", "master", 0)
    assert ended.code == 0, ended.log
    assert (mpi.volume / "hostfile").read_text().splitlines() == [f"{host} slots=2" for host in (MASTER, *WORKERS)]
    assert (mpi.volume / "machinefile").read_text().splitlines() == [f"{host}:2" for host in (MASTER, *WORKERS)]
    env = seen(mpi)
    for name in ("OMPI_MCA_orte_default_hostfile", "PRTE_MCA_prte_default_hostfile"):
        assert env[name] == str(mpi.volume / "hostfile")
    assert env["HYDRA_HOST_FILE"] == env["I_MPI_HYDRA_HOST_FILE"] == str(mpi.volume / "machinefile")
    assert not {"RANK", "WORLD_SIZE"} & env.keys()
    assert [call.split()[-2:] for call in mpi.calls if call.startswith("ssh -F")] == [
        [host, "true"] for host in (MASTER, *WORKERS)
    ]
    assert (mpi.home / "words-command").read_text().splitlines() == ["a b", "$(c)"]


def test_mpi_serves_on_a_worker_until_it_is_told_to_end(mpi: Pod) -> None:
    worker = start(mpi, "mpi", "worker", 1, SECRET="it's\n'two' lines")
    assert await_file(mpi.home / "sshd_config", worker)
    worker.send_signal(signal.SIGTERM)
    assert end(worker).code == 143
    config = dict(line.split(" ", 1) for line in (mpi.home / "sshd_config").read_text().splitlines())
    assert config["Port"] == "2222"
    assert config["AuthenticationMethods"] == "publickey"
    session = config["ForceCommand"].split()[-1]
    ended = mpi.run(
        SCRIPTS["mpi"].parent / session, SSH_ORIGINAL_COMMAND='pwd; printf "%s|" "$SECRET" "$NODE_RANK" "${RANK-none}"'
    )
    assert ended == Ended(0, f"{mpi.volume}\nit's\n'two' lines|2|none|")
    assert not any(call.startswith("command") for call in mpi.calls)


def test_mpi_says_which_worker_cannot_be_reached(mpi: Pod) -> None:
    (mpi.home / "closed").touch()
    ended = run(mpi, "mpi", "master", 0)
    assert ended.code == 4
    assert f"mpi: error: {MASTER} cannot be reached by ssh after 3 s" in ended.log


def test_mpi_on_one_node_needs_no_ssh(job: Pod) -> None:
    _, *rest = words("mpi")
    ended = job.run(SCRIPTS["train"], *rest, NNODES="1")
    assert ended.code == 0, ended.log
    assert (job.volume / "hostfile").read_text() == "localhost slots=2\n"


def test_mpi_says_what_the_image_lacks(mpi: Pod) -> None:
    (mpi.bin / "sshd").unlink()
    ended = run(mpi, "mpi", "worker", 0)
    assert ended.code == 4
    assert "mpi: error: the image has no sshd" in ended.log


def test_mpi_says_that_the_keys_are_missing(mpi: Pod) -> None:
    ended = run(mpi, "mpi", "master", 0, SSH_KEYS="/nowhere")
    assert "mpi: error: the keys of the job are not in /nowhere" in ended.log


# ---- ray -------------------------------------------------------------------------------------------


@pytest.fixture
def ray(job: Pod) -> Pod:
    job.program("ray", NOTE.format("ray") + 'case $* in *--block*) exec sleep "$(cat "$STUB_HOME/serves")" ;; esac')
    job.program("python3", '[ ! -e "$STUB_HOME/late" ] || exec sleep 60')
    (job.home / "serves").write_text("60")
    return job


def test_ray_runs_the_command_on_the_head_when_all_nodes_have_joined(ray: Pod) -> None:
    ended = run(ray, "ray", "master", 0)
    assert ended.code == 0, ended.log
    names = [call.split()[0] for call in ray.calls if call.split()[0] in {"ray", "python3", "command"}]
    assert names == ["ray", "python3", "command"]
    assert (ray.home / "words-ray").read_text().split() == [
        "start",
        "--head",
        "--port=29500",
    ]
    env = seen(ray)
    assert env["RAY_ADDRESS"] == f"{MASTER}:29500"
    assert not {"RANK", "WORLD_SIZE"} & env.keys()


def test_ray_says_that_nodes_have_not_joined(ray: Pod) -> None:
    (ray.home / "late").touch()
    ended = run(ray, "ray", "master", 0)
    assert ended.code == 4
    assert "ray: error: the 3 nodes have not joined Ray after 3 s" in ended.log
    assert not any(call.startswith("command") for call in ray.calls)


def test_ray_serves_on_a_worker(ray: Pod) -> None:
    with socket.create_server(("127.0.0.1", 0)) as head:
        port = str(head.getsockname()[1])
        env = {"VC_MASTER_HOSTS": "127.0.0.1", "MASTER_PORT": port}
        worker = start(ray, "ray", "worker", 0, **env)
        assert await_file(ray.home / "words-ray", worker)
        worker.send_signal(signal.SIGTERM)
        assert end(worker).code == 143
        assert (ray.home / "words-ray").read_text().split() == ["start", f"--address=127.0.0.1:{port}", "--block"]
        # A head that is gone is no success, even where ray ends with 0.
        (ray.home / "serves").write_text("0")
        assert run(ray, "ray", "worker", 0, **env).code == 4


def test_ray_waits_for_a_head_that_still_fetches(ray: Pod) -> None:
    ended = run(ray, "ray", "worker", 0, VC_MASTER_HOSTS="127.0.0.1", MASTER_PORT="1")
    assert ended.code == 4
    assert "ray: error: Ray's head does not listen at 127.0.0.1:1 after 3 s" in ended.log


def test_ray_on_one_node_waits_for_nobody(ray: Pod) -> None:
    _, *rest = words("ray")
    ended = ray.run(SCRIPTS["train"], *rest, NNODES="1")
    assert ended.code == 0, ended.log
    assert not any(call.startswith("python3") for call in ray.calls)


def test_mpi_writes_through_no_link(mpi: Pod) -> None:
    mpi.volume.mkdir(parents=True, exist_ok=True)
    (mpi.home / "other").write_text("mine\n")
    (mpi.volume / "hostfile").symlink_to(mpi.home / "other")
    assert run(mpi, "mpi", "master", 0).code == 0
    assert (mpi.home / "other").read_text() == "mine\n"
    assert not (mpi.volume / "hostfile").is_symlink()
