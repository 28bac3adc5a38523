"""Clip -> features -> latent -> sound: a pure pipeline of tensors. No files, no terminal, no globals.

`mfv2a dub` is prepare, sample, decode; `mfv2a tta` is the same with no clip. One path: what is absent becomes
the generator's learned empty features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfv2a.flow.guidance import Velocity, guide
from mfv2a.flow.sampler import ignore_interval, sample
from mfv2a.models.compact import SyncEncoder
from mfv2a.models.griffinlim import GriffinLim
from mfv2a.models.istft import ISTFTVocoder
from mfv2a.models.mmaudio import MMAudio
from mfv2a.models.text import TextEncoder
from mfv2a.models.vae import VAE
from mfv2a.records import Audio, Clip, FrameRequest, ModelInfo
from mfv2a.timeline import (
    LATENT_RATE_HZ,
    SYNC_RATE_HZ,
    Window,
    blend,
    crossfade,
    find_strikes,
    noise_field,
    plan_windows,
)
from mfv2a.work import SampleOptions, Seen, Work

__all__ = ["Pipeline", "SampleOptions", "Work"]

# On 192 held-out scenes 88 % of those with events reach SURE_STRIKE somewhere, 15 % of those without any.
SURE_STRIKE = 0.75
STRIKE_THRESHOLD = 0.5
UNSURE = 0.4
DEFAULT_S = 8.0
QUIET_PEAK = 0.02
LOUD_PEAK = 0.9
DECODE_CHUNK_S = 60.0
FRAME_REQUESTS: Mapping[str, FrameRequest] = MappingProxyType(
    {
        "motion": FrameRequest(fps=SYNC_RATE_HZ, size_px=112, gray=True),
        "image": FrameRequest(fps=1.0, size_px=224, fit="crop"),
    }
)


class Pipeline:
    """A model with its encoders and decoders, ready to make sound.

    Args:
        info: what the register says of it.
        generator: velocity network.
        vae: latent <-> mel, its weights folded.
        vocoder: mel -> wave.
        sync: motion -> sync features.
        text: prompts -> token vectors.
        load_recognizer: makes the image recogniser when the first picture comes (text to audio needs none).
    """

    def __init__(
        self,
        *,
        info: ModelInfo,
        generator: MMAudio,
        vae: VAE,
        vocoder: GriffinLim | ISTFTVocoder,
        sync: SyncEncoder,
        text: TextEncoder,
        load_recognizer: Callable[[], Any],
    ) -> None:
        self.info = info
        self.generator, self.vae, self.vocoder, self.sync_encoder, self.text = generator, vae, vocoder, sync, text
        self._load_recognizer = load_recognizer
        self._recognizer: Any = None
        self.device = generator.latent_mean.device
        self.dtype = generator.empty_clip_feat.dtype
        self.frame_requests = FRAME_REQUESTS

    @torch.inference_mode()
    def prepare(
        self,
        clip: Clip | None,
        *,
        prompt: str = "",
        negative_prompt: str = "",
        duration_s: float | None = None,
        seed: int = 0,
    ) -> Work:
        """Encode a clip and a prompt.

        Args:
            clip: frames "image" (RGB, 224 px, 1 per second) and motion features, or None for text to audio.
            prompt: what should be heard, "" for what is seen.
            negative_prompt: what guidance steers away from.
            duration_s: length of the sound; the clip's by default, 8 s without a clip.
            seed: of the noise.

        Returns:
            the work; its windows cover the whole length.
        """
        length = duration_s if duration_s is not None else clip.duration_s if clip is not None else DEFAULT_S
        tokens, _ = self.text.encode([prompt, negative_prompt])
        seen = Seen() if clip is None else self._see(clip)
        asked = bool(prompt.strip())
        return Work(
            duration_s=length,
            seed=seed,
            windows=plan_windows(max(1, math.ceil(length * LATENT_RATE_HZ))),
            confidence=1.0 if asked else seen.confidence,
            recognized=seen.recognized,
            strikes_s=seen.strikes_s,
            text=tokens[0] if asked else None,
            negative=tokens[1] if negative_prompt.strip() else None,
            quiet=not asked and clip is not None and not seen.recognized and not seen.strikes_s,
            clip=seen.clip,
            sync=seen.sync,
        )

    def _see(self, clip: Clip) -> Seen:
        """Semantic vectors, sync features, and how sure they are."""
        self._recognizer = self._recognizer or self._load_recognizer().to(self.device)
        seen = self._recognizer.recognize(clip.frames["image"])
        motion = clip.motion if clip.motion is not None and len(clip.motion) else np.zeros((1, 168), np.float32)
        out = self.sync_encoder(torch.from_numpy(motion).to(self.device)[None])
        onset = out.onset[0].float().sigmoid().cpu().numpy()
        top = float(onset.max())
        strikes = find_strikes(onset, STRIKE_THRESHOLD) if top >= SURE_STRIKE else []
        sure = top if strikes else UNSURE * top
        return Seen(
            clip=seen.vectors.to(self.device),
            sync=out.features[0],
            confidence=max(float(seen.confidence.max()), sure),
            recognized=tuple(seen.names) if float(seen.confidence.max()) > 0 else (),
            strikes_s=tuple(round(float(k) / SYNC_RATE_HZ, 3) for k in strikes),
        )

    @torch.inference_mode()
    def sample(self, works: Sequence[Work], options: SampleOptions) -> list[Tensor]:
        """Latents of each work, windows of all works batched together.

        Args:
            works: prepared clips and texts.
            options: sampler settings.

        Returns:
            one normalised latent [N, C] a work, N covering its length.
        """
        jobs = [(i, window) for i, work in enumerate(works) for window in work.windows]
        done: list[list[Tensor]] = [[] for _ in works]
        # Only windows of one length share a batch: the network takes no padding, so one item alone equals itself.
        lengths = sorted({window.length for _, window in jobs})
        for length in lengths:
            same = [job for job in jobs if job[1].length == length]
            for start in range(0, len(same), options.batch_size):
                part = same[start : start + options.batch_size]
                latents = self._sample_batch([(works[i], window) for i, window in part], options)
                for (i, _), latent in zip(part, latents, strict=True):
                    done[i].append(latent.float())
        return [blend(parts, work.windows) for parts, work in zip(done, works, strict=True)]

    def _sample_batch(self, jobs: Sequence[tuple[Work, Window]], options: SampleOptions) -> Tensor:
        """One batch of windows of one length: [B, N, C]."""
        strength = self.info.default_cfg if options.cfg_strength is None else options.cfg_strength
        guided = strength != 1.0
        net, length = self.generator, jobs[0][1].length
        rows = [self._features(work, window) for work, window in jobs]
        if guided:
            rows += [self._empty_features(work, window) for work, window in jobs]
        clip, sync, text = (torch.stack([row[k] for row in rows]).to(self.dtype) for k in range(3))
        velocity: Velocity = partial(net, conditions=net.encode_conditions(clip, sync, text, length))
        if not net.config.average:
            velocity = ignore_interval(velocity)
        if guided:
            velocity = guide(velocity, strength, rescale=options.rescale)
        noise = torch.stack(
            [noise_field(work.seed, window.start, length, net.config.latent_dim) for work, window in jobs]
        )
        steps = self.info.default_steps if options.steps is None else options.steps
        return sample(velocity, noise.to(self.device, self.dtype), steps=steps)

    def _features(self, work: Work, window: Window) -> tuple[Tensor, Tensor, Tensor]:
        """Conditions of a window: clip [V, D], sync [Y, D], text [L, D]."""
        clip, sync, text = self._empty_features(work, window, negative=False)
        if work.clip is not None and work.sync is not None:
            times = torch.arange(len(clip)) + int(window.start / LATENT_RATE_HZ)
            clip = work.clip[times.clamp(max=len(work.clip) - 1)]
            index = torch.arange(len(sync)) + round(window.start * SYNC_RATE_HZ / LATENT_RATE_HZ)
            sync = work.sync[index.clamp(max=len(work.sync) - 1)]
        return clip, sync, text if work.text is None else work.text

    def _empty_features(self, work: Work, window: Window, *, negative: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """The learned empty features at a window's lengths, with the negative prompt's text if there is one."""
        net = self.generator
        seconds = max(1, int(window.length / LATENT_RATE_HZ))
        frames = max(1, round(window.length * SYNC_RATE_HZ / LATENT_RATE_HZ))
        text = work.negative if negative and work.negative is not None else net.empty_string_feat
        return net.empty_clip_feat.expand(seconds, -1), net.empty_sync_feat.expand(frames, -1), text

    @torch.inference_mode()
    def decode_mel(self, latent: Tensor) -> Tensor:
        """Log-mel [M, F] of a normalised latent [N, C]; long ones in windows, cross-faded."""
        raw = latent * self.generator.latent_std[0].float() + self.generator.latent_mean[0].float()
        windows = plan_windows(len(raw))
        padded = torch.nn.functional.pad(raw, (0, 0, 0, windows[-1].stop - len(raw)))
        parts = [self.vae.decode(padded[None, w.start : w.stop])[0].T for w in windows]
        doubled = tuple(Window(2 * w.start, 2 * w.length) for w in windows)
        return blend(parts, doubled)[: 2 * len(raw)].T

    @torch.inference_mode()
    def vocode(self, mel: Tensor) -> Tensor:
        """Waveform [S] of a log-mel [M, F]; more than a minute in pieces, cross-faded."""
        hop = self.vocoder.hop
        chunk = round(DECODE_CHUNK_S * self.info.sample_rate_hz / hop)
        return crossfade(lambda part: self.vocoder(part[None])[0], mel, chunk=chunk, overlap=8, hop=hop)

    @torch.inference_mode()
    def decode(self, work: Work, latent: Tensor, *, sample_rate_hz: int | None = None) -> Audio:
        """Sound of a latent, exactly round(duration x rate) samples.

        Args:
            work: what the latent was sampled for.
            latent: [N, C] of `sample`.
            sample_rate_hz: of the result; the model's by default.
        """
        return self.finish(work, self.vocode(self.decode_mel(latent)), sample_rate_hz=sample_rate_hz)

    @torch.inference_mode()
    def finish(self, work: Work, wave: Tensor, *, sample_rate_hz: int | None = None) -> Audio:
        """Bring a wave [S] to its level, hold quiet works down, resample, and cut to the work's length."""
        from torchaudio.functional import resample

        rate = sample_rate_hz or self.info.sample_rate_hz
        peak = float(wave.abs().max()) + 1e-9
        gain: float = 10 ** (self.info.gain_db / 20)
        wave = wave * min(gain, QUIET_PEAK / peak if work.quiet else max(1.0, LOUD_PEAK / peak))
        if rate != self.info.sample_rate_hz:
            wave = resample(wave, self.info.sample_rate_hz, rate)
        samples = round(work.duration_s * rate)
        wave = torch.nn.functional.pad(wave, (0, max(0, samples - len(wave))))[:samples]
        return Audio(samples=wave.clamp(-1, 1).cpu().numpy().astype(np.float32), sample_rate_hz=rate)
