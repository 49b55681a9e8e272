"""Validation of a command's arguments, where those of its package's release are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ftgen.diagnostics import Diagnostic, Severity, error
from ftgen.lower.environment import device_ids
from ftgen.spec import Command, Spec
from ftgen.trainers import command
from ftgen.trainers.arguments import coerced
from ftgen.trainers.surface import Argument, releases
from ftgen.validation import Finding, rule
from ftgen.validation.arguments import UNKNOWN, problem_of, shown, suggestion
from ftgen.validation.rules import SPEC


def check_command_arguments(trainer: Command) -> list[Diagnostic]:
    """Return unknown names (FT201), wrong types (FT202) and refused values (FT203) of a command's arguments."""
    known = command.known_arguments(trainer)
    return [] if known is None else list(_problems(trainer, known))


def _problems(trainer: Command, known: Mapping[str, Argument]) -> Iterator[Diagnostic]:
    for name, value in trainer.args.items():
        argument, subject = known.get(name), f"trainer.args.{name}"
        if argument is None:
            headline, help_ = unknown_argument(name, f"{trainer.package} {command.release(trainer)}", known)
            yield error(UNKNOWN, headline, subject, "", help_)
        elif not command.refers(value) and (problem := problem_of(argument, value, subject)):
            yield problem


def unknown_argument(name: str, package: str, known: Iterable[str]) -> tuple[str, str]:
    """Return what there is to say of a name that is no argument of a package's release, and the help."""
    return f"{package} has no argument {shown(name)}", suggestion(name, known)


@rule("FT756", "unchecked-arguments", Severity.WARNING, on=SPEC)
def _unknown_release(spec: Spec) -> Iterator[Finding]:
    """A release of the trainer's package whose arguments are not known: a misspelt one is found by the pod.

    Refused: `trainer=yolo 'trainer.requirements=["ultralytics==8.0.0"]'`.
    Write: a release that is known, as `trainer=yolo` pins it; or `trainer.package=null` to have none checked.
    """
    trainer = spec.trainer
    if isinstance(trainer, Command) and trainer.package and command.known_arguments(trainer) is None:
        pinned = command.release(trainer)
        known = ", ".join(releases(trainer.package)) or "none"
        headline = f"the arguments of {trainer.package} {pinned or 'without a release'} are not known, nor checked"
        help_ = f"known releases: {known}; or trainer.package=null"
        yield Finding(headline, "trainer.requirements" if pinned else "trainer.package", trainer.package, help_)


@rule("FT044", "batch-of-several-cards", on=SPEC)
def _batch(spec: Spec) -> Iterator[Finding]:
    """A batch that Ultralytics cannot share out among the cards that it trains on.

    On several cards it finds no size by itself: `BaseTrainer.train` (ultralytics/engine/trainer.py) raises for a batch
    below 1. And each card gets an equal share, rounded down (`_build_train_pipeline`): of fewer images than there are
    cards none, for which torch raises.

    Refused: `trainer=yolo hardware.devices=2 trainer.args.batch=-1`, and `trainer.args.batch=1`.
    Write: `trainer.args.batch=16`, the images of a step over all cards; or `hardware.devices=1`.
    """
    trainer = spec.trainer
    if not isinstance(trainer, Command) or trainer.package != _ULTRALYTICS:
        return
    batch, cards = _value(trainer, "batch"), _cards(spec, trainer)
    if not isinstance(batch, (int, float)) or cards == 1 or batch >= cards:
        return
    headline = f"a batch of {batch} is less than an image for each of {cards} cards"
    if batch < 1:
        headline = f"the size of a batch is found on one card alone, and there are {cards}"
    help_ = f"write trainer.args.batch={8 * cards}, the images of a step over all cards"
    yield Finding(headline, "trainer.args.batch", str(batch), help_)


_ULTRALYTICS = "ultralytics"


def _value(trainer: Command, name: str) -> object:
    """Return the value of an argument in the type that the package wants, else its default; None if none is known."""
    argument, value = (command.known_arguments(trainer) or {}).get(name), trainer.args.get(name)
    return argument.default if argument and value is None else coerced(argument, value)


def _cards(spec: Spec, trainer: Command) -> int:
    """Return how many cards Ultralytics trains on: those that `device` names, else one (`BaseTrainer.__init__`)."""
    device = _value(trainer, "device")
    if isinstance(device, str):
        return device.replace("$(DEVICE_IDS)", device_ids(spec)).count(",") + 1
    return len(device) if isinstance(device, list) else 1
