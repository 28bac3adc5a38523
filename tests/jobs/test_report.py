"""The report survives crashes, odd names and moved folders."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mfv2a.errors import StartError
from mfv2a.jobs.report import Report, encode_json
from mfv2a.jobs.reported import REPORT_NAME, names_beside, read_records, written_files
from mfv2a.records import ItemResult


def done(source: Path, output: Path, **details: object) -> ItemResult:
    return ItemResult(source=source, output=output, status="ok", settings={"seed": 1}, details=details)


def test_the_last_line_of_a_source_wins(tmp_path: Path) -> None:
    report = Report(tmp_path)
    source = tmp_path / "in" / "a.mp4"
    report.append(done(source, tmp_path / "a.mp4", take=1))
    report.append(ItemResult(source=source, output=None, status="failed", error="no"))
    report.append(done(source, tmp_path / "a.mp4", take=2))
    again = Report(tmp_path)
    last = again.last(source)
    assert last is not None
    assert (last["status"], last["details"]) == ("ok", {"take": 2})
    assert len(list(read_records(tmp_path / "report.jsonl"))) == 3


def test_a_cut_last_line_is_passed_over_and_not_glued_to(tmp_path: Path) -> None:
    report = Report(tmp_path)
    report.append(done(tmp_path / "a.mp4", tmp_path / "o" / "a.mp4"))
    path = tmp_path / "report.jsonl"
    path.write_bytes(path.read_bytes() + b'{"mfv2a": "0", "source": "/b.m')
    again = Report(tmp_path)
    assert again.last(tmp_path / "a.mp4") is not None
    again.append(done(tmp_path / "c.mp4", tmp_path / "o" / "c.mp4"))
    sources = [Path(record["source"]).name for record in read_records(path)]
    assert sources == ["a.mp4", "c.mp4"]


def test_lines_that_are_not_ours_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "report.jsonl").write_bytes(b'[1]\n\xff\xfe\n"x"\n{"source": "/a"}\n\n{"mfv2a": 1, "source": 5}\n')
    assert list(read_records(tmp_path / "report.jsonl")) == []
    assert Report(tmp_path).last(Path("/a")) is None
    (tmp_path / "report.jsonl").write_bytes(b"[" * 100_000 + b"]" * 100_000 + b"\n")
    assert list(read_records(tmp_path / "report.jsonl")) == []


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_no_utf8_comes_back(tmp_path: Path) -> None:
    source = tmp_path / os.fsdecode(b"caf\xe9\n.mp4")
    report = Report(tmp_path)
    report.append(done(source, tmp_path / "out.mp4"))
    assert Report(tmp_path).last(source) is not None
    line = (tmp_path / "report.jsonl").read_bytes()
    assert line.count(b"\n") == 1
    line.decode("utf-8")


def test_a_moved_folder_still_knows_its_files(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    Report(old).append(done(tmp_path / "a.mp4", old / "sub" / "a.mp4", wav="sub/a.wav"))
    new = tmp_path / "new"
    old.rename(new)
    assert written_files(new) == {str(new / "sub" / "a.mp4"), str(new / "sub" / "a.wav")}
    assert Report(new).source_of(new / "sub" / "a.mp4") == str(tmp_path / "a.mp4")


def test_a_report_that_cannot_be_written_stops_the_batch(tmp_path: Path) -> None:
    (tmp_path / "report.jsonl").mkdir()
    with pytest.raises(StartError, match=r"report\.jsonl"):
        Report(tmp_path).append(done(tmp_path / "a.mp4", tmp_path / "b.mp4"))


def test_a_json_line_is_one_line_of_utf8() -> None:
    line = encode_json({"text": "a\nb\u2028 漢 \udce9"})
    assert line.count(b"\n") == 1
    assert json.loads(line)["text"] == "a\nb\u2028 漢 \udce9"


@pytest.mark.parametrize("details", [None, [], {"made": None}, {"made": 5}, {"made": [7]}, {"made": [{}], "wav": 3}])
def test_a_line_whose_details_are_odd_stops_nothing(tmp_path: Path, details: object) -> None:
    record = {"mfv2a": "0", "source": "/a.mp4", "status": "ok", "name": "a.mp4", "settings": None, "details": details}
    (tmp_path / REPORT_NAME).write_text(json.dumps(record) + "\n")
    report = Report(tmp_path)
    assert report.source_of(tmp_path / "a.mp4") == "/a.mp4"
    last = report.last(Path("/a.mp4"))
    assert last is not None
    assert list(names_beside(last["details"])) == []
    assert last["settings"] == {}
