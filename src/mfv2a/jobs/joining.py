"""What a trained generator may be joined to: the networks that made its features, and models of its widths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mfv2a import hub, register
from mfv2a.config import SourceConfig
from mfv2a.data.manifest import SETTINGS, read_settings
from mfv2a.errors import ConfigError
from mfv2a.models.upstream import find_public
from mfv2a.models.weights import read_config
from mfv2a.packages import WIDTHS, read_header

ENCODED_BY = ("vae", "sync")


def feature_digests(sources: Sequence[SourceConfig]) -> dict[str, list[str]]:
    """SHA-256 of the networks that made the features of a run, by role; of folders that do not tell, nothing.

    Args:
        sources: of the run.

    Raises:
        ConfigError: a folder's `extraction.json` is damaged.
    """
    found: dict[str, set[str]] = {role: set() for role in ENCODED_BY}
    for source in sources:
        path = Path(source.path) / SETTINGS
        if source.type != "features" or not path.is_file():
            continue
        settings = read_settings(path.parent)
        if settings.get("type") == "features":
            for role in ENCODED_BY:
                found[role] |= {settings[role]} if settings.get(role) else set()
    return {role: sorted(digests) for role, digests in found.items() if digests}


def check_widths(weights: Path, name: str) -> None:
    """Refuse a model whose encoders and decoders have other widths than a generator.

    Args:
        weights: of the generator.
        name: of the model, in a register.

    Raises:
        ConfigError: they differ, or its encoders make no features for such a generator.
        CheckpointError: a file cannot be read.
    """
    base, config = register.find_model(name), read_header(weights).config
    if base.layout == "compact":
        known = asdict(read_config(hub.fetch(base), "generator"))
    elif base.layout == "mmaudio":
        known = asdict(
            find_public("mmaudio", base.config)[1] if base.config else read_config(hub.fetch(base), "generator")
        )
    else:
        raise ConfigError(
            f"a generator of mfv2a train cannot take the encoders of {name}", hint="embedded, or a model of MMAudio's"
        )
    for key in WIDTHS:
        if config.get(key) != known[key]:
            raise ConfigError(
                f"{weights} has {key} = {config.get(key)}, and {name} has {known[key]}",
                hint="leave out --like, or name a model whose encoders and decoders it was trained for",
            )
