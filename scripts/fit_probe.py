"""Fit the probe that ships with the tagger: which label of the drawn scenes a sound belongs to.

    python scripts/fit_probe.py --scenes 3200 --kept embeddings.npz

It hears the sounds of held-out scenes that nothing else is measured on, each as it is and through the embedded model's
codec, so that it tells labels and not the vocoder. Writes src/mfv2a/assets/tagger/scenes.safetensors.
Prints first how well probes fitted on growing numbers of those scenes tell every eighth of them.
With --kept the embeddings are stored on the way, whole each time, and what is there is not made again.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file

from mfv2a.evaluation.tagger import ClassProbe, embed_sounds, fit_probe
from mfv2a.jobs.evaluate import PROBE_OFFSET, through_codec
from mfv2a.loader import load_pipeline
from mfv2a.media.whole import put_whole
from mfv2a.models.yamnet import Tagger
from mfv2a.scenes import HELD_OUT_SEED, make_scene

ASSET = Path(__file__).resolve().parent.parent / "src" / "mfv2a" / "assets" / "tagger" / "scenes.safetensors"
TESTED, CHUNK = 8, 50
Rows = NDArray[np.float32]


def npz_path(path: Path) -> Path:
    """The name of an archive of arrays, which ends in .npz."""
    return path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")


def keep(path: Path, **arrays: Any) -> None:
    """Store arrays in the place of what is there, whole or not at all."""
    data = io.BytesIO()
    np.savez(data, **arrays)
    put_whole(path, data.getvalue())


def embed_scenes(count: int, kept: Path | None) -> tuple[Rows, Rows, list[str]]:
    """Embeddings of scenes' sounds, true [N, 2048] and through the codec [N, 2048], and their labels."""
    pipeline, tagger = load_pipeline("embedded"), Tagger.from_assets()
    rate = pipeline.spec.sample_rate_hz
    true, coded, labels = np.zeros((0, 2048), np.float32), np.zeros((0, 2048), np.float32), []
    kept = None if kept is None else npz_path(kept)
    if kept is not None and kept.exists():
        with np.load(kept) as file:
            true, coded, labels = file["true"], file["coded"], file["labels"].tolist()
    while len(labels) < count:
        first = HELD_OUT_SEED + PROBE_OFFSET + len(labels)
        scenes = [make_scene(first + k) for k in range(min(CHUNK, count - len(labels)))]
        waves = [scene.sound(rate) for scene in scenes]
        true = np.concatenate([true, embed_sounds(waves, tagger, sample_rate_hz=rate)])
        through = [through_codec(wave, pipeline) for wave in waves]
        coded = np.concatenate([coded, embed_sounds(through, tagger, sample_rate_hz=rate)])
        labels += [scene.label for scene in scenes]
        if kept is not None:
            keep(kept, true=true, coded=coded, labels=labels)
        sys.stderr.write(f"{len(labels)} of {count}\n")
    return true[:count], coded[:count], labels[:count]


def fit(true: Rows, coded: Rows, labels: list[str]) -> ClassProbe:
    """The probe of both ways."""
    return fit_probe(np.concatenate([true, coded]), labels * 2)


def main() -> None:
    """Embed, tell how the number of scenes matters, fit, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=3200)
    parser.add_argument("--kept", type=Path, help="an .npz file that holds the embeddings")
    words = parser.parse_args()
    true, coded, labels = embed_scenes(words.scenes, words.kept)
    asked = np.arange(len(labels)) % TESTED == 0
    names = np.asarray(labels)
    others, test = np.flatnonzero(~asked), names[asked].tolist()
    for count in (len(others) // 8, len(others) // 4, len(others) // 2, len(others)):
        taken = others[:count]
        probe = fit(true[taken], coded[taken], names[taken].tolist())
        told = probe.accuracy(true[asked], test), probe.accuracy(coded[asked], test)
        sys.stdout.write(f"{count} scenes: true sound {told[0]:.3f}, through the codec {told[1]:.3f}\n")
    save_file(fit(true, coded, labels).rows(), ASSET)
    ASSET.chmod(0o644)  # safetensors writes files for their owner alone
    sys.stdout.write(f"{ASSET.name}: {ASSET.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
