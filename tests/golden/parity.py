"""Networks against the stored numbers of the public references: keys, pseudo-weights, differences.

`pytest -m '' tests/models -rP -k reference` prints one line a comparison: the largest absolute and the relative
(L2) difference, and what both must stay below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from golden.fill import fill, load_case, pick, read_keys

ROOT = Path(__file__).parent


def public_shapes(name: str, *, unused: Iterable[str] = ()) -> dict[str, tuple[int, ...]]:
    """Required keys of a public file and their shapes, without those that begin with a name of `unused`."""
    rows = read_keys(str(ROOT / name / "keys.tsv"))
    return {key: shape for key, shape, _, note in rows if not note and not key.startswith(tuple(unused))}


def file_on_meta(name: str, *, also: Iterable[str] = ()) -> dict[str, Tensor]:
    """Tensors without memory in the place of a public file's: the required ones, and those with a note of `also`."""
    rows = read_keys(str(ROOT / name / "keys.tsv"))
    return {key: torch.empty(shape, device="meta") for key, shape, _, note in rows if not note or note in also}


def public_weights(
    name: str, *, unused: Iterable[str] = (), draw: Callable[[str, tuple[int, ...]], np.ndarray] = fill
) -> dict[str, Tensor]:
    """Pseudo-weights under the public file's key names, by the recipe `draw`."""
    return {key: torch.from_numpy(draw(key, shape)) for key, shape in public_shapes(name, unused=unused).items()}


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of a network, on any device."""
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def case(name: str, which: str) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Inputs as tensors, stored outputs and options of a case."""
    inputs, outputs, spec = load_case(str(ROOT / name), which)
    return {key: torch.from_numpy(np.asarray(value)) for key, value in inputs.items()}, outputs, spec["options"]


def assert_parity(
    label: str, found: Mapping[str, Tensor], outputs: Mapping[str, Any], *, limit: float, relative: float = 1e-5
) -> None:
    """Compare outputs with the stored ones and print a line for each.

    Args:
        label: network and case.
        found: full outputs by name; every one of them must be stored.
        outputs: of `case`.
        limit: largest absolute difference allowed.
        relative: largest ||found - golden|| / ||golden|| allowed.
    """
    failures = []
    for name, tensor in found.items():
        golden, rule, facts = outputs[name]
        assert list(tensor.shape) == facts["shape"], f"{label} {name}: {list(tensor.shape)} is not {facts['shape']}"
        ours = pick(tensor.detach().float().numpy(), rule).astype(np.float64)
        largest = float(np.abs(ours - golden).max())
        # Where all that is stored is zero, the difference itself counts.
        norm = float(np.linalg.norm(ours - golden) / (np.linalg.norm(golden.astype(np.float64)) or 1.0))
        line = f"{label} {name}: max {largest:.2e} (limit {limit:.0e}), rel {norm:.2e} (limit {relative:.0e})"
        print(line)  # noqa: T201
        if not (largest <= limit and norm <= relative):
            failures.append(line)
    assert not failures, "\n".join(failures)
