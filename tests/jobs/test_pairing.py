"""Which sounds belong together: by name, by the lists of VGGSound and AudioCaps, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mfv2a.errors import ConfigError
from mfv2a.jobs.pairing import pair_folders


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_files_pair_by_their_place_up_to_the_suffix_and_the_rest_is_told(tmp_path: Path) -> None:
    made = lay(tmp_path / "made", "a.wav", "deep/b.2.flac", "c.mp4", "report.jsonl", ".hidden.wav", "b.wav")
    true = lay(tmp_path / "true", "a.mp4", "deep/b.2.mp4", "d.mp4", "a.json")
    found = pair_folders([made], true)
    assert [pair.key for pair in found.pairs] == ["a", "deep/b.2"]
    assert found.pairs[0].generated == (made / "a.wav",)
    assert found.pairs[0].picture == true / "a.mp4"
    assert found.alone == {"generated": ("b", "c"), "reference": ("d",)}


def test_accents_may_be_written_in_two_ways(tmp_path: Path) -> None:
    nfc, nfd = "caf\u00e9", "cafe\u0301"
    made, true = lay(tmp_path / "made", f"{nfd}.wav"), lay(tmp_path / "true", f"{nfc}.wav")
    assert [pair.generated for pair in pair_folders([made], true).pairs] == [(made / f"{nfd}.wav",)]
    for name in (nfc, f"{nfd}.wav"):
        (tmp_path / "list.csv").write_text(f"file,caption\n{name},rain\n", encoding="utf-8")
        assert len(pair_folders([made], true, listing=tmp_path / "list.csv").pairs) == 1


def test_two_clips_that_differ_in_their_accents_spelling_are_two(tmp_path: Path) -> None:
    names = ("caf\u00e9.wav", "cafe\u0301.wav")
    made, true = lay(tmp_path / "made", *names), lay(tmp_path / "true", *names)
    assert len(pair_folders([made], true).pairs) == 2
    for name in names:
        (tmp_path / "list.csv").write_text(f"file,caption\n{name},rain\n", encoding="utf-8")
        (pair,) = pair_folders([made], true, listing=tmp_path / "list.csv").pairs
        assert pair.reference == true / name


def test_the_sound_is_taken_from_the_sound_file_and_two_of_them_are_unclear(tmp_path: Path) -> None:
    made = lay(tmp_path / "made", "a.mp4", "a.wav", "b.wav", "b.flac")
    found = pair_folders([made], lay(tmp_path / "true", "a.wav", "b.wav"))
    assert [pair.generated for pair in found.pairs] == [(made / "a.wav",)]
    assert found.pairs[0].picture == made / "a.mp4"
    assert found.unclear == (
        (made / "b.flac", "shares its name with b.wav"), (made / "b.wav", "shares its name with b.flac"),
    )  # fmt: skip
    assert found.alone == {"generated": (), "reference": ()}


def test_vggsound_rows_find_files_named_as_downloaders_do(tmp_path: Path) -> None:
    listing = tmp_path / "vggsound.csv"
    listing.write_text(
        "--0PQM4-hqg,30,waterfall burbling,train\nabcdefghijk,5,dog barking,test\nzzzzzzzzzzz,1,cat,test\n"
    )
    made = lay(tmp_path / "made", "--0PQM4-hqg_000030.wav", "abcdefghijk_5.wav", "other.wav")
    true = lay(tmp_path / "true", "--0PQM4-hqg_000030.mp4", "Yabcdefghijk_000005.mp4")
    found = pair_folders([made], true, listing=listing)
    assert [(pair.key, pair.reference.name) for pair in found.pairs] == [
        ("--0PQM4-hqg_000030", "--0PQM4-hqg_000030.mp4"),
        ("abcdefghijk_000005", "Yabcdefghijk_000005.mp4"),
    ]
    assert found.alone == {"generated": ("other",), "reference": ()}


def test_audiocaps_rows_bring_all_captions_of_a_clip(tmp_path: Path) -> None:
    listing = tmp_path / "audiocaps.csv"
    listing.write_text(
        "audiocap_id,youtube_id,start_time,caption\n1,abcdefghijk,5,a dog barks\n2,abcdefghijk,5,barking\n"
    )
    made, true = (lay(tmp_path / name, "abcdefghijk_000005.wav") for name in ("made", "true"))
    (pair,) = pair_folders([made], true, listing=listing).pairs
    assert pair.captions == ("a dog barks", "barking")


def test_sounds_made_a_caption_of_audiocaps_are_clips_of_their_own(tmp_path: Path) -> None:
    listing = tmp_path / "audiocaps.csv"
    listing.write_text(
        "audiocap_id,youtube_id,start_time,caption\n1034,abcdefghijk,5,a dog barks\n2035,abcdefghijk,5,barking\n"
        "3036,zzzzzzzzzzz,7,rain\n"
    )
    made = lay(tmp_path / "made", "1034.wav", "2035.wav")
    for name, true in (("one", ("Yabcdefghijk.wav",)), ("each", ("1034.wav", "2035.wav"))):
        found = pair_folders([made], lay(tmp_path / name, *true), listing=listing)
        assert [(pair.key, pair.generated[0].name, pair.captions) for pair in found.pairs] == [
            ("1034", "1034.wav", ("a dog barks",)), ("2035", "2035.wav", ("barking",)),
        ]  # fmt: skip
        assert [pair.reference.name for pair in found.pairs] == (list(true) * 2)[:2]
        assert {pair.true_sound for pair in found.pairs} == {"abcdefghijk_000005"}
        assert (found.unclear, found.listed) == ((), 3)
        assert found.alone == {"generated": (), "reference": ()}
        assert found.missing == {"generated": ("zzzzzzzzzzz_000007",), "reference": ("zzzzzzzzzzz_000007",)}


def test_rows_without_a_file_are_told_by_folder_and_a_split_leaves_the_others_out(tmp_path: Path) -> None:
    listing = tmp_path / "vggsound.csv"
    listing.write_text("aaaaaaaaaaa,1,dog,test\nbbbbbbbbbbb,2,cat,test\nccccccccccc,3,rain,train\n")
    made, true = lay(tmp_path / "made", "aaaaaaaaaaa.wav", "bbbbbbbbbbb.wav"), lay(tmp_path / "true", "aaaaaaaaaaa.wav")
    found = pair_folders([made], true, listing=listing)
    assert found.listed == 3
    assert found.missing["generated"] == ("ccccccccccc_000003",)
    assert found.missing["reference"] == ("bbbbbbbbbbb_000002", "ccccccccccc_000003")
    found = pair_folders([made], true, listing=listing, split="test")
    assert (found.listed, found.missing["generated"]) == (2, ())
    assert pair_folders([made], true).listed is None


def test_captions_come_from_prompt_tables_texts_beside_and_last_from_labels(tmp_path: Path) -> None:
    made, true = (lay(tmp_path / name, "a.1.wav", "b.wav", "c.wav") for name in ("made", "true"))
    (true / "a.1.txt").write_text("a bell\nrings\n")
    (true / "c.txt").write_bytes(b"\xff")
    assert [pair.captions for pair in pair_folders([made], true).pairs] == [("a bell rings",), (), ()]
    listing = tmp_path / "prompts.csv"
    listing.write_text("path,prompt\na.1.wav,a dog barks\nb.mp4,rain\n")
    captions = {pair.key: pair.captions for pair in pair_folders([made], true, listing=listing).pairs}
    assert captions == {"a.1.wav": ("a dog barks",), "b.mp4": ("rain",)}
    listing.write_text("name,caption,label\nb,,wind\nc,steps,walking\n")
    captions = {pair.key: pair.captions for pair in pair_folders([made], true, listing=listing).pairs}
    assert captions == {"b": ("wind",), "c": ("steps",)}


def test_a_row_that_names_a_file_goes_by_its_path_and_says_where_the_clip_begins(tmp_path: Path) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text("file,start_s,duration_s,caption\nsub/a.mp4,2.5,4,rain\n")
    made, true = lay(tmp_path / "made", "sub/a.wav"), lay(tmp_path / "true", "sub/a.mp4")
    (pair,) = pair_folders([made], true, listing=listing).pairs
    assert (pair.start_s, pair.duration_s, pair.captions, pair.picture_start_s) == (2.5, 4.0, ("rain",), 2.5)


def test_a_dot_in_a_name_without_a_suffix_is_a_part_of_it(tmp_path: Path) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text("file,caption\nclip_1.5,rain\nclip_2.0.WAV,wind\nsub/c.mkv,sea\nclip_2.mp4,dog\n")
    names = ("clip_1.5", "clip_2.0", "sub/c", "clip_1", "clip_2")
    made, true = (lay(tmp_path / name, *(f"{each}.wav" for each in names)) for name in ("made", "true"))
    found = pair_folders([made], true, listing=listing)
    assert {pair.captions: pair.reference.relative_to(true).as_posix() for pair in found.pairs} == {
        ("rain",): "clip_1.5.wav", ("wind",): "clip_2.0.wav", ("sea",): "sub/c.wav", ("dog",): "clip_2.wav",
    }  # fmt: skip
    assert found.alone == {"generated": ("clip_1",), "reference": ("clip_1",)}


@pytest.mark.parametrize("name", [".", "..", "/", "sub/.."])
def test_a_list_that_names_no_file_is_refused(tmp_path: Path, name: str) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text(f"file,caption\na.wav,rain\n{name},wind\n")
    made, true = (lay(tmp_path / folder, "a.wav") for folder in ("made", "true"))
    with pytest.raises(ConfigError, match="can be none"):
        pair_folders([made], true, listing=listing)


def test_a_file_that_several_rows_claim_is_no_pair(tmp_path: Path) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text("abcdefghijk,5,dog,test\nabcdefghijk,50,cat,test\nlmnopqrstuv,1,rain,test\n")
    made, true = (lay(tmp_path / name, "abcdefghijk.wav", "lmnopqrstuv.wav") for name in ("made", "true"))
    found = pair_folders([made], true, listing=listing)
    assert [pair.key for pair in found.pairs] == ["lmnopqrstuv_000001"]
    assert {path.name for path, _ in found.unclear} == {"abcdefghijk.wav"}


def test_captions_are_read_from_the_json_that_scenes_writes(tmp_path: Path) -> None:
    made, true = (lay(tmp_path / name, "a.wav", "b.wav") for name in ("made", "true"))
    (true / "a.json").write_text('{"caption": "a bell rings"}')
    (true / "b.json").write_text("[]")
    assert [pair.captions for pair in pair_folders([made], true).pairs] == [("a bell rings",), ()]


def test_a_folder_that_links_to_itself_is_walked_once(tmp_path: Path) -> None:
    made, true = (lay(tmp_path / name, "a.wav") for name in ("made", "true"))
    (made / "loop").symlink_to(made, target_is_directory=True)
    assert [pair.key for pair in pair_folders([made], true).pairs] == ["a"]


def test_what_cannot_be_paired_is_refused(tmp_path: Path) -> None:
    made, true = lay(tmp_path / "made", "a.wav"), lay(tmp_path / "true", "b.wav")
    with pytest.raises(ConfigError, match="nothing in"):
        pair_folders([made], true)
    with pytest.raises(ConfigError, match="itself"):
        pair_folders([made], made)
    with pytest.raises(ConfigError, match="no folder"):
        pair_folders([made], tmp_path / "gone")


def test_a_folder_within_the_other_is_not_a_part_of_it(tmp_path: Path) -> None:
    true = lay(tmp_path / "videos", "a.mp4", "z.mp4")
    made = lay(true / "dubbed", "a.mp4", "z.mp4")
    listing = tmp_path / "list.csv"
    listing.write_text("id,caption\na,rain\nz,wind\n")
    for words in ({}, {"listing": listing}):
        found = pair_folders([made], true, **words)
        assert [(pair.reference, pair.generated) for pair in found.pairs] == [
            (true / name, (made / name,)) for name in ("a.mp4", "z.mp4")
        ]
        assert found.alone == {"generated": (), "reference": ()}


@pytest.mark.parametrize("column", ["file", "path", "id", "name"])
@pytest.mark.parametrize("names", [("x.wav", "s/y.mp4"), ("x", "s/y")])
def test_every_column_names_files_with_their_suffix_or_without(
    tmp_path: Path, column: str, names: tuple[str, str]
) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text(f"{column},caption\n{names[0]},rain\n{names[1]},wind\n")
    made, true = lay(tmp_path / "made", "x.wav", "s/y.wav"), lay(tmp_path / "true", "x.wav", "s/y.mp4")
    found = pair_folders([made], true, listing=listing)
    assert [(pair.reference.name, pair.captions) for pair in found.pairs] == [
        ("y.mp4", ("wind",)),
        ("x.wav", ("rain",)),
    ]
    listing.write_text(f"{column}\nother\n")
    with pytest.raises(ConfigError) as caught:
        pair_folders([made], true, listing=listing)
    assert "column" in caught.value.hint
