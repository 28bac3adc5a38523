"""`mfv2a evaluate`: what a model makes of held-out scenes, measured against what is known of them.

Scenes are drawn, seen and given sound through the same pipeline as files, without files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.errors import ConfigError
from mfv2a.evaluation.metrics import frechet_distance, log_mel_distance
from mfv2a.evaluation.onsets import OnsetMatch, detect_onsets, match_onsets, mean_onset_f1, onset_f1
from mfv2a.evaluation.tagger import ClassProbe, embed_sounds
from mfv2a.jobs.sound import level_dbfs
from mfv2a.loader import describe_model, load_pipeline
from mfv2a.media.motion import motion_features
from mfv2a.models.woosh_autoencoder import WooshAutoencoder
from mfv2a.models.yamnet import Tagger
from mfv2a.pipeline import Pipeline, SampleOptions
from mfv2a.records import Clip, ModelInfo
from mfv2a.scenes import HELD_OUT_SEED, Scene, make_scene

Wave = NDArray[np.float32]
PROBE_OFFSET = 500_000
AUDIBLE_DBFS = -60.0
_ONSET_FIGURES = (
    *("onset_f1", "onset_f1_pooled", "onset_f1_shuffled", "onset_f1_shuffled_pooled"),
    *("onset_f1_true_sound", "onset_f1_codec"),
)


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What to evaluate.

    Attributes:
        scenes: how many; seed: of the first, added to the held-out seeds.
        text: give the scene's caption as the prompt.
        video: show the scene; without it the model hears the caption only.
        steps, cfg_strength, rescale: sampler settings; None takes the model's own.
    """

    scenes: int = 200
    seed: int = 0
    text: bool = True
    video: bool = True
    steps: int | None = None
    cfg_strength: float | None = None
    rescale: bool | None = None

    def __post_init__(self) -> None:
        if self.scenes < 2:
            raise ConfigError(f"an evaluation needs at least 2 scenes, not {self.scenes}")
        if not (self.text or self.video):
            raise ConfigError("nothing to go by", hint="leave out --no-text or --no-video")


def evaluate_model(
    name: str,
    options: EvaluateOptions,
    *,
    device: str = "auto",
    dtype: str = "auto",
    begin: Callable[[ModelInfo], None],
    tick: Callable[[int], None],
) -> dict[str, Any]:
    """Load a model and measure it on held-out scenes.

    Args:
        name: of the model.
        options: which scenes, how.
        device: as `load_pipeline` takes it.
        dtype: as `load_pipeline` takes it.
        begin: told what the model is.
        tick: told how many scenes are done.

    Returns:
        the figures of `evaluate_scenes`.
    """
    info = describe_model(name)
    if not info.sees:
        raise ConfigError(f"{name} makes sound from words alone; scenes are seen", hint="name another --model")
    pipeline = load_pipeline(name, device=device, dtype=dtype)
    begin(pipeline.info)
    return evaluate_scenes(pipeline, options, tick)


def see_scene(scene: Scene, pipeline: Pipeline) -> Clip:
    """A scene as the pipeline's encoders get it: a square picture at each rate and size, motion as features."""
    frames = {
        name: scene.render(request.fps, request.size_px, request.size_px, gray=request.gray)
        for name, request in pipeline.frame_requests.items()
    }
    motion = frames.pop("motion", None)
    return Clip(duration_s=scene.duration_s, frames=frames, motion=None if motion is None else motion_features(motion))


def evaluate_scenes(pipeline: Pipeline, options: EvaluateOptions, tick: Callable[[int], None]) -> dict[str, Any]:
    """Make sound for held-out scenes and measure it.

    Args:
        pipeline: the model.
        options: which scenes, how.
        tick: told how many scenes are done.

    Returns:
        onset F1 at 100 ms (mean over scenes with events, and pooled), the same against the events of another
        scene (chance) and for the true sound (what the detector reaches) and the true sound through the codec;
        class agreement of the probe on the tagger's embeddings, fitted on other scenes' sounds, true and coded;
        mean log-mel distance; how much louder it is than the true sound, the mean over scenes that can be heard;
        Frechet distance of the embeddings; mean level of scenes in which nothing happens.
    """
    first, rate = HELD_OUT_SEED + options.seed, pipeline.spec.sample_rate_hz
    sampler = SampleOptions(steps=options.steps, cfg_strength=options.cfg_strength, rescale=options.rescale)
    scenes = [make_scene(first + k) for k in range(options.scenes)]
    made: list[Wave] = []
    for k, scene in enumerate(scenes):
        clip = see_scene(scene, pipeline) if options.video else None
        prompt = scene.caption if options.text else ""
        work = pipeline.prepare(clip, prompt=prompt, duration_s=scene.duration_s, seed=first + k)
        latent = pipeline.sample([work], sampler)[0]
        made.append(pipeline.decode(work, latent, sample_rate_hz=rate).samples)
        tick(k + 1)
    true = [scene.sound(rate)[: len(wave)] for scene, wave in zip(scenes, made, strict=True)]
    coded = [through_codec(wave, pipeline) for wave in true]
    figures = {"scenes": len(scenes), **_onset_figures(scenes, made, true, coded, rate)}
    distances = [log_mel_distance(a, b, rate) for a, b in zip(made, true, strict=True)]
    figures |= {"log_mel_distance": float(np.mean(distances)), "level_difference_db": _level_difference_db(made, true)}
    figures |= _class_figures(scenes, {"made": made, "true": true, "codec": coded}, rate)
    calm = [wave for scene, wave in zip(scenes, made, strict=True) if scene.family == "calm"]
    levels = [level_dbfs(wave)["rms_dbfs"] for wave in calm]
    return figures | {"calm_scenes": len(calm), "calm_level_dbfs": float(np.mean(levels)) if levels else None}


