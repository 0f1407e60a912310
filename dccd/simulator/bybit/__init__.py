"""Bybit v5, simulated: its REST API (``rest``), WebSocket (``session``, ``streams``), their formats and its names."""

from __future__ import annotations

from dccd.simulator.bybit.rest import Bybit

__all__ = ["Bybit"]
