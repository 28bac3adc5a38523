"""Prompts, named and seeded -> sound files. How they were named, and what is told of them, others know."""

from __future__ import annotations

import itertools
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.disk import is_disk_full
from mfv2a.errors import MediaError, SoundError, StartError
from mfv2a.jobs.delivery import Channels
from mfv2a.jobs.faults import MEMORY_HINT, free_memory, is_out_of_memory
from mfv2a.jobs.sound import level_dbfs
from mfv2a.jobs.sound_names import reserve
from mfv2a.records import Audio

if TYPE_CHECKING:
    from torch import Tensor

    from mfv2a.jobs.drafts import Draft, Takes
    from mfv2a.jobs.track import Track
    from mfv2a.jobs.tta import Take, TtaOptions
    from mfv2a.pipeline import Work

Made = tuple[Audio, dict[str, Any]]
"""A sound, and its facts."""
Failure = MediaError | SoundError


class SoundMaker:
    """Takes -> sounds and files, a group at a time.

    Args:
        options: what to do.
        rate_hz: of the files.
    """

    def __init__(self, options: TtaOptions, rate_hz: int) -> None:
        from mfv2a.jobs.jury import Jury

        self._options, self._rate_hz = options, rate_hz
        self._pipeline = options.sound.load()
        self._jury = Jury(options.choice) if options.choice.listens else None
        self._renamed: dict[Take, Take] = {}  # those whose name was taken while they were made
        self._sampler = options.sound.sampler()  # with half the batch once that was too much
        info = self._pipeline.info
        self._settings = {
            **options.sound.settings(info),
            **options.choice.settings(),
            **options.delivery.settings(),
        }

    def make(self, group: Sequence[Take]) -> Iterator[tuple[Take, Made | Failure]]:
        """Draws the sounds of a group together, and again those that are refused, or not heard as what was asked for.

        Yields:
            Each take in its order, once it and those before it are written, under the name it has then, with its sound
            and its facts; or why it could not be made.

        Raises:
            MediaError: its folder cannot be made or written to.
            StartError: there is no memory for a sound, or the disk is full. What was written before is told first.
        """
        untold = list(group)
        ready: dict[Take, tuple[Take, Made | Failure]] = {}
        try:
            for take, made in self._as_they_come(group):
                ready[take] = self._renamed.pop(take, take), made
                while untold and untold[0] in ready:
                    yield ready.pop(untold.pop(0))
        except (MediaError, StartError):
            yield from ready.values()
            raise

    def _as_they_come(self, group: Sequence[Take]) -> Iterator[tuple[Take, Made | Failure]]:
        """Each take once it is written, or could not be."""
        start = time.perf_counter()
        waiting = [(take, self._prepare(take)) for take in group]
        spent_s = dict.fromkeys(group, (time.perf_counter() - start) / len(group))
        while waiting:
            start = time.perf_counter()
            sampled = self._sample_each([draft for _, draft in waiting])
            shared_s = (time.perf_counter() - start) / len(waiting)
            again = []
            for (take, draft), latents in zip(waiting, sampled, strict=True):
                start = time.perf_counter()
                made = self._finish(take, draft, latents)
                spent_s[take] += shared_s + time.perf_counter() - start
                if made is None:
                    again.append((take, draft))
                    continue
                if not isinstance(made, Exception):
                    made[1]["seconds"] = round(spent_s[take], 4)
                yield take, made
            waiting = again

    def _finish(self, take: Take, draft: Draft, latents: Takes | SoundError) -> Made | Failure | None:
        """Latents -> file, or why there is none; None where others shall be drawn first."""
        if isinstance(latents, SoundError):
            return latents
        try:
            if not self._hear(take, draft, latents):
                return None
        except SoundError as error:
            return error
        try:
            _make_folder(take.path)
            with self._reserved(take) as path:
                return self._write(path, draft)
        except MediaError as error:
            if is_disk_full(error):
                raise StartError(
                    f"the disk is full: {error.path} could not be written", hint="free some space"
                ) from error
            folder, top = error.path.parent, Path(self._options.out)
            if top not in folder.parents and not os.access(folder, os.W_OK | os.X_OK):  # no other would fare better
                raise
            return error

    def _sample_each(self, drafts: Sequence[Draft]) -> list[Takes | SoundError]:
        """The latents of each; where some are no numbers, each is sampled alone: one spoils no other."""
        try:
            latents = iter(self._sample([work for draft in drafts for work in draft.to_draw()]))
            return [draft.takes(latents) for draft in drafts]
        except SoundError as error:
            if len(drafts) == 1:
                return [error]
        return [each for draft in drafts for each in self._sample_each([draft])]

    def _sample(self, works: Sequence[Work]) -> list[Tensor]:
        """Their latents, with half the batch while memory is short; it stays at what fits."""
        while True:
            size = self._sampler.batch_size
            try:
                return self._pipeline.sample(works, self._sampler)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if size <= 1:
                    raise StartError("not enough memory for one sound", hint=MEMORY_HINT) from error
                traceback.clear_frames(error.__traceback__)  # they hold the tensors that did not fit
            free_memory()
            self._sampler = replace(self._sampler, batch_size=size // 2)

    def _prepare(self, take: Take) -> Draft:
        from mfv2a.jobs.drafts import Draft

        work = self._pipeline.prepare(
            None,
            prompt=take.prompt,
            negative_prompt=self._options.sound.negative_prompt,
            duration_s=take.duration_s,
            seed=take.seed,
        )
        number = self._options.choice.candidates
        return Draft(works=(work,), duration_s=work.duration_s, seed=take.seed, candidates=number)

    def _hear(self, take: Take, draft: Draft, takes: Takes) -> bool:
        """Makes the sounds of one round; whether the best of them may stay."""
        from mfv2a.jobs.drafts import Candidate
        from mfv2a.jobs.seed import candidate_seed

        choice = self._options.choice
        for number, (latent,) in zip(draft.numbers(), takes, strict=True):
            audio = self._pipeline.decode(draft.works[0], latent, sample_rate_hz=self._rate_hz)
            candidate = Candidate(number=number, seed=candidate_seed(draft.seed, number), audio=audio)
            if self._jury is None:
                draft.kept = [candidate]
            else:
                verdict = self._jury.judge(audio, [take.prompt])
                draft.keep(replace(candidate, verdict=verdict), choice.kept)
        draft.drawn += draft.candidates
        best, rounds = draft.kept[0].verdict, draft.drawn // draft.candidates
        if best is None:
            return True
        if best.refused and rounds < choice.rounds:
            return False
        return best.heard or rounds >= choice.heard_tries

    @contextmanager
    def _reserved(self, take: Take) -> Iterator[Path | None]:
        """The path to write a take to: no other run's, where the name was made up; without a sound there stays none."""
        if take.path is None or not take.made_up:
            yield take.path
            return
        try:
            path = reserve(take.path, self._options.choice.others)
        except OSError as error:
            raise MediaError(take.path, f"cannot be written: {error.strerror or error}") from error
        if path != take.path:
            self._renamed[take] = replace(take, path=path)
        try:
            yield path
        finally:
            with suppress(OSError):
                if not path.stat().st_size:
                    path.unlink()

    def _write(self, path: Path | None, draft: Draft) -> tuple[Audio, dict[str, Any]]:
        """Writes the best sound, after the others if they are kept."""
        from mfv2a.jobs.delivery import provenance
        from mfv2a.jobs.writing import describe_choice

        sound, delivery = self._options.sound, self._options.delivery
        paths = [] if path is None else [path, *self._options.choice.others(path)]
        facts: dict[str, Any] = {"settings": self._settings}
        for candidate, place in reversed(list(itertools.zip_longest(draft.kept, paths))):
            statement = provenance(self._pipeline.info, candidate.seed) if delivery.provenance else ""
            track = _level(candidate.audio, sound.loudness_lufs, delivery.channels, place)
            _write(place, track.audio, statement)
        if path is None:
            facts["statement"] = statement
        facts |= {**draft.read_as, **level_dbfs(track.audio.samples), **track.facts}
        return track.audio, facts | describe_choice(draft, [place.name for place in paths[1:]])


def _level(audio: Audio, loudness_lufs: float | None, channels: Channels, path: Path | None) -> Track:
    from mfv2a.jobs.track import make_track
    from mfv2a.media.coding import LOSSY_SUFFIXES, written_peak_dbtp

    peak: Callable[[Audio], float] | None = None
    if path is not None and path.suffix.lower() in LOSSY_SUFFIXES:
        peak = partial(written_peak_dbtp, path=path)
    return make_track(audio, loudness_lufs=loudness_lufs, channels=channels, with_stem=False, coded_peak=peak)


def _make_folder(path: Path | None) -> None:
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(
            path or "-", f"its folder cannot be made: {error.strerror}", hint="choose another -o"
        ) from error


def _write(path: Path | None, audio: Audio, statement: str) -> None:
    if path is not None:
        from mfv2a.media.audio import write_audio

        write_audio(path, audio, statement=statement)
