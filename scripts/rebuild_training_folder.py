"""Rebuild the folder of sounds that the embedded model learned from, out of what you downloaded.

    python scripts/rebuild_training_folder.py --out sfx DOWNLOADS... [https://.../archive.zip ...]

A download is a folder, a .zip, .tar.* or .deb archive, or an address (http, https, file), which is fetched first and
goes on where it was cut. Files with the sha256 of `examples/runs/embedded-sounds.tsv.gz` are taken as they are; others
whose name fits are decoded, compared by length and loudness over time, and written as mono Opus of 48 kHz, cut at
24 s, as was done for the training. Those are the same sounds, but not the same bytes, and are counted apart.

OUT gets `audio/` and `index.tsv`, each file whole or not at all; what is there is kept, so that the same line goes on.
Ends with 3 if sounds are missing, and names them.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import os
import re
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sound_list import LIST, RATE_HZ, Row, decoded, is_same, read_list, sha256_of

from mfv2a.errors import Mfv2aError
from mfv2a.media.audio import write_audio
from mfv2a.records import Audio

SOUNDS = {".opus", ".ogg", ".oga", ".mp3", ".flac", ".wav"}
ARCHIVES = (".zip", ".deb", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
INDEX = ("file", "seconds", "label", "title", "set", "licence")
INCOMPLETE, FAILED = 3, 2


def plain(name: str) -> str:
    """A file's name without case, marks and suffix."""
    return re.sub(r"[^a-z0-9]+", "_", Path(name).stem.lower()).strip("_")


def names_of(row: Row) -> set[str]:
    """Plain names that the original of a row may have: its own, and that without what told two of one name apart."""
    own = plain(row["file"])
    stem = re.sub(r"^(berklee_|sonic_pi_|esc10_.*?_(?=\d+_\d+_[a-z]$))", "", own)
    return {own, stem, re.sub(r"_\d$", "", stem)}


def fetch(address: str, folder: Path) -> Path:
    """Download a file, going on where an earlier try was cut.

    Args:
        address: http, https or file.
        folder: for the download.

    Raises:
        OSError: it cannot be had.
    """
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "file":
        return Path(urllib.request.url2pathname(parts.path))
    key = hashlib.sha256(address.encode()).hexdigest()[:12]
    path = folder / f"{key}-{Path(urllib.parse.unquote(parts.path)).name or 'download'}"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer, part.open("ab" if start else "wb") as file:
            if start and answer.status != 206:  # the server gives the whole file again
                file.truncate(0)
            expected = answer.headers.get("Content-Length")
            began = 0 if answer.status != 206 else start
            shutil.copyfileobj(answer, file, 1 << 20)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to fetch, or the file has changed
            part.unlink()
        raise
    if expected is not None and part.stat().st_size != began + int(expected):
        raise OSError(f"{address}: cut after {part.stat().st_size} bytes; run the same line again")
    part.replace(path)
    return path


def members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and contents of the sound files of a folder or archive."""
    name = path.name.lower()
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in SOUNDS and file.is_file():
                with file.open("rb") as stream:
                    yield file.name, stream
    elif name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if Path(info.filename).suffix.lower() in SOUNDS:
                    with archive.open(info) as stream:
                        yield Path(info.filename).name, stream
    elif name.endswith(".deb"):
        yield from _of_tar(_data_of_deb(path))
    elif name.endswith(ARCHIVES):
        with path.open("rb") as file:
            yield from _of_tar(file)
    elif path.suffix.lower() in SOUNDS:
        with path.open("rb") as stream:
            yield path.name, stream
    else:
        raise OSError(f"{path} is no folder, sound or archive ({', '.join(ARCHIVES)})")


def _of_tar(file: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=file) as archive:
        for info in archive:
            if info.isfile() and Path(info.name).suffix.lower() in SOUNDS:
                stream = archive.extractfile(info)
                assert stream is not None
                yield Path(info.name).name, stream


def _data_of_deb(path: Path) -> IO[bytes]:
    """The files' archive inside a Debian package: an `ar` of members with headers of 60 bytes, see deb(5)."""
    with path.open("rb") as file:
        if file.read(8) != b"!<arch>\n":
            raise OSError(f"{path} is no Debian package")
        while header := file.read(60):
            name, size = header[:16].decode("ascii", "replace").strip(" /"), int(header[48:58])
            if name.startswith("data.tar"):
                return io.BytesIO(file.read(size))
            file.seek(size + size % 2, os.SEEK_CUR)
    raise OSError(f"{path} holds no data.tar")


