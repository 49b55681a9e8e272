"""Detection of the cards that a `docker run` exposes: their vendor and number, by the options' `hardware.visible`.

A flag that only one vendor's options list identifies the vendor.  A flag that several vendors share (`visible.shared`)
only counts cards.  Cards of no known vendor are refused: with the default hardware, the job would request another
vendor's resource.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from ftgen.diagnostics import Diagnostic, Rejected, error, warning
from ftgen.interop.importing.proposal import Options
from ftgen.interop.importing.shell import Word
from ftgen.text.shapes import mapping

NO_CARDS = "cpu"
"""Vendor of the hardware options without cards."""

_HIDING = frozenset({"", "none", "void", "-1", "no", "NoDevFiles"})
"""Values of a visible-devices variable that expose no card (NVIDIA's container toolkit; CUDA's programming guide)."""
_VISIBLE = re.compile(r"[A-Z][A-Z0-9_]*_VISIBLE_(?:DEVICES?|CARDS|MODULES|CORES|CHIPS)|ZE_AFFINITY_MASK")
_CDI = re.compile(r"(?P<domain>[a-z0-9][a-z0-9.-]*\.[a-z]+)/(?P<kind>[A-Za-z0-9_.-]+)=(?P<device>\S+)")
_RUNTIMES = re.compile(r"runc|crun|krun|youki|runsc|gvisor|sysbox-runc|kata\S*|io\.containerd\.\S+|/\S+")
"""Container runtimes that expose no cards."""
_NO_CARD = re.compile(
    r"/dev/(?:infiniband|fuse|kvm|net|snd|mem|shm|vfio|null|zero|u?random|loop|sd[a-z]|nvme|mapper|tty|pts|ptmx|console"
    r"|video|media|input|uinput|bus|usb|hugepages|cuse|hwrng|gdrdrv|vhost|tpm|rtc|watchdog|i2c|gpio|serial|mqueue"
    r"|knem|xpmem)(?![a-z]*gpu)"
)
"""Device files of a host that are no accelerators."""
_RANGE = re.compile(r"(\d{1,4})-(\d{1,4})")
_SLICE = re.compile(r"\d+:\d+|MIG-\S+")


class CardFlag(Struct, frozen=True):
    """A flag of a `docker run` that may expose cards to the container.

    Attributes:
        kind: `variable`, `file`, `mounted` (a file or folder of the host), `runtime`, `cdi` or `gpus`.
        name: name of the variable or runtime, path, or domain and kind of a CDI device.
        value: selected cards as written; empty if the flag selects none.
        word: word of the command line.
    """

    kind: str
    name: str
    value: str
    word: Word

    @property
    def spelled(self) -> str:
        """Return the flag as diagnostics quote it."""
        return {"runtime": f"--runtime {self.name}", "gpus": f"--gpus {self.value}"}.get(self.kind, self.name)


class Vendor(Struct):
    """A vendor, and how its hardware options expose cards to a container.

    Attributes:
        name: `hardware.vendor`.
        variables: environment variables that select cards.
        files: prefixes of its device files.
        driver: files and folders of its driver on the host.
        runtimes: container runtimes that expose its cards.
        shared: variables and files among these that other vendors use too.
        domains: domains of its resources and CDI devices.
    """

    name: str
    variables: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    driver: set[str] = field(default_factory=set)
    runtimes: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)

    def match(self, flag: CardFlag) -> str:
        """Return the variable, file prefix, driver path, runtime or CDI kind that a flag matches; empty if none."""
        if flag.kind == "variable":
            return flag.name if flag.name in self.variables else ""
        if flag.kind in {"file", "mounted"}:
            mounted = (path for path in self.driver if _within(flag.name, path))
            return max((*mounted, *(file for file in self.files if flag.name.startswith(file))), key=len, default="")
        if flag.kind == "runtime":
            return flag.name if flag.name in self.runtimes else ""
        domain, _, kind = flag.name.partition("/")
        named = self.name in {domain.partition(".")[0], kind}
        return flag.name if flag.kind == "cdi" and (domain in self.domains or named) else ""

    def owns(self, flag: CardFlag) -> bool:
        """Return whether only this vendor uses a flag."""
        return bool(mark := self.match(flag)) and mark not in self.shared


class Cards(Struct, frozen=True):
    """The cards that a command line exposes.

    Attributes:
        vendor: vendor of the cards; `NO_CARDS` if there are none.
        count: number of cards; 0 if unknown.
        diagnostics: warnings about the count.
    """

    vendor: str
    count: int = 0
    diagnostics: tuple[Diagnostic, ...] = ()


def vendors(options: Options) -> list[Vendor]:
    """Return every vendor of the hardware options except `NO_CARDS`."""
    found: dict[str, Vendor] = {}
    for content in options("hardware").values():
        name = str(content.get("vendor"))
        vendor = found.setdefault(name, Vendor(name, runtimes={name}))
        visible = mapping(content.get("visible"))
        vendor.variables |= set(visible.get("variables") or ())
        vendor.files |= set(visible.get("files") or ())
        vendor.driver |= set(visible.get("driver") or ())
        vendor.shared |= set(visible.get("shared") or ())
        vendor.runtimes |= {visible["runtime"]} if visible.get("runtime") else set()
        vendor.domains |= set(_domains(content))
    return [vendor for vendor in found.values() if vendor.name != NO_CARDS]


def _domains(option: Mapping[str, Any]) -> Iterator[str]:
    """Yield the domains of an option's resources and taints; the names of CDI devices begin with the same domain."""
    for name in (mapping(option.get("resources")).get("count"), *(option.get("taints") or ())):
        if isinstance(name, str) and "/" in name:
            yield name.partition("/")[0]


