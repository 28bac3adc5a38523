"""Values and pairs of keys with which no run can work. Knows the shape of the configurations, not how they are read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mfv2a.errors import ConfigError

if TYPE_CHECKING:
    from mfv2a.config import ExtractConfig, ObjectiveConfig, RunConfig, SourceConfig

Limit = tuple[str, Callable[[Any], bool]]
POSITIVE: Limit = ("above 0", lambda value: value > 0)
NOT_NEGATIVE: Limit = ("0 or more", lambda value: value >= 0)
SHARE: Limit = ("0 to 1", lambda value: 0 <= value <= 1)
BELOW_ONE: Limit = ("0 or above and below 1", lambda value: 0 <= value < 1)
SOURCE = dict.fromkeys(("first_seed", "count", "weight", "windows", "shortest_s"), NOT_NEGATIVE)
OBJECTIVE: dict[str, Limit] = {
    "time_std": POSITIVE,
    "kappa": BELOW_ONE,
    "alpha": ("above 0 and at most 1", lambda value: 0 < value <= 1),
    **dict.fromkeys(("equal_share", "full_share", "drop_both", "drop_video", "drop_text"), SHARE),
    **dict.fromkeys(("jvp_ramp_steps", "text_noise"), NOT_NEGATIVE),
}
OPTIMIZER: dict[str, Limit] = {
    "beta2": BELOW_ONE,
    "eps": POSITIVE,
    **dict.fromkeys(("weight_decay", "warmup_steps", "clip"), NOT_NEGATIVE),
}
VALIDATION = dict.fromkeys(("every", "shown"), NOT_NEGATIVE)
RUN: dict[str, Limit] = {
    # What torch and numpy take as a seed, both.
    "seed": ("0 or more and below 2^63", lambda value: 0 <= value < 1 << 63),
    "adversarial": NOT_NEGATIVE,
}
NO_GUIDED_TARGET = {
    "distill": "teacher_cfg guides the teacher",
    "energy": "it has no velocity to guide",
    "flow-matching": "--cfg guides it at sampling",
}
"""Objectives that do not read omega and kappa -> what stands in their place."""
COMPONENTS = {"vocoder": ("vae",)}
"""Task -> components that it leans on."""


def check_values(record: Any, limits: Mapping[str, Limit]) -> None:
    """Refuse numbers outside their limits; what is no number is outside all.

    Args:
        record: with the limits' keys as attributes.
        limits: key to what it must be, in words and as a test.

    Raises:
        ConfigError: names the key.
    """
    for key, (words, holds) in limits.items():
        if not holds(getattr(record, key)):
            raise ConfigError(f"{key} must be {words}, not {getattr(record, key):g}")


def check_source(source: SourceConfig) -> None:
    """Refuse options of a source that cannot work, or that nothing would read.

    Raises:
        ConfigError: names the key.
    """
    check_values(source, SOURCE)
    for key in ("label", "exclude"):
        try:
            re.compile(getattr(source, key))
        except re.error as error:
            raise ConfigError(f"{key} = {getattr(source, key)!r} is no regular expression: {error}") from error
    if source.voices and source.type not in ("scenes", "features"):
        raise ConfigError(f"voices are laid on scenes, not on {source.type}")
    if source.split and not source.listing:
        raise ConfigError("split chooses rows of a list", hint="listing = ...")
    if source.type != "scenes" and not source.path:
        raise ConfigError(f"a source of {source.type} needs a path", hint='path = "FOLDER"')


def check_objective(objective: ObjectiveConfig) -> None:
    """Refuse what no loss can be made of, or what it would not read.

    Raises:
        ConfigError: names the key.
    """
    check_values(objective, OBJECTIVE)
    dropped = objective.drop_both + objective.drop_video + objective.drop_text
    if dropped > 1 + 1e-9:
        raise ConfigError(f"drop_both, drop_video and drop_text together must be at most 1, not {dropped:g}")
    if (objective.name == "distill") != bool(objective.teacher):
        raise ConfigError('name = "distill" and teacher = ... go together')
    if objective.name in NO_GUIDED_TARGET and (objective.omega, objective.kappa) != (1.0, 0.0):
        raise ConfigError(f"omega and kappa are not for {objective.name}", hint=NO_GUIDED_TARGET[objective.name])
    if not objective.guidance:
        return
    if len(objective.guidance) != 2 or not 0 < objective.guidance[0] <= objective.guidance[1]:
        raise ConfigError(f"guidance is a lowest and a highest weight, not {[*objective.guidance]}", hint="[1.0, 7.0]")
    if objective.name in ("flow-matching", "energy") or objective.omega != 1.0:
        what = "omega" if objective.omega != 1.0 else objective.name
        raise ConfigError(f"guidance = ... does not go with {what}", hint="each row's weight guides its target")


def check_run(run: RunConfig) -> None:
    """Refuse a run that cannot work, or options of it that its task would not read.

    Raises:
        ConfigError: names the key.
    """
    for name in ("steps", "batch_size", "crop_s", "accumulate", "checkpoint_keep", "log_every"):
        if getattr(run, name) <= 0:
            raise ConfigError(f"{name} must be positive, not {getattr(run, name)}")
    check_values(run, RUN)
    if not run.sources:
        raise ConfigError("a run needs at least one [[sources]]")
    if any(source.is_media for source in run.sources):
        raise ConfigError("videos and recordings are not trained on as they are", hint="mfv2a extract comes first")
    _check_task(run)
    if run.model.get("guided") and not run.objective.guidance:
        raise ConfigError(
            "a network that takes the weight of guidance learns it from a range of them",
            hint="[objective] guidance = [1.0, 7.0]",
        )
    if run.compile and run.parallel == "fsdp":
        raise ConfigError('compile does not go with parallel = "fsdp"', hint="leave one of them out")


def _check_task(run: RunConfig) -> None:
    if run.task != "generator":
        wanted = [name for name in ("recompute", "compile") if getattr(run, name)]
        wanted += ["accumulate"] * (run.accumulate > 1) + ["validation"] * (run.validation.every > 0)
        if wanted:
            raise ConfigError(f"{wanted[0]} is for a generator alone, not for task = {run.task!r}")
    if run.adversarial and run.task not in ("vae", "vocoder"):
        raise ConfigError(f"adversarial is for a vae or vocoder, not for task = {run.task!r}")
    for source in (*run.sources, *run.validation.sources):
        if source.voices and (run.task, source.type) != ("vae", "features"):
            hint = "mfv2a extract lays them on scenes; of what it stored, a vae reads them"
            raise ConfigError(f"voices are not for task = {run.task!r} with a source of {source.type}", hint=hint)
    known = COMPONENTS.get(run.task, ())
    for name in run.components:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.1) or known[:1]
            hint = f"did you mean {close[0]}?" if close else "components are for task = 'vocoder'"
            raise ConfigError(f"unknown component {name!r} of task = {run.task!r}", hint=hint)


def check_extraction(extraction: ExtractConfig) -> None:
    """Refuse an extraction that cannot work, or options of it that nothing would read.

    Raises:
        ConfigError: names the key.
    """
    for name in ("shard_items", "workers", "duration_s", "batch_size"):
        if getattr(extraction, name) <= 0:
            raise ConfigError(f"{name} must be positive, not {getattr(extraction, name)}")
    source = extraction.source
    if source.is_media != bool(extraction.model):
        raise ConfigError(
            'model = ... goes with a source of type "videos" or "recordings", and they with it',
            hint='model = "mmaudio-small-16k"',
        )
    if source.voices and source.type != "scenes":
        raise ConfigError(f"voices are laid on scenes, not on {source.type}", hint="extract scenes with them first")
