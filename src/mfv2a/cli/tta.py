"""`mfv2a tta`: words -> sound files, and how it looks."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfv2a.cli import choosing, console, options, wording
from mfv2a.cli.evaluate import first_of, split_of_list
from mfv2a.errors import ConfigError, MediaError, SoundError

if TYPE_CHECKING:
    from mfv2a.jobs.tta import Take, TtaOptions
    from mfv2a.records import Audio

FAINT_DBFS = -65.0
LISTS = "Lists"

EPILOG = """
**Examples**

`mfv2a tta "rain on a tin roof"` - into rain-on-a-tin-roof.wav

`mfv2a tta "a dog barks twice" -o dog.flac --duration 4 --variants 3` - dog-1.flac, dog-2.flac, dog-3.flac

`mfv2a tta "glass breaks" -o - | ffplay -` - WAV on stdout

`mfv2a tta -o sounds/ < prompts.txt` - a prompt a line on stdin, a file each under sounds/

`mfv2a tta --list audiocaps.csv --split test -o made --duration 10` - a sound a caption, for `mfv2a evaluate`
"""


def tta(
    context: typer.Context,
    prompts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROMPT",
            help="What should be heard, a sound each; - or nothing reads prompts from stdin, one a line.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="File (.wav .flac .mp3 .ogg .opus), folder, or - for WAV on stdout. "
            "Several sounds get numbered names.",
            metavar="FILE|DIR/|-",
            show_default="named after the prompt",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    duration: Annotated[
        float,
        typer.Option(
            "--duration", "-d", help="Seconds of sound, 0.01 to 600.", metavar="S", rich_help_panel=options.SAMPLING
        ),
    ] = 8.0,
    listing: Annotated[
        Path | None,
        typer.Option(
            "--list",
            metavar="FILE",
            help="List of captions instead of prompts, as VGGSound or AudioCaps have it, or with a column file, path, "
            "id or name: a sound each in the folder -o, named by its row. Those that are there are not made again.",
            show_default=False,
            rich_help_panel=LISTS,
        ),
    ] = None,
    split: Annotated[str, split_of_list(LISTS)] = "",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Make again what is there of --list.", rich_help_panel=LISTS),
    ] = False,
    variants: Annotated[
        int,
        typer.Option("--variants", min=1, help="Takes of each prompt.", metavar="N", rich_help_panel=options.SAMPLING),
    ] = 1,
    candidates: choosing.CandidatesOption = None,
    keep_all: choosing.KeepAllOption = False,
    no_speech: choosing.NoSpeechOption = False,
    no_music: choosing.NoMusicOption = False,
    tries: choosing.TriesOption = None,
    negative_prompt: wording.NegativePromptOption = "",
    as_written: wording.AsWrittenOption = False,
    model: options.ModelOption = "",
    steps: options.StepsOption = None,
    cfg: options.CfgOption = None,
    rescale: options.RescaleOption = None,
    seed: options.SeedOption = 0,
    loudness: options.LoudnessOption = "off",
    sample_rate: options.SampleRateOption = "48000",
    channels: choosing.ChannelsOption = "auto",
    provenance: choosing.ProvenanceOption = True,
    batch_size: options.BatchSizeOption = 8,
    device: options.DeviceOption = "auto",
    dtype: options.DtypeOption = "auto",
    low_memory: options.LowMemoryOption = False,
    compile_generator: options.CompileOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Make sounds from words.

    Prints the path of each file.
    """
    talk = console.start_talk(context, quiet=quiet, verbose=verbose)
    if out == "-" and as_json:
        raise ConfigError("--json and -o - both want stdout", hint="write the sound to a file")
    from mfv2a.jobs.sound import SoundOptions
    from mfv2a.jobs.tta import TtaOptions, make_sounds, usual_tries

    name = options.model_name(model)
    heard_tries = usual_tries(name) if candidates is None else 1
    wanted = TtaOptions(
        out="" if out is None else options.given(out, "-o"),
        sound=SoundOptions(
            model=name,
            **wording.meant(negative_prompt, as_written),
            steps=steps,
            cfg_strength=cfg,
            rescale=rescale,
            seed=seed,
            batch_size=batch_size,
            **options.machine(device, dtype, low_memory, compile_generator),
            sample_rate_hz=options.sample_rate(sample_rate),
            loudness_lufs=options.loudness(loudness),
        ),
        duration_s=duration,
        variants=variants,
        choice=choosing.choice(candidates, keep_all, no_speech, no_music, tries, heard_tries),
        delivery=choosing.delivery(channels, provenance),
    )

    teller = _Teller(talk, wanted, as_json=as_json, listed=listing is not None)
    takes = _takes(talk, prompts or [], wanted, listing, split=split, overwrite=overwrite)
    if takes:
        make_sounds(takes, wanted, begin=teller.begin, done=teller.done, failed=teller.failed)
    raise typer.Exit(3 if teller.failures else 0)


