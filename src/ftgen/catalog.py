"""The options there are, read from folders alone: no composition, so that help and completion are instant."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ftgen import project


def folders(config_dirs: Iterable[Path] = (), config_path: Path | None = None) -> list[Path]:
    """Where options are looked for, the first place first: the user's folders, then the packaged ones."""
    packaged = [config_path] if config_path else [Path("conf"), project.conf_dir()]
    return [folder for folder in [*config_dirs, *packaged] if folder.is_dir()]


def groups(places: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Group to option to description, sorted; the first place that has an option describes it."""
    found: dict[str, dict[str, str]] = {}
    for place in places:
        for folder in sorted(place.iterdir()):
            if folder.is_dir() and not folder.name.startswith((".", "_")):
                options = found.setdefault(folder.name, {})
                for file in folder.glob("*.yaml"):
                    options.setdefault(file.stem, description(file))
    return {group: dict(sorted(options.items())) for group, options in sorted(found.items()) if options}


def description(file: Path) -> str:
    """The first comment of a configuration file that is no header of Hydra's (`# @package`)."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            text = line.strip()
            if text.startswith("#") and not text.lstrip("# ").startswith("@"):
                return text.lstrip("# ")
            if text and not text.startswith("#"):
                break
    return ""
