"""Trackers of runs that transformers reports to, and the Python package that each needs in the image."""

PACKAGES = {name: name for name in ("clearml", "codecarbon", "mlflow", "swanlab", "tensorboard", "trackio", "wandb")}
"""Packages by a tracker's name in `report_to`: the callbacks of transformers (integrations/integration_utils.py)."""
