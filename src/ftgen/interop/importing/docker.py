"""Import of a `docker run` command line, the form in which vendors document their solutions.

The job runs the command with `trainer=command`.  The import leaves out options that Kubernetes, the device plugin or
the container runtime make needless, and options without a counterpart, with a note at each one's place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import Diagnostic, Location, Rejected, error, note, warning
from ftgen.interop.importing import cards, container, environment, literals, shell
from ftgen.interop.importing.cards import Cards, Vendor
from ftgen.interop.importing.container import LEFT_OUT
from ftgen.interop.importing.environment import Environment, is_secret, is_unresolved, is_value_needless
from ftgen.interop.importing.flags import PROGRAMS, DockerRun, Option, parse_docker_run, unreadable
from ftgen.interop.importing.manifest import binary
from ftgen.interop.importing.mounts import Mount, is_caller_path, lost_help, mounts, size
from ftgen.interop.importing.proposal import ImportedConfig, Options
from ftgen.interop.importing.shell import Command, UnclosedError, Word
from ftgen.text import files, kube
from ftgen.text.shapes import mapping

_CALL = re.compile(
    r"(?:^|&&|\|\||;|\bthen\b|\bdo\b|\bexec\b|\btime\b|\bnohup\b)[ \t]*"
    r"(?:sudo(?:[ \t]+-\S+)*[ \t]+|[A-Za-z_]\w*=\S{0,1000}[ \t]+)*"
    r"((?:\S{0,300}/)?(?:" + "|".join(PROGRAMS) + r"))(?=[ \t\\]|$)",
    re.MULTILINE,
)
_COMMENT = re.compile(r"(?:^|[ \t])#", re.MULTILINE)
_OBJECT = re.compile(r"^[ \t]*[{\"']*apiVersion\b", re.MULTILINE)
_LONGEST = files.MIB
"""Most characters of a script; the kernel passes a program two million bytes of arguments."""
_MOST_WORDS = 4096
"""Most words of a call: Hydra's grammar takes the square of their number to read them again."""
_NAME_LIMIT = 40


class DockerImport(Struct, frozen=True):
    """The result of importing a `docker run`.

    Attributes:
        config: options and values of the experiment.
        documents: documents of its overlay.
        diagnostics: notes and warnings about left-out options.
        run: the command line.
    """

    config: ImportedConfig
    documents: list[Any]
    diagnostics: list[Diagnostic]
    run: DockerRun

    def located(self, found: Diagnostic) -> Diagnostic:
        """Locate a diagnostic about the result at the option that caused its subject."""
        names = next((names for pattern, names in _CAUSES.items() if re.search(pattern, found.subject)), ())
        options = self.run.all(*names)
        variable = found.subject.removeprefix("hardware.env.")
        named = [option for option in options if option.value.partition("=")[0] == variable]
        option = next(reversed(named or options), None)
        word = self.run.image if found.subject.endswith("image") else option.word if option else None
        if match := re.search(r"(?:command|args)(?:\[(\d+)\])?$", found.subject):
            # ftgen's own words and the entrypoint come before those of the command line.
            before = len(self.config.values["trainer.command"]) - len(self.run.words)
            index = int(match[1] or 0) - before if found.subject.startswith("trainer.") else 0
            word = next(iter(self.run.words[max(index, 0) :]), None)
        return found if found.locations else found.at(word.at if word else self.run.at)

    def without(self, refused: Sequence[Diagnostic]) -> tuple[DockerRun, list[Diagnostic]]:
        """Remove `--privileged` if admission denies nothing else; return the command line and the warnings about it.

        Vendors' examples use it to expose the cards to the container; on a cluster the device plugin does that.
        """
        privileged = self.run.all("privileged")
        if not privileged or not all(_PRIVILEGED in problem.subject for problem in refused):
            return self.run, []
        cure = "a device plugin gives the container its cards without it"
        at = privileged[-1].word.at
        warnings = [
            warning(problem.code, f"--privileged is left out: {problem.headline}", "", "", cure).at(at)
            for problem in refused
        ]
        return replace(self.run, options=[o for o in self.run.options if o.name != "privileged"]), warnings


