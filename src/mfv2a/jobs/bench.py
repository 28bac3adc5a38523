"""How long each stage of a dub takes on this machine, measured apart, and how much memory it needs.

Measures the same functions that `jobs.dub` runs. A repeat's stages, with what lies between them as `other`,
sum to its whole exactly; medians and 90th percentiles are taken over the repeats.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfv2a.errors import ConfigError
from mfv2a.jobs.memory import peak_memory_mib, resident_memory_mib
from mfv2a.jobs.seed import clip_seed, content_key
from mfv2a.jobs.sound import SoundOptions

if TYPE_CHECKING:
    from mfv2a.pipeline import Pipeline
    from mfv2a.records import VideoInfo

STAGES = ("decode", "features", "sample", "vae", "vocoder", "mux", "other")
SCENE_SEED = 2_000_000_000
SCENE_S, SCENE_FPS, SCENE_WIDTH_PX, SCENE_HEIGHT_PX = 8.0, 25.0, 1280, 720


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What `measure` shall do.

    Attributes:
        video: the video to dub, None for a made scene of 8 s at 720p.
        sound: what makes the sound; its steps are replaced by each of `steps`.
        random_weights: at the model's full size but with random weights, which need no files.
        steps: sampler steps to compare, () for the model's own.
        repeats: measured runs.
        warmup: runs before that, not counted.
        batches: how many clips to sample together, each to be timed apart.
    """

    video: Path | None = None
    sound: SoundOptions = field(default_factory=SoundOptions)
    random_weights: bool = False
    steps: tuple[int, ...] = ()
    repeats: int = 5
    warmup: int = 1
    batches: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for step in self.steps:
            replace(self.sound, steps=step)  # refuses what cannot work
        if self.repeats < 1:
            raise ConfigError(f"--repeats {self.repeats} cannot work", hint="use 1 or more")
        if any(batch < 1 for batch in self.batches):
            raise ConfigError("--batch 0 cannot work", hint="use 1 or more")
        if self.warmup < 0:
            raise ConfigError(f"--warmup {self.warmup} cannot work", hint="use 0 or more")


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


def measure(options: BenchOptions, *, begin: Callable[[Any, int], None], say: Callable[[str], None]) -> dict[str, Any]:
    """Times the stages of a dub.

    Args:
        options: what to do.
        begin: is told the model's description and the sample rate of the file, in Hz.
        say: takes a line when a run is done.

    Returns:
        A JSON-ready report: the machine, and one entry a number of steps with seconds (median, p90 and each
        repeat) by stage, NFE, RTF and peak memory; from the second entry on with the ratio of its time to the
        first's.

    Raises:
        MediaError: the video cannot be dubbed.
        StartError: the model cannot be loaded, or no ffmpeg was found.
    """
    from mfv2a.loader import describe_model
    from mfv2a.media.video import probe_video

    described = describe_model(options.sound.model)
    options.sound.check(described, pictures=True)
    begin(described, options.sound.rate_hz(described))
    with tempfile.TemporaryDirectory(prefix="mfv2a-bench-") as folder:
        source = make_scene_video(Path(folder) / "scene.mp4") if options.video is None else options.video
        info = probe_video(source)
        sound = options.sound
        pipeline, loading = _load(sound, described.name, options.random_weights)
        entries = []
        for steps in options.steps or (described.default_steps,):
            say(f"{steps} step{'s' if steps > 1 else ''}: {options.warmup} + {options.repeats} runs")
            for doubt in replace(sound, steps=steps).doubts(described):
                say(doubt)
            entry = _measure_steps(pipeline, info, replace(sound, steps=steps), options, Path(folder))
            entries.append(entry)
        for entry in entries[1:]:
            entry["ratio"] = {
                name: _ratio(entry["seconds"][name]["median"], entries[0]["seconds"][name]["median"])
                for name in ("sample", "total")
            }
    return {
        "video": str(options.video) if options.video else "a scene made for this",
        "picture": f"{info.width_px}x{info.height_px}",
        "duration_s": info.duration_s,
        "model": described.name,
        "digest": described.digest,
        "random_weights": options.random_weights,
        "sample_rate_hz": sound.rate_hz(described),
        **loading,
        "warmup": options.warmup,
        "repeats": options.repeats,
        **_machine(pipeline),
        "entries": entries,
    }


def _load(sound: SoundOptions, name: str, random_weights: bool) -> tuple[Pipeline, dict[str, Any]]:
    """The model, how long loading took, and how much memory it added beside the bytes of its files."""
    import mfv2a.pipeline  # noqa: F401 - what is imported shall not count
    from mfv2a.hub import find_file
    from mfv2a.packages import find_model
    from mfv2a.register import files_of

    before, start = resident_memory_mib(), time.perf_counter()
    pipeline = sound.load(random_weights=random_weights)
    load_s, after = time.perf_counter() - start, resident_memory_mib()
    growth = None if before is None or after is None else after - before
    paths = [] if random_weights else [find_file(file) for file in files_of(find_model(name))]
    weights = sum(path.stat().st_size for path in paths if path is not None) / 2**20
    return pipeline, {"load_s": load_s, "load_growth_mib": growth, "files_mib": weights or None}


