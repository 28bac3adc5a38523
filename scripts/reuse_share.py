"""How many of a public model's features `--reuse-frames` would take over, film by film, without encoding any.

    python scripts/reuse_share.py examples/videos/*.mp4 --tolerance 1 --tolerance 2

Prints, for each film and tolerance, pictures for CLIP and segments for Synchformer: all, those taken over, the largest
difference, and by which factor the encoders' arithmetic falls (39 TFLOP on 64 pictures, 8.9 on 24 segments), with the
two that are encoded to measure the error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mfv2a.encoders.mmaudio import MMAudioEncoders
from mfv2a.media.video import decode_video, probe_video
from mfv2a.models.preprocess import SEGMENT, STRIDE
from mfv2a.models.reuse import Reuse, cut_segments
from mfv2a.records import Reused

TFLOP = {"clip": 39 / 64, "sync": 8.9 / 24}


def nothing(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """An encoder that sees nothing."""
    return torch.zeros(len(pictures), 1)


def shares(path: Path, tolerance: float) -> list[Reused]:
    """What would be taken over of a film's pictures and segments."""
    found = []
    for name, request in MMAudioEncoders.frame_requests.items():
        reuse, held = Reuse(name, tolerance, nothing), []

        def take(frames: NDArray[np.uint8], name: str = name, held: list[NDArray[np.uint8]] = held) -> None:
            held.append(MMAudioEncoders.shrinkers[name](frames))

        decode_video(path, {name: request}, info=probe_video(path), on_frames={name: take})
        frames = np.concatenate(held)
        reuse.features(frames if name == "clip" else cut_segments(frames, SEGMENT, STRIDE))
        found.append(reuse.facts())
    return found


def main() -> None:
    """Look at each film."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--tolerance", action="append", type=float, required=True)
    wanted = parser.parse_args()
    for path in wanted.films:
        for tolerance in wanted.tolerance:
            facts = shares(path, tolerance)
            whole = sum(TFLOP[each.name] * each.seen for each in facts)
            done = sum(TFLOP[each.name] * (each.seen - each.reused + (each.difference > 0)) for each in facts)
            told = ", ".join(f"{each.name} {each.reused}/{each.seen} (to {each.difference:.2f})" for each in facts)
            sys.stdout.write(f"{path.name} at {tolerance:g}: {told}; {whole / done:.2f} times less\n")


if __name__ == "__main__":
    main()
