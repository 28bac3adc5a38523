"""What `--model` names -> its entry: one of the register, or a model of one's own in a folder, a file or a repo.

A package is a folder, here or on the hub, with a `checkpoints.toml` of its own, written as the tool's is: one
generator, and whatever of its components the tool's register does not have. A single weights file of `mfv2a train`
takes the encoders and decoders of the known model that it fits. Knows no network and no torch.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfv2a import hub, register
from mfv2a.config import USUAL_GUIDANCE
from mfv2a.errors import CheckpointError, ConfigError
from mfv2a.register import REGISTER, Checkpoint

REPO = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
WIDTHS = ("clip_dim", "text_dim", "text_len", "sync_dim", "latent_dim")
BASES: dict[tuple[int, ...], str] = {
    (1024, 1024, 77, 768, 20): "mmaudio-small-16k",
    (1024, 1024, 77, 768, 40): "mmaudio-small-44k",
}
"""Widths of a generator's inputs -> the public model whose encoders and decoders have them."""
MANY_STEPS = 25
BY_HAND = "make a package by hand: docs/TRAINING.md, A codec of your own"


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a weights file says of itself.

    Attributes:
        kind: of the network; config: its sizes; facts: how it was made.
    """

    kind: str
    config: Mapping[str, Any]
    facts: Mapping[str, Any]


def find_model(name: str) -> Checkpoint:
    """The generator that a name stands for, its components found.

    Args:
        name: of the register; a folder with a `checkpoints.toml`; a `.safetensors` file of `mfv2a train`; or
            OWNER/NAME[@REVISION] of the hub, whose `checkpoints.toml` is fetched if it is not here.

    Raises:
        ConfigError: there is no such model, or its package cannot be read.
        CheckpointError: the hub cannot give it.
    """
    if name in register.model_names():
        return register.find_model(name)
    path = Path(os.path.expanduser(name))  # noqa: PTH111 - a user who is not known stays as named
    if path.is_dir():
        return read_package(path / REGISTER, name, root=path.absolute())
    if path.suffix == ".safetensors":
        return _of_file(path, name)
    if name.startswith((".", "~", "/")) or any(each in name for each in ("..", "--")):
        raise ConfigError(f"there is no model {name}", hint="name a folder or file that is there")
    if (found := REPO.fullmatch(name)) and not path.exists():
        return _of_repo(name, found["repo"], found["revision"] or "main")
    return register.find_model(name)


def renew(name: str) -> str:
    """Ask the hub whether a model named OWNER/NAME or OWNER/NAME@BRANCH has a newer commit, and take that from now on.

    Args:
        name: as `find_model` takes it; where it names no repo, nothing is asked.

    Returns:
        what people should know; empty if the newest is here, or nothing of it.

    Raises:
        CheckpointError: the register of the newer commit cannot be fetched.
    """
    found = REPO.fullmatch(name)
    if not found or name in register.model_names() or Path(name).exists():
        return ""
    return hub.renew(_register_of(name, found["repo"], found["revision"] or "main"))


def read_package(path: Path, name: str, *, root: Path | None) -> Checkpoint:
    """The one generator of a package's register.

    Args:
        path: of its `checkpoints.toml`.
        name: what the model is called from now on.
        root: folder that its paths start from; None leaves them as they are.

    Raises:
        ConfigError: the file cannot be read, or does not hold one generator.
    """
    if not path.is_file():
        raise ConfigError(f"{name} is no model: it has no {REGISTER}", hint="mfv2a models export makes such a folder")
    entries = register.read_file(path, root)
    models = [entry for entry in entries.values() if entry.role == "generator"]
    if len(models) != 1:
        raise ConfigError(f"{path} holds {len(models)} generators", hint="a package has one")
    return replace(models[0], name=name, scope=entries)


def read_header(path: Path) -> Header:
    """What a file of `mfv2a train` says of itself.

    Raises:
        CheckpointError: it is missing, damaged or no file of the tool.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            words = file.metadata() or {}
        return Header(kind=words["kind"], config=json.loads(words["config"]), facts=json.loads(words["facts"]))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: {error}", hint="the weights file is missing or damaged") from error
    except (KeyError, ValueError) as error:
        hint = "a file that mfv2a train wrote is expected; others are named in a register, see docs/CHECKPOINTS.md"
        raise CheckpointError(f"{path} does not say what network it is", hint=hint) from error


