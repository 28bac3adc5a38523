"""The class probe on made-up embeddings and on real ones of tones and noises."""

import numpy as np
import pytest

from mfv2a.errors import ConfigError
from mfv2a.evaluation.tagger import ClassProbe, embed_sounds, fit_probe
from mfv2a.models.yamnet import Tagger
from mfv2a.scenes import HELD_OUT_SEED, LABELS, make_scene


def blobs(seed, n=40):
    rng = np.random.default_rng(seed)
    labels = [("a", "b", "c")[i % 3] for i in range(n)]
    centres = {"a": [4, 0, 0], "b": [0, 4, 0], "c": [0, 0, 4]}
    rows = np.array([centres[label] for label in labels]) + rng.standard_normal((n, 3))
    return np.concatenate([rows, np.ones((n, 1))], axis=1).astype(np.float32), labels


def test_a_probe_tells_unseen_rows_of_separate_classes():
    probe = fit_probe(*blobs(0))
    assert probe.accuracy(*blobs(1)) > 0.9
    assert probe.labels == ("a", "b", "c")


def test_a_probe_is_at_chance_on_shuffled_labels():
    rows, labels = blobs(2, 300)
    probe = fit_probe(*blobs(0))
    shuffled = list(np.random.default_rng(0).permutation(labels))
    assert probe.accuracy(rows, shuffled) < 0.5


def test_fitting_twice_gives_the_same_probe():
    rows, labels = blobs(0)
    assert (fit_probe(rows, labels).weight == fit_probe(rows, labels).weight).all()


def test_what_is_stored_of_a_probe_tells_the_same():
    probe, (rows, _) = fit_probe(*blobs(0)), blobs(1)
    stored = probe.rows()
    scores = np.stack([rows @ stored[label][:-1].numpy() + stored[label][-1].item() for label in probe.labels], 1)
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probe.predict_all(rows), shares, atol=1e-4)


def test_the_probe_that_ships_knows_the_labels_of_scenes_it_was_not_fitted_on():
    probe, rate = ClassProbe.from_assets(), 16_000
    assert probe.labels == tuple(sorted(LABELS))
    scenes = [make_scene(HELD_OUT_SEED + 900_000 + k, duration_s=8.0) for k in range(20)]
    rows = embed_sounds([scene.sound(rate) for scene in scenes], Tagger.from_assets(), sample_rate_hz=rate)
    assert probe.accuracy(rows, [scene.label for scene in scenes]) > 0.7


def test_one_class_or_missing_labels_are_refused():
    with pytest.raises(ConfigError, match="two classes"):
        fit_probe(np.zeros((3, 2), np.float32), ["a"] * 3)
    with pytest.raises(ConfigError):
        fit_probe(np.zeros((3, 2), np.float32), ["a", "b"])


def test_tones_and_noises_are_told_apart_by_ear():
    def sound(kind, seed):
        rng = np.random.default_rng(seed)
        time = np.arange(16_000) / 16_000
        tone = np.sin(2 * np.pi * rng.uniform(300, 2000) * time)
        return (0.2 * (tone if kind == "tone" else rng.standard_normal(16_000))).astype(np.float32)

    tagger = Tagger.from_assets()
    labels = ["tone", "noise"] * 6
    rows = embed_sounds([sound(kind, i) for i, kind in enumerate(labels)], tagger)
    assert rows.shape == (12, 2048)
    others = embed_sounds([sound(kind, 100 + i) for i, kind in enumerate(labels)], tagger)
    assert fit_probe(rows, labels).accuracy(others, labels) == 1.0


def test_no_sounds_give_no_rows():
    assert embed_sounds([], Tagger.from_assets()).shape == (0, 2048)