class Folder:
    """The folder that is being rebuilt.

    Args:
        out: it; its `audio` is looked through first.
        rows: of the list.
    """

    def __init__(self, out: Path, rows: list[Row]) -> None:
        self.out, self.rows = out, rows
        self.audio = out / "audio"
        self.audio.mkdir(parents=True, exist_ok=True)
        self.exact: set[str] = set()
        self.made: set[str] = set()
        self.strange: set[str] = set()
        self.by_digest: dict[str, list[Row]] = defaultdict(list)
        self.by_name: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self.by_digest[row["sha256"]].append(row)
            for name in names_of(row):
                self.by_name[name].append(row)
        for row in rows:
            path = self.audio / row["file"]
            if path.is_file():
                self._count(row, path)

    def _count(self, row: Row, path: Path) -> None:
        if sha256_of(path) == row["sha256"]:
            self.exact.add(row["file"])
        elif is_same(decoded(path), row):
            self.made.add(row["file"])
        else:
            self.strange.add(row["file"])
            sys.stderr.write(f"{path} is another sound than the list's: left as it is; move it away\n")

    def missing(self) -> list[Row]:
        """Rows whose sound is not there."""
        return [row for row in self.rows if row["file"] not in self.exact | self.made]

    def take(self, name: str, stream: IO[bytes]) -> None:
        """Look at a file, and keep it if the list wants it."""
        wanted = [row for row in self._wanted(name) if row["file"] not in self.exact | self.made | self.strange]
        with tempfile.TemporaryDirectory(prefix=".taking-", dir=self.out) as scratch:
            path = Path(scratch) / f"sound{Path(name).suffix.lower()}"
            with path.open("wb") as file:
                shutil.copyfileobj(stream, file)
            same = self.by_digest.get(sha256_of(path), [])
            for row in same:
                self._keep(path, row)
            if not same and wanted:
                self._make(path, wanted)

    def _keep(self, path: Path, row: Row) -> None:
        """Take a file as it is."""
        if row["file"] in self.exact | self.strange:
            return
        pending = path.with_name("copy")
        shutil.copyfile(path, pending)
        pending.replace(self.audio / row["file"])
        self.exact.add(row["file"])
        self.made.discard(row["file"])

    def _wanted(self, name: str) -> list[Row]:
        """Rows that a file's name fits; ESC-50 puts the number of the class behind ESC-10's names."""
        key = plain(name)
        return self.by_name.get(key, []) or self.by_name.get(re.sub(r"_\d+$", "", key), [])

    def _make(self, path: Path, wanted: list[Row]) -> None:
        try:
            samples = decoded(path)
        except Mfv2aError as error:
            sys.stderr.write(f"passed over: {error}\n")
            return
        for row in wanted:
            if is_same(samples, row):
                write_audio(self.audio / row["file"], Audio(samples=samples, sample_rate_hz=RATE_HZ))
                self.made.add(row["file"])
                return

    def write_index(self) -> None:
        """Write `index.tsv` of the sounds that are there."""
        lost = {row["file"] for row in self.missing()}
        pending = self.out / f".index.tsv.{os.getpid()}"
        with pending.open("w", encoding="utf-8", newline="") as file:
            told = {"delimiter": "\t", "lineterminator": "\n", "quoting": csv.QUOTE_NONE, "quotechar": None}
            writer = csv.DictWriter(file, INDEX, extrasaction="ignore", **told)  # type: ignore[arg-type]
            writer.writeheader()
            writer.writerows(row for row in self.rows if row["file"] not in lost)
        pending.replace(self.out / "index.tsv")


def rebuild(out: Path, downloads: list[str], rows: list[Row]) -> int:
    """Fill a folder; gives the exit code."""
    folder, code = Folder(out, rows), 0
    for download in downloads:
        try:
            path = fetch(download, out / ".downloads") if "://" in download else Path(download)
            for name, stream in members(path):
                folder.take(name, stream)
        except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            sys.stderr.write(f"{download}: {error}\n")
            code = FAILED
    folder.write_index()
    missing = folder.missing()
    for row in missing:
        sys.stderr.write(f"missing: {row['file']} ({row['set']}, {row['licence']}; {row['source']})\n")
    told = f"{len(folder.exact)} with the list's sha256, {len(folder.made)} made anew (same sound by length and shape)"
    sys.stdout.write(f"{out}: {told}, {len(missing)} missing of {len(rows)}\n")
    return code or (INCOMPLETE if missing else 0)


def main() -> None:
    """Rebuild the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("downloads", nargs="*", help="folders, archives or addresses")
    parser.add_argument("--out", type=Path, default=Path("sfx"))
    parser.add_argument("--list", type=Path, default=LIST)
    options = parser.parse_args()
    sys.exit(rebuild(options.out, options.downloads, read_list(options.list)))


if __name__ == "__main__":
    main()