def make_scene_video(path: Path) -> Path:
    """Makes the video that is dubbed where none was given: a procedural scene, 8 s, 720p, 25 frames a second.

    Args:
        path: the MP4 to write.

    Returns:
        `path`.
    """
    from mfv2a.jobs.scenes import write_scene_video
    from mfv2a.scenes import make_scene

    scene = make_scene(SCENE_SEED, duration_s=SCENE_S)
    write_scene_video(scene, path, fps=SCENE_FPS, width_px=SCENE_WIDTH_PX, height_px=SCENE_HEIGHT_PX)
    return path


def _measure_steps(
    pipeline: Pipeline, info: VideoInfo, sound: SoundOptions, options: BenchOptions, folder: Path
) -> dict[str, Any]:
    import torch

    cuda = pipeline.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(pipeline.device)
    synchronize = torch.cuda.synchronize if cuda else _no_wait
    runs = [_run_once(pipeline, info, sound, folder, synchronize) for _ in range(options.warmup + options.repeats)]
    kept = runs[options.warmup :]
    seconds = {
        name: {
            "median": float(np.median([run[name] for run in kept])),
            "p90": float(np.percentile([run[name] for run in kept], 90)),
        }
        for name in (*STAGES, "total")
    }
    cfg = sound.cfg_strength if sound.cfg_strength is not None else pipeline.info.default_cfg
    return {
        "steps": sound.steps,
        "cfg_strength": cfg,
        "nfe": (sound.steps or 1) * (2 if pipeline.info.guides(cfg) else 1),
        "seconds": seconds,
        "repeats": kept,
        "rtf": seconds["total"]["median"] / info.duration_s,
        "sampled": _sample_together(pipeline, info, sound, options, synchronize),
        "peak_memory_mib": peak_memory_mib(),
        "peak_device_mib": torch.cuda.max_memory_allocated(pipeline.device) / 2**20 if cuda else None,
    }


def _run_once(
    pipeline: Pipeline, info: VideoInfo, sound: SoundOptions, folder: Path, synchronize: Callable[[], None]
) -> dict[str, float]:
    """One whole dub, a stopwatch in its hand."""
    from mfv2a.jobs.sight import see_video
    from mfv2a.media.mux import mux_audio, plan_mux

    watch = Stopwatch(synchronize)
    rate_hz = sound.rate_hz(pipeline.info)
    plan = plan_mux(info, "auto")
    seed = clip_seed(sound.seed, content_key(info.path))
    seen = see_video(info, pipeline, semantics=sound.semantics, seconds=watch.seconds)
    with watch.stage("features"):
        work = pipeline.prepare(seen, negative_prompt=sound.negative_prompt, duration_s=info.duration_s, seed=seed)
    with watch.stage("sample"):
        latent = pipeline.sample([work], sound.sampler())[0]
    with watch.stage("vae"):
        mel = pipeline.decode_latent(latent)
    with watch.stage("vocoder"):
        wave = pipeline.vocode(mel)
        audio = pipeline.finish(work, wave, sample_rate_hz=rate_hz)
    with watch.stage("mux"):
        mux_audio(info, audio, folder / f"dubbed{plan.suffix}", plan)
    return watch.stop()


def _sample_together(
    pipeline: Pipeline, info: VideoInfo, sound: SoundOptions, options: BenchOptions, synchronize: Callable[[], None]
) -> list[dict[str, float]]:
    """How many clips a second the sampler makes, so many at a time; the best of the repeats."""
    if not options.batches:
        return []
    # What is seen does not change the time: the empty features are as long.
    work = pipeline.prepare(None, duration_s=info.duration_s, seed=sound.seed)
    found = []
    for batch in options.batches:
        works = [replace(work, seed=sound.seed + k) for k in range(batch)]
        settings = replace(sound.sampler(), batch_size=batch)
        times = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            pipeline.sample(works, settings)
            synchronize()
            times.append(time.perf_counter() - start)
        found.append({"batch": batch, "clips_per_s": batch / min(times)})
    return found


def _machine(pipeline: Pipeline) -> Mapping[str, Any]:
    import platform

    import torch

    return {
        "device": str(pipeline.device),
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "platform": platform.platform(),
    }


def _ratio(value: float, base: float) -> float | None:
    return value / base if base > 0 else None


def _no_wait() -> None:
    """Work on the processor is done when its call returns."""
