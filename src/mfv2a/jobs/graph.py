"""The prompt inside a graph of nodes, as ComfyUI writes it into what it makes.

A graph is {"3": {"class_type": "KSampler", "inputs": {"positive": ["6", 0], ...}}, "6": {...}}: an input is a value,
or a link [node, output]. What steers a sampler is found by following its `positive` input up to a text. This file
does not know where the graph was stored.

Source: the "API format" of ComfyUI's workflows, docs.comfy.org.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Graph = Mapping[str, Mapping[str, Any]]

_TEXTS = ("text", "prompt", "positive_prompt", "positive", "text_positive", "t5xxl", "clip_l", "string", "value")
_STEERS = ("positive", "guider", "conditioning", "positive_prompt", "text_embeds")
_NOT_WANTED = "negative"
_FARTHEST = 64  # nodes that are looked at from one sampler


def is_graph(value: Mapping[str, Any]) -> bool:
    """Whether an object read from JSON is a graph: all its values are nodes."""
    return bool(value) and all(
        isinstance(node, dict) and isinstance(node.get("inputs"), dict) for node in value.values()
    )


def prompt_of_graph(graph: Graph) -> str:
    """The text that steers the samplers of a graph.

    Args:
        graph: nodes by name.

    Returns:
        The one text that is found, "" if there is none or if samplers are steered by different ones.
    """
    samplers = [name for name, node in graph.items() if _is_sampler(node)]
    found = dict.fromkeys(text for name in samplers for text in _texts_above(graph, name))
    for names in (("positive_prompt", "positive"), ("prompt", "text")):  # nodes that take the text itself
        if not samplers and not found:
            found = dict.fromkeys(text for node in graph.values() if (text := _own_text(node["inputs"], names)))
    return next(iter(found)) if len(found) == 1 else ""


def _is_sampler(node: Mapping[str, Any]) -> bool:
    """Whether a node is steered: by a positive side, or, as a guider, by its conditioning."""
    side = "conditioning" if "Guider" in str(node.get("class_type")) else "positive"
    return _link(node["inputs"].get(side)) is not None or _link(node["inputs"].get("positive")) is not None


def _texts_above(graph: Graph, sampler: str) -> Iterator[str]:
    """The texts that the positive side of a sampler hangs on."""
    inputs = graph[sampler]["inputs"]
    ahead = [link for name in ("positive", "conditioning") if (link := _link(inputs.get(name))) is not None]
    seen = {sampler}
    while ahead and len(seen) < _FARTHEST:
        name = ahead.pop(0)
        if name in seen or name not in graph:
            continue
        seen.add(name)
        inputs = graph[name]["inputs"]
        text = _own_text(inputs)
        if text:
            yield text
            continue
        links = {key: link for key, value in inputs.items() if (link := _link(value)) is not None}
        ahead += [link for key, link in links.items() if key in _TEXTS or _steers(key)]


def _own_text(inputs: Mapping[str, Any], names: Sequence[str] = _TEXTS) -> str:
    texts = [inputs[name].strip() for name in names if isinstance(inputs.get(name), str)]
    return next((text for text in texts if text), "")


def _steers(key: str) -> bool:
    return _NOT_WANTED not in key and any(key.startswith(word) for word in _STEERS)


def _link(value: Any) -> str | None:
    """The node that an input comes from, None for a value."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int) and isinstance(value[1], int):
        return str(value[0])
    return None