def _takes(
    talk: console.Talk,
    prompts: Sequence[str],
    wanted: TtaOptions,
    listing: Path | None,
    *,
    split: str,
    overwrite: bool,
) -> Sequence[Take]:
    """What is to be made of the prompts, or of a list; tells what of it is not."""
    if listing is None:
        if split or overwrite:
            raise ConfigError(f"--{'split' if split else 'overwrite'} is for a list", hint="name one with --list")
        from mfv2a.jobs.tta import plan_takes

        for prompt in prompts:
            if is_file(prompt):
                file = shlex.quote(prompt)
                talk.say(f"the words {prompt!r} are sounded; what stands in that file: mfv2a tta < {file}")
        return plan_takes(read_prompts(prompts), wanted)
    from mfv2a.jobs.captioned import plan_listed

    if prompts:
        raise ConfigError("prompts and --list: the list has words of its own", hint="leave one of them out")
    planned = plan_listed(listing, wanted, split=split, overwrite=overwrite)
    for names, why in (
        (planned.wordless, "neither a caption nor a label in"),
        (planned.shared, "no sound of a name that several rows have:"),
    ):
        if names:
            talk.say(f"{listing}: {why} {first_of(names)}")
    if planned.there:
        sounds = "sound is" if planned.there == 1 else "sounds are"
        talk.say(f"{planned.there} {sounds} there already; --overwrite makes them again")
    return planned.takes


class _Teller:
    """Tells of sounds as they are made, and counts those that could not be."""

    def __init__(self, talk: console.Talk, wanted: TtaOptions, *, as_json: bool, listed: bool) -> None:
        self._talk, self._wanted, self._as_json, self._listed = talk, wanted, as_json, listed
        self.failures = 0

    def begin(self, info: Any, sample_rate_hz: int) -> None:
        self._talk.say(console.model_line(info, sample_rate_hz))
        for doubt in self._wanted.sound.doubts(info):
            self._talk.say(doubt)

    def done(self, take: Take, audio: Audio, facts: dict[str, Any]) -> None:
        _show(take, audio, facts, as_json=self._as_json)
        self._talk.say(
            f"{console.printable(take.prompt[:80])}: {audio.duration_s:g} s in {facts['seconds']:.2f} s, "
            f"{facts['rms_dbfs']:.0f} dBFS{choosing.told(facts)}{wording.reading(facts)}"
            + hint_if_faint(facts["rms_dbfs"])
        )

    def failed(self, take: Take, error: MediaError | SoundError) -> None:
        self.failures += 1
        if isinstance(error, SoundError):  # it names no file
            number = f", take {take.variant + 1}" if self._wanted.variants > 1 else ""
            told = f"{take.path}: " if self._listed else ""
            error = SoundError(f"{told}{take.prompt[:80]}{number}: {error}", hint=error.hint)
        self._talk.error(error)


def hint_if_faint(rms_dbfs: float) -> str:
    """What to try where next to nothing can be heard; "" where something can."""
    return "; hardly to be heard: try another --seed or other words" if rms_dbfs < FAINT_DBFS else ""


def is_file(prompt: str) -> bool:
    """Whether the words of a prompt are the name of a file that is here."""
    try:
        return Path(prompt).is_file()
    except (OSError, ValueError):  # words that no name can be
        return False


def read_prompts(words: Sequence[str]) -> list[str]:
    """The prompts: the arguments, with `-` (or no argument) replaced by the lines of stdin.

    Args:
        words: the arguments.

    Returns:
        The prompts in order, empty lines left out.

    Raises:
        ConfigError: nothing was given and stdin is a terminal, `-` was given twice, or a prompt is no UTF-8 text.
    """
    if not words and (sys.stdin is None or sys.stdin.isatty()):
        raise ConfigError("no PROMPT was given", hint='say what should be heard: mfv2a tta "rain on a tin roof"')
    if any("\udc80" <= letter <= "\udcff" for word in words for letter in word):
        raise ConfigError("a PROMPT is not UTF-8 text", hint="type it in a terminal that is set to UTF-8")
    if words and "-" not in words:
        return list(words)
    if words.count("-") > 1:
        raise ConfigError("- was given twice", hint="stdin can be read once")
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("the prompts on stdin are not UTF-8 text", hint="save them as UTF-8") from error
    lines = [line.rstrip("\n") for line in io.StringIO(text, newline=None) if line.strip()]
    if not words:
        return lines
    place = list(words).index("-")
    return [*words[:place], *lines, *words[place + 1 :]]


def _show(take: Take, audio: Audio, facts: dict[str, Any], *, as_json: bool) -> None:
    if take.path is None:
        from mfv2a.jobs.tta import encode_wav

        console.write_stdout(encode_wav(audio, facts.get("statement", "")))
    elif as_json:
        record = {
            "prompt": take.prompt,
            "output": str(take.path),
            "variant": take.variant + 1,
            "clip_seed": take.seed,
            "duration_s": audio.duration_s,
            "sample_rate_hz": audio.sample_rate_hz,
        }
        console.print_json({**record, **facts})
    else:
        console.print_path(take.path)
