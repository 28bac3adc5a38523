"""Pictures of runs: what a training makes of held-out rows, beside what was held out; quality against speed."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfv2a.media.whole import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

FOLDER = "sheets"
LIMIT = 3.0
"""Normalised latents are drawn from minus this to this."""


CLOSE = 1.3
"""Settings whose times differ by less have numbers that would cover each other."""
_WIDE = 10 ** (2 / 3)


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


def _round_numbers(values: Sequence[float]) -> Locator:
    """Where an axis of logarithms has its numbers: at 1, 2 and 5, or evenly where it is too short for these."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    return LogLocator(subs=(1.0, 2.0, 5.0)) if max(values) > _WIDE * min(values) else MaxNLocator(5)


def draw_pareto(report: Mapping[str, Any], path: Path) -> Path:
    """Draw quality against real-time factor, a point a setting; it appears whole or not at all.

    Args:
        report: of `mfv2a bench`, with a quality.
        path: the PNG to write.

    Returns:
        `path`.

    Raises:
        MediaError: it cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    entries = [entry for entry in report["entries"] if "quality" in entry]
    figure = Figure(figsize=(8.0, 4.2), dpi=100, layout="constrained")
    axes = figure.subplots()
    front = [entry for name in report["quality"]["front"] for entry in entries if entry["setting"] == name]
    if len(front) > 1:
        axes.step(
            [entry["rtf"] for entry in front], [entry["quality"]["value"] for entry in front], where="post",
            color="0.6", linestyle="--", label="none is faster and better", zorder=1,
        )  # fmt: skip
    last, below = 0.0, False
    for place, entry in enumerate(sorted(entries, key=lambda each: float(each["rtf"])), 1):
        below = entry["rtf"] < CLOSE * last and not below  # a number close to the one before lies at the other end
        last = entry["rtf"]
        value, low, high = (entry["quality"][name] for name in ("value", "low", "high"))
        spread = [[value - low], [high - value]] if low is not None and high is not None else None
        colour = "tab:blue" if entry in front else "tab:gray"
        axes.errorbar(entry["rtf"], value, yerr=spread, marker="o", capsize=3, color=colour)
        axes.plot([], [], linestyle="", marker=f"${place}$", color=colour, label=entry["setting"])
        end = low if below and low is not None else value if below or high is None else high
        axes.annotate(
            str(place), (entry["rtf"], end), textcoords="offset points", xytext=(0, -14 if below else 5),
            fontsize=9, ha="center", color=colour,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.12)
    axes.xaxis.set_major_locator(_round_numbers([entry["rtf"] for entry in entries]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    measure, better = report["quality"]["measure"], report["quality"]["better"]
    axes.set(
        xlabel="real-time factor: seconds of compute a second of sound (less is faster)",
        ylabel=f"{measure} ({better} is better), 95 %",
        title=f"{report['model']} on {report['device']}, {report['dtype']}",
    )
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    write_whole(path, drawn.getvalue())
    return path
