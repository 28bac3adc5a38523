"""CLIP's towers and tokenizer against the public references' numbers, and the laws they keep."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
import torch

from golden.parity import ROOT, assert_parity, case, public_shapes, public_weights, shapes
from mfv2a.errors import CheckpointError, ConfigError
from mfv2a.models.clip import CLIP, CONFIGS, CLIPConfig
from mfv2a.models.clip_tokenizer import CLIPTokenizer, byte_letters, clean_prompt
from mfv2a.models.upstream import PUBLIC

UNUSED = PUBLIC["clip"].dropped
SMALL = CLIPConfig(
    embed_dim=48, image_px=56, vision_dim=80, vision_depth=3, vision_heads=4, text_dim=64, text_depth=2, text_heads=4
)


def filled(name, config):
    with torch.device("meta"):
        net = CLIP(config).eval()
    net.load_state_dict(public_weights(name, unused=UNUSED), assign=True)
    return net


def compare(name, net):
    with torch.inference_mode():
        inputs, outputs, _ = case(name, "image")
        frames = inputs["frames"].permute(0, 3, 1, 2)[None] / 255
        assert_parity(f"{name} image", {"clip_f": net.encode_image(frames)}, outputs, limit=1e-5, relative=2e-5)
        inputs, outputs, _ = case(name, "text")
        found = {"text_f": net.encode_text(inputs["tokens"].long())}
        assert_parity(f"{name} text", found, outputs, limit=1e-5, relative=2e-5)


def test_keys_and_shapes_are_those_of_the_public_file():
    with torch.device("meta"):
        own = shapes(CLIP(CONFIGS["vit_h"]))
    assert own == public_shapes("clip_vit_h", unused=UNUSED)
    left_out = set(public_shapes("clip_vit_h")) - set(own)
    assert left_out == {"logit_scale", "text_projection"}


def test_the_reference_numbers_of_a_small_encoder():
    compare("clip_small", filled("clip_small", SMALL))


@pytest.mark.slow
def test_the_reference_numbers_at_full_size():
    compare("clip_vit_h", filled("clip_vit_h", CONFIGS["vit_h"]))


def test_many_blocks_in_bfloat16_stay_near_to_float32():
    torch.manual_seed(0)
    deep = CLIP(replace(CLIPConfig.tiny(), vision_dim=64, vision_heads=4, vision_depth=32, text_depth=24)).eval()
    frames, tokens = torch.rand(1, 4, 3, 384, 384), torch.arange(77)[None]
    with torch.inference_mode():
        exact = deep.encode_image(frames), deep.encode_text(tokens)
        deep.bfloat16()
        found = deep.encode_image(frames), deep.encode_text(tokens)
    for narrow, wide in zip(found, exact, strict=True):
        assert narrow.dtype == torch.bfloat16
        assert (narrow.float() - wide).norm() < 0.01 * wide.norm()


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return CLIP(CLIPConfig.tiny()).eval()


def test_a_frame_alone_equals_itself_in_any_chunk_of_a_batch(tiny):
    frames = torch.rand(2, 3, 3, 384, 384)
    with torch.no_grad():
        together = tiny.encode_image(frames, chunk=4)
        alone = tiny.encode_image(frames[1:, 2:], chunk=1)
    assert together.shape == (2, 3, 24)
    assert torch.allclose(together[1, 2], alone[0, 0], atol=1e-6)
    assert torch.allclose(together.norm(dim=-1), torch.ones(2, 3))


def test_a_token_does_not_see_those_after_it(tiny):
    one, other = torch.randint(0, 49408, (2, 1, 77), generator=torch.Generator().manual_seed(0))
    other[:, :40] = one[:, :40]
    with torch.no_grad():
        a, b = tiny.encode_text(one), tiny.encode_text(other)
    assert torch.allclose(a[:, :40], b[:, :40], atol=1e-6)
    assert not torch.allclose(a[:, 40:], b[:, 40:], atol=1e-2)


def test_frames_of_a_wrong_size_are_refused(tiny):
    with pytest.raises(ConfigError, match="224x224"):
        tiny.encode_image(torch.zeros(1, 1, 3, 224, 224))


TEXTS = json.loads((ROOT / "clip_tokenizer" / "cases.json").read_text(encoding="utf-8"))["cases"]


@pytest.fixture(scope="module")
def tokenizer():
    return CLIPTokenizer.from_file(ROOT / "clip_tokenizer" / "tokenizer.json")


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text["text"][:16])
def test_the_reference_ids_of_a_text(tokenizer, text):
    ids = tokenizer.encode([text["text"]])
    assert ids.shape == (1, 77)
    assert ids[0].tolist() == text["ids"] + [0] * (77 - len(text["ids"]))


def test_prompts_that_are_no_text_have_ids_too(tokenizer):
    ids = tokenizer.encode(["\ud800 dog", "\x00", "x" * 100_000])
    assert ids[1, :2].tolist() == [49406, 49407]
    assert (ids[:, 0] == 49406).all()
    assert ids[2, -1] == 49407


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("  A\tDog\n barks ", "a dog barks"),
        ("It\u2019s \u201cloud\u201d", 'it\'s "loud"'),
        ("\ufb01re \uff21", "fire a"),
        ("&amp;amp; <b>", "&amp; <b>".replace("&amp;", "&")),
        ("cafe\u0301", "caf\u00e9"),
        ("\x1b[31mred", "red"),
    ],
)
def test_prompts_are_cleaned(written, meant):
    assert clean_prompt(written) == meant


@pytest.mark.parametrize("ending", [".txt", ".txt.gz"])
def test_merges_alone_give_the_same_ids_as_the_whole_vocabulary(tmp_path, ending):
    text = "#version: 0.2\n" + "d o\no g</w>\nd og</w>\n"
    path = tmp_path / f"merges{ending}"
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith(".gz") else text.encode())
    d, o = (byte_letters().index(letter) for letter in "do")
    ids = CLIPTokenizer.from_file(path).encode(["dog do", "d"])
    assert ids[0, :5].tolist() == [515, 512, 256 + byte_letters().index("g"), d, 256 + o]
    assert ids[1, :3].tolist() == [515, 256 + d, 516]


def test_a_damaged_vocabulary_is_a_checkpoint_error(tmp_path):
    path = tmp_path / "tokenizer.json"
    for text in ("{", '{"model": {}}', "[]"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
            CLIPTokenizer.from_file(path)
    with pytest.raises(CheckpointError, match=r"nothing\.txt"):
        CLIPTokenizer.from_file(tmp_path / "nothing.txt")


def test_a_wide_layer_some_rows_at_a_time_is_the_same_map(monkeypatch):
    from mfv2a.models import attention
    from mfv2a.models.clip import _MLP

    torch.manual_seed(0)
    layer, x = _MLP(16), 4 * torch.randn(3, 5, 16)
    whole = layer(x)  # with derivatives asked for: as it is written
    monkeypatch.setattr(attention, "ROWS_AT_ONCE", 4)
    with torch.inference_mode():
        assert torch.allclose(layer(x), whole, atol=1e-5)
