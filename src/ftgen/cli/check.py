"""`ftgen check PATH…`: validate manifests, whoever wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from glob import escape, has_magic, iglob
from operator import itemgetter
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen import schema
from ftgen.cli import output, progress
from ftgen.cli.arguments import Arguments, Usage
from ftgen.cli.written import TreeLocks
from ftgen.diagnostics import Diagnostic, Location, Rejected, Severity, error, note
from ftgen.interop.kustomization import referenced_files
from ftgen.output import tree
from ftgen.schema import conform
from ftgen.schema.version import version_of
from ftgen.spec import admit_facts
from ftgen.text import yamlio
from ftgen.text.files import LARGEST, below, displayed, is_folder, is_visible, manifests, unreadable
from ftgen.validation import UNKNOWN_FACT, check, site
from ftgen.validation.incremental import IncrementalCheck
from ftgen.validation.inventory import Inventory, inventory_in, read_snapshot
from ftgen.validation.manifest import Companions
from ftgen.validation.options import CheckOptions


def run(arguments: Arguments) -> int:
    """Check every manifest of the paths; return 1 when there is an error, else 0."""
    if not arguments.overrides:
        raise Usage("check needs a PATH: files, folders or patterns, or - for standard input")
    places = dict(files(arguments.overrides))
    names = list(places)
    parts = {name: user for name, user in referenced_files(names).items() if name not in arguments.overrides}
    texts = _Texts(places, keeps_manifests=arguments.flags.server)
    options = _with_objects(check_options(arguments), progress.over(names, "reading", "files", arguments), texts)
    results, written = _Results(arguments), TreeLocks()
    results.report(list(_substituted(options)))
    for name in progress.over(names, "checking", "files", arguments):
        if name in parts:
            results.add(((_part(name, parts[name]),), 0))
        else:
            results.add(_checked(name, options, written if not arguments.flags.cluster else None, texts, arguments))
    if arguments.flags.server:
        results.report(_answered(texts, results, arguments))
    return results.close(_believed(options, written))


def _answered(texts: _Texts, results: _Results, arguments: Arguments) -> list[Diagnostic]:
    """Return what the API server says, or why it cannot be asked: what ftgen found is told in either case."""
    from ftgen.cli import server  # noqa: PLC0415 - only those who ask for it wait for a cluster

    with progress.steps(arguments) as step:
        step("asking the API server")
        try:
            return server.diagnostics(texts.manifests, results.found, arguments)
        except Rejected as rejected:
            return [*rejected.diagnostics]


def _believed(options: CheckOptions, written: TreeLocks) -> str:
    """Return what was believed although no flag names it, for a clone may bring it; empty where nothing was."""
    trees = [
        f"what {displayed(root / tree.LOCK_NAME, Path())} records of {count} file{'s' * (count != 1)}"
        for root, count in written.used.items()
    ]
    found = [*trees, "schemas/" if options.imported else "", "rules/" if options.rules.rules else ""]
    return ", ".join(filter(None, found))


def _substituted(options: CheckOptions) -> Iterator[Diagnostic]:
    """Yield a note for each release in the options for which the schemas of an older line stand in."""
    volcano, kubernetes = options.volcano_version, options.kubernetes_version
    told = (
        schema.substitution("Volcano", volcano, schema.release(volcano)),
        schema.substitution("Kubernetes", kubernetes, schema.kubernetes_release(kubernetes)),
    )
    yield from (note("FT264", headline) for headline in told if headline)


def _part(name: str, user: str) -> Diagnostic:
    """Return a note that a file is not checked: a patch or other input of a kustomization, and no object."""
    headline = f"a part of {user}, and no object: it is not checked by itself"
    help_ = f"check what it builds: kubectl kustomize {Path(user).parent} | ftgen check -"
    return note(conform.UNKNOWN_KIND, headline, help=help_).at(Location(name))


class _Texts:
    """Reader of the files to check, which are looked through for objects first: most are read once.

    Attributes:
        manifests: texts of the manifests by name, for those who ask the API server about them.
    """

    def __init__(self, places: Mapping[str, Path | None], *, keeps_manifests: bool) -> None:
        self.manifests: dict[str, str] = {}
        self._places = places
        self._keeps_manifests = keeps_manifests
        self._read: dict[str, str] = {}
        self._room = LARGEST

    def read(self, name: str) -> str:
        """Return the text of a file; keep it for `take` as long as all kept are no larger than one file may be."""
        text = self._text(name)
        self._room -= len(text)
        if self._room >= 0:
            self._read[name] = text
        return text

    def take(self, name: str) -> str:
        """Return the text of a file or of standard input, for the last time.

        Raises:
            Rejected: it cannot be read.
        """
        if name == "-":
            return yamlio.read_stdin()
        return self._read.pop(name) if name in self._read else self._text(name)

    def _text(self, name: str) -> str:
        return yamlio.read_text(Path(name), name, within=self._places[name])

    def add_manifest(self, name: str, text: str) -> None:
        """Keep the text of a manifest, if anybody will ask about it."""
        if self._keeps_manifests:
            self.manifests[name] = text


def _with_objects(options: CheckOptions, names: Iterable[str], texts: _Texts) -> CheckOptions:
    """Return the options with the objects of all files that jobs refer to; skip pipes, which can be read only once."""
    companions: dict[str, list[Companions]] = {}
    saved = [options.inventory] if options.inventory else []
    for name in (candidate for candidate in names if Path(candidate).is_file()):
        with suppress(Rejected):
            text = texts.read(name)
            saved.append(inventory_in(text, name))
            for namespace, found in check.companions_in(text, name).items():
                companions.setdefault(namespace, []).append(found)
    joined = {namespace: Companions().joined(*found) for namespace, found in companions.items()}
    inventory = Inventory().joined(*saved)
    known = inventory if inventory.objects or inventory.complete else None
    return replace(options, companions=joined, inventory=known)


_PLACES = 4


class _Group(Struct):
    """Findings of one cause at different locations: the first finding, the first locations, and their number."""

    first: Diagnostic
    places: list[Location] = field(default_factory=list)
    count: int = 0

    def add(self, found: Diagnostic) -> None:
        self.count += 1
        if len(self.places) < _PLACES:
            self.places += [place for place in found.locations if place not in self.places]

    def summary(self) -> Diagnostic:
        """Return one diagnostic for all findings of the group."""
        if self.count == 1:
            return self.first
        headline = f"{self.first.headline} ({self.count} times)"
        return replace(self.first, headline=headline, locations=tuple(self.places[:_PLACES]))


def _group_key(found: Diagnostic) -> tuple[str, ...]:
    """Return the key that findings of one cause share: code, severity, and the texts without the value."""
    texts = (found.headline, found.help)
    return (found.code, found.severity, *(text.replace(found.value, "") if found.value else text for text in texts))


class _Results:
    """Printer and counter of findings: prints machine-readable forms at once, and text by cause at the end."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.groups: dict[tuple[str, ...], _Group] = {}
        self.unknown_facts: dict[str, Diagnostic] = {}
        self.found: list[Diagnostic] = []
        self.counts = {"file": 0, "object": 0, **dict.fromkeys(map(str, Severity), 0)}

    def add(self, checked: tuple[tuple[Diagnostic, ...], int]) -> None:
        diagnostics, objects = checked
        self.unknown_facts = {d.subject: d for d in diagnostics if d.code == UNKNOWN_FACT} | self.unknown_facts
        self.report([d for d in diagnostics if d.code != UNKNOWN_FACT])
        self.counts["file"] += 1
        self.counts["object"] += objects

    def report(self, diagnostics: list[Diagnostic]) -> None:
        found = check.promote_warnings(diagnostics) if self.arguments.flags.strict else diagnostics
        self.found += found
        for diagnostic in found:
            self.counts[str(diagnostic.severity)] += 1
        if self.arguments.flags.format != "text":
            output.print_diagnostics(found, self.arguments)
            return
        for diagnostic in found:
            self.groups.setdefault(_group_key(diagnostic), _Group(diagnostic)).add(diagnostic)

    def close(self, believed: str) -> int:
        """Print what is left, and the sum; return the exit code."""
        # An unknown fact is reported once, however many manifests need it.
        self.report(list(self.unknown_facts.values()))
        if self.groups:
            output.print_diagnostics([group.summary() for group in self.groups.values()], self.arguments)
        if believed and self.counts["object"]:
            output.print_status(f"judged with {believed}", self.arguments)
        output.print_status(", ".join(f"{n} {what}{'s' * (n != 1)}" for what, n in self.counts.items()), self.arguments)
        return int(self.counts["error"] > 0)


