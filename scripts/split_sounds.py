"""Which of the embedded model's sounds are held out: by file, whole groups of one label and author together.

    python scripts/split_sounds.py           print how many of each part
    python scripts/split_sounds.py --write   make examples/runs/embedded-sounds-heldout.tsv

Two parts are held out, the rest is trained on:

    unseen recordings   groups (label, author) of labels of which other authors' recordings are trained on
    unseen labels       all recordings of a label: the two frequent labels and a twentieth of the rare ones

A group falls by the SHA-256 of its name, so the list does not change when others are added. Only sounds that the
embedded model's runs use are dealt: `exclude` of `embedded-1-sounds.toml` leaves out synthesisers and voices. The
author is the one that the licence names, else the set: a set without names counts as one author. Labels are
compared as they are written; "aluminium" and "aluminum" are two.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import re
import sys
from collections import defaultdict
from pathlib import Path

from sound_list import Row, read_list

from mfv2a.config import ExtractConfig, load_toml

RUNS = Path(__file__).parents[1] / "examples/runs"
HELD_OUT = RUNS / "embedded-sounds-heldout.tsv"
FIELDS = ("file", "part", "label", "author")
RECORDINGS, LABELS = "unseen recordings", "unseen labels"
FREQUENT, WHOLE_FREQUENT = 20, 2  # files of a frequent label; how many of these are unseen
RECORDINGS_SHARE, LABELS_SHARE = 0.4, 0.05


def author_of(row: Row) -> str:
    """Who made a sound: the name in its licence ("CC0 by NAME"), else its set."""
    _, by, name = row["licence"].partition(" by ")
    return name.strip() if by else row["set"]


def place_of(*names: str) -> float:
    """Where names fall between 0 and 1, the same on every machine."""
    return int.from_bytes(hashlib.sha256("\t".join(names).encode()).digest()[:8], "big") / 2**64


def split(rows: list[Row], exclude: str) -> list[Row]:
    """The held-out rows of a list, with `part` and `author`.

    Args:
        rows: of `sound_list.read_list`.
        exclude: labels that match this regular expression are not dealt.
    """
    labels: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if not (exclude and re.search(exclude, row["label"])):
            labels[row["label"]][author_of(row)].append(row)
    sizes = {label: sum(map(len, groups.values())) for label, groups in labels.items()}
    frequent = sorted((label for label in labels if sizes[label] >= FREQUENT), key=place_of)
    whole = set(frequent[:WHOLE_FREQUENT])
    held: list[Row] = []
    for label, groups in labels.items():
        if label in whole or (sizes[label] < FREQUENT and place_of(label) < LABELS_SHARE):
            part, taken = LABELS, list(groups)
        else:
            part = RECORDINGS
            order = sorted(groups, key=lambda author: place_of(label, author))
            taken = [author for author in order if place_of(label, author) < RECORDINGS_SHARE]
            taken = taken[: len(order) - 1]  # something of the label must stay to be learned
        held += [
            {"file": row["file"], "part": part, "label": label, "author": author}
            for author in taken
            for row in groups[author]
        ]
    return sorted(held, key=lambda row: row["file"])


def main() -> None:
    """Split the list."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make the list")
    options = parser.parse_args()
    exclude = load_toml(RUNS / "embedded-1-sounds.toml", ExtractConfig).source.exclude
    rows = read_list()
    held = split(rows, exclude)
    if options.write:
        text = io.StringIO()
        writer = csv.DictWriter(text, FIELDS, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE)
        writer.writeheader()
        writer.writerows(held)
        HELD_OUT.write_text(text.getvalue(), encoding="utf-8")
    dealt = sum(1 for row in rows if not re.search(exclude, row["label"]))
    for part in (RECORDINGS, LABELS):
        taken = [row for row in held if row["part"] == part]
        sys.stdout.write(f"{part}: {len(taken)} of {dealt} sounds, {len({row['label'] for row in taken})} labels\n")


if __name__ == "__main__":
    main()
