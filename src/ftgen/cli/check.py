"""`ftgen check PATH…`: what is wrong with manifests, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from glob import has_magic, iglob
from pathlib import Path
from typing import Any

from ftgen import check, contract, kustomize, schema, yamlio
from ftgen.cli import output
from ftgen.cli.arguments import Arguments, Usage
from ftgen.cli.written import TreeLocks
from ftgen.diagnostics import Diagnostic, Location, Rejected, Severity, error, note
from ftgen.files import is_there
from ftgen.incremental import IncrementalByKind
from ftgen.spec import admit_facts
from ftgen.terms import CheckOptions
from ftgen.validation import UNKNOWN_FACT
from ftgen.validation.manifest import Companions, version_of

_SUFFIXES = (".yaml", ".yml", ".json")


def run(arguments: Arguments) -> int:
    """Check every manifest of the paths; 1 when an error was found."""
    if not arguments.overrides:
        raise Usage("check needs a PATH: files, folders or patterns, or - for standard input")
    names = list(files(arguments.overrides))
    parts = {name: user for name, user in kustomize.referenced_files(names).items() if name not in arguments.overrides}
    terms = replace(terms_of(arguments), companions=_companions(names))
    tally, written = _Tally(arguments), TreeLocks()
    for name in names:
        if name in parts:
            tally.take(((_part(name, parts[name]),), 0))
        else:
            tally.take(_checked(name, terms, written if not arguments.flags.cluster else None))
    return tally.close()


def _part(name: str, user: str) -> Diagnostic:
    """What is no object, though it may look like one: a patch, or a file that kustomize is configured with."""
    told = f"a part of {user}, and no object: it is not checked by itself"
    help_ = f"check what it builds: kubectl kustomize {Path(user).parent} | ftgen check -"
    return note(contract.UNKNOWN_KIND, told, help=help_).at(Location(name))


def _companions(names: Iterable[str]) -> dict[str, Companions]:
    """What jobs of other files may name, in all files; what is no file, a pipe, can be read only once."""
    found: dict[str, list[Companions]] = {}
    for name in (each for each in names if Path(each).is_file()):
        with suppress(Rejected):
            for namespace, there in check.companions_in(yamlio.read_text(Path(name), name), name).items():
                found.setdefault(namespace, []).append(there)
    return {namespace: Companions().joined(*there) for namespace, there in found.items()}


_PLACES = 4


@dataclass(slots=True)
class _Cause:
    """Findings that say the same of different places: the first of them, the first places, and how many there are."""

    first: Diagnostic
    places: list[Location] = field(default_factory=list)
    count: int = 0

    def add(self, found: Diagnostic) -> None:
        self.count += 1
        if len(self.places) < _PLACES:
            self.places += [place for place in found.locations if place not in self.places]

    def told(self) -> Diagnostic:
        """One finding for all of them."""
        if self.count == 1:
            return self.first
        headline = f"{self.first.headline} ({self.count} times)"
        return replace(self.first, headline=headline, locations=tuple(self.places[:_PLACES]))


def _cause(found: Diagnostic) -> tuple[str, ...]:
    """What findings have in common that one edit mends: all they say but the value."""
    texts = (found.headline, found.help)
    return (found.code, found.severity, *(text.replace(found.value, "") if found.value else text for text in texts))


class _Tally:
    """What was found so far, counted; told as it is found, but as text by cause when all is known."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.causes: dict[tuple[str, ...], _Cause] = {}
        self.lacking: dict[str, Diagnostic] = {}
        self.counts = {"file": 0, "object": 0, **dict.fromkeys(map(str, Severity), 0)}

    def take(self, checked: tuple[tuple[Diagnostic, ...], int]) -> None:
        diagnostics, objects = checked
        self.lacking = {d.subject: d for d in diagnostics if d.code == UNKNOWN_FACT} | self.lacking
        self._tell([d for d in diagnostics if d.code != UNKNOWN_FACT])
        self.counts["file"] += 1
        self.counts["object"] += objects

    def _tell(self, diagnostics: list[Diagnostic]) -> None:
        told = check.promote_warnings(diagnostics) if self.arguments.flags.strict else diagnostics
        for each in told:
            self.counts[str(each.severity)] += 1
        if self.arguments.flags.format != "text":
            output.print_diagnostics(told, self.arguments)
            return
        for each in told:
            self.causes.setdefault(_cause(each), _Cause(each)).add(each)

    def close(self) -> int:
        # A fact that nobody has stated is told once, however many manifests wanted it.
        self._tell(list(self.lacking.values()))
        if self.causes:
            output.print_diagnostics([cause.told() for cause in self.causes.values()], self.arguments)
        output.print_status(", ".join(f"{n} {what}{'s' * (n != 1)}" for what, n in self.counts.items()), self.arguments)
        return int(self.counts["error"] > 0)


