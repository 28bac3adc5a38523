"""What is seen and heard of a finished file at a glance: frames, spectrogram, hits, tags; kept beside the files.

The folder `.gallery` in the output folder holds three small files for each output: facts, strip, spectrogram. They
count as long as the output's size and time are those that they were made of, so a folder that is done is not looked
at twice. This module does not know the page that shows them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.disk import cannot_write
from mfv2a.errors import MediaError
from mfv2a.evaluation.spectrum import magnitudes, mel_bands
from mfv2a.jobs.report import encode_json
from mfv2a.jobs.sound import FAINT_DBFS
from mfv2a.media.excerpt import read_excerpt
from mfv2a.media.thumbnails import encode_levels, film_strip
from mfv2a.media.whole import replace_whole

if TYPE_CHECKING:
    from mfv2a.models.yamnet import Tagger

FOLDER = ".gallery"
VERSION = 3
LONGEST_S = 180.0
"""No more of a file than this is drawn and listened to."""
RATE_HZ = 32_000
LOW_HZ, NARROW_HZ, WIDE_HZ = 20.0, 8_000.0, 16_000.0
SHADES, RANGE_DB = 24, 70.0
PICTURE = (400, 64)  # columns and mel bands of a spectrogram
TAGS = 5
SOFT_PEAK = 0.05
STALE_S = 3600.0  # a temporary file that is older has lost its writer


@dataclass(frozen=True, slots=True)
class Sketch:
    """What was seen and heard of one file.

    Attributes:
        facts: "span_s" (how much of it), "onsets_s", "tags" [(name, score)], "top_hz" of the spectrogram, and for
            what could not be had "problem"; JSON-ready.
        strip, spectrogram: the pictures' files, None for one that could not be made.
    """

    facts: Mapping[str, Any]
    strip: Path | None
    spectrogram: Path | None


class SketchBook:
    """The sketches of an output folder.

    Args:
        out: the output folder.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out / FOLDER

    def find(self, name: str, output: Path) -> Sketch | None:
        """The kept sketch of a file, None if there is none or the file is another one now.

        Args:
            name: of the output within the folder.
            output: the file.
        """
        key = _key(name)
        try:
            kept = json.loads((self.folder / f"{key}.json").read_bytes())
            if kept["stamp"] != _stamp(output):
                return None
            facts, sizes = dict(kept["facts"]), dict(kept["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        pictures = [self._picture(key, suffix, sizes.get(suffix)) for suffix in (".jpg", ".png")]
        if any(picture is not None and not picture[1] for picture in pictures):
            return None
        strip, spectrogram = (picture and picture[0] for picture in pictures)
        return Sketch(facts, strip, spectrogram)

    def _picture(self, key: str, suffix: str, size: Any) -> tuple[Path, bool] | None:
        """The file of a picture and whether it is whole; None where there shall be none."""
        if size is None:
            return None
        path = self.folder / f"{key}{suffix}"
        try:
            return path, path.stat().st_size == size
        except OSError:
            return path, False

    def make(self, name: str, output: Path, duration_s: float, tagger: Tagger) -> Sketch:
        """Looks at a file, listens to it, and keeps what came of it. May be called by several threads.

        Args:
            name: of the output within the folder.
            output: the file.
            duration_s: of its picture.
            tagger: who names what is heard.

        Raises:
            StartError: nothing can be written.
        """
        stamp = _stamp(output)
        span_s = min(max(duration_s, 1e-3), LONGEST_S)
        facts: dict[str, Any] = {"span_s": round(span_s, 4)}
        pictures: dict[str, bytes] = {}
        problems = []
        try:
            pictures[".jpg"] = film_strip(output, span_s)
        except MediaError as error:
            problems.append(str(error))
        try:
            pictures[".png"] = _listen(output, span_s, tagger, facts)
        except MediaError as error:
            problems.append(str(error))
        if problems:
            facts["problem"] = "; ".join(problems)
        self._keep(name, stamp, facts, pictures)
        places = [self.folder / f"{_key(name)}{suffix}" if suffix in pictures else None for suffix in (".jpg", ".png")]
        return Sketch(facts, *places)

    def prune(self, names: Iterable[str]) -> None:
        """Removes the sketches of files that are gone, and what a killed run left half written.

        Others may be making sketches here at the same time, of files that this run knows nothing of: those stay.

        Args:
            names: of the files that are known to be there.
        """
        known = {_key(name) for name in names}
        with suppress(OSError):
            for path in list(self.folder.iterdir()):
                if path.suffix == ".part" and time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink(missing_ok=True)
                elif path.suffix == ".json" and path.stem not in known and self._is_gone(path):
                    for suffix in (".json", ".jpg", ".png"):
                        path.with_suffix(suffix).unlink(missing_ok=True)

    def _is_gone(self, path: Path) -> bool:
        """Whether the file that a sketch is of is not there; so is that of a sketch that cannot be read."""
        try:
            return not (self.folder.parent / json.loads(path.read_bytes())["name"]).is_file()
        except (OSError, ValueError, KeyError, TypeError):
            return True

    def _keep(self, name: str, stamp: list[int], facts: Mapping[str, Any], pictures: Mapping[str, bytes]) -> None:
        """Writes the pictures, then the facts that vouch for them."""
        key, sizes = _key(name), {suffix: len(data) for suffix, data in pictures.items()}
        record = encode_json({"name": name, "stamp": stamp, "facts": facts, "bytes": sizes})
        try:
            self.folder.mkdir(exist_ok=True)
            for suffix, data in (*pictures.items(), (".json", record)):
                replace_whole(self.folder / f"{key}{suffix}", data)
        except OSError as error:
            raise cannot_write(self.folder, error) from error


def mel(hertz: float) -> float:
    """A frequency in mel, as `evaluation.spectrum` has it."""
    return 2595 * float(np.log10(1 + hertz / 700))


def _listen(output: Path, span_s: float, tagger: Tagger, facts: dict[str, Any]) -> bytes:
    """Listens to the beginning of a file: adds what is heard to the facts, gives back the spectrogram."""
    from mfv2a.evaluation.description import describe_sound
    from mfv2a.media.resampling import resample

    audio = read_excerpt(output, RATE_HZ, span_s)
    heard = describe_sound(resample(audio.samples, RATE_HZ, RATE_HZ // 2), RATE_HZ // 2, tagger=tagger, top=TAGS)
    picture, top_hz = draw_spectrogram(audio.samples, RATE_HZ, span_s)
    facts |= {name: heard[name] for name in ("onsets_s", "tags", "bandwidth_hz")}
    if heard["peak_dbfs"] < FAINT_DBFS:
        facts["onsets_s"] = []
    facts |= {"top_hz": top_hz, "rms_dbfs": heard["rms_dbfs"], "peak_dbfs": heard["peak_dbfs"]}
    return encode_levels(picture)


def draw_spectrogram(samples: NDArray[np.float32], rate_hz: int, span_s: float) -> tuple[NDArray[np.uint8], float]:
    """A log-mel spectrogram as a picture.

    Args:
        samples: mono [S].
        rate_hz: of the samples, 32 kHz or more.
        span_s: seconds that the picture is wide; what the samples lack is silence.

    Returns:
        Levels [64, 400] uint8 in 24 shades, high frequencies on top, 255 the loudest and 0 what is 70 dB or more
        below, of a sound without peaks of -26 dBFS as if it had some, for what can hardly be heard is to stay dark;
        and its upper edge in Hz: 8 kHz where nothing is heard above, else 16 kHz.
    """
    columns, bands = PICTURE
    window = 2 * round(0.02 * rate_hz)
    needed = round(span_s * rate_hz)
    wave = np.pad(samples[:needed], (0, max(0, needed - len(samples))))
    hop = max(1, min(window // 2, needed // columns))
    power = np.square(magnitudes(wave, window=window, hop=hop))
    hertz = np.arange(power.shape[1]) * rate_hz / window
    whole = float(power.mean(axis=0).max(initial=0.0))
    above = float(power[:, hertz > NARROW_HZ * 1.05].mean(axis=0).max(initial=0.0))
    top_hz = WIDE_HZ if above > whole * 10 ** (-RANGE_DB / 10) else NARROW_HZ
    filters = mel_bands(rate_hz, window=window, bands=bands, low_hz=LOW_HZ, high_hz=top_hz)
    level = _columns(power @ filters, columns)
    decibels = 10 * np.log10(np.maximum(level, 1e-12) / max(float(level.max(initial=0.0)), 1e-12))
    decibels += min(0.0, 20 * math.log10(max(float(np.abs(wave).max(initial=0.0)), 1e-6) / SOFT_PEAK))
    shades = np.round(np.clip(1 + decibels / RANGE_DB, 0, 1) * (SHADES - 1))
    if float(level.max(initial=0.0)) <= 1e-12:  # silence has no loudest part
        shades = np.zeros_like(shades)
    return np.ascontiguousarray(np.round(shades * (255 / (SHADES - 1))).astype(np.uint8).T[::-1]), top_hz


def _columns(level: NDArray[np.floating[Any]], columns: int) -> NDArray[np.floating[Any]]:
    """Rows in time [F, M] -> [columns, M]: the loudest that share a column, the nearest where they are few."""
    edges = np.linspace(0, len(level), columns + 1)
    first = np.minimum(edges[:-1].astype(int), len(level) - 1)
    last = np.maximum(np.ceil(edges[1:]).astype(int), first + 1)
    return np.stack([level[start:end].max(axis=0) for start, end in zip(first, last, strict=True)])


def _key(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:24]


def _stamp(path: Path) -> list[int]:
    """What tells one state of a file from another."""
    status = path.stat()
    return [VERSION, status.st_size, status.st_mtime_ns]
