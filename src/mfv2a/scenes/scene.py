"""A scene: drawn from its seed, rendered to frames and played to samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mfv2a.errors import ConfigError
from mfv2a.scenes import (
    families_animals,
    families_body,
    families_drops,
    families_drums,
    families_impacts,
    families_moving,
    families_nature,
    families_shots,
    families_struck,
    families_things,
    families_water,
)
from mfv2a.scenes.captions import CAPTIONS
from mfv2a.scenes.script import Event, Script
from mfv2a.scenes.world import World, build_world

HELD_OUT_SEED = 1_000_000_000
"""Seeds from here on are never trained on; their captions use the held-out wordings."""

Writer = Callable[[Generator, float], Script]

WRITERS: dict[str, tuple[float, Writer]] = {
    "hammer": (1.6, families_struck.hammer),
    "impacts": (1.6, families_impacts.impacts),
    "drums": (1.6, families_drums.drums),
    "chopping": (1.0, families_struck.chopping),
    "knocking": (0.7, families_struck.knocking),
    "bells": (1.0, families_drums.bells),
    "balls": (1.5, families_things.balls),
    "clocks": (0.9, families_things.clocks),
    "explosions": (1.0, families_shots.explosions),
    "drips": (0.7, families_drops.drips),
    "doors": (0.6, families_things.doors),
    "falls": (0.9, families_drops.falls),
    "cameras": (0.5, families_shots.cameras),
    "footsteps": (1.4, families_body.footsteps),
    "typing": (0.8, families_body.typing),
    "claps": (0.9, families_body.claps),
    "dogs": (1.0, families_animals.dogs),
    "birds": (0.8, families_animals.birds),
    "rain": (0.8, families_water.rain),
    "sea": (0.8, families_water.sea),
    "water": (1.0, families_water.running_water),
    "fire": (0.8, families_nature.fire),
    "wind": (0.8, families_nature.wind),
    "rotors": (1.1, families_moving.rotors),
    "rubbing": (1.1, families_moving.rubbing),
    "strings": (0.7, families_moving.strings),
    "calm": (2.8, families_nature.calm),
}
"""Share of each family in the draws, and the function that writes its scripts."""

FAMILIES: tuple[str, ...] = tuple(WRITERS)
LABELS: tuple[str, ...] = tuple(CAPTIONS)

STEADY = frozenset(
    ("rain", "sea_waves", "stream", "waterfall", "fire", "wind", "fan", "helicopter", "engine", "sawing", "scrubbing",
     "scraping", "bowed_strings", "quiet_room", "calm_outdoors")
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One procedural scene. Equal seeds give equal pictures and sounds.

    Attributes:
        seed: what it was drawn from.
        family: one of `FAMILIES`.
        label: one of `LABELS`.
        caption: what someone would write under it.
        duration_s: length of picture and sound.
        events: contacts, in order; empty for calm and purely continuous scenes. 1.8 % of them (13 % of footsteps) lie
            clearly outside the picture, where somebody walks through it; they sound, and are put at its edge.
        aspect: width over height of the filmed picture; other frame shapes squash it.
    """

    seed: int
    family: str
    label: str
    caption: str
    duration_s: float
    events: tuple[Event, ...]
    aspect: float
    _script: Script = field(repr=False)
    _world: World = field(repr=False)
    _recipe: tuple[Any, ...] = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, self._recipe

    def render(
        self,
        fps: float = 25.0,
        width_px: int = 112,
        height_px: int = 112,
        *,
        gray: bool = False,
        as_filmed: bool = True,
        own_rate: bool = True,
    ) -> NDArray[np.uint8]:
        """Draw the picture.

        Args:
            fps: frames per second.
            width_px: frame width.
            height_px: frame height.
            gray: one luma channel.
            as_filmed: with the camera's noise, blur, flat contrast and own frame rate; False gives clean frames.
            own_rate: False for a camera that films at `fps`, so that each frame is of its own time.

        Returns:
            [T, H, W, 3] or, gray, [T, H, W] uint8 with T = max(1, round(duration_s * fps)).
        """
        chunks = list(self.frames(fps, width_px, height_px, gray=gray, as_filmed=as_filmed, own_rate=own_rate))
        return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)

    def frames(
        self,
        fps: float = 25.0,
        width_px: int = 112,
        height_px: int = 112,
        *,
        gray: bool = False,
        as_filmed: bool = True,
        own_rate: bool = True,
    ) -> Iterator[NDArray[np.uint8]]:
        """The frames of `render` in order, some at a time, so that large pictures need little memory."""
        from mfv2a.scenes.film import Reel, shoot

        reel = Reel(self.seed, self.duration_s, self._script, self._world)
        return shoot(reel, fps, width_px, height_px, gray=gray, as_filmed=as_filmed, own_rate=own_rate)

    def sound(self, sample_rate_hz: int = 16000) -> NDArray[np.float32]:
        """Play the sound: [round(duration_s * sample_rate_hz)] float32 within +-0.9."""
        from mfv2a.scenes.sound import master, play

        length = max(1, round(self.duration_s * sample_rate_hz))
        dry = play(self._script.voices, (self.seed, 3), length, sample_rate_hz)
        rng = np.random.default_rng((self.seed, 4))
        steady = self.label in STEADY
        quiet = self.family == "calm"
        hardest = max((event.strength for event in self.events), default=1.0)
        level_db = self._script.level_db + 16.0 * (hardest - 1.0)
        level_db += max(-25.0, 20.0 * float(np.log10(max(self._script.intensity, 1e-3))))
        return master(dry, rng, sample_rate_hz, level_db=level_db, steady=steady, quiet=quiet)


