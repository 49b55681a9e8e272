"""Reading a `docker run` command line: the way vendors show that their solution works.

The command runs in ftgen's frame (`trainer=command`).  What Kubernetes, the device plugin or the runtime do
by themselves is left out, and what has no counterpart is told.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import takewhile
from typing import Any

from ftgen import kube
from ftgen.diagnostics import Diagnostic, Rejected, error, note
from ftgen.importing.manifest import binary
from ftgen.importing.proposal import Options, Proposal

_FLAGS = frozenset(
    {
        *("i", "t", "d", "rm", "privileged", "init", "interactive", "tty", "detach"),
        *("read-only", "no-healthcheck", "oom-kill-disable"),
    }
)
"""Options of `docker run` that take no value."""
_CARRIED = frozenset(
    {
        *("e", "env", "v", "volume", "mount", "w", "workdir", "u", "user", "m", "memory", "cpus", "gpus", "device"),
        *("shm-size", "net", "network", "entrypoint", "name", "runtime", "cap-add", "ipc"),
    }
)
"""Options that are taken over, or that a pod has no need of."""
_ALONE = frozenset("itd")
_BEFORE = r"^[ \t]*(?:sudo(?:[ \t]+-\S+)*[ \t]+|\w+=\S*[ \t]+)*"
_CALL = re.compile(rf"{_BEFORE}(docker|podman|nerdctl)\b", re.MULTILINE)
_RUN = re.compile(rf"{_BEFORE}((?:docker|podman|nerdctl)[ \t]+(?:container[ \t]+)?run)\b", re.MULTILINE)
_SHELLS = frozenset({";", "&", "&&", "|", "||", ">", ">>", ">&", "<", "<<"})
"""What ends a command for the shell."""
_NAME_LIMIT = 40


@dataclass(slots=True)
class _Vendor:
    """What the hardware options of one vendor say of how a container is shown its cards (`hardware.visible`)."""

    variables: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    driver: set[str] = field(default_factory=set)
    runtimes: set[str] = field(default_factory=set)


def _vendors(options: Options) -> dict[str, _Vendor]:
    found: dict[str, _Vendor] = {}
    for content in options("hardware").values():
        vendor, shown = found.setdefault(str(content.get("vendor")), _Vendor()), content.get("visible") or {}
        vendor.variables |= set(shown.get("variables") or ())
        vendor.files |= set(shown.get("files") or ())
        vendor.driver |= set(shown.get("driver") or ())
        vendor.runtimes |= {shown["runtime"]} if shown.get("runtime") else set()
    return found


@dataclass(slots=True)
class _Run:
    """A `docker run` taken apart."""

    image: str
    words: list[str]
    options: list[tuple[str, str]] = field(default_factory=list)
    vendors: dict[str, _Vendor] = field(default_factory=dict)

    def all(self, *names: str) -> list[str]:
        """The values of an option by any of its names, in order."""
        return [value for name, value in self.options if name in names]

    def last(self, *names: str) -> str:
        """The value that counts where an option is said more than once."""
        return (self.all(*names) or [""])[-1]

    def chooses(self, variable: str) -> str | None:
        """The vendor whose cards a variable picks."""
        return next((name for name, vendor in self.vendors.items() if variable in vendor.variables), None)

    def is_driver(self, path: str) -> bool:
        """Whether a host path is a vendor's driver, which its container runtime mounts."""
        known = (each for vendor in self.vendors.values() for each in vendor.driver)
        return any(path == each or path.startswith(f"{each}/") for each in known)


