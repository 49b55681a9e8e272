"""Composition of overrides and the files they select into one plain configuration with its provenance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from hydra._internal.defaults_list import DefaultsList
from hydra.core.override_parser.types import Override
from msgspec import Struct, field
from msgspec.structs import replace
from omegaconf import DictConfig, OmegaConf

from ftgen.config.compose import plugins
from ftgen.config.compose.defaults import ROOT, Defaults, branches, choices_made, rows
from ftgen.config.compose.entries import place_without_self
from ftgen.config.compose.grammar import Alternative, Parser, is_about_hydra, refuse_sweeps
from ftgen.config.compose.interpolation import resolve, variables_named
from ftgen.config.compose.merge import apply, configured, merge, misplaced_searchpaths, searchpaths_too_late
from ftgen.config.compose.node import run_section_problems
from ftgen.config.compose.pinned import Pinned, Pinner
from ftgen.config.compose.process import hydra_1_3
from ftgen.config.compose.request import Request
from ftgen.config.compose.section import RUN_SECTIONS, dotted_keys, pop_section
from ftgen.config.compose.show import Kind, as_yaml, hydra_node, part
from ftgen.config.compose.sources import Repository, read_scripts
from ftgen.config.pins import FILE, PinFile
from ftgen.config.pins import read as read_pins
from ftgen.config.trace import EnvironmentRead, Layer, OverrideTrace, Trace
from ftgen.diagnostics import Diagnostic, Rejected, error, note
from ftgen.text.files import displayed


class Composition(Struct, frozen=True):
    """Composed configuration and its provenance.

    Attributes:
        config: resolved configuration of plain dicts, lists and scalars, without the nodes `hydra` and `sweep`.
        hydra: content of the node `hydra` (sweeper parameters, mode), unresolved.
        sweep: content of the node `sweep`, unresolved; like `hydra` no part of any job.
        choices: chosen option by group, in the order of the defaults list.
        layers: configuration files in merge order.
        overrides: command-line overrides of values, by position.
        environment: what resolving read of the environment (`${oc.env:…}`).
        pinned: the pins that took the place of movable references, by key.
    """

    config: dict[str, Any]
    hydra: dict[str, Any]
    sweep: dict[str, Any]
    choices: dict[str, str]
    layers: tuple[Layer, ...]
    overrides: tuple[OverrideTrace, ...]
    environment: tuple[EnvironmentRead, ...] = ()
    pinned: Pinned = field(default_factory=dict)


class Composer:
    """Composer of configurations from one search path; reads each file once."""

    def __init__(self, request: Request) -> None:
        """Set the search path and the primary configuration from the request."""
        self.request = request
        self._repository = Repository(request.search_path())
        self._parser = Parser(self._repository)
        self._defaults = Defaults(self._repository, request.config_name)
        self._scripts: dict[tuple[str, ...], dict[str, str]] = {}
        self._known_layers: dict[tuple[str, str], Layer] = {}

    def groups(self) -> list[str]:
        """Return the configuration groups, sorted."""
        return self._repository.groups()

    def options(self, group: str) -> list[str]:
        """Return the options of a group, sorted."""
        return self._repository.options(group)

    def is_group(self, key: str) -> bool:
        """Return whether the key is a group, so that an override of it selects an option."""
        return self._repository.group_exists(key)

    def selects_option(self, override: Override) -> bool:
        """Return whether an override selects an option; a mapping sets values even under a group's name."""
        return self._defaults.selects_option(override)

    def parse(self, overrides: Sequence[str]) -> list[Override]:
        """Parse overrides by Hydra's grammar and report all syntax errors together."""
        return self._parser.parse(overrides)

    def cache_parsed(self, sweep: Override, alternatives: Iterable[Alternative]) -> None:
        """Cache one parsed override for each value of a sweep, so that none has to be parsed from text."""
        self._parser.cache_parsed(sweep, alternatives)

    def compose(self, overrides: Sequence[Override], *, skip_missing: bool = False) -> Composition:
        """Compose a configuration and resolve its interpolations.

        Args:
            overrides: parsed overrides, none of them a sweep.
            skip_missing: omit groups whose option is `???`, as Hydra does before it expands a sweep.

        Raises:
            Rejected: with every unknown group, option and key, or every missing value and broken interpolation.
        """
        return self.pinned(self.compose_with_unresolved(overrides, skip_missing=skip_missing)[0])

    @cached_property
    def pin_file(self) -> PinFile:
        """Return the pins of this composer: those of the request, else of the first file on the search path.

        Raises:
            Rejected: FT002 or FT783, that file cannot be read.
        """
        if self.request.pins is not None:
            return PinFile("", self.request.pins)
        folder = self._repository.folder_of(FILE)
        if folder is None:
            return PinFile()
        return read_pins(self._repository.text(FILE) or "", displayed(folder / FILE, self.request.directory))

    def pinned(self, composition: Composition) -> Composition:
        """Return a composition with commits and digests in place of the references that are pinned."""
        config, used = self._pinner.pinned(composition.config, composition.choices)
        return replace(composition, config=config, pinned=used) if used else composition

    @cached_property
    def _pinner(self) -> Pinner:
        return Pinner(self.pin_file.pins)

    def compose_with_unresolved(
        self, overrides: Sequence[Override], *, skip_missing: bool = False
    ) -> tuple[Composition, dict[str, Any]]:
        """Return the composition before its references are pinned, and its unresolved configuration."""
        config, defaults = self._unresolved(overrides, skip_missing=skip_missing)
        choices = choices_made(defaults)
        hydra, sweep = (pop_section(config, node) for node in RUN_SECTIONS)
        unresolved: dict[str, Any] = OmegaConf.to_container(config, resolve=False)  # type: ignore[assignment]
        resolved, reads = resolve(
            config,
            unresolved,
            lambda: {**unresolved, "hydra": self._hydra(hydra, overrides, choices)},
            partial(self._refused, defaults),
        )
        composition = Composition(
            config=resolved,
            hydra=hydra,
            sweep=sweep,
            choices=choices,
            layers=self._layers(defaults),
            overrides=tuple(_traces(overrides, defaults.config_overrides)),
            environment=reads,
        )
        return composition, unresolved

    def _refused(self, defaults: DefaultsList, reads: Sequence[EnvironmentRead]) -> list[Diagnostic]:
        """Return a problem for each variable that only recorded overrides name: what is rendered may be published."""
        typed = self.request.typed
        if typed is None or not reads:
            return []
        files = OmegaConf.to_container(configured(merge(defaults, self._repository)), resolve=False)
        named = variables_named(" ".join((str(files), *typed)))
        return [_of_environment(read) for read in dict.fromkeys(reads) if read.variable not in named]

    def run_sections(self, overrides: Sequence[Override]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the `hydra` and `sweep` nodes, unresolved, before a sweep is expanded.

        Apply only choices and overrides of these nodes: other keys may exist in a swept option only.
        """
        applicable = [
            o for o in overrides if self.is_group(o.key_or_group) or o.key_or_group.split(".")[0] in RUN_SECTIONS
        ]
        fixed = [o for o in applicable if not o.is_sweep_override()]
        try:
            config, _ = self._unresolved(fixed, skip_missing=True, only=RUN_SECTIONS)
        except Rejected:
            # Report a wrong choice together with wrong values of the same command line.
            self._unresolved([o for o in overrides if not o.is_sweep_override()], skip_missing=True)
            raise
        hydra, sweep = (pop_section(config, node) for node in RUN_SECTIONS)
        return hydra, sweep

    def hydra_notes(self, overrides: Sequence[Override], hydra: Mapping[str, Any]) -> list[Diagnostic]:
        """Return a note for each of Hydra's launchers, callbacks, loggers and settings that has no effect here.

        Another says that a primary configuration has no `_self_`, of which Hydra warns.

        Args:
            overrides: the command line; sweeps are passed over.
            hydra: content of the node `hydra`.
        """
        fixed = [override for override in overrides if not override.is_sweep_override()]
        defaults = self._traceable(fixed)
        texts = partial(self._texts, defaults, overrides)
        notes = [*plugins.notes(overrides, self._repository.hydras(defaults), hydra, texts)]
        name = self.request.config_name
        source = self._repository.source(name)
        if place := place_without_self(source.file(name), source.read(name)[0]):
            headline = f"the defaults list of {name} has no _self_: its own values win over those of the options"
            help_ = "end the list with - _self_ to say so, or begin it with - _self_ to let the options win"
            notes.append(note("FT009", headline, "defaults", help=help_).at(place))
        return notes

    def _texts(self, defaults: DefaultsList, overrides: Sequence[Override]) -> str:
        """Return the texts of a configuration that may refer to the node `hydra`: its files, and what is typed."""
        config = configured(merge(defaults, self._repository))
        pop_section(config, "hydra")
        typed = [text for text in (str(override.input_line) for override in overrides) if not is_about_hydra(text)]
        return " ".join((str(OmegaConf.to_container(config, resolve=False)), *typed))

    def sweeper(self, overrides: Sequence[Override]) -> str:
        """Return the sweeper that the command line chooses; by default `basic`, whose place ftgen takes.

        A sweeper is a plugin, whose code runs: only the user may choose one, and no file, which may come with a clone.

        Raises:
            Rejected: FT030, for each other sweeper that a file chooses and the command line does not.
        """
        fixed = [override for override in overrides if not override.is_sweep_override()]
        typed = [str(override.value()) for override in fixed if override.key_or_group == plugins.SWEEPER]
        if not typed and (refused := list(plugins.sweepers(self._repository.hydras(self._traceable(fixed))))):
            raise Rejected(refused)
        return typed[-1] if typed else "basic"

    def keys(self, overrides: Sequence[Override]) -> set[str]:
        """Return the dotted keys of a configuration, of sections and of values."""
        config, _ = self._unresolved(overrides)
        return set(dotted_keys(config))

    def text(self, name: str) -> str | None:
        """Return the text of a file on the search path, such as a Dockerfile; None if there is none.

        Raises:
            Rejected: FT002, if it cannot be read.
        """
        return self._repository.text(name)

    def scripts(self, *names: str, group: str = "trainer") -> dict[str, str]:
        """Return the texts of a group's scripts by file name, the first found on the search path.

        Raises:
            Rejected: for every missing script.
        """
        if (group, *names) not in self._scripts:
            self._scripts[group, *names] = read_scripts(names, group, self._repository)
        return self._scripts[group, *names]

    def show(self, overrides: Sequence[Override], package: str | None, *, resolved: bool, kind: Kind = "job") -> str:
        """Return the composed configuration as YAML, as Hydra's `--cfg` prints it.

        Args:
            overrides: parsed command-line overrides.
            package: dotted key of the part to print; None prints everything.
            resolved: whether to resolve interpolations.
            kind: the job's configuration, the node `hydra`, or both with the node `sweep`.
        """
        config, defaults = self._unresolved(overrides)
        choices = choices_made(defaults)
        run_sections = {node: pop_section(config, node) for node in RUN_SECTIONS}
        hydra = self._hydra(run_sections["hydra"], overrides, choices)
        unresolved: dict[str, Any] = OmegaConf.to_container(config, resolve=False)  # type: ignore[assignment]
        shown = part(config, hydra, run_sections["sweep"], kind)
        return as_yaml(shown, package, lambda: {**unresolved, "hydra": hydra}, resolved=resolved)

    def _hydra(
        self, configured: Mapping[str, Any], overrides: Sequence[Override], choices: Mapping[str, str]
    ) -> dict[str, Any]:
        return hydra_node(configured, overrides, choices, self.request.config_name)

    def trace(self, overrides: Sequence[Override]) -> Trace:
        """Return the provenance of values and choices: files in merge order, and overrides by position.

        Overrides that cannot be applied are traced too, so that a rejected command line can be explained.
        """
        defaults = self._traceable(overrides)
        choices = [o for o in overrides if self._defaults.selects_option(o)]
        values = [o for o in overrides if not self._defaults.selects_option(o)]
        return Trace(self._layers(defaults), tuple(_traces(overrides, values)), tuple(_traces(overrides, choices)))

    def tree(self, overrides: Sequence[Override]) -> list[str]:
        """Return the defaults tree as Hydra prints it, one line a node.

        Raises:
            Rejected: for every unknown group and option.
        """
        return [f"{ROOT}:", *branches(self._choices(overrides).defaults_tree, 1)]

    def defaults(self, overrides: Sequence[Override]) -> list[tuple[str, str, str, str]]:
        """Return the rows of Hydra's defaults list; see `rows`.

        Raises:
            Rejected: for every unknown group and option.
        """
        return list(rows(self._choices(overrides)))

    def _choices(self, overrides: Sequence[Override]) -> DefaultsList:
        if problems := list(self._defaults.unknown([o for o in overrides if not o.is_sweep_override()])):
            raise Rejected(problems)
        with hydra_1_3():
            return self._defaults.choose(overrides, skip_missing=False)

    def _traceable(self, overrides: Sequence[Override]) -> DefaultsList:
        unknown = {d.value for d in self._defaults.unknown(overrides)}
        with hydra_1_3():
            return self._defaults.choose([o for o in overrides if o.input_line not in unknown], skip_missing=True)

    def _unresolved(
        self, overrides: Sequence[Override], *, skip_missing: bool = False, only: Collection[str] = ()
    ) -> tuple[DictConfig, DefaultsList]:
        """Return the configuration with overrides applied, restricted to the top-level keys `only` if given."""
        refuse_sweeps(overrides, expands=self.request.expands)
        problems = [*self._defaults.unknown(overrides), *searchpaths_too_late(overrides)]
        known = [o for o in overrides if o.input_line not in {p.value for p in problems}]
        with hydra_1_3():
            defaults = self._defaults.choose(known, problems, skip_missing=skip_missing)
            merged = merge(defaults, self._repository)
            config = configured({key: merged[key] for key in merged if not only or key in only})
        problems += apply(defaults.config_overrides, config, overrides)
        problems += [*run_section_problems(config), *misplaced_searchpaths(defaults, self._repository)]
        if problems:
            raise Rejected(problems)
        return config, defaults

    def _layers(self, defaults: DefaultsList) -> tuple[Layer, ...]:
        chosen = ((default.config_path, default.package or "") for default in defaults.defaults)
        return tuple(self._layer(config_path, package) for config_path, package in chosen if config_path is not None)

    def _layer(self, config_path: str, package: str) -> Layer:
        """Return the file that provides a configuration; look for it once."""
        if (config_path, package) not in self._known_layers:
            path = self._repository.source(config_path).file(config_path)
            self._known_layers[config_path, package] = Layer(path, displayed(path, self.request.directory), package)
        return self._known_layers[config_path, package]


def _of_environment(read: EnvironmentRead) -> Diagnostic:
    headline = (
        f"{read.key} would hold what the environment variable {read.variable} holds here, and a file that records a "
        "command line must not choose which one is read"
    )
    help_ = f"if you trust the file, render its command line again, with {read.key} typed by yourself"
    return error("FT002", headline, read.key, help=help_)


def compose(request: Request) -> Composition:
    """Compose one configuration from a request; see `Composer`."""
    composer = Composer(request)
    return composer.compose(composer.parse(request.overrides))


def _traces(overrides: Sequence[Override], applied: Sequence[Override]) -> Iterator[OverrideTrace]:
    selected = {id(o) for o in applied}
    for position, override in enumerate(overrides, 1):
        if id(override) in selected:
            yield OverrideTrace(position, str(override.input_line), override.key_or_group)
