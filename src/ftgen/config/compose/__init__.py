"""Composition of the command line and the configuration groups into one plain dict.

The boundary to Hydra and OmegaConf.  Hydra's own functions build the defaults list and apply the
overrides, so grammar, packages and precedence are Hydra's; the additions of `hydra.main` (global state, output
folders, logging, its own configuration tree) are left out.  `yamlio` reads the configuration files, with
OmegaConf's interpretation of scalars.  The user's folders are searched before the packaged ones, so that an
option of the same name shadows ours.
"""

from ftgen.config.compose.composer import Composer, Composition, compose
from ftgen.config.compose.grammar import (
    Alternative,
    ListExtension,
    alternatives,
    hydra_literal,
    is_assignment,
    seeded_order,
)
from ftgen.config.compose.pinned import Moving, Pinned, moving_keys, pinned_document
from ftgen.config.compose.problems import similar_keys
from ftgen.config.compose.process import HYDRA_VERSION
from ftgen.config.compose.request import Request
from ftgen.config.compose.section import RUN_SECTIONS

__all__ = [
    "HYDRA_VERSION",
    "RUN_SECTIONS",
    "Alternative",
    "Composer",
    "Composition",
    "ListExtension",
    "Moving",
    "Pinned",
    "Request",
    "alternatives",
    "compose",
    "hydra_literal",
    "is_assignment",
    "moving_keys",
    "pinned_document",
    "seeded_order",
    "similar_keys",
]