def through_codec(wave: Wave, pipeline: Pipeline) -> Wave:
    """A true sound after the codec and back, by mel and vocoder where it has them: the best the generator could do.

    Args:
        wave: [S] at the rate of the model's latents, `pipeline.spec.sample_rate_hz`.
        pipeline: the model.

    Returns:
        [S] at that rate, whatever the model's sound has.
    """
    import torch

    from mfv2a.media.resampling import resample
    from mfv2a.models.mel import CONFIGS, MelSpectrogram

    rate, sound = pipeline.spec.sample_rate_hz, torch.from_numpy(wave)[None]
    with torch.inference_mode():
        if isinstance(pipeline.vae, WooshAutoencoder):
            latent = pipeline.vae.encode(sound.to(pipeline.device))[0]
        else:
            front = next(config for config in CONFIGS.values() if config.sample_rate_hz == rate)
            mel = MelSpectrogram(front)(sound).to(pipeline.device)
            raw = pipeline.vae.encode(mel[..., : mel.shape[-1] // 2 * 2])[0][0]
            mean, std = pipeline.statistics
            latent = (raw - mean) / std
        decoded = pipeline.vocode(pipeline.decode_latent(latent))
    return resample(decoded.cpu().numpy(), pipeline.info.sample_rate_hz, rate)[: len(wave)]


def _level_difference_db(made: Sequence[Wave], true: Sequence[Wave]) -> float | None:
    """Mean level of the made sounds above that of the true ones, where those can be heard."""
    levels = [(level_dbfs(a)["rms_dbfs"], level_dbfs(b)["rms_dbfs"]) for a, b in zip(made, true, strict=True)]
    differences = [made_db - true_db for made_db, true_db in levels if true_db > AUDIBLE_DBFS]
    return float(np.mean(differences)) if differences else None


def _onset_figures(
    scenes: Sequence[Scene], made: Sequence[Wave], true: Sequence[Wave], coded: Sequence[Wave], rate: int
) -> dict[str, Any]:
    struck = [k for k, scene in enumerate(scenes) if scene.events]
    if not struck:
        return {"scenes_with_events": 0, **dict.fromkeys(_ONSET_FIGURES)}
    times = {k: [event.time_s for event in scenes[k].events] for k in struck}
    found = {k: detect_onsets(made[k], rate) for k in struck}

    def figures(pairs: Sequence[OnsetMatch]) -> tuple[float, float]:
        return mean_onset_f1(pairs), onset_f1(pairs)

    mean, pooled = figures([match_onsets(found[k], times[k]) for k in struck])
    others = [*struck[1:], struck[0]]
    pairs = [match_onsets(found[k], times[j]) for k, j in zip(struck, others, strict=True)]
    shuffled, shuffled_pooled = figures(pairs) if len(struck) > 1 else (None, None)
    ceiling, _ = figures([match_onsets(detect_onsets(true[k], rate), times[k]) for k in struck])
    codec, _ = figures([match_onsets(detect_onsets(coded[k], rate), times[k]) for k in struck])
    values = (mean, pooled, shuffled, shuffled_pooled, ceiling, codec)
    return {"scenes_with_events": len(struck), **dict(zip(_ONSET_FIGURES, values, strict=True))}


def _class_figures(scenes: Sequence[Scene], waves: dict[str, list[Wave]], rate: int) -> dict[str, Any]:
    tagger, probe = Tagger.from_assets(), ClassProbe.from_assets()
    labels = [scene.label for scene in scenes]
    embedded = {name: embed_sounds(sounds, tagger, sample_rate_hz=rate) for name, sounds in waves.items()}
    half = embedded["true"].shape[1] // 2
    return {
        "class_agreement": probe.accuracy(embedded["made"], labels),
        "class_agreement_true_sound": probe.accuracy(embedded["true"], labels),
        "class_agreement_codec": probe.accuracy(embedded["codec"], labels),
        "class_agreement_shuffled": probe.accuracy(embedded["made"], [*labels[1:], labels[0]]),
        "frechet": frechet_distance(embedded["made"][:, :half], embedded["true"][:, :half]),
    }
