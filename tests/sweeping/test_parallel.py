"""The work of a sweep on several processors: the same results in the same order, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftgen import sweeping
from ftgen.config.compose import Composer, Request
from ftgen.diagnostics import Rejected, error
from ftgen.sweeping.batch import Batch
from ftgen.sweeping.parallel import parallel_map, processors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no forking elsewhere")


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="utf-8").split())


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    before = children()
    yield
    assert children() == before


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
@pytest.mark.parametrize("number", [0, 1, 19, 20, 21, 101])
def test_results_come_in_order(workers: int, number: int) -> None:
    assert list(parallel_map(lambda n: n * n, range(number), workers)) == [n * n for n in range(number)]


def test_the_work_is_done_elsewhere() -> None:
    first, *others = parallel_map(lambda _: os.getpid(), range(40), 2)
    assert first == os.getpid() not in others
    assert len(set(others)) <= 2


def test_what_the_work_raises_is_raised_here() -> None:
    def work(number: int) -> int:
        if number == 30:
            raise Rejected([error("FT999", "thirty", "a.b", help="choose another")])
        return number

    found = parallel_map(work, range(100), 2)
    assert [next(found) for _ in range(20)] == list(range(20))
    with pytest.raises(Rejected) as rejected:
        list(found)
    assert rejected.value.diagnostics == (error("FT999", "thirty", "a.b", help="choose another"),)


def test_a_worker_that_dies_is_no_end_of_the_work() -> None:
    with pytest.raises(RuntimeError, match="process pool"):
        list(parallel_map(lambda n: os.kill(os.getpid(), signal.SIGKILL) if n == 25 else n, range(100), 2))


def test_an_iteration_that_is_given_up_ends_its_workers() -> None:
    found = parallel_map(lambda n: n, range(10_000), 2)
    next(found)
    found.close()  # type: ignore[attr-defined]  # a generator


WORDS = ("trainer.lr=1e-4,2e-4,3e-4", "trainer.args.lora_rank=range(1,25)", "trainer.args.lora_alpha=16,32")


@pytest.mark.parametrize("more", [(), ("trainer.batch_size=2,0",)], ids=["sound", "partly refused"])
def test_workers_change_nothing(more: tuple[str, ...], tmp_path: Path) -> None:
    composer = Composer(Request(directory=tmp_path))
    told = []
    for workers in (1, 2, 3):
        batch = Batch(composer, sweeping.expand(composer, [*WORDS, *more]), workers=workers)
        try:
            jobs = [(job.name, dict(job.files), job.spec, job.diagnostics) for job in batch]
            told.append((jobs, batch.rows, batch.diagnostics, batch.extras(table=True)))
        except Rejected as rejected:
            told.append(rejected.diagnostics)
    assert told[0] == told[1] == told[2]


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A sweep that is being compiled in a session of its own, and its workers."""
    words = ["-m", "trainer.args.seed=range(0,5000)", "--limit", "5000", "-q"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ftgen", *words], cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    children_of = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(workers := children_of.read_text(encoding="utf-8").split()) < 2 and process.poll() is None:
        time.sleep(0.01)
    yield process, workers
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
        time.sleep(0.01)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


needs_two = pytest.mark.skipif(processors() < 2, reason="a single processor does all the work itself")


@needs_two
def test_an_interrupted_sweep_leaves_neither_files_nor_processes(
    sweep: tuple[subprocess.Popen[str], list[str]], tmp_path: Path
) -> None:
    process, _ = sweep
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate()[1] == "ftgen: interrupted; nothing was changed\n"
    assert process.returncode == 130
    assert not list(tmp_path.rglob("*.yaml"))


@needs_two
def test_the_workers_of_a_killed_sweep_end_without_a_word(sweep: tuple[subprocess.Popen[str], list[str]]) -> None:
    process, _ = sweep
    process.kill()
    assert process.communicate()[1] == ""
