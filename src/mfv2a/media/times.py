"""When the packets of a file are shown, without decoding any: how long its picture is, and how fast.

This file knows neither what is seen nor what the times are for.

AVI has a slot for each picture, in the order in which they are decoded, and states no times. FFmpeg's decode time is
the slot; what it gives as the time of display is a guess, often a slot or two late. So pictures are shown in slots.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import av

from mfv2a.media.patience import check_patience

BACK_S = 1.0  # how far a clock may go back by carelessness
LEAP_S = 10.0  # as FFmpeg's -dts_delta_threshold: in a stream that may be broken, what leaps farther is another clock
LONGEST_S = 24 * 3600.0  # no picture is held longer, but by a damaged clock
CLOCK_SLACK_S = 0.5e-3  # Matroska and FLV round times to a millisecond
APART_SLACK_S = 1.5e-3  # and the time between two of them by twice as much
SHOWN_S = 0.09  # so long, at 11 pictures a second, a picture is held already where it is wanted as on a screen
HELD_S = 0.25  # a picture that stays longer is held, as on a screen, and does not stand for one that comes late
USUAL_FPS = 25.0  # where nothing tells
BREAKABLE = ("mpegts", "mpeg")


@dataclass(slots=True)
class Timeline:
    """Presentation times of one stream's packets, in seconds.

    Attributes:
        first_s, last_s: the earliest and the latest packet's.
        end_s: the latest end of any packet.
        last_duration_s: of the latest packet; final_duration_s: of the one that comes last in the file.
        reordered: packets come in another order than they are shown.
        packets: how many have a time.
        broken_s: after how many seconds of what was read the clock jumps, None if it does not.
        held_s: the longest that a packet is shown, by its own word or until the next one comes.
    """

    first_s: float = math.inf
    end_s: float = -math.inf
    last_s: float = 0.0
    last_duration_s: float = 0.0
    final_duration_s: float = 0.0
    reordered: bool = False
    packets: int = 0
    broken_s: float | None = None
    held_s: float = 0.0
    _decoded_s: float | None = None

    def follow(self, decoded_s: float, leap_s: float) -> None:
        """Takes a packet's decode time, in the file's order: the clock goes back, or leaps farther than `leap_s`."""
        before_s, self._decoded_s = self._decoded_s, decoded_s
        if before_s is not None and self.broken_s is None and not -BACK_S <= decoded_s - before_s <= leap_s:
            self.broken_s = max(0.0, before_s - self.first_s)

    def add(self, time_s: float, duration_s: float) -> None:
        """Takes a packet, in the file's order."""
        self.first_s = min(self.first_s, time_s)
        self.held_s = max(self.held_s, duration_s, time_s - self.last_s if self.packets else 0.0)
        if self.packets == 0 or time_s > self.last_s:
            self.last_s, self.last_duration_s = time_s, duration_s
        else:
            self.reordered = True
        self.final_duration_s = duration_s
        self.end_s = max(self.end_s, time_s + duration_s)
        self.packets += 1

    def frame_rate(self, picture: Any) -> float:
        """The stream's average rate in frames per second, unless it is far from what the packets show."""
        guessed = picture.guessed_rate if self.packets > 1 else USUAL_FPS  # of one picture it may be the clock's ticks
        stated = float(picture.average_rate or guessed or 0)
        span_s = self.last_s - self.first_s
        counted = (self.packets - 1) / span_s if span_s > 0 else 0.0
        return stated if stated > 0 and (counted <= 0 or 0.2 < stated / counted < 5) else counted

    def duration_s(self, fps: float) -> float:
        """From the first picture's time to the end of the last; a last picture without a length lasts one interval.

        MP4 states how long after a packet the next one is decoded. Where packets are reordered and pictures are
        held, that is the hold of another picture: only the packet that no other follows tells how long it is shown.
        """
        end_s = self.last_s + self.final_duration_s if self.reordered else self.end_s
        if (self.final_duration_s if self.reordered else self.last_duration_s) <= 0:
            usual_s = (self.last_s - self.first_s) / (self.packets - 1) if self.packets > 1 else 0.0
            end_s = max(end_s, self.last_s + (usual_s or (1 / fps if fps > 0 else 1 / USUAL_FPS)))
        return end_s - self.first_s

    def reach(self, stated_s: float) -> None:
        """Holds the last picture until the stated end of all, if that is no more than the usual interval after it."""
        usual_s = (self.last_s - self.first_s) / max(1, self.packets - 1)
        if self.end_s < stated_s <= self.last_s + usual_s + 1e-6:
            self.end_s, self.last_duration_s = stated_s, stated_s - self.last_s


def has_slots(container: Any) -> bool:
    """Whether pictures lie in slots, without times of their own."""
    return bool(container.format.name == "avi")


def packet_time_s(packet: Any, *, slots: bool) -> float | None:
    """When a packet is shown on its file's clock, if anything tells; packets in slots may take each other's times."""
    first, second = (packet.dts, packet.pts) if slots else (packet.pts, packet.dts)
    time = first if first is not None else second
    return None if time is None else float(time * packet.time_base)


class FrameClock:
    """When decoded frames are shown.

    Args:
        container: the open file.
        stream: of the picture.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self._slots, self._stream = has_slots(container), stream
        self._free: deque[float] = deque()

    def feed(self, packet: Any) -> None:
        """Takes a packet that goes into the decoder."""
        if self._slots and packet.size and (time_s := packet_time_s(packet, slots=True)) is not None:
            self._free.append(time_s)

    def time_s(self, frame: Any) -> float | None:
        """The time of the frame that the decoder gives next, in seconds on the file's clock."""
        if not self._slots:
            return None if frame.time is None else float(frame.time)
        if frame.dts is not None and not self._stream.codec_context.has_b_frames:
            time_s = float(frame.dts * frame.time_base)  # its own packet's, even if others could not be decoded
            while self._free and self._free[0] <= time_s:
                self._free.popleft()
            return time_s
        return self._free.popleft() if self._free else None


def scan_times(container: Any) -> dict[int, Timeline]:
    """Read every packet's time; a damaged end only ends the reading."""
    lines: dict[int, Timeline] = {}
    alone: dict[int, tuple[float, float]] = {}
    slots = has_slots(container)
    # Such containers store no durations: FFmpeg takes them from the codec's words, which may be damaged.
    leap_s = LEAP_S if container.format.name in BREAKABLE else math.inf
    try:
        for packet in container.demux():
            check_patience()
            if packet.is_discard or packet.size == 0:
                continue
            line = lines.setdefault(packet.stream_index, Timeline())
            time_s = packet_time_s(packet, slots=slots)
            if packet.dts is not None:
                line.follow(float(packet.dts * packet.time_base), leap_s)
            if time_s is not None:
                duration_s = float((packet.duration or 0) * packet.time_base)
                if duration_s > leap_s and not line.packets:
                    alone[packet.stream_index] = time_s, duration_s
                line.add(time_s, duration_s if duration_s <= leap_s else 0.0)
    except (av.FFmpegError, OSError):
        pass
    for index, (time_s, duration_s) in alone.items():
        if lines[index].packets == 1:  # nothing tells otherwise
            lines[index] = Timeline()
            lines[index].add(time_s, duration_s)
    return lines


def slack_seconds(duration_s: float, fps: float) -> float:
    """How much of a stated length in seconds may be missing before a file counts as cut."""
    return max(min(0.5, 0.05 * duration_s), 2.5 / fps if fps > 0 else 0.1, 0.1)
