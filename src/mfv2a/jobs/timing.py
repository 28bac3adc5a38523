"""One clip and one loaded model, timed stage by stage and counted: what `mfv2a bench` repeats."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfv2a.jobs.memory import forget_peak, peak_memory_mib
from mfv2a.jobs.presets import Setting
from mfv2a.jobs.seed import clip_seed, content_key

if TYPE_CHECKING:
    from mfv2a.jobs.bench import BenchOptions
    from mfv2a.pipeline import Pipeline
    from mfv2a.records import Reused, VideoInfo

STAGES = ("decode", "features", "sample", "vae", "vocoder", "mux", "other")
SAME_WORK = ("decode", "features", "vae", "vocoder", "mux")
"""Stages that do not depend on how it is sampled."""
SLOWER = 1.5
_LEAST_S = 0.02


class Stopwatch:
    """Seconds of named stages and of the whole around them."""

    def __init__(self, synchronize: Callable[[], None]) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._synchronize = synchronize
        self._start = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time of the block to a stage; waits for the device, so that queued work counts here."""
        start = time.perf_counter()
        yield
        self._synchronize()
        self.seconds[name] += time.perf_counter() - start

    def stop(self) -> dict[str, float]:
        """Ends the whole: what no stage measured is `other`.

        Returns:
            Seconds of every stage and of "total", which is exactly their sum.
        """
        named_s = sum(value for name, value in self.seconds.items() if name != "other")
        self.seconds["other"] = max(0.0, time.perf_counter() - self._start - named_s)
        return {**self.seconds, "total": sum(self.seconds.values())}


@dataclass(slots=True)
class Runs:
    """What was measured of a setting: seconds by stage of each repeat, and the most memory."""

    setting: Setting
    seconds: list[dict[str, float]] = field(default_factory=list)
    reused: tuple[Reused, ...] = ()
    memory_mib: float | None = None
    device_mib: float | None = None


def most(*values: float | None) -> float | None:
    """The largest of those that are known."""
    return max((value for value in values if value is not None), default=None)


