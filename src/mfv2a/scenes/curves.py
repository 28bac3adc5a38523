"""When things happen and how they move: rhythms, key-framed tracks, slow random curves.

Nothing here knows what is being moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mfv2a.scenes.script import Event
from mfv2a.scenes.shapes import Floats


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Moments and how hard each is.

    Attributes:
        times_s: [N] ascending.
        strengths: [N] in 0..1.
    """

    times_s: Floats
    strengths: Floats

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def gains(self) -> Floats:
        """[N] linear gains: 24 dB between the softest and the hardest strength."""
        return np.asarray(10.0 ** (24.0 * (self.strengths - 1.0) / 20.0))

    def pick(self, mask: Floats) -> Rhythm:
        """The moments where `mask` [N] is true."""
        chosen = np.asarray(mask, bool)
        return Rhythm(self.times_s[chosen], self.strengths[chosen])


def _gaps(rng: Generator, kind: str, fastest_s: float, slowest_s: float, duration_s: float) -> Floats:
    count = int(duration_s / fastest_s) + 2
    pace = fastest_s * (slowest_s / fastest_s) ** rng.beta(1.2, 1.6)
    if kind == "regular":
        return np.asarray(pace * rng.normal(1.0, rng.uniform(0.0, 0.04), count))
    if kind == "irregular":
        return np.asarray(pace * (0.35 + rng.gamma(1.6, 0.5, count)))
    if kind == "bursts":
        inner = fastest_s * rng.uniform(1.0, 1.8)
        gaps = inner * rng.normal(1.0, 0.08, count)
        breaks = rng.random(count) < rng.uniform(0.15, 0.4)
        return np.asarray(np.where(breaks, rng.uniform(0.7, 2.6, count), gaps))
    if kind == "changing":
        start, end = fastest_s * (slowest_s / fastest_s) ** rng.random(2)
        return np.asarray(np.geomspace(start, end, max(3, int(2 * duration_s / (start + end)))))
    pattern = fastest_s * rng.choice([1.0, 1.0, 2.0, 2.0, 3.0, 4.0], rng.integers(2, 6)) * rng.uniform(1.0, 1.4)
    return np.asarray(np.resize(pattern, count))


def rhythm(
    rng: Generator,
    duration_s: float,
    *,
    fastest_s: float = 0.2,
    slowest_s: float = 1.6,
    lead_s: float = 0.3,
    kinds: tuple[str, ...] = ("regular", "irregular", "bursts", "changing", "pattern", "single"),
) -> Rhythm:
    """Draw a rhythm: regular, irregular, bursts, speeding up or slowing down, a repeated pattern, or one hit.

    Args:
        rng: source of chance.
        duration_s: the scene's length; all moments lie in [min(lead_s, ...), duration_s - 0.08].
        fastest_s: shortest gap between moments.
        slowest_s: longest usual gap.
        lead_s: earliest moment (the wind-up must be seen).
        kinds: kinds to choose from.

    Returns:
        At least one moment if the scene is long enough to hold one (0.12 s), else none.
    """
    end_s = duration_s - 0.08
    lead_s = min(lead_s, max(0.04, 0.4 * duration_s))
    if end_s <= lead_s:
        return Rhythm(np.zeros(0), np.zeros(0))
    kind = str(rng.choice(kinds))
    first_s = lead_s + float(rng.beta(1.0, 2.5)) * min(2.5, max(0.0, end_s - lead_s))
    if kind == "single":
        times = np.sort(rng.uniform(lead_s, end_s, 1 if rng.random() < 0.6 or duration_s < 4 else 2))
    else:
        gaps = np.maximum(_gaps(rng, kind, fastest_s, slowest_s, duration_s), fastest_s)
        times = first_s + np.concatenate([[0.0], np.cumsum(gaps)])
    times = times[times < end_s]
    if len(times) > 4 and rng.random() < 0.25:
        start_s = rng.uniform(first_s, end_s)
        times = times[(times < start_s) | (times > start_s + rng.uniform(1.0, 3.0))]
    if len(times) > 1:
        times = times[np.concatenate([[True], np.diff(times) >= 0.999 * fastest_s])]
    return Rhythm(times, _strengths(rng, len(times)))


def _strengths(rng: Generator, count: int) -> Floats:
    base, spread = rng.uniform(0.6, 0.95), rng.uniform(0.02, 0.3)
    accents = np.where(np.arange(count) % int(rng.integers(2, 5)) == 0, rng.uniform(0.0, 0.25), 0.0)
    drift = np.linspace(0.0, rng.uniform(-0.3, 0.3), count) if rng.random() < 0.25 else np.zeros(count)
    return np.asarray(np.clip(base + accents + drift + spread * rng.normal(size=count), 0.2, 1.0))


