"""Progress and errors are read from the last lines of a log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ftgen.remote.cluster import log

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
# Not an end: the page says that the training goes on, or that nothing is to be done.
HARMLESS = (
    "does not answer now",
    "no python",
    "warning:",
    "brings .ftgen-",
    "not be judged",
    "are not judged",
    "kept as",
)


def messages() -> list[str]:
    """The messages that docs/training.md explains, with words in place of what varies."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    cells = [line.split("|")[1] for line in rows]
    found = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    tables = PAGE.split("| the log says | then |")[1:]
    explained = "".join(table.partition("\n\n")[0] for table in tables)
    return [text for text in found if text in explained and not any(word in text for word in HARMLESS)]


def test_the_page_has_messages() -> None:
    assert len(messages()) > 15


@pytest.mark.parametrize("message", messages())
def test_every_message_of_the_page_has_a_remedy(message: str) -> None:
    line = message.replace("…", "something").replace(" N ", " 3 ").replace(" M ", " 4 ")
    found = log.meaning(f"train: starting\nprepare: model: error: {line}\n")
    assert found is not None
    assert found.line == line.strip()
    assert found.remedy
    assert "ftgen logs" not in found.remedy


def test_progress_is_the_last_bar_and_the_last_loss() -> None:
    text = (
        "  2%|▏         | 3/128 [00:09<06:15,  3.0s/it]\r  5%|▌  | 7/128 [00:20<05:55,  2.9s/it]\n"
        "{'loss': 1.25, 'grad_norm': 0.4, 'learning_rate': 0.0001, 'epoch': 0.05}\n"
        "{'loss': '1.0912', 'epoch': 0.1}\r  6%|▋  | 8/128 [00:23<05:50,  2.9s/it]"
    )
    assert log.progress(text) == log.Progress(8, 128, "1.0912")


LOADING = "Loading checkpoint shards: 100%|██| 2/2 [00:03<00:00,  1.5s/it]"
TOKENIZING = "Running tokenizer on dataset (num_proc=16): 100%|██| 1000/1000 [10:03<00:00, 300.12 examples/s]"
TRAINING = "  4%|▍ | 500/12000 [1:02:03<3:50:00,  1.2s/it]"
EVALUATION = " 96%|█▉| 48/50 [00:03<00:00, 12.10it/s]"


@pytest.mark.parametrize(
    ("lines", "step", "steps"),
    [
        ([LOADING], 0, 0),
        ([TOKENIZING], 0, 0),
        ([" 50%|█ | 500/1000 [00:03<00:03, 300.12 examples/s]"], 0, 0),
        ([LOADING, TRAINING], 500, 12000),
        ([TRAINING, EVALUATION], 500, 12000),
        ([TRAINING, EVALUATION, TRAINING.replace("500/", "501/")], 501, 12000),
        ([f"[default0]:{TRAINING}"], 500, 12000),
        ([f"{{'loss': 1.25}}{TRAINING}"], 500, 12000),
    ],
)
@pytest.mark.parametrize("end", ["\r", "\n"])
def test_only_the_training_s_bar_counts(lines: list[str], step: int, steps: int, end: str) -> None:
    found = log.progress(end.join(lines))
    assert (found.step, found.steps) == (step, steps)


def test_a_log_without_progress_has_none() -> None:
    assert log.progress("prepare: complete in /mnt/models: 3/4 files [yes]") == log.Progress()


def test_the_workers_echo_is_not_the_error() -> None:
    text = """\
ValueError: Cannot find valid samples, check `data/README.md` for the data format.
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
  exitcode  : 1 (pid: 31)
train: training ended with exit code 1
"""
    found = log.meaning(text, "sft-1")
    assert found is not None
    assert found.line.startswith("ValueError: Cannot find valid samples")
    assert found.remedy == "`ftgen logs sft-1` shows what stands before it"


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("torch.cuda.OutOfMemoryError: CUDA out of memory.", "trainer.batch_size"),
        ("RuntimeError: NCCL communicator was aborted on rank 1", "other ranks"),
        ("OSError: [Errno 28] No space left on device", "storage.workspace.size"),
        ("ModuleNotFoundError: No module named 'deepspeed'", "hardware.image"),
        ("RuntimeError: DataLoader worker is killed by signal: Bus error.", "storage.shm"),
    ],
)
def test_common_errors_have_a_remedy(line: str, remedy: str) -> None:
    found = log.meaning(f"Traceback (most recent call last):\n{line}\n")
    assert found is not None
    assert remedy in found.remedy


@pytest.mark.parametrize("text", ["", "\n\r\n", "all is well", "\x00\x1b[2J"])
def test_no_error_no_meaning(text: str) -> None:
    assert log.meaning(text) is None


def test_what_a_log_holds_cannot_drive_the_terminal() -> None:
    found = log.meaning("train: error: \x1b]0;x\x07\u202e weights\x9b are gone")
    assert found is not None
    assert found.line.isprintable()


def test_an_error_repeats_no_secret() -> None:
    found = log.meaning("train: error: fatal: cannot read https://ada:hunter2pw@git.example.com/team/model\n")
    assert found is not None
    assert "hunter2pw" not in found.line
    assert "git.example.com/team/model" in found.line
