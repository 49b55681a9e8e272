"""`ftgen data PATH|URL [OVERRIDES]`: judge a data set as the chosen trainer would read it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec.structs import replace

from ftgen import pipeline
from ftgen.cli import output, progress, report, request
from ftgen.cli.arguments import Arguments, Usage
from ftgen.diagnostics import Diagnostic, Location, Rejected, credentials, error, has_errors
from ftgen.emulation.datasets import kinds
from ftgen.emulation.datasets import report as words
from ftgen.emulation.datasets.findings import Finding
from ftgen.emulation.datasets.judge import Verdict, judge
from ftgen.emulation.datasets.lengths import Tokenizer
from ftgen.emulation.datasets.reading import Reading, reading_of_arguments
from ftgen.remote.gitops.address import is_remote, without_credentials
from ftgen.remote.gitops.checkout import checked_out
from ftgen.text import files, jsontext, yamlio

TOKENIZER = "tokenizer.json"


def run(arguments: Arguments) -> int:
    """Print how many rows are trained on, dropped and refused, how long they are, and why; return 1 for an error."""
    if not arguments.overrides or _is_override(arguments.overrides[0]):
        raise Usage("data needs a PATH or URL first: `ftgen data train.jsonl trainer=sft-lora`")
    word, chosen = arguments.overrides[0], replace(arguments, overrides=arguments.overrides[1:])
    try:
        return _judged(word, chosen)
    except Rejected as rejected:
        return output.reject(rejected, chosen)  # positions on the command line are those of the overrides


def _is_override(word: str) -> bool:
    return "=" in word.partition("://")[0] and not Path(word).exists()


def _judged(word: str, chosen: Arguments) -> int:
    reading = _reading(chosen)
    with _place(word, chosen) as path:
        tokenizer, missing = _tokenizer(chosen.flags.tokenizer, path)
        meter = progress.Meter("reading", "rows", chosen)
        verdict = judge(path, reading, tokenizer, meter.advance)
        meter.end()
        verdict = replace(verdict, findings=[*missing, *verdict.findings])
        return _print(verdict, path, word, chosen)


def _reading(arguments: Arguments) -> Reading:
    if arguments.flags.arguments:
        if arguments.overrides:
            raise Usage("--arguments takes the place of a configuration: leave the overrides out")
        return _reading_of_file(arguments.flags.arguments)
    with request.open_composer(arguments) as composer:
        return pipeline.reading(composer, arguments.overrides)


def _reading_of_file(name: str) -> Reading:
    """Return how a training with the arguments of a file, or of standard input, reads its data."""
    text, shown = (yamlio.read_stdin(), yamlio.STDIN) if name == "-" else (yamlio.read_text(Path(name), name), name)
    given = yamlio.parse(text, shown)
    try:
        if not isinstance(given, dict):
            raise ValueError("they are no mapping")  # noqa: TRY004, TRY301 - a wrong value, whatever its type
        return reading_of_arguments({str(key): value for key, value in given.items()})
    except ValueError as problem:
        headline = f"the arguments cannot be used: {problem}"
        found = error(kinds.ARGUMENTS.code, headline, help=kinds.ARGUMENTS.help)
        raise Rejected([found.at(Location(shown))]) from None


@contextmanager
def _place(word: str, arguments: Arguments) -> Iterator[Path]:
    """Yield the file or folder that a word names, or a checkout of the repository that it names."""
    revision = arguments.flags.revision or ""
    if is_remote(word):
        with ExitStack() as stack:
            with progress.steps(arguments) as step:
                step(f"fetching {without_credentials(word)}")
                folder = stack.enter_context(checked_out(word, revision))
            yield folder
    elif revision:
        raise Usage("--revision is for a URL; a folder has its own checkout")
    elif not Path(word).exists():
        raise Rejected([error(kinds.UNREADABLE.code, f"{word} is not there").at(Location(word))])
    else:
        yield Path(word)


def _tokenizer(named: str | None, path: Path) -> tuple[Tokenizer | None, list[Finding]]:
    """Return the tokenizer that is named or lies beside the data; a finding where it cannot be used."""
    place = _inside(Path(named)) if named else _inside(path if path.is_dir() else path.parent)
    if not named and not place.is_file():
        return None, []
    try:
        return Tokenizer(files.read(place)), []
    except ImportError:
        text = "tokens are counted with the library tokenizers, which is not installed"
        return None, [Finding(kinds.LIBRARY, text, str(place), help="pip install 'ftgen[data]'")]
    except OSError as problem:
        words = f"it cannot be read: {problem.strerror}"
    except ValueError as problem:
        words = f"it is no tokenizer: {problem}"
    raise Rejected([error(kinds.UNREADABLE.code, words).at(Location(str(place)))])


def _inside(place: Path) -> Path:
    return place / TOKENIZER if place.is_dir() else place


def _print(verdict: Verdict, path: Path, word: str, arguments: Arguments) -> int:
    flags = arguments.flags
    found = output.strict(verdict.diagnostics, arguments)
    if is_remote(word):
        found = [_named(each, str(path), without_credentials(word)) for each in found]
    if flags.json:
        print(jsontext.document(credentials.redact_value(words.plain(verdict))))  # noqa: T201
    elif flags.format == "html":
        _print_page(verdict, found, word, arguments)
    elif flags.format == "text" and not flags.quiet:
        output.print_text(words.lines(verdict))
    sys.stdout.flush()
    if flags.format != "html":
        output.print_diagnostics(found, arguments, to_stderr=flags.json)
    return int(has_errors(found))


def _print_page(verdict: Verdict, found: Sequence[Diagnostic], word: str, arguments: Arguments) -> None:
    from ftgen.review.page import data, messages  # noqa: PLC0415 - text needs no page

    title = credentials.redact(without_credentials(word) if is_remote(word) else word)
    shown = report.redacted(found, report.Sources(arguments.overrides))
    sys.stdout.write(data.page(verdict, shown, title, messages.of(arguments.flags.lang, os.environ)))


def _named(found: Diagnostic, folder: str, url: str) -> Diagnostic:
    """Name files of a checkout as the repository does, which is removed before anybody can look."""
    places = tuple(
        replace(place, file=place.file.removeprefix(f"{folder}/").replace(folder, url)) for place in found.locations
    )
    return replace(found, headline=found.headline.replace(folder, url), locations=places)
