"""Composition: command line and configuration groups become one plain dict.

The door to Hydra and OmegaConf.  Hydra's own functions build the defaults list and apply the overrides, so
grammar, packages and precedence are Hydra's; what `hydra.main` adds around them (global state, output
folders, logging, its own configuration tree) is left out.  Configuration files are read by `yamlio`, with
OmegaConf's reading of scalars, and searched for in the user's folders before the packaged ones, so that an
option of the same name shadows ours.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.defaults_list import DefaultsList, create_defaults_list
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import DefaultsTreeNode
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import ConfigCompositionException, HydraException, OverrideParseException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.version import VersionBase, setbase
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import OmegaConfBaseException

from ftgen import catalog, project, spec, yamlio
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, error
from ftgen.trace import Layer, OverrideTrace, Trace

Kind = Literal["job", "hydra", "all"]
"""Which part of a configuration is shown, as Hydra's `--cfg` has it."""

_HYDRA_1_3 = hydra.__version__.startswith("1.3.")


@dataclass(frozen=True, slots=True)
class Request:
    """What to compose: overrides in Hydra's grammar, and where to look for configuration.

    Attributes:
        overrides: as typed, without flags.
        config_dirs: searched first, so that their options shadow all others (`--config-dir`).
        config_path: replaces the packaged configuration (`--config-path`).
        config_name: the primary configuration file, without `.yaml`.
        directory: where the user's own `conf/` is looked for.
    """

    overrides: tuple[str, ...] = ()
    config_dirs: tuple[Path, ...] = ()
    config_path: Path | None = None
    config_name: str = "config"
    directory: Path = field(default_factory=Path)

    def search_path(self) -> list[Path]:
        """The folders to search, each once: the user's, the packaged, and last those of `hydra.searchpath`.

        As in Hydra, the searchpath is said in the primary file or, overruling that, on the command line.

        Raises:
            Rejected: for every folder that is asked for and is not there.
        """
        packaged = [self.config_path] if self.config_path else [self.directory / "conf", project.conf_dir()]
        nearer = [folder for folder in [*self.config_dirs, *packaged] if folder.is_dir()]
        further = {place: project.folder(place, self.directory) for place in self._further(nearer)}
        lost = [_no_folder(d) for d in self.config_dirs if not d.is_dir()]
        lost += [_no_folder(place).at(*self._typed()) for place, folder in further.items() if folder is None]
        if lost:
            raise Rejected(lost)
        unique: dict[str, Path] = {}
        for folder in [*nearer, *(f for f in further.values() if f)]:
            unique.setdefault(os.path.realpath(folder), folder)
        return list(unique.values())

    def _further(self, nearer: Sequence[Path]) -> list[str]:
        typed = self._typed()
        if not typed:
            return catalog.searchpath(nearer, self.config_name)
        try:
            said = OverridesParser.create().parse_override(self.overrides[typed[-1].line - 1]).value()
        except HydraException:
            return []  # told with the other overrides that cannot be read
        return [str(place) for place in said] if isinstance(said, list) else [str(said)]

    def _typed(self) -> list[Location]:
        said = (text.lstrip("+").startswith("hydra.searchpath=") for text in self.overrides)
        return [Location(COMMAND_LINE, position) for position, is_one in enumerate(said, 1) if is_one]


