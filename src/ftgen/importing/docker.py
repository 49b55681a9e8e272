"""Reading a `docker run` command line: the way vendors show that their solution works.

The command runs in ftgen's frame (`trainer=command`).  What Kubernetes, the device plugin or the runtime do
by themselves is left out, and what has no counterpart is told, each where it stands in the user's file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ftgen import files, kube
from ftgen.diagnostics import Diagnostic, Location, Rejected, Severity, error, note, warning
from ftgen.importing import cards, container, shell
from ftgen.importing.cards import Cards, Vendor
from ftgen.importing.container import LEFT_OUT, Mount
from ftgen.importing.flags import PROGRAMS, DockerRun, Option, parse_docker_run, unreadable
from ftgen.importing.manifest import binary
from ftgen.importing.proposal import ImportedConfig, Options
from ftgen.importing.shell import Command, UnclosedError, Word
from ftgen.rules import secrets

_CALL = re.compile(
    r"(?:^|&&|\|\||;|\bthen\b|\bdo\b|\bexec\b|\btime\b|\bnohup\b)[ \t]*"
    r"(?:sudo(?:[ \t]+-\S+)*[ \t]+|[A-Za-z_]\w*=\S*[ \t]+)*((?:\S*/)?(?:" + "|".join(PROGRAMS) + r"))(?=[ \t\\]|$)",
    re.MULTILINE,
)
_COMMENT = re.compile(r"(?:^|[ \t])#")
_OBJECT = re.compile(r"^[ \t]*[{\"']*apiVersion\b", re.MULTILINE)
_LONGEST = files.MIB
"""Characters of a script; the kernel passes a program two million bytes of arguments."""
_NAME_LIMIT = 40


@dataclass(frozen=True, slots=True)
class DockerImport:
    """A `docker run` taken over.

    Attributes:
        config: the experiment.
        documents: its overlay.
        diagnostics: what was left out, and what is open.
        run: the command line.
    """

    config: ImportedConfig
    documents: list[Any]
    diagnostics: list[Diagnostic]
    run: DockerRun

    def located(self, found: Diagnostic) -> Diagnostic:
        """A finding about the result, at the option that brought it."""
        names = next((names for mark, names in _BROUGHT.items() if re.search(mark, found.subject)), ())
        option = self.run.last(*names) if names else None
        word = self.run.image if found.subject.endswith("image") else option.word if option else None
        if said := re.search(r"(?:command|args)(?:\[(\d+)\])?$", found.subject):
            # The frame's words and the entrypoint come before those of the command line.
            before = len(self.config.values["trainer.command"]) - len(self.run.words)
            at = int(said[1] or 0) - before if found.subject.startswith("trainer.") else 0
            word = next(iter(self.run.words[max(at, 0) :]), None)
        return found if found.locations else found.at(word.at if word else self.run.at)

    def without(self, refused: Sequence[Diagnostic]) -> tuple[DockerRun, list[Diagnostic]]:
        """The command line less `--privileged`, where admission denies nothing else, and what is told of it.

        Vendors' examples have it so that a container sees its cards, which a device plugin sees to on a cluster.
        """
        privileged = self.run.all("privileged")
        if not privileged or not all(_PRIVILEGED in each.subject for each in refused):
            return self.run, []
        cure = "a device plugin gives the container its cards without it"
        told = [
            warning(each.code, f"--privileged is left out: {each.headline}", "", "", cure).at(privileged[-1].word.at)
            for each in refused
        ]
        return replace(self.run, options=[o for o in self.run.options if o.name != "privileged"]), told


_PRIVILEGED = "securityContext.privileged"
_BROUGHT: Mapping[str, tuple[str, ...]] = {
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
"""Which options bring what a finding is about."""


# --- finding the command -------------------------------------------------------------------------------


def is_command(text: str) -> bool:
    """Whether a text is a shell's command line that calls docker, and no manifest whose script does."""
    return bool(_CALL.search(text)) and not _OBJECT.search(text)


def read_command(text: str, file: str) -> tuple[DockerRun, list[Diagnostic]]:
    """Take the first `docker run` of a script apart, and tell what the script does beyond it.

    Raises:
        Rejected: FT543, when there is none, or it cannot be read.
    """
    if len(text) > _LONGEST:
        raise unreadable(
            f"{file} holds more than {_LONGEST // files.MIB} MiB, which is no command line", Location(file)
        )
    script = text.replace("\r\n", "\n")
    if "\0" in script:
        line = script.count("\n", 0, script.index("\0")) + 1
        raise unreadable("a NUL byte cannot stand in a command line", Location(file, line))
    known = {name: value for name, value in shell.assignments(script).items() if not _is_secret(name, value)}
    calls = _calls(script, file, known)
    chosen = next((call for call in calls if _runs(call)), None)
    if chosen is None:
        raise _no_run(calls, file)
    if chosen.reads:
        cure = "write what it reads in the command itself, such as bash -c '…'"
        raise unreadable(
            "the command reads its standard input, which a pod has not", chosen.words[0].at, chosen.reads, cure
        )
    return parse_docker_run(chosen.words), [_further(call) for call in calls if call is not chosen and _starts(call)]


