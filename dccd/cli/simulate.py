"""``dccd simulate``: the simulated exchanges, with the options of their own command line."""

from __future__ import annotations

import click

__all__ = ["simulate"]


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: tuple[str, ...]) -> int:
    """Run simulated exchanges on this machine that speak the real ones' wire formats."""
    from dccd.simulator.main import main

    return main(list(arguments))
