"""Whether `mfv2a dub` can work here, and with what: looked at, nothing changed."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from mfv2a import hub
from mfv2a.defaults import DEFAULT_MODEL, known_default
from mfv2a.errors import Mfv2aError
from mfv2a.register import files_of, find_model
from mfv2a.surroundings import cache_folder, endpoint_name, is_offline, offline_variable

NEEDED_OPTION = "movie_timescale"  # of what writes MP4; FFmpeg 5 brought it
ENCODERS = ("aac", "libopus", "flac", "pcm_s16le", "libmp3lame")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what; state: how it is, in words; hint: what to do if it is not well.
        ok: it is well; needed: `mfv2a dub` cannot work without it.
    """

    name: str
    state: str
    ok: bool = True
    needed: bool = False
    hint: str = ""


def examine() -> list[Finding]:
    """Look at Python, torch, device, PyAV, ffmpeg, hub, cache and models, in this order."""
    return [_examined(look) for look in LOOKS]


def can_dub(findings: list[Finding]) -> bool:
    """Whether nothing that is needed is amiss."""
    return all(finding.ok for finding in findings if finding.needed)


def _examined(look: Callable[[], Finding]) -> Finding:
    name = look.__name__.removeprefix("_look_at_")
    try:
        return look()
    except Mfv2aError as error:
        return Finding(name=name, state=str(error), ok=False, needed=name != "hub", hint=error.hint)
    except Exception as error:  # noqa: BLE001 - whatever is broken here is a finding
        return Finding(name=name, state=f"{type(error).__name__}: {error}", ok=False, needed=True)


def _look_at_python() -> Finding:
    return Finding(name="python", state=f"{platform.python_version()} at {sys.executable}, {platform.platform()}")


def _look_at_torch() -> Finding:
    import torch

    from mfv2a.loader import pick_device

    device = pick_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return Finding(name="torch", state=f"{torch.__version__} on {device} ({name})", needed=True)


def _look_at_decoder() -> Finding:
    importlib.import_module("mfv2a.media.mux")  # which needs all that this PyAV has to have
    return Finding(name="decoder", state=f"PyAV {version('av')}", needed=True)


def _look_at_ffmpeg() -> Finding:
    from mfv2a.media.ffmpeg import ffmpeg_version, find_ffmpeg, has_encoder, has_option

    program = find_ffmpeg()
    there = [name for name in ENCODERS if has_encoder(program, name)]
    words = f"{ffmpeg_version(program)} at {program}, encodes {', '.join(there)}"
    if not has_option(program, "mov", NEEDED_OPTION):
        words += f", does not know -{NEEDED_OPTION}"
        hint = "install ffmpeg 5 or newer, or unset MFV2A_FFMPEG and pip install -U imageio-ffmpeg"
        return Finding(name="ffmpeg", state=words, ok=False, needed=True, hint=hint)
    return Finding(
        name="ffmpeg", state=words, ok="aac" in there, needed=True, hint="install an ffmpeg that encodes aac"
    )


def _look_at_hub() -> Finding:
    named = offline_variable()
    state = f"off limits ({named})" if named else endpoint_name()
    return Finding(name="hub", state=f"{state}; the embedded model needs none")


def _look_at_cache() -> Finding:
    folder = cache_folder()
    size = 0
    with suppress(OSError):  # a file that vanishes, or a folder that may not be entered: the embedded model needs none
        for file in folder.rglob("*"):
            size += file.stat().st_size if file.is_file() and not file.is_symlink() else 0
    try:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    except OSError as error:
        state = f"{folder}: {error.strerror}; the embedded model needs none"
        return Finding(name="cache", state=state, ok=False, hint="point HF_HOME to another folder")
    if not there.is_dir() or not os.access(there, os.W_OK):
        state = f"{folder}: nothing can be written there; the embedded model needs none"
        return Finding(name="cache", state=state, ok=False, hint="point HF_HOME to another folder")
    free = shutil.disk_usage(there).free
    return Finding(name="cache", state=f"{folder}, {size / 1e9:.2f} GB used, {free / 1e9:.0f} GB free")


def _look_at_embedded() -> Finding:
    model = find_model(DEFAULT_MODEL)
    for file in files_of(model):
        hub.verify(file, Path(file.path), again=True)
    state = f"{len(files_of(model))} files as stated; licence {model.licence}"
    return Finding(name="embedded", state=state, needed=True)


def _look_at_default() -> Finding:
    from mfv2a.jobs.models import describe

    row = describe(known_default())
    ok = row.runs and row.here == len(row.files)
    hint = f"mfv2a models pull {row.entry.name}" if row.runs else "choose another with mfv2a models default NAME"
    if row.runs and is_offline():
        hint = f"unset {offline_variable()}, or leave out --offline, then {hint}"
    state = f"{row.entry.name}: {row.state}; licence {row.entry.licence}"
    return Finding(name="default", state=state, ok=ok, needed=not row.runs or is_offline(), hint=hint)


LOOKS = (
    _look_at_python,
    _look_at_torch,
    _look_at_decoder,
    _look_at_ffmpeg,
    _look_at_hub,
    _look_at_cache,
    _look_at_embedded,
    _look_at_default,
)
