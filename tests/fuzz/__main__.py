"""`python -m tests.fuzz`: tries inputs on all processors, and keeps the smallest of every finding.

FUZZ_SECONDS (300), FUZZ_INPUTS (no bound), FUZZ_SEED (random, printed), FUZZ_JOBS (processors), FUZZ_KINDS (all).
Findings are written to `.fuzz/` as cases of the corpus's form: put one into `tests/fuzz/corpus/`, and it is replayed
by the ordinary tests.  Ends with 1 where there is a finding.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from tests.fuzz.campaign import Campaign, carry_out


def main() -> int:
    told = os.environ
    asked = Campaign(
        seconds=float(told.get("FUZZ_SECONDS") or 300),
        inputs=int(told.get("FUZZ_INPUTS") or sys.maxsize),
        seed=int(told.get("FUZZ_SEED") or secrets.randbits(32)),
        jobs=int(told.get("FUZZ_JOBS") or len(os.sched_getaffinity(0))),
        kinds=tuple((told.get("FUZZ_KINDS") or "").split()),
        folder=Path(".fuzz"),
    )
    print(f"seed {asked.seed}, {asked.jobs} processes, {asked.seconds:g} s", flush=True)
    return carry_out(asked)


if __name__ == "__main__":
    sys.exit(main())