def _checked(
    name: str, options: CheckOptions, written: TreeLocks | None, texts: _Texts, arguments: Arguments
) -> tuple[tuple[Diagnostic, ...], int]:
    """Return the findings of a file and the number of its objects.  An unreadable file is a finding."""
    file = yamlio.STDIN if name == "-" else name
    try:
        text = texts.take(name)
        if Path(name).parent.name == site.FOLDER and site.are_rules(yamlio.documents(text, name)):
            from ftgen.cli import rules  # noqa: PLC0415 - loads the compiler, which only samples of rules need

            return rules.judge(name, arguments, check.context_of(options)), 0
        texts.add_manifest(file, text)
        options = written.options(name, text, options) if written else options
        verdict = check.check(text, file, options)
    except Rejected as rejected:
        return rejected.diagnostics, 0
    return verdict.diagnostics, verdict.objects


def files(paths: Iterable[str]) -> Iterator[tuple[str, Path | None]]:
    """Yield the manifests that paths name, each once; walk folders, except hidden ones.

    Yields:
        the file, and the folder that what it leads to must lie in; None where the user named the file itself.
    """
    seen: set[str] = set()
    for path in paths:
        for name, within in _expanded(path):
            if name not in seen:
                seen.add(name)
                yield name, within


def _expanded(path: str) -> list[tuple[str, Path | None]]:
    """Return the files of one path; keep a path that matches nothing, to be reported as missing."""
    if path != "-" and not Path(path).exists() and "\0" not in path and has_magic(path):
        try:
            matches = list(_matching(path))
        except OSError as problem:
            raise unreadable(problem.filename, problem) from None
        return sorted((f for match in matches for f in _expanded(match)), key=itemgetter(0)) or [(path, None)]
    return _walked(Path(path)) if path != "-" and Path(path).is_dir() else [(path, None)]


