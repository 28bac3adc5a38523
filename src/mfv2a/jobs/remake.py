"""A line of the report -> the command that makes its file again with another seed, quoted for a POSIX shell.

What decides an output is in the line's settings; this module knows which option says each of them. It does not
know Typer: a test lets the real command read what is written here.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mfv2a.media.store import is_url
from mfv2a.records import ModelInfo
from mfv2a.register import model_names

Words = Callable[[Any], list[str]]


def _with(option: str) -> Words:
    return lambda value: [option, repr(value).removesuffix(".0") if isinstance(value, float) else str(value)]


def _switch(on: str, off: str | None = None) -> Words:
    return lambda value: [word for word in ((on if value else off),) if word]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


OPTIONS: Mapping[str, Words] = {
    "model": _with("--model"),
    "prompt": _with("--prompt"),
    "negative_prompt": _with("--negative-prompt"),
    "as_written": _switch("--as-written"),
    "steps": _with("--steps"),
    "cfg_strength": _with("--cfg"),
    "rescale": _switch("--rescale", "--no-rescale"),
    "semantics": lambda value: [] if value else ["--no-video-semantics"],
    "reuse_frames": _with("--reuse-frames"),
    "dtype": _with("--dtype"),
    "sample_rate_hz": _with("--sample-rate"),
    "loudness_lufs": _with("--loudness"),
    "audio_codec": _with("--audio-codec"),
    "keep_audio": _with("--keep-audio"),
    "mix_gain_db": _with("--mix-gain"),
    "variant": _with("--variants"),
    "candidates": _with("--candidates"),
    "refused": lambda names: [f"--no-{name}" for name in names if isinstance(name, str)] if _is_list(names) else [],
    "tries": _with("--tries"),
    "split_shots": _switch("--split-shots"),
    "channels": _with("--channels"),
    "duck_db": _with("--duck"),
    "provenance": lambda value: [] if value else ["--no-provenance"],
}
"""Name of a setting -> the words that ask for a value of it."""
BESIDE: Mapping[str, Words] = {
    "also_wav": _switch("--also-wav"),
    "onsets": lambda value: ["--onsets", str(value)] if value else [],
    "keep_all": _switch("--keep-all"),
}
"""What is written beside an output, no settings of it -> the words that ask for it."""
MOST_SEED = 1 << 52  # a page counts on from there
SAID_ELSEWHERE = frozenset({"seed", "digest"})
USUAL: Mapping[str, Any] = {
    "prompt": "",
    "negative_prompt": "",
    "semantics": True,
    "dtype": "auto",
    "sample_rate_hz": 48_000,
    "audio_codec": "auto",
    "keep_audio": "replace",
    "variant": 1,
}
"""Values that need no word."""


def remake_command(record: Mapping[str, Any], out: Path, model: ModelInfo | None) -> tuple[str, int]:
    """The command that makes the file of a record again; of a further take, all takes up to it.

    The command enters the folder that the video's place in the output tree counts from, so that the new file takes
    the place of the old one; of a video behind an address it writes into that one's own folder.

    Args:
        record: a line of the report, its "settings" and "details" mappings.
        out: the output folder, absolute.
        model: what is known of its model, None if nothing is.

    Returns:
        All that stands before the seed, and another seed than the record's, which ends the command.
    """
    settings, details = record["settings"], record.get("details", {})
    asked = details.get("asked") if isinstance(details.get("asked"), Mapping) else {}
    place = record.get("name") or details.get("place")
    remote = str(record["source"]) if is_url(str(record["source"])) else ""
    root, relative = _place(Path(record["source"]), place)
    usual = dict(USUAL)
    if model is not None:
        usual |= {"steps": model.default_steps, "cfg_strength": model.default_cfg, "rescale": model.default_rescale}
    words = ["mfv2a", "dub", remote or relative, "--out", str(_folder_of(place, out) if remote else out)]
    for name, words_of in OPTIONS.items():
        value = settings.get(name)
        if name == "variant" and record.get("status") == "failed":  # all takes of it
            value = asked.get("variants", value)
        if value is not None and value != usual.get(name):
            words += words_of(_absolute_model(value) if name == "model" else value)
    for name, words_of in BESIDE.items():
        words += words_of(asked.get(name) or (name == "also_wav" and "wav" in details))
    seed = settings.get("seed")
    enter = "" if remote else f"cd {quote(str(root))} && "
    before = f"{enter}{' '.join(map(quote, words))} --seed "
    return before, 1 + (seed if isinstance(seed, int) and 0 <= seed < MOST_SEED else 0)


def unsaid(settings: Mapping[str, Any]) -> Iterator[str]:
    """The settings that no option here stands for: another version's."""
    return (name for name in settings if name not in OPTIONS and name not in SAID_ELSEWHERE)


def quote(word: str) -> str:
    """A word as a shell reads it back; what cannot be shown or typed becomes an escape ($'...')."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    """One character within $'...': itself where it can be shown, else its bytes."""
    if character in "\\'":
        return "\\" + character
    if character.isprintable():
        return character
    known = character if not "\ud800" <= character <= "\udc7f" else "?"  # such never stood for a byte
    return "".join(f"\\{byte:03o}" for byte in known.encode("utf-8", "surrogateescape"))


def _place(source: Path, name: Any) -> tuple[Path, str]:
    """The folder that a video's place counts from, and the video from there, never read as an option."""
    parents = PurePosixPath(name).parts[:-1] if isinstance(name, str) else ()
    within = bool(parents) and parents == source.parts[-1 - len(parents) : -1]
    root = source.parents[len(parents)] if within else source.parent
    relative = source.relative_to(root).as_posix()
    return root, relative if not relative.startswith("-") else f"./{relative}"


def _folder_of(name: Any, out: Path) -> Path:
    """The folder within the output folder that an output lies in; that itself for a name that leads out of it."""
    place = PurePosixPath(name) if isinstance(name, str) else PurePosixPath()
    return out if place.is_absolute() or ".." in place.parts else out.joinpath(*place.parts[:-1])


def _absolute_model(name: Any) -> str:
    """A model of one's own by its whole path: the command starts elsewhere."""
    path = Path(str(name))
    is_own = name not in model_names() and "\0" not in str(name)
    return str(path.absolute()) if is_own and os.path.lexists(path) else str(name)
