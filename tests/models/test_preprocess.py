"""Frame choice, lengths and resizing against the public reference's."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from golden.fill import pick
from golden.parity import ROOT, case
from mfv2a.errors import ConfigError
from mfv2a.models.mel import MEL_16K, MEL_44K
from mfv2a.models.preprocess import (
    CLIP_FPS,
    SYNC_FPS,
    choose_frames,
    clip_frames,
    cut_duration,
    sequence_lengths,
    sync_frames,
)

CHOICES = json.loads((ROOT / "frames" / "selection.json").read_text(encoding="utf-8"))["cases"]
VIDEOS = json.loads((ROOT / "frames" / "cases.json").read_text(encoding="utf-8"))["videos"]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice["case"])
def test_the_reference_frames_are_chosen(choice):
    end = choice["start_sec"] + choice["duration"]
    clip, sync = (
        choose_frames(choice["frame_times"], fps, start_s=choice["start_sec"], end_s=end)
        for fps in (CLIP_FPS, SYNC_FPS)
    )
    assert clip == choice["clip_index"]
    assert sync == choice["sync_index"]
    used, kept = cut_duration(choice["duration"], len(clip), len(sync)), choice["load_video"]
    assert used == kept["duration_used"]
    assert (int(CLIP_FPS * used), int(SYNC_FPS * used)) == (kept["clip"], kept["sync"])


@pytest.mark.parametrize("name", VIDEOS)
def test_the_reference_frames_of_real_videos_are_chosen(name):
    video = VIDEOS[name]
    for load in video["loads"]:
        rate = int(video.get("average_rate", load["fps"]))
        times = [k / rate for k in range(video.get("source_frames_total", load["all_frames"]))]
        clip, sync = (choose_frames(times, fps, end_s=load["duration_asked"]) for fps in (CLIP_FPS, SYNC_FPS))
        assert (len(clip), len(sync)) == (load["clip_selected_before_cut"], load["sync_selected_before_cut"])
        used = cut_duration(load["duration_asked"], len(clip), len(sync))
        assert used == load["duration_used"]
        assert clip[: int(CLIP_FPS * used)] == load["clip_source_index"]
        assert sync[: int(SYNC_FPS * used)] == load["sync_source_index"]


def test_a_part_of_a_video_starts_with_its_own_first_frame():
    times = [k / 10 for k in range(30)]
    chosen = choose_frames(times, 8.0, start_s=1.0, end_s=2.0)
    assert chosen[0] == 10
    assert chosen[-1] == 20
    assert chosen.count(10) == 9  # places from 0 s on are filled with it


@pytest.mark.parametrize("name", ["landscape_180x320", "portrait_333x187", "large_720x1280", "odd_101x150"])
def test_resizing_gives_the_reference_pixels(name):
    inputs, outputs, _ = case("preprocess", name)
    clip, sync = clip_frames(inputs["frames"]).numpy(), sync_frames(inputs["frames"]).numpy()
    for found, kind, level in ((clip, "clip", 1 / 255), (sync, "sync", 2 / 255)):
        for part in ("frames", "frames_corner"):
            golden, rule, facts = outputs[f"{kind}_{part}"]
            assert list(found.shape) == facts["shape"]
            difference = np.abs(pick(found, rule) - golden)
            equal = (difference < 1e-5).mean()
            print(f"preprocess {name} {kind}_{part}: max {difference.max():.2e}, equal {100 * equal:.2f} %")  # noqa: T201
            assert difference.max() <= level + 1e-6
            assert equal >= 0.99


def test_frames_that_are_no_bytes_are_refused():
    with pytest.raises(ConfigError, match="bytes"):
        clip_frames(torch.zeros(1, 8, 8, 3))


@pytest.mark.parametrize("size", ["small_16k", "small_44k"])
@pytest.mark.parametrize("which", ["forward_8s", "forward_5s", "forward_10s"])
def test_lengths_are_those_of_the_reference(size, which):
    options = json.loads((ROOT / f"mmaudio_{size}" / "cases.json").read_text(encoding="utf-8"))["cases"][which][
        "options"
    ]
    mel = MEL_16K if size.endswith("16k") else MEL_44K
    found = sequence_lengths(options["duration"], mel)
    wanted = (options["latent_seq_len"], options["clip_seq_len"], options["sync_seq_len"])
    assert (found.latents, found.clip, found.sync) == wanted
    assert found.samples == found.latents * mel.hop * 2 >= options["duration"] * mel.sample_rate_hz


def test_eight_seconds_at_44k_are_a_little_more():
    assert sequence_lengths(8.0, MEL_44K).samples == 353_280
    assert math.isclose(353_280 / 44_100, 8.0109, abs_tol=1e-4)


def test_less_than_a_segment_is_too_short():
    assert sequence_lengths(0.64, MEL_16K).sync == 8
    with pytest.raises(ConfigError, match="too short"):
        sequence_lengths(0.6, MEL_16K)
