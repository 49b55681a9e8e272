"""`ftgen explain KEY [OVERRIDES]`, `FILE:LINE` or `FT280`: show what a key or a rule means, and a value's origins."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from ftgen.cli import output, programs, report, request, vocabulary
from ftgen.cli.arguments import Arguments, Usage
from ftgen.cli.vocabulary import Documentation
from ftgen.config import catalog
from ftgen.config.compose import Composer, Pinned, similar_keys
from ftgen.config.pins import pinned_text
from ftgen.diagnostics import COMMAND_LINE, Diagnostic, Location, Rejected, credentials, error
from ftgen.provenance import explain
from ftgen.provenance.dependencies import ABSENT, LoweringInput, value_at
from ftgen.provenance.explain import Cause, KeyExplanation, LineExplanation
from ftgen.provenance.origins import KeyOrigins, Origin
from ftgen.spec import refuses
from ftgen.text import jsontext
from ftgen.text.files import displayed
from ftgen.text.paths import dotted
from ftgen.text.tables import table

_LINE = re.compile(r"(?P<file>.+):(?P<line>[0-9]{1,9})(?::[0-9]+)?")
_CODE = re.compile(r"FT[0-9]{1,9}", re.IGNORECASE)
_LONGEST = 72
_NEAREST = 3
_HIDDEN = "***"


def run(arguments: Arguments) -> int:
    """Print the origins of a key, the causes of a line of a manifest, or the page of a rule."""
    if not arguments.overrides:
        raise Usage("explain what? ftgen explain KEY [OVERRIDES], ftgen explain FILE:LINE, or ftgen explain FT280")
    subject = arguments.overrides[0]
    rest = replace(arguments, overrides=arguments.overrides[1:])
    place = _LINE.fullmatch(subject)
    if _CODE.fullmatch(subject):
        return _rule(subject.upper(), rest)
    if "=" in subject:
        raise Usage(f"name the key before the overrides: ftgen explain KEY {subject}")
    try:
        return _line(Path(place["file"]), int(place["line"]), rest) if place else _key(subject, rest)
    except Rejected as rejected:
        return output.reject(rejected, rest)


# --- a key ---------------------------------------------------------------------------------------------


def _key(key: str, arguments: Arguments) -> int:
    """Explain a key, also of a rejected configuration; return 1 when it is rejected."""
    overrides = arguments.overrides
    with request.open_composer(_as_composed(key, arguments)) as composer:
        config, pinned, problems = _composed(composer, overrides)
        sources = _sources(overrides, config)
        shown_config = credentials.redact_value(config, known=sources.known)
        explanation = explain.key(key, shown_config, KeyOrigins.of(composer, overrides), _pin(key, pinned, composer))
        documentation, unknown = _documented(key, config, composer)
        is_known = explanation is not None or (documentation is not None and config)
        problems = list(request.add_locations(composer, arguments, [*problems, *(unknown if is_known else ())]))
    if not is_known:
        raise Rejected(problems or unknown or [_unknown(key, config, composer)])
    explanation = _redacted(explanation or KeyExplanation(key, ABSENT, (), (), {}), sources)
    shown = _shown(overrides, sources)
    text = "".join(_key_text(explanation, documentation, composer, shown, rejected=not config))
    _print(_key_json(explanation, documentation), text, arguments)
    output.print_diagnostics(problems, arguments, to_stderr=True)
    return 1 if problems else 0


def _sources(overrides: Sequence[str], config: Mapping[str, Any]) -> report.Sources:
    """Return what overrides are redacted by: the secrets in them, in the environment and in a configuration."""
    sources = report.Sources(overrides)
    sources.known |= credentials.secrets_in(config)
    return sources


def _shown(overrides: Iterable[str], sources: report.Sources) -> list[str]:
    return [credentials.redact(report.redacted_override(text), sources.known) for text in overrides]


def _redacted(explanation: KeyExplanation, sources: report.Sources) -> KeyExplanation:
    """Hide the secrets of a key's values, before anything writes them with escapes."""

    def hidden(origins: Sequence[Origin]) -> tuple[Origin, ...]:
        known = sources.known.union(*(sources.secrets(o.location) for o in origins))
        texts = (_without_secret(explanation.key, o.value_text, known) for o in origins)
        return tuple(replace(o, value_text=str(text)) for o, text in zip(origins, texts, strict=True))

    return replace(
        explanation,
        value=_without_secret(explanation.key, explanation.value, sources.known),
        statements=hidden(explanation.statements),
        references=hidden(explanation.references),
    )


def _without_secret(key: str, value: Any, known: Iterable[str]) -> Any:
    """Hide the secrets of a key's value, and all that stands in place of a reference to a Secret."""
    is_refused = value is not ABSENT and refuses(key, _parsed(value) if isinstance(value, str) else value)
    return _HIDDEN if is_refused else credentials.redact_value(value, key.rpartition(".")[2], known)


