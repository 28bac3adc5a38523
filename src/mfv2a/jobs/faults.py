"""What went wrong with one clip, told so that people can act on it."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress

import torch

from mfv2a.errors import DeviceFaultError, MediaError, Mfv2aError, StartError
from mfv2a.jobs.failures import failed
from mfv2a.jobs.plan import Item
from mfv2a.records import ItemResult

MEMORY_HINT = "use a smaller --batch-size, or --device cpu"
ROOM_HINT = "use --low-memory, fewer --workers, or --device cpu"
_LESS_MEMORY = {  # by command
    "dub": "use --low-memory, a smaller --batch-size, fewer --workers, or --device cpu",
    "tta": "use --low-memory, a smaller --batch-size, or --device cpu",
    "bench": "use --low-memory, a smaller --batch or --batch-size, or --device cpu",
    "train": "use a smaller batch_size, a larger accumulate, or recompute = true",
    "extract": 'use a smaller batch_size, fewer workers, or device = "cpu"',
    "evaluate": "use --device cpu, or a smaller --model",
}
DISK_HINT = "free some space, then run the same command again: what is done is skipped"
DEVICE_HINT = "run the same command again: what is done is skipped; --verbose tells at which files it failed"
_MEMORY = (  # as torch, its allocators, cuBLAS and cuDNN say it; a library that cannot begin found none either
    *("out of memory", "can't allocate memory", "not enough memory", "allocation_failed"),
    *("_status_alloc_failed", "_status_not_initialized"),
)
_FAULTS = ("cuda error:", "hip error:", "cudnn_status_execution_failed", "cufft_exec_failed")
_PASSING = (  # of a single call: the device goes on
    *("invalid argument", "invalid configuration", "too many resources", "not supported"),
    *("status_not_supported", "status_invalid_value"),
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is the machine's or the device's memory running out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    words = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in words for word in _MEMORY)


def is_device_fault(error: BaseException) -> bool:
    """Whether a GPU has failed in a way that lets this process use it no more: each later call fails, too."""
    words = str(error).lower()
    if not isinstance(error, RuntimeError) or is_out_of_memory(error) or any(word in words for word in _PASSING):
        return False
    return isinstance(error, torch.AcceleratorError) or any(word in words for word in _FAULTS)


def check_device(error: BaseException) -> None:
    """Asks of an error whether the device failed: that is no fault of the clip at which it was met.

    Raises:
        DeviceFaultError: it did.
    """
    if isinstance(error, DeviceFaultError):
        raise error
    if is_device_fault(error):
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DeviceFaultError(f"the GPU failed: {reason}", hint=DEVICE_HINT) from error


def of_the_machine(error: Exception, command: str = "dub") -> StartError | None:
    """The error of a machine that has no memory left, or whose GPU failed; None if this is something else.

    Args:
        error: what ended a command.
        command: its name, which decides what to do about it.
    """
    try:
        check_device(error)
    except DeviceFaultError as fault:
        return fault
    if not is_out_of_memory(error):
        return None
    reason = (str(error).splitlines() or [""])[0].partition(". ")[0]
    told = f"not enough memory: {reason}" if reason else "not enough memory"
    return StartError(told, hint=_LESS_MEMORY.get(command, "end what else uses it, and run again"))


def free_memory() -> None:
    """Gives back what torch keeps of a GPU's memory; one that has failed refuses that, too."""
    with suppress(RuntimeError):
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def tell_failure(
    item: Item,
    error: Exception,
    tell: Callable[[str], None],
    seconds: Mapping[str, float],
    memory_hint: str = MEMORY_HINT,
) -> ItemResult:
    """Tells an error as this item's failure; a fault of the tool itself with its traceback in the details.

    Args:
        item: the video.
        error: what ended the work on it.
        tell: takes details for people who asked for them.
        seconds: of the stages that were done.
        memory_hint: what to do where memory was short.
    """
    if is_out_of_memory(error):
        error = Mfv2aError("not enough memory for this clip", hint=memory_hint)
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
        error = MediaError(error.filename or item.source, reason, hint="check the folder and its permissions")
    elif isinstance(error, MediaError) and error.detail:
        tell(f"{item.source}: {error.detail}")
    elif not isinstance(error, Mfv2aError):
        tell("".join(traceback.format_exception(error)).rstrip())
    return failed(item.source, error, settings=item.settings, seconds=seconds, details=item.details)