def card_flags(options: Iterable[tuple[str, str, Word]], vendors: Iterable[Vendor]) -> list[CardFlag]:
    """Return the flags that may expose cards among the options of a `docker run`, given as name, value and word.

    A mount is one only if it is part of a vendor's driver.
    """
    found = (flag for name, value, word in options for flag in _card_flags(name, value, word))
    known = tuple(vendors)
    return [flag for flag in found if flag.kind != "mounted" or any(vendor.match(flag) for vendor in known)]


def _card_flags(option: str, value: str, word: Word) -> Iterator[CardFlag]:
    """Yield the flags of an option; a value that only the caller's shell knows counts as `all`, an unknown number."""
    if option == "env":
        name, equals, cards = value.partition("=")
        yield from [CardFlag("variable", name, "all" if word.unknown else cards, word)] if equals else []
    elif option == "device" and (device := _CDI.fullmatch(value)):
        yield CardFlag("cdi", f"{device['domain']}/{device['kind']}", "all" if word.unknown else device["device"], word)
    elif option == "device":
        yield CardFlag("file", value.partition(":")[0], "", word)
    elif option == "gpus":
        yield CardFlag("gpus", "--gpus", "all" if word.unknown else value, word)
    elif option == "runtime" and not word.unknown:
        yield CardFlag("runtime", value, "", word)
    elif option == "volume":
        yield CardFlag("mounted", value.partition(":")[0], "", word)


def detect_cards(flags: list[CardFlag], vendors: list[Vendor], option_names: str) -> Cards:
    """Return the vendor and number of the cards that flags expose.

    Args:
        flags: the flags.
        vendors: vendors of the hardware options.
        option_names: names of the hardware options, for help.

    Raises:
        Rejected: FT558, if the flags belong to several vendors, or to none of these.
    """
    exposing = [flag for flag in flags if not _hides_cards(flag)]
    gpus = _gpus_vendors(exposing, vendors)
    owned = {v.name: (v, own) for v in vendors if (own := [f for f in exposing if v.owns(f) or gpus.get(f) is v])}
    owned = {n: (v, own) for n, (v, own) in owned.items() if not _covered_by_other(own, n, owned)}
    if len(owned) > 1:
        raise Rejected([_contradiction({name: own[0] for name, (_, own) in owned.items()}, option_names)])
    if owned:
        ((vendor, _),) = owned.values()
        return count_cards(vendor.name, flags, vendors)
    unowned = [flag for flag in exposing if _is_unowned(flag)]
    if unowned:
        raise Rejected([_unknown(flag, option_names) for flag in unowned])
    return Cards(NO_CARDS)


