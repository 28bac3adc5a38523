"""Each shot of a clip is a clip of its own up to the cut, and shares the clip's noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mfv2a.jobs import shots as module
from mfv2a.jobs.drafts import Draft, Shot, join_curves
from mfv2a.jobs.shots import FADE_S, edged, see_shots, sound_of_shots, works_of_shots
from mfv2a.jobs.sight import see_video
from mfv2a.loader import load_pipeline
from mfv2a.media.encode import write_video
from mfv2a.media.video import probe_video
from mfv2a.pipeline import Pipeline, SampleOptions
from mfv2a.records import VideoInfo
from mfv2a.timeline import noise_field

RATE = 16000


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load_pipeline("tiny", device="cpu", dtype="float32")


def two_shots(path: Path, cut_s: float = 1.2, duration_s: float = 3.0) -> VideoInfo:
    """A bright square that moves over red, then one over blue."""
    frames = []
    for number in range(round(25 * duration_s)):
        second = number / 25 >= cut_s - 1e-9
        pixels = np.full((48, 64, 3), (20, 40, 220) if second else (220, 40, 20), np.uint8)
        place = abs(2 * number % 96 - 48)
        pixels[place % 40 : place % 40 + 8, place : place + 8] = 255
        frames.append(pixels)
    write_video(path, frames, 25.0, crf=1)
    return probe_video(path)


def part(info: VideoInfo, path: Path, first: int, last: int) -> VideoInfo:
    """A video of some of the frames of another, coded without loss."""
    from mfv2a.records import FrameRequest

    wanted = {"all": FrameRequest(fps=25.0, size_px=64, whole=True)}
    from mfv2a.media.video import decode_video

    frames = decode_video(info.path, wanted, info=info).frames["all"][first:last]
    write_video(path, frames, 25.0, crf=0)
    return probe_video(path)


def test_a_shot_is_seen_as_if_the_film_were_it_alone(tmp_path: Path, pipeline: Pipeline) -> None:
    info = two_shots(tmp_path / "a.mp4")
    first, second = see_shots(info, pipeline)
    assert (first.start_s, second.start_s) == (0.0, pytest.approx(1.2, abs=1e-3))
    alone = see_video(part(info, tmp_path / "b.mp4", 30, 75), pipeline)
    assert second.seen.sync is not None
    assert alone.sync is not None
    assert second.seen.sync.shape == alone.sync.shape
    # The cut is the beginning: nothing moves from the last frame of the other shot to the first of this one.
    np.testing.assert_allclose(second.seen.sync[0], alone.sync[0], atol=0.2)
    whole = see_video(info, pipeline)
    assert whole.sync is not None
    assert whole.sync.shape[0] == first.seen.sync.shape[0] + second.seen.sync.shape[0]  # type: ignore[union-attr]


def test_a_film_without_a_cut_is_one_shot_and_the_same(tmp_path: Path, pipeline: Pipeline) -> None:
    info = two_shots(tmp_path / "a.mp4", cut_s=9.0, duration_s=1.0)
    (shot,) = see_shots(info, pipeline)
    whole = see_video(info, pipeline)
    assert torch.equal(shot.seen.sync, whole.sync)  # type: ignore[arg-type]
    assert torch.equal(shot.seen.clip, whole.clip)  # type: ignore[arg-type]


def drafted(pipeline: Pipeline, starts_s: tuple[float, ...], duration_s: float) -> Draft:
    shots = [Shot(start_s, pipeline.look(duration_s, semantics=False).seen()) for start_s in starts_s]
    shots = [Shot(shot.start_s, replace(shot.seen, strikes_s=(0.2,), confidence=0.5)) for shot in shots]
    works = works_of_shots(pipeline, shots, prompt="rain", negative_prompt="", duration_s=duration_s, seed=3)
    return Draft(works=works, starts_s=starts_s, duration_s=duration_s, seed=3)


def test_shots_share_one_noise_field_and_no_window_lies_over_a_cut(pipeline: Pipeline) -> None:
    draft = drafted(pipeline, (0.0, 1.5, 11.0), 12.0)
    rate_hz = pipeline.spec.latent_rate_hz
    assert [work.offset for work in draft.works] == [0, round(1.5 * rate_hz), round(11 * rate_hz)]
    assert [len(work.windows) for work in draft.works] == [1, 2, 1]
    for work, length_s in zip(draft.works, (1.5, 9.5, 1.0), strict=True):
        assert work.duration_s == pytest.approx(length_s)
    second, channels = draft.works[1], pipeline.generator.config.latent_dim
    for window in second.windows:
        noise = pipeline._noise([(second, window)], 10, 0)[0]
        torch.testing.assert_close(noise, noise_field(3, second.offset + window.start, 10, channels))
    assert draft.strikes_s == (0.2, 1.7, 11.2)
    assert draft.windows == 4


@pytest.mark.parametrize("long_s", [99.0, 0.1])
def test_the_sound_of_shots_is_that_of_each_with_its_ends_faded(
    tmp_path: Path, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, long_s: float
) -> None:
    monkeypatch.setattr(module, "LONG_S", long_s)
    draft = drafted(pipeline, (0.0, 1.2345), 2.5)
    latents = pipeline.sample(list(draft.to_draw()), SampleOptions())
    seconds: dict[str, float] = {}
    audio = sound_of_shots(pipeline, draft, latents, sample_rate_hz=RATE, folder=tmp_path, seconds=seconds)
    assert len(audio.samples) == round(2.5 * RATE)
    assert {"vae", "vocoder"} == set(seconds)
    cut, fade = round(1.2345 * RATE), round(FADE_S * RATE)
    first, second = (
        pipeline.decode(work, latent, sample_rate_hz=RATE).samples
        for work, latent in zip(draft.works, latents, strict=True)
    )
    np.testing.assert_allclose(audio.samples[: cut - fade], first[: cut - fade], atol=1e-6)
    np.testing.assert_allclose(audio.samples[cut + fade : cut + 1000], second[fade:1000], atol=1e-6)
    assert abs(audio.samples[cut - 1]) <= abs(first[cut - 1]) / fade + 1e-6
    assert abs(audio.samples[cut]) <= abs(second[0]) / fade + 1e-6
    assert not list(tmp_path.iterdir())


def test_a_clip_is_as_sure_as_its_shots_are_for_as_long_as_they_last() -> None:
    works: Any = tuple(SimpleNamespace(confidence=c, duration_s=s) for c, s in ((0.2, 1.5), (0.8, 4.5)))
    assert Draft(works=works, duration_s=6.0, seed=0, starts_s=(0.0, 1.5)).confidence == pytest.approx(0.65)


def test_edges_are_ramps_and_what_is_missing_is_silence() -> None:
    blocks = np.concatenate(list(edged(np.ones(7, np.float32), 8, fade_in=2, fade_out=2)))
    np.testing.assert_allclose(blocks, [0.25, 0.75, 1, 1, 1, 1, 0.75, 0])
    np.testing.assert_array_equal(np.concatenate(list(edged(np.ones(9, np.float32), 8, fade_in=0, fade_out=0))), 1)


def test_curves_of_shots_lie_on_the_clips_clock() -> None:
    one, two = np.ones(25, np.float32), np.full(30, 0.5, np.float32)
    assert join_curves([None, None], (0.0, 1.0), 2.0) is None
    assert join_curves([one], (0.0,), 1.0) is one
    joined = join_curves([one, None, two], (0.0, 1.0, 2.0), 3.0)
    assert joined is not None
    np.testing.assert_array_equal(joined, np.concatenate([one, np.zeros(25), two[:25]]).astype(np.float32))
