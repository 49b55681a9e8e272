"""Command lines that a manifest or a study records, which may have come with a foreign clone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ftgen.config.compose import Composer
from ftgen.diagnostics import Diagnostic, Rejected, error
from ftgen.text import files

# Keys whose values are folders to read.
_FOLDERS = ("hydra.searchpath", "overlays")


def refuse_outside(composer: Composer, overrides: Sequence[str]) -> None:
    """Refuse a command line that names a folder outside of the working directory and of `--config-dir`.

    Raises:
        Rejected: FT002, for each such override.
    """
    naming_folders = [text for text in overrides if text.lstrip("+ ").startswith(_FOLDERS)]
    request = composer.request
    allowed = [files.resolved(folder) for folder in (request.directory, *request.config_dirs)]
    outside = [text for text in naming_folders if not all(_is_within(p, allowed) for p in _places(composer, text))]
    if outside:
        raise Rejected([_outside(text) for text in outside])


def _places(composer: Composer, text: str) -> list[str]:
    """Return the folders that an override names; for an interpolation, a path that lies nowhere allowed."""
    value = composer.parse([text])[0].value()
    return ["/"] if "$" in text else [str(place) for place in (value if isinstance(value, list) else [value])]


def _is_within(place: str, allowed: Sequence[Path]) -> bool:
    # A package is installed by the user; only its own top module is looked up, and nothing of it runs.
    if place.startswith("pkg://"):
        return ".." not in place.replace("/", ".").split(".")
    folder = files.resolved(allowed[0] / place.removeprefix("file://"))
    return any(folder.is_relative_to(each) for each in allowed)


def _outside(text: str) -> Diagnostic:
    headline = f"{text} names a folder outside of the working directory, and a manifest must not choose what is read"
    help_ = "name the folder by --config-dir, or compare the file alone, if you trust it: `ftgen rebuild FILE`"
    return error("FT002", headline, text.partition("=")[0].lstrip("+ "), text, help_)
