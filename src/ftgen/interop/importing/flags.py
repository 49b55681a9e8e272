"""Parser of `docker run`, `podman run` and `nerdctl run` command lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from ftgen.diagnostics import Diagnostic, Location, Rejected, error
from ftgen.interop.importing.shell import Word

PROGRAMS = ("docker", "podman", "nerdctl")

_SWITCHES = frozenset(
    {
        *("detach", "init", "interactive", "no-healthcheck", "oom-kill-disable", "privileged", "publish-all", "quiet"),
        *("read-only", "rm", "sig-proxy", "tty", "disable-content-trust", "use-api-socket", "help"),
        # podman
        *("env-host", "http-proxy", "no-hosts", "no-hostname", "passwd", "replace", "rmi", "rootfs", "tls-verify"),
        *("unsetenv-all", "read-only-tmpfs"),
    }
)
"""Options without a value (`docker run --help`, podman-run(1), nerdctl's command reference)."""
_VALUED = frozenset(
    {
        *("add-host", "annotation", "attach", "blkio-weight", "blkio-weight-device", "cap-add", "cap-drop"),
        *("cgroup-parent", "cgroupns", "cidfile", "cpu-count", "cpu-percent", "cpu-period", "cpu-quota"),
        *("cpu-rt-period", "cpu-rt-runtime", "cpu-shares", "cpus", "cpuset-cpus", "cpuset-mems", "detach-keys"),
        *("device", "device-cgroup-rule", "device-read-bps", "device-read-iops", "device-write-bps"),
        *("device-write-iops", "dns", "dns-opt", "dns-search", "domainname", "entrypoint", "env", "env-file"),
        *("expose", "gpus", "group-add", "health-cmd", "health-interval", "health-retries", "health-start-interval"),
        *("health-start-period", "health-timeout", "hostname", "io-maxbandwidth", "io-maxiops", "ip", "ip6", "ipc"),
        *("isolation", "kernel-memory", "label", "label-file", "link", "link-local-ip", "log-driver", "log-opt"),
        *("mac-address", "memory", "memory-reservation", "memory-swap", "memory-swappiness", "mount", "name"),
        *("network", "network-alias", "oom-score-adj", "pid", "pids-limit", "platform", "publish", "pull", "restart"),
        *("runtime", "security-opt", "shm-size", "stop-signal", "stop-timeout", "storage-opt", "sysctl", "tmpfs"),
        *("ulimit", "user", "userns", "uts", "volume", "volume-driver", "volumes-from", "workdir"),
        # podman
        *("arch", "authfile", "cert-dir", "cgroup-conf", "cgroups", "chrootdirs", "conmon-pidfile", "creds"),
        *("decryption-key", "env-merge", "gidmap", "group-entry", "health-log-destination", "health-max-log-count"),
        *("health-max-log-size", "health-on-failure", "health-startup-cmd", "health-startup-interval"),
        *("health-startup-retries", "health-startup-success", "health-startup-timeout", "hostuser", "image-volume"),
        *("init-path", "os", "passwd-entry", "personality", "pidfile", "pod", "pod-id-file", "preserve-fd"),
        *("preserve-fds", "rdt-class", "requires", "retry", "retry-delay", "sdnotify", "seccomp-policy", "secret"),
        *("shm-size-systemd", "subgidname", "subuidname", "systemd", "timeout", "tz", "uidmap", "umask", "unsetenv"),
        "variant",
        # nerdctl
        *("cosign-certificate-identity", "cosign-certificate-oidc-issuer", "cosign-key", "ipfs-address"),
        *("log-uri", "snapshotter", "verify"),
    }
)
"""Options that take a value (same sources)."""
_SHORT = dict(
    zip(
        "acdehilmpPqtuvw",
        (
            *("attach", "cpu-shares", "detach", "env", "hostname", "interactive", "label", "memory", "publish"),
            *("publish-all", "quiet", "tty", "user", "volume", "workdir"),
        ),
        strict=True,
    )
)
_ALIASES = {"net": "network", "net-alias": "network-alias", "dns-option": "dns-opt"}
_GLOBAL = frozenset(
    {
        *("-H", "--host", "-c", "--context", "--config", "-l", "--log-level", "--tlscacert", "--tlscert", "--tlskey"),
        *("-n", "--namespace", "-a", "--address", "--root", "--connection", "--url", "--runtime", "--snapshotter"),
        *("--data-root", "--cni-path", "--cni-netconfpath", "--cgroup-manager", "--storage-driver", "--hosts-dir"),
    }
)
"""Options of the program itself, between its name and `run`, that take a value."""


class Option(Struct, frozen=True):
    """An option by its long name, with its value (empty for a switch) and its word of the command line."""

    name: str
    value: str
    word: Word

    @property
    def spelled(self) -> str:
        """Return the option as diagnostics quote it."""
        return f"--{self.name} {self.value}" if self.value else f"--{self.name}"


class DockerRun(Struct, frozen=True):
    """A parsed `docker run`.

    Attributes:
        at: location of its first word.
        image: image of the container.
        words: command and arguments after the image.
        options: options before the image, in order.
    """

    at: Location
    image: Word
    words: list[Word]
    options: list[Option] = field(default_factory=list)

    def all(self, *names: str) -> list[Option]:
        """Return the options of these names, in order."""
        return [option for option in self.options if option.name in names]

    def last(self, *names: str) -> Option | None:
        """Return the last option of these names, which overrides those before it; None if there is none."""
        return next(reversed(self.all(*names)), None)


def unreadable(headline: str, at: Location, value: str = "", help_: str = "") -> Rejected:
    """Return the rejection (FT543) of a command line that cannot be parsed."""
    return Rejected([error("FT543", headline, "", value, help_).at(at)])


def parse_docker_run(words: Sequence[Word]) -> DockerRun:
    """Parse a command line.

    Raises:
        Rejected: FT543, if it is no `docker run` with an image, or has an option that docker does not know; FT560,
            if only the caller's shell knows the image.
    """
    for word in words:
        if not word.text.isascii() and word.text != word.text.encode("utf-8", "ignore").decode("utf-8"):
            raise unreadable("a word of the command line is no UTF-8 text", word.at)
    rest, at = _after_run(list(words)), words[0].at
    options: list[Option] = []
    while rest and rest[0].text.startswith("-") and rest[0].text not in {"-", "--"}:
        options += _pop_options(rest)
    if rest and rest[0].text == "--":
        rest.pop(0)
    if not rest or not rest[0].text:
        raise unreadable("the docker run has no image", at, help_="write the image, and the command after it")
    if rest[0].unknown:
        raise Rejected([_unknown_image(rest[0])])
    return DockerRun(at, rest[0], rest[1:], options)


def _after_run(words: list[Word]) -> list[Word]:
    """Return the words after `docker run` or `docker container run`, skipping the program's own options."""
    program = words.pop(0).text.rpartition("/")[2] if words else ""
    while program in PROGRAMS and words and words[0].text.startswith("-"):
        option = words.pop(0).text
        if option in _GLOBAL and words:
            words.pop(0)
    verbs = [word.text for word in words[:2]]
    if program in PROGRAMS and verbs[:1] == ["run"]:
        return words[1:]
    if program in PROGRAMS and verbs == ["container", "run"]:
        return words[2:]
    at = words[0].at if words else Location("")
    raise unreadable("this is no `docker run` command line", at, " ".join((program, *verbs))[:60])


def _unknown_image(word: Word) -> Diagnostic:
    headline = f"{word.text} stands where the image is expected, and only the caller's shell knows what it is"
    return error("FT560", headline, value=word.text, help="write what it stands for").at(word.at)


def _pop_options(rest: list[Word]) -> Iterator[Option]:
    """Remove the first word, and the next one if it is its value; yield the options in them."""
    word = rest.pop(0)
    if word.text.startswith("--"):
        name, equals, value = word.text[2:].partition("=")
        yield from _long_option(_ALIASES.get(name, name), value if equals else None, word, rest)
    else:
        yield from _short_options(word, rest)


def _long_option(name: str, value: str | None, word: Word, rest: list[Word]) -> Iterator[Option]:
    if name in _SWITCHES:
        if (value or "true").lower() not in {"false", "0", "f"}:
            yield Option(name, "", word)
    elif name not in _VALUED:
        near = difflib.get_close_matches(name, sorted(_SWITCHES | _VALUED | _ALIASES.keys()), 1)
        cure = f"did you mean --{near[0]}?" if near else "remove it, or write its value with ="
        raise unreadable(f"docker run has no option --{name}", word.at, f"--{name}", cure)
    elif value is not None:
        yield Option(name, value, word)
    elif rest:
        following = rest.pop(0)
        yield Option(name, following.text, following)
    else:
        raise unreadable(f"docker run {word.text} lacks its value", word.at, word.text)


def _short_options(word: Word, rest: list[Word]) -> Iterator[Option]:
    """Parse short options: `-it` is two options, `-eA=1` and `-e=A=1` contain the value."""
    for end, letter in enumerate(word.text[1:], 2):
        name = _SHORT.get(letter)
        if name is None:
            raise unreadable(f"docker run has no option -{letter}", word.at, word.text)
        if name in _VALUED:
            yield from _long_option(name, word.text[end:].removeprefix("=") or None, word, rest)
            return
        if word.text[end : end + 1] == "=":
            yield from _long_option(name, word.text[end + 1 :], word, rest)
            return
        yield Option(name, "", word)