def _hides_cards(flag: CardFlag) -> bool:
    """Return whether a flag exposes no card explicitly."""
    return (flag.kind == "variable" and flag.value in _HIDING) or (flag.kind == "gpus" and _gpus_count(flag.value) == 0)


def _gpus_vendors(flags: list[CardFlag], vendors: list[Vendor]) -> dict[CardFlag, Vendor]:
    """Map each `--gpus` to its vendor: that of `--runtime` if there is one, else NVIDIA, as in Docker."""
    of_runtime = (v for flag in flags if flag.kind == "runtime" for v in vendors if v.match(flag))
    owner = next(of_runtime, next((vendor for vendor in vendors if vendor.name == "nvidia"), None))
    return {flag: owner for flag in flags if flag.kind == "gpus" and owner}


def count_cards(vendor: str, flags: list[CardFlag], vendors: list[Vendor]) -> Cards:
    """Return the number of cards of a given vendor that flags expose."""
    known = next((candidate for candidate in vendors if candidate.name == vendor), None)
    if known is None:
        return Cards(vendor)
    return _count(known, [flag for flag in flags if flag.kind == "gpus" or known.match(flag)])


def selects_cards(name: str, vendors: Iterable[Vendor]) -> bool:
    """Return whether a variable selects among a node's cards, which the device plugin does on a cluster."""
    return bool(_VISIBLE.fullmatch(name)) or any(name in vendor.variables for vendor in vendors)


def _covered_by_other(own: list[CardFlag], name: str, owned: Mapping[str, tuple[Vendor, list[CardFlag]]]) -> bool:
    """Return whether another vendor with own flags matches all of these too: CUDA's variable and /dev/mxcd."""
    return any(other != name and all(map(vendor.match, own)) for other, (vendor, _) in owned.items())


def _is_unowned(flag: CardFlag) -> bool:
    """Return whether a flag may expose cards although it belongs to no vendor."""
    if flag.kind == "variable":
        return bool(_VISIBLE.fullmatch(flag.name))
    if flag.kind == "file":
        return flag.name.startswith("/dev/") and not _NO_CARD.match(flag.name)
    if flag.kind == "runtime":
        return not _RUNTIMES.fullmatch(flag.name)
    return flag.kind == "cdi"


def _contradiction(owned: Mapping[str, CardFlag], option_names: str) -> Diagnostic:
    listed = " and ".join(f"{flag.spelled} of {name}" for name, flag in owned.items())
    places = [flag.word.at for flag in owned.values()]
    headline = f"the cards are of several vendors: {listed}"
    return error("FT558", headline, "hardware", help=_choose(option_names)).at(*places)


def _unknown(flag: CardFlag, option_names: str) -> Diagnostic:
    headline = f"{flag.spelled} shows cards, and no hardware option says whose they are"
    own = f"or describe them in conf/hardware/NAME.yaml with {_option_key(flag)}"
    return error("FT558", headline, "hardware", flag.name, f"{_choose(option_names)}; {own}").at(flag.word.at)


def _option_key(flag: CardFlag) -> str:
    """Return the key of a hardware option that claims a flag; files are named without their number."""
    if flag.kind == "cdi":
        return f"resources: {{count: {flag.name}}}"
    if flag.kind == "file":
        return f"visible: {{files: [{flag.name.rstrip('0123456789')}]}}"
    return f"visible: {{variables: [{flag.name}]}}" if flag.kind == "variable" else f"visible: {{runtime: {flag.name}}}"


def _choose(option_names: str) -> str:
    return (
        f"say whose they are with hardware=OPTION before the command or after the file; the options are {option_names}"
    )


def _count(vendor: Vendor, flags: list[CardFlag]) -> Cards:
    """Return the smallest number that the flags give: a variable selects among the cards that a device flag exposes."""
    counts = [count for count in (*_listed(flags), *_numbered(vendor, flags)) if count is not None]
    if counts and min(counts) == 0:
        return Cards(NO_CARDS)
    problems = [_slice(flag) for flag in flags if any(map(_SLICE.fullmatch, re.split(r"[,=\"']", flag.value)))]
    if flags and not counts:
        problems.append(_uncounted(vendor, flags))
    return Cards(vendor.name, min(counts, default=0), tuple(problems))


