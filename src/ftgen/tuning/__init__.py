"""Tuning: a search whose trials are runs of a tree, and whose state is a file beside them.

Optuna proposes values (`proposals`), a round is one edit of the tree (`rounds`), results come from a file or from
MLflow (`results`).  There is no server and no database: what a study knows is what is committed (`study`).

Error codes:

* FT791: a key that cannot be tuned, or nothing to tune.  Notes: a proposal that ftgen's rules refuse; a small space
  that was tried in whole.
* FT792: the study contradicts the command line, does not exist, or would lie among other runs.
* FT793: the file of a study cannot be read.
* FT794: results cannot be read; warnings: they are about other runs, or lack the objective.
* FT795: Optuna is not installed.
"""

from ftgen.tuning.rounds import CONTRADICTION, Round, Tuner, read
from ftgen.tuning.study import Study, Trial, TrialState

__all__ = ["CONTRADICTION", "Round", "Study", "Trial", "TrialState", "Tuner", "read"]
