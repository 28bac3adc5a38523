"""`mfv2a evaluate GENERATED --reference DIR`: figures that are known beforehand, and nothing that is made up."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mfv2a.cli import main
from mfv2a.errors import ConfigError, MediaError, StartError
from mfv2a.evaluation.embeddings import Heard
from mfv2a.evaluation.measures import all_names
from mfv2a.evaluation.metrics import frechet_distance, inception_score
from mfv2a.jobs import evaluate_folder
from mfv2a.jobs.evaluate_folder import FolderOptions, Watcher, evaluate_folders
from mfv2a.jobs.judges import Judges, load_judges
from mfv2a.media.audio import write_audio
from mfv2a.records import Audio

RATE = 16_000
QUICK = ("onset_f1", "onset_f1_pooled", "log_mel_distance", "loudness_difference", "loudness_error")


class StandIn:
    """A judge whose embedding is the level and the number of zero crossings, and whose classes are loud and soft."""

    name, rate_hz = "panns", RATE

    def __init__(self) -> None:
        self.calls: list[int] = []

    def hear(self, waves: Any) -> list[Heard]:
        self.calls.append(len(waves))
        heard = []
        for wave in waves:
            level = float(np.sqrt(np.mean(np.square(wave))))
            crossings = float(np.mean(np.diff(np.sign(wave)) != 0))
            logits = np.array([10 * level, 1.0], np.float32)
            heard.append(
                Heard(embeddings=np.array([[level, crossings]], np.float32), logits=logits, top=int(logits.argmax()))
            )
        return heard


def write(path: Path, wave: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, Audio(samples=wave.astype(np.float32), sample_rate_hz=rate))
    return path


def burst(seed: int, *, seconds: float = 1.5, at_s: float = 0.5, level: float = 0.3) -> np.ndarray:
    wave = 0.001 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    first = round(at_s * RATE)
    wave[first : first + 3200] += level * np.random.default_rng(seed).standard_normal(3200)
    return np.clip(wave, -1, 1)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    made, true = tmp_path / "made", tmp_path / "true"
    for seed in range(4):
        wave = burst(seed, level=0.1 + 0.05 * seed)
        write(true / f"{seed}.wav", wave)
        write(made / f"{seed}.wav", 0.5 * wave)
    return made, true


def run(options: FolderOptions, said: list[str] | None = None) -> tuple[dict[str, Any], list[MediaError]]:
    failed: list[MediaError] = []
    say = (lambda line: None) if said is None else said.append
    watcher = Watcher(begin=lambda pairing: None, tick=lambda done: None, fail=failed.append, say=say)
    return evaluate_folders(options, watcher), failed


def test_the_true_sounds_at_half_the_level_get_the_figures_that_this_must_give(folders: tuple[Path, Path]) -> None:
    made, true = folders
    report, failed = run(FolderOptions(generated=(made,), reference=true, measures=QUICK, draws=50))
    figures = report["measures"]
    assert failed == []
    assert figures["onset_f1"]["value"] == figures["onset_f1_pooled"]["value"] == 1.0
    assert figures["loudness_difference"]["value"] == pytest.approx(20 * np.log10(0.5), abs=0.05)
    assert figures["loudness_error"]["value"] == pytest.approx(-figures["loudness_difference"]["value"])
    assert figures["log_mel_distance"]["value"] == pytest.approx(np.log(2), abs=0.05)
    assert list(figures) == list(QUICK)
    assert (report["pairs"], report["left_out"]) == (4, {})


def test_another_rate_container_and_length_change_little(folders: tuple[Path, Path]) -> None:
    made, true = folders
    report, _ = run(FolderOptions(generated=(made,), reference=true, measures=("log_mel_distance",), draws=10))
    for path in list(made.iterdir()):
        from mfv2a.media.audio import read_audio

        wave = read_audio(path, 48_000).samples
        path.unlink()
        write(path.with_suffix(".flac"), np.concatenate([wave, np.full(12_000, 0.2)]), 48_000)
    other, _ = run(FolderOptions(generated=(made,), reference=true, measures=("log_mel_distance",), draws=10))
    near = pytest.approx(report["measures"]["log_mel_distance"]["value"], abs=0.1)
    assert other["measures"]["log_mel_distance"]["value"] == near
    assert (report["shortened"], other["shortened"]) == (0, 4)
    assert other["lengths"] == {"generated": {"shorter": 0, "longer": 4}}


def test_a_sound_that_ends_early_is_filled_with_silence_and_told(folders: tuple[Path, Path], tmp_path: Path) -> None:
    made, true = folders
    whole, _ = run(FolderOptions(generated=(made,), reference=true, measures=QUICK, draws=10))
    for seed in range(3):
        write(made / f"{seed}.wav", 0.5 * burst(seed, level=0.1 + 0.05 * seed)[:1600])
    write(made / "3.wav", np.concatenate([burst(3), burst(3)]))
    said: list[str] = []
    listed = tmp_path / "clips.jsonl"
    options = FolderOptions(generated=(made,), reference=true, measures=QUICK, draws=10, per_clip=listed)
    report, failed = run(options, said)
    assert failed == []
    assert report["measures"]["onset_f1"]["value"] == pytest.approx(0.25)
    for name in ("log_mel_distance", "loudness_error"):
        assert report["measures"][name]["value"] > 2 * whole["measures"][name]["value"]
    assert (report["shortened"], report["lengths"]) == (4, {"generated": {"shorter": 3, "longer": 1}})
    assert said == [
        "generated: 3 of 4 shorter than the true sound and filled with silence: 0, 1, 2",
        "generated: 1 of 4 longer than the true sound and cut: 3",
    ]
    clips = [json.loads(line) for line in listed.read_text().splitlines()]
    lengths = [(clip["reference_duration_s"], clip["duration_s"]) for clip in clips]
    assert lengths == [(1.5, 0.1), (1.5, 0.1), (1.5, 0.1), (1.5, 3.0)]


def test_a_systems_figures_do_not_depend_on_what_it_is_compared_with(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    made, true = folders
    alone, _ = run(FolderOptions(generated=(made,), reference=true, measures=QUICK, draws=10))
    for seed in range(4):
        write(tmp_path / "short" / f"{seed}.wav", burst(seed)[:3200])
    report, _ = run(FolderOptions(generated=(made, tmp_path / "short"), reference=true, measures=QUICK, draws=10))
    for name in QUICK:
        assert report["measures"][name]["a"] == alone["measures"][name]["value"]
    assert report["lengths"] == {"a": {"shorter": 0, "longer": 0}, "b": {"shorter": 4, "longer": 0}}


def test_the_lists_length_is_the_clips(folders: tuple[Path, Path], tmp_path: Path) -> None:
    made, true = folders
    for seed in range(4):
        write(made / f"{seed}.wav", 0.5 * burst(seed, level=0.1 + 0.05 * seed)[8000:])
    listing = tmp_path / "list.csv"
    listing.write_text("file,start_s,duration_s\n" + "".join(f"{seed}.wav,0.5,1\n" for seed in range(4)))
    report, _ = run(FolderOptions(generated=(made,), reference=true, listing=listing, measures=QUICK, draws=10))
    assert report["shortened"] == 0
    assert report["measures"]["loudness_difference"]["value"] == pytest.approx(20 * np.log10(0.5), abs=0.05)


def test_files_that_broke_off_are_told_and_left_out(folders: tuple[Path, Path]) -> None:
    made, true = folders
    data = (made / "0.wav").read_bytes()
    (made / "0.wav").write_bytes(data[: len(data) // 3])
    write(made / "1.flac", burst(1))
    (made / "1.wav").unlink()
    data = (made / "1.flac").read_bytes()
    (made / "1.flac").write_bytes(data[: len(data) // 2])
    report, failed = run(FolderOptions(generated=(made,), reference=true, measures=QUICK, draws=10))
    assert report["pairs"] == 2
    assert [error.path.name for error in failed] == ["0.wav", "1.flac"]
    assert all("cut off" in str(error) for error in failed)


def test_loudness_is_of_the_channels_as_they_are(tmp_path: Path) -> None:
    wave = burst(0)
    names = {"same": np.stack([wave, wave], axis=1), "against": np.stack([wave, -wave], axis=1)}
    for name, channels in names.items():
        write(tmp_path / "true" / f"{name}.wav", channels)
        write(tmp_path / "made" / f"{name}.wav", wave)
    listed = tmp_path / "clips.jsonl"
    options = FolderOptions(
        generated=(tmp_path / "made",), reference=tmp_path / "true", measures=("loudness_difference",), per_clip=listed
    )
    run(options)
    clips = [json.loads(line) for line in listed.read_text().splitlines()]
    assert [clip["scores"]["loudness_difference"] for clip in clips] == [pytest.approx(0.0, abs=0.02)] * 2


@pytest.mark.parametrize(("true", "made"), [(1, 2), (2, 1), (1, 1), (2, 2)])
def test_a_sound_is_as_loud_as_its_copy_in_stereo(tmp_path: Path, true: int, made: int) -> None:
    for name, channels in (("true", true), ("made", made)):
        write(tmp_path / name / "a.wav", np.repeat(burst(0)[:, None], channels, axis=1))
    options = FolderOptions(
        generated=(tmp_path / "made",), reference=tmp_path / "true", measures=("loudness_difference",)
    )
    figure = run(options)[0]["measures"]["loudness_difference"]
    assert figure["value"] == pytest.approx(0.0, abs=0.02)


def test_each_of_two_systems_is_set_against_the_true_sound_by_its_own_channels(tmp_path: Path) -> None:
    write(tmp_path / "true" / "a.wav", burst(0))
    for name, channels in (("one", 1), ("two", 2)):
        write(tmp_path / name / "a.wav", np.repeat(0.5 * burst(0)[:, None], channels, axis=1))
    folders = tmp_path / "one", tmp_path / "two"
    options = FolderOptions(generated=folders, reference=tmp_path / "true", measures=("loudness_difference",))
    figure = run(options)[0]["measures"]["loudness_difference"]
    assert figure["a"] == pytest.approx(20 * np.log10(0.5), abs=0.02)
    assert figure["b"] == pytest.approx(figure["a"], abs=0.02)


def test_only_measures_that_are_wanted_are_in_a_clips_scores(folders: tuple[Path, Path], tmp_path: Path) -> None:
    made, true = folders
    listed = tmp_path / "clips.jsonl"
    for measures, keys, hits in (
        (("log_mel_distance", "onset_f1"), {"log_mel_distance", "onset_f1"}, True),
        (("loudness_error", "kl_yamnet"), {"loudness_error", "kl_yamnet"}, False),
        (("onset_f1_pooled",), set(), True),
    ):
        run(FolderOptions(generated=(made,), reference=true, measures=measures, draws=10, per_clip=listed))
        for line in listed.read_text().splitlines():
            clip = json.loads(line)
            assert set(clip["scores"]) == keys
            assert ("onsets" in clip) == hits


def test_silent_sounds_are_counted_as_undefined_and_never_zero(folders: tuple[Path, Path]) -> None:
    made, true = folders
    write(made / "0.wav", np.zeros(RATE))
    write(true / "1.wav", np.zeros(RATE))
    names = ("onset_f1", "envelope_correlation", "loudness_error")
    report, _ = run(FolderOptions(generated=(made,), reference=true, measures=names, draws=20))
    undefined = {name: row["undefined"] for name, row in report["measures"].items()}
    assert undefined == {"onset_f1": 1, "envelope_correlation": 1, "loudness_error": 2}
    for path in true.iterdir():
        write(path, np.zeros(RATE))
    report, _ = run(FolderOptions(generated=(made,), reference=true, measures=names, draws=20))
    assert report["measures"] == {}
    assert {row["reason"] for row in report["left_out"].values()} == {"defined for none of the clips"}


def test_bad_files_are_told_and_the_rest_goes_on(folders: tuple[Path, Path]) -> None:
    made, true = folders
    (made / "0.wav").write_bytes(b"no sound")
    import soundfile

    soundfile.write(made / "1.wav", np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    report, failed = run(FolderOptions(generated=(made,), reference=true, measures=QUICK, draws=10))
    assert report["pairs"] == 2
    assert [error.path.name for error in failed] == ["0.wav", "1.wav"]
    assert "no numbers" in str(failed[1])
    for path in made.iterdir():
        path.write_bytes(b"no sound")
    with pytest.raises(StartError, match="no pair"):
        run(FolderOptions(generated=(made,), reference=true, measures=QUICK, draws=10))


def test_a_judge_is_wired_to_its_measures(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    made, true = folders
    for seed in range(4, 11):  # more than are held at once
        write(true / f"{seed}.wav", burst(seed, level=0.2))
        write(made / f"{seed}.wav", burst(seed, level=0.1))
    judge = StandIn()
    monkeypatch.setattr(evaluate_folder, "load_judges", lambda wanted, device: Judges(sounds=[judge]))
    names = tuple(name for name in all_names() if name.endswith("panns"))
    report, _ = run(
        FolderOptions(generated=(made,), reference=true, measures=names, draws=30, per_clip=made.parent / "c")
    )
    assert judge.calls == [8, 8, 3, 3]
    from mfv2a.media.audio import read_audio

    heard = {
        folder: StandIn().hear([read_audio(folder / f"{key}.wav").samples for key in sorted(map(str, range(11)))])
        for folder in (made, true)
    }
    rows = {folder: np.concatenate([each.embeddings for each in found]) for folder, found in heard.items()}
    logits = np.stack([each.logits for each in heard[made]])
    figures = report["measures"]
    assert figures["frechet_panns"]["value"] == pytest.approx(frechet_distance(rows[made], rows[true]), rel=1e-4)
    assert figures["inception_panns"]["value"] == pytest.approx(inception_score(logits))
    assert report["left_out"] == {
        "inception_10_panns": report["left_out"]["inception_10_panns"] | {"reason": "of too few clips"}
    }
    agree = [a.top == b.top for a, b in zip(heard[made], heard[true], strict=True)]
    assert figures["class_agreement_panns"]["value"] == pytest.approx(np.mean(agree))
    clips = [json.loads(line) for line in (made.parent / "c").read_text().splitlines()]
    assert np.mean([clip["scores"]["kl_panns"] for clip in clips]) == pytest.approx(figures["kl_panns"]["value"])


def test_a_judge_that_gives_no_numbers_has_no_figure(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(StandIn):
        def hear(self, waves: Any) -> list[Heard]:
            odd = np.full((1, 2), np.nan, np.float32)
            return [Heard(embeddings=odd, logits=odd[0], top=0) for _ in waves]

    monkeypatch.setattr(evaluate_folder, "load_judges", lambda wanted, device: Judges(sounds=[Odd()]))
    names = ("frechet_panns", "kernel_panns", "kl_panns", "inception_panns", "onset_f1")
    report, _ = run(FolderOptions(generated=(folders[0],), reference=folders[1], measures=names, draws=10))
    assert list(report["measures"]) == ["onset_f1"]
    assert set(report["left_out"]) == set(names) - {"onset_f1"}


def test_a_comparison_is_paired_and_says_which_is_better(folders: tuple[Path, Path], tmp_path: Path) -> None:
    made, true = folders
    write(true / "4.wav", burst(4, level=0.2))
    write(made / "4.wav", 0.5 * burst(4, level=0.2))
    near = tmp_path / "near"
    for path in true.iterdir():
        from mfv2a.media.audio import read_audio

        write(near / path.name, 0.95 * read_audio(path).samples)
    options = FolderOptions(generated=(near, made), reference=true, measures=QUICK, draws=1000)
    rows = run(options)[0]["measures"]
    error = rows["loudness_error"]
    assert error["difference"] == pytest.approx(error["a"] - error["b"])
    assert error["difference"] == pytest.approx(20 * np.log10(1 / 0.95) + 20 * np.log10(0.5), abs=0.05)
    assert error["low"] <= error["difference"] <= error["high"] < 0
    assert error["share_a_better"] == 1.0
    assert rows["loudness_difference"]["share_a_better"] is None
    assert rows["onset_f1"]["share_a_better"] == 0.5  # both find all
    swapped = run(FolderOptions(generated=(made, near), reference=true, measures=QUICK, draws=1000))[0]["measures"]
    assert swapped["loudness_error"]["share_a_better"] == 0.0


def test_without_weights_every_measure_of_a_judge_is_left_out_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFV2A_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    judges = load_judges(all_names())
    assert [judge.name for judge in judges.sounds] == ["yamnet"]
    judged = {name for name in all_names() if name.endswith(("passt", "panns", "vggish"))}
    assert set(judges.left_out) == judged | {"imagebind", "desync", "clap"}
    assert all(missing.reason and missing.hint for missing in judges.left_out.values())
    assert load_judges(["onset_f1"]).left_out == {}


def test_weights_that_are_wrong_are_a_reason_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFV2A_HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "vggish-10086976.pth").write_bytes(b"no weights")
    judges = load_judges(["frechet_vggish"])
    assert judges.sounds == []
    assert "cannot read" in judges.left_out["frechet_vggish"].reason


def test_the_command_prints_a_table_files_and_exit_codes(
    folders: tuple[Path, Path],
    tmp_path: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    made, true = folders
    words = ["evaluate", str(made), "--reference", str(true), "--draws", "20", "--measure", "onset_f1"]
    words += ["--measure", "frechet_panns", "--csv", str(tmp_path / "f.csv"), "--per-clip", str(tmp_path / "c.jsonl")]
    assert main(words) == 0
    text = capsysbinary.readouterr().out.decode()
    assert "onset_f1" in text
    assert "Left out" in text
    assert "panns-cnn14-16k" in text
    rows = {row["measure"]: row for row in csv.DictReader((tmp_path / "f.csv").read_text().splitlines())}
    assert rows["onset_f1"]["value"] == "1.0"
    assert rows["frechet_panns"]["value"] == ""
    assert "not here" in rows["frechet_panns"]["left_out"]
    assert len((tmp_path / "c.jsonl").read_text().splitlines()) == 4
    (made / "0.wav").write_bytes(b"no")
    assert main([*words, "--json", "-q"]) == 3
    out, err = capsysbinary.readouterr()
    assert json.loads(out)["failed"][0]["path"].endswith("0.wav")
    assert err.count(b"\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["made"],
        ["--reference", "true"],
        ["made", "--compare", "a", "b", "--reference", "true"],
        ["made", "--reference", "true", "--measure", "fad"],
        ["made", "--reference", "gone"],
        ["made", "--reference", "true", "--csv", "gone/f.csv"],
        ["made", "--reference", "true", "--csv", "f.x", "--per-clip", "./f.x"],
        ["made", "--reference", "true", "--csv", "made/0.wav"],
        ["made", "--reference", "true", "--per-clip", "true/1.wav"],
        ["--scenes", "2", "--draws", "7"],
        ["--scenes", "2", "--split", "test"],
        ["made", "--reference", "true", "--split", "test"],
        ["made", "--reference", "true", "--draws", "1000001"],
        ["made", "--reference", "true", "--steps", "3"],
        ["made", "--reference", "true", "--no-text"],
    ],
)
def test_words_that_cannot_work_are_exit_2(
    words: list[str],
    folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.chdir(folders[0].parent)
    assert main(["evaluate", *words]) == 2
    assert capsysbinary.readouterr().err.startswith(b"error: ")


def test_an_option_of_folders_beside_scenes_is_named(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["evaluate", "--scenes", "2", "--draws", "7"]) == 2
    assert b"--draws is of folders of sounds" in capsysbinary.readouterr().err


def test_one_draw_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="draws"):
        FolderOptions(generated=(tmp_path,), reference=tmp_path, draws=1)


def test_a_name_that_is_no_utf8_loses_no_figure(folders: tuple[Path, Path], tmp_path: Path) -> None:
    made, true = folders
    odd = os.fsdecode(b"odd\xff.wav")
    for folder in folders:
        (folder / "0.wav").rename(folder / odd)
    listed = tmp_path / "clips.jsonl"
    run(FolderOptions(generated=(made,), reference=true, measures=("onset_f1",), draws=10, per_clip=listed))
    records = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    assert str(true / odd) in {record["reference"] for record in records}


def test_figures_are_told_before_a_file_fails(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, true = folders
    with pytest.raises(ConfigError, match="is a folder"):
        FolderOptions(generated=(made,), reference=true, csv=tmp_path)
    told: list[Any] = []
    watcher = Watcher(begin=lambda pairing: None, tick=lambda done: None, fail=told.append, end=told.append)
    options = FolderOptions(generated=(made,), reference=true, measures=("onset_f1",), draws=10, csv=tmp_path / "a.csv")
    (tmp_path / "a.csv").mkdir()  # comes while the clips are measured
    with pytest.raises(MediaError, match="cannot be written"):
        evaluate_folders(options, watcher)
    assert [set(report["measures"]) for report in told] == [{"onset_f1"}]


@pytest.mark.parametrize("clips", [1, 2, 4])
def test_few_clips_make_no_system_surely_better(tmp_path: Path, clips: int) -> None:
    for name, level in (("true", 0.3), ("a", 0.2), ("b", 0.1)):
        for seed in range(clips):
            write(tmp_path / name / f"{seed}.wav", burst(seed, level=level))
    names = ("log_mel_distance", "frechet_yamnet", "kernel_yamnet")
    options = FolderOptions(
        generated=(tmp_path / "a", tmp_path / "b"), reference=tmp_path / "true", measures=names, draws=20
    )
    found = run(options)[0]["measures"]
    assert set(found) == set(names if clips > 1 else names[:1])
    assert found["log_mel_distance"]["difference"] < 0
    for row in found.values():
        assert row["clips"] == clips
        assert (row["low"], row["high"], row["share_a_better"]) == (None, None, None)
    single = run(FolderOptions(generated=(tmp_path / "a",), reference=tmp_path / "true", measures=names, draws=20))[0]
    assert {(row["low"], row["high"]) for row in single["measures"].values()} == {(None, None)}


def test_captions_of_one_true_sound_make_no_interval_narrower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mfv2a.cli.figures import print_figures

    monkeypatch.setattr(evaluate_folder, "load_judges", lambda wanted, device: Judges(sounds=[StandIn()]))
    lines = ["audiocap_id,youtube_id,start_time,caption"]
    for seed in range(6):
        wave = burst(seed, level=0.1 + 0.05 * seed)
        name = f"clip{seed:07d}"
        write(tmp_path / "true" / f"{name}_000001.wav", wave)
        write(tmp_path / "one" / f"{name}_000001.wav", (0.3 + 0.1 * seed) * wave)
        for caption in range(4):
            lines.append(f"{100 * caption + seed + 1000},{name},1,caption {caption}")
            write(tmp_path / "each" / f"{100 * caption + seed + 1000}.wav", (0.3 + 0.1 * seed) * wave)
    listing = tmp_path / "audiocaps.csv"
    listing.write_text("\n".join(lines))
    names = ("loudness_difference", "kernel_panns", "frechet_panns")
    found = [
        run(FolderOptions(generated=(tmp_path / name,), reference=tmp_path / "true", listing=listing, measures=names))[
            0
        ]
        for name in ("one", "each")
    ]
    assert [(report["pairs"], report["true_sounds"]) for report in found] == [(6, 6), (24, 6)]
    for name in names[:2]:
        one, each = (report["measures"][name] for report in found)
        assert [each[key] for key in ("value", "low", "high")] == [
            pytest.approx(one[key], rel=1e-3, abs=1e-6) for key in ("value", "low", "high")
        ]
    print_figures(found[1])
    assert "24 clips (6 true sounds)" in " ".join(capsys.readouterr().out.split())


def test_draws_that_memory_cannot_hold_are_refused_before_a_clip_is_read(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, true = folders
    with pytest.raises(ConfigError, match="--draws"):
        FolderOptions(generated=(made,), reference=true, draws=10**9)
    monkeypatch.setattr(evaluate_folder, "MOST_WEIGHTS", 100)
    monkeypatch.setattr(evaluate_folder, "measure_pairs", None)
    with pytest.raises(ConfigError, match="4 clips"):
        run(FolderOptions(generated=(made,), reference=true, draws=26))


def test_the_clips_scores_are_written_before_anything_is_drawn(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    made, true = folders
    monkeypatch.setattr(evaluate_folder, "estimate_all", stop)
    listed = tmp_path / "clips.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run(FolderOptions(generated=(made,), reference=true, measures=QUICK, draws=10, per_clip=listed))
    assert len(listed.read_text().splitlines()) == 4


def test_judges_whose_distances_are_drawn_are_told(folders: tuple[Path, Path]) -> None:
    made, true = folders
    said: list[str] = []
    names = ("frechet_yamnet", "kernel_yamnet", "onset_f1")
    report, _ = run(FolderOptions(generated=(made,), reference=true, measures=names, draws=10), said)
    assert said == ["yamnet: distances of 4 clips, and of 10 draws of them"]
    assert report["version"]
    assert report["made_at"].endswith("+00:00")


def test_measures_asked_for_of_which_none_can_be_taken_are_exit_4(
    folders: tuple[Path, Path], tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    made, true = folders
    words = ["evaluate", str(made), "--reference", str(true), "--draws", "20", "--json"]
    assert main([*words, "--measure", "frechet_panns", "--csv", str(tmp_path / "f.csv")]) == 4
    out, err = capsysbinary.readouterr()
    assert json.loads(out)["measures"] == {}
    assert b"left out: frechet_panns: the weights of panns-cnn14-16k are not here" in err
    assert b"error: none of the measures asked for could be taken" in err
    assert "not here" in (tmp_path / "f.csv").read_text()
    assert main([*words, "--measure", "frechet_panns", "--measure", "onset_f1"]) == 0
    assert b"left out: frechet_panns" in capsysbinary.readouterr().err


def test_rows_of_the_list_without_a_file_are_told_and_counted(
    folders: tuple[Path, Path], tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    made, true = folders
    (true / "3.wav").unlink()
    listing = tmp_path / "list.csv"
    listing.write_text("file,split\n" + "".join(f"{seed}.wav,{'test' if seed < 6 else 'train'}\n" for seed in range(9)))
    words = ["evaluate", str(made), "--reference", str(true), "--list", str(listing), "--measure", "onset_f1", "--json"]
    assert main([*words, "--split", "test"]) == 0
    out, err = capsysbinary.readouterr()
    assert b"generated: no file for 2 of 6 rows of the list: 4.wav, 5.wav" in err
    assert b"reference: no file for 3 of 6 rows of the list: 3.wav, 4.wav, 5.wav" in err
    report = json.loads(out)
    assert (report["listed"], report["missing"]) == (6, {"generated": 2, "reference": 3})


def test_reasons_are_not_folded(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mfv2a.cli.figures import print_figures

    monkeypatch.setenv("COLUMNS", "60")
    hint = "download https://example.org/" + "a" * 100 + " to /some/[place]"
    missing = {"reason": "the weights are not here", "hint": hint}
    print_figures({"generated": ["a"], "reference": "b", "pairs": 1, "lengths": {}, "measures": {},
                   "left_out": {"clap": missing, "desync": missing}})  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert f"  {hint}" in lines
    assert "clap, desync" in lines
