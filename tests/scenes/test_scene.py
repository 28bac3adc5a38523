"""Scenes as a whole: the same seed the same world, events that can be seen and heard, calm that is calm."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from mfv2a.errors import ConfigError
from mfv2a.scenes import CAPTIONS, FAMILIES, HELD_OUT_SEED, LABELS, make_scene
from mfv2a.scenes.packing import pack
from mfv2a.scenes.placement import Placement
from mfv2a.scenes.shapes import Paint, ellipse

RATE = 16000
STRUCK = ("hammer", "impacts", "drums", "chopping", "knocking", "claps", "cameras", "dogs")


def rms_db(wave: np.ndarray) -> float:
    return 20 * float(np.log10(np.sqrt(np.mean(wave**2)) + 1e-12))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_draws_and_sounds(family: str) -> None:
    scene = make_scene(3, family=family, duration_s=2.0)
    frames, wave = scene.render(gray=True), scene.sound()
    assert frames.shape == (50, 112, 112)
    assert frames.dtype == np.uint8
    assert frames.std() > 2
    assert wave.shape == (2 * RATE,)
    assert wave.dtype == np.float32
    assert np.isfinite(wave).all()
    assert 1e-5 < np.abs(wave).max() <= 0.9001
    assert scene.family == family
    assert scene.label in LABELS


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("duration_s", [0.04, 0.5, 30.0])
def test_events_lie_inside_any_duration_and_the_picture(family: str, duration_s: float) -> None:
    for seed in range(3):
        scene = make_scene(seed, family=family, duration_s=duration_s)
        times = [event.time_s for event in scene.events]
        assert times == sorted(times)
        assert all(0 <= time_s < duration_s for time_s in times)
        assert all(0 < event.strength <= 1 and event.label == scene.label for event in scene.events)
        assert all(0 <= event.x <= 1 and 0 <= event.y <= 1 for event in scene.events)


def test_equal_seeds_make_equal_scenes_and_others_differ() -> None:
    first, again, other = make_scene(5, duration_s=1), make_scene(5, duration_s=1), make_scene(6, duration_s=1)
    assert first.events == again.events
    assert first.caption == again.caption
    assert np.array_equal(first.render(gray=True), again.render(gray=True))
    assert np.array_equal(first.sound(), again.sound())
    assert not np.array_equal(first.render(gray=True), other.render(gray=True))


def test_a_scene_survives_pickling() -> None:
    scene = make_scene(7, duration_s=1, family="drums", aspect=1.5)
    copy = pickle.loads(pickle.dumps(scene))
    assert copy.aspect == 1.5
    assert np.array_equal(copy.render(gray=True), scene.render(gray=True))


def test_all_families_and_labels_are_drawn_and_about_a_tenth_is_calm() -> None:
    scenes = [make_scene(seed, duration_s=4) for seed in range(240)]
    assert {scene.family for scene in scenes} == set(FAMILIES)
    assert 0.05 < np.mean([scene.family == "calm" for scene in scenes]) < 0.16
    for family in FAMILIES:
        scenes += [make_scene(seed, duration_s=1, family=family) for seed in range(16)]
    assert {scene.label for scene in scenes} == set(LABELS)
    assert len(FAMILIES) >= 16
    assert len(LABELS) >= 25


def test_held_out_wordings_are_never_trained_on() -> None:
    trained = {words for wordings in CAPTIONS.values() for words in wordings.training}
    held_out = {words for wordings in CAPTIONS.values() for words in wordings.held_out}
    assert not trained & held_out
    assert all(len(wordings.training) >= 5 and len(wordings.held_out) >= 2 for wordings in CAPTIONS.values())
    assert {make_scene(seed).caption for seed in range(20)} <= trained
    assert {make_scene(HELD_OUT_SEED + seed).caption for seed in range(20)} <= held_out


@pytest.mark.parametrize("seed", range(4))
def test_a_calm_scene_has_no_events_and_is_almost_silent(seed: int) -> None:
    scene = make_scene(seed, family="calm", duration_s=4)
    assert scene.events == ()
    assert -80 < rms_db(scene.sound()) < -40


def test_a_hit_begins_to_sound_within_ten_milliseconds() -> None:
    late = []
    for family in (*STRUCK, "balls", "clocks", "doors", "falls", "typing", "birds", "explosions", "footsteps", "bells"):
        for seed in range(2):
            scene = make_scene(seed, family=family, duration_s=4)
            if not scene.events:
                continue
            # The first event is heard against what comes before it: noise alone.
            at = round(scene.events[0].time_s * RATE)
            envelope = np.abs(scene.sound())
            before = envelope[max(0, at - RATE // 4) : at - RATE // 100].max(initial=1e-5)
            onset = int(np.argmax(envelope[at - RATE // 100 :] > 3 * before)) - RATE // 100
            late.append(onset / RATE)
    assert len(late) > 20
    assert np.abs(late).max() <= 0.010


def test_harder_hits_sound_louder() -> None:
    rising = 0
    for seed in range(8):
        scene = make_scene(seed, family="knocking", duration_s=8)
        wave = np.abs(scene.sound())
        peaks = [wave[int(e.time_s * RATE) : int((e.time_s + 0.05) * RATE)].max() for e in scene.events]
        strengths = [e.strength for e in scene.events]
        if np.std(strengths) > 0.05:
            rising += np.corrcoef(strengths, np.log(peaks))[0, 1] > 0.5
        else:
            rising += 1
    assert rising >= 7


def test_the_picture_moves_more_at_a_hit_than_when_nothing_is_near() -> None:
    near, far = [], []
    for family in STRUCK:
        for seed in range(2):
            scene = make_scene(seed, family=family, duration_s=5)
            frames = scene.render(gray=True).astype(np.float32)
            change = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2))
            change /= change.mean() + 1e-9
            index = np.arange(len(change))
            hits = np.array([event.time_s * 25 for event in scene.events])
            away = np.abs(index[:, None] - hits[None, :]).min(axis=1)
            near += list(change[away <= 3])
            far += list(change[away > 12])
    assert np.mean(near) > 1.3 * np.mean(far)


@pytest.mark.parametrize(
    "wrong", [{"family": "hammers"}, {"seed": -1}, {"duration_s": 0}, {"duration_s": float("nan")}, {"aspect": 0}]
)
def test_values_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    arguments = {"seed": 0, **wrong}
    with pytest.raises(ConfigError):
        make_scene(**arguments)  # type: ignore[arg-type]


def test_drawing_a_scene_waits_for_no_compiler() -> None:
    words = "import sys, mfv2a.scenes as s; s.make_scene(1); sys.exit('numba' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0


def test_items_are_never_taken_for_moments() -> None:
    x = np.zeros(3)
    with pytest.raises(ValueError, match="3 values at 5 moments"):
        pack([ellipse(x, 0.0, 0.1, 0.1, Paint())], 5, Placement(0.0, 0.0, 1.0, 0.0, False))
