"""Exchanges on loopback that speak the real ones' formats, from seeded markets whose truth is known.

``Simulator(SimConfig(...))`` for Python, ``python -m dccd.simulator`` for other processes; ``faults`` says what can go
wrong, ``venues`` which exchanges there are, ``venue`` how to add one.
"""

from __future__ import annotations

from dccd.simulator.clock import Clock, ManualClock, SystemClock
from dccd.simulator.config import SimConfig
from dccd.simulator.server import SimulatedExchange, Simulator

__all__ = ["Clock", "ManualClock", "SimConfig", "SimulatedExchange", "Simulator", "SystemClock"]
