"""What a model makes of pictures and words: one object a family, which the pipeline is given.

Knows the networks and how their features lie on a clip's timeline; not files, windows or how sound is sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.models.clip import CLIP
from mfv2a.models.clip_tokenizer import CLIPTokenizer
from mfv2a.models.compact import SyncEncoder
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
from mfv2a.models.text import TextEncoder
from mfv2a.records import Clip, FrameRequest
from mfv2a.timeline import SequenceSpec, find_strikes
from mfv2a.work import Seen, Words

# On 192 held-out scenes 90 % of those with events reach SURE_STRIKE somewhere, 17 % of those without any.
SURE_STRIKE = 0.7
STRIKE_THRESHOLD = 0.4
UNSURE = 0.4
SEGMENTS_AT_ONCE = 8
COMPACT = SequenceSpec()
"""The embedded model's timeline, and that of models made like it."""

Shrink = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


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


class Encoders(Protocol):
    """What `Pipeline` needs of a family's encoders.

    Attributes:
        frame_requests: frames they want of a video, by name; "motion" frames become motion features.
        shrinkers: what scales the frames that were asked for whole, by name: [T, H, W, 3] to [T, S, S, 3].
        encode_blank: a prompt of no words has features of its own; else it counts as absent.
    """

    frame_requests: ClassVar[Mapping[str, FrameRequest]]
    shrinkers: ClassVar[Mapping[str, Shrink]]
    encode_blank: ClassVar[bool]

    def encode_text(self, prompts: Sequence[str]) -> list[Words]:
        """What the prompts say, one after the other."""

    def see(self, clip: Clip, *, duration_s: float, semantics: bool = True) -> Seen:
        """Features of a clip over its whole timeline.

        Args:
            clip: with the frames of `frame_requests`.
            duration_s: how far they shall reach.
            semantics: look for what is seen, too, and not only for when it moves.
        """


class CompactEncoders:
    """Motion, an image recogniser and a sentence encoder: what the embedded model sees.

    Args:
        sync: motion -> sync features.
        text: prompts -> token vectors.
        load_recognizer: makes the image recogniser when the first picture comes (text to audio needs none).
    """

    frame_requests: ClassVar[Mapping[str, FrameRequest]] = MappingProxyType(
        {
            "motion": FrameRequest(fps=COMPACT.sync_rate_hz, size_px=112, gray=True),
            "image": FrameRequest(fps=COMPACT.clip_rate_hz, size_px=224, fit="crop"),
        }
    )
    shrinkers: ClassVar[Mapping[str, Shrink]] = MappingProxyType({})
    encode_blank: ClassVar[bool] = False

    def __init__(self, *, sync: SyncEncoder, text: TextEncoder, load_recognizer: Callable[[], Any]) -> None:
        self.sync, self.text = sync, text
        self._load_recognizer = load_recognizer
        self._recognizer: Any = None

    def encode_text(self, prompts: Sequence[str]) -> list[Words]:
        """Token vectors [L, D] of each prompt."""
        return [Words(tokens) for tokens in self.text.encode(list(prompts))[0]]

    def see(self, clip: Clip, *, duration_s: float, semantics: bool = True) -> Seen:
        """What is recognised, sync features, when something strikes, and how sure all that is; see `Encoders.see`."""
        device = self.sync.mean.device
        motion = clip.motion if clip.motion is not None and len(clip.motion) else np.zeros((1, 168), np.float32)
        out = self.sync(torch.from_numpy(motion).to(device)[None])
        onset = out.onset[0].float().sigmoid().cpu().numpy()
        top = float(onset.max())
        strikes = find_strikes(onset, STRIKE_THRESHOLD) if top >= SURE_STRIKE else []
        sure = top if strikes else UNSURE * top
        vectors, names = None, ()
        if semantics:
            self._recognizer = self._recognizer or self._load_recognizer().to(device)
            seen = self._recognizer.recognize(clip.frames["image"])
            vectors, recognized = seen.vectors.to(device), float(seen.confidence.max())
            names = tuple(seen.names) if recognized > 0 else ()
            sure = max(recognized, sure)
        return Seen(
            clip=vectors,
            sync=out.features[0],
            confidence=sure,
            recognized=names,
            strikes_s=tuple(round(float(k) / COMPACT.sync_rate_hz, 3) for k in strikes),
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
        frames = _fit(clip.frames["sync"], lengths.sync - STRIDE + SEGMENT)
        at_once = SEGMENTS_AT_ONCE * STRIDE
        parts = [
            self.sync.encode(_unit(frames[first : first + at_once - STRIDE + SEGMENT])[None] * 2 - 1)[0]
            for first in range(0, lengths.sync, at_once)
        ]
        return Seen(
            clip=self._look(_fit(clip.frames["clip"], lengths.clip)) if semantics else None,
            sync=torch.cat(parts),
            confidence=1.0,
        )

    def _look(self, frames: NDArray[np.uint8]) -> Tensor:
        """CLIP vectors [V, D] of frames [V, S, S, 3], a bounded number at a time."""
        pieces = range(0, len(frames), SEGMENT)
        return torch.cat([self.clip.encode_image(_unit(frames[k : k + SEGMENT])[None])[0] for k in pieces])


def _fit(frames: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """The first `count` frames; the last one repeated where there are fewer."""
    return frames[np.minimum(np.arange(count), len(frames) - 1)]


def _unit(frames: NDArray[np.uint8]) -> Tensor:
    """Frames [T, S, S, 3] uint8 as [T, 3, S, S] float32 in [0, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
