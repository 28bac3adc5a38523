"""The prompt that a video carries in its name or its tags; what is no prompt is none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from made_videos import make_video
from mfv2a.errors import MediaError
from mfv2a.jobs.carried import carried_prompt, prompt_of_tags, words_of_name
from mfv2a.media.mux import mux_audio, plan_mux
from mfv2a.media.tags import STATEMENT
from mfv2a.media.video import probe_video
from mfv2a.records import Audio


@pytest.mark.parametrize(
    ("stem", "words"),
    [
        ("a_dog-barking_in.the rain", "a dog barking in the rain"),
        ("ocean", "ocean"),
        ("footsteps_on_gravel_00012_", "footsteps on gravel"),
        ("sora_a_gun_shot_echoes_20240601T120301_1080p", "a gun shot echoes"),
        ("DogBarkingAtNight", "Dog Barking At Night"),
        ("rain-on-tin-4f3a9c2b7d", "rain on tin"),
        ("rain 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "rain"),
        ("Thunder over the lake [dQw4w9WgXcQ]", "Thunder over the lake"),
        ("the baker's oven", "the baker's oven"),
        ("Hämmern_im_Wald", "Hämmern im Wald"),
        ("狗在叫_0001", "狗在叫"),
        ("IMG_0001", ""),
        ("VID_20240101_123456", ""),
        ("ComfyUI_00042_", ""),
        ("AnimateDiff_00003-audio", ""),
        ("Screen Recording 2024-01-01 at 12.00.00", ""),
        ("untitled (1)", ""),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", ""),
        ("deadbeefcafe", ""),
        ("dQwWgXcQaBc", ""),
        ("xkcd_qwrt", ""),
        ("00012", ""),
        ("scene-001", ""),
        ("", ""),
        (os.fsdecode(b"caf\xe9_rain"), "caf rain"),
    ],
)
def test_the_words_of_a_name_are_its_prompt_and_numbers_and_hashes_are_not(stem: str, words: str) -> None:
    assert words_of_name(stem) == words
    words.encode()


GRAPH: dict[str, Any] = {
    "3": {"class_type": "KSampler", "inputs": {"positive": ["6", 0], "negative": ["7", 0], "seed": 5}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a dog barks\nin rain", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x.safetensors"}},
}
THROUGH_OTHERS: dict[str, Any] = {
    "1": {"class_type": "KSampler", "inputs": {"positive": ["2", 0], "negative": ["2", 1]}},
    "2": {"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["3", 0], "negative": ["4", 0]}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": ["5", 0]}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry"}},
    "5": {"class_type": "PrimitiveString", "inputs": {"value": "a door slams"}},
}
GUIDER: dict[str, Any] = {
    "1": {"class_type": "BasicGuider", "inputs": {"conditioning": ["2", 0], "model": ["9", 0]}},
    "2": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["3", 0], "guidance": 3.5}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "waves"}},
}
ONE_NODE: dict[str, Any] = {
    "1": {"class_type": "WanVideoTextEncode", "inputs": {"positive_prompt": "a train", "negative_prompt": "bad"}},
    "2": {"class_type": "WanVideoSampler", "inputs": {"text_embeds": ["1", 0]}},
}
TWO_WISHES: dict[str, Any] = {
    **GRAPH,
    "8": {"class_type": "KSampler", "inputs": {"positive": ["9", 0], "negative": ["7", 0]}},
    "9": {"class_type": "CLIPTextEncode", "inputs": {"text": "another thing"}},
}
LOOP: dict[str, Any] = {
    "1": {"class_type": "KSampler", "inputs": {"positive": ["2", 0]}},
    "2": {"class_type": "Reroute", "inputs": {"conditioning": ["3", 0]}},
    "3": {"class_type": "Reroute", "inputs": {"conditioning": ["2", 0]}},
}


@pytest.mark.parametrize(
    ("graph", "prompt"),
    [
        (GRAPH, "a dog barks in rain"),
        (THROUGH_OTHERS, "a door slams"),
        (GUIDER, "waves"),
        (ONE_NODE, "a train"),
        (TWO_WISHES, ""),
        (LOOP, ""),
    ],
)
def test_a_graph_gives_the_text_that_steers_its_sampler(graph: dict[str, Any], prompt: str) -> None:
    assert prompt_of_tags({"prompt": json.dumps(graph)}) == prompt
    assert prompt_of_tags({"COMMENT": json.dumps({"prompt": json.dumps(graph), "workflow": {"nodes": []}})}) == prompt
    assert prompt_of_tags({"comment": json.dumps({"prompt": graph})}) == prompt


@pytest.mark.parametrize(
    ("tags", "prompt"),
    [
        ({"comment": "a dog barks at night"}, "a dog barks at night"),
        ({"comment": f"{STATEMENT}: mfv2a 1, model x", "description": "rain on roof"}, "rain on roof"),
        ({"comment": f"{STATEMENT}: mfv2a 1, model x"}, ""),
        ({"title": "Thunder over the lake", "encoder": "Lavf61"}, "Thunder over the lake"),
        ({"title": "A title", "description": "waves on a beach"}, "waves on a beach"),
        ({"comment": "https://example.org/watch?v=1", "title": "Waves"}, "Waves"),
        ({"com.apple.quicktime.description": "two\nlines here"}, "two lines here"),
        ({"parameters": "(a dog:1.2) barks <lora:x:1>\nNegative prompt: cat\nSteps: 20, Seed: 1"}, "a dog barks"),
        ({"comment": "rain falls\nSteps: 20, Sampler: Euler"}, "rain falls"),
        ({"comment": '{"positive_prompt": "a bell", "seed": 3}'}, "a bell"),
        ({"comment": '{"prompt": "a bell rings", "negative_prompt": "x"}'}, "a bell rings"),
        ({"title": "VID_20240101"}, ""),
        ({"comment": "vid:v12044gd0000c"}, ""),
        ({"comment": '{"workflow": {"nodes": []}}'}, ""),
        ({"comment": '{"prompt": '}, ""),
        ({"comment": "[1, 2]"}, ""),
        ({"comment": "<xmp>a dog</xmp>"}, ""),
        ({"comment": "word " * 500}, ""),
        ({"comment": "[" * 100_000}, ""),
        ({"comment": " \0"}, ""),
        ({"artist": "a dog barks", "encoder": "Lavf61.1.100"}, ""),
        ({}, ""),
    ],
)
def test_tags_give_a_prompt_only_where_one_stands(tags: dict[str, str], prompt: str) -> None:
    assert prompt_of_tags(tags) == prompt


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_the_tags_of_a_file_are_read(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / f"x{suffix}", seconds=0.3)
    info = probe_video(source)
    quiet = Audio(samples=np.zeros(4800, np.float32), sample_rate_hz=48000)
    tagged = mux_audio(info, quiet, tmp_path / f"y{suffix}", plan_mux(info), tags={"comment": json.dumps(GRAPH)})
    assert carried_prompt(tagged, "metadata") == "a dog barks in rain"
    assert carried_prompt(tagged, "none") == ""
    assert carried_prompt(source, "metadata") == ""
    with av.open(str(tagged)) as container:
        assert any(key.lower() == "comment" for key in container.metadata)


def test_a_file_without_tags_to_read_is_an_error_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(MediaError):
        carried_prompt(tmp_path / "a.mp4", "metadata")
