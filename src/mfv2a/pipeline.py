"""Clip -> features -> latent -> sound: a pure pipeline of tensors. No files, no terminal, no globals.

`mfv2a dub` is prepare, sample, decode; `mfv2a tta` is the same with no clip. One path: what is absent becomes
the generator's learned empty features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mfv2a.encoders.compact import COMPACT
from mfv2a.encoders.protocol import STRIKE_FPS, Encoders, Look, Shrink, see
from mfv2a.flow.guidance import guide
from mfv2a.flow.sampler import at_instant, sample, spread
from mfv2a.generators import Generator, Jobs, bind_generator, in_float32, number_type
from mfv2a.models.arithmetic import products_for
from mfv2a.models.mmaudio import MMAudioConfig
from mfv2a.models.resampling import resample
from mfv2a.models.vae import VAE
from mfv2a.models.vocoders import NETWORK_S, Vocoder, cut_for
from mfv2a.models.woosh import Woosh
from mfv2a.models.woosh_autoencoder import WooshAutoencoder
from mfv2a.parts import Held, Parts, Role
from mfv2a.records import UNCERTAIN_BELOW, Audio, Clip, FrameRequest, ModelInfo
from mfv2a.timeline import Lengths, SequenceSpec, Window, blend, crossfade, crossfaded, noise_field
from mfv2a.work import SampleOptions, Seen, Work, check_numbers

Autoencoder = VAE | WooshAutoencoder

__all__ = ["STRIKE_FPS", "Pipeline", "SampleOptions", "Seen", "Work"]

DEFAULT_S = 8.0


class Pipeline:
    """A model with its encoders and decoders, ready to make sound.

    Args:
        info: what the register says of it.
        generator: velocity network.
        vae: latent <-> mel, its weights folded, or latent <-> wave.
        vocoder: mel -> wave; None where the autoencoder makes the wave itself.
        encoders: pictures and words -> features.
        spec: how its sequences lie on a timeline.
    """

    def __init__(
        self,
        *,
        info: ModelInfo,
        generator: Generator,
        vae: Autoencoder,
        vocoder: Vocoder | None,
        encoders: Encoders,
        spec: SequenceSpec = COMPACT,
    ) -> None:
        parts: dict[Role, Any] = {"encoders": encoders, "generator": generator, "decoders": (vae, vocoder)}
        device, dtype = next(generator.parameters()).device, number_type(generator)
        loads: dict[Role, Any] = {role: partial(parts.__getitem__, role) for role in parts}
        self._set(info, Parts(device=device, dtype=dtype, spec=spec, eyes=type(encoders), loads=loads), frugal=False)

    @classmethod
    def of_parts(cls, info: ModelInfo, parts: Parts, *, frugal: bool = False) -> Pipeline:
        """A pipeline of parts that are loaded now, or each when it is needed.

        Args:
            info: what the register says of the model.
            parts: of it.
            frugal: hold one part at a time: encoders, generator or decoders; the next takes its place.
        """
        pipeline = cls.__new__(cls)
        pipeline._set(info, parts, frugal=frugal)
        return pipeline

    def _set(self, info: ModelInfo, parts: Parts, *, frugal: bool) -> None:
        self.info, self.spec, self.device, self.dtype = info, parts.spec, parts.device, parts.dtype
        self._eyes, self._held = parts.eyes, Held(parts.loads, frugal=frugal)
        self._statistics: tuple[Tensor, Tensor] | None = None

    @property
    def frugal(self) -> bool:
        """It holds one part at a time: whoever has many clips should let all pass one part before the next."""
        return self._held.frugal

    @property
    def encoders(self) -> Encoders:
        """Pictures and words -> features."""
        encoders: Encoders = self._held["encoders"]
        return encoders

    @property
    def generator(self) -> Generator:
        """The velocity network."""
        network: Generator = self._held["generator"]
        return network

    @property
    def vae(self) -> Autoencoder:
        """Latent <-> mel or wave."""
        network: Autoencoder = self._held["decoders"][0]
        return network

    @property
    def vocoder(self) -> Vocoder | None:
        """Mel -> wave, where the autoencoder does not make it."""
        network: Vocoder | None = self._held["decoders"][1]
        return network

    @property
    def frame_requests(self) -> Mapping[str, FrameRequest]:
        """Frames that it wants of a video, by name."""
        return self._eyes.frame_requests

    @property
    def shrinkers(self) -> Mapping[str, Shrink]:
        """What scales the frames that were asked for whole, by name."""
        return self._eyes.shrinkers

    @property
    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation [C] of the raw latents, float32; 0 and 1 where the autoencoder normalises them."""
        if self._statistics is None:
            net = self.generator
            if isinstance(net, Woosh):
                zero = torch.zeros(net.config.latent_dim, device=self.device)
                self._statistics = zero, zero + 1
            else:
                self._statistics = net.latent_mean[0, 0].float(), net.latent_std[0, 0].float()
        return self._statistics

    def look(self, duration_s: float, *, semantics: bool = True, reuse: float | None = None) -> Look:
        """Begins to look at a clip that comes bit by bit; see `Encoders.look`."""
        return self.encoders.look(duration_s, semantics=semantics, reuse=reuse)

    @torch.inference_mode()
    def prepare(
        self,
        clip: Clip | Seen | None,
        *,
        prompt: str = "",
        negative_prompt: str = "",
        duration_s: float | None = None,
        seed: int = 0,
        semantics: bool = True,
    ) -> Work:
        """Encode a clip and a prompt.

        Args:
            clip: the frames of `frame_requests`, "motion" as features; what `look` saw; or None for text to audio.
            prompt: what should be heard, "" for what is seen: then it is read what that sounds like.
            negative_prompt: what guidance steers away from.
            duration_s: length of the sound; the clip's by default, 8 s without frames.
            seed: of the noise.
            semantics: go by what is seen, too, and not only by when it moves.

        Returns:
            the work; its windows cover the whole length.
        """
        length = duration_s if duration_s is not None else clip.duration_s if isinstance(clip, Clip) else DEFAULT_S
        seen = see(self.encoders, clip, length, semantics=semantics) if isinstance(clip, Clip) else clip or Seen()
        asked, blank = bool(prompt.strip()), self.encoders.encode_blank
        unknown = not asked and clip is not None and seen.confidence < UNCERTAIN_BELOW and not seen.strikes_s
        words = self.encoders.ambience if unknown else prompt if asked else seen.sound
        text, negative = self.encoders.encode_text([words, negative_prompt])
        return Work(
            duration_s=length,
            seed=seed,
            windows=self.spec.plan(self.spec.latents(length)),
            confidence=1.0 if asked else seen.confidence,
            recognized=seen.recognized,
            strikes_s=seen.strikes_s,
            text=text if words.strip() or blank else None,
            negative=negative if negative_prompt.strip() or blank else None,
            quiet=unknown,
            level_db=seen.follow() if unknown else None,
            clip=None if unknown else seen.clip,
            sync=None if unknown else seen.sync,
            reused=seen.reused,
        )

    @torch.inference_mode()
    def sample(self, works: Sequence[Work], options: SampleOptions) -> list[Tensor]:
        """Latents of each work, windows of all works batched together.

        Args:
            works: prepared clips and texts.
            options: sampler settings.

        Returns:
            one normalised latent [N, C] a work, N covering its length.

        Raises:
            SoundError: a latent holds what is no number; which, is found by sampling each alone.
        """
        jobs = [(i, window) for i, work in enumerate(works) for window in work.windows]
        done: list[list[Tensor]] = [[] for _ in works]
        _ = self.statistics  # while the generator is here
        # Only windows of one length share a batch: the network takes no padding, so one item alone equals itself.
        shapes = [self.spec.lengths(window, works[i].duration_s) for i, window in jobs]
        for lengths in sorted(set(shapes)):
            same = [job for job, shape in zip(jobs, shapes, strict=True) if shape == lengths]
            for start in range(0, len(same), options.batch_size):
                part = same[start : start + options.batch_size]
                latents = self._sample_batch([(works[i], window) for i, window in part], lengths, options)
                for (i, _), latent in zip(part, latents, strict=True):
                    done[i].append(latent.float())
        return check_numbers([blend(parts, work.windows) for parts, work in zip(done, works, strict=True)])

    def _sample_batch(self, jobs: Jobs, lengths: Lengths, options: SampleOptions) -> Tensor:
        """One batch of windows of the same lengths: [B, N, C]."""
        strength = self.info.default_cfg if options.cfg_strength is None else options.cfg_strength
        guided, sizes = self.info.guides(strength), self.generator.config
        binding = bind_generator(self.generator, self.spec)
        velocity = in_float32(binding.bind(jobs, lengths, guided=guided, strength=strength), self.dtype)
        velocity = at_instant(velocity) if self.info.kind == "instantaneous" else velocity
        if guided:
            rescale = self.info.default_rescale if options.rescale is None else options.rescale
            velocity = guide(velocity, strength, rescale=rescale, match=options.match_deviation)
        steps = self.info.default_steps if options.steps is None else options.steps
        shares = spread(self.info.default_renoise, steps) if options.renoise is None else options.renoise
        exact = isinstance(sizes, MMAudioConfig) and sizes.noise_at_zero
        clock = torch.float64 if exact and self.device.type != "mps" else torch.float32  # MPS knows no float64
        noise = partial(self._noise, jobs, lengths.latents)
        with products_for(torch.empty(0, dtype=self.dtype, device=self.device)):
            return sample(velocity, noise(0), steps=steps, time_dtype=clock, renoise=shares, fresh=noise)

    def _noise(self, jobs: Jobs, length: int, step: int) -> Tensor:
        """Noise [B, N, C] of a step; the clip's own noise field is that of step 0."""
        channels = self.generator.config.latent_dim
        seeds = [work.seed if step == 0 else f"{work.seed}/step {step}" for work, _ in jobs]
        fields = [
            noise_field(seed, work.offset + window.start, length, channels)
            for seed, (work, window) in zip(seeds, jobs, strict=True)
        ]
        return torch.stack(fields).to(self.device)

    @torch.inference_mode()
    def decode_latent(self, latent: Tensor) -> Tensor:
        """What the vocoder takes, of a normalised latent [N, C]: log-mel [M, F], long ones in windows, cross-faded.

        A model without mel and vocoder gives the waveform [S] at once.
        """
        mean, std = self.statistics  # before the decoders: it may need the generator
        vae, raw = self.vae, latent * std + mean
        if isinstance(vae, WooshAutoencoder):
            return torch.cat(list(self.decode_wave(latent)))
        windows = self.spec.plan(len(raw))
        padded = torch.nn.functional.pad(raw, (0, 0, 0, windows[-1].stop - len(raw)))
        parts = [vae.decode(padded[None, w.start : w.stop])[0].T for w in windows]
        doubled = tuple(Window(2 * w.start, 2 * w.length) for w in windows)
        return blend(parts, doubled)[: 2 * len(raw)].T

    def decode_wave(self, latent: Tensor) -> Iterator[Tensor]:
        """Pieces of the waveform [(N - 1) * hop] of a normalised latent [N, C], of a model without mel and vocoder."""
        (mean, std), hop, vae = self.statistics, self.spec.latent_samples, self.vae
        chunk, left = round(NETWORK_S * self.spec.latent_rate_hz), (len(latent) - 1) * hop

        def decode(part: Tensor) -> Tensor:  # ends one hop before the last latent does
            return torch.nn.functional.pad(vae.decode((part.T * std + mean)[None])[0], (0, hop))

        for wave in crossfaded(decode, [latent.T], frames=len(latent), chunk=chunk, overlap=64, hop=hop, agree=True):
            yield wave[:left]
            left -= len(wave[:left])

    @torch.inference_mode()
    def vocode(self, mel: Tensor) -> Tensor:
        """Waveform [S] of what `decode_latent` gives; a long mel in pieces, cross-faded."""
        vocoder = self.vocoder
        if vocoder is None:
            return mel
        return crossfade(lambda part: vocoder(part[None])[0], mel, **cut_for(vocoder, self.info.sample_rate_hz))

    @torch.inference_mode()
    def decode(self, work: Work, latent: Tensor, *, sample_rate_hz: int | None = None) -> Audio:
        """Sound of a latent, exactly round(duration x rate) samples.

        Args:
            work: what the latent was sampled for.
            latent: [N, C] of `sample`.
            sample_rate_hz: of the result; the model's by default.
        """
        return self.finish(work, self.vocode(self.decode_latent(latent)), sample_rate_hz=sample_rate_hz)

    @torch.inference_mode()
    def finish(self, work: Work, wave: Tensor, *, sample_rate_hz: int | None = None) -> Audio:
        """Level a wave [S] as `Work.levelled` does; resample it, and cut it to the work's length."""
        rate = sample_rate_hz or self.info.sample_rate_hz
        wave = work.levelled(wave, self.info.sample_rate_hz)
        if rate != self.info.sample_rate_hz:
            wave = resample(wave, self.info.sample_rate_hz, rate)
        samples = round(work.duration_s * rate)
        wave = torch.nn.functional.pad(wave, (0, max(0, samples - len(wave))))[:samples]
        return Audio(samples=wave.clamp(-1, 1).cpu().numpy().astype(np.float32), sample_rate_hz=rate)
