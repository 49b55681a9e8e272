"""The pages of the site's reference: verbs with their flags, groups with their options, keys with their meaning."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from ftgen import runtime
from ftgen.cli import help as manual
from ftgen.cli import vocabulary
from ftgen.cli.arguments import RENDER, VERBS
from ftgen.config import catalog, compose
from ftgen.text.paths import part

COMMON = ("general", "configuration (as in Hydra)")


def pages() -> dict[str, str]:
    """Return the text of each page by its place in the site."""
    found = {"verbs": _verbs(), "groups": _groups(), "keys": _keys()}
    return {f"reference/{name}.md": "\n".join(lines) + "\n" for name, lines in found.items()}


def _verbs() -> Iterator[str]:
    yield "# Verbs\n\n`ftgen [VERB] [OVERRIDES] [FLAGS]`; exit codes: 0 done, 1 refused, 2 usage, 70 a bug in ftgen.\n"
    for title, verbs in manual.GROUPS.items():
        yield f"## {title.capitalize()}\n"
        for verb in verbs:
            yield from _verb(verb)
    yield "## Flags of every verb\n"
    for title, rows in manual.sections(RENDER):
        if title in COMMON:
            yield from _flags(title, rows)


def _verb(verb: str) -> Iterator[str]:
    words, examples = manual.SYNTAX.get(verb, ("[OVERRIDES]", ()))
    yield f"### ftgen {verb}\n\n{_sentence(VERBS[verb])}\n\n```text\nftgen {verb} {words} [FLAGS]\n```\n"
    yield from (f"```console\n$ {command}  # {effect}\n```\n" for command, effect in examples)
    for title, rows in manual.sections(verb):
        if title not in COMMON:
            yield from _flags(title, rows)


def _flags(title: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield from _table((_sentence(title), ""), [(f"`{flag}`", effect) for flag, effect in rows])


def _groups() -> Iterator[str]:
    """List the options of each group; what is chosen where nothing is said stands in bold."""
    folders = [runtime.conf_dir()]
    chosen = compose.compose(compose.Request()).choices
    yield "# Groups\n\nChoose with `GROUP=OPTION`; **bold** is what holds where nothing is chosen.\n"
    for group, options in sorted({**catalog.groups(folders), **catalog.nested_groups(folders)}.items()):
        yield f"## {group}\n"
        named = [
            (f"**`{name}`**" if chosen.get(group) == name else f"`{name}`", says) for name, says in options.items()
        ]
        yield from _table(("option", ""), named)


def _keys() -> Iterator[str]:
    """List the keys of each section; of a section of several kinds, such as trackers, the keys of each kind."""
    yield "# Keys\n\nSet with `KEY=VALUE`. The default is what holds where nothing is chosen; `ftgen explain KEY` tells"
    yield "where a value comes from, and the JSON Schema of `ftgen schema` says the same to editors.\n"
    defaults = compose.compose(compose.Request()).config
    serving = compose.compose(compose.Request(config_name="serve")).config["serving"]
    for name, field in vocabulary.whole()["properties"].items():
        yield f"## {name}\n\n{field.get('description', '')}\n"
        for value, title in _kinds(field):
            yield from ([f"### {title}\n"] if title else [])
            rows = _rows(name, _choosing(value), {**defaults, "serving": serving})
            yield from _table(("key", "meaning", "takes", "default"), list(rows))


def _choosing(kind: str) -> vocabulary.Current:
    return lambda _key: kind


def _kinds(field: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the value that chooses each kind of a section, with its title; one without a title otherwise."""
    chooses = field.get("discriminator", {"mapping": {"": ""}})
    key = chooses.get("propertyName", "")
    return [(value, f"{key}: {value}" if value else "") for value in chooses["mapping"]]


def _rows(key: str, current: vocabulary.Current, defaults: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """Yield a row for a key, or those of the keys below it."""
    below = (vocabulary.node(key, current) or {}).get("properties", {})
    for name in below:
        yield from _rows(f"{key}.{name}", current, defaults)
    about = None if below else vocabulary.of_key(key, current)
    if about:
        takes = ", ".join(f"`{_json(choice)}`" for choice in about.choices) or about.type
        value: Any = reduce(part, key.split("."), defaults)
        value = about.default if value is None else value
        counted = f"{takes} ({about.unit})" if about.unit else takes
        yield f"`{key}`", about.meaning, counted, f"`{_json(value)}`" if value is not None or about.has_default else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    yield "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
