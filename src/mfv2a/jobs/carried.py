"""The prompt that a video carries itself: the words of its name, or what its tags say.

Careful rather than clever: what does not read like words for a picture or a sound is no prompt, and "" is an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from mfv2a.jobs.graph import is_graph, prompt_of_graph
from mfv2a.media.tags import STATEMENT, read_tags

PromptFrom = Literal["none", "filename", "metadata"]
LIMIT_CHARACTERS = 1000

# Tags in the order in which they are asked; a generator's own come before what people write.
_TAGS = ("prompt", "parameters", "comment", "description", "synopsis", "title")
_JSON_KEYS = ("prompt", "positive_prompt", "parameters", "caption", "description", "text")
# Names of cameras, programs and takes, which say nothing of what is seen: dropped.
_NOT_SEEN = re.compile(
    r"avi|animatediff|clip|cogvideox|comfyui|copy|dsc[fn]?|edit|export|final|fps|gif|gopr|u?hd|hunyuanvideo|img|input|"
    r"kling|mkv|mov|movie|mp|mvi|output|pika|pxl|px|render|rendered|runway|sora|svd|temp|tmp|untitled|veo|vid|video|webm",
    re.IGNORECASE,
)
# Words that may belong to a sentence but say nothing alone.
_WEAK = re.compile(
    r"and|audio|capture|edited|film|frames?|gen|luma|ltx|new|out|preview|recording|scene|screen|seed|shot|steps|take|test|"
    r"the|wan|with",
    re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12}", re.IGNORECASE)
_SITE_ID = re.compile(r"\[(?=[^\]]*[A-Z0-9])[\w-]{11}\]")
_HEX = re.compile(r"[0-9a-f]{8,}", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W\d_]+)?")
_HUMP = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")
_LATIN = re.compile(r"[A-Za-z]+")
_LONGEST_WORD = 24
_A1111_END = re.compile(r"\n\s*Negative prompt:|\n\s*Steps: \d", re.IGNORECASE)
_A1111_WEIGHT = re.compile(r"\(([^():<>]*):[\d.]+\)")
_A1111_NETWORK = re.compile(r"<(?:lora|lyco|hypernet):[^>]*>", re.IGNORECASE)


def carried_prompt(source: Path, prompt_from: PromptFrom) -> str:
    """The prompt that a video carries.

    Args:
        source: the video.
        prompt_from: where to look: "filename", "metadata", or nowhere.

    Returns:
        The prompt on one line, "" if nothing usable is there.

    Raises:
        MediaError: the tags were asked for and the file cannot be opened.
    """
    if prompt_from == "filename":
        return words_of_name(source.stem)
    if prompt_from == "metadata":
        return prompt_of_tags(read_tags(source))
    return ""


def words_of_name(stem: str) -> str:
    """The words of a file's name: "a_dog-barking_00012_4f3a9c" -> "a dog barking".

    Numbers, hashes, identifiers and the names that cameras and programs give are dropped; so are bytes that are no
    text.

    Args:
        stem: the name without folder and suffix.

    Returns:
        The words with single spaces, "" if none is left.
    """
    text = stem.encode("utf-8", "replace").decode("utf-8")
    text = _SITE_ID.sub(" ", _UUID.sub(" ", text))
    words: list[str] = []
    for run in _WORD.findall(text):
        parts = _HUMP.split(run)
        humps = len(parts) > 2 and sum(len(part) for part in parts) < 4 * len(parts)  # dQwWgXcQ is no text
        if not humps and not _NOT_SEEN.fullmatch(run):
            words += [part for part in parts if _reads_like_a_word(part)]
    return " ".join(words) if any(map(_says_something, words)) else ""


def prompt_of_tags(tags: Mapping[str, str]) -> str:
    """The prompt in a container's tags, plain or in the JSON that image and video generators write there.

    Args:
        tags: the container's metadata; the case of names does not matter.

    Returns:
        The prompt on one line, "" if no tag holds one.
    """
    known = {name.casefold().rsplit(".", 1)[-1]: value for name, value in tags.items()}
    texts = (known[name] for name in _TAGS if name in known)
    prompts = (_prompt_of_text(text) for text in texts if not text.startswith(STATEMENT))  # mfv2a's own is no prompt
    return next((prompt for prompt in prompts if prompt), "")


def _reads_like_a_word(text: str) -> bool:
    if any(character.isdigit() for character in text) or len(text) > _LONGEST_WORD:
        return False
    if _NOT_SEEN.fullmatch(text) or _HEX.fullmatch(text):
        return False
    if not _LATIN.fullmatch(text):
        return True
    if len(text) == 1:
        return text in "aAI"
    return bool(re.search("[aeiouy]", text, re.IGNORECASE))


def _says_something(word: str) -> bool:
    if _WEAK.fullmatch(word):
        return False
    return _reads_like_a_word(word) and (len(word) > 2 or not _LATIN.fullmatch(word))


def _prompt_of_text(text: str) -> str:
    """The prompt in the text of one tag."""
    text = text.strip("\0 \r\n\t")
    if text[:1] in ("{", "["):
        try:
            return _prompt_of_json(json.loads(text))
        except (ValueError, RecursionError):
            return ""
    if _A1111_END.search(text):
        text = _A1111_NETWORK.sub(" ", _A1111_END.split(text, maxsplit=1)[0])
        text = _A1111_WEIGHT.sub(r"\1", text)
    return _plain(text)


def _prompt_of_json(value: Any) -> str:
    """The prompt in a generator's JSON: a graph of nodes, or an object that names it."""
    if isinstance(value, str):
        return _prompt_of_text(value)
    if not isinstance(value, dict):
        return ""
    if is_graph(value):
        return _plain(prompt_of_graph(value))
    inner = (_prompt_of_json(value[name]) for name in _JSON_KEYS if isinstance(value.get(name), str | dict))
    return next((prompt for prompt in inner if prompt), "")


def _plain(text: str) -> str:
    """A text that people wrote about a picture, on one line; "" for addresses, identifiers and whole articles."""
    line = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    if not line or len(line) > LIMIT_CHARACTERS or line[0] in "{[<" or re.search(r"://|www\.|^\w+:\S+$", line):
        return ""
    if " " not in line:  # a title is often the name of the file
        return words_of_name(line)
    return line if any(map(_says_something, _WORD.findall(line))) else ""
