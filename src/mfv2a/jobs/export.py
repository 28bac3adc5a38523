"""A finished run -> a package: weights, a register of its own and a card. `--model` takes it, the hub can hold it."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from mfv2a import hub
from mfv2a.errors import ConfigError
from mfv2a.jobs.joining import check_widths
from mfv2a.packages import entry_of, find_model, read_header
from mfv2a.register import REGISTER, Checkpoint

WEIGHTS = "generator.safetensors"
CARD = "README.md"
COMMAND = re.compile(r"^(    mfv2a dub .* --model )\S+$", re.MULTILINE)
NOT_STATED = "not stated"
# fmt: off
HUB_LICENCES = frozenset((
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "unlicense",
    "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0",
    "openrail", "odbl",
))
# fmt: on
"""Names that the hub knows licences by."""


def export_run(run: Path, folder: Path, *, like: str | None, licence: str, licence_url: str) -> Path:
    """Write a package; it appears whole or not at all.

    Args:
        run: folder of a finished run, or its weights file.
        folder: to make; it must not be there yet, or be empty.
        like: model whose encoders and decoders it takes; found by its widths if None.
        licence: of the weights.
        licence_url: where it can be read.

    Returns:
        `folder`.

    Raises:
        ConfigError: the run is not finished, the folder is not empty or cannot be written, no known model fits, or
            it learned from features of another codec.
        CheckpointError: the weights are damaged or no generator's.
    """
    weights = run / "final.safetensors" if run.is_dir() else run
    if not weights.is_file():
        raise ConfigError(f"{run} has no final.safetensors", hint="the run has to be finished: mfv2a train goes on")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already and not empty", hint="choose another folder")
    if like is not None:
        check_widths(weights, like)
    entry = entry_of(weights, folder.absolute().name, like=like)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            made = Path(scratch) / "package"
            made.mkdir()
            shutil.copyfile(weights, made / WEIGHTS)
            digest = hub.digest_of(made / WEIGHTS, "sha256")
            (made / REGISTER).write_text(_register(entry, digest, licence, licence_url), encoding="utf-8")
            (made / CARD).write_text(_card(entry, weights, licence), encoding="utf-8")
            made.replace(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror or error}", hint="choose a folder that can be written") from error
    return folder


def push(folder: Path, repo: str, *, private: bool) -> str:
    """Upload a package; the command in its card names the repo from now on.

    Args:
        folder: of `export_run`.
        repo: OWNER/NAME on the hub, made if need be.
        private: make it so that only its owner sees it.

    Returns:
        its address.

    Raises:
        ConfigError: the folder is no package.
        CheckpointError: its weights are not as it says, or the hub refuses.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder", hint="mfv2a models export makes one")
    entry = find_model(str(folder))
    hub.fetch(entry)  # the digest is compared
    _name_repo(folder / CARD, repo)
    return hub.push(folder, repo, private=private)


def _name_repo(card: Path, repo: str) -> None:
    """Let the command in a card of `export_run` name a repo; a card that has none, or cannot be written, stays."""
    pending = card.with_name(f".{card.name}.{os.getpid()}")
    try:
        text = card.read_text(encoding="utf-8")
        named = COMMAND.sub(lambda found: found[1] + repo, text)
        if named != text:
            pending.write_text(named, encoding="utf-8")
            pending.replace(card)
    except (OSError, UnicodeDecodeError):
        with suppress(OSError):
            pending.unlink(missing_ok=True)


def _register(entry: Checkpoint, digest: str, licence: str, licence_url: str) -> str:
    quoted = {role: json.dumps(name) for role, name in entry.components.items()}
    components = ", ".join(f"{role} = {name}" for role, name in quoted.items())
    return f"""# Read by mfv2a: --model takes this folder, or the repo that it is uploaded to.

[{json.dumps(entry.name)}]
role = "generator"
path = "{WEIGHTS}"
digest = "{digest}"
licence = {json.dumps(licence)}
licence_url = {json.dumps(licence_url)}
layout = "{entry.layout}"
components = {{ {components} }}
kind = "{entry.kind}"
steps = {entry.steps}
words_steps = {entry.words_steps}
words_tries = {entry.words_tries}
renoise = {list(entry.renoise)}
sees = {str(entry.sees).lower()}
cfg = {entry.cfg}
guidance = "{entry.guidance}"
rescale = {str(entry.rescale).lower()}
sample_rate_hz = {entry.sample_rate_hz}
window_s = {entry.window_s}
"""


def _licence_of_card(licence: str) -> str:
    """The lines of a card that state a licence: by the hub's name of it, else as another one of that name."""
    name = "-".join(licence.lower().split())
    if name in HUB_LICENCES:
        return f"license: {name}"
    return "license: other" if licence == NOT_STATED else f"license: other\nlicense_name: {json.dumps(licence)}"


def _card(entry: Checkpoint, weights: Path, licence: str) -> str:
    header = read_header(weights)
    run = header.facts.get("run", {})
    objective = run.get("objective", {}).get("name", "unknown")
    started = f", started from `{Path(run['init']).name}`" if run.get("init") else ""
    return f"""---
library_name: mfv2a
{_licence_of_card(licence)}
tags: [video-to-audio, text-to-audio, {objective}]
---

# {entry.name}

A generator of sound for silent videos and for words, trained with `mfv2a train`: objective `{objective}`,
{header.facts.get("steps", "unknown")} steps{started}. It predicts an {entry.kind} velocity,
{entry.steps} {"step" if entry.steps == 1 else "steps"} by default; {entry.note}, whose licences apply to them.

    mfv2a dub ./videos --out ./dubbed --model ./{entry.name}

Licence of these weights: {licence}.
"""
