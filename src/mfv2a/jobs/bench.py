"""How long each stage of a dub takes on this machine, measured apart, and how much memory it needs.

Measures the same functions that `jobs.dub` runs. A repeat's stages, with what lies between them as `other`,
sum to its whole exactly; medians and 90th percentiles are taken over the repeats. What a stage computes and moves is
counted in a run of its own, and told against the peaks of this machine by the fastest repeat.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import ConfigError
from mfv2a.jobs.bench_files import check_comparable, check_shared, compare_reports, read_report, save_report
from mfv2a.jobs.machine import describe_machine, describe_program, higher_peaks, load_average, measure_peaks
from mfv2a.jobs.memory import resident_memory_mib
from mfv2a.jobs.presets import Setting, check_setting, setting_doubts, settings_of
from mfv2a.jobs.quality import add_quality, check_measure, check_names, quality_doubts, read_quality, scene_quality
from mfv2a.jobs.seed import content_key
from mfv2a.jobs.sheets import can_draw, draw_pareto
from mfv2a.jobs.sound import SoundOptions
from mfv2a.jobs.timing import STAGES as STAGES
from mfv2a.jobs.timing import Bench, beyond_peaks, unsteady_stages
from mfv2a.jobs.timing import Stopwatch as Stopwatch
from mfv2a.media.whole import check_apart, check_targets

if TYPE_CHECKING:
    from mfv2a.pipeline import Pipeline
    from mfv2a.records import VideoInfo

ASKED = ("rescale", "reuse_frames", "batch_size", "low_memory", "compile")
"""Options that change how long a setting takes, told in a report."""
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
        presets: settings of others, see `jobs.presets`, beside the numbers of steps.
        price: of an hour of this machine, in whatever money; None tells no cost.
        counted: count operations and bytes, and measure this machine's peaks.
        against: a report of before to compare with.
        quality: figures of an evaluation, SETTING=FILE.json each.
        quality_measure: which figure; quality_scenes: held-out scenes to measure it on instead, 0 for none.
        plot: a PNG of quality against speed, None for none.
        save: file for the report, None for none.
    """

    video: Path | None = None
    sound: SoundOptions = field(default_factory=SoundOptions)
    random_weights: bool = False
    steps: tuple[int, ...] = ()
    repeats: int = 5
    warmup: int = 1
    batches: tuple[int, ...] = ()
    presets: tuple[str, ...] = ()
    price: float | None = None
    counted: bool = False
    against: Path | None = None
    quality: tuple[str, ...] = ()
    quality_measure: str = "onset_f1"
    quality_scenes: int = 0
    plot: Path | None = None
    save: Path | None = None

    def __post_init__(self) -> None:
        for step in self.steps:
            replace(self.sound, steps=step)  # refuses what cannot work
        if self.repeats < 1:
            raise ConfigError(f"--repeats {self.repeats} cannot work", hint="use 1 or more")
        if any(batch < 1 for batch in self.batches):
            raise ConfigError("--batch 0 cannot work", hint="use 1 or more")
        if self.warmup < 0:
            raise ConfigError(f"--warmup {self.warmup} cannot work", hint="use 0 or more")
        settings_of(self.steps, self.presets, 1)
        if self.price is not None and not (math.isfinite(self.price) and self.price >= 0):
            raise ConfigError(f"--price {self.price} cannot work", hint="the price of an hour of this machine")
        if self.plot is not None and not can_draw():
            raise ConfigError("--plot needs matplotlib", hint="pip install 'mfv2a[eval]'")
        if self.plot is not None and not (self.quality or self.quality_scenes):
            raise ConfigError("--plot needs a quality", hint="give --quality-scenes N or --quality SETTING=FILE.json")
        check_targets(self.plot, self.save)
        judged = (Path(word.rpartition("=")[2]) for word in self.quality)
        check_apart((self.plot, self.save), [*judged, *(() if self.video is None else (self.video,))])
        if self.quality and self.quality_scenes:
            raise ConfigError("quality comes from files or from scenes", hint="leave one of both out")
        if self.quality or self.quality_scenes:
            check_measure(self.quality_measure, on_scenes=self.quality_scenes > 0)