def _calls(script: str, file: str, known: Mapping[str, str]) -> list[Command]:
    """Every command of a container program, one that stands in the text of another left out.

    Raises:
        Rejected: FT543, when one before the first `docker run`, or that itself, does not end.
    """
    calls: list[Command] = []
    at = 0
    while found := _CALL.search(script, at):
        start = found.start(1)
        line = script.rfind("\n", 0, start) + 1
        if _COMMENT.search(script, line, start):
            at = found.end()
            continue
        try:
            call = shell.command(script, start, file, known)
        except UnclosedError as unclosed:
            if any(map(_runs, calls)):
                break
            place = Location(file, script.count("\n", 0, unclosed.args[0]) + 1)
            raise unreadable("the command line has a quotation or substitution without an end", place) from None
        calls.append(call)
        # The character that ended the command may begin the next.
        at = max(call.next - len(call.end), found.end())
    return calls


def _verbs(call: Command) -> list[str]:
    return [word.text for word in call.words[1:] if not word.text.startswith("-")]


def _runs(call: Command) -> bool:
    """Whether it is `docker run`; the values of the program's own options may stand before."""
    return "run" in _verbs(call)[:4] and "compose" not in _verbs(call)[:2] and "exec" not in _verbs(call)[:2]


def _starts(call: Command) -> bool:
    return _verbs(call)[:1] in (["run"], ["exec"], ["compose"], ["start"], ["container"])


def _no_run(calls: Sequence[Command], file: str) -> Rejected:
    if any("compose" in _verbs(call)[:2] for call in calls):
        cure = "write the service as a docker run; the image, command, devices and volumes are in the compose file"
        return unreadable("a docker compose is no `docker run` command line", calls[0].words[0].at, help_=cure)
    at = calls[0].words[0].at if calls else Location(file)
    return unreadable(
        "this is no `docker run` command line", at, " ".join(w.text for w in calls[0].words[:3]) if calls else ""
    )


def _further(call: Command) -> Diagnostic:
    headline = (
        f"{call.words[0].text} {_verbs(call)[0]} is a command of its own, and only the first docker run is imported"
    )
    return note(LEFT_OUT, headline).at(call.words[0].at)


# --- taking it over ------------------------------------------------------------------------------------


def from_docker_run(run: DockerRun, options: Options, hardware: str = "") -> DockerImport:
    """What the container does as a proposal, the overlay for what has no key, and what was left out.

    Args:
        run: the command line.
        options: the options of each group.
        hardware: the option that the user chose; empty where the command line shall tell.

    Raises:
        Rejected: when its command or its cards cannot be told.
    """
    clear, open_ = _clear(run)
    known = cards.vendors(options)
    shown = _cards(run, known, options, hardware)
    references, hidden = _references(run, known)
    command = _command(clear)
    mounted = [mount for mount in container.mounts(clear) if not _is_left(mount, known)]
    option, whole = (hardware, {}) if hardware else _option(shown.vendor, options)
    values = {**_values(clear, shown, command), **whole}
    environment = {**dict(_environment(clear, known, hidden)), **references}
    values |= {"hardware.env": environment} if environment else {}
    choices = {"hardware": option, "trainer": "command", "tracking": "none"}
    patch = container.pod_patch(clear, mounted)
    imported = ImportedConfig(values["name"], "docker run", choices, values)
    told = [*_told(clear, known, mounted), *shown.diagnostics, *open_, *map(_reference_told, hidden)]
    if shown.vendor == cards.NO_CARDS and not hardware:
        told.append(_no_cards(run))
    return DockerImport(imported, [patch] if patch else [], told, run)


def _values(run: DockerRun, shown: Cards, command: list[str]) -> dict[str, Any]:
    said = run.last("name")
    directory = run.last("workdir")
    memory = container.shm_size(run)
    return {
        "name": kube.slug((said.value if said else "") or _stem(run.image.text), _NAME_LIMIT),
        "model.url": None,
        "dataset.url": None,
        "model.output_url": None,
        # What the command writes is its own business, as it was in docker.
        "allow.FT260": "as in docker run",
        "hardware.image": run.image.text,
        **({"hardware.devices": shown.count} if shown.count else {}),
        **_host(run, max(shown.count, 1)),
        **({"storage.shm": memory} if memory else {}),
        "trainer.command": ["env", f"--chdir={directory.value}", *command] if directory else command,
    }


