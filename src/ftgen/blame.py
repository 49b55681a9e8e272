"""Provenance: which file and line, or which override, gave a configuration key its value.

Replays a composition over the positions in its files: the layers of the defaults list in merge order, then
the command line; the last that says something about a key wins.  Nothing is read before it is asked for, so
a composition that raises no question pays nothing.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from ftgen import yamlio
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected
from ftgen.trace import Layer, OverrideTrace

type _Path = tuple[str, ...]
