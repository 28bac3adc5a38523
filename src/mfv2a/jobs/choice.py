"""How many sounds of a clip are drawn, which of them are refused, and how often.

What is listened for is known here in words only; `jobs.jury` listens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfv2a.errors import ConfigError
from mfv2a.register import MOST_TRIES

if TYPE_CHECKING:
    from mfv2a.evaluation.unwanted import Unwanted

MOST_CANDIDATES = 64
USUAL_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceOptions:
    """How the sound of a clip is chosen.

    Attributes:
        candidates: sounds drawn of each clip; the best is taken.
        keep_all: write the others, too.
        no_speech, no_music: refuse sounds in which such is heard.
        tries: how often they are drawn at most until one is not refused; None for the usual number.
        heard_tries: how often they are drawn at most until the words are among what is heard foremost.
    """

    candidates: int = 1
    keep_all: bool = False
    no_speech: bool = False
    no_music: bool = False
    tries: int | None = None
    heard_tries: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.candidates <= MOST_CANDIDATES:
            raise ConfigError(f"--candidates {self.candidates} cannot work", hint=f"use 1 to {MOST_CANDIDATES}")
        if self.keep_all and self.candidates < 2:
            raise ConfigError("--keep-all with one candidate keeps nothing", hint="add --candidates 4, or leave it out")
        if self.tries is not None and not self.unwanted:
            raise ConfigError("--tries without --no-speech or --no-music", hint="add one of them, or leave it out")
        if self.tries is not None and not 1 <= self.tries <= MOST_TRIES:
            raise ConfigError(f"--tries {self.tries} cannot work", hint=f"use 1 to {MOST_TRIES}")

    @property
    def unwanted(self) -> tuple[Unwanted, ...]:
        """What must not be heard."""
        wanted: tuple[tuple[Unwanted, bool], ...] = (("speech", self.no_speech), ("music", self.no_music))
        return tuple(name for name, refused in wanted if refused)

    @property
    def listens(self) -> bool:
        """Somebody must listen to what was drawn."""
        return self.candidates > 1 or self.heard_tries > 1 or bool(self.unwanted)

    @property
    def rounds(self) -> int:
        """How often the candidates are drawn at most."""
        if not self.unwanted:
            return 1
        return USUAL_TRIES if self.tries is None else self.tries

    @property
    def kept(self) -> int:
        """How many sounds of a clip are written."""
        return self.candidates if self.keep_all else 1

    def settings(self) -> dict[str, Any]:
        """What of this decides an output, JSON-ready; what is as it ever was is left out."""
        settings: dict[str, Any] = {} if self.candidates == 1 else {"candidates": self.candidates}
        settings |= {"heard_tries": self.heard_tries} if self.heard_tries > 1 else {}
        return settings | ({"refused": list(self.unwanted), "tries": self.rounds} if self.unwanted else {})

    def others(self, path: Path) -> tuple[Path, ...]:
        """The names of the candidates that are written beside the best, by their rank: NAME.candidate-2.mp4 ..."""
        return tuple(path.with_name(f"{path.stem}.candidate-{rank}{path.suffix}") for rank in range(2, self.kept + 1))
