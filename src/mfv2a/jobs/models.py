"""What is known of the models and their files: list, fetch, verify."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfv2a import hub, packages
from mfv2a.defaults import default_model, keep_default
from mfv2a.errors import CheckpointError, ConfigError
from mfv2a.loader import LAYOUTS
from mfv2a.packages import find_model
from mfv2a.register import Checkpoint, files_of, find_checkpoint, model_names, read_register


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model in a list.

    Attributes:
        entry: of the register.
        files: its weights and those of its components.
        here: how many of them are on this machine, unverified.
        runs: this version has a loader for it.
        default: it is used where none is named.
    """

    entry: Checkpoint
    files: tuple[Checkpoint, ...]
    here: int
    runs: bool
    default: bool

    @property
    def state(self) -> str:
        """Where its files are, in words."""
        if self.here == len(self.files):
            return "here"
        return f"{self.here} of {len(self.files)} files here" if self.here else "not here"

    def record(self) -> dict[str, Any]:
        """As JSON takes it."""
        entry = self.entry
        return {
            "name": entry.name,
            "kind": entry.kind,
            "steps": entry.steps,
            "words_steps": entry.words_steps or entry.steps,
            "words_tries": entry.words_tries,
            "cfg": entry.cfg,
            "rescale": entry.rescale,
            "guidance": entry.guidance,
            "sample_rate_hz": entry.sample_rate_hz,
            "window_s": entry.window_s,
            "licence": entry.licence,
            "licence_url": entry.licence_url,
            "state": self.state,
            "runs": self.runs,
            "default": self.default,
            "note": entry.note,
            "files": [_file_record(file) for file in self.files],
        }


def list_models() -> list[ModelRow]:
    """Every model of the register.

    Raises:
        ConfigError: a register cannot be read.
    """
    return [describe(name) for name, entry in read_register().items() if entry.role == "generator"]


def describe(name: str) -> ModelRow:
    """One model.

    Raises:
        ConfigError: there is no such model; the closest names are named.
    """
    entry = find_model(name)
    files = files_of(entry)
    here = sum(hub.find_file(file) is not None for file in files)
    return ModelRow(entry=entry, files=files, here=here, runs=entry.layout in LAYOUTS, default=name == default_model())


def describe_any(name: str) -> dict[str, Any]:
    """All that is known of a model, or of a file that is none, as JSON takes it.

    Raises:
        ConfigError: there is no such entry; the closest names are named.
    """
    files = _wanted(name)
    entry = read_register().get(name)
    if entry is None or entry.role == "generator":
        return describe(name).record()
    here = sum(hub.find_file(file) is not None for file in files)
    state = ModelRow(entry=entry, files=files, here=here, runs=False, default=False).state
    facts = {"name": name, "role": entry.role, "licence": entry.licence, "licence_url": entry.licence_url}
    return {**facts, "state": state, "note": entry.note, "files": [_file_record(file) for file in files]}


def choose_default(name: str) -> str:
    """Make a model the one used where none is named; a folder or file is kept by its absolute path.

    Returns:
        the name that is kept.

    Raises:
        ConfigError: there is no such model, or this version cannot run it.
        CheckpointError: the hub cannot give the register of a repo.
    """
    entry = find_model(name)
    if entry.layout not in LAYOUTS:
        raise ConfigError(f"{name} cannot be run by this version", hint="mfv2a models list tells which models run")
    path = Path(name).expanduser()
    kept = str(path.absolute()) if name not in model_names() and path.exists() else name
    keep_default(kept)
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A file that `pull` looked for.

    Attributes:
        file: of the register; path: where it is.
        came: it was fetched now.
    """

    file: Checkpoint
    path: Path
    came: bool


def pull(name: str, *, progress: bool, say: Callable[[str], None]) -> Iterator[Pulled]:
    """Fetch and verify a model's files, or one checkpoint that is no model; of a repo's model the newest commit.

    Args:
        name: of a model, of one's own too, or of a checkpoint.
        progress: show a bar on stderr while files come.
        say: told what became of the question for a newer commit.

    Raises:
        ConfigError: no such entry.
        CheckpointError: a file cannot be fetched or is wrong.
    """
    if told := packages.renew(name):
        say(told)
    for file in _wanted(name):
        came = hub.find_file(file) is None
        yield Pulled(file=file, path=hub.fetch(file, progress=progress), came=came)


def verify(name: str | None) -> Iterator[tuple[Checkpoint, hub.Verdict | CheckpointError | None]]:
    """Read again what is on this machine and compare it; one wrong file keeps none of the others from being read.

    Args:
        name: of a model or checkpoint; None for all.

    Yields:
        each file and what was found: the error of a wrong one, None for one that is not here.

    Raises:
        ConfigError: no such entry.
    """
    every = [entry for entry in read_register().values() if entry.path or entry.repo or entry.url]
    for file in _wanted(name) if name else every:
        path = hub.find_file(file)
        try:
            yield file, None if path is None else hub.verify(file, path, again=True)
        except CheckpointError as error:
            yield file, error


def locate(name: str) -> list[Path]:
    """Paths of the files that are on this machine, the model's own first."""
    return [path for file in _wanted(name) if (path := hub.find_file(file)) is not None]


def how_to_get(name: str) -> str:
    """What brings a model's first file here, in words; "" if it has none: the one for tests is made anew each time."""
    files = [file for file in _wanted(name) if file.path or file.repo or file.url]
    return hub.how_to_get(files[0], name) if files else ""


def _wanted(name: str) -> tuple[Checkpoint, ...]:
    own = name not in read_register() and ("/" in name or Path(name).exists())
    entry = find_model(name) if own else find_checkpoint(name)
    return files_of(entry) if entry.role in ("generator", "judge") else (entry,)


def _home(file: Checkpoint) -> str:
    """Where a file of neither hub nor address is from."""
    shipped = Path(__file__).parents[1] / "assets"
    own = file.path and shipped not in Path(file.path).parents
    return str(Path(file.path).parent) if own else "comes with the tool"


def _file_record(file: Checkpoint) -> dict[str, Any]:
    path = hub.find_file(file)
    return {
        "name": file.name,
        "role": file.role,
        "from": f"{file.repo}/{file.file}" if file.repo else file.url or _home(file),
        "revision": file.revision if file.repo else "",
        "digest": file.digest,
        "bytes": file.bytes or (path.stat().st_size if path else 0),
        "licence": file.licence,
        "evidence": file.evidence,
        "note": file.note,
        "path": str(path) if path else "",
    }
