"""Sound at another sample rate, by libswresample; in blocks where it is long.

Sound is float32, [S] or [S, channels]. This file does not know where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BLOCK_SAMPLES = 1 << 16
FILTER_SAMPLES = 4096


def resample(samples: NDArray[np.float32], rate_hz: int, new_rate_hz: int) -> NDArray[np.float32]:
    """Resample [S] or [S, channels] with libswresample to exactly round(S * new_rate_hz / rate_hz) samples."""
    return np.concatenate(list(resampled([samples], rate_hz, new_rate_hz)))


def resampled(blocks: Iterable[NDArray[np.float32]], rate_hz: int, new_rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """Resample blocks, [s] or [s, channels] that follow each other, as if they were one; see `resample`."""
    if rate_hz == new_rate_hz:
        yield from blocks
        return
    resamplers: list[_Resampler] = []
    shape: tuple[int, ...] = ()
    taken = given = 0
    for block in blocks:
        shape, channels = block.shape[1:], (block if block.ndim == 2 else block[:, None]).T
        resamplers = resamplers or [_Resampler(rate_hz, new_rate_hz) for _ in channels]
        for start in range(0, len(block), BLOCK_SAMPLES):
            pairs = zip(resamplers, channels[:, start : start + BLOCK_SAMPLES], strict=True)
            out = np.stack([one.take(channel) for one, channel in pairs], axis=1)
            given += len(out)
            yield out.reshape(len(out), *shape)
        taken += len(block)
    rest = round(taken * new_rate_hz / rate_hz) - given
    if resamplers:
        out = np.stack([one.end(max(0, FILTER_SAMPLES - taken)) for one in resamplers], axis=1)
        yield _fit(out.reshape(len(out), *shape), rest)


class _Resampler:
    """libswresample on one channel."""

    def __init__(self, rate_hz: int, new_rate_hz: int) -> None:
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=new_rate_hz)
        self._rate_hz, self._taken = rate_hz, 0

    def take(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes samples [s], gives what comes out for them."""
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="flt", layout="mono")
        frame.sample_rate = self._rate_hz
        frame.pts = self._taken
        self._taken += len(samples)
        return self._joined(self._resampler.resample(frame))

    def end(self, missing: int) -> NDArray[np.float32]:
        """Gives the rest; of less than its filter nothing comes out, so what is missing is taken as silence."""
        silence = self.take(np.zeros(missing, dtype=np.float32)) if missing else self._joined(())
        return np.concatenate([silence, self._joined(self._resampler.resample(None))])

    def _joined(self, frames: Iterable[Any]) -> NDArray[np.float32]:
        return np.concatenate([np.zeros(0, dtype=np.float32), *(frame.to_ndarray()[0] for frame in frames)])


def _fit(samples: NDArray[np.float32], num_samples: int) -> NDArray[np.float32]:
    missing = num_samples - len(samples)
    if missing <= 0:
        return samples[:num_samples]
    return np.pad(samples, [(0, missing)] + [(0, 0)] * (samples.ndim - 1))
