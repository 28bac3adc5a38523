"""Files that would meet: two outputs of one name, or one over an input. Refused before anything is made.

What a video becomes is only known once it has been opened, since its container may not stay. So the names of all are
looked at first, and only those videos are opened whose outputs could meet. This module opens none itself.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mfv2a.errors import ConfigError
from mfv2a.jobs.discover import VIDEO_SUFFIXES, Discovery, Found, Videos, bare_name
from mfv2a.jobs.heartbeat import is_heartbeat
from mfv2a.jobs.report import absolute
from mfv2a.jobs.reported import REPORT_NAME, shard_of
from mfv2a.media.containers import CONTAINERS
from mfv2a.media.spelling import are_spelled_alike, composed
from mfv2a.media.whole import check_apart, check_targets, find_place

if TYPE_CHECKING:
    from mfv2a.jobs.dub import DubOptions
    from mfv2a.jobs.plan import Item, PlanOptions

ENDS = frozenset(VIDEO_SUFFIXES).union(
    (".wav", ".onsets.csv", ".onsets.edl"), *(c.suffixes for c in CONTAINERS.values())
)
"""How the names of outputs end, and of the files beside them."""
TOLD = 5  # pairs of sources that share an output, in one message


def find_suspects(discovery: Discovery, options: PlanOptions) -> tuple[frozenset[int], Videos]:
    """Finds the videos whose outputs could meet.

    Args:
        discovery: the inputs.
        options: what decides the outputs.

    Returns:
        The numbers of such videos among those found, and the inputs that lie, by name, where outputs go.
    """
    root = os.path.join(absolute(options.out), "")  # noqa: PTH118 - with the separator at its end
    inside = Videos(
        name
        for name in itertools.chain(discovery.found.names, discovery.others.names)
        if os.path.abspath(name[0]).startswith(root)  # noqa: PTH100 - a hundred thousand Paths are slow
    )
    reserved = {_key(bare_name(str(absolute(found.source)))) for found in inside}
    holders: dict[str, int] = {}
    suspects: set[int] = set()
    for number, (_, relative) in enumerate(discovery.found.names):
        for name in _bare_outputs(relative, options):
            key = _key(root + name)
            if key in holders:
                suspects |= {holders[key], number}
            elif key in reserved:
                suspects.add(number)
            holders[key] = number
    return frozenset(suspects), inside


def refuse_collisions(items: Sequence[Item], done: Iterable[tuple[Path, Path]], found: Sequence[Found]) -> None:
    """Refuses outputs that two sources share, and outputs that are inputs.

    Args:
        items: what will be made.
        done: outputs that are there already, each with its source.
        found: inputs that could be an output.

    Raises:
        ConfigError: there are such.
    """
    inputs: dict[str, list[Path]] = {}
    for each in found:
        inputs.setdefault(_key(str(absolute(each.source))), []).append(each.source)
    made = ((path, item.source) for item in items for path in item.files)
    taken: dict[str, list[tuple[Path, Path]]] = {}
    shared, count = list[str](), 0
    for output, source in itertools.chain(made, done):
        key = _key(str(absolute(output)))
        if (over := next((each for each in inputs.get(key, ()) if _are_one(output, each)), None)) is not None:
            raise ConfigError(
                f"{source} would be written over the input {over}",
                hint="choose another --out; a source is never touched",
            )
        others = taken.setdefault(key, [])
        theirs = next((other for at, other in others if _are_one(output, at)), None)
        if theirs is None:
            others.append((output, source))
            continue
        count += 1
        if count <= TOLD:
            shared.append(f"{theirs} and {source} would both become {output}")
    if shared:
        more = f"; and {count - TOLD} more such pairs" if count > TOLD else ""
        raise ConfigError(
            "; ".join(shared) + more, hint="dub them in two runs with different --out, or rename one of each"
        )


def refuse_foreign(discovery: Discovery, options: PlanOptions) -> None:
    """Refuses further takes and candidates of a video whose names are those of another run's videos.

    Args:
        discovery: the inputs, and those of other runs.
        options: what decides the outputs.

    Raises:
        ConfigError: there is such a name.
    """
    if not discovery.others or (options.variants == 1 and options.choice.kept == 1):
        return
    theirs = {_key(bare_name(relative)): source for source, relative in discovery.others.names}
    for source, relative in discovery.found.names:
        for name in itertools.islice(_bare_outputs(relative, options), 1, None):
            if _key(name) in theirs:
                raise ConfigError(
                    f"{theirs[_key(name)]} and a further take of {source} may both become {options.out / name}.*",
                    hint="dub them in two runs with different --out, or rename one",
                )


def refuse_heartbeat(path: Path | None, discovery: Discovery, options: DubOptions) -> None:
    """Refuses a heartbeat that would take the place of another file, or that cannot be written.

    Args:
        path: of the heartbeat, None for none.
        discovery: the inputs.
        options: what decides the outputs.

    Raises:
        ConfigError: it would; a pipe or a device never does.
    """
    if path is None:
        return
    try:
        check_targets(path)
        check_apart([path], [] if options.prompts is None else [options.prompts])
        place, is_stream = find_place(path)
        reason = "" if is_stream else _taken_for(path, place, discovery, options)
    except ConfigError as error:
        raise ConfigError(f"--heartbeat: {error}", hint=error.hint) from error
    except OSError as error:
        raise ConfigError(f"--heartbeat {path}: {error.strerror or error}", hint="name another file") from error
    if reason:
        raise ConfigError(f"--heartbeat {path}: {reason}", hint="name another file")


def _taken_for(path: Path, place: Path, discovery: Discovery, options: DubOptions) -> str:
    """What else a heartbeat's name, which leads to a place, is or will be the name of; "" for nothing.

    Raises:
        OSError: what is there cannot be read.
    """
    here = {_key(str(place)), _key(str(absolute(path)))}
    if any(_key(os.path.abspath(source)) in here for source, _ in discovery.found.names):  # noqa: PTH100
        return "that is a video to be dubbed"
    root = Path(os.path.realpath(options.out))
    if place.parent == root and _is_ours(place.name):
        return "mfv2a keeps a file of its own there"
    if place.is_relative_to(root) and _becomes_output(str(place.relative_to(root)), discovery, options):
        return "that may become an output"
    return "" if is_heartbeat(place) else "that is a file, and no heartbeat of an earlier run"


def _is_ours(name: str) -> bool:
    """Whether a file of this name in an output folder is one that the tool keeps for itself."""
    from mfv2a.jobs.gallery import PAGE_NAME

    return name in (REPORT_NAME, PAGE_NAME) or name.startswith(".mfv2a") or shard_of(name) is not None


def _becomes_output(relative: str, discovery: Discovery, options: DubOptions) -> bool:
    """Whether a place in the output tree may be that of an output, or of a file beside one."""
    bare = {_key(relative[: -len(end)]) for end in ENDS if relative.lower().endswith(end)}
    if not bare:
        return False
    places = (place for _, place in discovery.found.names)
    stems = itertools.chain.from_iterable({place, os.path.splitext(place)[0]} for place in places)  # noqa: PTH122
    return any(_key(name) in bare for stem in stems for name in _bare_outputs(stem, options))


def _bare_outputs(relative: str, options: PlanOptions | DubOptions) -> Iterator[str]:
    """The names of a video's outputs without their suffix, the plain one first."""
    stem = bare_name(relative)
    for number in range(1, options.variants + 1):
        take = stem if number == 1 else f"{stem}.{number}"
        yield take
        yield from (f"{take}.candidate-{rank}" for rank in range(2, options.choice.kept + 1))


def _key(name: str) -> str:
    """A spelling that all names share which some file system takes for one."""
    return composed(os.path.normcase(name)).lower()


def _are_one(first: Path, second: Path) -> bool:
    """Whether two names of one `_key` mean one file where they are."""
    one, other = (os.path.normcase(absolute(path)) for path in (first, second))
    if one == other:
        return True
    there = next((folder for folder in absolute(first).parents if folder.is_dir()), None)
    return there is not None and are_spelled_alike(one, other, there)
