"""What went wrong with one clip, told so that people can act on it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping

import torch

from mfv2a.errors import MediaError, Mfv2aError
from mfv2a.jobs.failures import failed
from mfv2a.jobs.plan import Item
from mfv2a.jobs.report import DISK_FULL
from mfv2a.media.ffmpeg import DISK_IS_FULL
from mfv2a.records import ItemResult

MEMORY_HINT = "use a smaller --batch-size, or --device cpu"
DISK_HINT = "free some space, then run the same command again: what is done is skipped"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is the machine's or the device's memory running out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in words or "can't allocate memory" in words)


def is_disk_full(error: BaseException) -> bool:
    """Whether this is a full disk, told by the system or in ffmpeg's words."""
    if isinstance(error, OSError):
        return error.errno in DISK_FULL
    words = f"{error} {error.detail}" if isinstance(error, MediaError) else ""
    return any(each in words for each in DISK_IS_FULL)


def tell_failure(item: Item, error: Exception, tell: Callable[[str], None], seconds: Mapping[str, float]) -> ItemResult:
    """Tells an error as this item's failure; a fault of the tool itself with its traceback in the details.

    Args:
        item: the video.
        error: what ended the work on it.
        tell: takes details for people who asked for them.
        seconds: of the stages that were done.
    """
    if is_out_of_memory(error):
        error = Mfv2aError("not enough memory for this clip", hint=MEMORY_HINT)
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
        error = MediaError(error.filename or item.source, reason, hint="check the folder and its permissions")
    elif isinstance(error, MediaError) and error.detail:
        tell(f"{item.source}: {error.detail}")
    elif not isinstance(error, Mfv2aError):
        tell("".join(traceback.format_exception(error)).rstrip())
    return failed(item.source, error, settings=item.settings, seconds=seconds, details=item.details)
