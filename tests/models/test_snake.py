"""The activation of BigVGAN in one pass: the same as its modules one after the other."""

from __future__ import annotations

import pytest
import torch

from mfv2a.models import bigvgan, snake, snake_kernel
from mfv2a.models.bigvgan import AntiAliased, BigVGAN, BigVGANConfig


def activation(channels):
    torch.manual_seed(0)
    act = AntiAliased(channels)
    with torch.no_grad():
        act.act.alpha.normal_(std=0.5)
        act.act.beta.normal_(std=0.5)
    return act


def both(act, x):
    """By its modules, and in one pass."""
    with torch.no_grad():
        modules = act(x)
    with torch.inference_mode():
        return modules, act(x)


@pytest.mark.parametrize(
    "samples", [1, 2, 5, 6, snake_kernel.BLOCK, snake_kernel.BLOCK + 1, 3 * snake_kernel.BLOCK - 2]
)
def test_one_pass_equals_the_modules_at_every_length(samples):
    act, x = activation(3), 3 * torch.randn(2, 3, samples, generator=torch.Generator().manual_seed(samples))
    modules, fused = both(act, x)
    assert fused.shape == modules.shape
    assert torch.allclose(fused, modules, atol=1e-5, rtol=1e-5)


def test_threads_share_the_rows(monkeypatch):
    act, x = activation(5), torch.randn(3, 5, 100)
    monkeypatch.setattr(snake, "ALONE", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    modules, fused = both(act, x)
    assert torch.allclose(fused, modules, atol=1e-5)


def test_a_view_and_an_empty_wave_are_taken():
    act, x = activation(4), torch.randn(2, 40, 4).transpose(1, 2)
    modules, fused = both(act, x)
    assert torch.allclose(fused, modules, atol=1e-5)
    with torch.inference_mode():
        assert snake.filtered_snake(x[:0], *act.act.waves(), act.upsample.filter, act.upsample.filter).shape == (
            0,
            4,
            40,
        )


def test_both_filters_are_the_ones_given():
    act, x = activation(2), torch.randn(1, 2, 50)
    act.upsample.filter.copy_(torch.randn(1, 1, 12))
    act.downsample.lowpass.filter.copy_(torch.randn(1, 1, 12))
    modules, fused = both(act, x)
    assert torch.allclose(fused, modules, atol=1e-4)


def test_a_large_argument_keeps_its_phase():
    act, x = activation(1), torch.linspace(-300, 300, 5000)[None, None]
    modules, fused = both(act, x)
    assert torch.allclose(fused, modules, atol=2e-4)


def test_it_is_used_for_inference_on_a_processor_in_float32_alone(monkeypatch):
    calls = []
    monkeypatch.setattr(bigvgan, "filtered_snake", lambda *given: calls.append(given) or given[0])
    act, x = activation(2), torch.randn(1, 2, 8)
    act(x)
    with torch.no_grad():
        act(x)
    with torch.inference_mode():
        act.to(torch.float64)(x.double())
        assert not calls
        act.float()(x)
    assert len(calls) == 1


def test_a_vocoder_still_has_derivatives_and_they_are_those_of_what_it_gives():
    torch.manual_seed(0)
    net, mel = BigVGAN(BigVGANConfig.tiny()).eval(), torch.randn(1, 80, 3)
    way = torch.randn_like(mel)
    _, slope = torch.func.jvp(net, (mel,), (way,))
    with torch.inference_mode():
        step = 1e-2
        found = (net(mel + step * way) - net(mel - step * way)) / (2 * step)
    assert (found - slope).norm() < 0.05 * slope.norm()


def test_operations_are_counted_as_those_of_the_modules():
    from mfv2a.jobs.counting import count

    act, x = activation(4), torch.randn(1, 4, 1000)
    _, apart = count(lambda: act(x))
    with torch.inference_mode():
        _, fused = count(lambda: act(x))
    assert abs(fused.flops / apart.flops - 1) < 0.02
    assert fused.bytes < apart.bytes / 4


def test_where_loops_cannot_be_compiled_the_modules_run(monkeypatch):
    act, x = activation(2), torch.randn(1, 2, 30)
    modules, _ = both(act, x)
    monkeypatch.setattr(snake, "load_kernel", lambda: None)
    with torch.inference_mode():
        assert torch.equal(act(x), modules)
