"""The reader of prompts: what surely means a kind is read as its nearest wording, all else as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from mfv2a.cli import main
from mfv2a.encoders.compact import CompactEncoders
from mfv2a.jobs.sound import SoundOptions
from mfv2a.loader import describe_model, load_pipeline
from mfv2a.models.reading import Reader, ReaderConfig, parts
from mfv2a.models.text import TextEncoder
from mfv2a.models.weights import load_network, save_network
from mfv2a.register import find_component, find_model
from mfv2a.scenes import CAPTIONS


def made_reader() -> Reader:
    """Kinds along the first two axes, none along the third; wordings at the axes and between them."""
    reader = Reader(ReaderConfig(wordings=[["rain", "heavy rain"], ["dog"]], width=3))
    reader.kind.weight.data.copy_(8 * torch.eye(3))
    reader.kind.bias.data.zero_()
    reader.vectors.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.0, 0.6], [0.0, 1.0, 0.0]]))
    reader.config = replace(reader.config, near=1.1)
    return reader


RAIN, HEAVY, DOG, NONE = ([1.0, 0.0, 0.0], [0.8, 0.0, 0.59], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("vectors", "read"),
    [
        ([RAIN], "rain"),
        ([HEAVY], "heavy rain"),
        ([DOG], "dog"),
        ([NONE], ""),
        ([[0.7, 0.7, 0.0]], ""),  # as likely the one as the other
        ([RAIN, RAIN, NONE], "rain"),
        ([RAIN, RAIN, DOG], ""),
        ([RAIN, NONE, NONE], "rain"),
        ([RAIN, [0.7, 0.7, 0.0]], "rain"),
    ],
)
def test_a_prompt_is_read_as_the_nearest_wording_of_the_one_kind_it_surely_means(
    vectors: list[list[float]], read: str
) -> None:
    assert made_reader().read(torch.tensor(vectors)) == read


def test_the_surer_it_must_be_the_less_is_read_as_something_else() -> None:
    reader = made_reader()
    likely = torch.tensor([[0.6, 0.5, 0.0]])
    probability = float(reader(likely)[0, 0].detach())
    assert 0.6 < probability < 0.75
    assert reader.read(likely) == "rain"
    reader.config = replace(reader.config, sure=probability + 0.01)
    assert reader.read(likely) == ""


@pytest.mark.parametrize(("near", "read"), [(0.99, "rain"), (0.97, "")])
def test_what_nearly_is_a_wording_stays_as_it_is(near: float, read: str) -> None:
    reader = made_reader()
    reader.config = replace(reader.config, near=near)
    assert reader.read(torch.tensor([[0.98, 0.0, 0.0]])) == read
    assert reader.read(torch.tensor([RAIN])) == ""


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a dog barks", []),
        ("a dog barks while rain falls", ["a dog barks", "rain falls"]),
        ("hammering, then glass breaks AND rain", ["hammering", "glass breaks", "rain"]),
        ("sandy grass in overcast weather", []),  # no word of them alone
        (", ", []),
        ("", []),
    ],
)
def test_what_a_prompt_names_is_told_apart(prompt: str, found: list[str]) -> None:
    assert parts(prompt) == found


def test_a_reader_is_stored_and_read_back(tmp_path: Path) -> None:
    path = save_network(tmp_path / "reader.safetensors", "reader", made_reader())
    back, _ = load_network(path, "reader")
    assert isinstance(back, Reader)
    assert back.config.near == 1.1
    assert [back.read(torch.tensor([each])) for each in (RAIN, HEAVY, DOG, NONE)] == [
        *("rain", "heavy rain", "dog"),
        "",
    ]


@pytest.fixture(scope="module")
def encoders() -> CompactEncoders:
    found = load_pipeline("embedded", device="cpu", generator=False).encoders
    assert isinstance(found, CompactEncoders)
    return found


def test_the_shipped_one_reads_captions_that_nobody_learned_from(encoders: CompactEncoders) -> None:
    kinds = {wording: kind for kind, found in CAPTIONS.items() for wording in found.training}
    right = wrong = 0
    asked = [(kind, text) for kind, found in CAPTIONS.items() for text in found.held_out]
    for (kind, _), words in zip(asked, encoders.encode_text([text for _, text in asked]), strict=True):
        right += kinds.get(words.read_as) == kind
        wrong += words.read_as != "" and kinds[words.read_as] != kind
    assert right / len(asked) > 0.8
    assert wrong / len(asked) < 0.03


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("drizzle pattering on a canopy", "rain"),
        ("a puppy yapping", "dog_bark"),
        ("rain on tin roof", ""),  # as good as a wording that it knows
        ("someone speaks on the telephone", ""),
        ("a piano melody", ""),
        ("a dog barks while rain falls", ""),
        ("cinematic, high quality", ""),
        (CompactEncoders.ambience, ""),
        ("  ", ""),
        ("", ""),
    ],
)
def test_free_prompts_are_read_as_what_they_mean(encoders: CompactEncoders, prompt: str, kind: str) -> None:
    (words,) = encoders.encode_text([prompt])
    text, read = TextEncoder.from_assets(), words.read_as
    assert read in (CAPTIONS[kind].training if kind else [""])
    torch.testing.assert_close(words.tokens, text.encode([read or prompt])[0][0], atol=1e-5, rtol=0)


def test_words_are_taken_as_written_where_that_is_asked_for(encoders: CompactEncoders) -> None:
    plain = load_pipeline("embedded", device="cpu", generator=False, as_written=True).encoders
    assert isinstance(plain, CompactEncoders)
    prompt = "drizzle pattering on a canopy"
    (asked,), (read,) = plain.encode_text([prompt]), encoders.encode_text([prompt])
    assert asked.read_as == ""
    assert not torch.equal(asked.tokens, read.tokens)
    info = describe_model("embedded")
    assert "as_written" not in SoundOptions().settings(info)
    assert SoundOptions(as_written=True).settings(info)["as_written"] is True


def test_the_reader_is_one_of_the_models_files() -> None:
    reader = find_component(find_model("embedded"), "reader")
    assert Path(reader.path).stat().st_size < 1 << 20


def test_a_sound_tells_what_its_prompt_was_read_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["tta", "a puppy yapping", "--duration", "1", "--json", "--out", "a.wav"]
    assert main(command) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["read_as"] in CAPTIONS["dog_bark"].training
    assert "read as '" in printed.err
    assert main([*command, "--as-written"]) == 0
    printed = capsys.readouterr()
    assert "read_as" not in json.loads(printed.out)
    assert "read as" not in printed.err


def test_what_names_very_many_things_is_not_read_part_by_part() -> None:
    asked: list[int] = []

    class Text:
        def encode(self, prompts: list[str]) -> tuple[list[torch.Tensor], torch.Tensor]:
            asked.append(len(prompts))
            return [torch.zeros(2, 3) for _ in prompts], torch.tensor([[1.0, 0.0, 0.0]]).expand(len(prompts), 3)

    unused: Any = None
    encoders = CompactEncoders(sync=unused, text=cast(Any, Text()), load_recognizer=unused, reader=made_reader())
    few, many = encoders.encode_text(["; ".join(["rain"] * 3), "; ".join(["rain"] * 5000)])
    assert (few.read_as, many.read_as) == ("rain", "")
    assert max(asked) < 10
