"""Runs that share a list: each video in one run's hands, no two runs that would overlap, one report in the end."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.errors import ConfigError, StartError
from mfv2a.jobs.lock import locked
from mfv2a.jobs.report import Report
from mfv2a.jobs.reported import read_records
from mfv2a.jobs.shards import Shard, merge_reports
from mfv2a.media.audio import read_audio
from mfv2a.media.temporary import part_path

TINY = ["--model", "tiny", "--quiet"]
NAMES = [
    f"{folder}{stem}{suffix}" for folder in ("", "a/", "ä b/") for stem in "abcdefgh" for suffix in (".mp4", ".gif")
]

OWNERS_OF_EIGHT = [4, 8, 3, 1]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_clips(count: int = 7) -> None:
    for number in range(count):
        make_video(Path(f"in/{number}.mov"), seconds=0.2 + number / 10, seed=number)


def shown(folder: str) -> set[str]:
    return {path.name for path in Path(folder).glob("[!.]*")}


def hidden(folder: str) -> set[str]:
    """What is left hidden in a folder, but for the memory of merges."""
    return {path.name for path in Path(folder).glob(".*")} - {".mfv2a-merged.json"}


def statuses(folder: str) -> dict[str, str]:
    return {Path(record["source"]).name: record["status"] for record in read_records(Path(folder, "report.jsonl"))}


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_each_place_belongs_to_one_shard_and_all_suffixes_of_a_name_to_the_same(count: int) -> None:
    shards = [Shard(index, count) for index in range(1, count + 1)]
    for name in NAMES:
        owners = [shard for shard in shards if shard.holds(Path(name))]
        assert len(owners) == 1
        assert owners[0].holds(Path(name).with_suffix(".mkv"))
    shares = [sum(shard.holds(Path(f"{number}.mp4")) for number in range(3000)) / 3000 for shard in shards]
    assert max(abs(share - 1 / count) for share in shares) < 0.03


def test_which_shard_a_video_belongs_to_never_changes() -> None:
    places = ("clip.mp4", "a/clip.mp4", "b.webm", "\udcff.mov")
    owners = [next(i for i in range(1, 9) if Shard(i, 8).holds(Path(place))) for place in places]
    assert owners == OWNERS_OF_EIGHT


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "-1/3", "a/b", "1/3/5", "", "1.5/3"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--shard"):
        Shard.parse(text)
    assert main(["dub", ".", "--out", "out", "--shard", text, *TINY]) == 2


def test_shards_one_after_the_other_make_what_a_whole_run_makes() -> None:
    make_clips()
    Path("in/broken.mp4").write_text("no video")
    assert main(["dub", "in", "--out", "whole", "--also-wav", *TINY]) == 3
    codes = [main(["dub", "in", "--out", "parts", "--also-wav", "--shard", f"{i}/3", *TINY]) for i in (1, 2, 3)]
    assert sorted(codes) == [0, 0, 3]
    assert not Path("parts/report.jsonl").exists()
    merged = merge_reports(Path("parts"))
    assert (merged.statuses, merged.missing, len(merged.reports)) == ({"failed": 1, "ok": 7}, (), 3)
    assert statuses("parts") == statuses("whole")
    assert shown("parts") == shown("whole")
    assert not hidden("parts") | hidden("whole")
    for path in Path("whole").glob("*.wav"):
        np.testing.assert_allclose(read_audio("parts" / Path(path.name)).samples, read_audio(path).samples, atol=1e-4)
    assert main(["dub", "in", "--out", "parts", "--also-wav", *TINY]) == 3
    assert set(statuses("parts").values()) == {"skipped", "failed"}


def test_a_folder_begun_whole_or_in_other_parts_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    make_clips(4)
    assert main(["dub", "in/0.mov", "in/1.mov", "--out", "out", *TINY]) == 0
    Path("out/in").rename("out/there")  # places in the tree are those of the folder from now on
    for path in Path("out/there").iterdir():
        path.unlink()
    Path("out/there").rmdir()
    for index in (1, 2):
        assert main(["dub", "in", "--out", "out", "--shard", f"{index}/2", *TINY]) == 0
    monkeypatch.setattr("mfv2a.loader.load_pipeline", None)  # nothing is left to do: no model is loaded
    for index in (1, 2, 3):
        assert main(["dub", "in", "--out", "out", "--shard", f"{index}/3", *TINY]) == 0
    assert main(["dub", "in", "--out", "out", *TINY]) == 0


def test_shards_of_one_count_run_at_the_same_time() -> None:
    make_clips()
    line = [sys.executable, "-m", "mfv2a", "dub", "in", "--out", "out", *TINY, "--shard"]
    runs = [subprocess.Popen([*line, f"{index}/3"], stdout=subprocess.DEVNULL) for index in (1, 2, 3)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0, 0]
    assert merge_reports(Path("out")).statuses == {"ok": 7}
    assert not hidden("out")


def hold(shard: tuple[int, int] | None, held: object, end: object) -> None:
    with locked(Path("out"), shard):
        held.set()  # type: ignore[attr-defined]
        end.wait(60)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("running", "wanted", "words"),
    [
        (None, (1, 2), "another run of mfv2a is writing"),
        ((1, 2), None, "another run of mfv2a is writing"),
        ((1, 2), (1, 2), "another run with --shard 1/2 is writing"),
        ((1, 2), (2, 3), "a run with --shard I/2 is writing"),
        ((1, 2), (2, 2), ""),
    ],
)
def test_runs_that_would_overlap_keep_each_other_out(
    running: tuple[int, int] | None, wanted: tuple[int, int] | None, words: str
) -> None:
    Path("out").mkdir()
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    other = context.Process(target=hold, args=(running, held, end))
    other.start()
    try:
        assert held.wait(60)
        if words:
            with pytest.raises(StartError, match=words), locked(Path("out"), wanted):
                pass
        else:
            with locked(Path("out"), wanted):
                pass
    finally:
        end.set()
        other.join(60)
    with locked(Path("out"), wanted):
        pass
    assert not hidden("out")


def claim_and_die(shard: tuple[int, int] | None) -> None:
    with locked(Path("out"), shard) as lock:
        lock.claim(Path("out/0.mov"), Path("in/0.mov"))
        Path("out/0.mov").write_text("whole, but not yet told")
        part_path(Path("out/0.mov")).write_text("half")
        os._exit(9)


@pytest.mark.parametrize("killed", [None, (1, 2), (2, 2)])
@pytest.mark.parametrize("next_run", [[], ["--shard", "1/1"]])
def test_what_a_killed_run_was_at_is_made_again(killed: tuple[int, int] | None, next_run: list[str]) -> None:
    make_clips(1)
    Path("out").mkdir()
    process = multiprocessing.get_context("spawn").Process(target=claim_and_die, args=(killed,))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert main(["dub", "in", "--out", "out", *next_run, *TINY]) == 0
    merge_reports(Path("out"))
    assert statuses("out") == {"0.mov": "ok"}
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert not hidden("out")


def test_a_merge_that_was_cut_off_gives_the_same_when_it_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    make_clips(4)
    for index in (1, 2):
        assert main(["dub", "in", "--out", "out", "--shard", f"{index}/2", *TINY]) == 0
    unlink = Path.unlink

    def cut(path: Path, missing_ok: bool = False) -> None:
        if path.name == "report-2-of-2.jsonl":
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", cut)  # the new report is there, and one of the shards' as well
        with pytest.raises(KeyboardInterrupt):
            merge_reports(Path("out"))
    before = Path("out/report.jsonl").read_bytes()
    merged = merge_reports(Path("out"))
    assert (merged.lines, merged.statuses) == (4, {"ok": 4})
    assert Path("out/report.jsonl").read_bytes() == before
    assert not list(Path("out").glob("report-*"))


def test_the_newest_line_of_a_video_wins_in_a_merge() -> None:
    Path("out").mkdir()

    def line(source: str, status: str, second: int) -> str:
        record = {"source": source, "status": status, "mfv2a": "0", "time": f"2026-01-01T00:00:{second:02}+00:00"}
        return json.dumps({**record, "name": None, "settings": {}, "details": {}}) + "\n"

    Path("out/report-1-of-2.jsonl").write_text(line("/a", "failed", 1) + line("/b", "ok", 5))
    Path("out/report-2-of-2.jsonl").write_text(line("/a", "ok", 3) + '{"cut')
    Path("out/report.jsonl").write_text(line("/a", "failed", 0) + line("/b", "failed", 9))
    merged = merge_reports(Path("out"))
    assert (merged.lines, merged.statuses) == (5, {"failed": 1, "ok": 1})
    assert Report(Path("out")).last(Path("/a"))["status"] == "ok"  # type: ignore[index]
    again = merge_reports(Path("out"))
    assert (again.lines, again.reports, again.statuses) == (5, (), merged.statuses)


def test_a_line_is_as_new_as_its_time_and_not_as_its_report() -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    assert main(["dub", "in", "--out", "out", *TINY]) == 0
    assert main(["dub", "in", "--out", "out", "--seed", "1", "--shard", "1/1", *TINY]) == 0
    make_video(Path("in/b.mp4"), seconds=0.3, seed=1)
    assert main(["dub", "in", "--out", "out", "--seed", "1", *TINY]) == 0
    made = Path("out/a.mp4").stat().st_mtime_ns
    assert main(["dub", "in", "--out", "out", "--seed", "1", *TINY]) == 0
    assert Path("out/a.mp4").stat().st_mtime_ns == made
    record = Report(Path("out")).last(Path("in/a.mp4"))
    assert record is not None
    assert record["settings"]["seed"] == 1


def test_what_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    make_clips(3)
    for index in (1, 4):
        assert main(["dub", "in", "--out", "out", "--shard", f"{index}/4", *TINY]) == 0
    for _ in range(2):  # asked again, the answer is the same
        assert main(["report", "merge", "out"]) == 3
        assert "no report of shard 2/4, 3/4" in capsys.readouterr().err
    for index in (1, 2):
        assert main(["dub", "in", "--out", "out", "--shard", f"{index}/2", *TINY]) == 0
    for _ in range(2):  # by then the list is shared among others
        assert main(["report", "merge", "out"]) == 0


def test_shards_merged_before_are_not_missing(capsys: pytest.CaptureFixture[str]) -> None:
    make_clips(3)
    for first, then in (((1, 4), 3), ((2,), 3), ((3,), 0), ((2,), 0)):
        for index in first:
            assert main(["dub", "in", "--out", "out", "--shard", f"{index}/4", "--overwrite", *TINY]) == 0
        assert main(["report", "merge", "out"]) == then
    told = capsys.readouterr().err
    assert "no report of shard 2/4, 3/4" in told
    assert "no report of shard 3/4:" in told


def test_a_shard_without_videos_says_so_and_is_not_missing(capsys: pytest.CaptureFixture[str]) -> None:
    make_clips(1)
    for index in (1, 2, 3):
        assert main(["dub", "in", "--out", "out", "--shard", f"{index}/3", "--model", "tiny"]) == 0
    assert capsys.readouterr().err.count("has no video of its own") == 2
    assert len(list(Path("out").glob("report-*"))) == 3
    assert main(["report", "merge", "out"]) == 0


def test_what_holds_no_reports_is_refused() -> None:
    assert main(["report", "merge", "nowhere"]) == 2
    Path("empty").mkdir()
    assert main(["report", "merge", "empty"]) == 2


def test_takes_that_would_be_another_runs_videos_are_refused() -> None:
    make_video(Path("in/a.mp4"))
    make_video(Path("in/a.2.mp4"), seed=1)
    owners = {name: next(i for i in (1, 2, 3, 4) if Shard(i, 4).holds(Path(name))) for name in ("a.mp4", "a.2.mp4")}
    assert len(set(owners.values())) == 2
    assert main(["dub", "in", "--out", "out", "--variants", "2", "--shard", f"{owners['a.mp4']}/4", *TINY]) == 2


def test_only_reports_of_shards_are_merged_and_removed() -> None:
    make_clips(1)
    assert main(["dub", "in", "--out", "out", "--shard", "1/1", *TINY]) == 0
    Path("out/report-best-of-2026.jsonl").write_text("my notes\n")
    Path("out/report-7-of-2.jsonl").write_text("{}\n")
    Path("out/report-2-of-2.jsonl").mkdir()
    assert merge_reports(Path("out")).reports == ("report-1-of-1.jsonl",)
    assert Path("out/report-best-of-2026.jsonl").read_text() == "my notes\n"
    assert Path("out/report-7-of-2.jsonl").exists()
    assert Path("out/report-2-of-2.jsonl").is_dir()
