"""Sweeps: expansion of one command line to many jobs.

The axes are Hydra's, in its grammar and its order; the `sweep` section pairs, filters and samples them.
Every point is a complete command line, with a label made from its values alone.

Error codes:

* FT030: a sweep that cannot be enumerated: `interval()`, another sweeper, Hydra's own configuration.
* FT031: the `sweep` section has an unknown key or an invalid value.
* FT032: a condition of `sweep.exclude` or `sweep.include` cannot be parsed or evaluated, or names no option of a group.
* FT033: `sweep.zip` pairs axes that are not swept or differ in length.
* FT034: more points than `--limit` allows.
* FT035: no points.
"""

from ftgen.sweeping.points import LIMIT, Point, Sweep, expand

__all__ = ["LIMIT", "Point", "Sweep", "expand"]
