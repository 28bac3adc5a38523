"""Ambience that swells with what moves: which movement counts, what level follows, and that sound takes it on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mfv2a.encoders.compact import CompactEncoders, CompactLook
from mfv2a.jobs.sounding import decode_sound
from mfv2a.loader import load_pipeline
from mfv2a.media.motion import MotionMeter, motion_features
from mfv2a.models.compact import SyncConfig, SyncEncoder
from mfv2a.pipeline import Pipeline, SampleOptions
from mfv2a.swell import MOVEMENT_HZ, follow_movement, movement_curve, swell
from mfv2a.work import QUIET_PEAK, SWELL_PEAK, Seen

ROWS, SIZE = 100, 112


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load_pipeline("embedded", device="cpu")


@pytest.fixture(scope="module")
def eyes(pipeline: Pipeline) -> SyncEncoder:
    assert isinstance(pipeline.encoders, CompactEncoders)
    return pipeline.encoders.sync


def even(value: float = 0.0, **rows: float) -> np.ndarray:
    """A value in every row but for those that are named, as in `at40=2.0`."""
    values = np.full(ROWS, value, np.float32)
    for name, other in rows.items():
        values[int(name[2:])] = other
    return values


def curve_of(
    impact: np.ndarray,
    logits: np.ndarray | None = None,
    difference: np.ndarray | None = None,
    brightening: np.ndarray | None = None,
) -> np.ndarray:
    given = (even(-5.0), logits), (even(0.1), difference), (even(0.0), brightening)
    told, changes, brightens = (usual if value is None else value for usual, value in given)
    return movement_curve(told, impact, changes, brightens)


def levels(curve: np.ndarray) -> np.ndarray:
    return follow_movement(torch.from_numpy(curve)).numpy()


def test_what_moves_evenly_or_not_at_all_is_not_heard() -> None:
    for impact in (even(0.0), even(0.2)):
        np.testing.assert_allclose(curve_of(impact), 0.0, atol=1e-5)
        np.testing.assert_allclose(levels(curve_of(impact)), 0.0, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 2, 5, 9])
def test_a_clip_may_be_as_short_as_it_likes(rows: int) -> None:
    told = np.zeros(rows, np.float32)
    assert movement_curve(told, told, told, told).shape == (rows,)
    assert levels(told).shape == (rows,)


def test_what_stops_and_what_strikes_are_heard_where_they_do() -> None:
    stops, strikes = curve_of(even(0.1, at40=0.9)), curve_of(even(0.1), even(-5.0, at70=3.0))
    assert int(stops.argmax()) == 40
    assert int(strikes.argmax()) == 70
    for row in (0, ROWS - 1):  # nothing is lost at the ends
        ends = curve_of(even(0.1, **{f"at{row}": 0.9}))
        assert ends[row] > 1.5 * stops[40]
    # what is above the mean, in the curve's units, times the middle of the smoothing
    assert stops[40] == pytest.approx(0.399 * (np.sqrt(0.9) - 0.323) / (0.4 * 0.4), abs=0.04)
    assert strikes[70] == pytest.approx(0.399 * (3.0 + 4.92) / 2, abs=0.04)
    assert np.abs(np.delete(stops, range(35, 46))).max() < 0.2


def test_motion_of_any_scale_is_heard_alike_but_not_what_hardly_moves() -> None:
    rng = np.random.default_rng(0)
    impact = (0.3 + rng.random(ROWS) ** 4).astype(np.float32)
    np.testing.assert_allclose(curve_of(impact), curve_of(impact / 1.5), atol=1e-4)
    assert curve_of(impact / 1e4).max() < curve_of(impact).max() / 4


@pytest.mark.parametrize(
    ("cut", "stops"),
    [
        ({"at40": 1.0}, [41]),
        ({"at40": 0.9, "at41": 0.3}, [41, 42]),
        ({"at40": 0.6, "at41": 0.6}, [42, 43]),
        ({"at40": 0.5, "at41": 0.5, "at42": 0.5}, [43, 44, 45]),  # 8 pictures a second
    ],
)
def test_a_cut_is_not_heard(cut: dict[str, float], stops: list[int]) -> None:
    impact, logits = even(0.1, **{f"at{row}": 0.9 for row in stops}), even(-5.0, at40=1.0)
    moving = even(0.1, **{key: value / 4 for key, value in cut.items()})
    heard, silent = (curve_of(impact, logits, difference)[38:48].max() for difference in (moving, even(0.1, **cut)))
    assert heard > 0.5
    assert silent < 0.1
    # nor does what it stops count for what is usual
    alone = curve_of(even(0.1, at80=0.9), difference=even(0.1, **cut))
    np.testing.assert_allclose(
        curve_of(impact + even(0.0, at80=0.8), logits, even(0.1, **cut))[76:85], alone[76:85], atol=0.02
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_fade_is_not_heard(sign: int) -> None:
    changes, impact = even(0.1), even(0.1)
    changes[30:60] = 0.2
    impact[30:60] = 0.6
    fading = np.where(changes > 0.1, np.float32(sign * (0.2 / 2) ** (2 / 3)), np.float32(0))
    assert curve_of(impact, difference=changes)[30:60].max() > 0.5
    assert np.abs(curve_of(impact, difference=changes, brightening=fading)).max() < 0.1


def test_what_a_cut_stops_is_not_heard_when_it_stops_later() -> None:
    still = even(0.1, at40=1.0)
    still[41:60] = 0.0
    assert curve_of(even(0.1, at60=0.9), difference=still).max() < 0.1
    assert int(curve_of(even(0.1, at60=0.9, at70=0.9), difference=still).argmax()) == 70


def test_a_still_picture_that_is_coded_anew_each_second_is_not_heard() -> None:
    pulses = even(0.0)
    pulses[[0, 10, 35, 60, 85, ROWS - 1]] = 0.2
    impact = np.where(pulses > 0, np.float32(0.3), np.float32(0))
    assert np.abs(curve_of(impact, even(-2.5, at50=0.0), pulses)).max() < 1e-3


def test_a_flicker_that_goes_on_is_no_row_of_cuts() -> None:
    flicker = even(0.1)
    flicker[20:80] = 0.7
    assert int(curve_of(even(0.1, at40=0.9), difference=flicker).argmax()) == 40


def test_the_level_rises_at_once_falls_slowly_and_keeps_to_its_span() -> None:
    one = levels(even(0.0, at40=10.0))
    assert one[40] - one[39] == pytest.approx(20.0, abs=0.15)
    assert np.ptp(one) == pytest.approx(20.0, abs=0.15)
    assert one[-1] - one.min() == pytest.approx(20 * np.exp(-59 / 25 / 0.3), abs=0.1)
    assert one.min() == pytest.approx(-20 / 3, abs=0.2)
    assert (np.diff(one[40:]) < 0).all()
    assert np.flatnonzero(one[40:] < one.min() + 20 / np.e)[0] / MOVEMENT_HZ == pytest.approx(0.32, abs=0.021)
    wild = levels(even(0.0, at40=100.0))
    assert wild.max() == pytest.approx(24.0, abs=0.01)
    assert wild.min() == pytest.approx(-12.0, abs=0.01)
    assert np.isfinite(wild).all()


def test_what_is_loud_elsewhere_in_a_long_clip_silences_nothing() -> None:
    movement = np.zeros(60 * 25, np.float32)
    movement[[5 * 25, 55 * 25]] = 5.0, 40.0
    level = levels(movement)
    assert level[5 * 25] == pytest.approx(20 / 3, abs=0.2)
    assert level[55 * 25] == pytest.approx(24.0, abs=0.2)
    assert np.abs(np.diff(level[200 : 55 * 25])).max() < 0.2


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_blocks_swell_as_the_whole_does(rate_hz: int) -> None:
    level = torch.from_numpy(levels(even(0.0, at10=6.0, at60=9.0)))
    wave = torch.randn(5 * rate_hz, generator=torch.Generator().manual_seed(0))
    whole = swell(wave, level, rate_hz)
    parts = [swell(part, level, rate_hz, start=10_007 * k) for k, part in enumerate(wave.split(10_007))]
    torch.testing.assert_close(torch.cat(parts), whole)
    gain_db = 20 * torch.log10(whole / wave)
    rows = (torch.arange(ROWS) * rate_hz / MOVEMENT_HZ).long()
    torch.testing.assert_close(gain_db[rows], level, atol=0.02, rtol=0)
    torch.testing.assert_close(gain_db[4 * rate_hz :], level[-1].expand(rate_hz), atol=1e-3, rtol=0)


def test_what_is_not_known_swells_and_what_is_asked_for_or_strikes_does_not(pipeline: Pipeline) -> None:
    movement = torch.from_numpy(even(0.0, at40=8.0))
    seen = Seen(confidence=0.1, sync=torch.randn(ROWS, 64), movement=movement)
    unknown = pipeline.prepare(seen, duration_s=4.0)
    assert unknown.quiet
    assert unknown.level_db is not None
    for other in (
        pipeline.prepare(seen, prompt="rain", duration_s=4.0),
        pipeline.prepare(replace(seen, strikes_s=(1.6,)), duration_s=4.0),
        pipeline.prepare(replace(seen, confidence=0.9), duration_s=4.0),
        pipeline.prepare(replace(seen, movement=None), duration_s=4.0),
    ):
        assert other.level_db is None
    latent = pipeline.sample([unknown], SampleOptions())[0]
    swelled = pipeline.decode(unknown, latent).samples
    rate_hz = pipeline.info.sample_rate_hz
    plain = pipeline.decode(replace(unknown, level_db=None), latent).samples
    heard = np.abs(plain) > 1e-5
    gain_db = 20 * np.log10(np.abs(swelled[heard] / plain[heard]))
    expected = np.interp(np.flatnonzero(heard) / rate_hz * MOVEMENT_HZ, np.arange(ROWS), unknown.level_db.numpy())
    np.testing.assert_allclose(gain_db, expected, atol=0.01)


@pytest.mark.parametrize(("rise", "most"), [(0.0, QUIET_PEAK), (3.0, QUIET_PEAK * 10 ** (4 / 20)), (60.0, SWELL_PEAK)])
def test_a_swelling_sound_is_held_down_by_how_far_it_swells(
    pipeline: Pipeline, tmp_path: Path, rise: float, most: float
) -> None:
    movement = torch.from_numpy(even(0.0, at40=rise))
    work = pipeline.prepare(Seen(confidence=0.1, movement=movement), duration_s=61.0)
    latent = 6 * torch.randn(pipeline.spec.latents(61.0), pipeline.generator.config.latent_dim)
    whole = pipeline.decode(work, latent).samples
    long = decode_sound(
        pipeline, work, latent, sample_rate_hz=pipeline.info.sample_rate_hz, folder=tmp_path, seconds={}
    ).samples
    assert np.abs(whole).max() == pytest.approx(most, rel=1e-3)
    np.testing.assert_allclose(long, whole, atol=1e-5)


def textures(count: int) -> list[np.ndarray]:
    """Smooth gray pictures."""
    rng = np.random.default_rng(0)
    noise = (cv2.GaussianBlur(rng.random((SIZE, SIZE), np.float32), (0, 0), 3) for _ in range(count))
    return [(20 + 215 * (each - each.min()) / np.ptp(each)).astype(np.uint8) for each in noise]


def moved(picture: np.ndarray, right: float, down: float = 30.0) -> np.ndarray:
    """A piece of a picture at another place, black around it."""
    way = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return cv2.warpAffine(picture[:40, :40], way, (SIZE, SIZE))


def filmed(frames: np.ndarray) -> np.ndarray:
    """With the noise that every camera has."""
    noisy = frames + np.random.default_rng(1).normal(0, 1, frames.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def span_db(sync: SyncEncoder, motion: np.ndarray, rows: slice = slice(None)) -> float:
    """How far a level goes up and down that follows a motion."""
    look = CompactLook(sync, None)
    look.add("motion", motion)
    level = look.seen().follow()
    assert level is not None
    return float(np.ptp(level[rows].numpy()))


def test_a_ball_that_stops_is_heard_where_it_stops() -> None:
    stop, (here, ball) = 40, textures(2)
    frames = np.repeat(here[None], ROWS, axis=0)
    for number in range(ROWS):
        piece = moved(ball // 2 + 127, 3 * max(0, min(number, stop) - 20))
        frames[number] = np.where(piece > 100, piece, frames[number])
    encoder = SyncEncoder(SyncConfig.tiny())
    torch.nn.init.zeros_(encoder.onset.weight)
    look = CompactLook(encoder, None)
    look.add("motion", motion_features(filmed(frames)))
    movement = look.seen().movement
    assert movement is not None
    assert abs(int(movement.argmax()) - (stop + 1)) <= 1
    assert float(movement.max()) > 0.5
    torch.nn.init.normal_(encoder.onset.weight, generator=torch.Generator().manual_seed(0))
    look.add("motion", motion_features(filmed(frames)))
    told = look.seen().movement
    assert told is not None
    assert not torch.allclose(told, movement, atol=0.1)


@pytest.mark.parametrize("fps", [8.0, 12.0, 24.0, 25.0])
def test_a_cut_between_pictures_that_drift_is_not_heard(eyes: SyncEncoder, fps: float) -> None:
    count, drifting = int(4 * fps), textures(2)
    both = [
        np.stack([np.roll(picture, round(16 * number / fps), axis=1) for number in range(count)])
        for picture in drifting
    ]
    cut = np.concatenate([both[0][: count // 2], both[1][count // 2 :]])
    uncut, heard = (
        span_db(eyes, MotionMeter().measure(filmed(frames), np.arange(count) / fps, 100), slice(44, 70))
        for frames in (both[0], cut)
    )
    assert heard < uncut + 6


def test_a_still_picture_that_fades_is_not_heard(eyes: SyncEncoder) -> None:
    (picture,) = textures(1)
    light = np.clip((np.arange(ROWS) - 20) / 25, 0, 1)
    faded = (picture * light[:, None, None]).astype(np.uint8)
    assert span_db(eyes, motion_features(faded)) < 8


def test_neither_black_nor_a_still_picture_coded_anew_is_heard(eyes: SyncEncoder) -> None:
    (picture,) = textures(1)
    rng = np.random.default_rng(2)
    blocks = [cv2.resize(rng.normal(0, 4, (14, 14)), (SIZE, SIZE), interpolation=cv2.INTER_NEAREST) for _ in range(8)]
    coded = np.stack([np.clip(picture + blocks[number // 25], 0, 255) for number in range(200)]).astype(np.uint8)
    for frames in (np.zeros_like(coded), coded):
        assert span_db(eyes, motion_features(frames)) < 1
