"""Service of a run's result: the run that a manifest records, composed again with what serves it, and lowered.

manifest of a run → its overrides → compose → admit → resolve → validate → lower → patch → conform → render
"""

from ftgen.emulation.estimate.serving import Fit
from ftgen.pipeline.serving.compile import CompiledService, compile_service
from ftgen.pipeline.serving.trained import TrainedRun, trained_run

__all__ = [
    "CompiledService",
    "Fit",
    "TrainedRun",
    "compile_service",
    "trained_run",
]
