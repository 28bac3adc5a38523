"""The whole of Synchformer: how far a sound is ahead of or behind its picture, in 21 classes from -2 to 2 s.

Segments of 0.64 s, one every 0.32 s: the visual features of `synchformer.py`, audio features of a spectrogram
transformer whose frequencies are pooled, and a small transformer that compares 14 segments of both. A judge of the
field's measures; the generators use its visual half alone. Keys are those of the public file.

Source: Iashin et al., "Synchformer: Efficient Synchronization from Sparse Cues", arXiv 2401.16423; Gong et al., "AST:
Audio Spectrogram Transformer", arXiv 2104.01778; windows and spectra as in av-benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfv2a.errors import ConfigError
from mfv2a.models.linear import Linear
from mfv2a.models.synchformer import SpatialPool, Synchformer, SynchformerConfig

SAMPLE_RATE_HZ = 16_000
SEGMENT_SAMPLES, STRIDE_SAMPLES = 10_240, 5_120
SEGMENTS = 14
WINDOW_S = 4.8
"""14 segments."""
MOST_S = 2.0
_MEAN, _SCALE, _FLOOR = -4.2677393, 2 * 4.5689974, 1e-6
_AST_EPS = 1e-12


@dataclass(frozen=True, kw_only=True)
class DesyncConfig:
    """Sizes of the network.

    Attributes:
        visual: of the visual half, whose width D, depth and heads the audio half shares.
        mel_bins, frames: of a segment's spectrogram.
        patch, step: side of its patches and from one to the next.
        depth, heads: of the comparing transformer.
        classes: offsets.
    """

    visual: SynchformerConfig = field(default_factory=SynchformerConfig)
    mel_bins: int = 128
    frames: int = 66
    patch: int = 16
    step: int = 10
    depth: int = 3
    heads: int = 8
    classes: int = 21

    @classmethod
    def tiny(cls) -> DesyncConfig:
        """Narrow blocks, for tests."""
        return cls(visual=SynchformerConfig.tiny(), depth=1, heads=2)

    @property
    def places(self) -> tuple[int, int]:
        """Patches over frequency and over time."""
        return (self.mel_bins - self.patch) // self.step + 1, (self.frames - self.patch) // self.step + 1


CONFIGS: Mapping[str, DesyncConfig] = MappingProxyType({"public": DesyncConfig()})
"""The public network."""


class _Attention(nn.Module):
    """Attention with a projection each for query, key and value."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = Linear(dim, dim), Linear(dim, dim), Linear(dim, dim)

    def mix(self, x: Tensor) -> Tensor:
        """Attend over [B, N, D]; what comes out is not projected."""
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for project in (self.query, self.key, self.value)
        )
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class _AudioLayer(nn.Module):
    """A layer of the spectrogram transformer, under its public names."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"attention": _Attention(dim, heads), "output": nn.ModuleDict({"dense": Linear(dim, dim)})}
        )
        self.intermediate = nn.ModuleDict({"dense": Linear(dim, 4 * dim)})
        self.output = nn.ModuleDict({"dense": Linear(4 * dim, dim)})
        self.layernorm_before, self.layernorm_after = nn.LayerNorm(dim, eps=_AST_EPS), nn.LayerNorm(dim, eps=_AST_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, N, D] to [B, N, D]."""
        mixed = self.get_submodule("attention.attention").mix(self.layernorm_before(x))  # type: ignore[operator]
        x = x + self.get_submodule("attention.output.dense")(mixed)
        inner = F.gelu(self.get_submodule("intermediate.dense")(self.layernorm_after(x)))
        out: Tensor = x + self.get_submodule("output.dense")(inner)
        return out


class _Embeddings(nn.Module):
    def __init__(self, config: DesyncConfig) -> None:
        super().__init__()
        dim, (rows, columns) = config.visual.dim, config.places
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.distillation_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position_embeddings = nn.Parameter(torch.zeros(1, rows * columns + 2, dim))
        self.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(1, dim, config.patch, config.step)})

    def forward(self, mel: Tensor) -> Tensor:
        """Tokens [B, 2 + places, D] of spectrograms [B, M, F], by frequency and then by time."""
        patches = self.patch_embeddings["projection"](mel[:, None]).flatten(2).transpose(1, 2)
        first = [token.expand(len(mel), -1, -1) for token in (self.cls_token, self.distillation_token)]
        return torch.cat([*first, patches], 1) + self.position_embeddings


class SpectrogramTransformer(nn.Module):
    """Spectrograms to states of their patches, under the public names.

    Args:
        config: sizes.
    """

    def __init__(self, config: DesyncConfig) -> None:
        super().__init__()
        dim = config.visual.dim
        self.embeddings = _Embeddings(config)
        layers = nn.ModuleList(_AudioLayer(dim, config.visual.heads) for _ in range(config.visual.depth))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.layernorm = nn.LayerNorm(dim, eps=_AST_EPS)

    def forward(self, mel: Tensor) -> Tensor:
        """States [B, 2 + places, D] of spectrograms [B, M, F]."""
        x = self.embeddings(mel)
        for layer in self.encoder.get_submodule("layer").children():
            x = layer(x)
        out: Tensor = self.layernorm(x)
        return out


