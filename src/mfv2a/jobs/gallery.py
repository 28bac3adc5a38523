"""`--gallery` and `mfv2a report gallery`: an output folder -> one page that shows and plays all that is in it.

The only place that knows jinja2. What the page says comes from `jobs.cards`, what is seen and heard of a clip from
`jobs.sketches`. This module does not know how a sound is made, nor how its own progress looks.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mfv2a import __version__
from mfv2a.disk import cannot_write
from mfv2a.errors import ConfigError, StartError
from mfv2a.jobs.cards import ORDER, last_records, make_card, output_path, state_of
from mfv2a.jobs.crew import Crew
from mfv2a.jobs.report import absolute
from mfv2a.jobs.reported import report_paths
from mfv2a.jobs.sketches import FOLDER, Sketch, SketchBook, mel
from mfv2a.jobs.start import MOST_WORKERS, count_cores
from mfv2a.media.whole import replace_whole

PAGE_NAME = "index.html"
OURS = b'<meta name="generator" content="mfv2a">'
INLINE_BYTES = 24 << 20
"""Pictures of a page that holds them itself; where they are more, it refers to their files."""
SCRIPTS = ("list.js", "card.js", "player.js", "page.js")
AHEAD = 4  # clips handed to each thread
CLOSE_S = 10.0
PICTURES = ("strip", "spectrogram")
MIME = {".jpg": "image/jpeg", ".png": "image/png"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """A page that was made.

    Attributes:
        path: of the page.
        clips: on it.
        states: how many clips are in which state.
        sketched: files that were looked at and listened to; the others had been before.
        unseen: files that could be neither seen nor heard.
        page_bytes: size of the page.
    """

    path: Path
    clips: int
    states: Mapping[str, int]
    sketched: int
    unseen: int
    page_bytes: int


def check_page(out: Path, *, overwrite: bool = False) -> None:
    """Refuses to replace a page that is not ours, before anything is made.

    Args:
        out: the output folder; it need not exist.
        overwrite: replace it all the same.

    Raises:
        ConfigError: there is such a page, or something that is no file.
    """
    path = out / PAGE_NAME
    try:
        with path.open("rb") as file:
            ours = OURS in file.read(4096)
    except FileNotFoundError:
        return
    except NotADirectoryError:  # --out is no folder, which is refused in its own words
        return
    except OSError as error:
        raise ConfigError(f"{path} cannot be replaced: {error.strerror}", hint="move it away") from error
    if not (ours or overwrite):
        raise ConfigError(f"{path} is there already, and not made by mfv2a", hint="move it away, or use --overwrite")


def make_gallery(
    out: Path,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Gallery:
    """Makes the page of a folder, from the reports in it. What was seen and heard of a file before is used again.

    Args:
        out: the output folder of one or more runs; they may still be going on.
        overwrite: replace a page that is not ours.
        workers: files looked at at the same time, None for as many as there are cores.
        tick: is told how many of how many clips are through.

    Raises:
        ConfigError: the folder holds no report, or a page that is not ours.
        StartError: the page cannot be written.
    """
    root = absolute(out)
    if not root.is_dir():
        raise ConfigError(f"{out} is not a folder", hint="name the --out of a run, on this disk")
    if not report_paths(root):
        raise ConfigError(f"{out} holds no report", hint="name the --out of a run")
    check_page(out, overwrite=overwrite)
    records = last_records(root)
    records.sort(key=lambda record: ORDER.index(state_of(record, root)))  # stable: in the report's order otherwise
    book = SketchBook(root)
    sketches, made = _sketch(records, root, book, workers or min(count_cores(), MOST_WORKERS), tick)
    cards = [make_card(record, root, sketch) for record, sketch in zip(records, sketches, strict=True)]
    _add_pictures(cards, sketches)
    page = render(cards, root)
    try:
        replace_whole(root / PAGE_NAME, page)
    except OSError as error:
        raise cannot_write(root / PAGE_NAME, error) from error
    book.prune(str(record["name"]) for record, card in zip(records, cards, strict=True) if card["video"])
    unseen = sum(bool(card["problem"]) for card in cards)
    states = dict(Counter(card["state"] for card in cards))
    path = out / PAGE_NAME
    return Gallery(path=path, clips=len(cards), states=states, sketched=made, unseen=unseen, page_bytes=len(page))


def render(cards: Sequence[Mapping[str, Any]], root: Path) -> bytes:
    """Cards -> the page.

    Args:
        cards: what is said of each clip, in order.
        root: the output folder, whose name is the page's title.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    assets = Path(__file__).parent.parent / "assets" / "gallery"
    style = (assets / "page.css").read_text(encoding="utf-8")
    parts = "\n".join((assets / name).read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'(() => {{\n"use strict";\n{parts}}})();'
    seconds = sum(card["duration"] or 0.0 for card in cards if card["video"])
    models = sorted({(card["model"], card["licence"]) for card in cards if card["model"]})
    edges = {str(int(top)): [[hertz, _height(hertz, top)] for hertz in (500, 2000, 8000)] for top in (8000.0, 16000.0)}
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        (assets / "page.html").read_text(encoding="utf-8")
    )
    text = template.render(
        title=_shown(root.name or str(root)),
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        states=Counter(card["state"] for card in cards),
        total=len(cards),
        seconds=seconds,
        models=[(_shown(name), _shown(licence)) for name, licence in models],
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=Markup(script_json({"clips": list(cards), "edges": edges})),
    )
    return text.encode("utf-8")


