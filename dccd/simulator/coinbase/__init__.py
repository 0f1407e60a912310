"""Coinbase spot, simulated: Advanced Trade's REST API (``rest``), WebSocket (``session``, ``streams``) and listings."""

from __future__ import annotations

from dccd.simulator.coinbase.rest import Coinbase

__all__ = ["Coinbase"]