class _AudioFeatures(nn.Module):
    """Segments of sound to a feature a column of patches."""

    def __init__(self, config: DesyncConfig) -> None:
        super().__init__()
        self.places = config.places
        self.ast = SpectrogramTransformer(config)
        self.freq_attn_agg = SpatialPool(config.visual)

    def forward(self, mel: Tensor) -> Tensor:
        """Features [B, columns, D] of spectrograms [B, M, F]."""
        columns = self.ast(mel)[:, 2:].unflatten(1, self.places).transpose(1, 2)  # [B, t, f, D]
        out: Tensor = self.freq_attn_agg(columns.flatten(0, 1)).unflatten(0, columns.shape[:2])
        return out


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = _Attention(dim, heads)
        self.attn.add_module("proj", Linear(dim, dim))
        self.mlp = nn.Sequential(Linear(dim, 4 * dim), nn.GELU(), Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, N, D] to [B, N, D]."""
        x = x + self.attn.get_submodule("proj")(self.attn.mix(self.ln1(x)))
        out: Tensor = x + self.mlp(self.ln2(x))
        return out


class _Comparison(nn.Module):
    """Visual and audio features of 14 segments to logits of offsets."""

    def __init__(self, config: DesyncConfig) -> None:
        super().__init__()
        dim = config.visual.dim
        tokens = SEGMENTS * (config.visual.segment // config.visual.tubelet + config.places[1]) + 2
        self.vis_in_lnorm, self.aud_in_lnorm, self.ln_f = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.OFF_tok, self.MOD_tok = nn.Parameter(torch.zeros(1, 1, dim)), nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_emb_cfg = nn.ParameterDict({"pos_emb": nn.Parameter(torch.zeros(1, tokens, dim))})
        self.blocks = nn.Sequential(*(_Block(dim, config.heads) for _ in range(config.depth)))
        self.off_head = Linear(dim, config.classes)

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Logits [B, classes] of features [B, N, D] and [B, N', D]."""
        off, mod = (token.expand(len(visual), -1, -1) for token in (self.OFF_tok, self.MOD_tok))
        x = torch.cat([off, self.vis_in_lnorm(visual), mod, self.aud_in_lnorm(audio)], 1)
        x = self.ln_f(self.blocks(x + self.pos_emb_cfg["pos_emb"]))
        out: Tensor = self.off_head(x[:, 0])
        return out


class Desync(nn.Module):
    """Pictures and sound to how far they are apart.

    Args:
        config: sizes.
    """

    def __init__(self, config: DesyncConfig) -> None:
        super().__init__()
        dim = config.visual.dim
        self.config = config
        self.vfeat_extractor = Synchformer(config.visual)
        self.afeat_extractor = _AudioFeatures(config)
        self.vproj, self.aproj = Linear(dim, dim), Linear(dim, dim)
        self.transformer = _Comparison(config)

    def forward(self, frames: Tensor, wave: Tensor) -> Tensor:
        """Offsets in seconds, as 21 classes hold them, of the first and of the last 4.8 s.

        Args:
            frames: [T, 3, 224, 224] in [-1, 1] at 25 a second, at least 120.
            wave: [S] at 16 kHz in [-1, 1], at least 4.8 s.

        Returns:
            [2].

        Raises:
            ConfigError: there is less of either.
        """
        return self.compare(self.look(frames), self.hear(wave))

    def compare(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Offsets [2] of what `look` and `hear` give, see `forward`."""
        count = min(len(visual), len(audio))
        if count < SEGMENTS:
            raise ConfigError(f"the offset of sound and picture is told of {WINDOW_S} s and more")
        visual, audio = self.vproj(visual[:count]), self.aproj(audio[:count])
        logits = [self.transformer(visual[part].flatten(0, 1)[None], audio[part].flatten(0, 1)[None]) for part in _ENDS]
        grid = torch.linspace(-MOST_S, MOST_S, self.config.classes)
        return grid[torch.cat(logits).argmax(dim=1).cpu()]

    def look(self, frames: Tensor) -> Tensor:
        """Visual features [K, moments, D] of the segments of frames [T, 3, 224, 224]."""
        moments = self.config.visual.segment // self.config.visual.tubelet
        out: Tensor = self.vfeat_extractor.encode(frames[None])[0].unflatten(0, (-1, moments))
        return out

    def hear(self, wave: Tensor) -> Tensor:
        """Audio features [K, columns, D] of the segments of a wave [S]."""
        if wave.shape[-1] < SEGMENT_SAMPLES:
            raise ConfigError(f"the offset of sound and picture is told of {WINDOW_S} s and more")
        out: Tensor = self.afeat_extractor(self.segments(wave))
        return out

    def segments(self, wave: Tensor) -> Tensor:
        """Normalised log-mel spectrograms [K, M, F] of the segments of a wave [S]."""
        from torchaudio.transforms import MelSpectrogram

        front = MelSpectrogram(
            SAMPLE_RATE_HZ, n_fft=1024, win_length=400, hop_length=160, n_mels=self.config.mel_bins
        ).to(wave.device)
        mel = torch.log(front(wave.unfold(0, SEGMENT_SAMPLES, STRIDE_SAMPLES)) + _FLOOR)[..., : self.config.frames]
        return (F.pad(mel, (0, self.config.frames - mel.shape[-1])) - _MEAN) / _SCALE


_ENDS = (slice(0, SEGMENTS), slice(-SEGMENTS, None))
