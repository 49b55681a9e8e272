"""Every hardware with every storage on one node and on two: what renders, and why the rest is refused.

python -m tools.hardware_matrix          writes the tables of docs/hardware.md
python -m tools.hardware_matrix --check  exits 1 where they are not what it would write
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen import pipeline, runtime
from ftgen.config.compose import Composer, Composition, Request
from ftgen.diagnostics import Diagnostic, Rejected, Severity
from ftgen.pipeline import Compiled
from ftgen.spec import Resources, admit
from tools import options
from tools.options import GROUPS

DOCUMENT = Path(__file__).parents[1] / "docs" / "hardware.md"


class Outcome(Struct, frozen=True):
    """What became of a combination: a job and what was noticed, or why it was refused."""

    job: Compiled | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def reasons(self) -> list[Diagnostic]:
        """The errors that refused it."""
        return [d for d in self.diagnostics if d.severity is Severity.ERROR]

    @property
    def warnings(self) -> list[str]:
        """Codes of what the configuration is warned of; lint says the same of the manifest in other words."""
        return sorted({d.code for d in self.diagnostics if d.severity is Severity.WARNING and d.code.startswith("FT2")})


def combinations() -> Iterator[tuple[str, str, int]]:
    """All of them: hardware, storage, nodes."""
    for hardware in GROUPS["hardware"]:
        for storage in GROUPS["storage"]:
            for nodes in (1, 2):
                yield hardware, storage, nodes


@cache
def outcome(hardware: str, storage: str, nodes: int) -> Outcome:
    """Render one combination.

    Hardware and storage are composed once each and put together here: composition takes most of the time, and
    the two groups set different sections.
    """
    left, right = chosen("hardware", hardware), chosen("storage", storage)
    config: dict[str, Any] = copy.deepcopy({**left.config, "storage": right.config["storage"]})
    config["hardware"]["nodes"] = nodes
    choices = {**left.choices, "storage": storage}
    try:
        job = pipeline.compile_composition(replace(left, config=config, choices=choices), (), workspace())
    except Rejected as rejected:
        return Outcome(None, rejected.diagnostics)
    return Outcome(job, job.diagnostics)


@cache
def composer() -> Composer:
    """Composes from the packaged configuration alone."""
    return Composer(Request(config_path=runtime.conf_dir()))


@cache
def workspace() -> pipeline.Workspace:
    """Load the packaged overlays, schemas and scripts once."""
    return pipeline.Workspace(composer())


@cache
def chosen(group: str, option: str) -> Composition:
    """The composition of an option with what it needs, made once."""
    return composer().compose(composer().parse(options.chosen(group, option)))


# --- the tables ----------------------------------------------------------------------------------------


def tables() -> str:
    """The generated part of the document."""
    return f"{_options()}\n{_storages()}\n{_matrix()}"


def _options() -> str:
    rows = [
        "| hardware | for | counts | memory unit | cards of one pod | cards are shown by |",
        "|---|---|---|---|---|---|",
    ]
    for option, about in GROUPS["hardware"].items():
        hardware = admit(chosen("hardware", option).config).hardware
        resources = hardware.resources
        unit = resources.memory.unit if resources.memory else "whole"
        allowed = ", ".join(map(str, resources.allowed_counts)) or "any"
        shown = ", ".join(f"`{name}`" for name in hardware.visible.variables) or "not known"
        rows.append(f"| `{option}` | {about} | {_counts(resources)} | {unit} | {allowed} | {shown} |")
    return "\n".join(["### Hardware options", "", *rows, ""])


def _counts(resources: Resources) -> str:
    whole = f"`{resources.count or resources.device_class or 'processes'}`"
    if resources.share is None:
        return whole
    return f"{whole}, shares {f'`{resources.share.count}`' if resources.share.count else 'by memory alone'}"


def _storages() -> str:
    rows = [f"| `{option}` | {about} |" for option, about in GROUPS["storage"].items()]
    return "\n".join(["### Storage options", "", "| storage | for |", "|---|---|", *rows, ""])


def _matrix() -> str:
    told = {each: outcome(*each) for each in combinations()}
    usual = set.intersection(*(set(o.warnings) for o in told.values() if o.job))
    storages = list(GROUPS["storage"])
    head = [f"| hardware | {' | '.join(storages)} |", f"|---|{'---|' * len(storages)}"]
    cells = {(h, s): " · ".join(_cell(told[h, s, n], usual) for n in (1, 2)) for h, s, _ in told}
    rows = [f"| `{h}` | {' | '.join(cells[h, s] for s in storages)} |" for h in GROUPS["hardware"]]
    codes = sorted({d.code: d for o in told.values() for d in o.diagnostics if d.code in _shown(told, usual)}.items())
    meaning = [f"* {code}: {_example(found)}" for code, found in codes]
    return "\n".join(["### Every hardware with every storage", "", _LEGEND, "", *head, *rows, "", *meaning, ""])


_LEGEND = (
    "One node · two nodes. `ok`: renders; codes: renders with these warnings; `✗` and a code: refused, for this reason."
)


def _cell(result: Outcome, usual: set[str]) -> str:
    if result.job is None:
        return f"✗ {' '.join(sorted({d.code for d in result.reasons}))}"
    return " ".join(code for code in result.warnings if code not in usual) or "ok"


def _shown(told: dict[tuple[str, str, int], Outcome], usual: set[str]) -> set[str]:
    return {code for o in told.values() for code in [*o.warnings, *(d.code for d in o.reasons)]} - usual


def _example(found: Diagnostic) -> str:
    return f"for example, {found.headline} (`{found.subject}`)"


def document(text: str) -> str:
    """The document with its generated part written anew."""
    before, rest = text.split(_BEGIN, 1)
    return f"{before}{_BEGIN}\n\n{tables()}\n{_END}{rest.split(_END, 1)[1]}"


_BEGIN = "<!-- generated by `python -m tools.hardware_matrix`: -->"
_END = "<!-- end of the generated part -->"


def main(words: list[str]) -> int:
    """Write the document, or say whether it is out of date."""
    there = DOCUMENT.read_text(encoding="utf-8")
    fresh = document(there)
    if words == ["--check"]:
        if fresh != there:
            print("docs/hardware.md is not what its options say; run `python -m tools.hardware_matrix`")
        return int(fresh != there)
    DOCUMENT.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
