"""The options of `mfv2a dub` that say where its work is done, and what of it is kept for the next time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from mfv2a.cli.options import MACHINE, given
from mfv2a.errors import ConfigError, without_passwords

DevicesOption = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, cuda:1 or mps; several with commas, or `all` GPUs: a worker process each.",
        metavar="NAME[,NAME]|all",
        rich_help_panel=MACHINE,
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        help="Dub on a Ray cluster: its address, `auto` for the one that runs here, `local` for one of this machine "
        "alone. Needs mfv2a[ray].",
        metavar="ADDRESS|auto|local",
        show_default="off",
        rich_help_panel=MACHINE,
    ),
]
RayCpusOption = Annotated[
    int,
    typer.Option(
        "--ray-cpus",
        min=1,
        help="Cores of each actor of a Ray cluster without GPUs.",
        metavar="N",
        rich_help_panel=MACHINE,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="Do only part I of N of the videos, by the hash of their paths: N runs share a list and a folder.",
        metavar="I/N",
        show_default="all",
        rich_help_panel=MACHINE,
    ),
]
CacheOption = Annotated[
    str,
    typer.Option(
        "--cache",
        help="Keep what is seen in videos in this folder: the same clip with another prompt, seed or step count is "
        "neither decoded nor encoded again.",
        metavar="DIR|off",
        rich_help_panel=MACHINE,
    ),
]
CacheSizeOption = Annotated[
    float,
    typer.Option(
        "--cache-size",
        min=0.001,
        help="The most that --cache holds; the longest unused goes first.",
        metavar="GB",
        rich_help_panel=MACHINE,
    ),
]


def place(
    context: typer.Context, ray: str | None, ray_cpus: int, shard: str | None, cache: str, cache_size: float
) -> dict[str, Any]:
    """What `DubOptions` says of where work is done and what of it is kept, of the options that say it.

    Raises:
        ConfigError: an option that another one would have to go with, or a value that cannot work.
    """
    from mfv2a.jobs.anywhere import is_url
    from mfv2a.jobs.shards import Shard

    if is_url(cache):
        raise ConfigError(f"--cache {without_passwords(cache)} cannot work", hint="name a folder of this disk")
    for name, partner, is_there in (
        ("ray_cpus", "--ray", ray is not None),
        ("cache_size", "--cache", cache != "off"),
    ):
        source = context.get_parameter_source(name)
        if not is_there and source is not None and source.name == "COMMANDLINE":
            word = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{word} is nothing without {partner}", hint=f"add {partner}, or leave out {word}")
    given(cache, "--cache")
    if not math.isfinite(cache_size * 1e9):
        raise ConfigError(f"--cache-size {cache_size:g} cannot work", hint="use some GB, such as 100")
    return {
        "ray": ray,
        "ray_cpus": ray_cpus,
        "shard": None if shard is None else Shard.parse(shard),
        "cache": None if cache == "off" else Path(cache),
        "cache_bytes": round(cache_size * 1e9),
    }
