"""Woosh, MeanAudio and FluxAudio through the ordinary pipeline, in small."""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny_others
from local_hub import running_hub
from made_videos import make_video
from mfv2a.cli import main
from mfv2a.decoding import wave_blocks
from mfv2a.encoders.woosh import woosh_spec
from mfv2a.errors import ConfigError
from mfv2a.flow.guidance import guide
from mfv2a.flow.sampler import ignore_interval, sample
from mfv2a.loader import load_pipeline
from mfv2a.models.woosh_sync import WOOSH_FPS
from mfv2a.pipeline import SampleOptions
from mfv2a.records import Clip
from mfv2a.timeline import Lengths, Window, noise_field

SPEC = woosh_spec(48000, 480, 8.0)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A machine whose hub has the models."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, running_hub() as hub:
        for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "MFV2A_MODEL"):
            patch.delenv(name, raising=False)
        patch.setenv("MFV2A_HOME", str(folder / "home"))
        patch.setenv("HF_HOME", str(folder / "hf"))
        patch.setenv("HF_ENDPOINT", hub.address)
        tiny_others.add_sizes(patch)
        tiny_others.write_register(folder, patch)
        hub.files |= tiny_others.files()
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def woosh(home):
    return load_pipeline("tiny-dvflow", device="cpu", dtype="float32")


def clip(seconds, seed=0):
    rough = np.random.default_rng(seed).integers(0, 255, (max(1, round(seconds * 24)), 8, 8, 3), dtype=np.uint8)
    return Clip(duration_s=seconds, frames={"sync": rough.repeat(28, 1).repeat(28, 2)})


def sound(pipeline, work, **options):
    (latent,) = pipeline.sample([work], SampleOptions(**options))
    return latent, pipeline.decode(work, latent).samples


def test_lengths_are_those_of_the_reference():
    assert SPEC.latents(8.0) == 801
    assert SPEC.lengths(Window(0, 801), 8.0) == Lengths(801, 1, 192)
    assert woosh_spec(48000, 480, 5.0).latents(5.0) == 501


@pytest.mark.parametrize(
    ("model", "line", "said"),
    [
        ("tiny-dvflow", "window_s = 12.0", "window_s = 12 is 1201 latents"),
        ("tiny-dvflow", "window_s = 0.4", "too short"),
        ("tiny-dvflow", "window_s = 8.0\nsample_rate_hz = 44100", "44100, but its sound is made at 48000"),
        ("tiny-mean", "window_s = 0.3", "too short"),
        ("tiny-mm-44k", "sample_rate_hz = 16000\nwindow_s = 8.0", "16000, but its sound is made at 44100"),
        ("tiny-mm-16k", "window_s = 0.5", "too short"),
    ],
)
def test_a_register_that_states_what_its_networks_cannot_do_is_told(home, monkeypatch, model, line, said):
    text, keys = (home / "tiny-others.toml").read_text(), [part.split(" = ")[0] for part in line.split("\n")]
    before, _, after = text.partition(f"[{model}]\n")
    own, bracket, rest = after.partition("\n[")
    kept = [row for row in own.split("\n") if row.split(" = ")[0] not in keys]
    (home / "stated.toml").write_text(f"{before}[{model}]\n{line}\n" + "\n".join(kept) + bracket + rest)
    monkeypatch.setenv("MFV2A_CHECKPOINTS", str(home / "stated.toml"))
    with pytest.raises(ConfigError, match=said) as caught:
        load_pipeline(model, device="cpu", dtype="float32")
    assert "register" in caught.value.hint


@pytest.mark.parametrize("seconds", [8.1, 14.4, 61.3])
def test_windows_of_a_long_clip_begin_where_segments_do(seconds):
    windows = SPEC.plan(SPEC.latents(seconds))
    assert windows[-1].stop >= SPEC.latents(seconds) > windows[-2].stop
    for k, window in enumerate(windows):
        assert SPEC.sync_at(window) == 152 * k
        assert abs(window.start / 100 - SPEC.sync_at(window) / WOOSH_FPS) < 0.006
        assert SPEC.lengths(window, seconds).sync == 192
    assert all(1.0 < (a.stop - b.start) / 100 < 2.0 for a, b in pairwise(windows))


@pytest.mark.parametrize("seconds", [0.04, 0.7, 3.003, 8.0, 20.0, 45.0])
def test_sound_is_as_long_as_the_picture(woosh, seconds):
    _, samples = sound(woosh, woosh.prepare(clip(seconds), seed=1), steps=1)
    assert len(samples) == round(seconds * 48000)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1
    assert np.sqrt(np.mean(samples**2)) > 1e-3


