"""The list of the embedded model's sounds, and how a sound is told to be the one that it names.

    python scripts/sound_list.py sfx                                          print how many of its files are the list's
    python scripts/sound_list.py sfx --write examples/runs/embedded-sounds.tsv.gz   make the list from a folder

Each row: `file`, `sha256` of the file that was trained on, `seconds`, `shape`, `label`, `title`, `set`, `licence`,
`source`. The files were made from others (MP3, Ogg, FLAC) as mono Opus of 48 kHz, cut at 24 s; an encoder of another
version gives other bytes. `shape` tells the sound itself: its loudness in 16 equal parts, a hexadecimal digit each,
3 dB a level below the loudest.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mfv2a.jobs.items import sound_path
from mfv2a.media.audio import read_audio

LIST = Path(__file__).parents[1] / "examples/runs/embedded-sounds.tsv.gz"
FIELDS = ("file", "sha256", "seconds", "shape", "label", "title", "set", "licence", "source")
RATE_HZ, LONGEST_S, PARTS, LEVEL_DB = 48000, 24.0, 16, 3.0
LENGTH_S, LEVELS = 0.15, 1.5  # how far two decodings of one sound may be apart: padding of MP3, codecs
SOURCES = {
    "Berklee/OLPC sound library": "https://github.com/Tonejs/audio (Berklee/*.mp3)",
    "ESC-10": "https://github.com/karolpiczak/ESC-10/archive/553c8f1743b9dba6b282e1323c3ca8fa76923448.zip",
    "Sonic Pi samples": "https://packages.debian.org/sonic-pi-samples (etc/samples/*.flac of Sonic Pi)",
}

Row = dict[str, str]


def read_list(path: Path = LIST) -> list[Row]:
    """The rows of a list."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def decoded(path: Path) -> NDArray[np.float32]:
    """The sound of a file as it was trained on: mono, 48 kHz, at most 24 s."""
    return read_audio(path, RATE_HZ).samples[: round(LONGEST_S * RATE_HZ)]


def shape_of(samples: NDArray[np.float32]) -> str:
    """Loudness of 16 equal parts of a sound [S] below the loudest, a hexadecimal digit each."""
    power = np.array([float(np.mean(np.square(part))) for part in np.array_split(samples, PARTS) if len(part)])
    below = -10 * np.log10((power + 1e-12) / (power.max() + 1e-12)) / LEVEL_DB
    return "".join(f"{round(level):x}" for level in below.clip(0, 15))


def is_same(samples: NDArray[np.float32], row: Row) -> bool:
    """Whether a sound [S] is that of a row, by length and shape."""
    if abs(len(samples) / RATE_HZ - float(row["seconds"])) > LENGTH_S or not len(samples):
        return False
    ours, theirs = shape_of(samples), row["shape"]
    apart = [abs(int(a, 16) - int(b, 16)) for a, b in zip(ours, theirs, strict=False)]
    return len(ours) == len(theirs) and sum(apart) / len(apart) <= LEVELS


def make_list(folder: Path) -> list[Row]:
    """The rows of a folder with `index.tsv` and the sounds beside it or in `audio`."""
    with (folder / "index.tsv").open(encoding="utf-8", newline="") as file:
        index = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = []
    for entry in index:
        path = sound_path(folder, entry["file"])
        samples = decoded(path)
        told = {"sha256": sha256_of(path), "shape": shape_of(samples), "source": SOURCES[entry["set"]]}
        rows.append({name: str({**entry, **told, "seconds": f"{len(samples) / RATE_HZ:.3f}"}[name]) for name in FIELDS})
    return rows


def packed(rows: list[Row]) -> bytes:
    """A list as gzipped TSV; the same bytes for the same rows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
    writer.writeheader()
    writer.writerows(rows)
    return gzip.compress(text.getvalue().encode(), mtime=0)


def main() -> None:
    """Make the list, or compare a folder with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path, help="make this list from the folder")
    options = parser.parse_args()
    if options.write:
        rows = make_list(options.folder)
        options.write.write_bytes(packed(rows))
        sys.stdout.write(f"{len(rows)} rows in {options.write}\n")
        return
    rows = read_list()
    there = [row for row in rows if sound_path(options.folder, row["file"]).is_file()]
    same = sum(sha256_of(sound_path(options.folder, row["file"])) == row["sha256"] for row in there)
    sys.stdout.write(f"{len(there)} of {len(rows)} files, {same} with the list's sha256\n")


if __name__ == "__main__":
    main()
