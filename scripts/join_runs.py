r"""Put together what several runs learned from the same weights: the start and, of each run, a share of its change.

    python scripts/join_runs.py runs/wordings/final.safetensors --out runs/joined \
        --run runs/pictures/final.safetensors@0.6 --run runs/words/final.safetensors

Of a sync encoder with `--kind sync`. Runs that each keep what the other learns can be added (Ilharco et al., "Editing
Models with Task Arithmetic", arXiv 2212.04089).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mfv2a.errors import Mfv2aError
from mfv2a.models.weights import load_network, save_network


def join(start: Path, runs: list[str], out: Path, kind: str = "generator") -> None:
    """Write the weights of the start with the shares of the runs' changes, and what is told of each."""
    network, facts = load_network(start, kind)
    first = network.state_dict()
    state = {name: value.float() for name, value in first.items()}
    told = dict(facts)
    for run in runs:
        path, _, share = run.partition("@")
        other, known = load_network(Path(path), kind)
        for name, value in other.state_dict().items():
            state[name] = state[name] + float(share or 1) * (value.float() - first[name].float())
        told |= {name: fact for name, fact in known.items() if fact != facts.get(name)}
    told["joined"] = [float(run.partition("@")[2] or 1) for run in runs]
    save_network(out / "final.safetensors", kind, network, state=state, facts=told)


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description="Put together what several runs learned from the same weights.")
    parser.add_argument("start", type=Path)
    parser.add_argument("--run", action="append", required=True, metavar="FILE[@SHARE]", help="repeatable")
    parser.add_argument("--kind", default="generator", choices=("generator", "sync"))
    parser.add_argument("--out", type=Path, required=True)
    words = parser.parse_args()
    try:
        join(words.start, words.run, words.out, words.kind)
    except Mfv2aError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
