"""Overlays: who follows whom, what they may touch, and what is said when they go wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftgen.diagnostics import Rejected
from ftgen.pipeline import Compiled

from .conftest import Render, Write

Pod = Callable[[Compiled], dict[str, Any]]

TEMPLATE = "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: any}\ntemplate:\n"


def rejected(render: Render, *overrides: str) -> Any:
    with pytest.raises(Rejected) as caught:
        render(*overrides)
    (found,) = caught.value.diagnostics
    return found


def runtime(name: str) -> str:
    return f"{TEMPLATE}  spec:\n    runtimeClassName: {name}\n"


def test_the_users_overlay_follows_the_packaged_one(write: Write, render_here: Render, pod: Pod) -> None:
    write("overlays/hardware/driver/runtime/own.yaml", runtime("ascend-hw"))
    job = render_here("hardware=ascend")
    assert pod(job)["runtimeClassName"] == "ascend-hw"
    assert not any(d.code == "FT023" for d in job.diagnostics)


def test_two_overlays_that_disagree_are_both_named(write: Write, render_here: Render, pod: Pod) -> None:
    file = write("overlays/storage/topolvm/runtime.yaml", runtime("other"))
    job = render_here("hardware=ascend")
    (told,) = [d for d in job.diagnostics if d.code == "FT023"]
    assert told.headline == (
        "the overlays hardware/driver/runtime and storage/topolvm set "
        "Job.spec.tasks[name=train].template.spec.runtimeClassName to 'ascend' and 'other'; storage/topolvm holds"
    )
    assert [(Path(place.file).name, place.line) for place in told.locations] == [
        ("runtime.yaml", 6),
        ("runtime.yaml", 8),
    ]
    assert told.locations[0].file == str(file)
    assert pod(job)["runtimeClassName"] == "other"


def test_overlays_that_agree_or_speak_of_different_items_do_not_conflict(write: Write, render_here: Render) -> None:
    env = "    containers:\n    - name: train\n      env:\n      - {name: %s, value: x}\n"
    write("overlays/hardware/ascend/env.yaml", f"{TEMPLATE}  spec:\n{env % 'A'}")
    write("overlays/storage/topolvm/env.yaml", f"{TEMPLATE}  spec:\n    runtimeClassName: ascend\n{env % 'B'}")
    assert not any(d.code == "FT023" for d in render_here("hardware=ascend").diagnostics)


def test_a_job_patch_and_a_template_patch_meet_at_the_same_value(write: Write, render_here: Render) -> None:
    tasks = "spec: {tasks: [{name: train, template: {spec: {runtimeClassName: other}}}]}"
    write(
        "overlays/storage/topolvm/job.yaml",
        f"apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {{name: any}}\n{tasks}\n",
    )
    assert [d.code for d in render_here("hardware=ascend").diagnostics if d.code == "FT023"] == ["FT023"]


def test_a_conflict_can_be_accepted_with_a_reason(write: Write, render_here: Render) -> None:
    write("overlays/storage/topolvm/runtime.yaml", runtime("other"))
    assert not any(d.code == "FT023" for d in render_here("hardware=ascend", "allow={FT023: ours holds}").diagnostics)


def test_what_an_overlay_declares_it_may_touch(write: Write, render_here: Render, pod: Pod) -> None:
    write("overlays/storage/topolvm/overlay.yaml", "touches: [PodTemplate.template.spec.runtimeClassName]\n")
    write("overlays/storage/topolvm/runtime.yaml", runtime("other"))
    assert pod(render_here())["runtimeClassName"] == "other"


def test_a_patch_that_touches_more_than_declared_is_refused(write: Write, render_here: Render) -> None:
    declaration = write(
        "overlays/storage/topolvm/overlay.yaml", "touches: [PodTemplate.template.spec.runtimeClassName]\n"
    )
    patch = write("overlays/storage/topolvm/runtime.yaml", f"{runtime('other')}    hostNetwork: true\n")
    found = rejected(render_here)
    assert found.code == "FT024"
    assert found.headline == (
        "the overlay storage/topolvm touches PodTemplate.template.spec.hostNetwork, which it does not declare"
    )
    assert (found.locations[0].file, found.locations[0].line) == (str(patch), 7)
    assert str(declaration) in found.help


def test_operations_are_declared_as_well(write: Write, render_here: Render) -> None:
    write("overlays/storage/topolvm/overlay.yaml", "touches: [Job.spec.queue]\n")
    patch = write("overlays/storage/topolvm/queue.yaml", "- {op: replace, path: /spec/queue, value: q}\n")
    assert render_here().bundle.job["spec"]["queue"] == "q"
    patch.write_text("- {op: replace, path: /spec/queue, value: q}\n- {op: add, path: /spec/minSuccess, value: 1}\n")
    found = rejected(render_here)
    assert (found.code, found.locations[0].line) == ("FT024", 2)


def test_a_declaration_is_a_list_of_paths(write: Write, render_here: Render) -> None:
    write("overlays/storage/topolvm/overlay.yaml", "touch: [Job.spec.queue]\n")
    assert rejected(render_here).code == "FT020"


def test_a_patch_that_does_not_fit_is_told_at_its_line(write: Write, render_here: Render) -> None:
    patch = write(
        "overlays/storage/topolvm/bad.yaml", f"# Wrong.\n{TEMPLATE}  spec:\n    containers:\n    - image: x\n"
    )
    found = rejected(render_here)
    assert (found.code, found.locations[0].file, found.locations[0].line) == ("FT021", str(patch), 8)
    assert "lacks its name" in found.headline


def test_the_second_document_of_a_file_is_told_at_its_own_line(write: Write, render_here: Render) -> None:
    write("overlays/storage/topolvm/bad.yaml", f"{runtime('x')}---\n{TEMPLATE}  spec: text\n")
    found = rejected(render_here)
    assert (found.code, found.locations[0].line) == ("FT021", 12)


def test_an_operation_that_leads_nowhere_is_told_at_its_line(write: Write, render_here: Render) -> None:
    write(
        "overlays/storage/topolvm/bad.yaml",
        "- {op: test, path: /kind, value: Job}\n- {op: remove, path: /spec/nothing}\n",
    )
    found = rejected(render_here)
    assert (found.code, found.locations[0].line) == ("FT021", 2)


@pytest.mark.parametrize("operation", ['{op: replace, path: "", value: []}', "{op: replace, path: /spec, value: 5}"])
def test_operations_leave_an_object(operation: str, write: Write, render_here: Render) -> None:
    file = write("overlays/storage/topolvm/bad.yaml", f"- {operation}\n")
    found = rejected(render_here)
    assert (found.code, found.locations[0].file) == ("FT021", str(file))


def test_a_patch_for_what_the_job_does_not_have_is_refused(write: Write, render_here: Render) -> None:
    write("overlays/storage/topolvm/bad.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: any}\ndata: {a: b}\n")
    assert rejected(render_here).code == "FT022"
    write(
        "overlays/storage/topolvm/bad.yaml", "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: nobody}\n"
    )
    assert rejected(render_here).code == "FT022"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("spec: {template: {}}\n", "a patch says by apiVersion and kind what it is for"),
        ("apiVersion: v1\nkind: [PodTemplate]\n", "a patch says by apiVersion and kind what it is for"),
        ("just words\n", "an overlay is a patch or a list of JSON 6902 operations"),
        ("apiVersion: v1\nkind: PodTemplate\nspec: {hostNetwork: true}\n", "and this one has spec"),
        (f"{TEMPLATE.replace('any', 'any, labels: {a: b}')}  spec: {{}}\n", "and this one has metadata.labels"),
    ],
)
def test_a_patch_that_would_say_it_in_vain(text: str, problem: str, write: Write, render_here: Render) -> None:
    file = write("overlays/storage/topolvm/bad.yaml", f"---\n---\n{text}")
    found = rejected(render_here)
    assert (found.code, found.locations[0].file, found.locations[0].line) == ("FT020", str(file), 3)
    assert found.headline.endswith(problem)


@pytest.mark.parametrize("name", ["runtime.yml", "runtime.json"])
def test_a_file_that_would_be_overlooked(name: str, write: Write, render_here: Render) -> None:
    write(f"overlays/storage/topolvm/{name}", runtime("x"))
    write("overlays/storage/topolvm/README.md", "# Why")
    found = rejected(render_here)
    assert (found.code, found.help) == ("FT020", "rename it to runtime.yaml, or move it elsewhere")


def test_a_pack_of_an_installed_package(
    write: Write, render_here: Render, pod: Pod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("site/acme_pack/__init__.py", "raise RuntimeError('looking for overlays runs no code')\n")
    write("site/acme_pack/overlays/storage/topolvm/runtime.yaml", runtime("acme"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    pack = "overlays=[pkg://acme_pack.overlays]"
    assert pod(render_here(pack))["runtimeClassName"] == "acme"
    assert "runtimeClassName" not in pod(render_here())
    write("overlays/storage/topolvm/runtime.yaml", runtime("own"))
    assert pod(render_here(pack))["runtimeClassName"] == "own"


@pytest.mark.parametrize("pack", ["pkg://nobody_has_this.overlays", "pkg://ftgen.nothing", "nowhere"])
def test_a_pack_that_is_not_there(pack: str, render_here: Render) -> None:
    found = rejected(render_here, f"overlays=['{pack}']")
    assert (found.code, found.subject, found.value) == ("FT025", "overlays", pack)


def test_the_hundredth_overlay_costs_a_render_nothing_that_does_not_choose_it(
    write: Write, render_here: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    read_bytes = Path.read_bytes

    def counted(path: Path) -> bytes:
        opened.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    render_here()
    opened.clear()
    render_here()
    few = sorted(opened)
    for number in range(100):
        write(f"overlays/hardware/vendor-{number}/patch.yaml", runtime("x"))
    opened.clear()
    render_here()
    assert sorted(opened) == few


# --- what is added, and what is lost ---

JOB = "apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\n"


@pytest.mark.parametrize(
    ("text", "line", "headline", "guess"),
    [
        (
            f"{TEMPLATE}  spec:\n    containers:\n    - name: trian\n      image: x:1\n",
            7,
            "patches the container trian, which the job does not have",
            "did you mean train?",
        ),
        (
            f"{TEMPLATE}  spec:\n    initContainers:\n    - name: prepair\n      env: [{{name: A, value: b}}]\n",
            7,
            "patches the init container prepair, which the job does not have",
            "did you mean prepare?",
        ),
        (
            f"{TEMPLATE}  spec:\n    containers:\n    - name: proxy\n      image: x:1\n",
            7,
            "patches the container proxy, which the job does not have",
            "there is train;",
        ),
        (
            f"{TEMPLATE}  spec:\n    containers:\n    - name: trian\n      $patch: delete\n",
            7,
            "patches the container trian, which the job does not have",
            "did you mean train?",
        ),
        (
            f"{JOB}spec:\n  tasks:\n  - name: trains\n    replicas: 1\n",
            5,
            "patches the task trains, which the job does not have",
            "did you mean train?",
        ),
        (
            f"{JOB}spec:\n  tasks:\n  - name: train\n    template: {{spec: {{containers: [{{name: main}}]}}}}\n",
            6,
            "patches the container main, which the job does not have",
            "did you mean train?",
        ),
    ],
)
def test_a_program_that_is_not_there_is_refused(
    text: str, line: int, headline: str, guess: str, write: Write, render_here: Render
) -> None:
    file = write("overlays/storage/topolvm/patch.yaml", text)
    found = rejected(render_here)
    assert (found.code, found.locations[0].file, found.locations[0].line) == ("FT026", str(file), line)
    assert found.headline == f"the overlay storage/topolvm {headline}"
    assert found.help.startswith(guess)
    assert str(file.with_name("overlay.yaml")) in found.help


SIDECAR = f"{TEMPLATE}  spec:\n    containers:\n    - {{name: proxy, image: 'example.com/proxy:1'}}\n"
PROXY = "{name: proxy, image: 'example.com/proxy:1'}"


@pytest.mark.parametrize("declared", ["adds: [containers/proxy]\n", "adds: [containers]\n"])
def test_a_sidecar_is_declared(declared: str, write: Write, render_here: Render, pod: Pod) -> None:
    write("overlays/storage/topolvm/patch.yaml", SIDECAR)
    write("overlays/storage/topolvm/overlay.yaml", declared)
    assert [c["name"] for c in pod(render_here())["containers"]] == ["train", "proxy"]


def test_a_sidecar_is_added_by_an_operation(write: Write, render_here: Render, pod: Pod) -> None:
    operation = f"{{op: add, path: /spec/tasks/0/template/spec/containers/-, value: {PROXY}}}"
    write("overlays/storage/topolvm/patch.yaml", f"- {operation}\n")
    assert [c["name"] for c in pod(render_here())["containers"]] == ["train", "proxy"]


def test_what_one_overlay_added_another_one_patches(write: Write, render_here: Render, pod: Pod) -> None:
    write("overlays/storage/topolvm/patch.yaml", SIDECAR)
    write("overlays/storage/topolvm/overlay.yaml", "adds: [containers/proxy]\n")
    write(
        "overlays/delivery/argocd/env.yaml", f"{TEMPLATE}  spec:\n    containers:\n    - {{name: proxy, tty: true}}\n"
    )
    assert pod(render_here())["containers"][1]["tty"] is True


def test_what_a_container_or_pod_has_many_of_is_added_freely(write: Write, render_here: Render) -> None:
    mounts = "volumeMounts: [{name: own, mountPath: /own}], ports: [{containerPort: 80, protocol: TCP}]"
    write(
        "overlays/storage/topolvm/patch.yaml",
        f"{TEMPLATE}  spec:\n    volumes: [{{name: own, emptyDir: {{}}}}]\n    tolerations: [{{operator: Exists}}]\n"
        f"    containers: [{{name: train, env: [{{name: A, value: b}}], {mounts}}}]\n",
    )
    assert not {d.code for d in render_here().diagnostics} & {"FT026", "FT027"}


LOSSES = {
    "spec.policies": (
        f"{JOB}spec:\n  policies: [{{event: TaskCompleted, action: CompleteJob}}]\n",
        "Job.spec.policies",
        '{"event": "PodEvicted", "action": "RestartJob"}, {"event": "PodFailed", "action": "RestartJob"}',
    ),
    "args": (
        f"{TEMPLATE}  spec:\n    initContainers: [{{name: prepare, command: [/bin/bash, -x]}}]\n",
        "PodTemplate.template.spec.initContainers[name=prepare].command",
        "/opt/ftgen/prepare.sh",
    ),
    "plugins": (f"{JOB}spec: {{plugins: {{svc: []}}}}\n", "Job.spec.plugins.svc", "--publish-not-ready-addresses=true"),
    "replace": (
        "- {op: replace, path: /spec/policies, value: [{event: PodFailed, action: AbortJob}]}\n",
        "Job.spec.policies",
        '{"event": "PodEvicted", "action": "RestartJob"}, {"event": "PodFailed", "action": "RestartJob"}',
    ),
    "add over": (
        "- {op: add, path: /spec/policies, value: [{event: PodFailed, action: AbortJob}]}\n",
        "Job.spec.policies",
        '{"event": "PodEvicted", "action": "RestartJob"}, {"event": "PodFailed", "action": "RestartJob"}',
    ),
    "key": (
        "- {op: replace, path: /spec/tasks/0/template/spec/initContainers/0/command, value: [/bin/bash, -x]}\n",
        "Job.spec.tasks[name=train].template.spec.initContainers[name=prepare].command",
        "/opt/ftgen/prepare.sh",
    ),
}


@pytest.mark.parametrize("case", LOSSES)
def test_what_a_list_without_a_key_loses_is_told(case: str, write: Write, render_here: Render) -> None:
    text, path, lost = LOSSES[case]
    choices = () if case != "plugins" else ("hardware=full-gpu", "hardware.nodes=2", "storage=nfs")
    folder = "overlays/storage/nfs" if choices else "overlays/storage/topolvm"
    file = write(f"{folder}/patch.yaml", text)
    (told,) = [d for d in render_here(*choices).diagnostics if d.code == "FT027"]
    assert told.headline.startswith(
        f"the overlay {folder.removeprefix('overlays/')} replaces {path} as a whole and loses "
    )
    assert lost in told.headline
    assert told.locations[0].file == str(file)
    # Said to be meant, it is not told.
    write(f"{folder}/overlay.yaml", f"replaces: ['{path}']\n")
    assert not [d for d in render_here(*choices).diagnostics if d.code == "FT027"]


SAID = (
    "- {op: remove, path: /spec/policies}\n",
    "- {op: remove, path: /spec/policies/0}\n",
    "- {op: add, path: /spec/policies/-, value: {event: TaskCompleted, action: CompleteJob}}\n",
    "- {op: replace, path: /spec/policies/0/action, value: AbortJob}\n",
)


@pytest.mark.parametrize("operations", SAID)
def test_an_operation_that_says_what_it_does_loses_nothing(operations: str, write: Write, render_here: Render) -> None:
    write("overlays/storage/topolvm/patch.yaml", operations)
    assert not [d for d in render_here().diagnostics if d.code == "FT027"]


def test_a_list_that_keeps_what_was_there_is_no_loss(write: Write, render_here: Render) -> None:
    faults = "{exitCode: 1, action: TerminateJob}, {exitCode: 137, action: TerminateJob}"
    kept = "{event: PodEvicted, action: RestartJob}, {event: PodFailed, action: RestartJob}"
    policies = f"[{faults}, {kept}, {{event: TaskCompleted, action: CompleteJob}}]"
    write("overlays/storage/topolvm/patch.yaml", f"{JOB}spec: {{policies: {policies}}}\n")
    assert not [d for d in render_here().diagnostics if d.code == "FT027"]


def test_a_list_that_two_overlays_set_is_told_with_both_places(write: Write, render_here: Render) -> None:
    tolerations = "{}  spec:\n    tolerations: [{{key: {}, operator: Exists}}]\n"
    first = write("overlays/storage/topolvm/a.yaml", tolerations.format(TEMPLATE, "a"))
    last = write("overlays/delivery/argocd/b.yaml", tolerations.format(TEMPLATE, "b"))
    (told,) = [d for d in render_here().diagnostics if d.code in {"FT023", "FT027"}]
    assert told.code == "FT027"
    assert [place.file for place in told.locations] == [str(last), str(first)]


@pytest.mark.parametrize(
    "text", ["adds: containers/x\n", "adds: [1]\n", "", "1: [a]\n", "- a\n", "adds: [a]\nx: [b]\n"]
)
def test_a_declaration_of_another_shape(text: str, write: Write, render_here: Render) -> None:
    write("overlays/storage/topolvm/overlay.yaml", text)
    assert rejected(render_here).code == "FT020"


# --- what a patch is for ---

CLAIM = "apiVersion: v1\nkind: PersistentVolumeClaim\n"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"{JOB}metadata: {{name: other, labels: {{a: b}}}}\n", "Job other"),
        (f"{JOB}metadata: {{namespace: other, labels: {{a: b}}}}\n", "Job in namespace other"),
        (f"{CLAIM}metadata: {{namespace: other, labels: {{a: b}}}}\n", "PersistentVolumeClaim in namespace other"),
        ("apiVersion: v2\nkind: PodTemplate\ntemplate: {spec: {hostname: a}}\n", "PodTemplate"),
    ],
)
def test_a_patch_for_another_object_is_refused(text: str, what: str, write: Write, render_here: Render) -> None:
    write("overlays/storage/topolvm/patch.yaml", text)
    found = rejected(render_here)
    assert (found.code, found.headline) == (
        "FT022",
        f"the overlay storage/topolvm patches {what}, which this job does not have",
    )


@pytest.mark.parametrize("metadata", ["name: sft-qwen3-0-6b, ", "name: sft-qwen3-0-6b-0a1b2c3d, ", ""])
def test_a_job_is_named_by_its_run(metadata: str, write: Write, render_here: Render) -> None:
    write("overlays/storage/topolvm/patch.yaml", f"{JOB}metadata: {{{metadata}labels: {{a: b}}}}\n")
    assert render_here().bundle.job["metadata"]["labels"]["a"] == "b"


def test_no_operation_moves_the_job_alone(write: Write, render_here: Render) -> None:
    write("overlays/storage/topolvm/patch.yaml", "- {op: replace, path: /metadata/namespace, value: other}\n")
    found = rejected(render_here)
    assert (found.code, "set cluster.namespace" in found.headline) == ("FT021", True)


DELETIONS = {
    "volumes: [{name: nope, $patch: delete}]": "volumes[name=nope]",
    "containers: [{name: train, env: [{name: NOPE, $patch: delete}]}]": "containers[name=train].env[name=NOPE]",
    "hostNetwrk: null": "hostNetwrk",
    "securityContext: {fsGroup: null}": "securityContext.fsGroup",
}


@pytest.mark.parametrize("spec", DELETIONS)
def test_a_deletion_of_what_is_not_there_is_told(spec: str, write: Write, render_here: Render) -> None:
    file = write("overlays/storage/topolvm/patch.yaml", f"{TEMPLATE}  spec: {{{spec}}}\n")
    (told,) = [d for d in render_here().diagnostics if d.code == "FT028"]
    path = f"PodTemplate.template.spec.{DELETIONS[spec]}"
    assert told.headline == f"the overlay storage/topolvm deletes {path}, which is not there"
    assert (told.locations[0].file, told.locations[0].line) == (str(file), 5)


def test_a_deletion_of_what_is_there_is_not_told(write: Write, render_here: Render) -> None:
    mounts = "containers: [{name: train, volumeMounts: [{mountPath: /dev/shm, $patch: delete}]}]"
    gone = f"volumes: [{{name: dshm, $patch: delete}}], restartPolicy: null, {mounts}"
    write("overlays/storage/topolvm/patch.yaml", f"{TEMPLATE}  spec: {{{gone}}}\n")
    assert not [d for d in render_here().diagnostics if d.code == "FT028"]


@pytest.mark.parametrize("rest", ["$patch: delete\n", "metadata: {$patch: delete}\n", "metadata: {$patch: replace}\n"])
def test_no_patch_takes_away_what_comes_with_the_job(rest: str, write: Write, render_here: Render) -> None:
    file = write("overlays/storage/cephfs/patch.yaml", f"{CLAIM}{rest}")
    found = rejected(render_here, "storage=cephfs", "storage.models.create=true")
    assert (found.code, found.locations[0].file) == ("FT021", str(file))
    assert "it leaves no object of that name" in found.headline


def test_a_deletion_in_what_is_no_list_is_refused(write: Write, render_here: Render) -> None:
    operation = "[{op: replace, path: /spec/tasks/0/template/spec/volumes, value: 5}]\n"
    write(
        "overlays/storage/topolvm/patch.yaml",
        f"{operation}---\n{TEMPLATE}  spec: {{volumes: [{{name: a, $patch: delete}}]}}\n",
    )
    assert rejected(render_here).code == "FT021"
