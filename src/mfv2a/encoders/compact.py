"""The embedded model's encoders: motion, an image recogniser and a sentence encoder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mfv2a.encoders.protocol import Shrink
from mfv2a.models.compact import SyncEncoder
from mfv2a.models.efficientnet import ImageRecognizer
from mfv2a.models.reading import Reader, parts
from mfv2a.models.reuse import Reuse
from mfv2a.models.text import TextEncoder
from mfv2a.records import FrameRequest
from mfv2a.swell import movement_curve
from mfv2a.timeline import SequenceSpec, find_strikes
from mfv2a.work import Seen, Words

# On 300 held-out scenes 88 % of those with events reach SURE_STRIKE somewhere, 3 % of those without any.
SURE_STRIKE = 0.75
STRIKE_THRESHOLD = 0.4
UNSURE = 0.4
MOST_PARTS = 16  # of a prompt; what names more surely means no single one
IMPACT, DIFFERENCE, BRIGHTENING = -8, -2, -1  # columns of the motion features
COMPACT = SequenceSpec()
"""The embedded model's timeline, and that of models made like it."""


class CompactEncoders:
    """Motion, an image recogniser and a sentence encoder: what the embedded model sees.

    Args:
        sync: motion -> sync features.
        text: prompts -> token vectors.
        reader: prompts -> wordings that the generator knows, None to leave all prompts as they are.
        load_recognizer: makes the image recogniser when the first picture comes (text to audio needs none).
    """

    frame_requests: ClassVar[Mapping[str, FrameRequest]] = MappingProxyType(
        {
            "motion": FrameRequest(fps=COMPACT.sync_rate_hz, size_px=112, gray=True, timed=True),
            "image": FrameRequest(fps=COMPACT.clip_rate_hz, size_px=224, fit="crop", as_shown=True),
        }
    )
    shrinkers: ClassVar[Mapping[str, Shrink]] = MappingProxyType({})
    encode_blank: ClassVar[bool] = False
    ambience: ClassVar[str] = "soft air outside"

    def __init__(
        self,
        *,
        sync: SyncEncoder,
        text: TextEncoder,
        load_recognizer: Callable[[], ImageRecognizer],
        reader: Reader | None = None,
    ) -> None:
        self.sync, self.text, self.reader = sync, text, reader
        self._load_recognizer = load_recognizer
        self._recognizer: ImageRecognizer | None = None
        self._lock = threading.Lock()

    def encode_text(self, prompts: Sequence[str]) -> list[Words]:
        """Token vectors [L, D] of each prompt, or of the wording that it is read as."""
        tokens = self.text.encode(list(prompts))[0]
        read = [self._read(prompt) for prompt in prompts]
        wordings = iter(self.text.encode([wording for wording in read if wording])[0])
        return [
            Words(next(wordings) if wording else own, read_as=wording)
            for own, wording in zip(tokens, read, strict=True)
        ]

    def _read(self, prompt: str) -> str:
        if self.reader is None or not prompt.strip() or prompt == self.ambience:
            return ""
        named = parts(prompt)
        return self.reader.read(self.text.encode([prompt, *named])[1]) if len(named) <= MOST_PARTS else ""

    def look(self, duration_s: float, *, semantics: bool = True, reuse: float | None = None) -> CompactLook:
        """What is recognised, sync features, when something strikes, and how sure all that is; see `Encoders.look`."""
        return CompactLook(self.sync, self.recognizer() if semantics else None, reuse)

    @torch.inference_mode()
    def strike_curve(self, seen: Seen) -> NDArray[np.float32] | None:
        """How likely something strikes in each frame, by the sync encoder's head; see `Encoders.strike_curve`."""
        if seen.sync is None or not seen.strikes_s:
            return None
        curve: NDArray[np.float32] = self.sync.onset(seen.sync)[..., 0].float().sigmoid().cpu().numpy()
        return curve

    def recognizer(self) -> ImageRecognizer:
        """The image recogniser, loaded when it is first asked for."""
        with self._lock:
            if self._recognizer is None:
                self._recognizer = self._load_recognizer().to(self.sync.mean.device)
            return self._recognizer


class CompactLook:
    """Frames and motion as they come -> what the embedded model sees.

    Pictures are classified at once; of the motion, whose scale the encoder takes from the whole clip, the features
    are kept.

    Args:
        sync: motion -> sync features.
        recognizer: of pictures, None to go by motion alone.
        reuse: largest difference between pictures that share what is recognised, None for no sharing.
    """

    def __init__(self, sync: SyncEncoder, recognizer: ImageRecognizer | None, reuse: float | None = None) -> None:
        self._sync, self._recognizer = sync, recognizer
        self._motion: list[NDArray[np.float32]] = []
        self._probs: list[Tensor] = []
        shares = recognizer is not None and reuse is not None
        self._reuse = Reuse("image", reuse, recognizer.classify) if shares else None  # type: ignore[arg-type, union-attr]

    @torch.inference_mode()
    def add(self, name: str, frames: NDArray[Any]) -> None:
        """Takes the next frames, or motion features; see `Look.add`."""
        if name == "motion":
            self._motion.append(frames)
        elif self._recognizer is not None:
            classify = self._recognizer.classify if self._reuse is None else self._reuse.features
            self._probs.append(classify(frames))

    def shorten(self, duration_s: float) -> None:
        """Features reach as far as frames came; see `Look.shorten`."""

    @torch.inference_mode()
    def seen(self) -> Seen:
        """The features; see `Look.seen`."""
        motion = np.concatenate(self._motion or [np.zeros((0, 168), np.float32)])
        self._motion.clear()
        if not len(motion):
            motion = np.zeros((1, 168), np.float32)
        features, logits = self._sync.encode(torch.from_numpy(motion).to(self._sync.mean.device))
        told = logits.float().cpu()
        onset = told.sigmoid().numpy()
        movement = movement_curve(told.numpy(), *(motion[:, k] for k in (IMPACT, DIFFERENCE, BRIGHTENING)))
        top = float(onset.max())
        strikes = find_strikes(onset, STRIKE_THRESHOLD) if top >= SURE_STRIKE else []
        sure = top if strikes else UNSURE * top
        vectors: Tensor | None = None
        names: tuple[str, ...] = ()
        sound = ""
        if self._recognizer is not None:
            seen = self._recognizer.judge(torch.cat(self._probs))
            vectors, recognized = seen.vectors.to(features.device), float(seen.confidence.max())
            names, sound = tuple(seen.names) if recognized > 0 else (), seen.sound
            sure = max(recognized, sure)
        return Seen(
            clip=vectors,
            sync=features,
            movement=torch.from_numpy(movement),
            confidence=sure,
            recognized=names,
            sound=sound,
            strikes_s=tuple(round(float(k) / COMPACT.sync_rate_hz, 3) for k in strikes),
            reused=() if self._reuse is None else (self._reuse.facts(),),
        )
