r"""How well what is seen in filmed clips tells when their own sound strikes, and how much of it is left in made sound.

    for s in $(seq 8 8 480); do                                # pieces of a film, with its own sound
        ffmpeg -ss $s -i film.mp4 -t 8 -map 0:v:0 -map 0:a:0 -c:v libx264 -c:a aac pieces/$(printf %03d $s).mp4
    done
    mfv2a dub pieces --out dubbed
    python scripts/measure_film.py pieces dubbed               # --only 080 --only 152: these alone

For each way the mean over the clips of Pearson's r between its envelope and the onset envelope of the clip's own sound,
25 times a second, above that with the envelope turned round in time by 0.2 s or more (`mfv2a evaluate` calls it
`envelope_above_chance`), with 95 % intervals by bootstrap over the clips. Curves are what the eyes tell, as it is:

    onset curve     of the sync encoder, how likely something strikes; its logit beside it
    impact          of the optical flow: how much motion stops, summed over directions; no network
    difference      of the frames
    movement        what ambience swells with where nothing is known of a clip, of logit and impact (`mfv2a.swell`)

and sounds are heard: what `mfv2a dub` made, and clicks where the onset curve strikes, however sure, and where impact
peaks, as loud as the curve is high there, as they are and through the codec and vocoder that made sound passes through.
The last lines are made sound less clicks, clip by clip.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from describe_sounds import told
from measure_codec import interval
from numpy.typing import NDArray

from mfv2a.encoders.compact import BRIGHTENING, COMPACT, DIFFERENCE, IMPACT, STRIKE_THRESHOLD, CompactEncoders
from mfv2a.errors import Mfv2aError
from mfv2a.evaluation.onsets import onset_envelope
from mfv2a.evaluation.pairs import compare_envelopes
from mfv2a.jobs.sight import decode_clip
from mfv2a.loader import load_pipeline
from mfv2a.media.audio import read_audio
from mfv2a.media.probe import probe_video
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.vae import VAE
from mfv2a.pipeline import Pipeline
from mfv2a.swell import movement_curve
from mfv2a.timeline import find_strikes

RATE_HZ, FPS = 16000, COMPACT.sync_rate_hz
DECAY_S, CLICK_S, PEAK = 0.06, 0.5, 1.0  # how long clicks ring; a peak lies so many deviations above the mean
FLOOR = 1e-4

Curve = NDArray[np.float32]
Wave = NDArray[np.float32]


def above_chance(curve: Curve, true: Curve) -> float:
    """Pearson's r of a curve and a true envelope that changes, less its mean over that turned round in time."""
    found = compare_envelopes(curve, true).above_chance
    if found is None:
        raise SystemExit("a clip is too short to be measured; leave out what is under 0.4 s")
    return found


def peaks(curve: Curve) -> list[int]:
    """Frames in which a curve is higher than before, no lower than after, and clearly above its mean."""
    least = curve.mean() + PEAK * curve.std()
    inner = (curve[1:-1] > curve[:-2]) & (curve[1:-1] >= curve[2:]) & (curve[1:-1] > least)
    return [int(frame) + 1 for frame in np.flatnonzero(inner)]


def clicks(frames: Sequence[int], curve: Curve, duration_s: float) -> Wave:
    """Bursts of noise [S] at some frames, each as loud as the curve is high there, over a faint floor."""
    rng = np.random.default_rng(0)
    wave = FLOOR * rng.standard_normal(round((duration_s + CLICK_S) * RATE_HZ))
    fading = np.exp(-np.arange(round(CLICK_S * RATE_HZ)) / RATE_HZ / DECAY_S)
    for frame in frames:
        start = round(frame / FPS * RATE_HZ)
        wave[start : start + len(fading)] += curve[frame] * fading * rng.standard_normal(len(fading))
    return (0.3 * wave[: round(duration_s * RATE_HZ)] / max(1.0, float(np.abs(wave).max()))).astype(np.float32)


