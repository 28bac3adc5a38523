"""Whether words and what is recognised decide what is heard, whatever kind of thing moves.

    python scripts/measure_sights.py                                     the embedded model
    python scripts/measure_sights.py --model runs/named/final.safetensors --steps 4

Filmed clips with events are not here. In their place: the motion of held-out scenes, and in words or as what a
recogniser would say, that something else is seen. Two parts:

    sights    the recogniser's names for sounds (`sights.toml`); it sees one of the things that bear the name at .88.
              Heard: one of the tagger's first five classes is one that the name stands for; beside it how often the
              sounds of all other names have one of these.
    kinds     the labels of scenes, each under a caption that nobody learned from (`judged_wordings.toml`), over motion
              of other kinds; the probe on the tagger's embeddings tells the label.

Both with the recogniser's vector alone, with a caption alone, with both, as what is recognised is put to a generator
where no prompt is given, and with neither. Names that do not go on are put to motion that strikes; of these the onset
F1 against the strikes of the scene is told (100 ms, pooled). With --candidates several sounds of each are drawn and one
is taken, by the tagger and by what strikes: "heard" then says what choosing does for who believes the tagger.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from best_of import BestOf
from measure_codec import interval
from numpy.typing import NDArray

from mfv2a.encoders.protocol import see
from mfv2a.evaluation.onsets import OnsetMatch, detect_onsets, match_onsets, onset_f1
from mfv2a.evaluation.tagger import ClassProbe, over_time
from mfv2a.jobs.evaluate import see_scene
from mfv2a.loader import load_pipeline
from mfv2a.models.efficientnet import ImageRecognizer
from mfv2a.models.stored import asset_path
from mfv2a.models.yamnet import Tagger
from mfv2a.pipeline import Pipeline, SampleOptions
from mfv2a.scenes import CAPTIONS, HELD_OUT_SEED, Scene, make_scene
from mfv2a.scenes.scene import STEADY
from mfv2a.work import Seen

HERE = Path(__file__).parent
FIRST = HELD_OUT_SEED + 30_000  # other scenes than those of `mfv2a evaluate` in the results
SURE, ELSE = 0.88, 0.12
LEAST_STRIKES, MOTIONS, TOP = 3, 24, 5
WAYS = ("vector", "caption", "both", "neither")


@dataclass
class Made:
    """What was made in one way.

    Attributes:
        scores: of the tagger's classes, of each sound.
        rows: embeddings of each sound.
        matches: of hits and strikes, of the sounds that should strike.
        levels: dBFS.
    """

    scores: list[NDArray[np.float32]] = field(default_factory=list)
    rows: list[NDArray[np.float32]] = field(default_factory=list)
    matches: list[OnsetMatch] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Sight:
    """Something to be heard: its name, how it is asked for, its vector if recognised, whether it goes on."""

    name: str
    caption: str
    vector: torch.Tensor
    goes_on: bool


def motions(pipeline: Pipeline, striking: bool) -> list[tuple[Scene, Seen]]:
    """Held-out scenes in which something strikes often, or nothing does, as the encoders see them."""
    found: list[tuple[Scene, Seen]] = []
    seed = FIRST
    while len(found) < MOTIONS:
        scene = make_scene(seed)
        seed += 1
        if (len(scene.events) >= LEAST_STRIKES) if striking else (scene.label in STEADY):
            seen = see(pipeline.encoders, see_scene(scene, pipeline), scene.duration_s)
            if not striking or seen.strikes_s:
                found.append((scene, seen))
    return found


def seen_as(recognizer: ImageRecognizer, members: list[int], which: int) -> torch.Tensor:
    """The vector of a clip in which the recogniser sees one of some classes [D]."""
    probs = torch.full((len(recognizer.names),), ELSE / len(recognizer.names))
    probs[members[which % len(members)]] += 0.85 * SURE
    probs[members] += 0.15 * SURE / len(members)
    return recognizer.judge(probs[None]).vectors[0]


def make(draw: BestOf, asked: list[tuple[Sight, Scene, Seen]], ways: Sequence[str]) -> dict[str, Made]:
    """A sound of each sight over each motion, in some ways; of several candidates the one that `mfv2a dub` takes."""
    tagger, pipeline = Tagger.from_assets(), draw.pipeline
    out: dict[str, Made] = defaultdict(Made)
    rate = pipeline.spec.sample_rate_hz
    for number, (sight, scene, seen) in enumerate(asked):
        recognised = replace(seen, clip=sight.vector[None].repeat(8, 1), confidence=1.0, recognized=(sight.name,))
        bare = replace(seen, clip=None, confidence=1.0)
        for way, see_, words in (
            ("vector", recognised, ""), ("caption", bare, sight.caption), ("both", recognised, sight.caption),
            ("neither", bare, ""),
        ):  # fmt: skip
            if way not in ways:
                continue
            work = pipeline.prepare(see_, prompt=words, duration_s=scene.duration_s, seed=number)
            phrases = [words] if words else list(work.recognized)
            wave = draw.make(work, phrases, pipeline.encoders.strike_curve(see_)).samples
            made = out[way]
            scores, embeddings = tagger.hear(wave, sample_rate_hz=rate)
            made.scores.append(scores.mean(0).numpy())
            made.rows.append(over_time(embeddings))
            made.levels.append(float(20 * np.log10(np.sqrt(np.square(wave).mean()) + 1e-9)))
            if not sight.goes_on and scene.events:
                made.matches.append(match_onsets(detect_onsets(wave, rate), [e.time_s for e in scene.events]))
    return out


def spread(
    sights: list[Sight], each: int, striking: list[tuple[Scene, Seen]], steady: list[tuple[Scene, Seen]]
) -> list[tuple[Sight, Scene, Seen]]:
    """Each sight over some motions of other kinds; what goes on over both sorts."""
    asked = []
    for k, sight in enumerate(sights):
        for m in range(each):
            fit = steady if sight.goes_on and m % 2 else striking
            fit = [(scene, seen) for scene, seen in fit if scene.label != sight.name]
            asked.append((sight, *fit[(k * each + m) % len(fit)]))
    return asked


def tell_sights(made: dict[str, Made], heard: dict[str, list[str]], names: list[str]) -> None:
    """Print how often a name's sounds are heard as it, and those of others."""
    with asset_path("tagger", "classes.csv").open(encoding="utf-8", newline="") as file:
        classes = [row["display_name"] for row in csv.DictReader(file)]
    right = {name: np.isin(classes, wanted) for name, wanted in heard.items()}
    hits = {}
    for way in made:
        top = np.argsort(-np.stack(made[way].scores), axis=1)[:, :TOP]
        hits[way] = np.array([right[name][row].any() for name, row in zip(names, top, strict=True)])
        others = np.mean([[right[o][row].any() for o in heard if o != n] for n, row in zip(names, top, strict=True)])
        f1 = onset_f1(made[way].matches)
        sys.stdout.write(
            f"sights {way:10} heard {interval([*(hits[way] * 1.0)])}  others' {others:.3f}  onset F1 {f1:.3f}  "
            f"level {np.mean(made[way].levels):.1f} dB\n"
        )
    for name in heard:
        at = [k for k, each in enumerate(names) if each == name]
        first = np.mean([[*made.values()][-1].scores[k] for k in at], axis=0)
        told = ", ".join(classes[c] for c in np.argsort(-first)[:3])
        counts = " ".join(str(int(hits[way][at].sum())) for way in made)
        sys.stdout.write(f"    {counts}  {name}: {told}\n")


