"""Layout of a model -> its parts, each loaded when it is wanted: from its files, or with random weights.

Here the hub's files meet the networks; names of models and devices are resolved before, in `mfv2a.loader`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from mfv2a import hub
from mfv2a.encoders.compact import COMPACT, CompactEncoders
from mfv2a.encoders.meanaudio import MeanAudioEncoders
from mfv2a.encoders.mmaudio import MMAudioEncoders, mmaudio_spec
from mfv2a.encoders.woosh import WooshEncoders, woosh_spec
from mfv2a.errors import CheckpointError, ConfigError
from mfv2a.models import upstream, weights
from mfv2a.models.clip_tokenizer import CLIPTokenizer
from mfv2a.models.tokenizers import RobertaTokenizer, T5Tokenizer
from mfv2a.parts import Parts, Role
from mfv2a.register import Checkpoint, find_component

MMAUDIO_KINDS: Mapping[str, str] = MappingProxyType(
    {"generator": "mmaudio", "vae": "vae", "vocoder": "bigvgan", "clip": "clip", "sync": "synchformer"}
)
WOOSH_KINDS: Mapping[str, str] = MappingProxyType(
    {"generator": "woosh", "vae": "woosh_autoencoder", "text": "roberta", "sync": "synchformer"}
)
MEANAUDIO_KINDS: Mapping[str, str] = MappingProxyType(
    {"generator": "meanaudio", "vae": "vae", "vocoder": "bigvgan", "text": "t5", "pooled": "clap_text"}
)
"""Role in a public model -> kind of the network's file."""
Load = Callable[[Checkpoint, torch.device, torch.dtype, bool], Parts]


class PublicFiles:
    """The networks of a public model, by role.

    Args:
        entry: the model.
        kinds: role -> kind of its network, see `mfv2a.models.published`.
        others: roles that are no networks.
        device: where they go.
        random_weights: networks of its sizes, and no file is read.

    Raises:
        ConfigError: a component is missing from the register.
    """

    def __init__(
        self,
        entry: Checkpoint,
        kinds: Mapping[str, str],
        *,
        others: tuple[str, ...],
        device: torch.device,
        random_weights: bool,
    ) -> None:
        self.entry, self.kinds, self.device, self.random_weights = entry, kinds, device, random_weights
        self.files = {"generator": entry} | {role: find_component(entry, role) for role in entry.components}
        if missing := {*kinds, *others} - set(self.files):
            named = ", ".join(sorted(missing))
            raise ConfigError(f"{entry.name} needs components {named}", hint="see checkpoints.toml")
        self.sizes = {role: self._sizes(role) for role in kinds}

    def _sizes(self, role: str) -> Any:
        """Sizes of a network: by the name of a public one, or as the file of one's own says."""
        entry = self.files[role]
        if role != "generator" or entry.config:
            return upstream.find_public(self.kinds[role], entry.config)[1]
        if self.random_weights:
            raise ConfigError(f"the sizes of {entry.name} are in its file alone", hint="leave out --random-weights")
        return weights.read_config(_file_of(entry), "generator")

    def load(self, role: str, dtype: torch.dtype) -> Any:
        """A network of a published file, or of its size."""
        kind, entry = self.kinds[role], self.files[role]
        if self.random_weights:
            return upstream.random_public(kind, entry.config, device=self.device, dtype=dtype)
        if not entry.config:
            return weights.load_network(_file_of(entry), role)[0].to(self.device, dtype)
        source = hub.fetch(entry)
        copy = _converted(entry, kind, source)
        load = partial(upstream.load_public, kind, entry.config, device=self.device, dtype=dtype)
        try:
            return load(copy)
        except CheckpointError:
            if copy == source:
                raise
            copy.unlink(missing_ok=True)  # it may be the copy that is damaged; if not, the file itself tells
            return load(source)

    def check(self, has: tuple[int, ...], wanted: tuple[int, ...]) -> None:
        """Refuse components whose sizes are not those that the generator takes.

        Raises:
            ConfigError: they differ.
        """
        if has != wanted:
            raise ConfigError(
                f"the components of {self.entry.name} are of sizes that do not fit", hint="see checkpoints.toml"
            )


def _converted(entry: Checkpoint, kind: str, source: Path) -> Path:
    """A safetensors copy of a pickled file, made once; the file itself where there is no room for a copy."""
    if source.suffix == ".safetensors":
        return source
    copy = hub.copy_path(entry, source, kind)
    if not copy.is_file():
        if not hub.has_space(copy.parent, source.stat().st_size):
            return source
        try:
            upstream.convert_public(kind, source, copy)
        except OSError:
            return source
    return copy