def test_eight_seconds_are_the_reference_path_step_by_step(woosh):
    """The chain equals its stages put together as the reference does: renoised, with guidance as an input."""
    work = woosh.prepare(clip(8.0, seed=4), prompt="rain", seed=7)
    net, encoders = woosh.generator, woosh.encoders
    ids, mask = encoders.tokenizer.encode(["rain"])
    frames = torch.from_numpy(clip(8.0, seed=4).frames["sync"]).permute(0, 3, 1, 2) / 127.5 - 1
    frames = torch.cat([torch.zeros(16, 3, 224, 224), frames])
    with torch.inference_mode():
        segments = torch.stack([frames[8 * s : 8 * s + 16] for s in range(25)])
        features = encoders.sync(segments).flatten(0, 1)[:192]
        assert torch.allclose(work.sync, features, atol=1e-4)
        conditions = net.encode_conditions(encoders.text(ids, mask), mask, features[None])
        bound = partial(net, guidance=torch.tensor([3.0]), conditions=conditions)
        noise = [noise_field(name, 0, 801, 8)[None] for name in (7, "7/step 1", "7/step 2", "7/step 3")]
        x = sample(bound, noise[0], steps=4, renoise=(0, 0.5, 0.5, 0.3), fresh=noise.__getitem__)
        found, samples = sound(woosh, work)
        assert torch.allclose(found, x[0], atol=1e-4)
        wave = woosh.vae.decode(x)[0]
    assert len(wave) == 384_000
    assert np.allclose(samples, (wave / max(1.0, float(wave.abs().max()))).numpy(), atol=1e-4)


def test_a_long_wave_is_that_of_one_piece(woosh):
    latent = torch.randn(4801, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = woosh.vae.decode(latent[None])[0]
        pieces = woosh.vocode(woosh.decode_latent(latent))
        blocks = list(wave_blocks(woosh, latent, {}))
    assert pieces.shape == whole.shape
    assert (pieces - whole).abs().max() < 2e-3 * whole.abs().max()
    assert len(blocks) > 2
    assert torch.equal(torch.cat(blocks), pieces)


def test_one_clip_alone_equals_itself_in_a_batch(woosh):
    works = [
        woosh.prepare(clip(seconds, seed=k), prompt=words, seed=k)
        for k, (seconds, words) in enumerate([(1.0, "rain"), (1.0, "a much longer prompt"), (10.0, ""), (1.0, "")])
    ]
    together = woosh.sample(works, SampleOptions(batch_size=3, steps=2))
    for work, latent in zip(works, together, strict=True):
        assert torch.allclose(latent, woosh.sample([work], SampleOptions(steps=2))[0], atol=1e-4)


def test_guidance_is_an_input_and_words_and_picture_are_heard(woosh):
    work = woosh.prepare(clip(1.0), prompt="rain", seed=1)
    base = woosh.sample([work], SampleOptions())[0]
    others = [
        woosh.sample([work], SampleOptions(cfg_strength=1.0))[0],
        woosh.sample([work], SampleOptions(renoise=(0.0, 0.0, 0.0, 0.0)))[0],
        *woosh.sample([woosh.prepare(clip(1.0), prompt="dog", seed=1)], SampleOptions()),
        *woosh.sample([woosh.prepare(clip(1.0, seed=5), prompt="rain", seed=1)], SampleOptions()),
        *woosh.sample([woosh.prepare(None, prompt="rain", seed=1, duration_s=1.0)], SampleOptions()),
    ]
    for other in others:
        assert not torch.allclose(base, other, atol=1e-3)
    assert torch.equal(base, woosh.sample([work], SampleOptions(rescale=True))[0])


@pytest.mark.parametrize(("model", "steps", "strength"), [("tiny-mean", 1, None), ("tiny-flux", 3, 4.5)])
def test_text_alone_is_the_reference_path(home, model, steps, strength):
    pipeline = load_pipeline(model, device="cpu", dtype="float32")
    work = pipeline.prepare(None, prompt="rain", negative_prompt="" if strength is None else "dog", seed=3)
    assert len(pipeline.spec.plan(pipeline.spec.latents(9.975))) == 1
    assert pipeline.spec.latents(9.975) == 312
    net, encoders = pipeline.generator, pipeline.encoders
    words = ["rain", "dog"][: 2 if strength else 1]
    with torch.inference_mode():
        pooled = encoders.pooled(*encoders.pooled_tokenizer.encode(words))
        conditions = net.encode_conditions(encoders.text(*encoders.tokenizer.encode(words)), pooled)
        velocity = partial(net, conditions=conditions)
        if strength:
            velocity = guide(ignore_interval(velocity), strength, rescale=False)
        x = sample(velocity, noise_field(3, 0, 250, 20)[None], steps=steps)[0]
        found, samples = sound(pipeline, work)
        assert torch.allclose(found, x, atol=1e-4)
    assert len(samples) == 8 * 16000
    assert np.isfinite(samples).all()
    empty = pipeline.prepare(None, seed=3)
    assert empty.text is None
    assert not torch.allclose(pipeline.sample([empty], SampleOptions())[0], found, atol=1e-3)


@pytest.mark.parametrize("model", ["tiny-dvflow", "tiny-dflow", "tiny-mean", "tiny-flux"])
def test_random_weights_and_low_memory_run_the_same_path(home, model):
    pipeline = load_pipeline(model, device="cpu", random_weights=True)
    work = pipeline.prepare(None, prompt="rain", duration_s=0.5, seed=1)
    assert len(sound(pipeline, work)[1]) == pipeline.info.sample_rate_hz // 2
    usual, frugal = (load_pipeline(model, device="cpu", low_memory=low) for low in (False, True))
    latents, waves = zip(
        *(sound(p, p.prepare(None, prompt="rain", duration_s=0.5, seed=1)) for p in (usual, frugal)), strict=True
    )
    assert torch.equal(*latents)
    assert np.array_equal(*waves)
    assert set(frugal._held._here) == {"decoders"}
    assert set(usual._held._here) == {"encoders", "generator", "decoders"}


def test_a_clip_is_dubbed_from_the_command_line(home, capsysbinary):
    make_video(Path("in/a.mp4"), seconds=1.2)
    assert main(["models", "pull", "tiny-dvflow"]) == 0
    capsysbinary.readouterr()
    words = ["dub", "in", "--model", "tiny-dvflow", "--prompt", "rain", "--also-wav", "--sample-rate", "model"]
    assert main([*words, "--out", "usual"]) == 0
    assert main([*words, "--out", "frugal", "--low-memory"]) == 0
    assert Path("usual/a.wav").read_bytes() == Path("frugal/a.wav").read_bytes()
    capsysbinary.readouterr()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dub", "in", "--out", "o", "--model", "tiny-dflow"], b"tiny-dflow makes sound from words alone"),
        (["bench", "--model", "tiny-mean"], b"tiny-mean makes sound from words alone"),
        (["evaluate", "--model", "tiny-mean", "--scenes", "3"], b"tiny-mean makes sound from words alone"),
        (["tta", "rain", "--model", "tiny-mean", "--cfg", "3"], b"--cfg 3 cannot work: the guidance of tiny-mean"),
        (["tta", "rain", "--model", "tiny-mean", "--negative-prompt", "x"], b"takes no negative prompt"),
        (["tta", "rain", "--model", "tiny-dflow", "--negative-prompt", "x"], b"takes no negative prompt"),
        (["dub", "in", "--out", "o", "--model", "tiny-dvflow", "--negative-prompt", "x"], b"takes no negative prompt"),
    ],
)
def test_what_a_model_cannot_do_is_refused_before_anything_runs(home, capsysbinary, words, told):
    make_video(Path("in/a.mp4"), seconds=0.5)
    assert main(words) == 2
    assert told in capsysbinary.readouterr().err
    assert not Path("o").exists()


