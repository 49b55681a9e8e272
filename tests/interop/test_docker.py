"""A vendor's `docker run` becomes a job that runs the same command in ftgen's frame."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ftgen import cli
from ftgen.text import yamlio

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
    assert hardware["env"] == {"HF_HUB_OFFLINE": "1", "TOKEN": {"secret": "token", "key": "TOKEN"}}
    assert hardware["per_card"] == {
        "cpu": {"request": "24", "limit": "24"},
        "memory": {"request": "128Gi", "limit": "128Gi"},
    }
    assert found["storage"] == {"shm": "64Gi"}


def test_the_same_words_reach_the_container(capsys: pytest.CaptureFixture[str]) -> None:
    imported(capsys, ASCEND)
    args = container(rendered(capsys))["args"]
    assert args == ["env", "--chdir=/app", "llamafactory-cli", "train", "my config.yaml", "a=${HOME}"]


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
    assert "TOKEN is a secret: its value is not taken over" in told
    assert "ASCEND_RT_VISIBLE_DEVICES" not in Path("conf/experiment/npu-sft.yaml").read_text()


@pytest.mark.parametrize(
    ("flags", "devices"),
    [
        ("--gpus all", None),
        ("--gpus 4", 4),
        ("""--gpus '"device=0,2"'""", 2),
        ("--gpus device=0,2,2", 2),
        ("""--gpus '"device=0,1,2",capabilities=utility'""", 3),
        ("--gpus count=2,capabilities=compute", 2),
        ("--gpus count=-1", None),
        ("--gpus all -e CUDA_VISIBLE_DEVICES=0,1", 2),
        ("-e NVIDIA_VISIBLE_DEVICES=1,2,3", 3),
        ("-e NVIDIA_VISIBLE_DEVICES=all", None),
        ("--device nvidia.com/gpu=all", None),
        ("--device nvidia.com/gpu=0 --device nvidia.com/gpu=1", 2),
        ("--runtime nvidia -e NVIDIA_VISIBLE_DEVICES=$CARDS", None),
        ("--device /dev/nvidia0 --device /dev/nvidia3 --device /dev/nvidiactl --device /dev/nvidia-uvm", 2),
    ],
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
        ("--device /dev/kfd --device /dev/dri/renderD128 --device /dev/dri/renderD129", "amd", 2),
        ("--device amd.com/gpu=0 --device amd.com/gpu=1", "amd", 2),
        ("--runtime=amd --gpus 4", "amd", 4),
        ("-e ROCR_VISIBLE_DEVICES=0-2", "amd", 3),
        ("--device=/dev/kfd --device=/dev/mkfd --device=/dev/dri -e HIP_VISIBLE_DEVICES=0,1", "hygon", 2),
        ("-v /opt/hyhal:/opt/hyhal --device=/dev/kfd", "hygon", None),
        ("--device /dev/dri --device /dev/mxcd -e CUDA_VISIBLE_DEVICES=0,1,2,3", "metax", 4),
        ("--device /dev/cambricon_dev0 --device /dev/cambricon_dev1 --device /dev/cambricon_ipcm0", "cambricon", 2),
        ("-e MTHREADS_VISIBLE_DEVICES=all", "mthreads", None),
        ("--runtime mthreads", "mthreads", None),
        ("--device /dev/mtgpu.0 --device /dev/mtgpu.1 --device /dev/dri", "mthreads", 2),
        ("-e ILUVATAR_COREX_VISIBLE_DEVICES=0,0,1", "iluvatar", 2),
        ("--device /dev/xpu0 --device /dev/xpu1 --device /dev/xpuctrl", "kunlunxin", 2),
        ("-e ENFLAME_VISIBLE_DEVICES=2,3", "enflame", 2),
        ("--runtime ascend -e ASCEND_VISIBLE_DEVICES=0-3,7", "ascend", 5),
        ("-v /usr/local/Ascend/driver:/usr/local/Ascend/driver --privileged", "ascend", None),
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
    assert (found["hardware"]["image"], found["hardware"]["devices"]) == ("i:1", 2)
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


@pytest.mark.parametrize(
    ("flags", "sign", "own"),
    [
        ("--device /dev/dri", "/dev/dri", "visible: {files: [/dev/dri]}"),
        ("--device /dev/dri/renderD128", "/dev/dri/renderD128", "visible: {files: [/dev/dri/renderD]}"),
        ("--device /dev/accel0", "/dev/accel0", "visible: {files: [/dev/accel]}"),
        ("--device /dev/biren0", "/dev/biren0", "visible: {files: [/dev/biren]}"),
        ("-e BR_VISIBLE_DEVICES=0", "BR_VISIBLE_DEVICES", "visible: {variables: [BR_VISIBLE_DEVICES]}"),
        ("--device example.com/npu=all", "example.com/npu", "resources: {count: example.com/npu}"),
        ("--runtime sophgo", "--runtime sophgo", "visible: {runtime: sophgo}"),
    ],
)
def test_cards_of_nobody_are_refused(flags: str, sign: str, own: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(f"set -e\ndocker run {flags} image:1 python t.py\n")
    assert cli.main(["import", "run.sh"]) == 1
    out = capsys.readouterr()
    assert out.err.startswith("run.sh:2:")
    assert f"error[FT558]: {sign} shows cards" in out.err
    assert "ascend" in out.err  # the options there are
    assert f"describe them in conf/hardware/NAME.yaml with {own}\n" in out.err
    assert not out.out
    assert cli.main(["import", "run.sh", "hardware=amd", "-o", "."]) == 0
    assert {"override /hardware": "amd"} in yamlio.read(Path("conf/experiment/image.yaml"))["defaults"]


def test_an_option_before_the_command_says_whose_cards_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = imported(capsys, "hardware=kunlunxin", "docker", "run", "--device", "/dev/dri", "image:1", "go")
    assert {"override /hardware": "kunlunxin"} in found["defaults"]


@pytest.mark.parametrize(
    "flags",
    [
        "--device /dev/davinci0 --gpus 1",
        "-e NVIDIA_VISIBLE_DEVICES=0 -e ASCEND_VISIBLE_DEVICES=0",
        "--runtime=habana --device /dev/mxcd",
    ],
)
def test_cards_of_two_vendors_are_refused(flags: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", "--", f"docker run {flags} image:1 go"]) == 1
    assert "FT558]: the cards are of several vendors" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        "",
        "-e NVIDIA_VISIBLE_DEVICES=none",
        "-e CUDA_VISIBLE_DEVICES=",
        "--gpus 0",
        "--runtime nvidia -e NVIDIA_VISIBLE_DEVICES=void",
        "--device /dev/infiniband --device /dev/fuse",
        "--runtime runc",
    ],
)
def test_without_cards_it_runs_on_processors_and_that_is_told(flags: str, capsys: pytest.CaptureFixture[str]) -> None:
    found, told = imported(capsys, f"docker run {flags} image:1 go")
    assert {"override /hardware": "cpu"} in found["defaults"]
    assert "warning[FT559]" in told


@pytest.mark.parametrize(
    "flags",
    ["--gpus all", "-e HABANA_VISIBLE_DEVICES=all", "-e MTHREADS_VISIBLE_DEVICES=all", "--device nvidia.com/gpu=all"],
)
def test_all_cards_are_no_number(flags: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, told = imported(capsys, f"docker run {flags} image:1 go")
    assert "warning[FT559]" in told
    assert "hardware.devices" in told


def pod_of(capsys: pytest.CaptureFixture[str], flags: str) -> tuple[dict, str]:
    _, told = imported(capsys, f"docker run --gpus 1 {flags} image:1 go")
    return yamlio.read(Path("overlays/experiment/image/residual.yaml"))["template"]["spec"], told


@pytest.mark.parametrize(
    ("flags", "pod"),
    [
        ("--ipc=host", {"hostIPC": True}),
        ("--pid host", {"hostPID": True}),
        ("--network host", {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}),
        ("--add-host a:10.0.0.1 --add-host b:10.0.0.1", {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}]}),
        (
            "--dns 10.0.0.2 --dns-search example.com",
            {"dnsConfig": {"nameservers": ["10.0.0.2"], "searches": ["example.com"]}},
        ),
        ("--group-add 44", {"securityContext": {"supplementalGroups": [44]}}),
        (
            "--sysctl net.core.somaxconn=1024",
            {"securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1024"}]}},
        ),
    ],
)
def test_what_a_pod_shares_with_its_node_is_kept(flags: str, pod: dict, capsys: pytest.CaptureFixture[str]) -> None:
    assert pod_of(capsys, flags)[0] == pod


@pytest.mark.parametrize(
    ("flags", "context"),
    [
        ("--cap-add=CAP_SYS_PTRACE --cap-add ipc_lock", {"capabilities": {"add": ["SYS_PTRACE", "IPC_LOCK"]}}),
        ("--cap-drop ALL", {"capabilities": {"drop": ["ALL"]}}),
        ("--security-opt seccomp=unconfined", {"seccompProfile": {"type": "Unconfined"}}),
        ("--security-opt apparmor:unconfined", {"appArmorProfile": {"type": "Unconfined"}}),
        ("--security-opt no-new-privileges", {"allowPrivilegeEscalation": False}),
        ("--read-only", {"readOnlyRootFilesystem": True}),
        ("--user root:100", {"runAsUser": 0, "runAsGroup": 100}),
    ],
)
def test_the_security_of_the_container_is_kept(flags: str, context: dict, capsys: pytest.CaptureFixture[str]) -> None:
    assert pod_of(capsys, flags)[0]["containers"][0]["securityContext"] == context


def test_every_form_of_a_mount(capsys: pytest.CaptureFixture[str]) -> None:
    flags = "-v /a:/b:ro,z -v /new -v data:/c --mount type=volume,target=/e --tmpfs /run:rw,size=64m -v /d:/dev/shm"
    pod, told = pod_of(capsys, flags)
    assert [dict(list(volume.items())[1:]) for volume in pod["volumes"]] == [
        {"hostPath": {"path": "/a"}},
        {"emptyDir": {}},
        {"persistentVolumeClaim": {"claimName": "data"}},
        {"emptyDir": {}},
        {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    ]
    assert [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]] == ["/b", "/new", "/c", "/e", "/run"]
    assert "the volume data becomes the claim data" in told
    assert "/dev/shm is left out" in told


@pytest.mark.parametrize(
    "flag",
    [
        *("--restart always", "--ulimit memlock=-1", "--hostname h", "--env-file e", "--platform linux/amd64", "--rm"),
        *("--label a=b", "--init", "-p 80:80", "--uts=host", "--group-add video", "--user me", "--ipc shareable"),
        *("--security-opt label=disable", "--network bridge", "--pull always", "-it", "-d", "--memory-swap 1g"),
        *("--device /dev/infiniband", "--add-host h:host-gateway", "--log-opt a=b", "--cpuset-cpus 0-3"),
    ],
)
def test_nothing_is_lost_in_silence(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, plain = imported(capsys, "docker run --gpus 1 image:1 go")
    _, told = imported(capsys, f"docker run --gpus 1 {flag} image:1 go")
    assert told.count("note[FT542]") == plain.count("note[FT542]") + 1
    assert "left out" in told


def test_an_unknown_option_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", "--", "docker run --gpu all image:1 go"]) == 1
    err = capsys.readouterr().err
    assert "docker run has no option --gpu" in err
    assert "did you mean --gpus?" in err


@pytest.mark.parametrize(
    "flags", ["--device /dev/cambricon_dev0", "--device /dev/mxcd", "-e MTHREADS_VISIBLE_DEVICES=0"]
)
def test_privileges_that_hami_denies_are_left_out_and_told(flags: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(f"docker run {flags} \\\n  --privileged image:1 go\n")
    assert cli.main(["import", "run.sh", "-o", "."]) == 0
    assert "run.sh:2:3: warning[FT433]: --privileged is left out" in capsys.readouterr().err
    assert not Path("overlays").exists()
    assert "FT433" not in yamlio.read(Path("conf/experiment/image.yaml"))["allow"]
    assert cli.main(["import", "run.sh", "--strict"]) == 1


def test_what_admission_denies_is_refused_where_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text("docker run --gpus 1 --privileged \\\n  --security-opt no-new-privileges image:1 go\n")
    assert cli.main(["import", "run.sh", "-o", "."]) == 1
    assert "run.sh:2:18: error[FT362]" in capsys.readouterr().err
    assert not Path("conf").exists()


# --- the caller's shell ---------------------------------------------------------------------------------

TOKEN = "hf_" + "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1cD"


@pytest.mark.parametrize("value", ["=$HF_TOKEN", "=${HF_TOKEN:-none}", "=$(cat t)", "=`cat t`", "", f"={TOKEN}"])
@pytest.mark.parametrize("form", ["text", "words"])
def test_a_secret_becomes_a_reference(value: str, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"docker run --gpus 1 -e HF_TOKEN{value} image:1 go"
    Path("run.sh").write_text(line)
    words = ["run.sh"] if form == "text" else ["--", *shlex.split(line)]
    if form == "words" and {"$", "`"}.intersection(value):  # the caller's shell has replaced it by its value
        words = ["--", *["docker", "run", "--gpus", "1", "-e", "HF_TOKEN", "image:1", "go"]]
    assert cli.main(["import", "-o", ".", *words]) == 0
    out = capsys.readouterr()
    assert "warning[FT561]: HF_TOKEN is a secret" in out.err
    reference = {"secretKeyRef": {"name": "hf-token", "key": "HF_TOKEN"}}
    assert {"name": "HF_TOKEN", "valueFrom": reference} in container(rendered(capsys))["env"]
    written = "".join(file.read_text() for file in Path().rglob("*.yaml"))
    assert TOKEN not in out.err + out.out + written
    assert "cat t" not in written


def test_a_secret_in_the_command_is_refused_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(f"docker run --gpus 1 -w /w image:1 go \\\n  --lr 1 \\\n  --token {TOKEN}")
    assert cli.main(["import", "run.sh"]) == 1
    assert cli.main(["import", "--", *shlex.split(Path("run.sh").read_text().replace("\\\n", ""))]) == 1
    err = capsys.readouterr().err
    assert err.count("FT441") == 2
    assert TOKEN not in err


def test_a_refusal_does_not_show_the_secret_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(f"docker run --gpu 1 -e HF_TOKEN={TOKEN} --label api_key={TOKEN} image:1 go")
    assert cli.main(["import", "run.sh"]) == 1
    assert TOKEN not in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", ["-e LR=$LR", "-e LR=${LR:-1}", "-e LR", "--user $(id -u)", "--shm-size $S", "--name `n`"]
)
def test_a_variable_of_the_callers_shell_is_left_out_and_told(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(f"docker run --gpus 1 {option} image:1 go")
    assert cli.main(["import", "run.sh", "-o", "."]) == 0
    assert "warning[FT560]" in capsys.readouterr().err
    written = "".join(file.read_text() for file in Path().rglob("*.yaml"))
    assert not {"$", "LR", "`"}.intersection(written)


@pytest.mark.parametrize(
    "line", ["$IMAGE go", "image:$TAG go", "image:1 go $LR", 'image:1 bash -c "cd $D; go"', "$ARGS image:1 go"]
)
def test_what_cannot_be_left_out_is_refused(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(f"docker run --gpus 1 {line}")
    assert cli.main(["import", "run.sh"]) == 1
    assert "run.sh:1:" in capsys.readouterr().err


def test_what_the_script_itself_sets_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(
        'export TAG=7\nIMAGE="example.com/a/b"\ndocker run --gpus 1 ${IMAGE}:$TAG go \'$X\' "\\$Y"\n'
    )
    assert cli.main(["import", "run.sh", "-o", "."]) == 0
    found = yamlio.read(Path("conf/experiment/b.yaml"))
    assert found["hardware"]["image"] == "example.com/a/b:7"
    assert found["trainer"]["command"] == ["go", "$X", "$Y"]


# --- scripts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "docker run --gpus 1 \\\r\n  image:1 go\r\n",
        "# docker run --gpus 4 other:1 x\nsudo -E docker run --gpus 1 image:1 go # and no more\n",
        "cd /srv && docker run --gpus 1 image:1 go && echo done",
        "set -e\n# cd /srv && docker run --gpus 4 other:1 x; docker run other:1 y\ndocker run --gpus 1 image:1 go",
        "usage() {\n  cat <<EOF\ndocker run --gpus 4 other:1 x\nEOF\n}\ndocker run --gpus 1 image:1 go",
        "echo '\ndocker run --gpus 4 other:1 x'\ndocker run --gpus 1 image:1 go",
        "cat >run.sh <<EOF\ndocker run --gpus 1 image:1 go\nEOF",
        "podman run --gpus=1 image:1 go",
        "nerdctl --namespace k8s.io run --gpus 1 image:1 go",
        "docker --context far container run --gpus 1 image:1 go",
        "if true; then docker run --gpus 1 image:1 go; fi",
        "CUDA=1 /usr/bin/docker run --gpus 1 image:1 go >log 2>&1 &",
        "docker ps\ndocker run --gpus 1 image:1 go\ndocker exec image 'unclosed",
    ],
)
def test_scripts_of_every_style(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_bytes(script.encode())
    assert cli.main(["import", "run.sh", "-o", "."]) == 0, capsys.readouterr().err
    found = yamlio.read(Path("conf/experiment/image.yaml"))
    assert (found["hardware"]["image"], found["trainer"]["command"]) == ("image:1", ["go"])


def test_further_commands_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text("docker run -d --gpus 1 image:1 sleep 9\ndocker exec image python train.py\n")
    assert cli.main(["import", "run.sh"]) == 0
    assert "run.sh:2:1: note[FT542]: docker exec is a command of its own" in capsys.readouterr().err


@pytest.mark.parametrize(
    "script",
    [
        "docker compose run app",
        "docker run --gpus 1 -i image:1 bash -s <<'EOF'\npython t.py\nEOF\n",
        "docker run -e 'A B=c' image:1 go",
        "docker run -e =c image:1 go",
        "docker run -v :/x image:1 go",
        "docker run -v a:b image:1 go",
        "docker run -v /a:/x --tmpfs /x image:1 go",
        "docker run --mount type=bind,target=/x image:1 go",
        "docker run --cpus many image:1 go",
        "docker run --memory 1.2.3g image:1 go",
        "docker run '' go",
        "docker run image:1 $(unclosed",
        "docker run \0 image:1 go",
        "docker run " + "-e A=b " * 200_000 + "image:1 go",
    ],
    ids=range(14),
)
def test_what_cannot_be_read_is_told_at_its_place(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(script)
    assert cli.main(["import", "run.sh"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("run.sh")
    assert "FT543" in err


@pytest.mark.parametrize("words", ["a " * 4_095, "a=b;" * 50_000, "|" * 200_000])
def test_a_long_command_is_refused_or_read_at_once(words, capsys):
    """Hydra's grammar would take hours for a million words, and so did the search for `docker` in what has no blank."""
    assert cli.main(["import", f"docker run img:1 {words}"]) in {0, 1}
    capsys.readouterr()
    assert cli.main(["import", f"docker run img:1 {'a ' * 5_000}"]) == 1
    assert "error[FT543]: the command has 5003 words, and up to 4096 are read" in capsys.readouterr().err


