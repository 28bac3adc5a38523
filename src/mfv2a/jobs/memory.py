"""How much memory this process holds and has held."""

from __future__ import annotations

import sys
from pathlib import Path


def resident_memory_mib() -> float | None:
    """The memory this process holds now, mapped files that it has looked at included; None where unknown."""
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
        import resource
    except (ImportError, OSError):  # only Linux tells it so
        return None
    return int(fields[1]) * resource.getpagesize() / 2**20


def peak_memory_mib() -> float | None:
    """The most memory this process has held so far, None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # macOS counts bytes, Linux KiB
