"""What each window's generator is given, and what of a video the public models' encoders ask for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from mfv2a.encoders.meanaudio import MeanAudioEncoders
from mfv2a.encoders.mmaudio import MMAudioEncoders, mmaudio_spec
from mfv2a.encoders.woosh import WooshEncoders, woosh_spec
from mfv2a.generators import MMAudioBinding, WooshBinding
from mfv2a.records import FrameRequest
from mfv2a.timeline import SequenceSpec
from mfv2a.work import Work


def numbered(spec: SequenceSpec, duration_s: float) -> Work:
    """A clip each of whose features is its own number."""
    lengths = spec.extent(duration_s)
    rows = [torch.arange(float(length))[:, None].expand(-1, 3) for length in (lengths.clip, lengths.sync)]
    windows = spec.plan(spec.latents(duration_s))
    return Work(duration_s=duration_s, seed=0, windows=windows, confidence=1.0, clip=rows[0], sync=rows[1])


def test_each_window_of_mmaudio_gets_the_features_of_its_own_stretch() -> None:
    """Windows begin 6.4 s apart: 51.2 of eight pictures a second, and 160 of 25 features."""
    spec, empty = mmaudio_spec(16000, 256), torch.full((1, 3), -1.0)
    net: Any = SimpleNamespace(empty_clip_feat=empty, empty_sync_feat=empty, empty_string_feat=empty)
    work = numbered(spec, 20.0)
    assert len(work.windows) == 3
    for number, window in enumerate(work.windows):
        clip, sync, text = MMAudioBinding(net, spec)._features(work, window, spec.lengths(window, 20.0))
        assert clip[:, 0].tolist() == [int(51.2 * number) + k for k in range(64)]
        assert sync[:, 0].tolist() == [160 * number + k for k in range(192)]
        assert text is empty


def test_each_window_of_woosh_gets_the_features_of_its_own_stretch() -> None:
    """Windows begin 19 segments of eight features apart."""
    spec = woosh_spec(48000, 480, 8.0)
    net: Any = SimpleNamespace(config=SimpleNamespace(video_dim=3))
    work = numbered(spec, 20.0)
    assert len(work.windows) == 3
    for number, window in enumerate(work.windows):
        video = WooshBinding(net, spec)._video(work, window, spec.lengths(window, 20.0))
        assert video[:, 0].tolist() == [152 * number + k for k in range(192)]


def test_the_encoders_ask_for_frames_as_their_references_take_them() -> None:
    assert MMAudioEncoders.frame_requests == {
        "clip": FrameRequest(fps=8.0, size_px=384, whole=True, summed=True),
        "sync": FrameRequest(fps=25.0, size_px=224, fit="crop", whole=True, summed=True),
    }
    assert WooshEncoders.frame_requests == {"sync": FrameRequest(fps=24.0, size_px=224, bilinear=True)}
    assert MeanAudioEncoders.frame_requests == {}
