"""Lists of media to learn from: CSV, TSV, JSONL or Parquet, in VGGSound's and AudioCaps' layouts or with named columns.

    VGGSound     id,start,label,split                       no line of names, one clip of 10 s a row
    AudioCaps    audiocap_id,youtube_id,start_time,caption  a caption a row; a clip may have several
    named        file (or path) or id (or name); caption (or prompt) or captions, label, start_s, duration_s, split,
                 in any order

Knows names of files, not their contents.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from unicodedata import normalize

from mfv2a.errors import ConfigError

AUDIOCAPS = {"audiocap_id", "youtube_id", "start_time", "caption"}
NAMED = {"file", "path", "id", "name"}
"""Columns by which a row says which clip it is."""
SPLITS = {"train", "test", "val", "valid", "validation"}


@dataclass(frozen=True, kw_only=True)
class MediaItem:
    """One clip of a list.

    Attributes:
        id: what the list calls it; unique together with `source_s`.
        file: path in the list's own words, "" where the list only has ids.
        source_s: second of the original at which the clip was cut; part of the names of files, not a position in them.
        start_s: where in the file the clip begins.
        duration_s: how long it is, 0 to the file's end.
        captions: sentences, may be none.
        label: a class, in words, may be empty.
        split: "train", "test" ..., may be empty.
        numbered: AudioCaps' number of each caption, and the caption.
    """

    id: str
    file: str = ""
    source_s: int | None = None
    start_s: float = 0.0
    duration_s: float = 0.0
    captions: tuple[str, ...] = ()
    label: str = ""
    split: str = ""
    numbered: tuple[tuple[str, str], ...] = field(default=(), compare=False)


def read_listing(path: Path, *, split: str = "") -> list[MediaItem]:
    """Read a list; rows of the same clip become one item with all their captions.

    In a .tsv quotation marks mean nothing; in a .csv a field may stand in them, but not hold a line break.

    Args:
        path: .csv, .tsv, .jsonl or .parquet.
        split: only items of this split, all if empty.

    Raises:
        ConfigError: a missing file, an unknown format or layout, or a row that cannot be read; the row is named.
    """
    items: dict[tuple[str, str, int | None, float], MediaItem] = {}
    for number, row in _rows(path):
        try:
            item = _item(row)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ConfigError(f"{path}, row {number}: {type(error).__name__}: {error}") from error
        key = (item.file, item.id, item.source_s, item.start_s)
        if key in items:
            known = items[key]
            captions = tuple(dict.fromkeys((*known.captions, *item.captions)))
            item = replace(known, captions=captions, numbered=(*known.numbered, *item.numbered))
        items[key] = item
    kept = [item for item in items.values() if not split or item.split == split]
    if not kept:
        raise ConfigError(f"{path} lists nothing" + (f" of the split {split!r}" if split else ""))
    return kept


def match_files(
    items: Iterable[MediaItem], names: Sequence[str]
) -> tuple[list[tuple[MediaItem, str]], list[MediaItem]]:
    """Find the items' files among the names in a folder.

    An item with a `file` is matched by it; one of an id by a file of that name, or by the stems that downloaders write:
    ID_000012, ID_12, ID, and each with a Y before it, as AudioSet's tools do. Of several files the one in the fewest
    folders is taken, then the first by name.

    Args:
        items: of a list.
        names: of files, relative to the folder, with "/" between folders.

    Returns:
        items with their files' names, and those that have none.
    """
    composed = partial(normalize, "NFC")  # names that come from a Mac may write accents in another way
    exact = {composed(name): name for name in names} | {name: name for name in names}
    stems: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (name.count("/"), name), reverse=True):  # the last stays
        stems[composed(PurePosixPath(name).stem)] = name
    found, missing = [], []
    for item in items:
        own = item.file or item.id
        name = (
            exact.get(own)
            or exact.get(composed(own))
            or next((stems[s] for s in map(composed, _stems(item)) if s in stems), "")
        )
        if name:
            found.append((item, name))
        else:
            missing.append(item)
    return found, missing


def _stems(item: MediaItem) -> Iterator[str]:
    if item.file:
        return
    for id_ in (item.id, f"Y{item.id}"):
        if item.source_s is not None:
            yield f"{id_}_{item.source_s:06d}"
            yield f"{id_}_{item.source_s}"
        yield id_


def _item(row: Mapping[str, Any] | Sequence[str]) -> MediaItem:
    if not isinstance(row, Mapping):
        id_, start, label, split = (word.strip() for word in row)
        return MediaItem(id=id_, source_s=int(float(start)), label=label, split=split)
    if row.keys() >= AUDIOCAPS:
        caption = str(row["caption"]).strip()
        return MediaItem(
            id=str(row["youtube_id"]),
            source_s=int(float(row["start_time"])),
            captions=(caption,),
            split=str(row.get("split") or ""),
            numbered=((str(row["audiocap_id"]).strip(), caption),),
        )
    captions = row.get("captions") or []
    if not isinstance(captions, list | tuple):
        raise ValueError("captions must be a list; one alone goes under caption")
    alone = row.get("caption") or row.get("prompt")
    captions = [*captions, alone] if alone else captions
    file = _first(row, "file", "path")
    return MediaItem(
        id=_first(row, "id", "name") or PurePosixPath(file).stem,
        file=file,
        start_s=_seconds(row, "start_s"),
        duration_s=_seconds(row, "duration_s"),
        captions=tuple(str(caption).strip() for caption in captions),
        label=str(row.get("label") or ""),
        split=str(row.get("split") or ""),
    )


def _first(row: Mapping[str, Any], *names: str) -> str:
    """The first of these columns that says something, as text; a number 0 does."""
    said = (str(row[name]) for name in names if row.get(name) is not None)
    return next((text for text in said if text), "")


def _seconds(row: Mapping[str, Any], name: str) -> float:
    value = float(row.get(name) or 0.0)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be 0 or more, not {value}")
    return value


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | Sequence[str]]]:
    """Rows with their numbers, from 1 as an editor counts lines."""
    try:
        if path.suffix in (".csv", ".tsv"):
            yield from _table(path)
        elif path.suffix == ".jsonl":
            for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):  # JSON may hold U+2028
                if line.strip():
                    yield number, _named(_parsed(line, number, path), path)
        elif path.suffix == ".parquet":
            yield from _parquet(path)
        else:
            raise ConfigError(f"{path} is no list that can be read", hint="give a .csv, .tsv, .jsonl or .parquet file")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", hint="give the path of a list") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: {error}") from error


def _parsed(line: str, number: int, path: Path) -> Any:
    """What a line of JSON says.

    Raises:
        ConfigError: it is none; the row is named.
    """
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}, row {number}: no JSON: {error.msg} at column {error.colno}") from error


def _table(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | Sequence[str]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        # Cells between tabs are as they are: a quotation mark is a part of what was said, and opens nothing.
        tabs = path.suffix == ".tsv"
        reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(file)
        names: list[str] | None = None
        ended = 0
        for row in reader:
            begun, ended = ended + 1, reader.line_num
            if not row:
                continue
            if any("\n" in cell or "\r" in cell for cell in row):
                raise ConfigError(
                    f"{path}, row {begun}: a field goes on over the end of its line",
                    hint="close the quotation mark that begins a field in that row, or take the line break out",
                )
            if names is None:
                is_vggsound = len(row) == 4 and row[3].strip() in SPLITS and not set(row) & NAMED
                names = [] if is_vggsound else [word.strip() for word in row]
                if names:
                    _named(dict.fromkeys(names), path)
                    continue
            if names and len(row) != len(names):
                raise ConfigError(f"{path}, row {reader.line_num}: {len(row)} columns, not {len(names)}")
            yield reader.line_num, dict(zip(names, row, strict=True)) if names else row


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ConfigError(
            f"{path}: reading Parquet needs pyarrow", hint="pip install 'mfv2a[train]', or write the list as CSV"
        ) from error
    try:
        rows = parquet.read_table(path).to_pylist()
    except ArrowException as error:
        raise ConfigError(f"{path}: {error}") from error
    for number, row in enumerate(rows, 1):
        yield number, _named(row, path)


def _named(row: Any, path: Path) -> Mapping[str, Any]:
    """Make sure that columns say which clip a row is."""
    if not isinstance(row, Mapping) or not (row.keys() >= AUDIOCAPS or row.keys() & NAMED):
        raise ConfigError(
            f"{path} is of no known layout",
            hint="VGGSound (id,start,label,split), AudioCaps (audiocap_id,youtube_id,start_time,caption), or name a "
            "column file, path, id or name",
        )
    return row
