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


_WAYS: tuple[dict[str, object], ...] = ({"primary_ctx": "1"}, {})
"""How FFmpeg is asked for a GPU: for the context that torch has there, else for one of its own a video."""
_GPUS = [0]  # the one that decodes in this process


def use_gpu(number: int) -> None:
    """Decode on this GPU in this process, where a GPU decodes; what is known of it is asked again.

    FFmpeg shares a context only if it was made as FFmpeg would: so this is said before torch makes it, and after.
    """
    _GPUS[:] = [number]
    _find_way.cache_clear()


def decoder_fault() -> str:
    """Why no GPU decodes here, in a few words; "" if one does."""
    return _find_way()[1]


@cache
def _find_way() -> tuple[dict[str, object], str]:
    """The options with which FFmpeg opens the GPU, and why it does not, "" if it does."""
    fault = ""
    for options in _WAYS:
        try:
            av.codec.CodecContext.create("h264", "r", hwaccel=_gpu(options))
        except (av.FFmpegError, OSError, RuntimeError, ValueError, NotImplementedError) as error:
            fault = f"FFmpeg could not open a CUDA device ({error})"
        else:
            return options, ""
    return {}, fault


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
    return _gpu(_find_way()[0])


def _gpu(options: dict[str, object]) -> HWAccel:
    return HWAccel("cuda", device=str(_GPUS[-1]), allow_software_fallback=True, options=dict(options))
