r"""Teach a sync encoder that it does not matter where something happens, how large it is, and how it is filmed.

    python scripts/learn_places.py src/mfv2a/assets/embedded/sync.safetensors --views data/places --calm data/calm \
        --minutes 40 --out runs/places

Of a view of a scene from elsewhere or at another rate (`scripts/places.py`) the student is to give the features that
the teacher, the weights as they are, gives of the scene as it was drawn; of the drawn and of the nearer view those that
the teacher gives of them. What a generator learned to read from the teacher thus stays readable. The heads stay as they
are; onsets and classes are learned through them, too. In a clip in which nothing strikes (`scripts/calm.py`) it is to
see nothing strike, and to give what the teacher gives where that saw nothing, either.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from calm import read_calm
from numpy.typing import NDArray
from places import Views, read_views
from torch import Tensor

from mfv2a.errors import DivergenceError
from mfv2a.media.motion import mirror_motion
from mfv2a.models.compact import SyncEncoder, SyncOutput
from mfv2a.models.weights import load_network, save_network
from mfv2a.training.ema import EMA

VIEW_SHARES = (0.22, 0.16, 0.16, 0.08, 0.22, 0.16)
DRAWN, NEAR = 0, 3
CALM_SHARE, CALM_WEIGHT, SEEN_CALM = 0.25, 2.0, 0.4
GAIN, LOST, NOISE = 0.25, 0.03, 0.02
ONSETS, LABELS = 0.6, 0.05
HEADS = ("onset", "bands", "label")
WARM_STEPS, TOLD_EVERY, AVERAGE = 50, 100, 0.998


class Drawn(NamedTuple):
    """What is shown, and what is to be made of it.

    Attributes:
        motion: [B, T, F]; aims: features [B, T, D]; onset: onset curves [B, T]; label: classes [B].
        likeness, struck, named: how much a row counts for the features, the onsets and the class, [B].
    """

    motion: Tensor
    aims: Tensor
    onset: Tensor
    label: Tensor
    likeness: Tensor
    struck: Tensor
    named: Tensor


class Rows:
    """Rows of a step, and what is to be made of them.

    Args:
        views: of scenes.
        calm: motion of clips in which nothing strikes, [N, T, F].
        teacher: the weights as they were.
    """

    def __init__(self, views: Views, calm: NDArray[np.float16], teacher: SyncEncoder) -> None:
        self.views = views
        self.aims = np.stack([_told(teacher, motion[[DRAWN, NEAR]])[0] for motion in views.motion])
        self.calm = calm
        told = [_told(teacher, clip[None]) for clip in calm]
        self.calm_aims = [features[0] for features, _ in told]
        self.calm_seen = np.array([tops[0] < SEEN_CALM for _, tops in told])

    def draw(self, rng: np.random.Generator, count: int) -> Drawn:
        """So many views of scenes, and calm clips, drawn at random, half of them mirrored."""
        still = min(int((rng.random(count) < CALM_SHARE).sum()), count - 1) if len(self.calm) else 0
        scenes = self._views(rng, count - still)
        return Drawn(*map(torch.cat, zip(scenes, self._still(rng, still), strict=True))) if still else scenes

    def _views(self, rng: np.random.Generator, count: int) -> Drawn:
        """So many views of scenes."""
        scenes = rng.integers(len(self.views.label), size=count)
        shown, mirrored = rng.choice(len(VIEW_SHARES), count, p=VIEW_SHARES), rng.random(count) < 0.5
        motion = _as_shown(self.views.motion[scenes, shown], mirrored)
        aims = torch.from_numpy(self.aims[scenes, (shown == NEAR).astype(int), mirrored.astype(int)]).float()
        onset, label = torch.from_numpy(self.views.onset[scenes]), torch.from_numpy(self.views.label[scenes])
        counts = torch.from_numpy(shown != NEAR).float()
        return Drawn(motion, aims, onset.float(), label, torch.ones(count), counts, counts)

    def _still(self, rng: np.random.Generator, count: int) -> Drawn:
        """So many calm clips."""
        clips, mirrored = rng.integers(len(self.calm), size=count), rng.random(count) < 0.5
        motion = _as_shown(self.calm[clips], mirrored)
        ways = mirrored.astype(int)
        aims = np.stack([self.calm_aims[clip][way] for clip, way in zip(clips, ways, strict=True)])
        alike = self.calm_seen[clips, ways]
        nothing, none = torch.zeros(count, motion.shape[1]), torch.zeros(count)
        return Drawn(
            motion, torch.from_numpy(aims).float(), nothing, none.long(), torch.from_numpy(alike).float(),
            none + CALM_WEIGHT, none,
        )  # fmt: skip


def _as_shown(motion: NDArray[np.float16], mirrored: NDArray[np.bool_]) -> Tensor:
    """Motion [B, T, F], some rows of it mirrored."""
    rows = [mirror_motion(seen) if way else seen for seen, way in zip(motion.astype(np.float32), mirrored, strict=True)]
    return torch.from_numpy(np.stack(rows))


@torch.inference_mode()
def _told(teacher: SyncEncoder, motion: NDArray[np.float16]) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """What the teacher tells of views [V, T, F], as they are and mirrored.

    Returns:
        features [V, 2, T, D]; the heights of the onset curves [V, 2].
    """
    seen = motion.astype(np.float32)
    out = teacher(torch.from_numpy(np.concatenate([seen, np.stack([mirror_motion(view) for view in seen])])))
    tops = out.onset.sigmoid().amax(1).numpy()
    features = out.features.half().numpy()
    return np.stack(np.split(features, 2), 1), np.stack(np.split(tops, 2), 1)


def disturb(motion: Tensor, generator: torch.Generator) -> Tensor:
    """Other gains, lost columns and noise."""
    rows, _, columns = motion.shape
    gain = torch.exp(GAIN * torch.randn(rows, 1, 1, generator=generator))
    kept = torch.rand(rows, 1, columns, generator=generator) > LOST
    return (motion + NOISE * torch.randn(motion.shape, generator=generator)) * gain * kept


def losses(out: SyncOutput, rows: Drawn) -> tuple[Tensor, Tensor, Tensor]:
    """Squared difference to the teacher's features, and what onsets and classes lack in the rows that count."""
    apart = (out.features - rows.aims).square().mean((1, 2))
    weight = 1 + 3 * rows.onset
    struck = F.binary_cross_entropy_with_logits(out.onset, rows.onset, weight=weight, reduction="none").mean(1)
    named = F.cross_entropy(out.label, rows.label, label_smoothing=0.05, reduction="none")
    pairs = ((apart, rows.likeness), (struck, rows.struck), (named, rows.named))
    told, seen, called = ((loss * count).sum() / count.sum().clamp(min=1) for loss, count in pairs)
    return told, seen, called