def _stem(image: str) -> str:
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def _clear(run: DockerRun) -> tuple[DockerRun, list[Diagnostic]]:
    """The command line without the options that only the caller's shell can fill in, and what is to be said of each.

    A variable named like a secret stays: a reference takes its place, and its value is nobody's business.
    """
    open_ = [option for option in run.options if _is_open(option)]
    kept = [option for option in run.options if option not in open_]
    return replace(run, options=kept), [_open(option) for option in open_ if not _names_secret(option)]


def _is_open(option: Option) -> bool:
    return bool(option.word.unknown) or (option.name == "env" and "=" not in option.value)


def _open(option: Option) -> Diagnostic:
    name, _, _ = option.value.partition("=")
    if option.name in {"volume", "mount"}:
        source = option.value.rpartition(":/")[0] or option.value
        headline = f"{source} is a folder of the caller's and left out; mount a volume in the overlay"
        return note(LEFT_OUT, headline, "", option.value).at(option.word.at)
    if option.name == "env" and not option.word.unknown:
        headline = f"the value of {name} is the caller's and not told: the variable is left out"
    else:
        headline = f"{option.spelled} is left out: only the caller's shell knows {_listed(option.word)}"
    cure = f"write hardware.env.{name}=VALUE" if option.name == "env" else "write what it stands for"
    return warning("FT560", headline, "", option.value, cure).at(option.word.at)


def _listed(word: Word) -> str:
    return " and ".join(dict.fromkeys(word.unknown))


def _command(run: DockerRun) -> list[str]:
    """The words that the container runs.

    Raises:
        Rejected: FT543, when the image decides; FT560, when the caller's shell does.
    """
    entrypoint = run.last("entrypoint")
    program = [entrypoint.value] if entrypoint and entrypoint.value else []
    if not run.words and not program:
        raise unreadable(
            "the container's own command is not told", run.image.at, run.image.text, "write it after the image"
        )
    if unknown := [word for word in run.words if word.unknown]:
        raise Rejected([_open_word(word) for word in unknown])
    return [*program, *(word.text for word in run.words)]


def _open_word(word: Word) -> Diagnostic:
    headline = f"the command holds {_listed(word)}, which only the caller's shell knows"
    cure = "write what it stands for; in single quotes it is the container's own variable"
    return error("FT560", headline, "trainer.command", _listed(word), cure).at(word.at)


# --- cards ---------------------------------------------------------------------------------------------


def _cards(run: DockerRun, known: list[Vendor], options: Options, hardware: str) -> Cards:
    given = [(o.name, o.value, o.word) for o in run.options]
    given += [("volume", f"{m.source}:", m.option.word) for m in container.mounts(replace(run, options=_long(run)))]
    shown = cards.card_flags(given, known)
    if hardware:
        return cards.count_cards(str(options("hardware").get(hardware, {}).get("vendor")), shown, known)
    return cards.detect_cards(shown, known, ", ".join(options("hardware")))


def _long(run: DockerRun) -> list[Option]:
    return [option for option in run.all("mount") if not option.word.unknown]


def _option(vendor: str, options: Options) -> tuple[str, dict[str, Any]]:
    """The vendor's option that counts whole cards by the plainest name, and what makes its cards whole.

    Raises:
        Rejected: FT558, when the vendor's options give slices only.
    """
    known = [
        (_shares(content), len(count or ""), option)
        for option, content in options("hardware").items()
        if content.get("vendor") == vendor
        for count in [_mapping(content.get("resources")).get("count")]
        if (count or vendor == cards.NO_CARDS) and not _mapping(content.get("card")).get("slice")
    ]
    if not known:
        headline = f"no hardware option gives whole cards of {vendor}"
        raise Rejected([error("FT558", headline, "hardware", vendor, "say which with hardware=OPTION")])
    shared, _, option = min(known)
    return option, dict.fromkeys(("hardware.memory", "hardware.cores")) if shared else {}


def _shares(option: Mapping[str, Any]) -> bool:
    return bool(option.get("memory") or option.get("cores"))


def _no_cards(run: DockerRun) -> Diagnostic:
    headline = "the command line shows the container no cards: hardware=cpu"
    cure = "where the node's default runtime gives them, choose hardware=OPTION before the command or after the file"
    return warning("FT559", headline, "hardware", "cpu", cure).at(run.at)


# --- environment ---------------------------------------------------------------------------------------


def _environment(run: DockerRun, known: list[Vendor], hidden: Sequence[Option]) -> Iterator[tuple[str, str]]:
    for option in run.all("env"):
        name, _, value = option.value.partition("=")
        if not kube.is_env_name(name):
            raise unreadable(f"{name!r} cannot name a variable", option.word.at, name)
        if option not in hidden and not cards.selects_cards(name, known):
            yield name, value


