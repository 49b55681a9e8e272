"""serve.sh with a stub in vLLM's place."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from .pod import Pod, end

CONFIG = "model: /mnt/models/sft-1a2b3c4d\nserved_model_name:\n- 'a b'\n"
SHOW = 'while [ $# -gt 1 ]; do shift; done; cat "$1"; printf "%s\\n" "pid $$"'


@pytest.fixture
def vllm(pod: Pod) -> Pod:
    pod.program("vllm", SHOW)
    pod.env["SERVE_CONFIG"] = CONFIG
    return pod


def test_vllm_gets_its_arguments_as_a_file(vllm: Pod) -> None:
    ended = vllm.run("serve")
    assert ended.code == 0, ended.log
    assert ended.log.startswith(CONFIG)
    (call,) = vllm.calls
    assert call.startswith("vllm serve --config ")
    assert call.endswith(".yaml")


def test_the_signal_that_ends_a_pod_reaches_vllm(vllm: Pod) -> None:
    """The script would be process 1, which ignores a signal that it does not handle."""
    vllm.program("vllm", 'trap "echo drained; exit 0" TERM; echo up; while :; do sleep 0.05; done')
    container = vllm.start("serve")
    assert container.stdout is not None
    assert container.stdout.readline() == "up\n"
    container.send_signal(signal.SIGTERM)
    started = time.monotonic()
    assert end(container).log == "drained\n"
    assert container.returncode == 0
    assert time.monotonic() - started < 30


def test_the_accelerator_s_environment_is_read_first(vllm: Pod, tmp_path: Path) -> None:
    source = tmp_path / "set_env.sh"
    source.write_text('echo "${NOT_SET}" >/dev/null\nexport ASCEND=yes\n', encoding="utf-8")
    vllm.program("vllm", 'echo "ascend $ASCEND"')
    ended = vllm.run("serve", SOURCE_FILES=f"{source} {tmp_path}/missing.sh")
    assert ended.code == 0
    assert "ascend yes\n" in ended.log
    assert f"this image has no {tmp_path}/missing.sh" in ended.log


@pytest.mark.parametrize(
    ("env", "words"), [({"SERVE_CONFIG": ""}, "SERVE_CONFIG is not set"), ({"TMPDIR": "/nowhere"}, "nowhere to write")]
)
def test_what_cannot_work_is_told(vllm: Pod, env: dict[str, str], words: str) -> None:
    ended = vllm.run("serve", **env)
    assert ended.code == 1
    assert words in ended.log


def test_an_image_without_vllm_is_named(pod: Pod) -> None:
    ended = pod.run("serve", SERVE_CONFIG=CONFIG, PATH="/usr/bin:/bin")
    assert ended.code == 1
    assert "set serving.image" in ended.log
