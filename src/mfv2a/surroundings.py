"""What the environment says of the Hugging Face Hub: where it is, whether it may be asked, whose token goes along.

Its variables are read at each call. Knows neither the library of the hub nor what is asked of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from mfv2a.errors import ConfigError, without_passwords

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
TRUE = {"1", "ON", "YES", "TRUE"}


def endpoint() -> str:
    """Where the hub is: HF_ENDPOINT, else huggingface.co.

    Raises:
        ConfigError: HF_ENDPOINT is no address.
    """
    named = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    if not named:
        return "https://huggingface.co"
    try:
        parts = urlsplit(named)
        well = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, an unclosed [
        well = False
    if not well:
        raise ConfigError(
            f"HF_ENDPOINT is no address: {without_passwords(named)}",
            hint="as https://huggingface.co, or leave it unset",
        )
    return named


def endpoint_name() -> str:
    """The address of the hub as it may be shown: without a password.

    Raises:
        ConfigError: HF_ENDPOINT is no address.
    """
    return without_passwords(endpoint())


def offline_variable() -> str:
    """The variable that forbids to ask the hub; empty if none does."""
    named = next((name for name in OFFLINE if os.environ.get(name)), "")
    return named if os.environ.get(named, "").upper() in TRUE else ""


def is_offline() -> bool:
    """Whether the environment forbids to ask the hub."""
    return bool(offline_variable())


def cache_folder() -> Path:
    """The hub's cache, where its library and other programs look too."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return _resolved(named) if named else _home() / "hub"


def token_source() -> str:
    """Where the token that goes along comes from: a variable or a file; empty if none does."""
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() in TRUE:
        return ""
    if named := next((name for name in TOKENS if os.environ.get(name, "").strip()), ""):
        return named
    file = _resolved(os.environ.get("HF_TOKEN_PATH") or str(_home() / "token"))
    try:
        return str(file) if file.read_text(encoding="utf-8").strip() else ""
    except (OSError, ValueError):
        return ""


def _home() -> Path:
    return _resolved(os.environ.get("HF_HOME") or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface")


def _resolved(named: str) -> Path:
    """A path as the hub's library reads it: with ~ and with variables, and what is unknown of them as it stands."""
    return Path(os.path.expandvars(os.path.expanduser(named)))  # noqa: PTH111
