"""Rule about the output folder that all runs of one configuration share."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from ftgen import lower
from ftgen.diagnostics import Severity
from ftgen.spec import LlamaFactory, Spec
from ftgen.trainers import llamafactory
from ftgen.validation import Context, Finding, rule
from ftgen.validation.rules import ROLLOUT
from ftgen.validation.rules.trainer.setting import is_within


@rule("FT261", "one-output-for-all-runs", Severity.WARNING, on=ROLLOUT)
def _shared(spec: Spec, context: Context) -> Iterator[Finding]:
    """Several runs write their results into one folder.

    A run works in a folder of its job's name, and a relative output lies in there. An absolute one on a volume that
    stays, or one that leaves that folder by `..`, is the same for every run: jobs of one sweep overwrite each other's
    checkpoints, a later job is refused by what an earlier one left. A sweep is refused, a single job warned of.

    Refused: `-m trainer.lr=1e-4,2e-4 trainer.args.output_dir=/mnt/workspace/out`.
    Write: `trainer.args.output_dir=out`, or `/mnt/workspace/$(JOB_NAME)/out`.
    """
    output = spec.trainer.output
    key = "trainer.args.output_dir" if isinstance(spec.trainer, LlamaFactory) else "trainer.output"
    kept = [v for v in (spec.storage.workspace, spec.storage.models) if not lower.is_temporary(spec, v)]
    run = posixpath.join(spec.storage.workspace.path, llamafactory.JOB_NAME)
    folder = posixpath.normpath(posixpath.join(run, output))
    is_kept = any(is_within(folder, volume.path) for volume in kept)
    if is_kept and "$(" not in folder and key not in context.swept:
        who = "all jobs of this sweep write" if context.swept else "every run writes"
        help_ = f"write {key}={posixpath.basename(folder) or 'output'}: each run has a folder of its own"
        yield Finding(f"{who} into {output}", key, output, help_, Severity.ERROR if context.swept else None)
