"""Shared code of the verbs that read a tree: the folder or the branch that the flags name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ftgen.cli import progress
from ftgen.cli.arguments import Arguments
from ftgen.output import tree
from ftgen.output.tree import Lock, Store
from ftgen.text import files


@contextmanager
def open_tree(arguments: Arguments) -> Iterator[tuple[Store, Lock]]:
    """Open the tree that the flags name: its files and its index, which is empty where there is none.

    An interrupted write to a folder is finished first.

    Raises:
        Rejected: FT5xx, when it cannot be read.
        Usage: when a flag is missing that another flag needs.
    """
    flags = arguments.flags
    if flags.repo is None and not (flags.branch or flags.path or flags.push):
        out = folder(arguments)
        tree.recover(out)
        yield tree.folder_store(out), tree.read_lock(out)
        return
    from ftgen.cli import repository  # noqa: PLC0415 - as above
    from ftgen.remote import gitops  # noqa: PLC0415 - loaded only for a repository, which a cluster's verbs need not have

    target = repository.target(arguments)
    assert target is not None  # noqa: S101 - a flag without --repo is refused there
    with ExitStack() as stack:
        with progress.steps(arguments) as step:
            step(f"reading {target.branch}")
            opened = stack.enter_context(gitops.open_tree(target, push=flags.push))
        yield opened


def folder(arguments: Arguments) -> Path:
    """Return the folder of the tree, where no repository is named; what is printed is about the default one."""
    return files.unnamed_folder(Path("out")) if arguments.flags.out == "-" else arguments.out()