def _no_folder(place: object) -> Diagnostic:
    return error("FT002", f"the configuration folder {place} does not exist", value=place)


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
        self._repository = _Repository(request.search_path())
        self._parsed: dict[str, Override] = {}
        self._scripts: dict[tuple[str, ...], dict[str, str]] = {}
        self._defaults: dict[tuple[tuple[str, ...], bool], DefaultsList] = {}

    def groups(self) -> list[str]:
        """The configuration groups, sorted."""
        return self._repository.get_group_options("", ObjectType.GROUP)

    def options(self, group: str) -> list[str]:
        """The options of a group, sorted."""
        return self._repository.get_group_options(group, ObjectType.CONFIG)

    def is_group(self, key: str) -> bool:
        """Whether an override of this key chooses an option rather than setting a value."""
        return self._repository.group_exists(key)

    def chooses(self, override: Override) -> bool:
        """Whether an override chooses an option; one that gives a mapping sets values even under a group's name."""
        return self.is_group(override.key_or_group) and not isinstance(override.value(), dict)

    def parse(self, overrides: Sequence[str]) -> list[Override]:
        """The overrides as Hydra's grammar understands them; all that do not parse are reported together."""
        parsed, problems = [], []
        for position, text in enumerate(overrides, 1):
            try:
                parsed.append(self._parse(text))
            except HydraException as failure:
                place = Location(COMMAND_LINE, position)
                told = f"cannot read the override {text!r}: {_last_line(failure)}"
                help_ = "" if "=" in text else "an override is KEY=VALUE; `ftgen --help` lists the verbs"
                problems.append(error("FT010", told, value=text, help=help_).at(place))
        if problems:
            raise Rejected(problems)
        return parsed

    def _parse(self, text: str) -> Override:
        if text not in self._parsed:
            parsed = OverridesParser.create().parse_override(text)
            # The options that a glob() matches; of a loader, Hydra asks nothing else here.
            parsed.config_loader = self._repository  # type: ignore[assignment]
            self._parsed[text] = parsed
        return self._parsed[text]

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
        choices = _choices(defaults)
        hydra, sweep = (_taken_out(config, node) for node in _DIRECTIVES)
        unresolved: dict[str, Any] = OmegaConf.to_container(config, resolve=False)  # type: ignore[assignment]
        composition = Composition(
            config=resolve(config, unresolved, choices),
            hydra=hydra,
            sweep=sweep,
            choices=choices,
            layers=self._layers(defaults),
            overrides=tuple(_traces(overrides, defaults.config_overrides)),
            environment=_environment(unresolved),
        )
        return composition, unresolved

    def directives(self, overrides: Sequence[Override]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The `hydra` and `sweep` nodes before a sweep is expanded, unresolved.

        Only choices and what speaks of these nodes is applied: a value may be one that only a swept option knows.
        """
        chosen = [o for o in overrides if self.is_group(o.key_or_group) or o.key_or_group.split(".")[0] in _DIRECTIVES]
        settled = [o for o in chosen if not o.is_sweep_override()]
        try:
            config, _ = self._unresolved(settled, skip_missing=len(settled) < len(chosen), only=_DIRECTIVES)
        except Rejected:
            # A wrong choice is told together with the wrong values beside it.
            self._unresolved([o for o in overrides if not o.is_sweep_override()], skip_missing=True)
            raise
        hydra, sweep = (_taken_out(config, node) for node in _DIRECTIVES)
        return hydra, sweep

    def keys(self, overrides: Sequence[Override]) -> set[str]:
        """The keys that a configuration has, sections and values."""
        config, _ = self._unresolved(overrides)
        return set(_keys(config))

    def scripts(self, *names: str) -> dict[str, str]:
        """Texts of the trainer's scripts by file name, the first found on the search path.

        Raises:
            Rejected: for every script that is nowhere.
        """
        if names not in self._scripts:
            self._scripts[names] = self._read_scripts(names)
        return self._scripts[names]

    def _read_scripts(self, names: tuple[str, ...]) -> dict[str, str]:
        found = {name: self._repository.find(f"trainer/{name}") for name in names}
        lost = [
            error("FT015", f"there is no script conf/trainer/{n}", "trainer.script", n)
            for n, path in found.items()
            if not path
        ]
        if lost:
            raise Rejected(lost)
        return {name: _script(path) for name, path in found.items() if path}

    def show(self, overrides: Sequence[Override], package: str | None, *, resolved: bool, kind: Kind = "job") -> str:
        """The composed configuration as YAML, as Hydra's `--cfg` prints it; `package` narrows it.

        Args:
            overrides: of the command line.
            package: a key; all of it where there is none.
            resolved: whether interpolations are resolved.
            kind: the job's configuration, what there is under `hydra`, or both with ftgen's own directives.
        """
        config, defaults = self._unresolved(overrides)
        choices = _choices(defaults)
        directives = {node: _taken_out(config, node) for node in _DIRECTIVES}
        hydra_node = {"hydra": self._hydra(directives["hydra"], overrides, choices)}
        if kind != "job":
            below = OmegaConf.create(hydra_node)
            ours = {"sweep": directives["sweep"]} if directives["sweep"] else {}
            config = below if kind == "hydra" else cast(DictConfig, OmegaConf.unsafe_merge(below, config, ours))
        part = config if package in {None, "", "_global_"} else OmegaConf.select(config, package)
        if part is None:
            raise Rejected([error("FT012", f"there is no {package!r} in the configuration", str(package))])
        with _hydra_resolver(choices):
            if not OmegaConf.is_config(part):
                return f"{part}\n"
            try:
                return OmegaConf.to_yaml(part, resolve=resolved)
            except (OmegaConfBaseException, ValueError, RecursionError):
                raise Rejected(_broken_interpolations(config)) from None

    def _hydra(
        self, said: Mapping[str, Any], overrides: Sequence[Override], choices: Mapping[str, str]
    ) -> dict[str, Any]:
        """Hydra's own node as far as ftgen has one: what the configuration says, and what `${hydra:…}` knows.

        Folders, logging, launchers and the like are not in it, for ftgen has none.
        """
        typed = [override.input_line or "" for override in overrides]
        words = {
            "hydra": [t for t in typed if _is_about_hydra(t)],
            "task": [t for t in typed if not _is_about_hydra(t)],
        }
        runtime = {"version": hydra.__version__, "choices": dict(choices)}
        known: dict[str, Any] = {
            "mode": None,
            "searchpath": [],
            "sweeper": {"params": None},
            "overrides": words,
            "job": {"name": "ftgen", "config_name": self.request.config_name},
            "runtime": runtime,
        }
        merged: dict[str, Any] = OmegaConf.to_container(OmegaConf.unsafe_merge(known, dict(said)))  # type: ignore[assignment]
        return merged

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
        return list(_branches(self._traceable(overrides).defaults_tree, 0))

    def _traceable(self, overrides: Sequence[Override]) -> DefaultsList:
        unknown = {d.value for d in self._unknown_options(overrides)}
        with _hydra_1_3():
            return self._defaults_list([o for o in overrides if o.input_line not in unknown], [], skip_missing=True)

    def _unresolved(
        self, overrides: Sequence[Override], *, skip_missing: bool = False, only: Collection[str] = ()
    ) -> tuple[DictConfig, DefaultsList]:
        """The configuration with overrides applied, or only some of its top keys."""
        _refuse_sweeps(overrides)
        problems = list(self._unknown_options(overrides))
        sound = [o for o in overrides if o.input_line not in {p.value for p in problems}]
        with _hydra_1_3():
            defaults = self._defaults_list(sound, problems, skip_missing=skip_missing)
            merged = _merged(defaults, self._repository)
            config = _configured({key: merged[key] for key in merged if not only or key in only})
        problems += _apply(defaults.config_overrides, config, overrides)
        if problems:
            raise Rejected(problems)
        return config, defaults

    def _defaults_list(
        self, overrides: list[Override], problems: list[Diagnostic], *, skip_missing: bool
    ) -> DefaultsList:
        # Launchers and loggers have nothing to do where files are written.
        heard = [o for o in overrides if not _is_hydras(o)]
        # Values have no say in the defaults list, so that points which choose the same options share one.
        choosing = tuple(str(o.input_line) for o in heard if self.chooses(o)), skip_missing
        if choosing not in self._defaults:
            try:
                self._defaults[choosing] = create_defaults_list(
                    repo=self._repository,
                    config_name=self.request.config_name,
                    overrides_list=heard,
                    prepend_hydra=False,
                    skip_missing=skip_missing,
                )
            except RecursionError:
                told = "a defaults list holds itself, in one file or through others"
                raise Rejected([*problems, error("FT011", told)]) from None
            except (HydraException, OmegaConfBaseException, ValueError, AssertionError) as failure:
                raise Rejected([*problems, self._broken_defaults(failure, overrides)]) from None
        values = [o for o in heard if not self.chooses(o) and not o.is_sweep_override()]
        return replace(self._defaults[choosing], config_overrides=values)

    def _broken_defaults(self, failure: Exception, overrides: Sequence[Override]) -> Diagnostic:
        """Hydra's refusal of a defaults list: an option that another one asks for, or an override."""
        lost = _LOST_OPTION.match(_last_line(failure))
        if lost is None:
            return _broken_defaults(failure, overrides)
        group, _, option = lost["option"].rpartition("/")
        known = ", ".join(self.options(group)) if self.is_group(group) else ""
        told = f"{lost['asking']} chooses {option!r} of the group {group}, which has no such option"
        return error("FT011", told, group, option, f"choose one of {known}" if known else f"there is no group {group}")

    def _unknown_options(self, overrides: Sequence[Override]) -> Iterator[Diagnostic]:
        for override in overrides:
            group = override.key_or_group
            if not self.is_group(group):
                if _is_hydras(override):
                    continue
                if "/" in group or "@" in str(override.input_line).split("=", 1)[0]:
                    yield _unknown_group(override, self.groups(), overrides)
                continue
            value = override.value()
            chosen = value if isinstance(value, list) else [value]
            options = self.options(group)
            for option in chosen:
                if isinstance(option, str) and option != "???" and option not in options and not override.is_delete():
                    near = difflib.get_close_matches(option, options, 3, 0.5)
                    hint = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(options)}"
                    place = Location(COMMAND_LINE, _position(override, overrides))
                    yield error(
                        "FT011", f"the group {group} has no option {option!r}", group, override.input_line, hint
                    ).at(place)

    def _layers(self, defaults: DefaultsList) -> tuple[Layer, ...]:
        layers = []
        for default in defaults.defaults:
            if default.config_path is None:
                continue
            path = self._repository.source(default.config_path).file(default.config_path)
            layers.append(Layer(path, displayed(path, self.request.directory), default.package or ""))
        return tuple(layers)


