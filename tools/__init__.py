"""Programs that write what the repository derives: schemas, the experiments in `out/`, generated pages.

Each is run as `python -m tools.NAME`, writes its files anew, and with `--check` says which of them are out of date.
"""
