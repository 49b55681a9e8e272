"""Estimates of a training's memory and disk space: pure arithmetic over a model's shape and training arguments.

Estimates are per card, per pod and per volume, in GiB (2**30 bytes).  The formulas, the measurements behind
them and their accuracy are in docs/fit.md.
"""

from ftgen.emulation.estimate.advice import CARDS, Change, Estimate, Verdict, estimate, smallest_change, verdict
from ftgen.emulation.estimate.device import Term
from ftgen.emulation.estimate.shape import Shape, adapter_parameters, parameters
from ftgen.emulation.estimate.training import Training

__all__ = [
    "CARDS",
    "Change",
    "Estimate",
    "Shape",
    "Term",
    "Training",
    "Verdict",
    "adapter_parameters",
    "estimate",
    "parameters",
    "smallest_change",
    "verdict",
]
