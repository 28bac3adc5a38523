"""The address of a Ray cluster -> Ray, connected to it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from mfv2a.errors import ConfigError, StartError

if TYPE_CHECKING:
    from types import ModuleType

LOCAL = "local"
TOLD = ("MFV2A_CHECKPOINTS", "HF_HUB_OFFLINE")  # variables that what was asked for may stand in


def connect(address: str) -> ModuleType:
    """Ray, connected; what it does to signals is taken back."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        import ray
    except ImportError:
        raise ConfigError("--ray needs the package ray", hint="pip install 'mfv2a[ray]'") from None
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    try:
        if address == LOCAL:
            ray.init(include_dashboard=False, **quiet)
        else:  # actors get their environment from where the cluster was started, not from here
            told = {name: os.environ[name] for name in TOLD if name in os.environ}
            ray.init(address=address, runtime_env={"env_vars": told} if told else None, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise StartError(
            f"--ray {address}: {str(error).splitlines()[0]}",
            hint="start one with `ray start --head`, or use --ray local",
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
    module: ModuleType = ray
    return module
