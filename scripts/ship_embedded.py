r"""Put trained weights into the package as the embedded model, and their hashes into checkpoints.toml.

    python scripts/ship_embedded.py --vae runs/decoder --vocoder runs/vocoder \
        --sync runs/sync-rates --generator runs/named --extension runs/extension --reader runs/reader

Takes `final.safetensors` of each run, stores it in half precision, the generator in int8 with a scale a row, under
src/mfv2a/assets/embedded (at most 24 MiB a file) and rewrites their digests there. A run that is left out keeps the
file that is there. `git checkout src/mfv2a/assets checkpoints.toml` brings back the model that ships.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import torch

from mfv2a.jobs.seed import whole_digest
from mfv2a.models.weights import load_network, save_network

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = ROOT / "src" / "mfv2a" / "assets" / "embedded"
REGISTER = ROOT / "checkpoints.toml"
KINDS = ("generator", "vae", "sync", "vocoder", "extension", "reader")
LIMIT_BYTES = 24 << 20
KEPT = ("task", "batch_size", "crop_s", "seed", "precision", "adversarial", "model", "objective", "optimizer")
LEARNED_SINCE = (
    "recordings",
    "sentences",
    "wordings",
    "pictures",
    "joined",
    "words",
    "heard",
    "apart",
    "named",
    "places",
)


def store(kind: str, run: Path) -> Path:
    """Write a run's weights, made small, with what is worth knowing of the run but no paths."""
    network, facts = load_network(run / "final.safetensors", kind)
    kept = {name: facts.get("run", {}).get(name) for name in KEPT}
    dtype = torch.int8 if kind == "generator" else torch.float16
    told = {"steps": facts.get("steps"), "seconds": facts.get("seconds"), "run": kept}
    told |= {name: facts[name] for name in LEARNED_SINCE if name in facts}
    if kind == "generator":
        told["latents_of"] = facts.get("features", {}).get("vae", [])
    path = save_network(EMBEDDED / f"{kind}.safetensors", kind, network, facts=told, dtype=dtype)
    path.chmod(0o644)  # safetensors writes files for their owner alone
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise SystemExit(f"{path} has {size} bytes, more than {LIMIT_BYTES}: make the network smaller")
    sys.stdout.write(f"{path.relative_to(ROOT)}  {size / 1e6:.1f} MB  {facts.get('steps')} steps\n")
    return path


def register(register_text: str) -> str:
    """The register with the digests of the files that are there."""
    for kind in KINDS:
        pattern = rf'^(path = "assets/embedded/{kind}\.safetensors"\ndigest = ")sha256:[0-9a-f]*"'
        digest = f'\\g<1>sha256:{whole_digest(EMBEDDED / f"{kind}.safetensors")}"'
        register_text, count = re.subn(pattern, digest, register_text, flags=re.M)
        if count != 1:
            raise SystemExit(f"{REGISTER} has no digest for the {kind}")
    return register_text


def main() -> None:
    """Read the words, store the weights, state their hashes."""
    parser = argparse.ArgumentParser(description="Ship trained weights as the embedded model.")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, metavar="RUN", help=f"folder of the {kind}'s run")
    words = vars(parser.parse_args())
    for kind in KINDS:
        if words[kind] is not None:
            store(kind, words[kind])
    REGISTER.write_text(register(REGISTER.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
