"""WebSocket frames and damage to them: text flows in, bytes or worse text flow out. Pure.

RFC 6455, 5.2: a server's frames are not masked.
"""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["break_frame", "encode_frames", "spoil_checksum"]


def _head(size: int) -> str:
    if size < 126:
        return f"\x81{chr(size)}"
    if size < 65_536:
        return f"\x81\x7e{chr(size >> 8)}{chr(size & 255)}"
    return "\x81\x7f" + size.to_bytes(8).decode("latin-1")


_HEADS = [_head(size) for size in range(2048)]


def encode_frames(texts: list[str]) -> bytes:
    """Return *texts* as one chunk of text frames.

    Frames are put together as text, bytes of headers being the letters of Latin-1, and encoded at once: that is
    the cheapest way in Python.
    """
    if all(map(str.isascii, texts)):
        return "".join([(_HEADS[len(text)] if len(text) < 2048 else _head(len(text))) + text for text in texts]).encode(
            "latin-1"
        )
    out = bytearray()
    for text in texts:
        data = text.encode()
        out += _head(len(data)).encode("latin-1") + data
    return bytes(out)


def break_frame(text: str, how: Literal["truncated", "garbage", "types"]) -> str:
    """Return *text* broken."""
    if how == "truncated":
        return text[: len(text) // 2]
    if how == "garbage":
        return "<html><body>502 Bad Gateway</body></html>"
    # Numbers become booleans, and numeric text becomes words.
    text = re.sub(r'(?<=[:\[,])"[0-9.]+"(?=[,\]}])', '"NaN?"', text)
    return re.sub(r"(?<=[:\[,])[0-9][0-9.]*(?=[,\]}])", "true", text)


def spoil_checksum(text: str) -> str | None:
    """Return a book frame with another ``"checksum"``, as Kraken and OKX call it; ``None`` if it has none."""
    spoilt, count = re.subn(r'"checksum":(-?[0-9]+)', lambda found: f'"checksum":{int(found[1]) ^ 1}', text)
    return spoilt if count else None
