"""TOML tables -> frozen records, every key and type checked. Knows no record of its own."""

from __future__ import annotations

import difflib
import math
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from mfv2a.errors import ConfigError

Record = TypeVar("Record")


def load_toml(path: Path, record: type[Record]) -> Record:
    """Read a TOML file into a frozen record.

    Raises:
        ConfigError: the file is missing, is not TOML, or holds a key or value the record does not take.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="give the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    return build(record, table, where=str(path))


def build(record: type[Record], table: Mapping[str, Any], *, where: str) -> Record:
    """Make a record from a table, nested tables included.

    Raises:
        ConfigError: an unknown key (the closest known one is named), a missing one or a value of a wrong type.
    """
    types_of = typing.get_type_hints(record)
    known = [f.name for f in fields(record)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "known keys: " + ", ".join(known)
            raise ConfigError(f"{where}: unknown key {key!r}", hint=hint)
        values[key] = _convert(types_of[key], value, where=f"{where}: {key}")
    missing = [
        field.name
        for field in fields(record)  # type: ignore[arg-type]
        if field.name not in values and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        keys = "the key " + missing[0] + " is" if len(missing) == 1 else "the keys " + ", ".join(missing) + " are"
        raise ConfigError(f"{where}: {keys} missing", hint="known keys: " + ", ".join(known))
    try:
        return record(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}", hint=error.hint) from error


def _convert(kind: Any, value: Any, *, where: str) -> Any:
    origin = typing.get_origin(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} must be a table")
        return build(kind, value, where=where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where} must be a list")
        return tuple(_convert(typing.get_args(kind)[0], v, where=where) for v in value)
    if origin is Literal:
        if value not in typing.get_args(kind):
            raise ConfigError(f"{where} must be one of {', '.join(map(str, typing.get_args(kind)))}, not {value!r}")
        return value
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} must be a table")
        return dict(value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ConfigError(f"{where} must be a finite number, not {value}")
        return float(value)
    if isinstance(kind, type) and not (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        raise ConfigError(f"{where} must be of type {kind.__name__}, not {value!r}")
    return value
