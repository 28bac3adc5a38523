"""How to sample in a measurement: a number of steps, or the settings under which others in the field report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mfv2a.errors import ConfigError

if TYPE_CHECKING:
    from mfv2a.jobs.sound import SoundOptions
    from mfv2a.pipeline import SampleOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to sample.

    Attributes:
        name: as reports call it.
        steps: sampler steps, None for the model's own.
        cfg_strength: guidance weight, None for what is asked elsewhere, else the model's own.
        renoise: share of each step by which noise is topped up before it, None for the model's own.
    """

    name: str
    steps: int | None = None
    cfg_strength: float | None = None
    renoise: tuple[float, ...] | None = None

    def sound(self, sound: SoundOptions) -> SoundOptions:
        """Options with this setting's steps and guidance."""
        cfg = sound.cfg_strength if self.cfg_strength is None else self.cfg_strength
        return replace(sound, steps=self.steps, cfg_strength=cfg)

    def sampler(self, sound: SoundOptions) -> SampleOptions:
        """What the pipeline's sampler takes."""
        return replace(self.sound(sound).sampler(), renoise=self.renoise)


PRESETS: Mapping[str, Setting] = MappingProxyType(
    {
        "mmaudio-25-cfg": Setting(name="mmaudio-25-cfg", steps=25, cfg_strength=4.5),
        "one-step": Setting(name="one-step", steps=1, cfg_strength=4.5),
        "one-step-baked": Setting(name="one-step-baked", steps=1, cfg_strength=1.0),
        "four-renoise": Setting(name="four-renoise", steps=4, renoise=(0.0, 0.5, 0.5, 0.3)),
    }
)
"""Peers' settings: MMAudio's 25 Euler steps with guidance 4.5 (arXiv 2412.15322); one step with the same guidance,
which evaluates twice; one step of a network whose guidance is in its weights, which evaluates once (MeanFlow, arXiv
2505.13447); Woosh's four steps with noise topped up between them (arXiv 2604.01929), guided as asked."""


def settings_of(steps: Sequence[int], presets: Sequence[str], default_steps: int) -> list[Setting]:
    """The settings to measure, in the order asked for; the model's own where none is.

    Args:
        steps: numbers of steps.
        presets: names of PRESETS.
        default_steps: the model's own.

    Raises:
        ConfigError: no such preset, or a setting is named twice.
    """
    for name in presets:
        if name not in PRESETS:
            raise ConfigError(f"unknown preset {name!r}", hint="known: " + ", ".join(PRESETS))
    counted = [Setting(name=f"{count} step{'s' if count > 1 else ''}", steps=count) for count in steps]
    own = Setting(name=f"{default_steps} step{'s' if default_steps > 1 else ''}", steps=default_steps)
    settings = [*counted, *(PRESETS[name] for name in presets)] or [own]
    names = [setting.name for setting in settings]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{name} is asked for twice", hint="name each setting once; --repeats measures it again")
    return settings


def setting_doubts(settings: Sequence[Setting], sound: SoundOptions) -> Iterator[str]:
    """What of the options does not hold for a setting: a line for people each."""
    for setting in settings:
        own, asked = setting.cfg_strength, sound.cfg_strength
        if own is not None and asked is not None and own != asked:
            yield f"{setting.name} keeps its own guidance, {own:g}: --cfg {asked:g} is for the other settings"


def check_setting(setting: Setting, sound: SoundOptions, info: Any) -> None:
    """Refuse what the model cannot do.

    Raises:
        ConfigError: its guidance cannot be steered so.
    """
    try:
        setting.sound(sound).check(info, pictures=True)
    except ConfigError as error:
        raise ConfigError(f"{setting.name}: {error}", hint=error.hint) from error
