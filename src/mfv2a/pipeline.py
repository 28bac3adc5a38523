"""Clip -> features -> latent -> sound: a pure pipeline of tensors. No files, no terminal, no globals.

`mfv2a dub` is prepare, sample, decode; `mfv2a tta` is the same with no clip. One path: what is absent becomes
the generator's learned empty features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mfv2a.encoders import COMPACT, Encoders
from mfv2a.flow.guidance import Velocity, guide
from mfv2a.flow.sampler import ignore_interval, sample
from mfv2a.models.bigvgan import BigVGAN
from mfv2a.models.griffinlim import GriffinLim
from mfv2a.models.istft import ISTFTVocoder
from mfv2a.models.mmaudio import MMAudio
from mfv2a.models.vae import VAE
from mfv2a.records import Audio, Clip, FrameRequest, ModelInfo
from mfv2a.timeline import Lengths, SequenceSpec, Window, blend, crossfade, noise_field
from mfv2a.work import SampleOptions, Seen, Work

__all__ = ["Pipeline", "SampleOptions", "Work"]

DEFAULT_S = 8.0
QUIET_PEAK = 0.02
DECODE_CHUNK_S = 60.0
VOCODE_CHUNK_S = 20.0  # of a network, which needs far more memory than iterations over spectra


class Pipeline:
    """A model with its encoders and decoders, ready to make sound.

    Args:
        info: what the register says of it.
        generator: velocity network.
        vae: latent <-> mel, its weights folded.
        vocoder: mel -> wave.
        encoders: pictures and words -> features.
        spec: how its sequences lie on a timeline.
    """

    def __init__(
        self,
        *,
        info: ModelInfo,
        generator: MMAudio,
        vae: VAE,
        vocoder: GriffinLim | ISTFTVocoder | BigVGAN,
        encoders: Encoders,
        spec: SequenceSpec = COMPACT,
    ) -> None:
        self.info, self.encoders, self.spec = info, encoders, spec
        self.generator, self.vae, self.vocoder = generator, vae, vocoder
        self.device = generator.latent_mean.device
        self.dtype = generator.empty_clip_feat.dtype

    @property
    def frame_requests(self) -> Mapping[str, FrameRequest]:
        """Frames that it wants of a video, by name."""
        return self.encoders.frame_requests

    @torch.inference_mode()
    def prepare(
        self,
        clip: Clip | None,
        *,
        prompt: str = "",
        negative_prompt: str = "",
        duration_s: float | None = None,
        seed: int = 0,
        semantics: bool = True,
    ) -> Work:
        """Encode a clip and a prompt.

        Args:
            clip: the frames of `frame_requests`, "motion" as features, or None for text to audio.
            prompt: what should be heard, "" for what is seen.
            negative_prompt: what guidance steers away from.
            duration_s: length of the sound; the clip's by default, 8 s without a clip.
            seed: of the noise.
            semantics: go by what is seen, too, and not only by when it moves.

        Returns:
            the work; its windows cover the whole length.
        """
        length = duration_s if duration_s is not None else clip.duration_s if clip is not None else DEFAULT_S
        tokens = self.encoders.encode_text([prompt, negative_prompt])
        seen = Seen() if clip is None else self.encoders.see(clip, duration_s=length, semantics=semantics)
        asked, blank = bool(prompt.strip()), self.encoders.encode_blank
        return Work(
            duration_s=length,
            seed=seed,
            windows=self.spec.plan(self.spec.latents(length)),
            confidence=1.0 if asked else seen.confidence,
            recognized=seen.recognized,
            strikes_s=seen.strikes_s,
            text=tokens[0] if asked or blank else None,
            negative=tokens[1] if negative_prompt.strip() or blank else None,
            quiet=not asked and clip is not None and seen.confidence < 1 and not seen.recognized and not seen.strikes_s,
            clip=seen.clip,
            sync=seen.sync,
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
        shapes = [self.spec.lengths(window, works[i].duration_s) for i, window in jobs]
        for lengths in sorted(set(shapes)):
            same = [job for job, shape in zip(jobs, shapes, strict=True) if shape == lengths]
            for start in range(0, len(same), options.batch_size):
                part = same[start : start + options.batch_size]
                latents = self._sample_batch([(works[i], window) for i, window in part], lengths, options)
                for (i, _), latent in zip(part, latents, strict=True):
                    done[i].append(latent.float())
        return [blend(parts, work.windows) for parts, work in zip(done, works, strict=True)]

    def _sample_batch(self, jobs: Sequence[tuple[Work, Window]], lengths: Lengths, options: SampleOptions) -> Tensor:
        """One batch of windows of the same lengths: [B, N, C]."""
        strength = self.info.default_cfg if options.cfg_strength is None else options.cfg_strength
        guided, net, length = self.info.guides(strength), self.generator, lengths.latents
        rows = [self._features(work, window, lengths) for work, window in jobs]
        if guided:
            rows += [self._empty_features(work.negative, lengths) for work, _ in jobs]
        clip, sync, text = (torch.stack([row[k].to(self.dtype) for row in rows]) for k in range(3))
        velocity: Velocity = partial(net, conditions=net.encode_conditions(clip, sync, text, length))
        if not net.config.average:
            velocity = ignore_interval(velocity)
        if guided:
            rescale = self.info.default_rescale if options.rescale is None else options.rescale
            velocity = guide(velocity, strength, rescale=rescale)
        noise = torch.stack(
            [noise_field(work.seed, window.start, length, net.config.latent_dim) for work, window in jobs]
        )
        steps = self.info.default_steps if options.steps is None else options.steps
        exact = net.config.noise_at_zero and self.device.type != "mps"  # which knows no float64
        clock = torch.float64 if exact else torch.float32
        return sample(velocity, noise.to(self.device, self.dtype), steps=steps, time_dtype=clock)

    def _features(self, work: Work, window: Window, lengths: Lengths) -> tuple[Tensor, Tensor, Tensor]:
        """Conditions of a window: clip [V, D], sync [Y, D], text [L, D]."""
        clip, sync, text = self._empty_features(work.text, lengths)
        if work.clip is not None:
            clip = _stretch(work.clip, self.spec.clip_at(window), lengths.clip)
        if work.sync is not None:
            sync = _stretch(work.sync, self.spec.sync_at(window), lengths.sync)
        return clip, sync, text

    def _empty_features(self, text: Tensor | None, lengths: Lengths) -> tuple[Tensor, Tensor, Tensor]:
        """The learned empty features at a window's lengths; text [L, D] in place of the empty one if there is any."""
        net = self.generator
        clip, sync = net.empty_clip_feat.expand(lengths.clip, -1), net.empty_sync_feat.expand(lengths.sync, -1)
        return clip, sync, net.empty_string_feat if text is None else text

    @torch.inference_mode()
    def decode_mel(self, latent: Tensor) -> Tensor:
        """Log-mel [M, F] of a normalised latent [N, C]; long ones in windows, cross-faded."""
        raw = latent * self.generator.latent_std[0].float() + self.generator.latent_mean[0].float()
        windows = self.spec.plan(len(raw))
        padded = torch.nn.functional.pad(raw, (0, 0, 0, windows[-1].stop - len(raw)))
        parts = [self.vae.decode(padded[None, w.start : w.stop])[0].T for w in windows]
        doubled = tuple(Window(2 * w.start, 2 * w.length) for w in windows)
        return blend(parts, doubled)[: 2 * len(raw)].T

    @torch.inference_mode()
    def vocode(self, mel: Tensor) -> Tensor:
        """Waveform [S] of a log-mel [M, F]; a long one in pieces, cross-faded."""
        hop, network = self.vocoder.hop, isinstance(self.vocoder, BigVGAN)
        chunk = round((VOCODE_CHUNK_S if network else DECODE_CHUNK_S) * self.info.sample_rate_hz / hop)
        overlap = 32 if network else 8
        return crossfade(
            lambda part: self.vocoder(part[None])[0], mel, chunk=chunk, overlap=overlap, hop=hop, agree=network
        )

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
        """Hold a quiet work's wave [S] down, resample it, and cut it to the work's length."""
        from torchaudio.functional import resample

        rate = sample_rate_hz or self.info.sample_rate_hz
        if work.quiet:
            wave = wave * min(1.0, QUIET_PEAK / (float(wave.abs().max()) + 1e-9))
        if rate != self.info.sample_rate_hz:
            wave = resample(wave, self.info.sample_rate_hz, rate)
        samples = round(work.duration_s * rate)
        wave = torch.nn.functional.pad(wave, (0, max(0, samples - len(wave))))[:samples]
        return Audio(samples=wave.clamp(-1, 1).cpu().numpy().astype(np.float32), sample_rate_hz=rate)


def _stretch(features: Tensor, start: int, length: int) -> Tensor:
    """`length` rows of features [T, D] from `start` on; the last one stands for all after it."""
    return features[(torch.arange(length) + start).clamp(max=len(features) - 1)]