def mmaudio_parts(entry: Checkpoint, device: torch.device, dtype: torch.dtype, random_weights: bool) -> Parts:
    """A public MMAudio model; codec and vocoder stay in float32, which costs little and keeps the sound clean."""
    files = PublicFiles(entry, MMAUDIO_KINDS, others=("tokenizer",), device=device, random_weights=random_weights)
    sizes, needs = files.sizes, files.sizes["generator"]
    vae, clip = sizes["vae"], sizes["clip"]
    files.check(
        (clip.embed_dim, clip.text_dim, clip.text_len, sizes["sync"].dim, vae.latent_dim, vae.num_bands),
        (needs.clip_dim, needs.text_dim, needs.text_len, needs.sync_dim, needs.latent_dim, sizes["vocoder"].num_bands),
    )
    spec = mmaudio_spec(entry.sample_rate_hz, sizes["vocoder"].hop)

    def encoders() -> MMAudioEncoders:
        file = files.files["tokenizer"]
        words = CLIPTokenizer.of_letters() if random_weights else CLIPTokenizer.from_file(hub.fetch(file))
        return MMAudioEncoders(
            clip=files.load("clip", dtype), sync=files.load("sync", dtype), tokenizer=words, spec=spec
        )

    loads: dict[Role, Callable[[], Any]] = {
        "encoders": encoders,
        "generator": partial(files.load, "generator", dtype),
        "decoders": partial(_mel_decoders, files),
    }
    return Parts(device=device, dtype=dtype, spec=spec, eyes=MMAudioEncoders, loads=loads)


def _mel_decoders(files: PublicFiles) -> tuple[Any, Any]:
    vae = files.load("vae", torch.float32)
    vae.fold_weights()
    return vae, files.load("vocoder", torch.float32)


def woosh_parts(entry: Checkpoint, device: torch.device, dtype: torch.dtype, random_weights: bool) -> Parts:
    """A public Woosh model; the autoencoder stays in float32, which keeps the sound clean."""
    sees = entry.sees
    kinds = {role: kind for role, kind in WOOSH_KINDS.items() if sees or role != "sync"}
    files = PublicFiles(entry, kinds, others=("tokenizer",), device=device, random_weights=random_weights)
    sizes, needs = files.sizes, files.sizes["generator"]
    files.check(
        (sizes["text"].dim, sizes["sync"].dim if sees else 0, sizes["vae"].latent_dim),
        (needs.text_dim, needs.video_dim, needs.latent_dim),
    )
    spec = woosh_spec(entry.sample_rate_hz, sizes["vae"].hop, entry.window_s)

    def encoders() -> WooshEncoders:
        sync = files.load("sync", dtype) if sees else None
        words = _words(files, "tokenizer", RobertaTokenizer)
        return WooshEncoders(sync=sync, text=files.load("text", dtype), tokenizer=words, spec=spec)

    loads: dict[Role, Callable[[], Any]] = {
        "encoders": encoders,
        "generator": partial(files.load, "generator", dtype),
        "decoders": lambda: (files.load("vae", torch.float32), None),
    }
    return Parts(device=device, dtype=dtype, spec=spec, eyes=WooshEncoders, loads=loads)


def meanaudio_parts(entry: Checkpoint, device: torch.device, dtype: torch.dtype, random_weights: bool) -> Parts:
    """A public MeanAudio or FluxAudio model, of text alone."""
    others = ("tokenizer", "pooled_tokenizer")
    files = PublicFiles(entry, MEANAUDIO_KINDS, others=others, device=device, random_weights=random_weights)
    sizes, needs = files.sizes, files.sizes["generator"]
    files.check(
        (sizes["text"].dim, sizes["pooled"].out_dim, sizes["vae"].latent_dim, sizes["vae"].num_bands),
        (needs.text_dim, needs.pooled_dim, needs.latent_dim, sizes["vocoder"].num_bands),
    )
    spec = replace(mmaudio_spec(entry.sample_rate_hz, sizes["vocoder"].hop), window_s=entry.window_s)
    number = torch.float32 if dtype == torch.float16 else dtype  # T5's activations leave the range of float16

    def encoders() -> MeanAudioEncoders:
        return MeanAudioEncoders(
            text=files.load("text", number),
            pooled=files.load("pooled", number),
            tokenizer=_words(files, "tokenizer", T5Tokenizer),
            pooled_tokenizer=_words(files, "pooled_tokenizer", RobertaTokenizer),
        )

    loads: dict[Role, Callable[[], Any]] = {
        "encoders": encoders,
        "generator": partial(files.load, "generator", dtype),
        "decoders": partial(_mel_decoders, files),
    }
    return Parts(device=device, dtype=dtype, spec=spec, eyes=MeanAudioEncoders, loads=loads)


