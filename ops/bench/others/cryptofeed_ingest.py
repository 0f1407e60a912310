"""cryptofeed, as its users run it, on local Binance frames: runs in cryptofeed's own environment.

Frames of ``--rows`` aggregate trades flow in from the WebSocket server at ``--port``; each is parsed and handed to
an empty callback; one line of JSON with the time and CPU time of that flows out. Nothing is stored.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import cryptofeed.connection
from cryptofeed import FeedHandler
from cryptofeed.defines import TRADES
from cryptofeed.exchanges import Binance
from cryptofeed.symbols import Symbols

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--rows", type=int, required=True)
parser.add_argument("--symbols", required=True, help="BASE-QUOTE, with commas between")
options = parser.parse_args()
symbols = options.symbols.split(",")

# What the exchange's symbol list would say; it is fetched once at the start and no part of what is measured.
Symbols.set(Binance.id, {name: name.replace("-", "") for name in symbols}, {"instrument_type": {}, "tick_size": {}})

# Its endpoints must be wss://; the local server speaks plain ws://, for this one as for the others.
connect = cryptofeed.connection.connect
address = Binance.websocket_endpoints[0].address
cryptofeed.connection.connect = lambda url, **kwargs: connect(
    url.replace(address, f"ws://127.0.0.1:{options.port}"), **kwargs
)

seen = 0
began = used = 0.0


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def on_trade(trade: object, receipt_timestamp: float) -> None:
    """Empty, but for the count that tells when the last row is through."""
    global seen, began, used
    seen += 1
    if seen == 1:
        began, used = time.perf_counter(), cpu()
    elif seen == options.rows:
        wall = time.perf_counter() - began
        print(json.dumps({"rows": seen, "wall": wall, "cpu": cpu() - used}), flush=True)
        handler.request_stop()


handler = FeedHandler(config={"log": {"disabled": True}})
handler.add_feed(Binance(symbols=symbols, channels=[TRADES], callbacks={TRADES: on_trade}))
print(json.dumps({"ready": True}), flush=True)
handler.run()
