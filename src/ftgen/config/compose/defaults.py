"""The defaults list: the chosen option of each group, and so the files to read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hydra._internal.defaults_list import DefaultsList, create_defaults_list
from hydra.core.default_element import DefaultsTreeNode, GroupDefault, InputDefault
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ftgen.config.compose.entries import Entry
from ftgen.config.compose.grammar import is_hydras
from ftgen.config.compose.problems import broken_defaults, significant_line, unknown_group, unknown_option
from ftgen.config.compose.section import RUN_SECTIONS
from ftgen.config.compose.sources import Repository
from ftgen.diagnostics import Diagnostic, Rejected, error

_NAMED = re.compile(r"'([^']+)'|Multiple values for (\S+)\.")
_UNKNOWN_OPTION = re.compile(r"In '(?P<asking>[^']+)': Could not find '(?P<option>[^']+)'")


class Defaults:
    """Defaults lists of one primary configuration, cached by the options that a command line chooses."""

    def __init__(self, repository: Repository, config_name: str) -> None:
        """Start from the primary configuration of this name in the repository."""
        self._repository = repository
        self._config_name = config_name
        self._cache: dict[tuple[tuple[str, ...], bool], DefaultsList] = {}

    def selects_option(self, override: Override) -> bool:
        """Return whether an override selects an option; a mapping sets values even under a group's name."""
        return self._repository.group_exists(override.key_or_group) and not isinstance(override.value(), dict)

    def choose(
        self, overrides: Sequence[Override], problems: Sequence[Diagnostic] = (), *, skip_missing: bool
    ) -> DefaultsList:
        """Build the defaults list, with its overrides of values.

        Args:
            overrides: parsed overrides without unknown groups or options.
            problems: earlier problems, to report together with those found here.
            skip_missing: omit groups whose option is `???`.

        Raises:
            Rejected: if Hydra cannot build the list from the files and the overrides.
        """
        # ftgen only writes files: Hydra's launchers and loggers have no effect.
        effective = [o for o in overrides if not is_hydras(o)]
        # Values do not affect the defaults list, so points of a sweep that choose the same options share one.
        chosen = tuple(str(o.input_line) for o in effective if self.selects_option(o))
        # A list that could be built without skip_missing omits nothing, and is the same with it.
        cache_key = chosen, skip_missing and (chosen, False) not in self._cache
        if cache_key not in self._cache:
            self._repository.start()
            try:
                self._cache[cache_key] = create_defaults_list(
                    repo=self._repository,
                    config_name=self._config_name,
                    overrides_list=effective,
                    prepend_hydra=False,
                    skip_missing=skip_missing,
                )
            except Rejected as rejected:
                raise Rejected([*problems, *rejected.diagnostics]) from None
            except RecursionError:
                headline = "a defaults list holds itself, in one file or through others"
                raise Rejected([*problems, error("FT011", headline)]) from None
            except (HydraException, OmegaConfBaseException, ValueError, AssertionError) as failure:
                raise Rejected([*problems, self._broken(failure, overrides)]) from None
            if "???" not in self._cache[cache_key].overrides.known_choices.values():
                # Nothing was omitted, so the list is the same without skip_missing.
                self._cache[cache_key[0], False] = self._cache[cache_key]
        values = [o for o in effective if not self.selects_option(o) and not o.is_sweep_override()]
        return replace(self._cache[cache_key], config_overrides=values)

    def _broken(self, failure: Exception, overrides: Sequence[Override]) -> Diagnostic:
        """Translate Hydra's refusal of a defaults list, located at the entry or override that causes it."""
        headline = significant_line(failure)
        if unknown := _UNKNOWN_OPTION.match(headline):
            return self._unknown_option(unknown["asking"], unknown["option"])
        diagnostic = broken_defaults(failure, overrides)
        if diagnostic.locations:
            return diagnostic
        named = [name for names in _NAMED.findall(headline) for name in names if name]
        culprits = [e for e in self._repository.entries() if e.is_among(named)]
        if "Could not override" in headline:
            culprits = [e for e in culprits if "override" in e.words]
            if culprits:
                return self._useless_override(culprits[-1])
        return diagnostic.at(*(culprit.at() for culprit in reversed(culprits[-2:])))

    def _unknown_option(self, config: str, missing: str) -> Diagnostic:
        """Report an entry that chooses an unknown option, located at its file."""
        group, _, option = missing.rpartition("/")
        culprits = [e for e in self._repository.entries() if option in e.options and e.group.lstrip("/") == group]
        known = self._repository.options(group) if self._repository.group_exists(group) else []
        near = difflib.get_close_matches(option, known, 3, 0.5)
        help_ = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(known)}"
        help_ = help_ if known else self._group_hint(group)
        config = culprits[-1].config if culprits else config
        headline = f"{config} chooses {option!r} of the group {group}, which has no such option"
        return error("FT011", headline, group, option, help_).at(*(culprit.at() for culprit in culprits[-1:]))

    def _group_hint(self, group: str) -> str:
        name = group.rpartition("/")[2]
        if self._repository.group_exists(name):
            return f"write /{name}: without / a group is looked for in the folder of the file"
        return f"there is no group {group}"

    def _useless_override(self, entry: Entry) -> Diagnostic:
        """Report an `override` of a group for which no defaults list has an entry."""
        headline = f"{entry.config} overrides the group {entry.group}, for which no defaults list has an entry"
        name = entry.group.rpartition("/")[2]
        help_ = f"write - {entry.name}: {entry.options[0]} without override, which adds it"
        if "hydra" in entry.group.split("/"):
            help_ = "remove it: ftgen launches and logs nothing, and has none of Hydra's own groups"
        elif entry.relative and self._repository.group_exists(name):
            help_ = f"write override /{name}: without / a group is looked for in the folder of the file"
        return error("FT011", headline, entry.group, entry.options[0], help_).at(entry.at())

    def unknown(self, overrides: Sequence[Override]) -> Iterator[Diagnostic]:
        """Yield one problem for each override of an unknown group and each choice of an unknown option."""
        for override in overrides:
            group = override.key_or_group
            if not self._repository.group_exists(group):
                if is_hydras(override):
                    continue
                if "/" in group or "@" in str(override.input_line).split("=", 1)[0]:
                    yield unknown_group(override, self._repository.groups(), overrides)
                continue
            value = override.value()
            if isinstance(value, dict):
                continue  # sets values under the group's name
            # Hydra itself refuses a null that stands alone, and takes one in a list for a name.
            chosen = ["null" if each is None else each for each in value] if isinstance(value, list) else [value]
            options = self._repository.options(group)
            for option in chosen:
                if _is_unknown(option, options) and not override.is_delete():
                    yield unknown_option(override, str(option), options, overrides)


