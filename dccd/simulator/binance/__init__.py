"""Binance, simulated: its REST API (``rest``), its market streams (``streams``) and their ``formats``.

The same of its futures is in ``futures``, ``futures_streams`` and ``futures_formats``.
"""

from __future__ import annotations

from dccd.simulator.binance.rest import Binance

__all__ = ["Binance"]
