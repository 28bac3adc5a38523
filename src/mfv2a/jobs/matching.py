"""Rows of a table of prompts -> the videos of a run that they name: by path, by place in the tree, or by URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

from mfv2a.errors import ConfigError, without_passwords
from mfv2a.jobs.discover import Found
from mfv2a.jobs.prompts import PromptTable, Row
from mfv2a.jobs.report import absolute
from mfv2a.media.spelling import composed
from mfv2a.media.store import is_url

_NAMED = 5  # so many rows are named one by one, the rest are counted
_PATH_HINT = (
    "a path is absolute, or relative to the table, to the working directory or to the folder given as PATH, or a URL"
)


def match_rows(
    table: PromptTable, found: Sequence[Found], named: Callable[[str], str] = str
) -> tuple[dict[Path, Row], list[str]]:
    """Finds the video of each row.

    Args:
        table: the table.
        found: the videos of this run.
        named: what people know a source as: its URL.

    Returns:
        Row by source, and sentences about the rows that name no video of this run.

    Raises:
        ConfigError: two rows name one video, or none names any.
    """
    by_path = {_key(absolute(each.source)): each.source for each in found}
    by_place = {_key(each.relative): each.source for each in found}
    has_urls = any(is_url(row.path) for row in table.rows)
    by_url = {composed(named(str(absolute(each.source)))): each.source for each in found} if has_urls else {}
    rows: dict[Path, Row] = {}
    unmatched: list[Row] = []
    for row in table.rows:
        places = [_key(absolute(folder / row.path)) for folder in (table.path.parent, Path())]
        source = next((by_path[place] for place in places if place in by_path), None)
        source = source or by_place.get(_key(Path(os.path.normpath(row.path)))) or by_url.get(_address(row.path))
        if source is None:
            unmatched.append(row)
        elif source in rows:
            raise ConfigError(
                f"--prompts {table.path}: lines {rows[source].line} and {row.line} are both about {source}",
                hint="leave one of them out",
            )
        else:
            rows[source] = row
    if not rows:
        first = table.rows[0]
        raise ConfigError(
            f"--prompts {table.path}: no row names one of the videos (line {first.line}: {_shown(first.path)})",
            hint=_PATH_HINT,
        )
    notes = [f"{table.path}, line {row.line}: not among the videos: {_shown(row.path)}" for row in unmatched[:_NAMED]]
    if len(unmatched) > _NAMED:
        notes.append(f"{table.path}: {len(unmatched) - _NAMED} more rows are not among the videos")
    return rows, notes


def _shown(path: str) -> str:
    """What a row names, without passwords and what a server is asked."""
    return without_passwords(path.partition("?")[0]) if is_url(path) else path


def _address(url: str) -> str:
    """An address as addresses are compared: what is asked of the server, passwords and the way of writing left out."""
    return composed(unquote(without_passwords(url.partition("?")[0])))


def _key(path: Path) -> str:
    """One spelling of a path."""
    return composed(os.path.normcase(path))
