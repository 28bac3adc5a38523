"""`mfv2a evaluate GENERATED --reference DIR`: folders of sounds against the true ones, by the measures of the field."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfv2a.errors import ConfigError, MediaError, StartError
from mfv2a.evaluation.measures import all_names, find_measure
from mfv2a.evaluation.pairs import has_stoi
from mfv2a.jobs.figures import compare, estimate_all, records
from mfv2a.jobs.judges import Judges, Missing, load_judges
from mfv2a.jobs.machine import describe_program
from mfv2a.jobs.measure import RATE_HZ, Scores, measure_pairs
from mfv2a.jobs.pairing import Pair, Pairing, pair_folders
from mfv2a.media.whole import check_apart, check_targets, write_whole

COLUMNS = ("value", "low", "high", "clips", "undefined")
SHOWN = 3
"""Names that a line holds."""
MOST_DRAWS, MOST_WEIGHTS = 1_000_000, 200_000_000
"""Of the bootstrap; and draws times clips, each of which is a number in memory."""
COMPARED = ("a", "b", "difference", "low", "high", "share_a_better", "clips", "undefined")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOptions:
    """What `evaluate_folders` shall do.

    Attributes:
        generated: one folder, or two to compare.
        reference: folder with the true sounds.
        listing: a list whose rows say which files belong together, None to go by names.
        split: only rows of this split of the list, "" for all.
        measures: names of those wanted, () for all.
        draws: of the bootstrap; seed: of the draws.
        device: where the judges run.
        csv: file for the figures, None for none.
        per_clip: file for the scores of each clip, None for none.
    """

    generated: tuple[Path, ...]
    reference: Path
    listing: Path | None = None
    split: str = ""
    measures: tuple[str, ...] = ()
    draws: int = 1000
    seed: int = 0
    device: str = "auto"
    csv: Path | None = None
    per_clip: Path | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.generated) <= 2:
            raise ConfigError("one folder is measured, or two are compared")
        if not 2 <= self.draws <= MOST_DRAWS:
            raise ConfigError(f"--draws {self.draws} cannot work", hint=f"use 2 to {MOST_DRAWS}")
        if self.split and self.listing is None:
            raise ConfigError("--split is of the rows of a list", hint="give --list, too")
        known = all_names()
        for name in self.measures:
            if name not in known:
                raise ConfigError(f"unknown measure {name!r}", hint="known: " + ", ".join(known))
        check_targets(self.csv, self.per_clip)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who is told how it goes.

    Attributes:
        begin: what was found, before anything is read.
        tick: how many pairs are done with.
        fail: a file that cannot be read.
        say: what else people should know, a line each.
        end: what was measured, before any file is written.
    """

    begin: Callable[[Pairing], None]
    tick: Callable[[int], None]
    fail: Callable[[MediaError], None]
    say: Callable[[str], None] = lambda line: None
    end: Callable[[Mapping[str, Any]], None] = lambda report: None


def evaluate_folders(options: FolderOptions, watcher: Watcher) -> dict[str, Any]:
    """Pair, read and measure.

    Args:
        options: what to do.
        watcher: who is told.

    Returns:
        JSON-ready: pairs, failed and unpaired files, `measures` by name (with two folders `a`, `b`, their difference
        and how often the first is better), and `left_out` by name with the reason.

    Raises:
        ConfigError: nothing belongs together, or a value cannot work.
        StartError: no pair could be read, or the device is not there.
        MediaError: a file for the figures cannot be written; the watcher has been told them.
    """
    pairing = pair_folders(options.generated, options.reference, listing=options.listing, split=options.split)
    _check(options, pairing.pairs)
    watcher.begin(pairing)
    wanted = [name for name in all_names() if name in options.measures or not options.measures]
    judges = load_judges(wanted, device=options.device)
    left_out = {**judges.left_out, **_impossible(wanted, judges, pairing.pairs)}
    failed = [MediaError(path, reason, hint="keep one of them") for path, reason in pairing.unclear]
    for error in failed:
        watcher.fail(error)

    def fail(error: MediaError) -> None:
        failed.append(error)
        watcher.fail(error)

    measured = [name for name in wanted if name not in left_out]
    scores = measure_pairs(pairing.pairs, judges, frozenset(measured), fail=fail, tick=watcher.tick)
    if not scores.pairs:
        raise StartError("no pair could be read", hint="see the lines above")
    for line in _odd_lengths(scores):
        watcher.say(line)
    lost = _try_per_clip(options, scores)
    figures, empty = estimate_all(scores, measured, draws=options.draws, seed=options.seed, say=watcher.say)
    left_out |= empty
    report: dict[str, Any] = {
        **describe_program(),
        "reference": str(options.reference),
        "generated": [str(folder) for folder in options.generated],
        **_counts(scores),
        "failed": [{"path": str(error.path), "error": str(error)} for error in failed],
        "unpaired": {role: list(names) for role, names in pairing.alone.items()},
        "listed": pairing.listed,
        "missing": {role: len(names) for role, names in pairing.missing.items()},
        "rate_hz": RATE_HZ,
        "draws": options.draws,
        "seed": options.seed,
    }
    if len(figures) == 2:
        report["measures"] = {name: {**row, **_words(name)} for name, row in compare(figures[0], figures[1]).items()}
    else:
        report["measures"] = records(figures[0])
    report["left_out"] = {name: _reason(name, left_out[name]) for name in wanted if name in left_out}
    watcher.end(report)
    if options.csv is not None:
        write_whole(options.csv, _table(report, COMPARED if len(options.generated) == 2 else COLUMNS))
    if lost is not None:
        raise lost
    return report


