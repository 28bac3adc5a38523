"""Layout of a model -> its parts, each loaded when it is wanted: from its files, or with random weights.

Here the hub's files meet the networks; names of models and devices are resolved before, in `mfv2a.loader`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from functools import partial
from types import MappingProxyType
from typing import Any

import torch

from mfv2a import hub
from mfv2a.encoders.compact import COMPACT, CompactEncoders
from mfv2a.encoders.meanaudio import MeanAudioEncoders
from mfv2a.encoders.mmaudio import MMAudioEncoders, mmaudio_spec
from mfv2a.encoders.woosh import WooshEncoders, woosh_spec
from mfv2a.errors import ConfigError
from mfv2a.models import weights
from mfv2a.models.clip_tokenizer import CLIPTokenizer
from mfv2a.models.tokenizers import RobertaTokenizer, T5Tokenizer
from mfv2a.parts import Parts, Role
from mfv2a.public_files import PublicFiles, file_of
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


def mmaudio_parts(entry: Checkpoint, device: torch.device, dtype: torch.dtype, random_weights: bool) -> Parts:
    """A public MMAudio model; codec and vocoder stay in float32, which costs little and keeps the sound clean."""
    files = PublicFiles(entry, MMAUDIO_KINDS, others=("tokenizer",), device=device, random_weights=random_weights)
    sizes, needs = files.sizes, files.sizes["generator"]
    vae, clip = sizes["vae"], sizes["clip"]
    files.check(
        (clip.embed_dim, clip.text_dim, clip.text_len, sizes["sync"].dim, vae.latent_dim, vae.num_bands),
        (needs.clip_dim, needs.text_dim, needs.text_len, needs.sync_dim, needs.latent_dim, sizes["vocoder"].num_bands),
    )
    _check_rate(entry, sizes["vocoder"].sample_rate_hz)
    spec = mmaudio_spec(entry.sample_rate_hz, sizes["vocoder"].hop, entry.window_s)

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


def _check_rate(entry: Checkpoint, made_hz: int) -> None:
    """Refuse a stated rate at which the decoders make no sound.

    Raises:
        ConfigError: it is another than theirs.
    """
    if entry.sample_rate_hz != made_hz:
        raise ConfigError(
            f"{entry.name}: sample_rate_hz = {entry.sample_rate_hz}, but its sound is made at {made_hz}",
            hint="correct it in the register that names the model",
        )


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
    _check_rate(entry, round(needs.latent_rate_hz * sizes["vae"].hop))
    spec = woosh_spec(entry.sample_rate_hz, sizes["vae"].hop, entry.window_s)
    if (latents := spec.latents(entry.window_s)) > needs.positions:
        said = f"{entry.name}: window_s = {entry.window_s:g} is {latents} latents, and the network has places for"
        raise ConfigError(f"{said} {needs.positions}", hint="correct it in the register that names the model")

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
    _check_rate(entry, sizes["vocoder"].sample_rate_hz)
    spec = mmaudio_spec(entry.sample_rate_hz, sizes["vocoder"].hop, entry.window_s)
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
    return _compact(
        entry, lambda role: weights.load_network(file_of(wanted[role]), role)[0], set(wanted), device, dtype
    )


def tiny_parts(entry: Checkpoint, device: torch.device, dtype: torch.dtype, random_weights: bool) -> Parts:
    """The embedded model's twin for tests."""
    from mfv2a.models.tiny import tiny_networks

    networks = tiny_networks()
    return _compact(entry, networks.__getitem__, set(networks), device, dtype)


def _compact(
    entry: Checkpoint, load: Callable[[str], Any], roles: Set[str], device: torch.device, dtype: torch.dtype
) -> Parts:
    extended = "extension" in roles
    if extended and "vocoder" not in roles:
        raise ConfigError(f"{entry.name} has an extension and no vocoder", hint="name a vocoder among its components")
    _check_rate(entry, (2 if extended else 1) * COMPACT.sample_rate_hz)

    def decoders() -> tuple[Any, Any]:
        from mfv2a.models.extension import Extended
        from mfv2a.models.griffinlim import GriffinLim

        vae = load("vae")
        vae.fold_weights()
        vocoder: Any = load("vocoder") if "vocoder" in roles else GriffinLim()
        if extended:
            vocoder = Extended(vocoder, load("extension"))
        return vae.to(device), vocoder.to(device)

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
    spec = COMPACT.windowed(entry.window_s)
    return Parts(device=device, dtype=dtype, spec=spec, eyes=CompactEncoders, loads=loads)


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
