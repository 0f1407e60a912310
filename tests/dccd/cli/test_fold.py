"""Folds on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dccd import messages as m
from dccd.client.fake import FakeDaemon
from dccd.errors import RequestError

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio


async def test_a_fold_is_a_run(dccd: Command, daemon: FakeDaemon) -> None:
    """The request says of what; progress goes to stderr in rows and bytes, the outcome to stdout."""
    daemon.script = [
        m.RunProgress(
            at=1, host="fake", run_id="", dataset="", position=1 << 20, start=0, end=2 << 20, fraction=0.5, rows=1234,
            rate=617.0, files=3,
        )
    ]  # fmt: skip
    done = await dccd("fold", "binance.trades")
    assert (done.code, done.out) == (0, "done\n")
    assert "50.0%, 1.0 MiB of 2.0 MiB, 1,234 rows, 617 rows/s" in done.err
    assert daemon.asked("storage.fold") == [m.StorageFold(dataset="binance.trades")]


async def test_of_what_is_not_stored_is_3(dccd: Command, daemon: FakeDaemon) -> None:
    """As any request for what isn't there."""
    daemon.replies["storage.fold"] = RequestError(404, "no_dataset", "nothing is stored of kraken", "dataset")
    done = await dccd("fold", "kraken")
    assert (done.code, "nothing is stored of kraken" in done.err) == (3, True)
