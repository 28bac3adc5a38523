"""The folder of the embedded model's sounds, rebuilt from downloads."""

from __future__ import annotations

import csv
import hashlib
import importlib
import shutil
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from mfv2a.media.audio import write_audio
from mfv2a.records import Audio

ROOT = Path(__file__).parents[2]
NAMES = {  # of the folder: of the original
    "berklee_slam_med.opus": "Slam(Med).flac",
    "esc10_dog_bark_1_30226_a.opus": "1-30226-A.flac",
    "sonic_pi_ambi_choir.opus": "ambi_choir.flac",
}


@pytest.fixture
def rebuild(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("rebuild_training_folder")


@pytest.fixture
def lab(tmp_path, rebuild):
    """The folder that was trained on, and the originals that it was made from."""
    rng, index = np.random.default_rng(0), ["file\tseconds\tlabel\ttitle\tset\tlicence"]
    sets = ("Berklee/OLPC sound library", "ESC-10", "Sonic Pi samples")
    (tmp_path / "originals").mkdir()
    (tmp_path / "trained" / "audio").mkdir(parents=True)
    for k, (name, original) in enumerate(NAMES.items()):
        envelope = np.interp(np.arange(48000 * (k + 1)) / 48000, np.arange(6) / 4, rng.uniform(0.01, 0.5, 6))
        wave = (envelope * rng.normal(0, 0.4, len(envelope))).clip(-1, 1).astype(np.float32)
        write_audio(tmp_path / "originals" / original, Audio(samples=wave, sample_rate_hz=48000))
        write_audio(tmp_path / "trained" / "audio" / name, Audio(samples=wave, sample_rate_hz=48000))
        index.append(f'{name}\t{k + 1}\tthing {k}\ta "title"\t{sets[k]}\tCC0')
    (tmp_path / "trained" / "index.tsv").write_text("\n".join(index) + "\n", encoding="utf-8")
    lists = importlib.import_module("sound_list")
    (tmp_path / "list.tsv.gz").write_bytes(lists.packed(lists.make_list(tmp_path / "trained")))
    return tmp_path


def rows(lab):
    return importlib.import_module("sound_list").read_list(lab / "list.tsv.gz")


def indexed(folder):
    with (folder / "index.tsv").open(encoding="utf-8", newline="") as file:
        return [row["file"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def test_the_same_files_are_taken_as_they_are_whatever_their_names(lab, rebuild, capsys):
    (lab / "trained" / "audio" / "sonic_pi_ambi_choir.opus").rename(lab / "trained" / "audio" / "renamed.opus")
    assert rebuild.rebuild(lab / "sfx", [str(lab / "trained")], rows(lab)) == 0
    assert "3 with the list's sha256, 0 made anew" in capsys.readouterr().out
    assert (lab / "sfx" / "index.tsv").read_text().splitlines()[1].split("\t")[3] == 'a "title"'
    assert indexed(lab / "sfx") == list(NAMES)


def test_originals_in_archives_are_made_anew_and_what_is_missing_is_named(lab, rebuild, capsys):
    with zipfile.ZipFile(lab / "a.zip", "w") as archive:
        archive.write(lab / "originals" / "Slam(Med).flac", "x/Berklee/Slam(Med).flac")
    with tarfile.open(lab / "b.tar.gz", "w:gz") as archive:
        archive.add(lab / "originals" / "1-30226-A.flac", "audio/1-30226-A-0.flac")  # as ESC-50 names it
    assert rebuild.rebuild(lab / "sfx", [str(lab / "a.zip"), str(lab / "b.tar.gz")], rows(lab)) == 3
    told = capsys.readouterr()
    assert "0 with the list's sha256, 2 made anew" in told.out
    assert told.err.startswith("missing: sonic_pi_ambi_choir.opus (Sonic Pi samples, CC0; ")
    assert indexed(lab / "sfx") == list(NAMES)[:2]
    before = {path: path.stat().st_mtime_ns for path in (lab / "sfx" / "audio").iterdir()}
    assert rebuild.rebuild(lab / "sfx", [str(lab / "originals")], rows(lab)) == 0
    assert "3 made anew" in capsys.readouterr().out
    assert all(path.stat().st_mtime_ns == time for path, time in before.items()), "what is there is kept"
    assert sorted(path.name for path in (lab / "sfx").iterdir()) == ["audio", "index.tsv"]


def test_a_debian_package_is_read(lab, rebuild):
    with tarfile.open(lab / "data.tar.xz", "w:xz") as archive:
        archive.add(lab / "originals" / "ambi_choir.flac", "./usr/share/sonic-pi/samples/ambi_choir.flac")
    package = b"!<arch>\n"
    for name, content in ((b"debian-binary", b"2.0\n1"), (b"data.tar.xz", (lab / "data.tar.xz").read_bytes())):
        header = name.ljust(16) + b"0".ljust(32) + str(len(content)).encode().ljust(10) + b"`\n"
        package += header + content + b"\n" * (len(content) % 2)
    (lab / "sonic-pi-samples.deb").write_bytes(package)
    assert rebuild.rebuild(lab / "sfx", [str(lab / "sonic-pi-samples.deb")], rows(lab)) == 3
    assert indexed(lab / "sfx") == ["sonic_pi_ambi_choir.opus"]


def test_another_sound_under_the_right_name_is_not_taken(lab, rebuild):
    shutil.copy(lab / "originals" / "ambi_choir.flac", lab / "Slam(Med).flac")
    assert rebuild.rebuild(lab / "sfx", [str(lab / "Slam(Med).flac")], rows(lab)) == 3
    assert indexed(lab / "sfx") == []


def test_what_is_there_and_not_the_lists_is_left_alone(lab, rebuild, capsys):
    (lab / "sfx" / "audio").mkdir(parents=True)
    shutil.copy(lab / "trained" / "audio" / "sonic_pi_ambi_choir.opus", lab / "sfx" / "audio" / "berklee_slam_med.opus")
    before = (lab / "sfx" / "audio" / "berklee_slam_med.opus").read_bytes()
    assert rebuild.rebuild(lab / "sfx", [str(lab / "trained")], rows(lab)) == 3
    assert "is another sound" in capsys.readouterr().err
    assert (lab / "sfx" / "audio" / "berklee_slam_med.opus").read_bytes() == before
    assert indexed(lab / "sfx") == list(NAMES)[1:]


@pytest.fixture
def server(lab):
    """Gives one archive, cut after a part the first time; it takes ranges."""
    with zipfile.ZipFile(lab / "all.zip", "w") as archive:
        for original in NAMES.values():
            archive.write(lab / "originals" / original, original)
    content, asked = (lab / "all.zip").read_bytes(), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers.get("Range"))
            start = int((asked[-1] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : 5000 if len(asked) == 1 else None])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}/all.zip", asked, content
        http.shutdown()


def test_a_download_that_was_cut_goes_on(lab, rebuild, server, capsys):
    address, asked, content = server
    assert rebuild.rebuild(lab / "sfx", [address], rows(lab)) == 2
    assert "cut after 5000 bytes" in capsys.readouterr().err
    assert rebuild.rebuild(lab / "sfx", [address], rows(lab)) == 0
    assert asked == [None, "bytes=5000-"]
    (stored,) = (lab / "sfx" / ".downloads").iterdir()
    assert stored.read_bytes() == content
    assert rebuild.rebuild(lab / "again", [f"file://{stored}"], rows(lab)) == 0


def test_the_list_of_the_embedded_models_sounds_is_whole(rebuild):
    listed = importlib.import_module("sound_list").read_list()
    assert len(listed) == 2960
    assert len({row["file"] for row in listed}) == 2960
    assert all(len(row["sha256"]) == 64 and len(row["shape"]) == 16 and row["licence"] for row in listed)
    assert hashlib.sha256(b"").hexdigest() not in {row["sha256"] for row in listed}
