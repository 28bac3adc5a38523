"""Ambience that swells with what moves: which movement counts, what level follows, and that sound takes it on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mfv2a.encoders.compact import CompactLook
from mfv2a.jobs.sounding import decode_sound
from mfv2a.loader import load_pipeline
from mfv2a.media.motion import motion_features
from mfv2a.models.compact import SyncConfig, SyncEncoder
from mfv2a.pipeline import Pipeline, SampleOptions
from mfv2a.swell import BELOW, MOVEMENT_HZ, SPAN_DB, follow_movement, movement_curve, swell
from mfv2a.work import QUIET_PEAK, SWELL_PEAK, Seen

ROWS = 100


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load_pipeline("embedded", device="cpu")


def even(value: float = 0.0, **rows: float) -> np.ndarray:
    """A value in every row but for those that are named, as in `at40=2.0`."""
    values = np.full(ROWS, value, np.float32)
    for name, other in rows.items():
        values[int(name[2:])] = other
    return values


def curve_of(impact: np.ndarray, logits: np.ndarray | None = None, difference: np.ndarray | None = None) -> np.ndarray:
    return movement_curve(
        even(-5.0) if logits is None else logits, impact, even(0.1) if difference is None else difference
    )


def levels(curve: np.ndarray) -> np.ndarray:
    return follow_movement(torch.from_numpy(curve)).numpy()


def test_what_moves_evenly_or_not_at_all_is_not_heard() -> None:
    for impact in (even(0.0), even(0.2)):
        np.testing.assert_allclose(curve_of(impact), 0.0, atol=1e-5)
        np.testing.assert_allclose(levels(curve_of(impact)), 0.0, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 2, 5, 9])
def test_a_clip_may_be_as_short_as_it_likes(rows: int) -> None:
    told = np.zeros(rows, np.float32)
    assert movement_curve(told, told, told).shape == (rows,)
    assert levels(told).shape == (rows,)


def test_what_stops_and_what_strikes_are_heard_where_they_do() -> None:
    stops, strikes = curve_of(even(0.1, at40=0.9)), curve_of(even(0.1), even(-5.0, at70=3.0))
    assert int(stops.argmax()) == 40
    assert int(strikes.argmax()) == 70
    assert stops[40] > 0.5
    assert strikes[70] > 0.5
    assert np.abs(np.delete(stops, range(35, 46))).max() < 0.2


def test_motion_of_any_scale_is_heard_alike_but_not_what_hardly_moves() -> None:
    rng = np.random.default_rng(0)
    impact = (0.2 + rng.random(ROWS) ** 4).astype(np.float32)
    np.testing.assert_allclose(curve_of(impact), curve_of(impact / 3), atol=1e-4)
    assert curve_of(impact / 1e4).max() < curve_of(impact).max() / 4


@pytest.mark.parametrize("cut", [{"at40": 1.0}, {"at40": 0.9, "at41": 0.3}, {"at40": 0.6, "at41": 0.6}])
def test_a_cut_is_not_heard(cut: dict[str, float]) -> None:
    impact, moving = even(0.1, at41=0.9, at42=0.4), even(0.1, **{key: value / 4 for key, value in cut.items()})
    heard, silent = (curve_of(impact, difference=difference)[38:46].max() for difference in (moving, even(0.1, **cut)))
    assert heard > 0.5
    assert silent < 0.1


def test_a_flicker_that_goes_on_is_no_row_of_cuts() -> None:
    flicker = even(0.1)
    flicker[20:80] = 0.7
    assert int(curve_of(even(0.1, at40=0.9), difference=flicker).argmax()) == 40


def test_the_level_rises_at_once_falls_slowly_and_keeps_to_its_span() -> None:
    one = levels(even(0.0, at40=10.0))
    assert one[40] - one[39] == pytest.approx(20.0, abs=0.15)
    assert np.ptp(one) == pytest.approx(20.0, abs=0.15)
    assert one[-1] - one.min() == pytest.approx(20 * np.exp(-59 / 25 / 0.3), abs=0.1)
    assert one.min() == pytest.approx(-BELOW * 20, abs=0.2)
    assert (np.diff(one[40:]) < 0).all()
    assert 0.2 < (np.flatnonzero(one[40:] < one.min() + 20 / np.e)[0] / MOVEMENT_HZ) < 0.4
    wild = levels(even(0.0, at40=100.0))
    assert np.ptp(wild) == pytest.approx(SPAN_DB, abs=0.01)
    assert wild.max() == pytest.approx((1 - BELOW) * SPAN_DB, abs=0.01)
    assert np.isfinite(wild).all()


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


def test_a_ball_that_stops_is_heard_where_it_stops_and_a_cut_is_not() -> None:
    size, stop, cut = 112, 40, 70
    rng = np.random.default_rng(0)
    here, there, ball = (
        cv2.GaussianBlur(rng.integers(0, 255, (size, size)).astype(np.uint8), (0, 0), blur) for blur in (3, 3, 2)
    )
    frames = np.repeat(here[None], ROWS, axis=0)
    for number in range(ROWS):
        way = np.array([[1, 0, 3 * max(0, min(number, stop) - 20)], [0, 1, 30]], np.float32)
        moved = cv2.warpAffine(ball[:40, :40] // 2 + 127, way, (size, size))
        frames[number] = np.where(moved > 100, moved, frames[number])
    frames[cut:] = there
    filmed = np.clip(frames + rng.normal(0, 1, frames.shape), 0, 255).astype(np.uint8)  # as every camera's
    encoder = SyncEncoder(SyncConfig.tiny())
    torch.nn.init.zeros_(encoder.onset.weight)
    look = CompactLook(encoder, None)
    look.add("motion", motion_features(filmed))
    movement = look.seen().movement
    assert movement is not None
    assert abs(int(movement.argmax()) - (stop + 1)) <= 1
    assert float(movement[cut - 2 : cut + 6].max()) < float(movement.max()) / 4
