"""Sweeps: one command line, many jobs.

The axes are Hydra's, in its grammar and its order; the `sweep` section pairs, filters and samples them.
Every point is a whole command line of its own, and gets a label made of its values alone.

What can be refused here:

* FT030: a sweep that cannot be enumerated: `interval()`, another sweeper, Hydra's own configuration.
* FT031: the `sweep` section has a key or a value that it does not know.
* FT032: a condition of `sweep.exclude` or `sweep.include` cannot be understood or evaluated.
* FT033: `sweep.zip` pairs axes that are not swept or differ in length.
* FT034: more points than `--limit` allows.
* FT035: no points at all.
"""

from ftgen.sweeping.points import LIMIT, Point, Sweep, expand, positions

__all__ = ["LIMIT", "Point", "Sweep", "expand", "positions"]
