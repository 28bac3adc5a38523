"""A table of prompts: what is in it, which video each row is about, and which of several prompts wins."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mfv2a.errors import ConfigError
from mfv2a.jobs.discover import Found
from mfv2a.jobs.matching import match_rows
from mfv2a.jobs.prompts import PromptTable, Row, choose_prompt, read_table, settings_of


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(text: str | bytes, name: str = "t.csv") -> PromptTable:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(path)


def found(*sources: str, folder: str = "") -> list[Found]:
    return [Found(Path(folder, source), Path(source)) for source in sources]


def test_a_csv_gives_a_row_a_line_with_all_its_columns() -> None:
    rows = table('path,prompt,negative_prompt,seed\na.mp4,"rain,\n wind",music,3\n\nb c.mp4,,,\n').rows
    assert rows == (
        Row(line=2, path="a.mp4", prompt="rain, wind", negative_prompt="music", seed=3),
        Row(line=5, path="b c.mp4"),
    )


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfpath,prompt\r\na.mp4,K\xc3\xa4fer\r\n",
        "path;prompt\na.mp4;Käfer\n",
        "Prompt\tPath\nKäfer\ta.mp4\n",
        'prompt, path\n"Käfer", a.mp4\n',
        "path,prompt,,\r\na.mp4,Käfer,,\r\n",
        "path,prompt\na.mp4,Käfer,, \n",
    ],
)
def test_what_spreadsheets_write_is_read(text: str | bytes) -> None:
    (row,) = table(text).rows
    assert (row.path, row.prompt) == ("a.mp4", "Käfer")


def test_a_jsonl_gives_a_row_an_object() -> None:
    lines = [
        {"path": "a.mp4", "prompt": "rain\u2028wind", "seed": -3},
        {"path": "b.mp4", "negative-prompt": "music", "seed": None, "prompt": None},
    ]
    rows = table("\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines), "t.jsonl").rows
    assert rows == (
        Row(line=1, path="a.mp4", prompt="rain wind", seed=-3),
        Row(line=3, path="b.mp4", negative_prompt="music"),
    )


def test_a_path_that_is_no_utf8_can_be_written_in_jsonl() -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    read = table(json.dumps({"path": name, "prompt": "rain"}), "t.jsonl")
    assert match_rows(read, found(name))[0][Path(name)].prompt == "rain"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("t.txt", "path\na.mp4", "not a table"),
        ("t.csv", "", "no column `path`"),
        ("t.csv", "a.mp4,rain\n", "no column `path`"),
        ("t.csv", "path,prompt\n", "no row"),
        ("t.csv", "path,promt\na.mp4,rain", "did you mean prompt?"),
        ("t.csv", "path,path\na.mp4,rain", "twice"),
        ("t.csv", "path,prompt\na.mp4,rain, wind", "line 2: 3 cells under 2 columns"),
        ("t.csv", 'path,prompt\na.mp4,"rain\n', "line 2"),
        ("t.csv", "path,prompt\n ,rain", "line 2: no path"),
        ("t.csv", 'path,"' + "x" * 140_000, "line 1: field larger"),
        ("t.jsonl", "[" * 100_000, "line 1: not JSON"),
        ("t.csv", "path,seed\na.mp4,3.5", "line 2: seed '3.5'"),
        ("t.csv", b"path,prompt\na.mp4,K\xe4fer", "not UTF-8"),
        ("t.csv", b"path\0", "not a text file"),
        ("t.jsonl", "{}", "line 1: no path"),
        ("t.jsonl", '{"path": "a.mp4"}\n{"path": ', "line 2: not JSON"),
        ("t.jsonl", '["a.mp4"]', "line 1: not a JSON object"),
        ("t.jsonl", '{"path": "a.mp4", "seed": true}', "seed True"),
        ("t.jsonl", '{"path": "a.mp4", "seed": "x"}', "seed 'x'"),
        ("t.jsonl", '{"path": "a.mp4", "prompt": 5}', "prompt is not a text"),
        ("t.jsonl", '{"path": "a\\u0000.mp4"}', "path is not a text"),
    ],
)
def test_a_table_that_cannot_work_is_refused_with_the_line_and_what_to_do(name: str, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        table(text, name)
    assert told in str(caught.value)
    assert name in str(caught.value)
    assert caught.value.hint


def test_a_table_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_table(Path("gone.csv"))


def test_columns_of_other_names_are_left_out_and_noted() -> None:
    read = table("id,path,length,prompt\n1,a.mp4,3 s,rain")
    assert read.rows == (Row(line=2, path="a.mp4", prompt="rain"),)
    assert read.notes == ("t.csv: not used: column id, length",)


@pytest.mark.parametrize(
    "written",
    ["a.mp4", "../videos/a.mp4", "videos/a.mp4", "./videos/x/../a.mp4", "{here}/videos/a.mp4", "sub/../a.mp4"],
)
def test_a_path_is_relative_to_the_table_to_here_or_to_the_folder_or_absolute(here: Path, written: str) -> None:
    read = table("path,prompt\n" + written.format(here=here) + ",rain", "tables/t.csv")
    rows, notes = match_rows(read, found("a.mp4", "b.mp4", folder="videos"))
    assert {source: row.prompt for source, row in rows.items()} == {Path("videos/a.mp4"): "rain"}
    assert notes == []


def test_the_tables_own_folder_comes_first() -> None:
    read = table("path,prompt\na.mp4,rain", "tables/t.csv")
    rows, _ = match_rows(read, [*found("a.mp4"), *found("a.mp4", folder="tables")])
    assert list(rows) == [Path("tables/a.mp4")]


def test_accents_written_in_another_way_are_the_same_name() -> None:
    rows, _ = match_rows(table("path\ncafe\u0301.mp4"), found("caf\u00e9.mp4"))
    assert list(rows) == [Path("caf\u00e9.mp4")]


def test_rows_about_no_video_of_this_run_are_named_and_many_are_counted() -> None:
    read = table("path,prompt\na.mp4,rain\n" + "".join(f"x{n}.mp4,rain\n" for n in range(8)))
    rows, notes = match_rows(read, found("a.mp4"))
    assert len(rows) == 1
    assert notes[0] == "t.csv, line 3: not among the videos: x0.mp4"
    assert notes[-1] == "t.csv: 3 more rows are not among the videos"
    assert len(notes) == 6


def test_a_table_about_other_videos_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no row names one of the videos \(line 2: x\.mp4\)") as caught:
        match_rows(table("path\nx.mp4"), found("a.mp4"))
    assert "relative" in caught.value.hint


def test_two_rows_about_one_video_are_refused_and_both_named(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"lines 2 and 4 are both about a\.mp4"):
        match_rows(table(f"path\na.mp4\nb.mp4\n{here}/a.mp4"), found("a.mp4", "b.mp4"))


def test_the_table_beats_the_text_beside_beats_the_name_beats_the_prompt_for_all() -> None:
    source = Path("dog_barking_0001.mp4")
    row = Row(line=1, path="", prompt="table")
    said = Row(line=1, path="", seed=3)
    assert choose_prompt(source, None, "none", "") == ("", "")
    assert choose_prompt(source, None, "none", "all") == ("all", "option")
    assert choose_prompt(source, said, "filename", "all") == ("dog barking", "filename")
    assert choose_prompt(Path("IMG_0001.mp4"), None, "filename", "all") == ("all", "option")
    source.with_suffix(".txt").write_text("beside")
    assert choose_prompt(source, said, "filename", "all") == ("beside", "sidecar")
    assert choose_prompt(source, row, "filename", "all") == ("table", "table")


def test_what_a_row_says_is_in_place_of_what_is_said_for_all_and_0_is_a_seed() -> None:
    source = Path("a.mp4")

    def settings(**said: Any) -> dict[str, Any]:
        rows = {source: Row(line=2, path="a.mp4", **said)}
        options: Any = SimpleNamespace(rows=rows, prompt_from="none", prompt="rain")
        return settings_of(source, options)[0]

    assert settings() == {"prompt": "rain"}
    assert settings(seed=0) == {"prompt": "rain", "seed": 0}
    assert settings(prompt="wind", negative_prompt="music") == {"prompt": "wind", "negative_prompt": "music"}