def _references(run: DockerRun, known: list[Vendor]) -> tuple[dict[str, dict[str, str]], list[Option]]:
    """Return a reference to a Secret for each variable that holds one, and the options that set these variables.

    The Secret is called after the variable, and is the user's to create.
    """
    last = {option.value.partition("=")[0]: option for option in run.all("env")}
    hidden = [option for name, option in last.items() if _names_secret(option) and not cards.selects_cards(name, known)]
    names = [option.value.partition("=")[0] for option in hidden]
    return {name: {"secret": _secret(name), "key": name} for name in names}, hidden


def _secret(variable: str) -> str:
    return kube.slug(variable.replace("_", "-"), 63)


def _reference_told(option: Option) -> Diagnostic:
    name = option.value.partition("=")[0]
    headline = f"{name} is a secret: its value is not taken over, and it is read from the Secret {_secret(name)}"
    create = f"kubectl create secret generic {_secret(name)} --from-literal={name}=…"
    cure = f"{create}, or name your own in hardware.env.{name}"
    return warning("FT561", headline, "", name, cure).at(option.word.at)


def _names_secret(option: Option) -> bool:
    """Whether an option sets a variable that holds a secret, by its name or its value."""
    name, equals, value = option.value.partition("=")
    told = value if equals and not option.word.unknown else "told-by-the-shell"
    return option.name == "env" and kube.is_env_name(name) and _is_secret(name, told)


def _is_secret(name: str, value: str) -> bool:
    found = secrets.scan({"env": [{"name": name, "value": value}]})
    return any(each.severity is Severity.ERROR for each in found)


# --- host memory and processors ------------------------------------------------------------------------


def _host(run: DockerRun, count: int) -> dict[str, str]:
    """Host memory and processors, by card; Docker gives limits only, so the same is requested."""
    found: dict[str, str] = {}
    memory, cpus = run.last("memory"), run.last("cpus")
    if memory:
        whole = kube.parse_quantity(container.size(memory, memory.value))
        found |= dict.fromkeys(_bounds("memory"), binary(Fraction(int(whole / count))))
    if cpus:
        if not re.fullmatch(r"\d{1,5}(\.\d{1,9})?", cpus.value):
            raise unreadable(f"{cpus.value!r} is no number of processors", cpus.word.at, cpus.value)
        milli = int(Fraction(cpus.value) * 1000 / count)
        found |= dict.fromkeys(_bounds("cpu"), kube.canonical_quantity(f"{milli}m"))
    return found


def _bounds(name: str) -> tuple[str, str]:
    return f"hardware.per_card.{name}.request", f"hardware.per_card.{name}.limit"


# --- what is told --------------------------------------------------------------------------------------


def _told(run: DockerRun, known: list[Vendor], mounted: list[Mount]) -> Iterator[Diagnostic]:
    told = "nothing is pushed: what the command writes stays on the volumes that it writes to"
    yield note(LEFT_OUT, told, "model.output_url", help="set model.output_url to have the output pushed").at(run.at)
    for option in run.all("env"):
        name = option.value.partition("=")[0]
        if cards.selects_cards(name, known):
            headline = f"{name} is left out: the device plugin chooses the cards of a pod"
            yield note(LEFT_OUT, headline, "", name).at(option.word.at)
    for option in run.all("device"):
        headline = f"--device {option.value} is left out: a pod gets the devices that a device plugin gives it"
        yield note(LEFT_OUT, headline, "", option.value).at(option.word.at)
    for mount in container.mounts(run):
        if mount not in mounted or (mount.source and not mount.source.startswith("/")):
            yield _mount_told(mount)
    yield from container.unconverted_options(run)


def _is_left(mount: Mount, known: list[Vendor]) -> bool:
    return container.is_caller_path(mount.source) or container.is_shm(mount) or _is_driver(mount, known)


def _is_driver(mount: Mount, known: list[Vendor]) -> bool:
    """Whether it is a vendor's driver or device, which its container runtime or device plugin brings."""
    return bool(cards.card_flags([("volume", f"{mount.source}:", mount.option.word)], known))


def _mount_told(mount: Mount) -> Diagnostic:
    source, path = mount.source or mount.path, mount.path
    if container.is_caller_path(source):
        told = f"{source} is a folder of the caller's and left out; mount a volume at {path} in the overlay"
    elif container.is_shm(mount):
        told = f"{path} is left out: a job has its own, of the size storage.shm"
    elif source.startswith("/"):
        told = f"{source} is left out: the vendor's container runtime mounts its driver"
    else:
        claim = kube.slug(source, 63)
        told = f"the volume {source} becomes the claim {claim}, which has to be there"
    return note(LEFT_OUT, told, "", source).at(mount.option.word.at)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
