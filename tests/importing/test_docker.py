"""A vendor's `docker run` becomes a job that runs the same command in ftgen's frame."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ftgen import cli, yamlio

ASCEND = """\
docker run -itd --rm \\
  --name npu-sft --ipc=host --shm-size 64g -u 0:0 \\
  --device /dev/davinci0 --device=/dev/davinci1 --device /dev/davinci_manager --device /dev/hisi_hdc \\
  -v /usr/local/Ascend/driver:/usr/local/Ascend/driver -v /usr/local/dcmi:/usr/local/dcmi \\
  -v /data/models:/models:ro -v cache:/root/.cache \\
  -e HF_HUB_OFFLINE=1 -e TOKEN -e ASCEND_RT_VISIBLE_DEVICES=0,1 \\
  -w /app --memory 256g --cpus 48 \\
  registry.example.com/llm:1 \\
  llamafactory-cli train "my config.yaml" 'a=${HOME}'
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def imported(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict, str]:
    assert cli.main(["import", "-o", ".", "--", *words]) == 0
    (file,) = Path("conf/experiment").glob("*.yaml")
    return yamlio.read(file), capsys.readouterr().err


def rendered(capsys: pytest.CaptureFixture[str], *overrides: str) -> dict:
    (file,) = Path("conf/experiment").glob("*.yaml")
    capsys.readouterr()
    assert cli.main([f"+experiment={file.stem}", *overrides, "-o", "-"]) == 0
    return yamlio.parse_all(capsys.readouterr().out, "rendered")[-1]


def container(job: dict) -> dict:
    return job["spec"]["tasks"][0]["template"]["spec"]["containers"][0]


def test_a_file_and_words_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(f"#!/bin/bash\n# how the vendor starts it\n{ASCEND}")
    assert cli.main(["import", "run.sh"]) == 0
    from_file = capsys.readouterr().out
    assert cli.main(["import", "--", *shlex.split(ASCEND.replace("\\\n", " "))]) == 0
    assert capsys.readouterr().out == from_file


def test_the_container_becomes_an_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = imported(capsys, ASCEND)
    assert found["name"] == "npu-sft"
    assert {"override /hardware": "ascend"} in found["defaults"]
    assert {"override /trainer": "command"} in found["defaults"]
    hardware = found["hardware"]
    assert (hardware["image"], hardware["devices"]) == ("registry.example.com/llm:1", 2)
    assert hardware["env"] == {"HF_HUB_OFFLINE": "1"}
    assert hardware["per_card"] == {
        "cpu": {"request": "24", "limit": "24"},
        "memory": {"request": "128Gi", "limit": "128Gi"},
    }
    assert found["storage"] == {"shm": "64Gi"}


def test_the_same_words_reach_the_container(capsys: pytest.CaptureFixture[str]) -> None:
    imported(capsys, ASCEND)
    args = container(rendered(capsys))["args"]
    assert args[1:] == ["env", "--chdir=/app", "llamafactory-cli", "train", "my config.yaml", "a=${HOME}"]


def test_nothing_is_pushed_that_was_not(capsys: pytest.CaptureFixture[str]) -> None:
    found, told = imported(capsys, ASCEND)
    assert found["model"]["output_url"] is None
    assert "nothing is pushed" in told
    assert not any(each["name"] == "OUTPUT_MODEL_URL" for each in container(rendered(capsys))["env"])


def test_mounts_and_users_become_an_overlay(capsys: pytest.CaptureFixture[str]) -> None:
    imported(capsys, ASCEND)
    job = rendered(capsys)
    volumes = job["spec"]["tasks"][0]["template"]["spec"]["volumes"]
    assert {"name": "host-0", "hostPath": {"path": "/data/models"}} in volumes
    assert {"name": "host-1", "persistentVolumeClaim": {"claimName": "cache"}} in volumes
    assert {"name": "host-0", "mountPath": "/models", "readOnly": True} in container(job)["volumeMounts"]
    assert container(job)["securityContext"]["runAsUser"] == 0


def test_what_is_left_out_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    _, told = imported(capsys, ASCEND)
    assert "/usr/local/Ascend/driver is left out" in told
    assert "the value of TOKEN is the caller's" in told
    assert "ASCEND_RT_VISIBLE_DEVICES" not in Path("conf/experiment/npu-sft.yaml").read_text()