def learn(words: argparse.Namespace) -> None:
    """Train until the time is over, tell, write."""
    torch.set_num_threads(words.threads)
    teacher, facts = load_network(words.sync, "sync")
    student, _ = load_network(words.begin or words.sync, "sync")
    assert isinstance(teacher, SyncEncoder)
    assert isinstance(student, SyncEncoder)
    student.requires_grad_(True).train()
    for head in HEADS:
        getattr(student, head).requires_grad_(False)
    calm = read_calm(words.calm) if words.calm else np.zeros((0, 1, 1), np.float16)
    rows = Rows(read_views(words.views), calm, teacher.eval())
    optimizer = torch.optim.AdamW(
        [weight for weight in student.parameters() if weight.requires_grad], words.rate, weight_decay=words.decay
    )
    average = EMA(student, AVERAGE)
    rng, generator = np.random.default_rng(words.seed), torch.Generator().manual_seed(words.seed)
    step, began, told = 0, time.monotonic(), []
    while (spent := max((time.monotonic() - began) / (60 * words.minutes), step / words.steps)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = words.rate * min(1.0, (step + 1) / WARM_STEPS) * 0.5 * (1 + math.cos(math.pi * spent))
        drawn = rows.draw(rng, words.batch)
        parts = losses(student(disturb(drawn.motion, generator)), drawn)
        loss = parts[0] + ONSETS * parts[1] + LABELS * parts[2]
        if not math.isfinite(loss.item()):
            raise DivergenceError(f"the loss of step {step} is not finite", hint="take a lower --rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        average.update(student, step)
        step += 1
        told.append([part.item() for part in parts])
        if step % TOLD_EVERY == 0:
            apart, onsets, labels = np.mean(told, 0)
            line = f"step {step}  seconds {time.monotonic() - began:.0f}  features {apart:.4f}  onsets {onsets:.4f}"
            sys.stdout.write(f"{line}  labels {labels:.3f}\n")
            sys.stdout.flush()
            told.clear()
    facts = {**facts, "places": {"steps": step, "seconds": round(time.monotonic() - began)}}
    path = save_network(words.out / "final.safetensors", "sync", student, state=average.state, facts=facts)
    sys.stdout.write(f"{path}: {step} steps\n")


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sync", type=Path, help="weights of the sync encoder to begin with, the teacher's")
    parser.add_argument("--views", type=Path, required=True, help="a folder of scripts/places.py")
    parser.add_argument("--calm", type=Path, help="a folder of scripts/calm.py")
    parser.add_argument("--begin", type=Path, help="weights that a run before this one wrote, to go on from")
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--steps", type=float, default=math.inf, help="the most; the schedule follows what ends first")
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--decay", type=float, default=0.05)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    learn(parser.parse_args())


if __name__ == "__main__":
    main()
