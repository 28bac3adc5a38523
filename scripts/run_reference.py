"""Write the reference of RUN.toml in docs/TRAINING.md from the records of `mfv2a.config`.

    python scripts/run_reference.py            print it
    python scripts/run_reference.py --write    renew it between its two marks in docs/TRAINING.md

The records' docstrings say what each key means, so the document cannot say anything else; a test compares them.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from marks import ROOT, print_or_write

from mfv2a import config

DOCUMENT = ROOT / "docs/TRAINING.md"
RECORDS = {
    config.RunConfig: "A run of `mfv2a train`",
    config.SourceConfig: "`[[sources]]` of a run, `[source]` of an extraction",
    config.ObjectiveConfig: "`[objective]`, of the generator",
    config.OptimizerConfig: "`[optimizer]`",
    config.ValidationConfig: "`[validation]`, of the generator",
    config.ExtractConfig: "A run of `mfv2a extract`",
}


def reference() -> str:
    """The reference as Markdown: a table a record."""
    return "\n\n".join(f"### {title}\n\n" + "\n".join(rows(record)) for record, title in RECORDS.items())


def rows(record: type[Any]) -> Iterator[str]:
    """The lines of a record's table."""
    meanings = described(record)
    kinds = typing.get_type_hints(record)
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for field in dataclasses.fields(record):
        meaning = meanings[field.name].replace("|", r"\|")
        yield f"| `{field.name}` | {kind_word(kinds[field.name])} | {default_word(field)} | {meaning} |"


def described(record: type[Any]) -> dict[str, str]:
    """What the `Attributes` section of a record's docstring says of each field.

    A line may describe several (`a: one; b: other.` or `a, b: both.`); a field that it does not name is an error.
    """
    text = inspect.getdoc(record) or ""
    section = text.split("Attributes:\n", 1)[1].split("\n\n")[0]
    lines: list[str] = []
    for line in section.splitlines():
        if line.startswith(" " * 8):
            lines[-1] += " " + line.strip()
        else:
            lines.append(line.strip())
    names = {field.name for field in dataclasses.fields(record)}
    meanings: dict[str, str] = {}
    for line in lines:
        heads, rest = line.split(": ", 1)
        while True:
            before, mark, after = _next_field(rest, names)
            for name in heads.split(", "):
                meanings[name] = before.strip().removesuffix(";").removesuffix(".")
            if not mark:
                break
            heads, rest = mark, after
    missing = names - set(meanings)
    if missing:
        raise SystemExit(f"the docstring of {record.__name__} says nothing of {', '.join(sorted(missing))}")
    return meanings


def _next_field(text: str, names: set[str]) -> tuple[str, str, str]:
    """Split `one; b: other` at the next field that is described: ("one", "b", "other")."""
    for place, mark in ((i, "; ") for i in range(len(text)) if text.startswith("; ", i)):
        heads, colon, rest = text[place + len(mark) :].partition(": ")
        if colon and set(heads.split(", ")) <= names:
            return text[:place], heads, rest
    return text, "", ""


def kind_word(kind: Any) -> str:
    """The type of a key for people."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return ", ".join(f"`{json.dumps(word)}`" for word in inner)
    if origin is tuple:
        return "list of tables" if dataclasses.is_dataclass(inner[0]) else "list of numbers"
    if dataclasses.is_dataclass(kind) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "table"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}[kind]


def default_word(field: dataclasses.Field[Any]) -> str:
    """The default of a key, as TOML would have it."""
    if field.default is not dataclasses.MISSING:
        return "none" if field.default == () else f"`{json.dumps(field.default)}`"
    if field.default_factory is not dataclasses.MISSING:
        return "empty" if isinstance(field.default_factory(), Mapping) else "its own defaults"
    return "required"


if __name__ == "__main__":
    print_or_write(DOCUMENT, "reference", reference)
