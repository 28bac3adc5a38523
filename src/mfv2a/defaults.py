"""Which model is used where none is named, and what says so."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mfv2a.errors import ConfigError, StartError
from mfv2a.register import ENV_HOME, home_folder, model_names

ENV_MODEL = "MFV2A_MODEL"
DEFAULT_MODEL = "embedded"


def default_model() -> str:
    """The model used where none is named: MFV2A_MODEL, else the one kept by `mfv2a models default`, else embedded."""
    if named := os.environ.get(ENV_MODEL):
        return named
    try:
        return kept_path().read_text(encoding="utf-8", errors="surrogateescape").strip() or DEFAULT_MODEL
    except OSError:
        return DEFAULT_MODEL


def kept_path() -> Path:
    """The file that holds the name that `mfv2a models default` was given."""
    return home_folder() / "default-model"


def known_default() -> str:
    """The default, where it is a name of the register, or may be a folder, a file or a repo.

    Raises:
        ConfigError: it is no model that is known here; what made it the default is named.
    """
    name = default_model()
    if name in model_names() or "/" in name or Path(name).exists():
        return name
    by_variable = bool(os.environ.get(ENV_MODEL))
    hint = f"set {ENV_MODEL} to another" if by_variable else "mfv2a models default embedded chooses that one"
    raise ConfigError(f"unknown model {name!r}, the default by {ENV_MODEL if by_variable else kept_path()}", hint=hint)


def keep_default(name: str) -> Path:
    """Make a model the default of this user; whether there is such a model is not looked at.

    Returns:
        the file that says so.

    Raises:
        StartError: the disk is full.
        ConfigError: the file cannot be written.
    """
    path = kept_path()
    pending = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pending.write_text(name + "\n", encoding="utf-8", errors="surrogateescape")
        pending.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StartError(f"{path}: {error.strerror}", hint="free some space") from error
        hint = f"set {ENV_HOME} to a folder that can be written"
        raise ConfigError(f"{path}: {error.strerror}", hint=hint) from error
    return path