def _words(files: PublicFiles, role: str, tokenizer: type[RobertaTokenizer] | type[T5Tokenizer]) -> Any:
    """A tokenizer of its file, or one of letters for random weights."""
    return tokenizer.of_letters() if files.random_weights else tokenizer.from_file(hub.fetch(files.files[role]))


def compact_parts(entry: Checkpoint, device: torch.device, dtype: torch.dtype, random_weights: bool) -> Parts:
    """The embedded model, and those made like it."""
    if random_weights:
        raise ConfigError(
            f"the sizes of {entry.name} are in its files alone",
            hint="leave out --random-weights, or name a public model",
        )
    wanted = {"generator": entry} | {role: find_component(entry, role) for role in entry.components}
    if missing := {"vae", "sync"} - set(wanted):
        raise ConfigError(f"{entry.name} needs components {', '.join(sorted(missing))}", hint="see checkpoints.toml")
    return _compact(lambda role: weights.load_network(_file_of(wanted[role]), role)[0], set(wanted), device, dtype)


def tiny_parts(entry: Checkpoint, device: torch.device, dtype: torch.dtype, random_weights: bool) -> Parts:
    """The embedded model's twin for tests."""
    networks = _tiny_networks()
    return _compact(networks.__getitem__, set(networks), device, dtype)


def _compact(load: Callable[[str], Any], roles: Set[str], device: torch.device, dtype: torch.dtype) -> Parts:
    def decoders() -> tuple[Any, Any]:
        from mfv2a.models.griffinlim import GriffinLim

        vae = load("vae")
        vae.fold_weights()
        return vae.to(device), (load("vocoder") if "vocoder" in roles else GriffinLim()).to(device)

    def encoders() -> CompactEncoders:
        from mfv2a.models.text import TextEncoder

        words, sync = TextEncoder.from_assets().to(device), load("sync").to(device)
        reader = load("reader").to(device) if "reader" in roles else None
        return CompactEncoders(sync=sync, text=words, reader=reader, load_recognizer=_load_recognizer)

    loads: dict[Role, Callable[[], Any]] = {
        "encoders": encoders,
        "generator": lambda: load("generator").to(device, dtype),
        "decoders": decoders,
    }
    return Parts(device=device, dtype=dtype, spec=COMPACT, eyes=CompactEncoders, loads=loads)


def _file_of(entry: Checkpoint) -> Path:
    """Files that came with the tool are checked by `mfv2a doctor` and `models verify`, not at every start."""
    if Path(entry.path).is_relative_to(Path(__file__).parent) and (found := hub.find_file(entry)) is not None:
        return found
    return hub.fetch(entry)


def _tiny_networks() -> dict[str, Any]:
    """Random weights from a fixed seed, at the shapes of the embedded model's interfaces."""
    import torch

    from mfv2a.models.compact import SyncConfig, SyncEncoder
    from mfv2a.models.mmaudio import MMAudio, MMAudioConfig
    from mfv2a.models.vae import VAE, VAEConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = MMAudio(MMAudioConfig.tiny())
        generator.initialize()
        vae = VAE(VAEConfig.tiny())
        vae.data_mean.fill_(-3.0)
        networks = {"generator": generator, "vae": vae, "sync": SyncEncoder(SyncConfig.tiny())}
    return {kind: network.eval().requires_grad_(False) for kind, network in networks.items()}


def _load_recognizer() -> Any:
    from mfv2a.models.efficientnet import ImageRecognizer

    return ImageRecognizer.from_assets().eval()


LAYOUTS: Mapping[str, Load] = MappingProxyType(
    {
        "compact": compact_parts,
        "tiny": tiny_parts,
        "mmaudio": mmaudio_parts,
        "meanaudio": meanaudio_parts,
        "woosh": woosh_parts,
    }
)
"""Layout of the register -> the parts of a model."""
