"""`ftgen image [OVERRIDES…] [image.ARGUMENT=VALUE…]`: the Dockerfile of a runtime image for what is chosen."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from ftgen import pipeline
from ftgen.cli import output, report, request, writing
from ftgen.cli.arguments import Arguments
from ftgen.config.compose import Composer
from ftgen.config.compose.grammar import refuse_sweeps
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.spec import LlamaFactory, Spec, admit
from ftgen.text import kube
from ftgen.trainers import image, recipe

_PREFIX = "image."


class _Made(Struct, frozen=True):
    """A recipe with its build arguments.

    Attributes:
        text: the Dockerfile.
        name: the image to build from it.
        packages: what it will hold of what trainers ask for; None: that is not known.
    """

    text: str
    name: str
    packages: tuple[str, ...] | None

    @property
    def words(self) -> list[str]:
        """Return the overrides by which a job takes the image."""
        held = () if self.packages is None else (f"hardware.packages=[{','.join(self.packages)}]",)
        return [f"hardware.image={self.name}", *held]


def run(arguments: Arguments) -> int:
    """Print the Dockerfile, or write it as `Dockerfile` below a folder."""
    with request.open_composer(arguments) as composer:
        made, diagnostics = _made(arguments, composer)
        noticed = output.apply_strict(request.add_locations(composer, arguments, diagnostics), arguments)
    flags = arguments.flags
    output.print_diagnostics(noticed, arguments, to_stderr=flags.out == "-" or flags.json)
    if flags.out != "-":
        writing.write({"Dockerfile": made.text.encode()}, arguments.out(), arguments)
    if flags.json:
        print(json.dumps(_plain(made, flags.out), indent=2, ensure_ascii=False))  # noqa: T201
    elif flags.out == "-":
        sys.stdout.write(made.text)
    output.print_status(f"build it with: {_build(made, flags.out)}", arguments)
    own = [word for word in arguments.overrides if not word.startswith(_PREFIX)]
    words = report.redacted_words(["ftgen", *own, *made.words], arguments.overrides)
    output.print_status(f"train with it: {shlex.join(words)}", arguments)
    return 0


def _made(arguments: Arguments, composer: Composer) -> tuple[_Made, list[Diagnostic]]:
    """Return the recipe and what is noticed of it.

    Raises:
        Rejected: FT550 to FT557 about build arguments and the base, FT761 to FT765 about packages and the name.
    """
    own = [o for o in arguments.overrides if not o.startswith(_PREFIX)]
    composition = composer.compose(composer.parse(own))
    spec = admit(composition.config)
    values = _values(arguments.overrides, composer)
    found = recipe.recipe(spec, composer.text)
    diagnostics = [*recipe.judge(found, values, spec), *_missing(composer, own, found.packages)]
    kind, version = _kind(spec, composition.choices)
    repository = arguments.flags.repository or f"{spec.cluster.registry}/ftgen"
    text, name = recipe.named(image.with_arguments(found.text, values), repository, kind, version)
    if not kube.is_image_reference(name):
        cure = "write it as --repository registry.example.com/team"
        diagnostics.append(error("FT765", f"no image can be called {name}", "", repository, cure))
    return _Made(text, name, found.packages), diagnostics


def _kind(spec: Spec, choices: Mapping[str, str]) -> tuple[str, str]:
    """Return the last part of the image's name, from trainer and vendor, and the release that its tag tells."""
    if isinstance(spec.trainer, LlamaFactory):
        return f"{spec.trainer.framework}-{spec.hardware.vendor}", spec.trainer.version
    return f"{choices.get('trainer', spec.trainer.framework)}-{spec.hardware.vendor}", ""


def _missing(composer: Composer, overrides: Sequence[str], packages: Sequence[str] | None) -> list[Diagnostic]:
    """Return a problem for each package that the configuration needs and the image will not hold.

    A release of the trainer that ftgen does not know is one, too: nobody can tell what it needs.
    """
    if packages is None:
        return []
    held = f"hardware.packages=[{','.join(packages)}]"
    try:
        pipeline.compile_job(composer, (*overrides, held))
    except Rejected as rejected:
        found = [d for d in rejected.diagnostics if d.code == "FT246" or d.subject == "trainer.version"]
        return [_not_installed(d) if d.code == "FT246" else d for d in found]
    return []


def _not_installed(problem: Diagnostic) -> Diagnostic:
    cure = "name its package in trainer.requirements, or leave it out"
    return error(problem.code, problem.headline, problem.subject, problem.value, cure)


def _build(made: _Made, out: str) -> str:
    file = Path(out if out != "-" else "") / "Dockerfile"
    return f"docker build -t {made.name} - < {shlex.quote(str(file))}"


def _plain(made: _Made, out: str) -> dict[str, Any]:
    found = image.arguments(made.text)
    return {
        "image": made.name,
        "base": found.get("BASE_IMAGE", ""),
        "packages": made.packages,
        "arguments": {name: value for name, value in found.items() if name not in recipe.WRITTEN},
        "overrides": made.words,
        "build": _build(made, out),
        "dockerfile": made.text,
    }


def _values(overrides: Sequence[str], composer: Composer) -> Mapping[str, str]:
    """Return the build arguments of the command line, parsed by Hydra's grammar.

    Raises:
        Rejected: FT016, for each that has several values.
    """
    parsed = composer.parse(overrides)
    refuse_sweeps(parsed, expands=composer.request.expands)
    arguments = [override for override in parsed if override.key_or_group.startswith(_PREFIX)]
    return {o.key_or_group.removeprefix(_PREFIX): "" if o.value() is None else str(o.value()) for o in arguments}
