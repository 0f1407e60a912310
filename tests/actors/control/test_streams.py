"""What streams can be started."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actors.control.streams import StreamDesk
from dccd.config import Config
from dccd.errors import NoCapability
from dccd.exchanges.base import StreamOptions
from dccd.symbols import Dataset


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "field", "told"),
    [
        ("kraken.funding.BTC-USD", "data_type", "kraken has no funding"),
        ("bitmex.trades.BTC-USD_PERP", "exchange", "BitMEX closed on 2026-09-23; .* exchanges.bitmex.ws_url"),
    ],
)
async def test_what_can_not_be_had_is_not_started(name: str, field: str, told: str) -> None:
    """What the exchange doesn't offer, and what one that has closed offered, without a server that is named."""
    links: Any = SimpleNamespace(config=Config(), board={})
    with pytest.raises(NoCapability, match=told) as caught:
        await StreamDesk(links, links).start(Dataset.parse(name), StreamOptions())
    assert caught.value.field == field
    assert not links.board
