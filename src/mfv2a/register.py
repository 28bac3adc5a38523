"""The register of checkpoints: every weights file the tool knows, where it is, its digest and its licence.

Reads TOML only; knows no network, no torch and no hub. `checkpoints.toml` comes with the tool; files named by the
environment variable MFV2A_CHECKPOINTS add the user's own.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from mfv2a.config import build
from mfv2a.errors import CheckpointError, ConfigError

REGISTER = "checkpoints.toml"
ENV_CHECKPOINTS = "MFV2A_CHECKPOINTS"
ENV_HOME = "MFV2A_HOME"
REPO = re.compile(r"\w([\w.-]*\w)?/\w([\w.-]{0,94}\w)?")
RATES_HZ = (8000, 192000)
MOST_TRIES = 32
Role = Literal[
    "generator", "vae", "vocoder", "clip", "sync", "text", "tokenizer", "reader", "extension", "judge", "config"
]
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Another place of the same bytes.

    Attributes:
        repo: of the hub, OWNER/NAME; file: in the repo; revision: branch, tag or commit.
    """

    repo: str
    file: str
    revision: str = "main"

    def __post_init__(self) -> None:
        if not REPO.fullmatch(self.repo) or self.repo.endswith(".git") or "--" in self.repo or ".." in self.repo:
            hint = "it is OWNER/NAME, with no address before it and no .git behind it"
            raise ConfigError(f"{self.repo!r} is no repo of the hub", hint=hint)
        if self.file.startswith("/") or not {"", ".", ".."}.isdisjoint(self.file.split("/")):
            raise ConfigError(f"{self.file!r} is no file of a repo", hint="name it as it lies in the repo, with no ..")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One weights file. One whose role is "generator" is a model that `--model` takes.

    Attributes:
        name: of the entry.
        role: what it does.
        licence, licence_url: of the weights.
        path: of a file that is on this machine, absolute; "" for one of the hub.
        repo, file, revision: where it is on the hub.
        url: where its authors publish it, if that is not the hub; it is fetched by hand, to `hand_path`.
        mirrors: where the same bytes are too, tried in order.
        digest: "sha256:..." or "md5:..."; "" if nobody has stated it: then the first download is trusted, and told so.
        bytes: size, 0 if unknown.
        evidence: how this is known: "seen" in the project's own code, "third party", "likely" or "measured".
        note: what people should know.
        layout: which loader builds the model from it and its components.
        config: name of the network's configuration in that loader.
        components: role to name of the other weights the model needs.
        quality: a word for people, may be empty.
        kind: "average" (a flow map, serves one step) or "instantaneous" (a velocity, needs many).
        steps, cfg: sampler settings where the user gives none; words_steps: steps for words alone, 0 for as many.
        words_tries: sounds drawn for words alone at most until the words are heard, where no number is asked for.
        guidance: "none" (at sampling only), "baked" into the weights, or an "input" of the network.
        sample_rate_hz, window_s: of its sound; longest stretch made in one go.
        rescale: scalar rescaling of the guidance where the user does not choose.
        renoise: share of each of the default steps by which noise is topped up before it; empty for none.
        sees: it takes pictures; else text alone.
        scope: entries of its own package, where its components are looked for first.
    """

    name: str
    role: Role
    licence: str
    licence_url: str
    path: str = ""
    repo: str = ""
    file: str = ""
    revision: str = "main"
    url: str = ""
    mirrors: tuple[Place, ...] = ()
    digest: str = ""
    bytes: int = 0
    evidence: Literal["", "seen", "third party", "likely", "measured"] = ""
    note: str = ""
    layout: str = ""
    config: str = ""
    components: Mapping[str, str] = field(default_factory=dict)
    quality: str = ""
    kind: Literal["average", "instantaneous"] = "average"
    steps: int = 1
    words_steps: int = 0
    words_tries: int = 1
    cfg: float = 1.0
    guidance: Literal["none", "baked", "input"] = "none"
    sample_rate_hz: int = 16000
    window_s: float = 8.0
    rescale: bool = True
    renoise: tuple[float, ...] = ()
    sees: bool = True
    scope: Mapping[str, Checkpoint] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.digest and not DIGEST.fullmatch(self.digest):
            raise ConfigError(f"{self.name}: digest {self.digest!r} is neither sha256:<64 hex> nor md5:<32 hex>")
        if bool(self.repo) != bool(self.file):
            raise ConfigError(f"{self.name}: repo and file belong together")
        if self.repo:
            Place(repo=self.repo, file=self.file)
        if not RATES_HZ[0] <= self.sample_rate_hz <= RATES_HZ[1]:
            raise ConfigError(
                f"{self.name}: sample_rate_hz must be {RATES_HZ[0]} to {RATES_HZ[1]}, not {self.sample_rate_hz}"
            )
        if not 0 < self.window_s < math.inf or not 0 <= self.cfg < math.inf:
            raise ConfigError(f"{self.name}: window_s must be above 0, and cfg at least 0")
        if self.role == "generator" and not self.layout:
            raise ConfigError(f"{self.name}: a generator needs a layout")
        if self.steps < 1:
            raise ConfigError(f"{self.name}: steps must be at least 1, not {self.steps}")
        if self.words_steps < 0:
            raise ConfigError(f"{self.name}: words_steps must be at least 0, not {self.words_steps}")
        if not 1 <= self.words_tries <= MOST_TRIES:
            raise ConfigError(f"{self.name}: words_tries must be 1 to {MOST_TRIES}, not {self.words_tries}")
        if self.renoise and len(self.renoise) != self.steps:
            raise ConfigError(f"{self.name}: renoise needs a share for each of the {self.steps} steps")

    @property
    def places(self) -> tuple[Place, ...]:
        """Where it can be fetched from, in order; empty for a file of this machine."""
        own = (Place(repo=self.repo, file=self.file, revision=self.revision),) if self.repo else ()
        return own + self.mirrors


def read_register() -> dict[str, Checkpoint]:
    """All checkpoints by name: the tool's own, then those of the files in MFV2A_CHECKPOINTS.

    Raises:
        CheckpointError: the tool's register is missing.
        ConfigError: a register cannot be read, names what is not there, or repeats a name.
    """
    extra = os.environ.get(ENV_CHECKPOINTS, "")
    own = [Path(part) for part in extra.split(os.pathsep) if part]
    stamps = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in own)
    return dict(_read_all(extra, stamps))


def find_checkpoint(name: str) -> Checkpoint:
    """One entry.

    Raises:
        ConfigError: there is none; the closest names are named.
    """
    return _pick(name, read_register(), "checkpoint")


def find_model(name: str) -> Checkpoint:
    """One generator.

    Raises:
        ConfigError: no such model; the closest names are named.
    """
    return _pick(name, {k: v for k, v in read_register().items() if v.role == "generator"}, "model")


def model_names() -> tuple[str, ...]:
    """Names that `--model` takes."""
    return tuple(name for name, entry in read_register().items() if entry.role == "generator")


def find_component(model: Checkpoint, role: str) -> Checkpoint:
    """The weights that a model needs in a role: of its own package, else of the register.

    Raises:
        ConfigError: there is no such entry; the closest names are named.
    """
    name = model.components[role]
    return model.scope.get(name) or find_checkpoint(name)


def files_of(model: Checkpoint) -> tuple[Checkpoint, ...]:
    """A model's own weights, if it has any, and those of its components."""
    own = (model,) if model.path or model.repo or model.url else ()
    return own + tuple(find_component(model, role) for role in model.components)


