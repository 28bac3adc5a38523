"""Where videos are decoded: on the processor, or on a GPU with a decoder of its own (NVDEC) by way of PyAV.

Frames that a GPU decoded come to the processor at once: what scales, cuts and measures them is the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import av
from av.codec.hwaccel import HWAccel

from mfv2a.errors import ConfigError

DecodeDevice = Literal["auto", "cpu", "cuda"]
# Before version 19 PyAV refuses such metadata unless told otherwise; since then it bears it and knows no such word.
_LENIENT: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


@cache
def decoder_fault() -> str:
    """Why no GPU decodes here, in a few words; "" if one does."""
    try:
        av.codec.CodecContext.create("h264", "r", hwaccel=_cuda())
    except (av.FFmpegError, OSError, RuntimeError, ValueError, NotImplementedError) as error:
        return f"FFmpeg could not open a CUDA device ({error})"
    return ""


def opening(device: Literal["cpu", "cuda"]) -> dict[str, Any]:
    """How `av.open` is asked to read a file for a device, and to bear metadata that is not UTF-8.

    A codec that the GPU does not know is decoded by the processor.
    """
    return {"hwaccel": _cuda() if device == "cuda" else None, **_LENIENT}


def choose_decoder(device: DecodeDevice) -> Literal["cpu", "cuda"]:
    """Where to decode: "auto" takes a GPU where there is one.

    Raises:
        ConfigError: a GPU was asked for, and none decodes here.
    """
    if device == "cpu":
        return "cpu"
    if not decoder_fault():
        return "cuda"
    if device == "cuda":
        raise ConfigError(f"--decode-device cuda cannot work: {decoder_fault()}", hint="use --decode-device cpu")
    return "cpu"


def _cuda() -> HWAccel:
    return HWAccel("cuda", allow_software_fallback=True)