@pytest.mark.parametrize(
    ("flags", "devices"),
    [("--gpus all", None), ("--gpus 4", 4), ("""--gpus '"device=0,2"'""", 2), ("-e NVIDIA_VISIBLE_DEVICES=1,2,3", 3)],
)
def test_cards_of_nvidia(flags: str, devices: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    found, told = imported(capsys, f"docker run {flags} image:1 python train.py")
    assert {"override /hardware": "full-gpu"} in found["defaults"]
    assert found["hardware"].get("devices") == (None if devices == 1 else devices)
    assert ("hardware.devices" in told) == (devices is None)


@pytest.mark.parametrize(
    ("flags", "hardware", "devices"),
    [
        ("--device /dev/kfd --device /dev/dri --ipc=host", "amd", None),
        ("--device /dev/dri/renderD128 --device /dev/dri/renderD129", "amd", 2),
        ("--runtime=habana -e HABANA_VISIBLE_DEVICES=0,1,2,3", "gaudi", 4),
        ("-e MLU_VISIBLE_DEVICES=0,1", "cambricon", 2),
        ("--device /dev/mxcd0 --device=/dev/mxcd1:/dev/mxcd1", "metax", 2),
    ],
)
def test_cards_of_others(flags: str, hardware: str, devices: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = imported(capsys, f"docker run {flags} image:1 python train.py")
    assert {"override /hardware": hardware} in found["defaults"]
    assert found["hardware"].get("devices") == devices
    counts = rendered(capsys)["spec"]["tasks"][0]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert all(not name.endswith(("vcore", "vmemory")) for name in counts)


def test_a_vendor_of_the_users_own_is_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    option = Path("conf/hardware/nova.yaml")
    option.parent.mkdir(parents=True)
    option.write_text(
        "# Nova.\nvendor: nova\nnodes: 1\ndevices: 1\nresources: {count: nova.example.com/n1}\ncard: {}\n"
        "per_card: {cpu: {request: '2', limit: '8'}, memory: {request: 16Gi, limit: 64Gi}}\n"
        "image: nova:1\nvisible: {variables: [NOVA_CARDS], files: [/dev/nova], driver: [/opt/nova]}\n"
    )
    run = "docker run --device /dev/nova0 --device /dev/nova1 -v /opt/nova/lib:/opt/nova/lib -e NOVA_CARDS=0,1 i:1 go"
    found, told = imported(capsys, run)
    assert {"override /hardware": "nova"} in found["defaults"]
    assert found["hardware"] == {"image": "i:1", "devices": 2}
    assert "/opt/nova/lib is left out" in told


def test_the_nodes_network_privileges_and_mounts_of_the_long_form(capsys: pytest.CaptureFixture[str]) -> None:
    mount = "--mount type=bind,src=/d,dst=/data,readonly"
    imported(capsys, f"docker run --net=host --privileged --cap-add SYS_PTRACE {mount} --gpus 1 image:1 run")
    text = Path("overlays/experiment/image/residual.yaml").read_text()
    pod = yamlio.parse(text, "overlay")["template"]["spec"]
    assert (pod["hostNetwork"], pod["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    assert pod["containers"][0]["securityContext"] == {"privileged": True, "capabilities": {"add": ["SYS_PTRACE"]}}
    assert pod["containers"][0]["volumeMounts"] == [{"name": "host-0", "mountPath": "/data", "readOnly": True}]


def test_an_entrypoint_comes_before_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = imported(capsys, "docker run --gpus 1 --entrypoint /bin/sh --restart always image:1 -c 'sleep 1'")
    assert found["trainer"]["command"] == ["/bin/sh", "-c", "sleep 1"]


def test_an_option_without_a_counterpart_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    _, told = imported(capsys, "docker run --gpus 1 --restart always image:1 run")
    assert "--restart always has no counterpart" in told


SCRIPT = """\
#!/bin/bash
set -e
IMAGE=x:1
docker pull $IMAGE
sudo -E docker run --gpus 2 \\
  -v ./data:/data -v ~/.cache:/c -v $(pwd):/w -v /abs:/abs image:1 \\
  bash -c "
  python t.py 2>&1; echo done
" 2>&1 | tee log
echo finished
"""


def test_a_script_around_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(SCRIPT)
    assert cli.main(["import", "run.sh", "-o", "."]) == 0
    assert yamlio.read(Path("conf/experiment/image.yaml"))["trainer"]["command"] == [
        "bash",
        "-c",
        "\n  python t.py 2>&1; echo done\n",
    ]
    told = capsys.readouterr().err
    assert all(f"{folder} is a folder of the caller's" in told for folder in ("./data", "~/.cache", "$(pwd)"))
    volumes = yamlio.read(Path("overlays/experiment/image/residual.yaml"))["template"]["spec"]["volumes"]
    assert [volume["hostPath"]["path"] for volume in volumes] == ["/abs"]


@pytest.mark.parametrize(
    "line",
    [
        "docker ps",
        "docker run",
        "docker run --gpus 1 image:1",
        "docker run -e",
        "docker run --shm-size lots image:1 run",
        "docker run image:1 'unbalanced",
    ],
)
def test_what_is_no_run_is_refused(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(line)
    assert cli.main(["import", "run.sh"]) == 1
    assert "FT543" in capsys.readouterr().err
