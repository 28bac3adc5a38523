"""Fit the bandwidth extension: how much the upper octave of a sound holds, by how its lower one looks.

    python scripts/fit_extension.py --sounds sfx --out runs/extension

It learns from recordings brought to 32 kHz: of all by their own lower octave, of every second one also by what codec
and vocoder make of that, at any level. Recordings with an edge in their upper octave, where somebody cut them, are
left out. Then, of recordings that nothing was learned from, as they are and after codec and vocoder, it tells how far
off the levels of the upper bands are, in dB: as told, by the mean of each band above those below it, and without an
upper octave; and the same of the sound that is made, the upper octave filled by the mirrored lower one or by noise.
95 % intervals by bootstrap over the recordings.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from measure_codec import interval, networks
from split_sounds import HELD_OUT
from torch import Tensor

from mfv2a.errors import MediaError, Mfv2aError
from mfv2a.jobs.items import named_files, sound_path
from mfv2a.media.audio import read_audio
from mfv2a.models.extension import FLOOR, BandwidthExtension, ExtensionConfig
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.resampling import resample
from mfv2a.models.weights import save_network
from mfv2a.training.ema import EMA

WIDE_HZ, SECONDS, PEAK = 32000, 4.0, 0.5
EDGE_DB = 20.0  # from one band of 500 Hz to the next
HEARD_DB = 40.0  # below the loudest frame
ROW = 250  # frames of 4 ms
GAINS = (-3.0, 1.0)  # of power, as log10
RATE, WARM_STEPS, AVERAGE = 2e-3, 100, 0.995
TOLD_EVERY = 250


class Recording(NamedTuple):
    """A recording at 32 kHz and log10 powers of its bands.

    Attributes:
        wide: [2 S]; of held-out ones alone, else empty.
        waves: its lower octave [S] as it is and after codec and vocoder; of held-out ones alone.
        low: levels [bands, T] of these; of some the first alone.
        high: levels [bands, T] of the upper octave.
    """

    wide: Tensor
    waves: list[Tensor]
    low: list[Tensor]
    high: Tensor


def is_cut(high: Tensor, low: Tensor) -> bool:
    """Whether the levels [bands, T] of an upper octave have an edge that no sound has by itself."""
    loudness = low.amax(0)
    heard = loudness >= loudness.max() - HEARD_DB / 10
    steps = torch.cat([low[-2:].mean(0, keepdim=True), high])[:, heard].mean(1).diff()
    return bool((steps * 10).min() < -EDGE_DB)


def read(folder: Path, files: Sequence[str], network: BandwidthExtension, *, held: bool) -> list[Recording]:
    """The recordings of these files."""
    vae, vocoder = networks(None, None, None)
    front, found, cut, unread = MelSpectrogram(), [], 0, 0
    for number, file in enumerate(files):
        try:
            samples = read_audio(sound_path(folder, file), WIDE_HZ).samples
        except MediaError:
            unread += 1
            continue
        peak = int(np.abs(samples).argmax())
        start = max(0, min(peak - WIDE_HZ // 2, len(samples) - round(SECONDS * WIDE_HZ)))
        wide = torch.from_numpy(samples[start : start + round(SECONDS * WIDE_HZ)])
        wide = F.pad(wide * (PEAK / wide.abs().max().clamp(min=1e-4)), (0, -len(wide) % 1024))
        waves = [resample(wide[None], 2, 1)[0]]
        if held or number % 2 == 0:
            waves.append(vocoder(vae.decode(vae.encode(front(waves[0][None]))[0]))[0])
        low, high = [network.levels(wave[None])[0] for wave in waves], network.true_levels(wide[None])[0]
        if is_cut(high, low[0]):
            cut += 1
        elif high.shape[1] > ROW // 5:
            found.append(Recording(wide if held else wide[:0], waves if held else [], low, high))
    sys.stdout.write(f"{len(found)} recordings, {cut} cut, {unread} that cannot be read left out\n")
    return found


def batch(recordings: Sequence[Recording], rows: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Levels [rows, bands, ROW] of lower octaves, drawn anew, and of the upper ones."""
    low, high = [], []
    for number in rng.integers(len(recordings), size=rows):
        each = recordings[number]
        seen, gain = each.low[rng.integers(len(each.low))], rng.uniform(*GAINS)
        start = int(rng.integers(max(1, seen.shape[1] - ROW + 1)))
        for levels, into in ((seen, low), (each.high, high)):
            part = (torch.pow(10.0, levels[:, start : start + ROW] + gain) + FLOOR).log10()
            into.append(F.pad(part, (0, ROW - part.shape[1]), value=math.log10(FLOOR)))
    return torch.stack(low), torch.stack(high)


