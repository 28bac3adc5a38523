"""What only a GPU can show, by `make gpu`: the same numbers as the CPU, batches, memory, derivatives, sharding."""

from __future__ import annotations

import gc
import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from golden.parity import assert_parity, case, public_weights
from made_videos import make_video
from mfv2a.cli import main
from mfv2a.flow.objective import meanflow_loss
from mfv2a.flow.path import interpolate
from mfv2a.loader import load_pipeline
from mfv2a.models.mmaudio import CONFIGS, MMAudio, MMAudioConfig
from mfv2a.pipeline import SampleOptions

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", autouse=True)
def exact_float32():
    """Parity is asked in float32 proper."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def small_network(device):
    """A small generator and a batch for it: network, z, v, r, t, conditions."""
    torch.manual_seed(0)
    net = MMAudio(MMAudioConfig.tiny())
    net.initialize()
    for parameter in net.parameters():  # zero weights would hide what is behind them
        torch.nn.init.normal_(parameter, std=0.05)
    c = net.config
    features = (torch.randn(4, *shape) for shape in ((8, c.clip_dim), (200, c.sync_dim), (c.text_len, c.text_dim)))
    x, e = torch.randn(2, 4, 250, c.latent_dim)
    r, t = torch.tensor([0.0, 0.2, 0.4, 0.5]), torch.tensor([1.0, 0.9, 0.6, 0.5])
    z, v = interpolate(x, e, t)
    net, z, v, r, t = (each.to(device) for each in (net, z, v, r, t))
    with torch.no_grad():
        conditions = net.encode_conditions(*(each.to(device) for each in features), 250)
    return net, z, v, r, t, conditions


def test_the_references_numbers_on_the_gpu():
    with torch.device("meta"):
        net = MMAudio(CONFIGS["small_16k"]).eval().requires_grad_(False)
    net.load_state_dict(public_weights("mmaudio_small_16k"), assign=True)
    net.to("cuda")
    inputs, outputs, _ = case("mmaudio_small_16k", "forward_8s")
    inputs = {name: value.to("cuda") for name, value in inputs.items()}
    with torch.inference_mode():
        features = (inputs[name] for name in ("clip_f", "sync_f", "text_f"))
        conditions = net.encode_conditions(*features, inputs["latent"].shape[1])
        t = 1 - inputs["t"].double().expand(len(inputs["latent"]))
        found = -net(inputs["latent"], t=t, conditions=conditions)
    (name,) = outputs
    assert_parity("small_16k on cuda", {name: found.cpu()}, outputs, limit=1e-3, relative=1e-4)


def test_the_embedded_model_sounds_as_on_the_cpu():
    sounds = []
    for device in ("cpu", "cuda"):
        pipeline = load_pipeline("embedded", device=device, dtype="float32")
        work = pipeline.prepare(None, prompt="rain on a tin roof", duration_s=8.0)
        sounds.append(pipeline.sample([work], SampleOptions())[0].cpu())
    assert float((sounds[0] - sounds[1]).norm() / sounds[0].norm()) < 1e-4


@pytest.mark.parametrize(("dtype", "limit"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_a_clip_alone_equals_itself_in_a_batch(dtype, limit):
    pipeline = load_pipeline("embedded", device="cuda", dtype=dtype)
    words = ["a dog barks", "rain", "a hammer on wood", "waves"]
    works = [pipeline.prepare(None, prompt=text, duration_s=8.0, seed=k) for k, text in enumerate(words)]
    together = pipeline.sample(works, SampleOptions(batch_size=4))
    for work, latent in zip(works, together, strict=True):
        alone = pipeline.sample([work], SampleOptions(batch_size=1))[0]
        assert float((alone - latent).norm() / alone.norm()) < limit


def test_a_batch_that_does_not_fit_is_halved_and_everything_is_dubbed(tmp_path, monkeypatch, capsysbinary):
    """The memory that torch may take is cut to a little over what one window at a time needs: the first batch fails."""
    monkeypatch.chdir(tmp_path)
    for k in range(4):
        make_video(Path(f"in/{k}.mp4"), seconds=30)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    words = ["dub", "in", "--device", "cuda", "--verbose"]
    assert main([*words, "--out", "one", "--batch-size", "1"]) == 0
    one, total = torch.cuda.max_memory_reserved(), torch.cuda.get_device_properties(0).total_memory
    capsysbinary.readouterr()
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 1.1 * one / total))
    try:
        code = main([*words, "--out", "out", "--batch-size", "20"])
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    out, err = capsysbinary.readouterr()
    assert code == 0, err
    assert len(out.splitlines()) == 4
    assert b"out of memory: trying again with batch size" in err


def test_the_meanflow_loss_and_its_gradient_are_those_of_the_cpu():
    found = []
    for device in ("cpu", "cuda"):
        net, z, v, r, t, conditions = small_network(device)
        velocity = partial(net, conditions=conditions)
        frozen = partial(net, conditions=type(conditions)(*(each[r < t] for each in conditions)))
        with sdpa_kernel(SDPBackend.MATH):
            weighted, error = meanflow_loss(velocity, frozen, z, v, r, t)
        weighted.mean().backward()
        norm = torch.stack([p.grad.norm() for p in net.parameters() if p.grad is not None]).norm()
        found.append((error.detach().cpu(), norm.cpu()))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")
def test_a_network_sharded_over_one_process_computes_the_same(tmp_path):
    """FSDP2 at world size 1: the wrapping changes no number."""
    import torch.distributed as dist
    from torch.distributed.fsdp import fully_shard

    net, z, _, r, t, conditions = small_network("cuda")
    with torch.no_grad():
        plain = net(z, r=r, t=t, conditions=conditions)
    dist.init_process_group("nccl", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        for block in [*net.joint_blocks, *net.fused_blocks]:
            fully_shard(block)
        fully_shard(net)
        sharded = net(z, r=r, t=t, conditions=conditions)
        sharded.square().mean().backward()
    finally:
        dist.destroy_process_group()
    torch.testing.assert_close(sharded.detach(), plain, rtol=1e-4, atol=1e-5)


def test_the_bench_compares_one_step_with_many_on_the_gpu(tmp_path, monkeypatch, capsysbinary):
    monkeypatch.chdir(tmp_path)
    make_video(Path("clip.mp4"), seconds=8)
    assert main(["bench", "clip.mp4", "--steps", "1", "--steps", "25", "--json", "--device", "cuda"]) == 0
    rows = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert rows
    assert all("cuda" in str(row.get("device", "cuda")) for row in rows)
