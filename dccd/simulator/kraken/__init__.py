"""Kraken spot, simulated: its REST API (``rest``), WebSocket v2 (``streams``), their formats and its names."""

from __future__ import annotations

from dccd.simulator.kraken.rest import Kraken

__all__ = ["Kraken"]
