"""A table of prompts: a row a video, from a CSV or JSONL file; and which of several prompts a video gets.

What is said of one video beats what is said of all, and what was given for this run beats what lies about: a row
of the table, then the text beside the video, then what the video carries itself, then the prompt for all.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import ConfigError
from mfv2a.jobs.carried import PromptFrom, carried_prompt
from mfv2a.jobs.sidecar import read_sidecar

if TYPE_CHECKING:
    from mfv2a.jobs.plan import PlanOptions

COLUMNS = ("path", "prompt", "negative_prompt", "seed")
SUFFIXES = (".csv", ".jsonl")
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a table says of one video.

    Attributes:
        line: where in the table.
        path: as it is written there.
        prompt: what should be heard, "" if the table does not say.
        negative_prompt: what should not be heard, "" if the table does not say.
        seed: in place of the run's seed, None if the table does not say.
    """

    line: int
    path: str
    prompt: str = ""
    negative_prompt: str = ""
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class PromptTable:
    """A table that has been read.

    Attributes:
        path: the file.
        rows: in order.
        notes: what was left out of it, a sentence each.
    """

    path: Path
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def read_table(path: Path) -> PromptTable:
    """Reads a table of prompts.

    A CSV has a header line with the column `path` and any of `prompt`, `negative_prompt` and `seed`, and commas,
    semicolons or tabs; a JSONL has an object a line with the same keys. Columns of other names are left out and
    noted, unless they look like a slip of the pen.

    Args:
        path: a file that ends in .csv or .jsonl.

    Raises:
        ConfigError: no such file, another suffix, not UTF-8, damaged, or a value that cannot work.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(f"--prompts {path}: not a table of prompts", hint="name a file that ends in .csv or .jsonl")
    text = _read_text(path)
    records = _csv_records(path, text) if suffix == ".csv" else _jsonl_records(path, text)
    rows: list[Row] = []
    others: dict[str, None] = {}
    for line, record in records:
        others |= dict.fromkeys(name for name in record if name not in COLUMNS)
        rows.append(_row(path, line, record))
    if not rows:
        raise ConfigError(
            f"--prompts {path}: there is no row in it", hint="write a row for each video, or leave it out"
        )
    _refuse_slips(path, others)
    notes = [f"{path}: not used: column {', '.join(others)}"] if others else []
    return PromptTable(path, tuple(rows), tuple(notes))


def choose_prompt(source: Path, row: Row | None, prompt_from: PromptFrom, prompt: str) -> tuple[str, str]:
    """Chooses what should be heard in one video.

    Args:
        source: the video.
        row: what the table says of it.
        prompt_from: what else may be asked: the video's name or its tags.
        prompt: the prompt for all.

    Returns:
        The prompt, "" if nothing says anything, and where it is from: "table", "sidecar", "filename", "metadata",
        "option" or "".

    Raises:
        MediaError: the text beside the video, or the video's tags, cannot be read.
    """
    if row is not None and row.prompt:
        return row.prompt, "table"
    beside = read_sidecar(source)
    if beside:
        return beside, "sidecar"
    carried = carried_prompt(source, prompt_from)
    if carried:
        return carried, prompt_from
    return prompt, "option" if prompt else ""


def _read_text(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"--prompts {path}: cannot be read: {error.strerror}", hint="check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--prompts {path}: not UTF-8 text", hint="save it as UTF-8") from error
    if "\0" in text:
        raise ConfigError(f"--prompts {path}: not a text file", hint="save it as UTF-8")
    return text


def _csv_records(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a CSV as (line, column -> cell); the delimiter is the one that cuts `path` out of the header."""
    try:
        heads = {mark: [_column(cell) for cell in next(_cells(text, mark), [])] for mark in _DELIMITERS}
    except csv.Error as error:
        raise ConfigError(f"--prompts {path}, line 1: {error}", hint="close its quotes") from error
    mark = next((mark for mark, head in heads.items() if "path" in head), None)
    if mark is None:
        raise ConfigError(
            f"--prompts {path}: the first line names no column `path`",
            hint=f"begin with a line such as {','.join(COLUMNS)}",
        )
    head = heads[mark]
    while not head[-1]:  # spreadsheets write empty columns at the end
        head.pop()
    if len(set(head)) < len(head):
        twice = next(name for name in head if head.count(name) > 1)
        raise ConfigError(f"--prompts {path}: column {twice!r} is there twice", hint="leave one of them out")
    reader = _cells(text, mark, strict=True)
    begin = 1
    try:
        for cells in reader:
            line, begin = begin, reader.line_num + 1
            if line == 1 or not any(cell.strip() for cell in cells):
                continue
            if any(cell.strip() for cell in cells[len(head) :]):
                raise ConfigError(
                    f"--prompts {path}, line {line}: {len(cells)} cells under {len(head)} columns",
                    hint=f'put text that holds {mark!r} in double quotes: "rain, wind"',
                )
            yield line, dict(zip(head, cells, strict=False))
    except csv.Error as error:
        raise ConfigError(f"--prompts {path}, line {begin}: {error}", hint="mend the quotes in it") from error


def _cells(text: str, mark: str, *, strict: bool = False) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True, strict=strict)


def _jsonl_records(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: JSON may hold U+2028 as it is
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"--prompts {path}, line {number}: not JSON ({error})", hint="an object a line"
            ) from error
        if not isinstance(record, dict):
            raise ConfigError(f"--prompts {path}, line {number}: not a JSON object", hint="an object a line")
        yield number, {_column(name): value for name, value in record.items()}


def _column(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def _row(path: Path, line: int, record: Mapping[str, Any]) -> Row:
    texts = {name: "" if record.get(name) is None else record[name] for name in COLUMNS[:3]}
    for name, value in texts.items():
        if not isinstance(value, str) or "\0" in value:
            raise ConfigError(f"--prompts {path}, line {line}: {name} is not a text", hint="put it in double quotes")
    if not texts["path"].strip():
        raise ConfigError(f"--prompts {path}, line {line}: no path", hint="say which video the line is about")
    prompt, negative = (" ".join(texts[name].split()) for name in COLUMNS[1:3])
    seed = _seed(path, line, record.get("seed"))
    return Row(line=line, path=texts["path"], prompt=prompt, negative_prompt=negative, seed=seed)


def _seed(path: Path, line: int, value: Any) -> int | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        if isinstance(value, str | int) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise ConfigError(f"--prompts {path}, line {line}: seed {value!r} is not a whole number", hint="such as 3")


def _refuse_slips(path: Path, others: Mapping[str, None]) -> None:
    """Refuses a column that is nearly one of ours: its prompts would be silently lost."""
    for name in others:
        near = difflib.get_close_matches(name, COLUMNS, n=1, cutoff=0.8)
        if near:
            raise ConfigError(
                f"--prompts {path}: unknown column {name!r}: did you mean {near[0]}?",
                hint=f"columns are {', '.join(COLUMNS)}",
            )


def settings_of(source: Path, options: PlanOptions) -> tuple[dict[str, Any], str]:
    """What is decided for a video alone, in place of the options for all.

    Args:
        source: the video.
        options: of the batch.

    Returns:
        Its prompt and what its row of the table says, by name; and where the prompt is from, as `choose_prompt` says.

    Raises:
        MediaError: its prompt cannot be read.
    """
    row = options.rows.get(source)
    prompt, origin = choose_prompt(source, row, options.prompt_from, options.prompt)
    said = {} if row is None else {"negative_prompt": row.negative_prompt or None, "seed": row.seed}
    return {**{name: value for name, value in said.items() if value is not None}, "prompt": prompt}, origin
