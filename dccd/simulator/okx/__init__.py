"""A simulated OKX: spot, swaps and dated futures, REST and WebSocket of API v5."""

from dccd.simulator.okx.rest import Okx

__all__ = ["Okx"]
