"""Trackers of runs that transformers reports to, and the Python package that each needs in the image."""

PACKAGES = {name: name for name in ("clearml", "codecarbon", "mlflow", "swanlab", "tensorboard", "trackio", "wandb")}
"""Packages by a tracker's name in `report_to`: the callbacks of transformers (integrations/integration_utils.py).

Of swanlab it takes a release before 0.8: the callback of transformers 4.57 asks `swanlab.get_run()` whether a run has
begun, which raises since then.
"""