def _again(seed: int, duration_s: float, family: str | None, aspect: float | None) -> Scene:
    return make_scene(seed, duration_s=duration_s, family=family, aspect=aspect)


def make_scene(seed: int, *, duration_s: float = 8.0, family: str | None = None, aspect: float | None = None) -> Scene:
    """Draw a scene; a pure function of its arguments.

    Args:
        seed: any non-negative integer; from `HELD_OUT_SEED` on, captions use the held-out wordings.
        duration_s: length in seconds.
        family: one of `FAMILIES`, or None to draw one.
        aspect: width over height, or None to draw one.

    Returns:
        The scene; nothing is rendered yet.

    Raises:
        ConfigError: on an unknown family, a negative seed or a duration that is not positive.
    """
    if family is not None and family not in WRITERS:
        raise ConfigError(f"unknown scene family {family!r}", hint="one of " + ", ".join(FAMILIES))
    if seed < 0:
        raise ConfigError(f"a scene's seed must not be negative, got {seed}")
    if not (np.isfinite(duration_s) and duration_s > 0):
        raise ConfigError(f"a scene's duration must be positive, got {duration_s}")
    if aspect is not None and not (0.1 <= aspect <= 10):
        raise ConfigError(f"a scene's aspect must lie between 0.1 and 10, got {aspect}")
    recipe = (seed, duration_s, family, aspect)
    rng = np.random.default_rng((seed, 0))
    chance = rng.random()
    if family is None:
        shares = np.cumsum([share for share, _ in WRITERS.values()])
        family = FAMILIES[int(np.searchsorted(shares, chance * shares[-1], side="right"))]
    script = WRITERS[family][1](np.random.default_rng((seed, 1, FAMILIES.index(family))), duration_s)
    world = build_world(np.random.default_rng((seed, 2, FAMILIES.index(family))), script, duration_s, aspect)
    wordings = CAPTIONS[script.label]
    pool = wordings.held_out if seed >= HELD_OUT_SEED else wordings.training
    return Scene(
        seed,
        family,
        script.label,
        str(rng.choice(pool)),
        duration_s,
        _seen_events(script, world),
        world.aspect,
        script,
        world,
        recipe,
    )


def _seen_events(script: Script, world: World) -> tuple[Event, ...]:
    """The script's events with their places turned into fractions of the picture."""
    if not script.events:
        return ()
    t = np.array([event.time_s for event in script.events])
    x = np.array([event.x for event in script.events])
    y = np.array([event.y for event in script.events])
    if not script.full_picture:
        x, y = world.place.point(x, y)
    sx, sy = world.camera.seen(t, x, y, world.aspect)
    sx, sy = np.clip(sx, 0.0, 1.0), np.clip(sy, 0.0, 1.0)
    return tuple(
        Event(event.time_s, event.label, event.strength, float(a), float(b))
        for event, a, b in zip(script.events, sx, sy, strict=True)
    )
