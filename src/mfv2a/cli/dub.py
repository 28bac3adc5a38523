"""`mfv2a dub`: words of the command line -> a batch."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import typer

from mfv2a.cli import choosing, console, options, spread, wording
from mfv2a.cli.gallery import page_after
from mfv2a.cli.screen import watch
from mfv2a.errors import ConfigError

EPILOG = """
**Examples**

`mfv2a dub clip.mp4 --out dubbed` - one video, into dubbed/clip.mp4

`mfv2a dub videos --out dubbed` - a folder, the same tree under dubbed

`mfv2a dub 'shots/*.mov' --out dubbed --prompt "footsteps on gravel"` - a glob, and what to hear

`mfv2a dub videos --out dubbed --prompts prompts.csv` - a prompt for each clip, from a table

`mfv2a dub videos --out dubbed --keep-audio mix --mix-gain -6 --loudness -23` - mixed with the sound that is there

`mfv2a dub s3://bucket/videos --out s3://bucket/dubbed` - where the files lie in a store

`find . -name '*.mp4' -print0 | mfv2a dub - -0 --out dubbed --json` - paths on stdin, JSON on stdout

A prompt for one clip goes into a text file beside it: clip.txt for clip.mp4. Of several, the first counts: --prompts,
the text file, --prompt-from, --prompt.