def learn(network: BandwidthExtension, recordings: Sequence[Recording], words: argparse.Namespace) -> EMA:
    """Bring what is told near to what is there, by the mean difference of log powers."""
    rng = np.random.default_rng(words.seed)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, betas=(0.9, 0.99), weight_decay=0.01)
    average, start, total = EMA(network, AVERAGE), time.monotonic(), 0.0
    for step in range(words.steps):
        rate = RATE * min(1.0, (step + 1) / WARM_STEPS) * (0.5 + 0.5 * math.cos(math.pi * step / words.steps))
        optimizer.param_groups[0]["lr"] = rate
        low, high = batch(recordings, words.rows, rng)
        loss = (network.tell(low).clamp(min=math.log10(FLOOR)) - high).abs().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update(network, step)
        total += loss.item()
        if (step + 1) % TOLD_EVERY == 0:
            took = time.monotonic() - start
            sys.stdout.write(f"{step + 1} steps, {took:.0f} s: {10 * total / TOLD_EVERY:.2f} dB off\n")
            sys.stdout.flush()
            total = 0.0
    return average


def off_db(told: Tensor, true: Tensor) -> float:
    """Mean difference of levels [bands, T], in dB, where there is something in either octave."""
    heard = true.amax(0) > math.log10(FLOOR) + 0.5
    if not heard.any():
        return 0.0
    return 10 * float((told.clamp(min=math.log10(FLOOR)) - true).abs()[:, heard].mean())


def tell(network: BandwidthExtension, held: Sequence[Recording], above: Tensor) -> None:
    """Print how far off it is on recordings that it did not learn from."""
    noise = torch.Generator().manual_seed(0)

    def by_noise(wave: Tensor) -> Tensor:
        spectrum = network.spectrum(wave[None])
        drawn = torch.randn(spectrum.shape, dtype=spectrum.dtype, generator=noise)
        return network.fill(drawn, network.tell(network.levels(wave[None])), len(wave))[0]

    def by_mirror(wave: Tensor) -> Tensor:
        return network(wave[None])[0]

    def upper(levels: Tensor) -> Tensor:
        return levels[levels.shape[0] // 2 :].mean(0, keepdim=True)

    def made(fill: Callable[[Tensor], Tensor]) -> Callable[[Recording, int], Tensor]:
        return lambda each, way: network.true_levels(fill(each.waves[way])[None])[0]

    ways: dict[str, Callable[[Recording, int], Tensor]] = {
        "as told": lambda each, way: network.tell(each.low[way][None])[0],
        "mean of each band above those below": lambda each, way: upper(each.low[way]) + above,
        "none": lambda each, way: torch.full_like(each.high, math.log10(FLOOR)),
        "made, by the mirrored octave": made(by_mirror),
        "made, by noise": made(by_noise),
    }
    for name, way in ways.items():
        for number, source in enumerate(("as they are", "after codec and vocoder")):
            values = [off_db(way(each, number), each.high) for each in held]
            sys.stdout.write(f"{name}, {source}: {interval(values)} dB off ({len(held)} recordings)\n")


def main() -> None:
    """Read the words and the recordings, fit, tell, store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sounds", type=Path, default=Path("sfx"), help="folder of recordings, with index.tsv")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=32, help="rows of a second in a batch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="of the recordings, every so manyth alone")
    words = parser.parse_args()
    torch.manual_seed(words.seed)
    network = BandwidthExtension(ExtensionConfig())
    try:
        files, kept = named_files(words.sounds / "index.tsv"), set(named_files(HELD_OUT))
    except Mfv2aError as error:
        raise SystemExit(str(error)) from None
    with torch.inference_mode():
        learned = read(words.sounds, [each for each in files if each not in kept][:: words.every], network, held=False)
        held = read(words.sounds, [each for each in files if each in kept][:: words.every], network, held=True)
    average = learn(network, learned, words)
    network.load_state_dict(average.state, strict=False)
    with torch.inference_mode():
        differences = [each.high - each.low[0][each.low[0].shape[0] // 2 :].mean(0) for each in learned]
        tell(network.eval(), held, torch.cat(differences, 1).median(1, keepdim=True).values)
    facts = {"steps": words.steps, "recordings": len(learned)}
    path = save_network(words.out / "final.safetensors", "extension", network, facts=facts)
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
