"""The networks that measure: which of them are on this machine, and why a measure is left out where one is not.

A judge whose weights are not here is neither imported nor built, and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mfv2a import hub
from mfv2a.errors import StartError
from mfv2a.evaluation.measures import names_of
from mfv2a.register import files_of, find_checkpoint

if TYPE_CHECKING:
    from mfv2a.evaluation.embeddings import Embedding
    from mfv2a.models.clap_score import ClapJudge
    from mfv2a.models.desync import Desync
    from mfv2a.models.imagebind import ImageBind


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no figure.

    Attributes:
        reason: what is not there.
        hint: what to do.
    """

    reason: str
    hint: str = ""


@dataclass(slots=True)
class Judges:
    """Who listens.

    Attributes:
        sounds: judges of sounds alone.
        words: CLAP, sounds against words.
        pictures: ImageBind, sounds against pictures.
        sync: Synchformer, whether both are in time.
        left_out: measures without a judge.
    """

    sounds: list[Embedding] = field(default_factory=list)
    words: ClapJudge | None = None
    pictures: ImageBind | None = None
    sync: Desync | None = None
    left_out: dict[str, Missing] = field(default_factory=dict)


def load_judges(wanted: Collection[str], *, device: str = "auto") -> Judges:
    """Load those judges of which a measure is wanted and whose weights are here.

    Args:
        wanted: names of measures.
        device: as `load_pipeline` takes it.

    Raises:
        DeviceError: it is not there.
        CheckpointError: the tagger that ships is damaged.
    """
    from mfv2a.loader import pick_device

    target = str(pick_device(device))
    judges = Judges()
    if set(names_of("yamnet")) & set(wanted):
        judges.sounds.append(_load_yamnet(target))
    for load in (_load_passt, _load_panns, _load_vggish, _load_imagebind, _load_sync, _load_clap):
        load(judges, set(wanted), target)
    return judges


def _load_yamnet(device: str) -> Embedding:
    from mfv2a.evaluation.embeddings import YamnetEmbedding
    from mfv2a.models.yamnet import Tagger

    tagger = Tagger.from_assets()
    tagger.network.to(device)
    tagger.network.window, tagger.network.filters = (
        each.to(device) for each in (tagger.network.window, tagger.network.filters)
    )
    return YamnetEmbedding(tagger)


def _try(judges: Judges, names: list[str], wanted: set[str], checkpoint: str, load: Callable[[Path], None]) -> None:
    """Load a judge if a measure of it is wanted; what stands in the way becomes the reason of its measures."""
    names = [name for name in names if name in wanted]
    if not names:
        return
    missing = _whereabouts(checkpoint)
    if not isinstance(missing, Missing):
        try:
            load(missing)
            return
        except StartError as error:
            missing = Missing(str(error), error.hint)
    judges.left_out |= dict.fromkeys(names, missing)


def _whereabouts(checkpoint: str) -> Path | Missing:
    """The first file of a checkpoint, or why it cannot be used; verified where a digest is known."""
    entry = find_checkpoint(checkpoint)
    for file in files_of(entry):
        path = hub.find_file(file)
        if path is None:
            return Missing(f"the weights of {checkpoint} are not here", hub.how_to_get(file, checkpoint))
        try:
            hub.verify(file, path)
        except StartError as error:
            return Missing(str(error), error.hint)
    found = hub.find_file(entry)
    assert found is not None
    return found


def _load_passt(judges: Judges, wanted: set[str], device: str) -> None:
    def load(path: Path) -> None:
        from mfv2a.evaluation.embeddings import PasstEmbedding
        from mfv2a.models.passt import load_passt

        judges.sounds.append(PasstEmbedding(load_passt(path, device=device)))

    _try(judges, names_of("passt"), wanted, "passt-s-swa", load)


def _load_panns(judges: Judges, wanted: set[str], device: str) -> None:
    def load(path: Path) -> None:
        from mfv2a.evaluation.embeddings import PannsEmbedding
        from mfv2a.models.upstream import load_public

        judges.sounds.append(PannsEmbedding(load_public("cnn14", "16k", path, device=device)))

    _try(judges, names_of("panns"), wanted, "panns-cnn14-16k", load)


def _load_vggish(judges: Judges, wanted: set[str], device: str) -> None:
    def load(path: Path) -> None:
        from mfv2a.evaluation.embeddings import VggishEmbedding
        from mfv2a.models.upstream import load_public

        judges.sounds.append(VggishEmbedding(load_public("vggish", "public", path, device=device)))

    _try(judges, names_of("vggish", classes=False), wanted, "vggish", load)


def _load_imagebind(judges: Judges, wanted: set[str], device: str) -> None:
    def load(path: Path) -> None:
        from mfv2a.models.imagebind import load_imagebind

        judges.pictures = load_imagebind(path, device=device)

    _try(judges, ["imagebind"], wanted, "imagebind-huge", load)


def _load_sync(judges: Judges, wanted: set[str], device: str) -> None:
    def load(path: Path) -> None:
        from mfv2a.models.desync import Desync
        from mfv2a.models.upstream import load_public

        network = load_public("desync", "public", path, device=device)
        assert isinstance(network, Desync)
        judges.sync = network

    _try(judges, ["desync"], wanted, "synchformer", load)


def _load_clap(judges: Judges, wanted: set[str], device: str) -> None:
    def load(path: Path) -> None:
        from mfv2a.models.clap_score import load_clap

        entry = find_checkpoint("clap-general")
        parts = {role: hub.fetch(find_checkpoint(name)) for role, name in entry.components.items()}
        judges.words = load_clap({"weights": path, **parts}, device=device)

    _try(judges, ["clap"], wanted, "clap-general", load)
