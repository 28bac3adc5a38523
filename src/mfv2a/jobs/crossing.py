"""A generated sound against the picture and the words of its clip: CLAP score, ImageBind score, DeSync."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mfv2a.models.desync import SAMPLE_RATE_HZ as SYNC_HZ
from mfv2a.models.desync import WINDOW_S, Desync
from mfv2a.models.imagebind import FPS, SIDE_PX, ImageBind, picture_places, shorter_side
from mfv2a.models.imagebind import SAMPLE_RATE_HZ as PICTURE_HZ
from mfv2a.models.preprocess import SYNC_FPS, SYNC_PX, shrink_sync
from mfv2a.records import FrameRequest

if TYPE_CHECKING:
    from mfv2a.jobs.judges import Judges
    from mfv2a.jobs.measure import Sound
    from mfv2a.jobs.pairing import Pair
    from mfv2a.models.clap_score import ClapJudge

_SYNC = FrameRequest(fps=SYNC_FPS, size_px=SYNC_PX, fit="crop", whole=True, summed=True)
_PICTURES = FrameRequest(fps=FPS, size_px=SIDE_PX, whole=True)


def against_words(sound: Sound, captions: Sequence[str], judge: ClapJudge) -> float | None:
    """CLAP score: cosine of sound and caption, the mean over captions; None where there is no caption."""
    from mfv2a.evaluation.embeddings import centred
    from mfv2a.models.clap_score import SAMPLE_RATE_HZ

    if not captions:
        return None
    heard = judge.hear(centred(sound.at(SAMPLE_RATE_HZ)))
    return float(np.mean([float(heard @ judge.read(caption)) for caption in captions]))


def against_pictures(pair: Pair, generated: Sequence[Sound], judges: Judges) -> list[dict[str, float | None]]:
    """ImageBind score and DeSync of each system's sound; None where there is no picture, or too little of it.

    Raises:
        MediaError: the picture cannot be decoded.
    """
    rows: list[dict[str, float | None]] = [{} for _ in generated]
    duration_s = generated[0].duration_s
    names = {"imagebind": judges.pictures, "desync": judges.sync}
    if pair.picture is None:
        return [{name: None for name, judge in names.items() if judge is not None} for _ in generated]
    frames = _decode(pair, duration_s, {name for name, judge in names.items() if judge is not None})
    if judges.pictures is not None:
        look = _look(judges.pictures, frames["imagebind"]) if len(frames["imagebind"]) else None
        for row, sound in zip(rows, generated, strict=True):
            row["imagebind"] = None if look is None else _cosine(look, _hear(judges.pictures, sound))
    if judges.sync is not None:
        for row, offset in zip(rows, offsets_s(judges.sync, frames["desync"], generated), strict=True):
            row["desync"] = offset
    return rows


def offsets_s(judge: Desync, frames: Any, generated: Sequence[Sound]) -> list[float | None]:
    """DeSync: the mean of the absolute offsets told of the first and of the last 4.8 s, in seconds.

    Args:
        judge: the network.
        frames: [T, 224, 224, 3] uint8 at 25 a second; looked at once.
        generated: each system's sound of the clip.

    Returns:
        None for all where there is less than 4.8 s of pictures or sound.

    Source: av-benchmark, evaluate.py (MMAudio, arXiv 2412.15322).
    """
    if len(frames) < round(WINDOW_S * SYNC_FPS) or generated[0].duration_s < WINDOW_S:
        return [None for _ in generated]
    device = next(judge.parameters()).device
    with torch.inference_mode():
        visual = judge.look(torch.from_numpy(frames).permute(0, 3, 1, 2).to(device).float() / 127.5 - 1)
        waves = [torch.from_numpy(np.array(sound.at(SYNC_HZ))).to(device) for sound in generated]
        return [float(judge.compare(visual, judge.hear(wave)).abs().mean()) for wave in waves]


def _decode(pair: Pair, duration_s: float, names: set[str]) -> dict[str, Any]:
    """Frames of the clip, shrunk as they come: all for "desync", for "imagebind" those that it looks at.

    What the file has before and after the clip is neither shrunk nor kept; what comes after it is not decoded.
    """
    from mfv2a.media.video import decode_video

    requests = {name: request for name, request in (("imagebind", _PICTURES), ("desync", _SYNC)) if name in names}
    shrink = {"desync": shrink_sync, "imagebind": shorter_side}
    places = {}
    for name, request in requests.items():
        count = max(1, round(duration_s * request.fps))
        looked_at = picture_places(count) if name == "imagebind" else range(count)
        places[name] = round(pair.picture_start_s * request.fps) + np.asarray(looked_at)
    kept: dict[str, list[Any]] = {name: [] for name in requests}
    passed = dict.fromkeys(requests, 0)

    def take(name: str, frames: Any) -> None:
        here = places[name] - passed[name]
        passed[name] += len(frames)
        if len(wanted := frames[here[(here >= 0) & (here < len(frames))]]):
            kept[name].append(shrink[name](torch.from_numpy(wanted)).numpy())

    assert pair.picture is not None
    sinks = {name: partial(take, name) for name in requests}
    until_s = max((places[name][-1] + 1) / request.fps for name, request in requests.items())
    decode_video(pair.picture, requests, on_frames=sinks, until_s=until_s)
    return {name: np.concatenate(parts) if parts else np.zeros((0, 0, 0, 3), np.uint8) for name, parts in kept.items()}


def _look(judge: ImageBind, frames: Any) -> torch.Tensor:
    device = next(judge.parameters()).device
    with torch.inference_mode():
        return judge.look(torch.from_numpy(frames).to(device))


def _hear(judge: ImageBind, sound: Sound) -> torch.Tensor:
    device = next(judge.parameters()).device
    with torch.inference_mode():
        return judge.hear(torch.from_numpy(np.array(sound.at(PICTURE_HZ))).to(device))


def _cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(first, second, dim=-1))
