"""Resources by which device plugins count cards, in the names of the vendors' plugins, of HAMi and of Volcano."""

from __future__ import annotations

import re
from functools import lru_cache

_CARDS = re.compile(
    r"nvidia\.com/(gpu|gpualloc|gpu\.shared|mig-.+)"
    r"|volcano\.sh/(vgpu|gpu)-number"
    r"|huawei\.com/(Ascend[0-9A-Z]+(-[1-9])?|npu)"
    r"|huawei\.com/Ascend[0-9]+[A-Z]?-[0-9]+c\..+"
    r"|amd\.com/.+"
    r"|cambricon\.com/(mlu|vmlu|mlu[0-9]+|.+\.(share|mim-.+))"
    r"|hygon\.com/dcunum|iluvatar\.ai/.+-vgpu|metax-tech\.com/s?gpu|mthreads\.com/vgpu"
    r"|enflame\.com/(drs-)?gcu|habana\.ai/gaudi|kunlunxin\.com/v?xpu|birentech\.com/gpu|vastaitech\.com/va"
    r"|aws\.amazon\.com/neuron(core)?"
)


@lru_cache(maxsize=1024)
def counts_cards(name: str) -> bool:
    """Return whether a resource counts cards, or slices that each look like a card."""
    return bool(_CARDS.fullmatch(name))