def script_json(value: Any) -> str:
    """A value as JSON that cannot end the script element it stands in: ASCII, without < > and &."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _shown(text: str) -> str:
    """A text that UTF-8 can hold: bytes that are none become question marks in a box."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _hash(text: str) -> str:
    """The word by which a Content-Security-Policy knows an inline element."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _height(hertz: float, top_hz: float) -> float:
    """How high a frequency lies in a spectrogram, 0 at its lower and 1 at its upper edge."""
    return round((mel(hertz) - mel(20.0)) / (mel(top_hz) - mel(20.0)), 4)


def _sketch(
    records: Sequence[Mapping[str, Any]], root: Path, book: SketchBook, workers: int, tick: Callable[[int, int], None]
) -> tuple[list[Sketch | None], int]:
    """The sketches of all records that have a file, and how many had to be made."""
    found: list[Sketch | None] = []
    to_make: list[int] = []
    for index, record in enumerate(records):
        output = output_path(record, root)
        there = output is not None and state_of(record, root) in ("ok", "uncertain")
        found.append(book.find(str(record["name"]), output) if there and output is not None else None)
        if there and found[-1] is None:
            to_make.append(index)
    done = len(records) - len(to_make)
    tick(done, len(records))
    if to_make:
        for index, sketch in _make_all(to_make, records, root, book, min(workers, len(to_make))):
            found[index] = sketch
            done += 1
            tick(done, len(records))
    return found, len(to_make)


def _make_all(
    wanted: Sequence[int], records: Sequence[Mapping[str, Any]], root: Path, book: SketchBook, workers: int
) -> Iterator[tuple[int, Sketch]]:
    """Makes sketches in threads; what fails in one spoils no other."""
    import torch

    from mfv2a.models.yamnet import Tagger

    tagger, all_threads = Tagger.from_assets(), torch.get_num_threads()
    crew = Crew(workers, begin=lambda: torch.set_num_threads(max(1, all_threads // workers)))
    begun: deque[tuple[int, Future[Sketch]]] = deque()

    def make(index: int) -> Sketch:
        output = output_path(records[index], root)
        assert output is not None
        duration_s = _duration(records[index])
        return book.make(str(records[index]["name"]), output, duration_s, tagger)

    try:
        left = iter(wanted)
        while True:
            while len(begun) < workers * AHEAD and (index := next(left, None)) is not None:
                begun.append((index, crew.submit(lambda index=index: make(index))))  # type: ignore[misc]
            if not begun:
                return
            index, future = begun.popleft()
            try:
                yield index, future.result()
            except StartError:
                raise
            except Exception as error:  # noqa: BLE001 - told on the clip's card; the next page tries again
                yield index, Sketch({"problem": f"{type(error).__name__}: {error}"}, None, None)
    finally:
        for _, future in begun:
            future.cancel()
        crew.close(CLOSE_S)
        torch.set_num_threads(all_threads)


def _duration(record: Mapping[str, Any]) -> float:
    details = record.get("details")
    value = details.get("duration_s") if isinstance(details, dict) else None
    return float(value) if isinstance(value, int | float) and 0 < value < 1e7 else 8.0


def _add_pictures(cards: Sequence[dict[str, Any]], sketches: Sequence[Sketch | None]) -> None:
    """Gives each card its pictures: themselves while they are small together, else where they are."""
    paths = [path for sketch in sketches if sketch for path in (sketch.strip, sketch.spectrogram) if path]
    inline = sum(map(_size, paths)) <= INLINE_BYTES
    for card, sketch in zip(cards, sketches, strict=True):
        for name, path in zip(PICTURES, (sketch.strip, sketch.spectrogram) if sketch else (None, None), strict=True):
            card[name] = "" if path is None else _data(path) if inline else f"{FOLDER}/{path.name}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed in this moment
        return 0


def _data(path: Path) -> str:
    """A picture as an address that holds it; "" for one that was removed in this moment."""
    try:
        return f"data:{MIME[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
    except OSError:
        return ""
