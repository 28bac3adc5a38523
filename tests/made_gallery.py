"""Output folders made up for tests of the page: small files that a browser plays, and a report that knows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from made_videos import make_video
from mfv2a.jobs.report import encode_json

SETTINGS: Mapping[str, Any] = {
    "model": "embedded",
    "digest": "0" * 64,
    "negative_prompt": "",
    "steps": 1,
    "cfg_strength": 1.0,
    "rescale": True,
    "seed": 0,
    "dtype": "auto",
    "sample_rate_hz": 48000,
    "audio_codec": "auto",
    "prompt": "",
}


def made_record(source: Path, name: str | None, *, status: str = "ok", **fields: Any) -> dict[str, Any]:
    """A line of a report, of a clip of a second in which something strikes twice."""
    settings = {**SETTINGS, **fields.pop("settings", {})}
    details = {
        "size_bytes": 1,
        "mtime_ns": 1,
        "duration_s": 1.0,
        "confidence": 0.8,
        "uncertain": False,
        "recognized": ["hammer"],
        "strikes_s": [0.2, 0.7],
        "rms_dbfs": -20.0,
        "peak_dbfs": -3.0,
        **fields.pop("details", {}),
    }
    return {
        "source": str(source),
        "output": None if name is None else str(source),
        "name": name,
        "status": status,
        "error": "",
        "hint": "",
        "settings": settings,
        "seconds": {"decode": 0.5, "sample": 0.1, "mux": 0.2},
        "details": details,
        "mfv2a": "0.1.0",
        "time": "2026-01-01T00:00:00+00:00",
        **fields,
    }


def write_report(out: Path, *records: Mapping[str, Any], name: str = "report.jsonl") -> None:
    """Writes a report as runs do."""
    out.mkdir(parents=True, exist_ok=True)
    (out / name).write_bytes(b"".join(map(encode_json, records)))


def make_output(out: Path, name: str, *, seconds: float = 1.0) -> Path:
    """Makes a file with sound that stands for a dubbed one."""
    path = out / name
    return make_video(path, seconds=seconds, size=(96, 64), sound=True)