def unsteady_stages(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Stages that are the same work in every setting, and yet took longer in one of them.

    Args:
        entries: of `Bench.entry`.

    Returns:
        by stage the smallest and the largest median in seconds, where they differ by more than 1.5 times.
    """
    found = {}
    for stage in SAME_WORK:
        medians = [entry["seconds"][stage]["median"] for entry in entries]
        if max(medians) > SLOWER * min(medians) and max(medians) >= _LEAST_S:
            found[stage] = [min(medians), max(medians)]
    return found


def beyond_peaks(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Stages that seem to do more than the machine does at most, in words: its peaks were measured too low.

    Args:
        entries: of a report, with their work.
    """
    kinds = ("share_of_compute", "share_of_memory")
    return [
        f"{stage}, {entry['setting']}: {max(told):.0%} of the peak measured here: this machine was busy then"
        for entry in entries
        for stage, row in entry["work"].items()
        if max(told := [row[kind] or 0.0 for kind in kinds]) > 1
    ]


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured: a clip and a loaded model."""

    pipeline: Pipeline
    info: VideoInfo
    options: BenchOptions
    folder: Path
    say: Callable[[str], None]

    def run_all(self, settings: Sequence[Setting], described: Any) -> list[Runs]:
        """Settings in turn: seconds of the stages, and memory.

        The first repeat of each comes before the second of any: what else the machine does meets all of them.
        """
        options = self.options
        found = [Runs(setting) for setting in settings]
        for setting in settings:
            self.say(f"{setting.name}: {options.warmup} + {options.repeats} runs")
            for doubt in setting.sound(options.sound).doubts(described):
                self.say(doubt)
        for each in found:
            for _ in range(options.warmup):
                self._watched_run(each)
        for _ in range(options.repeats):
            for each in found:
                seconds, each.reused = self._watched_run(each)
                each.seconds.append(seconds)
        return found

    def _watched_run(self, found: Runs) -> tuple[dict[str, float], tuple[Reused, ...]]:
        """A run, and the most memory that any of its setting took."""
        import torch

        device = self.pipeline.device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        forget_peak()
        told = self.run(found.setting)
        found.memory_mib = most(found.memory_mib, peak_memory_mib())
        if device.type == "cuda":
            found.device_mib = most(found.device_mib, torch.cuda.max_memory_allocated(device) / 2**20)
        return told

    def entry(self, found: Runs, peaks: dict[str, Any] | None) -> dict[str, Any]:
        """What was measured of a setting, throughput and cost, and what it computes, as a report has it."""
        options, pipeline, setting, runs = self.options, self.pipeline, found.setting, found.seconds
        seconds = {
            name: {
                "median": float(np.median([run[name] for run in runs])),
                "p90": float(np.percentile([run[name] for run in runs], 90)),
                "fastest": min(run[name] for run in runs),
            }
            for name in (*STAGES, "total")
        }
        cfg = setting.sound(options.sound).cfg_strength
        cfg = pipeline.info.default_cfg if cfg is None else cfg
        rtf = seconds["total"]["median"] / self.info.duration_s
        return {
            "setting": setting.name,
            "steps": setting.steps,
            "cfg_strength": cfg,
            "renoise": setting.renoise,
            "nfe": (setting.steps or 1) * (2 if pipeline.info.guides(cfg) else 1),
            "seconds": seconds,
            "repeats": runs,
            "reused": [asdict(each) for each in found.reused],
            "rtf": rtf,
            "cost_per_video_hour": None if options.price is None else options.price * rtf,
            "sampled": self.sample_together(setting),
            "peak_memory_mib": found.memory_mib,
            "peak_device_mib": found.device_mib,
            "work": None if peaks is None else self.count(setting, seconds, peaks),
        }

    def synchronize(self) -> None:
        """Waits for queued work; on the processor it is done when its call returns."""
        from mfv2a.decoding import settle

        settle(self.pipeline.device)

    def run(self, setting: Setting) -> tuple[dict[str, float], tuple[Reused, ...]]:
        """One whole dub, a stopwatch in its hand: its seconds, and what was taken over from pictures before."""
        from mfv2a.jobs.sight import see_video
        from mfv2a.media.mux import mux_audio, plan_mux

        watch, sound, pipeline, info = Stopwatch(self.synchronize), self.options.sound, self.pipeline, self.info
        rate_hz = sound.rate_hz(pipeline.info)
        plan = plan_mux(info, "auto")
        seed = clip_seed(sound.seed, content_key(info.path))
        seen = see_video(
            info,
            pipeline,
            semantics=sound.semantics,
            reuse=sound.reuse_frames,
            seconds=watch.seconds,
            synchronize=self.synchronize,
        )
        with watch.stage("features"):
            work = pipeline.prepare(seen, negative_prompt=sound.negative_prompt, duration_s=info.duration_s, seed=seed)
        with watch.stage("sample"):
            latent = pipeline.sample([work], setting.sampler(sound))[0]
        with watch.stage("vae"):
            mel = pipeline.decode_latent(latent)
        with watch.stage("vocoder"):
            wave = pipeline.vocode(mel)
            audio = pipeline.finish(work, wave, sample_rate_hz=rate_hz)
        with watch.stage("mux"):
            mux_audio(info, audio, self.folder / f"dubbed{plan.suffix}", plan)
        return watch.stop(), work.reused

    def count(self, setting: Setting, seconds: dict[str, Any], peaks: dict[str, Any]) -> dict[str, Any]:
        """Operations and bytes of the stages that are networks, against the peaks, by their fastest run."""
        from mfv2a.jobs.counting import Cost, Counting, count, shares, weights_dtype
        from mfv2a.jobs.sight import see_video

        sound, pipeline, info = self.options.sound, self.pipeline, self.info
        costs: dict[str, Cost] = {}
        dtypes: dict[str, str] = {}
        looked = Counting()  # while the encoders look: what shrinks the frames counts as decoding, as its time does
        seen = see_video(info, pipeline, semantics=sound.semantics, reuse=sound.reuse_frames, turn=looked)
        work, prepared = count(lambda: pipeline.prepare(seen, duration_s=info.duration_s, seed=sound.seed))
        costs["features"] = looked.cost + prepared
        dtypes["features"] = weights_dtype(*vars(pipeline.encoders).values())
        latents, costs["sample"] = count(lambda: pipeline.sample([work], setting.sampler(sound)))
        dtypes["sample"] = weights_dtype(pipeline.generator)
        mel, costs["vae"] = count(lambda: pipeline.decode_latent(latents[0]))
        _, costs["vocoder"] = count(lambda: pipeline.vocode(mel))
        dtypes |= {"vae": weights_dtype(pipeline.vae), "vocoder": weights_dtype(pipeline.vocoder)}
        return {name: shares(cost, seconds[name]["fastest"], peaks, dtypes[name]) for name, cost in costs.items()}

    def sample_together(self, setting: Setting) -> list[dict[str, float]]:
        """How many clips a second the sampler makes, so many at a time; the best of the repeats."""
        if not self.options.batches:
            return []
        sound, pipeline = self.options.sound, self.pipeline
        # What is seen does not change the time: the empty features are as long.
        work = pipeline.prepare(None, duration_s=self.info.duration_s, seed=sound.seed)
        found = []
        for batch in self.options.batches:
            works = [replace(work, seed=sound.seed + k) for k in range(batch)]
            settings = replace(setting.sampler(sound), batch_size=batch)
            times = []
            for _ in range(self.options.repeats):
                start = time.perf_counter()
                pipeline.sample(works, settings)
                self.synchronize()
                times.append(time.perf_counter() - start)
            found.append({"batch": batch, "clips_per_s": batch / min(times)})
        return found
