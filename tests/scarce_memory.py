"""A device whose memory holds so many windows and no more."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mfv2a.pipeline import Pipeline


def let_fit(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Lets no more than `most` windows fit; gives the list of batch sizes that are asked for."""
    sizes: list[int] = []
    sample = Pipeline.sample

    def tight(self: Pipeline, works: Any, options: Any) -> Any:
        sizes.append(options.batch_size)
        if options.batch_size > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return sample(self, works, options)

    monkeypatch.setattr(Pipeline, "sample", tight)
    return sizes
