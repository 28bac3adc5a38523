"""Public MMAudio models through the ordinary pipeline, in small."""

from __future__ import annotations

import json
import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

import tiny_mmaudio
from golden.parity import ROOT
from local_hub import running_hub
from mfv2a.encoders.mmaudio import mmaudio_spec
from mfv2a.errors import CheckpointError, ConfigError
from mfv2a.flow.guidance import guide
from mfv2a.flow.sampler import ignore_interval, sample
from mfv2a.loader import load_pipeline
from mfv2a.pipeline import SampleOptions
from mfv2a.records import Clip
from mfv2a.register import home_folder
from mfv2a.timeline import Lengths, Window, noise_field

SPECS = {"16k": mmaudio_spec(16000, 256), "44k": mmaudio_spec(44100, 512)}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A machine whose hub has the models; each is loaded once."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, running_hub() as hub:
        for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
        patch.setenv("MFV2A_HOME", str(folder / "home"))
        patch.setenv("HF_HOME", str(folder / "hf"))
        patch.setenv("HF_ENDPOINT", hub.address)
        tiny_mmaudio.add_sizes(patch)
        tiny_mmaudio.write_register(folder, patch)
        hub.files |= tiny_mmaudio.files()
        yield folder


@pytest.fixture(scope="module", params=["16k", "44k"])
def pipeline(home, request):
    return load_pipeline(f"tiny-mm-{request.param}", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def small(home):
    return load_pipeline("tiny-mm-16k", device="cpu", dtype="float32")


def clip(seconds, seed=0):
    rng = np.random.default_rng(seed)

    def frames(fps, side):
        rough = rng.integers(0, 255, (max(1, round(seconds * fps)), 8, 8, 3), dtype=np.uint8)
        return rough.repeat(side // 8, 1).repeat(side // 8, 2)

    return Clip(duration_s=seconds, frames={"clip": frames(8, 384), "sync": frames(25, 224)})


def rms(a):
    return a.square().mean().sqrt().item()


@pytest.mark.parametrize("rate", SPECS)
@pytest.mark.parametrize("which", ["forward_8s", "forward_5s"])
def test_lengths_of_a_single_window_are_those_of_the_reference(rate, which):
    cases = json.loads((ROOT / f"mmaudio_small_{rate}" / "cases.json").read_text(encoding="utf-8"))["cases"]
    options, spec = cases[which]["options"], SPECS[rate]
    seconds = options["duration"]
    wanted = Lengths(options["latent_seq_len"], options["clip_seq_len"], options["sync_seq_len"])
    (window,) = spec.plan(spec.latents(seconds))
    assert spec.lengths(window, seconds) == wanted == spec.extent(seconds)


@pytest.mark.parametrize(("seconds", "clip", "sync"), [(0.64, 5, 8), (1.0, 8, 16), (1.96, 15, 40), (7.999, 63, 184)])
def test_a_segment_counts_when_it_is_whole(seconds, clip, sync):
    """Frames at 8 a second, eight features a segment of 16 of the 25 frames a second, one segment every 8."""
    spec = SPECS["16k"]
    assert spec.extent(seconds) == Lengths(math.ceil(seconds * 31.25), clip, sync)


def test_eight_seconds_at_44k_are_a_little_more():
    assert SPECS["44k"].latents(8.0) * SPECS["44k"].latent_samples == 353_280


@pytest.mark.parametrize("rate", SPECS)
@pytest.mark.parametrize("seconds", [8.04, 14.4, 20.0, 61.3])
def test_windows_of_a_long_clip_begin_where_segments_do(rate, seconds):
    spec, windows = SPECS[rate], SPECS[rate].plan(SPECS[rate].latents(seconds))
    full = spec.extent(8.0)
    assert windows[-1].stop >= spec.latents(seconds) > windows[-2].stop
    for k, window in enumerate(windows):
        assert window == Window(round(k * 6.4 * spec.latent_rate_hz), full.latents)
        assert spec.lengths(window, seconds) == Lengths(full.latents, 64, 192)
        assert spec.sync_at(window) == 160 * k
        assert abs(spec.clip_at(window) / 8 - 6.4 * k) < 1 / 8
    assert all(0.15 < (a.stop - b.start) / a.length < 0.25 for a, b in pairwise(windows))
    assert spec.extent(seconds).sync == 160 * (len(windows) - 1) + 192


@pytest.mark.parametrize("seconds", [0.04, 0.3, 0.7, 3.003, 8.0, 20.0])
def test_sound_is_as_long_as_the_picture(pipeline, seconds):
    work = pipeline.prepare(clip(seconds), seed=1)
    (latent,) = pipeline.sample([work], SampleOptions(steps=1))
    audio = pipeline.decode(work, latent)
    assert len(audio.samples) == round(seconds * pipeline.info.sample_rate_hz)
    assert np.isfinite(audio.samples).all()
    assert np.sqrt(np.mean(audio.samples**2)) > 1e-3
    assert (work.confidence, work.recognized, work.strikes_s, work.quiet) == (1.0, (), (), False)


def test_eight_seconds_are_the_reference_path_step_by_step(pipeline):
    """The chain equals its stages put together as the reference does, on its clock and with its guidance."""
    seen, net, encoders = clip(8.0, seed=4), pipeline.generator, pipeline.encoders
    work = pipeline.prepare(seen, prompt="rain", negative_prompt="music", seed=7)
    (found,) = pipeline.sample([work], SampleOptions())
    with torch.inference_mode():
        frames = {name: torch.from_numpy(f).permute(0, 3, 1, 2)[None] / 255 for name, f in seen.frames.items()}
        clip_f = encoders.clip.encode_image(frames["clip"][:, :64])
        sync_f = encoders.sync.encode(frames["sync"][:, :200] * 2 - 1)
        text_f, negative_f = (encoders.clip.encode_text(encoders.tokenizer.encode([p])) for p in ("rain", "music"))
        n = math.ceil(8.0 * pipeline.info.sample_rate_hz / pipeline.vocoder.hop / 2)
        assert (clip_f.shape[1], sync_f.shape[1], len(found)) == (64, 192, n)
        given = net.encode_conditions(clip_f, sync_f, text_f, n)
        empty = net.encode_conditions(
            net.empty_clip_feat.expand(1, 64, -1), net.empty_sync_feat.expand(1, 192, -1), negative_f, n
        )
        x, steps, w = noise_field(7, 0, n, net.config.latent_dim)[None], 3, 4.5
        for k in range(steps):
            t = torch.tensor([1 - k / steps], dtype=torch.float64)  # the reference's k / steps, on the house's clock
            v = w * -net(x, t=t, conditions=given) + (1 - w) * -net(x, t=t, conditions=empty)
            x = x + v / steps
        assert rms(found - x[0]) < 1e-5 * rms(x)
        mel = pipeline.vae.decode(x * net.latent_std + net.latent_mean)
        wave = pipeline.vocoder(mel)[0]
    audio = pipeline.decode(work, found)
    samples = round(8 * pipeline.info.sample_rate_hz)
    assert len(wave) == n * 2 * pipeline.vocoder.hop
    assert np.abs(audio.samples - wave[:samples].numpy()).max() < 1e-3


def test_one_clip_alone_equals_itself_in_a_batch(small):
    asked = [(3.0, "rain"), (3.0, ""), (9.0, ""), (2.98, "a dog")]
    works = [small.prepare(clip(s, seed=k), prompt=p, seed=k) for k, (s, p) in enumerate(asked)]
    together = small.sample(works, SampleOptions(batch_size=8))
    for work, latent in zip(works, together, strict=True):
        (alone,) = small.sample([work], SampleOptions(batch_size=1))
        assert torch.allclose(alone, latent, atol=1e-4)


def test_features_of_a_long_clip_are_computed_once_and_cut(small, monkeypatch):
    seen = clip(20.0)
    counted = {"sync": 0, "clip": 0}

    def counting(name, call):
        def count(frames):
            counted[name] += frames.shape[1]
            return call(frames)

        return count

    for name, method in (("sync", "encode"), ("clip", "encode_image")):
        network = getattr(small.encoders, name)
        monkeypatch.setattr(network, method, counting(name, getattr(network, method)))
    work = small.prepare(seen)
    segments = 2 * 20 + 24
    assert len(work.windows) == 3
    assert work.sync.shape[0] == 8 * segments
    assert work.clip.shape[0] == counted["clip"] == 102 + 64
    assert counted["sync"] == segments * 8 + 8 * math.ceil(segments / 8)  # 8 frames are seen again by each 8 segments
    second = Clip(duration_s=8.0, frames={"sync": seen.frames["sync"][160:360], "clip": seen.frames["clip"][51:115]})
    alone = small.prepare(second)
    assert torch.allclose(work.sync[160:352], alone.sync, atol=1e-5)
    assert torch.allclose(work.clip[51:115], alone.clip, atol=1e-5)


def test_a_clip_shorter_than_a_segment_goes_on_with_its_last_frame(small):
    short, frame = clip(0.2), clip(0.04)
    work = small.prepare(short)
    held = {name: frames[np.minimum(np.arange(16), len(frames) - 1)] for name, frames in short.frames.items()}
    longer = small.prepare(Clip(duration_s=0.64, frames=held))
    assert (len(work.clip), len(work.sync), work.windows) == (1, 8, (Window(0, 7),))
    assert torch.equal(work.sync, longer.sync)
    assert len(small.prepare(frame).sync) == 8


def test_no_words_are_words_to_it_and_the_negative_prompt_takes_the_other_branch(small):
    def run(**options):
        work = small.prepare(clip(1.0), seed=1, **options)
        return work, small.sample([work], SampleOptions())[0]

    work, plain = run()
    with torch.inference_mode():
        blank = small.encoders.clip.encode_text(small.encoders.tokenizer.encode([""]))[0]
    assert torch.equal(work.text.tokens, blank)
    assert torch.equal(work.negative.tokens, blank)
    asked, heard = run(prompt="rain")
    assert torch.equal(asked.negative.tokens, blank)
    assert not torch.allclose(heard, plain, atol=1e-3)
    against, other = run(negative_prompt="rain")
    assert torch.equal(against.negative.tokens, asked.text.tokens)
    assert not torch.allclose(other, plain, atol=1e-3)


def test_guidance_below_one_is_none(small):
    work = small.prepare(clip(1.0), seed=1)

    def run(**options):
        return small.sample([work], SampleOptions(**options))[0]

    none = run(cfg_strength=1.0)
    assert torch.equal(run(cfg_strength=0.5), none)
    assert torch.equal(run(cfg_strength=0.0), none)
    assert torch.equal(run(), run(cfg_strength=4.5, rescale=False))
    assert not torch.allclose(run(), run(rescale=True), atol=1e-3)
    assert not torch.allclose(run(), none, atol=1e-3)


def test_the_sampler_is_eulers_on_the_house_clock(small):
    """Also for one step, with the sampler that all models share."""
    work = small.prepare(None, prompt="rain", duration_s=2.0, seed=3)
    net = small.generator
    lengths = small.spec.lengths(work.windows[0], 2.0)
    text = torch.stack([work.text.tokens, work.negative.tokens])
    empty = net.empty_clip_feat.expand(2, lengths.clip, -1), net.empty_sync_feat.expand(2, lengths.sync, -1)
    with torch.inference_mode():
        velocity = ignore_interval(partial(net, conditions=net.encode_conditions(*empty, text, lengths.latents)))
        noise = noise_field(3, 0, lengths.latents, 20)[None]
        wanted = sample(guide(velocity, 4.5, rescale=False), noise, steps=1, time_dtype=torch.float64)[0]
    assert torch.equal(small.sample([work], SampleOptions(steps=1))[0], wanted)


def test_without_semantics_the_times_are_kept_and_the_names_are_not(small):
    work, seen = small.prepare(clip(1.0), semantics=False), small.prepare(clip(1.0))
    assert work.clip is None
    assert torch.equal(work.sync, seen.sync)
    a, b = small.sample([work, seen], SampleOptions(steps=1))
    assert not torch.allclose(a, b, atol=1e-3)
    unseen = small.prepare(None, duration_s=1.0)
    assert not torch.allclose(a, small.sample([unseen], SampleOptions(steps=1))[0], atol=1e-3)


def test_a_calm_clip_is_encoded_less_often_and_says_with_what_error(small, monkeypatch):
    calm = {name: np.repeat(frames[:1], len(frames), 0) for name, frames in clip(8.0).frames.items()}
    calm["clip"][40:] += 1
    calm["sync"][120:] += 1
    encoded = {"clip": 0, "sync": 0}
    count = {"clip": small.encoders.clip.visual.forward, "sync": small.encoders.sync.forward}
    for name, net in (("clip", small.encoders.clip.visual), ("sync", small.encoders.sync)):

        def forward(frames, name=name):
            encoded[name] += len(frames)
            return count[name](frames)

        monkeypatch.setattr(net, "forward", forward)

    def look(reuse, frames):
        encoded.update(clip=0, sync=0)
        eyes = small.look(8.0, reuse=reuse)
        for name, some in frames.items():
            eyes.add(name, some)
        return eyes.seen()

    whole = look(None, calm)
    assert (encoded, whole.reused) == ({"clip": 64, "sync": 24}, ())
    seen = look(2.0, calm)
    assert encoded == {"clip": 2, "sync": 2}  # the first, and the one whose error is measured
    facts = {each.name: each for each in seen.reused}
    for name, number in (("clip", 64), ("sync", 24)):
        given, true = getattr(seen, name), getattr(whole, name)
        assert given.shape == true.shape
        assert (facts[name].seen, facts[name].reused, facts[name].difference) == (number, number - 1, 1.0)
        assert 0 < (given - true).abs().max() < 1
        each = (given - true).unflatten(0, (number, -1)).flatten(1).norm(dim=1)
        worst = (each / true.unflatten(0, (number, -1)).flatten(1).norm(dim=1)).max()
        assert facts[name].error == pytest.approx(worst.item(), rel=0.5)
    exact = look(0.0, calm)
    assert encoded == {"clip": 3, "sync": 4}
    assert torch.allclose(exact.clip, whole.clip, atol=1e-5)
    assert torch.allclose(exact.sync, whole.sync, atol=1e-5)
    busy = look(2.0, clip(8.0).frames)
    assert [each.reused for each in busy.reused] == [0, 0]
    assert torch.allclose(busy.sync, look(None, clip(8.0).frames).sync, atol=1e-5)
    assert small.prepare(seen, duration_s=8.0).reused == seen.reused


def test_a_pickled_file_is_converted_once_and_a_damaged_copy_is_passed_over(home, small):
    folder = home_folder() / "converted"
    copies = {path.name.split("-")[0]: path for path in folder.iterdir()}
    assert set(copies) == {"mmaudio", "vae", "bigvgan", "clip", "synchformer"}
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    again = load_pipeline("tiny-mm-16k", device="cpu", dtype="float32")
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()} == before
    work = again.prepare(None, prompt="rain", duration_s=0.5)
    assert torch.equal(again.sample([work], SampleOptions())[0], small.sample([work], SampleOptions())[0])
    damaged = copies["clip"]
    damaged.unlink()  # not cut in place: networks that are loaded have it mapped
    damaged.write_bytes(b"\0" * 100)
    assert torch.equal(
        load_pipeline("tiny-mm-16k", device="cpu", dtype="float32").prepare(None, prompt="rain").text.tokens,
        work.text.tokens,
    )
    assert not damaged.exists()
    load_pipeline("tiny-mm-16k", device="cpu", dtype="float32")
    assert len(damaged.read_bytes()) > 100


def test_no_copy_is_made_where_there_is_no_room(home, monkeypatch):
    from mfv2a import hub

    monkeypatch.setenv("MFV2A_HOME", str(home / "elsewhere"))
    monkeypatch.setattr(hub, "has_space", lambda folder, size: False)
    assert load_pipeline("tiny-mm-16k", device="cpu", dtype="float32").info.default_steps == 3
    assert not (home / "elsewhere" / "converted").exists()


def test_no_copy_is_made_where_none_can_be_written(home, monkeypatch):
    (home / "a file").write_text("no folder")
    monkeypatch.setenv("MFV2A_HOME", str(home / "a file"))
    assert load_pipeline("tiny-mm-16k", device="cpu", dtype="float32").info.default_steps == 3


def test_the_state_is_not_rounded_from_step_to_step(home, small, monkeypatch):
    half, seen = load_pipeline("tiny-mm-16k", device="cpu", dtype="bfloat16"), []
    forward = type(half.generator).forward

    def watched(self, z, *rest, **named):
        seen.append(z.dtype)
        return forward(self, z, *rest, **named)

    work, options = half.prepare(None, prompt="rain", duration_s=1.0, seed=3), SampleOptions(steps=8, cfg_strength=1.0)
    monkeypatch.setattr(type(half.generator), "forward", watched)
    (latent,) = half.sample([work], options)
    assert set(seen) == {torch.bfloat16}
    assert latent.dtype == torch.float32
    assert not torch.equal(latent, latent.bfloat16().float())


def test_weights_of_another_size_are_refused(home, monkeypatch):
    text = tiny_mmaudio.register()
    path = home / "wrong.toml"
    monkeypatch.setenv("MFV2A_CHECKPOINTS", str(path))
    path.write_text(text.replace('vae = "tiny-vae-16k"', 'vae = "tiny-vae-44k"'))
    with pytest.raises(ConfigError, match="sizes that do not fit"):
        load_pipeline("tiny-mm-16k", device="cpu", dtype="float32")
    swapped = text.replace('file = "mm_16k.pth"\nconfig = "tiny_16k"', 'file = "mm_16k.pth"\nconfig = "tiny_44k"')
    path.write_text(swapped)
    with pytest.raises(ConfigError, match="sizes that do not fit"):
        load_pipeline("tiny-mm-16k", device="cpu", dtype="float32")
    path.write_text(
        swapped.replace("tiny-vae-16k", "tiny-vae")
        .replace("tiny-voc-16k", "tiny-voc")
        .replace('"tiny-vae"', '"tiny-vae-44k"')
        .replace('"tiny-voc"', '"tiny-voc-44k"')
        .replace("sample_rate_hz = 16000", "sample_rate_hz = 44100")
    )
    with pytest.raises(CheckpointError, match="wrong shapes"):
        load_pipeline("tiny-mm-16k", device="cpu", dtype="float32")
    path.write_text(text.replace(', tokenizer = "tiny-words"', ""))
    with pytest.raises(ConfigError, match="needs components tokenizer"):
        load_pipeline("tiny-mm-16k", device="cpu", dtype="float32")


def test_random_weights_need_no_files(home, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(home / "empty"))
    with pytest.raises(CheckpointError, match="not in the cache"):
        load_pipeline("tiny-mm-44k", device="cpu")
    pipeline = load_pipeline("tiny-mm-44k", device="cpu", random_weights=True)
    work = pipeline.prepare(clip(0.5), prompt="rain")
    assert len(pipeline.decode(work, pipeline.sample([work], SampleOptions(steps=1))[0]).samples) == 22050
    with pytest.raises(ConfigError, match="sizes of embedded"):
        load_pipeline("embedded", random_weights=True)


def test_every_public_model_of_the_register_fits_its_lengths():
    from mfv2a.layouts import MMAUDIO_KINDS
    from mfv2a.models.upstream import find_public
    from mfv2a.register import find_checkpoint, find_model

    options = {
        name: json.loads((ROOT / f"mmaudio_{name}" / "cases.json").read_text(encoding="utf-8"))["cases"]["forward_8s"]
        for name in ("small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2")
    }
    for name, case in options.items():
        entry = find_model(f"mmaudio-{name.replace('_', '-')}")
        parts = {"generator": entry} | {role: find_checkpoint(each) for role, each in entry.components.items()}
        sizes = {role: find_public(kind, parts[role].config)[1] for role, kind in MMAUDIO_KINDS.items()}
        spec = mmaudio_spec(entry.sample_rate_hz, sizes["vocoder"].hop)
        (window,) = spec.plan(spec.latents(8.0))
        wanted = (case["options"][key] for key in ("latent_seq_len", "clip_seq_len", "sync_seq_len"))
        assert spec.lengths(window, 8.0) == Lengths(*wanted)
        assert sizes["generator"].latent_dim == sizes["vae"].latent_dim
        assert sizes["vocoder"].num_bands == sizes["vae"].num_bands
        assert (entry.steps, entry.cfg, entry.rescale) == (25, 4.5, False)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_in_half_precision_the_sound_is_nearly_the_same(home, small, dtype):
    half = load_pipeline("tiny-mm-16k", device="cpu", dtype=dtype)
    assert half.vae.data_mean.dtype == torch.float32
    assert half.encoders.clip.ln_final.weight.dtype == half.dtype == getattr(torch, dtype)
    asked = {"prompt": "rain", "seed": 3}
    latents = [p.sample([p.prepare(clip(1.0), **asked)], SampleOptions(cfg_strength=1.0))[0] for p in (half, small)]
    assert rms(latents[0] - latents[1]) < 0.1 * rms(latents[1])
    work = half.prepare(clip(1.0), **asked)
    assert np.isfinite(half.decode(work, latents[0]).samples).all()


def test_a_drawn_scene_is_seen_and_its_sound_passes_through_the_codec(pipeline):
    from mfv2a.jobs.evaluate import see_scene, through_codec
    from mfv2a.scenes import make_scene

    scene = make_scene(5, duration_s=1.0)
    seen = see_scene(scene, pipeline)
    assert {name: frames.shape for name, frames in seen.frames.items()} == {
        "clip": (8, 384, 384, 3),
        "sync": (25, 224, 224, 3),
    }
    assert seen.motion is None
    assert pipeline.prepare(seen).sync.shape == (16, 24)
    rate = pipeline.info.sample_rate_hz
    wave = through_codec(scene.sound(rate), pipeline)
    assert rate - 2 * pipeline.spec.latent_samples < len(wave) <= rate
    assert np.isfinite(wave).all()


def test_a_look_that_is_shortened_sees_what_it_would_have_seen_of_the_short_clip(small):
    short = clip(1.5, seed=3)
    looks = [small.look(1.5), small.look(9.0)]
    for look in looks:
        for name, frames in short.frames.items():
            look.add(name, frames)
    looks[1].shorten(1.5)
    first, second = (look.seen() for look in looks)
    torch.testing.assert_close(first.clip, second.clip)
    torch.testing.assert_close(first.sync, second.sync)
    assert small.encoders.strike_curve(first) is None
