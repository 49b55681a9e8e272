"""`python -m ftgen`."""

from ftgen.cli import program

program()
