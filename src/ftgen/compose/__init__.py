"""Composition: command line and configuration groups become one plain dict.

The door to Hydra and OmegaConf.  Hydra's own functions build the defaults list and apply the overrides, so
grammar, packages and precedence are Hydra's; what `hydra.main` adds around them (global state, output
folders, logging, its own configuration tree) is left out.  Configuration files are read by `yamlio`, with
OmegaConf's reading of scalars, and searched for in the user's folders before the packaged ones, so that an
option of the same name shadows ours.
"""

from ftgen.compose.composer import Composer, Composition, compose
from ftgen.compose.grammar import Alternative, alternatives, spelled
from ftgen.compose.request import Request, displayed
from ftgen.compose.section import DIRECTIVES

__all__ = [
    "DIRECTIVES",
    "Alternative",
    "Composer",
    "Composition",
    "Request",
    "alternatives",
    "compose",
    "displayed",
    "spelled",
]
