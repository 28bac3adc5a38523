"""Run configurations, frozen records that `tables` fills from TOML. Knows no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mfv2a import limits
from mfv2a.errors import ConfigError
from mfv2a.tables import build, load_toml

__all__ = [
    "ExtractConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "RunConfig",
    "SourceConfig",
    "ValidationConfig",
    "build",
    "load_toml",
]

USUAL_GUIDANCE = 4.5
"""Weight of guidance that MMAudio samples with, arXiv 2412.15322."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """Where training items come from.

    Attributes:
        type: "scenes" made on the fly, "sounds" a folder of labelled sounds, "features" a folder of `mfv2a extract`;
            for an extraction with a public model "videos", or "recordings", of which only the sound is taken.
        path: the folder of sounds, features, videos or recordings.
        first_seed: first scene seed; count: how many scenes or arrangements (0 = without end, training only).
        voices: folder of labelled sounds laid on the visible events as a second sound track of each scene.
        weight: share of this source in a batch, relative to the others.
        label: only sounds whose label matches this regular expression; exclude: none that match this one.
        only_files: only the sounds that this table names, tab-separated with a column `file`; except_files: none that
            this one names, not as voices either.
        listing: list of the videos or recordings, CSV, TSV, JSONL or Parquet (empty: all files of the folder, unnamed).
        split: only what the list says is of this split.
        windows: most windows of a video or recording (0 = as many as it holds, one after the other).
        shortest_s: least seconds of a window; it goes on with silence and its last picture (0 = the full length).
    """

    type: Literal["scenes", "sounds", "features", "videos", "recordings"]
    path: str = ""
    first_seed: int = 0
    count: int = 0
    voices: str = ""
    weight: float = 1.0
    label: str = ""
    exclude: str = ""
    only_files: str = ""
    except_files: str = ""
    listing: str = ""
    split: str = ""
    windows: int = 0
    shortest_s: float = 0.0

    def __post_init__(self) -> None:
        limits.check_source(self)

    @property
    def is_media(self) -> bool:
        """Whether it names files of video or sound, from which an extraction makes features."""
        return self.type in ("videos", "recordings")


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """The generator's loss.

    Attributes:
        name: "flow-matching", "meanflow", "alphaflow" (MeanFlow without a derivative), "distill" (a teacher's) or
            "energy" (one step alone, by the energy score of two draws; rows with r = t learn flow matching).
        time_mean, time_std: of the normal under the logit-normal times.
        equal_share: share of rows with r = t; full_share: of the others, share with r = 0 and t = 1.
        power: p of the adaptive weight; jvp_ramp_steps: steps over which the derivative's term grows to 1.
        alpha: what "alphaflow" ends at, from 1 (flow matching) over jvp_ramp_steps; towards 0 it is MeanFlow.
        omega, kappa: guidance in the target (omega 1, kappa 0: none); of "meanflow" and "alphaflow" alone.
        guidance: lowest and highest weight w, for a network that takes it as an input: each row of "meanflow",
            "alphaflow" and "distill" draws its own, the target is guided by it (omega is then w (1 - kappa), and
            teacher_cfg w), and `--cfg` chooses it at sampling (empty: none).
        guidance_draw: how w is drawn between them; text_noise: most of the noise on text, over its root mean square.
        teacher: of "distill": a generator's weights file, or the name of a public MMAudio model.
        teacher_cfg: strength of the teacher's guidance, 1 for none; teacher_rescale: its unconditional branch scaled.
        distill_by: how the average of the teacher's velocity is learned.
        drop_both, drop_video, drop_text: shares of rows whose conditions are replaced by the empty features.
    """

    name: Literal["flow-matching", "meanflow", "alphaflow", "distill", "energy"] = "meanflow"
    time_mean: float = -0.4
    time_std: float = 1.0
    equal_share: float = 0.75
    full_share: float = 0.33
    power: float = 1.0
    jvp_ramp_steps: int = 100
    alpha: float = 0.1
    omega: float = 1.0
    kappa: float = 0.0
    guidance: tuple[float, ...] = ()
    guidance_draw: Literal["uniform", "log-uniform"] = "uniform"
    teacher: str = ""
    teacher_cfg: float = 4.5
    teacher_rescale: bool = False
    distill_by: Literal["meanflow", "alphaflow"] = "meanflow"
    drop_both: float = 0.1
    drop_video: float = 0.15
    drop_text: float = 0.3
    text_noise: float = 0.0

    def __post_init__(self) -> None:
        limits.check_objective(self)

    @property
    def usual_guidance(self) -> float | None:
        """The weight to sample with where none is chosen: 4.5, or what of the range is closest to it."""
        return min(max(USUAL_GUIDANCE, self.guidance[0]), self.guidance[1]) if self.guidance else None

    def plain(self) -> ObjectiveConfig:
        """Flow matching with the same times and all conditions kept."""
        return replace(
            self, name="flow-matching", omega=1.0, kappa=0.0, guidance=(), teacher="",
            drop_both=0.0, drop_video=0.0, drop_text=0.0, text_noise=0.0,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW, its schedule and the moving average.

    Attributes:
        learning_rate: peak; beta2, eps: of AdamW; weight_decay: on all weights.
        warmup_steps: linear warm-up; decay: "cosine" to a twentieth at the end, "step" or "constant".
        decay_at: of "step": shares of the run after each of which the rate is a tenth of what it was.
        clip: gradient norm limit, 0 for none; ema: decay of the exponential moving average.
    """

    learning_rate: float = 5e-4
    beta2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.0
    warmup_steps: int = 100
    decay: Literal["cosine", "step", "constant"] = "cosine"
    decay_at: tuple[float, ...] = (0.8, 0.9)
    clip: float = 1.0
    ema: float = 0.998

    def __post_init__(self) -> None:
        limits.check_values(self, limits.OPTIMIZER)


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Held-out rows, on which the moving average is measured during a generator's run.

    Attributes:
        every: optimiser steps between measurements, 0 for none; rows: how many rows, always the same ones.
        steps: numbers of sampler steps to measure at; shown: how many of the rows are drawn each time, 0 for none.
        sources: where the rows come from; none of them may be in the run's own sources.
    """

    every: int = 0
    rows: int = 64
    steps: tuple[int, ...] = (1, 2, 4, 25)
    shown: int = 4
    sources: tuple[SourceConfig, ...] = ()

    def __post_init__(self) -> None:
        limits.check_values(self, limits.VALIDATION)
        if self.every and not self.sources:
            raise ConfigError("a validation needs at least one [[validation.sources]]")
        if self.every and (self.rows < 2 or not self.steps or min(self.steps) < 1):
            raise ConfigError("a validation needs at least two rows, and steps of at least 1")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training run.

    Attributes:
        task: what is trained.
        out: folder of the run.
        steps: optimiser steps; minutes: stop earlier after this wall time (0 = no limit), the schedule follows it.
        batch_size: B, over all processes together; accumulate: parts into which each process splits its rows.
        crop_s: seconds of each training item (features for a public model come whole).
        seed: of weights, times, noise and order.
        workers: processes that make items; threads: torch threads (0 = torch's choice).
        device: "auto", "cpu" or "cuda"; parallel: how the processes that torchrun starts share a generator.
        recompute: compute the blocks' activations again going back, rather than keep them: less memory, more time.
        compile: the generator's forward pass with torch.compile.
        checkpoint_minutes: time between checkpoints; checkpoint_keep: how many of the newest stay.
        log_every: steps between log lines.
        precision: "float32", or "bfloat16" autocast (fast only where the processor has bf16 arithmetic).
        init: weights file to start from; for a generator also the name of a public MMAudio model.
        components: weights files the task leans on (`vae`: a codec whose mel a vocoder is to invert too).
        adversarial: weight of the adversarial loss of a codec or vocoder, 0 for none.
        frozen: parts of the network, by name, whose weights stay as they are in `init`.
        model: sizes of the network; what is not named is as in `init`, where that is a public model.
        sources, objective, optimizer, validation: see there.
    """

    task: Literal["vae", "sync", "vocoder", "generator"]
    out: str
    steps: int
    minutes: float = 0.0
    batch_size: int = 24
    accumulate: int = 1
    crop_s: float = 4.0
    seed: int = 0
    workers: int = 1
    threads: int = 0
    device: str = "auto"
    parallel: Literal["ddp", "fsdp"] = "ddp"
    recompute: bool = False
    compile: bool = False
    checkpoint_minutes: float = 5.0
    checkpoint_keep: int = 2
    log_every: int = 20
    precision: Literal["float32", "bfloat16"] = "float32"
    init: str = ""
    components: Mapping[str, str] = field(default_factory=dict)
    adversarial: float = 0.0
    frozen: tuple[str, ...] = ()
    model: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[SourceConfig, ...] = ()
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def __post_init__(self) -> None:
        limits.check_run(self)


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """One extraction: media or scenes to stored features.

    Attributes:
        out: folder of the shards.
        source: what to extract.
        shard_items: items a shard; workers: processes; duration_s: length of each item.
        vae, sync: weights files; given with a "features" source, mel becomes latents and motion sync features.
        model: public MMAudio model whose codec and encoders make the features of videos and recordings.
        batch_size: windows that the codec encodes together; device: "auto", "cpu" or "cuda", of these networks.
    """

    out: str
    source: SourceConfig
    shard_items: int = 256
    workers: int = 2
    duration_s: float = 8.0
    vae: str = ""
    sync: str = ""
    model: str = ""
    batch_size: int = 8
    device: str = "auto"

    def __post_init__(self) -> None:
        limits.check_extraction(self)
