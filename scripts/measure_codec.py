"""What is left of real sounds after the codec and the decoder to wave: what the tagger hears, distances, time.

    python scripts/measure_codec.py --sounds sfx                    the held-out recordings, 4 s each
    python scripts/measure_codec.py --sounds sfx --vae runs/vae --vocoder runs/vocoder     others than the shipped ones
    python scripts/measure_codec.py --sounds sfx --corrections 3    the vocoder's wave brought to the mel three times

For each way back to a wave: the share of sounds whose first tag is still among the first three, the share of the
first five tags that are still there, kernel (MMD^2, unbiased) and Frechet distance of the tagger's embeddings to the
true sounds, multi-resolution STFT distance, difference of level, seconds of work a second of sound. The tagger has no
part in training. 95 % intervals by bootstrap over the sounds. The ways: the mel as it is, and decoded from latents, by
the vocoder, by Griffin-Lim, and with the true phase, which no decoder to wave knows.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from split_sounds import HELD_OUT
from torch import Tensor

from mfv2a.config import ExtractConfig, load_toml
from mfv2a.data.sounds import arrange
from mfv2a.errors import Mfv2aError
from mfv2a.evaluation.metrics import frechet_distance, gaussian_kernel_distance, median_distance
from mfv2a.evaluation.tagger import embed_sounds
from mfv2a.jobs.items import load_sounds
from mfv2a.loader import load_pipeline
from mfv2a.models.extension import Extended
from mfv2a.models.griffinlim import GriffinLim
from mfv2a.models.istft import ISTFTVocoder
from mfv2a.models.mel import MelSpectrogram
from mfv2a.models.vae import VAE
from mfv2a.models.weights import load_network
from mfv2a.models.yamnet import Tagger
from mfv2a.training.tasks import spectral_distance

ROOT = Path(__file__).parents[1]
RATE_HZ, SECONDS, EDGE = 16000, 4.096, 128
MEANS = 1024
Rows = NDArray[np.float32]


def held_out(folder: str, most: int) -> list[Tensor]:
    """Waves [S] of the recordings that nothing was learned from, each arranged as for training."""
    exclude = load_toml(ROOT / "examples/runs/embedded-1-sounds.toml", ExtractConfig).source.exclude
    try:
        sounds = sorted(load_sounds(folder, "", exclude, str(HELD_OUT)), key=lambda sound: sound.file)
    except Mfv2aError as error:
        raise SystemExit(str(error)) from None
    length = round(SECONDS * RATE_HZ)
    waves = [arrange(sound, length, RATE_HZ, np.random.default_rng([k, 5])) for k, sound in enumerate(sounds[:most])]
    return [torch.from_numpy(np.asarray(wave, np.float32)) for wave in waves]


def with_true_phase(decoder: GriffinLim, mel: Tensor, wave: Tensor) -> Tensor:
    """The magnitude of a mel [1, M, F] with the phase of the wave [S] that it is of."""
    c, magnitude = decoder.config.mel, decoder.magnitude(mel)
    padded = torch.nn.functional.pad(wave[None, None], (EDGE, EDGE), mode="reflect")[:, 0]
    phase = torch.stft(padded, c.n_fft, c.hop, window=decoder.window, return_complex=True).angle()
    spectrum = torch.polar(magnitude, phase[..., : magnitude.shape[-1]])
    return torch.istft(spectrum, c.n_fft, c.hop, window=decoder.window, length=len(wave) + 2 * EDGE)[0, EDGE:-EDGE]


def tags(waves: list[Tensor], tagger: Tagger) -> list[list[int]]:
    """The tagger's classes of each wave, the likeliest first."""
    scores = [tagger.hear(wave.numpy(), sample_rate_hz=RATE_HZ)[0].mean(0) for wave in waves]
    return [list(np.argsort(-np.asarray(score))[:5]) for score in scores]


