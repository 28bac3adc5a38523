"""What passes between the rooms: plain frozen records of numpy arrays and numbers.

This room knows no torch, no files and no terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

UNCERTAIN_BELOW = 0.35
"""Confidence under which it counts as not known what a clip should sound like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRequest:
    """Frames that a model wants from a video.

    Attributes:
        fps: frames per second on the output grid; `media.video.decode_video` says which source frame each one is.
        size_px: side of the square output.
        fit: "squash" resizes the whole picture to the square; "crop" resizes the shorter side and cuts the centre.
        gray: one luma channel [T, H, W] instead of RGB [T, H, W, 3].
        whole: hand out the upright picture at the video's own size: who asked scales it to `size_px`.
        summed: the times of the grid are sums of 1 / fps in floating point, rounding included, and are compared with
            those of the source exactly: what public models were trained on.
        bilinear: scale by FFmpeg's bilinear filter instead of by area.
        as_shown: what stays for more than 0.09 s is held, as on a screen; else what stays for 0.25 s, since models
            were trained on the coming frame.
        timed: who takes the frames as they come is given the source frames themselves, each once, with their times,
            instead of one for each tick; `media.grids.TimedGrid` says which. What is held is then theirs to tell.
    """

    fps: float
    size_px: int
    fit: Literal["squash", "crop"] = "squash"
    gray: bool = False
    whole: bool = False
    summed: bool = False
    bilinear: bool = False
    as_shown: bool = False
    timed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """One stream of a media file.

    Attributes:
        index: position in the file.
        kind: "video", "audio", "subtitle", "data" or "attachment".
        codec: FFmpeg's codec name, "" if unknown.
        is_default: carries the default disposition.
        is_cover: a picture attached to the file, not a moving picture.
        rate_hz: of sound, 0 if the file does not say.
        language: as its container names it, "" if it does not.
    """

    index: int
    kind: str
    codec: str
    is_default: bool = False
    is_cover: bool = False
    rate_hz: int = 0
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What a probe tells of a video file.

    Attributes:
        path: the file.
        container: FFmpeg's demuxer names, comma separated ("mov,mp4,m4a,3gp,3g2,mj2").
        duration_s: length of the picture: from its first to the end of its last frame.
        start_s: presentation time of the first picture frame on the file's own clock.
        fps: average frame rate, 0 when unknown.
        width_px, height_px: size as shown, after rotation.
        rotation_deg: clockwise turn needed to show the picture upright: 0, 90, 180 or 270.
        picture_index: stream index of the picture (default non-cover video stream, else the first).
        streams: all streams in file order.
        packets: of the picture, those that have a time.
        tags: the container's metadata.
    """

    path: Path
    container: str
    duration_s: float
    start_s: float
    fps: float
    width_px: int
    height_px: int
    rotation_deg: int
    picture_index: int
    streams: tuple[StreamInfo, ...]
    packets: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A video as the models see it.

    Attributes:
        duration_s: length of the picture.
        frames: one uint8 array per request name: [T, H, W, 3] RGB or [T, H, W] gray; T >= 1 and close to
            duration_s * fps. Requests that fed only motion may be absent.
        motion: motion features [T, F] float32 at the motion rate, or None.
        info: the probe, None for clips that come from no file.
    """

    duration_s: float
    frames: Mapping[str, NDArray[np.uint8]]
    motion: NDArray[np.float32] | None = None
    info: VideoInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio:
    """Sound.

    Attributes:
        samples: float32 in [-1, 1], [S] mono or [S, channels].
        sample_rate_hz: samples per second.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """What became of one input file of a batch: a line of report.jsonl.

    Attributes:
        source: the input.
        output: the dubbed file, None if it was not made.
        status: "ok", "skipped" (done earlier) or "failed".
        error: one line, "" unless failed.
        hint: what to do about the error.
        settings: everything that decides the output (model, digest, prompt, seed, steps ...).
        seconds: wall time per stage.
        details: further facts (duration, confidence, what was recognised, level ...), JSON-ready.
    """

    source: Path
    output: Path | None
    status: Literal["ok", "skipped", "failed"]
    error: str = ""
    hint: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """How many of a clip's features were taken over from a picture that hardly differs, see `mfv2a.models.reuse`.

    Attributes:
        name: of the features.
        seen: pictures, or stacks of them, that have features.
        reused: of these, how many have another one's.
        difference: the largest from the picture whose features were taken, in levels of 255.
        error: ||taken - true|| / ||true|| of the features where the difference is largest.
    """

    name: str
    seen: int
    reused: int = 0
    difference: float = 0.0
    error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is known of a model without loading it.

    Attributes:
        name: as given to `--model`.
        licence, licence_url: of the weights.
        quality: a word for people ("draft quality"), may be empty.
        sample_rate_hz: of the sound it makes.
        window_s: longest stretch it makes in one go.
        kind: "average" (a flow map, serves one step) or "instantaneous" (a velocity, needs many).
        default_steps, default_cfg: sampler settings where the user gives none.
        digest: identifies the weights, "" if they have none.
        default_rescale: scalar rescaling of the guidance where the user does not choose.
        guidance: "none" (at sampling only), "baked" into the weights, or an "input" of the network.
        default_renoise: share of each step by which noise is topped up before it; () for none.
        sees: it takes pictures; else text alone.
        words_steps: sampler steps for words alone, 0 for as many as with a picture.
        words_tries: sounds drawn for words alone at most until the words are heard, where no number is asked for.
        recognizes: it looks for what pictures show, not only for when something moves.
        reuses_motion: frames that are looked at for motion can share their features, too.
    """

    name: str
    licence: str
    licence_url: str
    quality: str
    sample_rate_hz: int
    window_s: float
    kind: Literal["average", "instantaneous"]
    default_steps: int
    default_cfg: float
    digest: str
    default_rescale: bool = True
    guidance: Literal["none", "baked", "input"] = "none"
    default_renoise: tuple[float, ...] = ()
    sees: bool = True
    words_steps: int = 0
    words_tries: int = 1
    recognizes: bool = True
    reuses_motion: bool = True

    def guides(self, strength: float) -> bool:
        """Whether a guidance weight asks for the unconditional branch; to instantaneous models less than 1 is none."""
        if self.guidance != "none":
            return False
        return strength > 1 if self.kind == "instantaneous" else strength != 1
