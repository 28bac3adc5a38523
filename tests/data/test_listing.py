"""Lists of media: layouts, formats, files found by the names that downloaders write."""

from __future__ import annotations

import json

import pytest

from mfv2a.data.listing import MediaItem, match_files, read_listing
from mfv2a.errors import ConfigError

VGGSOUND = '---abc,1,people marching,test\nxyz_-9,30,"playing bass guitar, slapping",train\n'
AUDIOCAPS = (
    "audiocap_id,youtube_id,start_time,caption\n"
    '1,abc,30,A dog barks\n2,abc,30,"Barking, far away"\n3,def,0,Rain falls\n'
)


@pytest.fixture
def write(tmp_path):
    def _write(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def test_vggsound_is_known_by_its_rows(write):
    first, second = read_listing(write("vggsound.csv", VGGSOUND))
    assert first == MediaItem(id="---abc", source_s=1, label="people marching", split="test")
    assert second.label == "playing bass guitar, slapping"
    assert [item.id for item in read_listing(write("vggsound.csv", VGGSOUND), split="train")] == ["xyz_-9"]


def test_a_row_of_jsonl_ends_where_its_line_does(write):
    text = '{"file": "a.mp4", "label": "rain\u2028on\x85tin"}\r\n\n{"file": "b.mp4"}\n'
    first, second = read_listing(write("list.jsonl", text))
    assert (first.label, second.file) == ("rain\u2028on\x85tin", "b.mp4")


def test_captions_of_one_audiocaps_clip_come_together(write):
    first, second = read_listing(write("train.csv", AUDIOCAPS))
    assert first == MediaItem(id="abc", source_s=30, captions=("A dog barks", "Barking, far away"))
    assert second.captions == ("Rain falls",)


def test_named_columns_are_read_from_csv_tsv_and_jsonl_alike(write):
    rows = [{"file": "a/one.wav", "caption": "rain", "label": "rain", "start_s": "2.5", "split": "train"}]
    expected = [MediaItem(id="one", file="a/one.wav", start_s=2.5, captions=("rain",), label="rain", split="train")]
    assert read_listing(write("list.jsonl", "\n".join(map(json.dumps, rows)))) == expected
    for name, comma in (("list.csv", ","), ("list.tsv", "\t")):
        text = comma.join(rows[0]) + "\n" + comma.join(rows[0].values()) + "\n"
        assert read_listing(write(name, text)) == expected
    many = write("many.jsonl", '{"file": "b.wav", "captions": ["x", "y"]}\n')
    assert read_listing(many)[0].captions == ("x", "y")


def test_a_quotation_mark_in_a_tsv_is_one_and_swallows_no_row(write):
    rows = 'file\tcaption\na.wav\t"Stop" he says\nb.wav\t"rain\nc.wav\tsay ""hi""\n'
    items = read_listing(write("list.tsv", rows))
    assert [item.captions for item in items] == [('"Stop" he says',), ('"rain',), ('say ""hi""',)]


@pytest.mark.parametrize("rest", ['b.wav,"rain\nc.wav,wind\nd.wav,sea\n', 'b.wav,"rain\non tin"\nc.wav,wind\n'])
def test_a_field_of_a_csv_that_goes_on_over_its_line_is_refused(write, rest):
    with pytest.raises(ConfigError, match=r"list\.csv, row 3: a field goes on"):
        read_listing(write("list.csv", "file,caption\na.wav,dog\n" + rest))


def test_other_words_for_the_columns_are_known(write):
    assert read_listing(write("list.csv", "path,prompt,seed\na/one.mp4,rain,3\n")) == [
        MediaItem(id="one", file="a/one.mp4", captions=("rain",))
    ]
    assert read_listing(write("list.csv", "name,caption\none,rain\n")) == [MediaItem(id="one", captions=("rain",))]


def test_each_caption_of_audiocaps_keeps_its_number(write):
    first, _ = read_listing(write("train.csv", AUDIOCAPS))
    assert first.numbered == (("1", "A dog barks"), ("2", "Barking, far away"))


def test_parquet_is_read_as_the_others(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    table = pa.Table.from_pylist([{"file": "one.wav", "captions": ["rain", "drops"]}])
    pyarrow.parquet.write_table(table, tmp_path / "list.parquet")
    assert read_listing(tmp_path / "list.parquet")[0].captions == ("rain", "drops")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ConfigError, match=r"bad\.parquet"):
        read_listing(tmp_path / "bad.parquet")


def test_parquet_without_its_package_says_what_to_do(write, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="needs pyarrow") as error:
        read_listing(write("list.parquet", ""))
    assert "CSV" in error.value.hint


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("list.txt", "a", "no list that can be read"),
        ("list.csv", "colour,size\nred,1\n", "no known layout"),
        ("list.csv", "file,caption\na.wav\n", "row 2: 1 columns, not 2"),
        ("list.csv", "a,soon,label,train\n", "row 1: ValueError"),
        ("list.csv", "file,start_s\na.wav,soon\n", "row 2: ValueError"),
        ("list.jsonl", "{nothing", "list.jsonl"),
        ("list.jsonl", '{"file": "a.wav", "captions": "one"}', "captions must be a list"),
        ("list.csv", "", "lists nothing"),
    ],
)
def test_what_is_wrong_with_a_list_is_named(write, name, text, words):
    with pytest.raises(ConfigError, match=words):
        read_listing(write(name, text))