_PRIVILEGED = "securityContext.privileged"
_CAUSES: Mapping[str, tuple[str, ...]] = {
    r"securityContext\.privileged": ("privileged",),
    r"securityContext\.capabilities": ("cap-add", "cap-drop"),
    r"seccompProfile|appArmorProfile|allowPrivilegeEscalation": ("security-opt",),
    r"securityContext\.runAs": ("user",),
    r"hostNetwork|dnsPolicy": ("network",),
    r"hostIPC": ("ipc",),
    r"hostPID": ("pid",),
    r"volumeMounts|\.volumes|^storage\.(?!shm)": ("volume", "mount", "tmpfs"),
    r"^storage\.shm": ("shm-size",),
    r"per_card\.memory|resources\.\w+\.memory": ("memory",),
    r"per_card\.cpu|resources\.\w+\.cpu": ("cpus",),
    r"^hardware\.env|\.env\[|\.env$": ("env",),
    r"^hardware(\.devices)?$": ("gpus", "device", "runtime", "env"),
    r"^name$|metadata\.name": ("name",),
    r"readOnlyRootFilesystem": ("read-only",),
    r"hostAliases": ("add-host",),
    r"dnsConfig": ("dns", "dns-search"),
    r"sysctls": ("sysctl",),
    r"supplementalGroups": ("group-add",),
}
"""Options that can cause a diagnostic, by a pattern of its subject."""


# --- finding the command -------------------------------------------------------------------------------


def is_command(text: str) -> bool:
    """Return whether a text is a shell script that calls docker, and no manifest whose script does."""
    return bool(_CALL.search(text)) and not _OBJECT.search(text)


def read_command(text: str, file: str) -> tuple[DockerRun, list[Diagnostic]]:
    """Parse the first `docker run` of a script; return it and a note for each further container command.

    Raises:
        Rejected: FT543, if there is none, or it cannot be parsed.
    """
    if len(text) > _LONGEST:
        raise unreadable(
            f"{file} holds more than {_LONGEST // files.MIB} MiB, which is no command line", Location(file)
        )
    script = text.replace("\r\n", "\n")
    if "\0" in script:
        line = script.count("\n", 0, script.index("\0")) + 1
        raise unreadable("a NUL byte cannot stand in a command line", Location(file, line))
    calls = _calls(script, file)
    first = next((call for call in calls if _is_run(call)), None)
    if first is None:
        raise _no_run(calls, file)
    if len(first.words) > _MOST_WORDS:
        headline = f"the command has {len(first.words)} words, and up to {_MOST_WORDS} are read"
        raise unreadable(headline, first.words[0].at, help_="put what is long into a script, and call that")
    if first.reads:
        cure = "write what it reads in the command itself, such as bash -c '…'"
        raise unreadable(
            "the command reads its standard input, which a pod has not", first.words[0].at, first.reads, cure
        )
    start = first.starts[0]
    known = literals.known(script, start)
    told = {name: value for name, value in known.items() if not is_secret(name, value)}
    words = shell.command(script, start, file, told).words
    return parse_docker_run(words), [_further(call) for call in calls if call is not first and _starts(call)]


