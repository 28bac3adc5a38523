"""Sound block by block is the sound as a whole, whatever the lengths; what it needs of memory does not grow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from made_videos import make_video
from mfv2a.cli import main
from mfv2a.decoding import finished_blocks, settle, wave_blocks
from mfv2a.errors import SoundError
from mfv2a.jobs import sounding
from mfv2a.jobs.sounding import decode_sound
from mfv2a.loader import load_pipeline
from mfv2a.media.audio import read_audio
from mfv2a.media.spool import Spool, forget
from mfv2a.pipeline import Pipeline, Work
from mfv2a.timeline import Window, blend, blended, crossfade, crossfaded


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load_pipeline("embedded", device="cpu")


def make_work(pipeline: Pipeline, duration_s: float, **changes: object) -> tuple[Work, torch.Tensor]:
    work = replace(pipeline.prepare(None, prompt="rain", duration_s=duration_s), **changes)
    count = pipeline.spec.latents(duration_s)
    channels = pipeline.generator.config.latent_dim
    return work, torch.randn(count, channels, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("duration_s", "rate_hz"), [(91.37, 16000), (64.21, 48000), (61.0, 44100), (71.3, 8000)])
def test_blocks_are_the_whole(pipeline: Pipeline, tmp_path: Path, duration_s: float, rate_hz: int) -> None:
    work, latent = make_work(pipeline, duration_s)
    seconds: dict[str, float] = {}
    long = decode_sound(pipeline, work, latent, sample_rate_hz=rate_hz, folder=tmp_path, seconds=seconds)
    whole = pipeline.decode(work, latent, sample_rate_hz=rate_hz)
    assert len(long.samples) == round(duration_s * rate_hz)
    np.testing.assert_allclose(long.samples, whole.samples, atol=1e-5)
    assert set(seconds) == {"vae", "vocoder"}
    assert not list(tmp_path.iterdir())


def test_a_quiet_long_clip_is_held_down(pipeline: Pipeline, tmp_path: Path) -> None:
    work, latent = make_work(pipeline, 65.0, quiet=True)
    rate_hz = pipeline.info.sample_rate_hz
    long = decode_sound(pipeline, work, 5 * latent, sample_rate_hz=rate_hz, folder=tmp_path, seconds={})
    np.testing.assert_allclose(long.samples, pipeline.decode(work, 5 * latent).samples, atol=1e-5)
    assert np.abs(long.samples).max() == pytest.approx(0.02, rel=1e-3)


def test_the_device_is_free_while_a_long_sound_is_written(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, free, decoding = threading.Lock(), [], []
    append, decode = Spool.append, type(pipeline.vae).decode

    def watched(self: Spool, block: np.ndarray) -> None:
        free.append(not turn.locked())
        append(self, block)

    def held(self: object, latent: torch.Tensor) -> torch.Tensor:
        decoding.append(turn.locked())
        return decode(self, latent)

    monkeypatch.setattr(Spool, "append", watched)
    monkeypatch.setattr(type(pipeline.vae), "decode", held)
    work, latent = make_work(pipeline, 65.0)
    decode_sound(pipeline, work, latent, sample_rate_hz=16000, folder=tmp_path, seconds={}, turn=turn)
    assert all(free)
    assert all(decoding)
    assert len(free) > 5
    assert len(decoding) > 5


@pytest.mark.parametrize("duration_s", [1.0, 61.0])
def test_the_time_of_the_autoencoder_is_taken_when_it_is_done(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, duration_s: float
) -> None:
    for module in ("mfv2a.decoding.settle", "mfv2a.jobs.sounding.settle"):
        monkeypatch.setattr(module, lambda device: time.sleep(0.5))
    work, latent = make_work(pipeline, duration_s)
    seconds: dict[str, float] = {}
    decode_sound(pipeline, work, latent, sample_rate_hz=16000, folder=tmp_path, seconds=seconds)
    assert seconds["vae"] >= 0.5


def test_a_gpu_is_waited_for_and_a_processor_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[object] = []
    monkeypatch.setattr("torch.cuda.synchronize", waited.append)
    monkeypatch.setattr("torch.mps.synchronize", lambda: waited.append("mps"))
    for name in ("cpu", "cuda:1", "mps"):
        settle(torch.device(name))
    assert waited == [torch.device("cuda:1"), "mps"]


def test_no_more_than_a_few_windows_are_there_at_once(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    _, latent = make_work(pipeline, 400.0)
    decoded = 0
    decode = type(pipeline.vae).decode

    def counted(self: object, *args: object) -> torch.Tensor:
        nonlocal decoded
        decoded += 1
        return decode(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(type(pipeline.vae), "decode", counted)
    windows = len(pipeline.spec.plan(len(latent)))
    with torch.inference_mode():
        blocks = wave_blocks(pipeline, latent, {})
        next(blocks)
        assert decoded < windows / 4
        blocks.close()


def test_padding_ends_a_sound_that_is_too_short(pipeline: Pipeline) -> None:
    work, _ = make_work(pipeline, 1.0)
    wave = np.full(8000, 0.5, np.float32)
    rate_hz = pipeline.info.sample_rate_hz
    made = np.concatenate(list(finished_blocks(pipeline, work, wave, peak=0.5, sample_rate_hz=rate_hz)))
    np.testing.assert_allclose(made, [0.5] * 8000 + [0.0] * (rate_hz - 8000))


@pytest.mark.parametrize("lengths", [[9], [8, 8], [8, 8, 8, 5]])
def test_blending_as_parts_come_is_blending(lengths: list[int]) -> None:
    windows = [Window(6 * k, length) for k, length in enumerate(lengths)]
    parts = [torch.randn(length, 3) for length in lengths]
    pieces = list(blended(iter(parts), windows))
    assert torch.equal(torch.cat(pieces), blend(parts, windows))
    assert len(pieces) == len(parts)


@pytest.mark.parametrize("frames", [5, 20, 21, 47, 100])
@pytest.mark.parametrize("agree", [True, False])
def test_fading_a_mel_that_comes_bit_by_bit_is_fading_it_whole(frames: int, agree: bool) -> None:
    mel = torch.randn(4, frames + 3)

    def decode(part: torch.Tensor) -> torch.Tensor:
        return part.sum(0).repeat_interleave(6)

    def bits() -> Iterator[torch.Tensor]:
        for start in range(0, mel.shape[1], 7):
            yield mel[:, start : start + 7]

    whole = crossfade(decode, mel[:, :frames], chunk=20, overlap=4, hop=6, agree=agree)
    pieces = crossfaded(decode, bits(), frames=frames, chunk=20, overlap=4, hop=6, agree=agree)
    assert torch.equal(torch.cat(list(pieces)), whole)
    assert len(whole) == 6 * frames


def test_a_spool_reads_as_it_was_written_and_leaves_no_file(tmp_path: Path) -> None:
    blocks = [np.random.default_rng(k).normal(size=k * 1000).astype(np.float32) for k in (1, 0, 7)]
    with Spool(tmp_path) as spool:
        for block in blocks:
            spool.append(block)
        assert len(spool) == 8000
        samples = spool.array()
    np.testing.assert_array_equal(samples, np.concatenate(blocks))
    forget(samples)
    np.testing.assert_array_equal(samples[500:], np.concatenate(blocks)[500:])
    assert not list(tmp_path.iterdir())
    with Spool(tmp_path) as spool:
        assert len(spool.array()) == 0
    forget(np.zeros(3))


def test_a_long_video_is_dubbed_as_if_its_sound_were_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(Path("in/long.mp4"), seconds=12.0, fps=5)
    more = ["--model", "tiny", "--also-wav", "--quiet"]
    for levels in ([], ["--loudness", "-23"]):
        out = f"out{len(levels)}"
        assert main(["dub", "in", "--out", f"{out}-whole", *more, *levels]) == 0
        with monkeypatch.context() as patched:
            patched.setattr(sounding, "LONG_S", 5.0)
            assert main(["dub", "in", "--out", f"{out}-long", *more, *levels]) == 0
        for suffix in (".wav", ".mp4"):
            whole, long = (read_audio(Path(f"{out}-{how}/long{suffix}")).samples for how in ("whole", "long"))
            np.testing.assert_allclose(long, whole, atol=1e-4)
        assert {path.suffix for path in Path(f"{out}-long").iterdir()} == {".wav", ".mp4", ".jsonl"}


def test_what_is_no_number_is_told_of_a_long_sound_too(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocoder = type(pipeline.vocoder)
    decode = vocoder.forward

    def spoiled(self: torch.nn.Module, mel: torch.Tensor) -> torch.Tensor:
        wave = decode(self, mel)
        wave[..., 100] = torch.nan
        return wave

    monkeypatch.setattr(vocoder, "forward", spoiled)
    for seconds in (30.0, 61.0):
        work, latent = make_work(pipeline, seconds)
        with pytest.raises(SoundError, match="no number"):
            decode_sound(pipeline, work, latent, sample_rate_hz=16000, folder=tmp_path, seconds={})


def test_a_peak_beyond_the_end_of_the_clip_turns_nothing_down(pipeline: Pipeline, tmp_path: Path) -> None:
    work, _ = make_work(pipeline, 8.2)
    rate_hz = pipeline.info.sample_rate_hz
    wave = torch.full((14 * rate_hz,), 0.25)
    wave[12 * rate_hz] = 4.0
    assert pipeline.finish(work, wave).samples.max() == pytest.approx(0.25)
    assert work.peak(wave, rate_hz) == 0.25
    assert work.peak(wave[8 * rate_hz :], rate_hz, start=8 * rate_hz) == 0.25
    assert work.peak(wave[9 * rate_hz :], rate_hz, start=9 * rate_hz) == 0.0
    wave[8 * rate_hz] = 4.0
    assert pipeline.finish(work, wave).samples.max() == pytest.approx(1.0)
