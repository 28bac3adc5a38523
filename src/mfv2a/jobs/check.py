"""`mfv2a models check`: whether a model's files are what they should be and make sound here, in a few lines to paste.

Fetches, loads strictly, dubs a drawn scene - or makes a prompt's sound, where the model sees nothing - and listens:
finite, loud enough, wide enough. Where the upstream package is installed, its network is asked the same question. It
does not judge whether the sound is good.
"""

from __future__ import annotations

import importlib
import importlib.util
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfv2a import __version__, hub
from mfv2a.errors import ConfigError, MediaError, Mfv2aError, SoundError
from mfv2a.jobs.sound import level_dbfs
from mfv2a.packages import find_model
from mfv2a.records import Audio
from mfv2a.register import Checkpoint, files_of

if TYPE_CHECKING:
    from mfv2a.pipeline import Pipeline, Work

WORDS = "rain on a tin roof"
SCENE_SEED, SCENE_S, SCENE_PX = 2_000_000_001, 8.0, (320, 180)
SOFTEST_DBFS = -60.0
LEAST_BANDWIDTH = 0.25
FLOOR_DB = 70.0
UPSTREAM = "mmaudio"
LARGEST_DIFFERENCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the table.

    Attributes:
        name: what was looked at; state: how it is, in words.
        ok: it passed; None for what was not judged.
    """

    name: str
    state: str
    ok: bool | None = True


def check_model(
    name: str, *, device: str = "auto", dtype: str = "auto", progress: bool = False, begin: Callable[[str], None]
) -> Iterator[Check]:
    """Look at a model; what fails ends it, as what comes after needs what came before.

    Args:
        name: of the model.
        device: as `load_pipeline` takes it.
        dtype: as `load_pipeline` takes it.
        progress: show a bar on stderr while files are fetched.
        begin: is told what begins, in words.

    Yields:
        the lines of the table, as they are known.

    Raises:
        ConfigError: no such model, or an option that cannot work.
    """
    entry = find_model(name)
    yield Check(
        name="mfv2a", state=f"{__version__}, {platform.platform()}, Python {platform.python_version()}", ok=None
    )
    yield Check(name="model", state=f"{name}, licence {entry.licence}", ok=None)
    place = "files"
    try:
        begin("fetching and verifying its files")
        for file in files_of(entry):
            yield _look_at_file(file, progress)
        place = "load"
        begin("loading")
        from mfv2a.loader import load_pipeline

        start = time.perf_counter()
        pipeline = load_pipeline(name, device=device, dtype=dtype)
        yield _describe(pipeline, time.perf_counter() - start)
        place = "dub"
        begin("dubbing a drawn scene")
        yield from _listen(pipeline)
        place = "upstream"
        begin("comparing")
        yield _compare(entry, pipeline)
    except ConfigError:
        raise
    except Mfv2aError as error:
        hint = f" - {error.hint}" if error.hint else ""
        yield Check(name=place, state=f"{error}{hint}", ok=False)


def _look_at_file(file: Checkpoint, progress: bool) -> Check:
    path = hub.fetch(file, progress=progress)
    verdict = hub.verify(file, path)
    told = " (no digest is stated: that of the first download)" if verdict.trusted else ""
    where = f"{file.repo}/{file.file}" if file.repo else path.name
    return Check(name=file.role, state=f"{where}, {path.stat().st_size} bytes, {verdict.digest}{told}")


def _describe(pipeline: Pipeline, seconds: float) -> Check:
    values = sum(tensor.numel() for tensor in pipeline.generator.state_dict().values())
    number = str(pipeline.dtype).removeprefix("torch.")
    state = f"every key and shape fits; generator of {values / 1e6:.1f} M values, {number} on {pipeline.device}, "
    return Check(name="load", state=f"{state}{seconds:.1f} s")


def _listen(pipeline: Pipeline) -> Iterator[Check]:
    """Dub a drawn scene, or say a word to a model that sees none; then look at the sound and at the file."""
    audio, finite, length_s, seconds = _dub_scene(pipeline) if pipeline.info.sees else _say_words(pipeline)
    wave, rate = audio.samples, audio.sample_rate_hz
    steps = pipeline.info.default_steps
    told = f"{length_s:.2f} s in {seconds:.1f} s, steps: {steps}, guidance {pipeline.info.default_cfg:g}"
    yield Check(name="dub" if pipeline.info.sees else "words", state=told, ok=len(wave) == round(length_s * rate))
    broken = int(np.count_nonzero(~np.isfinite(wave)))
    yield Check(
        name="finite", state="every number is" if finite and not broken else "NaN or infinite", ok=finite and not broken
    )
    heard = np.nan_to_num(wave, posinf=0, neginf=0)
    level = level_dbfs(heard)["rms_dbfs"]
    peak = float(np.abs(heard).max())
    yield Check(name="level", state=f"{level:.1f} dBFS rms, peak {peak:.3f}", ok=bool(level > SOFTEST_DBFS))
    width = bandwidth_hz(heard, rate)
    state = f"{width / 1000:.1f} of {rate / 2000:.1f} kHz within {FLOOR_DB:g} dB of the loudest"
    yield Check(name="bandwidth", state=state, ok=width >= LEAST_BANDWIDTH * rate / 2)


class _Made(NamedTuple):
    """A sound, whether its latent was finite, how long it was to be, and how long making it took."""

    audio: Audio
    finite: bool
    length_s: float
    seconds: float


def _dub_scene(pipeline: Pipeline) -> _Made:
    """The sound of a drawn scene, in its file.

    Raises:
        MediaError: the sound is not in the dubbed file.
    """
    from mfv2a.jobs.scenes import write_scene_video
    from mfv2a.jobs.sight import see_video
    from mfv2a.media.mux import mux_audio, plan_mux
    from mfv2a.media.video import probe_video
    from mfv2a.scenes import make_scene

    with tempfile.TemporaryDirectory(prefix="mfv2a-check-") as folder:
        scene = make_scene(SCENE_SEED, duration_s=SCENE_S)
        path = write_scene_video(scene, Path(folder) / "scene.mp4", width_px=SCENE_PX[0], height_px=SCENE_PX[1])
        info = probe_video(path)
        start = time.perf_counter()
        seen = see_video(info, pipeline)
        audio, finite = _make_sound(pipeline, pipeline.prepare(seen, duration_s=info.duration_s, seed=0))
        plan = plan_mux(info, "auto")
        dubbed = Path(folder) / f"dubbed{plan.suffix}"
        mux_audio(info, audio, dubbed, plan)
        seconds = time.perf_counter() - start
        if not any(stream.kind == "audio" for stream in probe_video(dubbed).streams):
            raise MediaError(dubbed, "has no sound after dubbing")
    return _Made(audio, finite, info.duration_s, seconds)


def _say_words(pipeline: Pipeline) -> _Made:
    """The sound of a prompt, for a model that sees no pictures."""
    start = time.perf_counter()
    made = _make_sound(pipeline, pipeline.prepare(None, prompt=WORDS, duration_s=SCENE_S, seed=0))
    return _Made(*made, SCENE_S, time.perf_counter() - start)


def _make_sound(pipeline: Pipeline, work: Work) -> tuple[Audio, bool]:
    """The sound of a work, and whether its latent is finite."""
    from mfv2a.pipeline import SampleOptions

    try:
        return pipeline.decode(work, pipeline.sample([work], SampleOptions())[0]), True
    except SoundError:  # what is no number is no sound
        rate_hz = pipeline.info.sample_rate_hz
        return Audio(samples=np.zeros(round(work.duration_s * rate_hz), np.float32), sample_rate_hz=rate_hz), False


def bandwidth_hz(wave: NDArray[np.float32], sample_rate_hz: int) -> float:
    """The highest frequency whose long-term level is within 70 dB of the loudest one's; 0 for silence.

    Args:
        wave: mono [S].
        sample_rate_hz: of the wave.
    """
    from mfv2a.evaluation.spectrum import magnitudes

    power = np.square(magnitudes(wave, window=1024, hop=512)).mean(0)
    heard = np.flatnonzero((power > power.max() * 10 ** (-FLOOR_DB / 10)) & (power > 0))
    return float(heard[-1] * sample_rate_hz / 1024) if len(heard) else 0.0


def _compare(entry: Checkpoint, pipeline: Pipeline) -> Check:
    """The generator against the upstream package's on the same file and the same numbers."""
    if entry.layout != UPSTREAM:
        return Check(name="upstream", state=f"no comparison is known for the layout {entry.layout}", ok=None)
    if importlib.util.find_spec(UPSTREAM) is None:
        return Check(name="upstream", state=f"the package {UPSTREAM} is not installed, not compared", ok=None)
    try:
        difference = _difference(entry, pipeline)
    except Exception as error:  # noqa: BLE001 - the other package may fail in any way; that is a line of the table
        return Check(name="upstream", state=f"{UPSTREAM} failed: {type(error).__name__}: {error}", ok=None)
    words = f"velocities of 8 s differ by {difference:.1e} of their size (below {LARGEST_DIFFERENCE:g} is right)"
    return Check(name="upstream", state=words, ok=difference < LARGEST_DIFFERENCE)


