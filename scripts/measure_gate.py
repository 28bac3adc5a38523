"""How often the tagger hears speech and music where there are none, and where there are: what the gate stands on.

    python scripts/measure_gate.py SOUNDS --count 200

SOUNDS is a folder of labelled sounds with an index.tsv (file, label), as scripts/rebuild_training_folder.py makes it.
Sounds whose labels name a voice, an instrument or a tone are left out of the first count; those that name several notes
(riffs, chords, loops) are music. Speech is 30 sentences of espeak-ng, five voices at three pitches and two speeds,
where the package espeakng-loader is installed.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import MediaError
from mfv2a.evaluation.unwanted import CLASSES, THRESHOLDS, heard_of
from mfv2a.jobs.items import sound_path
from mfv2a.media.audio import read_audio
from mfv2a.media.resampling import resample
from mfv2a.models.yamnet import SAMPLE_RATE_HZ, Tagger

VOICES = r"voice|vocal|mouth|baby|cry|laugh|speak|talk|whisper|choir|sing|oo |aa |vocoder|voc"
TONES = (
    r"synth|piano|guitar|violin|flute|organ|bass|string|chord|orch|music|bell|marimba|harp|cello|tone|drum|loop|perc|glock|"
    r"horn|accord|theremin|bowed|gong|chime|ahn|pad|c$|g$|[a-g]b?#?$|pluck|kalimba|sax|trumpet|note|arp|hum|enoth"
)
SEVERAL_NOTES = r"riff|music box|groovin|chord| arp|loop|orch|synth in|piano pad|piano strings|melod|song|choir"
SENTENCES = (
    "The train to the coast leaves at seven in the morning.",
    "I do not know who was at the door last night.",
    "Please hold the line, somebody will be with you soon.",
    "We walked along the river and talked about the old days.",
    "Nine hundred people came to see the match.",
)
LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6)
Patches = list[NDArray[np.float32]]


def main() -> None:
    """Listen and print the shares that count as heard at several thresholds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sounds", type=Path)
    parser.add_argument("--count", type=int, default=200, help="sounds drawn of the folder")
    options = parser.parse_args()
    tagger = Tagger.from_assets()
    with (options.sounds / "index.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    random.Random(0).shuffle(rows)
    drawn = rows[: options.count]
    plain = [row for row in drawn if not re.search(f"{VOICES}|{TONES}", row["label"], re.IGNORECASE)]
    music = [row for row in rows if re.search(SEVERAL_NOTES, row["label"], re.IGNORECASE)][:60]
    heard = {
        "sound effects": [tagger.hear(wave)[0].numpy() for wave in read(options.sounds, plain)],
        "several notes": [tagger.hear(wave)[0].numpy() for wave in read(options.sounds, music)],
        "sentences": [tagger.hear(wave)[0].numpy() for wave in sentences()],
    }
    if not heard["sound effects"]:
        raise SystemExit(f"no sound of {options.sounds} could be read: they lie beside index.tsv, or in audio there")
    figures: dict[str, Any] = {"thresholds": dict(THRESHOLDS)}
    for name, patches in heard.items():
        figures[name] = {"sounds": len(patches)} | {kind: shares(kind, patches, tagger) for kind in CLASSES}
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


def shares(kind: Any, patches: Patches, tagger: Tagger) -> dict[str, float]:
    """The share of sounds that count as heard, at several thresholds."""
    scores = np.array([heard_of(kind, each, tagger.names) for each in patches])
    return {f"{level:g}": round(float((scores >= level).mean()), 3) for level in LEVELS} if len(scores) else {}


def read(folder: Path, rows: list[dict[str, str]]) -> Iterator[NDArray[np.float32]]:
    """The sounds of some rows at 16 kHz; what cannot be read is left out."""
    for row in rows:
        try:
            yield read_audio(sound_path(folder, row["file"]), SAMPLE_RATE_HZ).samples
        except MediaError as error:
            sys.stderr.write(f"{error.path}: {error}\n")


def sentences() -> Iterator[NDArray[np.float32]]:
    """Sentences spoken by espeak-ng; none if it is not here."""
    try:
        import espeakng_loader
    except ImportError:
        sys.stderr.write("no speech: pip install espeakng-loader\n")
        return
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate_hz = library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    blocks: list[NDArray[np.int16]] = []

    def take(wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            blocks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        return 0

    sink = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)(take)
    library.espeak_SetSynthCallback(sink)
    number = 0
    for voice in ("en", "en-us", "de", "fr", "es"):
        for pitch in (30, 50, 75):
            for speed in (140, 190):
                blocks.clear()
                library.espeak_SetVoiceByName(voice.encode())
                library.espeak_SetParameter(1, speed, 0)
                library.espeak_SetParameter(3, pitch, 0)
                text = SENTENCES[number % len(SENTENCES)].encode()
                library.espeak_Synth(text, len(text) + 1, 0, 0, 0, 1, None, None)
                library.espeak_Synchronize()
                number += 1
                yield resample(np.concatenate(blocks).astype(np.float32) / 32768, rate_hz, SAMPLE_RATE_HZ)


if __name__ == "__main__":
    main()
