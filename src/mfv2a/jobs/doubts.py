"""What a batch was asked for and will not do, in sentences for people. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mfv2a.jobs.plan import Plan

if TYPE_CHECKING:
    from mfv2a.jobs.dub import DubOptions


def doubts(plan: Plan, options: DubOptions, info: Any) -> Iterator[str]:
    """What was asked for and will do nothing.

    Args:
        plan: of the batch.
        options: of the batch.
        info: the model's description.
    """
    silent = [item for item in plan.items if item.negative_prompt and not info.guides(item.settings["cfg_strength"])]
    if silent:
        strength = silent[0].settings["cfg_strength"]
        yield (
            f"a negative prompt acts only where --cfg is above 1; here it is {strength:g} "
            f"({len(silent)} of {len(plan.items)})"
        )
    wordless = [item for item in plan.items if item.details.get("prompt_from") in ("", "option")]
    if options.prompt_from != "none" and wordless:
        yield f"--prompt-from {options.prompt_from}: no words in {len(wordless)} of {len(plan.items)}"
