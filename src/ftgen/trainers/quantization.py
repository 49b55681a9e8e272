"""Base models that come quantized: the size of their weights in files, and in the memory of a training."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from ftgen.spec import Model

DEQUANTIZED = frozenset({"mxfp4"})
"""Weights that LLaMA-Factory turns back into 16 bits while loading (model/model_utils/quantization.py).

It asks for fp8 likewise, which transformers 4.57 does not do (FT242).
"""

SCALE_BITS = Fraction(13, 100)
"""Bits of scales per quantized weight: nf4 with double quantization, blocks of 64 in blocks of 256."""

# A weight's bits by what most repositories have; a configuration does not say them.
_BITS = {"gptq": 4, "awq": 4, "bnb": 4, "bitsandbytes": 4, "hqq": 4, "mxfp4": 4, "aqlm": 2, "eetq": 8, "fp8": 8}
_MOST_BITS = 8


def memory_bits(kind: str) -> int | None:
    """Return the bits of a quantized weight in a training's memory; None if LLaMA-Factory turns it back into 16."""
    return None if kind in DEQUANTIZED else _BITS.get(kind, _MOST_BITS)


def file_bytes(model: Model) -> int | None:
    """Return the bytes of a model's files; None if the number of its parameters is unknown.

    What a quantized model has outside its decoder, such as embeddings, stays in half precision.
    """
    if model.parameters is None:
        return None
    if model.quantization is None:
        return model.parameters * (4 if model.dtype == "float32" else 2)
    outside = min(_outside(model), model.parameters)
    bits = _BITS.get(model.quantization, _MOST_BITS) + SCALE_BITS
    return 2 * outside + ceil((model.parameters - outside) * bits / 8)


def _outside(model: Model) -> int:
    """Return the parameters of embeddings, output projection and vision tower; 0 if the shape is unknown."""
    shape = model.shape
    if shape is None:
        return 0
    return shape.vocab * shape.hidden * (1 if shape.tied_embeddings else 2) + shape.vision_parameters
