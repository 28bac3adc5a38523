"""Networks that measure: those of others on pseudo-weights, their front ends, and the doors to packages.

`tests/golden/judges/io.safetensors` holds what panns_inference 0.1.1 (Cnn14 at 16 kHz) and torchvggish 0.2 gave for
the same weights and waves, and the mel filters of the former.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

from golden.fill import fill
from mfv2a.errors import CheckpointError, ConfigError
from mfv2a.evaluation.embeddings import PannsEmbedding, PasstEmbedding, VggishEmbedding
from mfv2a.media.ffmpeg import find_ffmpeg
from mfv2a.models.clap_score import build_clap, load_clap
from mfv2a.models.cnn14 import Cnn14, Cnn14Config
from mfv2a.models.desync import Desync, DesyncConfig, SpectrogramTransformer
from mfv2a.models.imagebind import ImageBind, picture_pairs, picture_places, sound_stretches, stretch_starts
from mfv2a.models.upstream import load_public
from mfv2a.models.vggish import VGGish, VGGishConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "judges" / "io.safetensors"
WAVE = (0.1 * np.random.RandomState(5).standard_normal((2, 16000 * 3))).astype(np.float32)


def seeded(network: torch.nn.Module) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.mark.slow
def test_cnn14_gives_the_numbers_of_the_reference(tmp_path: Path) -> None:
    golden = load_file(GOLDEN)
    network = Cnn14(Cnn14Config())
    state = {"logmel_extractor.melW": torch.from_numpy(golden["cnn14.melW"])}
    state |= {"spectrogram_extractor.stft.conv_real.weight": torch.zeros(257, 1, 512)}  # dropped
    for key, value in network.state_dict().items():
        if key != "filters":
            state[key] = torch.from_numpy(fill(key, value.shape)) if value.is_floating_point() else value
    torch.save({"model": state}, tmp_path / "Cnn14.pth")
    embeddings, logits = load_public("cnn14", "16k", tmp_path / "Cnn14.pth")(torch.from_numpy(WAVE))
    np.testing.assert_allclose(embeddings, golden["cnn14.embeddings"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(torch.sigmoid(logits), golden["cnn14.probabilities"], atol=1e-5)


@pytest.mark.slow
def test_vggish_gives_the_numbers_of_the_reference(tmp_path: Path) -> None:
    state = {
        key: torch.from_numpy(fill(key, value.shape)) for key, value in VGGish(VGGishConfig()).state_dict().items()
    }
    torch.save(state, tmp_path / "vggish.pth")
    heard = VggishEmbedding(load_public("vggish", "public", tmp_path / "vggish.pth")).hear([WAVE[0]])
    np.testing.assert_allclose(heard[0].embeddings, load_file(GOLDEN)["vggish.embeddings"], rtol=1e-4, atol=1e-5)


def test_the_spectrogram_transformer_is_that_of_transformers() -> None:
    library = pytest.importorskip("transformers")
    ours = seeded(SpectrogramTransformer(DesyncConfig.tiny()))
    sizes = library.ASTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=96, max_length=66
    )
    theirs = library.ASTModel(sizes).eval()

    def renamed(key: str) -> str:
        key = re.sub(r"(\d+)\.attention\.attention\.(.)\w+", r"\1.attention.\2_proj", key)
        key = key.replace("attention.output.dense", "attention.o_proj").replace("intermediate.dense", "mlp.fc1")
        return key.replace("output.dense", "mlp.fc2").replace("encoder.layer", "layers")

    theirs.load_state_dict({renamed(key): value for key, value in ours.state_dict().items()})
    mel = torch.randn(2, 128, 66, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(mel), theirs(mel.transpose(1, 2)).last_hidden_state)


def test_the_whole_synchformer_has_as_many_values_as_its_file_has_room_for() -> None:
    with torch.device("meta"):
        network = Desync(DesyncConfig())
    values = sum(value.numel() for value in network.state_dict().values())
    dropped = 768 * 3 * 16 * 16 + 768  # a patch embedding that takes no part
    spare = 950_058_171 - 4 * (values + dropped)
    assert 0 < spare < 500 * (len(network.state_dict()) + 2)  # names and places of the tensors
    assert tuple(network.transformer.pos_emb_cfg["pos_emb"].shape) == (1, 198, 768)


def test_the_offset_is_of_the_grid_of_the_first_and_last_window_and_needs_them_whole() -> None:
    network = seeded(Desync(DesyncConfig.tiny()))
    frames = torch.rand(150, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    wave = torch.from_numpy(np.resize(WAVE, 6 * 16000))
    with torch.no_grad():
        offsets = network(frames, wave)
        visual = network.vfeat_extractor.encode(frames[None])[0].unflatten(0, (-1, 8))
        audio = network.hear(wave)
        count = min(len(visual), len(audio))
        last = network.transformer(
            network.vproj(visual[:count][-14:]).flatten(0, 1)[None],
            network.aproj(audio[:count][-14:]).flatten(0, 1)[None],
        )
    grid = torch.linspace(-2, 2, 21)
    assert offsets.shape == (2,)
    assert offsets[1] == grid[last.argmax()]
    with pytest.raises(ConfigError, match=r"4\.8 s"):
        network(frames[:100], wave)


def test_segments_are_064_s_each_032_s_and_normalised() -> None:
    mel = Desync(DesyncConfig.tiny()).segments(torch.zeros(16000 * 5))
    assert mel.shape == (14, 128, 66)
    silent = (np.log(1e-6) + 4.2677393) / (2 * 4.5689974)
    torch.testing.assert_close(mel[..., :65], torch.full((14, 128, 65), silent, dtype=torch.float32))
    torch.testing.assert_close(mel[..., 65], torch.full((14, 128), 4.2677393 / (2 * 4.5689974)))


def test_sounds_alone_are_heard_as_in_a_batch() -> None:
    judge = PannsEmbedding(seeded(Cnn14(Cnn14Config.tiny())))
    waves = [WAVE[0], WAVE[1][:20_000], WAVE[1], np.zeros(50, np.float32)]
    together, alone = judge.hear(waves), [judge.hear([wave])[0] for wave in waves]
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(ours.embeddings, theirs.embeddings, rtol=1e-4, atol=1e-6)
        assert ours.logits is not None
        assert ours.logits.shape == (7,)


def test_vggish_hears_a_row_for_each_whole_096_s() -> None:
    judge = VggishEmbedding(seeded(VGGish(VGGishConfig.tiny())))
    heard = judge.hear([WAVE[0], WAVE[0][:100]])
    assert [each.embeddings.shape for each in heard] == [(3, 8), (1, 8)]
    assert heard[0].logits is None


def test_passt_gets_ten_seconds_and_its_output_is_cut_into_logits_and_values() -> None:
    class StandIn(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(1))

        def forward(self, wave: torch.Tensor) -> torch.Tensor:
            assert wave.shape[1] == 320_000
            return torch.arange(1295.0).expand(len(wave), -1) * self.gain

    heard = PasstEmbedding(StandIn()).hear([WAVE[0], np.zeros(400_000, np.float32)])
    assert heard[0].embeddings.shape == (1, 768)
    assert heard[0].embeddings[0, 0] == 527
    assert heard[1].logits is not None
    assert heard[1].logits.shape == (527,)
    assert heard[1].top == 526


@pytest.mark.slow
@pytest.mark.skipif(find_spec("hear21passt") is None, reason="hear21passt is not installed")
def test_passt_of_the_package_loads_a_file_strictly_and_prints_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mfv2a.models.passt import Passt, load_passt

    network = Passt()
    torch.save(network.whole.net.state_dict(), tmp_path / "passt.pt")
    judge = PasstEmbedding(load_passt(tmp_path / "passt.pt"))
    first, second = judge.hear([np.resize(WAVE[0], 320_000), WAVE[1]])
    assert np.isfinite(first.embeddings).all()
    assert np.abs(first.embeddings - second.embeddings).max() > 0
    torch.save({"odd": torch.zeros(1)}, tmp_path / "odd.pt")
    with pytest.raises(CheckpointError, match="does not fit"):
        load_passt(tmp_path / "odd.pt")
    assert capsys.readouterr().out == ""


def test_imagebind_cuts_clips_as_its_authors_do() -> None:
    assert stretch_starts(8.0, 3) == [0.0, 3.0, 6.0]
    assert stretch_starts(1.0, 3) == [0.0, 0.0, 0.0]
    sounds = sound_stretches(torch.from_numpy(np.resize(WAVE, 8 * 16000)))
    assert sounds.shape == (3, 1, 128, 204)


def test_imagebind_looks_at_each_picture_and_its_next_in_three_crops() -> None:
    frames = torch.zeros(4, 240, 320, 3, dtype=torch.uint8)
    frames[:, :, :160] = 255  # left half white
    frames[2:] = 255
    pictures = picture_pairs(frames)
    assert pictures.shape == (9, 3, 2, 224, 224)
    white = (1 - 0.48145466) / 0.26862954

    def shares(pair: int, picture: int) -> list[float]:
        crops = pictures[3 * pair : 3 * pair + 3, 0, picture]
        return [float((crop > white / 2).float().mean()) for crop in crops]

    half = pytest.approx([149 / 224, 0.5, 75 / 224], abs=0.01)
    assert (shares(0, 0), shares(0, 1), shares(1, 0), shares(1, 1)) == (half, half, half, [1.0, 1.0, 1.0])
    assert picture_pairs(frames[:1]).shape == (3, 3, 2, 224, 224)


def test_imagebinds_pictures_are_those_of_ffmpegs_filter_of_frame_rates(tmp_path: Path) -> None:
    numbers, out = "color=black:s=16x16:r=25:d=10.4,geq=lum='N':cb=128:cr=128,format=gray", tmp_path / "out.raw"
    for more, path in ((",fps=0.5", out), ("", tmp_path / "all.raw")):
        command = [find_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", numbers + more, "-f", "rawvideo", path]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    shown, taken = (np.frombuffer(path.read_bytes(), np.uint8)[::256] for path in (tmp_path / "all.raw", out))
    assert shown[picture_places(260)].tolist() == taken[:5].tolist()
    assert picture_places(200) == [24, 74, 124, 174]
    assert picture_places(10) == [9]


def test_imagebind_is_asked_by_modality() -> None:
    class StandIn(torch.nn.Module):
        def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {name: torch.full((1, 4), float(value.ndim)) for name, value in inputs.items()}

    judge = ImageBind(StandIn())
    assert judge.hear(torch.from_numpy(WAVE[0])).tolist() == [5.0] * 4  # [1, 3, 1, 128, 204]
    assert judge.look(torch.zeros(30, 50, 40, 3, dtype=torch.uint8)).tolist() == [6.0] * 4


@pytest.fixture
def clap_files(tmp_path: Path) -> dict[str, Path]:
    """A small CLAP with random weights, laid out as its repo is."""
    pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    text = {
        "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "projection_dim": 8, "max_position_embeddings": 90,
    }  # fmt: skip
    audio = {
        "patch_embeds_hidden_size": 8, "hidden_size": 16, "depths": [1, 1], "num_attention_heads": [2, 2],
        "num_hidden_layers": 2, "projection_dim": 8, "spec_size": 256, "num_mel_bins": 64, "window_size": 8,
    }  # fmt: skip
    config = {"text_config": text, "audio_config": audio, "projection_dim": 8, "model_type": "clap"}
    network = build_clap(config)
    paths = {name: tmp_path / f"{name}.json" for name in ("config", "preprocessor", "tokenizer")}
    paths["config"].write_text(json.dumps(config))
    settings = {"truncation": "rand_trunc", "frequency_min": 50, "feature_extractor_type": "ClapFeatureExtractor"}
    paths["preprocessor"].write_text(json.dumps(settings))
    words = {word: place for place, word in enumerate(["<s>", "<pad>", "</s>", "a", "dog", "barks", "rain"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(paths["tokenizer"]))
    paths["weights"] = tmp_path / "model.safetensors"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, paths["weights"])
    return paths


def test_clap_is_filled_from_files_and_gives_unit_vectors(clap_files: dict[str, Path]) -> None:
    judge = load_clap(clap_files)
    wave = np.resize(WAVE, 48_000 * 2)
    heard, read = judge.hear(wave), judge.read("a dog barks")
    assert heard.shape == read.shape == (8,)
    assert float(heard.norm()) == pytest.approx(1.0, abs=1e-5)
    assert float(read.norm()) == pytest.approx(1.0, abs=1e-5)
    assert (judge.read("a dog barks") == read).all()
    assert (judge.read("rain") != read).any()
    assert judge.read(" ".join(["dog"] * 200)).shape == (8,)
    long = np.concatenate([np.resize(wave, 480_000), np.ones(48_000, np.float32)])
    assert (judge.hear(long) == judge.hear(long[:480_000])).all()  # nothing is drawn


def test_clap_with_another_networks_weights_is_refused(clap_files: dict[str, Path]) -> None:
    save_file({"odd": torch.zeros(1)}, clap_files["weights"])
    with pytest.raises(CheckpointError, match="does not fit CLAP"):
        load_clap(clap_files)


def test_no_judge_is_imported_before_its_weights_are_there() -> None:
    code = (
        "import sys; from mfv2a.jobs.judges import load_judges; from mfv2a.evaluation.measures import all_names;"
        "load_judges(all_names()); print([n for n in ('hear21passt', 'imagebind', 'transformers', 'timm') "
        "if n in sys.modules])"
    )
    import os
    import subprocess

    home = {"MFV2A_HOME": "/nowhere", "HF_HUB_CACHE": "/nowhere"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **home})
    assert done.stdout.strip() == "[]", done.stderr


def test_desync_and_scores_are_none_where_there_is_too_little() -> None:
    from mfv2a.jobs.crossing import against_pictures, offsets_s
    from mfv2a.jobs.judges import Judges
    from mfv2a.jobs.measure import Sound
    from mfv2a.jobs.pairing import Pair

    network = seeded(Desync(DesyncConfig.tiny()))
    assert isinstance(network, Desync)
    frames = np.zeros((130, 224, 224, 3), np.uint8)
    long, short = Sound(np.resize(WAVE, 16000 * 5), 16000), Sound(WAVE[0], 16000)
    assert offsets_s(network, frames, [short]) == [None]
    assert offsets_s(network, frames[:100], [long, long]) == [None, None]
    (offset,) = offsets_s(network, frames, [long])
    assert offset is not None
    assert 0 <= offset <= 2
    pair = Pair(key="a", reference=Path("a"), generated=(Path("b"),))
    judges = Judges(sync=network, pictures=SimpleNamespace())  # type: ignore[arg-type]
    assert against_pictures(pair, [long], judges) == [{"imagebind": None, "desync": None}]
