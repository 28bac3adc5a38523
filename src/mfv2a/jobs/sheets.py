"""Sample sheets of a training run: pictures of what it makes of held-out rows, beside what was held out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "sheets"
LIMIT = 3.0
"""Normalised latents are drawn from minus this to this."""


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def write_sheet(run: Path, step: int, columns: Mapping[str, Any], names: list[str]) -> NDArray[np.uint8]:
    """Draw a sheet into `sheets/step-N.png` of a run; it appears whole or not at all.

    Args:
        run: folder of the run.
        step: number of the optimiser's step.
        columns: heading to normalised latents [K, N, C] of the same K rows.
        names: of the rows.

    Returns:
        the picture [H, W, 3].
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _draw(step, columns, names)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    path = run / FOLDER / f"step-{step}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    pending = path.with_name(f".{path.name}.{os.getpid()}")
    figure.savefig(pending, format="png")
    pending.replace(path)
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return pixels[..., :3].copy()


def _draw(step: int, columns: Mapping[str, Any], names: list[str]) -> Figure:
    """A heat map a row and column: time to the right, channels upwards."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(columns) + 0.9, 1.3 * len(names) + 0.9), dpi=80, layout="constrained")
    axes = figure.subplots(len(names), len(columns), squeeze=False, sharex=True, sharey=True)
    for k, (heading, latents) in enumerate(columns.items()):
        axes[0, k].set_title(heading, fontsize=9)
        for row, name in enumerate(names):
            drawn = axes[row, k].imshow(
                np.asarray(latents[row]).T, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-LIMIT, vmax=LIMIT,
                interpolation="nearest",
            )  # fmt: skip
            axes[row, k].tick_params(labelsize=6)
            if k == 0:
                axes[row, k].set_ylabel(name, fontsize=8)
    figure.colorbar(drawn, ax=axes, shrink=0.8, label="deviations").ax.tick_params(labelsize=6)
    figure.supxlabel("latent in time; channels upwards", fontsize=8)
    figure.suptitle(f"step {step}: held-out rows, and what the moving average makes of their conditions", fontsize=9)
    return figure