def command_line(words: Sequence[str], options: Options) -> tuple[Proposal, list[Any], list[Diagnostic]]:
    """A proposal for what the container does, the overlay for what has no key, and what was left out.

    Raises:
        Rejected: when it is no `docker run` with an image and a command.
    """
    run = _parsed(_continued(words), _vendors(options))
    command = [*shlex.split(run.last("entrypoint")), *run.words]
    if not command:
        raise Rejected(
            [
                error(
                    "FT543",
                    "the container's own command is not told",
                    value=run.image,
                    help="write the command after the image",
                )
            ]
        )
    vendor, devices = _cards(run)
    option, whole = _option(vendor, options)
    name = kube.slug(run.last("name") or run.image.rpartition("/")[2].partition(":")[0], _NAME_LIMIT)
    directory = run.last("w", "workdir")
    values: dict[str, Any] = {
        "name": name,
        "model.url": None,
        "dataset.url": None,
        "model.output_url": None,
        # What the command writes is its own business, as it was in docker.
        "allow.FT260": "as in docker run",
        "hardware.image": run.image,
        **({"hardware.devices": devices} if devices else {}),
        **whole,
        **_host(run, max(devices, 1)),
        **({"storage.shm": _size(run.last("shm-size"))} if run.last("shm-size") else {}),
        "trainer.command": ["env", f"--chdir={directory}", *command] if directory else command,
    }
    environment = dict(_environment(run))
    values |= {"hardware.env": environment} if environment else {}
    choices = {**({"hardware": option} if option else {}), "trainer": "command", "tracking": "none"}
    patch = _patch(run)
    return Proposal(name, "docker run", choices, values), [patch] if patch else [], list(_left_out(run, vendor, option))


def is_command(text: str) -> bool:
    """Whether a text is a shell's command line that calls docker, and no manifest whose script does."""
    return bool(_CALL.search(text)) and not re.search(r"^\s*[{\"']*apiVersion\b", text, re.MULTILINE)


def _continued(words: Sequence[str]) -> list[str]:
    """The words of a command line, whether the shell split them or they are one text around it.

    Only the first `docker run` of a text is read, to its end: a later line, or what the shell would do with its
    output, is no part of it.
    """
    if len(words) != 1:
        return list(words)
    found = _RUN.search(words[0])
    if found is None:
        raise Rejected([error("FT543", "this is no `docker run` command line", value=words[0][:60])])
    lines = words[0][found.start(1) :].replace("\\\n", " ").splitlines()
    for end in range(1, len(lines) + 1):
        try:
            return _own(_split("\n".join(lines[:end])))
        except ValueError:  # a quotation that ends on a later line
            continue
    raise Rejected([error("FT543", "the command line has a quotation without an end", value=lines[0][:60])])


def _own(words: Sequence[str]) -> list[str]:
    """The words up to what is for the shell; the 2 of `2>&1` is its as well."""
    own = list(takewhile(lambda word: word not in _SHELLS, words))
    redirected = len(own) < len(words) and words[len(own)][0] in "<>"
    return own[:-1] if redirected and own and own[-1] in {"1", "2"} else own


def _split(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";|&<>")
    lexer.whitespace_split, lexer.commenters = True, ""
    return list(lexer)


def _parsed(words: list[str], vendors: dict[str, _Vendor]) -> _Run:
    head = words[1:] if words[:1] == ["sudo"] else words
    if head[:1] not in (["docker"], ["podman"], ["nerdctl"]) or "run" not in head[1:3]:
        raise Rejected([error("FT543", "this is no `docker run` command line", value=" ".join(words)[:60])])
    rest, options = head[head.index("run") + 1 :], []
    while rest and rest[0].startswith("-") and rest[0] != "-":
        options += _option_of(rest)
    if rest[:1] == ["--"]:
        rest.pop(0)
    if not rest:
        raise Rejected([error("FT543", "the docker run has no image", value=" ".join(words)[:60])])
    return _Run(rest[0], rest[1:], options, vendors)


def _option_of(rest: list[str]) -> list[tuple[str, str]]:
    """The option at the head of the words, which are taken off; `-it` is two."""
    word = rest.pop(0)
    name, equals, value = word.removeprefix("--").partition("=") if word.startswith("--") else (word[1:2], "", word[2:])
    if not word.startswith("--") and set(word[1:]) <= _ALONE:
        return [(letter, "") for letter in word[1:]]
    if name in _FLAGS and not (equals and value != "true"):
        return [(name, "")]
    if equals or value:
        return [(name, value.removeprefix("=") if not word.startswith("--") else value)]
    if not rest:
        raise Rejected([error("FT543", f"docker run {word} lacks its value", value=word)])
    return [(name, rest.pop(0))]


