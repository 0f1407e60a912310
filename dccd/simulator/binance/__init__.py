"""Binance spot, simulated: its REST API (``rest``), its market streams (``streams``) and their ``formats``."""

from __future__ import annotations

from dccd.simulator.binance.rest import Binance

__all__ = ["Binance"]