def _calls(script: str, file: str) -> list[Command]:
    """Return every call of a container program, without those in the words of another call.

    Where the script has calls of its own, one in the text of another command, such as a usage, is none.

    Raises:
        Rejected: FT543, if a quotation or substitution has no end in the first `docker run` or a call before it.
    """
    calls: list[Command] = []
    parser = shell.Parser(script, file)
    own = _own_calls(script)
    at = searched = 0
    while found := _CALL.search(script, at):
        start = found.start(1)
        if own and start not in own:
            at = found.end()
            continue
        line = script.rfind("\n", searched, start) + 1
        if _COMMENT.search(script, line or max(searched - 1, 0), start):
            at = searched = shell.position_or_end(script.find("\n", start), script)
            continue
        searched = start
        try:
            call = parser.command_at(start)
        except UnclosedError as unclosed:
            if any(map(_is_run, calls)):
                break
            location = Location(file, script.count("\n", 0, unclosed.args[0]) + 1)
            raise unreadable("the command line has a quotation or substitution without an end", location) from None
        calls.append(call)
        # The operator that ends a command may introduce the next one.
        at = max(call.next - len(call.end), found.end())
    return calls


def _own_calls(script: str) -> set[int]:
    """Return the positions of calls that are no text of another command; none where one call alone is found."""
    found = [match.start(1) for match in _CALL.finditer(script)]
    return shell.word_starts(script).intersection(found) if len(found) > 1 else set()


def _subcommands(call: Command) -> list[str]:
    return [word.text for word in call.words[1:] if not word.text.startswith("-")]


def _is_run(call: Command) -> bool:
    """Return whether a call is `docker run`; values of the program's own options may precede `run`."""
    words = _subcommands(call)
    return "run" in words[:4] and "compose" not in words[:2] and "exec" not in words[:2]


def _starts(call: Command) -> bool:
    return _subcommands(call)[:1] in (["run"], ["exec"], ["compose"], ["start"], ["container"])


def _no_run(calls: Sequence[Command], file: str) -> Rejected:
    if any("compose" in _subcommands(call)[:2] for call in calls):
        cure = "write the service as a docker run; the image, command, devices and volumes are in the compose file"
        return unreadable("a docker compose is no `docker run` command line", calls[0].words[0].at, help_=cure)
    at = calls[0].words[0].at if calls else Location(file)
    return unreadable(
        "this is no `docker run` command line", at, " ".join(w.text for w in calls[0].words[:3]) if calls else ""
    )


def _further(call: Command) -> Diagnostic:
    program, subcommand = call.words[0].text, _subcommands(call)[0]
    headline = f"{program} {subcommand} is a command of its own, and only the first docker run is imported"
    return note(LEFT_OUT, headline).at(call.words[0].at)


# --- conversion ----------------------------------------------------------------------------------------


def from_docker_run(run: DockerRun, options: Options, hardware: str = "") -> DockerImport:
    """Convert a command line to options and values, an overlay for what has no key, and notes on what it leaves out.

    Args:
        run: the command line.
        options: the options of each group.
        hardware: hardware option that the user chose; empty to detect it from the command line.

    Raises:
        Rejected: FT543, FT558 or FT560, if its command or its cards cannot be determined.
    """
    vendors = cards.vendors(options)
    resolved, unresolved = _resolved(run, vendors)
    exposed = _cards(run, vendors, options, hardware)
    variables = environment.environment(run, vendors)
    command = _command(resolved, variables)
    mounted = [mount for mount in mounts(resolved) if not _is_left_out(mount, vendors)]
    option, whole = (hardware, {}) if hardware else _option(exposed.vendor, options)
    count = exposed.count or int(options("hardware").get(option, {}).get("devices") or 1)
    host = _host(resolved, count)
    values = {**_values(resolved, exposed, command), **host, **whole, **variables.values}
    values |= {"hardware.env": variables.variables} if variables.variables else {}
    choices = {"model": "none", "dataset": "none", "hardware": option, "trainer": "command", "tracking": "none"}
    patch = container.pod_patch(resolved, mounted)
    imported = ImportedConfig(values["name"], "docker run", choices, values)
    left_out = _left_out(resolved, vendors, mounted, has_folder=run.last("workdir") is not None)
    problems = [*left_out, *exposed.diagnostics, *unresolved, *variables.diagnostics]
    if exposed.vendor == cards.NO_CARDS and not hardware:
        problems.append(_no_cards(run))
    if exposed.vendor != cards.NO_CARDS and not exposed.count:
        problems += _undivided(resolved, host, count)
    return DockerImport(imported, [patch] if patch else [], problems, run)


