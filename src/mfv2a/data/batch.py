"""A training batch of the generator, and how its conditions are dropped."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TrainingBatch:
    """Stored features of a batch; joint multimodal training is two masks.

    Attributes:
        latent: raw latents [B, N, C].
        clip: semantic vectors [B, V, clip_dim].
        sync: [B, Y, sync_dim].
        text: [B, L, text_dim].
        has_video: [B] bool; without video, clip and sync are ignored.
        has_text: [B] bool; without text, text is ignored.
    """

    latent: Tensor
    clip: Tensor
    sync: Tensor
    text: Tensor
    has_video: Tensor
    has_text: Tensor


def drop_conditions(batch: TrainingBatch, *, both: float, video: float, text: float, draw: Tensor) -> TrainingBatch:
    """Forget modalities at random, one draw a row.

    Args:
        batch: the batch.
        both: share of rows that lose both modalities.
        video: share that lose only video.
        text: share that lose only text.
        draw: a uniform number in [0, 1) a row [B].
    """
    lost_both = draw < both
    lost_video = (draw >= both) & (draw < both + video)
    lost_text = (draw >= both + video) & (draw < both + video + text)
    return replace(
        batch,
        has_video=batch.has_video & ~lost_both & ~lost_video,
        has_text=batch.has_text & ~lost_both & ~lost_text,
    )


def disturb_text(batch: TrainingBatch, noise: Tensor, share: Tensor) -> TrainingBatch:
    """Add noise to the text, so that captions are not learned by heart.

    Args:
        batch: the batch.
        noise: of unit variance [B, L, text_dim].
        share: standard deviation of a row's noise over the root mean square of each of its tokens [B].
    """
    size = batch.text.square().mean(-1, keepdim=True).sqrt()
    return replace(batch, text=batch.text + share[:, None, None] * size * noise)
