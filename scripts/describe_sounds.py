"""Tell by numbers what is in sound or video files, as a Markdown table, and draw their spectrograms.

    python scripts/describe_sounds.py dubbed/*.mp4 --spectrograms docs/spectrograms

Level, bandwidth (95 % of the energy lies below), spectral flatness (0 a tone, 1 white noise), detected onsets, and what
the tagger hears.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mfv2a.errors import MediaError, Mfv2aError
from mfv2a.evaluation.description import describe_sound, spectrogram_png
from mfv2a.media.audio import read_audio
from mfv2a.models.yamnet import Tagger

RATE_HZ = 16000


def main() -> None:
    """Read the words, describe each file."""
    parser = argparse.ArgumentParser(description="Describe sounds by numbers.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--spectrograms", type=Path, metavar="DIR", help="write a PNG a file")
    words = parser.parse_args()
    tagger = Tagger.from_assets()
    sys.stdout.write(
        "| file | heard as | level, dBFS | bandwidth, Hz | flatness | onsets, s |\n|---|---|---|---|---|---|\n"
    )
    for path in words.files:
        wave = read_audio(path, RATE_HZ).samples
        told = describe_sound(wave, RATE_HZ, tagger=tagger, top=3)
        heard = ", ".join(f"{name} {score:.2f}" for name, score in told["tags"])
        onsets = " ".join(f"{time:.2f}" for time in told["onsets_s"]) or "none"
        row = (
            path.name,
            heard,
            f"{told['rms_dbfs']:.1f}",
            f"{told['bandwidth_hz']:.0f}",
            f"{told['flatness']:.3f}",
            onsets,
        )
        sys.stdout.write("| " + " | ".join(row) + " |\n")
        if words.spectrograms:
            words.spectrograms.mkdir(parents=True, exist_ok=True)
            spectrogram_png(wave, RATE_HZ, words.spectrograms / f"{path.stem}.png", title=path.stem)


def told(error: Mfv2aError) -> str:
    """An error in one line: which file, what, what to do."""
    what = f"{error.path}: {error}" if isinstance(error, MediaError) else str(error)
    return f"{what} - {error.hint}" if error.hint else what


if __name__ == "__main__":
    try:
        main()
    except Mfv2aError as error:
        raise SystemExit(told(error)) from None
