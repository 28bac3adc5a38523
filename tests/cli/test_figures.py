"""The table of `mfv2a evaluate` for people."""

from __future__ import annotations

from typing import Any

import pytest
from rich.table import Table

from mfv2a.cli.figures import print_figures, print_whole

ROW: dict[str, Any] = {
    "a": 0.7557, "b": 0.7123, "difference": -0.0434, "value": 0.7557, "low": -0.0999, "high": 0.0123,
    "share_a_better": 0.864, "unit": "nepers", "better": "lower", "clips": 103,
}  # fmt: skip


@pytest.mark.parametrize(("generated", "columns"), [(["one", "four"], "80"), (["one", "four"], "200"), (["one"], "80")])
def test_no_figure_is_cut_off_on_a_narrow_screen(
    generated: list[str], columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    report = {
        "shortened": 0, "lengths": {}, "pairs": 103, "generated": generated, "reference": "true", "left_out": {},
        "measures": {"mel_cepstral_distortion": ROW},
    }  # fmt: skip
    print_figures(report)
    text = capsys.readouterr().out
    wanted = ["mel_cepstral_distortion", "0.7557", "-0.0999", "0.0123", "nepers", "low", "103"]
    wanted += ["0.7123", "-0.0434", "86.4%"] if len(generated) == 2 else []
    assert all(figure in text for figure in wanted)
    assert "…" not in text
    assert "clips ┃" in text


def test_times_of_four_settings_are_whole_on_a_narrow_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stages = {"decode": 0.7223, "sample": 0.1011, "total": 1.4212}
    table = Table()
    for number in range(4):
        for stage in stages:
            table.add_column(f"{stage}, setting {number}", justify="right")
    table.add_row(*(f"{seconds:.4f}" for _ in range(4) for seconds in stages.values()))
    print_whole(table)
    text = capsys.readouterr().out
    assert text.count("0.7223") == text.count("1.4212") == 4
    assert "…" not in text


@pytest.mark.parametrize(("generated", "word"), [(["one"], "not of this bias"), (["one", "four"], "without interval")])
def test_a_figure_that_hangs_on_the_number_of_clips_is_told(
    generated: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = ROW if len(generated) == 1 else {**ROW, "low": None, "high": None, "share_a_better": None}
    report = {
        "lengths": {}, "pairs": 103, "true_sounds": 103, "generated": generated, "reference": "true", "left_out": {},
        "measures": {"kernel_yamnet": row, "frechet_yamnet": {**row, "biased": True}},
    }  # fmt: skip
    print_figures(report)
    lines = capsys.readouterr().out.splitlines()
    (told,) = [line for line in lines if "biased" in line]
    assert told.startswith("frechet_yamnet: biased by the number of clips")
    assert word in told
    assert "kernel distance" in told
