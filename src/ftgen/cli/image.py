"""`ftgen image [OVERRIDES…] [image.ARGUMENT=VALUE…]`: the Dockerfile of the runtime image for the chosen hardware."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ftgen.cli import output, request, writing
from ftgen.cli.arguments import Arguments
from ftgen.config.compose import Composer
from ftgen.diagnostics import Rejected, error
from ftgen.spec import LlamaFactory, Spec, admit
from ftgen.trainers import image

_PREFIX = "image."


def run(arguments: Arguments) -> int:
    """Print the Dockerfile, or write it as `Dockerfile` below a folder."""
    with request.open_composer(arguments) as composer:
        spec = admit(
            composer.compose(composer.parse([o for o in arguments.overrides if not o.startswith(_PREFIX)])).config
        )
        recipe = _recipe(spec, composer)
        release = image.release(spec.trainer.version) if isinstance(spec.trainer, LlamaFactory) else None
        values = {
            **(image.release_arguments(recipe, release) if release else {}),
            **_values(arguments.overrides, composer),
        }
        diagnostics = image.validate(recipe, values, release)
    output.print_diagnostics(
        output.apply_strict(diagnostics, arguments), arguments, to_stderr=arguments.flags.out == "-"
    )
    text = image.with_arguments(recipe, values)
    if arguments.flags.out == "-":
        sys.stdout.write(text)
    else:
        writing.write({"Dockerfile": text.encode()}, Path(arguments.flags.out), arguments)
    output.print_status(f"build it with: docker build -t {spec.hardware.image} - < Dockerfile", arguments)
    return 0


def _recipe(spec: Spec, composer: Composer) -> str:
    """Return the vendor's Dockerfile, the first on the search path."""
    name = image.recipe(spec.hardware.vendor)
    text = composer.text(str(name))
    if text is not None:
        return text
    headline = f"there is no recipe for an image of {spec.hardware.vendor}"
    raise Rejected([error("FT557", headline, "hardware.vendor", spec.hardware.vendor, f"write conf/{name.as_posix()}")])


def _values(overrides: Sequence[str], composer: Composer) -> Mapping[str, str]:
    """Return the build arguments of the command line, parsed by Hydra's grammar."""
    parsed = composer.parse(overrides)
    arguments = [override for override in parsed if override.key_or_group.startswith(_PREFIX)]
    return {o.key_or_group.removeprefix(_PREFIX): "" if o.value() is None else str(o.value()) for o in arguments}
