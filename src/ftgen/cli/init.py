"""`ftgen init [DIR] [KEY=VALUE…]`: a directory of one's own, with a cluster option, CI and what editors need.

Words are overrides, as everywhere; on a terminal the most usual ones are asked for.  What they say is compiled before
anything is written, so that the directory renders at once.

* FT790: the files for pipelines and hooks lie below the root of a repository, where nothing reads them.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct
from msgspec.structs import replace

from ftgen import __version__, pipeline, runtime
from ftgen.cli import import_, output, report, request, schema, writing
from ftgen.cli.arguments import Arguments, Usage, is_override, is_terminal
from ftgen.config.compose import RUN_SECTIONS, hydra_literal, is_assignment
from ftgen.diagnostics import Diagnostic, Rejected, note
from ftgen.interop import importing, starter
from ftgen.interop.starter import Answers
from ftgen.pipeline import Workspace
from ftgen.text import files


class Question(Struct, frozen=True):
    """A question: the key or group of its answer, its words, and the answer where nobody gives one."""

    key: str
    text: str
    default: str


QUESTIONS = (
    Question("cluster.registry", "Registry of the images", "registry.example.com"),
    Question("cluster.git.url", "Git server of models and data sets", "https://git.example.com"),
    Question("cluster.namespace", "Namespace of the jobs", "default"),
    Question("cluster.queue", "Volcano's queue", "default"),
    Question("hardware", "Cards", "full-gpu"),
    Question("storage", "Storage", "ephemeral"),
    Question("tracking.uri", "Address of MLflow, empty for none", ""),
)


def run(arguments: Arguments) -> int:
    """Ask, compile, write all files or none, and print what to run next."""
    folder, typed = _split(arguments.overrides)
    packaged = arguments.with_flags(config_path=runtime.conf_dir(), config_dir=[])
    words, defaults = _answered(typed, packaged)
    try:
        answers = _compiled(words, packaged)
    except Rejected as rejected:
        return output.reject(rejected, replace(packaged, overrides=tuple(words)))
    if defaults:
        output.print_status(f"taken as nothing else was said: {defaults}", arguments)
    made = {**starter.files(answers, arguments.flags.ci, f"ftgen=={__version__}"), **_schemas(answers)}
    experiment, imported = _imported(made, packaged) if arguments.flags.source else ("", {})
    writing.write({**made, **imported}, folder, arguments)
    output.print_diagnostics(_misplaced(folder, arguments.flags.ci), arguments)
    output.print_status(_next_steps(folder, experiment), arguments)
    return 0


def _split(words: Sequence[str]) -> tuple[Path, list[str]]:
    """Return the folder, which is the first word unless that is an override, and the overrides."""
    is_named = bool(words) and not is_override(words[0])
    if is_named and "\0" in words[0]:
        raise Usage("a path cannot hold a NUL character")
    return Path(words[0] if is_named else "."), list(words[1:] if is_named else words)


# answers


def _answered(words: Sequence[str], arguments: Arguments) -> tuple[list[str], str]:
    """Return the words with an answer to every question that they leave open, and the choices that follow.

    Where nobody can be asked, the answers are the defaults, which are returned as a text as well.
    """
    asked = _open_questions({word.partition("=")[0] for word in words})
    if _is_interactive() and not arguments.flags.yes:
        return _with_choices([*words, *_as_overrides(_ask_all(asked, words, arguments))]), ""
    defaults = {question.key: question.default for question in asked}
    taken = ", ".join(f"{key}={value}" for key, value in defaults.items() if value)
    return _with_choices([*words, *_as_overrides(defaults)]), taken


def _open_questions(said: set[str]) -> list[Question]:
    """Return the questions that the keys do not answer: an option that was chosen answers those about its group."""
    return [each for each in QUESTIONS if not {each.key, each.key.partition(".")[0]} & said]


def _is_interactive() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and is_terminal()


def _ask_all(asked: Sequence[Question], words: Sequence[str], arguments: Arguments) -> dict[str, str]:
    """Ask one question after the other; Enter takes the default, and the end of the input all that remain."""
    given = {question.key: question.default for question in asked}
    for question in asked:
        while (answer := _read(question)) is not None:
            tried = {**given, question.key: answer or question.default}
            problems = _problems(_with_choices([*words, *_as_overrides(tried)]), arguments)
            if not problems:
                given = tried
                break
            output.print_diagnostics([problem.at() for problem in problems], arguments.with_flags(format="text"))
        if answer is None:
            output.print_status("", arguments)
            break
    return given


def _read(question: Question) -> str | None:
    """Read a line of the terminal; None at its end. Bytes that are no UTF-8 are refused as in any override."""
    sys.stderr.write(f"{question.text} [{question.default}]: " if question.default else f"{question.text}: ")
    sys.stderr.flush()
    line = sys.stdin.buffer.readline(_LONGEST)
    return line.decode("utf-8", "surrogateescape").strip() if line else None


_LONGEST = 4096


def _as_overrides(answers: Mapping[str, str]) -> list[str]:
    """Write answers as overrides: whatever a text holds, it is that text, and no interpolation or number."""
    return [f"{key}={hydra_literal(importing.literal(text))}" for key, text in answers.items() if text]


def _with_choices(words: Sequence[str]) -> list[str]:
    """Add the options that a directory of one's own begins with, where the words choose none."""
    said = {word.partition("=")[0] for word in words}
    tracking = "mlflow" if "tracking.uri" in said else "none"
    chosen = {"cluster": "generic", "tracking": tracking}
    return [*words, *(f"{group}={option}" for group, option in chosen.items() if group not in said)]


