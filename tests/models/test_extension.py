"""The bandwidth extension: the lower octave as it was, the upper one as loud as told and as sharp in time."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mfv2a.errors import ConfigError
from mfv2a.jobs.evaluate import through_codec
from mfv2a.loader import load_pipeline
from mfv2a.models.extension import FLOOR, BandwidthExtension, Extended, ExtensionConfig
from mfv2a.models.istft import ISTFTConfig, ISTFTVocoder
from mfv2a.models.resampling import resample
from mfv2a.models.weights import load_network, save_network
from mfv2a.pipeline import SampleOptions
from mfv2a.register import find_model
from mfv2a.timeline import crossfade

RATE = 16000


@pytest.fixture
def network() -> BandwidthExtension:
    torch.manual_seed(0)
    return BandwidthExtension(ExtensionConfig.tiny()).eval().requires_grad_(False)


def noise(seconds: float = 1.0, level: float = 0.1, seed: int = 0) -> Tensor:
    """White noise [1, S]."""
    generator = torch.Generator().manual_seed(seed)
    return level * torch.randn((1, round(RATE * seconds)), generator=generator)


def middle(wave: Tensor) -> Tensor:
    """A wave [..., S] without its ends, where filters have too little to look at."""
    return wave[..., 512:-512]


def test_the_lower_octave_is_what_upsampling_gives(network: BandwidthExtension) -> None:
    wave = noise()
    wave = resample(resample(wave, 2, 1), 1, 2)  # nothing at the very edge of the octave
    wide = network(wave)
    assert wide.shape == (1, 2 * RATE)
    added = middle(wide - resample(wave, 1, 2))
    power = torch.fft.rfft(added * torch.hann_window(added.shape[1])).abs().square()[0]
    edge = round(0.95 * len(power) / 2)  # from there on the filter falls
    assert power[:edge].sum() < 1e-6 * power.sum()
    error = middle(resample(wide, 2, 1) - wave)
    assert error.square().mean() < 1e-3 * wave.square().mean()


@pytest.mark.parametrize("told", [-3.0, -1.0, 1.0])
def test_the_upper_octave_is_as_loud_as_told(network: BandwidthExtension, told: float) -> None:
    wave = noise()
    levels = torch.full((1, 16, wave.shape[1] // 64 + 1), told) + torch.linspace(0, -2, 16)[None, :, None]
    made = network.fill(network.spectrum(wave), levels, wave.shape[1])
    difference = (network.true_levels(made) - levels)[..., 4:-4].mean(-1)
    assert difference.abs().max() < 0.2  # 2 dB


def test_levels_of_both_octaves_are_on_one_scale(network: BandwidthExtension) -> None:
    generator = torch.Generator().manual_seed(1)
    wide = 0.1 * torch.randn((1, 2 * RATE), generator=generator)
    lower = network.levels(resample(wide, 2, 1))[:, :24, 4:-4].mean()  # its filter takes the last of the octave away
    assert abs(float(lower - network.true_levels(wide)[..., 4:-4].mean())) < 0.05
    expected = math.log10(0.01 * float(network.wide_window.square().sum()) / 4)
    assert abs(float(network.true_levels(wide)[..., 4:-4].mean()) - expected) < 0.1


def test_a_louder_wave_gets_a_louder_upper_octave(network: BandwidthExtension) -> None:
    wave = noise(level=0.02)
    assert torch.allclose(network(8 * wave), 8 * network(wave), atol=1e-3 * float((8 * wave).std()))


def test_silence_stays_silent(network: BandwidthExtension) -> None:
    assert network(torch.zeros(1, 4096)).abs().max() == 0
    assert network.levels(torch.zeros(1, 4096)).max() == pytest.approx(math.log10(FLOOR))


def test_a_strike_is_as_sharp_above_as_below(network: BandwidthExtension) -> None:
    wave = torch.zeros(1, RATE)
    wave[0, 8000:8016] = noise(seconds=0.001, level=0.5)
    spectrum = network.spectrum(wave)
    made = network.fill(spectrum, network.levels(wave).unflatten(1, (16, 2)).mean(2), wave.shape[1])[0]
    near = made[2 * 8000 - 96 : 2 * 8016 + 96].square().sum()  # 3 ms around it
    assert made.square().sum() > 0
    assert near > 0.9 * made.square().sum()


def test_pieces_that_overlap_agree_with_the_whole() -> None:
    torch.manual_seed(0)
    vocoder = Extended(
        ISTFTVocoder(ISTFTConfig.tiny()).eval(), BandwidthExtension(ExtensionConfig(dim=8, depth=4)).eval()
    )
    mel = torch.randn((80, 150), generator=torch.Generator().manual_seed(2)) - 1
    with torch.inference_mode():
        whole = vocoder(mel[None])[0]
        pieces = crossfade(lambda part: vocoder(part[None])[0], mel, chunk=60, overlap=32, hop=vocoder.hop, agree=True)
    assert whole.shape == pieces.shape == (150 * 512,)
    assert (whole - pieces).abs().max() < 1e-2 * whole.abs().max()


def test_it_is_stored_and_read_back(network: BandwidthExtension, tmp_path: Path) -> None:
    path = save_network(tmp_path / "extension.safetensors", "extension", network)
    back, _ = load_network(path, "extension")
    wave = noise()
    assert isinstance(back, BandwidthExtension)
    assert torch.equal(back(wave), network(wave))


OWN = """
[narrow]
role = "generator"
path = "{path}"
licence = "Apache-2.0"
licence_url = "https://www.apache.org/licenses/LICENSE-2.0"
layout = "compact"
sample_rate_hz = {rate}