def _values(run: DockerRun, exposed: Cards, command: list[str]) -> dict[str, Any]:
    name = run.last("name")
    memory = container.shm_size(run)
    return {
        "name": kube.slug((name.value if name else "") or _stem(run.image.text), _NAME_LIMIT),
        "model.output_url": None,
        # ftgen pushes no result: the command decides where it writes, as in docker.
        "allow.FT260": "as in docker run",
        "hardware.image": run.image.text,
        **({"hardware.devices": exposed.count} if exposed.count else {}),
        **({"storage.shm": memory} if memory else {}),
        "trainer.command": command,
    }


def _stem(image: str) -> str:
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def _resolved(run: DockerRun, vendors: list[Vendor]) -> tuple[DockerRun, list[Diagnostic]]:
    """Remove options whose value only the caller's shell knows; return the rest and a diagnostic for each.

    A variable whose value is not taken over anyway gets none: `environment` tells of it.
    """
    unresolved = [option for option in run.options if is_unresolved(option)]
    kept = [option for option in run.options if option not in unresolved]
    told = [_unresolved(option) for option in unresolved if not is_value_needless(option, vendors)]
    return replace(run, options=kept), told


def _unresolved(option: Option) -> Diagnostic:
    name, _, _ = option.value.partition("=")
    if option.name in {"volume", "mount"}:
        source = option.value.rpartition(":/")[0] or option.value
        headline = f"{source} is a folder of the caller's and left out; mount a volume in the overlay"
        return note(LEFT_OUT, headline, "", option.value).at(option.word.at)
    if option.name == "env" and not option.word.unknown:
        headline = f"the value of {name} is the caller's and not told: the variable is left out"
    else:
        headline = f"{option.spelled} is left out: only the caller's shell knows {_listed(option.word)}"
    cure = environment.cure(option) if option.name == "env" else "write what it stands for"
    return warning("FT560", headline, "", option.value, cure).at(option.word.at)


def _listed(word: Word) -> str:
    return " and ".join(dict.fromkeys(word.unknown))


def _command(run: DockerRun, variables: Environment) -> list[str]:
    """Return the words that the container runs: `env` first, where it starts elsewhere or with variables of its own.

    Raises:
        Rejected: FT543, if only the image gives them or the program; FT560, if only the caller's shell knows one.
    """
    entrypoint = run.last("entrypoint")
    program = _entrypoint(entrypoint.value) if entrypoint else []
    if not run.words and not program:
        raise unreadable(
            "the container's own command is not told", run.image.at, run.image.text, "write it after the image"
        )
    if unknown := [word for word in run.words if word.unknown]:
        raise Rejected([_unresolved_word(word) for word in unknown])
    if not program and run.words[0].text.startswith("-"):
        raise _no_program(run.words[0])
    directory = run.last("workdir")
    if directory and not directory.value.startswith("/"):
        raise unreadable(f"{directory.spelled} is no absolute path", directory.word.at, directory.value)
    changed = [*([f"--chdir={directory.value}"] if directory else []), *variables.words]
    return [*(["env", *changed] if changed else []), *program, *(word.text for word in run.words)]


def _entrypoint(text: str) -> list[str]:
    """Return the words of an entrypoint: none if it is empty, several if it is a JSON list, as podman takes it."""
    try:
        words = json.loads(text) if text.startswith("[") else [text]
    except (ValueError, RecursionError):
        words = [text]
    return [str(word) for word in words if word != ""]


def _no_program(word: Word) -> Rejected:
    flag = word.text.partition("=")[0]
    headline = f"the command begins with a flag of the image's ENTRYPOINT, which is not told: {flag}"
    return unreadable(headline, word.at, flag, "write --entrypoint PROGRAM before the image")


