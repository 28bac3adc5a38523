"""The exception tree of mfv2a and the exit code of each branch.

    Mfv2aError                    .hint = what to do
    ├── ConfigError               exit 2   a value that cannot work: an option, a TOML key
    ├── MediaError(path)          exit 3   one file could not be read, decoded or muxed
    ├── StoreError                exit 3   the report of a run could not be brought to its store
    ├── SoundError                exit 3   a model made what is no sound; the clip fails alone
    ├── StartError                exit 4   nothing could begin
    │   ├── CheckpointError                a weights file is missing, wrong or damaged
    │   ├── FfmpegMissingError             no ffmpeg program was found
    │   ├── DeviceError                    the asked device is not there
    │   └── DeviceFaultError               the device failed at its work, or answers no more; a new process may go on
    └── DivergenceError           exit 5   a loss became non-finite; raised before the optimiser moves

A batch catches one file's MediaError and goes on, also where one takes too long (`media.patience.OverdueError`,
exit 3); the command line catches the rest once, in `cli.main`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_PORT = r"(?!\d+(?:[/?#\s'\",;<>{}]|$))"
_PASSWORD = re.compile(rf"(?<=://)([^/:\s\[]*):(?:[^/\s\",<>{{}}]*|{_PORT}[^\s'\",<>{{}}]*?)@")
"""A password may hold @, and by mistake /; a user's name may hold @."""


class Mfv2aError(Exception):
    """An expected failure: one line that says what went wrong and one that says what to do.

    Attributes:
        hint: what the user can do about it; may be empty.
        exit_code: the process exit code of this kind of failure.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(Mfv2aError):
    """A value that cannot work, found before anything ran."""

    exit_code = 2


class MediaError(Mfv2aError):
    """One file that could not be read, decoded or muxed.

    Attributes:
        path: the file.
        detail: longer text for `--verbose` (the last lines of ffmpeg), may be empty.
    """

    exit_code = 3

    def __init__(self, path: str | Path, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = Path(path)
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process makes it of."""
        return type(self), (self.path, str(self)), self.__dict__


class StoreError(Mfv2aError):
    """What a run did could not be told in the store behind a URL, though all that it made is there."""

    exit_code = 3


class StartError(Mfv2aError):
    """Nothing could begin; a batch stops."""

    exit_code = 4


class CheckpointError(StartError):
    """A weights file that is missing, wrong, cut or hostile."""


class FfmpegMissingError(StartError):
    """No ffmpeg program was found."""


class DeviceError(StartError):
    """The device that was asked for is not there."""


class DeviceFaultError(StartError):
    """The device failed at its work, or answers no more: this process can use it no longer, a new one may."""


class SoundError(Mfv2aError):
    """A model made something that is no sound."""

    exit_code = 3


class DivergenceError(Mfv2aError):
    """A loss became non-finite."""

    exit_code = 5


def without_passwords(text: str) -> str:
    """A text that may be shown: who asks stays in its addresses, passwords do not."""
    return _PASSWORD.sub(r"\1@", text)