# --- cards ---------------------------------------------------------------------------------------------


def _cards(run: _Run) -> tuple[str | None, int]:
    """The vendor of the cards and how many; 0 where all of a node are meant or none is told."""
    asked = [found for value in run.all("device") if (found := _card_of(value.partition(":")[0], run))]
    if asked:
        return asked[0][0], sum(numbered for _, numbered in asked)
    for name, value in _variables(run):
        if (vendor := run.chooses(name)) and re.fullmatch(r"\d+(,\d+)*", value):
            return vendor, value.count(",") + 1
    gpus = run.last("gpus").strip("\"'")
    if gpus:
        listed = re.fullmatch(r"device=(.+)", gpus)
        return "nvidia", len(listed[1].split(",")) if listed else int(gpus) if gpus.isdigit() else 0
    return next((name for name, vendor in run.vendors.items() if run.last("runtime") in vendor.runtimes), None), 0


def _card_of(path: str, run: _Run) -> tuple[str, bool] | None:
    """The vendor of a device file, and whether it is one numbered card's."""
    for name, vendor in run.vendors.items():
        for file in vendor.files:
            number = path.removeprefix(file)
            if path == file or (number != path and number.isdigit()):
                return name, path != file
    return None


def _option(vendor: str | None, options: Options) -> tuple[str | None, dict[str, Any]]:
    """The vendor's option that counts whole cards by the plainest name, and what makes its cards whole."""
    known = [
        (_shares(content), len(count), option)
        for option, content in options("hardware").items()
        if content.get("vendor") == vendor and (count := (content.get("resources") or {}).get("count"))
        if not (content.get("card") or {}).get("slice")
    ]
    if vendor is None or not known:
        return None, {}
    shared, _, option = min(known)
    return option, dict.fromkeys(("hardware.memory", "hardware.cores")) if shared else {}


def _shares(option: Mapping[str, Any]) -> bool:
    return bool(option.get("memory") or option.get("cores"))


# --- the container -------------------------------------------------------------------------------------


def _variables(run: _Run) -> Iterator[tuple[str, str]]:
    for text in run.all("e", "env"):
        name, _, value = text.partition("=")
        yield name, value


def _environment(run: _Run) -> Iterator[tuple[str, str]]:
    told = [text.partition("=") for text in run.all("e", "env")]
    yield from ((name, value) for name, equals, value in told if equals and not run.chooses(name))


def _host(run: _Run, cards: int) -> dict[str, str]:
    """Host memory and processors, by card; Docker gives limits only, so the same is requested."""
    found: dict[str, str] = {}
    memory, cpus = run.last("m", "memory"), run.last("cpus")
    if memory:
        found |= dict.fromkeys(_bounds("memory"), binary(kube.parse_quantity(_size(memory)) / cards))
    if cpus:
        milli = Fraction(cpus) * 1000 / cards
        found |= dict.fromkeys(_bounds("cpu"), kube.canonical_quantity(f"{int(milli)}m"))
    return found


def _bounds(name: str) -> tuple[str, str]:
    return f"hardware.per_card.{name}.request", f"hardware.per_card.{name}.limit"


def _size(text: str) -> str:
    """Docker's sizes (`16g`, `512m`, bytes) as a quantity."""
    match = re.fullmatch(r"(\d+)([bkmg]?)b?", text.strip().lower())
    if match is None:
        raise Rejected(
            [error("FT543", f"{text!r} is no size that docker knows", value=text, help="write one such as 16g")]
        )
    return f"{match[1]}{ {'k': 'Ki', 'm': 'Mi', 'g': 'Gi'}.get(match[2], '') }"


