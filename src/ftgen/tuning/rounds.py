"""One round of a study, as an edit of its tree: tell results, stop poor runs, ask for new ones.

The edit is a function of the tree and of the results.  So when somebody else has moved the branch, it is computed again
on the new tip, and when a process is killed, either all of a round is there or nothing of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

from msgspec import Struct, field
from msgspec.structs import replace

from ftgen import pipeline
from ftgen.diagnostics import Diagnostic, Rejected, error, has_errors, note
from ftgen.diagnostics.credentials import redact
from ftgen.output import delivery
from ftgen.output.tree import Entry, Lock, Outcome, Run, State, Store, WriteOptions, plan_runs
from ftgen.output.tree.lock import is_job
from ftgen.pipeline import Compiled
from ftgen.remote import gitops
from ftgen.remote.cluster import objects
from ftgen.sweeping import axes
from ftgen.sweeping.batch import Compiler, located
from ftgen.sweeping.causes import Causes
from ftgen.sweeping.points import Point
from ftgen.sweeping.space import UNTUNABLE, SearchSpace
from ftgen.text import yamlio
from ftgen.tuning import proposals
from ftgen.tuning.results import Asked, Report, Source, Stage
from ftgen.tuning.study import Study, Trial, TrialState, differences, parse, path_of
from ftgen.validation import unreported
from ftgen.validation.rules import secrets

CONTRADICTION = "FT792"
_MOST_REFUSED = 20
"""Proposals that ftgen's rules may refuse in a round, before the space is thought to be wrong."""
_LIVE = frozenset({State.ACTIVE, State.ORPHANED})


class Round(Struct, frozen=True):
    """What a round does.

    Attributes:
        study: the study after it.
        told: trials whose state changed by their results.
        stopped: trials that the pruner stops now.
        asked: the new runs.
        runs: everything to render.
        archived: names of the runs to archive.
        stopping: names of the runs whose next step of stopping is due.
        diagnostics: warnings and notes.
    """

    study: Study
    told: Sequence[Trial] = ()
    stopped: Sequence[Trial] = ()
    asked: Sequence[Trial] = ()
    runs: Sequence[Run] = ()
    archived: Sequence[str] = ()
    stopping: Sequence[str] = ()
    diagnostics: Sequence[Diagnostic] = ()

    @property
    def summary(self) -> str:
        """Return what it does in a few words."""
        return f"{len(self.asked)} asked, {len(self.told)} told, {len(self.stopped)} stopped"


class Tuner(Struct, dict=True):
    """Maker of rounds.

    Attributes:
        draft: the study as the command line has it, without trials.
        space: its search space.
        results: source of results.
        options: rules for writing the tree.
        source: what a reconciler reads the tree from; None for a folder.
        last: the last round that was made, with the tree that it was made for.
    """

    draft: Study
    space: SearchSpace
    results: Source
    options: WriteOptions
    source: delivery.GitSource | None = None
    last: tuple[bytes | None, Lock, Round] | None = None

    @cached_property
    def compiler(self) -> Compiler:
        """Return the compiler of its jobs."""
        return Compiler(self.space.composer)

    def edit(self, store: Store, lock: Lock) -> tuple[Outcome, str]:
        """Apply the next round to a tree; a `gitops.TreeEdit`.

        Raises:
            Rejected: FT5xx, or as `round`.
        """
        done = self.round(store, lock)
        pending = _Pending(store)
        outcome = plan_runs(pending, lock, map(gitops.refuse_unnamed, done.runs), self.options)
        for change, names in ((gitops.archiving, done.archived), (gitops.stopping, done.stopping)):
            if names:
                after, _ = change(names)(pending, outcome.lock)
                noticed = (*outcome.diagnostics, *after.diagnostics)
                outcome = replace(
                    outcome, lock=after.lock, changes={**outcome.changes, **after.changes}, diagnostics=noticed
                )
        return outcome, f"ftgen: tune {done.study.name}: {done.summary}"

    def round(self, store: Store, lock: Lock) -> Round:
        """Return the next round of the study in a tree; the same one for the same tree.

        Raises:
            Rejected: FT792 or FT793, if the tree has another study of its name; what refuses every proposal; the
                results cannot be read.
        """
        text = store.read(self.draft.path)
        if self.last is None or self.last[:2] != (text, lock):
            self.last = text, lock, self._round(begun(store, lock, self.draft), store, lock)
        return self.last[2]

    def _round(self, study: Study, store: Store, lock: Lock) -> Round:
        runs = _Runs(study, store, lock)
        reports, noticed = self.results(runs.asked(), study.objective, study.pruner != "none")
        told = [new for trial in study.trials if (new := _told(trial, reports.get(trial.number), runs)) != trial]
        for trial in told:
            study = study.with_trial(trial)
        stopped = list(_poor(study, {number: report.reported for number, report in reports.items()}, runs))
        for trial in stopped:
            study = study.with_trial(trial)
        due = [run for trial in study.in_state(TrialState.PRUNED) if (run := runs.to_stop(trial, new=trial in stopped))]
        ended = [name for trial in told if trial.state is not TrialState.RUNNING and (name := runs.live(trial))]
        asking = _Asking(self, study)
        jobs = asking.jobs()
        extra = Run(study.name, "", f"{study.name}/study/*", {study.path: asking.study.dump()})
        return Round(
            asking.study,
            told,
            stopped,
            asking.asked,
            [*(job.run for job in jobs), extra, *pipeline.deliver(jobs, self.source, extra.files)],
            ended,
            due,
            [*noticed, *asking.noticed()],
        )


