"""Whose cards a container is shown, and how many, by what the hardware options say of each vendor (`hardware.visible`).

A vendor is recognised by what is its own.  What several vendors' cards are shown by (`visible.shared`) counts cards and
contradicts nobody, but it says no vendor by itself.  Cards that no option knows are refused: given to the default
hardware, they would be asked for by another vendor's name.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ftgen.diagnostics import Diagnostic, Rejected, error, warning
from ftgen.importing.proposal import Options
from ftgen.importing.shell import Word

NO_CARDS = "cpu"
"""The vendor of the options without cards."""

_HIDING = frozenset({"", "none", "void", "-1", "no", "NoDevFiles"})
"""Values of a variable of visible cards that show none (NVIDIA's container toolkit; CUDA's programming guide)."""
_VISIBLE = re.compile(r"[A-Z][A-Z0-9_]*_VISIBLE_(?:DEVICES?|CARDS|MODULES|CORES|CHIPS)|ZE_AFFINITY_MASK")
_CDI = re.compile(r"(?P<domain>[a-z0-9][a-z0-9.-]*\.[a-z]+)/(?P<kind>[A-Za-z0-9_.-]+)=(?P<device>\S+)")
_RUNTIMES = re.compile(r"runc|crun|krun|youki|runsc|gvisor|sysbox-runc|kata\S*|io\.containerd\.\S+|/\S+")
"""Container runtimes that bring no cards."""
_NO_CARD = re.compile(
    r"/dev/(?:infiniband|fuse|kvm|net|snd|mem|shm|vfio|null|zero|u?random|loop|sd[a-z]|nvme|mapper|tty|pts|ptmx|console"
    r"|video|media|input|uinput|bus|usb|hugepages|cuse|hwrng|gdrdrv|vhost|tpm|rtc|watchdog|i2c|gpio|serial|mqueue"
    r"|knem|xpmem)(?![a-z]*gpu)"
)
"""Devices of a host that are no accelerators."""
_RANGE = re.compile(r"(\d{1,4})-(\d{1,4})")
_SLICE = re.compile(r"\d+:\d+|MIG-\S+")


@dataclass(frozen=True, slots=True)
class CardFlag:
    """Something in a command line that shows a container cards.

    Attributes:
        kind: `variable`, `file`, `mounted` (a file or folder of the host), `runtime`, `cdi` or `gpus`.
        name: of the variable, the path, the runtime, or the domain and kind of a CDI device.
        value: which cards, as the sign says it.
        word: where it stands.
    """

    kind: str
    name: str
    value: str
    word: Word

    @property
    def spelled(self) -> str:
        """As a sentence names it."""
        return {"runtime": f"--runtime {self.name}", "gpus": f"--gpus {self.value}"}.get(self.kind, self.name)


@dataclass(slots=True)
class Vendor:
    """What the hardware options of one vendor say of how a container is shown its cards."""

    name: str
    variables: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    driver: set[str] = field(default_factory=set)
    runtimes: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)

    def shows(self, flag: CardFlag) -> str:
        """What of the vendor's a sign is; empty where it is none."""
        if flag.kind == "variable":
            return flag.name if flag.name in self.variables else ""
        if flag.kind in {"file", "mounted"}:
            mounted = (each for each in self.driver if _within(flag.name, each))
            return max((*mounted, *(file for file in self.files if flag.name.startswith(file))), key=len, default="")
        if flag.kind == "runtime":
            return flag.name if flag.name in self.runtimes else ""
        domain, _, kind = flag.name.partition("/")
        named = self.name in {domain.partition(".")[0], kind}
        return flag.name if flag.kind == "cdi" and (domain in self.domains or named) else ""

    def owns(self, flag: CardFlag) -> bool:
        """Whether a sign is this vendor's alone."""
        return bool(mark := self.shows(flag)) and mark not in self.shared


@dataclass(frozen=True, slots=True)
class Cards:
    """What a container is shown.

    Attributes:
        vendor: whose cards; `NO_CARDS` where none are shown.
        count: how many; 0 where that is not told.
        diagnostics: what is to be said about it.
    """

    vendor: str
    count: int = 0
    diagnostics: tuple[Diagnostic, ...] = ()


def vendors(options: Options) -> list[Vendor]:
    """Every vendor of the hardware options."""
    found: dict[str, Vendor] = {}
    for content in options("hardware").values():
        name = str(content.get("vendor"))
        vendor = found.setdefault(name, Vendor(name, runtimes={name}))
        shown = _mapping(content.get("visible"))
        vendor.variables |= set(shown.get("variables") or ())
        vendor.files |= set(shown.get("files") or ())
        vendor.driver |= set(shown.get("driver") or ())
        vendor.shared |= set(shown.get("shared") or ())
        vendor.runtimes |= {shown["runtime"]} if shown.get("runtime") else set()
        vendor.domains |= set(_domains(content))
    return [vendor for vendor in found.values() if vendor.name != NO_CARDS]


