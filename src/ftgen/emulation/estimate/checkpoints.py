"""How many checkpoints a training leaves on its workspace, by the arithmetic of transformers' Trainer.

Nobody knows the rows of a data set before the job reads them, but `max_samples` bounds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, inf
from typing import Any

from ftgen.emulation.estimate.training import LEAST_CHECKPOINTS as LEAST
from ftgen.emulation.estimate.training import number
from ftgen.spec import Spec
from ftgen.trainers import llamafactory

_INTERVAL = 500
# Beyond these, sizes are refused by the rules that compare them, and floats would overflow.
_MOST_CHECKPOINTS = 2**31
_MOST_STEPS = 2**53


def most(spec: Spec, args: Mapping[str, Any]) -> int | None:
    """Return how many checkpoints lie there at once at most, and no fewer than two; None if nothing bounds them."""
    bounds = [bound for bound in (_limit(args), _saves(spec, args)) if bound is not None]
    return min(max(LEAST, min(bounds)), _MOST_CHECKPOINTS) if bounds else None


def _limit(args: Mapping[str, Any]) -> int | None:
    """Return what the user's limit comes to: the oldest goes after the newest is written (`_rotate_checkpoints`).

    Of a limit of one, the best stays beside the last.
    """
    limit = number(args, "save_total_limit", 0)
    if limit <= 0:
        return None
    return (max(limit, 2) if args.get("load_best_model_at_end") else limit) + 1


def _saves(spec: Spec, args: Mapping[str, Any]) -> int | None:
    """Return how many checkpoints are saved at most: with `best`, one at each evaluation."""
    strategy, interval = args.get("save_strategy", "steps"), args.get("save_steps", _INTERVAL)
    if strategy == "best":
        strategy = args.get("eval_strategy", "no")
        interval = args.get("eval_steps") or args.get("logging_steps", _INTERVAL)
    if strategy == "epoch":
        # How many epochs so many steps are depends on the rows: the fewer they are, the more.
        return _epochs(args) if number(args, "max_steps", -1) < 0 else None
    return _intervals(interval, _steps(spec, args)) if strategy == "steps" else 0


def _intervals(interval: Any, steps: int | None) -> int | None:
    """Return how many intervals end, the last with the training; one below 1 is a share of all steps."""
    if not isinstance(interval, (int, float)) or not 0 < interval < inf:
        return 1
    if interval < 1:
        return min(ceil(min(1 / interval, _MOST_STEPS)), _MOST_STEPS if steps is None else steps)
    return None if steps is None else ceil(steps / interval)


def _steps(spec: Spec, args: Mapping[str, Any]) -> int | None:
    """Return how many steps the training takes at most (`set_initial_training_values`); None if that is not known."""
    steps = number(args, "max_steps", -1)
    if steps >= 0:
        return min(max(steps, 1), _MOST_STEPS)
    rows, epochs = _rows(spec, args), args.get("num_train_epochs", 3.0)
    if rows is None or not isinstance(epochs, (int, float)) or not 0 <= epochs < inf:
        return None
    batch = max(number(args, "per_device_train_batch_size", 8), 1) * spec.world_size
    batches = -(-rows // batch)
    updates = -(-batches // max(number(args, "gradient_accumulation_steps", 1), 1))
    return ceil(min(min(epochs, _MOST_STEPS) * updates, _MOST_STEPS))


def _epochs(args: Mapping[str, Any]) -> int | None:
    epochs = args.get("num_train_epochs", 3.0)
    return ceil(min(epochs, _MOST_STEPS)) if isinstance(epochs, (int, float)) and 0 <= epochs < inf else None


def _rows(spec: Spec, args: Mapping[str, Any]) -> int | None:
    """Return how many rows an epoch has at most; None if that is not known.

    A document of pre-training counts as one row, though a long one fills several and short ones share one.  Tokenized
    data ignores `max_samples`, and interleaving by probabilities repeats rows until the last set ends.
    """
    sets = llamafactory.named(args.get("dataset"))
    bounds = [number(args, "max_samples", 0), _samples(spec, sets)]
    of_each = min((bound for bound in bounds if bound > 0), default=0)
    repeats = args.get("mix_strategy") == "interleave_over" and args.get("interleave_probs")
    if not of_each or repeats or args.get("streaming") or args.get("tokenized_path"):
        return None
    rows = min(of_each * max(1, len(sets)), llamafactory.MOST_ROWS)
    size = args.get("val_size", 0.0)
    return max(rows - (llamafactory.held_out(size, rows) if isinstance(size, (int, float)) else 0), 0)


def _samples(spec: Spec, sets: tuple[str, ...]) -> int:
    """Return how many rows the entry of the data set takes; 0 if it does not say, or other sets are read."""
    info = spec.dataset.info
    return (info.num_samples or 0) if info and sets == (spec.dataset.name,) else 0