def tell_kinds(made: dict[str, Made], names: list[str]) -> None:
    """Print how often the probe tells a kind's sounds as it."""
    probe = ClassProbe.from_assets()
    for way in made:
        right = np.array(probe.predict(np.stack(made[way].rows))) == np.array(names)
        f1 = onset_f1(made[way].matches)
        sys.stdout.write(
            f"kinds  {way:10} right {interval([*(right * 1.0)])}  onset F1 {f1:.3f}  "
            f"level {np.mean(made[way].levels):.1f} dB\n"
        )


def main() -> None:
    """Read the words, make the sounds, print what they are heard as."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--each", type=int, default=4, help="motions a name")
    parser.add_argument("--model", default="embedded", help="a model, or a generator's weights")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--candidates", type=int, default=1, help="sounds drawn of each, of which the best is taken")
    parser.add_argument("--way", choices=WAYS, action="append", help="only this way of saying it; may be repeated")
    parser.add_argument("--part", choices=("sights", "kinds"), action="append")
    words = parser.parse_args()
    pipeline, recognizer = load_pipeline(words.model), ImageRecognizer.from_assets()
    striking, steady = motions(pipeline, True), motions(pipeline, False)
    options, rate_hz = SampleOptions(steps=words.steps), pipeline.spec.sample_rate_hz
    draw = BestOf(pipeline, options, candidates=words.candidates, sample_rate_hz=rate_hz)
    ways, parts = words.way or WAYS, words.part or ["sights", "kinds"]
    with asset_path("image", "classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if "sights" in parts:
        table = tomllib.loads((HERE / "sights.toml").read_text(encoding="utf-8"))
        heard = {name: made_of["heard"] for name, made_of in table.items() if "heard" in made_of}
        sights = []
        for k, name in enumerate(heard):
            members = [row for row, each in enumerate(rows) if each["sound"] == name]
            vector = seen_as(recognizer, members, k)
            sights.append(Sight(name, name, vector, table[name].get("goes_on", False)))
        asked = spread(sights, words.each, striking, steady)
        tell_sights(make(draw, asked, ways), heard, [sight.name for sight, _, _ in asked])
    if "kinds" in parts:
        judged = tomllib.loads((HERE / "judged_wordings.toml").read_text(encoding="utf-8"))
        kinds = [label for label in CAPTIONS if label not in ("quiet_room", "calm_outdoors")]
        vectors = pipeline.encoders.text.encode([label.replace("_", " ") for label in kinds])[1]  # type: ignore[attr-defined]
        sights = [
            Sight(label, judged[label][k % len(judged[label])], vectors[k], label in STEADY)
            for k, label in enumerate(kinds)
        ]
        asked = spread(sights, words.each, striking, steady)
        tell_kinds(make(draw, asked, ways), [sight.name for sight, _, _ in asked])
    for name, value in draw.spreads().items():
        sys.stdout.write(f"{name} of a clip's candidates lies {value:.3f} about its mean\n")


if __name__ == "__main__":
    main()