def _parsed(text: str) -> Any:
    """Return the value of a text that a statement gives, of which mappings and lists are JSON; else the text."""
    try:
        return json.loads(text) if text[:1] in {"{", "["} else text
    except ValueError:
        return text


def _as_composed(key: str, arguments: Arguments) -> Arguments:
    """Return the command line that composes a key: what serves is no part of a training's configuration."""
    if key.partition(".")[0] != "serving" or arguments.config_name != "config" or arguments.flags.config_path:
        return arguments
    return arguments.with_flags(config_name="serve")


def _documented(
    key: str, config: Mapping[str, Any], composer: Composer
) -> tuple[Documentation | None, Sequence[Diagnostic]]:
    """Return what is known of a key, and the error where it is no argument of the program that it is for."""
    parent, _, name = key.rpartition(".")
    if program := programs.program(parent, config):
        if name not in program.arguments:
            return None, [program.refused(key, name)]
        about = vocabulary.of_argument(program.arguments[name])
        owned = [f"ftgen sets it: {program.owned[name]}."] if name in program.owned else []
        return replace(about, meaning=f"An argument of {program.name}.", notes=(*about.notes, *owned)), []
    about_key = vocabulary.of_key(key, lambda other: value_at(config, tuple(other.split("."))))
    group = key.replace(".", "/")
    if not composer.is_group(group):
        return about_key, []
    meaning = about_key.meaning if about_key else ""
    options = tuple(composer.options(group))
    return Documentation(meaning, "an option of the group", choices=options, without_default=""), []


def _composed(composer: Composer, overrides: Sequence[str]) -> tuple[dict[str, Any], Pinned, list[Diagnostic]]:
    try:
        composition = composer.compose(composer.parse(overrides))
    except Rejected as rejected:
        return {}, {}, list(rejected.diagnostics)
    return composition.config, composition.pinned, []


def _pin(key: str, pinned: Pinned, composer: Composer) -> Origin | None:
    """Return the pin that took the place of a key's value; None where none did."""
    if key not in pinned:
        return None
    reference, pin = pinned[key]
    return Origin(composer.pin_file.at(reference), pinned_text(reference, pin))


def _unknown(key: str, config: Mapping[str, Any], composer: Composer) -> Diagnostic:
    near = similar_keys(key, [*_paths(config), *composer.groups()])
    hint = f"did you mean {', '.join(near)}?" if near else "`ftgen --cfg job` shows all keys"
    return error("FT012", f"there is no key {key!r}", key, help=hint)


