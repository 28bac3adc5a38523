"""The page of a folder: what it says, that nothing of a report is read as markup, that nothing is looked at twice."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from made_gallery import made_record, make_output, write_report
from mfv2a.errors import ConfigError, StartError
from mfv2a.jobs import gallery as page_job
from mfv2a.jobs.cards import address, make_card, plain
from mfv2a.jobs.gallery import PAGE_NAME, check_page, make_gallery, script_json
from mfv2a.jobs.sketches import FOLDER

EVIL = "</script><script>document.title='pwned'</script><!--<img src=x onerror=alert(1)>&amp;\u2028{{ 7*7 }}"


def cards_of(out: Path) -> list[dict[str, Any]]:
    text = (out / PAGE_NAME).read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    cards: list[dict[str, Any]] = json.loads(found[1])["clips"]
    return cards


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with two clips, one that failed, one that is gone and one left alone."""
    folder = tmp_path / "out"
    source = tmp_path / "in"
    for name in ("a.webm", "sub/b.webm"):
        make_output(folder, name)
        make_output(source, name)
    write_report(
        folder,
        made_record(source / "a.webm", "a.webm", details={"wav": "a.wav"}),
        made_record(source / "sub/b.webm", "sub/b.webm", details={"uncertain": True}),
        made_record(source / "gone.webm", "gone.webm"),
        made_record(source / "left.webm", None, status="skipped", details={"left_alone": "it has sound of its own"}),
        made_record(source / "bad.webm", None, status="failed", error="is cut short", hint="copy it again"),
    )
    return folder


def test_failures_come_first_with_their_reasons(out: Path) -> None:
    made = make_gallery(out)
    assert made.states == {"failed": 1, "missing": 1, "uncertain": 1, "ok": 1, "left": 1}
    assert (made.clips, made.sketched, made.unseen) == (5, 2, 0)
    cards = cards_of(out)
    assert [card["state"] for card in cards] == ["failed", "missing", "uncertain", "ok", "left"]
    assert (cards[0]["name"], cards[0]["error"], cards[0]["hint"]) == ("bad.webm", "is cut short", "copy it again")
    assert cards[1]["error"] == "the dubbed file is not there any more"
    assert cards[1]["video"] == cards[0]["video"] == ""
    assert cards[4]["error"] == "left alone: it has sound of its own"


def test_a_card_tells_all_of_a_clip(out: Path) -> None:
    make_gallery(out)
    card = next(card for card in cards_of(out) if card["state"] == "ok")
    assert (card["video"], card["original"][0]) == ("a.webm", "../in/a.webm")
    assert card["original"][1].startswith("file:///")
    assert (card["model"], card["licence"], card["seed"], card["seen"]) == ("embedded", "Apache-2.0", 0, ["hammer"])
    assert card["stages"] == {"decode": 0.5, "sample": 0.1, "mux": 0.2}
    assert card["strip"].startswith("data:image/jpeg;base64,/9j/")
    assert card["spectrogram"].startswith("data:image/png;base64,iVBOR")
    assert len(card["tags"]) == 5
    assert 0 <= card["hits"] <= len(card["strikes"]) == 2
    assert card["command"].endswith(" --also-wav --seed ")
    assert card["nextSeed"] == 1
    assert card["wav"] == "", "the sound is not there"


def test_nothing_of_a_report_is_read_as_markup(tmp_path: Path) -> None:
    folder = tmp_path / "<b onload=alert(1)> {{ 7*7 }}"
    record = made_record(
        tmp_path / "x.webm",
        None,
        status="failed",
        error=EVIL,
        hint=EVIL,
        settings={"prompt": EVIL, "model": EVIL, EVIL: EVIL},
        details={EVIL: [{EVIL: EVIL}], "licence": EVIL},
    )
    write_report(folder, record)
    make_gallery(folder)
    text = (folder / PAGE_NAME).read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 2
    assert not re.search(r"<img|<b onload|onerror=alert\(1\)>", text)
    assert "{{ 7*7 }}" in text
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", text)[0]
    (card,) = cards_of(folder)
    assert card["error"] == card["prompt"] == card["model"] == EVIL
    assert card["more"]["details"] == {EVIL: [{EVIL: EVIL}]}


