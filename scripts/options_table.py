"""Write the table of options of `mfv2a dub` and `mfv2a tta` in docs/DUB.md from the commands themselves.

    python scripts/options_table.py            print it
    python scripts/options_table.py --write    renew it between its two marks there

A test compares the two, so the page cannot say anything else than `--help`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from marks import ROOT, print_or_write

from mfv2a.cli import app

DOCUMENT = ROOT / "docs" / "DUB.md"
COMMANDS = ("dub", "tta")


def table() -> str:
    """The table as Markdown: a row an option, those of both commands first met."""
    program: Any = typer.main.get_command(app)
    found: dict[tuple[str, str, str], list[str]] = {}
    for name in COMMANDS:
        for row in rows(program.commands[name]):
            found.setdefault(row, []).append(name)
    lines = ["| option | of | default | what it does |", "|---|---|---|---|"]
    lines += [f"| `{words}` | {', '.join(names)} | {usual} | {told} |" for (words, usual, told), names in found.items()]
    return "\n".join(lines)


def rows(command: Any) -> Iterator[tuple[str, str, str]]:
    """Names with value, default and help of each option of a command."""
    context = command.make_context(command.name, ["x", "--out", "o"], resilient_parsing=True)
    for parameter in command.params:
        if parameter.param_type_name == "option":
            words, told = parameter.get_help_record(context)
            yield words.replace("|", "\\|"), usual_value(parameter), told.split("  [")[0].replace("|", "\\|")


def usual_value(parameter: Any) -> str:
    """The default of an option for people."""
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    if parameter.default is None or parameter.default is False or parameter.default == "":
        return ""
    if parameter.default is True:
        return "on"
    return f"{parameter.default:g}" if isinstance(parameter.default, float) else str(parameter.default)


if __name__ == "__main__":
    print_or_write(DOCUMENT, "options", table)
