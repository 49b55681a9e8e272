"""Rule over the image of a trainer that is a command: whether it holds what the command needs."""

from __future__ import annotations

from collections.abc import Iterator

from ftgen.diagnostics import Severity
from ftgen.spec import Command, Spec
from ftgen.trainers import image
from ftgen.trainers.command import LAUNCHER_REQUIREMENTS, LAUNCHER_SYSTEM_REQUIREMENTS, package_of
from ftgen.validation import Finding, rule
from ftgen.validation.rules import SPEC


@rule("FT759", "image-without-the-command", Severity.WARNING, on=SPEC)
def _image(spec: Spec) -> Iterator[Finding]:
    """An image that lacks the packages of the trainer's command, or of which nobody says that it holds them.

    The images of the hardware options are made for LLaMA-Factory, and hold neither an ssh server (trainer.launcher=mpi
    on several nodes) nor Ray.

    Refused: `trainer=yolo hardware.image=hiyouga/llamafactory:0.9.5`.
    Write: the image that `ftgen image trainer=yolo` proposes, with the `hardware.packages` that it prints.
    """
    trainer = spec.trainer
    if not isinstance(trainer, Command):
        return
    held = image.installed_packages(spec)
    launched = LAUNCHER_SYSTEM_REQUIREMENTS[trainer.launcher] if spec.hardware.has_master else ()
    asked = (*map(package_of, trainer.requirements), *LAUNCHER_REQUIREMENTS[trainer.launcher], *launched)
    wanted = dict.fromkeys(map(image.canonical, asked))
    missing = [name for name in wanted if held is None or name not in held]
    if missing:
        headline = f"{'nothing says that the image holds' if held is None else 'the image lacks'} {', '.join(missing)}"
        help_ = f"`ftgen image` with these choices writes one for {trainer.name}, and prints the words that name it"
        severity = None if held is None else Severity.ERROR
        yield Finding(headline, "hardware.image", spec.hardware.image, help_, severity)
