"""Sounds that are held out: the committed list, and what honours it."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from mfv2a.config import ExtractConfig, load_toml
from mfv2a.errors import ConfigError
from mfv2a.jobs.items import load_sounds, named_files, read_sounds, scene_item, short_sounds, sound_item
from mfv2a.media.audio import write_audio
from mfv2a.records import Audio

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("split_sounds"), importlib.import_module("sound_list").read_list()


@pytest.fixture
def sfx(tmp_path):
    """Six sounds of three labels, and a list of two of them."""
    index = ["file\tseconds\tlabel\ttitle\tset\tlicence"]
    (tmp_path / "audio").mkdir()
    for k in range(6):
        wave = (0.3 * np.random.default_rng(k).standard_normal(8000)).astype(np.float32)
        write_audio(tmp_path / "audio" / f"{k}.wav", Audio(samples=wave, sample_rate_hz=16000))
        index.append(f"{k}.wav\t0.5\tthing {k // 2}\t\ta\tCC0")
    (tmp_path / "index.tsv").write_text("\n".join(index) + "\n", encoding="utf-8")
    (tmp_path / "list.tsv").write_text("part\tfile\nx\t1.wav\ny\t4.wav\n", encoding="utf-8")
    return tmp_path


def test_the_committed_list_is_what_the_script_makes(scripts):
    split, rows = scripts
    exclude = load_toml(ROOT / "examples/runs/embedded-1-sounds.toml", ExtractConfig).source.exclude
    held = split.split(rows, exclude)
    lines = split.HELD_OUT.read_text(encoding="utf-8").splitlines()
    assert lines == ["\t".join(split.FIELDS), *("\t".join(row[name] for name in split.FIELDS) for row in held)]
    assert split.split(rows[::-1], exclude) == held


def test_nobodys_recordings_of_a_label_are_in_both_parts(scripts):
    split, rows = scripts
    held = {row["file"]: row["part"] for row in split.split(rows, "")}
    groups, labels = {}, {}
    for row in rows:
        part = held.get(row["file"], "learned")
        groups.setdefault((row["label"], split.author_of(row)), set()).add(part)
        labels.setdefault(row["label"], set()).add(part)
    assert all(len(parts) == 1 for parts in groups.values())
    unseen = [parts for parts in labels.values() if split.LABELS in parts]
    assert len(unseen) > 40
    assert all(parts == {split.LABELS} for parts in unseen)
    assert all("learned" in parts for parts in labels.values() if split.RECORDINGS in parts)


def test_an_author_is_the_one_that_the_licence_names(scripts):
    split, _ = scripts
    assert split.author_of({"licence": "CC0 by kim", "set": "s"}) == "kim"
    assert split.author_of({"licence": "CC0-1.0", "set": "s"}) == "s"


def test_only_or_all_but_the_named_files_are_read(sfx):
    folder, table = str(sfx), str(sfx / "list.tsv")
    assert named_files(sfx / "list.tsv") == ["1.wav", "4.wav"]
    assert [sound.file for sound in load_sounds(folder, only_files=table)] == ["1.wav", "4.wav"]
    assert [sound.file for sound in load_sounds(folder, except_files=table)] == ["0.wav", "2.wav", "3.wav", "5.wav"]
    assert [sound.file for sound in load_sounds(folder, "thing 2", except_files=table)] == ["5.wav"]
    assert {sound.file for sound in short_sounds(folder, "", table)} == {"1.wav", "4.wav"}
    with pytest.raises(ConfigError, match="no sound"):
        load_sounds(folder, "thing 1", only_files=table)


def test_items_tell_their_file_and_none_is_of_a_held_out_one(sfx):
    folder, table = str(sfx), str(sfx / "list.tsv")
    files = {sound_item(folder, seed, 1.0, except_files=table)[1]["file"] for seed in range(20)}
    assert files == {"0.wav", "2.wav", "3.wav", "5.wav"}
    assert {sound_item(folder, seed, 1.0, only_files=table)[1]["file"] for seed in range(8)} == {"1.wav", "4.wav"}
    voices = {scene_item(seed, 1.0, folder, only_files=table)[1].get("voice") for seed in range(6)}
    assert voices <= {"thing 0", "thing 2", None}


def test_blank_and_short_lines_of_tables_are_passed_over_and_labels_stay_whole(sfx):
    (sfx / "list.tsv").write_text("part\tfile\nx\t1.wav\n\ny\nz\t4.wav\n\n", encoding="utf-8")
    assert named_files(sfx / "list.tsv") == ["1.wav", "4.wav"]
    index = "label\tfile\na bell\x85rings\t1.wav\n\nshort\nrain\u2028wind\t2.wav\n\n"
    (sfx / "index.tsv").write_text(index, encoding="utf-8")
    assert [sound.label for sound in load_sounds(str(sfx), "a|b")] == ["a bell\x85rings", "rain\u2028wind"]


def test_sounds_that_cannot_be_read_are_told_as_that(sfx):
    (sfx / "audio").rename(sfx / "elsewhere")
    with pytest.raises(ConfigError, match=r"none of the 2 sounds .* can be read: .*2\.wav") as caught:
        load_sounds(str(sfx), "thing 1")
    assert "audio" in caught.value.hint


@pytest.mark.parametrize("content", ["", "name\n1.wav\n", None])
def test_a_table_that_names_no_files_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "list.tsv").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"list\.tsv"):
        named_files(tmp_path / "list.tsv")


def test_sounds_that_cannot_be_read_are_counted(sfx, caplog):
    (sfx / "audio" / "1.wav").unlink()
    (sfx / "audio" / "4.wav").write_bytes(b"no sound")
    sounds, unread = read_sounds(str(sfx))
    assert [sound.file for sound in sounds] == ["0.wav", "2.wav", "3.wav", "5.wav"]
    assert [error.path.name for error in unread] == ["1.wav", "4.wav"]
    assert f"2 of 6 sounds of {sfx} cannot be read, first " in caplog.text