# --- the image's own ENTRYPOINT ------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "flag"), [("--epochs", "--epochs"), ("-c", "-c"), (f"--token={TOKEN}", "--token")])
@pytest.mark.parametrize("entrypoint", ["", "--entrypoint="])
def test_a_flag_of_the_images_entrypoint_is_no_program(
    word: str, flag: str, entrypoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("run.sh").write_text(f"docker run --gpus 1 {entrypoint} image:1 {word} 3\n")
    assert cli.main(["import", "run.sh"]) == 1
    err = capsys.readouterr().err
    assert f"FT543]: the command begins with a flag of the image's ENTRYPOINT, which is not told: {flag}\n" in err
    assert "help: write --entrypoint PROGRAM before the image" in err
    assert TOKEN not in err


def test_the_help_about_an_entrypoint_ends_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    found, told = imported(capsys, "docker run --gpus 1 --entrypoint train image:1 --epochs 3")
    assert found["trainer"]["command"] == ["train", "--epochs", "3"]
    assert "ENTRYPOINT" not in told


@pytest.mark.parametrize("entrypoint", ["--entrypoint go", "--entrypoint ''"])
def test_an_entrypoint_that_is_not_run_is_told(entrypoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, told = imported(capsys, "docker run --gpus 1 image:1 go")
    assert "note[FT542]: an ENTRYPOINT of the image is not run" in told
    assert "or --entrypoint '' if it has none" in told
    Path("conf/experiment/image.yaml").unlink()
    assert "ENTRYPOINT" not in imported(capsys, f"docker run --gpus 1 {entrypoint} image:1 go")[1]


def test_an_entrypoint_of_several_words_is_podmans(capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = imported(capsys, """podman run --gpus 1 --entrypoint '["python", "-u"]' image:1 t.py""")
    assert found["trainer"]["command"] == ["python", "-u", "t.py"]


# --- every option of a mount ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "mount"),
    [
        ("--mount type=volume,src=data,dst=/d,volume-subpath=team/a", {"subPath": "team/a"}),
        ("--mount type=bind,src=/a,dst=/d,bind-propagation=rslave", {"mountPropagation": "HostToContainer"}),
        ("--privileged -v /a:/d:rshared,ro", {"readOnly": True, "mountPropagation": "Bidirectional"}),
        ("-v /a:/d:rprivate", {}),
        ("--mount type=volume,src=data,dst=/d,volume-nocopy,ro=false", {}),
        ("--mount type=bind,src=/a,dst=/d,readonly=1,bind-recursive=writable", {"readOnly": True}),
    ],
)
def test_an_option_of_a_mount_that_a_pod_has_is_kept(
    flags: str, mount: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    pod, told = pod_of(capsys, flags)
    assert pod["containers"][0]["volumeMounts"] == [{"name": "host-0", "mountPath": "/d", **mount}]
    assert "left out of the mount" not in told


def test_a_folder_that_docker_makes_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    pod, _ = pod_of(capsys, "--mount type=bind,src=/a,dst=/d,bind-create-src")
    assert pod["volumes"] == [{"name": "host-0", "hostPath": {"path": "/a", "type": "DirectoryOrCreate"}}]


@pytest.mark.parametrize(
    ("flags", "lost"),
    [
        ("--mount type=bind,src=/a,dst=/d,bind-propagation=shared", "shared"),
        ("--mount type=bind,src=/a,dst=/d,ro,bind-recursive=disabled", "bind-recursive=disabled"),
        ("--mount type=bind,src=/a,dst=/d,bind-nonrecursive=true,consistency=cached", "bind-nonrecursive, consistency"),
        ("--mount type=volume,src=v,dst=/d,volume-driver=nfs,volume-opt=o=ro", "volume-driver=nfs, volume-opt=o=ro"),
        ("--mount type=tmpfs,dst=/d,tmpfs-mode=700,U=true", "tmpfs-mode=700, u"),
        ("-v /a:/d:rshared", "rshared"),
        ("-v /a:/d:ro,z,cached", "z, cached"),
        ("--tmpfs /d:rw,noexec,size=50%,uid=1000,mode=1777", "noexec, size=50%, uid=1000, mode=1777"),
    ],
)
def test_an_option_of_a_mount_that_no_pod_has_is_told(
    flags: str, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pod, told = pod_of(capsys, flags)
    assert f"note[FT542]: {lost}" in told
    assert "left out of the mount at /d" in told
    assert {"size", "mountPropagation"}.isdisjoint(pod["containers"][0]["volumeMounts"][0])


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ("--mount type=bind,src=/a,dst=/d,foo=bar", "no option 'foo'"),
        ("--mount type=bind,src=/a,dst=/d,readolny", "did you mean readonly?"),
        ("--mount type=volume,src=v,dst=/d,bind-propagation=rslave", "is no option of type=volume"),
        ("--mount type=bind,src=/a,dst=/d,bind-propagation=both", "no option 'both'"),
        ("--mount type=bind,src=/a,dst=/d,readonly=maybe", "is true or false"),
        ("--mount type=volume,dst=/d,volume-subpath=a", "needs the name of a volume"),
        ("--mount type=volume,src=v,dst=/d,volume-subpath=../a", "stay inside the volume"),
        ("--mount type=bind,src=data,dst=/d", "no mount that a pod can have"),
        ("--mount src=/data,dst=/d", "no mount that a pod can have"),
        ("--mount type=tmpfs,src=/data,dst=/d", "no mount that a pod can have"),
        ("-v /a:/d:rw:z", "names no path"),
        ("-v /a:/d:r0", "no option 'r0'"),
        ("-v a/b:/d", "is no name of a volume"),
        ("--tmpfs /d:fast", "no option 'fast'"),
        ("--tmpfs /d:size=lots", "is no size"),
        ("--gpus all,cards=1", "--gpus has no option cards"),
    ],
)
def test_an_option_of_a_mount_that_docker_refuses_is_refused(
    flags: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["import", "--", f"docker run --gpus 1 {flags} image:1 go"]) == 1
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "lost"),
    [
        ("""--gpus '2,"capabilities=compute,utility"'""", "capabilities=compute,utility of --gpus is left out"),
        ("--gpus count=2,driver=nvidia", "driver=nvidia of --gpus is left out"),
        ("--gpus 2 --runtime runsc", "--runtime runsc is left out"),
    ],
)
def test_what_says_nothing_of_the_number_of_cards_is_told(
    flags: str, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, told = imported(capsys, f"docker run {flags} image:1 go")
    assert found["hardware"]["devices"] == 2
    assert lost in told
    assert "left out" not in imported(capsys, "docker run --runtime nvidia --gpus 2 image:1 go")[1].replace(lost, "")


def test_no_limit_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = imported(capsys, "docker run --gpus 1 --cpus 0 --memory 0 --shm-size 0 image:1 go")
    assert "per_card" not in found["hardware"]
    assert "storage" not in found


# --- variables of ftgen's own scripts ------------------------------------------------------------------


def variables(job: dict) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container(job)["env"]}


