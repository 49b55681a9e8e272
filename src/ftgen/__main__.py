"""`python -m ftgen`."""

import sys

from ftgen.cli import program

sys.exit(program())