def test_a_missing_list_and_an_empty_split_are_named(tmp_path, write):
    with pytest.raises(ConfigError, match=r"nothere\.csv"):
        read_listing(tmp_path / "nothere.csv")
    with pytest.raises(ConfigError, match="split 'val'"):
        read_listing(write("v.csv", VGGSOUND), split="val")


def test_files_are_found_by_path_or_by_the_names_that_downloaders_write():
    items = [
        MediaItem(id="abc", source_s=12), MediaItem(id="def", source_s=3), MediaItem(id="ghi", source_s=0),
        MediaItem(id="jkl", source_s=5), MediaItem(id="one", file="x/one.wav"), MediaItem(id="abc", file="y/abc.wav"),
    ]  # fmt: skip
    names = ["train/abc_000012.mp4", "def_3.mkv", "Yghi.wav", "jkl.mp4", "x/one.wav"]
    found, missing = match_files(items, names)
    assert [name for _, name in found] == names
    assert missing == [items[-1]], "a path that is given is not guessed"


def test_files_are_found_however_their_accents_are_written():
    nfc, nfd = "caf\u00e9", "cafe\u0301"
    items = [MediaItem(id=nfc, source_s=3), MediaItem(id="x", file=f"in/{nfd}.wav")]
    found, missing = match_files(items, [f"{nfd}_3.mp4", f"in/{nfc}.wav"])
    assert [name for _, name in found] == [f"{nfd}_3.mp4", f"in/{nfc}.wav"]
    assert not missing
    twins = [MediaItem(id="a", file=f"{nfc}.wav"), MediaItem(id="b", file=f"{nfd}.wav")]
    assert [name for _, name in match_files(twins, [f"{nfc}.wav", f"{nfd}.wav"])[0]] == [f"{nfc}.wav", f"{nfd}.wav"]


def test_a_clip_of_the_same_video_at_another_time_is_another_item():
    items = [MediaItem(id="abc", source_s=12), MediaItem(id="abc", source_s=40)]
    found, missing = match_files(items, ["abc_000040.mp4"])
    assert [(item.source_s, name) for item, name in found] == [(40, "abc_000040.mp4")]
    assert [item.source_s for item in missing] == [12]


@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
@pytest.mark.parametrize("name", ["start_s", "duration_s"])
def test_times_that_are_none_are_refused_by_row(write, name, value):
    with pytest.raises(ConfigError, match=f"row 3: ValueError: {name} must be 0 or more"):
        read_listing(write("list.csv", f"file,{name}\na.wav,1\nb.wav,{value}\n"))


def test_a_number_nought_is_a_name(write):
    items = read_listing(
        write("list.jsonl", '{"id": 0}\n{"name": 1}\n{"id": "", "name": "two"}\n{"id": null, "name": 3}\n')
    )
    assert [item.id for item in items] == ["0", "1", "two", "3"]


def test_a_line_that_is_no_json_is_named(write):
    with pytest.raises(ConfigError, match=r"row 3: no JSON: .* at column 2"):
        read_listing(write("list.jsonl", '{"id": 1}\n\n{bad}\n'))


def test_a_name_with_its_suffix_is_found_and_of_several_files_the_one_nearest_to_the_top():
    items = [MediaItem(id="a.mp4"), MediaItem(id="b"), MediaItem(id="sub/c.mp4")]
    found, missing = match_files(items, ["a.mp4", "a/b.mp4", "b.mp4", "deep/c.mp4", "sub/c.mp4"])
    assert [name for _, name in found] == ["a.mp4", "b.mp4", "sub/c.mp4"]
    assert not missing
