"""Where videos are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mfv2a.errors import ConfigError
from mfv2a.jobs.dub import DubOptions
from mfv2a.jobs.sound import SoundOptions
from mfv2a.jobs.start import Started
from mfv2a.media import hardware


def test_auto_takes_the_gpu_that_is_there_and_else_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "decoder_fault", lambda: "")
    assert [hardware.choose_decoder(device) for device in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]
    monkeypatch.setattr(hardware, "decoder_fault", lambda: "there is none")
    assert [hardware.choose_decoder(device) for device in ("auto", "cpu")] == ["cpu", "cpu"]


def test_a_gpu_that_does_not_decode_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "decoder_fault", lambda: "there is none")
    with pytest.raises(ConfigError, match="there is none") as caught:
        hardware.choose_decoder("cuda")
    assert "--decode-device cpu" in caught.value.hint


class Gpu:
    """What FFmpeg is asked for, and whether it opens it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, shares: bool) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.shares = shares
        monkeypatch.setattr(hardware, "HWAccel", self.accelerate)
        monkeypatch.setattr("av.codec.CodecContext.create", self.create)

    def accelerate(self, kind: str, *, device: str, options: dict[str, object], **_: object) -> dict[str, object]:
        assert kind == "cuda"
        self.asked.append((device, options))
        return options

    def create(self, *_: object, hwaccel: dict[str, object]) -> None:
        if hwaccel and not self.shares:
            raise OSError(95, "Operation not supported")


@pytest.fixture
def unknown() -> Iterator[None]:
    hardware.use_gpu(0)
    yield
    hardware.use_gpu(0)


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize(("shares", "options"), [(True, {"primary_ctx": "1"}), (False, {})])
def test_the_gpu_of_the_networks_decodes_in_their_context_where_ffmpeg_shares_it(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object], *, shares: bool
) -> None:
    gpu = Gpu(monkeypatch, shares=shares)
    hardware.use_gpu(2)
    assert hardware.choose_decoder("auto") == "cuda"
    gpu.asked.clear()
    hardware.opening("cuda")
    assert gpu.asked == [("2", options)]


@pytest.mark.usefixtures("unknown")
def test_networks_on_the_processor_have_videos_decoded_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Gpu(monkeypatch, shares=True)
    options = DubOptions(out=tmp_path, sound=SoundOptions(model="tiny", device="cpu"))
    for asked, wanted in (("auto", "cpu"), ("cuda", "cuda"), ("cpu", "cpu")):
        started = Started(replace(options, decode_device=asked), lambda item, stage: None, cores=1)
        assert started._stages._decode_device == wanted
