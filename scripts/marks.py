"""Renew what stands between two marks of a document, for the tables that are made from the code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def between(document: str, name: str, text: str) -> str:
    """A document with a text between its marks `<!-- name: begin -->` and `<!-- name: end -->`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = document.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def print_or_write(path: Path, name: str, make: Callable[[], str]) -> None:
    """Print a text, or with --write put it between its marks in a document."""
    if "--write" in sys.argv[1:]:
        path.write_text(between(path.read_text(encoding="utf-8"), name, make()), encoding="utf-8")
    else:
        sys.stdout.write(make() + "\n")
