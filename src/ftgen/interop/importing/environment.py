"""Variables of a `docker run`: those of the container, keys of the configuration, and words of its command.

ftgen's scripts read variables of their own, which no container of the user's may set: what such a variable says of the
job becomes its key, and any other is given to the command alone, by `env`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from ftgen.diagnostics import Diagnostic, Severity, note, warning
from ftgen.interop.importing import cards
from ftgen.interop.importing.cards import Vendor
from ftgen.interop.importing.container import LEFT_OUT
from ftgen.interop.importing.flags import DockerRun, Option, unreadable
from ftgen.lower import SCRIPT_VARIABLES
from ftgen.text import kube
from ftgen.validation.rules import secrets

_OF_THE_POD: Mapping[str, str] = {
    **dict.fromkeys(("NODE_RANK", "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR"), "hardware.nodes"),
    "NPROC_PER_NODE": "hardware.devices",
}
"""Variables that the job, or the program it starts, gives each pod or process anew, with the key they follow."""
_FOR_THE_COMMAND = SCRIPT_VARIABLES.keys() | {"GIT_SSL_NO_VERIFY", "GIT_SSL_CAINFO"}
"""Variables that the container has already, for the scripts: the command alone can be given others."""
_SEVERAL = re.compile(r"[2-9]|[1-9][0-9]{1,4}")
_PORTS = range(1024, 65536)
_HUB, _HUB_BEFORE, _DATASETS = "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


class Environment(Struct, frozen=True):
    """What the variables of a command line become.

    Attributes:
        variables: variables of the container, with values or references to Secrets.
        values: values of the configuration by dotted key.
        words: variables of the command alone, as words of `env`.
        diagnostics: notes and warnings about variables that are left out or changed.
    """

    variables: dict[str, Any]
    values: dict[str, Any]
    words: list[str]
    diagnostics: list[Diagnostic]


def environment(run: DockerRun, vendors: list[Vendor]) -> Environment:
    """Convert the variables of a command line; of several with one name, docker takes the last.

    Raises:
        Rejected: FT543, if a name cannot be a variable's.
    """
    last = {option.value.partition("=")[0]: option for option in run.all("env")}
    found = Environment({}, {}, [], [])
    known: dict[str, str] = {}
    for name, option in last.items():
        if cards.selects_cards(name, vendors):
            headline = f"{name} is left out: the device plugin chooses the cards of a pod"
            found.diagnostics.append(note(LEFT_OUT, headline, "", name).at(option.word.at))
        elif name in _OF_THE_POD:
            found.diagnostics.append(_of_the_pod(option))
        elif names_secret(option):
            found.variables.update({} if name in SCRIPT_VARIABLES else {name: {"secret": _secret(name), "key": name}})
            found.diagnostics.append(_secret_reference(option))
        elif not is_unresolved(option):
            if not kube.is_env_name(name):
                raise unreadable(f"{name!r} cannot name a variable", option.word.at, name)
            known[name] = option.value.partition("=")[2]
    found.values.update(_shape(known))
    found.words.extend(f"{name}={value}" for name, value in _for_the_command(known, found.values))
    found.variables.update({name: value for name, value in known.items() if name not in _FOR_THE_COMMAND})
    if online := _online(known):
        found.variables.update(online)
        found.diagnostics.append(_may_download(run, online))
    return found


def is_unresolved(option: Option) -> bool:
    """Return whether only the caller's shell knows the value of an option."""
    return bool(option.word.unknown) or (option.name == "env" and "=" not in option.value)


def is_value_needless(option: Option, vendors: list[Vendor]) -> bool:
    """Return whether an option sets a variable whose value is not taken over, known or not."""
    name = option.value.partition("=")[0]
    is_left_out = name in _OF_THE_POD or cards.selects_cards(name, vendors)
    return option.name == "env" and (is_left_out or names_secret(option))


def _of_the_pod(option: Option) -> Diagnostic:
    name = option.value.partition("=")[0]
    headline = f"{name} is left out: the job gives each pod its own"
    return note(LEFT_OUT, headline, "", name, f"it follows {_OF_THE_POD[name]}").at(option.word.at)


def _shape(known: Mapping[str, str]) -> dict[str, int]:
    """Return the number of nodes and the port of the first one, where there are several."""
    nodes, port = known.get("NNODES", ""), known.get("MASTER_PORT", "")
    if not _SEVERAL.fullmatch(nodes):
        return {}
    is_port = re.fullmatch(r"[0-9]{4,5}", port) and int(port) in _PORTS
    return {"hardware.nodes": int(nodes), **({"network.master_port": int(port)} if is_port else {})}


def _for_the_command(known: Mapping[str, str], values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the variables that the container has for the scripts, but those that a key says or the job by default."""
    for name, value in known.items():
        is_said = SCRIPT_VARIABLES.get(name) in values or (name, value) == ("NNODES", "1")
        if name in _FOR_THE_COMMAND and not is_said:
            yield name, value


def cure(option: Option) -> str:
    """Return the help about a variable whose value only the caller's shell knows."""
    name = option.value.partition("=")[0]
    if name not in SCRIPT_VARIABLES:
        return f"write hardware.env.{name}=VALUE"
    return "set hardware.nodes" if name == "NNODES" else "write what it stands for"


# --- hubs ----------------------------------------------------------------------------------------------


def _online(known: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which the libraries of Hugging Face ask its hub as they would under docker.

    `train.sh` takes the hub away where nothing is said.  A library that is told nothing does as the hub's client is
    told (huggingface_hub's constants.py, datasets' config.py), and that one does as transformers is told.
    """
    said = known.get(_HUB) or known.get(_HUB_BEFORE) or "0"
    if said.upper() in _TRUE:
        return {}
    return {name: said for name in (_HUB, _HUB_BEFORE, _DATASETS) if not known.get(name)}


def _may_download(run: DockerRun, online: Mapping[str, str]) -> Diagnostic:
    listed = ", ".join(f"{name}={value}" for name, value in online.items())
    headline = f"{listed}: the command may ask model hubs, as under docker"
    cure = "remove them from hardware.env where pods reach no hub, or where all that it reads is on its volumes"
    return note(LEFT_OUT, headline, "hardware.env", "", cure).at(run.at)


# --- secrets -------------------------------------------------------------------------------------------


def names_secret(option: Option) -> bool:
    """Return whether an option sets a variable that holds a secret, by its name or its value."""
    name, equals, value = option.value.partition("=")
    text = value if equals and not option.word.unknown else "told-by-the-shell"
    return option.name == "env" and kube.is_env_name(name) and is_secret(name, text)


def is_secret(name: str, value: str) -> bool:
    """Return whether a variable holds a secret, by its name or its value."""
    findings = secrets.scan({"env": [{"name": name, "value": value}]})
    return any(finding.severity is Severity.ERROR for finding in findings)


def _secret(variable: str) -> str:
    return kube.slug(variable.replace("_", "-"), 63)


def _secret_reference(option: Option) -> Diagnostic:
    """Return the warning about a secret: the Secret of its name, which the user creates, holds it."""
    name = option.value.partition("=")[0]
    if name in SCRIPT_VARIABLES:
        headline = f"{name} is a secret and left out: the job's scripts have a variable of that name"
        cure = "have the command read another name, and write hardware.env.NAME={secret: NAME, key: KEY}"
    else:
        headline = f"{name} is a secret: its value is not taken over, and it is read from the Secret {_secret(name)}"
        create = f"kubectl create secret generic {_secret(name)} --from-literal={name}=…"
        cure = f"{create}, or name your own in hardware.env.{name}"
    return warning("FT561", headline, "", name, cure).at(option.word.at)