def _matching(pattern: str) -> Iterator[str]:
    """Yield the paths that match a pattern, in which `**` stands for any folders; follow no link below those.

    `glob` calls itself for each folder that `**` stands for, and follows links out of a clone.
    """
    found = _ANY_FOLDERS.search(pattern)
    if found is None:
        yield from iglob(pattern)  # noqa: PTH207 - Path.glob takes no absolute pattern
        return
    stem, rest = pattern[: found.start()], pattern[found.end() :]
    for base in iglob(stem) if stem else [""]:  # noqa: PTH207 - as above
        for name in [base, *_inside(base, folders=bool(rest) or pattern.endswith("/"))]:
            yield from _matching(escape(name) + rest) if rest else filter(None, [name])


_ANY_FOLDERS = re.compile(r"(?<![^/])\*\*(?![^/])/*")


def _inside(base: str, *, folders: bool) -> Iterator[str]:
    """Yield the paths below a folder that are not hidden, or only those of folders, which then end in a slash."""
    for entry in below(Path(base), enters=is_visible):
        if is_visible(entry.name) and (not folders or is_folder(entry)):
            path = entry.path if base else entry.path.removeprefix("./")
            yield f"{path}/" if folders else path


def _walked(folder: Path) -> list[tuple[str, Path | None]]:
    found = [(str(path), within) for path, within in manifests(folder)]
    if not found:
        headline = f"there are no manifests in {folder}"
        help_ = "name a folder with .yaml or .json files"
        raise Rejected([error(yamlio.FILE, headline, help=help_).at(Location(str(folder)))])
    return found


# Recording what rules read costs what reuse saves on some thirty jobs: of a shape with fewer, each is judged anew.
_WARMUP = 24


def check_options(arguments: Arguments) -> CheckOptions:
    """Return the check options of the flags: `--cluster` names an option, the flags of releases override its own."""
    cluster, folders = _cluster(arguments) if arguments.flags.cluster else ({}, [])
    facts = admit_facts(cluster.get("facts") or {})
    inventory = read_snapshot(facts.snapshot, folders) if facts.snapshot else None
    stated = arguments.flags.volcano_version or cluster.get("volcano_version")
    release = str(stated or schema.DEFAULT)
    kubernetes = str(arguments.flags.kubernetes_version or cluster.get("kubernetes_version") or "")
    try:
        version_of(release)
        schema.kubernetes_release(kubernetes)
    except ValueError as problem:
        raise Usage(str(problem)) from None
    allowed = frozenset(cluster.get("allow") or ())
    security, own = str(cluster.get("pod_security") or ""), schema.imported(Path())
    reuse = IncrementalCheck(_WARMUP)
    options = CheckOptions(
        release, kubernetes, not stated, facts, security, accepted=allowed, imported=own, reuse=reuse
    )
    return replace(options, inventory=inventory, rules=site.load(site.folders(Path())))


def _cluster(arguments: Arguments) -> tuple[Mapping[str, Any], list[Path]]:
    """Return the option of the group cluster, and the folders that may hold its snapshot.

    The option is unresolved, so that missing values (`???`) are no error.
    """
    from ftgen import pipeline  # noqa: PLC0415 - as below
    from ftgen.cli import request  # noqa: PLC0415 - loads Hydra, which only a cluster's option needs

    chosen = replace(arguments, overrides=(f"cluster={arguments.flags.cluster}",))
    with request.open_composer(chosen) as composer:
        shown = composer.show(composer.parse(chosen.overrides), "cluster", resolved=False)
    cluster = yamlio.parse(shown, "cluster")
    return cluster if isinstance(cluster, dict) else {}, pipeline.snapshot_folders(composer.request)
