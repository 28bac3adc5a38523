"""The measures by name: what they are called for people, in what unit, and which way is better.

Knows no numbers. Those of a judge are called by it: `frechet_panns` is the Frechet distance of what PANNs hears.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", ""]


@dataclass(frozen=True, slots=True)
class Measure:
    """What a figure is.

    Attributes:
        title: for people.
        unit: of the figure, "" for none.
        better: which way is better, "" for neither.
    """

    title: str
    unit: str = ""
    better: Better = ""


PAIRED: Mapping[str, Measure] = {
    "onset_f1": Measure("onset F1, 100 ms, mean over clips", "", "higher"),
    "onset_f1_pooled": Measure("onset F1, all hits together", "", "higher"),
    "envelope_correlation": Measure("correlation of onset envelopes", "", "higher"),
    "envelope_above_chance": Measure("correlation of onset envelopes above that with shifted ones", "", "higher"),
    "log_mel_distance": Measure("log-mel distance", "nepers", "lower"),
    "mel_cepstral_distortion": Measure("mel-cepstral distortion", "dB", "lower"),
    "stoi": Measure("STOI", "", "higher"),
    "loudness_difference": Measure("loudness above the true sound's", "LU"),
    "loudness_error": Measure("loudness apart, either way", "LU", "lower"),
}
"""Of each generated sound against its true one."""

BY_JUDGE: Mapping[str, Measure] = {
    "class_agreement": Measure("likeliest class agrees", "", "higher"),
    "frechet": Measure("Frechet distance", "", "lower"),
    "kernel": Measure("kernel distance", "", "lower"),
    "kl": Measure("KL from the true sound, softmax", "nats", "lower"),
    "kl_sigmoid": Measure("KL from the true sound, sigmoid", "nats", "lower"),
    "inception": Measure("inception score", "", "higher"),
    "inception_10": Measure("inception score, ten parts", "", "higher"),
}
"""Of what a judge hears; a judge without classes has the distances alone."""

DISTANCES = ("frechet", "kernel")
JUDGES: Mapping[str, str] = {"yamnet": "YAMNet", "passt": "PaSST", "panns": "PANNs", "vggish": "VGGish"}

CROSSED: Mapping[str, Measure] = {
    "imagebind": Measure("ImageBind score, sound and picture", "", "higher"),
    "desync": Measure("DeSync, sound and picture apart", "s", "lower"),
    "clap": Measure("CLAP score, sound and words", "", "higher"),
}
"""Of a generated sound against its picture or its words."""


def names_of(judge: str, *, classes: bool = True) -> list[str]:
    """All measures of a judge."""
    return [f"{kind}_{judge}" for kind in (BY_JUDGE if classes else DISTANCES)]


def all_names() -> list[str]:
    """Every measure there is, in order."""
    judged = [name for judge in JUDGES for name in names_of(judge, classes=judge != "vggish")]
    return [*PAIRED, *judged, *CROSSED]


def find_measure(name: str) -> Measure:
    """What a figure is, by its name; a judge that is not known goes by its own."""
    if name in PAIRED:
        return PAIRED[name]
    if name in CROSSED:
        return CROSSED[name]
    kind, _, judge = name.rpartition("_")
    found = BY_JUDGE[kind]
    return Measure(f"{found.title}, {JUDGES.get(judge, judge)}", found.unit, found.better)
