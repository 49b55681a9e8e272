"""`--help`, `--version`: told from folders and constants alone."""

from __future__ import annotations

import sys

from ftgen import __version__, catalog
from ftgen.cli import groups
from ftgen.cli.arguments import RENDER, VERBS, Arguments, parser

_USAGE = """\
ftgen writes VolcanoJob manifests for fine-tuning, from configuration groups.

  ftgen [VERB] [OVERRIDES] [FLAGS]

  ftgen hardware=ascend trainer.lr=1e-4
  ftgen -m model=qwen3-0.6b,qwen3-8b trainer.lr=1e-4,2e-4
"""


def run(arguments: Arguments) -> int:
    """Print the version or the help."""
    if arguments.flags.version:
        print(f"ftgen {__version__}")  # noqa: T201
        return 0
    options = catalog.groups(catalog.folders(arguments.flags.config_dir, arguments.flags.config_path))
    verb = arguments.verb
    blocks = [_USAGE, _verbs()] if verb == RENDER else [f"ftgen {verb}: {VERBS[verb]}\n"]
    blocks.append(_flags(verb))
    if verb == RENDER:
        blocks.append("Choose with GROUP=OPTION; set values with KEY=VALUE (keys: ftgen --cfg job):\n\n" + groups.listing(options))
    sys.stdout.write("\n".join(blocks))
    return 0


def _verbs() -> str:
    width = max(map(len, VERBS))
    return "verbs\n" + "".join(f"  {verb.ljust(width)}  {told}\n" for verb, told in VERBS.items())


def _flags(verb: str) -> str:
    return parser(verb).format_help().split("\n\n", 1)[1]