def _difference(entry: Checkpoint, pipeline: Pipeline) -> float:
    """Relative L2 difference of the two velocities at one time, for random features, in float32 on the CPU."""
    import torch

    from mfv2a.models import upstream

    path = hub.fetch(entry)
    net: Any = upstream.load_public("mmaudio", entry.config, path, dtype=torch.float32)
    spec, sizes = pipeline.spec, net.config
    lengths = spec.extent(spec.window_s)
    theirs = importlib.import_module(f"{UPSTREAM}.model.networks").get_my_mmaudio(entry.config)
    theirs.load_weights(upstream.read_public(path))
    theirs = theirs.float().eval()
    theirs.update_seq_lengths(latent_seq_len=lengths.latents, clip_seq_len=lengths.clip, sync_seq_len=lengths.sync)
    generator = torch.Generator().manual_seed(0)
    shapes = (
        (lengths.latents, sizes.latent_dim),
        (lengths.clip, sizes.clip_dim),
        (lengths.sync, sizes.sync_dim),
        (sizes.text_len, sizes.text_dim),
    )
    latent, clip, sync, text = (torch.randn(1, *shape, generator=generator) for shape in shapes)
    with torch.inference_mode():
        conditions = net.encode_conditions(clip, sync, text, lengths.latents)
        ours = -net(latent, t=torch.tensor([0.7], dtype=torch.float64), conditions=conditions)
        wanted = theirs.forward(latent, clip, sync, text, torch.tensor([0.3]))
    return float((ours - wanted).norm() / wanted.norm())
