"""Answers to what movable references stand for now: commits of branches and tags, digests of images.

Only `ftgen lock` asks.  Several questions are asked at once, each with a time limit; who answers what nobody asked, or
too much, is refused.

* FT784: a reference cannot be resolved.
* FT785: a branch and a tag have the same name; the tag is taken, as `git fetch` does.
"""

from ftgen.locking.answer import Answer, Unresolved
from ftgen.locking.ask import resolved
from ftgen.locking.login import Logins
from ftgen.locking.registry import Registries

__all__ = ["Answer", "Logins", "Registries", "Unresolved", "resolved"]
