"""Of scenes that sound like something else, those that are heard as their name.

    python scripts/pick_heard.py data/scenes-revoiced --out data/scenes-heard --sights data/sights-heard

The codec and the rhythm of another thing leave little of some sounds. The rows of `revoice.py` that bear a
recogniser's name go through the embedded codec and vocoder, and the tagger must hear one of the classes that
`sights.toml` gives for the name among its first five. `--out` gets these and all rows of other names, `--sights` as
many of each recogniser's name, some more than once. Prints of each such name how many were heard, of how many.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch
from pick_voices import check_codec, is_heard
from revoice import SIGHTS

from mfv2a.data.manifest import STATISTICS, Item, check_complete, read_facts, write_index, write_shard
from mfv2a.data.mapped import find_shards, opened
from mfv2a.errors import ConfigError, Mfv2aError
from mfv2a.loader import load_pipeline
from mfv2a.models.yamnet import Tagger

EACH, FEW, SHARD_ITEMS = 30, 12, 128
"""Rows of a name; of one that was heard but once; of a shard."""


def wanted_classes() -> dict[str, dict[str, str]]:
    """Of each name what its sounds must be heard as, for `is_heard`."""
    table = tomllib.loads(SIGHTS.read_text(encoding="utf-8"))
    heard = {name: "|".join(map(re.escape, made_of["heard"])) for name, made_of in table.items() if "heard" in made_of}
    return {name: {"heard": f"^({pattern.lower()})$"} for name, pattern in heard.items()}


def pick(folder: Path) -> tuple[list[Item], dict[str, list[Item]], Counter[str]]:
    """Rows that are kept, those of them that bear a recogniser's name by it, and how many were listened to of each."""
    pipeline, tagger, wanted = load_pipeline("embedded", device="cpu"), Tagger.from_assets(), wanted_classes()
    kept: list[Item] = []
    named: dict[str, list[Item]] = defaultdict(list)
    looked_at: Counter[str] = Counter()
    for path in find_shards(folder):
        with opened(path) as shard:
            arrays = {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118
        for row, fact in enumerate(read_facts(path)):
            item, name = ({key: values[row] for key, values in arrays.items()}, fact), fact["voice"]
            if name not in wanted:
                kept.append(item)
                continue
            looked_at[name] += 1
            if is_heard(torch.from_numpy(item[0]["voiced_latent"]).float(), wanted[name], pipeline, tagger):
                kept.append(item)
                named[name].append(item)
    return kept, named, looked_at


def level(named: dict[str, list[Item]]) -> list[Item]:
    """As many rows of each name, in a mixed order."""
    rng, rows = np.random.default_rng(0), []
    for _, items in sorted(named.items()):
        order = rng.permutation(len(items))
        rows += [items[order[k % len(items)]] for k in range(EACH if len(items) > 1 else FEW)]
    return [rows[k] for k in rng.permutation(len(rows))]


def write(out: Path, items: list[Item], statistics: Path) -> None:
    """A folder of these rows."""
    out.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(items), SHARD_ITEMS):
        write_shard(out, first // SHARD_ITEMS, items[first : first + SHARD_ITEMS])
    shutil.copyfile(statistics, out / STATISTICS)
    write_index(out, {"type": "features"})


def main() -> None:
    """Read the words."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="of `revoice.py`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sights", type=Path, required=True)
    words = parser.parse_args()
    torch.set_num_threads(1)
    try:
        check_complete(words.folder)
        check_codec(words.folder)
        for out in (words.out, words.sights):
            if out.exists():  # what an earlier run picked would be read with it
                raise ConfigError(f"{out} is there already", hint="choose another folder")
        kept, named, looked_at = pick(words.folder)
        if not named:
            raise ConfigError(f"no row of {words.folder} is heard as a recogniser's name")
        write(words.out, kept, words.folder / STATISTICS)
        write(words.sights, level(named), words.folder / STATISTICS)
    except Mfv2aError as error:
        raise SystemExit(str(error)) from None
    for name, count in sorted(looked_at.items()):
        sys.stdout.write(f"{len(named[name])} of {count}  {name}\n")
    sys.stdout.write(f"{sum(map(len, named.values()))} of {looked_at.total()}\n")


if __name__ == "__main__":
    main()
