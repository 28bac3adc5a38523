"""What a batch will do with each video is known before any network is loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from made_videos import make_video
from mfv2a.errors import ConfigError
from mfv2a.jobs import plan as module
from mfv2a.jobs.discover import find_videos
from mfv2a.jobs.plan import Item, Planner, PlanOptions
from mfv2a.jobs.report import Report
from mfv2a.records import ItemResult


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


OPTIONS = PlanOptions(
    out=Path("out"),
    prompt="",
    seed=0,
    sample_rate_hz=48_000,
    audio_codec="auto",
    also_wav=False,
    overwrite=False,
    settings={"model": "tiny", "seed": 0},
)


@dataclass
class Plan:
    items: list[Item] = field(default_factory=list)
    settled: list[ItemResult] = field(default_factory=list)


def planner(*arguments: str, options: PlanOptions = OPTIONS) -> Planner:
    return Planner(find_videos(arguments, options.out), options, Report(options.out))


def plan(*arguments: str, options: PlanOptions = OPTIONS) -> Plan:
    whole, planned = Plan(), planner(*arguments, options=options)
    for group in planned:
        for each in group:
            (whole.items if isinstance(each, Item) else whole.settled).append(each)
    assert planned.total == len(whole.items) + len(whole.settled)
    assert planned.planned == len(whole.items)
    return whole


def finish(item: Item) -> None:
    """Writes what a run would leave behind: the output and its line."""
    item.output.parent.mkdir(parents=True, exist_ok=True)
    item.output.write_bytes(b"dubbed")
    details = {**item.details, "output_bytes": 6}
    if item.wav is not None:
        item.wav.write_bytes(b"wav")
        details |= {"wav": item.wav.relative_to("out").as_posix(), "wav_bytes": 3}
    result = ItemResult(source=item.source, output=item.output, status="ok", settings=item.settings, details=details)
    Report(OPTIONS.out).append(result)


def test_the_container_is_kept_and_a_gif_becomes_mkv(here: Path) -> None:
    for name in ("a.mp4", "b.MOV", "c.mkv", "d.webm", "e.gif", "f.avi"):
        make_video(Path("in") / name, seconds=0.3)
    planned = {item.source.name: (item.output.as_posix(), item.mux.codec) for item in plan("in").items}
    assert planned == {
        "a.mp4": ("out/a.mp4", "aac"),
        "b.MOV": ("out/b.MOV", "aac"),
        "c.mkv": ("out/c.mkv", "aac"),
        "d.webm": ("out/d.webm", "opus"),
        "e.gif": ("out/e.mkv", "aac"),
        "f.avi": ("out/f.avi", "pcm"),
    }


def test_a_name_without_a_videos_suffix_is_not_cut(here: Path) -> None:
    make_video(Path("x.mp4"), seconds=0.3).rename("take 1.5")
    (item,) = plan("take 1.5").items
    assert item.output == Path("out/take 1.5.mp4")
    finish(item)
    assert [result.status for result in plan("take 1.5").settled] == ["skipped"]


def test_two_sources_of_one_output_are_refused_and_both_named(here: Path) -> None:
    make_video(Path("in/a.gif"), seconds=0.3)
    make_video(Path("in/a.mkv"), seconds=0.3)
    with pytest.raises(ConfigError, match=r"in/a\.gif and in/a\.mkv would both become out/a\.mkv"):
        plan("in")
    make_video(Path("x/b.mp4"), seconds=0.3)
    make_video(Path("y/b.mp4"), seconds=0.3)
    with pytest.raises(ConfigError, match=r"x/b\.mp4 and y/b\.mp4"):
        plan("x", "y")


@pytest.mark.parametrize(("one", "two"), [("Clip", "clip"), ("caf\u00e9", "cafe\u0301")])
def test_outputs_that_differ_in_spelling_are_refused_where_that_does_not_count(
    here: Path, monkeypatch: pytest.MonkeyPatch, one: str, two: str
) -> None:
    make_video(Path(f"x/{one}.mp4"), seconds=0.1)
    make_video(Path(f"y/{two}.mp4"), seconds=0.1)
    assert len(plan("x", "y").items) == 2
    monkeypatch.setattr("mfv2a.media.spelling.ignored_in", lambda folder: (folder == here, folder == here))
    with pytest.raises(ConfigError, match=f"x/{one}.mp4 and y/{two}.mp4 would both become"):
        plan("x", "y")


def test_all_sources_that_share_outputs_are_named_or_counted(here: Path) -> None:
    for number in range(7):
        make_video(Path(f"x/{number}.mp4"), seconds=0.1)
        make_video(Path(f"y/{number}.mp4"), seconds=0.1)
    with pytest.raises(ConfigError, match=r"x/0\.mp4 and y/0\.mp4 .*x/4\.mp4 and y/4\.mp4 .*; and 2 more such pairs$"):
        plan("x", "y")


def test_two_sound_files_of_one_name_are_refused(here: Path) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    make_video(Path("in/a.mov"), seconds=0.3)
    assert len(plan("in").items) == 2
    with pytest.raises(ConfigError, match=r"a\.mov and in/a\.mp4"):
        plan("in", options=replace(OPTIONS, also_wav=True))


def test_what_is_done_is_skipped_and_two_sources_still_may_not_share_an_output(here: Path) -> None:
    make_video(Path("x/b.mp4"), seconds=0.3)
    finish(plan("x").items[0])
    assert not plan("x").items
    make_video(Path("y/b.mp4"), seconds=0.3)
    with pytest.raises(ConfigError, match="would both become"):
        plan("x", "y")


def test_a_rerun_skips_only_what_would_come_out_the_same(here: Path) -> None:
    source = make_video(Path("in/a.mp4"), seconds=0.3)
    finish(plan("in").items[0])
    (skipped,) = plan("in").settled
    assert (skipped.status, skipped.output) == ("skipped", Path("out/a.mp4"))
    changed = [
        replace(OPTIONS, settings={"model": "tiny", "seed": 1}),
        replace(OPTIONS, settings={"model": "other", "seed": 0}),
        replace(OPTIONS, prompt="rain"),
        replace(OPTIONS, also_wav=True),
        replace(OPTIONS, overwrite=True),
    ]
    for options in changed:
        assert len(plan("in", options=options).items) == 1
    (source.parent / "a.txt").write_text("rain")
    assert len(plan("in").items) == 1
    (source.parent / "a.txt").unlink()
    stat = source.stat()
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))
    assert len(plan("in").items) == 1
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not plan("in").items
    Path("out/a.mp4").write_bytes(b"cut")
    assert len(plan("in").items) == 1
    Path("out/a.mp4").unlink()
    assert len(plan("in").items) == 1


def test_a_skipped_line_is_enough_for_the_next_run(here: Path) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    finish(plan("in").items[0])
    Report(OPTIONS.out).append(plan("in").settled[0])
    assert [result.status for result in plan("in").settled] == ["skipped"]


def test_a_sound_file_that_is_gone_is_made_again(here: Path) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    options = replace(OPTIONS, also_wav=True)
    finish(plan("in", options=options).items[0])
    assert not plan("in", options=options).items
    Path("out/a.wav").unlink()
    assert len(plan("in", options=options).items) == 1


def test_a_file_that_the_tool_did_not_make_is_not_replaced(here: Path) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    Path("out").mkdir()
    Path("out/a.mp4").write_bytes(b"precious")
    (failed,) = plan("in").settled
    assert (failed.status, failed.output) == ("failed", None)
    assert "out/a.mp4" in failed.error
    assert "--overwrite" in failed.hint
    assert len(plan("in", options=replace(OPTIONS, overwrite=True)).items) == 1


def test_what_is_refused_keeps_its_place_so_that_it_can_be_made_again(here: Path) -> None:
    make_video(Path("in/sub/a.mp4"), seconds=0.3)
    Path("out/sub").mkdir(parents=True)
    Path("out/sub/a.mp4").write_bytes(b"precious")
    (failed,) = plan("in").settled
    assert failed.details["place"] == "sub/a.mp4"


def test_the_dub_of_another_video_is_not_replaced_while_that_video_is_there(here: Path) -> None:
    first = make_video(Path("x/b.mp4"), seconds=0.3)
    finish(plan("x").items[0])
    make_video(Path("y/b.mp4"), seconds=0.3)
    (failed,) = plan("y").settled
    assert "x/b.mp4" in failed.error
    first.unlink()
    assert len(plan("y").items) == 1


def test_variants_are_numbered_have_their_own_noise_and_are_skipped_one_by_one(here: Path) -> None:
    make_video(Path("in/a.b.mp4"), seconds=0.3)
    options = replace(OPTIONS, variants=3, also_wav=True)
    one, two, three = plan("in", options=options).items
    names = [(item.output.name, item.wav and item.wav.name) for item in (one, two, three)]
    assert names == [("a.b.mp4", "a.b.wav"), ("a.b.2.mp4", "a.b.2.wav"), ("a.b.3.mp4", "a.b.3.wav")]
    assert len({one.seed, two.seed, three.seed}) == 3
    assert one.seed == plan("in").items[0].seed
    assert one.settings == plan("in").items[0].settings, "the first is as it is without variants"
    finish(two)
    left = plan("in", options=options)
    assert [item.variant for item in left.items] == [1, 3]
    assert [result.output for result in left.settled] == [Path("out/a.b.2.mp4")]
    assert len(plan("in").items) == 1
    finish(one)
    assert [result.output for result in plan("in").settled] == [Path("out/a.b.mp4")]
    Path("out/a.b.2.mp4").write_bytes(b"cut")
    assert [item.variant for item in plan("in", options=options).items] == [2, 3]


def test_a_variant_and_another_video_may_not_share_a_name(here: Path) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    make_video(Path("in/a.2.mp4"), seconds=0.3)
    assert len(plan("in").items) == 2
    with pytest.raises(ConfigError, match=r"would both become out/a\.2\.mp4"):
        plan("in", options=replace(OPTIONS, variants=2))


def test_what_was_made_stays_ours_when_a_later_try_fails(here: Path) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    (item,) = plan("in").items
    finish(item)
    Report(OPTIONS.out).append(ItemResult(source=item.source, output=None, status="failed", error="no"))
    assert [each.output for each in plan("in").items] == [item.output]


def test_a_video_that_can_be_heard_is_left_alone_mixed_or_kept_beside(here: Path) -> None:
    make_video(Path("in/silent.mp4"), seconds=0.3)
    make_video(Path("in/tone.mp4"), seconds=0.3, sound=True)
    skipping = plan("in", options=replace(OPTIONS, keep_audio="skip", variants=2))
    assert [item.output.name for item in skipping.items] == ["silent.mp4", "silent.2.mp4"]
    (alone,) = skipping.settled
    assert (alone.source.name, alone.status, alone.output) == ("tone.mp4", "skipped", None)
    assert alone.details["left_alone"] == "it has sound of its own"
    expected = {"replace": (None, ()), "mix": (1, ()), "second-track": (None, (1,))}
    for keep, kept in expected.items():
        options = replace(OPTIONS, keep_audio=keep, mix_gain_db=-3.0)  # type: ignore[arg-type]
        silent, tone = plan("in", options=options).items
        assert (silent.mix_track, silent.beside) == (None, ())
        assert (tone.mix_track, tone.beside) == kept


def test_the_text_beside_a_clip_wins_over_the_prompt(here: Path) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    make_video(Path("in/b.mp4"), seconds=0.3)
    Path("in/a.txt").write_text("a gong")
    prompts = [item.prompt for item in plan("in", options=replace(OPTIONS, prompt="rain")).items]
    assert prompts == ["a gong", "rain"]


def test_bad_files_fail_alone(here: Path) -> None:
    make_video(Path("in/good.mp4"), seconds=0.3)
    make_video(Path("in/odd.mp4"), seconds=0.3)
    Path("in/odd.txt").write_bytes(b"\xff\xfe")
    Path("in/text.mp4").write_text("this is no video")
    Path("in/zero.mp4").touch()
    result = plan("in", "gone.mp4")
    assert [item.source.name for item in result.items] == ["good.mp4"]
    failed = {each.source.name: each.error for each in result.settled}
    assert set(failed) == {"odd.mp4", "text.mp4", "zero.mp4", "gone.mp4"}
    assert "odd.txt" in failed["odd.mp4"]
    assert all("\n" not in error for error in failed.values())


def test_a_codec_that_no_container_here_can_hold_is_refused_before_anything(here: Path) -> None:
    make_video(Path("in/a.webm"), seconds=0.3)
    options = replace(OPTIONS, audio_codec="aac")
    with pytest.raises(ConfigError, match="webm"):
        plan("in", options=options)
    make_video(Path("in/b.mp4"), seconds=0.3)
    result = plan("in", options=options)
    assert [item.source.name for item in result.items] == ["b.mp4"]
    assert [each.source.name for each in result.settled] == ["a.webm"]


def test_a_rate_that_the_codec_does_not_know_is_refused(here: Path) -> None:
    make_video(Path("in/a.webm"), seconds=0.3)
    with pytest.raises(ConfigError, match="opus cannot hold 44100 Hz"):
        plan("in", options=replace(OPTIONS, sample_rate_hz=44_100))


def test_a_copy_gets_the_same_noise_and_another_run_seed_other_noise(here: Path) -> None:
    make_video(Path("in/a.mp4"), seconds=0.3)
    Path("in/b.mp4").write_bytes(Path("in/a.mp4").read_bytes())
    one, two = plan("in").items
    assert one.seed == two.seed
    assert plan("in", options=replace(OPTIONS, seed=1)).items[0].seed != one.seed


def test_a_video_is_opened_when_its_turn_comes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        make_video(Path(f"in/{name}.mp4"), seconds=0.3)
    probe, opened = module.probe_video, []
    monkeypatch.setattr(module, "probe_video", lambda path: (opened.append(path.name), probe(path))[1])
    planned = planner("in")
    assert opened == []
    groups = iter(planned)
    assert [item.source.name for item in next(groups)] == ["a.mp4"]
    assert opened == ["a.mp4"]
    assert (planned.total, planned.planned) == (3, 1)


def test_only_videos_whose_outputs_could_meet_are_opened_before_all_else(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mp4", "b.mp4", "b.mov", "c.2.mkv", "c.mkv", "d.mp4"):
        make_video(Path("in") / name, seconds=0.3)
    probe, opened = module.probe_video, []
    monkeypatch.setattr(module, "probe_video", lambda path: (opened.append(path.name), probe(path))[1])
    planned = planner("in")
    assert opened == ["b.mov", "b.mp4"]
    assert len(list(planned)) == 6
    assert sorted(opened) == ["a.mp4", "b.mov", "b.mp4", "c.2.mkv", "c.mkv", "d.mp4"]
    opened.clear()
    with pytest.raises(ConfigError, match=r"would both become out/c\.2\.mkv"):
        planner("in", options=replace(OPTIONS, variants=2))
    assert "a.mp4" not in opened


def test_an_input_that_lies_by_name_where_an_output_goes_is_refused(here: Path) -> None:
    make_video(Path("elsewhere/a.mp4"), seconds=0.3)
    make_video(Path("in/a.mp4"), seconds=0.3)
    Path("out").mkdir()
    Path("out/a.mp4").symlink_to(Path("../elsewhere/a.mp4"))
    with pytest.raises(ConfigError, match=r"would be written over the input out/a\.mp4"):
        plan("in", "out/a.mp4")


def test_what_no_container_can_hold_is_told_before_anything_is_given(here: Path) -> None:
    for name in ("a.webm", "b.webm"):
        make_video(Path("in") / name, seconds=0.3)
    groups = iter(planner("in", options=replace(OPTIONS, audio_codec="aac")))
    with pytest.raises(ConfigError, match="aac"):
        next(groups)


def test_a_fault_of_the_tool_with_one_video_leaves_the_others(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        make_video(Path(f"in/{name}.mp4"), seconds=0.2)
    probe = module.probe_video

    def faulty(path: Path) -> object:
        if path.name == "a.mp4":
            raise ZeroDivisionError("division by zero")
        return probe(path)

    monkeypatch.setattr(module, "probe_video", faulty)
    made = plan("in")
    assert [item.source.name for item in made.items] == ["b.mp4"]
    assert [(result.source.name, result.error) for result in made.settled] == [
        ("a.mp4", "ZeroDivisionError: division by zero")
    ]
    assert "looks like a fault of mfv2a" in made.settled[0].hint