def interval(values: list[float]) -> str:
    """Mean and 95 % interval of it."""
    rng, numbers = np.random.default_rng(0), np.asarray(values)
    means = numbers[rng.integers(len(numbers), size=(1000, len(numbers)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{numbers.mean():.3f} ({low:.3f} to {high:.3f})"


def describe(made: list[Tensor], true: list[Tensor], seconds: float, tagger: Tagger, known: Rows) -> dict[str, str]:
    """The numbers of one way."""
    rows = embed_sounds([wave.numpy() for wave in made], tagger, sample_rate_hz=RATE_HZ)[:, :MEANS]
    here, there = tags(made, tagger), tags(true, tagger)
    level = [20 * float(torch.log10((a.std() + 1e-6) / (b.std() + 1e-6))) for a, b in zip(made, true, strict=True)]
    pairs, width = zip(made, true, strict=True), median_distance(known)
    return {
        "first tag in three": interval([float(b[0] in a[:3]) for a, b in zip(here, there, strict=True)]),
        "of five tags": interval([len(set(a) & set(b)) / 5 for a, b in zip(here, there, strict=True)]),
        "kernel": f"{gaussian_kernel_distance(rows, known, bandwidth=width, own=np.arange(len(rows))):.4f}",
        "frechet": f"{frechet_distance(rows, known):.1f}",
        "mrstft": interval([float(spectral_distance(a[None], b[None])) for a, b in pairs]),
        "level, dB": interval(level),
        "seconds a second": f"{seconds / (SECONDS * len(made)):.4f}",
    }


def networks(
    vae_run: Path | None, vocoder_run: Path | None, corrections: int | None
) -> tuple[VAE, Callable[[Tensor], Tensor]]:
    """Codec and vocoder of runs, or the shipped ones; the vocoder with another number of corrections, if given."""
    shipped = load_pipeline("embedded", device="cpu", generator=False)
    vae, vocoder = cast(VAE, shipped.vae), shipped.vocoder
    if isinstance(vocoder, Extended):
        vocoder = vocoder.vocoder
    if vae_run is not None:
        vae = cast(VAE, load_network(vae_run / "final.safetensors", "vae")[0])
        vae.fold_weights()
    if vocoder_run is not None:
        vocoder = cast(ISTFTVocoder, load_network(vocoder_run / "final.safetensors", "vocoder")[0])
    assert isinstance(vocoder, ISTFTVocoder)
    if corrections is not None:
        vocoder.config = replace(vocoder.config, corrections=corrections)
    return vae, vocoder


def main() -> None:
    """Read the words, go each way, print JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sounds", default="sfx", help="folder of labelled sounds")
    parser.add_argument("--most", type=int, default=1000, help="so many sounds at most")
    parser.add_argument("--vae", type=Path, help="run of another codec than the shipped one")
    parser.add_argument("--vocoder", type=Path, help="run of another vocoder than the shipped one")
    parser.add_argument("--corrections", type=int, help="of the vocoder, instead of its own number")
    words = parser.parse_args()
    torch.set_num_threads(1)
    tagger, mel_of, plain = Tagger.from_assets(), MelSpectrogram(), GriffinLim()
    vae, vocoder = networks(words.vae, words.vocoder, words.corrections)
    true = held_out(words.sounds, words.most)
    known = embed_sounds([wave.numpy() for wave in true], tagger, sample_rate_hz=RATE_HZ)[:, :MEANS]
    with torch.inference_mode():
        mels = [mel_of(wave[None]) for wave in true]
        decoded = [vae.decode(vae.encode(mel)[0]) for mel in mels]
        ways: dict[str, Callable[[int], Tensor]] = {
            "mel, vocoder": lambda k: vocoder(mels[k])[0],
            "decoded, vocoder": lambda k: vocoder(decoded[k])[0],
            "mel, Griffin-Lim": lambda k: plain(mels[k])[0],
            "decoded, Griffin-Lim": lambda k: plain(decoded[k])[0],
            "mel, true phase": lambda k: with_true_phase(plain, mels[k], true[k]),
            "decoded, true phase": lambda k: with_true_phase(plain, decoded[k], true[k]),
        }
        for name, way in ways.items():
            start = time.perf_counter()
            made = [way(k)[: len(wave)] for k, wave in enumerate(true)]
            seconds = time.perf_counter() - start
            told = describe(made, [wave[: len(a)] for wave, a in zip(true, made, strict=True)], seconds, tagger, known)
            sys.stdout.write(json.dumps({"way": name, "sounds": len(true), **told}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
