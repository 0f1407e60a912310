"""Text that is safe on a terminal and in a log. Pure.

Text from elsewhere (an exchange's words, a webhook's, a file's name) flows in; the same without what would move a
cursor, change colours, turn the direction of reading or begin a line of its own flows out.
"""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str, keep: str = "") -> str:
    """Return *text* with a space for each character that isn't printed, but for those of *keep*."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in keep else " " for letter in text)
