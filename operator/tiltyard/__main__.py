"""`python -m tiltyard`: the command line."""

from __future__ import annotations

import sys

from tiltyard.cli import main

if __name__ == "__main__":
    sys.exit(main())