def through_codec(pipeline: Pipeline) -> Callable[[Wave], Wave]:
    """What codec and vocoder leave of a wave."""
    codec, vocoder, front = cast(VAE, pipeline.vae), pipeline.vocoder, MelSpectrogram()
    assert vocoder is not None

    @torch.inference_mode()
    def code(wave: Wave) -> Wave:
        mel = front(torch.from_numpy(wave)[None])
        mel = mel[..., : mel.shape[-1] // 2 * 2]
        out: Wave = vocoder(codec.decode(codec.encode(mel)[0]))[0].numpy()
        return out

    return code


def look(path: Path, pipeline: Pipeline) -> tuple[Curve, Curve, Curve]:
    """Onset curve and its logits [Y], and motion features [Y, 168], of a clip."""
    encoders = pipeline.encoders
    assert isinstance(encoders, CompactEncoders)
    motion = decode_clip(probe_video(path), pipeline).motion
    assert motion is not None
    with torch.inference_mode():
        logits = encoders.sync.encode(torch.from_numpy(motion))[1].float()
    return logits.sigmoid().numpy(), logits.numpy(), motion


def measure(paths: list[Path], dubbed: Path, pipeline: Pipeline) -> dict[str, list[float]]:
    """The figure of each way, clip by clip."""
    found: dict[str, list[float]] = defaultdict(list)
    code, rate = through_codec(pipeline), pipeline.info.sample_rate_hz
    for path in paths:
        sound = read_audio(path, RATE_HZ).samples
        true = onset_envelope(sound, RATE_HZ, FPS)
        if float(np.ptp(true)) <= 0:
            sys.stderr.write(f"{path}: its sound never changes; left out\n")
            continue
        onset, logits, motion = look(path, pipeline)
        impact = motion[:, IMPACT]
        for name, curve in {
            "onset curve": onset,
            "its logit": logits,
            "impact": impact,
            "difference": motion[:, DIFFERENCE],
            "movement": movement_curve(logits, impact, motion[:, DIFFERENCE], motion[:, BRIGHTENING]),
        }.items():
            found[f"curve: {name}"].append(above_chance(curve, true))
        seconds = len(onset) / FPS
        struck = {
            "strikes": clicks(find_strikes(onset, STRIKE_THRESHOLD), onset, seconds),
            "impact": clicks(peaks(impact), impact, seconds),
        }
        for name, wave in struck.items():
            heard = onset_envelope(wave, RATE_HZ, FPS)
            coded = onset_envelope(code(wave), rate, FPS)
            found[f"clicks at {name}"].append(above_chance(heard, true))
            found[f"clicks at {name}, coded"].append(above_chance(coded, true))
        made = read_audio(dubbed / path.name, RATE_HZ).samples
        found["made sound"].append(above_chance(onset_envelope(made, RATE_HZ, FPS), true))
    return found


def main() -> None:
    """Read the words, measure, print a line a way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pieces", type=Path, help="folder of clips with their own sound")
    parser.add_argument("dubbed", type=Path, help="folder of the same clips with made sound")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="of this clip, without its ending")
    words = parser.parse_args()
    paths = [path for path in sorted(words.pieces.iterdir()) if path.is_file()]
    if words.only:
        paths = [path for path in paths if path.stem in words.only]
    if len(paths) < 2:
        raise SystemExit(f"{words.pieces}: fewer than two clips there to measure")
    torch.set_num_threads(1)
    found = measure(paths, words.dubbed, load_pipeline("embedded", device="cpu", generator=False))
    sys.stdout.write(f"{len(found['made sound'])} clips\n")
    for name, values in found.items():
        sys.stdout.write(f"{name:42} {interval(values)}\n")
    for name in (name for name in found if name.startswith("clicks")):
        less = [a - b for a, b in zip(found["made sound"], found[name], strict=True)]
        sys.stdout.write(f"{'made sound less ' + name:58} {interval(less)}\n")


if __name__ == "__main__":
    try:
        main()
    except Mfv2aError as error:
        raise SystemExit(told(error)) from None