def begun(store: Store, lock: Lock, draft: Study) -> Study:
    """Return the study in a tree with the numbers of trials of a draft; the draft where the tree has none.

    Raises:
        Rejected: FT792, if they contradict each other; FT793, if its file cannot be read.
    """
    found = read(store, draft.name)
    if found is None:
        _refuse_folder(lock, draft)
        return draft
    if contradictions := differences(found, draft):
        headline = f"the study {draft.name} was begun with something else: {'; '.join(contradictions)}"
        how = "leave out what it already knows, or begin another study under another name"
        raise Rejected([error(CONTRADICTION, headline, draft.path, help=how)])
    return replace(found, budget=draft.budget, parallel=draft.parallel, pruner=draft.pruner)


def read(store: Store, name: str) -> Study | None:
    """Return the study of a name in a tree; None where there is none.

    Raises:
        Rejected: FT793, if its file cannot be read.
    """
    text = store.read(path_of(name))
    return None if text is None else parse(text, f"{store.describe()}: {path_of(name)}", name)


def _refuse_folder(lock: Lock, draft: Study) -> None:
    """Refuse to begin a study among other runs, which would take its file for one of theirs."""
    if taken := next((path for path in lock.files if path.startswith(f"{draft.name}/")), ""):
        headline = f"the folder {draft.name} has runs that are no study's, such as {taken}"
        how = "give the study another name; a study's folder is its own"
        raise Rejected([error(CONTRADICTION, headline, taken, help=how)])


class _Pending(Struct):
    """Store in which what is staged can be read, so that one edit can follow another before anything is written."""

    store: Store
    contents: dict[str, bytes] = field(default_factory=dict)

    def describe(self) -> str:
        return self.store.describe()

    def is_bare(self) -> bool:
        return self.store.is_bare()

    def problem(self, path: str) -> Diagnostic | None:
        return self.store.problem(path)

    def has(self, path: str) -> bool:
        return path in self.contents or self.store.has(path)

    def read(self, path: str) -> bytes | None:
        return self.contents[path] if path in self.contents else self.store.read(path)

    def holds(self, path: str, content: bytes) -> bool:
        return self.contents[path] == content if path in self.contents else self.store.holds(path, content)

    def files(self, folder: str) -> Iterator[str]:
        yield from {*self.store.files(folder), *(path for path in self.contents if path.startswith(f"{folder}/"))}

    def names(self) -> set[str]:
        return {*self.store.names(), *(path.partition("/")[0] for path in self.contents)}

    def stage(self, path: str, content: bytes) -> None:
        self.contents[path] = content
        self.store.stage(path, content)


class _Runs:
    """The runs of a study's trials in a tree."""

    def __init__(self, study: Study, store: Store, lock: Lock) -> None:
        self.study, self.store, self.lock = study, store, lock
        self.jobs: dict[str, tuple[str, Entry]] = {}
        for path, entry in lock.files.items():
            assigned = lock.runs.get(entry.run)
            # Of a run that was rendered again (`ftgen rerun`), the last one counts.
            if is_job(entry.object) and assigned is not None and assigned.name == entry.name:
                self.jobs[entry.run] = path, entry

    def of(self, trial: Trial) -> tuple[str, Entry] | None:
        return self.jobs.get(f"{self.study.name}/{trial.label}")

    def asked(self) -> list[Asked]:
        """Return the runs, with the jobs of those whose results matter: to prune by, of those that have one, too."""
        states = {TrialState.RUNNING, TrialState.FAILED}
        states |= {TrialState.COMPLETE} if self.study.pruner != "none" else set()
        return [self._asked(trial, wanted=trial.state in states) for trial in self.study.trials if trial.run]

    def _asked(self, trial: Trial, *, wanted: bool) -> Asked:
        found = self.of(trial)
        content = self.store.read(found[0]) if found and wanted else None
        names = (trial.run, f"{self.study.name}/{trial.label}", trial.label)
        if found is None or content is None:
            return Asked(trial.number, (found[1].name, *names) if found else names, None)
        manifest = yamlio.parse(content.decode("utf-8", "replace"), found[0])
        body = manifest if isinstance(manifest, dict) else {}
        view = objects.volcano_job if found[1].object.startswith("batch.volcano.sh/") else objects.plain_job
        return Asked(trial.number, (found[1].name, *names), view(body))

    def live(self, trial: Trial) -> str:
        """Return the path of the job of a trial that a reconciler still keeps; empty if it is archived or gone."""
        return self._in_state(trial, _LIVE)

    def to_stop(self, trial: Trial, *, new: bool) -> str:
        """Return the path of the run of a pruned trial whose next step is due: its guards now, its file next time."""
        return self._in_state(trial, _LIVE if new else {State.STOPPING})

    def _in_state(self, trial: Trial, states: Collection[State]) -> str:
        found = self.of(trial)
        return found[0] if found is not None and found[1].state in states else ""


