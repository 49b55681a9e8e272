"""Output that cannot be written: what was there stays whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.rejects.conftest import Reject

from ftgen import cli

FTGEN = str(Path(sys.executable).parent / "ftgen")


def tree(folder: Path) -> dict[str, bytes]:
    """What users and reconcilers see of a folder."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: content for name, content in found.items() if not name.startswith(".ftgen")}


def test_out_is_a_file(scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scratch / "out").write_text("mine", encoding="utf-8")
    assert cli.main([]) == 1
    assert "error[FT5" in capsys.readouterr().err
    assert (scratch / "out").read_text(encoding="utf-8") == "mine"


def test_out_below_a_file(scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scratch / "a").write_text("mine", encoding="utf-8")
    assert cli.main(["-o", "a/b/c"]) == 1
    assert "error[FT5" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a" * 300, "a\nb" * 200])
def test_out_is_no_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-o", name]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_folder_that_may_not_be_written(scratch: Path) -> None:
    """The superuser may write everywhere but below /proc."""
    target = "/proc/ftgen" if os.geteuid() == 0 else "locked/out"
    (scratch / "locked").mkdir(mode=0o500)
    done = subprocess.run([FTGEN, "-o", target], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "error[FT5" in done.stderr


CLAIMED = ("storage=nfs", "storage.models.create=true", "storage.models.claim=models")


def sized(size: str, *more: str) -> list[str]:
    return [*CLAIMED, f"storage.models.size={size}", *more]


def test_a_claim_that_shrinks_is_warned_of(scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for size in ("10Gi", "12Gi"):
        assert cli.main(sized(size)) == 0
    assert "FT513" not in capsys.readouterr().err
    assert cli.main(sized("5Gi")) == 0
    assert "warning[FT513]: the claim models would shrink" in capsys.readouterr().err
    assert cli.main(sized("4Gi", "--overwrite")) == 0
    assert "FT513" not in capsys.readouterr().err


def test_a_published_claim_that_changes_is_refused(scratch: Path, reject: Reject) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", "repo"], check=True)
    publish = ["publish", "--repo", "repo", "--branch", "main", "--path", "jobs"]
    assert cli.main([*publish, *sized("10Gi", "name=a")]) == 0
    ((code, _, headline),) = reject(*publish, *sized("5Gi", "name=a"))
    assert (code, headline.partition(",")[0]) == ("FT513", "the claim models would shrink")


def test_a_full_disk_leaves_what_was_there(scratch: Path) -> None:
    """No file may grow beyond a few kilobytes: the system refuses the write, as on a full disk."""
    assert cli.main(["-q"]) == 0
    before = tree(scratch / "out")
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "from ftgen import cli; sys.exit(cli.main(['trainer.lr=3e-4', '-q']))"
    )
    done = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert tree(scratch / "out") == before
    assert cli.main(["trainer.lr=3e-4", "-q"]) == 0


def test_standard_output_is_full() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run([FTGEN, "-o", "-"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "ftgen: No space left on device\n")


def test_nobody_reads_standard_output() -> None:
    with subprocess.Popen([FTGEN, "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


INTERRUPTED = """
import os, signal, sys
import ftgen.{module} as changed
from ftgen import cli
def interrupt(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)
    signal.sigtimedwait([], 1)
    raise AssertionError("not interrupted")
changed.{function} = interrupt
sys.exit(cli.main(["trainer.lr=3e-4", "-q"]))
"""


@pytest.mark.parametrize(
    ("module", "function"), [("lower", "lower"), ("output.tree", "plan_write"), ("output.tree", "apply")]
)
def test_ctrl_c_leaves_what_was_there(module: str, function: str, scratch: Path) -> None:
    assert cli.main(["-q"]) == 0
    before = tree(scratch / "out")
    code = INTERRUPTED.format(module=module, function=function)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == cli.INTERRUPTED == 128 + signal.SIGINT, done.stderr
    assert done.stderr == "ftgen: interrupted; nothing was changed\n"
    assert tree(scratch / "out") == before


def test_a_rejected_job_leaves_the_one_before(scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-q"]) == 0
    before = tree(scratch / "out")
    assert cli.main(["hardware.devices=0"]) == 1
    assert tree(scratch / "out") == before
    assert "error[FT103]" in capsys.readouterr().err


def test_a_file_edited_by_hand_is_not_overwritten(scratch: Path, reject: Reject) -> None:
    assert cli.main(["-q"]) == 0
    (file,) = (scratch / "out").rglob("job-*.yaml")
    file.write_text("mine\n", encoding="utf-8")
    assert cli.main(["-q"]) == 1
    assert file.read_text(encoding="utf-8") == "mine\n"
    file.unlink()
