"""The networks of a public model, each from its file: as it was published, or as a converted copy of it.

Files are brought by `mfv2a.hub`; how networks make a model is known in `mfv2a.layouts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mfv2a import hub
from mfv2a.errors import CheckpointError, ConfigError, StartError
from mfv2a.models import upstream, weights
from mfv2a.register import Checkpoint, find_component


class PublicFiles:
    """The networks of a public model, by role.

    Args:
        entry: the model.
        kinds: role -> kind of its network, see `mfv2a.models.published`.
        others: roles that are no networks.
        device: where they go.
        random_weights: networks of its sizes, and no file is read.

    Raises:
        ConfigError: a component is missing from the register.
    """

    def __init__(
        self,
        entry: Checkpoint,
        kinds: Mapping[str, str],
        *,
        others: tuple[str, ...],
        device: torch.device,
        random_weights: bool,
    ) -> None:
        self.entry, self.kinds, self.device, self.random_weights = entry, kinds, device, random_weights
        self.files = {"generator": entry} | {role: find_component(entry, role) for role in entry.components}
        if missing := {*kinds, *others} - set(self.files):
            named = ", ".join(sorted(missing))
            raise ConfigError(f"{entry.name} needs components {named}", hint="see checkpoints.toml")
        self.sizes = {role: self._sizes(role) for role in kinds}

    def _sizes(self, role: str) -> Any:
        """Sizes of a network: by the name of a public one, or as the file of one's own says."""
        entry = self.files[role]
        if role != "generator" or entry.config:
            return upstream.find_public(self.kinds[role], entry.config)[1]
        if self.random_weights:
            raise ConfigError(f"the sizes of {entry.name} are in its file alone", hint="leave out --random-weights")
        return weights.read_config(file_of(entry), "generator")

    def load(self, role: str, dtype: torch.dtype) -> Any:
        """A network of a published file, or of its size."""
        kind, entry = self.kinds[role], self.files[role]
        if self.random_weights:
            return upstream.random_public(kind, entry.config, device=self.device, dtype=dtype)
        if not entry.config:
            return weights.load_network(file_of(entry), role)[0].to(self.device, dtype)
        source = hub.fetch(entry)
        copy = _converted(entry, kind, source)
        load = partial(upstream.load_public, kind, entry.config, device=self.device, dtype=dtype)
        try:
            return load(copy)
        except CheckpointError:
            if copy == source:
                raise
            copy.unlink(missing_ok=True)  # it may be the copy that is damaged; if not, the file itself tells
            return load(source)

    def check(self, has: tuple[int, ...], wanted: tuple[int, ...]) -> None:
        """Refuse components whose sizes are not those that the generator takes.

        Raises:
            ConfigError: they differ.
        """
        if has != wanted:
            raise ConfigError(
                f"the components of {self.entry.name} are of sizes that do not fit", hint="see checkpoints.toml"
            )


def _converted(entry: Checkpoint, kind: str, source: Path) -> Path:
    """A safetensors copy of a pickled file, made once; the file itself where there is no room for a copy."""
    if source.suffix == ".safetensors":
        return source
    copy = hub.copy_path(entry, source, kind)
    if not copy.is_file():
        if not hub.has_space(copy.parent, source.stat().st_size):
            return source
        try:
            upstream.convert_public(kind, source, copy)
        except StartError:
            return source
    return copy


def file_of(entry: Checkpoint) -> Path:
    """Files that came with the tool are checked by `mfv2a doctor` and `models verify`, not at every start."""
    if Path(entry.path).is_relative_to(Path(__file__).parent) and (found := hub.find_file(entry)) is not None:
        return found
    return hub.fetch(entry)
