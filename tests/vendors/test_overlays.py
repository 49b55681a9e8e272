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
    write("overlays/storage/topolvm/bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: any}\ndata: {a: b}\n")
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