def _is_unknown(option: Any, options: Sequence[str]) -> bool:
    """Return whether a chosen option does not exist."""
    return option not in ("???", None) and str(option) not in options


def choices_made(defaults: DefaultsList) -> dict[str, str]:
    """Return the chosen option by group, in the order of the defaults list; Hydra records them in reverse."""
    in_order = reversed(defaults.overrides.known_choices.items())
    jobs = ((group, option) for group, option in in_order if group.split("/")[0].split("@")[0] not in RUN_SECTIONS)
    return {group: str(option) for group, option in jobs if option is not None}


def branches(node: DefaultsTreeNode | InputDefault, depth: int) -> Iterator[str]:
    """Yield the lines of a defaults tree as Hydra's `--info defaults-tree` prints them, indented by depth."""
    children = node.children or [] if isinstance(node, DefaultsTreeNode) else []
    element: InputDefault = node.node if isinstance(node, DefaultsTreeNode) else node
    yield "  " * depth + _label(element) + (":" if children else "")
    for child in children:
        yield from branches(child, depth + 1)


def _label(element: InputDefault) -> str:
    if not isinstance(element, GroupDefault):
        return str(element.get_config_path())
    return f"{element.get_override_key()}: {element.get_name() or 'null'}"


def rows(defaults: DefaultsList) -> Iterator[tuple[str, str, str, str]]:
    """Yield the configuration files in merge order: path, package, whether it is a `_self_`, and who asks for it."""
    for entry in defaults.defaults:
        yield entry.config_path or "", entry.package or "", str(bool(entry.is_self)), entry.parent or ROOT


ROOT = "<root>"
"""What Hydra calls the origin of the primary configuration."""