def hand_path(checkpoint: Checkpoint) -> Path:
    """Where a file is expected that was fetched by hand from its `url`: in `weights` of the tool's folder."""
    return home_folder() / "weights" / unquote(checkpoint.url.rpartition("/")[2])


def home_folder() -> Path:
    """Where the tool keeps what it remembers: MFV2A_HOME, else the user's folder for settings. Not made here."""
    if named := os.environ.get(ENV_HOME):
        return Path(os.path.expanduser(named))  # noqa: PTH111 - a user who is not known stays as named
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "mfv2a"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "mfv2a"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mfv2a"


def _pick(name: str, known: Mapping[str, Checkpoint], what: str) -> Checkpoint:
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = (
        f"did you mean {', '.join(close)}?"
        if close
        else "mfv2a models list names the models, checkpoints.toml the single files"
    )
    raise ConfigError(f"unknown {what} {name!r}", hint=hint)


@lru_cache(maxsize=8)
def _read_all(extra: str, _stamps: tuple[int, ...]) -> tuple[tuple[str, Checkpoint], ...]:
    """All entries; read again only if a file of the user's has changed."""
    package = Path(str(files("mfv2a")))
    own = next((p for p in (package / REGISTER, package.parents[1] / REGISTER) if p.is_file()), None)
    if own is None:
        raise CheckpointError("checkpoints.toml is missing", hint="install mfv2a again")
    entries = read_file(own, package)
    for path in (Path(part) for part in extra.split(os.pathsep) if part):
        added = read_file(path, path.absolute().parent)
        if twice := sorted(set(added) & set(entries)):
            raise ConfigError(f"{path}: {twice[0]} is in the register already", hint="choose another name")
        entries |= added
    for name, entry in entries.items():
        for component in entry.components.values():
            if component not in entries:
                raise ConfigError(f"checkpoint {name} needs {component}, which is in no register")
    return tuple(entries.items())


def read_file(path: Path, root: Path | None) -> dict[str, Checkpoint]:
    """Entries of a register file.

    Args:
        path: of the file.
        root: folder that their paths start from, made absolute; None leaves them as they are.

    Raises:
        ConfigError: it cannot be read, is not TOML, or an entry cannot be.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = f"see {ENV_CHECKPOINTS} and --checkpoints"
        raise ConfigError(f"register {path}: {error.strerror}", hint=hint) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"register {path} is not TOML: {error}") from error
    entries = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {name} must be a table")
        stated = table.get("path")
        here = {"path": str(root / stated)} if root and isinstance(stated, str) and stated else {}
        entries[name] = build(Checkpoint, {**table, **here, "name": name}, where=f"{path}: {name}")
    return entries
