"""Commands that have commands: their help flows out."""

from __future__ import annotations

import click

__all__ = ["Group"]

_SENTENCE = 400


class Group(click.Group):
    """A command with commands, whose help has the whole first sentence of each: click cuts it to a line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line, or several, for each command."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, one.get_short_help_str(_SENTENCE)) for name, one in sorted(self.commands.items())]
            )