def _domains(option: Mapping[str, Any]) -> Iterator[str]:
    """Whose resources an option asks for, by the domain in their names: CDI devices are named by it too."""
    for name in (_mapping(option.get("resources")).get("count"), *(option.get("taints") or ())):
        if isinstance(name, str) and "/" in name:
            yield name.partition("/")[0]


def card_flags(options: Iterable[tuple[str, str, Word]], known: Iterable[Vendor]) -> list[CardFlag]:
    """Return what shows cards among the options of a `docker run`, each by name and value with its word."""
    found = (flag for name, value, word in options for flag in _card_flags(name, value, word))
    makers = tuple(known)
    return [s for s in found if s.kind != "mounted" or any(v.shows(s) for v in makers)]


def _card_flags(option: str, value: str, word: Word) -> Iterator[CardFlag]:
    """What an option shows; how many cards a variable of the caller's shell means is as open as `all`."""
    if option == "env":
        name, equals, shown = value.partition("=")
        yield from [CardFlag("variable", name, "all" if word.unknown else shown, word)] if equals else []
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


def detect_cards(shown: list[CardFlag], known: list[Vendor], places: str) -> Cards:
    """Return whose cards the signs show, and how many.

    Args:
        shown: the signs.
        known: the vendors that there are options for.
        places: the option names to choose from, for help.

    Raises:
        Rejected: FT558, when the signs are of several vendors, or of one that no option knows.
    """
    seen = [flag for flag in shown if not _hides(flag)]
    asked = _gpus(seen, known)
    voted = {v.name: (v, own) for v in known if (own := [s for s in seen if v.owns(s) or asked.get(s) is v])}
    voted = {n: (v, own) for n, (v, own) in voted.items() if not _claimed(own, n, voted)}
    if len(voted) > 1:
        raise Rejected([_contradiction({name: own[0] for name, (_, own) in voted.items()}, places)])
    if voted:
        ((vendor, _),) = voted.values()
        return count_cards(vendor.name, shown, known)
    strange = [flag for flag in seen if _is_strange(flag)]
    if strange:
        raise Rejected([_unknown(flag, places) for flag in strange])
    return Cards(NO_CARDS)


def _hides(flag: CardFlag) -> bool:
    """Whether a sign says that no card is shown."""
    return (flag.kind == "variable" and flag.value in _HIDING) or (flag.kind == "gpus" and _asked(flag.value) == 0)


def _gpus(shown: list[CardFlag], known: list[Vendor]) -> dict[CardFlag, Vendor]:
    """Return whose cards `--gpus` asks for: those of the runtime that is named, else NVIDIA's, as Docker has it."""
    told = (v for flag in shown if flag.kind == "runtime" for v in known if v.shows(flag))
    owner = next(told, next((vendor for vendor in known if vendor.name == "nvidia"), None))
    return {flag: owner for flag in shown if flag.kind == "gpus" and owner}


def count_cards(vendor: str, shown: list[CardFlag], known: list[Vendor]) -> Cards:
    """Return how many cards of the vendor that the user chose are shown."""
    mine = next((each for each in known if each.name == vendor), None)
    if mine is None:
        return Cards(vendor)
    return _counted(mine, [flag for flag in shown if flag.kind == "gpus" or mine.shows(flag)])


def selects_cards(name: str, known: Iterable[Vendor]) -> bool:
    """Whether a variable chooses among a node's cards, which is the device plugin's business on a cluster."""
    return bool(_VISIBLE.fullmatch(name)) or any(name in vendor.variables for vendor in known)


def _claimed(own: list[CardFlag], name: str, voted: Mapping[str, tuple[Vendor, list[CardFlag]]]) -> bool:
    """Whether another vendor with a sign of its own shows all these signs too: CUDA's variable beside /dev/mxcd."""
    return any(other != name and all(map(vendor.shows, own)) for other, (vendor, _) in voted.items())


def _is_strange(flag: CardFlag) -> bool:
    """Whether a sign may show cards that no option knows for its own."""
    if flag.kind == "variable":
        return bool(_VISIBLE.fullmatch(flag.name))
    if flag.kind == "file":
        return flag.name.startswith("/dev/") and not _NO_CARD.match(flag.name)
    if flag.kind == "runtime":
        return not _RUNTIMES.fullmatch(flag.name)
    return flag.kind == "cdi"