def test_text_models_make_sound_from_the_command_line(home, capsysbinary):
    for model in ("tiny-dflow", "tiny-mean", "tiny-flux"):
        assert main(["tta", "rain", "--model", model, "--out", "tta/", "--duration", "1", "--quiet"]) == 0
    assert len(capsysbinary.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("model", ["tiny-dvflow", "tiny-dflow", "tiny-mean", "tiny-flux"])
def test_every_family_can_be_checked(home, capsysbinary, model):
    assert main(["models", "check", model, "--json"]) in (0, 4)  # made-up weights may be too soft or too narrow
    lines = {line["name"]: line for line in map(json.loads, capsysbinary.readouterr().out.splitlines())}
    made = "dub" if model == "tiny-dvflow" else "words"
    assert all(lines[name]["ok"] for name in ("load", made, "finite"))
    assert {"level", "bandwidth", "upstream"} <= set(lines)


def test_a_drawn_scene_passes_through_the_autoencoder(woosh):
    from mfv2a.jobs.evaluate import see_scene, through_codec
    from mfv2a.scenes import make_scene

    scene = make_scene(5, duration_s=1.0)
    work = woosh.prepare(see_scene(scene, woosh), duration_s=1.0)
    assert work.sync.shape == (24, 24)
    wave = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
    coded = through_codec(wave, woosh)
    with torch.inference_mode():
        wanted = woosh.vae.decode(woosh.vae.encode(torch.from_numpy(wave)[None]))[0].numpy()
    assert np.allclose(coded, wanted[:48_000], atol=1e-5)
    assert np.isfinite(coded).all()


def test_a_look_that_is_shortened_sees_what_it_would_have_seen_of_the_short_clip(woosh):
    looks = [woosh.look(1.5), woosh.look(9.0)]
    for look in looks:
        for name, frames in clip(1.5, seed=3).frames.items():
            look.add(name, frames)
    looks[1].shorten(1.5)
    first, second = (look.seen() for look in looks)
    torch.testing.assert_close(first.sync, second.sync)
    assert woosh.encoders.strike_curve(first) is None