def _checked(name: str, terms: CheckOptions, written: TreeLocks | None) -> tuple[tuple[Diagnostic, ...], int]:
    """What was found in a file, and the number of its objects; a file that cannot be read is one finding."""
    try:
        text = yamlio.read_stdin() if name == "-" else yamlio.read_text(Path(name), name)
        terms = written.terms(name, text, terms) if written else terms
        verdict = check.check(text, yamlio.STDIN if name == "-" else name, terms)
    except Rejected as rejected:
        return rejected.diagnostics, 0
    return verdict.diagnostics, verdict.objects


def files(paths: Iterable[str]) -> Iterator[str]:
    """The manifests that paths name, each once; folders are walked, hidden ones left out."""
    seen: set[str] = set()
    for path in paths:
        for name in _expanded(path):
            if name not in seen:
                seen.add(name)
                yield name


def _expanded(path: str) -> list[str]:
    """The files of one path; a path that names nothing is passed on, to be reported as missing."""
    if path != "-" and not Path(path).exists() and has_magic(path):
        matches = iglob(path, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        return sorted(name for match in matches for name in _expanded(match)) or [path]
    return _walked(Path(path)) if path != "-" and Path(path).is_dir() else [path]


def _walked(folder: Path) -> list[str]:
    found = (p for p in folder.rglob("*") if p.suffix in _SUFFIXES and is_there(p))
    visible = sorted(str(p) for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))
    if not visible:
        headline = f"there are no manifests in {folder}"
        help_ = "name a folder with .yaml or .json files"
        raise Rejected([error(yamlio.FILE, headline, help=help_).at(Location(str(folder)))])
    return visible


# Recording what rules read costs what reuse saves on some fifty jobs: of a shape with fewer, each is judged anew.
_WARMUP = 48


def terms_of(arguments: Arguments) -> CheckOptions:
    """What the flags say manifests are judged by: `--cluster` names an option, `--volcano-version` wins over it."""
    cluster = _cluster(arguments) if arguments.flags.cluster else {}
    facts = admit_facts(cluster.get("facts") or {})
    said = arguments.flags.volcano_version or cluster.get("volcano_version")
    release = str(said or schema.DEFAULT)
    try:
        version_of(release)
    except ValueError as problem:
        raise Usage(str(problem)) from None
    allowed = frozenset(cluster.get("allow") or ())
    security, own = str(cluster.get("pod_security") or ""), schema.imported(Path.cwd())
    call_for = IncrementalByKind(_WARMUP).for_manifest
    return CheckOptions(release, not said, facts, security, accepted=allowed, imported=own, call_for=call_for)


def _cluster(arguments: Arguments) -> Mapping[str, Any]:
    """The chosen option of the group cluster, as it is written: what it leaves open (`???`) is not asked for."""
    from ftgen.cli import request  # noqa: PLC0415 - brings Hydra, which only a cluster's option needs

    chosen = replace(arguments, overrides=(f"cluster={arguments.flags.cluster}",))
    with request.open_composer(chosen) as composer:
        shown = composer.show(composer.parse(chosen.overrides), "cluster", resolved=False)
    held = yamlio.parse(shown, "cluster")
    return held if isinstance(held, dict) else {}
