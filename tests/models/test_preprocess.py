"""Sizes of the frames that the public encoders see, against the public reference's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from golden.fill import pick
from golden.parity import case
from mfv2a.errors import ConfigError
from mfv2a.models.preprocess import shrink_clip, shrink_sync


@pytest.mark.parametrize("name", ["landscape_180x320", "portrait_333x187", "large_720x1280", "odd_101x150"])
def test_resizing_gives_the_reference_pixels(name):
    inputs, outputs, _ = case("preprocess", name)
    # As the encoders take them: channels first, CLIP's in [0, 1], Synchformer's in [-1, 1].
    clip, sync = (shrink(inputs["frames"]).permute(0, 3, 1, 2).numpy() / 255 for shrink in (shrink_clip, shrink_sync))
    sync = sync * 2 - 1
    for found, kind, level in ((clip, "clip", 1 / 255), (sync, "sync", 2 / 255)):
        for part in ("frames", "frames_corner"):
            golden, rule, facts = outputs[f"{kind}_{part}"]
            assert list(found.shape) == facts["shape"]
            difference = np.abs(pick(found, rule) - golden)
            equal = (difference < 1e-5).mean()
            print(f"preprocess {name} {kind}_{part}: max {difference.max():.2e}, equal {100 * equal:.2f} %")  # noqa: T201
            assert difference.max() <= level + 1e-6
            assert equal >= 0.99


def test_frames_that_are_no_bytes_are_refused():
    with pytest.raises(ConfigError, match="bytes"):
        shrink_clip(torch.zeros(1, 8, 8, 3))
