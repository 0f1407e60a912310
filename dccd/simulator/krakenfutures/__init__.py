"""Kraken Futures, simulated: its REST API (``rest``), WebSocket v1 (``session``, ``streams``), formats and names."""

from __future__ import annotations

from dccd.simulator.krakenfutures.rest import KrakenFutures

__all__ = ["KrakenFutures"]
