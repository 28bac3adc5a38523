"""One clip through the pipeline, from file to dubbed file, each stage timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mfv2a.errors import MediaError
from mfv2a.jobs.choice import ChoiceOptions
from mfv2a.jobs.delivery import DeliveryOptions, provenance
from mfv2a.jobs.drafts import Candidate, Draft, Shot, Takes, join_curves
from mfv2a.jobs.jury import Jury
from mfv2a.jobs.plan import Item
from mfv2a.jobs.seed import candidate_seed
from mfv2a.jobs.shared import Shared
from mfv2a.jobs.shots import see_shots, sound_of_shots, works_of_shots
from mfv2a.jobs.sight import see_video
from mfv2a.jobs.sound import SoundOptions
from mfv2a.jobs.sounding import LONG_S
from mfv2a.jobs.track import Track, make_track
from mfv2a.jobs.writing import check_unchanged, describe, hits_of, markers_of, write_outputs
from mfv2a.media.coding import LOSSY, coded_peak_dbtp
from mfv2a.media.hardware import DecodeDevice
from mfv2a.media.patience import Turn, check_patience
from mfv2a.media.tracks import read_track, warn_of_mixing_down
from mfv2a.records import ItemResult

if TYPE_CHECKING:
    from mfv2a.jobs.cache import FeatureCache
    from mfv2a.pipeline import Pipeline


class DubStages:
    """The stages of a batch on real files and a real pipeline.

    The variants of a video share its features: only their noise differs. All methods may be
    called by several threads; on a device other than the CPU its networks run one at a time.

    Args:
        pipeline: the model.
        sound: how to make the sound.
        out: the output folder.
        begin: is told when a stage of an item begins.
        decoder_threads: of each video decoder; 0 for as many as there are cores.
        decode_device: where videos are decoded.
        cache: of what was seen, None for none.
        deliver: brings an output to where it belongs, once it is whole.
        choice: how a sound is chosen.
        delivery: how it is handed on.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        sound: SoundOptions,
        out: Path,
        begin: Callable[[Item, str], None],
        decoder_threads: int = 0,
        decode_device: DecodeDevice = "cpu",
        cache: FeatureCache | None = None,
        deliver: Callable[[ItemResult], None] | None = None,
        choice: ChoiceOptions | None = None,
        delivery: DeliveryOptions | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._sound = sound
        self._out = out
        self._begin = begin
        self._rate_hz = sound.rate_hz(pipeline.info)
        self._decoder_threads, self._decode_device = decoder_threads, decode_device
        self._cache, self._deliver = cache, deliver
        self._device: AbstractContextManager[Any] = nullcontext()
        if pipeline.device.type != "cpu":
            self._device = Turn(of_device=True)
        self._choice, self._delivery = choice or ChoiceOptions(), delivery or DeliveryOptions()
        self._jury = Jury(self._choice) if self._choice.listens else None
        self._drafts: Shared[Draft] = Shared()

    def expect(self, items: Iterable[Item]) -> None:
        """Says which items will come, all of one video at once, so that it is known what they share."""
        self._drafts.expect(items)

    def prepare(self, item: Item, seconds: dict[str, float]) -> Draft:
        """File -> features, window plan and noise seed; adds the seconds of decoding and of the encoders."""
        self._begin(item, "decode")
        try:
            draft = self._drafts.take(item, lambda: self._look(item, seconds))
        except MediaError:
            check_unchanged(item)  # if it has changed, that is the reason
            raise
        check_patience()
        self._begin(item, "sample")  # it waits until its turn comes, with others
        return draft.seeded(item.seed)

    def _look(self, item: Item, seconds: dict[str, float]) -> Draft:
        """The works of a video and its prompt."""
        shots = self._see(item, seconds)
        start = time.perf_counter()
        with self._device:
            works = works_of_shots(
                self._pipeline,
                shots,
                prompt=item.prompt,
                negative_prompt=item.negative_prompt,
                duration_s=item.info.duration_s,
                seed=item.seed,
            )
            curves = [] if self._jury is None else [self._pipeline.encoders.strike_curve(shot.seen) for shot in shots]
        starts_s, duration_s = tuple(shot.start_s for shot in shots), item.info.duration_s
        seconds["features"] = seconds.get("features", 0.0) + time.perf_counter() - start
        return Draft(
            works=works,
            starts_s=starts_s,
            duration_s=duration_s,
            seed=item.seed,
            candidates=self._choice.candidates,
            curve=join_curves(curves, starts_s, duration_s) if curves else None,
        )

    def _see(self, item: Item, seconds: dict[str, float]) -> Sequence[Shot]:
        """What is seen in a video, shot by shot: what was seen before, if that is kept."""
        start = time.perf_counter()
        key = None if self._cache is None else self._cache.key(item.info, split=item.split_shots)
        if self._cache is not None and key is not None and (kept := self._cache.get(key)) is not None:
            seconds["cache"] = time.perf_counter() - start
            return kept
        shots = self._decode(item, seconds)
        if self._cache is not None and key is not None:
            check_unchanged(item)  # else these may not be the features of what the key was made of
            self._cache.put(key, shots)
        return shots

    def _decode(self, item: Item, seconds: dict[str, float]) -> Sequence[Shot]:
        look = see_shots if item.split_shots else see_video
        seen = look(
            item.info,
            self._pipeline,
            semantics=self._sound.semantics,
            reuse=self._sound.reuse_frames,
            threads=self._decoder_threads,
            decode_device=self._decode_device,
            turn=self._device,
            seconds=seconds,
            begin=lambda stage: self._begin(item, stage),
        )
        return seen if isinstance(seen, list) else [Shot(0.0, seen)]

    def windows(self, draft: Draft) -> int:
        """How many windows a clip has, those of all candidates together."""
        return draft.windows

    def sample(self, drafts: Sequence[Draft], batch_size: int) -> list[Takes]:
        """Latents [N, C] of each shot of each candidate of each clip."""
        works = [work for draft in drafts for work in draft.to_draw()]
        with self._device:
            latents = self._pipeline.sample(works, replace(self._sound.sampler(), batch_size=batch_size))
        rest = iter(latents)
        return [draft.takes(rest) for draft in drafts]

    def finish(self, item: Item, draft: Draft, takes: Takes, seconds: dict[str, float]) -> ItemResult | None:
        """Latents -> dubbed file and the facts of it; None where other candidates shall be sampled first."""
        self._begin(item, "sound")
        for number, latents in zip(draft.numbers(), takes, strict=True):
            check_patience()
            self._hear(item, draft, number, latents, seconds)
        draft.drawn += draft.candidates
        best = draft.kept[0]
        if best.verdict is not None and best.verdict.refused and draft.drawn < self._choice.rounds * draft.candidates:
            return None
        check_patience()
        self._begin(item, "mux")
        start = time.perf_counter()
        hits: Sequence[float] = ()
        if item.onsets is not None:
            hits = best.verdict.onsets_s if best.verdict is not None else hits_of(best.audio)
        track, made = write_outputs(
            item,
            draft.kept,
            self._laying(item, draft),
            self._state,
            markers_of(draft, hits) if item.onsets is not None else (),
        )
        seconds["mux"] = time.perf_counter() - start
        result = ItemResult(
            source=item.source,
            output=item.output,
            status="ok",
            settings=item.settings,
            seconds=seconds,
            details=describe(item, draft, track, seconds, self._out, made),
        )
        if self._deliver is not None:
            self._begin(item, "upload")
            start = time.perf_counter()
            self._deliver(result)
            seconds["upload"] = time.perf_counter() - start
        return result

    def _hear(
        self, item: Item, draft: Draft, number: int, latents: Sequence[Tensor], seconds: dict[str, float]
    ) -> None:
        """Makes the sound of one candidate, and listens to it where there is a choice."""
        spent: dict[str, float] = {}
        audio = sound_of_shots(
            self._pipeline,
            draft,
            latents,
            sample_rate_hz=self._rate_hz,
            folder=item.output.parent,
            seconds=spent,
            turn=self._device,
        )
        candidate = Candidate(number=number, seed=candidate_seed(draft.seed, number), audio=audio)
        if self._jury is None:
            draft.kept = [candidate]
        else:
            start = time.perf_counter()
            phrases = [item.prompt] if item.prompt else draft.recognized
            verdict = self._jury.judge(audio, phrases, draft.curve, draft.strikes_s)
            draft.keep(replace(candidate, verdict=verdict), self._choice.kept)
            spent["listen"] = time.perf_counter() - start
        for stage, time_s in spent.items():
            seconds[stage] = seconds.get(stage, 0.0) + time_s

    def _laying(self, item: Item, draft: Draft) -> Callable[[Candidate], Track]:
        """Sound -> track: over the source's sound if that is mixed, at its loudness."""
        audio, source = draft.kept[0].audio, None
        folder = item.output.parent if audio.duration_s > LONG_S else None
        if item.mix_track is not None:
            if item.variant == 1:
                warn_of_mixing_down(item.info, item.mix_track)
            source = read_track(item.info, item.mix_track, audio.sample_rate_hz, folder=folder)
        coded_peak = partial(coded_peak_dbtp, plan=item.mux, out=item.output, folder=folder)
        return lambda candidate: make_track(
            candidate.audio,
            loudness_lufs=self._sound.loudness_lufs,
            quiet=draft.quiet,
            source=source,
            mix_gain_db=item.mix_gain_db,
            with_stem=item.wav is not None,
            coded_peak=coded_peak if item.mux.codec in LOSSY else None,
            folder=folder,
            duck_db=self._delivery.duck_db,
            channels=self._delivery.channels,
        )

    def _state(self, candidate: Candidate) -> str:
        """What a file says of its sound."""
        return provenance(self._pipeline.info, candidate.seed) if self._delivery.provenance else ""
