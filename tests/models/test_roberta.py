"""The text conditioner of Woosh against the reference's numbers on pseudo-weights, and the laws it keeps."""

from __future__ import annotations

import pytest
import torch

from golden.fill_woosh import fill
from golden.parity import assert_parity, case, file_on_meta, public_weights, shapes
from mfv2a.errors import ConfigError
from mfv2a.models.roberta import CONFIGS, Roberta, RobertaConfig
from mfv2a.models.upstream import adapt

SIZES = {"woosh_text": CONFIGS["woosh"], "woosh_text_tiny": RobertaConfig.tiny()}
LIMITS = {"limit": 1e-4, "relative": 1e-5}


def filled(name):
    with torch.device("meta"):
        net = Roberta(SIZES[name]).eval().requires_grad_(False)
    net.load_state_dict(adapt("roberta", public_weights(name, draw=fill)), assign=True)
    return net


@pytest.fixture(scope="module")
def small():
    return filled("woosh_text_tiny")


def states(net, inputs):
    """States after the embeddings, the first layer and the last, by the fixtures' names."""
    found = {}
    layers = {"hidden_0_embeddings": net.embeddings, "hidden_1": net.encoder.layer[0]}
    hooks = [
        layer.register_forward_hook(lambda _, __, out, name=name: found.update({name: out}))
        for name, layer in layers.items()
    ]
    with torch.inference_mode():
        found["text_cond"] = net(inputs["input_ids"].long(), inputs["attention_mask"].bool())
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("name", SIZES)
def test_keys_and_shapes_are_those_of_the_public_file(name):
    with torch.device("meta"):
        own = shapes(Roberta(SIZES[name]))
    whole = ("unused", "ignored") if name == "woosh_text" else ("ignored",)
    for also in ((), whole):
        found = adapt("roberta", file_on_meta(name, also=also))
        assert {key: tuple(tensor.shape) for key, tensor in found.items()} == own
    if name == "woosh_text":
        assert sum(tensor.numel() for tensor in file_on_meta(name, also=("unused",)).values()) == 356_409_344


def test_the_reference_numbers_of_a_small_encoder(small):
    inputs, outputs, _ = case("woosh_text_tiny", "text_b3")
    found = states(small, inputs)
    assert set(found) == set(outputs)
    assert_parity("woosh_text_tiny text_b3", found, outputs, **LIMITS)


@pytest.mark.slow
def test_the_reference_numbers_at_full_size():
    inputs, outputs, _ = case("woosh_text", "text_full")
    found = {"text_cond": states(filled("woosh_text"), inputs)["text_cond"]}
    assert_parity("woosh_text text_full", found, outputs, **LIMITS)


def test_a_text_does_not_depend_on_the_padding_behind_it(small):
    ids = torch.tensor([[0, 31, 41, 2, 1, 1, 1]])
    with torch.inference_mode():
        long, short = small(ids, ids != 1), small(ids[:, :4], ids[:, :4] != 1)
    assert torch.allclose(long[:, :4], short, atol=1e-5)


def test_places_are_counted_over_tokens(small):
    seen = []
    hook = small.embeddings.position_embeddings.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    ids = torch.tensor([[0, 31, 2, 1, 1]])
    small(ids, ids != 1)
    hook.remove()
    assert seen[0].tolist() == [[2, 3, 4, 1, 1]]


def test_more_tokens_than_places_are_refused(small):
    ids = torch.full((1, 89), 5)
    with pytest.raises(ConfigError, match="89 tokens, where the text encoder takes at most 88"):
        small(ids, ids != 1)
    with pytest.raises(ConfigError, match="heads"):
        RobertaConfig(num_heads=3)
