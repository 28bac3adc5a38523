"""`mfv2a scenes`: seeds -> MP4 files with what is seen, said and struck in them as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfv2a.errors import ConfigError, MediaError
from mfv2a.media.encode import write_video
from mfv2a.media.whole import write_whole
from mfv2a.records import Audio
from mfv2a.scenes import FAMILIES, Scene, make_scene

SOUND_HZ = 48000
MAX_SIDE_PX = 4096
MAX_DURATION_S = 600.0
TOLD = ("with_sound", "family", "size_px", "duration_s", "fps")
"""What differs, told before all else of a scene that is another."""

Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenesOptions:
    """What `write_scenes` shall make.

    Attributes:
        out: folder for the files.
        count: number of scenes; their seeds are seed, seed + 1, ...
        seed: of the first.
        with_sound: add the scenes' own sound.
        width_px, height_px: frame size.
        fps: frames per second.
        duration_s: length of each.
        family: draw only this family.
        overwrite: make scenes again that are there.
    """

    out: Path
    count: int = 1
    seed: int = 0
    with_sound: bool = False
    width_px: int = 1280
    height_px: int = 720
    fps: float = 25.0
    duration_s: float = 8.0
    family: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.family is not None and self.family not in FAMILIES:
            raise ConfigError(f"unknown family {self.family!r}", hint="one of " + ", ".join(FAMILIES))
        if self.count < 1:
            raise ConfigError(f"--count {self.count} cannot work", hint="use 1 or more")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed} cannot work", hint="use 0 or more")
        if not (math.isfinite(self.duration_s) and 0 < self.duration_s <= MAX_DURATION_S):
            hint = f"use more than 0, at most {MAX_DURATION_S:g} s"
            raise ConfigError(f"--duration {self.duration_s:g} cannot work", hint=hint)
        if not (1 <= self.fps <= 240):
            raise ConfigError(f"--fps {self.fps:g} cannot work", hint="use 1 to 240")


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of a word such as 1280x720.

    Raises:
        ConfigError: it is not two even numbers of 16 to 4096 pixels.
    """
    found = re.fullmatch(r"(\d+)[xX](\d+)", text.strip())
    sides = tuple(int(number) for number in found.groups()) if found else (0, 0)
    if not all(16 <= side <= MAX_SIDE_PX and side % 2 == 0 for side in sides):
        hint = f"two even numbers of 16 to {MAX_SIDE_PX}, as in 1280x720"
        raise ConfigError(f"--size {text!r} cannot work", hint=hint)
    return sides[0], sides[1]


def write_scenes(options: ScenesOptions, report: Report) -> list[Path]:
    """Make the scenes.

    Args:
        options: what to make.
        report: takes a record a scene: output, status ("ok" or "skipped") and what the JSON beside it says.

    Returns:
        The video files.

    Raises:
        ConfigError: the output folder cannot be made.
        MediaError: a file cannot be written, or one is there and not this very scene; nothing was made before that.
    """
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{options.out} cannot be a folder ({error.strerror})", hint="choose another --out"
        ) from error
    paths = {seed: options.out / f"scene-{seed:06d}.mp4" for seed in range(options.seed, options.seed + options.count)}
    if not options.overwrite:
        for seed, path in paths.items():
            _refuse_other(path, lambda seed=seed: _make(seed, options)[1])  # type: ignore[misc]
    for seed, path in paths.items():
        scene, facts = _make(seed, options)
        beside = path.with_suffix(".json")
        done = not options.overwrite and path.is_file() and _read_facts(beside) == facts
        if not done:
            _write_json(beside, {**facts, "complete": False})
            write_scene_video(
                scene, path, fps=options.fps, width_px=options.width_px, height_px=options.height_px,
                with_sound=options.with_sound,
            )  # fmt: skip
            _write_json(beside, facts)
        report({"output": str(path), "status": "skipped" if done else "ok", **facts})
    return list(paths.values())


def write_scene_video(
    scene: Scene,
    path: Path,
    *,
    fps: float = 25.0,
    width_px: int = 1280,
    height_px: int = 720,
    with_sound: bool = False,
) -> Path:
    """Draw a scene into an MP4.

    Args:
        scene: what to draw.
        path: the file to make.
        fps: frames per second.
        width_px: even width.
        height_px: even height.
        with_sound: add the scene's own sound at 48 kHz.

    Returns:
        `path`.
    """
    audio = Audio(samples=scene.sound(SOUND_HZ), sample_rate_hz=SOUND_HZ) if with_sound else None
    chunks = scene.frames(fps, width_px, height_px, as_filmed=False)
    return write_video(path, chunks, fps, audio=audio)


def describe_scene(scene: Scene) -> dict[str, Any]:
    """What is known of a scene, JSON-ready."""
    return {
        "seed": scene.seed,
        "family": scene.family,
        "label": scene.label,
        "caption": scene.caption,
        "duration_s": scene.duration_s,
        "events": [
            {
                "time_s": round(event.time_s, 4),
                "label": event.label,
                "strength": round(event.strength, 4),
                "x": round(event.x, 4),
                "y": round(event.y, 4),
            }
            for event in scene.events
        ],
    }


def _make(seed: int, options: ScenesOptions) -> tuple[Scene, dict[str, Any]]:
    """A scene, and what stands in the JSON beside it."""
    aspect = options.width_px / options.height_px
    scene = make_scene(seed, duration_s=options.duration_s, family=options.family, aspect=aspect)
    size = [options.width_px, options.height_px]
    return scene, {**describe_scene(scene), "fps": options.fps, "size_px": size, "with_sound": options.with_sound}


def _refuse_other(path: Path, make_facts: Callable[[], dict[str, Any]]) -> None:
    """Refuses to replace a video that is there and is not this very scene; one that was cut off is.

    Raises:
        MediaError: it is another.
    """
    if not path.exists():
        return
    known, facts = _read_facts(path.with_suffix(".json")), make_facts()
    hint = "move it away, use another --out, or --overwrite"
    if known.get("seed") != facts["seed"] or "family" not in known:
        raise MediaError(path, "is there, and not made by mfv2a scenes", hint=hint)
    changed = [name for name, value in facts.items() if known.get(name) != value]
    if changed and known.get("complete", True):
        name = next((each for each in changed if each in TOLD), changed[0])
        raise MediaError(path, f"is there with {name} {known.get(name)}, not {facts[name]}", hint=hint)


def _read_facts(path: Path) -> dict[str, Any]:
    """What stands in a JSON file beside a scene; nothing if it is not there or damaged."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write_json(path: Path, facts: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
