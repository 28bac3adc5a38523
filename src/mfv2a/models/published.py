"""The networks that have public files: their sizes by name, and how their authors lay the files out.

A table and nothing else: `upstream.py` reads files by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torch import nn

from mfv2a.models import (
    bigvgan,
    clap,
    clip,
    cnn14,
    desync,
    meanaudio,
    mmaudio,
    roberta,
    synchformer,
    t5,
    vae,
    vggish,
    woosh,
    woosh_autoencoder,
)


@dataclass(frozen=True, kw_only=True)
class PublicNetwork:
    """A network with public files.

    Attributes:
        network: its class; configs: its public sizes by name.
        nesting: key of the file under which the state dict lies, if any.
        prefix: of the keys that are this network's; where it is found, all others are dropped.
        renamed: beginnings of keys -> ours; the first that fits a key.
        dropped: beginnings of keys, prefixes off and renamed, that may be in a file and take no part.
    """

    network: type[nn.Module]
    configs: Mapping[str, Any]
    nesting: str = ""
    prefix: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()


PUBLIC: Mapping[str, PublicNetwork] = MappingProxyType(
    {
        "mmaudio": PublicNetwork(
            network=mmaudio.MMAudio, configs=mmaudio.CONFIGS, dropped=("t_embed.freqs", "latent_rot", "clip_rot")
        ),
        "bigvgan": PublicNetwork(network=bigvgan.BigVGAN, configs=bigvgan.CONFIGS, nesting="generator"),
        "vae": PublicNetwork(network=vae.VAE, configs=vae.CONFIGS),
        "clip": PublicNetwork(network=clip.CLIP, configs=clip.CONFIGS, dropped=("logit_scale", "text_projection")),
        "synchformer": PublicNetwork(
            network=synchformer.Synchformer,
            configs=synchformer.CONFIGS,
            prefix="vfeat_extractor.",
            dropped=("patch_embed.",),
        ),
        "meanaudio": PublicNetwork(
            network=meanaudio.MeanAudio,
            configs=meanaudio.CONFIGS,
            dropped=("t_embed.freqs", "r_embed.freqs", "latent_rot", "text_rot"),
        ),
        "woosh": PublicNetwork(
            network=woosh.Woosh,
            configs=woosh.CONFIGS,
            renamed=(
                ("dit.preprocessing.old_preprocessing.old_preprocessing.", "inputs."),
                ("dit.preprocessing.old_preprocessing.", "inputs."),
                ("dit.preprocessing.", "times."),
                ("dit.postprocessing.old_postprocessing.", "last."),
                ("dit.layers.", "layers."),
                ("conditioners.video_features.linear_encoder.", "video_input."),
            ),
            dropped=(
                *("inputs.timestep_", "inputs.to_timestep_embed.", "inputs.to_logvar.", "inputs.memory_tokens_desc"),
                *("times.timestep_", "times.cfg_features.", "times.to_logvar"),
            ),
        ),
        "woosh_autoencoder": PublicNetwork(
            network=woosh_autoencoder.WooshAutoencoder,
            configs=woosh_autoencoder.CONFIGS,
            renamed=(("autoencoder.", ""),),
            dropped=("encoder.spec_embed.", "decoder.head.istft."),
        ),
        "roberta": PublicNetwork(
            network=roberta.Roberta,
            configs=roberta.CONFIGS,
            prefix="sentence_frontend.",
            dropped=("embeddings.position_ids", "encoder.layer.23.", "pooler."),
        ),
        "t5": PublicNetwork(
            network=t5.T5Encoder,
            configs=t5.CONFIGS,
            renamed=(("encoder.embed_tokens.", "shared."),),
            dropped=("decoder.", "lm_head."),
        ),
        "clap_text": PublicNetwork(
            network=clap.CLAPText,
            configs=clap.CONFIGS,
            nesting="state_dict",
            dropped=(
                *("text_branch.embeddings.position_ids", "audio_branch.", "audio_projection.", "audio_transform."),
                *("text_transform.", "logit_scale_"),
            ),
        ),
        "cnn14": PublicNetwork(
            network=cnn14.Cnn14,
            configs=cnn14.CONFIGS,
            nesting="model",
            renamed=(("logmel_extractor.melW", "filters"),),
            dropped=("spectrogram_extractor.",),
        ),
        "vggish": PublicNetwork(network=vggish.VGGish, configs=vggish.CONFIGS),
        "desync": PublicNetwork(
            network=desync.Desync, configs=desync.CONFIGS, dropped=("vfeat_extractor.patch_embed.",)
        ),
    }
)
"""Kind -> network and layout of its public files."""
