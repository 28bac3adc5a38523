"""What went wrong between here and the Hugging Face Hub, in words that say what to do.

The library tells a dead line, a refused token and a full disk by errors of many kinds, some wrapped in others; the one
that lies at the bottom decides.
"""

from __future__ import annotations

import errno
import textwrap
from collections.abc import Callable
from typing import TypeVar

from mfv2a.errors import CheckpointError, Mfv2aError, without_passwords
from mfv2a.register import Place
from mfv2a.surroundings import cache_folder, endpoint_name, token_source

PULL_HINT = "connect, or run `mfv2a models pull` on a connected machine and copy the cache"
FULL_HINT = "free some space, or point HF_HOME to another disk"
FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
SETTINGS = ("UnsupportedProtocol", "InvalidURL", "ProxyError")
"""Names of errors of httpx, whose package has another name from one version of the library to the next."""
LOST = ("NetworkError", "TimeoutException", "RemoteProtocolError")
LONGEST_CHAIN = 20
Found = TypeVar("Found")


def explained(ask: Callable[[], Found], place: Place) -> Found:
    """Ask the hub for something.

    Args:
        ask: does it.
        place: what is asked for.

    Raises:
        CheckpointError: it failed.
    """
    try:
        return ask()
    except Mfv2aError:
        raise
    except Exception as error:  # each library below has errors of its own
        raise _told(error, place) from error


def is_lost(error: BaseException) -> bool:
    """Whether the line is to blame: nobody answered, or no longer."""
    return any(kind.__name__ in LOST for kind in type(error).__mro__)


def is_passing(error: BaseException) -> bool:
    """Whether the same question may get an answer soon: the line was lost, or the hub has too much to do."""
    status = getattr(getattr(error, "response", None), "status_code", 0)
    return is_lost(error) or status == 429 or status >= 500


def shortened(error: BaseException) -> str:
    """What an error says, in one line of at most 200 characters."""
    return textwrap.shorten(without_passwords(str(error)), 200, placeholder=" ...")


def _told(error: Exception, place: Place) -> CheckpointError:
    from huggingface_hub import errors

    where = f"{endpoint_name()}/{place.repo}"
    if isinstance(error, errors.LocalEntryNotFoundError):
        return _of_no_answer(error, place)
    if isinstance(error, errors.FileMetadataError):
        hint = "a proxy or a login page may stand before it: open it in a browser; see HF_ENDPOINT and HTTPS_PROXY"
        return CheckpointError(f"{endpoint_name()} does not answer as a hub does", hint=hint)
    if isinstance(error, errors.GatedRepoError):
        hint = f"accept its terms at {where}, "
        hint += f"with the account of the token in {token_source()}" if token_source() else "set HF_TOKEN"
        return CheckpointError(f"{place.repo} is gated", hint=hint)
    if isinstance(error, errors.RepositoryNotFoundError):
        needs = f"a token that may read it, unlike that in {token_source()}" if token_source() else "HF_TOKEN"
        return CheckpointError(
            f"the hub shows no {place.repo} to you", hint=f"see {where}; a private one needs {needs}"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return CheckpointError(f"{place.repo} has no revision {place.revision}", hint=f"see {where}")
    if isinstance(error, errors.EntryNotFoundError):
        return CheckpointError(f"{place.repo} has no file {place.file}", hint=f"see {where}")
    if isinstance(error, errors.HfHubHTTPError):
        return _of_status(error, place)
    if isinstance(error, OSError) and error.errno in FULL + CLOSED:
        hint = FULL_HINT if error.errno in FULL else "point HF_HOME to a folder that can be written"
        return CheckpointError(f"{error.filename or cache_folder()}: {error.strerror}", hint=hint)
    said = f"{place.repo}/{place.file}: {shortened(error)}"
    if isinstance(error, ValueError | ImportError) or type(error).__name__ in SETTINGS:
        return CheckpointError(said, hint="see HF_ENDPOINT, HF_TOKEN, HTTP_PROXY, HTTPS_PROXY and ALL_PROXY")
    return CheckpointError(said, hint="try again: it goes on where it stopped")


def _of_no_answer(error: Exception, place: Place) -> CheckpointError:
    """What the library takes for no answer: the hub refused, somebody else answered, or nobody did."""
    from huggingface_hub import errors

    cause, seen = error.__cause__ or error.__context__, 0
    while cause is not None and seen < LONGEST_CHAIN:
        if isinstance(cause, errors.HfHubHTTPError | errors.FileMetadataError):
            return _told(cause, place)
        cause, seen = cause.__cause__ or cause.__context__, seen + 1
    return CheckpointError(
        f"{endpoint_name()} cannot be reached ({shortened(error.__cause__ or error)})", hint=PULL_HINT
    )


def _of_status(error: Exception, place: Place) -> CheckpointError:
    response = getattr(error, "response", None)
    status = 0 if response is None else response.status_code
    token = token_source()
    if status == 401:
        hint = f"the token in {token} is refused: renew it, or remove it, as public repos need none"
        hint = hint if token else "set HF_TOKEN"
    elif status == 403:
        hint = f"the token in {token} may not read it: a fine-grained one needs that right" if token else "set HF_TOKEN"
    elif status == 429:
        hint = "wait some minutes, then try again" + ("" if token else "; with HF_TOKEN set it allows more")
    elif status >= 500:
        hint = "it has troubles of its own: try again later"
    elif status == 404:
        hint = f"see {endpoint_name()}/{place.repo}, and HF_ENDPOINT if it is set"
    else:
        hint = "try again later"
    return CheckpointError(f"the hub answered {status or 'an error'} for {place.repo}/{place.file}", hint=hint)
