"""What one process needs to dub: the model, its stages, and a crew with its part of the cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from mfv2a.media.hardware import DecodeDevice, choose_decoder, use_gpu

if TYPE_CHECKING:
    from mfv2a.jobs.ahead import Awaited
    from mfv2a.jobs.batch import Batch
    from mfv2a.jobs.cache import FeatureCache
    from mfv2a.jobs.dub import DubOptions
    from mfv2a.jobs.plan import Item
    from mfv2a.pipeline import Pipeline

MOST_WORKERS = 16
WAIT_POLICY = "OMP_WAIT_POLICY"  # read when torch's thread library is loaded


class Started:
    """A model that is loaded, and the stages that use it.

    The threads of the crew share the cores: each has its part for its networks and its decoder. What samples has all
    of them, and threads that wait for others sleep instead of spinning.

    Args:
        options: how to dub.
        begin: is told when a stage of an item begins.
        cores: that this process may use.
        most: clips that need be worked on at once, None where that is not known.

    Raises:
        StartError: the model could not be loaded, or there is no place for the cache.
        ConfigError: a GPU shall decode, and none does here.
    """

    def __init__(
        self, options: DubOptions, begin: Callable[[Item, str], None], *, cores: int, most: int | None = None
    ) -> None:
        os.environ.setdefault(WAIT_POLICY, "passive")
        from mfv2a.jobs.grouping import MOST_WINDOWS, BatchSize
        from mfv2a.jobs.stages import DubStages
        from mfv2a.media.motion import use_one_thread

        self._options = options
        place = options.sound.device.partition(":")[2]
        number = int(place) if place.isdecimal() else 0
        _find_decoder(options.decode_device, number)  # refuses before the model is loaded
        self._pipeline = options.sound.load()
        decode_device = options.decode_device
        if decode_device == "auto" and self._pipeline.device.type == "cpu":
            decode_device = "cpu"
        decode_device = _find_decoder(decode_device, self._pipeline.device.index or number)
        cache = None if options.cache is None else _open_cache(options, self._pipeline, decode_device)
        workers = options.workers or min(cores, MOST_WORKERS)
        self._workers = workers if most is None else min(workers, most)
        self._share = max(1, cores // self._workers)
        use_one_thread()
        grows = options.batch_grows and self._pipeline.device.type == "cuda"
        self._size = BatchSize(options.sound.batch_size, most=MOST_WINDOWS if grows else None)
        self._stages = DubStages(
            self._pipeline,
            options.sound,
            options.out,
            begin,
            decoder_threads=self._share,
            decode_device=decode_device,
            cache=cache,
            deliver=None if options.mirror is None else options.mirror.deliver,
            choice=options.choice,
            delivery=options.delivery,
        )

    def expect(self, items: Sequence[Item]) -> None:
        """Says which items will come, so that those of one video are looked at once."""
        self._stages.expect(items)

    def expected(self, groups: Iterable[list[Item] | Awaited]) -> Iterator[Item | Awaited]:
        """The items of groups, those of one video together, each group expected when it is asked for."""
        for group in groups:
            if isinstance(group, Future):
                yield group
                continue
            self.expect(group)
            yield from group

    def batch(self, items: Iterable[Item | Awaited], tell: Callable[[str], None]) -> Batch:
        """Clips on their way through the stages; how many windows fit is remembered from batch to batch.

        Args:
            items: that were expected; may wait until there are more.
            tell: takes details.
        """
        import torch

        from mfv2a.jobs.batch import Batch

        all_threads = torch.get_num_threads()
        batch = Batch(
            items,
            self._stages,
            batch_size=self._size,
            tell=tell,
            workers=self._workers,
            timeout_s=self._options.timeout_s,
            phased=self._pipeline.frugal,
            begin=lambda: torch.set_num_threads(min(self._share, all_threads)),
        )
        torch.set_num_threads(all_threads)  # of this thread, which samples
        return batch


def _find_decoder(device: DecodeDevice, number: int) -> DecodeDevice:
    """Where to decode: "cpu" if no GPU does, else what was asked for, on the GPU of this number."""
    if device == "cpu":
        return "cpu"
    use_gpu(number)
    return device if choose_decoder(device) == "cuda" else "cpu"


def split_devices(name: str) -> tuple[str, ...]:
    """The devices that a word of `--device` names, one worker process each.

    Args:
        name: a device, several with commas between them, or "all" for every GPU.

    Raises:
        ConfigError: it names none.
        DeviceError: all GPUs are asked for, and there is none.
    """
    from mfv2a.errors import ConfigError, DeviceError

    if name == "all":
        import torch

        found = tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))
        if not found:
            raise DeviceError("--device all: there is no GPU here", hint="use --device cpu, or auto")
        return found
    devices = tuple(part.strip() for part in name.split(","))
    if not all(devices):
        raise ConfigError(f"--device {name} cannot work", hint="name devices with commas: cuda:0,cuda:1")
    return devices


def count_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _open_cache(options: DubOptions, pipeline: Pipeline, decode_device: str) -> FeatureCache:
    from mfv2a.jobs.cache import FeatureCache
    from mfv2a.loader import encoder_digest

    assert options.cache is not None
    return FeatureCache(
        options.cache,
        encoders=encoder_digest(options.sound.model),
        pipeline=pipeline,
        semantics=options.sound.semantics,
        reuse=options.sound.reuse_frames,
        decode_device=decode_device,
        most_bytes=options.cache_bytes,
    )
