"""What all parts of the configuration are written in: durations and sizes. Pure."""

from __future__ import annotations

import re

__all__ = ["LARGEST", "Duration", "Size", "parse_duration", "parse_size"]

LARGEST = 2 << 20
"""Characters of a configuration file; some ten thousand jobs have room. To read more as YAML takes minutes."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)?")
_BYTES = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip

_MOST_SECONDS, _MOST_BYTES = 36_500 * 86400.0, 10.0**18
"""Whatever is more has no room in int64, as ns or bytes, beside other such numbers."""

Duration = str | int | float
"""Seconds, or text with a unit: ``500ms 30s 5m 1h 7d``."""
Size = str | int
"""Bytes, or text with a unit: ``64MiB 10GiB``."""


def parse_duration(value: Duration) -> float:
    """Return seconds. Raises ValueError that says what is allowed."""
    match = None if isinstance(value, bool) else _DURATION.fullmatch(str(value).strip())
    if match is None:
        raise ValueError("seconds, or a number with a unit: 500ms, 30s, 5m, 1h, 7d")
    seconds = float(match[1]) * _SECONDS[match[2] or "s"]
    if seconds > _MOST_SECONDS:
        raise ValueError("36500d at most")
    return seconds


def parse_size(value: Size) -> int:
    """Return bytes. Raises ValueError that says what is allowed."""
    match = None if isinstance(value, bool) else _SIZE.fullmatch(str(value).strip())
    if match is None:
        raise ValueError("bytes, or a number with a unit: 64MiB, 10GiB")
    size = float(match[1]) * _BYTES[match[2] or "B"]
    if size > _MOST_BYTES:
        raise ValueError("1000000TB at most")
    return int(size)
