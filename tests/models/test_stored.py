"""Reading the shipped weights: what int8 costs, and what damaged files say."""

import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from mfv2a.errors import CheckpointError
from mfv2a.models.blocks import RMSNorm
from mfv2a.models.compact import SyncConfig, SyncEncoder
from mfv2a.models.istft import ISTFTConfig, ISTFTVocoder
from mfv2a.models.stored import SCALE_SUFFIX, asset_path, dequantize, fill, quantize_rows, read_tensors
from mfv2a.models.upstream import PUBLIC
from mfv2a.models.weights import load_network, save_network


def test_int8_rows_come_back_within_half_a_step():
    weight = torch.randn(20, 30, generator=torch.Generator().manual_seed(0))
    weight[3] = 0
    values, scale = quantize_rows(weight)
    back = dequantize({"w": values, "w.scale": scale})["w"]
    assert ((back - weight).abs() <= scale[:, None] / 2 + 1e-7).all()
    assert not back[3].any()


def test_half_precision_is_read_as_single():
    assert dequantize({"b": torch.ones(3).half()})["b"].dtype == torch.float32


def test_kept_tables_stay_int8_beside_their_scales():
    full = dequantize({"w": torch.ones(2, 2, dtype=torch.int8), "w.scale": torch.ones(2)}, keep_int8=("w",))
    assert full["w"].dtype == torch.int8
    assert full["w.scale"].shape == (2,)


def test_a_network_stored_in_int8_comes_back_whole_and_near(tmp_path):
    torch.manual_seed(0)
    network = SyncEncoder(SyncConfig())
    path = save_network(tmp_path / "sync.safetensors", "sync", network, dtype=torch.int8)
    assert path.stat().st_size < 1.1 * sum(tensor.numel() for tensor in network.state_dict().values())
    back = load_network(path, "sync")[0].state_dict()
    for name, tensor in network.state_dict().items():
        assert back[name].dtype == tensor.dtype
        assert (back[name] - tensor).norm() <= 0.01 * tensor.norm(), name


def test_int8_rows_without_their_scale_are_a_checkpoint_error(tmp_path):
    path = save_network(tmp_path / "sync.safetensors", "sync", SyncEncoder(SyncConfig()), dtype=torch.int8)
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    lost = next(name for name in tensors if name.endswith(SCALE_SUFFIX))
    save_file({name: tensor for name, tensor in tensors.items() if name != lost}, path, metadata)
    with pytest.raises(CheckpointError, match="scale"):
        load_network(path, "sync")


def test_a_missing_asset_is_a_checkpoint_error():
    with pytest.raises(CheckpointError, match=r"text/nothing.safetensors is missing"):
        asset_path("text", "nothing.safetensors")


def test_a_cut_file_is_a_checkpoint_error(tmp_path):
    path = tmp_path / "cut.safetensors"
    save_file({"w": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match=r"cannot read cut.safetensors"):
        read_tensors(path)


def test_weights_of_another_shape_are_refused_with_the_tensors_name():
    with torch.device("meta"):
        module = nn.Linear(2, 3)
    with pytest.raises(CheckpointError, match="weight"):
        fill(module, {"weight": torch.zeros(3, 4), "bias": torch.zeros(3)}, name="x.safetensors")


def test_networks_that_are_to_be_filled_draw_nothing_and_load_no_compiler():
    configs = {kind: next(iter(PUBLIC[kind].configs)) for kind in ("vae", "clip", "roberta", "woosh")}
    program = (
        "import sys\nfrom mfv2a.models.stored import unfilled\nfrom mfv2a.models.upstream import find_public\n"
        f"for kind, config in {configs!r}.items():\n"
        "    public, sizes = find_public(kind, config)\n"
        "    with unfilled():\n        network = public.network(sizes)\n"
        "    assert all(each.is_meta for each in network.parameters())\n"
        "print('torch._dynamo' in sys.modules, 'sympy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(("name", "stated"), [("config", "{"), ("config", "[1]"), ("facts", None)])
def test_a_file_whose_words_cannot_be_read_is_told(tmp_path, name, stated):
    path = save_network(tmp_path / "net.safetensors", "vocoder", ISTFTVocoder(ISTFTConfig.tiny()))
    with safe_open(path, "pt") as file:
        words = {key: value for key, value in file.metadata().items() if key != name or stated is not None}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file(tensors, path, words | ({} if stated is None else {name: stated}))
    with pytest.raises(CheckpointError, match=f"{name}"):
        load_network(path, "vocoder")


def test_the_norm_of_large_numbers_is_finite_in_half_precision():
    norm = RMSNorm(64).half()
    x = torch.full((1, 64), 300.0).half()
    x[0, 0] = -300.0
    assert torch.allclose(norm(x).float(), x.float() / 300, atol=1e-3)
