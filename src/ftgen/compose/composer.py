"""Composing: overrides and the files they choose become one plain configuration that knows its origins."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.defaults_list import DefaultsList
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from ftgen.compose.defaults import Defaults, branches, choices_made
from ftgen.compose.grammar import Alternative, Parser, refuse_sweeps
from ftgen.compose.interpolation import environment, resolve
from ftgen.compose.merge import apply, configured, merge
from ftgen.compose.node import directives_problems
from ftgen.compose.process import hydra_1_3
from ftgen.compose.request import Request, displayed
from ftgen.compose.section import DIRECTIVES, keys, taken_out
from ftgen.compose.show import Kind, as_yaml, hydra_node, part
from ftgen.compose.sources import Repository, read_scripts
from ftgen.diagnostics import Rejected
from ftgen.trace import Layer, OverrideTrace, Trace


@dataclass(frozen=True, slots=True)
class Composition:
    """A composed configuration and where it came from.

    Attributes:
        config: resolved, plain dicts, lists and scalars; Hydra's own node is not in it.
        hydra: what the configuration says under `hydra` (sweeper parameters, mode), unresolved.
        sweep: what it says under `sweep`, unresolved; like `hydra` no part of any job.
        choices: the option chosen in each group, in the order of the defaults list.
        layers: the configuration files in merge order.
        overrides: the command-line overrides of values, by position.
        environment: keys whose value an environment variable gave (`${oc.env:…}`), each with its variables.
    """

    config: dict[str, Any]
    hydra: dict[str, Any]
    sweep: dict[str, Any]
    choices: dict[str, str]
    layers: tuple[Layer, ...]
    overrides: tuple[OverrideTrace, ...]
    environment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Composer:
    """Composes configurations from one search path; files are read once, however often it is asked."""

    def __init__(self, request: Request) -> None:
        """Look for configuration where the request says."""
        self.request = request
        self._repository = Repository(request.search_path())
        self._parser = Parser(self._repository)
        self._defaults = Defaults(self._repository, request.config_name)
        self._scripts: dict[tuple[str, ...], dict[str, str]] = {}

    def groups(self) -> list[str]:
        """The configuration groups, sorted."""
        return self._repository.groups()

    def options(self, group: str) -> list[str]:
        """The options of a group, sorted."""
        return self._repository.options(group)

    def is_group(self, key: str) -> bool:
        """Whether an override of this key chooses an option rather than setting a value."""
        return self._repository.group_exists(key)

    def chooses(self, override: Override) -> bool:
        """Whether an override chooses an option; one that gives a mapping sets values even under a group's name."""
        return self._defaults.chooses(override)

    def parse(self, overrides: Sequence[str]) -> list[Override]:
        """The overrides as Hydra's grammar understands them; all that do not parse are reported together."""
        return self._parser.parse(overrides)

    def remember(self, sweep: Override, alternatives: Iterable[Alternative]) -> None:
        """Know a sweep's overrides, one for each of its values, without reading the words of each."""
        self._parser.remember(sweep, alternatives)

    def compose(self, overrides: Sequence[Override], *, skip_missing: bool = False) -> Composition:
        """Compose and resolve.

        Args:
            overrides: parsed, none of them a sweep.
            skip_missing: leave groups whose option is `???` out, as Hydra does before it expands a sweep.

        Raises:
            Rejected: with every unknown group, option and key, or every missing value and broken interpolation.
        """
        return self.template(overrides, skip_missing=skip_missing)[0]

    def template(
        self, overrides: Sequence[Override], *, skip_missing: bool = False
    ) -> tuple[Composition, dict[str, Any]]:
        """What `compose` gives, and the same configuration with its interpolations as written."""
        config, defaults = self._unresolved(overrides, skip_missing=skip_missing)
        choices = choices_made(defaults)
        hydra, sweep = (taken_out(config, node) for node in DIRECTIVES)
        unresolved: dict[str, Any] = OmegaConf.to_container(config, resolve=False)  # type: ignore[assignment]
        composition = Composition(
            config=resolve(config, unresolved, choices),
            hydra=hydra,
            sweep=sweep,
            choices=choices,
            layers=self._layers(defaults),
            overrides=tuple(_traces(overrides, defaults.config_overrides)),
            environment=environment(unresolved),
        )
        return composition, unresolved

    def directives(self, overrides: Sequence[Override]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The `hydra` and `sweep` nodes before a sweep is expanded, unresolved.

        Only choices and what speaks of these nodes is applied: a value may be one that only a swept option knows.
        """
        chosen = [o for o in overrides if self.is_group(o.key_or_group) or o.key_or_group.split(".")[0] in DIRECTIVES]
        settled = [o for o in chosen if not o.is_sweep_override()]
        try:
            config, _ = self._unresolved(settled, skip_missing=True, only=DIRECTIVES)
        except Rejected:
            # A wrong choice is told together with the wrong values beside it.
            self._unresolved([o for o in overrides if not o.is_sweep_override()], skip_missing=True)
            raise
        hydra, sweep = (taken_out(config, node) for node in DIRECTIVES)
        return hydra, sweep

    def keys(self, overrides: Sequence[Override]) -> set[str]:
        """The keys that a configuration has, sections and values."""
        config, _ = self._unresolved(overrides)
        return set(keys(config))

    def text(self, name: str) -> str | None:
        """Return the text of a file that lies beside the options, such as a Dockerfile; None where there is none.

        Raises:
            Rejected: FT002, when it cannot be read.
        """
        return self._repository.text(name)

    def scripts(self, *names: str) -> dict[str, str]:
        """Texts of the trainer's scripts by file name, the first found on the search path.

        Raises:
            Rejected: for every script that is nowhere.
        """
        if names not in self._scripts:
            self._scripts[names] = read_scripts(names, self._repository)
        return self._scripts[names]

    def show(self, overrides: Sequence[Override], package: str | None, *, resolved: bool, kind: Kind = "job") -> str:
        """The composed configuration as YAML, as Hydra's `--cfg` prints it; `package` narrows it.

        Args:
            overrides: of the command line.
            package: a key; all of it where there is none.
            resolved: whether interpolations are resolved.
            kind: the job's configuration, what there is under `hydra`, or both with ftgen's own directives.
        """
        config, defaults = self._unresolved(overrides)
        choices = choices_made(defaults)
        directives = {node: taken_out(config, node) for node in DIRECTIVES}
        known = hydra_node(directives["hydra"], overrides, choices, self.request.config_name)
        return as_yaml(part(config, known, directives["sweep"], kind), package, choices, resolved=resolved)

    def trace(self, overrides: Sequence[Override]) -> Trace:
        """Where values and choices come from: files in merge order, and overrides by position.

        Total: overrides that cannot be applied are traced too, so that a rejected command line can be explained.
        """
        defaults = self._traceable(overrides)
        chosen = [o for o in overrides if self.is_group(o.key_or_group)]
        others = [o for o in overrides if not self.is_group(o.key_or_group)]
        return Trace(self._layers(defaults), tuple(_traces(overrides, others)), tuple(_traces(overrides, chosen)))

    def tree(self, overrides: Sequence[Override]) -> list[str]:
        """Hydra's tree of defaults, one line a node, indented by depth."""
        return list(branches(self._traceable(overrides).defaults_tree, 0))

    def _traceable(self, overrides: Sequence[Override]) -> DefaultsList:
        unknown = {d.value for d in self._defaults.unknown(overrides)}
        with hydra_1_3():
            return self._defaults.choose([o for o in overrides if o.input_line not in unknown], skip_missing=True)

    def _unresolved(
        self, overrides: Sequence[Override], *, skip_missing: bool = False, only: Collection[str] = ()
    ) -> tuple[DictConfig, DefaultsList]:
        """The configuration with overrides applied, or only some of its top keys."""
        refuse_sweeps(overrides)
        problems = list(self._defaults.unknown(overrides))
        sound = [o for o in overrides if o.input_line not in {p.value for p in problems}]
        with hydra_1_3():
            defaults = self._defaults.choose(sound, problems, skip_missing=skip_missing)
            merged = merge(defaults, self._repository)
            config = configured({key: merged[key] for key in merged if not only or key in only})
        problems += apply(defaults.config_overrides, config, overrides)
        problems += directives_problems(config)
        if problems:
            raise Rejected(problems)
        return config, defaults

    def _layers(self, defaults: DefaultsList) -> tuple[Layer, ...]:
        layers = []
        for default in defaults.defaults:
            if default.config_path is None:
                continue
            path = self._repository.source(default.config_path).file(default.config_path)
            layers.append(Layer(path, displayed(path, self.request.directory), default.package or ""))
        return tuple(layers)


def compose(request: Request) -> Composition:
    """Compose one configuration from a request; see `Composer`."""
    composer = Composer(request)
    return composer.compose(composer.parse(request.overrides))


def _traces(overrides: Sequence[Override], applied: Sequence[Override]) -> Iterator[OverrideTrace]:
    values = {id(o) for o in applied}
    for position, override in enumerate(overrides, 1):
        if id(override) in values:
            yield OverrideTrace(position, str(override.input_line), override.key_or_group)
