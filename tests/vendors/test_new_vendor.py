"""A vendor that nobody has heard of, by YAML alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ftgen.pipeline import Compiled

from . import matrix
from .conftest import Render, Write

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
    assert matrix.judged(job) == []
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
