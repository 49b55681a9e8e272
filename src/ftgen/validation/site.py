"""A site's own rules: `rules/*.yaml`, in CEL, as ordinary rules of the engine.

Each rule reads one kind of object or the composed configuration, and is compiled once.  Only a site that has rules
imports the CEL library.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from ftgen import schema
from ftgen.diagnostics import Diagnostic, Location, Rejected, Severity, error
from ftgen.schema.served import versions
from ftgen.text import files, parts, yamlio
from ftgen.text.paths import Steps, dotted
from ftgen.validation import Call, Context, Rule, Scope, validate
from ftgen.validation.engine import NOTHING_KNOWN
from ftgen.validation.rules import admission

if TYPE_CHECKING:
    from ftgen.validation.cel import Expression

FOLDER = "rules"
CODE = "FT787"
CONFIG = ("", "config")
"""What a rule over the composed configuration matches."""

Reads = Mapping[str, Any]
"""The keys that an expression reads of its variable, each with those that it reads below; none: everything."""
Sample = str | Mapping[str, Any]
"""An object or a configuration, or the overrides of a job that has it."""

_ALIASES = {"config": CONFIG, "VolcanoJob": schema.VOLCANO_JOB}
_NAME = re.compile(r"(?!ftgen-)[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_TEXTS = ("name", "match", "when", "expression", "message", "messageExpression", "severity", "help")
_KEYS = (*_TEXTS, "tests")
_REQUIRED = ("name", "match", "expression", "message")
_SAMPLES = ("accepted", "refused")
_SEVERITIES = {str(each): each for each in (Severity.ERROR, Severity.WARNING)}
_INSTALL = "install it: pip install 'ftgen[rules]'"


class SiteRule(Struct, frozen=True, eq=False):
    """Rule of a site's own.

    Attributes:
        name: unique kebab-case name.
        kind: API version and kind of the objects that it reads, or `CONFIG`.
        texts: the rule's texts by key, as written.
        when: whether the rule applies to an object; None: to all.
        expression: whether an object is accepted.
        message_expression: what is wrong; where it is None, fails or is empty, `message` says it.
        severity: severity of its findings.
        reads: what the expressions read.
        samples: samples with their places, by the verdict that is expected of them.
        place: where it is written.
    """

    name: str
    kind: schema.Kind
    texts: Mapping[str, str]
    when: Expression | None
    expression: Expression
    message_expression: Expression | None
    severity: Severity
    reads: Reads
    samples: Mapping[str, tuple[tuple[Sample, Location], ...]]
    place: Location

    @property
    def help(self) -> str:
        """Return what to do about a finding; may be empty."""
        return self.texts.get("help", "")

    @property
    def variable(self) -> str:
        """Return the name of what its expressions read."""
        return variable_of(self.kind)

    def read(self, subject: Any) -> Any:
        """Return the part of a subject that the expressions read, as plain values."""
        return _read(subject, self.reads)

    def verdict(self, read: Any) -> bool | str:
        """Return whether it accepts a subject, of which `read` is what it reads, or why that cannot be evaluated."""
        applies = self.when is None or _value(self.when, read)
        return self.demand(read) if applies is True else applies or True

    def demand(self, read: Any) -> bool | str:
        """Return whether a subject meets the expression, whether or not the rule applies to it."""
        return _value(self.expression, read)

    def refusal(self, read: Any) -> str:
        """Return why it refuses a subject, of which `read` is what it reads; empty where it accepts it."""
        verdict = self.verdict(read)
        if isinstance(verdict, str):
            return verdict
        return "" if verdict else self._stated(read) or self.texts["message"]

    def _stated(self, read: Any) -> str:
        from ftgen.validation.cel import Problem  # noqa: PLC0415 - loaded with the rule

        try:
            stated = str(self.message_expression.value(read)).strip() if self.message_expression else ""
        except Problem:
            return ""
        return "" if "\n" in stated else stated  # as the API server does


def _value(expression: Expression, read: Any) -> bool | str:
    from ftgen.validation.cel import Problem  # noqa: PLC0415 - loaded with the rule

    try:
        return bool(expression.value(read))
    except Problem as problem:
        return f"it cannot be evaluated: {problem}"


class SiteRules:
    """Rules of a site, by what they read."""

    def __init__(self, rules: Iterable[SiteRule] = ()) -> None:
        """Make the rules ordinary ones of the engine."""
        self.rules = tuple(rules)
        by_kind: dict[schema.Kind, list[SiteRule]] = defaultdict(list)
        for rule in self.rules:
            by_kind[rule.kind].append(rule)
        self._scopes = {kind: _scope(own) for kind, own in by_kind.items()}

    def judge_config(self, config: Mapping[str, Any], call: Call = Scope.ask) -> list[Diagnostic]:
        """Return what the rules refuse of a composed configuration."""
        return self._judge(CONFIG, config, NOTHING_KNOWN, call)

    def judge(self, manifest: Mapping[str, Any], context: Context, call: Call = Scope.ask) -> list[Diagnostic]:
        """Return what the rules refuse of an object, as `stored` has it."""
        kind = (str(manifest.get("apiVersion")), str(manifest.get("kind")))
        return self._judge(kind, stored(manifest, context), context, call) if kind in self._scopes else []

    def _judge(self, kind: schema.Kind, subject: Any, context: Context, call: Call) -> list[Diagnostic]:
        return validate(self._scopes[kind], subject, context, call) if kind in self._scopes else []


def _scope(own: Iterable[SiteRule]) -> Scope:
    from ftgen.validation.rules.site import site_rule  # noqa: PLC0415 - the rules import the engine

    def ordinary(rule: SiteRule) -> Rule:
        check = partial(site_rule.check, rule)
        return replace(site_rule, name=rule.name, severity=rule.severity, check=check, takes_context=False)

    return Scope(rules=map(ordinary, own))


NO_RULES = SiteRules()


def stored(manifest: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
    """Return an object as a policy sees it: a VolcanoJob is completed by its webhook before."""
    is_job = (manifest.get("apiVersion"), manifest.get("kind")) == schema.VOLCANO_JOB
    return admission.mutate(dict(manifest), volcano_version=context.version) if is_job else manifest


def variable_of(kind: schema.Kind) -> str:
    """Return the name of what the expressions of a rule over a kind read."""
    return "config" if kind == CONFIG else "object"


def folders(directory: Path, packs: Iterable[Path] = ()) -> list[Path]:
    """Return the folders of rules: beside the overlays of the packs, then the one in the working directory.

    Raises:
        Rejected: FT501, that one leads out of the repository.
    """
    beside = [pack.parent / FOLDER for pack in packs if pack.name == "overlays"]
    found = {
        files.resolved(folder): folder
        for folder in (*beside, files.unnamed_folder(directory / FOLDER))
        if folder.is_dir()
    }
    return [*found.values()]


def load(folders: Iterable[Path]) -> SiteRules:
    """Read and compile the rules of folders, files by name.

    Raises:
        Rejected: FT001 or FT002, a file cannot be read; FT787, every problem of the rules.
    """
    return rules_of(file for folder in folders for file in _files(folder))


def rules_of(paths: Iterable[Path]) -> SiteRules:
    """Read and compile the rules of files; raise as `load` does."""
    found: list[SiteRule] = []
    problems: list[Diagnostic] = []
    for file in paths:
        text = yamlio.read_text(file, at_most=files.LARGEST_SOURCE, within=file.parent)
        documents = yamlio.documents(text, str(file), parts.MOST_OF_SOURCE)
        if are_rules(documents):
            reader = _Reader(documents, str(file))
            found += reader.rules()
            problems += reader.problems
    problems += _repeated(found)
    if problems:
        raise Rejected(problems)
    return SiteRules(found) if found else NO_RULES


def are_rules(documents: Iterable[yamlio.Document]) -> bool:
    """Return whether a file in a folder `rules` holds rules, and not objects, such as those of Prometheus."""
    return not all(isinstance(d.value, dict) and {"apiVersion", "kind"} <= d.value.keys() for d in documents)


def _files(folder: Path) -> Iterator[Path]:
    try:
        listed = sorted(folder.iterdir())
    except OSError as problem:
        raise _rejected(f"{folder} cannot be read: {problem.strerror}", Location(str(folder))) from None
    for file in listed:
        if file.suffix in {".yml", ".json"}:
            headline = f"{file.name} is not read: the files of rules end in .yaml"
            raise _rejected(headline, Location(str(file), 1), f"rename it to {file.stem}.yaml, or move it elsewhere")
        if file.suffix == ".yaml":
            yield file


def _rejected(headline: str, place: Location, help_: str = "") -> Rejected:
    return Rejected([error(CODE, headline, help=help_).at(place)])


def _repeated(rules: Iterable[SiteRule]) -> Iterator[Diagnostic]:
    first: dict[str, SiteRule] = {}
    for rule in rules:
        if first.setdefault(rule.name, rule) is not rule:
            headline = f"two rules are called {rule.name}"
            yield error(CODE, headline, "name", rule.name, "rename one").at(rule.place, first[rule.name].place)


class _Reader:
    """Reader of one file of rules, which collects every problem."""

    def __init__(self, documents: list[yamlio.Document], file: str) -> None:
        self.problems: list[Diagnostic] = []
        self._documents, self._file = documents, file

    def rules(self) -> Iterator[SiteRule]:
        if len(self._documents) != 1:
            self._refuse((), "a file of rules is one YAML document", "put all rules into one list rules")
            return
        self._document = self._documents[0]
        content = self._document.value
        listed = content.get("rules") if isinstance(content, dict) else None
        if not isinstance(listed, list):
            self._refuse((), "a file of rules begins with `rules:` and lists them", "see docs/policy.md")
            return
        self._unknown(content, ("rules",), ())
        for index, entry in enumerate(listed):
            if rule := self._rule(entry, ("rules", index)):
                yield rule

    def _rule(self, entry: Any, path: Steps) -> SiteRule | None:
        before = len(self.problems)
        if not isinstance(entry, dict):
            self._refuse(path, "a rule is a mapping", f"write its {', '.join(_REQUIRED)}")
            return None
        self._unknown(entry, _KEYS, path)
        texts = self._texts(entry, path)
        kind = self._kind(texts, path)
        samples = self._samples(entry.get("tests"), (*path, "tests"))
        if len(self.problems) > before:
            return None
        return self._compiled(texts, kind, samples, path)

    def _texts(self, entry: Mapping[str, Any], path: Steps) -> dict[str, str]:
        for key in _REQUIRED:
            if key not in entry:
                self._refuse(path, f"this rule lacks the key {key}", f"add {key}:")
        given = {key: entry[key] for key in _TEXTS if key in entry}
        for key, value in given.items():
            if not isinstance(value, str) or not value.strip():
                self._refuse((*path, key), f"{key} is text, and not {value!r:.60}", "write text, in quotes if need be")
        texts = {key: value.strip() for key, value in given.items() if isinstance(value, str)}
        if "name" in texts and not _NAME.fullmatch(texts["name"]):
            headline = f"{texts['name']!r:.80} is no name of a rule"
            self._refuse(
                (*path, "name"), headline, "use lower-case letters, digits and -, at most 63, as no-latest-images"
            )
        if texts.get("severity", "error") not in _SEVERITIES:
            self._refuse((*path, "severity"), f"severity is {' or '.join(_SEVERITIES)}", "write one of them")
        if "\n" in texts.get("message", ""):
            self._refuse((*path, "message"), "a message is one line", "say it in one sentence, and the rest in help")
        return texts

    def _kind(self, texts: Mapping[str, str], path: Steps) -> schema.Kind:
        match = texts.get("match", "config")
        if match in _ALIASES:
            return _ALIASES[match]
        api_version, _, kind = match.rpartition("/")
        known = [api_version] if api_version else versions(kind)
        if len(known) == 1 and schema.relative_path(known[0], kind):
            return known[0], kind
        named = " or ".join("VolcanoJob" if (each, kind) == schema.VOLCANO_JOB else f"{each}/{kind}" for each in known)
        help_ = f"write {named}" if len(known) > 1 else "write config, VolcanoJob, ConfigMap, or as apps/v1/Deployment"
        told = "may be of several API groups" if len(known) > 1 else "is no kind that ftgen knows"
        self._refuse((*path, "match"), f"{match!r:.80} {told}", help_)
        return CONFIG

    def _samples(self, tests: Any, path: Steps) -> dict[str, tuple[tuple[Sample, Location], ...]]:
        if not isinstance(tests, dict | None):
            self._refuse(path, "tests holds lists of samples", "write accepted: […] and refused: […]")
            return {}
        self._unknown(tests or {}, _SAMPLES, path)
        return {verdict: tuple(self._listed((tests or {}).get(verdict), (*path, verdict))) for verdict in _SAMPLES}

    def _listed(self, samples: Any, path: Steps) -> Iterator[tuple[Sample, Location]]:
        if not isinstance(samples, list | None):
            self._refuse(path, "samples are a list", "write each as an item, with -")
            return
        for index, sample in enumerate(samples or ()):
            if isinstance(sample, (str, dict)):
                yield sample, self._at((*path, index))
            else:
                headline = f"a sample is an object, or a text of overrides, and not {sample!r:.60}"
                self._refuse((*path, index), headline, "write overrides in quotes")

    def _compiled(
        self,
        texts: Mapping[str, str],
        kind: schema.Kind,
        samples: Mapping[str, tuple[tuple[Sample, Location], ...]],
        path: Steps,
    ) -> SiteRule | None:
        variable = variable_of(kind)
        results = {"when": bool, "expression": bool, "messageExpression": str}
        compiled = {key: self._expression(texts, key, variable, result, path) for key, result in results.items()}
        expression = compiled["expression"]
        if expression is None or any(compiled[key] is None for key in results if key in texts):
            return None
        return SiteRule(
            texts["name"],
            kind,
            texts,
            compiled["when"],
            expression,
            compiled["messageExpression"],
            _SEVERITIES[texts.get("severity", "error")],
            _tree(chain for key in results for chain in _chains(texts.get(key, ""), variable)),
            samples,
            self._at(path),
        )

    def _expression(
        self, texts: Mapping[str, str], key: str, variable: str, result: type, path: Steps
    ) -> Expression | None:
        if key not in texts:
            return None
        try:
            from ftgen.validation import cel  # noqa: PLC0415 - only a site with rules needs it
        except ImportError:
            raise _rejected(
                f"the rules of {self._file} need the library cel-expr-python", self._at(path), _INSTALL
            ) from None
        try:
            return cel.Expression(texts[key], variable, result)
        except cel.Problem as problem:
            mark = self._document.nearest((*path, key))
            line = mark.value_line + problem.line - (0 if mark.block else 1)
            column = mark.value_column + problem.column - 1 if problem.line == 1 and not mark.block else problem.column
            place = Location(self._file, line, column)
            name = texts["name"]
            self.problems.append(error(CODE, f"{name}: {key} is no valid CEL: {problem}", f"{name}.{key}").at(place))
            return None

    def _unknown(self, entry: Mapping[Any, Any], known: tuple[str, ...], path: Steps) -> None:
        for key in entry:
            if key not in known:
                self._refuse((*path, key), f"there is no key {key!r:.60} here", f"the keys are {', '.join(known)}")

    def _refuse(self, path: Steps, headline: str, help_: str) -> None:
        self.problems.append(error(CODE, headline, dotted(map(_step, path)), help=help_).at(self._at(path)))

    def _at(self, path: Steps) -> Location:
        if len(self._documents) != 1:
            return Location(self._file, 1)
        mark = self._documents[0].nearest(path)
        return Location(self._file, mark.line, mark.column)


def _step(step: Any) -> str | int:
    return step if isinstance(step, int) and not isinstance(step, bool) else str(step)


# --- what an expression reads --------------------------------------------------------------------------


def _chains(text: str, variable: str) -> list[Steps]:
    """Return the fields that follow each use of the variable: `spec`, `tasks` for `object.spec.tasks.all(…)`.

    It may name more than an expression reads, as what stands in a text, and never less.  A comment might part a chain,
    so that an expression with `//` reads everything.
    """
    if "//" in text:
        return [()]
    found = []
    for use in re.finditer(rf"(?<!\w){variable}\b((?:\s*\.\s*\??\s*[A-Za-z_]\w*)*)(\s*\()?", text):
        names = re.findall(r"\w+", use[1])
        found.append(tuple(names[:-1] if use[2] else names))
    return found


def _tree(chains: Iterable[Steps]) -> Reads:
    """Return what the chains read, without what lies below a part that is read as a whole."""
    tree: dict[Any, Any] = {}
    for chain in sorted(set(chains), key=len, reverse=True):
        if not chain:
            return {}
        here = tree
        for step in chain[:-1]:
            here = here.setdefault(step, {})
        here[chain[-1]] = {}
    return tree


def _read(value: Any, reads: Reads) -> Any:
    if not reads or not isinstance(value, dict):
        return _plain(value)
    return {key: _read(value[key], below) for key, below in reads.items() if key in value}


def _plain(value: Any) -> Any:
    """Return a value without the proxies that record what a rule reads, which no library can see through."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict) and type(value) is not dict:
        return {key: _plain(item) for key, item in value.items()}
    return value