def _contradiction(voted: Mapping[str, CardFlag], places: str) -> Diagnostic:
    told = " and ".join(f"{flag.spelled} of {name}" for name, flag in voted.items())
    places_ = [flag.word.at for flag in voted.values()]
    headline = f"the cards are of several vendors: {told}"
    return error("FT558", headline, "hardware", help=_choose(places)).at(*places_)


def _unknown(flag: CardFlag, places: str) -> Diagnostic:
    headline = f"{flag.spelled} shows cards, and no hardware option says whose they are"
    own = f"or describe them in conf/hardware/NAME.yaml with {_described(flag)}"
    return error("FT558", headline, "hardware", flag.name, f"{_choose(places)}; {own}").at(flag.word.at)


def _described(flag: CardFlag) -> str:
    """What a hardware option says by which the sign is its own; files are named without their number."""
    if flag.kind == "cdi":
        return f"resources: {{count: {flag.name}}}"
    if flag.kind == "file":
        return f"visible: {{files: [{flag.name.rstrip('0123456789')}]}}"
    return f"visible: {{variables: [{flag.name}]}}" if flag.kind == "variable" else f"visible: {{runtime: {flag.name}}}"


def _choose(places: str) -> str:
    return f"say whose they are with hardware=OPTION before the command or after the file; the options are {places}"


def _counted(vendor: Vendor, shown: list[CardFlag]) -> Cards:
    """Return the smallest number that the signs name: a variable chooses among the cards that a device flag gives."""
    counts = [count for count in (*_listed(shown), *_numbered(vendor, shown)) if count is not None]
    if counts and min(counts) == 0:
        return Cards(NO_CARDS)
    told = [_slice(flag) for flag in shown if any(map(_SLICE.fullmatch, re.split(r"[,=\"']", flag.value)))]
    if shown and not counts:
        told.append(_uncounted(vendor, shown))
    return Cards(vendor.name, min(counts, default=0), tuple(told))


def _listed(shown: list[CardFlag]) -> Iterator[int | None]:
    """How many cards each variable and `--gpus` names, and all CDI devices together."""
    yield from (_asked(flag.value) for flag in shown if flag.kind == "gpus")
    yield from (_tokens(flag.value) for flag in shown if flag.kind == "variable")
    devices = [flag.value for flag in shown if flag.kind == "cdi"]
    if devices:
        yield _tokens(",".join(devices))


def _numbered(vendor: Vendor, shown: list[CardFlag]) -> Iterator[int]:
    """How many cards the numbered device files of each kind show."""
    numbers: dict[str, set[str]] = {}
    for flag in shown:
        mark = vendor.shows(flag) if flag.kind in {"file", "mounted"} else ""
        if mark and (number := re.fullmatch(r"\.?(\d+)", flag.name.removeprefix(mark))):
            numbers.setdefault(mark, set()).add(number[1])
    own = {mark: found for mark, found in numbers.items() if mark not in vendor.shared}
    yield from (len(found) for found in (own or numbers).values())


def _tokens(text: str) -> int | None:
    """How many different cards a list such as `0-3,5` names; `None` for `all`."""
    if text.strip() in _HIDING:
        return 0
    found: set[str] = set()
    for token in filter(None, (part.strip() for part in text.split(","))):
        if token.lower() == "all":
            return None
        ends = _RANGE.fullmatch(token)
        found |= {str(n) for n in range(int(ends[1]), int(ends[2]) + 1)} if ends else {token}
    return len(found) or None


def _asked(value: str) -> int | None:
    """How many cards `--gpus` asks for, read as Docker reads it; `None` for all of them."""
    try:
        fields = next(csv.reader([value.strip("'")]), [])
    except csv.Error:
        return None
    devices: list[str] = []
    for part in fields:
        key, equals, said = part.partition("=")
        if key == "device" or (devices and not equals):
            devices.append(said if equals else key)
        elif key == "count" or not equals:
            count = (said if equals else key).strip()
            return int(count) if re.fullmatch(r"\d{1,6}", count) else 0 if count == "none" else None
    return _tokens(",".join(devices)) if devices else None


def _uncounted(vendor: Vendor, shown: list[CardFlag]) -> Diagnostic:
    flag = next((each for each in shown if each.value.lower() == "all"), shown[0])
    said = f"{flag.name}={flag.value}" if flag.kind in {"variable", "cdi"} else flag.spelled
    headline = f"{said} does not say how many cards of {vendor.name} are meant; hardware.devices stays at its default"
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


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