def measure(
    options: BenchOptions,
    *,
    begin: Callable[[Any, int], None],
    say: Callable[[str], None],
    end: Callable[[Mapping[str, Any]], None] = lambda report: None,
) -> dict[str, Any]:
    """Times the stages of a dub.

    Args:
        options: what to do.
        begin: is told the model's description and the sample rate of the file, in Hz.
        say: takes a line when a run is done, and what people should know of the settings.
        end: is told the report, before any file is written.

    Returns:
        A JSON-ready report: the machine, and one entry a setting with seconds (median, p90, fastest and each
        repeat) by stage, NFE, RTF, cost, peak memory and, where they are counted, operations and bytes; from the second
        entry on with the ratio of its time to the first's.

    Raises:
        MediaError: the video cannot be dubbed, or a file not be written; the report has been told by then.
        StartError: the model cannot be loaded, or no ffmpeg was found.
    """
    from mfv2a.loader import describe_model
    from mfv2a.media.video import probe_video

    before = None if options.against is None else read_report(options.against)
    figures = read_quality(options.quality, options.quality_measure) if options.quality else {}
    described = describe_model(options.sound.model)
    settings = _settings(options, described, figures, before)
    begin(described, options.sound.rate_hz(described))
    for doubt in (*setting_doubts(settings, options.sound), *quality_doubts(options.quality)):
        say(doubt)
    with tempfile.TemporaryDirectory(prefix="mfv2a-bench-") as folder:
        source = make_scene_video(Path(folder) / "scene.mp4") if options.video is None else options.video
        info = probe_video(source)
        pipeline, loading = _load(options.sound, described.name, options.random_weights)
        report = {**_facts(options, described, source, info), **loading, **describe_machine(pipeline)}
        if before is not None and options.against is not None:
            check_comparable(before, report, options.against)
        bench = Bench(pipeline, info, options, Path(folder), say)
        report |= _measured(bench, settings, described)
    report["load_average"].append(load_average())
    report["unsteady"] = unsteady_stages(report["entries"])
    for stage, (least_s, most_s) in report["unsteady"].items():
        say(f"{stage} is the same work in every setting and took {least_s:.3f} to {most_s:.3f} s: this machine is busy")
    for doubt in beyond_peaks(report["entries"]) if options.counted else ():
        say(doubt)
    _add_ratios(report["entries"])
    if options.quality_scenes:
        say(f"quality on {options.quality_scenes} held-out scenes")
        samplers = {setting.name: setting.sampler(options.sound) for setting in settings}
        figures = scene_quality(pipeline, samplers, options.quality_scenes, options.quality_measure)
    if figures:
        add_quality(report, figures, options.quality_measure)
    if before is not None:
        report["compared"] = compare_reports(before, report)
        if before.get("unsteady"):
            say(f"{options.against} was measured while its machine was busy: {', '.join(before['unsteady'])}")
    end(report)
    if options.save is not None:
        save_report(report, options.save)
    if options.plot is not None:
        draw_pareto(report, options.plot)
    return report


def _measured(bench: Bench, settings: Sequence[Setting], described: Any) -> dict[str, Any]:
    """The peaks of the machine, measured before the settings' runs and after them, and an entry a setting."""
    counted, pipeline = bench.options.counted, bench.pipeline
    peaks = measure_peaks(pipeline, bench.synchronize) if counted else None
    runs = bench.run_all(settings, described)
    if peaks is not None:
        peaks = higher_peaks(peaks, measure_peaks(pipeline, bench.synchronize))
    return {"peaks": peaks, "entries": [bench.entry(each, peaks) for each in runs]}


def _facts(options: BenchOptions, described: Any, source: Path, info: VideoInfo) -> dict[str, Any]:
    """What is measured, by what and when."""
    return {
        "video": str(options.video) if options.video else "a scene made for this",
        "clip": content_key(source) if options.video else "",
        "picture": f"{info.width_px}x{info.height_px}",
        "duration_s": info.duration_s,
        "model": described.name,
        "digest": described.digest,
        "random_weights": options.random_weights,
        "sample_rate_hz": options.sound.rate_hz(described),
        "options": {name: getattr(options.sound, name) for name in ASKED},
        **describe_program(),
        "load_average": [load_average()],
        "warmup": options.warmup,
        "repeats": options.repeats,
    }


def _settings(
    options: BenchOptions, described: Any, figures: Mapping[str, Any], before: Mapping[str, Any] | None
) -> list[Setting]:
    """The settings to measure; what cannot work with them is refused before anything is timed."""
    settings = settings_of(options.steps, options.presets, described.default_steps)
    for setting in settings:
        check_setting(setting, options.sound, described)
    names = [setting.name for setting in settings]
    check_names(figures, names)
    if before is not None:
        check_shared(before, names)
    return settings


def _add_ratios(entries: list[dict[str, Any]]) -> None:
    """How much longer each setting takes than the first."""
    first = entries[0]["seconds"]
    for entry in entries[1:]:
        entry["ratio"] = {
            name: _ratio(entry["seconds"][name]["median"], first[name]["median"]) for name in ("sample", "total")
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


def _ratio(value: float, base: float) -> float | None:
    return value / base if base > 0 else None