Exit codes: 0 all done, 2 a wrong option, 3 some or all failed, 4 nothing could start, 130 Ctrl-C, 143
SIGTERM, 129 SIGHUP.
"""


def dub(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Videos, folders (searched through), globs in quotes, URLs, or - for paths on stdin, one a line.",
            show_default=False,
        ),
    ] = None,
    out: options.OutAnywhereOption = ...,  # type: ignore[assignment]
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt",
            "-p",
            help="What should be heard, for every clip without a prompt of its own. "
            "Without one, the sound follows the picture alone.",
            metavar="TEXT",
            rich_help_panel=options.SAMPLING,
        ),
    ] = "",
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts",
            help="Table of single clips: columns path, prompt, negative_prompt, seed. What it says wins.",
            metavar="FILE.csv|.jsonl",
            show_default=False,
            rich_help_panel=options.SAMPLING,
        ),
    ] = None,
    prompt_from: Annotated[
        Literal["none", "filename", "metadata"],
        typer.Option(
            "--prompt-from",
            help="Where else to look for a clip's prompt: the words of its name, or its tags, in which "
            "generators leave theirs.",
            rich_help_panel=options.SAMPLING,
        ),
    ] = "none",
    negative_prompt: wording.NegativePromptOption = "",
    as_written: wording.AsWrittenOption = False,
    no_video_semantics: Annotated[
        bool,
        typer.Option(
            "--no-video-semantics",
            help="Go by when it moves, not by what is seen: the prompt alone says what should be heard.",
            rich_help_panel=options.SAMPLING,
        ),
    ] = False,
    reuse_frames: options.ReuseFramesOption = None,
    model: options.ModelOption = "",
    steps: options.StepsOption = None,
    cfg: options.CfgOption = None,
    rescale: options.RescaleOption = None,
    seed: options.SeedOption = 0,
    variants: Annotated[
        int,
        typer.Option(
            "--variants",
            min=1,
            help="Takes of each video: NAME.mp4, NAME.2.mp4 and so on.",
            metavar="N",
            rich_help_panel=options.SAMPLING,
        ),
    ] = 1,
    candidates: choosing.CandidatesOption = None,
    keep_all: choosing.KeepAllOption = False,
    no_speech: choosing.NoSpeechOption = False,
    no_music: choosing.NoMusicOption = False,
    tries: choosing.TriesOption = None,
    split_shots: choosing.SplitShotsOption = False,
    keep_audio: Annotated[
        Literal["replace", "mix", "second-track", "skip"],
        typer.Option(
            "--keep-audio",
            help="For videos with sound that can be heard: replace it, mix the new sound with it (in stereo at most), "
            "copy it as a second track, or skip the video.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = "replace",
    mix_gain: Annotated[
        float | None,
        typer.Option(
            "--mix-gain",
            help="Gain of the new sound in a mix, in dB.",
            metavar="DB",
            show_default="0",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    duck: choosing.DuckOption = None,
    loudness: options.LoudnessOption = "off",
    channels: choosing.ChannelsOption = "auto",
    audio_codec: Annotated[
        Literal["auto", "aac", "flac", "opus", "pcm"],
        typer.Option(
            "--audio-codec",
            help="auto: aac; opus in WebM and Ogg, pcm in AVI and WMV. Checked against the container before anything "
            "is made.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = "auto",
    sample_rate: options.SampleRateOption = "48000",
    also_wav: Annotated[
        bool,
        typer.Option(
            "--also-wav",
            help="Also write NAME.wav, the new sound alone as it is in there, in 24 bit, beside each output.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    provenance: choosing.ProvenanceOption = True,
    onsets: choosing.OnsetsOption = "off",
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Do again what is done, and replace files that mfv2a did not make, made from another video, or that "
            "were changed since.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    verify_content: Annotated[
        bool,
        typer.Option(
            "--verify-content",
            help="Know a video that is done by its content, read as a whole, and not by its time of change.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    gallery: options.GalleryOption = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "-n", help="Print the outputs, make nothing.", rich_help_panel=options.OUTPUT),
    ] = False,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Paths on stdin end with a null byte, so any name survives.")
    ] = False,
    workers: options.WorkersOption = None,
    batch_size: options.GrowingBatchOption = "auto",
    timeout: options.TimeoutOption = None,
    max_failures: options.MaxFailuresOption = None,
    heartbeat: options.HeartbeatOption = None,
    decode_device: options.DecodeDeviceOption = "auto",
    ray: spread.RayOption = None,
    ray_cpus: spread.RayCpusOption = 2,
    shard: spread.ShardOption = None,
    cache: spread.CacheOption = "off",
    cache_size: spread.CacheSizeOption = 10.0,
    device: spread.DevicesOption = "auto",
    dtype: options.DtypeOption = "auto",
    low_memory: options.LowMemoryOption = False,
    compile_generator: options.CompileOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """Give silent videos sound: the picture is copied bit for bit, a new sound is laid under it.

    Prints the path of each dubbed video. What is done already is skipped; DIR/report.jsonl tells all.
    """
    talk = console.start_talk(context, quiet=quiet, verbose=verbose)
    from mfv2a.jobs.anywhere import Summary, dub_anywhere
    from mfv2a.jobs.dub import DubOptions
    from mfv2a.jobs.sound import SoundOptions

    wanted = DubOptions(
        out=Path(out),
        sound=SoundOptions(
            model=options.model_name(model),
            **wording.meant(negative_prompt, as_written),
            steps=steps,
            cfg_strength=cfg,
            rescale=rescale,
            semantics=not no_video_semantics,
            reuse_frames=reuse_frames,
            seed=seed,
            batch_size=options.batch_size(batch_size),
            **options.machine(device, dtype, low_memory, compile_generator),
            sample_rate_hz=options.sample_rate(sample_rate),
            loudness_lufs=options.loudness(loudness),
        ),
        prompt=prompt,
        prompts=prompts,
        prompt_from=prompt_from,
        variants=variants,
        keep_audio=keep_audio,
        mix_gain_db=mix_gain,
        audio_codec=audio_codec,
        also_wav=also_wav,
        overwrite=overwrite,
        dry_run=dry_run,
        workers=workers,
        batch_grows=batch_size == "auto",
        verify_content=verify_content,
        max_failures=max_failures,
        timeout_s=timeout,
        heartbeat=None if heartbeat is None else Path(options.given(heartbeat, "--heartbeat")),
        decode_device=decode_device,
        **spread.place(context, ray, ray_cpus, shard, cache, cache_size),
        choice=choosing.choice(candidates, keep_all, no_speech, no_music, tries),
        delivery=choosing.delivery(channels, provenance, duck, onsets),
        split_shots=split_shots,
    )
    summary = Summary()
    page = page_after(out, talk, wanted=gallery and not dry_run, overwrite=overwrite, workers=workers)
    alone = nullcontext() if ray is None else console.results_alone()  # Ray prints what becomes of its workers
    with alone, page, watch(talk, as_json=as_json, dry_run=dry_run, summary=summary) as listener:
        dub_anywhere(expand_stdin(paths or [], null=null), options.given(out, "--out"), wanted, listener, summary)
    raise typer.Exit(3 if summary.failed else 0)


def expand_stdin(paths: Sequence[str], *, null: bool) -> list[str]:
    """Replaces `-` by the paths on stdin.

    Args:
        paths: the arguments.
        null: paths end with a null byte instead of a newline; asks for stdin where no path is given.

    Returns:
        The arguments with the paths of stdin in the place of `-`.

    Raises:
        ConfigError: no path at all, `-` twice, or paths of which none is `-` where stdin was asked for.
    """
    words = [options.given(path, "PATH") for path in paths] or (["-"] if null else [])
    if not words:
        raise ConfigError("no PATH was given", hint="name a video, a folder or a glob, or - to read paths from stdin")
    if words.count("-") > 1:
        raise ConfigError("- was given twice", hint="stdin can be read once")
    if "-" not in words:
        if null:
            raise ConfigError("-0 says how paths on stdin end, and no PATH is -", hint="add - where they belong")
        return words
    data = sys.stdin.buffer.read()
    lines = data.split(b"\0") if null else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    place = words.index("-")
    words[place : place + 1] = [os.fsdecode(line) for line in lines if line]
    return words
