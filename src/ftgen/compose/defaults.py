"""The defaults list: which option of each group is chosen, and so which files are read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hydra._internal.defaults_list import DefaultsList, create_defaults_list
from hydra.core.default_element import DefaultsTreeNode
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ftgen.compose.entries import Entry
from ftgen.compose.grammar import is_hydras
from ftgen.compose.problems import broken_defaults, last_line, unknown_group, unknown_option
from ftgen.compose.section import DIRECTIVES
from ftgen.compose.sources import Repository
from ftgen.diagnostics import Diagnostic, Rejected, error

_NAMED = re.compile(r"'([^']+)'|Multiple values for (\S+)\.")
_LOST_OPTION = re.compile(r"In '(?P<asking>[^']+)': Could not find '(?P<option>[^']+)'")


class Defaults:
    """The defaults lists of one primary configuration; command lines that choose the same options share one."""

    def __init__(self, repository: Repository, config_name: str) -> None:
        """Choose among what the repository has, beginning with the file of this name."""
        self._repository = repository
        self._config_name = config_name
        self._known: dict[tuple[tuple[str, ...], bool], DefaultsList] = {}

    def chooses(self, override: Override) -> bool:
        """Whether an override chooses an option; one that gives a mapping sets values even under a group's name."""
        return self._repository.group_exists(override.key_or_group) and not isinstance(override.value(), dict)

    def choose(
        self, overrides: Sequence[Override], problems: Sequence[Diagnostic] = (), *, skip_missing: bool
    ) -> DefaultsList:
        """The defaults list with its overrides of values.

        Args:
            overrides: none with an option or group that is unknown.
            problems: found before, and told with what is refused here.
            skip_missing: leave groups whose option is `???` out.

        Raises:
            Rejected: where Hydra can make no list of what the files and the overrides choose.
        """
        # Launchers and loggers have nothing to do where files are written.
        heard = [o for o in overrides if not is_hydras(o)]
        # Values have no say in the defaults list, so that points which choose the same options share one.
        choosing = tuple(str(o.input_line) for o in heard if self.chooses(o)), skip_missing
        if choosing not in self._known:
            try:
                self._known[choosing] = create_defaults_list(
                    repo=self._repository,
                    config_name=self._config_name,
                    overrides_list=heard,
                    prepend_hydra=False,
                    skip_missing=skip_missing,
                )
            except Rejected as rejected:
                raise Rejected([*problems, *rejected.diagnostics]) from None
            except RecursionError:
                told = "a defaults list holds itself, in one file or through others"
                raise Rejected([*problems, error("FT011", told)]) from None
            except (HydraException, OmegaConfBaseException, ValueError, AssertionError) as failure:
                raise Rejected([*problems, self._broken(failure, overrides)]) from None
            if "???" not in self._known[choosing].overrides.known_choices.values():
                # Nothing was left out, so that it is the same list for who leaves nothing out.
                self._known[choosing[0], False] = self._known[choosing]
        values = [o for o in heard if not self.chooses(o) and not o.is_sweep_override()]
        return replace(self._known[choosing], config_overrides=values)

    def _broken(self, failure: Exception, overrides: Sequence[Override]) -> Diagnostic:
        """Hydra's refusal of a defaults list: an option that another one asks for, or an override."""
        told = last_line(failure)
        if lost := _LOST_OPTION.match(told):
            return self._lost(lost["asking"], lost["option"])
        found = broken_defaults(failure, overrides)
        if found.locations:
            return found
        named = [name for names in _NAMED.findall(told) for name in names if name]
        culprits = [e for e in self._repository.entries() if e.is_among(named)]
        if "Could not override" in told:
            culprits = [e for e in culprits if "override" in e.words]
            if culprits:
                return self._idle(culprits[-1])
        return found.at(*(culprit.at() for culprit in reversed(culprits[-2:])))

    def _lost(self, asking: str, lost: str) -> Diagnostic:
        """An entry that chooses an option which is nowhere, at the file that says it."""
        group, _, option = lost.rpartition("/")
        culprits = [e for e in self._repository.entries() if option in e.options and e.group.lstrip("/") == group]
        known = self._repository.options(group) if self._repository.group_exists(group) else []
        near = difflib.get_close_matches(option, known, 3, 0.5)
        help_ = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(known)}"
        help_ = help_ if known else self._no_group(group)
        asking = culprits[-1].config if culprits else asking
        told = f"{asking} chooses {option!r} of the group {group}, which has no such option"
        return error("FT011", told, group, option, help_).at(*(culprit.at() for culprit in culprits[-1:]))

    def _no_group(self, group: str) -> str:
        name = group.rpartition("/")[2]
        if self._repository.group_exists(name):
            return f"write /{name}: without / a group is looked for in the folder of the file"
        return f"there is no group {group}"

    def _idle(self, entry: Entry) -> Diagnostic:
        """An `override` of a group for which no defaults list has an entry."""
        told = f"{entry.config} overrides the group {entry.group}, for which no defaults list has an entry"
        name = entry.group.rpartition("/")[2]
        help_ = f"write - {entry.name}: {entry.options[0]} without override, which adds it"
        if "hydra" in entry.group.split("/"):
            help_ = "remove it: ftgen launches and logs nothing, and has none of Hydra's own groups"
        elif entry.relative and self._repository.group_exists(name):
            help_ = f"write override /{name}: without / a group is looked for in the folder of the file"
        return error("FT011", told, entry.group, entry.options[0], help_).at(entry.at())

    def unknown(self, overrides: Sequence[Override]) -> Iterator[Diagnostic]:
        """One problem for each override of a group, or choice of an option, that is nowhere."""
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
            chosen = value if isinstance(value, list) else [value]
            options = self._repository.options(group)
            for option in chosen:
                if _is_unknown(option, options) and not override.is_delete():
                    yield unknown_option(override, str(option), options, overrides)


def _is_unknown(option: Any, options: Sequence[str]) -> bool:
    """Whether a choice is of no option; one that is no choice at all, such as null, is Hydra's to refuse."""
    return option not in ("???", None) and str(option) not in options


def choices_made(defaults: DefaultsList) -> dict[str, str]:
    """Group to option in the order of the defaults list; Hydra learns them from its end."""
    known = reversed(defaults.overrides.known_choices.items())
    jobs = ((group, option) for group, option in known if group.split("/")[0].split("@")[0] not in DIRECTIVES)
    return {group: str(option) for group, option in jobs if option is not None}


def branches(node: DefaultsTreeNode, depth: int) -> Iterator[str]:
    """The lines of a tree of defaults, indented by depth."""
    element = node.node
    yield "  " * depth + (
        element.get_config_path()
        if hasattr(element, "get_config_path") and element.get_name() != "_self_"
        else "_self_"
    )
    for child in node.children or ():
        if isinstance(child, DefaultsTreeNode):
            yield from branches(child, depth + 1)
        else:
            yield "  " * (depth + 1) + ("_self_" if child.is_self() else child.get_config_path())
