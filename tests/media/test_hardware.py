"""Where videos are decoded."""

from __future__ import annotations

import pytest

from mfv2a.errors import ConfigError
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
