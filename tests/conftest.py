"""Set up before anything imports torch: one thread each, and a summary that says what ran and what did not."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

# Before anything imports torch. Tests share small machines; two spinning thread pools on one core are slower than none.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# A shell that starts us in the background has Ctrl-C ignored, and children inherit that: tests of Ctrl-C need it.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # `nohup` has this ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).parent
MARKERS = ("slow", "gpu", "weights", "browser", "ray")
_run: Counter[str] = Counter()
_deselected: Counter[str] = Counter()


def has_gpu() -> bool:
    """Whether torch sees a CUDA device."""
    import torch

    return torch.cuda.is_available()


def has_browser() -> bool:
    """Whether Chromium can be driven here."""
    programs = all(shutil.which(name) for name in ("chromium", "chromedriver"))
    return programs and importlib.util.find_spec("selenium") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what this machine does not have; only asked for where such tests were selected."""
    needs = {
        "gpu": (has_gpu, "a CUDA device"),
        "ray": (lambda: importlib.util.find_spec("ray"), "the ray package"),
        "browser": (has_browser, "chromium, chromedriver and selenium"),
    }
    for name, (there, what) in needs.items():
        marked = [item for item in items if item.get_closest_marker(name)]
        if marked and not there():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=f"this machine has not {what}"))


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Counts what the marker selection left out."""
    for item in items:
        names = [name for name in MARKERS if item.get_closest_marker(name)]
        _deselected.update(names or ["by name"])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tells the process that summarises, if tests run in several, what this one left out."""
    told: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["deselected"] = dict(_deselected)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes what a process left out; each leaves out the same."""
    _deselected.update(Counter(getattr(node, "workeroutput", {}).get("deselected", {})) - _deselected)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Counts what ran, by the room it tests."""
    if report.when == "call":
        parts = Path(report.nodeid.split("::")[0]).parts[1:]
        _run[parts[0] if len(parts) > 1 else "whole"] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how many tests ran in each room and how many were left out, by marker."""
    if _run:
        terminalreporter.write_line("ran, by room: " + ", ".join(f"{name} {_run[name]}" for name in sorted(_run)))
    left_out = ", ".join(f"{name} {_deselected[name]}" for name in sorted(_deselected)) or "none"
    terminalreporter.write_line(f"deselected, by marker: {left_out}")
