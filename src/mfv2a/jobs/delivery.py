"""How a sound is handed on: channels, giving way to sound that stays, what files say of themselves, lists of hits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mfv2a import __version__
from mfv2a.errors import ConfigError

Channels = Literal["auto", "mono", "stereo"]
OnsetFormat = Literal["off", "csv", "edl"]
DUCKS_DB = (0.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOptions:
    """How sounds are handed on.

    Attributes:
        channels: of the sound: "mono", "stereo" (the same twice: models make one channel), or as it comes.
        duck_db: how far the new sound gives way in a mix while the source's is heard; None for not at all.
        provenance: say in the file that its sound was generated, and by what.
        onsets: write the hits beside each output as CSV or as an EDL of markers.
    """

    channels: Channels = "auto"
    duck_db: float | None = None
    provenance: bool = True
    onsets: OnsetFormat = "off"

    def __post_init__(self) -> None:
        low, high = DUCKS_DB
        if self.duck_db is not None and not low < self.duck_db <= high:
            raise ConfigError(
                f"--duck {self.duck_db:g} cannot work", hint=f"use more than {low:g}, at most {high:g} dB"
            )

    def settings(self) -> dict[str, Any]:
        """What of this decides an output, JSON-ready; what is as it ever was is left out."""
        settings: dict[str, Any] = {} if self.channels == "auto" else {"channels": self.channels}
        if self.duck_db is not None:
            settings["duck_db"] = self.duck_db
        return settings if self.provenance else {**settings, "provenance": False}

    def onset_path(self, output: Path) -> Path | None:
        """The list of hits that is written beside an output, if it is asked for."""
        return None if self.onsets == "off" else output.with_name(f"{output.stem}.onsets.{self.onsets}")


def provenance(info: Any, seed: int) -> str:
    """What a file says of its sound: that it was generated, by which tool and model, from which noise.

    Args:
        info: the model's description.
        seed: of the clip's noise.
    """
    name = info.name.encode("utf-8", "backslashreplace").decode("utf-8")  # a path's bytes may be no text
    return f"AI-generated audio: mfv2a {__version__}, model {name} (licence {info.licence}), seed {seed}"
