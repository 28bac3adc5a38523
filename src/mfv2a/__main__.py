"""`python -m mfv2a`: the same as the program `mfv2a`."""

from __future__ import annotations

import sys

from mfv2a.cli import main

if __name__ == "__main__":
    sys.exit(main())