def _unresolved_word(word: Word) -> Diagnostic:
    headline = f"the command holds {_listed(word)}, which only the caller's shell knows"
    cure = "write what it stands for; in single quotes it is the container's own variable"
    return error("FT560", headline, "trainer.command", _listed(word), cure).at(word.at)


# --- cards ---------------------------------------------------------------------------------------------


def _cards(run: DockerRun, vendors: list[Vendor], options: Options, hardware: str) -> Cards:
    resolved = replace(run, options=[option for option in run.all("mount") if not option.word.unknown])
    words = [(o.name, o.value, o.word) for o in run.options]
    words += [("volume", f"{m.source}:", m.option.word) for m in mounts(resolved)]
    flags = cards.card_flags(words, vendors)
    if hardware:
        return cards.count_cards(str(options("hardware").get(hardware, {}).get("vendor")), flags, vendors)
    return cards.detect_cards(flags, vendors, ", ".join(options("hardware")))


def _option(vendor: str, options: Options) -> tuple[str, dict[str, Any]]:
    """Return the vendor's option for whole cards with the shortest resource name, and values that unset its shares.

    Raises:
        Rejected: FT558, if the vendor's options give slices only.
    """
    candidates = [
        (_shares(content), len(count or ""), option)
        for option, content in options("hardware").items()
        if content.get("vendor") == vendor
        for count in [mapping(content.get("resources")).get("count")]
        if (count or vendor == cards.NO_CARDS) and not mapping(content.get("card")).get("slice")
    ]
    if not candidates:
        headline = f"no hardware option gives whole cards of {vendor}"
        raise Rejected([error("FT558", headline, "hardware", vendor, "say which with hardware=OPTION")])
    shared, _, option = min(candidates)
    return option, dict.fromkeys(("hardware.memory", "hardware.cores")) if shared else {}


def _shares(option: Mapping[str, Any]) -> bool:
    return bool(option.get("memory") or option.get("cores"))


def _no_cards(run: DockerRun) -> Diagnostic:
    headline = "the command line shows the container no cards: hardware=cpu"
    cure = "where the node's default runtime gives them, choose hardware=OPTION before the command or after the file"
    return warning("FT559", headline, "hardware", "cpu", cure).at(run.at)


# --- host memory and processors ------------------------------------------------------------------------


def _host(run: DockerRun, count: int) -> dict[str, str]:
    """Return host memory and processors per card; requests equal limits, as Docker has limits only, and 0 is none."""
    found: dict[str, str] = {}
    memory, cpus = run.last("memory"), run.last("cpus")
    if memory and (whole := size(memory, memory.value)):
        found |= dict.fromkeys(_bounds("memory"), binary(Fraction(int(kube.parse_quantity(whole) / count))))
    if cpus:
        if not re.fullmatch(r"\d{1,5}(\.\d{1,9})?", cpus.value):
            raise unreadable(f"{cpus.value!r} is no number of processors", cpus.word.at, cpus.value)
        milli = int(Fraction(cpus.value) * 1000 / count)
        found |= dict.fromkeys(_bounds("cpu"), kube.canonical_quantity(f"{milli}m")) if milli else {}
    return found


def _undivided(run: DockerRun, host: Mapping[str, str], count: int) -> Iterator[Diagnostic]:
    """Yield a warning for each limit of the container that is divided by a number of cards nobody told."""
    for name, resource in (("memory", "memory"), ("cpus", "cpu")):
        option, key = run.last(name), f"hardware.per_card.{resource}"
        if option and f"{key}.limit" in host:
            headline = f"{option.spelled} is the whole container's, and is written for each card as if it had {count}"
            cure = f"divide {key} by the number of cards when you set hardware.devices, which multiplies it"
            yield warning("FT559", headline, key, option.value, cure).at(option.word.at)


def _bounds(name: str) -> tuple[str, str]:
    return f"hardware.per_card.{name}.request", f"hardware.per_card.{name}.limit"


# --- notes ---------------------------------------------------------------------------------------------