[narrow.components]
vae = "embedded-vae"
sync = "embedded-sync"
vocoder = "embedded-vocoder"
reader = "embedded-reader"
{more}
"""


def own_register(folder: Path, monkeypatch: pytest.MonkeyPatch, *, more: str, rate: int) -> None:
    """A register with the embedded generator under another name."""
    text = OWN.format(path=find_model("embedded").path, more=more, rate=rate)
    (folder / "own.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("MFV2A_CHECKPOINTS", str(folder / "own.toml"))


def test_a_model_without_one_makes_the_lower_octave_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_register(tmp_path, monkeypatch, more="", rate=RATE)
    waves = {}
    for name in ("narrow", "embedded"):
        pipeline = load_pipeline(name, device="cpu")
        work = pipeline.prepare(None, prompt="a hard rain", duration_s=2.0, seed=1)
        latent = pipeline.sample([work], SampleOptions())[0]
        waves[name] = pipeline.decode(work, latent)
    assert (waves["narrow"].sample_rate_hz, waves["embedded"].sample_rate_hz) == (RATE, 2 * RATE)
    narrow, wide = (torch.from_numpy(wave.samples) for wave in waves.values())
    assert len(wide) == 2 * len(narrow) == 4 * RATE
    assert (resample(wide, 2, 1) - narrow).square().mean() < 0.01 * narrow.square().mean()
    power = torch.fft.rfft(wide).abs().square()
    upper = 10 * math.log10(power[len(power) // 2 :].mean() / power[len(power) // 4 : len(power) // 2].mean())
    assert -40 < upper < 0


@pytest.mark.parametrize(("more", "rate"), [("", 2 * RATE), ('extension = "embedded-extension"', RATE)])
def test_a_rate_that_is_not_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, rate: int
) -> None:
    own_register(tmp_path, monkeypatch, more=more, rate=rate)
    with pytest.raises(ConfigError, match=f"{rate}, but its sound is made at {3 * RATE - rate}"):
        load_pipeline("narrow", device="cpu")


def test_scenes_are_measured_at_the_rate_of_the_codec() -> None:
    pipeline = load_pipeline("embedded", device="cpu")
    wave = noise(seconds=2.048)[0].numpy()
    coded = through_codec(wave, pipeline)
    assert coded.shape == wave.shape
    spectrum = torch.fft.rfft(torch.from_numpy(coded)).abs()
    assert spectrum[len(spectrum) // 2 :].square().mean() > 0.1 * spectrum.square().mean()  # white up to 8 kHz


def test_an_extension_without_a_vocoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_register(tmp_path, monkeypatch, more='extension = "embedded-extension"', rate=2 * RATE)
    path = tmp_path / "own.toml"
    path.write_text(path.read_text().replace('vocoder = "embedded-vocoder"\n', ""))
    with pytest.raises(ConfigError, match="an extension and no vocoder"):
        load_pipeline("narrow", device="cpu")


def test_what_is_told_hangs_on_the_upper_half_of_what_is_heard_around_it(network: BandwidthExtension) -> None:
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    levels = torch.linspace(-1, -5, 32)[None, :, None].repeat(1, 1, 20)
    told = network.tell(levels)
    assert torch.allclose(told, levels[:, 16:].mean(1, keepdim=True).expand(1, 16, 20), atol=1e-5)
    levels[..., 10:] += 2
    rise = (network.tell(levels) - told)[0, 0].tolist()
    assert rise == pytest.approx([0] * 8 + [0.4, 0.8, 1.2, 1.6] + [2] * 8, abs=1e-4)


def test_levels_go_evenly_from_band_to_band(network: BandwidthExtension) -> None:
    wave = torch.zeros(1, 4096)
    wave[0, 2048] = 0.5  # as much in each bin
    spectrum = network.spectrum(wave)
    levels = torch.linspace(0, -6, 16)[None, :, None].expand(1, 16, spectrum.shape[2])  # 4 dB from band to band
    made = network.fill(spectrum, levels, 4096)
    wide = torch.stft(made, 512, 128, window=network.wide_window, pad_mode="constant", return_complex=True)
    bins = 20 * wide[0, 136:251, 32].abs().log10()
    assert bins.diff().abs().max() < 1.5
