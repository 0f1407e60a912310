"""``dccd fold``: an order flows in and becomes a run of the daemon, whose progress and outcome flow out."""

from __future__ import annotations

import click

from dccd.cli.app import App, options
from dccd.cli.remote import done_by_run

__all__ = ["fold"]


@click.command(
    epilog="""\b
Examples:
  dccd fold
  dccd fold binance.trades
  dccd fold binance.trades.BTC-USDT

By itself the daemon folds at the right times, so that what is rewritten stays little: this is for who wants all rows
in plain Parquet now, as before a backup. Interrupting it doesn't end the fold: dccd cancel RUN_ID does, and what is
folded stays so.
""",
)
@click.argument("dataset", required=False, metavar="[PREFIX]")
@options
@click.pass_obj
def fold(app: App, dataset: str | None) -> int:
    """Bring all rows into the Parquet files that anything reads, or those of datasets whose name begins with PREFIX."""
    from dccd.messages import StorageFold

    return done_by_run(app, "fold", StorageFold(dataset=dataset), "nothing to fold")
