"""What the accelerators' options say of themselves, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tools import hardware_matrix as matrix
from tools.options import GROUPS, chosen

from ftgen import runtime
from ftgen.pipeline import Compiled

from .conftest import Refuse, Render

Pod = Callable[[Compiled], dict[str, Any]]
Codes = Callable[[Compiled], set[str]]

ROOM = "hardware.per_card.memory.limit=64Gi"
# How many of its own units each device plugin calls 16 GiB.
SIXTEEN_GIBIBYTES = {
    "nvidia-vgpu": ("nvidia.com/gpumem", 16384),
    "nvidia-vgpu-hami": ("nvidia.com/gpumem", 16384),
    "nvidia-vgpu-volcano": ("volcano.sh/vgpu-memory", 16384),
    "ascend-vnpu-hami": ("huawei.com/Ascend910B4-memory", 16384),
    "cambricon": ("cambricon.com/mlu.smlu.vmemory", 64),
    "hygon": ("hygon.com/dcumem", 16384),
    "iluvatar": ("iluvatar.ai/BI-V150.vMem", 64),
    "metax": ("metax-tech.com/vmemory", 16),
    "mthreads": ("mthreads.com/sgpu-memory", 32),
    "enflame": ("enflame.com/gcu-memory", 16384),
    # A quarter of a card, the least that is given.
    "kunlunxin": ("kunlunxin.com/vxpu-memory", 24576),
}


def limits(job: Compiled, pod: Pod) -> dict[str, str]:
    found: dict[str, str] = pod(job)["containers"][0]["resources"]["limits"]
    return found


@pytest.mark.parametrize("hardware", SIXTEEN_GIBIBYTES)
def test_memory_means_the_same_everywhere(hardware: str, render: Render, pod: Pod) -> None:
    resource, units = SIXTEEN_GIBIBYTES[hardware]
    assert limits(render(f"hardware={hardware}", "hardware.memory=16Gi", ROOM), pod)[resource] == str(units)


@pytest.mark.parametrize(
    ("hardware", "whole", "share"),
    [
        ("kunlunxin", "kunlunxin.com/xpu", "kunlunxin.com/vxpu"),
        ("metax", "metax-tech.com/gpu", "metax-tech.com/sgpu"),
        ("enflame", "enflame.com/gcu", None),
        ("mthreads", "mthreads.com/vgpu", "mthreads.com/vgpu"),
    ],
)
def test_shares_may_be_counted_by_another_name(
    hardware: str, whole: str, share: str | None, render: Render, pod: Pod
) -> None:
    def counted(memory: str) -> set[str]:
        job = render(f"hardware={hardware}", f"hardware.memory={memory}", "hardware.cores=null")
        return {name for name in pod(job)["containers"][0]["resources"]["requests"] if "/" in name}

    assert counted("null") == {whole}
    assert counted("16Gi") == ({share} if share else set())


def test_compute_is_counted_in_whole_units_too(render: Render, refuse: Refuse, pod: Pod) -> None:
    wanted = ("hardware=mthreads", "hardware.memory=10Gi")
    job = render(*wanted, "hardware.cores=50")
    assert limits(job, pod)["mthreads.com/sgpu-core"] == "8"
    # Only fixed amounts are given, and any other is refused by the plugin's webhook.
    assert limits(job, pod)["mthreads.com/sgpu-memory"] == "32"
    (found,) = [d for d in refuse(*wanted, "hardware.cores=30") if d.severity == "error"]
    assert (found.code, found.help) == ("FT250", "choose a multiple of 6.25 percent")


def test_every_option_that_shares_memory_has_its_unit_tested() -> None:
    sharing = {
        option
        for option in GROUPS["hardware"]
        if matrix.chosen("hardware", option).config["hardware"]["resources"].get("memory")
    }
    assert sharing == set(SIXTEEN_GIBIBYTES)


def test_a_share_is_counted_in_whole_units(refuse: Refuse) -> None:
    (found,) = [d for d in refuse("hardware=metax", "hardware.memory=8704Mi") if d.severity == "error"]
    assert (found.code, found.subject) == ("FT250", "hardware.memory")


@pytest.mark.parametrize(
    "card", sorted(p.stem for p in runtime.conf_dir().glob("hardware/card/*.yaml") if p.stem != "assumed")
)
def test_a_card_decides_precision_and_nodes(card: str, render: Render, pod: Pod) -> None:
    job = render("hardware=full-gpu", f"hardware/card={card}")
    chosen = job.spec.hardware.card
    assert chosen.compute_capability is not None
    assert chosen.bf16 == (chosen.compute_capability >= 8.0)
    config = next(e["value"] for e in pod(job)["containers"][0]["env"] if e["name"] == "TRAIN_CONFIG")
    assert f"bf16: {str(chosen.bf16).lower()}" in config
    (requirement,) = expressions(job, pod)
    assert requirement["key"] == "nvidia.com/gpu.product"


def expressions(job: Compiled, pod: Pod) -> list[dict[str, Any]]:
    (term,) = pod(job)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    found: list[dict[str, Any]] = term["matchExpressions"]
    return found


def test_no_card_chosen_selects_no_nodes(render: Render, pod: Pod) -> None:
    assert "affinity" not in pod(render("hardware=full-gpu"))


def test_what_the_cluster_requires_of_nodes_holds_beside_the_card(render: Render, pod: Pod) -> None:
    required = "cluster.node_affinity=[{key: nvidia.com/gpu.memory, operator: Gt, values: ['70000']}]"
    job = render("hardware=full-gpu", "hardware/card=h100", required)
    assert [e["key"] for e in expressions(job, pod)] == ["nvidia.com/gpu.memory", "nvidia.com/gpu.product"]


@pytest.mark.parametrize("profile", sorted(p.stem for p in runtime.conf_dir().glob("hardware/mig/*.yaml")))
def test_a_mig_profile_is_a_resource_of_its_own(profile: str, render: Render, pod: Pod) -> None:
    job = render("hardware=nvidia-mig", f"hardware/mig={profile}", "trainer.cutoff_len=256")
    assert limits(job, pod)[f"nvidia.com/mig-{profile}"] == "1"
    assert job.spec.hardware.card.memory == f"{profile.rsplit('.', 1)[1].removesuffix('gb')}Gi"


def test_mig_instances_that_train_together_are_warned_of(render: Render, codes: Codes) -> None:
    assert "FT259" in codes(render("hardware=nvidia-mig", "hardware.nodes=2"))
    assert "FT259" not in codes(render("hardware=nvidia-mig"))


def test_dra_claims_devices_and_counts_none(render: Render, pod: Pod) -> None:
    job = render("hardware=nvidia-dra", "hardware.devices=4", "cluster.volcano_version='1.14'")
    (template,) = (o for o in job.bundle.companions if o["kind"] == "ResourceClaimTemplate")
    assert template["apiVersion"] == "resource.k8s.io/v1"
    assert template["spec"]["spec"]["devices"]["requests"][0]["exactly"] == {
        "deviceClassName": "gpu.nvidia.com",
        "allocationMode": "ExactCount",
        "count": 4,
    }
    assert pod(job)["resourceClaims"] == [{"name": "cards", "resourceClaimTemplateName": template["metadata"]["name"]}]
    resources = pod(job)["containers"][0]["resources"]
    assert resources["claims"] == [{"name": "cards"}]
    assert not any("nvidia.com" in name for bound in ("requests", "limits") for name in resources[bound])


def test_a_claim_of_devices_is_judged_as_none_of_jobs(render: Render, codes: Codes) -> None:
    assert not {code for code in codes(render("hardware=nvidia-dra", "cluster.volcano_version='1.14'")) if code > "FT3"}


def test_dra_needs_a_newer_kubernetes(refuse: Refuse, render: Render, codes: Codes) -> None:
    words = ("hardware=nvidia-dra", "cluster.volcano_version='1.14'")
    (found,) = [d for d in refuse(*words, "cluster.kubernetes_version='1.33'") if d.code == "FT271"]
    assert found.subject == "cluster.kubernetes_version"
    for version in ("'1.34'", "v1.35.1", "newest"):
        assert "FT271" not in codes(render(*words, f"cluster.kubernetes_version={version}"))


def test_dra_needs_a_newer_volcano(refuse: Refuse) -> None:
    (found,) = [d for d in refuse("hardware=nvidia-dra") if d.code == "FT271"]
    assert found.headline == "these cards need Volcano 1.14, and the cluster has 1.12"


@pytest.mark.parametrize(
    ("hardware", "granted", "refused"),
    [
        ("ascend-910a", (1, 2, 4, 8), (3, 5, 6, 7)),
        ("ascend-910b-mindcluster", (1, 3, 7, 8), ()),
        ("ascend-910b-mindcluster-16", (7, 8, 10, 16), (9, 11, 13, 15)),
        ("ascend-a3", (1, 2, 14, 16), (3, 5, 15)),
        ("kunlunxin", (1, 2, 4, 8), (3, 6)),
    ],
)
def test_only_granted_counts_of_cards(
    hardware: str, granted: tuple[int, ...], refused: tuple[int, ...], render: Render, refuse: Refuse
) -> None:
    for count in granted:
        render(f"hardware={hardware}", f"hardware.devices={count}")
    for count in refused:
        found = {d.code: d for d in refuse(f"hardware={hardware}", f"hardware.devices={count}")}
        assert "FT265" in found
        assert found["FT265"].subject == "hardware.devices"


def test_several_nodes_take_the_cards_that_suit_them(render: Render, codes: Codes) -> None:
    nodes = ("hardware=ascend-a3", "storage=nfs", "hardware.nodes=2")
    assert "FT270" in codes(render(*nodes, "hardware.devices=8"))
    assert "FT270" not in codes(render(*nodes, "hardware.devices=16"))


def test_a_share_between_two_templates_is_rounded_up(render: Render) -> None:
    job = render("hardware=ascend-vnpu-hami", "hardware/vnpu=910b3", "hardware.memory=20Gi")
    (told,) = [d for d in job.diagnostics if d.code == "FT266"]
    assert told.headline == "a share of 20Gi is rounded up to 32768 times 1Mi"
    whole = render("hardware=ascend-vnpu-hami", "hardware/vnpu=910b3", "hardware.memory=40Gi")
    assert any("whole card" in d.headline for d in whole.diagnostics if d.code == "FT266")
    exact = render("hardware=ascend-vnpu-hami", "hardware/vnpu=910b3", "hardware.memory=16Gi")
    assert not any(d.code == "FT266" for d in exact.diagnostics)


@pytest.mark.parametrize("hardware", ["ascend-vnpu-hami", "cambricon", "hygon", "mthreads"])
def test_one_share_of_a_card_for_a_pod(hardware: str, refuse: Refuse) -> None:
    found = refuse(f"hardware={hardware}", "hardware.memory=16Gi", "hardware.devices=2", ROOM)
    assert "FT267" in {d.code for d in found}


def test_whole_cards_may_be_several(render: Render, pod: Pod) -> None:
    assert limits(render("hardware=cambricon", "hardware.devices=4"), pod)["cambricon.com/vmlu"] == "4"


def test_two_time_slices_are_no_more_than_one(refuse: Refuse) -> None:
    assert "FT267" in {d.code for d in refuse("hardware=nvidia-shared", "hardware.devices=2")}


def test_hami_places_its_pods_itself(render: Render, pod: Pod, codes: Codes) -> None:
    job = render("hardware=nvidia-vgpu-hami")
    assert pod(job)["schedulerName"] == "hami-scheduler"
    assert job.bundle.job["spec"]["schedulerName"] == "volcano"
    assert "FT268" in codes(job)
    assert "schedulerName" not in pod(render("hardware=nvidia-vgpu-volcano"))


def test_what_could_not_be_confirmed_is_told(render: Render) -> None:
    (told,) = [d for d in render("hardware=ascend-a3").diagnostics if d.code == "FT269"]
    assert told.severity == "note"
    assert "disagree" in told.headline
    assert not any(d.code == "FT269" for d in render("hardware=ascend-a3", "hardware.unsure=null").diagnostics)


def test_mindcluster_judges_by_labels_and_selectors(render: Render, pod: Pod) -> None:
    job = render("hardware=ascend-910b-mindcluster", "hardware.devices=8")
    template = job.bundle.job["spec"]["tasks"][0]["template"]
    assert job.bundle.job["metadata"]["labels"]["ring-controller.atlas"] == "ascend-910b"
    assert template["metadata"]["labels"]["ring-controller.atlas"] == "ascend-910b"
    assert pod(job)["nodeSelector"]["accelerator-type"] == "module-910b-8"
    visible = next(e for e in pod(job)["containers"][0]["env"] if e["name"] == "ASCEND_VISIBLE_DEVICES")
    assert visible["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.annotations['huawei.com/Ascend910']"


def test_plain_volcano_leaves_visible_devices_to_the_device_plugin(render: Render, pod: Pod) -> None:
    names = {e["name"] for e in pod(render("hardware=ascend"))["containers"][0]["env"]}
    assert "ASCEND_VISIBLE_DEVICES" not in names


def test_the_ascend_runtime_or_the_nodes_driver(render: Render, pod: Pod) -> None:
    assert pod(render("hardware=ascend"))["runtimeClassName"] == "ascend"
    assert "runtimeClassName" not in pod(render("hardware=ascend", "hardware/driver=default-runtime"))
    host = pod(render("hardware=ascend", "hardware/driver=host"))
    assert "runtimeClassName" not in host
    assert {v["hostPath"]["path"] for v in host["volumes"] if "hostPath" in v} >= {
        "/usr/local/Ascend/driver",
        "/etc/hccn.conf",
    }


def test_ranks_for_tools_that_read_rank_tables(render: Render, refuse: Refuse) -> None:
    wanted = ("hardware=ascend", "hardware/rank_table=hcclrank")
    assert render(*wanted).bundle.job["spec"]["plugins"]["hcclrank"] == ["--master=train"]
    assert refuse(*wanted, "cluster.volcano_version=1.12.1")


@pytest.mark.parametrize("hardware", [h for h in GROUPS["hardware"] if h != "cpu"])
def test_nobody_chooses_cards_by_hand(hardware: str, refuse: Refuse) -> None:
    visible = matrix.chosen("hardware", hardware).config["hardware"].get("visible", {}).get("variables", [])
    # Where no variable is known, the option says so.
    assert visible or "visible cards" in matrix.chosen("hardware", hardware).config["hardware"]["unsure"]
    for name in visible:
        found = refuse(*chosen("hardware", hardware), f"+hardware.env.{name}=0")
        assert ("FT277", f"hardware.env.{name}") in {(d.code, d.subject) for d in found}


def test_settings_of_the_network_in_the_vendors_words(render: Render, pod: Pod) -> None:
    settings = ("network.interface=eth0", "hardware.nodes=2", "storage=nfs")
    for hardware, name in (
        ("full-gpu", "NCCL_SOCKET_IFNAME"),
        ("ascend", "HCCL_SOCKET_IFNAME"),
        ("amd", "NCCL_SOCKET_IFNAME"),
    ):
        env = {
            e["name"]: e.get("value") for e in pod(render(f"hardware={hardware}", *settings))["containers"][0]["env"]
        }
        assert env[name] == "eth0"


def test_a_setting_that_the_vendor_has_no_word_for(refuse: Refuse) -> None:
    assert [d.code for d in refuse("hardware=full-gpu", "network.connect_timeout=600")] == ["FT275"]


def test_the_nodes_own_address_goes_with_the_nodes_own_network(render: Render, pod: Pod) -> None:
    names = {e["name"] for e in pod(render("hardware=ascend", "network.host=true"))["containers"][0]["env"]}
    assert "HCCL_IF_IP" in names
    names = {e["name"] for e in pod(render("hardware=ascend"))["containers"][0]["env"]}
    assert "HCCL_IF_IP" not in names


def test_processors_alone(render: Render, pod: Pod) -> None:
    job = render("hardware=cpu")
    assert limits(job, pod).keys() == {"cpu", "memory"}
    config = next(e["value"] for e in pod(job)["containers"][0]["env"] if e["name"] == "TRAIN_CONFIG")
    assert "bf16: false" in config
    assert "fp16: false" in config
