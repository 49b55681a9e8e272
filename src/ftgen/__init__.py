"""ftgen: declarative fine-tuning jobs for Volcano.

In Python, `ftgen.job([...])` renders one job and `ftgen.sweep([...])` a sweep; both take overrides as the
command line does. `ftgen.data(path, [...])` judges a data set as `ftgen data` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftgen.runtime import VERSION as __version__  # noqa: N811 - Python's own name for it

if TYPE_CHECKING:
    from ftgen.api import Job, Sweep, data, job, sweep
    from ftgen.diagnostics import Rejected

__all__ = ["Job", "Rejected", "Sweep", "__version__", "data", "job", "sweep"]

_MODULES = {"Job": "api", "Sweep": "api", "job": "api", "sweep": "api", "data": "api", "Rejected": "diagnostics"}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, as `ftgen --help` needs none of them."""
    if name not in _MODULES:
        raise AttributeError(f"module 'ftgen' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - needed only here

    return getattr(import_module(f"ftgen.{_MODULES[name]}"), name)
