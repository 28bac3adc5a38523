"""How near CLIP, Synchformer, the generator and the vocoders come to what a device can do at most, at full size.

    python scripts/encoder_peaks.py --device cuda --dtype bfloat16
    python scripts/encoder_peaks.py --device cuda --dtype bfloat16 --compile
    python scripts/encoder_peaks.py --device cpu --dtype bfloat16 --seconds 0.5
    python scripts/encoder_peaks.py --device cpu --dtype float32 --seconds 4 --only BigVGAN --modules

Random weights; nothing is read or decoded, so this is the networks alone. The peak is a product of square matrices
of that dtype in the same process. A clip is 8 s: 64 pictures, 24 segments, 250 or 345 latents, 500 or 690 mel frames;
`--seconds` takes a part of one, for slow devices.
Operations are counted (matrix products, convolutions, attention). One JSON line a network: milliseconds (the fastest
of several), TFLOP/s, share of the peak, relative difference (L2) from float32 arithmetic on the same weights; with
`--modules` also as torch does it module by module: a processor's own ways are for inference mode alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mfv2a.jobs.counting import count
from mfv2a.jobs.machine import fastest, product_speed
from mfv2a.models.upstream import random_public

Case = tuple[str, str, str, Callable[[nn.Module, dict[str, Tensor]], Tensor], dict[str, Tensor]]


def cases(device: torch.device, seconds: float) -> Iterator[Case]:
    """What is measured, on clips of that length: name, kind and size of the network, how it is called, with what."""
    pictures, frames = max(1, round(8 * seconds)), max(16, round(25 * seconds))
    made = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=made).to(device)

    yield (
        f"CLIP ViT-H, {pictures} pictures",
        "clip",
        "vit_h",
        lambda n, x: n.encode_image(x["frames"]),
        {"frames": rand(1, pictures, 3, 384, 384)},
    )
    yield (
        f"Synchformer, {(frames - 16) // 8 + 1} segments",
        "synchformer",
        "public",
        lambda n, x: n.encode(x["frames"]),
        {"frames": rand(1, frames, 3, 224, 224) * 2 - 1},
    )
    for name, size, latents, dim in (("small 16k", "small_16k", 250, 20), ("large 44k v2", "large_44k_v2", 345, 40)):
        for clips in (1, 16):
            inputs = {
                "z": rand(clips, latents, dim),
                "clip": rand(clips, 64, 1024),
                "sync": rand(clips, 192, 768),
                "text": rand(clips, 77, 1024),
            }
            yield f"{name}, {clips} clips, one evaluation", "mmaudio", size, evaluate, inputs
    for size, bands, rate in (("16k", 80, 62.5), ("44k", 128, 86.25)):
        mel = rand(1, bands, round(rate * seconds))
        yield f"BigVGAN {size}, {seconds:g} s", "bigvgan", size, lambda n, x: n(x["mel"]), {"mel": mel}


def evaluate(network: Any, inputs: dict[str, Tensor]) -> Tensor:
    """One evaluation of a generator, its conditions projected anew."""
    z = inputs["z"]
    conditions = network.encode_conditions(inputs["clip"], inputs["sync"], inputs["text"], z.shape[1])
    out: Tensor = network(z, t=torch.ones(len(z), device=z.device, dtype=torch.float64), conditions=conditions)
    return out


def compile_blocks(network: nn.Module) -> None:
    """Let torch compile each block of a network; alike ones share what is compiled."""
    for module in network.modules():
        if type(module).__name__ in ("_Block", "ResidualStack"):
            module.compile()


def waiting(device: torch.device) -> Callable[[], None]:
    """What waits until a device has done its work."""
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None


def measure(
    case: Case, device: torch.device, dtype: torch.dtype, most: float, *, compiled: bool, modules: bool
) -> dict[str, Any]:
    """The numbers of one network."""
    name, kind, size, call, inputs = case
    network = random_public(kind, size, device=device)
    for weight in network.parameters():
        if not weight.any():  # what begins at zero would hide what is behind it
            nn.init.normal_(weight, std=0.02)
    exact = call(network, inputs)
    network.to(dtype)
    counted = {k: v if k == "frames" else v.to(dtype) for k, v in inputs.items()}
    found, cost = count(lambda: call(network, counted))
    if compiled:
        compile_blocks(network)
        found = call(network, counted)
    seconds = fastest(lambda: call(network, counted), waiting(device))
    plain = {}
    if modules:
        with torch.inference_mode(mode=False), torch.no_grad():
            own = {k: v.clone() for k, v in counted.items()}
            plain["modules_ms"] = round(fastest(lambda: call(network, own), waiting(device)) * 1e3, 2)
    speed = cost.flops / seconds
    apart = float((found.float() - exact.float()).norm() / exact.float().norm())
    return {
        "network": name,
        "compiled": compiled,
        "ms": round(seconds * 1e3, 2),
        **plain,
        "tflop": round(cost.flops / 1e12, 3),
        "tflop_per_s": round(speed / 1e12, 2),
        "share": round(speed / most, 3),
        "apart": float(f"{apart:.2g}"),
    }


def main() -> None:
    """Read the words, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--compile", action="store_true", help="also encoders and vocoders with compiled blocks")
    parser.add_argument("--modules", action="store_true", help="also without what is done for processors alone")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of the clip that encoders and vocoders take")
    parser.add_argument("--only", default="", help="networks whose name holds this")
    words = parser.parse_args()
    device, dtype = torch.device(words.device), getattr(torch, words.dtype)
    most = product_speed(device, dtype, waiting(device))
    sys.stdout.write(json.dumps({"peak_tflop_per_s": round(most / 1e12, 1), "dtype": words.dtype}) + "\n")
    with torch.inference_mode():
        for case in cases(device, words.seconds):
            if words.only not in case[0]:
                continue
            for compiled in (False, True) if words.compile and case[1] != "mmaudio" else (False,):
                sys.stdout.write(
                    json.dumps(measure(case, device, dtype, most, compiled=compiled, modules=words.modules)) + "\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
