"""Commands and groups whose help shows a flag as what it is: without the type of a value that it does not take."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class Command(TyperCommand):
    """A command whose flags are shown without a type."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its options and arguments, --help among them."""
        return _plain(super().get_params(ctx))


class Group(TyperGroup):
    """The same of what holds commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its options, --help among them."""
        return _plain(super().get_params(ctx))


def _plain(options: list[Any]) -> list[Any]:
    for option in options:
        if getattr(option, "is_flag", False) and option.metavar is None:
            option.metavar = " " if option.secondary_opts else ""
    return options
