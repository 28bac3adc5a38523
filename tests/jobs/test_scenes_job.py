"""`mfv2a scenes`, as a job and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest

from mfv2a.cli import main
from mfv2a.errors import ConfigError, MediaError
from mfv2a.jobs.scenes import ScenesOptions, parse_size, write_scenes

SMALL = ["--size", "64x48", "--duration", "0.6"]


def test_scenes_are_written_with_what_is_known_of_them(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    out = tmp_path / "scenes"
    words = ["scenes", "--out", str(out), "--count", "2", "--seed", "7", "--family", "drums", "--with-sound", *SMALL]
    assert main(words) == 0
    paths = [out / "scene-000007.mp4", out / "scene-000008.mp4"]
    assert capsysbinary.readouterr().out.decode().splitlines() == [str(path) for path in paths]
    facts = json.loads(paths[0].with_suffix(".json").read_text())
    assert facts["family"] == "drums"
    assert facts["caption"]
    assert all(0 <= event["time_s"] < 0.6 for event in facts["events"])
    with av.open(str(paths[0])) as container:
        assert len(container.streams.audio) == 1
        assert sum(1 for _ in container.decode(video=0)) == 15
    assert sorted(path.suffix for path in out.iterdir()) == [".json", ".json", ".mp4", ".mp4"]


def test_what_is_there_is_not_drawn_again_unless_asked(tmp_path: Path) -> None:
    options = {"out": tmp_path, "width_px": 64, "height_px": 48, "duration_s": 0.2}
    seen: list[str] = []
    for extra in ({}, {}, {"overwrite": True, "with_sound": True}, {"with_sound": True}):
        write_scenes(ScenesOptions(**options, **extra), lambda record: seen.append(record["status"]))  # type: ignore[arg-type]
    assert seen == ["ok", "skipped", "ok", "skipped"]
    before = (tmp_path / "scene-000000.mp4").read_bytes()
    for name, value in (("with_sound", False), ("duration_s", 0.4), ("width_px", 96), ("family", "drums")):
        other = {"with_sound": True, **options, name: value}
        with pytest.raises(MediaError, match="is there with"):
            write_scenes(ScenesOptions(**other), lambda record: seen.append(record["status"]))  # type: ignore[arg-type]
    assert (tmp_path / "scene-000000.mp4").read_bytes() == before


def test_a_video_that_is_no_scene_is_left_alone(tmp_path: Path) -> None:
    options = {"out": tmp_path, "width_px": 64, "height_px": 48, "duration_s": 0.2}
    own = tmp_path / "scene-000001.mp4"
    own.write_bytes(b"my own")
    for text in (None, "no JSON", '{"seed": 1}'):
        if text is not None:
            own.with_suffix(".json").write_text(text)
        with pytest.raises(MediaError, match="not made by mfv2a scenes"):
            write_scenes(ScenesOptions(**options, count=2), lambda record: None)  # type: ignore[arg-type]
    assert own.read_bytes() == b"my own"
    assert not (tmp_path / "scene-000000.mp4").exists()
    write_scenes(ScenesOptions(**options, count=2, overwrite=True), lambda record: None)  # type: ignore[arg-type]
    assert own.read_bytes() != b"my own"


def test_a_scene_that_was_cut_off_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ScenesOptions(out=tmp_path, width_px=64, height_px=48, duration_s=0.2)
    seen: list[str] = []
    write_scenes(options, lambda record: seen.append(record["status"]))
    again = ScenesOptions(out=tmp_path, width_px=96, height_px=48, duration_s=0.2, overwrite=True)
    wider = ScenesOptions(out=tmp_path, width_px=96, height_px=48, duration_s=0.2)

    def killed(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mfv2a.jobs.scenes.write_scene_video", killed)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(again, lambda record: seen.append(record["status"]))
    monkeypatch.undo()
    write_scenes(wider, lambda record: seen.append(record["status"]))
    write_scenes(wider, lambda record: seen.append(record["status"]))
    assert seen == ["ok", "ok", "skipped"]


def test_json_tells_a_scene_a_line(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["scenes", "--out", str(tmp_path), "--json", "--quiet", *SMALL]) == 0
    captured = capsysbinary.readouterr()
    record = json.loads(captured.out)
    assert record["status"] == "ok"
    assert record["output"].endswith("scene-000000.mp4")
    assert captured.err == b""


def test_sizes_are_two_even_numbers() -> None:
    assert parse_size("1280x720") == (1280, 720)
    for wrong in ("1280", "0x0", "63x48", "64x47", "9999x9999", "axb", "-64x48"):
        with pytest.raises(ConfigError, match="size"):
            parse_size(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--family", "hamster"],
        ["--size", "12"],
        ["--duration", "0"],
        ["--duration", "nan"],
        ["--count", "0"],
        ["--fps", "0"],
    ],
)
def test_values_that_cannot_work_are_told_before_anything_is_made(
    wrong: list[str], tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    out = tmp_path / "scenes"
    assert main(["scenes", "--out", str(out), *wrong]) == 2
    assert b"error:" in capsysbinary.readouterr().err
    assert not out.exists()


def test_an_out_folder_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["scenes", "--out", str(tmp_path / "file" / "deep"), *SMALL]) == 2