def _patch(run: _Run) -> dict[str, Any] | None:
    """What has no key: mounts, users, capabilities and the node's network, as a patch of the pod."""
    mounts = [mount for mount in _mounts(run) if not (run.is_driver(mount[0]) or _callers(mount[0]))]
    container: dict[str, Any] = {"name": "train"}
    if context := dict(_security(run)):
        container["securityContext"] = context
    if mounts:
        container["volumeMounts"] = [_mounted(i, path, read_only) for i, (_, path, read_only) in enumerate(mounts)]
    pod: dict[str, Any] = {"volumes": [_volume(i, source) for i, (source, _, _) in enumerate(mounts)]} if mounts else {}
    if run.last("net", "network") == "host":
        pod |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    if len(container) > 1:
        pod["containers"] = [container]
    head = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "docker-run"}}
    return {**head, "template": {"spec": pod}} if pod else None


def _mounts(run: _Run) -> Iterator[tuple[str, str, bool]]:
    """Source, path in the container, and whether it is read-only."""
    for text in run.all("v", "volume"):
        source, *rest = text.split(":")
        path, mode = (rest[0], rest[1] if len(rest) > 1 else "") if rest else (source, "")
        yield source, path, "ro" in mode.split(",")
    for text in run.all("mount"):
        said = dict(part.partition("=")[::2] for part in text.split(","))
        source, path = (
            said.get("source") or said.get("src", ""),
            said.get("target") or said.get("dst") or said.get("destination", ""),
        )
        if path and source:
            yield source, path, "readonly" in said or "ro" in said


def _callers(source: str) -> bool:
    """Whether only the caller's shell knows which folder is meant."""
    return source.startswith((".", "~")) or "$" in source or "`" in source


def _volume(index: int, source: str) -> dict[str, Any]:
    if source.startswith("/"):
        return {"name": f"host-{index}", "hostPath": {"path": source}}
    return {"name": f"host-{index}", "persistentVolumeClaim": {"claimName": kube.slug(source, 63)}}


def _mounted(index: int, path: str, read_only: bool) -> dict[str, Any]:
    return {"name": f"host-{index}", "mountPath": path, **({"readOnly": True} if read_only else {})}


def _security(run: _Run) -> Iterator[tuple[str, Any]]:
    if run.all("privileged"):
        yield "privileged", True
    if run.all("cap-add"):
        yield "capabilities", {"add": run.all("cap-add")}
    user, _, group = run.last("u", "user").partition(":")
    if user.isdigit():
        yield "runAsUser", int(user)
    if group.isdigit():
        yield "runAsGroup", int(group)


def _left_out(run: _Run, vendor: str | None, option: str | None) -> Iterator[Diagnostic]:
    told = "nothing is pushed: what the command writes stays on the volumes that it writes to"
    yield note("FT542", told, "model.output_url", help="set model.output_url to have the trainer's output pushed")
    if option is None:
        told = f"no hardware option gives whole cards of {vendor}" if vendor else "no cards are asked for"
        yield note("FT542", f"{told}; choose the hardware yourself", "hardware", help="ftgen groups hardware")
    if run.last("gpus").strip("\"'") == "all":
        yield note(
            "FT542", "--gpus all means all cards of the node; set hardware.devices to their number", "hardware.devices"
        )
    for name, equals, _ in (text.partition("=") for text in run.all("e", "env")):
        if not equals:
            yield note("FT542", f"the value of {name} is the caller's and not told", "hardware.env", name)
    for source, path, _ in _mounts(run):
        if _callers(source):
            told = f"{source} is a folder of the caller's and left out; mount a volume at {path} in the overlay"
            yield note("FT542", told, value=source)
        if run.is_driver(source):
            yield note("FT542", f"{source} is left out: the vendor's container runtime mounts its driver", value=source)
    for name, value in run.options:
        if name not in _CARRIED | _FLAGS:
            word = f"-{name}" if len(name) == 1 else f"--{name}"
            yield note("FT542", f"{word} {value} has no counterpart and is left out", value=value)
