"""The environment and the command of a container, as the kubelet makes them when it starts one.

Source: makeEnvironmentVariables (pkg/kubelet/kubelet_pods.go) of Kubernetes: `envFrom` comes first, then `env` in its
order; `$(NAME)` in a value is replaced by what was set before it, and stays as it is where nothing was; values that
come from elsewhere are not expanded.  Commands and arguments see all variables.  What only the cluster knows stands
in angle brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from math import ceil
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen.text import kube
from ftgen.text.shapes import amount, entries, mapping, text

ConfigMapData = Mapping[str, Mapping[str, Any]]
"""`data` of the ConfigMaps that are known, by name."""


class Value(Struct, frozen=True):
    """Value of an environment variable.

    Attributes:
        text: what the container sees; a part that only the cluster knows stands in angle brackets.
        source: where it comes from, such as `secret git/token` or `field metadata.name`; empty for a plain value.
        known: whether the text is exactly what the container sees.
    """

    text: str
    source: str = ""
    known: bool = True


class Environment(Struct):
    """Environment of a container.

    Attributes:
        values: values by name, in the order in which the kubelet sets them.
        imported: whether `envFrom` sets variables whose names are not known.
    """

    values: dict[str, Value] = field(default_factory=dict)
    imported: bool = False

    def expand(self, words: str) -> Value:
        """Return a command's word or a variable's text with the references to what is set.

        Of what is too long for any program, only the length is told: thirty variables that each name the one before
        twice would fill the memory.
        """
        if "$" not in words:
            return Value(words)
        named = kube.references(words)
        found = {name: self.values[name] for name in named if name in self.values}
        grown = (len(found[name].text) - len(f"$({name})") for name in named if name in found)
        if (size := len(words) + sum(grown)) > kube.LONGEST_WORD:
            return Value(too_long(size), known=False)
        is_known = all(value.known for value in found.values())
        if self.imported:
            is_known = is_known and all(name in found for name in named)
        return Value(kube.expand(words, {name: value.text for name, value in found.items()}), known=is_known)


def too_long(characters: int) -> str:
    """Return what stands for a text with which no program can be started."""
    return f"<{characters} characters, more than a program can be given>"


def environment(
    container: Mapping[str, Any],
    pod: Mapping[str, Any],
    config_maps: ConfigMapData,
    shown: Callable[[str, str], str] = lambda _, value: value,
) -> Environment:
    """Return the environment of a container of a pod, without what kubelet and image add of their own.

    Args:
        container: the container.
        pod: its pod.
        config_maps: the data of known ConfigMaps.
        shown: returns what stands for the value of a variable by its name, there and where others refer to it.
    """
    made = Environment()
    for _, source in entries(container.get("envFrom")):
        _import(made, source, config_maps, shown)
    for _, variable in entries(container.get("env")):
        name, written = text(variable.get("name")), text(variable.get("value"))
        value = made.expand(written) if written else _from_elsewhere(variable, container, pod, config_maps)
        if value is not None:
            made.values[name] = replace(value, text=shown(name, value.text))
    return made


def _import(
    made: Environment, source: Mapping[str, Any], config_maps: ConfigMapData, shown: Callable[[str, str], str]
) -> None:
    """Set the variables of a ConfigMap that is known; of a Secret, and of others, no name is known."""
    name = text(mapping(source.get("configMapRef")).get("name"))
    if name not in config_maps:
        made.imported = True
        return
    for key, value in config_maps[name].items():
        variable = f"{text(source.get('prefix'))}{key}"
        made.values[variable] = Value(shown(variable, text(value)), f"config map {name}")


def _from_elsewhere(
    variable: Mapping[str, Any], container: Mapping[str, Any], pod: Mapping[str, Any], config_maps: ConfigMapData
) -> Value | None:
    """Return a value that the manifest refers to; None where the variable is left out."""
    source = mapping(variable.get("valueFrom"))
    if isinstance(source.get("secretKeyRef"), dict):
        return _of_secret(source["secretKeyRef"])
    if isinstance(source.get("configMapKeyRef"), dict):
        return _of_config_map(source["configMapKeyRef"], config_maps)
    if isinstance(source.get("fieldRef"), dict):
        return _of_field(text(source["fieldRef"].get("fieldPath")), pod)
    if isinstance(source.get("resourceFieldRef"), dict):
        return _of_resource(source["resourceFieldRef"], container)
    return Value("")


def _of_secret(reference: Mapping[str, Any]) -> Value:
    source = f"secret {text(reference.get('name'))}/{text(reference.get('key'))}"
    return Value(f"<{source}>", source, known=False)


def _of_config_map(reference: Mapping[str, Any], config_maps: ConfigMapData) -> Value | None:
    name, key = text(reference.get("name")), text(reference.get("key"))
    source = f"config map {name}/{key}"
    if name not in config_maps:
        return Value(f"<{source}>", source, known=False)
    found = config_maps[name].get(key)
    if found is None and reference.get("optional") is True:
        return None
    return Value(f"<{source}>", source, known=False) if found is None else Value(text(found), source)


_ENTRY = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


def _of_field(path: str, pod: Mapping[str, Any]) -> Value:
    """Return a field of the pod.

    The kubelet and the scheduler fill in its addresses, its node and its uid, and device plugins annotations.
    """
    metadata, spec, source = mapping(pod.get("metadata")), mapping(pod.get("spec")), f"field {path}"
    if match := _ENTRY.fullmatch(path):
        found = mapping(metadata.get(match[1]))
        return Value(text(found[match[2]]), source) if match[2] in found else _known_or("", source)
    if path in {"metadata.name", "metadata.namespace"}:
        return _known_or(text(metadata.get(path.rpartition(".")[2])), source)
    if path == "spec.serviceAccountName":
        return _known_or(text(spec.get("serviceAccountName")), source)
    return _known_or(text(spec.get("nodeName")) if path == "spec.nodeName" else "", source)


def _known_or(value: str, source: str) -> Value:
    return Value(value, source) if value else Value(f"<{source}>", source, known=False)


def _of_resource(reference: Mapping[str, Any], container: Mapping[str, Any]) -> Value:
    """Return a container's own request or limit, rounded up to whole divisors; others depend on the node."""
    resource = text(reference.get("resource"))
    source = f"resource {resource}"
    kind, _, name = resource.partition(".")
    found = amount(mapping(mapping(container.get("resources")).get(kind)).get(name))
    divisor = amount(reference.get("divisor")) or Fraction(1)
    if found is None or text(reference.get("containerName")) not in {"", text(container.get("name"))} or divisor <= 0:
        return Value(f"<{source}>", source, known=False)
    return Value(str(ceil(found / divisor)), source)


def undefined_references(variables: list[tuple[int, dict[str, Any]]]) -> Iterator[tuple[int, str]]:
    """Yield the references of a container's variables to names that none before them sets: position in `env`, name."""
    values = [variable.get("value") for _, variable in variables]
    referring = [(place, value) for place, value in enumerate(values) if isinstance(value, str) and "$(" in value]
    if not referring:
        return
    names = [text(variable.get("name")) for _, variable in variables]
    first = {name: place for place, name in reversed([*enumerate(names)])}
    for place, value in referring:
        unset = (name for name in kube.references(value) if name and first.get(name, place) >= place)
        yield from ((variables[place][0], name) for name in unset)