def alternatives(override: Override, most: int) -> tuple[list[str], bool]:
    """A sweep's values in order, as Hydra's sweeper spells them, and whether Hydra would shuffle them.

    Args:
        override: a sweep.
        most: where to stop; a range may be without end for all practical purposes.

    Raises:
        Rejected: for an `interval()`, which only an optimiser can walk, and a range that never ends.
    """
    sweep: Any = override.value()
    shuffled = getattr(sweep, "shuffle", False)
    try:
        in_order = replace(override, _value=replace(sweep, shuffle=False)) if shuffled else override
        return list(islice(in_order.sweep_string_iterator(), most)), shuffled
    except (HydraException, ValueError, ArithmeticError) as failure:
        text, key = str(override.input_line), override.key_or_group
        if override.is_interval_sweep():
            hint = f"write {key}=range(…) or {key}=choice(…)"
            raise Rejected(
                [error("FT030", f"{text}: only an optimiser can walk an interval()", key, text, hint)]
            ) from None
        raise Rejected([error("FT030", f"{text} cannot be enumerated: {_last_line(failure)}", key, text)]) from None


def spelled(value: Any) -> str:
    """A plain value in the words of Hydra's grammar: text that would read as anything else is quoted."""
    return str(Override._get_value_element_as_str(_quotable(value)))  # noqa: SLF001 - Hydra's own spelling


