"""What lies behind URLs, mirrored in a folder of this disk, on which a run works as on any other.

For each file there, a stand-in lies here that states its size and time; so everything that goes by names, sizes and
times - what there is, what is done, what would collide - goes as on a disk. A video is fetched when it is looked at and
let go when it is settled. An output is uploaded as soon as it is whole: before it a claim, by which the next run knows
it as ours, and after it a commit marker, its line of the report. What has no marker is not done. In the end the markers
become the report, which is one file again. `jobs.staging` makes and removes the folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mfv2a.errors import MediaError, StartError, StoreError
from mfv2a.jobs.report import absolute, encode_json, result_record
from mfv2a.jobs.reported import REPORT_NAME, names_beside, parse_record
from mfv2a.media.listed import RemoteFile
from mfv2a.media.remote import Remote
from mfv2a.media.standin import UNTOLD_BYTES, is_stand_in, stand_in
from mfv2a.media.store import AGAIN_HINT, whereabouts
from mfv2a.records import ItemResult

MARKERS, CLAIM, MARKER = ".mfv2a", ".claim", ".json"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Which folders here mirror which there; may be sent to other processes.

    Attributes:
        inputs: folders with stand-ins for videos, and what they stand for.
        out: the folder of the outputs here and there; None where it is an ordinary folder.
        report: the name of the report that the run writes.
        began: when the run did, as lines of the report say it.
        faults: names here of what could not be asked for, and why.
    """

    inputs: tuple[tuple[Path, Remote], ...] = ()
    out: tuple[Path, Remote] | None = None
    report: str = REPORT_NAME
    began: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders here that mirror inputs."""
        return tuple(folder for folder, _ in self.inputs)

    def named(self, text: str) -> str:
        """A text with the names that people know: URLs in the place of what mirrors them."""
        for folder, remote in (*self.inputs, *((self.out,) if self.out else ())):
            text = text.replace(f"{folder}/", f"{remote.name}/").replace(str(folder), remote.name)
        return text

    def fetch(self, source: Path) -> None:
        """Puts a video in the place of its stand-in.

        Raises:
            MediaError: it cannot be had, or has changed.
        """
        for folder, remote in self.inputs:
            if absolute(source).is_relative_to(folder) and is_stand_in(source):
                status = source.stat()
                size = None if status.st_size == UNTOLD_BYTES else status.st_size
                remote.fetch(RemoteFile(_place(source, folder), size, status.st_mtime_ns), source)

    def let_go(self, source: Path) -> None:
        """Puts the stand-in back."""
        with suppress(OSError):
            if any(absolute(source).is_relative_to(folder) for folder, _ in self.inputs) and not is_stand_in(source):
                _let_go(source)

    def deliver(self, result: ItemResult) -> None:
        """Uploads an output, then its commit marker; stand-ins stay.

        Raises:
            MediaError: it cannot be written there; the output is gone here, too.
            StartError: nothing may be written there.
        """
        if self.out is None or result.output is None:
            return
        folder, remote = self.out
        made = [*(folder / name for name in names_beside(result.details)), result.output]
        record = result_record(result, folder, self.named)
        marker = f"{MARKERS}/{self.report}/{record['name']}"
        claims = [{"output": self.named(str(absolute(path))), "source": record["source"]} for path in made]
        try:
            self._check_apart(result)
            _put_bytes(remote, b"".join(map(encode_json, claims)), marker + CLAIM, result.output)
            for path in made:
                remote.put(path, _place(path, folder))
            _put_bytes(remote, encode_json(record), marker + MARKER, result.output)
        except (MediaError, StartError):
            for path in made:
                path.unlink(missing_ok=True)
            raise
        for path in made:
            _let_go(path)

    def _check_apart(self, result: ItemResult) -> None:
        """Refuses to put an output where its source lies, by whatever names both go.

        Raises:
            MediaError: it would be replaced.
        """
        assert self.out is not None
        assert result.output is not None
        folder, remote = self.out
        source = absolute(result.source)
        homes = (each.at(_place(source, here)) for here, each in self.inputs if source.is_relative_to(here))
        place = next(homes, str(source))
        if whereabouts(place) == whereabouts(remote.at(_place(result.output, folder))):
            raise MediaError(result.source, "would be replaced by its own output", hint="use another --out")

    def commit(self) -> None:
        """Makes the report there whole, and removes the markers that it holds; a claim without a marker stays.

        What was delivered while the run was being ended, and so was not told, is added to the report.

        Raises:
            StoreError: it cannot be written there; the markers stay, and the next run takes them.
            StartError: the markers cannot be asked for; they stay.
        """
        if self.out is None:
            return
        folder, remote = self.out
        markers = Remote(remote.at(f"{MARKERS}/{self.report}"))
        names = {file.relative for file in markers.files()}
        if untold := self._untold(markers, names):
            with (folder / self.report).open("ab") as lines:
                lines.write(b"".join(untold))
        if not (folder / self.report).is_file():
            return
        self._add_others(folder / self.report, remote)
        try:
            remote.put(folder / self.report, self.report)
        except (MediaError, StartError) as error:
            told = f"{error}; what was told as dubbed is there, and the next run knows it"
            raise StoreError(told, hint=AGAIN_HINT) from error
        kept = {name for name in names if name.endswith(CLAIM) and name.removesuffix(CLAIM) + MARKER not in names}
        markers.remove(sorted(names - kept))

    def _add_others(self, report: Path, remote: Remote) -> None:
        """Adds what another run has told there since this one began; a store has no lock that would keep it out."""
        ours, told = set(report.read_bytes().splitlines()), self._told()
        theirs = []
        for line in remote.read(self.report).splitlines():
            record = None if line in ours else parse_record(line)
            if record is not None and str(record.get("time")) > told.get(str(record.get("name")), ""):
                theirs.append(line)
        if theirs:
            with report.open("ab") as lines:
                lines.write(b"\n".join([*theirs, b""]))

    def _told(self) -> dict[str, str]:
        """Outputs that the report here tells of, and when they were made."""
        assert self.out is not None
        told: dict[str, str] = {}
        with suppress(FileNotFoundError), (self.out[0] / self.report).open("rb") as lines:
            for line in lines:
                if (record := parse_record(line)) is not None:
                    told[str(record.get("name"))] = str(record.get("time"))
        return told

    def _untold(self, markers: Remote, names: set[str]) -> list[bytes]:
        """The lines of markers, among those of these names, that are newer than what the report here tells."""
        told = self._told()
        untold = []
        for name in sorted(names):
            last = told.get(name.removesuffix(MARKER), "")
            if name.endswith(MARKER) and last < self.began:  # what was told since then is told with its marker
                line = markers.read(name)
                if (record := parse_record(line)) is not None and str(record.get("time")) > last:
                    untold.append(line)
        return untold


def _put_bytes(remote: Remote, data: bytes, relative: str, output: Path) -> None:
    """Uploads what is told of an output."""
    with tempfile.NamedTemporaryFile(dir=output.parent, prefix=".mfv2a-") as file:
        file.write(data)
        file.flush()
        remote.put(Path(file.name), relative, of=output)


def _place(path: Path, folder: Path) -> str:
    return absolute(path).relative_to(folder).as_posix()


def _let_go(path: Path) -> None:
    status = path.stat()
    stand_in(path, status.st_size, status.st_mtime_ns)
