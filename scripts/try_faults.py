"""Try what a long night brings: damaged videos, hostile names and prompts, and runs that are killed. Prints counts.

    python scripts/try_faults.py damaged --count 240
    python scripts/try_faults.py hostile --count 500
    python scripts/try_faults.py kill --count 20

Everything is made up in a temporary folder, with the tiny model. A success counts as false if its file cannot be
opened, has no sound, or a sound that is not as long as the picture. Ends with 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mfv2a.errors import MediaError
from mfv2a.media.audio import read_audio
from mfv2a.media.probe import probe_video

PICTURES = {
    ".mp4": "libx264",
    ".mov": "mpeg4",
    ".mkv": "libx264",
    ".webm": "libvpx",
    ".avi": "mpeg4",
    ".ts": "mpeg2video",
}
ODD_NAMES = (
    *(b"-rf", b"--help", b"$(reboot)", b"`id`", b";ls", b"a b", b" lead", b"new\nline", b"tab\t", b"quote'", b'dq"'),
    *(b"%s%n", b"{0}", b"caf\xe9", b"\xff\xfe", b"[red]x[red]", b"file:x", b"http:..x", b"pipe:0", b"concat:a|b"),
    *(b"a*b?", b"[ab]", b"~", b"#frag?q=1", b"\\back", b"nul", b"con", b"\x1b[31m", b"a=b,c", b"data:,x", b"x" * 180),
    *(text.encode() for text in ("\u00e9", "\u65e5\u672c", "\u202eexe", "\U0001f3ac")),
)
ODD_PROMPTS = (
    *("", " ", "rain" * 5000, "'; drop table", "\u202e\u200b", "\U0001f3b5" * 300, "\\n\\t", '"', "[bold]", "%s", "{}"),
    *("\ufeff", "a\u0301" * 400, "<|endoftext|>", "\ud7ff", "0" * 1000, "- -- ---", "$HOME", "\x1b[2J"),
)
LIMIT_S = 900
PATIENCE_S = 60  # a clip; all take less than a second


def draw(path: Path, *, seconds: float = 1.0) -> Path:
    """Write a small video: a square that moves over noise."""
    rate = 25 if path.suffix == ".ts" else 10  # MPEG-2 knows but few rates
    path.parent.mkdir(parents=True, exist_ok=True)
    ground = np.random.default_rng(len(path.name)).integers(0, 90, (48, 64, 3), dtype=np.uint8)
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream(PICTURES[path.suffix], rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(round(seconds * rate)):
            pixels = ground.copy()
            pixels[8:16, number * 5 % 56 : number * 5 % 56 + 8] = 255
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def damage(data: bytes, kind: str, dice: random.Random) -> bytes:
    """Spoil the bytes of a video in one of several ways."""
    spoiled = bytearray(data)
    if kind == "bits":
        for _ in range(dice.choice((1, 4, 32, 256))):
            spoiled[dice.randrange(len(spoiled))] ^= 1 << dice.randrange(8)
    elif kind == "head bits":
        for _ in range(dice.choice((1, 4, 16))):
            spoiled[dice.randrange(min(600, len(spoiled)))] ^= 1 << dice.randrange(8)
    elif kind == "cut":
        del spoiled[dice.randrange(len(spoiled)) :]
    elif kind == "hole":
        first = dice.randrange(len(spoiled))
        del spoiled[first : first + dice.randrange(1, 2000)]
    elif kind == "zeros":
        first = dice.randrange(len(spoiled))
        length = min(dice.randrange(1, 4000), len(spoiled) - first)
        spoiled[first : first + length] = bytes(length)
    else:  # swapped: two blocks, as atoms of an MP4 in the wrong order
        one, other = sorted(dice.sample(range(0, len(spoiled) - 64), 2))
        length = min(dice.randrange(8, 600), other - one, len(spoiled) - other)
        a, b = spoiled[one : one + length], spoiled[other : other + length]
        spoiled[one : one + length], spoiled[other : other + length] = b, a
    return bytes(spoiled)


def dub(*words: str | Path, limit_s: float = LIMIT_S) -> tuple[int, str]:
    """Run the command on the tiny model; return its exit code (-1 for a hang) and what it said."""
    line = [sys.executable, "-m", "mfv2a", "dub", *words, "--model", "tiny"]
    try:
        done = subprocess.run(line, capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return -1, ""
    return done.returncode, done.stderr.decode("utf-8", "replace")


def records(out: Path) -> Iterator[dict[str, object]]:
    """The lines of the report, whole ones."""
    path = out / "report.jsonl"
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def is_whole(path: Path) -> bool:
    """Whether a dubbed file opens, has sound, and the sound is as long as the picture."""
    try:
        info, sound = probe_video(path), read_audio(path)
    except MediaError:
        return False
    return abs(sound.duration_s - info.duration_s) < 0.15


def judge(out: Path, sources: int, code: int, talk: str) -> bool:
    """Count what became of the sources; print it; tell whether all is as it should be."""
    last = {str(record["source"]): record for record in records(out)}
    status = Counter(str(record["status"]) for record in last.values())
    wrong = [
        record for record in last.values() if record["status"] == "ok" and not is_whole(Path(str(record["output"])))
    ]
    faults = [record for record in last.values() if "fault of mfv2a" in str(record["hint"])]
    rests = list(out.rglob(".mfv2a*"))
    missing = sources - len(last)
    sys.stdout.write(
        f"{sources} sources: {status['ok']} ok, {status['failed']} failed, {missing} without a word; crash or hang "
        f"{int(code not in (0, 3))}, false success {len(wrong)}, faults of the tool {len(faults)}, rests {len(rests)}\n"
    )
    for record in [*wrong, *faults][:10]:
        sys.stdout.write(f"  {record['source']}: {record['status']} {record['error']}\n")
    if code not in (0, 3):
        sys.stdout.write(f"exit code {code}\n{talk[-2000:]}\n")
    return code in (0, 3) and not (wrong or faults or rests or missing)


def try_damaged(root: Path, count: int, dice: random.Random) -> bool:
    """Damaged videos: each is dubbed or told as failed."""
    whole = [draw(root / "whole" / f"v{suffix}").read_bytes() for suffix in PICTURES]
    kinds = ("bits", "head bits", "cut", "hole", "zeros", "swapped")
    (root / "in").mkdir()
    for number in range(count):
        which, kind = number % len(whole), kinds[number // len(whole) % len(kinds)]
        path = root / "in" / f"{number:04}-{kind.replace(' ', '-')}{list(PICTURES)[which]}"
        path.write_bytes(damage(whole[which], kind, dice))
    code, talk = dub(root / "in", "--out", root / "out", "--quiet", "--timeout", str(PATIENCE_S))
    return judge(root / "out", count, code, talk)


def hostile_name(number: int, dice: random.Random) -> bytes:
    """A file name that nobody expects, without its suffix."""
    mixed = bytes(dice.choice([c for c in range(1, 256) if c != 47]) for _ in range(dice.randrange(1, 12)))
    return ODD_NAMES[number] if number < len(ODD_NAMES) else dice.choice(ODD_NAMES)[:100] + mixed + b"%d" % number


def hostile_prompt(dice: random.Random) -> str:
    """A prompt that nobody expects."""
    return "".join(dice.choice(ODD_PROMPTS) for _ in range(dice.randrange(1, 4)))


def try_hostile(root: Path, count: int, dice: random.Random) -> bool:
    """Whole videos under hostile names, each with a hostile prompt: every one is dubbed or told as failed."""
    data = draw(root / "whole" / "v.mp4", seconds=0.3).read_bytes()
    (root / "in").mkdir()
    names = [hostile_name(number, dice) + b".mp4" for number in range(count)]
    # A dot in front hides a file from a search: such names are given another beginning.
    names = list(dict.fromkeys(b"n" + name if name.startswith(b".") else name for name in names))
    for name in names:
        (root / "in" / os.fsdecode(name)).write_bytes(data)
    with (root / "prompts.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "prompt"])
        for name in names:
            text = os.fsdecode(name)
            if text.isprintable():
                table.writerow([text, hostile_prompt(dice)])
    code, talk = dub(
        root / "in", "--out", root / "out", "--prompts", root / "prompts.csv", "--timeout", str(PATIENCE_S)
    )
    return judge(root / "out", len(names), code, talk)


def try_kill(root: Path, count: int, dice: random.Random) -> bool:
    """The same command, killed at random moments and at last let through: as if nothing had happened."""
    clips = 12
    for number in range(clips):
        draw(root / "in" / f"{number:02}.mp4", seconds=2 + number % 3)
    words = [root / "in", "--also-wav", "--quiet"]
    start = time.perf_counter()
    dub(*words, "--out", root / "whole")
    whole_s, wanted = time.perf_counter() - start, digests(root / "whole")
    counts, out, tries = Counter[str](), root / "out", 0
    line = [sys.executable, "-m", "mfv2a", "dub", *words, "--model", "tiny", "--out", out]
    while tries < count:
        tries += 1
        child = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.35, 1.0) * whole_s)
        ended = child.poll() is not None
        child.send_signal(signal.SIGKILL)
        child.wait()
        counts["ended before"] += ended
        counts["half"] += sum(not is_whole(path) for path in out.glob("*.mp4"))
        done = {Path(str(r["output"])).name for r in records(out) if r["status"] == "ok"}
        counts["falsely done"] += sum(not (out / name).exists() for name in done)
        if len(done) == clips:  # let through: compared, and from the beginning
            counts["differ"] += compare(out, wanted, counts, words)
    counts["differ"] += compare(out, wanted, counts, words)
    sys.stdout.write(
        f"{tries} kills ({counts['ended before']} after the end), {counts['rounds']} rounds of {clips} clips: "
        f"lost {counts['lost']}, half {counts['half']}, falsely done {counts['falsely done']}, "
        f"other sound {counts['differ']}, not let through {counts['stuck']}, rests {counts['rests']}\n"
    )
    return not any(counts[name] for name in ("lost", "half", "falsely done", "differ", "stuck", "rests"))


def compare(out: Path, wanted: dict[str, str], counts: Counter[str], words: list[str | Path]) -> int:
    """Let the command through, compare with a run that nothing disturbed, and empty the folder."""
    code, _ = dub(*words, "--out", out)
    made = digests(out)
    counts["rounds"] += 1
    counts["stuck"] += code != 0
    counts["lost"] += len(wanted.keys() - made.keys())
    counts["rests"] += sum(1 for _ in out.glob(".mfv2a*"))
    for path in out.iterdir():
        path.unlink()
    return sum(made[name] != digest for name, digest in wanted.items() if name in made)


def digests(folder: Path) -> dict[str, str]:
    """What each sound file holds, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.wav")}


def main() -> None:
    """Read the words, try, and end with 1 if something went wrong."""
    tries = {"damaged": (try_damaged, 240), "hostile": (try_hostile, 500), "kill": (try_kill, 20)}
    parser = argparse.ArgumentParser(description="Try damaged videos, hostile names and killed runs.")
    parser.add_argument("what", choices=tries)
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    attempt, usual = tries[chosen.what]
    with tempfile.TemporaryDirectory(prefix="mfv2a-faults-") as scratch:
        fine = attempt(Path(scratch), chosen.count or usual, random.Random(chosen.seed))
    raise SystemExit(0 if fine else 1)


if __name__ == "__main__":
    main()
