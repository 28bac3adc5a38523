"""A clip whose sound is chosen -> its files and the facts of them. Which sound it is, others decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import MediaError
from mfv2a.jobs.drafts import Candidate, Draft
from mfv2a.jobs.plan import Item
from mfv2a.jobs.report import absolute
from mfv2a.jobs.sound import FAINT_DBFS, level_dbfs
from mfv2a.jobs.track import Track
from mfv2a.media.audio import write_audio
from mfv2a.media.markers import Marker, write_markers
from mfv2a.media.mux import CHANGED, CHANGED_HINT, mux_audio, stamp
from mfv2a.media.places import find_places
from mfv2a.media.standin import UNTOLD_BYTES
from mfv2a.records import UNCERTAIN_BELOW

if TYPE_CHECKING:
    from mfv2a.records import Audio


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A file that was written beside an output.

    Attributes:
        kind: "candidate", "candidate wav", "onsets csv" or "onsets edl".
        path: of the file.
    """

    kind: str
    path: Path

    def facts(self, out: Path) -> dict[str, Any]:
        """For the report: its kind, its name in the output folder and its size in bytes."""
        name = absolute(self.path).relative_to(absolute(out)).as_posix()
        return {"kind": self.kind, "name": name, "bytes": self.path.stat().st_size}


def check_unchanged(item: Item) -> None:
    """Refuses a source that is another one than when the batch was planned: still being written, or replaced.

    Raises:
        MediaError: it has changed or vanished.
    """
    size_bytes, mtime_ns = stamp(item.source)
    planned = item.details["size_bytes"]  # of a file behind a URL as it was stated, if it was
    if planned not in (size_bytes, UNTOLD_BYTES) or mtime_ns != item.details["mtime_ns"]:
        raise MediaError(item.source, CHANGED, hint=CHANGED_HINT)


def write_outputs(
    item: Item,
    kept: Sequence[Candidate],
    lay: Callable[[Candidate], Track],
    state: Callable[[Candidate], str],
    markers: Sequence[Marker] = (),
) -> tuple[Track, tuple[Made, ...]]:
    """Writes what is asked for beside the dubbed video, and the video last, which marks the item as done.

    Args:
        item: the clip.
        kept: the candidate that was chosen, then the others that are kept.
        lay: makes a candidate's track; one at a time is held.
        state: what a file says of a candidate's sound, "" for nothing.
        markers: for the list of hits, if there is one.

    Returns:
        The track of the video, and the files beside it and its sound file.
    """
    check_unchanged(item)
    item.output.parent.mkdir(parents=True, exist_ok=True)
    before = {path for path in item.files if path.exists()}  # of an earlier run: never removed, only replaced
    made: list[Made] = []
    try:
        for path, candidate in zip(item.others, kept[1:], strict=True):
            wav = None if item.wav is None else path.with_suffix(".wav")
            made.append(Made(kind="candidate", path=path))
            if wav is not None:
                made.append(Made(kind="candidate wav", path=wav))
            _write_one(item, lay(candidate), path, wav, state(candidate))
        if item.onsets is not None:
            made.append(Made(kind=f"onsets {item.onsets.suffix[1:]}", path=item.onsets))
            fps, places = find_places(item.info, [marker.time_s for marker in markers])
            write_markers(item.onsets, markers, fps=fps, title=item.output.stem, places=places)
        track = lay(kept[0])
        _write_one(item, track, item.output, item.wav, state(kept[0]))
    except BaseException:
        for path in item.files:
            if path not in before and path != item.output:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        raise
    return track, tuple(made)


def _write_one(item: Item, track: Track, path: Path, wav: Path | None, statement: str) -> None:
    """Writes one video, before it its sound file."""
    if wav is not None and track.stem is not None:
        write_audio(wav, track.stem, statement=statement)
    language = "" if item.mix_track is None else item.info.streams[item.mix_track].language
    mux_audio(item.info, track.audio, path, item.mux, beside=item.beside, statement=statement, language=language)


def describe(
    item: Item, draft: Draft, track: Track, seconds: Mapping[str, float], out: Path, made: Sequence[Made]
) -> dict[str, Any]:
    """The facts of a dubbed file for the report."""
    audio = track.audio
    details = {
        **item.details,
        "duration_s": round(item.info.duration_s, 6),
        "windows": draft.windows // draft.candidates,
        "confidence": round(float(draft.confidence), 4),
        "uncertain": bool(draft.confidence < UNCERTAIN_BELOW),
        "recognized": list(draft.recognized),
        **draft.read_as,
        "strikes_s": list(draft.strikes_s),
        "quiet": draft.quiet,
        "clip_seed": item.seed,
        "audio_codec": item.mux.codec,
        "samples": len(audio.samples),
        "sample_rate_hz": audio.sample_rate_hz,
        "output_bytes": item.output.stat().st_size,
        "rtf": round(sum(seconds.values()) / max(audio.duration_s, 1e-9), 4),
        **level_dbfs(audio.samples),
        **track.facts,
    }
    if draft.reused:
        details["reused_features"] = draft.reused
    if "cache" in seconds:
        details["cached_features"] = True
    if item.mix_track is not None or item.beside:
        details["source_sound"] = "mixed" if item.mix_track is not None else "second track"
    if item.wav is not None:
        details["wav"] = absolute(item.wav).relative_to(absolute(out)).as_posix()
        details["wav_bytes"] = item.wav.stat().st_size
    if made:
        details["made"] = [each.facts(out) for each in made]
    if item.split_shots:
        details["cuts_s"] = [round(start_s, 3) for start_s in draft.starts_s[1:]]
    return details | describe_choice(draft, [each.path.name for each in made if each.kind == "candidate"])


def describe_choice(draft: Draft, names: Sequence[str] = ()) -> dict[str, Any]:
    """What was drawn and what was found of it, for the report; nothing where nobody listened.

    Args:
        draft: with its candidates, the best first.
        names: of the files of the others.
    """
    best = draft.kept[0]
    if best.verdict is None:
        return {}
    files = dict(zip((each.number for each in draft.kept[1:]), names, strict=False))
    rows = [{**row, **({"file": files[row["number"]]} if row["number"] in files else {})} for row in draft.heard]
    facts: dict[str, Any] = {
        "candidate": best.number,
        "candidate_seed": best.seed,
        "candidates": rows,
        "heard": [list(tag) for tag in best.verdict.tags],
        "as_asked": best.verdict.heard,
        "onsets_s": list(best.verdict.onsets_s),
    }
    return facts | ({"still_heard": list(best.verdict.refused)} if best.verdict.refused else {})


def markers_of(draft: Draft, onsets_s: Sequence[float]) -> list[Marker]:
    """The hits of a sound, the strikes that are seen, and the cuts, in the order of their times."""
    kinds = (("heard", onsets_s), ("seen", draft.strikes_s), ("cut", draft.starts_s[1:]))
    return sorted(Marker(time_s=time_s, kind=kind) for kind, times in kinds for time_s in times)


def hits_of(audio: Audio) -> tuple[float, ...]:
    """When something begins to sound; of what can hardly be heard nothing does."""
    from mfv2a.evaluation.listening import listen

    if level_dbfs(audio.samples)["peak_dbfs"] < FAINT_DBFS:
        return ()
    return listen(audio.samples, audio.sample_rate_hz).onsets_s
