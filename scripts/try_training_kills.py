"""Kill a small training run at random moments, go on each time, and tell what was lost. One line of JSON.

    python scripts/try_training_kills.py --kills 20

The run writes a checkpoint every `--minutes`. After each SIGKILL it is looked at which checkpoints can be read and
how many steps the log is ahead of the newest: those were lost. At last it runs to its end, and its weights are
compared with those of a run that was never stopped. Ends with 1 if a checkpoint was lost or the weights differ.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

from mfv2a.data.manifest import write_shard

RUN = """
task = "generator"
out = "{out}"
steps = {steps}
batch_size = 4
workers = 0
log_every = 1
checkpoint_minutes = {minutes}
[model]
latent_dim = 4
clip_dim = 8
sync_dim = 8
text_dim = 8
text_len = 4
dim = 16
num_heads = 2
joint_depth = 1
fused_depth = 1
mlp_ratio = 1.0
average = true
[objective]
equal_share = 0.5
[[sources]]
type = "features"
path = "made-up"
"""


def make_features(folder: Path) -> None:
    """Features of noise."""
    rng = np.random.default_rng(0)
    shapes = {"latent": (6, 4), "clip": (2, 8), "sync": (8, 8), "text": (4, 8)}
    rows = [({name: rng.normal(0, 1, shape) for name, shape in shapes.items()}, {}) for _ in range(8)]
    for arrays, _ in rows:
        arrays["latent_std"] = np.full(shapes["latent"], 0.1)
    write_shard(folder, 0, rows)
    (folder / "statistics.json").write_text(json.dumps({"latent_mean": [0.0] * 4, "latent_std": [1.0] * 4}))


def begin(lab: Path, name: str, steps: int, minutes: float) -> subprocess.Popen[bytes]:
    """Start, or go on with, a run."""
    (lab / f"{name}.toml").write_text(RUN.format(out=name, steps=steps, minutes=minutes))
    words = [sys.executable, "-m", "mfv2a", "train", "--quiet", f"{name}.toml"]
    return subprocess.Popen(words, cwd=lab, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})


def readable(run: Path) -> list[int]:
    """Steps of the checkpoints that can be read whole, the newest first."""
    found = []
    for path in run.glob("checkpoint-*.safetensors"):
        try:
            with safe_open(path, "np") as file:
                _ = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118
        except Exception as error:  # noqa: BLE001 - whatever it is, the checkpoint is lost
            sys.stderr.write(f"{path.name}: {error}\n")
            continue
        found.append(int(path.stem.split("-")[1]))
    return sorted(found, reverse=True)


def logged(run: Path) -> list[dict[str, Any]]:
    """Records of the log, but for a last line that was cut."""
    lines = (run / "log.jsonl").read_text().splitlines() if (run / "log.jsonl").exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def main() -> None:
    """Kill, look, go on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--minutes", type=float, default=0.02, help="between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, kills, lost, most_steps, most_seconds = random.Random(options.seed), 0, 0, 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        lab, run = Path(folder), Path(folder) / "killed"
        make_features(lab / "made-up")
        for _ in range(options.kills):
            before, last = readable(run), logged(run)[-1:]
            process = begin(lab, "killed", options.steps, options.minutes)
            while process.poll() is None and logged(run)[-1:] == last:
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 150 * options.minutes))
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            after, records = readable(run), logged(run)
            damaged = len(list(run.glob("checkpoint-*.safetensors"))) - len(after)
            lost += damaged + (max(after, default=0) < max(before, default=0))
            ahead = [record for record in records if record["step"] > max(after, default=0)]
            most_steps = max(most_steps, len(ahead))
            most_seconds = max(most_seconds, ahead[-1]["seconds"] - ahead[0]["seconds"] if ahead else 0.0)
        if (
            begin(lab, "killed", options.steps, options.minutes).wait()
            or begin(lab, "straight", options.steps, 9).wait()
        ):
            raise SystemExit("a run did not end well")
        ours, theirs = (load_file(lab / name / "final.safetensors") for name in ("killed", "straight"))
    same = all(np.array_equal(ours[name], tensor) for name, tensor in theirs.items())
    told = {"kills": kills, "lost_checkpoints": lost, "most_steps_lost": most_steps, "equal_to_straight": same}
    told |= {"most_seconds_lost": round(most_seconds, 2), "seconds_between_checkpoints": 60 * options.minutes}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.exit(1 if lost or not same else 0)


if __name__ == "__main__":
    main()
