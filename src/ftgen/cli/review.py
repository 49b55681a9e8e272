"""The page for a review, of `plan`, `diff` and `publish`: what it shows, where it goes, in which language."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from ftgen import runtime
from ftgen.cli import output, report
from ftgen.cli.arguments import Arguments
from ftgen.diagnostics import Diagnostic, credentials
from ftgen.output import tree
from ftgen.output.tree import Run
from ftgen.review.diff import Change
from ftgen.review.page import document, messages
from ftgen.review.page.review import Review, page
from ftgen.schema.version import version_of
from ftgen.sweeping.index import Row
from ftgen.text import files
from ftgen.validation.options import CheckOptions, restore_options

_HEAD = 2048
_PAGES_FLAGS = {"--format", "--page", "--lang"}
_PLANS_FLAGS = {"--fit", "--all", "--json"}


def write(
    arguments: Arguments,
    rows: Sequence[Row],
    changes: Sequence[Change],
    diagnostics: Sequence[Diagnostic],
    *,
    runs: Sequence[Run] = (),
    name: str = "",
    stays: bool = True,
) -> None:
    """Write the page to the file that the flags name, or print it.

    Args:
        arguments: the command line.
        rows: the jobs.
        changes: the change of every object.
        diagnostics: warnings and notes.
        runs: the rendered runs, of which the first says for which release of Volcano; without one, the newest.
        name: what the page is about; without it, the jobs' folder.
        stays: whether the files of removed objects stay in place.

    Raises:
        Rejected: FT5xx, where a file that is no page is in its place, or a folder cannot be written to.
    """
    flags, sources = arguments.flags, report.Sources(arguments.overrides)
    commands = [(key, credentials.redact(text, sources.known)) for key, text in _commands(arguments)]
    about = name or (Path(rows[0].file).parts[0] if rows else flags.out)
    found = [_portable(each) for each in report.redacted(diagnostics, sources)]
    say = messages.of(flags.lang, os.environ)
    version = version_of(_release(runs))
    shown = page(Review(arguments.verb, about, rows, changes, found, commands, stays, version), say)
    if flags.page in {None, "-"}:
        sys.stdout.write(shown)
    else:
        _write_file(Path(flags.page), shown.encode(), arguments)


def _release(runs: Sequence[Run]) -> str:
    judged = next((run.judged for run in runs if run.judged), "")
    return restore_options(judged, CheckOptions(assumed=True)).volcano_version if judged else "newest"


def _portable(found: Diagnostic) -> Diagnostic:
    """Name ftgen's own configuration as `ftgen/conf/…`, wherever it is installed: a page is the same everywhere."""
    installed = f"{runtime.conf_dir().parent}/"
    places = (replace(each, file=_without(each.file, installed)) for each in found.locations)
    return replace(found, locations=tuple(places))


def _without(file: str, installed: str) -> str:
    return f"ftgen/{file.removeprefix(installed)}" if file.startswith(installed) else file


def _write_file(path: Path, content: bytes, arguments: Arguments) -> None:
    """Replace an earlier page, and no other file unless --overwrite."""
    overwrite = bool(getattr(arguments.flags, "overwrite", False)) or _is_page(path)
    outcome = tree.apply(tree.plan_copy(path.parent, {path.name: content}, overwrite=overwrite))
    for change in outcome.changes.values():
        output.print_status(f"{change:>9}  {path}", arguments)


def _is_page(path: Path) -> bool:
    try:
        return document.GENERATED in files.read(path)[:_HEAD]
    except OSError:
        return False


def _commands(arguments: Arguments) -> Iterator[tuple[str, str]]:
    """Yield the command that makes this page, and those that show or do the same without it."""
    yield "reproduce.page", shlex.join(["ftgen", *arguments.words])
    rest = list(_without_page(arguments.words[1:]))
    if arguments.verb == "diff":
        yield "reproduce.diff", shlex.join(["ftgen", "diff", *rest])
    if arguments.verb == "plan":
        yield "reproduce.write", shlex.join(["ftgen", *rest])


def _without_page(words: Sequence[str]) -> Iterator[str]:
    """Yield the words without those that ask for a page, or for another form of the plan."""
    remaining = iter(words)
    for word in remaining:
        flag, equals, value = word.partition("=")
        if word.startswith("-o") and word[2:3] not in {"", "="}:
            flag, value = "-o", word[2:]
        if flag in _PAGES_FLAGS:
            next(remaining, "") if not equals else None
        elif word in {"-o", "--out"}:
            folder = next(remaining, "")
            yield from () if folder.endswith(".html") else (word, folder)
        elif flag not in _PLANS_FLAGS and not (flag in {"-o", "--out"} and value.endswith(".html")):
            yield word
