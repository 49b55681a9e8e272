"""Mounts of a `docker run`: `-v`, `--mount` and `--tmpfs`, with every option that a pod has, and a list of the others.

An option that neither docker, podman nor nerdctl knows is refused, as they refuse it.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from ftgen.diagnostics import Rejected
from ftgen.interop.importing.flags import DockerRun, Option, unreadable
from ftgen.interop.importing.manifest import binary

_TYPES = frozenset({"bind", "volume", "tmpfs"})
_PROPAGATION = {"rprivate": "", "rslave": "HostToContainer", "rshared": "Bidirectional"}
"""Propagation of a mount as Kubernetes calls it (containerd mounts None as rprivate); it has no other."""
_OTHER_PROPAGATION = frozenset({"private", "shared", "slave", "unbindable", "runbindable"})
_ALIKE = frozenset(
    {
        *("rw", "readwrite", "rbind", "dev", "exec", "suid", "async", "atime", "diratime", "relatime", "defaults"),
        *("nocopy", "volume-nocopy", "notmpcopyup", "bind-recursive=enabled", "bind-recursive=writable"),
    }
)
"""Options that say what every mount of a pod is: nothing of the image is copied, and folders have their own mounts."""
_MODES = frozenset(
    {
        *("ro", "rw", "z", "Z", "copy", "nocopy", "consistent", "cached", "delegated"),
        # podman and nerdctl
        *("U", "O", "dev", "nodev", "exec", "noexec", "suid", "nosuid", "bind", "rbind", "rro"),
        *("idmap", "upperdir", "workdir"),
    }
    | _PROPAGATION.keys()
    | _OTHER_PROPAGATION
)
"""Modes of `-v` (moby's linux_parser.go, podman-run(1), nerdctl's command reference)."""
_PLACES = frozenset({"type", "source", "src", "target", "dst", "destination"})
_FLAGS = frozenset(
    {
        *("readonly", "ro", "bind-nonrecursive", "bind-create-src", "volume-nocopy"),
        # podman
        *("rw", "readwrite", "u", "chown", "idmap", "no-dereference", "tmpcopyup", "notmpcopyup", "noswap", "z"),
        *("dev", "nodev", "exec", "noexec", "suid", "nosuid"),
    }
    | _PROPAGATION.keys()
    | _OTHER_PROPAGATION
)
_VALUED = frozenset(
    {
        *("consistency", "bind-propagation", "bind-recursive", "volume-subpath", "volume-label", "volume-driver"),
        *("volume-opt", "tmpfs-size", "tmpfs-mode"),
        *("relabel", "subpath"),  # podman
    }
)
"""Keys of `--mount` (docker/cli's opts/mount.go, podman-run(1)): `_FLAGS` need no value."""
_TMPFS = frozenset(
    {
        *("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "ro", "rw", "defaults", "sync", "async"),
        *("suid", "nosuid", "dev", "nodev", "exec", "noexec", "dirsync", "remount", "mand", "nomand", "atime"),
        *("noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime"),
        *("bind", "rbind", "tmpcopyup", "notmpcopyup", "noswap", "huge", "U"),
    }
    | _PROPAGATION.keys()
    | _OTHER_PROPAGATION
)
"""Options of `--tmpfs` (moby/sys/mount's MergeTmpfsOptions, podman-run(1))."""
_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Mount(Struct, frozen=True):
    """A mount of a container.

    Attributes:
        source: path on the node, name of a volume, or empty for a new one.
        path: mount path in the container.
        read_only: whether the container may not write.
        memory: whether the medium is memory.
        size: size limit as a quantity; empty for none.
        subpath: path within the volume; empty for all of it.
        propagation: propagation of mounts below it, as Kubernetes calls it; empty for none.
        creates: whether a folder is made on the node where none is.
        lost: its options that no pod has.
        option: option that declares the mount.
    """

    source: str
    path: str
    read_only: bool
    option: Option
    memory: bool = False
    size: str = ""
    subpath: str = ""
    propagation: str = ""
    creates: bool = False
    lost: tuple[str, ...] = ()

    def unprivileged(self) -> Mount:
        """Return the mount of a container without privileges, whose own mounts Kubernetes propagates nowhere."""
        is_shared = self.propagation == "Bidirectional"
        return replace(self, propagation="", lost=(*self.lost, "rshared")) if is_shared else self


def size(option: Option, text: str) -> str:
    """Convert a size of Docker (`16g`, `1.5gb`, `512MiB`, bytes) to a quantity (docker/go-units, RAMInBytes).

    It is empty for 0, by which Docker means none.
    """
    match = re.fullmatch(r"(\d{1,15})(?:\.(\d{1,9}))? ?([kmgtp]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise unreadable(f"{text!r} is no size that docker knows", option.word.at, text, "write one such as 16g")
    unit = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}[match[3]]
    amount = int(Fraction(f"{match[1]}.{match[2] or 0}") * unit)
    return binary(Fraction(amount)) if amount else ""


def mounts(run: DockerRun) -> list[Mount]:
    """Return the mounts of a command line, in the order of its options; refuse two at one path (FT543)."""
    parsers: dict[str, Callable[[Option], Mount]] = {"volume": _volume_mount, "mount": _long_mount, "tmpfs": _tmpfs}
    found = [parsers[option.name](option) for option in run.options if option.name in parsers]
    for index, mount in enumerate(found):
        if any(mount.path == other.path for other in found[:index]):
            raise unreadable(f"two mounts lie at {mount.path}", mount.option.word.at, mount.path, "keep one of them")
    return found if run.all("privileged") else [mount.unprivileged() for mount in found]


def _volume_mount(option: Option) -> Mount:
    """Parse `-v [SOURCE:]PATH[:MODES]`."""
    source, *rest = option.value.split(":")
    path, modes = (rest[0], rest[1:]) if rest else (source, [])
    if not path.startswith("/") or (rest and not source) or len(modes) > 1:
        cure = "write -v SOURCE:PATH with an absolute path in the container"
        raise unreadable(f"-v {option.value} names no path in the container", option.word.at, option.value, cure)
    words = modes[0].split(",") if modes else []
    _refuse_unknown(option, words, _MODES)
    named = _named(option, source) if rest and not source.startswith("/") else source if rest else ""
    read_only = not {"ro", "rro"}.isdisjoint(words)
    return Mount(named, path, read_only, option, propagation=_propagation(words), lost=_lost(words, {"ro"}))


def _named(option: Option, source: str) -> str:
    """Return the name of a volume, or the caller's own path; refuse (FT543) what docker takes for neither."""
    if not is_caller_path(source) and not _VOLUME_NAME.fullmatch(source):
        cure = "write an absolute path for a folder of the node, and -v or type=bind"
        raise unreadable(f"{source} is no name of a volume", option.word.at, source, cure)
    return source


def _long_mount(option: Option) -> Mount:
    """Parse `--mount type=bind,source=/a,target=/b`, a line of CSV."""
    pairs = list(_pairs(option))
    values = dict(pairs)
    path = values.get("target") or values.get("dst") or values.get("destination") or ""
    source = values.get("source") or values.get("src") or ""
    kind = values.get("type", "volume").lower()
    _refuse_no_mount(option, kind, source, path)
    words = list(_words(option, kind, pairs))
    subpath = values.get("volume-subpath") or values.get("subpath") or ""
    if kind == "volume" and source:
        _named(option, source)
    if subpath and not source:
        raise unreadable("a subpath needs the name of a volume", option.word.at, subpath, "write source=VOLUME")
    limit = size(option, values["tmpfs-size"]) if values.get("tmpfs-size") else ""
    return Mount(
        source,
        path,
        not {"readonly", "ro"}.isdisjoint(words),
        option,
        memory=kind == "tmpfs",
        size=limit,
        subpath=subpath,
        propagation=_propagation(words),
        creates="bind-create-src" in words,
        lost=_lost(words, {"readonly", "ro", "bind-create-src"}),
    )


def _pairs(option: Option) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of a `--mount`."""
    try:
        fields = next(csv.reader([option.value]), [])
    except csv.Error:
        fields = []
    for field in fields:
        key, _, value = field.partition("=")
        yield key.strip().lower(), value


def _refuse_no_mount(option: Option, kind: str, source: str, path: str) -> None:
    """Refuse (FT543) a `--mount` without a place, of a type that no pod has, or from what is no source of its type."""
    is_folder = source.startswith("/") or is_caller_path(source)
    wrong_source = {"bind": not is_folder, "volume": source.startswith("/"), "tmpfs": bool(source)}
    if not path.startswith("/") or wrong_source.get(kind, True):
        cure = "write --mount type=bind,source=FOLDER,target=PATH"
        raise unreadable(f"--mount {option.value} is no mount that a pod can have", option.word.at, option.value, cure)


def _words(option: Option, kind: str, pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the options of a `--mount`: a flag by its name if it is on, a propagation by its own.

    Raises:
        Rejected: FT543, if an option does not exist, is another type's, or has a value that docker refuses.
    """
    for key, value in pairs:
        _refuse_unknown(option, [key], _FLAGS | _VALUED | _PLACES)
        owner, dash, _ = key.partition("-")
        if dash and owner in _TYPES - {kind}:
            raise unreadable(f"{key} is no option of type={kind}", option.word.at, key, f"write type={owner}")
        if key in _FLAGS:
            yield from _flag(option, key, value)
        elif key == "bind-propagation":
            _refuse_unknown(option, [value], _PROPAGATION.keys() | _OTHER_PROPAGATION)
            yield value
        elif key not in _PLACES | {"volume-subpath", "subpath", "tmpfs-size"}:
            yield f"{key}={value}"


def _flag(option: Option, key: str, value: str) -> Iterator[str]:
    if value.lower() in {"", "true", "1"}:
        yield key
    elif key == "idmap":
        yield f"{key}={value}"
    elif value.lower() not in {"false", "0"}:
        raise unreadable(f"{key} is true or false, not {value}", option.word.at, value, f"write {key}=true")
    elif key in {"rw", "readwrite"}:
        yield "ro"


def _tmpfs(option: Option) -> Mount:
    """Parse `--tmpfs PATH[:OPTIONS]`."""
    path, _, text = option.value.partition(":")
    if not path.startswith("/"):
        raise unreadable(f"--tmpfs {option.value} names no path in the container", option.word.at, option.value)
    words = list(filter(None, text.split(",")))
    _refuse_unknown(option, words, _TMPFS)
    last = dict(word.partition("=")[::2] for word in words).get("size", "")
    limit = size(option, last) if last and not last.endswith("%") else ""
    kept = {"ro", *(word for word in words if word.startswith("size=") and not word.endswith("%"))}
    return Mount(
        "",
        path,
        "ro" in words,
        option,
        memory=True,
        size=limit,
        propagation=_propagation(words),
        lost=_lost(words, kept),
    )


def _refuse_unknown(option: Option, words: Iterable[str], known: Iterable[str]) -> None:
    """Refuse (FT543) the first option of a mount whose name is not known."""
    for word in words:
        if (name := word.partition("=")[0]) not in known:
            raise _unknown(option, name, sorted(known))


def _unknown(option: Option, name: str, known: list[str]) -> Rejected:
    near = difflib.get_close_matches(name, known, 1)
    cure = f"did you mean {near[0]}?" if near else f"remove it; there are {', '.join(known)}"
    return unreadable(f"a mount has no option {name!r}", option.word.at, name, cure)


def _propagation(words: Iterable[str]) -> str:
    return next((_PROPAGATION[word] for word in words if word in _PROPAGATION), "")


def _lost(words: Iterable[str], kept: set[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in kept | _ALIKE | _PROPAGATION.keys())


def is_caller_path(source: str) -> bool:
    """Return whether a source is relative to the caller's working or home directory, which nobody else knows."""
    return source.startswith((".", "~"))


def lost_help(mount: Mount) -> str:
    """Return what to write for the options of a mount that no pod has; empty if there is nothing."""
    names = {word: word.partition("=")[0] for word in mount.lost}
    found = (_INSTEAD.get(word) or _INSTEAD.get(name) for word, name in names.items())
    return next(filter(None, found), "")


_INSTEAD = {
    "rshared": "add --privileged, which Kubernetes asks for, or set mountPropagation in the overlay",
    "bind-recursive=readonly": "set recursiveReadOnly: Enabled in the overlay",
    "rro": "set recursiveReadOnly: Enabled in the overlay",
    "size": "write a size, such as size=1g",
    "volume-driver": "the claim's storage class says what it is made of",
    "volume-opt": "the claim's storage class says what it is made of",
    "volume-label": "set labels where you create the claim",
    "mode": "every user may write to a volume in memory; set another mode in the command",
    "tmpfs-mode": "every user may write to a volume in memory; set another mode in the command",
}
