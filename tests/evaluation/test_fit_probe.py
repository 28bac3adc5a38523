"""The embeddings that the tagger's probe is fitted on are kept on the way, under the name that is looked for."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    script = importlib.import_module("fit_probe")
    pipeline = SimpleNamespace(spec=SimpleNamespace(sample_rate_hz=16000))
    scene = SimpleNamespace(sound=lambda _: np.zeros(8, np.float32), label="rain")
    monkeypatch.setattr(script, "CHUNK", 2)
    monkeypatch.setattr(script, "load_pipeline", lambda _: pipeline)
    monkeypatch.setattr(script, "Tagger", SimpleNamespace(from_assets=lambda: None))
    monkeypatch.setattr(script, "make_scene", lambda _: scene)
    monkeypatch.setattr(script, "through_codec", lambda wave, _: wave)
    monkeypatch.setattr(script, "embed_sounds", lambda waves, *_, **__: np.ones((len(waves), 2048), np.float32))
    return script


@pytest.mark.parametrize("name", ["kept", "kept.npz", "kept.v1"])
def test_what_is_kept_is_found_again_whatever_its_name(script, name, tmp_path, monkeypatch):
    true, coded, labels = script.embed_scenes(4, tmp_path / name)
    assert true.shape == coded.shape == (4, 2048)
    assert [path.name for path in tmp_path.iterdir()] == [name if name.endswith(".npz") else f"{name}.npz"]
    monkeypatch.setattr(script, "make_scene", lambda _: pytest.fail("a scene was made again"))
    assert script.embed_scenes(4, tmp_path / name)[2] == labels == ["rain"] * 4


def test_what_is_kept_stays_whole_when_it_cannot_be_written_again(script, tmp_path, monkeypatch):
    script.embed_scenes(2, tmp_path / "kept.npz")
    before = (tmp_path / "kept.npz").read_bytes()
    write = Path.write_bytes

    def cut(path, data):
        write(path, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", cut)
    with pytest.raises(OSError, match="No space left"):
        script.embed_scenes(4, tmp_path / "kept.npz")
    assert (tmp_path / "kept.npz").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
