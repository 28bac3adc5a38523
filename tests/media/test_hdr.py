"""HDR pictures are decoded as an ordinary screen would show them, and copied as they are."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import BUNDLED, dub, packets, run_bundled

from mfv2a.media.ffmpeg import ask_ffmpeg
from mfv2a.media.hdr import HLG, PQ, tone_table
from mfv2a.media.video import decode_video
from mfv2a.records import FrameRequest

ORDINARY = (0, 1, 2, 6, 13, 14)
NAMES = {PQ: "smpte2084", HLG: "arib-std-b67"}
REQUESTS = {"gray": FrameRequest(fps=10, size_px=48, gray=True), "image": FrameRequest(fps=1, size_px=48, fit="crop")}


def test_ordinary_pictures_have_no_table() -> None:
    assert [tone_table(transfer) for transfer in ORDINARY] == [None] * len(ORDINARY)


@pytest.mark.parametrize(("transfer", "white"), [(PQ, 0.58), (HLG, 0.75)])
def test_black_stays_black_and_diffuse_white_becomes_white(transfer: int, white: float) -> None:
    """BT.2408: diffuse white is at 58 % of PQ and 75 % of HLG."""
    table = tone_table(transfer)
    assert table is not None
    assert table[0] == 0
    assert int(table[round(255 * white)]) == pytest.approx(254, abs=2)
    assert table[round(255 * (white - 0.05))] < 230
    assert (np.diff(table.astype(int)) >= 0).all()
    assert table[255] == 255


@pytest.mark.skipif(b" zscale " not in ask_ffmpeg(BUNDLED, "-filters"), reason="this ffmpeg has no zscale filter")
@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_picture_turned_into_hdr_by_another_program_is_decoded_to_what_it_was(
    tmp_path: Path, transfer: int, suffix: str
) -> None:
    plain, hdr = tmp_path / "plain.mkv", tmp_path / f"hdr{suffix}"
    ramp = "gradients=s=64x48:r=10:d=0.5:c0=black:c1=white:x0=0:y0=0:x1=63:y1=0:nb_colors=2:speed=0.00001"
    first = (
        "format=gbrp,setparams=color_trc=bt709:color_primaries=bt709:colorspace=gbr,zscale=m=709:r=tv,format=yuv420p"
    )
    run_bundled("-f", "lavfi", "-i", ramp, "-vf", first, "-c:v", "ffv1", plain)
    turned = f"zscale=tin=709:min=709:pin=709:rin=tv:t={NAMES[transfer]}:p=2020:m=2020_ncl:r=tv:npl=203"
    run_bundled("-i", plain, "-vf", f"{turned},format=yuv420p10le", "-c:v", "libx265", "-x265-params",
                "log-level=error", hdr)  # fmt: skip
    with av.open(str(hdr)) as container:
        frame = next(container.decode(video=0))
        assert (frame.format.name, int(frame.color_trc)) == ("yuv420p10le", transfer)
    before, after = decode_video(plain, REQUESTS), decode_video(hdr, REQUESTS)
    for name in REQUESTS:
        off = np.abs(before.frames[name].astype(int) - after.frames[name].astype(int))
        assert off.max() < 12, name
        assert off.mean() < 3, name
    out = dub(hdr)
    assert packets(out) == packets(hdr)
    with av.open(str(out)) as container:
        assert int(next(container.decode(video=0)).color_trc) == transfer
