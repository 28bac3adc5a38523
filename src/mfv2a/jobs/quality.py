"""How good each setting of a measurement is: on a few held-out scenes, or as an evaluation has found; what is best."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfv2a.errors import ConfigError
from mfv2a.evaluation.measures import all_names, find_measure

if TYPE_CHECKING:
    from mfv2a.pipeline import Pipeline, SampleOptions

ENDS = ("low", "high")
ON_SCENES = ("onset_f1", "log_mel_distance")
"""Measures that scenes can tell at once: their events and their own sound are known."""


def check_measure(measure: str, *, on_scenes: bool = False) -> None:
    """Refuse a measure by which settings cannot be set against each other.

    Raises:
        ConfigError: an unknown one, one of which neither more nor less is better, or one that scenes cannot tell.
    """
    if measure not in all_names():
        raise ConfigError(f"unknown measure {measure!r}", hint="known: " + ", ".join(all_names()))
    if not find_measure(measure).better:
        raise ConfigError(f"of {measure} neither more nor less is better", hint="use another --quality-measure")
    if on_scenes and measure not in ON_SCENES:
        hint = f"use {' or '.join(ON_SCENES)}, or give --quality SETTING=FILE.json"
        raise ConfigError(f"{measure} cannot be told from scenes alone", hint=hint)


def check_names(figures: Iterable[str], settings: Sequence[str]) -> None:
    """Refuse figures of settings that are not measured.

    Raises:
        ConfigError: there is one.
    """
    for name in figures:
        if name not in settings:
            raise ConfigError(f"--quality {name}: no such setting here", hint="here are: " + ", ".join(settings))


def scene_quality(
    pipeline: Pipeline, samplers: Mapping[str, SampleOptions], scenes: int, measure: str
) -> dict[str, dict[str, float | None]]:
    """Measure settings on the first held-out scenes, picture and caption given; each scene is seen once.

    Args:
        pipeline: the model.
        samplers: settings by name.
        scenes: how many.
        measure: one of ON_SCENES; `onset_f1` is against the events of the scene, over scenes that have some.

    Returns:
        value, and the ends of its 95 % interval, by setting.

    Raises:
        ConfigError: a measure that scenes cannot tell, or none of them has an event.
    """
    from mfv2a.evaluation.bootstrap import draw_weights, mean_estimate
    from mfv2a.jobs.evaluate import see_scene
    from mfv2a.scenes import HELD_OUT_SEED, make_scene

    check_measure(measure, on_scenes=True)
    scores: dict[str, list[float]] = {name: [] for name in samplers}
    rate = pipeline.spec.sample_rate_hz
    for k in range(scenes):
        scene = make_scene(HELD_OUT_SEED + k)
        seed, clip = HELD_OUT_SEED + k, see_scene(scene, pipeline)
        work = pipeline.prepare(clip, prompt=scene.caption, duration_s=scene.duration_s, seed=seed)
        for name, sampler in samplers.items():
            wave = pipeline.decode(work, pipeline.sample([work], sampler)[0], sample_rate_hz=rate).samples
            scores[name].append(_score(measure, scene, wave, rate))
    weights, found = draw_weights(scenes, 1000, 0), {}
    for name, values in scores.items():
        estimate = mean_estimate(np.array(values), weights)
        if estimate is None:
            raise ConfigError(f"none of {scenes} scenes can tell {measure}", hint="use more --quality-scenes")
        found[name] = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return found


def _score(measure: str, scene: Any, wave: Any, rate_hz: int) -> float:
    from mfv2a.evaluation.metrics import log_mel_distance
    from mfv2a.evaluation.onsets import detect_onsets, match_onsets

    if measure == "log_mel_distance":
        return log_mel_distance(wave, scene.sound(rate_hz)[: len(wave)], rate_hz)
    if not scene.events:
        return float("nan")
    return match_onsets(detect_onsets(wave, rate_hz), [event.time_s for event in scene.events]).f1


def read_quality(words: Sequence[str], measure: str) -> dict[str, dict[str, float | None]]:
    """Figures that `mfv2a evaluate --json` has found.

    Args:
        words: SETTING=FILE.json each.
        measure: which figure.

    Raises:
        ConfigError: a word is of another form, or a file has no such figure.
    """
    check_measure(measure)
    found = {}
    for setting, name in map(_split, words):
        report = _read(name)
        hint = "mfv2a evaluate GENERATED --reference DIR --json writes such a file"
        try:
            figure = report["measures"][measure]
            found[setting] = {key: figure[key] for key in ("value", "low", "high")}
        except (KeyError, TypeError) as error:
            raise ConfigError(f"{name} has no figure {measure}", hint=hint) from error
        if not _is_number(figure["value"]) or not all(figure[key] is None or _is_number(figure[key]) for key in ENDS):
            raise ConfigError(f"{name}: what it has of {measure} is no number", hint=hint)
    return found


def quality_doubts(words: Sequence[str]) -> Iterator[str]:
    """Why files of evaluations may not be set against each other: a line for people each.

    Args:
        words: SETTING=FILE.json each, that `read_quality` takes.
    """
    reports = [(name, _read(name)) for _, name in map(_split, words)]
    for key, told in (
        ("reference", "true sounds"),
        ("pairs", "numbers of clips"),
        ("shortened", "numbers of odd lengths"),
    ):
        values = {name: report.get(key) for name, report in reports}
        if len({json.dumps(value) for value in values.values()}) > 1:
            shown = ", ".join(f"{name} {value}" for name, value in values.items())
            yield f"--quality: the files are of different {told}, and may not be comparable: {shown}"


def _split(word: str) -> tuple[str, str]:
    setting, _, name = word.rpartition("=")
    if not setting or not name:
        raise ConfigError(f"--quality {word} cannot work", hint="write SETTING=FILE.json")
    return setting, name


def _read(name: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror}", hint="mfv2a evaluate --json writes one") from error
    except ValueError as error:
        raise ConfigError(f"{name} is not JSON: {error}", hint="mfv2a evaluate --json writes one") from error
    return found if isinstance(found, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def pareto_front(points: Mapping[str, tuple[float, float]], *, higher: bool) -> list[str]:
    """The settings that no other one beats, the fastest first.

    Args:
        points: RTF and quality by setting.
        higher: a higher quality is the better one.
    """
    front: list[str] = []
    best = -np.inf
    for name in sorted(points, key=lambda each: (points[each][0], -points[each][1] if higher else points[each][1])):
        quality = points[name][1] if higher else -points[name][1]
        if quality > best:
            front.append(name)
            best = quality
    return front


def add_quality(report: dict[str, Any], figures: Mapping[str, Mapping[str, float | None]], measure: str) -> None:
    """Put figures into the report's settings, and say which settings no other one beats.

    Raises:
        ConfigError: a figure is of no setting of the report.
    """
    entries = {entry["setting"]: entry for entry in report["entries"]}
    check_names(figures, list(entries))
    for name, figure in figures.items():
        entries[name]["quality"] = dict(figure)
    points = {
        name: (entry["rtf"], float(entry["quality"]["value"])) for name, entry in entries.items() if "quality" in entry
    }
    better = find_measure(measure).better
    report["quality"] = {
        "measure": measure,
        "better": better,
        "front": pareto_front(points, higher=better == "higher"),
    }
