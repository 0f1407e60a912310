"""What a configuration that has an error still says of where its bus is: a text flows in, that much of it flows out.

A daemon goes on with what it had when its file is spoilt by an edit, and has the most to tell then: commands must find
its bus all the same. Pure, but for reading the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dccd.config import Config, convert, load, raw_of
from dccd.errors import ConfigError

__all__ = ["load_for_bus", "of_bus"]

_SECTION = re.compile(r"^(?=[A-Za-z_]\w*[ \t]*:)", re.MULTILINE)
_OTHERWISE = re.compile(r"^(?:[\"'?{&!*]|<<[ \t]*:)", re.MULTILINE)
"""How a line may begin that has a section, too: a name in quotes, a mapping in braces, an anchor."""


def load_for_bus(path: Path | None) -> tuple[Config, ConfigError | None]:
    """Return the configuration in *path*; of one with an error what it says of the bus, and that error.

    Raises ConfigError when it doesn't say that either.
    """
    try:
        return load(path), None
    except ConfigError as exc:
        try:
            found = None if path is None else of_bus(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            found = None
        if found is None:
            raise
        return found, exc


def of_bus(text: str) -> Config | None:
    """Return ``bus`` and ``settings.data_path`` of *text*, all else being the default, or None where they aren't
    right, or may not be all that was meant."""
    text = text.removeprefix("\ufeff")
    try:
        sections = raw_of(text)
    except ConfigError:
        sections = _apart(text)
    if not isinstance(sections, dict):
        return None
    settings, bus = sections.get("settings") or {}, sections.get("bus") or {}
    if not isinstance(settings, dict):
        return None
    known: dict[str, Any] = {"settings": {key: settings[key] for key in ("data_path",) if key in settings}, "bus": bus}
    try:
        return convert(known)
    except ConfigError:
        return None


def _apart(text: str) -> dict[str, Any] | None:
    """The sections that count of a text that is no YAML as a whole, each read alone; None where one can't be."""
    if not _SECTION.search(text) or _OTHERWISE.search(text):
        return None  # they may be written otherwise
    found: dict[str, Any] = {}
    for part in _SECTION.split(text):
        name = re.match(r"\w*", part)
        if name is None or name[0] not in ("settings", "bus"):
            continue
        try:
            section = raw_of(part)
        except ConfigError:
            return None
        if found.keys() & section.keys():
            return None  # given twice: which one was meant?
        found |= section
    return found
