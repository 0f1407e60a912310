"""``dccd start``: the configuration flows in, the daemon runs until Ctrl-C."""

from __future__ import annotations

import click

from dccd.cli.app import App, entry_point, local_options, note

__all__ = ["start"]


@click.command(
    epilog="""\b
Examples:
  dccd start --demo                   # no network, account or configuration needed
  dccd start --config /etc/dccd.yml

Ctrl-C stops all in order within seconds; what was collected is on disk. `dccd validate` says what would run.
"""
)
@click.option("--demo", is_flag=True, help="Simulated exchanges and the whole daemon against them, in ./demo-data.")
@click.option("--plain", is_flag=True, help="Log lines instead of the live status, in a terminal too.")
@local_options
@click.pass_obj
def start(app: App, demo: bool, plain: bool) -> int:
    """Run the daemon: the bus, the streams and backfills of the configuration, until Ctrl-C or SIGTERM."""
    from dccd import config as configuration

    entry_point("exchanges")()  # so that the jobs of any are checked
    path = configuration.find(app.config_file)
    config = configuration.load(path)
    if not demo and path is None:
        note("no configuration found, so no jobs: the daemon does what it is asked over the bus (`dccd start --help`)")
    run = entry_point("run")
    code: int = run(config, mode="demo" if demo else "start", screen=not plain, path=path)
    return code