def test_the_page_allows_no_script_but_its_own_and_no_network(out: Path) -> None:
    import base64
    import hashlib

    make_gallery(out)
    text = (out / PAGE_NAME).read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    for kind in ("script", "style"):
        (inline,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy[1]
    assert "unsafe" not in policy[1]
    assert not re.findall(r"(?:src|href)=\"(?!data:,|#)[^\"]*\"", text.split('<script type="application/json"')[0])
    assert not re.search(r" style=| on\w+=", text.split('<script type="application/json"')[0])


def test_json_in_a_page_cannot_end_its_element() -> None:
    text = script_json({EVIL: "\udce9\u2029 é"})
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == {EVIL: "\udce9\u2029 é"}


@pytest.mark.parametrize(
    "name", ["a b#c?d%20e&f.webm", 'it\'s "q".webm', "é漢.webm", "raw\udce9.webm", "javascript:x", "a\\b"]
)
def test_addresses_lead_to_the_file_whatever_its_name(name: str) -> None:
    found = address(f"sub/{name}")
    assert re.fullmatch(r"[\w.~/%-]+", found, re.ASCII)
    assert unquote_to_bytes(found) == os.fsencode(f"sub/{name}")


def test_a_second_page_looks_at_nothing_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_gallery(out).sketched == 2
    before = cards_of(out)
    monkeypatch.setattr(page_job, "_make_all", lambda *_: pytest.fail("looked again"))
    assert make_gallery(out).sketched == 0
    assert cards_of(out) == before


def test_a_changed_file_is_looked_at_again_and_a_removed_one_forgotten(out: Path) -> None:
    make_gallery(out)
    kept = {path.name for path in (out / FOLDER).iterdir()}
    assert len(kept) == 6
    make_output(out, "a.webm", seconds=0.5)
    (out / "sub" / "b.webm").unlink()
    made = make_gallery(out)
    assert (made.sketched, made.states["missing"]) == (1, 2)
    assert len(list((out / FOLDER).iterdir())) == 3


def test_what_another_run_sketches_meanwhile_stays(out: Path) -> None:
    make_gallery(out)
    kept = sorted((out / FOLDER).iterdir())
    write_report(out, made_record(out / "a.webm", "a.webm"))  # as if read before the other clip was done
    make_gallery(out)
    assert sorted((out / FOLDER).iterdir()) == kept


@pytest.mark.parametrize("damage", ["cut facts", "no picture", "cut picture", "other facts"])
def test_a_damaged_sketch_is_made_again(out: Path, damage: str) -> None:
    make_gallery(out)
    facts, picture = (sorted((out / FOLDER).glob(pattern))[0] for pattern in ("*.json", "*.png"))
    if damage == "cut facts":
        facts.write_bytes(facts.read_bytes()[:20])
    elif damage == "other facts":
        facts.write_text("[1, 2]")
    elif damage == "no picture":
        picture.unlink()
    else:
        picture.write_bytes(picture.read_bytes()[:-5])
    assert make_gallery(out).sketched == 1
    assert make_gallery(out).sketched == 0


def test_a_folder_that_moved_keeps_page_and_sketches(out: Path, tmp_path: Path) -> None:
    make_gallery(out)
    moved = tmp_path / "deep" / "elsewhere"
    moved.parent.mkdir()
    shutil.move(out, moved)
    assert make_gallery(moved).sketched == 0
    card = next(card for card in cards_of(moved) if card["state"] == "ok")
    assert (card["video"], card["original"][0]) == ("a.webm", "../../in/a.webm")
    assert f"--out {moved}" in card["command"]
    shutil.rmtree(tmp_path / "in")
    make_gallery(moved)
    assert all(card["original"] == [] for card in cards_of(moved))


def test_what_cannot_be_shown_of_one_clip_spoils_no_other(out: Path) -> None:
    (out / "a.webm").write_bytes(b"no video")
    made = make_gallery(out)
    assert (made.sketched, made.unseen) == (2, 1)
    broken, whole = (next(card for card in cards_of(out) if card["state"] == state) for state in ("ok", "uncertain"))
    assert "not a video" in broken["problem"]
    assert (broken["strip"], broken["spectrogram"], broken["tags"], broken["hits"]) == ("", "", [], None)
    assert whole["strip"]
    assert make_gallery(out).sketched == 0, "what a file is will not change by looking again"


def test_reports_of_shards_and_cut_lines_are_read_together(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_report(out, made_record(tmp_path / "a.webm", None, status="failed", error="old"), name="report-1-of-2.jsonl")
    write_report(out, made_record(tmp_path / "b.webm", None, status="failed", error="b"), name="report-2-of-2.jsonl")
    with (out / "report-2-of-2.jsonl").open("ab") as file:
        file.write(b'{"source": "cut')
    os.utime(out / "report-1-of-2.jsonl", ns=(1, 1))
    write_report(out, made_record(tmp_path / "a.webm", None, status="failed", error="new"))
    make_gallery(out)
    assert {card["name"]: card["error"] for card in cards_of(out)} == {"a.webm": "new", "b.webm": "b"}


def test_facts_of_other_versions_are_shown_and_their_settings_named(tmp_path: Path) -> None:
    details: dict[str, Any] = {"candidates": [{"number": 1, "synchrony": 0.5}], "heard": [["Speech", 0.9]]}
    record = made_record(tmp_path / "a.webm", None, status="failed", details=details, settings={"no_speech": True})
    card = make_card(record, tmp_path, None)
    assert card["more"]["details"] == details
    assert card["candidate"] == [None, 1]
    assert card["unsaid"] == ["no_speech"]


def test_words_of_a_table_that_a_text_beside_overrules_are_told(tmp_path: Path) -> None:
    record = made_record(tmp_path / "a.webm", "a.webm", details={"prompt_from": "table"}, settings={"prompt": "rain"})
    assert make_card(record, tmp_path, None)["unsaid"] == []
    (tmp_path / "a.txt").write_text("wind")
    (told,) = make_card(record, tmp_path, None)["unsaid"]
    assert "--prompts" in told


def test_a_video_behind_an_address_is_not_called_gone(tmp_path: Path) -> None:
    for source, remote in (("https://example.org/a.webm", True), (str(tmp_path / "a.webm"), False)):
        card = make_card({**made_record(tmp_path / "a.webm", "a.webm"), "source": source}, tmp_path, None)
        assert (card["remote"], card["original"]) == (remote, [])


def test_any_report_at_all_makes_a_page(tmp_path: Path) -> None:
    values = [
        None,
        True,
        -1,
        10**400,
        float("nan"),
        float("inf"),
        "",
        "\0",
        "\udce9",
        "x" * 300,
        [],
        [[]],
        {},
        {"a": {"b": [{}]}},
        EVIL,
    ]
    rng = random.Random(3)
    records = []
    for number in range(200):
        record = made_record(tmp_path / f"{number}.webm", rng.choice([None, "x.webm", "../x", "/etc/passwd"]))
        for place in (record, record["settings"], record["details"]):
            for name in list(place):
                if name not in ("source", "mfv2a") and rng.random() < 0.3:
                    place[name] = rng.choice(values)
        records.append(record)
    lines = (json.dumps(record).encode() + b"\n" for record in records)
    (tmp_path / "report.jsonl").write_bytes(b"".join(lines))
    assert make_gallery(tmp_path).clips == len(cards_of(tmp_path)) == 200


def test_numbers_that_javascript_lacks_become_texts_or_nothing() -> None:
    assert plain({"a": [2**60, float("nan"), 1.5], 3: {1}}) == {"a": [str(2**60), None, 1.5], "": "{1}"}


def test_a_page_of_very_many_refers_to_its_pictures(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_job, "INLINE_BYTES", 1000)
    make_gallery(out)
    addresses = [card[name] for card in cards_of(out) for name in ("strip", "spectrogram") if card[name]]
    assert len(addresses) == 4
    assert all((out / path).is_file() and path.startswith(f"{FOLDER}/") for path in addresses)


def test_a_page_that_is_not_ours_is_not_replaced(out: Path) -> None:
    (out / PAGE_NAME).write_text("<title>my own</title>")
    with pytest.raises(ConfigError, match="not made by mfv2a"):
        make_gallery(out)
    assert not (out / FOLDER).exists(), "refused before anything is made"
    make_gallery(out, overwrite=True)
    check_page(out)
    assert make_gallery(out).clips == 5


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError):
            make_gallery(folder)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(out: Path) -> None:
    out.chmod(0o500)
    try:
        with pytest.raises(StartError, match="cannot be written"):
            make_gallery(out)
    finally:
        out.chmod(0o700)


def test_a_full_disk_ends_it_and_leaves_the_old_page(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_gallery(out)
    old = (out / PAGE_NAME).read_bytes()
    make_output(out, "a.webm", seconds=0.5)

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mfv2a.jobs.sketches.replace_whole", full)
    with pytest.raises(StartError, match="the disk is full"):
        make_gallery(out)
    assert (out / PAGE_NAME).read_bytes() == old
    assert not list(out.rglob("*.part"))