def test_the_shape_of_the_job_comes_from_its_variables(capsys: pytest.CaptureFixture[str]) -> None:
    each_pods = "-e NODE_RANK=1 -e MASTER_ADDR=10.0.0.1 -e RANK=1 -e WORLD_SIZE=2 -e LOCAL_RANK=0 -e NPROC_PER_NODE=8"
    found, told = imported(
        capsys, f"docker run --gpus 8 -e NNODES=2 -e MASTER_PORT=29501 {each_pods} -e A=1 image:1 torchrun train.py"
    )
    assert (found["hardware"]["nodes"], found["network"]) == (2, {"master_port": 29501})
    assert {"A", "NODE_RANK", "NNODES"}.intersection(found["hardware"]["env"]) == {"A"}
    for name in ("NODE_RANK", "MASTER_ADDR", "RANK", "WORLD_SIZE", "LOCAL_RANK", "NPROC_PER_NODE"):
        assert f"note[FT542]: {name} is left out: the job gives each pod its own" in told
    job = rendered(capsys, "storage=nfs")
    assert job["spec"]["minAvailable"] == 2
    assert variables(job).items() >= {"NNODES": "2", "MASTER_PORT": "29501", "NPROC_PER_NODE": "8"}.items()
    assert container(job)["args"] == ["torchrun", "train.py"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("-e WORK_DIR=/app -e OUTPUT_DIR=/out", ["env", "WORK_DIR=/app", "OUTPUT_DIR=/out"]),
        ("-w /w -e TRAIN_CONFIG=/cfg/a.yaml", ["env", "--chdir=/w", "TRAIN_CONFIG=/cfg/a.yaml"]),
        ("-e JOB_NAME=a -e JOB_NAME=b -e FORCE_TORCHRUN=1", ["env", "JOB_NAME=b", "FORCE_TORCHRUN=1"]),
        ("-e 'MODEL_DIR=/m $(JOB) $X'", ["env", "MODEL_DIR=/m $(JOB) $X"]),
        ("-e GIT_SSL_NO_VERIFY=1 -e GIT_USER=me", ["env", "GIT_SSL_NO_VERIFY=1", "GIT_USER=me"]),
        ("-e MASTER_PORT=29501 -e NODES=4", ["env", "MASTER_PORT=29501", "NODES=4"]),
        ("-e NNODES=2 -e MASTER_PORT=80", ["env", "MASTER_PORT=80"]),
        ("-e NNODES=auto", ["env", "NNODES=auto"]),
        ("-e NNODES=1 -e A=1", []),
    ],
)
def test_a_variable_of_the_scripts_is_the_commands_alone(
    flags: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found, told = imported(capsys, f"docker run --gpus 2 {flags} image:1 python train.py")
    assert found["trainer"]["command"] == [*words, "python", "train.py"]
    assert "FT042" not in told
    assert "FT042" not in found["allow"]
    args = [word.replace("$$", "$") for word in container(rendered(capsys, "storage=nfs"))["args"]]
    assert args == [*words, "python", "train.py"]


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("-e GIT_TOKEN=abc123def", "FT561]: GIT_TOKEN is a secret and left out: the job's scripts have a variable"),
        ("-e NODE_RANK=$RANK", "note[FT542]: NODE_RANK is left out: the job gives each pod its own"),
        ("-e NODE_RANK", "note[FT542]: NODE_RANK is left out: the job gives each pod its own"),
        ("-e CUDA_VISIBLE_DEVICES=$CARDS", "CUDA_VISIBLE_DEVICES is left out: the device plugin chooses the cards"),
        ("-e NNODES=$N", "help: set hardware.nodes"),
        ("-e OUTPUT_DIR=$OUT", "help: write what it stands for"),
        ("-e LR=$LR", "help: write hardware.env.LR=VALUE"),
        ("-e LR=1 -e LR=$LR", "help: write hardware.env.LR=VALUE"),
    ],
)
def test_a_variable_without_its_value_is_told_once(flag: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.sh").write_text(f"docker run --gpus 1 {flag} image:1 go\n")
    assert cli.main(["import", "run.sh", "-o", "."]) == 0
    name = flag.rpartition("-e ")[2].partition("=")[0]
    told = capsys.readouterr().err
    assert said in told
    assert sum(line.startswith("run.sh:") and name in line for line in told.splitlines()) == 1
    found = yamlio.read(Path("conf/experiment/image.yaml"))
    assert name not in found["hardware"].get("env", {})
    assert rendered(capsys)


# --- what docker gives a container without being asked ------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("", {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0"}),
        ("-e HF_HUB_OFFLINE=", {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0"}),
        ("-e HF_HUB_OFFLINE=1", {"HF_HUB_OFFLINE": "1"}),
        ("-e TRANSFORMERS_OFFLINE=yes", {"TRANSFORMERS_OFFLINE": "yes"}),
        (
            "-e HF_HUB_OFFLINE=false",
            {"HF_HUB_OFFLINE": "false", "TRANSFORMERS_OFFLINE": "false", "HF_DATASETS_OFFLINE": "false"},
        ),
        (
            "-e HF_DATASETS_OFFLINE=1",
            {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", "HF_DATASETS_OFFLINE": "1"},
        ),
    ],
)
def test_the_command_may_ask_the_hub_as_under_docker(
    flags: str, said: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    found, told = imported(capsys, f"docker run --gpus 1 {flags} image:1 go")
    assert found["hardware"]["env"] == said
    assert ("the command may ask model hubs, as under docker" in told) == (len(said) > 1)


def test_a_folder_that_only_the_image_knows_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    said = "the WORKDIR of the image is not told: the command starts in the job's workspace"
    assert imported(capsys, "docker run --gpus 1 image:1 go")[1].count(said) == 1
    for flag in ("-w /app", "--workdir=$PWD"):
        Path("run.sh").write_text(f"docker run --gpus 1 {flag} image:1 go\n")
        assert cli.main(["import", "run.sh"]) == 0
        assert said not in capsys.readouterr().err
    assert cli.main(["import", "--", "docker run --gpus 1 -w app image:1 go"]) == 1
    assert "FT543]: --workdir app is no absolute path" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "key"), [("--memory 64g", "memory"), ("--cpus 32", "cpu")])
@pytest.mark.parametrize("flags", ["--gpus all", "--gpus 2", ""])
def test_a_limit_that_no_number_divides_is_told(
    flags: str, option: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, told = imported(capsys, f"docker run {flags} {option} image:1 go")
    said = f"warning[FT559]: {option} is the whole container's, and is written for each card as if it had 1"
    assert (said in told) == (flags == "--gpus all")
    assert (f"divide hardware.per_card.{key} by the number of cards" in told) == (flags == "--gpus all")


def test_a_limit_is_divided_by_the_cards_of_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    option = Path("conf/hardware/eight.yaml")
    option.parent.mkdir(parents=True)
    option.write_text("# Eight of them.\ndefaults:\n  - full-gpu\n  - _self_\ndevices: 8\n")
    found, _ = imported(capsys, "hardware=eight", "docker run --gpus all --memory 64g image:1 go")
    assert found["hardware"]["per_card"]["memory"]["limit"] == "8Gi"
    assert container(rendered(capsys))["resources"]["limits"]["memory"] == "64Gi"