@dataclass(frozen=True, slots=True)
class Track:
    """A value over time through key frames.

    Attributes:
        times_s: [N] strictly ascending.
        values: [N] key values.
        eases: [N] how the value *reaches* key i: 0 smooth, p > 0 accelerating as u**p, p < 0 slowing down.
    """

    times_s: Floats
    values: Floats
    eases: Floats

    def at(self, t: Floats) -> Floats:
        """The values at the moments t (any shape)."""
        index = np.clip(np.searchsorted(self.times_s, t, side="right"), 1, len(self.times_s) - 1)
        t0, t1 = self.times_s[index - 1], self.times_s[index]
        u = np.clip((t - t0) / (t1 - t0), 0.0, 1.0)
        ease = self.eases[index]
        power = np.maximum(np.abs(ease), 1e-3)
        bent = np.where(ease > 0, u**power, 1.0 - (1.0 - u) ** power)
        bent = np.where(ease == 0, u * u * (3.0 - 2.0 * u), bent)
        return np.asarray(self.values[index - 1] + bent * (self.values[index] - self.values[index - 1]))


def track(keys: list[tuple[float, float, float]]) -> Track:
    """A track from (time, value, ease) keys; keys that do not move forward in time are dropped."""
    kept = [keys[0]]
    for key in keys[1:]:
        if key[0] > kept[-1][0] + 1e-4:
            kept.append(key)
    if len(kept) == 1:
        kept.append((kept[0][0] + 1.0, kept[0][1], 1.0))
    table = np.asarray(kept, np.float64)
    return Track(table[:, 0], table[:, 1], table[:, 2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """How a blow is led; heights are in units of a full lift.

    Attributes:
        swing_s: time from the top to the contact.
        wind_s: time of the wind-up.
        dwell_s: how long the tool stays on the contact.
        rebound_s: time to come back up to `rest`.
        rest: height between blows.
        power: exponent of the fall (2: constant acceleration).
    """

    swing_s: float = 0.13
    wind_s: float = 0.3
    dwell_s: float = 0.05
    rebound_s: float = 0.14
    rest: float = 0.4
    power: float = 2.2


def random_swing(rng: Generator, *, heavy: float = 0.5) -> Swing:
    """Draw a way to strike: heavy = 0 for sticks and fingers, 1 for axes and sledges."""
    return Swing(
        swing_s=float(rng.uniform(0.07, 0.13) + 0.12 * heavy * rng.random()),
        wind_s=float(rng.uniform(0.12, 0.3) + 0.3 * heavy * rng.random()),
        dwell_s=float(rng.uniform(0.0, 0.03) + 0.15 * heavy * rng.random()),
        rebound_s=float(rng.uniform(0.07, 0.16) + 0.12 * heavy * rng.random()),
        rest=float(rng.uniform(0.2, 0.75)),
        power=float(rng.uniform(1.6, 3.0)),
    )


def strike_track(beat: Rhythm, swing: Swing) -> Track:
    """Height of a tool over what it strikes: 0 at each moment of the rhythm, fast down, sudden stop.

    Harder blows start from higher, so they also arrive faster.
    """
    keys = [(-1.0, swing.rest, 1.0)]
    for i, (hit_s, strength) in enumerate(zip(beat.times_s, beat.strengths, strict=True)):
        room = hit_s - max(keys[-1][0], -0.5)
        fall, wind = min(swing.swing_s, 0.5 * room), min(swing.wind_s, 0.45 * room)
        top = 0.35 + 0.65 * strength
        keys.append((hit_s - fall - wind, keys[-1][1], 0.0))
        keys.append((hit_s - fall, top, 0.0))
        keys.append((hit_s, 0.0, swing.power))
        after = beat.times_s[i + 1] - hit_s if i + 1 < len(beat) else 10.0
        dwell = min(swing.dwell_s, 0.2 * after)
        if dwell > 2e-3:
            keys.append((hit_s + dwell, 0.0, 1.0))
        keys.append((hit_s + dwell + min(swing.rebound_s, 0.35 * after), swing.rest * (0.5 + 0.5 * top), -2.0))
    keys.append((keys[-1][0] + 60.0, keys[-1][1], 1.0))
    return track(keys)


def events_at(beat: Rhythm, label: str, x: float | Floats = 0.0, y: float | Floats = 0.0) -> tuple[Event, ...]:
    """One event a moment, at x, y in the family's units."""
    xs, ys = np.broadcast_to(x, len(beat)), np.broadcast_to(y, len(beat))
    rows = zip(beat.times_s, beat.strengths, xs, ys, strict=True)
    return tuple(Event(float(t), label, float(s), float(px), float(py)) for t, s, px, py in rows)


def since_last(t: Floats, times_s: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Seconds since the latest moment at each t (1e3 before the first) and that moment's index (0 if none)."""
    if len(times_s) == 0:
        return np.full(np.shape(t), 1e3), np.zeros(np.shape(t), np.int64)
    index = np.searchsorted(times_s, t, side="right") - 1
    age = np.where(index >= 0, t - times_s[np.maximum(index, 0)], 1e3)
    return age, np.maximum(index, 0)


def until_next(t: Floats, times_s: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Seconds until the next moment at each t (99 after the last) and that moment's index (the last one's if none)."""
    if len(times_s) == 0:
        return np.full(np.shape(t), 99.0), np.zeros(np.shape(t), np.int64)
    following = np.searchsorted(times_s, t, side="right")
    index = np.minimum(following, len(times_s) - 1)
    return np.where(following < len(times_s), times_s[index] - t, 99.0), index
