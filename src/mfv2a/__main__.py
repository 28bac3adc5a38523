"""`python -m mfv2a`: the same as the program `mfv2a`."""

from __future__ import annotations

from mfv2a.cli import run

if __name__ == "__main__":
    run()
