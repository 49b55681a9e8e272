"""Accelerators, storage and overlays: all of them, and one that nobody has heard of."""
