"""The beginning of a file's sound, at one rate and in one channel, without holding the rest.

This file does not know who listens.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import MediaError
from mfv2a.media.packets import sounded
from mfv2a.media.patience import check_patience
from mfv2a.media.probe import has_disposition, open_media
from mfv2a.records import Audio


def read_excerpt(path: Path | str, sample_rate_hz: int, longest_s: float) -> Audio:
    """Decode the beginning of a file's sound.

    Args:
        path: a file with sound (its default stream, else its first).
        sample_rate_hz: rate to resample to.
        longest_s: no more than this is decoded.

    Returns:
        Mono samples [S], the channels averaged, S <= sample_rate_hz * longest_s.

    Raises:
        MediaError: no such file, no sound in it, or damaged.
        StoppedError, OverdueError: the work shall end (see `media.patience`).
    """
    path, most = Path(path), round(sample_rate_hz * longest_s)
    blocks: list[NDArray[np.float32]] = []
    held = 0
    with open_media(path) as container:
        tracks = [track for track in container.streams.audio if track.codec_context is not None]
        if not tracks:
            raise MediaError(path, "has no sound")
        track = next((one for one in tracks if has_disposition(one, "default")), tracks[0])
        resampler = av.AudioResampler(format="fltp", layout=track.codec_context.layout, rate=sample_rate_hz)
        try:
            for frame in sounded(container, track):
                check_patience()
                for part in resampler.resample(frame):
                    blocks.append(part.to_ndarray().mean(axis=0, dtype=np.float32))  # FFmpeg's own mix is no mean
                    held += len(blocks[-1])
                if held >= most:
                    break
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(path, "has sound that cannot be decoded", detail=str(error)) from error
    if not blocks:
        raise MediaError(path, "has sound that cannot be decoded")
    samples = np.clip(np.nan_to_num(np.concatenate(blocks)[:most]), -1.0, 1.0)
    return Audio(samples=samples, sample_rate_hz=sample_rate_hz)
