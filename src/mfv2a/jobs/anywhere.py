"""Videos and outputs on this disk or behind URLs -> a batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mfv2a.errors import ConfigError, MediaError, Mfv2aError, without_passwords
from mfv2a.jobs.discover import VIDEO_SUFFIXES
from mfv2a.jobs.dub import DubOptions, dub_videos
from mfv2a.jobs.reported import REPORT_NAME
from mfv2a.jobs.telling import Listener, Summary
from mfv2a.media.store import is_url

__all__ = ["Summary", "dub_anywhere", "is_url"]


def dub_anywhere(arguments: Sequence[str], out: str, options: DubOptions, listener: Listener, summary: Summary) -> None:
    """Gives every video that the arguments name a sound; see `dub_videos`.

    Args:
        arguments: files, folders and globs, or URLs of such.
        out: the output folder, or its URL.
        options: what to do; its `out` does not count.
        listener: is told how it goes.
        summary: counted up as results come.

    Raises:
        ConfigError: something that cannot work, found before anything was written.
        StartError: nothing could begin, or nothing can go on.
        StoreError: the report cannot be written to the store; all else is done.
    """
    if not is_url(out) and Path(out).suffix.lower() in VIDEO_SUFFIXES and not Path(out).exists():
        hint = "name the folder alone: --out dubbed gives dubbed/NAME"
        raise ConfigError(f"--out {out} is to be a folder and looks like a video", hint=hint)
    url = next((word for word in (*arguments, out) if is_url(word)), None)
    if url is None:
        dub_videos(arguments, replace(options, out=Path(out)), listener, summary)
        return
    if options.ray is not None:
        raise ConfigError(
            f"{without_passwords(url)}: actors of a Ray cluster cannot share what is fetched",
            hint="use --shard, a run on each machine",
        )
    from mfv2a.jobs.staging import staged

    report = options.shard.report_name if options.shard else REPORT_NAME
    with staged(arguments, out, report) as stage:
        listener.names(stage.mirror.named)
        try:
            dub_videos(stage.arguments, replace(options, out=stage.out, mirror=stage.mirror), listener, summary)
        except BaseException as error:
            with suppress(Mfv2aError):  # the first fault counts; markers tell the next run what is done
                stage.mirror.commit()
            if isinstance(error, Mfv2aError) and not isinstance(error, MediaError):
                raise type(error)(stage.mirror.named(str(error)), hint=error.hint) from error
            raise
        if not options.dry_run:
            stage.mirror.commit()
