"""The pipeline of tensors, whole, on random weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mfv2a.errors import ConfigError
from mfv2a.loader import load_pipeline
from mfv2a.pipeline import SampleOptions
from mfv2a.records import Clip
from mfv2a.work import Seen


@pytest.fixture(scope="module")
def pipeline():
    made = load_pipeline("tiny", device="cpu")
    generator = torch.Generator().manual_seed(3)
    # a network fresh from its initialisation says zero: give the output layer something to say
    torch.nn.init.normal_(made.generator.final_layer.conv.weight, std=0.1, generator=generator)
    for name, weight in made.generator.named_parameters():
        if "adaLN_modulation" in name or "h_embed" in name:
            torch.nn.init.normal_(weight, std=0.1, generator=generator)
    return made


def clip(seconds, seed=0):
    rng = np.random.default_rng(seed)
    return Clip(
        duration_s=seconds,
        frames={"image": rng.integers(0, 255, (max(1, round(seconds)), 224, 224, 3), dtype=np.uint8)},
        motion=rng.random((max(1, round(seconds * 25)), 168), dtype=np.float32),
    )


def still(seconds):
    frames = np.full((max(1, round(seconds)), 224, 224, 3), 90, np.uint8)
    return Clip(duration_s=seconds, frames={"image": frames}, motion=np.zeros((round(seconds * 25), 168), np.float32))


def make(pipeline, works, **options):
    latents = pipeline.sample(works, SampleOptions(**options))
    return [pipeline.decode(work, latent).samples for work, latent in zip(works, latents, strict=True)]


@pytest.mark.parametrize("seconds", [0.04, 0.5, 3.003, 8.0, 8.02, 17.3])
def test_sound_is_as_long_as_the_picture(pipeline, seconds):
    work = pipeline.prepare(clip(seconds), seed=1)
    for rate in (None, 48000):
        latent = pipeline.sample([work], SampleOptions())[0]
        audio = pipeline.decode(work, latent, sample_rate_hz=rate)
        assert len(audio.samples) == round(seconds * (rate or 16000))
        assert np.isfinite(audio.samples).all()


def test_one_clip_alone_equals_itself_in_a_batch(pipeline):
    asked = [(3, ""), (3, "rain"), (10, "")]
    works = [pipeline.prepare(clip(s, seed=k), prompt=p, seed=k) for k, (s, p) in enumerate(asked)]
    together = make(pipeline, works, cfg_strength=2.0, batch_size=8)
    alone = [make(pipeline, [work], cfg_strength=2.0, batch_size=1)[0] for work in works]
    latents = pipeline.sample(works, SampleOptions(batch_size=2))
    again = pipeline.sample(works[::-1], SampleOptions(batch_size=3))[::-1]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(latents, again, strict=True))
    for a, b in zip(together, alone, strict=True):
        assert np.abs(a - b).max() < 5e-3  # phases of near-silent bins differ in the last bits


def test_seed_prompt_and_picture_matter(pipeline):
    first = pipeline.sample([pipeline.prepare(clip(2), seed=1)], SampleOptions())[0]
    assert torch.equal(first, pipeline.sample([pipeline.prepare(clip(2), seed=1)], SampleOptions())[0])
    for other in (
        pipeline.prepare(clip(2), seed=2),
        pipeline.prepare(clip(2), prompt="a dog barks", seed=1),
        pipeline.prepare(clip(2, seed=9), seed=1),
    ):
        assert not torch.allclose(first, pipeline.sample([other], SampleOptions())[0], atol=1e-3)


def test_guidance_of_one_is_no_guidance_and_a_negative_prompt_needs_more(pipeline):
    plain = pipeline.prepare(None, prompt="rain", duration_s=2, seed=1)
    against = pipeline.prepare(None, prompt="rain", negative_prompt="speech", duration_s=2, seed=1)

    def run(work, strength):
        return pipeline.sample([work], SampleOptions(cfg_strength=strength))[0]

    assert torch.allclose(run(plain, 1.0), run(against, 1.0), atol=1e-4)
    assert not torch.allclose(run(plain, 3.0), run(against, 3.0), atol=1e-4)
    assert not torch.allclose(run(plain, 3.0), run(plain, 1.0), atol=1e-4)


def test_more_steps_give_another_result(pipeline):
    work = pipeline.prepare(None, prompt="rain", duration_s=2)
    one, four = (pipeline.sample([work], SampleOptions(steps=n))[0] for n in (1, 4))
    assert not torch.allclose(one, four, atol=1e-4)


@pytest.mark.parametrize("options", [{"steps": 0}, {"batch_size": 0}])
def test_settings_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError, match="at least 1"):
        SampleOptions(**options)


def test_what_shows_nothing_is_held_down_to_quiet(pipeline):
    pipeline.encoders.sync.onset.bias.data.fill_(-9.0)
    work = pipeline.prepare(still(2))
    pipeline.encoders.sync.onset.bias.data.fill_(0.0)
    assert work.quiet
    assert work.confidence < 0.35
    assert work.strikes_s == ()
    assert work.clip is None
    assert work.sync is None
    assert work.text is not None
    assert np.abs(make(pipeline, [work])[0]).max() <= 0.0201


@pytest.mark.parametrize(("confidence", "quiet"), [(0.34, True), (0.36, False)])
def test_what_is_hardly_recognised_does_not_sound_by_how_it_moves(pipeline, confidence, quiet):
    seen = Seen(confidence=confidence, recognized=("water (valley)",), sync=torch.randn(50, 64))
    work = pipeline.prepare(seen, duration_s=2.0)
    assert work.quiet is quiet
    assert (work.sync is None) is quiet
    assert pipeline.prepare(replace(seen, strikes_s=(1.0,)), duration_s=2.0).sync is not None
    assert pipeline.prepare(seen, prompt="a stream", duration_s=2.0).sync is not None


def test_what_is_recognised_is_read_where_there_is_no_prompt(pipeline):
    seen = Seen(confidence=0.9, recognized=("dog",), sound="a dog barking", sync=torch.randn(50, 64))
    dog, cat = (pipeline.encoders.encode_text([words])[0].tokens for words in ("a dog barking", "a cat"))
    assert torch.equal(pipeline.prepare(seen, duration_s=2.0).text.tokens, dog)
    assert torch.equal(pipeline.prepare(seen, prompt="a cat", duration_s=2.0).text.tokens, cat)
    assert pipeline.prepare(replace(seen, sound=""), duration_s=2.0).text is None


def test_a_prompt_is_always_certain(pipeline):
    work = pipeline.prepare(still(2), prompt="rain")
    assert work.confidence == 1.0
    assert not work.quiet


def test_a_wave_that_is_too_loud_is_held_down_and_not_cut_off():
    pipeline = load_pipeline("embedded", generator=False)
    work = pipeline.prepare(None, prompt="a drum", duration_s=1)
    mel = torch.full((80, 64), -1.0)
    mel[:, 20:24] = 1.5
    wave = pipeline.vocode(mel)
    assert wave.abs().max() > 1.5
    sound = pipeline.finish(work, wave).samples
    assert np.abs(sound).max() == pytest.approx(1.0, abs=1e-3)
    assert (np.abs(sound) > 0.999).sum() <= 2
    np.testing.assert_allclose(sound, wave[: len(sound)] / wave.abs().max(), atol=1e-5)