def _listed(flags: list[CardFlag]) -> Iterator[int | None]:
    """Yield the number of cards of each variable and `--gpus`, and of all CDI devices together; None for `all`."""
    yield from (_gpus_count(flag.value) for flag in flags if flag.kind == "gpus")
    yield from (_device_count(flag.value) for flag in flags if flag.kind == "variable")
    devices = [flag.value for flag in flags if flag.kind == "cdi"]
    if devices:
        yield _device_count(",".join(devices))


def _numbered(vendor: Vendor, flags: list[CardFlag]) -> Iterator[int]:
    """Yield the number of distinct numbered device files of each kind."""
    numbers: dict[str, set[str]] = {}
    for flag in flags:
        mark = vendor.match(flag) if flag.kind in {"file", "mounted"} else ""
        if mark and (number := re.fullmatch(r"\.?(\d+)", flag.name.removeprefix(mark))):
            numbers.setdefault(mark, set()).add(number[1])
    own = {mark: found for mark, found in numbers.items() if mark not in vendor.shared}
    yield from (len(found) for found in (own or numbers).values())


def _device_count(text: str) -> int | None:
    """Count the distinct cards of a list such as `0-3,5`; None for `all`."""
    if text.strip() in _HIDING:
        return 0
    found: set[str] = set()
    for token in filter(None, (part.strip() for part in text.split(","))):
        if token.lower() == "all":
            return None
        ends = _RANGE.fullmatch(token)
        found |= {str(n) for n in range(int(ends[1]), int(ends[2]) + 1)} if ends else {token}
    return len(found) or None


def _gpus_count(value: str) -> int | None:
    """Count the cards of a value of `--gpus`, parsed as Docker parses it; None for all of them."""
    fields = _gpus_fields(value)
    devices = [text for key, text in fields if key == "device"]
    if devices:
        return _device_count(",".join(devices))
    count = next((text.strip() for key, text in fields if key == "count"), "all")
    return int(count) if re.fullmatch(r"\d{1,6}", count) else 0 if count == "none" else None


def gpus_options(value: str) -> list[tuple[str, str]]:
    """Return the options of a value of `--gpus` that say nothing of the number of cards: a driver, capabilities."""
    return [(key, text) for key, text in _gpus_fields(value) if key not in {"count", "device"}]


def _gpus_fields(value: str) -> list[tuple[str, str]]:
    """Split a value of `--gpus` (docker/cli's opts/gpus.go); a part without a key continues a list, or is the count."""
    try:
        parts = next(csv.reader([value.strip("'")]), [])
    except csv.Error:
        return []
    fields: list[tuple[str, str]] = []
    for part in parts:
        key, equals, text = part.partition("=")
        continued = fields[-1][0] if fields and fields[-1][0] in {"device", "capabilities"} else "count"
        fields.append((key, text) if equals else (continued, key))
    return fields


def is_runtime_of(vendors: Iterable[Vendor], runtime: str, word: Word) -> bool:
    """Return whether a container runtime exposes a vendor's cards."""
    return any(vendor.match(CardFlag("runtime", runtime, "", word)) for vendor in vendors)


def _uncounted(vendor: Vendor, flags: list[CardFlag]) -> Diagnostic:
    flag = next((flag for flag in flags if flag.value.lower() == "all"), flags[0])
    quoted = f"{flag.name}={flag.value}" if flag.kind in {"variable", "cdi"} else flag.spelled
    headline = f"{quoted} does not say how many cards of {vendor.name} are meant; hardware.devices stays at its default"
    return warning(
        "FT559", headline, "hardware.devices", "", "set hardware.devices to the number of cards of a pod"
    ).at(flag.word.at)


def _slice(flag: CardFlag) -> Diagnostic:
    headline = f"{flag.spelled} names a slice of a card, and whole cards are asked for"
    return warning("FT559", headline, "hardware", flag.value, "choose an option of slices, such as nvidia-mig").at(
        flag.word.at
    )


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
