"""How much memory this process holds and has held."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path


def resident_memory_mib() -> float | None:
    """The memory this process holds now, mapped files that it has looked at included; None where unknown."""
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
        import resource
    except (ImportError, OSError):  # only Linux tells it so
        return None
    return int(fields[1]) * resource.getpagesize() / 2**20


def forget_peak() -> None:
    """Counts `peak_memory_mib` anew from what is held now, where the system can: on Linux."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_mib() -> float | None:
    """The most memory this process has held so far, None where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):  # what the system counts for the process cannot be begun anew
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # macOS counts bytes, Linux KiB
