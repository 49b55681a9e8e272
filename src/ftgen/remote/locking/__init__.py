"""Answers to what movable references stand for now: commits of branches and tags, digests of images.

Only `ftgen lock` asks.  Several questions are asked at once, each with a time limit; who answers what nobody asked, or
too much, is refused.

* FT784: a reference cannot be resolved.
* FT785: a branch and a tag have the same name; the tag is taken, as `git fetch` does.
"""

from ftgen.remote.locking.answer import Answer, Unresolved
from ftgen.remote.locking.ask import resolved
from ftgen.remote.locking.login import Logins
from ftgen.remote.locking.registry import Registries

__all__ = ["Answer", "Logins", "Registries", "Unresolved", "resolved"]
