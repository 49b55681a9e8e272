"""Rules about the folders of a run's results: on which volume they lie, and whether other runs share them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from ftgen import lower
from ftgen.diagnostics import Severity
from ftgen.spec import LlamaFactory, Spec
from ftgen.text import kube
from ftgen.trainers import llamafactory
from ftgen.validation import Context, Finding, rule
from ftgen.validation.rules import ROLLOUT
from ftgen.validation.rules.trainer.setting import is_within


@rule("FT261", "one-output-for-all-runs", Severity.WARNING, on=ROLLOUT)
def _shared(spec: Spec, context: Context) -> Iterator[Finding]:
    """Several runs write their results into one folder.

    A run works in a folder of its job's name, and a relative output lies in there. An absolute one on a volume that
    stays, or one that leaves that folder by `..`, is the same for every run: jobs of one sweep overwrite each other's
    checkpoints and replace each other's merged models, a later training is refused by what an earlier one left.
    Kubernetes puts the job's name in place of `$(JOB_NAME)`, and of no other reference in a path. A sweep is refused, a
    single job warned of.

    Refused: `-m trainer.lr=1e-4,2e-4 trainer.args.output_dir=/mnt/workspace/out`.
    Write: `trainer.args.output_dir=out`, or `/mnt/workspace/$(JOB_NAME)/out`.
    """
    kept = [v for v in (spec.storage.workspace, spec.storage.models) if not lower.is_temporary(spec, v)]
    for key, output in _outputs(spec).items():
        folder = folder_of(spec, output)
        is_kept = any(is_within(folder, volume.path) for volume in kept)
        if is_kept and "JOB_NAME" not in kube.references(folder) and key not in context.swept:
            who = "all jobs of this sweep write" if context.swept else "every run writes"
            help_ = f"write {key}={posixpath.basename(folder) or 'output'}: each run has a folder of its own"
            yield Finding(f"{who} into {output}", key, output, help_, Severity.ERROR if context.swept else None)


@rule("FT041", "results-beyond-the-volumes", Severity.WARNING, on=ROLLOUT)
def _beyond(spec: Spec) -> Iterator[Finding]:
    """A folder of results that leaves the run's own by `..` and lies on no volume of the job.

    What is written there goes to the node's own disk, and is gone with the container. All that lies in the folder is
    pushed: with `..` the volumes below it, too. Of LLaMA-Factory's absolute one FT297 tells.

    Refused: `trainer.args.output_dir=../out` with a workspace that goes with the pod.
    Write: `trainer.args.output_dir=out`.
    """
    mounts = [spec.storage.workspace.path, spec.storage.models.path]
    for key, output in _outputs(spec).items():
        folder = folder_of(spec, output)
        if not output.startswith("/") and not any(is_within(folder, mount) for mount in mounts):
            name = posixpath.basename(folder) if output.strip("./") else "output"
            help_ = f"write {key}={name}: each run has a folder of its own"
            yield Finding(f"{output} is {folder}, on no volume of the job", key, output, help_)


def folder_of(spec: Spec, output: str) -> str:
    """Return the path of a folder that a run writes: a workspace that stays has a folder for each run."""
    workspace = spec.storage.workspace
    own = "" if lower.is_temporary(spec, workspace) else llamafactory.JOB_NAME
    return posixpath.normpath(posixpath.join(workspace.path, own, output))


def _outputs(spec: Spec) -> dict[str, str]:
    """Return the folders that a run writes, by the keys that name them."""
    trainer = spec.trainer
    if not isinstance(trainer, LlamaFactory):
        return {"trainer.output": trainer.output}
    merged = trainer.export.get("export_dir") if trainer.merge else None
    return {
        "trainer.args.output_dir": trainer.output,
        **({"trainer.export.export_dir": str(merged)} if merged else {}),
    }
