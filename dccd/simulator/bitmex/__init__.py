"""BitMEX's contracts, simulated: its REST API (``rest``), WebSocket (``streams``), their formats and its names.

The exchange itself closed on 2026-09-23.
"""

from __future__ import annotations

from dccd.simulator.bitmex.rest import Bitmex

__all__ = ["Bitmex"]