def _check(options: FolderOptions, pairs: Sequence[Pair]) -> None:
    """Refuse what cannot work with these pairs, before one is read."""
    read = [path for pair in pairs for path in (pair.reference, *pair.generated)]
    check_apart((options.csv, options.per_clip), [*read, *(() if options.listing is None else (options.listing,))])
    if options.draws * len(pairs) > MOST_WEIGHTS:
        most = MOST_WEIGHTS // len(pairs)
        words = f"--draws {options.draws} of {len(pairs)} clips are too many for memory"
        raise ConfigError(words, hint=f"use {most} or fewer")


def _roles(scores: Scores) -> Sequence[str]:
    return ("generated",) if len(scores.systems) == 1 else ("a", "b")


def _counts(scores: Scores) -> dict[str, Any]:
    """How many clips and true sounds; of each system how many sounds were filled with silence, how many cut."""
    sides = zip(_roles(scores), scores.shorter, scores.longer, strict=True)
    return {
        "pairs": len(scores.pairs),
        "true_sounds": scores.true_sounds,
        "shortened": len({name for names in (*scores.shorter, *scores.longer) for name in names}),
        "lengths": {role: {"shorter": len(shorter), "longer": len(longer)} for role, shorter, longer in sides},
    }


def _odd_lengths(scores: Scores) -> Iterator[str]:
    for names, words in ((scores.shorter, "shorter"), (scores.longer, "longer")):
        done = "filled with silence" if words == "shorter" else "cut"
        for role, keys in zip(_roles(scores), names, strict=True):
            if keys:
                shown = ", ".join(keys[:SHOWN]) + (" ..." if len(keys) > SHOWN else "")
                yield f"{role}: {len(keys)} of {len(scores.pairs)} {words} than the true sound and {done}: {shown}"


def _words(name: str) -> dict[str, str]:
    measure = find_measure(name)
    return {"title": measure.title, "unit": measure.unit, "better": measure.better}


def _reason(name: str, missing: Missing) -> dict[str, str]:
    return {"reason": missing.reason, "hint": missing.hint, **_words(name)}


def _impossible(wanted: Sequence[str], judges: Judges, pairs: Sequence[Pair]) -> dict[str, Missing]:
    """Measures that have their judge and not what it needs."""
    found = {}
    if "stoi" in wanted and not has_stoi():
        found["stoi"] = Missing("the package pystoi is not installed", "pip install 'mfv2a[eval]'")
    if judges.words is not None and not any(pair.captions for pair in pairs):
        found["clap"] = Missing("no clip has a caption", "give --list, a list with captions")
    pictures = any(pair.picture is not None for pair in pairs)
    for name, judge in (("imagebind", judges.pictures), ("desync", judges.sync)):
        if judge is not None and not pictures:
            found[name] = Missing("no clip has a picture", "give videos in one of the folders")
    return found


def _try_per_clip(options: FolderOptions, scores: Scores) -> MediaError | None:
    """Write the clips' scores before anything is drawn, which may take long; a failure is told after the figures."""
    if options.per_clip is None:
        return None
    lines = [json.dumps(_clip(scores, row), ensure_ascii=False, allow_nan=False) for row in range(len(scores.pairs))]
    try:
        write_whole(options.per_clip, "".join(f"{line}\n" for line in lines))
    except MediaError as error:
        return error
    return None


def _table(report: Mapping[str, Any], columns: Sequence[str]) -> str:
    """The figures as CSV; what was left out is a row with its reason and no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["measure", *columns, "unit", "better", "left_out"])
    for name, row in report["measures"].items():
        cells = ["" if row[column] is None else row[column] for column in columns]
        writer.writerow([name, *cells, row["unit"], row["better"], ""])
    for name, row in report["left_out"].items():
        writer.writerow([name, *("" for _ in columns), row["unit"], row["better"], row["reason"]])
    return text.getvalue()


def _clip(scores: Scores, row: int) -> dict[str, Any]:
    pair = scores.pairs[row]
    every = []
    for path, system in zip(pair.generated, scores.systems, strict=True):
        hits = dict(zip(("hits", "found", "true"), system.matches[row], strict=True)) if system.matches else None
        facts = {"generated": str(path), "duration_s": system.files_s[row]}
        every.append({**facts, **({} if hits is None else {"onsets": hits}), "scores": system.scores[row]})
    rest: dict[str, Any] = dict(zip("ab", every, strict=True)) if len(every) == 2 else every[0]
    length = {"reference": str(pair.reference), "reference_duration_s": scores.durations_s[row]}
    return {"clip": pair.key, **length, **rest}
