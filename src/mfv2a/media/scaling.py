"""Decoded frames to arrays of another size: averaged where they shrink, interpolated where they grow.

A frame is scaled by one thread: several clips are decoded at once, and for one small picture threads cost more
than they save. PyAV takes one for each processor from version 17 on unless it is told
(https://github.com/PyAV-Org/PyAV/issues/2200).
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

ONE_THREAD: dict[str, Any] = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}


class Scaler:
    """Scales frames one after the other, and keeps what it worked out for those of one kind."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def scale(self, frame: Any, size: tuple[int, int], format_name: str, *, by_area: bool) -> NDArray[np.uint8]:
        """A frame at another size.

        Args:
            frame: a decoded frame of PyAV.
            size: width and height in pixels.
            format_name: FFmpeg's name of a pixel format of 8 bits: "gray", "rgb24", "bgr24".
            by_area: each pixel is the mean of what it covers; else bilinear.

        Returns:
            [H, W] or [H, W, 3] uint8.
        """
        scaled = self._reformatter.reformat(
            frame,
            width=size[0],
            height=size[1],
            format=format_name,
            interpolation=Interpolation.AREA if by_area else Interpolation.BILINEAR,
            **ONE_THREAD,
        )
        return np.asarray(scaled.to_ndarray(), dtype=np.uint8)
