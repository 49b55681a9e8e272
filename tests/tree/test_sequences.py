"""What holds after any sequence of renders of a sweep, and of steps in the lives of its runs, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, field
from msgspec.structs import replace
from tests.gitops.runs import CLAIM, JOB

from ftgen.diagnostics import Rejected
from ftgen.output.tree import (
    EMPTY,
    Lock,
    OnImmutableChange,
    Outcome,
    Run,
    State,
    WriteOptions,
    plan_runs,
    under_name,
)
from ftgen.remote.gitops import TreeEdit, archiving, rerunning, stopping

SHARED = {
    "persistentvolumeclaim-models": CLAIM.format(size="1Gi"),
    "persistentvolume-models": "apiVersion: v1\nkind: PersistentVolume\nmetadata:\n  name: models\n",
    "configmap-s-scripts-1": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: s-scripts-1\n",
    "configmap-s-scripts-2": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: s-scripts-2\n",
}
QUEUE = "apiVersion: scheduling.volcano.sh/v1beta1\nkind: Queue\nmetadata:\n  name: s\n"


class Tree(Struct):
    """A tree in memory, and the store of its files."""

    contents: dict[str, bytes] = field(default_factory=dict)
    lock: Lock = EMPTY
    staged: dict[str, bytes] = field(default_factory=dict)

    def describe(self) -> str:
        return "memory"

    def is_bare(self) -> bool:
        return not self.contents

    def problem(self, _path: str) -> None:
        """Nothing but files is in memory."""

    def has(self, path: str) -> bool:
        return path in self.contents

    def read(self, path: str) -> bytes | None:
        return self.contents.get(path)

    def holds(self, path: str, content: bytes) -> bool:
        return self.contents.get(path) == content

    def files(self, folder: str) -> Iterable[str]:
        return [path for path in self.contents if path.startswith(f"{folder}/")]

    def names(self) -> Iterable[str]:
        return {path.partition("/")[0] for path in self.contents}

    def stage(self, path: str, content: bytes) -> None:
        self.staged[path] = content

    def after(self, outcome: Outcome) -> Tree:
        """Return the tree in which the staged files are in place and those gone are removed, as a folder does it."""
        contents = {path: text for path, text in (self.contents | self.staged).items() if path not in outcome.gone}
        return Tree(contents, outcome.lock)

    def live(self, step: TreeEdit) -> Tree:
        """Return the tree after a step in the life of its runs."""
        tree = Tree(self.contents, self.lock)
        return tree.after(step(tree, self.lock)[0])


class Render(Struct, frozen=True):
    """One command line: the points of the sweep, the files beside them, and how an earlier run is treated."""

    runs: tuple[Run, ...]
    rule: OnImmutableChange
    whole: bool

    @property
    def reversed(self) -> tuple[Run, ...]:
        """Return the runs in the other order; a sweep's index comes last."""
        return (*reversed(self.runs[:-1]), self.runs[-1])

    def into(self, before: Tree, runs: Sequence[Run] = ()) -> tuple[Tree, Outcome]:
        whole = frozenset({"s"} if self.whole else ())
        options = WriteOptions(on_immutable_change=self.rule, whole=whole, allow_shrink=True)
        tree = Tree(before.contents, before.lock)
        outcome = plan_runs(tree, before.lock, runs or self.runs, options)
        return tree.after(outcome), outcome


def point(label: str, version: int, companions: frozenset[str]) -> Run:
    """A run whose job names its companions, and which has as many of them as it is told."""
    name = f"s-{label}-{version:08}"
    job = JOB.format(name=name, run=f"s-{label}", note="first", queue=version, available=2)
    named = "".join(f"# {companion.partition('-')[2]}\n" for companion in sorted(companions))
    files = {f"s/{companion}.yaml": SHARED[companion].encode() for companion in sorted(companions)}
    return Run("s", name, f"s/{label}", {f"s/job-{name}.yaml": (job + named).encode(), **files})


@st.composite
def renders(draw: st.DrawFn) -> Render:
    labels = draw(st.lists(st.sampled_from("abc"), unique=True, min_size=1))
    companions = st.frozensets(st.sampled_from(sorted(SHARED)))
    points = [point(label, draw(st.integers(1, 2)), draw(companions)) for label in labels]
    beside = {"s/s.ftgen-index": repr(sorted(run.name for run in points)).encode()}
    if draw(st.booleans()):
        beside["s/queue-s.yaml"] = QUEUE.encode()
    rule = draw(st.sampled_from(OnImmutableChange))
    return Render((*points, Run("s", "", "s/*", beside)), rule, draw(st.booleans()))


LIVES = st.builds(
    lambda step, label: step([f"s/{label}"]),
    st.sampled_from([archiving, stopping, rerunning]),
    st.sampled_from("abc"),
)


def owned(lock: Lock) -> Lock:
    """The index without the names of shared files, which are those of the run that came last."""
    files = {path: replace(entry, name="" if entry.run == "s/*" else entry.name) for path, entry in lock.files.items()}
    return replace(lock, files=files)


def has_ended(lock: Lock, run: Run) -> bool:
    ended = {State.ARCHIVED, State.STOPPING}
    entries = [entry for entry in lock.files.values() if (entry.run, entry.name) == (run.identity, run.name)]
    return run.name in lock.ended or any(entry.state in ended for entry in entries)


def assert_is_rendered(tree: Tree, outcome: Outcome, runs: Sequence[Run]) -> None:
    """Every file of these runs is there with its bytes, and the index says that it is in use."""
    for run in (under_name(run, outcome.names.get(run.name, run.name)) if run.name else run for run in runs):
        for path, text in run.files.items() if not has_ended(tree.lock, run) else ():
            assert tree.lock.files[path].state is State.ACTIVE
            assert tree.contents[path] == text or not run.name


@settings(max_examples=200)
@given(st.lists(renders() | LIVES, min_size=2, max_size=6))
def test_what_a_render_renders_is_there_and_in_use_whatever_came_before(steps):
    tree = Tree()
    for step in steps:
        before = tree
        if not isinstance(step, Render):
            with suppress(Rejected):
                tree = tree.live(step)
            continue
        try:
            tree, outcome = step.into(before)
        except Rejected:
            with pytest.raises(Rejected):
                step.into(before, step.reversed)
            continue
        assert_is_rendered(tree, outcome, step.runs)
        again, _ = step.into(tree)
        assert (again.contents, again.lock) == (tree.contents, tree.lock)
        other, _ = step.into(before, step.reversed)
        assert (other.contents, owned(other.lock)) == (tree.contents, owned(tree.lock))
