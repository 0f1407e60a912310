"""Bitfinex, simulated: its REST API (``rest``), WebSocket v2 (``session``, ``streams``), their formats, its names."""

from __future__ import annotations

from dccd.simulator.bitfinex.rest import Bitfinex

__all__ = ["Bitfinex"]
