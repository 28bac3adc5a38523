"""ImageBind, from a package that has `imagebind.models`: pictures and sounds as vectors of one space.

The package is imported when a network is built, and fetches nothing so. A judge of the field's measures; how frames and
waves are cut is here: waves as the authors' data loader cuts them, frames as av-benchmark does, by which the field's
tables are made. Knows arrays, not files' places.

Sources: Girdhar et al., "ImageBind: One Embedding Space To Bind Them All", arXiv 2305.05665; imagebind/data.py of its
public code: sound in 3 stretches of 2 s; three crops of a picture; av-benchmark (MMAudio, arXiv 2412.15322): a picture
every 2 s, bicubic, each with the next.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.errors import CheckpointError, StartError
from mfv2a.models.upstream import read_public

SAMPLE_RATE_HZ = 16_000
FPS = 25.0
STRETCH_S = 2.0
SOUND_STRETCHES, CROPS = 3, 3
PICTURE_EVERY_S = 2.0
SIDE_PX = 224
HINT = "pip install imagebind-unofficial, or --no-deps with iopath ftfy einops timm (code and weights CC-BY-NC-4.0)"
_MEL_BINS, _MEL_FRAMES = 128, 204
_MEL_MEAN, _MEL_SCALE = -4.268, 9.138
_PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
_PIXEL_SCALE = (0.26862954, 0.26130258, 0.27577711)


def load_imagebind(path: Path, *, device: str = "cpu") -> ImageBind:
    """The network with the published weights (`imagebind_huge.pth`).

    Args:
        path: of the file.
        device: where it goes.

    Raises:
        StartError: no package has the network.
        CheckpointError: the file is damaged or another network's.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole: Any = _networks().imagebind_huge(pretrained=False)
    except ImportError as error:
        raise StartError(f"ImageBind needs its package ({error})", hint=HINT) from error
    try:
        whole.load_state_dict(read_public(path), strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit ImageBind: {str(error).splitlines()[0]}") from error
    return ImageBind(whole.to(device).eval().requires_grad_(False))


def _networks() -> Any:
    """The package's module of networks.

    Its front module would import a data loader and what that needs, which is not needed here: where nobody has imported
    it yet, a bare one that knows its folder takes its place.
    """
    spec = importlib.util.find_spec("imagebind")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("imagebind is not installed")
    if "imagebind" not in sys.modules:
        bare = ModuleType("imagebind")
        bare.__path__ = list(spec.submodule_search_locations)
        sys.modules["imagebind"] = bare
    from imagebind.models import imagebind_model

    return imagebind_model


class ImageBind(nn.Module):
    """Pictures and sounds to vectors of one space.

    Args:
        whole: the package's network, which takes a dict by modality.
    """

    def __init__(self, whole: nn.Module) -> None:
        super().__init__()
        self.whole = whole

    def hear(self, wave: Tensor) -> Tensor:
        """The vector [D] of a wave [S] at 16 kHz in [-1, 1]."""
        out: Tensor = self.whole({"audio": sound_stretches(wave)[None]})["audio"][0]
        return out

    def look(self, frames: Tensor) -> Tensor:
        """The vector [D] of the pictures [K, H, W, 3] uint8 at `picture_places` of a clip."""
        out: Tensor = self.whole({"vision": picture_pairs(frames)[None]})["vision"][0]
        return out


def stretch_starts(duration_s: float, count: int) -> list[float]:
    """When `count` stretches of 2 s begin, spread evenly from the beginning to the end of a clip."""
    last_s = max(duration_s - STRETCH_S, 0.0)
    return [last_s * place / (count - 1) for place in range(count)]


def sound_stretches(wave: Tensor) -> Tensor:
    """Normalised filter banks of three stretches of a wave [S] at 16 kHz: [3, 1, 128, 204]."""
    from torchaudio.compliance.kaldi import fbank

    length, parts = round(STRETCH_S * SAMPLE_RATE_HZ), []
    for start_s in stretch_starts(len(wave) / SAMPLE_RATE_HZ, SOUND_STRETCHES):
        first = int(start_s * SAMPLE_RATE_HZ)
        piece = wave[first : first + length]
        if len(piece) < length // 10:  # the filter bank needs a window
            piece = F.pad(piece, (0, length // 10 - len(piece)))
        banks = fbank(
            (piece - piece.mean())[None], htk_compat=True, sample_frequency=SAMPLE_RATE_HZ, use_energy=False,
            window_type="hanning", num_mel_bins=_MEL_BINS, dither=0.0, frame_length=25, frame_shift=10,
        ).T  # fmt: skip
        banks = F.pad(banks, (0, max(0, _MEL_FRAMES - banks.shape[1])))[:, :_MEL_FRAMES]
        parts.append((banks - _MEL_MEAN) / _MEL_SCALE)
    return torch.stack(parts)[:, None]


def picture_places(count: int) -> list[int]:
    """Which of a clip's frames are looked at.

    FFmpeg's filter of frame rates, by which av-benchmark takes one every 2 s, gives the last frame of which the time is
    nearer to this moment than to the next: those just before 1 s, 3 s and so on.

    Args:
        count: frames of the clip, at 25 a second.

    Returns:
        Ascending places below `count`; one for each whole 2 s, at least one.
    """
    step = round(PICTURE_EVERY_S * FPS)
    return [min(step * k + step // 2 - 1, count - 1) for k in range(max(1, count // step))]


def shorter_side(frames: Tensor) -> Tensor:
    """[K, H, W, 3] uint8 with the shorter side at 224 px, bicubic with a filter against aliasing."""
    pixels = frames.permute(0, 3, 1, 2)
    short = min(pixels.shape[2:])
    if short == SIDE_PX:  # a GPU cannot scale bytes: they come to it as they are to be
        return frames
    size = [SIDE_PX if side == short else int(SIDE_PX * side / short) for side in pixels.shape[2:]]
    return F.interpolate(pixels, size=size, mode="bicubic", antialias=True).permute(0, 2, 3, 1)


def picture_pairs(pictures: Tensor) -> Tensor:
    """Normalised crops of each picture and the next.

    Args:
        pictures: [K, H, W, 3] uint8; one alone is its own next.

    Returns:
        [3 max(K - 1, 1), 3, 2, 224, 224]: left, middle and right (or top to bottom) of each pair.
    """
    parts, pixels = [], shorter_side(pictures).permute(0, 3, 1, 2).float() / 255
    mean, scale = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (_PIXEL_MEAN, _PIXEL_SCALE))
    pixels = (pixels - mean) / scale
    spare = [side - SIDE_PX for side in pixels.shape[2:]]
    for first in range(max(1, len(pixels) - 1)):
        pair = pixels[[first, min(first + 1, len(pixels) - 1)]]
        for crop in range(CROPS):
            top, left = (_crop_start(each, crop, longest=each == max(spare)) for each in spare)
            parts.append(pair[:, :, top : top + SIDE_PX, left : left + SIDE_PX].transpose(0, 1))
    return torch.stack(parts)


def _crop_start(spare: int, crop: int, *, longest: bool) -> int:
    """Where a crop begins on an axis with `spare` pixels too many; the shorter axis is cut in its middle."""
    middle = -(-spare // 2)
    return (0, middle, spare)[crop] if longest else middle
