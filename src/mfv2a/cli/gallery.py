"""How the making of a page looks: a bar on a terminal, a line in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mfv2a.cli import console
from mfv2a.cli.console import Talk
from mfv2a.errors import ConfigError

if TYPE_CHECKING:
    from mfv2a.jobs.gallery import Gallery


class Tick(Protocol):
    """Is told how many of how many are through."""

    def __call__(self, done: int, total: int) -> None:
        """So many are through."""


def write_gallery(out: Path, talk: Talk, *, overwrite: bool = False, workers: int | None = None) -> Gallery:
    """Makes the page of an output folder and tells about it on stderr; see `mfv2a.jobs.gallery.make_gallery`."""
    from mfv2a.jobs.gallery import make_gallery

    with _shown(talk) as tick:
        gallery = make_gallery(out, overwrite=overwrite, workers=workers, tick=tick)
    looked = f"{gallery.sketched} looked at anew" if gallery.sketched else "all looked at before"
    size = f"{gallery.page_bytes / 1e6:.1f} MB"
    talk.say(f"page: {console.printable(str(gallery.path))}, {console.count(gallery.clips, 'clip')}, {looked}, {size}")
    if gallery.unseen:
        talk.say(f"{console.count(gallery.unseen, 'clip')} could not be shown as a whole; their cards say why")
    return gallery


@contextmanager
def page_after(place: str, talk: Talk, *, wanted: bool, overwrite: bool, workers: int | None) -> Iterator[None]:
    """Makes the page of a folder after a run into it; a page that is not ours is refused before the run."""
    if not wanted:
        yield
        return
    from mfv2a.jobs.anywhere import is_url
    from mfv2a.jobs.gallery import check_page

    if is_url(place):
        hint = "leave it out: the page lies in a folder, beside its videos"
        raise ConfigError(f"--gallery does not go with --out {place}", hint=hint)
    out = Path(place)
    check_page(out, overwrite=overwrite)
    try:
        yield
    except KeyboardInterrupt:
        talk.say(f"no page was made; `mfv2a report gallery {console.printable(str(out))}` makes one of what is done")
        raise
    write_gallery(out, talk, overwrite=overwrite, workers=workers)


@contextmanager
def _shown(talk: Talk) -> Iterator[Tick]:
    """A bar while clips are looked at, on a terminal that people watch."""
    if talk.quiet or not console.stderr_is_alive():
        yield lambda done, total: None
        return
    with console.progress_bar() as bar:
        task = bar.add_task("the page", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
