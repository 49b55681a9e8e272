"""How long ftgen takes beside plain Hydra and kustomize, in one run on one machine.

    python -m tests.bench [NAME…]

Times are wall-clock of whole processes, the best of a few runs: what a person waits for.  Nothing here passes or
fails; ratios are what to compare between machines.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FTGEN = [sys.executable, "-m", "ftgen"]
PEER = [sys.executable, "-m", "tests.bench.peer"]
PEER_JOBS = 20
HUNDRED_BY_TEN = ["trainer.args.lora_rank=range(8,108)", "trainer.lr=range(0.01,0.11,0.01)"]
OVERLAYS = 100


@dataclass(frozen=True)
class Measured:
    """One line of the table: a time in seconds, its peak memory in MiB, and how many jobs it was for."""

    what: str
    seconds: float
    mebibytes: float = 0.0
    jobs: int = 1

    def line(self, peer: Measured | None) -> str:
        each = f"{1000 * self.seconds / self.jobs:9.2f} ms/job" if self.jobs > 1 else " " * 16
        ratio = f"{self.seconds / self.jobs / (peer.seconds / peer.jobs):8.3f} of {peer.what}" if peer else ""
        return f"{self.what:42}{self.seconds:9.3f} s {each} {self.mebibytes:7.0f} MiB {ratio}".rstrip()


def ran(command: list[str], cwd: Path, *, code: int = 0, **env: str) -> resource.struct_rusage:
    """What a command took that must end with `code`; the journals of its writes stay with the bench."""
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(cwd / "state"), **env}
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=surroundings
    )
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != code:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}, not {code}:\n{told[:2000]}")
    return usage


def measure(what: str, command: list[str], *, jobs: int = 1, runs: int = 3, cwd: Path, **env: str) -> Measured:
    """The best wall-clock of some runs of a command, and the peak memory of the last."""
    best, peak = float("inf"), 0.0
    for _ in range(runs):
        start = time.perf_counter()
        usage = ran(command, cwd, **env)
        best, peak = min(best, time.perf_counter() - start), usage.ru_maxrss / 1024
    return Measured(what, best, peak, jobs)


def single(scratch: Path) -> Iterator[tuple[Measured, Measured | None]]:
    """A cold run of one job, and what should cost next to nothing."""
    python = measure("python -c pass", [sys.executable, "-c", "pass"], cwd=scratch, runs=5)
    peer = measure("hydra, one job", [*PEER, "hydra.run.dir=peer"], cwd=scratch, runs=5, BENCH_OUT=str(scratch / "p"))
    yield python, None
    yield peer, python
    yield measure("ftgen, one job", [*FTGEN, "-o", "single", "-q"], cwd=scratch, runs=5), peer
    yield measure("ftgen --cfg job", [*FTGEN, "--cfg", "job", "--resolve"], cwd=scratch, runs=5), peer
    yield measure("ftgen --help", [*FTGEN, "--help"], cwd=scratch, runs=5), python
    query = [*FTGEN, "-sc", "query=bash"]
    line = {"COMP_LINE": "ftgen hardware=", "COMP_POINT": "15"}
    yield measure("ftgen completion", query, cwd=scratch, runs=5, **line), python


def values(scratch: Path) -> Iterator[tuple[Measured, Measured | None]]:
    """Sweeps over values: linear in time, flat in memory."""
    words = ["trainer.lr=1e-4,2e-4", f"trainer.epochs=range(1,{1 + PEER_JOBS // 2})"]
    peer = _peer(scratch, f"hydra -m, {PEER_JOBS} jobs", words, PEER_JOBS)
    yield peer, None
    few = _swept(scratch, "ftgen -m, 1,000 jobs", HUNDRED_BY_TEN, 1000)
    yield few, peer
    if shutil.which("taskset"):
        alone = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]
        yield _swept(scratch, "ftgen -m, 1,000 jobs, one processor", HUNDRED_BY_TEN, 1000, prefix=alone), few
    yield _swept(scratch, "ftgen -m, 1,000 jobs unchanged", HUNDRED_BY_TEN, 1000, fresh=False), few
    many = ["trainer.args.seed=range(0,10)", *HUNDRED_BY_TEN, "--limit", "10000"]
    yield _swept(scratch, "ftgen -m, 10,000 jobs", many, 10_000, runs=1), few
    yield measure("ftgen plan -m, 1,000 jobs", [*FTGEN, "plan", "-m", *HUNDRED_BY_TEN], jobs=1000, cwd=scratch), few


def _swept(
    scratch: Path,
    what: str,
    words: list[str],
    jobs: int,
    *,
    fresh: bool = True,
    runs: int = 3,
    prefix: Sequence[str] = (),
) -> Measured:
    """Measure a sweep into new folders, or into one that has it already.

    A new folder for each run: for seconds after a thousand files are removed, ext4 takes nearly a millisecond for each
    new one, as it avoids their inodes.
    """
    command = [*prefix, *FTGEN, "-m", *words, "-q", "-o"]
    kept = tempfile.mkdtemp(dir=scratch)
    if not fresh:
        ran([*command, kept], scratch)
    folders = [tempfile.mkdtemp(dir=scratch) if fresh else kept for _ in range(runs)]
    found = [measure(what, [*command, folder], jobs=jobs, runs=1, cwd=scratch) for folder in folders]
    return min(found, key=lambda each: each.seconds)


def groups(scratch: Path) -> Iterator[tuple[Measured, Measured | None]]:
    """Sweeps over options: every point is another composition."""
    words = ["model=qwen3-0.6b,qwen2.5-0.5b", "hardware=ascend,nvidia-vgpu,full-gpu"]
    more = ["tracking=mlflow,none", "storage=topolvm,nfs", "delivery=argocd,flux,kubectl"]
    peer = _peer(scratch, "hydra -m, 6 combinations", words, 6)
    yield peer, None
    yield _swept(scratch, "ftgen -m, 72 combinations", [*words, *more], 72, runs=2), peer


def _peer(scratch: Path, what: str, words: list[str], jobs: int) -> Measured:
    command = [*PEER, "-m", *words, "hydra.sweep.dir=peer"]
    return measure(what, command, jobs=jobs, runs=1, cwd=scratch, BENCH_OUT=str(scratch / "written"))


def kustomize(scratch: Path) -> Iterator[tuple[Measured, Measured | None]]:
    """As many overlays built by one kubectl, where there is one: what a hand-written sweep takes."""
    if not shutil.which("kubectl"):
        return
    base = scratch / "kustomize" / "base"
    subprocess.run([*FTGEN, "-o", str(base), "-q", "name=base"], check=True, cwd=scratch)
    (job,) = base.rglob("job-*.yaml")
    (base / "kustomization.yaml").write_text(f"resources: [{job.relative_to(base)}]\n", encoding="utf-8")
    name = job.stem.removeprefix("job-")
    for number in range(OVERLAYS):
        _overlay(scratch / "kustomize" / str(number), name, number)
    every = "".join(f"- ./{number}\n" for number in range(OVERLAYS))
    (scratch / "kustomize" / "kustomization.yaml").write_text(f"resources:\n{every}", encoding="utf-8")
    command = ["kubectl", "kustomize", str(scratch / "kustomize")]
    peer = measure(f"kubectl kustomize, {OVERLAYS} overlays", command, jobs=OVERLAYS, runs=3, cwd=scratch)
    yield peer, None
    words = ["job.grace_period=range(30,1030)"]
    yield _swept(scratch, "ftgen -m, 1,000 jobs", words, 1000), peer


def _overlay(folder: Path, name: str, number: int) -> None:
    folder.mkdir(parents=True)
    target = "{version: v1alpha1, group: batch.volcano.sh, kind: Job}"
    path = "/spec/tasks/0/template/spec/terminationGracePeriodSeconds"
    operations = [
        f"      - {{op: replace, path: /metadata/name, value: {name}-{number}}}",
        f"      - {{op: replace, path: {path}, value: {30 + number}}}",
    ]
    lines = ["resources: [../base]", "patches:", f"  - target: {target}", "    patch: |-", *operations]
    (folder / "kustomization.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


Bench = Callable[[Path], Iterator[tuple[Measured, Measured | None]]]


def show(*benches: Bench) -> None:
    """Print a table of the benches named on the command line, or of all."""
    if unknown := {*sys.argv[1:]}.difference(bench.__name__ for bench in benches):
        sys.exit(f"there is no bench {', '.join(sorted(unknown))}")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    for bench in benches:
        if sys.argv[1:] and bench.__name__ not in sys.argv[1:]:
            continue
        print(f"\n{bench.__name__}: {(bench.__doc__ or '').strip()}")
        with tempfile.TemporaryDirectory() as scratch:
            for measured, peer in bench(Path(scratch)):
                print(measured.line(peer), flush=True)


if __name__ == "__main__":
    show(single, values, groups, kustomize)
