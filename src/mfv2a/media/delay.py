"""What an encoder puts in front of the sound, where ffmpeg alone would leave it to be heard.

An AAC or Opus encoder begins with a few milliseconds that are not sound, and a container has to say so, else the
sound comes late. ffmpeg falls short twice, and the few bytes are then overwritten in the finished file:

* Matroska states it as CodecDelay and stores timestamps with the delay added. ffmpeg before 7 states it for Opus
  only and adds it for neither. Rather than trust version numbers, 50 ms are written and read. Where CodecDelay has
  to be added, ffmpeg is asked to give the sound track a name of eight letters, and that element is replaced.
* MP4 and QuickTime state it in the edit list; but when the picture begins late, ffmpeg begins the sound earlier by
  the delay instead, and the track is stated too long.

Sources: RFC 9559 (Matroska), elements Name 0x536E and CodecDelay 0x56AA; ISO/IEC 14496-12, box `elst`.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av

from mfv2a.errors import MediaError
from mfv2a.media.boxes import read_tracks
from mfv2a.media.ffmpeg import ask_ffmpeg

AAC_DELAY_SAMPLES = 1024
OPUS_DELAY_S = 0.0065
PLACE_NAME = "mfv2aCDL"
NAME_ELEMENT = b"\x53\x6e\x88" + PLACE_NAME.encode()
HEADER_BYTES = 4 << 20


def encoder_delay(encoder: str, rate_hz: int) -> float:
    """Seconds that an encoder puts in front of the sound; 0 for the lossless ones."""
    return {"aac": AAC_DELAY_SAMPLES / rate_hz, "libopus": OPUS_DELAY_S}.get(encoder, 0.0)


@dataclass(frozen=True)
class DelayHabits:
    """What an ffmpeg does with an encoder's delay in Matroska.

    Attributes:
        states: it writes CodecDelay.
        adds: it adds the delay to the timestamps.
    """

    states: bool
    adds: bool


@lru_cache(maxsize=16)
def delay_habits(ffmpeg: Path, encoder: str) -> DelayHabits:
    """Find out by writing 50 ms of silence with `encoder`.

    Raises:
        FfmpegMissingError: the program cannot be run.
    """
    delay_s = encoder_delay(encoder, 48000)
    silence = ["-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono:d=0.05"]
    form = ["-avoid_negative_ts", "disabled", "-f", "matroska", "pipe:1"]
    written = ask_ffmpeg(ffmpeg, *silence, "-c:a", encoder, *form)
    nanoseconds = struct.pack(">I", int(delay_s * 1e9)).lstrip(b"\0")
    states = b"\x56\xaa" + bytes([0x80 | len(nanoseconds)]) + nanoseconds in written
    with av.open(io.BytesIO(written), mode="r") as container:
        packet = next(container.demux(container.streams.audio[0]))
        read_s = float((packet.pts or 0) * packet.time_base)
    stored_s = read_s + delay_s if states else read_s  # the reader takes a stated delay off
    return DelayHabits(states=states, adds=stored_s > -delay_s / 2)


def state_matroska_delay(path: Path, delay_s: float) -> None:
    """Overwrite the place-holding track name of a Matroska file by its CodecDelay.

    Raises:
        MediaError: the place is not there.
    """
    with path.open("r+b") as file:
        place = file.read(HEADER_BYTES).find(NAME_ELEMENT)
        if place < 0:
            raise MediaError(path, "has no place for the delay of its sound")
        file.seek(place)
        file.write(b"\x56\xaa\x88" + struct.pack(">Q", round(delay_s * 1e9)))


def state_mp4_delay(path: Path, delay_s: float, num_samples: int, rate_hz: int) -> None:
    """Rewrite the edit list of a late-beginning sound: empty until the picture, then exactly the sound.

    Args:
        path: an MP4 or QuickTime file whose movie timescale is `rate_hz`.
        delay_s: what the encoder put in front.
        num_samples: length of the sound at `rate_hz`.
        rate_hz: the sound's rate.
    """
    with path.open("r+b") as file:
        track = next((track for track in read_tracks(file)[1] if track.kind == "soun"), None)
        if track is None or track.edits is None:
            return
        entry, edits = track.entries()
        if len(edits) != 2:
            return  # the sound begins at once: ffmpeg's own list is right
        (empty_length, empty_start, empty_rate), (_, _, rate) = edits
        if empty_start != -1:
            return
        file.seek(track.edits[0] + 8)
        file.write(struct.pack(entry, empty_length + round(delay_s * rate_hz), -1, empty_rate))
        file.write(struct.pack(entry, num_samples, round(delay_s * track.timescale), rate))
