"""A vendor that nobody has heard of, by YAML alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftgen.pipeline import Compiled

from .conftest import Refuse, Render, Write
from .judged import judged

Pod = Callable[[Compiled], dict[str, Any]]

OPTION = """
# Nova N1 cards, shared by memory in blocks of 128 MiB.
defaults:
  - collectives: nocl
  - _self_
vendor: nova
nodes: 1
devices: 1
memory: 16Gi
cores: null
resources:
  count: nova.example.com/n1
  memory: {name: nova.example.com/n1-blocks, unit: 128Mi}
  allowed_counts: [1, 2, 4]
  share_with_multi: false
card: {name: N1, memory: 64Gi, bf16: true, per_node: 4}
per_card:
  cpu: {request: "2", limit: "8"}
  memory: {request: 16Gi, limit: 64Gi}
image: registry.example.com/nova/finetune:1.0
source: [/opt/nova/env.sh]
unsure: nobody has seen one
"""
COLLECTIVES = """
# Nova's library of collectives.
interface: NOCL_IFNAME
"""
OVERLAY = """
# Nova's runtime, device and taint.
apiVersion: v1
kind: PodTemplate
metadata:
  name: any
template:
  spec:
    runtimeClassName: nova
    tolerations:
    - {key: nova.example.com/n1, operator: Exists, effect: NoSchedule}
    volumes:
    - name: nova-control
      hostPath: {path: /dev/nova-control}
    containers:
    - name: train
      volumeMounts:
      - {name: nova-control, mountPath: /dev/nova-control}
"""


def test_a_new_vendor_takes_yaml_alone(write: Write, render_here: Render, pod: Pod) -> None:
    write("conf/hardware/nova.yaml", OPTION)
    write("conf/hardware/collectives/nocl.yaml", COLLECTIVES)
    write("overlays/hardware/nova/runtime.yaml", OVERLAY)
    write("overlays/hardware/nova/overlay.yaml", "touches: [PodTemplate.template.spec]\n")

    job = render_here("hardware=nova", "hardware.nodes=2", "storage=nfs", "network.interface=nova0")
    assert judged(job) == []
    spec = pod(job)
    container = spec["containers"][0]
    assert container["resources"]["limits"]["nova.example.com/n1"] == "1"
    assert container["resources"]["limits"]["nova.example.com/n1-blocks"] == "128"
    env = {e["name"]: e.get("value") for e in container["env"]}
    assert (env["NOCL_IFNAME"], env["SOURCE_FILES"]) == ("nova0", "/opt/nova/env.sh")
    assert spec["runtimeClassName"] == "nova"
    assert "FT269" in {d.code for d in job.diagnostics}

    whole = render_here("hardware=nova", "hardware.memory=null", "hardware.devices=4")
    assert pod(whole)["containers"][0]["resources"]["limits"]["nova.example.com/n1"] == "4"


DOCUMENT = Path(__file__).parents[2] / "docs" / "hardware.md"


def told(path: str) -> str:
    """The file that the document shows under this path."""
    return DOCUMENT.read_text(encoding="utf-8").partition(f'```yaml title="{path}"\n')[2].partition("```")[0]


def test_what_the_document_says_of_a_vendor_is_enough(write: Write, render_here: Render, pod: Pod) -> None:
    write("conf/hardware/nova.yaml", told("conf/hardware/nova.yaml"))
    write("overlays/hardware/nova/runtime.yaml", told("overlays/hardware/nova/runtime.yaml"))
    job = render_here("hardware=nova", "hardware.nodes=2", "storage=nfs")
    assert judged(job) == []
    assert pod(job)["runtimeClassName"] == "nova"
    assert pod(job)["containers"][0]["resources"]["limits"]["nova.example.com/n1-blocks"] == "128"


REQUIRED = """
vendor: nova
nodes: 1
devices: 1
resources: {count: nova.example.com/n1}
card: {}
per_card:
  cpu: {request: "2", limit: "8"}
  memory: {request: 16Gi, limit: 64Gi}
image: registry.example.com/nova/finetune:1.0
"""


def test_the_least_that_an_option_says(write: Write, render_here: Render) -> None:
    write("conf/hardware/nova.yaml", REQUIRED)
    assert judged(render_here("hardware=nova")) == []


def test_a_choice_inside_an_option_that_is_not_there(write: Write, refuse_here: Refuse) -> None:
    write("conf/hardware/nova.yaml", f"defaults:\n- collectives: nocl\n- _self_\n{REQUIRED}")
    (found,) = refuse_here("hardware=nova")
    assert (found.code, found.subject, found.value) == ("FT011", "hardware/collectives", "nocl")
    assert found.headline == "hardware/nova chooses 'nocl' of the group hardware/collectives, which has no such option"
    assert found.help == "did you mean nccl, hccl?"
