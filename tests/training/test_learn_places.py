"""Scenes seen from elsewhere, and a sync encoder that learns to see in them what it saw."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from mfv2a.media.motion import MOTION_DIM, MOTION_SIZE_PX, motion_features
from mfv2a.models.compact import SyncConfig, SyncEncoder
from mfv2a.models.weights import load_network, save_network
from mfv2a.scenes import LABELS, make_scene


def moving_square():
    frames = np.full((20, MOTION_SIZE_PX, MOTION_SIZE_PX), 90, np.uint8)
    for number, frame in enumerate(frames):
        frame[40 : 40 + 30, 20 + 2 * number : 50 + 2 * number] = 220
    return frames


def test_a_small_view_holds_the_picture_once_and_its_margin_is_still(script):
    places = script("places")
    frames = moving_square()
    for seed in range(12):
        view = places.small(frames, np.random.default_rng(seed))
        assert (view.shape, view.dtype) == (frames.shape, np.uint8)
        moved = np.ptp(view.astype(int), axis=0) > 40
        rows, columns = np.flatnonzero(moved.any(1)), np.flatnonzero(moved.any(0))
        assert 8 < len(rows) < 34
        assert 20 < np.ptp(columns) < 72
        assert moved[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.9
        assert motion_features(view)[5:, :128].sum() > 0


def test_a_view_amid_what_moves_holds_the_picture_and_moves_all_around(script):
    places = script("places")
    still = np.full((30, MOTION_SIZE_PX, MOTION_SIZE_PX), 90, np.uint8)
    spread = []
    for seed in range(8):
        view = places.amid(still, np.random.default_rng(seed))
        assert (view.shape, view.dtype) == (still.shape, np.uint8)
        held = (view == 90).all(0)
        rows, columns = np.flatnonzero(held.mean(1) > 0.3), np.flatnonzero(held.mean(0) > 0.3)
        assert held[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.9
        spread.append(float(view[:, ~held].astype(float).std(0).mean()) if (~held).any() else 0.0)
    assert np.median(spread) > 0.5


def test_calm_pictures_move_are_drawn_once_and_are_those_of_their_seed(script, tmp_path, monkeypatch):
    calm = script("calm")
    monkeypatch.setattr(calm, "SHARD", 2)
    monkeypatch.setattr(calm, "FRAMES", 40)
    out = tmp_path / "calm"
    monkeypatch.setattr(sys, "argv", ["calm.py", "--first-seed", "4", "--clips", "6", "--out", str(out)])
    calm.main()
    motion = calm.read_calm(out)
    assert motion.shape == (6, 40, MOTION_DIM)
    assert np.isfinite(motion).all()
    assert (motion[:, 1:].astype(np.float32).std((1, 2)) > 0.01).sum() >= 5
    kept = (out / "4.npz").stat().st_mtime_ns
    (out / "6.npz").unlink()
    calm.main()
    assert (out / "4.npz").stat().st_mtime_ns == kept
    np.testing.assert_array_equal(calm.read_calm(out), motion)


def test_what_wanders_has_no_beat_and_keeps_within_its_frequencies(script):
    curves = script("calm").wander(np.random.default_rng(0), 400, 1.0, 4.0, rows=6)
    assert curves.shape == (6, 400)
    power = np.square(np.abs(np.fft.rfft(curves, axis=1))).mean(0)
    hz = np.fft.rfftfreq(400, 1 / 25)
    assert power[(hz > 1) & (hz < 5)].sum() > 0.8 * power.sum()


def test_a_scene_at_another_rate_moves_as_much_and_no_longer(script):
    filmed = script("places").filmed
    scene = make_scene(5)
    true = motion_features(scene.render(25, MOTION_SIZE_PX, MOTION_SIZE_PX, gray=True))
    assert true[:, :128].sum() > 100
    for seen in (filmed(scene, 12), filmed(scene, 12, 24), filmed(scene, 12, 30, 0.3), filmed(scene, 60)):
        assert seen.shape == true.shape
        assert 0.6 < seen[:, :128].sum() / true[:, :128].sum() < 1.6


def test_a_nearer_view_is_as_large_and_moves_faster(script):
    places = script("places")
    frames = moving_square()
    near = places.nearer(frames, np.random.default_rng(3))
    assert near.shape == frames.shape
    assert np.square(motion_features(near)[5:, :128]).sum() > np.square(motion_features(frames)[5:, :128]).sum()


def test_views_are_drawn_once_and_a_file_that_is_missing_again(script, tmp_path, monkeypatch):
    places = script("places")
    monkeypatch.setattr(places, "SHARD", 1)
    out = tmp_path / "views"
    line = ["places.py", "--first-seed", "5", "--scenes", "2", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", line)
    places.main()
    views = places.read_views(out)
    scene = make_scene(5)
    frames = round(scene.duration_s * 25)
    assert views.motion.shape == (2, 6, frames, MOTION_DIM)
    assert LABELS[views.label[0]] == scene.label
    for event in scene.events:
        assert views.onset[0, round(event.time_s * 25)] > 0.7
    kept = (out / "5.npz").stat().st_mtime_ns
    (out / "6.npz").unlink()
    places.main()
    assert (out / "5.npz").stat().st_mtime_ns == kept
    np.testing.assert_array_equal(places.read_views(out).motion, views.motion)


def made_up_views(places):
    """Motion whose first columns strike; the small views of it have it in other columns, and weaker."""
    rng = np.random.default_rng(0)
    motion = rng.normal(0, 0.02, (6, 6, 40, MOTION_DIM)).astype(np.float32)
    onset = np.zeros((6, 40), np.float16)
    for scene in range(6):
        frame = 6 + 5 * scene
        onset[scene, frame] = 1
        for view, (first, size) in enumerate(((0, 1.0), (40, 0.5), (80, 0.4), (0, 1.3), (0, 0.5), (0, 0.9))):
            motion[scene, view, frame, first : first + 20] += size
    return places.Views(motion.astype(np.float16), onset, np.arange(6))


def test_a_student_gives_of_small_views_what_the_teacher_gives_of_the_drawn_one(script, tmp_path, monkeypatch, capsys):
    places, learn_places = script("places"), script("learn_places")
    views = made_up_views(places)
    (tmp_path / "views").mkdir()
    np.savez(tmp_path / "views" / "0.npz", **views._asdict())
    torch.manual_seed(0)
    teacher = SyncEncoder(SyncConfig.tiny())
    save_network(tmp_path / "sync.safetensors", "sync", teacher)
    line = ["learn_places.py", str(tmp_path / "sync.safetensors"), "--views", str(tmp_path / "views")]
    more = ["--steps", "200", "--minutes", "5", "--rate", "5e-3", "--threads", "1", "--out", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", [*line, *more])
    learn_places.main()
    assert "step 200" in capsys.readouterr().out
    student, facts = load_network(tmp_path / "run" / "final.safetensors", "sync")
    assert facts["places"]["steps"] == 200
    motion = torch.from_numpy(views.motion.astype(np.float32))
    with torch.inference_mode():
        aims = teacher(motion[:, 0]).features
        before, after = ((net(motion[:, 1]).features - aims).square().mean().item() for net in (teacher, student))
    assert after < 0.5 * before
    for head in learn_places.HEADS:
        for name, weight in getattr(teacher, head).state_dict().items():
            torch.testing.assert_close(getattr(student, head).state_dict()[name], weight)


def test_a_student_learns_to_see_nothing_strike_where_nothing_does(script, tmp_path, monkeypatch):
    places, learn_places = script("places"), script("learn_places")
    for name in ("views", "calm"):
        (tmp_path / name).mkdir()
    views = made_up_views(places)
    np.savez(tmp_path / "views" / "0.npz", **views._asdict())
    swaying = np.sin(np.arange(40) / 3)[:, None] * np.random.default_rng(1).normal(0, 0.3, (4, 1, MOTION_DIM))
    np.savez(tmp_path / "calm" / "0.npz", motion=swaying.astype(np.float16))
    torch.manual_seed(0)
    teacher = SyncEncoder(SyncConfig.tiny())
    torch.nn.init.constant_(teacher.onset.bias, 1.0)  # it sees something strike everywhere
    save_network(tmp_path / "sync.safetensors", "sync", teacher)
    line = ["learn_places.py", str(tmp_path / "sync.safetensors"), "--views", str(tmp_path / "views")]
    line += ["--calm", str(tmp_path / "calm"), "--minutes", "5", "--rate", "5e-3", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", [*line, "--steps", "100", "--out", str(tmp_path / "first")])
    learn_places.main()
    begin = ["--begin", str(tmp_path / "first" / "final.safetensors")]
    monkeypatch.setattr(sys, "argv", [*line, *begin, "--steps", "100", "--out", str(tmp_path / "second")])
    learn_places.main()
    seen = torch.from_numpy(swaying.astype(np.float32))
    runs = [load_network(tmp_path / name / "final.safetensors", "sync")[0] for name in ("first", "second")]
    with torch.inference_mode():
        before, first, second = (net(seen).onset.sigmoid().mean().item() for net in (teacher, *runs))
    assert first < 0.5 * before
    assert second < first


def test_without_views_it_says_where_they_come_from(script, tmp_path):
    with pytest.raises(SystemExit, match=r"no views; draw them with scripts/places\.py"):
        script("places").read_views(tmp_path)
    with pytest.raises(SystemExit, match=r"no clips; draw them with scripts/calm\.py"):
        script("calm").read_calm(tmp_path)
