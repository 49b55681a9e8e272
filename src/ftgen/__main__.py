"""`python -m ftgen`."""

import sys

from ftgen.cli import main

sys.exit(main())