def _problems(words: Sequence[str], arguments: Arguments) -> Sequence[Diagnostic]:
    """Return why the words render no job."""
    try:
        _compiled(words, arguments)
    except Rejected as rejected:
        return rejected.diagnostics
    return ()


def _compiled(words: Sequence[str], arguments: Arguments) -> Answers:
    """Compile the job of the words, so that what is written renders; return its choices and values.

    Raises:
        Rejected: with every error and its place among the words.
    """
    with request.open_composer(replace(arguments, overrides=tuple(words))) as composer:
        overrides = composer.parse(words)
        composition = composer.compose(overrides)
        for word, each in zip(words, overrides, strict=True):
            shown = report.redacted_override(word)
            if not is_assignment(each) or each.key_or_group.partition(".")[0] in RUN_SECTIONS:
                raise Usage(f"init takes GROUP=OPTION and KEY=VALUE of a job, which go into files: {shown} is neither")
            if composer.selects_option(each) and "/" in each.key_or_group:
                raise Usage(f"{shown} holds for some options of its group alone: write it into an option of your own")
        job = pipeline.compile_composition(composition, tuple(words), Workspace(composer))
        pipeline.deliver([job])
        chosen = {each.key_or_group for each in overrides if composer.selects_option(each)}
    values = {each.key_or_group: each.value() for each in overrides if each.key_or_group not in chosen}
    choices = {group: option for group, option in composition.choices.items() if "/" not in group}
    return Answers(choices, values)


# files


def _schemas(answers: Answers) -> dict[str, bytes]:
    """Return the schemas that the files' modelines name, as `ftgen schema` prints them in the new directory."""
    places = [runtime.conf_dir()]
    own = {group: {starter.NAME: ""} for group in answers.own}
    names = {"config": "", **dict(zip(own, own, strict=True))}
    return {f"{starter.SCHEMAS}/{name}.json": schema.text(group, places, own).encode() for name, group in names.items()}


def _imported(made: Mapping[str, bytes], arguments: Arguments) -> tuple[str, dict[str, bytes]]:
    """Import the job that --from names with the new configuration; return the experiment's name and the files."""
    with TemporaryDirectory(prefix="ftgen-init-") as place:
        for path, content in made.items():
            file = Path(place, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        given = arguments.with_flags(config_path=None, config_dir=[Path(place, "conf")], out=".")
        return import_.converted(replace(given, overrides=(arguments.flags.source,)), Path(place))


def _misplaced(folder: Path, ci: str) -> list[Diagnostic]:
    """Return a note where git's hooks and pipelines will not find their files: they look in a repository's root."""
    place = files.resolved(folder)
    root = next((above for above in place.parents if (above / ".git").exists()), None)
    if root is None or (place / ".git").exists():
        return []
    names = [name for name in (starter.CI.get(ci, ""), ".pre-commit-config.yaml") if name]
    headline = f"{' and '.join(names)} are read in the root of a repository, and {folder} is none"
    how = f"move them to {root}, and let their commands run in {place.relative_to(root)}"
    return [note("FT790", headline, str(folder), help=how)]


def _next_steps(folder: Path, experiment: str) -> str:
    go = [] if folder == Path() else [f"cd {shlex.quote(str(folder))}"]
    chosen = f" +experiment={experiment}" if experiment else ""
    commands = [*go, f"ftgen plan{chosen}", f"ftgen{chosen}", "ftgen check out", f"ftgen diff{chosen}"]
    return "next:\n" + "\n".join(f"  {command}" for command in commands)
