"""`ftgen tune STUDY [OVERRIDES]`: tell a study its results, and publish its next round of runs as one commit."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ftgen import tuning
from ftgen.cli import output, progress, reading, repository, request
from ftgen.cli.arguments import MOST, Arguments, Usage
from ftgen.config.compose import Composer
from ftgen.diagnostics import COMMAND_LINE, Location, Rejected, error
from ftgen.lower import naming
from ftgen.output.tree import OnImmutableChange, WriteOptions
from ftgen.provenance.foreign import refuse_outside
from ftgen.remote.cluster import mlflow
from ftgen.review.diff import same_run
from ftgen.sweeping import space
from ftgen.sweeping.space import SearchSpace
from ftgen.text import files
from ftgen.text.tables import table
from ftgen.tuning import Round, Study, Trial, TrialState, Tuner, proposals, results
from ftgen.tuning.results import Source
from ftgen.tuning.study import MOST_AT_ONCE, MOST_TRIALS

_TRIALS, _ROUND = 20, 4


def run(arguments: Arguments) -> int:
    """Take the next step of the study, or show it with --show."""
    name, words = _split(arguments)
    flags = arguments.flags
    with reading.open_tree(arguments) as (store, lock):
        known = tuning.read(store, name)
        if known is None and (flags.show or not (words or flags.objective)):
            raise Rejected([_unknown(name)])
        if known is not None and flags.show:
            _show(known, arguments)
            return 0
        proposals.load()
        asked = replace(arguments, overrides=words or (known.words if known else ()))
        try:
            # The file of a study may have come with a clone.
            typed = None if known is None else words
            with request.open_composer(asked, typed=typed) as composer, progress.steps(arguments) as step:
                tuner = _tuner(composer, name, known, asked, is_typed=bool(words))
                step("reading results, and asking for runs")
                done = tuner.round(store, lock)
        except Rejected as rejected:
            raise _as_typed(rejected, arguments, words) from None
    output.print_diagnostics(output.apply_strict(done.diagnostics, asked), asked)
    outcome, commit = repository.apply_edit(tuner.edit, asked, done.runs)
    repository.print_changes(outcome, asked)
    _report(tuner.last[2] if tuner.last else done, commit, asked)
    return 0


def _tuner(composer: Composer, name: str, known: Study | None, asked: Arguments, *, is_typed: bool) -> Tuner:
    """Return the maker of the study's rounds.

    Raises:
        Rejected: FT79x, the space or the results cannot be read, or FT002, the study's own words name a folder.
        Usage: a flag is missing.
    """
    if not is_typed:
        refuse_outside(composer, (*asked.overrides, *(known.fixed if known else ())))
    found = space.read(composer, asked.overrides)
    destination = repository.target(asked)
    source = repository.git_source(destination) if destination else None
    return Tuner(_draft(name, known, found, asked), found, _results(asked, known), _options(asked), source)


def _as_typed(rejected: Rejected, arguments: Arguments, words: Sequence[str]) -> Rejected:
    """Return a rejection whose places on the command line count the study's name, too; of a known study there are none.

    What a known study says was typed when it was begun.
    """
    places = [number for number, word in enumerate(arguments.overrides, 1) if word in words]

    def typed(location: Location) -> Location | None:
        if location.file != COMMAND_LINE:
            return location
        return replace(location, line=places[location.line - 1]) if 0 < location.line <= len(places) else None

    return Rejected(d.at(*(found for each in d.locations if (found := typed(each)))) for d in rejected.diagnostics)


def _split(arguments: Arguments) -> tuple[str, tuple[str, ...]]:
    """Return the name of the study, and the overrides.

    Raises:
        Usage: there is no name, or one that no folder of runs can have; or a flag has no meaning here.
    """
    if arguments.flags.multirun:
        raise Usage("tune takes no -m: what is swept is the space of the study")
    if arguments.flags.out == "-":
        raise Usage("tune writes to a tree: name its folder with -o, or --repo and --branch")
    names = [word for word in arguments.overrides if "=" not in word and not word.startswith("~")]
    if len(names) != 1:
        raise Usage(
            "tune needs the name of one study, as in `ftgen tune lr 'trainer.lr=tag(log, interval(1e-5,1e-3))'`"
        )
    name = names[0]
    if naming.folder_of(name) != name:
        raise Usage(f"{name!r} is no name for a study: small letters, digits and dashes, as in a job's name")
    return name, tuple(word for word in arguments.overrides if word != name)


def _unknown(name: str) -> Any:
    how = f"begin it: `ftgen tune {name} --objective eval_loss 'trainer.lr=tag(log, interval(1e-5,1e-3))'`"
    headline = f"there is no study {name} in the tree"
    return error(tuning.CONTRADICTION, headline, name, help=f"check --repo, --branch and --path, or -o; or {how}")


def _draft(name: str, known: Study | None, found: SearchSpace, arguments: Arguments) -> Study:
    """Return the study as the command line has it; what it does not say is as the study was begun.

    Raises:
        Usage: a study is begun without an objective.
    """
    flags = arguments.flags
    begun = known or _begun(name, found, arguments)
    if not (objective := flags.objective or begun.objective):
        raise Usage("a study begins with --objective METRIC, such as eval_loss")
    if not objective.isprintable():
        raise Usage(f"--objective {objective!a} is no name of a metric")
    draft = replace(
        begun,
        objective=objective,
        direction=flags.direction or begun.direction,
        sampler=flags.sampler or begun.sampler,
        seed=begun.seed if flags.seed is None else flags.seed,
        fixed=found.fixed,
        space=found.parameters,
        budget=begun.budget if flags.trials is None else flags.trials,
        parallel=begun.parallel if flags.round is None else flags.round,
        pruner=flags.prune or begun.pruner,
        trials=(),
    )
    if draft.budget > MOST_TRIALS or draft.parallel > MOST_AT_ONCE:
        raise Usage(f"a study has up to {MOST_TRIALS} trials (--trials), {MOST_AT_ONCE} of them at a time (--round)")
    return draft


def _begun(name: str, found: SearchSpace, arguments: Arguments) -> Study:
    """Return a new study with the settings of Hydra's Optuna sweeper, where the configuration has them.

    Raises:
        Rejected: FT791, if one of them is malformed.
    """
    sampler = found.sweeper.get("sampler")
    said = {**found.sweeper, "seed": sampler.get("seed") if isinstance(sampler, dict) else None}
    problems = [
        error(space.UNTUNABLE, f"hydra.sweeper.{key} is {said[key]!r}, not {what}", "hydra.sweeper", help="mend it")
        for key, (what, is_right) in _OF_HYDRA.items()
        if said.get(key) is not None and not is_right(said[key])
    ]
    if problems:
        raise Rejected(problems)

    def of(key: str, default: Any) -> Any:
        return default if said.get(key) is None else said[key]

    direction, seed = of("direction", "minimize"), of("seed", 0)
    budget, parallel = of("n_trials", _TRIALS), of("n_jobs", _ROUND)
    words, fixed = arguments.overrides, found.fixed
    return Study(name, "", direction, "tpe", seed, words, fixed, found.parameters, budget, parallel)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST


_COUNT = f"a whole number from 0 to {MOST - 1}"
_OF_HYDRA: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "direction": ("minimize or maximize", lambda value: value in ("minimize", "maximize")),
    "n_trials": (_COUNT, _is_count),
    "n_jobs": (_COUNT, _is_count),
    "seed": (_COUNT, _is_count),
}


def _results(arguments: Arguments, known: Study | None) -> Source:
    """Return where results come from; a study that begins has none.

    Raises:
        Usage: a study goes on, and no place is named.
        Rejected: FT794, if the file cannot be read.
    """
    if arguments.flags.results:
        return results.of_text(_content(arguments.flags.results), arguments.flags.results)
    if known is None:
        return results.nothing
    try:
        return results.of_mlflow(mlflow.Server.of(os.environ))
    except ValueError as problem:
        raise Usage(f"results come from --results FILE, or from MLflow: {problem}") from None


def _content(path: str) -> bytes:
    try:
        return files.read_stream(sys.stdin.buffer, "-") if path == "-" else files.read(path)
    except OSError as problem:
        headline = f"{path} cannot be read: {problem.strerror}"
        raise Rejected(
            [error(results.UNREADABLE, headline, "--results", help="name a file, or - for standard input")]
        ) from None


def _options(arguments: Arguments) -> WriteOptions:
    source = repository.provenance().source
    return WriteOptions(
        on_immutable_change=OnImmutableChange.REFUSE,
        adopt=arguments.flags.adopt,
        overwrite=arguments.flags.overwrite,
        same_run=same_run,
        source=source.sha if source and not source.dirty and arguments.flags.repo else "",
    )


def _report(done: Round, commit: str, arguments: Arguments) -> None:
    """Print what the round did, and how the study stands; `commit` is empty for a folder."""
    if arguments.flags.json:
        labels = [trial.label for trial in done.asked]
        output.print_document({**values(done.study), "asked": labels, "commit": commit or None}, arguments)
        return
    for line in _standing(done.study):
        output.print_status(line, arguments)


def _standing(study: Study) -> Iterator[str]:
    counts = {state: len(study.in_state(state)) for state in TrialState}
    counted = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    yield f"{study.name}: {counted or 'no trials'} of {study.budget}"
    if best := study.best:
        yield f"best so far: {best.label}, {study.objective} {best.value:g}"


# --show


def _show(study: Study, arguments: Arguments) -> None:
    if arguments.flags.json:
        output.print_document(values(study), arguments)
        return
    keys = sorted(study.space)
    rows = [
        (t.label, str(t.state), _value(t), *(str(t.params[key]) for key in keys), t.run or t.why) for t in study.trials
    ]
    lines = table([("TRIAL", "STATE", study.objective.upper(), *keys, "RUN"), *rows])
    output.print_text(lines)
    for line in _standing(study):
        output.print_status(line, arguments)
    if best := study.best:
        output.print_text([command(study, best)])


def _value(trial: Trial) -> str:
    return "-" if trial.value is None else f"{trial.value:g}"


def command(study: Study, trial: Trial) -> str:
    """Return the command line that renders a trial's job on its own."""
    return shlex.join(["ftgen", *study.overrides(trial)])


def values(study: Study) -> dict[str, Any]:
    """Return a study as JSON values, with its best trial."""
    best = study.best
    return {
        "study": study.name,
        "objective": study.objective,
        "direction": study.direction,
        "budget": study.budget,
        "trials": [trial.as_json() for trial in study.trials],
        "best": None if best is None else {**best.as_json(), "overrides": study.overrides(best)},
    }
