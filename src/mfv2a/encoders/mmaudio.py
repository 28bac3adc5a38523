"""The encoders of the public MMAudio models: CLIP and Synchformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.encoders.protocol import Shrink, fit_frames, unit_frames
from mfv2a.models.clip import CLIP
from mfv2a.models.clip_tokenizer import CLIPTokenizer
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
from mfv2a.models.synchformer import Synchformer
from mfv2a.records import Clip, FrameRequest
from mfv2a.timeline import SequenceSpec
from mfv2a.work import Seen, Words

SEGMENTS_AT_ONCE = 8


def mmaudio_spec(sample_rate_hz: int, hop: int) -> SequenceSpec:
    """The timeline of a public MMAudio model.

    Args:
        sample_rate_hz: of its sound.
        hop: samples between mel frames; a latent is two of them.
    """
    return SequenceSpec(
        sample_rate_hz=sample_rate_hz,
        latent_samples=2 * hop,
        clip_rate_hz=CLIP_FPS,
        sync_rate_hz=SYNC_FPS / STRIDE * FEATURES,
        segment=SEGMENT,
        stride=STRIDE,
    )


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

    def __init__(self, *, clip: CLIP, sync: Synchformer, tokenizer: CLIPTokenizer, spec: SequenceSpec) -> None:
        self.clip, self.sync, self.tokenizer, self.spec = clip, sync, tokenizer, spec

    def encode_text(self, prompts: Sequence[str]) -> list[Words]:
        """Unit vectors [77, D] of each prompt, which is a batch of its own, as beside no other."""
        tokens = self.tokenizer.encode(prompts).to(self.clip.positional_embedding.device)
        return [Words(self.clip.encode_text(row[None])[0]) for row in tokens]

    def see(self, clip: Clip, *, duration_s: float, semantics: bool = True) -> Seen:
        """CLIP vectors and sync features; see `Encoders.see`. A clip that is too short goes on with its last frame."""
        lengths = self.spec.extent(duration_s)
        frames = fit_frames(clip.frames["sync"], lengths.sync - STRIDE + SEGMENT)
        at_once = SEGMENTS_AT_ONCE * STRIDE
        parts = [
            self.sync.encode(unit_frames(frames[first : first + at_once - STRIDE + SEGMENT])[None] * 2 - 1)[0]
            for first in range(0, lengths.sync, at_once)
        ]
        return Seen(
            clip=self._look(fit_frames(clip.frames["clip"], lengths.clip)) if semantics else None,
            sync=torch.cat(parts),
            confidence=1.0,
        )

    def _look(self, frames: NDArray[np.uint8]) -> Tensor:
        """CLIP vectors [V, D] of frames [V, S, S, 3], a bounded number at a time."""
        pieces = range(0, len(frames), SEGMENT)
        return torch.cat([self.clip.encode_image(unit_frames(frames[k : k + SEGMENT])[None])[0] for k in pieces])
