"""Service of a run's result: the run that a manifest records, composed again with what serves it, and lowered.

manifest of a run → its overrides → compose → admit → resolve → validate → lower → patch → conform → render
"""

from ftgen.estimate.serving import Fit
from ftgen.serving.compile import CompiledService, compile_service
from ftgen.serving.lineage import compiled_again, service_source
from ftgen.serving.trained import TrainedRun, trained_run

__all__ = [
    "CompiledService",
    "Fit",
    "TrainedRun",
    "compile_service",
    "compiled_again",
    "service_source",
    "trained_run",
]