def _quotable(value: Any) -> Any:
    if isinstance(value, str):
        return (
            value
            if _WORD.fullmatch(value) and value.lower() not in _READ_OTHERWISE
            else QuotedString(value, Quote.single)
        )
    if isinstance(value, list):
        return [_quotable(item) for item in value]
    if isinstance(value, dict):
        return {key: _quotable(item) for key, item in value.items()}
    return value


_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]*|\$\{[A-Za-z0-9_.]+\}")
_READ_OTHERWISE = frozenset({"null", "true", "false", "nan", "inf"})


def compose(request: Request) -> Composition:
    """Compose one configuration from a request; see `Composer`."""
    composer = Composer(request)
    return composer.compose(composer.parse(request.overrides))


def resolve(config: DictConfig, unresolved: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """Plain values with interpolations resolved.

    Raises:
        Rejected: with every value still missing (`???`) and every interpolation that does not resolve.
    """
    missing = [_missing(key) for key, value in _leaves(unresolved) if value == "???"]
    if not missing:
        try:
            return _Plain(unresolved).resolved()
        except _NotPlain:
            pass  # OmegaConf knows the whole language, at ten times the price
    with _hydra_resolver(choices):
        try:
            plain = OmegaConf.to_container(config, resolve=True)
        except (OmegaConfBaseException, ValueError, RecursionError) as failure:
            found = [*missing, *_broken_interpolations(config)]
            raise Rejected(found or [error("FT014", _last_line(failure))]) from None
    if missing:
        raise Rejected(missing)
    return plain  # type: ignore[return-value]


class _NotPlain(Exception):  # noqa: N818 - a question for OmegaConf, not a malfunction
    """An interpolation says more than which key to look up."""


class _Plain:
    """Interpolation of configurations that only refer to keys by their full names, equal to OmegaConf's."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self._open: set[str] = set()

    def resolved(self) -> dict[str, Any]:
        result: dict[str, Any] = self._value(self.root)
        return result

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._value(child) for key, child in value.items()}
        if isinstance(value, list):
            return [self._value(child) for child in value]
        return self._text(value) if isinstance(value, str) and ("$" in value or "\\" in value) else value

    def _text(self, text: str) -> Any:
        if "${" not in text:
            return text
        whole = _REFERENCE.fullmatch(text)
        if whole:
            return self._looked_up(whole[1])
        if "\\" in text or "${" in _REFERENCE.sub("", text):
            raise _NotPlain(text)
        return _REFERENCE.sub(lambda found: self._part(found[1]), text)

    def _part(self, key: str) -> str:
        value = self._looked_up(key)
        if isinstance(value, dict | list | float) or value is None:
            raise _NotPlain(key)
        return str(value)

    def _looked_up(self, key: str) -> Any:
        if key in self._open:
            raise _NotPlain(key)
        node: Any = self.root
        for name in key.split("."):
            if not isinstance(node, dict) or name not in node:
                raise _NotPlain(key)
            node = node[name]
        self._open.add(key)
        value = self._value(node)
        self._open.discard(key)
        return value


_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}")


class _Source(ConfigSource):
    """One folder of configuration files, read by `yamlio`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(provider="main", path=f"file://{folder}")
        self.folder = folder
        self._texts: dict[str, tuple[dict[str, Any], dict[str, str | None]]] = {}

    @staticmethod
    def scheme() -> str:
        return "file"

    def file(self, config_path: str) -> Path:
        return self.folder / (config_path if config_path.endswith(".yaml") else f"{config_path}.yaml")

    def load_config(self, config_path: str) -> ConfigResult:
        """What Hydra's defaults list asks of a file: its defaults, its header, and whether there is more."""
        content, header = self.read(config_path)
        asked = {key: value for key, value in content.items() if key == "defaults"}
        if len(content) > len(asked):
            asked["_content_"] = None
        return ConfigResult(provider="main", path=self.path, config=OmegaConf.create(asked), header=dict(header))

    def read(self, config_path: str) -> tuple[dict[str, Any], dict[str, str | None]]:
        """A file's plain content and its header, read once; not to be written to."""
        if config_path not in self._texts:
            self._texts[config_path] = self._read(self.file(config_path))
        return self._texts[config_path]

    def _read(self, path: Path) -> tuple[dict[str, Any], dict[str, str | None]]:
        value = yamlio.read(path)
        if not isinstance(value, dict | None):
            raise Rejected(
                [error("FT003", f"{path.name} must be a mapping of keys to values").at(Location(str(path), 1))]
            )
        with path.open(encoding="utf-8") as text:
            return value or {}, ConfigSource._get_header_dict(text.read(512))  # noqa: SLF001 - Hydra's own header rule

    def available(self) -> bool:
        return self.folder.is_dir()

    def is_group(self, config_path: str) -> bool:
        return (self.folder / config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        return self.file(config_path).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        wanted = ObjectType.GROUP if results_filter == ObjectType.GROUP else ObjectType.CONFIG
        return sorted(_list(self.folder / config_path, wanted))


def _list(folder: Path, wanted: ObjectType) -> Iterator[str]:
    for entry in folder.iterdir():
        if wanted == ObjectType.GROUP and entry.is_dir() and entry.name != "__pycache__":
            yield entry.name
        elif wanted == ObjectType.CONFIG and entry.suffix == ".yaml" and entry.is_file():
            yield entry.stem


class _Repository(ConfigRepository):
    """Hydra's view of our search path; the first folder that has a configuration wins."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = [_Source(folder) for folder in folders]
        self.sources = list(self._folders)
        self._loaded: dict[str, ConfigResult | None] = {}
        super().__init__(ConfigSearchPathImpl())

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """The sources are given; Hydra's search path is not consulted."""

    def load_config(self, config_path: str) -> ConfigResult | None:
        """What Hydra makes of a file, once; it copies what it changes."""
        if config_path not in self._loaded:
            self._loaded[config_path] = super().load_config(config_path)
        return self._loaded[config_path]

    def find(self, name: str) -> Path | None:
        """The first file of this name on the search path."""
        return next((path for s in self._folders if (path := s.folder / name).is_file()), None)

    def source(self, config_path: str) -> _Source:
        """The folder that a configuration comes from."""
        found = self._find_object_source(config_path, ObjectType.CONFIG)
        assert isinstance(found, _Source)  # noqa: S101 - the defaults list was built from these sources
        return found


# Nodes that say how to run, not what: no part of a job's configuration.
_DIRECTIVES = ("hydra", "sweep")


def _taken_out(config: DictConfig, node: str) -> dict[str, Any]:
    with open_dict(config):
        taken = config.pop(node, None)
    return OmegaConf.to_container(taken, resolve=False) if isinstance(taken, DictConfig) else {}  # type: ignore[return-value]


def _is_about_hydra(text: str) -> bool:
    """Whether an override is of Hydra's own node, as Hydra tells them apart."""
    return text.lstrip("~+").startswith(("hydra.", "hydra/"))


def _is_hydras(override: Override) -> bool:
    """Whether it chooses one of Hydra's own plugins."""
    return str(override.key_or_group).startswith("hydra/")


def _refuse_sweeps(overrides: Sequence[Override]) -> None:
    """Hydra's three ways out of a sweep that nobody asked to expand."""
    swept = [(position, o) for position, o in enumerate(overrides, 1) if o.is_sweep_override()]
    if swept:
        raise Rejected([_ambiguous(o).at(Location(COMMAND_LINE, position)) for position, o in swept])


def _ambiguous(override: Override) -> Diagnostic:
    text = str(override.input_line)
    key, _, value = text.partition("=")
    ways = (
        f"to sweep over it, add --multirun (-m); to use it as a list, write {key}=[{value}]; "
        f"to use it as text, quote it: {key}=\\'{value}\\'"
    )
    return error("FT016", f"{text} is a sweep, or an ambiguous value", override.key_or_group, text, ways)


def _choices(defaults: DefaultsList) -> dict[str, str]:
    """Group to option in the order of the defaults list; Hydra learns them from its end."""
    known = reversed(defaults.overrides.known_choices.items())
    jobs = ((group, option) for group, option in known if group.split("/")[0].split("@")[0] not in _DIRECTIVES)
    return {group: str(option) for group, option in jobs if option is not None}


def _script(path: Path) -> str:
    return _read_script(path.resolve(), path.stat().st_mtime_ns)


@cache
def _read_script(path: Path, _changed: int) -> str:
    return yamlio.read_text(path)


def _merged(defaults: DefaultsList, repository: _Repository) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for default in defaults.defaults:
        if default.config_path is None:
            continue
        content, header = repository.source(default.config_path).read(default.config_path)
        package = header["package"] if default.package is None else default.package
        merged = _overlaid(merged, _under(package or "", {k: v for k, v in content.items() if k != "defaults"}))
    return merged


def _configured(merged: dict[str, Any]) -> DictConfig:
    """OmegaConf's view of the merged files, closed to unknown keys where keys are known."""
    try:
        config = OmegaConf.create(merged)
    except OmegaConfBaseException as failure:
        raise Rejected([error("FT014", _last_line(failure), _key(failure))]) from None
    OmegaConf.set_struct(config, True)
    for directive in _DIRECTIVES:
        with open_dict(config):
            config.setdefault(directive, {})
        OmegaConf.set_struct(config[directive], False)
    for key in spec.free_mappings():
        node = OmegaConf.select(config, key, throw_on_resolution_failure=False, throw_on_missing=False)
        if isinstance(node, DictConfig):
            OmegaConf.set_struct(node, False)
    return config


def _under(package: str, content: dict[str, Any]) -> dict[str, Any]:
    for name in reversed(package.split(".") if package else []):
        content = {name: content}
    return content


def _overlaid(base: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """OmegaConf's merge of untyped mappings: mappings merge, all else replaces, `???` keeps what is there."""
    result = dict(base)
    for key, value in above.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            result[key] = _overlaid(below, value)
        elif not (value == "???" and key in result):
            result[key] = value
    return result


def _apply(applied: Sequence[Override], config: DictConfig, overrides: Sequence[Override]) -> Iterator[Diagnostic]:
    for override in applied:
        try:
            ConfigLoaderImpl._apply_overrides_to_config([_admissible(override, config)], config)  # noqa: SLF001
        except ConfigCompositionException as failure:
            place = Location(COMMAND_LINE, _position(override, overrides))
            yield _unknown_key(override, config, failure).at(place)
        except (OmegaConfBaseException, ValueError, TypeError) as failure:
            key, place = override.key_or_group, Location(COMMAND_LINE, _position(override, overrides))
            yield error("FT012", f"{key} cannot be set: {_last_line(failure)}", key, override.input_line).at(place)
        except RecursionError:
            key, place = override.key_or_group, Location(COMMAND_LINE, _position(override, overrides))
            yield error("FT010", f"the value of {key} is nested too deeply", key, override.input_line).at(place)


def _admissible(override: Override, config: DictConfig) -> Override:
    """A key that the specification knows may be set even where the chosen option left it out."""
    if override.is_delete() or override.is_add() or override.is_force_add():
        return override
    key = override.key_or_group
    parent, _, name = key.rpartition(".")
    section = OmegaConf.select(config, parent, throw_on_resolution_failure=False) if parent else config
    if isinstance(section, DictConfig) and name not in section and spec.knows(key):
        with open_dict(section):
            section[name] = None
    return override


def _unknown_key(override: Override, config: DictConfig, failure: Exception) -> Diagnostic:
    key = override.key_or_group
    cause = str(failure).strip().splitlines()[0]
    if cause.startswith("Error merging") and isinstance(_selected(config, key), ListConfig):
        return error(
            "FT012",
            f"{key} is a list, and a mapping cannot be merged into it",
            key,
            override.input_line,
            f"write {key}=[…]",
        )
    if "Could not override" not in cause:
        return error("FT012", cause, key, override.input_line)
    near = _trainer_arguments(key, config) or _near(key, sorted(set(_keys(config))))
    hint = f"did you mean {', '.join(near)}?" if near else f"to add a new key write +{override.input_line}"
    return error("FT012", f"there is no key {key!r}", key, override.input_line, hint)


def _near(key: str, known: Sequence[str]) -> list[str]:
    """Keys that look alike: by all of it, else by their last word."""
    last = {k: k.rpartition(".")[2] for k in known}
    alike = difflib.get_close_matches(key.rpartition(".")[2], [*last.values()], 1, 0.7)
    return (
        difflib.get_close_matches(key, known, 1, 0.85)
        or [k for k in known if last[k] in alike][:3]
        or difflib.get_close_matches(key, known, 3, 0.6)
    )


def _trainer_arguments(key: str, config: DictConfig) -> list[str]:
    """`trainer.args.X` for what is an argument of the trainer and was looked for elsewhere."""
    from ftgen.trainers.surface import surface, versions  # noqa: PLC0415 - for mistakes only

    version = str(_selected(config, "trainer.version"))
    names = surface(version).arguments if version in versions() else {}
    return [f"trainer.args.{name}" for name in difflib.get_close_matches(key.rpartition(".")[2], names, 1, 0.8)]


def _selected(config: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(config, key)
    except OmegaConfBaseException:
        return None


def _unknown_group(override: Override, groups: Sequence[str], overrides: Sequence[Override]) -> Diagnostic:
    group = override.key_or_group
    near = difflib.get_close_matches(group, groups, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"the groups are {', '.join(groups)}"
    place = Location(COMMAND_LINE, _position(override, overrides))
    return error("FT011", f"there is no group {group!r}", group, override.input_line, hint).at(place)


def _keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for name, value in config.items_ex(resolve=False):
        key = f"{prefix}{name!s}"
        yield key
        if _is_section(value):
            yield from _keys(value, f"{key}.")


def _is_section(value: Any) -> bool:
    """Whether it is a mapping with keys of its own, rather than null, missing or a reference to one."""
    special = isinstance(value, DictConfig) and (value._is_none() or value._is_missing() or value._is_interpolation())  # noqa: SLF001
    return isinstance(value, DictConfig) and not special


def _branches(node: DefaultsTreeNode, depth: int) -> Iterator[str]:
    element = node.node
    yield "  " * depth + (
        element.get_config_path()
        if hasattr(element, "get_config_path") and element.get_name() != "_self_"
        else "_self_"
    )
    for child in node.children or ():
        if isinstance(child, DefaultsTreeNode):
            yield from _branches(child, depth + 1)
        else:
            yield "  " * (depth + 1) + ("_self_" if child.is_self() else child.get_config_path())


def _traces(overrides: Sequence[Override], applied: Sequence[Override]) -> Iterator[OverrideTrace]:
    values = {id(o) for o in applied}
    for position, override in enumerate(overrides, 1):
        if id(override) in values:
            yield OverrideTrace(position, str(override.input_line), override.key_or_group)


def _position(override: Override, overrides: Sequence[Override]) -> int:
    return next((i for i, other in enumerate(overrides, 1) if other is override), 0)


def _missing(key: str) -> Diagnostic:
    return error("FT013", f"{key} has no value and no default", key, "???", f"add {key}=… to the command line")


def _broken_interpolations(config: DictConfig, prefix: str = "") -> Iterator[Diagnostic]:
    for name, value in config.items_ex(resolve=False):
        key = f"{prefix}{name!s}"
        if OmegaConf.is_interpolation(config, str(name)):
            try:
                config[name]
            except (OmegaConfBaseException, ValueError, RecursionError) as failure:
                text = str(config._get_node(name)._value())  # type: ignore[union-attr]  # noqa: SLF001 - unresolved
                yield _broken(key, text, _last_line(failure), config._get_root())  # type: ignore[arg-type]  # noqa: SLF001
        elif _is_section(value):
            yield from _broken_interpolations(value, f"{key}.")


_LOST_KEY = re.compile(r"Interpolation key '([^']+)' not found")


def _broken(key: str, text: str, why: str, root: DictConfig) -> Diagnostic:
    """An interpolation that leads nowhere, and what it may have meant."""
    unset = [name for name in _VARIABLE.findall(text) if name not in os.environ]
    if unset and "Environment variable" in why:
        close = difflib.get_close_matches(unset[0], os.environ, 1, 0.7)
        guess = f"did you mean {close[0]}? Else e" if close else "e"
        help_ = f"{guess}xport {unset[0]}, or give a default: ${{oc.env:{unset[0]},DEFAULT}}"
        return error("FT014", f"{key}: the environment variable {unset[0]} is not set", key, text, help_)
    lost = _LOST_KEY.search(why)
    close = difflib.get_close_matches(lost[1], sorted(_keys(root)), 1, 0.7) if lost else []
    help_ = f"did you mean ${{{close[0]}}}?" if close else "name a key that exists, or quote the text"
    return error("FT014", f"{key}: {why}", key, text, help_)


_VARIABLE = re.compile(r"\$\{\s*oc\.env\s*:\s*([^,{}\s]+)")


def _environment(unresolved: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    asked = {key: tuple(dict.fromkeys(_VARIABLE.findall(str(value)))) for key, value in _leaves(unresolved)}
    return {key: names for key, names in asked.items() if names}


def _leaves(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _key(failure: OmegaConfBaseException) -> str:
    return str(failure.full_key or "")


_LOST_OPTION = re.compile(r"In '(?P<asking>[^']+)': Could not find '(?P<option>[^']+)'")


def _last_line(failure: Exception) -> str:
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    told = [
        line for line in lines if not line.startswith(("full_key:", "object_type=", "See https:", "reference_type="))
    ]
    return (
        told[-1]
        if isinstance(failure, OverrideParseException) and told
        else (told[0] if told else type(failure).__name__)
    )


def _broken_defaults(failure: Exception, overrides: Sequence[Override]) -> Diagnostic:
    """Hydra's refusal of a defaults list, at the override it speaks of where there is one."""
    headline = _last_line(failure)
    for position, override in enumerate(overrides, 1):
        group = override.get_key_element().lstrip("+~")
        if f"'{group}'" in headline or (override.value() is None and "NoneType" in headline):
            if headline.startswith("Could not override"):
                told = f"the group {group} is not in the defaults list"
                return error("FT011", told, group, override.input_line, f"write +{override.input_line} to add it").at(
                    Location(COMMAND_LINE, position)
                )
            return error("FT011", headline, group, override.input_line).at(Location(COMMAND_LINE, position))
    return error("FT011", headline)


def displayed(path: Path, directory: Path) -> str:
    """The path as the user would type it from where they are; packaged files by their place in conf/."""
    try:
        return str(path.resolve().relative_to(directory.resolve()))
    except ValueError:
        return str(path)


@contextmanager
def _hydra_1_3() -> Iterator[None]:
    """Hydra's behaviour of version_base 1.3 while it composes, whatever another application in this process asked for.

    From 1.4 on there is no other behaviour.
    """
    base = VersionBase.instance()
    before = base.version_base
    if _HYDRA_1_3:
        setbase("1.3")
    try:
        yield
    finally:
        base.version_base = before


@contextmanager
def _hydra_resolver(choices: Mapping[str, str]) -> Iterator[None]:
    """`${hydra:runtime.choices.GROUP}` while resolving; the process-wide resolver is put back afterwards."""
    node = OmegaConf.create({"runtime": {"choices": dict(choices)}, "job": {"name": "ftgen"}})
    registered = BaseContainer._resolvers  # noqa: SLF001 - OmegaConf offers no scoped resolver
    before = registered.get("hydra")
    registered.pop("hydra", None)
    # OmegaConf 2.4 calls by this name what 2.3 calls by the other, and each warns of the one it left.
    register = OmegaConf.register_new_resolver if _HYDRA_1_3 else OmegaConf.register_resolver
    register("hydra", lambda path: OmegaConf.select(node, path, throw_on_missing=True))
    try:
        yield
    finally:
        registered.pop("hydra")
        if before is not None:
            registered["hydra"] = before
