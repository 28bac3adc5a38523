"""Tell how well a sync encoder alone sees what strikes, on held-out scenes.

    python scripts/measure_sync.py src/mfv2a/assets/embedded/sync.safetensors --scenes 192
    python scripts/measure_sync.py src/mfv2a/assets/embedded/sync.safetensors --scenes 192 --view small

The second shows each scene as a part of the picture only, at a random place (`scripts/places.py`): filmed events are
not always large and in the middle. With `--view amid` something else moves all around it. Prints onset F1 at 100 ms for
several thresholds (mean over scenes with events, and pooled), the share of classes that are right, and for several
heights in how many scenes with events, and without any, the onset curve gets so high: what `SURE_STRIKE` of
`mfv2a.encoders.compact` is chosen by. With `--view calm` pictures in which nothing strikes take the place of scenes
(`scripts/calm.py`, others than those that were learned), and the heights alone are told. With `--fps 16` scenes as
drawn are filmed at so many pictures a second and measured as `mfv2a dub` does; else they have 25. With `--shown 30`
as well each of those is shown again until the next one comes, in a file of so many; with `--coded 26` it is a file,
H.264 of that quality (FFmpeg's crf), 384x216, through the decoder.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from calm import FRAMES, calm_frames
from numpy.typing import NDArray
from places import amid, filmed, nearer, small
from torch import nn

from mfv2a.encoders.compact import CompactEncoders
from mfv2a.evaluation.onsets import match_onsets, mean_onset_f1, onset_f1
from mfv2a.media.ffmpeg import find_ffmpeg
from mfv2a.media.motion import MOTION_FPS, MOTION_SIZE_PX, MotionMeter, motion_features
from mfv2a.media.video import decode_video
from mfv2a.models.weights import load_network
from mfv2a.scenes import HELD_OUT_SEED, LABELS, Scene, make_scene
from mfv2a.timeline import find_strikes

FIRST = HELD_OUT_SEED + 700_000  # other scenes than those of `mfv2a evaluate`
THRESHOLDS = (0.3, 0.35, 0.4, 0.5)
HEIGHTS = (0.65, 0.72, 0.75, 0.8)
FIRST_CALM = 1_000_000
WIDTH_PX, HEIGHT_PX = 384, 216
VIEWS = {"drawn": lambda frames, rng: frames, "small": small, "amid": amid, "nearer": nearer}


def measure_calm(network: nn.Module, count: int) -> None:
    """Show pictures in which nothing strikes; print in how many of them the onset curve gets how high."""
    clips = (np.stack(list(calm_frames(np.random.default_rng(FIRST_CALM + k), FRAMES))) for k in range(count))
    with torch.inference_mode():
        curves = [network(torch.from_numpy(motion_features(clip))[None]).onset[0].sigmoid() for clip in clips]
    tops = np.array([float(curve.max()) for curve in curves])
    sys.stdout.write(f"{count} clips in which nothing strikes\n")
    for height in HEIGHTS:
        sys.stdout.write(f"height {height}: {(tops >= height).mean():.2f}\n")


def coded(scene: Scene, fps: float, shown: float | None, crf: int) -> NDArray[np.float32]:
    """Motion [T, 168] of a scene in a file of its own, as `mfv2a dub` measures it."""
    meter, parts = MotionMeter(), []
    pictures = scene.render(fps, WIDTH_PX, HEIGHT_PX, own_rate=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.mp4"
        line = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        line += ["-s", f"{WIDTH_PX}x{HEIGHT_PX}", "-r", str(fps), "-i", "-", "-vf", f"fps={shown or fps}"]
        line += ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-crf", str(crf), str(path)]
        subprocess.run(line, input=pictures.tobytes(), check=True)
        asked = {"motion": CompactEncoders.frame_requests["motion"]}
        decode_video(path, asked, on_frames={"motion": lambda *frames: parts.append(meter.measure(*frames))})
    return np.concatenate(parts)


def main() -> None:
    """Read the words, show each scene to the encoder, print what it saw."""
    parser = argparse.ArgumentParser(description="Measure a sync encoder on held-out scenes.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--scenes", type=int, default=192)
    parser.add_argument("--view", choices=[*sorted(VIEWS), "calm"], default="drawn")
    parser.add_argument("--fps", type=float, help="pictures a second of scenes as drawn; 25 if left out")
    parser.add_argument("--shown", type=float, help="pictures a second of a file in which each of those is repeated")
    parser.add_argument("--coded", type=int, metavar="CRF", help="quality of the file that the scene is put into")
    words = parser.parse_args()
    if words.fps and (words.view != "drawn" or words.fps < 4):
        parser.error("--fps is for scenes as drawn, and 4 or more")
    if not words.fps and (words.shown or words.coded is not None):
        parser.error("--shown and --coded are for scenes filmed at --fps")
    network, _ = load_network(words.weights, "sync")
    if words.view == "calm":
        measure_calm(network, words.scenes)
        return
    scenes = [make_scene(FIRST + k) for k in range(words.scenes)]
    curves, right = [], 0
    for number, scene in enumerate(scenes):
        if words.coded is not None:
            motion = coded(scene, words.fps, words.shown, words.coded)
        elif words.fps:
            motion = filmed(scene, words.fps, words.shown)
        else:
            drawn = scene.render(MOTION_FPS, MOTION_SIZE_PX, MOTION_SIZE_PX, gray=True)
            motion = motion_features(VIEWS[words.view](drawn, np.random.default_rng(number)))
        with torch.inference_mode():
            out = network(torch.from_numpy(motion)[None])
        curves.append(out.onset[0].sigmoid().numpy())
        right += LABELS[int(out.label.argmax())] == scene.label
    sys.stdout.write(f"{len(scenes)} scenes, class right for {right / len(scenes):.3f}\n")
    for threshold in THRESHOLDS:
        matches = [
            match_onsets([k / MOTION_FPS for k in find_strikes(curve, threshold)], [e.time_s for e in scene.events])
            for curve, scene in zip(curves, scenes, strict=True)
            if scene.events
        ]
        sys.stdout.write(f"threshold {threshold}: F1 {mean_onset_f1(matches):.3f}, pooled {onset_f1(matches):.3f}\n")
    tops, struck = np.array([curve.max() for curve in curves]), np.array([bool(scene.events) for scene in scenes])
    for height in HEIGHTS:
        shares = (tops[struck] >= height).mean(), (tops[~struck] >= height).mean()
        sys.stdout.write(f"height {height}: {shares[0]:.2f} of scenes with events, {shares[1]:.2f} of the others\n")


if __name__ == "__main__":
    main()