def _left_out(run: DockerRun, vendors: list[Vendor], mounted: list[Mount], *, has_folder: bool) -> Iterator[Diagnostic]:
    headline = "nothing is pushed: what the command writes stays on the volumes that it writes to"
    yield note(LEFT_OUT, headline, "model.output_url", help="set model.output_url to have the output pushed").at(run.at)
    if not run.last("entrypoint"):
        headline = "an ENTRYPOINT of the image is not run: the words after the image are the whole command"
        cure = "write --entrypoint PROGRAM before the image, or --entrypoint '' if it has none"
        yield note(LEFT_OUT, headline, "trainer.command", help=cure).at(run.image.at)
    if not has_folder:
        headline = "the WORKDIR of the image is not told: the command starts in the job's workspace"
        cure = "write --workdir FOLDER before the image"
        yield note(LEFT_OUT, headline, "trainer.command", help=cure).at(run.image.at)
    for option in run.all("device"):
        headline = f"--device {option.value} is left out: a pod gets the devices that a device plugin gives it"
        yield note(LEFT_OUT, headline, "", option.value).at(option.word.at)
    yield from _card_options_left_out(run, vendors)
    for mount in mounts(run):
        if mount not in mounted or (mount.source and not mount.source.startswith("/")):
            yield _mount_note(mount)
        if mount in mounted and mount.lost:
            yield _lost_note(mount)
    yield from container.unconverted_options(run)


_GPUS_OPTIONS = frozenset({"capabilities", "driver", "options"})


def _card_options_left_out(run: DockerRun, vendors: list[Vendor]) -> Iterator[Diagnostic]:
    """Yield a note for each part of `--gpus` that counts no cards, and for a runtime that is no vendor's.

    Raises:
        Rejected: FT543, if docker knows no such part of `--gpus`.
    """
    for option in run.all("gpus"):
        for key, text in cards.gpus_options(option.value):
            if key not in _GPUS_OPTIONS:
                raise unreadable(f"--gpus has no option {key}", option.word.at, key, "remove it, or write device=…")
            cure = "set NVIDIA_DRIVER_CAPABILITIES in hardware.env" if key == "capabilities" else ""
            yield note(LEFT_OUT, f"{key}={text} of --gpus is left out", "", text, cure).at(option.word.at)
    for option in run.all("runtime"):
        if not cards.is_runtime_of(vendors, option.value, option.word):
            cure = "set runtimeClassName in the overlay"
            yield note(LEFT_OUT, f"{option.spelled} is left out", "", option.value, cure).at(option.word.at)


def _lost_note(mount: Mount) -> Diagnostic:
    headline = f"{', '.join(mount.lost)}: left out of the mount at {mount.path}, a pod has no counterpart"
    return note(LEFT_OUT, headline, "", mount.option.value, lost_help(mount)).at(mount.option.word.at)


def _is_left_out(mount: Mount, vendors: list[Vendor]) -> bool:
    return is_caller_path(mount.source) or container.is_shm(mount) or _is_driver(mount, vendors)


def _is_driver(mount: Mount, vendors: list[Vendor]) -> bool:
    """Return whether the source is a vendor's driver or device, which its runtime or device plugin mounts."""
    return bool(cards.card_flags([("volume", f"{mount.source}:", mount.option.word)], vendors))


def _mount_note(mount: Mount) -> Diagnostic:
    source, path = mount.source or mount.path, mount.path
    if is_caller_path(source):
        headline = f"{source} is a folder of the caller's and left out; mount a volume at {path} in the overlay"
    elif container.is_shm(mount):
        headline = f"{path} is left out: a job has its own, of the size storage.shm"
    elif source.startswith("/"):
        headline = f"{source} is left out: the vendor's container runtime mounts its driver"
    else:
        claim = kube.slug(source, 63)
        headline = f"the volume {source} becomes the claim {claim}, which has to be there"
    return note(LEFT_OUT, headline, "", source).at(mount.option.word.at)
