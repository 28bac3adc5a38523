"""The image network against the reference network for its weights, and what the recognizer makes of it.

The picture of a cat is "Chelsea" from scikit-image (CC0, Stefan van der Walt).
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mfv2a.models.efficientnet import PATTERN, EfficientNetLite0, ImageRecognizer, RecognizerConfig
from mfv2a.models.text import TextEncoder

GOLDEN = load_file(Path(__file__).parent / "golden" / "image.safetensors")


def enlarge(picture):
    """[h, h, 3] -> [224, 224, 3] uint8 numpy by repeating pixels."""
    times = 224 // len(picture)
    return picture.repeat_interleave(times, 0).repeat_interleave(times, 1).numpy()


CAT, BLOCKS = enlarge(GOLDEN["cat"]), enlarge(GOLDEN["blocks"])


def recognize(recognizer, frames):
    """What is in the frames of one clip [T, 224, 224, 3], at one a second."""
    return recognizer.judge(recognizer.classify(frames), fps=1.0)


@pytest.fixture(scope="module")
def recognizer():
    return ImageRecognizer.from_assets()


class Answer(nn.Module):
    """A network that answers each frame with the logits written in its first pixel's red: class = red."""

    def forward(self, frames):
        logits = torch.zeros(len(frames), 6)
        red = frames[:, 0, 0, 0].long()
        known = red < 6
        logits[known, red[known]] = 20.0
        return logits


def small_recognizer(groups, *, sounds=(), **thresholds):
    names = [f"thing {i}" for i in range(6)]
    return ImageRecognizer(Answer(), torch.eye(6), names, groups, RecognizerConfig(**thresholds), sounds)


def frames(*classes):
    return np.stack([np.full((224, 224, 3), c, np.uint8) for c in classes])


def test_logits_agree_with_the_original_network():
    pictures = torch.from_numpy(np.stack([CAT, BLOCKS])).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = EfficientNetLite0.from_assets()(pictures)
    assert (logits - GOLDEN["logits"]).abs().max() < 0.05
    assert (logits.argmax(1) == GOLDEN["logits"].argmax(1)).all()


def test_the_network_has_the_published_size():
    with torch.device("meta"):
        network = EfficientNetLite0()
    folded = sum(m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d))
    assert sum(p.numel() for p in network.parameters()) + folded == 4_652_008


def test_a_cat_is_seen_and_lies_near_the_word_cat(recognizer):
    seen = recognize(recognizer, CAT[None])
    assert seen.names[0].startswith("cat")
    assert seen.labels == ("cat",)
    assert seen.confidence[0] > 0.9
    encoder = TextEncoder.from_assets()
    _, prompts = encoder.encode(["a cat meows", "a dog barks", "rain on a roof", "a violin"])
    nearness = prompts @ seen.vectors[0]
    assert nearness.argmax() == 0
    assert nearness[0] > 0.4


def test_what_is_surely_seen_is_said_in_words_of_its_sound(recognizer):
    assert recognize(recognizer, CAT[None]).sound == "a cat meowing"
    assert recognize(recognizer, BLOCKS[None]).sound == ""


def test_the_sound_is_that_of_the_likeliest_member_of_the_surest_group_and_none_where_it_is_not_sure():
    sounds = ["bark", "howl", "", "ring", "", ""]
    seen = small_recognizer(["dog", "dog", "chair", "bell", "e", "f"], sounds=sounds)
    assert recognize(seen, frames(1, 1, 0, 3)).sound == "howl"
    assert recognize(seen, frames(2, 2)).sound == ""
    assert recognize(seen, frames(0, 2, 3, 4)).sound == ""
    assert recognize(small_recognizer(list("abcdef")), frames(1)).sound == ""


def test_blocks_and_noise_and_black_are_nothing(recognizer):
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3)).astype(np.uint8)
    for picture in (BLOCKS, noise, np.zeros((224, 224, 3), np.uint8)):
        seen = recognize(recognizer, picture[None])
        assert seen.confidence[0] < 0.2
        assert seen.vectors.norm() < 0.2


def test_the_vector_of_an_unsure_frame_is_exactly_zero():
    seen = recognize(small_recognizer(list("abcdef")), frames(200, 200))
    assert not seen.confidence.any()
    assert not seen.vectors.any()
    assert seen.names == ()


def test_the_vector_of_a_sure_frame_has_unit_norm():
    seen = recognize(small_recognizer(list("abcdef")), frames(2))
    assert seen.vectors[0].norm() == pytest.approx(1, abs=1e-5)
    assert seen.names == ("c (thing 2)",)


def test_flickering_breeds_are_one_sure_group_but_flickering_things_are_not():
    flicker = frames(0, 1, 2, 3, 0, 1, 2, 3)
    together = recognize(small_recognizer(["dog"] * 4 + ["x", "y"]), flicker)
    apart = recognize(small_recognizer(list("abcdef")), flicker)
    assert together.confidence.min() > 0.99
    assert together.names[0].startswith("dog")
    assert apart.confidence.max() < 0.2


def test_one_odd_frame_does_not_change_what_the_clip_shows():
    seen = recognize(small_recognizer(list("abcdef")), frames(0, 0, 0, 5, 0, 0, 0))
    assert (seen.vectors.argmax(dim=1) == 0).all()
    assert seen.labels[3] == "f"


def test_far_scenes_of_a_long_film_keep_their_own_names():
    seen = recognize(small_recognizer(list("abcdef")), frames(*[0] * 40, *[4] * 40))
    assert seen.vectors[0].argmax() == 0
    assert seen.vectors[-1].argmax() == 4
    assert seen.confidence[[0, -1]].min() > 0.99


def test_patterns_are_never_recognised():
    seen = recognize(small_recognizer([PATTERN, "b", "c", "d", "e", "f"]), frames(0, 0))
    assert not seen.vectors.any()
    assert seen.names == ()


def test_every_class_has_a_name_a_group_and_a_unit_vector(recognizer):
    assert len(recognizer.names) == 1000
    assert all(recognizer.names)
    assert recognizer.membership.sum(dim=1).eq(1).all()
    assert recognizer.words.norm(dim=1).sub(1).abs().max() < 2e-3


def test_dog_breeds_lie_near_dog(recognizer):
    _, prompts = TextEncoder.from_assets().encode(["a dog barks", "a piano melody"])
    breeds = recognizer.words[151:269] @ prompts.T
    assert (breeds[:, 0] > breeds[:, 1] + 0.2).all()
