"""A blend is what adding arrays would give, wherever it is read."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from mfv2a.media.blend import Blend, pieces
from mfv2a.media.spool import Spool, kept, silence


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_sounds_are_added_at_their_gains_and_mono_goes_to_both_sides() -> None:
    mono, stereo, gain = noise(0, 100), noise(1, 80, 2), noise(2, 100)
    blend = Blend((mono, gain), (stereo, 0.5))
    whole = (mono * gain)[:, None] + np.pad(stereo * np.float32(0.5), [(0, 20), (0, 0)])
    assert blend.shape == (100, 2)
    np.testing.assert_array_equal(blend[:], whole)
    np.testing.assert_array_equal(blend[70:95], whole[70:95])
    np.testing.assert_array_equal(blend[95:300], whole[95:])


def test_one_channel_stays_without_an_axis_and_a_blend_may_be_blended() -> None:
    mono = noise(0, 50)
    inner = Blend((mono, 2.0), (mono[:, None], 1.0))
    assert inner.shape == (50,)
    np.testing.assert_allclose(Blend((inner, 0.5))[10:20], 1.5 * mono[10:20], rtol=1e-6)


@pytest.mark.parametrize("length", [0, 1, 99, 100, 101])
def test_pieces_cover_a_sound_once_and_reach_into_each_other(length: int) -> None:
    wave = noise(0, length)
    cut = [piece[before : before + 25] for before, piece in pieces(wave, 25, lap=7)]
    np.testing.assert_array_equal(np.concatenate(cut), wave)
    assert all(len(piece) <= 25 + 14 for _, piece in pieces(wave, 25, lap=7))


@pytest.mark.parametrize("shape", [(30,), (30, 2), (0,), (0, 2)])
def test_what_is_kept_on_disk_reads_as_in_memory_and_has_no_name(tmp_path: Path, shape: tuple[int, ...]) -> None:
    wave = noise(0, *shape)
    there = kept([wave[:11], wave[11:]], tmp_path)
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(there, kept([wave[:11], wave[11:]], None))
    np.testing.assert_array_equal(there, wave)


@pytest.mark.parametrize("on_disk", [True, False])
def test_silence_can_be_written_over(tmp_path: Path, on_disk: bool) -> None:
    track = silence((40, 2), tmp_path if on_disk else None)
    assert not track.any()
    track[10:20] = 1
    assert track.sum() == 20
    assert silence((0, 2), tmp_path).shape == (0, 2)


def test_a_full_disk_is_found_when_room_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        silence((40, 2), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_spool_is_as_long_as_what_was_added(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append(noise(0, 3, 2))
        spool.append(noise(1, 4, 2))
        assert len(spool) == 7
        assert spool.array().shape == (7, 2)


def test_stereo_is_averaged_where_the_result_is_mono() -> None:
    stereo = np.array([[0.2, 0.4], [0.0, -1.0]], np.float32)
    np.testing.assert_allclose(Blend((stereo, 1.0), channels=1)[:], [0.3, -0.5])