def entry_of(path: Path, name: str, *, like: str | None = None) -> Checkpoint:
    """The entry of a generator that `mfv2a train` wrote.

    Args:
        path: of its weights.
        name: of the entry.
        like: model whose encoders and decoders it takes; found by its widths if None.

    Raises:
        ConfigError: no known model has its widths, or it learned from the latents of another codec.
        CheckpointError: the file is damaged, or no generator.
    """
    header = read_header(path)
    if header.kind != "generator":
        raise CheckpointError(f"{path} holds a {header.kind}, not a generator", hint="see mfv2a models export")
    base = register.find_model(like or _fitting(path, header))
    _check_features(path, header, base)
    objective = header.facts.get("run", {}).get("objective", {})
    average = bool(header.config.get("average")) and objective.get("name", "") != "flow-matching"
    guided = bool(header.config.get("guided")) and average
    return replace(
        base,
        name=name,
        path=str(path.absolute()),
        repo="",
        file="",
        mirrors=(),
        digest="",
        bytes=0,
        config="",
        licence="not stated",
        licence_url="",
        evidence="",
        quality="",
        note=f"encoders and decoders of {base.name}",
        kind="average" if average else "instantaneous",
        steps=1 if average else MANY_STEPS,
        words_steps=base.words_steps if average else 0,
        words_tries=base.words_tries if average else 1,
        cfg=_usual_cfg(objective.get("guidance") or (), instantaneous=not average and base.layout != "compact"),
        guidance="input" if guided else "none",
        renoise=(),
    )


def _check_features(path: Path, header: Header, base: Checkpoint) -> None:
    """Refuse encoders and decoders that did not make the features it learned from, where both are known.

    Raises:
        ConfigError: a codec or sync encoder is another.
    """
    for role, learned in header.facts.get("features", {}).items():
        if role not in base.components:
            continue
        component = register.find_component(base, role)
        digest = component.digest
        if not digest and component.path and Path(component.path).is_file():
            digest = hub.digest_of(Path(component.path), "sha256")
        if digest.startswith("sha256:") and any(f"sha256:{each}" != digest for each in learned):
            raise ConfigError(
                f"{path} learned from features of another {role} than that of {base.name}",
                hint=f"name a model with that one by --like, or {BY_HAND}",
            )


def _usual_cfg(trained: Sequence[float], *, instantaneous: bool) -> float:
    """The weight of guidance where none is chosen, of a network trained on a range of them or on none."""
    if trained:
        return min(max(USUAL_GUIDANCE, trained[0]), trained[1])
    return USUAL_GUIDANCE if instantaneous else 1.0


def _of_file(path: Path, name: str) -> Checkpoint:
    if not path.is_file():
        raise ConfigError(f"no model file {path}", hint="mfv2a models list names the known ones")
    return entry_of(path, name)


def _fitting(path: Path, header: Header) -> str:
    def widths(config: Mapping[str, Any]) -> tuple[int, ...]:
        return tuple(config.get(key, 0) for key in WIDTHS)

    found = widths(header.config)
    if found in BASES:
        return BASES[found]
    embedded = register.find_model("embedded")
    if widths(read_header(Path(embedded.path)).config) == found:
        return embedded.name
    named = ", ".join(f"{key} {width}" for key, width in zip(WIDTHS, found, strict=True))
    raise ConfigError(f"{path}: no known model has these inputs: {named}", hint=f"name one by --like, or {BY_HAND}")


def _register_of(name: str, repo: str, revision: str) -> Checkpoint:
    """The entry that stands for the register of a package on the hub."""
    return Checkpoint(
        name=name, role="tokenizer", licence="", licence_url="", repo=repo, file=REGISTER, revision=revision
    )


def _of_repo(name: str, repo: str, revision: str) -> Checkpoint:
    """The model of a repo: all its files are of the commit whose register is read."""
    path = hub.fetch(_register_of(name, repo, revision))
    package, commit = read_package(path, name, root=None), path.parent.name

    def there(entry: Checkpoint) -> Checkpoint:
        return replace(entry, path="", repo=repo, file=entry.path, revision=commit) if entry.path else entry

    scope = {key: there(entry) for key, entry in package.scope.items()}
    return replace(there(package), scope=scope)
