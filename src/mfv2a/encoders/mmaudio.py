"""The encoders of the public MMAudio models: CLIP and Synchformer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.encoders.protocol import Shrink, unit_frames
from mfv2a.models.clip import CLIP
from mfv2a.models.clip_tokenizer import CLIPTokenizer
from mfv2a.models.pieces import Pieces
from mfv2a.models.preprocess import (
    CLIP_FPS,
    CLIP_PX,
    FEATURES,
    SEGMENT,
    STRIDE,
    SYNC_FPS,
    SYNC_PX,
    shrink_clip,
    shrink_sync,
)
from mfv2a.models.reuse import Reuse, cut_segments
from mfv2a.models.synchformer import Synchformer
from mfv2a.records import FrameRequest
from mfv2a.timeline import SequenceSpec
from mfv2a.work import Seen, Words

AT_ONCE = {"cpu": (16, 8), "cuda": (64, 24)}
"""Pictures and segments that are encoded together: a GPU wants more of them."""


def mmaudio_spec(sample_rate_hz: int, hop: int, window_s: float = 8.0) -> SequenceSpec:
    """The timeline of a public MMAudio model.

    Args:
        sample_rate_hz: of its sound.
        hop: samples between mel frames; a latent is two of them.
        window_s: longest stretch it makes in one go.
    """
    spec = SequenceSpec(
        sample_rate_hz=sample_rate_hz,
        latent_samples=2 * hop,
        clip_rate_hz=CLIP_FPS,
        sync_rate_hz=SYNC_FPS / STRIDE * FEATURES,
        segment=SEGMENT,
        stride=STRIDE,
    )
    return spec.windowed(window_s)


class MMAudioEncoders:
    """CLIP for pictures and words, Synchformer for when: what the public MMAudio models see.

    It recognises nothing by name, so it is always sure.

    Args:
        clip: both towers.
        sync: frames -> sync features.
        tokenizer: prompts -> CLIP's tokens.
        spec: the model's timeline.
    """

    frame_requests: ClassVar[Mapping[str, FrameRequest]] = MappingProxyType(
        {
            "clip": FrameRequest(fps=CLIP_FPS, size_px=CLIP_PX, whole=True, summed=True),
            "sync": FrameRequest(fps=SYNC_FPS, size_px=SYNC_PX, fit="crop", whole=True, summed=True),
        }
    )
    shrinkers: ClassVar[Mapping[str, Shrink]] = MappingProxyType(
        {
            "clip": lambda frames: shrink_clip(torch.from_numpy(frames)).numpy(),
            "sync": lambda frames: shrink_sync(torch.from_numpy(frames)).numpy(),
        }
    )
    encode_blank: ClassVar[bool] = True
    ambience: ClassVar[str] = ""

    def __init__(self, *, clip: CLIP, sync: Synchformer, tokenizer: CLIPTokenizer, spec: SequenceSpec) -> None:
        self.clip, self.sync, self.tokenizer, self.spec = clip, sync, tokenizer, spec

    def encode_text(self, prompts: Sequence[str]) -> list[Words]:
        """Unit vectors [77, D] of each prompt, which is a batch of its own, as beside no other."""
        tokens = self.tokenizer.encode(prompts).to(self.clip.positional_embedding.device)
        return [Words(self.clip.encode_text(row[None])[0]) for row in tokens]

    def look(self, duration_s: float, *, semantics: bool = True, reuse: float | None = None) -> MMAudioLook:
        """CLIP vectors and sync features; see `Encoders.look`. A clip that is too short goes on with its last frame."""
        return MMAudioLook(self, duration_s, semantics, reuse)

    def strike_curve(self, seen: Seen) -> None:
        """It has features of when, and does not tell what strikes; see `Encoders.strike_curve`."""


class MMAudioLook:
    """Frames as they come -> CLIP vectors and sync features, a bounded number at a time.

    Args:
        encoders: the networks.
        duration_s: how far the features shall reach.
        semantics: look for what is seen, too.
        reuse: largest difference between pictures, or segments of them, that share their features, None for no sharing.
    """

    def __init__(
        self, encoders: MMAudioEncoders, duration_s: float, semantics: bool, reuse: float | None = None
    ) -> None:
        self._encoders, self._semantics = encoders, semantics
        self._device = encoders.sync.cls_token.device
        pictures, segments = AT_ONCE["cpu" if self._device.type == "cpu" else "cuda"]
        overlap, at_once = SEGMENT - STRIDE, segments * STRIDE
        counts = self._counts(duration_s)
        self._pieces = {
            "clip": Pieces(pictures, pictures, counts["clip"]),
            "sync": Pieces(at_once + overlap, at_once, counts["sync"]),
        }
        self._parts: dict[str, list[Tensor]] = {name: [] for name in self._pieces}
        self._reuses: dict[str, Reuse] = {}
        if reuse is not None:
            looks: dict[str, Callable[[NDArray[np.uint8]], Tensor]] = {"clip": self._vectors, "sync": self._segments}
            self._reuses = {name: Reuse(name, reuse, look) for name, look in looks.items()}

    @torch.inference_mode()
    def add(self, name: str, frames: NDArray[Any]) -> None:
        """Takes the next frames; see `Look.add`."""
        if self._semantics or name != "clip":
            self._parts[name] += [self._encode(name, piece) for piece in self._pieces[name].add(frames)]

    def shorten(self, duration_s: float) -> None:
        """The clip ends earlier; see `Look.shorten`."""
        for name, count in self._counts(duration_s).items():
            self._pieces[name].shorten(count)

    def _counts(self, duration_s: float) -> dict[str, int]:
        """Frames of each request that a clip has."""
        lengths = self._encoders.spec.extent(duration_s)
        return {"clip": lengths.clip, "sync": lengths.sync + SEGMENT - STRIDE}

    @torch.inference_mode()
    def seen(self) -> Seen:
        """The features; see `Look.seen`."""
        names = ("clip", "sync") if self._semantics else ("sync",)
        for name in names:
            self._parts[name] += [self._encode(name, piece) for piece in self._pieces[name].rest()]
        found = {name: torch.cat(self._parts[name]) for name in names}
        facts = tuple(self._reuses[name].facts() for name in names if self._reuses)
        return Seen(clip=found.get("clip"), sync=found["sync"], confidence=1.0, reused=facts)

    def _encode(self, name: str, piece: NDArray[Any]) -> Tensor:
        """Features of a piece [t, S, S, 3]: vectors [t, D], or those [y, D] of the segments in it."""
        if name in self._reuses:
            pictures = piece if name == "clip" else cut_segments(piece, SEGMENT, STRIDE)
            found = self._reuses[name].features(pictures)
            return found if name == "clip" else found.flatten(0, 1)
        if name == "clip":
            return self._vectors(piece)
        return self._encoders.sync.encode(unit_frames(piece, self._device)[None] * 2 - 1)[0]

    def _vectors(self, pictures: NDArray[np.uint8]) -> Tensor:
        """Vectors [t, D] of pictures [t, S, S, 3]."""
        return self._encoders.clip.encode_image(unit_frames(pictures, self._device)[None])[0]

    def _segments(self, segments: NDArray[np.uint8]) -> Tensor:
        """Features [n, 8, D] of segments [n, 16, S, S, 3]."""
        return self._encoders.sync.encode_segments(unit_frames(segments, self._device) * 2 - 1)