def _paths(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in config.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{name}.")


def _key_text(
    explanation: KeyExplanation,
    documentation: Documentation | None,
    composer: Composer,
    overrides: Sequence[str],
    *,
    rejected: bool,
) -> Iterator[str]:
    absent = "unknown: the configuration is rejected" if rejected else "not set"
    yield f"{explanation.key} = {absent if explanation.value is ABSENT else _short(explanation.value)}\n"
    if documentation:
        yield from _documentation_text(documentation)
    yield from _ranked(explanation.statements, overrides)
    if explanation.references:
        yield "interpolated from\n"
        yield from _table([(_where(o.location, overrides), _short(o.value_text)) for o in explanation.references])
    for group, chosen in explanation.choices.items():
        yield f"group {group}: {_option(group, chosen[-1].value_text, composer)}\n"
        yield from _ranked(chosen, overrides)


def _documentation_text(about: Documentation) -> Iterator[str]:
    """Format what a key means and takes, above the places that set it."""
    yield from (f"  {sentence}\n" for sentence in (about.meaning, *about.notes) if sentence)
    default = json.dumps(about.default, ensure_ascii=False) if about.has_default else about.without_default
    choices = ", ".join(map(_short, about.choices))
    rows = {"type": about.type, "unit": about.unit, "choices": choices, "default": default}
    yield from _table([(name, text) for name, text in rows.items() if text])


def _ranked(origins: Sequence[Origin], overrides: Sequence[str]) -> Iterator[str]:
    """Format statements in the order they were applied: the last one holds."""
    marks = ["shadowed"] * (len(origins) - 1) + ["holds"]
    yield from _table(
        [(_where(o.location, overrides), _short(o.value_text), m) for o, m in zip(origins, marks, strict=False)]
    )


def _option(group: str, option: str, composer: Composer) -> str:
    """Format an option as its file and first comment."""
    files = (place / group / f"{option}.yaml" for place in composer.request.search_path())
    file = next((f for f in files if f.is_file()), None)
    if file is None:
        return option
    return f"{displayed(file, composer.request.directory)}  {catalog.description(file)}"


def _key_json(explanation: KeyExplanation, documentation: Documentation | None) -> dict[str, Any]:
    return {
        "key": explanation.key,
        "documentation": documentation and asdict(documentation),
        "value": None if explanation.value is ABSENT else explanation.value,
        "set": explanation.value is not ABSENT,
        "statements": _statements(explanation.statements),
        "interpolated_from": _statements(explanation.references, all_hold=True),
        "choices": {group: _statements(chosen) for group, chosen in explanation.choices.items()},
    }


def _statements(origins: Sequence[Origin], *, all_hold: bool = False) -> list[dict[str, Any]]:
    return [{**_place(o.location), "value": o.value_text, "holds": all_hold or o is origins[-1]} for o in origins]


# --- a line --------------------------------------------------------------------------------------------


def _line(file: Path, number: int, arguments: Arguments) -> int:
    with request.open_composer(arguments) as composer:
        explanation = explain.line(file, number, composer, _compiled_service)
    explanation = _redacted_line(explanation)
    text = "".join(_line_text(explanation, file, number))
    _print(_line_json(explanation, file, number), text, arguments)
    if explanation.changed:
        output.print_status(
            "the configuration has changed since this manifest was rendered; what is told is today's", arguments
        )
    return 0


def _redacted_line(explanation: LineExplanation) -> LineExplanation:
    """Hide the secrets that only this process and the overrides tell; those of the manifest are hidden."""
    sources = report.Sources(explanation.overrides)

    def hidden(cause: Cause) -> Cause:
        value = _without_secret(cause.name, cause.value, sources.known)
        return replace(cause, name=credentials.redact(cause.name, sources.known), value=value)

    return replace(
        explanation,
        value=credentials.redact_value(explanation.value, known=sources.known),
        causes=tuple(map(hidden, explanation.causes)),
        overrides=tuple(_shown(explanation.overrides, sources)),
    )


def _compiled_service(manifest: Mapping[str, Any], composer: Composer) -> tuple[LoweringInput, str]:
    from ftgen.provenance.service import compiled_again  # noqa: PLC0415 - most lines are of jobs

    return compiled_again(manifest, composer)


def _line_text(explanation: LineExplanation, file: Path, number: int) -> Iterator[str]:
    yield f"{file}:{number}\n{_path(explanation)} = {_short(explanation.value)}\n"
    if not explanation.causes:
        yield "  computed: no value of the configuration changes it by itself\n"
    rows = [
        (c.name, place, _short(c.value) if c.value and not i else "")
        for c in explanation.causes
        for i, place in enumerate(_places(c, explanation))
    ]
    yield from _table(rows)


def _path(explanation: LineExplanation) -> str:
    return credentials.redact(dotted(explanation.path))


def _places(cause: Cause, explanation: LineExplanation) -> list[str]:
    return [_where(place, explanation.overrides) for place in cause.locations] or ["not set: the default"]


def _line_json(explanation: LineExplanation, file: Path, number: int) -> dict[str, Any]:
    return {
        "file": str(file),
        "line": number,
        "path": _path(explanation),
        "value": explanation.value,
        "computed": not explanation.causes,
        "changed": explanation.changed,
        "causes": [
            {"name": c.name, "value": c.value, "locations": [_place(p) for p in c.locations]}
            for c in explanation.causes
        ],
    }


# --- a rule --------------------------------------------------------------------------------------------


def _rule(code: str, arguments: Arguments) -> int:
    """Print the page of a rule.

    Raises:
        Usage: there is no rule of this code.
    """
    from ftgen.validation import pages  # noqa: PLC0415 - imports the modules of all rules

    rule = pages.rule_of(code)
    if rule is None:
        begun = [known for known in pages.codes() if known.startswith(code)]
        nearest = begun or sorted(pages.codes(), key=lambda known: abs(int(known[2:]) - int(code[2:])))
        near = ", ".join(nearest[:_NEAREST])
        raise Usage(
            f"there is no rule {code}; the nearest are {near}\n"
            "Only rules have a page: the message of any other diagnostic says all that there is to say."
        )
    plain = {"code": rule.code, "name": rule.name, "severity": rule.severity, "denied": rule.denied, "page": rule.text}
    text = f"{rule.code} {rule.name} ({rule.severity})\n\n{rule.text}\n\n{rule.acceptance}\n"
    _print(plain, text, arguments)
    return 0


# --- output --------------------------------------------------------------------------------------------


def _print(plain: dict[str, Any], text: str, arguments: Arguments) -> None:
    if arguments.flags.json:
        sys.stdout.write(jsontext.document(plain) + "\n")
    else:
        output.print_text(text.splitlines())


def _place(location: Location) -> dict[str, Any]:
    return {"file": location.file, "line": location.line, "column": location.column}


def _where(location: Location, overrides: Sequence[str]) -> str:
    """Format a location; add the text of an override."""
    text = overrides[location.line - 1] if location.file == COMMAND_LINE and 0 < location.line <= len(overrides) else ""
    return f"{location} ({text})" if text else str(location)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)
    line = text.replace("\n", "\\n")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield from (f"  {line}\n" for line in table(rows))
