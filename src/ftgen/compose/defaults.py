"""The defaults list: which option of each group is chosen, and so which files are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hydra._internal.defaults_list import DefaultsList, create_defaults_list
from hydra.core.default_element import DefaultsTreeNode
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ftgen.compose.grammar import is_hydras
from ftgen.compose.problems import broken_defaults, last_line, unknown_group, unknown_option
from ftgen.compose.section import DIRECTIVES
from ftgen.compose.sources import Repository
from ftgen.diagnostics import Diagnostic, Rejected, error

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
            except RecursionError:
                told = "a defaults list holds itself, in one file or through others"
                raise Rejected([*problems, error("FT011", told)]) from None
            except (HydraException, OmegaConfBaseException, ValueError, AssertionError) as failure:
                raise Rejected([*problems, self._broken(failure, overrides)]) from None
        values = [o for o in heard if not self.chooses(o) and not o.is_sweep_override()]
        return replace(self._known[choosing], config_overrides=values)

    def _broken(self, failure: Exception, overrides: Sequence[Override]) -> Diagnostic:
        """Hydra's refusal of a defaults list: an option that another one asks for, or an override."""
        lost = _LOST_OPTION.match(last_line(failure))
        if lost is None:
            return broken_defaults(failure, overrides)
        group, _, option = lost["option"].rpartition("/")
        known = ", ".join(self._repository.options(group)) if self._repository.group_exists(group) else ""
        told = f"{lost['asking']} chooses {option!r} of the group {group}, which has no such option"
        return error("FT011", told, group, option, f"choose one of {known}" if known else f"there is no group {group}")

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
            chosen = value if isinstance(value, list) else [value]
            options = self._repository.options(group)
            for option in chosen:
                # Of a list Hydra takes names only; what is no text elsewhere sets values.
                named = isinstance(option, str) or isinstance(value, list)
                if named and option != "???" and option not in options and not override.is_delete():
                    yield unknown_option(override, str(option), options, overrides)


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
