"""T5's encoder and CLAP's text branch against the reference's numbers on pseudo-weights, and without their library."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from golden.parity import assert_parity, case, file_on_meta, public_weights, shapes
from mfv2a.errors import ConfigError, StartError
from mfv2a.models import clap, t5
from mfv2a.models.clap import CLAPText, CLAPTextConfig
from mfv2a.models.t5 import T5Config, T5Encoder
from mfv2a.models.upstream import adapt, read_public

FILES = {
    "t5_encoder": ("t5", T5Encoder, t5.CONFIGS["flan_large"]),
    "t5_small": ("t5", T5Encoder, T5Config.tiny()),
    "clap_text": ("clap_text", CLAPText, clap.CONFIGS["laion"]),
    "clap_text_small": ("clap_text", CLAPText, CLAPTextConfig.tiny()),
}
VALUES = {"t5_encoder": 341_231_104, "clap_text": 125_302_016}
LIMIT = 1e-5


def on_meta(name):
    _, network, sizes = FILES[name]
    with torch.device("meta"):
        return network(sizes).eval().requires_grad_(False)


def filled(name):
    net = on_meta(name)
    net.load_state_dict(adapt(FILES[name][0], public_weights(name)), assign=True)
    return net


@pytest.mark.parametrize("name", FILES)
def test_keys_and_shapes_are_those_of_the_public_file(name):
    own = shapes(on_meta(name))
    for also in ((), ("optional",)):
        found = adapt(FILES[name][0], file_on_meta(name, also=also))
        assert {key: tuple(tensor.shape) for key, tensor in found.items()} == own


@pytest.mark.parametrize("name", VALUES)
def test_there_are_as_many_values_as_in_the_public_file(name):
    assert sum(p.numel() for p in on_meta(name).parameters()) == VALUES[name]
    assert not list(on_meta(name).buffers())


def test_the_reference_numbers_of_a_small_t5():
    inputs, outputs, _ = case("t5_small", "text")
    with torch.inference_mode():
        text = filled("t5_small")(inputs["input_ids"], inputs["attention_mask"].bool())
    found = {"text_f": text, "text_f_c_t5_mean": text.mean(1)}
    assert set(found) == set(outputs)
    assert_parity("t5_small text", found, outputs, limit=LIMIT)


def test_the_reference_numbers_of_a_small_clap_text_branch():
    inputs, outputs, _ = case("clap_text_small", "text")
    net, found = filled("clap_text_small"), {}
    net.text_branch.pooler.register_forward_hook(lambda _, __, out: found.update(pooler=out))
    with torch.inference_mode():
        found["text_f_c"] = net(inputs["input_ids"], inputs["attention_mask"].bool())
    assert set(found) == set(outputs)
    assert_parity("clap_text_small text", found, outputs, limit=LIMIT)


@pytest.mark.parametrize(("name", "pad"), [("t5_small", 0), ("clap_text_small", 1)])
def test_a_text_alone_equals_itself_beside_a_longer_one(name, pad):
    ids = torch.tensor([[5, 31, 41, 2, pad, pad, pad], [5, 9, 8, 7, 6, 5, 2]])
    net = filled(name)
    with torch.inference_mode():
        both, alone = net(ids, ids != pad), net(ids[:1, :4], ids[:1, :4] != pad)
    assert torch.allclose(both[:1, :4] if both.dim() == 3 else both[:1], alone, atol=1e-5)


def test_more_tokens_than_places_are_refused():
    ids = torch.full((1, 89), 5)
    with pytest.raises(ConfigError, match="89 tokens, where the text encoder takes at most 88"):
        filled("clap_text_small")(ids, ids != 1)


@pytest.mark.parametrize("home", [b"core", b"_core"])
def test_numbers_of_numpy_beside_the_weights_are_borne(tmp_path, home):
    weights = {f"module.{key}": value for key, value in public_weights("clap_text_small").items()}
    numbers = {"lr": np.float64(1e-4), "step": np.int64(7), "best": np.bool_(True)}
    path = tmp_path / "file.pt"
    torch.save(
        {"optimizer": numbers, "state_dict": weights}, path, pickle_protocol=2, _use_new_zipfile_serialization=False
    )
    path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", b"numpy." + home + b".multiarray"))
    assert b"numpy." + home + b".multiarray" in path.read_bytes()
    found = read_public(path, nesting="state_dict")
    assert all(torch.equal(found[key], value) for key, value in weights.items())


def test_a_table_under_its_second_name_alone_is_found():
    state = public_weights("t5_small")
    found = adapt("t5", {key.replace("shared.", "encoder.embed_tokens."): value for key, value in state.items()})
    assert found.keys() == state.keys()


@pytest.mark.parametrize("name", ["t5_small", "clap_text_small"])
def test_without_their_library_the_encoders_say_what_to_install(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(StartError, match="transformers") as caught:
        on_meta(name)
    assert caught.value.hint == "pip install 'mfv2a[meanaudio]'"


WITHOUT = """
import sys
sys.modules["transformers"] = None
import mfv2a.models.published
from mfv2a.cli import main
sys.argv = ["mfv2a", "tta", "rain", "--model", "tiny", "--duration", "1", "--out", sys.argv[1]]
main()
"""


def test_the_tool_works_without_transformers(tmp_path):
    line = [sys.executable, "-c", WITHOUT, str(tmp_path / "rain.wav")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("**/*.*"))