def _told(trial: Trial, report: Report | None, runs: _Runs) -> Trial:
    """Return a trial as its results have it; one that failed may have been started again."""
    if trial.state not in {TrialState.RUNNING, TrialState.FAILED}:
        return trial
    if report is not None and report.stage is Stage.COMPLETE:
        return replace(trial, state=TrialState.COMPLETE, value=report.value, why="")
    if report is not None and report.stage is Stage.FAILED:
        return replace(trial, state=TrialState.FAILED, why=report.why)
    if not runs.live(trial):
        return trial if trial.why else replace(trial, state=TrialState.FAILED, why="archived or stopped by hand")
    return replace(trial, state=TrialState.RUNNING, why="") if report is not None else trial


def _poor(study: Study, reported: dict[int, proposals.Reported], runs: _Runs) -> Iterator[Trial]:
    """Yield the running trials that the study's pruner stops, with the last value that they reported."""
    for trial in study.in_state(TrialState.RUNNING):
        if runs.live(trial) and proposals.poor(study, trial, reported):
            step = max(reported[trial.number])
            value = reported[trial.number][step]
            finite = value if abs(value) < float("inf") else None
            yield replace(trial, state=TrialState.PRUNED, value=finite, step=step)


class _Asking:
    """Asks for as many trials as there is room for, and compiles their runs."""

    def __init__(self, tuner: Tuner, study: Study) -> None:
        self.tuner, self.study = tuner, study
        self.causes = Causes()
        self.asked: list[Trial] = []
        self.refused: list[tuple[Trial, Point, Rejected]] = []
        self.is_exhausted = False

    def jobs(self) -> list[Compiled]:
        """Return the new jobs.

        Raises:
            Rejected: every proposal is refused.
        """
        jobs: list[Compiled] = []
        while self.study.room and len(self.refused) < _MOST_REFUSED:
            values = proposals.propose(self.study, self.tuner.space.wants)
            if values is None:
                self.is_exhausted = True
                break
            job = self._compiled(Trial(len(self.study.trials), values))
            jobs += [job] if job else []
        if self.refused and not jobs:
            _, point, rejected = self.refused[0]
            raise Rejected(self._located(each, point) for each in rejected.diagnostics)
        if jobs and (secret := self._secrets(jobs[0].spec.accepted)):
            raise Rejected(secret)
        return jobs

    def _secrets(self, accepted: Collection[str]) -> list[Diagnostic]:
        """Return an error for each alternative with a secret: the study holds them all, whatever its runs hold."""
        space = self.tuner.space
        return [
            axes.placed(found, axis.place)
            for axis in space.axes
            if axis.swept
            for choice in space.parameters[axis.key].choices
            for key, value in axes.values_set(space.composer, (f"{axis.key}={choice}",)).items()
            for found in unreported(secrets.in_value(key, value), accepted)
        ]

    def _compiled(self, trial: Trial) -> Compiled | None:
        space, name = self.tuner.space, self.study.name
        point = space.point(trial.params, trial.label)
        try:
            composition = space.frames.compose(point.overrides)
            job = self.tuner.compiler.compile(composition, point, space.swept, name)
        except Rejected as rejected:
            why = next(each for each in rejected.diagnostics if has_errors([each]))
            refused = replace(trial, state=TrialState.REFUSED, why=redact(f"{why.code}: {why.headline}"))
            self.refused.append((refused, point, rejected))
            self.study = self.study.with_trial(refused)
            return None
        self.causes.add(point, job.diagnostics)
        started = replace(trial, run=job.run.name)
        self.asked.append(started)
        self.study = self.study.with_trial(started)
        return job

    def noticed(self) -> list[Diagnostic]:
        """Return warnings and notes about the new runs, each once."""
        told = [self._located(each, Point((), {}, "")) for each in self.tuner.space.diagnostics]
        told += self.causes.diagnostics(len(self.asked), self._located)
        reasons: dict[str, list[str]] = {}
        for trial, _, _ in self.refused:
            reasons.setdefault(trial.why, []).append(trial.label)
        for why, labels in reasons.items():
            headline = f"ftgen's rules refuse {', '.join(labels)}, passed over: {why}"
            told.append(note(UNTUNABLE, headline, help="+sweep.exclude=… says what not to try"))
        if self.is_exhausted:
            headline = f"{self.study.name} has tried all there is: {len(self.study.trials)} points"
            told.append(note(UNTUNABLE, headline, help="begin a study of a larger space"))
        return told

    def _located(self, diagnostic: Diagnostic, point: Point) -> Diagnostic:
        space = self.tuner.space
        return located(space.composer, point, space.places, diagnostic)
